//! Addresses. Manual 7.3.1.

use crate::sample::{Arg, ArgKind, Args, Converter, Cx, Type, Value};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) const TABLE: &[Converter] = &[Converter::new("ipmask", &[ArgKind::Mask4, ArgKind::Mask6], 1, Type::Addr, Type::Addr, ipmask)];

/// An IPv6 address that holds one of IPv4 is taken for that; another one needs the mask for it.
fn ipmask<'a>(args: &'a Args, value: Value<'a>, _: Cx<'a>) -> Option<Value<'a>> {
    let Value::Ip(ip) = value else { return None };
    let masked = match (ip, args.get(0), args.get(1)) {
        (IpAddr::V4(ip), Arg::Ipv4(mask), _) => IpAddr::V4(Ipv4Addr::from(u32::from(ip) & u32::from(*mask))),
        (IpAddr::V6(ip), Arg::Ipv4(mask), rest) => match (ip.to_ipv4_mapped(), rest) {
            (Some(ip), _) => IpAddr::V4(Ipv4Addr::from(u32::from(ip) & u32::from(*mask))),
            (None, Arg::Ipv6(mask)) => IpAddr::V6(Ipv6Addr::from(u128::from(ip) & u128::from(*mask))),
            _ => return None,
        },
        _ => return None,
    };
    Some(Value::Ip(masked))
}
