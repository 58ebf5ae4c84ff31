//! L3: handles and `GcCell`s against a whole cycle: gate, root word, edge word, candidates, marker, S1, S2 and sweep together.
//!
//! Each asserts that what a handle leads to when all is done is still allocated. At most two preemptions: the shortest ways to lose an object that are
//! known need one or two.

use super::{
    tiny_heap::{cycle, ending_here, is_allocated, mutator, object},
    verify, verify_all_orders,
};
use crate::{Gc, GcCell, sync::Mutation};

type Leaf = Gc<u8>;
type Cell<T> = GcCell<Option<Gc<T>>>;

/// What is taken out of an object's cell while a cycle runs survives it, and is freed once it is dropped.
///
/// Breaks without a barrier: S1; the scan shades the owner; the edge is taken out and the handle is no entry's that S1 took; the marker finds
/// the cell empty.
#[test]
fn taken_out_beside_a_cycle() {
    verify(2, &[Mutation::TakeWithoutBarrier], || {
        let owner = ending_here(|| Gc::new(Cell::new(Some(Gc::new(1)))));
        let taker = mutator(move || owner.take().unwrap());
        cycle();
        let taken: Leaf = taker.join().unwrap();
        let leaf = object(&taken);
        assert!(is_allocated(leaf), "it has a handle");
        ending_here(|| drop(taken));
        cycle();
        assert!(!is_allocated(leaf), "it has none");
    });
}

/// What is cloned out of an object that then loses its last handle survives.
///
/// Breaks if what gets an entry is not shaded: S1 takes the entries; the clone is logged in a list that S1 has not taken; the
/// owner's handle goes, so that the scan does not shade the owner either.
#[test]
fn cloned_out_of_a_dying_object() {
    verify_all_orders(2, &[Mutation::RootWithoutShade], || {
        let owner = ending_here(|| Gc::new(Gc::new(1)));
        let cloner = mutator(move || Leaf::clone(&owner));
        cycle();
        let cloned = cloner.join().unwrap();
        assert!(is_allocated(object(&cloned)));
    });
}

/// A handle that is read from a cell while another thread empties it, leads to a live object.
///
/// Breaks if the word is read before the operation in which the target is counted: in between the edge is overwritten, and a cycle begins and
/// ends.
#[test]
fn got_beside_an_overwrite_and_a_cycle() {
    verify(1, &[Mutation::GetReadsOutside], || {
        let owner = ending_here(|| Gc::new(Cell::new(Some(Gc::new(1)))));
        let reader = mutator({
            let owner = owner.clone();
            move || owner.get()
        });
        let writer = mutator(move || owner.set(None));
        cycle();
        let got: Option<Leaf> = reader.join().unwrap();
        writer.join().unwrap();
        assert!(got.is_none_or(|got| is_allocated(object(&got))));
    });
}

/// A handle that moves into a cell of an object born during the cycle keeps its target alive.
///
/// Breaks if claiming does not shade: the owner is black from birth and never traced, and the scan finds the target's count at 0. Breaks, too, if the
/// owner is born white: its entry is younger than S1.
#[test]
fn moved_into_a_black_object() {
    verify(2, &[Mutation::ClaimWithoutShade, Mutation::AllocateWhite], || {
        let leaf: Leaf = ending_here(|| Gc::new(1));
        let target = object(&leaf);
        let mover = mutator(move || {
            let owner = Gc::new(Cell::new(None));
            owner.set(Some(leaf));
            owner
        });
        cycle();
        let owner = mover.join().unwrap();
        assert!(is_allocated(object(&owner)) && is_allocated(target));
    });
}

/// What hangs on an object that a barrier has shaded is marked before S2.
///
/// Breaks if S2 does not ask for the threads' grey buffers: the middle is taken out, and shaded into the taker's buffer, after the
/// worker has found the shared list empty.
#[test]
fn reached_from_a_threads_grey_buffer() {
    verify(2, &[Mutation::EndWithoutBuffers], || {
        let (owner, leaf) = ending_here(|| {
            let leaf: Leaf = Gc::new(1);
            let target = object(&leaf);
            let middle = Gc::new(Cell::new(Some(leaf)));
            (Gc::new(Cell::new(Some(middle))), target)
        });
        let taker = mutator(move || owner.take());
        cycle();
        let middle: Option<Gc<Cell<u8>>> = taker.join().unwrap();
        assert!(middle.is_some_and(|middle| is_allocated(object(&middle))) && is_allocated(leaf));
    });
}
