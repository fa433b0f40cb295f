//! A new configuration takes the place of the old one.
//!
//! Holds: an instance that is in both goes on in its state, with its timers; what is refused changes nothing; what an instance no longer
//! has is taken away unless another one has it.

use super::instance::{Entry, Machine};
use super::{Daemon, tracking};
use crate::conf::model::{AddressConf, Conf, InstanceConf, RouteConf, RuleConf};
use crate::inbox::Letter;
use crate::notifier::Job;
use crate::reload::{Plan, Prepared, Users, plan, prepare};
use crate::track::timer;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use vrrp::{Departure, Event, Instance, Notice, State, Status, SyncGroup};

/// `reload_file` without a path.
const RELOAD_FILE: &str = "/run/keepalived.reload";

/// Where reading the file again stands.
#[derive(Debug, Default)]
pub(super) struct Reloading {
    /// A thread reads.
    pub reading: bool,
    /// It is to be read once more then.
    pub again: bool,
    /// Instances have been started: new ones are so at once.
    pub started: bool,
}

/// What is in place, with the name of the instance that wants it.
#[derive(Default)]
struct InPlace {
    addresses: Vec<(String, u32, AddressConf)>,
    routes: Vec<(String, RouteConf)>,
    rules: Vec<(String, RuleConf)>,
}

impl Daemon {
    /// SIGHUP: reads the file on another thread. While one reads, once more is enough.
    pub(super) fn read_again(&mut self) {
        if self.stopping {
            return;
        }
        if std::mem::replace(&mut self.reloading.reading, true) {
            self.reloading.again = true;
            return;
        }
        self.log.line("Reloading ...".into());
        (self.options.supervisor)("RELOADING=1");
        let (origin, post, complaints) = (self.options.origin.clone(), self.post.clone(), self.complaints.clone());
        // The mark must not outlive the program.
        let unfinished = self.watching.0.clone();
        let mark = self.conf.global.reload_file.clone().map(|path| path.unwrap_or_else(|| RELOAD_FILE.into()));
        let read = move || {
            // It is there, and empty, while the file is read.
            let marked = mark.filter(|path| std::fs::write(path, "").is_ok());
            let outcome = prepare(origin.read(), Some(&complaints)).map(Box::new);
            if let Some(path) = marked {
                let _ = std::fs::remove_file(path);
            }
            drop(unfinished);
            post.send(Letter::Reload(outcome));
        };
        if let Err(e) = std::thread::Builder::new().name("reload".into()).spawn(read) {
            self.reloading.reading = false;
            self.log.line(format!("Reload refused, the configuration in force stays: no thread: {e}"));
            self.ready();
        }
    }

    /// `reload_time_file`.
    pub(super) fn wait_for_the_moment(&mut self) {
        let global = &self.conf.global;
        let wanted = global.reload_time.clone().map(|path| (path, global.reload_repeat));
        if self.timer.as_ref().map(|timer| &timer.conf) == wanted.as_ref() {
            return;
        }
        self.timer = None;
        if let Some(wanted) = wanted {
            self.tracker += 1;
            match timer::start(self.tracker, wanted, self.office()) {
                Ok(timer) => self.timer = Some(timer),
                Err(e) => self.log.line(format!("reload_time_file is not watched: {e}")),
            }
        }
    }

    /// The file has been read.
    pub(super) fn reloaded(&mut self, now: Instant, outcome: Result<Box<Prepared>, Vec<String>>) {
        self.reloading.reading = false;
        if self.stopping {
            return;
        }
        match outcome {
            Ok(prepared) => {
                prepared.lines.iter().for_each(|line| self.log.line(line.clone()));
                self.put_in_force(now, *prepared);
                self.pace.reloads += 1;
                self.log.line("Reload complete".into());
            }
            Err(lines) => {
                lines.into_iter().for_each(|line| self.log.line(line));
                self.pace.refused += 1;
                self.log.line("Reload refused, the configuration in force stays".into());
            }
        }
        self.ready();
        if std::mem::take(&mut self.reloading.again) {
            self.read_again();
        }
    }

    fn put_in_force(&mut self, now: Instant, prepared: Prepared) {
        let Prepared { mut conf, users, complaints, .. } = prepared;
        let plan = plan(&self.conf, self.live, &conf);
        let before = self.in_place();
        let live = conf.instances.len();
        let (mut kept, told_groups, mut leaving) = self.take_apart(&plan);
        leaving.iter_mut().for_each(|entry| move_to_the_end(entry, &self.conf, &mut conf));
        let old = std::mem::replace(&mut self.conf, Arc::new(conf));
        let old_users = std::mem::replace(&mut self.users, users);
        self.live = live;
        // Those who leave have something to say yet.
        let conf = &self.conf;
        let gone = conf.groups.iter().filter(|g| g.members.iter().any(|m| *m >= live)).map(|g| &g.watch.notifies);
        let notifies = conf.instances[live..].iter().map(|it| &it.watch.notifies).chain(gone);
        self.users.keep(&old_users, notifies.flat_map(|it| it.commands()));
        let old_told = std::mem::take(&mut self.told);
        self.complaints = Arc::new(complaints);
        self.told = plan.from.iter().map(|from| from.map_or((false, None), |at| old_told[at])).collect();
        self.told.resize(self.conf.instances.len(), (false, None));
        self.derive();
        self.track_again(&old, &old_users);
        self.make_again(now, &plan, &mut kept, &told_groups);
        let first_leaving = self.entries.len();
        self.entries.append(&mut leaving);
        self.take_away(before);
        self.refresh(now);
        if self.reloading.started {
            (0..first_leaving).for_each(|entry| self.start_entry(now, entry));
        }
        for entry in first_leaving..self.entries.len() {
            self.stop(now, entry, Departure::Deleted);
        }
        (0..self.entries.len()).for_each(|entry| self.act(entry));
        self.announce_new(&old, &plan);
        self.forget_links();
        self.ask_drivers(now);
        self.wait_for_the_moment();
        self.forget_statics(&old.statics);
        if old.global.urgency() != self.conf.global.urgency() {
            self.urgency();
        }
        if self.conf.global.fifo_states_on_reload {
            self.tell_states();
        }
    }

    /// Masters announce addresses that have come or moved. Of those in adverts the machine has seen to it.
    fn announce_new(&mut self, old: &Conf, plan: &Plan) {
        let conf = self.conf.clone();
        let places = |it: &InstanceConf| -> HashSet<(IpAddr, Option<String>)> {
            it.addresses.iter().chain(&it.excluded).map(|a| (a.address, a.on.clone())).collect()
        };
        for entry in 0..self.entries.len() {
            for (member, at) in self.entries[entry].members.clone().into_iter().enumerate() {
                let Some(before) = plan.from.get(at).copied().flatten().map(|before| &old.instances[before]) else { continue };
                let (it, instance) = (&conf.instances[at], self.entries[entry].instance(member));
                let announced = !it.addresses.iter().map(|a| a.address).eq(before.addresses.iter().map(|a| a.address));
                if instance.state() == State::Master && !announced && !places(it).is_subset(&places(before)) {
                    let times = instance.config().garp.master_repeat;
                    self.announce(entry, member, times);
                }
            }
        }
    }

    /// Instances that go on, by their old index, what the scripts of their groups were told last, and entries of which nothing goes on.
    fn take_apart(&mut self, plan: &Plan) -> (HashMap<usize, Instance>, HashMap<String, Notice>, Vec<Entry>) {
        let goes_on = |at: &usize| plan.from.contains(&Some(*at));
        let (mut kept, mut told, mut leaving) = (HashMap::new(), HashMap::new(), Vec::new());
        for entry in std::mem::take(&mut self.entries) {
            if !entry.members.iter().any(goes_on) {
                leaving.push(entry);
                continue;
            }
            let instances = match entry.machine {
                Machine::Single(one) => vec![*one],
                Machine::Group(group) => {
                    let (members, notice) = group.into_members();
                    let name = entry.group.map(|at| self.conf.groups[at].name.clone());
                    told.extend(name.zip(notice));
                    members
                }
            };
            for (at, instance) in entry.members.into_iter().zip(instances) {
                if goes_on(&at) {
                    kept.insert(at, instance);
                } else {
                    leaving.push(Entry { machine: Machine::Single(Box::new(instance)), members: vec![at], group: None });
                }
            }
        }
        (kept, told, leaving)
    }

    fn track_again(&mut self, old: &Conf, old_users: &Users) {
        let (trackers, office) = (std::mem::take(&mut self.trackers), self.office());
        match tracking::trackers(&self.conf, &self.users, trackers, Some((old, old_users)), &mut self.tracker, &office) {
            Ok(trackers) => self.trackers = trackers,
            Err(e) => self.log.line(format!("what is tracked is not all tracked any more: no thread: {e}")),
        }
        // Also when they are the same: their scripts are started again.
        self.notifier.tell(Job::Fifos(self.conf.fifos(&self.users)));
    }

    /// The entries of the new configuration, of instances that go on and of new ones.
    fn make_again(&mut self, now: Instant, plan: &Plan, kept: &mut HashMap<usize, Instance>, told: &HashMap<String, Notice>) {
        let (conf, live) = (self.conf.clone(), self.live);
        let mut grouped = HashSet::new();
        for (at, group) in conf.groups.iter().enumerate().filter(|(_, g)| g.members.iter().all(|m| *m < live)) {
            let machines = group.members.iter().enumerate();
            let members: Vec<Instance> =
                machines.filter_map(|(member, index)| self.instance_again(now, plan, kept, member, *index)).collect();
            grouped.extend(group.members.iter().copied());
            if members.len() < group.members.len() {
                continue;
            }
            let statuses = conf.tracks_of(&group.watch).iter().map(|(object, _)| self.status_of(object)).collect();
            let machine = SyncGroup::of(members, self.weights_of_group(at), statuses, told.get(&group.name).copied());
            self.entries.push(Entry { machine: Machine::Group(machine), members: group.members.clone(), group: Some(at) });
        }
        for index in (0..self.live).filter(|i| !grouped.contains(i)) {
            if let Some(mut instance) = self.instance_again(now, plan, kept, 0, index) {
                instance.leave_group(now);
                self.entries.push(Entry { machine: Machine::Single(Box::new(instance)), members: vec![index], group: None });
            }
        }
    }

    /// One instance: the old one with its new configuration, or a new one that knows how its interface and what it tracks are doing.
    fn instance_again(
        &mut self,
        now: Instant,
        plan: &Plan,
        kept: &mut HashMap<usize, Instance>,
        member: usize,
        index: usize,
    ) -> Option<Instance> {
        let config = self.config_of(index);
        let statuses: Vec<Status> =
            self.conf.tracks_of(&self.conf.instances[index].watch).iter().map(|(object, _)| self.status_of(object)).collect();
        let made = match plan.from[index].and_then(|at| kept.remove(&at)) {
            Some(mut instance) => instance.reconfigure(now, config, statuses).map(|()| instance),
            None => Instance::new(config).map(|mut instance| {
                let (up, source) = self.listen(self.entries.len(), member, index);
                self.told[index] = (up, source);
                instance.handle(now, Event::Interface { up, source });
                for (place, status) in statuses.into_iter().enumerate() {
                    instance.handle(now, Event::Track(place, status));
                }
                instance
            }),
        };
        // The check of the file has made sure that it does not come to this.
        made.map_err(|e| self.log.line(format!("({}) {e}", self.conf.instances[index].name))).ok()
    }

    /// The addresses, routes and rules that are in place because of an instance.
    fn in_place(&self) -> InPlace {
        let mut all = InPlace::default();
        for entry in 0..self.entries.len() {
            for (member, at) in self.entries[entry].members.iter().enumerate() {
                if self.entries[entry].instance(member).has_addresses() {
                    let it = &self.conf.instances[*at];
                    let here = self.addresses(entry, member).into_iter();
                    all.addresses.extend(here.map(|(interface, address)| (it.name.clone(), interface, address.bare())));
                    all.routes.extend(it.routes.iter().map(|route| (it.name.clone(), route.clone().bare())));
                    all.rules.extend(it.rules.iter().map(|rule| (it.name.clone(), rule.clone().bare())));
                }
            }
        }
        all
    }

    /// Takes away what was in place and is no longer asked for.
    fn take_away(&mut self, before: InPlace) {
        let InPlace { addresses, routes, rules } = self.in_place();
        let addresses: HashSet<(u32, AddressConf)> = addresses.into_iter().map(|(_, interface, address)| (interface, address)).collect();
        let routes: HashSet<RouteConf> = routes.into_iter().map(|(_, route)| route).collect();
        let rules: HashSet<RuleConf> = rules.into_iter().map(|(_, rule)| rule).collect();
        for (name, rule) in before.rules.into_iter().filter(|(_, rule)| !rules.contains(rule)) {
            self.log.line(format!("({name}) rule {}, no longer exist", rule.preference.unwrap_or_default()));
            self.remove_rule(&name, &rule);
        }
        for (name, route) in before.routes.into_iter().filter(|(_, route)| !routes.contains(route)) {
            self.log.line(format!("({name}) route {}/{}, no longer exist", route.to, route.prefix));
            self.remove_route(&name, &route);
        }
        for (name, interface, address) in before.addresses {
            let key = (interface, address);
            if !addresses.contains(&key) {
                let (interface, address) = key;
                self.log.line(format!("({name}) ip address {}/{}, no longer exist", address.address, address.prefix));
                self.remove_address(&name, interface, &address);
            }
        }
    }

    /// Entries of instances that are no longer in the file, once they have left.
    pub(super) fn forget_those_who_left(&mut self, now: Instant) {
        let live = self.live;
        let gone = |entry: &Entry| entry.members.iter().all(|m| *m >= live) && entry.is_stopped();
        if self.entries.iter().any(gone) {
            self.entries.retain(|entry| !gone(entry));
            self.refresh(now);
        }
    }
}

/// Appends what a leaving entry needs of its configuration to the new one.
fn move_to_the_end(entry: &mut Entry, old: &Conf, new: &mut Conf) {
    for member in &mut entry.members {
        new.instances.push(old.instances[*member].clone());
        *member = new.instances.len() - 1;
    }
    if let Some(at) = &mut entry.group {
        let mut group = old.groups[*at].clone();
        group.members.clone_from(&entry.members);
        new.groups.push(group);
        *at = new.groups.len() - 1;
    }
}
