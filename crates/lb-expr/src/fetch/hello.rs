//! The first messages of TLS, read from the bytes of a connection that is passed on: SNI, versions, ALPN and the other extensions that
//! a client names. Manual 7.3.5.
//!
//! Holds: nothing is decrypted or verified; what is not a complete hello yet is [`Found::TooShort`], what cannot become one
//! [`Found::Not`].

use super::buffer::Found;
use crate::sample::{ArgKind, Args, Cursor, Cx, Eval, Fetch, FetchCall, Need, Side, Type, Value};

pub(super) const TABLE: &[Fetch] = &[
    request("req.ssl_hello_type", Type::Int, |_, cx, _| hello_type(cx, Side::Request)),
    request("req_ssl_hello_type", Type::Int, |_, cx, _| hello_type(cx, Side::Request)),
    Fetch::new("res.ssl_hello_type", &[], 0, Type::Int, Need::ResponseBuffer, |_, cx, _| hello_type(cx, Side::Response)),
    Fetch::new("rep_ssl_hello_type", &[], 0, Type::Int, Need::ResponseBuffer, |_, cx, _| hello_type(cx, Side::Response)),
    request("req.ssl_sni", Type::Str, |_, cx, _| sni(cx)),
    request("req_ssl_sni", Type::Str, |_, cx, _| sni(cx)),
    request("req.ssl_ver", Type::Int, |_, cx, _| version(cx)),
    request("req_ssl_ver", Type::Int, |_, cx, _| version(cx)),
    request("req.ssl_alpn", Type::Str, |_, cx, cursor| alpn(cx, cursor)),
    request("req.ssl_ec_ext", Type::Bool, |_, cx, _| with_hello(cx, |hello| hello.extension(SUPPORTED_GROUPS).map(|_| Value::Bool(true)))),
    request("req.ssl_st_ext", Type::Int, |_, cx, _| {
        with_hello(cx, |hello| {
            let ticket = hello.extension(SESSION_TICKET).map_or(0, |ticket| if ticket.is_empty() { 1 } else { 2 });
            Some(Value::Int(ticket))
        })
    }),
    list("req.ssl_cipherlist", |args, cx, _| of_list(args, cx, |hello| Some(hello.ciphers))),
    list("req.ssl_supported_groups", |args, cx, _| of_list(args, cx, |hello| counted(hello.extension(SUPPORTED_GROUPS)?))),
    list("req.ssl_sigalgs", |args, cx, _| of_list(args, cx, |hello| counted(hello.extension(SIGNATURE_ALGORITHMS)?))),
    Fetch::new("req.ssl_keyshare_groups", &[], 0, Type::Bin, Need::RequestBuffer, |_, cx, _| {
        with_hello(cx, |hello| key_shares(hello.extension(KEY_SHARE)?, cx))
    }),
];

const fn request(name: &'static str, out: Type, call: FetchCall) -> Fetch {
    Fetch::new(name, &[], 0, out, Need::RequestBuffer, call)
}

const fn list(name: &'static str, call: FetchCall) -> Fetch {
    Fetch::new(name, &[ArgKind::Int], 0, Type::Bin, Need::RequestBuffer, call)
}

// Numbers of extensions (IANA, TLS ExtensionType Values).
const SERVER_NAME: u16 = 0;
const SUPPORTED_GROUPS: u16 = 10;
const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;
const SESSION_TICKET: u16 = 35;
const KEY_SHARE: u16 = 51;

/// Content type of a record with a handshake message, and the type of a client's hello.
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

/// Takes parts from the front of bytes.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (part, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(part)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|part| part[0])
    }

    fn short(&mut self) -> Option<u16> {
        self.take(2).map(|part| u16::from_be_bytes([part[0], part[1]]))
    }

    /// What stands behind a length of two bytes.
    fn counted(&mut self) -> Option<&'a [u8]> {
        let len = self.short()?;
        self.take(len.into())
    }
}

/// The list in an extension that is nothing else.
fn counted(extension: &[u8]) -> Option<&[u8]> {
    Reader(extension).counted()
}

/// A client's hello, as far as anybody asks.
struct Hello<'a> {
    ciphers: &'a [u8],
    extensions: Extensions<'a>,
}

impl<'a> Hello<'a> {
    fn extension(&self, kind: u16) -> Option<&'a [u8]> {
        self.extensions.clone().find(|(own, _)| *own == kind).map(|(_, body)| body)
    }
}

#[derive(Clone)]
struct Extensions<'a>(Reader<'a>);

impl<'a> Iterator for Extensions<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.0.short()?, self.0.counted()?))
    }
}

/// The hello at the beginning of what a client sent: all of it has to be there, in one record or not.
fn client_hello(bytes: &[u8]) -> Found<Hello<'_>> {
    /// Version, random, an empty session id, one cipher suite, one method of compression, an extension: nothing shorter names any.
    const SHORTEST: usize = 2 + 32 + 1 + 2 + 2 + 1 + 1 + 2 + 2;
    let sound = |n: usize, is: fn(u8) -> bool| bytes.get(n).is_none_or(|b| is(*b));
    if !sound(0, |b| b == HANDSHAKE) || !sound(1, |b| b >= 3) || !sound(5, |b| b == CLIENT_HELLO) {
        return Found::Not;
    }
    let Some(record) = bytes.get(3..5) else { return Found::TooShort };
    if usize::from(u16::from_be_bytes([record[0], record[1]])) < SHORTEST + 4 {
        return Found::Not;
    }
    let Some(len) = bytes.get(6..9) else { return Found::TooShort };
    let len = usize::from(len[0]) << 16 | usize::from(len[1]) << 8 | usize::from(len[2]);
    if len < SHORTEST {
        return Found::Not;
    }
    let Some(hello) = bytes.get(9..9 + len) else { return Found::TooShort };
    // TLS 1.0 at least: before it there were no extensions.
    if hello[0] < 3 || hello[1] < 1 {
        return Found::Not;
    }
    let read = || {
        let mut reader = Reader(&hello[34..]);
        let session = reader.byte().filter(|len| *len <= 32)?;
        reader.take(session.into())?;
        let ciphers = reader.counted().filter(|list| list.len() >= 2)?;
        let methods = reader.byte().filter(|len| *len >= 1)?;
        reader.take(methods.into())?;
        Some(Hello { ciphers, extensions: Extensions(Reader(reader.counted()?)) })
    };
    read().map_or(Found::Not, Found::Value)
}

fn with_hello<'a>(cx: Cx<'a>, of: impl FnOnce(Hello<'a>) -> Option<Value<'a>>) -> Eval<'a> {
    let bytes = cx.source.buffer(Side::Request);
    match client_hello(bytes.bytes) {
        Found::Value(hello) => of(hello).into(),
        Found::TooShort => cx.missing(bytes.whole),
        Found::Not => Eval::Absent,
    }
}

fn sni<'a>(cx: Cx<'a>) -> Eval<'a> {
    with_hello(cx, |hello| {
        let mut names = Reader(counted(hello.extension(SERVER_NAME)?)?);
        // The first one counts, and host names are the only kind there is.
        let is_host = names.byte()? == 0;
        names.counted().filter(|_| is_host).map(Value::Str)
    })
}

fn alpn<'a>(cx: Cx<'a>, cursor: &mut Cursor) -> Eval<'a> {
    with_hello(cx, |hello| {
        let list = counted(hello.extension(ALPN)?)?;
        let mut names = Reader(list.get(cursor.offset as usize..)?);
        let len = names.byte()?;
        let name = names.take(len.into())?;
        if cursor.each {
            cursor.offset = (list.len() - names.0.len()) as u32;
            cursor.more = !names.0.is_empty();
        }
        Some(Value::Str(name))
    })
}

/// Values of GREASE (RFC 8701), which mean nothing.
fn is_grease(pair: [u8; 2]) -> bool {
    pair[0] == pair[1] && pair[0] & 0x0f == 0x0a
}

/// A list of numbers of two bytes; with an argument of 1 without those of GREASE.
fn of_list<'a>(args: &'a Args, cx: Cx<'a>, of: impl FnOnce(&Hello<'a>) -> Option<&'a [u8]>) -> Eval<'a> {
    with_hello(cx, |hello| {
        let all = of(&hello)?;
        if args.int(0).unwrap_or(0) & 1 == 0 {
            return Some(Value::Bin(all));
        }
        let mut kept = bumpalo::collections::Vec::with_capacity_in(all.len(), cx.scratch);
        let (pairs, _) = all.as_chunks::<2>();
        for pair in pairs.iter().filter(|pair| !is_grease(**pair)) {
            kept.extend_from_slice(pair);
        }
        Some(Value::Bin(kept.into_bump_slice()))
    })
}

/// The groups of a client's key shares, without the keys.
fn key_shares<'a>(extension: &'a [u8], cx: Cx<'a>) -> Option<Value<'a>> {
    let mut shares = Reader(counted(extension)?);
    let mut groups = bumpalo::collections::Vec::new_in(cx.scratch);
    while let Some(group) = shares.take(2) {
        shares.counted()?;
        groups.extend_from_slice(group);
    }
    Some(Value::Bin(groups.into_bump_slice()))
}

fn hello_type<'a>(cx: Cx<'a>, side: Side) -> Eval<'a> {
    let bytes = cx.source.buffer(side);
    let found = || {
        let [kind, major, _, high, low, hello, a, b, c, ..] = bytes.bytes else { return short(bytes.bytes) };
        let record = usize::from(u16::from_be_bytes([*high, *low]));
        let len = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        // The message stands in this record as a whole.
        if !is_record(*kind) || *major < 3 || record < 4 || record < len + 4 {
            return Found::Not;
        }
        if bytes.bytes.len() < 9 + len { Found::TooShort } else { Found::Value(Value::Int(i64::from(*hello))) }
    };
    found().eval(cx, &bytes)
}

/// Fewer bytes than say anything; the first may already be wrong.
fn short<T>(bytes: &[u8]) -> Found<T> {
    if bytes.first().is_some_and(|kind| !is_record(*kind)) { Found::Not } else { Found::TooShort }
}

/// Types of records since SSL 3.
fn is_record(kind: u8) -> bool {
    matches!(kind, 0x14..=0x17 | 0xff)
}

/// The version that a client speaks, from records or from a hello of SSL 2: major times 65536, and minor.
fn version<'a>(cx: Cx<'a>) -> Eval<'a> {
    let bytes = cx.source.buffer(Side::Request);
    let found = match bytes.bytes.first() {
        None => Found::TooShort,
        Some(kind) if is_record(*kind) => version_of_record(bytes.bytes),
        Some(_) => version_of_ssl2(bytes.bytes),
    };
    found.eval(cx, &bytes)
}

fn number<'a>(major: u8, minor: u8) -> Value<'a> {
    Value::Int(i64::from(major) << 16 | i64::from(minor))
}

fn version_of_record<'a>(bytes: &[u8]) -> Found<Value<'a>> {
    /// Most bytes of a record, with what encryption adds.
    const LONGEST: usize = (1 << 14) + 2_048;
    let Some((front, _)) = bytes.split_first_chunk::<11>() else { return Found::TooShort };
    let len = usize::from(u16::from_be_bytes([front[3], front[4]]));
    if front[1] < 3 || !(6..=LONGEST).contains(&len) {
        return Found::Not;
    }
    if bytes.len() < 5 + len { Found::TooShort } else { Found::Value(number(front[9], front[10])) }
}

fn version_of_ssl2<'a>(bytes: &[u8]) -> Found<Value<'a>> {
    let (len, padding, front) = match bytes {
        [a, b, front @ ..] if a & 0x80 != 0 => (usize::from(a & 0x7f) << 8 | usize::from(*b), 0, front),
        [a, b, padding, front @ ..] if a & 0x80 == 0 => (usize::from(a & 0x3f) << 8 | usize::from(*b), usize::from(*padding), front),
        _ => return Found::TooShort,
    };
    match front.first() {
        None => return Found::TooShort,
        Some(&CLIENT_HELLO) => {}
        Some(_) => return Found::Not,
    }
    let Some((fixed, rest)) = front[1..].split_first_chunk::<8>() else { return Found::TooShort };
    let [ciphers, session, challenge] = [2, 4, 6].map(|at| usize::from(u16::from_be_bytes([fixed[at], fixed[at + 1]])));
    let sound = ciphers.is_multiple_of(3) && matches!(session, 0 | 16) && (16..=32).contains(&challenge);
    if !sound || len != 9 + ciphers + session + challenge {
        return Found::Not;
    }
    if rest.len() < ciphers + session + challenge + padding { Found::TooShort } else { Found::Value(number(fixed[0], fixed[1])) }
}
