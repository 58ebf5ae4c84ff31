//! An attacker with safe code only. Each test says what the attacker hopes for; none of it may come true. Every attack runs on a quiet heap and again
//! while another thread collects without end, and ends with a check of all canaries, of the drops of everything that it
//! made, and of the heap itself (`graphgc_tests::sound`).

mod bytes;
mod drops;
mod finalizers;
mod leaks;
mod limits;
mod locals;
mod pins;
mod reenter;
mod refused;
mod shapes;
mod skips;
mod smuggle;
mod threads;
mod weak;

use graphgc::{Gc, GcCell, GcMutex, GcRefCell, GcRwLock, Trace};
use graphgc_tests::{
    payload::Leaf,
    sound::{Prey, assert_alive},
};

/// An object to be lost, kept or smuggled. Shared between threads.
#[derive(Trace)]
struct Node {
    leaf: Leaf,
    edge: GcCell<Option<Gc<Node>>>,
    list: GcRwLock<Vec<Gc<Node>>>,
}

fn node(prey: &Prey) -> Gc<Node> {
    node_with(prey.leaf())
}

fn node_with(leaf: Leaf) -> Gc<Node> {
    Gc::new(Node { leaf, edge: GcCell::new(None), list: GcRwLock::new(Vec::new()) })
}

/// A node that nothing but a cycle keeps alive behind the handle that is returned.
fn ring(prey: &Prey) -> Gc<Node> {
    let (one, other) = (node(prey), node(prey));
    one.edge.set(Some(other.clone()));
    other.list.write().push(one.clone());
    one
}

/// Fails unless the node is alive and all that hangs on it directly is.
#[track_caller]
fn check(node: &Gc<Node>) {
    assert_alive(&node.leaf);
    if let Some(next) = node.edge.get() {
        assert_alive(&next.leaf);
    }
    for next in node.list.read().iter() {
        assert_alive(&next.leaf);
    }
}

#[track_caller]
fn check_all<'a>(nodes: impl IntoIterator<Item = &'a Gc<Node>>) {
    for node in nodes {
        check(node);
    }
}

/// An object around any content.
#[derive(Trace)]
struct Holder<T> {
    leaf: Leaf,
    cell: GcRefCell<T>,
}

fn holder<T: Trace>(prey: &Prey, content: T) -> Gc<Holder<T>> {
    Gc::new(Holder { leaf: prey.leaf(), cell: GcRefCell::new(content) })
}

/// The lock-type cells, so that one attack serves all.
trait Opens: Trace {
    fn around(content: Vec<Gc<Node>>) -> Self;
    fn open<R>(&self, body: impl FnOnce(&mut Vec<Gc<Node>>) -> R) -> R;
}

macro_rules! opens {
    ($($cell:ident by $open:ident),*) => { $(
        impl Opens for $cell<Vec<Gc<Node>>> {
            fn around(content: Vec<Gc<Node>>) -> Self {
                $cell::new(content)
            }

            fn open<R>(&self, body: impl FnOnce(&mut Vec<Gc<Node>>) -> R) -> R {
                body(&mut self.$open())
            }
        }
    )* };
}

opens!(GcRefCell by borrow_mut, GcMutex by lock, GcRwLock by write);
