//! `GcMutex`: arbitrary content for one thread at a time.

use super::{
    guards::guard,
    lock::CellLock,
    lock_cell::{LockCell, lock_cell_traits},
    open::Wait,
};
use crate::sync::const_fn;
use crate::trace::Trace;
use std::time::{Duration, Instant};

/// The garbage-collected world's `Mutex`: any content, handles included, for one thread at a time.
///
/// A thread that has to wait is parked. Not fair, and not poisoned by a panic: the content is then as the panicking thread left it.
/// Locking the same mutex twice on one thread blocks for ever. To wait for a condition there is [`GcCondvar`](crate::GcCondvar). The first lock after a collection cycle has visited the mutex walks over the content
/// once.
///
/// ```
/// use graphgc::{Gc, GcMutex, Trace};
///
/// #[derive(Trace)]
/// struct Queue { waiting: GcMutex<Vec<Gc<String>>> }
///
/// let queue = Gc::new(Queue { waiting: GcMutex::new(vec![]) });
/// let other = queue.clone();
/// std::thread::spawn(move || other.waiting.lock().push(Gc::new("job".to_string()))).join().unwrap();
/// assert_eq!(queue.waiting.lock().len(), 1);
/// ```
pub struct GcMutex<T>(LockCell<T>);

// SAFETY: as for `Mutex`: whoever owns it owns the content.
unsafe impl<T: Send> Send for GcMutex<T> {}
// SAFETY: as for `Mutex`: one thread at a time gets at the content.
unsafe impl<T: Send> Sync for GcMutex<T> {}

impl<T> GcMutex<T> {
    const_fn! {
        /// A mutex around `content`.
        pub fn new(content: T) -> Self {
            GcMutex(LockCell::new(content))
        }
    }

    /// The content of a mutex that you have to yourself.
    pub fn into_inner(self) -> T {
        self.0.into_inner()
    }

    /// The content of a mutex that you have to yourself, without locking.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }
}

impl<T: Trace> GcMutex<T> {
    /// Locks the mutex; blocks, parked, while another thread holds it.
    #[inline]
    pub fn lock(&self) -> GcMutexGuard<'_, T> {
        GcMutexGuard { right: self.0.write(), value: self.0.content(), content: std::marker::PhantomData }
    }

    /// Locks the mutex if nobody holds it. The collector never makes this fail.
    #[inline]
    pub fn try_lock(&self) -> Option<GcMutexGuard<'_, T>> {
        self.lock_in_time(Wait::No)
    }

    /// Locks the mutex if it can be had within `timeout`; blocks, parked, for no longer than that.
    ///
    /// ```
    /// use graphgc::GcMutex;
    /// use std::time::Duration;
    ///
    /// let mutex = GcMutex::new(7);
    /// let held = mutex.lock();
    /// assert!(mutex.try_lock_for(Duration::from_millis(1)).is_none());
    /// drop(held);
    /// assert_eq!(*mutex.try_lock_for(Duration::from_millis(1)).unwrap(), 7);
    /// ```
    pub fn try_lock_for(&self, timeout: Duration) -> Option<GcMutexGuard<'_, T>> {
        self.try_lock().or_else(|| self.lock_in_time(Wait::time(timeout)))
    }

    /// Locks the mutex if it can be had before `deadline`; blocks, parked, for no longer than that.
    pub fn try_lock_until(&self, deadline: Instant) -> Option<GcMutexGuard<'_, T>> {
        self.lock_in_time(Wait::Until(deadline))
    }

    #[inline]
    fn lock_in_time(&self, wait: Wait) -> Option<GcMutexGuard<'_, T>> {
        let right = self.0.write_in_time(wait)?;
        Some(GcMutexGuard { right, value: self.0.content(), content: std::marker::PhantomData })
    }
}

impl<T: Trace> GcMutexGuard<'_, T> {
    /// Gives the mutex up while `wait` waits, which unlocks it on its way, and locks it again.
    pub(super) fn while_unlocked<R>(this: Self, wait: impl FnOnce(&CellLock) -> R) -> (Self, R) {
        let (right, result) = this.right.while_unlocked(this.value.cast_const(), wait);
        (GcMutexGuard { right, value: this.value, content: std::marker::PhantomData }, result)
    }
}

guard! {
    /// The content of a locked [`GcMutex`].
    GcMutexGuard, writing, maps to MappedGcMutexGuard
}

guard! {
    /// A part of the content of a locked [`GcMutex`].
    MappedGcMutexGuard, writing, maps to MappedGcMutexGuard
}

// SAFETY: a shared guard gives no more than `&T`.
unsafe impl<T: ?Sized + Sync> Sync for GcMutexGuard<'_, T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Sync> Sync for MappedGcMutexGuard<'_, T> {}

lock_cell_traits!(GcMutex);
