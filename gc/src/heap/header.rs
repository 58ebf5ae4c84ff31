//! The eight bytes before every payload.
//!
//! ```text
//! roots: u32   no_entry << 31 | (root count + 2^28) << 2 | unshared << 1 | in_log
//! code:  u32   which type the payload has (see `trace::type_info`)
//! ```
//!
//! The root count says how many *counted* handles there are to the object: those outside the heap. Threads may
//! have noted further ones that are not in it (`mutator::deferred`); since a handle that was noted on one thread can end on another, it
//! can then be negative, down to minus the number of notes. It can be too high for a while, where a handle ended at the place of a note that had been counted, and
//! for a moment where one is being cloned.
//!
//! `no_entry` says that no root entry need speak for the object. Otherwise there is one, among the candidates of some thread or in the root log. Whoever counts
//! up and finds it set owes an entry, *whatever the count was*: one who clones counts before he looks, and takes that back if the flag is set, to count again in an
//! operation, which makes the entry. So a count above 0 does not say that there is one. The flag is set only in a step that finds or leaves a count of 0 or less: when the last entry is dropped, or before, when
//! a handle becomes claimed; then what entries there are speak for nothing until the flag is cleared. So a handle that
//! its owner can use is noted or has an entry to speak for it. The flag is the sign of the word, and the count does not go below the bits it has, so that a clone learns from the sign of the
//! sum that there is an entry and the count is in its bounds: all that it asks.
//!
//! `in_log` says that the root log has an entry for the object, be it that the root scan is looking at it. So it has only one there, however many candidates there are. It is never set together
//! with `no_entry`.
//!
//! `unshared` is set at birth and says that counted handles are the only way to the object, and always have been: no edge, `Local` or weak
//! handle has ever led there; and that its one entry is still that of its birth, or of the birth of the object whose vacant slot it got, among the candidates. Whoever makes another way clears it *before* ([`share`](RootWord::share), which `Gc::as_object` calls for everyone who wants the
//! object of a handle that may be counted), be it in the step that counts the handle down ([`claimed`](RootWord::claimed)). The edge of a counted `GcCell` is a counted handle; who gets at it through a shared reference shares
//! the object before he can use what he got (`cell::edge_word`). While it is set, the owner of the only handle is
//! alone with the object, but for whoever looks at root entries, and for a marker inside the cell that the handle is in: that keeps the owner out, and greys nothing that can be taken back,
//! which is black. So in an operation, a thread that owns the only handle and knows that entry to be in its own buffer may end the handle with a plain
//! store (`mutator::newborn`).
//!
//! A dead object that waits for the dropper has the word [`AWAITS_DROP`] instead: nothing holds a handle to it any more. And a slot that a newborn has left has the word [`VACANT`]
//! until something is born in it or it is swept (`heap::cache`): there is no object.

use crate::sync::{AtomicU32, Mutation, Ordering, unless, weakened};
use std::ptr::NonNull;

const IN_LOG: u32 = 1;
const UNSHARED: u32 = 2;
const ONE: u32 = 4;
const NO_ENTRY: u32 = 1 << 31;
/// So many handles end the process: the bits of the count have run over, into the sign. Whoever finds the word before it ends finds a count above 0.
const LIMIT: i32 = 1 << 28;
/// How far beyond its bounds, 0 and `LIMIT`, a count is still known for what it is.
const FAR: i32 = LIMIT / 2;
/// A count of 0, and an entry.
const ZERO: u32 = NO_ENTRY - LIMIT as u32 * ONE;
/// The word of an object that is as it was when it was born.
const NEWBORN: u32 = (ZERO + ONE) | UNSHARED;
/// Words whose count is that far out of bounds are had by nobody.
const AWAITS_DROP: u32 = NO_ENTRY | 1 << 28;
/// The word of a slot that a newborn has left: there is no object. The entry of its birth is there for the next one, or will be dropped.
const VACANT: u32 = AWAITS_DROP + LIMIT as u32 / 4;

/// The smallest slot: a header and nothing else.
pub(crate) const HEADER_SIZE: usize = size_of::<Header>();

/// The word before every payload; see the module's head.
#[repr(C, align(8))]
pub(crate) struct Header {
    pub(crate) roots: RootWord,
    pub(crate) code: u32,
}

/// Root count and flags in one atomic word.
pub(crate) struct RootWord(AtomicU32);

/// What a word was before a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Before {
    pub(crate) count: i32,
    pub(crate) has_entry: bool,
    pub(crate) in_log: bool,
}

impl Before {
    #[inline]
    fn new(word: u32) -> Self {
        Before { count: count_in(word), has_entry: word & NO_ENTRY == 0, in_log: word & IN_LOG != 0 }
    }

    /// This step may have taken the last handle away. If it has, and this says no, another thread is just cloning a handle, or a place owes a count.
    #[inline]
    pub(crate) fn may_be_last(self) -> bool {
        self.count <= 1
    }
}

impl RootWord {
    /// The word of an object without handles.
    #[inline]
    pub(crate) fn new() -> Self {
        RootWord(AtomicU32::new(ZERO | NO_ENTRY))
    }

    /// The word of an object that is born for one handle, which is the only way to it, and whose entry is made in the same operation.
    #[inline]
    pub(crate) fn newborn() -> Self {
        RootWord(AtomicU32::new(NEWBORN))
    }

    /// Adds a counted handle, in an operation or for the collector. True if the object had no entry: the caller adds it.
    ///
    /// Acquires: who made a count negative ended a handle, and if nobody has one any more there is no entry at which somebody else would read that.
    /// Ends the process long before the count could wrap.
    #[inline]
    pub(crate) fn up(&self) -> bool {
        self.count_up().1
    }

    /// The same; and what the word was before.
    #[inline]
    fn count_up(&self) -> (u32, bool) {
        let acquire = unless(Mutation::NegativeIsRelaxed, Ordering::Acquire);
        let mut seen = self.0.load(Ordering::Relaxed);
        let looked = seen;
        loop {
            let believed = if weakened(Mutation::UpLooksFirst) { looked } else { seen };
            let owes = owes_entry(believed);
            let entry = if owes { NO_ENTRY } else { 0 };
            match self.0.compare_exchange_weak(seen, (seen + ONE) & !entry, acquire, Ordering::Relaxed) {
                Ok(_) => {
                    if count_in(seen) >= LIMIT - 1 {
                        too_many_handles();
                    }
                    return (seen, owes);
                }
                Err(now) => seen = now,
            }
        }
    }

    /// Adds a handle that is a clone, outside operations. Relaxed, as in `Arc`: the caller reaches the object through a handle that already orders its accesses. False if the caller has to
    /// [take it back](Self::down_by_clone), and count in an operation, since there may be no entry.
    #[inline]
    pub(crate) fn up_by_clone(&self) -> bool {
        let before = self.0.fetch_add(ONE, Ordering::Relaxed);
        let no_entry = if weakened(Mutation::EntryOnlyFromZero) {
            owes_entry(before)
        } else {
            (before.wrapping_add(ONE) as i32) < 0
        };
        !no_entry
    }

    /// Takes back what a clone has counted in vain. Ends the process if the reason is that there are too many handles.
    #[inline]
    pub(crate) fn down_by_clone(&self) {
        if self.down().count >= LIMIT {
            too_many_handles();
        }
    }

    /// Takes a counted handle away. Release: every use through it happens before
    /// whoever reads the 0.
    #[inline]
    pub(crate) fn down(&self) -> Before {
        let before = self.0.fetch_sub(ONE, unless(Mutation::DownIsRelaxed, Ordering::Release));
        debug_assert!(!is_dead(before), "a handle to a dead object");
        Before::new(before)
    }

    /// As [`down`](Self::down), for a handle that becomes claimed: from now on there is a way to the object that nothing counts. If it was the last that is counted
    /// the entry of its birth speaks for nothing any more: so whoever finds it need not write here.
    #[inline]
    pub(crate) fn claimed(&self) {
        let mut seen = self.0.load(Ordering::Relaxed);
        debug_assert!(!is_dead(seen), "a handle to a dead object");
        loop {
            match self.0.compare_exchange_weak(seen, claimed(seen), Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
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
        debug_assert!(!is_dead(before), "a handle to a dead object");
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
        self.0.store(ZERO | NO_ENTRY, Ordering::Release);
    }

    /// The same, and the entry of its birth, which is still in the caller's buffer, is for the next object in this slot.
    #[inline]
    pub(crate) fn vacate(&self) {
        debug_assert!(self.is_newborn());
        self.0.store(VACANT, Ordering::Relaxed);
    }

    /// Whether this is a slot that a newborn has left.
    #[inline]
    pub(crate) fn is_vacant(&self) -> bool {
        self.0.load(Ordering::Relaxed) == VACANT
    }

    /// [`up`](Self::up); the count before.
    #[cfg(graphgc_loom)]
    pub(crate) fn up_from(&self) -> i32 {
        count_in(self.count_up().0)
    }

    /// Whether counted handles are the only ways to the object.
    pub(crate) fn is_unshared(&self) -> bool {
        self.0.load(Ordering::Relaxed) & UNSHARED != 0
    }

    /// Count and entry now.
    pub(crate) fn look(&self) -> Before {
        let seen = self.0.load(Ordering::Acquire);
        Before::new(seen)
    }

    /// Whether the count is one that no number of handles can have brought about, when no thread has noted any.
    pub(crate) fn is_absurd(&self) -> bool {
        let seen = self.0.load(Ordering::Relaxed);
        !(0..LIMIT).contains(&count_in(seen)) && !is_dead(seen)
    }

    #[inline]
    pub(crate) fn in_log(&self) -> bool {
        self.0.load(Ordering::Relaxed) & IN_LOG != 0
    }

    /// Takes `in_log` for a candidate, and says whether it did: then the caller moves the entry to the root log. Otherwise the entry is dropped: the object is no root, or the log has
    /// an entry, or none is needed: what is counted then is a clone that will be taken back. Acquires what the last handle released.
    pub(crate) fn filter(&self) -> bool {
        let acquire = unless(Mutation::FilterIsRelaxed, Ordering::Acquire);
        let mut seen = self.0.load(acquire);
        loop {
            let root = count_in(seen) > 0;
            if weakened(Mutation::FilterWithoutCompare) && root {
                self.0.fetch_or(IN_LOG, Ordering::Relaxed);
                return true;
            }
            if seen & (IN_LOG | NO_ENTRY) != 0 {
                if count_in(seen) >= LIMIT && !is_dead(seen) {
                    // The sign says that, not what the flag does.
                    too_many_handles();
                }
                return false;
            }
            let now = seen & !UNSHARED | if root { IN_LOG } else { NO_ENTRY };
            match self.0.compare_exchange_weak(seen, now, acquire, acquire) {
                Ok(_) => return root,
                Err(_) if weakened(Mutation::FilterWithoutRetry) => return false,
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
            self.0.fetch_xor(IN_LOG | NO_ENTRY, Ordering::AcqRel);
            return false;
        }
        self.0.compare_exchange(seen, seen ^ (IN_LOG | NO_ENTRY), Ordering::AcqRel, Ordering::Relaxed).is_err()
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

/// Whether the word is that of an object that is no more.
#[inline]
fn is_dead(word: u32) -> bool {
    word == AWAITS_DROP || word == VACANT
}

/// Whether whoever counts up and finds this word owes an entry.
#[inline]
fn owes_entry(word: u32) -> bool {
    word & NO_ENTRY != 0 && (count_in(word) <= 0 || !weakened(Mutation::EntryOnlyFromZero))
}

/// The word after a counted handle has become claimed.
#[inline]
fn claimed(word: u32) -> u32 {
    let shared = if weakened(Mutation::ClaimedStaysUnshared) { 0 } else { UNSHARED };
    let now = (word - ONE) & !shared;
    // The count is 0 or less, unless the flag is set already.
    let ends = (now as i32) < (ZERO + ONE) as i32 && now & IN_LOG == 0;
    now | if ends { NO_ENTRY } else { 0 }
}

/// The root count in a word, as far as [`FAR`] out of bounds.
#[inline]
fn count_in(word: u32) -> i32 {
    const LOWEST: u32 = ZERO - FAR as u32 * ONE;
    ((word.wrapping_sub(LOWEST) & !NO_ENTRY) / ONE) as i32 - FAR
}

#[cold]
#[inline(never)]
fn too_many_handles() -> ! {
    super::os::end_process("too many handles to one object: 2^28")
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
    fn who_counts_first_owes_the_entry() {
        let word = RootWord::new();
        assert!(word.up() && !word.up() && word.up_by_clone());
        assert!(word.filter() && !word.filter() && word.keep_logged());
        (0..3).for_each(|_| _ = word.down());
        assert!(!word.up(), "the log still has its entry");
        word.down();
        assert!(!word.keep_logged());
        assert!(!word.up_by_clone() && !word.up_by_clone());
        assert!(word.up() && word.up_by_clone());
        word.down_by_clone();
        word.down_by_clone();
        assert_eq!(word.look(), Before { count: 2, has_entry: true, in_log: false });
    }

    #[test]
    fn a_clone_asks_whether_there_is_an_entry_not_what_the_count_was() {
        let word = RootWord::newborn();
        word.down();
        word.down();
        assert_eq!(word.look(), Before { count: -1, has_entry: true, in_log: false });
        assert!(word.up_by_clone() && !word.filter() && !word.up_by_clone());
        assert_eq!(word.look(), Before { count: 1, has_entry: false, in_log: false });
        assert!(!word.filter(), "who clones takes it back");
    }

    #[test]
    fn who_has_an_entry_in_the_log_is_no_newborn() {
        let word = RootWord::newborn();
        assert!(word.is_newborn() && word.filter() && !word.is_newborn());
        assert_eq!(word.look(), Before { count: 1, has_entry: true, in_log: true });
        word.claimed();
        assert_eq!(word.look(), Before { count: 0, has_entry: true, in_log: true });
        assert!(!word.keep_logged());
        for end in [RootWord::end_newborn, RootWord::claimed] {
            let word = RootWord::newborn();
            end(&word);
            assert_eq!(word.look(), Before { count: 0, has_entry: false, in_log: false });
            word.await_drop();
            assert!(word.awaits_drop() && !word.is_absurd());
        }
        let word = RootWord::newborn();
        word.vacate();
        assert!(word.is_vacant() && !word.is_absurd() && !word.filter() && word.is_vacant());
    }

    #[test]
    fn counts_are_known_to_the_limit_and_beyond() {
        for count in [1 - FAR, -1, 0, 1, LIMIT - 1, LIMIT, LIMIT + FAR - 1] {
            for flags in [0, IN_LOG, UNSHARED, NO_ENTRY, NO_ENTRY | UNSHARED] {
                let word = ZERO.wrapping_add_signed(count.wrapping_mul(ONE as i32)) ^ flags;
                assert_eq!(count_in(word), count);
                let absurd = !(0..LIMIT).contains(&count);
                assert_eq!(RootWord(AtomicU32::new(word)).is_absurd(), absurd);
            }
        }
        let almost = RootWord(AtomicU32::new(ZERO + (LIMIT as u32 - 2) * ONE));
        assert!(almost.up_by_clone() && !almost.up_by_clone(), "the sum has run over into the sign");
        assert!([AWAITS_DROP, VACANT].into_iter().all(|word| !(0..LIMIT).contains(&count_in(word))));
    }

    #[test]
    fn header_is_eight_bytes() {
        assert_eq!(size_of::<Header>(), HEADER_SIZE);
        assert_eq!(payload_offset(1), 8);
        assert_eq!(payload_offset(64), 64);
    }
}
