//! What the kernel says of interfaces and addresses, and what instances are told of it.

use super::Daemon;
use super::wait::Source;
use crate::conf::model::{AddressConf, Conf, RouteConf, RuleConf};
use crate::netlink::Change;
use crate::sockets::Sockets;
use crate::track::beat;
use std::collections::HashSet;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::time::Instant;
use vrrp::{Debounce, Event, Family};

/// The index of no interface in particular.
const ANYWHERE: u32 = 0;

#[derive(Default)]
pub(super) struct Interface {
    pub name: String,
    /// Whether the kernel says that it is up.
    pub running: bool,
    /// Whether it counts as up, and, with `interface_up_down_delays`, when that may change.
    pub up: bool,
    pub debounce: Option<Debounce>,
    pub hardware: Vec<u8>,
    /// The interface below, if it is a macvlan.
    pub macvlan_of: Option<u32>,
    pub addresses: Vec<Own>,
}

/// An address of an interface.
pub(super) struct Own {
    pub address: IpAddr,
    pub secondary: bool,
    pub tentative: bool,
}

/// What is not there any more.
pub(super) enum Gone {
    /// With all that was on it.
    Link(String),
    /// An interface's index, and the address.
    Address(u32, IpAddr),
    /// A network, its prefix, its table, its metric.
    Route(IpAddr, u8, u32, u32),
    /// Of IPv6, and its preference.
    Rule(bool, u32),
}

impl Interface {
    /// What the kernel has said of it.
    fn again(&self, index: u32) -> Change {
        let Interface { name, running, hardware, macvlan_of, .. } = self;
        Change::Link { index, name: name.clone(), up: *running, hardware: hardware.clone(), macvlan_of: *macvlan_of }
    }
}

/// The delays of an interface, or of the one below it; what is under way goes on.
fn debounce(conf: &Conf, name: &str, it: &Interface, up: bool) -> Option<Debounce> {
    let base = conf.links.iter().find(|l| l.name == name).map_or(name, |l| &l.base);
    let delay = conf.delays.iter().find(|d| d.name == base)?;
    Some(it.debounce.unwrap_or_else(|| Debounce::new(if it.name.is_empty() { up } else { it.up }, delay.up, delay.down)))
}

impl Gone {
    pub fn is_route(&self, route: &RouteConf) -> bool {
        let Gone::Route(to, prefix, table, metric) = self else { return false };
        // Without a metric of its own a route of IPv6 gets one from the kernel.
        (route.to, route.prefix, route.table) == (*to, *prefix, *table) && route.metric.is_none_or(|own| own == *metric)
    }

    pub fn is_rule(&self, rule: &RuleConf) -> bool {
        matches!(self, Gone::Rule(ipv6, preference) if rule.ipv6 == *ipv6 && rule.preference == Some(*preference))
    }
}

impl Own {
    /// Whether adverts of a family can come from it.
    pub fn is_source(&self, family: Family) -> bool {
        match self.address {
            IpAddr::V4(_) => family == Family::V4 && !self.secondary,
            IpAddr::V6(address) => family == Family::V6 && address.is_unicast_link_local() && !self.tentative,
        }
    }
}

impl Daemon {
    pub(super) fn read_netlink(&mut self, now: Instant) {
        match self.netlink.take() {
            Some(changes) => self.changes(now, changes),
            None => self.compare(now),
        }
    }

    /// Announcements were lost: everything is asked for again, and what is not there any more has gone meanwhile.
    fn compare(&mut self, now: Instant) {
        let Ok(mut all) = self.netlink.all() else { return };
        let (mut links, mut addresses) = (HashSet::new(), HashSet::new());
        for change in &all {
            match change {
                Change::Link { index, .. } => drop(links.insert(*index)),
                Change::Address { index, address, .. } => drop(addresses.insert((*index, *address))),
                _ => {}
            }
        }
        for (index, it) in &self.interfaces {
            if !links.contains(index) {
                all.push(Change::LinkGone { index: *index });
            }
            let gone = it.addresses.iter().map(|own| own.address).filter(|address| !addresses.contains(&(*index, *address)));
            all.extend(gone.map(|address| Change::AddressGone { index: *index, address }));
        }
        self.changes(now, all);
    }

    /// What is there at the start, with the virtual interfaces that are made now. Instances are told of it by [`Daemon::changes`].
    pub(super) fn look_around(&mut self, now: Instant) -> std::io::Result<()> {
        let all = self.netlink.all()?;
        self.note(now, all);
        if self.make_links() {
            self.ask_again(now);
        }
        Ok(())
    }

    pub(super) fn changes(&mut self, now: Instant, changes: Vec<Change>) {
        // Our own addresses come and go with each election; nothing else depends on them.
        let own = |change: &Change| matches!(change, Change::Address { address, .. } | Change::AddressGone { address, .. } if self.ours.contains(address));
        let matters = !changes.iter().all(own);
        let gone = self.note(now, changes);
        if matters {
            self.refresh(now);
        }
        if std::mem::take(&mut self.risen) {
            self.place_statics();
        }
        for what in gone {
            self.restore_static(&what);
            self.lost(now, &what);
        }
    }

    /// Keeps what the kernel says. What is gone is handed back.
    fn note(&mut self, now: Instant, changes: Vec<Change>) -> Vec<Gone> {
        let mut gone = Vec::new();
        for change in changes {
            self.log_address(&change);
            match change {
                Change::Link { index, name, up, hardware, macvlan_of } => {
                    self.log_link(index, &name, up);
                    let it = self.interfaces.entry(index).or_default();
                    if it.name != name && self.names.get(&it.name) == Some(&index) {
                        self.names.remove(&it.name);
                    }
                    self.names.insert(name.clone(), index);
                    it.running = up;
                    let up = up && self.beats.get(&index) != Some(&false);
                    it.debounce = debounce(&self.conf, &name, it, up);
                    let up = it.debounce.as_mut().map_or(up, |delayed| {
                        delayed.seen(now, up);
                        delayed.is_up()
                    });
                    self.risen |= up && !it.up;
                    (it.name, it.up, it.hardware, it.macvlan_of) = (name, up, hardware, macvlan_of);
                }
                Change::LinkGone { index } => {
                    self.beats.remove(&index);
                    if let Some(it) = self.interfaces.remove(&index) {
                        self.log_interface(&it.name, |name| format!("Interface {name} deleted"));
                        if self.names.get(&it.name) == Some(&index) {
                            self.names.remove(&it.name);
                        }
                        gone.push(Gone::Link(it.name));
                    }
                    self.sockets.remove(&index);
                }
                Change::Address { index, address, secondary, tentative } => {
                    let it = self.interfaces.entry(index).or_default();
                    it.addresses.retain(|a| a.address != address);
                    it.addresses.push(Own { address, secondary, tentative });
                }
                Change::AddressGone { index, address } => {
                    if let Some(it) = self.interfaces.get_mut(&index) {
                        it.addresses.retain(|a| a.address != address);
                    }
                    gone.push(Gone::Address(index, address));
                }
                Change::RouteGone { to, prefix, table, metric } => gone.push(Gone::Route(to, prefix, table, metric)),
                Change::RuleGone { ipv6, preference } => gone.push(Gone::Rule(ipv6, preference)),
            }
        }
        gone
    }

    /// keepalived's lines about an interface that the file names. Its first state, at the start, is none that has changed.
    fn log_link(&self, index: u32, name: &str, up: bool) {
        match self.interfaces.get(&index).filter(|it| !it.name.is_empty()) {
            Some(it) if it.running != up => {
                self.log_interface(name, |name| format!("Netlink reports {name} {}", if up { "up" } else { "down" }));
            }
            Some(_) => {}
            None => self.log_interface(name, |name| format!("Interface {name} added")),
        }
    }

    fn log_interface(&self, name: &str, line: impl Fn(&str) -> String) {
        if self.started && self.conf.interfaces().iter().any(|(_, known)| *known == name) {
            self.log.line(line(name));
        }
    }

    /// Drivers have been asked for their links.
    pub(super) fn heard(&mut self, now: Instant, id: u64, links: Vec<(u32, bool)>) {
        // One that a reload has ended may have been about to speak.
        if self.beat.as_ref().is_none_or(|beat| beat.id != id) {
            return;
        }
        let mut again = Vec::new();
        for (index, up) in links {
            let before = self.beats.insert(index, up).unwrap_or(true);
            if let Some(it) = self.interfaces.get(&index).filter(|_| before != up) {
                self.log.line(format!("Linkbeat reports {} {}", it.name, if up { "up" } else { "down" }));
                again.push(it.again(index));
            }
        }
        self.changes(now, again);
    }

    /// Has those drivers asked that the file in force names. What is known of them stays.
    pub(super) fn ask_drivers(&mut self, now: Instant) {
        let polled = self.conf.polled();
        if self.beat.as_ref().map_or(polled.is_empty(), |beat| beat.polled == polled) {
            return;
        }
        self.beat = None;
        let (interfaces, beats) = (&self.interfaces, &mut self.beats);
        let asked = |index: u32| interfaces.get(&index).is_some_and(|it| polled.iter().any(|(name, _)| *name == it.name));
        let down: Vec<u32> = beats.iter().filter(|(index, up)| !**up && !asked(**index)).map(|(index, _)| *index).collect();
        beats.retain(|index, _| asked(*index));
        let again = down.into_iter().filter_map(|index| Some(self.interfaces.get(&index)?.again(index))).collect();
        self.changes(now, again);
        if !polled.is_empty() {
            self.tracker += 1;
            match beat::start(self.tracker, polled, self.office()) {
                Ok(beat) => {
                    self.log.line("Using MII-BMSR/ETHTOOL NIC polling thread(s)...".into());
                    self.beat = Some(beat);
                }
                Err(e) => self.log.line(format!("linkbeat: no interface is polled, the kernel's word counts: {e}")),
            }
        }
    }

    /// `-a`: what the kernel says of addresses.
    fn log_address(&self, change: &Change) {
        let (word, index, address) = match change {
            _ if !self.options.log_addresses => return,
            Change::Address { index, address, .. } => ("added to", index, address),
            Change::AddressGone { index, address } => ("removed from", index, address),
            _ => return,
        };
        let name = self.interfaces.get(index).map_or("?", |it| it.name.as_str());
        self.log.line(format!("Netlink reflector reports IP {address} {word} {name}"));
    }

    /// Masters that had their addresses there do not have them any more. One whose own interface is gone knows already.
    fn lost(&mut self, now: Instant, what: &Gone) {
        if let Gone::Address(index, address) = what {
            // One that we have taken away ourselves may be back, if we are master again.
            let back = self.interfaces.get(index).is_some_and(|it| it.addresses.iter().any(|a| a.address == *address));
            if back || !self.ours.contains(address) {
                return;
            }
        }
        for entry in 0..self.entries.len() {
            for (member, at) in self.entries[entry].members.clone().into_iter().enumerate() {
                let it = &self.conf.instances[at];
                let is_it = |a: &AddressConf| match what {
                    Gone::Address(index, address) => {
                        a.address == *address && a.on.as_deref().and_then(|on| self.index_of(on)) == Some(*index)
                    }
                    Gone::Link(name) => a.on.as_ref() == Some(name),
                    Gone::Route(..) | Gone::Rule(..) => false,
                };
                let is_ours = it.addresses.iter().chain(&it.excluded).any(|a| !a.no_track && is_it(a))
                    || it.routes.iter().any(|r| !r.no_track && what.is_route(r))
                    || it.rules.iter().any(|r| !r.no_track && what.is_rule(r));
                if is_ours && self.entries[entry].instance(member).has_addresses() {
                    self.event(now, entry, member, Event::AddressLost);
                }
            }
        }
    }

    /// When the state of an interface may come to count.
    pub(super) fn poll_delays(&self) -> Option<Instant> {
        self.interfaces.values().filter_map(|it| it.debounce.as_ref()?.poll_timeout()).min()
    }

    pub(super) fn handle_delays(&mut self, now: Instant) {
        let mut any = false;
        for it in self.interfaces.values_mut() {
            let Some(delayed) = &mut it.debounce else { continue };
            if delayed.handle_timeout(now) {
                (it.up, any) = (delayed.is_up(), true);
                self.risen |= it.up;
            }
        }
        if any {
            self.refresh(now);
            if std::mem::take(&mut self.risen) {
                self.place_statics();
            }
        }
    }

    /// Tells instances of their interfaces, opens sockets where there are none.
    pub(super) fn refresh(&mut self, now: Instant) {
        if !self.stopping && self.make_links() {
            self.ask_again(now);
            if self.started {
                self.make_rules_again();
            }
        }
        if self.set_up_links() {
            self.ask_again(now);
        }
        self.listeners.clear();
        self.paths = vec![None; self.conf.instances.len()];
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

    /// For what we have made ourselves: its announcements are still to be read.
    fn ask_again(&mut self, now: Instant) {
        if let Ok(all) = self.netlink.all() {
            self.note(now, all);
        }
    }

    pub(super) fn index_of(&self, name: &str) -> Option<u32> {
        self.names.get(name).copied()
    }

    /// Whether the interface of an instance can carry packets, and the address to send from.
    pub(super) fn listen(&mut self, entry: usize, member: usize, at: usize) -> (bool, Option<IpAddr>) {
        let it = &self.conf.instances[at];
        let wanted = &self.wanted[at];
        let needs = it.needs.iter().all(|name| self.index_of(name).is_some_and(|index| self.interfaces[&index].up));
        let (up, name, index, source) = match (it.interface.as_deref(), it.wire.as_deref()) {
            (Some(base), Some(wire)) => {
                let Some((base, index)) = self.index_of(base).zip(self.index_of(wire)) else { return (false, None) };
                let (base, wire) = (&self.interfaces[&base], &self.interfaces[&index]);
                let first = base.addresses.iter().find(|a| a.is_source(wanted.family) && !self.ours.contains(&a.address));
                let fixed = it.source.filter(|own| !it.track_src_ip || base.addresses.iter().any(|a| a.address == *own && !a.tentative));
                let source = if it.source.is_some() { fixed } else { first.map(|a| a.address) };
                ((base.up && wire.up || it.dont_track_primary) && needs, Some(wire.name.as_str()), index, source)
            }
            // Unicast over whatever interface routes say.
            _ => {
                let there = |own: &IpAddr| self.interfaces.values().any(|i| i.addresses.iter().any(|a| a.address == *own));
                (needs, None, ANYWHERE, it.source.filter(|own| !it.track_src_ip || there(own)))
            }
        };
        let sockets = self.sockets.entry(index).or_insert_with(|| Sockets::new(name, index));
        let watch = |fd: BorrowedFd<'_>| self.waiting.watch(Source::Packets(index), fd);
        if let Err(e) = sockets.listen(wanted.family, wanted.authenticated, wanted.group, watch) {
            self.log.line(format!("({}) cannot listen on {}: {e}", it.name, name.unwrap_or("all interfaces")));
            return (false, source);
        }
        self.paths[at] = Some(index);
        self.listeners.entry((index, wanted.family, wanted.vrid)).or_default().push((entry, member));
        (up, source)
    }
}
