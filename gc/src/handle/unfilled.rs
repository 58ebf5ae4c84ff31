//! A slice of plain data under construction, in the place where it stays.
//!
//! The collector neither traces nor drops plain data, so the object may be a root like any other before its elements are there: code of users may
//! run meanwhile for as long as it likes, collect, panic, or leak it all. Nobody but the [`Unfilled`] has a handle to it.

use super::Gc;
use crate::{
    mutator::allocate::{SliceRefused, allocate_slice},
    trace::{Trace, slices::DescribeSlice},
};
use std::{
    mem::MaybeUninit,
    ptr::{NonNull, copy_nonoverlapping},
};

/// See the module's head.
pub(super) struct Unfilled<T> {
    elements: Gc<[MaybeUninit<T>]>,
    /// That many elements at the front are there.
    filled: usize,
    /// That many places at the front have been written, if more than `filled`.
    written: usize,
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
        Ok(Unfilled { elements, filled: 0, written: 0 })
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

    pub(super) fn capacity(&self) -> usize {
        Gc::as_ptr(&self.elements).len()
    }

    /// The elements that are there.
    pub(super) fn filled(&self) -> &[T] {
        let first = Gc::as_ptr(&self.elements).cast::<T>();
        // SAFETY: so many elements are there.
        unsafe { std::slice::from_raw_parts(first, self.filled) }
    }

    /// The elements that are there, as an object of its own. What is behind them stays taken, and unused.
    pub(super) fn finish(self) -> Gc<[T]> {
        let first = Gc::into_payload(self.elements).cast();
        // SAFETY: so many elements are there; the count goes with the handle.
        unsafe { Gc::from_payload(NonNull::slice_from_raw_parts(first, self.filled)) }
    }
}

impl Unfilled<u8> {
    /// Adds bytes.
    ///
    /// # Panics
    /// If there is no room.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        let range = self.filled..self.filled + bytes.len();
        let place = &mut self.place()[range];
        // SAFETY: as many places as bytes; nobody else has a reference to the object.
        unsafe { copy_nonoverlapping(bytes.as_ptr(), place.as_mut_ptr().cast(), place.len()) };
        self.filled += bytes.len();
    }

    /// The room behind the bytes that are there, or as many bytes of it. What was never written is zeroed.
    pub(super) fn spare(&mut self, most: usize) -> &mut [u8] {
        let (filled, written) = (self.filled, self.written.max(self.filled));
        let end = filled + most.min(self.capacity() - filled);
        if end > written {
            self.place()[written..end].fill(MaybeUninit::new(0));
            self.written = end;
        }
        let spare = &mut self.place()[filled..end];
        // SAFETY: all of it has been written.
        unsafe { &mut *(std::ptr::from_mut(spare) as *mut [u8]) }
    }

    /// Says that so many bytes more are there.
    ///
    /// # Safety
    /// They have been written.
    pub(super) unsafe fn add_filled(&mut self, more: usize) {
        self.filled += more;
    }
}
