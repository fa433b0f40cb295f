//! A small mutator with a seed: the same seed gives the same inputs everywhere.

/// xorshift64*: enough to choose where to cut and what to put there.
pub struct Rng(u64);

impl Rng {
    /// Any seed will do.
    #[must_use]
    pub fn new(seed: u64) -> Rng {
        Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `n`; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        if n == 0 { 0 } else { (self.next() >> 16) as usize % n }
    }
}

/// Changes `data` in one to four places; `words` are pieces that the format likes, `other` is another input to splice in.
pub fn mutate(rng: &mut Rng, data: &mut Vec<u8>, words: &[&[u8]], other: &[u8]) {
    for _ in 0..=rng.below(4) {
        let at = rng.below(data.len() + 1);
        let len = rng.below(data.len() - at + 1);
        match rng.below(8) {
            0 if at < data.len() => data[at] ^= 1 << rng.below(8),
            1 if at < data.len() => data[at] = rng.next() as u8,
            2 => data.insert(at, rng.next() as u8),
            3 => drop(data.drain(at..at + len.min(8))),
            4 if !words.is_empty() => {
                let word = words[rng.below(words.len())];
                let until = if rng.below(2) == 0 { at } else { (at + word.len()).min(data.len()) };
                drop(data.splice(at..until, word.iter().copied()));
            }
            5 => {
                let piece = data[at..at + len.min(64)].to_vec();
                drop(data.splice(at..at, piece));
            }
            6 => {
                let from = rng.below(other.len());
                let piece = &other[from..other.len().min(from + 64)];
                drop(data.splice(at..at, piece.iter().copied()));
            }
            _ => data.truncate(at),
        }
        data.truncate(4096);
    }
}
