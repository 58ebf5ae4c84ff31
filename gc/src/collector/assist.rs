//! What allocating owes: starting a cycle that is due, and marking in proportion while one runs.
//!
//! All of it runs after the operation in which a thread got a new span, never inside one; the wait of a thread that was pinned then, when it is pinned no longer.

use super::{grey::GREY, held_up::HELD_UP, mark::Marker, pacer::PACER, sweep::is_warning, worker::WORKER};
use crate::{
    mutator::{holders::catch_up_after_pin, record::WORLD},
    observe::stats::TOTALS,
};
use std::time::{Duration, Instant};

/// The least an assist marks once it begins, in bytes.
const SLICE: usize = 64 << 10;
/// How long a thread that is far ahead of the marker waits for it at a time.
const WAIT: Duration = Duration::from_millis(4);

/// The calling thread has told that it has bought `bytes` to allocate from.
pub(crate) fn after_allocation(bytes: usize) {
    if WORLD.phase().is_marking() {
        assist(bytes);
    } else if PACER.is_due() {
        WORKER.request();
        if PACER.is_beyond_limit() {
            // The worker has been asked and gets no core, or is still sweeping.
            wait_for_the_worker();
        }
    }
}

/// A large object is about to be allocated: if it does not fit under the goal, a cycle makes room for the next.
pub(crate) fn before_large(bytes: usize) {
    if PACER.would_exceed(bytes) {
        WORKER.request();
    }
}

/// The calling thread is pinned no longer, and would have waited before if it had not been.
pub(crate) fn after_pin() {
    if PACER.is_beyond_limit() && !GREY.has_blocks() {
        wait_for_the_worker();
    }
}

#[cold]
fn assist(bytes: usize) {
    let debt = PACER.debt(bytes);
    if PACER.is_beyond_limit() && !GREY.has_blocks() {
        wait_for_the_worker();
        return;
    }
    if debt == 0 {
        return;
    }
    let begun = Instant::now();
    if GREY.has_blocks() {
        let mut marker = Marker::new(false);
        marker.drain(debt.max(SLICE));
        let (marked, objects) = marker.finish();
        PACER.pay(marked.saturating_sub(debt));
        TOTALS.marked(marked, objects);
    }
    TOTALS.assisted(begun.elapsed());
}

/// Lets the worker have the core of a thread that is far ahead of it. For a moment only: what the worker waits for may
/// be held up by what this thread holds. Not at all if this thread is the worker, in a hook, or if the worker waits for a pin that has been held
/// for long. A thread that is pinned waits when it is pinned no longer.
fn wait_for_the_worker() {
    if is_warning() || catch_up_after_pin() || HELD_UP.is_for_long() {
        return;
    }
    let begun = Instant::now();
    WORKER.wait_for_progress(WAIT);
    TOTALS.assisted(begun.elapsed());
}
