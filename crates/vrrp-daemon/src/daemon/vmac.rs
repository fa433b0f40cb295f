//! Virtual interfaces with the hardware address of a virtual router: made at the start, made again when the interface below them comes
//! back, removed at the end. What a killed predecessor has left is used on, if it is what the file asks for.

use super::Daemon;
use crate::conf::model::{AddressConf, LinkConf};
use crate::firewall;
use crate::sysctl::{self, Changed, Tree};
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::IpAddr;
use std::thread::JoinHandle;
use std::time::Duration;
use vrrp::Family;

/// How long the kernel takes to say that a group was left: three ticks of the slowest clock. Rules and interfaces have to be there for it.
const FAREWELL: Duration = Duration::from_millis(50);

/// What is known of the virtual interfaces of the configuration.
#[derive(Default)]
pub(super) struct Links {
    /// Those that have been set up, by name: the index, and what was asked for.
    ready: HashMap<String, (u32, LinkConf)>,
    /// Which could not be made, on which interface: they are not tried again until that is another one.
    refused: HashSet<(String, u32)>,
    /// Settings of other interfaces.
    changed: Changed,
    /// The table with rules that are to be removed.
    rules: Option<String>,
    /// The thread that gives `nft` what has changed: the next one waits for it.
    ruling: Option<JoinHandle<()>>,
}

impl Daemon {
    /// Makes those that are missing. Says whether interfaces have to be asked for again.
    pub(super) fn make_links(&mut self) -> bool {
        let conf = self.conf.clone();
        let mut made = false;
        for link in &conf.links {
            let Some(base) = self.index_of(&link.base) else { continue };
            let key = (link.name.clone(), base);
            if self.links.refused.contains(&key) {
                continue;
            }
            let who = &conf.instances[link.instance].name;
            if let Some(index) = self.index_of(&link.name) {
                let it = &self.interfaces[&index];
                if it.macvlan_of != Some(base) || it.hardware != link.mac {
                    let text = "is there already and is not the virtual interface that the file asks for; give use_vmac another name";
                    self.log.line(format!("({who}) {} {text}", link.name));
                    self.links.refused.insert(key);
                }
                continue;
            }
            match self.netlink.add_macvlan(&link.name, base, link.mac) {
                Ok(()) => {
                    made = true;
                    self.log.line(format!("({who}): Success creating VMAC interface {}", link.name));
                }
                Err(e) => {
                    let help = if e.raw_os_error() == Some(95) { "; the kernel has no macvlan, which use_vmac is made of" } else { "" };
                    self.log.line(format!("({who}) VMAC interface {} on {} cannot be made: {e}{help}", link.name, link.base));
                    self.links.refused.insert(key);
                }
            }
        }
        made
    }

    /// Settings, addresses and state of those that are there and new. Says whether interfaces have to be asked for again.
    pub(super) fn set_up_links(&mut self) -> bool {
        let conf = self.conf.clone();
        let mut any = false;
        for link in &conf.links {
            let ends = self.index_of(&link.base).zip(self.index_of(&link.name));
            let Some((base, index)) = ends else {
                self.links.ready.remove(&link.name);
                continue;
            };
            if self.links.refused.contains(&(link.name.clone(), base)) {
                continue;
            }
            if self.links.ready.get(&link.name).is_none_or(|(ready, as_asked)| *ready != index || !as_asked.is_same(link)) {
                any = true;
                let result = self.settings(link).and_then(|()| self.netlink.set_up(index));
                if let Err(e) = result {
                    self.log.line(format!("VMAC interface {} cannot be set up: {e}", link.name));
                }
                self.links.ready.insert(link.name.clone(), (index, link.clone()));
            }
            self.link_local(link, base, index);
        }
        any
    }

    /// A new configuration is in force: those that it does not ask for go, and the rules are made anew.
    pub(super) fn forget_links(&mut self) {
        let conf = self.conf.clone();
        let asked = |name: &str, has: &LinkConf| conf.links.iter().any(|l| l.name == name && l.base == has.base && l.mac == has.mac);
        let gone: Vec<String> =
            self.links.ready.iter().filter(|(name, (_, has))| !asked(name, has)).map(|(name, _)| name.clone()).collect();
        for name in gone {
            if let Some((index, _)) = self.links.ready.remove(&name) {
                self.remove_link(&name, index);
            }
        }
        self.links.refused.clear();
        self.make_rules_again();
        self.set_host();
    }

    fn remove_link(&mut self, name: &str, index: u32) {
        match self.netlink.remove_link(index) {
            Ok(()) => self.log.line(format!("Success removing VMAC interface {name}")),
            Err(e) => self.log.line(format!("VMAC interface {name} cannot be removed: {e}")),
        }
    }

    /// As keepalived has them.
    fn settings(&mut self, link: &LinkConf) -> io::Result<()> {
        let name = link.name.as_str();
        // A host may have no IPv6 at all.
        let _ = sysctl::set(Tree::V6, name, "disable_ipv6", i64::from(!link.ipv6));
        let _ = sysctl::set(Tree::V6, name, "addr_gen_mode", 1);
        if link.family == Family::V4 {
            // Before the interface is up, so that it does not speak for itself.
            for (setting, value) in [("arp_ignore", 1), ("accept_local", 1), ("promote_secondaries", 1), ("rp_filter", 0)] {
                sysctl::set(Tree::V4, name, setting, value)?;
            }
            // The interface below must not answer for addresses that are on the virtual one.
            self.links.changed.set(sysctl::of(Tree::V4, &link.base, "arp_ignore"), 1)?;
            self.links.changed.set(sysctl::of(Tree::V4, &link.base, "arp_filter"), 1)?;
            self.unfilter();
        }
        Ok(())
    }

    /// The filter of reverse paths of `all` would be the virtual interfaces', too: it goes to each interface instead.
    fn unfilter(&mut self) {
        let Some(all) = sysctl::get(Tree::V4, "all", "rp_filter").filter(|value| *value > 0) else { return };
        for name in sysctl::interfaces().iter().filter(|n| *n != "all" && !self.conf.is_link(n)) {
            if sysctl::get(Tree::V4, name, "rp_filter").is_some_and(|own| own < all) {
                let _ = self.links.changed.set(sysctl::of(Tree::V4, name, "rp_filter"), all);
            }
        }
        let _ = self.links.changed.set(sysctl::of(Tree::V4, "all", "rp_filter"), 0);
        self.log.line(format!("NOTICE: setting sysctl net.ipv4.conf.all.rp_filter from {all} to 0; each interface has it instead"));
    }

    /// Adverts of IPv6 come from the address of the interface below: the virtual one has it, too.
    fn link_local(&mut self, link: &LinkConf, base: u32, index: u32) {
        if !link.takes_link_local() {
            return;
        }
        let has = |own: &IpAddr| self.interfaces[&index].addresses.iter().any(|a| a.address == *own);
        let sources = self.interfaces[&base].addresses.iter().filter(|a| a.is_source(Family::V6) && !self.ours.contains(&a.address));
        let missing: Vec<IpAddr> = sources.map(|a| a.address).filter(|own| !has(own)).collect();
        for own in missing {
            let address = AddressConf { preferred_lft: Some(0), ..AddressConf::new(link.place.clone(), own, 64) };
            if let Err(e) = self.netlink.add(index, &address) {
                self.log.line(format!("{own} cannot be set on {}: {e}", link.name));
            }
        }
    }

    /// Rules of nftables, if the file asks for any. It waits for a program, so at the start only, and on a thread of its own later.
    ///
    /// # Errors
    /// The program is not there, or what it says, if `no_accept` depends on it.
    pub(super) fn make_rules(&mut self) -> io::Result<()> {
        let Some(rules) = firewall::rules(&self.conf, |name| self.index_of(name).is_some()) else { return Ok(()) };
        self.links.rules = Some(firewall::table(&self.conf).into());
        match firewall::apply(&rules) {
            Err(e) if self.conf.unaccepted().is_empty() => {
                self.log.line(format!("IGMP and MLD of virtual interfaces go out over them: {e}"));
                Ok(())
            }
            other => other,
        }
    }

    /// The rules name interfaces by what they were.
    pub(super) fn make_rules_again(&mut self) {
        let rules = firewall::rules(&self.conf, |name| self.index_of(name).is_some());
        let table = rules.is_some().then(|| firewall::table(&self.conf).to_string());
        let before = std::mem::replace(&mut self.links.rules, table);
        let gone = before.filter(|name| self.links.rules.as_ref() != Some(name)).map(|name| firewall::removal(&name));
        // One transaction: at no time is there neither table.
        let all: String = gone.into_iter().chain(rules).collect();
        if all.is_empty() {
            return;
        }
        let (log, before) = (self.log.clone(), self.links.ruling.take());
        let apply = move || {
            before.map(JoinHandle::join);
            if let Err(e) = firewall::apply(&all) {
                log.line(format!("rules cannot be made anew: {e}"));
            }
        };
        match std::thread::Builder::new().name("rules".into()).spawn(apply) {
            Ok(thread) => self.links.ruling = Some(thread),
            Err(e) => self.log.line(format!("rules cannot be made anew: {e}")),
        }
    }

    /// Settings of the host that the file asks for. `promote_secondaries`: an address that goes does not take its like with it.
    pub(super) fn set_host(&mut self) {
        let Self { conf, links, log, .. } = self;
        let reports = match conf.global.no_local_igmp {
            true => links.changed.set(sysctl::local_igmp(), 0),
            false => links.changed.put_back(&sysctl::local_igmp()),
        };
        if let Err(e) = reports {
            log.line(format!("disable_local_igmp: igmp_link_local_mcast_reports cannot be set: {e}"));
        }
        for it in conf.instances.iter().filter(|i| i.promote_secondaries) {
            for name in it.addresses.iter().chain(&it.excluded).filter_map(|a| a.on.as_deref()) {
                if let Err(e) = links.changed.set(sysctl::of(Tree::V4, name, "promote_secondaries"), 1) {
                    log.line(format!("({}) promote_secondaries of {name}: {e}", it.name));
                }
            }
        }
    }

    /// The end: all is as it was.
    pub(super) fn remove_links(&mut self) {
        self.links.ruling.take().map(JoinHandle::join);
        if self.links.rules.is_some() {
            std::thread::sleep(FAREWELL);
        }
        if let Some(name) = self.links.rules.take()
            && let Err(e) = firewall::apply(&firewall::removal(&name))
        {
            self.log.line(format!("rules cannot be removed: {e}"));
        }
        self.links.changed.restore();
        for (name, (index, _)) in std::mem::take(&mut self.links.ready) {
            self.remove_link(&name, index);
        }
    }
}
