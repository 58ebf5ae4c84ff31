//! The rules as a `stateright` model, and the searches of it.

use super::{
    collector::Turn,
    mutator::is_idle,
    play::{self, Play},
    properties,
    rules::Rule,
    scenario::{Act, Scenario},
    state::{Life, Pc, State, THREADS},
};
use stateright::{Checker, HasDiscoveries, Model, Property};

/// One scenario, with all rules kept or some weakened.
#[derive(Clone)]
pub(crate) struct Design {
    pub(crate) scenario: &'static Scenario,
    pub(crate) weakened: &'static [Rule],
    pub(crate) more_budget: u8,
    pub(crate) more_cycles: u8,
}

/// One step of somebody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// A thread begins something; most things end with that.
    Thread(u8, Act),
    /// A thread takes the next step of what it is in.
    GoesOn(u8, Pc),
    Collector(Turn),
}

impl Design {
    pub(crate) fn new(scenario: &'static Scenario, weakened: &'static [Rule]) -> Self {
        Design { scenario, weakened, more_budget: 0, more_cycles: 0 }
    }

    fn play<'a>(&self, state: &'a mut State) -> Play<'a> {
        Play { scenario: self.scenario, weakened: self.weakened, state }
    }
}

/// A property that does not hold, and the steps to a state where it does not.
pub(crate) struct Violation {
    pub(crate) property: &'static str,
    pub(crate) steps: Vec<Step>,
    pub(crate) state: State,
}

/// What came of a search.
pub(crate) struct Searched {
    pub(crate) states: usize,
    pub(crate) violation: Option<Violation>,
}

impl Design {
    /// Searches breadth first, with so many threads, until something is violated or there are no more states.
    pub(crate) fn search(&self, threads: usize) -> Searched {
        self.search_below(threads, usize::MAX)
    }

    /// A shortest violation, if there is any: the checker ends a while after it has found the first and remembers the last.
    pub(crate) fn shortest_violation(&self) -> Option<Violation> {
        let mut shortest = self.search(1).violation?;
        while let Some(shorter) = self.search_below(1, shortest.steps.len()).violation {
            shortest = shorter;
        }
        Some(shortest)
    }

    /// Searches states that are less than `steps` away.
    fn search_below(&self, threads: usize, steps: usize) -> Searched {
        let checker = self.clone().checker().threads(threads).finish_when(HasDiscoveries::Any);
        let checker = checker.target_max_depth(steps.saturating_add(1)).spawn_bfs().join();
        let found = checker.discoveries().into_iter().map(|(property, path)| {
            let state = path.last_state().clone();
            Violation { property, steps: path.into_actions(), state }
        });
        Searched {
            states: checker.unique_state_count(),
            violation: found.min_by_key(|found| (found.steps.len(), std::cmp::Reverse(found.property))),
        }
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "not so: {}", self.property)?;
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "{:4}  {step:?}", number + 1)?;
        }
        for (id, object) in self.state.objects.iter().enumerate().filter(|(_, object)| object.life != Life::Unborn) {
            writeln!(f, "      object {id}: {:?}, {:?}, count {}", object.life, object.color, object.count)?;
        }
        self.state.fault.map_or(Ok(()), |fault| writeln!(f, "      {fault:?}"))
    }
}

impl Model for Design {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![play::begin(self.scenario, self.more_budget, self.more_cycles)]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        if state.fault.is_some() {
            return;
        }
        let mut state = state.clone();
        let play = self.play(&mut state);
        let mut turns = Vec::new();
        play.turns(&mut turns);
        steps.extend(turns.into_iter().map(Step::Collector));
        for thread in 0..THREADS as u8 {
            if is_idle(play.state, thread) {
                let acts = self.scenario.acts[usize::from(thread)].iter().flat_map(|act| act.ways());
                steps.extend(acts.filter(|&act| play.may(thread, act)).map(|act| Step::Thread(thread, act)));
            } else if play.may_step(thread) {
                steps.push(Step::GoesOn(thread, play.state.threads[usize::from(thread)].pc));
            }
        }
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut state = last.clone();
        let mut play = self.play(&mut state);
        match step {
            Step::Thread(thread, act) => play.act(thread, act),
            Step::GoesOn(thread, _) => play.step(thread),
            Step::Collector(turn) => play.turn(turn),
        }
        if !matches!(step, Step::Collector(_)) {
            state.quiet = 0;
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::<Self>::always("nothing reachable is swept", |model, state| {
                properties::reachable_lives(model.scenario, state)
            }),
            Property::<Self>::always("counts are exact", |model, state| {
                properties::counts_are_exact(model.scenario, state)
            }),
            Property::<Self>::always("no entry outlives its object", |_, state| properties::entries_live(state)),
            Property::<Self>::always("what is unreachable goes within two cycles", |model, state| {
                properties::unreachable_is_gone(model.scenario, state)
            }),
            Property::<Self>::always("nothing is logged twice", |_, state| properties::logged_once(state)),
            Property::<Self>::always("nothing is finalized twice", |_, state| properties::finalized_once(state)),
            Property::<Self>::always("a writer is alone", |_, state| properties::writers_are_alone(state)),
        ];
        // What follows is how the design keeps what is above; a weakened rule has to break one of those.
        if self.weakened.is_empty() {
            properties.push(Property::<Self>::always("R1, R3: roots are known", |_, state| {
                properties::roots_are_known(state)
            }));
            properties
                .push(Property::<Self>::always("entries are known", |_, state| properties::entries_are_known(state)));
            properties.push(Property::<Self>::always("C1, C2: cells are in order", |model, state| {
                properties::cells_are_in_order(model.scenario, state)
            }));
        }
        properties
    }
}
