//! The eight bytes before every payload.
//!
//! ```text
//! roots: u32   root count << 2 | unshared << 1 | in_log
//! code:  u32   which type the payload has (see `trace::type_info`)
//! ```
//!
//! The root count says how many *counted* handles there are to the object: those outside the heap. Threads may
//! have noted further ones that are not in it (`mutator::deferred`); since a handle that was noted on one thread can end on another, it
//! can then be negative, down to minus the number of notes. It can be too high for a while, where a handle ended at the place of a note that had been counted. `in_log` says that the
//! shared root log has an entry for it. Both live in one word so that whoever makes the count go from 0 to 1 learns, in
//! the same step, whether the object must be logged; and so that the root scan can clear the bit only while the count is
//! still 0 or less.
//!
//! `unshared` is set at birth and says that counted handles are the only way to the object, and always have been: no edge, `Local` or weak
//! handle has ever led there. Whoever makes another way clears it *before* ([`share`](RootWord::share), which `Gc::as_object` calls for everyone who wants the
//! object of a handle), be it in the step that counts the handle down ([`claimed`](RootWord::claimed)). While it is set, the owner of the only handle is
//! alone with the object, but for whoever looks at root entries. And as long as the count has not been 0 there is one entry, that of its
//! birth. So in an operation, a thread that owns the only handle and finds that entry in its own buffer may end the handle with a plain
//! store and take the entry back (`mutator::newborn`).
//!
//! A dead object that waits for the dropper has the word [`AWAITS_DROP`] instead: nothing holds a handle to it any more.

use crate::sync::{AtomicU32, Mutation, Ordering, unless, weakened};
use std::ptr::NonNull;

const IN_LOG: u32 = 1;
const UNSHARED: u32 = 2;
const ONE: u32 = 4;
/// The word of an object that is as it was when it was born.
const NEWBORN: u32 = ONE | UNSHARED;
/// Counts from here on end the process. Far below those that stand for negative ones, so that threads that pass it together still all see it.
const LIMIT: u32 = 1 << 30;
/// Words from here on have a negative count.
const NEGATIVE: u32 = 1 << 31;
/// No object that anyone holds a handle to has it: one that is unshared is noted by nobody, and what is owed makes a count higher, so that its count is not negative.
const AWAITS_DROP: u32 = u32::MAX - 1;

/// The smallest slot: a header and nothing else.
pub(crate) const HEADER_SIZE: usize = size_of::<Header>();

/// The word before every payload; see the module's head.
#[repr(C, align(8))]
pub(crate) struct Header {
    pub(crate) roots: RootWord,
    pub(crate) code: u32,
}

/// Root count, `unshared` and `in_log` in one atomic word.
pub(crate) struct RootWord(AtomicU32);

/// What a count that went up was before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Before {
    pub(crate) count: i32,
    pub(crate) in_log: bool,
}

impl Before {
    #[inline]
    fn new(word: u32) -> Self {
        Before { count: count_in(word), in_log: word & IN_LOG != 0 }
    }

    /// This step may have taken the last handle away.
    #[inline]
    pub(crate) fn may_be_last(self) -> bool {
        self.count <= 1
    }

    /// This step took the count from 0 to 1 and no entry speaks for the object yet: the caller owes one.
    #[inline]
    pub(crate) fn must_log(self) -> bool {
        self.count == 0 && !self.in_log
    }
}

/// What filtering one candidate came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Filtered {
    /// Count 0 or less: whoever makes it 1 logs again.
    NotARoot,
    /// The root log speaks for it already.
    AlreadyLogged,
    /// The bit is ours now: the caller moves the entry to the root log.
    Logged,
}

impl RootWord {
    /// The word of an object with `count` counted handles, not logged.
    #[inline]
    pub(crate) fn new(count: u32) -> Self {
        RootWord(AtomicU32::new(count * ONE))
    }

    /// The word of an object that is born for one handle, which is the only way to it.
    #[inline]
    pub(crate) fn newborn() -> Self {
        RootWord(AtomicU32::new(NEWBORN))
    }

    /// Adds a counted handle.
    ///
    /// Relaxed, as in `Arc`: the caller reaches the object through a handle that already orders its accesses. From a negative count it
    /// acquires: who made it negative ended a handle, and if nobody has one any more there is no entry at which somebody else would read that.
    /// Ends the process long before the count could wrap.
    #[inline]
    pub(crate) fn up(&self) -> Before {
        let looked = weakened(Mutation::UpLooksFirst).then(|| self.in_log());
        let before = self.0.fetch_add(ONE, Ordering::Relaxed);
        if before >= LIMIT {
            self.up_from_far(before);
        }
        let before = Before::new(before);
        Before { in_log: looked.unwrap_or(before.in_log), ..before }
    }

    /// Has gone up from a count that is negative, or too high.
    #[cold]
    #[inline(never)]
    fn up_from_far(&self, before: u32) {
        check_limit(before);
        // What the counting up has left or something later: a release sequence leads there from each count down.
        self.0.load(unless(Mutation::NegativeIsRelaxed, Ordering::Acquire));
    }

    /// Adds a counted handle, unless the count is 0 or less: then only an operation may.
    #[inline]
    pub(crate) fn up_if_counted(&self) -> bool {
        let mut seen = self.0.load(Ordering::Relaxed);
        while count_in(seen) > 0 {
            match self.0.compare_exchange_weak(seen, seen + ONE, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    if seen >= LIMIT {
                        check_limit(seen);
                    }
                    return true;
                }
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Takes a counted handle away. Release: every use through it happens before
    /// whoever reads the 0.
    #[inline]
    pub(crate) fn down(&self) -> Before {
        let before = self.0.fetch_sub(ONE, unless(Mutation::DownIsRelaxed, Ordering::Release));
        debug_assert!(before != AWAITS_DROP, "a handle to a dead object");
        Before::new(before)
    }

    /// As [`down`](Self::down), for a handle that becomes claimed: from now on there is a way to the object that nothing counts.
    #[inline]
    pub(crate) fn claimed(&self) {
        let mut seen = self.0.load(Ordering::Relaxed);
        debug_assert!(seen != AWAITS_DROP, "a handle to a dead object");
        while seen & UNSHARED != 0 && !weakened(Mutation::ClaimedStaysUnshared) {
            match self.0.compare_exchange_weak(seen, (seen - ONE) & !UNSHARED, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
        self.down();
    }

    /// There will be a way to the object that nothing counts.
    #[inline]
    pub(crate) fn share(&self) {
        if self.0.load(Ordering::Relaxed) & UNSHARED != 0 && !weakened(Mutation::ShareForgotten) {
            self.share_first();
        }
    }

    #[cold]
    fn share_first(&self) {
        let before = self.0.fetch_and(!UNSHARED, Ordering::Relaxed);
        debug_assert!(before != AWAITS_DROP, "a handle to a dead object");
    }

    /// Whether the handle that the caller owns is the only way to the object, which has no entry in the root log. Acquires what
    /// former handles released.
    #[inline]
    pub(crate) fn is_newborn(&self) -> bool {
        self.0.load(unless(Mutation::NewbornIsRelaxed, Ordering::Acquire)) == NEWBORN
    }

    /// Ends the only handle to a newborn, whose entry the caller has taken back, in one operation.
    #[inline]
    pub(crate) fn end_newborn(&self) {
        debug_assert!(self.is_newborn());
        self.0.store(0, Ordering::Release);
    }

    /// Whether counted handles are the only ways to the object.
    #[cfg(graphgc_loom)]
    pub(crate) fn is_unshared(&self) -> bool {
        self.0.load(Ordering::Relaxed) & UNSHARED != 0
    }

    /// Count and flag now.
    pub(crate) fn look(&self) -> Before {
        let seen = self.0.load(Ordering::Acquire);
        Before::new(seen)
    }

    /// Whether the count is one that no number of handles can have brought about, when no thread has noted any.
    pub(crate) fn is_absurd(&self) -> bool {
        let seen = self.0.load(Ordering::Relaxed);
        seen >= LIMIT && seen != AWAITS_DROP
    }

    #[inline]
    pub(crate) fn in_log(&self) -> bool {
        self.0.load(Ordering::Relaxed) & IN_LOG != 0
    }

    /// Takes `in_log` for a candidate that is a root and has no entry in the root log.
    pub(crate) fn filter(&self) -> Filtered {
        let acquire = unless(Mutation::FilterIsRelaxed, Ordering::Acquire);
        let mut seen = self.0.load(acquire);
        loop {
            if count_in(seen) <= 0 {
                return Filtered::NotARoot;
            }
            if weakened(Mutation::FilterWithoutCompare) {
                self.0.fetch_or(IN_LOG, Ordering::Relaxed);
                return Filtered::Logged;
            }
            if seen & IN_LOG != 0 {
                return Filtered::AlreadyLogged;
            }
            match self.0.compare_exchange_weak(seen, seen | IN_LOG, Ordering::Relaxed, acquire) {
                Ok(_) => return Filtered::Logged,
                Err(_) if weakened(Mutation::FilterWithoutRetry) => return Filtered::AlreadyLogged,
                Err(now) => seen = now,
            }
        }
    }

    /// The root scan's look at a logged entry: true if the object is a root and keeps its entry; otherwise the bit is
    /// cleared and the entry must go. Only this clears the bit, and only while the count is 0 or less.
    pub(crate) fn keep_logged(&self) -> bool {
        debug_assert!(self.in_log());
        let seen = self.0.load(Ordering::Relaxed);
        if count_in(seen) > 0 {
            return true;
        }
        if weakened(Mutation::ScanClearsBlindly) {
            self.0.fetch_and(!IN_LOG, Ordering::AcqRel);
            return false;
        }
        self.0.compare_exchange(seen, seen & !(IN_LOG | UNSHARED), Ordering::AcqRel, Ordering::Relaxed).is_err()
    }

    /// Marks a dead object as waiting for the dropper. Its sweeper alone calls this.
    pub(crate) fn await_drop(&self) {
        self.0.store(AWAITS_DROP, Ordering::Relaxed);
    }

    /// Whether an earlier sweep gave the object to the dropper.
    pub(crate) fn awaits_drop(&self) -> bool {
        self.0.load(Ordering::Relaxed) == AWAITS_DROP
    }
}

/// The root count in a word.
#[inline]
fn count_in(word: u32) -> i32 {
    word as i32 >> ONE.trailing_zeros()
}

#[cold]
#[inline(never)]
fn check_limit(word: u32) {
    if word < NEGATIVE {
        super::os::end_process("more than 2^28 handles to one object");
    }
}

/// An object, known by its header.
///
/// A plain address: copying one keeps nothing alive. Whoever holds one knows by the protocol of its place (an owner that
/// is marked, a count, an operation, a root entry before R) that the object is still there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Object(NonNull<Header>);

// SAFETY: an address; every access through it is an `unsafe` block of its own.
unsafe impl Send for Object {}
// SAFETY: as above.
unsafe impl Sync for Object {}

impl Object {
    #[inline]
    pub(crate) fn new(header: NonNull<Header>) -> Self {
        Object(header)
    }

    /// The object whose payload of alignment `align` is at `payload`.
    ///
    /// # Safety
    /// `payload` is that of an object of this heap.
    #[inline]
    pub(crate) unsafe fn of_payload(payload: NonNull<u8>, align: usize) -> Self {
        // SAFETY: the slot starts with the header, `payload_offset` bytes before the payload.
        Object(unsafe { payload.sub(payload_offset(align)) }.cast())
    }

    #[inline]
    pub(crate) fn as_ptr(self) -> *mut Header {
        self.0.as_ptr()
    }

    #[inline]
    pub(crate) fn address(self) -> usize {
        self.0.as_ptr().addr()
    }

    /// Where the payload of alignment `align` begins.
    ///
    /// # Safety
    /// The object is allocated and its type has that alignment.
    #[inline]
    pub(crate) unsafe fn payload(self, align: usize) -> NonNull<u8> {
        // SAFETY: the slot was chosen to hold offset and payload.
        unsafe { self.0.cast::<u8>().add(payload_offset(align)) }
    }

    /// # Safety
    /// The object is allocated for as long as the reference is used.
    #[inline]
    pub(crate) unsafe fn roots<'a>(self) -> &'a RootWord {
        // SAFETY: by contract.
        unsafe { &(*self.0.as_ptr()).roots }
    }

    /// # Safety
    /// The object is allocated and its header was written before the caller learnt its address.
    #[inline]
    pub(crate) unsafe fn code(self) -> u32 {
        // SAFETY: by contract; the code never changes while anybody but the collector can reach the object.
        unsafe { (*self.0.as_ptr()).code }
    }

    /// Says that the payload has another type, of the same layout.
    ///
    /// # Safety
    /// The object is allocated, and nobody else reads its code meanwhile.
    pub(crate) unsafe fn set_code(self, code: u32) {
        // SAFETY: by contract.
        unsafe { (*self.0.as_ptr()).code = code };
    }
}

/// How far a payload of alignment `align` lies behind the start of its slot: right after the header, or at its first
/// own boundary if it asks for more than eight bytes.
#[inline]
pub(crate) const fn payload_offset(align: usize) -> usize {
    if align > HEADER_SIZE { align } else { HEADER_SIZE }
}

#[cfg(all(test, not(graphgc_loom)))]
mod tests {
    use super::*;

    #[test]
    fn first_count_must_be_logged_once() {
        let word = RootWord::new(0);
        assert!(word.up().must_log());
        assert!(!word.up().must_log());
        assert_eq!(word.filter(), Filtered::Logged);
        assert_eq!(word.filter(), Filtered::AlreadyLogged);
        word.down();
        word.down();
        assert_eq!(word.filter(), Filtered::NotARoot);
        assert!(!word.up().must_log(), "the log still has its entry");
    }

    #[test]
    fn scan_clears_the_bit_of_a_zero_only() {
        let word = RootWord::new(1);
        assert_eq!(word.filter(), Filtered::Logged);
        assert!(word.keep_logged());
        word.down();
        assert!(!word.keep_logged());
        assert!(word.up().must_log());
    }

    #[test]
    fn header_is_eight_bytes() {
        assert_eq!(size_of::<Header>(), HEADER_SIZE);
        assert_eq!(payload_offset(1), 8);
        assert_eq!(payload_offset(64), 64);
    }
}
