//! The requests of `option httpchk` and `http-check send`, as bytes.
//!
//! Holds: the bytes are HAProxy's, but where a message would have two meanings: a Content-Length or Transfer-Encoding that the operator hid
//! in the version string is replaced by the true length, where HAProxy sends both side by side; and what a format makes of a target
//! or of a field's value has no line ends (they become `%0D%0A`).

use crate::script::Text;
use crate::world::{NoWorld, Variables, View};
use lb_expr::sample::Bytes;
use std::borrow::Cow;

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

/// A request as the configuration has it.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpRequest {
    /// As it goes out.
    pub method: Box<str>,
    /// The target; an empty one is `/`.
    pub uri: Text,
    /// As it was written: what is above 1.0 goes out as 1.1.
    pub version: Box<str>,
    /// Fields in order; one without a value is not sent.
    pub headers: Vec<(Box<str>, Text)>,
    /// The body; `None`: there is none.
    pub body: Option<Text>,
}

/// Methods after which HAProxy announces no empty body.
const BODILESS: [&str; 4] = ["GET", "HEAD", "OPTIONS", "DELETE"];

/// Headers that no line may set: the length is the true one.
const IGNORED: [&str; 3] = ["te", "content-length", "transfer-encoding"];

impl Default for HttpRequest {
    /// `option httpchk` without arguments.
    fn default() -> Self {
        HttpRequest { method: "OPTIONS".into(), uri: Text::plain("/"), version: "HTTP/1.0".into(), headers: Vec::new(), body: None }
    }
}

impl HttpRequest {
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
        Ok(HttpRequest {
            method: method.into(),
            uri: Text::plain(uri),
            version: version.into(),
            headers: parse_headers(lines)?.into_iter().map(|(name, value)| (name.into(), Text::plain(value))).collect(),
            body: body.map(Text::plain),
        })
    }

    /// The bytes to send, where nothing in them has to be asked for.
    pub fn to_bytes(&self) -> Vec<u8> {
        let variables = Variables::default();
        let view = View { world: &NoWorld, variables: &variables, head: None, body: Bytes::default(), buffer: Bytes::default() };
        self.write(&view, false)
    }

    /// The bytes to send; `state`: with what is thought of the server.
    pub(crate) fn write(&self, view: &View<'_>, state: bool) -> Vec<u8> {
        let modern = is_newer_than_1_0(&self.version);
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(self.method.as_bytes());
        out.push(b' ');
        let uri = said(&self.uri, view, |b| b <= b' ' || b == 0x7f);
        let host = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
        let host = host.map(|(_, value)| said(value, view, is_control)).filter(|host| !host.is_empty());
        write_target(if uri.is_empty() { b"/" } else { &uri }, host.as_deref(), &mut out);
        out.push(b' ');
        out.extend_from_slice(if modern { b"HTTP/1.1" } else { self.version.as_bytes() });
        out.extend_from_slice(b"\r\n");
        let mut closes = modern;
        for (name, value) in &self.headers {
            let value = said(value, view, is_control);
            let (name, value) = (name.to_ascii_lowercase(), value.trim_ascii());
            if value.is_empty() || IGNORED.contains(&name.as_str()) {
                continue;
            }
            if name == "connection" {
                let close = value.eq_ignore_ascii_case(b"close");
                closes = close && modern;
                // What is so anyway is not said.
                if close || (modern && value.eq_ignore_ascii_case(b"keep-alive")) {
                    continue;
                }
            }
            write_field(&name, value, &mut out);
        }
        if state {
            out.extend_from_slice(b"x-haproxy-server-state: ");
            view.world.write_state(&mut out);
            out.extend_from_slice(b"\r\n");
        }
        // An empty line and no body behind it: HAProxy takes it for a body of unknown length.
        let open = matches!(&self.body, Some(Text::Plain(body)) if body.is_empty()) && modern;
        let body = self.body.as_ref().map(|body| said(body, view, |_| false)).filter(|body| !body.is_empty());
        match &body {
            Some(body) => write_field("content-length", body.len().to_string().as_bytes(), &mut out),
            None if !open && !BODILESS.contains(&&*self.method) => write_field("content-length", b"0", &mut out),
            None => {}
        }
        if closes {
            write_field("connection", b"close", &mut out);
        }
        if open {
            write_field("transfer-encoding", b"chunked", &mut out);
        }
        view.world.spell(&mut out);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(if open { b"0\r\n\r\n" } else { body.as_deref().unwrap_or_default() });
        out
    }

    /// Whether it is a HEAD request, whose answer has no body whatever its head says.
    pub fn is_head(&self) -> bool {
        &*self.method == "HEAD"
    }
}

/// A text; bytes of a format that would change what the message says are `%XX`.
fn said<'a>(text: &'a Text, view: &View<'_>, forbidden: impl Fn(u8) -> bool) -> Cow<'a, [u8]> {
    let format = match text {
        Text::Plain(text) => return Cow::Borrowed(text),
        Text::Format(format) => format,
    };
    let made = view.text(format);
    if !made.iter().any(|b| forbidden(*b)) {
        return Cow::Owned(made);
    }
    let mut clean = Vec::with_capacity(made.len() + 16);
    for b in made {
        if forbidden(b) {
            clean.extend_from_slice(format!("%{b:02X}").as_bytes());
        } else {
            clean.push(b);
        }
    }
    Cow::Owned(clean)
}

fn is_control(b: u8) -> bool {
    (b < b' ' && b != b'\t') || b == 0x7f
}

fn write_field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The target; in an absolute one the authority is that of the Host field.
fn write_target(uri: &[u8], host: Option<&[u8]>, out: &mut Vec<u8>) {
    let scheme = [&b"http://"[..], b"https://"].into_iter().find(|scheme| uri.starts_with(scheme));
    let (Some(scheme), Some(host)) = (scheme, host) else { return out.extend_from_slice(uri) };
    let rest = &uri[scheme.len()..];
    let path = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
    out.extend_from_slice(scheme);
    out.extend_from_slice(host);
    out.extend_from_slice(&rest[path..]);
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
        headers.push((name, value));
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
        String::from_utf8(request.to_bytes()).expect("text")
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
