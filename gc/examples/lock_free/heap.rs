//! What the structures are built on: the garbage-collected heap, or under `--cfg graphgc_loom` a model of it.
//!
//! The structures' source is the same in both cases, so what loom explores is what runs.

#[cfg(graphgc_loom)]
mod model;

#[cfg(not(graphgc_loom))]
pub(crate) use graphgc::{Gc, GcCell, Guard, Local, Trace, pin};

#[cfg(graphgc_loom)]
pub(crate) use model::{Gc, GcCell, Guard, Local, Trace, pin};
