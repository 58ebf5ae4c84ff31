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

/// Under loom: one list of parked threads behind a lock, as in `parking_lot_core`. A thread that nobody wakes is parked for ever, which loom
/// reports as a deadlock.
#[cfg(graphgc_loom)]
mod modelled {
    use crate::sync::lock;
    use loom::sync::{Condvar, Mutex};

    #[derive(Default)]
    struct Parked {
        /// Key and ticket of every thread that is parked.
        tickets: Vec<(usize, usize)>,
        next: usize,
    }

    loom::lazy_static! {
        static ref PARKED: Mutex<Parked> = Mutex::new(Parked::default());
        static ref UNPARKED: Condvar = Condvar::new();
    }

    pub(crate) fn park(key: usize, validate: impl FnOnce() -> bool) {
        let mut parked = lock(&PARKED);
        if !validate() {
            return;
        }
        let ticket = (key, parked.next);
        parked.next += 1;
        parked.tickets.push(ticket);
        while parked.tickets.contains(&ticket) {
            parked = UNPARKED.wait(parked).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }

    pub(crate) fn unpark_all(key: usize) {
        lock(&PARKED).tickets.retain(|ticket| ticket.0 != key);
        UNPARKED.notify_all();
    }
}
#[cfg(graphgc_loom)]
pub(crate) use modelled::{park, unpark_all};
