//! Tables with one entry per unit of weight: static round robin, map-based hashing, LVS's weighted round robin.
//!
//! Holds: the table names only servers that were usable when it was built; the same servers and weights in the same order
//! always give the same table, which is HAProxy's.

use crate::places::Places;

/// Fills a table for servers `(id, weight)` in the order of the configuration, all weights above 0.
///
/// The table is HAProxy's. Think of one turn per entry: in each turn a server of weight w gains w points; the one that takes
/// the turn pays T (the sum of weights). Points are compared in whole multiples of T only, and among equals the first in the
/// configuration takes the turn. Weights count in relation to each other: a common divisor is taken out first.
///
/// Since only whole multiples count, a server's standing rises at turns that can be foretold: each server waits in the list of that
/// turn, and those of equal standing are a set of places. That is O(T log n), with a logarithm to the base 64, instead of the O(T·n) of
/// trying every server in every turn.
pub(crate) fn build(servers: &[(u32, u32)]) -> Box<[u32]> {
    let divisor = servers.iter().fold(0, |a, &(_, w)| gcd(a, w));
    if divisor == 0 {
        return Box::default();
    }
    if servers.iter().all(|s| s.1 == divisor) {
        return servers.iter().map(|s| s.0).collect();
    }
    let mut turns = Turns::new(servers.iter().map(|s| u64::from(s.1 / divisor)).collect());
    (1..=turns.total).map_while(|turn| turns.take(turn)).map(|i| servers[i].0).collect()
}

/// No server.
const NONE: u32 = u32::MAX;

/// Who takes the next turn, in the making of a table.
struct Turns {
    weights: Box<[u64]>,
    total: u64,
    /// Per server: `level` whole multiples of `total` (plus one, that it is never negative), and turns already taken.
    level: Box<[usize]>,
    taken: Box<[u64]>,
    /// Per level: the servers that stand there.
    standing: Vec<Places>,
    /// Per turn: the first server whose level rises then, and per server the next one of that turn.
    rising: Box<[u32]>,
    after: Box<[u32]>,
}

impl Turns {
    fn new(weights: Box<[u64]>) -> Turns {
        let (n, total) = (weights.len(), weights.iter().sum::<u64>());
        let mut turns = Turns {
            weights,
            total,
            level: vec![0; n].into(),
            taken: vec![0; n].into(),
            standing: vec![Places::new(n)],
            rising: vec![NONE; total as usize + 1].into(),
            after: vec![NONE; n].into(),
        };
        (0..n).for_each(|i| turns.rise(i));
        turns
    }

    /// The server that takes a turn (from 1); all before have been taken.
    fn take(&mut self, turn: u64) -> Option<usize> {
        let mut next = std::mem::replace(&mut self.rising[turn as usize], NONE);
        while next != NONE {
            let i = next as usize;
            next = self.after[i];
            self.rise(i);
        }
        // Hardly ever more than three levels.
        let i = self.standing.iter().rev().find_map(Places::first)?;
        self.taken[i] += 1;
        // Level and taken together are what they were, so is the turn of the next rise.
        self.stand(i, self.level[i] - 1);
        Some(i)
    }

    fn rise(&mut self, i: usize) {
        self.stand(i, self.level[i] + 1);
        // After turn t a server that took k turns has t*w - k*total points. Its level is level + taken = floor(t*w / total) + 1.
        let turn = ((self.level[i] as u64 + self.taken[i]) * self.total).div_ceil(self.weights[i]);
        if let Some(first) = self.rising.get_mut(turn as usize) {
            self.after[i] = std::mem::replace(first, i as u32);
        }
    }

    fn stand(&mut self, i: usize, level: usize) {
        self.standing[self.level[i]].remove(i);
        self.level[i] = level;
        if self.standing.len() == level {
            self.standing.push(Places::new(self.weights.len()));
        }
        self.standing[level].insert(i);
    }
}

/// LVS's weighted round robin: rounds with a falling mark, in which every server takes one turn whose weight reaches it.
pub(crate) fn wrr(servers: &[(u32, u32)]) -> Box<[u32]> {
    let step = servers.iter().fold(0, |a, &(_, w)| gcd(a, w));
    let most = servers.iter().map(|s| s.1).max().unwrap_or(0);
    let marks = (1..=most / step.max(1)).rev().map(|n| n * step);
    marks.flat_map(|mark| servers.iter().filter(move |s| s.1 >= mark).map(|s| s.0)).collect()
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
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
    fn turns_give_what_the_rule_gives() {
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
