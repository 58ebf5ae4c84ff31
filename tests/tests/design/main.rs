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
    let mut bad = 0;
    for scenario in scenarios::ALL {
        let begun = Instant::now();
        let searched = Design::new(scenario, None).search(2);
        eprintln!("{}: {} states, depth {}, {:?}", scenario.name, searched.states, searched.depth, begun.elapsed());
        if let Some((name, path)) = searched.violation {
            bad += 1;
            eprintln!("  VIOLATED {name}: {:?}", path.last_state());
            for a in path.into_actions() { eprintln!("  {a:?}"); }
        }
    }
    assert_eq!(bad, 0);
}

#[test]
fn matrix() {
    let only = std::env::var("RULE").ok();
    for &rule in Rule::ALL {
        if only.as_ref().is_some_and(|only| *only != format!("{rule:?}")) {
            continue;
        }
        let mut missed = false;
        for scenario in scenarios::ALL {
            let begun = Instant::now();
            let searched = Design::new(scenario, Some(rule)).search(2);
            if let Some((name, path)) = searched.violation {
                missed = true;
                eprintln!("{rule:?} {}: {name}, {} steps, {} states, {:?}", scenario.name, path.clone().into_actions().len(), searched.states, begun.elapsed());
                if only.is_some() {
                    for a in path.into_actions() { eprintln!("  {a:?}"); }
                } else { break; }
            }
        }
        if !missed { eprintln!("NOBODY misses {rule:?}"); }
    }
}
