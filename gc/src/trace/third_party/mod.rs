//! [`Trace`](crate::Trace) for the types of other crates, each behind a feature of that crate's name.
//!
//! None is on by default, and none turns on default features of its crate.
//!
//! | feature | version | types | handles in them |
//! | --- | --- | --- | --- |
//! | `arrayvec` | 0.7 | `ArrayVec<T, N>`, `ArrayString<N>` | traced |
//! | `bytes` | 1 | `Bytes`, `BytesMut` | none |
//! | `chrono` | 0.4 | `DateTime<Tz>` and the naive types, `TimeDelta`, `Utc`, `FixedOffset`, and the units | none |
//! | `either` | 1 | `Either<L, R>` | traced |
//! | `hashbrown` | 0.17 | `HashMap<K, V, S>`, `HashSet<T, S>`, `HashTable<T>`, in the global allocator | traced, also in keys |
//! | `indexmap` | 2 | `IndexMap<K, V, S>`, `IndexSet<T, S>` | traced, also in keys |
//! | `petgraph` | 0.8 | `Graph<N, E, Ty, Ix>`, `StableGraph<N, E, Ty, Ix>`, for petgraph's own index types | traced, in the weights of nodes and edges |
//! | `serde` | 1 | `Serialize` and `Deserialize` for handles, cells and collections of this crate, see below | |
//! | `smallvec` | 1 | `SmallVec<[T; N]>` | traced, inline or spilled |
//! | `uuid` | 1 | `Uuid`, `NonNilUuid` | none |
//!
//! They are used as their counterparts in std are: a field that holds handles is immutable, or the whole collection sits in a cell.
//!
//! ```
//! # #[cfg(feature = "smallvec")] {
//! use graphgc::{Gc, GcRefCell, Trace};
//! use smallvec::{SmallVec, smallvec};
//!
//! #[derive(Trace)]
//! struct Node { edges: GcRefCell<SmallVec<[Gc<Node>; 2]>> }
//!
//! let first = Gc::new(Node { edges: GcRefCell::default() });
//! let second = Gc::new(Node { edges: GcRefCell::new(smallvec![first.clone(), first.clone()]) });
//! first.edges.borrow_mut().push(second.clone());
//! assert!(Gc::ptr_eq(&first.edges.borrow()[0], &second));
//! # }
//! ```
//!
//! A field of any other foreign type without handles is marked `#[trace(leaf)]`; see [`leaf!`](crate::leaf).
//!
//! # serde
//!
//! With the feature `serde` a handle is serialized as what it leads to, and deserialized into a new object. That is right for trees. Graphs with shared nodes or cycles are written as lists of
//! records with numbers in the place of handles; the page of the module `serde`, which is there with the feature, says how.
//!
//! # What there is not
//!
//! - **petgraph's `GraphMap`, `MatrixGraph`, `Csr` and `List`.** The nodes of a `GraphMap` are `Copy`, which no handle is. The others keep their weights where their
//!   interfaces do not give them all back by value, so that a dead one could not be taken apart without dropping handles that are not its own any more.
//! - **archery's `SharedPointerKind` for `Gc`.** That trait is a promise for *every* type: `new<T>(value)` and `from_box<T>` ask nothing of `T`, not even `'static`, so there is no `Trace` by which the
//!   collector could find the handles in the value, nor `Send` by which it might drop it on its own thread. `try_unwrap`, `get_mut` and `make_mut` need to know whether a handle is the only one, and `strong_count` how many there
//!   are. Edges between objects are not counted here, so nobody knows; and `&mut T` beside a collector that may be reading is unsound. Lastly `drop<T>` is to drop the value in place at
//!   the last handle. What the crates over archery (such as `rpds`) build of `ArcK` may be a field as `#[trace(leaf)]`, as long as no handles are in it.

#[cfg(feature = "arrayvec")]
mod arrayvec;
#[cfg(feature = "bytes")]
mod bytes;
#[cfg(feature = "chrono")]
mod chrono;
#[cfg(feature = "either")]
mod either;
#[cfg(feature = "hashbrown")]
mod hashbrown;
#[cfg(feature = "indexmap")]
mod indexmap;
#[cfg(feature = "petgraph")]
mod petgraph;
#[cfg(feature = "serde")]
pub mod serde;
#[cfg(feature = "smallvec")]
mod smallvec;
#[cfg(all(test, not(graphgc_loom)))]
mod tests;
#[cfg(feature = "uuid")]
mod uuid;
