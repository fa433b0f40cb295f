//! A server: what its line says, and what has become of it. Made and changed by proxy.rs.
//!
//! Holds: what decides (state, limit, streams at once, where it is) is atomic or under a short lock; statistics alone look at its history.

use crate::health::lock;
use crate::proxy::{Backend, unix_addr};
use crate::warmth::Warmth;
use crate::watched::Watched;
use lb_balance::ServerId;
use lb_check::{Health, Transition, Verdict};
use lb_config::ServerAddress;
use lb_sys::socket::SockOpt;
use lb_sys::{Addr, Channel};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// A server.
pub struct Server {
    /// Its line, `default-server` applied.
    pub settings: lb_config::Server,
    /// Unique in the process: where per-thread pools keep its idle connections.
    pub pool_index: usize,
    /// Place in its backend.
    pub id: ServerId,
    /// Streams that hold a slot.
    pub served: AtomicU32,
    /// Streams in its own queue.
    pub queued: AtomicU32,
    /// Connections that wait idle in the threads' pools.
    pub idle: AtomicU32,
    /// Those of them that have carried one request alone: few, so that a busy connection is counted once and not at each request.
    pub idle_once: AtomicU32,
    /// Most streams at once (statistics: smax).
    pub most: AtomicU32,
    /// Most streams at once since the last purge, and what remains of earlier peaks.
    pub(crate) peak: AtomicU32,
    pub(crate) need: AtomicU32,
    /// It stands for `dispatch` and the like: logs do not know it as a server.
    pub implicit: bool,
    /// A connection to it serves one client: it depends on who that is, or where it connected to.
    pub per_client: AtomicBool,
    /// Its share of the work, 0 to 256: as configured, or what an operator made of it.
    pub weight: AtomicU32,
    /// `maxconn`; [`NO_LIMIT`]: none.
    pub(crate) maxconn: AtomicU32,
    /// Where it is, and how often an operator has changed that.
    pub(crate) destination: RwLock<ServerAddress>,
    pub(crate) moves: AtomicU32,
    /// Where a `sockpair@` leads.
    pub(crate) channel: Option<Channel>,
    /// Options of sockets towards it.
    pub options: Vec<SockOpt>,
    /// `option tcp-smart-connect`: the options for when there is something to send already.
    pub smart_options: Option<Vec<SockOpt>>,
    /// `slowstart`
    pub(crate) warmth: Warmth,
    /// What its checks and the operator say of it.
    pub health: Mutex<Health>,
    /// What is remembered of it.
    pub(crate) history: Mutex<History>,
    /// Where it is checked, if not at its own address and port.
    pub(crate) check_at: Mutex<CheckAt>,
    /// What its state hangs on beside its checks.
    pub(crate) watched: Watched,
    /// An operator has stopped its checks.
    pub(crate) checks_stopped: AtomicBool,
    pub(crate) state: AtomicU8,
}

/// A `maxconn` that is none.
pub(crate) const NO_LIMIT: u32 = u32::MAX;

/// What statistics tell of the past of a server, or of a backend as a whole.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// When it last changed; `None`: not since the start.
    pub changed: Option<Instant>,
    /// Time without service, up to the last change.
    down: Duration,
    /// Times that it went down.
    pub downs: u64,
    /// The last check's end.
    pub last: Option<Verdict>,
    /// A check is under way.
    pub checking: bool,
    /// Failed checks before the counters were cleared.
    pub forgotten_failures: u64,
}

impl History {
    /// It has changed. `since`: time since the change before, or since the start.
    pub fn note(&mut self, now: Instant, since: Duration, was_up: bool, is_up: bool) {
        if !was_up {
            self.down += since;
        }
        self.downs += u64::from(was_up && !is_up);
        self.changed = Some(now);
    }

    /// A server of this backend has changed; `had_one`, `has_one`: whether one took traffic before, and does now. As haproxy counts it: the
    /// time without service ends when a server comes up or is drained no longer, even if it has no share of the work. Maintenance
    /// is no time without service once it is over.
    pub fn note_server(&mut self, now: Instant, since: Duration, transition: Transition, had_one: bool, has_one: bool) {
        let ends_downtime = !had_one && matches!(transition, Transition::Up | Transition::DrainEnds);
        if ends_downtime || (had_one && !has_one) {
            self.note(now, since, had_one, has_one);
        } else if had_one != has_one {
            self.changed = Some(now);
        }
    }

    /// Time without service until now, which is `since` the last change.
    pub fn down_for(&self, is_down: bool, since: Duration) -> Duration {
        self.down + if is_down { since } else { Duration::ZERO }
    }
}

/// Where a server is checked, in place of its own address and port.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CheckAt {
    /// `addr`
    pub address: Option<IpAddr>,
    /// `port`
    pub port: Option<u16>,
}

/// What may be sent to a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum ServerState {
    /// Takes traffic.
    Up = 0,
    /// Takes what belongs to it.
    Drain = 1,
    /// Its checks fail.
    Down = 2,
    /// In maintenance.
    Maintenance = 3,
}

impl Server {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// The present state.
    pub fn state(&self) -> ServerState {
        match self.state.load(Ordering::Relaxed) {
            0 => ServerState::Up,
            1 => ServerState::Drain,
            2 => ServerState::Down,
            _ => ServerState::Maintenance,
        }
    }

    /// True when it may be connected to.
    pub fn usable(&self) -> bool {
        matches!(self.state(), ServerState::Up | ServerState::Drain)
    }

    /// `maxconn`
    #[inline]
    pub fn maxconn(&self) -> Option<u32> {
        Some(self.maxconn.load(Ordering::Relaxed)).filter(|max| *max != NO_LIMIT)
    }

    /// Where it is now.
    pub fn destination(&self) -> ServerAddress {
        self.destination.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often its address has been changed.
    #[inline]
    pub(crate) fn moves(&self) -> u32 {
        self.moves.load(Ordering::Acquire)
    }

    /// It is checked.
    pub(crate) fn is_checked(&self) -> bool {
        self.settings.check.is_some() && !self.checks_stopped.load(Ordering::Relaxed)
    }

    /// Streams that it takes at once now (`maxconn`, `minconn`); `u32::MAX`: no limit.
    pub fn limit(&self, backend: &Backend) -> u32 {
        let Some(max) = self.maxconn() else { return u32::MAX };
        match self.settings.minconn {
            // Manual 5.2 minconn: between minconn and maxconn in proportion to the backend's load.
            Some(min) if min < max => self.warmth.limit({
                let load = u64::from(backend.current.load(Ordering::Relaxed));
                let grown = u64::from(max) * load / u64::from(backend.fullconn.max(1));
                u32::try_from(grown).unwrap_or(u32::MAX).clamp(min.max(1), max)
            }),
            _ => self.warmth.limit(max),
        }
    }

    /// True when another stream would be served at once.
    pub(crate) fn has_room(&self, backend: &Backend) -> bool {
        self.maxconn().is_none() || self.served.load(Ordering::Relaxed) < self.limit(backend)
    }

    /// Counts one more stream if there is room.
    pub(crate) fn take_place(&self, backend: &Backend) -> bool {
        if self.maxconn().is_none() {
            let served = self.served.fetch_add(1, Ordering::Relaxed) + 1;
            self.note_peak(served);
            return true;
        }
        let limit = self.limit(backend);
        let before = self.served.fetch_update(Ordering::SeqCst, Ordering::Relaxed, |n| (n < limit).then_some(n + 1));
        if let Ok(before) = before {
            self.note_peak(before + 1);
        }
        before.is_ok()
    }

    /// `maxqueue`: nobody may wait here any more.
    pub(crate) fn queue_is_full(&self) -> bool {
        self.settings.maxqueue.is_some_and(|max| self.queued.load(Ordering::Relaxed) >= max)
    }

    fn note_peak(&self, served: u32) {
        // Rarely true: the line is written only then.
        if served > self.peak.load(Ordering::Relaxed) {
            self.peak.fetch_max(served, Ordering::Relaxed);
            // Never below the peak of late, see `forget_most`.
            self.most.fetch_max(served, Ordering::Relaxed);
        }
    }

    /// So many connections have left a pool, of which so many had carried one request alone.
    #[inline]
    pub(crate) fn note_idle_gone(&self, n: u32, once: u32) {
        self.idle.fetch_sub(n, Ordering::Relaxed);
        if once != 0 {
            self.idle_once.fetch_sub(once, Ordering::Relaxed);
        }
    }

    /// Idle connections: those that have carried one request, and those that have carried more.
    pub(crate) fn idle_by_use(&self) -> (u32, u32) {
        let idle = self.idle.load(Ordering::Relaxed);
        // Between two loads the other number may change.
        let once = self.idle_once.load(Ordering::Relaxed).min(idle);
        (once, idle - once)
    }

    /// Connections, in use or idle, that the server's traffic has needed at once of late.
    pub fn needed(&self) -> u32 {
        self.need.load(Ordering::Relaxed).max(self.peak.load(Ordering::Relaxed))
    }

    /// `clear counters`: from here on the most streams at once, and with `all` its failures, are noted anew.
    pub(crate) fn forget(&self, all: bool) {
        if all {
            let failures = lock(&self.health).failed_checks();
            let mut history = lock(&self.history);
            (history.downs, history.forgotten_failures) = (0, failures);
        }
        let served = self.served.load(Ordering::Relaxed);
        let peak = self.peak.swap(served, Ordering::Relaxed);
        self.need.fetch_max(peak, Ordering::Relaxed);
        self.most.store(served, Ordering::Relaxed);
    }

    /// Lets the memory of an old peak fade; called once per purge.
    pub(crate) fn fade(&self) {
        let peak = self.peak.swap(self.served.load(Ordering::Relaxed), Ordering::Relaxed);
        let need = self.need.load(Ordering::Relaxed);
        self.need.store(u32::midpoint(need, peak), Ordering::Relaxed);
    }

    /// Where a `sockpair@` leads.
    pub(crate) fn channel(&self) -> Addr {
        self.channel.clone().map_or(Addr::Unnamed, Addr::Over)
    }

    /// The address to connect to for a client that connected to `client`; `None` when that is needed and unknown.
    pub fn address(&self, client: impl FnOnce() -> Option<Addr>) -> Option<Addr> {
        match &*self.destination.read().unwrap_or_else(PoisonError::into_inner) {
            ServerAddress::Unix(path) => Some(unix_addr(path)),
            ServerAddress::Pair(_) => Some(self.channel()),
            ServerAddress::Ip { ip, port: lb_config::ServerPort::Fixed(port) } if !ip.is_unspecified() => {
                Some(Addr::Ip((*ip, *port).into()))
            }
            address @ ServerAddress::Ip { ip, .. } => {
                let client = client()?.ip()?;
                let mut to = address.socket_addr(client.port())?;
                if ip.is_unspecified() {
                    to.set_ip(client.ip());
                }
                Some(Addr::Ip(to))
            }
        }
    }
}
