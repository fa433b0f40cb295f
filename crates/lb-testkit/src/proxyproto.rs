//! PROXY protocol headers as a sender writes them, good and bad, and a readable form of what a receiver got
//! (proxy-protocol.txt sections 2.1 and 2.2).

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

/// The twelve bytes that open a version 2 header.
pub const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// A version 1 line for `src` and `dst` (one family for both).
pub fn v1(src: SocketAddr, dst: SocketAddr) -> Vec<u8> {
    let family = if src.is_ipv4() { "TCP4" } else { "TCP6" };
    format!("PROXY {family} {} {} {} {}\r\n", src.ip(), dst.ip(), src.port(), dst.port()).into_bytes()
}

/// A version 2 header with the command and family bytes as given; `body` is addresses and TLVs, its length is filled in.
pub fn v2_raw(version_command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    v2_len(version_command, family, u16::try_from(body.len()).unwrap_or(u16::MAX), body)
}

/// As [`v2_raw`] with a length field that may lie.
pub fn v2_len(version_command: u8, family: u8, len: u16, body: &[u8]) -> Vec<u8> {
    let mut out = V2_SIGNATURE.to_vec();
    out.extend([version_command, family]);
    out.extend(len.to_be_bytes());
    out.extend(body);
    out
}

/// A version 2 PROXY header over TCP for `src` and `dst`, followed by `tlvs` (raw bytes).
pub fn v2(src: SocketAddr, dst: SocketAddr, tlvs: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for ip in [src.ip(), dst.ip()] {
        match ip {
            IpAddr::V4(a) => body.extend(a.octets()),
            IpAddr::V6(a) => body.extend(a.octets()),
        }
    }
    body.extend(src.port().to_be_bytes());
    body.extend(dst.port().to_be_bytes());
    body.extend(tlvs);
    v2_raw(0x21, if src.is_ipv4() { 0x11 } else { 0x21 }, &body)
}

/// A version 2 LOCAL header without addresses.
pub fn v2_local() -> Vec<u8> {
    v2_raw(0x20, 0x00, b"")
}

/// IPv4 or IPv6 header for `protocol`, and a TCP header, as a NetScaler copies them.
pub fn ip_and_tcp(src: SocketAddr, dst: SocketAddr, protocol: u8) -> Vec<u8> {
    let mut out = match (src.ip(), dst.ip()) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let mut header = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, protocol, 0, 0];
            header.extend([src.octets(), dst.octets()].concat());
            header
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let mut header = vec![0x60, 0, 0, 0, 0, 20, protocol, 64];
            header.extend([src.octets(), dst.octets()].concat());
            header
        }
        _ => panic!("two families"),
    };
    out.extend(src.port().to_be_bytes());
    out.extend(dst.port().to_be_bytes());
    out.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0]);
    out
}

/// A NetScaler header of the legacy form.
pub fn netscaler_legacy(magic: u32, headers: &[u8]) -> Vec<u8> {
    let len = u32::try_from(headers.len()).unwrap_or(u32::MAX);
    [&magic.to_be_bytes()[..], &len.to_be_bytes(), headers].concat()
}

/// A NetScaler header of the standard form.
pub fn netscaler(magic: u32, headers: &[u8]) -> Vec<u8> {
    let len = u16::try_from(headers.len()).unwrap_or(u16::MAX);
    [&magic.to_be_bytes()[..], &(u32::from(len) + 12).to_be_bytes(), &[0, 1], &len.to_be_bytes(), headers].concat()
}

/// One type-length-value.
pub fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend(value);
    out
}

/// If `bytes` open with a version 2 header: that header as text (addresses, ports in decimal, TLVs in hex) and what follows it.
pub fn describe_v2(bytes: &[u8]) -> Option<(String, &[u8])> {
    let rest = bytes.strip_prefix(V2_SIGNATURE)?;
    let (&[vc, family, hi, lo], rest) = rest.split_first_chunk::<4>()?;
    let len = usize::from(u16::from_be_bytes([hi, lo]));
    let (body, tail) = rest.split_at_checked(len)?;
    let mut text = format!("<PROXYv2 {vc:02x} {family:02x}");
    let addr_len = match family >> 4 {
        1 => 12,
        2 => 36,
        3 => 216,
        _ => 0,
    };
    let addr = body.get(..addr_len).unwrap_or(&[]);
    match (family >> 4, addr.len()) {
        (1, 12) => {
            let ip = |at: usize| format!("{}.{}.{}.{}", addr[at], addr[at + 1], addr[at + 2], addr[at + 3]);
            let port = |at: usize| u16::from_be_bytes([addr[at], addr[at + 1]]);
            let _ = write!(text, " {}:{} {}:{}", ip(0), port(8), ip(4), port(10));
        }
        (2, 36) => {
            let ip = |at: usize| std::net::Ipv6Addr::from(<[u8; 16]>::try_from(&addr[at..at + 16]).expect("16 bytes"));
            let port = |at: usize| u16::from_be_bytes([addr[at], addr[at + 1]]);
            let _ = write!(text, " [{}]:{} [{}]:{}", ip(0), port(32), ip(16), port(34));
        }
        (3, 216) => {
            let path = |at: usize| String::from_utf8_lossy(&addr[at..at + 108]).trim_end_matches('\0').to_owned();
            let _ = write!(text, " unix:{:?} unix:{:?}", path(0), path(108));
        }
        _ => {}
    }
    let mut tlvs = body.get(addr.len()..).unwrap_or(&[]);
    while let Some((&[kind, hi, lo], rest)) = tlvs.split_first_chunk::<3>() {
        let len = usize::from(u16::from_be_bytes([hi, lo])).min(rest.len());
        let (value, rest) = rest.split_at(len);
        let _ = write!(text, " {kind:02x}=");
        if kind == 3 && value.len() == 4 {
            // The sum covers ports, which differ in every run: say whether it is right.
            let at = 16 + body.len() - rest.len() - value.len();
            let header = &bytes[..16 + body.len()];
            let zeroed = [&header[..at], &[0; 4], &header[at + 4..]].concat();
            text.push_str(if crc32c(&zeroed).to_be_bytes() == value { "right" } else { "wrong" });
        } else {
            for byte in value {
                let _ = write!(text, "{byte:02x}");
            }
        }
        tlvs = rest;
    }
    text.push('>');
    Some((text, tail))
}

/// CRC-32C (Castagnoli), bit by bit: headers are short.
pub fn crc32c(bytes: &[u8]) -> u32 {
    !bytes
        .iter()
        .fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_of_the_check_string() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn v1_line() {
        let line = v1("192.0.2.1:1000".parse().unwrap(), "192.0.2.2:443".parse().unwrap());
        assert_eq!(line, b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 443\r\n");
        assert!(v1("[::1]:1".parse().unwrap(), "[::2]:2".parse().unwrap()).starts_with(b"PROXY TCP6 ::1 ::2 1 2"));
    }

    #[test]
    fn v2_round_trip() {
        let mut bytes = v2("192.0.2.1:1000".parse().unwrap(), "192.0.2.2:443".parse().unwrap(), &tlv(5, b"id"));
        assert_eq!(bytes.len(), 16 + 12 + 5);
        bytes.extend(b"rest");
        let (text, rest) = describe_v2(&bytes).unwrap();
        assert_eq!((text.as_str(), rest), ("<PROXYv2 21 11 192.0.2.1:1000 192.0.2.2:443 05=6964>", &b"rest"[..]));
        assert!(describe_v2(&v2_local()).is_some());
        assert!(describe_v2(b"GET /").is_none());
    }
}
