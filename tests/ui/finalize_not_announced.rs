use graphgc::{Finalize, LocalFinalize, Trace};

#[derive(Trace)]
struct File {
    descriptor: i32,
}

impl Finalize for File {
    fn finalize(&self) {}
}

impl LocalFinalize for File {
    fn finalize(&self) {}
}

fn main() {}
