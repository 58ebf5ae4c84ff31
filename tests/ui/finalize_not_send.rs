use graphgc::{Finalize, Gc, GcRefCell, Trace};

#[derive(Trace)]
#[trace(finalize)]
struct Node {
    next: GcRefCell<Option<Gc<Node>>>,
}

impl Finalize for Node {
    fn finalize(&self) {}
}

#[derive(Trace)]
#[trace(finalize)]
struct Pair<T> {
    both: [T; 2],
}

impl<T: Trace> Finalize for Pair<T> {
    fn finalize(&self) {}
}

fn main() {}
