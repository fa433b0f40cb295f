//! Addresses and routes of instances: put in place, taken away, announced.

use super::Daemon;
use crate::conf::model::AddressConf;
use crate::frames;
use crate::netlink::Route;
use std::collections::HashSet;
use std::net::IpAddr;
use std::os::fd::AsFd;

impl Daemon {
    pub(super) fn add_addresses(&mut self, entry: usize, member: usize, name: &str) {
        let at = self.entries[entry].members[member];
        self.log.line(format!("({name}) setting VIPs."));
        for (interface, address) in self.addresses(entry, member) {
            if let Err(e) = self.netlink.add(interface, &address) {
                self.log.line(format!("({name}) {}/{} cannot be set: {e}", address.address, address.prefix));
            }
        }
        for route in self.routes(at) {
            if let Err(e) = self.netlink.add_route(&route) {
                self.log.line(format!("({name}) route {}/{} cannot be set: {e}", route.to, route.prefix));
            }
        }
    }

    pub(super) fn remove_addresses(&mut self, entry: usize, member: usize, name: &str) {
        let at = self.entries[entry].members[member];
        let of_others = self.in_place_of_others(entry, member);
        self.log.line(format!("({name}) removing VIPs."));
        for route in self.routes(at) {
            if let Err(e) = self.netlink.remove_route(&route) {
                self.log.line(format!("({name}) route {}/{} cannot be removed: {e}", route.to, route.prefix));
            }
        }
        for (interface, address) in self.addresses(entry, member) {
            if of_others.contains(&(interface, address.clone().bare())) {
                continue;
            }
            if let Err(e) = self.netlink.remove(interface, &address) {
                self.log.line(format!("({name}) {}/{} cannot be removed: {e}", address.address, address.prefix));
            }
        }
    }

    /// Addresses that other instances have in place: after a reload, one that leaves may have had what another one has now.
    fn in_place_of_others(&self, entry: usize, member: usize) -> HashSet<(u32, AddressConf)> {
        if self.entries.iter().all(|e| e.members.iter().all(|m| *m < self.live)) {
            return HashSet::new();
        }
        let mut all = HashSet::new();
        for other in 0..self.entries.len() {
            for at in (0..self.entries[other].members.len()).filter(|at| (other, *at) != (entry, member)) {
                if self.entries[other].instance(at).has_addresses() {
                    all.extend(self.addresses(other, at).into_iter().map(|(interface, address)| (interface, address.bare())));
                }
            }
        }
        all
    }

    /// The addresses of an instance with the interfaces that they go to.
    pub(super) fn addresses(&self, entry: usize, member: usize) -> Vec<(u32, AddressConf)> {
        let it = &self.conf.instances[self.entries[entry].members[member]];
        let interface = |a: &AddressConf| self.index_of(a.on.as_deref()?);
        it.addresses.iter().chain(&it.excluded).filter_map(|a| Some((interface(a)?, a.clone()))).collect()
    }

    /// The routes of an instance.
    pub(super) fn routes(&self, at: usize) -> Vec<Route> {
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

    pub(super) fn announce(&self, entry: usize, member: usize, times: u8) {
        let addresses = self.addresses(entry, member);
        for _ in 0..times {
            for (interface, address) in &addresses {
                let hardware = self.interfaces.get(interface).and_then(|i| <[u8; 6]>::try_from(i.hardware.as_slice()).ok());
                // An interface without Ethernet addresses has nobody to tell.
                let Some(hardware) = hardware else { continue };
                let frame = match address.address {
                    IpAddr::V4(v4) => frames::gratuitous_arp(hardware, v4),
                    IpAddr::V6(v6) => frames::neighbour_advertisement(hardware, v6),
                };
                let _ = lb_sys::packet::send(self.frames.as_fd(), *interface, &frame);
            }
        }
    }
}
