//! L2, L5: the end of a newborn's only handle by plain stores, against S1, the root scan, and ways to the object that nothing counts.

use super::{
    tiny_heap::{address, cycle, ending_here, is_allocated, mutator, object},
    verify, verify_all_orders,
};
use crate::{
    Gc, GcCell, Local,
    handle::pin,
    heap::{blocks::CAPACITY, header::RootWord},
    mutator::{candidates::NEWBORNS, root_lists::ROOTS},
    sync::Mutation,
};
use loom::{
    cell::UnsafeCell,
    sync::{Arc, mpsc::channel},
    thread,
};

/// Whether each entry of the root log owns its object's bit.
fn entries_own_their_bits() -> bool {
    let mut all = true;
    // SAFETY: no entry outlives its object (R2).
    ROOTS.for_each(|object, logged| all &= !logged || unsafe { object.roots() }.in_log());
    all
}

/// A handle that is dropped beside a cycle leaves no entry in the root log whose bit is not set.
///
/// Breaks if the thread does not ask whether the entry is in its own buffer, or believes that it is because the slot was bought in a round that S1 has ended: it reads that
/// the object is a newborn; the scan, which has the entry since S1, sets `in_log` and logs it; the thread's store loses the bit.
#[test]
fn dropped_beside_a_cycle() {
    verify(3, &[Mutation::EndedWithoutEntry, Mutation::RoundGoesOn], || {
        let handle = Gc::new(1u8);
        let collector = thread::spawn(cycle);
        drop(handle);
        collector.join().unwrap();
        assert!(entries_own_their_bits());
        ending_here(|| ());
    });
}

/// The same for a handle that another thread has made.
///
/// Breaks if a thread takes what another has bought for its own.
#[test]
fn dropped_by_another_thread_beside_a_cycle() {
    verify(2, &[Mutation::BoughtInAnyRound], || {
        let (handle, own) = ending_here(|| (Gc::new(1u8), Gc::new([1u64; 12])));
        let user = mutator(move || {
            // Has a round of its own.
            let second = Gc::new([2u64; 12]);
            drop(handle);
            (own, second)
        });
        cycle();
        let kept = user.join().unwrap();
        assert!(entries_own_their_bits());
        cycle();
        assert!(is_allocated(object(&kept.0)) && is_allocated(object(&kept.1)));
    });
}

/// The same for a handle that moves into a new object, which keeps the target.
///
/// Breaks as above, with the claim in the place of the drop.
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

/// What is born when there have been so many newborns that their entries were given up is a root, wherever it lies.
///
/// Breaks if a slot is vacant still though its entry has gone: what is born in it has none.
#[test]
fn born_after_too_many() {
    verify(1, &[Mutation::VacantWithoutEntry], || {
        let mut held: Vec<_> = (0..NEWBORNS as u8).map(Gc::new).collect();
        // Those of the last block.
        held.truncate(NEWBORNS - CAPACITY);
        // In slots of another size.
        let other = Gc::new([1u64; 12]);
        let born = Gc::new(0u8);
        cycle();
        assert!(held.iter().chain([&born]).all(|it| is_allocated(object(it))) && is_allocated(object(&other)));
        ending_here(|| drop((held, other, born)));
    });
}

/// The same for what is born in the place of one of those newborns.
///
/// Breaks if their round goes on: the slot becomes vacant, and then its entry goes with the others that were given up.
#[test]
fn born_in_the_place_of_one_of_too_many() {
    verify(1, &[Mutation::RoundOutlivesEntries], || {
        let mut held: Vec<_> = (0..NEWBORNS as u8).map(Gc::new).collect();
        held.truncate(NEWBORNS - CAPACITY);
        let mut others = vec![Gc::new([1u64; 12])];
        // Of the block that is filtered when another one is full. (The oldest was looked at before.)
        held.remove(CAPACITY);
        others.extend((0..3 * CAPACITY as u64).map(|n| Gc::new([n; 12])));
        let born = Gc::new(0u8);
        cycle();
        assert!(held.iter().chain([&born]).all(|it| is_allocated(object(it))));
        assert!(others.iter().all(|it| is_allocated(object(it))));
        ending_here(|| drop((held, others, born)));
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

/// What another thread did through its handle happens before the thread with the last handle ends that, and uses the slot again.
///
/// Breaks if the look at the word acquires nothing: the other's reads may come after what is written into the slot.
#[test]
fn read_through_a_clone_before_the_end() {
    verify_all_orders(3, &[Mutation::NewbornIsRelaxed, Mutation::DownIsRelaxed], || {
        let word = Arc::new(RootWord::newborn());
        let content = Arc::new(UnsafeCell::new(1u8));
        word.up();
        let other = thread::spawn({
            let (word, content) = (word.clone(), content.clone());
            move || {
                // SAFETY: nobody writes while there are two handles.
                content.with(|content| assert_eq!(unsafe { *content }, 1));
                word.down();
            }
        });
        if word.is_newborn() {
            word.end_newborn();
            // SAFETY: the only handle is ours.
            content.with_mut(|content| unsafe { *content = 2 });
        }
        other.join().unwrap();
    });
}

/// A clone that another thread puts into an object is seen by whoever ends the last handle.
///
/// Breaks if the target is unshared still once the clone is an edge: the count is 1 again; the last handle takes the slot back, though the edge leads
/// there. No one line does that: `ShareForgotten` and `ClaimedStaysUnshared` make good for each other, and have models where they cannot.
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

/// A weak handle that another thread makes of its clone leads to that object or nowhere.
///
/// Breaks if making it does not end being unshared: the clone goes; the last handle takes the slot back, and the weak handle leads to the next object
/// there.
#[test]
fn made_weak_by_a_thread() {
    verify_all_orders(2, &[Mutation::ShareForgotten], || {
        let (other, target, next) = ending_here(|| {
            let handle = Gc::new(1u8);
            let target = address(&handle);
            let other = mutator({
                let clone = handle.clone();
                move || Gc::downgrade(&clone)
            });
            drop(handle);
            (other, target, Gc::new(2u8))
        });
        let weak = other.join().unwrap();
        if let Some(upgraded) = ending_here(|| weak.upgrade()) {
            assert!(address(&upgraded) == target && *upgraded == 1 && address(&next) != target);
        }
        assert_eq!(*next, 2);
    });
}

/// An object that moves into a cell while it is unshared stays, whoever reads the cell meanwhile and drops what he gets.
///
/// Breaks if the object is unshared still once its handle has been claimed: who reads the cell takes his handle for the only way to the object, whose
/// slot is the next object's when that handle goes.
#[test]
fn set_unshared_beside_a_reader() {
    verify_all_orders(2, &[Mutation::ClaimedStaysUnshared], || {
        let cell = ending_here(|| Gc::new(GcCell::new(None::<Gc<u8>>)));
        let (other, target, next) = ending_here(|| {
            let handle = Gc::new(1u8);
            let target = address(&handle);
            let clone = handle.clone();
            let other = mutator({
                let cell = cell.clone();
                move || cell.set(Some(clone))
            });
            drop(handle);
            // One of them is noted, the other counted.
            drop((cell.get(), cell.get()));
            (other, target, Gc::new(2u8))
        });
        other.join().unwrap();
        let edge = ending_here(|| cell.get()).unwrap();
        assert!(address(&edge) == target && address(&next) != target);
    });
}

/// An object that was born into a counted cell stays for who reads the cell, though another takes it out and drops it.
///
/// Breaks if the object is unshared still: its maker ends the handle that he took out as a newborn's, and the slot is the next object's, while the reader
/// has loaded the word and not noted his handle yet, or has noted it.
#[test]
fn taken_out_of_a_counted_cell_beside_a_reader() {
    verify_all_orders(2, &[Mutation::CountedEdgeStaysUnshared], || {
        let (reader, next) = ending_here(|| {
            let cell = std::sync::Arc::new(GcCell::new(Some(Gc::new(1u8))));
            let reader = mutator({
                let cell = cell.clone();
                move || cell.get()
            });
            drop(cell.take());
            (reader, Gc::new(2u8))
        });
        if let Some(got) = reader.join().unwrap() {
            assert!(*got == 1 && address(&got) != address(&next));
            ending_here(|| drop(got));
        }
        assert_eq!(*next, 2);
        ending_here(|| drop(next));
    });
}

/// An object that moves into a cell while it is unshared stays, whoever reads the cell meanwhile and gives what he gets back to the thread that made it.
///
/// Breaks if the edge is there before the handle that became it has been claimed: the reader's handle is only noted, so that the count says 1 and
/// *unshared*. The maker, who still has the entry of the birth, takes the reader's handle for the only way to the object, whose slot is the next object's when that handle goes.
#[test]
fn set_unshared_beside_a_reader_who_passes_it_on() {
    verify(2, &[Mutation::SetClaimsLate], || {
        let cell = ending_here(|| Gc::new(GcCell::new(None::<Gc<u8>>)));
        let (setter, target, next) = ending_here(|| {
            let handle = Gc::new(1u8);
            let target = address(&handle);
            let setter = mutator({
                let cell = cell.clone();
                move || cell.set(Some(handle))
            });
            let ((sender, got), (goes_on, waits)) = (channel(), channel());
            let reader = mutator({
                let cell = cell.clone();
                move || {
                    sender.send(cell.get()).unwrap();
                    // Its record, and what it has noted, stays its own until then.
                    waits.recv().unwrap()
                }
            });
            drop(got.recv().unwrap());
            let next = Gc::new(2u8);
            goes_on.send(()).unwrap();
            reader.join().unwrap();
            (setter, target, next)
        });
        setter.join().unwrap();
        let edge = ending_here(|| cell.get()).unwrap();
        assert!(address(&edge) == target && address(&next) != target && *edge == 1);
    });
}

/// A newborn that moves into a cell beside a cycle is kept by it, and leaves no entry in the root log whose bit is not set.
///
/// Breaks if a handle's end by a plain store came beside the scan. No one line does that: outside marking, in an operation, there is none.
#[test]
fn set_beside_a_cycle() {
    verify(2, &[], || {
        let maker = mutator(|| {
            let owner = Gc::new(GcCell::new(None::<Gc<u8>>));
            owner.set(Some(Gc::new(1)));
            owner.set(Some(Gc::new(2)));
            owner
        });
        cycle();
        assert!(entries_own_their_bits());
        let owner = maker.join().unwrap();
        cycle();
        assert!(entries_own_their_bits());
        assert!(is_allocated(object(&ending_here(|| owner.get().unwrap()))));
    });
}

/// A clone that another thread moves into a new object keeps the target when the last handle goes.
///
/// Breaks if the target is unshared still once that clone has been claimed: the slot is taken back with the last handle, and is the next object's.
#[test]
fn claimed_by_a_thread() {
    verify_all_orders(2, &[Mutation::ClaimedStaysUnshared], || {
        let (other, target, next) = ending_here(|| {
            let handle = Gc::new(1u8);
            let target = address(&handle);
            let other = mutator({
                let clone = handle.clone();
                move || Gc::new((clone, 3u8))
            });
            drop(handle);
            (other, target, Gc::new(2u8))
        });
        let owner = other.join().unwrap();
        assert!(address(&owner.0) == target && address(&next) != target);
    });
}
