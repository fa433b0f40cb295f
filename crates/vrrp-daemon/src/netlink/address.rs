//! Addresses of interfaces.

use super::Change;
use crate::conf::model::{AddressConf, FOREVER};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, CacheInfo};
use std::net::IpAddr;

/// An address as it is put in place or taken away.
pub(super) fn message(interface: u32, conf: &AddressConf) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = if conf.address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.header.prefix_len = conf.prefix;
    message.header.scope = conf.scope.into();
    message.header.index = interface;
    let attributes = &mut message.attributes;
    attributes.extend([AddressAttribute::Local(conf.address), AddressAttribute::Address(conf.peer.unwrap_or(conf.address))]);
    if let Some(IpAddr::V4(brd)) = conf.brd {
        attributes.push(AddressAttribute::Broadcast(brd));
    }
    attributes.extend(conf.label.clone().map(AddressAttribute::Label));
    let flags = [
        // A virtual address is nobody else's: looking for duplicates would keep it from use for a second.
        (conf.address.is_ipv6() && !conf.dad, AddressFlags::Nodad),
        (conf.home, AddressFlags::Homeaddress),
        (conf.mngtmpaddr, AddressFlags::Managetempaddr),
        (conf.noprefixroute, AddressFlags::Noprefixroute),
        (conf.autojoin, AddressFlags::Mcautojoin),
    ];
    let set = flags.iter().filter(|(set, _)| *set).fold(AddressFlags::empty(), |all, (_, flag)| all | *flag);
    if !set.is_empty() {
        attributes.push(AddressAttribute::Flags(set));
    }
    if conf.address.is_ipv6() && conf.preferred() != FOREVER {
        let mut times = CacheInfo::default();
        (times.ifa_preferred, times.ifa_valid) = (conf.preferred(), FOREVER);
        attributes.push(AddressAttribute::CacheInfo(times));
    }
    message
}

pub(super) fn change(message: &AddressMessage, gone: bool) -> Option<Change> {
    let (index, address) = (message.header.index, local(message)?);
    if gone {
        return Some(Change::AddressGone { index, address });
    }
    let flags = message.header.flags;
    // Secondary ones of IPv4; temporary ones of IPv6 have the same bit.
    let secondary = flags.contains(AddressHeaderFlags::Secondary);
    let tentative = flags.intersects(AddressHeaderFlags::Tentative | AddressHeaderFlags::Dadfailed);
    Some(Change::Address { index, address, secondary, tentative })
}

/// IPv4 has the address in one attribute and the peer's in the other, IPv6 mostly has the latter only.
fn local(message: &AddressMessage) -> Option<IpAddr> {
    let local = message.attributes.iter().find_map(|a| if let AddressAttribute::Local(ip) = a { Some(*ip) } else { None });
    local.or_else(|| message.attributes.iter().find_map(|a| if let AddressAttribute::Address(ip) = a { Some(*ip) } else { None }))
}
