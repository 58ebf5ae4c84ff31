//! Between S2 and the sweep: what is white is about to go, and those who asked to be told are.
//!
//! No span that had objects at S2 is swept, by anyone, before this is over (`Heap::allow_sweeping`): the bits of the white objects and all that they refer to stay as they are.
//! Mutators that need room meanwhile take fresh spans. The order:
//!
//! 1. weak handles to white objects and ephemerons with white keys are cleared, and every thread is seen outside an operation once (`weak_links`, `ephemerons`): from here on the program reaches no white object;
//! 2. objects with finalizers are kept, with all that they reach, and queued (`finalize`);
//! 3. cleanups of what is white even then are queued (`finalize::cleanup`).

use super::{
    ephemerons::WAITING,
    finalize::{cleanup, keep_finalizable},
    pacer::PACER,
    weak_links::WEAK_LINKS,
};
use crate::{
    config::Config,
    heap::HEAP,
    mutator::record::see_all_outside,
    sync::{Mutation, weakened},
};

/// All of it, after the S2 of `cycle`; then sweeping may begin.
pub(super) fn run(config: &Config, cycle: u32) {
    let (cleared, links) = WEAK_LINKS.clear_dead();
    let ephemerons = WAITING.clear_dead();
    if cleared + ephemerons > 0 && !weakened(Mutation::ClearWithoutHandshake) {
        see_all_outside();
    }
    let kept = links + keep_finalizable(cycle);
    if kept > 0 {
        PACER.kept(config, kept as u64);
    }
    cleanup::queue_those_of_the_dead();
    HEAP.allow_sweeping();
}
