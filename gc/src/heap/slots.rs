//! A span's slots seen through its bitmaps: finding free runs, setting and clearing the bits of a run, visiting the dead.
//!
//! Offsets are bytes from the span's first slot. Since a bit stands for the granule where a slot begins and no slot begins elsewhere, the bits
//! between two slots are always clear: the first set bit after a free slot is where the free run ends, whatever the
//! size of the slots, without a division.

use super::{
    arena::GRANULE,
    header::{Header, Object},
    span::Span,
};
use crate::sync::{AtomicU64, Ordering};
use std::{ops::Range, ptr::NonNull};

/// Bits at the multiples of the index, for strides below a word.
const PATTERN: [u64; 64] = {
    let mut table = [1u64; 64];
    let mut stride = 1;
    while stride < 64 {
        let mut bit = 0;
        while bit < 64 {
            table[stride] |= 1 << bit;
            bit += stride;
        }
        stride += 1;
    }
    table
};

impl Span {
    /// Bytes that the slots take together.
    pub(crate) fn slots_bytes(&self) -> usize {
        self.slots() * self.slot_size()
    }

    /// The address that the first bit of the span's words stands for.
    fn bits_start(&self) -> *mut u8 {
        self.arena().page_address(self.bits_page())
    }

    /// The granule, counted from there, in which the slot at `offset` begins.
    fn granule(&self, offset: usize) -> usize {
        (self.first_slot().addr() - self.bits_start().addr() + offset) / GRANULE
    }

    /// The next run of free slots at or after the cursor. The span's owner calls this.
    pub(crate) fn next_free_run(&self) -> Option<Range<usize>> {
        let bits = self.bits(self.allocation_parity());
        let (size, limit) = (self.slot_size(), self.slots_bytes());
        let mut start = self.cursor();
        let origin = self.granule(0);
        while start < limit {
            let granule = origin + start / GRANULE;
            if bits[granule / 64].load(Ordering::Relaxed) >> (granule % 64) & 1 == 0 {
                let end = next_set(bits, granule).map_or(limit, |g| (g - origin) * GRANULE);
                return Some(start..end.min(limit));
            }
            start += size;
        }
        None
    }

    /// Whether the allocation bit of the slot at `address` is set.
    pub(crate) fn is_allocated(&self, address: usize) -> bool {
        self.bit(self.allocation_parity(), address)
    }

    /// Whether the mark bit of the slot at `address` is set.
    pub(crate) fn is_marked(&self, address: usize) -> bool {
        self.bit(self.allocation_parity() + 1, address)
    }

    /// Whether the bit of the slot at `address` is set in bitmap `parity`.
    pub(super) fn bit(&self, parity: usize, address: usize) -> bool {
        let granule = self.granule(address - self.first_slot().addr());
        let word = self.bits(parity).get(granule / 64);
        word.is_some_and(|word| word.load(Ordering::Relaxed) >> (granule % 64) & 1 != 0)
    }

    /// Sets the allocation bits of the slots in `run`. Only the span's owner writes them.
    pub(crate) fn set_allocated(&self, run: Range<usize>) {
        let bits = self.bits(self.allocation_parity());
        self.for_each_mask(run, |word, mask| {
            bits[word].store(bits[word].load(Ordering::Relaxed) | mask, Ordering::Relaxed);
        });
    }

    /// Clears the allocation bits of the slots in `run`. Only the span's owner writes them.
    pub(crate) fn clear_allocated(&self, run: Range<usize>) {
        let bits = self.bits(self.allocation_parity());
        self.for_each_mask(run, |word, mask| {
            bits[word].store(bits[word].load(Ordering::Relaxed) & !mask, Ordering::Relaxed);
        });
    }

    /// Blackens the slots in `run`. Markers write the same words.
    pub(crate) fn set_marked(&self, run: Range<usize>) {
        let bits = self.bits(self.allocation_parity() + 1);
        self.for_each_mask(run, |word, mask| {
            bits[word].fetch_or(mask, Ordering::Relaxed);
        });
    }

    /// Whitens the slots in `run`, which hold no object. Markers write the same words.
    pub(crate) fn clear_marked(&self, run: Range<usize>) {
        let bits = self.bits(self.allocation_parity() + 1);
        self.for_each_mask(run, |word, mask| {
            bits[word].fetch_and(!mask, Ordering::Relaxed);
        });
    }

    /// Calls `f` with each word of the span's bitmap that slots in `run` have bits in, and those bits.
    fn for_each_mask(&self, run: Range<usize>, mut f: impl FnMut(usize, u64)) {
        if run.is_empty() {
            return;
        }
        let stride = self.slot_size() / GRANULE;
        let end = self.granule(run.end);
        let mut granule = self.granule(run.start);
        if stride >= 64 {
            while granule < end {
                f(granule / 64, 1 << (granule % 64));
                granule += stride;
            }
            return;
        }
        while granule < end {
            let (word, first) = (granule / 64, granule % 64);
            let mut mask = PATTERN[stride] << first;
            let left = end - word * 64;
            if left < 64 {
                mask &= (1 << left) - 1;
            }
            f(word, mask);
            granule += (64 - first).div_ceil(stride) * stride;
        }
    }

    /// Number of bits set in bitmap `parity`.
    pub(crate) fn count_bits(&self, parity: usize) -> usize {
        self.bits(parity).iter().map(|word| word.load(Ordering::Relaxed).count_ones() as usize).sum()
    }

    /// Clears all of bitmap `parity`.
    pub(crate) fn clear_bits(&self, parity: usize) {
        for word in self.bits(parity) {
            word.store(0, Ordering::Relaxed);
        }
    }

    /// The object in the slot whose bit is `bit` of word `word`.
    pub(crate) fn object_at_bit(&self, word: usize, bit: u32) -> Object {
        let address = self.bits_start().wrapping_add((word * 64 + bit as usize) * GRANULE).cast::<Header>();
        // SAFETY: an address inside an arena is not null.
        Object::new(unsafe { NonNull::new_unchecked(address) })
    }

    /// Calls `f` with every object that is allocated and whose mark bit is clear.
    pub(crate) fn for_each_dead(&self, mut f: impl FnMut(Object)) {
        let parity = self.allocation_parity();
        let (allocated, marked) = (self.bits(parity), self.bits(parity + 1));
        for (index, (allocated, marked)) in allocated.iter().zip(marked).enumerate() {
            let mut dead = allocated.load(Ordering::Relaxed) & !marked.load(Ordering::Relaxed);
            while dead != 0 {
                f(self.object_at_bit(index, dead.trailing_zeros()));
                dead &= dead - 1;
            }
        }
    }
}

/// The first set bit at or after `granule`.
fn next_set(bits: &[AtomicU64], granule: usize) -> Option<usize> {
    let mut index = granule / 64;
    let mut word = bits[index].load(Ordering::Relaxed) & (!0 << (granule % 64));
    while word == 0 {
        index += 1;
        word = bits.get(index)?.load(Ordering::Relaxed);
    }
    Some(index * 64 + word.trailing_zeros() as usize)
}
