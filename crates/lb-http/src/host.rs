//! Host and authority: what may stand there, and when two of them are the same (RFC 9110 §4.2.3, §7.2; RFC 3986 §3.2).

use crate::token::find_non_host;

/// True for a value that may stand in `Host`: no user info, path, query, fragment, list, space or control byte, and a
/// port of digits. The empty value is sound (RFC 9112 §3.2).
#[must_use]
#[inline]
pub fn is_sound_host(value: &[u8]) -> bool {
    // The common shapes first: a name or IPv4 address, with or without a port.
    let (_, rest) = value.split_at(find_non_host(value));
    match rest {
        [] => true,
        [b':', port @ ..] if port.iter().all(u8::is_ascii_digit) => true,
        _ => split_port(value).is_some(),
    }
}

/// Host and port of an authority; the port is empty when there is none. `None` when it is malformed.
#[must_use]
pub fn split_port(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let host_end = if value.first() == Some(&b'[') { bracket_end(value)? } else { name_end(value)? };
    let port = match value[host_end..].split_first() {
        None => &[][..],
        Some((b':', port)) if port.iter().all(u8::is_ascii_digit) => port,
        Some(_) => return None,
    };
    Some((&value[..host_end], port))
}

/// Length of an IP literal in brackets.
fn bracket_end(value: &[u8]) -> Option<usize> {
    let end = value.iter().position(|&b| b == b']')?;
    let inner = std::str::from_utf8(&value[1..end]).ok()?;
    // IPvFuture has no user; an IPv6 zone has no meaning beyond one host.
    inner.parse::<std::net::Ipv6Addr>().ok().map(|_| end + 1)
}

/// Length of a registered name or IPv4 address.
fn name_end(value: &[u8]) -> Option<usize> {
    let mut end = 0;
    loop {
        end += find_non_host(&value[end..]);
        match value.get(end) {
            None | Some(b':') => return Some(end),
            Some(b'%') if value.get(end + 1..end + 3)?.iter().all(u8::is_ascii_hexdigit) => end += 3,
            Some(_) => return None,
        }
    }
}

/// True when two authorities name the same place: hosts without regard to case, ports equal, or one absent and the other
/// the scheme's default.
#[must_use]
pub fn same_authority(a: &[u8], b: &[u8], default_port: Option<&[u8]>) -> bool {
    let (Some((host_a, port_a)), Some((host_b, port_b))) = (split_port(a), split_port(b)) else { return false };
    fn or<'a>(port: &'a [u8], default: Option<&'a [u8]>) -> Option<&'a [u8]> {
        if port.is_empty() { default } else { Some(port) }
    }
    host_a.eq_ignore_ascii_case(host_b) && or(port_a, default_port) == or(port_b, default_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let sound = ["", "a", "a.b-c_d~", "a:80", "a:", "127.0.0.1:8080", "[::1]", "[::1]:80", "[::ffff:1.2.3.4]", "a%20b", "a;b=c", ":80"];
        for host in sound {
            assert!(is_sound_host(host.as_bytes()), "{host}");
        }
        let odd = [
            "a,b",
            "a b",
            "u@a",
            "a/b",
            "a?b",
            "a#b",
            "a\\b",
            "a:x",
            "a:1:2",
            "[::1",
            "::1",
            "[]",
            "[v1.a]",
            "[::1]x",
            "[fe80::1%25eth0]",
            "a%",
            "a%2",
            "a%zz",
            "a\"b",
            "a<b",
            "a^b",
            "a{b}",
            "a|b",
            "a`b",
            "\u{e9}",
            "a\u{1}b",
            "a\tb",
            "a\u{7f}",
        ];
        for host in odd {
            assert!(!is_sound_host(host.as_bytes()), "{host}");
            assert_eq!(split_port(host.as_bytes()), None, "{host}");
        }
    }

    #[test]
    fn authorities() {
        let http: Option<&[u8]> = Some(b"80");
        for (a, b, default, same) in [
            ("a", "A", http, true),
            ("a:80", "a", http, true),
            ("a", "a:80", http, true),
            ("a:", "a:80", http, true),
            ("a:81", "a", http, false),
            ("a:80", "a", None, false),
            ("a:80", "a:80", None, true),
            ("a", "b", http, false),
            ("a", "u@a", http, false),
            ("[::1]:80", "[::1]", http, true),
        ] {
            assert_eq!(same_authority(a.as_bytes(), b.as_bytes(), default), same, "{a} {b}");
        }
    }
}
