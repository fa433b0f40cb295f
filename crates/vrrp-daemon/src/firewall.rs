//! Rules of nftables: `no_accept` keeps everybody from talking to virtual addresses, and what virtual interfaces would say of themselves
//! (IGMP, MLD, router solicitations) goes out below them, where switches expect it.
//!
//! The rules stand from start to stop, whatever state the instances are in: they concern addresses that only a master has. So no election
//! waits for a program.

use crate::conf::model::Conf;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::{Command, Stdio};

/// As keepalived names its table.
const TABLE: &str = "keepalived";
/// Before the usual filters.
const PRIORITY: i32 = -1;
/// Where it may be when the path of a daemon is short.
const PROGRAMS: [&str; 3] = ["nft", "/usr/sbin/nft", "/sbin/nft"];

/// What `nft -f -` is to be told; nothing when the file asks for no rules. `exists`: interfaces that are there.
pub fn rules(conf: &Conf, exists: impl Fn(&str) -> bool) -> Option<String> {
    let links: Vec<(&str, &str)> =
        conf.links.iter().map(|l| (l.name.as_str(), l.base.as_str())).filter(|(n, b)| exists(n) && exists(b)).collect();
    let unaccepted = conf.unaccepted();
    if links.is_empty() && unaccepted.is_empty() {
        return None;
    }
    let global = &conf.global;
    let priority = global.nftables_priority.unwrap_or(PRIORITY);
    let counter = if global.nftables_counters { "counter " } else { "" };
    let mut all = String::new();
    for (family, is_v4) in [("ip", true), ("ip6", false)] {
        let (mut input, mut output) = (String::new(), String::new());
        // One rule for all: each packet of this host passes here.
        let names = elements(links.iter().map(|(name, _)| format!("\"{name}\"")));
        // With disable_local_igmp there is nothing of it to be sent elsewhere.
        if !(links.is_empty() || is_v4 && global.no_local_igmp) {
            let kind = if is_v4 { "ip protocol igmp" } else { "icmpv6 type mld2-listener-report" };
            let below = elements(links.iter().map(|(name, base)| format!("\"{name}\" : \"{base}\"")));
            let _ = writeln!(output, "{kind} {counter}dup to {family} daddr device oifname map {below} drop");
        }
        if !links.is_empty() && !is_v4 {
            let _ = writeln!(output, "icmpv6 type nd-router-solicit oifname {names} {counter}drop");
        }
        let (on_links, anywhere): (Vec<_>, Vec<_>) =
            unaccepted.iter().filter(|(ip, _)| ip.is_ipv4() == is_v4).partition(|(_, on)| on.is_some());
        if !(is_v4 || on_links.is_empty() && anywhere.is_empty()) {
            // Neighbours have to find the router.
            for chain in [&mut input, &mut output] {
                let _ = writeln!(chain, "icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept");
            }
        }
        if !anywhere.is_empty() {
            let addresses = elements(anywhere.iter().map(|(ip, _)| ip.to_string()));
            let _ = writeln!(input, "{family} daddr {addresses} {counter}drop");
            let _ = writeln!(output, "{family} saddr {addresses} {counter}drop");
        }
        if !on_links.is_empty() {
            let places = elements(on_links.iter().map(|(ip, on)| format!("\"{}\" . {ip}", on.unwrap_or_default())));
            let _ = writeln!(input, "iifname . {family} daddr {places} {counter}drop");
            let _ = writeln!(output, "oifname . {family} saddr {places} {counter}drop");
        }
        let name = table(conf);
        // Made and deleted: what a killed predecessor may have left.
        let _ = writeln!(all, "table {family} {name}\ndelete table {family} {name}");
        if !output.is_empty() {
            let _ = writeln!(all, "table {family} {name} {{");
            for (hook, chain) in [("input", input), ("output", output)] {
                let name = &hook[..hook.len() - 3];
                let _ = write!(all, "chain {name} {{\ntype filter hook {hook} priority {priority}; policy accept;\n{chain}}}\n");
            }
            let _ = writeln!(all, "}}");
        }
    }
    Some(all)
}

/// What nftables calls an anonymous set, or a map.
fn elements(all: impl Iterator<Item = String>) -> String {
    // Each once.
    let all: BTreeSet<String> = all.collect();
    format!("{{ {} }}", all.into_iter().collect::<Vec<_>>().join(", "))
}

/// What takes the rules of a table away again.
pub fn removal(name: &str) -> String {
    ["ip", "ip6"].map(|family| format!("table {family} {name}\ndelete table {family} {name}\n")).concat()
}

/// The name of the table that a configuration has.
pub fn table(conf: &Conf) -> &str {
    conf.global.nftables.as_deref().unwrap_or(TABLE)
}

/// Tells `nft`.
///
/// # Errors
/// It is not there, or what it says.
pub fn apply(rules: &str) -> io::Result<()> {
    let start = |program: &&str| {
        Command::new(program).args(["-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().ok()
    };
    let mut child =
        PROGRAMS.iter().find_map(start).ok_or_else(|| io::Error::other("the program nft is not there; it is in the package nftables"))?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(rules.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("nft: {}", String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default()))),
    }
}
