//! Cookies of requests (`Cookie`) and responses (`Set-Cookie`). Manual 7.3.6.
//!
//! Holds: a field is split at commas first, as haproxy does it; then the cookies of a request are found behind semicolons, that of a
//! response is the first thing there is; quotes keep together, and stay in the value.

use super::fields::elements;
use super::loose::integer;
use crate::sample::{ArgKind, Args, Cursor, Cx, Eval, Fetch, Need, Side, Type, Value};
use lb_http::{FieldId, Head};

use Need::{EitherHead, RequestHead, ResponseHead};

pub(super) const TABLE: &[Fetch] = &[
    text("cookie", EitherHead, |args, cx, cursor| value(args, cx, cursor, cx.side)),
    text("cook", RequestHead, |args, cx, cursor| value(args, cx, cursor, Side::Request)),
    text("req.cook", RequestHead, |args, cx, cursor| value(args, cx, cursor, Side::Request)),
    text("res.cook", ResponseHead, |args, cx, cursor| value(args, cx, cursor, Side::Response)),
    text("scook", ResponseHead, |args, cx, cursor| value(args, cx, cursor, Side::Response)),
    number("cook_val", RequestHead, |args, cx, cursor| int(args, cx, cursor, Side::Request)),
    number("req.cook_val", RequestHead, |args, cx, cursor| int(args, cx, cursor, Side::Request)),
    number("res.cook_val", ResponseHead, |args, cx, cursor| int(args, cx, cursor, Side::Response)),
    number("scook_val", ResponseHead, |args, cx, cursor| int(args, cx, cursor, Side::Response)),
    number("cook_cnt", RequestHead, |args, cx, _| count(args, cx, Side::Request)),
    number("req.cook_cnt", RequestHead, |args, cx, _| count(args, cx, Side::Request)),
    number("res.cook_cnt", ResponseHead, |args, cx, _| count(args, cx, Side::Response)),
    number("scook_cnt", ResponseHead, |args, cx, _| count(args, cx, Side::Response)),
    text("req.cook_names", RequestHead, |args, cx, _| names(args, cx, Side::Request)),
    text("res.cook_names", ResponseHead, |args, cx, _| names(args, cx, Side::Response)),
];

type Call = crate::sample::FetchCall;

const fn text(name: &'static str, need: Need, call: Call) -> Fetch {
    Fetch::new(name, &[ArgKind::Str], 0, Type::Str, need, call)
}

const fn number(name: &'static str, need: Need, call: Call) -> Fetch {
    Fetch::new(name, &[ArgKind::Str], 0, Type::Int, need, call)
}

/// One cookie of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cookie<'a> {
    name: &'a [u8],
    value: &'a [u8],
}

fn is_space(b: u8) -> bool {
    b == b' ' || b == b'\t'
}

fn trim_start(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|b| is_space(**b)).count()..]
}

fn trim_end(text: &[u8]) -> &[u8] {
    &text[..text.len() - text.iter().rev().take_while(|b| is_space(**b)).count()]
}

/// Where a cookie's value ends: at a semicolon or comma outside of quotes.
fn value_end(text: &[u8]) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, &b) in text.iter().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' | b',' if !quoted => return at,
            _ => {}
        }
    }
    text.len()
}

/// The first cookie in `rest` that `name` names, any one with a name of no bytes; moves `rest` behind it. What is too short for the name
/// and two bytes more is not looked at, so that `a=` at the end of a line is no cookie `a`.
fn find<'a>(rest: &mut &'a [u8], name: &[u8], list: bool) -> Option<Cookie<'a>> {
    while name.len() + 1 < rest.len() {
        let text = trim_start(rest);
        let ends = |b: &u8| matches!(b, b'=' | b';') || (list && *b == b',');
        let equal = text.iter().position(ends).unwrap_or(text.len());
        let own = trim_end(&text[..equal]);
        let (value, next) = if text.get(equal) == Some(&b'=') {
            let value = trim_start(&text[equal + 1..]);
            let end = value_end(value);
            (Some(trim_end(&value[..end])), &value[end..])
        } else {
            (None, &text[equal..])
        };
        *rest = next.get(1..).unwrap_or_default();
        if let Some(value) = value
            && !own.starts_with(b"$")
            && (name.is_empty() || own == name)
        {
            return Some(Cookie { name: own, value });
        }
        if !list {
            *rest = b"";
        }
    }
    None
}

fn field_of(side: Side) -> FieldId {
    match side {
        Side::Request => FieldId::Cookie,
        Side::Response => FieldId::SetCookie,
    }
}

/// All that the name names, in order.
fn all<'a>(head: &'a Head, name: &'a [u8], side: Side) -> impl Iterator<Item = Cookie<'a>> {
    let list = side == Side::Request;
    let parts = head.get_all_id(field_of(side)).flat_map(elements).filter(move |part| part.len() > name.len());
    parts.flat_map(move |mut rest| std::iter::from_fn(move || find(&mut rest, name, list)))
}

fn name_of(args: &Args) -> &[u8] {
    args.str(0).unwrap_or_default().as_bytes()
}

/// The cookie that an expression asks for: the last of that name, the first of any name, each of them in turn.
fn wanted<'a>(args: &'a Args, cx: Cx<'a>, cursor: &mut Cursor, side: Side) -> Result<Cookie<'a>, Eval<'a>> {
    let Some(head) = cx.head(side) else { return Err(cx.missing(false)) };
    let name = name_of(args);
    let mut all = all(head, name, side);
    let found = if cursor.each {
        let found = all.nth(cursor.field as usize);
        cursor.field += 1;
        cursor.more = found.is_some() && all.next().is_some();
        found
    } else if name.is_empty() {
        all.next()
    } else {
        all.last()
    };
    found.ok_or(Eval::Absent)
}

fn value<'a>(args: &'a Args, cx: Cx<'a>, cursor: &mut Cursor, side: Side) -> Eval<'a> {
    wanted(args, cx, cursor, side).map_or_else(|none| none, |cookie| Eval::Value(Value::Str(cookie.value)))
}

fn int<'a>(args: &'a Args, cx: Cx<'a>, cursor: &mut Cursor, side: Side) -> Eval<'a> {
    wanted(args, cx, cursor, side).map_or_else(|none| none, |cookie| Eval::Value(Value::Int(integer(cookie.value))))
}

fn count<'a>(args: &'a Args, cx: Cx<'a>, side: Side) -> Eval<'a> {
    let Some(head) = cx.head(side) else { return cx.missing(false) };
    Eval::Value(Value::Int(all(head, name_of(args), side).count() as i64))
}

fn names<'a>(args: &'a Args, cx: Cx<'a>, side: Side) -> Eval<'a> {
    let Some(head) = cx.head(side) else { return cx.missing(false) };
    let delimiter = args.str(0).and_then(|text| text.bytes().next()).unwrap_or(b',');
    let mut list = bumpalo::collections::Vec::new_in(cx.scratch);
    for (n, cookie) in all(head, b"", side).enumerate() {
        if n > 0 {
            list.push(delimiter);
        }
        list.extend_from_slice(cookie.name);
    }
    Eval::Value(Value::Str(list.into_bump_slice()))
}
