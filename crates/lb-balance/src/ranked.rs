//! Schedulers that take the least server by some rank: by load and weight (leastconn, and LVS's lc, wlc, sed, nq, ovf), by place
//! (first), by weight (fo), by the time of arrival (sticky).
//!
//! Holds: a server of the group is in the heap, or parked because it was found full, or out (weight 0, or not usable).
//! Loads are counted also while a server is out, so that it comes back with its true load.

use crate::heap::Heap;
use crate::policy::Parking;
use crate::{LoadView, Pick, ServerId, Tried, Weight};

/// What the rank of a server is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rank {
    /// Streams in relation to weight, then who changed longest ago.
    Load,
    /// The numeric id.
    Order,
    /// Who became usable first.
    Arrival,
    /// Streams; among equals the first in the configuration, as in all of LVS's.
    Lc,
    /// Streams in relation to weight.
    Wlc,
    /// Streams, with the one that is to come, in relation to weight.
    Sed,
    /// As [`Rank::Sed`], but an idle server is always first.
    Nq,
    /// The highest weight.
    Fo,
    /// The highest weight, but those with more streams than their weight are out.
    Ovf,
}

impl Rank {
    fn follows_load(self) -> bool {
        !matches!(self, Rank::Order | Rank::Arrival | Rank::Fo)
    }
}

/// From this key on a server is in the heap but takes nothing ([`Rank::Ovf`]).
const OVERFLOWN: u128 = 1 << 127;

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// In sixteenths; 0 keeps the server out.
    weight: u32,
    load: u32,
    order: u64,
}

/// One group of servers (those that are no backup, or the backups).
#[derive(Debug)]
pub(crate) struct Ranked {
    rank: Rank,
    entries: Box<[Entry]>,
    heap: Heap,
    parked: usize,
    /// Counts insertions, so that equals take turns.
    arrivals: u64,
}

impl Ranked {
    pub(crate) fn new(rank: Rank, orders: impl Iterator<Item = u64>) -> Self {
        let entries: Box<[Entry]> = orders.map(|order| Entry { weight: 0, load: 0, order }).collect();
        Ranked { rank, heap: Heap::new(entries.len()), entries, parked: 0, arrivals: 0 }
    }

    /// The least server that is neither full nor tried. With `take` a stream is counted to it at once.
    pub(crate) fn pick(&mut self, view: &impl LoadView, tried: &Tried, parking: &Parking, take: bool) -> Pick {
        let mut avoided = [0u32; crate::MAX_TRIED];
        let mut avoiding = 0;
        let chosen = loop {
            let Some((_, id)) = self.heap.peek().filter(|&(key, _)| key < OVERFLOWN) else {
                // Nobody else is left: a server that failed before is better than none.
                break (avoiding > 0).then(|| avoided[0]);
            };
            if view.is_full(ServerId(id)) {
                self.heap.remove(id);
                self.parked += 1;
                if parking.park(id, view) {
                    continue;
                }
                // It became free while it was being parked.
                self.parked -= 1;
                self.queue(id);
            }
            if !tried.is_empty() && tried.contains(ServerId(id)) && avoiding < avoided.len() {
                self.heap.remove(id);
                avoided[avoiding] = id;
                avoiding += 1;
                continue;
            }
            break Some(id);
        };
        for &id in &avoided[..avoiding] {
            self.queue(id);
        }
        match chosen {
            Some(id) => {
                if take {
                    self.add_load(id, 1);
                }
                Pick::Server(ServerId(id))
            }
            None if self.parked > 0 || self.heap.peek().is_some() => Pick::AllFull,
            None => Pick::NoneUsable,
        }
    }

    /// Changes the load of `id` by `delta`; below 0 is 0.
    #[inline]
    pub(crate) fn add_load(&mut self, id: u32, delta: i32) {
        let entry = &mut self.entries[id as usize];
        entry.load = entry.load.saturating_add_signed(delta);
        if self.rank.follows_load() && self.heap.contains(id) {
            self.queue(id);
        }
    }

    pub(crate) fn set_load(&mut self, id: u32, load: u32) {
        self.entries[id as usize].load = load;
        self.add_load(id, 0);
    }

    /// Whether ranks move with loads.
    pub(crate) fn follows_load(&self) -> bool {
        self.rank.follows_load()
    }

    /// Who is first, full or not.
    pub(crate) fn peek(&self) -> Option<u32> {
        self.heap.peek().map(|(_, id)| id)
    }

    /// In sixteenths; 0 when the server is out.
    pub(crate) fn weight(&self, id: u32) -> u32 {
        self.entries[id as usize].weight
    }

    pub(crate) fn load(&self, id: u32) -> u32 {
        self.entries[id as usize].load
    }

    /// Load in relation to weight; the highest of all for a server that is out.
    pub(crate) fn ratio(&self, id: u32) -> u64 {
        let entry = self.entries[id as usize];
        if entry.weight == 0 { u64::MAX } else { ratio(entry.load.into(), entry.weight) }
    }

    /// A parked server has room again.
    pub(crate) fn unpark(&mut self, id: u32) {
        self.parked -= 1;
        self.queue(id);
    }

    #[inline]
    fn queue(&mut self, id: u32) {
        let entry = self.entries[id as usize];
        let by = |rank: u64| u128::from(rank) << 64 | u128::from(id);
        let heaviest = || u64::from(u32::from(Weight::MAX.as_sixteenths()) - entry.weight);
        let key = match self.rank {
            Rank::Order | Rank::Arrival => by(entry.order),
            Rank::Lc => by(u64::from(entry.load)),
            Rank::Wlc => by(ratio(entry.load.into(), entry.weight)),
            Rank::Nq if entry.load == 0 => by(0),
            Rank::Sed | Rank::Nq => by(ratio(u64::from(entry.load) + 1, entry.weight)),
            Rank::Fo => by(heaviest()),
            Rank::Ovf => {
                let over = u64::from(entry.load) * u64::from(Weight::SCALE) > u64::from(entry.weight);
                by(heaviest()) | if over { OVERFLOWN } else { 0 }
            }
            Rank::Load => {
                let arrival = self.arrivals;
                self.arrivals = arrival + 1;
                u128::from(weighted_load(entry.load, entry.weight)) << 64 | u128::from(arrival)
            }
        };
        self.heap.set(id, key);
    }

    /// Gives `id` this weight, in sixteenths; 0 takes it out of the group. `parked` says whether it is parked now.
    pub(crate) fn set_weight(&mut self, id: u32, weight: u16, parked: bool) {
        let entry = &mut self.entries[id as usize];
        let weight = u32::from(weight);
        if weight == entry.weight {
            return;
        }
        if self.rank == Rank::Arrival && entry.weight == 0 {
            entry.order = self.arrivals;
            self.arrivals += 1;
        }
        entry.weight = weight;
        if weight == 0 {
            self.heap.remove(id);
            self.parked -= usize::from(parked);
        } else if !parked {
            self.queue(id);
        }
    }
}

/// A fraction as a number that compares as the fraction does: two that differ do so by 1/4096² at least, so 24 bits behind the point
/// tell them apart.
#[inline]
fn ratio(load: u64, weight: u32) -> u64 {
    (load << 24) / u64::from(weight)
}

/// The load that a server would have with one stream more, by weight, in whole streams of a server of weight 256: HAProxy's
/// measure, with its rounding, so that ties are ties there too. An idle server's is 0, whatever its weight, so that idle servers
/// take turns.
#[inline]
fn weighted_load(load: u32, weight: u32) -> u64 {
    if load == 0 { 0 } else { (u64::from(load) + 1) * u64::from(Weight::MAX.as_sixteenths()) / u64::from(weight) }
}
