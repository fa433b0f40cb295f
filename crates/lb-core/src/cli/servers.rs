//! Commands that change servers.

use super::command::Command;
use super::{Answer, Cx, Message, Outcome, error};
use crate::health::{lock, operate, reweigh};
use crate::proxy::{Backend, Server};
use crate::server::CheckAt;
use crate::worker::{Moment, Process};
use lb_balance::ServerId;
use lb_check::Admin;
use lb_config::{CliLevel, Level, ServerAddress, ServerPort};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const fn admin(name: &'static str, args: &'static str, doc: &'static str, run: fn(&mut Cx<'_>) -> Outcome) -> Command {
    Command { name, args, doc, level: CliLevel::Admin, run }
}

pub(super) const COMMANDS: &[Command] = &[
    Command { name: "get weight", args: "<backend>/<server>", doc: "the share of a server", level: CliLevel::User, run: get_weight },
    admin("set weight", "<backend>/<server> <weight>[%]", "changes the share of a server", |cx| {
        let (backend, id) = named(cx)?;
        set_weight(&cx.worker.process, cx.worker.moment(), &backend, id, cx.arg(1))
    }),
    admin("enable server", "<backend>/<server>", "ends maintenance and drain", |cx| wish(cx, Admin::Ready)),
    admin("disable server", "<backend>/<server>", "begins maintenance", |cx| wish(cx, Admin::Maint)),
    admin("enable health", "<backend>/<server>", "goes on with the checks of a server", |cx| checks(cx, false)),
    admin("disable health", "<backend>/<server>", "stops the checks of a server", |cx| checks(cx, true)),
    admin("enable agent", "<backend>/<server>", "goes on with the agent checks of a server", |cx| agents(cx, true)),
    admin("disable agent", "<backend>/<server>", "stops the agent checks of a server", |cx| agents(cx, false)),
    admin("set server", "<backend>/<server> <what> <value>", "changes state, share, address, check of a server", set_server),
    admin("set maxconn server", "<backend>/<server> <number>", "changes how many streams a server takes at once", maxconn),
    admin("shutdown sessions server", "<backend>/<server>", "ends all streams that a server has", super::sess::shutdown_server),
];

/// The server that the first argument names.
pub(super) fn named(cx: &Cx<'_>) -> Result<(Arc<Backend>, ServerId), Message> {
    let (backend, server) = cx.arg(0).split_once('/').ok_or_else(|| error("Require 'backend/server'.\n"))?;
    let backend = cx.worker.process.topology.backends.iter().find(|b| b.name() == backend).ok_or_else(|| error("No such backend.\n"))?;
    let server = backend.servers().iter().find(|s| !s.implicit && s.name() == server).ok_or_else(|| error("No such server.\n"))?;
    Ok((backend.clone(), server.id))
}

fn get_weight(cx: &mut Cx<'_>) -> Outcome {
    let (backend, id) = named(cx)?;
    let server = backend.server(id);
    Ok(Answer::Text(format!("{} (initial {})\n", server.weight.load(Ordering::Relaxed), server.settings.weight)))
}

/// What `strtol(3)` reads at the front of a text, and the rest.
fn leading(text: &str) -> Option<(i64, &str)> {
    let trimmed = text.trim_start();
    let digits = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
    let end = trimmed.len() - digits.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let limit = if trimmed.starts_with('-') { i64::MIN } else { i64::MAX };
    Some((trimmed[..end].parse().unwrap_or(limit), &trimmed[end..]))
}

/// Changes a server's share: a number, or a percentage of what the file says. For agents, too.
pub(crate) fn set_weight(process: &Process, moment: Moment, backend: &Arc<Backend>, id: ServerId, text: &str) -> Outcome {
    const MAX: i64 = 256;
    if text.is_empty() {
        return Err(error("Require <weight> or <weight%>.\n"));
    }
    let (number, rest) = leading(text).ok_or_else(|| error("Empty weight string empty or preceded by garbage"))?;
    let weight = match rest {
        "%" if number < 0 => return Err(error("Relative weight must be positive.\n")),
        "%" => (i64::from(backend.server(id).settings.weight).saturating_mul(number) / 100).min(MAX),
        "" if (0..=MAX).contains(&number) => number,
        "" => return Err(error("Absolute weight can only be between 0 and 256 inclusive.\n")),
        _ => return Err(error("Trailing garbage in weight string")),
    };
    match reweigh(process, moment, backend, id, weight as u16) {
        Ok(()) => Ok(Answer::Done),
        Err(_) => Err(error("Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.\n")),
    }
}

fn wish(cx: &mut Cx<'_>, wish: Admin) -> Outcome {
    let (backend, id) = named(cx)?;
    operate(&cx.worker.process, cx.worker.moment(), &backend, id, wish);
    Ok(Answer::Done)
}

fn checks(cx: &mut Cx<'_>, stop: bool) -> Outcome {
    let (backend, id) = named(cx)?;
    let server = backend.server(id);
    if server.settings.check.is_none() && !stop {
        return Err(error("Health check was not configured on this server, cannot enable.\n"));
    }
    server.checks_stopped.store(stop, Ordering::Relaxed);
    lock(&server.health).set_checked(server.is_checked());
    Ok(Answer::Done)
}

fn maxconn(cx: &mut Cx<'_>) -> Outcome {
    let (backend, id) = named(cx)?;
    set_maxconn(&backend, id, cx.arg(1))
}

/// Changes how many streams a server takes at once. For agents, too.
pub(crate) fn set_maxconn(backend: &Arc<Backend>, id: ServerId, text: &str) -> Outcome {
    if text.is_empty() {
        return Err(error("Require <maxconn>.\n"));
    }
    let (number, rest) = leading(text).ok_or_else(|| error("maxconn string empty or preceded by garbage"))?;
    if !rest.is_empty() {
        return Err(error("Trailing garbage in maxconn string"));
    }
    // As in the file, 0 is no limit; so is what is less.
    backend.set_maxconn(id, u32::try_from(number).ok().filter(|n| *n > 0));
    Ok(Answer::Done)
}

const USAGE: &str = "usage: set server <backend>/<server> addr | agent | agent-addr | agent-port | agent-send | check-addr | check-port | fqdn | health | ssl | state | weight\n";

/// `set server <backend>/<server> <what> …`
fn set_server(cx: &mut Cx<'_>) -> Outcome {
    let (backend, id) = named(cx)?;
    let value = cx.arg(2).to_owned();
    match cx.arg(1) {
        "weight" => set_weight(&cx.worker.process, cx.worker.moment(), &backend, id, &value),
        "state" => match value.as_str() {
            "ready" => wish(cx, Admin::Ready),
            "drain" => wish(cx, Admin::Drain),
            "maint" => wish(cx, Admin::Maint),
            _ => Err(error("'set server <srv> state' expects 'ready', 'drain' and 'maint'.\n")),
        },
        "health" if tracks(&backend, id) => Err(error("cannot change health on a tracking server.\n")),
        "health" => match value.as_str() {
            "up" => wish(cx, Admin::ForceUp),
            "stopping" => wish(cx, Admin::ForceStopping),
            "down" => wish(cx, Admin::ForceDown),
            _ => Err(error("'set server <srv> health' expects 'up', 'stopping', or 'down'.\n")),
        },
        "agent" | "agent-addr" | "agent-port" | "agent-send" => set_agent(cx, &backend, id, &value),
        "check-addr" if value.is_empty() => Err(error("set server <b>/<s> check-addr requires an address and optionally a port.\n")),
        "check-addr" => set_check(backend.server(id), Some(&value), (cx.arg(3) == "port").then(|| cx.arg(4))),
        "check-port" if value.is_empty() => Err(error("set server <b>/<s> check-port requires a port.\n")),
        "check-port" => set_check(backend.server(id), None, Some(&value)),
        "addr" if value.is_empty() => Err(error("set server <b>/<s> addr requires an address and optionally a port.\n")),
        "addr" => {
            let port = (cx.arg(3) == "port").then(|| cx.arg(4).to_owned());
            set_address(cx, &backend, id, &value, port.as_deref())
        }
        "fqdn" if value.is_empty() => Err(error("set server <b>/<s> fqdn requires a FQDN.\n")),
        "fqdn" => Err(error("set server <b>/<s> fqdn failed because no resolution is configured.\n")),
        "ssl" => Err(error("'set server <srv> ssl' cannot be set.  default-server should define ssl settings\n")),
        _ => Err(error(USAGE)),
    }
}

/// `enable agent`, `disable agent`
fn agents(cx: &mut Cx<'_>, on: bool) -> Outcome {
    let (backend, id) = named(cx)?;
    let server = backend.server(id);
    if on && server.watched.agent.is_none() {
        return Err(error("Agent was not configured on this server, cannot enable.\n"));
    }
    lock(&server.health).set_agent_enabled(on);
    Ok(Answer::Done)
}

/// `agent up|down`, `agent-addr <ip> [port <port>]`, `agent-port <port>`, `agent-send <text>`
fn set_agent(cx: &mut Cx<'_>, backend: &Arc<Backend>, id: ServerId, value: &str) -> Outcome {
    let server = backend.server(id);
    let enabled = lock(&server.health).agent().is_some();
    let agent = server.watched.agent.as_ref().filter(|_| enabled);
    match (cx.arg(1), agent) {
        ("agent-addr", _) if value.is_empty() => Err(error("set server <b>/<s> agent-addr requires an address and optionally a port.\n")),
        ("agent-port", _) if value.is_empty() => Err(error("set server <b>/<s> agent-port requires a port.\n")),
        ("agent-addr" | "agent-port", None) => Err(warning("agent checks are not enabled on this server")),
        (_, None) => Err(error("agent checks are not enabled on this server.\n")),
        ("agent", Some(_)) => match value {
            "up" => wish(cx, Admin::AgentUp),
            "down" => wish(cx, Admin::AgentDown),
            _ => Err(error("'set server <srv> agent' expects 'up' or 'down'.\n")),
        },
        ("agent-send", Some(agent)) => {
            lock(&agent.at).send = value.as_bytes().into();
            Ok(Answer::Done)
        }
        ("agent-port", Some(agent)) => {
            lock(&agent.at).port = check_port(value)?;
            Ok(Answer::Done)
        }
        (_, Some(agent)) => {
            let address = value.parse::<IpAddr>().map_err(|_| warning(format!("invalid addr '{value}'")))?;
            let port = if cx.arg(3) == "port" { Some(check_port(cx.arg(4))?) } else { None };
            let mut at = lock(&agent.at);
            at.address = Some(address);
            at.port = port.unwrap_or(at.port);
            Ok(Answer::Done)
        }
    }
}

fn tracks(backend: &Backend, id: ServerId) -> bool {
    backend.server(id).settings.track().is_some()
}

fn warning(text: impl Into<Cow<'static, str>>) -> Message {
    Message(Level::Warning, text.into())
}

/// Where a server is checked: an address, a port, or both.
fn set_check(server: &Server, address: Option<&str>, port: Option<&str>) -> Outcome {
    if server.settings.check.is_none() {
        return Err(warning("health checks are not enabled on this server"));
    }
    let address = address.map(|text| text.parse::<IpAddr>().map_err(|_| warning(format!("invalid addr '{text}'")))).transpose()?;
    let port = port.map(check_port).transpose()?;
    let mut at = lock(&server.check_at);
    *at = CheckAt { address: address.or(at.address), port: port.or(at.port).filter(|port| *port != 0) };
    Ok(Answer::Done)
}

fn check_port(text: &str) -> Result<u16, Message> {
    match leading(text) {
        Some((number, "")) => u16::try_from(number).map_err(|_| warning("provided port is invalid")),
        _ => Err(warning("provided port is not an integer")),
    }
}

/// `addr <ip> [port <port>]`: says what has changed.
fn set_address(cx: &Cx<'_>, backend: &Arc<Backend>, id: ServerId, ip: &str, port: Option<&str>) -> Outcome {
    const BY: &str = " by 'stats socket command'\n";
    let server = backend.server(id);
    let Ok(new_ip) = ip.parse::<IpAddr>() else {
        return Err(warning(format!("Invalid addr '{ip}'{BY}")));
    };
    let old = server.destination();
    let (old_ip, old_port) = match &old {
        ServerAddress::Ip { ip, port } => (Some(*ip), Some(*port)),
        ServerAddress::Unix(_) | ServerAddress::Pair(_) => (None, None),
    };
    let mut told = match old_ip {
        Some(old) if old == new_ip => "no need to change the addr".to_owned(),
        Some(old) => format!("IP changed from '{old}' to '{new_ip}'"),
        None => format!("IP changed from '-' to '{new_ip}'"),
    };
    let mut new_port = old_port.unwrap_or(ServerPort::Fixed(0));
    if let Some(text) = port {
        let _ = write!(told, ", {}", change_port(server, &mut new_port, text));
    }
    let new = ServerAddress::Ip { ip: new_ip, port: new_port };
    if new != old {
        backend.set_address(id, new);
        // Connections to the old place serve nobody any more.
        let pool_index = server.pool_index;
        cx.worker.process.everywhere(move |worker| worker.pools.forget(pool_index));
    }
    Err(warning(told + BY))
}

/// Changes the port, or says why not.
fn change_port(server: &Server, port: &mut ServerPort, text: &str) -> String {
    let relative = text.starts_with(['+', '-']);
    let Some((number, "")) = leading(text) else {
        return format!("problem converting port '{text}' to an int");
    };
    let new = if relative {
        if server.settings.check.is_some() && lock(&server.check_at).port.is_none() {
            return "can't change <port> to port map because it is incompatible with current health check port configuration (use 'port' \
                    statement from the 'server' directive."
                .into();
        }
        i32::try_from(number).ok().filter(|n| n.unsigned_abs() < 65_536).map(ServerPort::Offset)
    } else {
        u16::try_from(number).ok().map(ServerPort::Fixed)
    };
    let Some(new) = new else { return format!("problem converting port '{text}' to an int") };
    if new == *port {
        return "no need to change the port".into();
    }
    let shown = |port: ServerPort| match port {
        ServerPort::Fixed(port) => port.to_string(),
        ServerPort::Offset(offset) => format!("{offset:+}"),
    };
    let told = format!("port changed from '{}' to '{}'", shown(*port), shown(new));
    *port = new;
    told
}
