//! User code that std's containers run in the middle of their work, inside a write guard: it changes the graph, collects, uses the very
//! cell that is open, and panics at every possible moment.

#![expect(clippy::mutable_key_type, reason = "the attack is that keys change things while they are compared")]

use crate::{Holder, Node, check, check_all, holder, node, ring};
use graphgc::{Gc, GcCell, GcMutex, GcRefCell, GcSet, Ref, RefMut, Trace, collect};
use graphgc_tests::{
    panics::{panic_quietly, panics_quietly},
    payload::Leaf,
    sound::{Prey, assert_alive, attack},
};
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque},
    fmt,
    hash::{Hash, Hasher},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

/// What the code of a [`Key`] does when a container calls it.
struct Trap {
    calls: AtomicUsize,
    panic_at: usize,
}

impl Trap {
    fn new(panic_at: usize) -> Arc<Trap> {
        Arc::new(Trap { calls: AtomicUsize::new(0), panic_at })
    }
}

/// A key whose every method changes another cell, now and then collects, and panics when its trap says so.
#[derive(Trace)]
struct Key {
    leaf: Leaf,
    rank: u32,
    own: GcCell<Option<Gc<Node>>>,
    other: Gc<Holder<VecDeque<Gc<Node>>>>,
    trap: Arc<Trap>,
}

impl Key {
    fn touch(&self) {
        assert_alive(&self.leaf);
        let call = self.trap.calls.fetch_add(1, SeqCst) + 1;
        if let Ok(mut list) = self.other.cell.try_borrow_mut() {
            list.extend(self.own.take());
            self.own.set(list.pop_front());
        }
        if call.is_multiple_of(5) {
            collect();
        }
        if call == self.trap.panic_at {
            panic_quietly::<()>();
        }
        check(&self.own.get().unwrap());
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.touch();
        self.rank.cmp(&other.rank)
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.touch();
        // Half of the keys collide.
        (self.rank / 2).hash(state);
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.touch();
        self.rank.fmt(f)
    }
}

/// Makes keys that share a trap.
struct Keys<'a> {
    prey: &'a Prey,
    other: Gc<Holder<VecDeque<Gc<Node>>>>,
    trap: Arc<Trap>,
}

impl<'a> Keys<'a> {
    fn new(prey: &'a Prey, panic_at: usize) -> Self {
        let other = holder(prey, VecDeque::from([ring(prey), ring(prey), ring(prey)]));
        Keys { prey, other, trap: Trap::new(panic_at) }
    }

    fn key(&self, rank: u32) -> Key {
        let own = GcCell::new(Some(ring(self.prey)));
        Key { leaf: self.prey.leaf(), rank, own, other: self.other.clone(), trap: self.trap.clone() }
    }
}

impl Clone for Key {
    fn clone(&self) -> Self {
        self.touch();
        // The leaf counts drops: a copy has one of its own, which nobody watches.
        let leaf = Leaf::new(graphgc_tests::payload::new_id());
        Key { leaf, rank: self.rank, own: self.own.clone(), other: self.other.clone(), trap: self.trap.clone() }
    }
}

const RANKS: [u32; 7] = [5, 1, 6, 3, 0, 4, 2];

/// Runs `work` with keys that panic at the first call, the second, and so on, until none does.
fn at_every_call(prey: &Prey, work: impl Fn(&Keys<'_>)) {
    for panic_at in (1..).step_by(3) {
        let keys = Keys::new(prey, panic_at);
        if !panics_quietly(|| work(&keys)) {
            assert!(panic_at > 3, "the container never calls the keys' code");
            return;
        }
    }
}

/// Hopes that a tree left half changed by a panicking comparison holds a handle twice, or has lost the count of one.
#[test]
fn comparisons_inside_a_map() {
    attack(|prey| {
        at_every_call(prey, |keys| {
            let map = holder(prey, BTreeMap::new());
            for rank in RANKS {
                map.cell.borrow_mut().insert(keys.key(rank), ring(prey));
            }
            let removed = map.cell.borrow_mut().remove(&keys.key(3)).unwrap();
            let upper = map.cell.borrow_mut().split_off(&keys.key(4));
            drop(map);
            prey.disturb();
            check(&removed);
            check_all(upper.values());
        });
    });
}

/// Hopes the same of hashing and of growing.
#[test]
fn hashing_inside_a_map() {
    attack(|prey| {
        at_every_call(prey, |keys| {
            let map = holder(prey, HashMap::new());
            for rank in RANKS {
                map.cell.borrow_mut().insert(keys.key(rank), ring(prey));
            }
            map.cell.borrow_mut().shrink_to_fit();
            map.cell.borrow_mut().reserve(100);
            let removed = map.cell.borrow_mut().remove(&keys.key(3)).unwrap();
            let rest: HashMap<_, _> = map.cell.borrow_mut().drain().collect();
            drop(map);
            prey.disturb();
            check(&removed);
            check_all(rest.values());
        });
    });
}

/// Hopes that a set of edges lets its elements' code in while the set is half changed, or keeps the collector out meanwhile.
#[test]
fn hashing_and_comparing_inside_a_set_of_edges() {
    attack(|prey| {
        at_every_call(prey, |keys| {
            let set = Gc::new(GcSet::new());
            for rank in RANKS {
                assert!(set.insert(Gc::new(keys.key(rank))));
            }
            let removed = set.take(&keys.key(3)).unwrap();
            prey.disturb();
            let first = set.get(&keys.key(5)).unwrap();
            let same = set.get_or_insert(Gc::new(keys.key(5)));
            assert!(Gc::ptr_eq(&first, &same));
            set.retain(|key| {
                key.touch();
                key.rank != 6
            });
            set.reserve(100);
            let replaced = set.replace(Gc::new(keys.key(5))).unwrap();
            assert!(Gc::ptr_eq(&first, &replaced));
            let rest: Vec<_> = set.drain().collect();
            assert_eq!((rest.len(), set.len()), (RANKS.len() - 2, 0));
            drop(set);
            prey.disturb();
            rest.iter().chain([&removed, &first]).for_each(|key| check(&key.own.get().unwrap()));
        });
    });
}

/// Hopes that a heap or a sort that a panic leaves with a hole shows the same handle twice.
#[test]
fn comparisons_inside_heaps_and_sorts() {
    attack(|prey| {
        at_every_call(prey, |keys| {
            let heap = holder(prey, BinaryHeap::new());
            RANKS.iter().for_each(|rank| heap.cell.borrow_mut().push(keys.key(*rank)));
            let first = heap.cell.borrow_mut().pop().unwrap();
            let list = holder(prey, heap.cell.take().into_vec());
            list.cell.borrow_mut().sort();
            list.cell.borrow_mut().dedup();
            list.cell.borrow_mut().sort_unstable_by(|a, b| b.cmp(a));
            list.cell.borrow_mut().select_nth_unstable(2);
            prey.disturb();
            assert_alive(&first.leaf);
            list.cell.borrow().iter().for_each(|key| assert_alive(&key.leaf));
            // One by one: std leaks a set whose making in one go panics.
            let mut set = BTreeSet::new();
            list.cell.take().into_iter().for_each(|key| _ = set.insert(key));
            prey.disturb();
            assert_eq!(set.len(), RANKS.len() - 1);
        });
    });
}

/// Hopes that a clone, or a printout, that stops midway leaves counts behind, or that its source changes under it.
#[test]
fn clones_and_printouts_that_stop_midway() {
    attack(|prey| {
        at_every_call(prey, |keys| {
            let list = holder(prey, RANKS.map(|rank| keys.key(rank)).to_vec());
            prey.disturb();
            let copy = list.cell.clone();
            assert_eq!(format!("{:?}", list.cell.borrow()), "[5, 1, 6, 3, 0, 4, 2]");
            list.cell.borrow_mut().extend(copy.into_inner());
            list.cell.borrow_mut().resize(16, keys.key(9));
            prey.disturb();
            list.cell.borrow().iter().for_each(|key| check(&key.own.get().unwrap()));
        });
    });
}

/// Calls a method of the list, with a closure to be called on its elements.
type Work<'a> = &'a dyn Fn(&mut Vec<Gc<Node>>, &mut dyn FnMut(&Gc<Node>));

/// Hopes that closures that look at nodes, collect and panic inside a container's method leave it with a dead handle.
#[test]
fn closures_that_panic_inside_a_list() {
    fn visit(left: &mut usize, node: &Gc<Node>) {
        check(node);
        collect();
        *left = left.checked_sub(1).unwrap_or_else(panic_quietly);
    }
    attack(|prey| {
        for panic_at in 0..6 {
            let list = holder(prey, (0..5).map(|_| ring(prey)).collect::<Vec<_>>());
            prey.disturb();
            let attempt = |work: Work<'_>| {
                let mut left = panic_at;
                panics_quietly(|| work(&mut list.cell.borrow_mut(), &mut |node| visit(&mut left, node)));
                prey.disturb();
                check_all(&*list.cell.borrow());
            };
            attempt(&|list, visit| {
                let mut keep = false;
                list.retain(|node| {
                    visit(node);
                    keep = !keep;
                    keep
                });
            });
            attempt(&|list, _| list.extend((0..4).map(|_| ring(prey))));
            attempt(&|list, visit| {
                list.dedup_by(|one, _| {
                    visit(one);
                    false
                });
            });
            attempt(&|list, visit| {
                list.sort_by(|one, other| {
                    visit(one);
                    other.leaf.check().cmp(&one.leaf.check())
                });
            });
            attempt(&|list, visit| list.iter().for_each(visit));
            attempt(&|list, visit| {
                list.resize_with(9, || {
                    let new = ring(prey);
                    visit(&new);
                    new
                });
            });
            attempt(&|list, visit| {
                list.splice(1..3, std::iter::once(ring(prey)).inspect(|it| visit(it))).for_each(drop);
            });
        }
    });
}

/// Runs a closure when dropped: the attacker's foot in the door.
#[derive(Trace)]
#[trace(leaf)]
struct OnDrop(Option<Box<dyn FnOnce() + Send>>);

impl OnDrop {
    fn new(body: impl FnOnce() + Send + 'static) -> Self {
        OnDrop(Some(Box::new(body)))
    }
}

impl Drop for OnDrop {
    fn drop(&mut self) {
        if let Some(body) = self.0.take() {
            body();
        }
    }
}

#[derive(Trace)]
struct Room {
    leaf: Leaf,
    guest: GcMutex<Option<(OnDrop, Gc<Node>)>>,
    log: GcMutex<Vec<Gc<Node>>>,
}

/// Hopes that a value that is replaced gets at its own cell from its `Drop`, while the cell is open and after.
#[test]
fn replaced_content_uses_its_own_cell() {
    attack(|prey| {
        let room = Gc::new(Room { leaf: prey.leaf(), guest: None.into(), log: vec![].into() });
        let found: Arc<Mutex<Vec<bool>>> = Arc::default();
        let guest = || {
            let (room, found, later) = (room.clone(), found.clone(), prey.clone());
            let farewell = OnDrop::new(move || {
                collect();
                let successor = room.guest.try_lock().map(|mut guest| guest.replace((OnDrop(None), node(&later))));
                found.lock().unwrap().push(successor.is_some());
                room.log.lock().push(node(&later));
            });
            Some((farewell, node(prey)))
        };
        *room.guest.lock() = guest();
        prey.disturb();
        *room.guest.lock() = guest();
        assert_eq!(*found.lock().unwrap(), [false], "the cell is open while its old content goes");
        prey.disturb();
        let taken = std::mem::take(&mut *room.guest.lock());
        drop(taken);
        assert_eq!(*found.lock().unwrap(), [false, true], "and not if that happens later");
        prey.disturb();
        assert_alive(&room.leaf);
        check(&room.guest.lock().as_ref().unwrap().1);
        check_all(&*room.log.lock());
    });
}

/// Hopes that a collection in the middle of one of the crate's own methods finds the cell half open.
#[test]
fn collections_inside_everything() {
    attack(|prey| {
        let list = holder(prey, vec![ring(prey), ring(prey)]);
        let part = Ref::map(list.cell.borrow(), |list| {
            collect();
            &list[1]
        });
        collect();
        check(&Ref::filter_map(part, |node| collect().cycles.gt(&0).then_some(node)).ok().unwrap());
        let part = RefMut::map(list.cell.borrow_mut(), |list| {
            list.push(ring(prey));
            collect();
            list.swap(0, 2);
            &mut list[2]
        });
        collect();
        check(&part);
        drop(part);
        let made = Gc::new((0..3).map(|_| ring(prey)).inspect(|_| _ = collect()).collect::<Vec<_>>());
        list.cell.borrow_mut().extend(made.iter().cloned().inspect(|_| _ = collect()));
        let cell =
            GcRefCell::new(list.cell.borrow().iter().map(|node| (collect(), node.clone()).1).collect::<Vec<_>>());
        drop((list, made));
        prey.disturb();
        assert_eq!(cell.borrow().len(), 6);
        check_all(&*cell.borrow());
    });
}

/// Hopes that a drop that panics while the assignment that causes it runs leaves the cell open, or the new value lost.
#[test]
fn assignments_whose_old_value_panics() {
    attack(|prey| {
        let cell = holder(prey, (OnDrop(None), Some(ring(prey))));
        cell.cell.borrow_mut().0 = OnDrop::new(panic_quietly::<()>);
        prey.disturb();
        assert!(panics_quietly(|| *cell.cell.borrow_mut() = (OnDrop(None), Some(ring(prey)))));
        prey.disturb();
        check(cell.cell.borrow().1.as_ref().unwrap());
        assert!(!panics_quietly(|| cell.cell.replace((OnDrop::new(panic_quietly::<()>), None))));
        assert!(panics_quietly(|| drop(cell.cell.replace((OnDrop(None), Some(node(prey)))))));
        prey.disturb();
        check(cell.cell.borrow_mut().1.as_ref().unwrap());
    });
}
