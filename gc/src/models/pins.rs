//! L7: pins against R, S2 and reclamation.
//!
//! What is loaded is counted at the end, under the pin still, and must be allocated when the cycle is over.

use super::{
    tiny_heap::{cycle, ending_here, is_allocated, mutator, object},
    verify,
};
use crate::{Gc, GcCell, pin, sync::Mutation};

type Cell<T> = GcCell<Option<Gc<T>>>;

/// What a pin that is held at R has loaded is not freed before the pin is gone.
///
/// Breaks if S2 does not wait for pins, or for those held at S1 only: S1; a pin is taken, loads from an object, and the object's last
/// handle is dropped; its entry is processed and marks nothing; S2, sweep.
#[test]
fn loaded_before_the_entry_is_processed() {
    verify(2, &[Mutation::PinsHeldAtS1, Mutation::EndWithoutPins], || {
        let owner = ending_here(|| Gc::new(Cell::new(Some(Gc::new(1)))));
        let reader = mutator(move || {
            let guard = pin();
            let loaded = owner.load(&guard).unwrap();
            drop(owner);
            let handle = loaded.to_gc();
            drop(guard);
            handle
        });
        cycle();
        let handle = reader.join().unwrap();
        assert!(is_allocated(object(&handle)));
    });
}

/// What a pin younger than R loads through an object that has been taken out and dropped again is marked by this cycle.
///
/// Breaks if taking out does not shade: R; the object is taken out, the pin taken, the edge loaded, the object's handle dropped; the
/// marker finds the outer cell empty, and S2 does not wait for the pin.
#[test]
fn loaded_through_an_object_taken_out_after_r() {
    verify(2, &[Mutation::TakeWithoutBarrier], || {
        let owner = ending_here(|| Gc::new(Cell::new(Some(Gc::new(Cell::new(Some(Gc::new(1))))))));
        let reader = mutator(move || {
            let middle: Gc<Cell<u8>> = owner.take().unwrap();
            let guard = pin();
            let loaded = middle.load(&guard).unwrap();
            drop((middle, owner));
            let handle = loaded.to_gc();
            drop(guard);
            handle
        });
        cycle();
        let handle = reader.join().unwrap();
        assert!(is_allocated(object(&handle)));
    });
}

/// What a pin younger than R has loaded is marked although its edge is overwritten then.
///
/// Breaks if overwriting does not shade: R; pin, load, overwrite; the marker finds the cell empty, and S2 does not wait for the pin.
#[test]
fn loaded_and_overwritten_after_r() {
    verify(2, &[Mutation::SetWithoutShade], || {
        let owner = ending_here(|| Gc::new(Cell::new(Some(Gc::new(1)))));
        let reader = mutator(move || {
            let guard = pin();
            let loaded = owner.load(&guard).unwrap();
            owner.set(None);
            let handle = loaded.to_gc();
            drop(guard);
            handle
        });
        cycle();
        let handle = reader.join().unwrap();
        assert!(is_allocated(object(&handle)));
    });
}

/// The same if the edge is overwritten under the pin.
///
/// Breaks if a pinned change does not shade what was there: as above.
#[test]
fn loaded_and_overwritten_under_the_pin_after_r() {
    verify(2, &[Mutation::PinnedChangeForgetsOld], || {
        let owner = ending_here(|| Gc::new(Cell::new(Some(Gc::new(1)))));
        let reader = mutator(move || {
            let guard = pin();
            let loaded = owner.load(&guard).unwrap();
            owner.store(None, &guard);
            let handle = loaded.to_gc();
            drop(guard);
            handle
        });
        cycle();
        let handle = reader.join().unwrap();
        assert!(is_allocated(object(&handle)));
    });
}

/// What only a pin has held since before S1 may be stored at any time.
///
/// Breaks if a pinned store does not shade what it stores: the object is made under the pin; S1; the marker passes the owner; the object is
/// stored there, and the pin ends; S2, sweep.
#[test]
fn made_before_s1_and_stored_in_a_passed_object() {
    verify(2, &[Mutation::PinnedStoreForgetsNew], || {
        let owner = ending_here(|| Gc::new(Cell::<u8>::new(None)));
        let writer = mutator(move || {
            let guard = pin();
            let made = guard.alloc(1);
            owner.store(Some(made), &guard);
            drop(guard);
            owner
        });
        cycle();
        let owner = writer.join().unwrap();
        assert!(is_allocated(object(&ending_here(|| owner.get().unwrap()))));
    });
}
