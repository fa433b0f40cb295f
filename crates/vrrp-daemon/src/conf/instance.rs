//! `vrrp_instance`, `vrrp_sync_group` and `vrrp_script`.

use super::address::addresses;
use super::arg::{Arg, weight};
use super::diag::{Code, Diagnostic, Level, Place};
use super::keywords::Does::{Checked, Not, Nothing, Set};
use super::keywords::Keyword;
use super::model::{AuthType, GroupConf, InstanceConf, ScriptConf, Watch};
use super::tracking::MAX_FILE_WEIGHT;
use super::tree::Node;
use super::unused;
use std::time::Duration;
use vrrp::{MAX_ADVERT_INT_V2, MAX_DOWN_TIMER_ADVERTS, MAX_PREEMPT_DELAY, MIN_ADVERT_INT, OldChecksum, Peer, Version, Weight};

/// The longest interval and time of a script, in seconds, as keepalived has it.
const MAX_SCRIPT_SECONDS: u64 = 4294;
/// The longest delay of gratuitous ARP, in seconds: keepalived's.
const MAX_GARP_DELAY: u32 = 4294;

pub const INSTANCE: &[Keyword<InstanceConf>] = &[
    (
        "state",
        Set(|it, arg| match arg.text().as_deref() {
            Some("MASTER") => (it.master, it.backup) = (true, false),
            Some("BACKUP") | None => (it.master, it.backup) = (false, true),
            Some(other) => arg.warn(format!("unknown state '{other}', defaulting to BACKUP; the states are MASTER and BACKUP")),
        }),
    ),
    (
        "interface",
        Set(|it, arg| {
            it.interface = arg.text();
            it.interface_place = Some(arg.node.place.clone());
        }),
    ),
    ("virtual_router_id", Set(|it, arg| it.vrid = arg.number(1..=255).or(it.vrid))),
    ("priority", Set(|it, arg| it.priority = arg.number(1..=255).or(it.priority))),
    (
        "advert_int",
        Set(|it, arg| {
            let most = u32::try_from(MAX_ADVERT_INT_V2.as_secs()).expect("255");
            let interval = arg.seconds(most);
            if let Some(short) = interval.filter(|i| *i < MIN_ADVERT_INT) {
                arg.warn(format!("Advert interval ({}) not valid! It is 0.01 to {most} seconds - ignoring", short.as_secs_f64()));
            }
            it.advert_int = interval.filter(|i| *i >= MIN_ADVERT_INT).or(it.advert_int);
        }),
    ),
    ("version", Set(|it, arg| it.version = version(arg).or(it.version))),
    (
        "authentication",
        Set(|it, arg| {
            let node = arg.node;
            super::keywords::block(&[AUTHENTICATION], it, node.lines(), &mut Arg { block: "authentication", ..reborrow(arg) });
        }),
    ),
    ("mcast_src_ip", Set(|it, arg| it.source = arg.address().or(it.source))),
    (
        "unicast_src_ip",
        Set(|it, arg| {
            it.unicast_word = true;
            it.source = arg.address().or(it.source);
        }),
    ),
    ("mcast_dst_ip", Set(|it, arg| it.group = arg.address().or(it.group))),
    (
        "unicast_peer",
        Set(|it, arg| {
            it.unicast_word = true;
            for line in arg.node.lines() {
                it.peers.extend(peer(line, arg));
            }
        }),
    ),
    ("unicast_ttl", Set(|it, arg| it.unicast_ttl = arg.number(0..=255).or(it.unicast_ttl))),
    ("unicast_fault_no_peer", Set(|it, _| it.unicast_fault_no_peer = true)),
    ("check_unicast_src", Set(|it, _| (it.unicast_word, it.check_unicast_src) = (true, true))),
    (
        "old_unicast_checksum",
        Set(|it, arg| {
            it.unicast_word = true;
            match arg.node.value(0) {
                None => it.old_unicast_checksum = OldChecksum::Always,
                Some("never") => it.old_unicast_checksum = OldChecksum::Never,
                Some(other) => arg.warn(format!("old_unicast_checksum has nothing or 'never' behind it, not '{other}'; it is left out")),
            }
        }),
    ),
    ("virtual_ipaddress", Set(|it, arg| it.addresses.extend(addresses(arg, false)))),
    ("virtual_routes", Set(|it, arg| it.routes.extend(super::route::routes(arg, false)))),
    ("virtual_ipaddress_excluded", Set(|it, arg| it.excluded.extend(addresses(arg, false)))),
    ("garp_master_delay", Set(|it, arg| it.garp.master_delay = garp_delay(arg).or(it.garp.master_delay))),
    ("garp_master_repeat", Set(|it, arg| it.garp.master_repeat = garp_repeat(arg).or(it.garp.master_repeat))),
    ("garp_master_refresh", Set(|it, arg| it.garp.master_refresh = garp_refresh(arg).or(it.garp.master_refresh))),
    ("garp_master_refresh_repeat", Set(|it, arg| it.garp.master_refresh_repeat = garp_repeat(arg).or(it.garp.master_refresh_repeat))),
    ("garp_lower_prio_delay", Set(|it, arg| it.garp.lower_prio_delay = garp_delay(arg).or(it.garp.lower_prio_delay))),
    ("garp_lower_prio_repeat", Set(|it, arg| it.garp.lower_prio_repeat = arg.number(0..=255).or(it.garp.lower_prio_repeat))),
    ("nopreempt", Set(|it, _| it.nopreempt = true)),
    ("preempt", Set(|it, _| it.nopreempt = false)),
    (
        "preempt_delay",
        Set(|it, arg| {
            let most = u32::try_from(MAX_PREEMPT_DELAY.as_secs()).expect("1000");
            it.preempt_delay = arg.seconds(most).unwrap_or(it.preempt_delay);
        }),
    ),
    ("lower_prio_no_advert", Set(|it, arg| it.lower_prio_no_advert = arg.boolean())),
    ("higher_prio_send_advert", Set(|it, arg| it.higher_prio_send_advert = arg.boolean())),
    ("skip_check_adv_addr", Set(|it, arg| it.skip_check_adv_addr = arg.boolean())),
    ("down_timer_adverts", Set(|it, arg| it.down_timer_adverts = arg.number(1..=MAX_DOWN_TIMER_ADVERTS).or(it.down_timer_adverts))),
    ("dont_track_primary", Set(|it, _| it.dont_track_primary = true)),
    ("notify_master_rx_lower_pri", Set(|it, arg| notify(&mut it.watch.notifies.master_rx_lower_pri, arg))),
    ("notify_priority_changes", Set(|it, arg| it.notify_priority_changes = arg.boolean())),
    (
        "lvs_sync_daemon_interface",
        Set(|_, arg| {
            let _ = arg.text();
            arg.warn("lvs_sync_daemon_interface is deprecated and has no effect without IPVS; take it away, or use lvs_sync_daemon in global_defs");
        }),
    ),
    ("strict_mode", Set(|it, arg| it.strict = arg.boolean().or(it.strict))),
    ("garp_extra_if", Set(|it, arg| it.garp_extra = super::links::extra(arg).or(it.garp_extra))),
    (
        "vmac_garp_intvl",
        Set(|it, arg| {
            arg.warn("Keyword \"vmac_garp_intvl\" is deprecated - please use \"garp_extra_if\"");
            it.garp_extra = super::links::extra(arg).or(it.garp_extra);
        }),
    ),
    ("native_ipv6", Set(|it, _| it.native_ipv6 = true)),
    ("accept", Set(|it, _| it.accept = Some(true))),
    ("no_accept", Set(|it, _| it.accept = Some(false))),
    ("use_vmac", Set(|it, arg| it.vmac = Some(super::vmac::use_vmac(arg)))),
    ("use_vmac_addr", Set(|it, _| it.use_vmac_addr = true)),
    ("vmac_xmit_base", Set(|it, _| it.vmac_xmit_base = true)),
    ("promote_secondaries", Set(|it, _| it.promote_secondaries = true)),
    ("track_src_ip", Set(|it, _| it.track_src_ip = true)),
    ("debug", Checked("keepalived has not implemented it either", unused::level)),
    ("kernel_rx_buf_size", Checked("sockets are read at once", unused::positive)),
    ("use_ipvlan", Not),
    ("vrf", Not),
    ("track_bfd", Not),
    ("virtual_rules", Set(|it, arg| it.rules.extend(super::rule::rules(arg, false)))),
    (
        "linkbeat_use_polling",
        Set(|it, arg| {
            arg.warn("'linkbeat_use_polling' in vrrp instance deprecated - use linkbeat_interfaces block instead");
            it.linkbeat = Some(arg.node.place.clone());
        }),
    ),
];

const AUTHENTICATION: &[Keyword<InstanceConf>] = &[
    (
        "auth_type",
        Set(|it, arg| match arg.text().as_deref() {
            Some("PASS") => it.auth_type = Some(AuthType::Pass),
            Some("AH") => it.auth_type = Some(AuthType::Ah),
            Some(other) => arg.warn(format!("unknown authentication type '{other}'; the types are PASS and AH")),
            None => {}
        }),
    ),
    (
        "auth_pass",
        Set(|it, arg| {
            let Some(text) = arg.text() else { return };
            if text.len() > vrrp::PASSWORD_LEN {
                arg.warn("Truncating auth_pass to 8 characters; no more of it ever counts");
            }
            it.auth_pass = Some(text).filter(|text| !text.is_empty());
        }),
    ),
];

pub const GROUP: &[Keyword<GroupConf>] = &[
    ("group", Set(|it, arg| it.names.extend(arg.node.list().map(|(place, name)| (place.clone(), name.to_string()))))),
    ("notify_priority_changes", Nothing("a group has no priority")),
    (
        "global_tracking",
        // What a member tracks counts for all of them in any case; keepalived leaves its weights alone then.
        Set(|it, arg| {
            it.tracking_weight = true;
            arg.warn("global_tracking is deprecated. Use track_interface/script/file on the sync group");
        }),
    ),
    ("sync_group_tracking_weight", Set(|it, _| it.tracking_weight = true)),
    ("track_bfd", Not),
];

pub const SCRIPT: &[Keyword<ScriptConf>] = &[
    (
        "script",
        Set(|it, arg| {
            let user = it.command.take().and_then(|c| c.user);
            it.command = arg.command().map(|command| super::model::Command { user, ..command });
            if let Some(more) = arg.node.value(1) {
                let place = Some(arg.node.place.clone());
                let text = format!("script takes one word, '{more}' is not heeded, as in keepalived; put the whole command into quotes");
                arg.diagnostics.push(Diagnostic { place, level: Level::Note, code: Code::Wrong, text });
            }
        }),
    ),
    ("interval", Set(|it, arg| it.interval = whole_seconds(arg).unwrap_or(it.interval))),
    ("timeout", Set(|it, arg| it.timeout = whole_seconds(arg).or(it.timeout))),
    (
        "weight",
        Set(|it, arg| {
            let Some(text) = arg.text() else { return };
            match weight(&text, arg.node.value(1), vrrp::MAX_WEIGHT) {
                Some(weight) => it.weight = weight,
                None => {
                    arg.warn(format!("weight '{text}' is not a number from -253 to 253, with 'reverse' behind it if so; it is left out"))
                }
            }
        }),
    ),
    ("rise", Set(|it, arg| it.rise = arg.number(1..=u32::MAX).unwrap_or(it.rise))),
    ("fall", Set(|it, arg| it.fall = arg.number(1..=u32::MAX).unwrap_or(it.fall))),
    (
        "user",
        Set(|it, arg| {
            let user = arg.user();
            match &mut it.command {
                Some(command) => command.user = user,
                None => it.command = Some(super::model::Command { place: arg.node.place.clone(), words: Vec::new(), user }),
            }
        }),
    ),
    (
        "init_fail",
        Nothing(
            "as in keepalived, whatever its manual says: an instance waits for the first result where that could be a fault, and it decides",
        ),
    ),
];

/// Has what instances and groups have alike.
pub trait Watches: 'static {
    fn watch(&mut self) -> &mut Watch;
}

impl Watches for InstanceConf {
    fn watch(&mut self) -> &mut Watch {
        &mut self.watch
    }
}

impl Watches for GroupConf {
    fn watch(&mut self) -> &mut Watch {
        &mut self.watch
    }
}

/// The words for what instances and groups have alike.
pub const fn watch<T: Watches>() -> &'static [Keyword<T>] {
    const {
        &[
            ("track_interface", Set(|it, arg| it.watch().track_interfaces.extend(arg.tracks(vrrp::MAX_WEIGHT)))),
            ("track_script", Set(|it, arg| it.watch().track_scripts.extend(arg.tracks(vrrp::MAX_WEIGHT)))),
            ("track_file", Set(|it, arg| it.watch().track_files.extend(arg.tracks(MAX_FILE_WEIGHT)))),
            ("track_process", Set(|it, arg| it.watch().track_processes.extend(arg.tracks(MAX_FILE_WEIGHT)))),
            ("notify_master", Set(|it, arg| notify(&mut it.watch().notifies.master, arg))),
            ("notify_backup", Set(|it, arg| notify(&mut it.watch().notifies.backup, arg))),
            ("notify_fault", Set(|it, arg| notify(&mut it.watch().notifies.fault, arg))),
            ("notify_stop", Set(|it, arg| notify(&mut it.watch().notifies.stop, arg))),
            ("notify_deleted", Set(|it, arg| it.watch().notifies.deleted = Some(deleted(arg)))),
            ("notify", Set(|it, arg| notify(&mut it.watch().notifies.any, arg))),
            ("smtp_alert", Set(|it, arg| it.watch().smtp_alert = arg.boolean())),
        ]
    }
}

impl InstanceConf {
    pub(super) fn new(place: Place, name: String) -> InstanceConf {
        InstanceConf {
            place,
            name,
            interface: None,
            interface_place: None,
            vmac: None,
            use_vmac_addr: false,
            vmac_xmit_base: false,
            wire: None,
            accept: None,
            no_accept: false,
            strict: None,
            linkbeat: None,
            promote_secondaries: false,
            track_src_ip: false,
            garp_extra: None,
            vrid: None,
            priority: None,
            master: false,
            backup: false,
            advert_int: None,
            version: None,
            auth_type: None,
            auth_pass: None,
            source: None,
            group: None,
            peers: Vec::new(),
            unicast_word: false,
            unicast_ttl: None,
            native_ipv6: false,
            unicast_fault_no_peer: false,
            check_unicast_src: false,
            old_unicast_checksum: OldChecksum::Auto,
            addresses: Vec::new(),
            excluded: Vec::new(),
            routes: Vec::new(),
            rules: Vec::new(),
            needs: Vec::new(),
            garp: Default::default(),
            nopreempt: false,
            preempt_delay: Duration::ZERO,
            lower_prio_no_advert: None,
            higher_prio_send_advert: None,
            skip_check_adv_addr: None,
            down_timer_adverts: None,
            dont_track_primary: false,
            watch: Watch::default(),
            notify_priority_changes: None,
        }
    }
}

impl GroupConf {
    pub(super) fn new(place: Place, name: String) -> GroupConf {
        GroupConf { place, name, members: Vec::new(), names: Vec::new(), watch: Watch::default(), tracking_weight: false }
    }
}

impl ScriptConf {
    pub(super) fn new(place: Place, name: String) -> ScriptConf {
        let interval = Duration::from_secs(1);
        ScriptConf { place, name, command: None, interval, timeout: None, weight: Weight::new(0), rise: 1, fall: 1 }
    }
}

/// Of scripts. keepalived takes no fractions here.
fn whole_seconds(arg: &mut Arg<'_>) -> Option<Duration> {
    if arg.node.value(0) == Some("0") {
        arg.warn(format!("vrrp script {} must be greater than 0, setting to 1", arg.node.name()));
        return Some(Duration::from_secs(1));
    }
    arg.number(1..=MAX_SCRIPT_SECONDS).map(Duration::from_secs)
}

fn reborrow<'b>(arg: &'b mut Arg<'_>) -> Arg<'b> {
    Arg { node: arg.node, who: arg.who, block: arg.block, diagnostics: arg.diagnostics, unsupported: arg.unsupported, common: arg.common }
}

/// `version`, `vrrp_version`.
pub fn version(arg: &mut Arg<'_>) -> Option<Version> {
    match arg.number(2..=3) {
        Some(2) => Some(Version::V2),
        Some(_) => Some(Version::V3),
        None => None,
    }
}

/// The first one counts, as in keepalived.
fn notify(slot: &mut Option<super::model::Command>, arg: &mut Arg<'_>) {
    let command = arg.command();
    if slot.is_some() {
        let text = format!("{} script already specified - ignoring {}", arg.node.name(), arg.node.value(0).unwrap_or_default());
        arg.warn(text);
    } else {
        *slot = command;
    }
}

/// A script, or none: then only the word changes that others are told.
fn deleted(arg: &mut Arg<'_>) -> Option<super::model::Command> {
    arg.node.value(0).is_some().then(|| arg.command()).flatten()
}

/// `ADDRESS [min_ttl N] [max_ttl N]`. What is wrong behind the address is left out, and the peer is still one: without it the instance
/// would be another one's, or a multicast one.
fn peer(line: &Node, arg: &mut Arg<'_>) -> Option<Peer> {
    let mut warn = |text: String| arg.warn_at(&line.place, text);
    let Ok(address) = line.name().parse() else {
        warn(format!("'{}' is no address of a peer: write ADDRESS [min_ttl 0-255] [max_ttl 0-255]; it is left out", line.name()));
        return None;
    };
    let mut peer = Peer::new(address);
    for pair in line.words[1..].chunks(2) {
        let value = pair.get(1).and_then(|value| value.text.parse().ok());
        match (pair[0].text.as_str(), value) {
            ("min_ttl", Some(value)) => peer.min_ttl = value,
            ("max_ttl", Some(value)) => peer.max_ttl = value,
            (word @ ("min_ttl" | "max_ttl"), None) => {
                warn(format!("{word} of peer {address} wants a whole number from 0 to 255 behind it; it is left out"));
            }
            (word, _) => {
                warn(format!("unknown word '{word}' of peer {address}: it may have min_ttl 0-255 and max_ttl 0-255; it is left out"));
                break;
            }
        }
    }
    if peer.min_ttl > peer.max_ttl {
        warn(format!("min_ttl {} > max_ttl {} of peer {address} - all packets will be discarded", peer.min_ttl, peer.max_ttl));
    }
    Some(peer)
}

/// Whole seconds, as keepalived has them.
pub fn garp_delay(arg: &mut Arg<'_>) -> Option<Duration> {
    arg.number(0..=MAX_GARP_DELAY).map(|seconds| Duration::from_secs(seconds.into()))
}

/// The same for the time between refreshs, which has no limit of its own.
pub fn garp_refresh(arg: &mut Arg<'_>) -> Option<Duration> {
    arg.number(0..=u32::MAX).map(|seconds| Duration::from_secs(seconds.into()))
}

/// How often addresses are announced by a new master: at least once, or nobody learns where they are.
pub fn garp_repeat(arg: &mut Arg<'_>) -> Option<u8> {
    let times = arg.number(0..=255)?;
    if times == 0 {
        arg.warn(format!("{} must be greater than 0, setting to 1", arg.node.name()));
    }
    Some(times.max(1))
}
