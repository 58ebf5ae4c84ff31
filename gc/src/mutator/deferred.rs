//! Counts that a thread has not made yet.
//!
//! Most handles that a thread gets from a cell, a `Local` or a weak handle end on the same thread soon after: a step of a walk, a loop
//! variable. Counting each up and down costs two atomic read-modify-writes, and the line of a header that nobody would have had to write to. So
//! the count of such a handle may wait: the thread notes the object in a small table in its record. If
//! a handle to the object ends on that thread while the note stands, the note ends, and that is all.
//!
//! A note that stands and is not counted is one handle more than the root count says. A handle carries no mark of its own: which of an
//! object's handles the note stands for is nobody's question. It may go to another thread and end there, which
//! counts down in the header; until the note is counted the root count can be *below* zero (`heap::header`).
//!
//! Who needs exact counts gets them:
//!
//! - Notes are made in operations, and every table is settled when its record is brought up to date after S1 and S2: each object noted is
//!   counted up and, if it has none, given an entry, which the root scan finds like any other.
//! - While the collector is marking, what is noted is shaded: its mark keeps the object in this cycle, whatever the count says. So from the scan until S2
//!   the root count of an object without a mark is at least the number of its counted handles, and whoever makes its entry shades.
//! - Whoever counts up makes the entry if the header says that there is none (R1), be it for a note: so an entry may be dropped in the step that finds a count of 0 or less, whatever
//!   notes stand. The count itself says nothing of entries: who clones a handle counts first, and if there is no entry takes that back and counts once more in an operation, which makes it. The count that is taken back is
//!   nobody's, and nobody relies on it: not who counts a note, nor who gets a further handle and then ends that by a note, which leaves his count to the handle that was noted.
//! - Newborns are not noted: what an edge or a weak handle leads to is shared before it is led to, so what a newborn's header says holds
//!   without a look at any table (`mutator::newborn`).
//! - The verifier settles all tables first, with the world stopped.
//!
//! A note is *ended* outside operations, too, by one plain store: an operation around it would cost as much as the rest of a step. So a
//! table may be settled between the thread's look at a note and that store. Hence each place has two parts. The thread says to which object
//! a note *stands*. Who settles says to which object one has been *counted*. Outside operations each part has one writer.
//!
//! | stands | counted | the place |
//! | --- | --- | --- |
//! | *x* | not *x* | is a handle to *x* that the root count does not know of |
//! | not *x* | *x* | *owes* a count of *x*: the handle was counted and has ended, the root count is one too high |
//! | *x* | *x* | is neither: the handle that was noted is like any other now |
//!
//! So the counted handles to an object are its root count and the places of the first kind, less those of the second; a place may be of both, for
//! two objects. What a place owes is counted down by who settles the table next. Till then the object is a root, as if its handle had ended a
//! little later; a handle that has ended before a cycle begins never keeps its object in that cycle. If the object is noted there once more, that
//! handle is the one which the count is of.
//!
//! A place of the third kind says nothing of its object, which may have gone; another may have its address. If the thread has a handle to that one and
//! ends it at this place, the place owes a count of it, which is as good. But what is known of noted objects, that they are shared, is not known
//! of this one. So the note of a handle that becomes claimed is ended only at a place of the first kind.
//!
//! The object of a place of the other kinds is allocated. It was reachable when it was noted, or when its handle ended there, and the place is settled after the
//! next S1 or S2. If that is an S2 it frees only what has no mark, and what was noted or had a count in the marking before it has one.
//!
//! The table has a few places, one for each object by its address. A note that is in the way of another is counted.

use crate::{
    heap::header::{Header, Object},
    sync::{AtomicPtr, Mutation, Ordering, unless, weakened},
};
use std::ptr::{NonNull, null_mut};

/// Places of a table; a power of two.
const PLACES: usize = if cfg!(graphgc_loom) { 1 } else { 16 };

/// One thread's table. All-zero memory is an empty one.
pub(crate) struct Deferred {
    places: [Place; PLACES],
}

/// Room for one note; see the module's head.
struct Place {
    /// Written by the thread.
    stands: AtomicPtr<Header>,
    /// Written by who settles, and by the thread in operations.
    counted: AtomicPtr<Header>,
}

/// What has to be made good in the root counts.
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
        let place = |_| Place { stands: AtomicPtr::new(null_mut()), counted: AtomicPtr::new(null_mut()) };
        Deferred { places: std::array::from_fn(place) }
    }

    #[inline]
    fn place(&self, object: Object) -> &Place {
        let address = object.address();
        // A sum, since the compiler computes the place from that with less than from an exclusive or.
        &self.places[(address.wrapping_add(address >> 5) >> 4) % PLACES]
    }

    /// Notes a count of `object`, in an operation; while marking it has been shaded. What the caller has to make good at once: that of the note which was in
    /// the way, which may be one about `object` itself.
    #[inline]
    pub(crate) fn note(&self, object: Object) -> Option<Due> {
        let place = self.place(object);
        let due = if place.stands.load(Ordering::Relaxed).is_null() { None } else { place.displace() };
        if weakened(Mutation::NoteForgetsDue) {
            place.counted.store(null_mut(), Ordering::Relaxed);
        }
        place.stands.store(object.as_ptr(), Ordering::Relaxed);
        due.filter(|_| !weakened(Mutation::NoteForgetsDue))
    }

    /// Ends the note about `object`, with a handle of the calling thread's, whose table this is; false if there is none. In an operation or outside.
    #[inline]
    pub(crate) fn end(&self, object: Object) -> bool {
        let place = self.place(object);
        let stands = place.stands(object);
        if stands {
            place.end();
        }
        stands
    }

    /// The same in an operation, for a handle that becomes claimed: if the note is not counted, so that the object is known to be shared.
    #[inline]
    pub(crate) fn end_claimed(&self, object: Object) -> bool {
        let place = self.place(object);
        let uncounted = || place.counted.load(Ordering::Relaxed) != object.as_ptr();
        let ends = place.stands(object) && (uncounted() || weakened(Mutation::ClaimEndsCountedNote));
        if ends {
            place.end();
        }
        ends
    }

    /// Leaves nothing that is not counted; `make_good` does what is due. For who may use the record.
    pub(crate) fn settle(&self, mut make_good: impl FnMut(Due)) {
        if weakened(Mutation::NotesStay) {
            return;
        }
        for place in &self.places {
            place.settle().into_iter().flatten().for_each(&mut make_good);
        }
    }
}

impl Place {
    #[inline]
    fn stands(&self, object: Object) -> bool {
        self.stands.load(Ordering::Relaxed) == object.as_ptr()
    }

    /// Release: every use through the handle happens before who settles finds nothing to count.
    #[inline]
    fn end(&self) {
        self.stands.store(null_mut(), unless(Mutation::NoteEndIsRelaxed, Ordering::Release));
    }

    /// Makes room for another note. What the one that stands leaves to be made good.
    #[cold]
    #[inline(never)]
    fn displace(&self) -> Option<Due> {
        let stands = self.stands.load(Ordering::Relaxed);
        if stands == self.counted.load(Ordering::Relaxed) {
            self.counted.store(null_mut(), Ordering::Relaxed);
            return None;
        }
        NonNull::new(stands).map(Object::new).map(Due::Up)
    }

    /// Has the note that stands be counted, and nothing be owed, by the caller, who does what is given back.
    fn settle(&self) -> [Option<Due>; 2] {
        let stands = self.stands.load(Ordering::Acquire);
        let counted = self.counted.load(Ordering::Relaxed);
        if stands == counted {
            return [None, None];
        }
        if !weakened(Mutation::SettleForgets) {
            self.counted.store(stands, Ordering::Relaxed);
        }
        let object = |address| NonNull::new(address).map(Object::new);
        [object(stands).map(Due::Up), object(counted).map(Due::Down)]
    }
}
