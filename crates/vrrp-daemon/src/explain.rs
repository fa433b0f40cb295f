//! `vrrpd explain`: an election on given priorities, without a net: what this router's priority comes to, who would be master, and when
//! another one takes over.

use crate::conf::model::{Conf, InstanceConf};
use crate::track::Object;
use std::fmt::Write;
use std::net::IpAddr;
use std::time::Instant;
use vrrp::{Event, Instance, State, Status, Weight};

/// What is supposed.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// Instances; all if empty.
    pub instances: Vec<String>,
    /// The other routers with their priorities.
    pub peers: Vec<(IpAddr, u8)>,
    /// Interfaces, scripts and processes that are down; all others are up.
    pub down: Vec<String>,
    /// Numbers in tracked files; 0 in all others.
    pub values: Vec<(String, i64)>,
}

impl Question {
    fn status(&self, object: &Object) -> Status {
        match object {
            Object::File(name) => Status::Value(self.values.iter().find(|(file, _)| file == name).map_or(0, |(_, value)| *value)),
            other if self.down.iter().any(|name| name == other.name()) => Status::Down,
            _ => Status::Up,
        }
    }

    /// Names that nothing has: a word of the question that changes no answer is a mistake.
    fn unknown(&self, conf: &Conf) -> Vec<String> {
        let tracked =
            conf.instances.iter().flat_map(|it| conf.tracks_of(&it.watch)).chain(conf.groups.iter().flat_map(|g| conf.tracks_of(&g.watch)));
        let mut known: Vec<String> = tracked.map(|(object, _)| object.name().to_string()).collect();
        known.extend(conf.instances.iter().filter_map(|it| it.interface.clone()));
        let asked = self.down.iter().chain(self.values.iter().map(|(name, _)| name));
        let mut unknown: Vec<String> =
            asked.filter(|name| !known.contains(name)).map(|name| format!("nothing that is tracked is called {name}")).collect();
        let named = |name: &&String| !conf.instances.iter().any(|it| it.name == **name);
        unknown.extend(self.instances.iter().filter(named).map(|name| format!("there is no instance {name}")));
        unknown
    }
}

/// The answer.
///
/// # Errors
/// Names in the question that the configuration does not have, or a configuration without instances.
pub fn answer(conf: &Conf, question: &Question, now: Instant) -> Result<String, String> {
    if conf.instances.is_empty() {
        return Err("there is no vrrp_instance in the file".into());
    }
    let unknown = question.unknown(conf);
    if !unknown.is_empty() {
        return Err(unknown.join("\n"));
    }
    let mut out = String::new();
    for it in conf.instances.iter().filter(|it| question.instances.is_empty() || question.instances.contains(&it.name)) {
        election(&mut out, conf, it, question, now);
    }
    Ok(out)
}

/// `script chk is up: +10`, for what adds or takes away something.
fn part(object: &Object, weight: Weight, status: Status, added: i32) -> String {
    let what = match object {
        Object::Interface(name) => format!("interface {name}"),
        Object::Script(name) => format!("script {name}"),
        Object::File(name) => format!("file {name}"),
        Object::Process(name) => format!("process {name}"),
    };
    let state = match status {
        Status::Up => "is up".into(),
        Status::Down => "is down".into(),
        Status::Value(value) => format!("says {value}"),
        Status::Unknown => "is unknown".into(),
    };
    let weight = if weight.value == 0 { "a fault if down".into() } else { format!("weight {}", weight.value) };
    format!("{added:+}  {what} {state} ({weight})")
}

/// One instance with these statuses, in the state before its first timer.
fn machine(config: vrrp::Config, statuses: &[Status], up: bool, now: Instant) -> Option<Instance> {
    let source = config.addresses.first().copied().or(Some(IpAddr::from([127, 0, 0, 1])));
    let mut it = Instance::new(config).ok()?;
    it.handle(now, Event::Interface { up, source });
    for (place, status) in statuses.iter().enumerate() {
        it.handle(now, Event::Track(place, *status));
    }
    it.handle(now, Event::Start);
    Some(it)
}

fn election(out: &mut String, conf: &Conf, it: &InstanceConf, question: &Question, now: Instant) {
    let group = conf.groups.iter().find(|g| g.members.iter().any(|m| conf.instances[*m].name == it.name));
    let mut tracks = conf.tracks_of(&it.watch);
    tracks.extend(group.into_iter().flat_map(|g| conf.tracks_of(&g.watch)));
    let statuses: Vec<Status> = tracks.iter().map(|(object, _)| question.status(object)).collect();
    let weights: Vec<Weight> = tracks.iter().map(|(_, weight)| *weight).collect();
    let config = it.config(&conf.global, weights.clone());
    let interface = it.interface.as_deref().unwrap_or("-");
    let up = it.interface.as_ref().is_none_or(|name| !question.down.contains(name));
    let _ = writeln!(out, "{} on {interface}, virtual router {}", it.name, config.vrid);
    let base = config.priority;
    let Some(instance) = machine(config.clone(), &statuses, up, now) else { return };
    // What one object adds is the difference that it makes alone.
    let _ = writeln!(out, "  priority {} = {base} in the file", instance.priority());
    for (at, (object, weight)) in tracks.iter().enumerate() {
        let alone = vrrp::Config { tracks: vec![*weight], ..config.clone() };
        let added = machine(alone, &statuses[at..=at], true, now).map_or(0, |one| i32::from(one.priority()) - i32::from(base));
        let _ = writeln!(out, "    {}", part(object, *weight, statuses[at], added));
    }
    if let Some(group) = group {
        let members: Vec<&str> = group.members.iter().map(|m| conf.instances[*m].name.as_str()).collect();
        let _ = writeln!(out, "  sync group {}: master only together with all of {}", group.name, members.join(", "));
    }
    if instance.state() == State::Fault {
        let why = match instance.impediment() {
            Some(vrrp::Cause::Tracked(which)) => {
                format!("{} counts as a fault", part(&tracks[which].0, weights[which], statuses[which], 0))
            }
            Some(cause) => cause.to_string(),
            None => "at fault".into(),
        };
        let _ = writeln!(out, "  this router is in FAULT: {}", why.trim_start_matches("+0  "));
    }
    verdict(out, &instance, question);
}

fn verdict(out: &mut String, instance: &Instance, question: &Question) {
    let (ours, config) = (instance.priority(), instance.config());
    // Between equals the higher address wins; what it is here the file does not say, so it is named.
    let best = question.peers.iter().max_by_key(|(address, priority)| (*priority, *address));
    let faulty = instance.state() == State::Fault;
    for (address, priority) in &question.peers {
        let _ = writeln!(out, "  {address} has priority {priority}");
    }
    match best {
        None if faulty => {}
        None => {
            let _ = writeln!(out, "  alone: MASTER {:.2} s after the start", instance.master_down().as_secs_f64());
        }
        Some((address, _)) if faulty => {
            let _ = writeln!(out, "  master: {address}");
        }
        Some((address, theirs)) if *theirs > ours => {
            let _ = writeln!(out, "  master: {address}, since {theirs} > {ours}");
        }
        Some((address, theirs)) if *theirs == ours => {
            let _ = writeln!(
                out,
                "  master: whoever is so already, {address} or this router, since both have {ours}; of two at once the one with the higher address stays"
            );
        }
        Some((address, theirs)) if !config.preempt => {
            let _ = writeln!(out, "  master: {address} if it is so already (nopreempt); else this router, since {ours} > {theirs}");
        }
        Some((address, theirs)) => {
            let delay = config.preempt_delay.as_secs_f64();
            let after = if delay > 0.0 { format!(", {delay} s after it has heard {address} (preempt_delay)") } else { String::new() };
            let _ = writeln!(out, "  master: this router, since {ours} > {theirs}{after}");
        }
    }
    if !faulty && best.is_some() {
        let (skew, down) = (instance.skew().as_secs_f64(), instance.master_down().as_secs_f64());
        let (times, interval) = (config.down_timer_adverts, config.advert_int.as_secs_f64());
        let _ = writeln!(
            out,
            "  as backup: it takes over {down:.3} s after the last advert of a master ({times} x {interval} s + skew {skew:.3} s), {skew:.3} s after a farewell"
        );
    }
}
