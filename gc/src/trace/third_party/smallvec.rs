//! `smallvec`: elements inline, or in memory of its own.

use crate::trace::{
    Info, NoHandles, Trace, Tracer,
    facts::Facts,
    impls::{scans, sized},
};
use smallvec::{Array, SmallVec};
use std::{marker::PhantomData, ptr};

/// Info of a container that holds any number of `I`, a few of them inline. Unlike an owning indirection it may ask them for their
/// facts: no type contains itself inline.
pub struct Spilling<I>(PhantomData<I>);

impl<I: Info> Info for Spilling<I> {
    const FACTS: Facts = I::FACTS.contained();
    type Behind = Spilling<I::Behind>;
}

// SAFETY: every element is passed to its own `Trace`; `drop_swept` frees the memory, if there is any, without dropping elements again.
unsafe impl<A: Array<Item: Trace> + 'static> Trace for SmallVec<A> {
    type Info = Spilling<<A::Item as Trace>::Info>;

    sized!();

    #[inline]
    fn trace(&self, tracer: &mut Tracer<'_>) {
        if const { scans::<A::Item>() } {
            tracer.descend(|tracer| self.as_slice().trace(tracer));
        }
    }

    unsafe fn drop_swept(&mut self) {
        // SAFETY: by contract for each element once; with length 0 the drop of the vector only frees its memory.
        unsafe {
            self.as_mut_slice().drop_swept();
            self.set_len(0);
            ptr::drop_in_place(self);
        }
    }
}

impl<A: Array<Item: NoHandles>> NoHandles for SmallVec<A> {}
