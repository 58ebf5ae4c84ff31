//! `Box` and `Cow`.

use super::{Elements, NoHandles, Trace, Tracer, drop_part, trace_part};
use crate::trace::Unknown;
use std::{borrow::Cow, mem::ManuallyDrop};

// SAFETY: the content is passed to its own `Trace`, and `drop_swept` frees the memory without dropping the content again.
// The info is that of anything at all if the content needs a drop: a `Box` may hold a `dyn Trait`.
unsafe impl<T: Trace + ?Sized> Trace for Box<T> {
    type Info = Elements<T, Unknown>;

    #[inline]
    fn trace(&self, tracer: &mut Tracer<'_>) {
        (**self).trace(tracer);
    }

    unsafe fn drop_swept(&mut self) {
        // SAFETY: by contract.
        unsafe { (**self).drop_swept() };
        // SAFETY: by contract nobody uses the box again, so it may be moved out of its place.
        let content = Box::into_raw(unsafe { std::ptr::read(self) });
        // SAFETY: the pointer comes from a box, and `ManuallyDrop<T>` is laid out like `T`.
        drop(unsafe { Box::from_raw(content as *mut ManuallyDrop<T>) });
    }
}

impl<T: NoHandles + ?Sized> NoHandles for Box<T> {}

// SAFETY: what is owned is passed to its own `Trace`; what is borrowed is not owned.
unsafe impl<B> Trace for Cow<'static, B>
where
    B: ToOwned<Owned: Trace> + ?Sized + 'static,
{
    type Info = <B::Owned as Trace>::Info;

    #[inline]
    fn trace(&self, tracer: &mut Tracer<'_>) {
        if let Cow::Owned(owned) = self {
            trace_part(owned, tracer);
        }
    }

    #[inline]
    unsafe fn drop_swept(&mut self) {
        if let Cow::Owned(owned) = self {
            // SAFETY: by contract.
            unsafe { drop_part(owned) };
        }
    }
}

impl<B: ToOwned<Owned: NoHandles> + ?Sized> NoHandles for Cow<'_, B> {}
