//! Parking threads by address. Always outside operations: parking may allocate.

#[cfg(not(graphgc_loom))]
pub(crate) use os_threads::{park, unpark_all, unpark_one};

#[cfg(not(graphgc_loom))]
mod os_threads {
    use parking_lot_core::{DEFAULT_PARK_TOKEN, DEFAULT_UNPARK_TOKEN, ParkResult};
    use std::time::Instant;

    /// Parks the calling thread under `key` if `validate` holds once it is in the queue; `before_sleep` runs when it is, and may unpark others. Returns
    /// when unparked: true, or at `deadline`: false.
    pub(crate) fn park(
        key: usize,
        validate: impl FnOnce() -> bool,
        before_sleep: impl FnOnce(),
        deadline: Option<Instant>,
    ) -> bool {
        // SAFETY: `validate` and `before_sleep` neither park nor panic, the first does not unpark either; keys are addresses inside our own
        // cells.
        let result =
            unsafe { parking_lot_core::park(key, validate, before_sleep, |_, _| {}, DEFAULT_PARK_TOKEN, deadline) };
        result != ParkResult::TimedOut
    }

    /// Wakes one of the threads parked under `key`, the one that has been there longest. `after` is told, before any other can park there or leave, whether
    /// there are more.
    pub(crate) fn unpark_one(key: usize, after: impl FnOnce(bool)) {
        // SAFETY: `after` neither parks, unparks nor panics; keys are addresses inside our own cells.
        unsafe {
            parking_lot_core::unpark_one(key, |result| {
                after(result.have_more_threads);
                DEFAULT_UNPARK_TOKEN
            });
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
/// reports as a deadlock. Deadlines come at once: whoever has one is woken only by those who come before it looks again.
#[cfg(graphgc_loom)]
mod modelled {
    use crate::sync::lock;
    use loom::sync::{Condvar, Mutex};
    use std::time::Instant;

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

    pub(crate) fn park(
        key: usize,
        validate: impl FnOnce() -> bool,
        before_sleep: impl FnOnce(),
        deadline: Option<Instant>,
    ) -> bool {
        let mut parked = lock(&PARKED);
        if !validate() {
            return true;
        }
        let ticket = (key, parked.next);
        parked.next += 1;
        parked.tickets.push(ticket);
        drop(parked);
        before_sleep();
        parked = lock(&PARKED);
        while parked.tickets.contains(&ticket) {
            if deadline.is_some() {
                parked.tickets.retain(|other| *other != ticket);
                return false;
            }
            parked = UNPARKED.wait(parked).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        true
    }

    pub(crate) fn unpark_one(key: usize, after: impl FnOnce(bool)) {
        let mut parked = lock(&PARKED);
        if let Some(first) = parked.tickets.iter().position(|ticket| ticket.0 == key) {
            parked.tickets.remove(first);
        }
        after(parked.tickets.iter().any(|ticket| ticket.0 == key));
        drop(parked);
        UNPARKED.notify_all();
    }

    pub(crate) fn unpark_all(key: usize) {
        lock(&PARKED).tickets.retain(|ticket| ticket.0 != key);
        UNPARKED.notify_all();
    }
}
#[cfg(graphgc_loom)]
pub(crate) use modelled::{park, unpark_all, unpark_one};
