//! A cycle that waits for pins and for nothing else.
//!
//! That can last as long as some thread likes. So those who wait for the cycle must be able to learn of it: a thread that is told to wait a little,
//! because it is ahead of the marker, goes on instead (a pin stops no thread); `collect` gives up after a while; and a warning names
//! who holds the pin.

use super::sweep::warning;
use crate::{
    config::Config,
    mutator::holders::{HeldPin, oldest_pin, warn_of_old_pins},
    sync::lock_std,
};
use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// The cycle of the process.
pub(super) static HELD_UP: HeldUp = HeldUp { since: Mutex::new(None), for_long: AtomicBool::new(false) };

/// Pins of the collector's own and short scopes come and go within this time, and are worth waiting for.
const SHORT: Duration = Duration::from_millis(10);

pub(super) struct HeldUp {
    since: Mutex<Option<Instant>>,
    /// For so long that nobody should wait.
    for_long: AtomicBool,
}

impl HeldUp {
    /// The worker has nothing to do until pins are gone. Called again and again.
    pub(super) fn goes_on(&self, config: &Config) {
        let waited = lock_std(&self.since).get_or_insert_with(Instant::now).elapsed();
        if waited < SHORT {
            return;
        }
        let known = oldest_pin().is_some();
        self.for_long.store(known, Ordering::Relaxed);
        if waited >= config.pin_warning.after {
            let hook = config.pin_warning.hook;
            warn_of_old_pins(config.pin_warning.after, |pin| warning(|| hook(pin)));
        }
    }

    /// The pins are gone.
    pub(super) fn ends(&self) {
        *lock_std(&self.since) = None;
        self.for_long.store(false, Ordering::Relaxed);
    }

    /// Whether waiting for the worker is in vain for the time being.
    pub(super) fn is_for_long(&self) -> bool {
        self.for_long.load(Ordering::Relaxed)
    }

    /// The pin that the cycle has been waiting for, if it has been waiting for `patience`.
    pub(super) fn longer_than(&self, patience: Duration) -> Option<HeldPin> {
        let waited = lock_std(&self.since).map(|since| since.elapsed())?;
        if waited < patience { None } else { oldest_pin() }
    }
}
