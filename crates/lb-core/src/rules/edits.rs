//! Actions that change a message or what is known of its stream, and go on.

use super::target::parts;
use super::{Stage, value_of};
use bumpalo::Bump;
use lb_config::{
    Action, AddressPart, CaptureSlot, FieldEdit, LineEdit, NameMatch, NamePart, NumberValue, SetUpdate, StreamTimeout, TimeValue, Wish,
};
use lb_expr::CaptureSide;
use lb_expr::packed;
use lb_expr::regex::{Groups, Replacement};
use lb_expr::sample::{Expr, OwnedValue, Type, Value};
use lb_http::{Head, is_field_name, is_field_value, is_token_byte};
use lb_sys::Addr;
use lb_sys::socket::SockOpt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Longest head that edits may make, in bytes: as much as a buffer holds.
pub(super) const MAX_HEAD: usize = 15_360;

/// Whether a failed edit is an error in this message.
pub fn is_strict(stage: &Stage<'_>) -> bool {
    stage.record.as_deref().is_none_or(|record| !record.rules().lenient)
}

/// Does one action; false when it cannot be done.
pub fn apply(action: &Action, stage: &mut Stage<'_>, scratch: &Bump) -> bool {
    match action {
        Action::Field(edit) => field(edit, stage, scratch),
        Action::Line(edit) => line(edit, stage),
        Action::AddLines(fields) => {
            let Some(head) = head(stage) else { return false };
            fields.iter().all(|(name, value)| {
                let fits = fits(head, name.len() + value.len());
                if fits {
                    head.append(name, value);
                }
                fits
            })
        }
        Action::SetStatus { status, reason } => {
            let Some(head) = stage.response.as_deref_mut() else { return false };
            let usual = Some(lb_http::errors::reason(*status)).filter(|usual| !usual.is_empty()).unwrap_or("Other");
            head.set_status(*status, reason.as_deref().unwrap_or(usual).as_bytes());
            true
        }
        Action::Capture { value, slot } => {
            let CaptureSlot::Number(slot) = *slot;
            let side = if stage.side == lb_expr::sample::Side::Request { CaptureSide::Request } else { CaptureSide::Response };
            let view = stage.view();
            let text = value_of(value, Type::Str, stage.cx(&view, scratch)).and_then(|value| value.bytes()).map(<[u8]>::to_vec);
            if let (Some(text), Some(record)) = (text, stage.record.as_deref_mut()) {
                record.fill_capture(side, slot, &text);
            }
            true
        }
        Action::SetLogLevel(level) => with_rules(stage, |rules| rules.log_level = Some(*level)),
        Action::StrictMode(on) => with_rules(stage, |rules| rules.lenient = !on),
        Action::DisableRetry => with_rules(stage, |rules| rules.no_retry = true),
        Action::SetRetries(value) => match number(value, stage, scratch) {
            Some(n) => with_rules(stage, |rules| rules.retries = Some(n.clamp(0, i64::from(u16::MAX)) as u32)),
            None => true,
        },
        Action::SetPriorityClass(expr) => {
            let view = stage.view();
            let value = value_of(expr, Type::Int, stage.cx(&view, scratch));
            match value {
                Some(Value::Int(n)) => with_rules(stage, |rules| rules.priority_class = n.clamp(-2047, 2047) as i16),
                _ => true,
            }
        }
        Action::SetPriorityOffset(expr) => {
            let view = stage.view();
            let value = value_of(expr, Type::Int, stage.cx(&view, scratch));
            match value {
                Some(Value::Int(n)) => with_rules(stage, |rules| rules.priority_offset = n.clamp(-524_287, 524_287) as i32),
                _ => true,
            }
        }
        Action::SetTimeout { which, value } => {
            let Some(time) = duration(value, stage, scratch) else { return true };
            with_rules(stage, |rules| match which {
                StreamTimeout::Server => rules.timeout_server = Some(time),
                StreamTimeout::Tunnel => rules.timeout_tunnel = Some(time),
                StreamTimeout::Client => rules.timeout_client = Some(time),
            })
        }
        // As haproxy: marks that the system refuses are left out, and so is what has no value.
        Action::SetTos { client, tos } => {
            let tos = number(tos, stage, scratch).and_then(|tos| u8::try_from(tos).ok());
            mark(*client, tos.map(SockOpt::Tos), stage, |rules| rules.server_tos = tos)
        }
        Action::SetMark { client, mark: value } => {
            let value = number(value, stage, scratch).and_then(|value| u32::try_from(value).ok());
            mark(*client, value.map(SockOpt::Mark), stage, |rules| rules.server_mark = value)
        }
        Action::SetAddress { part, value } => {
            let view = stage.view();
            let kind = if matches!(part, AddressPart::Source | AddressPart::Destination) { Type::Addr } else { Type::Int };
            let value = value_of(value, kind, stage.cx(&view, scratch)).map(OwnedValue::from);
            set_address(*part, value.as_ref().map(OwnedValue::get), stage);
            true
        }
        Action::Update { what, file, key, value } => {
            let (mut name, mut text) = (Vec::new(), Vec::new());
            stage.format(key, &mut name);
            if let Some(value) = value {
                stage.format(value, &mut text);
            }
            // A file that nobody looks things up in has no set, and what no index takes changes nothing, as haproxy has it.
            if let Some(set) = stage.client.worker().process.topology.patterns.file(file) {
                let _ = match what {
                    SetUpdate::AddAcl => set.add_once(&name),
                    SetUpdate::SetMap => set.put(&name, &text),
                    SetUpdate::DelAcl | SetUpdate::DelMap => set.remove(&name).map(|_| ()),
                };
            }
            true
        }
        Action::ExpectProxy => {
            stage.session.expects_proxy = true;
            true
        }
        Action::ExpectNetscaler => {
            stage.session.expects_netscaler = true;
            true
        }
        Action::Explain { json } => {
            if let Some(record) = stage.record.as_deref_mut() {
                record.explain(*json);
            }
            true
        }
        Action::DoLog(step) => {
            if let Some(record) = stage.record.as_deref_mut() {
                record.log_now(*step);
            }
            true
        }
        _ => true,
    }
}

/// Does what an embedder's action wants; false when a part of it cannot be done.
pub fn grant(wishes: &[Wish], stage: &mut Stage<'_>) -> bool {
    wishes.iter().all(|wish| match wish {
        // A name comes from a program, not from a file that was checked.
        Wish::AddField { name, value } => is_field_name(name.as_bytes()) && put(name, value, false, stage),
        Wish::SetField { name, value } => is_field_name(name.as_bytes()) && put(name, value, true, stage),
        Wish::DeleteField { name } => head(stage).map(|head| head.remove(name.as_bytes())).is_some(),
        Wish::SetTarget(target) => stage.request.as_deref_mut().is_some_and(|head| set_target(target, true, head)),
    })
}

fn with_rules(stage: &mut Stage<'_>, change: impl FnOnce(&mut crate::record::RuleState)) -> bool {
    if let Some(record) = stage.record.as_deref_mut() {
        change(record.rules_mut());
    }
    true
}

/// Marks the packets to the client, or has those to the server marked.
fn mark(client: bool, option: Option<SockOpt>, stage: &mut Stage<'_>, note: impl FnOnce(&mut crate::record::RuleState)) -> bool {
    match option {
        Some(option) if client => {
            let _ = stage.socket.apply(&option);
            true
        }
        Some(_) => with_rules(stage, note),
        None => true,
    }
}

/// The time that a rule gives; `None`: its expression has no value.
pub fn duration(value: &TimeValue, stage: &Stage<'_>, scratch: &Bump) -> Option<Duration> {
    match value {
        TimeValue::Fixed(time) => Some(*time),
        TimeValue::Expr(expr) => {
            let view = stage.view();
            match value_of(expr, Type::Int, stage.cx(&view, scratch)) {
                Some(Value::Int(ms @ 0..)) => Some(Duration::from_millis(ms.min(i64::from(i32::MAX)) as u64)),
                _ => None,
            }
        }
    }
}

fn number(value: &NumberValue, stage: &Stage<'_>, scratch: &Bump) -> Option<i64> {
    match value {
        NumberValue::Fixed(n) => Some(*n),
        NumberValue::Expr(expr) => {
            let view = stage.view();
            match value_of(expr, Type::Int, stage.cx(&view, scratch)) {
                Some(Value::Int(n)) => Some(n),
                _ => None,
            }
        }
    }
}

fn set_address(part: AddressPart, value: Option<Value<'_>>, stage: &mut Stage<'_>) {
    let is_source = matches!(part, AddressPart::Source | AddressPart::SourcePort);
    let old = {
        let view = stage.view();
        if is_source { view.source() } else { view.destination() }
    };
    let changed = |old: Option<&Addr>| {
        let old = old.and_then(Addr::ip).unwrap_or(SocketAddr::new(IpAddr::from([0, 0, 0, 0]), 0));
        match value {
            Some(Value::Ip(ip)) => Some(SocketAddr::new(ip, old.port())),
            Some(Value::Int(port)) => Some(SocketAddr::new(old.ip(), port as u16)),
            _ => None,
        }
    };
    let Some(new) = changed(old.as_ref()) else { return };
    let (source, destination) = match stage.record.as_deref_mut() {
        Some(record) => {
            let rules = record.rules_mut();
            (&mut rules.source, &mut rules.destination)
        }
        None => (&mut stage.session.source, &mut stage.session.destination),
    };
    *if is_source { source } else { destination } = Some(new);
}

// ----- fields -----

/// The head that rules of this direction change.
pub(super) fn head<'h>(stage: &'h mut Stage<'_>) -> Option<&'h mut Head> {
    match stage.side {
        lb_expr::sample::Side::Request => stage.request.as_deref_mut(),
        lb_expr::sample::Side::Response => stage.response.as_deref_mut(),
    }
}

/// Whether a field of that length may come to a head.
fn fits(head: &Head, more: usize) -> bool {
    head.fields_len_bound() + more <= MAX_HEAD || head.fields().map(|f| f.name.len() + f.value.len() + 4).sum::<usize>() + more <= MAX_HEAD
}

fn field(edit: &FieldEdit, stage: &mut Stage<'_>, scratch: &Bump) -> bool {
    match edit {
        FieldEdit::Add(name, value) | FieldEdit::Set(name, value) => {
            let mut out = stage.client.worker().outs.take();
            let value = match value.constant() {
                Some(text) => text,
                None => {
                    stage.format(value, out.bytes());
                    out.bytes()
                }
            };
            put(name, value, matches!(edit, FieldEdit::Set(..)), stage)
        }
        FieldEdit::Delete(name) => {
            let Some(head) = head(stage) else { return false };
            delete(head, name);
            true
        }
        FieldEdit::Packed { fields, prefix, alone } => {
            let Some(bytes) = bytes_of(fields, stage, scratch) else { return true };
            put_packed(&bytes, prefix, *alone, stage)
        }
        FieldEdit::DeletePacked { names, how } => {
            let Some(bytes) = bytes_of(names, stage, scratch) else { return true };
            let (Some(names), Some(head)) = (packed::names(&bytes), head(stage)) else { return false };
            let names: Vec<_> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
            head.retain(|field| {
                let own = field.name.to_ascii_lowercase();
                !names.iter().any(|name| match how {
                    NamePart::Whole => own == *name,
                    NamePart::Begin => own.starts_with(name),
                    NamePart::End => own.ends_with(name),
                    NamePart::Any => memchr::memmem::find(&own, name).is_some(),
                })
            });
            true
        }
        FieldEdit::Replace(name, regex, with) => {
            let mut text = Vec::new();
            stage.format(with, &mut text);
            let Ok(with) = Replacement::new(&text) else { return false };
            rewrite(stage, name, |value, out| match regex.find(value) {
                Some(groups) => {
                    write_pieces(&with, &groups, value, out);
                    true
                }
                None => false,
            })
        }
        FieldEdit::ReplaceValue(name, regex, with) => {
            let mut text = Vec::new();
            stage.format(with, &mut text);
            let Ok(with) = Replacement::new(&text) else { return false };
            rewrite(stage, name, |value, out| {
                let mut changed = false;
                for part in parts_of_list(value) {
                    let (from, to) = part;
                    if from > 0 {
                        out.push(b',');
                    }
                    let whole = &value[from..to];
                    let text = whole.trim_ascii();
                    match regex.find(text) {
                        // Blanks around what is replaced go with it (observed).
                        Some(groups) => {
                            write_pieces(&with, &groups, text, out);
                            changed = true;
                        }
                        None => out.extend_from_slice(whole),
                    }
                }
                changed
            })
        }
    }
}

/// Adds a field, in place of others of its name if `alone`.
fn put(name: &str, value: &[u8], alone: bool, stage: &mut Stage<'_>) -> bool {
    let Some(head) = head(stage) else { return false };
    if alone {
        head.remove(name.as_bytes());
    }
    if !is_field_value(value) || !fits(head, name.len() + value.len()) {
        return false;
    }
    head.append(name.as_bytes(), value);
    true
}

/// The bytes that an expression gives; `None`: it has no value.
fn bytes_of(expr: &Expr, stage: &Stage<'_>, scratch: &Bump) -> Option<Vec<u8>> {
    let view = stage.view();
    value_of(expr, Type::Bin, stage.cx(&view, scratch))?.bytes().map(<[u8]>::to_vec)
}

/// Adds packed fields, in place of all others of their names if `alone`. One that is none, or has no room, and nothing is changed.
fn put_packed(bytes: &[u8], prefix: &str, alone: bool, stage: &mut Stage<'_>) -> bool {
    let (Some(mut fields), Some(head)) = (packed::fields(bytes), head(stage)) else { return false };
    fields.retain(|(name, _)| name.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix.as_bytes())));
    let more = fields.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    if !fields.iter().all(|(name, value)| is_field_name(name) && is_field_value(value)) || !fits(head, more) {
        return false;
    }
    if alone {
        fields.iter().for_each(|(name, _)| {
            head.remove(name);
        });
    }
    fields.iter().for_each(|(name, value)| head.append(name, value));
    true
}

fn write_pieces(with: &Replacement, groups: &Groups, subject: &[u8], out: &mut Vec<u8>) {
    with.pieces(groups, subject).for_each(|piece| out.extend_from_slice(piece));
}

/// Where the parts of a comma-separated value begin and end, quoted strings whole.
fn parts_of_list(value: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at > value.len() {
            return None;
        }
        let (mut quoted, mut escaped) = (false, false);
        let end = value[at..].iter().position(|byte| {
            let comma = *byte == b',' && !quoted;
            match (*byte, escaped) {
                (_, true) => escaped = false,
                (b'\\', false) if quoted => escaped = true,
                (b'"', false) => quoted = !quoted,
                _ => {}
            }
            comma
        });
        let end = end.map_or(value.len(), |n| at + n);
        let part = (at, end);
        at = end + 1;
        Some(part)
    })
}

/// Gives each field of a name the value that `write` makes of its own, where that says so.
fn rewrite(stage: &mut Stage<'_>, name: &str, write: impl Fn(&[u8], &mut Vec<u8>) -> bool) -> bool {
    let Some(head) = head(stage) else { return false };
    let mut out = Vec::new();
    for at in 0..head.len() {
        let Some(field) = head.field(at).filter(|field| field.name.eq_ignore_ascii_case(name.as_bytes())) else { continue };
        out.clear();
        if !write(field.value, &mut out) {
            continue;
        }
        let value = &out[..];
        if !is_field_value(value) || !fits(head, value.len()) {
            return false;
        }
        head.set_value(at, value);
    }
    true
}

fn delete(head: &mut Head, name: &NameMatch) {
    let lower = |name: &[u8]| name.to_ascii_lowercase();
    match name {
        NameMatch::Name(name) => {
            head.remove(name.as_bytes());
        }
        NameMatch::Begin(begin) => {
            let begin = lower(begin.as_bytes());
            head.retain(|field| !lower(field.name).starts_with(&begin));
        }
        NameMatch::End(end) => {
            let end = lower(end.as_bytes());
            head.retain(|field| !lower(field.name).ends_with(&end));
        }
        NameMatch::Contains(part) => {
            let part = lower(part.as_bytes());
            head.retain(|field| memchr::memmem::find(&lower(field.name), &part).is_none());
        }
        NameMatch::Regex(regex) => {
            head.retain(|field| !regex.is_match(&lower(field.name)));
        }
    }
}

// ----- the request line -----

fn line(edit: &LineEdit, stage: &mut Stage<'_>) -> bool {
    let mut text = Vec::new();
    match edit {
        LineEdit::Method(format)
        | LineEdit::Path(format)
        | LineEdit::PathQuery(format)
        | LineEdit::Query(format)
        | LineEdit::Uri(format)
        | LineEdit::ReplacePath(_, format)
        | LineEdit::ReplacePathQuery(_, format)
        | LineEdit::ReplaceUri(_, format) => stage.format(format, &mut text),
        LineEdit::Normalize(_) => {}
    }
    let Some(head) = stage.request.as_deref_mut() else { return false };
    let old = head.target().to_vec();
    let p = parts(&old);
    let pathq = &old[p.before.len()..];
    let replaced = |regex: &lb_expr::regex::Regex, subject: &[u8]| {
        let with = Replacement::new(&text).ok()?;
        let groups = match regex.find(subject) {
            Some(groups) => groups,
            None => return Some(None),
        };
        let mut out = Vec::new();
        write_pieces(&with, &groups, subject, &mut out);
        Some(Some(out))
    };
    let target = match edit {
        LineEdit::Method(_) => {
            if text.is_empty() || !text.iter().all(|byte| is_token_byte(*byte)) {
                return false;
            }
            head.set_method(&text);
            return true;
        }
        LineEdit::Uri(_) => text,
        LineEdit::Path(_) => [p.before, &text, p.query].concat(),
        LineEdit::PathQuery(_) => [p.before, &text].concat(),
        LineEdit::Query(_) => {
            let query = if text.is_empty() && p.query.is_empty() { &b""[..] } else { b"?" };
            [p.before, p.path, query, &text].concat()
        }
        LineEdit::ReplacePath(regex, _) => match replaced(regex, p.path) {
            Some(Some(path)) => [p.before, &path, p.query].concat(),
            Some(None) => return true,
            None => return false,
        },
        LineEdit::ReplacePathQuery(regex, _) => match replaced(regex, pathq) {
            Some(Some(pathq)) => [p.before, &pathq].concat(),
            Some(None) => return true,
            None => return false,
        },
        LineEdit::ReplaceUri(regex, _) => match replaced(regex, &old) {
            Some(Some(uri)) => uri,
            Some(None) => return true,
            None => return false,
        },
        LineEdit::Normalize(normalizer) => match super::target::normalize(&old, *normalizer) {
            Some(Some(target)) => target,
            Some(None) => return true,
            None => return false,
        },
    };
    set_target(&target, matches!(edit, LineEdit::Uri(_) | LineEdit::ReplaceUri(..)), head)
}

/// Gives a request its target; one that may name a host gives `Host` its value too.
fn set_target(target: &[u8], whole: bool, head: &mut Head) -> bool {
    if target.is_empty() || target.len() > MAX_HEAD || target.iter().any(|byte| *byte <= b' ' || *byte == 127) {
        return false;
    }
    head.set_target(target);
    if whole {
        host_of_target(head);
    }
    true
}

/// A target that names a host and another one in `Host` would have two meanings (RFC 9112 §3.2.2).
pub(super) fn host_of_target(head: &mut Head) {
    if let Some(host) = authority(head.target()).map(<[u8]>::to_vec) {
        head.set(b"host", &host);
    }
}

/// The host, perhaps with a port, of a target that has one in front of its path.
fn authority(target: &[u8]) -> Option<&[u8]> {
    let before = parts(target).before;
    let at = memchr::memmem::find(before, b"://")?;
    let host = &before[at + 3..];
    let host = host.rsplit(|byte| *byte == b'@').next().unwrap_or(host);
    Some(host).filter(|host| !host.is_empty())
}
