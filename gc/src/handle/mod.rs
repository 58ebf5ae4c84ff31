//! What users hold.

pub(crate) mod gc;
mod gc_traits;
pub(crate) mod guard;
pub(crate) mod local;

pub use gc::{AllocError, Gc};
pub use guard::{Guard, pin};
pub use local::Local;
