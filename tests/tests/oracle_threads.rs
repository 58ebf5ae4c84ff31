//! Random programs on two to eight threads that share one graph, against plain reachability. See [`graphgc_tests::program`].
//!
//! `GRAPHGC_SEED=7` runs another seed. `ORACLE_PROGRAM=file` runs the programs in the file, as a failure prints them.

use graphgc_tests::{
    program::shrink::{Raw, check},
    random::Random,
};

const OPERATIONS: usize = 20_000;
const SEEDS: [u64; 6] = [1, 2, 3, 4, 5, 6];

#[test]
fn random_programs_on_many_threads_lose_and_keep_what_reachability_says() {
    check("random_programs_on_many_threads_lose_and_keep_what_reachability_says", &SEEDS, |seed| {
        let mut random = Random::new(!seed);
        let mut threads = || 2 + random.below(7);
        // The last round has the whole graph to itself.
        Raw::threads(seed, &[threads(), threads(), threads(), 1], OPERATIONS)
    });
}
