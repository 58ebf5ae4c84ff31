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
    /// in did before, and no more: two loads of different cells may be seen by other threads in either order. `==` on the result compares
    /// contents; whether two loads found the same object says [`Local::ptr_eq`](crate::Local::ptr_eq).
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
        let Some(operation) = Operation::enter_at_once() else {
            return self.store_slowly(new, None);
        };
        let Some(seen) = self.word.read_staying(operation.phase.is_marking()) else {
            return self.store_slowly(new, Some(operation));
        };
        self.word.overwrite_claimed(new);
        shade_both(seen.object_of_claimed(), new, &operation);
        operation.end_at_once();
    }

    /// [`store`](Self::store) in a counted cell, or one that a marker may set back to that; or in an operation that is yet to be entered.
    #[cold]
    #[inline(never)]
    fn store_slowly(&self, new: Option<Object>, operation: Option<Operation>) {
        self.swap_pinned(new, &operation.unwrap_or_else(Operation::enter));
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
        let old = self.swap_pinned(edge.into_object(), &operation);
        // SAFETY: the word held edges of type `P`; the object was reachable through this cell when the pin was held.
        unsafe { P::Local::from_object(old) }
    }

    fn swap_pinned(&self, new: Option<Object>, operation: &Operation) -> Option<Object> {
        let mut seen = self.word.read();
        loop {
            match self.exchange_pinned(seen, new, operation) {
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
                break Err(seen.shared());
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

    /// Puts in what `update` makes of the edge, again and again until no other thread has changed it meanwhile; gives back what was there. Acquires
    /// and releases.
    ///
    /// # Errors
    /// What is there, if `update` gives nothing.
    ///
    /// ```
    /// use graphgc::{Gc, GcCell, Trace, pin};
    ///
    /// #[derive(Trace)]
    /// struct Node { value: u32, next: GcCell<Option<Gc<Node>>> }
    ///
    /// let stack: GcCell<Option<Gc<Node>>> = GcCell::default();
    /// let guard = pin();
    /// for value in [1, 2] {
    ///     let node = guard.alloc(Node { value, next: GcCell::default() });
    ///     let pushed = stack.fetch_update(&guard, |first| {
    ///         node.next.store(first, &guard);
    ///         Some(Some(node))
    ///     });
    ///     assert!(pushed.is_ok());
    /// }
    /// let popped = stack.fetch_update(&guard, |first| Some(first?.next.load(&guard)));
    /// assert_eq!(popped.ok().unwrap().unwrap().value, 2);
    /// ```
    #[inline]
    pub fn fetch_update<'g>(
        &self,
        guard: &'g Guard,
        mut update: impl FnMut(P::Local<'g>) -> Option<P::Local<'g>>,
    ) -> Result<P::Local<'g>, P::Local<'g>> {
        let mut seen = self.load(guard);
        loop {
            let Some(new) = update(seen) else { return Err(seen) };
            match self.compare_exchange(seen, new, guard) {
                Ok(old) => return Ok(old),
                Err(now) => seen = now,
            }
        }
    }

    /// A cell with this edge, for a node that is born with it. It keeps what it leads to wherever it goes, beyond the guard, too.
    ///
    /// Cost: as [`Local::to_gc`](crate::Local::to_gc), since the cell might go anywhere; and what it counts is counted back when its node moves into the heap.
    /// An edge that may be empty costs less if it is stored when its node is there but nobody knows of it: [`store`](Self::store) counts
    /// nothing.
    ///
    /// ```
    /// use graphgc::{Gc, GcCell, Trace, pin};
    ///
    /// #[derive(Trace)]
    /// struct Child { parent: GcCell<Gc<String>> }
    ///
    /// let guard = pin();
    /// let parent = guard.alloc("parent".to_string());
    /// let child = guard.alloc(Child { parent: GcCell::from_local(parent) });
    /// assert_eq!(*child.parent.load(&guard), "parent");
    /// ```
    #[inline]
    pub fn from_local(edge: P::Local<'_>) -> Self {
        let object = edge.into_object();
        if let Some(object) = object {
            Operation::enter().count_up(object);
        }
        // SAFETY: of type `P`, and just counted, for this edge.
        GcCell::new(unsafe { P::from_object(object) })
    }

    /// Puts `new` in the place of `seen`, with what that means for counts and colours.
    #[inline]
    fn exchange_pinned(&self, seen: Reading, new: Option<Object>, operation: &Operation) -> Result<(), Reading> {
        if seen.is_counted() {
            return self.exchange_counted(seen, new, operation);
        }
        self.word.exchange(seen, new)?;
        shade_both(seen.object(), new, operation);
        Ok(())
    }

    #[cold]
    fn exchange_counted(&self, seen: Reading, new: Option<Object>, operation: &Operation) -> Result<(), Reading> {
        new.into_iter().for_each(|object| operation.count_up(object));
        let result = self.word.exchange(seen, new);
        let no_longer = if result.is_ok() { seen.shared() } else { new };
        // SAFETY: of type `P`, as is all that this cell held or was to hold; one count of it was the cell's, and is no longer.
        drop(unsafe { P::from_object(no_longer) });
        result
    }
}

/// In a claimed cell `new` has taken the place of `old`.
#[inline]
fn shade_both(old: Option<Object>, new: Option<Object>, operation: &Operation) {
    if let Some(old) = old
        && !weakened(Mutation::PinnedChangeForgetsOld)
    {
        operation.shade(old);
    }
    if let Some(new) = new
        && !weakened(Mutation::PinnedStoreForgetsNew)
    {
        operation.shade(new);
    }
}
