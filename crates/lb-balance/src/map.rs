//! Tables with one entry per unit of weight: static round robin, map-based hashing, LVS's weighted round robin.
//!
//! Holds: the table names only servers that were usable when it was built; the same servers and weights in the same order
//! always give the same table, which is HAProxy's.

use crate::heap::Heap;

/// Fills a table for servers `(id, weight)` in the order of the configuration, all weights above 0.
///
/// The table is HAProxy's. Think of one turn per entry: in each turn a server of weight w gains w points; the one that takes
/// the turn pays T (the sum of weights). Points are compared in whole multiples of T only, and among equals the first in the
/// configuration takes the turn. Weights count in relation to each other: a common divisor is taken out first.
///
/// Since only whole multiples count, a server's standing rises at turns that can be foretold: so two heaps do the work in
/// O(T log n) instead of the O(T·n) of trying every server in every turn.
pub(crate) fn build(servers: &[(u32, u32)]) -> Box<[u32]> {
    let divisor = servers.iter().fold(0, |a, &(_, w)| gcd(a, w));
    if divisor == 0 {
        return Box::default();
    }
    if servers.iter().all(|s| s.1 == divisor) {
        return servers.iter().map(|s| s.0).collect();
    }
    let weight = |i: usize| u64::from(servers[i].1 / divisor);
    let total: u64 = (0..servers.len()).map(weight).sum();
    let mut table = Vec::with_capacity(total as usize);
    // Per server: `level` whole multiples of `total` (plus a constant that keeps it positive), and turns already taken.
    let mut level = vec![1u64; servers.len()];
    let mut taken = vec![0u64; servers.len()];
    let mut standing = Heap::new(servers.len());
    // The turn at which a server's level rises next.
    let mut rises = Heap::new(servers.len());
    // After turn t (from 1) a server that took k turns has t*w - k*total points. Its level is level + taken = floor(t*w / total) + 1.
    let rise_at = |i: usize, level: u64, taken: u64| u128::from(((level + taken) * total).div_ceil(weight(i)));
    for (i, level) in level.iter().enumerate() {
        standing.set(i as u32, level_key(*level, i));
        rises.set(i as u32, rise_at(i, *level, 0));
    }
    for turn in 1..=total {
        while let Some((_, i)) = rises.peek().filter(|&(at, _)| at <= u128::from(turn)) {
            let n = i as usize;
            level[n] += 1;
            standing.set(i, level_key(level[n], n));
            rises.set(i, rise_at(n, level[n], taken[n]));
        }
        let Some((_, i)) = standing.peek() else { break };
        let n = i as usize;
        table.push(servers[n].0);
        taken[n] += 1;
        level[n] -= 1;
        standing.set(i, level_key(level[n], n));
        // level + taken is unchanged, so is the turn of the next rise.
    }
    table.into_boxed_slice()
}

/// The highest level first, then the first in the configuration.
fn level_key(level: u64, place: usize) -> u128 {
    u128::from(u64::MAX - level) << 64 | place as u128
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// LVS's weighted round robin: rounds with a falling mark, in which every server takes one turn whose weight reaches it.
pub(crate) fn wrr(servers: &[(u32, u32)]) -> Box<[u32]> {
    let step = servers.iter().fold(0, |a, &(_, w)| gcd(a, w));
    let most = servers.iter().map(|s| s.1).max().unwrap_or(0);
    let marks = (1..=most / step.max(1)).rev().map(|n| n * step);
    marks.flat_map(|mark| servers.iter().filter(move |s| s.1 >= mark).map(|s| s.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rule word for word: every server in every turn.
    fn naive(servers: &[(u32, u32)]) -> Vec<u32> {
        let total: i64 = servers.iter().map(|s| i64::from(s.1)).sum();
        let mut points = vec![0i64; servers.len()];
        (0..total)
            .map(|_| {
                for (p, s) in points.iter_mut().zip(servers) {
                    *p += i64::from(s.1);
                }
                let best = (0..servers.len()).rev().max_by_key(|&i| (points[i] + total) / total).expect("not empty");
                points[best] -= total;
                servers[best].0
            })
            .collect()
    }

    #[test]
    fn heaps_give_what_the_rule_gives() {
        let mut state = 3u64;
        let mut next = |n: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % n
        };
        for _ in 0..300 {
            let limit = [2, 5, 40, 256][next(4) as usize];
            let servers: Vec<_> = (0..1 + next(12)).map(|id| (id as u32, 1 + next(limit) as u32)).collect();
            let divisor = servers.iter().fold(0, |a, &(_, w)| gcd(a, w));
            let reduced: Vec<_> = servers.iter().map(|&(id, w)| (id, w / divisor)).collect();
            assert_eq!(build(&servers).to_vec(), naive(&reduced), "{servers:?}");
        }
        assert!(build(&[]).is_empty());
    }

    #[test]
    fn weighted_round_robin_of_lvs() {
        // The example of ipvsadm(8) and of the LVS documentation.
        let order = wrr(&[(0, 64), (1, 48), (2, 32)]);
        assert_eq!(order.iter().map(|&id| char::from(b'A' + id as u8)).collect::<String>(), "AABABCABC");
        assert!(wrr(&[]).is_empty());
    }
}
