//! The finalizer thread and its queue: objects whose finalizers are due, and cleanups.
//!
//! The collector adds, once a cycle; the thread takes all there is, runs it, and comes back for more, so that what came first is not overtaken again and again. Users' code
//! runs with no lock held, and nobody waits for it: neither a cycle nor `collect`. Each object in the queue has one counted handle, the queue's, which is given up when its
//! finalizer has returned or panicked.
//!
//! The thread starts when a program first allocates an object of a finalizable type or attaches a cleanup, so that its start can fail where that can be reported.

use super::{
    Batch,
    cleanup::{self, Cleanups},
};
use crate::{
    collector::sweep::finalizing,
    heap::header::Object,
    observe::stats::TOTALS,
    sync::{Condvar, Mutex, const_fn, global, lock},
    trace::type_info::TypeInfo,
};
use std::sync::PoisonError;

global! {
    /// The finalizer thread's queue.
    pub(crate) static FINALIZERS: Finalizers = Finalizers::new();
}

pub(crate) struct Finalizers {
    waiting: Mutex<Work>,
    added: Condvar,
}

/// What the thread is to do.
pub(crate) struct Work {
    objects: Batch,
    cleanups: Cleanups,
}

impl Work {
    const fn new() -> Self {
        Work { objects: Batch::new(), cleanups: Cleanups::new() }
    }

    fn is_empty(&self) -> bool {
        self.objects.len() == 0 && self.cleanups.is_empty()
    }

    /// Does it.
    pub(crate) fn run(mut self) {
        while let Some(object) = self.objects.pop() {
            // SAFETY: the queue's handle is ours now, and this is the finalizer thread.
            unsafe { finalize(object) };
            TOTALS.finalized();
        }
        while let Some(job) = self.cleanups.pop() {
            finalizing(|| cleanup::run(job));
            TOTALS.cleaned_up();
        }
    }
}

impl Finalizers {
    const_fn! {
        fn new() -> Self {
            Finalizers { waiting: Mutex::new(Work::new()), added: Condvar::new() }
        }
    }

    /// Adds objects, each with a counted handle that is the queue's.
    pub(super) fn add(&self, objects: Batch) {
        if objects.len() > 0 {
            TOTALS.finalizers_queued(objects.len());
            lock(&self.waiting).objects.append(objects);
            self.added.notify_one();
        }
    }

    /// Adds cleanups.
    pub(super) fn add_cleanups(&self, cleanups: Cleanups, number: usize) {
        if number > 0 {
            TOTALS.cleanups_queued(number);
            lock(&self.waiting).cleanups.append(cleanups);
            self.added.notify_one();
        }
    }

    /// Takes all that waits, once there is something.
    pub(crate) fn take(&self) -> Work {
        let mut waiting = lock(&self.waiting);
        while waiting.is_empty() {
            waiting = self.added.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::replace(&mut *waiting, Work::new())
    }

    /// The thread's body.
    pub(in crate::collector) fn run(&self) {
        loop {
            self.take().run();
        }
    }
}

/// Runs an object's finalizer, and gives the handle up that the queue had.
///
/// # Safety
/// The caller owns a counted handle to the object, and is the thread that runs the finalizers of the object's type.
pub(super) unsafe fn finalize(object: Object) {
    // SAFETY: by contract the object is alive, and this thread may; who published it saw the payload written.
    finalizing(|| unsafe { TypeInfo::of(object).finalize(object) });
    // SAFETY: the handle is ours.
    unsafe { object.roots() }.down();
}
