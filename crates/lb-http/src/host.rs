//! Host and authority: what may stand there, and when two of them are the same (RFC 9110 §4.2.3, §7.2; RFC 3986 §3.2).

/// True for a value that may stand in `Host`: no user info, path, query, fragment, list, space or control byte, and a
/// port of digits. The empty value is sound (RFC 9112 §3.2).
#[must_use]
pub fn is_sound_host(value: &[u8]) -> bool {
    split_port(value).is_some()
}

/// Host and port of an authority; the port is empty when there is none. `None` when it is malformed.
#[must_use]
pub fn split_port(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let host_end = if value.first() == Some(&b'[') {
        let end = value.iter().position(|&b| b == b']')? + 1;
        if !value[1..end - 1].iter().all(|&b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.' | b'v' | b'%')) || end < 4 {
            return None;
        }
        end
    } else {
        let end = value.iter().position(|&b| b == b':').unwrap_or(value.len());
        if !value[..end].iter().all(|&b| is_host_byte(b)) {
            return None;
        }
        end
    };
    let port = match value[host_end..].split_first() {
        None => &[][..],
        Some((b':', port)) if port.iter().all(u8::is_ascii_digit) => port,
        Some(_) => return None,
    };
    Some((&value[..host_end], port))
}

fn is_host_byte(b: u8) -> bool {
    // reg-name of RFC 3986 less the comma, which would make a list of it, and bytes >= 0x80, as haproxy.
    b.is_ascii_alphanumeric()
        || matches!(b, b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'=')
        || b >= 0x80
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
