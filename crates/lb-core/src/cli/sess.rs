//! Commands about streams: which there are, and to end them.

use super::command::Command;
use super::{Answer, Cx, Outcome, ask_all, error};
use crate::client::Client;
use crate::ending::{end, end_at};
use lb_config::{CliLevel, Mode};
use lb_expr::Cause;
use lb_sys::Addr;
use std::fmt::Write as _;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "show sess",
        args: "[<id>]",
        doc: "streams that are under way, or one of them",
        level: CliLevel::Operator,
        run: show_sess,
    },
    Command { name: "shutdown session", args: "<id>", doc: "ends a stream", level: CliLevel::Admin, run: shutdown_session },
];

/// A number as `show sess` writes it, with or without `0x`.
fn id(text: &str) -> u64 {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u64::from_str_radix(digits, 16).unwrap_or(0)
}

fn shutdown_session(cx: &mut Cx<'_>) -> Outcome {
    const WANTED: &str = "Session pointer expected (use 'show sess').\n";
    let wanted = id(cx.arg(0));
    if wanted == 0 {
        return Err(error(WANTED));
    }
    let worker = cx.worker.clone();
    Ok(Answer::Later(Box::pin(async move {
        let ended = ask_all(&worker, move |worker| {
            let found = worker.clients.all().into_iter().find(|c| c.stream.get() == wanted);
            found.inspect(|client| end(worker, client, Cause::Killed)).is_some()
        });
        if ended.await.contains(&true) { Ok(Answer::Done) } else { Err(error("No such session (use 'show sess').\n")) }
    })))
}

/// `shutdown sessions server`
pub(super) fn shutdown_server(cx: &mut Cx<'_>) -> Outcome {
    let (backend, server) = super::servers::named(cx)?;
    let (backend, worker) = (backend.index, cx.worker.clone());
    Ok(Answer::Later(Box::pin(async move {
        ask_all(&worker, move |worker| end_at(worker, backend, server, Cause::Killed)).await;
        Ok(Answer::Done)
    })))
}

fn show_sess(cx: &mut Cx<'_>) -> Outcome {
    let one = match cx.arg(0) {
        "" | "all" => None,
        text => Some(id(text)),
    };
    let detailed = !cx.arg(0).is_empty();
    let worker = cx.worker.clone();
    Ok(Answer::Later(Box::pin(async move {
        let lists = ask_all(&worker, move |worker| {
            let streams = worker.clients.all().into_iter().filter(|c| c.stream.get() != 0 && one.is_none_or(|id| id == c.stream.get()));
            streams.map(|client| (client.stream.get(), describe(&client, detailed))).collect::<Vec<_>>()
        });
        let mut streams: Vec<(u64, String)> = lists.await.into_iter().flatten().collect();
        if streams.is_empty() && one.is_some() {
            return Ok(Answer::Text("Session not found.\n".into()));
        }
        streams.sort_unstable_by_key(|(id, _)| *id);
        let mut streams = streams.into_iter();
        Ok(Answer::Rows(Box::new(move |out| {
            let Some((_, text)) = streams.next() else { return false };
            out.push_str(&text);
            true
        })))
    })))
}

/// A stream in one line, or in some.
fn describe(client: &Client, detailed: bool) -> String {
    let worker = client.worker();
    let frontend = client.frontend();
    let topology = &worker.process.topology;
    let (backend, server) = client.place_of_stream();
    let backend = backend.and_then(|index| topology.backends.get(index));
    let server = backend.zip(server).and_then(|(backend, id)| backend.servers().get(id as usize)).filter(|s| !s.implicit);
    let (proto, source) = match &client.peer {
        Addr::Ip(ip) if ip.is_ipv4() => ("tcpv4", ip.to_string()),
        Addr::Ip(ip) => ("tcpv6", format!("{}:{}", ip.ip(), ip.port())),
        _ => ("unix_stream", format!("unix:{}", client.place.listener_id)),
    };
    let age = worker.rt.nanos().saturating_sub(client.since.get()) / 1_000_000_000;
    let backend_name = backend.map_or("<NONE>", |b| b.name());
    let server_name = server.map_or("<none>", |s| s.name());
    let mut out = format!("0x{:x}: proto={proto} src", client.stream.get());
    if !detailed {
        let _ = writeln!(out, "={source} fe={} be={backend_name} srv={server_name} age={}", frontend.name(), human(age));
        return out;
    }
    let mode = |mode| if mode == Mode::Http { "http" } else { "tcp" };
    let _ = writeln!(out, "={source} age={}", human(age));
    let _ = writeln!(
        out,
        "  frontend={} (id={} mode={}), listener={} (id={})",
        frontend.name(),
        frontend.settings.id,
        mode(frontend.settings.mode),
        client.place.listener_name,
        client.place.listener_id
    );
    match backend {
        Some(b) => drop(writeln!(out, "  backend={} (id={} mode={})", b.name(), b.settings.id, mode(b.settings.mode))),
        None => out.push_str("  backend=<NONE> (id=-1 mode=-)\n"),
    }
    match server {
        Some(s) => drop(writeln!(out, "  server={} (id={}) addr={}", s.name(), s.settings.id, crate::stats::address(&s.destination()))),
        None => out.push_str("  server=<NONE> (id=-1)\n"),
    }
    out
}

/// Seconds in the two largest units that they fill.
fn human(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds % 86_400 / 3600, seconds % 3600 / 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, ..) => format!("{hours}h{minutes}m"),
        _ => format!("{days}d{hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!([id("0x1f"), id("1F"), id("0xzz"), id(""), id("foo")], [31, 31, 0, 0, 0]);
        assert_eq!([5, 65, 3700, 90_000].map(human), ["5s", "1m5s", "1h1m", "1d1h"]);
    }
}
