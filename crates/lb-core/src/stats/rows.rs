//! The rows of `show stat`: which there are, and what is in them.

use super::columns::at;
use super::rates::{Rate, Rates};
use super::{Kind, Row, Value};
use crate::counters::{Back, Front, mean_and_max, sum};
use crate::health::lock;
use crate::proxy::{Backend, Frontend, Server, ServerState};
use crate::worker::Process;
use lb_balance::{ServerId, Weight};
use lb_check::{Health, Status};
use lb_config::{Balance, HashKey, Mode, ServerAddress, ServerPort};
use lb_rt::Meter;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// What a row is made of.
#[derive(Clone)]
pub(crate) enum Part {
    Frontend(Arc<Frontend>),
    Server(Arc<Backend>, ServerId),
    Backend(Arc<Backend>),
}

/// Which rows are wanted.
pub(crate) struct Scope {
    /// `id` of one proxy.
    pub proxy: Option<u32>,
    /// 1: frontends, 2: backends, 4: servers; added.
    pub kinds: i64,
    /// `id` of one server.
    pub server: Option<u32>,
    /// Servers that are up only.
    pub up: bool,
    /// No servers in maintenance.
    pub no_maintenance: bool,
}

/// The rows of a scope in the order of the file: of each proxy its frontend, its servers, its backend.
pub(crate) fn parts(process: &Process, scope: &Scope) -> Vec<Part> {
    let topology = &process.topology;
    let mut parts: Vec<(u32, Part)> = Vec::new();
    let wanted = |id| scope.proxy.is_none_or(|proxy| proxy == id);
    for frontend in topology.frontends.iter().filter(|f| scope.kinds & 1 != 0 && wanted(f.settings.id)) {
        parts.push((frontend.order, Part::Frontend(frontend.clone())));
    }
    for backend in topology.backends.iter().filter(|b| wanted(b.settings.id)) {
        let servers = backend.servers().iter().filter(|s| !s.implicit && scope.kinds & 4 != 0);
        let servers = servers.filter(|s| scope.server.is_none_or(|id| id == s.settings.id));
        for server in servers.filter(|s| !hidden(s, scope)) {
            parts.push((backend.order, Part::Server(backend.clone(), server.id)));
        }
        if scope.kinds & 2 != 0 {
            parts.push((backend.order, Part::Backend(backend.clone())));
        }
    }
    // Stable: what was entered first of a proxy stays first.
    parts.sort_by_key(|(order, _)| *order);
    parts.into_iter().map(|(_, part)| part).collect()
}

fn hidden(server: &Server, scope: &Scope) -> bool {
    match server.state() {
        ServerState::Maintenance => scope.no_maintenance || scope.up,
        ServerState::Down => scope.up,
        _ => false,
    }
}

/// A row. `legends`: with addresses and algorithms, which not everybody is shown.
pub(crate) fn row(process: &Process, rates: &mut Rates, part: &Part, legends: bool, now: Instant) -> Row {
    match part {
        Part::Frontend(frontend) => frontend_row(process, rates, frontend, now),
        Part::Server(backend, id) => server_row(process, rates, backend, backend.server(*id), legends, now),
        Part::Backend(backend) => backend_row(process, rates, backend, legends, now),
    }
}

/// Where servers are left out, the line of a backend says how many of its servers are up.
pub(crate) fn tell_servers(row: &mut Row, part: &Part) {
    let Part::Backend(backend) = part else { return };
    let states: Vec<ServerState> = backend.servers().iter().filter(|s| !s.implicit).map(|s| s.state()).collect();
    let up = states.iter().filter(|state| !matches!(state, ServerState::Down | ServerState::Maintenance)).count();
    let status = if backend.serves() { "UP" } else { "DOWN" };
    row.set(at::STATUS, format!("{status} ({up}/{})", states.len()).as_str());
}

impl Row {
    fn names(&mut self, proxy: &str, service: &str) {
        self.set(at::PXNAME, proxy);
        self.set(at::SVNAME, service);
        self.set(at::PID, 1u32);
        self.set(at::IID, self.proxy);
        self.set(at::SID, self.id);
        self.set(at::TYPE, self.kind.number());
    }

    fn zeros(&mut self, columns: impl IntoIterator<Item = usize>) {
        for column in columns {
            self.set(column, 0u32);
        }
    }

    fn mode(&mut self, mode: Mode) {
        self.set(at::MODE, if mode == Mode::Http { "http" } else { "tcp" });
    }

    /// Responses by class, of all threads.
    fn responses(&mut self, class: impl Fn(usize) -> u64) {
        for n in 1..=5 {
            self.set(at::HRSP_1XX + n - 1, class(n));
        }
        self.set(at::HRSP_OTHER, class(0));
    }

    /// What has gone over HTTP/1 connections, of all threads.
    fn wire<'a>(&mut self, wires: impl Iterator<Item = &'a Arc<Meter>> + Clone) {
        let counts = [Meter::received, Meter::sent, Meter::spliced_in, Meter::spliced_out];
        for (column, count) in (at::H1_BYTES_IN..).zip(counts) {
            self.set(column, sum(wires.clone(), |wire| count(wire)));
        }
    }

    fn rate(&mut self, rate: Rate) {
        self.set(at::RATE, rate.now);
        self.set(at::RATE_MAX, rate.max);
    }
}

/// Columns that modules have which are not there: TLS, HTTP/2.
const MODULES: std::ops::Range<usize> = at::SSL_SESS..at::H1_OPEN_CONNECTIONS;

fn frontend_row(process: &Process, rates: &mut Rates, frontend: &Frontend, now: Instant) -> Row {
    let settings = &frontend.settings;
    let http = settings.mode == Mode::Http;
    let mut row = Row::new(Kind::Frontend, settings.id, 0);
    row.names(frontend.name(), "FRONTEND");
    let total = |count: fn(&Front) -> u64| sum(process.counters.iter().map(|c| c.front(frontend)), count);
    let [connections, sessions, requests] = rates.frontend(process, frontend, now);
    let current = frontend.gate.current();
    let peak = process.counters.iter().map(|c| c.front(frontend).peak.get()).max().unwrap_or(0);
    row.set(at::SCUR, current);
    row.set(at::SMAX, peak);
    row.set(at::SLIM, frontend.gate.max());
    row.set(at::STOT, total(|f| f.sessions.get()));
    row.set(at::BIN, total(|f| f.bytes_in.get()));
    row.set(at::BOUT, total(|f| f.bytes_out.get()));
    row.set(at::DREQ, total(|f| f.denied_requests.get()));
    row.set(at::DRESP, total(|f| f.denied_responses.get()));
    row.set(at::EREQ, total(|f| f.bad_requests.get()));
    row.set(at::STATUS, frontend.status());
    row.rate(sessions);
    row.set(at::RATE_LIM, settings.rate_limit_sessions.unwrap_or(0));
    if http {
        row.responses(|class| sum(process.counters.iter().map(|c| c.front(frontend)), |f| f.statuses.class(class)));
        row.set(at::INTERCEPTED, total(|f| f.intercepted.get()));
        row.zeros([at::CACHE_LOOKUPS, at::CACHE_HITS]);
    }
    row.set(at::REQ_RATE, if http { requests.now } else { 0 });
    row.set(at::REQ_RATE_MAX, if http { requests.max } else { 0 });
    row.set(at::REQ_TOT, if http { total(|f| f.requests.get()) } else { 0 });
    row.zeros(at::COMP_IN..=at::COMP_RSP);
    row.mode(settings.mode);
    row.set(at::CONN_RATE, connections.now);
    row.set(at::CONN_RATE_MAX, connections.max);
    row.set(at::CONN_TOT, total(|f| f.connections.get()));
    row.set(at::DCON, total(|f| f.denied_connections.get()));
    row.set(at::DSES, total(|f| f.denied_sessions.get()));
    row.zeros([at::WREW]);
    row.set(at::EINT, total(|f| f.internal_errors.get()));
    row.zeros(MODULES);
    row.set(at::H1_OPEN_CONNECTIONS, if http { current } else { 0 });
    row.set(at::H1_TOTAL_CONNECTIONS, if http { total(|f| f.connections.get()) } else { 0 });
    row.set(at::H1_TOTAL_STREAMS, if http { total(|f| f.requests.get()) } else { 0 });
    row.set(at::H1_OPEN_STREAMS, if http { total(|f| f.open.get()) } else { 0 });
    row.wire(process.counters.iter().map(|c| c.front_wire(frontend)));
    row
}

/// What backends and servers have in common: from the counts of its own, and from all that belong to it.
fn back(row: &mut Row, own: &[&Back], all: &[&Back], http: bool, age: u64) {
    let total = |count: fn(&Back) -> u64| sum(own.iter().copied(), count);
    let together = |count: fn(&Back) -> u64| sum(all.iter().copied(), count);
    row.set(at::STOT, total(|b| b.sessions.get()));
    row.set(at::BIN, together(|b| b.bytes_in.get()));
    row.set(at::BOUT, together(|b| b.bytes_out.get()));
    row.set(at::DRESP, total(|b| b.denied_responses.get()));
    row.zeros([at::WREW]);
    row.set(at::ECON, total(|b| b.failed_connections.get()));
    row.set(at::ERESP, total(|b| b.failed_responses.get()));
    row.set(at::WRETR, total(|b| b.retries.get()));
    row.set(at::WREDIS, total(|b| b.redispatches.get()));
    row.set(at::LBTOT, together(|b| b.chosen.get()));
    row.set(at::CLI_ABRT, total(|b| b.client_aborts.get()));
    row.set(at::SRV_ABRT, total(|b| b.server_aborts.get()));
    row.set(at::CONNECT, together(|b| b.connects.get()));
    row.set(at::REUSE, together(|b| b.reuses.get()));
    row.set(at::EINT, total(|b| b.internal_errors.get()));
    row.set(at::QMAX, own.iter().map(|b| b.queue_peak.get()).max().unwrap_or(0));
    if http {
        row.responses(|class| sum(own.iter().copied(), |b| b.statuses.class(class)));
        row.set(at::REQ_TOT, total(|b| b.statuses.total()));
    }
    let last = all.iter().map(|b| b.last.get()).max().unwrap_or(0);
    // Kept as one more than the second, so that 0 is never.
    let since = last.checked_sub(1).map_or(-1, |second| i64::try_from(age.saturating_sub(second)).unwrap_or(i64::MAX));
    row.values[at::LASTSESS] = Some(Value::Int(since));
    for time in 0..4 {
        let (mean, max) = mean_and_max(all.iter().map(|b| &b.times), time);
        // The time to the response has a meaning in mode http.
        let shown = |n| if time == 2 && !http { 0 } else { n };
        row.set(at::QTIME + time, shown(mean));
        row.set(at::QTIME_MAX + time, shown(max));
    }
}

fn backend_row(process: &Process, rates: &mut Rates, backend: &Backend, legends: bool, now: Instant) -> Row {
    let http = backend.is_http();
    let mut row = Row::new(Kind::Backend, backend.settings.id, 0);
    row.names(backend.name(), "BACKEND");
    let (own, all) = process.back_counts(backend);
    back(&mut row, &own, &all, http, process.age(now));
    row.set(at::QCUR, backend.queue.backend_waiting());
    row.set(at::SCUR, backend.current.load(Ordering::Relaxed));
    row.set(at::SMAX, process.counters.iter().map(|c| c.back(backend).peak.get()).max().unwrap_or(0));
    row.set(at::SLIM, backend.fullconn);
    row.set(at::DREQ, sum(own.iter().copied(), |b| b.denied_requests.get()));
    let (active, backups) = backend.usable();
    row.set(at::STATUS, if backend.serves() { "UP" } else { "DOWN" });
    let weight = backend.total_weight();
    row.set(at::WEIGHT, weight);
    row.set(at::UWEIGHT, weight);
    row.set(at::ACT, active as u64);
    row.set(at::BCK, backups as u64);
    let history = lock(&backend.history);
    row.set(at::CHKDOWN, history.downs);
    row.set(at::LASTCHG, process.since(history.changed, now).as_secs());
    row.set(at::DOWNTIME, history.down_for(!backend.serves(), process.since(history.changed, now)).as_secs());
    drop(history);
    row.rate(rates.backend(process, backend, now));
    row.zeros(at::COMP_IN..=at::COMP_RSP);
    if http {
        row.zeros([at::CACHE_LOOKUPS, at::CACHE_HITS]);
    }
    row.mode(backend.settings.mode);
    if legends {
        row.set(at::ALGO, algorithm(&backend.settings.balance));
    }
    row.zeros([at::AGG_SERVER_STATUS, at::AGG_SERVER_CHECK_STATUS, at::AGG_CHECK_STATUS]);
    row.zeros(MODULES);
    let idle: u32 = backend.servers().iter().map(|s| s.idle.load(Ordering::Relaxed)).sum();
    let served: u32 = backend.servers().iter().map(|s| s.served.load(Ordering::Relaxed)).sum();
    let total = |count: fn(&Back) -> u64| sum(all.iter().copied(), count);
    let only = |n: u64| if http { n } else { 0 };
    row.set(at::H1_OPEN_CONNECTIONS, only(u64::from(idle + served)));
    row.set(at::H1_OPEN_STREAMS, only(u64::from(served)));
    let checks = total(|b| b.http_checks.get());
    row.set(at::H1_TOTAL_CONNECTIONS, checks + only(total(|b| b.connects.get())));
    row.set(at::H1_TOTAL_STREAMS, checks + only(total(|b| b.connects.get()) + total(|b| b.reuses.get())));
    row.wire(process.counters.iter().map(|c| c.back_wire(backend)));
    row
}

pub(crate) fn algorithm(balance: &Balance) -> &'static str {
    match balance {
        Balance::RoundRobin => "roundrobin",
        Balance::StaticRr => "static-rr",
        Balance::LeastConn => "leastconn",
        Balance::First => "first",
        Balance::Sticky => "sticky",
        Balance::Random(_) => "random",
        Balance::Hash(HashKey::Source) => "source",
        Balance::Hash(HashKey::Destination) => "destination",
        Balance::Hash(HashKey::Uri(_)) => "uri",
        Balance::Hash(HashKey::UrlParam { .. }) => "url_param",
        Balance::Hash(HashKey::RdpCookie(_)) => "rdp-cookie",
        Balance::Hash(HashKey::Expr(_)) => "hash",
        Balance::Hash(HashKey::Header { .. }) => "hdr",
        Balance::PowerOfTwo => "p2c",
        Balance::PeakEwma(_) => "peak-ewma",
        Balance::Lvs(_) => "lvs",
    }
}

fn server_row(process: &Process, rates: &mut Rates, backend: &Backend, server: &Arc<Server>, legends: bool, now: Instant) -> Row {
    let http = backend.is_http();
    let mut row = Row::new(Kind::Server, backend.settings.id, server.settings.id);
    row.names(backend.name(), server.name());
    let own: Vec<&Back> = process.counters.iter().filter_map(|c| c.used_server(server)).collect();
    back(&mut row, &own, &own, http, process.age(now));
    row.set(at::QCUR, server.queued.load(Ordering::Relaxed));
    row.set(at::SCUR, server.served.load(Ordering::Relaxed));
    row.set(at::SMAX, server.most.load(Ordering::Relaxed));
    if let Some(max) = server.maxconn() {
        row.set(at::SLIM, max);
    }
    if let Some(max) = server.settings.maxqueue {
        row.set(at::QLIMIT, max);
    }
    let weight = server.weight.load(Ordering::Relaxed);
    row.set(at::WEIGHT, weight);
    row.set(at::UWEIGHT, weight);
    if server.warmth.is_warming() {
        let now = u32::from(backend.policy().weight(server.id).as_sixteenths());
        let full = weight.max(1) * u32::from(Weight::SCALE);
        row.set(at::WEIGHT, now.div_ceil(Weight::SCALE.into()));
        row.set(at::THROTTLE, (100 * now).div_ceil(full));
    }
    row.set(at::ACT, u32::from(!server.settings.backup));
    row.set(at::BCK, u32::from(server.settings.backup));
    check(&mut row, process, server, now);
    row.rate(rates.server(process, server, now));
    if legends {
        row.set(at::ADDR, address(&server.destination()).as_str());
    }
    row.mode(backend.settings.mode);
    let (once, safe) = server.idle_by_use();
    row.set(at::SRV_ICUR, once + safe);
    row.set(at::IDLE_CONN_CUR, once);
    row.set(at::SAFE_CONN_CUR, safe);
    if let Some(max) = server.settings.pool.max_conn {
        row.set(at::SRC_ILIM, max);
    }
    row.set(at::USED_CONN_CUR, server.served.load(Ordering::Relaxed));
    row.set(at::NEED_CONN_EST, server.needed());
    row.zeros(at::SSL_SESS..at::SSL_SESS + 3);
    row
}

/// What a server's agent has said.
fn agent(row: &mut Row, health: &Health, server: &Server) {
    let (Some((status, well)), Some(agent)) = (health.agent(), &server.watched.agent) else { return };
    let history = lock(&agent.history);
    let running = if history.checking { "* " } else { "" };
    row.set(at::AGENT_STATUS, format!("{running}{}", status.code()).as_str());
    row.set(at::AGENT_DESC, status.description());
    row.set(at::AGENT_DURATION, history.last.as_ref().map_or(0, |last| last.duration.as_millis() as u64));
    row.set(at::AGENT_RISE, 1u32);
    row.set(at::AGENT_FALL, 1u32);
    row.set(at::AGENT_HEALTH, u32::from(well));
    let Some(last) = &history.last else { return };
    if let Some(code) = last.code {
        row.set(at::AGENT_CODE, code);
    }
    if !last.info.is_empty() {
        row.set(at::LAST_AGT, String::from_utf8_lossy(&last.info).as_ref());
    }
}

/// State and checks of a server.
fn check(row: &mut Row, process: &Process, server: &Arc<Server>, now: Instant) {
    let health = lock(&server.health);
    let history = lock(&server.history);
    let since = process.since(history.changed, now);
    row.set(at::LASTCHG, since.as_secs());
    let checked = server.is_checked();
    let via = server.leader();
    let word = match &via {
        None => health.to_string(),
        Some((backend, id)) if health.is_inherited_maint() => format!("MAINT (via {}/{})", backend.name(), backend.server(*id).name()),
        Some(_) => health.shown(&lock(&server.checked_by().health)),
    };
    row.set(at::STATUS, word.as_str());
    if let Some((backend, id)) = &via {
        row.set(at::TRACKED, format!("{}/{}", backend.name(), backend.server(*id).name()).as_str());
    }
    agent(row, &health, server);
    if server.settings.watching.as_ref().is_some_and(|watching| watching.observe.is_some()) {
        row.set(at::HANAFAIL, server.watched.overruns.load(Ordering::Relaxed));
    }
    if !checked {
        return;
    }
    row.set(at::CHKFAIL, health.failed_checks().saturating_sub(history.forgotten_failures));
    row.set(at::CHKDOWN, history.downs);
    row.set(at::DOWNTIME, history.down_for(!server.usable(), since).as_secs());
    if health.in_maintenance() {
        return;
    }
    let code = health.status().code();
    let known = history.last.as_ref().filter(|last| last.status == health.status());
    row.set(at::CHECK_STATUS, if history.checking { format!("* {code}") } else { code.to_owned() }.as_str());
    row.set(at::CHECK_DESC, health.status().description());
    row.set(at::CHECK_RISE, health.spec().rise);
    row.set(at::CHECK_FALL, health.spec().fall);
    row.set(at::CHECK_HEALTH, health.level());
    let Some(last) = known else { return };
    if let Some(code) = last.code {
        row.set(at::CHECK_CODE, code);
    }
    if !matches!(health.status(), Status::Initial | Status::Hana) {
        row.set(at::CHECK_DURATION, last.duration.as_millis() as u64);
    }
    if !last.info.is_empty() {
        row.set(at::LAST_CHK, String::from_utf8_lossy(&last.info).as_ref());
    }
}

/// A server's address as statistics show it.
pub(crate) fn address(address: &ServerAddress) -> String {
    match address {
        ServerAddress::Unix(_) => "unix".into(),
        ServerAddress::Pair(fd) => format!("sockpair@{fd}"),
        ServerAddress::Ip { ip, port } => {
            let port = match port {
                ServerPort::Fixed(port) => i32::from(*port),
                ServerPort::Offset(offset) => *offset,
            };
            if ip.is_ipv4() { format!("{ip}:{port}") } else { format!("[{ip}]:{port}") }
        }
    }
}

impl Process {
    /// Seconds that the process has run.
    pub(crate) fn age(&self, now: Instant) -> u64 {
        self.since(None, now).as_secs()
    }

    /// Time since a change; `None`: since the start.
    pub(crate) fn since(&self, changed: Option<Instant>, now: Instant) -> Duration {
        changed.or(self.started.get().map(|(at, _)| *at)).map_or(Duration::ZERO, |at| now.saturating_duration_since(at))
    }
}
