//! What of a request `balance` hashes: `uri`, `url_param`, `hdr(<name>)`, and with `check_post` what is in its body. Source: manual 4.2; what the manual leaves open was seen in
//! haproxy 2.6. Called by exchange.rs.
//!
//! Holds: keys are slices of the head, nothing is copied; one pass over what is looked at.

use super::exchange::path_and_query;
use lb_balance::Key;
use lb_config::{HashKey, UriKey};
use lb_http::{Head, Method};

/// The key of a request; without one the request takes turns.
pub fn of<'a>(head: &'a Head, key: &HashKey) -> Key<'a> {
    let bytes = match key {
        HashKey::Uri(part) => Some(uri(head.target(), part)),
        HashKey::UrlParam { name, .. } => parameter(head.target(), name),
        HashKey::Header { name, domain_only } => {
            let value = head.get(name.as_bytes()).map(first_value);
            if *domain_only { value.map(domain) } else { value }
        }
        // A message is not how such a client begins.
        HashKey::Source | HashKey::Destination | HashKey::RdpCookie(_) => None,
        // More than the head may be asked for.
        HashKey::Expr(_) => None,
    };
    bytes.map_or(Key::None, Key::Bytes)
}

fn uri<'a>(target: &'a [u8], part: &UriKey) -> &'a [u8] {
    let from = if part.path_only { path_and_query(target) } else { target };
    let from = &from[..part.len.map_or(from.len(), |len| from.len().min(len as usize))];
    // The slash that begins the first directory is not one that ends one.
    let mut slashes = part.depth.map_or(usize::MAX, |depth| depth as usize);
    let end = from.iter().position(|&byte| match byte {
        b'/' if slashes == 0 => true,
        b'/' => {
            slashes -= 1;
            false
        }
        b'?' => !part.whole,
        _ => false,
    });
    &from[..end.unwrap_or(from.len())]
}

/// The name of the parameter that is looked for in a request's body, which is to be waited for.
pub fn in_body<'a>(head: &Head, key: Option<&'a HashKey>) -> Option<&'a [u8]> {
    match key {
        Some(HashKey::UrlParam { name, check_post: true }) if head.method() == Method::Post => Some(name),
        _ => None,
    }
}

/// The value of a parameter of the query, to the next `&`.
fn parameter<'a>(target: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (_, query) = target.split_at_checked(memchr::memchr(b'?', target)? + 1)?;
    value(query, name)
}

/// The value of a parameter of a list of them, to the next `&`.
pub fn value<'a>(list: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    list.split(|&byte| byte == b'&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix(b"="))
}

/// A field's value to the first comma that stands in no quotes.
fn first_value(value: &[u8]) -> &[u8] {
    let (mut quoted, mut escaped) = (false, false);
    let end = value.iter().position(|&byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        byte == b',' && !quoted
    });
    value[..end.unwrap_or(value.len())].trim_ascii()
}

/// What stands before the last dot, back to the dot before that. A dot at the very start counts as a letter, and so does one right
/// before the last: as haproxy has it.
fn domain(host: &[u8]) -> &[u8] {
    let Some(end) = memchr::memrchr(b'.', host).filter(|&end| end > 0) else { return host };
    let start = memchr::memrchr(b'.', &host[..end - 1]).map_or(0, |dot| dot + 1);
    &host[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb_http::Version;

    fn key(target: &str, fields: &[(&str, &str)], key: &HashKey) -> Option<String> {
        let mut head = Head::new();
        head.start_request(b"GET", target.as_bytes(), Version::Http11);
        for (name, value) in fields {
            head.append(name.as_bytes(), value.as_bytes());
        }
        match of(&head, key) {
            Key::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        }
    }

    #[test]
    fn parts_of_targets() {
        let uri = |target, part| key(target, &[], &HashKey::Uri(part)).expect("always there");
        let all = UriKey::default();
        assert_eq!(uri("/a/b?c", all), "/a/b");
        assert_eq!(uri("/a/b?c", UriKey { whole: true, ..all }), "/a/b?c");
        assert_eq!(uri("/a/b?c", UriKey { len: Some(3), ..all }), "/a/");
        assert_eq!(uri("/a/b/c", UriKey { depth: Some(1), ..all }), "/a");
        assert_eq!(uri("/a/b/c", UriKey { depth: Some(2), ..all }), "/a/b");
        assert_eq!(uri("/a/b", UriKey { depth: Some(9), ..all }), "/a/b");
        assert_eq!(uri("http://h/a/b", UriKey { depth: Some(2), ..all }), "http://h");
        assert_eq!(uri("http://h/a/b?c", UriKey { path_only: true, ..all }), "/a/b");
        assert_eq!(uri("http://h/a?c", UriKey { path_only: true, whole: true, len: Some(3), ..all }), "/a?");
        assert_eq!(uri("?", all), "");
    }

    #[test]
    fn parameters() {
        let parameter = |target| key(target, &[], &HashKey::UrlParam { name: b"uid".to_vec(), check_post: true });
        assert_eq!(parameter("/?uid=7").as_deref(), Some("7"));
        assert_eq!(parameter("/?a=1&uid=7&uid=8").as_deref(), Some("7"));
        assert_eq!(parameter("/?uid=").as_deref(), Some(""));
        assert_eq!(parameter("/?uid=7?uid=8").as_deref(), Some("7?uid=8"));
        for none in ["/", "/uid=7", "/?xuid=7", "/?uid", "/?UID=7", "/?uidx=7"] {
            assert_eq!(parameter(none), None, "{none}");
        }
    }

    #[test]
    fn parameters_in_bodies() {
        let check_post = HashKey::UrlParam { name: b"uid".to_vec(), check_post: true };
        let head = |method: &[u8]| {
            let mut head = Head::new();
            head.start_request(method, b"/?uid=1", Version::Http11);
            head
        };
        assert_eq!(in_body(&head(b"POST"), Some(&check_post)), Some(&b"uid"[..]));
        assert_eq!(in_body(&head(b"PUT"), Some(&check_post)), None);
        assert_eq!(in_body(&head(b"POST"), Some(&HashKey::UrlParam { name: b"uid".to_vec(), check_post: false })), None);
        for (body, found) in
            [("a=1&uid=42", Some("42")), ("uid=42\r\n", Some("42\r\n")), ("a=1;uid=42", None), ("uid&uid=4&b", Some("4")), ("", None)]
        {
            assert_eq!(value(body.as_bytes(), b"uid"), found.map(str::as_bytes), "{body}");
        }
    }

    #[test]
    fn fields() {
        let plain = HashKey::Header { name: "X-User".to_owned(), domain_only: false };
        assert_eq!(key("/", &[("x-user", "a, b"), ("x-user", "c")], &plain).as_deref(), Some("a"));
        assert_eq!(key("/", &[("x-user", "\"a,b\" , c")], &plain).as_deref(), Some("\"a,b\""));
        assert_eq!(key("/", &[("x-users", "a")], &plain), None);
        let domain = HashKey::Header { name: "host".to_owned(), domain_only: true };
        // Seen in haproxy 2.6 for all arrangements of dots in up to six bytes; these are the telling ones.
        for (host, hashed) in [
            ("abc", "abc"),
            ("a.c", "a"),
            ("www.abc.com", "abc"),
            (".bc", ".bc"),
            (".b.", "b"),
            ("a..", "a."),
            ("a.c.", "c"),
            ("a...", "."),
        ] {
            assert_eq!(key("/", &[("Host", host)], &domain).as_deref(), Some(hashed), "{host}");
        }
    }
}
