//! `keepalived.json`: a list of instances, each with its data and its counters.

use super::{address, command, unix, way};
use crate::conf::model::{AuthType, Command, InstanceConf};
use crate::json::Value;
use crate::snapshot::{InstanceView, Snapshot};
use std::time::Duration;
use vrrp::{State, Version};

/// Seconds as the shortest number.
fn seconds(of: Duration) -> Value {
    Value::Number(of.as_secs_f64().to_string())
}

fn flag(of: bool) -> Value {
    Value::Number(u8::from(of).to_string())
}

/// keepalived's numbers of states.
fn state(of: State) -> Value {
    let number = match of {
        State::Init => 0,
        State::Backup => 1,
        State::Master => 2,
        State::Fault => 3,
    };
    Value::Number(number.to_string())
}

pub(super) fn json(snapshot: &Snapshot) -> Value {
    let all = snapshot.instances().map(|(conf, it)| Value::object().with("data", data(snapshot, conf, it)).with("stats", stats(it)));
    Value::List(all.collect())
}

fn data(snapshot: &Snapshot, conf: &InstanceConf, it: &InstanceView) -> Value {
    let garp = it.config.garp;
    let interface = conf.interface.as_deref().unwrap_or_default();
    let own = super::link(&snapshot.conf, conf).map(|link| link.name.as_str());
    let transition = it.history.last().map_or_else(|| unix(std::time::UNIX_EPOCH), |t| unix(snapshot.wall_at(t.at)));
    let mut all = Value::object()
        .with("iname", conf.name.as_str())
        .with("dont_track_primary", flag(conf.dont_track_primary))
        .with("skip_check_adv_addr", flag(it.config.skip_check_adv_addr))
        .with("strict_mode", flag(conf.strict.unwrap_or(snapshot.conf.global.strict)))
        .with("vmac_ifname", own.unwrap_or_default())
        .with("ifp_ifname", own.unwrap_or(interface))
        .with("master_priority", it.master.map_or(0, |m| m.priority))
        .with("last_transition", Value::Number(transition))
        .with("garp_delay", garp.master_delay.as_secs())
        .with("garp_refresh", garp.master_refresh.as_secs())
        .with("garp_rep", garp.master_repeat)
        .with("garp_refresh_rep", garp.master_refresh_repeat)
        .with("garp_lower_prio_delay", garp.lower_prio_delay.as_secs())
        .with("garp_lower_prio_rep", garp.lower_prio_repeat)
        .with("lower_prio_no_advert", flag(it.config.lower_prio_no_advert))
        .with("higher_prio_send_advert", flag(it.config.higher_prio_send_advert))
        .with("vrid", it.config.vrid)
        .with("base_priority", it.config.priority)
        .with("effective_priority", it.priority)
        .with("vipset", it.has_addresses)
        .with("promote_secondaries", conf.promote_secondaries)
        .with("adver_int", seconds(it.config.advert_int))
        .with("master_adver_int", seconds(it.master_interval))
        .with("accept", flag(!conf.no_accept))
        .with("nopreempt", !it.config.preempt)
        .with("preempt_delay", seconds(it.config.preempt_delay))
        .with("state", state(it.state))
        .with("wantstate", state(it.state))
        .with("version", if it.config.version == Version::V2 { 2u8 } else { 3 })
        .with("smtp_alert", snapshot.conf.global.mail.alerts(conf.watch.smtp_alert))
        .with("notify_deleted", conf.watch.notifies.deleted.is_some());
    let notifies = &conf.watch.notifies;
    let scripts: [(&str, Option<&Command>); 7] = [
        ("script_backup", notifies.backup.as_ref()),
        ("script_master", notifies.master.as_ref()),
        ("script_fault", notifies.fault.as_ref()),
        ("script_stop", notifies.stop.as_ref()),
        ("script_deleted", notifies.deleted.as_ref().and_then(Option::as_ref)),
        ("script", notifies.any.as_ref()),
        ("script_master_rx_lower_pri", notifies.master_rx_lower_pri.as_ref()),
    ];
    for (name, script) in scripts {
        if let Some(script) = script {
            all = all.with(name, command(script));
        }
    }
    let addresses = |of: &[crate::conf::model::AddressConf]| -> Vec<Value> {
        of.iter().map(|a| address(a, &snapshot.conf, Some(conf), it.has_addresses).into()).collect()
    };
    for (name, list) in [("vips", addresses(&conf.addresses)), ("evips", addresses(&conf.excluded))] {
        if !list.is_empty() {
            all = all.with(name, list);
        }
    }
    if !conf.routes.is_empty() {
        let routes = conf.routes.iter().map(|r| way::route(r).into()).collect::<Vec<Value>>();
        all = all.with("vroutes", routes);
    }
    if !conf.rules.is_empty() {
        all = all.with("vrules", conf.rules.iter().map(|r| way::rule(r).into()).collect::<Vec<Value>>());
    }
    if !conf.watch.track_interfaces.is_empty() {
        all = all.with("track_ifp", conf.watch.track_interfaces.iter().map(|t| t.name.as_str().into()).collect::<Vec<Value>>());
    }
    if !conf.watch.track_scripts.is_empty() {
        let scripts = conf.watch.track_scripts.iter().filter_map(|t| snapshot.conf.script(&t.name)?.command.as_ref());
        all = all.with("track_script", scripts.map(|c| command(c).into()).collect::<Vec<Value>>());
    }
    match (conf.auth_type, &conf.auth_pass) {
        (None, _) | (_, None) => all.with("auth_type", 0u8),
        (Some(kind), Some(password)) => {
            let cut: String = password.chars().take(vrrp::PASSWORD_LEN).collect();
            all.with("auth_type", if kind == AuthType::Pass { 1u8 } else { 2 }).with("auth_data", cut)
        }
    }
}

fn stats(it: &InstanceView) -> Value {
    let stats = &it.stats;
    Value::object()
        .with("advert_rcvd", stats.advert_rcvd)
        .with("advert_sent", stats.advert_sent)
        .with("become_master", stats.become_master)
        .with("release_master", stats.release_master)
        .with("packet_len_err", stats.packet_len_err)
        .with("advert_interval_err", stats.advert_interval_err)
        .with("ip_ttl_err", stats.ip_ttl_err)
        .with("invalid_type_rcvd", stats.invalid_type_rcvd)
        .with("addr_list_err", stats.addr_list_err)
        .with("invalid_authtype", stats.invalid_authtype)
        .with("authtype_mismatch", stats.authtype_mismatch)
        .with("auth_failure", stats.auth_failure)
        .with("pri_zero_rcvd", stats.pri_zero_rcvd)
        .with("pri_zero_sent", stats.pri_zero_sent)
}
