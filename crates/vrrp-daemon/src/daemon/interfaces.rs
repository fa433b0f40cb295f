//! What the kernel says of interfaces and addresses, and what instances are told of it.

use super::Daemon;
use crate::netlink::Change;
use crate::sockets::Sockets;
use std::net::IpAddr;
use std::time::Instant;
use vrrp::{Event, Family};

#[derive(Default)]
pub(super) struct Interface {
    pub name: String,
    pub up: bool,
    pub hardware: Vec<u8>,
    pub addresses: Vec<Own>,
}

/// An address of an interface.
pub(super) struct Own {
    pub address: IpAddr,
    pub secondary: bool,
    pub tentative: bool,
}

impl Own {
    /// Whether adverts of a family can come from it.
    fn is_source(&self, family: Family) -> bool {
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
            // Announcements were lost: everything is asked for again.
            None => {
                if let Ok(all) = self.netlink.all() {
                    self.interfaces.values_mut().for_each(|i| i.addresses.clear());
                    self.changes(now, all);
                }
            }
        }
    }

    pub(super) fn changes(&mut self, now: Instant, changes: Vec<Change>) {
        // Our own addresses come and go with each election; nothing else depends on them.
        let own = |change: &Change| matches!(change, Change::Address { address, .. } | Change::AddressGone { address, .. } if self.ours.contains(address));
        let matters = !changes.iter().all(own);
        let mut gone = Vec::new();
        for change in changes {
            match change {
                Change::Link { index, name, up, hardware } => {
                    let it = self.interfaces.entry(index).or_default();
                    (it.name, it.up, it.hardware) = (name, up, hardware);
                }
                Change::LinkGone { index } => {
                    self.interfaces.remove(&index);
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
                    gone.push((index, address));
                }
            }
        }
        if matters {
            self.refresh(now);
        }
        for (index, address) in gone {
            // One that we have taken away ourselves may be back, if we are master again.
            let back = self.interfaces.get(&index).is_some_and(|it| it.addresses.iter().any(|a| a.address == address));
            if !back {
                self.address_gone(now, index, address);
            }
        }
    }

    /// An address that may be one of ours that somebody has taken away.
    fn address_gone(&mut self, now: Instant, index: u32, address: IpAddr) {
        for entry in 0..self.entries.len() {
            for member in 0..self.entries[entry].members.len() {
                let it =
                    |(interface, a): &(u32, crate::conf::model::AddressConf)| !a.no_track && *interface == index && a.address == address;
                if self.entries[entry].instance(member).has_addresses() && self.addresses(entry, member).iter().any(it) {
                    self.event(now, entry, member, Event::AddressLost);
                }
            }
        }
    }

    /// Tells instances of their interfaces, opens sockets where there are none.
    pub(super) fn refresh(&mut self, now: Instant) {
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

    pub(super) fn index_of(&self, name: &str) -> Option<u32> {
        self.interfaces.iter().find(|(_, i)| i.name == name).map(|(index, _)| *index)
    }

    /// Whether the interface of an instance can carry packets, and the address to send from.
    pub(super) fn listen(&mut self, entry: usize, member: usize, at: usize) -> (bool, Option<IpAddr>) {
        let it = &self.conf.instances[at];
        let Some(index) = it.interface.as_deref().and_then(|name| self.index_of(name)) else { return (false, None) };
        let interface = &self.interfaces[&index];
        let wanted = &self.wanted[at];
        let first = interface.addresses.iter().find(|a| a.is_source(wanted.family) && !self.ours.contains(&a.address));
        let source = it.source.or(first.map(|a| a.address));
        let sockets = self.sockets.entry(index).or_insert_with(|| Sockets::new(Some(&interface.name), index));
        if let Err(e) = sockets.listen(wanted.family, wanted.authenticated, wanted.group) {
            self.log.line(format!("({}) cannot listen on {}: {e}", it.name, interface.name));
            return (false, source);
        }
        self.listeners.entry((index, wanted.family, wanted.vrid)).or_default().push((entry, member));
        (interface.up, source)
    }
}
