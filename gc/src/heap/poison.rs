//! Tells AddressSanitizer which memory of the heap holds nothing, so that it reports a use of a freed slot as it reports one of memory freed by
//! `malloc`.
//!
//! Only under `--cfg graphgc_asan`, which goes with `-Zsanitizer=address`; otherwise nothing is left of it. What is poisoned:
//!
//! - the pages of free runs, from when they are given back until they are taken again;
//! - all slots of a span that is set up for objects, until a slot is taken for one: neither those that a thread has bought in advance
//!   nor those between two objects may be touched;
//! - vacant slots, but for their headers;
//! - the slots that a sweep or the dropper has found or made free. Dead values that need no dropping are never touched, so that a slot is poisoned when
//!   its span is swept, not when its object dies: a stray access between S2 and the sweep goes unseen.
//!
//! A huge object's mapping is never poisoned, since it goes when the object does, and its addresses may be anybody's afterwards.
//!
//! The heap's own records, bitmaps and lists lie elsewhere and are never poisoned. Slots begin and end at multiples of eight bytes, the sanitizer's grain.

use super::span::Span;
#[cfg(graphgc_asan)]
use std::ffi::c_void;

#[cfg(graphgc_asan)]
unsafe extern "C" {
    fn __asan_poison_memory_region(start: *const c_void, size: usize);
    fn __asan_unpoison_memory_region(start: *const c_void, size: usize);
}

/// Nobody may touch the memory from now on.
#[inline(always)]
pub(crate) fn poison(start: *const u8, bytes: usize) {
    #[cfg(graphgc_asan)]
    // SAFETY: changes nothing but what the sanitizer believes of memory that is the heap's.
    unsafe {
        __asan_poison_memory_region(start.cast(), bytes);
    }
    #[cfg(not(graphgc_asan))]
    let _ = (start, bytes);
}

/// The memory may be touched again.
#[inline(always)]
pub(crate) fn unpoison(start: *const u8, bytes: usize) {
    #[cfg(graphgc_asan)]
    // SAFETY: as above.
    unsafe {
        __asan_unpoison_memory_region(start.cast(), bytes);
    }
    #[cfg(not(graphgc_asan))]
    let _ = (start, bytes);
}

/// Nobody may touch the span's pages from now on.
#[inline(always)]
pub(crate) fn poison_pages(span: &Span) {
    poison(span.start(), span.pages() * super::arena::PAGE_SIZE);
}

/// The span's pages may be touched again.
#[inline(always)]
pub(crate) fn unpoison_pages(span: &Span) {
    unpoison(span.start(), span.pages() * super::arena::PAGE_SIZE);
}

/// Nobody may touch the pages of a large object's span but for the object, which has this many bytes.
#[inline(always)]
pub(crate) fn poison_around(span: &Span, object_size: usize) {
    if cfg!(graphgc_asan) && !span.arena().huge.load(crate::sync::Ordering::Relaxed) {
        poison_pages(span);
        unpoison(span.first_slot(), object_size);
    }
}

/// Nobody may touch the slots that are free according to bitmap `parity`. The span's owner calls this.
#[inline(always)]
pub(crate) fn poison_free_slots(span: &Span, parity: usize) {
    if cfg!(graphgc_asan) {
        let first = span.first_slot();
        for slot in (0..span.slots()).map(|index| first.wrapping_add(index * span.slot_size())) {
            if !span.bit(parity, slot.addr()) {
                poison(slot, span.slot_size());
            }
        }
    }
}
