//! Arenas: 64 MiB of address space, aligned to their size, that carry their own metadata at their head.
//!
//! ```text
//! +--------+-------------+---------------+-----------+-----------+------------------------------+
//! | fields | page -> span| span records  | bitmap 0  | bitmap 1  | pages for objects ...        |
//! +--------+-------------+---------------+-----------+-----------+------------------------------+
//!                 u16 x 8192    x 8192     1 bit per 8 bytes of the arena, twice
//! ```
//!
//! Because of the alignment every question about an object is arithmetic on its header's address: mask it for the
//! arena, shift it for its page (hence span) and for its bit. No table, no division, no lock. Pages of metadata that describe unused memory are
//! never touched, so they cost address space only.
//!
//! The two bitmaps take turns: in cycle *n* the marker writes bitmap *n* mod 2, and when a span is swept that one becomes
//! the span's allocation bits while the other is cleared for the next cycle. A bit stands for the slot that begins at its
//! granule. Words of a bitmap belong to one page, so two spans never share one.
//!
//! An object too large for an arena gets a mapping of its own with the same head; only its header, which lies in the
//! first 64 MiB, is ever looked up.

use super::{os, span::Span};
use crate::sync::{AtomicBool, AtomicPtr, AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::{mem::offset_of, ops::Range, ptr::NonNull};

/// Bytes of an arena, and what it is aligned to.
pub(crate) const ARENA_SIZE: usize = if cfg!(graphgc_loom) { 8 << 10 } else { 64 << 20 };
/// Bytes of a page.
pub(crate) const PAGE_SIZE: usize = if cfg!(graphgc_loom) { 512 } else { 8 << 10 };
pub(crate) const ARENA_PAGES: usize = ARENA_SIZE / PAGE_SIZE;
/// Bytes that one bit of a bitmap stands for.
pub(crate) const GRANULE: usize = 8;
/// Words of each bitmap that belong to one page.
pub(crate) const WORDS_PER_PAGE: usize = PAGE_SIZE / GRANULE / 64;
const BITMAP_WORDS: usize = ARENA_PAGES * WORDS_PER_PAGE;

/// Pages at the head of an arena that its metadata takes.
pub(crate) const METADATA_PAGES: usize = size_of::<Arena>().div_ceil(PAGE_SIZE);
/// Pages of an arena that objects may use.
pub(crate) const USABLE_PAGES: usize = ARENA_PAGES - METADATA_PAGES;

/// The head of an arena; all-zero memory is a valid one with nothing in it (under loom, the default is).
#[repr(C)]
#[cfg_attr(graphgc_loom, derive(Default))]
pub(crate) struct Arena {
    /// Bytes reserved for this arena: `ARENA_SIZE`, unless it is a huge one. Page-heap lock.
    pub(crate) reserved: AtomicUsize,
    /// Pages from the arena's start that may be accessed. Page-heap lock.
    pub(crate) committed_pages: AtomicUsize,
    /// The next arena of the heap, or the next huge one. Page-heap lock.
    pub(crate) next: AtomicPtr<Arena>,
    /// Whether this is the mapping of a single huge object. Fixed.
    pub(crate) huge: AtomicBool,
    /// For every page of a span in use, the span's first page. Of a free run only the first and last page are valid.
    first_page: [AtomicU16; ARENA_PAGES],
    spans: [Span; ARENA_PAGES],
    bitmaps: [[AtomicU64; BITMAP_WORDS]; 2],
}

/// Where one object's bit is: the bitmaps' word and the bit in it.
#[derive(Clone, Copy)]
pub(crate) struct BitPosition {
    arena: *const Arena,
    word: usize,
    pub(crate) mask: u64,
}

impl Arena {
    /// The arena that `address`, the header of an object or anything in the arena's first 64 MiB, lies in. Only an
    /// address: the caller knows whether there is an arena.
    #[inline]
    pub(crate) fn containing(address: *const u8) -> *const Arena {
        address.map_addr(|a| a & !(ARENA_SIZE - 1)).cast()
    }

    /// The page of its arena that `address` lies in.
    #[inline]
    pub(crate) fn page_of(address: usize) -> usize {
        (address & (ARENA_SIZE - 1)) / PAGE_SIZE
    }

    #[inline]
    pub(crate) fn base(&self) -> *mut u8 {
        // A pointer to the whole reservation, not just to this record: `os::reserve` exposed it.
        std::ptr::with_exposed_provenance_mut(std::ptr::from_ref(self).addr())
    }

    /// The address of page `page`.
    #[inline]
    pub(crate) fn page_address(&self, page: usize) -> *mut u8 {
        self.base().wrapping_add(page * PAGE_SIZE)
    }

    /// Tells the OS what to back a range of accessible pages with.
    pub(crate) fn back(&self, pages: Range<usize>, backing: os::Backing) {
        if let Some(start) = NonNull::new(self.page_address(pages.start))
            && !pages.is_empty()
        {
            os::back(start, pages.len() * PAGE_SIZE, backing);
        }
    }

    /// The record of the span or free run whose first page is `page`.
    #[inline]
    pub(crate) fn span_at(&self, page: usize) -> &Span {
        &self.spans[page]
    }

    /// The record of the span that `page` belongs to.
    #[inline]
    pub(crate) fn span_of_page(&self, page: usize) -> &Span {
        let first = self.first_page[page].load(Ordering::Relaxed);
        &self.spans[usize::from(first)]
    }

    /// Says that `pages` from `first` on form one span in use.
    pub(crate) fn map_span(&self, first: usize, pages: usize) {
        let last = (first + pages).min(ARENA_PAGES);
        for page in &self.first_page[first..last] {
            page.store(first as u16, Ordering::Relaxed);
        }
    }

    /// Says that `pages` from `first` on form one free run: its two ends are enough to find it from its neighbours.
    pub(crate) fn map_free_run(&self, first: usize, pages: usize) {
        self.first_page[first].store(first as u16, Ordering::Relaxed);
        self.first_page[first + pages - 1].store(first as u16, Ordering::Relaxed);
    }

    /// The words of bitmap `parity` for `pages` pages from `first` on.
    #[inline]
    pub(crate) fn bits(&self, parity: usize, first: usize, pages: usize) -> &[AtomicU64] {
        let end = (first + pages).min(ARENA_PAGES);
        &self.bitmaps[parity & 1][first * WORDS_PER_PAGE..end * WORDS_PER_PAGE]
    }

    /// Where the bit of the object at `header` is.
    ///
    /// # Safety
    /// `header` is the header of an object of this heap.
    #[inline]
    pub(crate) unsafe fn bit_of(header: *const u8) -> BitPosition {
        let granule = (header.addr() & (ARENA_SIZE - 1)) / GRANULE;
        BitPosition { arena: Arena::containing(header), word: granule / 64, mask: 1 << (granule % 64) }
    }
}

impl BitPosition {
    /// The word of bitmap `parity`.
    ///
    /// # Safety
    /// The arena stays mapped for `'a`: it has an object in it.
    #[inline]
    pub(crate) unsafe fn word<'a>(self, parity: usize) -> &'a AtomicU64 {
        // SAFETY: `bit_of` computed a word inside the arena's bitmaps, and by contract the arena is mapped. Going
        // through the raw address spares a bounds check: `word` is below `BITMAP_WORDS` by construction.
        unsafe {
            let bitmap = self.arena.byte_add(offset_of!(Arena, bitmaps)).cast::<AtomicU64>();
            &*bitmap.add((parity & 1) * BITMAP_WORDS + self.word)
        }
    }
}

#[cfg(all(test, not(graphgc_loom)))]
mod tests {
    use super::*;

    #[test]
    fn most_of_an_arena_is_for_objects() {
        const { assert!(METADATA_PAGES * 100 / ARENA_PAGES <= 5) };
        const { assert!(ARENA_PAGES <= u16::MAX as usize) };
    }
}
