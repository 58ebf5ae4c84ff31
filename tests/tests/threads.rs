//! Threads that come and go, block, compute, end with handles in thread-locals, and collect at the same time. (What destructors of
//! thread-locals may do is in `thread_locals.rs`.)

use graphgc::{Gc, GcMutex, GcRwLock, Outcome, Trace, collect, stats};
use graphgc_tests::{
    heap::{alone, settle},
    knot::{Node, knot, node},
    payload::{Leaf, corrupt_drops, drops_of, new_id},
    process::wait_until,
};
use std::{
    cell::RefCell,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Barrier, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Duration,
};

/// Collects, and fails if that takes for ever.
#[track_caller]
fn collect_in_time() {
    let (done, is_done) = mpsc::channel();
    let thread = thread::spawn(move || done.send(collect().outcome));
    let outcome =
        is_done.recv_timeout(Duration::from_secs(30)).expect("collect waits for a thread that it need not wait for");
    assert_eq!(outcome, Outcome::Settled);
    thread.join().unwrap().unwrap();
}

#[test]
fn ten_thousand_short_threads() {
    const THREADS: usize = 10_000;
    const AT_ONCE: usize = 10;
    const KEPT: usize = 500;
    let _alone = alone();
    settle();
    let before = stats();
    let hub = node(None);
    let board: Arc<Mutex<Vec<Gc<Node>>>> = Arc::default();
    let mut ids = Vec::new();
    for _ in 0..THREADS / AT_ONCE {
        let started: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                let (hub, board) = (hub.clone(), board.clone());
                thread::spawn(move || {
                    let mut ids = Vec::new();
                    for turn in 0..4 {
                        let (knot, new) = knot();
                        ids.extend(new);
                        match turn {
                            0 => {
                                let mut kept = hub.more.lock();
                                kept.push(knot);
                                if kept.len() > KEPT {
                                    kept.swap_remove(0);
                                }
                            }
                            1 => {
                                let mut kept = board.lock().unwrap();
                                kept.push(knot);
                                if kept.len() > KEPT {
                                    kept.remove(0);
                                }
                            }
                            2 => hub.next.set(Some(knot)),
                            _ => {}
                        }
                    }
                    ids
                })
            })
            .collect();
        for thread in started {
            ids.extend(thread.join().expect("a thread failed"));
        }
    }
    settle();
    let mut kept = Vec::new();
    kept.extend(hub.more.lock().iter().cloned());
    kept.extend(board.lock().unwrap().iter().cloned());
    kept.extend(hub.next.get());
    assert!(kept.len() > KEPT, "the shared structures are full");
    let mut live = Vec::new();
    for one in &kept {
        let two = one.next.get().expect("a knot has a second node");
        assert!(Gc::ptr_eq(&two.next.get().unwrap(), one));
        live.extend([one.leaf.check(), two.leaf.check(), two.more.lock()[0].leaf.check()]);
    }
    live.sort_unstable();
    for id in &ids {
        let expected = u8::from(live.binary_search(id).is_err());
        assert_eq!(drops_of(*id), expected, "drops of object {id}");
    }
    assert_eq!(corrupt_drops(), 0);
    let after = stats();
    assert_eq!(after.live_objects - before.live_objects, live.len() as u64 + 1);
    assert!(after.threads <= before.threads + 1, "{} threads are known, {} were", after.threads, before.threads);
    assert!(after.span_bytes < 64 << 20, "{after:?}");
    assert!(after.list_bytes < 64 << 20, "{after:?}");
    assert!(after.reserved_bytes <= before.reserved_bytes + (256 << 20), "{after:?}");
    drop((hub, board, kept));
    settle();
    assert!(ids.iter().all(|id| drops_of(*id) == 1));
}

static ONCE: OnceLock<Gc<Node>> = OnceLock::new();
static SHARED: GcMutex<Vec<Gc<Node>>> = GcMutex::new(Vec::new());
static LOCKED: GcRwLock<Option<Gc<Node>>> = GcRwLock::new(None);

#[test]
fn statics_hold_what_they_lead_to() {
    let _alone = alone();
    let (first, in_once) = knot();
    ONCE.set(first).ok().expect("set once");
    let (second, in_mutex) = knot();
    SHARED.lock().push(second);
    let (third, in_lock) = knot();
    *LOCKED.write() = Some(third);
    settle();
    settle();
    for id in [in_once, in_mutex, in_lock].concat() {
        assert_eq!(drops_of(id), 0);
    }
    assert_eq!(ONCE.get().unwrap().next.get().unwrap().leaf.check(), in_once[1]);
    assert_eq!(SHARED.lock()[0].leaf.check(), in_mutex[0]);
    assert_eq!(LOCKED.read().as_ref().unwrap().leaf.check(), in_lock[0]);
    SHARED.lock().clear();
    *LOCKED.write() = None;
    settle();
    assert!(in_once.iter().all(|id| drops_of(*id) == 0));
    assert!([in_mutex, in_lock].concat().iter().all(|id| drops_of(*id) == 1));
}

thread_local! {
    static HERE: RefCell<Vec<Gc<Node>>> = const { RefCell::new(Vec::new()) };
}

#[test]
fn thread_locals_hold_what_they_lead_to_until_the_thread_ends() {
    let _alone = alone();
    let (tell, told) = mpsc::channel();
    let (end, may_end) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let (knot, ids) = knot();
        HERE.with_borrow_mut(|here| here.push(knot));
        tell.send(ids).unwrap();
        may_end.recv().unwrap();
        HERE.with_borrow(|here| assert_eq!(here[0].leaf.check(), ids[0]));
    });
    let ids = told.recv().unwrap();
    collect_in_time();
    assert!(ids.iter().all(|id| drops_of(*id) == 0));
    end.send(()).unwrap();
    thread.join().unwrap();
    settle();
    assert!(ids.iter().all(|id| drops_of(*id) == 1));
}

#[test]
fn blocked_sleeping_and_computing_threads_hold_up_nobody() {
    let _alone = alone();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut writer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut reader = listener.accept().unwrap().0;
    let stop = Arc::new(AtomicBool::new(false));
    let begun = Arc::new(Barrier::new(6));
    let mutex = node(None);
    let (send, receive) = mpsc::channel::<()>();

    let in_io = thread::spawn({
        let begun = begun.clone();
        move || {
            let (knot, ids) = knot();
            begun.wait();
            reader.read_exact(&mut [0]).unwrap();
            assert_eq!(knot.leaf.check(), ids[0]);
        }
    });
    let in_channel = thread::spawn({
        let begun = begun.clone();
        move || {
            let (knot, ids) = knot();
            begun.wait();
            receive.recv().unwrap();
            assert_eq!(knot.next.get().unwrap().leaf.check(), ids[1]);
        }
    });
    let computing = thread::spawn({
        let (begun, stop) = (begun.clone(), stop.clone());
        move || {
            let (knot, ids) = knot();
            begun.wait();
            let mut sum = 0u64;
            while !stop.load(SeqCst) {
                sum = (0..1000).fold(sum, |sum, number| sum.wrapping_mul(31).wrapping_add(number));
            }
            assert_eq!(knot.leaf.check(), ids[0]);
            sum
        }
    });
    let with_lock = thread::spawn({
        let (begun, stop, mutex) = (begun.clone(), stop.clone(), mutex.clone());
        move || {
            let mut guard = mutex.more.lock();
            guard.push(knot().0);
            begun.wait();
            while !stop.load(SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(drops_of(guard[0].leaf.check()), 0);
        }
    });
    let for_lock = thread::spawn({
        let (begun, mutex) = (begun.clone(), mutex.clone());
        move || {
            begun.wait();
            mutex.more.lock().push(knot().0);
        }
    });

    begun.wait();
    let garbage = knot().1;
    for _ in 0..20 {
        collect_in_time();
    }
    assert!(garbage.iter().all(|id| drops_of(*id) == 1));
    writer.write_all(&[1]).unwrap();
    send.send(()).unwrap();
    stop.store(true, SeqCst);
    for thread in [in_io, in_channel, with_lock, for_lock] {
        thread.join().expect("a thread failed");
    }
    computing.join().expect("the computing thread failed");
    assert_eq!(mutex.more.lock().len(), 2);
}

/// Garbage that takes a cycle for each link: each is held by a skipped field of the one before.
fn skip_chain(length: usize) -> Vec<u32> {
    let mut ids = Vec::new();
    let mut head = None;
    for _ in 0..length {
        let leaf = Leaf::new(new_id());
        ids.push(leaf.check());
        head = Some(Gc::new(Node { leaf, next: None.into(), more: vec![].into(), skipped: head }));
    }
    ids
}

#[test]
fn every_one_of_many_collections_at_once_keeps_its_promise() {
    const THREADS: usize = 6;
    const TURNS: usize = 40;
    let _alone = alone();
    thread::scope(|scope| {
        for number in 0..THREADS {
            scope.spawn(move || {
                for turn in 0..TURNS {
                    let mut ids = knot().1.to_vec();
                    ids.extend(skip_chain((number + turn) % 5));
                    let (kept, live) = knot();
                    let done = collect();
                    assert_eq!(done.outcome, Outcome::Settled);
                    for id in &ids {
                        assert_eq!(drops_of(*id), 1, "object {id} was garbage at the call of collect: {ids:?}");
                    }
                    assert!(live.iter().all(|id| drops_of(*id) == 0));
                    drop(kept);
                }
            });
        }
    });
}

#[derive(Trace)]
struct Crowd {
    many: GcRwLock<Vec<Gc<Node>>>,
    locked: GcMutex<(usize, Vec<Gc<Node>>)>,
}

/// Contents that the collector and the lock's winner each need several goes for.
#[test]
fn large_contents_change_hands_while_the_collector_works() {
    const HANDLES: usize = 5000;
    const THREADS: usize = 4;
    const TURNS: usize = 60;
    let _alone = alone();
    let some: Vec<_> = (0..10).map(|_| node(None)).collect();
    let ids: Vec<_> = some.iter().map(|node| node.leaf.check()).collect();
    let many: Vec<_> = some.iter().cycle().take(HANDLES).cloned().collect();
    let crowd = Gc::new(Crowd { many: many.clone().into(), locked: (0, many).into() });
    drop(some);
    let stop = AtomicBool::new(false);
    let read = AtomicUsize::new(0);
    thread::scope(|scope| {
        let collector = scope.spawn(|| {
            while !stop.load(SeqCst) {
                collect();
            }
        });
        let workers: Vec<_> = (0..THREADS)
            .map(|_| {
                let (crowd, read) = (crowd.clone(), &read);
                scope.spawn(move || {
                    for turn in 0..TURNS {
                        {
                            let mut locked = crowd.locked.lock();
                            locked.0 += 1;
                            let last = locked.1.pop().expect("never empty");
                            locked.1.insert(turn, last);
                        }
                        {
                            let mut many = crowd.many.write();
                            let first = many.swap_remove(turn);
                            many.push(first);
                        }
                        for object in crowd.many.read().iter().step_by(50) {
                            assert_eq!(drops_of(object.leaf.check()), 0);
                            read.fetch_add(1, SeqCst);
                        }
                        // Clones out of a cell that the collector may be giving up.
                        let copies: Vec<_> = crowd.many.read().iter().take(100).cloned().collect();
                        drop(crowd.many.write());
                        copies.iter().for_each(|copy| assert_eq!(drops_of(copy.leaf.check()), 0));
                    }
                })
            })
            .collect();
        let results: Vec<_> = workers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        stop.store(true, SeqCst);
        collector.join().unwrap();
        results.into_iter().for_each(|result| result.expect("a worker failed"));
    });
    assert_eq!(crowd.locked.lock().0, THREADS * TURNS);
    assert_eq!(read.load(SeqCst), THREADS * TURNS * HANDLES / 50);
    assert_eq!((crowd.many.read().len(), crowd.locked.lock().1.len()), (HANDLES, HANDLES));
    settle();
    assert!(ids.iter().all(|id| drops_of(*id) == 0));
    drop(crowd);
    settle();
    assert!(ids.iter().all(|id| drops_of(*id) == 1));
}

/// Nobody but the collector could make these fail.
#[test]
fn the_collector_never_makes_an_attempt_fail() {
    let _alone = alone();
    let some: Vec<_> = (0..3000).map(|_| node(None)).collect();
    let crowd = Gc::new(Crowd { many: some.clone().into(), locked: (0, some).into() });
    let stop = AtomicBool::new(false);
    let cycles = stats().cycles;
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(SeqCst) {
                collect();
            }
        });
        let mut turns = 0;
        while stats().cycles < cycles + 60 {
            turns += 1;
            let ok = crowd.many.try_write().is_some()
                && crowd.many.try_read().is_some()
                && crowd.locked.try_lock().is_some();
            if !ok {
                stop.store(true, SeqCst);
                panic!("an attempt failed in turn {turns}");
            }
        }
        stop.store(true, SeqCst);
    });
}

/// Threads that hand handles on: each object is allocated here, linked there, dropped elsewhere.
#[test]
fn handles_travel_between_threads() {
    const STAGES: usize = 5;
    const OBJECTS: u32 = 20_000;
    let _alone = alone();
    let last_id = AtomicU32::new(0);
    thread::scope(|scope| {
        let (first, mut input) = mpsc::sync_channel::<Gc<Node>>(64);
        scope.spawn(move || {
            for _ in 0..OBJECTS {
                first.send(knot().0).unwrap();
            }
        });
        for _ in 0..STAGES {
            let (output, next) = mpsc::sync_channel(64);
            let previous = std::mem::replace(&mut input, next);
            scope.spawn(move || {
                for knot in previous {
                    let two = knot.next.get().unwrap();
                    assert!(Gc::ptr_eq(&two.next.get().unwrap(), &knot));
                    two.more.lock()[0].leaf.check();
                    drop(knot);
                    output.send(two.next.replace(Some(two.next.get().unwrap())).unwrap()).unwrap();
                }
            });
        }
        let mut received = 0;
        for knot in input {
            last_id.store(knot.leaf.check(), SeqCst);
            received += 1;
        }
        assert_eq!(received, OBJECTS);
    });
    settle();
    wait_until("the last object is dropped", || drops_of(last_id.load(SeqCst)) == 1);
}
