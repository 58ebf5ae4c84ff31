//! Cleanups: what is to be done when an object is gone, without access to it.
//!
//! All that are attached are in one list. After the marking that keeps what finalizers will see the collector takes the list, moves the cleanups of white objects to the
//! finalizer thread's queue, and puts the others back. What is attached meanwhile belongs to an object that is not white. The lists are linked through their entries, so that moving
//! one allocates nothing.

use super::queue::FINALIZERS;
use crate::{
    heap::{HEAP, arena::Arena, header::Object},
    sync::{Ordering, lock_std},
};
use std::{
    fmt,
    sync::{Arc, Mutex},
};

/// The cleanups of objects that are alive, or not known to be dead.
static ATTACHED: Mutex<Cleanups> = Mutex::new(Cleanups::new());

/// What is to be run, until it is run or cancelled.
type Job = Mutex<Option<Box<dyn FnOnce() + Send>>>;

struct Entry {
    object: Object,
    job: Arc<Job>,
    next: Option<Box<Entry>>,
}

/// A list of cleanups.
pub(crate) struct Cleanups {
    first: Option<Box<Entry>>,
}

impl Cleanups {
    pub(super) const fn new() -> Self {
        Cleanups { first: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    fn push(&mut self, mut entry: Box<Entry>) {
        entry.next = self.first.take();
        self.first = Some(entry);
    }

    fn pop_entry(&mut self) -> Option<Box<Entry>> {
        let mut entry = self.first.take()?;
        self.first = entry.next.take();
        Some(entry)
    }

    pub(super) fn pop(&mut self) -> Option<Arc<Job>> {
        self.pop_entry().map(|entry| entry.job)
    }

    /// Adds those of another list.
    pub(super) fn append(&mut self, mut other: Cleanups) {
        while let Some(entry) = other.pop_entry() {
            self.push(entry);
        }
    }
}

/// Queues the cleanups of white objects. The collector calls this between the marking for finalizers and the sweep.
pub(in crate::collector) fn queue_those_of_the_dead() {
    let mut attached = std::mem::replace(&mut *lock_std(&ATTACHED), Cleanups::new());
    let (mut kept, mut due, mut number) = (Cleanups::new(), Cleanups::new(), 0);
    while let Some(entry) = attached.pop_entry() {
        if is_white(entry.object) {
            due.push(entry);
            number += 1;
        } else {
            kept.push(entry);
        }
    }
    let mut list = lock_std(&ATTACHED);
    // Few have come meanwhile.
    kept.append(std::mem::replace(&mut *list, Cleanups::new()));
    *list = kept;
    drop(list);
    FINALIZERS.add_cleanups(due, number);
}

/// Whether the cycle has found the object dead. In a span that is fresh since S2 the bit is that of the allocation.
fn is_white(object: Object) -> bool {
    // SAFETY: entries of dead objects leave the list before the sweep, so the object is in a live arena.
    unsafe {
        let bit = Arena::bit_of(object.as_ptr().cast());
        bit.word(HEAP.cycle() as usize).load(Ordering::Relaxed) & bit.mask == 0
    }
}

/// Attaches `job` to an object that the caller has a handle to.
pub(crate) fn attach(object: Object, job: Box<dyn FnOnce() + Send>) -> Cleanup {
    let job = Arc::new(Mutex::new(Some(job)));
    let entry = Box::new(Entry { object, job: Arc::clone(&job), next: None });
    lock_std(&ATTACHED).push(entry);
    Cleanup { job }
}

/// Runs a cleanup, unless it has been cancelled.
pub(super) fn run(job: Arc<Job>) {
    let job = lock_std(&job).take();
    if let Some(job) = job {
        job();
    }
}

/// A cleanup attached to an object by [`Gc::on_drop`](crate::Gc::on_drop). Dropping this changes nothing: the cleanup stays attached.
pub struct Cleanup {
    job: Arc<Job>,
}

impl Cleanup {
    /// Sees to it that the cleanup does not run, and drops its argument. False if it has run, or is running, already.
    ///
    /// Cost: a lock and two deallocations; a few words stay until the object goes.
    pub fn cancel(self) -> bool {
        let job = lock_std(&self.job).take();
        job.is_some()
    }
}

impl fmt::Debug for Cleanup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cleanup").finish_non_exhaustive()
    }
}
