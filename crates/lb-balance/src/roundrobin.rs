//! Dynamic weighted round robin, in HAProxy's order.
//!
//! A picture of the time in turns: one pick is one step of `now`. A server of weight w among servers of total weight T is due
//! every T/w steps, starting from the step of its first turn. What is due and waited longest goes first. A server that has
//! no place on this time line yet (new, or up again) waits as a newcomer and takes the first step at which nobody is due, the heaviest
//! newcomer first. Once all have their place the order repeats every T steps, so each cycle has exactly w turns of each server.
//!
//! One rule is not HAProxy's: a newcomer that waited longer than T/w steps for its place is placed as many whole turns back as it missed.
//! HAProxy lets these turns be lost, so that with some weights (7, 10, 11 for example) the counts of its first cycle, and of one in
//! 32 later on, are off by one; here every cycle is exact. With weights where nobody waits that long the orders are the same.
//!
//! Holds: a server is in exactly one of `due`, `newcomers`, `parked` (full) or in none (weight 0, or not usable).

use crate::heap::Heap;
use crate::policy::Parking;
use crate::{LoadView, Pick, ServerId, Tried, Weight};

/// Order among the due: the step, then heavier servers (by what is left of their last step), then who came first. One number, since two
/// words are compared in a fraction of the time that a pair takes.
fn due_key(step: u64, unit: u64, arrival: u64) -> u128 {
    u128::from(step) << 64 | u128::from(unit << ARRIVAL_BITS | arrival & ((1 << ARRIVAL_BITS) - 1))
}

/// The step in a key.
fn step_of(key: u128) -> u64 {
    (key >> 64) as u64
}

/// Order among newcomers: the heaviest, then who came first.
fn newcomer_key(weight: u32, arrival: u64) -> u128 {
    u128::from(u32::from(Weight::MAX.as_sixteenths()) - weight) << 64 | u128::from(arrival)
}

#[derive(Debug, Clone, Copy)]
struct Turn {
    /// In sixteenths; 0 keeps the server out.
    weight: u32,
    /// The step at which the server is next due, times its weight: a step is a fraction with the weight below the line.
    due: u64,
    /// Whether `due` means anything: false for a newcomer.
    placed: bool,
    /// For a newcomer: how many picks there had been when it came.
    came: u64,
}

/// One group of servers (those that are no backup, or the backups) that take turns.
#[derive(Debug)]
pub(crate) struct Turns {
    turns: Box<[Turn]>,
    due: Heap,
    newcomers: Heap,
    /// How many servers were found full when their turn came.
    parked: usize,
    /// The present step.
    now: u64,
    /// Picks so far. `now` is moved when weights change, this is not.
    picks: u64,
    /// Sum of the weights of all servers in the group that may be picked, full or not, in sixteenths.
    total: u32,
    /// Counts insertions, so that equals go in the order in which they came.
    arrivals: u64,
}

/// Bits of `arrivals` that fit beside the weight order in a key: 2^48 picks at a million a second are nine years, and then
/// only the order among equals is off for a cycle.
const ARRIVAL_BITS: u32 = 48;

impl Turns {
    pub(crate) fn new(n: usize) -> Self {
        Turns {
            turns: vec![Turn { weight: 0, due: 0, placed: false, came: 0 }; n].into_boxed_slice(),
            due: Heap::new(n),
            newcomers: Heap::new(n),
            parked: 0,
            now: 0,
            picks: 0,
            total: 0,
            arrivals: 0,
        }
    }

    pub(crate) fn pick(&mut self, view: &impl LoadView, tried: &Tried, parking: &Parking) -> Pick {
        let mut avoided = [0u32; crate::MAX_TRIED];
        let mut avoiding = 0;
        let chosen = loop {
            let Some(id) = self.next() else {
                // Nobody else is left: a server that failed before is better than none.
                break (avoiding > 0).then(|| avoided[0]);
            };
            if view.is_full(ServerId(id)) {
                self.remove_from_heaps(id);
                self.parked += 1;
                if parking.park(id, view) {
                    continue;
                }
                // It became free while it was being parked.
                self.parked -= 1;
                self.queue(id);
            }
            if !tried.is_empty() && tried.contains(ServerId(id)) && avoiding < avoided.len() {
                self.remove_from_heaps(id);
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
                self.take_turn(id);
                Pick::Server(ServerId(id))
            }
            None if self.parked > 0 => Pick::AllFull,
            None => Pick::NoneUsable,
        }
    }

    /// Whose turn it is.
    #[inline]
    fn next(&self) -> Option<u32> {
        match (self.due.peek(), self.newcomers.peek()) {
            (Some((key, id)), newcomer) if step_of(key) <= self.now || newcomer.is_none() => Some(id),
            (_, newcomer) => newcomer.map(|(_, id)| id),
        }
    }

    /// Moves `id`, which is in a heap, to its next turn, and the time by one step.
    #[inline]
    fn take_turn(&mut self, id: u32) {
        let now = self.now;
        let turn = &mut self.turns[id as usize];
        if !turn.placed {
            turn.placed = true;
            let (weight, total) = (u64::from(turn.weight), u64::from(self.total));
            let missed = (self.picks - turn.came) * weight / total;
            turn.due = (now * weight).saturating_sub(missed * total);
            self.newcomers.remove(id);
        }
        turn.due += u64::from(self.total);
        self.queue(id);
        self.now = now + 1;
        self.picks += 1;
    }

    /// Puts `id` in the heap where it belongs.
    #[inline]
    fn queue(&mut self, id: u32) {
        let turn = self.turns[id as usize];
        let arrival = self.arrivals;
        self.arrivals = arrival + 1;
        if turn.placed {
            let weight = u64::from(turn.weight);
            let (step, rest) = (turn.due / weight, turn.due % weight);
            // HAProxy's order among those due at one step, in whole units of weight as there.
            let unit = (u64::from(Weight::MAX.as_sixteenths()) + rest - weight) / u64::from(Weight::SCALE);
            self.due.set(id, due_key(step, unit, arrival));
        } else {
            self.newcomers.set(id, newcomer_key(turn.weight, arrival));
        }
    }

    fn remove_from_heaps(&mut self, id: u32) {
        if self.due.remove(id).is_none() {
            self.newcomers.remove(id);
        }
    }

    /// A parked server has room again. The turns that it missed are lost, as they are with HAProxy.
    pub(crate) fn unpark(&mut self, id: u32) {
        self.parked -= 1;
        let turn = &mut self.turns[id as usize];
        turn.came = self.picks;
        let floor = self.now * u64::from(turn.weight);
        if turn.placed && turn.due < floor {
            turn.due += (floor - turn.due).div_ceil(u64::from(self.total)) * u64::from(self.total);
        }
        self.queue(id);
    }

    /// Gives `id` this weight, in sixteenths; 0 takes it out of the group. `parked` says whether it is parked now.
    pub(crate) fn set_weight(&mut self, id: u32, weight: u16, parked: bool) {
        let weight = u32::from(weight);
        let old = self.turns[id as usize].weight;
        if weight == old {
            return;
        }
        self.total = self.total - old + weight;
        if old != 0 && !parked {
            self.remove_from_heaps(id);
        }
        let turn = &mut self.turns[id as usize];
        turn.weight = weight;
        if old == 0 {
            turn.came = self.picks;
        }
        if weight == 0 {
            turn.placed = false;
            self.parked -= usize::from(parked);
        } else {
            if turn.placed {
                // Same step, but never farther away than a whole period of the new weight.
                let step = turn.due / u64::from(old);
                let period = u64::from(self.total.div_ceil(weight));
                turn.due = step.min(self.now + period) * u64::from(weight);
            }
            if !parked {
                self.queue(id);
            }
        }
        self.close_gap();
    }

    /// After a change of the total the time line is crowded or has holes. Newcomers would wait for ever behind a crowd, and
    /// would fill a large hole all alone: so the present moves to where the next server is due, with one step for a newcomer.
    fn close_gap(&mut self) {
        if let Some((key, _)) = self.due.peek() {
            let step = step_of(key);
            self.now = self.now.clamp(step.saturating_sub(1), step);
        }
    }
}
