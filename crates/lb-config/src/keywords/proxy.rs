//! Keywords of proxies that are read: addresses, servers, choice, limits, logs, replies. Source: manual 4.2.

use super::{Context, Keyword, Parser, Sections, State, Today};
use crate::address::{Address, Port};
use crate::diag::Problem;
use crate::model::{ErrorReply, ErrorReplyKind, HttpReuse, Mode, RetryOn, Source};
use crate::parse::{Line, ProxyCx, World, address, check_name, resolve_host};
use crate::tree::shown;
use std::net::SocketAddr;

type Outcome = Result<(), Problem>;
type Function = fn(&mut ProxyCx<'_, '_>, &Line<'_>) -> Outcome;

const fn works(name: &'static str, sections: Sections, args: &'static str, doc: &'static str, parser: Function) -> Keyword {
    Keyword::new(Context::Proxy, name, args, doc, State::Works, Parser::Proxy(parser)).sections(sections)
}

const D_F_L_B: Sections = Sections::D_F_L_B;
const D_F_L: Sections = Sections::D_F_L;
const D_L_B: Sections = Sections::D_L_B;
const F_L_B: Sections = Sections::F_L_B;

pub(super) const KEYWORDS: &[Keyword] = &[
    works("mode", D_F_L_B, "tcp|http", "bytes or requests", mode).written(|line| match line.value(0) {
        Some("health") => Today::Left(NO_HEALTH.to_owned()),
        _ => Today::Same,
    }),
    works("bind", Sections::F_L, "<address>[,...] [<parameter> ...]", "listening addresses", super::bind::bind),
    works("server", Sections::L_B, "<name> <address>[:<port>] [<parameter> ...]", "a server", super::server::server).strict(),
    works(
        "server-template",
        Sections::L_B,
        "<prefix> <count>|<low>-<high> <address>[:<port>] [<parameter> ...]",
        "servers <prefix>1, <prefix>2 and so on, all at one address",
        super::server::server_template,
    )
    .strict(),
    works("default-server", D_L_B, "<parameter> ...", "parameters that the following servers start from", super::server::default_server)
        .strict(),
    works("default_backend", D_F_L, "<backend>", "where traffic goes", default_backend),
    works("id", F_L_B, "<number>", "number of the proxy in statistics", id),
    Keyword::new(
        Context::Proxy,
        "guid",
        "<text>",
        "identifier, unique over proxies, listeners and servers",
        State::Accepted("concerns statistics only"),
        Parser::Proxy(|cx, line| {
            let text = line.need(0)?;
            line.end(1)?;
            cx.world.take_guid(text.to_owned(), line.first, line.span())
        }),
    )
    .sections(F_L_B)
    .strict(),
    works("description", F_L_B, "<text>", "text that describes the proxy", description),
    works("disabled", D_F_L_B, "", "neither listens nor serves", |cx, line| enabled(cx, line, false)),
    works("enabled", D_F_L_B, "", "takes 'disabled' of the defaults back", |cx, line| enabled(cx, line, true)),
    works("maxconn", D_F_L, "<number>", "connections at once", maxconn),
    works("fullconn", D_L_B, "<number>", "load at which servers reach their full maxconn", fullconn),
    works("rate-limit sessions", D_F_L, "<number>", "new connections per second; 0 for no limit", rate_limit_sessions),
    works("backlog", D_F_L, "<number>", "connections that the system queues", backlog),
    works("retries", D_L_B, "<number>", "further attempts after a failed one", retries),
    works("retry-on", D_L_B, "none | <reason> ...", "what is tried again", retry_on).strict(),
    works("http-reuse", D_L_B, "never|safe|aggressive|always", "who may take an idle server connection", http_reuse),
    works(
        "max-keep-alive-queue",
        D_L_B,
        "<number>",
        "queue above which a client's server is given up for another one",
        max_keep_alive_queue,
    ),
    works("http-send-name-header", D_L_B, "<name>", "field that tells the server its name", http_send_name_header),
    works("source", D_L_B, "<address>[:<port>] [interface <name>]", "local address of connections to servers", source),
    works("monitor-uri", D_F_L, "<uri>", "a request for it is answered with 200 at once", monitor_uri).http(),
    works("errorfile", D_F_L_B, "<status> <file>", "a file in place of a built-in reply", errorfile),
    works("errorloc", D_F_L_B, "<status> <url>", "a redirect (302) in place of a built-in reply", |cx, line| errorloc(cx, line, 302)),
    works("errorloc302", D_F_L_B, "<status> <url>", "a redirect (302) in place of a built-in reply", |cx, line| errorloc(cx, line, 302)),
    works("errorloc303", D_F_L_B, "<status> <url>", "a redirect (303) in place of a built-in reply", |cx, line| errorloc(cx, line, 303)),
];

const NO_HEALTH: &str = "today 'mode http' with 'monitor-uri /' comes near: it waits for a request";

fn mode(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let text = line.need(0)?;
    cx.draft.proxy.mode = match text {
        "tcp" => Mode::Tcp,
        "http" => Mode::Http,
        "health" => {
            cx.world.warn(line.directive.span(Some(line.first)), "'mode health' is an old spelling", Some(NO_HEALTH.to_owned()));
            Mode::Tcp
        }
        "log" | "spop" | "haterm" | "syslog" | "peers" | "cli" => {
            return Err(line
                .problem(0, format!("'mode {text}' is known but not there yet in this version"))
                .help("'mode' takes 'tcp' and 'http'"));
        }
        _ => line.choice(0, &[("tcp", Mode::Tcp), ("http", Mode::Http)])?,
    };
    cx.draft.mode_health = text == "health";
    line.end(1)
}

fn default_backend(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let name = line.need(0)?;
    check_name(name, line.first, "a backend's name")?;
    cx.draft.default_backend = Some((name.to_owned(), line.directive.span(Some(line.first))));
    line.end(1)
}

fn id(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.draft.proxy.id = line.count(0, 1)?;
    cx.draft.id = Some(line.span());
    line.end(1)
}

/// All words of a line, as `description` takes them.
pub(super) fn rest_of_line(line: &Line<'_>) -> String {
    line.directive.words[line.first..].iter().map(|word| word.text.as_ref()).collect::<Vec<_>>().join(" ")
}

fn description(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    line.need(0)?;
    cx.draft.proxy.description = Some(rest_of_line(line));
    Ok(())
}

fn enabled(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>, on: bool) -> Outcome {
    cx.draft.proxy.disabled = !on;
    line.end(0)
}

fn maxconn(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    // 0 takes the process's.
    cx.draft.proxy.maxconn = Some(line.count(0, 0)?).filter(|value| *value > 0);
    line.end(1)
}

fn fullconn(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.draft.proxy.fullconn = Some(line.count(0, 0)?).filter(|value| *value > 0);
    line.end(1)
}

fn rate_limit_sessions(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.draft.proxy.rate_limit_sessions = Some(line.count(0, 0)?).filter(|value| *value > 0);
    no_effect(cx, line, 1);
    Ok(())
}

fn backlog(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.draft.proxy.backlog = Some(line.count(0, 0)?).filter(|value| *value > 0);
    line.end(1)
}

/// Words that haproxy takes and drops: they have no effect, but are no reason not to start.
pub(super) fn no_effect(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>, at: usize) {
    if let (Some(extra), Some(before)) = (line.arg(at), line.arg(at - 1)) {
        let message = format!("'{}' behind '{}' has no effect", shown(extra), shown(before));
        cx.world.notice(line.directive.span(Some(line.first + at)), message, Some("remove it".into()));
    }
}

fn retries(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.draft.proxy.retries = line.count(0, 0)?;
    line.end(1)
}

fn retry_on(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    line.need(0)?;
    let mut set = RetryOn::NONE;
    let words = [
        ("conn-failure", RetryOn::CONN_FAILURE),
        ("empty-response", RetryOn::EMPTY_RESPONSE),
        ("junk-response", RetryOn::JUNK_RESPONSE),
        ("response-timeout", RetryOn::RESPONSE_TIMEOUT),
        ("0rtt-rejected", RetryOn::EARLY_DATA_REJECTED),
        ("all-retryable-errors", RetryOn::all_retryable()),
    ];
    for (at, word) in (0..).map_while(|at| line.arg(at).map(|word| (at, word))) {
        if word == "none" {
            if at > 0 || line.arg(1).is_some() {
                return Err(line.problem(at, "'none' stands alone").help("remove it, or everything else"));
            }
            continue;
        }
        let status = word.parse().ok().and_then(RetryOn::status);
        set = set
            | match status {
                Some(one) => one,
                None if word.bytes().all(|byte| byte.is_ascii_digit()) => {
                    return Err(line
                        .problem(at, format!("'{}' cannot be retried", shown(word)))
                        .help("possible are 401 403 404 408 425 500 501 502 503 504"));
                }
                None => line.choice(at, &words)?,
            };
    }
    cx.draft.proxy.retry_on = set;
    Ok(())
}

fn http_reuse(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let choices =
        [("never", HttpReuse::Never), ("safe", HttpReuse::Safe), ("aggressive", HttpReuse::Aggressive), ("always", HttpReuse::Always)];
    cx.draft.proxy.http_reuse = line.choice(0, &choices)?;
    line.end(1)
}

fn max_keep_alive_queue(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    // -1 is the default: no limit.
    let value = line.number(0, -1..=i64::from(i32::MAX))?;
    cx.draft.proxy.max_keep_alive_queue = u32::try_from(value).ok();
    line.end(1)
}

/// The name of a field that is added to requests.
pub(super) fn added_header(line: &Line<'_>) -> Result<String, Problem> {
    let name = super::options::header_name(line, 0, line.need(0)?)?;
    // haproxy takes these and sends requests that cannot be framed.
    if ["content-length", "transfer-encoding", "connection"].iter().any(|bad| name.eq_ignore_ascii_case(bad)) {
        return Err(line.problem(0, format!("'{name}' would break the request")).help("take a name of your own, for example X-Server"));
    }
    Ok(name)
}

fn http_send_name_header(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.draft.proxy.http_send_name_header = Some(added_header(line)?);
    line.end(1)
}

fn monitor_uri(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.draft.proxy.monitor_uri = Some(line.need(0)?.to_owned());
    line.end(1)
}

fn source(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let text = line.need(0)?;
    let mut value = Source { address: source_address(text, line.first, cx.world)?, interface: None };
    let mut at = 1;
    while let Some(word) = line.arg(at) {
        match word {
            "interface" => value.interface = Some(line.need(at + 1)?.to_owned()),
            "usesrc" => {
                return Err(line.problem(at, "'usesrc' is known but not there yet in this version (transparent proxying)"));
            }
            other => {
                return Err(line
                    .problem(at, format!("'source' does not take '{}'", shown(other)))
                    .help("write 'source <address> [interface <name>]'"));
            }
        }
        at += 2;
    }
    cx.draft.proxy.source = Some(value);
    Ok(())
}

/// A local address; one port at most.
pub(super) fn source_address(text: &str, word: usize, world: &World<'_>) -> Result<SocketAddr, Problem> {
    match address(text, word, &world.variables)? {
        Address::Inet { host, port: Port::None } => Ok(SocketAddr::new(resolve_host(&host, word, world.source)?, 0)),
        Address::Inet { host, port: Port::One(port) } => Ok(SocketAddr::new(resolve_host(&host, word, world.source)?, port)),
        Address::Inet { port: Port::Range(..), .. } => {
            Err(Problem::at(word, "a range of source ports is known but not there yet in this version").help("write the address alone"))
        }
        _ => Err(Problem::at(word, "a source is an IP address, perhaps with a port").help("for example 'source 192.0.2.1'")),
    }
}

/// Statuses that haproxy generates, and so those that may be replaced.
pub(super) const STATUSES: [i64; 19] = [200, 400, 401, 403, 404, 405, 407, 408, 410, 413, 421, 422, 425, 429, 500, 501, 502, 503, 504];

pub(super) fn status(line: &Line<'_>) -> Result<u16, Problem> {
    let value = line.number(0, 0..=999)?;
    if !STATUSES.contains(&value) {
        return Err(line
            .problem(0, format!("there is no built-in reply for status {value}"))
            .help("possible are 200 400 401 403 404 405 407 408 410 413 421 422 425 429 500 501 502 503 504"));
    }
    Ok(value as u16)
}

fn set_reply(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>, status: u16, kind: ErrorReplyKind) {
    let reply = ErrorReply { status, kind, span: line.span() };
    let replies = &mut cx.draft.proxy.error_replies;
    match replies.iter_mut().find(|known| known.status == status) {
        Some(known) => *known = reply,
        None => replies.push(reply),
    }
}

fn errorfile(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    line.need(1)?;
    let status = status(line)?;
    line.end(2)?;
    let bytes = response_file(cx.world, line)?;
    set_reply(cx, line, status, ErrorReplyKind::File(bytes.into()));
    Ok(())
}

/// The response in the file that argument 1 names.
pub(super) fn response_file(world: &World<'_>, line: &Line<'_>) -> Result<Vec<u8>, Problem> {
    let path = line.need(1)?;
    // The device stands for "nothing" in every such file; a loader need not know it.
    let bytes = if path == "/dev/null" {
        Vec::new()
    } else {
        world.source.loader.load(path).map_err(|error| {
            line.problem(1, format!("'{}' cannot be used: {error}", shown(path))).help("name a file that holds a whole HTTP response")
        })?
    };
    if let Err(error) = lb_http::errors::ErrorFile::parse(&bytes) {
        return Err(line
            .problem(1, format!("'{}' cannot be used: {error}", shown(path)))
            .help("the file holds a whole HTTP response: status line, fields, blank line, body"));
    }
    Ok(bytes)
}

fn errorloc(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>, redirect: u16) -> Outcome {
    let url = line.need(1)?;
    let status = status(line)?;
    line.end(2)?;
    if url.bytes().any(|byte| byte.is_ascii_control() || byte == b' ') {
        return Err(line.problem(1, "a URL cannot hold spaces or control characters").help("write %20 for a space"));
    }
    set_reply(cx, line, status, ErrorReplyKind::Location { status: redirect, url: url.to_owned() });
    Ok(())
}
