//! Actions that change where a stream comes from and goes to, its turn in queues, and patterns that others look up.

use super::{ActionCx, Outcome, Sets, works};
use crate::diag::Problem;
use crate::keywords::Keyword;
use crate::model::{Action, AddressPart, SetUpdate};
use lb_expr::Purpose;
use lb_expr::sample::Type;

const REQUESTS: Sets = Sets::CONNECTION.or(Sets::SESSION).or(Sets::CONTENT).or(Sets::REQUEST);
const STREAMS: Sets = Sets::CONTENT.or(Sets::REQUEST);
const MESSAGES: Sets = Sets::REQUEST.or(Sets::RESPONSE);

pub(super) const KEYWORDS: &[Keyword] = &[
    works("set-src", REQUESTS, "<expression>", "changes the source", |cx, _| address(cx, AddressPart::Source)),
    works("set-src-port", REQUESTS, "<expression>", "changes the source's port", |cx, _| address(cx, AddressPart::SourcePort)),
    works("set-dst", REQUESTS, "<expression>", "changes the destination", |cx, _| address(cx, AddressPart::Destination)),
    works("set-dst-port", REQUESTS, "<expression>", "changes the destination's port", |cx, _| address(cx, AddressPart::DestinationPort)),
    works("set-priority-class", STREAMS, "<expression>", "class in the queue", |cx, _| Ok(Action::SetPriorityClass(cx.expression()?))),
    works("set-priority-offset", STREAMS, "<expression>", "place in the queue", |cx, _| Ok(Action::SetPriorityOffset(cx.expression()?))),
    works("expect-proxy", Sets::CONNECTION, "layer4", "a PROXY header comes first", |cx, _| {
        layer4(cx)?;
        Ok(Action::ExpectProxy)
    }),
    works("expect-netscaler-cip", Sets::CONNECTION, "layer4", "a NetScaler header comes first", |cx, _| {
        layer4(cx)?;
        Ok(Action::ExpectNetscaler)
    }),
    works("add-acl", MESSAGES, "(<file>) <key>", "adds a pattern to an ACL", |cx, file| update(cx, file, SetUpdate::AddAcl)),
    works("del-acl", MESSAGES, "(<file>) <key>", "removes a pattern from an ACL", |cx, file| update(cx, file, SetUpdate::DelAcl)),
    works("set-map", MESSAGES, "(<file>) <key> <value>", "sets an entry of a map", |cx, file| update(cx, file, SetUpdate::SetMap)),
    works("del-map", MESSAGES, "(<file>) <key>", "removes an entry from a map", |cx, file| update(cx, file, SetUpdate::DelMap)),
];

fn address(cx: &mut ActionCx<'_, '_>, part: AddressPart) -> Outcome {
    let first = cx.at;
    let value = cx.expression()?;
    let wanted = match part {
        AddressPart::Source | AddressPart::Destination => Type::Addr,
        AddressPart::SourcePort | AddressPart::DestinationPort => Type::Int,
    };
    if !value.kind().casts_to(wanted) {
        let what = if wanted == Type::Int { "a port" } else { "an address" };
        return Err(cx.line.problem(first, format!("this expression never gives {what}")).help("add a converter that makes one of it"));
    }
    Ok(Action::SetAddress { part, value })
}

fn layer4(cx: &mut ActionCx<'_, '_>) -> Result<(), Problem> {
    if cx.peek() != Some("layer4") {
        let message = format!("'{}' supports 'layer4' only", cx.line.arg(0).unwrap_or_default());
        return Err(cx.line.problem(cx.at, message).help("write 'layer4' behind it"));
    }
    cx.at += 1;
    Ok(())
}

/// The name of a file stands in the parentheses, or nowhere, when it is nobody's (observed).
fn update(cx: &mut ActionCx<'_, '_>, file: Option<&str>, what: SetUpdate) -> Outcome {
    let file = file.unwrap_or_default().into();
    let key = cx.format(Purpose::Http)?;
    let value = if what == SetUpdate::SetMap { Some(cx.format(Purpose::Http)?) } else { None };
    Ok(Action::Update { what, file, key, value })
}
