//! Objects on their way to a queue and out of it: a stack of any size in the collector's own blocks.

use crate::heap::{
    HEAP,
    blocks::{Block, BlockList},
    header::Object,
};
use std::ptr::NonNull;

/// Objects in no particular order.
#[derive(Default)]
pub(crate) struct Batch {
    full: BlockList,
    /// In none of the full ones, not full itself.
    last: Option<NonNull<Block>>,
    len: usize,
}

// SAFETY: it owns its blocks.
unsafe impl Send for Batch {}

impl Batch {
    pub(crate) const fn new() -> Self {
        Batch { full: BlockList::new(), last: None, len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn push(&mut self, object: Object) {
        let mut block = *self.last.get_or_insert_with(|| HEAP.take_block());
        // SAFETY: the block is ours.
        if unsafe { block.as_mut() }.push(object) {
            self.full.push_front(block);
            self.last = None;
        }
        self.len += 1;
    }

    pub(crate) fn pop(&mut self) -> Option<Object> {
        loop {
            let mut block = self.last.take().or_else(|| self.full.pop_front())?;
            // SAFETY: the block is ours.
            if let Some(object) = unsafe { block.as_mut() }.pop() {
                self.last = Some(block);
                self.len -= 1;
                return Some(object);
            }
            // SAFETY: the block is ours, and empty.
            unsafe { HEAP.blocks.give(block) };
        }
    }

    /// Calls `f` with all objects, some at a time.
    pub(super) fn for_each_block(&self, mut f: impl FnMut(&[Object])) {
        self.full.for_each_block(&mut f);
        if let Some(block) = self.last {
            // SAFETY: the block is ours.
            f(unsafe { block.as_ref() }.as_slice());
        }
    }

    /// Adds the objects of another.
    pub(crate) fn append(&mut self, mut other: Batch) {
        while let Some(block) = other.full.pop_front() {
            // SAFETY: the block is ours now.
            self.len += unsafe { block.as_ref() }.as_slice().len();
            self.full.push_front(block);
        }
        if let Some(mut block) = other.last {
            // SAFETY: the block is ours now.
            while let Some(object) = unsafe { block.as_mut() }.pop() {
                self.push(object);
            }
            // SAFETY: the block is ours, and empty.
            unsafe { HEAP.blocks.give(block) };
        }
    }
}
