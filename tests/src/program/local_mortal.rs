//! Objects that their own threads finalize, when they ask for that. They lead to objects of any type, and some save what they hold.
//!
//! What a finalizer meets, and what it has saved, must be whole. Each object is to be finalized exactly once, by its own thread and before it is dropped; but if that
//! thread has ended, not at all, and then it is counted.

use super::node::{Any, EdgeCell, Family, Node, Plain, View, has_leaf};
use crate::payload::{Leaf, drops_of};
use graphgc::{Gc, LocalFinalize, Trace, run_finalizers, stats};
use std::{
    cell::{Cell, RefCell},
    sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst},
    thread::{self, ThreadId},
};

/// Has a finalizer that its own thread runs.
#[derive(Trace)]
#[trace(bound = "F: Family", local_finalize)]
pub struct LocalMortal<F: Family> {
    leaf: Leaf,
    pub(super) next: EdgeCell<LocalMortal<F>>,
    pub(super) other: EdgeCell<Plain<F>>,
    rites: Rites,
}

/// How often the object has been finalized, looked at when it is dropped, and by whom it is to be.
#[derive(Trace)]
#[trace(leaf)]
struct Rites {
    times: AtomicU32,
    home: ThreadId,
}

/// Objects that were finalized twice, or by another thread, or found what they lead to not whole.
static WRONG: AtomicU64 = AtomicU64::new(0);
/// Objects that were dropped without having been finalized.
static UNFINALIZED: AtomicU64 = AtomicU64::new(0);

impl Drop for Rites {
    fn drop(&mut self) {
        match *self.times.get_mut() {
            0 => _ = UNFINALIZED.fetch_add(1, SeqCst),
            1 => {}
            _ => _ = WRONG.fetch_add(1, SeqCst),
        }
    }
}

/// Finalizers do not let panics out: this notes them.
struct NotesPanics;

impl Drop for NotesPanics {
    fn drop(&mut self) {
        if thread::panicking() {
            WRONG.fetch_add(1, SeqCst);
        }
    }
}

/// Objects that a finalizer has saved.
trait Saved {
    /// They are whole, with what they lead to.
    fn assert_whole(&self);
}

impl<F: Family> Saved for Any<F> {
    fn assert_whole(&self) {
        check(self.view());
        check_neighbours(self.view());
    }
}

thread_local! {
    static SAVED: RefCell<Vec<Box<dyn Saved>>> = const { RefCell::new(Vec::new()) };
    static RUN: Cell<usize> = const { Cell::new(0) };
}

#[track_caller]
fn check<F: Family>(view: View<'_, F>) {
    let id = view.check();
    assert!(!has_leaf(view.kind()) || drops_of(id) == 0, "object {id} has been dropped");
}

fn check_neighbours<F: Family>(view: View<'_, F>) {
    // What cannot be read others are changing, or it is behind a guard.
    for content in (0..view.places()).filter_map(|place| view.read(place)) {
        content.iter().for_each(|neighbour| check(neighbour.view()));
    }
}

impl<F: Family> LocalMortal<F> {
    /// A value with these edges, of this thread.
    pub(super) fn new(id: u32, next: Option<Gc<Self>>, other: Option<Gc<Plain<F>>>) -> Self {
        let rites = Rites { times: AtomicU32::new(0), home: thread::current().id() };
        LocalMortal { leaf: Leaf::new(id), next: next.into(), other: other.into(), rites }
    }

    /// The id, if the object is whole.
    #[track_caller]
    pub(super) fn check(&self) -> u32 {
        let id = self.leaf.check();
        assert_eq!(drops_of(id), 0, "object {id} has been dropped");
        id
    }
}

impl<F: Family> LocalFinalize for LocalMortal<F> {
    fn finalize(&self) {
        let _notes = NotesPanics;
        RUN.set(RUN.get() + 1);
        let id = self.check();
        if self.rites.times.fetch_add(1, SeqCst) > 0 || self.rites.home != thread::current().id() {
            WRONG.fetch_add(1, SeqCst);
        }
        check_neighbours(self.view());
        // An edge may lead to the object itself.
        let saved = match id % 4 {
            0 => self.next.get().map(Any::LocalMortal),
            1 => self.other.take().map(Any::Plain),
            _ => None,
        };
        if let Some(saved) = saved {
            saved.assert_whole();
            SAVED.with_borrow_mut(|all| all.push(Box::new(saved)));
        }
    }
}

/// Runs the finalizers that wait for this thread. Whether there were any.
pub(super) fn finalize_here() -> bool {
    let before = RUN.get();
    let run = run_finalizers();
    assert_eq!(RUN.get() - before, run, "finalizers that were run");
    run > 0
}

/// Looks at what this thread's finalizers have saved, and lets go of it. Whether there was anything.
pub(super) fn let_the_saved_go() -> bool {
    let saved = SAVED.take();
    saved.iter().for_each(|object| object.assert_whole());
    !saved.is_empty()
}

/// No object has been finalized twice, or by another thread, or not whole in its finalizer; those that were dropped without are the ones that are counted as such.
#[track_caller]
pub(super) fn assert_finalized_once() {
    assert_eq!(WRONG.load(SeqCst), 0, "objects finalized twice, elsewhere, or not whole when finalized");
    assert_eq!(UNFINALIZED.load(SeqCst), stats().unfinalized, "objects dropped unfinalized, and counted as such");
}

/// All objects that were dropped have been finalized: their only thread goes on.
#[track_caller]
pub(super) fn assert_all_finalized() {
    assert_finalized_once();
    assert_eq!(UNFINALIZED.load(SeqCst), 0, "objects dropped unfinalized though their thread is there");
}
