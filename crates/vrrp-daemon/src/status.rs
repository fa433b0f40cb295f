//! `vrrpd status`: who is master, why it is not us, what comes next.

use crate::json::Value;
use crate::log::date;
use crate::snapshot::{InstanceView, Snapshot};
use crate::track::Object;
use std::fmt::Write;
use std::time::{Duration, Instant};
use vrrp::{Cause, State, Status, Version, Weight};

/// A cause with the names of the configuration.
pub fn cause(of: Cause, tracks: &[(Object, Weight)]) -> String {
    match of {
        Cause::Tracked(which) => match tracks.get(which) {
            Some((object, _)) => format!("{} is down", named(object)),
            None => of.to_string(),
        },
        other => other.to_string(),
    }
}

fn named(object: &Object) -> String {
    match object {
        Object::Interface(name) => format!("interface {name}"),
        Object::Script(name) => format!("script {name}"),
        Object::File(name) => format!("file {name}"),
        Object::Process(name) => format!("process {name}"),
    }
}

fn status(of: Status) -> String {
    match of {
        Status::Unknown => "unknown yet".into(),
        Status::Up => "up".into(),
        Status::Down => "down".into(),
        Status::Value(value) => value.to_string(),
    }
}

/// Why it is not master; nothing if it is.
pub fn why_not(it: &InstanceView, tracks: &[(Object, Weight)], now: Instant) -> Option<String> {
    match (it.state, it.master) {
        (State::Master, _) => None,
        (State::Fault, _) => Some(it.impediment.map_or_else(|| "at fault".into(), |c| cause(c, tracks))),
        (State::Init, _) if it.has_addresses => Some("it leaves, and keeps the addresses until another one has them".into()),
        (State::Init, _) => {
            let waits = tracks.iter().zip(&it.statuses).find(|(_, status)| **status == Status::Unknown);
            Some(waits.map_or_else(|| "not started".into(), |((object, _), _)| format!("it waits for {}", named(object))))
        }
        (State::Backup, None) => {
            let rest = it.next.map(|at| at.saturating_duration_since(now)).unwrap_or_default();
            Some(format!("no master has been heard; it becomes master in {}", seconds(rest)))
        }
        (State::Backup, Some(master)) => {
            let (address, theirs, ours) = (master.address, master.priority, it.priority);
            Some(match theirs.cmp(&ours) {
                std::cmp::Ordering::Greater => format!("{address} has priority {theirs}, this router {ours}"),
                // Who is master stays it when the priorities are equal; addresses decide between two masters only.
                std::cmp::Ordering::Equal => format!("{address} is master already with the same priority {ours}"),
                std::cmp::Ordering::Less if !it.config.preempt => {
                    format!(
                        "{address} is master already with priority {theirs}, and nopreempt leaves it alone although this router has {ours}"
                    )
                }
                std::cmp::Ordering::Less => format!("{address} with priority {theirs} is about to be preempted, this router has {ours}"),
            })
        }
    }
}

fn seconds(of: Duration) -> String {
    format!("{:.2} s", of.as_secs_f64())
}

/// For people.
pub fn text(snapshot: &Snapshot) -> String {
    let mut out = String::new();
    let pace = &snapshot.pace;
    let since = pace.since.map(date).unwrap_or_default();
    let _ = writeln!(out, "vrrpd {} since {since}", env!("CARGO_PKG_VERSION"));
    let _ = writeln!(
        out,
        "reloads: {}, refused: {}; timers served more than {} ms late: {}, at most {:.1} ms",
        pace.reloads,
        pace.refused,
        vrrp::LATE.as_millis(),
        pace.late,
        pace.latest.as_secs_f64() * 1e3
    );
    for (conf, it) in snapshot.instances() {
        let tracks = snapshot.conf.tracks_of(&conf.watch);
        let version = if it.config.version == Version::V2 { 2 } else { 3 };
        let interface = conf.interface.as_deref().unwrap_or("-");
        let _ = write!(out, "\n{} {} on {interface}, virtual router {}, version {version}", conf.name, it.state, it.config.vrid);
        if let Some(group) = snapshot.group_of(&conf.name) {
            let _ = write!(out, ", sync group {group}");
        }
        out.push('\n');
        if let Some(last) = it.history.last() {
            let _ = writeln!(out, "  since      {} ({})", date(snapshot.wall_at(last.at)), cause(last.cause, &tracks));
        }
        let _ = writeln!(out, "  priority   {} ({} in the file)", it.priority, it.config.priority);
        let master = match (it.state, it.master) {
            (State::Master, _) => "this router".into(),
            (_, Some(m)) => {
                let ago = snapshot.at.saturating_duration_since(m.heard);
                format!("{}, priority {}, heard {} ago", m.address, m.priority, seconds(ago))
            }
            _ => "none is known".into(),
        };
        let _ = writeln!(out, "  master     {master}");
        if let Some(why) = why_not(it, &tracks, snapshot.at) {
            let _ = writeln!(out, "  why not us {why}");
        }
        let next = it.next.map(|at| seconds(at.saturating_duration_since(snapshot.at)));
        let interval = seconds(it.config.advert_int);
        let _ = writeln!(
            out,
            "  timers     next in {}; interval {interval}, skew {}, master down after {}",
            next.as_deref().unwrap_or("-"),
            seconds(it.skew),
            seconds(it.master_down)
        );
        let addresses: Vec<String> = conf.addresses.iter().chain(&conf.excluded).map(|a| format!("{}/{}", a.address, a.prefix)).collect();
        let _ = writeln!(out, "  addresses  {} ({})", addresses.join(" "), if it.has_addresses { "here" } else { "not here" });
        for ((object, weight), now) in tracks.iter().zip(&it.statuses) {
            let reverse = if weight.reverse { " reverse" } else { "" };
            let _ = writeln!(out, "  tracks     {}: {}, weight {}{reverse}", named(object), status(*now), weight.value);
        }
        let refused = it.stats.refusals();
        let _ = writeln!(out, "  adverts    {} sent, {} received, {refused} refused", it.stats.advert_sent, it.stats.advert_rcvd);
        for step in it.history.iter().rev().take(5) {
            let _ = writeln!(
                out,
                "  was        {} {} -> {}: {}",
                date(snapshot.wall_at(step.at)),
                step.from,
                step.to,
                cause(step.cause, &tracks)
            );
        }
    }
    for (group, it) in snapshot.conf.groups.iter().zip(&snapshot.groups) {
        let members: Vec<&str> = group.members.iter().map(|m| snapshot.conf.instances[*m].name.as_str()).collect();
        let _ = writeln!(out, "\nsync group {} {}: {}", group.name, it.state, members.join(" "));
    }
    out
}

/// For programs. Times are seconds of the Unix clock, spans seconds.
pub fn json(snapshot: &Snapshot) -> Value {
    let unix = |at| Value::seconds(snapshot.wall_at(at).duration_since(std::time::UNIX_EPOCH).unwrap_or_default());
    let instance = |(conf, it): (&crate::conf::model::InstanceConf, &InstanceView)| {
        let tracks = snapshot.conf.tracks_of(&conf.watch);
        let tracked = tracks.iter().zip(&it.statuses).map(|((object, weight), now)| {
            Value::object()
                .with("what", named(object))
                .with("state", status(*now))
                .with("weight", weight.value)
                .with("reverse", weight.reverse)
        });
        let steps = it.history.iter().map(|step| {
            let step_cause = cause(step.cause, &tracks);
            Value::object()
                .with("at", unix(step.at))
                .with("from", step.from.to_string())
                .with("to", step.to.to_string())
                .with("cause", step_cause)
        });
        let master = it.master.map(|m| {
            let ago = Value::seconds(snapshot.at.saturating_duration_since(m.heard));
            Value::object().with("address", m.address.to_string()).with("priority", m.priority).with("heard_ago", ago)
        });
        let addresses = conf.addresses.iter().chain(&conf.excluded).map(|a| Value::from(format!("{}/{}", a.address, a.prefix)));
        Value::object()
            .with("name", conf.name.as_str())
            .with("state", it.state.to_string())
            .with("interface", conf.interface.clone())
            .with("vrid", it.config.vrid)
            .with("version", if it.config.version == Version::V2 { 2u8 } else { 3 })
            .with("group", snapshot.group_of(&conf.name).map(str::to_string))
            .with("priority", it.priority)
            .with("base_priority", it.config.priority)
            .with("has_addresses", it.has_addresses)
            .with("addresses", addresses.collect::<Vec<_>>())
            .with("master", master)
            .with("why_not", why_not(it, &tracks, snapshot.at))
            .with("interval", Value::seconds(it.config.advert_int))
            .with("skew", Value::seconds(it.skew))
            .with("master_down", Value::seconds(it.master_down))
            .with("next_in", it.next.map(|at| Value::seconds(at.saturating_duration_since(snapshot.at))))
            .with("latest", Value::seconds(it.latest))
            .with("tracks", tracked.collect::<Vec<_>>())
            .with("transitions", steps.collect::<Vec<_>>())
            .with("advert_sent", it.stats.advert_sent)
            .with("advert_rcvd", it.stats.advert_rcvd)
            .with("refused", it.stats.refusals())
    };
    let group = |(group, it): (&crate::conf::model::GroupConf, &crate::snapshot::GroupView)| {
        let members = group.members.iter().map(|m| Value::from(snapshot.conf.instances[*m].name.as_str()));
        Value::object().with("name", group.name.as_str()).with("state", it.state.to_string()).with("members", members.collect::<Vec<_>>())
    };
    let pace = &snapshot.pace;
    Value::object()
        .with("version", env!("CARGO_PKG_VERSION"))
        .with("since", pace.since.map(|at| Value::seconds(at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default())))
        .with("reloads", pace.reloads)
        .with("refused_reloads", pace.refused)
        .with("late_timers", pace.late)
        .with("latest", Value::seconds(pace.latest))
        .with("instances", snapshot.instances().map(instance).collect::<Vec<_>>())
        .with("groups", snapshot.conf.groups.iter().zip(&snapshot.groups).map(group).collect::<Vec<_>>())
}
