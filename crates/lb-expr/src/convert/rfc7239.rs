//! `Forwarded` fields, taken apart and made. RFC 7239, manual 7.3.1 of newer versions.
//!
//! Holds: as strict as haproxy: one element, names in lower case, no spaces, `proto`, `host`, `for` and `by` at most once each and
//! nothing else.

use super::Out;
use crate::sample::{ArgKind, Args, Converter, Cx, Type, Value};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) const TABLE: &[Converter] = &[
    Converter::new("rfc7239_is_valid", &[], 0, Type::Str, Type::Bool, |_, value, _| Some(Value::Bool(fields(value.bytes()?).is_some()))),
    Converter::new("rfc7239_field", &[ArgKind::Str], 1, Type::Str, Type::Str, |args, value, _| {
        let found = fields(value.bytes()?)?.into_iter().zip(NAMES).find(|(_, name)| *name == args.get(0).text())?.0?;
        Some(Value::Str(found))
    }),
    Converter::new("rfc7239_n2nn", &[], 0, Type::Str, Type::Any, name_of_node),
    Converter::new("rfc7239_n2np", &[], 0, Type::Str, Type::Any, port_of_node),
    Converter::new("rfc7239_nn", &[], 0, Type::Any, Type::Str, |_, value, cx| match value {
        Value::Ip(IpAddr::V6(_)) => {
            let mut out = Out::new(cx, 48);
            [b"[", value.to_text(cx.scratch), b"]"].into_iter().try_for_each(|part| out.put(part))?;
            Some(Value::Str(out.done()))
        }
        Value::Ip(IpAddr::V4(_)) => Some(Value::Str(value.to_text(cx.scratch))),
        _ if value.to_text(cx.scratch).is_empty() => Some(Value::Str(b"unknown")),
        _ => obfuscated(value, cx),
    }),
    Converter::new("rfc7239_np", &[], 0, Type::Any, Type::Str, |_, value, cx| match value {
        Value::Int(port) => u16::try_from(port).ok().map(|_| Value::Str(value.to_text(cx.scratch))),
        _ => obfuscated(value, cx),
    }),
];

const NAMES: [&str; 4] = ["proto", "host", "for", "by"];

/// The values of an element, without quotes, in the order of [`NAMES`].
fn fields(text: &[u8]) -> Option<[Option<&[u8]>; 4]> {
    let mut found = [None; 4];
    let mut rest = text;
    loop {
        let at = memchr::memchr(b'=', rest)?;
        let which = NAMES.iter().position(|name| name.as_bytes() == &rest[..at])?;
        rest = &rest[at + 1..];
        let quoted = rest.first() == Some(&b'"');
        let (value, behind) = if quoted {
            let end = memchr::memchr(b'"', &rest[1..])?;
            (&rest[1..=end], &rest[end + 2..])
        } else {
            rest.split_at(memchr::memchr(b';', rest).unwrap_or(rest.len()))
        };
        let valid = match which {
            0 => !quoted && matches!(value, b"http" | b"https"),
            1 => host(value, quoted),
            _ => node(value).is_some_and(|node| quoted || (node.port.is_none() && !matches!(node.name, Name::Ip(IpAddr::V6(_))))),
        };
        if !valid || found[which].replace(value).is_some() {
            return None;
        }
        match behind.split_first() {
            None => return Some(found),
            Some((b';', behind)) => rest = behind,
            Some(_) => return None,
        }
    }
}

/// A host, in quotes with a port or as an address in brackets too.
fn host(text: &[u8], quoted: bool) -> bool {
    if text.first() == Some(&b'[') {
        return quoted && node(text).is_some_and(|node| !matches!(node.port, Some(Port::Hidden(_))));
    }
    let (name, port) = match memchr::memchr(b':', text) {
        Some(at) if quoted => (&text[..at], Some(&text[at + 1..])),
        _ => (text, None),
    };
    (quoted || !name.is_empty())
        && name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
        && port.is_none_or(|port| matches!(port_of(port), Some(Port::Number(_))))
}

enum Name<'a> {
    Ip(IpAddr),
    Unknown,
    Hidden(&'a [u8]),
}

enum Port<'a> {
    Number(u16),
    Hidden(&'a [u8]),
}

struct Node<'a> {
    name: Name<'a>,
    port: Option<Port<'a>>,
}

/// A name or port that means something to us alone.
fn obfuscated<'a>(value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    let mut out = Out::new(cx, 64);
    out.put(b"_")?;
    out.put(value.to_text(cx.scratch))?;
    hidden(out.done()).map(Value::Str)
}

/// `_` and letters, digits, dots, hyphens, underscores.
fn hidden(text: &[u8]) -> Option<&[u8]> {
    let name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    matches!(text, [b'_', rest @ ..] if !rest.is_empty() && rest.iter().all(name)).then_some(text)
}

fn port_of(text: &[u8]) -> Option<Port<'_>> {
    if let Some(name) = hidden(text) {
        return Some(Port::Hidden(name));
    }
    let digits = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
    digits.parse().ok().filter(|n| *n > 0).map(Port::Number)
}

fn node(text: &[u8]) -> Option<Node<'_>> {
    let (name, rest) = match text {
        [b'[', rest @ ..] => {
            let end = memchr::memchr(b']', rest)?;
            let ip: Ipv6Addr = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
            (Name::Ip(ip.into()), &rest[end + 1..])
        }
        _ => {
            let (name, rest) = text.split_at(memchr::memchr(b':', text).unwrap_or(text.len()));
            let name = match name {
                b"unknown" => Name::Unknown,
                [b'_', ..] => Name::Hidden(hidden(name)?),
                _ => Name::Ip(std::str::from_utf8(name).ok()?.parse::<Ipv4Addr>().ok()?.into()),
            };
            (name, rest)
        }
    };
    let port = match rest {
        [] => None,
        [b':', port @ ..] => Some(port_of(port)?),
        _ => return None,
    };
    Some(Node { name, port })
}

fn name_of_node<'a>(_: &'a Args, value: Value<'a>, _: Cx<'a>) -> Option<Value<'a>> {
    Some(match node(value.bytes()?)?.name {
        Name::Ip(ip) => Value::Ip(ip),
        Name::Unknown => Value::Str(b"unknown"),
        Name::Hidden(name) => Value::Str(name),
    })
}

fn port_of_node<'a>(_: &'a Args, value: Value<'a>, _: Cx<'a>) -> Option<Value<'a>> {
    Some(match node(value.bytes()?)?.port? {
        Port::Number(n) => Value::Int(n.into()),
        Port::Hidden(name) => Value::Str(name),
    })
}
