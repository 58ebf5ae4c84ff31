//! `GcCell`: one mutable edge in one word, changed without locks.

use super::edge_word::{EdgeWord, Reading};
use crate::{
    handle::{Gc, Local},
    heap::header::Object,
    mutator::Operation,
    sync::{Mutation, weakened},
    trace::{Facts, Info, Trace, Tracer, type_info::SlotFacts},
};
use std::{cell::Cell, fmt, marker::PhantomData, mem::ManuallyDrop};

/// What a [`GcCell`] can hold: `Gc<T>`, `Option<Gc<T>>`, `Weak<T>` or `Option<Weak<T>>`, for `T: Sized`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not fit a `GcCell`",
    label = "not `Gc<T>`, `Weak<T>` or an `Option` of one",
    note = "a `GcCell` holds exactly one edge; for anything else use `GcRefCell`, `GcMutex` or `GcRwLock`"
)]
pub trait Edge: sealed::Sealed {
    /// The edge as a pinned scope has it: `Local<'g, T>`, `LocalWeak<'g, T>` or an `Option` of one.
    type Local<'g>: sealed::PinnedEdge<'g>;
}

#[expect(private_interfaces, reason = "sealed: nobody outside calls or implements these")]
pub(crate) mod sealed {
    use crate::{heap::header::Object, trace::type_info::SlotFacts};

    /// Conversion to and from the object an edge leads to.
    ///
    /// # Safety
    /// `from_object` of what `into_object` gave is the same edge.
    pub unsafe trait Sealed: 'static {
        /// What the slots of the objects are like.
        const FACTS: SlotFacts;

        /// The object, whose count passes to the caller. May allocate.
        fn into_object(self) -> Option<Object>;

        /// As `into_object`, but that what is unshared stays so. The caller shares or claims it before there is a way to it that nothing counts, or makes it the edge of a counted cell.
        #[inline]
        fn into_counted(self) -> Option<Object>
        where
            Self: Sized,
        {
            self.into_object()
        }

        /// The edge to `object`, with a count of the caller's.
        ///
        /// # Safety
        /// `object` came from `into_object`, and the caller owns one count of it.
        unsafe fn from_object(object: Option<Object>) -> Self;

        /// The object, borrowed. May allocate.
        fn object(&self) -> Option<Object>;

        /// As `object`, of a claimed edge: its object is shared already, and need not be looked at.
        #[inline]
        fn object_of_claimed(&self) -> Option<Object> {
            self.object()
        }
    }

    /// A handle to it takes one word. True of all that is `Sized`; here for what the compiler says if it is not.
    #[diagnostic::on_unimplemented(
        message = "a handle to `{Self}` takes two words: use `ThinGc` instead of `Gc`, which takes one",
        label = "`{Self}` has no size known at compile time",
        note = "`gc.thin()` makes a `ThinGc` of a `Gc`; it fits a `GcCell`, and a collection of edges",
        note = "as it is, the handle can be the content of a `GcRefCell`, `GcMutex` or `GcRwLock`"
    )]
    pub trait OneWord: Sized {}

    #[diagnostic::do_not_recommend]
    impl<T> OneWord for T {}

    /// The same for [`Weak`](crate::Weak).
    #[diagnostic::on_unimplemented(
        message = "a weak handle to `{Self}` takes two words, and fits no `GcCell` and no collection of edges",
        label = "`{Self}` has no size known at compile time",
        note = "the handle can be the content of a `GcRefCell`, `GcMutex` or `GcRwLock`",
        note = "`Weak<Thin<...>>` is one word, but leads to the `ThinGc`'s own object, which may go before the target does"
    )]
    pub trait WeakInOneWord: Sized {}

    #[diagnostic::do_not_recommend]
    impl<T> WeakInOneWord for T {}

    /// The same for the edges of a pinned scope.
    ///
    /// # Safety
    /// `from_object` of what `into_object` gave is the same edge.
    pub unsafe trait PinnedEdge<'g>: Copy {
        /// The object.
        fn into_object(self) -> Option<Object>;

        /// The edge to `object`.
        ///
        /// # Safety
        /// `object` came from `into_object`, of this or of `Sealed`, and something kept it reachable at a moment of a pin of
        /// the calling thread that lasts for `'g`.
        unsafe fn from_object(object: Option<Object>) -> Self;
    }
}
use sealed::{OneWord, PinnedEdge, Sealed};

#[allow(clippy::needless_maybe_sized, reason = "`OneWord` says more of a type without a size than `Sized`")]
impl<T: ?Sized + Trace + OneWord> Edge for Gc<T> {
    type Local<'g> = Local<'g, T>;
}

#[allow(clippy::needless_maybe_sized, reason = "`OneWord` says more of a type without a size than `Sized`")]
impl<T: ?Sized + Trace + OneWord> Edge for Option<Gc<T>> {
    type Local<'g> = Option<Local<'g, T>>;
}

#[expect(private_interfaces, reason = "sealed")]
// SAFETY: a handle and its object determine each other.
unsafe impl<T: Trace> Sealed for Gc<T> {
    const FACTS: SlotFacts = SlotFacts::of::<T>();

    #[inline]
    fn into_object(self) -> Option<Object> {
        Some(ManuallyDrop::new(self).as_object())
    }

    #[inline]
    fn into_counted(self) -> Option<Object> {
        Some(ManuallyDrop::new(self).as_counted())
    }

    #[inline]
    unsafe fn from_object(object: Option<Object>) -> Self {
        let object = object.expect("a cell of `Gc` is never empty");
        // SAFETY: by contract.
        unsafe { Gc::from_object(object) }
    }

    #[inline]
    fn object(&self) -> Option<Object> {
        Some(self.as_object())
    }

    #[inline]
    fn object_of_claimed(&self) -> Option<Object> {
        let object = self.as_counted();
        // SAFETY: an edge keeps it alive.
        debug_assert!(!unsafe { object.roots() }.is_unshared());
        Some(object)
    }
}

#[expect(private_interfaces, reason = "sealed")]
// SAFETY: as above; `None` is no object.
unsafe impl<T: Trace> Sealed for Option<Gc<T>> {
    const FACTS: SlotFacts = SlotFacts::of::<T>();

    #[inline]
    fn into_object(self) -> Option<Object> {
        self.and_then(Sealed::into_object)
    }

    #[inline]
    fn into_counted(self) -> Option<Object> {
        self.and_then(Sealed::into_counted)
    }

    #[inline]
    unsafe fn from_object(object: Option<Object>) -> Self {
        // SAFETY: by contract.
        object.map(|object| unsafe { Gc::from_object(object) })
    }

    #[inline]
    fn object(&self) -> Option<Object> {
        self.as_ref().map(Gc::as_object)
    }

    #[inline]
    fn object_of_claimed(&self) -> Option<Object> {
        self.as_ref().and_then(Sealed::object_of_claimed)
    }
}

#[expect(private_interfaces, reason = "sealed")]
// SAFETY: a `Local` and its object determine each other.
unsafe impl<'g, T: Trace> PinnedEdge<'g> for Local<'g, T> {
    #[inline]
    fn into_object(self) -> Option<Object> {
        Some(self.as_object())
    }

    #[inline]
    unsafe fn from_object(object: Option<Object>) -> Self {
        let object = object.expect("a cell of `Gc` is never empty");
        // SAFETY: by contract.
        unsafe { Local::from_object(object) }
    }
}

#[expect(private_interfaces, reason = "sealed")]
// SAFETY: as above; `None` is no object.
unsafe impl<'g, T: Trace> PinnedEdge<'g> for Option<Local<'g, T>> {
    #[inline]
    fn into_object(self) -> Option<Object> {
        self.map(Local::as_object)
    }

    #[inline]
    unsafe fn from_object(object: Option<Object>) -> Self {
        // SAFETY: by contract.
        object.map(|object| unsafe { Local::from_object(object) })
    }
}

/// The garbage-collected world's `Cell` for one edge: `Gc<T>`, `Weak<T>` or an `Option` of one in one word, read and changed atomically without
/// locks, shared between threads if the handle is.
///
/// Every access is a few nanoseconds: it enters a short critical section of the collector. Changes that give back what was there are compare-and-swap;
/// [`set`](GcCell::set) is a plain store most of the time.
///
/// ```
/// use graphgc::{Gc, GcCell, Trace};
///
/// #[derive(Trace)]
/// struct Node { next: GcCell<Option<Gc<Node>>> }
///
/// let a = Gc::new(Node { next: GcCell::new(None) });
/// let b = Gc::new(Node { next: GcCell::new(Some(a.clone())) });
/// a.next.set(Some(b.clone()));
/// assert!(Gc::ptr_eq(&a.next.get().unwrap(), &b));
/// assert!(a.next.take().is_some());
/// assert!(a.next.get().is_none());
/// ```
pub struct GcCell<P: Edge> {
    pub(super) word: EdgeWord,
    /// Owns a `P` that changes through `&self`: invariant, and not `Sync` by itself.
    edge: PhantomData<Cell<P>>,
}

// SAFETY: the word is changed atomically; what it hands out is a handle that may go to and be used on any thread.
unsafe impl<P: Edge + Send + Sync> Sync for GcCell<P> {}

impl<P: Edge> GcCell<P> {
    /// A cell with this edge.
    #[inline]
    pub fn new(edge: P) -> Self {
        GcCell { word: EdgeWord::new(edge.into_counted()), edge: PhantomData }
    }

    /// The edge, as a handle of its own.
    #[inline]
    pub fn get(&self) -> P {
        let early = weakened(Mutation::GetReadsOutside).then(|| self.word.read());
        let Some(operation) = Operation::enter_at_once() else { return self.get_in(&Operation::enter(), early) };
        let edge = self.get_in(&operation, early);
        operation.end_at_once();
        edge
    }

    /// [`get`](Self::get) in this operation, what has been read `early` if anything has.
    #[inline]
    fn get_in(&self, operation: &Operation, early: Option<Reading>) -> P {
        let object = early.map_or_else(|| self.word.target(), Reading::shared);
        if let Some(object) = object {
            // The object stays until the operation ends: it was reachable when we read the word, and nothing is freed
            // before another S2.
            operation.count_for_thread(object);
        }
        // SAFETY: the word holds edges of type `P` only; we have just counted this one.
        unsafe { P::from_object(object) }
    }

    /// Puts `edge` in; what was there goes.
    #[inline]
    pub fn set(&self, edge: P) {
        let new = edge.into_counted();
        let operation = Operation::enter();
        if operation.phase.is_marking() {
            self.set_while_marking(new, operation);
        } else if self.word.read_staying(false).is_some() {
            // Before the store: whoever gets at the object through the cell may merely note his handle, and must not find it unshared. That nothing
            // counts what comes in, until it is an edge, lasts no longer than the operation.
            if weakened(Mutation::SetClaimsLate) {
                self.word.overwrite_claimed(new);
            }
            new.into_iter().for_each(|object| operation.claim_for_newborn(object));
            self.word.overwrite_claimed(new);
        } else {
            self.set_slowly(new, operation);
        }
    }

    /// The same while marking: what was there is shaded, too. Out of line, so that [`set`](Self::set) keeps nothing for it.
    #[inline(never)]
    fn set_while_marking(&self, new: Option<Object>, operation: Operation) {
        let Some(seen) = self.word.read_staying(true) else { return self.set_slowly(new, operation) };
        new.into_iter().for_each(|object| operation.claim_for_newborn(object));
        self.word.overwrite_claimed(new);
        if !weakened(Mutation::SetWithoutShade) {
            seen.object_of_claimed().into_iter().for_each(|object| operation.shade(object));
        }
    }

    /// [`set`](Self::set) in a counted cell, or one that a marker may set back to that.
    fn set_slowly(&self, new: Option<Object>, operation: Operation) {
        // SAFETY: the handle that came in keeps it alive.
        new.into_iter().for_each(|object| unsafe { object.roots() }.share());
        let (old, counted) = self.swap_object(new);
        if counted {
            drop(operation);
            // SAFETY: the cell owned one count of what it held.
            drop(unsafe { P::from_object(old) });
        } else {
            new.into_iter().for_each(|object| operation.claim(object));
            if !weakened(Mutation::SetWithoutShade) {
                old.into_iter().for_each(|object| operation.shade(object));
            }
        }
    }

    /// Puts `edge` in and gives back what was there.
    #[inline]
    pub fn replace(&self, edge: P) -> P {
        let new = edge.into_object();
        let operation = Operation::enter();
        let (old, counted) = self.swap_object(new);
        if !counted {
            hand_over(&operation, old, new);
        }
        // SAFETY: the cell held it, and its count is ours now.
        unsafe { P::from_object(old) }
    }

    /// Takes the edge out, leaving the default (`None`).
    #[inline]
    pub fn take(&self) -> P
    where
        P: Default,
    {
        self.replace(P::default())
    }

    /// Puts `new` in if the edge leads to the same object as `current` (or both are `None`), and gives back what was there. Atomic;
    /// [`compare_exchange`](Self::compare_exchange) is its counterpart for pinned scopes, which counts nothing.
    ///
    /// # Errors
    /// Gives `new` back if it leads elsewhere.
    pub fn replace_if(&self, current: &P, new: P) -> Result<P, P> {
        let (current, new) = (current.object(), new.into_object());
        let operation = Operation::enter();
        let mut seen = self.word.read();
        while seen.object() == current {
            match self.word.exchange(seen, new) {
                Ok(()) => {
                    if !seen.is_counted() {
                        hand_over(&operation, seen.object(), new);
                    }
                    // SAFETY: the cell held it, and its count is ours now.
                    return Ok(unsafe { P::from_object(seen.object()) });
                }
                Err(now) => seen = now,
            }
        }
        drop(operation);
        // SAFETY: it is what we were given.
        Err(unsafe { P::from_object(new) })
    }

    /// The edge of a cell that you have to yourself.
    pub fn into_inner(self) -> P {
        self.replace_unshared()
    }

    fn replace_unshared(self) -> P {
        let this = ManuallyDrop::new(self);
        let reading = this.word.read();
        debug_assert!(reading.is_counted(), "a claimed cell lies in the heap");
        // SAFETY: the cell owned one count and is gone.
        unsafe { P::from_object(reading.object()) }
    }

    /// Puts `new` in the word. What was there, and whether the cell is counted.
    #[inline]
    fn swap_object(&self, new: Option<Object>) -> (Option<Object>, bool) {
        let mut seen = self.word.read();
        loop {
            match self.word.exchange(seen, new) {
                Ok(()) => return (seen.shared(), seen.is_counted()),
                Err(now) => seen = now,
            }
        }
    }
}

/// In a claimed cell `new` has taken the place of `old`: the one becomes claimed, the other counted.
fn hand_over(operation: &Operation, old: Option<Object>, new: Option<Object>) {
    new.into_iter().for_each(|object| operation.claim(object));
    if let Some(object) = old {
        if weakened(Mutation::TakeWithoutBarrier) {
            // SAFETY: as in `count_up`.
            unsafe { object.roots() }.up();
            return;
        }
        operation.count_for_thread(object);
    }
}

impl<P: Edge> Drop for GcCell<P> {
    fn drop(&mut self) {
        let reading = self.word.read();
        if reading.is_counted() {
            // SAFETY: the cell owned one count and is gone.
            drop(unsafe { P::from_object(reading.object()) });
        }
    }
}

impl<P: Edge + Default> Default for GcCell<P> {
    fn default() -> Self {
        GcCell::new(P::default())
    }
}

impl<P: Edge> From<P> for GcCell<P> {
    fn from(edge: P) -> Self {
        GcCell::new(edge)
    }
}

impl<P: Edge> Clone for GcCell<P> {
    fn clone(&self) -> Self {
        GcCell::new(self.get())
    }
}

/// Shallow, so that printing a cyclic graph ends.
impl<P: Edge> fmt::Debug for GcCell<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GcCell(..)")
    }
}

/// Facts of a single cell: directly in an object its content is claimed, so nothing needs dropping when that dies.
pub enum EdgeCell {}

impl Info for EdgeCell {
    const FACTS: Facts = Facts { cells: true, ..Facts::HANDLE };
    type Behind = Self;
}

// SAFETY: the word is read and changed atomically; `drop_swept` follows the flag.
unsafe impl<P: Edge> Trace for GcCell<P> {
    type Info = EdgeCell;

    #[inline(always)]
    fn trace(&self, tracer: &mut Tracer<'_>) {
        tracer.edge_cell(&self.word, P::FACTS);
    }

    unsafe fn drop_swept(&mut self) {
        let reading = self.word.read();
        if reading.is_counted() {
            // SAFETY: the cell owned one count and is gone.
            drop(unsafe { P::from_object(reading.object()) });
        }
    }
}
