//! The types that may sit in a cell of std.
//!
//! A value inside `Cell`, `RefCell` or `Mutex` can change behind the collector's back, so the collector never looks into
//! one: these cells are leaves. Handles in them would be safe, since they stay counted, but every cycle through
//! one would leak. [`NoHandles`] keeps handles out, so that the mistake is an error with advice instead of a leak.

/// A type whose values hold no handles, so that `Cell`, `RefCell`, `Mutex` and their like may hold them in a traced type.
///
/// Implemented for std's types. `#[trace(leaf)]` on a type that derives [`Trace`](crate::Trace) implements it; so does
/// `impl NoHandles for MyType {}`. An implementation that is wrong does no harm beyond a leak: the
/// handles stay counted, and cycles through them are not collected.
#[diagnostic::on_unimplemented(
    message = "`{Self}` may hold handles, which the collector cannot find inside a cell of std: use `GcRefCell`, `GcMutex` or another of this crate",
    label = "not known to be free of handles",
    note = "use `GcCell` or `GcRefCell` instead of `Cell` and `RefCell`, `GcMutex` instead of `Mutex`, `GcRwLock` instead of `RwLock`, `GcOnceCell` instead of `OnceCell` and `OnceLock`",
    note = "if there are no handles in `{Self}`, mark the field or the type `#[trace(leaf)]`"
)]
pub trait NoHandles {}
