//! `GcRwLock`: arbitrary content for many readers or one writer.

use super::{
    guards::guard,
    lock_cell::{LockCell, lock_cell_traits},
    open::Wait,
};
use crate::sync::const_fn;
use crate::trace::Trace;
use std::time::{Duration, Instant};

/// The garbage-collected world's `RwLock`: any content, handles included, for many readers or one writer.
///
/// A thread that has to wait is parked; new readers queue up behind a waiting writer, so a thread that reads twice can block
/// for ever. Not poisoned by a panic. The first write access after a collection cycle has visited the lock walks over the
/// content once; reading never does.
///
/// ```
/// use graphgc::{Gc, GcRwLock, Trace};
///
/// #[derive(Trace)]
/// struct Node { edges: GcRwLock<Vec<Gc<Node>>> }
///
/// let node = Gc::new(Node { edges: GcRwLock::new(vec![]) });
/// node.edges.write().push(node.clone());
/// assert_eq!(node.edges.read().len(), 1);
/// ```
pub struct GcRwLock<T>(LockCell<T>);

// SAFETY: as for `RwLock`: whoever owns it owns the content.
unsafe impl<T: Send> Send for GcRwLock<T> {}
// SAFETY: as for `RwLock`: readers share the content, a writer has it alone.
unsafe impl<T: Send + Sync> Sync for GcRwLock<T> {}

impl<T> GcRwLock<T> {
    const_fn! {
        /// A lock around `content`.
        pub fn new(content: T) -> Self {
            GcRwLock(LockCell::new(content))
        }
    }

    /// The content of a lock that you have to yourself.
    pub fn into_inner(self) -> T {
        self.0.into_inner()
    }

    /// The content of a lock that you have to yourself, without locking.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }
}

impl<T: Trace> GcRwLock<T> {
    /// Locks for reading; blocks, parked, while a writer holds the lock or waits for it.
    #[inline]
    pub fn read(&self) -> GcRwLockReadGuard<'_, T> {
        GcRwLockReadGuard { right: self.0.read(), value: self.0.content(), content: std::marker::PhantomData }
    }

    /// Locks for reading if no writer holds the lock.
    #[inline]
    pub fn try_read(&self) -> Option<GcRwLockReadGuard<'_, T>> {
        let right = self.0.try_read()?;
        Some(GcRwLockReadGuard { right, value: self.0.content(), content: std::marker::PhantomData })
    }

    /// Locks for writing; blocks, parked, while anyone holds the lock.
    #[inline]
    pub fn write(&self) -> GcRwLockWriteGuard<'_, T> {
        GcRwLockWriteGuard { right: self.0.write(), value: self.0.content(), content: std::marker::PhantomData }
    }

    /// Locks for writing if nobody holds the lock. The collector never makes this fail.
    #[inline]
    pub fn try_write(&self) -> Option<GcRwLockWriteGuard<'_, T>> {
        self.write_in_time(Wait::No)
    }

    /// Locks for reading if that can be had within `timeout`; blocks, parked, for no longer than that.
    ///
    /// ```
    /// use graphgc::GcRwLock;
    /// use std::time::Duration;
    ///
    /// let lock = GcRwLock::new(7);
    /// let written = lock.write();
    /// assert!(lock.try_read_for(Duration::from_millis(1)).is_none());
    /// drop(written);
    /// let read = lock.try_read_for(Duration::from_millis(1)).unwrap();
    /// assert_eq!(*read, 7);
    /// assert!(lock.try_write_for(Duration::from_millis(1)).is_none());
    /// ```
    pub fn try_read_for(&self, timeout: Duration) -> Option<GcRwLockReadGuard<'_, T>> {
        self.read_in_time(Wait::time(timeout))
    }

    /// Locks for reading if that can be had before `deadline`; blocks, parked, for no longer than that.
    pub fn try_read_until(&self, deadline: Instant) -> Option<GcRwLockReadGuard<'_, T>> {
        self.read_in_time(Wait::Until(deadline))
    }

    /// Locks for writing if that can be had within `timeout`; blocks, parked, for no longer than that.
    pub fn try_write_for(&self, timeout: Duration) -> Option<GcRwLockWriteGuard<'_, T>> {
        self.try_write().or_else(|| self.write_in_time(Wait::time(timeout)))
    }

    /// Locks for writing if that can be had before `deadline`; blocks, parked, for no longer than that.
    pub fn try_write_until(&self, deadline: Instant) -> Option<GcRwLockWriteGuard<'_, T>> {
        self.write_in_time(Wait::Until(deadline))
    }

    fn read_in_time(&self, wait: Wait) -> Option<GcRwLockReadGuard<'_, T>> {
        let right = self.0.read_in_time(wait)?;
        Some(GcRwLockReadGuard { right, value: self.0.content(), content: std::marker::PhantomData })
    }

    #[inline]
    fn write_in_time(&self, wait: Wait) -> Option<GcRwLockWriteGuard<'_, T>> {
        let right = self.0.write_in_time(wait)?;
        Some(GcRwLockWriteGuard { right, value: self.0.content(), content: std::marker::PhantomData })
    }
}

guard! {
    /// The content of a [`GcRwLock`] locked for reading.
    GcRwLockReadGuard, reading, maps to MappedGcRwLockReadGuard
}

guard! {
    /// A part of the content of a [`GcRwLock`] locked for reading.
    MappedGcRwLockReadGuard, reading, maps to MappedGcRwLockReadGuard
}

guard! {
    /// The content of a [`GcRwLock`] locked for writing.
    GcRwLockWriteGuard, writing, maps to MappedGcRwLockWriteGuard
}

guard! {
    /// A part of the content of a [`GcRwLock`] locked for writing.
    MappedGcRwLockWriteGuard, writing, maps to MappedGcRwLockWriteGuard
}

impl<'a, T> GcRwLockWriteGuard<'a, T> {
    /// Goes from writing to reading with no gap in which another writer could come.
    pub fn downgrade(this: Self) -> GcRwLockReadGuard<'a, T> {
        GcRwLockReadGuard { value: this.value, right: this.right.downgrade(), content: std::marker::PhantomData }
    }
}

// SAFETY: a shared guard gives no more than `&T`.
unsafe impl<T: ?Sized + Sync> Sync for GcRwLockReadGuard<'_, T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Sync> Sync for MappedGcRwLockReadGuard<'_, T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Sync> Sync for GcRwLockWriteGuard<'_, T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Sync> Sync for MappedGcRwLockWriteGuard<'_, T> {}

lock_cell_traits!(GcRwLock);
