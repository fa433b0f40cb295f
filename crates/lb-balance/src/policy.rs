//! [`Policy`]: one backend's scheduler, shared among threads. Called by the data path (pick, assign, taken, released) and by
//! whoever changes servers (set_state, set_weight).
//!
//! Holds: `admin` is locked before a scheduler's own lock, never after it.

use crate::sched::Sched;
use crate::{Key, LoadView, Pick, ServerId, ServerSpec, Settings, State, Tried, Weight};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Why a policy cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// More servers than 2^20.
    #[error("{0} servers are too many for one backend (at most 1048576)")]
    TooMany(usize),
    /// A weight above 256.
    #[error("weight {weight} of server number {server} is above 256")]
    Weight {
        /// Place of the server, from 0.
        server: usize,
        /// What was asked for.
        weight: u16,
    },
}

/// A weight that a static scheduler cannot take at run time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a static scheduler accepts only weight 0 and the configured weight")]
pub struct WeightError;

/// Bounds the memory of a policy; sums of weights (at most 2^20 · 2^12) fit 32 bits by it.
const MAX_SERVERS: usize = (1 << 20) - 1;

/// The scheduler of one backend. See the crate's documentation.
#[derive(Debug)]
pub struct Policy {
    /// Which servers answer now: see [`Front`].
    front: AtomicU64,
    sched: Sched,
    /// The scheduler wants to hear of every stream that comes and goes.
    counts_streams: bool,
    parking: Parking,
    /// The group of each server, [`ACTIVE`] or [`BACKUP`]; it never changes.
    group_of: Box<[u8]>,
    admin: Mutex<Admin>,
}

/// Place of the servers that are no backup in each pair of groups.
const ACTIVE: usize = 0;
/// Place of the backup servers.
const BACKUP: usize = 1;

/// Which servers answer, packed into [`Policy::front`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Front {
    Nobody,
    Group(usize),
    /// The first usable backup server alone.
    One(u32),
}

impl Front {
    fn pack(self) -> u64 {
        match self {
            Front::Nobody => u64::MAX,
            Front::Group(group) => group as u64,
            Front::One(id) => 2 + u64::from(id),
        }
    }

    #[inline]
    fn unpack(word: u64) -> Front {
        match word {
            u64::MAX => Front::Nobody,
            0 => Front::Group(ACTIVE),
            1 => Front::Group(BACKUP),
            id => Front::One((id - 2) as u32),
        }
    }
}

/// Which servers were found full and put aside, so that a pick does not meet them again before they have room.
#[derive(Debug)]
pub(crate) struct Parking {
    parked: Box<[AtomicBool]>,
}

impl Parking {
    /// Parks `id`, under its group's lock. False, and not parked, when it is not full any more.
    pub(crate) fn park(&self, id: u32, view: &impl LoadView) -> bool {
        let flag = &self.parked[id as usize];
        flag.store(true, Ordering::Relaxed);
        // With the fence in `may_be_parked`: either we see the freed slot here, or the thread that freed it sees the flag.
        fence(Ordering::SeqCst);
        if view.is_full(ServerId(id)) {
            return true;
        }
        flag.store(false, Ordering::Relaxed);
        false
    }

    /// Called after a slot of `id` was freed: whether the server may be parked.
    #[inline]
    fn may_be_parked(&self, id: u32) -> bool {
        fence(Ordering::SeqCst);
        self.parked[id as usize].load(Ordering::Relaxed)
    }

    /// Ends the parking of `id`, under its group's lock; whether it was parked.
    pub(crate) fn leave(&self, id: u32) -> bool {
        self.parked[id as usize].swap(false, Ordering::Relaxed)
    }

    /// Whether `id` is parked, under its group's lock; ends it when `leave`.
    pub(crate) fn leave_if(&self, id: u32, leave: bool) -> bool {
        if leave { self.leave(id) } else { self.parked[id as usize].load(Ordering::Relaxed) }
    }
}

/// What operators and checks have set. Off the data path.
#[derive(Debug)]
struct Admin {
    servers: Box<[AdminServer]>,
    /// Servers that may be picked, per group, in the order of the configuration.
    usable: [BTreeSet<u32>; 2],
}

#[derive(Debug, Clone, Copy)]
struct AdminServer {
    state: State,
    weight: Weight,
}

/// The servers of a group that may be picked.
pub(crate) struct Group<'a> {
    admin: &'a Admin,
    group: usize,
}

impl Group<'_> {
    /// Id and weight in sixteenths, in the order of the configuration.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, u32)> {
        let weight = |id: u32| self.admin.servers[id as usize].weight.as_sixteenths().into();
        self.admin.usable[self.group].iter().map(move |&id| (id, weight(id)))
    }
}

pub(crate) fn group_of(spec: &ServerSpec) -> usize {
    if spec.backup { BACKUP } else { ACTIVE }
}

impl AdminServer {
    /// The weight that the scheduler works with.
    fn effective(&self) -> Weight {
        if self.state == State::Usable { self.weight } else { Weight::ZERO }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing between lock and unlock panics but a LoadView of the caller, which is called between whole steps.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Policy {
    /// A policy for these servers; their place in the slice is their [`ServerId`].
    pub fn new(settings: Settings, servers: &[ServerSpec]) -> Result<Policy, PolicyError> {
        if servers.len() > MAX_SERVERS {
            return Err(PolicyError::TooMany(servers.len()));
        }
        if let Some(server) = servers.iter().position(|s| s.weight > 256) {
            return Err(PolicyError::Weight { server, weight: servers[server].weight });
        }
        let n = servers.len();
        let sched = Sched::new(settings, servers);
        let admin = Admin {
            servers: servers.iter().map(|s| AdminServer { state: s.state, weight: Weight::units(s.weight) }).collect(),
            usable: Default::default(),
        };
        let policy = Policy {
            front: AtomicU64::new(Front::Nobody.pack()),
            counts_streams: sched.counts_streams(),
            sched,
            parking: Parking { parked: (0..n).map(|_| AtomicBool::new(false)).collect() },
            group_of: servers.iter().map(|s| group_of(s) as u8).collect(),
            admin: Mutex::new(admin),
        };
        policy.begin();
        Ok(policy)
    }

    /// Enters all servers at once, so that tables are built once and not per server.
    fn begin(&self) {
        let mut admin = lock(&self.admin);
        for id in 0..self.len() as u32 {
            if admin.servers[id as usize].effective() != Weight::ZERO {
                admin.usable[self.group(id)].insert(id);
            }
        }
        for group in [ACTIVE, BACKUP] {
            self.sched.begin(group, &Group { admin: &admin, group });
        }
        self.front.store(self.front_of(&admin).pack(), Ordering::Release);
    }

    /// What the policy was made from.
    pub fn settings(&self) -> Settings {
        self.sched.settings
    }

    /// How many servers it has, usable or not.
    pub fn len(&self) -> usize {
        self.parking.parked.len()
    }

    /// Whether it has no servers at all.
    pub fn is_empty(&self) -> bool {
        self.parking.parked.is_empty()
    }

    /// Chooses a server for a stream. The caller reports with [`Policy::taken`] when the stream gets (or waits for) a slot.
    #[inline]
    pub fn pick(&self, key: Key<'_>, view: &impl LoadView, tried: &Tried) -> Pick {
        self.choose(key, view, tried, false)
    }

    /// [`Policy::pick`] and [`Policy::taken`] in one step: with leastconn no other thread can choose in between.
    #[inline]
    pub fn assign(&self, key: Key<'_>, view: &impl LoadView, tried: &Tried) -> Pick {
        self.choose(key, view, tried, true)
    }

    fn choose(&self, key: Key<'_>, view: &impl LoadView, tried: &Tried, take: bool) -> Pick {
        let group = match Front::unpack(self.front.load(Ordering::Acquire)) {
            Front::Group(group) => group,
            Front::Nobody => return Pick::NoneUsable,
            Front::One(id) => {
                if take {
                    self.taken(ServerId(id));
                }
                return Pick::Server(ServerId(id));
            }
        };
        self.sched.pick(group, key, view, tried, &self.parking, take)
    }

    /// A server took so long to answer: the time from when a stream was sent there to the first of what came back. `now` is
    /// that of [`LoadView::now`]. For [`crate::Kind::PeakEwma`]; others ignore it ([`Policy::wants_latency`]).
    pub fn observe(&self, id: ServerId, now: Duration, took: Duration) {
        if let Some(latencies) = self.sched.latencies() {
            latencies.observe(id.0, now, took);
        }
    }

    /// Whether [`Policy::observe`] has any effect.
    pub fn wants_latency(&self) -> bool {
        self.sched.latencies().is_some()
    }

    /// A stream took a slot of the server or began to wait for one there. Not to be called after [`Policy::assign`].
    #[inline]
    pub fn taken(&self, id: ServerId) {
        self.add_load(id, 1);
    }

    /// A stream gave back its slot, or gave up waiting. To be called after the [`LoadView`] shows the free slot.
    #[inline]
    pub fn released(&self, id: ServerId) {
        self.add_load(id, -1);
        self.refresh(id);
    }

    /// The server may have room again for another reason than a released stream, for example a larger `maxconn`.
    #[inline]
    pub fn refresh(&self, id: ServerId) {
        if self.parking.may_be_parked(id.0) {
            self.unpark(id.0);
        }
    }

    /// Tells how many streams hold or await a slot of the server, where a policy takes over from another (reload).
    pub fn set_load(&self, id: ServerId, load: u32) {
        self.sched.set_load(self.group(id.0), id.0, load);
    }

    /// Takes the server in or out. When this returns, no later pick goes by the old state.
    pub fn set_state(&self, id: ServerId, state: State) {
        let mut admin = lock(&self.admin);
        let weight = admin.servers[id.0 as usize].weight;
        self.change(&mut admin, id.0, state, weight);
    }

    /// Changes the server's share, in effect at once. A static scheduler knows weight 0 and the configured one only.
    pub fn set_weight(&self, id: ServerId, weight: Weight) -> Result<(), WeightError> {
        let mut admin = lock(&self.admin);
        let configured = Weight::units(self.sched.specs[id.0 as usize].weight);
        if !self.sched.settings.kind.is_dynamic() && weight != Weight::ZERO && weight != configured {
            return Err(WeightError);
        }
        let state = admin.servers[id.0 as usize].state;
        self.change(&mut admin, id.0, state, weight);
        Ok(())
    }

    /// Whether all tables are as they should be. False only with [`Settings::late_tables`] and after a change: [`Policy::settle`] is to be
    /// called, from where time does not matter.
    pub fn is_settled(&self) -> bool {
        !self.sched.is_stale(ACTIVE) && !self.sched.is_stale(BACKUP)
    }

    /// Makes tables anew that are not as they should be; until then a server that has left is passed over for the next one in the
    /// table, and one that has come gets nothing. Takes milliseconds for tens of thousands of entries, in which picks and changes go on.
    pub fn settle(&self) {
        for group in [ACTIVE, BACKUP] {
            loop {
                let wanted = {
                    let admin = lock(&self.admin);
                    self.sched.late(group, &Group { admin: &admin, group })
                };
                let Some((as_of, servers)) = wanted else { break };
                let made = self.sched.make(&servers);
                let _unchanged = lock(&self.admin);
                self.sched.put(group, made, as_of);
            }
        }
    }

    /// The state that was last set.
    pub fn state(&self, id: ServerId) -> State {
        lock(&self.admin).servers[id.0 as usize].state
    }

    /// The weight that was last set, whatever the state.
    pub fn weight(&self, id: ServerId) -> Weight {
        lock(&self.admin).servers[id.0 as usize].weight
    }

    /// Whether streams go to the server's kind now: a backup has no turn while others are usable, nor, without
    /// [`Settings::allbackups`], behind the first one. Says nothing of the server's own state.
    #[inline]
    pub fn has_turn(&self, id: ServerId) -> bool {
        match Front::unpack(self.front.load(Ordering::Acquire)) {
            Front::Group(group) => self.group(id.0) == group,
            Front::One(first) => first == id.0,
            Front::Nobody => false,
        }
    }

    /// How many servers that are no backup, and how many that are, may be picked (state usable, weight above 0).
    pub fn usable(&self) -> (usize, usize) {
        let admin = lock(&self.admin);
        (admin.usable[ACTIVE].len(), admin.usable[BACKUP].len())
    }

    #[inline]
    fn group(&self, id: u32) -> usize {
        usize::from(self.group_of[id as usize])
    }

    #[inline]
    fn add_load(&self, id: ServerId, delta: i32) {
        if self.counts_streams {
            self.sched.add_load(self.group(id.0), id.0, delta);
        }
    }

    #[cold]
    fn unpark(&self, id: u32) {
        self.sched.unpark(self.group(id), id, &self.parking);
    }

    /// Applies one server's new state and weight: first the scheduler, then who answers.
    fn change(&self, admin: &mut Admin, id: u32, state: State, weight: Weight) {
        let server = &mut admin.servers[id as usize];
        let before = server.effective();
        server.state = state;
        server.weight = weight;
        let after = server.effective();
        if before == after {
            return;
        }
        let group = self.group(id);
        if after == Weight::ZERO {
            admin.usable[group].remove(&id);
        } else {
            admin.usable[group].insert(id);
        }
        if before == Weight::ZERO
            && let Some(latencies) = self.sched.latencies()
        {
            latencies.forget(id);
        }
        let servers = Group { admin, group };
        self.sched.change(group, id, after.as_sixteenths(), &servers, &self.parking);
        self.front.store(self.front_of(admin).pack(), Ordering::Release);
    }

    fn front_of(&self, admin: &Admin) -> Front {
        if !admin.usable[ACTIVE].is_empty() {
            return Front::Group(ACTIVE);
        }
        match admin.usable[BACKUP].first() {
            None => Front::Nobody,
            Some(_) if self.sched.settings.allbackups => Front::Group(BACKUP),
            Some(&first) => Front::One(first),
        }
    }
}
