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
        let limit = self.slots_bytes();
        let origin = self.granule(0);
        let stride = self.slot_size() / GRANULE;
        let first = next_free(bits, origin + self.cursor() / GRANULE, origin + limit / GRANULE, stride)?;
        let start = (first - origin) * GRANULE;
        let end = next_set(bits, first).map_or(limit, |g| (g - origin) * GRANULE);
        Some(start..end.min(limit))
    }

    /// The number of free slots.
    pub(crate) fn free_slots(&self) -> usize {
        self.slots() - self.count_bits(self.allocation_parity())
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
            let word = granule / 64;
            let mask = PATTERN[stride] << (granule % 64);
            let left = end - word * 64;
            if left <= 64 {
                f(word, mask & (!0 >> (64 - left)));
                return;
            }
            f(word, mask);
            granule = in_next_word(granule, stride);
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

/// The first slot whose bit is clear, of those that begin at `granule` or any number of strides after it, before `end`.
fn next_free(bits: &[AtomicU64], mut granule: usize, end: usize, stride: usize) -> Option<usize> {
    while granule < end {
        let clear = !bits[granule / 64].load(Ordering::Relaxed) >> (granule % 64);
        let free = if stride < 64 { clear & PATTERN[stride] } else { clear & 1 };
        if free != 0 {
            return Some(granule + free.trailing_zeros() as usize).filter(|&first| first < end);
        }
        granule = if stride < 64 { in_next_word(granule, stride) } else { granule + stride };
    }
    None
}

/// The first slot in a later word, where one begins at `granule` and each takes `stride`, which is less than a word.
#[inline]
fn in_next_word(granule: usize, stride: usize) -> usize {
    debug_assert!(stride < 64);
    // In 32 bits, since that divides faster.
    let left = 64 - granule as u32 % 64;
    granule + (left.div_ceil(stride as u32) * stride as u32) as usize
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

#[cfg(all(test, not(graphgc_loom)))]
mod tests {
    use super::*;
    use crate::random::Random;

    /// For slots of any size, anywhere in words of which some bits are set.
    #[test]
    fn the_next_free_slot_is_the_first_whose_bit_is_clear() {
        let mut random = Random(1);
        let mut found = [0; 2];
        for _ in 0..if cfg!(miri) { 300 } else { 30_000 } {
            let most = [10, 200][random.below(2)];
            let stride = 1 + random.below(most);
            let (origin, slots) = (random.below(64), 1 + random.below(1000 / stride));
            let end = origin + slots * stride;
            let bits: Vec<_> = (0..1 + end / 64).map(|_| AtomicU64::new(0)).collect();
            let is_set = |granule: usize| bits[granule / 64].load(Ordering::Relaxed) >> (granule % 64) & 1 != 0;
            let full = random.below(2) == 0;
            for slot in (origin..end).step_by(stride).filter(|_| full || random.below(8) != 0) {
                bits[slot / 64].fetch_or(1 << (slot % 64), Ordering::Relaxed);
            }
            let from = origin + random.below(slots + 1) * stride;
            let expected = (from..end).step_by(stride).find(|&slot| !is_set(slot));
            assert_eq!(next_free(&bits, from, end, stride), expected, "{from}..{end} by {stride}");
            found[usize::from(expected.is_some())] += 1;
        }
        assert!(found.iter().all(|&times| times > 100 || cfg!(miri)), "{found:?}");
    }
}
