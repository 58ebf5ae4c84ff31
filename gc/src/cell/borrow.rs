//! The lock of cells that one thread has at a time: a borrow for reading costs no locked instruction, one for writing costs one.
//!
//! Readers are counted beside the lock word, in a plain number: the marker never asks for them, it enters a cell that is free or read-held alike. So the
//! word says of such a cell only whether it is write-held, being released or claimed, and whether a marker is inside; READERS and what
//! has to do with waiting stay clear, but for `MARKER_AWAITED`. The thread and the marker are all who ever touch the word:
//!
//! - *Borrowing for reading* is a look at WRITER, which nobody but the thread itself sets, and a plain count.
//! - *Borrowing for writing* must keep the marker out: by compare-and-swap, as for every cell. In an operation outside marking that is not
//!   needed, since no marker is about then, and the next one comes after an S1 that waits for the operation. Collections do without, which are in an
//!   operation anyway; for the sake of the lock alone an operation costs more than it saves.
//! - *The end of that* is a plain store, marking or not: a marker enters by compare-and-swap from a word that is not write-held, and leaves
//!   a write-held one as it is.

use super::{
    lock::CellLock,
    lock_cell::Lock,
    open::{Wait, open},
};
use crate::{sync::const_fn, trace::Trace};
use std::{cell::Cell, marker::PhantomData};

/// More are a leak of guards.
const MOST_READERS: u32 = 1 << 28;

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
        Some(Borrowed::one_more(&self.readers))
    }

    /// Borrows for writing unless it is borrowed, and makes sure that `content`, that of the cell, is counted.
    #[inline]
    pub(crate) fn try_write<T: Trace>(&self, content: *const T) -> Option<BorrowedMut<'_>> {
        if self.is_read_held() {
            return None;
        }
        open(&self.lock, content, Wait::No).then(|| BorrowedMut { lock: &self.lock, not_send: PhantomData })
    }

    /// Whether it is borrowed for reading.
    #[inline]
    pub(crate) fn is_read_held(&self) -> bool {
        self.readers.get() != 0
    }
}

/// The right to read a cell's content, given up when dropped, on the thread that got it.
pub(crate) struct Borrowed<'a> {
    readers: &'a Cell<u32>,
    not_send: PhantomData<*const ()>,
}

impl<'a> Borrowed<'a> {
    /// # Panics
    /// If there are too many.
    #[inline]
    fn one_more(readers: &'a Cell<u32>) -> Self {
        assert!(readers.get() < MOST_READERS, "too many readers of one cell");
        readers.set(readers.get() + 1);
        Borrowed { readers, not_send: PhantomData }
    }

    /// A second right beside the first.
    pub(crate) fn again(&self) -> Self {
        Borrowed::one_more(self.readers)
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
