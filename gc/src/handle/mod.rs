//! What users hold.

pub(crate) mod gc;
mod gc_traits;

pub use gc::{AllocError, Gc};
