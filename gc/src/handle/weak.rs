//! `Weak`: a handle that keeps nothing alive.
//!
//! It is a handle to the target's *link* (`collector::weak_links`), an object like any other, so counting, claiming and tracing are those of
//! `Gc`. A handle to nothing (`Weak::new`) has the address of no object: eight, the one whose header would lie at null, which is what an empty `GcCell` holds.
//!
//! A handle to a target without a size must know the target's metadata: its vtable, its length. Stable Rust has no type for that alone, so the field is a pointer to
//! the target itself whose address has been replaced by the link's. It is never read through; an upgrade puts the target's address back, which the link knows.

use super::Gc;
use crate::{
    collector::weak_links::{WEAK_LINKS, WeakLink},
    heap::header::{HEADER_SIZE, Object},
    mutator::Operation,
    sync::{Mutation, weakened},
    trace::{
        Trace, Tracer,
        facts::Handle,
        type_info::{SlotFacts, TypeInfo},
    },
};
use std::{
    fmt,
    hash::{Hash, Hasher},
    marker::PhantomData,
    mem::ManuallyDrop,
    ptr::NonNull,
};

/// A handle that does not keep its object alive, made by [`Gc::downgrade`]. [`upgrade`](Self::upgrade) gives a [`Gc`] as long as the object has not
/// been found unreachable.
///
/// With a garbage collector cycles need no weak handles. They are for caches and registries that should not keep what they know of, and for
/// noticing that something is gone.
///
/// One word, `Option` included; two if the target has no size, as for `Gc`. All weak handles to one object share a *link* of 24 bytes, made by the first `downgrade`. `Clone` and `Drop` cost what they cost for `Gc`, and in
/// objects' fields and cells a `Weak` costs nothing, as a `Gc` there.
///
/// When an object is found unreachable all its weak handles are cleared at once, before its finalizer (if it has one) sees it; so are those to objects that only
/// a finalizer still reaches. Between becoming unreachable and being found so an object can still be upgraded, as with any tracing collector.
///
/// Unlike std's, weak handles can be compared and hashed, by identity: those to the same object are equal, and stay so when it is gone, so they can be keys of maps.
/// All that [`Weak::new`] makes are equal.
///
/// ```
/// use graphgc::{Gc, Weak, collect};
///
/// let strong = Gc::new(String::from("here"));
/// let weak = Gc::downgrade(&strong);
/// assert_eq!(*weak.upgrade().unwrap(), "here");
/// drop(strong);
/// collect();
/// assert!(weak.upgrade().is_none());
/// ```
///
/// Those who want to be told of something, without being kept for that:
///
/// ```
/// use graphgc::{Gc, GcRefCell, Trace, Weak};
///
/// trait Observer {
///     fn notice(&self, what: &str) -> bool;
/// }
///
/// #[derive(Trace)]
/// struct Subject { observers: GcRefCell<Vec<Weak<dyn Observer>>> }
///
/// impl Subject {
///     /// Tells all that are left, and forgets the others.
///     fn tell(&self, what: &str) {
///         self.observers.borrow_mut().retain(|observer| observer.upgrade().is_some_and(|it| it.notice(what)));
///     }
/// }
///
/// #[derive(Trace)]
/// struct Log(GcRefCell<Vec<String>>);
///
/// impl Observer for Log {
///     fn notice(&self, what: &str) -> bool {
///         self.0.borrow_mut().push(what.into());
///         true
///     }
/// }
///
/// let subject = Gc::new(Subject { observers: GcRefCell::default() });
/// let log = Gc::new(Log(GcRefCell::default()));
/// let observer = log.clone().unsize::<dyn Observer>(|p| p);
/// subject.observers.borrow_mut().push(Gc::downgrade(&observer));
/// subject.tell("it rains");
/// assert_eq!(*log.0.borrow(), ["it rains"]);
/// ```
pub struct Weak<T: ?Sized> {
    /// The payload of the link, or [`NOTHING`], with the metadata of the target (see the module's head).
    link: NonNull<T>,
    /// Leads to a `T`, which it shares when upgraded.
    target: PhantomData<Gc<T>>,
}

/// The address of no object; see the module's head.
const NOTHING: usize = HEADER_SIZE;

// SAFETY: as for `Gc`, which it becomes when upgraded; the link is atomic.
unsafe impl<T: ?Sized + Send + Sync> Send for Weak<T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Send + Sync> Sync for Weak<T> {}

/// `payload`, which is that of another object, as if it had the type and the metadata of `like`.
#[inline]
fn with_metadata<T: ?Sized>(payload: NonNull<u8>, like: NonNull<T>) -> NonNull<T> {
    if size_of::<NonNull<T>>() == size_of::<NonNull<u8>>() {
        // SAFETY: both are pointers of one word, which have no metadata.
        return unsafe { std::mem::transmute_copy(&payload) };
    }
    like.with_addr(payload.addr())
}

impl<T: ?Sized> Gc<T> {
    /// A handle to the same object that does not keep it alive.
    ///
    /// Cost: a lock that is hardly ever contended (but [`verify`](crate::verify) holds it) and a lookup; the first time for an object also an allocation of 24 bytes.
    ///
    /// # Panics
    /// Never; if the operating system refuses memory, ends as [`Gc::new`] does.
    ///
    /// ```
    /// use graphgc::Gc;
    ///
    /// let strong = Gc::new(7);
    /// let weak = Gc::downgrade(&strong);
    /// assert!(Gc::ptr_eq(&weak.upgrade().unwrap(), &strong));
    /// ```
    ///
    /// For a weak handle under a type without a size downgrade a handle that has been [unsized](Self::unsize).
    pub fn downgrade(this: &Self) -> Weak<T> {
        let target = this.as_object();
        let link = WEAK_LINKS.find(target).unwrap_or_else(|| make_link(target));
        // SAFETY: a link's payload has its type's alignment.
        let link = unsafe { link.payload(align_of::<WeakLink>()) };
        // The count of the link is this handle's.
        Weak { link: with_metadata(link, this.as_payload()), target: PhantomData }
    }
}

impl<T: Trace> Gc<T> {
    /// Makes an object that knows itself: `make` gets a weak handle to what it is about to return.
    ///
    /// Until the object exists [`Weak::upgrade`] gives nothing. To know itself by a `Gc` an object needs a [`GcCell`](crate::GcCell) field, set afterwards.
    ///
    /// # Panics
    /// As [`Gc::new`], and if `make` does; its weak handles then lead nowhere for ever.
    ///
    /// ```
    /// use graphgc::{Gc, Trace, Weak};
    ///
    /// #[derive(Trace)]
    /// struct Gadget { me: Weak<Gadget> }
    ///
    /// let gadget = Gc::new_cyclic(|me| Gadget { me: me.clone() });
    /// assert!(Gc::ptr_eq(&gadget.me.upgrade().unwrap(), &gadget));
    /// ```
    pub fn new_cyclic(make: impl FnOnce(&Weak<T>) -> T) -> Self {
        let link = ManuallyDrop::new(Gc::new(WeakLink::new(None))).as_object();
        // SAFETY: the link is new, and its count is this handle's.
        let weak = unsafe { Weak::from_link(link) };
        let new = Gc::new(make(&weak));
        WEAK_LINKS.connect(link, new.as_object());
        new
    }
}

/// A link for an object that has none, counted once.
#[cold]
fn make_link(target: Object) -> Object {
    let new = Gc::new(WeakLink::new(Some(target)));
    match WEAK_LINKS.insert(target, new.as_object()) {
        Ok(()) => ManuallyDrop::new(new).as_object(),
        // Another thread was faster.
        Err(there) => there,
    }
}

impl<T> Weak<T> {
    /// A handle to nothing. Allocates nothing.
    #[inline]
    pub const fn new() -> Self {
        let nothing = NonNull::new(std::ptr::without_provenance_mut(NOTHING)).unwrap();
        Weak { link: nothing, target: PhantomData }
    }

    /// The handle to a link, with a count of the caller's.
    ///
    /// # Safety
    /// The link is that of a `T`, or has no target; the caller owns one count of it.
    #[inline]
    pub(crate) unsafe fn from_link(link: Object) -> Self {
        // SAFETY: by contract.
        Weak { link: unsafe { link.payload(align_of::<WeakLink>()) }.cast(), target: PhantomData }
    }
}

impl<T: ?Sized> Weak<T> {
    /// Whether two handles lead to the same object, be it gone or not, or both to nothing.
    #[inline]
    pub fn ptr_eq(&self, other: &Self) -> bool {
        self.link.addr() == other.link.addr()
    }

    #[inline]
    pub(crate) fn is_nothing(&self) -> bool {
        self.link.addr().get() == NOTHING
    }

    /// The payload of the link, if it is not a handle to nothing.
    #[inline]
    fn link_payload(&self) -> Option<NonNull<WeakLink>> {
        // The field may have the provenance of the target. The link lies in an arena, and `os::reserve` exposed that.
        let payload = std::ptr::with_exposed_provenance_mut(self.link.addr().get());
        NonNull::new(payload).filter(|_| !self.is_nothing())
    }

    /// The link, if it is not a handle to nothing.
    #[inline]
    pub(crate) fn link_object(&self) -> Option<Object> {
        // SAFETY: it is the payload of a link.
        self.link_payload().map(|link| unsafe { Object::of_payload(link.cast(), align_of::<WeakLink>()) })
    }

    /// The handle to the link, as which this one is counted.
    #[inline]
    fn as_gc(&self) -> Option<ManuallyDrop<Gc<WeakLink>>> {
        // SAFETY: the count stays this handle's.
        self.link_payload().map(|link| ManuallyDrop::new(unsafe { Gc::from_payload(link) }))
    }

    /// A handle that keeps the object alive, unless it has been found unreachable, or there never was one.
    ///
    /// Cost: a few nanoseconds, as for [`GcCell::get`](crate::GcCell::get).
    #[inline]
    pub fn upgrade(&self) -> Option<Gc<T>> {
        // SAFETY: the handle keeps the link.
        let link = unsafe { self.link_payload()?.as_ref() };
        let early = weakened(Mutation::UpgradeReadsOutside).then(|| link.live_target(&Operation::enter()));
        let operation = Operation::enter();
        let target = early.unwrap_or_else(|| link.live_target(&operation))?;
        operation.count_for_thread(target);
        // SAFETY: the link's target has just been counted, and was allocated before the link learnt its address.
        let payload = unsafe { TypeInfo::of(target).payload(target) };
        // SAFETY: the target is a `T`, with this handle's metadata if that is a part of it; the count is the new handle's.
        Some(unsafe { Gc::from_payload(with_metadata(payload, self.link)) })
    }
}

impl<T: ?Sized> Clone for Weak<T> {
    /// A further handle to the same object. Cost: as for [`Gc`].
    #[inline]
    fn clone(&self) -> Self {
        if let Some(gc) = self.as_gc() {
            std::mem::forget(Gc::clone(&gc));
        }
        Weak { link: self.link, target: PhantomData }
    }
}

impl<T: ?Sized> Drop for Weak<T> {
    #[inline]
    fn drop(&mut self) {
        self.as_gc().into_iter().for_each(|gc| drop(ManuallyDrop::into_inner(gc)));
    }
}

impl<T> Default for Weak<T> {
    /// A handle to nothing.
    fn default() -> Self {
        Weak::new()
    }
}

/// By identity; see [`Weak`].
impl<T: ?Sized> PartialEq for Weak<T> {
    fn eq(&self, other: &Self) -> bool {
        self.ptr_eq(other)
    }
}

impl<T: ?Sized> Eq for Weak<T> {}

impl<T: ?Sized> Hash for Weak<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.link.addr().hash(state);
    }
}

impl<T: ?Sized> fmt::Debug for Weak<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(Weak)")
    }
}

// SAFETY: a handle to the link is one edge, whatever the target is. Swept, a claimed one is forgotten.
unsafe impl<T: ?Sized + 'static> Trace for Weak<T> {
    type Info = Handle;

    #[inline]
    fn trace(&self, tracer: &mut Tracer<'_>) {
        if let Some(link) = self.link_object() {
            tracer.handle(link, Some(const { SlotFacts::of::<WeakLink>() }));
        }
    }

    unsafe fn drop_swept(&mut self) {}
}
