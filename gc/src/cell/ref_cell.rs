//! `GcRefCell`: arbitrary content behind borrows checked at run time, for one thread.

use super::{
    borrow::{BorrowLock, Borrowed},
    guards::guard,
    lock_cell::{LockCell, lock_cell_traits},
};
use crate::handle::tied::Shared_UseGcMutexOrGcRwLock;
use crate::sync::const_fn;
use crate::trace::Trace;
use std::fmt;

/// The garbage-collected world's `RefCell`: any content, handles included, borrowed many times for reading or once for writing, checked at run
/// time. Not `Sync`; to share between threads use [`GcMutex`](crate::GcMutex) or [`GcRwLock`](crate::GcRwLock).
///
/// Reading costs what `RefCell` costs, writing one atomic operation more. The first borrow for writing after a collection cycle has visited the cell
/// walks over the content once (each handle in it becomes a root until the next visit); later ones do not. A large collection of
/// handles that is changed all the time is better split over its nodes.
///
/// ```
/// use graphgc::{Gc, GcRefCell, Trace};
///
/// #[derive(Trace)]
/// struct Node { edges: GcRefCell<Vec<Gc<Node>>> }
///
/// let node = Gc::new(Node { edges: GcRefCell::new(vec![]) });
/// node.edges.borrow_mut().push(node.clone());
/// assert!(Gc::ptr_eq(&node, &node.edges.borrow()[0]));
/// ```
pub struct GcRefCell<T>(LockCell<T, BorrowLock>);

// SAFETY: as for `RefCell`: whoever owns the cell owns its content. The marker reads the content from its own thread under
// the contract of `Trace`.
unsafe impl<T: Send> Send for GcRefCell<T> {}
// SAFETY: never so, as nothing has the bound: it says why.
unsafe impl<'never, T> Sync for GcRefCell<T> where Self: Shared_UseGcMutexOrGcRwLock<'never> {}

/// Why [`GcRefCell::try_borrow`] failed: the cell is borrowed for writing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BorrowError;

/// Why [`GcRefCell::try_borrow_mut`] failed: the cell is borrowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BorrowMutError;

impl fmt::Display for BorrowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("already borrowed for writing")
    }
}

impl fmt::Display for BorrowMutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("already borrowed")
    }
}

impl std::error::Error for BorrowError {}
impl std::error::Error for BorrowMutError {}

impl<T> GcRefCell<T> {
    const_fn! {
        /// A cell around `content`. Its handles stay counted until the cell becomes part of an object.
        pub fn new(content: T) -> Self {
            GcRefCell(LockCell::for_one_thread(content))
        }
    }

    /// The content of a cell that you have to yourself.
    pub fn into_inner(self) -> T {
        self.0.into_inner()
    }

    /// The content of a cell that you have to yourself; no borrow is counted.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }
}

impl<T: Trace> GcRefCell<T> {
    /// Borrows the content for reading.
    ///
    /// # Panics
    /// If it is borrowed for writing; [`try_borrow`](Self::try_borrow) does not.
    #[inline]
    #[track_caller]
    pub fn borrow(&self) -> Ref<'_, T> {
        match self.try_borrow() {
            Ok(guard) => guard,
            Err(error) => conflict(&error),
        }
    }

    /// Borrows the content for reading.
    ///
    /// # Errors
    /// If it is borrowed for writing. The collector never makes this fail.
    #[inline]
    pub fn try_borrow(&self) -> Result<Ref<'_, T>, BorrowError> {
        let right = self.0.try_borrow().ok_or(BorrowError)?;
        Ok(Ref::new(self.0.content(), right))
    }

    /// Borrows the content for writing.
    ///
    /// Cost: after a collection cycle has visited the cell, one pass over the content.
    ///
    /// # Panics
    /// If it is borrowed; [`try_borrow_mut`](Self::try_borrow_mut) does not.
    #[inline]
    #[track_caller]
    pub fn borrow_mut(&self) -> RefMut<'_, T> {
        match self.try_borrow_mut() {
            Ok(guard) => guard,
            Err(error) => conflict(&error),
        }
    }

    /// Borrows the content for writing.
    ///
    /// # Errors
    /// If it is borrowed. The collector never makes this fail.
    #[inline]
    pub fn try_borrow_mut(&self) -> Result<RefMut<'_, T>, BorrowMutError> {
        let right = self.0.try_borrow_mut().ok_or(BorrowMutError)?;
        Ok(RefMut { value: self.0.content(), right, content: std::marker::PhantomData })
    }

    /// Puts `content` in and gives back what was there.
    ///
    /// # Panics
    /// If the cell is borrowed.
    #[track_caller]
    pub fn replace(&self, content: T) -> T {
        std::mem::replace(&mut *self.borrow_mut(), content)
    }

    /// Swaps the contents of two cells.
    ///
    /// # Panics
    /// If either cell is borrowed, or both are the same.
    #[track_caller]
    pub fn swap(&self, other: &Self) {
        std::mem::swap(&mut *self.borrow_mut(), &mut *other.borrow_mut());
    }

    /// Takes the content, leaving the default.
    ///
    /// # Panics
    /// If the cell is borrowed.
    #[track_caller]
    pub fn take(&self) -> T
    where
        T: Default,
    {
        self.replace(T::default())
    }
}

#[cold]
#[inline(never)]
#[track_caller]
fn conflict(error: &dyn fmt::Display) -> ! {
    panic!("GcRefCell is {error}")
}

guard! {
    /// The content of a [`GcRefCell`], borrowed for reading.
    Ref, borrowed, maps to Ref
}

guard! {
    /// The content of a [`GcRefCell`], borrowed for writing.
    RefMut, borrowed mutably, maps to RefMut
}

impl<'a, T: ?Sized> Ref<'a, T> {
    /// The right to read `value`.
    #[inline]
    pub(super) fn new(value: *const T, right: Borrowed<'a>) -> Self {
        Ref { value, right, content: std::marker::PhantomData }
    }

    /// A second borrow of the same content. An associated function, so that it hides no `clone` of the content's.
    #[expect(clippy::should_implement_trait, reason = "as `std::cell::Ref::clone`")]
    pub fn clone(this: &Self) -> Self {
        Ref::new(this.value, this.right.again())
    }
}

impl<T: Trace + Clone> Clone for GcRefCell<T> {
    /// # Panics
    /// If the cell is borrowed for writing.
    fn clone(&self) -> Self {
        GcRefCell::new(self.borrow().clone())
    }
}

lock_cell_traits!(GcRefCell);
