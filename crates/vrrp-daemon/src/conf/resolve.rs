//! What the blocks say together: names that have to exist, numbers that have to differ, defaults; and the configurations of `vrrp` that
//! come of it.

use super::Loaded;
use super::diag::{Code, Diagnostic, Diagnostics, Level, Place};
use super::links::Way;
use super::model::{AuthType, Command, Conf, Global, InstanceConf, Notifies, PolledConf, TrackConf, User, Watch};
use crate::notifier::Fifo;
use crate::reload::Users;
use crate::scripts::{Identity, Problem};
use crate::track::Object;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;
use vrrp::{Auth, Config, Family, OWNER, Transport, Version, Weight};

pub(super) fn resolve(conf: &mut Conf, diagnostics: &mut Diagnostics) {
    let global = conf.global.clone();
    for instance in &mut conf.instances {
        complete(instance, &global, diagnostics);
    }
    conf.instances.retain(|i| i.vrid.is_some());
    let of_instances = conf.instances.iter().filter_map(|i| Some((i.linkbeat.clone()?, i.interface.clone()?)));
    conf.polled.extend(of_instances.map(|(place, name)| PolledConf { place, name, way: Way::default() }));
    own_interfaces(conf, diagnostics);
    names(conf, diagnostics);
    groups(conf, diagnostics);
    super::weights::resolve(conf, diagnostics);
    duplicates(conf, diagnostics);
    super::vmac::resolve(conf, diagnostics);
    needs(conf, diagnostics);
    for instance in &conf.instances {
        // Whatever else `vrrp` refuses; most has been mended above.
        if let Err(e) = instance.config(&conf.global, Vec::new()).validate() {
            diagnostics.error(&instance.place, format!("({}) {e}", instance.name));
        }
    }
}

/// Mends what keepalived mends, and says so.
fn complete(it: &mut InstanceConf, global: &Global, diagnostics: &mut Diagnostics) {
    if it.master && it.priority.is_none() {
        // keepalived takes it for the owner of the addresses, and so do the routers that hear it.
        it.priority = Some(OWNER);
        let text = format!("({}) state MASTER without a priority: it is 255, the owner of the addresses", it.name);
        diagnostics.push(Diagnostic { place: Some(it.place.clone()), level: Level::Note, code: Code::Wrong, text });
    }
    super::strict::apply(it, global, diagnostics);
    let place = it.place.clone();
    let name = it.name.clone();
    let family = it.family();
    if it.native_ipv6 && family == Family::V4 && !it.addresses.is_empty() {
        // keepalived leaves all the addresses out, and does not start without any.
        return diagnostics.error(&place, format!("({name}) address family must match VRRP instance: native_ipv6, and addresses of IPv4"));
    }
    let mut warn = |text: &str| diagnostics.warn(&place, format!("({name}) {text}"));
    let mut at = 0;
    it.addresses.retain(|address| {
        at += 1;
        let fits = Family::of(address.address) == family;
        if !fits {
            warn(&format!(
                "address family must match VRRP instance [{}] - ignoring; put it into virtual_ipaddress_excluded",
                address.address
            ));
        }
        fits
    });
    if it.addresses.is_empty() {
        warn("No VIP specified; at least one is sensible: write it into virtual_ipaddress");
    }
    super::protocol::interval(it, global, &mut warn);
    super::protocol::ways(it, &mut warn);
    match (it.auth_type, &it.auth_pass) {
        (Some(_), _) if it.version(global) == Version::V3 => {
            warn("VRRP version 3 does not support authentication. Ignoring; take the block away, or write 'version 2'");
            it.auth_type = None;
        }
        (Some(_), None) => {
            warn("Authentication specified but no password given. Ignoring; write auth_pass into the block");
            it.auth_type = None;
        }
        _ => {}
    }
    if it.nopreempt && it.master {
        warn("nopreempt will not work with initial state MASTER - clearing; write 'state BACKUP'");
        it.nopreempt = false;
    }
    if it.nopreempt && it.priority == Some(OWNER) {
        warn("nopreempt is incompatible with priority 255, the owner of the addresses - clearing");
        it.nopreempt = false;
    }
    if !it.preempt_delay.is_zero() && it.nopreempt {
        warn("preempt_delay is incompatible with nopreempt mode - resetting; take one of the two away");
        it.preempt_delay = Duration::ZERO;
    }
    if !it.preempt_delay.is_zero() && it.master {
        warn("preempt delay will not work with initial state MASTER - clearing; write 'state BACKUP'");
        it.preempt_delay = Duration::ZERO;
    }
    it.master |= it.priority == Some(OWNER) && !it.backup;
    if it.vrid.is_none() {
        diagnostics
            .error(&place, format!("({name}) the virtual router id must be set: virtual_router_id 1 to 255, the same on all routers"));
    }
    if it.interface.is_none() && (it.peers.is_empty() || it.source.is_none()) {
        diagnostics.error(&place, format!("({name}) Unknown interface! Write 'interface NAME'"));
    }
}

/// An instance tracks its own interface in any case (`dont_track_primary` aside).
fn own_interfaces(conf: &mut Conf, diagnostics: &mut Diagnostics) {
    for it in &mut conf.instances {
        let InstanceConf { interface, watch, name, .. } = it;
        let mut seen: HashSet<String> = HashSet::new();
        watch.track_interfaces.retain(|track| {
            let own = interface.as_ref() == Some(&track.name);
            if own {
                diagnostics.warn(&track.place, format!("({name}) Ignoring track_interface {} since own interface", track.name));
            }
            let again = !seen.insert(track.name.clone());
            if again {
                diagnostics.warn(&track.place, format!("({name}) duplicate track_interface {} - ignoring", track.name));
            }
            !own && !again
        });
    }
}

/// What is tracked exists.
fn names(conf: &mut Conf, diagnostics: &mut Diagnostics) {
    let Conf { instances, groups, scripts, files, processes, .. } = conf;
    let runs = |name: &str| scripts.iter().find(|s| s.name == name).map(|s| s.command.as_ref().is_some_and(|c| !c.words.is_empty()));
    let file = |name: &str| files.iter().any(|f| f.name == name).then_some(true);
    let process = |name: &str| processes.iter().any(|p| p.name == name).then_some(true);
    let of_instances = instances.iter_mut().map(|i| (&i.name, &mut i.watch));
    let of_groups = groups.iter_mut().map(|g| (&g.name, &mut g.watch));
    for (name, watch) in of_instances.chain(of_groups) {
        super::weights::without_duplicates(watch, name, diagnostics);
        let Watch { track_scripts: of_scripts, track_files: of_files, track_processes: of_processes, .. } = watch;
        let mut known = |tracks: &mut Vec<TrackConf>, what: &str, block: &str, usable: &dyn Fn(&str) -> Option<bool>| {
            tracks.retain(|track| {
                let usable = usable(&track.name);
                if usable.is_none() {
                    let text = format!("({name}) {what} {} not found, ignoring; a block '{block} {0} {{' makes it", track.name);
                    diagnostics.warn(&track.place, text);
                } else if usable == Some(false) {
                    diagnostics.warn(&track.place, format!("({name}) {block} {} has no script, ignoring", track.name));
                }
                usable == Some(true)
            });
        };
        known(of_scripts, "track script", "vrrp_script", &runs);
        known(of_files, "track file", "track_file", &file);
        known(of_processes, "track process", "vrrp_track_process", &process);
    }
}

fn groups(conf: &mut Conf, diagnostics: &mut Diagnostics) {
    let index: HashMap<&str, usize> = conf.instances.iter().enumerate().map(|(at, i)| (i.name.as_str(), at)).collect();
    let mut taken: HashMap<usize, String> = HashMap::new();
    for group in &mut conf.groups {
        for (place, name) in &group.names {
            match index.get(name.as_str()) {
                None => {
                    diagnostics
                        .warn(place, format!("Virtual router {name} specified in sync group {} doesn't exist - ignoring", group.name));
                }
                Some(at) if taken.contains_key(at) => {
                    let text = format!(
                        "Virtual router {name} is in sync group {} already; an instance is in one group only - ignoring",
                        taken[at]
                    );
                    diagnostics.warn(place, text);
                }
                Some(at) => {
                    taken.insert(*at, group.name.clone());
                    group.members.push(*at);
                }
            }
        }
        if group.members.len() < 2 {
            let text = match group.members.len() {
                0 => format!("Sync group {} has no virtual router(s). removing", group.name),
                _ => format!("Sync group {} has only 1 virtual router(s) - this probably isn't what you want", group.name),
            };
            diagnostics.warn(&group.place, text);
        }
    }
    conf.groups.retain(|g| !g.members.is_empty());
}

/// Static addresses get their interfaces; instances get those that they depend on.
fn needs(conf: &mut Conf, diagnostics: &mut Diagnostics) {
    let default = conf.global.default_interface.as_deref().unwrap_or("eth0");
    for address in &mut conf.statics.addresses {
        address.on = Some(address.dev.clone().unwrap_or_else(|| default.into()));
    }
    let statics = &conf.statics;
    let addresses = statics.addresses.iter().map(|a| (&a.place, &a.track_group, a.on.iter().map(String::as_str).collect::<Vec<_>>()));
    let routes = statics.routes.iter().map(|r| (&r.place, &r.track_group, r.devices().collect()));
    let rules = statics.rules.iter().map(|r| (&r.place, &r.track_group, r.devices().collect()));
    let mut of_groups: HashMap<&str, Vec<String>> = HashMap::new();
    for (place, group, devices) in addresses.chain(routes).chain(rules) {
        let Some(group) = group else { continue };
        match conf.track_groups.iter().find(|g| g.name == *group) {
            Some(group) => of_groups.entry(&group.name).or_default().extend(devices.into_iter().map(str::to_string)),
            None => diagnostics.warn(place, format!("track_group {group} not found; a block 'track_group {group} {{' makes it")),
        }
    }
    for (place, name) in conf.track_groups.iter().flat_map(|g| &g.members) {
        if !conf.instances.iter().any(|i| i.name == *name) {
            diagnostics.unchecked(place, format!("vrrp instance {name} in track_group doesn't exist - ignoring"));
        }
    }
    for it in &mut conf.instances {
        let addresses = it.addresses.iter().chain(&it.excluded).filter(|a| !a.no_track).filter_map(|a| a.on.clone());
        let routes = it.routes.iter().filter(|r| !r.no_track).flat_map(|r| r.devices().map(str::to_string));
        let rules = it.rules.iter().filter(|r| !r.no_track).flat_map(|r| r.devices().map(str::to_string));
        let groups = conf.track_groups.iter().filter(|g| g.members.iter().any(|(_, name)| *name == it.name));
        let statics = groups.filter_map(|g| of_groups.get(g.name.as_str())).flatten().cloned();
        let is_other = |name: &String| Some(name) != it.interface.as_ref() && Some(name) != it.wire.as_ref();
        // Routes and rules need the instance's own interface also with dont_track_primary, as in keepalived.
        let is_needed = |name: &String| is_other(name) || (it.dont_track_primary && Some(name) == it.interface.as_ref());
        let mut all: Vec<String> = addresses.chain(statics).filter(is_other).chain(routes.chain(rules).filter(is_needed)).collect();
        all.sort();
        all.dedup();
        it.needs = all;
    }
}

/// The same id twice on one interface, in one family, to one group.
fn duplicates(conf: &Conf, diagnostics: &mut Diagnostics) {
    let mut seen: HashMap<_, &InstanceConf> = HashMap::new();
    for it in &conf.instances {
        if !it.peers.is_empty() {
            continue;
        }
        let key = (it.interface.clone(), it.vrid, it.family(), it.group(&conf.global));
        if let Some(other) = seen.insert(key, it) {
            let (vrid, family) = (it.vrid.unwrap_or_default(), if it.family() == Family::V4 { "IPv4" } else { "IPv6" });
            let interface = it.interface.as_deref().unwrap_or_default();
            let text =
                format!("{} and {} both use VRID {vrid} with {family} on interface {interface}; give one another id", other.name, it.name);
            diagnostics.error(&it.place, text);
        }
    }
}

impl InstanceConf {
    /// The family of its adverts.
    pub fn family(&self) -> Family {
        let first = self.addresses.first().or(self.excluded.first()).map(|a| a.address);
        first.or(self.source).map_or(Family::V4, Family::of)
    }

    /// The version that it speaks.
    pub fn version(&self, global: &Global) -> Version {
        match self.family() {
            Family::V6 => Version::V3,
            Family::V4 => self.version.or(global.vrrp_version).unwrap_or(Version::V2),
        }
    }

    /// Where its multicasts go.
    pub fn group(&self, global: &Global) -> IpAddr {
        let family = self.family();
        let of_file = if family == Family::V4 { global.group4 } else { global.group6 };
        self.group.or(of_file).unwrap_or_else(|| family.group())
    }

    /// The configuration of its [`vrrp::Instance`], with the weights of what it tracks: interfaces first, then scripts.
    pub fn config(&self, global: &Global, tracks: Vec<Weight>) -> Config {
        let family = self.family();
        let password = self.auth_pass.as_deref().unwrap_or_default();
        let unicast = !self.peers.is_empty() || self.unicast_fault_no_peer;
        Config {
            version: self.version(global),
            family,
            priority: self.priority.unwrap_or(100),
            advert_int: self.advert_int.unwrap_or(Duration::from_secs(1)),
            down_timer_adverts: self.down_timer_adverts.or(global.down_timer_adverts).unwrap_or(3),
            start_as_master: self.master,
            preempt: !self.nopreempt,
            preempt_delay: self.preempt_delay,
            auth: match self.auth_type {
                None => Auth::None,
                Some(AuthType::Pass) => Auth::password(password),
                Some(AuthType::Ah) => Auth::header(password),
            },
            transport: if unicast {
                let check_source = self.check_unicast_src || global.check_unicast_src;
                Transport::Unicast { peers: self.peers.clone(), ttl: self.unicast_ttl, check_source }
            } else {
                Transport::Multicast { group: self.group(global) }
            },
            old_unicast_checksum: self.old_unicast_checksum,
            garp: self.garp.over(&global.garp),
            lower_prio_no_advert: self.lower_prio_no_advert.unwrap_or(global.lower_prio_no_advert),
            higher_prio_send_advert: self.higher_prio_send_advert.unwrap_or(global.higher_prio_send_advert),
            skip_check_adv_addr: self.skip_check_adv_addr.unwrap_or(global.skip_check_adv_addr),
            // The daemon heeds it: it tells the instance of other interfaces beside its own.
            dont_track_primary: false,
            // The virtual hardware address cannot be in two places.
            linger: self.vmac.is_none() && !self.use_vmac_addr && !self.addresses.iter().chain(&self.excluded).any(|a| a.use_vmac),
            tracks,
            notify_priority_changes: self.notify_priority_changes.unwrap_or(global.notify_priority_changes),
            ..Config::new(self.vrid.unwrap_or_default(), self.addresses.iter().map(|a| a.address).collect())
        }
    }
}

impl Notifies {
    /// All its commands.
    pub fn commands(&self) -> impl Iterator<Item = &Command> {
        let deleted = self.deleted.as_ref().and_then(Option::as_ref);
        let one = [&self.master, &self.backup, &self.fault, &self.stop, &self.master_rx_lower_pri, &self.any];
        one.into_iter().flatten().chain(deleted)
    }
}

impl Conf {
    /// Every command that the file may have run.
    pub fn commands(&self) -> impl Iterator<Item = &Command> {
        let scripts = self.scripts.iter().filter_map(|s| s.command.as_ref()).filter(|c| !c.words.is_empty());
        let notifies = self.instances.iter().map(|i| &i.watch.notifies).chain(self.groups.iter().map(|g| &g.watch.notifies));
        let fifos = self.global.fifos.iter().filter_map(|f| f.script.as_ref());
        let of_process = self.global.startup.iter().chain(&self.global.shutdown);
        scripts.chain(notifies.flat_map(Notifies::commands)).chain(fifos).chain(of_process)
    }

    /// The fifos that are told of everything.
    pub fn fifos(&self, users: &Users) -> Vec<Fifo> {
        let fifos = self.global.fifos.iter().filter_map(|it| {
            let script = it.script.as_ref().and_then(|c| Some((c.clone(), users.runs(c)?)));
            let owner = Identity::of_user(self, it.user.as_ref()).unwrap_or_default();
            Some(Fifo { path: it.path.clone()?, owner, script })
        });
        fifos.collect()
    }

    /// Who runs a command, if the file says: its own user, else `script_user`.
    pub fn user_of<'a>(&'a self, command: &'a Command) -> Option<&'a User> {
        command.user.as_ref().or(self.global.script_user.as_ref())
    }

    /// What an instance or a group tracks, in the order of [`Config::tracks`], with the weight of the line or else of the object.
    pub fn tracks_of(&self, watch: &Watch) -> Vec<(Object, Weight)> {
        let Watch { track_interfaces: interfaces, track_scripts: scripts, track_files: files, track_processes: processes, .. } = watch;
        let script = |name: &str| self.script(name).map(|it| it.weight);
        let file = |name: &str| self.file(name).map(|it| it.weight);
        let process = |name: &str| self.process(name).map(|it| it.weight);
        let weight = |track: &TrackConf, of_object: Option<Weight>| track.weight.or(of_object).unwrap_or_default();
        let interfaces = interfaces.iter().map(|t| (Object::Interface(t.name.clone()), weight(t, None)));
        let scripts = scripts.iter().map(|t| (Object::Script(t.name.clone()), weight(t, script(&t.name))));
        let files = files.iter().map(|t| (Object::File(t.name.clone()), weight(t, file(&t.name))));
        let processes = processes.iter().map(|t| (Object::Process(t.name.clone()), weight(t, process(&t.name))));
        interfaces.chain(scripts).chain(files).chain(processes).collect()
    }

    /// Whether the loss of a route or a rule matters to anybody.
    pub fn has_tracked_routes(&self) -> bool {
        let of_instances = self.instances.iter().any(|i| i.routes.iter().any(|r| !r.no_track) || i.rules.iter().any(|r| !r.no_track));
        of_instances || self.statics.routes.iter().any(|r| !r.no_track) || self.statics.rules.iter().any(|r| !r.no_track)
    }

    /// Every interface that the file names, with a place that does.
    pub fn interfaces(&self) -> Vec<(&Place, &str)> {
        let mut all = Vec::new();
        for it in &self.instances {
            all.extend(it.interface.as_deref().map(|name| (it.interface_place.as_ref().unwrap_or(&it.place), name)));
            all.extend(it.addresses.iter().chain(&it.excluded).filter_map(|a| a.dev.as_deref().map(|dev| (&a.place, dev))));
            all.extend(it.routes.iter().flat_map(|r| r.devices().map(|dev| (&r.place, dev))));
            all.extend(it.rules.iter().flat_map(|r| r.devices().map(|dev| (&r.place, dev))));
            all.extend(it.watch.track_interfaces.iter().map(|t| (&t.place, t.name.as_str())));
        }
        all.extend(self.polled.iter().map(|it| (&it.place, it.name.as_str())));
        all.extend(self.delays.iter().map(|d| (&d.place, d.name.as_str())));
        let statics = &self.statics;
        all.extend(statics.addresses.iter().filter_map(|a| a.on.as_deref().map(|dev| (&a.place, dev))));
        all.extend(statics.routes.iter().flat_map(|r| r.devices().map(|dev| (&r.place, dev))));
        all.extend(statics.rules.iter().flat_map(|r| r.devices().map(|dev| (&r.place, dev))));
        all.extend(self.groups.iter().flat_map(|g| &g.watch.track_interfaces).map(|t| (&t.place, t.name.as_str())));
        all
    }
}

impl Loaded {
    /// Says which interfaces do not exist. Without `dynamic_interfaces` that is the end, as in keepalived.
    pub fn check_interfaces(&mut self, exists: impl Fn(&str) -> bool) {
        let dynamic = self.conf.global.dynamic_interfaces;
        for (place, name) in self.conf.interfaces() {
            if !exists(name) && !self.conf.is_link(name) {
                let text = format!("WARNING - interface {name} doesn't exist; 'ip link' lists those that do");
                match dynamic {
                    true => self.diagnostics.warn(place, text),
                    false => self.diagnostics.error(place, text),
                }
            }
        }
    }

    /// Says which scripts cannot be run, or not as root with `enable_script_security`, and leaves them out, as keepalived does.
    /// `problem` says what is wrong with a command's program, if anything is; `as_root`, whether root runs it.
    pub fn check_scripts(&mut self, problem: impl Fn(&Conf, &Command) -> Option<Problem>, as_root: impl Fn(&Conf, &Command) -> bool) {
        let Loaded { conf, diagnostics } = self;
        let mut bad = Vec::new();
        let tracked: Vec<&Command> = conf.scripts.iter().filter_map(|s| s.command.as_ref()).collect();
        for command in conf.commands() {
            let Some(Problem { disables, text }) = problem(conf, command) else { continue };
            // keepalived's check looks at programs that are tracked, and at no others.
            let code = if tracked.contains(&command) { Code::Wrong } else { Code::Unchecked };
            let level = if disables { Level::Warning } else { Level::Note };
            diagnostics.push(Diagnostic { place: Some(command.place.clone()), level, code, text });
            if disables {
                bad.push((command.words.clone(), command.user.clone()));
            }
        }
        if !conf.global.script_security && conf.commands().any(|command| as_root(conf, command)) {
            let text = "SECURITY VIOLATION - scripts are being executed as root but script_security not enabled; write \
                        enable_script_security into global_defs, or name a script_user";
            diagnostics.push(Diagnostic { place: None, level: Level::Warning, code: Code::Insecure, text: text.into() });
        }
        let is_bad = |c: &Command| bad.iter().any(|(words, user)| (words, user) == (&c.words, &c.user));
        let disable = |slot: &mut Option<Command>| drop(slot.take_if(|c| is_bad(c)));
        let of_process = [&mut conf.global.startup, &mut conf.global.shutdown].into_iter();
        of_process.chain(conf.global.fifos.iter_mut().map(|f| &mut f.script)).for_each(disable);
        let gone: Vec<String> = conf.scripts.iter().filter(|s| s.command.as_ref().is_some_and(is_bad)).map(|s| s.name.clone()).collect();
        conf.scripts.iter_mut().for_each(|script| disable(&mut script.command));
        let notifies =
            conf.instances.iter_mut().map(|i| &mut i.watch.notifies).chain(conf.groups.iter_mut().map(|g| &mut g.watch.notifies));
        for it in notifies {
            let one = [&mut it.master, &mut it.backup, &mut it.fault, &mut it.stop, &mut it.master_rx_lower_pri, &mut it.any];
            one.into_iter().for_each(disable);
            it.deleted.iter_mut().for_each(disable);
        }
        let tracks =
            conf.instances.iter_mut().map(|i| &mut i.watch.track_scripts).chain(conf.groups.iter_mut().map(|g| &mut g.watch.track_scripts));
        tracks.for_each(|tracks| tracks.retain(|t| !gone.contains(&t.name)));
    }

    /// Says what is wrong with `script_user`, if `problem` finds something.
    pub fn check_script_user(&mut self, problem: impl Fn(&Conf) -> Option<String>) {
        if let Some(text) = problem(&self.conf) {
            let text = format!("Error setting global script uid/gid: {text}");
            self.diagnostics.push(Diagnostic { place: None, level: Level::Warning, code: Code::Wrong, text });
        }
    }

    /// Says what the file asks for that is not there yet. It is an error: to leave it out in silence would be another set-up than the
    /// file describes.
    pub fn refuse_unsupported(&mut self) {
        for what in &self.conf.unsupported {
            let text = format!("'{}' in {} is not supported yet", what.keyword, what.block);
            self.diagnostics.error(&what.place, text);
        }
    }
}
