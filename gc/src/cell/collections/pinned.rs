//! A `GcVec` under a pin: elements come and go as `Local`s, with nothing counted in a vector that lies in the heap.
//!
//! The buffer itself is no object of the heap: growth frees it at once. So a pinned thread cannot read it without the lock, as it reads a `GcCell`;
//! it copies elements under the lock for a moment, a batch at a time, and what it has copied the pin keeps.

use super::{Element, vec::GcVec};
use crate::{cell::gc_cell::sealed::PinnedEdge, handle::Guard, trace::Trace};

/// Elements that are copied at once.
const BATCH: usize = 64;

impl<P: Element + Trace> GcVec<P> {
    /// The element at `index` for as long as the guard is held, if there is one. Cost: the lock for reading; nothing is counted.
    ///
    /// ```
    /// use graphgc::{Gc, GcVec, pin};
    ///
    /// let numbers = GcVec::from(vec![Gc::new(1)]);
    /// let guard = pin();
    /// let one = numbers.load(0, &guard).unwrap();
    /// numbers.pop();
    /// assert_eq!(*one, 1);
    /// ```
    pub fn load<'g>(&self, index: usize, _guard: &'g Guard) -> Option<P::Local<'g>> {
        // SAFETY: the object is reachable through this vector now, when the pin is held.
        self.read().get(index).map(|edge| unsafe { P::Local::from_object(edge.object()) })
    }

    /// [`push`](Self::push) of an edge that a pin may be all that keeps. Cost: nothing is counted if the vector lies in the heap.
    ///
    /// ```
    /// use graphgc::{Gc, GcVec, pin};
    ///
    /// let numbers = GcVec::<Gc<u32>>::new();
    /// let guard = pin();
    /// numbers.push_local(guard.alloc(7), &guard);
    /// assert_eq!(*numbers.pop().unwrap(), 7);
    /// ```
    #[inline]
    pub fn push_local(&self, edge: P::Local<'_>, _guard: &Guard) {
        let object = edge.into_object();
        while !self.edges().write(|mut writer| writer.push_pinned(object)) {
            self.reserve(1);
        }
    }

    /// Puts `edge` in the place of the element at `index`, which goes. Cost: nothing is counted if the vector lies in the heap.
    ///
    /// # Panics
    /// If there is no such element.
    #[inline]
    #[track_caller]
    pub fn store(&self, index: usize, edge: P::Local<'_>, _guard: &Guard) {
        let object = edge.into_object();
        let old = self.edges().write(|mut writer| writer.set_pinned(index, object));
        assert!(old.is_some(), "no element {index} in the `GcVec`");
    }

    /// Goes over the elements from the first to the last, with no lock held between two calls: the vector may be changed meanwhile, also by the loop itself.
    /// An element that stays in its place all the time is met once; one that moves meanwhile may be met twice, or not at all. Cost: the lock for reading, once
    /// for some dozens of elements.
    ///
    /// For a consistent view iterate over [`read()`](Self::read).
    ///
    /// ```
    /// use graphgc::{Gc, GcVec, pin};
    ///
    /// let numbers: GcVec<_> = (1..=3).map(Gc::new).collect();
    /// let guard = pin();
    /// let mut sum = 0;
    /// for number in numbers.iter_pinned(&guard) {
    ///     sum += *number;
    ///     numbers.pop();
    /// }
    /// assert_eq!(sum, 6, "the few elements that there are were read together");
    /// ```
    pub fn iter_pinned<'a, 'g>(&'a self, guard: &'g Guard) -> PinnedIter<'a, 'g, P> {
        PinnedIter { vec: self, guard, next: 0, batch: Vec::new().into_iter() }
    }
}

/// The iterator of [`GcVec::iter_pinned`].
pub struct PinnedIter<'a, 'g, P: Element> {
    vec: &'a GcVec<P>,
    guard: &'g Guard,
    next: usize,
    batch: std::vec::IntoIter<P::Local<'g>>,
}

impl<'g, P: Element + Trace> Iterator for PinnedIter<'_, 'g, P> {
    type Item = P::Local<'g>;

    fn next(&mut self) -> Option<P::Local<'g>> {
        if let Some(edge) = self.batch.next() {
            return Some(edge);
        }
        let elements = self.vec.read();
        let rest = elements.get(self.next..)?;
        let batch = &rest[..rest.len().min(BATCH)];
        let local = |edge: &P| {
            let _pinned: &'g Guard = self.guard;
            // SAFETY: the object is reachable through this vector now, when the pin is held.
            unsafe { P::Local::from_object(edge.object()) }
        };
        self.batch = batch.iter().map(local).collect::<Vec<_>>().into_iter();
        self.next += batch.len();
        self.batch.next()
    }
}
