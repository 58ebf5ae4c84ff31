//! Types that hold their parts inline: enums, tuples, arrays, slices, ranges and wrappers.

use super::{NoHandles, Trace, Tracer, drop_part, needs_drop_swept, scans, sized, trace_part};
use crate::trace::{
    SlotFacts,
    facts::{Both, Either, Times},
};
use std::{
    cmp::Reverse,
    mem::ManuallyDrop,
    num::{Saturating, Wrapping},
    ops::{Bound, ControlFlow, Range, RangeFrom, RangeInclusive, RangeTo, RangeToInclusive},
    task::Poll,
};

/// Structs by their public fields.
macro_rules! structs {
    ($($name:ident<T>: $count:literal { $($field:tt),+ }),* $(,)?) => { $(
        // SAFETY: every field is passed to its own `Trace`; the type has no `Drop`.
        unsafe impl<T: Trace> Trace for $name<T> {
            type Info = Times<T::Info, $count>;

            sized!();

            #[inline]
            fn trace(&self, tracer: &mut Tracer<'_>) {
                $(trace_part(&self.$field, tracer);)+
            }

            #[inline]
            unsafe fn drop_swept(&mut self) {
                // SAFETY: by contract, for each field once.
                unsafe { $(drop_part(&mut self.$field);)+ }
            }
        }

        impl<T: NoHandles> NoHandles for $name<T> {}
    )* };
}

structs! {
    Wrapping<T>: 1 { 0 },
    Saturating<T>: 1 { 0 },
    Reverse<T>: 1 { 0 },
    Range<T>: 2 { start, end },
    RangeFrom<T>: 1 { start },
    RangeTo<T>: 1 { end },
    RangeToInclusive<T>: 1 { end },
}

/// Enums by their variants with one field; the other variants have none.
macro_rules! enums {
    ($($name:ident<$($param:ident),+>: $info:ty { $($variant:ident),+ }),* $(,)?) => { $(
        // SAFETY: the field of the variant at hand is passed to its own `Trace`; the type has no `Drop`.
        unsafe impl<$($param: Trace),+> Trace for $name<$($param),+> {
            type Info = $info;

            sized!();

            #[inline(always)]
            #[allow(unreachable_patterns)]
            fn trace(&self, tracer: &mut Tracer<'_>) {
                match self {
                    $($name::$variant(part) => trace_part(part, tracer),)+
                    _ => {}
                }
            }

            #[inline]
            #[allow(unreachable_patterns)]
            unsafe fn drop_swept(&mut self) {
                match self {
                    // SAFETY: by contract.
                    $($name::$variant(part) => unsafe { drop_part(part) },)+
                    _ => {}
                }
            }
        }

        impl<$($param: NoHandles),+> NoHandles for $name<$($param),+> {}
    )* };
}

#[allow(unused_imports, reason = "for the types of other crates, which are features")]
pub(in crate::trace) use enums;

enums! {
    Option<T>: T::Info { Some },
    Poll<T>: T::Info { Ready },
    Bound<T>: T::Info { Included, Excluded },
    Result<T, E>: Either<T::Info, E::Info> { Ok, Err },
    ControlFlow<B, C>: Either<B::Info, C::Info> { Break, Continue },
}

// SAFETY: both ends are passed to their own `Trace`; the type has no `Drop`.
unsafe impl<T: Trace> Trace for RangeInclusive<T> {
    type Info = Times<T::Info, 2>;

    sized!();

    fn trace(&self, tracer: &mut Tracer<'_>) {
        trace_part(self.start(), tracer);
        trace_part(self.end(), tracer);
    }

    unsafe fn drop_swept(&mut self) {
        // SAFETY: by contract nobody uses the value again, so it may be moved out of its place.
        let (start, end) = unsafe { std::ptr::read(self) }.into_inner();
        let mut ends = ManuallyDrop::new([start, end]);
        // SAFETY: by contract.
        unsafe { ends.drop_swept() };
    }
}

impl<T: NoHandles> NoHandles for RangeInclusive<T> {}

// SAFETY: every element is passed to its own `Trace`.
unsafe impl<T: Trace> Trace for [T] {
    #[inline]
    fn slot_facts(&self) -> Option<SlotFacts> {
        Some(SlotFacts::of_slice::<T>())
    }

    #[inline(always)]
    fn trace(&self, tracer: &mut Tracer<'_>) {
        if const { scans::<T>() } {
            for element in self {
                if tracer.is_done() {
                    return;
                }
                element.trace(tracer);
            }
        }
    }

    #[inline]
    unsafe fn drop_swept(&mut self) {
        if const { needs_drop_swept::<T>() } {
            for element in self {
                // SAFETY: by contract, for each element once.
                unsafe { element.drop_swept() };
            }
        }
    }
}

impl<T: NoHandles> NoHandles for [T] {}

// SAFETY: as for slices.
unsafe impl<T: Trace, const N: usize> Trace for [T; N] {
    type Info = Times<T::Info, N>;

    sized!();

    #[inline(always)]
    fn trace(&self, tracer: &mut Tracer<'_>) {
        self.as_slice().trace(tracer);
    }

    #[inline]
    unsafe fn drop_swept(&mut self) {
        // SAFETY: by contract.
        unsafe { self.as_mut_slice().drop_swept() };
    }
}

impl<T: NoHandles, const N: usize> NoHandles for [T; N] {}

/// The info of parts side by side.
macro_rules! all {
    ($first:ident) => { $first::Info };
    ($first:ident $($rest:ident)+) => { Both<$first::Info, all!($($rest)+)> };
}

macro_rules! tuple {
    ($($part:ident)+) => {
        // SAFETY: every part is passed to its own `Trace`.
        unsafe impl<$($part: Trace),+> Trace for ($($part,)+) {
            type Info = all!($($part)+);

            sized!();

            #[inline]
            #[allow(non_snake_case)]
            fn trace(&self, tracer: &mut Tracer<'_>) {
                let ($($part,)+) = self;
                $(trace_part($part, tracer);)+
            }

            #[inline]
            #[allow(non_snake_case)]
            unsafe fn drop_swept(&mut self) {
                let ($($part,)+) = self;
                // SAFETY: by contract, for each part once.
                unsafe { $(drop_part($part);)+ }
            }
        }

        impl<$($part: NoHandles),+> NoHandles for ($($part,)+) {}
    };
}

tuple!(A);
tuple!(A B);
tuple!(A B C);
tuple!(A B C D);
tuple!(A B C D E);
tuple!(A B C D E F);
tuple!(A B C D E F G);
tuple!(A B C D E F G H);
tuple!(A B C D E F G H I);
tuple!(A B C D E F G H I J);
tuple!(A B C D E F G H I J K);
tuple!(A B C D E F G H I J K L);
