//! Pins that end out of order, midway or never.

use crate::{Node, check, node, ring};
use graphgc::{Gc, GcCell, GcRwLock, Guard, Local, Outcome, collect, pin, verify};
use graphgc_tests::{
    panics::{panic_quietly, panics_quietly},
    payload::{Leaf, corrupt_drops},
    process::alone,
    sound::{Prey, assert_alive, attack},
};
use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    mem,
    rc::Rc,
    task::{Context, Poll, Waker},
    thread,
};

fn with(leaf: Leaf, edge: Option<Gc<Node>>) -> Node {
    Node { leaf, edge: GcCell::new(edge), list: GcRwLock::default() }
}

/// A node that leads to a ring.
fn owner(prey: &Prey) -> Gc<Node> {
    Gc::new(with(prey.leaf(), Some(ring(prey))))
}

/// Fails unless the node is alive, and what it leads to.
#[track_caller]
fn follow(node: Local<'_, Node>, guard: &Guard) {
    assert_alive(&node.leaf);
    if let Some(next) = node.edge.load(guard) {
        assert_alive(&next.leaf);
    }
}

/// Hopes that a scope ends with the one around it, or that one is made young under the other's feet.
#[test]
fn scopes_that_end_out_of_order() {
    attack(|prey| {
        let owner = owner(prey);
        let mut outer = pin();
        let inner = pin();
        let held = owner.edge.load(&inner).unwrap();
        owner.edge.set(None);
        drop(owner);
        outer.repin();
        prey.disturb();
        follow(held, &inner);
        let mut third = pin();
        drop(mem::replace(&mut outer, pin()));
        mem::swap(&mut outer, &mut third);
        drop(outer);
        third.repin();
        prey.disturb();
        follow(held, &inner);
        drop(third);
        prey.disturb();
        follow(held, &inner);
        let kept = held.to_gc();
        drop(inner);
        prey.disturb();
        check(&kept);
    });
}

/// Hopes that what a pin keeps goes while a future sleeps with it, whether the future ends or is dropped midway.
#[test]
fn pins_across_an_await() {
    async fn pause() {
        let mut paused = false;
        poll_fn(|_| if mem::replace(&mut paused, true) { Poll::Ready(()) } else { Poll::Pending }).await;
    }
    attack(|prey| {
        for ends in [true, false] {
            let (owner, other) = (owner(prey), node(prey));
            let (target, mortal) = (other.clone(), prey.clone());
            let mut future = std::pin::pin!(async move {
                let guard = pin();
                let held = owner.edge.swap(None, &guard).unwrap();
                let fresh = guard.alloc(with(mortal.leaf(), Some(held.to_gc())));
                drop(owner);
                pause().await;
                follow(fresh, &guard);
                target.edge.store(Some(held), &guard);
                pause().await;
                follow(held, &guard);
            });
            let mut context = Context::from_waker(Waker::noop());
            assert!(future.as_mut().poll(&mut context).is_pending());
            prey.disturb();
            if ends {
                assert!(future.as_mut().poll(&mut context).is_pending());
                prey.disturb();
                assert!(future.as_mut().poll(&mut context).is_ready());
            }
            prey.disturb();
            check(&other);
        }
    });
}

/// Hopes that a panic in a scope, or in the function that changes an edge there, leaves the thread pinned, or an edge counted once too often.
#[test]
fn scopes_that_end_in_panics() {
    attack(|prey| {
        let (one, other) = (owner(prey), owner(prey));
        assert!(panics_quietly(|| {
            let guard = pin();
            let held = one.edge.swap(None, &guard);
            other.edge.store(held, &guard);
            one.edge.store(Some(guard.alloc(with(prey.leaf(), None))), &guard);
            guard.alloc((held.map(Local::to_gc), panic_quietly::<u8>()));
        }));
        prey.disturb();
        check(&one);
        check(&other);
        for calls in 0..3 {
            assert!(panics_quietly(|| {
                let (guard, mut left) = (pin(), calls);
                _ = other.edge.fetch_update(&guard, |edge| {
                    // Changes what it is asked to change, so that it is asked again.
                    one.edge.store(edge, &guard);
                    other.edge.set(Some(ring(prey)));
                    collect();
                    left = if left == 0 { panic_quietly() } else { left - 1 };
                    Some(edge)
                });
            }));
            prey.disturb();
            check(&one);
            check(&other);
        }
        assert_ne!(collect().outcome, Outcome::Requested, "the thread is pinned no more");
    });
}

/// Leaks a pin by one of several means. What it leads to stays for ever, for its own thread.
fn leak(means: usize, owner: Gc<Node>) -> Local<'static, Node> {
    struct Knot(RefCell<Option<Rc<Knot>>>, Guard);
    let guard: &'static Guard = match means {
        0 => Box::leak(Box::new(pin())),
        1 => {
            let knot = Rc::new(Knot(RefCell::new(None), pin()));
            *knot.0.borrow_mut() = Some(knot.clone());
            let leaked: &'static Knot = Box::leak(Box::new(knot.clone()));
            &leaked.1
        }
        _ => {
            mem::forget(pin());
            Box::leak(vec![pin()].into_boxed_slice()).first().unwrap()
        }
    };
    let held = owner.edge.load(guard).unwrap();
    owner.edge.set(None);
    held.edge.store(Some(guard.alloc(with(Prey::default().leaf(), Some(owner)))), guard);
    held
}

/// Hopes that the collector loses patience with pins that never end, or that the program cannot go on beside them.
#[test]
fn pins_leaked_by_every_means() {
    const SETTINGS: [(&str, &str); 3] =
        [("GRAPHGC_PATIENCE", "0.02"), ("GRAPHGC_MIN_HEAP", "64K"), ("GRAPHGC_CHECKMARK", "1")];
    alone("pins::pins_leaked_by_every_means", &SETTINGS, || {
        let prey = Prey::default();
        // Some cycles without any pin, so that the leaked ones begin at all times.
        for means in 0..3 {
            (0..3).for_each(|_| prey.disturb());
            let prey = prey.clone();
            let leaking = thread::spawn(move || {
                let held = leak(means, owner(&prey));
                prey.disturb();
                assert_alive(&held.leaf);
            });
            leaking.join().unwrap();
        }
        let held = [0, 1, 2].map(|means| leak(means, owner(&prey)));
        for _ in 0..20 {
            prey.disturb();
            let guard = pin();
            for node in held {
                follow(node, &guard);
                let fresh = guard.alloc(with(prey.leaf(), node.edge.swap(None, &guard).map(Local::to_gc)));
                node.edge.store(Some(fresh), &guard);
            }
            check(&held[0].to_gc());
            assert_eq!(collect().outcome, Outcome::Requested);
        }
        let other = thread::spawn(|| collect().outcome).join().unwrap();
        assert!(matches!(other, Outcome::Blocked(_)), "{other:?}");
        assert_eq!((verify(), corrupt_drops()), (vec![], 0));
    });
}
