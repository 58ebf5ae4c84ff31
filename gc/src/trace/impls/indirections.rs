//! `Box`, `Cow` and `Arc`.

use super::{Elements, NoHandles, Trace, Tracer, drop_part, sized, trace_part};
use crate::trace::{Unknown, facts::Leaf, private::drop_untraced};
use std::{
    borrow::Cow,
    mem::{ManuallyDrop, needs_drop},
    sync::Arc,
};

// SAFETY: the content is passed to its own `Trace`, and `drop_swept` frees the memory without dropping the content again.
// The info is that of anything at all if the content needs a drop: a `Box` may hold a `dyn Trait`.
unsafe impl<T: Trace + ?Sized> Trace for Box<T> {
    type Info = Elements<T, Unknown>;

    sized!();

    #[inline]
    fn trace(&self, tracer: &mut Tracer<'_>) {
        if !tracer.is_done() {
            tracer.descend(|tracer| (**self).trace(tracer));
        }
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

    sized!();

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

// SAFETY: handles in it stay counted, since others may share them, and the drop counts them down; it is `Send`.
unsafe impl<T: ?Sized + Send + Sync + 'static> Trace for Arc<T> {
    type Info = Leaf<Self>;

    sized!();

    #[inline]
    fn trace(&self, _: &mut Tracer<'_>) {}

    unsafe fn drop_swept(&mut self) {
        if needs_drop::<T>() {
            // SAFETY: by contract; it is `Send`.
            unsafe { drop_untraced(self) };
        } else {
            // SAFETY: by contract nobody uses the value again.
            unsafe { std::ptr::drop_in_place(self) };
        }
    }
}

impl<T: ?Sized> NoHandles for Arc<T> {}
