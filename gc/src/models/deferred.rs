//! L2, L9: counts that threads defer, against S1, the root scan and other threads' handles.
//!
//! In models a table has one place, so that notes are in each other's way.

use super::{
    free, object as counted,
    tiny_heap::{cycle, ending_here, is_allocated, mutator, object},
    verify, verify_all_orders,
};
use crate::{
    Gc, GcCell,
    heap::header::Object,
    mutator::deferred::{Deferred, Due},
    sync::Mutation,
};
use loom::{sync::Arc, thread};

type Owner = Gc<GcCell<Option<Gc<u8>>>>;

/// An owner, and the object that its cell leads to, which has no entry: its birth's, were it still there, would speak for what is counted later.
fn owner() -> (Owner, Object) {
    ending_here(|| {
        let owner = Gc::new(GcCell::new(None));
        let leaf = Gc::new(1);
        let target = leaf.as_counted();
        owner.set(Some(leaf));
        (owner, target)
    })
}

/// What a thread has got out of a cell that is then emptied stays while it has the handle.
///
/// Breaks if what was noted before S1 is not counted then, or is counted and gets no entry: the scan does not find it, and the marker finds the cell
/// empty.
#[test]
fn got_and_kept_beside_a_cycle() {
    verify(2, &[Mutation::NotesStay, Mutation::NoteCountedWithoutEntry], || {
        let (owner, target) = owner();
        let user = mutator(move || {
            let kept = owner.get().unwrap();
            owner.set(None);
            kept
        });
        cycle();
        let kept = user.join().unwrap();
        assert!(object(&kept) == target && is_allocated(target));
    });
}

/// A handle that ends where it was noted leaves no count, whenever the table is emptied.
///
/// Breaks if who counts a note forgets it: it does so between the thread's look and its store, and the object stays for ever.
#[test]
fn ended_beside_a_cycle() {
    verify(2, &[Mutation::SettleForgets], || {
        let (owner, target) = owner();
        let user = mutator(move || {
            drop(owner.get());
            owner.set(None);
        });
        cycle();
        user.join().unwrap();
        cycle();
        assert!(!is_allocated(target));
    });
}

/// Nor does one whose note was counted as it ended, and whose place another note needs before the next cycle.
///
/// Breaks if what is due for a note is forgotten when another takes its place.
#[test]
fn ended_beside_a_cycle_and_displaced() {
    verify(2, &[Mutation::NoteForgetsDue], || {
        let ((owner, target), (other_owner, other)) = (owner(), owner());
        let user = mutator(move || {
            drop(owner.get());
            owner.set(None);
            let kept = other_owner.get().unwrap();
            other_owner.set(None);
            kept
        });
        cycle();
        let kept = user.join().unwrap();
        cycle();
        assert!(!is_allocated(target) && object(&kept) == other && is_allocated(other));
        ending_here(|| drop(kept));
        cycle();
        assert!(!is_allocated(other));
    });
}

/// A handle stays whose note is in the way of another.
///
/// Breaks if what is due for the first is forgotten: nothing keeps its object once the cell is empty.
#[test]
fn displaced_beside_a_cycle() {
    verify(2, &[Mutation::NoteForgetsDue], || {
        let ((owner, target), (other_owner, other)) = (owner(), owner());
        let user = mutator(move || {
            let kept = [owner.get().unwrap(), other_owner.get().unwrap()];
            owner.set(None);
            other_owner.set(None);
            kept
        });
        cycle();
        let kept = user.join().unwrap();
        assert!([&kept[0], &kept[1]].map(object) == [target, other] && is_allocated(target) && is_allocated(other));
    });
}

/// An object that is noted again as its former note ends beside a cycle has the one handle that is left.
///
/// Breaks if who counts the former note forgets it: the object stays for ever.
#[test]
fn noted_again_beside_a_cycle() {
    verify(2, &[Mutation::SettleForgets], || {
        let (owner, target) = owner();
        let user = mutator(move || {
            drop(owner.get());
            let kept = owner.get().unwrap();
            owner.set(None);
            drop(kept.clone());
            kept
        });
        cycle();
        let kept = user.join().unwrap();
        cycle();
        assert!(object(&kept) == target && is_allocated(target));
        ending_here(|| drop(kept));
        cycle();
        assert!(!is_allocated(target));
    });
}

/// The end of a note and its counting: either nothing is counted, and whoever finds that comes after all that was done through the handle; or the count goes
/// when the table is settled next, once.
///
/// Breaks if who counts the note forgets it, or if its end releases nothing.
#[test]
fn a_note_ends_as_it_is_counted() {
    verify_all_orders(3, &[Mutation::SettleForgets, Mutation::NoteEndIsRelaxed], || {
        let target = counted(0);
        let (table, payload) = (Arc::new(Deferred::new()), Arc::new(loom::cell::UnsafeCell::new(0)));
        assert_eq!(table.note(target), None);
        let user = thread::spawn({
            let (table, payload) = (table.clone(), payload.clone());
            move || {
                payload.with(|payload| {
                    // SAFETY: loom checks.
                    unsafe { *payload }
                });
                table.end(target)
            }
        });
        let settle = || {
            let mut due = None;
            table.settle(|one| assert_eq!(due.replace(one), None));
            due
        };
        let first = settle();
        if first.is_none() {
            payload.with_mut(|payload| {
                // SAFETY: loom checks.
                unsafe { *payload = 1 };
            });
        }
        assert!(user.join().unwrap());
        assert!(first.is_none_or(|due| due == Due::Up(target)));
        assert_eq!(settle(), first.map(|_| Due::Down(target)));
        assert_eq!(settle(), None);
        free(target);
    });
}

/// A place is of one handle after the other, to two objects, each of which has as many counts as handles whenever the table is settled.
///
/// Breaks if a note forgets what is owed where it comes, or who counts one keeps nothing of it.
#[test]
fn a_place_goes_round() {
    verify_all_orders(2, &[Mutation::NoteForgetsDue, Mutation::SettleForgets], || {
        let (first, second) = (counted(0), counted(0));
        let table = Deferred::new();
        let dues = std::cell::RefCell::new(Vec::new());
        let settled = || {
            table.settle(|due| dues.borrow_mut().push(due));
            dues.take()
        };
        let note = |target| dues.borrow_mut().extend(table.note(target));
        note(first);
        assert_eq!(settled(), [Due::Up(first)]);
        assert!(!table.end_claimed(first), "it is counted");
        // The count was for a handle that ends, the note for one to come; the place may be another's meanwhile.
        assert!(table.end(first) && !table.end(first));
        note(second);
        assert!(table.end_claimed(second));
        note(first);
        assert_eq!(settled(), []);
        assert!(table.end(first));
        note(second);
        assert_eq!(settled(), [Due::Up(second), Due::Down(first)]);
        // In the way, counted and uncounted.
        note(first);
        note(second);
        assert_eq!(settled(), [Due::Up(first), Due::Up(second)]);
        assert!(table.end(second));
        assert_eq!(settled(), [Due::Down(second)]);
        [first, second].into_iter().for_each(free);
    });
}

/// A handle that is moved into a cell beside a cycle has its object be known as shared, though the thread has counted a note about another that lay where this
/// one lies.
///
/// Breaks if the place of that note is taken for one of the new object's.
#[test]
fn claimed_where_a_noted_object_was() {
    verify(2, &[Mutation::ClaimEndsCountedNote], || {
        let (owner, target) = owner();
        let kept = owner.get().unwrap();
        owner.set(None);
        cycle();
        // Counted now. It ends elsewhere, and the next object has its slot.
        mutator(move || drop(kept)).join().unwrap();
        cycle();
        assert!(!is_allocated(target));
        let again = Gc::new(2);
        assert!(again.as_counted() == target, "this is not what the model is about");
        let other = again.clone();
        let parent = Gc::new(again);
        // SAFETY: two handles keep it.
        assert!(!unsafe { target.roots() }.is_unshared());
        ending_here(|| drop((parent, other)));
        cycle();
        assert!(!is_allocated(target));
        drop(owner);
    });
}

/// A handle that was noted on one thread and ends on another leaves no count either, and whoever still has one keeps the object.
///
/// Breaks if the note is not counted at S1: the other thread counts down what this one's note stood for, and the handle that is left counts for nothing.
#[test]
fn ended_on_another_thread() {
    verify_all_orders(2, &[Mutation::NotesStay], || {
        let (owner, target) = owner();
        let kept = owner.get().unwrap();
        let passed = kept.clone();
        let other = mutator(move || drop(passed));
        owner.set(None);
        cycle();
        assert!(is_allocated(target));
        other.join().unwrap();
        ending_here(|| drop((kept, owner)));
        cycle();
        assert!(!is_allocated(target));
    });
}

/// A clone of a noted handle outlives that handle beside a cycle.
///
/// Breaks if who counts up takes a count above 0 for a sign that there is an entry: S1 comes after the clone's count and before its entry, finds a count of 1 when it
/// adds the note's, and leaves the entry to the cloner, who makes it after the scan.
#[test]
fn cloned_beside_a_cycle() {
    verify_all_orders(2, &[Mutation::EntryOnlyFromZero], || {
        let (owner, target) = owner();
        let user = mutator(move || {
            let taken = owner.take().unwrap();
            Gc::clone(&taken)
        });
        cycle();
        let copy = user.join().unwrap();
        assert!(object(&copy) == target && is_allocated(target));
    });
}

/// A handle that was noted is there while another thread clones it, though a clone of its own thread's ends at its note.
///
/// Breaks if who counts up takes a count above 0 for a sign that there is an entry: the other thread's clone has been counted and has no entry yet; this thread's is the second and
/// leaves none; it ends by the note. So two counts stand for the handle and the other's clone, and no entry, until the other makes it, which is after the cycle.
#[test]
fn cloned_by_another_thread_beside_a_cycle() {
    verify_all_orders(3, &[Mutation::EntryOnlyFromZero], || {
        let (owner, target) = owner();
        let noted = std::sync::Arc::new(owner.take().unwrap());
        let other = mutator({
            let noted = noted.clone();
            move || Gc::clone(&noted)
        });
        drop(Gc::clone(&noted));
        cycle();
        assert!(is_allocated(target));
        let copy = other.join().unwrap();
        drop(noted);
        assert!(object(&copy) == target && is_allocated(target));
        ending_here(|| drop((copy, owner)));
    });
}

/// What is got out of an object that then loses its last handle survives.
///
/// Breaks if what is noted while marking is not shaded: S1; the handle is noted; the owner's handle goes before the scan looks at it, which finds no count.
#[test]
fn got_out_of_an_object_that_goes() {
    verify(2, &[Mutation::NoteWithoutShade], || {
        let (owner, target) = owner();
        let user = mutator(move || owner.get().unwrap());
        cycle();
        let kept = user.join().unwrap();
        assert!(object(&kept) == target && is_allocated(target));
    });
}
