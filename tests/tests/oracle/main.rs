//! Random programs on one thread against plain reachability, and what happens to those that fail. See
//! [`graphgc_tests::program`].
//!
//! `GRAPHGC_SEED=7` runs another seed. `ORACLE_PROGRAM=file` runs the program in the file, as a failure prints it; `ORACLE_BYTES=file` runs
//! and shrinks what the fuzzer has written.

use graphgc_tests::program::{
    Mode,
    shrink::{Raw, check},
};

mod shrinking;

const TEST: &str = "random_programs_lose_and_keep_what_reachability_says";
const OPERATIONS: usize = 150_000;
const SEEDS: [u64; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

#[test]
fn random_programs_lose_and_keep_what_reachability_says() {
    check(TEST, &SEEDS, Mode::Single, |seed| Raw::single(seed, OPERATIONS));
}
