//! A small graph with a cycle and with an edge of each kind.

use crate::payload::{Leaf, new_id};
use graphgc::{Gc, GcCell, GcMutex, Trace};

/// A node whose end is counted.
#[derive(Trace)]
pub struct Node {
    /// Knows whether the node is alive.
    pub leaf: Leaf,
    /// An edge without a lock.
    pub next: GcCell<Option<Gc<Node>>>,
    /// Edges behind a lock.
    pub more: GcMutex<Vec<Gc<Node>>>,
    /// An edge that the collector does not follow.
    #[trace(skip)]
    pub skipped: Option<Gc<Node>>,
}

/// A node that leads to `next`.
pub fn node(next: Option<Gc<Node>>) -> Gc<Node> {
    Gc::new(Node { leaf: Leaf::new(new_id()), next: next.into(), more: vec![].into(), skipped: None })
}

/// Two nodes that lead to each other, and a third behind the second's lock; and the ids of the three.
pub fn knot() -> (Gc<Node>, [u32; 3]) {
    let (one, three) = (node(None), node(None));
    let two = node(Some(one.clone()));
    one.next.set(Some(two.clone()));
    two.more.lock().push(three.clone());
    let ids = [one.leaf.check(), two.leaf.check(), three.leaf.check()];
    (one, ids)
}
