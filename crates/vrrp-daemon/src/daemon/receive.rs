//! Datagrams that have arrived, and for whom.

use super::Daemon;
use std::time::Instant;
use vrrp::{Event, Packet};

impl Daemon {
    pub(super) fn read_packets(&mut self, now: Instant) {
        let mut all = Vec::new();
        for (index, sockets) in &self.sockets {
            sockets.read(|bytes| all.push((*index, bytes.to_vec())));
        }
        for (index, bytes) in all {
            // What is no packet belongs to nobody here.
            let Ok(packet) = Packet::ipv4(&bytes) else { continue };
            let vrid = vrrp::packet::vrid(packet.pdu).unwrap_or_default();
            let listeners = self.listeners.get(&(index, vrid)).cloned().unwrap_or_default();
            for (entry, member) in listeners {
                self.event(now, entry, member, Event::Packet(packet));
            }
        }
    }
}
