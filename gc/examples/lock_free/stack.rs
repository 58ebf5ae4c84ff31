//! A Treiber stack: a list whose first edge is exchanged atomically.
//!
//! Without a collector this is where the trouble begins: a thread that has read the first node must not have it freed under its eyes, and must
//! not take a new node at the same address for the one that it read (the ABA problem). Hazard pointers, epochs and counted
//! pointers are ways around that. Here a pin is all: whatever a pinned thread has loaded stays, and keeps its address.
//!
//! Both operations take effect at their successful exchange; a `pop` that finds nothing, when it loads the first edge.

use crate::heap::{Gc, GcCell, Guard, Local, Trace};

/// Last in, first out, for any number of threads.
///
/// Works anywhere; is fastest in a `Gc`, where its edges are counted by nobody.
#[cfg_attr(not(graphgc_loom), derive(Trace))]
pub(crate) struct Stack<T: Trace> {
    first: GcCell<Option<Gc<Node<T>>>>,
}

#[cfg_attr(not(graphgc_loom), derive(Trace))]
struct Node<T: Trace> {
    value: T,
    /// Does not change once others can see the node.
    next: GcCell<Option<Gc<Node<T>>>>,
}

impl<T: Trace> Stack<T> {
    pub(crate) fn new() -> Self {
        Stack { first: GcCell::new(None) }
    }

    pub(crate) fn push(&self, value: T, guard: &Guard) {
        let node = guard.alloc(Node { value, next: GcCell::new(None) });
        let mut first = self.first.load(guard);
        loop {
            node.next.store(first, guard);
            match self.first.compare_exchange(first, Some(node), guard) {
                Ok(_) => return,
                Err(now) => first = now,
            }
        }
    }

    /// The value that was pushed last.
    ///
    /// It is lent, not given: a slower thread may be looking at the same node still. Clone it to keep it; if it is a `Gc`, that
    /// costs one addition.
    pub(crate) fn pop<'g>(&self, guard: &'g Guard) -> Option<&'g T> {
        let mut first = self.first.load(guard);
        loop {
            let node = Local::get(first?);
            match self.first.compare_exchange(first, node.next.load(guard), guard) {
                Ok(_) => return Some(&node.value),
                Err(now) => first = now,
            }
        }
    }
}
