//! `GcSet`: a hash set of edges that threads share.

use super::{
    Element,
    table::{Table, TableInfo, TableRef},
};
use crate::{
    sync::const_fn,
    trace::{Leaf, Trace, Tracer},
};
use std::{
    borrow::Borrow,
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    slice, vec,
};

/// A hash set of edges that threads share: `RwLock<HashSet<Gc<T>>>`, with no pass over the content when the collector has come by. `P` is
/// `Gc<T>`, `Option<Gc<T>>` or `Weak<T>`.
///
/// Handles are hashed and compared as their `Hash` and `Eq` say. For a `Gc<T>` that is by content, as in a `HashSet<Arc<T>>`, so that a set of `Gc<T>` also
/// finds the handle for a `&T`: this is what interns things. For a `Weak<T>` it is by identity. To have objects by identity that the
/// set keeps alive, take a [`GcMap`](crate::GcMap) from their addresses, `map.insert(Gc::as_ptr(&node).addr(), node)`: objects do not move.
///
/// Your code (`Hash`, `Eq`, what decides which elements stay) runs as [`GcMap`](crate::GcMap) says. Content whose `Hash` or `Eq` changes while it is in the set gives strange
/// results and nothing worse.
///
/// ```
/// use graphgc::{Gc, GcSet};
///
/// let names: GcSet<Gc<String>> = GcSet::new();
/// let ann = names.get_or_insert(Gc::new("Ann".to_string()));
/// let again = names.get_or_insert(Gc::new("Ann".to_string()));
/// assert!(Gc::ptr_eq(&ann, &again));
/// assert!(names.contains(&"Ann".to_string()));
/// assert_eq!(names.len(), 1);
/// ```
pub struct GcSet<P: Element, S = RandomState>(Table<(), P, S>);

impl<P: Element> GcSet<P> {
    /// An empty set, which allocates nothing.
    pub fn new() -> Self {
        GcSet::default()
    }

    /// An empty set with room for so many elements.
    ///
    /// # Panics
    /// As `HashSet::with_capacity`.
    pub fn with_capacity(capacity: usize) -> Self {
        GcSet::with_capacity_and_hasher(capacity, RandomState::new())
    }
}

impl<P: Element, S> GcSet<P, S> {
    const_fn! {
        /// An empty set whose elements `hasher` hashes.
        pub fn with_hasher(hasher: S) -> Self {
            GcSet(Table::new(hasher))
        }
    }

    /// An empty set with room for so many elements, which `hasher` hashes.
    ///
    /// # Panics
    /// As `HashSet::with_capacity_and_hasher`.
    pub fn with_capacity_and_hasher(capacity: usize, hasher: S) -> Self {
        let set = GcSet::with_hasher(hasher);
        set.reserve(capacity);
        set
    }

    /// What hashes the elements.
    pub fn hasher(&self) -> &S {
        self.0.hasher()
    }

    pub(super) fn table(&self) -> &Table<(), P, S> {
        &self.0
    }

    /// Locks for reading; blocks, parked, while a writer holds the lock or waits for it.
    ///
    /// A thread that writes to the set while it holds the guard blocks for ever.
    ///
    /// ```
    /// use graphgc::{Gc, GcSet};
    ///
    /// let numbers: GcSet<_> = (1..=3).map(Gc::new).collect();
    /// let locked = numbers.read();
    /// assert_eq!(locked.iter().map(|number| **number).sum::<u32>(), 6);
    /// assert!(locked.contains(&2));
    /// ```
    #[inline]
    pub fn read(&self) -> GcSetRef<'_, P, S> {
        GcSetRef { table: self.0.read(), set: self }
    }

    /// Locks for reading if nobody writes. The collector never makes this fail.
    pub fn try_read(&self) -> Option<GcSetRef<'_, P, S>> {
        self.0.try_read().map(|table| GcSetRef { table, set: self })
    }

    /// The number of elements now. The lock is not needed, so this never waits. While a change goes on it gives the number before or after it.
    #[inline]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many elements there is room for.
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// Makes room for `additional` elements more.
    ///
    /// # Panics
    /// As `HashSet::reserve`.
    pub fn reserve(&self, additional: usize) {
        self.0.reserve(additional);
    }

    /// Takes all elements out, and keeps their room.
    pub fn clear(&self) {
        self.0.clear();
    }

    /// Keeps the elements that `keep` says. Cost: a pass over the set. If `keep` panics the set is as it was.
    ///
    /// # Panics
    /// If `keep` does.
    pub fn retain(&self, mut keep: impl FnMut(&P) -> bool) {
        self.0.reserved().retain(|(), edge| keep(edge));
    }

    /// All elements, as handles of their own.
    pub fn to_vec(&self) -> Vec<P>
    where
        P: Clone,
    {
        self.0.read().edges().to_vec()
    }

    /// Takes all elements out, at once, and gives them to you.
    pub fn drain(&self) -> vec::IntoIter<P>
    where
        P: Clone,
    {
        let mut edges = Vec::new();
        self.0.reserved().retain(|(), edge| {
            edges.push(edge.clone());
            false
        });
        edges.into_iter()
    }
}

impl<P: Element + Hash + Eq, S: BuildHasher> GcSet<P, S> {
    /// The element that is equal to `value`, as a handle of its own.
    #[inline]
    pub fn get<Q: Hash + Eq + ?Sized>(&self, value: &Q) -> Option<P>
    where
        P: Borrow<Q> + Clone,
    {
        self.read().get(value).cloned()
    }

    /// Whether there is an element equal to `value`.
    pub fn contains<Q: Hash + Eq + ?Sized>(&self, value: &Q) -> bool
    where
        P: Borrow<Q>,
    {
        self.read().contains(value)
    }

    /// Puts `edge` in unless there is an element equal to it, and says whether it did. If not, `edge` is dropped.
    ///
    /// Cost: that of a `HashSet`'s `insert` behind a lock and some ten nanoseconds more.
    ///
    /// # Panics
    /// As `HashSet::insert`.
    pub fn insert(&self, edge: P) -> bool {
        let hash = self.0.hash(&edge);
        loop {
            let mut change = self.0.reserved();
            if change.find(hash, |(), other| *other == edge).is_some() {
                return false;
            }
            if change.has_room() {
                change.push(hash, (), edge);
                return true;
            }
            change.grow(1);
        }
    }

    /// Puts `edge` in, in the place of an element equal to it, which it gives back.
    ///
    /// # Panics
    /// As `HashSet::replace`.
    pub fn replace(&self, edge: P) -> Option<P> {
        let hash = self.0.hash(&edge);
        loop {
            let mut change = self.0.reserved();
            if let Some(at) = change.find(hash, |(), other| *other == edge) {
                return Some(change.replace(at, edge));
            }
            if change.has_room() {
                change.push(hash, (), edge);
                return None;
            }
            change.grow(1);
        }
    }

    /// The element that is equal to `edge`, which is put in if there is none.
    ///
    /// # Panics
    /// As `HashSet::insert`.
    pub fn get_or_insert(&self, edge: P) -> P
    where
        P: Clone,
    {
        let hash = self.0.hash(&edge);
        loop {
            let mut change = self.0.reserved();
            if let Some(at) = change.find(hash, |(), other| *other == edge) {
                return change.edge(at).clone();
            }
            if change.has_room() {
                change.push(hash, (), edge.clone());
                return edge;
            }
            change.grow(1);
        }
    }

    /// The element that is equal to `value`, or what `make` gives, which is put in. `make` runs with no lock held; if another thread is
    /// faster, its element is the one.
    ///
    /// ```
    /// use graphgc::{Gc, GcSet};
    ///
    /// let numbers: GcSet<Gc<u32>> = GcSet::new();
    /// let seven = numbers.get_or_insert_with(&7, || Gc::new(7));
    /// assert!(Gc::ptr_eq(&seven, &numbers.get_or_insert_with(&7, || unreachable!())));
    /// ```
    ///
    /// # Panics
    /// As `HashSet::insert`, and if `make` does.
    pub fn get_or_insert_with<Q: Hash + Eq + ?Sized>(&self, value: &Q, make: impl FnOnce() -> P) -> P
    where
        P: Borrow<Q> + Clone,
    {
        self.get(value).unwrap_or_else(|| self.get_or_insert(make()))
    }

    /// Takes the element out that is equal to `value`, and says whether there was one. The last element moves into its place.
    pub fn remove<Q: Hash + Eq + ?Sized>(&self, value: &Q) -> bool
    where
        P: Borrow<Q>,
    {
        self.take(value).is_some()
    }

    /// Takes the element out that is equal to `value`. The last element moves into its place.
    pub fn take<Q: Hash + Eq + ?Sized>(&self, value: &Q) -> Option<P>
    where
        P: Borrow<Q>,
    {
        let hash = self.0.hash(value);
        let change = self.0.reserved();
        let at = change.find(hash, |(), other| other.borrow() == value)?;
        Some(change.remove(at).1)
    }

    /// Puts elements in, each as [`insert`](Self::insert) does.
    ///
    /// # Panics
    /// If the iterator does (what came before stays), or as `HashSet::extend`.
    pub fn extend(&self, edges: impl IntoIterator<Item = P>) {
        edges.into_iter().for_each(|edge| _ = self.insert(edge));
    }
}

/// The elements of a [`GcSet`] locked for reading.
#[must_use = "the set is given up as soon as the guard is dropped"]
pub struct GcSetRef<'a, P: Element, S = RandomState> {
    table: TableRef<'a, (), P>,
    set: &'a GcSet<P, S>,
}

impl<P: Element, S> GcSetRef<'_, P, S> {
    /// The number of elements.
    pub fn len(&self) -> usize {
        self.table.edges().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements.
    pub fn iter(&self) -> slice::Iter<'_, P> {
        self.table.edges().iter()
    }
}

impl<P: Element + Hash + Eq, S: BuildHasher> GcSetRef<'_, P, S> {
    /// The element that is equal to `value`.
    pub fn get<Q: Hash + Eq + ?Sized>(&self, value: &Q) -> Option<&P>
    where
        P: Borrow<Q>,
    {
        let at = self.table.find(self.set.0.hash(value), |(), other| other.borrow() == value)?;
        Some(&self.table.edges()[at])
    }

    /// Whether there is an element equal to `value`.
    pub fn contains<Q: Hash + Eq + ?Sized>(&self, value: &Q) -> bool
    where
        P: Borrow<Q>,
    {
        self.get(value).is_some()
    }
}

impl<P: Element + fmt::Debug, S> fmt::Debug for GcSetRef<'_, P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self).finish()
    }
}

impl<'a, P: Element, S> IntoIterator for &'a GcSetRef<'_, P, S> {
    type Item = &'a P;
    type IntoIter = slice::Iter<'a, P>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<P: Element, S> IntoIterator for GcSet<P, S> {
    type Item = P;
    type IntoIter = vec::IntoIter<P>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_inner().1.into_iter()
    }
}

impl<P: Element, S: Default> Default for GcSet<P, S> {
    fn default() -> Self {
        GcSet::with_hasher(S::default())
    }
}

impl<P: Element + Hash + Eq, S: BuildHasher> Extend<P> for GcSet<P, S> {
    fn extend<I: IntoIterator<Item = P>>(&mut self, edges: I) {
        for edge in edges {
            let hash = self.0.hash(&edge);
            self.0.put(hash, (), edge, |(), (), edge, other| edge == other);
        }
    }
}

impl<P: Element + Hash + Eq, S: BuildHasher + Default> FromIterator<P> for GcSet<P, S> {
    fn from_iter<I: IntoIterator<Item = P>>(edges: I) -> Self {
        let mut set = GcSet::default();
        Extend::extend(&mut set, edges);
        set
    }
}

impl<P: Element + Hash + Eq, const N: usize> From<[P; N]> for GcSet<P> {
    fn from(edges: [P; N]) -> Self {
        GcSet::from_iter(edges)
    }
}

impl<P: Element + Hash + Eq + Clone, S: BuildHasher + Clone> Clone for GcSet<P, S> {
    /// The elements as they are now, in a set of its own.
    fn clone(&self) -> Self {
        let mut set = GcSet::with_hasher(self.hasher().clone());
        Extend::extend(&mut set, self.to_vec());
        set
    }
}

/// Shallow, so that printing a cyclic graph ends.
impl<P: Element, S> fmt::Debug for GcSet<P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GcSet(..)")
    }
}

// SAFETY: passes everything on. The hasher may be dropped on any thread.
unsafe impl<P: Element, S: Send + 'static> Trace for GcSet<P, S> {
    type Info = TableInfo<Leaf<()>, S>;

    #[inline]
    fn trace(&self, tracer: &mut Tracer<'_>) {
        self.0.trace(tracer);
    }

    unsafe fn drop_swept(&mut self) {
        // SAFETY: by contract.
        unsafe { self.0.drop_swept() };
    }
}
