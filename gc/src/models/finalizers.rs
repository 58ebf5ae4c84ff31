//! Finalizers against mutators and cycles: between S2 and the sweep, and while a finalizer runs.
//!
//! What is looked at is a plain object behind the finalizable one, since a finalizable one stays allocated until the dropper has had it.

use super::{
    tiny_heap::{cycle, ending_here, is_allocated, mutator, object},
    verify,
};
use crate::{
    Finalize, Gc, GcCell, Trace,
    collector::finalize::queue::FINALIZERS,
    heap::header::Object,
    sync::{Mutation, Mutex, global, lock},
};

global! {
    /// Where finalizers put what they save.
    static SAVED: Mutex<Option<Gc<u8>>> = Mutex::new(None);
}

/// Its finalizer saves what it holds.
#[derive(Trace)]
#[trace(finalize, crate = "crate")]
struct Last {
    leaf: GcCell<Option<Gc<u8>>>,
}

impl Finalize for Last {
    fn finalize(&self) {
        *lock(&SAVED) = self.leaf.take();
    }
}

/// An unreachable [`Last`]. Returns what it holds.
fn last() -> Object {
    ending_here(|| {
        let leaf = Gc::new(1);
        let target = object(&leaf);
        drop(Gc::new(Last { leaf: GcCell::new(Some(leaf)) }));
        target
    })
}

/// What a finalizer takes out of its object is still there when the cycle that queued the object is over, and nothing else lies where it does, though the
/// finalizer's thread sweeps its span itself to allocate.
///
/// Breaks if what the object reaches is not marked, or not before the finalizer runs: the finalizer empties the cell first, and the marker finds nothing
/// there.
#[test]
fn saved_out_of_an_object_that_goes() {
    verify(2, &[Mutation::KeepTheFinalizableAlone, Mutation::PublishBeforeMarking], || {
        let leaf = last();
        let finalizer = mutator(|| {
            FINALIZERS.take().run();
            (lock(&SAVED).take().unwrap(), Gc::new(2_u8))
        });
        cycle();
        let (saved, other) = finalizer.join().unwrap();
        assert_eq!(object(&saved), leaf);
        assert_ne!(object(&other), leaf);
        assert!(is_allocated(leaf) && is_allocated(object(&other)));
        assert_eq!((*saved, *other), (1, 2));
    });
}

/// Nobody's allocation takes the slots of what is kept for a finalizer.
///
/// Breaks if mutators sweep before the collector has marked it: S2; the allocating thread sweeps the leaf's span and frees the slot.
#[test]
fn kept_beside_an_allocation() {
    verify(2, &[Mutation::SweepEarly], || {
        let leaf = last();
        let allocator = mutator(|| Gc::new(2_u8));
        cycle();
        let other = allocator.join().unwrap();
        ending_here(|| FINALIZERS.take().run());
        let saved = lock(&SAVED).take().unwrap();
        assert_eq!(object(&saved), leaf);
        assert_ne!(object(&other), leaf);
        assert!(is_allocated(leaf) && *saved == 1);
    });
}

/// What is taken out of a queued object and copied, while the queue gives its handle up and the next cycle runs, stays; and the queued object stays until its finalizer is
/// done.
///
/// Breaks if the queue's handle is no entry: the next cycle does not know of it, and finds the object dead before its finalizer has run.
#[test]
fn saved_and_copied_beside_the_next_cycle() {
    verify(2, &[Mutation::QueueWithoutEntry], || {
        let leaf = last();
        cycle();
        let finalizer = mutator(|| {
            FINALIZERS.take().run();
            let saved = lock(&SAVED).take().unwrap();
            Gc::clone(&saved)
        });
        cycle();
        let copy = finalizer.join().unwrap();
        assert_eq!(object(&copy), leaf);
        assert!(is_allocated(leaf));
    });
}
