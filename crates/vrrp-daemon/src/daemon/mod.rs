//! Instances at work: one loop over raw sockets, netlink, signals and timers. It reads a clock once per turn and waits for nothing else:
//! scripts, the log and fifos have threads of their own.

mod addresses;
mod announce;
mod instance;
mod interfaces;
mod notify;
mod receive;
mod reload;
mod report;
mod statics;
mod tracking;
mod vmac;
mod wait;

use crate::conf::model::Conf;
use crate::dump::Kind;
use crate::ending::{self, Ending, Unfinished};
use crate::inbox::{self, Inbox, Letter, Post};
use crate::log::{LAST_WORDS, Log};
use crate::mail::Mailer;
use crate::netlink::Netlink;
use crate::notifier::{Job, Notifier};
use crate::reload::{Origin, Prepared, Users};
use crate::scripts::GRACE;
use crate::service::{Doors, Service};
use crate::snapshot::Pace;
use crate::sockets::Sockets;
use crate::track::beat::Beat;
use crate::track::timer::Timer;
use crate::track::{Office, Tracker};
use instance::{Entry, Machine};
use interfaces::Interface;
use lb_sys::signal::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU, Signal, SignalFd, realtime};
use receive::Wanted;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use vrrp::{Departure, Event, Family, Instance, SyncGroup, Weight};
use wait::{Source, Waiting};

/// What cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The kernel does not give something.
    #[error("{what}: {error}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// Its answer.
        error: io::Error,
    },
    /// An instance that `vrrp` refuses; the check of the file has said so before.
    #[error("{0}: {1}")]
    Instance(String, vrrp::ConfigError),
}

/// What a real-time thread may run without waiting, if the file says nothing: keepalived's.
const RTTIME: Duration = Duration::from_millis(10);

/// How late a timer is when `max_auto_priority` acts, if the file says nothing: keepalived's.
const AUTO_PRIORITY_DELAY: Duration = Duration::from_secs(1);
/// How long the end of the program waits for scripts that hang: each has [`GRACE`] before it is killed, and the machine may be slow.
const LAST_SCRIPTS: Duration = GRACE.saturating_mul(10);

fn system(what: &'static str) -> impl Fn(io::Error) -> StartError {
    move |error| StartError::System { what, error }
}

/// What the command line says of a daemon.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the configuration is read again from.
    pub origin: Origin,
    /// Where lines go.
    pub sink: crate::log::Sink,
    /// Who may ask.
    pub doors: Doors,
    /// `-V`: addresses stay at the end.
    pub keep_addresses: bool,
    /// `-a`: what the kernel says of addresses is logged.
    pub log_addresses: bool,
    /// `-d`: configuration and state are written to the log at the start.
    pub dump: bool,
    /// Is told how the process is doing, in systemd's words (`READY=1`). It does not wait.
    pub supervisor: fn(&str),
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy)]
enum Wish {
    Stop,
    Reload,
    Dump(Kind),
    StatsClear,
    Overrun,
}

/// The signals that are heard; keepalived's. The real-time ones are functions of the system.
const SIGNALS: [(fn() -> Signal, Wish); 8] = [
    (|| SIGTERM, Wish::Stop),
    (|| SIGINT, Wish::Stop),
    (|| SIGHUP, Wish::Reload),
    (|| SIGUSR1, Wish::Dump(Kind::Data)),
    (|| SIGUSR2, Wish::Dump(Kind::Stats)),
    (|| realtime(2), Wish::Dump(Kind::Json)),
    (|| realtime(-2), Wish::StatsClear),
    (|| SIGXCPU, Wish::Overrun),
];

/// The number of the signal for one of keepalived's names (`--signum`).
pub fn signal_named(name: &str) -> Option<Signal> {
    match name {
        "STOP" => Some(SIGTERM),
        "RELOAD" => Some(SIGHUP),
        "DATA" => Some(SIGUSR1),
        "STATS" => Some(SIGUSR2),
        "STATS_CLEAR" => Some(realtime(-2)),
        "JSON" => Some(realtime(2)),
        _ => None,
    }
}

/// The daemon.
pub struct Daemon {
    conf: Arc<Conf>,
    /// How many instances the file has; behind them stand those that are on their way out.
    live: usize,
    options: Options,
    log: Log,
    ending: Ending,
    notifier: Notifier,
    telling: std::thread::JoinHandle<()>,
    mailer: Mailer,
    service: Service,
    netlink: Netlink,
    frames: OwnedFd,
    waiting: Waiting,
    interfaces: BTreeMap<u32, Interface>,
    /// An interface has come up: what is static may be missing on it.
    risen: bool,
    /// Interfaces by name.
    names: HashMap<String, u32>,
    sockets: BTreeMap<u32, Sockets>,
    entries: Vec<Entry>,
    /// Who listens to an id in a family on an interface: entries and members.
    listeners: HashMap<(u32, Family, u8), Vec<(usize, usize)>>,
    /// What the packets of each instance look like.
    wanted: Vec<Wanted>,
    /// All addresses that instances put in place.
    ours: HashSet<IpAddr>,
    /// The index of the interface that adverts of each instance go over.
    paths: Vec<Option<u32>>,
    links: vmac::Links,
    announcements: announce::Announcements,
    /// When instances with `garp_extra_if` announce again.
    extra: HashMap<usize, Instant>,
    has_extra: bool,
    /// What each instance was told of its interface.
    told: Vec<(bool, Option<IpAddr>)>,
    inbox: Inbox,
    post: Post,
    trackers: Vec<Tracker>,
    /// The thread that waits for the moment of the next reload, if the file names one.
    timer: Option<Timer>,
    /// The thread that asks drivers for their links, if any are asked, and what it has found, by index.
    beat: Option<Beat>,
    beats: HashMap<u32, bool>,
    /// Held by those who watch; who waits for them.
    watching: (Unfinished, Ending),
    /// The number of the last tracker.
    tracker: u64,
    users: Users,
    /// What was wrong with the file in force, for a comparison with the next.
    complaints: Arc<HashSet<String>>,
    reloading: reload::Reloading,
    pace: Pace,
    /// The real-time priority that lateness has led to.
    raised: i32,
    /// When a packet for an id that nobody here has was reported last.
    unknown_said: Option<Instant>,
    signals: SignalFd,
    /// The loop has begun: nothing is waited for any more.
    started: bool,
    stopping: bool,
}

impl Daemon {
    /// Opens what it needs. To be called before any other thread is started.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn open(prepared: Prepared, options: Options) -> Result<Daemon, StartError> {
        let Prepared { conf, users, complaints, lines } = prepared;
        let signals = SignalFd::new(&SIGNALS.map(|(signal, _)| signal())).map_err(system("signals"))?;
        let (log, ending) = Log::start(options.sink.clone()).map_err(system("log"))?;
        log.line(format!("Starting vrrpd {} with {}", env!("CARGO_PKG_VERSION"), options.origin.file.display()));
        lines.into_iter().for_each(|line| log.line(line));
        let (notifier, telling) = Notifier::start(log.clone()).map_err(system("thread of notices"))?;
        let mailer = Mailer::start(log.clone()).map_err(system("thread of mail"))?;
        let (inbox, post) = inbox::open().map_err(system("eventfd"))?;
        let service = Service::start(&options.doors, &post, &log).map_err(system("thread of the status"))?;
        let watching = ending::ending();
        let office = Office::new(post.clone(), log.clone(), watching.0.clone());
        let mut tracker = 0;
        let trackers = tracking::trackers(&conf, &users, Vec::new(), None, &mut tracker, &office).map_err(system("thread of a tracker"))?;
        notifier.tell(Job::Fifos(conf.fifos(&users)));
        let mut daemon = Daemon {
            wanted: Vec::new(),
            ours: HashSet::new(),
            told: vec![(false, None); conf.instances.len()],
            paths: vec![None; conf.instances.len()],
            links: vmac::Links::default(),
            announcements: announce::Announcements::default(),
            extra: HashMap::new(),
            has_extra: false,
            netlink: Netlink::open().map_err(system("netlink"))?,
            frames: lb_sys::packet::open().map_err(system("packet socket"))?,
            waiting: Waiting::new().map_err(system("epoll"))?,
            interfaces: BTreeMap::new(),
            names: HashMap::new(),
            risen: false,
            sockets: BTreeMap::new(),
            entries: Vec::new(),
            listeners: HashMap::new(),
            started: false,
            stopping: false,
            live: conf.instances.len(),
            conf: Arc::new(conf),
            complaints: Arc::new(complaints),
            reloading: reload::Reloading::default(),
            pace: Pace { since: Some(lb_rt::clock::wall()), ..Pace::default() },
            raised: 0,
            unknown_said: None,
            options,
            log,
            ending,
            notifier,
            telling,
            mailer,
            service,
            inbox,
            post,
            trackers,
            timer: None,
            beat: None,
            beats: HashMap::new(),
            watching,
            tracker,
            users,
            signals,
        };
        daemon.watch().map_err(system("epoll"))?;
        daemon.derive();
        daemon.make_machines()?;
        Ok(daemon)
    }

    /// What is read beside packets.
    fn watch(&self) -> io::Result<()> {
        self.waiting.watch(Source::Signals, self.signals.as_fd())?;
        self.waiting.watch(Source::Netlink, self.netlink.fd())?;
        self.waiting.watch(Source::Letters, self.inbox.fd())
    }

    /// What follows from the configuration.
    fn derive(&mut self) {
        self.wanted = self.conf.instances.iter().map(|it| Wanted::new(&it.config(&self.conf.global, Vec::new()))).collect();
        self.paths = vec![None; self.conf.instances.len()];
        self.extra.clear();
        self.has_extra = self.conf.global.garp_extra.is_some() || self.conf.instances.iter().any(|i| i.garp_extra.is_some());
        self.ours = self.conf.instances.iter().flat_map(|i| i.addresses.iter().chain(&i.excluded)).map(|a| a.address).collect();
    }

    /// The configuration of an instance with what it tracks.
    fn config_of(&self, index: usize) -> vrrp::Config {
        let it = &self.conf.instances[index];
        it.config(&self.conf.global, self.conf.tracks_of(&it.watch).into_iter().map(|(_, weight)| weight).collect())
    }

    fn weights_of_group(&self, index: usize) -> Vec<Weight> {
        self.conf.tracks_of(&self.conf.groups[index].watch).into_iter().map(|(_, weight)| weight).collect()
    }

    fn make_machines(&mut self) -> Result<(), StartError> {
        let grouped: HashSet<usize> = self.conf.groups.iter().flat_map(|g| g.members.clone()).collect();
        for (at, group) in self.conf.groups.iter().enumerate() {
            let configs = group.members.iter().map(|index| self.config_of(*index)).collect();
            let machine = SyncGroup::new(configs, self.weights_of_group(at))
                .map_err(|(member, e)| StartError::Instance(self.conf.instances[group.members[member]].name.clone(), e))?;
            self.entries.push(Entry { machine: Machine::Group(machine), members: group.members.clone(), group: Some(at) });
        }
        for index in (0..self.conf.instances.len()).filter(|i| !grouped.contains(i)) {
            let machine =
                Instance::new(self.config_of(index)).map_err(|e| StartError::Instance(self.conf.instances[index].name.clone(), e))?;
            self.entries.push(Entry { machine: Machine::Single(Box::new(machine)), members: vec![index], group: None });
        }
        Ok(())
    }

    /// Runs until a signal ends it and the last mastership has been given up.
    ///
    /// # Errors
    /// Netlink, at the start.
    pub fn run(mut self) -> Result<(), StartError> {
        self.urgency();
        let now = lb_rt::clock::now();
        self.look_around(now).map_err(system("netlink"))?;
        // Before groups are joined: what that makes virtual interfaces say is for the rules to send elsewhere.
        if let Err(e) = self.make_rules() {
            self.remove_links();
            return Err(system("no_accept")(e));
        }
        let all = self.netlink.all().map_err(system("netlink"))?;
        self.changes(now, all);
        self.set_host();
        if self.conf.has_tracked_routes() {
            self.netlink.watch_routes().map_err(system("netlink"))?;
        }
        self.started = true;
        self.ask_drivers(now);
        self.wait_for_the_moment();
        self.track_all(now);
        let delay = self.conf.global.startup_delay;
        if !delay.is_zero() {
            self.log.line(format!("Delaying startup for {} seconds", delay.as_secs_f64()));
        }
        let mut start = Some(now + delay);
        self.ready();
        if self.options.dump {
            self.service.log(Box::new(self.snapshot(now)));
        }
        loop {
            let now = lb_rt::clock::now();
            if start.is_some_and(|at| at <= now) {
                start = None;
                self.reloading.started = true;
                self.start(now);
                self.log.line("Startup complete".into());
            }
            // A pause between the look at the sockets and that at the clock makes adverts look like silence: what has arrived until `now` is
            // heard before a backup believes that its wait is over.
            if self.entries.iter().any(|entry| entry.would_take_over(now)) {
                self.read_packets(now, None);
            }
            self.timers(now);
            self.forget_those_who_left(now);
            if self.stopping && self.entries.iter().all(Entry::is_stopped) {
                break;
            }
            self.wait(now, start);
        }
        // No election is under way any more. Groups are left while there are rules and interfaces to do it over.
        self.sockets.clear();
        self.remove_statics();
        self.trackers.clear();
        (self.beat, self.timer) = (None, None);
        self.remove_links();
        let Daemon { notifier, telling, mailer, service, watching, log, ending, inbox, post, .. } = self;
        drop((notifier, mailer, service, inbox, post));
        // Scripts that hang are ended, with what they have started.
        drop(watching.0);
        watching.1.wait(LAST_SCRIPTS);
        let _ = telling.join();
        log.line("Stopped".into());
        drop(log);
        ending.wait(LAST_WORDS);
        Ok(())
    }

    fn ready(&self) {
        (self.options.supervisor)(&format!("READY=1\nMAINPID={}", std::process::id()));
    }

    /// What the file says of this thread and its memory. The other threads are there already and stay as they are.
    fn urgency(&self) {
        let global = &self.conf.global;
        let try_to = |word: &str, result: io::Result<()>| {
            if let Err(e) = result {
                self.log.line(format!("{word}: {e}"));
            }
        };
        if let Some(nice) = global.nice {
            try_to("vrrp_priority", lb_sys::process::set_priority(nice));
        }
        if let Some(priority) = global.realtime {
            let limit = global.rttime.unwrap_or(RTTIME);
            try_to("vrrp_rlimit_rttime", lb_sys::process::limit_realtime(limit));
            try_to("vrrp_rt_priority", lb_sys::process::set_realtime(priority));
        }
        if global.no_swap {
            try_to("vrrp_no_swap", lb_sys::process::lock_memory());
        }
        if !global.cores.is_empty() {
            try_to("vrrp_cpu_affinity", lb_sys::process::run_on(&global.cores));
        }
    }

    /// `max_auto_priority`: who is late becomes more urgent, by one each time.
    fn hurry(&mut self, late: Duration) {
        let global = &self.conf.global;
        let most = global.max_auto_priority;
        let present = self.raised.max(global.realtime.unwrap_or(0));
        if late < global.auto_priority_delay.unwrap_or(AUTO_PRIORITY_DELAY) || present >= most {
            return;
        }
        self.raised = present + 1;
        let result =
            lb_sys::process::limit_realtime(global.rttime.unwrap_or(RTTIME)).and_then(|()| lb_sys::process::set_realtime(self.raised));
        let outcome = result.map_or_else(|e| e.to_string(), |()| format!("real-time priority is {} now", self.raised));
        self.log.line(format!("a timer was served {} ms late: {outcome}", late.as_millis()));
    }

    fn start(&mut self, now: Instant) {
        if self.stopping {
            return;
        }
        for entry in 0..self.entries.len() {
            self.start_entry(now, entry);
        }
    }

    fn start_entry(&mut self, now: Instant, entry: usize) {
        match &mut self.entries[entry].machine {
            Machine::Single(one) => one.handle(now, Event::Start),
            Machine::Group(group) => group.start(now),
        }
        self.act(entry);
    }

    fn timers(&mut self, now: Instant) {
        self.pace.turns += 1;
        if self.poll_delays().is_some_and(|at| at <= now) {
            self.handle_delays(now);
        }
        self.announcements.send(now, self.frames.as_fd());
        self.announce_extra(now);
        for entry in 0..self.entries.len() {
            if let Some(due) = self.entries[entry].poll_timeout().filter(|at| *at <= now) {
                let late = now.saturating_duration_since(due);
                self.pace.latest = self.pace.latest.max(late);
                self.pace.late += u64::from(late > vrrp::LATE);
                self.hurry(late);
                match &mut self.entries[entry].machine {
                    Machine::Single(one) => one.handle_timeout(now),
                    Machine::Group(group) => group.handle_timeout(now),
                }
                self.act(entry);
            }
        }
    }

    /// Waits for the next timer or for something to read, and reads. Timers come after packets that have arrived, so that a pause of ours
    /// is not taken for one of the master.
    fn wait(&mut self, now: Instant, start: Option<Instant>) {
        let others = [start, self.poll_delays(), self.announcements.poll_timeout(now), self.poll_extra()];
        let due = self.entries.iter().filter_map(Entry::poll_timeout).chain(others.into_iter().flatten()).min();
        let ready = self.waiting.wait(lb_rt::clock::now(), due);
        let now = lb_rt::clock::now();
        let packets: Vec<u32> =
            ready.iter().filter_map(|source| if let Source::Packets(index) = source { Some(*index) } else { None }).collect();
        if !packets.is_empty() {
            self.read_packets(now, Some(&packets));
        }
        if ready.contains(&Source::Netlink) {
            self.read_netlink(now);
        }
        if ready.contains(&Source::Letters) {
            self.read_letters(now);
        }
        if ready.contains(&Source::Signals) {
            self.read_signals(now);
        }
    }

    fn read_letters(&mut self, now: Instant) {
        for letter in self.inbox.take().collect::<Vec<_>>() {
            match letter {
                Letter::Tracked { tracker, status, count } => self.tracked(now, tracker, status, count),
                Letter::ReloadDue(id) if self.timer.as_ref().is_some_and(|timer| timer.id == id) => self.read_again(),
                // Of one that a reload has ended.
                Letter::ReloadDue(_) => {}
                Letter::Linkbeat { id, links } => self.heard(now, id, links),
                // Who has asked may have gone.
                Letter::Ask(reply) => drop(reply.try_send(Box::new(self.snapshot(now)))),
                Letter::Reload(outcome) => self.reloaded(now, outcome),
            }
        }
    }

    fn read_signals(&mut self, now: Instant) {
        while let Ok(Some(signal)) = self.signals.take() {
            let Some((_, wish)) = SIGNALS.iter().find(|(of, _)| of() == signal) else { continue };
            match wish {
                Wish::Stop if self.stopping => {}
                Wish::Stop => {
                    self.stopping = true;
                    self.log.line("Stopping".into());
                    (self.options.supervisor)("STOPPING=1");
                    for entry in 0..self.entries.len() {
                        self.stop(now, entry, Departure::Stop);
                    }
                }
                Wish::Reload => self.read_again(),
                Wish::Dump(kind) => self.service.dump(*kind, Box::new(self.snapshot(now))),
                Wish::StatsClear => {
                    self.service.dump(Kind::Stats, Box::new(self.snapshot(now)));
                    self.clear_stats();
                }
                Wish::Overrun => self.log.line("vrrp_rlimit_rttime: the elections ran longer than that without waiting".into()),
            }
        }
    }

    fn stop(&mut self, now: Instant, entry: usize, departure: Departure) {
        match &mut self.entries[entry].machine {
            Machine::Single(one) => one.handle(now, Event::Stop(departure)),
            Machine::Group(group) => group.stop(now, departure),
        }
        self.act(entry);
    }
}
