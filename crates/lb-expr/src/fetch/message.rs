//! Requests and responses as a whole: method, version, status, body, credentials, what was captured of them. Manual 7.3.6.

use super::fields::elements;
use super::target::path_and_query;
use crate::convert::base64;
use crate::sample::{Arg, ArgKind, Args, Cx, Eval, Fact, Fetch, Loader, Need, Side, Type, Value};
use crate::{CaptureSide, Field, LogValue};
use lb_http::{FieldId, Head, Method, Version};

use Need::{Request, RequestHead, Response, ResponseHead};

pub(super) const TABLE: &[Fetch] = &[
    Fetch::new("method", &[], 0, Type::Method, Request, |_, cx, _| method(cx)),
    request("req.ver", Type::Str, |_, cx, _| version(cx, Side::Request)),
    request("req_ver", Type::Str, |_, cx, _| version(cx, Side::Request)),
    response("res.ver", Type::Str, |_, cx, _| version(cx, Side::Response)),
    response("resp_ver", Type::Str, |_, cx, _| version(cx, Side::Response)),
    Fetch::new("status", &[], 0, Type::Int, Response, |_, cx, _| status(cx)),
    request("req.body", Type::Bin, |_, cx, _| body(cx, Side::Request)),
    request("req.body_len", Type::Int, |_, cx, _| body_len(cx, Side::Request)),
    request("req.body_size", Type::Int, |_, cx, _| body_size(cx, Side::Request)),
    response("res.body", Type::Bin, |_, cx, _| body(cx, Side::Response)),
    response("res.body_len", Type::Int, |_, cx, _| body_len(cx, Side::Response)),
    response("res.body_size", Type::Int, |_, cx, _| body_size(cx, Side::Response)),
    Fetch::new("http_first_req", &[], 0, Type::Bool, Request, |_, cx, _| cx.source.fact(Fact::HttpFirstReq, cx.scratch).into()),
    Fetch::new("unique-id", &[], 0, Type::Str, Need::Constant, |_, cx, _| cx.source.fact(Fact::UniqueId, cx.scratch).into()),
    Fetch::new("capture.req.hdr", &[ArgKind::Int], 1, Type::Str, Request, |args, cx, _| captured(args, cx, CaptureSide::Request)),
    Fetch::new("capture.res.hdr", &[ArgKind::Int], 1, Type::Str, Response, |args, cx, _| captured(args, cx, CaptureSide::Response)),
    Fetch::new("capture.req.method", &[], 0, Type::Str, Request, |_, cx, _| line(cx).map(|line| Value::Str(line.0)).into()),
    Fetch::new("capture.req.uri", &[], 0, Type::Str, Request, |_, cx, _| {
        line(cx).and_then(|line| path_and_query(line.1)).map(Value::Str).into()
    }),
    Fetch::new("capture.req.ver", &[], 0, Type::Str, Request, |_, cx, _| captured_version(cx, Side::Request)),
    Fetch::new("capture.res.ver", &[], 0, Type::Str, Request, |_, cx, _| captured_version(cx, Side::Response)),
    request("http_auth_type", Type::Str, |_, cx, _| credentials(cx, |given| Some(Value::Str(given.scheme())))),
    request("http_auth_user", Type::Str, |_, cx, _| credentials(cx, |given| Some(Value::Str(given.basic(cx)?.0)))),
    request("http_auth_pass", Type::Str, |_, cx, _| credentials(cx, |given| Some(Value::Str(given.basic(cx)?.1)))),
    Fetch::new("http_auth_bearer", &[ArgKind::Str], 0, Type::Str, RequestHead, bearer).checked(check_name),
    Fetch::new("http_auth", &[ArgKind::Userlist], 1, Type::Bool, RequestHead, |args, cx, _| {
        known_user(args, cx, |_, known| Some(Value::Bool(known)))
    }),
    Fetch::new("http_auth_group", &[ArgKind::Userlist], 1, Type::Str, RequestHead, groups),
];

/// The user, if the list knows it; for an ACL, which compares groups, one group after the other.
fn groups<'a>(args: &'a Args, cx: Cx<'a>, cursor: &mut crate::sample::Cursor) -> Eval<'a> {
    let Some(list) = args.reference(0) else { return Eval::Absent };
    let at = cursor.field as usize;
    if !cursor.each {
        return known_user(args, cx, |user, known| known.then_some(Value::Str(user)));
    }
    credentials(cx, |given| {
        let (user, password) = given.basic(cx)?;
        // The password has been looked at with the first group.
        if at == 0 && !cx.source.knows_user(list, user, password) {
            return None;
        }
        cursor.field += 1;
        cursor.more = cx.source.group_of(list, user, at + 1).is_some();
        Some(Value::Str(cx.source.group_of(list, user, at).unwrap_or_default()))
    })
}

type Call = crate::sample::FetchCall;

const fn request(name: &'static str, out: Type, call: Call) -> Fetch {
    Fetch::new(name, &[], 0, out, RequestHead, call)
}

const fn response(name: &'static str, out: Type, call: Call) -> Fetch {
    Fetch::new(name, &[], 0, out, ResponseHead, call)
}

fn head_of<'a>(cx: Cx<'a>, side: Side, of: impl FnOnce(&'a Head) -> Option<Value<'a>>) -> Eval<'a> {
    cx.head(side).map_or_else(|| cx.missing(false), |head| of(head).into())
}

fn method<'a>(cx: Cx<'a>) -> Eval<'a> {
    if let Some(head) = cx.head(Side::Request) {
        return Eval::Value(Value::Method(head.method(), head.method_bytes()));
    }
    match line(cx) {
        // The head has gone, its first line is kept.
        Some((method, ..)) => Eval::Value(Value::Method(Method::of(method), method)),
        None => cx.missing(false),
    }
}

fn version<'a>(cx: Cx<'a>, side: Side) -> Eval<'a> {
    head_of(cx, side, |head| Some(Value::Str(&head.version().as_bytes()[5..])))
}

fn status<'a>(cx: Cx<'a>) -> Eval<'a> {
    if let Some(head) = cx.head(Side::Response) {
        return Eval::Value(Value::Int(i64::from(head.status())));
    }
    match cx.source.fact(Fact::Status, cx.scratch) {
        Some(status) => Eval::Value(status),
        None => cx.missing(false),
    }
}

fn body<'a>(cx: Cx<'a>, side: Side) -> Eval<'a> {
    head_of(cx, side, |_| Some(Value::Bin(cx.source.body(side).bytes)))
}

fn body_len<'a>(cx: Cx<'a>, side: Side) -> Eval<'a> {
    head_of(cx, side, |_| Some(Value::Int(cx.source.body(side).bytes.len() as i64)))
}

/// As announced; without that, what is here.
fn body_size<'a>(cx: Cx<'a>, side: Side) -> Eval<'a> {
    head_of(cx, side, |_| {
        let body = cx.source.body(side);
        let size = body.announced.unwrap_or(body.bytes.len() as u64);
        Some(Value::Int(i64::try_from(size).unwrap_or(i64::MAX)))
    })
}

fn captured<'a>(args: &'a Args, cx: Cx<'a>, side: CaptureSide) -> Eval<'a> {
    let slot = args.int(0).and_then(|slot| usize::try_from(slot).ok());
    let source: &'a dyn crate::sample::Context = cx.source;
    slot.and_then(|slot| crate::LogSource::capture(source, side, slot)).map(Value::Str).into()
}

/// Method, target and version of the first line that is kept for logs.
fn line<'a>(cx: Cx<'a>) -> Option<(&'a [u8], &'a [u8], &'a [u8])> {
    let LogValue::Text(line) = cx.source.value(Field::RequestLine) else { return None };
    let mut words = line.splitn(3, |b| *b == b' ');
    Some((words.next()?, words.next().unwrap_or_default(), words.next().unwrap_or_default()))
}

fn captured_version<'a>(cx: Cx<'a>, side: Side) -> Eval<'a> {
    if let Some(head) = cx.head(side) {
        return Eval::Value(Value::Str(head.version().as_bytes()));
    }
    if side == Side::Response {
        // The head has gone, its version is kept.
        return cx.source.fact(Fact::ServerVersion, cx.scratch).map_or_else(|| cx.missing(false), Eval::Value);
    }
    match line(cx) {
        Some((_, _, b"HTTP/1.0")) => Eval::Value(Value::Str(Version::Http10.as_bytes())),
        Some(_) => Eval::Value(Value::Str(Version::Http11.as_bytes())),
        None => cx.missing(false),
    }
}

/// What `Authorization` (to a proxy: `Proxy-Authorization`) says, in the schemes that are known.
#[derive(Clone, Copy)]
enum Given<'a> {
    /// User and password, encoded.
    Basic(&'a [u8]),
    Bearer(&'a [u8]),
}

impl<'a> Given<'a> {
    fn of(head: &'a Head, cx: Cx<'a>) -> Option<Self> {
        let field =
            if cx.source.authenticates_as_proxy() { head.get(b"proxy-authorization")? } else { head.get_id(FieldId::Authorization)? };
        // A list by its grammar for haproxy, of which the first element counts.
        let (scheme, rest) = split_scheme(elements(field).next()?)?;
        match () {
            () if scheme.eq_ignore_ascii_case(b"Basic") => Some(Self::Basic(rest)),
            () if scheme.eq_ignore_ascii_case(b"Bearer") => Some(Self::Bearer(rest)),
            () => None,
        }
    }

    fn scheme(self) -> &'static [u8] {
        match self {
            Self::Basic(_) => b"Basic",
            Self::Bearer(_) => b"Bearer",
        }
    }

    fn basic(self, cx: Cx<'a>) -> Option<(&'a [u8], &'a [u8])> {
        let Self::Basic(encoded) = self else { return None };
        let pair = decoded(encoded, cx)?;
        let colon = memchr::memchr(b':', pair)?;
        Some((&pair[..colon], &pair[colon + 1..]))
    }
}

/// The first word and what follows its spaces.
fn split_scheme(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b' ', value)?;
    let rest = &value[end..];
    Some((&value[..end], &rest[rest.iter().take_while(|b| **b == b' ').count()..]))
}

fn credentials<'a>(cx: Cx<'a>, of: impl FnOnce(Given<'a>) -> Option<Value<'a>>) -> Eval<'a> {
    head_of(cx, Side::Request, |head| {
        let given = Given::of(head, cx)?;
        // Credentials that cannot be read are none, whatever is asked of them.
        if matches!(given, Given::Basic(_)) {
            given.basic(cx)?;
        }
        of(given)
    })
}

fn check_name(args: &mut Vec<Arg>, _: &mut dyn Loader) -> Result<(), String> {
    if let Some(Arg::Str(name)) = args.first() {
        args[0] = Arg::field(name);
    }
    Ok(())
}

/// The token of `Authorization`, or of another field, in which any scheme counts as this one.
fn bearer<'a>(args: &'a Args, cx: Cx<'a>, _: &mut crate::sample::Cursor) -> Eval<'a> {
    let Arg::Field(id, name) = args.get(0) else {
        return credentials(cx, |given| if let Given::Bearer(token) = given { Some(Value::Str(token)) } else { None });
    };
    head_of(cx, Side::Request, |head| {
        let is = |field: &lb_http::FieldRef<'_>| field.id == *id && (*id != FieldId::Other || field.name.eq_ignore_ascii_case(name));
        let token = head.fields().find(is).and_then(|field| {
            let (scheme, token) = split_scheme(elements(field.value).next()?)?;
            scheme.eq_ignore_ascii_case(b"Bearer").then_some(token)
        });
        Some(Value::Str(token.unwrap_or_default()))
    })
}

/// The user of the credentials, and whether a list knows both.
fn known_user<'a>(args: &'a Args, cx: Cx<'a>, of: impl FnOnce(&'a [u8], bool) -> Option<Value<'a>>) -> Eval<'a> {
    let Some(list) = args.reference(0) else { return Eval::Absent };
    credentials(cx, |given| {
        let (user, password) = given.basic(cx)?;
        of(user, cx.source.knows_user(list, user, password))
    })
}

/// Base64 with its padding.
fn decoded<'a>(text: &[u8], cx: Cx<'a>) -> Option<&'a [u8]> {
    let mut bytes = bumpalo::collections::Vec::with_capacity_in(text.len() / 4 * 3, cx.scratch);
    base64(text, |part| {
        bytes.extend_from_slice(part);
        Some(())
    })?;
    Some(bytes.into_bump_slice())
}
