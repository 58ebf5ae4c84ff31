//! Locks with deadlines, downgrading, and conditions: what std and `parking_lot` promise, beside a collector that claims the contents meanwhile.

use graphgc::{
    Gc, GcCondvar, GcMutex, GcMutexGuard, GcRwLock, GcRwLockWriteGuard, Trace, WaitTimeoutResult, collect, pin, stats,
};
use graphgc_tests::{
    heap::{alone, settle},
    payload::{Leaf, drops_of, new_id},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

const SHORT: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_secs(60);

#[derive(Trace)]
struct Queue {
    jobs: GcMutex<Vec<Gc<Job>>>,
    filled: GcCondvar,
}

#[derive(Trace)]
struct Job {
    leaf: Leaf,
    queue: Gc<Queue>,
}

fn queue() -> Gc<Queue> {
    Gc::new(Queue { jobs: GcMutex::default(), filled: GcCondvar::new() })
}

fn job(queue: &Gc<Queue>) -> Gc<Job> {
    Gc::new(Job { leaf: Leaf::new(new_id()), queue: queue.clone() })
}

#[test]
fn deadlines() {
    let (mutex, lock) = (GcMutex::new(1), GcRwLock::new(2));
    assert_eq!(*mutex.try_lock_for(Duration::ZERO).unwrap(), 1);
    assert_eq!(*lock.try_write_until(Instant::now()).unwrap(), 2);
    assert_eq!(*lock.try_read_for(Duration::MAX).unwrap(), 2, "further away than clocks go");
    let (held, read) = (mutex.lock(), lock.read());
    let begun = Instant::now();
    assert!(mutex.try_lock_for(SHORT).is_none() && mutex.try_lock_until(Instant::now() + SHORT).is_none());
    assert!(lock.try_write_for(SHORT).is_none() && lock.try_write_until(Instant::now() + SHORT).is_none());
    assert!(begun.elapsed() >= 4 * SHORT);
    assert!(lock.try_read_for(SHORT).is_some() && lock.try_read_until(Instant::now()).is_some());
    drop((held, read));
    let _written = lock.write();
    assert!(lock.try_read_for(SHORT).is_none() && lock.try_read_until(Instant::now() + SHORT).is_none());
}

#[test]
fn a_lock_that_comes_in_time_is_taken() {
    let (mutex, lock) = (GcMutex::new(0), GcRwLock::new(0));
    for _ in 0..20 {
        let held = (mutex.lock(), lock.write());
        thread::scope(|scope| {
            scope.spawn(|| *mutex.try_lock_for(LONG).unwrap() += 1);
            scope.spawn(|| *lock.try_write_for(LONG).unwrap() += 1);
            scope.spawn(|| drop(lock.try_read_for(LONG).unwrap()));
            thread::sleep(Duration::from_millis(1));
            drop(held);
        });
    }
    assert_eq!((mutex.into_inner(), lock.into_inner()), (20, 20));
}

/// Readers queue up behind a writer, but not behind one that has gone away.
#[test]
fn a_writer_that_gives_up_lets_readers_pass() {
    let lock = GcRwLock::new(0);
    let reading = lock.read();
    thread::scope(|scope| {
        let writer = scope.spawn(|| lock.try_write_for(Duration::from_millis(50)).is_none());
        let reader = scope.spawn(|| {
            thread::sleep(Duration::from_millis(20));
            *lock.read()
        });
        assert!(writer.join().unwrap());
        assert_eq!(reader.join().unwrap(), 0, "while the first reader still reads");
    });
    drop(reading);
}

#[test]
fn downgrading_lets_readers_in_and_no_writer() {
    let lock = GcRwLock::new(0);
    let mut writing = lock.write();
    let reading = thread::scope(|scope| {
        let reader = scope.spawn(|| *lock.read());
        thread::sleep(SHORT);
        *writing = 1;
        let reading = GcRwLockWriteGuard::downgrade(writing);
        assert_eq!(reader.join().unwrap(), 1);
        reading
    });
    drop(reading);
    let mut writing = lock.write();
    let written = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            *lock.write() += 10;
            written.store(true, SeqCst);
        });
        thread::sleep(SHORT);
        *writing = 2;
        let reading = GcRwLockWriteGuard::downgrade(writing);
        thread::sleep(SHORT);
        assert_eq!((*reading, written.load(SeqCst)), (2, false), "nobody writes in between");
        assert_eq!(*lock.try_read().unwrap(), 2);
    });
    assert_eq!(lock.into_inner(), 12);
}

/// What was written before downgrading is claimed by the marker while it is read, and outlives its other handles.
#[test]
fn what_is_read_after_downgrading_is_claimed() {
    let _alone = alone();
    let owner = Gc::new(GcRwLock::new(vec![]));
    let (first, second) = (new_id(), new_id());
    let mut writing = owner.write();
    writing.push(Gc::new(Leaf::new(first)));
    let reading = GcRwLockWriteGuard::downgrade(writing);
    settle();
    let copy = reading[0].clone();
    drop(reading);
    owner.write().push(Gc::new(Leaf::new(second)));
    settle();
    assert_eq!((copy.check(), owner.read()[1].check()), (first, second));
    drop((owner, copy));
    settle();
    assert_eq!((drops_of(first), drops_of(second)), (1, 1));
}

#[test]
fn waiting_and_being_notified() {
    let (mutex, condvar) = (GcMutex::new(0), GcCondvar::default());
    condvar.notify_one();
    condvar.notify_all();
    let woken = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut turn = condvar.wait_while(mutex.lock(), |turns| *turns == 0);
                *turn -= 1;
                woken.fetch_add(1, SeqCst);
            });
        }
        for number in 1..=2 {
            thread::sleep(SHORT);
            *mutex.lock() += 1;
            condvar.notify_one();
            while woken.load(SeqCst) < number {
                thread::yield_now();
            }
            assert_eq!(woken.load(SeqCst), number);
        }
        *mutex.lock() += 1;
        condvar.notify_all();
    });
    assert_eq!((woken.into_inner(), mutex.into_inner()), (3, 0));
    assert_eq!(format!("{condvar:?}"), "GcCondvar { .. }");
}

#[test]
fn waiting_no_longer_than_told() {
    let (mutex, condvar) = (GcMutex::new(7), GcCondvar::new());
    let begun = Instant::now();
    let mut result = condvar.wait_timeout(mutex.lock(), SHORT);
    while !result.1.timed_out() {
        result = condvar.wait_timeout(result.0, SHORT);
    }
    assert!(mutex.try_lock().is_none(), "locked again");
    let (guard, result) = condvar.wait_timeout_while(result.0, SHORT, |number| *number == 7);
    assert!(result.timed_out() && begun.elapsed() >= 2 * SHORT);
    let (guard, result) = condvar.wait_timeout_while(guard, LONG, |number| {
        *number += 1;
        *number < 8
    });
    assert!(!result.timed_out() && *guard == 8);
    drop(guard);
    thread::scope(|scope| {
        let waiting: thread::ScopedJoinHandle<'_, WaitTimeoutResult> =
            scope.spawn(|| condvar.wait_timeout_while(mutex.lock(), Duration::MAX, |number| *number == 8).1);
        thread::sleep(SHORT);
        *mutex.lock() = 9;
        condvar.notify_all();
        assert!(!waiting.join().unwrap().timed_out());
    });
}

#[test]
fn a_condition_that_panics_leaves_the_mutex_free() {
    let (mutex, condvar) = (GcMutex::new(1), GcCondvar::new());
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        drop(condvar.wait_while(mutex.lock(), |_| panic!("a condition that panics")));
    }));
    assert!(panicked.is_err());
    assert_eq!(*mutex.try_lock().expect("free, and not poisoned"), 1);
}

/// While a thread waits the marker claims the content; what it takes out when it is woken is a root all the same.
#[test]
fn content_is_claimed_while_a_thread_waits_and_counted_again() {
    let _alone = alone();
    let queue = queue();
    let (waiting, waits) = mpsc::channel();
    let consumer = thread::spawn({
        let queue = queue.clone();
        move || {
            let mut guard = queue.jobs.lock();
            waiting.send(()).unwrap();
            guard = queue.filled.wait_while(guard, |jobs| jobs.len() < 2);
            let taken = std::mem::take(&mut *guard);
            drop(GcMutexGuard::map(guard, |jobs| jobs));
            taken
        }
    });
    waits.recv().unwrap();
    queue.jobs.lock().push(job(&queue));
    // The content is counted now; this claims it, and finds it claimed.
    settle();
    collect();
    let second = job(&queue);
    let ids = queue.jobs.lock().iter().chain([&second]).map(|it| it.leaf.check()).collect::<Vec<_>>();
    settle();
    // Not opened since the marker was here.
    queue.filled.notify_all();
    thread::sleep(SHORT);
    queue.jobs.lock().push(second);
    settle();
    queue.filled.notify_all();
    let taken = consumer.join().unwrap();
    settle();
    assert_eq!(taken.iter().map(|it| it.leaf.check()).collect::<Vec<_>>(), ids);
    assert!(Gc::ptr_eq(&taken[0].queue, &queue));
    drop((taken, queue));
    settle();
    assert!(ids.iter().all(|id| drops_of(*id) == 1));
}

/// Producers and consumers hand jobs over through conditions while cycles run one after the other.
#[test]
fn jobs_change_hands_while_the_collector_works() {
    const JOBS: usize = 3000;
    let _alone = alone();
    let queue = queue();
    let first = new_id();
    let (taken, working) = (AtomicUsize::new(0), AtomicBool::new(true));
    thread::scope(|scope| {
        scope.spawn(|| {
            while working.load(SeqCst) {
                collect();
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..JOBS / 2 {
                    queue.jobs.lock().push(job(&queue));
                    queue.filled.notify_one();
                }
            });
        }
        let consumers = [(); 2].map(|()| {
            scope.spawn(|| {
                while taken.load(SeqCst) < JOBS {
                    let wait = Duration::from_millis(20);
                    let (mut jobs, result) =
                        queue.filled.wait_timeout_while(queue.jobs.lock(), wait, |jobs| jobs.is_empty());
                    let job = jobs.pop();
                    assert!(job.is_some() || result.timed_out());
                    drop(jobs);
                    if let Some(job) = job {
                        job.leaf.check();
                        taken.fetch_add(1, SeqCst);
                    }
                }
            })
        });
        consumers.into_iter().for_each(|consumer| consumer.join().unwrap());
        working.store(false, SeqCst);
    });
    settle();
    assert!((first + 1..new_id()).all(|id| drops_of(id) == 1));
}

/// Threads parked in a lock, a condition or an empty cell keep no cycle from running.
#[test]
fn no_collection_waits_for_those_who_wait() {
    let _alone = alone();
    let queue = queue();
    let once = Gc::new(graphgc::GcOnceCell::new());
    let held = queue.jobs.lock();
    thread::scope(|scope| {
        scope.spawn(|| drop(queue.jobs.lock()));
        scope.spawn(|| drop(queue.filled.wait_timeout(GcMutex::new(0).lock(), Duration::from_millis(200))));
        scope.spawn(|| once.wait());
        thread::sleep(SHORT);
        let before = stats().cycles;
        settle();
        assert!(stats().cycles >= before + 2);
        drop(held);
        once.set(pin().alloc(1).to_gc()).ok().unwrap();
    });
}
