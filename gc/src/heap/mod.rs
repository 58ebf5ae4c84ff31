//! Memory: arenas of pages, spans of slots, free runs, caches. Knows nothing of marking.
//!
//! The way of an allocation, each step only when the one before fails:
//!
//! ```text
//! the thread's run (cache) -> its span's next free run -> a swept span of the central list
//!     -> an unswept one, swept on the spot -> fresh pages (page heap) -> a further arena (os)
//! ```
//!
//! Nothing here calls the global allocator: all of it runs inside operations, which run no code of users, and a global
//! allocator may be theirs.

pub(crate) mod account;
pub(crate) mod arena;
pub(crate) mod blocks;
pub(crate) mod cache;
pub(crate) mod central;
pub(crate) mod header;
pub(crate) mod kind;
pub(crate) mod large;
pub(crate) mod os;
pub(crate) mod os_vec;
pub(crate) mod page_heap;
pub(crate) mod poison;
pub(crate) mod size_class;
pub(crate) mod slots;
pub(crate) mod span;

use crate::sync::{AtomicBool, AtomicU32, AtomicUsize, Mutation, Ordering, const_fn, global, weakened};
use account::Account;
use blocks::{Block, BlockPool};
use central::{Central, SPAN_CLASSES};
use page_heap::PageHeap;
use span::Span;
use std::ptr::NonNull;

/// The OS refused memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OutOfMemory;

global! {
    /// The heap of the process.
    pub(crate) static HEAP: Heap = Heap::new();
}

/// Everything that holds objects.
pub(crate) struct Heap {
    pub(crate) pages: PageHeap,
    pub(crate) blocks: BlockPool,
    pub(crate) account: Account,
    centrals: [Central; SPAN_CLASSES],
    /// The number of the last S2. Changed with the world stopped.
    cycle: AtomicU32,
    /// Spans that mutators are sweeping now.
    lazy_sweeps: AtomicUsize,
    /// Whether the collector has done what it must do between S2 and the sweep. Cleared with the world stopped.
    may_sweep: AtomicBool,
}

impl Heap {
    const_fn! {
        fn new() -> Self {
            Heap {
                pages: PageHeap::new(),
                blocks: BlockPool::new(),
                account: Account::new(),
                centrals: centrals(),
                cycle: AtomicU32::new(0),
                lazy_sweeps: AtomicUsize::new(0),
                may_sweep: AtomicBool::new(true),
            }
        }
    }

    /// An empty block for the collector's own lists. There is no way to go on without one: losing an entry would free
    /// a live object.
    pub(crate) fn take_block(&self) -> NonNull<Block> {
        self.blocks.take().unwrap_or_else(|| out_of_blocks())
    }

    pub(crate) fn central(&self, span_class: usize) -> &Central {
        &self.centrals[span_class]
    }

    /// The number of the last S2; it does not change during an operation.
    #[inline]
    pub(crate) fn cycle(&self) -> u32 {
        self.cycle.load(Ordering::Acquire)
    }

    /// Makes every span unswept: S2, with the world stopped. Nobody sweeps before `allow_sweeping`.
    pub(crate) fn advance_cycle(&self) -> u32 {
        // The top bit of a span's `swept` is taken.
        let next = (self.cycle() + 1) & (u32::MAX >> 1);
        self.cycle.store(next, Ordering::Release);
        self.may_sweep.store(false, Ordering::Relaxed);
        next
    }

    /// What is white may go: mutators may sweep from now on.
    pub(crate) fn allow_sweeping(&self) {
        self.may_sweep.store(true, Ordering::Release);
    }

    /// Whether mutators may sweep. If an operation reads *no*, nothing that was allocated at S2 is freed before it ends.
    #[inline]
    pub(crate) fn may_sweep(&self) -> bool {
        self.may_sweep.load(Ordering::Acquire)
    }

    /// Takes an unswept span for sweeping by a mutator; `end_lazy_sweep` must follow.
    ///
    /// Counting before taking lets the collector believe an empty list with no lazy sweep under way.
    pub(crate) fn begin_lazy_sweep(&self, central: &Central, cycle: u32) -> Option<&'static Span> {
        if !self.may_sweep() && !weakened(Mutation::SweepEarly) {
            return None;
        }
        let late = weakened(Mutation::SweepCountedLate);
        if !late {
            self.lazy_sweeps.fetch_add(1, Ordering::AcqRel);
        }
        let span = central.take_unswept(cycle).filter(|span| span.begin_sweep(cycle));
        if late {
            self.lazy_sweeps.fetch_add(1, Ordering::AcqRel);
        }
        if span.is_none() {
            self.end_lazy_sweep();
        }
        span
    }

    pub(crate) fn end_lazy_sweep(&self) {
        self.lazy_sweeps.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether a mutator is sweeping a span.
    pub(crate) fn sweeping_lazily(&self) -> bool {
        self.lazy_sweeps.load(Ordering::Acquire) != 0
    }

    /// Ends the sweep of a span whose dead need no dropping, or have had it: the marks become the allocation bits.
    /// Returns how many slots are free.
    pub(crate) fn sweep_plain(&self, span: &Span, cycle: u32) -> usize {
        let allocation = span.allocation_parity();
        let (before, live) = (span.count_bits(allocation), span.count_bits(allocation + 1));
        debug_assert!(live <= before, "a marked slot was not allocated");
        span.clear_bits(allocation);
        poison::poison_free_slots(span, allocation + 1);
        span.set_cursor(0);
        span.end_sweep(cycle);
        let dead = before - live;
        self.account.swept(dead * span.object_bytes(), dead);
        span.slots() - live
    }
}

#[cfg(not(graphgc_loom))]
const fn centrals() -> [Central; SPAN_CLASSES] {
    [const { Central::new() }; SPAN_CLASSES]
}

#[cfg(graphgc_loom)]
fn centrals() -> [Central; SPAN_CLASSES] {
    std::array::from_fn(|_| Central::new())
}

#[cold]
#[inline(never)]
fn out_of_blocks() -> ! {
    os::end_process("the OS refuses memory for the collector's own lists")
}
