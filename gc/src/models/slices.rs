//! Releasing content in slices against the end of a cycle.

use super::{
    tiny_heap::{cycle, ending_here, is_allocated, mutator, object},
    verify,
};
use crate::{
    Gc, GcRwLock,
    sync::Mutation,
    trace::{Trace, Tracer, tracer::SLICE},
};

/// Content of more than a slice, with its handle in the last.
struct Long(Gc<u8>);

// SAFETY: the handle is visited, and there is nothing else.
unsafe impl Trace for Long {
    type Info = <Gc<u8> as Trace>::Info;

    fn trace(&self, tracer: &mut Tracer<'_>) {
        if !(0..SLICE).any(|_| tracer.is_done()) {
            self.0.trace(tracer);
        }
    }

    unsafe fn drop_swept(&mut self) {}
}

/// What is in a cell survives the cycle in which a writer opens the cell.
///
/// Breaks if S2 does not ask whether a cell is being released: the writer wins the lock; the marker passes by what is write-held, and all else is marked; the writer's first
/// slice ends; S2 takes place with the rest of the content neither counted nor shaded.
#[test]
fn released_in_slices_beside_a_cycle() {
    verify(2, &[Mutation::EndWhileReleasing], || {
        let (owner, leaf) = ending_here(|| {
            let leaf = Gc::new(1);
            let target = object(&leaf);
            (Gc::new(GcRwLock::new(Long(leaf))), target)
        });
        let writer = mutator({
            let owner = owner.clone();
            move || drop(owner.write())
        });
        cycle();
        writer.join().unwrap();
        assert!(is_allocated(leaf));
        let there = ending_here(|| object(&owner.read().0));
        assert_eq!(there, leaf);
    });
}
