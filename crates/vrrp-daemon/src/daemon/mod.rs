//! Instances at work: one loop over raw sockets, netlink, signals and timers. It reads a clock once per turn and waits for nothing else:
//! scripts, the log and fifos have threads of their own.

mod addresses;
mod instance;
mod interfaces;
mod notify;
mod receive;
mod tracking;

use crate::conf::model::Conf;
use crate::log::Log;
use crate::netlink::Netlink;
use crate::scripts::{self, Identity, Notifier, Outcome};
use crate::sockets::Sockets;
use instance::{Entry, Machine};
use interfaces::Interface;
use lb_sys::signal::{SIGHUP, SIGINT, SIGTERM, SignalFd};
use receive::Wanted;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;
use vrrp::{Departure, Event, Family, Instance, Script, SyncGroup, Weight};

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
    /// A script's user.
    #[error("{place} {text}")]
    User {
        /// The line that names it.
        place: String,
        /// What is wrong with it.
        text: String,
    },
    /// An instance that `vrrp` refuses; the check of the file has said so before.
    #[error("{0}: {1}")]
    Instance(String, vrrp::ConfigError),
}

fn system(what: &'static str) -> impl Fn(io::Error) -> StartError {
    move |error| StartError::System { what, error }
}

/// The daemon.
pub struct Daemon {
    conf: Conf,
    log: Log,
    notifier: Notifier,
    telling: std::thread::JoinHandle<()>,
    netlink: Netlink,
    frames: OwnedFd,
    interfaces: BTreeMap<u32, Interface>,
    sockets: BTreeMap<u32, Sockets>,
    entries: Vec<Entry>,
    /// Who listens to an id in a family on an interface: entries and members.
    listeners: HashMap<(u32, Family, u8), Vec<(usize, usize)>>,
    /// What the packets of each instance look like.
    wanted: Vec<Wanted>,
    /// All addresses that instances put in place.
    ours: HashSet<IpAddr>,
    /// What each instance was told of its interface.
    told: Vec<(bool, Option<IpAddr>)>,
    /// Where each tracked script's state goes, and that state.
    scripts: HashMap<usize, Script>,
    results: Receiver<Outcome>,
    wake: io::PipeReader,
    /// One end that stays open when no script has one: a pipe without writers is readable for ever.
    _waker: io::PipeWriter,
    users: HashMap<Vec<String>, Identity>,
    signals: SignalFd,
    stopping: bool,
}

impl Daemon {
    /// Opens what it needs. To be called before any other thread is started.
    ///
    /// # Errors
    /// What the kernel refuses, users that do not exist.
    pub fn open(conf: Conf, sink: crate::log::Sink) -> Result<Daemon, StartError> {
        let signals = SignalFd::new(&[SIGTERM, SIGINT, SIGHUP]).map_err(system("signals"))?;
        let mut users = HashMap::new();
        for command in conf.commands() {
            let identity = Identity::of(&conf, command).map_err(|text| StartError::User { place: command.place.to_string(), text })?;
            users.insert(command.words.clone(), identity);
        }
        let log = Log::start(sink).map_err(system("thread of the log"))?;
        let (notifier, telling) = Notifier::start(conf.global.fifos.clone(), log.clone()).map_err(system("thread of notices"))?;
        let (send, results) = channel();
        let (wake, waker) = io::pipe().map_err(system("pipe"))?;
        let mut tracked = HashMap::new();
        let used = conf.instances.iter().flat_map(|i| &i.track_scripts).chain(conf.groups.iter().flat_map(|g| &g.track_scripts));
        for track in used {
            let Some(index) = conf.scripts.iter().position(|s| s.name == track.name) else { continue };
            let script = &conf.scripts[index];
            let Some(command) = script.command.clone().filter(|_| !tracked.contains_key(&index)) else { continue };
            let state = if script.init_fail { Script::init_fail(script.rise, script.fall) } else { Script::new(script.rise, script.fall) };
            tracked.insert(index, state);
            let who = users[&command.words];
            let waker = waker.try_clone().map_err(system("pipe"))?;
            scripts::track(index, script, command, who, send.clone(), waker).map_err(system("thread of a script"))?;
        }
        let addresses = conf.instances.iter().flat_map(|i| i.addresses.iter().chain(&i.excluded));
        let mut daemon = Daemon {
            wanted: conf.instances.iter().map(|it| Wanted::new(&it.config(&conf.global, Vec::new()))).collect(),
            ours: addresses.map(|a| a.address).collect(),
            told: vec![(false, None); conf.instances.len()],
            netlink: Netlink::open().map_err(system("netlink"))?,
            frames: lb_sys::packet::open().map_err(system("packet socket"))?,
            interfaces: BTreeMap::new(),
            sockets: BTreeMap::new(),
            entries: Vec::new(),
            listeners: HashMap::new(),
            scripts: tracked,
            stopping: false,
            conf,
            log,
            notifier,
            telling,
            results,
            wake,
            _waker: waker,
            users,
            signals,
        };
        daemon.make_machines()?;
        Ok(daemon)
    }

    fn make_machines(&mut self) -> Result<(), StartError> {
        let conf = &self.conf;
        let config = |index: &usize| {
            let it = &conf.instances[*index];
            let interfaces = it.track_interfaces.iter().map(|t| t.weight.unwrap_or_default());
            let tracks: Vec<Weight> = interfaces.chain(it.track_scripts.iter().map(|t| conf.weight_of_script(t))).collect();
            it.config(&conf.global, tracks)
        };
        let grouped: Vec<usize> = conf.groups.iter().flat_map(|g| g.members.clone()).collect();
        for (at, group) in conf.groups.iter().enumerate() {
            let interfaces = group.track_interfaces.iter().map(|t| t.weight.unwrap_or_default());
            let tracks = interfaces.chain(group.track_scripts.iter().map(|t| conf.weight_of_script(t))).collect();
            let machine = SyncGroup::new(group.members.iter().map(config).collect(), tracks)
                .map_err(|(member, e)| StartError::Instance(conf.instances[group.members[member]].name.clone(), e))?;
            self.entries.push(Entry { machine: Machine::Group(machine), members: group.members.clone(), group: Some(at) });
        }
        for index in (0..conf.instances.len()).filter(|i| !grouped.contains(i)) {
            let machine = Instance::new(config(&index)).map_err(|e| StartError::Instance(conf.instances[index].name.clone(), e))?;
            self.entries.push(Entry { machine: Machine::Single(Box::new(machine)), members: vec![index], group: None });
        }
        Ok(())
    }

    /// Runs until a signal ends it and the last mastership has been given up.
    ///
    /// # Errors
    /// Netlink, at the start.
    pub fn run(mut self, ready: impl FnOnce()) -> Result<(), StartError> {
        self.urgency();
        let now = lb_rt::clock::now();
        let all = self.netlink.all().map_err(system("netlink"))?;
        self.changes(now, all);
        self.track_all(now);
        let mut start = Some(now + self.conf.global.startup_delay);
        ready();
        loop {
            let now = lb_rt::clock::now();
            if start.is_some_and(|at| at <= now) {
                start = None;
                self.start(now);
            }
            self.timers(now);
            if self.stopping && self.entries.iter().all(Entry::is_stopped) {
                break;
            }
            self.wait(now, start);
        }
        self.log.line("Stopped".into());
        drop(self.notifier);
        let _ = self.telling.join();
        Ok(())
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
            try_to("vrrp_rt_priority", lb_sys::process::set_realtime(priority));
        }
        if global.no_swap {
            try_to("vrrp_no_swap", lb_sys::process::lock_memory());
        }
        if !global.cores.is_empty() {
            try_to("vrrp_cpu_affinity", lb_sys::process::run_on(&global.cores));
        }
    }

    fn start(&mut self, now: Instant) {
        if self.stopping {
            return;
        }
        for entry in 0..self.entries.len() {
            match &mut self.entries[entry].machine {
                Machine::Single(one) => one.handle(now, Event::Start),
                Machine::Group(group) => group.start(now),
            }
            self.act(entry);
        }
    }

    fn timers(&mut self, now: Instant) {
        for entry in 0..self.entries.len() {
            if self.entries[entry].poll_timeout().is_some_and(|at| at <= now) {
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
        let due = self.entries.iter().filter_map(Entry::poll_timeout).chain(start).min();
        let timeout = due.map(|at| at.saturating_duration_since(now));
        let timeout = timeout.map(|t| Timespec { tv_sec: t.as_secs() as i64, tv_nsec: i64::from(t.subsec_nanos()) });
        let (signal, link, script) = (self.signals.as_fd(), self.netlink.fd(), self.wake.as_fd());
        let sockets = self.sockets.values().flat_map(Sockets::fds);
        let mut fds: Vec<PollFd<'_>> =
            [signal, link, script].into_iter().chain(sockets).map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        if poll(&mut fds, timeout.as_ref()).is_err() {
            return;
        }
        let readable = |at: usize| !fds[at].revents().is_empty();
        let (signal, link, script, packets) = (readable(0), readable(1), readable(2), (3..fds.len()).any(readable));
        drop(fds);
        let now = lb_rt::clock::now();
        if packets {
            self.read_packets(now);
        }
        if link {
            self.read_netlink(now);
        }
        if script {
            self.read_results(now);
        }
        if signal {
            self.read_signals(now);
        }
    }

    fn read_signals(&mut self, now: Instant) {
        while let Ok(Some(signal)) = self.signals.take() {
            if signal == SIGHUP {
                self.log.line("SIGHUP: vrrpd does not read its file again yet; the configuration stays".into());
            } else if !self.stopping {
                self.stopping = true;
                self.log.line("Stopping".into());
                for entry in 0..self.entries.len() {
                    match &mut self.entries[entry].machine {
                        Machine::Single(one) => one.handle(now, Event::Stop(Departure::Stop)),
                        Machine::Group(group) => group.stop(now, Departure::Stop),
                    }
                    self.act(entry);
                }
            }
        }
    }
}
