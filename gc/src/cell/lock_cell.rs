//! What the lock-type cells share: the lock, the content, and how both are traced and dropped.

use super::{
    borrow::{BorrowLock, Borrowed, BorrowedMut},
    lock::{Attempt, CellLock},
    open::{Wait, open},
};
use crate::sync::{Mutation, const_fn, weakened};
use crate::trace::{Trace, Tracer, type_info::facts};
use std::{cell::UnsafeCell, marker::PhantomData};

/// What the marker and the sweep have to know of a lock.
pub(crate) trait Lock: 'static {
    /// The word.
    fn word(&self) -> &CellLock;
}

impl Lock for CellLock {
    #[inline]
    fn word(&self) -> &CellLock {
        self
    }
}

/// A lock and the content it guards.
pub(crate) struct LockCell<T, L = CellLock> {
    lock: L,
    content: UnsafeCell<T>,
}

impl<T> LockCell<T> {
    const_fn! {
        pub(crate) fn new(content: T) -> Self {
            LockCell { lock: CellLock::new(), content: UnsafeCell::new(content) }
        }
    }

    /// Frees the lock of a cell that the caller has to itself, whoever holds it by a guard that was forgotten.
    pub(crate) fn unlock(&mut self) {
        debug_assert!(!self.lock.is_claimed());
        self.lock = CellLock::new();
    }
}

impl<T> LockCell<T, BorrowLock> {
    const_fn! {
        /// A cell that one thread has at a time.
        pub(crate) fn for_one_thread(content: T) -> Self {
            LockCell { lock: BorrowLock::new(), content: UnsafeCell::new(content) }
        }
    }
}

impl<T, L: Lock> LockCell<T, L> {
    /// The content; to be read or written only as the lock allows.
    pub(crate) fn content(&self) -> *mut T {
        self.content.get()
    }

    /// The content of a cell that the caller has to itself. It is counted: a cell that is claimed lies in the heap,
    /// where no `&mut` to it exists without its owner having been opened for writing.
    pub(crate) fn get_mut(&mut self) -> &mut T {
        debug_assert!(!self.lock.word().is_claimed());
        self.content.get_mut()
    }

    /// The lock.
    pub(crate) fn lock(&self) -> &L {
        &self.lock
    }

    pub(crate) fn into_inner(self) -> T {
        debug_assert!(!self.lock.word().is_claimed());
        self.content.into_inner()
    }
}

impl<T: Trace> LockCell<T> {
    /// Takes the lock for reading if it can be had at once.
    #[inline]
    pub(crate) fn try_read(&self) -> Option<Reading<'_>> {
        self.lock.try_read().then(|| Reading::new(&self.lock))
    }

    /// Takes the lock for reading.
    #[inline]
    pub(crate) fn read(&self) -> Reading<'_> {
        self.lock.read(None);
        Reading::new(&self.lock)
    }

    /// Takes the lock for reading if it can be had in time; `wait` is not `Wait::No`.
    pub(crate) fn read_in_time(&self, wait: Wait) -> Option<Reading<'_>> {
        self.lock.read(wait.deadline()).then(|| Reading::new(&self.lock))
    }

    /// Takes the lock for writing if nobody holds it, and makes sure that the content is counted.
    #[inline]
    pub(crate) fn try_write(&self) -> Option<Writing<'_>> {
        self.write_in_time(Wait::No)
    }

    /// Takes the lock for writing if it can be had in time, and makes sure that the content is counted.
    #[inline]
    pub(crate) fn write_in_time(&self, wait: Wait) -> Option<Writing<'_>> {
        open(&self.lock, self.content(), wait).then(|| Writing::new(&self.lock))
    }

    /// Takes the lock for writing, and makes sure that the content is counted.
    #[inline]
    pub(crate) fn write(&self) -> Writing<'_> {
        open(&self.lock, self.content(), Wait::ForEver);
        Writing::new(&self.lock)
    }
}

impl<T: Trace> LockCell<T, BorrowLock> {
    /// Borrows for reading unless it is borrowed for writing.
    #[inline]
    pub(crate) fn try_borrow(&self) -> Option<Borrowed<'_>> {
        self.lock.try_read()
    }

    /// Borrows for writing unless it is borrowed, and makes sure that the content is counted.
    #[inline]
    pub(crate) fn try_borrow_mut(&self) -> Option<BorrowedMut<'_>> {
        self.lock.try_write(self.content())
    }
}

impl<T: Trace, L: Lock> LockCell<T, L> {
    #[inline]
    pub(crate) fn trace(&self, tracer: &mut Tracer<'_>) {
        if facts::<T>().scan {
            tracer.lock_cell(self.lock.word(), self.content());
        }
    }

    /// # Safety
    /// As for `Trace::drop_swept`.
    pub(crate) unsafe fn drop_swept(&mut self) {
        if self.lock.word().is_claimed() {
            // SAFETY: by contract.
            unsafe { self.content.get_mut().drop_swept() };
        } else {
            // SAFETY: by contract; all handles in counted content are counted, so dropping them is right.
            unsafe { std::ptr::drop_in_place(self.content()) };
        }
    }
}

/// The right to read a cell's content, given up when dropped, on the thread that got it.
pub(crate) struct Reading<'a> {
    lock: &'a CellLock,
    not_send: PhantomData<*const ()>,
}

impl<'a> Reading<'a> {
    /// The right of whoever has taken the lock for reading.
    pub(crate) fn new(lock: &'a CellLock) -> Self {
        Reading { lock, not_send: PhantomData }
    }

    /// Holds the cell for ever.
    pub(crate) fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Reading<'_> {
    #[inline]
    fn drop(&mut self) {
        self.lock.end_read();
    }
}

/// The right to write a cell's content, given up when dropped, on the thread that got it.
pub(crate) struct Writing<'a> {
    lock: &'a CellLock,
    not_send: PhantomData<*const ()>,
}

impl<'a> Writing<'a> {
    fn new(lock: &'a CellLock) -> Self {
        Writing { lock, not_send: PhantomData }
    }

    /// Goes from writing to reading with no gap.
    pub(crate) fn downgrade(self) -> Reading<'a> {
        let lock = self.lock;
        std::mem::forget(self);
        lock.downgrade();
        Reading::new(lock)
    }

    /// Gives the right up while `wait` waits, which unlocks on its way, and takes it again: with `content`, that of the cell, counted again if the marker
    /// has claimed it meanwhile.
    pub(crate) fn while_unlocked<T: Trace, R>(self, content: *const T, wait: impl FnOnce(&CellLock) -> R) -> (Self, R) {
        let lock = self.lock;
        std::mem::forget(self);
        let result = wait(lock);
        if weakened(Mutation::RelockCountsNothing) {
            while lock.try_write_counted() != Attempt::Held {
                if lock.try_write_claimed() {
                    lock.content_counted();
                    break;
                }
                crate::sync::yield_now();
            }
        } else {
            open(lock, content, Wait::ForEver);
        }
        (Writing::new(lock), result)
    }
}

impl Drop for Writing<'_> {
    #[inline]
    fn drop(&mut self) {
        self.lock.end_write();
    }
}

/// The traits that every lock-type cell has in the same way; the cell is a tuple struct of one [`LockCell`].
macro_rules! lock_cell_traits {
    ($cell:ident) => {
        impl<T: Default> Default for $cell<T> {
            fn default() -> Self {
                $cell::new(T::default())
            }
        }

        impl<T> From<T> for $cell<T> {
            fn from(content: T) -> Self {
                $cell::new(content)
            }
        }

        /// Shallow, so that printing a cyclic graph ends.
        impl<T> std::fmt::Debug for $cell<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($cell), "(..)"))
            }
        }

        // SAFETY: the lock lets the marker in only while nobody writes; `drop_swept` follows the flag.
        unsafe impl<T: Trace> Trace for $cell<T> {
            type Info = $crate::trace::facts::InLockCell<T::Info>;

            #[inline]
            fn trace(&self, tracer: &mut $crate::trace::Tracer<'_>) {
                self.0.trace(tracer);
            }

            unsafe fn drop_swept(&mut self) {
                // SAFETY: by contract.
                unsafe { self.0.drop_swept() };
            }
        }
    };
}

pub(crate) use lock_cell_traits;
