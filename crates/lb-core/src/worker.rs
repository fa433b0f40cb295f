//! Threads: what each has ([`Worker`]), what they share ([`Process`]), and their life from open listeners to the last stream.

use crate::client::{Clients, ListenerKey, Place};
use crate::counters::{self, Counters};
use crate::gate::Gate;
use crate::health::Plan;
use crate::listener::{Accepting, Mode, accept_loop};
use crate::log::LocalTime;
use crate::mail;
use crate::out::OutPool;
use crate::pool::{Offers, Pools};
use crate::proxy::{Backend, Frontend, Server, Topology};
use crate::pump::Flow;
use crate::rate::Rate;
use crate::stats::{Rates, SECOND};
use crate::variables::{self, Scratches};
use lb_config::{CloseSpread, Config, Level};
use lb_expr::Timestamp;
use lb_rt::{Listener, PipeLimits, Remote, Rt, TaskKey};
use lb_sys::Addr;
use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, OnceLock, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

/// How much a message for the operator matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// What happens.
    Notice,
    /// To be known.
    Warning,
    /// Something is not served.
    Alert,
}

/// Takes messages for the operator.
pub type Report = Box<dyn Fn(Severity, &str) + Send + Sync>;

/// A listening socket that another process may have.
pub(crate) struct Exposed {
    pub fd: OwnedFd,
    /// The frontend that it belongs to; `None`: to the run-time socket or to a `log-forward` section.
    pub frontend: Option<usize>,
    /// The address has as many sockets before this one as haproxy would keep.
    pub spare: bool,
}

/// A moment by both clocks.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    pub now: Instant,
    /// For logs.
    pub at: Timestamp,
}

/// The way to a thread that runs.
#[derive(Clone)]
struct Thread {
    index: usize,
    remote: Remote,
    main: TaskKey,
}

/// What all threads of one proxy share.
pub struct Process {
    /// The global `maxconn`.
    pub gate: Arc<Gate>,
    /// Counts the tasks that accept: connections can come as long as there are some.
    accepting: Arc<Gate>,
    /// `maxconnrate`, and what an operator made of it.
    pub connection_rate: Arc<Rate>,
    /// `maxsessrate`: every connection is a session while no rule refuses any.
    pub session_rate: Arc<Rate>,
    /// The most that `maxconn` may be set to.
    pub hard_maxconn: u32,
    /// When it began to serve its run-time sockets, by both clocks.
    pub(crate) started: OnceLock<(Instant, SystemTime)>,
    /// Frontends, backends, servers.
    pub topology: Topology,
    /// For `%H`.
    pub host_name: String,
    /// `splice(2)` may be used.
    pub splice: bool,
    /// Splice where it pays, without an option that says so.
    pub splice_by_itself: bool,
    /// `harden.reject-privileged-ports.tcp`
    pub reject_privileged_ports: bool,
    /// `tune.maxaccept`: connections that a listener takes before other tasks run.
    pub maxaccept: u32,
    /// `external-check preserve-env`
    pub(crate) preserves_environment: bool,
    /// All `tune.*`.
    pub tune: lb_config::Tune,
    /// `tune.idle-pool.shared`
    pub share_idle: bool,
    pub(crate) pipe_limits: Arc<PipeLimits>,
    stopping: AtomicBool,
    /// A soft stop will come.
    announced: AtomicBool,
    /// Clients are to leave: all of them, or those of frontends that were shut down.
    leaving: AtomicBool,
    /// When the soft stop began, where the end of idle connections is spread over some time.
    stopped_at: OnceLock<Instant>,
    close_spread: CloseSpread,
    ended: AtomicBool,
    /// When `accept` last found no room.
    no_room: Mutex<Option<Instant>>,
    /// Connections dealt out to threads.
    dealt: AtomicUsize,
    /// Streams so far: `%rt`.
    pub streams: AtomicU64,
    /// Times that `accept` found no descriptor left.
    pub refused_accepts: AtomicU64,
    threads: Mutex<Vec<Thread>>,
    exposed: Mutex<Vec<Exposed>>,
    /// Counts those who may be about to ask for them.
    pub(crate) askers: Arc<Gate>,
    /// The last who asked was not given those that are `spare`.
    pub(crate) spares_stay: AtomicBool,
    /// What each thread has to give of idle server connections.
    pub(crate) offers: Arc<Offers>,
    checks: Plan,
    report: Report,
    /// What each thread has counted.
    pub counters: Box<[Arc<Counters>]>,
    /// Sessions and requests per second, if expressions ask for them.
    pub(crate) rates: OnceLock<Mutex<Rates>>,
    /// Variables of the process, and how large all of them may grow.
    pub variables: variables::Shared,
    /// Those that have a value from the start.
    at_start: Box<[lb_expr::sample::SetVar]>,
    /// They have been set.
    set_up: Once,
}

impl Process {
    /// The shared part of a configuration that is to run; `report` takes messages for the operator.
    pub fn new(config: &Config, topology: Topology, maxconn: u32, checks: Plan, report: Report) -> Arc<Process> {
        let tune = &config.global.tune;
        let maxpipes = config.global.maxpipes.map_or(maxconn as usize / 4, |n| n as usize);
        Arc::new(Process {
            gate: Gate::new(maxconn),
            accepting: Gate::new(u32::MAX),
            connection_rate: Rate::new(config.global.maxconnrate.unwrap_or(0)),
            session_rate: Rate::new(config.global.maxsessrate.unwrap_or(0)),
            hard_maxconn: maxconn,
            started: OnceLock::new(),
            offers: Offers::new(if tune.idle_pool_shared { checks.threads() } else { 1 }, topology.server_count()),
            counters: (0..checks.threads()).map(|_| Arc::new(Counters::new(&topology))).collect(),
            topology,
            host_name: lb_sys::process::host_name(),
            splice: !config.global.nosplice && maxpipes != 0,
            splice_by_itself: true,
            reject_privileged_ports: config.global.reject_privileged_ports,
            maxaccept: tune.maxaccept.unwrap_or(u32::MAX),
            preserves_environment: config.global.external_checks == lb_config::ExternalChecks::WithEnvironment,
            tune: tune.clone(),
            share_idle: tune.idle_pool_shared,
            pipe_limits: PipeLimits::new(maxpipes.max(1), tune.pipesize),
            stopping: AtomicBool::new(false),
            announced: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
            stopped_at: OnceLock::new(),
            close_spread: config.global.process.close_spread,
            ended: AtomicBool::new(false),
            no_room: Mutex::default(),
            dealt: AtomicUsize::new(0),
            streams: AtomicU64::new(0),
            refused_accepts: AtomicU64::new(0),
            threads: Mutex::default(),
            exposed: Mutex::default(),
            askers: Gate::new(u32::MAX),
            spares_stay: AtomicBool::new(false),
            checks,
            report,
            rates: OnceLock::new(),
            variables: variables::Shared::new(tune.variables),
            at_start: config.global.variables.clone().into(),
            set_up: Once::new(),
        })
    }

    /// Requests (mode http) or connections (mode tcp) of a frontend so far.
    pub fn requests(&self, frontend: &Frontend) -> u64 {
        counters::sum(self.counters.iter().map(|c| c.front(frontend)), |f| f.requests.get())
    }

    /// How often a server was chosen so far: requests (mode http) or connections (mode tcp), without attempts that kept theirs.
    pub fn chosen(&self, server: &Server) -> u64 {
        counters::sum(self.counters.iter().filter_map(|c| c.used_server(server)), |s| s.chosen.get())
    }

    /// A soft stop is under way: no new connections, kept-alive clients are told to close.
    #[inline]
    pub fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// During a soft stop: when the client that counts by `share` (of 2^32) is to leave: at once, or after its share of
    /// `close-spread-time`; `None`: never.
    pub(crate) fn leaves_at(&self, now: Instant, share: u32) -> Option<Instant> {
        match self.close_spread {
            CloseSpread::None => Some(now),
            CloseSpread::Over(time) => Some(*self.stopped_at.get_or_init(|| now) + time.mul_f64(f64::from(share) / 2f64.powi(32))),
            CloseSpread::Never => None,
        }
    }

    /// A warning for the operator.
    pub fn report(&self, text: &str) {
        self.tell(Severity::Warning, text);
    }

    /// A message for the operator.
    pub fn tell(&self, severity: Severity, text: &str) {
        (self.report)(severity, text);
    }

    /// `accept` found no room at `now`; said once, and again when it happens after a minute of peace.
    pub fn accept_refused(&self, e: &io::Error, now: Instant) {
        const PEACE: Duration = Duration::from_secs(60);
        self.refused_accepts.fetch_add(1, Ordering::Relaxed);
        let last = self.no_room.lock().unwrap_or_else(PoisonError::into_inner).replace(now);
        if last.is_none_or(|at| now.saturating_duration_since(at) > PEACE) {
            self.report(&format!(
                "cannot accept connections: {e}. Accepting rests until there is room; raise the limit of open files (ulimit-n) or lower maxconn."
            ));
        }
    }

    fn threads(&self) -> MutexGuard<'_, Vec<Thread>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way to a thread, if it runs.
    pub(crate) fn thread(&self, index: usize) -> Option<Remote> {
        self.threads().iter().find(|t| t.index == index).map(|t| t.remote.clone())
    }

    /// The way to a thread that runs.
    pub(crate) fn any_thread(&self) -> Option<Remote> {
        self.threads().first().map(|t| t.remote.clone())
    }

    /// The thread whose turn it is when connections are dealt out: its index and the way to it.
    pub(crate) fn deal(&self) -> Option<(usize, Remote)> {
        let threads = self.threads();
        let turn = self.dealt.fetch_add(1, Ordering::Relaxed);
        threads.get(turn % threads.len().max(1)).map(|t| (t.index, t.remote.clone()))
    }

    /// All threads run: what is said to them reaches all.
    pub fn all_run(&self) -> bool {
        self.threads().len() == self.checks.threads()
    }

    /// Runs `job` in every thread; tells how many those are.
    pub fn everywhere(&self, job: impl Fn(&Rc<Worker>) + Send + Sync + Clone + 'static) -> usize {
        let threads = self.threads();
        for thread in threads.iter() {
            let job = job.clone();
            thread.remote.run(move |rt| {
                if let Some(worker) = rt.local::<Worker>() {
                    job(&worker);
                }
            });
        }
        threads.len()
    }

    /// Says that a soft stop will come; everything goes on until [`Process::stop_softly`]. False when it has been said before.
    pub fn announce_stop(&self) -> bool {
        !self.announced.swap(true, Ordering::Relaxed)
    }

    /// A soft stop has been announced, and perhaps begun.
    pub fn will_stop(&self) -> bool {
        self.announced.load(Ordering::Relaxed)
    }

    /// Ends all streams, as an operator ends one.
    pub fn end_streams(&self) {
        self.everywhere(|worker| crate::ending::end_all(worker, lb_expr::Cause::Killed));
    }

    /// Begins a soft stop: what waits to be accepted is accepted, then listeners are closed; checks end, streams go on.
    pub fn stop_softly(&self) {
        self.announce_stop();
        self.stopping.store(true, Ordering::SeqCst);
        self.leaving.store(true, Ordering::SeqCst);
        self.everywhere(|worker| worker.soft_stop());
    }

    /// True when all listeners are closed; else the task that asks is woken when that may have changed.
    pub(crate) fn accepts_nothing(&self, rt: &Rt) -> bool {
        self.accepting.is_empty_or_wait(rt.remote(), rt.current())
    }

    /// True when a soft stop has come to its end: nothing accepts any more, and the last connection has gone. Else the task that asks
    /// is woken when that may have changed.
    pub fn is_drained(&self, rt: &Rt) -> bool {
        // In this order: what accepts may still add to the other.
        self.accepts_nothing(rt) && self.gate.is_empty_or_wait(rt.remote(), rt.current())
    }

    /// Lets go of all addresses, so that another process can bind them, until [`Process::resume`].
    pub fn pause(&self) {
        self.everywhere(|worker| worker.set_mode(Mode::Paused));
    }

    /// Listens again after [`Process::pause`].
    pub fn resume(&self) {
        self.everywhere(|worker| worker.set_mode(Mode::Accepts));
    }

    /// Pauses a frontend, lets it go on, or shuts it down for good. Its streams go on.
    pub(crate) fn set_mode_of(&self, frontend: &Arc<Frontend>, mode: Mode) {
        frontend.set_mode(mode);
        if mode == Mode::Stopped {
            self.leaving.store(true, Ordering::SeqCst);
            self.exposed().retain(|exposed| exposed.frontend != Some(frontend.index));
        }
        self.everywhere(|worker| worker.wake_accepting());
    }

    /// Some clients at least are to leave: those of [`Client::leaves_at`](crate::client::Client::leaves_at).
    #[inline]
    pub(crate) fn leaving(&self) -> bool {
        self.leaving.load(Ordering::SeqCst)
    }

    /// Duplicates of the listening sockets for another process; none when they are not to be had, or after a soft stop has begun.
    pub(crate) fn exposed(&self) -> MutexGuard<'_, Vec<Exposed>> {
        self.exposed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All threads end.
    pub fn ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Ends all threads now.
    pub fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        for thread in self.threads().iter() {
            thread.remote.wake(thread.main);
        }
    }
}

/// What one thread has for itself.
pub struct Worker {
    /// Its loop.
    pub rt: Rt,
    /// Its number, from 0.
    pub index: usize,
    /// What it shares.
    pub process: Arc<Process>,
    /// Output vectors.
    pub outs: OutPool,
    /// Idle server connections.
    pub pools: Pools,
    /// Heads for reuse.
    pub heads: crate::http::HeadPool,
    /// The zone's offset.
    pub local_time: LocalTime,
    /// What this thread has counted.
    pub counters: Arc<Counters>,
    /// Its client connections.
    pub clients: Clients,
    /// Memory for values in the making.
    pub scratches: Scratches,
    /// What converters captured while a rule was worked out, until the rules put it into the record.
    pub late_captures: RefCell<Vec<LateCapture>>,
    chance: Cell<u64>,
    places: RefCell<Vec<Rc<Place>>>,
    /// Tasks that end with a soft stop.
    until_stop: RefCell<Vec<TaskKey>>,
    /// Tasks that accept.
    accepting: RefCell<Vec<TaskKey>>,
    mode: Cell<Mode>,
    spliced: Cell<u64>,
    copied: Cell<u64>,
}

/// A value for a slot of the captures.
pub type LateCapture = (lb_expr::CaptureSide, usize, Box<[u8]>);

/// A listening socket that is open and not yet in a loop.
pub struct OpenListener {
    /// The socket.
    pub fd: OwnedFd,
    /// Index in `process.topology.frontends`.
    pub frontend: usize,
    /// Index of its `bind` line.
    pub bind: usize,
    /// `id` of the listener.
    pub id: u32,
    /// `maxconn` of the line, shared by its sockets.
    pub gate: Option<Arc<Gate>>,
    /// The address that it is bound to, unless that is a wildcard.
    pub local: Option<Addr>,
    /// The thread that accepts.
    pub thread: usize,
    /// No other thread accepts for this address: the connections are dealt out to all.
    pub alone: bool,
    /// Connections come over it as descriptors.
    pub receives: bool,
}

impl Worker {
    /// What has become of a frontend: for the operator and for its log.
    pub fn announce(&self, frontend: &Frontend, text: &str) {
        self.process.report(text);
        self.log(Some(frontend), None, Level::Warning, text);
    }

    /// A proxy has stopped; a `listen` is both. For the operator and for its log.
    pub fn announce_end(&self, frontend: Option<&Frontend>, backend: Option<&Backend>) {
        let text = self.process.farewell(frontend, backend);
        self.process.report(&text);
        self.log(frontend, backend, Level::Warning, &text);
    }

    /// Sends a line about a proxy to where it logs; a `listen` is both.
    pub fn log(&self, frontend: Option<&Frontend>, backend: Option<&Backend>, level: Level, text: &str) {
        if let Some(frontend) = frontend {
            if let Some(log) = &frontend.log {
                log.announce(level, self.timestamp(), text);
            }
        } else if let Some(log) = backend.and_then(|backend| backend.log.as_ref()) {
            log.send(level, self.timestamp(), text);
        }
    }

    /// The present time for logs.
    pub fn timestamp(&self) -> Timestamp {
        self.local_time.timestamp(self.rt.wall())
    }

    /// Now, by both clocks.
    pub(crate) fn moment(&self) -> Moment {
        Moment { now: self.rt.now(), at: self.timestamp() }
    }

    /// A number by chance, cheap enough for each request and no secret: SplitMix64 from a seed of the kernel's.
    pub fn chance(&self) -> u64 {
        let state = self.chance.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.chance.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Seconds that this thread has lived.
    #[inline]
    pub fn age(&self) -> u64 {
        self.rt.nanos() / 1_000_000_000
    }

    /// Adds what a stream has moved to the thread's counts.
    pub fn count_bytes(&self, up: &Flow, down: &Flow) {
        let spliced = up.spliced + down.spliced;
        self.spliced.set(self.spliced.get() + spliced);
        self.copied.set(self.copied.get() + up.sent + down.sent - spliced);
    }

    /// Bytes moved so far: by splice, and by copy.
    pub fn moved_bytes(&self) -> (u64, u64) {
        (self.spliced.get(), self.copied.get())
    }

    /// Ends a task when a soft stop begins.
    pub(crate) fn ends_with_soft_stop(&self, task: TaskKey) {
        self.until_stop.borrow_mut().push(task);
    }

    /// Whether the thread accepts connections.
    pub(crate) fn mode(&self) -> Mode {
        self.mode.get()
    }

    fn set_mode(&self, mode: Mode) {
        // Who has stopped does not start again.
        if self.mode.get() != Mode::Stopped {
            self.mode.set(mode);
            self.wake_accepting();
        }
    }

    /// Who accepts looks anew whether it may.
    fn wake_accepting(&self) {
        self.accepting.borrow().iter().for_each(|task| self.rt.wake(*task));
    }

    fn soft_stop(self: &Rc<Worker>) {
        self.set_mode(Mode::Stopped);
        for key in self.until_stop.take() {
            self.rt.kill(key);
        }
        // Nobody comes to the run-time sockets any more, which are this thread's.
        if self.index == 0 {
            self.rt.spawn(crate::handover::let_go(self.clone()));
        }
        self.pools.clear();
        // Connections that wait for a request find out that they shall not.
        self.rt.wake_all();
    }

    /// What a thread has, over a loop of the kernel or of the simulator. [`Worker::shut_down`] ends it.
    pub fn new(rt: Rt, process: &Arc<Process>, index: usize) -> Rc<Worker> {
        rt.buffers().set_size(process.tune.bufsize);
        rt.pipes().set_limits(process.pipe_limits.clone());
        let worker = Rc::new(Worker {
            pools: Pools::new(&process.topology, process.offers.clone(), index),
            rt: rt.clone(),
            index,
            process: process.clone(),
            outs: OutPool::default(),
            heads: crate::http::HeadPool::default(),
            local_time: LocalTime::default(),
            counters: process.counters[index % process.counters.len()].clone(),
            clients: Clients::default(),
            scratches: Scratches::default(),
            late_captures: RefCell::default(),
            chance: Cell::new(rt.random()),
            places: RefCell::default(),
            until_stop: RefCell::default(),
            accepting: RefCell::default(),
            mode: Cell::default(),
            spliced: Cell::new(0),
            copied: Cell::new(0),
        });
        let told = process.clone();
        rt.on_casualty(move |c| {
        let (panicked, spinning) = (c.panicked, c.spinning);
        told.report(&format!(
            "a stream was ended by a bug of this program and left the others alone; so far in thread {index}: {panicked} panicked, {spinning} did nothing without end. Please report it."
        ));
    });
        rt.set_local(worker.clone());
        // The first thread does it, the others wait: all of them see what the file has set.
        process.set_up.call_once(|| crate::at_start::set_variables(&worker, &process.at_start));
        worker
    }

    /// The place of a listener in this thread.
    pub(crate) fn place(self: &Rc<Worker>, at: ListenerKey) -> Rc<Place> {
        let frontend = &self.process.topology.frontends[at.frontend];
        if let Some(place) = self.places.borrow().iter().find(|p| p.key == at) {
            return place.clone();
        }
        let (bind, id) = (at.bind, at.id);
        let bind = &frontend.settings.binds[bind];
        let place = Rc::new(Place {
            key: at,
            worker: self.clone(),
            frontend: frontend.clone(),
            listener_name: bind.name.clone().unwrap_or_else(|| id.to_string()),
            listener_id: id,
            accept_proxy: bind.accept_proxy,
            netscaler_cip: bind.accept_netscaler_cip,
        });
        self.places.borrow_mut().push(place.clone());
        place
    }

    fn listen(self: &Rc<Worker>, open: OpenListener) -> io::Result<()> {
        let listener = if open.receives { Listener::receiving(&self.rt, open.fd) } else { Listener::new(&self.rt, open.fd) }?;
        let at = ListenerKey { frontend: open.frontend, bind: open.bind, id: open.id };
        self.spawn_accepting(listener, at, open.gate, open.local, open.alone);
        Ok(())
    }

    /// Accepts from a listener in this thread's loop. `at`: index of the frontend, of its `bind` line, and the listener's `id`;
    /// the rest as in [`OpenListener`].
    pub fn accept_from(self: &Rc<Worker>, listener: Listener, at: (usize, usize, u32), gate: Option<Arc<Gate>>, local: Option<Addr>) {
        let (frontend, bind, id) = at;
        self.spawn_accepting(listener, ListenerKey { frontend, bind, id }, gate, local, false);
    }

    fn spawn_accepting(self: &Rc<Worker>, listener: Listener, at: ListenerKey, gate: Option<Arc<Gate>>, local: Option<Addr>, alone: bool) {
        let deals = alone && self.process.checks.threads() > 1;
        let place = self.place(at);
        let process = [&self.process.connection_rate, &self.process.session_rate];
        let rates = process.into_iter().chain(&place.frontend.rate).cloned().collect();
        let settings = &place.frontend.settings;
        let own = settings.binds.get(at.bind).and_then(|bind| bind.backlog);
        let backlog = own.or(settings.backlog).or(settings.maxconn).unwrap_or_else(|| self.process.gate.max());
        let counted = self.process.accepting.enter();
        let accepting = Accepting { listener, place, gate, rates, local, deals, backlog, _counted: counted };
        let task = self.rt.spawn(accept_loop(accepting));
        self.accepting.borrow_mut().push(task);
    }

    /// A thread's main task: runs until [`Process::end`], with `main` beside it.
    pub async fn live(self: Rc<Worker>, listeners: Vec<OpenListener>, main: impl FnOnce(&Rc<Worker>)) {
        let process = self.process.clone();
        for listener in listeners {
            if let Err(e) = self.listen(listener) {
                process.report(&format!("cannot take a listener into the loop: {e}"));
            }
        }
        process.checks.start(&self);
        if self.index == 0 {
            mail::start(&self);
        }
        // From here on it hears what is said to all.
        process.threads().push(Thread { index: self.index, remote: self.rt.remote().clone(), main: self.rt.current() });
        if process.topology.uses.rates && self.index == 0 {
            let now = self.rt.now();
            process.rates.get_or_init(|| Mutex::new(Rates::new(&process, now)));
            self.rt.spawn(watch_rates(self.clone()));
        }
        main(&self);
        std::future::poll_fn(|_| {
            self.rt.progress();
            if process.ended() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Ends all tasks of the thread and lets go of what would keep it alive.
    pub fn shut_down(&self) {
        self.until_stop.take();
        self.rt.kill_all();
        // Each holds the worker.
        self.places.take();
        self.pools.clear();
        self.rt.clear_local();
    }
}

/// Looks at the totals once per second.
async fn watch_rates(worker: Rc<Worker>) {
    let mut next = worker.rt.now();
    loop {
        next += SECOND;
        worker.rt.sleep_until(next).await;
        worker.rt.progress();
        let now = worker.rt.now();
        if let Some(rates) = worker.process.rates.get() {
            rates.lock().unwrap_or_else(PoisonError::into_inner).tick(&worker.process, now);
        }
        next = next.max(now);
    }
}

/// Runs one thread until [`Process::end`], with `main` beside it. The thread's listeners are closed when this returns, its
/// streams are gone.
///
/// # Errors
/// No descriptor for the loop.
pub fn run_thread(
    process: &Arc<Process>,
    index: usize,
    listeners: Vec<OpenListener>,
    main: impl FnOnce(&Rc<Worker>) + 'static,
) -> io::Result<()> {
    let rt = Rt::new()?;
    let worker = Worker::new(rt.clone(), process, index);
    let ended = rt.block_on(worker.clone().live(listeners, main));
    worker.shut_down();
    ended
}
