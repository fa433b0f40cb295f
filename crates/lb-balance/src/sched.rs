//! The scheduler behind a policy: one of a few mechanisms for each kind, twice, since backups are a group of their own. Called by
//! policy.rs alone, which holds its own lock while servers change.
//!
//! Holds: a pick takes at most one lock, that of its group; what is rebuilt at a change is swapped in whole.

use crate::late::{LATE, Late};
use crate::latency::Latencies;
use crate::locality::Local;
use crate::maglev::{self, Part};
use crate::map;
use crate::policy::{Group, Parking, group_of, lock};
use crate::random::Draw;
use crate::ranked::{Rank, Ranked};
use crate::ring::{Bound, Live, Points, Ring};
use crate::roundrobin::Turns;
use crate::{Key, Kind, LoadView, Lookup, Lvs, Pick, ServerId, ServerSpec, Settings, Tried, Weight, seed};
use arc_swap::ArcSwap;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// One for the servers that are no backup, one for the backups.
type Pair<T> = Box<[T; 2]>;

fn pair<T>(mut make: impl FnMut() -> T) -> Pair<T> {
    Box::new([make(), make()])
}

/// The scheduler of a policy.
#[derive(Debug)]
pub(crate) struct Sched {
    pub(crate) settings: Settings,
    pub(crate) specs: Box<[ServerSpec]>,
    mechanism: Mechanism,
}

#[derive(Debug)]
enum Mechanism {
    RoundRobin(Pair<Mutex<Turns>>),
    Ranked(Pair<Mutex<Ranked>>),
    Local(Pair<Mutex<Local>>),
    Table { tables: Pair<ArcSwap<Box<[u32]>>>, next: AtomicU32, late: Option<Late> },
    Ring(Box<Rings>),
    Random { draws: u32, draw: Pair<ArcSwap<Draw>> },
    Two { draw: Pair<ArcSwap<Draw>>, latencies: Option<Latencies> },
}

/// What rings need, both groups'.
#[derive(Debug)]
struct Rings {
    rings: [Ring; 2],
    live: Live,
    points: [Mutex<Points>; 2],
    /// For the load bound; empty without one.
    before: Box<[AtomicU32]>,
    totals: [AtomicU32; 2],
}

impl Mechanism {
    fn new(settings: Settings, servers: &[ServerSpec]) -> Mechanism {
        let (kind, bounded) = (settings.kind, settings.balance_factor != 0);
        let n = servers.len();
        let ids = || (0..).zip(servers).map(|(place, s)| u64::from(number(place, s)));
        let ranked = |rank| Mechanism::Ranked(pair(|| Mutex::new(Ranked::new(rank, ids()))));
        let late = || settings.late_tables.then(|| Late::new(n));
        let table = || Mechanism::Table { tables: Box::default(), next: AtomicU32::new(0), late: late() };
        let random = |draws| Mechanism::Random { draws, draw: Box::default() };
        match kind {
            Kind::RoundRobin => Mechanism::RoundRobin(pair(|| Mutex::new(Turns::new(n)))),
            Kind::LeastConn => ranked(Rank::Load),
            Kind::First => ranked(Rank::Order),
            Kind::Sticky => ranked(Rank::Arrival),
            Kind::StaticRr => table(),
            Kind::Random { draws } => random(draws.max(1)),
            Kind::PowerOfTwo => Mechanism::Two { draw: Box::default(), latencies: None },
            Kind::PeakEwma { decay } => Mechanism::Two { draw: Box::default(), latencies: Some(Latencies::new(n, decay)) },
            Kind::Hash(hash) => match hash.lookup {
                Lookup::Map | Lookup::Maglev { .. } | Lookup::Buckets { .. } => table(),
                Lookup::Ring => Mechanism::Ring(Box::new(Rings {
                    rings: [Ring::new(), Ring::new()],
                    live: (0..n).map(|_| AtomicU16::new(0)).collect(),
                    points: [Mutex::new(Points::new(n)), Mutex::new(Points::new(n))],
                    before: (0..if bounded { n } else { 0 }).map(|_| AtomicU32::new(0)).collect(),
                    totals: Default::default(),
                })),
            },
            Kind::Lvs(lvs) => match lvs {
                Lvs::Rr | Lvs::Wrr | Lvs::Dh | Lvs::Sh | Lvs::Mh => table(),
                Lvs::Lc => ranked(Rank::Lc),
                Lvs::Wlc => ranked(Rank::Wlc),
                Lvs::Sed => ranked(Rank::Sed),
                Lvs::Nq => ranked(Rank::Nq),
                Lvs::Fo => ranked(Rank::Fo),
                Lvs::Ovf => ranked(Rank::Ovf),
                Lvs::Lblc | Lvs::Lblcr => Mechanism::Local(pair(|| Mutex::new(Local::new(n, lvs == Lvs::Lblcr)))),
                Lvs::Twos => random(2),
            },
        }
    }
}

impl Sched {
    /// For these servers, none of which is usable yet.
    pub(crate) fn new(settings: Settings, servers: &[ServerSpec]) -> Sched {
        let mechanism = Mechanism::new(settings, servers);
        Sched { settings, specs: servers.into(), mechanism }
    }

    #[inline]
    pub(crate) fn pick(&self, group: usize, key: Key<'_>, view: &impl LoadView, tried: &Tried, parking: &Parking, take: bool) -> Pick {
        let random = if let Key::Random(seed) = key { seed } else { 0 };
        match &self.mechanism {
            Mechanism::RoundRobin(groups) => lock(&groups[group]).pick(view, tried, parking),
            Mechanism::Ranked(groups) => lock(&groups[group]).pick(view, tried, parking, take),
            Mechanism::Local(groups) => {
                let hash = self.settings.kind.hash().and_then(|hash| hash.of(key));
                lock(&groups[group]).pick(hash, view, tried, parking, take)
            }
            Mechanism::Table { tables, next, late } => {
                let late = late.as_ref().filter(|late| late.is_stale(group));
                let table = tables[group].load();
                let left = |id: u32| late.is_some_and(|late| late.has_left(id));
                let hashing = self.settings.kind.hash();
                let pick = match hashing.and_then(|hashing| Some((hashing.of(key)?, hashing.lookup))) {
                    None => pick_in_turn(&table, next, view, tried, left),
                    Some((hash, Lookup::Buckets { .. })) => pick_hashed(&table, maglev::bucket(hash), tried, left),
                    Some((hash, _)) => pick_hashed(&table, hash as usize, tried, left),
                };
                match late {
                    Some(late) if pick == Pick::NoneUsable => late.anyone(self.members(group)),
                    _ => pick,
                }
            }
            Mechanism::Ring(rings) => {
                let Some(hash) = self.settings.kind.hash().and_then(|hash| hash.of(key)) else {
                    return rings.rings[group].turn(&rings.live, view, tried);
                };
                let bound = Bound { factor: self.settings.balance_factor, total: rings.totals[group].load(Ordering::Relaxed) };
                rings.rings[group].pick(hash, &rings.live, self.settings.affinity, view, tried, |id| {
                    let weight = || rings.live[id as usize].load(Ordering::Relaxed).into();
                    bound.factor == 0 || bound.allows(id, weight(), rings.before[id as usize].load(Ordering::Relaxed), view)
                })
            }
            Mechanism::Random { draws, draw } => {
                let draw = draw[group].load();
                let bound = Bound { factor: self.settings.balance_factor, total: draw.total() };
                draw.pick(*draws, random, view, tried, |s| bound.allows(s.id, s.weight, s.before(), view))
            }
            Mechanism::Two { draw, latencies } => {
                let now = if latencies.is_some() { view.now() } else { std::time::Duration::ZERO };
                draw[group].load().better_of_two(random, view, tried, |share| {
                    let load = view.load(ServerId(share.id));
                    let cost = latencies.as_ref().map_or(f64::from(load), |l| l.cost(share.id, load, now));
                    cost / f64::from(share.weight)
                })
            }
        }
    }

    /// Whether it has to hear of every stream ([`Mechanism::add_load`]).
    pub(crate) fn counts_streams(&self) -> bool {
        match &self.mechanism {
            Mechanism::Ranked(groups) => lock(&groups[0]).follows_load(),
            Mechanism::Local(_) => true,
            _ => false,
        }
    }

    #[inline]
    pub(crate) fn add_load(&self, group: usize, id: u32, delta: i32) {
        match &self.mechanism {
            Mechanism::Ranked(groups) => lock(&groups[group]).add_load(id, delta),
            Mechanism::Local(groups) => lock(&groups[group]).least.add_load(id, delta),
            _ => {}
        }
    }

    pub(crate) fn set_load(&self, group: usize, id: u32, load: u32) {
        match &self.mechanism {
            Mechanism::Ranked(groups) => lock(&groups[group]).set_load(id, load),
            Mechanism::Local(groups) => lock(&groups[group]).least.set_load(id, load),
            _ => {}
        }
    }

    pub(crate) fn latencies(&self) -> Option<&Latencies> {
        if let Mechanism::Two { latencies, .. } = &self.mechanism { latencies.as_ref() } else { None }
    }

    /// A server that was parked has room again.
    pub(crate) fn unpark(&self, group: usize, id: u32, parking: &Parking) {
        match &self.mechanism {
            Mechanism::RoundRobin(groups) => {
                let mut group = lock(&groups[group]);
                if parking.leave(id) {
                    group.unpark(id);
                }
            }
            Mechanism::Ranked(groups) => {
                let mut group = lock(&groups[group]);
                if parking.leave(id) {
                    group.unpark(id);
                }
            }
            Mechanism::Local(groups) => {
                let mut group = lock(&groups[group]);
                if parking.leave(id) {
                    group.least.unpark(id);
                }
            }
            _ => {}
        }
    }

    /// Enters all servers of a group that are usable at the start.
    pub(crate) fn begin(&self, group: usize, servers: &Group<'_>) {
        match &self.mechanism {
            Mechanism::RoundRobin(groups) => {
                let mut turns = lock(&groups[group]);
                servers.iter().for_each(|(id, weight)| turns.set_weight(id, weight as u16, false));
            }
            Mechanism::Ranked(groups) => {
                let mut ranked = lock(&groups[group]);
                servers.iter().for_each(|(id, weight)| ranked.set_weight(id, weight as u16, false));
            }
            Mechanism::Local(groups) => {
                let mut local = lock(&groups[group]);
                servers.iter().for_each(|(id, weight)| local.least.set_weight(id, weight as u16, false));
            }
            Mechanism::Ring(rings) => {
                let mut points = lock(&rings.points[group]);
                // Those that are not usable have their places, too.
                for (id, spec) in (0..).zip(&self.specs).filter(|(_, spec)| group_of(spec) == group) {
                    points.prepare(id, seed_of(id, spec), Weight::units(spec.weight).as_sixteenths());
                }
                points.show(&rings.rings[group]);
                for (id, weight) in servers.iter() {
                    points.set(&rings.rings[group], &rings.live, id, seed_of(id, &self.specs[id as usize]), weight as u16);
                }
                rings.weigh(group, servers);
            }
            Mechanism::Table { late, .. } => {
                if let Some(late) = late {
                    servers.iter().for_each(|(id, _)| late.note(group, id, true));
                }
                self.rebuild(group, servers);
            }
            Mechanism::Random { .. } | Mechanism::Two { .. } => self.rebuild(group, servers),
        }
    }

    /// Gives a server another weight, in sixteenths; `servers` are those that are usable now.
    pub(crate) fn change(&self, group: usize, id: u32, weight: u16, servers: &Group<'_>, parking: &Parking) {
        match &self.mechanism {
            Mechanism::RoundRobin(groups) => {
                let mut turns = lock(&groups[group]);
                turns.set_weight(id, weight, parking.leave_if(id, weight == 0));
            }
            Mechanism::Ranked(groups) => {
                let mut ranked = lock(&groups[group]);
                ranked.set_weight(id, weight, parking.leave_if(id, weight == 0));
            }
            Mechanism::Local(groups) => {
                let mut local = lock(&groups[group]);
                local.least.set_weight(id, weight, parking.leave_if(id, weight == 0));
            }
            Mechanism::Ring(rings) => {
                let seed = seed_of(id, &self.specs[id as usize]);
                lock(&rings.points[group]).set(&rings.rings[group], &rings.live, id, seed, weight);
                rings.weigh(group, servers);
            }
            Mechanism::Table { tables, late: Some(late), .. } => {
                late.note(group, id, weight != 0);
                if late.is_stale(group) {
                    return;
                }
                let listed: Vec<_> = servers.iter().collect();
                if entries(self.settings.kind, &listed) > LATE && !tables[group].load().is_empty() {
                    return late.set_stale(group, true);
                }
                tables[group].store(Arc::new(table(self.settings.kind, &listed, &self.specs)));
                late.set_stale(group, false);
            }
            Mechanism::Table { .. } | Mechanism::Random { .. } | Mechanism::Two { .. } => self.rebuild(group, servers),
        }
    }

    /// The servers of a group, usable or not.
    fn members(&self, group: usize) -> impl Iterator<Item = u32> {
        (0..).zip(&self.specs).filter(move |(_, spec)| group_of(spec) == group).map(|(id, _)| id)
    }

    /// Whether the table of a group is to be made anew ([`Settings::late_tables`]).
    pub(crate) fn is_stale(&self, group: usize) -> bool {
        matches!(&self.mechanism, Mechanism::Table { late: Some(late), .. } if late.is_stale(group))
    }

    /// What a late table is made from, and the change that this is as of.
    pub(crate) fn late(&self, group: usize, servers: &Group<'_>) -> Option<(u32, Vec<(u32, u32)>)> {
        let Mechanism::Table { late: Some(late), .. } = &self.mechanism else { return None };
        late.is_stale(group).then(|| (late.changes(group), servers.iter().collect()))
    }

    /// The table for these servers. Takes its time.
    pub(crate) fn make(&self, servers: &[(u32, u32)]) -> Arc<Box<[u32]>> {
        Arc::new(table(self.settings.kind, servers, &self.specs))
    }

    /// Takes a table in, of the state after change number `as_of`. The servers do not change meanwhile.
    pub(crate) fn put(&self, group: usize, made: Arc<Box<[u32]>>, as_of: u32) {
        // A table that was made at once meanwhile is newer than this one.
        if let Mechanism::Table { tables, late: Some(late), .. } = &self.mechanism
            && late.is_stale(group)
        {
            tables[group].store(made);
            late.set_stale(group, late.changes(group) != as_of);
        }
    }

    /// Makes the table of a group anew, where the scheduler has one.
    fn rebuild(&self, group: usize, servers: &Group<'_>) {
        match &self.mechanism {
            Mechanism::Table { tables, .. } => {
                let listed: Vec<_> = servers.iter().collect();
                tables[group].store(Arc::new(table(self.settings.kind, &listed, &self.specs)));
            }
            Mechanism::Random { draw, .. } | Mechanism::Two { draw, .. } => draw[group].store(Arc::new(Draw::new(servers.iter()))),
            _ => {}
        }
    }
}

impl Rings {
    /// Notes the sums of weights, where there is a load bound.
    fn weigh(&self, group: usize, servers: &Group<'_>) {
        if self.before.is_empty() {
            return;
        }
        let mut sum = 0;
        for (id, weight) in servers.iter() {
            self.before[id as usize].store(sum, Ordering::Relaxed);
            sum += weight;
        }
        self.totals[group].store(sum, Ordering::Relaxed);
    }
}

/// The numeric id of the server at a place.
fn number(place: u32, spec: &ServerSpec) -> u32 {
    if spec.id == 0 { place + 1 } else { spec.id }
}

fn seed_of(place: u32, spec: &ServerSpec) -> u32 {
    spec.seed.unwrap_or_else(|| seed::by_id(number(place, spec)))
}

/// The table of a kind that has one, for servers `(id, weight)`.
fn table(kind: Kind, servers: &[(u32, u32)], specs: &[ServerSpec]) -> Box<[u32]> {
    match (kind, kind.hash().map(|hash| hash.lookup)) {
        (_, Some(Lookup::Maglev { size })) => {
            let part = |&(id, weight)| Part { id, weight, seed: seed_of(id, &specs[id as usize]) };
            maglev::build(&mut servers.iter().map(part).collect::<Vec<_>>(), maglev::prime(size))
        }
        (_, Some(Lookup::Buckets { weighted })) => maglev::deal(servers, weighted),
        (Kind::Lvs(Lvs::Rr), _) => servers.iter().map(|s| s.0).collect(),
        (Kind::Lvs(Lvs::Wrr), _) => map::wrr(servers),
        _ => map::build(servers),
    }
}

/// How many entries the table of a kind has.
fn entries(kind: Kind, servers: &[(u32, u32)]) -> usize {
    match (kind, kind.hash().map(|hash| hash.lookup)) {
        (_, Some(Lookup::Maglev { size })) => size as usize,
        (_, Some(Lookup::Buckets { .. })) | (Kind::Lvs(Lvs::Rr), _) => 0,
        // Equal weights are a copy of the list.
        _ if servers.iter().all(|s| s.1 == servers[0].1) => 0,
        _ => servers.iter().map(|s| s.1 as usize).sum::<usize>() / usize::from(Weight::SCALE),
    }
}

/// The server of a hash. A server that failed, or has left, is passed over for the next one in the table, while there is another.
fn pick_hashed(table: &[u32], hash: usize, tried: &Tried, left: impl Fn(u32) -> bool) -> Pick {
    if table.is_empty() {
        return Pick::NoneUsable;
    }
    let at = hash % table.len();
    if !left(table[at]) && (tried.is_empty() || !tried.contains(ServerId(table[at]))) {
        return Pick::Server(ServerId(table[at]));
    }
    let mut avoided = None;
    for &id in table[at..].iter().chain(&table[..at]).filter(|&&id| !left(id)) {
        if !tried.contains(ServerId(id)) {
            return Pick::Server(ServerId(id));
        }
        avoided.get_or_insert(id);
    }
    avoided.map_or(Pick::NoneUsable, |id| Pick::Server(ServerId(id)))
}

/// The next server of the table that is not full and has not left.
fn pick_in_turn(table: &[u32], next: &AtomicU32, view: &impl LoadView, tried: &Tried, left: impl Fn(u32) -> bool) -> Pick {
    let (mut avoided, mut any) = (None, false);
    for _ in 0..table.len() {
        let id = ServerId(table[step(next, table.len())]);
        if left(id.0) {
            continue;
        }
        any = true;
        if view.is_full(id) {
            continue;
        }
        if !tried.contains(id) {
            return Pick::Server(id);
        }
        avoided = Some(id);
    }
    avoided.map_or(if any { Pick::AllFull } else { Pick::NoneUsable }, Pick::Server)
}

/// The present place in a table of this length; moves on to the next.
fn step(next: &AtomicU32, len: usize) -> usize {
    let mut at = next.load(Ordering::Relaxed);
    loop {
        // A table that was just rebuilt may be shorter.
        let here = if (at as usize) < len { at } else { 0 };
        let after = if here as usize + 1 == len { 0 } else { here + 1 };
        match next.compare_exchange_weak(at, after, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return here as usize,
            Err(seen) => at = seen,
        }
    }
}
