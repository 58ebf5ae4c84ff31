//! The stop gate: how the world is stopped for microseconds whatever user code is doing.
//!
//! One word for the whole world says which phase it is in and whether it is stopped:
//!
//! ```text
//! bit 0  STOP      the gate is shut
//! bit 1  MARKING   barriers are on, allocation is black
//! rest   epoch     one more at each S1 and S2
//! ```
//!
//! Every thread has a [`Gate`] with two words: `active`, set while it is in an operation, and `seen`, the world word that its record (caches,
//! buffers) was last brought up to date with. Entering an operation is: set `active`, barrier, load the
//! world word, compare with `seen`. One comparison answers both "is the gate shut?" and "has the phase changed since my record was made
//! for it?", because a word with STOP in it never equals `seen`.
//!
//! Stopping is: set STOP, heavy barrier, wait until nobody is active. The two barriers form Dekker's handshake: either the thread sees STOP, or
//! the collector sees the thread active. The thread's side is run on every operation, so where the OS can
//! make the collector's side strong enough (`heap::os::register_barrier`), the thread's needs no instruction at all.
//! What one side wrote reaches the other through acquire loads and release stores: leaving an operation releases what the collector acquires when it
//! sees `active` clear; opening the gate releases what the next operation acquires with the world word.
//!
//! After S1 and S2 every record must be brought up to date before it is used in the new phase. The thread does it when it next enters, or
//! the collector on its behalf, whoever comes first, under the record's lock ([`Gated`]). The collector may,
//! because a thread whose `seen` is old cannot be past the comparison: whatever operation it was in before has ended (the stop waited for it).

use crate::{
    heap::os,
    sync::{
        AtomicBool, AtomicUsize, Condvar, Mutation, Mutex, Ordering, const_fn, fence, lock, unless, weakened, yield_now,
    },
};
use std::{cell::UnsafeCell, mem::offset_of};

const STOP: usize = 1;
const MARKING: usize = 2;
const EPOCH: usize = 4;

/// The world word as one thread read it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Phase(usize);

impl Phase {
    /// Whether barriers are on and allocation is black.
    #[inline]
    pub(crate) fn is_marking(self) -> bool {
        self.0 & MARKING != 0
    }

    fn is_stopped(self) -> bool {
        self.0 & STOP != 0
    }
}

/// The world word, and the waiting room of threads that found the gate shut.
pub(crate) struct World {
    word: AtomicUsize,
    shut: Mutex<()>,
    opened: Condvar,
}

/// One thread's side of the gate.
pub(crate) struct Gate {
    active: AtomicBool,
    /// `ASYMMETRIC`, in a place that the thread looks at anyway.
    asymmetric: bool,
    seen: AtomicUsize,
}

/// Whether operations rely on the OS for the strong side of the barrier.
static ASYMMETRIC: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// Chooses the barriers; must run once, before the first gate is made: gates keep what was chosen.
pub(crate) fn choose_barriers() {
    ASYMMETRIC.store(os::register_barrier(), std::sync::atomic::Ordering::Relaxed);
}

/// Whether they do.
fn are_asymmetric() -> bool {
    ASYMMETRIC.load(std::sync::atomic::Ordering::Relaxed)
}

#[inline]
fn light_barrier(asymmetric: bool) {
    if weakened(Mutation::EnterWithoutBarrier) {
        return;
    }
    if !asymmetric {
        strong_barrier();
    }
    std::sync::atomic::compiler_fence(std::sync::atomic::Ordering::SeqCst);
}

#[cold]
#[inline]
fn strong_barrier() {
    fence(Ordering::SeqCst);
}

fn heavy_barrier() {
    fence(Ordering::SeqCst);
    if are_asymmetric() {
        os::heavy_barrier();
    }
}

impl World {
    const_fn! {
        pub(crate) fn new() -> Self {
            World { word: AtomicUsize::new(0), shut: Mutex::new(()), opened: Condvar::new() }
        }
    }

    /// Where the word lies.
    pub(crate) fn word_address(&self) -> usize {
        std::ptr::from_ref(&self.word).addr()
    }

    /// The phase now; may be old when the caller looks at it.
    pub(crate) fn phase(&self) -> Phase {
        Phase(self.word.load(Ordering::Acquire) & !STOP)
    }

    /// Shuts the gate and waits until none of `gates` is in an operation. The collector alone calls this.
    ///
    /// The gates are looked for only once the world word says STOP: a thread whose gate is not among them yet puts it there before
    /// it first enters, and the same handshake makes it see STOP then.
    pub(crate) fn stop<'a, G: Iterator<Item = &'a Gate>>(&self, gates: impl FnOnce() -> G) {
        self.word.fetch_or(STOP, Ordering::SeqCst);
        self.see_all_outside(gates);
    }

    /// Waits until each of `gates` has been seen outside an operation once: what the caller wrote before is visible to every later operation. Shuts nobody out.
    ///
    /// The gates are looked for after the barrier, for the same reason as in [`stop`](Self::stop).
    pub(crate) fn see_all_outside<'a, G: Iterator<Item = &'a Gate>>(&self, gates: impl FnOnce() -> G) {
        heavy_barrier();
        for gate in gates() {
            let mut turns = 0u32;
            while gate.is_active() {
                back_off(&mut turns);
            }
        }
    }

    /// Opens the gate into the phase it was shut in.
    pub(crate) fn resume(&self) {
        self.open(self.phase());
    }

    /// Opens the gate into a new phase.
    pub(crate) fn change_phase(&self, marking: bool) -> Phase {
        let epoch = (self.word.load(Ordering::Relaxed) & !(EPOCH - 1)).wrapping_add(EPOCH);
        let next = Phase(epoch | if marking { MARKING } else { 0 });
        self.open(next);
        next
    }

    fn open(&self, next: Phase) {
        // The lock keeps a thread from going to sleep between its look at the word and its wait.
        let shut = (!weakened(Mutation::OpenWithoutLock)).then(|| lock(&self.shut));
        self.word.store(next.0, Ordering::Release);
        drop(shut);
        self.opened.notify_all();
    }

    /// Waits, inactive, until the gate is open.
    fn wait_until_open(&self) {
        for _ in 0..if cfg!(graphgc_loom) { 0 } else { 64 } {
            if self.word.load(Ordering::Relaxed) & STOP == 0 {
                return;
            }
            std::hint::spin_loop();
        }
        let mut shut = lock(&self.shut);
        while self.word.load(Ordering::Relaxed) & STOP != 0 {
            shut = self.opened.wait(shut).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }
}

impl Gate {
    /// A gate whose record is made for `phase`.
    pub(crate) fn new(phase: Phase) -> Self {
        Gate { active: AtomicBool::new(false), asymmetric: are_asymmetric(), seen: AtomicUsize::new(phase.0) }
    }

    /// Enters an operation. `update` brings the thread's record up to date with a phase, if nobody has yet.
    #[inline]
    pub(crate) fn enter(&self, world: &World, update: impl FnMut(Phase)) -> Phase {
        let phase = self.knock(world);
        if phase.0 == self.seen.load(Ordering::Acquire) { phase } else { self.enter_slowly(world, phase, update) }
    }

    /// Enters an operation if that takes no waiting and no update, and the thread is in none.
    #[inline]
    pub(crate) fn try_enter(&self, world: &World) -> Option<Phase> {
        if self.active.load(Ordering::Relaxed) { None } else { self.enter_at_once(world) }
    }

    /// The same for a thread that is known to be in no operation.
    #[inline]
    pub(crate) fn enter_at_once(&self, world: &World) -> Option<Phase> {
        let phase = self.knock(world);
        if phase.0 == self.seen.load(Ordering::Acquire) {
            return Some(phase);
        }
        self.leave();
        None
    }

    #[inline]
    fn knock(&self, world: &World) -> Phase {
        // The inner one would end the outer one.
        debug_assert!(cfg!(graphgc_loom) || !self.active.load(Ordering::Relaxed), "an operation in an operation");
        self.active.store(true, Ordering::Relaxed);
        light_barrier(self.asymmetric);
        Phase(world.word.load(Ordering::Acquire))
    }

    #[cold]
    #[inline(never)]
    fn enter_slowly(&self, world: &World, mut phase: Phase, mut update: impl FnMut(Phase)) -> Phase {
        while phase.is_stopped() {
            self.leave();
            world.wait_until_open();
            phase = self.knock(world);
        }
        update(phase);
        debug_assert!(self.has_seen(phase));
        phase
    }

    /// Leaves the operation.
    #[inline]
    pub(crate) fn leave(&self) {
        self.active.store(false, unless(Mutation::LeaveIsRelaxed, Ordering::Release));
    }

    /// Whether the thread is in an operation; if not, all that its last one wrote is visible.
    pub(crate) fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire)
    }

    /// Whether the record is up to date with `phase`; if so, what the update wrote is visible.
    pub(crate) fn has_seen(&self, phase: Phase) -> bool {
        self.seen.load(Ordering::Acquire) == phase.0
    }

    /// Says that the record is up to date with `phase`. Whoever holds the record's lock and updated it calls this.
    pub(crate) fn set_seen(&self, phase: Phase) {
        self.seen.store(phase.0, Ordering::Release);
    }
}

/// What a thread owns inside the collector, behind its gate.
///
/// Who may touch the content: the thread, in an operation whose phase the record has seen; or whoever holds `updating` and finds that the record
/// has *not* seen the current phase. The two exclude each other as the module's head says, and the lock excludes two updaters. With the world stopped
/// the collector may, too.
pub(crate) struct Gated<L> {
    pub(crate) gate: Gate,
    updating: Mutex<()>,
    content: UnsafeCell<L>,
    /// Lets models find uses of the content that are not ordered.
    #[cfg(graphgc_loom)]
    uses: loom::cell::UnsafeCell<()>,
}

// SAFETY: `content` is guarded as said above; the rest is atomic or a lock.
unsafe impl<L: Send> Sync for Gated<L> {}

impl<L> Gated<L> {
    /// Where in it the content lies, in bytes from its start.
    pub(crate) const CONTENT: usize = offset_of!(Self, content);

    /// A record whose content is made for `phase`.
    #[cfg(graphgc_loom)]
    pub(crate) fn new(phase: Phase, content: L) -> Self {
        let uses = loom::cell::UnsafeCell::new(());
        Gated { gate: Gate::new(phase), updating: Mutex::new(()), content: UnsafeCell::new(content), uses }
    }

    /// Makes a record where it is to stay, for content too large to pass through a stack; `content` makes that.
    ///
    /// # Safety
    /// `at` is memory for a record that nobody else uses, and `content` initialises the content it is given.
    pub(crate) unsafe fn init(at: *mut Self, phase: Phase, content: impl FnOnce(*mut L)) {
        // SAFETY: by contract.
        unsafe {
            (&raw mut (*at).gate).write(Gate::new(phase));
            (&raw mut (*at).updating).write(Mutex::new(()));
            content(UnsafeCell::raw_get(&raw const (*at).content));
            #[cfg(graphgc_loom)]
            (&raw mut (*at).uses).write(loom::cell::UnsafeCell::new(()));
        }
    }

    /// Enters an operation; `flush` empties a content that was made for an earlier phase.
    #[inline]
    pub(crate) fn enter(&self, world: &World, flush: impl Fn(&mut L)) -> Phase {
        self.gate.enter(world, |phase| self.update(phase, &flush))
    }

    /// Brings the content up to date with `phase`, if nobody has yet: all that is in it belongs to the phase before.
    pub(crate) fn update(&self, phase: Phase, flush: impl Fn(&mut L)) {
        let _updating = lock(&self.updating);
        if !self.gate.has_seen(phase) || weakened(Mutation::UpdateWithoutSecondLook) {
            // SAFETY: we hold the lock and the record has not seen the phase.
            flush(unsafe { self.content() });
            self.gate.set_seen(phase);
        }
    }

    /// Where the content lies.
    #[cfg(all(test, not(graphgc_loom)))]
    pub(crate) fn content_ptr(&self) -> *mut L {
        self.content.get()
    }

    /// The content.
    ///
    /// # Safety
    /// The caller is one of those named above, and holds no other reference to it.
    #[inline]
    #[expect(clippy::mut_from_ref, reason = "guarded by the protocol of the gate")]
    pub(crate) unsafe fn content(&self) -> &mut L {
        #[cfg(graphgc_loom)]
        self.uses.with_mut(|_| ());
        // SAFETY: by contract.
        unsafe { &mut *self.content.get() }
    }
}

/// Waits a little, longer each time: an operation is short, but its thread may have lost its core in the middle of it.
fn back_off(turns: &mut u32) {
    *turns += 1;
    if cfg!(graphgc_loom) || *turns > 32 {
        yield_now();
    } else {
        std::hint::spin_loop();
    }
}
