//! Pins: scopes in which a thread holds objects that nothing counts.
//!
//! A pin is a `crossbeam-epoch` guard of an epoch collector of our own. S2 waits for every pin that is held at R, the moment when
//! the last root entry of the cycle has been scanned; a pin taken later reaches only objects that this cycle marks
//! anyway. The collector learns that those pins are gone from a closure deferred at R.

use crate::sync::{
    AtomicBool, Ordering,
    epoch::{Collector, Guard, LocalHandle},
};
use once_cell::sync::Lazy;
use std::sync::Arc;

static EPOCH: Lazy<Collector> = Lazy::new(Collector::new);

thread_local! {
    static HANDLE: LocalHandle = EPOCH.register();
}

/// Pins the calling thread; also works while its thread-local data is being destroyed.
pub(crate) fn pin() -> Guard {
    HANDLE.try_with(LocalHandle::pin).unwrap_or_else(|_| EPOCH.register().pin())
}

/// Has `f` run while the thread is pinned no longer by `guard`, and pins it anew.
///
/// Not while the thread's data is being destroyed: a guard can be renewed then, but not given up and taken again. `f` runs pinned anew.
pub(crate) fn repin_after(guard: &mut Guard, f: impl FnOnce()) {
    if HANDLE.try_with(|_| ()).is_ok() {
        guard.repin_after(f);
    } else {
        guard.repin();
        f();
    }
}

/// Waits for the pins that were held when it was made.
pub(crate) struct PinsHeld {
    gone: Arc<AtomicBool>,
}

impl PinsHeld {
    /// Notes the pins held now. The collector calls this at R.
    pub(crate) fn now() -> Self {
        let gone = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&gone);
        let guard = pin();
        guard.defer(move || flag.store(true, Ordering::Release));
        guard.flush();
        PinsHeld { gone }
    }

    /// Whether they are all gone; moves the epoch on if it can.
    pub(crate) fn are_gone(&self) -> bool {
        for _ in 0..4 {
            if self.gone.load(Ordering::Acquire) {
                return true;
            }
            pin().flush();
        }
        self.gone.load(Ordering::Acquire)
    }
}
