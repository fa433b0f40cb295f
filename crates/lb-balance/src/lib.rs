//! Which server takes the next request: the schedulers of HAProxy, as a library of its own.
//!
//! A [`Policy`] holds the servers of one backend and is shared among threads behind a plain reference. [`Policy::pick`] chooses,
//! [`Policy::set_state`] and [`Policy::set_weight`] tell it what changed. There are no sockets, no clock, no randomness and
//! no statics here: time never matters to a choice, and random numbers come in as a [`Key`].
//!
//! What always holds:
//! - a pick that begins after `set_state` or `set_weight` returned never names a server that is down, draining, or of weight 0;
//! - backup servers are named only while no other server is usable: the first of them, or all with
//!   [`Settings::allbackups`];
//! - nothing allocates after [`Policy::new`], except the rebuilding of a hash map at a change of state;
//! - no input panics but a [`ServerId`] that does not belong to the policy, which is a bug of the caller.
//!
//! See each [`Kind`] for cost, source, and for what is exact and what approximate across threads.

mod heap;
mod map;
mod policy;
mod random;
mod ranked;
mod roundrobin;
mod tried;

pub use policy::{Policy, PolicyError, WeightError};
pub use tried::{MAX_TRIED, Tried};

use std::net::IpAddr;

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
    /// The first server by [`ServerSpec::order`] that is not full; weights other than 0 are ignored. O(log n) under a
    /// short mutex.
    First,
    /// The least loaded (in relation to weight) of this many servers drawn at random by weight; the random number comes in
    /// as [`Key::Random`]. O(draws · log n), lock-free.
    Random {
        /// Servers to draw, at least 1 (0 is read as 1). HAProxy's default is 2.
        draws: u32,
    },
    /// A hash of the client's address ([`Key::Addr`]) over a table with (sum of weights) entries: the same server as
    /// HAProxy's `balance source` with `hash-type map-based` chooses for that client. Weights are 0 or what was
    /// configured. O(1), lock-free. A client without an address takes turns as with [`Kind::StaticRr`].
    Source,
}

impl Kind {
    /// Whether weights may be changed to anything at run time. Static kinds know only 0 and the configured weight.
    pub fn is_dynamic(self) -> bool {
        !matches!(self, Kind::StaticRr | Kind::Source)
    }
}

/// What a policy is made from, beside its servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The scheduler.
    pub kind: Kind,
    /// `option allbackups`: when no other server is usable, all backup servers share the work instead of the first alone.
    pub allbackups: bool,
}

impl Settings {
    /// This scheduler, and only the first backup server at a time.
    pub fn new(kind: Kind) -> Self {
        Settings { kind, allbackups: false }
    }
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
    /// Its rank for [`Kind::First`]: the numeric `id` of the server, by default its place counted from 1.
    pub order: u32,
    /// How it starts.
    pub state: State,
}

impl ServerSpec {
    /// A usable server of this weight that is no backup, ranked by its place.
    pub fn new(weight: u16) -> Self {
        ServerSpec { weight, backup: false, order: 0, state: State::Usable }
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

    /// Streams that hold a slot of the server or wait for one. Only [`Kind::Random`] asks.
    fn load(&self, id: ServerId) -> u32;
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
}

/// What a hash or a random choice is made from. Schedulers that need none ignore it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Key {
    /// Nothing known: hashing schedulers take turns instead.
    None,
    /// The client's address. A mapped IPv4 address (`::ffff:a.b.c.d`) is hashed as the IPv6 address that it is.
    Addr(IpAddr),
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
