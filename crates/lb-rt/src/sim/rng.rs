//! The simulator's source of chance: one stream of numbers per seed.

/// SplitMix64 (Steele, Lea, Flood 2014): small, and every seed gives another stream.
pub(crate) struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    /// A number of `0..n`; 0 when `n` is.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next().checked_rem(n).unwrap_or(0)
    }

    /// A number of `low..=high`.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// A size of `low..=high` whose magnitude is even: small ones are as likely as large ones.
    pub fn size(&mut self, low: usize, high: usize) -> usize {
        let (a, b) = (low.max(1).ilog2(), high.max(1).ilog2() + 1);
        let bits = self.range(u64::from(a), u64::from(b)) as u32;
        let most = 1usize.checked_shl(bits).map_or(usize::MAX, |m| m);
        (self.below(most as u64) as usize).clamp(low, high)
    }

    /// True in `permille` of 1000 cases.
    pub fn chance(&mut self, permille: u32) -> bool {
        self.below(1000) < u64::from(permille)
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }
}
