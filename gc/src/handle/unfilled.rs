//! A slice of plain data under construction, in the place where it stays.
//!
//! The collector neither traces nor drops plain data, so the object may be a root like any other before its elements are there: code of users may
//! run meanwhile for as long as it likes, collect, panic, or leak it all. Nobody but the [`Unfilled`] has a handle to it.

use super::Gc;
use crate::{
    mutator::allocate::{SliceRefused, allocate_slice},
    trace::{Trace, slices::DescribeSlice},
};
use std::{mem::MaybeUninit, ptr::NonNull};

/// See the module's head.
pub(super) struct Unfilled<T> {
    elements: Gc<[MaybeUninit<T>]>,
    /// That many elements at the front are there.
    filled: usize,
}

impl<T: Trace> Unfilled<T> {
    /// Room for `capacity` elements.
    pub(super) fn try_new(capacity: usize) -> Result<Self, SliceRefused> {
        assert!(!DescribeSlice::<T, [T]>::HAS_LENGTH, "not plain data");
        // SAFETY: elements of this type have nothing to trace and nothing to drop.
        let object = unsafe { allocate_slice::<T, [T]>(capacity, 0, |_| {}) }?;
        // SAFETY: the object is new and has one count; a `MaybeUninit<T>` is laid out like a `T`.
        let elements = unsafe {
            let first = object.payload(align_of::<T>()).cast();
            Gc::from_payload(NonNull::slice_from_raw_parts(first, capacity))
        };
        Ok(Unfilled { elements, filled: 0 })
    }

    /// The place of all elements.
    fn place(&mut self) -> &mut [MaybeUninit<T>] {
        // SAFETY: this is the only handle, and the collector does not look at plain data.
        unsafe { &mut *Gc::as_ptr(&self.elements).cast_mut() }
    }

    /// Adds an element.
    ///
    /// # Panics
    /// If there is no room.
    pub(super) fn push(&mut self, element: T) {
        let index = self.filled;
        self.place()[index].write(element);
        self.filled += 1;
    }

    /// The elements that are there, as an object of its own. What is behind them stays taken, and unused.
    pub(super) fn finish(self) -> Gc<[T]> {
        let first = Gc::into_payload(self.elements).cast();
        // SAFETY: so many elements are there; the count goes with the handle.
        unsafe { Gc::from_payload(NonNull::slice_from_raw_parts(first, self.filled)) }
    }
}
