//! Addresses, routes and rules of instances: put in place, taken away, announced.

use super::Daemon;
use crate::conf::model::{AddressConf, RouteConf, RuleConf};
use std::collections::HashSet;

impl Daemon {
    pub(super) fn add_addresses(&mut self, entry: usize, member: usize, name: &str) {
        let it = self.conf.clone();
        let it = &it.instances[self.entries[entry].members[member]];
        self.log.line(format!("({name}) setting VIPs."));
        for (interface, address) in self.addresses(entry, member) {
            if let Err(e) = self.netlink.add(interface, &address) {
                self.log.line(format!("({name}) {}/{} cannot be set: {e}", address.address, address.prefix));
            }
        }
        for route in &it.routes {
            if let Err(e) = self.netlink.add_route(route, &self.names) {
                self.log.line(format!("({name}) route {}/{} cannot be set: {e}", route.to, route.prefix));
            }
        }
        for rule in &it.rules {
            if let Err(e) = self.netlink.add_rule(rule) {
                self.log.line(format!("({name}) rule {} cannot be set: {e}", rule.preference.unwrap_or_default()));
            }
        }
    }

    pub(super) fn remove_addresses(&mut self, entry: usize, member: usize, name: &str) {
        let it = self.conf.clone();
        let it = &it.instances[self.entries[entry].members[member]];
        let of_others = self.in_place_of_others(entry, member);
        self.log.line(format!("({name}) removing VIPs."));
        it.rules.iter().for_each(|rule| self.remove_rule(name, rule));
        it.routes.iter().for_each(|route| self.remove_route(name, route));
        for (interface, address) in self.addresses(entry, member) {
            self.announcements.forget(interface, address.address);
            if !of_others.contains(&(interface, address.clone().bare())) {
                self.remove_address(name, interface, &address);
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

    pub(super) fn remove_rule(&mut self, name: &str, rule: &RuleConf) {
        if let Err(e) = self.netlink.remove_rule(rule) {
            self.log.line(format!("({name}) rule {} cannot be removed: {e}", rule.preference.unwrap_or_default()));
        }
    }

    pub(super) fn remove_route(&mut self, name: &str, route: &RouteConf) {
        if let Err(e) = self.netlink.remove_route(route, &self.names) {
            self.log.line(format!("({name}) route {}/{} cannot be removed: {e}", route.to, route.prefix));
        }
    }

    pub(super) fn remove_address(&mut self, name: &str, interface: u32, address: &AddressConf) {
        if let Err(e) = self.netlink.remove(interface, address) {
            self.log.line(format!("({name}) {}/{} cannot be removed: {e}", address.address, address.prefix));
        }
    }

    /// The addresses of an instance with the interfaces that they go to.
    pub(super) fn addresses(&self, entry: usize, member: usize) -> Vec<(u32, AddressConf)> {
        let it = &self.conf.instances[self.entries[entry].members[member]];
        let interface = |a: &AddressConf| self.index_of(a.on.as_deref()?);
        it.addresses.iter().chain(&it.excluded).filter_map(|a| Some((interface(a)?, a.clone()))).collect()
    }
}
