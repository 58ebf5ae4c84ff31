//! Ephemerons and weak maps: a value stays exactly while its key is reachable from elsewhere and its ephemeron is, whatever leads to what.

use graphgc::{Ephemeron, Finalize, Gc, GcCell, GcMutex, Trace, Weak, WeakMap, collect, pin, stats, testing, verify};
use graphgc_tests::{
    heap::{alone, begin_marking, settle},
    payload::{Canary, Leaf, drops_of, new_id},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

/// A value, or a key that holds handles.
#[derive(Trace)]
struct Node {
    leaf: Leaf,
    next: GcCell<Option<Gc<Node>>>,
    notes: GcMutex<Vec<Ephemeron<Node, Node>>>,
}

fn node() -> (u32, Gc<Node>) {
    let id = new_id();
    (id, Gc::new(Node { leaf: Leaf::new(id), next: None.into(), notes: vec![].into() }))
}

#[track_caller]
fn assert_sound() {
    let violations = verify();
    assert!(violations.is_empty(), "{violations:?}");
}

#[test]
fn a_value_goes_with_its_key() {
    let _alone = alone();
    let ((key_id, key), (id, value)) = (node(), node());
    let note = Ephemeron::new(&key, value);
    settle();
    assert!(note.is_for(&key) && note.value().is_some());
    let (again, value) = note.upgrade().unwrap();
    assert!(Gc::ptr_eq(&again, &key) && Gc::ptr_eq(&note.key().unwrap(), &key));
    drop((key, again, value));
    assert_eq!((drops_of(key_id), drops_of(id)), (0, 0));
    settle();
    assert_eq!((drops_of(key_id), drops_of(id)), (1, 1));
    assert!(note.key().is_none() && note.value().is_none() && note.upgrade().is_none());
    assert_sound();
}

#[test]
fn a_value_goes_with_its_ephemeron() {
    let _alone = alone();
    let ((_, key), (id, value)) = (node(), node());
    let note = Ephemeron::new(&key, value);
    let clone = note.clone();
    assert!(Ephemeron::ptr_eq(&note, &clone));
    drop(note);
    settle();
    assert_eq!(drops_of(id), 0);
    drop(clone);
    settle();
    assert_eq!(drops_of(id), 1, "the key is there, the ephemeron is not");
    drop(key);
}

#[test]
fn a_value_that_leads_to_its_key_keeps_neither() {
    let _alone = alone();
    let ((key_id, key), (id, value)) = (node(), node());
    value.next.set(Some(key.clone()));
    let note = Ephemeron::new(&key, value);
    settle();
    assert_eq!(drops_of(id), 0);
    drop(key);
    settle();
    assert_eq!((drops_of(key_id), drops_of(id)), (1, 1));
    assert!(note.key().is_none());
}

#[test]
fn a_value_that_leads_to_its_ephemeron_keeps_neither() {
    let _alone = alone();
    let ((_, key), (id, value)) = (node(), node());
    value.notes.lock().push(Ephemeron::new(&key, value.clone()));
    drop(value);
    settle();
    assert_eq!(drops_of(id), 1, "the key alone does not keep an ephemeron that only its value leads to");
    drop(key);
}

#[test]
fn keys_without_handles_are_watched_too() {
    let _alone = alone();
    // The key comes late: it hangs on a list that is traced after the ephemeron.
    let (ids, notes): (Vec<_>, Vec<_>) = (0..1000)
        .map(|_| {
            let ((id, value), key) = (node(), Gc::new(Canary::new(new_id())));
            ((id, key.clone()), Ephemeron::new(&key, value))
        })
        .unzip();
    let (ids, keys): (Vec<_>, Vec<_>) = ids.into_iter().unzip();
    let tail = keys.into_iter().fold(None, |next: Option<Gc<Late>>, key| Some(Gc::new(Late { _key: key, next })));
    settle();
    assert!(ids.iter().all(|id| drops_of(*id) == 0));
    assert!(notes.iter().all(|note| note.upgrade().is_some_and(|(key, value)| {
        key.check();
        value.leaf.check();
        true
    })));
    drop(tail);
    settle();
    assert!(ids.iter().all(|id| drops_of(*id) == 1));
    assert!(notes.iter().all(|note| note.upgrade().is_none()));
    assert_sound();
}

#[derive(Trace)]
struct Late {
    _key: Gc<Canary>,
    next: Option<Gc<Late>>,
}

/// Each value is the next one's key. The ephemerons are held in the order that `arrange` gives them.
fn chain(
    length: usize,
    arrange: impl Fn(&mut [Ephemeron<Node, Node>]),
) -> (Gc<Node>, Vec<Ephemeron<Node, Node>>, Gc<Node>) {
    let first = node().1;
    let (mut key, mut notes) = (first.clone(), Vec::with_capacity(length));
    for _ in 0..length {
        let value = node().1;
        notes.push(Ephemeron::new(&key, value.clone()));
        key = value;
    }
    arrange(&mut notes);
    (first, notes, key)
}

/// Some order that is neither the one nor the other.
fn shuffle(notes: &mut [Ephemeron<Node, Node>]) {
    let length = notes.len();
    (0..length).for_each(|at| notes.swap(at, at * 7919 % length));
}

/// Steps among waiting ephemerons that two cycles take with a chain that is kept.
fn work(length: usize, arrange: impl Fn(&mut [Ephemeron<Node, Node>])) -> u64 {
    let (first, notes, last) = chain(length, arrange);
    let weak = Gc::downgrade(&last);
    drop(last);
    let list = Gc::new(notes);
    collect();
    let before = testing::ephemeron_work();
    collect();
    let work = testing::ephemeron_work() - before;
    assert!(weak.upgrade().is_some(), "every link is kept");
    assert!(list.iter().all(|note| note.key().is_some()));
    drop(first);
    settle();
    assert!(weak.upgrade().is_none() && list.iter().all(|note| note.key().is_none()));
    work
}

/// Of whole orders one is the best and one the worst, whichever end the marker begins at. A word that waits costs a step as it is put in and one for each time
/// that a word of its chain is taken.
#[test]
fn chains_in_any_order_cost_the_same_work_per_link() {
    let _alone = alone();
    const SHORT: usize = 2_000;
    const LONG: usize = 16 * SHORT;
    let all = |length| [work(length, |_| ()), work(length, <[_]>::reverse), work(length, shuffle)];
    let (short, long) = (all(SHORT), all(LONG));
    assert!(short.iter().any(|work| *work >= SHORT as u64), "{short:?}: the links do not wait for each other");
    assert!(long.iter().all(|work| *work <= 24 * LONG as u64), "{long:?} steps for {LONG} links");
}

#[test]
fn verify_follows_a_chain_in_the_worst_order() {
    let _alone = alone();
    let (_first, notes, last) = chain(50_000, <[_]>::reverse);
    drop(last);
    let list = Gc::new(notes);
    settle();
    let begun = Instant::now();
    assert_sound();
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert!(list.iter().all(|note| note.key().is_some()));
}

#[test]
fn many_ephemerons_of_one_key() {
    let _alone = alone();
    let key = node().1;
    let ids: Vec<_> = (0..5_000).map(|_| new_id()).collect();
    let notes = Gc::new(ids.iter().map(|id| Ephemeron::new(&key, Gc::new(Canary::new(*id)))).collect::<Vec<_>>());
    let holder = Gc::new(GcCell::new(Some(key)));
    settle();
    notes.iter().for_each(|note| _ = note.value().unwrap().check());
    holder.set(None);
    settle();
    assert!(notes.iter().all(|note| note.value().is_none()));
}

#[test]
fn born_while_marking() {
    let _alone = alone();
    let (_, old_key) = node();
    let weak_key = Gc::downgrade(&old_key);
    let held = testing::MarkingHeld::new();
    begin_marking();
    let notes: Vec<_> = (0..100).map(|_| Ephemeron::new(&old_key, Gc::new(Canary::new(new_id())))).collect();
    let fresh = node().1;
    let other = Ephemeron::new(&fresh, Gc::new(Canary::new(new_id())));
    drop(old_key);
    drop(held);
    let values: Vec<_> = notes.iter().filter_map(Ephemeron::value).collect();
    values.iter().for_each(|value| _ = value.check());
    other.value().unwrap().check();
    settle();
    assert!(weak_key.upgrade().is_none() && notes.iter().all(|note| note.value().is_none()));
    other.value().unwrap().check();
    assert_sound();
}

#[test]
fn a_key_brought_back_while_marking_keeps_its_value() {
    let _alone = alone();
    let ((key_id, key), (id, value)) = (node(), node());
    let note = Ephemeron::new(&key, value);
    let weak = Gc::downgrade(&key);
    settle();
    let held = testing::MarkingHeld::new();
    drop(key);
    begin_marking();
    // It may wait already; nothing but the weak handle leads to the key.
    thread::sleep(Duration::from_millis(5));
    let back = weak.upgrade().expect("not found dead yet");
    drop(held);
    settle();
    assert_eq!((drops_of(key_id), drops_of(id)), (0, 0));
    note.value().unwrap().leaf.check();
    drop(back);
    settle();
    assert_eq!((drops_of(key_id), drops_of(id)), (1, 1));
}

/// Brings its ephemerons back.
#[derive(Trace)]
#[trace(finalize)]
struct Phoenix {
    own: Ephemeron<Node, Node>,
    foreign: Ephemeron<Node, Node>,
    key: Gc<Node>,
    #[trace(leaf)]
    seen: Arc<AtomicUsize>,
}

impl Finalize for Phoenix {
    fn finalize(&self) {
        let value =
            self.own.value().expect("the finalizer's object keeps the key, and the ephemeron was white as well");
        value.leaf.check();
        self.key.leaf.check();
        assert!(self.foreign.upgrade().is_none(), "nothing keeps that key");
        self.seen.fetch_add(1, SeqCst);
    }
}

#[test]
fn finalizers_see_ephemerons_whole_or_cleared() {
    let _alone = alone();
    let seen = Arc::new(AtomicUsize::new(0));
    let (id, value) = node();
    let (own_key, other_key, foreign_id) = (node().1, node().1, new_id());
    let foreign = Gc::new(Node { leaf: Leaf::new(foreign_id), next: None.into(), notes: vec![].into() });
    drop(Gc::new(Phoenix {
        own: Ephemeron::new(&own_key, value),
        foreign: Ephemeron::new(&other_key, foreign),
        key: own_key.clone(),
        seen: Arc::clone(&seen),
    }));
    drop((own_key, other_key));
    settle();
    let begun = Instant::now();
    while seen.load(SeqCst) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60));
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(drops_of(foreign_id), 1);
    // The handle of the finalizer thread goes a moment later.
    while drops_of(id) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60));
        settle();
    }
}

#[test]
fn map_like_a_map() {
    let _alone = alone();
    let map = WeakMap::new();
    let keys: Vec<_> = (0..1000u64).map(Gc::new).collect();
    assert!(map.is_empty() && map.get(&keys[0]).is_none() && map.remove(&keys[0]).is_none());
    for key in &keys {
        assert!(map.insert(key, Gc::new(**key * 2)).is_none());
    }
    for key in &keys {
        assert_eq!(*map.get(key).unwrap(), **key * 2);
        assert_eq!(*map.insert(key, Gc::new(**key * 3)).unwrap(), **key * 2);
    }
    assert_eq!(map.len(), 1000);
    for key in keys.iter().step_by(2) {
        assert_eq!(*map.remove(key).unwrap(), **key * 3);
        assert!(!map.contains_key(key));
    }
    settle();
    assert_eq!(map.len(), 500);
    let mut entries = map.entries();
    entries.sort_by_key(|(key, _)| **key);
    assert!(entries.iter().map(|(key, value)| (**key, **value)).eq((1..1000).step_by(2).map(|n| (n, n * 3))));
    map.clear();
    assert!(map.is_empty() && map.entries().is_empty());
    assert_eq!(*map.get_or_insert_with(&keys[0], || Gc::new(1)), 1);
    assert_eq!(*map.get_or_insert_with(&keys[0], || unreachable!()), 1);
}

#[test]
fn equal_keys_are_different_objects() {
    let _alone = alone();
    let map = WeakMap::new();
    let (a, b) = (Gc::new(1), Gc::new(1));
    map.insert(&a, Gc::new('a'));
    assert!(map.get(&b).is_none());
    map.insert(&b, Gc::new('b'));
    assert_eq!((*map.get(&a).unwrap(), *map.get(&b).unwrap(), map.len()), ('a', 'b', 2));
}

#[test]
fn entries_of_dead_keys_are_gone() {
    let _alone = alone();
    let map = WeakMap::new();
    let before = {
        settle();
        stats().live_objects
    };
    let kept: Vec<_> = (0..100).map(|_| node().1).collect();
    kept.iter().for_each(|key| _ = map.insert(key, node().1));
    let mut ids = vec![];
    for _ in 0..20 {
        let keys: Vec<_> = (0..500).map(|_| node().1).collect();
        for key in &keys {
            let (id, value) = node();
            value.next.set(Some(key.clone()));
            ids.push(id);
            map.insert(key, value);
        }
        drop(keys);
        settle();
        assert_eq!(map.len(), 100);
    }
    assert!(ids.iter().all(|id| drops_of(*id) == 1));
    assert!(kept.iter().all(|key| map.contains_key(key)));
    // Keys, values, entries and one table; what is left of dead entries is bounded by the table's size.
    let beside = stats().live_objects - before;
    assert!(beside <= 300 + 1 + 2048, "{beside} objects for 100 entries");
    map.clear();
    drop(kept);
    settle();
    assert_eq!(stats().live_objects, before);
    assert_sound();
}

/// A map in an object, whose values lead back to the map.
#[derive(Trace)]
struct Registry {
    notes: WeakMap<Node, Entry>,
}

#[derive(Trace)]
struct Entry {
    registry: Gc<Registry>,
    canary: Canary,
}

#[test]
fn a_map_in_a_cycle_through_its_values_goes() {
    let _alone = alone();
    let key = node().1;
    let registry = Gc::new(Registry { notes: WeakMap::default() });
    let weak: Weak<Registry> = Gc::downgrade(&registry);
    let entry = Gc::new(Entry { registry: registry.clone(), canary: Canary::new(new_id()) });
    registry.notes.insert(&key, entry);
    settle();
    registry.notes.get(&key).unwrap().registry.notes.get(&key).unwrap().canary.check();
    drop(registry);
    settle();
    assert!(weak.upgrade().is_none(), "the key alone does not keep the map");
    drop(key);
}

#[test]
fn maps_move_in_and_out_of_objects() {
    let _alone = alone();
    let keys: Vec<_> = (0..50).map(|_| node().1).collect();
    let map = WeakMap::new();
    keys.iter().for_each(|key| _ = map.insert(key, Gc::new(Canary::new(new_id()))));
    let cell = Gc::new(GcMutex::new(Some(map)));
    settle();
    let map = cell.lock().take().unwrap();
    drop(cell);
    settle();
    keys.iter().for_each(|key| _ = map.get(key).unwrap().check());
    drop(map);
    settle();
    assert_sound();
}

#[test]
fn under_a_pin() {
    let _alone = alone();
    let guard = pin();
    let map = WeakMap::new();
    let key = guard.alloc(7).to_gc();
    map.insert(&key, Gc::new(Canary::new(new_id())));
    let value = map.get(&key).unwrap();
    let local = value.local(&guard);
    drop((value, key, map));
    testing::request_cycle();
    thread::sleep(Duration::from_millis(10));
    local.check();
}

#[test]
fn threads_share_a_map_while_the_collector_works() {
    let _alone = alone();
    let map: Arc<WeakMap<Shared, Entry2>> = Arc::default();
    let shared: Arc<Vec<Gc<Shared>>> = Arc::new((0..64).map(|_| shared_key()).collect());
    let stop = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..3)
        .map(|seed| {
            let (map, shared, stop) = (Arc::clone(&map), Arc::clone(&shared), Arc::clone(&stop));
            thread::spawn(move || {
                let mut round = seed;
                while !stop.load(SeqCst) {
                    round = (round * 5 + 3) % 1024;
                    churn(&map, &shared[round % 64], round);
                }
            })
        })
        .collect();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        collect();
    }
    stop.store(true, SeqCst);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    settle();
    assert!(map.len() <= 64, "short-lived keys have gone");
    assert_sound();
}

#[derive(Trace)]
struct Entry2 {
    canary: Canary,
    _key: Gc<Shared>,
}

/// A key that threads may share.
#[derive(Trace)]
struct Shared {
    leaf: Leaf,
}

fn shared_key() -> Gc<Shared> {
    Gc::new(Shared { leaf: Leaf::new(new_id()) })
}

/// One thread's turn with a key that others use, and one that nobody else knows.
fn churn(map: &WeakMap<Shared, Entry2>, key: &Gc<Shared>, round: usize) {
    let value = |key: &Gc<Shared>| Gc::new(Entry2 { canary: Canary::new(new_id()), _key: key.clone() });
    match round % 5 {
        0 => drop(map.insert(key, value(key))),
        1 => drop(map.remove(key)),
        2 => _ = map.get_or_insert_with(key, || value(key)).canary.check(),
        _ => _ = map.get(key).map(|value| value.canary.check()),
    }
    let own = shared_key();
    map.insert(&own, value(&own));
    map.get(&own).expect("the key is alive").canary.check();
    if round.is_multiple_of(64) {
        for (key, value) in map.entries() {
            key.leaf.check();
            value.canary.check();
        }
    }
}

#[test]
fn sizes_and_auto_traits() {
    assert_eq!(size_of::<Option<Ephemeron<Node, Node>>>(), size_of::<usize>());
    fn shared<T: Send + Sync>() {}
    shared::<Ephemeron<String, GcMutex<String>>>();
    shared::<WeakMap<String, GcMutex<String>>>();
    let (notes, map) = (Ephemeron::new(&Gc::new(1), Gc::new(2)), WeakMap::<u8, u8>::new());
    assert_eq!(format!("{notes:?} {map:?}"), "Ephemeron(..) WeakMap(..)");
}
