//! Drives the health checks of lb-check: one task for each checked server, in one of the threads. Called by worker.rs.
//!
//! Here are the plan of all checks and the watch over one server, in [`conn`] a check's connection, in [`effects`] what verdicts
//! lead to. Holds: a check starts when its server is due and not in maintenance, and ends with a soft stop, as haproxy's do.

mod conn;
mod effects;

use crate::proxy::{Backend, Server, ServerState, Topology, unix_addr};
use crate::server::CheckAt;
use crate::warmth::WarmUp;
use crate::worker::Worker;
use lb_balance::ServerId;
use lb_check::{Check, CheckSpec, Health, HealthSpec, HttpRequest, RequestError, Script};
use lb_config::{CheckKind, Config, HttpCheck, SendProxy, ServerAddress, ServerCheck, ServerPort};
use lb_sys::Addr;
use lb_sys::socket::SockOpt;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(crate) use effects::operate;

/// Checks never follow each other faster than this, whatever the settings say.
const SHORTEST: Duration = Duration::from_millis(1);

/// A server that cannot be checked as its backend says.
#[derive(Debug, thiserror::Error)]
#[error("backend {backend}: option httpchk: {source}")]
pub struct PlanError {
    /// The backend.
    pub backend: String,
    /// What is wrong with the request.
    pub source: RequestError,
}

/// All checks of a process: which server, how, and when first.
pub struct Plan {
    checks: Vec<Arc<Checked>>,
    threads: usize,
    /// `spread-checks`, in percent.
    spread: u32,
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
    Mutex::new(if settings.disabled { Health::new_disabled(spec) } else { Health::new(spec) })
}

impl Plan {
    /// The checks that a configuration asks for, to be run by `threads` loops.
    ///
    /// # Errors
    /// Backends whose `option httpchk` is no request.
    pub fn new(config: &Config, topology: &Topology, threads: usize) -> Result<Plan, Vec<PlanError>> {
        let mut errors = Vec::new();
        let mut checks = Vec::new();
        for backend in &topology.backends {
            let script = match script(backend) {
                Ok(script) => script,
                Err(source) => {
                    errors.push(PlanError { backend: backend.name().into(), source });
                    continue;
                }
            };
            for server in backend.servers() {
                if let Some(check) = &server.settings.check {
                    checks.push(Checked::new(backend, server, check, script.clone()));
                }
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let intervals: Vec<Duration> = checks.iter().map(|c| lock(&c.server().health).interval()).collect();
        let offsets = lb_check::start_offsets(&intervals, config.global.max_spread_checks);
        for (check, first) in checks.iter_mut().zip(offsets) {
            check.first = first;
        }
        let checks = checks.into_iter().map(Arc::new).collect();
        Ok(Plan { checks, threads: threads.max(1), spread: u32::from(config.global.spread_checks) })
    }

    /// Loops that share the checks.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Starts the checks that belong to this thread.
    pub(crate) fn start(&self, worker: &Rc<Worker>) {
        for check in self.checks.iter().skip(worker.index).step_by(self.threads) {
            let key = worker.rt.spawn(watch(worker.clone(), check.clone(), self.spread));
            worker.ends_with_soft_stop(key);
        }
    }
}

fn script(backend: &Backend) -> Result<Script, RequestError> {
    let CheckKind::Http(check) = &backend.settings.check else { return Ok(Script::connect()) };
    let mut request = request(check)?;
    backend.spelling.apply(request.as_bytes_mut());
    Ok(Script::http(&request))
}

/// In the words of `option httpchk`: headers and body behind the version.
fn request(check: &HttpCheck) -> Result<HttpRequest, RequestError> {
    let mut version = check.version.clone();
    if !check.headers.is_empty() || !check.body.is_empty() {
        version.push_str("\r\n");
        for (name, value) in &check.headers {
            version.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    if !check.body.is_empty() {
        let body = std::str::from_utf8(&check.body).map_err(|e| RequestError::Word(e.to_string()))?;
        version.push_str("\r\n");
        version.push_str(body);
    }
    HttpRequest::parse(&check.method, &check.uri, &version)
}

impl Checked {
    fn new(backend: &Arc<Backend>, server: &Server, check: &ServerCheck, script: Script) -> Checked {
        let timeouts = &backend.settings.timeouts;
        let spec = CheckSpec { script, inter: check.inter, timeout_connect: timeouts.connect, timeout_check: timeouts.check };
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
        Checked { backend: backend.clone(), id: server.id, spec: spec.into(), first: Duration::ZERO, from, options, greeting }
    }

    fn server(&self) -> &Arc<Server> {
        self.backend.server(self.id)
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
async fn watch(worker: Rc<Worker>, checked: Arc<Checked>, spread: u32) {
    let rt = &worker.rt;
    let mut check = Check::new(checked.spec.clone());
    let mut next = rt.now() + checked.first;
    let mut warming: Option<WarmUp> = None;
    loop {
        while let Some(at) = warming.as_ref().map(WarmUp::next).filter(|at| *at < next) {
            rt.sleep_until(at).await;
            rt.progress();
            let _in_order = lock(&checked.backend.changes);
            warming = warming.and_then(|warming| warming.step(&checked.backend, checked.id));
        }
        rt.sleep_until(next).await;
        rt.progress();
        let server = checked.server();
        if server.state() != ServerState::Maintenance && server.is_checked() {
            lock(&server.history).checking = true;
            let verdict = conn::run(rt, &mut check, &checked).await;
            rt.progress();
            lock(&server.history).checking = false;
            // An operator may have stopped it meanwhile.
            if server.is_checked() {
                effects::apply(&worker.process, worker.moment(), &checked.backend, checked.id, &verdict);
            }
            // It came up just now, or is still at it.
            warming = warming.or_else(|| WarmUp::of(server, rt.now())).filter(|_| server.warmth.is_warming());
        }
        let interval = lock(&checked.server().health).interval();
        next = rt.now() + lb_check::spread_interval(interval, spread, rt.random() as u32).max(SHORTEST);
    }
}
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
