//! Commands that show what runs.

use super::command::Command;
use super::{Answer, Cx, Outcome, ask_all, error};
use crate::health::lock;
use crate::proxy::{Backend, Server, ServerState};
use crate::stats::{self, Facts, Format, Scope, ThreadInfo};
use crate::worker::Process;
use lb_check::{Status, Verdict};
use lb_config::{CliLevel, ServerAddress, ServerPort};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

pub(super) const COMMANDS: &[Command] = &[
    Command { name: "show backend", args: "", doc: "names of the backends", level: CliLevel::User, run: show_backend },
    Command { name: "show info", args: "[json|typed]", doc: "figures of the process", level: CliLevel::User, run: show_info },
    Command {
        name: "show servers conn",
        args: "[<backend>]",
        doc: "connections to the servers",
        level: CliLevel::User,
        run: show_connections,
    },
    Command {
        name: "show servers state",
        args: "[<backend>]",
        doc: "states of the servers, as a state file has them",
        level: CliLevel::User,
        run: show_states,
    },
    Command {
        name: "show stat",
        args: "[<proxy> <type> <server>] [json|typed|up|no-maint]*",
        doc: "counters of frontends, servers, backends",
        level: CliLevel::User,
        run: show_stat,
    },
];

fn show_backend(cx: &mut Cx<'_>) -> Outcome {
    let process = cx.worker.process.clone();
    let mut next = 0;
    Ok(rows("# name\n", move |out| {
        let Some(backend) = process.topology.backends.get(next) else { return false };
        next += 1;
        let _ = writeln!(out, "{}", backend.name());
        true
    }))
}

/// Rows behind a head.
fn rows(head: impl Into<String>, mut next: impl FnMut(&mut String) -> bool + 'static) -> Answer {
    let mut head = head.into();
    Answer::Rows(Box::new(move |out| {
        out.push_str(&std::mem::take(&mut head));
        next(out)
    }))
}

fn format(args: &[String]) -> Format {
    let has = |word: &str| args.iter().any(|a| a == word);
    if has("json") {
        Format::Json
    } else if has("typed") {
        Format::Typed
    } else {
        Format::Plain
    }
}

fn show_info(cx: &mut Cx<'_>) -> Outcome {
    let (worker, cli, format) = (cx.worker.clone(), cx.cli.clone(), format(cx.args));
    Ok(Answer::Later(Box::pin(async move {
        let threads = ask_all(&worker, |worker| ThreadInfo::new(worker)).await;
        let facts = Facts {
            node: cli.node.as_deref(),
            description: cli.description.as_deref(),
            sockets: cli.sockets.len(),
            dropped_logs: (cli.dropped_logs)(),
        };
        let items = stats::info(&worker.process, &mut cli.rates.borrow_mut(), &threads, &facts, worker.rt.now());
        let mut out = String::new();
        for (n, item) in items.iter().enumerate() {
            if format == Format::Json {
                out.push(if n == 0 { '[' } else { ',' });
            }
            stats::write_item(&mut out, item, format);
        }
        if format == Format::Json {
            out.push_str("]\n");
        }
        Ok(Answer::Text(out))
    })))
}

fn show_stat(cx: &mut Cx<'_>) -> Outcome {
    let mut args = cx.args;
    if let [word, domain, rest @ ..] = args
        && word == "domain"
    {
        if domain != "proxy" {
            return Err(error("Invalid statistics domain.\n"));
        }
        args = rest;
    }
    let process = cx.worker.process.clone();
    let has = |word: &str| args.iter().any(|a| a == word);
    let mut scope = Scope { proxy: None, kinds: -1, server: None, up: has("up"), no_maintenance: has("no-maint") };
    if let [proxy, kinds, server, ..] = args {
        scope.proxy = proxy_id(&process, proxy)?;
        scope.kinds = number(kinds);
        scope.server = u32::try_from(number(server)).ok();
    }
    let leaves_out = scope.up || scope.no_maintenance;
    let format = format(args);
    let mut parts = stats::parts(&process, &scope).into_iter();
    let (cli, now) = (cx.cli.clone(), cx.worker.rt.now());
    // Addresses and algorithms are not for everybody.
    let legends = cx.session.level >= CliLevel::Operator;
    let mut head = String::new();
    match format {
        Format::Plain => stats::header(&mut head),
        Format::Typed => {}
        Format::Json => head.push('['),
    }
    let mut first = true;
    Ok(rows(head, move |out| {
        let Some(part) = parts.next() else {
            if format == Format::Json {
                out.push_str("]\n");
            }
            return false;
        };
        if format == Format::Json && !std::mem::take(&mut first) {
            out.push(',');
        }
        let mut row = stats::row(&process, &mut cli.rates.borrow_mut(), &part, legends, now);
        if leaves_out {
            stats::tell_servers(&mut row, &part);
        }
        stats::write_row(out, &row, format);
        true
    }))
}

/// As `atoi(3)`, which haproxy reads such numbers by: what is none is 0.
pub(super) fn number(text: &str) -> i64 {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse::<i64>().map_or(0, |n| sign * n)
}

/// The `id` of a proxy that is named by it or by its name; `None`: all.
fn proxy_id(process: &Process, text: &str) -> Result<Option<u32>, super::Message> {
    if text.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        return Ok(u32::try_from(number(text)).ok());
    }
    let frontends = process.topology.frontends.iter().map(|f| (f.name(), f.settings.id));
    let backends = process.topology.backends.iter().map(|b| (b.name(), b.settings.id));
    match frontends.chain(backends).find(|(name, _)| *name == text) {
        Some((_, id)) => Ok(Some(id)),
        None => Err(error("No such proxy.\n")),
    }
}

/// A server with its backend.
type Listed = (Arc<Backend>, Arc<Server>);

/// All servers, or those of one backend.
fn servers(cx: &Cx<'_>) -> Result<Vec<Listed>, super::Message> {
    let all = &cx.worker.process.topology.backends;
    let name = cx.arg(0);
    if !name.is_empty() && !all.iter().any(|b| b.name() == name) {
        return Err(error("Can't find backend.\n"));
    }
    let chosen = all.iter().filter(|b| name.is_empty() || b.name() == name);
    let with_servers = chosen.flat_map(|b| b.servers().iter().filter(|s| !s.implicit).map(|s| (b.clone(), s.clone())));
    Ok(with_servers.collect())
}

/// Address and port apart, as these lists have them.
fn place(address: &ServerAddress) -> (String, u16) {
    match address {
        ServerAddress::Unix(_) | ServerAddress::Pair(_) => ("-".into(), 0),
        ServerAddress::Ip { ip, port: ServerPort::Fixed(port) } => (ip.to_string(), *port),
        ServerAddress::Ip { ip, port: ServerPort::Offset(offset) } => (ip.to_string(), *offset as u16),
    }
}

fn show_connections(cx: &mut Cx<'_>) -> Outcome {
    let mut servers = servers(cx)?.into_iter();
    let process = cx.worker.process.clone();
    let threads = process.counters.len();
    let head = format!(
        "# bkname/svname bkid/svid addr port - purge_delay used_cur used_max need_est unsafe_nb safe_nb idle_lim idle_cur idle_per_thr[{threads}]\n"
    );
    Ok(rows(head, move |out| {
        let Some((backend, server)) = servers.next() else { return false };
        let (address, port) = place(&server.destination());
        let (once, safe) = server.idle_by_use();
        let idle = once + safe;
        let limit = server.settings.pool.max_conn.map_or(-1, i64::from);
        let _ = write!(
            out,
            "{}/{} {}/{} {address} {port} - {} {} {} {} {once} {safe} {limit} {idle}",
            backend.name(),
            server.name(),
            backend.settings.id,
            server.settings.id,
            server.settings.pool.purge_delay.as_millis(),
            server.served.load(Ordering::Relaxed),
            server.most.load(Ordering::Relaxed),
            server.needed(),
        );
        for thread in 0..threads {
            let own = process.offers.count(thread, server.pool_index).unwrap_or(idle);
            let _ = write!(out, " {own}");
        }
        out.push('\n');
        true
    }))
}

const STATE_HEAD: &str = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight \
srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id \
srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port\n";

fn show_states(cx: &mut Cx<'_>) -> Outcome {
    let mut servers = servers(cx)?.into_iter();
    let (process, now) = (cx.worker.process.clone(), cx.worker.rt.now());
    Ok(rows(STATE_HEAD, move |out| {
        let Some((backend, server)) = servers.next() else { return false };
        state_line(out, &process, &backend, &server, now);
        true
    }))
}

fn state_line(out: &mut String, process: &Process, backend: &Backend, server: &Server, now: Instant) {
    let health = lock(&server.health);
    let history = lock(&server.history);
    let since = process.since(history.changed, now).as_secs();
    let operational = match server.state() {
        ServerState::Down | ServerState::Maintenance => 0,
        _ if health.is_stopping() => 3,
        _ if server.warmth.is_warming() => 1,
        _ => 2,
    };
    let bit = |on: bool, value: u32| if on { value } else { 0 };
    let admin = bit(health.is_forced_maint(), 1)
        + bit(health.is_inherited_maint(), 2)
        + bit(server.settings.disabled, 4)
        + bit(health.is_forced_drain(), 8)
        + bit(health.is_inherited_drain(), 16);
    let configured = server.settings.check.is_some();
    let check_state = match (configured, health.in_maintenance()) {
        // A pause that no check ever ends.
        (false, _) if server.settings.disabled => 8,
        (false, _) => 0,
        (true, true) => 14,
        (true, false) if !server.is_checked() => 2,
        (true, false) => 6 + u32::from(history.checking),
    };
    let check = *lock(&server.check_at);
    let agent = server.watched.agent.as_ref().map(|agent| (lock(&agent.at).clone(), lock(&agent.history).checking));
    let agent_state = match (&agent, health.agent()) {
        (Some((_, checking)), Some(_)) => 22 + u32::from(*checking),
        (Some(_), None) => 18,
        (None, _) => 0,
    };
    // An agent without a place of its own has that of the check, in haproxy even one that there is not.
    let agent_port = agent.as_ref().map(|(at, _)| at.port).or(check.port).unwrap_or(0);
    let agent_ip = agent.and_then(|(at, _)| at.address).or(check.address);
    let ip = |ip: Option<IpAddr>| ip.map_or_else(|| "-".to_owned(), |ip| ip.to_string());
    let (address, port) = place(&server.destination());
    let result = history.last.as_ref().map_or(0, result_number);
    let level = if health.in_maintenance() { 0 } else { health.level() };
    let _ = writeln!(
        out,
        "{} {} {} {} {address} {operational} {admin} {} {} {since} {} {result} {level} {check_state} {agent_state} {} {} - {port} - 0 {} {} {} {}",
        backend.settings.id,
        backend.name(),
        server.settings.id,
        server.name(),
        server.weight.load(Ordering::Relaxed),
        server.settings.weight,
        status_number(health.status()),
        u32::from(backend.settings.has_own_id),
        u32::from(server.settings.has_own_id),
        check.port.unwrap_or(0),
        ip(check.address),
        ip(agent_ip),
        agent_port,
    );
}

/// A status by the number that state files have for it.
fn status_number(status: Status) -> u32 {
    match status {
        Status::Unknown => 0,
        Status::Checked => 3,
        Status::Hana => 4,
        Status::SockErr => 5,
        Status::L4Ok => 6,
        Status::L4Tout => 7,
        Status::L4Con => 8,
        Status::L6Ok => 9,
        Status::L6Tout => 10,
        Status::L6Rsp => 11,
        Status::L7Tout => 12,
        Status::L7Rsp => 13,
        Status::L7Ok => 15,
        Status::L7OkC => 16,
        Status::L7Sts => 17,
        Status::ProcErr => 18,
        Status::ProcTout => 19,
        Status::ProcOk => 20,
        _ => 1,
    }
}

/// The outcome of a check by its number in state files.
fn result_number(verdict: &Verdict) -> u32 {
    use lb_check::Outcome;
    match verdict.status.outcome() {
        Outcome::Neutral => 1,
        Outcome::Failed => 2,
        Outcome::Passed => 3,
        Outcome::Conditional => 4,
    }
}
