//! Weak handles: what they give and when they give nothing.

use graphgc::{Gc, GcCell, GcMutex, GcRefCell, LocalWeak, Trace, Weak, collect, pin, stats, verify};
use graphgc_tests::{
    heap::{alone, settle},
    panics::panics_quietly,
    payload::{Leaf, corrupt_drops, drops_of, new_id},
};
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

#[derive(Trace)]
struct Node {
    leaf: Leaf,
    parent: GcCell<Weak<Node>>,
    children: GcMutex<Vec<Gc<Node>>>,
}

fn node() -> Gc<Node> {
    Gc::new(Node { leaf: Leaf::new(new_id()), parent: GcCell::default(), children: GcMutex::default() })
}

#[test]
fn upgrade_gives_the_object_until_it_is_found_dead() {
    let _alone = alone();
    let strong = node();
    let id = strong.leaf.check();
    let weak = Gc::downgrade(&strong);
    settle();
    assert!(Gc::ptr_eq(&weak.upgrade().unwrap(), &strong));
    drop(strong);
    settle();
    assert!(weak.upgrade().is_none());
    assert_eq!(drops_of(id), 1);
    let other = weak.clone();
    drop(weak);
    assert!(other.upgrade().is_none());
}

#[test]
fn upgraded_handles_keep() {
    let _alone = alone();
    let strong = node();
    let id = strong.leaf.check();
    let weak = Gc::downgrade(&strong);
    let upgraded = weak.upgrade().unwrap();
    drop(strong);
    settle();
    assert_eq!((upgraded.leaf.check(), drops_of(id)), (id, 0));
    drop(upgraded);
    settle();
    assert_eq!(drops_of(id), 1);
}

#[test]
fn a_weak_handle_in_a_cycle_does_not_keep_it() {
    let _alone = alone();
    let (root, child) = (node(), node());
    child.parent.set(Gc::downgrade(&root));
    root.children.lock().push(child.clone());
    settle();
    assert!(Gc::ptr_eq(&child.parent.get().upgrade().unwrap(), &root));
    let ids = [root.leaf.check(), child.leaf.check()];
    drop(root);
    settle();
    assert_eq!(ids.map(drops_of), [1, 0]);
    assert!(child.parent.get().upgrade().is_none());
}

#[test]
fn a_handle_to_nothing() {
    let _alone = alone();
    let nothing = Weak::<Node>::new();
    assert!(nothing.upgrade().is_none() && nothing.clone().upgrade().is_none());
    assert!(nothing == Weak::default() && nothing.ptr_eq(&Weak::new()));
    assert!(nothing != Gc::downgrade(&node()));
    assert_eq!(format!("{nothing:?}"), "(Weak)");
    let held = Gc::new(nothing);
    assert!(held.upgrade().is_none());
}

#[test]
fn one_link_for_all_weak_handles_to_an_object() {
    let _alone = alone();
    settle();
    let before = stats().live_objects;
    let strong = node();
    let weak: Vec<_> = (0..100).map(|_| Gc::downgrade(&strong)).collect();
    // Until then what threads have bought counts as used.
    settle();
    assert_eq!(stats().live_objects - before, 2);
    assert!(weak.iter().all(|it| *it == weak[0]));
    drop(weak);
    settle();
    let again = Gc::downgrade(&strong);
    assert!(Gc::ptr_eq(&again.upgrade().unwrap(), &strong));
    drop((again, strong));
    settle();
    settle();
    assert_eq!(stats().live_objects, before, "the link goes with the cycle after");
}

#[test]
fn keys_of_maps_by_identity() {
    let _alone = alone();
    let nodes: Vec<_> = (0..100).map(|_| node()).collect();
    let map: HashMap<Weak<Node>, usize> = nodes.iter().map(Gc::downgrade).zip(0..).collect();
    assert!(nodes.iter().enumerate().all(|(index, node)| map[&Gc::downgrade(node)] == index));
    let keys: Vec<_> = map.keys().cloned().collect();
    drop(nodes);
    settle();
    assert!(keys.iter().all(|key| map.contains_key(key) && key.upgrade().is_none()));
    assert_eq!(keys.iter().collect::<HashSet<_>>().len(), 100);
}

#[test]
fn cells_of_weak_handles() {
    let _alone = alone();
    let (one, two) = (Gc::new(1), Gc::new(2));
    let cell = Gc::new(GcCell::new(Weak::new()));
    assert!(cell.get().upgrade().is_none());
    cell.set(Gc::downgrade(&one));
    assert_eq!(*cell.replace(Gc::downgrade(&two)).upgrade().unwrap(), 1);
    settle();
    assert_eq!(*cell.get().upgrade().unwrap(), 2);
    assert!(cell.replace_if(&Weak::new(), Gc::downgrade(&one)).is_err());
    assert!(cell.replace_if(&Gc::downgrade(&two), Weak::new()).unwrap() == Gc::downgrade(&two));
    assert!(cell.take() == Weak::new());
}

#[test]
fn cells_of_optional_weak_handles_tell_none_from_nothing() {
    let _alone = alone();
    let one = Gc::new(1);
    let cell = Gc::new(GcCell::new(None));
    assert!(cell.get().is_none());
    cell.set(Some(Weak::new()));
    settle();
    assert_eq!(cell.get(), Some(Weak::new()));
    assert_eq!(cell.replace_if(&None, None), Err(None));
    assert_eq!(cell.replace_if(&Some(Weak::new()), Some(Gc::downgrade(&one))), Ok(Some(Weak::new())));
    let guard = pin();
    assert_eq!(*cell.load(&guard).unwrap().upgrade(&guard).unwrap(), 1);
    assert_eq!(cell.swap(Some(LocalWeak::new()), &guard).unwrap().to_weak(), Gc::downgrade(&one));
    assert_eq!(cell.load(&guard), Some(LocalWeak::new()));
    cell.store(None, &guard);
    assert!(cell.load(&guard).is_none() && cell.take().is_none());
}

#[test]
fn pinned_upgrades_last_as_long_as_the_pin() {
    let _alone = alone();
    let strong = node();
    let id = strong.leaf.check();
    let cell = GcCell::new(Gc::downgrade(&strong));
    let guard = pin();
    let local = cell.load(&guard).upgrade(&guard).unwrap();
    drop(strong);
    collect();
    assert_eq!((local.leaf.check(), drops_of(id)), (id, 0));
    drop(guard);
    settle();
    let guard = pin();
    assert!(cell.load(&guard).upgrade(&guard).is_none());
    assert_eq!(drops_of(id), 1);
}

#[derive(Trace)]
struct Knowing {
    leaf: Leaf,
    me: Weak<Knowing>,
}

#[test]
fn cyclic_objects_know_themselves() {
    let _alone = alone();
    let early = Mutex::new(None);
    let knowing = Gc::new_cyclic(|me| {
        assert!(me.upgrade().is_none());
        collect();
        *early.lock().unwrap() = Some(me.clone());
        Knowing { leaf: Leaf::new(new_id()), me: me.clone() }
    });
    let id = knowing.leaf.check();
    settle();
    assert!(Gc::ptr_eq(&knowing.me.upgrade().unwrap(), &knowing));
    assert!(knowing.me == Gc::downgrade(&knowing));
    let outside = early.into_inner().unwrap().unwrap();
    assert!(Gc::ptr_eq(&outside.upgrade().unwrap(), &knowing));
    drop(knowing);
    settle();
    assert!(outside.upgrade().is_none());
    assert_eq!(drops_of(id), 1);
}

#[test]
fn a_cyclic_object_that_is_never_made() {
    let _alone = alone();
    let mut kept = Weak::new();
    assert!(panics_quietly(|| Gc::<Knowing>::new_cyclic(|me| {
        kept = me.clone();
        graphgc_tests::panics::panic_quietly()
    })));
    settle();
    assert!(kept.upgrade().is_none() && kept != Weak::new());
    assert!(verify().is_empty());
}

/// Threads upgrade, downgrade and let go while one collects without end. Whatever an upgrade gives is alive, and what a thread holds can be upgraded.
#[test]
fn upgrades_beside_a_collector() {
    const SLOTS: usize = 64;
    const LOST: u64 = 10 * SLOTS as u64;
    let _alone = alone();
    let weak: Vec<_> = (0..SLOTS).map(|_| Mutex::new(Weak::<Node>::new())).collect();
    let end = Instant::now() + Duration::from_secs(120);
    let (ended, found, lost) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        let workers: Vec<_> = (0..3usize)
            .map(|worker| {
                let (weak, found, lost) = (&weak, &found, &lost);
                scope.spawn(move || {
                    let mut random = graphgc_tests::random::Random::new(worker as u64);
                    let mut held = HashMap::new();
                    while lost.load(SeqCst) < LOST && Instant::now() < end {
                        let slot = random.below(SLOTS);
                        let there = weak[slot].lock().unwrap().clone();
                        match there.upgrade() {
                            Some(it) => {
                                it.leaf.check();
                                found.fetch_add(1, SeqCst);
                                if random.below(2) == 0 {
                                    held.insert(slot, (it, there));
                                }
                            }
                            None => {
                                lost.fetch_add(1, SeqCst);
                                let new = node();
                                *weak[slot].lock().unwrap() = Gc::downgrade(&new);
                                held.insert(slot, (new.clone(), Gc::downgrade(&new)));
                            }
                        }
                        if let Some((strong, weak)) = held.remove(&random.below(SLOTS)) {
                            assert!(Gc::ptr_eq(&weak.upgrade().expect("it is held"), &strong));
                        }
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !ended.load(SeqCst) {
                collect();
            }
        });
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        ended.store(true, SeqCst);
    });
    assert!(found.into_inner() > 0 && lost.into_inner() >= LOST, "it has not been tried");
    settle();
    assert!(weak.iter().all(|it| it.lock().unwrap().upgrade().is_none()));
    assert_eq!(corrupt_drops(), 0);
    assert_eq!(verify(), []);
}

/// Millions of objects with weak handles to their parents go as others do.
#[test]
fn many_links() {
    const NODES: usize = 200_000;
    let _alone = alone();
    // Links go a cycle after their targets.
    settle();
    settle();
    let before = stats().live_objects;
    let root = node();
    let children: Vec<_> = (0..NODES)
        .map(|index| {
            let child = node();
            child.parent.set(Gc::downgrade(if index % 2 == 0 { &root } else { &child }));
            child
        })
        .collect();
    root.children.lock().extend(children);
    settle();
    assert_eq!(stats().live_objects - before, 1 + NODES as u64 + 1 + NODES as u64 / 2);
    assert!(root.children.lock().iter().all(|child| child.parent.get().upgrade().is_some()));
    drop(root);
    settle();
    settle();
    assert_eq!(stats().live_objects, before);
}

#[test]
fn one_word() {
    assert_eq!(size_of::<Weak<Node>>(), size_of::<usize>());
    assert_eq!(size_of::<Option<Weak<Node>>>(), size_of::<usize>());
    assert_eq!(size_of::<GcCell<Weak<Node>>>(), size_of::<usize>());
    assert_eq!(size_of::<GcCell<Option<Weak<Node>>>>(), size_of::<usize>());
}

#[test]
fn not_sent_unless_the_target_may_be() {
    let _alone = alone();
    fn sent<T: Send + Sync>() {}
    sent::<Weak<Node>>();
    // `GcRefCell` is not `Sync`: `tests/ui/weak_send.rs`.
    let local = Gc::new(GcRefCell::new(1));
    assert_eq!(*Gc::downgrade(&local).upgrade().unwrap().borrow(), 1);
}
