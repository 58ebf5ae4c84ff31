//! `GcMap`: a hash map from keys without handles to edges, that threads share.

use super::{
    Element, MapKey,
    index::Entry,
    table::{Table, TableInfo, TableRef},
};
use crate::{
    sync::const_fn,
    trace::{Trace, Tracer},
};
use std::{
    borrow::Borrow,
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    iter::{FusedIterator, Zip},
    ops::Index,
    slice, vec,
};

/// A hash map from keys to edges that threads share: `RwLock<HashMap<K, Gc<T>>>`, with no pass over the content when the collector has come by. `P` is `Gc<T>`,
/// `Option<Gc<T>>` or `Weak<T>`; a key holds no handles (see [`MapKey`]).
///
/// In a [`GcRwLock<HashMap<K, Gc<T>>>`](crate::GcRwLock) the first write after each collection cycle walks over all entries. Here inserting into
/// a map of a million entries walks over none of them, whether the collector is marking or not. In exchange there is no `&mut` to the
/// values: they are changed by the methods of the map, each of which locks it for a moment.
///
/// [`read`](Self::read) locks it for reading and lets you look at everything. A thread that has to wait is parked. Your code runs with no lock held where that can be
/// (`Hash`, `Drop`, what makes a value), and else with the lock held: for reading while the `Eq` of a key is asked in a look-up, for writing while it is asked in a change, and
/// while [`retain`](Self::retain) asks. In there it must not use the same map but for [`len`](Self::len) and [`is_empty`](Self::is_empty), or it may block for ever, as with a `RwLock`; if it panics the map is as it was,
/// and locks are not poisoned. A key whose `Hash` and `Eq` disagree, or change while it is in the map, gives strange results and nothing worse.
///
/// The order of the entries is that in which they were inserted, as long as none is removed.
///
/// ```
/// use graphgc::{Gc, GcMap, Trace};
///
/// #[derive(Trace)]
/// struct Node { name: String, edges: GcMap<String, Gc<Node>> }
///
/// let ann = Gc::new(Node { name: "Ann".into(), edges: GcMap::new() });
/// let bob = Gc::new(Node { name: "Bob".into(), edges: GcMap::from([("friend".into(), ann.clone())]) });
/// ann.edges.insert("brother".into(), bob.clone());
/// for (kind, node) in ann.edges.read().iter() {
///     assert_eq!((kind.as_str(), node.name.as_str()), ("brother", "Bob"));
/// }
/// assert_eq!(bob.edges.get("friend").unwrap().name, "Ann");
/// ```
pub struct GcMap<K: MapKey, P: Element, S = RandomState>(Table<K, P, S>);

impl<K: MapKey, P: Element> GcMap<K, P> {
    /// An empty map, which allocates nothing.
    pub fn new() -> Self {
        GcMap::default()
    }

    /// An empty map with room for so many entries.
    ///
    /// # Panics
    /// As `HashMap::with_capacity`.
    pub fn with_capacity(capacity: usize) -> Self {
        GcMap::with_capacity_and_hasher(capacity, RandomState::new())
    }
}

impl<K: MapKey, P: Element, S> GcMap<K, P, S> {
    const_fn! {
        /// An empty map whose keys `hasher` hashes.
        pub fn with_hasher(hasher: S) -> Self {
            GcMap(Table::new(hasher))
        }
    }

    /// An empty map with room for so many entries, whose keys `hasher` hashes.
    ///
    /// # Panics
    /// As `HashMap::with_capacity_and_hasher`.
    pub fn with_capacity_and_hasher(capacity: usize, hasher: S) -> Self {
        let map = GcMap::with_hasher(hasher);
        map.reserve(capacity);
        map
    }

    /// What hashes the keys.
    pub fn hasher(&self) -> &S {
        self.0.hasher()
    }

    pub(super) fn table(&self) -> &Table<K, P, S> {
        &self.0
    }

    /// Locks for reading; blocks, parked, while a writer holds the lock or waits for it.
    ///
    /// A thread that writes to the map while it holds the guard blocks for ever.
    ///
    /// ```
    /// use graphgc::{Gc, GcMap};
    ///
    /// let squares: GcMap<u32, Gc<u32>> = (1..=3).map(|n| (n, Gc::new(n * n))).collect();
    /// let locked = squares.read();
    /// assert_eq!(*locked[&2], 4);
    /// assert_eq!(locked.keys().sum::<u32>(), 6);
    /// assert_eq!(locked.values().map(|square| **square).sum::<u32>(), 14);
    /// ```
    #[inline]
    pub fn read(&self) -> GcMapRef<'_, K, P, S> {
        GcMapRef { table: self.0.read(), map: self }
    }

    /// Locks for reading if nobody writes. The collector never makes this fail.
    pub fn try_read(&self) -> Option<GcMapRef<'_, K, P, S>> {
        self.0.try_read().map(|table| GcMapRef { table, map: self })
    }

    /// The number of entries now. The lock is not needed, so this never waits. While a change goes on it gives the number before or after it.
    #[inline]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many entries there is room for.
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// Makes room for `additional` entries more.
    ///
    /// # Panics
    /// As `HashMap::reserve`.
    pub fn reserve(&self, additional: usize) {
        self.0.reserve(additional);
    }

    /// Takes all entries out, and keeps their room.
    pub fn clear(&self) {
        self.0.clear();
    }

    /// Keeps the entries that `keep` says. Cost: a pass over the map. If `keep` panics the map is as it was.
    ///
    /// # Panics
    /// If `keep` does, or the `Drop` of a key that goes.
    pub fn retain(&self, keep: impl FnMut(&K, &P) -> bool) {
        drop(self.0.reserved().retain(keep));
    }

    /// Takes all entries out, at once, and gives them to you.
    pub fn drain(&self) -> GcMapIntoIter<K, P>
    where
        P: Clone,
    {
        let mut edges = Vec::new();
        let keys = self.0.reserved().retain(|_, edge| {
            edges.push(edge.clone());
            false
        });
        GcMapIntoIter(keys.into_iter().zip(edges))
    }
}

impl<K: MapKey + Hash + Eq, P: Element, S: BuildHasher> GcMap<K, P, S> {
    /// The value for `key`, as a handle of its own.
    #[inline]
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<P>
    where
        K: Borrow<Q>,
        P: Clone,
    {
        self.read().get(key).cloned()
    }

    /// Whether there is a value for `key`.
    pub fn contains_key<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.read().contains_key(key)
    }

    /// Puts `edge` in the place of the value for `key`, and gives that back; if there is none, puts a new entry in. As in a `HashMap` the key that was there first stays.
    ///
    /// Cost: that of a `HashMap`'s `insert` behind a lock and some ten nanoseconds more.
    ///
    /// # Panics
    /// As `HashMap::insert`.
    pub fn insert(&self, key: K, edge: P) -> Option<P> {
        let hash = self.0.hash(&key);
        loop {
            let mut change = self.0.reserved();
            if let Some(at) = change.find(hash, |other, _| *other == key) {
                return Some(change.replace(at, edge));
            }
            if change.has_room() {
                change.push(hash, key, edge);
                return None;
            }
            change.grow(1);
        }
    }

    /// The value for `key`, or what `make` gives, which is put in. `make` runs with no lock held; if another thread is faster, its value is
    /// the one.
    ///
    /// # Panics
    /// As `HashMap::insert`, and if `make` does.
    ///
    /// ```
    /// use graphgc::{Gc, GcMap};
    ///
    /// let lengths = GcMap::new();
    /// assert_eq!(*lengths.get_or_insert_with("word", || Gc::new(4)), 4);
    /// assert_eq!(*lengths.get_or_insert_with("word", || unreachable!()), 4);
    /// ```
    pub fn get_or_insert_with(&self, key: K, make: impl FnOnce() -> P) -> P
    where
        P: Clone,
    {
        let hash = self.0.hash(&key);
        let table = self.0.read();
        if let Some(at) = table.find(hash, |other, _| *other == key) {
            return table.edges()[at].clone();
        }
        drop(table);
        let edge = make();
        loop {
            let mut change = self.0.reserved();
            if let Some(at) = change.find(hash, |other, _| *other == key) {
                return change.edge(at).clone();
            }
            if change.has_room() {
                change.push(hash, key, edge.clone());
                return edge;
            }
            change.grow(1);
        }
    }

    /// Takes the value for `key` out. The last entry moves into the place of this one.
    pub fn remove<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<P>
    where
        K: Borrow<Q>,
    {
        self.remove_entry(key).map(|(_, edge)| edge)
    }

    /// Takes the entry for `key` out. The last entry moves into its place.
    pub fn remove_entry<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<(K, P)>
    where
        K: Borrow<Q>,
    {
        let hash = self.0.hash(key);
        let change = self.0.reserved();
        let at = change.find(hash, |other, _| other.borrow() == key)?;
        Some(change.remove(at))
    }

    /// Puts entries in, each as [`insert`](Self::insert) does.
    ///
    /// # Panics
    /// If the iterator does (what came before stays), or as `HashMap::extend`.
    pub fn extend(&self, entries: impl IntoIterator<Item = (K, P)>) {
        entries.into_iter().for_each(|(key, edge)| drop(self.insert(key, edge)));
    }
}

/// The entries of a [`GcMap`] locked for reading.
#[must_use = "the map is given up as soon as the guard is dropped"]
pub struct GcMapRef<'a, K: MapKey, P: Element, S = RandomState> {
    table: TableRef<'a, K, P>,
    map: &'a GcMap<K, P, S>,
}

impl<K: MapKey, P: Element, S> GcMapRef<'_, K, P, S> {
    /// The number of entries.
    pub fn len(&self) -> usize {
        self.table.edges().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The keys and values.
    pub fn iter(&self) -> GcMapIter<'_, K, P> {
        GcMapIter(self.table.entries().iter().zip(self.table.edges()))
    }

    /// The keys.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &K> + DoubleEndedIterator + Clone {
        self.table.entries().iter().map(|entry| &entry.key)
    }

    /// The values.
    pub fn values(&self) -> slice::Iter<'_, P> {
        self.table.edges().iter()
    }
}

impl<K: MapKey + Hash + Eq, P: Element, S: BuildHasher> GcMapRef<'_, K, P, S> {
    fn find<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
    {
        self.table.find(self.map.0.hash(key), |other, _| other.borrow() == key)
    }

    /// The value for `key`.
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&P>
    where
        K: Borrow<Q>,
    {
        self.find(key).map(|at| &self.table.edges()[at])
    }

    /// The key that is equal to `key`, and the value for it.
    pub fn get_key_value<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<(&K, &P)>
    where
        K: Borrow<Q>,
    {
        self.find(key).map(|at| (&self.table.entries()[at].key, &self.table.edges()[at]))
    }

    /// Whether there is a value for `key`.
    pub fn contains_key<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(key).is_some()
    }
}

/// # Panics
/// If there is no value for the key.
impl<K: MapKey + Hash + Eq + Borrow<Q>, Q: Hash + Eq + ?Sized, P: Element, S: BuildHasher> Index<&Q>
    for GcMapRef<'_, K, P, S>
{
    type Output = P;

    fn index(&self, key: &Q) -> &P {
        self.get(key).expect("no such key in the `GcMap`")
    }
}

impl<K: MapKey + fmt::Debug, P: Element + fmt::Debug, S> fmt::Debug for GcMapRef<'_, K, P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

/// The keys and values of a [`GcMapRef`].
pub struct GcMapIter<'a, K, P>(Zip<slice::Iter<'a, Entry<K>>, slice::Iter<'a, P>>);

/// The keys and values that were in a [`GcMap`].
pub struct GcMapIntoIter<K, P>(Zip<vec::IntoIter<K>, vec::IntoIter<P>>);

/// The traits of an iterator over pairs of two vectors' elements.
macro_rules! entries {
    ({$($generics:tt)*} $name:ty, $item:ty, $entry:pat => $pair:expr) => {
        impl<$($generics)*> Iterator for $name {
            type Item = $item;

            #[inline]
            fn next(&mut self) -> Option<$item> {
                self.0.next().map(|$entry| $pair)
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                self.0.size_hint()
            }
        }

        impl<$($generics)*> ExactSizeIterator for $name {}
        impl<$($generics)*> FusedIterator for $name {}

        impl<$($generics)*> DoubleEndedIterator for $name {
            fn next_back(&mut self) -> Option<$item> {
                self.0.next_back().map(|$entry| $pair)
            }
        }

        impl<$($generics)*> fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} entries", self.0.len())
            }
        }
    };
}

entries! { {'a, K, P} GcMapIter<'a, K, P>, (&'a K, &'a P), (entry, edge) => (&entry.key, edge) }
entries! { {K, P} GcMapIntoIter<K, P>, (K, P), entry => entry }

impl<K, P> Clone for GcMapIter<'_, K, P> {
    fn clone(&self) -> Self {
        GcMapIter(self.0.clone())
    }
}

impl<'a, K: MapKey, P: Element, S> IntoIterator for &'a GcMapRef<'_, K, P, S> {
    type Item = (&'a K, &'a P);
    type IntoIter = GcMapIter<'a, K, P>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K: MapKey, P: Element, S> IntoIterator for GcMap<K, P, S> {
    type Item = (K, P);
    type IntoIter = GcMapIntoIter<K, P>;

    fn into_iter(self) -> Self::IntoIter {
        let (index, edges) = self.0.into_inner();
        GcMapIntoIter(index.into_keys().into_iter().zip(edges))
    }
}

impl<K: MapKey, P: Element, S: Default> Default for GcMap<K, P, S> {
    fn default() -> Self {
        GcMap::with_hasher(S::default())
    }
}

impl<K: MapKey + Hash + Eq, P: Element, S: BuildHasher> Extend<(K, P)> for GcMap<K, P, S> {
    fn extend<I: IntoIterator<Item = (K, P)>>(&mut self, entries: I) {
        for (key, edge) in entries {
            let hash = self.0.hash(&key);
            drop(self.0.put(hash, key, edge, |key, other, _, _| key == other));
        }
    }
}

impl<K: MapKey + Hash + Eq, P: Element, S: BuildHasher + Default> FromIterator<(K, P)> for GcMap<K, P, S> {
    fn from_iter<I: IntoIterator<Item = (K, P)>>(entries: I) -> Self {
        let mut map = GcMap::default();
        Extend::extend(&mut map, entries);
        map
    }
}

impl<K: MapKey + Hash + Eq, P: Element, const N: usize> From<[(K, P); N]> for GcMap<K, P> {
    fn from(entries: [(K, P); N]) -> Self {
        GcMap::from_iter(entries)
    }
}

impl<K: MapKey + Hash + Eq + Clone, P: Element + Clone, S: BuildHasher + Clone> Clone for GcMap<K, P, S> {
    /// The entries as they are now, in a map of its own.
    fn clone(&self) -> Self {
        let mut map = GcMap::with_hasher(self.hasher().clone());
        Extend::extend(&mut map, self.read().iter().map(|(key, edge)| (key.clone(), edge.clone())));
        map
    }
}

/// Shallow, so that printing a cyclic graph ends.
impl<K: MapKey, P: Element, S> fmt::Debug for GcMap<K, P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GcMap(..)")
    }
}

// SAFETY: passes everything on. A key may be dropped on any thread, being `Trace`, and so may the hasher.
unsafe impl<K: MapKey, P: Element, S: Send + 'static> Trace for GcMap<K, P, S> {
    type Info = TableInfo<K::Info, S>;

    #[inline]
    fn trace(&self, tracer: &mut Tracer<'_>) {
        self.0.trace(tracer);
    }

    unsafe fn drop_swept(&mut self) {
        // SAFETY: by contract.
        unsafe { self.0.drop_swept() };
    }
}
