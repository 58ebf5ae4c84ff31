//! Weak handles in a `GcCell`.
//!
//! The word leads to the link. A handle to nothing is the empty word in a cell of `Weak`. A cell of `Option<Weak>` has another use for that, and holds a handle to a link without a
//! target instead, one for the process.

use super::gc_cell::{
    Edge,
    sealed::{PinnedEdge, Sealed, WeakInOneWord},
};
use crate::{
    collector::weak_links::WeakLink,
    handle::{Gc, LocalWeak, Weak},
    heap::header::Object,
    trace::{Trace, type_info::SlotFacts},
};
use once_cell::sync::OnceCell;
use std::mem::ManuallyDrop;

#[allow(clippy::needless_maybe_sized, reason = "`WeakInOneWord` says more of a type without a size than `Sized`")]
impl<T: ?Sized + Trace + WeakInOneWord> Edge for Weak<T> {
    type Local<'g> = LocalWeak<'g, T>;
}

#[allow(clippy::needless_maybe_sized, reason = "`WeakInOneWord` says more of a type without a size than `Sized`")]
impl<T: ?Sized + Trace + WeakInOneWord> Edge for Option<Weak<T>> {
    type Local<'g> = Option<LocalWeak<'g, T>>;
}

static NOTHING: OnceCell<Gc<WeakLink>> = OnceCell::new();

/// What a cell of `Option<Weak>` holds for a handle to nothing. May allocate, so it is not for operations.
fn nothing() -> &'static Gc<WeakLink> {
    NOTHING.get_or_init(|| Gc::new(WeakLink::new(None)))
}

/// Whether it is that. Nobody has put it anywhere before it was made.
fn is_nothing(object: Object) -> bool {
    NOTHING.get().is_some_and(|nothing| nothing.as_object() == object)
}

#[expect(private_interfaces, reason = "sealed")]
// SAFETY: a handle and its link determine each other; a handle to nothing has none.
unsafe impl<T: Trace> Sealed for Weak<T> {
    const FACTS: SlotFacts = SlotFacts::of::<WeakLink>();

    #[inline]
    fn into_object(self) -> Option<Object> {
        ManuallyDrop::new(self).link_object()
    }

    #[inline]
    unsafe fn from_object(object: Option<Object>) -> Self {
        // SAFETY: by contract.
        object.map_or(Weak::new(), |link| unsafe { Weak::from_link(link) })
    }

    #[inline]
    fn object(&self) -> Option<Object> {
        self.link_object()
    }
}

#[expect(private_interfaces, reason = "sealed")]
// SAFETY: as above; `None` is no object, and a handle to nothing is the link without a target.
unsafe impl<T: Trace> Sealed for Option<Weak<T>> {
    const FACTS: SlotFacts = SlotFacts::of::<WeakLink>();

    fn into_object(self) -> Option<Object> {
        let weak = self?;
        if weak.is_nothing() {
            return Some(ManuallyDrop::new(nothing().clone()).as_object());
        }
        weak.into_object()
    }

    unsafe fn from_object(object: Option<Object>) -> Self {
        let link = object?;
        // SAFETY: by contract.
        let weak = unsafe { Weak::from_link(link) };
        Some(if is_nothing(link) { Weak::new() } else { weak })
    }

    fn object(&self) -> Option<Object> {
        let weak = self.as_ref()?;
        Some(weak.link_object().unwrap_or_else(|| nothing().as_object()))
    }
}

#[expect(private_interfaces, reason = "sealed")]
// SAFETY: as for `Weak`.
unsafe impl<'g, T: Trace> PinnedEdge<'g> for LocalWeak<'g, T> {
    #[inline]
    fn into_object(self) -> Option<Object> {
        self.link_object()
    }

    #[inline]
    unsafe fn from_object(object: Option<Object>) -> Self {
        // SAFETY: by contract.
        unsafe { LocalWeak::from_link(object) }
    }
}

#[expect(private_interfaces, reason = "sealed")]
// SAFETY: as for `Option<Weak>`.
unsafe impl<'g, T: Trace> PinnedEdge<'g> for Option<LocalWeak<'g, T>> {
    fn into_object(self) -> Option<Object> {
        self.map(|weak| weak.link_object().unwrap_or_else(|| nothing().as_object()))
    }

    unsafe fn from_object(object: Option<Object>) -> Self {
        let link = object?;
        // SAFETY: by contract.
        Some(unsafe { LocalWeak::from_link((!is_nothing(link)).then_some(link)) })
    }
}
