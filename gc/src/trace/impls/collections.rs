//! Std's collections.
//!
//! Iterating over a collection runs no code of users: no hashing, no comparing. A dead collection is emptied by an
//! iterator whose own drop, which would drop the remaining elements, is reached only when none remain.

use super::{Elements, NoHandles, Trace, Tracer, drop_part, scans, sized, trace_part};
use crate::trace::facts::{Both, Leaf};
use std::{
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque},
    mem::{ManuallyDrop, needs_drop},
    ptr,
};

/// Traces the elements until the tracer has had enough.
#[inline]
pub(in crate::trace) fn trace_each<'a, T: Trace>(elements: impl Iterator<Item = &'a T>, tracer: &mut Tracer<'_>) {
    if const { scans::<T>() } {
        tracer.descend(|tracer| {
            for element in elements {
                if tracer.is_done() {
                    return;
                }
                element.trace(tracer);
            }
        });
    }
}

/// As [`trace_each`], for maps.
#[inline]
pub(in crate::trace) fn trace_entries<'a, K: Trace, V: Trace>(
    entries: impl Iterator<Item = (&'a K, &'a V)>,
    tracer: &mut Tracer<'_>,
) {
    if const { scans::<K>() || scans::<V>() } {
        tracer.descend(|tracer| {
            for (key, value) in entries {
                if tracer.is_done() {
                    return;
                }
                trace_part(key, tracer);
                trace_part(value, tracer);
            }
        });
    }
}

/// Calls `drop_swept` on all elements. A panic leaks the iterator, so that nothing is dropped the ordinary way.
///
/// # Safety
/// As for [`Trace::drop_swept`], for every element.
pub(in crate::trace) unsafe fn drop_each<T: Trace>(elements: impl Iterator<Item = T>) {
    let mut elements = ManuallyDrop::new(elements);
    for element in elements.by_ref() {
        let mut element = ManuallyDrop::new(element);
        // SAFETY: by contract.
        unsafe { drop_part(&mut *element) };
    }
    drop(ManuallyDrop::into_inner(elements));
}

// SAFETY: every element is passed to its own `Trace`; `drop_swept` frees the buffer without dropping elements again.
unsafe impl<T: Trace> Trace for Vec<T> {
    type Info = Elements<T, T::Info>;

    sized!();

    #[inline]
    fn trace(&self, tracer: &mut Tracer<'_>) {
        if const { scans::<T>() } {
            tracer.descend(|tracer| self.as_slice().trace(tracer));
        }
    }

    unsafe fn drop_swept(&mut self) {
        // SAFETY: by contract for each element once; with length 0 the drop of the vector only frees the buffer.
        unsafe {
            self.as_mut_slice().drop_swept();
            self.set_len(0);
            ptr::drop_in_place(self);
        }
    }
}

impl<T: NoHandles> NoHandles for Vec<T> {}

/// Collections of single elements.
macro_rules! sequences {
    ($({$($hasher:ident)?} $name:ident: $info:ty, $emptied:ident),* $(,)?) => { $(
        // SAFETY: every element is passed to its own `Trace`; `drop_swept` frees the memory without dropping elements again.
        // What else the collection owns, its hasher, is a leaf that is `Send`.
        unsafe impl<T: Trace $(, $hasher: Send + 'static)?> Trace for $name<T $(, $hasher)?> {
            type Info = $info;

            sized!();

            fn trace(&self, tracer: &mut Tracer<'_>) {
                trace_each(self.iter(), tracer);
            }

            unsafe fn drop_swept(&mut self) {
                // SAFETY: by contract.
                unsafe { $emptied!(self, T) };
            }
        }

        impl<T: NoHandles $(, $hasher)?> NoHandles for $name<T $(, $hasher)?> {}
    )* };
}

/// Collections of keys and values.
macro_rules! maps {
    ($({$($hasher:ident)?} $name:ident: $info:ty, $emptied:ident),* $(,)?) => { $(
        // SAFETY: as for sequences, with keys and values.
        unsafe impl<K: Trace, V: Trace $(, $hasher: Send + 'static)?> Trace for $name<K, V $(, $hasher)?> {
            type Info = $info;

            sized!();

            fn trace(&self, tracer: &mut Tracer<'_>) {
                trace_entries(self.iter(), tracer);
            }

            unsafe fn drop_swept(&mut self) {
                // SAFETY: by contract.
                unsafe { $emptied!(self, (K, V)) };
            }
        }

        impl<K: NoHandles, V: NoHandles $(, $hasher)?> NoHandles for $name<K, V $(, $hasher)?> {}
    )* };
}

/// Empties a collection in place, then drops it; a hasher goes last, when no element is left that its panic could reach.
macro_rules! drained {
    ($self:ident, $element:ty $(, $range:expr)?) => {{
        if needs_drop::<$element>() {
            drop_each($self.drain($($range)?));
        }
        // A hasher may own handles, which are counted.
        crate::trace::private::drop_untraced($self);
    }};
}

/// As `drained`, for the one collection that wants to be told what to drain.
macro_rules! drained_range {
    ($self:ident, $element:ty) => {
        drained!($self, $element, ..)
    };
}

/// For collections that can only be emptied by value.
macro_rules! consumed {
    ($self:ident, $element:ty) => {
        if needs_drop::<$element>() {
            drop_each(ptr::read($self).into_iter());
        } else {
            ptr::drop_in_place($self);
        }
    };
}

#[allow(unused_imports, reason = "for the types of other crates, which are features")]
pub(in crate::trace) use {drained, drained_range, maps, sequences};

sequences! {
    {} VecDeque: Elements<T, T::Info>, drained_range,
    {} BinaryHeap: Elements<T, T::Info>, drained,
    {} LinkedList: Elements<T, T::Info>, consumed,
    {} BTreeSet: Elements<T, T::Info>, consumed,
    {S} HashSet: Both<Elements<T, T::Info>, Leaf<S>>, drained,
}

maps! {
    {} BTreeMap: Elements<(K, V), Both<K::Info, V::Info>>, consumed,
    {S} HashMap: Both<Elements<(K, V), Both<K::Info, V::Info>>, Leaf<S>>, drained,
}
