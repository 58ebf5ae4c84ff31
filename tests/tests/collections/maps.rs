//! Maps.

use super::everywhere;
use graphgc::{Gc, GcCell, GcMap, GcRefCell, GcRwLock, Trace, Weak, collect, pin, verify};
use graphgc_tests::{
    heap::{alone, settle},
    panics::{panic_quietly, panics_quietly},
    payload::{Leaf, drops_of, new_id},
    random::Random,
    sound::while_collecting,
};
use std::{
    cell::Cell,
    collections::HashMap,
    hash::{BuildHasherDefault, Hash, Hasher},
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
    time::Duration,
};

type Numbers = GcMap<u32, Gc<u32>>;

#[derive(Trace)]
struct Node {
    leaf: Leaf,
    edges: GcMap<String, Gc<Node>>,
}

fn node() -> Gc<Node> {
    Gc::new(Node { leaf: Leaf::new(new_id()), edges: GcMap::new() })
}

fn pairs<S>(map: &GcMap<u32, Gc<u32>, S>) -> HashMap<u32, u32> {
    let locked = map.read();
    assert_eq!(locked.len(), locked.iter().len());
    locked.iter().map(|(key, number)| (*key, **number)).collect()
}

/// Puts many keys into few chains.
#[derive(Default)]
struct Worst(u64);

impl Hasher for Worst {
    fn finish(&self) -> u64 {
        self.0 % 8
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 += u64::from(*byte));
    }
}

type Colliding = GcMap<u32, Gc<u32>, BuildHasherDefault<Worst>>;

fn as_std_does<S: std::hash::BuildHasher + Default + Send + 'static>(map: &GcMap<u32, Gc<u32>, S>, turns: u32) {
    let mut model = HashMap::new();
    let mut random = Random::new(7);
    let plain = |number: Option<Gc<u32>>| number.map(|number| *number);
    for turn in 0..turns {
        let key = random.below(200) as u32;
        match random.below(16) {
            0..5 => assert_eq!(plain(map.insert(key, Gc::new(turn))), model.insert(key, turn)),
            5..8 => assert_eq!(plain(map.remove(&key)), model.remove(&key)),
            8 => {
                let removed = map.remove_entry(&key).map(|(key, number)| (key, *number));
                assert_eq!(removed, model.remove_entry(&key));
            }
            9 => {
                let number = map.get_or_insert_with(key, || Gc::new(turn));
                assert_eq!(*number, *model.entry(key).or_insert(turn));
            }
            10 => assert_eq!(map.contains_key(&key), model.contains_key(&key)),
            11 if turn % 16 == 0 => {
                map.retain(|key, number| (key + **number) % 3 != 0);
                model.retain(|key, number| (*key + *number) % 3 != 0);
            }
            12 if turn % 64 == 0 => {
                let drained: HashMap<u32, u32> = map.drain().map(|(key, number)| (key, *number)).collect();
                assert_eq!(drained, std::mem::take(&mut model));
            }
            13 => {
                map.extend([(key, Gc::new(turn)), (key + 1, Gc::new(turn + 1))]);
                model.extend([(key, turn), (key + 1, turn + 1)]);
            }
            14 if turn % 128 == 0 => {
                map.clear();
                model.clear();
                assert!(map.is_empty());
            }
            _ => assert_eq!(plain(map.get(&key)), model.get(&key).copied()),
        }
        assert_eq!(map.len(), model.len());
        if turn % 100 == 0 {
            assert_eq!(pairs(map), model);
        }
    }
    assert_eq!(pairs(map), model);
}

#[test]
fn changes_as_std_does() {
    everywhere(|map: &Numbers| as_std_does(map, 20_000));
}

#[test]
fn changes_as_std_does_where_all_hashes_collide() {
    everywhere(|map: &Colliding| as_std_does(map, 5_000));
}

#[test]
fn what_is_owned_is_changed_without_locks() {
    let mut map: Numbers = (0..3).map(|n| (n, Gc::new(n))).collect();
    std::mem::forget(map.read());
    Extend::extend(&mut map, [(1, Gc::new(10)), (3, Gc::new(3))]);
    assert_eq!((pairs(&map), format!("{map:?}")), ([(0, 0), (1, 10), (2, 2), (3, 3)].into(), "GcMap(..)".into()));
    let copy = map.clone();
    copy.clear();
    assert!(copy.is_empty() && copy.capacity() >= 4);
    assert_eq!(map.into_iter().map(|(key, number)| key + *number).sum::<u32>(), 21);
    let roomy = Numbers::with_capacity(100);
    assert!(roomy.capacity() >= 100 && roomy.is_empty());
    let optional = GcMap::from([("none", None), ("one", Some(Gc::new(1)))]);
    let locked = optional.read();
    assert_eq!((locked.values().flatten().count(), locked.keys().len()), (1, 2));
    assert_eq!((locked.get_key_value("none"), &locked["one"]), (Some((&"none", &None)), &Some(Gc::new(1))));
    assert_eq!(format!("{locked:?}"), r#"{"none": None, "one": Some(1)}"#);
}

#[test]
fn cycles_go_and_what_is_reachable_stays() {
    let _alone = alone();
    let (one, two, three) = (node(), node(), node());
    let ids = [&one, &two, &three].map(|node| node.leaf.check());
    one.edges.insert("two".into(), two.clone());
    two.edges.extend([("one".into(), one.clone()), ("three".into(), three.clone()), ("two".into(), two.clone())]);
    drop((two, three));
    settle();
    let two = one.edges.get("two").unwrap();
    assert_eq!(two.edges.get("three").unwrap().leaf.check(), ids[2]);
    let three = two.edges.remove("three").unwrap();
    drop((one, two));
    settle();
    assert_eq!(ids.map(drops_of), [1, 1, 0]);
    three.edges.insert("self".into(), three.clone());
    drop(three);
    settle();
    assert_eq!(drops_of(ids[2]), 1);
}

#[test]
fn in_other_cells_they_are_opened_with_them() {
    let _alone = alone();
    let owner = Gc::new(GcRefCell::new(vec![GcMap::new(), GcMap::new()]));
    let leaf = node();
    let id = leaf.leaf.check();
    owner.borrow()[0].insert("a".to_string(), leaf);
    collect();
    let (key, moved) = owner.borrow_mut().swap_remove(0).into_iter().next().unwrap();
    owner.borrow()[0].insert(key, moved.clone());
    drop(moved);
    settle();
    owner.borrow()[0].get("a").unwrap().leaf.check();
    // Borrowed for writing it is counted.
    let mut content = owner.borrow_mut();
    Extend::extend(&mut content[0], [("b".into(), node())]);
    content[0].insert("c".into(), node());
    settle();
    assert_eq!(content[0].len(), 3);
    drop(content);
    drop(owner);
    settle();
    assert_eq!(drops_of(id), 1);
    // Opened: counted, and so it dies.
    let inner = node();
    let id = inner.leaf.check();
    let owner = Gc::new(GcRwLock::new(GcMap::from([(1, inner)])));
    owner.write().insert(2, node());
    drop(owner);
    settle();
    assert_eq!(drops_of(id), 1);
}

/// A key whose drops are counted.
#[derive(Trace)]
#[trace(leaf)]
struct Key(u32, Leaf);

impl Key {
    fn new(number: u32) -> (Self, u32) {
        let id = new_id();
        (Key(number, Leaf::new(id)), id)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.1.check();
        other.1.check();
        self.0 == other.0
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.1.check();
        self.0.hash(state);
    }
}

#[test]
fn keys_are_dropped_once() {
    let _alone = alone();
    for claimed in [false, true] {
        let map = Gc::new(GcMap::new());
        let counted = GcMap::new();
        let map = if claimed { &*map } else { &counted };
        let (keys, ids): (Vec<Key>, Vec<u32>) = (0..10).map(Key::new).unzip();
        keys.into_iter().for_each(|key| assert!(map.insert(key, node()).is_none()));
        let (double, double_id) = Key::new(3);
        assert!(map.insert(double, node()).is_some());
        assert_eq!((drops_of(double_id), drops_of(ids[3])), (1, 0), "the first key stays");
        let (third, third_id) = Key::new(3);
        assert!(map.remove(&third).is_some() && map.remove(&third).is_none());
        assert_eq!(drops_of(ids[3]), 1);
        map.retain(|key, _| key.0 % 2 == 0);
        assert_eq!(ids.iter().map(|id| drops_of(*id)).collect::<Vec<_>>(), [0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
        settle();
        assert_eq!(map.read().keys().filter(|key| key.1.check() > 0).map(|key| key.0).sum::<u32>(), 20);
        map.clear();
        assert!(ids.iter().all(|id| drops_of(*id) == 1));
        drop(third);
        assert_eq!(drops_of(third_id), 1);
    }
    let (key, id) = Key::new(1);
    let inner = node();
    let inner_id = inner.leaf.check();
    let dying = Gc::new(GcMap::from([(key, inner)]));
    settle();
    assert_eq!([id, inner_id].map(drops_of), [0, 0]);
    drop(dying);
    settle();
    assert_eq!([id, inner_id].map(drops_of), [1, 1]);
}

thread_local! {
    /// What the next uses of a [`Trap`] do.
    static TRAP: Cell<&'static str> = const { Cell::new("") };
}

/// A key whose code panics when it is told to.
#[derive(Trace)]
#[trace(leaf)]
struct Trap(u32);

fn springs(which: &str) {
    if TRAP.get() == which {
        TRAP.set("");
        panic_quietly::<()>();
    }
}

impl PartialEq for Trap {
    fn eq(&self, other: &Self) -> bool {
        springs("eq");
        self.0 == other.0
    }
}

impl Eq for Trap {}

impl Hash for Trap {
    fn hash<H: Hasher>(&self, state: &mut H) {
        springs("hash");
        state.write_u32(self.0);
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        springs("drop");
    }
}

fn sprung<R>(which: &'static str, body: impl FnOnce() -> R) {
    TRAP.set(which);
    assert!(panics_quietly(body), "nobody has called `{which}`");
}

#[test]
fn panics_of_users_code_leave_all_as_it_was() {
    everywhere(|map: &GcMap<Trap, Gc<u32>, BuildHasherDefault<Worst>>| {
        let fill = |numbers: std::ops::Range<u32>| map.extend(numbers.map(|n| (Trap(n), Gc::new(n))));
        let keys = || {
            let mut keys: Vec<u32> = map.read().keys().map(|key| key.0).collect();
            keys.sort_unstable();
            keys
        };
        fill(0..20);
        for which in ["hash", "eq"] {
            sprung(which, || map.insert(Trap(28), Gc::new(1)));
            sprung(which, || map.get_or_insert_with(Trap(36), || Gc::new(1)));
            sprung(which, || map.get(&Trap(4)));
            sprung(which, || map.remove(&Trap(4)));
            sprung(which, || map.contains_key(&Trap(4)));
            sprung(which, || map.load(&Trap(4), &pin()).is_some());
            sprung(which, || map.store(Trap(4), pin().alloc(7), &pin()));
        }
        assert!(panics_quietly(|| map.get_or_insert_with(Trap(99), panic_quietly)));
        assert!(panics_quietly(|| map.retain(|key, _| key.0 < 5 || panic_quietly())));
        assert_eq!(keys(), (0..20).collect::<Vec<_>>());
        // Keys go when the map is whole and free again.
        sprung("drop", || map.remove(&Trap(7)));
        sprung("drop", || map.insert(Trap(8), Gc::new(8)));
        sprung("drop", || map.retain(|key, _| key.0 != 9));
        assert_eq!(keys(), [0, 1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
        sprung("drop", || map.clear());
        assert!(keys().is_empty());
        fill(0..40);
        assert_eq!((keys(), *map.get(&Trap(33)).unwrap()), ((0..40).collect(), 33));
    });
}

/// Code that has the map to itself may ask for its length, too.
#[test]
fn the_length_is_known_while_the_lock_is_held() {
    everywhere(|map: &GcMap<u32, Gc<u32>>| {
        map.extend((0..3).map(|number| (number, Gc::new(number))));
        map.retain(|&key, _| {
            assert_eq!((map.len(), map.is_empty()), (3, false));
            key > 0
        });
        assert_eq!(map.len(), 2);
        map.clear();
        assert!(map.is_empty());
    });
}

/// Hash, Eq and what makes values may allocate, collect and use other collections; the hash and what makes a value may use this one.
#[test]
fn users_code_may_use_the_heap() {
    struct Busy(u32);
    graphgc::leaf!(Busy);
    impl PartialEq for Busy {
        fn eq(&self, other: &Self) -> bool {
            drop(Gc::new([self.0; 16]));
            collect();
            self.0 == other.0
        }
    }
    impl Eq for Busy {}
    impl Hash for Busy {
        fn hash<H: Hasher>(&self, state: &mut H) {
            collect();
            state.write_u32(self.0);
        }
    }
    let _alone = alone();
    let map = Gc::new(GcMap::<Busy, Gc<u32>, BuildHasherDefault<Worst>>::default());
    for n in [1, 9, 17, 9] {
        map.insert(Busy(n), Gc::new(n));
    }
    let made = map.get_or_insert_with(Busy(25), || {
        map.insert(Busy(33), Gc::new(33));
        Gc::new(map.len() as u32)
    });
    assert_eq!((*made, map.len()), (4, 5));
    assert_eq!(map.remove(&Busy(9)).as_deref(), Some(&9));
    assert_eq!(*map.get_or_insert_with(Busy(41), || map.get_or_insert_with(Busy(41), || Gc::new(41))), 41);
}

#[test]
fn leaked_readers_keep_writers_out_and_nothing_else() {
    let _alone = alone();
    let (owner, inner) = (node(), node());
    let ids = [&owner, &inner].map(|node| node.leaf.check());
    owner.edges.insert("inner".into(), inner);
    std::mem::forget(owner.edges.read());
    settle();
    assert!(owner.edges.try_read().is_some());
    assert_eq!(owner.edges.get("inner").unwrap().leaf.check(), ids[1]);
    drop(owner);
    settle();
    assert_eq!(ids.map(drops_of), [1, 1]);
    let map = GcMap::from([(1, node())]);
    std::mem::forget(map.read());
    let id = map.get(&1).unwrap().leaf.check();
    let moved = Gc::new(map);
    settle();
    moved.read()[&1].leaf.check();
    drop(moved);
    settle();
    assert_eq!(drops_of(id), 1);
}

#[test]
fn under_a_pin() {
    let _alone = alone();
    let ours = Numbers::new();
    let heaps = Gc::new(Numbers::new());
    for map in [&ours, &*heaps] {
        let guard = pin();
        for n in 0..1000u32 {
            map.store(n, guard.alloc(n), &guard);
        }
        map.store(7, guard.alloc(70), &guard);
        drop(guard);
        settle();
        let guard = pin();
        let seven = map.load(&7, &guard).unwrap();
        assert!(map.load(&1000, &guard).is_none());
        let mut met = vec![0; 6000];
        let mut sum = 0;
        for (turn, (key, number)) in map.iter_pinned(&guard).enumerate() {
            sum += *number;
            met[key as usize] += 1;
            // Removes from the front, where entries move to, and inserts at the end.
            if turn < 100 {
                map.remove(&(turn as u32));
                map.insert(5000 + turn as u32, Gc::new(0));
            }
        }
        assert!(met[100..1000].iter().all(|met| *met >= 1), "an entry that stays is met");
        assert!(sum >= (100..1000).sum::<u32>());
        map.clear();
        assert_eq!(*seven, 70);
        assert_eq!(map.iter_pinned(&guard).count(), 0);
    }
}

#[test]
fn weak_values() {
    let strong = Gc::new(7);
    let map = Gc::new(GcMap::from([(1, Gc::downgrade(&strong)), (2, Weak::new())]));
    settle();
    assert_eq!(*map.get(&1).unwrap().upgrade().unwrap(), 7);
    assert!(map.insert(2, Gc::downgrade(&strong)) == Some(Weak::new()));
    drop(strong);
    settle();
    assert!(map.read().values().all(|weak| weak.upgrade().is_none()));
    assert_eq!(verify(), []);
}

/// Threads move the same objects between maps while cycles run. None is lost, none appears twice.
#[test]
fn threads_change_maps_while_the_collector_works() {
    const EACH: u32 = 2000;
    let _alone = alone();
    let maps: Gc<[GcMap<u32, Gc<Leaf>>; 3]> = Gc::new([GcMap::new(), GcMap::new(), GcMap::new()]);
    let ids: Vec<u32> = (0..3 * EACH).map(|_| new_id()).collect();
    for (key, id) in ids.iter().enumerate() {
        maps[key % 3].insert(key as u32, Gc::new(Leaf::new(*id)));
    }
    while_collecting(|| {
        thread::scope(|scope| {
            for seed in 0..3 {
                let maps = maps.clone();
                let ids = &ids;
                scope.spawn(move || {
                    let mut random = Random::of_run(seed + 1);
                    for _ in 0..if cfg!(debug_assertions) { 6000 } else { 30_000 } {
                        let (from, to) = (&maps[random.below(3)], &maps[random.below(3)]);
                        let key = random.below(ids.len());
                        let Some(moved) = from.remove(&(key as u32)) else { continue };
                        assert_eq!(moved.check(), ids[key]);
                        match random.below(60) {
                            0 => {
                                assert!(to.insert(key as u32, moved).is_none());
                                to.extend(from.drain());
                            }
                            1 => {
                                let guard = pin();
                                to.store(key as u32, moved.local(&guard), &guard);
                                for (key, leaf) in to.iter_pinned(&guard).take(100) {
                                    assert_eq!(leaf.check(), ids[key as usize]);
                                }
                            }
                            2 => {
                                to.retain(|key, leaf| leaf.check() == ids[*key as usize]);
                                assert!(Gc::ptr_eq(&to.get_or_insert_with(key as u32, || moved.clone()), &moved));
                            }
                            3 => {
                                let locked = to.read();
                                assert!(locked.iter().take(100).all(|(key, leaf)| leaf.check() == ids[*key as usize]));
                                drop(locked);
                                assert!(to.insert(key as u32, moved).is_none());
                            }
                            _ => assert!(to.insert(key as u32, moved).is_none()),
                        }
                    }
                });
            }
        });
    });
    settle();
    let mut keys: Vec<u32> = maps.iter().flat_map(|map| map.read().keys().copied().collect::<Vec<_>>()).collect();
    keys.sort_unstable();
    assert_eq!(keys, (0..3 * EACH).collect::<Vec<_>>());
    assert!(ids.iter().all(|id| drops_of(*id) == 0));
    assert_eq!(verify(), []);
    drop(maps);
    settle();
    assert!(ids.iter().all(|id| drops_of(*id) == 1));
}

/// A writer that inserts and removes all the time keeps no cycle open.
#[test]
fn a_busy_writer_and_a_large_map() {
    let _alone = alone();
    let cell = GcCell::new(Some(Gc::new(Leaf::new(new_id()))));
    let leaf = Gc::new(Leaf::new(new_id()));
    let map: Gc<GcMap<u32, _>> = Gc::new((0..200_000).map(|n| (n, leaf.clone())).collect());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0.. {
                if stop.load(SeqCst) {
                    break;
                }
                map.insert(n + 200_000, leaf.clone());
                drop(map.remove(&n));
            }
        });
        thread::sleep(Duration::from_millis(10));
        let dying = cell.take().unwrap();
        let id = dying.check();
        drop(dying);
        collect();
        stop.store(true, SeqCst);
        assert_eq!(drops_of(id), 1);
    });
    assert_eq!(map.len(), 200_000);
}
