//! Panics at the worst moments, and `Drop`s that do what they like.

use graphgc::{Gc, GcCell, GcMutex, GcMutexGuard, GcRefCell, GcRwLock, Outcome, RefMut, Trace, collect, stats};
use graphgc_tests::{
    heap::{alone, settle},
    panics::{panic_quietly, panics_quietly},
    payload::{Leaf, corrupt_drops, drops_of, new_id},
    process::wait_until,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
};

#[track_caller]
fn panics<R>(body: impl FnOnce() -> R) {
    assert!(panics_quietly(body), "a panic");
}

static PANICKED: AtomicUsize = AtomicUsize::new(0);

#[derive(Trace)]
#[trace(leaf)]
struct Panics(bool);

impl Drop for Panics {
    fn drop(&mut self) {
        if self.0 {
            PANICKED.fetch_add(1, SeqCst);
            panic_quietly::<()>();
        }
    }
}

#[derive(Trace)]
struct Node {
    /// Dropped before the one that panics.
    leaf: Leaf,
    next: GcCell<Option<Gc<Node>>>,
    list: GcMutex<Vec<Gc<Node>>>,
    panics: Panics,
}

fn node(panics: bool, next: Option<Gc<Node>>) -> Gc<Node> {
    let leaf = Leaf::new(new_id());
    Gc::new(Node { leaf, next: next.into(), list: vec![].into(), panics: Panics(panics) })
}

#[test]
fn drops_that_panic_keep_nothing_else_from_being_dropped() {
    let _alone = alone();
    settle();
    let (base, before) = (stats().live_objects, PANICKED.load(SeqCst));
    let nodes: Vec<_> = (0..3000).map(|number| node(number % 3 == 0, None)).collect();
    for (number, node) in nodes.iter().enumerate() {
        node.next.set(Some(nodes[(number + 1) % 3000].clone()));
        node.list.lock().push(nodes[number * 7 % 3000].clone());
    }
    let ids: Vec<_> = nodes.iter().map(|node| node.leaf.check()).collect();
    drop(nodes);
    settle();
    assert_eq!(PANICKED.load(SeqCst) - before, 1000);
    assert!(ids.iter().all(|id| drops_of(*id) == 1));
    assert_eq!(stats().live_objects, base, "their memory is free");
    assert_eq!(corrupt_drops(), 0);
    // The collector goes on.
    let next = node(false, None);
    let id = next.leaf.check();
    drop(next);
    settle();
    assert_eq!(drops_of(id), 1);
}

/// In counted content (opened for writing, then dead) and in containers.
#[test]
fn drops_that_panic_inside_cells_and_containers() {
    #[derive(Trace)]
    struct Holder {
        cell: GcRefCell<Vec<(Panics, Option<Gc<Node>>)>>,
        after: Leaf,
    }
    let _alone = alone();
    let before = PANICKED.load(SeqCst);
    let mut inside = Vec::new();
    let mut other = Vec::new();
    for number in 0..200 {
        let content = || vec![(Panics(true), Some(node(false, None)))];
        let holder = Gc::new(Holder { cell: GcRefCell::new(content()), after: Leaf::new(new_id()) });
        if number % 2 == 0 {
            holder.cell.borrow_mut()[0].1 = None;
        }
        inside.push(holder.after.check());
        let plain = node(false, None);
        other.push(plain.leaf.check());
    }
    settle();
    assert_eq!(PANICKED.load(SeqCst) - before, 200);
    assert!(other.iter().all(|id| drops_of(*id) == 1));
    assert!(inside.iter().all(|id| drops_of(*id) <= 1), "what comes after a panic in the same object may leak");
}

#[test]
fn values_built_partly() {
    #[derive(Trace)]
    struct Pair(Gc<Node>, Vec<Gc<Node>>, Gc<Node>);
    impl Default for Pair {
        fn default() -> Self {
            Pair(node(false, None), vec![node(false, None)], panic_quietly())
        }
    }

    let _alone = alone();
    settle();
    let base = stats().live_objects;
    panics(|| Gc::new(Pair(node(false, None), vec![node(false, None); 3], panic_quietly())));
    panics(Gc::<Pair>::default);
    panics(|| {
        let half: Vec<Gc<Node>> =
            (0..10).map(|number| if number == 7 { panic_quietly() } else { node(false, None) }).collect();
        half
    });
    panics(|| GcRefCell::new(vec![node(false, None), panic_quietly()]));
    let kept = node(false, None);
    panics(|| kept.next.set(Some(panic_quietly())));
    panics(|| *kept.list.lock() = vec![kept.clone(), panic_quietly()]);
    settle();
    assert_eq!(stats().live_objects - base, 1, "what had been built is gone");
    assert!(kept.next.get().is_none() && kept.list.lock().is_empty());
}

#[test]
fn panics_give_borrows_and_locks_back() {
    #[derive(Trace)]
    struct Locks {
        cell: GcRefCell<Vec<Gc<Node>>>,
        mutex: GcMutex<Vec<Gc<Node>>>,
        lock: GcRwLock<Vec<Gc<Node>>>,
    }
    let _alone = alone();
    let target = node(false, None);
    let id = target.leaf.check();
    let locks = Gc::new(Locks { cell: vec![].into(), mutex: vec![].into(), lock: vec![].into() });
    for collects in [false, true] {
        panics(|| {
            let _guards = (locks.cell.borrow_mut(), locks.mutex.lock(), locks.lock.write());
            if collects {
                settle();
            }
            panic_quietly::<()>();
        });
        panics(|| {
            let mut guard = locks.cell.borrow_mut();
            guard.push(target.clone());
            locks.mutex.lock().push(target.clone());
            locks.lock.write().push(target.clone());
            panic_quietly::<()>();
        });
        panics(|| {
            let _guards = (locks.cell.borrow(), locks.lock.read());
            panic_quietly::<()>();
        });
        panics(|| RefMut::map(locks.cell.borrow_mut(), |_| -> &mut u8 { panic_quietly() }));
        panics(|| GcMutexGuard::filter_map(locks.mutex.lock(), |_| -> Option<&mut u8> { panic_quietly() }));
        panics(|| locks.mutex.lock().retain(|_| panic_quietly()));
        panics(|| *locks.cell.borrow_mut() = vec![panic_quietly()]);
        assert!(locks.cell.try_borrow_mut().is_ok());
        assert!(locks.mutex.try_lock().is_some());
        assert!(locks.lock.try_write().is_some());
    }
    assert_eq!(
        (locks.cell.borrow().len(), locks.mutex.lock().len(), locks.lock.read().len()),
        (2, 2, 2),
        "as they were left"
    );
    drop(target);
    settle();
    assert_eq!(drops_of(id), 0);
    drop(locks);
    settle();
    assert_eq!(drops_of(id), 1);
}

#[test]
fn thread_that_panics_with_a_lock_lets_others_in() {
    let _alone = alone();
    let shared = Gc::new(GcMutex::new(vec![1]));
    let theirs = shared.clone();
    let thread = thread::spawn(move || {
        let mut guard = theirs.lock();
        guard.push(2);
        panic_quietly::<()>();
    });
    assert!(thread.join().is_err());
    assert_eq!(*shared.lock(), [1, 2]);
}

#[test]
fn a_second_borrow_panics_and_changes_nothing() {
    let _alone = alone();
    let cell = GcRefCell::new(5);
    let first = cell.borrow_mut();
    let message = catch_unwind(AssertUnwindSafe(|| drop(cell.borrow()))).unwrap_err();
    assert!(message.downcast_ref::<String>().unwrap().contains("already borrowed for writing"));
    drop(first);
    let first = cell.borrow();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(cell.borrow_mut()))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| cell.replace(6))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| cell.swap(&cell))).is_err());
    assert_eq!(*first, 5);
}

/// What a drop has done.
#[derive(Debug)]
struct Deed {
    outcome: Outcome,
    found: usize,
    from_thread: u32,
    allocated: u32,
}

static BUSY_HUB: GcMutex<Vec<Gc<Node>>> = GcMutex::new(Vec::new());
static DEEDS: Mutex<Vec<Deed>> = Mutex::new(Vec::new());

/// Its drop allocates, collects, locks and starts a thread.
#[derive(Trace)]
#[trace(leaf)]
struct Busy;

impl Drop for Busy {
    fn drop(&mut self) {
        let kept = node(false, None);
        let allocated = kept.leaf.check();
        for _ in 0..500 {
            drop(node(false, Some(kept.clone())));
        }
        let found = {
            let mut hub = BUSY_HUB.lock();
            hub.push(kept.clone());
            hub.len()
        };
        let outcome = collect().outcome;
        let from_thread =
            thread::spawn(move || node(false, Some(kept)).next.get().unwrap().leaf.check()).join().unwrap();
        DEEDS.lock().unwrap().push(Deed { outcome, found, from_thread, allocated });
    }
}

#[test]
fn drop_that_allocates_collects_locks_and_starts_threads() {
    const DROPS: usize = 100;
    let _alone = alone();
    for _ in 0..DROPS {
        Gc::new((Busy, GcCell::new(Some(node(false, None)))));
    }
    settle();
    let deeds = std::mem::take(&mut *DEEDS.lock().unwrap());
    assert_eq!(deeds.len(), DROPS);
    for (number, deed) in deeds.iter().enumerate() {
        assert_eq!((&deed.outcome, deed.found), (&Outcome::Requested, number + 1), "{deed:?}");
        assert_eq!(deed.from_thread, deed.allocated);
        assert_eq!(drops_of(deed.allocated), 0);
    }
    let resurrected: Vec<_> = BUSY_HUB.lock().drain(..).collect();
    assert_eq!(resurrected.len(), DROPS);
    assert!(resurrected.iter().zip(&deeds).all(|(node, deed)| node.leaf.check() == deed.allocated));
    drop(resurrected);
    settle();
    assert!(deeds.iter().all(|deed| drops_of(deed.allocated) == 1));
}

/// A drop that makes new garbage with such drops: each collection is finite.
#[test]
fn drop_that_leaves_a_successor() {
    static GENERATIONS: AtomicUsize = AtomicUsize::new(0);
    #[derive(Trace)]
    #[trace(leaf)]
    struct Phoenix(usize);
    impl Drop for Phoenix {
        fn drop(&mut self) {
            GENERATIONS.fetch_add(1, SeqCst);
            if self.0 > 0 {
                Gc::new(Phoenix(self.0 - 1));
            }
        }
    }
    let _alone = alone();
    Gc::new(Phoenix(9));
    let mut calls = 0;
    while GENERATIONS.load(SeqCst) < 10 {
        collect();
        calls += 1;
        assert!(calls <= 10, "each call drops what was garbage when it began");
    }
}

/// A drop that takes its time holds up neither cycles nor allocation, only who asks for it to be done.
#[test]
fn drop_that_waits_delays_no_cycle() {
    struct Gate(mpsc::Receiver<()>, mpsc::Sender<()>);
    #[derive(Trace)]
    #[trace(leaf)]
    struct Waits(Gate);
    impl Drop for Waits {
        fn drop(&mut self) {
            self.0.1.send(()).unwrap();
            self.0.0.recv().unwrap();
        }
    }

    let _alone = alone();
    settle();
    let (open, is_open) = mpsc::channel();
    let (arrive, arrived) = mpsc::channel();
    Gc::new(Waits(Gate(is_open, arrive)));
    let collecting = thread::spawn(collect);
    arrived.recv().unwrap();
    let cycles = stats().cycles;
    let mut turns = 0u64;
    while stats().cycles < cycles + 5 {
        turns += 1;
        assert!(turns < 20_000_000, "no cycle runs while a drop waits");
        let one = node(false, None);
        one.next.set(Some(one.clone()));
    }
    assert!(!collecting.is_finished(), "collect waits for the drop");
    assert!(stats().span_bytes < 1 << 30);
    open.send(()).unwrap();
    assert_eq!(collecting.join().unwrap().outcome, Outcome::Settled);
    let plain = node(false, None);
    let id = plain.leaf.check();
    drop(plain);
    settle();
    wait_until("the node is dropped", || drops_of(id) == 1);
}
