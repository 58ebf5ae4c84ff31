//! `Trace` for std's types that own their content.
//!
//! Three sorts of types. *Leaves* hold no handles: tracing does nothing, dropping is an ordinary drop. *Compounds* hold
//! their parts inline and pass every call on to them. *Indirections* (`Box`, `Vec`, maps) own parts in memory of their own:
//! they pass tracing on, and when they die they call `drop_swept` on each part that needs it and free the memory, but never
//! run the ordinary drop of a part, which could be a claimed handle. If a part's drop panics, the other parts leak.
//!
//! Not here, because they do not own their content alone or cannot be looked into: `Rc`, `ManuallyDrop`, guards, iterators, raw
//! pointers. `Arc` is a leaf: handles in it stay counted, whoever else shares them.

mod cells;
pub(super) mod collections;
pub(super) mod compounds;
mod indirections;
mod leaves;
#[cfg(all(test, not(graphgc_loom)))]
pub(super) mod tests;

use super::{
    Info, NoHandles, Trace, Tracer,
    facts::{Contained, DropKind, Facts},
};
use std::{marker::PhantomData, mem::needs_drop};

/// Whether values of this type may own handles or cells.
pub(super) const fn scans<T: Trace>() -> bool {
    <T::Info as Info>::FACTS.scan
}

/// Whether dead values of this type need `drop_swept`.
pub(super) const fn needs_drop_swept<T: Trace>() -> bool {
    !matches!(<T::Info as Info>::FACTS.drop, DropKind::None)
}

/// Traces one part of a value; nothing at all if its type has no handles.
#[inline(always)]
pub(super) fn trace_part<T: Trace>(part: &T, tracer: &mut Tracer<'_>) {
    if const { scans::<T>() } {
        part.trace(tracer);
    }
}

/// Drops one part of a dead value; nothing at all if its type needs no drop.
///
/// # Safety
/// As for [`Trace::drop_swept`].
#[inline(always)]
pub(super) unsafe fn drop_part<T: Trace>(part: &mut T) {
    if const { needs_drop_swept::<T>() } {
        // SAFETY: by contract.
        unsafe { part.drop_swept() };
    }
}

/// Info of an owning indirection to any number of `T`, about which `I` answers.
///
/// Handles and cells have a `Drop`, so a type that needs no drop holds none. Asking the compiler for that, unlike
/// asking `T` for its facts, cannot lead back here; so a `Vec` of plain derived structs is known to be free of handles.
pub struct Elements<T: ?Sized, I>(PhantomData<(I, *const T)>);

impl<T: ?Sized, I: Info> Info for Elements<T, I> {
    const FACTS: Facts = if needs_drop::<T>() { Contained::<I>::FACTS } else { Facts::owned_memory() };
    type Behind = Elements<T, I::Behind>;
}

/// The part of an implementation of `Trace` that is the same for every type with a size.
macro_rules! sized {
    () => {
        #[inline]
        fn slot_facts(&self) -> Option<$crate::trace::SlotFacts> {
            Some($crate::trace::SlotFacts::of::<Self>())
        }
    };
}
pub(super) use sized;

/// Implements `Trace` and `NoHandles` for leaves: `leaf! { {generics} Type, … }`. The second form is for types that own
/// memory of std's and nothing else, the third for types that have no size, and so no info.
macro_rules! leaf {
    ($({$($generics:tt)*} $ty:ty),* $(,)?) => {
        $(leaf!(@ {$($generics)*} $ty, {
            type Info = $crate::trace::facts::Leaf<Self>;
            $crate::trace::impls::sized!();
        });)*
    };
    (owned $($ty:ty),* $(,)?) => {
        $(leaf!(@ {} $ty, {
            type Info = $crate::trace::facts::OwnedMemory;
            $crate::trace::impls::sized!();
        });)*
    };
    (unsized $($ty:ty),* $(,)?) => { $(leaf!(@ {} $ty, {});)* };
    (@ {$($generics:tt)*} $ty:ty, {$($info:tt)*}) => {
        // SAFETY: no handles that a trace must visit (any that hide in it are counted, and its drop counts them down);
        // it may be dropped on any thread, since it is `Send` or its drop does nothing.
        unsafe impl<$($generics)*> $crate::trace::Trace for $ty {
            $($info)*

            #[inline]
            fn trace(&self, _: &mut $crate::trace::Tracer<'_>) {}

            #[inline]
            unsafe fn drop_swept(&mut self) {
                // SAFETY: by contract nobody uses the value again.
                unsafe { std::ptr::drop_in_place(self) };
            }
        }

        impl<$($generics)*> $crate::trace::NoHandles for $ty {}
    };
}
pub(super) use leaf;
