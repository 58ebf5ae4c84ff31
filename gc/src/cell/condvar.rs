//! `GcCondvar`: waiting, with a `GcMutex` given up, until another thread says that something has changed.
//!
//! A waiter joins the queue under the condition's address, then gives the mutex up, then sleeps: whoever changes what it waits for under the mutex
//! finds it in the queue. While it waits its content is as that of any free lock, so the marker may claim it; locking again counts it
//! again.

use super::{lock::CellLock, mutex::GcMutexGuard, open::Wait, parking};
use crate::{
    sync::{AtomicBool, Mutation, Ordering, const_fn, weakened},
    trace::{Trace, Tracer, facts::Leaf},
};
use std::{
    fmt,
    time::{Duration, Instant},
};

/// The garbage-collected world's `Condvar`: lets threads wait until what a [`GcMutex`](crate::GcMutex) guards has changed.
///
/// A thread that waits is parked, and no collection waits for it, unless it holds a [`Guard`](crate::Guard). It may wake without cause: look again at what you
/// wait for, or let [`wait_while`](Self::wait_while) do so. A mutex that is waited with is locked for writing on return, so the
/// walk over its content that the first lock after a collection costs may come again.
///
/// ```
/// use graphgc::{Gc, GcCondvar, GcMutex, Trace};
///
/// #[derive(Trace)]
/// struct Queue { jobs: GcMutex<Vec<Gc<String>>>, filled: GcCondvar }
///
/// let queue = Gc::new(Queue { jobs: GcMutex::new(vec![]), filled: GcCondvar::new() });
/// let producer = queue.clone();
/// std::thread::spawn(move || {
///     producer.jobs.lock().push(Gc::new("job".to_string()));
///     producer.filled.notify_one();
/// });
/// let mut jobs = queue.filled.wait_while(queue.jobs.lock(), |jobs| jobs.is_empty());
/// assert_eq!(*jobs.pop().unwrap(), "job");
/// ```
pub struct GcCondvar {
    /// Whether somebody may be waiting. Set, and cleared when the last one goes, under the lock of the queue.
    awaited: AtomicBool,
}

/// Whether waiting ended because time was up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether time was up.
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl GcCondvar {
    const_fn! {
        /// A condition that nobody waits for.
        pub fn new() -> Self {
            GcCondvar { awaited: AtomicBool::new(false) }
        }
    }

    /// Unlocks the mutex, waits until notified, and locks it again. Nothing that is notified after the unlocking is missed.
    pub fn wait<'a, T: Trace>(&self, guard: GcMutexGuard<'a, T>) -> GcMutexGuard<'a, T> {
        self.wait_in_time(guard, Wait::ForEver).0
    }

    /// Waits as long as `condition` holds.
    pub fn wait_while<'a, T: Trace>(
        &self,
        mut guard: GcMutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> GcMutexGuard<'a, T> {
        while condition(&mut guard) {
            guard = self.wait(guard);
        }
        guard
    }

    /// [`wait`](Self::wait), for no longer than `timeout`, and as long as it then takes to lock the mutex.
    pub fn wait_timeout<'a, T: Trace>(
        &self,
        guard: GcMutexGuard<'a, T>,
        timeout: Duration,
    ) -> (GcMutexGuard<'a, T>, WaitTimeoutResult) {
        self.wait_in_time(guard, Wait::time(timeout))
    }

    /// Waits as long as `condition` holds, and no longer than `timeout`. Says whether it still held then.
    ///
    /// ```
    /// use graphgc::{GcCondvar, GcMutex};
    /// use std::time::Duration;
    ///
    /// let (mutex, condvar) = (GcMutex::new(0), GcCondvar::new());
    /// let (guard, result) = condvar.wait_timeout_while(mutex.lock(), Duration::from_millis(1), |number| *number == 0);
    /// assert!(result.timed_out() && *guard == 0);
    /// ```
    pub fn wait_timeout_while<'a, T: Trace>(
        &self,
        mut guard: GcMutexGuard<'a, T>,
        timeout: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> (GcMutexGuard<'a, T>, WaitTimeoutResult) {
        let wait = Wait::time(timeout);
        loop {
            if !condition(&mut guard) {
                return (guard, WaitTimeoutResult(false));
            }
            if wait.deadline().is_some_and(|deadline| Instant::now() >= deadline) {
                return (guard, WaitTimeoutResult(true));
            }
            guard = self.wait_in_time(guard, wait).0;
        }
    }

    /// Wakes one of the threads that wait, if there are any. Cost if there are none: one load.
    #[inline]
    pub fn notify_one(&self) {
        if self.awaited.load(Ordering::Relaxed) {
            parking::unpark_one(self.key(), |more| self.awaited.store(more, Ordering::Relaxed));
        }
    }

    /// Wakes all threads that wait. Cost if there are none: one load.
    #[inline]
    pub fn notify_all(&self) {
        if self.awaited.load(Ordering::Relaxed) {
            // Who joins the queue from here on says so again, whether it is woken below or not.
            self.awaited.store(false, Ordering::Relaxed);
            parking::unpark_all(self.key());
        }
    }

    fn wait_in_time<'a, T: Trace>(
        &self,
        guard: GcMutexGuard<'a, T>,
        wait: Wait,
    ) -> (GcMutexGuard<'a, T>, WaitTimeoutResult) {
        let (guard, in_time) = GcMutexGuard::while_unlocked(guard, |mutex| self.park(mutex, wait));
        (guard, WaitTimeoutResult(!in_time))
    }

    fn park(&self, mutex: &CellLock, wait: Wait) -> bool {
        let early = weakened(Mutation::WaitUnlocksFirst);
        if early {
            mutex.end_write();
        }
        let join = || {
            self.awaited.store(true, Ordering::Relaxed);
            true
        };
        let unlock = || {
            if !early {
                mutex.end_write();
            }
        };
        parking::park(self.key(), join, unlock, wait.deadline())
    }

    fn key(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl Default for GcCondvar {
    fn default() -> Self {
        GcCondvar::new()
    }
}

impl fmt::Debug for GcCondvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GcCondvar").finish_non_exhaustive()
    }
}

// SAFETY: no handles, and nothing to drop.
unsafe impl Trace for GcCondvar {
    type Info = Leaf<Self>;

    #[inline]
    fn trace(&self, _: &mut Tracer<'_>) {}

    unsafe fn drop_swept(&mut self) {}
}

impl crate::trace::NoHandles for GcCondvar {}
