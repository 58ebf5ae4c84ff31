//! The elements of a collection behind their lock; the protocol is in the module above.

mod one_thread;

use super::{
    Element,
    buffer::{Buffer, Loan, Progress, SharedBuffer},
};
use crate::{
    cell::{
        gc_cell::sealed::Sealed,
        lock::{Attempt, CellLock},
        lock_cell::{Lock, Reading},
    },
    heap::header::Object,
    mutator::{Operation, gate::Phase},
    sync::{Mutation, const_fn, weakened},
    trace::{
        Facts, Info, Trace, Tracer,
        tracer::{Content, EdgeList, SLICE},
    },
};
use std::{
    collections::TryReserveError,
    mem::{ManuallyDrop, MaybeUninit},
    ops::Deref,
    ptr,
};

/// Elements that one operation moves at most.
const LONGEST_SHIFT: usize = 4096;
/// In the order of a rebuilt collection: the element that comes in.
pub(super) const INCOMING: usize = usize::MAX;

/// See the module's head.
pub(super) struct Edges<P, L = CellLock> {
    lock: L,
    content: SharedBuffer<P>,
}

// SAFETY: the lock lets many read or one write, but for the length, which is atomic; what they get at are handles that may go to and be used on any thread.
unsafe impl<P: Send + Sync> Sync for Edges<P> {}

/// The content as its only writer has it.
pub(super) struct Writer<'a, P> {
    content: Loan<'a, P>,
    /// There is one if the content is claimed.
    operation: Option<&'a Operation>,
}

impl<P: Element> Writer<'_, P> {
    #[inline]
    fn come_in(&self, edge: &P) {
        if let (Some(operation), Some(object)) = (self.operation, edge.object()) {
            operation.claim(object);
        }
    }

    /// An element becomes the caller's.
    #[inline]
    fn go_out(&self, edge: &P) {
        if let Some(operation) = self.operation
            && let Some(object) = edge.object_of_claimed()
        {
            if weakened(Mutation::EdgeOutWithoutShade) {
                // SAFETY: the element keeps it alive.
                unsafe { object.roots() }.up();
                return;
            }
            operation.count_for_thread(object);
        }
    }

    fn moves(&self, index: usize) {
        if let Some(operation) = self.operation
            && let Some(object) = self.content[index].object_of_claimed()
            && !weakened(Mutation::EdgeSwapWithoutShade)
        {
            operation.shade(object);
        }
    }

    /// Puts an edge at the end if there is room for it.
    #[inline]
    pub(super) fn push(&mut self, edge: P) -> Result<(), P> {
        if self.content.len() == self.content.capacity() {
            return Err(edge);
        }
        self.come_in(&edge);
        self.content.push(edge)
    }

    /// As [`push`](Self::push), with the edge to an object that only a pin may keep.
    #[inline]
    pub(super) fn push_pinned(&mut self, object: Option<Object>) -> bool {
        if self.content.len() == self.content.capacity() {
            return false;
        }
        // SAFETY: of the cell's type, by the caller's `Local`; counted where it has to be by `come_in_pinned`.
        let edge = unsafe { P::from_object(object) };
        self.come_in_pinned(object);
        self.content.push(edge).is_ok()
    }

    #[inline]
    fn come_in_pinned(&self, object: Option<Object>) {
        let Some(object) = object else { return };
        match self.operation {
            Some(operation) => operation.shade(object),
            None => count_pinned(object),
        }
    }

    pub(super) fn pop(&mut self) -> Option<P> {
        self.go_out(self.content.last()?);
        self.content.pop()
    }

    pub(super) fn replace(&mut self, index: usize, edge: P) -> Result<P, P> {
        if index >= self.content.len() {
            return Err(edge);
        }
        self.come_in(&edge);
        self.go_out(&self.content[index]);
        Ok(std::mem::replace(&mut self.content[index], edge))
    }

    /// As [`replace`](Self::replace), but that nobody wants the old element: it comes back only if the caller has to drop it.
    #[inline]
    pub(super) fn set(&mut self, index: usize, edge: P) -> Result<Option<P>, P> {
        if index >= self.content.len() {
            return Err(edge);
        }
        self.come_in(&edge);
        Ok(self.overwrite(index, edge))
    }

    /// As [`set`](Self::set), with the edge to an object that only a pin may keep. Nothing if there is no such element.
    #[inline]
    pub(super) fn set_pinned(&mut self, index: usize, object: Option<Object>) -> Option<Option<P>> {
        if index >= self.content.len() {
            return None;
        }
        // SAFETY: as in `push_pinned`.
        let edge = unsafe { P::from_object(object) };
        self.come_in_pinned(object);
        Some(self.overwrite(index, edge))
    }

    /// A claimed element ends here, without a count; a counted one the caller drops.
    #[inline]
    fn overwrite(&mut self, index: usize, edge: P) -> Option<P> {
        let old = std::mem::replace(&mut self.content[index], edge);
        let Some(operation) = self.operation else { return Some(old) };
        let old = ManuallyDrop::new(old);
        // Outside marking the old target is not even looked at: it is in no cache, most of the time.
        if operation.phase.is_marking()
            && let Some(object) = old.object_of_claimed()
            && !weakened(Mutation::EdgeOverwrittenWithoutShade)
        {
            operation.shade(object);
        }
        None
    }

    /// False if one of the two is not there.
    pub(super) fn swap(&mut self, a: usize, b: usize) -> bool {
        if a.max(b) >= self.content.len() {
            return false;
        }
        self.moves(a);
        self.moves(b);
        self.content.swap(a, b);
        true
    }

    pub(super) fn swap_remove(&mut self, index: usize) -> Option<P> {
        self.go_out(self.content.get(index)?);
        self.moves(self.content.len() - 1);
        Some(self.content.swap_remove(index))
    }

    /// Whether shifting what is at `index` and behind it is short enough for an operation.
    fn shifts_briefly(&self, index: usize) -> bool {
        self.operation.is_none() || self.content.len() - index <= LONGEST_SHIFT
    }

    /// Gives the edge back if there is no room, or the way is long, or no such place.
    pub(super) fn insert(&mut self, index: usize, edge: P) -> Result<(), P> {
        let len = self.content.len();
        if index > len || len == self.content.capacity() || !self.shifts_briefly(index) {
            return Err(edge);
        }
        self.come_in(&edge);
        self.content.progress().insert(index);
        self.content.insert(index, edge)
    }

    /// Nothing if the way is long, or there is no such element.
    pub(super) fn remove(&mut self, index: usize) -> Option<P> {
        if index >= self.content.len() || !self.shifts_briefly(index) {
            return None;
        }
        self.go_out(&self.content[index]);
        Some(self.content.remove(index))
    }
}

/// The edge to an object that only a pin may keep comes into counted content.
#[cold]
#[inline(never)]
fn count_pinned(object: Object) {
    Operation::enter().count_up(object);
}

impl<P> Edges<P> {
    const_fn! {
        /// Counted content.
        pub(super) fn new(content: Buffer<P>) -> Self {
            Edges { lock: CellLock::new(), content: SharedBuffer::new(content) }
        }
    }

    /// Locks for reading.
    #[inline]
    pub(super) fn read(&self) -> (Reading<'_>, *const [P]) {
        self.lock.read(None);
        (Reading::new(&self.lock), self.slice())
    }

    /// Locks for reading if nobody writes.
    pub(super) fn try_read(&self) -> Option<(Reading<'_>, *const [P])> {
        self.lock.try_read().then(|| (Reading::new(&self.lock), self.slice()))
    }

    /// How many elements there is room for.
    pub(super) fn capacity(&self) -> usize {
        let _reading = self.read();
        // SAFETY: the lock keeps writers out.
        unsafe { self.content.look() }.capacity()
    }

    /// Locks for writing, for a moment. `change` runs no code of users, does not allocate, and does not panic.
    #[inline]
    pub(super) fn write<R>(&self, change: impl FnOnce(Writer<'_, P>) -> R) -> R {
        let operation = if self.lock.try_write_at_once() {
            None
        } else if let Some(operation) = self.write_claimed_at_once() {
            Some(operation)
        } else {
            return self.write_slowly(change);
        };
        // As `change_locked`, but that an operation that was entered at once ends at once.
        debug_assert_eq!(operation.is_some(), self.lock.is_claimed());
        let result = change(self.writer(operation.as_ref()));
        let wakes = self.lock.end_write_as_it_is();
        if let Some(operation) = operation {
            operation.end_at_once();
        }
        if wakes {
            self.lock.wake();
        }
        result
    }

    /// Takes the lock of claimed content, as it is in the heap, and enters the operation that it takes, if neither has to be waited for.
    #[inline(always)]
    fn write_claimed_at_once(&self) -> Option<Operation> {
        let operation = Operation::enter_at_once()?;
        if self.lock.try_write_claimed() {
            return Some(operation);
        }
        operation.end_at_once();
        None
    }

    #[cold]
    #[inline(never)]
    fn write_slowly<R>(&self, change: impl FnOnce(Writer<'_, P>) -> R) -> R {
        let operation = loop {
            match self.lock.try_write_counted() {
                Attempt::Held => break None,
                Attempt::Claimed => {
                    let operation = Operation::enter();
                    if self.lock.try_write_claimed() {
                        break Some(operation);
                    }
                }
                Attempt::MarkerInside => self.lock.wait_for_marker(),
                Attempt::Busy => _ = self.lock.wait_to_write(None),
            }
        };
        self.change_locked(operation, change)
    }

    /// Keeps readers and writers out, until the reservation is used up or dropped. Waits for it, parked.
    pub(super) fn reserved(&self) -> Reserved<'_, P> {
        self.lock.reserve();
        Reserved { edges: self }
    }
}

impl<P, L: Lock> Edges<P, L> {
    pub(super) fn get_mut(&mut self) -> Loan<'_, P> {
        debug_assert!(!self.lock.word().is_claimed());
        self.content.get_mut()
    }

    pub(super) fn elements_mut(&mut self) -> &mut [P] {
        debug_assert!(!self.lock.word().is_claimed());
        self.content.elements_mut()
    }

    pub(super) fn into_inner(self) -> Vec<P> {
        debug_assert!(!self.lock.word().is_claimed());
        self.content.into_inner().into_vec()
    }

    /// The number of elements now, whoever holds the lock.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.content.len()
    }

    /// The elements; the caller holds the lock.
    fn slice(&self) -> *const [P] {
        // SAFETY: the lock keeps writers out.
        ptr::from_ref(unsafe { self.content.elements() })
    }

    /// The caller holds the lock for writing.
    #[inline]
    fn writer<'a>(&'a self, operation: Option<&'a Operation>) -> Writer<'a, P> {
        // SAFETY: the lock is the caller's alone, and no marker is inside; or nobody can be (`one_thread`). A writer is dropped before the lock is given up.
        Writer { content: unsafe { self.content.lend() }, operation }
    }

    /// Makes a change, and gives up the lock, which the caller holds for writing: in the operation that there is if the content is claimed.
    #[inline]
    fn change_locked<R>(&self, operation: Option<Operation>, change: impl FnOnce(Writer<'_, P>) -> R) -> R {
        debug_assert_eq!(operation.is_some(), self.lock.word().is_claimed());
        let result = change(self.writer(operation.as_ref()));
        self.leave(operation);
        result
    }

    /// Gives the lock up before the operation ends (C1), and wakes after it.
    #[inline]
    fn leave(&self, operation: Option<Operation>) {
        let wakes = self.lock.word().end_write_as_it_is();
        drop(operation);
        if wakes {
            self.lock.word().wake();
        }
    }
}

impl<P: Element> Edges<P> {
    /// Makes room for `additional` elements more, as `Vec::reserve` does, or as `reserve_exact`.
    pub(super) fn reserve(&self, additional: usize, exact: bool) -> Result<(), TryReserveError> {
        self.reserved().grow(additional, exact)
    }

    /// See [`Reserved::rebuild`].
    pub(super) fn rebuild<R>(
        &self,
        incoming: Option<P>,
        plan: impl FnOnce(&[P]) -> Option<(Vec<usize>, R)>,
    ) -> Option<R> {
        self.reserved().rebuild(incoming, plan)
    }
}

/// A collection that is kept as it is while users' code looks at it, or it is being rebuilt.
pub(super) struct Reserved<'a, P, L: Lock = CellLock> {
    edges: &'a Edges<P, L>,
}

impl<P: Element, L: Lock> Reserved<'_, P, L> {
    fn old(&self) -> impl Deref<Target = Buffer<P>> {
        // SAFETY: nobody writes while it is reserved.
        unsafe { self.edges.content.look() }
    }

    /// The elements as they are.
    pub(super) fn elements(&self) -> &[P] {
        // SAFETY: as above.
        unsafe { self.edges.content.elements() }
    }

    /// Whether one more can be pushed.
    pub(super) fn has_room(&self) -> bool {
        let old = self.old();
        old.len() < old.capacity()
    }

    /// One change, for which [`Edges::write`] says what it must be; then the reservation ends.
    #[inline]
    pub(super) fn write<R>(self, change: impl FnOnce(Writer<'_, P>) -> R) -> R {
        let edges = self.edges;
        let operation = loop {
            let operation = Operation::enter();
            if edges.lock.word().try_write_reserved() {
                break operation;
            }
            drop(operation);
            edges.lock.word().wait_for_marker();
        };
        std::mem::forget(self);
        edges.change_locked(edges.lock.word().is_claimed().then_some(operation), change)
    }

    /// See [`Edges::reserve`].
    pub(super) fn grow(self, additional: usize, exact: bool) -> Result<(), TryReserveError> {
        let Some(new) = self.old().grown(additional, exact)? else { return Ok(()) };
        // In the same order: what the marker has done stays done.
        let (mut old, _) = self.install(new, None, false);
        // SAFETY: all of them have moved.
        unsafe { old.set_len(0) };
        Ok(())
    }

    /// Puts those elements that `plan` names by their indices, each at most once, in that order, in the place of all; `incoming` is
    /// [`INCOMING`] among them. The others go. If `plan` panics nothing has happened.
    pub(super) fn rebuild<R>(
        self,
        incoming: Option<P>,
        plan: impl FnOnce(&[P]) -> Option<(Vec<usize>, R)>,
    ) -> Option<R> {
        let (order, result) = plan(self.elements())?;
        self.rearrange(incoming, &order, || ());
        Some(result)
    }

    /// As [`rebuild`](Self::rebuild) in this order. `commit` is called when nothing can fail any more, and does not panic.
    pub(super) fn rearrange(self, incoming: Option<P>, order: &[usize], commit: impl FnOnce()) {
        let capacity = self.old().capacity().max(order.len());
        let old = self.elements();
        let mut stays = vec![false; old.len()];
        let mut new = Buffer::<MaybeUninit<P>>::with_capacity(capacity);
        let incoming = incoming.map(ManuallyDrop::new);
        for &source in order {
            let edge: *const P = if source == INCOMING {
                &raw const **incoming.as_ref().expect("it was given")
            } else {
                assert!(!std::mem::replace(&mut stays[source], true), "an element cannot be in two places");
                &raw const old[source]
            };
            // SAFETY: the copy counts for nothing until it takes the place of the old one.
            let copied = new.push(unsafe { edge.cast::<MaybeUninit<P>>().read() });
            debug_assert!(copied.is_ok());
        }
        let incoming = incoming.as_deref().and_then(Sealed::object);
        commit();
        let (mut old, claimed) = self.install(new, incoming, true);
        // SAFETY: those that stay have moved. Claimed ones that go are forgotten, counted ones are dropped.
        unsafe {
            old.set_len(0);
            for (index, stays) in stays.into_iter().enumerate() {
                if !stays && !claimed {
                    old.first().add(index).drop_in_place();
                }
            }
        }
    }

    /// Puts `new` in the place of the content, which is given back, and says whether that is claimed. `new` has elements of the content, which live on there,
    /// and the counted edge to `incoming`.
    fn install(self, new: Buffer<MaybeUninit<P>>, incoming: Option<Object>, reorders: bool) -> (Buffer<P>, bool) {
        let edges = self.edges;
        // SAFETY: all of them are initialised. They are the old buffer's, too, until the caller has that.
        let mut new = unsafe { ManuallyDrop::new(new.assume_init()) };
        let mut shaded = None;
        let operation = loop {
            let operation = Operation::enter();
            if reorders && operation.phase.is_marking() && shaded != Some(operation.phase) {
                drop(operation);
                shaded = self.shade_all();
            } else if edges.lock.word().try_write_reserved() {
                break operation;
            } else {
                drop(operation);
                edges.lock.word().wait_for_marker();
            }
        };
        std::mem::forget(self);
        let claimed = edges.lock.word().is_claimed();
        if claimed && let Some(object) = incoming {
            operation.claim(object);
        }
        let mut content = edges.writer(None).content;
        new.take_progress(&content);
        std::mem::swap(&mut *content, &mut *new);
        drop(content);
        edges.leave(Some(operation));
        (ManuallyDrop::into_inner(new), claimed)
    }

    /// Shades all elements, in slices. The phase in which all that was; none if it changed.
    fn shade_all(&self) -> Option<Phase> {
        let phase = Operation::enter().phase;
        for slice in self.elements().chunks(SLICE) {
            let operation = Operation::enter();
            if operation.phase != phase {
                return None;
            }
            if !weakened(Mutation::RebuildWithoutShade) {
                slice.iter().filter_map(Sealed::object).for_each(|object| operation.shade(object));
            }
        }
        Some(phase)
    }
}

impl<P, L: Lock> Drop for Reserved<'_, P, L> {
    fn drop(&mut self) {
        self.edges.lock.word().end_reservation();
    }
}

/// Facts of a collection of edges: its memory must be freed, and what is in it may be counted when it dies.
pub enum EdgeCollection {}

impl Info for EdgeCollection {
    const FACTS: Facts = Facts::HANDLE.contained().in_lock_cell();
    type Behind = Self;
}

/// The elements, to be walked as the lock allows.
struct Elements<'a, P>(&'a SharedBuffer<P>);

impl<P: Trace> Content for Elements<'_, P> {
    unsafe fn trace(&self, tracer: &mut Tracer<'_>) {
        // SAFETY: by contract nobody writes.
        let elements = unsafe { self.0.elements() };
        // As a slice: that asks before each element whether the walk is to end.
        elements.trace(tracer);
    }
}

impl<P: Trace> EdgeList for Elements<'_, P> {
    unsafe fn progress(&self) -> &Progress {
        // SAFETY: as above.
        unsafe { self.0.progress() }
    }

    unsafe fn len(&self) -> usize {
        self.0.len()
    }

    unsafe fn trace_range(&self, from: usize, to: usize, tracer: &mut Tracer<'_>) {
        // SAFETY: as above.
        unsafe { &self.0.elements()[from..to] }.iter().rev().for_each(|edge| edge.trace(tracer));
    }
}

// SAFETY: the lock lets the marker in only while nobody writes; `drop_swept` follows the flag.
unsafe impl<P: Element + Trace, L: Lock> Trace for Edges<P, L> {
    type Info = EdgeCollection;

    fn trace(&self, tracer: &mut Tracer<'_>) {
        tracer.edges(self.lock.word(), &Elements(&self.content));
    }

    unsafe fn drop_swept(&mut self) {
        if self.lock.word().is_claimed() {
            // SAFETY: claimed handles are forgotten; the memory is the vector's.
            unsafe { self.content.get_mut().set_len(0) };
        }
        // SAFETY: by contract; what is left are counted handles.
        unsafe { ptr::drop_in_place(&raw mut self.content) };
    }
}
