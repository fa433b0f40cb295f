//! Intervals and ways of adverts that cannot be as they are written: brought into order as keepalived does it, and said.

use super::model::{Global, InstanceConf};
use std::net::IpAddr;
use std::time::Duration;
use vrrp::{Family, MAX_ADVERT_INT_V3, MIN_ADVERT_INT, Version};

/// Rounds the interval to the unit of the version, and cuts it to its range.
pub(super) fn interval(it: &mut InstanceConf, global: &Global, warn: &mut impl FnMut(&str)) {
    let Some(written) = it.advert_int else { return };
    let rounded = |unit: Duration| unit * u32::try_from((written + unit / 2).as_nanos() / unit.as_nanos()).expect("at most 25,500");
    let interval = match it.version(global) {
        Version::V2 => {
            let whole = rounded(Duration::from_secs(1)).max(Duration::from_secs(1));
            if whole != written {
                warn("VRRPv2 advertisement interval must be a whole number of seconds; it is rounded. 'version 3' has fractions");
            }
            whole
        }
        Version::V3 => {
            let units = rounded(MIN_ADVERT_INT);
            if units > MAX_ADVERT_INT_V3 {
                warn("VRRPv3 advertisement interval is 0.01 to 40.95 seconds; it is brought into that range");
            } else if units != written {
                warn(&format!("VRRPv3 advertisement interval must be in units of 10 ms; it is {} seconds now", units.as_secs_f64()));
            }
            units.min(MAX_ADVERT_INT_V3)
        }
    };
    it.advert_int = Some(interval);
}

/// Leaves out addresses that adverts cannot come from or go to.
pub(super) fn ways(it: &mut InstanceConf, warn: &mut impl FnMut(&str)) {
    let family = it.family();
    it.peers.retain(|peer| {
        let fits = Family::of(peer.address) == family;
        if !fits {
            warn(&format!("unicast peer {} is of another address family than the virtual addresses; it is left out", peer.address));
        }
        fits
    });
    if let Some(source) = it.source.filter(|source| Family::of(*source) != family) {
        warn(&format!("source address {source} is of another address family than the virtual addresses; it is left out"));
        it.source = None;
    }
    if let Some(group) = it.group {
        let why = match () {
            () if !group.is_multicast() => "is not a multicast address",
            () if Family::of(group) != family => "is of another address family than the virtual addresses",
            () if !stays_on_link(group) => "is not link-local multicast, which begins with ff02",
            () => "",
        };
        if !why.is_empty() {
            warn(&format!("mcast_dst_ip {group} {why}; it is left out"));
            it.group = None;
        }
    }
    if it.peers.is_empty() && !it.unicast_fault_no_peer {
        if it.unicast_ttl.take().is_some() {
            warn("unicast_ttl without unicast peers is left out; write unicast_peer");
        }
        if it.unicast_word {
            warn("there are words of unicast, and no unicast peers: adverts are multicast; write unicast_peer, or take the words away");
        }
    }
}

/// Whether a group is one of the link: all of IPv4, as far as keepalived asks.
pub(super) fn stays_on_link(group: IpAddr) -> bool {
    matches!(group, IpAddr::V4(_)) || matches!(group, IpAddr::V6(six) if six.segments()[0] & 0xf == 2)
}
