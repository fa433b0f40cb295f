//! Gratuitous ARP and unsolicited neighbour advertisements: at once, or with time between them where the file asks for that.

use super::Daemon;
use crate::conf::model::Conf;
use crate::frames;
use crate::sysctl::{self, Tree};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// Announcements that wait on one interface or group of interfaces. What is beyond is not sent: the refresh and the second set come later.
pub const MAX_WAITING: usize = 20_000;

/// Those that wait.
#[derive(Default)]
pub(super) struct Announcements {
    lines: HashMap<Line, Waiting>,
}

/// What shares the time between announcements: an interface or a group, and the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Line {
    Interface(u32, bool),
    Group(usize, bool),
}

#[derive(Default)]
struct Waiting {
    spacing: Duration,
    /// When the next may go.
    next: Option<Instant>,
    frames: VecDeque<(u32, IpAddr, Vec<u8>)>,
}

impl Announcements {
    /// When [`Announcements::send`] is to be called next.
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        self.lines.values().filter(|w| !w.frames.is_empty()).map(|w| w.next.unwrap_or(now)).min()
    }

    /// Sends those whose time has come.
    pub fn send(&mut self, now: Instant, socket: BorrowedFd<'_>) {
        for waiting in self.lines.values_mut() {
            if waiting.next.is_none_or(|at| at <= now)
                && let Some((interface, _, frame)) = waiting.frames.pop_front()
            {
                let _ = lb_sys::packet::send(socket, interface, &frame);
                waiting.next = Some(now + waiting.spacing);
            }
        }
        self.lines.retain(|_, w| !w.frames.is_empty() || w.next.is_some_and(|at| at > now));
    }

    /// An address is not ours any more: what waits for it is not sent.
    pub fn forget(&mut self, interface: u32, address: IpAddr) {
        for waiting in self.lines.values_mut() {
            waiting.frames.retain(|(on, of, _)| (*on, *of) != (interface, address));
        }
    }
}

/// What an announcement on an interface has to wait for, and how long.
fn line(conf: &Conf, name: &str, interface: u32, is_v4: bool) -> Option<(Line, Duration)> {
    let global = if is_v4 { conf.global.garp_interval } else { conf.global.gna_interval };
    // A virtual interface is on the wire of the one below.
    let name = conf.links.iter().find(|l| l.name == name).map_or(name, |l| &l.base);
    let group = conf.garp_groups.iter().position(|g| g.interfaces.iter().any(|n| n == name));
    let of_group = group.and_then(|at| if is_v4 { conf.garp_groups[at].garp } else { conf.garp_groups[at].gna });
    let (line, spacing) = match (group, of_group) {
        (Some(at), Some(spacing)) => (Line::Group(at, is_v4), spacing),
        _ => (Line::Interface(interface, is_v4), global),
    };
    (!spacing.is_zero()).then_some((line, spacing))
}

impl Daemon {
    /// Announces the addresses of an instance, so many times.
    pub(super) fn announce(&mut self, entry: usize, member: usize, times: u8) {
        let addresses = self.addresses(entry, member);
        for _ in 0..times {
            addresses.iter().for_each(|(interface, address)| self.announce_one(*interface, address.address));
        }
    }

    /// `garp_extra_if`: once for each address that is on another interface than the adverts, so that switches there do not forget it.
    fn announce_elsewhere(&mut self, entry: usize, member: usize, all: bool) {
        let at = self.entries[entry].members[member];
        let wire = self.paths[at];
        let conf = self.conf.clone();
        let virtual_only = |interface: &u32| all || self.interfaces.get(interface).is_some_and(|it| conf.is_link(&it.name));
        let mut addresses = self.addresses(entry, member);
        addresses.retain(|(interface, _)| Some(*interface) != wire && virtual_only(interface));
        addresses.iter().for_each(|(interface, address)| self.announce_one(*interface, address.address));
    }

    /// When [`Daemon::announce_extra`] is to be called next.
    pub(super) fn poll_extra(&self) -> Option<Instant> {
        self.extra.values().copied().min()
    }

    /// What the masters with `garp_extra_if` announce beside all else.
    pub(super) fn announce_extra(&mut self, now: Instant) {
        if !self.has_extra {
            return;
        }
        let conf = self.conf.clone();
        let extra = |at: usize| conf.instances[at].garp_extra.or(conf.global.garp_extra).filter(|(_, every)| !every.is_zero());
        for entry in 0..self.entries.len() {
            for (member, at) in self.entries[entry].members.clone().into_iter().enumerate() {
                let master = self.entries[entry].instance(member).state() == vrrp::State::Master;
                let Some((all, every)) = extra(at).filter(|_| master) else {
                    self.extra.remove(&at);
                    continue;
                };
                let due = *self.extra.entry(at).or_insert(now + every);
                if due <= now {
                    self.extra.insert(at, now + every);
                    self.announce_elsewhere(entry, member, all);
                }
            }
        }
    }

    fn announce_one(&mut self, interface: u32, address: IpAddr) {
        let Some(it) = self.interfaces.get(&interface) else { return };
        // An interface without Ethernet addresses has nobody to tell.
        let Ok(hardware) = <[u8; 6]>::try_from(it.hardware.as_slice()) else { return };
        let frame = match address {
            IpAddr::V4(v4) => frames::gratuitous_arp(hardware, v4),
            IpAddr::V6(v6) => {
                let router = sysctl::get(Tree::V6, &it.name, "forwarding").is_some_and(|on| on > 0);
                frames::neighbour_advertisement(hardware, v6, router)
            }
        };
        match line(&self.conf, &it.name, interface, address.is_ipv4()) {
            None => drop(lb_sys::packet::send(self.frames.as_fd(), interface, &frame)),
            Some((line, spacing)) => {
                let waiting = self.announcements.lines.entry(line).or_default();
                waiting.spacing = spacing;
                if waiting.frames.len() < MAX_WAITING {
                    waiting.frames.push_back((interface, address, frame));
                }
            }
        }
    }
}
