//! Routes and rules in dumps: the words of `ip`, in keepalived's order.

use crate::conf::route::{MAIN, RouteConf};
use crate::conf::rule::{Does, RuleConf};
use std::fmt::Write;
use std::net::IpAddr;

/// A network; a host has no prefix.
fn network((to, prefix): (IpAddr, u8)) -> String {
    let host = if to.is_ipv4() { 32 } else { 128 };
    if prefix == host { to.to_string() } else { format!("{to}/{prefix}") }
}

/// `prepend 10.77.0.0/16 via inet 10.8.0.2 dev e0 proto 18`, `add blackhole 10.78.0.0/16 proto 18 no_track`.
pub(super) fn route(it: &RouteConf) -> String {
    let mut out = match it.kind_word() {
        Some(word) => format!("add {word}"),
        None if it.append => "append".into(),
        None => "prepend".into(),
    };
    let _ = write!(out, " {}", network((it.to, it.prefix)));
    let mut pair = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = write!(out, " {name} {value}");
        }
    };
    let via = |via: IpAddr| format!("{} {via}", if via.is_ipv4() { "inet" } else { "inet6" });
    let only = it.hops.first().filter(|_| it.hops.len() == 1);
    pair("from", it.from.map(network));
    pair("tos", (it.tos != 0).then(|| it.tos.to_string()));
    pair("src", it.src.map(|src| src.to_string()));
    pair("via", only.and_then(|hop| hop.via).map(via));
    pair("dev", only.and_then(|hop| hop.dev.clone()));
    pair("table", (it.table != MAIN).then(|| it.table.to_string()));
    pair("proto", Some(it.protocol.to_string()));
    pair("scope", (it.scope != 0).then(|| it.scope.to_string()));
    pair("metric", it.metric.map(|metric| metric.to_string()));
    if only.is_some_and(|hop| hop.onlink) {
        out.push_str(" onlink");
    }
    for word in it.metrics_written() {
        let _ = write!(out, " {word}");
    }
    if let Some(pref) = it.pref {
        let _ = write!(out, " pref {}", ["medium", "high", "", "low"].get(usize::from(pref)).unwrap_or(&""));
    }
    for hop in it.hops.iter().filter(|_| it.hops.len() > 1) {
        out.push_str(" nexthop");
        let _ = hop.via.map(|gateway| write!(out, " via {}", via(gateway)));
        let _ = hop.dev.as_ref().map(|dev| write!(out, " dev {dev}"));
        let _ = (hop.weight > 1).then(|| write!(out, " weight {}", hop.weight));
    }
    if it.no_track {
        out.push_str(" no_track");
    }
    out
}

/// `from 10.77.0.0/16 priority 16383 tos 0x0 protocol 18 lookup 77`.
pub(super) fn rule(it: &RuleConf) -> String {
    let mut out = format!("{}from {}", if it.not { "not " } else { "" }, it.from.map_or("all".into(), network));
    let mut pair = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = write!(out, " {name} {value}");
        }
    };
    pair("to", it.to.map(network));
    pair("priority", it.preference.map(|number| number.to_string()));
    pair("tos", Some(format!("{:#x}", it.tos)));
    pair("iif", it.iif.clone());
    pair("oif", it.oif.clone());
    pair(
        "fwmark",
        it.fwmark.map(|(mark, mask)| format!("{mark:#x}{}", if mask == u32::MAX { String::new() } else { format!("/{mask:#x}") })),
    );
    pair("uidrange", it.uidrange.map(|(from, to)| format!("{from}-{to}")));
    pair("suppress_prefixlen", it.suppress_prefixlength.map(|number| number.to_string()));
    pair("suppress_ifgroup", it.suppress_ifgroup.map(|number| number.to_string()));
    pair("tunnel-id", it.tunnel.map(|number| number.to_string()));
    pair("protocol", (it.protocol != 0).then(|| it.protocol.to_string()));
    pair("ipproto", it.ipproto.map(|number| number.to_string()));
    pair("sport", it.sport.map(|(from, to)| format!("{from}-{to}")));
    pair("dport", it.dport.map(|(from, to)| format!("{from}-{to}")));
    pair("realms", it.realms.map(|number| format!("{}/{}", number >> 16, number & 0xffff)));
    let kind =
        |number| [(6, "blackhole"), (7, "unreachable"), (8, "prohibit")].into_iter().find(|(of, _)| *of == number).map(|(_, word)| word);
    match it.does {
        Does::Table(table) => pair("lookup", Some(table.to_string())),
        Does::Goto(to) => pair("goto", Some(to.to_string())),
        Does::L3mdev => out.push_str(" l3mdev"),
        Does::Kind(number) => match kind(number) {
            Some(word) => pair("type", Some(word.into())),
            None => out.push_str(" nop"),
        },
    }
    if it.no_track {
        out.push_str(" no_track");
    }
    out
}
