//! The one lock under every lock-type cell: readers, a writer, the marker, and whether the content is claimed.
//!
//! ```text
//! bit 0    CLAIMED         the content is claimed; clear: it is counted
//! bit 1    WRITER          write-held
//! bit 2    RELEASING       a writer-to-be is counting the content in slices, or a collection is being rebuilt beside its content: keeps
//!                          readers and writers out, admits the marker
//! bit 3    MARKER          a marker is inside
//! bit 4    MARKER_AWAITED  a writer waits, parked, for the marker to leave
//! bit 5    PARKED          readers or writers are parked
//! bit 6    WRITER_QUEUED   one of them is a writer: new blocking readers queue up behind it
//! bits 7.. number of readers
//! ```
//!
//! The marker enters a cell that is free, read-held or releasing, whatever waits for it, and is never kept waiting: it
//! skips what is write-held. So taking the lock never depends on user code for the collector. In the other direction
//! a writer waits for the marker, which leaves soon: it gives a huge content up when `MARKER_AWAITED` is set.
//! Readers do not notice the marker at all.
//!
//! A writer may hold the lock with CLAIMED set only inside the operation in which it won the lock (C1): it counts the content and clears the bit
//! before the operation ends, or says RELEASING if that takes more than a slice. Orders: whoever gets the lock acquires, whoever gives it up releases.

use super::parking;
use crate::sync::{AtomicU32, Mutation, Ordering, const_fn, unless, weakened, yield_now};
use std::time::Instant;

const CLAIMED: u32 = 1;
const WRITER: u32 = 1 << 1;
const RELEASING: u32 = 1 << 2;
const MARKER: u32 = 1 << 3;
const MARKER_AWAITED: u32 = 1 << 4;
const PARKED: u32 = 1 << 5;
const WRITER_QUEUED: u32 = 1 << 6;
const READER: u32 = 1 << 7;
const READERS: u32 = !(READER - 1);
/// Something keeps a new writer out.
const HELD: u32 = WRITER | RELEASING | READERS;
/// A writer cannot have the lock at once: it is held, or there is something to wait for or to be done first.
const BARS_WRITERS: u32 = HELD | MARKER | CLAIMED;
/// Something keeps a new reader that is ready to wait out.
const BARS_READERS: u32 = WRITER | RELEASING | WRITER_QUEUED;

/// Looks at a lock that is held before its thread parks.
const SPINS: usize = 100;

/// See the module's head.
pub(crate) struct CellLock(AtomicU32);

/// How an attempt to write went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Attempt {
    /// Ours, and the content is counted.
    Held,
    /// Free, but the content is claimed: to be won inside an operation.
    Claimed,
    /// A reader or writer has it, or it is kept for one.
    Busy,
    /// Free but for a marker inside.
    MarkerInside,
}

/// In what state a marker found the content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Entered {
    /// Claimed: shade.
    Claimed,
    /// Counted: claim and shade.
    Counted,
    /// Being released: shade only.
    Releasing,
}

impl CellLock {
    const_fn! {
        /// A free lock around counted content.
        pub(crate) fn new() -> Self {
            CellLock(AtomicU32::new(0))
        }
    }

    /// Takes the lock for reading unless it is held for writing.
    #[inline]
    pub(crate) fn try_read(&self) -> bool {
        let mut seen = self.0.load(Ordering::Relaxed);
        while seen & (WRITER | RELEASING) == 0 {
            match self.0.compare_exchange_weak(seen, add_reader(seen), Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Takes the lock for reading; blocks, parked, while it is held for writing or a writer queues. False if that takes until `deadline`, if
    /// there is one.
    #[inline]
    pub(crate) fn read(&self, deadline: Option<Instant>) -> bool {
        let seen = self.0.load(Ordering::Relaxed);
        (seen & BARS_READERS == 0
            && self.0.compare_exchange_weak(seen, add_reader(seen), Ordering::Acquire, Ordering::Relaxed).is_ok())
            || self.read_slowly(deadline)
    }

    #[cold]
    fn read_slowly(&self, deadline: Option<Instant>) -> bool {
        loop {
            let seen = self.0.load(Ordering::Relaxed);
            if seen & BARS_READERS != 0 {
                if !self.park(|now| now & BARS_READERS != 0, 0, deadline) {
                    return self.try_read();
                }
            } else if self.0.compare_exchange_weak(seen, add_reader(seen), Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                return true;
            }
        }
    }

    /// Whether the lock is held for reading. Then acquires what a writer did who has downgraded it.
    #[inline]
    pub(crate) fn is_read_held(&self) -> bool {
        self.0.load(Ordering::Acquire) & READERS != 0
    }

    /// Blocks, parked, until the lock is not held for writing, or was not for a moment.
    #[cold]
    pub(crate) fn wait_for_writer(&self) {
        if !self.spin_while(WRITER | RELEASING) {
            self.park(|now| now & (WRITER | RELEASING) != 0, 0, None);
        }
    }

    /// Blocks, parked, until the lock is held for reading, or may be.
    #[cold]
    pub(crate) fn wait_for_reader(&self) {
        self.park(|now| now & READERS == 0, 0, None);
    }

    /// Gives up a lock held for reading.
    #[inline]
    pub(crate) fn end_read(&self) {
        let before = self.0.fetch_sub(READER, unless(Mutation::EndReadIsRelaxed, Ordering::Release));
        debug_assert!(before & READERS != 0);
        if before & READERS == READER && before & PARKED != 0 {
            self.wake();
        }
    }

    /// Takes the lock for writing if it is free, the content counted and no marker inside. May fail without reason.
    #[inline]
    pub(crate) fn try_write_at_once(&self) -> bool {
        let seen = self.0.load(Ordering::Relaxed);
        seen & BARS_WRITERS == 0
            && self.0.compare_exchange_weak(seen, seen | WRITER, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// One attempt to take the lock for writing without an operation: works if the content is counted.
    #[inline]
    pub(crate) fn try_write_counted(&self) -> Attempt {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let attempt = judge(seen);
            if attempt != Attempt::Held {
                return attempt;
            }
            match self.0.compare_exchange_weak(seen, seen | WRITER, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Attempt::Held,
                Err(now) => seen = now,
            }
        }
    }

    /// Of a lock that one thread has at a time, whose readers are counted elsewhere (`cell::borrow`): whether it is held for writing.
    #[inline]
    pub(crate) fn bars_readers(&self) -> bool {
        self.0.load(Ordering::Relaxed) & (WRITER | RELEASING) != 0
    }

    /// Of such a lock: whether the content is claimed; nothing if it is held for writing or reserved. Acquires what the one who claimed it did.
    #[inline]
    pub(crate) fn look_to_read(&self) -> Option<bool> {
        let seen = self.0.load(unless(Mutation::LookIsRelaxed, Ordering::Acquire));
        (seen & (WRITER | RELEASING) == 0).then_some(seen & CLAIMED != 0)
    }

    /// Of such a lock, in an operation: how an attempt to write would go, which need not be made: outside marking nobody but the thread looks at the lock
    /// before the operation ends. None while marking: a marker may come in between. Acquires what the last one did.
    #[inline]
    pub(crate) fn look_plainly(&self, marking: bool) -> Option<Attempt> {
        let seen = self.0.load(Ordering::Acquire);
        (!marking || weakened(Mutation::PlainWriteWhileMarking)).then(|| judge(seen))
    }

    /// Gives up such a lock held for writing, the flag as it is, by a plain store: nobody else changes a word that is write-held.
    #[inline]
    pub(crate) fn end_write_plainly(&self) {
        let seen = self.0.load(Ordering::Relaxed);
        debug_assert!(seen & WRITER != 0);
        self.0.store(seen & !WRITER, unless(Mutation::PlainEndIsRelaxed, Ordering::Release));
    }

    /// Inside an operation: takes a free lock around claimed content. The caller counts the content and calls `content_counted`, or
    /// `admit_marker`, before the operation ends; of a collection, it changes the content and calls `end_write_as_it_is`.
    #[inline]
    pub(crate) fn try_write_claimed(&self) -> bool {
        let seen = self.0.load(Ordering::Relaxed);
        seen & BARS_WRITERS == CLAIMED
            && self.0.compare_exchange(seen, seen | WRITER, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// The content of a lock that we hold for writing is counted now.
    pub(crate) fn content_counted(&self) {
        let before = self.0.fetch_and(!CLAIMED, Ordering::Release);
        debug_assert!(before & WRITER != 0);
    }

    /// Counting takes more than a slice: goes from write-held to *releasing*.
    pub(crate) fn admit_marker(&self) {
        let before = self.0.fetch_xor(WRITER | RELEASING, Ordering::Release);
        debug_assert!(before & (WRITER | RELEASING | CLAIMED) == WRITER | CLAIMED);
    }

    /// All is counted: goes from *releasing* to write-held, counted, once no marker is inside. Outside any operation.
    pub(crate) fn finish_release(&self) {
        loop {
            let seen = self.0.load(Ordering::Relaxed);
            debug_assert!(seen & (RELEASING | CLAIMED) == RELEASING | CLAIMED);
            if seen & MARKER != 0 && !weakened(Mutation::FinishWithMarkerInside) {
                self.wait_for_marker();
            } else {
                let held = (seen | WRITER) & !(RELEASING | CLAIMED);
                if self.0.compare_exchange_weak(seen, held, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                    return;
                }
            }
        }
    }

    /// Keeps readers and writers out, and lets the marker in, claimed content or not, until `end_reservation` or
    /// `try_write_reserved`. Blocks, parked, while somebody holds the lock. Of collections alone.
    pub(crate) fn reserve(&self) {
        loop {
            let seen = self.0.load(Ordering::Relaxed);
            if seen & HELD != 0 {
                self.wait_to_write(None);
            } else if self.0.compare_exchange_weak(seen, seen | RELEASING, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                return;
            }
        }
    }

    /// Gives up a reservation.
    pub(crate) fn end_reservation(&self) {
        let before = self.0.fetch_and(!RELEASING, Ordering::Release);
        debug_assert!(before & (WRITER | RELEASING) == RELEASING);
        if before & PARKED != 0 {
            self.wake();
        }
    }

    /// Inside an operation: goes from a reservation to write-held, the flag as it is, unless a marker is inside.
    pub(crate) fn try_write_reserved(&self) -> bool {
        let mut seen = self.0.load(Ordering::Relaxed);
        while seen & MARKER == 0 {
            debug_assert!(seen & (WRITER | RELEASING) == RELEASING);
            let held = (seen | WRITER) & !RELEASING;
            match self.0.compare_exchange_weak(seen, held, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Gives up a lock held for writing, the flag as it is: inside an operation if the content is claimed. Whether to `wake` after that.
    #[inline]
    pub(crate) fn end_write_as_it_is(&self) -> bool {
        let before = self.take_back_writer();
        debug_assert!(before & WRITER != 0);
        before & PARKED != 0
    }

    /// The bit is set, so that it can be taken off by a subtraction, which gives the word before in one instruction on x86.
    #[inline]
    fn take_back_writer(&self) -> u32 {
        self.0.fetch_sub(WRITER, Ordering::Release)
    }

    /// Gives up a lock held for writing.
    #[inline]
    pub(crate) fn end_write(&self) {
        let early = weakened(Mutation::WakeBeforeUnlock).then(|| self.0.load(Ordering::Relaxed));
        let before = self.take_back_writer();
        debug_assert!(before & (WRITER | CLAIMED) == WRITER);
        if early.unwrap_or(before) & PARKED != 0 {
            self.wake();
        }
    }

    /// Turns a lock held for writing into one held for reading. The content stays counted.
    pub(crate) fn downgrade(&self) {
        if weakened(Mutation::DowngradeInTwoSteps) {
            self.end_write();
            self.read(None);
            return;
        }
        let before =
            self.0.fetch_add(READER.wrapping_sub(WRITER), unless(Mutation::DowngradeIsRelaxed, Ordering::Release));
        debug_assert!(before & (WRITER | CLAIMED | READERS) == WRITER);
        if before & PARKED != 0 && !weakened(Mutation::DowngradeWakesNobody) {
            self.wake();
        }
    }

    /// Blocks, parked, until the lock may be free for writing. False if that takes until `deadline`, if there is one.
    #[cold]
    pub(crate) fn wait_to_write(&self, deadline: Option<Instant>) -> bool {
        if self.spin_while(HELD) || self.park(|now| now & HELD != 0, WRITER_QUEUED, deadline) {
            return true;
        }
        if !weakened(Mutation::TimedOutWriterStaysQueued) {
            // Nobody may queue up any more behind a writer that is gone. If there is another it will say so again.
            self.wake();
        }
        false
    }

    /// Waits for a moment without parking. True if none of `bits` is set any more.
    fn spin_while(&self, bits: u32) -> bool {
        for _ in 0..if cfg!(graphgc_loom) { 0 } else { SPINS } {
            if self.0.load(Ordering::Relaxed) & bits == 0 {
                return true;
            }
            std::hint::spin_loop();
        }
        false
    }

    /// Blocks, parked, until no marker is inside. Outside any operation.
    #[cold]
    pub(crate) fn wait_for_marker(&self) {
        if self.spin_while(MARKER) {
            return;
        }
        // The bit is set only while a marker is inside, so that leaving can clear both in one step and knows of every waiter.
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            if seen & MARKER == 0 && !weakened(Mutation::AwaitWithoutLook) {
                return;
            }
            match self.0.compare_exchange_weak(seen, seen | MARKER_AWAITED, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
        parking::park(self.marker_key(), || self.0.load(Ordering::Relaxed) & MARKER_AWAITED != 0, || {}, None);
    }

    /// Lets a marker in unless the lock is write-held. Never waits.
    pub(crate) fn enter_marker(&self) -> Option<Entered> {
        let mut seen = self.0.load(Ordering::Relaxed);
        while seen & WRITER == 0 || weakened(Mutation::MarkerEntersWriteHeld) {
            debug_assert!(seen & MARKER == 0, "two markers in one cell");
            match self.0.compare_exchange_weak(seen, seen | MARKER, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(entered(seen)),
                Err(now) => seen = now,
            }
        }
        None
    }

    /// [`enter_marker`](Self::enter_marker) for a collection, whose content stays claimed while it is written to in an operation:
    /// waits for the end of that. `None` if it is write-held and counted.
    pub(crate) fn enter_marker_after_operation(&self) -> Option<Entered> {
        loop {
            if let Some(entered) = self.enter_marker() {
                return Some(entered);
            }
            if self.0.load(Ordering::Acquire) & (WRITER | CLAIMED) == WRITER || weakened(Mutation::MarkerSkipsOperation)
            {
                return None;
            }
            yield_now();
        }
    }

    /// Whether a writer waits for the marker inside.
    #[inline]
    pub(crate) fn is_marker_awaited(&self) -> bool {
        self.0.load(Ordering::Relaxed) & MARKER_AWAITED != 0
    }

    /// The marker inside leaves; `claimed` if it has claimed content that was counted.
    pub(crate) fn leave_marker(&self, claimed: bool) {
        if weakened(Mutation::FlagAfterLeaving) && claimed {
            self.leave_marker(false);
            self.set_claimed();
            return;
        }
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let next = (seen & !(MARKER | MARKER_AWAITED)) | if claimed { CLAIMED } else { 0 };
            match self.0.compare_exchange_weak(seen, next, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
        if seen & MARKER_AWAITED != 0 {
            parking::unpark_all(self.marker_key());
        }
    }

    /// The content has been counted back by the marker that claimed it, or by the pass that released the cell's owner.
    pub(crate) fn set_counted(&self) {
        self.0.fetch_and(!CLAIMED, Ordering::Release);
    }

    /// The content of a cell that nobody else can reach has been claimed.
    pub(crate) fn set_claimed(&self) {
        self.0.fetch_or(CLAIMED, Ordering::Release);
    }

    pub(crate) fn is_claimed(&self) -> bool {
        self.0.load(Ordering::Acquire) & CLAIMED != 0
    }

    pub(crate) fn is_write_held(&self) -> bool {
        self.0.load(Ordering::Acquire) & WRITER != 0
    }

    /// Whether the flags contradict each other as they may only inside an operation: write-held around claimed content (C1), or being released
    /// though it is counted.
    pub(crate) fn is_inconsistent(&self) -> bool {
        let seen = self.0.load(Ordering::Acquire);
        seen & (WRITER | CLAIMED) == WRITER | CLAIMED || seen & (RELEASING | CLAIMED) == RELEASING
    }

    /// Whether it is write-held around claimed content, as it may be only inside an operation (C1).
    pub(crate) fn is_written_while_claimed(&self) -> bool {
        self.0.load(Ordering::Acquire) & (WRITER | CLAIMED) == WRITER | CLAIMED
    }

    /// Parks until the lock is given up or changes its state, if it is `blocked` when looked at under the queue's lock. False if `deadline` came
    /// first.
    fn park(&self, blocked: impl Fn(u32) -> bool, note: u32, deadline: Option<Instant>) -> bool {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            if !blocked(seen) {
                return true;
            }
            match self.0.compare_exchange_weak(seen, seen | PARKED | note, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
        let still_blocked = || {
            let now = self.0.load(Ordering::Relaxed);
            now & PARKED != 0 && blocked(now)
        };
        parking::park(self.key(), still_blocked, || {}, deadline)
    }

    /// Wakes everyone who is parked for the lock.
    #[cold]
    pub(crate) fn wake(&self) {
        self.0.fetch_and(!(PARKED | WRITER_QUEUED), Ordering::Relaxed);
        parking::unpark_all(self.key());
    }

    fn key(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    fn marker_key(&self) -> usize {
        self.key() + 1
    }
}

fn add_reader(seen: u32) -> u32 {
    assert!(seen & READERS != READERS, "too many readers of one cell");
    seen + READER
}

fn judge(seen: u32) -> Attempt {
    match () {
        () if seen & BARS_WRITERS == 0 => Attempt::Held,
        () if seen & HELD != 0 => Attempt::Busy,
        () if seen & MARKER != 0 => Attempt::MarkerInside,
        () => Attempt::Claimed,
    }
}

fn entered(seen: u32) -> Entered {
    match () {
        () if seen & RELEASING != 0 => Entered::Releasing,
        () if seen & CLAIMED != 0 => Entered::Claimed,
        () => Entered::Counted,
    }
}
