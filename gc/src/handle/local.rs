//! `Local`: a pointer to an object that a pin keeps, for as long as the pin is held.

use super::{Gc, guard::Guard, tied::LeavesItsPin};
use crate::{heap::header::Object, mutator::Operation, trace::Trace};
use std::{
    cmp::Ordering,
    error::Error,
    fmt,
    hash::{Hash, Hasher},
    marker::PhantomData,
    mem::align_of_val,
    ops::Deref,
    ptr::NonNull,
};

/// A pointer to an object, valid while a [`Guard`] is held: copied, passed and followed like a reference, at the same cost.
///
/// Comes from [`GcCell::load`](crate::GcCell::load), [`Gc::local`] and [`Guard::alloc`]. Nothing is counted; the pin keeps the object, and
/// all that it leads to, even when every handle to it is gone. To keep it longer take a handle:
/// [`to_gc`](Self::to_gc). Stays on its thread, and fits into no type that outlives the guard:
///
/// ```compile_fail,E0505
/// let guard = graphgc::pin();
/// let local = guard.alloc(7);
/// drop(guard);
/// assert_eq!(*local, 7);
/// ```
///
/// Comparisons, hashes and formats are those of the content, as with [`Gc`]; [`ptr_eq`](Self::ptr_eq) compares identity. What is not a conversion is an
/// associated function, so that it hides no method of the content's: `Local::get(local)`.
pub struct Local<'g, T: ?Sized> {
    payload: NonNull<T>,
    /// Shares the object, as long as the guard, which is of this thread.
    pinned: PhantomData<(&'g T, &'g Guard)>,
}

// SAFETY: never so, as nothing has the bound: it says why.
unsafe impl<'never, T: ?Sized> Send for Local<'_, T> where Self: LeavesItsPin<'never> {}
// SAFETY: as above.
unsafe impl<'never, T: ?Sized> Sync for Local<'_, T> where Self: LeavesItsPin<'never> {}

impl<'g, T: ?Sized> Local<'g, T> {
    /// # Safety
    /// The payload is that of an object that is reachable at some moment of a pin of this thread that lasts for `'g`.
    #[inline]
    pub(crate) unsafe fn from_payload(payload: NonNull<T>) -> Self {
        Local { payload, pinned: PhantomData }
    }

    #[inline]
    pub(crate) fn as_object(self) -> Object {
        // SAFETY: the pin keeps the object; the alignment is that of the payload's type.
        unsafe { Object::of_payload(self.payload.cast(), align_of_val(self.payload.as_ref())) }
    }

    /// The content, for as long as the guard is held; dereferencing gives it for as long as the `Local` is borrowed.
    ///
    /// ```
    /// use graphgc::Local;
    ///
    /// fn first<'g>(list: Local<'g, Vec<u32>>) -> &'g u32 {
    ///     &Local::get(list)[0]
    /// }
    ///
    /// let guard = graphgc::pin();
    /// assert_eq!(*first(guard.alloc(vec![7])), 7);
    /// ```
    #[inline]
    pub fn get(this: Self) -> &'g T {
        // SAFETY: the pin, which lasts for `'g`, keeps the object.
        unsafe { this.payload.as_ref() }
    }

    /// A handle of its own to the object, which keeps it beyond the guard. Cost: a few nanoseconds, as for
    /// [`GcCell::get`](crate::GcCell::get).
    ///
    /// ```
    /// let kept = {
    ///     let guard = graphgc::pin();
    ///     guard.alloc(7).to_gc()
    /// };
    /// graphgc::collect();
    /// assert_eq!(*kept, 7);
    /// ```
    #[inline]
    pub fn to_gc(self) -> Gc<T> {
        Operation::enter().count_for_thread(self.as_object());
        // SAFETY: just counted, for this handle.
        unsafe { Gc::from_payload(self.payload) }
    }

    /// Whether both lead to the same object.
    #[inline]
    pub fn ptr_eq(this: Self, other: Local<'_, T>) -> bool {
        std::ptr::addr_eq(this.payload.as_ptr(), other.payload.as_ptr())
    }

    /// The address of the content, valid while the guard is held.
    #[inline]
    pub fn as_ptr(this: Self) -> *const T {
        this.payload.as_ptr()
    }
}

impl<T: Trace> Local<'_, T> {
    /// # Safety
    /// As for `from_payload`, and the object's type is `T`.
    #[inline]
    pub(crate) unsafe fn from_object(object: Object) -> Self {
        // SAFETY: by contract.
        unsafe { Local::from_payload(object.payload(align_of::<T>()).cast()) }
    }
}

impl<T: ?Sized> Clone for Local<'_, T> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Local<'_, T> {}

impl<T: ?Sized> Deref for Local<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        Local::get(*self)
    }
}

impl<T: ?Sized> AsRef<T> for Local<'_, T> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T: ?Sized> From<Local<'_, T>> for Gc<T> {
    fn from(local: Local<'_, T>) -> Self {
        local.to_gc()
    }
}

/// Through to the content. Cells print shallowly, so printing a cyclic graph ends.
impl<T: ?Sized + fmt::Debug> fmt::Debug for Local<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for Local<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized> fmt::Pointer for Local<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Pointer::fmt(&Local::as_ptr(*self), f)
    }
}

/// Compares contents; [`Local::ptr_eq`] compares identity.
impl<T: ?Sized + PartialEq> PartialEq for Local<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: ?Sized + Eq> Eq for Local<'_, T> {}

impl<T: ?Sized + PartialOrd> PartialOrd for Local<'_, T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (**self).partial_cmp(&**other)
    }
}

impl<T: ?Sized + Ord> Ord for Local<'_, T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl<T: ?Sized + Hash> Hash for Local<'_, T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl<T: ?Sized + Error> Error for Local<'_, T> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        (**self).source()
    }
}
