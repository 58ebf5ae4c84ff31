//! A thread that has allocated much under a pin waits for the collector when the pin is gone.

use graphgc::{
    Gc, Guard, Trace, pin, stats,
    testing::{MarkingHeld, is_marking},
};
use graphgc_tests::{
    heap::{begin_marking, settle},
    process,
};
use std::{
    cell::RefCell,
    mem,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// A thread that is pinned and far beyond the limit does not wait for itself.
#[test]
fn a_pinned_thread_allocates_without_waiting() {
    process::alone("a_pinned_thread_allocates_without_waiting", &[("GRAPHGC_MIN_HEAP", "1M")], || {
        let guard = pin();
        let begun = Instant::now();
        for _ in 0..200_000 {
            guard.alloc([0u64; 30]);
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        drop(guard);
        settle();
        assert_eq!(stats().live_objects, 0);
    });
}

/// It waits when it is pinned no longer: when its last guard is dropped, or pinned anew.
#[test]
fn a_thread_that_was_pinned_waits_for_the_collector() {
    process::alone("a_thread_that_was_pinned_waits_for_the_collector", &[("GRAPHGC_MIN_HEAP", "1M")], || {
        let heap = Overgrown::new();
        waits("a guard is dropped", |guard, _| drop(guard));
        waits("a guard is pinned anew", |mut guard, waited| {
            guard.repin();
            assert_eq!(stats().open_pins, 1);
            let after = waited();
            drop(guard);
            assert_eq!(waited(), after, "it owes nothing any more");
        });
        drop(heap);
        settle();
        assert_eq!((stats().live_objects, stats().open_pins), (0, 0));
    });
}

/// A cycle that marks and does not end, and a heap far beyond the limit: whoever buys memory has nothing to mark and should wait.
struct Overgrown {
    _large: Gc<[u64]>,
    _held: MarkingHeld,
}

impl Overgrown {
    fn new() -> Self {
        let held = MarkingHeld::new();
        begin_marking();
        Overgrown { _large: large(), _held: held }
    }
}

/// More than the heap may grow by when it is the only object.
fn large() -> Gc<[u64]> {
    Gc::from(vec![0; 2 << 20])
}

/// Allocates under two guards, and has the last one `end`: no wait before that, and one then. Tried a few times, since the worker may have made progress in
/// between.
fn waits(when: &str, end: impl Fn(Guard, &dyn Fn() -> Duration)) {
    let waited = || stats().assist_time;
    for turn in 0..100 {
        let before = waited();
        let (mut last, mut first) = (pin(), pin());
        if turn % 2 == 1 {
            mem::swap(&mut last, &mut first);
        }
        allocate_under(&first);
        first.repin();
        drop(first);
        assert_eq!(waited(), before, "a thread that is pinned does not wait");
        end(last, &waited);
        if waited() - before > Duration::from_millis(1) {
            return;
        }
    }
    panic!("nobody has waited when {when}");
}

/// So much that the thread buys memory.
fn allocate_under(guard: &Guard) {
    for _ in 0..1000 {
        guard.alloc([0u64; 30]);
    }
}

/// While it waits it is really not pinned: a cycle that waits for nothing but its pin ends meanwhile.
#[test]
fn what_waits_for_a_pin_goes_on_while_its_thread_waits() {
    process::alone("what_waits_for_a_pin_goes_on_while_its_thread_waits", &[("GRAPHGC_MIN_HEAP", "1M")], || {
        goes_on_while_waiting("a guard is dropped", |guard, has_ended| {
            drop(guard);
            has_ended()
        });
        goes_on_while_waiting("a guard is pinned anew", |mut guard, has_ended| {
            guard.repin();
            has_ended()
        });
    });
}

fn goes_on_while_waiting(when: &str, look_after: impl Fn(Guard, &dyn Fn() -> bool) -> bool) {
    let mut ended = 0;
    for _ in 0..100 {
        settle();
        let guard = pin();
        begin_marking();
        drop(large());
        // R is past: the marker has had time for the few roots there are.
        thread::sleep(Duration::from_millis(5));
        assert!(is_marking());
        let before = stats().cycles;
        // It is swept still, or over, and the next one may be marking.
        let has_ended = || !is_marking() || stats().cycles > before;
        ended += u32::from(look_after(guard, &has_ended));
        if ended == 10 {
            return;
        }
    }
    panic!("only {ended} of 100 cycles have ended when {when}");
}

/// So does who runs a `Drop` for the collector, which does not wait for that: it could make objects for ever.
#[test]
fn a_drop_that_allocates_waits_for_the_collector() {
    #[derive(Trace)]
    #[trace(leaf)]
    struct Fruitful(Arc<Mutex<Option<Duration>>>);
    impl Drop for Fruitful {
        fn drop(&mut self) {
            let heap = Overgrown::new();
            let before = stats().assist_time;
            for _ in 0..1000 {
                drop(Gc::new([0u64; 30]));
            }
            drop(heap);
            *self.0.lock().unwrap() = Some(stats().assist_time - before);
        }
    }
    process::alone("a_drop_that_allocates_waits_for_the_collector", &[("GRAPHGC_MIN_HEAP", "1M")], || {
        let waited = Arc::new(Mutex::new(None));
        drop(Gc::new(Fruitful(waited.clone())));
        settle();
        let waited = waited.lock().unwrap().expect("it was dropped");
        assert!(waited > Duration::from_millis(1), "{waited:?}");
    });
}

/// In destructors of thread-locals, whatever is left of the thread's data: guards are closed and pinned anew, the thread may wait, and what it has of its
/// own goes to another.
#[test]
fn a_thread_that_ends_may_owe_a_wait() {
    struct Farewell(Option<Guard>);
    impl Drop for Farewell {
        fn drop(&mut self) {
            for _ in 0..10 {
                let mut guard = pin();
                allocate_under(&guard);
                guard.repin();
                allocate_under(&guard);
                drop(self.0.take());
                guard.repin();
                allocate_under(&guard);
            }
        }
    }
    thread_local! {
        static EARLY: RefCell<Option<Farewell>> = const { RefCell::new(None) };
        static LATE: RefCell<Option<Farewell>> = const { RefCell::new(None) };
    }
    process::alone("a_thread_that_ends_may_owe_a_wait", &[("GRAPHGC_MIN_HEAP", "1M")], || {
        let heap = Overgrown::new();
        let before = stats().assist_time;
        for _ in 0..10 {
            let body = || {
                EARLY.set(Some(Farewell(None)));
                let guard = pin();
                LATE.set(Some(Farewell(Some(pin()))));
                allocate_under(&guard);
                EARLY.with_borrow_mut(|it| it.as_mut().unwrap().0 = Some(guard));
            };
            thread::spawn(body).join().unwrap();
        }
        process::wait_until("all guards are closed", || stats().open_pins == 0);
        let waited = stats().assist_time - before;
        // `EARLY` alone closes last guards, or pins them anew: 29 times in each thread, at most 4 ms each.
        assert!(waited > Duration::from_millis(100), "{waited:?}");
        drop(heap);
        settle();
        assert_eq!(stats().live_objects, 0);
    });
}
