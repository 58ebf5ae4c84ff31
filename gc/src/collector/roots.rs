//! The root log, and the scan that turns entries into grey objects.
//!
//! Two lists of blocks: entries of the *root log*, each of which owns its object's `in_log` bit, and *candidates*
//! that threads handed over unfiltered. The scan after S1 runs concurrently with everything else. It takes both lists whole;
//! what is a root keeps (or gets) its log entry and is shaded, the rest goes. What threads add meanwhile is
//! younger than S1 and was shaded when it was logged.

use super::mark::Marker;
use crate::{
    heap::{
        HEAP,
        blocks::{Block, BlockList},
        header::{Filtered, Object},
    },
    mutator::candidates::take_block,
    sync::{Mutex, lock},
};
use std::ptr::NonNull;

/// The roots of the process.
pub(crate) static ROOTS: Roots = Roots { log: Mutex::new(BlockList::new()), candidates: Mutex::new(BlockList::new()) };

pub(crate) struct Roots {
    log: Mutex<BlockList>,
    candidates: Mutex<BlockList>,
}

impl Roots {
    /// Adds entries whose `in_log` bit is theirs.
    pub(crate) fn log_block(&self, block: NonNull<Block>) {
        lock(&self.log).push_front(block);
    }

    /// Adds entries that have not been filtered.
    pub(crate) fn candidate_block(&self, block: NonNull<Block>) {
        lock(&self.candidates).push_front(block);
    }

    /// Scans all entries there are, shading roots with `marker`. Returns how many roots there are.
    pub(crate) fn scan(&self, marker: &mut Marker) -> usize {
        let log = std::mem::take(&mut *lock(&self.log));
        let candidates = std::mem::take(&mut *lock(&self.candidates));
        let mut kept = Kept { block: None, count: 0 };
        scan_blocks(log, marker, &mut kept, |object| {
            // SAFETY: no entry outlives its object (R2).
            unsafe { object.roots() }.keep_logged()
        });
        scan_blocks(candidates, marker, &mut kept, |object| {
            // SAFETY: as above.
            unsafe { object.roots() }.filter() == Filtered::Logged
        });
        if let Some(block) = kept.block {
            self.log_block(block);
        }
        kept.count
    }
}

/// Entries that go back to the log.
struct Kept {
    block: Option<NonNull<Block>>,
    count: usize,
}

impl Kept {
    fn push(&mut self, object: Object) {
        self.count += 1;
        let mut block = *self.block.get_or_insert_with(take_block);
        // SAFETY: the block is ours.
        if unsafe { block.as_mut() }.push(object) {
            ROOTS.log_block(block);
            self.block = None;
        }
    }
}

/// How many entries ahead of the one being looked at headers are fetched into the cache.
const AHEAD: usize = 8;

fn scan_blocks(mut blocks: BlockList, marker: &mut Marker, kept: &mut Kept, mut is_kept: impl FnMut(Object) -> bool) {
    while let Some(block) = blocks.pop_front() {
        // SAFETY: the list was ours alone, and so is the block.
        let entries = unsafe { block.as_ref() }.as_slice();
        for (index, &object) in entries.iter().enumerate() {
            if let Some(next) = entries.get(index + AHEAD) {
                super::mark::prefetch(next.as_ptr());
            }
            if is_kept(object) {
                marker.shade_root(object);
                kept.push(object);
            }
        }
        // SAFETY: as above; nobody refers to it any more.
        unsafe { HEAP.blocks.give(block) };
    }
}
