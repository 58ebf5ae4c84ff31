//! The two lists of root entries that all threads share: the *root log*, whose entries each own their object's `in_log` bit, and
//! *candidates* that threads handed over unfiltered.
//!
//! Threads add whole blocks; the root scan takes both lists (`collector::roots`).

use crate::{
    heap::blocks::{Block, BlockList},
    sync::{Mutex, global, lock},
};
use std::ptr::NonNull;

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
        lock(&self.log).push_front(block);
    }

    /// Adds entries that have not been filtered.
    pub(crate) fn candidate_block(&self, block: NonNull<Block>) {
        lock(&self.candidates).push_front(block);
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
