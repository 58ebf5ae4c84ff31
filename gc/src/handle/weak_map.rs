//! `WeakMap`: values attached to objects from outside.
//!
//! A hash table by the keys' addresses, which never change. Its chains are made of entries, objects with an ephemeron's word (`collector::ephemerons`) and an
//! edge to the next entry; the edges are `GcCell`s, so that a change costs what it costs to change one edge, whatever the size of the map and whether the
//! collector is marking.
//!
//! A lock keeps readers and writers apart. Under it nothing is allocated and no code of users runs: entries and tables are made before. Readers and writers walk under a pin, which they take after the
//! lock, so that nobody waits for the lock with a pin that the other does not have.
//!
//! Whoever looks for a key has a handle to it, so the key is alive and its address is nobody else's. An entry whose key the collector has found dead has no
//! key and no value any more; it is unlinked when a writer has the table full, and counts as one that is linked until then.

use super::{Gc, Guard, Local, ephemeron::WordInfo, pin};
use crate::{
    cell::{GcCell, gc_cell::EdgeCell},
    collector::ephemerons::{EphemeronWord, hash},
    heap::header::Object,
    trace::{
        Trace, Tracer,
        facts::{Both, Leaf},
        private::drop_untraced,
    },
};
use std::{
    fmt,
    marker::PhantomData,
    mem::{ManuallyDrop, needs_drop},
    sync::{
        PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

/// A map from objects, by identity, to values that are kept alive only while their keys are, also when a value leads back to its key. The map keeps no key alive.
///
/// Takes `&self` throughout, and is shared between threads if `K` and `V` are `Send + Sync`. When the collector finds a key dead, its entry is gone for every
/// method at once, and the value goes with the key; what remains of the entry itself (48 bytes) goes when the map next runs full.
///
/// Every operation is a lock (of this map alone, shared by readers), a hash and a walk of a short chain; inserting allocates, and costs a pass over the map whenever
/// that has doubled. The collector has no pass over it to repeat: the map is never opened as a whole. Keys are compared by identity, as [`Gc::ptr_eq`] does,
/// whatever their `Eq` says.
///
/// ```
/// use graphgc::{Gc, WeakMap, collect};
///
/// let notes = WeakMap::new();
/// let (ann, bob) = (Gc::new("Ann"), Gc::new("Bob"));
/// notes.insert(&ann, Gc::new(ann.clone()));          // the value leads to its key
/// notes.insert(&bob, Gc::new(ann.clone()));
/// drop(ann);
/// collect();
/// assert_eq!((notes.len(), **notes.get(&bob).unwrap()), (2, "Ann"));
/// drop(bob);
/// collect();
/// assert!(notes.is_empty());
/// ```
pub struct WeakMap<K: Trace, V: Trace> {
    table: Edge<Table<K, V>>,
    lock: RwLock<()>,
    /// Entries in the chains, dead ones included. Changed under the lock.
    linked: AtomicUsize,
}

type Edge<T> = GcCell<Option<Gc<T>>>;

/// Chains of entries; as many as a power of two.
struct Table<K: Trace, V: Trace> {
    chains: Box<[Edge<Entry<K, V>>]>,
}

struct Entry<K: Trace, V: Trace> {
    word: EphemeronWord,
    next: Edge<Entry<K, V>>,
    /// Gives both out.
    targets: PhantomData<(Gc<K>, Gc<V>)>,
}

/// Chains of the smallest table.
const FEWEST: usize = 8;

/// Where a chain leads to an entry.
struct Found<'g, K: Trace, V: Trace> {
    /// The edge that leads to it.
    edge: &'g Edge<Entry<K, V>>,
    entry: Local<'g, Entry<K, V>>,
}

impl<K: Trace, V: Trace> Entry<K, V> {
    fn new(key: Object, value: Gc<V>) -> Gc<Self> {
        let value = ManuallyDrop::new(value).as_object();
        Gc::new(Entry { word: EphemeronWord::new(key, value), next: GcCell::default(), targets: PhantomData })
    }

    fn value(&self) -> Option<Gc<V>> {
        // SAFETY: the value of an entry is a `V`, and has just been counted.
        self.word.value().map(|value| unsafe { Gc::from_object(value) })
    }

    fn both(&self) -> Option<(Gc<K>, Gc<V>)> {
        let (key, value) = self.word.get()?;
        // SAFETY: an entry leads to a `K` and a `V`, and both have just been counted.
        Some(unsafe { (Gc::from_object(key), Gc::from_object(value)) })
    }
}

impl<K: Trace, V: Trace> Table<K, V> {
    fn new(chains: usize) -> Gc<Self> {
        Gc::new(Table { chains: (0..chains).map(|_| GcCell::default()).collect() })
    }

    fn chain(&self, key: Object) -> &Edge<Entry<K, V>> {
        &self.chains[hash(key) & (self.chains.len() - 1)]
    }

    fn find<'g>(&'g self, key: Object, guard: &'g Guard) -> Option<Found<'g, K, V>> {
        let mut edge = self.chain(key);
        while let Some(entry) = edge.load(guard) {
            if entry.word.is_for(key) {
                return Some(Found { edge, entry });
            }
            edge = &Local::get(entry).next;
        }
        None
    }
}

impl<K: Trace, V: Trace> WeakMap<K, V> {
    /// An empty map, which allocates nothing.
    pub fn new() -> Self {
        WeakMap { table: GcCell::default(), lock: RwLock::new(()), linked: AtomicUsize::new(0) }
    }

    fn read(&self) -> RwLockReadGuard<'_, ()> {
        self.lock.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, ()> {
        self.lock.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value attached to `key`.
    pub fn get(&self, key: &Gc<K>) -> Option<Gc<V>> {
        let _reading = self.read();
        let guard = pin();
        let table = self.table.load(&guard)?;
        Local::get(table).find(key.as_object(), &guard)?.entry.value()
    }

    /// Whether a value is attached to `key`.
    pub fn contains_key(&self, key: &Gc<K>) -> bool {
        self.get(key).is_some()
    }

    /// Attaches `value` to `key`, and gives back what was attached before.
    ///
    /// # Panics
    /// As [`Gc::new`].
    pub fn insert(&self, key: &Gc<K>, value: Gc<V>) -> Option<Gc<V>> {
        let entry = Entry::new(key.as_object(), value);
        let _writing = self.write_with_room();
        let guard = pin();
        self.link(key, entry.local(&guard), &guard)
    }

    /// The value attached to `key`, or what `make` gives, which is attached. `make` runs outside any lock; if another thread is faster, its value is the
    /// one.
    ///
    /// # Panics
    /// As [`Gc::new`], and if `make` does.
    ///
    /// ```
    /// use graphgc::{Gc, WeakMap};
    ///
    /// let lengths = WeakMap::new();
    /// let word = Gc::new("word");
    /// assert_eq!(*lengths.get_or_insert_with(&word, || Gc::new(word.len())), 4);
    /// assert_eq!(*lengths.get_or_insert_with(&word, || unreachable!()), 4);
    /// ```
    pub fn get_or_insert_with(&self, key: &Gc<K>, make: impl FnOnce() -> Gc<V>) -> Gc<V> {
        if let Some(value) = self.get(key) {
            return value;
        }
        let value = make();
        let entry = Entry::new(key.as_object(), value.clone());
        let _writing = self.write_with_room();
        let guard = pin();
        if let Some(found) = self.find(key, &guard)
            && let Some(there) = found.entry.value()
        {
            return there;
        }
        self.link(key, entry.local(&guard), &guard);
        value
    }

    /// Takes the value off `key`.
    pub fn remove(&self, key: &Gc<K>) -> Option<Gc<V>> {
        let _writing = self.write();
        let guard = pin();
        let found = self.find(key, &guard)?;
        let value = found.entry.value();
        found.edge.store(found.entry.next.load(&guard), &guard);
        self.linked.fetch_sub(1, Ordering::Relaxed);
        value
    }

    /// Takes everything out.
    pub fn clear(&self) {
        let _writing = self.write();
        self.table.set(None);
        self.linked.store(0, Ordering::Relaxed);
    }

    /// The number of entries whose keys have not been found dead. Cost: a pass over the map.
    pub fn len(&self) -> usize {
        let mut live = 0;
        let _reading = self.read();
        self.for_each(&pin(), |entry| {
            live += usize::from(entry.word.is_live());
            true
        });
        live
    }

    /// Whether there is no entry whose key has not been found dead. Cost: a pass over the map, up to the first.
    pub fn is_empty(&self) -> bool {
        let mut empty = true;
        let _reading = self.read();
        self.for_each(&pin(), |entry| {
            empty = !entry.word.is_live();
            empty
        });
        empty
    }

    /// All keys and values as they are at some moment, in no particular order. Cost: a pass over the map.
    pub fn entries(&self) -> Vec<(Gc<K>, Gc<V>)> {
        let mut entries = Vec::new();
        loop {
            // Room is made outside the lock: the global allocator may be the user's.
            entries.reserve(self.linked.load(Ordering::Relaxed));
            let _reading = self.read();
            if self.linked.load(Ordering::Relaxed) <= entries.capacity() {
                self.for_each(&pin(), |entry| {
                    entries.extend(entry.both());
                    true
                });
                return entries;
            }
        }
    }

    /// Calls `f` with every entry, as long as it says so. With the lock held.
    fn for_each(&self, guard: &Guard, mut f: impl FnMut(&Entry<K, V>) -> bool) {
        let Some(table) = self.table.load(guard) else { return };
        for chain in &table.chains {
            let mut edge = chain;
            while let Some(entry) = edge.load(guard) {
                if !f(Local::get(entry)) {
                    return;
                }
                edge = &Local::get(entry).next;
            }
        }
    }

    fn find<'g>(&self, key: &Gc<K>, guard: &'g Guard) -> Option<Found<'g, K, V>> {
        Local::get(self.table.load(guard)?).find(key.as_object(), guard)
    }

    /// Puts an entry in, in the place of the one for the same key if there is one, whose value it returns. With the lock held for writing.
    fn link(&self, key: &Gc<K>, entry: Local<'_, Entry<K, V>>, guard: &Guard) -> Option<Gc<V>> {
        let table = self.table.load(guard).expect("locked with room");
        if let Some(found) = Local::get(table).find(key.as_object(), guard) {
            entry.next.store(found.entry.next.load(guard), guard);
            found.edge.store(Some(entry), guard);
            return found.entry.value();
        }
        let chain = Local::get(table).chain(key.as_object());
        entry.next.store(chain.load(guard), guard);
        chain.store(Some(entry), guard);
        self.linked.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// Locks for writing, with a table there whose chains are short: forgets dead entries, and if too many live, goes over to a larger table.
    fn write_with_room(&self) -> RwLockWriteGuard<'_, ()> {
        let mut chains = 0;
        loop {
            let larger = (chains > 0).then(|| Table::new(chains));
            let writing = self.write();
            let guard = pin();
            let there = self.table.load(&guard);
            let old = there.map_or(0, |table| table.chains.len());
            if self.linked.load(Ordering::Relaxed) < old {
                return writing;
            }
            if let Some(larger) = larger.filter(|larger| larger.chains.len() > old) {
                self.move_to(larger.local(&guard), &guard);
                return writing;
            }
            let live = there.map_or(0, |table| self.purge(Local::get(table), &guard));
            if live < old / 2 {
                return writing;
            }
            chains = (live * 2).next_power_of_two().max(FEWEST);
        }
    }

    /// Unlinks dead entries; returns how many live.
    fn purge(&self, table: &Table<K, V>, guard: &Guard) -> usize {
        let mut live = 0;
        for chain in &table.chains {
            let mut edge = chain;
            while let Some(entry) = edge.load(guard) {
                if entry.word.is_live() {
                    live += 1;
                    edge = &Local::get(entry).next;
                } else {
                    edge.store(entry.next.load(guard), guard);
                }
            }
        }
        self.linked.store(live, Ordering::Relaxed);
        live
    }

    /// Moves the live entries to another table, which takes the place of the one there is.
    fn move_to(&self, new: Local<'_, Table<K, V>>, guard: &Guard) {
        let mut live = 0;
        if let Some(old) = self.table.load(guard) {
            for chain in &old.chains {
                let mut rest = chain.load(guard);
                while let Some(entry) = rest {
                    rest = entry.next.load(guard);
                    if let Some((key, _)) = entry.word.targets() {
                        let chain = Local::get(new).chain(key);
                        entry.next.store(chain.load(guard), guard);
                        chain.store(Some(entry), guard);
                        live += 1;
                    }
                }
            }
        }
        self.table.store(Some(new), guard);
        self.linked.store(live, Ordering::Relaxed);
    }
}

impl<K: Trace, V: Trace> Default for WeakMap<K, V> {
    fn default() -> Self {
        WeakMap::new()
    }
}

/// Shallow, so that printing a cyclic graph ends.
impl<K: Trace, V: Trace> fmt::Debug for WeakMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakMap(..)")
    }
}

// SAFETY: one edge, in a cell; the lock is no part of any graph.
unsafe impl<K: Trace, V: Trace> Trace for WeakMap<K, V> {
    type Info = Both<EdgeCell, Leaf<RwLock<()>>>;

    #[inline]
    fn trace(&self, tracer: &mut Tracer<'_>) {
        self.table.trace(tracer);
    }

    unsafe fn drop_swept(&mut self) {
        // SAFETY: by contract.
        unsafe { self.table.drop_swept() };
        if needs_drop::<RwLock<()>>() {
            // SAFETY: by contract; a lock without a holder may be dropped on any thread.
            unsafe { drop_untraced(&mut self.lock) };
        }
    }
}

// SAFETY: the chains are all that there is in it.
unsafe impl<K: Trace, V: Trace> Trace for Table<K, V> {
    type Info = <Box<[Edge<Entry<K, V>>]> as Trace>::Info;

    fn trace(&self, tracer: &mut Tracer<'_>) {
        self.chains.trace(tracer);
    }

    unsafe fn drop_swept(&mut self) {
        // SAFETY: by contract.
        unsafe { self.chains.drop_swept() };
    }
}

// SAFETY: the word and the edge are all that there is in it. It lies directly in an object: nobody else can name the type.
unsafe impl<K: Trace, V: Trace> Trace for Entry<K, V> {
    type Info = Both<WordInfo, EdgeCell>;

    fn trace(&self, tracer: &mut Tracer<'_>) {
        tracer.ephemeron(&self.word);
        self.next.trace(tracer);
    }

    unsafe fn drop_swept(&mut self) {
        // SAFETY: by contract.
        unsafe { self.next.drop_swept() };
    }
}
