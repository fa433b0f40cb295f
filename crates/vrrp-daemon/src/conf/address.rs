//! Lines of `virtual_ipaddress`, `virtual_ipaddress_excluded` and `static_ipaddress`.

use super::arg::Arg;
use super::model::{AddressConf, FOREVER};
use super::tree::Node;
use std::net::{IpAddr, Ipv4Addr};

/// As the kernel numbers them.
const SCOPES: &[(&str, u8)] = &[("global", 0), ("site", 200), ("link", 253), ("host", 254), ("nowhere", 255)];

/// The longest label that the kernel takes.
const LABEL: usize = 15;

/// The lines of the block. Words of a line that cannot be read are said and left out, and only where keepalived does so the line is.
pub fn addresses(arg: &mut Arg<'_>, is_static: bool) -> Vec<AddressConf> {
    let mut all = Vec::new();
    for line in arg.node.lines() {
        match address(line, arg, is_static) {
            Ok(address) => all.push(address),
            Err(text) => arg.warn_at(&line.place.clone(), text),
        }
    }
    all
}

/// The kernel's number of a scope.
pub fn scope(text: &str) -> Result<u8, String> {
    let named = SCOPES.iter().find(|(name, _)| *name == text).map(|(_, number)| *number);
    let found = named.or_else(|| text.parse().ok());
    found.ok_or_else(|| format!("'scope {text}' is none of global, site, link, host, nowhere, and no number up to 255"))
}

/// `ADDRESS[/PREFIX] [brd …] [dev …] [scope …] [label …] [peer …] …`.
fn address(line: &Node, arg: &mut Arg<'_>, is_static: bool) -> Result<AddressConf, String> {
    let left_out = |what: String| format!("{what}; the address is left out");
    let mut ignoring = |what: String| arg.warn_at(&line.place.clone(), format!("{what} - ignoring"));
    let text = line.name();
    let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let address: IpAddr =
        address.parse().map_err(|_| format!("'{text}' is not an IP address with a prefix, like 192.0.2.1/24; it is left out"))?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let known = prefix.map_or(Some(most), |p| p.parse().ok().filter(|p| *p <= most));
    if known.is_none() {
        let prefix = prefix.unwrap_or_default();
        ignoring(format!("Invalid address prefix len {prefix} for address {text} - using {most}, a number up to which it is"));
    }
    let mut conf = AddressConf::new(line.place.clone(), address, known.unwrap_or(most));
    let mut words = line.words[1..].iter().map(|w| w.text.as_str());
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| left_out(format!("'{word}' needs a value behind it")));
        match word {
            "dev" => conf.dev = Some(value()?.into()),
            "label" => {
                let label = value()?;
                if label.len() > LABEL {
                    return Err(left_out(format!("Address label {label} is longer than maximum length {LABEL}")));
                }
                conf.label = Some(label.into());
            }
            "brd" | "broadcast" if address.is_ipv4() && conf.prefix > most - 2 => {
                value()?;
                ignoring(format!("Address prefix length {} too long for broadcast", conf.prefix));
            }
            "brd" | "broadcast" => conf.brd = Some(broadcast(&conf, value()?).map_err(left_out)?),
            "scope" => match scope(value()?) {
                Ok(scope) => conf.scope = scope,
                Err(text) => ignoring(text),
            },
            "peer" => {
                let text = value()?;
                match text.parse::<IpAddr>().ok().filter(|p| p.is_ipv4() == address.is_ipv4()) {
                    None => ignoring(format!("'peer {text}' is not an IP address of the same family, without a prefix")),
                    peer if conf.prefix != most => {
                        ignoring("Cannot specify address prefix when specifying peer address".into());
                        (conf.peer, conf.prefix) = (peer, most);
                    }
                    peer => conf.peer = peer,
                }
            }
            "preferred_lft" => match value()? {
                "forever" => conf.preferred_lft = Some(FOREVER),
                text => match text.parse() {
                    Ok(time) => conf.preferred_lft = Some(time),
                    Err(_) => ignoring(format!("'preferred_lft {text}' is neither seconds nor forever")),
                },
            },
            "track_group" if is_static => conf.track_group = Some(value()?.into()),
            "use_vmac" => conf.use_vmac = true,
            "no_track" => conf.no_track = true,
            // keepalived's name for it: duplicate address detection, off for virtual addresses, is on.
            "-nodad" => conf.dad = true,
            "home" | "-home" => conf.home = true,
            "mngtmpaddr" => conf.mngtmpaddr = true,
            "noprefixroute" => conf.noprefixroute = true,
            "autojoin" => conf.autojoin = true,
            other => ignoring(format!(
                "Unknown configuration entry '{other}' for ip address; it knows dev, brd, scope, label, peer, preferred_lft, no_track"
            )),
        }
    }
    Ok(conf)
}

/// `+` and `-` set or clear the bits of the host.
fn broadcast(conf: &AddressConf, text: &str) -> Result<IpAddr, String> {
    let IpAddr::V4(address) = conf.address else { return Err("'brd' is for IPv4 only".into()) };
    let host = u32::MAX.checked_shr(conf.prefix.into()).unwrap_or(0);
    match text {
        "+" => Ok(Ipv4Addr::from_bits(address.to_bits() | host).into()),
        "-" => Ok(Ipv4Addr::from_bits(address.to_bits() & !host).into()),
        other => other.parse::<Ipv4Addr>().map(IpAddr::V4).map_err(|_| format!("'brd {other}' is not an IPv4 address, '+' or '-'")),
    }
}
