//! Counts that a thread has not made yet.
//!
//! Most handles that a thread gets from a cell, a `Local` or a weak handle end on the same thread soon after: a step of a walk, a loop
//! variable. Counting each up and down costs two atomic read-modify-writes, and the line of a header that nobody would have had to write to. So
//! while the collector is not marking the count of such a handle may wait: the thread notes the object in a small table in its record. If
//! a handle to the object ends on that thread while the note is there, the note goes, and that is all.
//!
//! The number of counted handles to an object is thus its root count and the number of notes about it, in all threads' tables. A handle
//! carries no mark of its own: which of an object's handles the note stands for is nobody's question. It may go to another thread and end there, which
//! counts down in the header; until the note is counted the root count can be *below* zero (`heap::header`).
//!
//! Who needs exact counts gets them:
//!
//! - Notes are made in operations of a phase that is not marking, and every table is emptied when its record is brought up to date after S1: each
//!   object noted is counted up and, if that takes it from 0 to 1, given an entry, which the root scan finds like any other. So from then on until S2 a
//!   root count is the number of counted handles, and whoever makes it 1 logs and shades, as ever.
//! - Every 0 → 1 of a *root count* has its entry (R1), now as before: an entry may be dropped whenever the count reads 0 or less, since it is the step from 0
//!   to 1 that makes the object a root for the next scan, be it the counting of a note.
//! - A clone is counted at once. It finds a count of 0 if only notes stand for the handle that is cloned; then it counts in an operation, together with its entry: no
//!   S1 comes between the two.
//! - Newborns are not noted: what an edge or a weak handle leads to is shared before it is led to, so what a newborn's header says holds without a look at
//!   any table (`mutator::newborn`).
//! - The verifier counts all notes first, with the world stopped.
//!
//! A note's object is allocated: notes are made of objects that are reachable, and counted before the next cycle marks.
//!
//! The table has a few places, one for each object by its address. A note that is in the way of another is counted.

use crate::{
    heap::header::{Header, Object},
    sync::{AtomicPtr, Mutation, Ordering, weakened},
};
use std::ptr::{NonNull, null_mut};

/// Places of a table; a power of two.
const PLACES: usize = if cfg!(graphgc_loom) { 1 } else { 16 };

/// One thread's table. All-zero memory is an empty one.
///
/// Changed by its thread in operations, and by whoever brings the record up to date; read by its thread at any time, as a hint.
pub(crate) struct Deferred {
    places: [AtomicPtr<Header>; PLACES],
}

impl Deferred {
    /// An empty table.
    #[cfg(graphgc_loom)]
    pub(crate) fn new() -> Self {
        Deferred { places: std::array::from_fn(|_| AtomicPtr::new(null_mut())) }
    }

    #[inline]
    fn place(&self, object: Object) -> &AtomicPtr<Header> {
        let address = object.address();
        &self.places[(address >> 4 ^ address >> 9) % PLACES]
    }

    /// The note about `object`, if there is one. Right in an operation, a hint outside.
    #[inline]
    pub(crate) fn find(&self, object: Object) -> Option<Note<'_>> {
        let place = self.place(object);
        (place.load(Ordering::Relaxed) == object.as_ptr()).then_some(Note { place, object })
    }

    /// Notes a count of `object`. Gives back what the caller has to count at once: the object whose note was in the way, or `object` itself if
    /// it has a note already.
    #[inline]
    pub(crate) fn note(&self, object: Object) -> Option<Object> {
        let place = self.place(object);
        let before = place.load(Ordering::Relaxed);
        place.store(object.as_ptr(), Ordering::Relaxed);
        NonNull::new(before).map(Object::new)
    }

    /// Ends the note about `object`, with a handle; false if there is none.
    #[inline]
    pub(crate) fn cancel(&self, object: Object) -> bool {
        self.find(object).is_some_and(Note::cancel)
    }

    /// Empties the table; `count` counts each object that was noted.
    pub(crate) fn settle(&self, mut count: impl FnMut(Object)) {
        for place in &self.places {
            if let Some(header) = NonNull::new(place.load(Ordering::Relaxed))
                && !weakened(Mutation::NotesStay)
            {
                place.store(null_mut(), Ordering::Relaxed);
                count(Object::new(header));
            }
        }
    }
}

/// What was a note when somebody looked.
pub(crate) struct Note<'a> {
    place: &'a AtomicPtr<Header>,
    object: Object,
}

impl Note<'_> {
    /// Ends it, in an operation, with a handle; false if it is there no more.
    #[inline]
    pub(crate) fn cancel(self) -> bool {
        let noted = self.place.load(Ordering::Relaxed) == self.object.as_ptr();
        if noted {
            self.place.store(null_mut(), Ordering::Relaxed);
        }
        noted
    }
}
