//! What the kernel says of interfaces and addresses, and what instances are told of it.

use super::Daemon;
use crate::netlink::Change;
use crate::sockets::Sockets;
use std::collections::btree_map::Entry::Vacant;
use std::net::IpAddr;
use std::time::Instant;
use vrrp::Event;

pub(super) struct Interface {
    pub name: String,
    pub up: bool,
    pub hardware: Vec<u8>,
    /// Address, and whether it is a secondary one.
    pub addresses: Vec<(IpAddr, bool)>,
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
    pub(super) fn address_gone(&mut self, now: Instant, index: u32, address: IpAddr) {
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

    pub(super) fn listen(&mut self, entry: usize, member: usize, at: usize) -> (bool, Option<IpAddr>) {
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
}
