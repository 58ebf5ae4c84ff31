//! An ordered map: a skip list, much as Java's `ConcurrentSkipListMap`.
//!
//! All entries are in one list, in the order of their keys, which never repeat. What that list says is what the map contains. Above it
//! are *lanes*, lists that contain ever fewer of the entries, so that a search passes few nodes. Lanes are hints: an entry may be missing in
//! one, or be there still after it was deleted, and only speed depends on it.
//!
//! # Deleting
//!
//! An entry whose edge to its value is none is deleted: that exchange is where a removal takes effect. It also stays deleted; its
//! key gets a new entry when it is inserted again. Then the node has to leave the list, and nobody may put a new one behind it
//! meanwhile, which would leave with it. Where pointers have bits to spare one of them would close the edge to the next node. A `GcCell` has
//! none, so a *marker* is put behind the node, a node without a key. From then on:
//!
//! - The edges of deleted node and marker do not change any more: nothing is ever put behind a marker, nor in between.
//! - Whoever comes by to insert or remove takes both out, by leading the edge to the node past the marker.
//! - So a node without a marker behind it is in the list: nothing else is ever taken out.
//!
//! # Reading
//!
//! `get` and `iter` follow the edges, markers included, and help nobody. They need not: a node that they come by was in the list at
//! some moment since they began (the first one is the map's own edge, or an entry that was not deleted when a lane led to it); if
//! it has no marker it still is; if it has, its edge is as it was at such a moment. Either way no entry was in between then.
//! So an entry that is there all the time is not missed, keys rise from node to node, and a key that is not found was
//! absent at some moment. An iteration as a whole is no snapshot: what comes or goes meanwhile may be seen or not.
//!
//! With another scheme of reclamation than a garbage collector this would be the hard part: readers on deleted nodes, and lanes
//! that lead to them for an unknown time.

use crate::heap::{Gc, GcCell, Guard, Local, Trace};
use std::{cmp::Ordering, iter::successors};

/// One entry in four that is in a lane is in the next one as well: enough for 4^12 entries. A model has fewer.
const LANES: usize = if cfg!(graphgc_loom) { 1 } else { 12 };

type Edge<K, V> = GcCell<Option<Gc<Node<K, V>>>>;
/// What an edge leads to.
type Next<'g, K, V> = Option<Local<'g, Node<K, V>>>;

/// From keys to values, in the order of the keys, for any number of threads.
///
/// Works anywhere; is fastest in a `Gc`, where its edges are counted by nobody.
#[cfg_attr(not(graphgc_loom), derive(Trace))]
pub(crate) struct Map<K: Trace, V: Trace> {
    first: Edge<K, V>,
    /// The beginnings of the lanes, the fullest first.
    lanes: [Edge<K, V>; LANES],
}

/// An entry, or a marker.
#[cfg_attr(not(graphgc_loom), derive(Trace))]
struct Node<K: Trace, V: Trace> {
    /// None in a marker. Less than every key then, as `Option` has it, so searches pass on.
    key: Option<K>,
    /// None in a deleted entry, and in a marker.
    value: GcCell<Option<Gc<V>>>,
    next: Edge<K, V>,
    /// Its edges in the lanes that it is in.
    lanes: Box<[Edge<K, V>]>,
}

impl<K: Trace, V: Trace> Node<K, V> {
    fn entry(key: K, height: usize) -> Self {
        let lanes = (0..height).map(|_| GcCell::new(None)).collect();
        Node { key: Some(key), value: GcCell::new(None), next: GcCell::new(None), lanes }
    }

    fn marker() -> Self {
        Node { key: None, value: GcCell::new(None), next: GcCell::new(None), lanes: Box::default() }
    }

    fn is_marker(&self) -> bool {
        self.key.is_none()
    }

    fn is_deleted(&self, guard: &Guard) -> bool {
        self.value.load(guard).is_none()
    }

    /// Puts another value in, and gives back the one that was there: none if the entry is deleted, and nothing has been done.
    fn replace<'g>(&self, value: Local<'_, V>, guard: &'g Guard) -> Option<Local<'g, V>> {
        let mut before = self.value.load(guard);
        loop {
            match self.value.compare_exchange(Some(before?), Some(value), guard) {
                Ok(before) => return before,
                Err(now) => before = now,
            }
        }
    }

    /// Sees to it that a marker is behind this deleted entry.
    fn close(&self, guard: &Guard) {
        let mut next = self.next.load(guard);
        if next.is_some_and(|node| node.is_marker()) {
            return;
        }
        let marker = guard.alloc(Node::marker());
        while !next.is_some_and(|node| node.is_marker()) {
            marker.next.store(next, guard);
            match self.next.compare_exchange(next, Some(marker), guard) {
                Ok(_) => return,
                Err(now) => next = now,
            }
        }
    }
}

/// A place in a list.
struct Place<'a, 'g, K: Trace, V: Trace> {
    /// The edge of the last node before the key.
    edge: &'a Edge<K, V>,
    /// Where it leads: to an entry with that key, a greater one, or nowhere.
    next: Next<'g, K, V>,
}

impl<K: Trace + Ord, V: Trace> Map<K, V> {
    pub(crate) fn new() -> Self {
        Map { first: GcCell::new(None), lanes: std::array::from_fn(|_| GcCell::new(None)) }
    }

    pub(crate) fn get<'g>(&self, key: &K, guard: &'g Guard) -> Option<Local<'g, V>> {
        let mut next = self.start(key, guard).load(guard);
        loop {
            let node = next?;
            match node.key.as_ref().cmp(&Some(key)) {
                Ordering::Less => next = node.next.load(guard),
                Ordering::Equal => return node.value.load(guard),
                Ordering::Greater => return None,
            }
        }
    }

    /// Puts an entry in, in the place of the one with the same key, whose value it gives back.
    pub(crate) fn insert<'g>(&self, key: K, value: V, guard: &'g Guard) -> Option<Local<'g, V>> {
        let value = guard.alloc(value);
        self.insert_with_height(key, value, random_height(value), guard)
    }

    /// An entry is in as many lanes as it is high.
    pub(crate) fn insert_with_height<'g>(
        &self,
        key: K,
        value: Local<'_, V>,
        height: usize,
        guard: &'g Guard,
    ) -> Option<Local<'g, V>> {
        let node = guard.alloc(Node::entry(key, height));
        node.value.store(Some(value), guard);
        let Some(key) = &Local::get(node).key else { unreachable!("it is an entry") };
        loop {
            let place = self.find(key, guard);
            match place.entry_of(key) {
                Some(entry) => match entry.replace(value, guard) {
                    None => entry.close(guard),
                    before => return before,
                },
                None => {
                    node.next.store(place.next, guard);
                    if place.edge.compare_exchange(place.next, Some(node), guard).is_ok() {
                        self.enter_lanes(node, key, guard);
                        return None;
                    }
                }
            }
        }
    }

    /// Deletes the entry, and gives back its value.
    pub(crate) fn remove<'g>(&self, key: &K, guard: &'g Guard) -> Option<Local<'g, V>> {
        let entry = self.find(key, guard).entry_of(key)?;
        let value = entry.value.swap(None, guard)?;
        entry.close(guard);
        self.find(key, guard);
        Some(value)
    }

    /// The entries in the order of their keys: all that are there from beginning to end of the iteration, and perhaps some that come or go
    /// meanwhile.
    pub(crate) fn iter<'g>(&self, guard: &'g Guard) -> impl Iterator<Item = (&'g K, &'g V)> + use<'g, K, V> {
        entries(&self.first, guard)
    }

    /// [`iter`](Self::iter) without the keys before `key`.
    ///
    /// A long iteration does well to stop at times, repin, and go on from here: while a pin is held, no memory is freed.
    pub(crate) fn iter_from<'a, 'g: 'a>(
        &'a self,
        key: &'a K,
        guard: &'g Guard,
    ) -> impl Iterator<Item = (&'g K, &'g V)> + use<'a, 'g, K, V> {
        entries(self.start(key, guard), guard).skip_while(move |(other, _)| *other < key)
    }

    /// The place of `key` in the list. Takes out the deleted entries that it comes by.
    fn find<'a, 'g: 'a>(&'a self, key: &K, guard: &'g Guard) -> Place<'a, 'g, K, V> {
        'start: loop {
            let mut edge = self.start(key, guard);
            loop {
                let next = edge.load(guard);
                let Some(node) = next else { return Place { edge, next } };
                if node.is_marker() {
                    // The entry whose edge this is has been deleted.
                    continue 'start;
                }
                match node.next.load(guard) {
                    Some(marker) if marker.is_marker() => {
                        // If that fails something has happened to the edge: look again.
                        let _ = edge.compare_exchange(next, marker.next.load(guard), guard);
                    }
                    _ if node.key.as_ref() < Some(key) => edge = &Local::get(node).next,
                    _ => return Place { edge, next },
                }
            }
        }
    }

    /// An edge of the list before the place of `key`, found by way of the lanes.
    fn start<'a, 'g: 'a>(&'a self, key: &K, guard: &'g Guard) -> &'a Edge<K, V> {
        let (_, before) = self.find_in_lane(0, key, guard);
        before.map_or(&self.first, |node| &Local::get(node).next)
    }

    /// The place of `key` in a lane, and the last entry before it, which was not deleted. Takes the deleted entries that it comes
    /// by out of their lanes.
    fn find_in_lane<'a, 'g: 'a>(
        &'a self,
        lane: usize,
        key: &K,
        guard: &'g Guard,
    ) -> (Place<'a, 'g, K, V>, Next<'g, K, V>) {
        let mut before: Next<'g, K, V> = None;
        let mut height = LANES;
        loop {
            height -= 1;
            let mut edge: &'a Edge<K, V> = before.map_or(&self.lanes[height], |node| &Local::get(node).lanes[height]);
            let next = loop {
                let next = edge.load(guard);
                let Some(node) = next else { break None };
                let after = &Local::get(node).lanes[height];
                if node.is_deleted(guard) {
                    let _ = edge.compare_exchange(next, after.load(guard), guard);
                } else if node.key.as_ref() < Some(key) {
                    (before, edge) = (next, after);
                } else {
                    break next;
                }
            };
            if height == lane {
                return (Place { edge, next }, before);
            }
        }
    }

    /// Puts an entry of the list into its lanes.
    fn enter_lanes(&self, node: Local<'_, Node<K, V>>, key: &K, guard: &Guard) {
        for (lane, after) in node.lanes.iter().enumerate() {
            loop {
                let (place, _) = self.find_in_lane(lane, key, guard);
                after.store(place.next, guard);
                if place.edge.compare_exchange(place.next, Some(node), guard).is_ok() {
                    break;
                }
            }
        }
        if node.is_deleted(guard) {
            // Whoever deleted it may have looked at the lanes before it was there.
            self.find_in_lane(0, key, guard);
        }
    }
}

impl<'g, K: Trace + Ord, V: Trace> Place<'_, 'g, K, V> {
    fn entry_of(&self, key: &K) -> Option<&'g Node<K, V>> {
        self.next.map(Local::get).filter(|node| node.key.as_ref() == Some(key))
    }
}

fn entries<'g, K: Trace, V: Trace>(
    edge: &Edge<K, V>,
    guard: &'g Guard,
) -> impl Iterator<Item = (&'g K, &'g V)> + use<'g, K, V> {
    let nodes = successors(edge.load(guard), |node| node.next.load(guard));
    nodes.filter_map(|node| Some((Local::get(node).key.as_ref()?, Local::get(node.value.load(guard)?))))
}

/// 0 for three values out of four, 1 for three of four others, and so on. What is random about it is the address.
fn random_height<V>(value: Local<'_, V>) -> usize {
    let mut mixed = Local::as_ptr(value).addr() as u64;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed >> 33).trailing_zeros() as usize / 2).min(LANES)
}
