//! Locality-based least connection: LVS's `lblc` and `lblcr`. What is asked for stays at the server (or the few servers) that had it
//! last, until that one is overloaded while another is at less than half of its weight.
//!
//! Holds: the memory of where things are has a fixed size and forgets what was used longest ago; nothing allocates on a pick; what
//! cannot be answered from memory is answered by weighted least connection.
//!
//! Source: ipvsadm(8), the kernel's ip_vs_lblc and ip_vs_lblcr.

use crate::policy::Parking;
use crate::ranked::{Rank, Ranked};
use crate::{LoadView, Pick, ServerId, Tried, Weight};
use std::time::Duration;

/// Keys that are remembered: LVS's 16 for each of its 1,024 buckets.
const ENTRIES: usize = 16_384;

/// Entries that a key may take; the one used longest ago makes room.
const WAYS: usize = 8;

/// Servers of one key (`lblcr`).
const SET: usize = 4;

/// An entry unused for so long is forgotten, a set unchanged for so long loses its most loaded server: LVS's lblc_expiration.
const EXPIRES: u32 = 24 * 60 * 60;

#[derive(Debug, Clone, Copy)]
struct Entry {
    hash: u32,
    /// In seconds.
    used: u32,
    changed: u32,
    /// 0: free.
    count: u32,
    servers: [u32; SET],
}

const FREE: Entry = Entry { hash: 0, used: 0, changed: 0, count: 0, servers: [0; SET] };

impl Entry {
    fn servers(&self) -> &[u32] {
        &self.servers[..self.count as usize]
    }

    fn add(&mut self, id: u32, now: u32) {
        if self.servers().contains(&id) {
            return;
        }
        if self.count as usize == SET {
            self.servers.rotate_left(1);
            self.count -= 1;
        }
        self.servers[self.count as usize] = id;
        self.count += 1;
        self.changed = now;
    }

    fn remove(&mut self, id: u32, now: u32) {
        if let Some(at) = self.servers().iter().position(|&s| s == id) {
            self.count -= 1;
            self.servers.swap(at, self.count as usize);
            self.changed = now;
        }
    }
}

/// One group of servers, and where things are.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) least: Ranked,
    entries: Box<[Entry]>,
    /// Several servers per key (`lblcr`).
    replicates: bool,
}

impl Local {
    pub(crate) fn new(n: usize, replicates: bool) -> Self {
        let least = Ranked::new(Rank::Wlc, 0..n as u64);
        // Made when the first key comes: the backups' may never.
        Local { least, entries: Box::default(), replicates }
    }

    /// The server for a key; without one the least loaded.
    pub(crate) fn pick(&mut self, hash: Option<u32>, view: &impl LoadView, tried: &Tried, parking: &Parking, take: bool) -> Pick {
        let Some(hash) = hash else { return self.least.pick(view, tried, parking, take) };
        let now = whole_seconds(view.now());
        let at = self.entry(hash, now);
        let may = |least: &Ranked, id: u32| least.weight(id) != 0 && !tried.contains(ServerId(id)) && !view.is_full(ServerId(id));
        let at_home = self.entries[at].servers().iter().copied().filter(|&id| may(&self.least, id));
        let home = at_home.min_by_key(|&id| self.least.ratio(id));
        if self.entries[at].count > 1 && now.wrapping_sub(self.entries[at].changed) > EXPIRES {
            let most = self.entries[at].servers().iter().copied().max_by_key(|&id| self.least.ratio(id));
            if let Some(most) = most.filter(|&most| Some(most) != home) {
                self.entries[at].remove(most, now);
            }
        }
        self.entries[at].used = now;
        if let Some(id) = home
            && !self.overloaded(id)
        {
            if take {
                self.least.add_load(id, 1);
            }
            return Pick::Server(ServerId(id));
        }
        let pick = self.least.pick(view, tried, parking, take);
        if let Pick::Server(ServerId(id)) = pick {
            if !self.replicates {
                self.entries[at].count = 0;
            }
            self.entries[at].add(id, now);
        }
        pick
    }

    /// More streams than its weight, while another server has less than half of its.
    fn overloaded(&self, id: u32) -> bool {
        let scale = u64::from(Weight::SCALE);
        let (load, weight) = (u64::from(self.least.load(id)), u64::from(self.least.weight(id)));
        load * scale > weight
            && self.least.peek().is_some_and(|id| {
                let (load, weight) = (u64::from(self.least.load(id)), u64::from(self.least.weight(id)));
                2 * load * scale < weight
            })
    }

    /// The place of the key's entry: its own, or the one that makes room.
    fn entry(&mut self, hash: u32, now: u32) -> usize {
        if self.entries.is_empty() {
            self.entries = vec![FREE; ENTRIES].into_boxed_slice();
        }
        let from = hash as usize % (ENTRIES / WAYS) * WAYS;
        let ways = &mut self.entries[from..from + WAYS];
        let age = |e: &Entry| if e.count == 0 { u32::MAX } else { now.wrapping_sub(e.used) };
        let at = ways.iter().position(|e| e.count != 0 && e.hash == hash).filter(|&at| age(&ways[at]) <= EXPIRES);
        let at = at.unwrap_or_else(|| {
            let at = (0..WAYS).max_by_key(|&at| age(&ways[at])).unwrap_or(0);
            ways[at] = Entry { hash, used: now, changed: now, ..FREE };
            at
        });
        from + at
    }
}

/// Wraps after 136 years.
fn whole_seconds(now: Duration) -> u32 {
    now.as_secs() as u32
}
