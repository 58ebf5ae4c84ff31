//! The root scan: turns root entries into grey objects.
//!
//! It runs after S1, concurrently with everything else, and takes both lists whole (`mutator::root_lists`), the log first: a candidate that is logged already
//! has an entry that was scanned before it. What is a root keeps (or gets) its log entry and is shaded, the rest goes. What threads add
//! meanwhile is younger than S1 and was shaded when it got its entry, or before. While the OS refuses memory for lists, the scan marks in
//! between, so that many roots need no more of it than few.

use super::mark::{Marker, prefetch};
use crate::{
    heap::{
        HEAP,
        blocks::{Block, BlockList},
        header::Object,
    },
    mutator::root_lists::{AHEAD, ROOTS},
};
use std::ptr::NonNull;

/// Scans all entries there are, shading roots with `marker`. Returns how many roots there are.
pub(super) fn scan(marker: &mut Marker) -> usize {
    let (log, candidates) = (ROOTS.take_log(), ROOTS.take_candidates());
    let mut kept = Kept { block: None, count: 0 };
    scan_blocks(log, marker, &mut kept, |object| {
        // SAFETY: no entry outlives its object (R2).
        unsafe { object.roots() }.keep_logged()
    });
    scan_blocks(candidates, marker, &mut kept, |object| {
        // SAFETY: as above.
        unsafe { object.roots() }.filter()
    });
    if let Some(block) = kept.block {
        ROOTS.log_block(block);
    }
    kept.count
}

/// Entries that go back to the log.
struct Kept {
    block: Option<NonNull<Block>>,
    count: usize,
}

impl Kept {
    fn push(&mut self, object: Object) {
        self.count += 1;
        let mut block = *self.block.get_or_insert_with(|| HEAP.take_block());
        // SAFETY: the block is ours.
        if unsafe { block.as_mut() }.push(object) {
            ROOTS.log_block(block);
            self.block = None;
        }
    }
}

fn scan_blocks(mut blocks: BlockList, marker: &mut Marker, kept: &mut Kept, mut is_kept: impl FnMut(Object) -> bool) {
    while let Some(block) = blocks.pop_front() {
        // SAFETY: the list was ours alone, and so is the block.
        let entries = unsafe { block.as_ref() }.as_slice();
        for (index, &object) in entries.iter().enumerate() {
            if let Some(next) = entries.get(index + AHEAD) {
                prefetch(next.as_ptr());
            }
            if is_kept(object) {
                marker.shade_root(object);
                kept.push(object);
            }
        }
        // SAFETY: as above; nobody refers to it any more.
        unsafe { HEAP.blocks.give(block) };
        if !HEAP.blocks.replenish() {
            // Grey roots would take the last spare blocks: trace them before there are more.
            marker.drain(usize::MAX);
        }
    }
}
