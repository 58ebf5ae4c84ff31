//! What keeps nothing alive: weak handles in fields, cells and lists and on the stack, ephemerons and weak maps, in objects of a type of their own.
//!
//! A handle that can be upgraded gives the object that it was made for, whole; one that cannot belongs to an object that the program cannot reach. After a
//! settled collection the two are exact: an upgrade gives something just for what exists, and a value is there just if its key is.

use super::{
    bundle::Bundle,
    detour::Detour,
    local_mortal::LocalMortal,
    lock::Lockable,
    machine::{Birth, Machine},
    mortal::Mortal,
    node::{
        Aligned, Any, Bomb, EdgeCell, Family, Frees, Large, LargePlain, Mixed, Node, Part, Pinned, Plain, User, Wide,
    },
    op::{At, Field, Many, Route, WeakOp},
    witness::Witness,
};
use crate::payload::Leaf;
use graphgc::{Ephemeron, Gc, GcCell, Guard, Local, Trace, Weak, WeakMap};
use std::{collections::BTreeMap, mem};

/// Weak handles that a program holds at most on its stack.
const MOST_ROOTS: usize = 24;
/// Elements of a keeper's lists at most.
const MOST_ELEMENTS: usize = 8;

macro_rules! weak_handles {
    ($($name:ident)*) => {
        /// A weak handle to an object of any type.
        #[derive(Trace)]
        #[trace(bound = "F: Family")]
        #[expect(missing_docs, reason = "named as the types")]
        pub enum AnyWeak<F: Family> {
            $($name(Weak<$name<F>>),)*
            Slice(Weak<[Part<F>]>),
            Dyn(Weak<F::Dyn>),
        }

        impl<F: Family> Clone for AnyWeak<F> {
            fn clone(&self) -> Self {
                match self {
                    $(AnyWeak::$name(weak) => AnyWeak::$name(weak.clone()),)*
                    AnyWeak::Slice(weak) => AnyWeak::Slice(weak.clone()),
                    AnyWeak::Dyn(weak) => AnyWeak::Dyn(weak.clone()),
                }
            }
        }

        impl<F: Family> AnyWeak<F> {
            fn of(any: &Any<F>) -> Self {
                match any {
                    $(Any::$name(handle) => AnyWeak::$name(Gc::downgrade(handle)),)*
                    Any::Slice(handle) => AnyWeak::Slice(Gc::downgrade(handle)),
                    Any::Dyn(handle) => AnyWeak::Dyn(Gc::downgrade(handle)),
                }
            }

            fn upgrade(&self) -> Option<Any<F>> {
                match self {
                    $(AnyWeak::$name(weak) => weak.upgrade().map(Any::$name),)*
                    AnyWeak::Slice(weak) => weak.upgrade().map(Any::Slice),
                    AnyWeak::Dyn(weak) => weak.upgrade().map(Any::Dyn),
                }
            }
        }
    };
}

weak_handles!(Plain Frees Mixed User Large LargePlain Aligned Bomb Wide Mortal Keeper Bundle Detour LocalMortal);

/// A weak handle, and who it was made for.
#[derive(Clone, Trace)]
#[trace(bound = "F: Family")]
pub struct Remembered<F: Family> {
    /// Its id.
    pub id: u32,
    weak: AnyWeak<F>,
}

impl<F: Family> Remembered<F> {
    /// A weak handle to it.
    pub fn of(any: &Any<F>) -> Self {
        Remembered { id: any.check(), weak: AnyWeak::of(any) }
    }

    /// The object, which is still the same.
    pub fn upgrade(&self) -> Option<Any<F>> {
        let found = self.weak.upgrade();
        if let Some(found) = &found {
            assert_eq!(found.check(), self.id, "an upgrade gives another object");
        }
        found
    }

    /// Can be upgraded just if its object `exists`. For a heap that has settled.
    pub fn compare(&self, exists: bool) {
        assert_eq!(self.upgrade().is_some(), exists, "an upgrade gives object {}, which exists: {exists}", self.id);
    }
}

/// A value as long as its key lives.
#[derive(Clone, Trace)]
#[trace(bound = "F: Family")]
pub struct Tied<F: Family> {
    key: u32,
    value: u32,
    ephemeron: Ephemeron<User<F>, Plain<F>>,
}

/// Key and value.
type Pair<F> = (Gc<User<F>>, Gc<Plain<F>>);

impl<F: Family> Tied<F> {
    /// Key and value, which are still the same.
    fn upgrade(&self) -> Option<Pair<F>> {
        let found = self.ephemeron.upgrade();
        if let Some((key, value)) = &found {
            assert_eq!((key.view().check(), value.view().check()), (self.key, self.value), "another pair");
        }
        found
    }
}

/// Keeps nothing alive but the next one.
#[derive(Trace)]
#[trace(bound = "F: Family")]
pub struct Keeper<F: Family> {
    pub(super) leaf: Leaf,
    pub(super) next: EdgeCell<Keeper<F>>,
    /// To itself, or nothing.
    me: Weak<Keeper<F>>,
    fixed: Option<Remembered<F>>,
    cell: GcCell<Weak<User<F>>>,
    maybe: GcCell<Option<Weak<Plain<F>>>>,
    list: F::Cell<Vec<Remembered<F>>>,
    tied: F::Cell<Vec<Tied<F>>>,
    map: WeakMap<Plain<F>, User<F>>,
}

/// The model of a keeper's weak part: ids in place of handles, of objects that may be gone.
#[derive(Default)]
pub struct Weakly {
    cell: Option<u32>,
    maybe: Option<u32>,
    list: Vec<u32>,
    tied: Vec<(u32, u32)>,
    map: BTreeMap<u32, u32>,
    /// Entries that the map may have.
    inserted: usize,
}

impl Weakly {
    /// Keys with their values.
    pub fn ties(&self) -> impl Iterator<Item = (u32, u32)> {
        self.tied.iter().copied().chain(self.map.iter().map(|(key, value)| (*key, *value)))
    }

    /// The most objects there may be that the program does not know of: links, ephemerons, the table and its entries.
    pub fn weight(&self) -> usize {
        4 + self.list.len() + self.tied.len() + 1 + self.inserted
    }
}

fn id_of<F: Family, T: Node<F>>(found: Option<Gc<T>>) -> Option<u32> {
    found.map(|it| it.view().check())
}

impl<F: Family> Keeper<F> {
    /// Keys with their values, as they are.
    pub fn ties(&self) -> Vec<(Any<F>, Any<F>)> {
        let tied = self.tied.look(false, |tied| tied.iter().filter_map(Tied::upgrade).collect::<Vec<_>>());
        let tied = tied.into_iter().flatten().map(|(key, value)| (User::any(key), Plain::any(value)));
        tied.chain(self.map.entries().into_iter().map(|(key, value)| (Plain::any(key), User::any(value)))).collect()
    }

    /// What is left just if it `exists`, in a heap that has settled.
    pub fn compare(&self, exists: impl Fn(u32) -> bool) {
        for weak in self.fixed.iter().chain(&self.list.look(false, Clone::clone).unwrap_or_default()) {
            weak.compare(exists(weak.id));
        }
        for tied in self.tied.look(false, Clone::clone).unwrap_or_default() {
            let found = tied.upgrade().is_some();
            assert_eq!(found, exists(tied.key), "a value of {} is there; the key exists: {}", tied.key, !found);
        }
        let found = [id_of(self.cell.get().upgrade()), self.maybe.get().and_then(|weak| id_of(weak.upgrade()))];
        found.into_iter().flatten().for_each(|id| assert!(exists(id), "object {id} is gone, but upgraded"));
    }

    /// What is left is what the model says, in a heap that has settled.
    pub fn compare_with(&self, model: &Weakly, exists: impl Fn(u32) -> bool) {
        self.compare(&exists);
        let id = self.leaf.check();
        let there = |id: Option<u32>| id.filter(|id| exists(*id));
        assert_eq!(id_of(self.me.upgrade()), Some(id), "a keeper knows itself");
        assert_eq!(id_of(self.cell.get().upgrade()), there(model.cell), "a weak handle in keeper {id}");
        let maybe = self.maybe.get().and_then(|weak| id_of(weak.upgrade()));
        assert_eq!(maybe, there(model.maybe), "a weak handle in keeper {id}, which may be none");
        let list = self.list.look(false, |list| list.iter().map(|weak| weak.id).collect::<Vec<_>>());
        assert_eq!(list.as_ref(), Some(&model.list), "weak handles in keeper {id}");
        let mut ties: Vec<_> = self.ties().iter().map(|(key, value)| (key.check(), value.check())).collect();
        let mut expected: Vec<_> = model.ties().filter(|(key, _)| exists(*key)).collect();
        ties.sort_unstable();
        expected.sort_unstable();
        assert_eq!(ties, expected, "keys and values in keeper {id}");
        let live = model.map.keys().filter(|key| exists(**key)).count();
        assert_eq!((self.map.len(), self.map.is_empty()), (live, live == 0), "the map of keeper {id}");
    }
}

impl<F: Family> Machine<F> {
    /// A new keeper, which knows itself.
    pub(super) fn allocate_keeper<B: Birth<F>>(&mut self, id: u32, birth: &B, at: At, many: Many) -> B::Held {
        let (next, fixed) = (self.pick_of(at), self.pick(many.1).as_ref().map(Remembered::of));
        fixed.iter().for_each(|weak| self.witness.downgraded(weak.id));
        self.witness.downgraded(id);
        birth.bear_knowing(|me| {
            assert!(me.upgrade().is_none(), "it does not exist yet");
            let keeper = Keeper {
                leaf: Leaf::new(id),
                next: next.into(),
                me: me.clone(),
                fixed,
                cell: GcCell::default(),
                maybe: GcCell::new(None),
                list: F::Cell::default(),
                tied: F::Cell::default(),
                map: WeakMap::new(),
            };
            self.witness.born(keeper.view(), false);
            keeper
        })
    }

    pub(super) fn execute_weak(&mut self, op: WeakOp) {
        match op {
            WeakOp::Downgrade(at) => {
                let weak = self.pick(at).as_ref().map(Remembered::of);
                weak.iter().for_each(|weak| self.witness.downgraded(weak.id));
                self.weak.extend(weak);
                if self.weak.len() > MOST_ROOTS {
                    self.weak.swap_remove(usize::from(at.0) % MOST_ROOTS);
                }
            }
            WeakOp::Upgrade(number) => {
                let Some(weak) = self.weak.get(usize::from(number) % self.weak.len().max(1)) else { return };
                let found = weak.upgrade();
                self.upgraded(Some(weak.id), found);
            }
            WeakOp::Drop(number) => {
                let count = self.weak.len();
                if count > 0 {
                    self.weak.swap_remove(usize::from(number) % count);
                }
            }
            WeakOp::Follow(at, field, number) => self.follow(at, field, number),
            WeakOp::Put(at, field, new, number) => self.put(at, field, new, number),
            WeakOp::Clear(at, field) => self.clear(at, field),
        }
    }

    /// An upgrade of a handle that was made for this object, if that is known.
    fn upgraded(&mut self, id: Option<u32>, found: Option<Any<F>>) {
        match found {
            Some(found) => {
                let found_id = found.check();
                assert!(!F::ALONE || id == Some(found_id), "object {found_id} comes out of a handle to {id:?}");
                self.witness.known(found_id);
                self.roots.push(found);
            }
            None => {
                let Some(id) = id else { return };
                self.witness.gone(id, &self.roots);
            }
        }
    }

    fn follow(&mut self, at: At, field: Field, number: u8) {
        let Some(keeper) = self.pick_of::<Keeper<F>>(at) else { return };
        let id = keeper.view().check();
        match field {
            Field::Me => {
                let me = keeper.me.upgrade().expect("a keeper that is held knows itself");
                assert!(Gc::ptr_eq(&me, &keeper));
            }
            Field::Fixed => {
                let Some(fixed) = &keeper.fixed else { return };
                self.upgraded(Some(fixed.id), fixed.upgrade());
            }
            Field::Cell => {
                let expected = self.witness.weakly(id, |model| model.cell).flatten();
                self.upgraded(expected, keeper.cell.get().upgrade().map(User::any));
            }
            Field::Maybe => {
                let expected = self.witness.weakly(id, |model| model.maybe).flatten();
                self.upgraded(expected, keeper.maybe.get().and_then(|weak| weak.upgrade()).map(Plain::any));
            }
            Field::List => {
                let nth = |list: &Vec<Remembered<F>>| list.get(usize::from(number) % list.len().max(1)).cloned();
                let Some(weak) = keeper.list.look(true, nth).flatten() else { return };
                self.upgraded(Some(weak.id), weak.upgrade());
            }
            Field::Tied => {
                let nth = |tied: &Vec<Tied<F>>| tied.get(usize::from(number) % tied.len().max(1)).cloned();
                let Some(tied) = keeper.tied.look(true, nth).flatten() else { return };
                let found = tied.upgrade();
                let (key, value) = found.map(|(key, value)| (User::any(key), Plain::any(value))).unzip();
                self.upgraded(Some(tied.key), key);
                value.into_iter().for_each(|value| self.upgraded(Some(tied.value), Some(value)));
            }
            Field::Map => {
                let key = self.pick_of::<Plain<F>>(At(number, 0, 0, 0));
                let Some(key) = key else { return };
                let key_id = key.view().check();
                let found = keeper.map.get(&key);
                let found_id = found.as_ref().map(|it| it.view().check());
                self.witness.weakly(id, |model| {
                    assert_eq!(found_id, model.map.get(&key_id).copied(), "the value of {key_id} in keeper {id}");
                });
                self.roots.extend(found.map(User::any));
            }
        }
    }

    fn put(&mut self, at: At, field: Field, new: At, number: u8) {
        let Some(keeper) = self.pick_of::<Keeper<F>>(at) else { return };
        let id = keeper.view().check();
        let downgraded = |witness: &mut F::Witness, id: u32| witness.downgraded(id);
        match field {
            Field::Me | Field::Fixed => {}
            Field::Cell => {
                let Some(new) = self.pick_of::<User<F>>(new) else { return };
                let new_id = new.view().check();
                downgraded(&mut self.witness, new_id);
                let old = keeper.cell.replace(Gc::downgrade(&new));
                let expected = self.witness.weakly(id, |model| model.cell.replace(new_id)).flatten();
                self.upgraded(expected, old.upgrade().map(User::any));
            }
            Field::Maybe => {
                let Some(new) = self.pick_of::<Plain<F>>(new) else { return };
                let new_id = new.view().check();
                downgraded(&mut self.witness, new_id);
                keeper.maybe.set(Some(Gc::downgrade(&new)));
                self.witness.weakly(id, |model| model.maybe = Some(new_id));
            }
            Field::List => {
                let Some(new) = self.pick(new).as_ref().map(Remembered::of) else { return };
                downgraded(&mut self.witness, new.id);
                let new_id = new.id;
                keeper.list.change(Route::Guard, |list| {
                    push_bounded(list, new, number);
                    self.witness.weakly(id, |model| push_bounded(&mut model.list, new_id, number));
                });
            }
            Field::Tied => {
                let key = self.pick_of::<User<F>>(new);
                let (Some(key), Some(value)) = (key, self.pick_of::<Plain<F>>(At(number, new.1, new.2, 0))) else {
                    return;
                };
                let ids = (key.view().check(), value.view().check());
                let tied = Tied { key: ids.0, value: ids.1, ephemeron: Ephemeron::new(&key, value) };
                keeper.tied.change(Route::Guard, |list| {
                    push_bounded(list, tied, number);
                    self.witness.weakly(id, |model| push_bounded(&mut model.tied, ids, number));
                });
            }
            Field::Map => {
                let key = self.pick_of::<Plain<F>>(new);
                let (Some(key), Some(value)) = (key, self.pick_of::<User<F>>(At(number, new.1, new.2, 0))) else {
                    return;
                };
                let (key_id, value_id) = (key.view().check(), value.view().check());
                let old = id_of(keeper.map.insert(&key, value));
                self.witness.weakly(id, |model| {
                    model.inserted += 1;
                    assert_eq!(old, model.map.insert(key_id, value_id), "the old value of {key_id} in keeper {id}");
                });
            }
        }
    }

    fn clear(&mut self, at: At, field: Field) {
        let Some(keeper) = self.pick_of::<Keeper<F>>(at) else { return };
        let id = keeper.view().check();
        match field {
            Field::Me | Field::Fixed => {}
            Field::Cell => {
                keeper.cell.set(Weak::new());
                self.witness.weakly(id, |model| model.cell = None);
            }
            Field::Maybe => {
                drop(keeper.maybe.take());
                self.witness.weakly(id, |model| model.maybe = None);
            }
            Field::List => {
                keeper.list.change(Route::Guard, |list| {
                    drop(mem::take(list));
                    self.witness.weakly(id, |model| model.list.clear());
                });
            }
            Field::Tied => {
                keeper.tied.change(Route::Guard, |tied| {
                    tied.pop();
                    self.witness.weakly(id, |model| model.tied.pop());
                });
            }
            Field::Map if at.0.is_multiple_of(2) => {
                keeper.map.clear();
                self.witness.weakly(id, |model| {
                    model.map.clear();
                    model.inserted = 0;
                });
            }
            Field::Map => {
                let Some(key) = self.pick_of::<Plain<F>>(At(at.0 / 2, 0, 0, 0)) else { return };
                let (key_id, old) = (key.view().check(), id_of(keeper.map.remove(&key)));
                self.witness.weakly(id, |model| {
                    assert_eq!(old, model.map.remove(&key_id), "what was attached to {key_id} in keeper {id}");
                });
            }
        }
    }

    /// Upgrades under a pin what is in one keeper's cell, and puts it into another's.
    pub(super) fn move_pinned<'g>(
        &mut self,
        from: Local<'g, Keeper<F>>,
        to: Option<Local<'g, Keeper<F>>>,
        guard: &'g Guard,
    ) -> Option<Pinned<'g, F>> {
        let (from_id, weak) = (from.view().check(), from.cell.load(guard));
        let expected = self.witness.weakly(from_id, |model| model.cell).flatten();
        let found = weak.upgrade(guard);
        match (found, expected) {
            (Some(found), _) => {
                let id = found.view().check();
                assert!(!F::ALONE || expected == Some(id), "object {id} comes out of a handle to {expected:?}");
                self.witness.known(id);
            }
            (None, Some(id)) => self.witness.gone(id, &self.roots),
            (None, None) => {}
        }
        if let Some(to) = to {
            to.cell.store(weak, guard);
            self.witness.weakly(to.view().check(), |model| model.cell = expected);
        }
        found.map(User::pinned)
    }
}

/// A full list has one element exchanged.
fn push_bounded<E>(list: &mut Vec<E>, new: E, number: u8) {
    if list.len() < MOST_ELEMENTS {
        list.push(new);
    } else {
        list[usize::from(number) % MOST_ELEMENTS] = new;
    }
}
