//! `arrayvec`: elements inline, in an array of which a part is in use.

use crate::trace::{
    NoHandles, Trace, Tracer,
    facts::Times,
    impls::{leaf, sized},
};
use arrayvec::{ArrayString, ArrayVec};

// SAFETY: the elements in use are passed to their own `Trace`. The type's `Drop` drops them and nothing else; it does not run when
// the collector drops.
unsafe impl<T: Trace, const CAP: usize> Trace for ArrayVec<T, CAP> {
    type Info = Times<T::Info, CAP>;

    sized!();

    #[inline]
    fn trace(&self, tracer: &mut Tracer<'_>) {
        self.as_slice().trace(tracer);
    }

    #[inline]
    unsafe fn drop_swept(&mut self) {
        // SAFETY: by contract.
        unsafe { self.as_mut_slice().drop_swept() };
    }
}

impl<T: NoHandles, const CAP: usize> NoHandles for ArrayVec<T, CAP> {}

leaf!({const CAP: usize} ArrayString<CAP>);
