//! A vector of edges for one thread does not go to another.

use graphgc::{Gc, GcRefVec, Trace};

#[derive(Trace)]
struct Node {
    edges: GcRefVec<Gc<Node>>,
}

fn main() {
    let node = Gc::new(Node { edges: GcRefVec::new() });
    std::thread::spawn(move || node.edges.len());
}
