//! Windows: `VirtualAlloc` and its kin.

use std::{
    ffi::{CStr, c_void},
    ptr::{NonNull, null},
};
use windows_sys::Win32::System::{
    Memory::{
        DiscardVirtualMemory, MEM_COMMIT, MEM_RELEASE, MEM_RESERVE, PAGE_NOACCESS, PAGE_READWRITE, VirtualAlloc,
        VirtualFree,
    },
    Threading::FlushProcessWriteBuffers,
};

/// Attempts to get an aligned range before giving up: another thread may take the place that was just found.
const ATTEMPTS: usize = 32;

/// Part of a reservation cannot be given back, so a larger range is reserved to find an aligned place in it, given
/// back whole, and the aligned place reserved.
pub(super) fn reserve(size: usize, align: usize) -> Option<NonNull<u8>> {
    let ptr = reserve_at(null(), size)?;
    if ptr.addr().get().is_multiple_of(align) {
        return Some(ptr);
    }
    free(ptr);
    let whole = size.checked_add(align)?;
    for _ in 0..ATTEMPTS {
        let found = reserve_at(null(), whole)?;
        free(found);
        let aligned = found.as_ptr().map_addr(|addr| addr.next_multiple_of(align));
        if let Some(ptr) = reserve_at(aligned.cast(), size) {
            return Some(ptr);
        }
    }
    None
}

pub(super) fn commit(ptr: NonNull<u8>, len: usize) -> bool {
    // SAFETY: the range belongs to a reservation of ours; committing keeps what is committed already.
    !unsafe { VirtualAlloc(ptr.as_ptr().cast(), len, MEM_COMMIT, PAGE_READWRITE) }.is_null()
}

/// # Safety
/// Nobody needs the content of the range or accesses it during the call.
pub(super) unsafe fn discard(ptr: NonNull<u8>, len: usize) {
    // SAFETY: by contract. The heap's pages are whole pages of Windows. A refusal leaves them as they are.
    unsafe { DiscardVirtualMemory(ptr.as_ptr().cast(), len) };
}

/// # Safety
/// A whole reservation, which nobody accesses any more.
pub(super) unsafe fn release(ptr: NonNull<u8>, _len: usize) {
    free(ptr);
}

pub(super) fn back(_: NonNull<u8>, _: usize, _: super::Backing) {}

pub(super) fn touch(_: NonNull<u8>, _: usize) {}

pub(super) fn name(_: NonNull<u8>, _: usize, _: &'static CStr) {}

pub(super) fn register_barrier() -> bool {
    true
}

/// Interrupts every processor that runs a thread of the process, which orders all their accesses.
pub(super) fn heavy_barrier() {
    // SAFETY: no arguments, cannot fail.
    unsafe { FlushProcessWriteBuffers() };
}

/// Reserves `size` bytes at `at`, or anywhere if that is null.
fn reserve_at(at: *const c_void, size: usize) -> Option<NonNull<u8>> {
    // SAFETY: a new reservation; if anything in the range is taken, Windows refuses.
    let ptr = unsafe { VirtualAlloc(at, size, MEM_RESERVE, PAGE_NOACCESS) };
    NonNull::new(ptr.cast())
}

/// Gives back a whole reservation that nobody accesses.
fn free(ptr: NonNull<u8>) {
    // SAFETY: the start of a reservation of ours, by the callers' contract.
    unsafe { VirtualFree(ptr.as_ptr().cast(), 0, MEM_RELEASE) };
}
