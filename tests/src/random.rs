//! Random numbers that can be had again, and the seeds of a run.

/// A small generator: the same seed gives the same numbers everywhere.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A generator for this seed.
    pub fn new(seed: u64) -> Self {
        Random { state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5851_F42D_4C95_7F2D }
    }

    /// As [`new`](Self::new), for threads whose numbers may be different in each run: they are if `GRAPHGC_SEED` is.
    ///
    /// # Panics
    /// If that holds no number.
    pub fn of_run(number: u64) -> Self {
        let [run] = seeds(&[0])[..] else { unreachable!("one seed, or the one given") };
        Random::new(number ^ run.rotate_left(32))
    }

    /// The next number.
    pub fn next_number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next_number() % end as u64) as usize
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// The seed in the variable `GRAPHGC_SEED`, or the given ones.
///
/// # Panics
/// If the variable holds no number.
pub fn seeds(default: &[u64]) -> Vec<u64> {
    match std::env::var("GRAPHGC_SEED") {
        Ok(seed) => vec![seed.trim().parse().expect("GRAPHGC_SEED is not a number")],
        Err(_) => default.to_vec(),
    }
}
