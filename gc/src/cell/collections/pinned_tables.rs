//! Maps and sets under a pin: values come and go as `Local`s. As for vectors, what is there is copied under the lock, a batch at a time.
//!
//! Iterating goes from the last entry to the first: a removal moves the last entry forwards, to where the iterator has still to come, or to where it has been if it
//! has met both.

use super::{Element, MapKey, map::GcMap, set::GcSet, table::Table};
use crate::{cell::gc_cell::sealed::PinnedEdge, handle::Guard};
use std::{
    borrow::Borrow,
    hash::{BuildHasher, Hash},
    vec,
};

/// Entries that are copied at once.
const BATCH: usize = 64;

/// What a pin may hold for an edge that is in a collection now.
fn pinned<'g, P: Element>(edge: &P, _guard: &'g Guard) -> P::Local<'g> {
    // SAFETY: the object is reachable through the collection now, when the pin is held.
    unsafe { P::Local::from_object(edge.object()) }
}

impl<K: MapKey + Hash + Eq, P: Element, S: BuildHasher> GcMap<K, P, S> {
    /// The value for `key` for as long as the guard is held, if there is one. Cost: the lock for reading, and a look-up; nothing is counted.
    ///
    /// ```
    /// use graphgc::{Gc, GcMap, pin};
    ///
    /// let numbers = GcMap::from([("one", Gc::new(1))]);
    /// let guard = pin();
    /// let one = numbers.load("one", &guard).unwrap();
    /// numbers.clear();
    /// assert_eq!(*one, 1);
    /// ```
    pub fn load<'g, Q: Hash + Eq + ?Sized>(&self, key: &Q, guard: &'g Guard) -> Option<P::Local<'g>>
    where
        K: Borrow<Q>,
    {
        self.read().get(key).map(|edge| pinned(edge, guard))
    }

    /// Makes `edge`, which a pin may be all that keeps, the value for `key`. Cost: as [`insert`](Self::insert), but that nothing is
    /// counted for what comes in if the map lies in the heap.
    ///
    /// # Panics
    /// As `HashMap::insert`.
    ///
    /// ```
    /// use graphgc::{Gc, GcMap, pin};
    ///
    /// let numbers: GcMap<u32, Gc<u32>> = GcMap::new();
    /// let guard = pin();
    /// numbers.store(7, guard.alloc(49), &guard);
    /// assert_eq!(*numbers.get(&7).unwrap(), 49);
    /// ```
    pub fn store(&self, key: K, edge: P::Local<'_>, _guard: &Guard) {
        let object = edge.into_object();
        let hash = self.table().hash(&key);
        loop {
            let mut change = self.table().reserved();
            if let Some(at) = change.find(hash, |other, _| *other == key) {
                change.set_pinned(at, object);
                return;
            }
            if change.has_room() {
                change.push_pinned(hash, key, object);
                return;
            }
            change.grow(1);
        }
    }
}

impl<K: MapKey + Clone, P: Element, S> GcMap<K, P, S> {
    /// Goes over the entries, with no lock held between two calls: the map may be changed meanwhile, also by the loop itself. An entry that is there all the time
    /// is met; if others are removed meanwhile it may be met twice. Cost: the lock for reading, once for some dozens of entries, and a clone of each key.
    ///
    /// For a consistent view iterate over [`read()`](Self::read).
    ///
    /// ```
    /// use graphgc::{Gc, GcMap, pin};
    ///
    /// let numbers: GcMap<u32, _> = (0..1000).map(|n| (n, Gc::new(n))).collect();
    /// let guard = pin();
    /// for (key, number) in numbers.iter_pinned(&guard) {
    ///     if *number % 2 == 0 {
    ///         numbers.remove(&key);
    ///     }
    /// }
    /// assert_eq!(numbers.len(), 500);
    /// ```
    pub fn iter_pinned<'g>(&self, guard: &'g Guard) -> impl Iterator<Item = (K, P::Local<'g>)> {
        PinnedEntries { table: self.table(), guard, left: usize::MAX, batch: Vec::new().into_iter() }
    }
}

impl<P: Element + Hash + Eq, S: BuildHasher> GcSet<P, S> {
    /// The element that is equal to `value` for as long as the guard is held, if there is one. Cost: the lock for reading, and a look-up; nothing
    /// is counted.
    pub fn load<'g, Q: Hash + Eq + ?Sized>(&self, value: &Q, guard: &'g Guard) -> Option<P::Local<'g>>
    where
        P: Borrow<Q>,
    {
        self.read().get(value).map(|edge| pinned(edge, guard))
    }
}

impl<P: Element, S> GcSet<P, S> {
    /// Goes over the elements, with no lock held between two calls: the set may be changed meanwhile, also by the loop itself. An element that is there all the time
    /// is met; if others are removed meanwhile it may be met twice. Cost: the lock for reading, once for some dozens of elements.
    ///
    /// For a consistent view iterate over [`read()`](Self::read).
    ///
    /// ```
    /// use graphgc::{Gc, GcSet, pin};
    ///
    /// let numbers: GcSet<_> = (1..=3).map(Gc::new).collect();
    /// let guard = pin();
    /// assert_eq!(numbers.iter_pinned(&guard).map(|number| *number).sum::<u32>(), 6);
    /// ```
    pub fn iter_pinned<'g>(&self, guard: &'g Guard) -> impl Iterator<Item = P::Local<'g>> {
        let entries = PinnedEntries { table: self.table(), guard, left: usize::MAX, batch: Vec::new().into_iter() };
        entries.map(|((), edge)| edge)
    }
}

struct PinnedEntries<'a, 'g, K, P: Element, S> {
    table: &'a Table<K, P, S>,
    guard: &'g Guard,
    /// The entries from here on have been met.
    left: usize,
    batch: vec::IntoIter<(K, P::Local<'g>)>,
}

impl<'g, K: Clone, P: Element, S> Iterator for PinnedEntries<'_, 'g, K, P, S> {
    type Item = (K, P::Local<'g>);

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(entry) = self.batch.next() {
            return Some(entry);
        }
        let table = self.table.read();
        let (keys, edges) = (table.entries(), table.edges());
        let left = self.left.min(edges.len());
        let from = left.saturating_sub(BATCH);
        let entry = |at: usize| (keys[at].key.clone(), pinned(&edges[at], self.guard));
        self.batch = (from..left).rev().map(entry).collect::<Vec<_>>().into_iter();
        self.left = from;
        self.batch.next()
    }
}
