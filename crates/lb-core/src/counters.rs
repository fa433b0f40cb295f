//! What is counted for statistics. Each thread has a block of its own for every frontend, and for every backend and server that it
//! has used; others only read it, and sum when somebody asks.
//!
//! Holds: a count has one writer, so adding is a load and a store; a stream adds what it was about once, when its record is
//! dropped ([`Record::count`]), and at other moments only what others could not tell in between: its begin, its choice of a
//! server, its attempts. What decides (current connections, slots, queues) is not here.

use crate::proxy::{Backend, Frontend, Server, Topology};
use crate::record::Record;
use crate::timers::Step;
use crate::worker::Process;
use lb_expr::{Cause, Phase};
use lb_rt::Meter;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// A number that one thread changes.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds `n`. To be called by the thread that the number belongs to.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Takes `n` off. To be called by the thread that the number belongs to.
    #[inline]
    pub fn sub(&self, n: u64) {
        self.add(n.wrapping_neg());
    }

    /// Makes it at least `n`.
    #[inline]
    pub fn raise(&self, n: u64) {
        if self.get() < n {
            self.0.store(n, Ordering::Relaxed);
        }
    }

    /// The number; any thread.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }
}

/// Responses by the first digit of their status; the first place is for all others.
#[derive(Debug, Default)]
pub struct Statuses([Count; 6]);

impl Statuses {
    #[inline]
    fn add(&self, status: u16) {
        let class = match status / 100 {
            class @ 1..=5 => class as usize,
            _ => 0,
        };
        self.0[class].add(1);
    }

    /// Those of a class; 0: of none.
    pub fn class(&self, class: usize) -> u64 {
        self.0[class].get()
    }

    /// All.
    pub fn total(&self) -> u64 {
        self.0.iter().map(Count::get).sum()
    }
}

/// One thread's counts of a frontend.
#[derive(Debug, Default)]
pub struct Front {
    /// Connections accepted (conn_tot).
    pub connections: Count,
    /// Sessions begun (stot).
    pub sessions: Count,
    /// Requests (req_tot).
    pub requests: Count,
    /// Bytes from clients.
    pub bytes_in: Count,
    /// Bytes to clients.
    pub bytes_out: Count,
    /// What never became a request (ereq).
    pub bad_requests: Count,
    /// Requests that the proxy answers itself by design: `monitor-uri`.
    pub intercepted: Count,
    /// Requests that rules refused (dreq).
    pub denied_requests: Count,
    /// Responses that rules refused (dresp).
    pub denied_responses: Count,
    /// Connections that rules refused (dcon).
    pub denied_connections: Count,
    /// Sessions that rules refused (dses).
    pub denied_sessions: Count,
    /// Streams that a fault of this program ended (eint).
    pub internal_errors: Count,
    /// What clients were answered.
    pub statuses: Statuses,
    /// Most connections at once.
    pub peak: Count,
    /// Requests under way.
    pub open: Count,
}

/// Streams of which averages are made.
const SAMPLES: u64 = 1024;

/// Times of the last [`SAMPLES`] streams, in milliseconds: in queues, to connect, to the response, in all.
#[derive(Debug, Default)]
pub struct Times {
    count: Count,
    sums: [Count; 4],
    max: [Count; 4],
}

impl Times {
    #[inline]
    fn add(&self, times: [u32; 4]) {
        let full = self.count.get() >= SAMPLES;
        for ((sum, max), time) in self.sums.iter().zip(&self.max).zip(times) {
            let time = u64::from(time);
            let leaves = if full { sum.get().div_ceil(SAMPLES) } else { 0 };
            sum.set(sum.get().saturating_sub(leaves) + time);
            max.raise(time);
        }
        if !full {
            self.count.add(1);
        }
    }
}

/// One thread's counts of a backend or a server. What a server has counted (choices, connections, bytes, times) its backend has
/// not: the backend's number is its own, of streams without a server, and those of its servers together ([`Process::back_counts`]).
#[derive(Debug, Default)]
pub struct Back {
    /// Streams (backend), attempts (server): stot.
    pub sessions: Count,
    /// Choices of the scheduler (lbtot).
    pub chosen: Count,
    /// Bytes from clients.
    pub bytes_in: Count,
    /// Bytes to clients.
    pub bytes_out: Count,
    /// Streams that got no server (econ).
    pub failed_connections: Count,
    /// Responses that could not be used (eresp).
    pub failed_responses: Count,
    /// Requests that rules refused (dreq of a backend).
    pub denied_requests: Count,
    /// Responses that rules refused (dresp).
    pub denied_responses: Count,
    /// Further attempts at the same server (wretr).
    pub retries: Count,
    /// Streams that went on to another server (wredis).
    pub redispatches: Count,
    /// Transfers that the client broke off.
    pub client_aborts: Count,
    /// Transfers that the server broke off.
    pub server_aborts: Count,
    /// Connections begun.
    pub connects: Count,
    /// Requests on a connection that was there.
    pub reuses: Count,
    /// Streams that a fault of this program ended (eint).
    pub internal_errors: Count,
    /// What clients were answered (backend), what the server answered (server).
    pub statuses: Statuses,
    /// Most streams at once, as this thread saw them; a server's is in [`Server`].
    pub peak: Count,
    /// Most streams in the queue.
    pub queue_peak: Count,
    /// Times of streams that were answered.
    pub times: Times,
    /// When it was last used, in seconds from the start of the process, and one.
    pub last: Count,
    /// Health checks over HTTP.
    pub http_checks: Count,
}

/// All counts of one thread.
pub struct Counters {
    /// By [`Frontend::index`].
    fronts: Box<[Front]>,
    /// By [`Backend::index`].
    backs: Box<[Back]>,
    /// By [`Server::pool_index`]; most servers of a large configuration see little traffic.
    servers: Box<[OnceLock<Box<Back>>]>,
    /// What goes over the HTTP/1 connections of each frontend, with clients.
    front_wires: Box<[Arc<Meter>]>,
    /// The same of each backend, with servers.
    back_wires: Box<[Arc<Meter>]>,
}

impl Counters {
    /// Zero for everything.
    pub fn new(topology: &Topology) -> Counters {
        Counters {
            fronts: topology.frontends.iter().map(|_| Front::default()).collect(),
            backs: topology.backends.iter().map(|_| Back::default()).collect(),
            servers: (0..topology.server_count()).map(|_| OnceLock::new()).collect(),
            front_wires: topology.frontends.iter().map(|_| Arc::default()).collect(),
            back_wires: topology.backends.iter().map(|_| Arc::default()).collect(),
        }
    }

    /// Those of a frontend.
    #[inline]
    pub fn front(&self, frontend: &Frontend) -> &Front {
        &self.fronts[frontend.index]
    }

    /// Those of a backend.
    #[inline]
    pub fn back(&self, backend: &Backend) -> &Back {
        &self.backs[backend.index]
    }

    /// Those of a server.
    #[inline]
    pub fn server(&self, server: &Server) -> &Back {
        self.servers[server.pool_index].get_or_init(Box::default)
    }

    /// Those of a server that this thread has used.
    pub fn used_server(&self, server: &Server) -> Option<&Back> {
        self.servers[server.pool_index].get().map(|b| &**b)
    }

    /// What goes over the HTTP/1 connections of a frontend.
    #[inline]
    pub fn front_wire(&self, frontend: &Frontend) -> &Arc<Meter> {
        &self.front_wires[frontend.index]
    }

    /// What goes over the HTTP/1 connections of a backend.
    #[inline]
    pub fn back_wire(&self, backend: &Backend) -> &Arc<Meter> {
        &self.back_wires[backend.index]
    }

    /// `clear counters`: the highest values, or everything. To be called in the thread that they belong to.
    pub(crate) fn clear(&self, all: bool) {
        for front in &self.fronts {
            front.clear(all);
        }
        for back in self.backs.iter().chain(self.servers.iter().filter_map(|s| s.get().map(|b| &**b))) {
            back.clear(all);
        }
        if all {
            self.front_wires.iter().chain(&self.back_wires).for_each(|wire| wire.clear());
        }
    }
}

impl Front {
    fn clear(&self, all: bool) {
        self.peak.set(0);
        if all {
            let Front { connections, sessions, requests, bytes_in, bytes_out, bad_requests, intercepted, internal_errors, .. } = self;
            let counts = [connections, sessions, requests, bytes_in, bytes_out, bad_requests, intercepted, internal_errors];
            let denied = [&self.denied_requests, &self.denied_responses, &self.denied_connections, &self.denied_sessions];
            counts.into_iter().chain(denied).chain(&self.statuses.0).for_each(|c| c.set(0));
        }
    }
}

impl Back {
    fn clear(&self, all: bool) {
        for count in [&self.peak, &self.queue_peak].into_iter().chain(&self.times.max) {
            count.set(0);
        }
        if !all {
            return;
        }
        let some = [&self.sessions, &self.chosen, &self.bytes_in, &self.bytes_out, &self.failed_connections, &self.failed_responses];
        let more = [&self.retries, &self.redispatches, &self.client_aborts, &self.server_aborts, &self.connects, &self.reuses];
        let rest = [&self.denied_requests, &self.denied_responses, &self.internal_errors, &self.times.count, &self.last, &self.http_checks];
        let all = some.into_iter().chain(more).chain(rest).chain(&self.times.sums).chain(&self.statuses.0);
        all.for_each(|c| c.set(0));
    }
}

impl Process {
    /// All threads' counts of a backend: its own, and with those of its servers.
    pub fn back_counts(&self, backend: &Backend) -> (Vec<&Back>, Vec<&Back>) {
        let own: Vec<&Back> = self.counters.iter().map(|c| c.back(backend)).collect();
        let servers = backend.servers().iter().flat_map(|s| self.counters.iter().filter_map(|c| c.used_server(s)));
        let all = own.iter().copied().chain(servers).collect();
        (own, all)
    }

    /// Connections of a frontend so far.
    pub fn connections(&self, frontend: &Frontend) -> u64 {
        sum(self.counters.iter().map(|counters| counters.front(frontend)), |front| front.connections.get())
    }

    /// Streams that a backend has had.
    pub fn streams(&self, backend: &Backend) -> u64 {
        sum(self.back_counts(backend).0.into_iter(), |back| back.sessions.get())
    }

    /// What is said of a proxy that has stopped; a `listen` is both.
    pub(crate) fn farewell(&self, frontend: Option<&Frontend>, backend: Option<&Backend>) -> String {
        let name = frontend.map(Frontend::name).or(backend.map(Backend::name)).unwrap_or_default();
        let front = frontend.map_or(0, |frontend| self.connections(frontend));
        let back = backend.map_or(0, |backend| self.streams(backend));
        format!("Proxy {name} stopped (cumulated conns: FE: {front}, BE: {back}).")
    }
}

/// The sum over all threads of some counts of each.
pub fn sum<'a, T: 'a>(blocks: impl Iterator<Item = &'a T>, count: impl Fn(&T) -> u64) -> u64 {
    blocks.map(count).fold(0, u64::wrapping_add)
}

/// The mean of a time (0: queue, 1: connect, 2: response, 3: total) and the longest.
pub fn mean_and_max<'a>(blocks: impl Iterator<Item = &'a Times> + Clone, time: usize) -> (u64, u64) {
    let count = sum(blocks.clone(), |t| t.count.get());
    let total = sum(blocks.clone(), |t| t.sums[time].get());
    let max = blocks.map(|t| t.max[time].get()).max().unwrap_or(0);
    (total.div_ceil(count.max(1)), max)
}

impl Record {
    /// Counts the stream for the backend that it goes to, which has so many now.
    #[inline]
    pub(crate) fn enters(&self, backend: &Backend, current: u32) {
        let worker = self.client.worker();
        let counts = worker.counters.back(backend);
        counts.sessions.add(1);
        counts.peak.raise(u64::from(current));
        self.client.stream_enters(backend.index);
    }

    /// Notes the scheduler's choice.
    #[inline]
    pub(crate) fn chosen(&mut self, server: &Server) {
        self.newly_chosen = true;
        self.client.stream_chooses(server.id.0);
    }

    /// Counts a further attempt after one at `server`.
    #[cold]
    pub(crate) fn tries_again(&self, server: &Server, elsewhere: bool) {
        let worker = self.client.worker();
        let backend = self.backend.as_ref().map(|b| worker.counters.back(b));
        for counts in [Some(worker.counters.server(server)), backend].into_iter().flatten() {
            if elsewhere { &counts.redispatches } else { &counts.retries }.add(1);
        }
    }

    /// Notes how long the queue has become that the stream begins to wait in: a server's or the backend's.
    #[cold]
    pub(crate) fn queues(&self, backend: &Backend, server: Option<&Server>) {
        let counters = &self.client.worker().counters;
        match server {
            Some(server) => counters.server(server).queue_peak.raise(server.queued.load(Ordering::Relaxed).into()),
            None => counters.back(backend).queue_peak.raise(backend.queue.backend_waiting().into()),
        }
    }

    /// Counts a connection that is begun to the server, or one that is used again.
    #[inline]
    pub(crate) fn attempts(&mut self, server: &Server, reused: bool) {
        let worker = self.client.worker();
        let counts = worker.counters.server(server);
        counts.sessions.add(1);
        if std::mem::take(&mut self.newly_chosen) {
            counts.chosen.add(1);
            counts.last.raise(worker.age() + 1);
        }
        if reused { &counts.reuses } else { &counts.connects }.add(1);
    }

    /// Counts a response of the server's that is not the stream's last.
    #[inline]
    pub(crate) fn answered(&self, server: &Server, status: u16) {
        self.client.worker().counters.server(server).statuses.add(status);
    }

    /// Adds the stream to the counts of its frontend, backend and server; to be called once, at its end.
    pub(crate) fn count(&self) {
        let worker = self.client.worker();
        let front = worker.counters.front(self.client.frontend());
        front.bytes_in.add(self.uploaded);
        front.bytes_out.add(self.downloaded);
        front.statuses.add(self.status);
        front.open.sub(1);
        let internal = self.end.cause == Cause::Internal;
        if internal {
            front.internal_errors.add(1);
        }
        if self.end.phase == Phase::Request && !self.end.is_normal() && self.end.cause != Cause::Local && !self.rules().ended {
            front.bad_requests.add(1);
        }
        let Some(backend) = &self.backend else { return };
        let back = worker.counters.back(backend);
        back.statuses.add(self.status);
        let server = self.server.as_ref().map(|s| worker.counters.server(s));
        let counts = server.unwrap_or(back);
        let answered = self.timers.reached(Step::Response);
        counts.bytes_in.add(self.uploaded);
        counts.bytes_out.add(self.downloaded);
        if answered {
            counts.statuses.add(self.status);
            counts.times.add(self.timers.spans());
        }
        if !self.end.is_normal() {
            [Some(back), server].into_iter().flatten().for_each(|counts| self.count_end(counts, internal));
        }
    }

    #[cold]
    fn count_end(&self, counts: &Back, internal: bool) {
        match (self.end.cause, self.end.phase) {
            _ if internal => counts.internal_errors.add(1),
            (Cause::ClientAbort, _) | (Cause::ClientTimeout, Phase::Data) => counts.client_aborts.add(1),
            (Cause::ServerAbort | Cause::ServerTimeout, Phase::Queue | Phase::Connect) => counts.failed_connections.add(1),
            (Cause::ServerAbort, Phase::Data) => {
                counts.server_aborts.add(1);
                counts.failed_responses.add(1);
            }
            (Cause::ServerTimeout, Phase::Data) => counts.server_aborts.add(1),
            (_, Phase::Headers) if self.rules().ended => {}
            (_, Phase::Headers) => counts.failed_responses.add(1),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_late() {
        let times = Times::default();
        times.add([0, 1, 2, 5]);
        times.add([0, 1, 3, 50]);
        assert_eq!(mean_and_max([&times].into_iter(), 3), (28, 50));
        assert_eq!(mean_and_max([&times].into_iter(), 2), (3, 3));
        for _ in 0..20_000 {
            times.add([7, 0, 0, 100]);
        }
        let (mean, max) = mean_and_max([&times].into_iter(), 3);
        assert!((99..=101).contains(&mean) && max == 100, "{mean}");
        assert!((6..=7).contains(&mean_and_max([&times].into_iter(), 0).0));
        assert_eq!(mean_and_max([&times].into_iter(), 1).1, 1);
    }

    #[test]
    fn statuses_by_class() {
        let statuses = Statuses::default();
        [200, 204, 301, 404, 503, 0, 600, 999, 101].into_iter().for_each(|s| statuses.add(s));
        assert_eq!((0..6).map(|c| statuses.class(c)).collect::<Vec<_>>(), [3, 1, 2, 1, 1, 1]);
        assert_eq!(statuses.total(), 9);
    }
}
