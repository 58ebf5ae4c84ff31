//! Models: memory from the allocator, for one execution of a model.

use std::{
    alloc::{Layout, alloc_zeroed, dealloc},
    cell::{Cell, RefCell},
    ffi::CStr,
    ptr::NonNull,
};

thread_local! {
    // Std's: loom runs all threads of a model on the one that checks it.
    static RESERVED: RefCell<Vec<(NonNull<u8>, Layout)>> = const { RefCell::new(Vec::new()) };
    static REFUSED: Cell<usize> = const { Cell::new(0) };
}

/// From now on, in this execution, commits of just so many bytes are refused.
pub(crate) fn refuse(len: usize) {
    REFUSED.set(len);
}

/// Frees what an earlier execution reserved.
pub(crate) fn reset() {
    refuse(0);
    for (start, layout) in RESERVED.take() {
        // SAFETY: allocated with this layout below; the execution that used it has ended.
        unsafe { dealloc(start.as_ptr(), layout) };
    }
}

pub(super) fn reserve(size: usize, align: usize) -> Option<NonNull<u8>> {
    let layout = Layout::from_size_align(size, align).ok()?;
    // SAFETY: no size is zero.
    let start = NonNull::new(unsafe { alloc_zeroed(layout) })?;
    RESERVED.with_borrow_mut(|reserved| reserved.push((start, layout)));
    Some(start)
}

pub(super) fn commit(_: NonNull<u8>, len: usize) -> bool {
    len != REFUSED.get()
}

pub(super) unsafe fn discard(_: NonNull<u8>, _: usize) {}

/// Kept until the execution ends: what is used after this is a violation for the model to find, not for the allocator.
pub(super) unsafe fn release(_: NonNull<u8>, _: usize) {}

pub(super) fn back(_: NonNull<u8>, _: usize, _: super::Backing) {}

pub(super) fn touch(_: NonNull<u8>, _: usize) {}

pub(super) fn name(_: NonNull<u8>, _: usize, _: &'static CStr) {}

pub(super) fn register_barrier() -> bool {
    false
}

pub(super) fn heavy_barrier() {}
