//! Destructors of thread-locals that use handles: whether the thread's own part of the collector is still there when they run or not,
//! they can allocate, clone, change cells and collect.

use graphgc::{Gc, GcCell, GcMutex, Outcome, Trace, collect, stats};
use graphgc_tests::{
    heap::{alone, settle},
    knot::{Node, knot, node},
    payload::drops_of,
};
use std::{
    cell::RefCell,
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

/// Runs on a thread of its own, and waits until that has ended with all its thread-locals; fails if it does not.
#[track_caller]
fn ends(body: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let watched = thread::spawn(move || done.send(thread::spawn(body).join().is_ok()));
    let ended = is_done.recv_timeout(Duration::from_secs(20)).expect("the thread does not end");
    assert!(ended, "the thread or a destructor of its thread-locals panicked");
    watched.join().unwrap().unwrap();
}

/// Does something when its thread ends.
struct AtEnd(Box<dyn FnOnce()>);

struct Run(Option<AtEnd>);

impl Drop for Run {
    fn drop(&mut self) {
        if let Some(AtEnd(last)) = self.0.take() {
            last();
        }
    }
}

thread_local! {
    static LAST: RefCell<Run> = const { RefCell::new(Run(None)) };
}

/// The destructor runs when the thread's part of the collector is gone: that is registered later, so goes first.
fn at_end(last: impl FnOnce() + Send + 'static) {
    ends(move || {
        LAST.with_borrow_mut(|it| it.0 = Some(AtEnd(Box::new(last))));
        drop(node(None));
    });
}

#[test]
fn allocates() {
    let _alone = alone();
    at_end(|| drop(Gc::new(1)));
}

#[test]
fn allocates_a_large_object() {
    let _alone = alone();
    at_end(|| assert_eq!(Gc::new([7u64; 6000])[5999], 7));
}

#[test]
fn clones_and_drops() {
    let _alone = alone();
    let one = node(None);
    at_end(move || drop((one.clone(), one)));
}

#[test]
fn changes_cells() {
    let _alone = alone();
    let (one, ids) = knot();
    at_end(move || {
        let two = one.next.take().unwrap();
        two.next.set(Some(two.clone()));
        one.next.replace(two.next.get());
        one.more.lock().push(two);
    });
    settle();
    assert!(ids.iter().all(|id| drops_of(*id) == 1));
}

#[test]
fn opens_large_content() {
    let _alone = alone();
    let one = node(None);
    let many = Gc::new(GcMutex::new(vec![one; 5000]));
    let theirs = many.clone();
    at_end(move || assert_eq!(theirs.lock().len(), 5000));
    assert_eq!(many.lock().len(), 5000);
}

#[test]
fn collects() {
    let _alone = alone();
    let (knot, ids) = knot();
    drop(knot);
    at_end(move || {
        assert_eq!(collect().outcome, Outcome::Settled);
        assert!(ids.iter().all(|id| drops_of(*id) == 1));
    });
}

/// A thread-local whose destructor uses everything there is.
struct Farewell {
    held: RefCell<Vec<Gc<Node>>>,
    outcomes: Arc<Mutex<Vec<Outcome>>>,
    ids: Arc<Mutex<Vec<u32>>>,
    kept: Arc<GcMutex<Vec<Gc<Node>>>>,
}

#[derive(Trace)]
struct Big([u64; 6000], GcCell<Option<Gc<Node>>>);

impl Drop for Farewell {
    fn drop(&mut self) {
        let (knot, ids) = knot();
        self.ids.lock().unwrap().extend(ids);
        let copy = knot.clone();
        let held = self.held.get_mut();
        held[0].next.set(Some(copy));
        assert!(Gc::ptr_eq(&held[0].next.get().unwrap(), &knot));
        held[0].more.lock().push(knot);
        let big = Gc::new(Big([7; 6000], GcCell::new(Some(held[0].clone()))));
        self.outcomes.lock().unwrap().push(collect().outcome);
        assert_eq!(big.1.get().unwrap().leaf.check(), held[0].leaf.check());
        assert_eq!(big.0[5999], 7);
        self.kept.lock().push(held[0].clone());
        for _ in 0..3000 {
            drop(node(Some(held[0].clone())));
        }
    }
}

thread_local! {
    static EARLY: RefCell<Option<Farewell>> = const { RefCell::new(None) };
    static LATE: RefCell<Option<Farewell>> = const { RefCell::new(None) };
}

#[test]
fn destructors_of_thread_locals_may_use_handles() {
    const THREADS: usize = 8;
    let _alone = alone();
    settle();
    let before = stats().threads;
    let outcomes: Arc<Mutex<Vec<Outcome>>> = Arc::default();
    let ids: Arc<Mutex<Vec<u32>>> = Arc::default();
    let kept: Arc<GcMutex<Vec<Gc<Node>>>> = Arc::new(GcMutex::new(Vec::new()));
    let start = {
        let (outcomes, ids, kept) = (outcomes.clone(), ids.clone(), kept.clone());
        move || {
            let (outcomes, ids, kept) = (outcomes.clone(), ids.clone(), kept.clone());
            thread::spawn(move || {
                let farewell = || Farewell {
                    held: RefCell::default(),
                    outcomes: outcomes.clone(),
                    ids: ids.clone(),
                    kept: kept.clone(),
                };
                // One is registered before the thread's first use of the collector, one after.
                EARLY.set(Some(farewell()));
                let first = knot();
                LATE.set(Some(farewell()));
                let second = knot();
                ids.lock().unwrap().extend(first.1.into_iter().chain(second.1));
                EARLY.with_borrow(|it| it.as_ref().unwrap().held.borrow_mut().push(first.0));
                LATE.with_borrow(|it| it.as_ref().unwrap().held.borrow_mut().push(second.0));
            })
        }
    };
    ends(move || {
        let threads: Vec<_> = (0..THREADS).map(|_| start()).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    assert_eq!(*outcomes.lock().unwrap(), vec![Outcome::Settled; 2 * THREADS]);
    settle();
    let still_there: Vec<u32> = kept.lock().iter().map(|node| node.leaf.check()).collect();
    assert_eq!(still_there.len(), 2 * THREADS);
    for one in kept.lock().iter() {
        let knot = one.next.get().unwrap();
        assert_eq!(drops_of(knot.leaf.check()), 0);
        assert!(Gc::ptr_eq(&knot, &one.more.lock()[0]));
    }
    kept.lock().clear();
    settle();
    let ids = ids.lock().unwrap();
    assert_eq!(ids.len(), 4 * 3 * THREADS);
    assert!(ids.iter().all(|id| drops_of(*id) == 1), "everything goes in the end");
    assert!(stats().threads <= before + 1, "records of ended threads are given back");
}
