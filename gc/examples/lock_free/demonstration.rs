//! What the example does when it is run: all three structures, several threads each, and std's under a lock beside them.

use crate::{
    heap::{Gc, pin},
    map::Map,
    queue::Queue,
    stack::Stack,
};
use std::{
    collections::{BTreeMap, VecDeque},
    iter::repeat_with,
    sync::{
        Mutex, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

const THREADS: u64 = 4;
/// What each thread puts in and takes out.
const EACH: u64 = 250_000;
const ALL: u64 = THREADS * EACH;

pub(crate) fn run() {
    println!("{THREADS} threads, {EACH} values each");
    stack();
    queue();
    map();
    let done = graphgc::collect();
    assert_eq!(done.outcome, graphgc::Outcome::Settled);
    let stats = graphgc::stats();
    println!("collector: {} cycles, {} objects freed, {} left", stats.cycles, stats.freed_objects, stats.live_objects);
}

/// Runs `work` on all threads at once, each with its number; how long it took, and the sum of what they gave back.
fn at_once(work: impl Fn(u64) -> u64 + Sync) -> (Duration, u64) {
    let begun = Instant::now();
    let sum = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|number| {
                scope.spawn({
                    let work = &work;
                    move || work(number)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread panics")).sum()
    });
    (begun.elapsed(), sum)
}

/// Every thread puts its values in, and takes one out after each; the sum of what came out.
fn put_and_take(put: impl Fn(u64) + Sync, take: impl Fn() -> Option<u64> + Sync) -> Duration {
    let (took, sum) = at_once(|thread| {
        let turn = |value| {
            put(value);
            take().expect("nobody takes more than was put in")
        };
        (thread * EACH..(thread + 1) * EACH).map(turn).sum()
    });
    assert_eq!(sum, ALL * (ALL - 1) / 2, "every value comes out once");
    assert_eq!(take(), None);
    took
}

fn say(name: &str, took: Duration, beside: &str, locked: Duration) {
    println!("{name}: {took:>8.1?}; {beside}: {locked:>8.1?}");
}

fn stack() {
    let stack = Gc::new(Stack::new());
    let took = put_and_take(|value| stack.push(value, &pin()), || stack.pop(&pin()).copied());
    let locked = Mutex::new(Vec::new());
    let lock = || locked.lock().expect("no thread panics");
    let beside = put_and_take(|value| lock().push(value), || lock().pop());
    say("stack", took, "Mutex<Vec>", beside);
}

fn queue() {
    let queue = Gc::new(Queue::new());
    let took = put_and_take(|value| queue.push(value, &pin()), || queue.pop(&pin()).map(|value| *value));
    let locked = Mutex::new(VecDeque::new());
    let lock = || locked.lock().expect("no thread panics");
    let beside = put_and_take(|value| lock().push_back(value), || lock().pop_front());
    say("queue", took, "Mutex<VecDeque>", beside);
}

/// Keys below this that are multiples of `STRIDE` are in the map all the time.
const KEYS: u64 = 100_000;
const STRIDE: u64 = 16;
/// How many turns other keys stay. They do not come round again before.
const BEHIND: u64 = 1_000;

/// All threads but one put keys in between in and take them out again, while that one goes over the map again and again. How long it
/// took, and how often that one came through.
fn write_and_iterate(
    insert: impl Fn(u64) + Sync,
    remove: impl Fn(u64) -> bool + Sync,
    iterate: impl Fn() + Sync,
) -> (Duration, u64) {
    let writers = AtomicU64::new(THREADS - 1);
    (0..KEYS).step_by(STRIDE as usize).for_each(&insert);
    let write = |thread| {
        let _ends = Ending(&writers);
        let key = |turn: u64| (turn * STRIDE + thread) % KEYS;
        for turn in 0..EACH {
            insert(key(turn));
            assert!(turn < BEHIND || remove(key(turn - BEHIND)), "nobody else removes this key");
        }
        (EACH - BEHIND..EACH).for_each(|turn| assert!(remove(key(turn)), "nobody else removes this key"));
    };
    at_once(|thread| {
        if thread > 0 {
            write(thread);
            return 0;
        }
        repeat_with(&iterate).take_while(|()| writers.load(Relaxed) > 0).count() as u64
    })
}

/// One less when it goes, also if its thread panics: the others would wait.
struct Ending<'a>(&'a AtomicU64);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Keys rise, and none that is there all the time is missing.
fn check(keys: impl Iterator<Item = u64>) {
    let (mut last, mut lasting) = (None, 0);
    for key in keys {
        assert!(last < Some(key), "keys rise");
        last = Some(key);
        lasting += u64::from(key.is_multiple_of(STRIDE));
    }
    assert_eq!(lasting, KEYS / STRIDE, "what is there all the time is seen once");
}

fn map() {
    let map = Gc::new(Map::new());
    let (took, iterations) = write_and_iterate(
        |key| _ = map.insert(key, key, &pin()),
        |key| map.remove(&key, &pin()).is_some(),
        || check(map.iter(&pin()).map(|(&key, _)| key)),
    );
    let locked = RwLock::new(BTreeMap::new());
    let write = || locked.write().expect("no thread panics");
    let (beside, beside_iterations) = write_and_iterate(
        |key| _ = write().insert(key, key),
        |key| write().remove(&key).is_some(),
        || check(locked.read().expect("no thread panics").keys().copied()),
    );
    say("map", took, "RwLock<BTreeMap>", beside);
    println!("       gone over {iterations} times meanwhile, and {beside_iterations} times");
    assert_eq!(map.iter_from(&1, &pin()).count() as u64, KEYS / STRIDE - 1);
    assert_eq!(map.get(&STRIDE, &pin()).as_deref(), Some(&STRIDE));
}
