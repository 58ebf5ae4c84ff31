//! The background threads, and the asking and waiting between them and everyone else.
//!
//! Cycles are numbered. A request names the cycle it needs; the worker runs cycles until it has run the highest number asked for, then
//! sleeps until asked, or until the timer (if the program has allocated since). Waiters wait for a number, too. A program that never
//! allocates starts no thread.

use super::{
    cycle, dropper::DROPPER, finalize::queue::FINALIZERS, grey::GREY, mark::Marker, pacer::PACER, sweep::is_warning,
};
use crate::{
    config::{self, Config},
    heap::{HEAP, arena::PAGE_SIZE},
    mutator::{
        gate,
        record::{Record, WORLD},
    },
    observe::stats::TOTALS,
    sync::lock_std,
};
use once_cell::sync::OnceCell;
use std::{
    io::{self, Write},
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

/// The worker of the process.
pub(crate) static WORKER: Worker = Worker {
    state: Mutex::new(State { requested: 0, begun: 0, completed: 0, errands: Vec::new() }),
    asked: Condvar::new(),
    done: Condvar::new(),
    requested: AtomicBool::new(false),
};

pub(crate) struct Worker {
    state: Mutex<State>,
    asked: Condvar,
    done: Condvar,
    /// A cycle has been asked for and not begun: spares the lock.
    requested: AtomicBool,
}

/// Numbers of cycles.
struct State {
    /// The highest asked for.
    requested: u64,
    /// The last whose S1 has begun.
    begun: u64,
    /// The last whose sweep has ended.
    completed: u64,
    /// What others want done while nothing is being marked or swept.
    errands: Vec<Errand>,
}

/// Says whether it is done; otherwise it is tried again.
type Errand = Box<dyn FnMut() -> bool + Send>;

// One for each thing that must be done once, so that a start that fails midway can be tried again.
static BARRIERS_CHOSEN: OnceCell<()> = OnceCell::new();
static DROPPER_STARTED: OnceCell<()> = OnceCell::new();
static STARTED: OnceCell<()> = OnceCell::new();
static FINALIZER_STARTED: OnceCell<()> = OnceCell::new();

/// Bytes of stack for the collector's threads. Only what is used takes memory; deep values owned by one object are traced and dropped
/// recursively.
const STACK: usize = 256 << 20;

/// Starts the collector if it has not been: settles the configuration, chooses barriers, starts the threads.
///
/// # Panics
/// If a `GRAPHGC_` variable of the environment has an invalid value, or the OS refuses the collector's threads. A later
/// call then tries again.
pub(crate) fn ensure_started() {
    if cfg!(graphgc_loom) {
        // A model is its own worker.
        return;
    }
    STARTED.get_or_init(|| {
        let config = config::settle();
        BARRIERS_CHOSEN.get_or_init(gate::choose_barriers);
        HEAP.blocks.replenish();
        HEAP.pages.use_large_pages(config.large_pages);
        Record::keep_a_spare();
        PACER.begin(config);
        DROPPER_STARTED.get_or_init(|| must_spawn("graphgc-drop", || DROPPER.run()));
        must_spawn("graphgc", move || WORKER.run(config));
        for _ in 1..config.workers {
            if let Err(error) = spawn("graphgc-mark", || HELPERS.run()) {
                // There is a worker, so that this costs speed and nothing else.
                let _ = writeln!(std::io::stderr(), "graphgc: cannot start a further marking thread: {error}");
                break;
            }
        }
    });
}

/// Starts the finalizer thread, if it has not been.
///
/// # Panics
/// As `ensure_started`.
#[inline]
pub(crate) fn ensure_finalizer_started() {
    // A model is its own finalizer thread.
    if FINALIZER_STARTED.get().is_none() && !cfg!(graphgc_loom) {
        start_finalizer();
    }
}

#[cold]
fn start_finalizer() {
    ensure_started();
    FINALIZER_STARTED.get_or_init(|| must_spawn("graphgc-finalize", || FINALIZERS.run()));
}

/// Starts a thread of the collector's. A panic in it is a defect of the collector's, and without the thread the process would go on uncollected.
fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let body = move || {
        let _abort = AbortOnUnwind;
        body();
    };
    std::thread::Builder::new().name(name.into()).stack_size(STACK).spawn(body).map(drop)
}

fn must_spawn(name: &str, body: impl FnOnce() + Send + 'static) {
    spawn(name, body).unwrap_or_else(|error| panic!("graphgc: cannot start its thread `{name}`: {error}"));
}

struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

impl Worker {
    /// Asks for a cycle, unless one is asked for already.
    pub(crate) fn request(&self) {
        if self.requested.load(Ordering::Relaxed) {
            return;
        }
        let mut state = lock_std(&self.state);
        if state.requested <= state.begun {
            self.ask(&mut state);
        }
    }

    /// Asks for a cycle that begins after this call. Returns its number.
    pub(super) fn request_cycle(&self) -> u64 {
        let mut state = lock_std(&self.state);
        self.ask(&mut state)
    }

    fn ask(&self, state: &mut MutexGuard<'_, State>) -> u64 {
        state.requested = state.begun + 1;
        self.requested.store(true, Ordering::Relaxed);
        self.asked.notify_all();
        state.requested
    }

    /// Waits until cycle `number` is swept, and says whether it is; for at least `patience`.
    pub(super) fn wait_for(&self, number: u64, patience: Duration) -> bool {
        let mut state = lock_std(&self.state);
        let end = Instant::now().checked_add(patience);
        while state.completed < number {
            let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return false;
            }
            state = wait_timeout(&self.done, state, left);
        }
        true
    }

    /// Waits at most `patience` for the next S2 or end of a sweep, if one is to be expected.
    pub(super) fn wait_for_progress(&self, patience: Duration) {
        let state = lock_std(&self.state);
        if state.completed < state.requested.max(state.begun) {
            drop(wait_timeout(&self.done, state, patience));
        }
    }

    /// S2 has been: wakes who waits for progress.
    pub(super) fn mark_ended(&self) {
        let _state = lock_std(&self.state);
        self.done.notify_all();
    }

    /// Runs the errands there are. The caller is the worker, with no grey object in hand.
    pub(super) fn run_errands(&self) {
        let mut errands = std::mem::take(&mut lock_std(&self.state).errands);
        errands.retain_mut(|errand| !errand());
        if !errands.is_empty() {
            // An assist is at work: it will not be long.
            std::thread::sleep(Duration::from_micros(50));
            lock_std(&self.state).errands.append(&mut errands);
        }
    }

    fn run(&self, config: &'static Config) {
        let mut allocated = 0;
        let mut scavenger = Scavenger::new();
        loop {
            self.run_errands();
            self.wait_until_due(config, &mut allocated, &mut scavenger);
            cycle::run(config);
            scavenger.after_cycle();
            let mut state = lock_std(&self.state);
            state.completed = state.begun;
            TOTALS.cycle_ended();
            self.done.notify_all();
        }
    }

    /// Sleeps until a cycle is asked for or the timer says so; then it has begun.
    fn wait_until_due(&self, config: &Config, allocated: &mut u64, scavenger: &mut Scavenger) {
        let mut state = lock_std(&self.state);
        let begun = Instant::now();
        let mut next = begun.checked_add(config.period);
        while state.requested <= state.begun {
            if !state.errands.is_empty() {
                drop(state);
                self.run_errands();
                state = lock_std(&self.state);
                continue;
            }
            let now = Instant::now();
            let left = next.map_or(Duration::MAX, |next| next.saturating_duration_since(now));
            if left.is_zero() {
                if HEAP.account.position() != *allocated {
                    break;
                }
                next = now.checked_add(config.period);
                continue;
            }
            let Some(idle) = scavenger.pause(now.saturating_duration_since(begun)) else {
                drop(state);
                scavenger.idle();
                state = lock_std(&self.state);
                continue;
            };
            state = wait_timeout(&self.asked, state, left.min(idle));
        }
        *allocated = HEAP.account.position();
        state.begun += 1;
        self.requested.store(false, Ordering::Relaxed);
    }
}

/// Gives free pages back to the OS: not at the pace of cycles, which may follow each other within milliseconds and use again what the one
/// before has freed, but at that of the clock.
struct Scavenger {
    ticked: Instant,
    /// No cycle has been since all was given back.
    done: bool,
}

impl Scavenger {
    /// The least time between two ticks of the page heap's clock.
    const TICK: Duration = Duration::from_millis(500);
    /// Ticks that a free run is kept for.
    const IDLE_TICKS: u32 = 2;
    /// Most pages given back beside a program that allocates.
    const MOST: usize = (64 << 20) / PAGE_SIZE;
    /// Without a cycle for so long, everything is given back.
    const QUIET: Duration = Duration::from_secs(1);

    fn new() -> Self {
        Scavenger { ticked: Instant::now(), done: true }
    }

    fn after_cycle(&mut self) {
        self.done = false;
        let now = Instant::now();
        if now.saturating_duration_since(self.ticked) >= Self::TICK {
            self.ticked = now;
            HEAP.pages.scavenge(Self::IDLE_TICKS, Self::MOST);
        }
    }

    /// How long to wait, after waiting for `waited`, before everything is given back; `None` if now.
    fn pause(&self, waited: Duration) -> Option<Duration> {
        if self.done {
            return Some(Duration::MAX);
        }
        Self::QUIET.checked_sub(waited).filter(|left| !left.is_zero())
    }

    fn idle(&mut self) {
        self.done = true;
        HEAP.pages.scavenge(0, usize::MAX);
    }
}

/// Asks for a cycle and waits for nothing.
pub(crate) fn request() {
    ensure_started();
    WORKER.request_cycle();
}

/// Has the worker run `job` at a moment when no marker is at work and no span is being swept: between two cycles, or while marking waits for
/// something. Waits until the job says `Some`; before, it is run again and again, with time for marking in between.
///
/// # Panics
/// In the hook of a pin's warning, which the worker itself runs.
pub(crate) fn at_rest<R: Send + 'static>(mut job: impl FnMut() -> Option<R> + Send + 'static) -> R {
    ensure_started();
    assert!(
        !is_warning(),
        "graphgc: the heap cannot be verified in the hook of a pin's warning, for which the collector waits"
    );
    let (sender, receiver) = mpsc::sync_channel(1);
    let errand = move || match job() {
        Some(result) => {
            // The receiver waits below.
            _ = sender.send(result);
            true
        }
        None => false,
    };
    let mut state = lock_std(&WORKER.state);
    state.errands.push(Box::new(errand));
    WORKER.asked.notify_all();
    drop(state);
    receiver.recv().expect("the worker runs for as long as the process")
}

fn wait_timeout<'a>(condvar: &Condvar, state: MutexGuard<'a, State>, patience: Duration) -> MutexGuard<'a, State> {
    if patience == Duration::MAX {
        return condvar.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
    condvar.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0
}

/// Further marking threads, if the configuration asks for any.
pub(super) static HELPERS: Helpers = Helpers { epoch: Mutex::new(0), woken: Condvar::new() };

pub(super) struct Helpers {
    /// Markings begun.
    epoch: Mutex<u64>,
    woken: Condvar,
}

impl Helpers {
    /// There will be something to mark.
    pub(super) fn wake(&self) {
        *lock_std(&self.epoch) += 1;
        self.woken.notify_all();
    }

    fn run(&self) {
        let mut seen = 0;
        loop {
            let mut epoch = lock_std(&self.epoch);
            while *epoch == seen {
                epoch = self.woken.wait(epoch).unwrap_or_else(PoisonError::into_inner);
            }
            seen = *epoch;
            drop(epoch);
            help();
        }
    }
}

/// Marks along until marking ends.
fn help() {
    while WORLD.phase().is_marking() {
        if GREY.has_blocks() {
            let mut marker = Marker::new(true);
            marker.drain(usize::MAX);
            let (bytes, objects) = marker.finish();
            PACER.pay(bytes);
            TOTALS.marked(bytes, objects);
        } else {
            std::thread::sleep(Duration::from_micros(50));
        }
    }
}
