//! Drives the health checks of lb-check: one task for each checked server, in one of the threads, and what its verdicts lead
//! to. Called by worker.rs.
//!
//! Holds: a server's state, the scheduler, the queues and the counts in the lines change under one lock per backend, so that the
//! lines of one backend are in order and their counts agree with each other; a check holds one descriptor and, while there are
//! bytes to read, one buffer. Checks end with a soft stop, as haproxy's do.

use crate::proxy::{Backend, Server, ServerState, Topology, unix_addr};
use crate::server::{CheckAt, History};
use crate::warmth::WarmUp;
use crate::worker::{Moment, Process, Severity, Worker};
use lb_balance::ServerId;
use lb_check::report::{self, Cause, Counts, Line};
use lb_check::{
    Action, Admin, Check, CheckSpec, Event, Health, HealthSpec, HttpRequest, RequestError, Script, SystemError, Transition, Verdict,
};
use lb_config::{CheckKind, Config, HttpCheck, SendProxy, ServerAddress, ServerCheck, ServerPort};
use lb_expr::Timestamp;
use lb_http::proxy::{self, Endpoints};
use lb_rt::{Rt, Socket};
use lb_sys::Addr;
use lb_sys::socket::SockOpt;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

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
            let verdict = run(rt, &mut check, &checked).await;
            rt.progress();
            lock(&server.history).checking = false;
            // An operator may have stopped it meanwhile.
            if server.is_checked() {
                apply(&worker.process, worker.moment(), &checked.backend, checked.id, &verdict);
            }
            // It came up just now, or is still at it.
            warming = warming.or_else(|| WarmUp::of(server, rt.now())).filter(|_| server.warmth.is_warming());
        }
        let interval = lock(&checked.server().health).interval();
        next = rt.now() + lb_check::spread_interval(interval, spread, rt.random() as u32).max(SHORTEST);
    }
}

/// One check from start to end.
async fn run(rt: &Rt, check: &mut Check, checked: &Checked) -> Verdict {
    let mut actions = Vec::new();
    let mut conn = Conn::default();
    check.handle(rt.now(), Event::Start, &mut actions);
    loop {
        let mut failed = None;
        for action in std::mem::take(&mut actions) {
            match action {
                Action::Connect => failed = conn.open(rt, checked).err(),
                Action::Send(bytes) => conn.unsent.extend_from_slice(&bytes),
                Action::Done(verdict) => return verdict,
                Action::Close => conn.close(),
                // An action of a later version of lb-check: the check then ends at its deadline.
                _ => {}
            }
        }
        if let Some(e) = failed {
            let error = SystemError::from(&e);
            let event = match checked.from {
                Some(_) if e.kind() == io::ErrorKind::AddrNotAvailable => Event::CannotBind(error),
                _ => Event::CannotConnect(error),
            };
            check.handle(rt.now(), event, &mut actions);
            continue;
        }
        poll_fn(|_| conn.poll(rt, check, checked, &mut actions)).await;
    }
}

/// A check's connection.
#[derive(Default)]
struct Conn {
    socket: Option<Socket>,
    to: Option<Addr>,
    stage: Stage,
    unsent: Vec<u8>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    #[default]
    Connecting,
    /// The PROXY header goes out; for the check the connection does not stand yet.
    Greeting,
    Standing,
}

impl Conn {
    fn open(&mut self, rt: &Rt, checked: &Checked) -> io::Result<()> {
        let to = target(checked.server());
        let socket = Socket::connect(rt, &to, checked.from.as_ref(), &checked.options)?;
        *self = Conn { socket: Some(socket), to: Some(to), ..Conn::default() };
        Ok(())
    }

    fn close(&mut self) {
        if let Some(socket) = self.socket.take()
            && !socket.hung_up()
        {
            socket.reset_on_close();
        }
    }

    /// Tells `check` the next thing that happens.
    fn poll(&mut self, rt: &Rt, check: &mut Check, checked: &Checked, actions: &mut Vec<Action>) -> Poll<()> {
        let now = rt.now();
        match self.poll_event(rt, check, checked, actions) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => rt.poll_deadline(check.deadline()).map(|()| check.handle(now, Event::Timeout, actions)),
        }
    }

    fn poll_event(&mut self, rt: &Rt, check: &mut Check, checked: &Checked, actions: &mut Vec<Action>) -> Poll<()> {
        let now = rt.now();
        let Some(socket) = &self.socket else { return Poll::Pending };
        if self.stage == Stage::Connecting {
            match socket.poll_connected() {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(e)) => {
                    check.handle(now, Event::ConnectFailed(SystemError::from(&e)), actions);
                    return Poll::Ready(());
                }
                Poll::Ready(Ok(())) => {}
            }
            self.stage = Stage::Greeting;
            if let (Some(kind), Some(to)) = (&checked.greeting, &self.to) {
                write_greeting(kind, socket, to, &mut self.unsent);
            }
        }
        while !self.unsent.is_empty() {
            match socket.poll_write(&self.unsent, false) {
                Poll::Pending => break,
                Poll::Ready(Ok(n)) => drop(self.unsent.drain(..n)),
                Poll::Ready(Err(e)) => {
                    check.handle(now, Event::Failed(SystemError::from(&e)), actions);
                    return Poll::Ready(());
                }
            }
        }
        if self.stage == Stage::Greeting {
            if !self.unsent.is_empty() {
                return Poll::Pending;
            }
            self.stage = Stage::Standing;
            check.handle(now, Event::Connected, actions);
            return Poll::Ready(());
        }
        match socket.poll_readable() {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(e)) => {
                check.handle(now, Event::Failed(SystemError::from(&e)), actions);
                return Poll::Ready(());
            }
        }
        let mut buffer = rt.buffers().take();
        match socket.poll_read(buffer.spare()) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(0)) => check.handle(now, Event::Eof, actions),
            Poll::Ready(Ok(n)) => {
                buffer.commit(n);
                check.handle(now, Event::Data(buffer.filled()), actions);
            }
            Poll::Ready(Err(e)) => check.handle(now, Event::Failed(SystemError::from(&e)), actions),
        }
        Poll::Ready(())
    }
}

/// As observed: version 1 names the ends of the check's own connection (a UNIX socket has none to name), version 2 says LOCAL.
fn write_greeting(kind: &SendProxy, socket: &Socket, to: &Addr, out: &mut Vec<u8>) {
    match kind {
        SendProxy::V1 => {
            let ends = match (socket.local_addr(), to) {
                (Ok(Addr::Ip(src)), Addr::Ip(dst)) if src.is_ipv4() == dst.is_ipv4() => Some(Endpoints::Inet { src, dst: *dst }),
                _ => None,
            };
            proxy::encode_v1(ends.as_ref(), out);
        }
        SendProxy::V2(options) => proxy::encode_v2(None, &[], options.crc32c, out),
    }
}

/// Lets a verdict count, with all that follows from it.
fn apply(process: &Process, moment: Moment, backend: &Arc<Backend>, id: ServerId, verdict: &Verdict) {
    let server = backend.server(id);
    let _in_order = lock(&backend.changes);
    let mut health = lock(&server.health);
    let applied = health.apply(verdict);
    if !health.in_maintenance() {
        lock(&server.history).last = Some(verdict.clone());
    }
    let log_checks = backend.settings.options.log_health_checks;
    if log_checks && applied.noticed {
        say(process, moment.at, backend, &report::check_line(names(backend, server), &health, verdict));
    }
    let cause = if log_checks { Cause::LoggedCheck } else { Cause::Check(verdict) };
    if let Some(transition) = applied.transition {
        change(process, moment, backend, server, &health, transition, cause);
    }
}

/// Does with a server what an operator wants; false: that changes nothing.
pub(crate) fn operate(process: &Process, moment: Moment, backend: &Arc<Backend>, id: ServerId, wish: Admin) -> bool {
    let server = backend.server(id);
    let _in_order = lock(&backend.changes);
    let mut health = lock(&server.health);
    let Some(transition) = health.admin(wish) else { return false };
    change(process, moment, backend, server, &health, transition, Cause::Cli);
    true
}

/// What follows from a change of a server's health: its state, the queues, the lines.
fn change(
    process: &Process,
    moment: Moment,
    backend: &Arc<Backend>,
    server: &Arc<Server>,
    health: &Health,
    transition: Transition,
    cause: Cause<'_>,
) {
    let (active, backups) = backend.usable();
    let had_one = active + backups != 0;
    let was_usable = server.usable();
    let requeued = backend.set_state(server.id, state_of(health));
    let (active, backup) = backend.usable();
    let has_one = active + backup != 0;
    let note = |history: &mut History, was_up, is_up| {
        let since = process.since(history.changed, moment.now);
        history.note(moment.now, since, was_up, is_up);
    };
    note(&mut lock(&server.history), was_usable, server.usable());
    if had_one != has_one {
        note(&mut lock(&backend.history), had_one, has_one);
    }
    let counts = Counts {
        active,
        backup,
        sessions: server.served.load(Ordering::Relaxed) as usize,
        requeued,
        queued: backend.queue.backend_waiting() as usize,
    };
    for line in report::server_lines(names(backend, server), health, transition, cause, counts) {
        say(process, moment.at, backend, &line);
    }
    if had_one && !has_one {
        // Beside the quotes that one of the two has, they are the same.
        process.tell(Severity::Alert, &format!("backend '{}' has no server available!", backend.name()));
        log(moment.at, backend, &report::no_server_line(backend.name()));
    }
}

fn names<'a>(backend: &'a Backend, server: &'a Server) -> report::Server<'a> {
    report::Server { backend: backend.name(), name: server.name(), backup: server.settings.backup }
}

fn state_of(health: &Health) -> ServerState {
    if health.in_maintenance() {
        ServerState::Maintenance
    } else if health.takes_new() {
        ServerState::Up
    } else if health.takes_own() {
        ServerState::Drain
    } else {
        ServerState::Down
    }
}

/// To the operator and to the backend's logs.
fn say(process: &Process, at: Timestamp, backend: &Backend, line: &Line) {
    process.tell(Severity::Warning, &line.text);
    log(at, backend, line);
}

fn log(at: Timestamp, backend: &Backend, line: &Line) {
    let level = match line.level {
        report::Level::Emerg => lb_config::Level::Emerg,
        report::Level::Alert => lb_config::Level::Alert,
        report::Level::Notice => lb_config::Level::Notice,
    };
    if let Some(log) = &backend.log {
        log.send(level, at, &line.text);
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
