//! What maps and sets share: edges, an index of the same order beside them, and one lock for both.
//!
//! The lock is that of the edges. Readers have both for reading. Whoever changes something *reserves* the edges (the module above): readers and
//! writers are kept out, the marker, which never looks at the index, is let in. So users' code (`Eq`, or what decides which entries stay) runs with neither an operation open nor
//! the marker kept waiting, and if it panics nothing has been changed. Then the index is changed, which runs no code of users and cannot fail, and then the
//! edges, which is an operation as in a vector. Keys that go are dropped when all is free again.
//!
//! Keys are leaves: the collector does not trace them, and drops them with their table.

use super::{
    Element,
    buffer::{Buffer, Loan},
    edges::{EdgeCollection, Edges, Reserved, Writer},
    index::{Entry, Index},
};
use crate::{
    cell::lock_cell::Reading,
    heap::header::Object,
    sync::const_fn,
    trace::{Facts, Info, Trace, Tracer, facts::Both, private::drop_untraced},
};
use std::{
    cell::UnsafeCell,
    hash::{BuildHasher, Hash},
    marker::PhantomData,
};

/// See the module's head.
pub(super) struct Table<K, P, S> {
    edges: Edges<P>,
    /// As long as the edges, whenever nobody has the table reserved.
    index: UnsafeCell<Index<K>>,
    hasher: S,
}

// SAFETY: the lock lets many read keys and edges or one change them; the hasher is only read.
unsafe impl<K: Send + Sync, P: Send + Sync, S: Sync> Sync for Table<K, P, S> {}

impl<K, P, S> Table<K, P, S> {
    const_fn! {
        pub(super) fn new(hasher: S) -> Self {
            Table { edges: Edges::new(Buffer::new()), index: UnsafeCell::new(Index::new()), hasher }
        }
    }

    pub(super) fn hasher(&self) -> &S {
        &self.hasher
    }

    /// Runs users' code, so with no lock held.
    pub(super) fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64
    where
        S: BuildHasher,
    {
        self.hasher.hash_one(key)
    }

    /// Locks for reading.
    #[inline]
    pub(super) fn read(&self) -> TableRef<'_, K, P> {
        self.locked(self.edges.read())
    }

    /// Locks for reading if nobody writes.
    pub(super) fn try_read(&self) -> Option<TableRef<'_, K, P>> {
        self.edges.try_read().map(|read| self.locked(read))
    }

    fn locked<'a>(&'a self, (right, edges): (Reading<'a>, *const [P])) -> TableRef<'a, K, P> {
        TableRef { right, index: self.index.get(), edges, content: PhantomData }
    }

    /// The number of edges now, whoever holds the lock.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.edges.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.edges.capacity()
    }

    /// Keys and edges of a table that the caller has to itself.
    pub(super) fn get_mut(&mut self) -> (&mut Index<K>, Loan<'_, P>) {
        (self.index.get_mut(), self.edges.get_mut())
    }

    pub(super) fn into_inner(self) -> (Index<K>, Vec<P>) {
        (self.index.into_inner(), self.edges.into_inner())
    }
}

impl<K, P: Element, S> Table<K, P, S> {
    /// Reserves the table. Waits for it, parked.
    #[inline]
    pub(super) fn reserved(&self) -> Change<'_, K, P> {
        Change { edges: self.edges.reserved(), index: &self.index }
    }

    /// Makes room.
    ///
    /// # Panics
    /// As `HashMap::reserve`.
    pub(super) fn reserve(&self, additional: usize) {
        let mut change = self.reserved();
        change.index_mut().reserve(additional);
        change.grow(additional);
    }

    /// Takes everything out.
    pub(super) fn clear(&self) {
        drop(self.reserved().retain(|_, _| false));
    }

    /// In a table that the caller has to itself: puts an edge in, in the place of that for the same key if `is` finds it, which it gives back with
    /// the new key.
    pub(super) fn put(&mut self, hash: u64, key: K, edge: P, is: impl Fn(&K, &K, &P, &P) -> bool) -> Option<(K, P)> {
        let (index, mut edges) = self.get_mut();
        if let Some(at) = index.find(hash, |at, other| is(&key, other, &edge, &edges[at])) {
            return Some((key, std::mem::replace(&mut edges[at], edge)));
        }
        index.reserve(1);
        edges.push_growing(edge);
        index.push(hash, key);
        None
    }
}

/// A table locked for reading.
pub(super) struct TableRef<'a, K, P> {
    right: Reading<'a>,
    index: *const Index<K>,
    edges: *const [P],
    content: PhantomData<&'a (K, P)>,
}

// SAFETY: a shared guard gives no more than `&K` and `&P`.
unsafe impl<K: Sync, P: Sync> Sync for TableRef<'_, K, P> {}

impl<K, P> TableRef<'_, K, P> {
    fn index(&self) -> &Index<K> {
        let _locked = &self.right;
        // SAFETY: the right keeps writers out while it lives.
        unsafe { &*self.index }
    }

    pub(super) fn entries(&self) -> &[Entry<K>] {
        self.index().entries()
    }

    pub(super) fn edges(&self) -> &[P] {
        let _locked = &self.right;
        // SAFETY: as above.
        unsafe { &*self.edges }
    }

    /// The place of the entry with this hash that `is` says, users' code included.
    #[inline]
    pub(super) fn find(&self, hash: u64, mut is: impl FnMut(&K, &P) -> bool) -> Option<usize> {
        self.index().find(hash, |at, key| is(key, &self.edges()[at]))
    }
}

/// A table that is about to be changed: reserved.
pub(super) struct Change<'a, K, P: Element> {
    edges: Reserved<'a, P>,
    index: &'a UnsafeCell<Index<K>>,
}

impl<K, P: Element> Change<'_, K, P> {
    fn index(&self) -> &Index<K> {
        // SAFETY: the reservation keeps all others out, and `&self` a change of our own.
        unsafe { &*self.index.get() }
    }

    fn index_mut(&mut self) -> &mut Index<K> {
        // SAFETY: the reservation keeps all others out, and `&mut self` other references of our own.
        unsafe { &mut *self.index.get() }
    }

    pub(super) fn edge(&self, at: usize) -> &P {
        &self.edges.elements()[at]
    }

    /// The place of the entry with this hash that `is` says, users' code included.
    #[inline]
    pub(super) fn find(&self, hash: u64, mut is: impl FnMut(&K, &P) -> bool) -> Option<usize> {
        let edges = self.edges.elements();
        self.index().find(hash, |at, key| is(key, &edges[at]))
    }

    /// Whether an entry can be pushed; if not, the table has to [`grow`](Self::grow) and be reserved again.
    pub(super) fn has_room(&mut self) -> bool {
        self.index_mut().reserve(1);
        self.edges.has_room()
    }

    /// Makes room for more edges, and gives the table up.
    ///
    /// # Panics
    /// As `Vec::reserve`.
    pub(super) fn grow(self, additional: usize) {
        self.edges.grow(additional, false).unwrap_or_else(|_| super::refused(additional));
    }

    /// Puts a new entry in, for which there is room.
    #[inline]
    pub(super) fn push(mut self, hash: u64, key: K, edge: P) {
        self.index_mut().push(hash, key);
        let pushed = self.edges.write(|mut writer| writer.push(edge));
        debug_assert!(pushed.is_ok());
    }

    /// As [`push`](Self::push), with the edge to an object that only a pin may keep.
    pub(super) fn push_pinned(mut self, hash: u64, key: K, object: Option<Object>) {
        self.index_mut().push(hash, key);
        let pushed = self.edges.write(|mut writer| writer.push_pinned(object));
        debug_assert!(pushed);
    }

    /// Changes the edge at a place that there is.
    pub(super) fn replace(self, at: usize, edge: P) -> P {
        let replaced = self.edges.write(|mut writer| writer.replace(at, edge));
        replaced.unwrap_or_else(|_| unreachable!("it was found"))
    }

    /// As [`replace`](Self::replace), with the edge to an object that only a pin may keep, and the old one ends.
    pub(super) fn set_pinned(self, at: usize, object: Option<Object>) {
        drop(self.edges.write(|mut writer| writer.set_pinned(at, object)).expect("it was found"));
    }

    /// Takes an entry out.
    pub(super) fn remove(mut self, at: usize) -> (K, P) {
        let key = self.index_mut().swap_remove(at);
        let removed = self.edges.write(|mut writer: Writer<'_, P>| writer.swap_remove(at));
        (key, removed.expect("it was found"))
    }

    /// Takes all entries out but those that `keep` says. The keys of the others are for the caller to drop.
    pub(super) fn retain(self, mut keep: impl FnMut(&K, &P) -> bool) -> Vec<K> {
        let edges = self.edges.elements();
        let stays: Vec<bool> =
            self.index().entries().iter().zip(edges).map(|(entry, edge)| keep(&entry.key, edge)).collect();
        let order: Vec<usize> = (0..stays.len()).filter(|&at| stays[at]).collect();
        if order.len() == stays.len() {
            return Vec::new();
        }
        let mut gone = Vec::new();
        let index = self.index.get();
        // SAFETY: as in `index_mut`: the reservation lasts until the edges have been put in their places.
        self.edges.rearrange(None, &order, || gone = unsafe { &mut *index }.retain(&stays));
        gone
    }
}

/// Info of keys and a hasher, which are leaves.
pub struct Keys<I, S>(PhantomData<(I, S)>);

impl<I: Info, S> Info for Keys<I, S> {
    const FACTS: Facts = Facts { drop: I::Behind::FACTS.drop, ..Facts::PLAIN }.and(Facts::leaf::<S>()).contained();
    type Behind = Self;
}

/// Info of a table with keys of info `I`.
pub(super) type TableInfo<I, S> = Both<EdgeCollection, Keys<I, S>>;

impl<K, P: Element, S> Table<K, P, S> {
    pub(super) fn trace(&self, tracer: &mut Tracer<'_>) {
        self.edges.trace(tracer);
    }

    /// # Safety
    /// As for [`Trace::drop_swept`]; keys and hasher may be dropped on any thread.
    pub(super) unsafe fn drop_swept(&mut self) {
        // SAFETY: by contract. Whatever handles there are in keys are counted.
        unsafe {
            self.edges.drop_swept();
            drop_untraced(&mut self.index);
            drop_untraced(&mut self.hasher);
        }
    }
}
