//! What the heap holds, in bytes and objects, kept by runs and sweeps rather than by single objects.
//!
//! A run that a thread has bought counts as allocated whole; what it did not use is returned when its cache is flushed. Short runs are told of together, when
//! the thread gets another span. So the figures can be too high by a run per span class and thread and by the slots that are vacant (`heap::cache`), or too low by as much as a run, and are exact after a cycle.

// Figures: nothing is ordered by them, so models need not look.
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Running totals. What is in use is the difference, so that telling of runs costs two shared additions.
pub(crate) struct Account {
    total_bytes: AtomicU64,
    total_objects: AtomicU64,
    freed_bytes: AtomicU64,
    freed_objects: AtomicU64,
    /// Of vacant slots that were taken anew: in no other total.
    recycled_bytes: AtomicU64,
    recycled_objects: AtomicU64,
    /// Bought black since S1: they count as live in this cycle.
    black_bytes: AtomicUsize,
}

impl Account {
    pub(crate) const fn new() -> Self {
        Account {
            total_bytes: AtomicU64::new(0),
            total_objects: AtomicU64::new(0),
            freed_bytes: AtomicU64::new(0),
            freed_objects: AtomicU64::new(0),
            recycled_bytes: AtomicU64::new(0),
            recycled_objects: AtomicU64::new(0),
            black_bytes: AtomicUsize::new(0),
        }
    }

    pub(crate) fn allocated(&self, bytes: usize, objects: usize, black: bool) {
        self.total_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.total_objects.fetch_add(objects as u64, Ordering::Relaxed);
        if black {
            self.black_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Takes back what was said of slots that have not been used. `black`: they were bought so in this cycle, which is still marking.
    pub(crate) fn returned(&self, bytes: usize, objects: usize, black: bool) {
        self.total_bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
        self.total_objects.fetch_sub(objects as u64, Ordering::Relaxed);
        if black {
            self.black_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    pub(crate) fn swept(&self, bytes: usize, objects: usize) {
        if objects == 0 {
            return;
        }
        self.freed_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.freed_objects.fetch_add(objects as u64, Ordering::Relaxed);
    }

    pub(crate) fn recycled(&self, bytes: usize, objects: usize) {
        if objects == 0 {
            return;
        }
        self.recycled_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.recycled_objects.fetch_add(objects as u64, Ordering::Relaxed);
    }

    /// Bytes of slots that are taken, dead but unswept ones included.
    pub(crate) fn used_bytes(&self) -> usize {
        difference(&self.total_bytes, &self.freed_bytes)
    }

    /// Slots that are taken, dead but unswept ones included.
    pub(crate) fn used_objects(&self) -> usize {
        difference(&self.total_objects, &self.freed_objects)
    }

    /// Bytes and objects ever freed by sweeps.
    pub(crate) fn swept_so_far(&self) -> (u64, u64) {
        (self.freed_bytes.load(Ordering::Relaxed), self.freed_objects.load(Ordering::Relaxed))
    }

    /// Objects ever freed, those among them whose slots were vacant and taken anew.
    pub(crate) fn freed_objects(&self) -> u64 {
        self.freed_objects.load(Ordering::Relaxed) + self.recycled_objects.load(Ordering::Relaxed)
    }

    /// Bytes ever taken from the heap: where the pacer stands. A vacant slot was not.
    pub(crate) fn position(&self) -> u64 {
        self.total_bytes.load(Ordering::Relaxed)
    }

    /// Bytes ever allocated.
    pub(crate) fn total_bytes(&self) -> u64 {
        self.position() + self.recycled_bytes.load(Ordering::Relaxed)
    }

    /// Objects ever allocated.
    pub(crate) fn total_objects(&self) -> u64 {
        self.total_objects.load(Ordering::Relaxed) + self.recycled_objects.load(Ordering::Relaxed)
    }

    /// Bytes bought black since the last call, less what of them was not used and has been returned.
    pub(crate) fn take_black_bytes(&self) -> usize {
        self.black_bytes.swap(0, Ordering::Relaxed)
    }
}

/// The two are read one after the other, the one that lags first.
fn difference(total: &AtomicU64, freed: &AtomicU64) -> usize {
    let freed = freed.load(Ordering::Relaxed);
    total.load(Ordering::Relaxed).saturating_sub(freed) as usize
}
