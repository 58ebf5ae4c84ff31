//! Parking threads by address. Always outside operations: parking may allocate.

#[cfg(not(graphgc_loom))]
pub(crate) use os_threads::{park, unpark_all};

#[cfg(not(graphgc_loom))]
mod os_threads {
    use parking_lot_core::{DEFAULT_PARK_TOKEN, DEFAULT_UNPARK_TOKEN};

    /// Parks the calling thread under `key` if `validate` holds once it is in the queue; returns when unparked.
    pub(crate) fn park(key: usize, validate: impl FnOnce() -> bool) {
        // SAFETY: `validate` and the empty closures neither park, unpark nor panic; keys are addresses inside our own cells.
        unsafe {
            parking_lot_core::park(key, validate, || {}, |_, _| {}, DEFAULT_PARK_TOKEN, None);
        }
    }

    /// Wakes every thread parked under `key`.
    pub(crate) fn unpark_all(key: usize) {
        // SAFETY: keys are addresses inside our own cells.
        unsafe {
            parking_lot_core::unpark_all(key, DEFAULT_UNPARK_TOKEN);
        }
    }
}

/// Under loom a parked thread yields until what it waits for is no longer so: every schedule in which a wake-up gets lost shows as a thread
/// that loom finds blocked for ever only if the state itself never changes, which is what the models look for.
#[cfg(graphgc_loom)]
mod modelled {
    pub(crate) fn park(_key: usize, validate: impl Fn() -> bool) {
        while validate() {
            loom::thread::yield_now();
        }
    }

    pub(crate) fn unpark_all(_key: usize) {}
}
#[cfg(graphgc_loom)]
pub(crate) use modelled::{park, unpark_all};
