//! The request's target and its parts: path, query, parameters, with and without the host. Manual 7.3.6.

use super::fields::elements;
use super::loose::{integer, ipv4};
use crate::convert::mixed_sdbm;
use crate::sample::{Arg, ArgKind, Args, Cursor, Cx, Eval, Fact, Fetch, Loader, Need, Side, Type, Value};
use lb_http::{FieldId, Head};
use std::net::{IpAddr, Ipv4Addr};

const NAME_AND_DELIMITER: &[ArgKind] = &[ArgKind::Str, ArgKind::Str, ArgKind::Str];

pub(super) const TABLE: &[Fetch] = &[
    text("url", |_, cx, _| of_head(cx, |head| Some(head.target()))),
    text("path", |_, cx, _| of_head(cx, |head| path(head).map(without_query))),
    text("pathq", |_, cx, _| of_head(cx, path)),
    text("query", |_, cx, _| of_head(cx, |head| query(path(head)?))),
    text("base", |_, cx, _| of_head(cx, |head| Some(base(head, cx, without_query)))),
    text("baseq", |_, cx, _| of_head(cx, |head| Some(base(head, cx, |path| path)))),
    number("base32", |_, cx, _| head_of(cx, |head| hash(base(head, cx, without_query)))),
    number("url32", |_, cx, _| head_of(cx, |head| hash(host_and_target(head, cx)))),
    Fetch::new("base32+src", &[], 0, Type::Bin, Need::RequestHead, |_, cx, _| with_source(cx, |head| base(head, cx, without_query))),
    Fetch::new("url32+src", &[], 0, Type::Bin, Need::RequestHead, |_, cx, _| with_source(cx, |head| host_and_target(head, cx))),
    Fetch::new("url_ip", &[], 0, Type::Ipv4, Need::RequestHead, |_, cx, _| literal(cx, |(ip, _)| Value::Ip(IpAddr::V4(ip)))),
    number("url_port", |_, cx, _| literal(cx, |(_, port)| Value::Int(i64::from(port)))),
    parameter("urlp", Type::Str, |args, cx, cursor| of_query(args, cx, cursor, Value::Str)),
    parameter("url_param", Type::Str, |args, cx, cursor| of_query(args, cx, cursor, Value::Str)),
    parameter("urlp_val", Type::Int, |args, cx, cursor| of_query(args, cx, cursor, |value| Value::Int(integer(value)))),
    Fetch::new("req.body_param", &[ArgKind::Str, ArgKind::Str], 0, Type::Bin, Need::RequestHead, body_parameter).checked(check_body),
];

type Call = crate::sample::FetchCall;

const fn text(name: &'static str, call: Call) -> Fetch {
    Fetch::new(name, &[], 0, Type::Str, Need::RequestHead, call)
}

const fn number(name: &'static str, call: Call) -> Fetch {
    Fetch::new(name, &[], 0, Type::Int, Need::RequestHead, call)
}

const fn parameter(name: &'static str, out: Type, call: Call) -> Fetch {
    Fetch::new(name, NAME_AND_DELIMITER, 0, out, Need::RequestHead, call).checked(check)
}

/// A flag that only 3.0 knows: names in any case.
fn check_flag(args: &[Arg], at: usize) -> Result<(), String> {
    match args.get(at) {
        None | Some(Arg::Absent) => Ok(()),
        Some(flag) if flag.text() == "i" => Ok(()),
        Some(flag) => Err(format!("'{}' is no flag; 'i' ignores the case of names", flag.text())),
    }
}

fn check(args: &mut Vec<Arg>, _: &mut dyn Loader) -> Result<(), String> {
    check_flag(args, 2)
}

fn check_body(args: &mut Vec<Arg>, _: &mut dyn Loader) -> Result<(), String> {
    check_flag(args, 1)
}

fn head_of<'a>(cx: Cx<'a>, of: impl FnOnce(&'a Head) -> Value<'a>) -> Eval<'a> {
    cx.head(Side::Request).map_or_else(|| cx.missing(false), |head| Eval::Value(of(head)))
}

fn of_head<'a>(cx: Cx<'a>, of: impl FnOnce(&'a Head) -> Option<&'a [u8]>) -> Eval<'a> {
    cx.head(Side::Request).map_or_else(|| cx.missing(false), |head| of(head).map(Value::Str).into())
}

/// What follows scheme and authority; nothing of `*` or an authority alone.
fn path(head: &Head) -> Option<&[u8]> {
    path_and_query(head.target())
}

/// The part of a target from its first slash on that is no part of an authority.
pub(super) fn path_and_query(target: &[u8]) -> Option<&[u8]> {
    if target.starts_with(b"/") {
        return Some(target);
    }
    let authority = &target[memchr::memmem::find(target, b"://")? + 3..];
    memchr::memchr(b'/', authority).map(|slash| &authority[slash..])
}

fn without_query(path: &[u8]) -> &[u8] {
    memchr::memchr(b'?', path).map_or(path, |at| &path[..at])
}

fn query(path: &[u8]) -> Option<&[u8]> {
    memchr::memchr(b'?', path).map(|at| &path[at + 1..])
}

/// The first value of the first `Host`.
fn host(head: &Head) -> &[u8] {
    head.get_id(FieldId::Host).and_then(|value| elements(value).next()).unwrap_or_default()
}

fn joined<'a>(first: &'a [u8], second: &'a [u8], cx: Cx<'a>) -> &'a [u8] {
    match (first, second) {
        ([], only) | (only, []) => only,
        _ => {
            let mut both = bumpalo::collections::Vec::with_capacity_in(first.len() + second.len(), cx.scratch);
            both.extend_from_slice(first);
            both.extend_from_slice(second);
            both.into_bump_slice()
        }
    }
}

fn base<'a>(head: &'a Head, cx: Cx<'a>, part: fn(&[u8]) -> &[u8]) -> &'a [u8] {
    joined(host(head), path(head).map_or(&[][..], part), cx)
}

fn host_and_target<'a>(head: &'a Head, cx: Cx<'a>) -> &'a [u8] {
    // What has no path adds nothing to the host, as haproxy has it.
    joined(host(head), path(head).unwrap_or_default(), cx)
}

fn hash(bytes: &[u8]) -> Value<'_> {
    Value::Int(i64::from(mixed_sdbm(bytes)))
}

fn with_source<'a>(cx: Cx<'a>, of: impl FnOnce(&'a Head) -> &'a [u8]) -> Eval<'a> {
    let Some(head) = cx.head(Side::Request) else { return cx.missing(false) };
    let hash = mixed_sdbm(of(head)).to_be_bytes();
    let Some(Value::Ip(ip)) = cx.source.fact(Fact::Src, cx.scratch) else { return Eval::Absent };
    let mut bytes = bumpalo::collections::Vec::with_capacity_in(20, cx.scratch);
    bytes.extend_from_slice(&hash);
    match ip {
        IpAddr::V4(ip) => bytes.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => bytes.extend_from_slice(&ip.octets()),
    }
    Eval::Value(Value::Bin(bytes.into_bump_slice()))
}

/// Address and port of a target that names a host by its IPv4 address.
fn literal<'a>(cx: Cx<'a>, of: impl FnOnce((Ipv4Addr, u16)) -> Value<'a>) -> Eval<'a> {
    let Some(head) = cx.head(Side::Request) else { return cx.missing(false) };
    let found = || {
        let target = head.target();
        let (scheme, authority) = target.split_at(memchr::memmem::find(target, b"://")?);
        let (ip, rest) = ipv4(&authority[3..])?;
        let port = match rest {
            [b':', port @ ..] => {
                let digits = port.iter().take_while(|b| b.is_ascii_digit()).count();
                integer(&port[..digits]) as u16
            }
            _ if scheme.eq_ignore_ascii_case(b"https") => 443,
            _ => 80,
        };
        Some((ip, port))
    };
    found().map(of).into()
}

/// How parameters stand in a text.
#[derive(Clone, Copy)]
struct Form<'a> {
    name: &'a [u8],
    /// What ends one beside `&` and `;`.
    delimiter: u8,
    any_case: bool,
}

impl Form<'_> {
    fn ends(self, b: u8) -> bool {
        matches!(b, b'&' | b';') || b == self.delimiter
    }

    /// Value of the next parameter that is wanted, and where it begins and ends in the text.
    fn find(self, text: &[u8], from: usize) -> Option<(usize, usize)> {
        let mut at = from;
        while at < text.len() {
            let end = text[at..].iter().position(|b| self.ends(*b)).map_or(text.len(), |n| at + n);
            let whole = &text[at..end];
            if let Some(equal) = memchr::memchr(b'=', whole)
                && self.is(&whole[..equal])
            {
                return Some((at + equal + 1, end));
            }
            at = end + 1;
        }
        None
    }

    fn is(self, name: &[u8]) -> bool {
        self.name.is_empty() || name == self.name || (self.any_case && name.eq_ignore_ascii_case(self.name))
    }
}

/// The parameter at the cursor.
fn walk<'a>(form: Form<'_>, text: &'a [u8], cursor: &mut Cursor) -> Option<&'a [u8]> {
    let (start, end) = form.find(text, cursor.offset as usize)?;
    if cursor.each {
        cursor.offset = u32::try_from(end + 1).unwrap_or(u32::MAX);
        cursor.more = form.find(text, end + 1).is_some();
    }
    Some(&text[start..end])
}

fn of_query<'a>(args: &'a Args, cx: Cx<'a>, cursor: &mut Cursor, of: fn(&'a [u8]) -> Value<'a>) -> Eval<'a> {
    let Some(head) = cx.head(Side::Request) else { return cx.missing(false) };
    let name = args.str(0).unwrap_or_default().as_bytes();
    let delimiter = args.str(1).and_then(|text| text.bytes().next()).unwrap_or(b'?');
    let form = Form { name, delimiter, any_case: args.has(2) };
    let found = path(head).and_then(|path| {
        let list = &path[memchr::memchr(delimiter, path)? + 1..];
        walk(form, list, cursor)
    });
    found.map(of).into()
}

fn body_parameter<'a>(args: &'a Args, cx: Cx<'a>, cursor: &mut Cursor) -> Eval<'a> {
    if cx.head(Side::Request).is_none() {
        return cx.missing(false);
    }
    let form = Form { name: args.str(0).unwrap_or_default().as_bytes(), delimiter: b'&', any_case: args.has(1) };
    walk(form, cx.source.body(Side::Request).bytes, cursor).map(Value::Bin).into()
}
