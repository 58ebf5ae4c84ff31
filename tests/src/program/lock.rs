//! The lock-type cells under one name, with every route to their content that safe code has.

use super::{
    content::Content,
    node::{Any, Family},
    op::{Guard, Route},
};
use graphgc::{
    GcCondvar, GcMutex, GcMutexGuard, GcRefCell, GcRwLock, GcRwLockReadGuard, GcRwLockWriteGuard, Ref, RefMut, Trace,
};
use std::{
    mem,
    time::{Duration, Instant},
};

/// A cell for any content.
pub trait Lockable<T: Trace + Default>: Trace + From<T> + Default {
    /// Reads the content, if it can be had. `wait`: waits for other threads.
    fn look<R>(&self, wait: bool, read: impl FnOnce(&T) -> R) -> Option<R>;
    /// As above, through guards that were copied and mapped.
    fn look_mapped<R>(&self, read: impl FnOnce(&T) -> R) -> Option<R>;
    /// Changes the content, if it can be had. Waits for other threads unless told to try.
    fn change<R>(&self, route: Route, change: impl FnOnce(&mut T) -> R) -> Option<R>;
    /// Changes a part of the content, if it is there. `Err`: the cell cannot be opened.
    fn change_part<E, R>(
        &self,
        part: impl FnOnce(&mut T) -> Option<&mut E>,
        change: impl FnOnce(&mut E) -> R,
    ) -> Result<Option<R>, Held>;
    /// Exchanges the contents of two cells, if they can be had.
    fn swap_with(&self, other: &Self) -> bool;
    /// A copy of the cell, if it can be read.
    fn copy(&self) -> Option<Self>
    where
        T: Clone,
    {
        self.look(false, |content| Self::from(content.clone()))
    }
    /// Forgets a guard, if it can be had.
    fn leak(&self, guard: Guard);
    /// Nobody can write, or nobody can even read, as the guard that is held says.
    fn assert_held(&self, by: Guard);
    /// The content of a cell that one has to oneself.
    fn content_mut(&mut self) -> &mut T;
    /// The content alone.
    fn into_content(self) -> T;
}

/// A cell cannot be opened.
#[derive(Debug)]
pub struct Held;

impl<T: Trace + Default> Lockable<T> for GcRefCell<T> {
    fn look<R>(&self, _wait: bool, read: impl FnOnce(&T) -> R) -> Option<R> {
        self.try_borrow().ok().map(|guard| read(&guard))
    }

    fn look_mapped<R>(&self, read: impl FnOnce(&T) -> R) -> Option<R> {
        let guard = self.try_borrow().ok()?;
        assert!(self.try_borrow_mut().is_err(), "written while it is read");
        let second = Ref::clone(&guard);
        drop(guard);
        assert!(self.try_borrow_mut().is_err(), "written while it is read");
        let guard = Ref::filter_map(second, |_| None::<&T>).err().expect("there is none");
        Some(read(&Ref::map(guard, |content| content)))
    }

    fn change<R>(&self, route: Route, change: impl FnOnce(&mut T) -> R) -> Option<R> {
        drop(self.try_borrow_mut().ok()?);
        Some(match route {
            Route::Guard => change(&mut self.borrow_mut()),
            Route::Try => change(&mut *self.try_borrow_mut().ok()?),
            Route::Map => change(&mut RefMut::map(self.borrow_mut(), |content| content)),
            Route::FilterMap => {
                let guard = RefMut::filter_map(self.borrow_mut(), |_| None::<&mut T>).err().expect("there is none");
                change(&mut RefMut::filter_map(guard, |content| Some(content)).ok().expect("there is one"))
            }
            Route::Whole => {
                let mut content = self.take();
                let result = change(&mut content);
                drop(self.replace(content));
                result
            }
            Route::Downgrade => {
                let mut guard = self.borrow_mut();
                assert!(self.try_borrow().is_err() && self.try_borrow_mut().is_err(), "opened twice");
                change(&mut guard)
            }
        })
    }

    fn change_part<E, R>(
        &self,
        part: impl FnOnce(&mut T) -> Option<&mut E>,
        change: impl FnOnce(&mut E) -> R,
    ) -> Result<Option<R>, Held> {
        let guard = self.try_borrow_mut().map_err(|_| Held)?;
        Ok(RefMut::filter_map(guard, part).ok().map(|mut part| change(&mut part)))
    }

    fn swap_with(&self, other: &Self) -> bool {
        let closed = self.try_borrow_mut().is_err() || other.try_borrow_mut().is_err();
        if closed || std::ptr::eq(self, other) {
            return false;
        }
        self.swap(other);
        true
    }

    fn copy(&self) -> Option<Self>
    where
        T: Clone,
    {
        self.try_borrow().is_ok().then(|| self.clone())
    }

    fn leak(&self, guard: Guard) {
        match guard {
            Guard::Read => mem::forget(self.try_borrow()),
            Guard::Write => mem::forget(self.try_borrow_mut()),
        }
    }

    fn assert_held(&self, by: Guard) {
        assert!(self.try_borrow_mut().is_err(), "opened though a guard is held");
        assert_eq!(self.try_borrow().is_err(), by == Guard::Write, "what a guard lets in");
    }

    fn content_mut(&mut self) -> &mut T {
        self.get_mut()
    }

    fn into_content(self) -> T {
        self.into_inner()
    }
}

impl<T: Trace + Default> Lockable<T> for GcMutex<T> {
    fn look<R>(&self, wait: bool, read: impl FnOnce(&T) -> R) -> Option<R> {
        if wait { Some(read(&self.lock())) } else { self.try_lock().map(|guard| read(&guard)) }
    }

    fn look_mapped<R>(&self, read: impl FnOnce(&T) -> R) -> Option<R> {
        let guard = self.try_lock()?;
        assert!(self.try_lock().is_none(), "locked twice");
        Some(read(&GcMutexGuard::map(guard, |content| content)))
    }

    fn change<R>(&self, route: Route, change: impl FnOnce(&mut T) -> R) -> Option<R> {
        Some(match route {
            Route::Guard => change(&mut self.lock()),
            // Not downgraded, there being nothing to go down to, but given up and taken again.
            Route::Downgrade => change(&mut GcCondvar::new().wait_timeout(self.lock(), Duration::ZERO).0),
            Route::Whole => {
                let mut content = mem::take(&mut *self.lock());
                let result = change(&mut content);
                *self.lock() = content;
                result
            }
            Route::Try => change(&mut *self.try_lock_for(Duration::ZERO)?),
            Route::Map => change(&mut GcMutexGuard::map(self.lock(), |content| content)),
            Route::FilterMap => {
                let guard = GcMutexGuard::filter_map(self.lock(), |_| None::<&mut T>).err().expect("there is none");
                change(&mut GcMutexGuard::filter_map(guard, |content| Some(content)).ok().expect("there is one"))
            }
        })
    }

    fn change_part<E, R>(
        &self,
        part: impl FnOnce(&mut T) -> Option<&mut E>,
        change: impl FnOnce(&mut E) -> R,
    ) -> Result<Option<R>, Held> {
        Ok(GcMutexGuard::filter_map(self.lock(), part).ok().map(|mut part| change(&mut part)))
    }

    fn swap_with(&self, other: &Self) -> bool {
        let mut mine = self.lock();
        // Never waits with a lock held.
        let Some(mut theirs) = other.try_lock() else { return false };
        mem::swap(&mut *mine, &mut *theirs);
        true
    }

    fn leak(&self, _guard: Guard) {
        mem::forget(self.try_lock());
    }

    fn assert_held(&self, _by: Guard) {
        assert!(self.try_lock().is_none(), "locked though a guard is held");
    }

    fn content_mut(&mut self) -> &mut T {
        self.get_mut()
    }

    fn into_content(self) -> T {
        self.into_inner()
    }
}

impl<T: Trace + Default> Lockable<T> for GcRwLock<T> {
    fn look<R>(&self, wait: bool, read: impl FnOnce(&T) -> R) -> Option<R> {
        if wait { Some(read(&self.read())) } else { self.try_read().map(|guard| read(&guard)) }
    }

    fn look_mapped<R>(&self, read: impl FnOnce(&T) -> R) -> Option<R> {
        let guard = self.try_read()?;
        assert!(self.try_write().is_none(), "written while it is read");
        let guard = GcRwLockReadGuard::filter_map(guard, |_| None::<&T>).err().expect("there is none");
        Some(read(&GcRwLockReadGuard::map(guard, |content| content)))
    }

    fn change<R>(&self, route: Route, change: impl FnOnce(&mut T) -> R) -> Option<R> {
        Some(match route {
            Route::Guard => change(&mut self.write()),
            Route::Try => change(&mut *self.try_write_until(Instant::now())?),
            Route::Map => change(&mut GcRwLockWriteGuard::map(self.write(), |content| content)),
            Route::FilterMap => {
                let guard =
                    GcRwLockWriteGuard::filter_map(self.write(), |_| None::<&mut T>).err().expect("there is none");
                change(&mut GcRwLockWriteGuard::filter_map(guard, |content| Some(content)).ok().expect("there is one"))
            }
            Route::Whole => {
                let mut content = mem::take(&mut *self.write());
                let result = change(&mut content);
                *self.write() = content;
                result
            }
            Route::Downgrade => {
                let mut guard = self.write();
                let result = change(&mut guard);
                let _reading = GcRwLockWriteGuard::downgrade(guard);
                assert!(self.try_write().is_none(), "written while it is read");
                result
            }
        })
    }

    fn change_part<E, R>(
        &self,
        part: impl FnOnce(&mut T) -> Option<&mut E>,
        change: impl FnOnce(&mut E) -> R,
    ) -> Result<Option<R>, Held> {
        Ok(GcRwLockWriteGuard::filter_map(self.write(), part).ok().map(|mut part| change(&mut part)))
    }

    fn swap_with(&self, other: &Self) -> bool {
        let mut mine = self.write();
        // Never waits with a lock held.
        let Some(mut theirs) = other.try_write() else { return false };
        mem::swap(&mut *mine, &mut *theirs);
        true
    }

    fn leak(&self, guard: Guard) {
        match guard {
            Guard::Read => mem::forget(self.try_read()),
            Guard::Write => mem::forget(self.try_write()),
        }
    }

    fn assert_held(&self, by: Guard) {
        assert!(self.try_write().is_none(), "opened though a guard is held");
        assert_eq!(self.try_read().is_none(), by == Guard::Write, "what a guard lets in");
    }

    fn content_mut(&mut self) -> &mut T {
        self.get_mut()
    }

    fn into_content(self) -> T {
        self.into_inner()
    }
}

/// A lock-type cell of an object.
pub enum CellRef<'a, F: Family> {
    /// The family's cell.
    Cell(&'a F::Cell<Content<Any<F>>>),
    /// A mutex.
    Mutex(&'a GcMutex<Content<Any<F>>>),
    /// A lock for reading and writing.
    Lock(&'a GcRwLock<Content<Any<F>>>),
}

macro_rules! each {
    ($this:expr, $cell:ident => $body:expr) => {
        match $this {
            CellRef::Cell($cell) => $body,
            CellRef::Mutex($cell) => $body,
            CellRef::Lock($cell) => $body,
        }
    };
}

impl<F: Family> CellRef<'_, F> {
    /// See [`Lockable::look`].
    pub fn read<R>(&self, wait: bool, read: impl FnOnce(&Content<Any<F>>) -> R) -> Option<R> {
        each!(self, cell => cell.look(wait, read))
    }

    /// See [`Lockable::look_mapped`].
    pub fn read_mapped<R>(&self, read: impl FnOnce(&Content<Any<F>>) -> R) -> Option<R> {
        each!(self, cell => cell.look_mapped(read))
    }

    /// See [`Lockable::change`].
    pub fn write<R>(&self, route: Route, change: impl FnOnce(&mut Content<Any<F>>) -> R) -> Option<R> {
        each!(self, cell => cell.change(route, change))
    }

    /// See [`Lockable::change_part`].
    pub fn write_some<R>(&self, change: impl FnOnce(&mut Any<F>) -> R) -> Result<Option<R>, Held> {
        each!(self, cell => cell.change_part(Content::some_mut, change))
    }

    /// See [`Lockable::swap_with`]; only cells of the same type can be swapped.
    pub fn swap(&self, other: &Self) -> bool {
        match (self, other) {
            (CellRef::Cell(one), CellRef::Cell(other)) => one.swap_with(other),
            (CellRef::Mutex(one), CellRef::Mutex(other)) => one.swap_with(other),
            (CellRef::Lock(one), CellRef::Lock(other)) => one.swap_with(other),
            _ => false,
        }
    }

    /// See [`Lockable::leak`].
    pub fn leak(&self, guard: Guard) {
        each!(self, cell => cell.leak(guard));
    }

    /// Whether a guard for reading keeps others out.
    pub fn is_exclusive(&self) -> bool {
        matches!(self, CellRef::Mutex(_))
    }

    /// See [`Lockable::assert_held`].
    pub fn assert_held(&self, by: Guard) {
        each!(self, cell => cell.assert_held(by));
    }
}
