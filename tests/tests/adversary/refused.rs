//! Memory that the operating system refuses, whichever request it is, while every path that asks for some is in use. What is refused comes back whole, what exists
//! stays, and all is well afterwards.

use crate::{Node, check, check_all, node_with};
use graphgc::{Gc, GcCell, GcMutex, GcRwLock, Trace, collect, stats, testing};
use graphgc_tests::{
    payload::Leaf,
    process::{alone, is_child, run_test_alone},
    sound::{Prey, assert_sound, settle, while_collecting},
};
use std::thread;

#[derive(Trace)]
struct Large {
    leaf: Leaf,
    node: Gc<Node>,
    list: GcMutex<Vec<Gc<Node>>>,
    filler: [u64; 5000],
}

/// Roots in great number and size, as long as there is memory for them.
fn fill() -> Vec<Gc<[u64; 500]>> {
    (0..MOST).map_while(|number| Gc::try_new([number; 500]).ok()).collect()
}

const MOST: u64 = 6000;
/// Those that stay for the turns to come.
const BALLAST: usize = 2000;

/// Everything else that asks the system for memory: small objects of several classes, large ones, threads, long contents claimed, opened and dropped.
/// Returns how often a value came back.
fn work(prey: &Prey, kept: &mut Vec<Gc<Node>>) -> usize {
    let mut refused = 0;
    let mut small = |leaf: Leaf, edge: Option<Gc<Node>>| match Gc::try_new(Node {
        leaf,
        edge: GcCell::new(edge),
        list: GcRwLock::new(vec![]),
    }) {
        Ok(new) => Some(new),
        Err(error) => {
            let Node { leaf, edge, list } = error.into_inner();
            leaf.check();
            edge.into_inner().iter().for_each(check);
            assert!(list.into_inner().is_empty());
            refused += 1;
            None
        }
    };
    for _ in 0..1500 {
        let last = kept.last().cloned();
        kept.extend(small(prey.leaf(), last));
    }
    let many: Vec<_> = kept.iter().cycle().take(3000).cloned().collect();
    let large = Large { leaf: prey.leaf(), node: kept[0].clone(), list: many.into(), filler: [7; 5000] };
    match Gc::try_new(large) {
        Ok(large) => {
            collect();
            large.list.lock().truncate(2000);
            check_all(large.list.lock().iter().step_by(400));
        }
        Err(error) => {
            let value = error.into_inner();
            value.leaf.check();
            assert!(value.filler == [7; 5000]);
            check_all(value.list.into_inner().iter().step_by(400).chain([&value.node]));
            refused += 1;
        }
    }
    let shared = &kept[..];
    refused += thread::scope(|scope| {
        let threads = [0, 1].map(|_| {
            let prey = prey.clone();
            scope.spawn(move || {
                let own: Vec<_> =
                    (0..500).map(|_| Gc::try_new((GcCell::new(shared[0].clone()), prey.leaf()))).collect();
                own.iter().flatten().for_each(|object| check(&object.0.get()));
                shared[0].list.write().extend_from_slice(&shared[..shared.len().min(5)]);
                own.iter().filter(|it| it.is_err()).count()
            })
        });
        threads.map(|thread| thread.join().expect("a thread failed")).iter().sum::<usize>()
    });
    check(&kept[kept.len() / 2]);
    refused
}

/// Refuses as `refuse` says for each `n`, over a heap that keeps growing, since one that has been large asks the system for nothing. Returns in how many turns memory
/// was refused.
fn refuse_each(refuse: fn(u64), range: impl Iterator<Item = u64>) -> usize {
    let prey = Prey::default();
    let mut turns_refused = 0;
    let first = node_with(prey.leaf());
    let mut ballast = Vec::new();
    settle();
    for nth in range {
        let mut kept = vec![first.clone()];
        // Memory ends now before the work, now in the middle of it.
        let mut filled = Vec::new();
        refuse(nth);
        if nth % 2 == 0 {
            filled = fill();
        }
        let refused = work(&prey, &mut kept);
        if nth % 2 != 0 {
            filled = fill();
        }
        let told = refused > 0 || filled.len() < MOST as usize;
        turns_refused += usize::from(told || !testing::fault::is_to_come());
        testing::fault::allow();
        assert_eq!(testing::check_pages(), Vec::<String>::new(), "request {nth} refused");
        check_all(&kept);
        assert!(filled.iter().zip(0..).all(|(object, number)| **object == [number; 500]));
        // The same once more, with memory: nothing has been broken.
        kept.push(Gc::new(Node { leaf: prey.leaf(), edge: kept.last().cloned().into(), list: kept.clone().into() }));
        check(&kept[kept.len() - 1]);
        first.list.write().clear();
        filled.truncate(BALLAST);
        ballast.append(&mut filled);
    }
    drop((first, ballast));
    assert_sound();
    prey.check();
    assert_eq!(stats().live_objects, 0, "nothing is lost");
    turns_refused
}

fn on_a_large_stack(body: impl FnOnce() + Send + 'static) {
    thread::Builder::new().stack_size(16 << 20).spawn(body).unwrap().join().expect("ended well");
}

/// How often memory is asked for depends on the settings: with large pages, seldom.
const DEFAULTS: &[(&str, &str)] =
    &[("GRAPHGC_MIN_HEAP", "4M"), ("GRAPHGC_GROWTH", "100"), ("GRAPHGC_WORKERS", "1"), ("GRAPHGC_LARGE_PAGES", "0")];

/// Hopes that, of all requests, one is not checked.
#[test]
fn each_request_once() {
    alone("refused::each_request_once", DEFAULTS, || {
        on_a_large_stack(|| {
            let turns = refuse_each(testing::fault::refuse_nth, 1..=24);
            assert!(turns >= 20, "memory was hardly refused: {turns} times");
        });
    });
}

/// Hopes that it is one that comes while nothing else is to be had either.
#[test]
fn each_request_and_all_after_it() {
    alone(
        "refused::each_request_and_all_after_it",
        &[("GRAPHGC_MIN_HEAP", "64K"), ("GRAPHGC_LARGE_PAGES", "0")],
        || {
            on_a_large_stack(|| {
                let turns = refuse_each(testing::fault::refuse_from, 1..=24);
                assert!(turns >= 20, "memory was hardly refused: {turns} times");
            });
        },
    );
}

/// Says in a child which request is refused.
const NTH: &str = "REFUSED_NTH";

/// In such a child: everything, from the first request on. Says whether the one chosen has come.
fn work_in_a_young_process(refuse: fn(u64), nth: &str) {
    refuse(nth.parse().expect("a number"));
    let prey = Prey::default();
    let mut kept = vec![node_with(prey.leaf())];
    on_a_large_stack(move || {
        _ = work(&prey, &mut kept);
        check_all(&kept);
        println!("{}", if testing::fault::is_to_come() { "to come" } else { "refused" });
        testing::fault::allow();
        assert_eq!(testing::check_pages(), Vec::<String>::new());
        drop(kept);
        assert_sound();
        prey.check();
        assert_eq!(stats().live_objects, 0);
    });
}

/// Hopes that one of the requests that only a young process makes is not checked: each is refused in a process of its own, from the first of all to the
/// last that the work makes.
#[test]
fn each_request_of_a_young_process() {
    const TEST: &str = "refused::each_request_of_a_young_process";
    if let Ok(nth) = std::env::var(NTH) {
        return work_in_a_young_process(testing::fault::refuse_nth, &nth);
    }
    let mut refused = 0;
    for nth in 1u64.. {
        let output = run_test_alone(TEST, &[(NTH, &nth.to_string()), ("GRAPHGC_MIN_HEAP", "64K")]);
        let (said, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "request {nth} refused: {}\n{error}", output.status);
        if said.contains("to come") {
            break;
        }
        refused += 1;
    }
    assert!(refused >= 8, "only {refused} requests");
}

/// The same, and all requests after it: from the first on there is no memory for what the collector cannot do without, and the process may end as
/// it does when `Box::new` finds none; later ones must be survived.
#[test]
fn each_request_and_all_after_it_of_a_young_process() {
    const TEST: &str = "refused::each_request_and_all_after_it_of_a_young_process";
    if let Ok(nth) = std::env::var(NTH) {
        return work_in_a_young_process(testing::fault::refuse_from, &nth);
    }
    let mut survived = 0;
    for nth in 1..=24u64 {
        let output = run_test_alone(TEST, &[(NTH, &nth.to_string()), ("GRAPHGC_MIN_HEAP", "64K")]);
        let error = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            survived += 1;
        } else {
            let orderly = ["memory allocation of", "the OS refuses memory"].iter().any(|said| error.contains(said));
            assert!(orderly, "request {nth} refused: {}\n{error}", output.status);
        }
    }
    assert!(survived >= 8, "only {survived} processes went on");
}

/// Hopes that the collector itself cannot go on: cycles end while nothing is to be had and threads come and go.
#[test]
fn collections_without_memory() {
    alone("refused::collections_without_memory", &[("GRAPHGC_MIN_HEAP", "64K")], || {
        on_a_large_stack(|| {
            while_collecting(|| {
                refuse_each(testing::fault::refuse_from, (1..=24).step_by(3));
                refuse_each(testing::fault::refuse_nth, (1..=24).step_by(3));
            });
        });
    });
}

/// Hopes that `Gc::new` returns something when there is no memory at all: it collects, and else ends the process as `Box::new` does.
#[test]
fn new_without_memory() {
    if is_child() {
        let mut kept = vec![Gc::new([1u64; 100])];
        for nth in 1..20 {
            // Only one request fails: the collection, or the second attempt, helps.
            testing::fault::refuse_nth(nth);
            kept.extend((0..500).map(|number| Gc::new([number; 100])));
            assert!(kept.iter().all(|object| object[0] == object[99]));
        }
        settle();
        testing::fault::refuse_from(1);
        loop {
            kept.push(Gc::new([7; 100]));
        }
    }
    let output = run_test_alone("refused::new_without_memory", &[]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("memory allocation of 800 bytes failed"), "{error}");
}
