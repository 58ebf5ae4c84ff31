//! The lock of cells that one thread has at a time: borrows cost no locked instruction, except while marking.
//!
//! Readers are counted beside the lock word, in a plain number: the marker never asks for them, it enters a cell that is free or read-held alike. So the
//! word says of such a cell only whether it is write-held, being released or claimed, and whether a marker is inside; READERS and what
//! has to do with waiting stay clear, but for `MARKER_AWAITED`. The thread and the marker are all who ever touch the word:
//!
//! - *Borrowing for reading* is a look at WRITER, which nobody but the thread itself sets, and a plain count.
//! - *Borrowing for writing* must keep the marker out: by compare-and-swap, as for every cell; or, in an operation outside
//!   marking, by a plain store, since no marker is about then, and the next one comes after an S1 that waits for the operation.
//! - *The end of that* is a plain store, marking or not: a marker enters by compare-and-swap from a word that is not write-held, and leaves
//!   a write-held one as it is.

use super::{
    lock::{Attempt, CellLock},
    lock_cell::Lock,
    open::{Wait, open},
};
use crate::{mutator::Operation, sync::const_fn, trace::Trace};
use std::{cell::Cell, marker::PhantomData};

/// See the module's head.
pub(crate) struct BorrowLock {
    lock: CellLock,
    readers: Cell<u32>,
}

impl Lock for BorrowLock {
    #[inline]
    fn word(&self) -> &CellLock {
        &self.lock
    }
}

impl BorrowLock {
    const_fn! {
        /// A free lock around counted content.
        pub(crate) fn new() -> Self {
            BorrowLock { lock: CellLock::new(), readers: Cell::new(0) }
        }
    }

    /// Borrows for reading unless it is borrowed for writing.
    #[inline]
    pub(crate) fn try_read(&self) -> Option<Borrowed<'_>> {
        if self.lock.bars_readers() {
            return None;
        }
        self.readers.set(self.readers.get().checked_add(1)?);
        Some(Borrowed { readers: &self.readers, not_send: PhantomData })
    }

    /// Borrows for writing unless it is borrowed, and makes sure that `content`, that of the cell, is counted.
    #[inline]
    pub(crate) fn try_write<T: Trace>(&self, content: *const T) -> Option<BorrowedMut<'_>> {
        if self.is_read_held() {
            return None;
        }
        match self.write_in_operation() {
            Some(Attempt::Held) => {}
            Some(Attempt::Busy) => return None,
            _ => {
                if !self.write_slowly(content) {
                    return None;
                }
            }
        }
        Some(BorrowedMut { lock: &self.lock, not_send: PhantomData })
    }

    /// Whether it is borrowed for reading.
    #[inline]
    pub(crate) fn is_read_held(&self) -> bool {
        self.readers.get() != 0
    }

    /// Takes the lock around counted content by a plain store; *held* if that worked. None if it takes more than this.
    #[inline]
    fn write_in_operation(&self) -> Option<Attempt> {
        let operation = Operation::enter_now()?;
        let attempt = self.lock.look_plainly(operation.phase.is_marking())?;
        if attempt == Attempt::Held {
            self.lock.hold_plainly();
        }
        Some(attempt)
    }

    /// While marking, or the content is claimed, or the thread has no record that is up to date.
    #[cold]
    #[inline(never)]
    fn write_slowly<T: Trace>(&self, content: *const T) -> bool {
        open(&self.lock, content, Wait::No)
    }
}

/// The right to read a cell's content, given up when dropped, on the thread that got it.
pub(crate) struct Borrowed<'a> {
    readers: &'a Cell<u32>,
    not_send: PhantomData<*const ()>,
}

impl Borrowed<'_> {
    /// A second right beside the first.
    pub(crate) fn again(&self) -> Self {
        self.readers.set(self.readers.get().checked_add(1).expect("too many readers of one cell"));
        Borrowed { readers: self.readers, not_send: PhantomData }
    }
}

impl Drop for Borrowed<'_> {
    #[inline]
    fn drop(&mut self) {
        self.readers.set(self.readers.get() - 1);
    }
}

/// The right to write a cell's content, given up when dropped, on the thread that got it.
pub(crate) struct BorrowedMut<'a> {
    lock: &'a CellLock,
    not_send: PhantomData<*const ()>,
}

impl Drop for BorrowedMut<'_> {
    #[inline]
    fn drop(&mut self) {
        self.lock.end_write_plainly();
    }
}
