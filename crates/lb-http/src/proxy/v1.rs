//! Version 1: one line of text (section 2.1).

use super::{Decoded, Endpoints, Header, MAX_V1, ProxyError, Tlvs};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub(super) const SIGNATURE: &[u8] = b"PROXY ";

pub(super) fn decode(buf: &[u8]) -> Result<Decoded<'_>, ProxyError> {
    let window = &buf[..buf.len().min(MAX_V1)];
    let Some(end) = window.iter().position(|&b| b == b'\n') else {
        // The first byte that no line can have at its place ends it; a full window without an end does, too.
        let text = window.iter().enumerate().all(|(i, &b)| (0x20..0x7f).contains(&b) || (b == b'\r' && i + 1 == window.len()));
        return if window.len() == MAX_V1 || !text { Err(ProxyError::MalformedV1) } else { Ok(Decoded::NeedMore) };
    };
    let line = window[..end].strip_suffix(b"\r").ok_or(ProxyError::MalformedV1)?;
    let line = line.strip_prefix(SIGNATURE).ok_or(ProxyError::MalformedV1)?;
    let endpoints = parse(line).ok_or(ProxyError::MalformedV1)?;
    Ok(Decoded::Complete { header: Header { version: 1, endpoints, tlvs: Tlvs::default() }, consumed: end + 1 })
}

/// What stands between `PROXY ` and CRLF.
fn parse(line: &[u8]) -> Option<Option<Endpoints>> {
    if !line.iter().all(|b| (0x20..0x7f).contains(b)) {
        return None;
    }
    if line == b"UNKNOWN" || line.starts_with(b"UNKNOWN ") {
        return Some(None);
    }
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let family = words.next()?;
    let mut ip = || -> Option<IpAddr> {
        let word = words.next()?;
        match family {
            "TCP4" => word.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            "TCP6" => word.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let (src, dst) = (ip()?, ip()?);
    let (src_port, dst_port) = (port(words.next()?)?, port(words.next()?)?);
    if words.next().is_some() {
        return None;
    }
    Some(Some(Endpoints::Inet { src: SocketAddr::new(src, src_port), dst: SocketAddr::new(dst, dst_port) }))
}

/// Decimal, no sign, no leading zero.
fn port(word: &str) -> Option<u16> {
    let digits = word.bytes().all(|b| b.is_ascii_digit());
    if !digits || (word.len() > 1 && word.starts_with('0')) { None } else { word.parse().ok() }
}

/// Appends a version 1 line. Ends that it cannot name (UNIX, none, two families) give `PROXY UNKNOWN`.
pub fn encode(endpoints: Option<&Endpoints>, out: &mut Vec<u8>) {
    let written = match endpoints {
        Some(Endpoints::Inet { src, dst }) if src.is_ipv4() == dst.is_ipv4() => {
            let family = if src.is_ipv4() { "TCP4" } else { "TCP6" };
            write!(out, "PROXY {family} {} {} {} {}\r\n", src.ip(), dst.ip(), src.port(), dst.port())
        }
        _ => out.write_all(b"PROXY UNKNOWN\r\n"),
    };
    written.expect("writing to a Vec does not fail");
}
