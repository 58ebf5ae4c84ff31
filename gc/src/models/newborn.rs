//! L2, L5: the end of a newborn's only handle by plain stores, against S1, the root scan, and ways to the object that nothing counts.

use super::{
    tiny_heap::{address, cycle, ending_here, is_allocated, mutator, object},
    verify,
};
use crate::{Gc, GcCell, Local, handle::pin, mutator::root_lists::ROOTS, sync::Mutation};
use loom::thread;

/// Whether each entry of the root log owns its object's bit.
fn entries_own_their_bits() -> bool {
    let mut all = true;
    // SAFETY: no entry outlives its object (R2).
    ROOTS.for_each(|object, logged| all &= !logged || unsafe { object.roots() }.in_log());
    all
}

/// A handle that is dropped beside a cycle leaves no entry in the root log whose bit is not set.
///
/// Breaks if the thread does not look for the entry in its own buffer: it reads that the object is a newborn; the scan, which has the entry since
/// S1, sets `in_log` and logs it; the thread's store loses the bit.
#[test]
fn dropped_beside_a_cycle() {
    verify(3, &[Mutation::EndedWithoutEntry], || {
        let handle = Gc::new(1u8);
        let collector = thread::spawn(cycle);
        drop(handle);
        collector.join().unwrap();
        assert!(entries_own_their_bits());
        ending_here(|| ());
    });
}

/// The same for a handle that moves into a new object, which keeps the target.
#[test]
fn claimed_beside_a_cycle() {
    verify(2, &[Mutation::EndedWithoutEntry], || {
        let maker = mutator(|| {
            let (left, right) = (Gc::new(1u8), Gc::new(2u8));
            Gc::new((left, right))
        });
        cycle();
        assert!(entries_own_their_bits());
        let owner = maker.join().unwrap();
        cycle();
        assert!(entries_own_their_bits());
        assert!(is_allocated(object(&owner.0)) && is_allocated(object(&owner.1)));
    });
}

/// An object to which a pin leads stays when its only handle goes, and its slot is not used again, beside a cycle, too.
///
/// Breaks if taking a `Local` does not end being unshared: the slot is taken back with the handle, and is the next object's.
#[test]
fn led_to_by_a_pin() {
    verify(2, &[Mutation::ShareForgotten], || {
        let user = mutator(|| {
            let handle = Gc::new(1u8);
            let guard = pin();
            let local = handle.local(&guard);
            drop(handle);
            let other = Gc::new(2u8);
            assert!(Local::as_ptr(local) != Gc::as_ptr(&other) && *local == 1);
            let kept = local.to_gc();
            drop(guard);
            (kept, other)
        });
        cycle();
        let (kept, other) = user.join().unwrap();
        assert!(is_allocated(object(&kept)) && is_allocated(object(&other)));
    });
}

/// A clone that another thread drops, and one that it puts into an object, are seen by whoever ends the last handle.
#[test]
fn shared_with_a_thread() {
    verify(2, &[], || {
        let owner = ending_here(|| Gc::new(GcCell::new(None::<Gc<u8>>)));
        let (other, target, next) = ending_here(|| {
            let handle = Gc::new(1u8);
            let target = address(&handle);
            let other = mutator({
                let (owner, clone) = (owner.clone(), handle.clone());
                move || owner.set(Some(clone))
            });
            drop(handle);
            (other, target, Gc::new(2u8))
        });
        other.join().unwrap();
        cycle();
        let edge = ending_here(|| owner.get()).unwrap();
        assert!(address(&edge) == target && is_allocated(object(&edge)) && is_allocated(object(&next)));
        assert_ne!(address(&next), target);
    });
}
