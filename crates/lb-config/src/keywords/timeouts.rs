//! `timeout` lines of proxies, and their spelling of 1.4. Source: manual 4.2.

use super::{Context, Keyword, Parser, Sections, State};
use crate::diag::Problem;
use crate::model::Timeouts;
use crate::parse::{Line, ProxyCx};
use std::time::Duration;

type Outcome = Result<(), Problem>;
type Function = fn(&mut ProxyCx<'_, '_>, &Line<'_>) -> Outcome;

const fn timeout(name: &'static str, sections: Sections, doc: &'static str, parser: Function) -> Keyword {
    Keyword::new(Context::Proxy, name, "<time>", doc, State::Works, Parser::Proxy(parser)).sections(sections)
}

const fn old(name: &'static str, sections: Sections, today: &'static str, doc: &'static str, parser: Function) -> Keyword {
    Keyword::new(Context::Proxy, name, "<time>", doc, State::Old(today), Parser::Proxy(parser)).sections(sections)
}

pub(super) const KEYWORDS: &[Keyword] = &[
    timeout("timeout connect", Sections::D_L_B, "time for a connection to a server to be established", connect),
    timeout("timeout client", Sections::D_F_L, "inactivity of the client", client),
    timeout("timeout server", Sections::D_L_B, "inactivity of the server", server),
    timeout("timeout client-fin", Sections::D_F_L, "inactivity of a client that has half closed", client_fin),
    timeout("timeout server-fin", Sections::D_L_B, "inactivity of a server that has half closed", server_fin),
    timeout("timeout tunnel", Sections::D_L_B, "inactivity of both sides of a tunnel", tunnel),
    timeout("timeout queue", Sections::D_L_B, "wait for a server's slot", queue),
    timeout("timeout http-request", Sections::D_F_L_B, "time for a complete request head", http_request),
    timeout("timeout http-keep-alive", Sections::D_F_L_B, "wait for the next request", http_keep_alive),
    timeout("timeout check", Sections::D_L_B, "time for the answer of a check", check),
    timeout("timeout tarpit", Sections::D_F_L_B, "time that a tarpitted client waits", tarpit),
    old("contimeout", Sections::D_L_B, "timeout connect <value>", "time for a connection to a server", connect),
    old("clitimeout", Sections::D_F_L, "timeout client <value>", "inactivity of the client", client),
    old("srvtimeout", Sections::D_L_B, "timeout server <value>", "inactivity of the server", server),
    old("timeout contimeout", Sections::D_L_B, "timeout connect <value>", "time for a connection to a server", connect),
    old("timeout clitimeout", Sections::D_F_L, "timeout client <value>", "inactivity of the client", client),
    old("timeout srvtimeout", Sections::D_L_B, "timeout server <value>", "inactivity of the server", server),
];

/// Reads the value; 0 means no limit.
fn set(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>, slot: fn(&mut Timeouts) -> &mut Option<Duration>) -> Outcome {
    let value = line.time(0, Duration::from_millis(1))?;
    line.end(1)?;
    if let Some(first) = cx.draft.said_here(line.keyword.name) {
        let message = format!("'{}' was already given in this section; this one counts", line.keyword.name);
        let help = Some(format!("the first one is on line {}; remove one of them", first.line));
        // haproxy warns of it in proxies alone.
        if cx.draft.is_defaults() { cx.world.notice(line.span(), message, help) } else { cx.world.warn(line.span(), message, help) }
    }
    *slot(&mut cx.draft.proxy.timeouts) = Some(value).filter(|value| !value.is_zero());
    Ok(())
}

fn connect(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    set(cx, line, |timeouts| &mut timeouts.connect)
}

fn client(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    set(cx, line, |timeouts| &mut timeouts.client)
}

fn server(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    set(cx, line, |timeouts| &mut timeouts.server)
}

fn client_fin(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    set(cx, line, |timeouts| &mut timeouts.client_fin)
}

fn server_fin(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    set(cx, line, |timeouts| &mut timeouts.server_fin)
}

fn tunnel(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    set(cx, line, |timeouts| &mut timeouts.tunnel)
}

fn queue(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    set(cx, line, |timeouts| &mut timeouts.queue)
}

fn http_request(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    set(cx, line, |timeouts| &mut timeouts.http_request)
}

fn http_keep_alive(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    set(cx, line, |timeouts| &mut timeouts.http_keep_alive)
}

fn check(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    set(cx, line, |timeouts| &mut timeouts.check)
}

fn tarpit(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    set(cx, line, |timeouts| &mut timeouts.tarpit)
}
