//! Attacks, and what must hold after each: what was reachable is alive, everything else was dropped once, no canary is dead, and
//! the heap is as its invariants say.

use crate::payload::{Leaf, corrupt_drops, drops_of, new_id};
use graphgc::{Config, ConfigError, Gc, Outcome, collect, verify};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
};

/// How often an attack is repeated while collections run.
const NOISY_TURNS: usize = 8;

/// Fails unless the process's heap is sound. Every attack ends with this.
///
/// # Panics
/// If a canary is dead or the heap breaks a rule of its own.
#[track_caller]
pub fn assert_sound() {
    settle();
    assert_eq!(corrupt_drops(), 0, "something was dropped that was not alive");
    let wrong = violations();
    assert!(wrong.is_empty(), "the heap is not sound: {wrong:#?}");
}

/// What the verifier finds wrong with the heap.
fn violations() -> Vec<String> {
    verify().iter().map(ToString::to_string).collect()
}

/// Collects until nothing more can be dropped.
pub fn settle() {
    while collect().outcome != Outcome::Settled {}
}

/// The leaves that an attack has made.
#[derive(Clone, Default)]
pub struct Prey {
    mortal: Arc<Mutex<Vec<u32>>>,
    leaked: Arc<Mutex<Vec<u32>>>,
}

impl Prey {
    /// A leaf that must have been dropped once when the attack is over.
    pub fn leaf(&self) -> Leaf {
        Prey::new_in(&self.mortal)
    }

    /// A leaf that the attack keeps alive for ever by a leak.
    pub fn leaked(&self) -> Leaf {
        Prey::new_in(&self.leaked)
    }

    fn new_in(ids: &Mutex<Vec<u32>>) -> Leaf {
        let id = new_id();
        ids.lock().unwrap_or_else(PoisonError::into_inner).push(id);
        Leaf::new(id)
    }

    /// Collects, and overwrites what has become free by mistake.
    pub fn disturb(&self) {
        collect();
        for _ in 0..100 {
            drop(Gc::new((self.leaf(), [0x5Au8; 40])));
        }
    }

    /// Everything mortal has been dropped once, nothing that is leaked has been.
    ///
    /// # Panics
    /// If a leaf was dropped too often, not at all, or though it is reachable.
    #[track_caller]
    pub fn check(&self) {
        let wrong = |ids: &Mutex<Vec<u32>>, drops: u8| -> Vec<u32> {
            let ids = ids.lock().unwrap_or_else(PoisonError::into_inner);
            ids.iter().copied().filter(|id| drops_of(*id) != drops).collect()
        };
        let (mortal, leaked) = (wrong(&self.mortal, 1), wrong(&self.leaked, 0));
        assert!(mortal.is_empty(), "not dropped exactly once: {mortal:?}");
        assert!(leaked.is_empty(), "dropped though reachable: {leaked:?}");
    }
}

/// Fails unless this leaf is alive.
///
/// # Panics
/// See above.
#[track_caller]
pub fn assert_alive(leaf: &Leaf) {
    let id = leaf.check();
    assert_eq!(drops_of(id), 0, "object {id} was dropped though it is reachable");
}

/// Runs an attack alone in the process: first quietly, then several times while another thread collects without end, each time over a
/// very small heap. Then everything that the attack made must have been dropped, but for what it leaks.
///
/// # Panics
/// If the attack succeeds.
#[track_caller]
pub fn attack(body: impl Fn(&Prey)) {
    let _alone = begin();
    let prey = Prey::default();
    body(&prey);
    settle();
    prey.check();
    let prey = Prey::default();
    while_collecting(|| (0..NOISY_TURNS).for_each(|_| body(&prey)));
    assert_sound();
    prey.check();
}

/// As [`attack`], for what takes long: once, while collections run.
///
/// # Panics
/// If the attack succeeds.
#[track_caller]
pub fn attack_once(body: impl FnOnce(&Prey)) {
    let _alone = begin();
    let prey = Prey::default();
    while_collecting(|| body(&prey));
    assert_sound();
    prey.check();
}

/// Keeps other attacks of the process out, and sees to it that the heap is small and every cycle is checked.
fn begin() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    match Config::new().min_heap(64 << 10).checkmark(true).install() {
        Ok(()) | Err(ConfigError::TooLate) => {}
        Err(error) => panic!("{error}"),
    }
    alone
}

/// Runs `body` while another thread collects without end.
pub fn while_collecting<R>(body: impl FnOnce() -> R) -> R {
    /// Ends the other thread, also when `body` panics.
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, SeqCst);
        }
    }
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(SeqCst) {
                collect();
            }
        });
        let _stop = Stop(&stop);
        body()
    })
}
