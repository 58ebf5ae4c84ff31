//! Where a thread puts the root entries that it makes.
//!
//! The buffer holds *candidates*: most of them are new objects whose handle soon moves into another object, and their count is 0 again
//! when the buffer is full. Filtering drops those where they lie, still hot in the cache, and mostly without an atomic write. The few that are
//! roots move on to the root log, which all threads share.
//!
//! Both keep to R1 and R2 of the design: a root has an entry somewhere; an entry whose count is 0 or less may go, in the step that finds it so and has the
//! header say that there is none (`heap::header`), or later; and every entry from before S1 is handed over when the record is brought up to date.
//!
//! The buffer is a block with one pointer to where the next entry goes and one to its end. The block itself learns
//! how many entries it has when it is handed over.

use super::root_lists::ROOTS;
use crate::heap::{
    HEAP,
    blocks::{Block, CAPACITY},
    header::Object,
};
use std::ptr::{NonNull, null_mut};

/// How many of the last entries `take_back` looks at.
pub(crate) const RECENT: usize = 4;

/// One thread's candidates, and its survivors on their way to the root log.
///
/// Without a block all three pointers are null. With one, `first` is where its entries begin, `end` where they end, and those from
/// `first` to `next` are initialised.
pub(crate) struct Candidates {
    next: *mut Object,
    end: *mut Object,
    first: *mut Object,
    block: Option<NonNull<Block>>,
    survivors: Option<NonNull<Block>>,
}

impl Candidates {
    pub(crate) const fn new() -> Self {
        Candidates { next: null_mut(), end: null_mut(), first: null_mut(), block: None, survivors: None }
    }

    /// Whether a push has nothing to do but to write.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.next != self.end
    }

    /// Adds the entry of an object that has none.
    #[inline]
    pub(crate) fn push(&mut self, object: Object) {
        if !self.has_room() {
            self.make_room();
        }
        // SAFETY: there is room.
        unsafe { self.push_into_room(object) };
    }

    /// The same if there is room.
    ///
    /// # Safety
    /// There is.
    #[inline]
    pub(crate) unsafe fn push_into_room(&mut self, object: Object) {
        debug_assert!(self.has_room());
        // SAFETY: by contract, so `next` is an entry of our block.
        unsafe { self.next.write(object) };
        self.next = self.next.wrapping_add(1);
    }

    /// Takes back the entry of an object that is as it was when it was born, if it is among the last [`RECENT`] of this buffer.
    /// The order of the last may change.
    #[inline]
    pub(crate) fn take_back(&mut self, object: Object) -> bool {
        self.take_back_last(object) || self.take_back_older(object)
    }

    /// The same, for a caller that wants no call in it.
    #[inline(always)]
    pub(crate) fn take_back_inline(&mut self, object: Object) -> bool {
        self.take_back_last(object) || self.take_back_other(object)
    }

    /// The same if it is the last or the last but one.
    #[inline(always)]
    fn take_back_last(&mut self, object: Object) -> bool {
        if self.next == self.first {
            return false;
        }
        let last = self.next.wrapping_sub(1);
        // SAFETY: there is an entry, so this is the last.
        if unsafe { *last } != object {
            if last == self.first {
                return false;
            }
            let before = last.wrapping_sub(1);
            // SAFETY: there is an entry before the last.
            if unsafe { *before } != object {
                return false;
            }
            // SAFETY: both are entries.
            unsafe { before.write(*last) };
        }
        self.next = last;
        true
    }

    #[inline(never)]
    fn take_back_older(&mut self, object: Object) -> bool {
        self.take_back_other(object)
    }

    /// The same if it is one of those before.
    #[inline(always)]
    fn take_back_other(&mut self, object: Object) -> bool {
        const NEWER: usize = 2;
        if self.next.addr() - self.first.addr() <= NEWER * size_of::<Object>() {
            return false;
        }
        let mut place = self.next.wrapping_sub(NEWER);
        for _ in NEWER..RECENT {
            if place == self.first {
                return false;
            }
            place = place.wrapping_sub(1);
            // SAFETY: it is not before the first, hence an entry.
            if unsafe { *place } == object {
                self.next = self.next.wrapping_sub(1);
                // SAFETY: as above, and this was the last.
                unsafe { place.write(*self.next) };
                return true;
            }
        }
        false
    }

    /// The candidates.
    fn entries(&self) -> &[Object] {
        let Some(block) = self.block else { return &[] };
        let len = (self.next.addr() - self.first.addr()) / size_of::<Object>();
        // SAFETY: the block is ours until flushed, and these entries are initialised.
        unsafe { std::slice::from_raw_parts(Block::entries(block).as_ptr(), len) }
    }

    /// Gets the first block, or empties a full one.
    #[cold]
    #[inline(never)]
    fn make_room(&mut self) {
        if self.block.is_some() {
            self.filter();
            return;
        }
        let block = HEAP.take_block();
        self.block = Some(block);
        self.first = Block::entries(block).as_ptr();
        self.next = self.first;
        self.end = self.first.wrapping_add(CAPACITY);
    }

    /// Empties a full buffer.
    fn filter(&mut self) {
        let mut at = self.first;
        while at != self.next {
            // SAFETY: entries up to `next` are initialised.
            let object = unsafe { *at };
            // SAFETY: an entry's object is not freed before the entry is handed over (R2).
            if unsafe { object.roots() }.filter() {
                self.survive(object);
            }
            at = at.wrapping_add(1);
        }
        self.next = self.first;
    }

    fn survive(&mut self, object: Object) {
        let mut block = *self.survivors.get_or_insert_with(|| HEAP.take_block());
        // SAFETY: the block is ours.
        if unsafe { block.as_mut() }.push(object) {
            ROOTS.log_block(block);
            self.survivors = None;
        }
    }

    /// Calls `f` with every entry, and whether it is one of the root log's.
    pub(crate) fn for_each(&self, mut f: impl FnMut(Object, bool)) {
        self.entries().iter().for_each(|object| f(*object, false));
        // SAFETY: the block is ours until it is handed over.
        let survivors = self.survivors.map_or(&[][..], |block| unsafe { block.as_ref() }.as_slice());
        survivors.iter().for_each(|object| f(*object, true));
    }

    /// Hands everything over.
    pub(crate) fn flush(&mut self) {
        let len = self.entries().len();
        if let Some(mut block) = self.block.take() {
            // SAFETY: the block is ours, and so many entries are initialised.
            unsafe { block.as_mut().set_len(len) };
            ROOTS.candidate_block(block);
        }
        (self.next, self.end, self.first) = (null_mut(), null_mut(), null_mut());
        if let Some(block) = self.survivors.take() {
            ROOTS.log_block(block);
        }
    }
}

#[cfg(all(test, not(graphgc_loom)))]
mod tests {
    use super::*;

    fn object(n: usize) -> Object {
        Object::new(NonNull::new(std::ptr::without_provenance_mut((n + 1) * 8)).unwrap())
    }

    /// Gives the block back without showing anybody its made-up entries.
    fn forget(mut candidates: Candidates) {
        // SAFETY: from the pool, and not used any more.
        candidates.block.take().into_iter().for_each(|block| unsafe { HEAP.blocks.give(block) });
    }

    #[test]
    fn what_was_pushed_last_can_be_taken_out_of_order() {
        let mut candidates = Candidates::new();
        assert!(!candidates.take_back(object(0)) && candidates.entries().is_empty());
        (0..10).for_each(|n| candidates.push(object(n)));
        assert!(!candidates.take_back(object(9 - RECENT)), "too long ago");
        assert!(candidates.take_back(object(10 - RECENT)) && !candidates.take_back(object(10 - RECENT)));
        assert_eq!(candidates.entries().len(), 9);
        assert!((10 - RECENT + 1..10).rev().all(|n| candidates.take_back(object(n))));
        assert!(candidates.entries().iter().copied().eq((0..10 - RECENT).map(object)));
        assert!((0..10 - RECENT).rev().all(|n| candidates.take_back(object(n))) && candidates.entries().is_empty());
        assert!(!candidates.take_back(object(0)));
        forget(candidates);
    }

    #[test]
    fn each_of_the_last_leaves_the_others() {
        for len in 1..=RECENT + 1 {
            for taken in len.saturating_sub(RECENT)..len {
                let mut candidates = Candidates::new();
                (0..len).for_each(|n| candidates.push(object(n)));
                assert!(candidates.take_back(object(taken)), "{taken} of {len}");
                let mut left = candidates.entries().to_vec();
                left.sort_unstable();
                assert!(left.into_iter().eq((0..len).filter(|n| *n != taken).map(object)));
                forget(candidates);
            }
        }
    }

    #[test]
    fn a_full_buffer_has_no_room() {
        let mut candidates = Candidates::new();
        assert!(!candidates.has_room());
        (0..CAPACITY).for_each(|n| candidates.push(object(n)));
        assert!(!candidates.has_room() && candidates.entries().len() == CAPACITY);
        assert!(candidates.take_back(object(CAPACITY - 2)) && candidates.has_room());
        let mut seen = 0;
        candidates.for_each(|_, logged| seen += usize::from(!logged));
        assert_eq!(seen, CAPACITY - 1);
        forget(candidates);
    }
}
