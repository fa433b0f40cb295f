//! A set of places that knows its first one.
//!
//! Holds: each level has one bit for each word of the level below that is not zero. All operations are O(log n) to the base 64, and
//! nothing allocates after [`Places::new`].

/// A subset of `0..n`.
#[derive(Debug)]
pub(crate) struct Places {
    /// The lowest level first; the highest is one word.
    levels: Vec<Box<[u64]>>,
}

impl Places {
    pub(crate) fn new(n: usize) -> Self {
        let mut levels = vec![vec![0; n.div_ceil(64).max(1)].into_boxed_slice()];
        while let Some(below) = levels.last().map(|level| level.len()).filter(|&below| below > 1) {
            levels.push(vec![0; below.div_ceil(64)].into_boxed_slice());
        }
        Places { levels }
    }

    pub(crate) fn insert(&mut self, mut at: usize) {
        for level in &mut self.levels {
            level[at / 64] |= 1 << (at % 64);
            at /= 64;
        }
    }

    pub(crate) fn remove(&mut self, mut at: usize) {
        for level in &mut self.levels {
            level[at / 64] &= !(1 << (at % 64));
            if level[at / 64] != 0 {
                return;
            }
            at /= 64;
        }
    }

    pub(crate) fn first(&self) -> Option<usize> {
        let (top, below) = self.levels.split_last()?;
        if top[0] == 0 {
            return None;
        }
        let first = top[0].trailing_zeros() as usize;
        Some(below.iter().rev().fold(first, |at, level| at * 64 + level[at].trailing_zeros() as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn behaves_as_an_ordered_set() {
        let mut state = 11u64;
        let mut next = move |n: usize| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize % n
        };
        for n in [1, 63, 64, 65, 4_096, 5_000] {
            let (mut places, mut model) = (Places::new(n), BTreeSet::new());
            for _ in 0..3_000 {
                let at = next(n);
                if next(2) == 0 {
                    places.insert(at);
                    model.insert(at);
                } else {
                    places.remove(at);
                    model.remove(&at);
                }
                assert_eq!(places.first(), model.first().copied());
            }
        }
    }
}
