//! Sending: adverts to where the configuration says, and announcements of the addresses.

use super::Instance;
use crate::Family;
use crate::action::{Action, Datagram};
use crate::config::Transport;
use crate::packet::{Outgoing, TTL};
use crate::receive::form;
use std::net::IpAddr;

/// Hop limit of unicast adverts over IPv6: keepalived leaves it to the kernel.
const UNICAST_HOPS_V6: u8 = 64;

impl Instance {
    /// An advert with this priority to all that shall hear it.
    pub(super) fn send(&mut self, priority: u8) {
        let Some(source) = self.source.or(self.last_source.filter(|_| priority == 0)) else { return };
        // One number for all peers, as keepalived has it.
        self.sequence = self.sequence.wrapping_add(1);
        let default_hops = if self.config.family == Family::V4 { TTL } else { UNICAST_HOPS_V6 };
        match &self.config.transport {
            Transport::Multicast { group } => {
                let group = *group;
                self.send_to(source, group, TTL, priority);
            }
            Transport::Unicast { peers, ttl, .. } => {
                let hops = ttl.unwrap_or(default_hops);
                for at in 0..peers.len() {
                    let Transport::Unicast { peers, .. } = &self.config.transport else { return };
                    self.send_to(source, peers[at].address, hops, priority);
                }
            }
        }
        self.stats.advert_sent += 1;
        if priority == 0 {
            self.stats.pri_zero_sent += 1;
        }
    }

    fn send_to(&mut self, source: IpAddr, destination: IpAddr, hops: u8, priority: u8) {
        let Self { config, sequence, .. } = &*self;
        let advert = Outgoing {
            version: config.version,
            vrid: config.vrid,
            priority,
            interval: config.advert_int,
            auth: &config.auth,
            addresses: &config.addresses,
        };
        let form = form(config, source, destination, self.old_checksum);
        let bytes = match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => advert.datagram(form, source, destination, hops, *sequence),
            _ => advert.pdu(form),
        };
        self.actions.push_back(Action::Send(Datagram { source, destination, hops, bytes }));
    }

    /// Announces the addresses, unless it is so many times as zero.
    pub(super) fn announce(&mut self, times: u8) {
        if times > 0 {
            self.actions.push_back(Action::Announce(times));
        }
    }
}
