//! `option` lines of proxies that are read, and the keep-alive settings that belong to them. Source: manual 4.2.

use super::{Context, Keyword, Parser, Sections, State};
use crate::diag::Problem;
use crate::model::{ForwardFor, Forwarded, HttpConnectionMode, IpNet, OriginalTo, Redispatch, RestrictNames, TcpKeepAlive};
use crate::parse::{Draft, Line, Negation, ProxyCx};
use crate::tree::shown;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

type Outcome = Result<(), Problem>;
type Function = fn(&mut ProxyCx<'_, '_>, &Line<'_>) -> Outcome;

/// A switch that `no` may turn off.
const fn switch(name: &'static str, sections: Sections, doc: &'static str, parser: Function) -> Keyword {
    Keyword::new(Context::Proxy, name, "", doc, State::Works, Parser::Proxy(parser)).sections(sections).negatable()
}

const fn works(name: &'static str, sections: Sections, args: &'static str, doc: &'static str, parser: Function) -> Keyword {
    Keyword::new(Context::Proxy, name, args, doc, State::Works, Parser::Proxy(parser)).sections(sections)
}

const fn accepted(name: &'static str, sections: Sections, doc: &'static str, why: &'static str, parser: Function) -> Keyword {
    Keyword::new(Context::Proxy, name, "", doc, State::Accepted(why), Parser::Proxy(parser)).sections(sections).negatable()
}

const fn old(name: &'static str, sections: Sections, today: &'static str, doc: &'static str, parser: Function) -> Keyword {
    Keyword::new(Context::Proxy, name, "", doc, State::Old(today), Parser::Proxy(parser)).sections(sections).negatable()
}

const D_F_L_B: Sections = Sections::D_F_L_B;
const D_F_L: Sections = Sections::D_F_L;
const D_L_B: Sections = Sections::D_L_B;

pub(super) const KEYWORDS: &[Keyword] = &[
    switch("option http-keep-alive", D_F_L_B, "both connections stay open after a response (the default)", http_keep_alive),
    switch("option http-server-close", D_F_L_B, "the server's connection is closed after a response", http_server_close),
    switch("option httpclose", D_F_L_B, "both connections are closed after a response", httpclose),
    works(
        "option forwardfor",
        D_F_L_B,
        "[except <net>] [header <name>] [if-none]",
        "tells the server the client's address in X-Forwarded-For",
        forwardfor,
    )
    .http(),
    works(
        "option originalto",
        D_F_L_B,
        "[except <net>] [header <name>]",
        "tells the server in X-Original-To which address the client connected to",
        originalto,
    )
    .http(),
    works(
        "option forwarded",
        D_L_B,
        "[proto] [host] [by] [by_port] [for] [for_port]",
        "tells the server of the client in Forwarded (RFC 7239); without a word as with 'proto for'",
        forwarded,
    )
    .negatable()
    .http(),
    switch("option splice-auto", D_F_L_B, "splices where it pays", |cx, line| flag(cx, line, |o| &mut o.splice_auto)),
    switch("option splice-request", D_F_L_B, "splices what clients send", |cx, line| flag(cx, line, |o| &mut o.splice_request)),
    switch("option splice-response", D_F_L_B, "splices what servers send", |cx, line| flag(cx, line, |o| &mut o.splice_response)),
    works("option tcpka", D_F_L_B, "", "TCP keep-alive on both sides", tcpka),
    switch("option clitcpka", D_F_L, "TCP keep-alive towards clients", clitcpka),
    switch("option srvtcpka", D_L_B, "TCP keep-alive towards servers", srvtcpka),
    works("clitcpka-cnt", D_F_L, "<number>", "unanswered probes until a client counts as gone", clitcpka_cnt),
    works("clitcpka-idle", D_F_L, "<time>", "idle time before the first probe to a client", clitcpka_idle),
    works("clitcpka-intvl", D_F_L, "<time>", "time between probes to a client", clitcpka_intvl),
    works("srvtcpka-cnt", D_L_B, "<number>", "unanswered probes until a server's connection counts as gone", srvtcpka_cnt),
    works("srvtcpka-idle", D_L_B, "<time>", "idle time before the first probe to a server", srvtcpka_idle),
    works("srvtcpka-intvl", D_L_B, "<time>", "time between probes to a server", srvtcpka_intvl),
    switch("option nolinger", D_F_L_B, "connections end with a reset", |cx, line| flag(cx, line, |o| &mut o.nolinger)),
    switch("option abortonclose", D_L_B, "a request whose client has gone leaves the queue", |cx, line| {
        flag(cx, line, |o| &mut o.abortonclose)
    }),
    switch("option http-buffer-request", D_F_L_B, "waits for the request's body before choosing a server", |cx, line| {
        flag(cx, line, |o| &mut o.http_buffer_request)
    })
    .http(),
    switch(
        "option http-use-proxy-header",
        D_F_L,
        "a client whose target is no path is asked for its password as by a proxy",
        |cx, line| flag(cx, line, |o| &mut o.http_use_proxy_header),
    )
    .http(),
    switch("option http-ignore-probes", D_F_L, "connections without a request are neither answered nor logged", |cx, line| {
        flag(cx, line, |o| &mut o.http_ignore_probes)
    })
    .http(),
    switch("option accept-invalid-http-request", D_F_L, "takes requests with forbidden characters", |cx, line| {
        flag(cx, line, |o| &mut o.accept_invalid_http_request)
    })
    .http(),
    switch("option accept-invalid-http-response", D_L_B, "takes responses with forbidden characters", |cx, line| {
        flag(cx, line, |o| &mut o.accept_invalid_http_response)
    })
    .http(),
    switch("option accept-unsafe-violations-in-http-request", D_F_L, "today's word for accept-invalid-http-request", |cx, line| {
        flag(cx, line, |o| &mut o.accept_invalid_http_request)
    })
    .http(),
    switch("option accept-unsafe-violations-in-http-response", D_L_B, "today's word for accept-invalid-http-response", |cx, line| {
        flag(cx, line, |o| &mut o.accept_invalid_http_response)
    })
    .http(),
    accepted("option http-no-delay", D_F_L_B, "each piece goes out at once", "every piece goes out at once always", |cx, line| {
        flag(cx, line, |o| &mut o.http_no_delay)
    })
    .http(),
    switch("option h1-case-adjust-bogus-client", D_F_L, "responses' field names are spelled as 'h1-case-adjust' says", |cx, line| {
        flag(cx, line, |o| &mut o.h1_case_adjust_bogus_client)
    }),
    switch("option h1-case-adjust-bogus-server", D_L_B, "requests' field names are spelled as 'h1-case-adjust' says", |cx, line| {
        flag(cx, line, |o| &mut o.h1_case_adjust_bogus_server)
    }),
    switch("option http-drop-request-trailers", D_L_B, "trailers of requests are dropped", |cx, line| {
        flag(cx, line, |o| &mut o.http_drop_request_trailers)
    })
    .http(),
    switch("option http-drop-response-trailers", D_F_L, "trailers of responses are dropped", |cx, line| {
        flag(cx, line, |o| &mut o.http_drop_response_trailers)
    })
    .http(),
    switch("option http-pretend-keepalive", D_L_B, "servers are not told that their connection will be closed", |cx, line| {
        flag(cx, line, |o| &mut o.http_pretend_keepalive)
    })
    .http(),
    works(
        "option http-restrict-req-hdr-names",
        D_F_L_B,
        "preserve|delete|reject",
        "fields whose names hold other than letters, digits and '-'",
        restrict_names,
    ),
    switch("option independent-streams", D_F_L_B, "writing does not refresh the timeout of reading", |cx, line| {
        flag(cx, line, |o| &mut o.independent_streams)
    }),
    switch(
        "option idle-close-on-response",
        D_F_L,
        "a soft stop closes idle connections with their next response, not at once",
        |cx, line| flag(cx, line, |o| &mut o.idle_close_on_response),
    )
    .http(),
    switch("option prefer-last-server", D_L_B, "a client's next request goes to the same server where it can", |cx, line| {
        flag(cx, line, |o| &mut o.prefer_last_server)
    })
    .http(),
    switch("option allbackups", D_L_B, "all backup servers share the load, not the first alone", |cx, line| {
        flag(cx, line, |o| &mut o.allbackups)
    }),
    Keyword::new(
        Context::Proxy,
        "option redispatch",
        "[<interval>]",
        "a retry may go to another server",
        State::Works,
        Parser::Proxy(redispatch),
    )
    .sections(D_L_B)
    .negatable(),
    old("redispatch", D_L_B, "option redispatch", "a retry may go to another server", redispatch),
    old("redisp", D_L_B, "option redispatch", "a retry may go to another server", redispatch),
    old("option forceclose", D_F_L_B, "option httpclose", "both connections are closed after a response", httpclose),
    old("option independant-streams", D_F_L_B, "option independent-streams", "a spelling of 1.4", |cx, line| {
        flag(cx, line, |o| &mut o.independent_streams)
    }),
    old("option tcpsplice", D_F_L_B, "option splice-auto", "splices where it pays (1.3)", |cx, line| {
        flag(cx, line, |o| &mut o.splice_auto)
    }),
    switch("option dontlognull", D_F_L, "connections without data are not logged", |cx, line| flag(cx, line, |o| &mut o.dontlognull)),
    switch("option dontlog-normal", D_F_L, "what went well is not logged", |cx, line| flag(cx, line, |o| &mut o.dontlog_normal)),
    switch("option logasap", D_F_L, "lines are written before the transfer ends", |cx, line| flag(cx, line, |o| &mut o.logasap)),
    switch("option log-separate-errors", D_F_L, "errors are logged at a higher level", |cx, line| {
        flag(cx, line, |o| &mut o.log_separate_errors)
    }),
    switch("option log-health-checks", D_L_B, "each change of a check's result is logged", |cx, line| {
        flag(cx, line, |o| &mut o.log_health_checks)
    }),
    accepted(
        "option contstats",
        D_F_L,
        "counters move while a stream runs",
        "statistics get the bytes of a stream when it ends",
        |cx, line| flag(cx, line, |o| &mut o.contstats),
    ),
    accepted(
        "option socket-stats",
        D_F_L,
        "statistics for each listening address",
        "statistics have no lines for listeners",
        |cx, line| flag(cx, line, |o| &mut o.socket_stats),
    ),
    switch(
        "option tcp-smart-accept",
        D_F_L,
        "the answer acknowledges the request, not a packet of its own (the default in mode http)",
        smart_accept,
    ),
    switch("option tcp-smart-connect", D_L_B, "the request ends the handshake with the server, not a packet of its own", |cx, line| {
        flag(cx, line, |o| &mut o.tcp_smart_connect)
    }),
];

fn flag(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>, slot: fn(&mut crate::model::Options) -> &mut bool) -> Outcome {
    line.end(0)?;
    *slot(&mut cx.draft.proxy.options) = line.negation.value();
    Ok(())
}

fn http_mode(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>, mode: HttpConnectionMode) -> Outcome {
    line.end(0)?;
    let draft = &mut *cx.draft;
    if line.negation.value() {
        draft.proxy.options.http_mode = mode;
        draft.http_mode = line.keyword.name;
    } else if draft.http_mode == line.keyword.name {
        // Only the word that is set can be taken back: 'no option httpclose' leaves 'option forceclose' alone.
        draft.proxy.options.http_mode = HttpConnectionMode::KeepAlive;
        draft.http_mode = "";
    }
    Ok(())
}

fn http_keep_alive(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    http_mode(cx, line, HttpConnectionMode::KeepAlive)
}

fn http_server_close(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    http_mode(cx, line, HttpConnectionMode::ServerClose)
}

fn httpclose(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    http_mode(cx, line, HttpConnectionMode::Close)
}

fn forwardfor(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let mut value = ForwardFor::default();
    let mut at = 0;
    while let Some(word) = line.arg(at) {
        match word {
            "except" => {
                value.except = Some(need_network(line, at + 1)?);
                at += 2;
            }
            "header" => {
                let name = line.need(at + 1)?;
                value.header = header_name(line, at + 1, name)?;
                at += 2;
            }
            "if-none" => {
                value.if_none = true;
                at += 1;
            }
            other => {
                return Err(line
                    .problem(at, format!("'option forwardfor' does not take '{}'", shown(other)))
                    .help("it takes 'except <net>', 'header <name>' and 'if-none'"));
            }
        }
    }
    cx.draft.proxy.options.forwardfor = Some(value);
    Ok(())
}

fn originalto(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let mut value = OriginalTo { except: None, header: OriginalTo::DEFAULT_HEADER.into() };
    let mut at = 0;
    while let Some(word) = line.arg(at) {
        match word {
            "except" => value.except = Some(need_network(line, at + 1)?),
            "header" => value.header = header_name(line, at + 1, line.need(at + 1)?)?,
            other => {
                return Err(line
                    .problem(at, format!("'option originalto' does not take '{}'", shown(other)))
                    .help("it takes 'except <net>' and 'header <name>'"));
            }
        }
        at += 2;
    }
    cx.draft.proxy.options.originalto = Some(value);
    Ok(())
}

fn forwarded(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    if !line.negation.value() {
        line.end(0)?;
        cx.draft.proxy.options.forwarded = None;
        return Ok(());
    }
    let mut value = Forwarded::default();
    for (at, word) in (0..).map_while(|at| line.arg(at).map(|word| (at, word))) {
        let slot = match word {
            "proto" => &mut value.proto,
            "host" => &mut value.host,
            "by" => &mut value.by,
            "by_port" => &mut value.by_port,
            "for" => &mut value.r#for,
            "for_port" => &mut value.for_port,
            "host-expr" | "by-expr" | "by_port-expr" | "for-expr" | "for_port-expr" => {
                return Err(line
                    .problem(at, format!("'{word}' is known but not there yet in this version (samples)"))
                    .help("the words without '-expr' work"));
            }
            other => {
                return Err(line
                    .problem(at, format!("'option forwarded' does not take '{}'", shown(other)))
                    .help("it takes proto, host, by, by_port, for, for_port"));
            }
        };
        if std::mem::replace(slot, true) {
            return Err(line.problem(at, format!("'{word}' is given twice")).help("remove one of them"));
        }
    }
    if value == Forwarded::default() {
        value = Forwarded { proto: true, r#for: true, ..value };
    }
    for (port, of, word) in [(&mut value.by_port, value.by, "by"), (&mut value.for_port, value.r#for, "for")] {
        if *port && !of {
            *port = false;
            let message = format!("'{word}_port' has no effect without '{word}'");
            cx.world.warn(line.span(), message, Some(format!("add '{word}', or remove it")));
        }
    }
    cx.draft.proxy.options.forwarded = Some(value);
    Ok(())
}

/// A name that may stand in a message's head.
pub(super) fn header_name(line: &Line<'_>, at: usize, name: &str) -> Result<String, Problem> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !name.bytes().all(token) || name.len() > 255 {
        return Err(line
            .problem(at, format!("'{}' is not a header name", shown(name)))
            .help("header names are made of letters, digits and '-'"));
    }
    Ok(name.to_owned())
}

/// An argument that is a network.
pub(super) fn need_network(line: &Line<'_>, at: usize) -> Result<IpNet, Problem> {
    let text = line.need(at)?;
    network(text).ok_or_else(|| {
        line.problem(at, format!("'{}' is not a network", shown(text)))
            .help("write an address or <address>/<mask>, for example 127.0.0.0/8")
    })
}

/// `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `::1/128`, or one address.
fn network(text: &str) -> Option<IpNet> {
    let (address, mask) = match text.split_once('/') {
        Some((address, mask)) => (address, Some(mask)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    match (address, mask) {
        (IpAddr::V4(_), None) => IpNet::new(address, 32),
        (IpAddr::V6(_), None) => IpNet::new(address, 128),
        (IpAddr::V4(v4), Some(mask)) if mask.contains('.') => Some(IpNet::with_v4_mask(v4, mask.parse::<Ipv4Addr>().ok()?)),
        (_, Some(mask)) => IpNet::new(address, mask.parse().ok()?),
    }
}

fn tcpka(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    line.end(0)?;
    cx.draft.client_keepalive.0 = true;
    cx.draft.server_keepalive.0 = true;
    Ok(())
}

fn clitcpka(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    line.end(0)?;
    cx.draft.client_keepalive.0 = line.negation.value();
    Ok(())
}

fn srvtcpka(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    line.end(0)?;
    cx.draft.server_keepalive.0 = line.negation.value();
    Ok(())
}

fn probes(line: &Line<'_>) -> Result<Option<u32>, Problem> {
    let value = line.count(0, 0)?;
    line.end(1)?;
    Ok(Some(value).filter(|value| *value > 0))
}

/// A plain number is in seconds here; 0 leaves the system's value.
fn seconds(line: &Line<'_>) -> Result<Option<Duration>, Problem> {
    let value = line.time(0, Duration::from_secs(1))?;
    line.end(1)?;
    // The kernel takes whole seconds; haproxy rounds up.
    Ok(Some(Duration::from_secs(value.as_millis().div_ceil(1000) as u64)).filter(|value| !value.is_zero()))
}

fn clitcpka_cnt(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.draft.client_keepalive.1.count = probes(line)?;
    Ok(())
}

fn clitcpka_idle(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.draft.client_keepalive.1.idle = seconds(line)?;
    Ok(())
}

fn clitcpka_intvl(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.draft.client_keepalive.1.interval = seconds(line)?;
    Ok(())
}

fn srvtcpka_cnt(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.draft.server_keepalive.1.count = probes(line)?;
    Ok(())
}

fn srvtcpka_idle(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.draft.server_keepalive.1.idle = seconds(line)?;
    Ok(())
}

fn srvtcpka_intvl(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.draft.server_keepalive.1.interval = seconds(line)?;
    Ok(())
}

/// Puts switches and settings of TCP keep-alive together, once the section is complete.
pub(crate) fn finish_keepalive(draft: &mut Draft) {
    let value = |(on, settings): (bool, TcpKeepAlive)| on.then_some(settings);
    draft.proxy.options.client_keepalive = value(draft.client_keepalive);
    draft.proxy.options.server_keepalive = value(draft.server_keepalive);
}

fn restrict_names(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let choices = [("preserve", RestrictNames::Preserve), ("delete", RestrictNames::Delete), ("reject", RestrictNames::Reject)];
    cx.draft.proxy.options.http_restrict_req_hdr_names = Some(line.choice(0, &choices)?);
    line.end(1)
}

fn redispatch(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    if !line.negation.value() {
        cx.draft.proxy.redispatch = None;
        return Ok(());
    }
    let interval = if line.arg(0).is_some() { line.number(0, -1000..=1000)? } else { -1 };
    line.end(1)?;
    let count = u32::try_from(interval.unsigned_abs()).unwrap_or(u32::MAX);
    cx.draft.proxy.redispatch = match interval {
        0 => None,
        1.. => Some(Redispatch::Every(count)),
        _ => Some(Redispatch::BeforeLast(count)),
    };
    Ok(())
}

/// `default` gives the choice back to the proxy.
fn smart_accept(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    line.end(0)?;
    cx.draft.proxy.options.tcp_smart_accept = (line.negation != Negation::Default).then(|| line.negation.value());
    Ok(())
}
