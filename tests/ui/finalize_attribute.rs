use graphgc::Trace;

#[derive(Trace)]
#[trace(finalize, local_finalize)]
struct Both {
    number: u32,
}

#[derive(Trace)]
struct OnAField {
    #[trace(finalize)]
    number: u32,
}

fn main() {}
