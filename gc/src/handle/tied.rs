//! Why some types stay on their thread, in words that the compiler says.
//!
//! Nothing implements these traits, and nobody outside can name them. A type that must not be `Send` implements it under such a bound, which never holds: then the error
//! tells the bound's message, or at least its name, where otherwise it would speak of a raw pointer somewhere inside.

/// For what lives under a pin.
#[diagnostic::on_unimplemented(
    message = "`{Self}` stays on the thread that took its pin: send a `Gc`, made by `to_gc`, instead",
    label = "tied to a pin of one thread",
    note = "a `Guard` does not go either: let the other thread call `pin` for itself"
)]
pub trait LeavesItsPin<'never> {}

/// For guards of locks and borrows.
#[diagnostic::on_unimplemented(
    message = "`{Self}` stays on the thread that took the lock: let the other thread take it for itself",
    label = "given up where it was taken",
    note = "a handle to what holds the lock may go there"
)]
pub trait LeavesItsThread<'never> {}

/// For cells of one thread.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is for one thread: use `GcMutex` or `GcRwLock` for several, and `LocalFinalize` for a finalizer",
    label = "not shared between threads",
    note = "what leads to it is for one thread, too",
    note = "finalizers run on a thread of the collector's, unless the type says `#[trace(local_finalize)]`"
)]
#[allow(non_camel_case_types)]
pub trait Shared_UseGcMutexOrGcRwLock<'never> {}
