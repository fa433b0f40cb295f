//! Addresses as `bind`, `server`, `source`, `log` and `addr` write them: `192.0.2.1:80`, `:80`, `*:80`, `[::]:80`,
//! `:::80`, `name:80`, `:8000-8010`, `10.0.0.1:+1`, `/path`, `unix@path`, `abns@name`, `fd@3`, `ipv4@`, `ipv6@`, `tcp@`.
//! Source: manual 4.2 `bind`, 5.2, and how haproxy 2.6 reads them.

use crate::model::UnixAddress;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest path or abstract name of a UNIX socket.
const MAX_UNIX: usize = 107;

/// An address before names are resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Inet {
        host: Host,
        port: Port,
    },
    Unix(UnixAddress),
    Fd(i32),
    /// `stdout`, `stderr`: log targets only.
    Standard(StandardStream),
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
    #[error("addresses of type '{0}' are known but not there yet in this version")]
    Kind(String),
}

/// Reads one address. Host names stay names.
pub(crate) fn parse(text: &str) -> Result<Address, AddressError> {
    match text {
        "" => return Err(AddressError::Empty),
        "stdout" => return Ok(Address::Standard(StandardStream::Out)),
        "stderr" => return Ok(Address::Standard(StandardStream::Err)),
        _ => {}
    }
    if text.starts_with('/') {
        return unix(text);
    }
    if let Some((prefix, rest)) = text.split_once('@') {
        return match prefix {
            "unix" | "uxst" => unix(rest),
            "abns" if rest.is_empty() || rest.len() > MAX_UNIX => Err(AddressError::UnixLength),
            "abns" => Ok(Address::Unix(UnixAddress::Abstract(rest.as_bytes().to_vec()))),
            "fd" => rest.parse().ok().filter(|fd| *fd >= 0).map(Address::Fd).ok_or_else(|| AddressError::Fd(rest.into())),
            "ip" | "tcp" => inet(rest, Family::Either),
            "ipv4" | "tcp4" | "ip4" => inet(rest, Family::V4),
            "ipv6" | "tcp6" | "ip6" => inet(rest, Family::V6),
            "udp" | "udp4" | "udp6" | "uxdg" | "quic" | "quic4" | "quic6" | "sockpair" | "ring" | "rhttp" | "mptcp" | "mptcp4"
            | "mptcp6" | "abnsz" => Err(AddressError::Kind(format!("{prefix}@"))),
            _ => Err(AddressError::Host(text.into())),
        };
    }
    inet(text, Family::Either)
}

fn unix(path: &str) -> Result<Address, AddressError> {
    if path.is_empty() || path.len() > MAX_UNIX {
        return Err(AddressError::UnixLength);
    }
    Ok(Address::Unix(UnixAddress::Path(path.into())))
}

fn inet(text: &str, family: Family) -> Result<Address, AddressError> {
    // `[::1]` may stand without a port; otherwise the last colon always is the port's.
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inside, "")) => (inside, ""),
        Some((inside, after)) => match after.strip_prefix(':') {
            Some(port) => (inside, port),
            None => return Err(AddressError::Host(text.into())),
        },
        None => text.rsplit_once(':').unwrap_or((text, "")),
    };
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
    if let Ok(ip) = text.parse::<IpAddr>() {
        return match family {
            Family::V4 if ip.is_ipv6() => Err(AddressError::Family(text.into(), "IPv4")),
            Family::V6 if ip.is_ipv4() => Err(AddressError::Family(text.into(), "IPv6")),
            _ => Ok(Host::Ip(ip)),
        };
    }
    let name = text.len() <= 253 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    // What looks like a number is a misspelt address, never a name.
    let last = text.trim_end_matches('.').rsplit('.').next().unwrap_or("");
    if !name || text.starts_with('.') || last.is_empty() || last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(AddressError::Host(text.into()));
    }
    Ok(Host::Name(text.into(), family))
}

fn port(text: &str) -> Result<Port, AddressError> {
    let number = |digits: &str| -> Result<u16, AddressError> {
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|_| plain).ok_or_else(|| AddressError::Port(digits.into()))
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
            _ => Err(AddressError::BackwardRange(text.into())),
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

/// Replaces `${NAME}` in an address: addresses alone do so without quotes, in haproxy as here.
pub(crate) fn expand<'a>(text: &'a str, variable: &dyn Fn(&str) -> Option<String>) -> std::borrow::Cow<'a, str> {
    if !text.contains("${") {
        return text.into();
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start + 2..].find('}') else { break };
        out.push_str(&rest[..start]);
        out.push_str(&variable(&rest[start + 2..start + 2 + length]).unwrap_or_default());
        rest = &rest[start + 3 + length..];
    }
    out.push_str(rest);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inet(text: &str) -> (String, Port) {
        match parse(text).expect(text) {
            Address::Inet { host: Host::Any, port } => ("any".into(), port),
            Address::Inet { host: Host::Ip(ip), port } => (ip.to_string(), port),
            Address::Inet { host: Host::Name(name, _), port } => (name, port),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn internet_addresses() {
        assert_eq!(inet("192.0.2.1:80"), ("192.0.2.1".into(), Port::One(80)));
        assert_eq!(inet(":80"), ("any".into(), Port::One(80)));
        assert_eq!(inet("*:80"), ("any".into(), Port::One(80)));
        assert_eq!(inet("[::]:80"), ("::".into(), Port::One(80)));
        assert_eq!(inet(":::80"), ("::".into(), Port::One(80)));
        assert_eq!(inet("::1:80"), ("::1".into(), Port::One(80)));
        assert_eq!(inet("[::1]"), ("::1".into(), Port::None));
        assert_eq!(inet("ipv6@:80"), ("::".into(), Port::One(80)));
        assert_eq!(inet("ipv6@::1:80"), ("::1".into(), Port::One(80)));
        assert_eq!(inet("ipv4@:80"), ("any".into(), Port::One(80)));
        assert_eq!(inet("192.0.2.1"), ("192.0.2.1".into(), Port::None));
        assert_eq!(inet("example.org:+10"), ("example.org".into(), Port::Offset(10)));
        assert_eq!(inet("192.0.2.1:-10"), ("192.0.2.1".into(), Port::Offset(-10)));
        assert_eq!(inet(":8000-8010"), ("any".into(), Port::Range(8000, 8010)));
    }

    #[test]
    fn others() {
        assert_eq!(parse("/tmp/x"), Ok(Address::Unix(UnixAddress::Path("/tmp/x".into()))));
        assert_eq!(parse("unix@x"), Ok(Address::Unix(UnixAddress::Path("x".into()))));
        assert_eq!(parse("abns@x"), Ok(Address::Unix(UnixAddress::Abstract(b"x".to_vec()))));
        assert_eq!(parse("fd@3"), Ok(Address::Fd(3)));
        assert_eq!(parse("stdout"), Ok(Address::Standard(StandardStream::Out)));
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
            "ipv4@::1:80",
            "ipv6@1.2.3.4:80",
            "foo:bar",
            "a b:1",
            "unix@",
            "udp@1.2.3.4:5",
            "socket@x",
            ":+",
            ":-",
            "1.2.3.4:+-1",
            ".:1",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&format!("/{}", "x".repeat(200))).is_err());
    }

    #[test]
    fn variables_without_quotes() {
        let variable = |name: &str| (name == "PORT").then(|| "8080".to_owned());
        assert_eq!(expand(":${PORT}", &variable), ":8080");
        assert_eq!(expand("${NO}:${PORT}x${", &variable), ":8080x${");
    }
}
