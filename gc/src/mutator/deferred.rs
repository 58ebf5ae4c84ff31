//! Counts that a thread has not made yet.
//!
//! Most handles that a thread gets from a cell, a `Local` or a weak handle end on the same thread soon after: a step of a walk, a loop
//! variable. Counting each up and down costs two atomic read-modify-writes, and the line of a header that nobody would have had to write to. So
//! while the collector is not marking the count of such a handle may wait: the thread notes the object in a small table in its record. If
//! a handle to the object ends on that thread while the note stands, the note ends, and that is all.
//!
//! A note that stands and is not counted is one handle more than the root count says. A handle carries no mark of its own: which of an
//! object's handles the note stands for is nobody's question. It may go to another thread and end there, which
//! counts down in the header; until the note is counted the root count can be *below* zero (`heap::header`).
//!
//! Who needs exact counts gets them:
//!
//! - Notes are made in operations of a phase that is not marking, and every table is settled when its record is brought up to date
//!   after S1: each object noted is counted up and, if that takes it from 0 to 1, given an entry, which the root scan finds like any
//!   other. So from then on until S2 a root count is at least the number of counted handles, and whoever makes it 1 logs and shades.
//! - Every 0 → 1 of a *root count* has its entry (R1): an entry may be dropped whenever the count reads 0 or less, since it is the step
//!   from 0 to 1 that makes the object a root for the next scan, be it the counting of a note.
//! - A clone is counted at once. It finds a count of 0 if only notes stand for the handle that is cloned; then it counts in an
//!   operation, together with its entry: no S1 comes between the two.
//! - Newborns are not noted: what an edge or a weak handle leads to is shared before it is led to, so what a newborn's header says holds
//!   without a look at any table (`mutator::newborn`).
//! - The verifier settles all tables first, with the world stopped.
//!
//! A note is *ended* outside operations, too, by one plain store: an operation around it would cost as much as the rest of a step. So a
//! table may be settled between the thread's look at a note and that store. Hence each place has two parts, with one writer each while
//! the thread is in no operation. The thread says whether the note *stands*. Who settles says whether it is *counted*, by a tag on the
//! object's address. Only the thread, in an operation, puts another note there.
//!
//! | stands | counted | the place |
//! | --- | --- | --- |
//! | yes | no | is a handle that the root count does not know of |
//! | no | no | is free: the handle has ended |
//! | yes | yes | is free: the handle is like any other now |
//! | no | yes | *owes*: the handle was counted and has ended, the root count is one too high |
//!
//! So the counted handles to an object are its root count and the first kind of places, less the last kind. What a place owes is counted
//! down by whoever comes first: the thread when it needs the place, or whoever settles the table next. Till then the object is a root, as
//! if its handle had ended a little later; a handle that has ended before a cycle begins never keeps its object in that cycle.
//!
//! The object of a place that is not free is allocated: it was reachable when it was noted, all tables are settled before a cycle's scan,
//! and what is counted then is marked; nothing else frees.
//!
//! The table has a few places, one for each object by its address. A note that is in the way of another is counted.

use crate::{
    heap::header::{Header, Object},
    sync::{AtomicBool, AtomicPtr, Mutation, Ordering, unless, weakened},
};
use std::ptr::{NonNull, null_mut};

/// Places of a table; a power of two.
const PLACES: usize = if cfg!(graphgc_loom) { 1 } else { 16 };

/// On an object's address: the note has been counted.
const COUNTED: usize = 1;

/// One thread's table. All-zero memory is an empty one.
pub(crate) struct Deferred {
    places: [Place; PLACES],
}

/// Room for one note; see the module's head.
struct Place {
    /// Written by the thread in operations, and by who settles.
    noted: AtomicPtr<Header>,
    /// Written by the thread alone.
    stands: AtomicBool,
}

/// What has to be done before a place can have another note, or a scan begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Due {
    /// It has a handle that is not counted.
    Up(Object),
    /// It has a count without a handle.
    Down(Object),
}

impl Deferred {
    /// An empty table.
    #[cfg(graphgc_loom)]
    pub(crate) fn new() -> Self {
        let place = |_| Place { noted: AtomicPtr::new(null_mut()), stands: AtomicBool::new(false) };
        Deferred { places: std::array::from_fn(place) }
    }

    #[inline]
    fn place(&self, object: Object) -> &Place {
        let address = object.address();
        // A sum, since the compiler computes the place from that with less than from an exclusive or.
        &self.places[(address.wrapping_add(address >> 5) >> 4) % PLACES]
    }

    /// Notes a count of `object`, in an operation outside marking. What the caller has to make good at once: that of the note which was in
    /// the way, which may be one about `object` itself.
    #[inline]
    pub(crate) fn note(&self, object: Object) -> Option<Due> {
        let place = self.place(object);
        let due = if place.is_untouched() { None } else { place.due() };
        place.noted.store(object.as_ptr(), Ordering::Relaxed);
        place.stands.store(true, Ordering::Relaxed);
        due.filter(|_| !weakened(Mutation::NoteForgetsDue))
    }

    /// Ends the note about `object`, with a handle of the calling thread's, whose table this is; false if there is none. In an operation or outside.
    #[inline]
    pub(crate) fn end(&self, object: Object) -> bool {
        let place = self.place(object);
        let noted = place.noted.load(Ordering::Relaxed) == object.as_ptr() && place.stands.load(Ordering::Relaxed);
        if noted {
            // Release: every use through the handle happens before who settles finds nothing to count.
            place.stands.store(false, unless(Mutation::NoteEndIsRelaxed, Ordering::Release));
        }
        noted
    }

    /// Leaves nothing that is not counted; `make_good` does what is due. For who may use the record.
    pub(crate) fn settle(&self, mut make_good: impl FnMut(Due)) {
        if weakened(Mutation::NotesStay) {
            return;
        }
        for place in &self.places {
            if let Some(due) = place.settle() {
                make_good(due);
            }
        }
    }
}

impl Place {
    /// The cheap test for the most common free place: its handle ended before anybody counted it. [`due`](Self::due) knows the rest.
    #[inline]
    fn is_untouched(&self) -> bool {
        !self.stands.load(Ordering::Relaxed) && self.noted.load(Ordering::Relaxed).addr() & COUNTED == 0
    }

    /// What is due before the place can be made anew.
    #[cold]
    #[inline(never)]
    fn due(&self) -> Option<Due> {
        let noted = self.noted.load(Ordering::Relaxed);
        let object = NonNull::new(noted.map_addr(|address| address & !COUNTED)).map(Object::new)?;
        let counted = noted.addr() & COUNTED != 0;
        match (self.stands.load(Ordering::Acquire), counted) {
            (true, false) => Some(Due::Up(object)),
            (false, true) => Some(Due::Down(object)),
            _ => None,
        }
    }

    /// Counts the note that stands, or pays what is owed: the caller does what is given back.
    fn settle(&self) -> Option<Due> {
        let due = self.due();
        match due {
            Some(Due::Up(object)) if !weakened(Mutation::SettleForgets) => {
                self.noted.store(object.as_ptr().map_addr(|address| address | COUNTED), Ordering::Relaxed);
            }
            Some(_) => self.noted.store(null_mut(), Ordering::Relaxed),
            None => {}
        }
        due
    }
}
