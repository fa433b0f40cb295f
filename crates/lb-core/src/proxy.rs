//! What a configuration becomes when it runs: frontends, backends and servers with their state. Built by [`Topology::new`],
//! shared by all threads. Settings are immutable; state is atomics; nothing here refers back to the configuration's file, so
//! that a stream of hours keeps its own backend alive and no more.

use crate::context::{Names, Uses};
use crate::gate::Gate;
use crate::health::lock;
use crate::listener::Mode as Accepting;
use crate::loggers::{FrontendLog, Loggers, ProxyLog, compiled};
use crate::mail::Alerts;
use crate::queue::Queue;
use crate::rate::Rate;
use crate::reply::ErrorPages;
use crate::server::{CheckAt, History, NO_LIMIT};
pub use crate::server::{Server, ServerState};
use crate::warmth::Warmth;
use crate::watched::{self, Watched};
use lb_balance::{Function, Key, Kind, LoadView, Pick, Policy, ServerId, ServerSpec, Settings, State, Tried, Weight, WeightError, seed};
use lb_config::{Balance, BindAddress, Config, Destination, HashKey, HttpReuse, Mode, ProxyIndex, ProxyKind, ServerAddress, ServerHashKey};
use lb_expr::{Field, LogFormat};
use lb_http::Spellings;
use lb_http::chunk::Trailers;
use lb_sys::socket::SockOpt;
use lb_sys::{Addr, Channel};
use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Everything that one configuration runs.
pub struct Topology {
    /// In the order of the file, disabled ones left out.
    pub frontends: Vec<Arc<Frontend>>,
    /// In the order of the file, disabled ones left out.
    pub backends: Vec<Arc<Backend>>,
    /// What expressions name.
    pub names: Names,
    /// Patterns of ACLs and maps.
    pub patterns: Arc<lb_expr::acl::Sets>,
    /// What expressions want to be kept.
    pub uses: Uses,
    /// Names of the files, for rules that tell where they stand.
    pub files: Box<[String]>,
    /// Backends by their place among all proxies of the file; `None`: it is none, or disabled.
    by_place: Box<[Option<Arc<Backend>>]>,
    /// Places in `backends` by name; of two of one name the first.
    by_name: HashMap<String, usize>,
}

/// A frontend, or the accepting side of a `listen`.
pub struct Frontend {
    /// Place in [`Topology::frontends`].
    pub index: usize,
    /// Place among all proxies of the file.
    pub order: u32,
    /// Its section, `defaults` applied; without servers.
    pub settings: lb_config::Proxy,
    /// `maxconn`, and the connections that count.
    pub gate: Arc<Gate>,
    /// `rate-limit sessions`
    pub rate: Option<Arc<Rate>>,
    /// Where requests go; `None`: 503.
    pub backend: Option<Arc<Backend>>,
    /// Lines and where they go; `None`: nothing is logged.
    pub log: Option<FrontendLog>,
    /// `unique-id-format`
    pub unique_id: Option<LogFormat>,
    /// Its lines or its ids show where a client connected to.
    pub wants_local: bool,
    /// Something of its messages is captured for its lines or its ids.
    pub captures: bool,
    /// Replies of its own (`errorfile` and the like).
    pub errors: ErrorPages,
    /// Options of accepted sockets that listeners cannot hand down.
    pub accept_options: Vec<SockOpt>,
    /// What [`Limits`] of `lb-http` say for its clients.
    pub limits: lb_http::h1::Limits,
    /// How fields and trailers go to its clients.
    pub spelling: Spelling,
    /// What an operator wants of it.
    mode: AtomicU8,
}

/// How the fields of messages are written: in lower case, unless options say otherwise.
#[derive(Default)]
pub struct Spelling {
    /// `option h1-case-adjust-bogus-client`, `option h1-case-adjust-bogus-server`
    names: Option<Arc<Spellings>>,
    /// What becomes of trailers.
    pub trailers: Trailers,
}

impl Spelling {
    fn new(spellings: &Arc<Spellings>, adjust: bool, drop_trailers: bool) -> Spelling {
        let names = (adjust && !spellings.is_empty()).then(|| spellings.clone());
        let trailers = match &names {
            _ if drop_trailers => Trailers::Drop,
            Some(names) => Trailers::Spell(names.clone()),
            None => Trailers::Keep,
        };
        Spelling { names, trailers }
    }

    /// Writes the names of an encoded head as they are to be sent.
    #[inline]
    pub fn apply(&self, head: &mut [u8]) {
        if let Some(names) = &self.names {
            names.apply_to_head(head);
        }
    }
}

/// A backend, or the serving side of a `listen`.
pub struct Backend {
    /// Place in [`Topology::backends`].
    pub index: usize,
    /// Place among all proxies of the file.
    pub order: u32,
    /// Its section, `defaults` applied; its servers are in [`Backend::servers`].
    pub settings: lb_config::Proxy,
    /// Streams that chose this backend.
    pub current: AtomicU32,
    /// Streams that wait for a server.
    pub queue: Queue,
    /// Load at which servers reach their full `maxconn`.
    pub fullconn: u32,
    /// Replies of its own.
    pub errors: ErrorPages,
    /// For messages about its servers.
    pub log: Option<ProxyLog>,
    /// Mails about its servers.
    pub(crate) alerts: Option<Alerts>,
    /// What [`Limits`] of `lb-http` say for its servers.
    pub limits: lb_http::h1::Limits,
    /// How fields and trailers go to its servers.
    pub spelling: Spelling,
    /// Held while a server's state changes, until what there is to say of it has been said.
    pub(crate) changes: Mutex<()>,
    /// When it got its first or lost its last usable server.
    pub(crate) history: Mutex<History>,
    /// Connecting to one of its servers takes the address that the client connected to.
    pub needs_client_address: AtomicBool,
    /// What its scheduler has to know of a stream.
    pub(crate) asks_for: AsksFor,
    /// A hash names the server.
    pub(crate) is_hash: bool,
    /// The scheduler is told how long answers take ([`Backend::note_latency`]).
    pub wants_latency: bool,
    /// What schedulers count the time from.
    first_asked: OnceLock<Instant>,
    servers: Box<[Arc<Server>]>,
    /// Those whose limit grows with the load (`minconn`).
    growing: Box<[ServerId]>,
    policy: Policy,
    /// A thread makes tables anew.
    settling: AtomicBool,
}

impl std::fmt::Debug for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "backend {}", self.name())
    }
}

/// What a scheduler has to know of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AsksFor {
    /// Nothing.
    Nothing,
    /// A random number.
    Random,
    /// The client's address.
    Source,
    /// The address that the client connected to.
    Destination,
    /// Something of the request ([`lb_config::Balance::hash_key`]).
    Request,
    /// What a client in mode tcp has sent so far ([`HashKey::RdpCookie`]), or another sample of its connection.
    Beginning,
}

impl AsksFor {
    fn of(proxy: &lb_config::Proxy, kind: Kind) -> AsksFor {
        match proxy.balance.hash_key() {
            Some(HashKey::Source) => AsksFor::Source,
            Some(HashKey::Destination) => AsksFor::Destination,
            Some(HashKey::RdpCookie(_)) => AsksFor::Beginning,
            Some(HashKey::Expr(_)) if proxy.mode == Mode::Tcp => AsksFor::Beginning,
            Some(_) => AsksFor::Request,
            None if kind.is_random() => AsksFor::Random,
            None => AsksFor::Nothing,
        }
    }
}

/// A backend at a moment, as its scheduler sees it.
struct View<'a> {
    backend: &'a Backend,
    now: Instant,
}

impl LoadView for View<'_> {
    fn is_full(&self, id: ServerId) -> bool {
        let server = self.backend.server(id);
        server.maxconn().is_some()
            && (server.queued.load(Ordering::SeqCst) != 0 || server.served.load(Ordering::SeqCst) >= server.limit(self.backend))
    }

    fn load(&self, id: ServerId) -> u32 {
        let server = self.backend.server(id);
        server.served.load(Ordering::Relaxed) + server.queued.load(Ordering::Relaxed)
    }

    fn served(&self, id: ServerId) -> u32 {
        self.backend.server(id).served.load(Ordering::Relaxed)
    }

    fn total(&self) -> u32 {
        // Whoever is here has a server or waits for one, but for the stream that asks.
        let here = self.backend.current.load(Ordering::Relaxed);
        here.saturating_sub(self.backend.queue.waiting()).saturating_sub(1)
    }

    fn queue_is_full(&self, id: ServerId) -> bool {
        self.is_full(id) && self.backend.server(id).queue_is_full()
    }

    fn now(&self) -> Duration {
        self.backend.since_first(self.now)
    }
}

impl Backend {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// All servers, in the order of the file.
    pub fn servers(&self) -> &[Arc<Server>] {
        &self.servers
    }

    /// One server.
    #[inline]
    pub fn server(&self, id: ServerId) -> &Arc<Server> {
        &self.servers[id.0 as usize]
    }

    /// The scheduler.
    #[inline]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Chooses a server and counts the stream there.
    #[inline]
    pub fn choose(&self, key: Key<'_>, tried: &Tried, now: Instant) -> Pick {
        self.policy.assign(key, &View { backend: self, now }, tried)
    }

    /// As [`Backend::choose`] for any stream, but none is counted.
    pub(crate) fn peek(&self, now: Instant) -> Pick {
        self.policy.pick(Key::None, &View { backend: self, now }, &Tried::new())
    }

    /// As [`Backend::choose`], but none is counted.
    pub(crate) fn peek_for(&self, key: Key<'_>, now: Instant) -> Pick {
        self.policy.pick(key, &View { backend: self, now }, &Tried::new())
    }

    /// Servers whose limit grows with the load (`minconn`).
    pub(crate) fn growing(&self) -> &[ServerId] {
        &self.growing
    }

    /// The time as the scheduler has it.
    fn since_first(&self, now: Instant) -> Duration {
        now.saturating_duration_since(*self.first_asked.get_or_init(|| now))
    }

    /// The server took so long for its first answer to a stream.
    pub fn note_latency(&self, id: ServerId, now: Instant, took: Duration) {
        if self.wants_latency {
            self.policy.observe(id, self.since_first(now), took);
        }
    }

    /// True when the scheduler might choose the server now, so that it may serve the backend's queue.
    pub fn may_dequeue(&self, id: ServerId) -> bool {
        let server = self.server(id);
        server.state() == ServerState::Up && server.weight.load(Ordering::Relaxed) != 0 && self.policy.has_turn(id)
    }

    /// Streams that come are served.
    pub fn serves(&self) -> bool {
        let (active, backups) = self.usable();
        active + backups != 0 || self.servers.iter().all(|s| s.implicit)
    }

    /// `clear counters all`
    pub(crate) fn forget_downs(&self) {
        lock(&self.history).downs = 0;
    }

    /// The weights of the servers that have their turn now, added.
    pub fn total_weight(&self) -> u64 {
        let has_turn = |s: &&Arc<Server>| s.state() == ServerState::Up && !s.implicit && self.policy.has_turn(s.id);
        self.servers.iter().filter(has_turn).map(|s| u64::from(s.weight.load(Ordering::Relaxed))).sum()
    }

    /// Changes a server's share of the work.
    ///
    /// # Errors
    /// The scheduler has fixed weights, and this is neither 0 nor the configured one.
    pub fn set_weight(self: &Arc<Backend>, id: ServerId, weight: u16) -> Result<(), WeightError> {
        // Beside a `dispatch` or the like no server has a share.
        if !self.servers.last().is_some_and(|s| s.implicit) {
            self.policy.set_weight(id, Weight::units(weight))?;
            self.settle();
        }
        let server = self.server(id);
        server.weight.store(weight.into(), Ordering::Relaxed);
        server.warmth.reweigh(server, self);
        // It may take from the backend's queue now, or a backup may.
        for i in 0..self.servers.len() {
            crate::queue::dispatch(self, ServerId(i as u32));
        }
        Ok(())
    }

    /// Has large tables of the scheduler made anew by a thread that nobody waits for.
    fn settle(self: &Arc<Backend>) {
        if self.policy.is_settled() || self.settling.swap(true, Ordering::SeqCst) {
            return;
        }
        let backend = self.clone();
        let work = move || {
            loop {
                backend.policy.settle();
                backend.settling.store(false, Ordering::SeqCst);
                if backend.policy.is_settled() || backend.settling.swap(true, Ordering::SeqCst) {
                    break;
                }
            }
        };
        // Without a thread it is done here: late, but done.
        if std::thread::Builder::new().name("lb-tables".into()).spawn(work.clone()).is_err() {
            work();
        }
    }

    /// Changes a server's `maxconn`; `None`: no limit.
    pub fn set_maxconn(self: &Arc<Backend>, id: ServerId, max: Option<u32>) {
        self.server(id).maxconn.store(max.unwrap_or(NO_LIMIT), Ordering::SeqCst);
        self.policy.refresh(id);
        crate::queue::dispatch(self, id);
    }

    /// Changes where a server is: connections that begin from here on go there.
    pub fn set_address(&self, id: ServerId, address: ServerAddress) {
        let server = self.server(id);
        if follows_client(&address) {
            self.needs_client_address.store(true, Ordering::Relaxed);
            server.per_client.store(true, Ordering::Relaxed);
        }
        *server.destination.write().unwrap_or_else(PoisonError::into_inner) = address;
        server.moves.fetch_add(1, Ordering::Release);
    }

    /// Servers that take new work: those that are no backup, and backups.
    pub fn usable(&self) -> (usize, usize) {
        if self.servers.last().is_some_and(|s| s.implicit) {
            // None of them is asked, yet their checks tell how many there would be.
            let up =
                || self.servers.iter().filter(|s| !s.implicit && s.weight.load(Ordering::Relaxed) != 0 && s.state() == ServerState::Up);
            let backups = up().filter(|s| s.settings.backup).count();
            return (up().count() - backups, backups);
        }
        self.policy.usable()
    }

    /// Changes a server's state: the scheduler, its queue and those who wait for any server learn of it. Tells how many
    /// streams left a queue: sent away from a server that went down, or taken by one that came up.
    pub fn set_state(self: &Arc<Backend>, id: ServerId, state: ServerState) -> usize {
        let server = self.server(id);
        server.warmth.state_changes(server, self, state);
        server.state.store(state as u8, Ordering::SeqCst);
        self.policy.set_state(
            id,
            match state {
                ServerState::Up => State::Usable,
                ServerState::Drain => State::Drain,
                ServerState::Down | ServerState::Maintenance => State::Down,
            },
        );
        self.settle();
        if server.usable() {
            return crate::queue::dispatch(self, id);
        }
        let moved = crate::queue::redistribute(self, id);
        // A backup may have its turn now.
        crate::queue::dispatch_any(self);
        moved
    }
}

/// The scheduler that a backend's words name.
fn kind_of(proxy: &lb_config::Proxy) -> Kind {
    match proxy.balance {
        Balance::RoundRobin => Kind::RoundRobin,
        Balance::StaticRr => Kind::StaticRr,
        Balance::LeastConn => Kind::LeastConn,
        Balance::First => Kind::First,
        Balance::Sticky => Kind::Sticky,
        Balance::Random(draws) => Kind::Random { draws },
        Balance::Hash(_) => Kind::Hash(proxy.hash_type),
        Balance::PowerOfTwo => Kind::PowerOfTwo,
        Balance::PeakEwma(decay) => Kind::PeakEwma { decay },
        Balance::Lvs(lvs) => Kind::Lvs(lvs),
    }
}

/// `hash-key`. haproxy 3.0, which brought it, also places servers without it elsewhere than 2.6: a backend with words that only 3.0
/// knows has its servers where 3.0 has them.
fn ring_seed(server: &lb_config::Server, like_3_0: bool) -> Option<u32> {
    let by_id = like_3_0.then(|| seed::by_mixed_id(server.id));
    let ServerAddress::Ip { ip, port } = server.address else { return by_id };
    match server.hash_key {
        None | Some(ServerHashKey::Id) => by_id,
        Some(ServerHashKey::Addr) => Some(seed::by_addr(ip, None)),
        Some(ServerHashKey::AddrPort) => Some(seed::by_addr(ip, Some(port.resolve(0)))),
    }
}

/// What stands in place of servers, in the form of one that takes everything. Its address may be known only when a client is.
fn implicit_server(destination: &Destination) -> Option<lb_config::Server> {
    const NAME: &str = "<NOSRV>";
    let follows = || ServerAddress::Ip { ip: Ipv4Addr::UNSPECIFIED.into(), port: lb_config::ServerPort::Offset(0) };
    let address = match destination {
        Destination::Servers => return None,
        Destination::Dispatch(to) => to.clone(),
        Destination::Transparent | Destination::Uri => follows(),
    };
    // The next request may go elsewhere.
    let max_reuse = (*destination == Destination::Uri).then_some(0);
    Some(lb_config::Server { max_reuse, ..lb_config::Server::new(NAME, address) })
}

/// True when connecting to the server takes the address that the client connected to.
fn needs_client_address(server: &lb_config::Server) -> bool {
    follows_client(&server.address) || server.send_proxy.is_some()
}

/// True for an address that takes a part of the one that the client connected to.
fn follows_client(address: &ServerAddress) -> bool {
    match address {
        ServerAddress::Ip { ip, port } => ip.is_unspecified() || !matches!(port, lb_config::ServerPort::Fixed(_)),
        ServerAddress::Unix(_) | ServerAddress::Pair(_) => false,
    }
}

/// The system's form of a configured UNIX address.
pub fn unix_addr(address: &lb_config::UnixAddress) -> Addr {
    match address {
        lb_config::UnixAddress::Path(path) => Addr::unix(path),
        lb_config::UnixAddress::Abstract(name) => Addr::Abstract(Arc::from(name.as_slice())),
    }
}

/// The channel of a `sockpair@`, where an address is one.
///
/// # Errors
/// There is no such descriptor.
pub(crate) fn channel(address: &ServerAddress) -> io::Result<Option<Channel>> {
    let ServerAddress::Pair(fd) = address else { return Ok(None) };
    let fd = lb_sys::process::inherited(*fd)?;
    lb_sys::process::set_nonblocking(&fd)?;
    Ok(Some(Channel::new(fd)))
}

/// The system's form of a listening address; `None` for an inherited descriptor.
pub fn bind_addr(address: &BindAddress) -> Option<Addr> {
    match address {
        BindAddress::Tcp(a) => Some(Addr::Ip(*a)),
        BindAddress::Unix(u) => Some(unix_addr(u)),
        BindAddress::Fd(_) | BindAddress::Pair(_) => None,
    }
}

fn keepalive(settings: Option<&lb_config::TcpKeepAlive>) -> Vec<SockOpt> {
    let Some(k) = settings else { return Vec::new() };
    let mut options = vec![SockOpt::KeepAlive(true)];
    options.extend(k.count.map(SockOpt::KeepCnt));
    options.extend(k.idle.map(SockOpt::KeepIdle));
    options.extend(k.interval.map(SockOpt::KeepIntvl));
    options
}

fn limits(config: &Config, relaxed: bool) -> lb_http::h1::Limits {
    let tune = &config.global.tune;
    let max_head = tune.bufsize - tune.maxrewrite.min(tune.bufsize / 2);
    lb_http::h1::Limits {
        max_head,
        max_headers: tune.http_maxhdr,
        relaxed,
        payload_with_any_method: config.global.h1_accept_payload_with_any_method,
        keep_alive_with_both_lengths: config.global.h1_do_not_close_on_insecure_transfer_encoding,
        ..lb_http::h1::Limits::default()
    }
}

impl Topology {
    /// The serving side of a frontend that is a `listen`.
    pub fn listen_of(&self, frontend: &Frontend) -> Option<&Arc<Backend>> {
        let listens = frontend.settings.kind == ProxyKind::Listen;
        self.backends.iter().find(|backend| listens && backend.name() == frontend.name())
    }

    /// The backend of a place in the file.
    pub fn backend_of(&self, index: ProxyIndex) -> Option<&Arc<Backend>> {
        self.by_place.get(index.0 as usize)?.as_ref()
    }

    /// The backend of a name.
    pub fn backend_named(&self, name: &str) -> Option<&Arc<Backend>> {
        self.backends.get(*self.by_name.get(name)?)
    }

    /// Builds the run state of a configuration.
    pub fn new(config: &Config, loggers: &mut Loggers, process_maxconn: u32) -> Topology {
        let mut pool_index = 0;
        let spellings = Arc::new(config.global.spellings());
        let mut by_index: Vec<Option<Arc<Backend>>> = vec![None; config.proxies.len()];
        for (n, (index, proxy)) in config.backends().filter(|(_, p)| !p.disabled).enumerate() {
            let backend = Backend::new(config, index, proxy, loggers, process_maxconn, &spellings, &mut pool_index);
            by_index[index.0 as usize] = Some(Arc::new(Backend { index: n, order: index.0, ..backend }));
        }
        let uses = Uses::new(&config.named);
        let frontends: Vec<Arc<Frontend>> = config
            .frontends()
            .filter(|(_, p)| !p.disabled)
            .enumerate()
            .map(|(index, (order, p))| {
                let backend = p.default_backend.and_then(|i| by_index[i.0 as usize].clone());
                Arc::new(Frontend {
                    index,
                    order: order.0,
                    ..Frontend::new(config, p, backend, loggers, process_maxconn, &spellings, &uses)
                })
            })
            .collect();
        watched::link(&by_index);
        let backends: Vec<_> = by_index.iter().flatten().cloned().collect();
        let names = Names::new(&frontends, &backends, &config.userlists, &config.named.referents);
        let files = config.files.clone().into();
        let by_name = backends.iter().enumerate().rev().map(|(at, backend)| (backend.name().to_owned(), at)).collect();
        let patterns = Arc::clone(&config.named.sets);
        Topology { frontends, backends, names, uses, files, patterns, by_place: by_index.into(), by_name }
    }

    /// Where in which file something stands.
    pub fn place(&self, span: lb_config::Span) -> String {
        match self.files.get(span.file as usize) {
            Some(file) if !span.is_none() => format!("{file}:{}", span.line),
            _ => "built-in".to_owned(),
        }
    }

    /// Number of servers in all backends.
    pub fn server_count(&self) -> usize {
        self.backends.iter().map(|b| b.servers.len()).sum()
    }
}

impl Frontend {
    fn new(
        config: &Config,
        proxy: &lb_config::Proxy,
        backend: Option<Arc<Backend>>,
        loggers: &mut Loggers,
        process_maxconn: u32,
        spellings: &Arc<Spellings>,
        uses: &Uses,
    ) -> Frontend {
        let options = &proxy.options;
        let log = loggers.frontend(config, proxy);
        let unique_id = proxy.unique_id_format.as_ref().map(compiled);
        // There is no socket to ask any more when a line is written.
        let has_samples =
            log.as_ref().is_some_and(FrontendLog::has_samples) || unique_id.as_ref().is_some_and(|id| !id.samples().is_empty());
        Frontend {
            index: 0,
            order: 0,
            wants_local: uses.destination && has_samples
                || log.as_ref().is_some_and(FrontendLog::wants_local)
                || unique_id.as_ref().is_some_and(|id| id.uses(Field::FrontendIp) || id.uses(Field::FrontendPort)),
            captures: proxy.captures.any() && (log.is_some() || unique_id.is_some()),
            log,
            unique_id,
            gate: Gate::new(proxy.maxconn.unwrap_or(process_maxconn)),
            rate: proxy.rate_limit_sessions.map(Rate::new),
            errors: ErrorPages::new(proxy),
            accept_options: keepalive(options.client_keepalive.as_ref()),
            limits: limits(config, options.accept_invalid_http_request),
            spelling: Spelling::new(spellings, options.h1_case_adjust_bogus_client, options.http_drop_response_trailers),
            settings: lb_config::Proxy { servers: Vec::new(), ..proxy.clone() },
            backend,
            mode: AtomicU8::new(Accepting::Accepts as u8),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Whether it accepts connections, in the word of statistics.
    pub fn status(&self) -> &'static str {
        match self.mode() {
            Accepting::Accepts => "OPEN",
            Accepting::Paused => "PAUSED",
            Accepting::Stopped => "STOP",
        }
    }

    /// Whether an operator lets it accept connections.
    pub(crate) fn mode(&self) -> Accepting {
        match self.mode.load(Ordering::Relaxed) {
            mode if mode == Accepting::Accepts as u8 => Accepting::Accepts,
            mode if mode == Accepting::Paused as u8 => Accepting::Paused,
            _ => Accepting::Stopped,
        }
    }

    /// Its listeners find out when they are woken.
    pub(crate) fn set_mode(&self, mode: Accepting) {
        self.mode.store(mode as u8, Ordering::Relaxed);
    }

    /// What has become of it, in a line's words.
    pub fn became(&self, what: &str) -> String {
        let kind = if self.settings.kind == ProxyKind::Listen { "proxy" } else { "frontend" };
        format!("{what} {kind} {}.", self.name())
    }

    /// An operator has paused it.
    pub fn is_paused(&self) -> bool {
        self.mode() == Accepting::Paused
    }

    /// An operator has shut it down.
    pub fn is_shut(&self) -> bool {
        self.mode() == Accepting::Stopped
    }

    /// Options that its listeners set, which accepted sockets inherit.
    pub fn listener_options(&self, tune: &lb_config::Tune) -> Vec<SockOpt> {
        let mut options = vec![SockOpt::NoDelay(true), SockOpt::OobInline(true)];
        if self.settings.options.tcp_smart_accept.unwrap_or(self.settings.mode == Mode::Http) {
            options.push(SockOpt::QuickAck(false));
        }
        options.extend(self.accept_options.iter().cloned());
        options.extend(tune.rcvbuf_client.map(SockOpt::RecvBuf));
        options.extend(tune.sndbuf_client.map(SockOpt::SendBuf));
        options
    }
}

impl Backend {
    fn new(
        config: &Config,
        index: ProxyIndex,
        proxy: &lb_config::Proxy,
        loggers: &mut Loggers,
        process_maxconn: u32,
        spellings: &Arc<Spellings>,
        pool_index: &mut usize,
    ) -> Backend {
        let tune = &config.global.tune;
        let implicit = implicit_server(&proxy.destination);
        let like_3_0 = proxy.hash_type.function == Function::None || proxy.servers.iter().any(|s| s.hash_key.is_some());
        let specs: Vec<ServerSpec> = proxy
            .servers
            .iter()
            .map(|s| ServerSpec {
                weight: if implicit.is_some() { 0 } else { s.weight },
                backup: s.backup,
                id: s.id,
                seed: ring_seed(s, like_3_0),
                state: if crate::health::state_at_start(s) == ServerState::Up { State::Usable } else { State::Down },
            })
            .chain(implicit.iter().map(|s| ServerSpec::new(s.weight)))
            .collect();
        let settings = Settings {
            kind: kind_of(proxy),
            allbackups: proxy.options.allbackups,
            balance_factor: proxy.hash_balance_factor,
            affinity: proxy.hash_preserve_affinity,
            late_tables: true,
        };
        let asks_for = AsksFor::of(proxy, settings.kind);
        let policy = Policy::new(settings, &specs).expect("the configuration bounds weights and the number of servers");
        let servers: Box<[Arc<Server>]> = (0u32..)
            .zip(proxy.servers.iter().chain(&implicit))
            .map(|(id, s)| {
                let implicit = id as usize == proxy.servers.len();
                let mut options = keepalive(proxy.options.server_keepalive.as_ref());
                if matches!(s.address, ServerAddress::Ip { .. }) {
                    options.extend([SockOpt::NoDelay(true), SockOpt::OobInline(true)]);
                    options.extend(s.tcp_user_timeout.map(SockOpt::UserTimeout));
                } else {
                    options.clear();
                }
                options.extend(tune.rcvbuf_server.map(SockOpt::RecvBuf));
                options.extend(tune.sndbuf_server.map(SockOpt::SendBuf));
                if let Some(source) = s.source.as_ref().or(proxy.source.as_ref()) {
                    options.push(SockOpt::ReuseAddr(true));
                    options.extend(source.interface.clone().map(SockOpt::Device));
                    if source.address.port() == 0 {
                        options.push(SockOpt::BindNoPort);
                    }
                }
                let smart = proxy.options.tcp_smart_connect && matches!(s.address, ServerAddress::Ip { .. });
                // The kernel then waits with the last step of the handshake for what goes with it.
                let smart_options = smart.then(|| [&options[..], &[SockOpt::QuickAck(false)]].concat());
                *pool_index += 1;
                Arc::new(Server {
                    implicit,
                    per_client: AtomicBool::new(implicit || needs_client_address(s)),
                    weight: AtomicU32::new(s.weight.into()),
                    maxconn: AtomicU32::new(s.maxconn.unwrap_or(NO_LIMIT)),
                    destination: RwLock::new(s.address.clone()),
                    moves: AtomicU32::new(0),
                    channel: channel(&s.address).unwrap_or_default(),
                    settings: s.clone(),
                    pool_index: *pool_index - 1,
                    id: ServerId(id),
                    served: AtomicU32::new(0),
                    queued: AtomicU32::new(0),
                    idle: AtomicU32::new(0),
                    idle_once: AtomicU32::new(0),
                    most: AtomicU32::new(0),
                    peak: AtomicU32::new(0),
                    need: AtomicU32::new(0),
                    options,
                    smart_options,
                    warmth: Warmth::new(s.slowstart),
                    health: crate::health::new_health(s),
                    history: Mutex::default(),
                    check_at: Mutex::new(s.check.as_ref().map_or_else(CheckAt::default, |c| CheckAt { address: c.address, port: c.port })),
                    watched: Watched::new(s),
                    checks_stopped: AtomicBool::new(false),
                    state: AtomicU8::new(crate::health::state_at_start(s) as u8),
                })
            })
            .collect();
        Backend {
            index: 0,
            order: 0,
            current: AtomicU32::new(0),
            queue: Queue::default(),
            fullconn: config.fullconn(index, process_maxconn),
            errors: ErrorPages::new(proxy),
            log: loggers.proxy(config, proxy),
            alerts: proxy.email_alert.as_deref().map(Alerts::new),
            limits: limits(config, proxy.options.accept_invalid_http_response),
            spelling: Spelling::new(spellings, proxy.options.h1_case_adjust_bogus_server, proxy.options.http_drop_request_trailers),
            needs_client_address: AtomicBool::new(
                servers.iter().any(|s| needs_client_address(&s.settings)) || asks_for == AsksFor::Destination,
            ),
            asks_for,
            is_hash: settings.kind.is_hash(),
            wants_latency: policy.wants_latency(),
            first_asked: OnceLock::new(),
            // As many as a stream's record counts.
            settings: lb_config::Proxy {
                servers: Vec::new(),
                retries: proxy.retries.min(u16::MAX.into()),
                // There is nowhere else to go.
                redispatch: if implicit.is_some() { None } else { proxy.redispatch },
                ..proxy.clone()
            },
            changes: Mutex::default(),
            history: Mutex::default(),
            growing: servers.iter().filter(|s| s.settings.minconn.is_some()).map(|s| s.id).collect(),
            servers,
            policy,
            settling: AtomicBool::new(false),
        }
    }

    /// `mode http`
    pub fn is_http(&self) -> bool {
        self.settings.mode == Mode::Http
    }

    /// How idle connections may be shared.
    pub fn reuse(&self) -> HttpReuse {
        self.settings.http_reuse
    }
}

/// The time that a server is given to accept a connection once more before the same one is tried again: at most one second.
pub fn turnaround(connect: Option<Duration>) -> Duration {
    connect.unwrap_or(Duration::MAX).min(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_without_end_are_as_many_as_can_be_counted() {
        let text = b"backend be\n retries 2000000000\n server a 127.0.0.1:1\n";
        let (config, _) = lb_config::parse(&lb_config::Source::new().file("t.cfg", text));
        let topology = Topology::new(&config, &mut Loggers::new(&config), 10);
        assert_eq!(topology.backends[0].settings.retries, 65_535);
    }

    #[test]
    fn only_the_first_backup_takes_from_the_backends_queue() {
        let may = |option: &str, down: &[u32]| -> Vec<bool> {
            let text = format!(
                "backend be\n {option}\n server a 127.0.0.1:1 maxconn 1\n server z 127.0.0.1:2 maxconn 1\n\
                 server b 127.0.0.1:3 maxconn 1 backup\n server c 127.0.0.1:4 maxconn 1 backup\n"
            );
            let (config, _) = lb_config::parse(&lb_config::Source::new().file("t.cfg", text.as_bytes()));
            let topology = Topology::new(&config, &mut Loggers::new(&config), 10);
            let backend = &topology.backends[0];
            for &id in down {
                backend.set_state(ServerId(id), ServerState::Down);
            }
            (0..4).map(|id| backend.may_dequeue(ServerId(id))).collect()
        };
        assert_eq!(may("", &[]), [true, true, false, false]);
        assert_eq!(may("", &[1]), [true, false, false, false]);
        assert_eq!(may("", &[0, 1]), [false, false, true, false]);
        assert_eq!(may("", &[0, 1, 2]), [false, false, false, true]);
        assert_eq!(may("option allbackups", &[0, 1]), [false, false, true, true]);
    }
}
