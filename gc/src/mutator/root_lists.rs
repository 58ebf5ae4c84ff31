//! The two lists of root entries that all threads share: the *root log*, whose entries each own their object's `in_log` bit, and
//! *candidates* that threads handed over unfiltered.
//!
//! Threads add whole blocks; the root scan takes both lists (`collector::roots`).

use crate::{
    heap::{
        HEAP,
        blocks::{Block, BlockList},
        header::Object,
    },
    sync::{Mutex, global, lock},
};
use std::ptr::NonNull;

/// How many root entries ahead of the one being looked at headers are fetched into the cache.
pub(crate) const AHEAD: usize = 8;

global! {
    /// The root entries of the process.
    pub(crate) static ROOTS: RootLists =
        RootLists { log: Mutex::new(BlockList::new()), candidates: Mutex::new(BlockList::new()) };
}

pub(crate) struct RootLists {
    log: Mutex<BlockList>,
    candidates: Mutex<BlockList>,
}

impl RootLists {
    /// Adds entries whose `in_log` bit is theirs.
    pub(crate) fn log_block(&self, block: NonNull<Block>) {
        HEAP.blocks.append(&mut lock(&self.log), block);
    }

    /// Adds entries that have not been filtered.
    pub(crate) fn candidate_block(&self, block: NonNull<Block>) {
        HEAP.blocks.append(&mut lock(&self.candidates), block);
    }

    /// Calls `f` with every entry, and whether it is one of the root log's.
    pub(crate) fn for_each(&self, mut f: impl FnMut(Object, bool)) {
        lock(&self.log).for_each(|object| f(object, true));
        lock(&self.candidates).for_each(|object| f(object, false));
    }

    /// Takes the log as it is.
    pub(crate) fn take_log(&self) -> BlockList {
        std::mem::take(&mut *lock(&self.log))
    }

    /// Takes the candidates there are.
    pub(crate) fn take_candidates(&self) -> BlockList {
        std::mem::take(&mut *lock(&self.candidates))
    }
}
