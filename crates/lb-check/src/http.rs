//! The request of `option httpchk`, as bytes.
//!
//! Holds: the bytes are HAProxy's, but for one case: a Content-Length or Transfer-Encoding that the operator hid in the version string is
//! replaced by the true length, where HAProxy sends both side by side. A message never has two meanings.

/// Why a line of `option httpchk` cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Method, URI or version is empty or holds a control character or a space.
    #[error("'{0}' cannot stand in a request line")]
    Word(String),
    /// A line that was hidden behind the version is no header.
    #[error("unable to parse the request '{0}'")]
    Header(String),
}

/// One request, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    bytes: Vec<u8>,
    head: bool,
}

/// Methods after which HAProxy announces no empty body.
const BODILESS: [&str; 4] = ["GET", "HEAD", "OPTIONS", "DELETE"];

/// Headers that a hidden line may not set: the connection is always closed after the check, the length is the true one.
const IGNORED: [&str; 4] = ["connection", "te", "content-length", "transfer-encoding"];

impl HttpRequest {
    /// `option httpchk` without arguments.
    pub const DEFAULT_METHOD: &str = "OPTIONS";
    /// `option httpchk` without a URI.
    pub const DEFAULT_URI: &str = "/";
    /// `option httpchk` without a version.
    pub const DEFAULT_VERSION: &str = "HTTP/1.0";

    /// From the words of `option httpchk [<method>] <uri> [<version>]`. In the old form headers, and behind an empty line a
    /// body, follow the version after `\r\n`.
    pub fn parse(method: &str, uri: &str, version: &str) -> Result<HttpRequest, RequestError> {
        let (version, hidden) = match version.split_once("\r\n") {
            Some((version, hidden)) => (version, Some(hidden)),
            None => (version, None),
        };
        for word in [method, uri] {
            if word.is_empty() || word.bytes().any(|b| b <= b' ' || b == 0x7f) {
                return Err(RequestError::Word(word.to_owned()));
            }
        }
        if version.is_empty() || version.contains('\0') {
            return Err(RequestError::Word(version.to_owned()));
        }
        let (lines, body) = split_body(hidden.unwrap_or(""));
        let headers = parse_headers(lines)?;
        let modern = is_newer_than_1_0(version);
        let mut text = format!("{method} {uri} {}\r\n", if modern { "HTTP/1.1" } else { version });
        for (name, value) in &headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        match body {
            Some(body) if !body.is_empty() => text.push_str(&format!("content-length: {}\r\n", body.len())),
            None if !BODILESS.contains(&method) => text.push_str("content-length: 0\r\n"),
            _ => {}
        }
        if modern {
            text.push_str("connection: close\r\n");
        }
        match body {
            // An empty line and no body behind it: HAProxy takes it for a body of unknown length.
            Some("") if modern => text.push_str("transfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
            Some(body) => text.push_str(&format!("\r\n{body}")),
            None => text.push_str("\r\n"),
        }
        Ok(HttpRequest { bytes: text.into_bytes(), head: method == "HEAD" })
    }

    /// The bytes to send.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes to send, to spell the names in them differently: there are as many bytes before and after.
    pub fn as_bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Whether it is a HEAD request, whose answer has no body whatever its head says.
    pub fn is_head(&self) -> bool {
        self.head
    }
}

/// Headers, and the body behind the first empty line if there is such a line.
fn split_body(hidden: &str) -> (&str, Option<&str>) {
    if let Some(body) = hidden.strip_prefix("\r\n") {
        return ("", Some(body));
    }
    match hidden.split_once("\r\n\r\n") {
        Some((lines, body)) => (lines, Some(body)),
        None => (hidden, None),
    }
}

fn parse_headers(lines: &str) -> Result<Vec<(String, &str)>, RequestError> {
    let mut headers = Vec::new();
    for line in lines.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)) {
        if line.is_empty() {
            continue;
        }
        let bad = || RequestError::Header(line.to_owned());
        let (name, value) = line.split_once(':').ok_or_else(bad)?;
        if name.is_empty() || !name.bytes().all(crate::response::is_token) || value.bytes().any(|b| b < b' ' && b != b'\t') {
            return Err(bad());
        }
        let name = name.to_ascii_lowercase();
        let value = value.trim_matches([' ', '\t']);
        // HAProxy sends no header without a value.
        if !value.is_empty() && !IGNORED.contains(&name.as_str()) {
            headers.push((name, value));
        }
    }
    Ok(headers)
}

/// Whether the version is a well-formed one above 1.0: all those are sent as 1.1. Anything else goes out as it is.
fn is_newer_than_1_0(version: &str) -> bool {
    let Some(number) = version.get(..5).filter(|p| p.eq_ignore_ascii_case("HTTP/")).map(|_| &version[5..]) else { return false };
    match number.as_bytes() {
        [major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => (*major, *minor) > (b'1', b'0'),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(method: &str, uri: &str, version: &str) -> String {
        let request = HttpRequest::parse(method, uri, version).expect("valid");
        String::from_utf8(request.as_bytes().to_vec()).expect("text")
    }

    /// What a listening socket received from haproxy 2.6.12 for these words.
    #[test]
    fn same_bytes_as_haproxy() {
        let seen = [
            ("OPTIONS", "/", "HTTP/1.0", "OPTIONS / HTTP/1.0\r\n\r\n"),
            ("GET", "/x", "HTTP/1.1", "GET /x HTTP/1.1\r\nconnection: close\r\n\r\n"),
            ("HEAD", "/", "HTTP/1.1\r\nHost: www", "HEAD / HTTP/1.1\r\nhost: www\r\nconnection: close\r\n\r\n"),
            ("GET", "/", "HTTP/1.0\r\nHost: www\r\nUser-Agent: lb", "GET / HTTP/1.0\r\nhost: www\r\nuser-agent: lb\r\n\r\n"),
            ("OPTIONS", "*", "HTTP/1.1\r\nHost: www\r\nX:1", "OPTIONS * HTTP/1.1\r\nhost: www\r\nx: 1\r\nconnection: close\r\n\r\n"),
            (
                "GET",
                "/",
                "HTTP/1.1\r\nConnection: close\r\nhost: a\r\n\r\nbody",
                "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbody",
            ),
            ("PUT", "/foo?bar=1", "HTTP/2.0", "PUT /foo?bar=1 HTTP/1.1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
            ("POST", "/", "HTTP/1.0", "POST / HTTP/1.0\r\ncontent-length: 0\r\n\r\n"),
            ("DELETE", "/", "HTTP/1.1", "DELETE / HTTP/1.1\r\nconnection: close\r\n\r\n"),
            ("get", "/", "HTTP/1.1", "get / HTTP/1.1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
            ("GET", "/", "HTTP/0.9", "GET / HTTP/0.9\r\n\r\n"),
            ("GET", "/", "HTTP/1.5", "GET / HTTP/1.1\r\nconnection: close\r\n\r\n"),
            ("GET", "/", "http/1.1", "GET / HTTP/1.1\r\nconnection: close\r\n\r\n"),
            ("GET", "/", "FOO", "GET / FOO\r\n\r\n"),
            ("GET", "/", "HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc", "GET / HTTP/1.1\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc"),
            ("GET", "/", "HTTP/1.1\r\nA: 1\r\nA: 2\r\nB:", "GET / HTTP/1.1\r\na: 1\r\na: 2\r\nconnection: close\r\n\r\n"),
            (
                "GET",
                "/",
                "HTTP/1.1\r\nUpgrade: ws\r\nTE: x\r\nKeep-Alive: 3",
                "GET / HTTP/1.1\r\nupgrade: ws\r\nkeep-alive: 3\r\nconnection: close\r\n\r\n",
            ),
            ("GET", "/", "HTTP/1.1\r\nA:  x  y  \r\n", "GET / HTTP/1.1\r\na: x  y\r\nconnection: close\r\n\r\n"),
            ("GET", "/", "HTTP/1.0\r\n\r\nabc", "GET / HTTP/1.0\r\ncontent-length: 3\r\n\r\nabc"),
            (
                "GET",
                "/",
                "HTTP/1.1\r\nHost: w\r\n\r\n",
                "GET / HTTP/1.1\r\nhost: w\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            ),
            ("GET", "/", "HTTP/1.1\nHost: w", "GET / HTTP/1.1\nHost: w\r\n\r\n"),
            ("GET", "/", "HTTP/1.1\r\nHost: w\nX: y", "GET / HTTP/1.1\r\nhost: w\r\nx: y\r\nconnection: close\r\n\r\n"),
        ];
        for (method, uri, version, bytes) in seen {
            // One line of the list is our own (see the module's contract): haproxy sent the operator's wrong length there.
            assert_eq!(sent(method, uri, version), bytes, "{method} {uri} {version:?}");
        }
    }

    #[test]
    fn refuses_what_is_no_request() {
        for (method, uri, version) in
            [("", "/", "HTTP/1.0"), ("GET", "", "HTTP/1.0"), ("GET", "/ x", "HTTP/1.0"), ("GET", "/", ""), ("GET", "/", "HTTP/1.1\r\nBAD")]
        {
            assert!(HttpRequest::parse(method, uri, version).is_err(), "{method:?} {uri:?} {version:?}");
        }
    }
}
