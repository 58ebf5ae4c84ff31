//! The smallest epoch with the contract that the collector relies on, in the place of `crossbeam-epoch` in models: what is deferred runs
//! once every guard held at that moment is gone, and everything done under those guards happens before it.
//!
//! Nothing else is ordered: the list of guards is kept in std's types, which loom does not see, and an access of relaxed order goes before each use of
//! it, so that loom tries all orders of those.

use super::{AtomicBool, AtomicUsize, Ordering, fence};
use std::{cell::RefCell, rc::Rc};

/// Stands for the epoch of the process.
pub(crate) struct Collector;

/// Stands for a thread that takes part.
pub(crate) struct LocalHandle;

/// A pin.
pub(crate) struct Guard {
    held: Rc<AtomicBool>,
}

#[derive(Default)]
struct Pins {
    held: Vec<Rc<AtomicBool>>,
    deferred: Vec<Deferred>,
}

struct Deferred {
    awaits: Vec<Rc<AtomicBool>>,
    run: Box<dyn FnOnce()>,
}

thread_local! {
    // Std's: loom runs all threads of a model on the one that checks it.
    static PINS: RefCell<Pins> = RefCell::default();
}

super::global! {
    /// What each use of the list accesses first.
    static USES: AtomicUsize = AtomicUsize::new(0);
}

/// Uses the list; one step to loom.
fn with_pins<R>(f: impl FnOnce(&mut Pins) -> R) -> R {
    USES.fetch_add(1, Ordering::Relaxed);
    PINS.with(|pins| f(&mut pins.borrow_mut()))
}

/// Forgets what an earlier execution left.
pub(crate) fn reset() {
    PINS.take();
}

impl Collector {
    pub(crate) fn new() -> Self {
        Collector
    }

    pub(crate) fn register(&self) -> LocalHandle {
        LocalHandle
    }
}

impl LocalHandle {
    pub(crate) fn pin(&self) -> Guard {
        let held = Rc::new(AtomicBool::new(true));
        with_pins(|pins| pins.held.push(held.clone()));
        fence(Ordering::SeqCst);
        Guard { held }
    }
}

impl Guard {
    pub(crate) fn defer<R>(&self, run: impl FnOnce() -> R + 'static) {
        fence(Ordering::SeqCst);
        let run = Box::new(|| drop(run()));
        with_pins(|pins| {
            let awaits = pins.held.clone();
            pins.deferred.push(Deferred { awaits, run });
        });
    }

    /// Ends, and begins anew.
    pub(crate) fn repin(&mut self) {
        *self = LocalHandle.pin();
    }

    /// Ends, calls `f`, and begins anew.
    pub(crate) fn repin_after<R>(&mut self, f: impl FnOnce() -> R) -> R {
        self.end();
        let result = f();
        self.repin();
        result
    }

    fn end(&self) {
        self.held.store(false, Ordering::Release);
        with_pins(|pins| pins.held.retain(|held| !Rc::ptr_eq(held, &self.held)));
    }

    /// Runs what can be run.
    pub(crate) fn flush(&self) {
        let mut waiting = with_pins(|pins| std::mem::take(&mut pins.deferred));
        // A guard is gone when this thread sees it gone.
        let (ready, waiting) = waiting
            .drain(..)
            .partition::<Vec<_>, _>(|deferred| deferred.awaits.iter().all(|held| !held.load(Ordering::Acquire)));
        with_pins(|pins| pins.deferred.extend(waiting));
        ready.into_iter().for_each(|deferred| (deferred.run)());
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.end();
    }
}
