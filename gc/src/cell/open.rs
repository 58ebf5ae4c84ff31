//! Opening a lock-type cell for writing: win the lock, and if the content is claimed count it.
//!
//! Winning the lock and counting are one operation. Content of more than a slice is counted in several: then the lock says
//! *releasing* in between, the marker is admitted, and S2 waits until no cell is releasing.

use super::{
    edge_word::EdgeWord,
    lock::{Attempt, CellLock},
};
use crate::{
    heap::header::Object,
    mutator::Operation,
    sync::{AtomicUsize, Mutation, Ordering, global, weakened},
    trace::{
        Trace, Tracer,
        tracer::{Content, Pass, SLICE},
        type_info::facts,
    },
};
use std::{
    ptr::NonNull,
    time::{Duration, Instant},
};

global! {
    /// Cells that are being released in slices now. S2 needs none.
    static RELEASING: AtomicUsize = AtomicUsize::new(0);
}

/// Whether a cell is being released in slices. With the world stopped the answer stays true for *no*.
pub(crate) fn any_releasing() -> bool {
    RELEASING.load(Ordering::Acquire) != 0 && !weakened(Mutation::EndWhileReleasing)
}

/// How long to wait for a lock that somebody holds.
#[derive(Clone, Copy)]
pub(crate) enum Wait {
    /// Not at all.
    No,
    /// Until this moment.
    Until(Instant),
    /// As long as it takes.
    ForEver,
}

impl Wait {
    /// Waits for so long, as far as clocks can tell.
    pub(crate) fn time(timeout: Duration) -> Self {
        Instant::now().checked_add(timeout).map_or(Wait::ForEver, Wait::Until)
    }

    /// When waiting ends; `None` if it does not end by itself. Not for `Wait::No`.
    pub(crate) fn deadline(self) -> Option<Instant> {
        if let Wait::Until(deadline) = self { Some(deadline) } else { None }
    }
}

/// Takes the lock for writing and counts the content. False if somebody holds it for longer than `wait` allows.
///
/// A marker inside is waited for in any case: it leaves soon, and it must not make a `try_` fail.
#[inline]
pub(crate) fn open<T: Trace>(lock: &CellLock, content: *const T, wait: Wait) -> bool {
    lock.try_write_at_once() || open_slowly(lock, content, wait)
}

#[cold]
#[inline(never)]
fn open_slowly<T: Trace>(lock: &CellLock, content: *const T, mut wait: Wait) -> bool {
    loop {
        match lock.try_write_counted() {
            Attempt::Held => return true,
            Attempt::Claimed => {
                if win_and_release(lock, content) {
                    return true;
                }
            }
            Attempt::MarkerInside => lock.wait_for_marker(),
            Attempt::Busy if matches!(wait, Wait::No) => return false,
            Attempt::Busy => {
                if !lock.wait_to_write(wait.deadline()) {
                    // One last look.
                    wait = Wait::No;
                }
            }
        }
    }
}

#[cold]
fn win_and_release<T: Trace>(lock: &CellLock, content: *const T) -> bool {
    let operation = Operation::enter();
    if !lock.try_write_claimed() {
        return false;
    }
    if !facts::<T>().scan {
        lock.content_counted();
        return true;
    }
    let mut release = Release { lock: NonNull::from(lock), operation: Some(operation), counted: 0, slices: 0 };
    // SAFETY: the lock is held for writing and the caller has no reference to the content yet.
    unsafe { &*content }.trace(&mut Tracer::new(Pass::Release(&mut release)));
    release.finish();
    true
}

/// The pass that counts a cell's content.
///
/// Without a lifetime, so that a pass over a nested cell can lend itself on.
pub(crate) struct Release {
    /// The lock of the cell being opened, which its caller borrows for as long as the pass lasts.
    lock: NonNull<CellLock>,
    operation: Option<Operation>,
    counted: usize,
    slices: usize,
}

impl Release {
    #[inline]
    pub(crate) fn handle(&mut self, object: Object) {
        self.step();
        self.operation().count_up(object);
    }

    #[inline]
    pub(crate) fn edge_cell(&mut self, cell: &EdgeWord) {
        self.step();
        let operation = self.operation();
        // SAFETY: the target was counted by the closure before.
        cell.release(|object| operation.count_up(object), |object| unsafe { object.roots() }.down());
    }

    /// A cell inside the content. Nobody can be in it: its guards borrow from the outer cell, whose lock is ours, and a marker in it would be in
    /// the outer one, too, where it only shades. What leaked guards say of the lock does not matter.
    pub(crate) fn lock_cell(&mut self, lock: &CellLock, content: &dyn Content) {
        if lock.is_claimed() {
            // SAFETY: the outer lock keeps everyone out who could write.
            unsafe { content.trace(&mut Tracer::new(Pass::Release(self))) };
            lock.set_counted();
        }
    }

    fn lock(&self) -> &CellLock {
        // SAFETY: `win_and_release` borrows the lock for longer than the pass lasts.
        unsafe { self.lock.as_ref() }
    }

    fn operation(&self) -> &Operation {
        self.operation.as_ref().expect("a release pass is in an operation")
    }

    /// After each slice leaves the operation and enters the next.
    #[inline]
    pub(crate) fn step(&mut self) {
        self.counted += 1;
        if self.counted > SLICE {
            self.next_slice();
        }
    }

    #[cold]
    fn next_slice(&mut self) {
        if self.slices == 0 {
            RELEASING.fetch_add(1, Ordering::AcqRel);
            self.lock().admit_marker();
        }
        self.slices += 1;
        self.counted = 1;
        self.operation = None;
        self.operation = Some(Operation::enter());
    }

    fn finish(mut self) {
        if self.slices == 0 {
            self.lock().content_counted();
            return;
        }
        self.operation = None;
        self.lock().finish_release();
        RELEASING.fetch_sub(1, Ordering::AcqRel);
    }
}
