//! Where a thread notes the objects whose root count it brought from 0 to 1.
//!
//! The buffer holds *candidates*: most of them are new objects whose handle soon moves into another object, and their count is 0 again
//! when the buffer is full. Filtering drops those where they lie, still hot in the cache and without an atomic write. The few that are
//! roots move on to the root log, which all threads share, if no entry speaks for them yet.
//!
//! Both keep to R1 and R2 of the design: a root has an entry somewhere, an entry whose count reads 0 may go (whoever makes it 1 again logs
//! again), and every entry from before S1 is handed over when the record is brought up to date.

use super::root_lists::ROOTS;
use crate::heap::{
    HEAP,
    blocks::Block,
    header::{Filtered, Object},
};
use std::ptr::NonNull;

/// One thread's candidates, and its survivors on their way to the root log.
pub(crate) struct Candidates {
    candidates: Option<NonNull<Block>>,
    survivors: Option<NonNull<Block>>,
}

impl Candidates {
    pub(crate) const fn new() -> Self {
        Candidates { candidates: None, survivors: None }
    }

    /// Notes an object whose count went from 0 to 1.
    #[inline]
    pub(crate) fn push(&mut self, object: Object) {
        let full = match self.candidates {
            // SAFETY: the block is ours until flushed.
            Some(mut block) => unsafe { block.as_mut() }.push(object),
            None => self.first(object),
        };
        if full {
            self.filter();
        }
    }

    /// Takes back the entry of an object whose count was never 0, so that it has no other, if it is among the last of this buffer.
    #[inline]
    pub(crate) fn take_back(&mut self, object: Object) -> bool {
        // SAFETY: the block is ours until flushed.
        self.candidates.is_some_and(|mut block| unsafe { block.as_mut() }.take_recent(object))
    }

    #[cold]
    fn first(&mut self, object: Object) -> bool {
        let mut block = HEAP.take_block();
        self.candidates = Some(block);
        // SAFETY: the block is ours.
        unsafe { block.as_mut() }.push(object)
    }

    /// Empties a full buffer.
    #[cold]
    #[inline(never)]
    fn filter(&mut self) {
        let Some(mut block) = self.candidates else { return };
        // SAFETY: the block is ours.
        let block = unsafe { block.as_mut() };
        for &object in block.as_slice() {
            // SAFETY: an entry's object is not freed before the entry is handed over (R2).
            if unsafe { object.roots() }.filter() == Filtered::Logged {
                self.survive(object);
            }
        }
        block.clear();
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
        for (block, logged) in [(self.candidates, false), (self.survivors, true)] {
            // SAFETY: the blocks are ours until flushed.
            let entries = block.map_or(&[][..], |block| unsafe { block.as_ref() }.as_slice());
            entries.iter().for_each(|object| f(*object, logged));
        }
    }

    /// Hands everything over.
    pub(crate) fn flush(&mut self) {
        if let Some(block) = self.candidates.take() {
            ROOTS.candidate_block(block);
        }
        if let Some(block) = self.survivors.take() {
            ROOTS.log_block(block);
        }
    }
}
