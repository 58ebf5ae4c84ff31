//! Objects that are slices: `[T]` and `str`, of a length that is known at run time.
//!
//! The elements lie where a payload of their alignment lies, right behind the header, as those of an array do: a `Gc<[T]>` may have been made from a
//! `Gc<[T; N]>`, and both lead back to their headers in the same way. A wide handle knows the length itself. The collector, which has only the
//! object, finds it in the last word of the slot; slices that it neither traces nor drops (`str`, bytes, numbers) have no such word. The
//! slot's size is that of the span, so that the header stays as it is.

use super::{
    Trace, Tracer,
    tracer::Pass,
    type_info::{Describe, SlotShape, SlotToReuse, TypeInfo},
};
use crate::collector::mark::Marker;
use crate::heap::{
    header::{Object, payload_offset},
    kind::{DropKind, Kind},
    size_class,
    span::Span,
};
use std::{alloc::Layout, marker::PhantomData, ptr::NonNull};

/// Gives slices of `T` their descriptor, under the name of `U`: `[T]` itself, or `str` for bytes.
pub(crate) struct DescribeSlice<T, U: ?Sized>(PhantomData<(T, *const U)>);

impl<T: Trace, U: ?Sized> DescribeSlice<T, U> {
    /// Elements are no objects: nobody finalizes them.
    pub(crate) const KIND: Kind = Describe::<T>::PART;
    /// The collector must know the length.
    pub(crate) const HAS_LENGTH: bool = Self::KIND.scan || !matches!(Self::KIND.drop, DropKind::None);
    pub(crate) const INFO: &'static TypeInfo = &TypeInfo {
        mark: mark_slice::<T>,
        trace: trace_slice::<T>,
        drop_swept: drop_slice::<T>,
        finalize: |_| (),
        slot: SlotShape::BySpan,
        reuse: SlotToReuse::UNKNOWN,
        align: align_of::<T>(),
        kind: Self::KIND,
        owner: None,
        due: None,
        name: std::any::type_name::<U>,
    };
}

/// The slot that a slice asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SliceSlot {
    /// Bytes of header, elements and length.
    pub(crate) size: usize,
    /// 0: a span of its own.
    pub(crate) class: usize,
}

impl SliceSlot {
    /// The slot for a slice of `length` elements, `None` if no address space could hold it.
    pub(crate) fn of<T: Trace>(length: usize) -> Option<Self> {
        let layout = Layout::array::<T>(length).ok()?;
        let word = if DescribeSlice::<T, [T]>::HAS_LENGTH { size_of::<usize>() } else { 0 };
        let size = payload_offset(align_of::<T>()).checked_add(layout.size())?.checked_add(word)?;
        (size <= isize::MAX as usize).then(|| SliceSlot { size, class: size_class::class_of(size, align_of::<T>()) })
    }
}

/// The word that holds the length of a slice.
///
/// # Safety
/// The object is allocated, as a slice that has such a word.
pub(crate) unsafe fn length_word(object: Object) -> NonNull<usize> {
    // SAFETY: by contract.
    let end = unsafe { Span::of(object) }.end_of_slot(object);
    // SAFETY: a slot is not at the start of the address space.
    unsafe { NonNull::new_unchecked(end.wrapping_sub(size_of::<usize>()).cast()) }
}

/// # Safety
/// The object is a slice of `T` that has a length word, which has been written.
unsafe fn elements<T>(object: Object) -> NonNull<[T]> {
    // SAFETY: by contract.
    unsafe { NonNull::slice_from_raw_parts(object.payload(align_of::<T>()).cast(), length_word(object).read()) }
}

/// # Safety
/// The object is a live slice of `T`.
unsafe fn mark_slice<T: Trace>(object: Object, marker: &mut Marker) {
    // SAFETY: by contract.
    unsafe { trace_slice::<T>(object, &mut Tracer::new(Pass::Mark(marker))) };
}

/// # Safety
/// The object is a live slice of `T`.
unsafe fn trace_slice<T: Trace>(object: Object, tracer: &mut Tracer<'_>) {
    if DescribeSlice::<T, [T]>::KIND.scan {
        // SAFETY: by contract; a slice with handles has a length word; traced values may be shared with the marker.
        unsafe { elements::<T>(object).as_ref() }.trace(tracer);
    }
}

/// # Safety
/// The object is a dead slice of `T` that nothing else reaches; it is gone afterwards.
unsafe fn drop_slice<T: Trace>(object: Object) {
    if DescribeSlice::<T, [T]>::HAS_LENGTH {
        // SAFETY: by contract the reference is unique and the elements are not used again.
        unsafe { elements::<T>(object).as_mut().drop_swept() };
    }
}

#[cfg(all(test, not(graphgc_loom)))]
mod tests {
    use super::*;
    use crate::Gc;

    #[test]
    fn lengths_are_kept_where_they_are_needed() {
        const { assert!(!DescribeSlice::<u8, str>::HAS_LENGTH) };
        const { assert!(!DescribeSlice::<&'static str, [&'static str]>::HAS_LENGTH) };
        const { assert!(DescribeSlice::<Gc<u8>, [Gc<u8>]>::HAS_LENGTH) };
        const { assert!(DescribeSlice::<String, [String]>::HAS_LENGTH) };
        assert_eq!(DescribeSlice::<u8, str>::INFO.name(), "str");
    }

    #[test]
    fn sizes_that_no_address_space_holds() {
        assert!(SliceSlot::of::<u8>(usize::MAX).is_none());
        assert!(SliceSlot::of::<u64>(usize::MAX / 8).is_none());
        assert!(SliceSlot::of::<u8>(isize::MAX as usize).is_none(), "with its header it is too large");
        assert_eq!(SliceSlot::of::<()>(usize::MAX).unwrap().class, size_class::class_of(8, 1));
        assert_eq!(SliceSlot::of::<u8>(3).unwrap().size, 11);
        assert_eq!(SliceSlot::of::<String>(1).unwrap().size, 40);
    }
}
