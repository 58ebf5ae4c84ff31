//! Loom models of the protocol types: the very source that the heap embeds, compiled with loom's atomics and locks.
//!
//! Run with `RUSTFLAGS="--cfg graphgc_loom" cargo test -p graphgc --lib --release`. Each model states its property in a sentence and names
//! the smallest interleaving that would break it. It runs as the code is, and then once with each of its *mutations*, one weakened line
//! of the code (`sync::mutation`), with which it must fail: no model passes because it looks at nothing.

mod cell_lock;
mod edge;
mod gate;
mod handles;
mod root_word;
mod tiny_heap;

use crate::sync::mutation::{self, Mutation};
use std::{
    cell::Cell,
    env,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Instant,
};

/// Names the mutation that a child process runs its model with, and which of the test's models that is.
const CHILD: &str = "GRAPHGC_MUTATION";

/// Explores all schedules of `body` with at most `preemptions` preemptions: none may fail as the code is, and one must fail
/// with each of `mutations`.
///
/// What must fail runs in a process of its own, since it may end it: a deadlock found by loom panics wherever a thread waits, and what it
/// unwinds through panics again.
fn verify(preemptions: usize, mutations: &[Mutation], body: impl Fn() + Send + Sync + 'static) {
    thread_local!(static MODELS_BEFORE: Cell<usize> = const { Cell::new(0) });
    let number = MODELS_BEFORE.replace(MODELS_BEFORE.get() + 1);
    let child = |mutation: &Mutation| format!("{mutation:?} {number}");
    let Ok(chosen) = env::var(CHILD) else {
        check(preemptions, body);
        mutations.iter().for_each(|mutation| must_fail(*mutation, &child(mutation)));
        return;
    };
    if let Some(mutation) = mutations.iter().find(|mutation| child(mutation) == chosen) {
        mutation::with(*mutation, || check(preemptions, body));
    }
}

fn check(preemptions: usize, body: impl Fn() + Send + Sync + 'static) {
    let begun = Instant::now();
    let executions = Arc::new(AtomicUsize::new(0));
    let count = executions.clone();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(move || {
        count.fetch_add(1, Relaxed);
        tiny_heap::fresh();
        body();
    });
    println!("{}: {executions:?} executions in {:?}", test(), begun.elapsed());
}

/// Runs the current test again in a child process, which `choice` tells what to run.
fn must_fail(mutation: Mutation, choice: &str) {
    let test = test();
    let output = Command::new(env::current_exe().unwrap())
        .args([&test, "--exact", "--nocapture"])
        .env(CHILD, choice)
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "the model does not notice {mutation:?}");
    let mut lines = message.lines().skip_while(|line| !line.contains("panicked at"));
    println!("{test} with {mutation:?}: {}", lines.nth(1).expect("it failed by a panic"));
}

/// The name of the test that this thread runs.
fn test() -> String {
    thread::current().name().expect("a test's thread has its name").to_owned()
}

/// Every line that can be weakened is weakened by some model.
#[test]
fn every_mutation_has_a_model() {
    let sources = [
        include_str!("cell_lock.rs"),
        include_str!("edge.rs"),
        include_str!("gate.rs"),
        include_str!("handles.rs"),
        include_str!("root_word.rs"),
    ]
    .concat();
    for mutation in Mutation::ALL {
        let name = format!("Mutation::{mutation:?}");
        assert!(
            sources.match_indices(&name).any(|(at, _)| !continues(&sources[at + name.len()..])),
            "no model for {name}"
        );
    }
}

fn continues(rest: &str) -> bool {
    rest.starts_with(|next: char| next.is_alphanumeric())
}

/// A header on the real heap of the process, to be counted and pointed at by a model.
fn object(count: u32) -> crate::heap::header::Object {
    use crate::heap::header::{Header, Object, RootWord};
    let header = Box::new(Header { roots: RootWord::new(count), code: 0 });
    Object::new(std::ptr::NonNull::from(Box::leak(header)))
}

/// Ends the life of a model's object.
fn free(object: crate::heap::header::Object) {
    // SAFETY: `object` leaked this box, and the model's threads have been joined.
    drop(unsafe { Box::from_raw(object.as_ptr()) });
}
