//! Events per second, of the last second and at most. Nobody counts them on the way of a request: totals are looked at once
//! per second, and when somebody asks.

use crate::counters::sum;
use crate::proxy::{Backend, Frontend, Server};
use crate::worker::Process;
use std::time::{Duration, Instant};

/// One kind of events.
#[derive(Clone, Copy, Debug, Default)]
struct Meter {
    /// The total when this second began.
    total: u64,
    /// Events of the second before.
    before: u64,
    max: u64,
}

impl Meter {
    fn tick(&mut self, total: u64) {
        self.before = total.saturating_sub(self.total);
        self.total = total;
        self.max = self.max.max(self.before);
    }

    /// As haproxy counts: the events of this second, and of those of the one before the part that has not been gone by yet.
    fn rate(&mut self, total: u64, gone: Duration) -> u64 {
        let left = 1_000u64.saturating_sub(u64::try_from(gone.as_millis()).unwrap_or(1_000));
        let rate = total.saturating_sub(self.total) + self.before * left / 1_000;
        self.max = self.max.max(rate);
        rate
    }
}

/// A rate and the highest one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rate {
    pub now: u64,
    pub max: u64,
}

/// The rates of a frontend.
#[derive(Clone, Copy, Debug, Default)]
struct Front {
    connections: Meter,
    sessions: Meter,
    requests: Meter,
}

/// All rates of a process.
pub(crate) struct Rates {
    fronts: Vec<Front>,
    backs: Vec<Meter>,
    servers: Vec<Meter>,
    connections: Meter,
    sessions: Meter,
    bytes: Meter,
    second: Instant,
    /// Processor time of the process when this second began, and how much of the last one all threads were idle.
    cpu: Duration,
    idle: u64,
}

/// How often totals are looked at.
pub(crate) const SECOND: Duration = Duration::from_secs(1);

impl Rates {
    /// From `now` on.
    pub fn new(process: &Process, now: Instant) -> Rates {
        let topology = &process.topology;
        let mut rates = Rates {
            fronts: vec![Front::default(); topology.frontends.len()],
            backs: vec![Meter::default(); topology.backends.len()],
            servers: vec![Meter::default(); topology.server_count()],
            connections: Meter::default(),
            sessions: Meter::default(),
            bytes: Meter::default(),
            second: now,
            cpu: lb_sys::process::cpu_time(),
            idle: 100,
        };
        rates.begin(process);
        rates
    }

    /// Counts from here: totals have been set to other values.
    pub fn begin(&mut self, process: &Process) {
        self.each(process, |meter, total| meter.total = total);
    }

    /// `clear counters`: the highest values are forgotten.
    pub fn forget_highest(&mut self, process: &Process) {
        self.each(process, |meter, _| meter.max = 0);
    }

    /// A second is over.
    pub fn tick(&mut self, process: &Process, now: Instant) {
        let cpu = lb_sys::process::cpu_time();
        let wall = self.gone(now).as_micros().max(1) * process.counters.len() as u128;
        let busy = cpu.saturating_sub(self.cpu).as_micros() * 100 / wall;
        (self.cpu, self.idle) = (cpu, 100 - u64::try_from(busy).unwrap_or(100).min(100));
        self.second = now;
        self.each(process, Meter::tick);
    }

    fn each(&mut self, process: &Process, mut with: impl FnMut(&mut Meter, u64)) {
        let topology = &process.topology;
        let (mut connections, mut sessions, mut bytes) = (0, 0, 0);
        for (rates, frontend) in self.fronts.iter_mut().zip(&topology.frontends) {
            let blocks = || process.counters.iter().map(|c| c.front(frontend));
            let totals = [sum(blocks(), |f| f.connections.get()), sum(blocks(), |f| f.sessions.get())];
            connections += totals[0];
            sessions += totals[1];
            bytes += sum(blocks(), |f| f.bytes_out.get());
            with(&mut rates.connections, totals[0]);
            with(&mut rates.sessions, totals[1]);
            with(&mut rates.requests, sum(blocks(), |f| f.requests.get()));
        }
        for (meter, backend) in self.backs.iter_mut().zip(&topology.backends) {
            with(meter, backend_total(process, backend));
        }
        for server in topology.backends.iter().flat_map(|b| b.servers()) {
            with(&mut self.servers[server.pool_index], server_total(process, server));
        }
        with(&mut self.connections, connections);
        with(&mut self.sessions, sessions);
        with(&mut self.bytes, bytes);
    }

    /// Percent of the last second that the threads had nothing to do.
    pub fn idle_percent(&self) -> u64 {
        self.idle
    }

    fn gone(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.second)
    }

    /// Connections, sessions, requests of a frontend.
    pub fn frontend(&mut self, process: &Process, frontend: &Frontend, now: Instant) -> [Rate; 3] {
        let gone = self.gone(now);
        let blocks = || process.counters.iter().map(|c| c.front(frontend));
        let rates = &mut self.fronts[frontend.index];
        [
            read(&mut rates.connections, sum(blocks(), |f| f.connections.get()), gone),
            read(&mut rates.sessions, sum(blocks(), |f| f.sessions.get()), gone),
            read(&mut rates.requests, sum(blocks(), |f| f.requests.get()), gone),
        ]
    }

    /// Streams of a backend.
    pub fn backend(&mut self, process: &Process, backend: &Backend, now: Instant) -> Rate {
        let gone = self.gone(now);
        read(&mut self.backs[backend.index], backend_total(process, backend), gone)
    }

    /// Attempts at a server.
    pub fn server(&mut self, process: &Process, server: &Server, now: Instant) -> Rate {
        let gone = self.gone(now);
        read(&mut self.servers[server.pool_index], server_total(process, server), gone)
    }

    /// Connections, sessions, bytes to clients of the process, from their totals.
    pub fn process(&mut self, totals: [u64; 3], now: Instant) -> [Rate; 3] {
        let gone = self.gone(now);
        let [connections, sessions, bytes] = totals;
        [read(&mut self.connections, connections, gone), read(&mut self.sessions, sessions, gone), read(&mut self.bytes, bytes, gone)]
    }
}

fn read(meter: &mut Meter, total: u64, gone: Duration) -> Rate {
    let now = meter.rate(total, gone);
    Rate { now, max: meter.max }
}

fn backend_total(process: &Process, backend: &Backend) -> u64 {
    sum(process.counters.iter().map(|c| c.back(backend)), |b| b.sessions.get())
}

fn server_total(process: &Process, server: &Server) -> u64 {
    sum(process.counters.iter().filter_map(|c| c.used_server(server)), |s| s.sessions.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_fades() {
        let ms = Duration::from_millis;
        let mut meter = Meter::default();
        assert_eq!(meter.rate(5, ms(300)), 5);
        meter.tick(10);
        assert_eq!(meter.rate(10, ms(0)), 10);
        assert_eq!(meter.rate(13, ms(500)), 8);
        assert_eq!(meter.rate(13, ms(2000)), 3);
        meter.tick(13);
        meter.tick(13);
        assert_eq!((meter.rate(13, ms(0)), meter.max), (0, 10));
    }
}
