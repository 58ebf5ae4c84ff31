//! The elements of a collection behind their lock; the protocol is in the module above.

mod one_thread;

use super::Element;
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
    cell::UnsafeCell,
    collections::TryReserveError,
    mem::{ManuallyDrop, MaybeUninit},
    ptr,
    sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed},
};

/// Elements that one operation moves at most.
const LONGEST_SHIFT: usize = 4096;
/// In the order of a rebuilt collection: the element that comes in.
pub(super) const INCOMING: usize = usize::MAX;

/// How much of a collection the marker has still to trace in this cycle. Read and written by whoever is in the lock as its marker or its writer, so
/// that the lock orders all accesses; or, of a collection of one thread outside marking, by that thread in an operation: the gate orders that.
///
/// The marker says which cycle it marks in. One that keeps what finalizers will see marks in the cycle that has had its S2; the next one has to trace the
/// collection again, if only the finalizer still leads to it.
pub(crate) struct Progress {
    /// The cycle that `left` speaks of, or `NEVER`.
    cycle: AtomicU32,
    /// The elements before this are still to be traced.
    left: AtomicUsize,
}

impl Progress {
    /// No cycle has this number: they are counted to 2^31, and then anew.
    const NEVER: u32 = u32::MAX;

    const fn new() -> Self {
        Progress { cycle: AtomicU32::new(Progress::NEVER), left: AtomicUsize::new(0) }
    }

    /// How many of `len` elements are left in this cycle, from the first.
    pub(crate) fn left(&self, cycle: u32, len: usize) -> usize {
        if self.cycle.load(Relaxed) == cycle { self.left.load(Relaxed).min(len) } else { len }
    }

    /// So many are left in this cycle.
    pub(crate) fn set(&self, cycle: u32, left: usize) {
        self.cycle.store(cycle, Relaxed);
        self.left.store(left, Relaxed);
    }

    /// An element comes in at `index`, and those behind it move up.
    fn insert(&self, index: usize) {
        let left = self.left.load(Relaxed);
        if index < left && !weakened(Mutation::InsertForgetsProgress) {
            self.left.store(left + 1, Relaxed);
        }
    }
}

/// See the module's head.
pub(super) struct Edges<P, L = CellLock> {
    lock: L,
    progress: Progress,
    content: UnsafeCell<Vec<P>>,
}

// SAFETY: the lock lets many read or one write; what they get at are handles that may go to and be used on any thread.
unsafe impl<P: Send + Sync> Sync for Edges<P> {}

/// The content as its only writer has it.
pub(super) struct Writer<'a, P> {
    content: &'a mut Vec<P>,
    progress: &'a Progress,
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
        if let (Some(operation), Some(object)) = (self.operation, edge.object()) {
            if weakened(Mutation::EdgeOutWithoutShade) {
                // SAFETY: the element keeps it alive.
                unsafe { object.roots() }.up();
                return;
            }
            operation.shade(object);
            operation.count_for_thread(object);
        }
    }

    fn moves(&self, index: usize) {
        if let (Some(operation), Some(object)) = (self.operation, self.content[index].object())
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
        self.content.push(edge);
        Ok(())
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
        self.content.push(edge);
        true
    }

    #[inline]
    fn come_in_pinned(&self, object: Option<Object>) {
        let Some(object) = object else { return };
        match self.operation {
            Some(operation) => operation.shade(object),
            None => Operation::enter().count_up(object),
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
            && let Some(object) = old.object()
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
        self.progress.insert(index);
        self.content.insert(index, edge);
        Ok(())
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

impl<P> Edges<P> {
    const_fn! {
        /// Counted content.
        pub(super) fn new(content: Vec<P>) -> Self {
            Edges { lock: CellLock::new(), progress: Progress::new(), content: UnsafeCell::new(content) }
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
        unsafe { &*self.content.get() }.capacity()
    }

    /// Locks for writing, for a moment. `change` runs no code of users, does not allocate, and does not panic.
    #[inline]
    pub(super) fn write<R>(&self, change: impl FnOnce(Writer<'_, P>) -> R) -> R {
        loop {
            match self.lock.try_write_counted() {
                Attempt::Held => {
                    let result = change(self.writer(None));
                    self.lock.end_write();
                    return result;
                }
                Attempt::Claimed => {
                    let operation = Operation::enter();
                    if self.lock.try_write_claimed() {
                        let result = change(self.writer(Some(&operation)));
                        self.leave(operation);
                        return result;
                    }
                }
                Attempt::MarkerInside => self.lock.wait_for_marker(),
                Attempt::Busy => _ = self.lock.wait_to_write(None),
            }
        }
    }

    /// Keeps readers and writers out, until the reservation is used up or dropped. Waits for it, parked.
    pub(super) fn reserved(&self) -> Reserved<'_, P> {
        self.lock.reserve();
        Reserved { edges: self }
    }
}

impl<P, L: Lock> Edges<P, L> {
    pub(super) fn get_mut(&mut self) -> &mut Vec<P> {
        debug_assert!(!self.lock.word().is_claimed());
        self.content.get_mut()
    }

    pub(super) fn into_inner(self) -> Vec<P> {
        debug_assert!(!self.lock.word().is_claimed());
        self.content.into_inner()
    }

    /// The elements; the caller holds the lock.
    fn slice(&self) -> *const [P] {
        // SAFETY: the lock keeps writers out.
        ptr::from_ref(unsafe { &*self.content.get() }.as_slice())
    }

    /// The caller holds the lock for writing.
    #[inline]
    fn writer<'a>(&'a self, operation: Option<&'a Operation>) -> Writer<'a, P> {
        // SAFETY: the lock is the caller's alone, and no marker is inside; or nobody can be (`one_thread`).
        Writer { content: unsafe { &mut *self.content.get() }, progress: &self.progress, operation }
    }

    /// Gives the lock up before the operation ends (C1), and wakes after it.
    #[inline]
    fn leave(&self, operation: Operation) {
        let wakes = self.lock.word().end_write_in_operation();
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
    fn old(&self) -> &Vec<P> {
        // SAFETY: nobody writes while it is reserved.
        unsafe { &*self.edges.content.get() }
    }

    /// The elements as they are.
    pub(super) fn elements(&self) -> &[P] {
        self.old()
    }

    /// Whether one more can be pushed.
    pub(super) fn has_room(&self) -> bool {
        self.old().len() < self.old().capacity()
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
        if edges.lock.word().is_claimed() {
            let result = change(edges.writer(Some(&operation)));
            edges.leave(operation);
            result
        } else {
            drop(operation);
            let result = change(edges.writer(None));
            edges.lock.word().end_write();
            result
        }
    }

    /// See [`Edges::reserve`].
    pub(super) fn grow(self, additional: usize, exact: bool) -> Result<(), TryReserveError> {
        let (len, capacity) = (self.old().len(), self.old().capacity());
        if capacity - len >= additional {
            return Ok(());
        }
        let mut new = Vec::<MaybeUninit<P>>::new();
        let least = len.saturating_add(additional);
        let wanted = if exact { least } else { least.max(capacity.saturating_mul(2)).max(4) };
        new.try_reserve_exact(wanted)?;
        // SAFETY: there is room for them; the copies count for nothing until they take the place of the old ones.
        unsafe {
            ptr::copy_nonoverlapping(self.old().as_ptr().cast(), new.as_mut_ptr(), len);
            new.set_len(len);
        }
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
        let old = self.old();
        let mut stays = vec![false; old.len()];
        let mut new = Vec::<MaybeUninit<P>>::with_capacity(old.capacity().max(order.len()));
        let incoming = incoming.map(ManuallyDrop::new);
        for &source in order {
            let edge: *const P = if source == INCOMING {
                &raw const **incoming.as_ref().expect("it was given")
            } else {
                assert!(!std::mem::replace(&mut stays[source], true), "an element cannot be in two places");
                &raw const old[source]
            };
            // SAFETY: the copy counts for nothing until it takes the place of the old one.
            new.push(unsafe { edge.cast::<MaybeUninit<P>>().read() });
        }
        let incoming = incoming.as_deref().and_then(Sealed::object);
        commit();
        let (mut old, claimed) = self.install(new, incoming, true);
        // SAFETY: those that stay have moved. Claimed ones that go are forgotten, counted ones are dropped.
        unsafe {
            old.set_len(0);
            for (index, stays) in stays.into_iter().enumerate() {
                if !stays && !claimed {
                    old.as_mut_ptr().add(index).drop_in_place();
                }
            }
        }
    }

    /// Puts `new` in the place of the content, which is given back, and says whether that is claimed. `new` has elements of the content, which live on there,
    /// and the counted edge to `incoming`.
    fn install(self, new: Vec<MaybeUninit<P>>, incoming: Option<Object>, reorders: bool) -> (Vec<P>, bool) {
        let edges = self.edges;
        let mut new = ManuallyDrop::new(new);
        // SAFETY: all of them are initialised, and `MaybeUninit` is laid out like what is in it.
        let mut new = unsafe { Vec::from_raw_parts(new.as_mut_ptr().cast::<P>(), new.len(), new.capacity()) };
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
        std::mem::swap(edges.writer(None).content, &mut new);
        edges.leave(operation);
        (new, claimed)
    }

    /// Shades all elements, in slices. The phase in which all that was; none if it changed.
    fn shade_all(&self) -> Option<Phase> {
        let phase = Operation::enter().phase;
        for slice in self.old().chunks(SLICE) {
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
struct Elements<P>(*const Vec<P>);

impl<P: Trace> Content for Elements<P> {
    unsafe fn trace(&self, tracer: &mut Tracer<'_>) {
        // SAFETY: by contract nobody writes; the pointer is that of a live collection's content.
        unsafe { &*self.0 }.trace(tracer);
    }
}

impl<P: Trace> EdgeList for Elements<P> {
    unsafe fn len(&self) -> usize {
        // SAFETY: as above.
        unsafe { &*self.0 }.len()
    }

    unsafe fn trace_range(&self, from: usize, to: usize, tracer: &mut Tracer<'_>) {
        // SAFETY: as above.
        unsafe { &(&*self.0)[from..to] }.iter().rev().for_each(|edge| edge.trace(tracer));
    }
}

// SAFETY: the lock lets the marker in only while nobody writes; `drop_swept` follows the flag.
unsafe impl<P: Element + Trace, L: Lock> Trace for Edges<P, L> {
    type Info = EdgeCollection;

    fn trace(&self, tracer: &mut Tracer<'_>) {
        tracer.edges(self.lock.word(), &self.progress, &Elements(self.content.get()));
    }

    unsafe fn drop_swept(&mut self) {
        if self.lock.word().is_claimed() {
            // SAFETY: claimed handles are forgotten; the memory is the vector's.
            unsafe { self.content.get_mut().set_len(0) };
        }
        // SAFETY: by contract; what is left are counted handles.
        unsafe { ptr::drop_in_place(self.content.get()) };
    }
}

#[cfg(all(test, not(graphgc_loom)))]
mod tests {
    use super::*;

    /// When the numbers of cycles begin anew, the pass after S2 marks under the number 0.
    #[test]
    fn a_new_collection_has_been_traced_in_no_cycle() {
        let progress = Progress::new();
        assert!([0, 1, 1 << 31].into_iter().all(|cycle| progress.left(cycle, 7) == 7));
        progress.set(3, 2);
        assert_eq!([2, 3, 4].map(|cycle| progress.left(cycle, 7)), [7, 2, 7]);
        assert_eq!(progress.left(3, 1), 1, "elements have gone");
    }
}
