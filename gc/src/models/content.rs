//! L4: the content of a lock-type cell between a marker that gives it up, a writer that waits and a reader that clones.

use super::{
    tiny_heap::{ending_here, mutator, object},
    verify, verify_all_orders,
};
use crate::{
    Gc, GcCell, GcRwLock,
    cell::{
        edge_word::EdgeWord,
        lock::{Attempt, CellLock},
    },
    collector::mark::Marker,
    heap::header::Object,
    mutator::{
        candidates::Candidates,
        record::{WORLD, stop_the_world},
        root_lists::ROOTS,
    },
    sync::{AtomicUsize, Mutation, Ordering, global},
    trace::{
        Trace, Tracer,
        tracer::{Content, Pass, Visitor},
    },
};
use loom::thread;

type Cell<T> = GcRwLock<Meeting<T>>;

/// Content that the marker and the writer meet at.
///
/// Loom tries the orders of accesses that conflict with the *last* one of an atomic, so that a look at a word hides behind another thread's look. An access
/// of both threads to a word of its own, after the content and before the marker looks for a writer, makes it try that order, too.
struct Meeting<T>(T);

global! {
    static MEETING: AtomicUsize = AtomicUsize::new(0);
}

// SAFETY: the content is visited, and there is nothing else.
unsafe impl<T: Trace> Trace for Meeting<T> {
    type Info = T::Info;

    fn trace(&self, tracer: &mut Tracer<'_>) {
        self.0.trace(tracer);
        MEETING.fetch_add(1, Ordering::Relaxed);
        tracer.is_done();
    }

    unsafe fn drop_swept(&mut self) {}
}

/// Shows the lock of a cell, or the word of a cell of one edge.
struct Show<L, W>(L, W);

impl<L: FnMut(&CellLock), W: FnMut(&EdgeWord)> Visitor for Show<L, W> {
    fn handle(&mut self, _: Object) {}

    fn edge_cell(&mut self, word: &EdgeWord) {
        (self.1)(word);
    }

    fn lock_cell(&mut self, lock: &CellLock, _: &dyn Content) {
        (self.0)(lock);
    }

    fn next_element(&mut self) -> bool {
        false
    }
}

fn with_lock<T: Trace>(cell: &Cell<T>, f: impl FnMut(&CellLock)) {
    cell.trace(&mut Tracer::new(Pass::Visit(&mut Show(f, |_: &EdgeWord| {}))));
}

fn with_word<T: Trace>(cell: &T, f: impl FnMut(&EdgeWord)) {
    cell.trace(&mut Tracer::new(Pass::Visit(&mut Show(|_: &CellLock| {}, f))));
}

/// What a writer does until the cell is free of markers; it takes the lock for a moment if it can.
fn wait_as_a_writer(lock: &CellLock) {
    match lock.try_write_counted() {
        Attempt::Held => lock.end_write(),
        Attempt::MarkerInside => lock.wait_for_marker(),
        Attempt::Claimed | Attempt::Busy => {}
    }
}

/// Content that a marker leaves counted has an entry for each of its objects, though a reader may have counted a clone that it will take back: the marker need not
/// trace it, and may give it up again in the next cycle before it comes to that object.
///
/// Breaks if who counts up logs only from 0: the marker claims the handle; the entry that spoke for it is filtered and dropped, since its count
/// is 0; a reader clones the handle, 0 to 1, and has not taken that back yet; the marker gives up for a writer and counts back, 1 to 2.
#[test]
fn given_up_beside_a_clone() {
    verify(2, &[Mutation::EntryOnlyFromZero], || {
        let (owner, leaf) = ending_here(|| {
            let owner = Gc::new(Cell::new(Meeting(Gc::new(1u8))));
            // Fills the buffer, so that the leaf's entry comes alone and is not filtered.
            let _other = Gc::new(2u8);
            // Opened: the content is counted.
            let leaf = object(&owner.write().0);
            (owner, leaf)
        });
        // The entries that there are; a thread's buffer has the leaf's from here on.
        drop((ROOTS.take_log(), ROOTS.take_candidates()));
        let writing = thread::spawn({
            let owner = owner.clone();
            move || {
                let reader = owner.clone();
                MEETING.fetch_add(1, Ordering::Relaxed);
                let mut candidates = Candidates::new();
                candidates.push(leaf);
                // Fills the buffer, which is filtered when one more comes.
                candidates.push(object(&owner));
                candidates.push(object(&owner));
                candidates.flush();
                let reading = mutator(move || Gc::clone(&reader.read().0));
                with_lock(&owner, wait_as_a_writer);
                reading
            }
        });
        let mut marker = Marker::new(true);
        (*owner).trace(&mut Tracer::new(Pass::Mark(&mut marker)));
        marker.finish();
        let reading = writing.join().unwrap();
        let mut counted = false;
        with_lock(&owner, |lock| counted = !lock.is_claimed());
        // SAFETY: the owner holds it.
        let leaf = unsafe { leaf.roots() }.look();
        assert!(!counted || leaf.has_entry, "a root without an entry");
        drop(reading.join().unwrap());
    });
}

/// A cell in content that a marker leaves counted is counted, though a reader may have put another edge in.
///
/// Breaks if the marker does not say that it may set the cell back: it claims the cell; the reader finds it claimed; the marker gives up for a writer and counts
/// back what it finds; the reader stores plainly, and what it has put in is claimed.
#[test]
fn given_up_beside_a_store() {
    verify_all_orders(2, &[Mutation::RevocableClaimIsUntold], || {
        let (owner, second) = ending_here(|| {
            let owner = Gc::new(Cell::new(Meeting(GcCell::new(None::<Gc<u8>>))));
            // Opened: the content is counted.
            drop(owner.write());
            (owner, Gc::new(2u8))
        });
        stop_the_world();
        WORLD.change_phase(true);
        let writing = thread::spawn({
            let owner = owner.clone();
            move || {
                let reader = owner.clone();
                MEETING.fetch_add(1, Ordering::Relaxed);
                let reading = mutator(move || reader.read().0.set(Some(second)));
                with_lock(&owner, wait_as_a_writer);
                reading
            }
        });
        let mut marker = Marker::new(true);
        (*owner).trace(&mut Tracer::new(Pass::Mark(&mut marker)));
        marker.finish();
        writing.join().unwrap().join().unwrap();
        let mut is_claimed = false;
        with_lock(&owner, |lock| is_claimed = lock.is_claimed());
        let mut word_is_claimed = false;
        with_word(&owner.read().0, |word| word_is_claimed = !word.read().is_counted());
        assert_eq!(word_is_claimed, is_claimed, "C2");
    });
}

/// An object that was born into counted content stays for who reads its cell while the marker claims it.
///
/// Breaks if the word says that the edge is claimed before the object says that it is shared: the reader's handle is only noted; its end is that of a newborn's only handle, so that
/// the next object gets the slot that the edge leads to.
#[test]
fn read_beside_a_claim() {
    verify_all_orders(2, &[Mutation::ClaimSharesLate], || {
        let owner = ending_here(|| Gc::new(GcRwLock::new(GcCell::new(None::<Gc<u8>>))));
        stop_the_world();
        WORLD.change_phase(true);
        let user = thread::spawn({
            let owner = owner.clone();
            move || {
                ending_here(|| {
                    *owner.write() = GcCell::new(Some(Gc::new(1)));
                    drop(owner.read().get());
                    let next = Gc::new(2u8);
                    let edge = owner.read().get().unwrap();
                    assert!(*edge == 1 && !Gc::ptr_eq(&edge, &next), "the slot is used again");
                    drop((edge, owner));
                });
            }
        });
        let mut marker = Marker::new(true);
        (*owner).trace(&mut Tracer::new(Pass::Mark(&mut marker)));
        marker.finish();
        user.join().unwrap();
        ending_here(|| drop(owner));
    });
}
