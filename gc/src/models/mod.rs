//! Loom models of the protocol types: the very source that the heap embeds, compiled with loom's atomics and locks.
//!
//! Run with `RUSTFLAGS="--cfg graphgc_loom" cargo test -p graphgc --lib --release`. Each model states its property in a sentence and names
//! the smallest interleaving that would break it.

mod cell_lock;
mod edge;
mod gate;
mod root_word;

/// Explores all schedules of a model of two threads with at most three preemptions.
fn explore(f: impl Fn() + Send + Sync + 'static) {
    explore_bounded(3, f);
}

/// Explores all schedules of `f` with at most `preemptions` preemptions.
fn explore_bounded(preemptions: usize, f: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(f);
}

/// A header on the real heap of the process, to be counted and pointed at by a model.
fn object(count: u32) -> crate::heap::header::Object {
    use crate::heap::header::{Header, Object, RootWord};
    let header = Box::new(Header { roots: RootWord::new(count), code: 0 });
    Object::new(std::ptr::NonNull::from(Box::leak(header)))
}

/// Ends the life of a model's object.
fn free(object: crate::heap::header::Object) {
    // SAFETY: `object` leaked this box, and the model's threads have been joined.
    drop(unsafe { Box::from_raw(object.as_ptr()) });
}
