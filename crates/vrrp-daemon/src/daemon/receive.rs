//! Datagrams that have arrived, and for whom.

use super::Daemon;
use std::net::IpAddr;
use std::time::Instant;
use vrrp::{Event, Family, Packet, REPORT_SPACING};

/// What the packets of an instance look like, as far as it takes to find the instance.
pub(super) struct Wanted {
    pub vrid: u8,
    pub family: Family,
    /// Below an authentication header.
    pub authenticated: bool,
    /// The group of a multicast instance.
    pub group: Option<IpAddr>,
    /// The peers of a unicast one.
    pub peers: Vec<IpAddr>,
}

impl Wanted {
    pub fn new(config: &vrrp::Config) -> Wanted {
        let (group, peers) = match &config.transport {
            vrrp::Transport::Multicast { group } => (Some(*group), Vec::new()),
            vrrp::Transport::Unicast { peers, .. } => (None, peers.iter().map(|p| p.address).collect()),
        };
        let authenticated = matches!(config.auth, vrrp::Auth::Header(_));
        Wanted { vrid: config.vrid, family: config.family, authenticated, group, peers }
    }

    /// Whether it is for this one of several instances with the same id.
    fn fits(&self, packet: &Packet<'_>) -> bool {
        match self.group {
            Some(group) => group == packet.destination,
            None => self.peers.contains(&packet.source),
        }
    }
}

impl Daemon {
    /// `log_unknown_vrids`, at most one line a second.
    fn unknown_vrid(&mut self, now: Instant, index: u32, vrid: u8, from: IpAddr) {
        if self.conf.global.log_unknown_vrids && self.unknown_said.is_none_or(|at| now.saturating_duration_since(at) >= REPORT_SPACING) {
            self.unknown_said = Some(now);
            let name = self.interfaces.get(&index).map_or("?", |it| it.name.as_str());
            self.log.line(format!("Unknown VRID({vrid}) received on interface({name}) from {from}. ignoring"));
        }
    }

    /// Reads what has arrived on the interfaces with these indices, or on all, and tells instances.
    pub(super) fn read_packets(&mut self, now: Instant, only: Option<&[u32]>) {
        let mut all = Vec::new();
        for (index, sockets) in self.sockets.iter().filter(|(index, _)| only.is_none_or(|only| only.contains(index))) {
            sockets.read(|arrived| all.push((*index, arrived)));
        }
        for (index, arrived) in all {
            // What is no packet belongs to nobody here.
            let Ok(packet) = arrived.packet() else { continue };
            let vrid = vrrp::packet::vrid(packet.pdu).unwrap_or_default();
            let Some(listeners) = self.listeners.get(&(index, Family::of(packet.source), vrid)) else {
                self.unknown_vrid(now, index, vrid, packet.source);
                continue;
            };
            let fits = |(entry, member): &&(usize, usize)| self.wanted[self.entries[*entry].members[*member]].fits(&packet);
            // A packet that fits none of several is a mistake that one of them reports.
            let chosen = listeners.iter().find(fits).or(listeners.first()).copied();
            if let Some((entry, member)) = chosen {
                self.event(now, entry, member, Event::Packet(packet));
            }
        }
    }
}
