//! Weak handles: what they give and when they give nothing.

use graphgc::{Gc, GcCell, GcMutex, GcRefCell, GcRwLock, LocalWeak, Trace, Weak, collect, pin, stats, verify};
use graphgc_tests::{
    heap::{alone, settle},
    panics::panics_quietly,
    payload::{Leaf, corrupt_drops, drops_of, new_id},
};
use std::{
    any::Any,
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
                    let mut random = graphgc_tests::random::Random::of_run(worker as u64);
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

/// What weak handles without a size lead to: several types behind one trait.
trait Creature: Send + Sync {
    fn id(&self) -> u32;
}

#[derive(Trace)]
struct Mouse(Leaf);

/// Its payload does not follow its header.
#[derive(Trace)]
#[repr(align(128))]
struct Cat {
    leaf: Leaf,
    prey: GcCell<Option<Gc<Mouse>>>,
    others: GcRwLock<Vec<Weak<dyn Creature>>>,
}

impl Creature for Mouse {
    fn id(&self) -> u32 {
        self.0.check()
    }
}

impl Creature for Cat {
    fn id(&self) -> u32 {
        self.leaf.check()
    }
}

fn mouse() -> Gc<Mouse> {
    Gc::new(Mouse(Leaf::new(new_id())))
}

fn cat() -> Gc<Cat> {
    Gc::new(Cat { leaf: Leaf::new(new_id()), prey: None.into(), others: GcRwLock::default() })
}

#[test]
fn weak_trait_objects() {
    const WORD: usize = size_of::<usize>();
    assert_eq!((size_of::<Weak<dyn Creature>>(), size_of::<Option<Weak<dyn Creature>>>()), (2 * WORD, 2 * WORD));
    let _alone = alone();
    let (mouse, cat) = (mouse(), cat());
    let ids = [mouse.id(), cat.id()];
    let creatures = [mouse.clone().unsize::<dyn Creature>(|p| p), cat.unsize::<dyn Creature>(|p| p)];
    let weak = creatures.each_ref().map(Gc::downgrade);
    settle();
    for ((weak, strong), id) in weak.iter().zip(&creatures).zip(ids) {
        let upgraded = weak.upgrade().unwrap();
        assert!(Gc::ptr_eq(&upgraded, strong) && upgraded.id() == id);
        assert!(weak.ptr_eq(&Gc::downgrade(&upgraded)) && *weak == weak.clone());
    }
    assert_ne!(weak[0], weak[1]);
    drop(creatures);
    settle();
    assert_eq!(weak[0].upgrade().unwrap().id(), ids[0], "another handle, of another type, keeps it");
    assert!(weak[1].upgrade().is_none());
    assert_eq!(ids.map(drops_of), [0, 1]);
    drop(mouse);
    settle();
    assert!(weak[0].upgrade().is_none() && weak[0] == weak[0].clone());
    assert_eq!(verify(), []);
}

/// Objects that know each other by weak handles without a size in a lock-type cell, found dead at different times.
#[test]
fn weak_trait_objects_in_objects() {
    let _alone = alone();
    let cats: Vec<Gc<Cat>> = (0..200).map(|_| cat()).collect();
    for (n, one) in cats.iter().enumerate() {
        let others = cats.iter().skip(n % 7).step_by(7).map(|other| other.clone().unsize::<dyn Creature>(|p| p));
        one.others.write().extend(others.map(|other| Gc::downgrade(&other)));
        one.prey.set(Some(mouse()));
    }
    let ids: Vec<u32> = cats.iter().map(|cat| cat.id()).collect();
    let mut kept: Vec<Gc<Cat>> = cats.into_iter().step_by(2).collect();
    settle();
    for (n, cat) in kept.iter().enumerate().map(|(n, cat)| (2 * n, cat)) {
        let alive: Vec<u32> = cat.others.read().iter().filter_map(|other| Some(other.upgrade()?.id())).collect();
        let expected: Vec<u32> =
            ids.iter().enumerate().skip(n % 7).step_by(7).filter(|(n, _)| n % 2 == 0).map(|(_, id)| *id).collect();
        assert_eq!(alive, expected);
    }
    kept.truncate(1);
    settle();
    assert!(kept[0].others.read()[1..].iter().all(|other| other.upgrade().is_none()));
    assert_eq!(ids.iter().map(|id| usize::from(drops_of(*id))).sum::<usize>(), ids.len() - 1);
    assert_eq!((verify(), corrupt_drops()), (vec![], 0));
}

#[test]
fn weak_slices_and_strings() {
    let _alone = alone();
    let (text, numbers): (Gc<str>, Gc<[u64]>) = ("abc".into(), (0..5000).collect());
    let pages: Gc<[Gc<u64>]> = (0..100).map(Gc::new).collect();
    let weak = (Gc::downgrade(&text), Gc::downgrade(&numbers), Gc::downgrade(&pages));
    settle();
    assert_eq!(&*weak.0.upgrade().unwrap(), "abc");
    assert!(weak.1.upgrade().unwrap().iter().copied().eq(0..5000));
    assert!(weak.2.upgrade().unwrap().iter().map(|page| **page).eq(0..100));
    drop((text, numbers));
    settle();
    assert!(weak.0.upgrade().is_none() && weak.1.upgrade().is_none());
    assert_eq!(weak.2.upgrade().unwrap().len(), 100);
}

/// `dyn Any`, and a trait whose objects could not be traced as such: a weak handle needs that of its link only.
#[test]
fn weak_handles_to_what_is_no_trace_are_traced() {
    #[derive(Trace)]
    struct Holder {
        any: Weak<dyn Any>,
        shared: Weak<dyn Any + Send + Sync>,
        shown: Option<Weak<dyn std::fmt::Display>>,
    }
    let _alone = alone();
    let (any, shared) = (Gc::new(1_u8).unsize::<dyn Any>(|p| p), Gc::new(2_u8).unsize::<dyn Any + Send + Sync>(|p| p));
    let shown = Gc::new(3_u8).unsize::<dyn std::fmt::Display>(|p| p);
    let (any_weak, shared_weak, shown_weak) = (Gc::downgrade(&any), Gc::downgrade(&shared), Gc::downgrade(&shown));
    let holder = Gc::new(Holder { any: any_weak, shared: shared_weak, shown: Some(shown_weak) });
    settle();
    assert_eq!(*holder.any.upgrade().unwrap().downcast::<u8>().unwrap(), 1);
    assert_eq!(*holder.shared.upgrade().unwrap().downcast::<u8>().unwrap(), 2);
    assert_eq!(holder.shown.as_ref().unwrap().upgrade().unwrap().to_string(), "3");
    drop((any, shared, shown));
    settle();
    assert!(holder.any.upgrade().is_none() && holder.shared.upgrade().is_none());
    assert!(holder.shown.as_ref().unwrap().upgrade().is_none());
    assert_eq!(verify(), []);
}

/// Threads upgrade while their targets come and go.
#[test]
fn weak_trait_objects_are_upgraded_beside_a_collector() {
    let _alone = alone();
    let creatures: Mutex<Vec<Weak<dyn Creature>>> = Mutex::default();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(SeqCst) {
                    let seen: Vec<_> = creatures.lock().unwrap().clone();
                    seen.iter().filter_map(Weak::upgrade).for_each(|it| _ = it.id());
                }
            });
        }
        for n in 0..3000 {
            let new =
                if n % 2 == 0 { mouse().unsize::<dyn Creature>(|p| p) } else { cat().unsize::<dyn Creature>(|p| p) };
            let weak = Gc::downgrade(&new);
            let mut creatures = creatures.lock().unwrap();
            if creatures.len() < 50 {
                creatures.push(weak);
            } else {
                creatures[n % 50] = weak;
            }
            drop(creatures);
            if n % 100 == 0 {
                collect();
            }
        }
        over.store(true, SeqCst);
    });
    settle();
    assert!(creatures.into_inner().unwrap().iter().all(|weak| weak.upgrade().is_none()));
    assert_eq!((verify(), corrupt_drops()), (vec![], 0));
}
