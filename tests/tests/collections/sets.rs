//! Sets.

use super::everywhere;
use graphgc::{Gc, GcMap, GcSet, Weak, collect, pin, verify};
use graphgc_tests::{
    heap::{alone, settle},
    panics::{panic_quietly, panics_quietly},
    payload::{Leaf, drops_of, new_id},
    random::Random,
    sound::while_collecting,
};
use std::{
    collections::HashSet,
    hash::{Hash, Hasher},
    thread,
};

type Numbers = GcSet<Gc<u32>>;

fn numbers(set: &Numbers) -> HashSet<u32> {
    let locked = set.read();
    let numbers: HashSet<u32> = locked.iter().map(|number| **number).collect();
    assert_eq!(numbers.len(), locked.len());
    numbers
}

#[test]
fn changes_as_std_does() {
    everywhere(|set: &Numbers| {
        let mut model = HashSet::new();
        let mut random = Random::new(9);
        for turn in 0..10_000u32 {
            let value = random.below(150) as u32;
            match random.below(16) {
                0..5 => assert_eq!(set.insert(Gc::new(value)), model.insert(value)),
                5..7 => assert_eq!(set.remove(&value), model.remove(&value)),
                7 => assert_eq!(set.take(&value).as_deref().copied(), model.take(&value)),
                8 => {
                    let new = Gc::new(value);
                    assert_eq!(set.replace(new.clone()).is_some(), model.replace(value).is_some());
                    assert!(Gc::ptr_eq(&set.get(&value).unwrap(), &new));
                }
                9 => {
                    assert_eq!(*set.get_or_insert(Gc::new(value)), value);
                    model.insert(value);
                }
                10 => {
                    let there = set.get(&value);
                    let got = set.get_or_insert_with(&value, || Gc::new(value));
                    assert!(there.is_none_or(|there| Gc::ptr_eq(&there, &got)));
                    model.insert(value);
                }
                11 if turn % 16 == 0 => {
                    set.retain(|number| **number % 3 != turn % 3);
                    model.retain(|number| number % 3 != turn % 3);
                }
                12 if turn % 32 == 0 => {
                    let drained: HashSet<u32> = set.drain().map(|number| *number).collect();
                    assert_eq!(drained, std::mem::take(&mut model));
                }
                13 => {
                    set.extend([Gc::new(value), Gc::new(value + 1)]);
                    model.extend([value, value + 1]);
                }
                14 if turn % 64 == 0 => {
                    set.clear();
                    model.clear();
                    assert!(set.is_empty());
                }
                _ => assert_eq!((set.contains(&value), set.len()), (model.contains(&value), model.len())),
            }
            if turn % 50 == 0 {
                assert_eq!(numbers(set), model);
            }
        }
        assert_eq!(numbers(set), model);
    });
}

#[test]
fn what_is_owned_is_changed_without_locks() {
    let mut set = Numbers::from([Gc::new(1), Gc::new(2), Gc::new(1)]);
    std::mem::forget(set.read());
    Extend::extend(&mut set, [Gc::new(2), Gc::new(3)]);
    assert_eq!((numbers(&set), format!("{set:?}")), ([1, 2, 3].into(), "GcSet(..)".into()));
    assert_eq!(format!("{:?}", GcSet::from([Gc::new(1)]).read()), "{1}");
    let copy = set.clone();
    copy.clear();
    assert!(copy.is_empty() && copy.capacity() >= 3);
    assert_eq!(set.into_iter().map(|number| *number).sum::<u32>(), 6);
    assert!(Numbers::with_capacity(100).capacity() >= 100);
}

#[test]
fn interned_objects_live_as_long_as_the_set() {
    let _alone = alone();
    let names: Gc<GcSet<Gc<String>>> = Gc::new(GcSet::new());
    let ann = names.get_or_insert(Gc::new("Ann".to_string()));
    let address = Gc::as_ptr(&ann).addr();
    drop(ann);
    settle();
    assert_eq!(Gc::as_ptr(&names.get(&"Ann".to_string()).unwrap()).addr(), address);
    let guard = pin();
    let ann = names.load(&"Ann".to_string(), &guard).unwrap();
    assert_eq!(names.iter_pinned(&guard).count(), 1);
    assert!(names.remove(&"Ann".to_string()) && !names.remove(&"Ann".to_string()));
    assert_eq!(*ann, "Ann");
}

/// Weak handles are compared by identity, and so are the addresses that a map may have for keys.
#[test]
fn by_identity() {
    let (one, same) = (Gc::new(1), Gc::new(1));
    let weak = GcSet::from([Gc::downgrade(&one), Gc::downgrade(&same), Gc::downgrade(&one)]);
    assert_eq!(weak.len(), 2);
    assert!(weak.contains(&Gc::downgrade(&same)) && !weak.contains(&Weak::new()));
    let strong: GcMap<usize, _> = [one, same].into_iter().map(|one| (Gc::as_ptr(&one).addr(), one)).collect();
    let weak = Gc::new(weak);
    settle();
    assert_eq!(weak.read().iter().filter(|weak| weak.upgrade().is_some()).count(), 2);
    drop(strong);
    settle();
    weak.retain(|weak| weak.upgrade().is_some());
    assert!(weak.is_empty());
}

struct Trap(u32, Leaf);
graphgc::leaf!(Trap);

impl PartialEq for Trap {
    fn eq(&self, other: &Self) -> bool {
        self.1.check();
        other.1.check();
        if self.0 == 99 || other.0 == 99 { panic_quietly() } else { self.0 == other.0 }
    }
}

impl Eq for Trap {}

impl Hash for Trap {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if self.0 == 98 {
            panic_quietly::<()>();
        }
        0.hash(state);
    }
}

#[test]
fn panics_of_users_code_leave_all_as_it_was() {
    everywhere(|set: &GcSet<Gc<Trap>>| {
        let new = |number| Gc::new(Trap(number, Leaf::new(new_id())));
        set.extend((0..10).map(new));
        for bad in [98, 99] {
            assert!(panics_quietly(|| set.insert(new(bad))));
            assert!(panics_quietly(|| set.replace(new(bad))));
            assert!(panics_quietly(|| set.get_or_insert(new(bad))));
            assert!(panics_quietly(|| set.take(&*new(bad))));
            assert!(panics_quietly(|| set.contains(&*new(bad))));
        }
        assert!(panics_quietly(|| set.retain(|trap| trap.0 < 5 || panic_quietly())));
        let mut left: Vec<u32> = set.drain().map(|trap| trap.0).collect();
        left.sort_unstable();
        assert_eq!(left, (0..10).collect::<Vec<_>>());
    });
}

/// Code that has the set to itself may ask for its length, too.
#[test]
fn the_length_is_known_while_the_lock_is_held() {
    everywhere(|set: &Numbers| {
        set.extend((0..3).map(Gc::new));
        set.retain(|number| {
            assert_eq!((set.len(), set.is_empty()), (3, false));
            **number > 0
        });
        assert_eq!(set.len(), 2);
        set.clear();
        assert!(set.is_empty());
    });
}

/// A value that is equal to others of its number.
struct Name(u32, Leaf);
graphgc::leaf!(Name);

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.1.check();
        other.1.check();
        self.0 == other.0
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.1.check();
        self.0.hash(state);
    }
}

/// Threads intern the same names and forget them again while cycles run. What a set has given out is alive, and all go in the end.
#[test]
fn threads_intern_while_the_collector_works() {
    let _alone = alone();
    let set: Gc<GcSet<Gc<Name>>> = Gc::new(GcSet::new());
    let first = new_id();
    while_collecting(|| {
        thread::scope(|scope| {
            for seed in 0..3 {
                let set = set.clone();
                scope.spawn(move || {
                    let mut random = Random::of_run(seed + 1);
                    let mut held = Vec::new();
                    for turn in 0..if cfg!(debug_assertions) { 5000 } else { 30_000 } {
                        let new = Gc::new(Name(random.below(300) as u32, Leaf::new(new_id())));
                        held.push(set.get_or_insert(new));
                        if held.len() > 50 {
                            let old = held.swap_remove(random.below(50));
                            old.1.check();
                            if let Some(taken) = set.take(&*old) {
                                assert_eq!(taken.0, old.0);
                            }
                        }
                        if turn % 1000 == 0 {
                            set.retain(|name| name.0 % 7 != 0);
                            let guard = pin();
                            set.iter_pinned(&guard).for_each(|name| _ = name.1.check());
                        }
                    }
                });
            }
        });
    });
    assert_eq!(set.read().iter().map(|name| name.0).collect::<HashSet<_>>().len(), set.len());
    assert_eq!(verify(), []);
    drop(set);
    collect();
    settle();
    assert!((first + 1..new_id()).all(|id| drops_of(id) == 1));
}
