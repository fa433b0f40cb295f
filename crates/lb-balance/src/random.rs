//! Random choice by weight, and the better of two: `random`, power of two choices, peak EWMA.
//!
//! Holds: a server of weight w among servers of total weight T is drawn with probability w/T.
//! Source: M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing" (2001).

use crate::{LoadView, Pick, ServerId, Tried};

/// The usable servers of one group, to draw from. Made anew at each change.
#[derive(Debug, Default)]
pub(crate) struct Draw {
    servers: Box<[Share]>,
}

/// A server that may be drawn.
#[derive(Debug)]
pub(crate) struct Share {
    /// Sum of the weights up to and including this server.
    end: u64,
    pub(crate) id: u32,
    pub(crate) weight: u32,
}

impl Share {
    /// Sum of the weights before this server.
    pub(crate) fn before(&self) -> u32 {
        (self.end - u64::from(self.weight)) as u32
    }
}

impl Draw {
    /// From servers with weights above 0.
    pub(crate) fn new(servers: impl Iterator<Item = (u32, u32)>) -> Self {
        let mut end = 0;
        let share = |(id, weight)| {
            end += u64::from(weight);
            Share { end, id, weight }
        };
        Draw { servers: servers.map(share).collect() }
    }

    /// Sum of all weights.
    pub(crate) fn total(&self) -> u32 {
        self.servers.last().map_or(0, |s| s.end as u32)
    }

    /// The least loaded of `draws` servers that are neither full nor tried and that `allows` has nothing against; failing that any other.
    pub(crate) fn pick(&self, draws: u32, seed: u64, view: &impl LoadView, tried: &Tried, allows: impl Fn(&Share) -> bool) -> Pick {
        let mut random = seed;
        let mut best: Option<(&Share, u64)> = None;
        let mut last = 0;
        // More draws than servers bring nothing but cost.
        for _ in 0..draws.min(2 * self.servers.len() as u32) {
            last = self.draw(&mut random, None);
            let share = &self.servers[last];
            if tried.contains(ServerId(share.id)) || view.is_full(ServerId(share.id)) || !allows(share) {
                continue;
            }
            let load = u64::from(view.load(ServerId(share.id)));
            // load/weight < best load/weight, without a division
            if best.is_none_or(|(b, b_load)| load * u64::from(b.weight) < b_load * u64::from(share.weight)) {
                best = Some((share, load));
            }
        }
        match best {
            Some((share, _)) => Pick::Server(ServerId(share.id)),
            None => self.anyone(last, view, tried, allows),
        }
    }

    /// The cheaper of two different servers.
    pub(crate) fn better_of_two(&self, seed: u64, view: &impl LoadView, tried: &Tried, cost: impl Fn(&Share) -> f64) -> Pick {
        let mut random = seed;
        if self.servers.is_empty() {
            return Pick::NoneUsable;
        }
        let first = self.draw(&mut random, None);
        let second = if self.servers.len() == 1 { first } else { self.draw(&mut random, Some(first)) };
        let usable = |at: &usize| {
            let id = ServerId(self.servers[*at].id);
            !tried.contains(id) && !view.is_full(id)
        };
        let mut pair = [first, second].into_iter().filter(usable);
        match (pair.next(), pair.next()) {
            (Some(a), Some(b)) if cost(&self.servers[b]) < cost(&self.servers[a]) => Pick::Server(ServerId(self.servers[b].id)),
            (Some(a), _) => Pick::Server(ServerId(self.servers[a].id)),
            (None, _) => self.anyone(first, view, tried, |_| true),
        }
    }

    /// The place of a server drawn by weight, but not of `except`. The group is not empty, nor is `except` alone.
    fn draw(&self, random: &mut u64, except: Option<usize>) -> usize {
        let out = except.map(|at| &self.servers[at]);
        let total = u64::from(self.total()) - out.map_or(0, |s| u64::from(s.weight));
        let mut point = ((u128::from(scramble(random)) * u128::from(total)) >> 64) as u64;
        if let Some(out) = out.filter(|s| point >= u64::from(s.before())) {
            point += u64::from(out.weight);
        }
        self.servers.partition_point(|s| s.end <= point)
    }

    /// Rare: all that were drawn were full or had failed. Anyone else is better than to wait while a server has room.
    fn anyone(&self, from: usize, view: &impl LoadView, tried: &Tried, allows: impl Fn(&Share) -> bool) -> Pick {
        if self.servers.is_empty() {
            return Pick::NoneUsable;
        }
        let (mut over, mut avoided) = (None, None);
        for share in self.servers[from..].iter().chain(&self.servers[..from]) {
            let id = ServerId(share.id);
            if view.is_full(id) {
                continue;
            }
            if tried.contains(id) {
                avoided = Some(id);
            } else if allows(share) {
                return Pick::Server(id);
            } else {
                over = Some(id);
            }
        }
        over.or(avoided).map_or(Pick::AllFull, Pick::Server)
    }
}

/// The next number of the SplitMix64 sequence that starts at `state`.
fn scramble(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
