//! Unix: `mmap` and its kin.

use super::Backing;
use std::{
    ffi::{CStr, c_int},
    ptr::{NonNull, null_mut},
};

/// Keeps the kernel from setting memory or swap aside for address space.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple", target_os = "netbsd"))]
const NO_RESERVE: c_int = libc::MAP_NORESERVE;
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple", target_os = "netbsd")))]
const NO_RESERVE: c_int = 0;

/// Linux frees the pages at once; elsewhere `MADV_DONTNEED` need not free anything, and `MADV_FREE` lets the kernel
/// take the pages when it wants them.
#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "solaris",
    target_os = "illumos",
))]
const GIVE_BACK: c_int = libc::MADV_FREE;
#[cfg(not(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "solaris",
    target_os = "illumos",
)))]
const GIVE_BACK: c_int = libc::MADV_DONTNEED;

/// The first attempt asks for the bare size: below an earlier arena the next place is often aligned already.
/// Otherwise a larger range is mapped and its ends are trimmed.
pub(super) fn reserve(size: usize, align: usize) -> Option<NonNull<u8>> {
    let page = page_size();
    let size = size.checked_next_multiple_of(page)?;
    let ptr = map(size)?;
    if ptr.addr().get().is_multiple_of(align) {
        return Some(ptr);
    }
    unmap(ptr, size);
    // `align` is larger than a page here, since every mapping is aligned to one.
    let whole = size.checked_add(align - page)?;
    let ptr = map(whole)?;
    let before = ptr.addr().get().next_multiple_of(align) - ptr.addr().get();
    // SAFETY: `before` is at most `align - page`, and `size` more are within `whole`.
    let (aligned, end) = unsafe { (ptr.add(before), ptr.add(before + size)) };
    unmap(ptr, before);
    unmap(end, whole - before - size);
    Some(aligned)
}

pub(super) fn commit(ptr: NonNull<u8>, len: usize) -> bool {
    let (start, len) = outwards(ptr, len);
    // SAFETY: the range belongs to a reservation of ours; allowing access to it invalidates nothing.
    unsafe { libc::mprotect(start.as_ptr().cast(), len, libc::PROT_READ | libc::PROT_WRITE) == 0 }
}

/// # Safety
/// Nobody needs the content of the range or accesses it during the call.
pub(super) unsafe fn discard(ptr: NonNull<u8>, len: usize) {
    let page = page_size();
    let skip = ptr.addr().get().next_multiple_of(page) - ptr.addr().get();
    let len = len.saturating_sub(skip) / page * page;
    if len > 0 {
        // SAFETY: inside the range, whose content nobody needs. A refusal leaves the pages as they are, which is
        // allowed.
        unsafe { libc::madvise(ptr.as_ptr().add(skip).cast(), len, GIVE_BACK) };
    }
}

/// # Safety
/// A whole reservation, which nobody accesses any more.
pub(super) unsafe fn release(ptr: NonNull<u8>, len: usize) {
    unmap(ptr, len.next_multiple_of(page_size()));
}

/// Kernels that know no large pages refuse.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn back(ptr: NonNull<u8>, len: usize, backing: Backing) {
    let (start, len) = outwards(ptr, len);
    let advice = match backing {
        Backing::Large => libc::MADV_HUGEPAGE,
        Backing::AsItIs => libc::MADV_NOHUGEPAGE,
    };
    // SAFETY: advice about a mapping of ours, which changes no content.
    unsafe { libc::madvise(start.as_ptr().cast(), len, advice) };
}

/// `MADV_POPULATE_WRITE`, by the kernel's `mman-common.h`; kernels older than 5.14 refuse.
#[cfg(any(target_os = "linux", target_os = "android"))]
const POPULATE_WRITE: c_int = 23;

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn touch(ptr: NonNull<u8>, len: usize) {
    let (start, len) = outwards(ptr, len);
    // SAFETY: a mapping of ours; its content stays.
    unsafe { libc::madvise(start.as_ptr().cast(), len, POPULATE_WRITE) };
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn touch(_: NonNull<u8>, _: usize) {}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn back(_: NonNull<u8>, _: usize, _: Backing) {}

pub(super) fn name(ptr: NonNull<u8>, len: usize, name: &'static CStr) {
    set_name(ptr, len, name);
}

/// Kernels older than 5.17, or built without it, refuse; nothing depends on it.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn set_name(ptr: NonNull<u8>, len: usize, name: &'static CStr) -> bool {
    let (start, len) = outwards(ptr, len);
    // SAFETY: sets a label of a mapping of ours. The arguments are passed as the words that the kernel reads; the
    // name lives for ever, as old Android kernels need.
    unsafe {
        libc::prctl(
            libc::PR_SET_VMA,
            libc::PR_SET_VMA_ANON_NAME as libc::c_ulong,
            start.as_ptr().addr() as libc::c_ulong,
            len as libc::c_ulong,
            name.as_ptr().addr() as libc::c_ulong,
        ) == 0
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn set_name(_: NonNull<u8>, _: usize, _: &'static CStr) -> bool {
    false
}

/// Whether names work here.
#[cfg(test)]
pub(super) fn can_name(ptr: NonNull<u8>, len: usize) -> bool {
    set_name(ptr, len, c"graphgc test name")
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn membarrier(command: c_int) -> bool {
    // SAFETY: no pointers; an unknown command or call is refused.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

// Commands, by the kernel's `linux/membarrier.h`.
#[cfg(any(target_os = "linux", target_os = "android"))]
const PRIVATE_EXPEDITED: c_int = 1 << 3;
#[cfg(any(target_os = "linux", target_os = "android"))]
const REGISTER_PRIVATE_EXPEDITED: c_int = 1 << 4;

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn register_barrier() -> bool {
    membarrier(REGISTER_PRIVATE_EXPEDITED) && membarrier(PRIVATE_EXPEDITED)
}

/// After `register_barrier` it cannot fail, unless the process has forbidden itself the call meanwhile. Going on
/// without the barrier would lose objects.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn heavy_barrier() {
    if !membarrier(PRIVATE_EXPEDITED) {
        super::end_process("the OS refuses a memory barrier that it has promised");
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn register_barrier() -> bool {
    false
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn heavy_barrier() {}

fn page_size() -> usize {
    // SAFETY: asks for a constant of the system.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

/// The whole pages of the OS that the range touches.
fn outwards(ptr: NonNull<u8>, len: usize) -> (NonNull<u8>, usize) {
    let page = page_size();
    let before = ptr.addr().get() % page;
    // SAFETY: reservations begin with a page, so that page's start belongs to the same one.
    let start = unsafe { ptr.sub(before) };
    (start, (before + len).next_multiple_of(page))
}

/// Maps `size` bytes anywhere, without access.
fn map(size: usize) -> Option<NonNull<u8>> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANON | NO_RESERVE;
    // SAFETY: a new anonymous mapping at an address of the kernel's choice.
    let ptr = unsafe { libc::mmap(null_mut(), size, libc::PROT_NONE, flags, -1, 0) };
    if ptr == libc::MAP_FAILED { None } else { NonNull::new(ptr.cast()) }
}

/// Unmaps whole pages that `map` gave and nobody accesses.
fn unmap(ptr: NonNull<u8>, size: usize) {
    if size > 0 {
        // SAFETY: ours, and not accessed, by the callers' contract. If the kernel refuses (it may have to split a
        // mapping and have no room for it), address space is lost and nothing else.
        unsafe { libc::munmap(ptr.as_ptr().cast(), size) };
    }
}
