//! A thread's own spans: for each span class a run of free slots, taken from by moving a pointer.
//!
//! A run is bought whole: its allocation bits (and, while marking, its mark bits: objects are born black) are set when the thread acquires it, and
//! those of the unused tail cleared when the cache is flushed. So the hit path touches no bitmap, takes no lock
//! and writes nothing that other threads read. The slot taken last can be given back in the same way, as long as the cache has not been flushed.
//!
//! A cache is used by its thread inside operations, and by whoever brings the thread's record up to date after S1 or S2
//! (`mutator::record`). Both transitions flush it: after S1 so that what is allocated from then on is black, after S2
//! because nothing may be allocated from a span that has not been swept since.

use super::{
    Heap,
    central::{SPAN_CLASSES, slots_of, span_class},
    kind::{DropKind, Kind},
    poison, size_class,
    span::{Place, Span},
};
use crate::sync::{Mutation, weakened};
use std::ptr::{NonNull, null, null_mut};

/// Free slots between two addresses of a span.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    pub(crate) next: *mut u8,
    pub(crate) end: *mut u8,
    /// Where the run began.
    start: *mut u8,
    pub(crate) span: *const Span,
}

const NO_RUN: Run = Run { next: null_mut(), end: null_mut(), start: null_mut(), span: null() };

/// The runs of one thread. All-zero memory is an empty cache.
pub(crate) struct Cache {
    runs: [Run; SPAN_CLASSES],
    /// Slots, and their bytes, that were taken back since the last flush.
    recycled: usize,
    recycled_bytes: usize,
}

/// What a refill came to.
pub(crate) enum Refill {
    /// The next `allocate` of this span class succeeds; the run has this many bytes.
    Ready(usize),
    /// A span whose dead must be dropped outside any operation; the caller owns the sweep. Then try again.
    Sweep(&'static Span),
    /// The OS refused memory.
    NoMemory,
}

impl Cache {
    /// A slot of the span class, of `size` bytes, or `None` if the run is used up.
    #[inline]
    pub(crate) fn allocate(&mut self, span_class: usize, size: usize) -> Option<NonNull<u8>> {
        let run = &mut self.runs[span_class];
        if run.next == run.end {
            return None;
        }
        let slot = run.next;
        run.next = slot.wrapping_add(size);
        poison::unpoison(slot, size);
        NonNull::new(slot)
    }

    /// Takes back the slot that was taken last of its span class, of `size` bytes; if it is another, nothing happens.
    #[inline]
    pub(crate) fn recycle(&mut self, span_class: usize, slot: *mut u8, size: usize) {
        let run = &mut self.runs[span_class];
        if slot.wrapping_add(size) == run.next && slot >= run.start {
            run.next = slot;
            self.recycled += 1;
            self.recycled_bytes += size;
            poison::poison(slot, size);
        }
    }

    /// Finds the span class a run: in its span, in the central list (sweeping on the way), or in fresh pages.
    pub(crate) fn refill(&mut self, heap: &'static Heap, class: usize, kind: Kind, black: bool) -> Refill {
        let index = span_class(class, kind);
        debug_assert!(self.runs[index].next == self.runs[index].end);
        loop {
            // SAFETY: a cached span is in use.
            if let Some(span) = unsafe { self.runs[index].span.as_ref() } {
                if let Some(run) = span.next_free_run() {
                    let bytes = run.len();
                    self.runs[index] = acquire(heap, span, run, black);
                    return Refill::Ready(bytes);
                }
                self.runs[index] = NO_RUN;
                heap.central(index).give(span, false);
            }
            match next_span(heap, class, kind) {
                Next::Span(span) => {
                    span.set_place(Place::Cached);
                    self.runs[index].span = span;
                }
                Next::Sweep(span) => return Refill::Sweep(span),
                Next::NoMemory => return Refill::NoMemory,
            }
        }
    }

    /// Calls `f` with the span class and run of every span in the cache.
    pub(crate) fn for_each_run(&self, mut f: impl FnMut(usize, &Run)) {
        self.runs.iter().enumerate().filter(|(_, run)| !run.span.is_null()).for_each(|(index, run)| f(index, run));
    }

    /// Gives every span back, the unused tails of its runs free again.
    pub(crate) fn flush(&mut self, heap: &'static Heap) {
        heap.account.recycled(std::mem::take(&mut self.recycled_bytes), std::mem::take(&mut self.recycled));
        for (index, run) in self.runs.iter_mut().enumerate() {
            // SAFETY: a cached span is in use.
            if let Some(span) = unsafe { run.span.as_ref() } {
                if weakened(Mutation::GiveBeforeTail) {
                    heap.central(index).give(span, true);
                    release(heap, span, run);
                    *run = NO_RUN;
                    continue;
                }
                release(heap, span, run);
                *run = NO_RUN;
                heap.central(index).give(span, span.cursor() < span.slots_bytes());
            }
        }
    }
}

/// Buys `run` of `span`.
fn acquire(heap: &Heap, span: &'static Span, run: std::ops::Range<usize>, black: bool) -> Run {
    span.set_allocated(run.clone());
    if black && !weakened(Mutation::AllocateWhite) {
        span.set_marked(run.clone());
    }
    span.set_cursor(run.end);
    heap.account.allocated(run.len(), run.len() / span.slot_size(), black);
    let first = span.first_slot();
    let start = first.wrapping_add(run.start);
    Run { next: start, end: first.wrapping_add(run.end), start, span }
}

/// Returns what is left of `run` to `span`.
fn release(heap: &Heap, span: &'static Span, run: &Run) {
    let first = span.first_slot().addr();
    let tail = run.next.addr().wrapping_sub(first)..run.end.addr().wrapping_sub(first);
    if run.next.is_null() || tail.is_empty() {
        return;
    }
    span.clear_allocated(tail.clone());
    if !weakened(Mutation::TailStaysMarked) {
        span.clear_marked(tail.clone());
    }
    span.set_cursor(tail.start);
    heap.account.returned(tail.len(), tail.len() / span.slot_size());
}

enum Next {
    Span(&'static Span),
    Sweep(&'static Span),
    NoMemory,
}

/// How many spans without room a refill sweeps before it takes fresh pages.
const SWEEPS_PER_REFILL: usize = 32;

fn next_span(heap: &'static Heap, class: usize, kind: Kind) -> Next {
    let central = heap.central(span_class(class, kind));
    let cycle = heap.cycle();
    let parity = if weakened(Mutation::RefillFromUnswept) { cycle + 1 } else { cycle };
    if let Some(span) = central.take_swept(parity) {
        return Next::Span(span);
    }
    if kind.drop != DropKind::User {
        for _ in 0..SWEEPS_PER_REFILL {
            let Some(span) = heap.begin_lazy_sweep(central, cycle) else { break };
            if kind.drop == DropKind::Frees {
                return Next::Sweep(span);
            }
            let free = heap.sweep_plain(span, cycle);
            heap.end_lazy_sweep();
            if free > 0 {
                return Next::Span(span);
            }
            central.give(span, false);
        }
    }
    match fresh_span(heap, class, kind, cycle) {
        Some(span) => Next::Span(span),
        None => Next::NoMemory,
    }
}

fn fresh_span(heap: &'static Heap, class: usize, kind: Kind, cycle: u32) -> Option<&'static Span> {
    // More objects can mean more entries in the collector's lists, which must not fail.
    if !heap.blocks.replenish() {
        return None;
    }
    let pages = size_class::PAGES[class] as usize;
    let span = heap.pages.allocate(pages)?;
    let size = size_class::SIZES[class] as usize;
    span.format(class, kind, span.start().addr(), size, slots_of(class), cycle);
    poison::poison_pages(span);
    Some(span)
}
