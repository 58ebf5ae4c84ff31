//! `LocalWeak`: a weak handle in a pinned scope.

use super::{Guard, Local, Weak, tied::LeavesItsPin};
use crate::{
    collector::weak_links::WeakLink,
    heap::header::Object,
    mutator::Operation,
    sync::{Mutation, weakened},
    trace::Trace,
};
use std::{fmt, marker::PhantomData};

/// What a pinned scope loads from a [`GcCell`](crate::GcCell) of [`Weak`]: copied without counting, and upgraded to a [`Local`].
///
/// ```
/// use graphgc::{Gc, GcCell, pin};
///
/// let strong = Gc::new(7);
/// let cell = GcCell::new(Gc::downgrade(&strong));
/// let guard = pin();
/// assert_eq!(*cell.load(&guard).upgrade(&guard).unwrap(), 7);
/// ```
pub struct LocalWeak<'g, T> {
    link: Option<Object>,
    /// Stays on its thread, and leads to a `T`.
    pinned: PhantomData<(&'g T, &'g Guard)>,
}

// SAFETY: never so, as nothing has the bound: it says why.
unsafe impl<'never, T> Send for LocalWeak<'_, T> where Self: LeavesItsPin<'never> {}
// SAFETY: as above.
unsafe impl<'never, T> Sync for LocalWeak<'_, T> where Self: LeavesItsPin<'never> {}

impl<'g, T> LocalWeak<'g, T> {
    /// A handle to nothing.
    pub const fn new() -> Self {
        LocalWeak { link: None, pinned: PhantomData }
    }

    /// # Safety
    /// The link is that of a `T`, or has no target, and is reachable at some moment of a pin of this thread that lasts for `'g`.
    #[inline]
    pub(crate) unsafe fn from_link(link: Option<Object>) -> Self {
        LocalWeak { link, pinned: PhantomData }
    }

    #[inline]
    pub(crate) fn link_object(self) -> Option<Object> {
        self.link
    }
}

impl<'g, T: Trace> LocalWeak<'g, T> {
    /// The object, for as long as the guard is held, unless it has been found unreachable, or there never was one. Cost: a few nanoseconds.
    pub fn upgrade(self, _guard: &'g Guard) -> Option<Local<'g, T>> {
        let link = self.link?;
        // SAFETY: the pin keeps the link.
        let link: &WeakLink = unsafe { link.payload(align_of::<WeakLink>()).cast().as_ref() };
        let operation = Operation::enter();
        let target = link.live_target(&operation)?;
        // S2 does not wait for this pin if it is younger than R: then this cycle must mark what the pin is going to use.
        if !weakened(Mutation::PinnedUpgradeWithoutShade) {
            operation.shade(target);
        }
        // SAFETY: the link's target is a `T`; it is marked in this cycle, and later ones wait for the pin.
        Some(unsafe { Local::from_object(target) })
    }

    /// A weak handle of its own, which may leave the scope. Cost: a few nanoseconds.
    pub fn to_weak(self) -> Weak<T> {
        let Some(link) = self.link else { return Weak::new() };
        Operation::enter().count_up(link);
        // SAFETY: just counted, for this handle.
        unsafe { Weak::from_link(link) }
    }
}

impl<T: Trace> Weak<T> {
    /// The same handle for a pinned scope, without counting.
    pub fn local<'g>(&self, _guard: &'g Guard) -> LocalWeak<'g, T> {
        // SAFETY: this handle keeps the link reachable now, when the pin is held.
        unsafe { LocalWeak::from_link(self.link_object()) }
    }
}

impl<T> Clone for LocalWeak<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for LocalWeak<'_, T> {}

impl<T> Default for LocalWeak<'_, T> {
    /// A handle to nothing.
    fn default() -> Self {
        LocalWeak::new()
    }
}

/// By identity, as for [`Weak`].
impl<T> PartialEq for LocalWeak<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.link == other.link
    }
}

impl<T> Eq for LocalWeak<'_, T> {}

impl<T> fmt::Debug for LocalWeak<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(Weak)")
    }
}
