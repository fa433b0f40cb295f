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
    let weights = || servers.iter().map(|s| s.1 / divisor);
    let total: u32 = weights().sum();
    let mut turns = Turns::new(weights(), total);
    (1..=total as usize).map_while(|turn| turns.take(turn)).map(|i| servers[i].0).collect()
}

/// No server.
const NONE: u32 = u32::MAX;

/// Who takes the next turn, in the making of a table.
struct Turns {
    parts: Box<[Part]>,
    /// Per level: the servers that stand there.
    standing: Vec<Places>,
    /// Per turn: the first server whose level rises then.
    rising: Box<[u32]>,
}

/// A server in the making of a table; all that a turn needs of it stands together.
#[derive(Clone, Copy)]
struct Part {
    weight: u32,
    /// Whole multiples of the total (plus one, that it is never negative).
    level: u32,
    /// The next server whose level rises at the same turn.
    after: u32,
    /// `total / weight` and what that leaves: from one rise to the next.
    step: u32,
    step_rest: u32,
    /// The turn of the last rise, rounded down, and what that left, in units of 1 / weight.
    turn: u32,
    rest: u32,
}

impl Turns {
    /// For weights above 0; their sum fits 32 bits.
    fn new(weights: impl ExactSizeIterator<Item = u32>, total: u32) -> Turns {
        let n = weights.len();
        let part = |weight| Part { weight, level: 0, after: NONE, step: total / weight, step_rest: total % weight, turn: 0, rest: 0 };
        let mut turns =
            Turns { parts: weights.map(part).collect(), standing: vec![Places::new(n)], rising: vec![NONE; total as usize + 1].into() };
        (0..n).for_each(|i| turns.rise(i));
        turns
    }

    /// The server that takes a turn (from 1); all before have been taken.
    fn take(&mut self, turn: usize) -> Option<usize> {
        let mut next = std::mem::replace(&mut self.rising[turn], NONE);
        while next != NONE {
            let i = next as usize;
            next = self.parts[i].after;
            self.rise(i);
        }
        // Hardly ever more than three levels.
        let (level, i) = self.standing.iter().enumerate().rev().find_map(|(level, places)| Some((level, places.first()?)))?;
        // Level and turns taken together are what they were, so is the turn of the next rise.
        self.parts[i].level = level as u32 - 1;
        self.standing[level].remove(i);
        self.standing[level - 1].insert(i);
        Some(i)
    }

    fn rise(&mut self, i: usize) {
        let part = &mut self.parts[i];
        let level = part.level as usize;
        part.level += 1;
        // After turn t a server of weight w that took k turns has t*w - k*total points: its m-th rise is at turn m * total / w, rounded up.
        // Each follows from the one before without a division.
        part.turn += part.step;
        part.rest += part.step_rest;
        if part.rest >= part.weight {
            part.rest -= part.weight;
            part.turn += 1;
        }
        let turn = part.turn + u32::from(part.rest != 0);
        if let Some(first) = self.rising.get_mut(turn as usize) {
            part.after = std::mem::replace(first, i as u32);
        }
        if self.standing.len() == level + 1 {
            self.standing.push(Places::new(self.parts.len()));
        }
        self.standing[level].remove(i);
        self.standing[level + 1].insert(i);
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
