//! The design, model-checked above the reach of loom.
//!
//! Sections 4 to 9 of the design are played as rules, not as code: a handful of objects with plain fields, `GcCell`s and lock-type
//! cells, two mutators with handles, guards, pins and weak handles, ephemerons, finalizers, one marker, and a few cycles. An explicit-state checker goes through every order of
//! their steps, so that what it does not find within the bounds of a scenario is not there. Loom checks the code of one
//! small type in one short encounter, with its memory orderings; this checks that the types together do what the design promises, from S1 to the
//! sweep of the next cycle but one, as if memory were sequentially consistent.
//!
//! # What must hold in every state
//!
//! - Nothing reachable is ever swept: what a thread's handle, `Local` or guard, or a static, leads to is alive, nothing freed is touched, and no
//!   weak handle to something reachable is lost.
//! - Root counts are exact. What that means in the middle of things is said at [`properties::counted_handles`].
//! - No entry of a buffer, the log or the list taken at S1 outlives its object, and the log has one entry per object.
//! - Who has a cell open for writing is alone in it.
//! - With mutators quiet for two whole cycles everything unreachable is gone (one cycle more for each link through a skipped field).
//! - With all rules kept also R1, R3, C1 and C2, and what objects say of their entries is so.
//!
//! # What is there
//!
//! | file | holds |
//! | --- | --- |
//! | `rules` | a name for every rule, what it is when weakened, and which scenario misses it |
//! | `state` | objects, threads, lists, phases |
//! | `play`, `mutator`, `births`, `edges`, `collector`, `ending` | the rules: what each step does and when it may be taken |
//! | `properties` | the above |
//! | `scenario`, `scenarios` | what is in the heap, which actions each thread may take and how many |
//! | `model` | the searches |
//!
//! # What is left out, or simpler than it is
//!
//! An operation is one step unless another thread or the marker could see it half done (a pinned store into a counted cell, an
//! upgrade, winning a lock); S1 and S2 wait for operations. The marker claims one handle or one `GcCell` in one step, and so is filtering or scanning one
//! entry; tracing an object is several. Lists are sets: duplicates in one buffer are filtered one by one in the code, and
//! the last one that is left decides. Handing over all objects whose finalizers are due is one step, and the finalizer thread is one of the mutators. The end of a newborn's only handle is one step of its owner. No slot is used twice, since a reference to a freed one is the violation already; but places of notes may know slots from before. Content of a lock-type
//! cell is two handles, or one and a nested cell; a 'slice' is one of them. There is one marker, which may begin to trace before R as assists may. A collection of
//! edges lies directly in an object, so it is never counted. Not played: the caches of spans (a slot is a span), memory orderings (loom's part).
//!
//! Where the design leaves a choice, the model does what the crate does: the scan takes the log before the candidates and leaves to the log
//! what it speaks for; content that was counted back is not traced again in the same cycle, for it is rooted; large content
//! is given up at any handle, as long as somebody is there to wait for the cell; what `set` gets out of a counted cell is dropped after the operation.
//!
//! # How to change a rule of the design
//!
//! Here first. Change what `play`, `mutator`, `births`, `edges`, `collector` or `ending` do and run `cargo test -p graphgc-tests --test design`: a violation comes
//! with its steps. A new rule gets a name in `rules`, a weakened form where it is played, and a scenario that misses it. If no scenario
//! does, either there should be one or the rule is not needed: `REDUNDANT` is the place to say why.
//!
//! # Larger bounds
//!
//! ```text
//! GRAPHGC_DESIGN_ACTIONS=1 GRAPHGC_DESIGN_CYCLES=1 GRAPHGC_DESIGN_ONLY=GcCell \
//!     cargo test --release -p graphgc-tests --test design every_scenario -- --nocapture
//! ```
//!
//! gives every thread that acts so many more actions and the collector so many more cycles, in the scenarios whose name contains
//! the text. Some hundred bytes of memory go for every state that waits for its turn.

mod births;
mod collector;
mod edges;
mod ending;
mod model;
mod mutator;
mod play;
mod properties;
mod rules;
mod scenario;
mod scenarios;
mod state;

use model::{Design, Step};
use rules::{MISSED, REDUNDANT, Rule};
use scenarios::{ALL, TRAP};
use state::Pc;
use std::{env, num::NonZero, slice, thread::available_parallelism, time::Instant};

fn more(variable: &str) -> u8 {
    env::var(variable).map_or(0, |number| number.parse().expect("a small number"))
}

/// The design does what it promises, in every state that the scenarios can get into.
#[test]
fn every_scenario_keeps_its_promises() {
    let only = env::var("GRAPHGC_DESIGN_ONLY").unwrap_or_default();
    let threads = available_parallelism().map_or(1, NonZero::get);
    for scenario in ALL.iter().filter(|scenario| scenario.name.contains(&only)) {
        let begun = Instant::now();
        let design = Design {
            more_budget: more("GRAPHGC_DESIGN_ACTIONS"),
            more_cycles: more("GRAPHGC_DESIGN_CYCLES"),
            ..Design::new(scenario, &[])
        };
        let searched = design.search(threads);
        println!("{}: {} states in {:.1?}", scenario.name, searched.states, begun.elapsed());
        if let Some(violation) = searched.violation {
            panic!("{}: {violation}", scenario.name);
        }
    }
}

/// Each rule is needed: without it a property fails in the scenario that [`MISSED`] names.
#[test]
fn every_rule_is_missed() {
    for (rule, scenario) in MISSED {
        let begun = Instant::now();
        let searched = Design::new(scenario, slice::from_ref(rule)).search(1);
        let Some(violation) = searched.violation else {
            panic!("nobody misses {rule:?} in {:?}", scenario.name);
        };
        let (steps, time) = (violation.steps.len(), begun.elapsed());
        println!("{rule:?} | {} | {} | {steps} | {} | {time:.1?}", scenario.name, violation.property, searched.states);
    }
}

/// The rules said to be redundant are so still, where they would be missed first; and every rule is in one of the two lists.
#[test]
fn redundant_rules_stay_so() {
    for (rule, scenarios) in REDUNDANT {
        for scenario in *scenarios {
            if let Some(violation) = Design::new(scenario, slice::from_ref(rule)).search(1).violation {
                panic!("{rule:?} is missed in {:?}: {violation}", scenario.name);
            }
        }
    }
    for &rule in Rule::ALL {
        let missed = MISSED.iter().filter(|(other, _)| *other == rule).count();
        let redundant = REDUNDANT.iter().filter(|(other, _)| *other == rule).count();
        assert_eq!(missed + redundant, 1, "{rule:?}");
    }
}

/// The known trap of obligation L4: a clone counts in one step and logs in another, so a marker that gives counted content up and logs only what was at 0 when
/// it counts back loses an object.
///
/// A reader has counted its clone where there was no entry, and will take that back, so the marker's count is the second and nobody has logged. In the next cycle the
/// marker gives the content up once more, before it gets to the object: it is rooted, as far as the marker knows, but in no list.
#[test]
fn count_back_without_logging_loses_an_object() {
    let trap = Design::new(&TRAP, &[Rule::CountBackLogs]).shortest_violation().expect("the trap is there");
    println!("{trap}");
    let in_window = |step: &Step| matches!(step, Step::GoesOn(_, Pc::Cloning(2)));
    let stop = Step::Collector(collector::Turn::S2);
    let stops = trap.steps.iter().filter(|&&step| step == stop).count();
    assert_eq!(stops, 2, "it takes two cycles");
    let before_the_second = trap.steps.iter().rposition(|&step| step == stop).expect("there are two");
    assert!(!trap.steps[..before_the_second].iter().any(in_window), "the reader is in its clone window all the time");
}
