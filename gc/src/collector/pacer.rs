//! When a cycle begins, and how much mutators help it.
//!
//! After a cycle that found `live` bytes the heap may grow to
//!
//! ```text
//! goal = max(minimum heap, live + basis × growth / 100), and no more than the memory limit
//! ```
//!
//! What was marked lives. What was born while marking counts as live, too, though most of it may be garbage by now; in the basis it counts no more
//! than what was marked does (or the minimum heap). Otherwise a collector that gets too little of a core would let the heap grow without bound: a slow marking
//! makes for many births, those for more room, and that for a runway and a limit that let the next marking be slower still.
//!
//! Marking takes time in which the program allocates, so the next cycle begins earlier, at `goal − runway`, where the runway is what was
//! allocated during the last marking and a quarter, within an eighth and three quarters of the room there is.
//!
//! While marking, each allocated byte owes `expected work / bytes left until the goal` bytes of marking. The background worker pays for what it can
//! (its marked bytes are credit that anyone may draw); the rest the allocating thread marks itself. Beyond the goal by half the room
//! again, a thread that finds nothing to mark waits a little for the worker, so that growth is bounded even if the collector gets no core; one that is
//! pinned, when it is pinned no longer.
//!
//! Positions are counted in bytes ever allocated, not in bytes used, which sweeping lowers at its leisure. They grow, but for what threads bought and return unused.

use crate::{config::Config, heap::HEAP, sync::global};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

global! {
    /// The pacer of the process.
    pub(crate) static PACER: Pacer = Pacer {
        trigger: AtomicU64::new(0),
        goal: AtomicU64::new(0),
        limit: AtomicU64::new(u64::MAX),
        live: AtomicU64::new(0),
        basis: AtomicU64::new(0),
        started_at: AtomicU64::new(0),
        allocated_while_marking: AtomicU64::new(0),
        ratio: AtomicU64::new(0),
        credit: AtomicI64::new(0),
    };
}

/// All in bytes; the collector writes, everyone reads.
pub(crate) struct Pacer {
    /// Position at which a cycle is due.
    trigger: AtomicU64,
    /// Position that the cycle should end before.
    goal: AtomicU64,
    /// Position from which on threads wait.
    limit: AtomicU64,
    live: AtomicU64,
    /// What room is made in proportion to.
    basis: AtomicU64,
    /// Position of the last S1.
    started_at: AtomicU64,
    allocated_while_marking: AtomicU64,
    /// Bytes to mark for each byte allocated, times 256.
    ratio: AtomicU64,
    /// Bytes marked by the worker that nobody has drawn yet.
    credit: AtomicI64,
}

const RATIO_UNIT: u64 = 256;
/// The assumed heap of the first cycle, and the least room that ratios are computed with.
const LEAST: u64 = 256 << 10;

impl Pacer {
    /// Sets the first trigger.
    pub(crate) fn begin(&self, config: &Config) {
        self.set_goal(config);
    }

    /// S1 has been.
    pub(crate) fn marking_begins(&self) {
        let position = HEAP.account.position();
        self.started_at.store(position, Ordering::Relaxed);
        let work = self.live.load(Ordering::Relaxed).max(LEAST);
        let room = self.goal.load(Ordering::Relaxed).saturating_sub(position).max(LEAST);
        self.ratio
            .store((work.saturating_mul(RATIO_UNIT) / room).clamp(RATIO_UNIT / 8, RATIO_UNIT * 64), Ordering::Relaxed);
        self.credit.store(0, Ordering::Relaxed);
    }

    /// S2 has been; so many bytes were marked, and `born` black.
    pub(crate) fn marking_ends(&self, config: &Config, marked: u64, born: u64) {
        let position = HEAP.account.position();
        let allocated = position.saturating_sub(self.started_at.load(Ordering::Relaxed));
        // Half old, half new: one odd cycle does not move it far.
        let before = self.allocated_while_marking.load(Ordering::Relaxed);
        self.allocated_while_marking.store(u64::midpoint(before, allocated), Ordering::Relaxed);
        self.live.store(marked + born, Ordering::Relaxed);
        self.basis.store(basis(config, marked, born), Ordering::Relaxed);
        self.set_goal(config);
    }

    /// `bytes` that were not marked at S2 are kept for finalizers.
    pub(crate) fn kept(&self, config: &Config, bytes: u64) {
        self.live.fetch_add(bytes, Ordering::Relaxed);
        self.basis.fetch_add(bytes, Ordering::Relaxed);
        self.set_goal(config);
    }

    fn set_goal(&self, config: &Config) {
        let position = HEAP.account.position();
        let room = room_above(config, self.live.load(Ordering::Relaxed), self.basis.load(Ordering::Relaxed));
        let runway =
            (self.allocated_while_marking.load(Ordering::Relaxed) / 4 * 5).clamp(room / 8, longest_runway(room));
        self.trigger.store(position.saturating_add(room - runway), Ordering::Relaxed);
        self.goal.store(position.saturating_add(room), Ordering::Relaxed);
        self.limit.store(position.saturating_add(limit(room)), Ordering::Relaxed);
    }

    /// Whether a cycle is due.
    #[inline]
    pub(crate) fn is_due(&self) -> bool {
        HEAP.account.position() >= self.trigger.load(Ordering::Relaxed)
    }

    /// Whether allocating `bytes` at once would go beyond the goal.
    pub(crate) fn would_exceed(&self, bytes: usize) -> bool {
        HEAP.account.position().saturating_add(bytes as u64) >= self.goal.load(Ordering::Relaxed)
    }

    /// Whether growth is so far ahead of marking that allocating threads must wait.
    pub(crate) fn is_beyond_limit(&self) -> bool {
        HEAP.account.position() > self.limit.load(Ordering::Relaxed)
    }

    /// The worker has marked `bytes`.
    pub(crate) fn pay(&self, bytes: usize) {
        self.credit.fetch_add(bytes as i64, Ordering::Relaxed);
    }

    /// What a thread owes the marker for `bytes` allocated, once the worker's credit is drawn.
    pub(crate) fn debt(&self, bytes: usize) -> usize {
        let owed = (bytes as u64 * self.ratio.load(Ordering::Relaxed) / RATIO_UNIT) as i64;
        let before = self.credit.fetch_sub(owed, Ordering::Relaxed);
        if before >= owed {
            return 0;
        }
        // What the credit did not cover, nobody has paid yet: take it back, it is ours to mark.
        let missing = owed - before.max(0);
        self.credit.fetch_add(missing, Ordering::Relaxed);
        missing as usize
    }

    /// Bytes found live by the last cycle.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.live.load(Ordering::Relaxed)
    }
}

/// What room is made in proportion to, after a cycle that marked so much while so much was born.
fn basis(config: &Config, marked: u64, born: u64) -> u64 {
    marked + born.min(marked.max(config.min_heap as u64))
}

/// How long before the goal a cycle begins at the earliest.
fn longest_runway(room: u64) -> u64 {
    room / 4 * 3
}

/// How far from where the room begins threads wait.
fn limit(room: u64) -> u64 {
    room.saturating_add((room / 2).max(4 << 20))
}

/// How far the heap may grow beyond `live` until the next cycle should end.
fn room_above(config: &Config, live: u64, basis: u64) -> u64 {
    let growth = u128::from(basis) * u128::from(config.growth) / 100;
    let mut goal = live.saturating_add(u64::try_from(growth).unwrap_or(u64::MAX)).max(config.min_heap as u64);
    if let Some(limit) = config.memory_limit {
        goal = goal.min(limit as u64);
    }
    // However tight the limit, cycles must not follow each other without any allocation in between.
    goal.saturating_sub(live).max(LEAST).max(live / 16)
}

#[cfg(all(test, not(graphgc_loom)))]
mod tests {
    use super::*;

    #[test]
    fn goal_grows_with_live_bytes_and_respects_the_limit() {
        let mut config = Config::new();
        config.growth = 100;
        config.min_heap = 4 << 20;
        let room = |config: &Config, live| room_above(config, live, live);
        assert_eq!(room(&config, 0), 4 << 20);
        assert_eq!(room(&config, 100 << 20), 100 << 20);
        config.memory_limit = Some(120 << 20);
        assert_eq!(room(&config, 100 << 20), 20 << 20);
        assert_eq!(room(&config, 130 << 20), (130 << 20) / 16);
    }

    /// A collector that gets no core until threads wait for it, cycle after cycle.
    #[test]
    fn a_starved_collector_lets_the_heap_grow_so_far_and_no_farther() {
        let config = Config::new();
        for marked in [0, 1 << 20, 100 << 20] {
            let mut room = room_above(&config, marked, marked);
            for _ in 0..100 {
                let born = limit(room) - (room - longest_runway(room));
                room = room_above(&config, marked + born, basis(&config, marked, born));
            }
            let most = 2 * marked.max(config.min_heap as u64);
            assert!(room <= most, "room for {} MiB beside {} that live", room >> 20, marked >> 20);
        }
    }
}
