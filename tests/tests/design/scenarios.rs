//! The scenarios that are searched whole.

use super::{
    scenario::{Act::*, COLLECTION, Change::*, EDGE, Fields, LEAF, LOCK, Nested, STATIC, Scenario, Shape},
    state::{Bits, Life, OBJECTS, Object, State},
};

const NONE: Fields =
    Fields { plain: None, skipped: None, edge: None, content: None, key: None, value: None, leaked: false };

const BLANK: Scenario = Scenario {
    name: "",
    shapes: [LEAF; 5],
    begin: |_| {},
    weak_slots: Bits(0),
    acts: [&[], &[]],
    budgets: [0, 0],
    cycles: 2,
    filter: false,
    give_up: false,
    latency: 2,
};

fn alive(state: &mut State, id: usize) -> &mut Object {
    let object = &mut state.objects[id];
    object.life = Life::Alive;
    object
}

/// Two threads with a handle each to an object with a claimed lock-type cell, or collection of edges, of two handles.
fn two_share_a_cell(state: &mut State) {
    let owner = alive(state, 0);
    owner.lock.claimed = true;
    owner.lock.content = [Some(1), Some(2)];
    alive(state, 1);
    alive(state, 2);
    state.threads[0].handles[0] = 1;
    state.threads[1].handles[0] = 1;
}

/// The known trap of L4: two handles in a lock-type cell, a writer that releases them, a reader that clones one of them
/// and is held up before it takes back what it has counted.
pub(crate) const TRAP: Scenario = Scenario {
    name: "count-back beside a clone window",
    shapes: [LOCK, LEAF, LEAF, LEAF, LEAF],
    begin: two_share_a_cell,
    acts: [&[Read(0), CloneContent(0, 1), EndRead(0)], &[Write(0), EndWrite(0)]],
    budgets: [2, 1],
    filter: true,
    give_up: true,
    ..BLANK
};

/// The same cell with content of more than a slice, and handles that move in and out.
pub(crate) const WRITERS: Scenario = Scenario {
    name: "writers",
    shapes: [LOCK, LEAF, LEAF, LEAF, LEAF],
    begin: two_share_a_cell,
    acts: [
        &[WriteInSlices(0), MoveOut(0, 1), EndWrite(0), Drop(2), Drop(0)],
        &[Write(0), MoveOut(0, 0), MoveIn(0, 0, 1), EndWrite(0), Drop(1)],
    ],
    budgets: [2, 3],
    give_up: true,
    ..BLANK
};

/// A release in slices, beside a reader.
pub(crate) const SLICES: Scenario = Scenario {
    name: "release in slices",
    shapes: [LOCK, LEAF, LEAF, LEAF, LEAF],
    begin: two_share_a_cell,
    acts: [
        &[WriteInSlices(0), MoveOut(0, 1), EndWrite(0), Drop(2), Drop(0)],
        &[Read(0), CloneContent(0, 1), EndRead(0), Drop(2)],
    ],
    budgets: [2, 2],
    ..BLANK
};

/// A `GcCell` in the content of a lock-type cell, used by readers of it, counted after a writer was there.
pub(crate) const NESTED_EDGE: Scenario = Scenario {
    name: "GcCell in a lock-type cell",
    shapes: [Shape { nested: Nested::Edge, ..LOCK }, LEAF, LEAF, LEAF, LEAF],
    begin: |state| {
        let owner = alive(state, 0);
        owner.lock.claimed = true;
        owner.lock.content = [None, Some(1)];
        alive(state, 1);
        alive(state, 2);
        state.threads[0].handles[0] = 1;
        state.threads[1].handles[0] = 1;
        state.threads[1].handles[2] = 1;
    },
    acts: [
        &[Write(0), EndWrite(0), Read(0), Take(0), EndRead(0), Drop(1), Drop(0)],
        &[Read(0), Set(0, 2), EndRead(0), Drop(0)],
    ],
    budgets: [3, 2],
    give_up: true,
    ..BLANK
};

/// The same with pinned stores.
pub(crate) const NESTED_STORE: Scenario = Scenario {
    name: "pinned stores into a GcCell in a lock-type cell",
    shapes: [Shape { nested: Nested::Edge, ..LOCK }, LEAF, EDGE, LEAF, LEAF],
    begin: |state| {
        let owner = alive(state, 0);
        owner.lock.claimed = false;
        owner.lock.nested_counted = true;
        owner.lock.content = [None, Some(1)];
        alive(state, 1);
        alive(state, 2).edge.target = Some(3);
        alive(state, 3);
        state.threads[0].handles[0] = 1;
        state.threads[0].handles[2] = 1;
        state.threads[1].handles[0] = 1;
    },
    acts: [
        &[Pin, Load(2), Read(0), Store(0, 3), EndRead(0), Unpin, Drop(2)],
        &[Read(0), Get(0), EndRead(0), Drop(1), Drop(3)],
    ],
    budgets: [4, 2],
    give_up: true,
    ..BLANK
};

/// A lock-type cell in another's content, opened by readers of the outer one; and a cycle through both.
pub(crate) const NESTED_LOCK: Scenario = Scenario {
    name: "lock-type cell in a lock-type cell",
    shapes: [Shape { nested: Nested::Lock, ..LOCK }, LEAF, LEAF, LEAF, LEAF],
    begin: |state| {
        let owner = alive(state, 0);
        owner.lock.claimed = true;
        owner.lock.content = [None, Some(0)];
        alive(state, 1);
        state.threads[0].handles[0] = 1;
        state.threads[1].handles[0] = 1;
        state.threads[1].handles[1] = 1;
    },
    acts: [
        &[Read(0), WriteNested(0), MoveOutNested(0), MoveInNested(0, 0), EndWriteNested(0), EndRead(0), Drop(0)],
        &[Write(0), MoveIn(0, 0, 1), EndWrite(0), Drop(0), Drop(1)],
    ],
    budgets: [4, 2],
    give_up: true,
    ..BLANK
};

/// One `GcCell`, a thread that reads and one that changes it.
pub(crate) const EDGES: Scenario = Scenario {
    name: "GcCell",
    shapes: [EDGE, LEAF, LEAF, LEAF, LEAF],
    begin: |state| {
        alive(state, 0).edge.target = Some(1);
        alive(state, 1);
        alive(state, 2);
        state.threads[0].handles[0] = 1;
        state.threads[1].handles[0] = 1;
        state.threads[1].handles[2] = 1;
    },
    acts: [&[Get(0), Drop(1), Drop(2), Drop(0)], &[Set(0, 2), Take(0), Drop(0), Drop(1), Drop(2)]],
    budgets: [2, 2],
    filter: true,
    ..BLANK
};

/// A cycle of two objects through `GcCell`s, being made and unmade.
pub(crate) const CYCLE: Scenario = Scenario {
    name: "cycle through GcCells",
    shapes: [EDGE, EDGE, LEAF, LEAF, LEAF],
    begin: |state| {
        alive(state, 0).edge.target = Some(1);
        alive(state, 1);
        state.threads[0].handles[0] = 1;
        state.threads[1].handles[1] = 1;
        state.threads[1].handles[0] = 1;
    },
    acts: [&[Get(0), Take(0), Drop(0), Drop(1)], &[Set(1, 0), Drop(0), Drop(1)]],
    budgets: [2, 1],
    filter: true,
    // So that there are two quiet cycles after one in which much happens.
    cycles: 3,
    ..BLANK
};

/// Clones out of plain fields, their windows open across stops, the one owner reached through the other.
pub(crate) const WINDOWS: Scenario = Scenario {
    name: "clones out of plain fields",
    shapes: [LEAF; 5],
    begin: |state| {
        alive(state, 0).plain = Some(1);
        alive(state, 1).plain = Some(2);
        alive(state, 2);
        state.threads[0].handles[0] = 1;
        state.threads[1].handles[0] = 1;
    },
    acts: [
        &[ClonePlain(0), ClonePlain(1), Drop(0), Drop(1), Drop(2)],
        &[ClonePlain(0), ClonePlain(1), Drop(0), Drop(1), Drop(2)],
    ],
    budgets: [2, 2],
    filter: true,
    ..BLANK
};

/// In each slot another object lay before, a note about which each thread has had counted.
fn noted_before(state: &mut State) {
    state.threads.iter_mut().for_each(|thread| thread.counted = Bits((1 << OBJECTS) - 1));
}

/// Objects are born around others, one with a skipped field.
pub(crate) const BIRTHS: Scenario = Scenario {
    name: "births",
    shapes: [EDGE, LEAF, LEAF, LEAF, LEAF],
    begin: |state| {
        alive(state, 0).edge.target = Some(1);
        alive(state, 1);
        state.threads[0].handles[0] = 1;
        state.threads[1].handles[0] = 1;
        noted_before(state);
    },
    acts: [
        &[
            Get(0),
            New(2, Fields { plain: Some(1), ..NONE }),
            New(3, Fields { skipped: Some(2), ..NONE }),
            Drop(1),
            Drop(2),
            Drop(3),
            Drop(0),
        ],
        &[Take(0), Drop(1), Drop(0)],
    ],
    budgets: [3, 1],
    cycles: 3,
    filter: true,
    latency: 3,
    ..BLANK
};

/// A newborn is cloned, stored in an object that another thread takes it out of, led to by a pin, moved into a further newborn, and dropped.
pub(crate) const NEWBORNS: Scenario = Scenario {
    name: "newborns",
    shapes: [EDGE, LEAF, LEAF, LEAF, LEAF],
    begin: |state| {
        alive(state, 0);
        state.threads[0].handles[0] = 1;
        state.threads[1].handles[0] = 1;
        noted_before(state);
    },
    acts: [
        &[
            New(1, NONE),
            Clone(1),
            Set(0, 1),
            Pin,
            Local(1),
            Unpin,
            New(2, Fields { plain: Some(1), ..NONE }),
            Drop(1),
            Drop(2),
            Drop(0),
        ],
        &[Get(0), Take(0), Drop(1), Drop(0)],
    ],
    budgets: [4, 1],
    filter: true,
    ..BLANK
};

/// A guard is leaked and its cell moved into the heap.
pub(crate) const LEAK: Scenario = Scenario {
    name: "leaked guard",
    shapes: [LOCK, LEAF, LEAF, LEAF, LEAF],
    begin: |state| {
        alive(state, 1);
        state.threads[0].handles[1] = 1;
        state.threads[1].handles[1] = 1;
    },
    acts: [&[New(0, Fields { content: Some(1), leaked: true, ..NONE }), Drop(0), Drop(1)], &[Drop(1)]],
    budgets: [1, 1],
    cycles: 3,
    filter: true,
    latency: 3,
    ..BLANK
};

/// Pinned loads from a static and from an object, beside a thread that changes both.
pub(crate) const PINS: Scenario = Scenario {
    name: "pinned loads",
    shapes: [EDGE, LEAF, LEAF, LEAF, STATIC],
    begin: |state| {
        alive(state, 4).edge.target = Some(0);
        alive(state, 0).edge.target = Some(1);
        alive(state, 1);
        alive(state, 2);
        state.threads[1].handles[2] = 1;
        state.threads[1].handles[0] = 1;
    },
    acts: [&[Pin, Load(4), Load(0), ToGc(1), Unpin, Drop(1)], &[Set(0, 2), Take(4), Drop(0), Drop(1)]],
    budgets: [4, 2],
    ..BLANK
};

/// Pinned stores from one object into another, and a birth under the pin.
pub(crate) const STORES: Scenario = Scenario {
    name: "pinned stores",
    shapes: [EDGE, LEAF, EDGE, LEAF, LEAF],
    begin: |state| {
        alive(state, 0).edge.target = Some(1);
        alive(state, 1);
        alive(state, 2);
        state.threads[0].handles[0] = 1;
        state.threads[0].handles[2] = 1;
        state.threads[1].handles[0] = 1;
    },
    acts: [&[Pin, Load(0), Store(2, 1), Unpin, Drop(0)], &[Take(0), Drop(1), Drop(0)]],
    budgets: [4, 1],
    ..BLANK
};

/// `g.alloc`.
pub(crate) const PINNED_BIRTHS: Scenario = Scenario {
    name: "pinned births",
    shapes: [LEAF, LEAF, LEAF, LEAF, LEAF],
    begin: |state| {
        alive(state, 0).plain = Some(1);
        alive(state, 1);
        state.threads[0].handles[0] = 1;
        state.threads[1].handles[0] = 1;
    },
    acts: [
        &[ClonePlain(0), Pin, Alloc(2, 1), ToGc(2), Follow(2), Unpin, Drop(0), Drop(2), Drop(1)],
        &[ClonePlain(0), Drop(0), Drop(1)],
    ],
    budgets: [5, 1],
    ..BLANK
};

/// A weak handle beside an object that holds the target, which is upgraded, cloned and made weak again.
pub(crate) const WEAK: Scenario = Scenario {
    name: "upgrades",
    shapes: [LEAF; 5],
    begin: |state| {
        alive(state, 3).plain = Some(0);
        let target = alive(state, 0);
        target.w = Some(1);
        target.plain = Some(2);
        alive(state, 1).target = Some(0);
        alive(state, 2);
        state.threads[0].handles[3] = 1;
        state.threads[1].handles[1] = 1;
    },
    weak_slots: Bits(1 << 1),
    acts: [&[ClonePlain(3), Downgrade(0, 1), Drop(0), Drop(3), Upgrade(1), Drop(1)], &[Upgrade(1), Drop(0), Drop(1)]],
    budgets: [3, 1],
    ..BLANK
};

/// A target and its W are born at any time.
pub(crate) const NEW_WEAK: Scenario = Scenario {
    name: "weak births",
    shapes: [LEAF; 5],
    begin: |state| {
        alive(state, 2).plain = Some(4);
        alive(state, 4);
        state.threads[0].handles[2] = 1;
    },
    weak_slots: Bits(1 << 1),
    acts: [&[New(0, NONE), Downgrade(0, 1), Upgrade(1), Drop(0), Drop(1), Drop(2)], &[Upgrade(1), Drop(0)]],
    budgets: [4, 1],
    ..BLANK
};

/// An ephemeron whose value leads to its key, which a cell holds.
pub(crate) const EPHEMERONS: Scenario = Scenario {
    name: "ephemerons",
    shapes: [EDGE, LEAF, LEAF, LEAF, LEAF],
    begin: |state| {
        alive(state, 0).edge.target = Some(1);
        alive(state, 1);
        let ephemeron = alive(state, 2);
        ephemeron.key = Some(1);
        ephemeron.value = Some(3);
        alive(state, 3).plain = Some(1);
        state.threads[0].handles[0] = 1;
        state.threads[1].handles[2] = 1;
    },
    acts: [&[Take(0), Get(0), Drop(0), Drop(1)], &[Value(2), Drop(2), Drop(3)]],
    budgets: [2, 2],
    ..BLANK
};

/// Two objects with finalizers that lead to each other, and a weak handle to what one of them holds. The second thread is the finalizers'.
pub(crate) const FINALIZERS: Scenario = Scenario {
    name: "finalizers",
    shapes: [EDGE, EDGE, EDGE, LEAF, LEAF],
    begin: |state| {
        let first = alive(state, 0);
        first.due = true;
        first.edge.target = Some(2);
        let second = alive(state, 2);
        second.due = true;
        second.plain = Some(0);
        second.edge.target = Some(1);
        let target = alive(state, 1);
        target.w = Some(3);
        target.edge.target = Some(4);
        alive(state, 3).target = Some(1);
        alive(state, 4);
        state.threads[0].handles[0] = 1;
        state.threads[0].handles[3] = 1;
    },
    weak_slots: Bits(1 << 3),
    acts: [
        &[Drop(0), Upgrade(3), Take(1), Drop(1), Drop(3), Drop(4)],
        &[Finalize(0), Finalize(2), Take(2), Get(0), Drop(0), Drop(2), Drop(1)],
    ],
    budgets: [2, 2],
    ..BLANK
};

/// An object with a finalizer that holds an ephemeron; somebody else may hold the key.
pub(crate) const KEPT_EPHEMERON: Scenario = Scenario {
    name: "an ephemeron kept for a finalizer",
    shapes: [EDGE, LEAF, LEAF, LEAF, LEAF],
    begin: |state| {
        let mortal = alive(state, 0);
        mortal.due = true;
        mortal.edge.target = Some(2);
        alive(state, 1);
        let ephemeron = alive(state, 2);
        ephemeron.key = Some(1);
        ephemeron.value = Some(3);
        alive(state, 3).plain = Some(1);
        state.threads[0].handles[0] = 1;
        state.threads[0].handles[1] = 1;
    },
    acts: [&[Drop(0), Drop(1)], &[Finalize(0), Get(0), Value(2), Drop(0), Drop(2), Drop(3)]],
    budgets: [1, 2],
    ..BLANK
};

/// Everything in a cell was counted, then the cell becomes part of a dead cycle.
pub(crate) const GARBAGE: Scenario = Scenario {
    name: "dead cycles through counted cells",
    shapes: [Shape { nested: Nested::Edge, ..LOCK }, LOCK, LEAF, LEAF, LEAF],
    begin: |state| {
        let owner = alive(state, 0);
        owner.lock.nested_counted = true;
        owner.lock.content = [None, Some(1)];
        let other = alive(state, 1);
        other.lock.claimed = true;
        other.lock.content = [Some(0), None];
        state.threads[0].handles[0] = 1;
        state.threads[1].handles[1] = 1;
    },
    acts: [&[Write(0), EndWrite(0), Drop(0)], &[Write(1), EndWrite(1), Drop(1)]],
    budgets: [2, 1],
    give_up: true,
    // So that there are two quiet cycles after one in which much happens.
    cycles: 3,
    ..BLANK
};

/// A handle moves from one lock-type cell to another, and a reader of the second clones it.
pub(crate) const TWO_CELLS: Scenario = Scenario {
    name: "two lock-type cells",
    shapes: [LOCK, LOCK, LEAF, LEAF, LEAF],
    begin: |state| {
        alive(state, 0).lock.content[0] = Some(2);
        alive(state, 0).lock.claimed = true;
        alive(state, 1).lock.claimed = true;
        alive(state, 2);
        for thread in &mut state.threads {
            thread.handles[0] = 1;
            thread.handles[1] = 1;
        }
    },
    acts: [
        &[Write(0), MoveOut(0, 0), EndWrite(0), Write(1), MoveIn(1, 0, 2), EndWrite(1), Drop(2)],
        &[Read(1), CloneContent(1, 0), EndRead(1), Drop(2)],
    ],
    budgets: [4, 2],
    ..BLANK
};

/// A pin that loads through an object that is got where there is no entry, and dropped again.
pub(crate) const PINNED_DROP: Scenario = Scenario {
    name: "pinned loads through dropped handles",
    shapes: [EDGE, EDGE, LEAF, LEAF, LEAF],
    begin: |state| {
        alive(state, 0).edge.target = Some(1);
        alive(state, 1).edge.target = Some(2);
        alive(state, 2);
        state.threads[0].handles[0] = 1;
        state.threads[1].handles[0] = 1;
    },
    acts: [
        &[Pin, Get(0), Load(1), Drop(1), Drop(0), ToGc(2), Unpin, Drop(2)],
        &[Get(0), Take(0), Take(1), Drop(0), Drop(1), Drop(2)],
    ],
    budgets: [4, 1],
    ..BLANK
};

/// Handles that are noted on one thread and end on the other.
pub(crate) const NOTES: Scenario = Scenario {
    name: "noted handles that change threads",
    shapes: [EDGE, LEAF, LEAF, LEAF, LEAF],
    begin: |state| {
        alive(state, 0).edge.target = Some(1);
        alive(state, 1);
        state.threads[0].handles[0] = 1;
        state.threads[1].handles[0] = 1;
    },
    acts: [&[Get(0), Take(0), Clone(1), Pass(1), Drop(1), Drop(0)], &[Get(0), Clone(1), Drop(1), Drop(0)]],
    budgets: [3, 2],
    filter: true,
    ..BLANK
};

/// An object that knows itself is born, while another thread has a weak handle to it already.
pub(crate) const CYCLIC: Scenario = Scenario {
    name: "an object that knows itself",
    weak_slots: Bits(1 << 1),
    acts: [&[NewLink(1), Clone(1), Pass(1), Connect(0, 1), Drop(0), Drop(1)], &[Upgrade(1), Drop(0), Drop(1)]],
    budgets: [4, 2],
    ..BLANK
};

/// An ephemeron is born; another thread may hold its key.
pub(crate) const NEW_EPHEMERON: Scenario = Scenario {
    name: "births of ephemerons",
    begin: |state| {
        alive(state, 0);
        alive(state, 1);
        state.threads[0].handles[0] = 1;
        state.threads[0].handles[1] = 1;
        state.threads[1].handles[0] = 1;
    },
    acts: [&[New(2, Fields { key: Some(0), value: Some(1), ..NONE }), Value(2), Drop(0), Drop(1), Drop(2)], &[Drop(0)]],
    budgets: [2, 0],
    ..BLANK
};

/// A thread ends whose handles, noted, logged and newborn ones among them, another thread has got.
pub(crate) const EXIT: Scenario = Scenario {
    name: "a thread that ends",
    shapes: [EDGE, LEAF, LEAF, LEAF, LEAF],
    begin: |state| {
        alive(state, 0).edge.target = Some(1);
        alive(state, 1);
        state.threads[0].handles[0] = 1;
        state.threads[1].handles[0] = 1;
    },
    acts: [&[Get(0), New(2, NONE), Pass(1), Pass(2), Drop(0), End], &[Take(0), Drop(0), Drop(1), Drop(2)]],
    budgets: [5, 1],
    filter: true,
    ..BLANK
};

/// A collection of edges that two threads change, one of them reading it between.
pub(crate) const COLLECTIONS: Scenario = Scenario {
    name: "a collection of edges",
    shapes: [COLLECTION, LEAF, LEAF, LEAF, LEAF],
    begin: |state| {
        two_share_a_cell(state);
        state.objects[0].lock.content[1] = None;
        state.threads[0].handles[2] = 1;
    },
    acts: [
        &[Edges(0, Push(2)), Edges(0, Insert(2)), Edges(0, Swap), Edges(0, Pop), Drop(1), Drop(2), Drop(0)],
        &[Edges(0, Remove), Read(0), CloneContent(0, 1), EndRead(0), Drop(1), Drop(2), Drop(0)],
    ],
    budgets: [3, 2],
    ..BLANK
};

/// Pinned loads from a collection of edges that another thread changes.
pub(crate) const PINNED_COLLECTIONS: Scenario = Scenario {
    name: "pinned loads from a collection of edges",
    shapes: [COLLECTION, LEAF, LEAF, LEAF, LEAF],
    begin: |state| {
        two_share_a_cell(state);
        state.objects[0].lock.content[1] = None;
        state.threads[1].handles[2] = 1;
    },
    acts: [
        &[Pin, LoadContent(0, 0), ToGc(1), Unpin, Drop(1)],
        &[Edges(0, Overwrite(2)), Edges(0, Pop), Drop(1), Drop(2)],
    ],
    budgets: [3, 2],
    ..BLANK
};

/// A collection of edges is rebuilt beside the marker and a reader.
pub(crate) const REBUILDING: Scenario = Scenario {
    name: "a collection that is rebuilt",
    shapes: [COLLECTION, LEAF, LEAF, LEAF, LEAF],
    begin: two_share_a_cell,
    acts: [
        &[Edges(0, Rebuild), Edges(0, Pop), Drop(1), Drop(2)],
        &[Read(0), CloneContent(0, 0), EndRead(0), Edges(0, Pop), Drop(1), Drop(2)],
    ],
    budgets: [2, 2],
    ..BLANK
};

/// All that are searched in CI.
pub(crate) const ALL: &[&Scenario] = &[
    &TRAP,
    &WRITERS,
    &SLICES,
    &NESTED_EDGE,
    &NESTED_STORE,
    &NESTED_LOCK,
    &EDGES,
    &CYCLE,
    &WINDOWS,
    &BIRTHS,
    &NEWBORNS,
    &LEAK,
    &PINS,
    &STORES,
    &PINNED_BIRTHS,
    &WEAK,
    &NEW_WEAK,
    &EPHEMERONS,
    &FINALIZERS,
    &KEPT_EPHEMERON,
    &GARBAGE,
    &TWO_CELLS,
    &PINNED_DROP,
    &NOTES,
    &CYCLIC,
    &NEW_EPHEMERON,
    &EXIT,
    &COLLECTIONS,
    &PINNED_COLLECTIONS,
    &REBUILDING,
];
