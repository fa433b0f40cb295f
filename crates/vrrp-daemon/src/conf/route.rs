//! Lines of `virtual_routes` and `static_routes`: the words of `ip route add`.

use super::address::scope;
use super::arg::Arg;
use super::diag::Place;
use super::model::Unsupported;
use super::names::number;
use super::tree::Node;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Who makes routes and rules, in the kernel's numbers: keepalived.
pub const KEEPALIVED: u8 = 18;
/// The main table.
pub const MAIN: u32 = 254;

/// What happens to packets, in the kernel's numbers.
const KINDS: &[(&str, u8)] = &[
    ("unicast", 1),
    ("local", 2),
    ("broadcast", 3),
    ("anycast", 4),
    ("multicast", 5),
    ("blackhole", 6),
    ("unreachable", 7),
    ("prohibit", 8),
    ("throw", 9),
];

/// Metrics by name, the kernel's number, and the factor of the unit.
const METRICS: &[(&str, u16, u32)] = &[
    ("mtu", 2, 1),
    ("window", 3, 1),
    ("rtt", 4, 8),
    ("rttvar", 5, 4),
    ("ssthresh", 6, 1),
    ("cwnd", 7, 1),
    ("advmss", 8, 1),
    ("reordering", 9, 1),
    ("hoplimit", 10, 1),
    ("initcwnd", 11, 1),
    ("rto_min", 13, 1),
    ("initrwnd", 14, 1),
    ("quickack", 15, 1),
    ("fastopen_no_cookie", 17, 1),
];
/// `features`, `congctl`, and the metric that says which others hold whatever is learned.
const FEATURES: u16 = 12;
const CONGCTL: u16 = 16;
const LOCK: u16 = 1;

/// One route.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RouteConf {
    /// Where.
    pub place: Place,
    /// The network.
    pub to: IpAddr,
    /// Its prefix.
    pub prefix: u8,
    /// `from`, of IPv6: only for packets from there.
    pub from: Option<(IpAddr, u8)>,
    /// What happens to packets, as the kernel numbers it; 1: they go on.
    pub kind: u8,
    /// Where to: one, or several of which each takes a part. None for kinds that need none.
    pub hops: Vec<HopConf>,
    /// `src`.
    pub src: Option<IpAddr>,
    /// `table`.
    pub table: u32,
    /// `metric`, `priority`, `preference`.
    pub metric: Option<u32>,
    /// `scope`, as the kernel numbers it.
    pub scope: u8,
    /// `tos`, `dsfield`.
    pub tos: u8,
    /// `protocol`.
    pub protocol: u8,
    /// `realms`.
    pub realms: Option<u32>,
    /// `pref`, of IPv6: 0 medium, 1 high, 3 low.
    pub pref: Option<u8>,
    /// `expires`, of IPv6, in seconds.
    pub expires: Option<u32>,
    /// `ttl-propagate`.
    pub ttl_propagate: Option<bool>,
    /// Metrics as the kernel numbers them.
    pub metrics: Vec<(u16, Vec<u8>)>,
    /// `append`: behind others to the same network.
    pub append: bool,
    /// `no_track`.
    pub no_track: bool,
    /// `track_group`.
    pub track_group: Option<String>,
}

/// A way to the next router.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct HopConf {
    /// `via`.
    pub via: Option<IpAddr>,
    /// `dev`.
    pub dev: Option<String>,
    /// `onlink`.
    pub onlink: bool,
    /// `weight`, 1 to 256.
    pub weight: u16,
    /// `realms`.
    pub realms: Option<u32>,
}

impl RouteConf {
    /// The same without its place: equal to what another file says of the same route.
    #[must_use]
    pub fn bare(self) -> RouteConf {
        RouteConf { place: Place { file: "".into(), line: 0 }, ..self }
    }

    /// The word for what happens to packets, if they do not go on.
    pub fn kind_word(&self) -> Option<&'static str> {
        KINDS.iter().find(|(_, number)| *number == self.kind && self.kind != 1).map(|(word, _)| *word)
    }

    /// The metrics that are numbers, as they are written: `mtu 1400`, `mtu lock 1400`.
    pub fn metrics_written(&self) -> Vec<String> {
        let number = |bytes: &[u8]| bytes.try_into().map_or(0, u32::from_ne_bytes);
        let locked = self.metrics.iter().find(|(which, _)| *which == LOCK).map_or(0, |(_, bytes)| number(bytes));
        let word = |(which, bytes): &(u16, Vec<u8>)| {
            let (name, _, factor) = METRICS.iter().find(|(_, number, _)| number == which)?;
            let lock = if locked & (1 << which) != 0 { "lock " } else { "" };
            Some(format!("{name} {lock}{}", number(bytes) / factor))
        };
        self.metrics.iter().filter_map(word).collect()
    }

    /// The interfaces that it needs.
    pub fn devices(&self) -> impl Iterator<Item = &str> {
        self.hops.iter().filter_map(|hop| hop.dev.as_deref())
    }
}

/// The lines of the block. Those that cannot be read are said and left out.
pub fn routes(arg: &mut Arg<'_>, is_static: bool) -> Vec<RouteConf> {
    let mut all = Vec::new();
    for line in arg.node.lines() {
        match route(line, arg, is_static) {
            Ok(route) => all.extend(route),
            Err(text) => arg.warn_at(&line.place.clone(), format!("{text}; the route is left out")),
        }
    }
    all
}

/// A network with its prefix; without one, of one address. `default` is all of IPv4, or of IPv6 if that was said before.
pub fn network(text: &str, ipv6: bool) -> Result<(IpAddr, u8), String> {
    if matches!(text, "default" | "all" | "any") {
        return Ok((if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }, 0));
    }
    let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let found = address.parse::<IpAddr>().ok().and_then(|ip| {
        let most = if ip.is_ipv4() { 32 } else { 128 };
        Some((ip, prefix.map_or(Some(most), |p| p.parse().ok().filter(|p| *p <= most))?))
    });
    found.ok_or_else(|| format!("'{text}' is not a network, like 192.0.2.0/24"))
}

/// Words of a route until the block of next hops begins; what is not there yet is noted, and the route left out.
fn route(line: &Node, arg: &mut Arg<'_>, is_static: bool) -> Result<Option<RouteConf>, String> {
    let mut it = RouteConf {
        place: line.place.clone(),
        to: Ipv4Addr::UNSPECIFIED.into(),
        prefix: 0,
        from: None,
        kind: 1,
        hops: Vec::new(),
        src: None,
        table: MAIN,
        metric: None,
        scope: 0,
        tos: 0,
        protocol: KEEPALIVED,
        realms: None,
        pref: None,
        expires: None,
        ttl_propagate: None,
        metrics: Vec::new(),
        append: false,
        no_track: false,
        track_group: None,
    };
    let (mut to, mut ipv6, mut locked) = (None, false, 0u32);
    let (mut hop, mut in_hops) = (HopConf::default(), false);
    let mut words = line.words.iter().map(|w| w.text.as_str()).peekable();
    while let Some(word) = words.next() {
        if let Some((_, number)) = METRICS.iter().find(|(name, ..)| *name == word).map(|(_, number, unit)| (*unit, (*number, *unit))) {
            let (kind, unit) = number;
            if words.next_if(|w| *w == "lock").is_some() {
                locked |= 1 << kind;
            }
            let text = words.next().unwrap_or_default();
            // Times may carry their unit, as in ip route.
            let (digits, times) = match text.strip_suffix("ms") {
                Some(digits) => (digits, 1),
                // Of hexadecimal numbers it is no digit, either.
                None => text.strip_suffix('s').map_or((text, 1), |digits| (digits, 1000)),
            };
            let value = super::names::number(digits).and_then(|n| n.checked_mul(times)?.checked_mul(unit));
            let value = value.ok_or_else(|| format!("Invalid {} {text} specified for route; it is a number", word.to_uppercase()))?;
            it.metrics.push((kind, value.to_ne_bytes().to_vec()));
            continue;
        }
        if let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == word) {
            it.kind = *kind;
            continue;
        }
        let mut value = || words.next().ok_or_else(|| format!("'{word}' needs a value behind it"));
        let count = |text: &str| number(text).ok_or_else(|| format!("'{word} {text}' is not a number"));
        let address = |text: &str| text.parse::<IpAddr>().map_err(|_| format!("'{word} {text}' is not an IP address"));
        match word {
            "inet6" => ipv6 = true,
            "inet" => ipv6 = false,
            "to" => to = Some(network(value()?, ipv6)?),
            "from" => it.from = Some(network(value()?, ipv6)?),
            "src" => it.src = Some(address(value()?)?),
            "via" | "gw" => {
                if word == "gw" {
                    arg.warn_at(&line.place.clone(), "\"gw\" for routes is deprecated. Please use \"via\"");
                }
                let mut text = value()?;
                if matches!(text, "inet" | "inet6") {
                    text = value()?;
                }
                hop.via = Some(address(text)?);
            }
            "or" => {
                arg.warn_at(&line.place.clone(), "\"or\" for routes is deprecated. Please use \"nexthop\"");
                it.hops.push(hop.clone());
                hop.via = Some(address(value()?)?);
            }
            "dev" | "oif" => hop.dev = Some(value()?.to_string()),
            "onlink" => hop.onlink = true,
            "weight" if in_hops => {
                let text = value()?;
                hop.weight = text
                    .parse()
                    .ok()
                    .filter(|w| (1..=256).contains(w))
                    .ok_or_else(|| format!("Invalid weight {text} specified for route; it is 1 to 256"))?;
            }
            "nexthop" => {
                if std::mem::replace(&mut in_hops, true) {
                    it.hops.push(hop);
                } else if hop != HopConf::default() {
                    return Err("a route has either via and dev or nexthops".into());
                }
                hop = HopConf::default();
            }
            "realms" if in_hops => hop.realms = Some(arg.common.names.realms(value()?)?),
            "realms" => it.realms = Some(arg.common.names.realms(value()?)?),
            "table" => it.table = arg.common.names.table(value()?).map_err(|text| text.replace("not found", "not found for route"))?,
            "metric" | "priority" | "preference" => it.metric = Some(count(value()?)?),
            "scope" => it.scope = scope(value()?)?,
            "tos" | "dsfield" => it.tos = arg.common.names.service(value()?)?,
            "protocol" => it.protocol = arg.common.names.protocol(value()?)?,
            "pref" => {
                let text = value()?;
                let prefs = [("medium", 0), ("high", 1), ("low", 3)];
                let found = prefs.iter().find(|(name, _)| *name == text).map(|(_, number)| *number);
                it.pref = Some(found.ok_or_else(|| format!("pref {text} is none of low, medium, high"))?);
            }
            "expires" => it.expires = Some(count(value()?)?),
            "ttl-propagate" => {
                it.ttl_propagate = Some(match value()? {
                    "enabled" => true,
                    "disabled" => false,
                    other => return Err(format!("ttl-propagate {other} is neither enabled nor disabled")),
                });
            }
            "features" => {
                let mut set = 0u32;
                while words.next_if(|w| *w == "ecn").is_some() {
                    set |= 1;
                }
                if set == 0 {
                    return Err("features wants ecn behind it".into());
                }
                it.metrics.push((FEATURES, set.to_ne_bytes().to_vec()));
            }
            "congctl" => {
                if words.next_if(|w| *w == "lock").is_some() {
                    locked |= 1 << CONGCTL;
                }
                let name = words.next().ok_or("'congctl' needs a value behind it")?;
                it.metrics.push((CONGCTL, [name.as_bytes(), b"\0"].concat()));
            }
            "append" => it.append = true,
            "no_track" => it.no_track = true,
            "track_group" if is_static => it.track_group = Some(value()?.into()),
            "as" => {
                arg.warn_at(&line.place.clone(), "\"as to\" for MPLS only - ignoring");
                value()?;
            }
            "encap" | "vrf" => {
                let keyword = word.to_string();
                arg.unsupported.push(Unsupported {
                    place: line.place.clone(),
                    keyword,
                    block: if is_static { "static_routes" } else { "virtual_routes" },
                });
                return Ok(None);
            }
            other if to.is_none() => to = Some(network(other, ipv6).map_err(|text| format!("{text}, and no word of routes"))?),
            other => {
                return Err(format!(
                    "unknown route keyword {other}; it knows via, dev, src, table, metric, nexthop and others of 'ip route'"
                ));
            }
        }
    }
    if in_hops || hop.via.is_some() || hop.dev.is_some() {
        it.hops.push(hop);
    }
    (it.to, it.prefix) = to.ok_or("Route must have a destination")?;
    if locked != 0 {
        it.metrics.push((LOCK, locked.to_ne_bytes().to_vec()));
    }
    complete(&mut it, arg, is_static)?;
    Ok(Some(it))
}

/// What goes together, and what keepalived mends.
fn complete(it: &mut RouteConf, arg: &mut Arg<'_>, is_static: bool) -> Result<(), String> {
    let ipv4 = it.to.is_ipv4();
    let others = it.hops.iter().filter_map(|h| h.via).chain(it.src).chain(it.from.map(|(ip, _)| ip));
    if others.into_iter().any(|ip| ip.is_ipv4() != ipv4) {
        return Err("Cannot mix IPv4 and IPv6 addresses for route".into());
    }
    let place = it.place.clone();
    if ipv4 && it.pref.take().is_some() {
        arg.warn_at(&place, "pref is only valid for IPv6; it is left out");
    }
    if ipv4 && it.from.is_some() {
        return Err("'from' is for routes of IPv6; a rule does that for IPv4".into());
    }
    let group = it.track_group.is_some();
    let tracked = !it.no_track && (!is_static || group);
    let device = it.hops.first().is_some_and(|h| h.dev.is_some()) && it.hops.len() == 1;
    if tracked && !device {
        let text = format!(
            "Warning - cannot track route {}/{} with no interface specified, not tracking; write dev or no_track",
            it.to, it.prefix
        );
        arg.warn_at(&place, text);
        it.no_track = !is_static || it.no_track;
        it.track_group = None;
    }
    if tracked && device && it.protocol != KEEPALIVED {
        arg.warn_at(&place, "Route cannot be tracked if protocol is not RTPROT_KEEPALIVED(18), resetting protocol; write no_track");
        it.protocol = KEEPALIVED;
    }
    Ok(())
}
