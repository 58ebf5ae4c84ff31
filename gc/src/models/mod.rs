//! Loom models of the collector: the very source that the heap embeds, compiled with loom's atomics and locks.
//!
//! Run with `RUSTFLAGS="--cfg graphgc_loom" cargo test -p graphgc --lib --release`. Each model states its property in a sentence and names
//! the smallest interleaving that would break it. It runs as the code is, and then once with each of its *mutations*, one weakened line
//! of the code (`sync::mutation`), with which it must fail: no model passes because it looks at nothing.
//!
//! The models of single words (`gate`, `root_word`, `edge`, `cell_lock`) use the protocol types alone; what is around them in the models is what
//! their callers do. The others run handles, cells, threads and whole cycles on a heap of a few pages (`tiny_heap`); there the models' only part is
//! the scenario. `crossbeam-epoch` is replaced by the smallest epoch with its contract (`sync::epoch`).
//!
//! | obligation | models | mutations |
//! | --- | --- | --- |
//! | L1 stop gate vs. operations | `gate` | `EnterWithoutBarrier`, `LeaveIsRelaxed`, `OpenWithoutLock`, `UpdateWithoutSecondLook` |
//! | L2 logging what is counted vs. filtering vs. S1 | `root_word`; `handles::cloned_out_of_a_dying_object`; `newborn` | `ScanClearsBlindly`, `UpLooksFirst`, `FilterWithoutRetry`, `FilterWithoutCompare`, `EntryOnlyFromZero`, `FilterIsRelaxed`, `DownIsRelaxed`, `NegativeIsRelaxed`; `RootWithoutShade`; `EndedWithoutEntry`, `ShareForgotten`, `CountedEdgeStaysUnshared`, `content::read_beside_a_claim` with `ClaimSharesLate`, `ClaimedStaysUnshared`, `NewbornIsRelaxed`, `SetClaimsLate`, `RoundGoesOn`, `BoughtInAnyRound`, `VacantWithoutEntry`, `RoundOutlivesEntries` |
//! | L2, L9 deferred counts vs. S1 and other threads | `deferred` | `NotesStay`, `NoteCountedWithoutEntry`, `NoteWithoutShade`, `SettleForgets`, `NoteForgetsDue`, `NoteEndIsRelaxed`, `ClaimEndsCountedNote`, `EntryOnlyFromZero` |
//! | L3 `GcCell` vs. marker vs. S1, S2 | `edge`; `handles` | `ExchangeInTwoSteps`, `ReleaseCountsAfter`, `PlainStoreOfRevocable`, `RevocableClaimToldLate`, `content::given_up_beside_a_store` with `RevocableClaimIsUntold`; `TakeWithoutBarrier`, `GetReadsOutside`, `ClaimWithoutShade`, `AllocateWhite`, `EndWithoutBuffers` |
//! | L4 release vs. claim vs. give-up, with a reader | `cell_lock`; `content` | `MarkerEntersWriteHeld`, `FlagAfterLeaving`, `AwaitWithoutLook`, `FinishWithMarkerInside`, `EndReadIsRelaxed`, `WakeBeforeUnlock`; `EntryOnlyFromZero` |
//! | L4, release in slices vs. S2 | `slices` | `EndWhileReleasing` |
//! | L4, those who wait: downgrading, deadlines, conditions, cells written once | `waiting` | `DowngradeInTwoSteps`, `DowngradeIsRelaxed`, `DowngradeWakesNobody`, `TimedOutWriterStaysQueued`, `WaitUnlocksFirst`, `RelockCountsNothing`, `MarkerEntersWriteHeld` |
//! | L3, L4 for collections | `collections` | `MarkerSkipsOperation`, `EdgeOutWithoutShade`, `EdgeOverwrittenWithoutShade`, `EdgeSwapWithoutShade`, `InsertForgetsProgress`, `RebuildWithoutShade`, `LookIsRelaxed` |
//! | L5 sweep vs. allocation from the same span | `allocation::{allocation_beside_a_cycle, a_mutators_sweep_beside_the_next_cycle}` | `UpdateKeepsCache`, `RefillFromUnswept`, `SweepWithoutWaiting`, `SweepCountedLate` |
//! | L6 upgrade vs. S2, clearing pass, slot reuse | `weak` | `UpgradeIgnoresMarks`, `UpgradeReadsOutside`, `ClearWithoutHandshake`, `PinnedUpgradeWithoutShade`, `LinksAreNotKept`, `InsertWithoutLook` |
//! | ephemerons: marking vs. waiting, reading vs. S2 and the sweep | `ephemerons` | `WaitWithoutLook`, `EphemeronIgnoresMarks`, `ClearWithoutHandshake` |
//! | L7 pins vs. R, S2, reclamation | `pins` | `PinsHeldAtS1`, `EndWithoutPins`, `TakeWithoutBarrier`, `SetWithoutShade`, `PinnedChangeForgetsOld`, `PinnedStoreForgetsNew` |
//! | L8 cache refill and return | `allocation::{allocation_beside_a_cycle, a_span_goes_from_cache_to_cache, vacant_beside_a_cycle}` | `TailStaysMarked`, `GiveBeforeTail`, `VacantAfterTheRound` |
//! | L9 thread exit vs. S1; threads without a record | `threads` | `StopLooksFirst`, `ExitWithoutOperation`, `UpdateNobody`, `GiveBackEarly` |
//! | the dropper vs. the next sweep | `dropper` | `FinishLooksFirst` |
//! | finalizers vs. sweep, allocation and the next cycle | `finalizers` | `SweepEarly`, `PublishBeforeMarking`, `KeepTheFinalizableAlone`, `QueueWithoutEntry` |
//!
//! What loom does not see: schedules with more preemptions than the bound that each model gives `verify` (one to three); a look at a word that comes after another thread's change of
//! it, if that thread looked before it changed (the models of single words have all such orders tried, by `verify_all_orders`, for which those with whole cycles are too long; `content` makes one visible
//! by itself); and plain memory, but where a model or a record watches it.

mod allocation;
mod cell_lock;
mod collections;
mod content;
mod deferred;
mod dropper;
mod edge;
mod ephemerons;
mod finalizers;
mod gate;
mod handles;
mod newborn;
mod pins;
mod root_word;
mod slices;
mod threads;
mod tiny_heap;
mod turns;
mod waiting;
mod weak;

use crate::sync::{
    mutation::{self, Mutation},
    turns::with_turns,
};
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
    verify_orders(preemptions, Orders::OfLoom, mutations, body);
}

/// As [`verify`], with every order of accesses to one atomic.
fn verify_all_orders(preemptions: usize, mutations: &[Mutation], body: impl Fn() + Send + Sync + 'static) {
    verify_orders(preemptions, Orders::All, mutations, body);
}

/// Which orders of accesses to one atomic are tried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Orders {
    /// Those that loom finds by itself: loads hide behind later stores of their threads.
    OfLoom,
    /// All. Takes longer.
    All,
}

fn verify_orders(preemptions: usize, orders: Orders, mutations: &[Mutation], body: impl Fn() + Send + Sync + 'static) {
    thread_local!(static MODELS_BEFORE: Cell<usize> = const { Cell::new(0) });
    let number = MODELS_BEFORE.replace(MODELS_BEFORE.get() + 1);
    let child = |mutation: &Mutation| format!("{mutation:?} {number}");
    let Ok(chosen) = env::var(CHILD) else {
        check(preemptions, orders, body);
        mutations.iter().for_each(|mutation| must_fail(*mutation, &child(mutation)));
        return;
    };
    if let Some(mutation) = mutations.iter().find(|mutation| child(mutation) == chosen) {
        mutation::with(*mutation, || check(preemptions, orders, body));
    }
}

fn check(preemptions: usize, orders: Orders, body: impl Fn() + Send + Sync + 'static) {
    let begun = Instant::now();
    let executions = Arc::new(AtomicUsize::new(0));
    let count = executions.clone();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 100_000;
    with_turns(orders == Orders::All, || {
        builder.check(move || {
            count.fetch_add(1, Relaxed);
            tiny_heap::fresh();
            body();
        });
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

/// The files with models.
const SOURCES: [&str; 18] = [
    include_str!("allocation.rs"),
    include_str!("cell_lock.rs"),
    include_str!("collections.rs"),
    include_str!("content.rs"),
    include_str!("deferred.rs"),
    include_str!("dropper.rs"),
    include_str!("edge.rs"),
    include_str!("ephemerons.rs"),
    include_str!("finalizers.rs"),
    include_str!("gate.rs"),
    include_str!("handles.rs"),
    include_str!("newborn.rs"),
    include_str!("pins.rs"),
    include_str!("root_word.rs"),
    include_str!("slices.rs"),
    include_str!("threads.rs"),
    include_str!("waiting.rs"),
    include_str!("weak.rs"),
];

/// Every line that can be weakened is weakened by some model.
#[test]
fn every_mutation_has_a_model() {
    let sources = SOURCES.concat();
    for mutation in Mutation::ALL {
        let name = format!("Mutation::{mutation:?}");
        assert!(
            sources.match_indices(&name).any(|(at, _)| !continues(&sources[at + name.len()..])),
            "no model for {name}"
        );
    }
}

/// No model is without a mutation, but for one that no single line breaks, or without the words for what would break it.
#[test]
fn every_model_says_what_breaks_it() {
    for source in SOURCES {
        let parts: Vec<_> = source.split("#[test]\n").collect();
        for pair in parts.windows(2) {
            let name = pair[1].lines().next().unwrap_or_default();
            let words = pair[0].lines().rev().take_while(|line| line.starts_with("///"));
            assert!(words.into_iter().any(|line| line.contains("Breaks")), "nothing is said to break {name}");
            let unbreakable =
                ["fn shared_with_a_thread() {", "fn set_beside_a_cycle() {", "fn plain_stores_beside_take() {"];
            let has_mutation = !pair[1].contains("&[]") || unbreakable.contains(&name);
            assert!(has_mutation, "nothing breaks {name}");
        }
    }
}

fn continues(rest: &str) -> bool {
    rest.starts_with(|next: char| next.is_alphanumeric())
}

/// A header on the real heap of the process, to be counted and pointed at by a model. If it has a count its word says that there is an entry.
fn object(count: u32) -> crate::heap::header::Object {
    use crate::heap::header::{Header, Object, RootWord};
    let header = Box::new(Header { roots: RootWord::new(), code: 0 });
    (0..count).for_each(|_| _ = header.roots.up());
    Object::new(std::ptr::NonNull::from(Box::leak(header)))
}

/// The root count of a model's object.
fn count(object: crate::heap::header::Object) -> i32 {
    // SAFETY: the model frees its objects at its end.
    unsafe { object.roots() }.look().count
}

/// Ends the life of a model's object.
fn free(object: crate::heap::header::Object) {
    // SAFETY: `object` leaked this box, and the model's threads have been joined.
    drop(unsafe { Box::from_raw(object.as_ptr()) });
}
