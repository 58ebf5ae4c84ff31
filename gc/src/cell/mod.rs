//! What users mutate: one edge ([`GcCell`]), or arbitrary content behind a lock ([`GcRefCell`], [`GcMutex`], [`GcRwLock`]),
//! or content that is written once ([`GcOnceCell`], [`GcLazy`]), or any number of edges in a collection
//! ([`GcVec`], [`GcRefVec`], [`GcMap`], [`GcSet`]).
//!
//! A cell's content is *claimed* (the marker finds the handles in it by tracing the cell's owner) or *counted* (each handle is a
//! root, as if it lay on a stack). The cell's own flag says which; every operation on the cell keeps the flag
//! true. Cells are born counted, become claimed when their owner moves into the heap or the marker comes by, and counted again when
//! they are opened for writing, because `&mut` access lets handles be moved out with no code of ours running.

pub(crate) mod borrow;
pub(crate) mod collections;
mod condvar;
pub(crate) mod edge_word;
pub(crate) mod gc_cell;
pub(crate) mod guards;
mod lazy;
pub(crate) mod lock;
pub(crate) mod lock_cell;
pub(crate) mod mutex;
mod once;
mod once_cell;
pub(crate) mod open;
pub(crate) mod parking;
mod pinned;
pub(crate) mod ref_cell;
pub(crate) mod rw_lock;
mod weak_edge;

pub use collections::{
    Element, GcMap, GcMapIntoIter, GcMapIter, GcMapRef, GcRefVec, GcSet, GcSetRef, GcVec, GcVecRef, MapKey, PinnedIter,
};
pub use condvar::{GcCondvar, WaitTimeoutResult};
pub use gc_cell::{Edge, GcCell};
pub use lazy::GcLazy;
pub use mutex::{GcMutex, GcMutexGuard, MappedGcMutexGuard};
pub use once_cell::GcOnceCell;
pub use ref_cell::{BorrowError, BorrowMutError, GcRefCell, Ref, RefMut};
pub use rw_lock::{GcRwLock, GcRwLockReadGuard, GcRwLockWriteGuard, MappedGcRwLockReadGuard, MappedGcRwLockWriteGuard};
