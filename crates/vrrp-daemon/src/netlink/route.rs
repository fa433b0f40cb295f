//! Routes.

use super::{Change, device};
use crate::conf::model::{HopConf, RouteConf};
use crate::conf::route::KEEPALIVED;
use netlink_packet_core::DefaultNla;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteMetric, RouteNextHop, RouteNextHopFlags, RouteScope,
};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The kernel's numbers of attributes that hold plain numbers here.
const REALMS: u16 = 11;
const PREF: u16 = 20;
const TTL_PROPAGATE: u16 = 26;

fn address(ip: IpAddr) -> RouteAddress {
    match ip {
        IpAddr::V4(v4) => RouteAddress::Inet(v4),
        IpAddr::V6(v6) => RouteAddress::Inet6(v6),
    }
}

fn plain(kind: u16, value: Vec<u8>) -> RouteAttribute {
    RouteAttribute::Other(DefaultNla::new(kind, value))
}

/// A route as it is put in place or taken away. `names`: interfaces.
pub(super) fn message(route: &RouteConf, names: &HashMap<String, u32>) -> io::Result<RouteMessage> {
    let mut message = RouteMessage::default();
    let header = &mut message.header;
    header.address_family = if route.to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    header.destination_prefix_length = route.prefix;
    header.source_prefix_length = route.from.map_or(0, |(_, prefix)| prefix);
    header.table = u8::try_from(route.table).unwrap_or(0);
    header.protocol = route.protocol.into();
    header.scope = RouteScope::from(route.scope);
    header.kind = route.kind.into();
    header.tos = route.tos;
    let attributes = &mut message.attributes;
    attributes.push(RouteAttribute::Table(route.table));
    if route.prefix > 0 {
        attributes.push(RouteAttribute::Destination(address(route.to)));
    }
    attributes.extend(route.from.map(|(from, _)| RouteAttribute::Source(address(from))));
    attributes.extend(route.src.map(|src| RouteAttribute::PrefSource(address(src))));
    attributes.extend(route.metric.map(RouteAttribute::Priority));
    attributes.extend(route.realms.map(|realms| plain(REALMS, realms.to_ne_bytes().to_vec())));
    attributes.extend(route.pref.map(|pref| plain(PREF, vec![pref])));
    attributes.extend(route.expires.map(RouteAttribute::Expires));
    attributes.extend(route.ttl_propagate.map(|on| plain(TTL_PROPAGATE, vec![u8::from(on)])));
    if !route.metrics.is_empty() {
        let metric = |(kind, value): &(u16, Vec<u8>)| RouteMetric::Other(DefaultNla::new(*kind, value.clone()));
        attributes.push(RouteAttribute::Metrics(route.metrics.iter().map(metric).collect()));
    }
    match route.hops.as_slice() {
        [] => {}
        [hop] => {
            attributes.extend(hop.via.map(|via| RouteAttribute::Gateway(address(via))));
            if let Some(dev) = &hop.dev {
                attributes.push(RouteAttribute::Oif(device(names, dev)?));
            }
            if hop.onlink {
                message.header.flags = RouteFlags::Onlink;
            }
        }
        hops => attributes.push(RouteAttribute::MultiPath(hops.iter().map(|hop| next_hop(hop, names)).collect::<io::Result<_>>()?)),
    }
    Ok(message)
}

fn next_hop(hop: &HopConf, names: &HashMap<String, u32>) -> io::Result<RouteNextHop> {
    let mut next = RouteNextHop::default();
    if let Some(dev) = &hop.dev {
        next.interface_index = device(names, dev)?;
    }
    if hop.onlink {
        next.flags = RouteNextHopFlags::Onlink;
    }
    // The kernel counts from 0.
    next.hops = u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX);
    next.attributes.extend(hop.via.map(|via| RouteAttribute::Gateway(address(via))));
    next.attributes.extend(hop.realms.map(|realms| plain(REALMS, realms.to_ne_bytes().to_vec())));
    Ok(next)
}

/// A route that is gone, if it may be one of ours.
pub(super) fn gone(message: &RouteMessage) -> Option<Change> {
    let any = match message.header.address_family {
        AddressFamily::Inet => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        AddressFamily::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    if u8::from(message.header.protocol) != KEEPALIVED {
        return None;
    }
    let (mut to, mut table, mut metric) = (any, u32::from(message.header.table), 0);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(ip)) => to = (*ip).into(),
            RouteAttribute::Destination(RouteAddress::Inet6(ip)) => to = (*ip).into(),
            RouteAttribute::Table(number) => table = *number,
            RouteAttribute::Priority(number) => metric = *number,
            _ => {}
        }
    }
    Some(Change::RouteGone { to, prefix: message.header.destination_prefix_length, table, metric })
}
