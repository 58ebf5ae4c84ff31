//! Running totals and the public statistics made from them.

use crate::{
    collector::pacer::PACER,
    heap::HEAP,
    mutator::{
        holders::{HeldPin, oldest_pin, open_pins},
        record::registered_threads,
    },
    sync::lock_std,
};
use std::{
    sync::{
        Mutex,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::{Duration, Instant},
};

/// The totals of the process.
pub(crate) static TOTALS: Totals = Totals::new();

/// Written by the collector and by assists.
pub(crate) struct Totals {
    cycles: AtomicU64,
    roots: AtomicU64,
    s1: Stop,
    s2: Stop,
    s2_began: Mutex<Option<Instant>>,
    mark: AtomicU64,
    sweep: AtomicU64,
    assist: AtomicU64,
    /// Marked in this cycle.
    marked_bytes: AtomicU64,
    marked_objects: AtomicU64,
    /// Root counts brought to 0 by dropping dead values.
    let_go: AtomicU64,
    finalizers: Jobs,
    local_finalizers: Jobs,
    cleanups: Jobs,
    /// Of the local ones, those that were given up.
    unfinalized: AtomicU64,
}

/// Jobs of users' that were queued, and those that are done.
struct Jobs {
    queued: AtomicU64,
    done: AtomicU64,
}

impl Jobs {
    const fn new() -> Self {
        Jobs { queued: AtomicU64::new(0), done: AtomicU64::new(0) }
    }

    /// Who sees a job done sees what it did.
    fn done(&self) -> u64 {
        self.done.load(Acquire)
    }

    fn pending(&self) -> u64 {
        let done = self.done();
        self.queued.load(Relaxed).saturating_sub(done)
    }
}

/// Durations of one of the two stops, in nanoseconds.
struct Stop {
    last: AtomicU64,
    longest: AtomicU64,
}

impl Stop {
    const fn new() -> Self {
        Stop { last: AtomicU64::new(0), longest: AtomicU64::new(0) }
    }

    fn took(&self, duration: Duration) {
        let nanoseconds = nanoseconds(duration);
        self.last.store(nanoseconds, Relaxed);
        self.longest.fetch_max(nanoseconds, Relaxed);
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The part of the totals that `collect` compares.
pub(crate) struct Snapshot {
    pub(crate) cycles: u64,
    pub(crate) freed_objects: u64,
    pub(crate) freed_bytes: u64,
}

impl Totals {
    const fn new() -> Self {
        Totals {
            cycles: AtomicU64::new(0),
            roots: AtomicU64::new(0),
            s1: Stop::new(),
            s2: Stop::new(),
            s2_began: Mutex::new(None),
            mark: AtomicU64::new(0),
            sweep: AtomicU64::new(0),
            assist: AtomicU64::new(0),
            marked_bytes: AtomicU64::new(0),
            marked_objects: AtomicU64::new(0),
            let_go: AtomicU64::new(0),
            finalizers: Jobs::new(),
            local_finalizers: Jobs::new(),
            cleanups: Jobs::new(),
            unfinalized: AtomicU64::new(0),
        }
    }

    pub(crate) fn s1_took(&self, duration: Duration) {
        self.s1.took(duration);
    }

    pub(crate) fn s2_begins(&self) {
        *lock_std(&self.s2_began) = Some(Instant::now());
    }

    pub(crate) fn s2_ends(&self) {
        if let Some(began) = lock_std(&self.s2_began).take() {
            self.s2.took(began.elapsed());
        }
    }

    pub(crate) fn marking_took(&self, duration: Duration, roots: usize) {
        self.mark.fetch_add(nanoseconds(duration), Relaxed);
        self.roots.store(roots as u64, Relaxed);
    }

    pub(crate) fn sweeping_took(&self, duration: Duration) {
        self.sweep.fetch_add(nanoseconds(duration), Relaxed);
    }

    pub(crate) fn assisted(&self, duration: Duration) {
        self.assist.fetch_add(nanoseconds(duration), Relaxed);
    }

    pub(crate) fn marked(&self, bytes: usize, objects: usize) {
        self.marked_bytes.fetch_add(bytes as u64, Relaxed);
        self.marked_objects.fetch_add(objects as u64, Relaxed);
    }

    /// Bytes and objects marked since the last call.
    pub(crate) fn take_marked(&self) -> (u64, u64) {
        (self.marked_bytes.swap(0, Relaxed), self.marked_objects.swap(0, Relaxed))
    }

    pub(crate) fn cycle_ended(&self) {
        self.cycles.fetch_add(1, Relaxed);
    }

    /// Dropping a dead value has brought a root count to 0. Called after that, so that whoever sees it here and then has a cycle run has
    /// the object found dead.
    pub(crate) fn let_go(&self) {
        self.let_go.fetch_add(1, Release);
    }

    /// How often that has happened.
    pub(crate) fn times_let_go(&self) -> u64 {
        self.let_go.load(Acquire)
    }

    /// Before the queue has them.
    pub(crate) fn finalizers_queued(&self, number: usize) {
        self.finalizers.queued.fetch_add(number as u64, Relaxed);
    }

    pub(crate) fn finalized(&self) {
        self.finalizers.done.fetch_add(1, Release);
    }

    pub(crate) fn local_finalizers_queued(&self) {
        self.local_finalizers.queued.fetch_add(1, Relaxed);
    }

    pub(crate) fn finalized_locally(&self) {
        self.local_finalizers.done.fetch_add(1, Release);
    }

    /// The thread of an object with a local finalizer has ended.
    pub(crate) fn given_up_unfinalized(&self) {
        self.unfinalized.fetch_add(1, Relaxed);
        self.local_finalizers.done.fetch_add(1, Release);
    }

    pub(crate) fn cleanups_queued(&self, number: usize) {
        self.cleanups.queued.fetch_add(number as u64, Relaxed);
    }

    pub(crate) fn cleaned_up(&self) {
        self.cleanups.done.fetch_add(1, Release);
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let (freed_bytes, freed_objects) = HEAP.account.swept_so_far();
        Snapshot { cycles: self.cycles.load(Relaxed), freed_objects, freed_bytes }
    }
}

/// What the collector has done and what it holds, as of one moment; made by [`stats`].
///
/// Bytes are those of slots (header, payload and rounding), not of what values own outside the heap.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Cycles completed.
    pub cycles: u64,
    /// Bytes of objects allocated and not yet freed. Dead objects count until they are swept, and so do a few kilobytes that
    /// each thread holds in advance, and the slots of thousands of objects that it has made and dropped since the last cycle, which it keeps for the next.
    /// Of what a thread has just put into gaps between others a few kilobytes may be missing.
    pub live_bytes: u64,
    /// Objects allocated and not yet freed, with the same reservations.
    pub live_objects: u64,
    /// Bytes that the last cycle found reachable.
    pub marked_bytes: u64,
    /// Bytes allocated since the program began, with the same reservations: when a thread gives back what it held in advance, this goes down by that. An object that a thread has made
    /// in the slot of one that it dropped just before counts from the next cycle on, here and in what follows; nor does it bring that cycle nearer.
    pub total_bytes: u64,
    /// Objects allocated since the program began, with the same reservations.
    pub total_objects: u64,
    /// Objects freed since the program began.
    pub freed_objects: u64,
    /// Objects that were roots (held by a handle outside the heap) at the last cycle's scan.
    pub roots: u64,
    /// The last stop that began marking.
    pub s1_last: Duration,
    /// The longest stop that began marking.
    pub s1_longest: Duration,
    /// The last stop that ended marking.
    pub s2_last: Duration,
    /// The longest stop that ended marking, or tried to.
    pub s2_longest: Duration,
    /// Time from the beginning of S1 to the end of S2, of all cycles together; the program runs meanwhile.
    pub mark_time: Duration,
    /// Time the collector's thread spent sweeping, of all cycles together; the program runs meanwhile.
    pub sweep_time: Duration,
    /// Time that allocating threads spent marking or waiting for the marker, together.
    pub assist_time: Duration,
    /// Memory that the heap has reserved from the operating system, in bytes of address space.
    pub reserved_bytes: u64,
    /// Memory in pages of spans in use, in bytes.
    pub span_bytes: u64,
    /// Memory of the collector's own lists (roots, grey objects), in bytes.
    pub list_bytes: u64,
    /// Unreachable objects whose [finalizer](crate::Finalize) waits for its thread or is running: the length of its queue.
    pub finalizers_pending: u64,
    /// Finalizers that have returned or panicked since the program began, local ones included.
    pub finalizers_run: u64,
    /// Unreachable objects whose [local finalizer](crate::LocalFinalize) waits for [`run_finalizers`](crate::run_finalizers) or is running, of all threads together.
    pub local_finalizers_pending: u64,
    /// Objects with a local finalizer that were given up without it since their thread has ended.
    pub unfinalized: u64,
    /// [Cleanups](crate::Gc::on_drop) of objects that are gone, waiting for the finalizer thread or running.
    pub cleanups_pending: u64,
    /// Cleanups that have returned or panicked since the program began.
    pub cleanups_run: u64,
    /// Threads that have used the collector and not ended.
    pub threads: usize,
    /// Pinned scopes ([`Guard`](crate::Guard)s) that are open now, nested ones included.
    pub open_pins: usize,
    /// The pin that has been held longest, if any is held.
    pub oldest_pin: Option<HeldPin>,
}

/// What the collector has done so far and what it holds. Cost: a few dozen loads and a lock.
///
/// ```
/// let before = graphgc::stats().total_objects;
/// let _kept = graphgc::Gc::new(1);
/// assert!(graphgc::stats().total_objects > before);
/// ```
pub fn stats() -> Stats {
    let unfinalized = TOTALS.unfinalized.load(Relaxed);
    let run_locally = TOTALS.local_finalizers.done().saturating_sub(unfinalized);
    let (totals, account, pages) = (&TOTALS, &HEAP.account, HEAP.pages.stats());
    let time = |nanoseconds: &AtomicU64| Duration::from_nanos(nanoseconds.load(Relaxed));
    Stats {
        cycles: totals.cycles.load(Relaxed),
        live_bytes: account.used_bytes() as u64,
        live_objects: account.used_objects() as u64,
        marked_bytes: PACER.live_bytes(),
        total_bytes: account.total_bytes(),
        total_objects: account.total_objects(),
        freed_objects: account.freed_objects(),
        roots: totals.roots.load(Relaxed),
        s1_last: time(&totals.s1.last),
        s1_longest: time(&totals.s1.longest),
        s2_last: time(&totals.s2.last),
        s2_longest: time(&totals.s2.longest),
        mark_time: time(&totals.mark),
        sweep_time: time(&totals.sweep),
        assist_time: time(&totals.assist),
        reserved_bytes: pages.reserved_bytes as u64,
        span_bytes: (pages.in_use_pages * crate::heap::arena::PAGE_SIZE) as u64,
        list_bytes: HEAP.blocks.committed_bytes() as u64,
        finalizers_pending: totals.finalizers.pending(),
        finalizers_run: totals.finalizers.done() + run_locally,
        local_finalizers_pending: totals.local_finalizers.pending(),
        unfinalized,
        cleanups_pending: totals.cleanups.pending(),
        cleanups_run: totals.cleanups.done(),
        threads: registered_threads(),
        open_pins: open_pins(),
        oldest_pin: oldest_pin(),
    }
}
