//! Collections of edges, most of which threads share: no operation on them costs a pass over their content.
//!
//! The elements are plain handles in a vector behind a cell lock. They are all claimed or all counted, as the lock's flag says, but unlike
//! the content of a lock-type cell they stay claimed when they are written to: no `&mut` to them is given out, so every change runs through code
//! of ours, which claims what comes in, and shades and counts what goes out, edge by edge. Three ways to change them:
//!
//! - *Small changes* (push, pop, a short shift) are one operation around the lock: winning it, changing, giving it up (C1 holds).
//!   Nothing in there allocates or runs code of users. If the content is counted no operation is needed. (A collection of one thread has no
//!   use for the lock outside marking: `edges::one_thread`.)
//! - *Rebuilding* is for what takes longer: growth, long shifts, and whatever asks users' code (`retain`, `sort_by`). The lock is *reserved*: readers
//!   and writers are kept out, the marker is let in. A new buffer is filled beside the old one outside any operation, where the
//!   allocator or users' code may panic, or take as long as they like. Then one short operation, with no marker inside, puts
//!   the new buffer in the old one's place.
//! - Whoever has `&mut` to a collection, or owns it, has it with counted content, as for all cells.
//!
//! The marker traces claimed content from its end to its beginning, in chunks; `Progress` says how much is left of it in this cycle. It leaves
//! between two chunks if a writer waits, and goes on from there when its object's turn comes again (the object stays grey). What it owes the snapshot: every
//! element is shaded by the marker or by the writer that takes it out, and none slips from the part that is left into the part that is done. Hence, while marking,
//!
//! - what comes in is shaded (it is claimed), what goes out is shaded, elements that change places are shaded;
//! - an insertion in the part that is left moves its end along, and a removal there moves elements that are done into it, which does no harm;
//! - a push lands in the part that is done, so a writer who pushes all the time is no work for the marker;
//! - rebuilding keeps the order (growth), or shades every element in slices before the new buffer is put in, in the very phase in which
//!   that happens.
//!
//! The marker skips what is write-held and counted: it is rooted. What is write-held and claimed will be free when an operation ends, so it waits
//! for that. Counted content (a collection in a cell that was opened) it claims as it does a cell's.

#![allow(clippy::needless_maybe_sized, reason = "`OneWord` says more of a type without a size than `Sized`")]

#[macro_use]
mod vectors;

mod buffer;
mod edges;
mod index;
mod map;
mod pinned;
mod pinned_tables;
mod ref_vec;
mod set;
mod table;
mod vec;

use super::gc_cell::{
    Edge,
    sealed::{OneWord, WeakInOneWord},
};
use crate::{
    handle::{Gc, Weak},
    trace::{NoHandles, Trace},
};

pub(crate) use buffer::Progress;
pub use {
    map::{GcMap, GcMapIntoIter, GcMapIter, GcMapRef},
    pinned::PinnedIter,
    ref_vec::GcRefVec,
    set::{GcSet, GcSetRef},
    vec::{GcVec, GcVecRef},
};

/// What a [`GcVec`], [`GcMap`] or [`GcSet`] can hold: `Gc<T>`, `Option<Gc<T>>` or `Weak<T>`, for `T: Sized`.
///
/// The elements lie in a collection as they are. So an `Option<Weak<T>>` is none: in a cell its handle to nothing is written in a way of its own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an element of a collection of edges",
    label = "not `Gc<T>`, `Option<Gc<T>>` or `Weak<T>`",
    note = "for anything else use `GcRwLock<Vec<...>>`"
)]
pub trait Element: Edge + Trace {}

impl<T: ?Sized + Trace + OneWord> Element for Gc<T> {}
impl<T: ?Sized + Trace + OneWord> Element for Option<Gc<T>> {}
impl<T: ?Sized + Trace + WeakInOneWord> Element for Weak<T> {}

/// What can be the key of a [`GcMap`]: a type that the collector can drop and that holds no handles, so that nobody has to trace it.
///
/// Those are std's types and what is made of them, and types of yours with `#[derive(Trace)]` and `#[trace(leaf)]`. `Send + 'static` is all that
/// is asked of them; should there be handles in a key after all, they count as roots, and cycles through them are not collected.
///
/// ```
/// use graphgc::{Gc, GcMap, Trace};
///
/// #[derive(Trace, PartialEq, Eq, Hash)]
/// #[trace(leaf)]
/// struct Place { line: u32, column: u32 }
///
/// let tokens = GcMap::from([(Place { line: 1, column: 1 }, Gc::new("fn"))]);
/// assert!(tokens.contains_key(&Place { line: 1, column: 1 }));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` may hold handles, and so cannot be a key of a `GcMap`",
    label = "not known to be free of handles",
    note = "if there are none in `{Self}`, write `#[derive(Trace)]` and `#[trace(leaf)]` on the type",
    note = "for objects as keys there are `WeakMap`, by identity, and `GcSet`, by content; for anything else use `GcRwLock<HashMap<...>>`"
)]
pub trait MapKey: Trace + NoHandles {}

#[diagnostic::do_not_recommend]
impl<K: Trace + NoHandles> MapKey for K {}

/// Fails as `Vec` does that finds no memory.
#[cold]
fn refused(additional: usize) -> ! {
    drop(Vec::<u64>::with_capacity(additional));
    panic!("no memory for {additional} more elements of a collection")
}
