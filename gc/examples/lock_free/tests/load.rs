//! What the tests under load share: threads, a collector that never rests, values whose end is noticed.

use super::history::{Calls, Clock, Specification, assert_linearizable};
use crate::heap::{Gc, Trace};
use std::{
    cmp::Ordering,
    fmt::Debug,
    hint,
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, Once, PoisonError,
        atomic::{
            AtomicBool, AtomicU8, AtomicUsize,
            Ordering::{AcqRel, Acquire, Relaxed},
        },
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

pub(crate) const THREADS: usize = 4;

/// ThreadSanitizer takes its time.
pub(crate) const fn fewer_if_sanitized(number: usize) -> usize {
    if cfg!(graphgc_tsan) { number / 10 } else { number }
}

/// A test that has the heap to itself, with a collector that runs all the time if so wished.
pub(crate) struct Alone {
    collecting: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
    _alone: MutexGuard<'static, ()>,
}

impl Alone {
    pub(crate) fn new() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        static SMALL_HEAP: Once = Once::new();
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        SMALL_HEAP.call_once(|| graphgc::Config::new().min_heap(64 << 10).install().unwrap());
        Alone { collecting: None, _alone: alone }
    }

    pub(crate) fn collecting() -> Self {
        let mut alone = Alone::new();
        let over = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let over = over.clone();
            move || {
                while !over.load(Relaxed) {
                    graphgc::collect();
                }
            }
        });
        alone.collecting = Some((over, thread));
        alone
    }

    pub(crate) fn stop_collecting(&mut self) {
        if let Some((over, thread)) = self.collecting.take() {
            over.store(true, Relaxed);
            thread.join().unwrap();
        }
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.stop_collecting();
    }
}

/// Runs `work` on all threads, each with its number.
pub(crate) fn at_once<R: Send>(work: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|number| scope.spawn(move || work(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// One less when it goes, also if its thread panics: the others would wait.
pub(crate) struct Ending<'a>(pub(crate) &'a AtomicUsize);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Tests a structure in the heap, where its edges are claimed, and one outside, where they are counted. When it is gone its values must be.
pub(crate) fn both_homes<T: Trace>(new: fn() -> T, test: impl Fn(&mut Alone, &T) -> Arc<Census>) {
    fn at_home<H: Deref>(home: impl FnOnce() -> H, test: impl Fn(&mut Alone, &H::Target) -> Arc<Census>) {
        let mut alone = Alone::collecting();
        let home = home();
        let census = test(&mut alone, &home);
        drop(home);
        alone.stop_collecting();
        census.assert_left(0);
    }
    at_home(|| Gc::new(new()), &test);
    at_home(|| Box::new(new()), &test);
}

/// Values by number: which have come out of a structure, and which have been dropped.
pub(crate) struct Census {
    met: Box<[AtomicU8]>,
    dropped: Box<[AtomicU8]>,
}

impl Census {
    pub(crate) fn of(values: usize) -> Arc<Self> {
        let none = || (0..values).map(|_| AtomicU8::new(0)).collect();
        Arc::new(Census { met: none(), dropped: none() })
    }

    pub(crate) fn value(self: &Arc<Self>, number: usize) -> Value {
        Value { number, census: self.clone() }
    }

    /// This value has come out.
    pub(crate) fn meet(&self, number: usize) {
        let before = self.met[number].fetch_add(1, Relaxed);
        assert_eq!(before, 0, "value {number} came out before");
    }

    pub(crate) fn met(&self) -> usize {
        self.met.iter().filter(|times| times.load(Relaxed) == 1).count()
    }

    pub(crate) fn dropped(&self) -> usize {
        self.dropped.iter().filter(|times| times.load(Relaxed) == 1).count()
    }

    /// Collects what can go by now: all values but `left` of them.
    #[track_caller]
    pub(crate) fn assert_left(&self, left: usize) {
        assert_eq!(graphgc::collect().outcome, graphgc::Outcome::Settled);
        assert_eq!(self.dropped.len() - self.dropped(), left);
    }
}

/// Says when it is dropped.
#[derive(Trace)]
#[trace(leaf)]
pub(crate) struct Value {
    pub(crate) number: usize,
    census: Arc<Census>,
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        self.number == other.number
    }
}

impl Eq for Value {}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Value) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Value) -> Ordering {
        self.number.cmp(&other.number)
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        let before = self.census.dropped[self.number].fetch_add(1, Relaxed);
        assert_eq!(before, 0, "value {} was dropped before", self.number);
    }
}

/// Pseudo-random numbers, by Marsaglia's xorshift.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: usize) -> Self {
        Random((seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as u32 % bound
    }
}

/// How many calls each thread does on one object.
const CALLS: usize = 4;

/// All threads call one object after the other, a few times each, beginning together; every history must be linearizable, together
/// with the calls that `last` says are done at last.
pub(crate) fn check_histories<S, T>(
    new: impl Fn() -> T,
    operation: impl Fn(&mut Random) -> S::Operation + Sync,
    last: &[S::Operation],
    call: impl Fn(&S::Operation, &T::Target) -> S::Response + Sync,
) where
    S: Specification + Debug + Send,
    S::Operation: Send,
    S::Response: Send,
    T: Deref + Sync,
{
    let _alone = Alone::collecting();
    let objects: Vec<_> = (0..fewer_if_sanitized(5_000)).map(|_| (new(), Clock::new())).collect();
    let arrived = AtomicUsize::new(0);
    let record = |thread| {
        let mut random = Random::new(thread);
        let turn = |(round, (object, clock)): (usize, &(T, Clock))| {
            let operations: Vec<_> = (0..CALLS).map(|_| operation(&mut random)).collect();
            meet(&arrived, THREADS * (round + 1));
            clock.record::<S>(&operations, |operation| call(operation, object))
        };
        objects.iter().enumerate().map(turn).collect::<Vec<Calls<S>>>().into_iter()
    };
    let mut threads = at_once(record);
    for (object, clock) in &objects {
        let mut history: Vec<_> = threads.iter_mut().filter_map(Iterator::next).collect();
        history.push(clock.record(last, |operation| call(operation, object)));
        assert_eq!(history.len(), THREADS + 1);
        assert_linearizable(&history);
    }
}

/// Waits for the others without sleeping, since they would be done before this thread is awake.
fn meet(arrived: &AtomicUsize, all: usize) {
    arrived.fetch_add(1, AcqRel);
    wait_for(|| (arrived.load(Acquire) >= all).then_some(()));
}

/// Waits for what another thread does, though not for ever.
pub(crate) fn wait_for<R>(mut look: impl FnMut() -> Option<R>) -> R {
    let begun = Instant::now();
    loop {
        for _ in 0..64 {
            if let Some(it) = look() {
                return it;
            }
            hint::spin_loop();
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing comes");
        thread::yield_now();
    }
}
