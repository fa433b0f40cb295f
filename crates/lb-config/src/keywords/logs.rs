//! Keywords of proxies about logs: where lines go, how they look, what is captured for them. Source: manual 4.2.

use super::{Context, Keyword, Parser, Sections, State};
use crate::address::{Address, Host, Port, StandardStream, Use};
use crate::diag::Problem;
use crate::model::{
    CookieCapture, Facility, HeaderCapture, Level, LogAddress, LogFormatKind, LogFormatText, LogSample, LogStep, LogSteps, LogTarget,
    LogTransportFormat, Ring, Server, ServerAddress,
};
use crate::parse::{Line, Negation, ProxyCx, World, address_for, exprs, resolve_host};
use crate::tree::shown;
use lb_expr::Purpose;
use lb_expr::sample::{Point, Points};
use std::net::{Ipv4Addr, SocketAddr};

type Outcome = Result<(), Problem>;
type Function = fn(&mut ProxyCx<'_, '_>, &Line<'_>) -> Outcome;

const fn works(name: &'static str, sections: Sections, args: &'static str, doc: &'static str, parser: Function) -> Keyword {
    Keyword::new(Context::Proxy, name, args, doc, State::Works, Parser::Proxy(parser)).sections(sections)
}

const D_F_L_B: Sections = Sections::D_F_L_B;
const D_F_L: Sections = Sections::D_F_L;
const F_L: Sections = Sections::F_L;

pub(super) const KEYWORDS: &[Keyword] = &[
    works(
        "log",
        D_F_L_B,
        "global | <target> [len <n>] [format <f>] [sample <s>] [profile <p>] <facility> [<level> [<minlevel>]]",
        "where lines go",
        log,
    )
    .negatable(),
    works("log-tag", D_F_L_B, "<text>", "name of the program in log lines", log_tag),
    works("log-format", D_F_L, "<format>", "format of log lines", log_format),
    works("log-format-sd", D_F_L, "<format>", "structured data of lines in the format rfc5424", log_format_sd),
    works("error-log-format", D_F_L, "<format>", "format of lines about what never became a request", error_log_format),
    works("log-steps", D_F_L, "all | <step>[,<step>...]", "when lines are written; one line at the end without it", log_steps),
    works("unique-id-format", D_F_L_B, "<format>", "what the id of each request or connection is made of", unique_id_format),
    works("unique-id-header", D_F_L_B, "<name>", "field that tells the server the id", unique_id_header),
    works("capture request header", F_L, "<name> len <length>", "logs the last value of a request's field", |cx, line| {
        let slot = header_capture(line)?;
        cx.draft.proxy.captures.request.push(slot);
        Ok(())
    }),
    works("capture response header", F_L, "<name> len <length>", "logs the last value of a response's field", |cx, line| {
        let slot = header_capture(line)?;
        cx.draft.proxy.captures.response.push(slot);
        Ok(())
    }),
    works("capture cookie", F_L, "<name> len <length>", "logs a cookie of request and response", capture_cookie).http(),
    works("declare capture", F_L, "request|response len <length>", "a slot of captures that only rules fill", declare_capture).strict(),
    works("option tcplog", D_F_L_B, "", "log format with sessions, timers and counters", tcplog),
    works("option httplog", D_F_L_B, "[clf]", "log format with requests, timers and counters", httplog),
    works("option httpslog", D_F_L_B, "", "log format with requests, timers, counters and TLS", httpslog),
];

pub(super) fn log(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let logs = &mut cx.draft.proxy.logs;
    if line.negation == Negation::No {
        line.end(0)?;
        logs.clear();
        cx.draft.logs_global = false;
        return Ok(());
    }
    if line.arg(0) == Some("global") && line.arg(1).is_none() {
        // Once: a `log global` of the defaults is not doubled by one of the section.
        if !std::mem::replace(&mut cx.draft.logs_global, true) {
            few_logs(logs.len() + cx.world.logs.len())?;
            logs.extend_from_slice(&cx.world.logs);
        }
        return Ok(());
    }
    let target = log_target(cx.world, line)?;
    few_logs(cx.draft.proxy.logs.len() + 1)?;
    cx.draft.proxy.logs.push(target);
    Ok(())
}

fn log_tag(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.draft.proxy.log_tag = Some(line.need(0)?.to_owned());
    line.end(1)
}

/// Targets of a section, those of its defaults and of `global` among them: each section has a copy.
const MAX_LOGS: usize = 100;

/// Refuses more targets than a section may have.
pub(super) fn few_logs(count: usize) -> Outcome {
    if count > MAX_LOGS {
        return Err(Problem::line("too many 'log' lines").help("a section has at most 100, those of its defaults and of 'global' counted"));
    }
    Ok(())
}

const LOG_PORT: u16 = 514;

/// `<target> [len <n>] [format <f>] [sample <s>] [profile <p>] <facility> [<level> [<minlevel>]]`
pub(super) fn log_target(world: &mut World<'_>, line: &Line<'_>) -> Result<LogTarget, Problem> {
    let text = line.need(0)?;
    if line.arg(1).is_none() {
        line.need(1)?;
    }
    let at = line.first;
    let mut stream = None;
    let address = match address_for(Use::Log, text, at, &world.variables)? {
        Address::Standard(StandardStream::Out) => LogAddress::Stdout,
        Address::Standard(StandardStream::Err) => LogAddress::Stderr,
        Address::Fd(fd) => LogAddress::Fd(fd),
        Address::Pair(_) => return Err(line.problem(0, "a 'sockpair@' carries connections, not log lines")),
        Address::Ring(name) => LogAddress::Ring(name),
        Address::Unix(address) => LogAddress::Unix(address),
        Address::Stream(inner) => {
            stream = Some(match *inner {
                Address::Unix(address) => ServerAddress::Unix(address),
                Address::Inet { host, port } => inet(line, host, port, world)?.into(),
                _ => return Err(line.problem(0, "lines go to an address or to a descriptor, not to a descriptor as a stream")),
            });
            LogAddress::Ring(shown(text))
        }
        Address::Inet { host, port } => LogAddress::Udp(inet(line, host, port, world)?),
    };
    let mut target = LogTarget { span: line.span(), ..LogTarget::new(address, Facility::LOCAL0) };
    let mut at = 1;
    loop {
        match line.arg(at) {
            Some("len") => target.max_len = line.number(at + 1, 80..=65535)? as usize,
            Some("format") => {
                target.format = line.choice(at + 1, &LogTransportFormat::ALL)?;
                target.format_given = true;
                world.log_formats.insert(target.span);
            }
            Some("sample") => target.sample = Some(sample(line, at + 1)?),
            Some("profile") => target.profile = Some(line.need(at + 1)?.to_owned()),
            _ => break,
        }
        at += 2;
    }
    let name = line.need(at)?;
    target.facility = Facility::from_name(name).ok_or_else(|| {
        let near = crate::diag::nearest(name, Facility::NAMES.into_iter());
        let help = near.map_or_else(|| "for example local0, daemon or user".to_owned(), |near| format!("did you mean '{near}'?"));
        line.problem(at, format!("unknown log facility '{}'", shown(name))).help(help)
    })?;
    if line.arg(at + 1).is_some() {
        target.level = line.choice(at + 1, &Level::ALL)?;
    }
    if line.arg(at + 2).is_some() {
        target.min_level = line.choice(at + 2, &Level::ALL)?;
    }
    line.end(at + 3)?;
    world.longest_log = world.longest_log.max(target.max_len);
    if let (Some(address), LogAddress::Ring(name)) = (stream, &mut target.address) {
        // Each line has a ring of its own.
        name.push_str(&format!("#{}", world.log_streams.len() + 1));
        let server = Server { span: target.span, ..Server::new(&*name, address) };
        let ring = Ring { servers: vec![server], span: target.span, ..Ring::new(&*name) };
        world.log_streams.push(ring);
    }
    Ok(target)
}

/// Where lines go by IP.
fn inet(line: &Line<'_>, host: Host, port: Port, world: &World<'_>) -> Result<SocketAddr, Problem> {
    let port = match port {
        Port::None | Port::One(0) => LOG_PORT,
        Port::One(port) => port,
        Port::Range(..) | Port::Offset(_) => {
            return Err(line.problem(0, "a log target has one port").help("for example 127.0.0.1:514"));
        }
    };
    let ip = match host {
        // `:514` is this host.
        Host::Any => Ipv4Addr::LOCALHOST.into(),
        host => resolve_host(&host, line.first, world.source)?,
    };
    Ok(SocketAddr::new(ip, port))
}

/// `1,3-5:10`
fn sample(line: &Line<'_>, at: usize) -> Result<LogSample, Problem> {
    let text = line.need(at)?;
    let bad =
        |message: &str| line.problem(at, message.to_owned()).help("write <ranges>:<size>, for example 1,3-5:10 for four lines out of ten");
    let (ranges, size) = text.rsplit_once(':').ok_or_else(|| bad("a sample wants its size"))?;
    let number = |text: &str| text.parse::<u32>().ok().filter(|value| *value > 0);
    let size = number(size).ok_or_else(|| bad("the size of a sample is a number from 1"))?;
    let mut list = Vec::new();
    for range in ranges.split(',') {
        let (low, high) = range.split_once('-').unwrap_or((range, range));
        let (Some(low), Some(high)) = (number(low), number(high)) else {
            return Err(bad("a range of a sample is a number or two with '-'"));
        };
        if low > high || high > size {
            return Err(bad("a range of a sample lies within 1 and its size"));
        }
        list.push(low..=high);
    }
    list.sort_by_key(|range| *range.start());
    if list.windows(2).any(|pair| pair[0].end() >= pair[1].start()) {
        return Err(bad("the ranges of a sample overlap"));
    }
    Ok(LogSample { ranges: list, size })
}

/// The text of a line that takes a format, once it compiles.
fn format_of(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>, purpose: Purpose) -> Result<LogFormatText, Problem> {
    line.need(0)?;
    if line.arg(1).is_some() {
        return Err(line.problem(1, "a log format is one word").help("put it in double quotes, or write '\\ ' for each space"));
    }
    format_in(cx.world, line, 0, purpose)
}

/// The format in argument `n`.
pub(super) fn format_in(world: &mut World<'_>, line: &Line<'_>, n: usize, purpose: Purpose) -> Result<LogFormatText, Problem> {
    let format = exprs::format(world, line, n, purpose)?;
    // An id is made when the request is there.
    let point = if purpose == Purpose::Id { Point::FrontRequest } else { Point::Log };
    exprs::format_available(&format, Points::of(point), line, n)?;
    let (text, compiled) = (line.need(n)?.to_owned(), Some(Box::new(format)));
    Ok(LogFormatText { kind: LogFormatKind::Custom, text, span: line.span(), compiled })
}

// The last one of `log-format` and the options counts.
fn log_format(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.draft.proxy.log_format = format_of(cx, line, Purpose::Log)?;
    Ok(())
}

fn log_format_sd(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.draft.proxy.log_format_sd = Some(format_of(cx, line, Purpose::Log)?);
    Ok(())
}

fn error_log_format(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.draft.proxy.error_log_format = Some(format_of(cx, line, Purpose::Log)?);
    Ok(())
}

fn log_steps(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let text = line.need(0)?;
    line.end(1)?;
    let mut steps = LogSteps::default();
    for name in text.split(',') {
        let found = LogStep::STREAM.iter().filter(|(step, _)| name == "all" || name == *step);
        let next = found.fold(steps, |steps, (_, step)| steps.with(*step));
        if name != "all" && !LogStep::STREAM.iter().any(|(step, _)| *step == name) {
            let names = LogStep::STREAM.map(|(name, _)| name);
            return Err(line.problem(0, format!("'{}' is no step", shown(name))).help(format!("steps are {} and all", names.join(", "))));
        }
        steps = next;
    }
    cx.draft.proxy.log_steps = steps;
    Ok(())
}

fn unique_id_format(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.draft.proxy.unique_id_format = Some(format_of(cx, line, Purpose::Id)?);
    frontends_only(cx, line);
    Ok(())
}

fn unique_id_header(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.draft.proxy.unique_id_header = Some(super::proxy::added_header(line)?);
    super::proxy::no_effect(cx, line, 1);
    frontends_only(cx, line);
    Ok(())
}

/// A line that haproxy takes in a backend without a word, and without effect.
fn frontends_only(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) {
    if cx.draft.section == Sections::BACKEND {
        let message = format!("'{}' has no effect in a backend: frontends make the ids", line.keyword.name);
        cx.world.notice(line.span(), message, Some("move it to the frontend".into()));
    }
}

/// `len <length>` at argument `at`.
fn capture_len(line: &Line<'_>, at: usize, low: u32) -> Result<usize, Problem> {
    line.need(at)?;
    line.choice(at, &[("len", ())])?;
    Ok(line.count(at + 1, low)? as usize)
}

fn header_capture(line: &Line<'_>) -> Result<HeaderCapture, Problem> {
    let name = line.need(0)?.to_owned();
    let len = capture_len(line, 1, 0)?;
    line.end(3)?;
    Ok(HeaderCapture { name: Some(name), len })
}

fn capture_cookie(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let name = line.arg(0).unwrap_or_default().to_owned();
    let len = capture_len(line, 1, 0)?;
    line.end(3)?;
    cx.draft.proxy.captures.cookie = Some(CookieCapture { name, len });
    Ok(())
}

fn declare_capture(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let request = line.choice(0, &[("request", true), ("response", false)])?;
    let slot = HeaderCapture { name: None, len: capture_len(line, 1, 1)? };
    let captures = &mut cx.draft.proxy.captures;
    if request {
        captures.request.push(slot)
    } else {
        captures.response.push(slot)
    }
    super::proxy::no_effect(cx, line, 3);
    Ok(())
}

fn tcplog(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    line.end(0)?;
    built_in(cx, line, LogFormatKind::Tcp);
    Ok(())
}

fn httplog(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let kind = if line.arg(0).is_some() { line.choice(0, &[("clf", LogFormatKind::HttpClf)])? } else { LogFormatKind::Http };
    line.end(1)?;
    built_in(cx, line, kind);
    Ok(())
}

fn httpslog(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    built_in(cx, line, LogFormatKind::Https);
    if let Some(extra) = line.arg(0) {
        let message = format!("'{}' behind 'option httpslog' has no effect", shown(extra));
        cx.world.notice(line.directive.span(Some(line.first)), message, Some("remove it".into()));
    }
    Ok(())
}

fn built_in(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>, kind: LogFormatKind) {
    let text = LogFormatText::built_in(kind).unwrap_or_default().to_owned();
    cx.draft.proxy.log_format = LogFormatText { kind, text, span: line.span(), compiled: None };
}
