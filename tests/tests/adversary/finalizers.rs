//! Finalizers: code of the attacker's that gets hold of objects that nobody can reach.

use crate::{Node, check, check_all, node, ring};
use graphgc::{Finalize, Gc, GcCell, GcMutex, GcRefCell, LocalFinalize, Trace, collect, run_finalizers, stats};
use graphgc_tests::{
    panics::panic_quietly,
    payload::Leaf,
    sound::{Prey, attack, settle},
};
use std::{
    cell::RefCell,
    mem,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

type Deed = fn(&Ghost);

/// Does something when it is finalized.
#[derive(Trace)]
#[trace(finalize)]
struct Ghost {
    leaf: Leaf,
    myself: GcCell<Option<Gc<Ghost>>>,
    friends: GcMutex<Vec<Gc<Ghost>>>,
    ring: Gc<Node>,
    #[trace(leaf)]
    deed: Deed,
    /// Where the attack that made it finds what it brings back.
    grave: Arc<Mutex<Vec<Gc<Ghost>>>>,
}

impl Finalize for Ghost {
    fn finalize(&self) {
        self.leaf.check();
        check(&self.ring);
        (self.deed)(self);
    }
}

fn ghost(prey: &Prey, grave: &Arc<Mutex<Vec<Gc<Ghost>>>>, deed: Deed) -> Gc<Ghost> {
    let (ring, grave) = (ring(prey), Arc::clone(grave));
    let ghost = Gc::new(Ghost { leaf: prey.leaf(), myself: None.into(), friends: vec![].into(), ring, deed, grave });
    ghost.myself.set(Some(ghost.clone()));
    ghost
}

fn rise(ghost: &Ghost) {
    ghost.grave.lock().unwrap().extend(ghost.myself.get());
}

/// Collects until the finalizers are done, and what they have let go of is gone.
pub(crate) fn finalize_all() {
    loop {
        let before = stats().finalizers_run;
        settle();
        while stats().finalizers_pending > 0 {
            thread::sleep(Duration::from_millis(1));
        }
        if stats().finalizers_run == before {
            return;
        }
    }
}

/// Hopes that what comes back misses a part: that of another ghost, which was finalized before and emptied, or what only the other led to.
#[test]
fn ghosts_that_empty_each_other() {
    attack(|prey| {
        let grave = Arc::default();
        let ghosts: Vec<_> = (0..20)
            .map(|_| {
                ghost(prey, &grave, |ghost| {
                    // One of them is the ghost itself: its lock must be free.
                    let friends = mem::take(&mut *ghost.friends.lock());
                    for friend in friends {
                        check(&friend.ring);
                        friend.friends.lock().clear();
                        rise(&friend);
                    }
                })
            })
            .collect();
        for one in &ghosts {
            one.friends.lock().extend(ghosts.iter().cloned());
        }
        drop(ghosts);
        finalize_all();
        let risen = mem::take(&mut *grave.lock().unwrap());
        assert!(!risen.is_empty());
        collect();
        for ghost in &risen {
            ghost.leaf.check();
            check(&ghost.ring);
        }
        drop(risen);
        finalize_all();
    });
}

/// Hopes that a guard that a finalizer forgets on what is about to go leaves content that nobody counts.
#[test]
fn a_finalizer_that_forgets_a_guard() {
    attack(|prey| {
        let grave = Arc::default();
        let friend = ghost(prey, &grave, |_| ());
        let haunted = ghost(prey, &grave, |ghost| {
            rise(ghost);
            // What is in there is rooted until the owner goes.
            mem::forget(ghost.friends.lock());
            panic_quietly::<()>();
        });
        haunted.friends.lock().push(friend);
        drop(haunted);
        finalize_all();
        let risen = mem::take(&mut *grave.lock().unwrap());
        assert_eq!(risen.len(), 1);
        collect();
        assert!(risen[0].friends.try_lock().is_none(), "the guard was forgotten");
        check(&risen[0].ring);
        drop(risen);
        finalize_all();
    });
}

/// Hopes that two threads see one object in two states: one resurrects while another collects, allocates and drops what came back.
#[test]
fn ghosts_that_are_driven_out_at_once() {
    attack(|prey| {
        let grave: Arc<Mutex<Vec<Gc<Ghost>>>> = Arc::default();
        let met = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..30 {
                        drop(ghost(prey, &grave, rise));
                        collect();
                        for ghost in mem::take(&mut *grave.lock().unwrap()) {
                            ghost.leaf.check();
                            check_all([&ghost.ring, &Gc::clone(&ghost.ring)]);
                            met.fetch_add(1, SeqCst);
                        }
                    }
                });
            }
        });
        finalize_all();
        let rest = mem::take(&mut *grave.lock().unwrap());
        assert_eq!(met.into_inner() + rest.len(), 90, "each rises once");
        drop(rest);
        finalize_all();
    });
}

/// A finalizer of a thread's own.
#[derive(Trace)]
#[trace(local_finalize)]
struct Own {
    leaf: Leaf,
    node: Gc<Node>,
    myself: GcRefCell<Option<Gc<Own>>>,
}

thread_local! {
    static KEPT: RefCell<Vec<Gc<Own>>> = const { RefCell::new(Vec::new()) };
    static LAST: LastWill = const { LastWill(RefCell::new(None)) };
}

impl LocalFinalize for Own {
    fn finalize(&self) {
        self.leaf.check();
        check(&self.node);
        // The other finalizers of the thread, from within this one.
        run_finalizers();
        KEPT.with_borrow_mut(|kept| kept.extend(self.myself.borrow().clone()));
    }
}

fn own(prey: &Prey) -> Gc<Own> {
    let own = Gc::new(Own { leaf: prey.leaf(), node: node(prey), myself: None.into() });
    *own.myself.borrow_mut() = Some(own.clone());
    own
}

/// Makes objects with finalizers when the thread's queue is gone, and runs them.
struct LastWill(RefCell<Option<Prey>>);

impl Drop for LastWill {
    fn drop(&mut self) {
        if let Some(prey) = self.0.take() {
            drop(own(&prey));
            run_finalizers();
        }
    }
}

/// Hopes that a finalizer runs on a thread that is not the object's, or for one that is no more.
#[test]
fn local_finalizers_at_the_end_of_their_thread() {
    attack(|prey| {
        let before = stats().unfinalized;
        thread::scope(|scope| {
            let run = || {
                scope.spawn(|| {
                    // Its destructor comes after that of the queue, or before.
                    LAST.with(|last| *last.0.borrow_mut() = Some(prey.clone()));
                    (0..10).for_each(|_| drop(own(prey)));
                    settle();
                    assert!(run_finalizers() >= 1);
                    let kept = KEPT.take();
                    assert_eq!(kept.len(), 10, "each is finalized once");
                    collect();
                    for own in &kept {
                        own.leaf.check();
                        check(&own.node);
                    }
                    drop(kept);
                    (0..10).for_each(|_| drop(own(prey)));
                    settle();
                })
            };
            // Joined, since a scope does not wait for destructors of thread-locals.
            let threads = [run(), run(), run(), run()];
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
        settle();
        assert!(stats().unfinalized - before >= 40);
    });
}
