//! Which server takes the next request: the schedulers of HAProxy and LVS, Maglev and the better of two, as a library of its own.
//!
//! A [`Policy`] holds the servers of one backend and is shared among threads behind a plain reference. [`Policy::pick`] chooses,
//! [`Policy::set_state`] and [`Policy::set_weight`] tell it what changed. There are no sockets, no clock, no randomness and
//! no statics here: the few schedulers to which time matters ask the [`LoadView`], and random numbers come in as a [`Key`].
//!
//! What always holds:
//! - a pick that begins after `set_state` or `set_weight` returned never names a server that is down, draining, or of weight 0;
//! - backup servers are named only while no other server is usable: the first of them, or all with
//!   [`Settings::allbackups`];
//! - no pick allocates (but the first with a key under [`Lvs::Lblc`] and [`Lvs::Lblcr`], which makes their memory of keys);
//! - no input panics but a [`ServerId`] that does not belong to the policy, which is a bug of the caller.
//!
//! See each [`Kind`] for cost, source, and for what is exact and what approximate across threads.

mod hash;
mod heap;
mod late;
mod latency;
mod locality;
mod maglev;
mod map;
mod places;
mod policy;
mod random;
mod ranked;
mod ring;
mod roundrobin;
mod sched;
mod slow_start;
mod tried;

pub use hash::{Function, Hash, Lookup, seed, xxh32};
pub use maglev::{MAGLEV_SIZE, MAX_MAGLEV_SIZE};
pub use policy::{Policy, PolicyError, WeightError};
pub use slow_start::SlowStart;
pub use tried::{MAX_TRIED, Tried};

use std::net::IpAddr;
use std::time::Duration;

/// A server's place in the slice that was given to [`Policy::new`], from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub u32);

/// How a backend chooses (manual section 4.2, `balance`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Each in turn, as often as its weight says, spread as evenly as can be; exact over each cycle of (sum of weights)
    /// picks, in HAProxy's order. Weights change at run time. O(log n) under a short mutex, so it is exact across threads.
    RoundRobin,
    /// Each in turn from a table of (sum of weights) entries, in HAProxy's order. Weights are 0 or what was configured.
    /// O(1), lock-free; exact across threads (one atomic counter), except while a change of state rebuilds the table.
    StaticRr,
    /// The fewest streams in relation to the weight; servers of equal load take turns. O(log n) under a short mutex. With
    /// [`Policy::assign`] exact across threads; with `pick` and `taken` two threads may choose the same server at once.
    LeastConn,
    /// The first server by [`ServerSpec::id`] that is not full; weights other than 0 are ignored. O(log n) under a
    /// short mutex.
    First,
    /// The least loaded (in relation to weight) of this many servers drawn at random by weight; the random number comes in
    /// as [`Key::Random`]. O(draws · log n), lock-free; a change is O(n), off the pick.
    Random {
        /// Servers to draw, at least 1 (0 is read as 1). HAProxy's default is 2.
        draws: u32,
    },
    /// By the hash of a key ([`Key::Addr`], [`Key::Bytes`], [`Key::Hash`]): the same server as HAProxy's `source`, `uri`, `hdr` and the
    /// like choose for that key. For costs see [`Lookup`]. Requests without a key take turns in the order of the table or ring.
    Hash(Hash),
    /// One server, until it is not usable any more; then the one that has been usable longest (HAProxy's `sticky`, for logs).
    /// Weights other than 0 are ignored. O(log n) under a short mutex.
    Sticky,
    /// The less loaded of two different servers drawn at random by weight; load is [`LoadView::load`] in relation to weight. The
    /// random number comes in as [`Key::Random`]. O(log n), lock-free; a change is O(n), off the pick. Source: Mitzenmacher 2001.
    PowerOfTwo,
    /// The one of two different servers, drawn as for [`Kind::PowerOfTwo`], from which the earlier answer is to be expected:
    /// its latency of late ([`Policy::observe`]) times the streams it will have, in relation to weight. A server of which nothing
    /// is known is tried by one stream at a time. O(log n), lock-free; readers of a latency may be one report behind. 8 bytes
    /// per server more. Source: Finagle's peak EWMA.
    PeakEwma {
        /// After so long without news an estimate has faded to 1/e of itself. Finagle's default is 10 s.
        decay: Duration,
    },
    /// One of LVS's.
    Lvs(Lvs),
}

impl Kind {
    /// Whether weights may be changed to anything at run time. Static kinds know only 0 and the configured weight.
    pub fn is_dynamic(self) -> bool {
        !matches!(self, Kind::StaticRr | Kind::Hash(Hash { lookup: Lookup::Map, .. }))
    }

    /// How a key becomes a number, for kinds that hash keys.
    pub fn hash(self) -> Option<Hash> {
        match self {
            Kind::Hash(hash) => Some(hash),
            Kind::Lvs(lvs) => lvs.hash(),
            _ => None,
        }
    }

    /// Whether the server follows from the key alone: it is named even when it is full, and its queue is waited in.
    pub fn is_hash(self) -> bool {
        self.hash().is_some() && !matches!(self, Kind::Lvs(Lvs::Lblc | Lvs::Lblcr))
    }

    /// Whether [`Key::Random`] is asked for.
    pub fn is_random(self) -> bool {
        matches!(self, Kind::Random { .. } | Kind::PowerOfTwo | Kind::PeakEwma { .. } | Kind::Lvs(Lvs::Twos))
    }
}

/// The schedulers of the Linux Virtual Server (ipvsadm(8)). Weights change at run time. Loads are streams, as LVS's active
/// connections; the inactive ones, which only a packet forwarder sees, do not count. Among equals the first in the configuration
/// is taken, as there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lvs {
    /// Each in turn, whatever its weight. O(1), lock-free; a change is O(n).
    Rr,
    /// Each in turn by weight, the heaviest first (`AABABCABC` for 4, 3, 2). O(1), lock-free; a change is O(W + n · W/n).
    Wrr,
    /// The fewest streams. As all of the following but for [`Lvs::Dh`], [`Lvs::Sh`], [`Lvs::Mh`], [`Lvs::Twos`]: O(log n) under a
    /// short mutex, exact across threads with [`Policy::assign`].
    Lc,
    /// The fewest streams in relation to weight.
    Wlc,
    /// Shortest expected delay: the fewest streams, with the one to come, in relation to weight.
    Sed,
    /// Never queue: an idle server, else as [`Lvs::Sed`].
    Nq,
    /// Locality: a key stays at its server until that one is overloaded while another is at less than half of its weight; else
    /// as [`Lvs::Wlc`]. 16,384 keys are remembered (512 KiB).
    Lblc,
    /// As [`Lvs::Lblc`] with up to four servers per key.
    Lblcr,
    /// Destination hash: [`Lookup::Buckets`], one bucket each. The key is the destination.
    Dh,
    /// Source hash: [`Lookup::Buckets`], by weight. The key is the source.
    Sh,
    /// Maglev with LVS's table of 4,093 entries: [`Lookup::Maglev`].
    Mh,
    /// Failover: the highest weight.
    Fo,
    /// Overflow: the highest weight among servers with no more streams than their weight. When all have more,
    /// [`Pick::AllFull`].
    Ovf,
    /// Two choices: [`Kind::Random`] with two draws.
    Twos,
}

impl Lvs {
    fn hash(self) -> Option<Hash> {
        // Addresses are mixed where the lookup does not do it itself.
        let lookup = match self {
            Lvs::Dh => return Some(Hash { lookup: Lookup::Buckets { weighted: false }, ..Hash::map() }),
            Lvs::Sh => return Some(Hash { lookup: Lookup::Buckets { weighted: true }, ..Hash::map() }),
            Lvs::Mh => Lookup::Maglev { size: 4_093 },
            Lvs::Lblc | Lvs::Lblcr => Lookup::Ring,
            _ => return None,
        };
        Some(Hash { lookup, ..Hash::ring() })
    }
}

/// What a policy is made from, beside its servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The scheduler.
    pub kind: Kind,
    /// `option allbackups`: when no other server is usable, all backup servers share the work instead of the first alone.
    pub allbackups: bool,
    /// `hash-balance-factor`: no server gets more streams than this percentage of the average, by weight; 0: no bound. For
    /// [`Lookup::Ring`] and [`Kind::Random`]; others ignore it.
    pub balance_factor: u32,
    /// `hash-preserve-affinity`. For [`Lookup::Ring`]; others ignore it.
    pub affinity: Affinity,
    /// Large tables are made anew by [`Policy::settle`] and not by the change itself, which then takes next to no time.
    pub late_tables: bool,
}

impl Settings {
    /// This scheduler, only the first backup server at a time, no bound.
    pub fn new(kind: Kind) -> Self {
        Settings { kind, allbackups: false, balance_factor: 0, affinity: Affinity::Always, late_tables: false }
    }
}

/// When a request leaves the server that its hash names (`hash-preserve-affinity`), for the next on the ring. When all are as full, it
/// stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Affinity {
    /// Never: it waits there.
    #[default]
    Always,
    /// When the server is full.
    MaxConn,
    /// When the server's queue is full, too.
    MaxQueue,
}

/// A weight in sixteenths, so that a slow start can grow finer than the 0 to 256 of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weight(u16);

impl Weight {
    /// No share of the work at all; streams that belong to the server still go there.
    pub const ZERO: Weight = Weight(0);
    /// Sixteenths in one unit of the configuration.
    pub const SCALE: u16 = 16;
    /// The largest weight, 256 units.
    pub const MAX: Weight = Weight(256 * Self::SCALE);

    /// From units of the configuration; more than 256 is 256.
    pub const fn units(units: u16) -> Weight {
        if units >= 256 { Weight::MAX } else { Weight(units * Self::SCALE) }
    }

    /// From sixteenths of a unit; more than 4096 is 4096.
    pub const fn sixteenths(n: u16) -> Weight {
        if n >= Weight::MAX.0 { Weight::MAX } else { Weight(n) }
    }

    /// In sixteenths of a unit, 0 to 4096.
    pub const fn as_sixteenths(self) -> u16 {
        self.0
    }
}

/// One server, as it stands when the policy is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerSpec {
    /// Its share, 0 to 256 (`weight`).
    pub weight: u16,
    /// Used only when no other server is usable (`backup`).
    pub backup: bool,
    /// Its numeric `id`, the rank for [`Kind::First`]; 0 stands for its place counted from 1.
    pub id: u32,
    /// Where its points on a ring begin (`hash-key`, see [`seed`]), and its name in Maglev's table; by default [`seed::by_id`].
    pub seed: Option<u32>,
    /// How it starts.
    pub state: State,
}

impl ServerSpec {
    /// A usable server of this weight that is no backup, ranked by its place.
    pub fn new(weight: u16) -> Self {
        ServerSpec { weight, backup: false, id: 0, seed: None, state: State::Usable }
    }

    /// The same as a backup server.
    pub fn backup(self) -> Self {
        ServerSpec { backup: true, ..self }
    }
}

/// Whether a server may be given work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Takes its share.
    Usable,
    /// Gets nothing new from the scheduler; what belongs to it (a cookie, a stick table) still goes there.
    Drain,
    /// Gets nothing.
    Down,
}

/// What the proxy knows about its servers right now. Called during a pick, under its lock: read atomics and return.
pub trait LoadView {
    /// Whether the server cannot take another stream at once: its `maxconn` is reached, or streams wait in its queue.
    fn is_full(&self, id: ServerId) -> bool;

    /// Streams that hold a slot of the server or wait for one. Only random kinds ask.
    fn load(&self, id: ServerId) -> u32;

    /// Streams that hold a slot of the server. Only [`Settings::balance_factor`] asks; the load, if not told otherwise.
    fn served(&self, id: ServerId) -> u32 {
        self.load(id)
    }

    /// Streams that hold a slot of any server. Only [`Settings::balance_factor`] asks, for which it has to be right.
    fn total(&self) -> u32;

    /// Whether another stream could not even wait at the server (`maxqueue`). Only [`Affinity::MaxQueue`] asks.
    fn queue_is_full(&self, _: ServerId) -> bool {
        false
    }

    /// The time since any fixed moment. Only [`Kind::PeakEwma`], [`Lvs::Lblc`] and [`Lvs::Lblcr`] ask: where it stands still,
    /// nothing is forgotten.
    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

/// A view in which no server has a limit and all are idle: for servers without `maxconn`, and for tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unlimited;

impl LoadView for Unlimited {
    fn is_full(&self, _: ServerId) -> bool {
        false
    }

    fn load(&self, _: ServerId) -> u32 {
        0
    }

    fn total(&self) -> u32 {
        0
    }
}

/// What a hash or a random choice is made from. Schedulers that need none ignore it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Key<'a> {
    /// Nothing known: hashing schedulers take turns instead.
    None,
    /// An address, the client's for example. A mapped IPv4 address (`::ffff:a.b.c.d`) is hashed as the IPv6 address that it is.
    Addr(IpAddr),
    /// Anything else: a path, a parameter, a cookie. Compared byte by byte.
    Bytes(&'a [u8]),
    /// What [`Hash::of`] made of a key: it is looked up as it is, also later than the key lives.
    Hash(u32),
    /// A fresh random number.
    Random(u64),
}

/// The answer of a scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// This server. A hashing scheduler (and the single backup server) is named even when it is full: the stream waits in
    /// that server's queue.
    Server(ServerId),
    /// Servers are usable, but all are full: the stream waits in the backend's queue for the first free slot.
    AllFull,
    /// No server is usable: there is nothing to wait for.
    NoneUsable,
}

impl Pick {
    /// The server, if one was chosen.
    pub fn server(self) -> Option<ServerId> {
        match self {
            Pick::Server(id) => Some(id),
            Pick::AllFull | Pick::NoneUsable => None,
        }
    }
}

/// The README's example, compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
