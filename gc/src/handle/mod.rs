//! What users hold.

pub(crate) mod gc;
mod gc_traits;
pub(crate) mod guard;
pub(crate) mod local;
mod slice;
mod unfilled;
mod unsizing;

pub use gc::{AllocError, Gc};
pub use guard::{Guard, pin};
pub use local::Local;
pub use unsizing::Unsizing;
