//! Numbers and addresses out of what a peer wrote, as haproxy reads them (observed on 2.6.12).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The number of `hdr_val` and its like: a minus sign, then digits, in 32 bits that wrap. What is no digit but comes before them in
/// ASCII counts as a negative one, anything behind them ends the number.
pub(super) fn integer(text: &[u8]) -> i64 {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let mut n = 0i32;
    for &byte in digits {
        let digit = i32::from(byte as i8) - i32::from(b'0');
        if digit > 9 {
            break;
        }
        let digit = if negative { digit.wrapping_neg() } else { digit };
        n = n.wrapping_mul(10).wrapping_add(digit);
    }
    i64::from(n)
}

/// The address of `hdr_ip`: IPv4 with an optional port of 0 to 65535, IPv6 without one.
pub(super) fn address(text: &[u8]) -> Option<IpAddr> {
    if let Some((ip, rest)) = ipv4(text) {
        match rest {
            [] => return Some(ip.into()),
            [b':', port @ ..] => {
                let port = std::str::from_utf8(port).ok().filter(|port| port.bytes().all(|b| b.is_ascii_digit()))?;
                return port.trim_start_matches('0').parse::<u16>().map_or(port.starts_with('0'), |_| true).then_some(ip.into());
            }
            _ => return None,
        }
    }
    std::str::from_utf8(text).ok()?.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

/// An IPv4 address at the beginning of a text, leading zeros allowed, and what follows it.
pub(super) fn ipv4(text: &[u8]) -> Option<(Ipv4Addr, &[u8])> {
    let mut octets = [0u8; 4];
    let mut rest = text;
    for (n, octet) in octets.iter_mut().enumerate() {
        if n > 0 {
            rest = rest.strip_prefix(b".")?;
        }
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        let mut value = 0u32;
        for digit in &rest[..digits] {
            value = value * 10 + u32::from(digit - b'0');
            if value > 255 {
                return None;
            }
        }
        *octet = value as u8;
        rest = &rest[digits..];
    }
    Some((octets.into(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (text, n) in [
            ("", 0),
            ("12abc", 12),
            ("-7", -7),
            ("+7", -43),
            ("--7", 23),
            ("5-", 47),
            ("1.2.3.4:80", 818_284),
            ("99999999999", 1_215_752_191),
            ("-2147483649", 2_147_483_647),
            ("\"1.2.3.4\"", -1_391_817_174),
        ] {
            assert_eq!(integer(text.as_bytes()), n, "{text}");
        }
        assert_eq!(integer(b"\xff1"), -489);
    }

    #[test]
    fn addresses() {
        let of = |text: &str| address(text.as_bytes()).map(|ip| ip.to_string());
        for text in ["1.2.3.4", "1.2.3.4:80", "1.2.3.4:0", "1.2.3.4:00080", "01.2.3.4"] {
            assert_eq!(of(text).as_deref(), Some("1.2.3.4"), "{text}");
        }
        assert_eq!(of("::1").as_deref(), Some("::1"));
        for text in ["", "1.2.3", "1.2.3.4:", "1.2.3.4:x", "1.2.3.4:65536", "1.2.3.256", "[::1]", "[::1]:80", "\"1.2.3.4\"", "unknown"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
