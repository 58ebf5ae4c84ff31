//! `pin()` and `Guard`: a scope in which objects are held without counting.

use super::{AllocError, local::Local, tied::LeavesItsPin};
use crate::{
    collector::request_cycle,
    heap::header::Object,
    mutator::{
        Operation,
        allocate::{Birth, allocate, allocate_slowly},
        holders::Holder,
        pin,
    },
    sync::epoch,
    trace::Trace,
};
use std::{alloc::Layout, fmt, mem::ManuallyDrop};

/// Pins the calling thread until the guard is dropped: whatever the thread can reach meanwhile stays, counted or not.
///
/// Within the scope edges are loaded ([`GcCell::load`](crate::GcCell::load)), stored and followed as [`Local`]s, which are copied like
/// references. This is the fast way to walk a graph through mutable edges, and the way to write lock-free structures: an
/// object that was unlinked, and its address, stay until every thread that was pinned then is done.
///
/// No thread waits for a pin for long, but the collector does: while one is held, a cycle that has begun does not end, and nothing is freed.
/// Hold it for one traversal, not for the life of a thread, and [`repin`](Guard::repin) in long loops; [`stats`](crate::stats) and
/// [`Config::pin_warning`](crate::Config::pin_warning) name those who forget. Scopes may nest; the outermost counts.
///
/// Cost: about ten nanoseconds for the outermost guard, two for a nested one. A thread that would wait for the collector in an
/// [allocation](crate::Gc::new) does so when it is pinned no longer: the end of the outermost guard may take 4 ms then.
///
/// ```
/// use graphgc::{Gc, GcCell, Trace, pin};
///
/// #[derive(Trace)]
/// struct Node { number: u32, next: GcCell<Option<Gc<Node>>> }
///
/// let last = Gc::new(Node { number: 2, next: GcCell::new(None) });
/// let first = Gc::new(Node { number: 1, next: GcCell::new(Some(last)) });
///
/// let guard = pin();
/// let mut sum = 0;
/// let mut node = Some(first.local(&guard));
/// while let Some(it) = node {
///     sum += it.number;
///     node = it.next.load(&guard);
/// }
/// assert_eq!(sum, 3);
/// ```
#[inline]
pub fn pin() -> Guard {
    // The epoch first: the holder only tells of it.
    let epoch = pin::pin_held();
    Guard { holder: Holder::open(), epoch: ManuallyDrop::new(epoch) }
}

/// A pinned scope of one thread; made by [`pin`].
///
/// Stays on its thread. A guard that is leaked pins its thread for ever: safe, but no memory is freed from then on.
///
/// ```compile_fail,E0277
/// let guard = graphgc::pin();
/// std::thread::spawn(move || drop(guard));
/// ```
#[must_use = "the thread is pinned until the guard is dropped"]
pub struct Guard {
    holder: &'static Holder,
    /// Goes when the guard is dropped, between closing and what is put off until then.
    epoch: ManuallyDrop<epoch::Guard>,
}

// SAFETY: never so, as nothing has the bound: it says why.
unsafe impl<'never> Send for Guard where Self: LeavesItsPin<'never> {}
// SAFETY: as above.
unsafe impl<'never> Sync for Guard where Self: LeavesItsPin<'never> {}

impl Guard {
    /// Moves `value` into the heap for the pinned scope: nothing is counted and no root entry made, so this is the cheapest way to make an
    /// object that goes into an edge of another. What is stored nowhere when the scope ends is garbage.
    ///
    /// # Panics
    /// As [`Gc::new`](crate::Gc::new). Ends the process if the operating system refuses memory: it cannot wait for a
    /// collection, which waits for the pin.
    ///
    /// ```
    /// use graphgc::{Gc, GcCell, pin};
    ///
    /// let cell = GcCell::new(None::<Gc<u32>>);
    /// let guard = pin();
    /// cell.store(Some(guard.alloc(7)), &guard);
    /// assert_eq!(*cell.get().unwrap(), 7);
    /// ```
    #[inline(always)]
    pub fn alloc<T: Trace>(&self, value: T) -> Local<'_, T> {
        let object = allocate(value, Birth::Pinned, |object| object, alloc_slowly);
        // SAFETY: the object was born under this pin.
        unsafe { Local::from_object(object) }
    }

    /// [`alloc`](Self::alloc), or the value back if the operating system refuses memory.
    ///
    /// # Errors
    /// [`AllocError`] with the value in it, as it was. A cycle has been asked for: once the pin is gone there may be room.
    #[inline]
    pub fn try_alloc<T: Trace>(&self, value: T) -> Result<Local<'_, T>, AllocError<T>> {
        match allocate(value, Birth::Pinned, Ok, try_alloc_slowly) {
            // SAFETY: the object was born under this pin.
            Ok(object) => Ok(unsafe { Local::from_object(object) }),
            Err(value) => Err(AllocError::new(value)),
        }
    }

    /// Ends the scope and begins another, so that the collector can go on: for the end of a turn in a long loop.
    ///
    /// Every [`Local`] of this guard is gone by then, as the compiler checks. Does nothing while the thread has another guard, whose
    /// `Local`s are not. Cost: as [`pin`], and its guard's end.
    ///
    /// ```
    /// let cell = graphgc::GcCell::new(graphgc::Gc::new(7));
    /// let mut guard = graphgc::pin();
    /// for _ in 0..3 {
    ///     assert_eq!(*cell.load(&guard), 7);
    ///     guard.repin();
    /// }
    /// ```
    ///
    /// ```compile_fail,E0502
    /// let cell = graphgc::GcCell::new(graphgc::Gc::new(7));
    /// let mut guard = graphgc::pin();
    /// let local = cell.load(&guard);
    /// guard.repin();
    /// assert_eq!(*local, 7);
    /// ```
    #[inline]
    pub fn repin(&mut self) {
        if self.holder.must_catch_up() {
            return self.repin_later();
        }
        self.holder.repin();
        self.epoch.repin();
    }

    /// Ends the scope, waits, as was put off until then, and begins another.
    #[cold]
    fn repin_later(&mut self) {
        self.holder.close();
        self.epoch.repin_after(|| self.holder.catch_up());
        self.holder.reopen();
    }
}

#[cold]
#[inline(never)]
fn try_alloc_slowly<T: Trace>(entered: Option<Operation>, value: &mut Option<T>) -> Result<Object, T> {
    allocate_slowly(entered, value, Birth::Pinned).inspect_err(|_| request_cycle())
}

#[cold]
#[inline(never)]
fn alloc_slowly<T: Trace>(entered: Option<Operation>, value: &mut Option<T>) -> Object {
    try_alloc_slowly(entered, value).unwrap_or_else(|_| std::alloc::handle_alloc_error(Layout::new::<T>()))
}

impl Drop for Guard {
    #[inline]
    fn drop(&mut self) {
        let has_duties = self.holder.close();
        // SAFETY: this is the guard's end; nothing uses the field from now on.
        unsafe { ManuallyDrop::drop(&mut self.epoch) };
        if has_duties {
            self.holder.do_duties();
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}
