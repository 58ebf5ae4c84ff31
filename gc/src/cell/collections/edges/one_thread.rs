//! The elements of a collection that one thread has at a time.
//!
//! As for cells of one thread (`cell::borrow`), the thread and the marker are all who touch the lock. So a small change to claimed content, which is
//! one operation, does not take the lock outside marking: no marker is about, the next one comes after an S1 that waits
//! for the operation, and a change runs no code that could come back here. And there is nothing to shade.

use super::{Buffer, Edges, Element, Reserved, SharedBuffer, Writer};
use crate::{
    cell::{
        borrow::{BorrowLock, Borrowed},
        gc_cell::sealed::PinnedEdge,
        lock::Attempt,
        lock_cell::Lock,
    },
    handle::Guard,
    heap::header::Object,
    mutator::Operation,
    sync::const_fn,
};

impl<P> Edges<P, BorrowLock> {
    const_fn! {
        /// Counted content of a collection that one thread has at a time.
        pub(in crate::cell::collections) fn for_one_thread(content: Buffer<P>) -> Self {
            Edges { lock: BorrowLock::new(), content: SharedBuffer::new(content) }
        }
    }

    /// Borrows for reading, unless it is reserved.
    #[inline]
    pub(in crate::cell::collections) fn try_borrow(&self) -> Option<(Borrowed<'_>, *const [P])> {
        self.lock.try_read().map(|right| (right, self.slice()))
    }

    /// The element at `index`, if there is one, for as long as the guard is held; nothing if it is reserved. That of claimed content is not looked at.
    #[inline]
    pub(in crate::cell::collections) fn load<'g>(&self, index: usize, _guard: &'g Guard) -> Option<Option<P::Local<'g>>>
    where
        P: Element,
    {
        let claimed = self.lock.word().look_to_read()?;
        // SAFETY: only this thread writes, and it is here; no code runs meanwhile that is not of this crate.
        let edge = unsafe { &*self.slice() }.get(index);
        let object = |edge: &P| if claimed { edge.object_of_claimed() } else { edge.object() };
        // SAFETY: the object is reachable through this collection now, when the pin is held.
        Some(edge.map(|edge| unsafe { P::Local::from_object(object(edge)) }))
    }

    /// Writes, unless it is borrowed or reserved; `change` is as for [`Edges::write`]. The lock of claimed content is only looked at outside marking.
    #[inline]
    pub(in crate::cell::collections) fn try_change<R>(&self, change: impl FnOnce(Writer<'_, P>) -> R) -> Option<R> {
        let Some(operation) = self.operate_plainly() else { return self.change_slowly(change) };
        let result = change(self.writer(Some(&operation)));
        operation.end_at_once();
        Some(result)
    }

    /// As [`Writer::set_pinned`], if the lock need only be looked at and there is such an element; otherwise nothing has happened. It is so
    /// little code that it becomes part of the caller's loop: the fewer instructions, the more cache misses of that loop overlap.
    #[inline]
    pub(in crate::cell::collections) fn set_pinned_plainly(&self, index: usize, object: Option<Object>) -> bool
    where
        P: Element,
    {
        let Some(operation) = self.operate_plainly() else { return false };
        // There is nothing to shade, since no cycle marks.
        let mut writer = self.writer(Some(&operation));
        let place = writer.content.get_mut(index);
        let is_there = place.is_some();
        if let Some(place) = place {
            // SAFETY: of the vector's type, by the caller's `Local`, whose pin keeps it until it is in; a claimed element counts for nothing.
            let edge = unsafe { P::from_object(object) };
            std::mem::forget(std::mem::replace(place, edge));
        }
        drop(writer);
        operation.end_at_once();
        is_there
    }

    /// As [`Writer::push_pinned`], if the lock need only be looked at; otherwise, or if there is no room, nothing has happened.
    #[inline]
    pub(in crate::cell::collections) fn push_pinned_plainly(&self, object: Option<Object>) -> bool
    where
        P: Element,
    {
        let Some(operation) = self.operate_plainly() else { return false };
        // SAFETY: as above; if there is no room the edge is forgotten.
        let edge = unsafe { P::from_object(object) };
        let pushed = self.writer(Some(&operation)).content.push(edge).map_err(std::mem::forget);
        operation.end_at_once();
        pushed.is_ok()
    }

    /// An operation in which the thread may write claimed content without the lock, if it may now: no cycle marks, and it is neither borrowed nor reserved.
    #[inline(always)]
    fn operate_plainly(&self) -> Option<Operation> {
        if self.lock.is_read_held() {
            return None;
        }
        let operation = Operation::enter_at_once()?;
        if let Some(Attempt::Claimed) = self.lock.word().look_plainly(operation.phase.is_marking()) {
            return Some(operation);
        }
        operation.end_at_once();
        None
    }

    /// As [`try_change`](Self::try_change), by the lock: while marking, or the content is counted, or the thread has no record that is up to date.
    #[cold]
    #[inline(never)]
    pub(in crate::cell::collections) fn change_slowly<R>(&self, change: impl FnOnce(Writer<'_, P>) -> R) -> Option<R> {
        if self.lock.is_read_held() {
            return None;
        }
        let word = self.lock.word();
        let operation = loop {
            match word.try_write_counted() {
                Attempt::Held => break None,
                Attempt::Claimed => {
                    let operation = Operation::enter();
                    if word.try_write_claimed() {
                        break Some(operation);
                    }
                }
                Attempt::MarkerInside => word.wait_for_marker(),
                Attempt::Busy => return None,
            }
        };
        let result = change(self.writer(operation.as_ref()));
        // Before the operation ends (C1).
        word.end_write_plainly();
        Some(result)
    }

    /// Keeps readers and writers out, as [`reserved`](Edges::reserved), unless it is borrowed or reserved.
    pub(in crate::cell::collections) fn try_reserved(&self) -> Option<Reserved<'_, P, BorrowLock>> {
        if self.lock.is_read_held() || self.lock.word().bars_readers() {
            return None;
        }
        self.lock.word().reserve();
        Some(Reserved { edges: self })
    }
}
