//! Pinned scopes: what a pin keeps, what it does not hold up, and how one that is held for long is seen.

use graphgc::{Gc, GcCell, GcMutex, Guard, Local, Outcome, Trace, collect, pin, stats, verify};
use graphgc_tests::{
    heap::{alone, begin_marking, settle},
    knot::{Node, knot, node},
    payload::{Leaf, corrupt_drops, drops_of, new_id},
    process,
    random::Random,
};
use std::{
    cell::RefCell,
    io::Write,
    mem,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

#[test]
fn what_is_loaded_stays_until_the_guard_is_dropped() {
    let _alone = alone();
    let (knot, ids) = knot();
    let guard = pin();
    let one = knot.local(&guard);
    let two = one.next.load(&guard).unwrap();
    drop(knot);
    for _ in 0..3 {
        assert_eq!(collect().outcome, Outcome::Requested);
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!([one.leaf.check(), two.leaf.check()], ids[..2]);
    assert!(Local::ptr_eq(two.next.load(&guard).unwrap(), one));
    assert!(ids.iter().all(|id| drops_of(*id) == 0));
    drop(guard);
    settle();
    assert!(ids.iter().all(|id| drops_of(*id) == 1));
}

#[test]
fn what_is_made_in_the_scope_and_stored_nowhere_goes_with_it() {
    let _alone = alone();
    let guard = pin();
    let id = alloc_node(&guard, None).leaf.check();
    let kept = guard.alloc(GcCell::new(Some(node(None))));
    let inner = kept.load(&guard).unwrap().leaf.check();
    let kept = kept.to_gc();
    drop(guard);
    settle();
    assert_eq!((drops_of(id), drops_of(inner)), (1, 0));
    drop(kept);
    settle();
    assert_eq!(drops_of(inner), 1);
}

/// Sizes and shapes for which an object is born in slices, in a span of its own, at its own alignment.
#[test]
fn every_way_of_being_born() {
    #[derive(Trace)]
    #[repr(align(256))]
    struct Aligned(Leaf);
    let _alone = alone();
    let guard = pin();
    let ids: Vec<_> = (0..4).map(|_| new_id()).collect();
    let leaf = |number: usize| Leaf::new(ids[number]);
    let large = guard.alloc((leaf(0), [7u64; 6000])).to_gc();
    let many = guard.alloc((leaf(1), vec![node(None); 5000])).to_gc();
    let aligned = guard.alloc(Aligned(leaf(2))).to_gc();
    let zero = guard.alloc(()).to_gc();
    let moved = guard.try_alloc((leaf(3), [1u8; 5000])).unwrap().to_gc();
    drop(guard);
    settle();
    assert_eq!((large.0.check(), large.1[5999]), (ids[0], 7));
    assert_eq!((many.0.check(), many.1.len()), (ids[1], 5000));
    assert_eq!((aligned.0.check(), Gc::as_ptr(&aligned).addr() % 256), (ids[2], 0));
    assert_eq!((moved.0.check(), *zero), (ids[3], ()));
    drop((large, many, aligned, moved));
    settle();
    assert!(ids.iter().all(|id| drops_of(*id) == 1));
}

/// A cell outside the heap counts what it holds, one inside does not; both change hands under a pin.
#[test]
fn cells_of_either_kind_change_under_a_pin() {
    let _alone = alone();
    let outside = GcCell::new(Some(node(None)));
    let inside = Gc::new(GcCell::new(Some(node(None))));
    let ids = [&outside, &*inside].map(|cell| cell.get().unwrap().leaf.check());
    {
        let guard = pin();
        let (one, other) = (outside.load(&guard), inside.load(&guard));
        assert_eq!(outside.swap(other, &guard).unwrap().leaf.check(), ids[0]);
        assert!(inside.compare_exchange(one, None, &guard).is_err());
        assert_eq!(inside.compare_exchange(other, one, &guard).ok().unwrap().unwrap().leaf.check(), ids[1]);
        assert!(Local::ptr_eq(outside.compare_exchange(None, one, &guard).err().unwrap().unwrap(), other.unwrap()));
    }
    settle();
    assert_eq!(outside.get().unwrap().leaf.check(), ids[1]);
    assert_eq!(inside.get().unwrap().leaf.check(), ids[0]);
    {
        let guard = pin();
        inside.store(outside.load(&guard), &guard);
        outside.store(None, &guard);
    }
    settle();
    assert_eq!(ids.map(drops_of), [1, 0]);
    drop((outside, inside));
    settle();
    assert_eq!(ids.map(drops_of), [1, 1]);
}

#[test]
fn scopes_nest_and_the_outermost_counts() {
    let _alone = alone();
    let before = stats().open_pins;
    let cell = GcCell::new(node(None));
    let mut outer = pin();
    let id = cell.load(&outer).leaf.check();
    {
        let mut inner = pin();
        let local = cell.load(&outer);
        assert_eq!(stats().open_pins, before + 2);
        cell.set(node(None));
        inner.repin();
        drop(inner);
        collect();
        thread::sleep(Duration::from_millis(20));
        assert_eq!((local.leaf.check(), drops_of(id)), (id, 0));
    }
    outer.repin();
    process::wait_until("the object is dropped after repinning", || {
        collect();
        outer.repin();
        drops_of(id) == 1
    });
    drop(outer);
    assert_eq!(stats().open_pins, before);
}

/// The collector marks and sweeps again and again while threads load, follow and drop: through handles dropped before their entries are
/// scanned, and through handles that were the object's only root for a moment.
#[test]
fn pins_younger_than_the_snapshot() {
    const TURNS: usize = 20_000;
    let _alone = alone();
    let stop = AtomicBool::new(false);
    let board: Vec<_> = (0..8).map(|_| GcMutex::new(None::<Gc<Node>>)).collect();
    let tree = node(None);
    let checked = AtomicU64::new(0);
    let linger = |number| match number {
        0..100 => wait_for_a_cycle(),
        100..1000 => thread::yield_now(),
        _ => {}
    };
    let check = |node: Local<'_, Node>| {
        assert_eq!(drops_of(node.leaf.check()), 0);
        checked.fetch_add(1, SeqCst);
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(SeqCst) {
                collect();
            }
        });
        let first_route = |seed| {
            let (board, check) = (&board, &check);
            move || {
                let mut random = Random::of_run(seed);
                for _ in 0..TURNS {
                    let place = &board[random.below(board.len())];
                    *place.lock() = Some(knot().0);
                    let guard = pin();
                    let Some(handle) = board[random.below(board.len())].lock().take() else { continue };
                    let one = handle.local(&guard);
                    drop(handle);
                    let Some(two) = one.next.load(&guard) else { continue };
                    linger(random.below(TURNS));
                    check(one);
                    check(two);
                    two.next.load(&guard).into_iter().for_each(check);
                }
            }
        };
        let second_route = |seed| {
            let (tree, check) = (&tree, &check);
            move || {
                let mut random = Random::of_run(seed);
                for _ in 0..TURNS {
                    tree.next.set(Some(knot().0));
                    let guard = pin();
                    // The handle is the only root for a moment; then nothing leads to the node but this pin.
                    let Some(handle) = tree.next.get() else { continue };
                    let two = handle.next.load(&guard);
                    tree.next.take();
                    drop(handle);
                    let Some(two) = two else { continue };
                    linger(random.below(TURNS));
                    check(two);
                    two.next.load(&guard).into_iter().for_each(check);
                }
            }
        };
        let workers = [scope.spawn(first_route(1)), scope.spawn(first_route(2))];
        let others = [scope.spawn(second_route(3)), scope.spawn(second_route(4))];
        let results: Vec<_> = workers.into_iter().chain(others).map(thread::ScopedJoinHandle::join).collect();
        stop.store(true, SeqCst);
        results.into_iter().for_each(|result| result.expect("a worker failed"));
    });
    assert!(checked.load(SeqCst) > TURNS as u64);
    assert_eq!(corrupt_drops(), 0);
}

/// Objects that are in no snapshot but a pin's go into objects that the marker has passed.
#[test]
fn stores_of_objects_that_only_a_pin_holds() {
    const TURNS: usize = 300;
    let _alone = alone();
    let stop = AtomicBool::new(false);
    // Many objects to mark, so that the ones that change are passed at all times.
    let places: Vec<_> = (0..2000).map(|_| node(None)).collect();
    thread::scope(|scope| {
        let collector = scope.spawn(|| {
            while !stop.load(SeqCst) {
                collect();
            }
        });
        let workers: Vec<_> = (0..2)
            .map(|seed| {
                let places = &places;
                scope.spawn(move || {
                    let mut random = Random::of_run(seed);
                    for _ in 0..TURNS {
                        let mut guard = pin();
                        for _ in 0..50 {
                            let (one, other) = (random.below(places.len()), random.below(places.len()));
                            // Unlinked here, linked there, a while later; held by nothing between.
                            let held = places[one].next.swap(None, &guard);
                            let fresh = alloc_node(&guard, held);
                            if random.below(8) == 0 {
                                thread::yield_now();
                            }
                            match random.below(3) {
                                0 => places[other].next.store(Some(fresh), &guard),
                                1 => _ = places[other].next.swap(held, &guard),
                                _ => _ = places[other].next.compare_exchange(None, Some(fresh), &guard),
                            }
                            let mut chain = places[random.below(places.len())].next.load(&guard);
                            for _ in 0..5 {
                                let Some(link) = chain else { break };
                                assert_eq!(drops_of(link.leaf.check()), 0);
                                chain = link.next.load(&guard);
                            }
                        }
                        guard.repin();
                    }
                })
            })
            .collect();
        let results: Vec<_> = workers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        stop.store(true, SeqCst);
        collector.join().unwrap();
        results.into_iter().for_each(|result| result.expect("a worker failed"));
    });
    settle();
    let guard = pin();
    for place in &places {
        let mut chain = place.next.load(&guard);
        while let Some(link) = chain {
            assert_eq!(drops_of(link.leaf.check()), 0);
            chain = link.next.load(&guard);
        }
    }
    assert_eq!(corrupt_drops(), 0);
}

/// A chain that takes the marker milliseconds; what hangs at its end is found last.
fn long_chain() -> Gc<Node> {
    (0..200_000).fold(node(None), |next, _| node(Some(next)))
}

/// The last node of a chain and the one before it.
fn end_of<'g>(chain: Local<'g, Node>, guard: &'g Guard) -> [Local<'g, Node>; 2] {
    let mut end = [chain, chain];
    while let Some(next) = end[1].next.load(guard) {
        end = [end[1], next];
    }
    end
}

/// Has cycles run at all times while `body` runs.
fn while_collecting(body: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let collector = scope.spawn(|| {
            while !stop.load(SeqCst) {
                collect();
            }
        });
        let result = catch_unwind(AssertUnwindSafe(body));
        stop.store(true, SeqCst);
        collector.join().unwrap();
        result.unwrap_or_else(|panic| resume_unwind(panic));
    });
}

/// Waits for a cycle to end, or not to: if the pin is older than R.
fn wait_for_a_cycle() {
    let (cycles, begun) = (stats().cycles, Instant::now());
    while stats().cycles == cycles && begun.elapsed() < Duration::from_millis(20) {
        thread::yield_now();
    }
}

/// Between S1 and R, which is long for there are many roots, a pin meets an object whose only handle goes before its entry is scanned.
#[test]
fn what_a_handle_led_to_that_goes_before_its_entry_is_scanned() {
    let _alone = alone();
    let roots: Vec<_> = (0..300_000u32).map(Gc::new).collect();
    while_collecting(|| {
        let mut random = Random::new(9);
        for _ in 0..100 {
            let (knot, ids) = knot();
            thread::sleep(Duration::from_micros(random.below(10_000) as u64));
            let guard = pin();
            let one = knot.local(&guard);
            drop(knot);
            wait_for_a_cycle();
            let two = one.next.load(&guard).unwrap();
            assert_eq!([one.leaf.check(), two.leaf.check()], ids[..2]);
            assert_eq!(ids.map(drops_of), [0; 3]);
        }
    });
    drop(roots);
    assert_eq!(corrupt_drops(), 0);
}

/// The marker has not come to the end of the chain when a pin that is younger than R finds what hangs there, and it is unlinked.
#[test]
fn what_is_unlinked_before_the_marker_comes_stays_for_a_younger_pin() {
    let ways: [fn(Local<'_, Node>, &Guard); 5] = [
        |owner, guard| owner.next.store(None, guard),
        |owner, guard| _ = owner.next.swap(None, guard),
        |owner, guard| _ = owner.next.compare_exchange(owner.next.load(guard), None, guard),
        |owner, _| owner.next.set(None),
        |owner, _| drop(owner.next.take()),
    ];
    let _alone = alone();
    let chain = long_chain();
    while_collecting(|| {
        let mut random = Random::new(7);
        for unlink in ways.iter().cycle().take(100) {
            {
                let guard = pin();
                let [_, last] = end_of(chain.local(&guard), &guard);
                last.next.store(Some(alloc_node(&guard, None)), &guard);
            }
            thread::sleep(Duration::from_micros(random.below(4000) as u64));
            let guard = pin();
            let [owner, last] = end_of(chain.local(&guard), &guard);
            let id = last.leaf.check();
            unlink(owner, &guard);
            wait_for_a_cycle();
            assert_eq!((last.leaf.check(), drops_of(id)), (id, 0));
        }
    });
    assert_eq!(corrupt_drops(), 0);
}

/// What only a pin holds, since before the snapshot, goes into an object that the marker has passed.
#[test]
fn what_a_pin_has_kept_from_the_snapshot_is_stored_in_passed_objects() {
    let ways: [fn(&Node, Local<'_, Node>, &Guard); 4] = [
        |place, kept, guard| place.next.store(Some(kept), guard),
        |place, kept, guard| _ = place.next.swap(Some(kept), guard),
        |place, kept, guard| _ = place.next.compare_exchange(None, Some(kept), guard),
        |place, kept, _| place.next.set(Some(kept.to_gc())),
    ];
    let _alone = alone();
    let place = node(None);
    for way in ways.iter().cycle().take(40) {
        let cycle = {
            let guard = pin();
            let kept = alloc_node(&guard, Some(alloc_node(&guard, None)));
            let cycle = thread::spawn(collect);
            // Long enough for the marker to pass the place, and to wait for the pin.
            thread::sleep(Duration::from_millis(4));
            way(&place, kept, &guard);
            cycle
        };
        cycle.join().unwrap();
        let stored = place.next.take().expect("just stored");
        let next = stored.next.get().expect("stored before");
        assert_eq!([&stored, &next].map(|node| drops_of(node.leaf.check())), [0, 0]);
    }
    assert_eq!(corrupt_drops(), 0);
}

/// A node that is made in a pinned scope.
fn alloc_node<'g>(guard: &'g Guard, next: Option<Local<'_, Node>>) -> Local<'g, Node> {
    let new = Node { leaf: Leaf::new(new_id()), next: None.into(), more: vec![].into(), skipped: None };
    let local = guard.alloc(new);
    local.next.store(next, guard);
    local
}

/// A thread with a pin and a name, until told to end.
struct Holder {
    end: mpsc::Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl Holder {
    fn begin(name: &str) -> Holder {
        let (end, may_end) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let body = move || {
            let _guard = pin();
            tell.send(()).unwrap();
            may_end.recv().unwrap();
        };
        let thread = thread::Builder::new().name(name.into()).spawn(body).unwrap();
        told.recv().unwrap();
        Holder { end, thread }
    }

    fn end(self) {
        self.end.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

static WARNED: Mutex<Vec<(Option<String>, Duration)>> = Mutex::new(Vec::new());

/// The hook of the test below: it may use the collector, and fail.
fn warn(pin: &graphgc::HeldPin) {
    WARNED.lock().unwrap().push((pin.thread.clone(), pin.age));
    assert_eq!(collect().outcome, Outcome::Requested);
    let _kept = node(None);
    assert!(catch_unwind(verify).is_err(), "the collector waits for this hook");
    if pin.thread.as_deref() == Some("second") {
        panic!("this panic is expected: the collector survives a hook's panic");
    }
}

#[test]
fn a_pin_that_holds_a_cycle_up_is_named() {
    process::alone("a_pin_that_holds_a_cycle_up_is_named", &[], || {
        let patience = Duration::from_millis(100);
        let config = graphgc::Config::new().patience(patience).pin_warning(patience).pin_warning_hook(warn);
        config.install().unwrap();
        let (knot, ids) = knot();
        assert!(stats().oldest_pin.is_none());
        let holder = Holder::begin("first");
        drop(knot);
        let Outcome::Blocked(by) = collect().outcome else { panic!("the pin holds the cycle up") };
        assert_eq!(by.thread.as_deref(), Some("first"));
        assert!(by.age >= patience);
        let seen = stats();
        assert_eq!((seen.open_pins, seen.oldest_pin.unwrap().thread.as_deref()), (1, Some("first")));
        assert!(ids.iter().all(|id| drops_of(*id) == 0));
        let warnings = || WARNED.lock().unwrap().len();
        process::wait_until("the first pin has been warned of", || warnings() == 1);
        let second = Holder::begin("second");
        holder.end();
        process::wait_until(
            "the first cycle ends and the second pin holds the next up",
            || matches!(collect().outcome, Outcome::Blocked(by) if by.thread.as_deref() == Some("second")),
        );
        process::wait_until("the second pin has been warned of", || warnings() == 2);
        second.end();
        settle();
        assert!(ids.iter().all(|id| drops_of(*id) == 1));
        let warned = mem::take(&mut *WARNED.lock().unwrap());
        let names: Vec<_> = warned.iter().map(|(name, _)| name.as_deref().unwrap()).collect();
        assert_eq!(names, ["first", "second"], "once for each");
        assert!(warned.iter().all(|(_, age)| *age >= patience));
        assert_eq!((stats().open_pins, stats().oldest_pin), (0, None));
    });
}

#[test]
fn a_warning_goes_to_standard_error_by_default() {
    let name = "a_warning_goes_to_standard_error_by_default";
    if !process::is_child() {
        let output = process::run_test_alone(name, &[("GRAPHGC_PIN_WARNING", "0.05"), ("GRAPHGC_PATIENCE", "0.2")]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert_eq!(said.matches("thread `forgetful` has held a pin for").count(), 1, "{said}");
        return;
    }
    drop(node(None));
    let holder = Holder::begin("forgetful");
    assert!(matches!(collect().outcome, Outcome::Blocked(_)));
    holder.end();
}

/// The warning is lost, but no panic is made of that.
#[test]
fn a_warning_that_nobody_hears_does_no_harm() {
    let name = "a_warning_that_nobody_hears_does_no_harm";
    if !process::is_child() {
        let variables = [("GRAPHGC_PIN_WARNING", "0.05"), ("GRAPHGC_PATIENCE", "0.2")];
        let status = process::run_test_unheard(name, &variables, Duration::from_secs(60));
        return assert!(status.is_some_and(|status| status.success()), "{status:?}");
    }
    std::panic::set_hook(Box::new(|_| std::process::abort()));
    assert!(writeln!(std::io::stderr(), "to nobody").is_err());
    drop(node(None));
    let holder = Holder::begin("unheard");
    assert!(matches!(collect().outcome, Outcome::Blocked(_)));
    holder.end();
}

/// Memory cannot be freed, so it grows; but nobody waits.
#[test]
fn a_pin_stops_no_thread() {
    process::alone("a_pin_stops_no_thread", &[("GRAPHGC_MIN_HEAP", "1M"), ("GRAPHGC_GROWTH", "10")], || {
        let begun = Instant::now();
        let holder = Holder::begin("holder");
        let workers: Vec<_> = (0..3)
            .map(|_| {
                thread::spawn(|| {
                    let mut all = Vec::new();
                    for _ in 0..100_000 {
                        all.push(node(None));
                        let guard = pin();
                        all[all.len() / 2].next.store(Some(all[0].local(&guard)), &guard);
                    }
                    all.iter().for_each(|node| assert_eq!(drops_of(node.leaf.check()), 0));
                })
            })
            .collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        holder.end();
        settle();
        assert_eq!(stats().live_objects, 0);
    });
}

#[test]
fn a_leaked_guard_pins_for_ever_and_is_safe() {
    process::alone("a_leaked_guard_pins_for_ever_and_is_safe", &[("GRAPHGC_PATIENCE", "0.1")], || {
        let (knot, ids) = knot();
        let leak = move || {
            let guard: &'static Guard = Box::leak(Box::new(pin()));
            let local: Local<'static, Node> = knot.local(guard);
            drop(knot);
            (local.leaf.check(), ids)
        };
        let name = "leaky";
        let leaked = thread::Builder::new().name(name.into()).spawn(leak).unwrap().join().unwrap();
        assert_eq!(leaked.0, leaked.1[0]);
        for _ in 0..2 {
            let Outcome::Blocked(by) = collect().outcome else { panic!("pinned for ever") };
            assert_eq!(by.thread.as_deref(), Some(name));
        }
        assert!(leaked.1.iter().all(|id| drops_of(*id) == 0));
        mem::forget(pin());
        assert_eq!(collect().outcome, Outcome::Requested);
        assert_eq!(stats().open_pins, 2);
        // The program goes on.
        let more: Vec<_> = (0..10_000).map(|_| node(None)).collect();
        assert!(more.iter().all(|node| drops_of(node.leaf.check()) == 0));
    });
}

/// Pins in destructors of thread-locals, whether the thread's own part of the epochs is still there or not.
#[test]
fn destructors_of_thread_locals_may_pin() {
    struct Farewell(Gc<Node>, RefCell<Option<Guard>>, Arc<AtomicU64>);
    impl Drop for Farewell {
        fn drop(&mut self) {
            let guard = pin();
            let two = self.0.next.load(&guard).unwrap();
            let three = guard.alloc(GcCell::new(Some(two.to_gc())));
            assert_eq!(collect().outcome, Outcome::Requested);
            assert!(Local::ptr_eq(three.load(&guard).unwrap(), two));
            two.leaf.check();
            drop(self.1.take());
            self.2.fetch_add(1, SeqCst);
        }
    }
    thread_local! {
        static EARLY: RefCell<Option<Farewell>> = const { RefCell::new(None) };
        static LATE: RefCell<Option<Farewell>> = const { RefCell::new(None) };
    }
    let _alone = alone();
    let ended = Arc::new(AtomicU64::new(0));
    let before = stats().open_pins;
    for _ in 0..20 {
        let ended = ended.clone();
        let body = move || {
            EARLY.set(Some(Farewell(knot().0, RefCell::new(None), ended.clone())));
            let guard = pin();
            LATE.set(Some(Farewell(knot().0, RefCell::new(Some(pin())), ended)));
            EARLY.with_borrow(|it| *it.as_ref().unwrap().1.borrow_mut() = Some(guard));
        };
        thread::spawn(body).join().unwrap();
    }
    process::wait_until("all destructors have run", || ended.load(SeqCst) == 40);
    assert_eq!(stats().open_pins, before);
    settle();
    assert_eq!(corrupt_drops(), 0);
}

/// Guards that are made while a thread's data is being destroyed keep what older ones keep, as everywhere: what is reached by way of an object that only an
/// older one holds, too.
#[test]
fn nested_guards_in_destructors_of_thread_locals() {
    struct Farewell(Option<Gc<Node>>, mpsc::Sender<(u64, u8)>, [u32; 3]);
    impl Drop for Farewell {
        fn drop(&mut self) {
            let knot = self.0.take().unwrap();
            let first = pin();
            let one = knot.local(&first);
            drop(knot);
            // Nothing is found in this cycle, which waits for `first` only, as it is older than R.
            begin_marking();
            let cycles = stats().cycles;
            let soon = || thread::sleep(Duration::from_millis(20));
            soon();
            let second = pin();
            let two = Local::get(one).next.load(&second).unwrap();
            drop(first);
            soon();
            let third = pin();
            let three = Local::get(two).next.load(&third).unwrap();
            drop(second);
            soon();
            let fourth = pin();
            let four = Local::get(three).next.load(&fourth).unwrap();
            drop(third);
            soon();
            let ended = stats().cycles - cycles;
            let dropped = self.2.iter().map(|id| drops_of(*id)).sum();
            if dropped == 0 {
                four.leaf.check();
            }
            self.1.send((ended, dropped)).unwrap();
        }
    }
    thread_local! {
        static EARLY: RefCell<Option<Farewell>> = const { RefCell::new(None) };
    }
    process::alone("nested_guards_in_destructors_of_thread_locals", &[], || {
        let (sender, receiver) = mpsc::channel();
        let (knot, ids) = knot();
        let body = move || {
            EARLY.set(Some(Farewell(Some(knot), sender, ids)));
            drop(pin());
        };
        thread::spawn(body).join().unwrap();
        assert_eq!(receiver.recv().unwrap(), (0, 0), "cycles that have ended, and objects that were dropped");
        settle();
        assert!(ids.iter().all(|id| drops_of(*id) == 1));
    });
}

/// Two threads move nodes between two cells with nothing but compare and exchange; no node is lost or doubled.
#[test]
fn compare_exchange_moves_each_node_once() {
    const NODES: usize = 200;
    const TURNS: usize = 50_000;
    let _alone = alone();
    let stacks: [GcCell<Option<Gc<Node>>>; 2] = Default::default();
    let stacks = Gc::new(stacks);
    let push = |stack: &GcCell<Option<Gc<Node>>>, node: Local<'_, Node>, guard: &Guard| {
        let mut top = stack.load(guard);
        loop {
            node.next.store(top, guard);
            match stack.compare_exchange(top, Some(node), guard) {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    };
    let ids: Vec<_> = (0..NODES)
        .map(|_| {
            let guard = pin();
            let node = alloc_node(&guard, None);
            push(&stacks[0], node, &guard);
            node.leaf.check()
        })
        .collect();
    let begin = Barrier::new(3);
    thread::scope(|scope| {
        for from in 0..2 {
            let (stacks, begin) = (&stacks, &begin);
            scope.spawn(move || {
                begin.wait();
                for _ in 0..TURNS {
                    let guard = pin();
                    let mut top = stacks[from].load(&guard);
                    while let Some(node) = top {
                        match stacks[from].compare_exchange(top, node.next.load(&guard), &guard) {
                            Ok(_) => {
                                // A node goes in once only, else a stale `top` could be right again.
                                let copy = guard.alloc(Node {
                                    leaf: Leaf::new(new_id()),
                                    next: None.into(),
                                    more: vec![node.to_gc()].into(),
                                    skipped: None,
                                });
                                push(&stacks[1 - from], copy, &guard);
                                copy.more.lock().clear();
                                break;
                            }
                            Err(now) => top = now,
                        }
                    }
                }
            });
        }
        begin.wait();
        for _ in 0..20 {
            collect();
        }
    });
    let guard = pin();
    let mut count = 0;
    for stack in stacks.iter() {
        let mut top = stack.load(&guard);
        while let Some(node) = top {
            assert_eq!(drops_of(node.leaf.check()), 0);
            count += 1;
            top = node.next.load(&guard);
        }
    }
    assert_eq!(count, NODES);
    drop(guard);
    drop(stacks);
    settle();
    assert!(ids.iter().all(|id| drops_of(*id) == 1));
    assert_eq!(corrupt_drops(), 0);
}

#[test]
fn methods_of_the_content_are_not_hidden() {
    #[derive(Trace)]
    struct Content;
    impl Content {
        fn get(&self) -> u8 {
            1
        }
        fn ptr_eq(&self, _other: &Content) -> u8 {
            2
        }
        fn as_ptr(&self) -> u8 {
            3
        }
    }
    let guard = pin();
    let local = guard.alloc(Content);
    assert_eq!((local.get(), local.ptr_eq(&local), local.as_ptr()), (1, 2, 3));
    assert!(std::ptr::eq(Local::get(local), Local::as_ptr(local)) && Local::ptr_eq(local, local));
}

/// Threads add to a list by updates of its first edge; each node is there once.
#[test]
fn updates_are_lost_by_nobody() {
    #[derive(Trace)]
    struct Link {
        number: u32,
        next: GcCell<Option<Gc<Link>>>,
    }
    let _alone = alone();
    let list: Gc<GcCell<Option<Gc<Link>>>> = Gc::new(GcCell::default());
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let list = &list;
            scope.spawn(move || {
                for number in 0..2000 {
                    let guard = pin();
                    let link = guard.alloc(Link { number: thread * 2000 + number, next: GcCell::default() });
                    let update = |first| {
                        link.next.store(first, &guard);
                        Some(Some(link))
                    };
                    assert!(list.fetch_update(&guard, update).is_ok());
                }
            });
        }
        collect();
    });
    let guard = pin();
    let mut numbers = Vec::new();
    while let Ok(link) = list.fetch_update(&guard, |first| Some(first?.next.load(&guard))) {
        numbers.push(link.expect("it was there").number);
    }
    assert!(list.load(&guard).is_none());
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..6000));
}

/// What a cell is made of outlives the pin by the cell alone, in the heap and outside.
#[test]
fn cells_made_from_locals_keep_what_they_lead_to() {
    let _alone = alone();
    let ids = [(); 3].map(|()| new_id());
    let (inside, outside) = {
        let guard = pin();
        let [one, two, three] = ids.map(|id| guard.alloc(Leaf::new(id)));
        drop(GcCell::<Option<Gc<Leaf>>>::from_local(None));
        drop(GcCell::<Gc<Leaf>>::from_local(three));
        (guard.alloc(GcCell::<Gc<Leaf>>::from_local(one)).to_gc(), GcCell::<Option<Gc<Leaf>>>::from_local(Some(two)))
    };
    settle();
    assert_eq!((inside.get().check(), outside.get().unwrap().check()), (ids[0], ids[1]));
    assert_eq!(drops_of(ids[2]), 1);
    drop((inside, outside));
    settle();
    assert_eq!(ids.map(drops_of), [1; 3]);
}
