//! What the handle-level models share: a whole collector on a heap of a few pages, of which the model's own thread is the worker.

use crate::{
    Config, Gc,
    collector::cycle,
    heap::{arena::Arena, header::Object, os},
    mutator::operation::end_thread,
    sync::{Ordering, epoch},
    trace::Trace,
};
use loom::thread::{self, JoinHandle};

/// Forgets the memory and the pins of the execution before.
pub(super) fn fresh() {
    os::platform::reset();
    epoch::reset();
}

/// A thread that uses handles.
pub(super) fn mutator<R: 'static>(f: impl FnOnce() -> R + 'static) -> JoinHandle<R> {
    thread::spawn(|| ending_here(f))
}

/// Runs `f`, which uses handles, on this thread, which gives its record back afterwards.
pub(super) fn ending_here<R>(f: impl FnOnce() -> R) -> R {
    let result = f();
    end_thread();
    result
}

/// One cycle, from S1 to the end of the sweep.
pub(super) fn cycle() {
    cycle::run(&Config::new());
}

/// The object of a handle.
pub(super) fn object<T: Trace>(handle: &Gc<T>) -> Object {
    handle.as_object()
}

/// The address of a handle's payload, found without making another way to the object.
pub(super) fn address<T: Trace>(handle: &Gc<T>) -> usize {
    Gc::as_ptr(handle).addr()
}

/// Whether the slot of `object` is taken, its span being swept.
pub(super) fn is_allocated(object: Object) -> bool {
    let header = object.as_ptr().cast::<u8>().cast_const();
    // SAFETY: an object of this execution's heap, whose arenas are never unmapped.
    let (arena, bit) = unsafe { (&*Arena::containing(header), Arena::bit_of(header)) };
    let span = arena.span_of_page(Arena::page_of(object.address()));
    // SAFETY: as above.
    unsafe { bit.word(span.allocation_parity()) }.load(Ordering::Relaxed) & bit.mask != 0
}
