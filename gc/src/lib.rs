//! A garbage-collected smart pointer for graphs with cycles, shared between threads and collected in the background.
//!
//! [`Gc<T>`](Gc) is used like `Arc<T>`: no lifetimes on your types, no context argument, `Clone` and `Deref`, `Send + Sync` when `T` is. Put
//! `#[derive(Trace)]` on your types, and cycles are no leak any more.
//!
//! ```
//! use graphgc::{Gc, GcRefCell, Trace};
//!
//! #[derive(Trace)]
//! struct Person { name: String, friends: GcRefCell<Vec<Gc<Person>>> }
//!
//! let ann = Gc::new(Person { name: "Ann".into(), friends: GcRefCell::new(vec![]) });
//! let bob = Gc::new(Person { name: "Bob".into(), friends: GcRefCell::new(vec![ann.clone()]) });
//! ann.friends.borrow_mut().push(bob.clone());     // a cycle
//! println!("{} knows {}", bob.name, bob.friends.borrow()[0].name);
//! drop((ann, bob));                               // collected in the background, or now:
//! graphgc::collect();
//! ```
//!
//! # From std's types to these
//!
//! | you have | take | and mind |
//! | --- | --- | --- |
//! | `Rc<T>`, `Arc<T>` | [`Gc<T>`](Gc) | no `get_mut`, `make_mut`, `try_unwrap`, `strong_count`: the collector may be reading |
//! | `Arc<dyn Trait>`, `Arc<[T]>`, `Arc<str>` | the same with `Gc` | a trait object is made by [`gc.unsize::<dyn Trait>(\|p\| p)`](Gc::unsize), and may be a field if `Trace` is a supertrait; [`ThinGc`] is one word and fits a `GcCell` |
//! | `Vec<u8>` to read a file into | [`Gc::<[u8]>::read_from`](Gc::read_from), [`BytesBuilder`] | what is read is where it stays |
//! | `Weak<T>` | [`Weak<T>`](Weak) | seldom needed: cycles are no leak. Found dead by the collector, not at the last drop |
//! | `WeakMap` of other languages, `HashMap<*const K, V>` | [`WeakMap<K, V>`](WeakMap), [`Ephemeron<K, V>`](Ephemeron) | a value may lead to its key and keeps it no longer alive for that |
//! | `Cell<Option<Rc<T>>>`, `ArcSwapOption<T>` | [`GcCell<Option<Gc<T>>>`](GcCell) | `get` clones the handle |
//! | `RefCell<T>` | [`GcRefCell<T>`](GcRefCell) | the first `borrow_mut` after each collection walks over the content |
//! | `Mutex<T>` | [`GcMutex<T>`](GcMutex) | not poisoned by panics; the same walk |
//! | `RwLock<T>` | [`GcRwLock<T>`](GcRwLock) | not poisoned by panics; the same walk for writers |
//! | `Condvar` | [`GcCondvar`] | waits with a [`GcMutex`] |
//! | `OnceCell<T>`, `OnceLock<T>` | [`GcOnceCell<T>`](GcOnceCell) | reading costs one load, as there |
//! | `LazyCell<T>`, `LazyLock<T>` | [`GcLazy<T>`](GcLazy) | what the closure captures counts as roots until it has run |
//! | `Rc<dyn Fn(A) -> R>`, `Arc<dyn Fn(A) -> R + Send + Sync>` | [`GcFn<A, R>`](GcFn), [`GcSyncFn<A, R>`](GcSyncFn) | what is captured is given as a value |
//! | a field that is not `Send` | [`ThreadBound<T>`](ThreadBound) | used and dropped on its own thread |
//! | a field of a foreign type without handles | `#[trace(leaf)]`, [`leaf!`] | it is `Send` |
//! | `RefCell<Vec<Rc<T>>>` | [`GcRefVec<Gc<T>>`](GcRefVec) | no walk; no `&mut` to the elements |
//! | `RwLock<Vec<Rc<T>>>` | [`GcVec<Gc<T>>`](GcVec) | no walk; no `&mut` to the elements |
//! | `RwLock<HashMap<K, Rc<T>>>` | [`GcMap<K, Gc<T>>`](GcMap) | the same; no handles in keys |
//! | `RwLock<HashSet<Rc<T>>>` | [`GcSet<Gc<T>>`](GcSet) | the same |
//! | raw pointers, `crossbeam_epoch::Shared` | [`pin()`](pin) and [`Local`] | while a pin is held no memory is freed |
//! | `Drop` on a node | `Drop` on a field without handles | runs on the collector's thread, some time later |
//! | `Drop` that uses the node's fields | [`Finalize`], [`LocalFinalize`] | runs once, some time later; may make the node reachable again |
//!
//! # Rules, all checked by the compiler
//!
//! - A field that holds handles is either immutable or sits in one of the cells above. Std's `Cell`, `RefCell` and `Mutex` with handles in them do
//!   not implement [`Trace`], and the error says what to use instead.
//! - A type that derives `Trace` has no `Drop` of its own. A field without handles may have one; [`Finalize`] is for the rest.
//! - Fields without handles are `Send + 'static`, since they are dropped on the collector's thread.
//! - `#[trace(skip)]` on a field is safe: handles in it count as roots, so cycles through it are not collected.
//!
//! # Types of other crates
//!
//! May hold handles, or be fields of what does, with a feature of the crate's name: `arrayvec`, `bytes`, `chrono`, `either`, `hashbrown`, `indexmap`, `petgraph`, `serde`, `smallvec`, `uuid`. None is on
//! by default. [`trace::third_party`] says which types those are, and why `archery` is not among the crates.
//!
//! # When not to use a garbage collector
//!
//! Where ownership is a tree, `Box` is faster and says more. Where data is shared but never cyclic, `Arc` frees at once, on the spot, and needs no
//! derive. Where all nodes die together, an arena or a `Vec` with indices beats everything. Where `Drop` must run at a
//! known moment (files, locks, sockets), keep it out of the graph. Take `Gc` when the graph has cycles that nobody can break by
//! hand, or when who owns what changes at run time.
//!
//! # How it works
//!
//! Objects live in a heap of their own, laid out like Go's: 64 MiB arenas of 8 KiB pages, spans of one size class each, a cache of free slots per thread. A
//! background thread finds what is reachable from the handles outside the heap (each object counts those that lead to it directly) while the program goes on: it is
//! stopped twice a cycle, for as long as it takes every thread to leave a critical section of nanoseconds. [`Config`]
//! says when cycles run, [`stats`] what they did, [`collect`] runs one now, [`verify`] looks for damage.
//!
//! `Gc::new` moves the value into the heap. A handle in another object's field costs nothing there; a handle on a stack makes
//! its object a root. Dead values without anything to drop are never touched again; what frees memory is dropped as the heap is swept;
//! `Drop`s of your types run on a thread of their own, and so do finalizers and [cleanups](Gc::on_drop).

#![cfg_attr(graphgc_loom, allow(dead_code, unused_imports))]

/// In the models assertions hold whatever the profile: they are run optimised.
#[cfg(graphgc_loom)]
macro_rules! debug_assert {
    ($($condition:tt)*) => { assert!($($condition)*) };
}

mod cell;
mod collector;
mod config;
mod handle;
mod heap;
#[cfg(all(graphgc_loom, test))]
mod models;
mod mutator;
mod observe;
#[cfg(test)]
mod random;
mod sync;
#[doc(hidden)]
pub mod testing;
pub mod trace;

pub use {
    cell::{
        BorrowError, BorrowMutError, Edge, Element, GcCell, GcCondvar, GcLazy, GcMap, GcMapIntoIter, GcMapIter,
        GcMapRef, GcMutex, GcMutexGuard, GcOnceCell, GcRefCell, GcRefVec, GcRwLock, GcRwLockReadGuard,
        GcRwLockWriteGuard, GcSet, GcSetRef, GcVec, GcVecRef, MapKey, MappedGcMutexGuard, MappedGcRwLockReadGuard,
        MappedGcRwLockWriteGuard, PinnedIter, Ref, RefMut, WaitTimeoutResult,
    },
    collector::{Cleanup, Collection, Outcome, collect, run_finalizers},
    config::{Config, ConfigError},
    handle::{
        AllocError, BytesBuilder, Ephemeron, Gc, GcFn, GcSyncFn, Guard, Local, LocalWeak, Thin, ThinGc, ThreadBound,
        Unsizing, Weak, WeakMap, drop_thread_bound, pin,
    },
    mutator::holders::HeldPin,
    observe::{
        stats::{Stats, stats},
        verify::{Violation, ViolationKind, verify},
    },
    trace::{Finalize, LocalFinalize, Trace},
};

#[doc(hidden)]
pub use trace::private as __private;

#[cfg(feature = "derive")]
pub use graphgc_derive::Trace;

/// The newcomer's page is compiled, too.
#[cfg(all(doctest, feature = "derive"))]
#[doc = include_str!("../../README.md")]
mod readme {}
