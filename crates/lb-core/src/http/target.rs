//! `option http_proxy`: a request says in its absolute URI where it is to go.

use lb_http::{Head, Method};
use std::net::{IpAddr, SocketAddr};

/// Port of the scheme `http`.
const PORT: u16 = 80;

/// The address that an absolute URI names, which is taken out of the request line; `None` for any other form of target, another
/// scheme, and for names: they are not resolved.
pub fn take_address(head: &mut Head) -> Option<SocketAddr> {
    const SCHEME: &[u8] = b"http://";
    let target = head.target();
    let (scheme, rest) = target.split_at_checked(SCHEME.len())?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return None;
    }
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
    let address = address(std::str::from_utf8(&rest[..end]).ok()?)?;
    let path = match (rest.get(end), head.method()) {
        (Some(b'/'), _) => rest[end..].to_vec(),
        (Some(_), _) => [b"/", &rest[end..]].concat(),
        // RFC 9112 section 3.2.4: such a request is about the server as a whole.
        (None, Method::Options) => b"*".to_vec(),
        (None, _) => b"/".to_vec(),
    };
    head.set_target(&path);
    Some(address)
}

fn address(authority: &str) -> Option<SocketAddr> {
    let ip = |text: &str| text.parse::<IpAddr>().ok();
    let bracketed = |text: &str| ip(text.strip_prefix('[')?.strip_suffix(']')?).filter(IpAddr::is_ipv6);
    let address = match authority.parse() {
        Ok(address) => address,
        Err(_) => SocketAddr::new(ip(authority).filter(IpAddr::is_ipv4).or_else(|| bracketed(authority))?, PORT),
    };
    (address.port() != 0).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb_http::Version;

    fn take(method: &str, target: &str) -> Option<(String, String)> {
        let mut head = Head::new();
        head.start_request(method.as_bytes(), target.as_bytes(), Version::Http11);
        let address = take_address(&mut head)?;
        Some((address.to_string(), String::from_utf8_lossy(head.target()).into_owned()))
    }

    #[test]
    fn addresses_and_what_is_left() {
        let some = |address: &str, path: &str| Some((address.to_owned(), path.to_owned()));
        assert_eq!(take("GET", "http://192.0.2.1/a?b"), some("192.0.2.1:80", "/a?b"));
        assert_eq!(take("GET", "HTTP://192.0.2.1:8080"), some("192.0.2.1:8080", "/"));
        assert_eq!(take("GET", "http://192.0.2.1?b/c"), some("192.0.2.1:80", "/?b/c"));
        assert_eq!(take("GET", "http://[2001:db8::1]:81/"), some("[2001:db8::1]:81", "/"));
        assert_eq!(take("GET", "http://[2001:db8::1]/"), some("[2001:db8::1]:80", "/"));
        assert_eq!(take("OPTIONS", "http://192.0.2.1"), some("192.0.2.1:80", "*"));
    }

    #[test]
    fn what_names_no_address() {
        for target in [
            "/",
            "*",
            "192.0.2.1:80",
            "http://",
            "http:///x",
            "http://example.org/",
            "http://192.0.2.1:0/",
            "http://192.0.2.1:/",
            "http://192.0.2.1:70000/",
            "http://[192.0.2.1]/",
            "http://2001:db8::1/",
            "http://u@192.0.2.1/",
            "https://192.0.2.1/",
            "ftp://192.0.2.1/",
        ] {
            assert_eq!(take("GET", target), None, "{target}");
        }
    }
}
