//! One thread's record: its gate, its allocation cache, its candidate roots and its grey objects.
//!
//! Who may touch the local part: the thread, in an operation whose phase the record has seen; or whoever holds the record's lock and finds
//! that the record has *not* seen the current phase. The two exclude each other (see `mutator::gate`), and the lock excludes
//! two updaters. With the world stopped the collector may look at it, too.
//!
//! Records are linked into a list when they are made and never leave it; the record of a thread that has ended is used
//! again by another. Their memory comes from the OS directly.

use super::{
    candidates::Candidates,
    gate::{Gate, Phase, World},
};
use crate::{
    collector::grey::GreyBuffer,
    heap::{HEAP, cache::Cache, os},
    sync::{AtomicBool, AtomicPtr, Mutex, Ordering, lock},
};
use std::{cell::UnsafeCell, ptr::null_mut};

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
    pub(crate) gate: Gate,
    local: UnsafeCell<Local>,
    updating: Mutex<()>,
    in_use: AtomicBool,
    next: AtomicPtr<Record>,
}

// SAFETY: `local` is guarded as the module's head says; the rest is atomic or a lock.
unsafe impl Sync for Record {}

/// The part of a record that its thread uses without synchronisation.
pub(crate) struct Local {
    pub(crate) cache: Cache,
    pub(crate) candidates: Candidates,
    pub(crate) grey: GreyBuffer,
    /// Bytes allocated that assists have not paid for yet.
    pub(crate) debt: usize,
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
        let Some(memory) = memory else {
            std::alloc::handle_alloc_error(std::alloc::Layout::new::<Record>())
        };
        os::name(memory, size, c"graphgc thread");
        let memory = memory.cast::<Record>();
        // A phase from before is fine: the first operation, or the collector, updates the record.
        let record = Record {
            gate: Gate::new(WORLD.phase()),
            local: UnsafeCell::new(Local {
                cache: Cache::new(),
                candidates: Candidates::new(),
                grey: GreyBuffer::new(),
                debt: 0,
            }),
            updating: Mutex::new(()),
            in_use: AtomicBool::new(false),
            next: AtomicPtr::new(REGISTRY.first.load(Ordering::Relaxed)),
        };
        // SAFETY: fresh memory of sufficient size and alignment, never given back.
        let record = unsafe {
            memory.write(record);
            memory.as_ref()
        };
        REGISTRY.first.store(memory.as_ptr(), Ordering::Release);
        record
    }

    /// Takes back the record of a thread that ends, or of an operation that had to borrow one.
    pub(crate) fn unregister(&'static self) {
        self.gate.enter(&WORLD, |phase| self.update(phase));
        // SAFETY: in an operation whose phase the record has seen.
        unsafe { self.local() }.flush();
        self.gate.leave();
        let _changes = lock(&REGISTRY.changes);
        self.in_use.store(false, Ordering::Relaxed);
    }

    /// Brings the record up to date with `phase`, if nobody has yet: everything in it belongs to the phase before.
    pub(crate) fn update(&self, phase: Phase) {
        let _updating = lock(&self.updating);
        if !self.gate.has_seen(phase) {
            // SAFETY: we hold the lock and the record has not seen the phase.
            unsafe { self.local() }.flush();
            self.gate.set_seen(phase);
        }
    }

    /// The local part.
    ///
    /// # Safety
    /// The caller is one of those that the module's head names, and holds no other reference to it.
    #[inline]
    #[expect(clippy::mut_from_ref, reason = "guarded by the protocol in the module's head")]
    pub(crate) unsafe fn local(&self) -> &mut Local {
        // SAFETY: by contract.
        unsafe { &mut *self.local.get() }
    }
}

impl Local {
    /// Hands over everything: spans to the central lists, candidates and grey objects to the collector.
    fn flush(&mut self) {
        self.cache.flush(&HEAP);
        self.candidates.flush();
        self.grey.flush();
        self.debt = 0;
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

/// Brings every record up to date with `phase`. The collector calls this after S1 and S2.
pub(crate) fn update_all(phase: Phase) {
    records().for_each(|record| record.update(phase));
}

/// The number of threads that have a record.
pub(crate) fn registered_threads() -> usize {
    records().filter(|record| record.in_use.load(Ordering::Relaxed)).count()
}
