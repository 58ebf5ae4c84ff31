//! Objects with finalizers, some of which save what they hold.
//!
//! They hold only each other, so that their type is `Sync` in both families. What a finalizer meets, and what has been saved until the next settling, must be whole. Each object is to be
//! finalized exactly once, and before it is dropped.

use super::node::{EdgeCell, Family};
use crate::payload::{Leaf, drops_of};
use graphgc::{Finalize, Gc, Trace};
use std::{
    marker::PhantomData,
    mem,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering::SeqCst},
    },
    thread,
};

/// Has a finalizer.
#[derive(Trace)]
#[trace(bound = "F: Family", finalize)]
pub struct Mortal<F: Family> {
    leaf: Leaf,
    pub(super) next: EdgeCell<Mortal<F>>,
    pub(super) other: EdgeCell<Mortal<F>>,
    rites: Rites,
    #[trace(leaf)]
    family: PhantomData<fn() -> F>,
}

/// How often the object has been finalized; looked at when it is dropped.
#[derive(Trace)]
#[trace(leaf)]
struct Rites(AtomicU32);

/// Objects that were finalized twice, or dropped without, or found what they hold not whole.
static WRONG: AtomicU64 = AtomicU64::new(0);

impl Drop for Rites {
    fn drop(&mut self) {
        if *self.0.get_mut() != 1 {
            WRONG.fetch_add(1, SeqCst);
        }
    }
}

/// The collector contains the panics of finalizers: this notes them.
struct NotesPanics;

impl Drop for NotesPanics {
    fn drop(&mut self) {
        if thread::panicking() {
            WRONG.fetch_add(1, SeqCst);
        }
    }
}

/// An object that a finalizer has saved.
trait Saved: Send {
    /// It is whole, with what it holds.
    fn assert_whole(&self);
}

impl<F: Family> Saved for Gc<Mortal<F>> {
    fn assert_whole(&self) {
        self.check();
        self.check_neighbours();
    }
}

static SAVED: Mutex<Vec<Box<dyn Saved>>> = Mutex::new(Vec::new());

impl<F: Family> Mortal<F> {
    /// A value with these edges.
    pub(super) fn new(id: u32, next: Option<Gc<Self>>, other: Option<Gc<Self>>) -> Self {
        let rites = Rites(AtomicU32::new(0));
        Mortal { leaf: Leaf::new(id), next: next.into(), other: other.into(), rites, family: PhantomData }
    }

    /// The id, if the object is whole.
    #[track_caller]
    pub(super) fn check(&self) -> u32 {
        let id = self.leaf.check();
        assert_eq!(drops_of(id), 0, "object {id} has been dropped");
        id
    }

    fn check_neighbours(&self) {
        for neighbour in [self.next.get(), self.other.get()].iter().flatten() {
            neighbour.check();
        }
    }
}

impl<F: Family> Finalize for Mortal<F> {
    fn finalize(&self) {
        let _notes = NotesPanics;
        let id = self.check();
        self.check_neighbours();
        let before = self.rites.0.fetch_add(1, SeqCst);
        if before > 0 {
            WRONG.fetch_add(1, SeqCst);
        }
        // An edge may lead to the object itself.
        let saved = match id % 4 {
            0 => self.next.get(),
            1 => self.other.take(),
            _ => None,
        };
        if let Some(saved) = saved {
            SAVED.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(saved));
        }
    }
}

/// Looks at what has been saved, and lets go of it. Whether there was anything.
pub(super) fn let_the_saved_go() -> bool {
    let saved = mem::take(&mut *SAVED.lock().unwrap_or_else(PoisonError::into_inner));
    saved.iter().for_each(|object| object.assert_whole());
    !saved.is_empty()
}

/// No object has been finalized twice, dropped without having been finalized, or not whole in its finalizer.
#[track_caller]
pub(super) fn assert_finalized_once() {
    assert_eq!(WRONG.load(SeqCst), 0, "objects finalized twice, dropped unfinalized, or not whole when finalized");
}
