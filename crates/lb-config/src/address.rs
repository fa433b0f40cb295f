//! Addresses as `bind`, `server`, `source`, `log` and `addr` write them (manual 11): `192.0.2.1:80`, `:80`, `*:80`, `[::]:80`,
//! `:::80`, `name:80`, `:8000-8010`, `10.0.0.1:+1`, `/path`, and a family, a protocol or a socket type in front: `ipv4@`,
//! `tcp6@`, `unix@path`, `abns@name`, `fd@3`, `stream+ip@`. What each means was seen with haproxy 2.6, `abnsz@` is newer.
//!
//! Holds: what cannot be had here (datagrams where connections are meant, QUIC, passed sockets) is refused by name, never read
//! as something else.

use crate::model::UnixAddress;
use crate::tree::shown;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest path or abstract name of a UNIX socket.
const MAX_UNIX: usize = 107;

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Connections: `bind`, `server`, `source`, checks.
    Stream,
    /// Where messages come in.
    Datagram,
    /// Where messages go: `log`.
    Log,
}

/// An address before names are resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Inet {
        host: Host,
        port: Port,
    },
    Unix(UnixAddress),
    Fd(i32),
    /// `sockpair@`: connections come and go as descriptors.
    Pair(i32),
    /// `stdout`, `stderr`: log targets only.
    Standard(StandardStream),
    /// `ring@`: log targets only.
    Ring(String),
    /// An address that is for connections by what it says: log targets only.
    Stream(Box<Address>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StandardStream {
    Out,
    Err,
}

/// The part before the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// `*` or nothing.
    Any,
    Ip(IpAddr),
    /// To be resolved; the family that its prefix asks for.
    Name(String, Family),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Either,
    V4,
    V6,
}

impl Family {
    pub(crate) fn takes(self, ip: IpAddr) -> bool {
        match self {
            Self::Either => true,
            Self::V4 => ip.is_ipv4(),
            Self::V6 => ip.is_ipv6(),
        }
    }
}

/// The part after the last colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    None,
    One(u16),
    Range(u16, u16),
    Offset(i32),
}

/// Why an address cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    #[error("'{0}' is not a valid port")]
    Port(String),
    #[error("the port range '{0}' goes backwards")]
    BackwardRange(String),
    #[error("'{0}' is not a valid address")]
    Host(String),
    #[error("'{0}' is not an {1} address")]
    Family(String, &'static str),
    #[error("the path or name of a UNIX socket has at most 107 bytes")]
    UnixLength,
    #[error("the address is empty")]
    Empty,
    #[error("'{0}' is not a file descriptor")]
    Fd(String),
    #[error("addresses of type '{0}' are known but not there yet in this version ({1})")]
    Kind(String, &'static str),
    #[error("'{0}' is for datagrams: connections do not come that way, datagrams are listened for in 'log-forward' sections only")]
    Datagram(String),
    #[error("'{0}' is for connections: datagrams do not come that way")]
    Stream(String),
    #[error("'{0}' is a port without an address")]
    OnlyPort(String),
}

/// Reads one address. Host names stay names.
pub(crate) fn parse(text: &str, purpose: Use) -> Result<Address, AddressError> {
    match text {
        "" => return Err(AddressError::Empty),
        "stdout" if purpose == Use::Log => return Ok(Address::Standard(StandardStream::Out)),
        "stderr" if purpose == Use::Log => return Ok(Address::Standard(StandardStream::Err)),
        _ => {}
    }
    let (stream, datagram) = match purpose {
        Use::Stream => (Ok(()), Err(AddressError::Datagram(kind(text)))),
        Use::Datagram => (Err(AddressError::Stream(kind(text))), Ok(())),
        Use::Log => (Ok(()), Ok(())),
    };
    let (forced, plain) = match text.split_once('+') {
        Some(("stream", rest)) => (stream.clone(), rest),
        Some(("dgram", rest)) => (datagram.clone(), rest),
        Some(("quic", rest)) if rest.contains('@') => return Err(AddressError::Kind("quic+".into(), "QUIC")),
        _ => (Ok(()), text),
    };
    // A protocol says the socket's type as well; what both say must fit.
    let (said, address) = match plain.split_once('@') {
        _ if plain.starts_with('/') => (Ok(()), unix(plain)),
        None => (Ok(()), inet(plain, Family::Either)),
        Some((prefix, rest)) => match prefix {
            "unix" => (Ok(()), unix(rest)),
            "uxst" => (stream, unix(rest)),
            "uxdg" => (datagram, unix(rest)),
            "abns" | "abnsz" => (Ok(()), abstract_name(rest, prefix == "abns")),
            "fd" | "sockpair" => {
                let fd = rest.parse().ok().filter(|fd| *fd >= 0).map(if prefix == "fd" { Address::Fd } else { Address::Pair });
                let said = if prefix == "fd" { Ok(()) } else { stream };
                (said, fd.ok_or_else(|| AddressError::Fd(shown(rest))))
            }
            "ip" => (Ok(()), inet(rest, Family::Either)),
            "ipv4" => (Ok(()), inet(rest, Family::V4)),
            "ipv6" => (Ok(()), inet(rest, Family::V6)),
            "tcp" => (stream, inet(rest, Family::Either)),
            "tcp4" => (stream, inet(rest, Family::V4)),
            "tcp6" => (stream, inet(rest, Family::V6)),
            "udp" => (datagram, inet(rest, Family::Either)),
            "udp4" => (datagram, inet(rest, Family::V4)),
            "udp6" => (datagram, inet(rest, Family::V6)),
            "quic4" | "quic6" => return Err(AddressError::Kind(format!("{prefix}@"), "QUIC")),
            "mptcp" | "mptcp4" | "mptcp6" => return Err(AddressError::Kind(format!("{prefix}@"), "multipath TCP")),
            "rhttp" | "rev" => return Err(AddressError::Kind(format!("{prefix}@"), "reverse HTTP")),
            "ring" if purpose == Use::Log => (Ok(()), Ok(Address::Ring(rest.to_owned()))),
            "ring" => return Err(AddressError::Kind("ring@".into(), "anything but log lines into a ring")),
            _ => return Err(AddressError::Host(shown(text))),
        },
    };
    forced.and(said)?;
    if purpose == Use::Log && is_stream(text) {
        return address.map(|address| Address::Stream(Box::new(address)));
    }
    address
}

/// What stands before the address says that it is for connections.
fn is_stream(text: &str) -> bool {
    ["stream+", "tcp@", "tcp4@", "tcp6@", "uxst@"].iter().any(|prefix| text.starts_with(prefix))
}

/// What stands before an address and says its kind.
fn kind(text: &str) -> String {
    let end = text.find('@').or_else(|| text.find('+')).map_or(0, |end| end + 1);
    shown(&text[..end])
}

fn unix(path: &str) -> Result<Address, AddressError> {
    if path.is_empty() {
        return Err(AddressError::Empty);
    }
    if path.len() > MAX_UNIX {
        return Err(AddressError::UnixLength);
    }
    Ok(Address::Unix(UnixAddress::Path(path.into())))
}

/// A name in Linux's abstract namespace: filled up with zero bytes (`abns@`), or ending with its last byte (`abnsz@`, as
/// other programs have it). For the kernel these are different names.
fn abstract_name(name: &str, padded: bool) -> Result<Address, AddressError> {
    if name.is_empty() {
        return Err(AddressError::Empty);
    }
    if name.len() > MAX_UNIX {
        return Err(AddressError::UnixLength);
    }
    let mut name = name.as_bytes().to_vec();
    if padded {
        name.resize(MAX_UNIX, 0);
    }
    Ok(Address::Unix(UnixAddress::Abstract(name)))
}

fn inet(text: &str, family: Family) -> Result<Address, AddressError> {
    // `[::1]` may stand without a port; otherwise the last colon always is the port's.
    let (host, port, bracketed) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inside, "")) => (inside, "", true),
        Some((inside, after)) => match after.strip_prefix(':') {
            Some(port) => (inside, port, true),
            None => return Err(AddressError::Host(shown(text))),
        },
        None => {
            let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
            // haproxy reads `8080` as the address 0.0.31.144.
            if host.len() == text.len() && !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(AddressError::OnlyPort(shown(text)));
            }
            (host, port, false)
        }
    };
    if bracketed && matches!(host, "" | "*") {
        return Err(AddressError::Host(shown(text)));
    }
    let host = self::host(host, family)?;
    Ok(Address::Inet { host, port: self::port(port)? })
}

fn host(text: &str, family: Family) -> Result<Host, AddressError> {
    if text.is_empty() || text == "*" {
        return Ok(match family {
            Family::V6 => Host::Ip(Ipv6Addr::UNSPECIFIED.into()),
            Family::V4 | Family::Either => Host::Any,
        });
    }
    if let Some(ip) = text.parse::<IpAddr>().ok().or_else(|| old_ipv4(text).map(IpAddr::V4)) {
        return match family {
            Family::V4 if ip.is_ipv6() => Err(AddressError::Family(shown(text), "IPv4")),
            Family::V6 if ip.is_ipv4() => Err(AddressError::Family(shown(text), "IPv6")),
            _ => Ok(Host::Ip(ip)),
        };
    }
    let name = text.len() <= 253 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    // What looks like a number is a misspelt address, never a name.
    let last = text.trim_end_matches('.').rsplit('.').next().unwrap_or("");
    if !name || text.starts_with('.') || last.is_empty() || last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(AddressError::Host(shown(text)));
    }
    Ok(Host::Name(text.into(), family))
}

/// The old forms of IPv4 addresses, which the C library's resolver knows: one to four numbers, decimal, octal (`0`) or
/// hexadecimal (`0x`); the last one fills the bytes that are left.
fn old_ipv4(text: &str) -> Option<Ipv4Addr> {
    let number = |part: &str| match part.strip_prefix("0x").or_else(|| part.strip_prefix("0X")) {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => u64::from_str_radix(digits, 16).ok(),
        Some(_) => None,
        None if !part.bytes().all(|byte| byte.is_ascii_digit()) => None,
        None if part.len() > 1 && part.starts_with('0') => u64::from_str_radix(part, 8).ok(),
        None => part.parse().ok(),
    };
    let parts: Vec<u64> = text.split('.').take(5).map(number).collect::<Option<_>>()?;
    let (last, first) = parts.split_last()?;
    if first.len() > 3 || first.iter().any(|part| *part > 255) || *last >> (32 - 8 * first.len()) != 0 {
        return None;
    }
    let high = (0..).zip(first).fold(0, |sum, (n, part)| sum | part << (24 - 8 * n));
    Some(Ipv4Addr::from(u32::try_from(high | last).ok()?))
}

fn port(text: &str) -> Result<Port, AddressError> {
    let number = |digits: &str| -> Result<u16, AddressError> {
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|_| plain).ok_or_else(|| AddressError::Port(shown(digits)))
    };
    if text.is_empty() {
        return Ok(Port::None);
    }
    if let Some(digits) = text.strip_prefix('+') {
        return Ok(Port::Offset(i32::from(number(digits)?)));
    }
    if let Some(digits) = text.strip_prefix('-') {
        return Ok(Port::Offset(-i32::from(number(digits)?)));
    }
    match text.split_once('-') {
        None => Ok(Port::One(number(text)?)),
        Some((low, high)) => match (number(low)?, number(high)?) {
            (low, high) if low <= high => Ok(Port::Range(low, high)),
            _ => Err(AddressError::BackwardRange(shown(text))),
        },
    }
}

impl Host {
    /// The address, names resolved; `None` when a name has none of the wanted family.
    pub(crate) fn resolve(&self, resolver: &dyn crate::source::Resolver) -> Option<IpAddr> {
        match self {
            Self::Any => Some(Ipv4Addr::UNSPECIFIED.into()),
            Self::Ip(ip) => Some(*ip),
            Self::Name(name, family) => resolver.resolve(name).into_iter().find(|ip| family.takes(*ip)),
        }
    }
}

/// Replaces `$NAME` and `${NAME}` in an address: addresses alone do so without quotes, in haproxy as here. A name may start
/// with a digit there, and has no default; a brace that is missing is no fault.
pub(crate) fn expand<'a>(text: &'a str, variable: &dyn Fn(&str) -> Option<String>) -> std::borrow::Cow<'a, str> {
    if !text.contains('$') {
        return text.into();
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('$') {
        out.push_str(before);
        let (braced, behind) = behind.strip_prefix('{').map_or((false, behind), |behind| (true, behind));
        let end = behind.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(behind.len());
        out.push_str(&variable(&behind[..end]).unwrap_or_default());
        rest = &behind[end..];
        if braced {
            rest = rest.strip_prefix('}').unwrap_or(rest);
        }
    }
    out.push_str(rest);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inet(text: &str) -> (String, Port) {
        match parse(text, Use::Stream).expect(text) {
            Address::Inet { host: Host::Any, port } => ("any".into(), port),
            Address::Inet { host: Host::Ip(ip), port } => (ip.to_string(), port),
            Address::Inet { host: Host::Name(name, _), port } => (name, port),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn internet_addresses() {
        for (text, host, port) in [
            ("192.0.2.1:80", "192.0.2.1", Port::One(80)),
            (":80", "any", Port::One(80)),
            ("*:80", "any", Port::One(80)),
            ("[::]:80", "::", Port::One(80)),
            (":::80", "::", Port::One(80)),
            ("::1:80", "::1", Port::One(80)),
            ("[::1]", "::1", Port::None),
            ("[127.0.0.1]:80", "127.0.0.1", Port::One(80)),
            ("[localhost]:80", "localhost", Port::One(80)),
            ("::ffff:127.0.0.1:80", "::ffff:127.0.0.1", Port::One(80)),
            ("ip@::1:80", "::1", Port::One(80)),
            ("ipv6@:80", "::", Port::One(80)),
            ("ipv6@*:80", "::", Port::One(80)),
            ("ipv6@::1:80", "::1", Port::One(80)),
            ("ipv4@:80", "any", Port::One(80)),
            ("tcp@127.0.0.1:80", "127.0.0.1", Port::One(80)),
            ("tcp6@::1:80", "::1", Port::One(80)),
            ("stream+127.0.0.1:80", "127.0.0.1", Port::One(80)),
            ("stream+:80", "any", Port::One(80)),
            ("stream+ipv4@127.0.0.1:80", "127.0.0.1", Port::One(80)),
            ("stream+tcp4@127.0.0.1:80", "127.0.0.1", Port::One(80)),
            ("192.0.2.1", "192.0.2.1", Port::None),
            ("example.org:+10", "example.org", Port::Offset(10)),
            ("192.0.2.1:-10", "192.0.2.1", Port::Offset(-10)),
            (":8000-8010", "any", Port::Range(8000, 8010)),
            ("127.1:80", "127.0.0.1", Port::One(80)),
            ("1.2.3:80", "1.2.0.3", Port::One(80)),
            ("0x7f000001:80", "127.0.0.1", Port::One(80)),
            ("2130706433:80", "127.0.0.1", Port::One(80)),
            ("0177.1:80", "127.0.0.1", Port::One(80)),
            ("0:80", "0.0.0.0", Port::One(80)),
        ] {
            assert_eq!(inet(text), (host.to_owned(), port), "{text}");
        }
    }

    #[test]
    fn others() {
        let stream = |text: &str| parse(text, Use::Stream);
        let path = |path: &str| Ok(Address::Unix(UnixAddress::Path(path.into())));
        for (text, name) in [("/tmp/x", "/tmp/x"), ("unix@x", "x"), ("uxst@/x", "/x"), ("stream+unix@/x", "/x"), ("/x:80", "/x:80")] {
            assert_eq!(stream(text), path(name), "{text}");
        }
        let mut padded = b"x".to_vec();
        padded.resize(107, 0);
        assert_eq!(stream("abns@x"), Ok(Address::Unix(UnixAddress::Abstract(padded))));
        assert_eq!(stream("abnsz@x"), Ok(Address::Unix(UnixAddress::Abstract(b"x".to_vec()))));
        assert_eq!(stream("fd@3"), Ok(Address::Fd(3)));
        assert_eq!(stream("sockpair@3"), Ok(Address::Pair(3)));
        assert_eq!(parse("stdout", Use::Log), Ok(Address::Standard(StandardStream::Out)));
        assert!(matches!(stream("stdout"), Ok(Address::Inet { host: Host::Name(..), port: Port::None })));
        for text in
            ["udp@1.2.3.4:5", "udp4@1.2.3.4", "udp6@::1:5", "uxdg@/x", "dgram+ipv4@1.2.3.4:5", "dgram+1.2.3.4:5", "dgram+udp@1.2.3.4:5"]
        {
            assert!(matches!(stream(text), Err(AddressError::Datagram(_))), "{text}");
            assert!(parse(text, Use::Datagram).is_ok(), "{text}");
        }
        for text in ["tcp@1.2.3.4:5", "tcp4@1.2.3.4:5", "uxst@/x", "stream+ipv4@1.2.3.4:5", "stream+udp@1.2.3.4:5"] {
            assert!(matches!(parse(text, Use::Datagram), Err(AddressError::Stream(_))), "{text}");
        }
        for text in ["quic4@:80", "quic+ipv4@:80", "mptcp@:80", "rhttp@a/b", "ring@x"] {
            let message = stream(text).expect_err(text).to_string();
            assert!(message.contains("known but not there yet"), "{message}");
        }
    }

    #[test]
    fn refused() {
        for text in [
            "",
            "fd@x",
            "fd@-1",
            "300.0.0.1:1",
            ":70000",
            ":8003-8001",
            ":+70000",
            ":1-2-3",
            "[::1]x",
            "[::1]x:1",
            "[::1:1",
            "::1]:1",
            "[*]:1",
            "[]:1",
            "::1",
            "ipv4@::1:80",
            "ipv6@1.2.3.4:80",
            "tcp4@::1:80",
            "foo:bar",
            "a b:1",
            "unix@",
            "abns@",
            "socket@x",
            "ip4@1.2.3.4:80",
            "IPV4@1.2.3.4:80",
            "@1.2.3.4:80",
            ":+",
            ":-",
            "1.2.3.4:+-1",
            ".:1",
            "8080",
            "127.0.0.1.:1",
            "1.2.3.4.5:1",
            "1.2.3.256:1",
            "256.1:1",
            "08.1:1",
            "fe80::1%lo:1",
            ":0x50",
        ] {
            assert!(parse(text, Use::Stream).is_err(), "{text}");
        }
        assert!(parse(&format!("/{}", "x".repeat(200)), Use::Stream).is_err());
        assert!(parse(&format!("abnsz@{}", "x".repeat(108)), Use::Stream).is_err());
    }

    #[test]
    fn variables_without_quotes() {
        let variable = |name: &str| match name {
            "PORT" => Some("8080".to_owned()),
            "1A" => Some("x".to_owned()),
            _ => None,
        };
        for (text, expanded) in [
            (":${PORT}", ":8080"),
            (":$PORT", ":8080"),
            ("${NO}:${PORT}x", ":8080x"),
            ("${PORT:1", "8080:1"),
            ("${1A}y$", "xy"),
            ("${NO-1.2.3.4}", "-1.2.3.4}"),
        ] {
            assert_eq!(expand(text, &variable), expanded);
        }
    }
}
