//! `Gc`: the owning handle.
//!
//! A handle is a plain pointer to the payload. Whether it is *counted* (adds one to its target's root count) or *claimed* (found by the marker
//! tracing its owner) is not written in it but follows from where it is: outside the heap, and in counted content, every handle is counted;
//! an object's plain fields, and claimed content, hold claimed ones. Code of users only ever drops counted ones: a dead object's
//! fields are not dropped but swept (`Trace::drop_swept`), and content is counted before `&mut` to it is given out.

use super::{guard::Guard, local::Local};
use crate::{
    collector::{Cleanup, collect, ensure_finalizer_started, finalize::cleanup, sweep::is_dropping},
    heap::header::Object,
    mutator::{
        Operation,
        allocate::{Birth, allocate, allocate_slowly},
        newborn::drop_handle,
        operation::{count_clone, end_deferred},
    },
    observe::stats::TOTALS,
    trace::{Trace, Tracer, facts::Handle},
};
use std::{
    alloc::Layout,
    fmt,
    marker::PhantomData,
    mem::{ManuallyDrop, align_of_val},
    ops::Deref,
    ptr::NonNull,
};

/// A garbage-collected pointer, used like `Arc`: clone it, dereference it, send it to other threads if `T` is `Send + Sync`.
///
/// What it points at lives as long as any handle outside the heap leads there, directly or through other objects. Cycles
/// are no obstacle. When nothing leads there any more the collector drops it in the background, on a thread of its own.
///
/// The content is shared, hence immutable; to change it put fields into [`GcCell`](crate::GcCell), [`GcRefCell`](crate::GcRefCell),
/// [`GcMutex`](crate::GcMutex) or [`GcRwLock`](crate::GcRwLock). There is no `get_mut` and no `try_unwrap`: the
/// collector may be reading.
///
/// One word, with a niche for `Option`; points at the content, so dereferencing costs what it costs with `Box`. A clone
/// costs one atomic addition, as with `Arc`, and a few nanoseconds more if only other objects hold the object so far. A drop costs one atomic subtraction, or some plain accesses to the thread's own data.
///
/// Targets without a size take two words: `Gc<dyn Trait>`, made by [`unsize`](Gc::unsize), and `Gc<[T]>` and `Gc<str>`, made by `Gc::from` or
/// by collecting an iterator.
///
/// ```
/// use graphgc::{Gc, GcCell, Trace};
///
/// #[derive(Trace)]
/// struct Person { name: String, friend: GcCell<Option<Gc<Person>>> }
///
/// let ann = Gc::new(Person { name: "Ann".into(), friend: GcCell::new(None) });
/// let bob = Gc::new(Person { name: "Bob".into(), friend: GcCell::new(Some(ann.clone())) });
/// ann.friend.set(Some(bob.clone()));
/// drop(ann);
/// assert_eq!(bob.friend.get().unwrap().name, "Ann");
/// ```
pub struct Gc<T: ?Sized> {
    payload: NonNull<T>,
    /// Owns a share of a `T`.
    share: PhantomData<T>,
}

// SAFETY: as for `Arc`: a handle gives `&T` on any thread it gets to (`Sync`), and `T` is dropped on another (`Send`).
unsafe impl<T: ?Sized + Send + Sync> Send for Gc<T> {}
// SAFETY: as above; `&Gc` can be cloned.
unsafe impl<T: ?Sized + Send + Sync> Sync for Gc<T> {}

/// The operating system refused memory for an object; gives the value back.
pub struct AllocError<T> {
    value: T,
    bytes: usize,
}

impl<T> AllocError<T> {
    pub(crate) fn new(value: T) -> Self {
        AllocError::of_bytes(value, size_of::<T>())
    }

    pub(crate) fn of_bytes(value: T, bytes: usize) -> Self {
        AllocError { value, bytes }
    }

    pub(super) fn map<U>(self, f: impl FnOnce(T) -> U) -> AllocError<U> {
        AllocError { value: f(self.value), bytes: self.bytes }
    }

    /// The value that could not be moved into the heap, as it was.
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> fmt::Debug for AllocError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AllocError").finish_non_exhaustive()
    }
}

impl<T> fmt::Display for AllocError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the operating system refused memory for {} bytes", self.bytes)
    }
}

impl<T> std::error::Error for AllocError<T> {}

impl<T: Trace> Gc<T> {
    /// Moves `value` into the heap.
    ///
    /// Cost: a few nanoseconds for small values, plus one step per handle in the value; now and then a share of the
    /// collector's work in proportion to what the thread allocates. If the heap has grown far beyond its goal, as when the collector gets too little
    /// of a core, waits for it, at most 4 ms at a time.
    ///
    /// # Panics
    /// If this is the process's first use and a `GRAPHGC_` variable of the environment has an invalid value, or the operating system
    /// refuses the collector's threads. If it refuses memory, calls [`collect`](crate::collect), which waits for `Drop`s of dead
    /// values, and if that does not help ends as `Box::new` does; [`try_new`](Self::try_new) does neither.
    ///
    /// A value that owns other values in a deep chain of `Box`es is traced and dropped recursively; the collector's
    /// threads have 256 MiB of stack for it. Chains of `Gc`s are of any length.
    #[inline(always)]
    pub fn new(value: T) -> Self {
        let object = allocate(value, Birth::Counted, |object| object, new_slowly);
        // SAFETY: the object is new and has one count.
        unsafe { Gc::from_object(object) }
    }

    /// Moves `value` into the heap, or gives it back if the operating system refuses memory.
    ///
    /// # Errors
    /// [`AllocError`] with the value in it, as it was.
    ///
    /// ```
    /// let number = graphgc::Gc::try_new(7).unwrap();
    /// assert_eq!(*number, 7);
    /// ```
    #[inline]
    pub fn try_new(value: T) -> Result<Self, AllocError<T>> {
        match allocate(value, Birth::Counted, Ok, try_new_slowly) {
            // SAFETY: the object is new and has one count.
            Ok(object) => Ok(unsafe { Gc::from_object(object) }),
            Err(value) => Err(AllocError::new(value)),
        }
    }

    /// The handle to `object`, whose count becomes the handle's.
    ///
    /// # Safety
    /// The object's type is `T`, and the caller owns one count of it.
    #[inline]
    pub(crate) unsafe fn from_object(object: Object) -> Self {
        // SAFETY: by contract.
        unsafe { Gc::from_payload(object.payload(align_of::<T>()).cast()) }
    }
}

#[cold]
#[inline(never)]
fn try_new_slowly<T: Trace>(entered: Option<Operation>, value: &mut Option<T>) -> Result<Object, T> {
    allocate_slowly(entered, value, Birth::Counted)
}

#[cold]
#[inline(never)]
fn new_slowly<T: Trace>(entered: Option<Operation>, value: &mut Option<T>) -> Object {
    allocate_slowly(entered, value, Birth::Counted).unwrap_or_else(new_after_collection)
}

#[cold]
#[inline(never)]
fn new_after_collection<T: Trace>(value: T) -> Object {
    collect();
    let again = allocate_slowly(None, &mut Some(value), Birth::Counted);
    again.unwrap_or_else(|_| std::alloc::handle_alloc_error(Layout::new::<T>()))
}

impl<T: ?Sized> Gc<T> {
    /// The handle to the object with this payload, whose count becomes the handle's.
    ///
    /// # Safety
    /// The caller owns one count of the object.
    #[inline]
    pub(crate) unsafe fn from_payload(payload: NonNull<T>) -> Self {
        Gc { payload, share: PhantomData }
    }

    #[inline]
    pub(super) fn as_payload(&self) -> NonNull<T> {
        self.payload
    }

    /// The payload. The handle's count becomes the caller's.
    #[inline]
    pub(crate) fn into_payload(this: Self) -> NonNull<T> {
        ManuallyDrop::new(this).payload
    }

    /// Whether two handles lead to the same object.
    #[inline]
    pub fn ptr_eq(this: &Self, other: &Self) -> bool {
        std::ptr::addr_eq(this.payload.as_ptr(), other.payload.as_ptr())
    }

    /// The object for as long as `guard` is held, as a pointer that is copied without counting.
    ///
    /// ```
    /// let number = graphgc::Gc::new(7);
    /// let guard = graphgc::pin();
    /// let local = number.local(&guard);
    /// drop(number);
    /// assert_eq!(*local, 7);
    /// ```
    #[inline]
    pub fn local<'g>(&self, _guard: &'g Guard) -> Local<'g, T> {
        self.as_object();
        // SAFETY: `self` keeps the object reachable now, when the pin is held.
        unsafe { Local::from_payload(self.payload) }
    }

    /// Has `cleanup` called with `argument` once the object is gone.
    ///
    /// For what must happen after the end of an object of which nothing is needed any more: to remove its entry from an index, or to end
    /// a process that was started for it. The cleanup has no access to the object, so that, unlike a [finalizer](crate::Finalize), it never brings one back, delays nothing, and can be attached to
    /// objects of any type, at any time, any number of times. It is called once, some time after the object became unreachable for good (finalized, if
    /// it has a finalizer), on the collector's thread `graphgc-finalize`; not at all if the process ends before. A panic in it is shown by the panic hook and
    /// goes no further.
    ///
    /// The argument is outside the heap: handles in it are roots. If the object can be reached through it, it *never goes* and the cleanup is never called. `cleanup` is a plain function
    /// so that it cannot capture such a handle unawares.
    ///
    /// Cost: two or three allocations and a lock; in each cycle one look at the object's mark, in a thread of the collector's.
    ///
    /// # Panics
    /// If this starts the thread and the operating system refuses it.
    ///
    /// ```
    /// use graphgc::Gc;
    /// use std::sync::mpsc;
    ///
    /// let (sender, gone) = mpsc::channel();
    /// let object = Gc::new(7);
    /// Gc::on_drop(&object, sender, |sender| sender.send("seven is gone").unwrap());
    /// drop(object);
    /// graphgc::collect();
    /// assert_eq!(gone.recv(), Ok("seven is gone"));
    /// ```
    pub fn on_drop<A: Send + 'static>(this: &Self, argument: A, cleanup: fn(A)) -> Cleanup {
        ensure_finalizer_started();
        cleanup::attach(this.as_object(), Box::new(move || cleanup(argument)))
    }

    /// The address of the content, valid while something keeps the object alive.
    #[inline]
    pub fn as_ptr(this: &Self) -> *const T {
        this.payload.as_ptr()
    }

    /// The object, for a way to it that nothing counts (an edge, a `Local`, a weak handle), which the caller may make after this.
    #[inline]
    pub(crate) fn as_object(&self) -> Object {
        let object = self.as_counted();
        // SAFETY: the object is alive while `self` is borrowed.
        unsafe { object.roots() }.share();
        object
    }

    /// The object, for a caller that makes no way to it but counted handles, or claims this one, or knows that it is claimed: then the object is shared.
    #[inline]
    pub(crate) fn as_counted(&self) -> Object {
        // SAFETY: a handle leads to a live payload, whose alignment is that of its type.
        unsafe { Object::of_payload(self.payload.cast(), align_of_val(self.payload.as_ref())) }
    }
}

impl<T: ?Sized> Deref for Gc<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: a counted handle is a root; a claimed one lies in an object that is alive while `self` is borrowed.
        unsafe { self.payload.as_ref() }
    }
}

impl<T: ?Sized> Clone for Gc<T> {
    /// A further handle to the same object. Cost: one atomic addition, as with `Arc`; a few nanoseconds more if only other objects hold the object so far.
    ///
    /// Ends the process if there are 2^28 handles to one object.
    #[inline]
    fn clone(&self) -> Self {
        let object = self.as_counted();
        // SAFETY: the object is alive while `self` is borrowed.
        let roots = unsafe { object.roots() };
        if !roots.up_by_clone() {
            count_clone(object);
        }
        Gc { payload: self.payload, share: PhantomData }
    }
}

/// Counts a handle down that is dropped with a dead value. If it was the last outside the heap `collect` must know.
#[cold]
#[inline(never)]
fn drop_for_collector(object: Object) {
    // SAFETY: a handle that is dropped is counted, so its object is alive.
    if unsafe { object.roots() }.down().may_be_last() {
        TOTALS.let_go();
    }
}

impl<T: ?Sized> Drop for Gc<T> {
    /// Gives the handle up; the object itself is dropped by the collector. Cost: one atomic subtraction, or some plain accesses if the thread has
    /// just got the handle from a cell, or has made the object since the last cycle and nothing but this handle has ever led there. Then its slot is the thread's next object's, unless the value needs dropping.
    #[inline]
    fn drop(&mut self) {
        let object = self.as_counted();
        // SAFETY: a handle that is dropped is counted, so its object is alive.
        let roots = unsafe { object.roots() };
        if roots.is_newborn() && drop_handle(object) {
            return;
        }
        match end_deferred(object) {
            Some(true) => debug_assert!(!is_dropping(), "the dropper is off the short paths"),
            None if is_dropping() => drop_for_collector(object),
            Some(false) | None => _ = roots.down(),
        }
    }
}

// SAFETY: a handle is one edge. Swept, a claimed handle is forgotten: its target may be gone already.
unsafe impl<T: Trace + ?Sized> Trace for Gc<T> {
    type Info = Handle;

    #[inline(always)]
    fn trace(&self, tracer: &mut Tracer<'_>) {
        // SAFETY: the target of a handle in a live value is alive.
        let facts = unsafe { self.payload.as_ref() }.slot_facts();
        tracer.handle(self.as_counted(), facts);
    }

    unsafe fn drop_swept(&mut self) {}
}
