//! `GcVec`: a growable vector of edges that threads share.

use super::{
    Element,
    buffer::Buffer,
    edges::{EdgeCollection, Edges, INCOMING},
    refused,
};
use crate::{
    cell::guards::guard,
    sync::const_fn,
    trace::{Trace, Tracer},
};
use std::{cmp::Ordering, collections::TryReserveError, ops::RangeBounds, slice};

/// A growable vector of edges that threads share: `RwLock<Vec<Gc<T>>>`, with no pass over the content, ever. `P` is `Gc<T>`,
/// `Option<Gc<T>>` or `Weak<T>`.
///
/// In a [`GcRwLock<Vec<Gc<T>>>`](crate::GcRwLock) the first write after each collection cycle walks over all elements. Here
/// no change to a vector of a million edges walks over them. In exchange there is no `&mut` to the elements:
/// they are changed by the methods of the vector, each of which locks it for a moment.
///
/// It takes 16 bytes of the object that it is in. The elements lie elsewhere, with 16 bytes before them, so they are copied when a `Vec` becomes a `GcVec` or comes out of it.
/// There can be 2^32 of them.
///
/// [`read`](Self::read) locks it for reading and gives a slice. A thread that has to wait is parked. Methods that run code of yours ([`retain`](Self::retain),
/// [`sort_by`](Self::sort_by)) keep readers and writers out meanwhile, so that code must not use the same vector but for [`len`](Self::len) and [`is_empty`](Self::is_empty), or it blocks for ever; if it panics the vector is
/// as it was.
///
/// ```
/// use graphgc::{Gc, GcVec, Trace};
///
/// #[derive(Trace)]
/// struct Node { name: String, edges: GcVec<Gc<Node>> }
///
/// let ann = Gc::new(Node { name: "Ann".into(), edges: GcVec::new() });
/// let bob = Gc::new(Node { name: "Bob".into(), edges: GcVec::from(vec![ann.clone()]) });
/// ann.edges.push(bob.clone());
/// for node in ann.edges.read().iter() {
///     assert_eq!(node.name, "Bob");
/// }
/// assert_eq!(bob.edges.get(0).unwrap().name, "Ann");
/// ```
pub struct GcVec<P: Element>(Edges<P>);

guard! {
    /// The elements of a [`GcVec`] locked for reading.
    GcVecRef, reading, maps to GcVecRef
}

// SAFETY: a shared guard gives no more than `&T`.
unsafe impl<T: ?Sized + Sync> Sync for GcVecRef<'_, T> {}

impl<P: Element> GcVec<P> {
    const_fn! {
        /// An empty vector.
        pub fn new() -> Self {
            GcVec(Edges::new(Buffer::new()))
        }
    }

    /// An empty vector with room for so many elements.
    ///
    /// # Panics
    /// As `Vec::with_capacity`.
    pub fn with_capacity(capacity: usize) -> Self {
        GcVec(Edges::new(Buffer::with_capacity(capacity)))
    }

    /// The elements of a vector that you have to yourself. They are copied.
    pub fn into_inner(self) -> Vec<P> {
        self.0.into_inner()
    }

    /// The elements of a vector that you have to yourself, without locking. More come in by `Extend`, or by [`push`](Self::push).
    pub fn get_mut(&mut self) -> &mut [P] {
        self.0.elements_mut()
    }

    pub(super) fn edges(&self) -> &Edges<P> {
        &self.0
    }

    /// Locks for reading; blocks, parked, while a writer holds the lock or waits for it.
    ///
    /// A thread that writes to the vector while it holds the guard blocks for ever.
    #[inline]
    pub fn read(&self) -> GcVecRef<'_, [P]> {
        let (right, value) = self.0.read();
        GcVecRef { value, right, content: std::marker::PhantomData }
    }

    /// Locks for reading if nobody writes. The collector never makes this fail.
    pub fn try_read(&self) -> Option<GcVecRef<'_, [P]>> {
        let (right, value) = self.0.try_read()?;
        Some(GcVecRef { value, right, content: std::marker::PhantomData })
    }

    /// The number of elements now. Cost: that of reading a number; the lock is not needed, so this never waits. While a change goes on
    /// it gives the number before or after it.
    #[inline]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none now. Cost: as [`len`](Self::len).
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many elements there is room for.
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// The element at `index`, as a handle of its own.
    pub fn get(&self, index: usize) -> Option<P>
    where
        P: Clone,
    {
        self.read().get(index).cloned()
    }

    /// The first element, as a handle of its own.
    pub fn first(&self) -> Option<P>
    where
        P: Clone,
    {
        self.read().first().cloned()
    }

    /// The last element, as a handle of its own.
    pub fn last(&self) -> Option<P>
    where
        P: Clone,
    {
        self.read().last().cloned()
    }

    /// All elements, as handles of their own.
    pub fn to_vec(&self) -> Vec<P>
    where
        P: Clone,
    {
        self.read().to_vec()
    }

    /// Makes room for `additional` elements more.
    ///
    /// # Panics
    /// If the capacity exceeds `isize::MAX` bytes; ends the process if the allocator refuses memory, as `Vec::reserve` does.
    pub fn reserve(&self, additional: usize) {
        self.0.reserve(additional, false).unwrap_or_else(|_| refused(additional));
    }

    /// Makes room for `additional` elements more, if the allocator lets it.
    ///
    /// # Errors
    /// As `Vec::try_reserve`.
    pub fn try_reserve(&self, additional: usize) -> Result<(), TryReserveError> {
        self.0.reserve(additional, false)
    }

    /// Puts `edge` at the end.
    ///
    /// Cost: some ten nanoseconds; now and then the vector grows, as `Vec` does.
    ///
    /// # Panics
    /// As `Vec::push`.
    #[inline]
    pub fn push(&self, edge: P) {
        let mut edge = edge;
        while let Err(back) = self.0.write(|mut writer| writer.push(edge)) {
            self.reserve(1);
            edge = back;
        }
    }

    /// Takes the last element.
    pub fn pop(&self) -> Option<P> {
        self.0.write(|mut writer| writer.pop())
    }

    /// Puts `edge` in the place of the element at `index`, which goes.
    ///
    /// # Panics
    /// If there is no such element.
    #[track_caller]
    pub fn set(&self, index: usize, edge: P) {
        let old = self.0.write(|mut writer| writer.set(index, edge));
        let Ok(old) = old else { missing(index) };
        drop(old);
    }

    /// Puts `edge` in the place of the element at `index`, and gives that back.
    ///
    /// # Panics
    /// If there is no such element.
    #[track_caller]
    pub fn replace(&self, index: usize, edge: P) -> P {
        let Ok(old) = self.0.write(|mut writer| writer.replace(index, edge)) else { missing(index) };
        old
    }

    /// Swaps two elements.
    ///
    /// # Panics
    /// If one of them is not there.
    #[track_caller]
    pub fn swap(&self, a: usize, b: usize) {
        if !self.0.write(|mut writer| writer.swap(a, b)) {
            missing(a.max(b))
        }
    }

    /// Takes the element at `index`, and puts the last one in its place.
    ///
    /// # Panics
    /// If there is no such element.
    #[track_caller]
    pub fn swap_remove(&self, index: usize) -> P {
        let Some(old) = self.0.write(|mut writer| writer.swap_remove(index)) else { missing(index) };
        old
    }

    /// Puts `edge` at `index`; the elements from there on move up. Cost: as `Vec::insert`; where more than some thousand have to move
    /// all are copied.
    ///
    /// # Panics
    /// If there is no such place, or as `Vec::insert`.
    #[track_caller]
    pub fn insert(&self, index: usize, edge: P) {
        let Err(edge) = self.0.write(|mut writer| writer.insert(index, edge)) else { return };
        let mut len = 0;
        let inserted = self.0.rebuild(Some(edge), |old| {
            len = old.len();
            (index <= len).then(|| ((0..index).chain([INCOMING]).chain(index..len).collect(), ()))
        });
        assert!(inserted.is_some(), "no place {index} in a `GcVec` of {len}");
    }

    /// Shortens the vector to `len` elements if it is longer.
    pub fn truncate(&self, len: usize) {
        self.0.rebuild(None, |old| (len < old.len()).then(|| ((0..len).collect(), ())));
    }

    /// Drops all elements.
    pub fn clear(&self) {
        self.truncate(0);
    }

    /// Keeps the elements that `keep` says, in their order. If it panics the vector is as it was.
    ///
    /// # Panics
    /// If `keep` does.
    pub fn retain(&self, mut keep: impl FnMut(&P) -> bool) {
        self.0.rebuild(None, |old| {
            let kept: Vec<usize> = (0..old.len()).filter(|&index| keep(&old[index])).collect();
            (kept.len() < old.len()).then_some((kept, ()))
        });
    }

    /// Sorts the elements by a comparison, stably. If that panics the vector is as it was.
    ///
    /// # Panics
    /// If `compare` does, or is no order, as `slice::sort_by`.
    pub fn sort_by(&self, mut compare: impl FnMut(&P, &P) -> Ordering) {
        self.0.rebuild(None, |old| {
            let mut order: Vec<usize> = (0..old.len()).collect();
            order.sort_by(|&a, &b| compare(&old[a], &old[b]));
            Some((order, ()))
        });
    }

    /// Sorts the elements by a key, stably. If finding it panics the vector is as it was.
    ///
    /// # Panics
    /// If `key` or comparing keys does.
    pub fn sort_by_key<K: Ord>(&self, mut key: impl FnMut(&P) -> K) {
        self.sort_by(|a, b| key(a).cmp(&key(b)));
    }

    /// Reverses the order of the elements.
    pub fn reverse(&self) {
        self.0.rebuild(None, |old| Some(((0..old.len()).rev().collect(), ())));
    }

    /// Puts the elements of `edges` at the end.
    ///
    /// # Panics
    /// If the iterator does (what came before stays), or as `Vec::extend`.
    pub fn extend(&self, edges: impl IntoIterator<Item = P>) {
        let edges = edges.into_iter();
        let expected = edges.size_hint().0;
        if expected > 0 {
            self.reserve(expected);
        }
        edges.for_each(|edge| self.push(edge));
    }
}

impl<P: Element + Clone> GcVec<P> {
    /// Takes the element at `index`; those behind it move down. Cost: as `Vec::remove`; where more than some thousand have to move all are copied.
    ///
    /// # Panics
    /// If there is no such element.
    #[track_caller]
    pub fn remove(&self, index: usize) -> P {
        if let Some(edge) = self.0.write(|mut writer| writer.remove(index)) {
            return edge;
        }
        let removed = self.0.rebuild(None, |old| {
            let edge = old.get(index)?.clone();
            Some(((0..index).chain(index + 1..old.len()).collect(), edge))
        });
        let Some(removed) = removed else { missing(index) };
        removed
    }

    /// Takes the elements of a range out, at once.
    ///
    /// # Panics
    /// If there is no such range.
    pub fn drain(&self, range: impl RangeBounds<usize>) -> std::vec::IntoIter<P> {
        let range = (range.start_bound().cloned(), range.end_bound().cloned());
        let drained = self.0.rebuild(None, |old| {
            let out = &old[range];
            // SAFETY: a part of `old`.
            let from = unsafe { out.as_ptr().offset_from_unsigned(old.as_ptr()) };
            Some(((0..from).chain(from + out.len()..old.len()).collect(), out.to_vec()))
        });
        drained.unwrap_or_default().into_iter()
    }

    /// Takes all elements out, at once.
    pub fn take(&self) -> Vec<P> {
        self.drain(..).collect()
    }
}

#[cold]
#[track_caller]
fn missing(index: usize) -> ! {
    panic!("no element {index} in the `GcVec`")
}

impl<'a, P> IntoIterator for &'a GcVecRef<'_, [P]> {
    type Item = &'a P;
    type IntoIter = slice::Iter<'a, P>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<P: Element + Clone> Clone for GcVec<P> {
    /// The elements as they are now, in a vector of its own.
    fn clone(&self) -> Self {
        GcVec::from(self.to_vec())
    }
}

shared_by_vectors!(GcVec, Edges::new);
