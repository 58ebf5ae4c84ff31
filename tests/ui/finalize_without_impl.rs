use graphgc::Trace;

#[derive(Trace)]
#[trace(finalize)]
struct File {
    descriptor: i32,
}

#[derive(Trace)]
#[trace(local_finalize)]
struct Session {
    number: u32,
}

fn main() {}
