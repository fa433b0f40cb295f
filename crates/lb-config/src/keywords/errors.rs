//! `http-errors` sections, `errorfiles`, `http-error`. Source: manual 3.8, 4.2.

use super::actions::{self, ActionCx};
use super::proxy::{STATUSES, response_file, status};
use super::{Context, Keyword, Parser, Sections, State};
use crate::diag::Problem;
use crate::model::{ErrorReply, ErrorReplyKind, ReplyContent, RuleSet};
use crate::parse::{ErrorsCx, Line, NamedErrors, ProxyCx};
use lb_expr::sample::{Point, Points};
use std::sync::Arc;

type Outcome = Result<(), Problem>;

pub(super) const KEYWORDS: &[Keyword] = &[
    Keyword::new(
        Context::In("http-errors"),
        "errorfile",
        "<status> <file>",
        "a file in place of a built-in reply",
        State::Works,
        Parser::Errors(errorfile),
    ),
    Keyword::new(
        Context::Proxy,
        "errorfiles",
        "<name> [<status> ...]",
        "replies of an 'http-errors' section",
        State::Works,
        Parser::Proxy(errorfiles),
    )
    .sections(Sections::D_F_L_B),
    Keyword::new(
        Context::Proxy,
        "http-error",
        "status <n> ...",
        "a reply in place of a built-in one",
        State::Works,
        Parser::Proxy(http_error),
    )
    .sections(Sections::D_F_L_B),
];

fn errorfile(cx: &mut ErrorsCx<'_, '_>, line: &Line<'_>) -> Outcome {
    line.need(1)?;
    let status = status(line)?;
    line.end(2)?;
    let bytes = response_file(cx.world, line)?;
    cx.errors.replies.retain(|(known, _)| *known != status);
    cx.errors.replies.push((status, bytes.into()));
    Ok(())
}

fn errorfiles(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let set = cx.world.error_set(line.need(0)?, line.span());
    let mut statuses = Vec::new();
    for at in (1..).take_while(|at| line.arg(*at).is_some()) {
        let value = line.number(at, 0..=999)?;
        if !STATUSES.contains(&value) {
            let message = format!("there is no built-in reply for status {value}");
            return Err(line.problem(at, message).help("name statuses that haproxy itself answers with, 403 for example"));
        }
        statuses.push(value as u16);
    }
    cx.draft.errorfiles.push(NamedErrors { set, statuses, span: line.span() });
    Ok(())
}

fn http_error(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    line.need(0)?;
    let points = Points::of(Point::FrontRequest).or(Points::of(Point::BackRequest));
    let mut parsing = ActionCx { draft: cx.draft, world: cx.world, line, at: 0, set: RuleSet::Request, points };
    let reply = actions::error_reply(&mut parsing)?;
    line.end(parsing.at)?;
    let status = reply.status;
    let replies = &mut cx.draft.proxy.error_replies;
    replies.retain(|known| known.status != status);
    // One without a content is the built-in one.
    let kind = match reply.content {
        ReplyContent::Page => return Ok(()),
        ReplyContent::File(bytes) => ErrorReplyKind::File(bytes),
        _ => ErrorReplyKind::Made(Arc::new(reply)),
    };
    replies.push(ErrorReply { status, kind, span: line.span() });
    Ok(())
}
