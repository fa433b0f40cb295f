//! `lb demo`: three origins, an HTTP and a TCP front with checks before them, a little traffic, and a look at all of it. The proxy
//! is the one that `lb -f` runs, on a configuration file that the demo writes; origins, clients and the screen live in a loop of
//! their own beside it.
//!
//! Holds: everything listens on the loopback address; nothing outlives the demo, neither thread nor file.

mod clients;
mod config;
mod net;
mod origin;
mod screen;

use crate::args::DemoArgs;
use crate::{limits, load, messages};
use clients::Tally;
use config::{HTTP, Ports, TCP, TempFile};
use lb_config::{Severity, Switches};
use lb_core::proxy::{Backend, Server, ServerState};
use lb_core::start::{Proxy, Sizes};
use lb_core::worker::{Process, Severity as Notice};
use lb_rt::{Rt, Signals, Udp};
use lb_sys::signal::{SIGINT, SIGPIPE, SIGTERM, SignalFd, ignore};
use lb_sys::{Addr, process};
use net::Port;
use origin::Origin;
use screen::{Group, Kind, Row, Screen, View};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How many origins there are.
const ORIGINS: usize = 3;
/// Between two looks at states and wishes.
const TICK: Duration = Duration::from_millis(50);
/// Ticks between two frames of a panel, and between two lines where there is none.
const FRAME_TICKS: u32 = 5;
const LINE_TICKS: u32 = 20;
/// Over which rates are counted.
const RATE_WINDOW: Duration = Duration::from_millis(1000);
/// From one stop of an origin to the next, when the demo runs for as long as it likes.
const CYCLE: Duration = Duration::from_secs(12);
/// How long an origin stays away that a client has stopped.
const STOPPED_BY_HAND: Duration = Duration::from_secs(6);
/// How long a log line of somebody else's request stays in view.
const LOG_STAYS: Duration = Duration::from_secs(5);
/// Descriptors that are asked for: origins and clients need theirs beside the proxy's.
const DESCRIPTORS: u64 = 16_384;

/// Runs the demo.
pub fn run(args: &DemoArgs) -> ExitCode {
    match try_run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            messages::say(&format!("[ALERT]   {text}\n"));
            ExitCode::FAILURE
        }
    }
}

fn try_run(args: &DemoArgs) -> Result<(), String> {
    // Before any thread exists, so that all of them inherit the mask.
    let signals = SignalFd::new(&[SIGTERM, SIGINT]).map_err(|e| format!("cannot take signals: {e}"))?;
    ignore(SIGPIPE);
    if let Ok((soft, hard)) = process::fd_limit() {
        // Fewer do too, for the demo's own traffic.
        let _ = process::set_fd_limit(soft.max(hard.min(DESCRIPTORS)), hard);
    }
    let no_socket = |e| format!("cannot open a socket on 127.0.0.1: {e}");
    let rt = Rt::new().map_err(|e| format!("cannot make an event loop: {e}"))?;
    let origins = (0..ORIGINS).map(|i| Origin::new(&rt, i)).collect::<Result<Vec<_>, _>>().map_err(no_socket)?;
    for origin in &origins {
        origin.start().map_err(no_socket)?;
    }
    let log = Udp::bind(&rt, &Addr::Ip((Ipv4Addr::LOCALHOST, 0).into())).map_err(no_socket)?;
    let log_port = log.local_addr().ok().and_then(|a| a.ip()).map_or(0, |a| a.port());
    let ports = Ports { http: Port::reserve().map_err(no_socket)?, tcp: Port::reserve().map_err(no_socket)?, log: log_port };

    let named: Vec<(&str, u16)> = origins.iter().map(|o| (o.name.as_str(), o.port())).collect();
    let file = TempFile::new(&config::text(&ports, &named)).map_err(|e| format!("cannot write the configuration: {e}"))?;
    let running = start_proxy(&file)?;

    let stage = Rc::new(Stage {
        started: rt.now(),
        screen: RefCell::new(Screen::new()),
        process: running.process.clone(),
        origins,
        tally: Rc::default(),
        log: RefCell::default(),
        ended: Cell::new(false),
        rt: rt.clone(),
    });
    stage.screen.borrow_mut().print(&introduction(&file, &ports, &stage.origins));
    let ended = play(&stage, args, signals, log, &ports, running);
    stage.rt.kill_all();
    ended
}

/// The proxy, in threads of its own.
struct Running {
    process: Arc<Process>,
    thread: JoinHandle<std::io::Result<()>>,
    /// What it has to tell the operator.
    messages: Receiver<String>,
}

/// Reads the file and starts what it says.
fn start_proxy(file: &TempFile) -> Result<Running, String> {
    let loaded = load::load(&[file.path().to_string_lossy().into_owned()], Switches::default(), &[])?;
    if loaded.has(Severity::Error) {
        return Err(format!("the demo's configuration is refused:\n{}", lb_config::render(&loaded.diagnostics)));
    }
    let (sender, messages) = channel();
    let report = Box::new(move |_: Notice, text: &str| {
        // What becomes of servers the demo tells in fewer words.
        if !text.starts_with("Server ") {
            // Nobody listens any more when the demo is ending.
            let _ = sender.send(text.to_owned());
        }
    });
    let maxconn = limits::connections(&loaded.config, None, &|text| messages::say(&format!("[WARNING] {text}\n")))?;
    let threads = loaded.config.global.nbthread.map_or_else(process::cores, usize::from);
    let proxy = Proxy::open(&loaded.config, Sizes { threads, maxconn }, report)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    let process = proxy.process().clone();
    let thread = std::thread::Builder::new().name("proxy".into()).spawn(move || proxy.run(|_| {}));
    Ok(Running { process, thread: thread.map_err(|e| format!("cannot start a thread: {e}"))?, messages })
}

fn introduction(file: &TempFile, ports: &Ports, origins: &[Rc<Origin>]) -> String {
    let (http, tcp) = (ports.http.number(), ports.tcp.number());
    let listening: Vec<String> = origins.iter().map(|o| format!("{} on {}", o.name, o.port())).collect();
    let (listening, file, away) = (listening.join(", "), file.path().display(), STOPPED_BY_HAND.as_secs());
    format!(
        "\
Three origins: {listening}.
In front of them lb, on 127.0.0.1: HTTP on port {http}, TCP on port {tcp},
with the haproxy.cfg {file} (as long as this runs).

Try in another terminal:
  curl http://127.0.0.1:{http}/              another origin each time
  curl http://127.0.0.1:{http}/wait/4000     takes four seconds: look at \"now\"
  curl -X POST http://127.0.0.1:{http}/stop  stops that origin for {away} s
  curl http://127.0.0.1:{tcp}/              the same, over the TCP front
  curl telnet://127.0.0.1:{tcp}             type lines, they come back

"
    )
}

/// What the tasks of the demo share.
struct Stage {
    rt: Rt,
    started: Instant,
    screen: RefCell<Screen>,
    process: Arc<Process>,
    origins: Vec<Rc<Origin>>,
    tally: Rc<Tally>,
    log: RefCell<LogView>,
    ended: Cell<bool>,
}

/// From the first request to the summary.
fn play(stage: &Rc<Stage>, args: &DemoArgs, signals: SignalFd, log: Udp, ports: &Ports, running: Running) -> Result<(), String> {
    let signals = Signals::new(&stage.rt, signals).map_err(|e| format!("cannot watch signals: {e}"))?;
    let rt = &stage.rt;
    rt.spawn(watch_signals(stage.clone(), signals));
    rt.spawn(read_log(stage.clone(), log));
    clients::start(rt, &stage.tally, ports.http.address(), ports.tcp.address());
    let length = args.seconds.map(|s| Duration::from_secs(s.into()));
    let cycle = length.map_or(CYCLE, |l| l.clamp(Duration::from_secs(2), CYCLE));
    rt.spawn(stop_and_start(stage.clone(), cycle));
    let Running { process, thread, messages } = running;
    let looped = rt.block_on(watch(stage.clone(), length, messages, thread));
    process.end();
    stage.screen.borrow_mut().clear();
    let thread = looped.map_err(|e| format!("the event loop of the demo ended: {e}"))?;
    match thread.join() {
        Ok(Ok(())) => {}
        Ok(Err(e)) => return Err(format!("the event loop of the proxy ended: {e}")),
        Err(_) => return Err("the proxy has panicked".into()),
    }
    stage.screen.borrow_mut().print(&stage.summary());
    Ok(())
}

async fn watch_signals(stage: Rc<Stage>, signals: Signals) {
    // An error of the descriptor leaves no other way to be told: end too.
    let _ = signals.next().await;
    stage.ended.set(true);
}

/// Shows how things stand until the end has come; gives the thread of the proxy back.
async fn watch<T: 'static>(stage: Rc<Stage>, length: Option<Duration>, messages: Receiver<String>, thread: JoinHandle<T>) -> JoinHandle<T> {
    let mut states: Vec<ServerState> = stage.servers().map(|(_, s)| s.state()).collect();
    let mut rates = Rates::default();
    let every = if stage.screen.borrow().is_live() { FRAME_TICKS } else { LINE_TICKS };
    let mut next = stage.started;
    for tick in 1u32.. {
        next += TICK;
        stage.rt.sleep_until(next).await;
        for text in messages.try_iter() {
            stage.event(Kind::Bad, &text);
        }
        for origin in stage.origins.iter().filter(|o| o.take_stop_wanted()) {
            stage.rt.spawn(stop_for(stage.clone(), origin.clone(), STOPPED_BY_HAND));
        }
        for (before, (backend, server)) in states.iter_mut().zip(stage.servers()) {
            let now = server.state();
            if std::mem::replace(before, now) != now {
                stage.tell_change(backend, server, now);
            }
        }
        if let Some(text) = stage.tally.last_failure.borrow_mut().take() {
            stage.event(Kind::Bad, &text);
        }
        if tick.is_multiple_of(FRAME_TICKS) {
            rates.sample(stage.rt.now(), stage.servers().map(|(_, s)| stage.process.chosen(s)).collect());
        }
        if tick.is_multiple_of(every) {
            let view = stage.view(&rates);
            stage.screen.borrow_mut().show(&view);
        }
        let over = length.is_some_and(|l| stage.elapsed() >= l);
        if over || stage.ended.get() || stage.screen.borrow().is_closed() || thread.is_finished() {
            break;
        }
    }
    thread
}

/// Stops one origin after the other, each for a while.
async fn stop_and_start(stage: Rc<Stage>, cycle: Duration) {
    // Not the first one first: the order of the servers then shows whose share is missing.
    for index in (1..ORIGINS).chain(0..1).cycle() {
        stage.rt.sleep(cycle / 4).await;
        let origin = stage.origins[index].clone();
        if origin.is_running() {
            stop_for(stage.clone(), origin, cycle / 3).await;
        } else {
            stage.rt.sleep(cycle / 3).await;
        }
        stage.rt.sleep(cycle - cycle / 4 - cycle / 3).await;
    }
}

/// Stops an origin and starts it again after `time`.
async fn stop_for(stage: Rc<Stage>, origin: Rc<Origin>, time: Duration) {
    if !origin.is_running() {
        return;
    }
    origin.stop();
    stage.event(Kind::Act, &format!("{} stops: connections to it are refused", origin.name));
    loop {
        stage.rt.sleep(time).await;
        match origin.start() {
            Ok(()) => break,
            Err(e) => stage.event(Kind::Bad, &format!("{} cannot start: {e}", origin.name)),
        }
    }
    stage.event(Kind::Act, &format!("{} is back", origin.name));
}

/// Log lines that are in view.
#[derive(Default)]
struct LogView {
    http: String,
    other: String,
    /// Until then a line of the demo's own requests does not take the place of `http`.
    http_stays: Option<Instant>,
}

impl LogView {
    fn take(&mut self, now: Instant, datagram: &[u8]) {
        let text = String::from_utf8_lossy(datagram);
        // Behind priority, time, tag and pid; and, if it is about a stream, behind address and date.
        let line = text.trim_end().split_once("]: ").map_or("", |(_, line)| line);
        let line = line.split_once(" [").and_then(|(_, rest)| rest.split_once("] ")).map_or(line, |(_, rest)| rest);
        if !line.starts_with(&format!("{} ", HTTP.0)) {
            self.other = line.to_owned();
        } else if !line.contains(clients::PATH) {
            (self.http, self.http_stays) = (line.to_owned(), Some(now + LOG_STAYS));
        } else if self.http_stays.is_none_or(|until| until < now) {
            self.http = line.to_owned();
        }
    }
}

async fn read_log(stage: Rc<Stage>, socket: Udp) {
    let mut buf = [0; 2048];
    loop {
        match poll_fn(|_| socket.poll_recv_from(&mut buf)).await {
            Ok((n, _)) => stage.log.borrow_mut().take(stage.rt.now(), &buf[..n]),
            Err(_) => stage.rt.sleep(TICK).await,
        }
    }
}

/// What the last check of a server found.
fn check(server: &Server) -> &'static str {
    server.health.lock().unwrap_or_else(PoisonError::into_inner).status().code()
}

/// Counts of the last second.
#[derive(Default)]
struct Rates(VecDeque<(Instant, Vec<u64>)>);

impl Rates {
    fn sample(&mut self, now: Instant, counts: Vec<u64>) {
        while self.0.len() > 1 && self.0.get(1).is_some_and(|(at, _)| now.saturating_duration_since(*at) >= RATE_WINDOW) {
            self.0.pop_front();
        }
        self.0.push_back((now, counts));
    }

    /// Per second, of the server at `index`.
    fn of(&self, index: usize) -> f64 {
        let (Some((from, old)), Some((to, new))) = (self.0.front(), self.0.back()) else { return 0.0 };
        let seconds = to.saturating_duration_since(*from).as_secs_f64();
        if seconds == 0.0 { 0.0 } else { new[index].saturating_sub(old[index]) as f64 / seconds }
    }
}

impl Stage {
    fn elapsed(&self) -> Duration {
        self.rt.now().saturating_duration_since(self.started)
    }

    fn event(&self, kind: Kind, text: &str) {
        self.screen.borrow_mut().event(self.elapsed(), kind, text);
    }

    fn backends(&self) -> &[Arc<Backend>] {
        &self.process.topology.backends
    }

    fn servers(&self) -> impl Iterator<Item = (&Arc<Backend>, &Arc<Server>)> {
        self.backends().iter().flat_map(|b| b.servers().iter().map(move |s| (b, s)))
    }

    fn tell_change(&self, backend: &Backend, server: &Server, state: ServerState) {
        let name = format!("{}/{}", backend.name(), server.name());
        if state == ServerState::Up {
            let found = check(server);
            return self.event(Kind::Good, &format!("{name} is UP ({found}): it has its share again"));
        }
        let rest: Vec<&str> = backend.servers().iter().filter(|s| s.usable()).map(|s| s.name()).collect();
        let rest = if rest.is_empty() { "nobody".to_owned() } else { rest.join(" and ") };
        let found = check(server);
        self.event(Kind::Bad, &format!("{name} is DOWN ({found}): its share goes to {rest}"));
    }

    fn view(&self, rates: &Rates) -> View {
        use std::sync::atomic::Ordering::Relaxed;
        let mut index = 0;
        let groups = self.backends().iter().map(|backend| {
            let http = backend.is_http();
            let rows = backend.servers().iter().map(|server| {
                index += 1;
                Row {
                    name: server.name().to_owned(),
                    port: self.origins.get(server.id.0 as usize).map_or(0, |o| o.port()),
                    state: server.state(),
                    check: check(server),
                    now: server.served.load(Relaxed),
                    idle: server.idle.load(Relaxed),
                    total: self.process.chosen(server),
                    rate: rates.of(index - 1),
                }
            });
            let (mode, unit) = if http { ("http", "requests") } else { ("tcp", "connects") };
            let front = if http { HTTP.0 } else { TCP.0 };
            let balance = format!("{:?}", backend.settings.balance).to_lowercase();
            Group { name: backend.name().to_owned(), title: format!("mode {mode}, behind {front}, {balance}"), unit, rows: rows.collect() }
        });
        let groups = groups.collect();
        let log = self.log.borrow();
        let log = [&log.http, &log.other].into_iter().filter(|l| !l.is_empty()).cloned().collect();
        View { elapsed: self.elapsed(), groups, clients: self.fared(), log }
    }

    /// How the demo's clients have fared, in a few words.
    fn fared(&self) -> String {
        let t = &self.tally;
        let mut text = format!("{} requests and {} TCP sessions answered, {} failed", t.requests.get(), t.sessions.get(), t.failed.get());
        if t.cut.get() != 0 {
            text.push_str(&format!(", {} cut", t.cut.get()));
        }
        text
    }

    fn summary(&self) -> String {
        let mut text = format!("After {:.0} seconds: {}", self.elapsed().as_secs_f64(), self.fared());
        text.push('\n');
        if self.tally.cut.get() != 0 {
            text.push_str("  (cut: a TCP session whose origin stopped under it)\n");
        }
        for backend in self.backends() {
            let counts: Vec<String> = backend.servers().iter().map(|s| format!("{} {}", s.name(), self.process.chosen(s))).collect();
            text.push_str(&format!("  {}: {}\n", backend.name(), counts.join(", ")));
        }
        text
    }
}
