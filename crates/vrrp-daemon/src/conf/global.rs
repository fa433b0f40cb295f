//! `global_defs`.

use super::arg::Arg;
use super::instance::{garp_delay, garp_refresh, garp_repeat, version};
use super::keywords::Does::{Checked, Nothing, NothingOf, Set};
use super::keywords::Keyword;
use super::model::{FifoConf, Global, User};
use super::unused;
use std::net::IpAddr;
use std::time::Duration;
use vrrp::{Family, MAX_DOWN_TIMER_ADVERTS};

/// The longest `vrrp_startup_delay` and delay of gratuitous ARP, in seconds.
const DAY: u32 = 86_400;

/// Why words about IPVS, its health checkers and BFD change nothing: those are not there, and their blocks are refused by name.
const OTHER_DAEMON: &str = "of the checkers, IPVS or BFD, whose blocks are refused";
/// Why buffers, priorities of the process and the like change nothing of what hosts see.
const PROCESS: &str = "the process has other ways";

/// Of names of virtual interfaces: room is left for a number and an id behind it.
fn prefix(arg: &mut super::arg::Arg<'_>) -> Option<String> {
    let text = arg.text()?;
    let sound = super::vmac::is_name(&text) && text.len() <= 9;
    if !sound {
        arg.warn(format!("'{text}' cannot begin the name of an interface: it has up to 9 characters and no '/'; it is left out"));
    }
    sound.then_some(text)
}

pub const GLOBAL: &[Keyword<Global>] = &[
    ("router_id", Set(|it, arg| it.router_id = arg.text())),
    ("vrrp_version", Set(|it, arg| it.vrrp_version = version(arg).or(it.vrrp_version))),
    ("vrrp_mcast_group4", Set(|it, arg| it.group4 = group(arg, Family::V4).or(it.group4))),
    ("vrrp_mcast_group6", Set(|it, arg| it.group6 = group(arg, Family::V6).or(it.group6))),
    ("vrrp_garp_master_delay", Set(|it, arg| it.garp.master_delay = garp_delay(arg).or(it.garp.master_delay))),
    ("vrrp_garp_master_repeat", Set(|it, arg| it.garp.master_repeat = garp_repeat(arg).or(it.garp.master_repeat))),
    ("vrrp_garp_master_refresh", Set(|it, arg| it.garp.master_refresh = garp_refresh(arg).or(it.garp.master_refresh))),
    ("vrrp_garp_master_refresh_repeat", Set(|it, arg| it.garp.master_refresh_repeat = garp_repeat(arg).or(it.garp.master_refresh_repeat))),
    ("vrrp_garp_lower_prio_delay", Set(|it, arg| it.garp.lower_prio_delay = garp_delay(arg).or(it.garp.lower_prio_delay))),
    ("vrrp_garp_lower_prio_repeat", Set(|it, arg| it.garp.lower_prio_repeat = arg.number(0..=255).or(it.garp.lower_prio_repeat))),
    (
        "vrrp_min_garp",
        Set(|it, arg| {
            if arg.boolean() == Some(true) {
                it.garp.master_repeat = Some(1);
                it.garp.master_delay = Some(Duration::ZERO);
            }
        }),
    ),
    ("vrrp_down_timer_adverts", Set(|it, arg| it.down_timer_adverts = arg.number(1..=MAX_DOWN_TIMER_ADVERTS))),
    ("vrrp_lower_prio_no_advert", Set(|it, arg| it.lower_prio_no_advert = arg.boolean().unwrap_or(it.lower_prio_no_advert))),
    ("vrrp_higher_prio_send_advert", Set(|it, arg| it.higher_prio_send_advert = arg.boolean().unwrap_or(it.higher_prio_send_advert))),
    ("vrrp_check_unicast_src", Set(|it, _| it.check_unicast_src = true)),
    // Whatever stands behind it, as in keepalived.
    ("vrrp_skip_check_adv_addr", Set(|it, _| it.skip_check_adv_addr = true)),
    ("vrrp_notify_priority_changes", Set(|it, arg| it.notify_priority_changes = arg.boolean().unwrap_or(it.notify_priority_changes))),
    (
        "vrrp_startup_delay",
        Set(|it, arg| {
            let delay = arg.seconds(DAY);
            if delay.is_some_and(|delay| delay.is_zero()) {
                arg.warn("vrrp_startup_delay '0' is invalid; without the line there is none");
            }
            it.startup_delay = delay.unwrap_or(it.startup_delay);
        }),
    ),
    ("script_user", Set(|it, arg| it.script_user = arg.user())),
    ("enable_script_security", Set(|it, _| it.script_security = true)),
    ("default_interface", Set(|it, arg| it.default_interface = arg.text())),
    ("notify_fifo", Set(|it, arg| fifo(&mut it.fifos[0], arg))),
    ("notify_fifo_script", Set(|it, arg| it.fifos[0].script = arg.command())),
    ("vrrp_notify_fifo", Set(|it, arg| fifo(&mut it.fifos[1], arg))),
    ("vrrp_notify_fifo_script", Set(|it, arg| it.fifos[1].script = arg.command())),
    ("fifo_write_vrrp_states_on_reload", Set(|it, _| it.fifo_states_on_reload = true)),
    (
        "dynamic_interfaces",
        Set(|it, arg| {
            it.dynamic_interfaces = true;
            if let Some(other) = arg.node.value(0).filter(|word| *word != "allow_if_changes") {
                arg.warn(format!("Unknown dynamic_interfaces option '{other}'; 'allow_if_changes' is one"));
            }
        }),
    ),
    (
        "notification_email",
        Set(|it, arg| {
            it.mail.to.extend(arg.node.list().map(|(_, word)| word.to_string()));
            if arg.node.lines().is_empty() {
                arg.warn("empty notification_email block; write an address on a line of it");
            }
        }),
    ),
    ("notification_email_from", Set(|it, arg| it.mail.from = arg.text().or(it.mail.from.take()))),
    (
        "smtp_server",
        Set(|it, arg| {
            let Some(server) = arg.text() else { return };
            match arg.node.value(1).map_or(Ok(25), str::parse::<u16>) {
                Ok(port) if port > 0 => it.mail.server = Some((server, port)),
                _ => arg.warn("smtp_server wants a name or an address, and a port of 1 to 65535; it is left out"),
            }
        }),
    ),
    ("smtp_helo_name", Set(|it, arg| it.mail.helo = arg.node.value(0).map(str::to_string).or(it.mail.helo.take()))),
    ("smtp_connect_timeout", Set(|it, arg| it.mail.timeout = arg.number(1..=86_400).map(Duration::from_secs).or(it.mail.timeout))),
    ("no_email_faults", Set(|it, _| it.mail.no_faults = true)),
    ("smtp_alert", Set(|it, arg| it.mail.alert = arg.boolean().or(it.mail.alert))),
    ("smtp_alert_vrrp", Set(|it, arg| it.mail.alert_vrrp = arg.boolean().or(it.mail.alert_vrrp))),
    ("startup_script", Set(|it, arg| it.startup = arg.command())),
    ("startup_script_timeout", Set(|it, arg| it.startup_timeout = arg.number(1..=1000).map(Duration::from_secs).or(it.startup_timeout))),
    ("shutdown_script", Set(|it, arg| it.shutdown = arg.command())),
    ("shutdown_script_timeout", Set(|it, arg| it.shutdown_timeout = arg.number(1..=1000).map(Duration::from_secs).or(it.shutdown_timeout))),
    ("process_names", Set(|it, _| it.process_name = it.process_name.take().or(Some("keepalived_vrrp".into())))),
    ("vrrp_process_name", Set(|it, arg| it.process_name = arg.text().or(it.process_name.take()))),
    (
        "max_auto_priority",
        Set(|it, arg| it.max_auto_priority = if arg.node.value(0).is_none() { 99 } else { arg.number(-1..=99).unwrap_or(0).max(0) }),
    ),
    (
        "min_auto_priority_delay",
        Set(|it, arg| it.auto_priority_delay = arg.number(1..=10_000_000).map(Duration::from_micros).or(it.auto_priority_delay)),
    ),
    ("umask", Set(|it, arg| it.umask = umask(arg).or(it.umask))),
    ("log_unknown_vrids", Set(|it, _| it.log_unknown_vrids = true)),
    ("data_use_instance", Set(|it, arg| it.data_use_instance = arg.boolean().unwrap_or(it.data_use_instance))),
    ("reload_file", Set(|it, arg| it.reload_file = Some(arg.node.value(0).map(str::to_string)))),
    ("vrrp_priority", Set(|it, arg| it.nice = arg.number(-20..=19).or(it.nice))),
    ("vrrp_rt_priority", Set(|it, arg| it.realtime = arg.number(1..=99).or(it.realtime))),
    ("vrrp_rlimit_rttime", Set(|it, arg| it.rttime = arg.number(1..=u64::from(u32::MAX)).map(Duration::from_micros).or(it.rttime))),
    // As older files spell it.
    ("vrrp_rlimit_rtime", Set(|it, arg| it.rttime = arg.number(1..=u64::from(u32::MAX)).map(Duration::from_micros).or(it.rttime))),
    ("vrrp_no_swap", Set(|it, _| it.no_swap = true)),
    (
        "vrrp_cpu_affinity",
        Set(|it, arg| {
            it.cores = arg.node.words[1..].iter().filter_map(|w| w.text.parse().ok()).collect();
            if it.cores.len() + 1 != arg.node.words.len() || it.cores.is_empty() {
                arg.warn("vrrp_cpu_affinity wants the numbers of cores, as in /proc/cpuinfo; what is none is left out");
            }
        }),
    ),
    ("vrrp_strict", Set(|it, _| it.strict = true)),
    (
        "vrrp_iptables",
        Set(|_, arg| {
            arg.warn("iptables not supported, using nftables instead. Please replace 'vrrp_iptables' and 'vrrp_ipsets' with 'nftables'")
        }),
    ),
    ("vrrp_ipsets", Set(|_, arg| arg.warn("vrrp_ipsets: rules are those of nftables, without sets of ipset; take it away"))),
    ("reload_time_file", Set(|it, arg| it.reload_time = arg.text().or(it.reload_time.take()))),
    ("reload_repeat", Set(|it, _| it.reload_repeat = true)),
    ("vrrp_garp_extra_if", Set(|it, arg| it.garp_extra = super::links::extra(arg).or(it.garp_extra))),
    (
        "vrrp_vmac_garp_intvl",
        Set(|it, arg| {
            arg.warn("Keyword \"vrrp_vmac_garp_intvl\" is deprecated - please use \"vrrp_garp_extra_if\"");
            it.garp_extra = super::links::extra(arg).or(it.garp_extra);
        }),
    ),
    ("enable_snmp_vrrp", Set(|_, arg| no_snmp(arg))),
    ("enable_snmp_keepalived", Set(|_, arg| no_snmp(arg))),
    ("enable_snmp_rfc", Set(|_, arg| no_snmp(arg))),
    ("enable_snmp_rfcv2", Set(|_, arg| no_snmp(arg))),
    ("enable_snmp_rfcv3", Set(|_, arg| no_snmp(arg))),
    ("enable_traps", Set(|_, arg| no_snmp(arg))),
    ("snmp_socket", Checked("enable_snmp_vrrp says that there is no SNMP", unused::text)),
    (
        "enable_dbus",
        Set(|_, arg| {
            arg.warn(
                "enable_dbus: there is no D-Bus here, who asks there gets no answer; take it away, 'vrrpd status' and signals are there",
            )
        }),
    ),
    ("dbus_service_name", Checked("enable_dbus says that there is no D-Bus", unused::text)),
    ("disable_local_igmp", Set(|it, _| it.no_local_igmp = true)),
    (
        "nftables",
        Set(|it, arg| {
            let name = arg.node.value(0).unwrap_or("keepalived");
            if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && name.starts_with(|c: char| c.is_ascii_alphabetic()) {
                it.nftables = Some(name.into());
            } else {
                arg.warn(format!("nftables '{name}' is no name of a table: letters, digits and '_', a letter first; it is left out"));
            }
        }),
    ),
    ("nftables_priority", Set(|it, arg| it.nftables_priority = arg.number(i32::MIN..=i32::MAX).or(it.nftables_priority))),
    ("nftables_counters", Set(|it, _| it.nftables_counters = true)),
    ("nftables_ifindex", Nothing("rules name interfaces, which is the same as long as nobody renames them")),
    ("vmac_prefix", Set(|it, arg| it.vmac_prefix = prefix(arg).or(it.vmac_prefix.take()))),
    ("vmac_addr_prefix", Set(|it, arg| it.vmac_addr_prefix = prefix(arg).or(it.vmac_addr_prefix.take()))),
    ("vrrp_garp_interval", Set(|it, arg| it.garp_interval = super::links::interval(arg).unwrap_or(it.garp_interval))),
    ("vrrp_gna_interval", Set(|it, arg| it.gna_interval = super::links::interval(arg).unwrap_or(it.gna_interval))),
    ("smtp_alert_checker", Checked(OTHER_DAEMON, unused::boolean)),
    ("checker_log_all_failures", Checked(OTHER_DAEMON, unused::boolean)),
    ("lvs_sync_daemon", Checked(OTHER_DAEMON, unused::sync_daemon)),
    ("lvs_timeouts", Checked(OTHER_DAEMON, unused::timeouts)),
    ("lvs_flush", Nothing(OTHER_DAEMON)),
    ("lvs_flush_on_stop", Checked(OTHER_DAEMON, unused::flush)),
    ("lvs_flush_onstop", Nothing(OTHER_DAEMON)),
    ("lvs_notify_fifo", Checked(OTHER_DAEMON, unused::text)),
    ("lvs_notify_fifo_script", Checked(OTHER_DAEMON, unused::text)),
    ("nftables_ipvs", Nothing(OTHER_DAEMON)),
    ("nftables_ipvs_priority", Checked(OTHER_DAEMON, unused::integer)),
    ("nftables_ipvs_start_fwmark", Checked(OTHER_DAEMON, unused::integer)),
    ("rs_init_notifies", Nothing(OTHER_DAEMON)),
    ("no_checker_emails", Nothing(OTHER_DAEMON)),
    ("enable_snmp_checker", Nothing(OTHER_DAEMON)),
    ("checker_priority", Checked(OTHER_DAEMON, unused::nice)),
    ("bfd_priority", Checked(OTHER_DAEMON, unused::nice)),
    ("checker_no_swap", Nothing(OTHER_DAEMON)),
    ("bfd_no_swap", Nothing(OTHER_DAEMON)),
    ("checker_cpu_affinity", Checked(OTHER_DAEMON, unused::cores)),
    ("bfd_cpu_affinity", Checked(OTHER_DAEMON, unused::cores)),
    ("checker_rt_priority", Checked(OTHER_DAEMON, unused::realtime)),
    ("bfd_rt_priority", Checked(OTHER_DAEMON, unused::realtime)),
    ("checker_rlimit_rttime", Checked(OTHER_DAEMON, unused::positive)),
    ("checker_rlimit_rtime", NothingOf(OTHER_DAEMON)),
    ("bfd_rlimit_rtime", NothingOf(OTHER_DAEMON)),
    ("lvs_process_name", NothingOf(OTHER_DAEMON)),
    ("bfd_rlimit_rttime", Checked(OTHER_DAEMON, unused::positive)),
    ("checker_process_name", NothingOf(OTHER_DAEMON)),
    ("bfd_process_name", NothingOf(OTHER_DAEMON)),
    ("lvs_netlink_cmd_rcv_bufs", Checked(OTHER_DAEMON, unused::positive)),
    ("lvs_netlink_cmd_rcv_bufs_force", Checked(OTHER_DAEMON, unused::boolean)),
    ("lvs_netlink_monitor_rcv_bufs", Checked(OTHER_DAEMON, unused::positive)),
    ("lvs_netlink_monitor_rcv_bufs_force", Checked(OTHER_DAEMON, unused::boolean)),
    ("process_name", NothingOf(PROCESS)),
    ("vrrp_netlink_cmd_rcv_bufs", Checked(PROCESS, unused::positive)),
    ("vrrp_netlink_cmd_rcv_bufs_force", Checked(PROCESS, unused::boolean)),
    ("vrrp_netlink_monitor_rcv_bufs", Checked(PROCESS, unused::positive)),
    ("vrrp_netlink_monitor_rcv_bufs_force", Checked(PROCESS, unused::boolean)),
    ("process_monitor_rcv_bufs", Checked(PROCESS, unused::positive)),
    ("process_monitor_rcv_bufs_force", Checked(PROCESS, unused::boolean)),
    ("vrrp_rx_bufs_policy", Checked(PROCESS, unused::buffers)),
    ("vrrp_rx_bufs_multiplier", Checked(PROCESS, unused::positive)),
    (
        "random_seed",
        Set(|_, arg| {
            // The reader has heeded it.
            let _ = arg.number(0..=u64::MAX);
        }),
    ),
    ("reload_check_config", Nothing("a broken new file is refused whole in any case")),
    ("include_check", Set(|_, _| { /* the reader has heeded it */ })),
    ("tmp_config_directory", Checked("the file is read once", unused::text)),
    ("config_save_dir", NothingOf("for debugging of keepalived")),
];

/// A group that adverts go to.
fn group(arg: &mut Arg<'_>, family: Family) -> Option<IpAddr> {
    let group = arg.address()?;
    let name = arg.node.name();
    if Family::of(group) != family || !group.is_multicast() {
        let kind = if family == Family::V4 { "IPv4" } else { "IPv6" };
        arg.warn(format!("{name} {group} is not a multicast address of {kind}; it is left out"));
        return None;
    }
    if !super::protocol::stays_on_link(group) {
        arg.warn(format!("{name} {group} should be link-local multicast, from ff02::/16"));
    }
    Some(group)
}

/// It changes nothing of what hosts get, and it is said each time: somebody's monitoring waits for it.
fn no_snmp(arg: &mut Arg<'_>) {
    let name = arg.node.name();
    arg.warn(format!(
        "{name}: there is no SNMP here, nobody gets figures or traps; take it away, 'vrrpd --metrics' and notify scripts are there"
    ));
}

/// `PATH [USER [GROUP]]`.
fn fifo(fifo: &mut FifoConf, arg: &mut Arg<'_>) {
    fifo.path = arg.text();
    fifo.user = arg.node.value(1).map(|user| User { user: user.into(), group: arg.node.value(2).map(str::to_string) });
}

/// A number (`0177`, `0x7f`, `127`) or `IWGRP|IWOTH`.
fn umask(arg: &mut Arg<'_>) -> Option<u32> {
    let text = arg.text()?;
    let umask = parse_umask(&text);
    if umask.is_none() {
        arg.warn(format!("umask '{text}' is neither a number up to 0777 nor a list like IWGRP|IWOTH; it is left out"));
    }
    umask
}

/// See [`umask`]; also for `-u`.
pub fn parse_umask(text: &str) -> Option<u32> {
    let number = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => u32::from_str_radix(&text[2..], 16).ok(),
        [b'0', _, ..] => u32::from_str_radix(text, 8).ok(),
        [b'0'..=b'9', ..] => text.parse().ok(),
        _ => text.split('|').map(|bit| bits(bit.trim())).try_fold(0, |all, bit| Some(all | bit?)),
    };
    number.filter(|n| *n <= 0o777)
}

fn bits(word: &str) -> Option<u32> {
    let (kind, who) = (word.get(..2)?, word.get(2..)?);
    let bit = match kind {
        "IR" => 4,
        "IW" => 2,
        "IX" => 1,
        _ => return None,
    };
    match who {
        "USR" => Some(bit << 6),
        "GRP" => Some(bit << 3),
        "OTH" => Some(bit),
        _ => None,
    }
}
