//! Random programs on two to eight threads that share one graph, against plain reachability. See [`graphgc_tests::program`].
//!
//! `GRAPHGC_SEED=7` runs another seed. `ORACLE_PROGRAM=file` runs the programs in the file, as a failure prints them;
//! `ORACLE_BYTES=file` runs and shrinks what the fuzzer has written.

use graphgc_tests::{
    program::{
        Case, Mode,
        content::{Change, Shape},
        op::{At, During, Guard, Kind, Many, Op, Via},
        shrink::{Raw, check, shrink},
    },
    random::Random,
};

const TEST: &str = "random_programs_on_many_threads_lose_and_keep_what_reachability_says";
const OPERATIONS: usize = 20_000;
const SEEDS: [u64; 6] = [1, 2, 3, 4, 5, 6];

#[test]
fn random_programs_on_many_threads_lose_and_keep_what_reachability_says() {
    check(TEST, &SEEDS, Mode::Threads, |seed| {
        let mut random = Random::new(!seed);
        let mut threads = || 2 + random.below(7);
        // The last round has the whole graph to itself.
        Raw::threads(seed, &[threads(), threads(), threads(), 1], OPERATIONS)
    });
}

#[test]
fn a_wrong_oracle_of_threads_is_shrunk_to_a_minimal_program() {
    let planted = [("ORACLE_PLANT", "forgets-holders")];
    let failure = shrink(TEST, Raw::threads(1, &[3, 2], 2000), &planted).expect("the fault is found");
    std::fs::remove_file(&failure.file).unwrap();
    let here = At(0, 0, 0, 0);
    let none = Many(0, here);
    // An object that holds itself untraced, or one behind a forgotten guard: neither can do with less. Two operations may be left in two rounds.
    let itself = vec![Op::New(Kind::User, Shape::List, Via::New, here, none), Op::Skipped(here, Change::Add, none)];
    let minimal = [itself, vec![Op::NewLeaked(Guard::Write)]];
    let operations: Vec<Op> = failure.case.rounds.iter().flatten().flatten().copied().collect();
    assert!(minimal.contains(&operations) && !failure.case.churn && !failure.case.loaded, "not minimal: {failure}");
}

/// The oracle once forgot what an object holds untraced when another of its cells was read during a collection.
#[test]
fn an_object_that_holds_itself_untraced_stays_though_it_is_read() {
    let here = At(0, 0, 0, 0);
    let program = vec![
        Op::New(Kind::User, Shape::List, Via::New, here, Many(0, here)),
        Op::Skipped(here, Change::Add, Many(1, here)),
        Op::Look(here, 1, During::CollectBefore),
    ];
    let case = Case { mode: Mode::Threads, churn: false, loaded: false, workers: 1, rounds: vec![vec![program]] };
    case.configure();
    case.run();
}
