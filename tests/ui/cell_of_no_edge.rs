use graphgc::{Gc, GcCell, Trace};

#[derive(Trace)]
struct Node {
    number: GcCell<u32>,
}

#[derive(Trace)]
struct List {
    edges: GcCell<Vec<Gc<List>>>,
}

fn main() {}
