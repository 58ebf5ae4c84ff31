//! What a pinned thread does with a `GcCell`: plain loads, and changes that count nothing in a claimed cell.
//!
//! A load is no operation. What it reads is reachable at that moment, and a pin is held: S2 waits for it if it was held at R, and otherwise this
//! cycle marks whatever is reachable (R3). Both stay true when the edge is overwritten a moment later.
//!
//! A change is an operation, since the marker must see it: the old target is shaded, as for every edge that goes, and so is the new one, which
//! may be an object that the snapshot does not have. In a claimed cell both stay as they are otherwise. A counted cell counts what it
//! holds: up before the word says so, down after.

use super::{
    edge_word::Reading,
    gc_cell::{Edge, GcCell, sealed::PinnedEdge},
};
use crate::{
    handle::Guard,
    heap::header::Object,
    mutator::Operation,
    sync::{Mutation, weakened},
};

impl<P: Edge> GcCell<P> {
    /// The edge, for as long as the guard is held. Cost: one load, as for a raw pointer. Acquires what the thread that put the edge
    /// in did before.
    ///
    /// ```
    /// use graphgc::{Gc, GcCell, pin};
    ///
    /// let cell = GcCell::new(Some(Gc::new(7)));
    /// let guard = pin();
    /// let seven = cell.load(&guard).unwrap();
    /// cell.set(None);
    /// graphgc::collect();
    /// assert_eq!(*seven, 7);
    /// ```
    #[inline]
    pub fn load<'g>(&self, _guard: &'g Guard) -> P::Local<'g> {
        // SAFETY: the word holds edges of type `P`; the object is reachable through this cell now, when the pin is held.
        unsafe { P::Local::from_object(self.word.target()) }
    }

    /// Puts `edge` in; what was there goes. Releases what the thread did before to whoever loads the edge.
    ///
    /// Cost: a few nanoseconds; nothing is counted if the cell lies in the heap.
    #[inline]
    pub fn store(&self, edge: P::Local<'_>, _guard: &Guard) {
        let new = edge.into_object();
        let operation = Operation::enter();
        let seen = self.word.read();
        if !seen.is_counted() && !operation.phase.is_marking() {
            self.word.overwrite_claimed(new);
        } else {
            self.swap_pinned(seen, new, operation);
        }
    }

    /// Puts `edge` in and gives back what was there. Acquires and releases.
    ///
    /// ```
    /// use graphgc::{Gc, GcCell, pin};
    ///
    /// let cell = GcCell::new(Gc::new(1));
    /// let guard = pin();
    /// let one = cell.swap(guard.alloc(2), &guard);
    /// assert_eq!((*one, *cell.load(&guard)), (1, 2));
    /// ```
    #[inline]
    pub fn swap<'g>(&self, edge: P::Local<'_>, _guard: &'g Guard) -> P::Local<'g> {
        let operation = Operation::enter();
        let old = self.swap_pinned(self.word.read(), edge.into_object(), operation);
        // SAFETY: the word held edges of type `P`; the object was reachable through this cell when the pin was held.
        unsafe { P::Local::from_object(old) }
    }

    fn swap_pinned(&self, mut seen: Reading, new: Option<Object>, operation: Operation) -> Option<Object> {
        loop {
            match self.exchange_pinned(seen, new, &operation) {
                Ok(()) => return seen.object(),
                Err(now) => seen = now,
            }
        }
    }

    /// Puts `new` in if the edge leads to the same object as `current` (or both are `None`): then gives back `current`. Acquires and
    /// releases. An object's address is not used again while a `Local` to it lives, so there is no ABA problem.
    ///
    /// [`replace_if`](Self::replace_if) is the counterpart for handles.
    ///
    /// # Errors
    /// What is there instead.
    ///
    /// ```
    /// use graphgc::{Gc, GcCell, pin};
    ///
    /// let cell = GcCell::new(None::<Gc<u32>>);
    /// let guard = pin();
    /// let seven = Some(guard.alloc(7));
    /// assert!(cell.compare_exchange(None, seven, &guard).is_ok());
    /// assert_eq!(cell.compare_exchange(None, seven, &guard), Err(seven));
    /// ```
    #[inline]
    pub fn compare_exchange<'g>(
        &self,
        current: P::Local<'_>,
        new: P::Local<'_>,
        _guard: &'g Guard,
    ) -> Result<P::Local<'g>, P::Local<'g>> {
        let (current, new) = (current.into_object(), new.into_object());
        let operation = Operation::enter();
        let mut seen = self.word.read();
        let result = loop {
            if seen.object() != current {
                break Err(seen.object());
            }
            match self.exchange_pinned(seen, new, &operation) {
                Ok(()) => break Ok(current),
                Err(now) => seen = now,
            }
        };
        // SAFETY: the word held edges of type `P`; the object was reachable through this cell when the pin was held.
        let local = |object| unsafe { P::Local::from_object(object) };
        result.map(local).map_err(local)
    }

    /// Puts `new` in the place of `seen`, with what that means for counts and colours.
    #[inline]
    fn exchange_pinned(&self, seen: Reading, new: Option<Object>, operation: &Operation) -> Result<(), Reading> {
        if seen.is_counted() {
            return self.exchange_counted(seen, new, operation);
        }
        self.word.exchange(seen, new)?;
        if let Some(old) = seen.object()
            && !weakened(Mutation::PinnedChangeForgetsOld)
        {
            operation.shade(old);
        }
        if let Some(new) = new
            && !weakened(Mutation::PinnedStoreForgetsNew)
        {
            operation.shade(new);
        }
        Ok(())
    }

    #[cold]
    fn exchange_counted(&self, seen: Reading, new: Option<Object>, operation: &Operation) -> Result<(), Reading> {
        new.into_iter().for_each(|object| operation.count_up(object));
        let result = self.word.exchange(seen, new);
        let no_longer = if result.is_ok() { seen.object() } else { new };
        // SAFETY: of type `P`, as is all that this cell held or was to hold; one count of it was the cell's, and is no longer.
        drop(unsafe { P::from_object(no_longer) });
        result
    }
}
