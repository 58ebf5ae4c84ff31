//! `GcRefVec`: a growable vector of edges for one thread.

use super::{
    Element,
    buffer::Buffer,
    edges::{EdgeCollection, Edges, INCOMING, Reserved, Writer},
    refused,
};
use crate::{
    cell::{
        borrow::BorrowLock,
        gc_cell::sealed::PinnedEdge,
        ref_cell::{BorrowError, Ref},
    },
    handle::Guard,
    heap::header::Object,
    sync::const_fn,
    trace::{Trace, Tracer},
};
use std::cmp::Ordering;

/// A growable vector of edges for one thread: `RefCell<Vec<Gc<T>>>`, with no pass over the content, ever. `P` is `Gc<T>`, `Option<Gc<T>>` or
/// `Weak<T>`. Threads share a [`GcVec`](crate::GcVec).
///
/// In a [`GcRefCell<Vec<Gc<T>>>`](crate::GcRefCell) the first `borrow_mut` after each collection cycle walks over all elements, and until the next cycle
/// each of them is counted as a handle on the stack is. Here no change to a vector of a million edges walks over them, and elements of a vector in the heap are never
/// counted. In exchange there is no `&mut` to the elements: they are changed by the methods of the vector.
///
/// It takes 20 bytes of the object that it is in, aligned to 4. The elements lie elsewhere, with 16 bytes before them, so they are copied when a `Vec` becomes a
/// `GcRefVec` or comes out of it. There can be 2^32 of them.
///
/// [`borrow`](Self::borrow) gives a slice. A change while that is held panics. Methods that run code of yours ([`retain`](Self::retain),
/// [`sort_by`](Self::sort_by)) keep the vector borrowed for writing meanwhile; if that code panics the vector is as it was.
///
/// ```
/// use graphgc::{Gc, GcRefVec, Trace};
///
/// #[derive(Trace)]
/// struct Node { name: String, edges: GcRefVec<Gc<Node>> }
///
/// let ann = Gc::new(Node { name: "Ann".into(), edges: GcRefVec::new() });
/// let bob = Gc::new(Node { name: "Bob".into(), edges: GcRefVec::from(vec![ann.clone()]) });
/// ann.edges.push(bob.clone());
/// for node in ann.edges.borrow().iter() {
///     assert_eq!(node.name, "Bob");
/// }
/// assert_eq!(bob.edges.get(0).unwrap().name, "Ann");
/// ```
pub struct GcRefVec<P: Element>(Edges<P, BorrowLock>);

impl<P: Element> GcRefVec<P> {
    const_fn! {
        /// An empty vector.
        pub fn new() -> Self {
            GcRefVec(Edges::for_one_thread(Buffer::new()))
        }
    }

    /// An empty vector with room for so many elements.
    ///
    /// # Panics
    /// As `Vec::with_capacity`.
    pub fn with_capacity(capacity: usize) -> Self {
        GcRefVec(Edges::for_one_thread(Buffer::with_capacity(capacity)))
    }

    /// The elements of a vector that you have to yourself. They are copied.
    pub fn into_inner(self) -> Vec<P> {
        self.0.into_inner()
    }

    /// The elements of a vector that you have to yourself; no borrow is counted. More come in by `Extend`, or by [`push`](Self::push).
    pub fn get_mut(&mut self) -> &mut [P] {
        self.0.elements_mut()
    }

    /// Borrows the elements. Cost: as `RefCell::borrow`.
    ///
    /// # Panics
    /// If a method that runs code of yours has the vector; [`try_borrow`](Self::try_borrow) does not.
    #[inline]
    #[track_caller]
    pub fn borrow(&self) -> Ref<'_, [P]> {
        let Ok(borrow) = self.try_borrow() else { borrowed() };
        borrow
    }

    /// Borrows the elements.
    ///
    /// # Errors
    /// If a method that runs code of yours has the vector. The collector never makes this fail.
    #[inline]
    pub fn try_borrow(&self) -> Result<Ref<'_, [P]>, BorrowError> {
        let (right, value) = self.0.try_borrow().ok_or(BorrowError)?;
        Ok(Ref::new(value, right))
    }

    /// One change to the content.
    #[inline]
    #[track_caller]
    fn change<R>(&self, change: impl FnOnce(Writer<'_, P>) -> R) -> R {
        let Some(result) = self.0.try_change(change) else { borrowed() };
        result
    }

    #[track_caller]
    fn reserved(&self) -> Reserved<'_, P, BorrowLock> {
        let Some(reserved) = self.0.try_reserved() else { borrowed() };
        reserved
    }

    /// The number of elements; in code of yours that a method runs, the number from before that method. Cost: that of reading a number.
    #[inline]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none; as [`len`](Self::len).
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element at `index`, as a handle of its own.
    ///
    /// # Panics
    /// As [`borrow`](Self::borrow).
    #[inline]
    #[track_caller]
    pub fn get(&self, index: usize) -> Option<P>
    where
        P: Clone,
    {
        // Borrowed: a clone may be a thread's first operation, which asks the global allocator for memory where std's thread-locals do.
        self.borrow().get(index).cloned()
    }

    /// Makes room for `additional` elements more.
    ///
    /// # Panics
    /// If the vector is borrowed, or the capacity exceeds `isize::MAX` bytes; ends the process if the allocator refuses memory, as `Vec::reserve` does.
    #[track_caller]
    pub fn reserve(&self, additional: usize) {
        self.reserved().grow(additional, false).unwrap_or_else(|_| refused(additional));
    }

    /// Puts `edge` at the end.
    ///
    /// Cost: a few nanoseconds; now and then the vector grows, as `Vec` does.
    ///
    /// # Panics
    /// If the vector is borrowed, or as `Vec::push`.
    #[inline]
    #[track_caller]
    pub fn push(&self, edge: P) {
        let mut edge = edge;
        while let Err(back) = self.change(|mut writer| writer.push(edge)) {
            self.reserve(1);
            edge = back;
        }
    }

    /// Takes the last element.
    ///
    /// # Panics
    /// If the vector is borrowed.
    #[track_caller]
    pub fn pop(&self) -> Option<P> {
        self.change(|mut writer| writer.pop())
    }

    /// Puts `edge` in the place of the element at `index`, which goes.
    ///
    /// # Panics
    /// If there is no such element, or the vector is borrowed.
    #[inline]
    #[track_caller]
    pub fn set(&self, index: usize, edge: P) {
        let old = self.change(|mut writer| writer.set(index, edge));
        let Ok(old) = old else { missing(index) };
        drop(old);
    }

    /// Puts `edge` in the place of the element at `index`, and gives that back.
    ///
    /// # Panics
    /// If there is no such element, or the vector is borrowed.
    #[track_caller]
    pub fn replace(&self, index: usize, edge: P) -> P {
        let Ok(old) = self.change(|mut writer| writer.replace(index, edge)) else { missing(index) };
        old
    }

    /// Swaps two elements.
    ///
    /// # Panics
    /// If one of them is not there, or the vector is borrowed.
    #[track_caller]
    pub fn swap(&self, a: usize, b: usize) {
        if !self.change(|mut writer| writer.swap(a, b)) {
            missing(a.max(b))
        }
    }

    /// Takes the element at `index`, and puts the last one in its place.
    ///
    /// # Panics
    /// If there is no such element, or the vector is borrowed.
    #[track_caller]
    pub fn swap_remove(&self, index: usize) -> P {
        let Some(old) = self.change(|mut writer| writer.swap_remove(index)) else { missing(index) };
        old
    }

    /// Puts `edge` at `index`; the elements from there on move up. Cost: as `Vec::insert`; where more than some thousand have to move all
    /// are copied.
    ///
    /// # Panics
    /// If there is no such place, or the vector is borrowed, or as `Vec::insert`.
    #[track_caller]
    pub fn insert(&self, index: usize, edge: P) {
        let Err(edge) = self.change(|mut writer| writer.insert(index, edge)) else { return };
        let mut len = 0;
        let inserted = self.reserved().rebuild(Some(edge), |old| {
            len = old.len();
            (index <= len).then(|| ((0..index).chain([INCOMING]).chain(index..len).collect(), ()))
        });
        assert!(inserted.is_some(), "no place {index} in a `GcRefVec` of {len}");
    }

    /// Shortens the vector to `len` elements if it is longer.
    ///
    /// # Panics
    /// If the vector is borrowed.
    #[track_caller]
    pub fn truncate(&self, len: usize) {
        self.reserved().rebuild(None, |old| (len < old.len()).then(|| ((0..len).collect(), ())));
    }

    /// Drops all elements.
    ///
    /// # Panics
    /// If the vector is borrowed.
    #[track_caller]
    pub fn clear(&self) {
        self.truncate(0);
    }

    /// Keeps the elements that `keep` says, in their order. If it panics the vector is as it was.
    ///
    /// # Panics
    /// If the vector is borrowed, or `keep` panics.
    #[track_caller]
    pub fn retain(&self, mut keep: impl FnMut(&P) -> bool) {
        self.reserved().rebuild(None, |old| {
            let kept: Vec<usize> = (0..old.len()).filter(|&index| keep(&old[index])).collect();
            (kept.len() < old.len()).then_some((kept, ()))
        });
    }

    /// Sorts the elements by a comparison, stably. If that panics the vector is as it was.
    ///
    /// # Panics
    /// If the vector is borrowed, or `compare` panics, or is no order, as `slice::sort_by`.
    #[track_caller]
    pub fn sort_by(&self, mut compare: impl FnMut(&P, &P) -> Ordering) {
        self.reserved().rebuild(None, |old| {
            let mut order: Vec<usize> = (0..old.len()).collect();
            order.sort_by(|&a, &b| compare(&old[a], &old[b]));
            Some((order, ()))
        });
    }
}

impl<P: Element + Clone> GcRefVec<P> {
    /// Takes the element at `index`; those behind it move down. Cost: as `Vec::remove`; where more than some thousand have to move all are copied.
    ///
    /// # Panics
    /// If there is no such element, or the vector is borrowed.
    #[track_caller]
    pub fn remove(&self, index: usize) -> P {
        if let Some(edge) = self.change(|mut writer| writer.remove(index)) {
            return edge;
        }
        let removed = self.reserved().rebuild(None, |old| {
            let edge = old.get(index)?.clone();
            Some(((0..index).chain(index + 1..old.len()).collect(), edge))
        });
        let Some(removed) = removed else { missing(index) };
        removed
    }
}

/// Under a pin: elements come and go as [`Local`](crate::Local)s, with nothing counted in a vector that lies in the heap.
impl<P: Element + Trace> GcRefVec<P> {
    /// The element at `index` for as long as the guard is held, if there is one.
    ///
    /// # Panics
    /// As [`borrow`](Self::borrow).
    #[inline]
    #[track_caller]
    pub fn load<'g>(&self, index: usize, guard: &'g Guard) -> Option<P::Local<'g>> {
        let Some(edge) = self.0.load(index, guard) else { borrowed() };
        edge
    }

    /// Goes over the elements from the first to the last, with nothing borrowed between two calls: the vector may be changed meanwhile, also by the loop itself. Each
    /// call takes what is then at the next index; after the end there may be more again. Cost of a step: as [`load`](Self::load); nothing is counted or written.
    ///
    /// # Panics
    /// Each step as [`borrow`](Self::borrow).
    ///
    /// ```
    /// use graphgc::{Gc, GcRefVec, pin};
    ///
    /// let numbers: GcRefVec<_> = (1..=3).map(Gc::new).collect();
    /// let guard = pin();
    /// let mut sum = 0;
    /// for number in numbers.iter_pinned(&guard) {
    ///     sum += *number;
    ///     numbers.pop();
    /// }
    /// assert_eq!(sum, 1 + 2, "after the second there was none left");
    /// ```
    #[inline]
    pub fn iter_pinned<'g>(&self, guard: &'g Guard) -> impl Iterator<Item = P::Local<'g>> {
        let mut next = 0;
        std::iter::from_fn(move || {
            let edge = self.load(next, guard)?;
            next += 1;
            Some(edge)
        })
    }

    /// [`push`](Self::push) of an edge that a pin may be all that keeps. Cost: nothing is counted if the vector lies in the heap.
    ///
    /// # Panics
    /// As `push`.
    ///
    /// ```
    /// use graphgc::{Gc, GcRefVec, pin};
    ///
    /// let numbers = GcRefVec::<Gc<u32>>::new();
    /// let guard = pin();
    /// numbers.push_local(guard.alloc(7), &guard);
    /// assert_eq!(*numbers.load(0, &guard).unwrap(), 7);
    /// ```
    #[inline]
    #[track_caller]
    pub fn push_local(&self, edge: P::Local<'_>, _guard: &Guard) {
        let object = edge.into_object();
        if !self.0.push_pinned_plainly(object) {
            self.push_slowly(object);
        }
    }

    #[cold]
    #[inline(never)]
    #[track_caller]
    fn push_slowly(&self, object: Option<Object>) {
        loop {
            match self.0.change_slowly(move |mut writer| writer.push_pinned(object)) {
                Some(true) => return,
                Some(false) => self.reserve(1),
                None => borrowed(),
            }
        }
    }

    /// Puts `edge` in the place of the element at `index`, which goes. Cost: nothing is counted if the vector lies in the heap.
    ///
    /// # Panics
    /// If there is no such element, or the vector is borrowed.
    #[inline]
    #[track_caller]
    pub fn store(&self, index: usize, edge: P::Local<'_>, _guard: &Guard) {
        let object = edge.into_object();
        if !self.0.set_pinned_plainly(index, object) {
            self.store_slowly(index, object);
        }
    }

    #[cold]
    #[inline(never)]
    #[track_caller]
    fn store_slowly(&self, index: usize, object: Option<Object>) {
        match self.0.change_slowly(move |mut writer| writer.set_pinned(index, object)) {
            Some(Some(old)) => drop(old),
            Some(None) => missing(index),
            None => borrowed(),
        }
    }
}

#[cold]
#[inline(never)]
#[track_caller]
fn missing(index: usize) -> ! {
    panic!("no element {index} in the `GcRefVec`")
}

#[cold]
#[inline(never)]
#[track_caller]
fn borrowed() -> ! {
    panic!("the `GcRefVec` is borrowed already")
}

impl<P: Element + Clone> Clone for GcRefVec<P> {
    /// # Panics
    /// As [`borrow`](Self::borrow).
    fn clone(&self) -> Self {
        GcRefVec::from(self.borrow().to_vec())
    }
}

shared_by_vectors!(GcRefVec, Edges::for_one_thread);
