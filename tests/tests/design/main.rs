//! The design, model-checked.

mod collector;
mod model;
mod mutator;
mod play;
mod properties;
mod rules;
mod scenario;
mod scenarios;
mod state;

use model::Design;
use rules::Rule;
use std::time::Instant;

#[test]
fn all() {
    for scenario in scenarios::ALL {
        let begun = Instant::now();
        let searched = Design::new(scenario, None).search(2);
        eprintln!("{}: {} states, depth {}, {:?}", scenario.name, searched.states, searched.depth, begun.elapsed());
        if let Some((name, path)) = searched.violation {
            panic!("{name}: {:#?}", path.into_actions());
        }
    }
}

#[test]
fn matrix() {
    let only = std::env::var("RULE").ok();
    for &rule in Rule::ALL {
        if only.as_ref().is_some_and(|only| *only != format!("{rule:?}")) {
            continue;
        }
        for scenario in scenarios::ALL {
            let begun = Instant::now();
            let searched = Design::new(scenario, Some(rule)).search(2);
            if let Some((name, path)) = searched.violation {
                eprintln!("{rule:?} {}: {name}, {} steps, {} states, {:?}", scenario.name, path.clone().into_actions().len(), searched.states, begun.elapsed());
                if only.is_some() {
                    for a in path.into_actions() { eprintln!("  {a:?}"); }
                }
            } else {
                eprintln!("- {rule:?} {}: {} {:?}", scenario.name, searched.states, begun.elapsed());
            }
        }
    }
}
