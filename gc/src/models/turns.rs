//! What the models rest on: loom tries every order of accesses.

use super::{Orders, check};
use crate::sync::{AtomicUsize, Ordering};
use loom::{sync::Arc, thread};
use std::{collections::BTreeSet, sync::Mutex};

/// What the loads of three threads saw.
type Outcome = [usize; 3];

/// One thread loads, two load and store.
fn outcomes(orders: Orders) -> BTreeSet<Outcome> {
    let seen: &'static Mutex<BTreeSet<Outcome>> = Box::leak(Box::default());
    check(3, orders, || {
        let word = Arc::new(AtomicUsize::new(0));
        let storing = [1, 2].map(|value| {
            let word = word.clone();
            thread::spawn(move || {
                let before = word.load(Ordering::SeqCst);
                word.store(value, Ordering::SeqCst);
                before
            })
        });
        let looked = word.load(Ordering::SeqCst);
        let [one, two] = storing.map(|thread| thread.join().unwrap());
        seen.lock().unwrap().insert([looked, one, two]);
    });
    seen.lock().unwrap().clone()
}

/// The outcomes of all interleavings, by trying them.
fn interleavings() -> BTreeSet<Outcome> {
    let mut outcomes = BTreeSet::new();
    // Steps: 0 loads; 1 loads and 2 stores, 3 loads and 4 stores, in this order.
    for orders in 0..5usize.pow(5) {
        let steps = [0, 1, 2, 3, 4].map(|place| orders / 5usize.pow(place) % 5);
        let places = [0, 1, 2, 3, 4].map(|step| steps.iter().position(|it| *it == step));
        if places.contains(&None) || places[1] > places[2] || places[3] > places[4] {
            continue;
        }
        let (mut word, mut outcome) = (0, [0; 3]);
        for step in steps {
            match step {
                0 => outcome[0] = word,
                1 => outcome[1] = word,
                2 => word = 1,
                3 => outcome[2] = word,
                _ => word = 2,
            }
        }
        outcomes.insert(outcome);
    }
    outcomes
}

#[test]
fn every_order_of_loads_and_stores_is_tried() {
    let (tried, possible) = (outcomes(Orders::All), interleavings());
    assert!(possible.is_subset(&tried), "never tried: {:?}", possible.difference(&tried));
}

/// If loom comes to try them by itself, `sync::turns` can go.
#[test]
fn loom_by_itself_leaves_some_out() {
    assert!(!interleavings().is_subset(&outcomes(Orders::OfLoom)));
}
