//! Sweeping: after S2 a span's marks become its allocation bits, and what was allocated and is not marked is gone.
//!
//! Every span is swept once between two cycles: by a mutator that needs room (not spans with user drops), or by the collector in the
//! background. What has nothing to drop is never touched. What frees memory of std's is dropped where it is found, outside
//! any operation. What may run user code is handed to the dropper and stays allocated until it has been dropped.

use super::dropper::DROPPER;
use crate::{
    heap::{
        HEAP,
        central::{SPAN_CLASSES, span_class},
        header::Object,
        kind::DropKind,
        span::Span,
    },
    mutator::operation::off_short_paths,
    sync::{Mutation, Ordering, per_thread, weakened, yield_now},
    trace::type_info::TypeInfo,
};
use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
};

per_thread! {
    static DUTY: Cell<Duty> = const { Cell::new(Duty::None) };
}

/// What users' code a thread is running for the collector.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Duty {
    None,
    /// A `Drop`.
    Drop,
    /// The hook of a warning, on the worker's thread.
    Warn,
    /// A finalizer or a cleanup.
    Finalize,
}

/// Whether the calling thread is dropping for the collector, so that what it lets go of is what `collect` asks for. Then it is off the short paths of operations,
/// which need not ask.
#[inline]
pub(crate) fn is_dropping() -> bool {
    DUTY.with(Cell::get) == Duty::Drop
}

/// Whether the calling thread is running users' code for the collector now, so that it cannot wait for it.
pub(super) fn cannot_wait() -> bool {
    DUTY.with(Cell::get) != Duty::None
}

/// Whether the calling thread is the worker in a hook: whatever the worker is asked for there comes to nothing.
pub(super) fn is_warning() -> bool {
    DUTY.with(Cell::get) == Duty::Warn
}

/// Drops a dead value. A panic in it goes no further; its remaining parts leak.
///
/// # Safety
/// The object is dead and its slot not yet free; this is its only drop.
pub(crate) unsafe fn drop_dead(object: Object) {
    // SAFETY: by contract.
    as_the_collector(|| unsafe { TypeInfo::of(object).drop_swept(object) });
}

/// Runs a `Drop` of users for the collector. A panic in it goes no further.
fn as_the_collector(code: impl FnOnce()) {
    off_short_paths(|| on_duty(Duty::Drop, code));
}

/// Runs a finalizer or a cleanup. A panic in it goes no further.
pub(super) fn finalizing(code: impl FnOnce()) {
    on_duty(Duty::Finalize, code);
}

/// Runs the hook of a warning. A panic in it goes no further.
pub(super) fn warning(code: impl FnOnce()) {
    on_duty(Duty::Warn, code);
}

fn on_duty(duty: Duty, code: impl FnOnce()) {
    let before = DUTY.with(|current| current.replace(duty));
    if let Err(payload) = catch_unwind(AssertUnwindSafe(code)) {
        // Dropping it could run code of users, and panic, here.
        std::mem::forget(payload);
    }
    DUTY.with(|current| current.set(before));
}

/// Drops what needs dropping in a span that a mutator took for sweeping, and returns it to its central list.
pub(crate) fn sweep_for_mutator(span: &'static Span) {
    let free = sweep_freeing(span, HEAP.cycle());
    give_back(span, free);
    HEAP.end_lazy_sweep();
}

/// Sweeps all that is left to sweep. With the dropper's spans first: one that it finishes meanwhile is then in a central list.
pub(crate) fn sweep_all(cycle: u32) {
    DROPPER.for_each_span(|span| {
        if span.begin_sweep(cycle) {
            sweep_user(span, cycle);
        }
    });
    for index in 0..SPAN_CLASSES {
        let central = HEAP.central(index);
        while let Some(span) = central.take_unswept(cycle) {
            let taken = span.begin_sweep(cycle);
            debug_assert!(taken, "a span in a list of unswept ones was swept");
            sweep_in_background(span, cycle);
        }
    }
    while HEAP.sweeping_lazily() && !weakened(Mutation::SweepWithoutWaiting) {
        yield_now();
    }
}

fn sweep_in_background(span: &'static Span, cycle: u32) {
    let free = match span.kind().drop {
        DropKind::None => HEAP.sweep_plain(span, cycle),
        DropKind::Frees => sweep_freeing(span, cycle),
        DropKind::User => match sweep_user(span, cycle) {
            Swept::Free(slots) => slots,
            Swept::GivenToDropper => return,
        },
    };
    if free == span.slots() {
        // SAFETY: the span is ours alone and nothing in it is allocated.
        unsafe { HEAP.pages.free(span) };
    } else {
        give_back(span, free);
    }
}

/// Returns a swept span to its central list.
pub(super) fn give_back(span: &'static Span, free: usize) {
    HEAP.central(span_class(span.class(), span.kind())).give(span, free > 0 && span.class() != 0);
}

fn sweep_freeing(span: &Span, cycle: u32) -> usize {
    // SAFETY: the sweeper owns the span; what is allocated and unmarked after S2 is dead.
    span.for_each_dead(|object| unsafe { drop_dead(object) });
    HEAP.sweep_plain(span, cycle)
}

enum Swept {
    Free(usize),
    GivenToDropper,
}

/// Sweeps a span of values with user drops: its dead are marked as waiting for the dropper, and stay allocated.
fn sweep_user(span: &'static Span, cycle: u32) -> Swept {
    let waiting = span.with_drop_lock(|waiting| {
        let marks = span.bits(span.allocation_parity() + 1);
        let mut fresh = 0;
        let allocation = span.bits(span.allocation_parity());
        for (index, (allocated, marked)) in allocation.iter().zip(marks).enumerate() {
            let dead = allocated.load(Ordering::Relaxed) & !marked.load(Ordering::Relaxed);
            fresh += condemn(span, index, dead);
            marked.store(allocated.load(Ordering::Relaxed) | marked.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        HEAP.sweep_plain(span, cycle);
        waiting.fetch_add(fresh, Ordering::Relaxed);
        waiting.load(Ordering::Relaxed)
    });
    if waiting == 0 {
        return Swept::Free(span.free_slots());
    }
    DROPPER.add(span);
    Swept::GivenToDropper
}

/// Marks the objects of `dead` that no earlier sweep found as waiting for the dropper; returns how many.
fn condemn(span: &Span, word: usize, mut dead: u64) -> u32 {
    let mut fresh = 0;
    while dead != 0 {
        let object = span.object_at_bit(word, dead.trailing_zeros());
        // SAFETY: the slot is allocated, so its header is there.
        let roots = unsafe { object.roots() };
        if !roots.awaits_drop() {
            roots.await_drop();
            fresh += 1;
        }
        dead &= dead - 1;
    }
    fresh
}
