//! Weak handles, objects that know themselves, ephemerons and weak maps in the wrong hands: used while they are made, while they are dropped and finalized, by code that
//! a map calls in the middle of its work, and forgotten.

use crate::{Node, check, finalizers::finalize_all, node, ring};
use graphgc::{Ephemeron, Finalize, Gc, GcCell, GcMutex, Trace, Weak, WeakMap, collect};
use graphgc_tests::{
    panics::{panic_quietly, panics_quietly},
    payload::Leaf,
    sound::{Prey, assert_alive, attack},
};
use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

/// Knows itself, and others that know it.
#[derive(Trace)]
struct Knot {
    leaf: Leaf,
    me: Weak<Knot>,
    friend: Option<Gc<Knot>>,
}

fn knot(prey: &Prey, me: &Weak<Knot>, friend: Option<Gc<Knot>>) -> Knot {
    Knot { leaf: prey.leaf(), me: me.clone(), friend }
}

/// Hopes to see the object before there is one: by its handle, from other threads, from an object that refers to it, in collections.
#[test]
fn upgraded_before_it_exists() {
    attack(|prey| {
        let made = Gc::new_cyclic(|me: &Weak<Knot>| {
            assert!(me.upgrade().is_none());
            let friend = Gc::new(knot(prey, me, None));
            thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| assert!(me.clone().upgrade().is_none()));
                }
                collect();
                assert!(friend.me.upgrade().is_none());
            });
            knot(prey, me, Some(friend))
        });
        let friend = made.friend.clone().unwrap();
        assert!(Gc::ptr_eq(&made.me.upgrade().unwrap(), &made) && Gc::ptr_eq(&friend.me.upgrade().unwrap(), &made));
        drop(made);
        collect();
        assert!(friend.me.upgrade().is_none());
    });
}

/// Hopes that handles to what is never made lead somewhere: a constructor that panics, one inside another, one whose handle is kept.
#[test]
fn handles_to_what_is_never_made() {
    attack(|prey| {
        let kept = GcMutex::new(Vec::new());
        panics_quietly(|| {
            drop(Gc::new_cyclic(|outer: &Weak<Knot>| {
                kept.lock().push(outer.clone());
                let inner = Gc::new_cyclic(|inner: &Weak<Knot>| {
                    kept.lock().push(inner.clone());
                    knot(prey, outer, None)
                });
                let whole = kept.lock()[1].upgrade().expect("the inner one exists");
                assert!(Gc::ptr_eq(&whole, &inner) && whole.me.upgrade().is_none());
                panic_quietly::<Knot>()
            }));
        });
        let others: Vec<_> = (0..50).map(|_| Gc::new_cyclic(|me| knot(prey, me, None))).collect();
        let kept = kept.into_inner();
        collect();
        assert!(kept[0].upgrade().is_none(), "another object lies where this one was to be");
        assert!(others.iter().all(|other| !kept.contains(&other.me)));
        others.iter().for_each(|other| assert_alive(&other.leaf));
    });
}

/// A leaf whose drop asks for its own object and for others that die with it.
#[derive(Trace)]
#[trace(leaf)]
struct Asks {
    about: Weak<Asking>,
    found: Arc<AtomicUsize>,
}

#[derive(Trace)]
struct Asking {
    leaf: Leaf,
    asks: Asks,
    next: GcCell<Option<Gc<Asking>>>,
}

impl Drop for Asks {
    fn drop(&mut self) {
        let copy = self.about.clone();
        self.found.fetch_add(usize::from(copy.upgrade().is_some()), SeqCst);
        mem::forget(copy);
    }
}

/// Hopes to bring back what is being dropped, or its neighbours.
#[test]
fn upgraded_while_it_is_dropped() {
    attack(|prey| {
        let found = Arc::new(AtomicUsize::new(0));
        for _ in 0..40 {
            let asking = |about: &Weak<Asking>| {
                let asks = Asks { about: about.clone(), found: found.clone() };
                Asking { leaf: prey.leaf(), asks, next: GcCell::new(None) }
            };
            let one = Gc::new_cyclic(asking);
            let other = Gc::new(asking(&Gc::downgrade(&one)));
            one.next.set(Some(other.clone()));
            other.next.set(Some(one));
        }
        collect();
        collect();
        assert_eq!(found.load(SeqCst), 0, "dropped objects come back");
    });
}

/// Its finalizer upgrades all it knows, and hides what it gets.
#[derive(Trace)]
#[trace(finalize)]
struct Grabs {
    leaf: Leaf,
    known: Vec<Weak<Node>>,
    me: Weak<Grabs>,
    hidden: Arc<GcMutex<Vec<Gc<Node>>>>,
    strong: Gc<Node>,
}

impl Finalize for Grabs {
    fn finalize(&self) {
        assert_alive(&self.leaf);
        assert!(self.me.upgrade().is_none(), "cleared before the finalizer runs");
        check(&self.strong);
        self.hidden.lock().extend(self.known.iter().filter_map(Weak::upgrade));
    }
}

/// Hopes that a finalizer gets something by a weak handle that the sweep takes.
#[test]
fn upgraded_by_finalizers() {
    attack(|prey| {
        let (hidden, alive) = (Arc::new(GcMutex::new(Vec::new())), ring(prey));
        let mut lost = Vec::new();
        for _ in 0..20 {
            let (dying, behind) = (ring(prey), node(prey));
            let known = [&alive, &dying, &behind].map(Gc::downgrade).to_vec();
            lost.push(behind.leaf.check());
            drop(Gc::new_cyclic(|me| Grabs {
                leaf: prey.leaf(),
                known,
                me: me.clone(),
                hidden: hidden.clone(),
                strong: behind,
            }));
        }
        finalize_all();
        let taken = mem::take(&mut *hidden.lock());
        collect();
        taken.iter().for_each(check);
        assert_eq!(taken.iter().filter(|node| Gc::ptr_eq(node, &alive)).count(), 20);
        // The rings may have been found later. What only the finalizable ones lead to has been found with them.
        assert!(taken.iter().all(|node| !lost.contains(&node.leaf.check())));
    });
}

/// Hopes to confuse a map that is asked for the same key while it makes the value, with collections, panics and changes of the map in between.
#[test]
fn a_map_used_by_what_makes_its_values() {
    attack(|prey| {
        let map: WeakMap<Node, Node> = WeakMap::new();
        let keys: Vec<_> = (0..12).map(|_| node(prey)).collect();
        for (number, key) in keys.iter().enumerate() {
            panics_quietly(|| {
                map.get_or_insert_with(key, || {
                    drop(map.insert(&keys[0], node(prey)));
                    panic_quietly()
                });
            });
            assert!(number == 0 || !map.contains_key(key));
            let value = map.get_or_insert_with(key, || {
                collect();
                let inner = map.get_or_insert_with(key, || ring(prey));
                inner.edge.set(Some(key.clone()));
                if number % 3 == 0 {
                    map.clear();
                }
                node(prey)
            });
            check(&value);
            assert!(map.get(key).is_some_and(|there| Gc::ptr_eq(&there, &value)));
        }
        drop(keys);
        collect();
        for (key, value) in map.entries() {
            check(&key);
            check(&value);
        }
    });
}

/// Hopes that a chain of ephemerons, each of whose values is the next one's key, comes apart at a handle that is taken out of it while its end is let go, and
/// that forgotten ones keep more than they are said to.
#[test]
fn ephemerons_cut_and_forgotten() {
    attack(|prey| {
        let nodes: Vec<_> = (0..30).map(|_| node(prey)).collect();
        let notes: Vec<_> = nodes.windows(2).map(|pair| Ephemeron::new(&pair[0], pair[1].clone())).collect();
        let weak: Vec<_> = nodes.iter().map(Gc::downgrade).collect();
        let first = nodes[0].clone();
        drop(nodes);
        collect();
        weak.iter().for_each(|weak| check(&weak.upgrade().expect("held through the chain")));
        let middle = notes[14].value().expect("held through the chain");
        drop(first);
        collect();
        collect();
        assert!(weak[..15].iter().all(|weak| weak.upgrade().is_none()), "kept without its key");
        weak[15..].iter().for_each(|weak| check(&weak.upgrade().expect("held by the one in the middle")));
        check(&middle);
        // The rest of the chain hangs on its key still.
        notes.into_iter().for_each(mem::forget);
        drop(middle);
        collect();
        collect();
        assert!(weak.iter().all(|weak| weak.upgrade().is_none()));
    });
}
