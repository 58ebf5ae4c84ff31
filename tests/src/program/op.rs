//! Operations as data. An operation is decoded from a record of bytes, be they random numbers or a fuzzer's, and is printed and read
//! as the Rust (and RON) expression that makes it.
//!
//! A new operation is a variant of [`Op`], a line in its [`Arbitrary`] and an arm in [`Machine::execute`](super::machine::Machine::execute).

use super::content::{Change, Shape};
use crate::random::Random;
use arbitrary::{Arbitrary, Result, Unstructured};
use serde::{Deserialize, Serialize};

/// Bytes that decide on one operation.
pub const RECORD: usize = 32;

/// The bytes of one operation. Any bytes are an operation.
pub type Record = [u8; RECORD];

/// Where a program finds an object: from this root (modulo their number; [`HUB`](Self::HUB): from the content outside the heap) along up to three edges;
/// each step says which place and, beyond the number of places, which element of its content; 0, or an edge that is not there, ends the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Arbitrary, Serialize, Deserialize)]
pub struct At(pub u8, pub u16, pub u16, pub u16);

impl At {
    /// Root numbers from here on mean the hub.
    pub const HUB: u8 = 240;
    /// Root numbers from here on mean the objects that hang in the load of the collector, if it has one.
    pub const FAR: u8 = 208;
}

/// So many objects (modulo 5): found in the same way from as many consecutive roots.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Arbitrary, Serialize, Deserialize)]
pub struct Many(pub u8, pub At);

/// Types of objects.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// Nothing to drop when it dies.
    Plain,
    /// Owns memory of std's containers, but nothing that runs users' code.
    Frees,
    /// Containers of elements of any type, nested cells, and a vector of cells.
    Mixed,
    /// Has a user's drop, locks for threads, and fields that are not traced.
    User,
    /// Larger than any size class.
    Large,
    /// As above, with nothing to drop.
    LargePlain,
    /// Needs more alignment than slots have by themselves.
    Aligned,
    /// Its drop panics.
    Bomb,
    /// More handles than the collector treats in one go.
    Wide,
    /// More handles than an assist may trace.
    Huge,
    /// Has a finalizer, which may save others.
    Mortal,
    /// Holds others weakly, and values as long as their keys live.
    Keeper,
    /// A slice: no size of its own, only a length.
    Slice,
    /// Collections of edges.
    Bundle,
    /// Edges by way of a thin handle, a lazy cell, a function and a value bound to its thread.
    Detour,
    /// Has a finalizer that its own thread runs, which may save others.
    LocalMortal,
}

/// How an object is allocated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Arbitrary, Serialize, Deserialize)]
pub enum Via {
    /// `Gc::new`.
    New,
    /// `Gc::try_new`.
    TryNew,
    /// `Gc::from`.
    From,
    /// `Gc::new`; then known by a trait that the object has.
    Unsize,
}

/// Changes of a single edge.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Arbitrary, Serialize, Deserialize)]
pub enum EdgeChange {
    /// `set`.
    Set,
    /// `take`.
    Take,
    /// `replace`.
    Replace,
    /// `compare_exchange` with what is there.
    Exchange,
    /// `compare_exchange` with what may not be there.
    ExchangeOther,
    /// A copy of the cell, changed and emptied.
    Copy,
    /// A copy of the cell, dropped as a cell.
    Drop,
}

/// How a program gets at the content of a lock-type cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Arbitrary, Serialize, Deserialize)]
pub enum Route {
    /// By the guard.
    Guard,
    /// By the method that does not wait.
    Try,
    /// By a guard that was mapped.
    Map,
    /// By a guard that was mapped to something that may not be there.
    FilterMap,
    /// Taken out as a whole and put back.
    Whole,
    /// By the guard, which then becomes one for reading where there is such a thing.
    Downgrade,
}

/// What happens while a guard is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum During {
    /// Nothing.
    Nothing,
    /// A collection before the change.
    CollectBefore,
    /// A collection after the change.
    CollectAfter,
    /// A panic after the change.
    Panic,
}

/// Changes of nested cells.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Arbitrary, Serialize, Deserialize)]
pub enum Layer {
    /// The inner one is opened under a guard for reading of the outer.
    Inner,
    /// The outer one is opened for writing, which gives the content of the inner.
    Outer,
    /// The inner one is exchanged for another.
    Replace,
    /// The outer one is emptied.
    Take,
    /// The inner one is exchanged for that of another object.
    Swap,
    /// The inner one is copied.
    Copy,
}

/// Changes of a vector of cells.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Arbitrary, Serialize, Deserialize)]
pub enum CellsChange {
    /// A cell more.
    Push,
    /// A cell less.
    Pop,
    /// A cell is changed under a guard for reading.
    Read(EdgeChange),
    /// A cell is changed under a guard for writing.
    Write,
    /// A cell is exchanged for another.
    Replace,
    /// Two cells are exchanged.
    Swap,
    /// All cells out and in again, in reverse order.
    Reverse,
    /// All cells out.
    Take,
}

/// Where code of the program panics.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Arbitrary, Serialize, Deserialize)]
pub enum Panics {
    /// While a value is built, with handles in the part that exists.
    Constructor,
    /// While a vector of handles is filled.
    Collect,
    /// In the function that maps a guard.
    Map,
    /// With a cell on the stack opened for writing.
    OnStack,
}

/// What a keeper has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Arbitrary, Serialize, Deserialize)]
pub enum Field {
    /// The weak handle to itself.
    Me,
    /// A weak handle that never changes.
    Fixed,
    /// A cell with a weak handle.
    Cell,
    /// A cell with a weak handle or none.
    Maybe,
    /// A list of weak handles, in a lock-type cell.
    List,
    /// A list of ephemerons, in a lock-type cell.
    Tied,
    /// A weak map.
    Map,
}

/// Operations with what keeps nothing alive. A field of a keeper that cannot do it does nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Arbitrary, Serialize, Deserialize)]
pub enum WeakOp {
    /// The stack gets a weak handle to what is found.
    Downgrade(At),
    /// A weak handle on the stack is upgraded; what it gives becomes a root.
    Upgrade(u8),
    /// A weak handle on the stack is dropped.
    Drop(u8),
    /// One of those in a keeper is upgraded, or a value is asked for; what that gives becomes a root.
    Follow(At, Field, u8),
    /// A keeper gets a weak handle to what is found second, or a value for that as the key.
    Put(At, Field, At, u8),
    /// A keeper loses one.
    Clear(At, Field),
}

/// Operations with what edges go by way of. The cell with a thin handle is changed like other edges.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Arbitrary, Serialize, Deserialize)]
pub enum DetourOp {
    /// The lazy cell is made, unless it has been.
    Force,
    /// The function is called; what it returns becomes a root.
    Call(u8),
    /// The function is exchanged for one with these in its environment.
    Exchange(Shape, Many),
    /// The function is exchanged for that of another object.
    Share(At),
    /// The function is dropped.
    Empty,
    /// The edge in the bound value is changed, if this is its thread.
    Bound(EdgeChange, At),
}

/// Which guard is forgotten.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Arbitrary, Serialize, Deserialize)]
pub enum Guard {
    /// One for reading.
    Read,
    /// One for writing.
    Write,
}

/// Changes of a single edge under a pin.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Arbitrary, Serialize, Deserialize)]
pub enum PinnedChange {
    /// `store`.
    Store,
    /// `store` of nothing.
    Clear,
    /// `swap`.
    Swap,
    /// `compare_exchange` with what is there.
    Exchange,
    /// `compare_exchange` with what may not be there.
    ExchangeOther,
    /// `set`, which counts, after the edge has been loaded.
    Set,
    /// `take`, which counts; the handle is dropped.
    Take,
}

/// Operations in a pinned scope; one that comes elsewhere has a scope of its own. Objects are found as by others, but without
/// counting, and from every other root number on through what the scope holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PinnedOp {
    /// The scope gets hold of an object.
    Hold(At),
    /// The scope gets hold of a root, which is dropped.
    Take(u8),
    /// `alloc`, or `try_alloc`.
    Alloc(Kind, Shape, bool, At, Many),
    /// A single edge of the object is changed; the scope holds what was there.
    Edge(At, u8, PinnedChange, At),
    /// The same in a vector of cells, opened for writing or reading.
    Cells(At, bool, u8, PinnedChange, At),
    /// What is in a keeper's cell is upgraded, and held, and goes into another's.
    Weak(At, At),
    /// What the scope holds becomes a root.
    Keep(u8),
    /// The scope lasts until a cycle has ended, or for some time.
    Linger,
    /// The scope ends and another begins.
    Repin,
}

/// One operation of a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Op {
    /// A new object with these edges becomes a root.
    New(Kind, Shape, Via, At, Many),
    /// As above; a guard of one of its cells has been forgotten before it moved into the heap.
    NewLeaked(Guard),
    /// What is found becomes a root.
    Root(At),
    /// A root is dropped.
    Drop(u8),
    /// All roots from here on are dropped.
    DropFrom(u8),
    /// A root is forgotten.
    Forget(u8),
    /// A single edge of the object is changed.
    Edge(At, u8, EdgeChange, At),
    /// The content of a lock-type cell is changed.
    Content(At, u8, Route, During, Change, Many),
    /// The content of a lock-type cell for handles of one type is changed.
    Typed(At, Route, Change, Many),
    /// One element of a lock-type cell is exchanged through a guard of it alone.
    Element(At, u8, At),
    /// A lock-type cell is read, by guards of all kinds.
    Look(At, u8, During),
    /// The contents of two lock-type cells are exchanged.
    Swap(At, u8, At, u8),
    /// Nested cells are changed.
    Nested(At, Layer, Change, Many),
    /// A vector of cells is changed.
    Cells(At, CellsChange, u8, At),
    /// A collection of edges is changed: a vector, a map or a set.
    Bundle(At, u8, Change, Many),
    /// What edges go by way of is used or changed.
    Detour(At, DetourOp),
    /// What waits for this thread is done: finalizers are run, and values that are bound to it dropped.
    Home,
    /// A cell that is written once gets what is found second, unless it is full; a collection comes in between if told so.
    Once(At, At, bool),
    /// Fields that are not traced are changed.
    Skipped(At, Change, Many),
    /// Fields that are not traced are emptied.
    ClearSkipped(At),
    /// A guard of a lock-type cell is forgotten. Only where no other thread would wait for it.
    Leak(At, u8, Guard),
    /// Code of the program panics.
    Panic(Panics, Many),
    /// So many of the following operations (modulo 64) run in a pinned scope.
    Pin(u8),
    /// An operation in a pinned scope.
    Pinned(PinnedOp),
    /// An operation with what keeps nothing alive.
    Weak(WeakOp),
    /// A collection, and a comparison where no other thread runs.
    Collect,
}

impl<'a> Arbitrary<'a> for Kind {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u.int_in_range(0..=999u16)? {
            0..300 => Kind::Plain,
            300..340 => Kind::Detour,
            340..400 => Kind::Mortal,
            400..440 => Kind::Keeper,
            440..480 => Kind::Slice,
            480..530 => Kind::Frees,
            530..570 => Kind::Bundle,
            570..730 => Kind::Mixed,
            730..890 => Kind::User,
            890..930 => Kind::LocalMortal,
            930..942 => Kind::Large,
            942..955 => Kind::LargePlain,
            955..978 => Kind::Aligned,
            978..990 => Kind::Bomb,
            990..997 => Kind::Wide,
            _ => Kind::Huge,
        })
    }
}

impl<'a> Arbitrary<'a> for During {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u.int_in_range(0..=999u16)? {
            0..980 => During::Nothing,
            980..983 => During::CollectBefore,
            983..985 => During::CollectAfter,
            _ => During::Panic,
        })
    }
}

impl<'a> Arbitrary<'a> for PinnedOp {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        macro_rules! of {
            ($variant:ident $($field:tt)*) => { PinnedOp::$variant($(of!(@ $field)),*) };
            (@ $field:tt) => { u.arbitrary()? };
        }
        Ok(match u.int_in_range(0..=999u16)? {
            0..290 => of!(Hold 1),
            290..390 => of!(Take 1),
            390..490 => of!(Alloc 1 2 3 4 5),
            490..850 => of!(Edge 1 2 3 4),
            850..880 => of!(Cells 1 2 3 4 5),
            880..900 => of!(Weak 1 2),
            900..965 => of!(Keep 1),
            965..975 => PinnedOp::Repin,
            _ => PinnedOp::Linger,
        })
    }
}

impl<'a> Arbitrary<'a> for Op {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        macro_rules! of {
            ($variant:ident $($field:tt)*) => { Op::$variant($(of!(@ $field)),*) };
            (@ $field:tt) => { u.arbitrary()? };
        }
        Ok(match u.int_in_range(0..=16_999u16)? {
            0..3000 => of!(New 1 2 3 4 5),
            3000..4300 => of!(Edge 1 2 3 4),
            4300..5700 => of!(Content 1 2 3 4 5 6),
            5700..6100 => of!(Typed 1 2 3 4),
            6100..6250 => of!(Element 1 2 3),
            6250..6390 => of!(Look 1 2 3),
            6390..6400 => of!(Once 1 2 3),
            6400..6550 => of!(Swap 1 2 3 4),
            6550..7050 => of!(Nested 1 2 3 4),
            7050..7450 => of!(Cells 1 2 3 4),
            7450..7470 => of!(Skipped 1 2 3),
            7470..7600 => of!(ClearSkipped 1),
            7600..7606 => of!(Leak 1 2 3),
            7606..7612 => of!(NewLeaked 1),
            7612..7614 => of!(Forget 1),
            7614..7690 => of!(Panic 1 2),
            7690..8650 => of!(Root 1),
            8650..9790 => of!(Drop 1),
            9790..9985 => of!(DropFrom 1),
            9985..10_000 => Op::Collect,
            10_000..10_500 => of!(Pin 1),
            10_500..11_500 => of!(Weak 1),
            11_500..12_000 => of!(Bundle 1 2 3 4),
            12_000..12_900 => of!(Detour 1 2),
            12_900..13_000 => Op::Home,
            _ => of!(Pinned 1),
        })
    }
}

/// The operation that the bytes say.
pub fn decode(record: &Record) -> Op {
    Op::arbitrary(&mut Unstructured::new(record)).expect("a record is long enough for any operation")
}

/// Random records.
pub fn random_records(random: &mut Random, count: usize) -> Vec<Record> {
    let mut record = || {
        let mut record = [0; RECORD];
        record.chunks_mut(8).for_each(|part| part.copy_from_slice(&random.next_number().to_le_bytes()));
        record
    };
    (0..count).map(|_| record()).collect()
}
