//! The word of a `GcCell`: the target object, or none, and the flag.
//!
//! The lowest bit is set when the content is *counted*, `None` included; headers are aligned to eight bytes. Changes are by
//! compare-and-swap of the whole word, so that whoever changes it knows whether what it put in and took out is
//! counted. Success releases, loads acquire: an object's header and payload were written before its address got here.
//!
//! Whoever has a cell to himself, in a value that has just moved into a new object, claims it by plain accesses. One change to a cell that others know
//! needs no compare-and-swap: in an operation a claimed word whose old edge nobody wants is overwritten by a plain store, if it stays claimed
//! as long as the operation lasts ([`read_staying`](EdgeWord::read_staying)). Three parties change flags.
//! The claim pass changes cells that nobody else knows. Who releases the content of an outer cell holds that one for writing, so that nobody
//! else has a reference to this one. The marker is away outside marking, and comes back after another S1, which waits for the operation. While marking it
//! claims words, which is no matter here; and if it gives up the content of a lock-type cell, which readers may be inside of, it sets flags back to
//! *counted* and counts the edges that it sees. A plain store after a look would put an uncounted edge in the place of a counted one, and nobody would
//! count that one down. So a marker says that there are such claims ([`REVOCABLE`]) before it makes the first of a cycle, and who finds a word claimed looks at that
//! afterwards. If it is not said, the word is none of those: its cell lies in an object directly, or in content that was claimed before S1 or at birth. This relies
//! on C2: what a marker finds in counted content is counted, so that what it counts back has been claimed by a claim of which it has said so.
//!
//! What other threads put in and take out meanwhile they do in claimed words, too, where an edge counts for nothing: whichever
//! change comes last stays, and who takes an edge out counts it in an operation of its own. An edge that is lost in this way without having been seen
//! by the one who overwrites it was put in by another thread in this phase: while marking that thread shades all that it puts in before its operation ends, but for
//! newborns, which are black.
//!
//! The object of a counted edge may still be unshared (`heap::header`): the edge is one of its counted handles. Who reads that edge has a way to the object that nothing counts, and who takes it
//! out may do so beside one who reads it. So both have the object say that it is shared, before anybody can use what they got ([`target`](EdgeWord::target), [`Reading::shared`]). So
//! does who claims a cell that others can read, before the word says that it is claimed ([`claim`](EdgeWord::claim)): the object of a claimed edge is shared. Who has the cell to himself
//! need not: a value that moves into a new object is claimed like a handle on the stack.
//!
//! Order of counting, so that a count is never below the number of counted handles: what becomes counted is counted *before* the word
//! says so, and what becomes claimed is counted down *after*.

use crate::{
    heap::header::{Header, Object},
    sync::{AtomicBool, AtomicPtr, Mutation, Ordering, global, load_plainly, store_plainly, weakened},
};
use std::ptr::{NonNull, null_mut};

global! {
    /// Whether a marker has claimed words since S1 that it may set back to *counted*, or might have; until the next S1. See the module's head.
    static REVOCABLE: Revocable = Revocable { claims: AtomicBool::new(false) };
}

/// In a cache line of its own: who overwrites a claimed edge while marking looks at it.
#[repr(align(64))]
struct Revocable {
    claims: AtomicBool,
}

/// For S1, with the world stopped.
pub(crate) fn forget_revocable_claims() {
    REVOCABLE.claims.store(false, Ordering::Relaxed);
}

const COUNTED: usize = 1;

/// See the module's head.
pub(crate) struct EdgeWord(AtomicPtr<Header>);

/// One reading of the word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reading(*mut Header);

impl Reading {
    #[inline]
    fn new(object: Option<Object>, counted: bool) -> Self {
        let header = object.map_or(null_mut(), Object::as_ptr);
        Reading(if counted { header.map_addr(|a| a | COUNTED) } else { header })
    }

    #[inline]
    pub(crate) fn is_counted(self) -> bool {
        self.0.addr() & COUNTED != 0
    }

    #[inline]
    pub(crate) fn object(self) -> Option<Object> {
        NonNull::new(self.0.map_addr(|a| a & !COUNTED)).map(Object::new)
    }

    /// The object, in an operation, under a pin or inside the cell's owner as a marker is, by one who may not be alone with the cell.
    #[inline]
    pub(crate) fn shared(self) -> Option<Object> {
        if self.is_counted() { self.object_of_counted() } else { self.object_of_claimed() }
    }

    /// [`object`](Self::object) of a reading that is not counted: there is no flag to mask off.
    #[inline]
    pub(crate) fn object_of_claimed(self) -> Option<Object> {
        debug_assert!(!self.is_counted());
        NonNull::new(self.0).map(Object::new)
    }

    /// Out of line, or the compiler would mask in both cases instead of branching.
    #[cold]
    #[inline(never)]
    fn object_of_counted(self) -> Option<Object> {
        let object = self.object();
        if let Some(object) = object
            && !weakened(Mutation::CountedEdgeStaysUnshared)
        {
            // SAFETY: the cell owned a count of it when it was read. Who has taken it out since has shared it, so that it is not freed before another S2.
            unsafe { object.roots() }.share();
        }
        object
    }
}

impl EdgeWord {
    /// A counted edge.
    #[inline]
    pub(crate) fn new(object: Option<Object>) -> Self {
        EdgeWord(AtomicPtr::new(Reading::new(object, true).0))
    }

    #[inline]
    pub(crate) fn read(&self) -> Reading {
        Reading(self.0.load(Ordering::Acquire))
    }

    /// The [shared](Reading::shared) object, for a chase from edge to edge: the flag is tested, not masked off, so that the address of the next
    /// load waits for nothing but this one.
    #[inline]
    pub(crate) fn target(&self) -> Option<Object> {
        self.read().shared()
    }

    /// In an operation, whose phase is marking or not: what is in the cell, if that is claimed and stays so as long as the operation lasts.
    #[inline]
    pub(crate) fn read_staying(&self, marking: bool) -> Option<Reading> {
        let seen = self.read();
        let revocable = || REVOCABLE.claims.load(Ordering::Relaxed) && !weakened(Mutation::PlainStoreOfRevocable);
        if seen.is_counted() || marking && revocable() { None } else { Some(seen) }
    }

    /// Puts `object` in and forgets what was there, by a plain store: in a cell that [stays claimed](Self::read_staying).
    #[inline]
    pub(crate) fn overwrite_claimed(&self, object: Option<Object>) {
        self.0.store(Reading::new(object, false).0, Ordering::Release);
    }

    /// Puts `object` in the place of `seen`, flag unchanged. On failure the reading that was there instead.
    #[inline]
    pub(crate) fn exchange(&self, seen: Reading, object: Option<Object>) -> Result<(), Reading> {
        self.swap_word(seen, Reading::new(object, seen.is_counted()))
    }

    #[inline]
    fn swap_word(&self, seen: Reading, new: Reading) -> Result<(), Reading> {
        if weakened(Mutation::ExchangeInTwoSteps) && self.read() == seen {
            self.0.store(new.0, Ordering::Release);
            return Ok(());
        }
        self.0.compare_exchange(seen.0, new.0, Ordering::AcqRel, Ordering::Acquire).map(drop).map_err(Reading)
    }

    /// Sets the flag to *claimed* and gives back what was in the cell. If the flag changed, the caller owes the
    /// target one count down.
    #[inline]
    pub(crate) fn claim(&self) -> (Option<Object>, Claimed) {
        let seen = self.read();
        if seen.is_counted() { self.claim_counted(seen) } else { (seen.object_of_claimed(), Claimed::Before) }
    }

    /// The same for a cell that was counted when it was read.
    #[cold]
    #[inline(never)]
    fn claim_counted(&self, mut seen: Reading) -> (Option<Object>, Claimed) {
        while seen.is_counted() {
            let object = if weakened(Mutation::ClaimSharesLate) { seen.object() } else { seen.shared() };
            match self.swap_word(seen, Reading::new(object, false)) {
                Ok(()) => return (object, Claimed::ByUs),
                Err(now) => seen = now,
            }
        }
        (seen.object_of_claimed(), Claimed::Before)
    }

    /// [`claim`](Self::claim) by a marker that may set the flag back.
    pub(crate) fn claim_revocably(&self) -> (Option<Object>, Claimed) {
        let late = weakened(Mutation::RevocableClaimToldLate);
        if !late && !weakened(Mutation::RevocableClaimIsUntold) && !REVOCABLE.claims.load(Ordering::Relaxed) {
            // Released with the claim to whoever finds the word claimed.
            REVOCABLE.claims.store(true, Ordering::Relaxed);
        }
        let claimed = self.claim();
        if late {
            REVOCABLE.claims.store(true, Ordering::Relaxed);
        }
        claimed
    }

    /// [`claim`](Self::claim) by plain accesses, which the compiler may join with those that have just put the value where it is: of a cell
    /// known to be empty nothing is left to do. What the caller owes a count down, if anything.
    ///
    /// # Safety
    /// Nobody else can reach the cell.
    #[inline]
    pub(crate) unsafe fn claim_unshared(&self) -> Option<Object> {
        // SAFETY: by contract.
        let seen = Reading(unsafe { load_plainly(&self.0) });
        if !seen.is_counted() {
            return None;
        }
        let object = seen.object();
        // SAFETY: by contract.
        unsafe { store_plainly(&self.0, Reading::new(object, false).0) };
        object
    }

    /// Sets the flag to *counted*, with `up` and `down` to count the target before, and back if the word moved meanwhile.
    pub(crate) fn release<R>(&self, mut up: impl FnMut(Object), mut down: impl FnMut(Object) -> R) {
        let before = !weakened(Mutation::ReleaseCountsAfter);
        let mut seen = self.read();
        while !seen.is_counted() {
            if before {
                seen.object().into_iter().for_each(&mut up);
            }
            match self.swap_word(seen, Reading::new(seen.object(), true)) {
                Ok(()) if before => return,
                Ok(()) => return seen.object().into_iter().for_each(up),
                Err(now) => {
                    if before && let Some(object) = seen.object() {
                        down(object);
                    }
                    seen = now;
                }
            }
        }
    }
}

/// Who set the flag to *claimed*.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Claimed {
    ByUs,
    Before,
}
