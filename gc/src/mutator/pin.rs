//! Pins: scopes in which a thread holds objects that nothing counts.
//!
//! A pin is a `crossbeam-epoch` guard of an epoch collector of our own. S2 waits for every pin that is held at R, the moment when
//! the last root entry of the cycle has been scanned; a pin taken later reaches only objects that this cycle marks
//! anyway. The collector learns that those pins are gone from a closure deferred at R.
//!
//! All guards of a thread belong to one participant in the epochs: while one of them is held, the thread is pinned since the first of them. Otherwise what was
//! reached under an older guard, and is followed on under a younger one, could go with the older. So a thread that ends with a guard
//! open, in the destructor of some thread-local data, keeps its handle until its last guard is closed.

use super::holders;
use crate::sync::{
    AtomicBool, Ordering,
    epoch::{Collector, Guard, LocalHandle},
};
use once_cell::sync::Lazy;
use std::{cell::Cell, ptr::null_mut, sync::Arc};

static EPOCH: Lazy<Collector> = Lazy::new(Collector::new);

thread_local! {
    /// The thread's handle, from a `Box`; null before its first pin and when it has been given up. Has no destructor, so it can be read at any time.
    static HANDLE: Cell<*mut LocalHandle> = const { Cell::new(null_mut()) };
    static ENDING: Ending = const { Ending };
}

struct Ending;

impl Drop for Ending {
    fn drop(&mut self) {
        if !holders::outlive_thread() {
            give_up_handle();
        }
    }
}

/// Whether the thread's data is being destroyed, so that nobody will be told of its end any more. Otherwise it will be noticed, from now on.
pub(super) fn has_ended() -> bool {
    // Its destructor looks at the holder. On some targets that has one, too, made by std, and what is used first is destroyed last.
    let _ = holders::is_pinned();
    ENDING.try_with(|_| ()).is_err()
}

/// Pins the calling thread for a moment, in which no code of users runs; also works while its thread-local data is being destroyed.
#[inline]
pub(crate) fn pin() -> Guard {
    // SAFETY: it is freed by this thread, which forgets it then.
    match unsafe { HANDLE.get().as_ref() } {
        Some(handle) => handle.pin(),
        // Nobody would give the handle up.
        None if has_ended() => EPOCH.register().pin(),
        None => first_pin(),
    }
}

/// Pins the calling thread for a guard of users, whose [`Holder`](holders::Holder) gives the handle up if the thread has ended.
#[inline]
pub(crate) fn pin_held() -> Guard {
    // SAFETY: as in `pin`.
    unsafe { HANDLE.get().as_ref() }.map_or_else(first_pin, LocalHandle::pin)
}

#[cold]
fn first_pin() -> Guard {
    let handle = Box::new(EPOCH.register());
    // Unless what the allocator has run has pinned the thread.
    if HANDLE.get().is_null() {
        HANDLE.set(Box::into_raw(handle));
        let _ = has_ended();
    }
    pin_held()
}

/// The thread has ended and holds no guard.
pub(super) fn give_up_handle() {
    let handle = HANDLE.replace(null_mut());
    if !handle.is_null() {
        // SAFETY: it came from a `Box`, and has been forgotten.
        drop(unsafe { Box::from_raw(handle) });
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
