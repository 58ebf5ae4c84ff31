//! `collect()`: asking for cycles and waiting for what they do.

use super::{
    dropper::DROPPER,
    held_up::HELD_UP,
    sweep::cannot_wait,
    worker::{WORKER, ensure_started},
};
use crate::{
    config,
    mutator::holders::{HeldPin, is_pinned},
    observe::stats::TOTALS,
};
use std::time::{Duration, Instant};

/// How many further cycles `collect` runs while each lets go of counted handles in what it sweeps.
const MOST_ROUNDS: usize = 64;

/// What [`collect`] came to.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// Everything that was unreachable at the call has been dropped, but for what finalizers keep.
    Settled,
    /// The cycles ran and their drops are done, but the last one still found values whose dropping let go of further objects: a chain through
    /// `#[trace(skip)]` fields longer than the bound. Another call goes on.
    Unsettled,
    /// The caller cannot wait for the collector, which waits for it: it holds a pin, or runs inside a `Drop`, a finalizer, a cleanup or a hook that the
    /// collector called. A cycle has been asked for.
    Requested,
    /// Another thread's pin has held the cycle up for longer than [`Config::patience`](crate::Config::patience). The cycle goes on when the pin is
    /// gone.
    Blocked(HeldPin),
}

/// What a call of [`collect`] did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Collection {
    /// How it ended.
    pub outcome: Outcome,
    /// Cycles that ended during the call.
    pub cycles: u64,
    /// Objects freed during the call, in number, by all threads. Those in whose slots their thread had put the next object at once are not among them, other than in
    /// [`Stats::freed_objects`](crate::Stats::freed_objects).
    pub freed_objects: u64,
    /// Memory of the slots freed during the call, in bytes.
    pub freed_bytes: u64,
    /// How long the call took.
    pub elapsed: Duration,
}

/// Collects now: when it returns, everything that was unreachable at the call has been dropped and its memory is free.
///
/// Runs at least two cycles, since content that was opened for writing counts as rooted in the first, and one more for each
/// link of a chain through `#[trace(skip)]` fields, up to a bound. Only the caller waits: other threads go on, but for two
/// brief stops a cycle. It waits neither for borrows nor for locks that anyone holds, but for `Drop`s of users' values:
/// a `Drop` that waits for a lock held by the caller, or for a thread that calls this, waits for ever.
///
/// It does not wait for finalizers: objects that have one ([`Finalize`](crate::Finalize)), and what only they reach, are queued, and dropped by a later collection.
///
/// Called from such a `Drop` or from a finalizer, or while the calling thread holds a [pin](crate::pin), it cannot wait: it asks for a cycle and says
/// [`Outcome::Requested`]. If another thread's pin outlasts its [patience](crate::Config::patience), it says [`Outcome::Blocked`] and by
/// whom.
///
/// Cost: marking everything that lives, twice. Programs need not call it: cycles start by themselves as the heap grows.
///
/// # Panics
/// As for the first [`Gc::new`](crate::Gc::new): if a `GRAPHGC_` variable of the environment has an invalid value.
///
/// ```
/// use graphgc::{Gc, GcRefCell, Trace};
///
/// #[derive(Trace)]
/// struct Node { myself: GcRefCell<Option<Gc<Node>>> }
///
/// let node = Gc::new(Node { myself: GcRefCell::new(None) });
/// *node.myself.borrow_mut() = Some(node.clone());
/// drop(node);
/// let done = graphgc::collect();
/// assert_eq!(done.outcome, graphgc::Outcome::Settled);
/// assert!(done.freed_objects >= 1);
/// ```
pub fn collect() -> Collection {
    ensure_started();
    let begun = Instant::now();
    let before = TOTALS.snapshot();
    let outcome = if cannot_wait() || is_pinned() {
        WORKER.request_cycle();
        Outcome::Requested
    } else {
        run_until_settled().unwrap_or_else(Outcome::Blocked)
    };
    let after = TOTALS.snapshot();
    Collection {
        outcome,
        cycles: after.cycles - before.cycles,
        freed_objects: after.freed_objects - before.freed_objects,
        freed_bytes: after.freed_bytes - before.freed_bytes,
        elapsed: begun.elapsed(),
    }
}

/// Asks for a cycle and waits for nothing.
pub(crate) fn request_cycle() {
    WORKER.request_cycle();
}

fn run_until_settled() -> Result<Outcome, HeldPin> {
    run_one_cycle()?;
    for _ in 0..MOST_ROUNDS {
        // Whatever has been let go by now is no root any more when the next cycle begins.
        let known = TOTALS.times_let_go();
        run_one_cycle()?;
        if TOTALS.times_let_go() == known {
            return Ok(Outcome::Settled);
        }
    }
    Ok(Outcome::Unsettled)
}

/// Runs a cycle that begins after the call, with its sweep and its drops; gives up if a pin holds it up for too long.
fn run_one_cycle() -> Result<(), HeldPin> {
    let patience = config::settle().patience;
    let number = WORKER.request_cycle();
    while !WORKER.wait_for(number, patience) {
        if let Some(pin) = HELD_UP.longer_than(patience) {
            return Err(pin);
        }
    }
    DROPPER.wait();
    Ok(())
}
