//! What users hold.

mod bytes;
mod ephemeron;
pub(crate) mod gc;
mod gc_fn;
mod gc_traits;
pub(crate) mod guard;
pub(crate) mod local;
mod local_weak;
mod slice;
mod thin;
mod thread_bound;
pub(crate) mod tied;
mod unfilled;
mod unsizing;
pub(crate) mod weak;
mod weak_map;

pub use bytes::BytesBuilder;
pub use ephemeron::Ephemeron;
pub use gc::{AllocError, Gc};
pub use gc_fn::{GcFn, GcSyncFn};
pub use guard::{Guard, pin};
pub use local::Local;
pub use local_weak::LocalWeak;
pub use thin::{Thin, ThinGc};
pub use thread_bound::{ThreadBound, drop_thread_bound};
pub use unsizing::Unsizing;
pub use weak::Weak;
pub use weak_map::WeakMap;
