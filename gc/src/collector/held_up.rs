//! A cycle that waits for pins and for nothing else.
//!
//! That can last as long as some thread likes. So those who wait for the cycle must be able to learn of it: a thread that is told to wait a little,
//! because it is ahead of the marker, goes on instead (a pin stops no thread for long); `collect` gives up after a while; and a warning names
//! who holds the pin.

use super::sweep::warning;
use crate::{
    config::Config,
    mutator::holders::{HeldPin, OpenPin, oldest_pin, pin_held_for, warn_of_old_pins},
    sync::lock_std,
};
use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

/// The cycle of the process.
pub(super) static HELD_UP: HeldUp = HeldUp { since: Mutex::new(None), by: Mutex::new(None) };

/// Pins of the collector's own and short scopes come and go within this time.
const SHORT: Duration = Duration::from_millis(10);
/// A pin that has been held for so long is not worth waiting for. A thread that is pinned may go without a core for a while on a busy machine; hardly for as long.
const LONG: Duration = Duration::from_millis(100);

pub(super) struct HeldUp {
    since: Mutex<Option<Instant>>,
    /// The oldest pin, if it has been held for [`LONG`].
    by: Mutex<Option<OpenPin>>,
}

impl HeldUp {
    /// The worker has nothing to do until pins are gone. Called again and again.
    pub(super) fn goes_on(&self, config: &Config) {
        let waited = lock_std(&self.since).get_or_insert_with(Instant::now).elapsed();
        if waited < SHORT {
            return;
        }
        *lock_std(&self.by) = pin_held_for(LONG);
        if waited >= config.pin_warning.after {
            let hook = config.pin_warning.hook;
            warn_of_old_pins(config.pin_warning.after, |pin| warning(|| hook(pin)));
        }
    }

    /// The pins are gone.
    pub(super) fn ends(&self) {
        *lock_std(&self.since) = None;
        *lock_std(&self.by) = None;
    }

    /// Whether waiting for the worker is in vain for the time being.
    pub(super) fn is_for_long(&self) -> bool {
        // The collector may be slow to notice that it is gone.
        lock_std(&self.by).is_some_and(|pin| pin.is_held())
    }

    /// The pin that the cycle has been waiting for, if it has been waiting for `patience`.
    pub(super) fn longer_than(&self, patience: Duration) -> Option<HeldPin> {
        let waited = lock_std(&self.since).map(|since| since.elapsed())?;
        if waited < patience { None } else { oldest_pin() }
    }
}
