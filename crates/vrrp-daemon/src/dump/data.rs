//! `keepalived.data`: configuration and state, for people and for the scripts that look through it.

use super::{address, command, unix, way};
use crate::conf::model::{AuthType, Command, Conf, Global, InstanceConf, Notifies, TrackConf};
use crate::conf::tracking::ParamMatch;
use crate::log::date;
use crate::scripts::Identity;
use crate::snapshot::{InstanceView, Snapshot, TrackedView};
use crate::track::Object;
use std::fmt::Write;
use std::time::SystemTime;
use vrrp::{Family, State, Status, Transport, Version, Weight};

/// Lines with an indent.
struct Out(String);

impl Out {
    /// One space of indent for a heading, three for what it has, five for lists.
    fn line(&mut self, indent: usize, text: impl AsRef<str>) {
        let _ = writeln!(self.0, "{:indent$}{}", "", text.as_ref());
    }

    fn section(&mut self, name: &str) {
        let _ = writeln!(self.0, "------< {name} >------");
    }

    fn pair(&mut self, indent: usize, name: &str, value: impl std::fmt::Display) {
        self.line(indent, format!("{name} = {value}"));
    }
}

pub(super) fn data(snapshot: &Snapshot) -> String {
    let mut out = Out(String::new());
    global(&mut out, &snapshot.conf);
    statics(&mut out, &snapshot.conf);
    out.section("VRRP Topology");
    for (conf, it) in snapshot.instances() {
        instance(&mut out, snapshot, conf, it);
    }
    groups(&mut out, snapshot);
    scripts(&mut out, snapshot);
    files(&mut out, snapshot);
    processes(&mut out, snapshot);
    interfaces(&mut out, snapshot);
    out.0
}

fn set(of: Option<bool>) -> &'static str {
    match of {
        None => "unset",
        Some(true) => "on",
        Some(false) => "off",
    }
}

fn global(out: &mut Out, conf: &Conf) {
    let Global { garp, mail, .. } = &conf.global;
    let it = &conf.global;
    let host = lb_sys::process::host_name();
    let garp = crate::conf::model::GarpConf::default().over(garp);
    out.section("Global definitions");
    out.pair(1, "Network namespace", conf.namespace.as_deref().unwrap_or("(default)"));
    if let Some(name) = &it.process_name {
        out.pair(1, "VRRP process name", name);
    }
    if let Some(name) = &conf.instance_name {
        out.pair(1, "Instance name", name);
    }
    out.pair(1, "Router ID", it.router_id.as_ref().unwrap_or(&host));
    if let Some((server, port)) = &mail.server {
        out.pair(1, "Smtp server", server);
        out.pair(1, "Smtp server port", port);
    }
    out.pair(1, "Smtp HELO name", mail.helo.as_ref().unwrap_or(&host));
    out.pair(1, "Smtp server connection timeout", mail.timeout.unwrap_or(crate::mail::TIMEOUT).as_secs());
    out.pair(1, "Email notification from", mail.from.clone().unwrap_or_else(|| crate::mail::sender(&host)));
    if !mail.to.is_empty() {
        out.line(1, "Email notification to:");
        mail.to.iter().for_each(|to| out.line(3, to));
    }
    if mail.no_faults {
        out.pair(1, "Send emails for fault transitions", "off");
    }
    out.pair(1, "Default smtp_alert", set(mail.alert));
    out.pair(1, "Default smtp_alert_vrrp", set(mail.alert_vrrp));
    out.pair(1, "Dynamic interfaces", it.dynamic_interfaces);
    out.pair(1, "Default interface", it.default_interface.as_deref().unwrap_or("eth0"));
    out.pair(1, "Disable local IGMP", yes(it.no_local_igmp));
    for (name, fifo) in ["Global notify fifo", "VRRP notify fifo"].into_iter().zip(&it.fifos) {
        if let Some(path) = &fifo.path {
            let (uid, gid) = Identity::of_user(conf, fifo.user.as_ref()).unwrap_or_default().ids();
            out.pair(1, name, format!("{path}, uid:gid {uid}:{gid}"));
        }
    }
    out.pair(1, "FIFO write vrrp states on reload", it.fifo_states_on_reload);
    out.pair(1, "VRRP notify priority changes", it.notify_priority_changes);
    out.pair(1, "VRRP IPv4 mcast group", it.group4.unwrap_or_else(|| Family::V4.group()));
    out.pair(1, "VRRP IPv6 mcast group", it.group6.unwrap_or_else(|| Family::V6.group()));
    out.pair(1, "Gratuitous ARP delay", garp.master_delay.as_secs());
    out.pair(1, "Gratuitous ARP repeat", garp.master_repeat);
    out.pair(1, "Gratuitous ARP refresh timer", garp.master_refresh.as_secs());
    out.pair(1, "Gratuitous ARP refresh repeat", garp.master_refresh_repeat);
    out.pair(1, "Gratuitous ARP lower priority delay", garp.lower_prio_delay.as_secs());
    out.pair(1, "Gratuitous ARP lower priority repeat", garp.lower_prio_repeat);
    out.pair(1, "Num adverts before down", it.down_timer_adverts.unwrap_or(3));
    out.pair(1, "Send advert after receive lower priority advert", !it.lower_prio_no_advert);
    out.pair(1, "Send advert after receive higher priority advert", it.higher_prio_send_advert);
    for (name, interval) in [("Gratuitous ARP interval", it.garp_interval), ("Gratuitous NA interval", it.gna_interval)] {
        if !interval.is_zero() {
            out.pair(1, name, format!("{:.6}", interval.as_secs_f64()));
        }
    }
    out.pair(1, "VRRP default protocol version", if it.vrrp_version == Some(Version::V3) { 3 } else { 2 });
    out.pair(1, "VRRP check unicast_src", it.check_unicast_src);
    out.pair(1, "VRRP skip check advert addresses", it.skip_check_adv_addr);
    out.pair(1, "VRRP strict mode", it.strict);
    out.pair(1, "Max auto priority", it.max_auto_priority);
    out.pair(1, "Min auto priority delay", format!("{} usecs", it.auto_priority_delay.map_or(1_000_000, |d| d.as_micros())));
    out.pair(1, "VRRP process priority", it.nice.unwrap_or(0));
    out.pair(1, "VRRP don't swap", it.no_swap);
    out.pair(1, "VRRP realtime priority", it.realtime.unwrap_or(0));
    out.pair(1, "VRRP realtime limit", it.rttime.map_or(10_000, |d| d.as_micros()));
    out.line(1, format!("Script security {}", if it.script_security { "enabled" } else { "disabled" }));
    let (uid, gid) = Identity::of_user(conf, None).unwrap_or_default().ids();
    out.line(1, format!("Default script uid:gid {uid}:{gid}"));
    out.pair(1, "umask", format!("0{:o}", it.umask.unwrap_or(0o177)));
    if !it.startup_delay.is_zero() {
        out.pair(1, "vrrp_startup_delay", it.startup_delay.as_secs_f64());
    }
    if it.log_unknown_vrids {
        out.line(1, "log_unknown_vrids");
    }
}

fn statics(out: &mut Out, conf: &Conf) {
    let it = &conf.statics;
    let here = |a: &crate::conf::model::AddressConf| address(a, conf, None, true);
    let all: [(&str, Vec<String>); 3] = [
        ("Static Addresses", it.addresses.iter().map(here).collect()),
        ("Static Routes", it.routes.iter().map(way::route).collect()),
        ("Static Rules", it.rules.iter().map(way::rule).collect()),
    ];
    for (name, lines) in all.iter().filter(|(_, lines)| !lines.is_empty()) {
        out.section(name);
        lines.iter().for_each(|line| out.line(5, line));
    }
}

fn yes(of: bool) -> &'static str {
    if of { "yes" } else { "no" }
}

fn enabled(of: bool) -> &'static str {
    if of { "enabled" } else { "disabled" }
}

/// `1795867519.931034 (Sat Nov 28 12:05:19.931034 2026)`.
fn moment(at: SystemTime) -> String {
    let number = unix(at);
    let micros = number.split_once('.').map_or("", |(_, micros)| micros);
    let date = date(at);
    let (day, year) = date.rsplit_once(' ').unwrap_or((&date, ""));
    format!("{number} ({day}.{micros} {year})")
}

fn instance(out: &mut Out, snapshot: &Snapshot, conf: &InstanceConf, it: &InstanceView) {
    let config = &it.config;
    let interface = conf.interface.as_deref().unwrap_or_default();
    out.pair(1, "VRRP Instance", &conf.name);
    out.pair(3, "VRRP Version", if config.version == Version::V2 { 2 } else { 3 });
    if config.family == Family::V6 {
        out.line(3, "Using Native IPv6");
    }
    if let Some(group) = snapshot.group_of(&conf.name) {
        out.pair(3, "Sync group", group);
    }
    out.pair(3, "State", it.state);
    if let Some(master) = it.master {
        out.pair(3, "Master router", master.address);
        out.pair(3, "Master priority", master.priority);
        if config.version == Version::V3 {
            out.pair(3, "Master advert int", format!("{:.2} sec", it.master_interval.as_secs_f64()));
        }
    }
    let unicast = matches!(config.transport, Transport::Unicast { .. });
    let vmac = conf.vmac.is_some() || conf.use_vmac_addr;
    let more = !config.preempt || config.dont_track_primary || conf.promote_secondaries || config.skip_check_adv_addr;
    out.line(3, if unicast || vmac || more { "Flags:" } else { "Flags: none" });
    if unicast {
        out.line(5, "Using unicast");
    }
    out.pair(3, "Wantstate", it.state);
    // What would be one keeps the file from being put in force.
    out.pair(3, "Number of config faults", 0);
    out.pair(3, "Number of interface and track script faults", u8::from(it.impediment.is_some()));
    out.pair(3, "Number of track scripts init", it.statuses.iter().filter(|s| **s == Status::Unknown).count());
    if let Some(last) = it.history.last() {
        out.pair(3, "Last transition", moment(snapshot.wall_at(last.at)));
    }
    match it.next.filter(|_| it.state != State::Fault) {
        Some(at) => out.pair(3, "Read timeout", moment(snapshot.wall_at(at))),
        None => out.pair(3, "Read timeout", "DISABLED"),
    }
    // An owner waits for nobody, or for the others of its group.
    let waits = config.priority != vrrp::OWNER || snapshot.group_of(&conf.name).is_some();
    let down = if !waits { 1 } else { it.master_down.as_micros() };
    out.pair(3, "Master down timer", format!("{down} usecs"));
    if conf.use_vmac_addr {
        out.line(3, "Use VMAC for VIPs on other interfaces");
    }
    match super::link(&snapshot.conf, conf) {
        Some(link) => {
            let up = snapshot.interfaces.iter().any(|it| it.name == link.name && it.up);
            out.line(3, format!("Use VMAC, i/f name {}, is_up = {up}, xmit_base = {}", link.name, conf.vmac_xmit_base));
            let base = if conf.vmac_xmit_base { ", xmit base i/f" } else { "" };
            out.pair(3, "Interface", format!("{}, vmac on {}{base}", link.name, link.base));
        }
        None => out.pair(3, "Interface", interface),
    }
    if conf.dont_track_primary {
        out.line(3, "VRRP interface tracking disabled");
    }
    if config.skip_check_adv_addr {
        out.line(3, "Skip checking advert IP addresses");
    }
    if conf.strict.unwrap_or(snapshot.conf.global.strict) {
        out.line(3, "Enforcing strict VRRP compliance");
    }
    if let Some(source) = it.source {
        out.pair(3, "Using src_ip", format!("{source}{}", if conf.source.is_some() { " (from configuration)" } else { "" }));
    }
    if let Transport::Multicast { group } = &config.transport {
        let index = snapshot.interfaces.iter().find(|i| i.name == interface).map(|i| i.index);
        let scope = index.filter(|_| config.family == Family::V6).map(|index| format!(", ifindex {index}")).unwrap_or_default();
        out.line(3, format!("Multicast address {group}{scope}"));
    }
    out.pair(3, "Gratuitous ARP delay", config.garp.master_delay.as_secs());
    out.pair(3, "Gratuitous ARP repeat", config.garp.master_repeat);
    out.pair(3, "Gratuitous ARP refresh", config.garp.master_refresh.as_secs());
    out.pair(3, "Gratuitous ARP refresh repeat", config.garp.master_refresh_repeat);
    out.pair(3, "Gratuitous ARP lower priority delay", config.garp.lower_prio_delay.as_secs());
    out.pair(3, "Gratuitous ARP lower priority repeat", config.garp.lower_prio_repeat);
    out.pair(3, "Down timer adverts", config.down_timer_adverts);
    out.pair(3, "Send advert after receive lower priority advert", !config.lower_prio_no_advert);
    out.pair(3, "Send advert after receive higher priority advert", config.higher_prio_send_advert);
    out.pair(3, "Virtual Router ID", config.vrid);
    out.pair(3, "Priority", config.priority);
    out.pair(3, "Effective priority", it.priority);
    out.pair(3, "Total priority", it.priority);
    match config.version {
        Version::V2 => out.pair(3, "Advert interval", format!("{} sec", config.advert_int.as_secs())),
        Version::V3 => {
            out.pair(3, "Advert interval", format!("{} milli-sec", config.advert_int.as_millis()));
            if it.state == State::Backup {
                out.pair(3, "Master advert interval", format!("{} milli-sec", it.master_interval.as_millis()));
            }
        }
    }
    out.pair(3, "Accept", enabled(!conf.no_accept));
    out.pair(3, "Preempt", enabled(config.preempt));
    if !config.preempt_delay.is_zero() {
        out.pair(3, "Preempt delay", format!("{} secs", config.preempt_delay.as_secs_f64()));
    }
    out.pair(3, "Promote_secondaries", enabled(conf.promote_secondaries));
    if config.version == Version::V2 {
        match (conf.auth_type, &conf.auth_pass) {
            (Some(AuthType::Pass), Some(password)) => {
                out.pair(3, "Authentication type", "SIMPLE_PASSWORD");
                out.pair(3, "Password", password.chars().take(vrrp::PASSWORD_LEN).collect::<String>());
            }
            (Some(AuthType::Ah), _) => out.pair(3, "Authentication type", "IPSEC_AH"),
            _ => out.pair(3, "Authentication type", "none"),
        }
    }
    let is_set = it.has_addresses;
    out.line(3, format!("Virtual IP ({}):", conf.addresses.len()));
    let written = |a| address(a, &snapshot.conf, Some(conf), is_set);
    conf.addresses.iter().for_each(|a| out.line(5, written(a)));
    if !conf.excluded.is_empty() {
        out.line(3, "Virtual IP Excluded :");
        conf.excluded.iter().for_each(|a| out.line(5, written(a)));
    }
    if let Transport::Unicast { peers, ttl, check_source } = &config.transport {
        out.pair(3, "Unicast TTL", ttl.unwrap_or(255));
        out.line(3, format!("Check unicast src : {}", yes(*check_source)));
        out.line(3, "Unicast Peer :");
        for peer in peers {
            out.line(5, format!("{} min_ttl {} max_ttl {}", peer.address, peer.min_ttl, peer.max_ttl));
        }
    }
    if !conf.routes.is_empty() {
        out.line(3, "Virtual Routes :");
        conf.routes.iter().for_each(|r| out.line(5, way::route(r)));
    }
    if !conf.rules.is_empty() {
        out.line(3, "Virtual Rules :");
        conf.rules.iter().for_each(|r| out.line(5, way::rule(r)));
    }
    let tracks = snapshot.conf.tracks_of(&conf.watch);
    track(out, "Tracked interfaces", &tracks, |o| matches!(o, Object::Interface(_)), " ");
    track(out, "Tracked scripts", &tracks, |o| matches!(o, Object::Script(_)), " ");
    track(out, "Tracked files", &tracks, |o| matches!(o, Object::File(_)), ", ");
    track(out, "Tracked processes", &tracks, |o| matches!(o, Object::Process(_)), ", ");
    out.pair(3, "Using smtp notification", yes(snapshot.conf.global.mail.alerts(conf.watch.smtp_alert)));
    out.pair(3, "Notify deleted", if conf.watch.notifies.deleted.is_some() { "Deleted" } else { "Fault" });
    notifies(out, &snapshot.conf, &conf.watch.notifies);
    out.pair(3, "Notify priority changes", config.notify_priority_changes);
}

fn weight(of: &Weight) -> String {
    format!("weight {}{}", of.value, if of.reverse { " reverse" } else { "" })
}

fn track(out: &mut Out, heading: &str, tracks: &[(Object, Weight)], which: fn(&Object) -> bool, between: &str) {
    let mut some = tracks.iter().filter(|(object, _)| which(object)).peekable();
    if some.peek().is_some() {
        out.line(3, format!("{heading} :"));
        some.for_each(|(object, of)| out.line(5, format!("{}{between}{}", object.name(), weight(of))));
    }
}

fn notifies(out: &mut Out, conf: &Conf, it: &Notifies) {
    let deleted = it.deleted.as_ref().and_then(Option::as_ref);
    let all: [(&str, Option<&Command>); 7] = [
        ("Backup", it.backup.as_ref()),
        ("Master", it.master.as_ref()),
        ("Fault", it.fault.as_ref()),
        ("Stop", it.stop.as_ref()),
        ("Deleted", deleted),
        ("Generic", it.any.as_ref()),
        ("Master rx lower pri", it.master_rx_lower_pri.as_ref()),
    ];
    for (name, script) in all {
        if let Some(script) = script {
            let (uid, gid) = Identity::of(conf, script).unwrap_or_default().ids();
            out.pair(3, &format!("{name} state transition script"), format!("{}, uid:gid {uid}:{gid}", command(script)));
        }
    }
}

fn groups(out: &mut Out, snapshot: &Snapshot) {
    let conf = &snapshot.conf;
    if conf.groups.is_empty() {
        return;
    }
    out.section("VRRP Sync groups");
    for (group, it) in conf.groups.iter().zip(&snapshot.groups).filter(|(g, _)| g.members.iter().all(|m| *m < snapshot.live)) {
        out.line(1, format!("VRRP Sync Group = {}, {}", group.name, it.state));
        let faults = group.members.iter().filter(|m| snapshot.instances[**m].state == State::Fault).count();
        let init = group.members.iter().filter(|m| snapshot.instances[**m].state == State::Init).count();
        out.line(3, format!("Num member fault {faults}, num member init {init}"));
        out.line(3, "VRRP member instances :");
        group.members.iter().for_each(|m| out.line(5, &conf.instances[*m].name));
        if group.tracking_weight {
            out.line(3, "sync group tracking weight set");
        }
        out.pair(3, "Using smtp notification", yes(conf.global.mail.alerts(group.watch.smtp_alert)));
        let tracks = conf.tracks_of(&group.watch);
        track(out, "Tracked interfaces", &tracks, |o| matches!(o, Object::Interface(_)), " ");
        track(out, "Tracked scripts", &tracks, |o| matches!(o, Object::Script(_)), " ");
        track(out, "Tracked files", &tracks, |o| matches!(o, Object::File(_)), ", ");
        track(out, "Tracked processes", &tracks, |o| matches!(o, Object::Process(_)), ", ");
        notifies(out, conf, &group.watch.notifies);
    }
}

fn view<'a>(snapshot: &'a Snapshot, object: &Object) -> Option<&'a TrackedView> {
    snapshot.tracked.iter().find(|t| t.object == *object)
}

/// Who tracks something: those whose list has a line about it.
fn tracking(out: &mut Out, snapshot: &Snapshot, object: &Object) {
    out.line(3, "Tracking instances :");
    for (conf, _) in snapshot.instances() {
        for (_, of) in snapshot.conf.tracks_of(&conf.watch).iter().filter(|(o, _)| o == object) {
            out.line(5, format!("{}, {}", conf.name, weight(of)));
        }
    }
}

fn scripts(out: &mut Out, snapshot: &Snapshot) {
    let conf = &snapshot.conf;
    if conf.scripts.is_empty() {
        return;
    }
    out.section("VRRP Scripts");
    for it in &conf.scripts {
        let object = Object::Script(it.name.clone());
        let seen = view(snapshot, &object);
        out.pair(1, "VRRP Script", &it.name);
        if let Some(script) = &it.command {
            out.pair(3, "Command", command(script));
        }
        out.pair(3, "Interval", format!("{} sec", it.interval.as_secs_f64()));
        out.pair(3, "Timeout", format!("{} sec", it.timeout.unwrap_or_default().as_secs_f64()));
        out.line(3, weight(&it.weight).replacen("weight ", "Weight = ", 1));
        out.pair(3, "Rise", it.rise);
        out.pair(3, "Fall", it.fall);
        out.pair(3, "Insecure", "no");
        let status = match seen.map(|t| t.status) {
            Some(Status::Up) => "GOOD",
            Some(Status::Down) => "BAD",
            _ => "INIT",
        };
        out.pair(3, "Status", status);
        if let Some(script) = &it.command {
            let (uid, gid) = Identity::of(conf, script).unwrap_or_default().ids();
            out.pair(3, "Script uid:gid", format!("{uid}:{gid}"));
        }
        tracking(out, snapshot, &object);
        out.pair(3, "State", if seen.is_some_and(|t| t.running) { "running" } else { "idle" });
    }
}

fn files(out: &mut Out, snapshot: &Snapshot) {
    if snapshot.conf.files.is_empty() {
        return;
    }
    out.section("VRRP Track files");
    for it in &snapshot.conf.files {
        let object = Object::File(it.name.clone());
        out.pair(1, "Track file", &it.name);
        out.pair(3, "File", &it.path);
        out.pair(3, "Status", view(snapshot, &object).map_or(0, |t| t.count));
        out.line(3, weight(&it.weight).replacen("weight ", "Weight = ", 1));
        tracking(out, snapshot, &object);
    }
}

fn processes(out: &mut Out, snapshot: &Snapshot) {
    if snapshot.conf.processes.is_empty() {
        return;
    }
    out.section("VRRP Track processes");
    for it in &snapshot.conf.processes {
        let object = Object::Process(it.name.clone());
        let seen = view(snapshot, &object);
        out.pair(1, "VRRP Track process", &it.name);
        out.pair(3, "Process", &it.command);
        if !it.params.is_empty() {
            out.pair(3, "Parameters", it.params.join(" "));
        }
        match it.param_match {
            ParamMatch::None => {}
            ParamMatch::Exact => out.pair(3, "Param match", "exact"),
            ParamMatch::Partial => out.pair(3, "Param match", "partial"),
            ParamMatch::Initial => out.pair(3, "Param match", "initial"),
        }
        out.pair(3, "Min processes", it.quorum.min);
        if it.quorum.max < u32::MAX {
            out.pair(3, "Max processes", it.quorum.max);
        }
        out.pair(3, "Current processes", seen.map_or(0, |t| t.count));
        out.pair(3, "Have quorum", seen.is_some_and(|t| t.status == Status::Up));
        out.line(3, weight(&it.weight).replacen("weight ", "Weight = ", 1));
        out.pair(3, "Terminate delay", format!("{:.6}s", it.terminate_delay.as_secs_f64()));
        out.pair(3, "Fork delay", format!("{:.6}s", it.fork_delay.as_secs_f64()));
        out.pair(3, "Full command", it.full_command || !it.params.is_empty() || it.param_match != ParamMatch::None);
        tracking(out, snapshot, &object);
    }
}

fn interfaces(out: &mut Out, snapshot: &Snapshot) {
    out.section("Interfaces");
    for it in &snapshot.interfaces {
        out.pair(1, "Name", &it.name);
        out.pair(3, "index", it.index);
        for (family, v4) in [("IPv4", true), ("IPv6", false)] {
            let all: Vec<String> = it.addresses.iter().filter(|a| a.is_ipv4() == v4).map(ToString::to_string).collect();
            out.pair(3, &format!("{family} address"), if all.is_empty() { "(none)".into() } else { all.join(", ") });
        }
        if it.hardware.len() == 6 && it.hardware.iter().any(|b| *b != 0) {
            out.pair(3, "MAC", it.hardware.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":"));
        }
        out.pair(3, "State", if it.up { "UP, RUNNING" } else { "not UP or not RUNNING" });
        let of = |conf: &InstanceConf| {
            let tracked = conf.watch.track_interfaces.iter().find(|t: &&TrackConf| t.name == it.name);
            let own =
                conf.interface.as_ref() == Some(&it.name) || super::link(&snapshot.conf, conf).is_some_and(|link| link.name == it.name);
            own.then(Weight::default).or(tracked.map(|t| t.weight.unwrap_or_default()))
        };
        let users: Vec<String> =
            snapshot.instances().filter_map(|(conf, _)| Some(format!("{}, {}", conf.name, weight(&of(conf)?)))).collect();
        if !users.is_empty() {
            out.line(3, "Tracking VRRP instances :");
            users.iter().for_each(|user| out.line(5, user));
        }
    }
}
