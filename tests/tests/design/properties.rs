//! What must hold in every state.

use super::{
    play::{Play, noted_handles},
    scenario::{Nested, Scenario},
    state::{Bits, Fault, Held, Id, Life, Marker, Mode, OBJECTS, Object, Pc, Phase, Pin, State},
};

/// How many counted handles to `id` there are: what its root count and the notes about it must say.
///
/// Where counting and what it stands for are two steps, the step between counts as follows. *Cloning*: the count is there, of no handle. *Storing*
/// into a counted cell: the thread owns one count of what it will put in, or of what it has taken out. *Releasing*: handles already
/// passed are counted although the flag still says claimed. The marker inside counted content: handles already passed are
/// claimed although the flag still says counted, and counted again as they are counted back.
pub(crate) fn counted_handles(scenario: &Scenario, state: &State, id: Id) -> u8 {
    let is = |target: Option<Id>| u8::from(target == Some(id));
    let threads: u8 = state.threads.iter().map(|thread| thread.handles[usize::from(id)]).sum();
    let steps: u8 = state
        .threads
        .iter()
        .map(|thread| match thread.pc {
            Pc::Storing { new, .. } => u8::from(new == id),
            Pc::Cloning(other) | Pc::CountingDown(other) => u8::from(other == id),
            _ => 0,
        })
        .sum();
    let mut count = threads + steps + u8::from(state.handed_over.has(id)) + u8::from(state.queue.has(id));
    for owner in 0..OBJECTS as Id {
        let object = &state.objects[usize::from(owner)];
        if object.life != Life::Alive {
            continue;
        }
        count += is(object.skipped);
        count += if object.edge.counted { is(object.edge.target) } else { 0 };
        let shape = scenario.shapes[usize::from(owner)];
        let counted = counted_content(state, owner);
        count += if counted(0) { is(object.lock.content[0]) } else { 0 };
        let second = if shape.nested == Nested::Handle { counted(1) } else { object.lock.nested_counted };
        count += if shape.has_lock() && second { is(object.lock.content[1]) } else { 0 };
    }
    count
}

/// Which handles directly in the content of `owner`'s lock-type cell are counted.
fn counted_content(state: &State, owner: Id) -> impl Fn(u8) -> bool {
    let lock = state.objects[usize::from(owner)].lock;
    let released = state.threads.iter().find_map(|thread| match thread.pc {
        Pc::Releasing { owner: of, next } if of == owner => Some(next),
        _ => None,
    });
    let marker = state.marker;
    move |index| match (released, marker) {
        (Some(next), _) => index < next,
        (None, Marker::Inside { owner: of, mode: Mode::Counted, walked }) if of == owner => index >= walked,
        (None, Marker::Back { owner: of, walked, back }) if of == owner => index < back || index >= walked,
        (None, Marker::Flagging(of)) if of == owner => false,
        _ => !lock.claimed,
    }
}

impl Play<'_> {
    /// Everything that a thread can get at, through whatever leads there.
    pub(crate) fn reachable(&self) -> Bits {
        reachable(self.scenario, self.state)
    }
}

/// See [`Play::reachable`].
pub(crate) fn reachable(scenario: &Scenario, state: &State) -> Bits {
    let mut reached = roots(scenario, state);
    let mut done = Bits::default();
    while let Some(id) = reached.iter().find(|&id| !done.has(id)) {
        done.add(id);
        let object = &state.objects[usize::from(id)];
        let lock = &object.lock;
        let targets = [object.plain, object.skipped, object.edge.target, lock.content[0], lock.content[1], object.w];
        targets.into_iter().flatten().for_each(|target| reached.add(target));
        // Of ephemerons among them, this one's or others', the keys of which are, too.
        let ephemerons = reached.iter().map(|id| &state.objects[usize::from(id)]).filter(|it| it.key.is_some());
        let kept: Vec<Id> =
            ephemerons.filter(|it| it.key.is_some_and(|key| reached.has(key))).filter_map(|it| it.value).collect();
        kept.into_iter().for_each(|value| reached.add(value));
    }
    reached
}

fn roots(scenario: &Scenario, state: &State) -> Bits {
    let mut roots = Bits(state.handed_over.0 | state.queue.0);
    (0..OBJECTS as Id).filter(|&id| scenario.shapes[usize::from(id)].outside).for_each(|id| roots.add(id));
    for thread in &state.threads {
        (0..OBJECTS as Id).filter(|&id| thread.handles[usize::from(id)] > 0).for_each(|id| roots.add(id));
        if thread.pin != Pin::No {
            roots.0 |= thread.locals.0;
        }
        match thread.pc {
            Pc::Cloning(id) | Pc::CloningAgain(id) | Pc::CountingDown(id) => roots.add(id),
            Pc::Connecting { slot, w } => {
                roots.add(slot);
                roots.add(w);
            }
            Pc::Rebuilding { owner, .. } => roots.add(owner),
            Pc::Storing { owner, new } | Pc::Overwriting { owner, new } => {
                roots.add(owner);
                roots.add(new);
            }
            _ => {}
        }
    }
    roots
}

/// Nothing reachable has been swept, nothing freed has been touched, no weak handle has been lost.
pub(crate) fn reachable_lives(scenario: &Scenario, state: &State) -> bool {
    let lives = |id: Id| state.objects[usize::from(id)].life == Life::Alive;
    let faultless = matches!(state.fault, None | Some(Fault::LoggedTwice(_) | Fault::FinalizedTwice(_)));
    faultless && reachable(scenario, state).iter().all(lives)
}

/// Who has a cell open for writing is alone in it: no reader, no marker.
pub(crate) fn writers_are_alone(state: &State) -> bool {
    state.objects.iter().map(|object| object.lock).all(|lock| match lock.held {
        Held::Writing(_) | Held::Leaked => lock.readers.is_empty() && !lock.marker,
        Held::No | Held::Releasing | Held::Rebuilding => true,
    })
}

/// Every root count, with the notes, is the number of counted handles.
pub(crate) fn counts_are_exact(scenario: &Scenario, state: &State) -> bool {
    (0..OBJECTS as Id).all(|id| {
        let object = &state.objects[usize::from(id)];
        let outside = scenario.shapes[usize::from(id)].outside;
        let counted = i32::from(object.count) + noted_handles(state, id);
        outside || object.life != Life::Alive || counted == i32::from(counted_handles(scenario, state, id))
    })
}

/// Every entry in a list, and everything grey, is an object.
pub(crate) fn entries_live(state: &State) -> bool {
    state.entries().iter().all(|id| state.objects[usize::from(id)].life == Life::Alive)
}

/// The log, which nobody filters, has no second entry for anything, so that it does not grow without bound.
pub(crate) fn logged_once(state: &State) -> bool {
    !matches!(state.fault, Some(Fault::LoggedTwice(_)))
}

/// Nothing is finalized a second time.
pub(crate) fn finalized_once(state: &State) -> bool {
    !matches!(state.fault, Some(Fault::FinalizedTwice(_)))
}

/// With mutators quiet for as many whole cycles as the scenario says, what is unreachable has been swept.
///
/// The W of a dead target is not user data: it goes one cycle after its target.
pub(crate) fn unreachable_is_gone(scenario: &Scenario, state: &State) -> bool {
    if state.phase != Phase::Off || state.quiet < scenario.latency {
        return true;
    }
    let reachable = reachable(scenario, state);
    (0..OBJECTS as Id).all(|id| {
        let object = &state.objects[usize::from(id)];
        object.life != Life::Alive || reachable.has(id) || is_w(scenario, id)
    })
}

fn is_w(scenario: &Scenario, id: Id) -> bool {
    scenario.weak_slots.has(id)
}

/// An object knows whether it has an entry in the log, and has one somewhere if it says so.
pub(crate) fn entries_are_known(state: &State) -> bool {
    let (entries, logged) = (state.entries(), Bits(state.log.0 | state.taken_log.0));
    (0..OBJECTS as Id).all(|id| {
        let Object { life, in_log, has_entry, .. } = state.objects[usize::from(id)];
        life != Life::Alive || in_log == logged.has(id) && (entries.has(id) || !has_entry) && (has_entry || !in_log)
    })
}

/// R1 and R3: a root has an entry, and from R to S2 it is marked; but for what is a root only to somebody who is cloning a handle to it.
pub(crate) fn roots_are_known(state: &State) -> bool {
    let entries = state.entries();
    (0..OBJECTS as Id).all(|id| {
        let object = &state.objects[usize::from(id)];
        let cloning = state.threads.iter().filter(|thread| thread.pc == Pc::Cloning(id)).count();
        let root = object.life == Life::Alive && object.count > cloning as i8;
        let marked = object.color != super::state::Color::White;
        !root || object.has_entry && entries.has(id) && (state.phase != Phase::Marking || marked)
    })
}

/// C1 and C2: a cell held for writing is counted, except inside the operation that wins it; inside counted content all is counted.
pub(crate) fn cells_are_in_order(scenario: &Scenario, state: &State) -> bool {
    (0..OBJECTS).all(|i| {
        let object = &state.objects[i];
        let shape = scenario.shapes[i];
        if object.life != Life::Alive || !shape.lock {
            return true;
        }
        let lock = &object.lock;
        let winning = |thread: u8| matches!(state.threads[usize::from(thread)].pc, Pc::Winning { owner, .. } if usize::from(owner) == i);
        let held = match lock.held {
            Held::Writing(thread) => !lock.claimed || winning(thread),
            Held::Leaked => !lock.claimed,
            Held::No | Held::Releasing | Held::Rebuilding => true,
        };
        let nested = shape.nested == Nested::Handle || lock.claimed || lock.marker || lock.nested_counted;
        held && nested
    })
}
