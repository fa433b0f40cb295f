//! Instances at work: one loop over raw sockets, netlink, signals and timers. It reads a clock once per turn and waits for nothing else:
//! scripts, the log and fifos have threads of their own.

use crate::conf::model::{Command, Conf, Notifies};
use crate::frames;
use crate::log::Log;
use crate::netlink::{Address, Change, Netlink, Route};
use crate::scripts::{self, Identity, Job, Notifier, Outcome};
use crate::sockets::Sockets;
use lb_sys::signal::{SIGHUP, SIGINT, SIGTERM, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::btree_map::Entry::Vacant;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;
use vrrp::{Action, Auth, Departure, Event, GroupAction, Instance, Notice, Packet, Script, Status, SyncGroup, Syncing, Transport, Weight};

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

enum Machine {
    Single(Box<Instance>),
    Group(SyncGroup),
}

/// A machine and the instances of the configuration that are its members.
struct Entry {
    machine: Machine,
    members: Vec<usize>,
    /// Its index among the groups.
    group: Option<usize>,
}

struct Interface {
    name: String,
    up: bool,
    hardware: Vec<u8>,
    /// Address, and whether it is a secondary one.
    addresses: Vec<(IpAddr, bool)>,
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
    /// Who listens to an id on an interface: entries and members.
    listeners: HashMap<(u32, u8), Vec<(usize, usize)>>,
    /// The id of each instance, and the group that it listens to.
    wanted: Vec<(u8, Option<Ipv4Addr>)>,
    /// All addresses that instances put in place.
    ours: HashSet<IpAddr>,
    /// Whether an instance speaks below an authentication header.
    authenticated: bool,
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
        let configs: Vec<vrrp::Config> = conf.instances.iter().map(|it| it.config(&conf.global, Vec::new())).collect();
        let group = |config: &vrrp::Config| match config.transport {
            Transport::Multicast { group: IpAddr::V4(group) } => Some(group),
            _ => None,
        };
        let addresses = conf.instances.iter().flat_map(|i| i.addresses.iter().chain(&i.excluded));
        let mut daemon = Daemon {
            wanted: configs.iter().map(|c| (c.vrid, group(c))).collect(),
            ours: addresses.map(|a| a.address).collect(),
            authenticated: configs.iter().any(|c| matches!(c.auth, Auth::Header(_))),
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

    fn read_packets(&mut self, now: Instant) {
        let mut all = Vec::new();
        for (index, sockets) in &self.sockets {
            sockets.read(|bytes| all.push((*index, bytes.to_vec())));
        }
        for (index, bytes) in all {
            // What is no packet belongs to nobody here.
            let Ok(packet) = Packet::ipv4(&bytes) else { continue };
            let vrid = vrrp::packet::vrid(packet.pdu).unwrap_or_default();
            let listeners = self.listeners.get(&(index, vrid)).cloned().unwrap_or_default();
            for (entry, member) in listeners {
                self.event(now, entry, member, Event::Packet(packet));
            }
        }
    }

    fn read_netlink(&mut self, now: Instant) {
        match self.netlink.take() {
            Some(changes) => self.changes(now, changes),
            // Announcements were lost: everything is asked for again.
            None => {
                if let Ok(all) = self.netlink.all() {
                    self.interfaces.values_mut().for_each(|i| i.addresses.clear());
                    self.changes(now, all);
                }
            }
        }
    }

    fn changes(&mut self, now: Instant, changes: Vec<Change>) {
        // Our own addresses come and go with each election; nothing else depends on them.
        let own = |change: &Change| matches!(change, Change::Address { address, .. } | Change::AddressGone { address, .. } if self.ours.contains(address));
        let matters = !changes.iter().all(own);
        for change in changes {
            match change {
                Change::Link { index, name, up, hardware } => {
                    let it = self.interfaces.entry(index).or_insert_with(|| Interface {
                        name: String::new(),
                        up: false,
                        hardware: Vec::new(),
                        addresses: Vec::new(),
                    });
                    (it.name, it.up, it.hardware) = (name, up, hardware);
                }
                Change::LinkGone { index } => {
                    self.interfaces.remove(&index);
                    self.sockets.remove(&index);
                }
                Change::Address { index, address, secondary } => {
                    if let Some(it) = self.interfaces.get_mut(&index) {
                        it.addresses.retain(|(a, _)| *a != address);
                        it.addresses.push((address, secondary));
                    }
                }
                Change::AddressGone { index, address } => {
                    if let Some(it) = self.interfaces.get_mut(&index) {
                        it.addresses.retain(|(a, _)| *a != address);
                    }
                    self.address_gone(now, index, address);
                }
            }
        }
        if matters {
            self.refresh(now);
        }
    }

    /// An address of ours that somebody has taken away.
    fn address_gone(&mut self, now: Instant, index: u32, address: IpAddr) {
        for entry in 0..self.entries.len() {
            for member in 0..self.entries[entry].members.len() {
                let ours =
                    self.addresses(entry, member).iter().any(|(a, tracked)| *tracked && a.interface == index && a.address == address);
                if ours && self.entries[entry].instance(member).has_addresses() {
                    self.event(now, entry, member, Event::AddressLost);
                }
            }
        }
    }

    /// Tells instances of their interfaces, opens sockets where there are none.
    fn refresh(&mut self, now: Instant) {
        self.listeners.clear();
        for entry in 0..self.entries.len() {
            for member in 0..self.entries[entry].members.len() {
                let at = self.entries[entry].members[member];
                let (up, source) = self.listen(entry, member, at);
                if self.told[at] != (up, source) {
                    self.told[at] = (up, source);
                    self.event(now, entry, member, Event::Interface { up, source });
                }
            }
        }
        self.track_interfaces(now);
    }

    fn index_of(&self, name: &str) -> Option<u32> {
        self.interfaces.iter().find(|(_, i)| i.name == name).map(|(index, _)| *index)
    }

    fn listen(&mut self, entry: usize, member: usize, at: usize) -> (bool, Option<IpAddr>) {
        let it = &self.conf.instances[at];
        let Some(index) = it.interface.as_deref().and_then(|name| self.index_of(name)) else { return (false, None) };
        let interface = &self.interfaces[&index];
        let own = |(address, secondary): &&(IpAddr, bool)| address.is_ipv4() && !secondary && !self.ours.contains(address);
        let source = it.source.or_else(|| interface.addresses.iter().find(own).map(|(address, _)| *address));
        let up = interface.up;
        if let Vacant(slot) = self.sockets.entry(index) {
            match Sockets::open(&interface.name, index, self.authenticated) {
                Ok(sockets) => drop(slot.insert(sockets)),
                Err(e) => {
                    self.log.line(format!("({}) no raw socket on {}: {e}", it.name, interface.name));
                    return (false, source);
                }
            }
        }
        let (vrid, group) = self.wanted[at];
        if let (Some(group), Some(sockets)) = (group, self.sockets.get_mut(&index))
            && let Err(e) = sockets.join(group)
        {
            self.log.line(format!("({}) cannot listen to {group} on {}: {e}", it.name, interface.name));
        }
        self.listeners.entry((index, vrid)).or_default().push((entry, member));
        (up, source)
    }

    fn track_interfaces(&mut self, now: Instant) {
        let status = |daemon: &Daemon, name: &str| {
            let up = daemon.index_of(name).is_some_and(|index| daemon.interfaces[&index].up);
            if up { Status::Up } else { Status::Down }
        };
        for entry in 0..self.entries.len() {
            for member in 0..self.entries[entry].members.len() {
                let at = self.entries[entry].members[member];
                for which in 0..self.conf.instances[at].track_interfaces.len() {
                    let status = status(self, &self.conf.instances[at].track_interfaces[which].name);
                    self.event(now, entry, member, Event::Track(which, status));
                }
            }
            if let Some(group) = self.entries[entry].group {
                for which in 0..self.conf.groups[group].track_interfaces.len() {
                    let status = status(self, &self.conf.groups[group].track_interfaces[which].name);
                    self.track_group(now, entry, which, status);
                }
            }
        }
    }

    fn track_group(&mut self, now: Instant, entry: usize, which: usize, status: Status) {
        if let Machine::Group(group) = &mut self.entries[entry].machine {
            group.handle_track(now, which, status);
            self.act(entry);
        }
    }

    /// What scripts have come to before they ran: nothing, or down with `init_fail`.
    fn track_all(&mut self, now: Instant) {
        let states: Vec<(usize, Status)> = self.scripts.iter().map(|(index, script)| (*index, script.status())).collect();
        for (index, status) in states {
            self.track_script(now, index, status);
        }
    }

    fn read_results(&mut self, now: Instant) {
        // The results are in the channel; the bytes have only woken us.
        let _ = self.wake.read(&mut [0; 4096]);
        while let Ok((index, success)) = self.results.try_recv() {
            let Some(script) = self.scripts.get_mut(&index) else { continue };
            if let Some(status) = script.result(success) {
                let word = if status == Status::Up { "succeeded" } else { "failed" };
                self.log.line(format!("VRRP_Script({}) {word}", self.conf.scripts[index].name));
                self.track_script(now, index, status);
            }
        }
    }

    fn track_script(&mut self, now: Instant, index: usize, status: Status) {
        let name = self.conf.scripts[index].name.clone();
        for entry in 0..self.entries.len() {
            for member in 0..self.entries[entry].members.len() {
                let it = &self.conf.instances[self.entries[entry].members[member]];
                let before = it.track_interfaces.len();
                let places: Vec<usize> =
                    it.track_scripts.iter().enumerate().filter(|(_, t)| t.name == name).map(|(at, _)| before + at).collect();
                for which in places {
                    self.event(now, entry, member, Event::Track(which, status));
                }
            }
            if let Some(group) = self.entries[entry].group {
                let it = &self.conf.groups[group];
                let before = it.track_interfaces.len();
                let places: Vec<usize> =
                    it.track_scripts.iter().enumerate().filter(|(_, t)| t.name == name).map(|(at, _)| before + at).collect();
                for which in places {
                    self.track_group(now, entry, which, status);
                }
            }
        }
    }

    fn event(&mut self, now: Instant, entry: usize, member: usize, event: Event<'_>) {
        match &mut self.entries[entry].machine {
            Machine::Single(one) => one.handle(now, event),
            Machine::Group(group) => group.handle(now, member, event),
        }
        self.act(entry);
    }

    fn act(&mut self, entry: usize) {
        while let Some(action) = self.entries[entry].poll_action() {
            match action {
                GroupAction::Member(member, action) => self.act_for(entry, member, action),
                GroupAction::Notify(notice) => self.notify_group(entry, notice),
                GroupAction::Syncing(state) => {
                    let name = self.entries[entry].group.map(|g| self.conf.groups[g].name.as_str()).unwrap_or_default();
                    self.log.line(format!("VRRP_Group({name}) {}", Syncing(state)));
                }
                _ => {}
            }
        }
    }

    fn act_for(&mut self, entry: usize, member: usize, action: Action) {
        let at = self.entries[entry].members[member];
        let name = self.conf.instances[at].name.clone();
        match action {
            Action::Send(datagram) => {
                let index = self.conf.instances[at].interface.as_deref().and_then(|i| self.index_of(i));
                // What cannot be sent is noticed by its absence; the interface's state says why.
                if let Some(sockets) = index.and_then(|i| self.sockets.get(&i)) {
                    let _ = sockets.send(&datagram.bytes, datagram.destination);
                }
            }
            Action::AddAddresses => {
                self.log.line(format!("({name}) setting VIPs."));
                for (address, _) in self.addresses(entry, member) {
                    if let Err(e) = self.netlink.add(&address) {
                        self.log.line(format!("({name}) {}/{} cannot be set: {e}", address.address, address.prefix));
                    }
                }
                for route in self.routes(at) {
                    if let Err(e) = self.netlink.add_route(&route) {
                        self.log.line(format!("({name}) route {}/{} cannot be set: {e}", route.to, route.prefix));
                    }
                }
            }
            Action::RemoveAddresses => {
                self.log.line(format!("({name}) removing VIPs."));
                for route in self.routes(at) {
                    if let Err(e) = self.netlink.remove_route(&route) {
                        self.log.line(format!("({name}) route {}/{} cannot be removed: {e}", route.to, route.prefix));
                    }
                }
                for (address, _) in self.addresses(entry, member) {
                    if let Err(e) = self.netlink.remove(&address) {
                        self.log.line(format!("({name}) {}/{} cannot be removed: {e}", address.address, address.prefix));
                    }
                }
            }
            Action::Announce(times) => self.announce(entry, member, times),
            Action::Notify { notice, priority } => {
                let notifies = self.conf.instances[at].notifies.clone();
                self.notify(&notifies, "INSTANCE", &name, notice, priority);
            }
            Action::Report(report) => self.log.line(format!("({name}) {report}")),
            _ => {}
        }
    }

    /// The addresses of an instance with the interfaces that they go to, and whether their loss matters.
    fn addresses(&self, entry: usize, member: usize) -> Vec<(Address, bool)> {
        let it = &self.conf.instances[self.entries[entry].members[member]];
        let resolved = it.addresses.iter().chain(&it.excluded).filter_map(|a| {
            let interface = self.index_of(a.dev.as_deref().or(it.interface.as_deref())?)?;
            let address = Address { interface, address: a.address, prefix: a.prefix, brd: a.brd, label: a.label.clone(), scope: a.scope };
            Some((address, !a.no_track))
        });
        resolved.collect()
    }

    /// The routes of an instance.
    fn routes(&self, at: usize) -> Vec<Route> {
        let resolved = self.conf.instances[at].routes.iter().map(|r| Route {
            to: r.to,
            prefix: r.prefix,
            via: r.via,
            interface: r.dev.as_deref().and_then(|dev| self.index_of(dev)),
            src: r.src,
            table: r.table,
            metric: r.metric,
            // 253 is the link.
            scope: r.scope.unwrap_or(if r.via.is_some() || r.to.is_ipv6() { 0 } else { 253 }),
        });
        resolved.collect()
    }

    fn announce(&self, entry: usize, member: usize, times: u8) {
        let addresses = self.addresses(entry, member);
        for _ in 0..times {
            for (address, _) in &addresses {
                let hardware = self.interfaces.get(&address.interface).and_then(|i| <[u8; 6]>::try_from(i.hardware.as_slice()).ok());
                // An interface without Ethernet addresses has nobody to tell.
                let Some(hardware) = hardware else { continue };
                let frame = match address.address {
                    IpAddr::V4(v4) => frames::gratuitous_arp(hardware, v4),
                    IpAddr::V6(v6) => frames::neighbour_advertisement(hardware, v6),
                };
                let _ = lb_sys::packet::send(self.frames.as_fd(), address.interface, &frame);
            }
        }
    }

    fn notify_group(&mut self, entry: usize, notice: Notice) {
        let Some(group) = self.entries[entry].group else { return };
        let it = &self.conf.groups[group];
        let (name, notifies) = (it.name.clone(), it.notifies.clone());
        // keepalived passes no priority for a group.
        self.notify(&notifies, "GROUP", &name, notice, 0);
    }

    /// keepalived's order: the script of the state, the general one, the fifos.
    fn notify(&mut self, notifies: &Notifies, kind: &str, name: &str, notice: Notice, priority: u8) {
        let own = match notice {
            Notice::Master => &notifies.master,
            Notice::Backup => &notifies.backup,
            Notice::Fault => &notifies.fault,
            Notice::Stop => &notifies.stop,
            Notice::MasterRxLowerPri => &notifies.master_rx_lower_pri,
            Notice::Deleted => notifies.deleted.as_ref().unwrap_or(&None),
            Notice::MasterPriority | Notice::BackupPriority => &None,
        };
        // A deleted instance is one at fault to those who have not asked for the word.
        let word = match notice {
            Notice::Deleted if notifies.deleted.is_none() => Notice::Fault,
            other => other,
        };
        let general = match notice {
            Notice::MasterRxLowerPri | Notice::MasterPriority | Notice::BackupPriority => None,
            _ => notifies.any.as_ref(),
        };
        let identity = |command: &Command| self.users.get(&command.words).copied();
        if let Some((command, who)) = own.as_ref().and_then(|c| Some((c, identity(c)?))) {
            self.notifier.tell(Job::Run(command.clone(), who, Vec::new()));
        }
        if let Some((command, who)) = general.and_then(|c| Some((c, identity(c)?))) {
            let more = vec![kind.to_string(), name.to_string(), word.to_string(), priority.to_string()];
            self.notifier.tell(Job::Run(command.clone(), who, more));
        }
        self.notifier.tell(Job::Line(format!("{kind} \"{name}\" {word} {priority}\n")));
    }
}

impl Entry {
    fn poll_timeout(&self) -> Option<Instant> {
        match &self.machine {
            Machine::Single(one) => one.poll_timeout(),
            Machine::Group(group) => group.poll_timeout(),
        }
    }

    fn poll_action(&mut self) -> Option<GroupAction> {
        match &mut self.machine {
            Machine::Single(one) => one.poll_action().map(|action| GroupAction::Member(0, action)),
            Machine::Group(group) => group.poll_action(),
        }
    }

    fn is_stopped(&self) -> bool {
        match &self.machine {
            Machine::Single(one) => one.is_stopped(),
            Machine::Group(group) => group.is_stopped(),
        }
    }

    fn instance(&self, member: usize) -> &Instance {
        match &self.machine {
            Machine::Single(one) => one,
            Machine::Group(group) => &group.members()[member],
        }
    }
}
