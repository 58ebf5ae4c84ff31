//! Content that is written once and read ever after, under `GcOnceCell` and `GcLazy`.
//!
//! The lock of a cell says it all. Free: nothing has been written. Write-held: a thread is about to. Read-held: the content is final, since the writer
//! goes over to reading and never gives that up. So a reader needs one look at the lock, which acquires what was written, and for the
//! marker there is nothing new: write-held content is counted and skipped, read-held content is claimed and shaded like any other. Who has
//! `&mut` to the cell, or owns it, has it with counted content and may begin anew.

use super::lock_cell::{LockCell, Writing};
use crate::{
    sync::{const_fn, per_thread},
    trace::{Trace, Tracer},
};
use std::{cell::Cell, ptr::null};

per_thread! {
    /// The innermost of this thread's frames.
    static INNERMOST: Cell<*const Frame> = const { Cell::new(null()) };
}

/// A call that writes to a cell, on the stack of its thread.
struct Frame {
    cell: usize,
    outer: *const Frame,
}

impl Frame {
    /// Runs `f` as a call that writes to the cell at this address.
    fn enter<R>(cell: usize, f: impl FnOnce() -> R) -> R {
        struct Leave(*const Frame);
        impl Drop for Leave {
            fn drop(&mut self) {
                INNERMOST.with(|innermost| innermost.set(self.0));
            }
        }
        let frame = Frame { cell, outer: INNERMOST.with(Cell::get) };
        INNERMOST.with(|innermost| innermost.set(&raw const frame));
        let _leave = Leave(frame.outer);
        f()
    }

    /// Whether this thread is in such a call.
    fn is_in(cell: usize) -> bool {
        let mut next = INNERMOST.with(Cell::get);
        // SAFETY: frames lie on the thread's own stack, below those who link to them, and are unlinked when they end.
        while let Some(frame) = unsafe { next.as_ref() } {
            if frame.cell == cell {
                return true;
            }
            next = frame.outer;
        }
        false
    }
}

/// See the module's head.
pub(super) struct Once<C>(LockCell<C>);

impl<C> Once<C> {
    const_fn! {
        /// Content that has still to be written.
        pub(super) fn new(content: C) -> Self {
            Once(LockCell::new(content))
        }
    }

    /// Content that is final from the beginning.
    pub(super) fn written(content: C) -> Self {
        let once = Once::new(content);
        let reading = once.0.lock().try_read();
        debug_assert!(reading, "nobody else has the lock");
        once
    }

    /// The content, once it is final. Cost: one acquire load.
    #[inline]
    pub(super) fn get(&self) -> Option<&C> {
        // SAFETY: read-held for ever, so nobody writes while the cell is shared.
        self.0.lock().is_read_held().then(|| unsafe { &*self.0.content() })
    }

    /// The content of a cell that the caller has to itself.
    pub(super) fn get_mut(&mut self) -> &mut C {
        self.0.get_mut()
    }

    /// Makes the content one that has still to be written, and gives access to it.
    pub(super) fn reopen(&mut self) -> &mut C {
        self.0.unlock();
        self.0.get_mut()
    }

    pub(super) fn into_inner(self) -> C {
        self.0.into_inner()
    }

    /// Blocks, parked, until the content is final.
    pub(super) fn wait(&self) -> &C {
        loop {
            if let Some(content) = self.get() {
                return content;
            }
            self.0.lock().wait_for_reader();
        }
    }

    fn address(&self) -> usize {
        self.0.content().addr()
    }
}

impl<C: Trace> Once<C> {
    /// Lets `write` write the content, unless it is final, and makes it so. If `write` fails or panics, it is as if it had not been called, but for what it
    /// wrote. Blocks, parked, while another thread writes.
    ///
    /// # Panics
    /// With `message`, if this thread is writing the content already.
    #[track_caller]
    pub(super) fn write<E>(&self, message: &str, write: impl FnOnce(&mut C) -> Result<(), E>) -> Result<(), E> {
        let Some(right) = self.begin(message) else { return Ok(()) };
        // SAFETY: the right to write is ours alone, and nobody reads what is not final.
        Frame::enter(self.address(), || write(unsafe { &mut *self.0.content() }))?;
        right.downgrade().forget();
        Ok(())
    }

    /// The right to write, unless the content is final.
    #[track_caller]
    fn begin(&self, message: &str) -> Option<Writing<'_>> {
        loop {
            if self.0.lock().is_read_held() {
                return None;
            }
            if let Some(right) = self.0.try_write() {
                return Some(right);
            }
            assert!(!Frame::is_in(self.address()), "{message}");
            self.0.lock().wait_for_writer();
        }
    }

    #[inline]
    pub(super) fn trace(&self, tracer: &mut Tracer<'_>) {
        self.0.trace(tracer);
    }

    /// # Safety
    /// As for `Trace::drop_swept`.
    pub(super) unsafe fn drop_swept(&mut self) {
        // SAFETY: by contract.
        unsafe { self.0.drop_swept() };
    }
}
