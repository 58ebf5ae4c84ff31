//! The scenarios that are searched whole.

use super::{
    scenario::{Act::*, EDGE, Fields, LEAF, LOCK, Nested, STATIC, Scenario, Shape},
    state::{Edge, Life, Object, Set, State},
};

const NONE: Fields = Fields { plain: None, skipped: None, edge: None, content: None, leaked: false };

const BLANK: Scenario = Scenario {
    name: "",
    shapes: [LEAF; 5],
    begin: |_| {},
    weak_slots: Set(0),
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

/// The known trap of L4: two handles in a lock-type cell, a writer that releases them, a reader that clones one of them
/// and is held up before it logs the clone.
pub(crate) const TRAP: Scenario = Scenario {
    name: "count-back beside a clone window",
    shapes: [LOCK, LEAF, LEAF, LEAF, LEAF],
    begin: |state| {
        let owner = alive(state, 0);
        owner.lock.claimed = true;
        owner.lock.content = [Some(1), Some(2)];
        alive(state, 1);
        alive(state, 2);
        state.threads[0].handles[0] = 1;
        state.threads[1].handles[0] = 1;
    },
    acts: [&[Read(0), CloneContent(0, 1), EndRead(0)], &[Write(0), EndWrite(0)]],
    budgets: [2, 1],
    filter: true,
    give_up: true,
    ..BLANK
};

/// All that are searched in CI.
pub(crate) const ALL: &[&Scenario] = &[&TRAP];
