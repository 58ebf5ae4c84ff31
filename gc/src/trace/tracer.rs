//! The visitor that `Trace::trace` hands around, and the passes that one walk over a value serves.
//!
//! | pass | who | a plain handle | a `GcCell` | a lock-type cell |
//! | --- | --- | --- | --- | --- |
//! | `Mark` | marker, assist | shade the target | claim if counted, shade | see `collector::mark` |
//! | `Claim`, `ClaimInSlices` | `Gc::new` | count down, shade while marking | the same, flag *claimed* | its content the same, flag *claimed*, unless write-held |
//! | `Release` | opening a cell | count up, log | the same, flag *counted* | its content the same, flag *counted* |
//! | `Visit` | counting, undoing, verifying | as the visitor says | as the visitor says | as the visitor says |

use super::{Trace, type_info::SlotFacts};
use crate::{
    cell::{collections::Progress, edge_word::EdgeWord, lock::CellLock, open::Release},
    collector::{ephemerons::EphemeronWord, mark::Marker},
    heap::header::Object,
    mutator::Operation,
};

/// Steps, a handle or an element of a container each, that one slice of an operation may take.
pub(crate) const SLICE: usize = if cfg!(graphgc_loom) { 8 } else { 1024 };

/// Visits the handles of a value on behalf of the collector. Only ever handed to [`Trace::trace`].
pub struct Tracer<'a> {
    pass: Pass<'a>,
}

/// What the walk is for; see the module's head.
pub(crate) enum Pass<'a> {
    Mark(&'a mut Marker),
    Claim(&'a Operation),
    ClaimInSlices(&'a mut Claim),
    Release(&'a mut Release),
    Visit(&'a mut dyn Visitor),
}

/// A walk off the fast paths.
pub(crate) trait Visitor {
    /// A plain handle.
    fn handle(&mut self, object: Object);
    /// A `GcCell`.
    fn edge_cell(&mut self, cell: &EdgeWord);
    /// A lock-type cell around `content`. The visitor decides whether it may look inside.
    fn lock_cell(&mut self, lock: &CellLock, content: &dyn Content);
    /// An ephemeron, directly in an object.
    fn ephemeron(&mut self, _word: &EphemeronWord) {}
    /// A collection of edges, of which `content` is all.
    fn edges(&mut self, lock: &CellLock, content: &dyn Content) {
        self.lock_cell(lock, content);
    }
    /// A container's next element comes. Whether the rest of the walk is of no use.
    fn next_element(&mut self) -> bool;
}

/// The content of a lock-type cell, of whatever type.
pub(crate) trait Content {
    /// Walks the content.
    ///
    /// # Safety
    /// Nobody writes to the content meanwhile.
    unsafe fn trace(&self, tracer: &mut Tracer<'_>);
}

/// The content of a collection, which can be walked in parts.
pub(crate) trait EdgeList: Content {
    /// The number of elements.
    ///
    /// # Safety
    /// Nobody writes to the content meanwhile.
    unsafe fn len(&self) -> usize;

    /// What is to be noted about them.
    ///
    /// # Safety
    /// As for `len`.
    unsafe fn progress(&self) -> &Progress;

    /// Walks the elements `from..to`.
    ///
    /// # Safety
    /// As for `len`; there are as many.
    unsafe fn trace_range(&self, from: usize, to: usize, tracer: &mut Tracer<'_>);
}

/// Content behind a raw pointer: no reference to it exists before the lock allows one.
pub(crate) struct ContentAt<T: ?Sized>(pub(crate) *const T);

impl<T: Trace + ?Sized> Content for ContentAt<T> {
    unsafe fn trace(&self, tracer: &mut Tracer<'_>) {
        // SAFETY: by contract nobody writes; the pointer is that of a live cell's content.
        unsafe { &*self.0 }.trace(tracer);
    }
}

impl<'a> Tracer<'a> {
    #[inline]
    pub(crate) fn new(pass: Pass<'a>) -> Self {
        Tracer { pass }
    }

    /// Counts a step, and says whether the rest of the walk is of no use, as when the marker gives a huge value up. Containers ask
    /// before each element, and stop if so: however few handles their elements hold, the walk stays interruptible.
    #[inline]
    pub fn is_done(&mut self) -> bool {
        match &mut self.pass {
            Pass::Mark(marker) => marker.next_element(),
            Pass::Claim(_) => false,
            Pass::ClaimInSlices(claim) => {
                claim.step();
                false
            }
            Pass::Release(release) => {
                release.step();
                false
            }
            Pass::Visit(visitor) => visitor.next_element(),
        }
    }

    /// Walks over what a value owns in memory of its own. Types may be recursive there, so that the walk may become deep: the marker
    /// gives up what is too deep for its stack.
    #[inline]
    pub(crate) fn descend(&mut self, walk: impl FnOnce(&mut Self)) {
        if let Pass::Mark(marker) = &mut self.pass
            && !marker.descend()
        {
            return;
        }
        walk(self);
        if let Pass::Mark(marker) = &mut self.pass {
            marker.ascend();
        }
    }

    /// Visits a plain handle, with what is known of the target's type.
    #[inline(always)]
    pub(crate) fn handle(&mut self, object: Object, facts: Option<SlotFacts>) {
        match &mut self.pass {
            Pass::Mark(marker) => marker.handle(object, facts),
            Pass::Claim(operation) => operation.claim_for_newborn(object),
            _ => self.handle_in_other_pass(object),
        }
    }

    /// Kept out of line, so that a walk over a few handles is short enough to become part of a birth.
    #[inline(never)]
    fn handle_in_other_pass(&mut self, object: Object) {
        match &mut self.pass {
            Pass::Mark(_) | Pass::Claim(_) => unreachable!("a pass of `handle`"),
            Pass::ClaimInSlices(claim) => claim.handle(object),
            Pass::Release(release) => release.handle(object),
            Pass::Visit(visitor) => visitor.handle(object),
        }
    }

    /// Visits a `GcCell`.
    #[inline(always)]
    pub(crate) fn edge_cell(&mut self, cell: &EdgeWord, facts: SlotFacts) {
        match &mut self.pass {
            Pass::Mark(marker) => marker.edge_cell(cell, facts),
            Pass::Claim(operation) => {
                // SAFETY: the value is a newborn's, of which nobody else knows.
                if let Some(object) = unsafe { cell.claim_unshared() } {
                    operation.claim_for_newborn(object);
                }
            }
            _ => self.edge_cell_in_other_pass(cell),
        }
    }

    /// As `handle_in_other_pass`.
    #[inline(never)]
    fn edge_cell_in_other_pass(&mut self, cell: &EdgeWord) {
        match &mut self.pass {
            Pass::Mark(_) | Pass::Claim(_) => unreachable!("a pass of `edge_cell`"),
            Pass::ClaimInSlices(claim) => claim.edge_cell(cell),
            Pass::Release(release) => release.edge_cell(cell),
            Pass::Visit(visitor) => visitor.edge_cell(cell),
        }
    }

    /// Visits an ephemeron, directly in an object.
    #[inline]
    pub(crate) fn ephemeron(&mut self, word: &EphemeronWord) {
        match &mut self.pass {
            Pass::Mark(marker) => marker.ephemeron(word),
            Pass::Claim(operation) => {
                if let Some((key, value)) = word.targets() {
                    operation.claim(value);
                    // The caller has a handle to it.
                    operation.shade(key);
                }
            }
            Pass::ClaimInSlices(claim) => claim.ephemeron(word),
            Pass::Release(_) => unreachable!("an ephemeron's object is no content of a cell"),
            Pass::Visit(visitor) => visitor.ephemeron(word),
        }
    }

    /// Visits a lock-type cell around `content`, whose type holds handles.
    #[inline]
    pub(crate) fn lock_cell<T: Trace + ?Sized>(&mut self, lock: &CellLock, content: *const T) {
        let content = ContentAt(content);
        match &mut self.pass {
            Pass::Mark(marker) => marker.lock_cell(lock, &content),
            Pass::Claim(_) | Pass::ClaimInSlices(_) => self.claim_lock_cell(lock, &content),
            Pass::Release(release) => release.lock_cell(lock, &content),
            Pass::Visit(visitor) => visitor.lock_cell(lock, &content),
        }
    }

    /// A lock-type cell of a newborn. A write-held one that can be moved has a leaked guard: its content stays counted.
    fn claim_lock_cell(&mut self, lock: &CellLock, content: &dyn Content) {
        if !lock.is_write_held() {
            // SAFETY: the value is the caller's alone and nobody holds a guard for writing.
            unsafe { content.trace(self) };
            lock.set_claimed();
        }
    }
}

impl<'a> Tracer<'a> {
    /// Visits a collection of edges.
    #[inline]
    pub(crate) fn edges(&mut self, lock: &CellLock, edges: &dyn EdgeList) {
        match &mut self.pass {
            Pass::Mark(marker) => marker.edges(lock, edges),
            Pass::Claim(_) | Pass::ClaimInSlices(_) => self.claim_lock_cell(lock, edges),
            Pass::Release(release) => release.lock_cell(lock, edges),
            Pass::Visit(visitor) => visitor.edges(lock, edges),
        }
    }
}

/// The claim pass of `Gc::new`, in more than one operation: the handles of a value that has just moved into its slot.
pub(crate) struct Claim {
    operation: Option<Operation>,
    /// Handles and elements in this slice.
    steps: usize,
}

impl Claim {
    /// A pass that begins in the caller's operation.
    #[inline]
    pub(crate) fn new(operation: Operation) -> Self {
        Claim { operation: Some(operation), steps: 0 }
    }

    /// After each slice leaves the operation and enters the next. Values of more than a slice are the work of callers that
    /// hold a pin.
    #[inline]
    fn step(&mut self) {
        self.steps += 1;
        if self.steps > SLICE {
            self.next_slice();
        }
    }

    #[cold]
    #[inline(never)]
    fn next_slice(&mut self) {
        self.steps = 1;
        // Leave before entering again, so that a stop can come in between.
        self.operation = None;
        self.operation = Some(Operation::enter());
    }

    #[inline]
    fn claim(&mut self, object: Object) {
        self.step();
        if let Some(operation) = &self.operation {
            operation.claim_for_newborn(object);
        }
    }

    #[inline]
    fn handle(&mut self, object: Object) {
        self.claim(object);
    }

    #[inline]
    fn edge_cell(&mut self, cell: &EdgeWord) {
        // SAFETY: the value is a newborn's, of which nobody else knows.
        if let Some(object) = unsafe { cell.claim_unshared() } {
            self.claim(object);
        }
    }

    fn ephemeron(&mut self, word: &EphemeronWord) {
        let Some((key, value)) = word.targets() else { return };
        self.claim(value);
        if let Some(operation) = &self.operation {
            // The caller has a handle to it.
            operation.shade(key);
        }
    }
}

/// Counts the steps of a walk over a value, up to a little more than a slice.
#[derive(Default)]
pub(crate) struct StepCount {
    pub(crate) steps: usize,
}

impl Visitor for StepCount {
    fn handle(&mut self, _: Object) {
        self.steps += 1;
    }

    fn edge_cell(&mut self, _: &EdgeWord) {
        self.steps += 1;
    }

    fn lock_cell(&mut self, lock: &CellLock, content: &dyn Content) {
        self.steps += 1;
        if !lock.is_write_held() {
            // SAFETY: the value is the caller's alone and nobody holds a guard for writing.
            unsafe { content.trace(&mut Tracer::new(Pass::Visit(self))) };
        }
    }

    fn next_element(&mut self) -> bool {
        self.steps += 1;
        self.steps > SLICE
    }
}

#[cfg(all(test, not(graphgc_loom)))]
mod tests {
    use super::*;
    use crate::{Gc, GcMap, GcRefVec, GcVec};

    fn steps(value: &impl Trace) -> usize {
        let mut count = StepCount::default();
        value.trace(&mut Tracer::new(Pass::Visit(&mut count)));
        count.steps
    }

    #[test]
    fn elements_without_handles_are_steps_too() {
        let empty: Vec<Option<Gc<u8>>> = (0..100).map(|_| None).collect();
        assert_eq!(steps(&empty), 100);
        assert_eq!(steps(&vec![Some(Gc::new(1)); 100]), 200);
    }

    #[test]
    fn counting_ends_soon_after_a_slice() {
        let long: Vec<Option<Gc<u8>>> = (0..100 * SLICE).map(|_| None).collect();
        assert_eq!(steps(&long), SLICE + 1);
    }

    /// The collection is a step itself, and so is its end: the walk is told to stop at the first element too many.
    #[test]
    fn collections_are_walked_no_further() {
        let long = || (0..100 * SLICE).map(|_| None::<Gc<u8>>);
        assert_eq!(steps(&long().collect::<GcVec<_>>()), SLICE + 1);
        assert_eq!(steps(&long().collect::<GcRefVec<_>>()), SLICE + 1);
        assert_eq!(steps(&long().enumerate().collect::<GcMap<usize, _>>()), SLICE + 1);
    }
}
