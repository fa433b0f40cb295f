//! What haproxy looks at when a proxy is complete: timeouts that are missing, what has no effect in its mode, log formats that
//! no line will have. Called by resolve.rs once names are known.
//!
//! Holds: a warning where haproxy warns and nowhere else, since a warning can be fatal; a disabled proxy has none.

use super::draft::{Draft, World};
use crate::diag::Severity;
use crate::model::{Action, CaptureSlot, Global, LogFormatKind, LogFormatText, Mode, RuleSet};
use crate::tree::shown;
use lb_expr::sample::Need;

/// Checks a proxy, and takes away what its mode has no use for.
pub(super) fn proxy(draft: &mut Draft, global: &Global, world: &mut World<'_>) {
    if !draft.proxy.disabled {
        captures(draft, global, world);
        capture_slots(draft, world);
        timeouts(draft, world);
        log_format(draft, world);
        explains_to_nobody(draft, world);
        if draft.proxy.mode == Mode::Tcp {
            ignored(draft, world);
            tcp_log_format(draft, world);
        } else {
            looks_at_bytes(draft, world);
        }
        captures_too_early(draft, world);
        weights(draft, world);
    }
    if draft.proxy.mode == Mode::Tcp {
        let options = &mut draft.proxy.options;
        options.forwardfor = None;
        options.originalto = None;
        options.forwarded = None;
        options.http_buffer_request = false;
        draft.proxy.monitor_uri = None;
        draft.proxy.captures.cookie = None;
    }
}

/// Rules of a frontend that capture into slots that it has not. Which slots there are for those of a backend depends on where a stream comes
/// from.
fn capture_slots(draft: &Draft, world: &mut World<'_>) {
    let proxy = &draft.proxy;
    let Some(rules) = proxy.rules.as_deref().filter(|_| proxy.kind.is_frontend()) else { return };
    for (set, list) in rules.lists() {
        let response = matches!(set, RuleSet::Answer | RuleSet::Response | RuleSet::AfterResponse);
        let (slots, side) = if response { (&proxy.captures.response, "response") } else { (&proxy.captures.request, "request") };
        for rule in list {
            let Action::Capture { slot: CaptureSlot::Number(id), .. } = &rule.action else { continue };
            if *id >= slots.len() {
                let help = format!("declare it: 'declare capture {side} len <length>'; the first one has the number 0");
                world.error(rule.span, format!("there is no capture slot {id} for what a {side} has"), Some(help));
            }
        }
    }
}

fn timeouts(draft: &Draft, world: &mut World<'_>) {
    let proxy = &draft.proxy;
    // `mode health` needs none.
    if proxy.probes.is_some_and(|probes| probes.from.is_none()) {
        return;
    }
    let mut missing = Vec::new();
    if proxy.kind.is_frontend() && proxy.timeouts.client.is_none() {
        missing.push("'timeout client'");
    }
    if proxy.kind.is_backend() && !proxy.servers.is_empty() {
        if proxy.timeouts.connect.is_none() {
            missing.push("'timeout connect'");
        }
        if proxy.timeouts.server.is_none() {
            missing.push("'timeout server'");
        }
    }
    if !missing.is_empty() {
        let message = format!(
            "the {} '{}' lacks {}: a silent peer holds its connection for ever",
            proxy.kind.name(),
            shown(&proxy.name),
            missing.join(" and ")
        );
        world.warn(proxy.span, message, Some("set them here or in 'defaults', for example 30s".into()));
    }
}

/// `http-request explain` in a frontend that logs nowhere.
fn explains_to_nobody(draft: &Draft, world: &mut World<'_>) {
    if !draft.proxy.kind.is_frontend() || !draft.proxy.logs.is_empty() {
        return;
    }
    let rules = draft.proxy.rules.iter().flat_map(|rules| &rules.request);
    let explain = rules.filter(|rule| matches!(rule.action, Action::Explain { .. })).map(|rule| rule.span).next();
    if let Some(span) = explain {
        let message = format!("'http-request explain' writes to the log, and '{}' has none", shown(&draft.proxy.name));
        world.notice(span, message, Some("add a 'log' line, for example 'log global'".into()));
    }
}

/// What needs mode http, in a proxy of mode tcp. Also when it comes from the defaults: haproxy warns as well.
fn ignored(draft: &Draft, world: &mut World<'_>) {
    let name = shown(&draft.proxy.name);
    for said in draft.said.values().filter(|said| said.on && said.keyword.needs_http && said.keyword.sections.contains(draft.section)) {
        let message = format!("'{}' is ignored for '{name}': it needs 'mode http'", said.keyword.name);
        world.warn(said.span, message, Some("add 'mode http', or remove the line".into()));
    }
}

/// Conditions of rules that look at bytes as they came in, which mode http has not.
fn looks_at_bytes(draft: &Draft, world: &mut World<'_>) {
    let id = draft.proxy.unique_id_format.as_ref().filter(|_| draft.proxy.kind.is_frontend());
    if let Some((id, format)) = id.and_then(|id| Some((id, id.compiled.as_deref()?))) {
        super::exprs::bytes_in_http(format, world, id.span);
    }
    let Some(rules) = draft.proxy.rules.as_deref() else { return };
    let lists = rules.lists().into_iter().filter(|(set, _)| {
        matches!(set, RuleSet::Content | RuleSet::Answer | RuleSet::Request | RuleSet::Response | RuleSet::AfterResponse)
    });
    let conditions = lists.flat_map(|(_, list)| list.iter().map(|rule| (&rule.condition, rule.span)));
    let conditions = conditions.chain(rules.use_backend.iter().map(|rule| (&rule.condition, rule.span)));
    let conditions = conditions.chain(rules.use_server.iter().map(|rule| (&rule.condition, rule.span)));
    for (_, span) in conditions.filter(|(condition, _)| condition.as_ref().is_some_and(|condition| condition.looks_at_bytes())) {
        let message =
            format!("'{}' is in mode http, where bytes are read as messages: this condition looks at bytes", shown(&draft.proxy.name));
        world.warn(span, message, Some("ask for a part of the message".into()));
    }
}

/// `tcp-request content capture` of what may not have come yet.
fn captures_too_early(draft: &Draft, world: &mut World<'_>) {
    let rules = draft.proxy.rules.as_deref().filter(|_| draft.proxy.kind.is_frontend());
    let Some(rules) = rules.filter(|rules| rules.inspect_delay.is_none_or(|delay| delay.is_zero())) else { return };
    for rule in &rules.content {
        let Action::Capture { value, .. } = &rule.action else { continue };
        if value.need().is_bytes() || matches!(value.need(), Need::RequestHead | Need::EitherHead | Need::Request) {
            let message = "without 'tcp-request inspect-delay' this captures what has come by chance";
            world.warn(rule.span, message, Some("add 'tcp-request inspect-delay 5s'".into()));
        }
    }
}

/// The formats of mode http, and words that have no value in mode tcp.
fn tcp_log_format(draft: &mut Draft, world: &mut World<'_>) {
    if !draft.proxy.kind.is_frontend() {
        return;
    }
    let name = shown(&draft.proxy.name);
    let format = &mut draft.proxy.log_format;
    if matches!(format.kind, LogFormatKind::Http | LogFormatKind::HttpClf | LogFormatKind::Https) {
        let option = if format.kind == LogFormatKind::Https { "httpslog" } else { "httplog" };
        let span = format.span;
        *format = LogFormatText { kind: LogFormatKind::Tcp, text: LogFormatText::TCP.into(), span, compiled: None };
        let message = format!("'option {option}' needs 'mode http'; '{name}' logs with the format of 'option tcplog'");
        world.warn(span, message, Some("write 'option tcplog' in this section, or 'mode http'".into()));
    }
    for format in draft.proxy.log_formats_mut().filter(|format| format.kind == LogFormatKind::Custom) {
        if let Ok(compiled) = lb_expr::LogFormat::compile(&format.text)
            && let Err(error) = compiled.check_mode_tcp()
        {
            let message = format!("{} ('{name}' is in mode tcp)", error.message);
            world.error(format.span, message, Some("write a format without it, or 'mode http'".into()));
        }
    }
}

/// A format that no line will have.
fn log_format(draft: &Draft, world: &mut World<'_>) {
    let proxy = &draft.proxy;
    let format = match &proxy.log_format_sd {
        Some(sd) if proxy.log_format.kind == LogFormatKind::Default => sd,
        _ => &proxy.log_format,
    };
    if format.kind == LogFormatKind::Default {
        return;
    }
    if !proxy.kind.is_frontend() {
        // From the defaults it was meant for others.
        if ["option httplog", "option httpslog", "option tcplog"].iter().any(|keyword| draft.said_here(keyword).is_some()) {
            world.warn(
                format.span,
                "a log format has no effect in a backend: frontends write the lines",
                Some("move it to the frontend".into()),
            );
        }
    } else if proxy.logs.is_empty() {
        let message = format!("the log format of '{}' has no effect: there is no 'log' line", shown(&proxy.name));
        world.warn(format.span, message, Some("add 'log global', or a 'log' line of its own".into()));
    }
}

/// `tune.http.cookielen` bounds the cookie; header fields are those of mode http.
fn captures(draft: &mut Draft, global: &Global, world: &mut World<'_>) {
    let (max, cookie) = (global.tune.http_cookielen, draft.place("capture cookie"));
    if let (Some(capture), Some(span)) = (draft.proxy.captures.cookie.as_mut().filter(|c| c.len > max), cookie) {
        capture.len = max;
        let message = format!("a captured cookie has at most {max} bytes: the rest is cut off");
        world.warn(span, message, Some(format!("write 'len {max}', or raise 'tune.http.cookielen' in 'global'")));
    }
    if draft.proxy.mode == Mode::Tcp {
        for keyword in ["capture request header", "capture response header"] {
            if let Some(span) = draft.said_here(keyword) {
                let message = format!("'{keyword}' finds nothing in mode tcp: its slots stay empty");
                world.notice(span, message, Some("add 'mode http', or remove the line".into()));
            }
        }
    }
}

/// Servers that no scheduler ever takes.
fn weights(draft: &Draft, world: &mut World<'_>) {
    for server in draft.proxy.servers.iter().filter(|server| server.weight == 0) {
        let message = format!("the server '{}' has a weight of 0: no stream is given to it", shown(&server.name));
        let help = "give it a weight, or 'disabled' if it is to be out of service".to_owned();
        world.diagnostics.push(Severity::Diag, server.span, 0, message, Some(help));
    }
}
