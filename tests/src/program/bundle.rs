//! Collections of edges that threads share. In the model they are a list, a map and a set.
//!
//! Other threads may change them between any two steps, so that what names a place by its index happens only where there is one thread.

use super::{
    content::{Change, Content, KEYS, MOST_ELEMENTS},
    machine::Machine,
    node::{Any, Family, Frees, Node, Plain, User},
    op::{At, Many},
    vectors::EdgeVec,
    witness::Witness,
};
use crate::payload::Canary;
use graphgc::{Gc, GcMap, GcSet, GcVec, Local, Trace, pin};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{Hash, Hasher},
    mem,
};

/// Collections of edges.
#[derive(Trace)]
#[trace(bound = "F: Family")]
pub struct Bundle<F: Family> {
    pub(super) canary: Canary,
    pub(super) list: GcVec<Gc<Plain<F>>>,
    /// A vector as threads have it to themselves, if they do.
    pub(super) own: F::Edges,
    pub(super) map: GcMap<u8, Gc<User<F>>>,
    pub(super) set: GcSet<Gc<Frees<F>>>,
}

impl<F: Family> PartialEq for Frees<F> {
    fn eq(&self, other: &Self) -> bool {
        self.view().check() == other.view().check()
    }
}

impl<F: Family> Eq for Frees<F> {}

impl<F: Family> Hash for Frees<F> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Some collide.
        (self.view().check() / 2).hash(state);
    }
}

impl<F: Family> Bundle<F> {
    /// A bundle of these.
    pub(super) fn new(id: u32, list: Vec<Gc<Plain<F>>>, users: Vec<Gc<User<F>>>, set: Vec<Gc<Frees<F>>>) -> Self {
        Bundle {
            canary: Canary::new(id),
            list: list.into(),
            own: Default::default(),
            map: (0..KEYS).zip(users).collect(),
            set: set.into_iter().collect(),
        }
    }

    /// All that is in one of the collections, unless another thread is writing.
    pub(super) fn read(&self, place: usize) -> Option<Content<Any<F>>> {
        Some(match place {
            0 => self.list.look(false, plain)?,
            1 => Content::Map(self.map.try_read()?.iter().map(|(key, user)| (*key, Any::User(user.clone()))).collect()),
            3 => self.own.look(false, plain)?,
            _ => Content::Set(self.set.try_read()?.iter().cloned().map(Any::Frees).collect()),
        })
    }
}

fn plain<F: Family>(edges: &[Gc<Plain<F>>]) -> Content<Any<F>> {
    Content::List(edges.iter().cloned().map(Any::Plain).collect())
}

fn list(model: &mut Content<u32>) -> &mut Vec<u32> {
    match model {
        Content::List(list) => list,
        _ => unreachable!("the model of a vector of edges"),
    }
}

fn map(model: &mut Content<u32>) -> &mut HashMap<u8, u32> {
    match model {
        Content::Map(map) => map,
        _ => unreachable!("the model of a map of edges"),
    }
}

fn set(model: &mut Content<u32>) -> &mut BTreeSet<u32> {
    match model {
        Content::Set(set) => set,
        _ => unreachable!("the model of a set of edges"),
    }
}

fn ids_of<F: Family, T: Node<F>>(edges: &[Gc<T>]) -> Vec<u32> {
    edges.iter().map(|edge| edge.view().check()).collect()
}

/// Keeps those with an even id.
fn stays(id: u32) -> bool {
    id.is_multiple_of(2)
}

impl<F: Family> Machine<F> {
    pub(super) fn change_bundle(&mut self, at: At, place: u8, change: Change, new: Many) {
        let Some(bundle) = self.pick_of::<Bundle<F>>(at) else { return };
        let id = bundle.canary.check();
        match place % 4 {
            0 => {
                let new = self.pick_many_of(new);
                let out = self.change_edge_list(&bundle.list, (id, 0), change, new);
                self.receive(out.into_iter().map(Any::Plain));
            }
            3 => {
                let new = self.pick_many_of(new);
                let out = self.change_edge_list(&bundle.own, (id, 3), change, new);
                self.receive(out.into_iter().map(Any::Plain));
            }
            1 => {
                let new = self.pick_many_of(new);
                let out = self.change_edge_map(&bundle.map, id, change, new);
                self.receive(out.into_iter().map(Any::User));
            }
            _ => {
                let new = self.pick_many_of(new);
                let out = self.change_edge_set(&bundle.set, id, change, new);
                self.receive(out.into_iter().map(Any::Frees));
            }
        }
    }

    /// The same to the model; what comes out of both is the same.
    fn note_bundle<T: Node<F>>(
        &mut self,
        (id, place): (u32, usize),
        out: &[Gc<T>],
        change: impl FnOnce(&mut Content<u32>) -> Vec<u32>,
    ) {
        self.witness.note(id, place, |model| {
            assert_eq!(ids_of(out), change(model), "what came out of place {place} of object {id}");
        });
    }

    fn change_edge_list(
        &mut self,
        edges: &impl EdgeVec<Plain<F>>,
        at: (u32, usize),
        change: Change,
        new: Vec<Gc<Plain<F>>>,
    ) -> Vec<Gc<Plain<F>>> {
        let new_ids = ids_of(&new);
        let within = |index: u8| usize::from(index) % edges.len().max(1);
        let some = F::ALONE && !edges.is_empty();
        let mut out = Vec::new();
        match change {
            Change::Add => {
                edges.add(new);
                while edges.len() > MOST_ELEMENTS {
                    out.extend(edges.pop());
                }
                self.note_bundle(at, &out, |model| {
                    let model = list(model);
                    model.extend(new_ids);
                    model.split_off(model.len().min(MOST_ELEMENTS)).into_iter().rev().collect()
                });
            }
            Change::AddFirst => {
                let guard = pin();
                let one = new.into_iter().next();
                if let Some(one) = one.filter(|_| edges.len() < MOST_ELEMENTS) {
                    edges.push_local(one.local(&guard), &guard);
                    edges.turn_round();
                    self.note_bundle(at, &out, |model| {
                        list(model).push(new_ids[0]);
                        list(model).reverse();
                        Vec::new()
                    });
                }
            }
            Change::Pop => {
                out.extend(edges.pop());
                self.note_bundle(at, &out, |model| list(model).pop().into_iter().collect());
            }
            Change::PopFirst if some => {
                out.push(edges.remove(0));
                self.note_bundle(at, &out, |model| vec![list(model).remove(0)]);
            }
            Change::Remove(index) if some => {
                let index = within(index);
                out.push(edges.remove(index));
                self.note_bundle(at, &out, |model| vec![list(model).remove(index)]);
            }
            Change::SwapRemove(index) if some => {
                let index = within(index);
                out.push(edges.swap_remove(index));
                self.note_bundle(at, &out, |model| vec![list(model).swap_remove(index)]);
            }
            Change::Put(index) if some && !new.is_empty() => {
                let (index, one) = (within(index), new.into_iter().next().expect("not empty"));
                out.push(edges.replace(index, one));
                self.note_bundle(at, &out, |model| vec![mem::replace(&mut list(model)[index], new_ids[0])]);
            }
            Change::Rotate(index) if some => {
                let index = within(index);
                edges.swap(0, index);
                self.note_bundle(at, &out, |model| {
                    list(model).swap(0, index);
                    Vec::new()
                });
            }
            Change::Drain(index) | Change::Split(index) if some => {
                let index = within(index);
                out.extend(edges.split_off(index));
                self.note_bundle(at, &out, |model| list(model).split_off(index));
            }
            Change::Retain => {
                edges.retain(|edge| stays(edge.view().check()));
                self.note_bundle(at, &out, |model| {
                    list(model).retain(|id| stays(*id));
                    Vec::new()
                });
            }
            Change::Reverse => {
                let key = |edge: &Gc<Plain<F>>| Reverse(edge.view().check());
                edges.sort_by(|a, b| key(a).cmp(&key(b)));
                self.note_bundle(at, &out, |model| {
                    list(model).sort_by_key(|id| Reverse(*id));
                    Vec::new()
                });
            }
            Change::Clear => {
                edges.clear();
                self.note_bundle(at, &out, |model| {
                    list(model).clear();
                    Vec::new()
                });
            }
            Change::Take | Change::Exchange => {
                out.extend(edges.take_all());
                self.note_bundle(at, &out, |model| mem::take(list(model)));
            }
            _ => {
                let guard = pin();
                let met = edges.met(&guard);
                self.note_bundle(at, &met, |model| list(model).clone());
            }
        }
        out
    }

    fn change_edge_map(
        &mut self,
        edges: &GcMap<u8, Gc<User<F>>>,
        id: u32,
        change: Change,
        new: Vec<Gc<User<F>>>,
    ) -> Vec<Gc<User<F>>> {
        let (new_ids, at) = (ids_of(&new), (id, 1));
        let mut out = Vec::new();
        match change {
            Change::Add => {
                let keys = || (0..KEYS).rev();
                keys().zip(new).for_each(|(key, user)| out.extend(edges.insert(key, user)));
                self.note_bundle(at, &out, |model| {
                    keys().zip(new_ids).filter_map(|(key, id)| map(model).insert(key, id)).collect()
                });
            }
            Change::AddFirst | Change::Refill(_) => {
                let keys = || 0..KEYS;
                let added = keys().zip(new).map(|(key, user)| edges.get_or_insert_with(key, || user));
                out.extend(added);
                self.note_bundle(at, &out, |model| {
                    keys().zip(new_ids).map(|(key, id)| *map(model).entry(key).or_insert(id)).collect()
                });
            }
            Change::Put(key) if !new.is_empty() => {
                let (key, guard) = (key % KEYS, pin());
                edges.store(key, new[0].local(&guard), &guard);
                self.note_bundle(at, &out, |model| {
                    map(model).insert(key, new_ids[0]);
                    Vec::new()
                });
            }
            Change::Remove(key) | Change::SwapRemove(key) | Change::Rotate(key) => {
                out.extend(edges.remove(&(key % KEYS)));
                self.note_bundle(at, &out, |model| map(model).remove(&(key % KEYS)).into_iter().collect());
            }
            Change::Drain(_) | Change::Take => {
                let taken: BTreeMap<u8, Gc<User<F>>> = edges.drain().collect();
                out.extend(taken.into_values());
                self.note_bundle(at, &out, |model| {
                    mem::take(map(model)).into_iter().collect::<BTreeMap<_, _>>().into_values().collect()
                });
            }
            Change::Retain => {
                edges.retain(|key, user| stays(u32::from(*key) + user.view().check()));
                self.note_bundle(at, &out, |model| {
                    map(model).retain(|key, id| stays(u32::from(*key) + *id));
                    Vec::new()
                });
            }
            Change::Clear => {
                edges.clear();
                self.note_bundle(at, &out, |model| {
                    map(model).clear();
                    Vec::new()
                });
            }
            _ => {
                let guard = pin();
                let met: BTreeMap<u8, Gc<User<F>>> =
                    edges.iter_pinned(&guard).map(|(key, user)| (key, user.to_gc())).collect();
                let met: Vec<_> = met.into_values().collect();
                self.note_bundle(at, &met, |model| {
                    map(model).clone().into_iter().collect::<BTreeMap<_, _>>().into_values().collect()
                });
            }
        }
        out
    }

    fn change_edge_set(
        &mut self,
        edges: &GcSet<Gc<Frees<F>>>,
        id: u32,
        change: Change,
        new: Vec<Gc<Frees<F>>>,
    ) -> Vec<Gc<Frees<F>>> {
        let (new_ids, at) = (ids_of(&new), (id, 2));
        let by_id = |mut frees: Vec<Gc<Frees<F>>>| {
            frees.sort_by_key(|one| one.view().check());
            frees
        };
        let mut out = Vec::new();
        match change {
            Change::Add => {
                edges.extend(new);
                self.note_bundle(at, &out, |model| {
                    set(model).extend(new_ids);
                    Vec::new()
                });
            }
            Change::AddFirst | Change::Refill(_) => {
                out.extend(new.into_iter().map(|one| edges.get_or_insert(one)));
                self.note_bundle(at, &out, |model| {
                    set(model).extend(&new_ids);
                    new_ids
                });
            }
            Change::Put(_) => {
                out.extend(new.into_iter().filter_map(|one| edges.replace(one)));
                self.note_bundle(at, &out, |model| {
                    new_ids.into_iter().filter_map(|id| set(model).replace(id)).collect()
                });
            }
            Change::Remove(_) | Change::SwapRemove(_) | Change::Rotate(_) => {
                out.extend(new.iter().filter_map(|one| edges.take(&**one)));
                self.note_bundle(at, &out, |model| new_ids.into_iter().filter_map(|id| set(model).take(&id)).collect());
            }
            Change::Drain(_) | Change::Take => {
                out.extend(by_id(edges.drain().collect()));
                self.note_bundle(at, &out, |model| mem::take(set(model)).into_iter().collect());
            }
            Change::Retain => {
                edges.retain(|one| stays(one.view().check()));
                self.note_bundle(at, &out, |model| {
                    set(model).retain(|id| stays(*id));
                    Vec::new()
                });
            }
            Change::Clear => {
                edges.clear();
                self.note_bundle(at, &out, |model| {
                    set(model).clear();
                    Vec::new()
                });
            }
            _ => {
                let guard = pin();
                let met = by_id(edges.iter_pinned(&guard).map(Local::to_gc).collect());
                self.note_bundle(at, &met, |model| set(model).iter().copied().collect());
            }
        }
        out
    }
}
