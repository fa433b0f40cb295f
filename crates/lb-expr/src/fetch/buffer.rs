//! Bytes that have come, before they are anything: parts of them, RDP and distcc. Manual 7.3.5.
//!
//! Holds: what is not there yet is [`Eval::NeedMore`] until nothing more can come; any bytes are taken.

use crate::rdp;
use crate::sample::{Arg, ArgKind, Args, Bytes, Cursor, Cx, Eval, Fetch, FetchCall, Loader, Need, Side, Type, Value};
use lb_http::{FieldId, Head};

use Need::{EitherBuffer, RequestBuffer, ResponseBuffer};

const TWO: &[ArgKind] = &[ArgKind::Int, ArgKind::Int];
const THREE: &[ArgKind] = &[ArgKind::Int, ArgKind::Int, ArgKind::Str];
const TOKEN: &[ArgKind] = &[ArgKind::Str, ArgKind::Int];

pub(super) const TABLE: &[Fetch] = &[
    Fetch::new("payload", TWO, 2, Type::Bin, EitherBuffer, |args, cx, cursor| part(args, cx, cursor, cx.side)),
    Fetch::new("req.payload", TWO, 2, Type::Bin, RequestBuffer, |args, cx, cursor| part(args, cx, cursor, Side::Request)),
    Fetch::new("res.payload", TWO, 2, Type::Bin, ResponseBuffer, |args, cx, cursor| part(args, cx, cursor, Side::Response)),
    measured("payload_lv", EitherBuffer, |args, cx, _| measured_part(args, cx, cx.side)),
    measured("req.payload_lv", RequestBuffer, |args, cx, _| measured_part(args, cx, Side::Request)),
    measured("res.payload_lv", ResponseBuffer, |args, cx, _| measured_part(args, cx, Side::Response)),
    Fetch::new("req.len", &[], 0, Type::Int, RequestBuffer, |_, cx, cursor| len(cx, cursor, Side::Request)),
    Fetch::new("req_len", &[], 0, Type::Int, RequestBuffer, |_, cx, cursor| len(cx, cursor, Side::Request)),
    Fetch::new("res.len", &[], 0, Type::Int, ResponseBuffer, |_, cx, cursor| len(cx, cursor, Side::Response)),
    Fetch::new("req.rdp_cookie", &[ArgKind::Str], 0, Type::Str, RequestBuffer, rdp),
    Fetch::new("rdp_cookie", &[ArgKind::Str], 0, Type::Str, RequestBuffer, rdp),
    Fetch::new("req.rdp_cookie_cnt", &[ArgKind::Str], 0, Type::Int, RequestBuffer, rdp_count),
    Fetch::new("rdp_cookie_cnt", &[ArgKind::Str], 0, Type::Int, RequestBuffer, rdp_count),
    Fetch::new("distcc_param", TOKEN, 1, Type::Int, EitherBuffer, |args, cx, _| {
        distcc(args, cx, |message| Found::Value(Value::Int(i64::from(message.param))))
    })
    .checked(check_token),
    Fetch::new("distcc_body", TOKEN, 1, Type::Bin, EitherBuffer, |args, cx, _| {
        distcc(args, cx, |message| match message.body {
            Some(body) => Found::Value(Value::Bin(body)),
            None => Found::TooShort,
        })
    })
    .checked(check_token),
    Fetch::new(
        "wait_end",
        &[],
        0,
        Type::Bool,
        Need::Internal,
        |_, cx, _| {
            if cx.last { Eval::Value(Value::Bool(true)) } else { Eval::NeedMore }
        },
    ),
    Fetch::new("req.proto_http", &[], 0, Type::Bool, Need::Request, |_, cx, _| is_http(cx)),
    Fetch::new("req_proto_http", &[], 0, Type::Bool, Need::Request, |_, cx, _| is_http(cx)),
];

const fn measured(name: &'static str, need: Need, call: FetchCall) -> Fetch {
    Fetch::new(name, THREE, 2, Type::Bin, need, call).checked(check_measured)
}

/// What a look at bytes that may not be complete has led to.
pub(super) enum Found<T> {
    /// This is it.
    Value(T),
    /// More bytes may tell.
    TooShort,
    /// It is something else.
    Not,
}

impl<'a> Found<Value<'a>> {
    /// The same for an expression.
    pub(super) fn eval(self, cx: Cx<'a>, bytes: &Bytes<'a>) -> Eval<'a> {
        match self {
            Self::Value(value) => Eval::Value(value),
            Self::TooShort => cx.missing(bytes.whole),
            Self::Not => Eval::Absent,
        }
    }
}

/// A part of what has come, without a copy.
fn slice<'a>(bytes: &Bytes<'a>, start: u64, len: u64) -> Found<Value<'a>> {
    let end = start.saturating_add(len);
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    match range.and_then(|(start, end)| bytes.bytes.get(start..end)) {
        Some(part) => Found::Value(Value::Bin(part)),
        None => Found::TooShort,
    }
}

/// A number that can be in a buffer; a negative one never is.
fn place(args: &Args, n: usize) -> u64 {
    args.int(n).and_then(|n| u64::try_from(n).ok()).unwrap_or(u64::MAX)
}

fn part<'a>(args: &'a Args, cx: Cx<'a>, cursor: &mut Cursor, side: Side) -> Eval<'a> {
    if cx.head(side).is_some() {
        // In mode http there are no bytes to be looked at, as in haproxy.
        return Eval::Absent;
    }
    let bytes = cx.source.buffer(side);
    let (start, len) = (place(args, 0), place(args, 1));
    let rest = bytes.bytes.len() as u64;
    if len == 0 && start <= rest {
        cursor.partial = !bytes.whole;
        return slice(&bytes, start, rest - start).eval(cx, &bytes);
    }
    slice(&bytes, start, len).eval(cx, &bytes)
}

/// Where the bytes of a `payload_lv` begin.
#[derive(Clone, Copy)]
enum From {
    Start(u64),
    BehindLength(i64),
}

fn check_measured(args: &mut Vec<Arg>, _: &mut dyn Loader) -> Result<(), String> {
    let number = |arg: Option<&Arg>| if let Some(Arg::Int(n)) = arg { *n } else { 0 };
    let (at, len) = (number(args.first()), number(args.get(1)));
    if at < 0 {
        return Err("payload offset1 must be positive".to_owned());
    }
    if len <= 0 {
        return Err("payload length must be > 0".to_owned());
    }
    let Some(Arg::Str(text)) = args.get(2) else { return Ok(()) };
    let offset: i64 = text.parse().map_err(|_| "payload offset2 is not a number".to_owned())?;
    let from = if text.starts_with(['+', '-']) {
        if offset < -at.saturating_add(len) {
            return Err("payload offset2 too negative".to_owned());
        }
        From::BehindLength(offset)
    } else {
        // haproxy halves a number without a sign and takes odd ones for relative ones (observed on 2.6.12 and 3.0.11; the manual means the
        // number itself): what works there has to work here.
        match offset {
            even if even % 2 == 0 => From::Start(offset.unsigned_abs() / 2),
            odd => From::BehindLength(odd / 2),
        }
    };
    args[2] = Arg::made(from);
    Ok(())
}

fn measured_part<'a>(args: &'a Args, cx: Cx<'a>, side: Side) -> Eval<'a> {
    if cx.head(side).is_some() {
        return Eval::Absent;
    }
    let bytes = cx.source.buffer(side);
    let (at, len) = (place(args, 0), place(args, 1));
    let Found::Value(Value::Bin(length)) = slice(&bytes, at, len) else { return cx.missing(bytes.whole) };
    // A longer number keeps its last 32 bits, as in haproxy.
    let size = length.iter().fold(0u32, |n, b| n << 8 | u32::from(*b));
    let behind = at + len;
    let start = match args.made::<From>(2) {
        None => behind,
        Some(From::Start(start)) => *start,
        Some(From::BehindLength(offset)) => behind.saturating_add_signed(*offset),
    };
    if size == 0 {
        return Eval::Absent;
    }
    slice(&bytes, start, size.into()).eval(cx, &bytes)
}

/// Bytes that have come; in mode http what haproxy's own form of the message takes.
fn len<'a>(cx: Cx<'a>, cursor: &mut Cursor, side: Side) -> Eval<'a> {
    if let Some(head) = cx.head(side) {
        let body = cx.source.body(side);
        // The end of chunks takes a byte as well.
        let end = usize::from(body.whole && head.has(FieldId::TransferEncoding));
        return Eval::Value(Value::Int((head_len(head) + body.bytes.len() + end) as i64));
    }
    let bytes = cx.source.buffer(side);
    cursor.partial = !bytes.whole;
    Eval::Value(Value::Int(bytes.bytes.len() as i64))
}

/// Three words and 20 bytes, the fields without their punctuation, one byte for the end.
fn head_len(head: &Head) -> usize {
    let words = if head.status() == 0 { head.method_bytes().len() + head.target().len() } else { "200".len() + head.reason().len() };
    20 + words + head.version().as_bytes().len() + head.fields().map(|f| f.name.len() + f.value.len()).sum::<usize>() + 1
}

/// The bytes begin with a request of HTTP that can be understood. True once its head is complete.
fn is_http<'a>(cx: Cx<'a>) -> Eval<'a> {
    if cx.head(Side::Request).is_some() {
        return Eval::Value(Value::Bool(true));
    }
    let bytes = cx.source.buffer(Side::Request);
    // Whoever reads requests has given no head: they are not one, or not yet.
    cx.missing(bytes.whole)
}

fn name_of(args: &Args) -> &[u8] {
    args.str(0).unwrap_or_default().as_bytes()
}

/// The first cookie of a client of RDP, if it has the name that is asked for.
fn rdp_cookie<'a>(args: &'a Args, bytes: &Bytes<'a>) -> Found<&'a [u8]> {
    /// Two headers and the name of the field: before that haproxy says nothing.
    const SHORTEST: usize = 11 + 7;
    let wanted = name_of(args);
    if bytes.bytes.len() < SHORTEST {
        return Found::TooShort;
    }
    match rdp::cookie(bytes.bytes) {
        rdp::Cookie::Found { name, value } if wanted.is_empty() || name.eq_ignore_ascii_case(wanted) => Found::Value(value),
        rdp::Cookie::Found { .. } | rdp::Cookie::Absent => Found::Not,
        rdp::Cookie::NeedMore => Found::TooShort,
    }
}

fn rdp<'a>(args: &'a Args, cx: Cx<'a>, _: &mut Cursor) -> Eval<'a> {
    let bytes = cx.source.buffer(Side::Request);
    match rdp_cookie(args, &bytes) {
        Found::Value(value) => Eval::Value(Value::Str(value)),
        Found::TooShort => cx.missing(bytes.whole),
        Found::Not => Eval::Absent,
    }
}

/// One or none: only the first cookie is looked at.
fn rdp_count<'a>(args: &'a Args, cx: Cx<'a>, _: &mut Cursor) -> Eval<'a> {
    let bytes = cx.source.buffer(Side::Request);
    match rdp_cookie(args, &bytes) {
        Found::TooShort => cx.missing(bytes.whole),
        found => Eval::Value(Value::Int(i64::from(matches!(found, Found::Value(_))))),
    }
}

fn check_token(args: &mut Vec<Arg>, _: &mut dyn Loader) -> Result<(), String> {
    if args.first().is_none_or(|token| token.text().len() != 4) {
        return Err("token name must be exactly 4 characters".to_owned());
    }
    Ok(())
}

/// A message of distcc: four letters, a number in eight hexadecimal digits, and for some so many bytes.
struct Message<'a> {
    param: u32,
    /// Absent when not all of it has come.
    body: Option<&'a [u8]>,
}

/// The tokens whose number is not the length of what follows.
const WITHOUT_BODY: [&[u8; 4]; 5] = [b"DIST", b"NFIL", b"ARGC", b"STAT", b"DONE"];

fn distcc<'a>(args: &'a Args, cx: Cx<'a>, of: impl FnOnce(Message<'a>) -> Found<Value<'a>>) -> Eval<'a> {
    let bytes = cx.source.buffer(cx.side);
    // 0 is any, which is the first; there is nothing before that.
    let mut left = match args.int(1).unwrap_or(0) {
        0 => 1,
        n => n,
    };
    let mut rest = bytes.bytes;
    while let Some((front, behind)) = rest.split_first_chunk::<12>() {
        let Some(param) = std::str::from_utf8(&front[4..]).ok().and_then(|hex| u32::from_str_radix(hex, 16).ok()) else {
            return Eval::Absent;
        };
        let token = &front[..4];
        let size = if WITHOUT_BODY.iter().any(|known| token == *known) { 0 } else { param as usize };
        let body = behind.get(..size);
        if token == name_of(args) {
            left -= 1;
            if left == 0 {
                return of(Message { param, body }).eval(cx, &bytes);
            }
        }
        match behind.get(size..) {
            Some(behind) => rest = behind,
            None => break,
        }
    }
    cx.missing(bytes.whole)
}
