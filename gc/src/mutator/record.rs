//! One thread's record: its gate, its allocation cache, its candidate roots and its grey objects.
//!
//! The gate says who may touch the rest (`mutator::gate`).
//!
//! Records are linked into a list when they are made and never leave it; the record of a thread that has ended is used
//! again by another. Their memory comes from the OS directly.

use super::{
    candidates::Candidates,
    gate::{Gated, Phase, World},
};
use crate::{
    collector::grey::GreyBuffer,
    heap::{HEAP, cache::Cache, os},
    sync::{AtomicBool, AtomicPtr, Mutex, Ordering, lock},
};
use std::ptr::null_mut;

/// The world of the process.
pub(crate) static WORLD: World = World::new();

/// All records of the process.
static REGISTRY: Registry = Registry { first: AtomicPtr::new(null_mut()), changes: Mutex::new(()) };

struct Registry {
    first: AtomicPtr<Record>,
    /// Held to hand records out and to take them back.
    changes: Mutex<()>,
}

/// What a thread owns inside the collector.
#[repr(align(128))]
pub(crate) struct Record {
    gated: Gated<Local>,
    in_use: AtomicBool,
    next: AtomicPtr<Record>,
}

/// The part of a record that its thread uses without synchronisation.
pub(crate) struct Local {
    pub(crate) cache: Cache,
    pub(crate) candidates: Candidates,
    pub(crate) grey: GreyBuffer,
}

impl Record {
    /// A record for a new thread, up to date with the current phase.
    pub(crate) fn register() -> &'static Record {
        let _changes = lock(&REGISTRY.changes);
        let reused = records().find(|record| !record.in_use.load(Ordering::Relaxed));
        let record = reused.unwrap_or_else(Record::create);
        record.in_use.store(true, Ordering::Relaxed);
        record
    }

    fn create() -> &'static Record {
        let size = size_of::<Record>().next_multiple_of(crate::heap::arena::PAGE_SIZE);
        let memory = os::reserve(size, align_of::<Record>()).filter(|memory| os::commit(*memory, size));
        let Some(memory) = memory else { std::alloc::handle_alloc_error(std::alloc::Layout::new::<Record>()) };
        os::name(memory, size, c"graphgc thread");
        let memory = memory.cast::<Record>();
        // A phase from before is fine: the first operation, or the collector, updates the record.
        let (at, phase) = (memory.as_ptr(), WORLD.phase());
        // SAFETY: fresh zeroed memory of sufficient size and alignment, never given back; every field is written, or
        // zero as it should be.
        let record = unsafe {
            Gated::init(&raw mut (*at).gated, phase, |local| Local::init(local));
            (&raw mut (*at).in_use).write(AtomicBool::new(false));
            (&raw mut (*at).next).write(AtomicPtr::new(REGISTRY.first.load(Ordering::Relaxed)));
            memory.as_ref()
        };
        REGISTRY.first.store(memory.as_ptr(), Ordering::Release);
        record
    }

    /// Takes back the record of a thread that ends, or of an operation that had to borrow one.
    pub(crate) fn unregister(&'static self) {
        self.enter();
        // SAFETY: in an operation whose phase the record has seen.
        unsafe { self.local() }.flush();
        self.leave();
        let _changes = lock(&REGISTRY.changes);
        self.in_use.store(false, Ordering::Relaxed);
    }

    /// Enters an operation.
    #[inline]
    pub(crate) fn enter(&self) -> Phase {
        self.gated.enter(&WORLD, Local::flush)
    }

    /// Leaves it.
    #[inline]
    pub(crate) fn leave(&self) {
        self.gated.gate.leave();
    }

    /// The local part.
    ///
    /// # Safety
    /// As for `Gated::content`.
    #[inline]
    #[expect(clippy::mut_from_ref, reason = "guarded by the protocol of the gate")]
    pub(crate) unsafe fn local(&self) -> &mut Local {
        // SAFETY: by contract.
        unsafe { self.gated.content() }
    }
}

impl Local {
    /// Makes an empty one in place: it is too large for a small stack.
    ///
    /// # Safety
    /// `at` is zeroed memory that nobody else uses.
    unsafe fn init(at: *mut Local) {
        // SAFETY: by contract; zeroed memory is an empty cache.
        unsafe {
            (&raw mut (*at).candidates).write(Candidates::new());
            (&raw mut (*at).grey).write(GreyBuffer::new());
        }
    }

    /// Hands over everything: spans to the central lists, candidates and grey objects to the collector.
    fn flush(&mut self) {
        self.cache.flush(&HEAP);
        self.candidates.flush();
        self.grey.flush();
    }
}

/// All records there are, in use or not. New ones may appear meanwhile: they hold nothing from before.
pub(crate) fn records() -> impl Iterator<Item = &'static Record> {
    // SAFETY: records are never freed, and linked only when complete.
    let first = unsafe { REGISTRY.first.load(Ordering::Acquire).as_ref() };
    std::iter::successors(first, |record| {
        // SAFETY: as above.
        unsafe { record.next.load(Ordering::Acquire).as_ref() }
    })
}

/// Shuts the gate and waits until no thread is in an operation. The collector alone calls this.
pub(crate) fn stop_the_world() {
    WORLD.stop(records().map(|record| &record.gated.gate));
}

/// Brings every record up to date with `phase`. The collector calls this after S1 and S2.
pub(crate) fn update_all(phase: Phase) {
    records().for_each(|record| record.gated.update(phase, Local::flush));
}

/// The number of threads that have a record.
pub(crate) fn registered_threads() -> usize {
    records().filter(|record| record.in_use.load(Ordering::Relaxed)).count()
}
