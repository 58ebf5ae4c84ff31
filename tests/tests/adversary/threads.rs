//! The same from several threads at once: scoped ones, channels, races for the last handle, equality and hashing around cycles.

use crate::{Node, check, check_all, node, ring};
use graphgc::{Gc, GcCell, GcMutex, GcRwLock, Trace, collect};
use graphgc_tests::{
    panics::panic_quietly,
    payload::Leaf,
    sound::{attack, attack_once},
};
use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    mem,
    sync::{Barrier, mpsc},
    thread,
};

/// Hopes that threads that borrow the owner's handle outlive it, or that one dies in a panic with a count that nobody gives back.
#[test]
fn scoped_threads_share_one_handle() {
    attack(|prey| {
        let hub = node(prey);
        hub.list.write().extend([ring(prey), ring(prey)]);
        let stolen = thread::scope(|scope| {
            let threads: Vec<_> = (0..3)
                .map(|number| {
                    let hub = &hub;
                    scope.spawn(move || {
                        let mut stolen = Vec::new();
                        for turn in 0..40 {
                            hub.edge.set(Some(ring(prey)));
                            stolen.extend(hub.edge.take());
                            let mut list = hub.list.write();
                            let other = mem::replace(&mut list[turn % 2], ring(prey));
                            drop(list);
                            stolen.push(other);
                            stolen.truncate(6);
                            check_all(&*hub.list.read());
                        }
                        if number == 0 {
                            let _guard = hub.list.write();
                            let _handles = stolen.clone();
                            panic_quietly::<()>();
                        }
                        stolen
                    })
                })
                .collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect::<Vec<_>>()
        });
        drop(hub);
        prey.disturb();
        assert_eq!(stolen.len(), 2);
        stolen.iter().for_each(check_all);
    });
}

/// Hopes that handles in flight in a channel belong to nobody, or stay when both ends are gone.
#[test]
fn handles_in_flight() {
    attack(|prey| {
        let (send, receive) = mpsc::channel::<Gc<Node>>();
        let (back, returned) = mpsc::sync_channel::<Box<dyn FnOnce() -> Gc<Node> + Send>>(100);
        thread::scope(|scope| {
            scope.spawn(move || {
                for node in receive.iter().take(15) {
                    let inner = node.edge.take().unwrap();
                    back.send(Box::new(move || inner)).unwrap();
                }
                // The rest stays in the channel and goes with it.
            });
            for _ in 0..20 {
                let _ = send.send(ring(prey));
            }
        });
        prey.disturb();
        let results: Vec<_> = returned.iter().map(|call| call()).collect();
        assert_eq!(results.len(), 15);
        check_all(&results);
    });
}

/// Hopes that two threads that make and lose the last handle at once leave an object that nobody has logged.
#[test]
fn the_last_handle_in_a_race() {
    attack(|prey| {
        let cell = Gc::new(GcCell::new(Some(ring(prey))));
        let start = Barrier::new(3);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..300 {
                        // From claimed to counted and back, the count passing through 0 all the time.
                        if let Some(node) = cell.take() {
                            check(&node);
                            let second = node.clone();
                            drop(node);
                            check(&second);
                            drop(cell.replace(Some(second)));
                        }
                        cell.get().iter().for_each(check);
                    }
                });
            }
            start.wait();
            for _ in 0..20 {
                collect();
            }
        });
        assert!(cell.get().is_none_or(|node| node.edge.get().is_some()));
    });
}

/// Compared and hashed by what it leads to, as far as the first few steps.
#[derive(Trace)]
struct Around {
    leaf: Leaf,
    number: u32,
    next: GcRwLock<Option<Gc<Around>>>,
}

impl Around {
    fn numbers(&self) -> Vec<u32> {
        let mut numbers = vec![self.number];
        let mut here = self.next.read().clone();
        while let Some(node) = here.take_if(|_| numbers.len() < 10) {
            collect();
            node.leaf.check();
            numbers.push(node.number);
            here = node.next.read().clone();
        }
        numbers
    }
}

impl PartialEq for Around {
    fn eq(&self, other: &Self) -> bool {
        self.numbers() == other.numbers()
    }
}

impl Eq for Around {}

impl Hash for Around {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.numbers().hash(state);
    }
}

/// Hopes that comparing and hashing handles around a cycle, collections in between, follows one that is gone.
#[test]
fn equality_and_hashing_around_cycles() {
    attack(|prey| {
        let cycle = |length: u32| {
            let nodes: Vec<_> = (0..length)
                .map(|number| Gc::new(Around { leaf: prey.leaf(), number: number % 2, next: None.into() }))
                .collect();
            for (number, node) in nodes.iter().enumerate() {
                *node.next.write() = Some(nodes[(number + 1) % nodes.len()].clone());
            }
            nodes[0].clone()
        };
        let hash = |node: &Gc<Around>| {
            let mut hasher = DefaultHasher::new();
            node.hash(&mut hasher);
            hasher.finish()
        };
        let (two, four, three) = (cycle(2), cycle(4), cycle(3));
        assert!(two == four && two != three && hash(&two) == hash(&four));
        let set: HashSet<_> = [two.clone(), four, three.clone()].into();
        let owner = Gc::new((GcMutex::new(set), prey.leaf()));
        drop(three);
        prey.disturb();
        assert_eq!(owner.0.lock().len(), 2);
        assert!(owner.0.lock().remove(&two));
        let left = owner.0.lock().drain().next().unwrap();
        drop(owner);
        prey.disturb();
        assert_eq!(left.numbers(), [0, 1, 0, 0, 1, 0, 0, 1, 0, 0]);
    });
}

/// Hopes that threads that come, lock, open, leak and go at random find a moment that nobody thought of.
#[test]
fn everything_at_once() {
    attack_once(|prey| {
        let shared: Vec<Gc<Node>> = (0..8).map(|_| node(prey)).collect();
        thread::scope(|scope| {
            for seed in 0..4 {
                let shared = &shared;
                scope.spawn(move || {
                    let mut random = graphgc_tests::random::Random::of_run(seed);
                    let mut own = Vec::new();
                    for _ in 0..3000 {
                        let (one, other) = (&shared[random.below(8)], &shared[random.below(8)]);
                        match random.below(8) {
                            0 => one.edge.set(Some(other.clone())),
                            1 => own.extend(one.edge.take()),
                            2 => one.list.write().push(other.clone()),
                            3 => own.extend(one.list.write().pop()),
                            4 => own.extend(mem::take(&mut *one.list.write())),
                            5 => one.edge.set(Some(ring(prey))),
                            6 => one.list.write().extend(own.drain(..)),
                            _ => check(one),
                        }
                        if own.len() > 50 {
                            check_all(&own);
                            own.clear();
                        }
                    }
                });
            }
        });
        check_all(&shared);
    });
}
