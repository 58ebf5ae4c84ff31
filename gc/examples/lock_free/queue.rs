//! A Michael-Scott queue: a list with an edge to its first node and one to its last, or to the last but one.
//!
//! The first node is a dummy: its value has been taken already, and the next node's is the one to take. A new node is appended by an
//! exchange of the last node's edge, from none; then the queue's edge to the last node is moved on, by whoever comes first. `push` takes
//! effect at the exchange, `pop` when it moves the edge to the first node on, or, finding none, when it loads the dummy's edge.
//!
//! What a collector makes simpler:
//!
//! - A node's edge changes once, from none to its successor, and no address is used twice while somebody looks at it. So there
//!   is nothing to check again after loading.
//! - The edge to the last node may fall behind even the first one. Elsewhere a `pop` must prevent that, as the node would be
//!   freed; here it just stays until the next `push` moves the edge on.
//!
//! What a collector could make worse:
//!
//! - An old node still leads to all newer ones. Nothing is kept alive by that, since old nodes are reachable from nowhere; reference
//!   counting, or a collector of generations with old nodes in an older one, would keep the whole past. But it would be a
//!   leak to give out handles to nodes, or to what lies in them: whoever keeps one would keep all values pushed since. So a value is an
//!   object of its own.
//! - The dummy would keep the value that was taken from it until the next `pop`. So the edge to the value is cleared.

use crate::heap::{Gc, GcCell, Guard, Local, Trace};

/// First in, first out, for any number of threads.
///
/// Works anywhere; is fastest in a `Gc`, where its edges are counted by nobody.
#[cfg_attr(not(graphgc_loom), derive(Trace))]
pub(crate) struct Queue<T: Trace> {
    /// The dummy.
    first: GcCell<Gc<Node<T>>>,
    last: GcCell<Gc<Node<T>>>,
}

#[cfg_attr(not(graphgc_loom), derive(Trace))]
struct Node<T: Trace> {
    /// None once it has been taken.
    value: GcCell<Option<Gc<T>>>,
    next: GcCell<Option<Gc<Node<T>>>>,
}

impl<T: Trace> Node<T> {
    fn new() -> Self {
        Node { value: GcCell::new(None), next: GcCell::new(None) }
    }
}

impl<T: Trace> Queue<T> {
    pub(crate) fn new() -> Self {
        let dummy = Gc::new(Node::new());
        Queue { first: GcCell::new(dummy.clone()), last: GcCell::new(dummy) }
    }

    pub(crate) fn push(&self, value: T, guard: &Guard) {
        let node = guard.alloc(Node::new());
        node.value.store(Some(guard.alloc(value)), guard);
        loop {
            let last = self.last.load(guard);
            match last.next.compare_exchange(None, Some(node), guard) {
                Ok(_) => return self.move_last(last, node, guard),
                Err(next) => next.into_iter().for_each(|next| self.move_last(last, next, guard)),
            }
        }
    }

    /// From `last` to the node behind it, unless somebody else has done so.
    fn move_last(&self, last: Local<'_, Node<T>>, next: Local<'_, Node<T>>, guard: &Guard) {
        let _ = self.last.compare_exchange(last, next, guard);
    }

    /// The value that was pushed first of those that are there. [`Local::to_gc`] keeps it, and no more than it.
    pub(crate) fn pop<'g>(&self, guard: &'g Guard) -> Option<Local<'g, T>> {
        let mut dummy = self.first.load(guard);
        loop {
            let next = dummy.next.load(guard)?;
            match self.first.compare_exchange(dummy, next, guard) {
                // Nobody else takes from this node.
                Ok(_) => return next.value.swap(None, guard),
                Err(now) => dummy = now,
            }
        }
    }
}
