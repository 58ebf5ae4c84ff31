//! L5: sweeping against allocation from the same span. L8: a cache's refill and return.
//!
//! The objects are of a size of which a span has four.

use super::{
    tiny_heap::{cycle, ending_here, is_allocated, mutator, object},
    verify,
};
use crate::{Gc, heap::HEAP, sync::Mutation, trace::Trace};
use loom::thread;

/// Without anything to drop: swept inside operations.
type Plain = [u64; 12];
/// With memory to free: swept between operations.
type Frees = Vec<u8>;

fn assert_live<T: Trace + PartialEq + std::fmt::Debug>(objects: &[(&Gc<T>, T)]) {
    for (index, (handle, value)) in objects.iter().enumerate() {
        assert!(is_allocated(object(handle)), "object {index} has a handle");
        assert_eq!(***handle, *value);
        assert!(objects[..index].iter().all(|(other, _)| object(other) != object(handle)), "two objects in one slot");
    }
}

/// What is allocated while a span is marked and swept has a slot of its own and keeps it.
///
/// Breaks if a cache keeps its run beyond S1 or S2 (allocation from a span whose bitmaps change roles), if the unused tail stays marked (a slot
/// without an object lives), or if an unswept span is allocated from (its sweep frees the new object).
#[test]
fn allocation_beside_a_cycle() {
    verify(2, &[Mutation::UpdateKeepsCache, Mutation::TailStaysMarked, Mutation::RefillFromUnswept], || {
        let kept = ending_here(|| {
            let (kept, _dropped) = (Gc::<Plain>::new([1; 12]), Gc::<Plain>::new([2; 12]));
            kept
        });
        let collector = thread::spawn(cycle);
        // The first before S1 most of the time, without a preemption.
        let new = ending_here(|| {
            let first = Gc::<Plain>::new([3; 12]);
            (first, Gc::<Plain>::new([4; 12]))
        });
        collector.join().unwrap();
        assert_eq!(HEAP.account.used_objects(), 3, "a slot without an object");
        cycle();
        assert_live(&[(&kept, [1; 12]), (&new.0, [3; 12]), (&new.1, [4; 12])]);
    });
}

/// A cycle begins only after the sweeps of mutators have ended.
///
/// Breaks if the collector does not wait for them, or if one is counted after its span has left the list: the collector finds the list empty and nobody
/// sweeping, and the next cycle marks in the bitmap that the sweep clears.
#[test]
fn a_mutators_sweep_beside_the_next_cycle() {
    verify(2, &[Mutation::SweepWithoutWaiting, Mutation::SweepCountedLate], || {
        let kept = ending_here(|| {
            let (kept, _dropped) = (Gc::<Frees>::new(vec![1]), Gc::<Frees>::new(vec![2]));
            kept
        });
        let allocator = mutator(|| Gc::<Frees>::new(vec![3]));
        cycle();
        cycle();
        let new = allocator.join().unwrap();
        assert_live(&[(&kept, vec![1]), (&new, vec![3])]);
    });
}

/// A span that one thread returns with room in it and another takes never has two objects in one slot.
///
/// Breaks if the span is given back before the unused tail has been returned: it reads the bits, the
/// next owner takes the free slot behind, and its bit is written over.
#[test]
fn a_span_goes_from_cache_to_cache() {
    verify(2, &[Mutation::GiveBeforeTail], || {
        // Leaves a span with its third slot taken.
        let kept = ending_here(|| [0, 1, 2, 3].map(|n| Gc::<Plain>::new([n; 12])).into_iter().nth(2).unwrap());
        cycle();
        let first = mutator(|| Gc::<Plain>::new([1; 12]));
        let (second, third) = ending_here(|| (Gc::<Plain>::new([2; 12]), Gc::<Plain>::new([3; 12])));
        let first = first.join().unwrap();
        assert_live(&[(&kept, [2; 12]), (&first, [1; 12]), (&second, [2; 12]), (&third, [3; 12])]);
    });
}

/// A slot that a newborn leaves beside S1 and S2, and the next may get: every object has a slot of its own and keeps it.
///
/// Breaks if a slot is vacant still after a flush: what is born in it has no entry, since that has been handed over.
#[test]
fn vacant_beside_a_cycle() {
    verify(2, &[Mutation::VacantAfterTheRound], || {
        let user = mutator(|| {
            let first = Gc::<Plain>::new([1; 12]);
            let second = Gc::<Plain>::new([2; 12]);
            let dropped = first.as_counted();
            drop(first);
            (dropped, second, Gc::<Plain>::new([3; 12]))
        });
        cycle();
        let (dropped, second, third) = user.join().unwrap();
        // The slot may be the third's now, or free; or it waits for the next cycle.
        let waits = dropped != third.as_counted() && is_allocated(dropped);
        assert_eq!(HEAP.account.used_objects(), 2 + usize::from(waits), "a slot without an object");
        cycle();
        assert_live(&[(&second, [2; 12]), (&third, [3; 12])]);
    });
}
