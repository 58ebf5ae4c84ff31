//! Random numbers, the same in every language of the contest (xorshift64*).

pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `bound`, which is below 2^32.
    #[inline]
    pub(crate) fn below(&mut self, bound: u64) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        ((high * bound) >> 32) as usize
    }

    /// The numbers below `length` in random order.
    pub(crate) fn permutation(&mut self, length: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..length as usize).collect();
        for index in (1..order.len()).rev() {
            let other = self.below(index as u64 + 1);
            order.swap(index, other);
        }
        order
    }
}
