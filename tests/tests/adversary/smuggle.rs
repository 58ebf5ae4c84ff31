//! Handles carried out of cells by every door that `&mut` opens: none may leave uncounted.

use crate::{Holder, Node, Opens, check, check_all, holder, node, ring};
use graphgc::{Gc, GcCell, GcMap, GcMutex, GcRefCell, GcRwLock, GcSet, GcVec, RefMut, Trace, pin};
use graphgc_tests::{
    panics::{panic_quietly, panics_quietly},
    payload::Leaf,
    sound::{Prey, assert_alive, attack},
};
use std::{
    borrow::Cow,
    future::Future,
    hash, mem, pin,
    task::{Context, Poll, Waker},
};

/// Hopes that what `mem::swap`, `replace` and `take` bring out of claimed content dies with its former owner.
#[test]
fn swapped_replaced_and_taken() {
    fn steal<C: Opens>(prey: &Prey) {
        let owner = Gc::new(C::around(vec![ring(prey), ring(prey)]));
        prey.disturb();
        let mut swapped = vec![ring(prey)];
        owner.open(|content| mem::swap(content, &mut swapped));
        prey.disturb();
        let replaced = owner.open(|content| mem::replace(content, vec![ring(prey); 3]));
        prey.disturb();
        let taken = owner.open(mem::take);
        drop(owner);
        prey.disturb();
        assert_eq!((swapped.len(), replaced.len(), taken.len()), (2, 1, 3));
        [swapped, replaced, taken].iter().for_each(check_all);
    }
    attack(|prey| {
        steal::<GcRefCell<_>>(prey);
        steal::<GcMutex<_>>(prey);
        steal::<GcRwLock<_>>(prey);
    });
}

/// Hopes that the cell's own `replace`, `swap` and `take` forget to count.
#[test]
fn by_the_cells_own_methods() {
    attack(|prey| {
        let (one, other) = (holder(prey, vec![ring(prey)]), holder(prey, vec![ring(prey), ring(prey)]));
        prey.disturb();
        one.cell.swap(&other.cell);
        let replaced = one.cell.replace(vec![ring(prey)]);
        prey.disturb();
        let taken = (one.cell.take(), other.cell.take(), one.cell.clone().into_inner());
        drop((one, other));
        prey.disturb();
        assert_eq!((replaced.len(), taken.0.len(), taken.1.len(), taken.2.len()), (2, 1, 1, 0));
        [replaced, taken.0, taken.1].iter().for_each(check_all);
    });
}

/// Hopes that a leaked `Drain` leaves handles in both places, or in none.
#[test]
fn drained_and_leaked() {
    fn steal<C: Opens>(prey: &Prey) {
        let doomed: Vec<_> = (0..3).map(|_| crate::node_with(prey.leaked())).collect();
        let mut content = vec![ring(prey), ring(prey)];
        content.extend(doomed.iter().cloned());
        let owner = Gc::new(C::around(content));
        drop(doomed);
        prey.disturb();
        let first = owner.open(|content| content.drain(..1).next().unwrap());
        owner.open(|content| mem::forget(content.drain(1..)));
        let rest = owner.open(|content| content.split_off(0));
        drop(owner);
        prey.disturb();
        assert_eq!(rest.len(), 1, "what was drained is leaked");
        check_all([&first, &rest[0]]);
    }
    attack(|prey| {
        steal::<GcRefCell<_>>(prey);
        steal::<GcMutex<_>>(prey);
        steal::<GcRwLock<_>>(prey);
    });
}

/// Hopes that content whose buffer lives for ever is taken for a dead object's.
#[test]
fn contents_leaked_as_static_slices() {
    attack(|prey| {
        let owner = holder(prey, vec![crate::node_with(prey.leaked()), crate::node_with(prey.leaked())]);
        prey.disturb();
        let forever: &'static mut [Gc<Node>] = owner.cell.take().leak();
        drop(owner);
        prey.disturb();
        forever.swap(0, 1);
        check_all(&*forever);
    });
}

/// Hopes that handles inside a closure are nobody's.
#[test]
fn carried_out_by_closures() {
    attack(|prey| {
        let owner = holder(prey, vec![ring(prey), ring(prey)]);
        prey.disturb();
        let steal: Box<dyn FnOnce() -> Vec<Gc<Node>>> = {
            let mut content = owner.cell.borrow_mut();
            let (one, other) = (content.pop().unwrap(), content.pop().unwrap());
            Box::new(move || vec![one, other])
        };
        drop(owner);
        prey.disturb();
        check_all(&steal());
    });
}

/// Hopes that what a future holds across an `await` is missed, whether the future ends or is dropped midway.
#[test]
fn carried_through_an_await() {
    async fn pause() {
        let mut paused = false;
        std::future::poll_fn(|_| if mem::replace(&mut paused, true) { Poll::Ready(()) } else { Poll::Pending }).await;
    }
    attack(|prey| {
        for ends in [true, false] {
            let owner = holder(prey, vec![ring(prey), ring(prey)]);
            prey.disturb();
            let mut future = pin::pin!(async move {
                let taken = owner.cell.borrow_mut().pop().unwrap();
                let mut guard = owner.cell.borrow_mut();
                pause().await;
                let other = guard.pop().unwrap();
                drop(guard);
                drop(owner);
                pause().await;
                [taken, other]
            });
            let mut context = Context::from_waker(Waker::noop());
            assert!(future.as_mut().poll(&mut context).is_pending());
            prey.disturb();
            if ends {
                assert!(future.as_mut().poll(&mut context).is_pending());
                prey.disturb();
                let Poll::Ready(stolen) = future.as_mut().poll(&mut context) else { panic!("the future ends") };
                prey.disturb();
                check_all(&stolen);
            }
        }
    });
}

/// Hopes that a panic with half of the content moved out leaves a handle claimed outside, or counted twice.
#[test]
fn taken_midway_of_a_panic() {
    fn steal<C: Opens>(prey: &Prey) {
        let owner = Gc::new(C::around(vec![ring(prey), ring(prey), ring(prey)]));
        prey.disturb();
        let mut stolen = Vec::new();
        assert!(panics_quietly(|| owner.open(|content| {
            content.drain(..).for_each(|node| stolen.push(if stolen.len() == 1 { panic_quietly() } else { node }));
        })));
        assert!(panics_quietly(|| owner.open(|content| *content = vec![ring(prey), panic_quietly()])));
        prey.disturb();
        assert_eq!((stolen.len(), owner.open(|content| content.len())), (1, 0), "the drain emptied it");
        check_all(&stolen);
    }
    attack(|prey| {
        steal::<GcRefCell<_>>(prey);
        steal::<GcMutex<_>>(prey);
        steal::<GcRwLock<_>>(prey);
    });
}

/// Hopes that an edge's cell that leaves an object by value still says that its edge is claimed.
#[test]
fn cells_taken_out_of_options() {
    attack(|prey| {
        let owner = holder(prey, Some(GcCell::new(Some(ring(prey)))));
        let nested = holder(prey, Some(GcRefCell::new(vec![ring(prey)])));
        prey.disturb();
        let edge = owner.cell.borrow_mut().take().unwrap();
        let cell = nested.cell.borrow_mut().take().unwrap();
        *owner.cell.borrow_mut() = Some(GcCell::new(None));
        drop((owner, nested));
        prey.disturb();
        check(&edge.get().unwrap());
        check_all(&*cell.borrow());
        let second = holder(prey, (edge, cell));
        prey.disturb();
        let (edge, mut cell) = mem::replace(&mut *second.cell.borrow_mut(), (None.into(), vec![].into()));
        drop(second);
        prey.disturb();
        check_all(cell.get_mut().iter());
        check(&edge.into_inner().unwrap());
        check_all(&cell.into_inner());
    });
}

/// Hopes that a cell three deep keeps its claim on the way out, or loses it on the way back.
#[test]
fn cells_in_cells_in_cells_move_out_and_back() {
    type One = GcRefCell<Vec<Gc<Node>>>;
    type Two = GcRefCell<Vec<One>>;
    attack(|prey| {
        let inner = || GcRefCell::new(vec![GcRefCell::new(vec![ring(prey)]), GcRefCell::new(vec![])]);
        let (left, right) = (holder::<Vec<Two>>(prey, vec![inner(), inner()]), holder::<Vec<Two>>(prey, vec![inner()]));
        prey.disturb();
        let two = left.cell.borrow_mut().remove(0);
        prey.disturb();
        let one = two.borrow_mut().remove(0);
        prey.disturb();
        check_all(&*one.borrow());
        // Back in, elsewhere, through shared and exclusive access.
        right.cell.borrow()[0].borrow_mut().push(one);
        prey.disturb();
        mem::swap(&mut left.cell.borrow_mut()[0], &mut right.cell.borrow_mut()[0]);
        right.cell.borrow_mut().push(two);
        prey.disturb();
        let innermost = left.cell.borrow()[0].borrow()[2].take();
        let all = mem::take(&mut *left.cell.borrow_mut());
        drop((left, right));
        prey.disturb();
        check_all(&innermost);
        for two in all {
            for one in two.into_inner() {
                check_all(&one.into_inner());
            }
        }
    });
}

#[derive(Trace)]
struct Level {
    leaf: Leaf,
    edge: GcCell<Option<Gc<Node>>>,
    inner: GcRefCell<Option<Box<Level>>>,
}

/// Hopes that the hundredth cell in a row is not counted when the first is opened, or that opening from within confuses those around.
#[test]
fn a_hundred_levels_of_cells() {
    fn levels(prey: &Prey, depth: usize) -> Option<Box<Level>> {
        let inner = (depth > 1).then(|| levels(prey, depth - 1)).flatten();
        Some(Box::new(Level { leaf: prey.leaf(), edge: Some(ring(prey)).into(), inner: inner.into() }))
    }
    /// Opens every level down to `depth` and takes what is there, all guards held.
    fn cut(level: &Level, depth: usize) -> Option<Box<Level>> {
        let mut inner = level.inner.borrow_mut();
        if depth == 0 { inner.take() } else { cut(inner.as_ref()?, depth - 1) }
    }
    fn check_levels(mut level: &mut Level) -> usize {
        for depth in 1.. {
            assert_alive(&level.leaf);
            check(&level.edge.get().unwrap());
            let Some(inner) = level.inner.get_mut() else { return depth };
            level = inner;
        }
        unreachable!()
    }
    attack(|prey| {
        let owner = Gc::new(levels(prey, 100));
        prey.disturb();
        let mut lower = cut(owner.as_ref().as_ref().unwrap(), 49).unwrap();
        prey.disturb();
        assert_eq!(check_levels(&mut lower), 50);
        let upper = owner.as_ref().as_ref().unwrap().inner.take();
        drop(owner);
        prey.disturb();
        let mut upper = upper.unwrap();
        assert_eq!(check_levels(&mut upper), 49);
        *upper.inner.borrow_mut() = Some(lower);
        let again = Gc::new(upper);
        prey.disturb();
        check(&again.edge.get().unwrap());
    });
}

/// Hopes that a traced struct taken apart yields handles that its object still claims.
#[test]
fn structs_taken_apart() {
    type Inside = (Gc<Node>, GcMutex<Option<Gc<Node>>>);
    #[derive(Trace)]
    struct Parts {
        leaf: Leaf,
        plain: Gc<Node>,
        edge: GcCell<Gc<Node>>,
        boxed: Box<Inside>,
    }
    attack(|prey| {
        let parts = || Parts {
            leaf: prey.leaf(),
            plain: ring(prey),
            edge: GcCell::new(ring(prey)),
            boxed: Box::new((ring(prey), GcMutex::new(Some(ring(prey))))),
        };
        let owner = holder(prey, Some(parts()));
        prey.disturb();
        let Parts { leaf, plain, edge, boxed } = owner.cell.take().unwrap();
        let (inside, mutex) = *boxed;
        *owner.cell.borrow_mut() = Some(parts());
        prey.disturb();
        if let Some(Parts { plain: kept, .. }) = &mut *owner.cell.borrow_mut() {
            let before = mem::replace(kept, inside.clone());
            prey.disturb();
            check(&before);
        }
        drop(owner);
        prey.disturb();
        assert_alive(&leaf);
        check_all([&plain, &edge.into_inner(), &inside, mutex.into_inner().as_ref().unwrap()]);
    });
}

/// Hopes that arrays of cells are claimed or counted but for one.
#[test]
fn arrays_of_cells() {
    type Edge = GcCell<Option<Gc<Node>>>;
    attack(|prey| {
        let array = || -> [Edge; 5] { std::array::from_fn(|_| GcCell::new(Some(ring(prey)))) };
        let fixed = Gc::new((prey.leaf(), array()));
        let owner = holder(prey, [array(), array()]);
        prey.disturb();
        let [first, ..] = mem::replace(&mut *owner.cell.borrow_mut(), [array(), array()]);
        owner.cell.borrow_mut()[1].reverse();
        owner.cell.borrow_mut()[0].swap(1, 3);
        let single = mem::take(&mut owner.cell.borrow_mut()[0][2]);
        let from_fixed = fixed.1.each_ref().map(GcCell::take);
        prey.disturb();
        owner.cell.borrow()[0][2].set(from_fixed[0].clone());
        drop((owner, fixed));
        prey.disturb();
        let stolen = first.into_iter().chain([single]).map(GcCell::into_inner).chain(from_fixed);
        let stolen: Vec<_> = stolen.map(Option::unwrap).collect();
        assert_eq!(stolen.len(), 11);
        check_all(&stolen);
    });
}

/// Hopes that what a `Cow` borrows is claimed, or what it owns is not.
#[test]
fn borrowed_and_owned_by_cow() {
    attack(|prey| {
        let forever: &'static [Gc<Node>] = vec![crate::node_with(prey.leaked())].leak();
        let owner = holder(prey, (Cow::Borrowed(forever), Cow::<[Gc<Node>]>::Owned(vec![ring(prey)])));
        prey.disturb();
        owner.cell.borrow_mut().0.to_mut().push(ring(prey));
        prey.disturb();
        let (one, other) = mem::take(&mut *owner.cell.borrow_mut());
        drop(owner);
        prey.disturb();
        check_all(forever);
        assert_eq!((one.len(), other.len()), (2, 1));
        check_all(one.iter().chain(&other.into_owned()));
    });
}

/// Hopes that one of the ways to change an edge forgets a count, inside the heap, on a stack, and on the way between.
#[test]
fn edges_changed_in_every_way() {
    attack(|prey| {
        let owner = node(prey);
        let outside = GcCell::new(Some(ring(prey)));
        let mut stolen = Vec::new();
        for turn in 0..6 {
            for cell in [&owner.edge, &outside] {
                stolen.extend(cell.replace(Some(ring(prey))));
                let now = cell.get();
                stolen.extend(cell.replace_if(&now, Some(ring(prey))).ok().unwrap());
                let refused = cell.replace_if(&now, Some(ring(prey)));
                stolen.extend(refused.err().unwrap());
                stolen.extend(cell.take());
                cell.set(now);
            }
            owner.edge.set(outside.replace(owner.edge.get()));
            stolen.extend(outside.clone().into_inner());
            if turn % 2 == 0 {
                prey.disturb();
            }
        }
        drop(owner);
        prey.disturb();
        check_all(&stolen);
        check(&outside.get().unwrap());
    });
}

/// Hopes that a guard of a part counts that part only, and a handle swapped out through it is not counted.
#[test]
fn through_guards_of_parts() {
    attack(|prey| {
        let owner = holder(prey, (vec![ring(prey), ring(prey)], Some(ring(prey))));
        prey.disturb();
        let mut part = RefMut::map(owner.cell.borrow_mut(), |content| &mut content.0[1]);
        prey.disturb();
        let stolen = mem::replace(&mut *part, ring(prey));
        drop(part);
        prey.disturb();
        let nothing = RefMut::filter_map(owner.cell.borrow_mut(), |content| content.0.get_mut(7));
        let other = nothing.err().unwrap().1.take().unwrap();
        prey.disturb();
        let escaped = RefMut::filter_map(owner.cell.borrow_mut(), |content| content.0.first_mut()).ok().unwrap();
        check(&escaped);
        drop(escaped);
        check_all(&owner.cell.borrow().0);
        drop(owner);
        prey.disturb();
        check_all([&stolen, &other]);
    });
}

/// Hopes that an object whose cell is open when its last handle goes is taken apart under the guard's feet.
#[test]
fn owner_dropped_from_within_its_own_content() {
    attack(|prey| {
        let owner = holder(prey, Vec::<Gc<Holder<Option<Gc<Node>>>>>::new());
        owner.cell.borrow_mut().push(holder(prey, Some(ring(prey))));
        prey.disturb();
        let inner = owner.cell.borrow()[0].clone();
        let mut guard = inner.cell.borrow_mut();
        owner.cell.borrow_mut().clear();
        drop(owner);
        prey.disturb();
        check(&guard.take().unwrap());
    });
}

/// A key that is said to hold no handles.
#[derive(Trace)]
#[trace(leaf)]
struct Liar(u32, Gc<Node>);

impl PartialEq for Liar {
    fn eq(&self, other: &Self) -> bool {
        check_all([&self.1, &other.1]);
        self.0 == other.0
    }
}

impl Eq for Liar {}

impl hash::Hash for Liar {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        (self.0 % 2).hash(state);
    }
}

/// Hopes that handles in the keys of a map, which nobody traces, are taken for claimed.
#[test]
fn in_the_keys_of_a_map() {
    attack(|prey| {
        let map = Gc::new((0..6).map(|n| (Liar(n, ring(prey)), ring(prey))).collect::<GcMap<_, _>>());
        let owner = holder(prey, vec![(map.clone(), GcMap::from([(Liar(7, ring(prey)), ring(prey))]))]);
        prey.disturb();
        let (key, value) = map.remove_entry(&Liar(3, ring(prey))).unwrap();
        let keys: Vec<_> = map.read().keys().map(|key| key.1.clone()).collect();
        map.retain(|key, _| key.0 != 4);
        prey.disturb();
        let (_, moved) = owner.cell.borrow_mut().pop().unwrap();
        drop(owner);
        prey.disturb();
        for (key, value) in map.drain().chain(moved) {
            check_all([&key.1, &value]);
        }
        drop(map);
        prey.disturb();
        check_all(keys.iter().chain([&key.1, &value]));
    });
}

/// Hopes that what comes out of a collection of edges, by any door, dies with it.
#[test]
fn out_of_collections_of_edges() {
    attack(|prey| {
        let vec = Gc::new((0..8).map(|_| ring(prey)).collect::<GcVec<_>>());
        let map = Gc::new((0..8).map(|n| (n, ring(prey))).collect::<GcMap<u32, _>>());
        prey.disturb();
        let mut out = vec![vec.pop().unwrap(), vec.swap_remove(0), vec.remove(1), vec.replace(0, ring(prey))];
        out.extend(vec.drain(1..3));
        out.extend(map.remove(&1));
        out.extend(map.insert(2, ring(prey)));
        out.push(map.get_or_insert_with(3, || unreachable!()));
        prey.disturb();
        let guard = pin();
        let pinned: Vec<_> = vec.iter_pinned(&guard).chain(map.iter_pinned(&guard).map(|(_, node)| node)).collect();
        map.store(
            9,
            guard.alloc(Node { leaf: prey.leaf(), edge: GcCell::new(None), list: GcRwLock::default() }),
            &guard,
        );
        out.extend(map.get(&9));
        vec.clear();
        map.clear();
        drop((vec, map));
        prey.disturb();
        pinned.iter().for_each(|node| assert_alive(&node.leaf));
        drop(guard);
        prey.disturb();
        check_all(&out);
    });
}

/// A value with room for a handle, which another thread or a comparison puts there.
#[derive(Trace)]
struct Label(u32, GcCell<Option<Gc<Node>>>);

impl PartialEq for Label {
    fn eq(&self, other: &Self) -> bool {
        // Every comparison moves what the one holds to the other.
        other.1.set(self.1.replace(other.1.take()));
        self.0 == other.0
    }
}

impl Eq for Label {}

impl hash::Hash for Label {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        0.hash(state);
    }
}

/// Hopes that edges which comparisons move about inside a set slip past the marker.
#[test]
fn between_the_elements_of_a_set() {
    attack(|prey| {
        let label = |n| Gc::new(Label(n, GcCell::new(Some(ring(prey)))));
        let set = Gc::new(GcSet::new());
        for turn in 0..30 {
            set.insert(label(turn % 10));
            if turn % 7 == 0 {
                prey.disturb();
                drop(set.take(&*label(turn % 10)));
            }
            set.read().iter().for_each(|label: &Gc<Label>| check(&label.1.get().unwrap()));
        }
        let out = set.to_vec();
        drop(set);
        prey.disturb();
        out.iter().for_each(|label| check(&label.1.get().unwrap()));
    });
}
