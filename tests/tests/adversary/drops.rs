//! `Drop` code of leaf fields, which the collector runs: it allocates, collects, locks, panics, starts threads, and recurses.

use crate::{Node, check, check_all, node_with, ring};
use graphgc::{Gc, GcCell, GcMutex, GcRefCell, Outcome, Trace, collect};
use graphgc_tests::{
    heap::garbage,
    panics::{panic_quietly, panics_quietly},
    payload::Leaf,
    process::{alone, is_child, run_test_alone},
    sound::{Prey, assert_sound, attack, settle, while_collecting},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
};

type Deed = Box<dyn FnOnce() + Send>;

/// A leaf that does something when it is dropped.
#[derive(Trace)]
#[trace(leaf)]
struct Doer(Option<Deed>);

impl Drop for Doer {
    fn drop(&mut self) {
        if let Some(deed) = self.0.take() {
            deed();
        }
    }
}

#[derive(Trace)]
struct Bomb {
    leaf: Leaf,
    friends: GcMutex<Vec<Gc<Node>>>,
    myself: GcCell<Option<Gc<Bomb>>>,
    /// Dropped last: what comes after a panic leaks.
    doer: Doer,
}

/// A dead cycle whose dropping runs `deed`.
fn plant(prey: &Prey, deed: impl FnOnce() + Send + 'static) {
    let doer = Doer(Some(Box::new(deed)));
    let friends = vec![ring(prey)].into();
    let bomb = Gc::new(Bomb { leaf: prey.leaf(), friends, myself: None.into(), doer });
    bomb.myself.set(Some(bomb.clone()));
    // Opened, so that its content is counted when it dies.
    drop(bomb.friends.lock());
}

/// Hopes that what a `Drop` allocates is swept with what it drops, or that allocating there goes in circles.
#[test]
fn drops_that_allocate() {
    attack(|prey| {
        let (send, receive) = mpsc::channel();
        for _ in 0..10 {
            let (send, leaf) = (send.clone(), prey.leaf());
            plant(prey, move || {
                let kept = node_with(leaf);
                for number in 0..2000u64 {
                    kept.edge.set(Some(Gc::new(crate::Node {
                        leaf: Leaf::new(graphgc_tests::payload::new_id()),
                        edge: kept.edge.get().into(),
                        list: vec![kept.clone()].into(),
                    })));
                    if number % 100 == 0 {
                        kept.edge.set(None);
                    }
                }
                // A large object, too.
                drop(Gc::new((kept.clone(), [0u64; 6000])));
                send.send(kept).unwrap();
            });
        }
        drop(send);
        settle();
        prey.disturb();
        let kept: Vec<_> = receive.iter().collect();
        assert_eq!(kept.len(), 10);
        check_all(&kept);
        kept.iter().for_each(|node| node.edge.set(None));
    });
}

/// Hopes that a `Drop` that collects waits for itself.
#[test]
fn drops_that_collect() {
    attack(|prey| {
        let (send, receive) = mpsc::channel();
        for _ in 0..20 {
            let send = send.clone();
            plant(prey, move || send.send(collect().outcome).unwrap());
        }
        drop(send);
        settle();
        let outcomes: Vec<_> = receive.iter().collect();
        assert_eq!(outcomes, vec![Outcome::Requested; 20]);
    });
}

/// Hopes that a `Drop` that takes locks meets the collector in one, or that what it links in there is dead already.
#[test]
fn drops_that_lock_and_link() {
    attack(|prey| {
        let hub = crate::node(prey);
        for number in 0..50 {
            let (hub, leaf) = (hub.clone(), prey.leaf());
            plant(prey, move || {
                let new = node_with(leaf);
                new.edge.set(hub.edge.replace(Some(new.clone())));
                let mut list = hub.list.write();
                list.push(new);
                if number % 7 == 0 {
                    list.remove(0);
                }
            });
        }
        while_collecting(|| {
            for _ in 0..50 {
                check(&hub);
                drop(hub.list.write().pop());
                drop(hub.edge.take());
            }
        });
        settle();
        check(&hub);
    });
}

/// Hopes that a panicking `Drop` ends the collector, or that the handles beside it are counted down twice.
#[test]
fn drops_that_panic() {
    attack(|prey| {
        let hub = crate::node(prey);
        for _ in 0..30 {
            let hub = hub.clone();
            plant(prey, move || {
                hub.edge.set(None);
                let _guard = hub.list.write();
                panic_quietly::<()>();
            });
        }
        settle();
        assert!(hub.list.try_write().is_some(), "given back on the way");
    });
}

/// Hopes that threads that a `Drop` starts outlive what they were given.
#[test]
fn drops_that_start_threads() {
    attack(|prey| {
        let (send, receive) = mpsc::channel();
        for _ in 0..10 {
            let (send, given, other) = (send.clone(), ring(prey), prey.leaf());
            plant(prey, move || {
                let inner = given.clone();
                let thread = thread::spawn(move || {
                    inner.list.write().push(node_with(other));
                    collect();
                    inner
                });
                drop(given);
                send.send(thread).unwrap();
            });
        }
        drop(send);
        // Not `settle`, which would wait for a drop that waits for nobody, but for the handles that the threads send.
        collect();
        for thread in receive {
            let inner = thread.join().unwrap();
            prey.disturb();
            check(&inner);
        }
    });
}

/// Hopes that garbage made by dropping garbage, seven links deep, is dropped twice or never.
#[test]
fn drops_that_make_more_garbage_with_drops() {
    fn generation(left: usize, count: Arc<AtomicUsize>) {
        if left > 0 {
            let next = count.clone();
            let deed: Deed = Box::new(move || (0..2).for_each(|_| generation(left - 1, next.clone())));
            Gc::new((Doer(Some(deed)), GcRefCell::new(Some(Gc::new(left)))));
        }
        count.fetch_add(1, SeqCst);
    }
    attack(|_| {
        let count = Arc::new(AtomicUsize::new(0));
        generation(7, count.clone());
        graphgc_tests::process::wait_until("all generations have come and gone", || {
            collect();
            count.load(SeqCst) == (1 << 8) - 1
        });
    });
}

/// Hopes that values built partly when a constructor panics are claimed, or lost.
#[test]
fn constructors_that_panic() {
    attack(|prey| {
        let kept = ring(prey);
        assert!(panics_quietly(|| Gc::new((ring(prey), kept.clone(), panic_quietly::<Gc<Node>>()))));
        assert!(panics_quietly(|| Gc::new(vec![ring(prey), kept.clone(), panic_quietly()])));
        assert!(panics_quietly(|| {
            let nodes = (0..9).map(|number| if number == 6 { panic_quietly() } else { kept.clone() });
            Gc::new(nodes.collect::<Vec<Gc<Node>>>())
        }));
        assert!(panics_quietly(|| {
            Gc::new(std::array::from_fn::<_, 9, _>(|number| if number == 6 { panic_quietly() } else { ring(prey) }))
        }));
        assert!(panics_quietly(|| kept.edge.set(Some(panic_quietly()))));
        assert!(panics_quietly(|| kept
            .list
            .write()
            .extend([Some(ring(prey)), None].map(|it| it.unwrap_or_else(panic_quietly)))));
        assert!(panics_quietly(|| GcCell::new(Gc::new((Gc::new((kept.clone(), ring(prey))), panic_quietly::<u8>())))));
        prey.disturb();
        check(&kept);
    });
}

/// A chain of one owner, dropped recursively.
#[derive(Trace)]
#[trace(leaf)]
struct Chain(#[expect(dead_code, reason = "dropped")] Leaf, Option<Box<Chain>>);

/// Hopes that the collector's stack is shorter than the program's.
#[test]
fn leaves_that_recurse_deeply() {
    let body = || {
        attack(|prey| {
            let mut chain = None;
            for _ in 0..5_000 {
                chain = Some(Box::new(Chain(prey.leaf(), chain)));
            }
            assert!(chain.as_ref().is_some_and(|it| it.1.is_some()));
            drop(Gc::new((chain, GcCell::new(Some(ring(prey))))));
        });
    };
    thread::Builder::new().stack_size(16 << 20).spawn(body).unwrap().join().unwrap();
}

/// A value of one owner that is traced recursively.
#[derive(Trace)]
struct Deep(Option<Box<Deep>>, Option<Gc<u8>>, Vec<Deep>);

/// Hopes that the collector walks down a deep value on the small stack of a thread that only helps with marking.
#[test]
fn deep_values_and_threads_with_small_stacks() {
    let build = || {
        attack(|prey| {
            let mut deep = Deep(None, Some(Gc::new(7)), vec![]);
            for number in 0..30_000 {
                let handle = Some(Gc::new(1));
                deep = if number % 2 == 0 {
                    Deep(Some(Box::new(deep)), handle, vec![])
                } else {
                    Deep(None, handle, vec![deep])
                };
            }
            let kept = Gc::new((GcMutex::new(deep), prey.leaf()));
            let alongside: Vec<_> = (0..20_000).map(|_| crate::node(prey)).collect();
            let innocent = || {
                for _ in 0..20_000 {
                    garbage([0u64; 30]);
                }
            };
            thread::scope(|scope| {
                for _ in 0..2 {
                    thread::Builder::new().stack_size(128 << 10).spawn_scoped(scope, innocent).unwrap();
                }
            });
            drop(alongside);
            assert!(kept.0.lock().0.is_some() || !kept.0.lock().2.is_empty());
        });
    };
    // Who builds such a thing has the stack for it.
    thread::Builder::new().stack_size(256 << 20).spawn(build).unwrap().join().unwrap();
}

/// Hopes that a drop that panics while another panic unwinds goes on with half-dropped content. Rust's rule is the end of the process.
#[test]
fn drops_that_panic_while_unwinding() {
    const TEST: &str = "drops::drops_that_panic_while_unwinding";
    if is_child() {
        let panics = || Doer(Some(Box::new(panic_quietly::<()>)));
        let owner = Gc::new(GcRefCell::new(vec![(panics(), Gc::new(1)), (panics(), Gc::new(2))]));
        drop(owner.borrow_mut());
        drop(owner);
        settle();
        panic!("the second panic was swallowed");
    }
    let output = run_test_alone(TEST, &[]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("panic in a destructor during cleanup"), "{error}");
    assert!(!error.contains("swallowed"), "{error}");
}

/// Hopes that, of a value that was never opened, the parts after a panic are dropped nevertheless, with handles to the dead among them.
#[test]
fn several_panics_in_one_dead_value() {
    alone("drops::several_panics_in_one_dead_value", &[], || {
        let panics = || Doer(Some(Box::new(panic_quietly::<()>)));
        let prey = Prey::default();
        for _ in 0..20 {
            let first = ring(&prey);
            let parts = vec![(panics(), Some(first.clone())), (panics(), None), (Doer(None), Some(first))];
            Gc::new((GcRefCell::new(parts), [panics(), panics()]));
        }
        assert_sound();
    });
}
