//! Handles to what has no size known at compile time take two words.

use graphgc::{Gc, GcCell, GcVec, Trace, Weak};

trait Shape: Trace {}

#[derive(Trace)]
struct Node {
    text: GcCell<Option<Gc<str>>>,
    shape: GcCell<Gc<dyn Shape>>,
    shapes: GcVec<Gc<dyn Shape>>,
    watcher: GcCell<Weak<dyn Shape>>,
}

fn main() {
    let cell = GcCell::new(Gc::<[u8]>::from([1, 2]));
}
