//! What a scenario is: the shapes of a few objects, where they begin, and what each thread may do.
//!
//! All scenarios are played by the same rules. One lists the concrete actions each thread may take, in any order and as often as
//! its budget allows, so that the state space stays small enough to be searched whole.

use super::state::{Bits, Id, OBJECTS, State, THREADS};
use std::iter;

/// What the second handle in the content of a lock-type cell lies in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Nested {
    /// Nothing: a handle like the first.
    #[default]
    Handle,
    /// A `GcCell`.
    Edge,
    /// A lock-type cell, opened for writing by readers of the outer one.
    Lock,
}

/// What fields the object in a slot has beyond plain and skipped ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Shape {
    pub(crate) edge: bool,
    pub(crate) lock: bool,
    pub(crate) nested: Nested,
    /// A collection of edges.
    pub(crate) edges: bool,
    /// Not in the heap: a static with a `GcCell`. Never marked, never swept, always counted.
    pub(crate) outside: bool,
}

impl Shape {
    /// Whether there is a lock around some of it.
    pub(crate) fn has_lock(self) -> bool {
        self.lock || self.edges
    }
}

/// No field but plain ones.
pub(crate) const LEAF: Shape = Shape { edge: false, lock: false, nested: Nested::Handle, edges: false, outside: false };
/// A `GcCell`.
pub(crate) const EDGE: Shape = Shape { edge: true, ..LEAF };
/// A lock-type cell with two handles.
pub(crate) const LOCK: Shape = Shape { lock: true, ..LEAF };
/// A collection of two edges.
pub(crate) const COLLECTION: Shape = Shape { edges: true, ..LEAF };
/// A static `GcCell`.
pub(crate) const STATIC: Shape = Shape { outside: true, ..EDGE };

/// The fields of a new object; the handles come from the thread's stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Fields {
    pub(crate) plain: Option<Id>,
    pub(crate) skipped: Option<Id>,
    pub(crate) edge: Option<Id>,
    pub(crate) content: Option<Id>,
    /// It is an ephemeron with this key, the handle to which stays on the stack.
    pub(crate) key: Option<Id>,
    pub(crate) value: Option<Id>,
    /// A guard of the lock-type cell has been leaked.
    pub(crate) leaked: bool,
}

/// What may be done to a collection of edges.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// A handle of one's own, behind the last.
    Push(Id),
    /// A handle of one's own, before the first.
    Insert(Id),
    /// A handle of one's own in the place of the first.
    Overwrite(Id),
    /// The last is moved out.
    Pop,
    /// The first is moved out.
    Remove,
    Swap,
    /// The same in a new buffer, as what takes long does it.
    Rebuild,
}

/// What a mutator may do. Objects are named by their slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Act {
    /// `Gc::new`.
    New(Id, Fields),
    /// `Gc::clone` of a handle of one's own.
    Clone(Id),
    /// A handle of one's own goes to the other thread.
    Pass(Id),
    /// `Gc::clone` of the handle in a plain field of this object.
    ClonePlain(Id),
    /// `Gc::clone` of a handle in the content of a cell that one reads.
    CloneContent(Id, u8),
    /// `Gc::drop`.
    Drop(Id),
    /// The same at the place of a note which has been counted, about this object or one that lay there before. There is one unless another note has taken the place.
    DropCounted(Id),
    /// `GcCell::get`.
    Get(Id),
    /// `GcCell::set` with a handle of one's own.
    Set(Id, Id),
    /// `GcCell::take`.
    Take(Id),
    Pin,
    Unpin,
    /// Pinned load of the `GcCell` of this object.
    Load(Id),
    /// A `Local` to what a collection of edges of this object holds at this place.
    LoadContent(Id, u8),
    /// `Gc::local` of a handle of one's own.
    Local(Id),
    /// A `Local` to what a plain field of this object leads to.
    Follow(Id),
    /// Pinned store into the `GcCell` of the first, of a `Local` to the second.
    Store(Id, Id),
    /// `Local::to_gc`.
    ToGc(Id),
    /// `g.alloc` of an object with one handle of one's own in a plain field.
    Alloc(Id, Id),
    Read(Id),
    EndRead(Id),
    Write(Id),
    /// The same with content of more than a slice.
    WriteInSlices(Id),
    EndWrite(Id),
    /// Moves a handle out of content open for writing.
    MoveOut(Id, u8),
    /// Moves a handle of one's own into it.
    MoveIn(Id, u8, Id),
    /// A reader of the outer cell opens the nested one for writing.
    WriteNested(Id),
    EndWriteNested(Id),
    MoveOutNested(Id),
    MoveInNested(Id, Id),
    /// A weak handle to the first; its W, if it has none yet, is born in the second slot.
    Downgrade(Id, Id),
    /// `Weak::upgrade` through this W.
    Upgrade(Id),
    /// A handle to the value of this ephemeron.
    Value(Id),
    /// The first step of `new_cyclic`: the W in this slot is born without a target.
    NewLink(Id),
    /// The rest of it: an object is born in the first slot for the W.
    Connect(Id, Id),
    /// A change of the collection of this object.
    Edges(Id, Change),
    /// The thread ends; it has no handles left.
    End,
    /// The finalizer thread takes this object out of the queue; what the finalizer does are further acts.
    Finalize(Id),
}

impl Act {
    /// The ways in which this can go.
    pub(crate) fn ways(self) -> impl Iterator<Item = Act> {
        let counted = if let Act::Drop(id) = self { Some(Act::DropCounted(id)) } else { None };
        iter::once(self).chain(counted)
    }

    pub(crate) fn is_about_weak(self) -> bool {
        matches!(self, Act::Downgrade(..) | Act::NewLink(_) | Act::Upgrade(_) | Act::Value(_))
    }
}

/// A bounded piece of the world.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) shapes: [Shape; OBJECTS],
    /// Fills the initial heap; counts and the root log follow from it.
    pub(crate) begin: fn(&mut State),
    /// The slots of W's.
    pub(crate) weak_slots: Bits,
    pub(crate) acts: [&'static [Act]; THREADS],
    /// How many actions each thread has; those that end something are free.
    pub(crate) budgets: [u8; THREADS],
    pub(crate) cycles: u8,
    /// Full candidate buffers are filtered.
    pub(crate) filter: bool,
    /// The marker may give up inside cells.
    pub(crate) give_up: bool,
    /// Cycles after which everything unreachable is gone when mutators are quiet: two, and one more for each link through a skipped field.
    pub(crate) latency: u8,
}
