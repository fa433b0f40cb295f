//! Static addresses, routes and rules: in place from start to stop, put back when somebody takes them away or their interface comes up.

use super::Daemon;
use super::interfaces::Gone;
use crate::conf::model::{AddressConf, RouteConf, RuleConf, Statics};

impl Daemon {
    /// Puts all in place that can be. What is there already stays.
    pub(super) fn place_statics(&mut self) {
        self.place(|_, _| true, |_| true, |_| true);
    }

    /// Somebody has taken something away.
    pub(super) fn restore_static(&mut self, what: &Gone) {
        let address =
            |a: &AddressConf, index: u32| !a.no_track && matches!(what, Gone::Address(on, ip) if a.address == *ip && *on == index);
        self.place(address, |r| !r.no_track && what.is_route(r), |r| !r.no_track && what.is_rule(r));
    }

    /// Puts those in place that are chosen, if their interfaces are up.
    fn place(
        &mut self,
        addresses: impl Fn(&AddressConf, u32) -> bool,
        routes: impl Fn(&RouteConf) -> bool,
        rules: impl Fn(&RuleConf) -> bool,
    ) {
        if self.stopping {
            return;
        }
        let conf = self.conf.clone();
        for address in &conf.statics.addresses {
            let index = address.on.as_deref().and_then(|name| self.up_index(name));
            let Some(index) = index.filter(|index| addresses(address, *index)) else { continue };
            if let Err(e) = self.netlink.add(index, address) {
                self.log.line(format!("static address {}/{} cannot be set: {e}", address.address, address.prefix));
            }
        }
        for route in conf.statics.routes.iter().filter(|r| routes(r)) {
            if !route.devices().all(|name| self.up_index(name).is_some()) {
                continue;
            }
            if let Err(e) = self.netlink.add_route(route, &self.names) {
                self.log.line(format!("static route {}/{} cannot be set: {e}", route.to, route.prefix));
            }
        }
        for rule in conf.statics.rules.iter().filter(|r| rules(r)) {
            if let Err(e) = self.netlink.add_rule(rule) {
                self.log.line(format!("static rule {} cannot be set: {e}", rule.preference.unwrap_or_default()));
            }
        }
    }

    /// The index of an interface that is up.
    fn up_index(&self, name: &str) -> Option<u32> {
        self.index_of(name).filter(|index| self.interfaces[index].up)
    }

    /// The end.
    pub(super) fn remove_statics(&mut self) {
        let old = self.conf.statics.clone();
        self.take_statics_away(&old, &Statics::default());
    }

    /// Another configuration is in force.
    pub(super) fn forget_statics(&mut self, old: &Statics) {
        let conf = self.conf.clone();
        self.take_statics_away(old, &conf.statics);
        self.place_statics();
        if conf.has_tracked_routes()
            && let Err(e) = self.netlink.watch_routes()
        {
            self.log.line(format!("routes are not watched: {e}"));
        }
    }

    fn take_statics_away(&mut self, old: &Statics, new: &Statics) {
        let still = |rule: &RuleConf| new.rules.iter().any(|r| r.clone().bare() == rule.clone().bare());
        for rule in old.rules.iter().filter(|r| !still(r)) {
            self.remove_rule("static", rule);
        }
        let still = |route: &RouteConf| new.routes.iter().any(|r| r.clone().bare() == route.clone().bare());
        for route in old.routes.iter().filter(|r| !still(r)) {
            self.remove_route("static", route);
        }
        let still = |address: &AddressConf| new.addresses.iter().any(|a| a.clone().bare() == address.clone().bare());
        for address in old.addresses.iter().filter(|a| !still(a)) {
            if let Some(index) = address.on.as_deref().and_then(|on| self.index_of(on)) {
                self.remove_address("static", index, address);
            }
        }
    }
}
