//! Maglev's table, and the buckets of LVS.
//!
//! Holds: the same servers, seeds and weights give the same table, whatever their order; a table names only servers that were
//! usable when it was built.
//!
//! Source: Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, section 3.4.

use crate::hash::full;

/// The paper's smaller table: 655 entries for each of 100 servers.
pub const MAGLEV_SIZE: u32 = 65_537;

/// The largest table, 64 MiB of entries; the paper's larger one has 655,373.
pub const MAX_MAGLEV_SIZE: u32 = 16_777_213;

/// The smallest prime from `n` on, 7 at least and [`MAX_MAGLEV_SIZE`] at most.
pub(crate) fn prime(n: u32) -> u32 {
    let is_prime = |n: u32| (3..).step_by(2).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d));
    let from = n.clamp(7, MAX_MAGLEV_SIZE) | 1;
    (from..=MAX_MAGLEV_SIZE).step_by(2).find(|&n| is_prime(n)).unwrap_or(MAX_MAGLEV_SIZE)
}

/// One server that takes part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub(crate) id: u32,
    /// Above 0.
    pub(crate) weight: u32,
    pub(crate) seed: u32,
}

/// A table of `size` (a prime) entries. Servers take entries in rounds, each the next free one of its own permutation; one of half the
/// largest weight takes part in every second round.
pub(crate) fn build(parts: &mut [Part], size: u32) -> Box<[u32]> {
    const FREE: u32 = u32::MAX;
    let Some(most) = parts.iter().map(|p| p.weight).max() else { return Box::default() };
    // Among equals the seed decides who comes first, so that the order of the configuration does not matter.
    parts.sort_unstable_by_key(|p| (p.seed, p.id));
    struct Walk {
        next: u32,
        skip: u32,
        /// What its weight has come to since its last entry.
        credit: u32,
    }
    let walk = |p: &Part| Walk { next: full(p.seed) % size, skip: full(p.seed ^ 0x5bd1_e995) % (size - 1) + 1, credit: 0 };
    let mut walks: Vec<Walk> = parts.iter().map(walk).collect();
    let mut table = vec![FREE; size as usize].into_boxed_slice();
    let mut filled = 0;
    loop {
        for (part, walk) in parts.iter().zip(&mut walks) {
            // Takes part when its weight has come to another whole share of the largest.
            walk.credit += part.weight;
            if walk.credit < most {
                continue;
            }
            walk.credit -= most;
            while table[walk.next as usize] != FREE {
                let next = walk.next + walk.skip;
                walk.next = if next < size { next } else { next - size };
            }
            table[walk.next as usize] = part.id;
            filled += 1;
            if filled == size {
                return table;
            }
        }
    }
}

/// Buckets in LVS's tables, for its default of 8 bits.
const BUCKETS: usize = 256;

/// The bucket of a hash: the kernel's multiplicative hash, its upper 8 bits.
pub(crate) fn bucket(hash: u32) -> usize {
    (hash.wrapping_mul(0x61c8_8647) >> 24) as usize
}

/// Buckets dealt out to servers `(id, sixteenths of weight)` in their order: one each in turn, or as many as their weight.
pub(crate) fn deal(servers: &[(u32, u32)], weighted: bool) -> Box<[u32]> {
    let unit = u32::from(crate::Weight::SCALE);
    let share = |weight: u32| if weighted { weight.div_ceil(unit) as usize } else { 1 };
    if servers.is_empty() {
        return Box::default();
    }
    servers.iter().cycle().flat_map(|&(id, weight)| std::iter::repeat_n(id, share(weight))).take(BUCKETS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn parts(n: u32, weight: impl Fn(u32) -> u32) -> Vec<Part> {
        (0..n).map(|id| Part { id, weight: weight(id), seed: crate::seed::by_id(id + 1) }).collect()
    }

    #[test]
    fn primes() {
        assert_eq!([0, 8, 65_537, 65_538, u32::MAX].map(prime), [7, 11, 65_537, 65_539, MAX_MAGLEV_SIZE]);
    }

    #[test]
    fn shares_are_even_and_follow_weights() {
        let count = |table: &[u32]| {
            let mut count = BTreeMap::new();
            table.iter().for_each(|id| *count.entry(*id).or_insert(0u32) += 1);
            count
        };
        for (n, size) in [(1, 7), (10, 1_009), (100, 65_537), (1_000, 65_537)] {
            let shares = count(&build(&mut parts(n, |_| 16), size));
            let (least, most) = (shares.values().min().expect("some"), shares.values().max().expect("some"));
            assert_eq!(shares.len(), n as usize);
            assert!(most - least <= 1, "{n} of {size}: {least} to {most}");
        }
        let shares = count(&build(&mut parts(4, |id| 16 * (id + 1)), 65_537));
        for (id, share) in shares {
            assert!(share.abs_diff(65_537 * (id + 1) / 10) < 10, "{id} has {share}");
        }
    }

    #[test]
    fn order_does_not_matter() {
        let mut backwards = parts(50, |id| 16 + id);
        backwards.reverse();
        assert_eq!(build(&mut parts(50, |id| 16 + id), 2_003), build(&mut backwards, 2_003));
    }

    #[test]
    fn buckets_in_turn() {
        assert_eq!(deal(&[(3, 16), (5, 32)], false)[..4], [3, 5, 3, 5]);
        assert_eq!(deal(&[(3, 16), (5, 32)], true)[..6], [3, 5, 5, 3, 5, 5]);
        assert_eq!(deal(&[(3, 16)], true).len(), 256);
        assert!(deal(&[], true).is_empty());
    }
}
