use graphgc::Trace;

#[derive(Trace)]
struct Borrows<'a> {
    name: &'a str,
}

fn main() {}
