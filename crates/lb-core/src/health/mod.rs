//! Drives the health checks of lb-check: one task for each checked server, in one of the threads. Called by worker.rs.
//!
//! Here are the plan of all checks and the watch over one server, in [`conn`] a check's connection, in [`view`] what its script may ask for, in
//! [`agent`] what asks agents, in [`effects`] what verdicts lead to. Holds: a check starts when its server is due and not in maintenance, and
//! ends with a soft stop, as haproxy's do.

mod agent;
mod conn;
mod effects;
mod external;
mod view;

use crate::proxy::{Backend, Server, ServerState, Topology, unix_addr};
use crate::server::CheckAt;
use crate::worker::Worker;
use agent::Asked;
use conn::Scripted;
use lb_balance::ServerId;
use lb_check::{Check, CheckSpec, Health, HealthSpec, Script};
use lb_config::{CheckKind, Config, ExternalCheck, SendProxy, ServerAddress, ServerCheck, ServerPort};
use lb_sys::Addr;
use lb_sys::socket::SockOpt;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use view::Asking;

pub(crate) use effects::{errors_in_traffic, operate, reweigh, state_of};

/// Checks never follow each other faster than this, whatever the settings say.
const SHORTEST: Duration = Duration::from_millis(1);

/// All checks of a process: which server, how, and when first.
pub struct Plan {
    checks: Vec<Arc<Checked>>,
    agents: Vec<Arc<Asked>>,
    threads: usize,
    /// `spread-checks`, in percent.
    spread: u32,
    /// `node`
    node: Option<Arc<str>>,
}

/// One server that is checked.
struct Checked {
    backend: Arc<Backend>,
    id: ServerId,
    spec: Arc<CheckSpec>,
    /// From the start of the process.
    first: Duration,
    from: Option<Addr>,
    options: Vec<SockOpt>,
    /// The PROXY header before a check.
    greeting: Option<SendProxy>,
    /// It is the server's agent that is asked.
    agent: bool,
    /// The program that checks in place of the script.
    program: Option<Arc<ExternalCheck>>,
}

/// A server's health before its first check.
pub(crate) fn new_health(settings: &lb_config::Server) -> Mutex<Health> {
    let spec = settings.check.as_ref().map_or_else(HealthSpec::default, |c| HealthSpec {
        rise: c.rise,
        fall: c.fall,
        inter: c.inter,
        fastinter: c.fastinter,
        downinter: c.downinter,
    });
    let watching = settings.watching.as_deref();
    let initial = watching.map(|watching| watching.initial).unwrap_or_default();
    let health = if settings.disabled { Health::new_disabled(spec) } else { Health::new(spec) };
    // Nothing would bring up one that is not checked.
    let mut health = if settings.check.is_some() { health.starting(initial) } else { health };
    health.set_checked(settings.check.is_some());
    Mutex::new(if settings.agent().is_some() { health.with_agent() } else { health })
}

/// A server's state before its first check, and before it hears of the one that it tracks.
pub(crate) fn state_at_start(settings: &lb_config::Server) -> ServerState {
    state_of(&lock(&new_health(settings)))
}

impl Plan {
    /// The checks that a configuration asks for, to be run by `threads` loops.
    pub fn new(config: &Config, topology: &Topology, threads: usize) -> Plan {
        let connect = Arc::new(Script::connect());
        let mut checks = Vec::new();
        let mut agents = Vec::new();
        // All of them in the order of the file: checks and agents by their places in those lists, and how often they come.
        let mut order: Vec<(bool, usize, Duration)> = Vec::new();
        for backend in &topology.backends {
            for server in backend.servers() {
                if let Some(check) = &server.settings.check {
                    order.push((false, checks.len(), lock(&server.health).interval()));
                    checks.push(Checked::new(backend, server, check, &connect));
                }
                if let Some(agent) = server.settings.agent() {
                    let asked = Asked::new(backend, server.id, agent);
                    order.push((true, agents.len(), asked.interval()));
                    agents.push(asked);
                }
            }
        }
        let intervals: Vec<Duration> = order.iter().map(|(.., interval)| *interval).collect();
        let offsets = lb_check::start_offsets(&intervals, config.global.max_spread_checks);
        for ((is_agent, place, _), first) in order.into_iter().zip(offsets) {
            if is_agent { agents[place].first = first } else { checks[place].first = first }
        }
        let checks = checks.into_iter().map(Arc::new).collect();
        let agents = agents.into_iter().map(Arc::new).collect();
        let node = config.global.node.clone();
        Plan { checks, agents, threads: threads.max(1), spread: u32::from(config.global.spread_checks), node: node.map(Into::into) }
    }

    /// Loops that share the checks.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Starts the checks that belong to this thread.
    pub(crate) fn start(&self, worker: &Rc<Worker>) {
        for check in self.checks.iter().skip(worker.index).step_by(self.threads) {
            let key = worker.rt.spawn(watch(worker.clone(), check.clone(), self.spread, self.node.clone()));
            worker.ends_with_soft_stop(key);
        }
        for asked in self.agents.iter().skip(worker.index).step_by(self.threads) {
            let key = worker.rt.spawn(agent::ask(worker.clone(), asked.clone(), self.spread));
            worker.ends_with_soft_stop(key);
        }
    }
}

impl Checked {
    fn new(backend: &Arc<Backend>, server: &Server, check: &ServerCheck, connect: &Arc<Script>) -> Checked {
        let (script, program) = match check.kind(&backend.settings.check) {
            CheckKind::Connect => (connect, None),
            CheckKind::Script(script) => (script, None),
            // Of its script it takes no step.
            CheckKind::External(program) => (connect, Some(program.clone())),
        };
        let timeouts = &backend.settings.timeouts;
        let spec =
            CheckSpec { script: script.clone(), inter: check.inter, timeout_connect: timeouts.connect, timeout_check: timeouts.check };
        let mut options = server.options.clone();
        let over_ip = matches!(target(server), Addr::Ip(_));
        if over_ip {
            // The last step of the connection's handshake waits: a check that ends there resets the connection before the
            // server's application ever sees it.
            options.extend([SockOpt::NoDelay(true), SockOpt::QuickAck(false)]);
        }
        let source = server.settings.source.as_ref().or(backend.settings.source.as_ref());
        let from = source.filter(|_| over_ip).map(|s| Addr::Ip(s.address));
        let greeting = check.send_proxy.then(|| server.settings.send_proxy.clone().unwrap_or(SendProxy::V1));
        Checked {
            backend: backend.clone(),
            id: server.id,
            spec: spec.into(),
            first: Duration::ZERO,
            from,
            options,
            greeting,
            agent: false,
            program,
        }
    }

    fn server(&self) -> &Arc<Server> {
        self.backend.server(self.id)
    }

    /// Where the next connection goes.
    fn target(&self) -> Addr {
        match &self.server().watched.agent {
            Some(agent) if self.agent => agent::target(&self.server().destination(), agent),
            _ => target(self.server()),
        }
    }
}

/// Where a server is checked now.
fn target(server: &Server) -> Addr {
    let CheckAt { address: other, port: other_port } = *lock(&server.check_at);
    let (ip, port) = match (server.destination(), other) {
        (ServerAddress::Unix(path), None) => return unix_addr(&path),
        (ServerAddress::Pair(_), None) => return server.channel(),
        (ServerAddress::Unix(_) | ServerAddress::Pair(_), Some(ip)) => (ip, 0),
        (ServerAddress::Ip { ip, port }, other) => {
            let port = match port {
                ServerPort::Fixed(port) => port,
                // Refused unless the check has a port of its own.
                ServerPort::Offset(_) => 0,
            };
            (other.unwrap_or(ip), port)
        }
    };
    Addr::Ip((ip, other_port.unwrap_or(port)).into())
}

/// Checks one server until the task is killed.
async fn watch(worker: Rc<Worker>, checked: Arc<Checked>, spread: u32, node: Option<Arc<str>>) {
    let rt = &worker.rt;
    let mut check = Check::new(checked.spec.clone());
    let mut next = rt.now() + checked.first;
    let preserves = worker.process.preserves_environment;
    checked.server().watched.watched_by(rt.remote().clone(), rt.current());
    loop {
        let server = checked.server();
        let fastinter = lock(&server.health).spec().fastinter;
        server.watched.wait(rt, next, fastinter).await;
        rt.progress();
        if server.state() != ServerState::Maintenance && server.is_checked() {
            lock(&server.history).checking = true;
            let world = Asking { worker: &worker, backend: &checked.backend, server, node: node.as_deref() };
            let verdict = match &checked.program {
                // Boxed: few servers are checked so.
                Some(program) => Box::pin(external::run(&worker, program, &checked, preserves)).await,
                None => {
                    let counters = &worker.counters;
                    let wire = checked.spec.script.is_http().then(|| {
                        counters.back(&checked.backend).http_checks.add(1);
                        counters.back_wire(&checked.backend)
                    });
                    conn::run(rt, &mut Scripted { check: &mut check, world: &world }, &checked, wire).await
                }
            };
            rt.progress();
            lock(&server.history).checking = false;
            // An operator may have stopped it meanwhile.
            if server.is_checked() {
                effects::apply(&worker.process, worker.moment(), &checked.backend, checked.id, &verdict);
            }
        }
        let interval = lock(&checked.server().health).interval();
        next = rt.now() + lb_check::spread_interval(interval, spread, rt.random() as u32).max(SHORTEST);
    }
}
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
