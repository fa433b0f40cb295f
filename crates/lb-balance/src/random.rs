//! Random choice by weight, the least loaded of several draws.
//!
//! Holds: a server of weight w among servers of total weight T is drawn with probability w/T.
//! Source: M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing".

use crate::{LoadView, Pick, ServerId, Tried};

/// The usable servers of one group, to draw from. Made anew at each change.
#[derive(Debug, Default)]
pub(crate) struct Draw {
    servers: Box<[Share]>,
}

#[derive(Debug)]
struct Share {
    /// Sum of the weights up to and including this server.
    end: u64,
    id: u32,
    weight: u32,
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

    /// The least loaded of `draws` servers that are neither full nor tried; failing that any other such server.
    pub(crate) fn pick(&self, draws: u32, seed: u64, view: &impl LoadView, tried: &Tried) -> Pick {
        let Some(total) = self.servers.last().map(|s| s.end) else { return Pick::NoneUsable };
        let mut random = seed;
        let mut best: Option<(&Share, u64)> = None;
        let mut last = 0;
        // More draws than servers bring nothing but cost.
        for _ in 0..draws.min(2 * self.servers.len() as u32) {
            let point = ((u128::from(scramble(&mut random)) * u128::from(total)) >> 64) as u64;
            last = self.servers.partition_point(|s| s.end <= point);
            let share = &self.servers[last];
            if tried.contains(ServerId(share.id)) || view.is_full(ServerId(share.id)) {
                continue;
            }
            let load = u64::from(view.load(ServerId(share.id)));
            // load/weight < best load/weight, without a division
            if best.is_none_or(|(b, b_load)| load * u64::from(b.weight) < b_load * u64::from(share.weight)) {
                best = Some((share, load));
            }
        }
        if let Some((share, _)) = best {
            return Pick::Server(ServerId(share.id));
        }
        // Rare: all draws were full or had failed. Anyone else is better than to wait while a server has room.
        let mut avoided = None;
        for share in self.servers[last..].iter().chain(&self.servers[..last]) {
            let id = ServerId(share.id);
            if view.is_full(id) {
                continue;
            }
            if !tried.contains(id) {
                return Pick::Server(id);
            }
            avoided = Some(id);
        }
        avoided.map_or(Pick::AllFull, Pick::Server)
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
