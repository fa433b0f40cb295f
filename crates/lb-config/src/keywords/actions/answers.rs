//! Actions that end a message's way: with an answer, a redirect, or nothing at all.

use super::{ActionCx, Outcome, Sets, works};
use crate::diag::Problem;
use crate::keywords::Keyword;
use crate::model::{Action, FileBytes, Redirect, RedirectTo, Reply, ReplyBody, ReplyContent, RuleSet};
use crate::parse::exprs;
use crate::tree::shown;
use lb_expr::Purpose;

const REPLY: &str = "[status <code>] [content-type <type>] [{default-errorfiles|errorfile <file>|errorfiles <name>|file <file>|lf-file <file>|string <text>|\
                     lf-string <format>}] [hdr <name> <format>] ...";

pub(super) const KEYWORDS: &[Keyword] = &[
    works("accept", Sets::TCP, "", "ends the rules: the connection goes on", |_, _| Ok(Action::Accept)),
    works("allow", Sets::HTTP, "", "ends the rules: the message goes on", |_, _| Ok(Action::Accept)),
    works("reject", Sets::TCP.or(Sets::REQUEST), "", "closes the connection", |_, _| Ok(Action::Reject)),
    works("close", Sets::ANSWER, "", "closes the connection to the server", |_, _| Ok(Action::Close)),
    works(
        "silent-drop",
        Sets::TCP.or(Sets::REQUEST).or(Sets::RESPONSE),
        "[rst-ttl <ttl>]",
        "the connection vanishes without a word",
        silent_drop,
    ),
    works("deny", Sets::REQUEST.or(Sets::RESPONSE), REPLY, "answers with an error", |cx, _| {
        let status = if cx.set == RuleSet::Response { 502 } else { 403 };
        Ok(Action::Deny(reply(cx, status, true)?))
    }),
    works("tarpit", Sets::REQUEST, REPLY, "answers with an error, late", |cx, _| Ok(Action::Tarpit(reply(cx, 500, true)?))),
    works("return", Sets::REQUEST.or(Sets::RESPONSE), REPLY, "answers with a content", |cx, _| Ok(Action::Return(reply(cx, 200, false)?))),
    works("redirect", Sets::REQUEST.or(Sets::RESPONSE), "<rule>", "answers with a redirect", |cx, _| {
        Ok(Action::Redirect(Box::new(redirect(cx)?)))
    }),
    works("auth", Sets::REQUEST, "[realm <realm>]", "asks for user and password (401, 407)", auth),
    works("early-hint", Sets::REQUEST, "<name> <format>", "sends 103 with a field", |cx, _| {
        let name = cx.boxed()?;
        Ok(Action::EarlyHint { name, value: cx.format(Purpose::Http)? })
    }),
];

fn silent_drop(cx: &mut ActionCx<'_, '_>, _: Option<&str>) -> Outcome {
    let mut ttl = None;
    if cx.peek() == Some("rst-ttl") {
        cx.need()?;
        ttl = Some(cx.number(1..=255)? as u8);
    }
    Ok(Action::SilentDrop { ttl })
}

fn auth(cx: &mut ActionCx<'_, '_>, _: Option<&str>) -> Outcome {
    let mut realm = None;
    if cx.peek() == Some("realm") {
        cx.need()?;
        realm = Some(cx.boxed()?);
    }
    Ok(Action::Auth { realm })
}

/// `http-error`: as `return`, for the status that it stands for.
pub(in crate::keywords) fn error_reply(cx: &mut ActionCx<'_, '_>) -> Result<Reply, Problem> {
    if cx.peek() != Some("status") {
        return Err(cx.line.problem(0, "'http-error' wants 'status <code>'").help("for example 'http-error status 503 ...'"));
    }
    let status = cx.line.number(1, STATUSES)? as u16;
    if !PAGES.contains(&status) && !LATE_PAGES.contains(&status) {
        return Err(cx
            .line
            .problem(1, format!("there is no built-in reply for status {status}"))
            .help("name one that haproxy answers with"));
    }
    if cx.line.arg(2).is_none() {
        cx.at = 2;
        return Ok(Reply { status, content: ReplyContent::Page });
    }
    reply(cx, status, false)
}

/// Statuses that a reply of its own may have, and those of the pages that there are.
const STATUSES: std::ops::RangeInclusive<i64> = 200..=599;
const PAGES: [u16; 18] = [200, 400, 401, 403, 404, 405, 407, 408, 410, 413, 421, 422, 425, 429, 500, 501, 502, 503];
const LATE_PAGES: [u16; 1] = [504];

fn reply(cx: &mut ActionCx<'_, '_>, status: u16, refusal: bool) -> Result<Reply, Problem> {
    let mut reply = Reply { status, content: ReplyContent::Page };
    let mut content_type: Option<Box<str>> = None;
    let mut fields = Vec::new();
    let mut body = None;
    let mut own = false;
    let mut own_status = false;
    let mut status_at = None;
    while let Some(word) = cx.peek() {
        cx.at += 1;
        let once = |cx: &ActionCx<'_, '_>, taken: bool| match taken {
            true => Err(cx.problem(format!("'{word}' stands behind another content")).help("a reply has one content")),
            false => Ok(()),
        };
        match word {
            "status" | "deny_status" if word == "status" || refusal => {
                reply.status = cx.number(STATUSES)? as u16;
                status_at = Some(cx.at - 1);
                // Asked for in this word, a status is an answer of its own (observed).
                own_status |= word == "status";
            }
            "content-type" => content_type = Some(cx.boxed()?),
            "default-errorfiles" => {
                once(cx, own || body.is_some())?;
                own = true;
            }
            "errorfile" => {
                once(cx, own || body.is_some())?;
                own = true;
                let bytes = read(cx)?;
                if let Err(error) = lb_http::errors::ErrorFile::parse(&bytes) {
                    return Err(cx
                        .problem(format!("the file is no response: {error}"))
                        .help("write status line, fields, an empty line, body"));
                }
                reply.content = ReplyContent::File(bytes);
            }
            "errorfiles" => {
                once(cx, own || body.is_some())?;
                own = true;
                let name = cx.need()?;
                reply.content = ReplyContent::Set(cx.world.error_set(name, cx.line.span()));
            }
            "file" => {
                once(cx, own || body.is_some())?;
                body = Some(ReplyBody::Bytes(read(cx)?));
            }
            "string" => {
                once(cx, own || body.is_some())?;
                body = Some(ReplyBody::Bytes(cx.need()?.as_bytes().to_vec().into()));
            }
            "lf-string" => {
                once(cx, own || body.is_some())?;
                body = Some(ReplyBody::Format(cx.format(Purpose::Http)?));
            }
            "lf-file" => {
                once(cx, own || body.is_some())?;
                let bytes = read(cx)?;
                let text = std::str::from_utf8(&bytes).map_err(|_| cx.problem("the file is not valid UTF-8"))?;
                let at = cx.at - 1;
                let format = exprs::format_of(cx.world, cx.line, at, text, Purpose::Http)?;
                exprs::format_available(&format, cx.points, cx.line, at)?;
                body = Some(ReplyBody::Format(format));
            }
            "hdr" => {
                let name = cx.boxed()?;
                let value = cx.format(Purpose::Http)?;
                if OF_THE_CONTENT.iter().any(|own| name.eq_ignore_ascii_case(own)) {
                    without_effect(cx, &format!("the field '{name}' of a reply is made from its content: 'hdr' has no effect on it"));
                } else {
                    fields.push((name, value));
                }
            }
            _ => {
                return Err(cx
                    .problem(format!("unexpected '{}' in a reply", shown(word)))
                    .help(format!("write '{REPLY}', then 'if' or 'unless'")));
            }
        }
    }
    let has_own = body.is_some() || !fields.is_empty() || content_type.is_some() || own_status || !refusal;
    if let ReplyContent::Set(set) = &reply.content {
        cx.world.error_replies.push((set.clone(), reply.status, cx.line.span()));
    }
    let payload = body.as_ref().is_some_and(|body| !matches!(body, ReplyBody::Bytes(bytes) if bytes.is_empty()));
    if content_type.is_some() && !payload {
        without_effect(cx, "'content-type' has no effect: this reply has no content of its own");
    }
    if own && !fields.is_empty() {
        without_effect(cx, "'hdr' has no effect: an error file has its own fields");
    }
    if own {
        return Ok(reply);
    }
    if !has_own {
        if !PAGES.contains(&reply.status) && !LATE_PAGES.contains(&reply.status) {
            let problem = cx.line.problem(status_at.unwrap_or(0), format!("there is no page for status {}", reply.status));
            return Err(problem.help("add 'content-type' and 'string', or 'hdr', for a reply of its own"));
        }
        return Ok(reply);
    }
    let body = body.unwrap_or(ReplyBody::Empty);
    if body != ReplyBody::Empty && content_type.is_none() {
        return Err(cx.line.problem(0, "a reply with a body wants its 'content-type'").help("for example 'content-type text/plain'"));
    }
    if payload && matches!(reply.status, 204 | 304) {
        let message = format!("a reply of status {} has no body", reply.status);
        return Err(cx.line.problem(0, message).help("leave the content out, or answer with 200"));
    }
    reply.content = ReplyContent::Own { content_type: content_type.filter(|_| body != ReplyBody::Empty), fields: fields.into(), body };
    Ok(reply)
}

/// Fields that say what the content is, and so cannot say anything else.
const OF_THE_CONTENT: [&str; 3] = ["content-type", "content-length", "transfer-encoding"];

/// A part of a reply that changes nothing of it, which haproxy warns of as well.
fn without_effect(cx: &mut ActionCx<'_, '_>, message: &str) {
    cx.world.warn(cx.line.span(), message, Some("remove that part of the line".into()));
}

/// The file whose name is the next argument.
fn read(cx: &mut ActionCx<'_, '_>) -> Result<FileBytes, Problem> {
    let path = cx.need()?;
    match cx.world.source.loader.load(path) {
        Ok(bytes) => Ok(bytes.into()),
        Err(why) => Err(cx.problem(format!("cannot read '{}': {why}", shown(path))).help("name a file that can be read")),
    }
}

/// Where a redirect leads: a format; on lines of its own a text, whose `%` mean themselves (observed).
fn target(cx: &mut ActionCx<'_, '_>) -> Result<lb_expr::LogFormat, Problem> {
    if cx.set != RuleSet::Redirect {
        return cx.format(Purpose::Http);
    }
    let text = cx.need()?.replace('%', "%%");
    lb_expr::LogFormat::compile(&text).map_err(|error| cx.problem(error.message))
}

/// `location|prefix|scheme <to> [code <n>] [<option> ...]`
pub(in crate::keywords) fn redirect(cx: &mut ActionCx<'_, '_>) -> Result<Redirect, Problem> {
    let mut to = None;
    let mut redirect = Redirect {
        to: RedirectTo::Location(lb_expr::LogFormat::compile("").unwrap_or_else(|_| unreachable!("an empty format compiles"))),
        code: 302,
        drop_query: false,
        append_slash: false,
        ignore_empty: false,
        cookie: None,
        cookie_format: None,
        keep_query: false,
    };
    while let Some(word) = cx.peek() {
        cx.at += 1;
        match word {
            "location" => to = Some(RedirectTo::Location(target(cx)?)),
            "prefix" | "scheme" if cx.set == RuleSet::Response => {
                return Err(cx.problem(format!("a response cannot be redirected by '{word}'")).help("write 'location'"));
            }
            "prefix" => to = Some(RedirectTo::Prefix(target(cx)?)),
            "scheme" => to = Some(RedirectTo::Scheme(target(cx)?)),
            "code" => {
                let code = cx.need()?;
                redirect.code = match code {
                    "301" => 301,
                    "302" => 302,
                    "303" => 303,
                    "307" => 307,
                    "308" => 308,
                    _ => {
                        let message = format!("unsupported HTTP code '{}' for a redirect", shown(code));
                        return Err(cx.problem(message).help("it must be one of 301, 302, 303, 307 or 308"));
                    }
                };
            }
            "drop-query" => redirect.drop_query = true,
            "keep-query" => redirect.keep_query = true,
            "append-slash" => redirect.append_slash = true,
            "ignore-empty" => redirect.ignore_empty = true,
            "set-cookie" => {
                let cookie = cx.need()?;
                redirect.cookie = Some(format!("{cookie}; path=/;").into());
            }
            "set-cookie-fmt" => redirect.cookie_format = Some(cx.format(Purpose::Http)?),
            "clear-cookie" => {
                let cookie = cx.need()?;
                redirect.cookie = Some(format!("{cookie}; path=/; Max-Age=0;").into());
            }
            _ => {
                return Err(cx.problem(format!("unexpected '{}' in a redirect", shown(word))).help(
                    "expects 'code', 'prefix', 'location', 'scheme', 'set-cookie', 'clear-cookie', 'drop-query', 'append-slash', \
                     'ignore-empty'",
                ));
            }
        }
    }
    match to {
        Some(to) => Ok(Redirect { to, ..redirect }),
        None => Err(cx.problem("a redirect wants 'prefix', 'scheme' or 'location'").help("for example 'redirect scheme https'")),
    }
}
