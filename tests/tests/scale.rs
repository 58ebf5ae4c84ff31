//! Graphs of ten million nodes: marked, swept and dropped without recursion from node to node, whatever the stack of the thread that lets go of
//! them.

use graphgc::{Gc, GcCell, GcRefCell, Outcome, Trace, collect, stats};
use graphgc_tests::heap::alone;
use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    thread,
};

const NODES: u64 = 10_000_000;
/// A stack that no walk over a long list by recursion would fit on, but any single operation.
const SMALL_STACK: usize = 128 << 10;

/// One link of a list: the one before is all it knows.
#[derive(Trace)]
struct Link {
    number: u64,
    next: Option<Gc<Link>>,
}

/// A link that can be closed to a ring.
#[derive(Trace)]
struct Ring {
    number: u64,
    next: GcCell<Option<Gc<Ring>>>,
}

fn list(nodes: u64) -> Gc<Link> {
    let tail = Gc::new(Link { number: 0, next: None });
    (1..nodes).fold(tail, |next, number| Gc::new(Link { number, next: Some(next) }))
}

fn ring(nodes: u64) -> Gc<Ring> {
    let tail = Gc::new(Ring { number: 0, next: GcCell::new(None) });
    let first = tail.clone();
    let head = (1..nodes).fold(tail, |next, number| Gc::new(Ring { number, next: GcCell::new(Some(next)) }));
    first.next.set(Some(head.clone()));
    head
}

/// Collects, and says how many objects exist beside `base`.
#[track_caller]
fn live_beside(base: u64) -> u64 {
    assert_eq!(collect().outcome, Outcome::Settled);
    stats().live_objects - base
}

#[track_caller]
fn base() -> u64 {
    collect();
    stats().live_objects
}

/// Runs on a thread with a small stack.
fn on_small_stack<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> R {
    let thread = thread::Builder::new().stack_size(SMALL_STACK).spawn(body).expect("a thread can be started");
    thread.join().expect("the thread with a small stack ended well")
}

#[test]
fn list_is_kept_whole_and_dropped_whole() {
    let _alone = alone();
    let base = base();
    let head = list(NODES);
    assert_eq!(live_beside(base), NODES, "held by its head");
    let mut here = &head;
    let mut seen = 1;
    while let Some(next) = &here.next {
        assert_eq!(next.number + 1, here.number);
        here = next;
        seen += 1;
    }
    assert_eq!(seen, NODES);
    on_small_stack(move || drop(head));
    assert_eq!(live_beside(base), 0);
}

#[test]
fn ring_is_kept_whole_and_dropped_whole() {
    let _alone = alone();
    let base = base();
    let head = ring(NODES);
    assert_eq!(live_beside(base), NODES, "held by its head");
    let mut here = head.clone();
    for _ in 0..NODES {
        here = here.next.get().expect("a ring has no end");
    }
    assert!(Gc::ptr_eq(&here, &head));
    drop(here);
    on_small_stack(move || drop(head));
    assert_eq!(live_beside(base), 0);
}

#[test]
fn list_is_built_dropped_and_collected_on_a_small_stack() {
    let _alone = alone();
    let base = base();
    on_small_stack(|| {
        drop(list(1_000_000));
        drop(ring(1_000_000));
        collect();
    });
    assert_eq!(live_beside(base), 0);
}

static DROPPED: AtomicUsize = AtomicUsize::new(0);

#[derive(Trace)]
#[trace(leaf)]
struct Counted;

impl Drop for Counted {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, SeqCst);
    }
}

/// Content that is counted when its owner dies, and a user's drop: whatever drops this must not follow the handle.
#[derive(Trace)]
struct Owner {
    _counted: Counted,
    next: GcRefCell<Option<Gc<Owner>>>,
}

#[test]
fn list_with_drops_goes_without_recursion() {
    const OWNERS: usize = 500_000;
    let _alone = alone();
    let base = base();
    let build = || {
        let mut head = Gc::new(Owner { _counted: Counted, next: GcRefCell::new(None) });
        for _ in 1..OWNERS {
            let next = Gc::new(Owner { _counted: Counted, next: GcRefCell::new(None) });
            // Opened for writing, so counted until the next cycle.
            *next.next.borrow_mut() = Some(head);
            head = next;
        }
        head
    };
    let head = build();
    assert_eq!(live_beside(base), OWNERS as u64);
    assert_eq!(DROPPED.load(SeqCst), 0);
    drop(head);
    assert_eq!(live_beside(base), 0);
    assert_eq!(DROPPED.load(SeqCst), OWNERS);
    drop(build());
    assert_eq!(live_beside(base), 0);
    assert_eq!(DROPPED.load(SeqCst), 2 * OWNERS);
}
