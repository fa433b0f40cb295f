//! Lines of `virtual_rules` and `static_rules`: the words of `ip rule add`.

use super::arg::Arg;
use super::diag::Place;
use super::names::number;
use super::route::{KEEPALIVED, network};
use super::tree::Node;
use std::net::IpAddr;

/// The preference of the first rule that has none of its own; the next gets one less.
pub const FIRST_PREFERENCE: u32 = 16_384;

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Does {
    /// `table`, `lookup`.
    Table(u32),
    /// `goto`: on with the rule of this preference.
    Goto(u32),
    /// `nop`, `blackhole`, `unreachable`, `prohibit`, as the kernel numbers them.
    Kind(u8),
    /// `l3mdev`: the table of the interface's VRF.
    L3mdev,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RuleConf {
    /// Where.
    pub place: Place,
    /// Of IPv6.
    pub ipv6: bool,
    /// What it does.
    pub does: Does,
    /// `not`: to packets that do not fit.
    pub not: bool,
    /// `from`.
    pub from: Option<(IpAddr, u8)>,
    /// `to`.
    pub to: Option<(IpAddr, u8)>,
    /// `preference`, `priority`, `order`.
    pub preference: Option<u32>,
    /// `tos`, `dsfield`.
    pub tos: u8,
    /// `fwmark`, and its mask.
    pub fwmark: Option<(u32, u32)>,
    /// `iif`, `dev`.
    pub iif: Option<String>,
    /// `oif`.
    pub oif: Option<String>,
    /// `realms`.
    pub realms: Option<u32>,
    /// `suppress_prefixlength`.
    pub suppress_prefixlength: Option<u32>,
    /// `suppress_ifgroup`.
    pub suppress_ifgroup: Option<u32>,
    /// `uidrange`.
    pub uidrange: Option<(u32, u32)>,
    /// `protocol`: who makes it.
    pub protocol: u8,
    /// `ipproto`: of packets.
    pub ipproto: Option<u8>,
    /// `sport`.
    pub sport: Option<(u16, u16)>,
    /// `dport`.
    pub dport: Option<(u16, u16)>,
    /// `tunnel-id`.
    pub tunnel: Option<u64>,
    /// `no_track`.
    pub no_track: bool,
    /// `track_group`.
    pub track_group: Option<String>,
}

impl RuleConf {
    /// The same without its place: equal to what another file says of the same rule.
    #[must_use]
    pub fn bare(self) -> RuleConf {
        RuleConf { place: Place { file: "".into(), line: 0 }, ..self }
    }

    /// The interfaces that it names.
    pub fn devices(&self) -> impl Iterator<Item = &str> {
        [&self.iif, &self.oif].into_iter().flatten().map(String::as_str)
    }
}

/// The lines of the block. Those that cannot be read are said and left out.
pub fn rules(arg: &mut Arg<'_>, is_static: bool) -> Vec<RuleConf> {
    let mut all = Vec::new();
    for line in arg.node.lines() {
        match rule(line, arg, is_static) {
            Ok(rule) => all.push(rule),
            Err(text) => arg.warn_at(&line.place.clone(), format!("{text}; the rule is left out")),
        }
    }
    all
}

fn range<N: std::str::FromStr + PartialOrd + Copy>(word: &str, text: &str) -> Result<(N, N), String> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let found = from.parse().ok().zip(to.parse().ok()).filter(|(from, to): &(N, N)| from <= to);
    found.ok_or_else(|| format!("invalid {word} range {text}; it is FROM-TO"))
}

fn ip_protocol(text: &str) -> Option<u8> {
    let known = [
        ("icmp", 1),
        ("igmp", 2),
        ("tcp", 6),
        ("udp", 17),
        ("gre", 47),
        ("esp", 50),
        ("ah", 51),
        ("ipv6-icmp", 58),
        ("sctp", 132),
        ("vrrp", 112),
    ];
    let lower = text.to_ascii_lowercase();
    known.iter().find(|(name, _)| *name == lower).map(|(_, number)| *number).or_else(|| text.parse().ok())
}

fn rule(line: &Node, arg: &mut Arg<'_>, is_static: bool) -> Result<RuleConf, String> {
    let mut it = RuleConf {
        place: line.place.clone(),
        ipv6: false,
        does: Does::Kind(0),
        not: false,
        from: None,
        to: None,
        preference: None,
        tos: 0,
        fwmark: None,
        iif: None,
        oif: None,
        realms: None,
        suppress_prefixlength: None,
        suppress_ifgroup: None,
        uidrange: None,
        protocol: KEEPALIVED,
        ipproto: None,
        sport: None,
        dport: None,
        tunnel: None,
        no_track: false,
        track_group: None,
    };
    let (mut does, mut families, mut made_by) = (Vec::new(), Vec::new(), None);
    let mut words = line.words.iter().map(|w| w.text.as_str());
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("'{word}' needs a value behind it"));
        let count = |text: &str| number(text).ok_or_else(|| format!("'{word} {text}' is not a number"));
        match word {
            "from" | "to" => {
                let text = value()?;
                let found = network(text, false)?;
                // All of either family is no condition, and says nothing of the family.
                let found = if matches!(text, "all" | "any" | "default") { None } else { Some(found) };
                families.extend(found.map(|(ip, _)| ip.is_ipv6()));
                if word == "from" { it.from = found } else { it.to = found }
            }
            "inet6" => families.push(true),
            "inet" => families.push(false),
            "not" => it.not = true,
            "table" | "lookup" => {
                let table = arg.common.names.table(value()?).map_err(|text| text.replace("not found", "not found for rule"))?;
                does.push(Does::Table(table));
            }
            "goto" => does.push(Does::Goto(count(value()?)?)),
            "type" => {}
            "nop" => does.push(Does::Kind(3)),
            "blackhole" => does.push(Does::Kind(6)),
            "unreachable" => does.push(Does::Kind(7)),
            "prohibit" => does.push(Does::Kind(8)),
            "l3mdev" => does.push(Does::L3mdev),
            "preference" | "priority" | "order" => it.preference = Some(count(value()?)?),
            "tos" | "dsfield" => it.tos = arg.common.names.service(value()?)?,
            "fwmark" => {
                let text = value()?;
                let (mark, mask) = text.split_once('/').map_or((text, None), |(mark, mask)| (mark, Some(mask)));
                it.fwmark = Some((count(mark)?, mask.map_or(Ok(u32::MAX), count)?));
            }
            "iif" | "dev" => it.iif = Some(value()?.into()),
            "oif" => it.oif = Some(value()?.into()),
            "realms" => it.realms = Some(arg.common.names.realms(value()?)?),
            "suppress_prefixlength" | "sup_pl" => it.suppress_prefixlength = Some(count(value()?)?),
            "suppress_ifgroup" | "sup_group" => it.suppress_ifgroup = Some(arg.common.names.group(value()?)?),
            "uidrange" => it.uidrange = Some(range(word, value()?)?),
            "protocol" => made_by = Some(arg.common.names.protocol(value()?)?),
            // The manual writes the former, the program reads the latter.
            "ip_proto" | "ipproto" => {
                let text = value()?;
                it.ipproto =
                    Some(ip_protocol(text).ok_or_else(|| {
                        format!("ip protocol {text} is neither a number up to 255 nor one of tcp, udp, icmp and the like")
                    })?);
            }
            "sport" => it.sport = Some(range(word, value()?)?),
            "dport" => it.dport = Some(range(word, value()?)?),
            "tunnel-id" => {
                let text = value()?;
                it.tunnel = Some(text.parse().map_err(|_| format!("tunnel-id {text} is not a number"))?);
            }
            "no_track" => it.no_track = true,
            "track_group" if is_static => it.track_group = Some(value()?.into()),
            other => return Err(format!("Unknown rule option {other}; it knows from, to, table, preference and others of 'ip rule'")),
        }
    }
    it.does = match does.as_slice() {
        [one] => *one,
        [] => return Err("No action specified for rule - ignoring; write table, goto, blackhole, unreachable or prohibit".into()),
        _ => return Err("Cannot specify more than one of table/nop/goto/blackhole/prohibit/unreachable/l3mdev for rule".into()),
    };
    it.ipv6 = families.first().copied().unwrap_or(false);
    if families.iter().any(|ipv6| *ipv6 != it.ipv6) {
        return Err("rule specification has mixed IPv4 and IPv6".into());
    }
    if let Does::Goto(target) = it.does {
        match it.preference {
            None => return Err(format!("Invalid rule - goto target {target} specified without preference")),
            Some(own) if own >= target => return Err(format!("Invalid rule - preference {own} >= goto target {target}")),
            Some(_) => {}
        }
    }
    if it.track_group.is_some() && it.devices().next().is_none() {
        arg.warn_at(&line.place.clone(), "Static rule cannot have track_group if dev/iif not specified; it is left out");
        it.track_group = None;
    }
    let tracked = !it.no_track && (!is_static || it.track_group.is_some());
    it.protocol = match made_by {
        Some(other) if other != KEEPALIVED && tracked => {
            let text = "Rule cannot be tracked if protocol is not RTPROT_KEEPALIVED(18), resetting protocol; write no_track";
            arg.warn_at(&line.place.clone(), text);
            KEEPALIVED
        }
        Some(other) => other,
        // keepalived names nobody who makes rules that it does not track.
        None if it.no_track => 0,
        None => KEEPALIVED,
    };
    if it.preference.is_none() {
        let next = if it.ipv6 { &mut arg.common.preferences.1 } else { &mut arg.common.preferences.0 };
        let text = format!("Rule has no preference specified - setting to {next}. This is probably not what you want.");
        it.preference = Some(*next);
        *next = next.saturating_sub(1);
        arg.warn_at(&line.place.clone(), text);
    }
    Ok(it)
}
