//! What users hold.

mod bytes;
pub(crate) mod gc;
mod gc_traits;
pub(crate) mod guard;
pub(crate) mod local;
mod slice;
mod thin;
mod unfilled;
mod unsizing;

pub use bytes::BytesBuilder;
pub use gc::{AllocError, Gc};
pub use guard::{Guard, pin};
pub use local::Local;
pub use thin::{Thin, ThinGc};
pub use unsizing::Unsizing;
