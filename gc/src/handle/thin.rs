//! `ThinGc`: a handle of one word to a target without a size.
//!
//! The second word lies in the heap: an object of its own holds the wide handle, and a `ThinGc` is an ordinary handle to that object. So all that
//! holds for a `Gc` of a type with a size holds for it: it fits a `GcCell`, may be loaded under a pin, and has the niche.

use super::{AllocError, Gc};
use crate::trace::{SlotFacts, Trace, Tracer, facts::Handle};
use std::{
    cmp::Ordering,
    error::Error,
    fmt,
    hash::{Hash, Hasher},
    ops::Deref,
};

/// A handle of one word to a target that may have no size: a trait object, a slice, a string.
///
/// For places where a wide handle does not fit: [`GcCell`](crate::GcCell), and large structures where two words per edge are too many. Made by
/// [`Gc::thin`]. It is used like the target itself, by way of [`Thin`], and is otherwise a [`Gc`] like any other.
///
/// Cost: an object of 24 bytes for each call of `thin`, shared by the clones of what it returns; one more load on the way to the target.
///
/// ```
/// use graphgc::{Gc, GcCell, ThinGc, Trace};
///
/// trait Shape: Trace {
///     fn area(&self) -> f64;
/// }
///
/// #[derive(Trace)]
/// struct Square(f64);
///
/// impl Shape for Square {
///     fn area(&self) -> f64 {
///         self.0 * self.0
///     }
/// }
///
/// #[derive(Trace)]
/// struct Slide { shape: GcCell<Option<ThinGc<dyn Shape>>> }
///
/// let slide = Gc::new(Slide { shape: GcCell::new(None) });
/// slide.shape.set(Some(Gc::new(Square(3.0)).unsize::<dyn Shape>(|p| p).thin()));
/// assert_eq!(slide.shape.get().unwrap().area(), 9.0);
/// ```
pub type ThinGc<T> = Gc<Thin<T>>;

/// What a [`ThinGc`] leads to: a wide handle in an object of its own. Used like the target.
///
/// Comparisons, hashes and formats are those of the target. Two calls of [`Gc::thin`] for one target make two objects, so that [`Gc::ptr_eq`] tells
/// them apart; compare the [`handle`](Self::handle)s to know whether the target is the same.
pub struct Thin<T: ?Sized>(Gc<T>);

impl<T: ?Sized> Thin<T> {
    /// The wide handle.
    ///
    /// ```
    /// use graphgc::{Gc, Thin};
    ///
    /// let name: Gc<str> = "Ann".into();
    /// let thin = name.clone().thin();
    /// assert!(Gc::ptr_eq(Thin::handle(&thin), &name));
    /// ```
    #[inline]
    pub fn handle(this: &Self) -> &Gc<T> {
        &this.0
    }
}

impl<T: ?Sized> Gc<T>
where
    Self: Trace,
{
    /// A handle of one word to the same target. Cost: a new object of 24 bytes.
    ///
    /// # Panics
    /// As [`Gc::new`].
    #[inline]
    pub fn thin(self) -> ThinGc<T> {
        Gc::new(Thin(self))
    }

    /// [`thin`](Self::thin), or the handle back if the operating system refuses memory.
    ///
    /// # Errors
    /// [`AllocError`] with the handle in it.
    #[inline]
    pub fn try_thin(self) -> Result<ThinGc<T>, AllocError<Self>> {
        Gc::try_new(Thin(self)).map_err(|refused| refused.map(|thin| thin.0))
    }
}

// SAFETY: one handle, which is passed to its own `Trace`.
unsafe impl<T: ?Sized + 'static> Trace for Thin<T>
where
    Gc<T>: Trace,
{
    type Info = Handle;

    #[inline]
    fn slot_facts(&self) -> Option<SlotFacts> {
        Some(SlotFacts::of::<Self>())
    }

    #[inline]
    fn trace(&self, tracer: &mut Tracer<'_>) {
        self.0.trace(tracer);
    }

    unsafe fn drop_swept(&mut self) {}
}

impl<T: ?Sized> Deref for Thin<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

/// For [`Guard::alloc`](crate::Guard::alloc).
impl<T: ?Sized> From<Gc<T>> for Thin<T> {
    fn from(wide: Gc<T>) -> Self {
        Thin(wide)
    }
}

impl<T: ?Sized> From<Gc<T>> for ThinGc<T>
where
    Gc<T>: Trace,
{
    fn from(wide: Gc<T>) -> Self {
        wide.thin()
    }
}

impl<T: ?Sized> From<ThinGc<T>> for Gc<T> {
    fn from(thin: ThinGc<T>) -> Self {
        thin.0.clone()
    }
}

impl<T: ?Sized> Default for Thin<T>
where
    Gc<T>: Default,
{
    fn default() -> Self {
        Thin(Gc::default())
    }
}

impl<T: ?Sized> AsRef<T> for Thin<T> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Thin<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for Thin<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + PartialEq> PartialEq for Thin<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: ?Sized + Eq> Eq for Thin<T> {}

impl<T: ?Sized + PartialOrd> PartialOrd for Thin<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (**self).partial_cmp(&**other)
    }
}

impl<T: ?Sized + Ord> Ord for Thin<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl<T: ?Sized + Hash> Hash for Thin<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl<T: ?Sized + Error> Error for Thin<T> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        (**self).source()
    }
}
