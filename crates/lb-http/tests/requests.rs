//! Requests as clients and attackers send them: what is forwarded, what is refused. The reference is haproxy 2.6; cases
//! where this crate differs on purpose are listed in PARITY-NOTES.md.

use lb_http::h1::{Decoded, Decoder, Encoder, ErrorKind, H1Error, Limits, RestrictNames};
use lb_http::{Body, Head, RequestFraming};

fn decode(bytes: &[u8], limits: &Limits) -> Result<(Head, RequestFraming, usize), H1Error> {
    let mut head = Head::new();
    match Decoder::new().decode_request(bytes, limits, &mut head)? {
        Decoded::Complete { consumed, framing } => Ok((head, framing, consumed)),
        Decoded::Partial => panic!("partial: {:?}", String::from_utf8_lossy(bytes)),
    }
}

fn sent(head: &Head) -> String {
    let mut out = Vec::new();
    Encoder::new().encode_request(head, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn relaxed() -> Limits {
    Limits { relaxed: true, ..Limits::default() }
}

/// What goes to the server for `bytes`.
#[track_caller]
fn forwards_with(limits: &Limits, bytes: &[u8], want: &str) {
    match decode(bytes, limits) {
        Ok((head, _, consumed)) => {
            assert_eq!(sent(&head), want, "{:?}", String::from_utf8_lossy(bytes));
            assert!(consumed <= bytes.len());
        }
        Err(e) => panic!("{:?}: {e}", String::from_utf8_lossy(bytes)),
    }
}

#[track_caller]
fn forwards(bytes: &[u8], want: &str) {
    forwards_with(&Limits::default(), bytes, want);
}

#[track_caller]
fn refuses(bytes: &[u8], kind: ErrorKind, status: u16) {
    match decode(bytes, &Limits::default()) {
        Ok((head, ..)) => panic!("{:?} went through as {:?}", String::from_utf8_lossy(bytes), sent(&head)),
        Err(e) => {
            assert_eq!((e.kind, e.status()), (kind, status), "{:?}", String::from_utf8_lossy(bytes));
            assert!(e.offset <= bytes.len());
        }
    }
}

const A: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

#[test]
fn start_lines() {
    for ok in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.9\r\nHost: a\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    ] {
        forwards(ok.as_bytes(), A);
    }
    forwards(b"get / HTTP/1.1\r\nHost: a\r\n\r\n", "get / HTTP/1.1\r\nhost: a\r\n\r\n");
    forwards(b"GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\n\r\n");
    let long = format!("{} / HTTP/1.1\r\nhost: a\r\n\r\n", "A".repeat(300));
    forwards(long.as_bytes(), &long);
    for (bad, kind) in [
        ("\rGET / HTTP/1.1\r\n", ErrorKind::BareCr),
        ("\r\r\nGET / HTTP/1.1\r\n", ErrorKind::BareCr),
        (" GET / HTTP/1.1\r\n", ErrorKind::Method),
        ("\0", ErrorKind::Method),
        ("\x16\x03\x01", ErrorKind::Method),
        ("GET\0", ErrorKind::Method),
        ("G@T / HTTP/1.1\r\n", ErrorKind::Method),
        ("G(T", ErrorKind::Method),
        ("GET\r\n", ErrorKind::Http09),
        ("GET /\r\n", ErrorKind::Http09),
        ("GET /\n", ErrorKind::Http09),
        ("GET / \r\n", ErrorKind::Http09),
        ("GET / HTTP\r\n", ErrorKind::Version),
        ("GET / HTTP/0.9\r\n", ErrorKind::Version),
        ("GET / HTTP/1.\r\n", ErrorKind::Version),
        ("GET / HTTP/1.10\r\n", ErrorKind::Version),
        ("GET / HTTP/01.1\r\n", ErrorKind::Version),
        ("GET / HTTP/1.1 \r\n", ErrorKind::Version),
        ("GET / HTTP/1.1x", ErrorKind::Version),
        ("GET / http/1.1\r\n", ErrorKind::Version),
        ("GET / RTSP/1.0\r\n", ErrorKind::Version),
        ("GET / F", ErrorKind::Version),
        ("GET / HTTP/1.1\rX", ErrorKind::BareCr),
        ("GET /a b HTTP/1.1\r\n", ErrorKind::Version),
    ] {
        refuses(bad.as_bytes(), kind, 400);
    }
}

#[test]
fn the_preface_of_http2_is_an_error_of_its_own() {
    refuses(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ErrorKind::H2Preface, 400);
    refuses(b"PRI * HTTP/2", ErrorKind::H2Preface, 400);
    refuses(b"PRI * HTTP/1.1\r\nHost: a\r\n\r\n", ErrorKind::Target, 400);
}

#[test]
fn targets() {
    for target in ["/\"", "/<>^`{|}\\", "/%00", "/%zz", "//a", "/../x", "/a?b=c&d"] {
        let bytes = format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n");
        forwards(bytes.as_bytes(), &bytes);
    }
    for (target, at) in [("/a#b", 6), ("#", 4), ("/\x01", 5), ("/\x7f", 5), ("/\x0b", 5)] {
        let bytes = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        refuses(bytes.as_bytes(), ErrorKind::Target, 400);
        assert_eq!(decode(bytes.as_bytes(), &Limits::default()).unwrap_err().offset, at);
    }
    for target in ["a", "?a", "*", "http:a", "http:/a", "http:///x", "http://", "://a/", "1http://a/", "http://u:p@a/x", "http://a,b/"] {
        let bytes = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        refuses(bytes.as_bytes(), ErrorKind::Target, 400);
    }
    forwards(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n");
    forwards_with(&relaxed(), b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a#b HTTP/1.1\r\nhost: a\r\n\r\n");
}

#[test]
fn non_ascii_targets_are_a_choice() {
    let bytes = b"GET /\xc3\xa9?\xff HTTP/1.1\r\nHost: a\r\n\r\n";
    let (head, ..) = decode(bytes, &Limits::default()).unwrap();
    assert_eq!(head.target(), b"/\xc3\xa9?\xff");
    let strict = Limits { non_ascii_target: false, ..Limits::default() };
    assert_eq!(decode(bytes, &strict).unwrap_err().kind, ErrorKind::Target);
    assert!(decode(bytes, &Limits { relaxed: true, ..strict }).is_ok());
}

#[test]
fn absolute_targets_and_host_say_the_same() {
    for (target, host, new_target, new_host) in [
        ("http://a/x", "a", "http://a/x", "a"),
        ("http://a", "a", "http://a", "a"),
        ("http://a?q", "a", "http://a?q", "a"),
        ("http://A:80/x", "a", "http://A/x", "A"),
        ("http://a/x", "a:80", "http://a/x", "a"),
        ("https://a/x", "a:443", "https://a/x", "a"),
        ("ftp://a:2/x", "a:2", "ftp://a:2/x", "a:2"),
        ("http://[::1]:8080/", "[::1]:8080", "http://[::1]:8080/", "[::1]:8080"),
    ] {
        forwards(
            format!("GET {target} HTTP/1.1\r\nX: 1\r\nHost: {host}\r\nY: 2\r\n\r\n").as_bytes(),
            &format!("GET {new_target} HTTP/1.1\r\nx: 1\r\nhost: {new_host}\r\ny: 2\r\n\r\n"),
        );
    }
    for (target, host) in [("http://b/x", "a"), ("http://a:81/x", "a"), ("https://a/", "a:80"), ("http://a/", "")] {
        let bytes = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        refuses(bytes.as_bytes(), ErrorKind::Host, 400);
    }
    forwards_with(&relaxed(), b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET http://b/ HTTP/1.1\r\nhost: b\r\n\r\n");
    forwards(b"GET http://b/x HTTP/1.0\r\n\r\n", "GET http://b/x HTTP/1.0\r\n\r\n");
}

#[test]
fn connect_targets() {
    for (target, host) in [("a:1", "a:1"), ("a:80", "a"), ("a:443", "a"), ("[::1]:1", "[::1]:1")] {
        let bytes = format!("CONNECT {target} HTTP/1.1\r\nhost: {host}\r\n\r\n");
        forwards(bytes.as_bytes(), &bytes);
        let (_, framing, _) = decode(bytes.as_bytes(), &Limits::default()).unwrap();
        assert!(framing.connect && framing.body == Body::None);
    }
    for target in ["a", "a:", "a:x", "/", "*", "http://a/", ":1"] {
        refuses(format!("CONNECT {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes(), ErrorKind::Target, 400);
    }
    refuses(b"CONNECT b:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", ErrorKind::Host, 400);
    forwards_with(&relaxed(), b"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", "CONNECT a HTTP/1.1\r\nhost: a\r\n\r\n");
    // The bytes behind the head are the tunnel's: no length may go with it.
    let bytes = b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 3\r\n\r\nabc";
    let (head, framing, consumed) = decode(bytes, &Limits::default()).unwrap();
    assert_eq!(sent(&head), "CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n");
    assert_eq!((framing.body, &bytes[consumed..]), (Body::None, &b"abc"[..]));
    let bytes = b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (head, framing, _) = decode(bytes, &Limits::default()).unwrap();
    assert_eq!((head.len(), framing.body), (1, Body::None));
}

#[test]
fn hosts() {
    for host in ["", "a:80", "a:", "[::1]:80", "a_b", "a;b", "a:99999", "a%20"] {
        let bytes = format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n");
        forwards(bytes.as_bytes(), &bytes);
    }
    for host in ["a,b", "a b", "u@a", "a/b", "a?b", "a#b", "a:x", "a\\b", "a\"b", "[::1", "a:1:2", "a%zz", "a\x01", "é"] {
        refuses(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes(), ErrorKind::Host, 400);
    }
    forwards(b"GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n\r\n");
    for second in ["b", "A", "a:80", ""] {
        refuses(format!("GET / HTTP/1.1\r\nHost: a\r\nHost: {second}\r\n\r\n").as_bytes(), ErrorKind::Host, 400);
        refuses(format!("GET / HTTP/1.1\r\nHost: {second}\r\nX: y\r\nHost: a\r\n\r\n").as_bytes(), ErrorKind::Host, 400);
    }
    forwards(b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nHost: a\r\nHost:  a \r\n\r\n", "GET / HTTP/1.1\r\nhost: a\r\nx: y\r\n\r\n");
    refuses(b"GET / HTTP/1.1\r\nHost: a,b\r\nHost: a,b\r\n\r\n", ErrorKind::Host, 400);
    forwards(b"GET http://b/x HTTP/1.1\r\nHost: b\r\nHost: b\r\n\r\n", "GET http://b/x HTTP/1.1\r\nhost: b\r\n\r\n");
    refuses(b"GET http://b/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", ErrorKind::Host, 400);
    refuses(b"GET / HTTP/1.1\r\nHost: a\r\n X: x\r\n\r\n", ErrorKind::Host, 400);
}

#[test]
fn names() {
    for name in ["X", "X_y", "X.y", "X!", "x-9", "9", "!#$%&'*+-.^_`|~"] {
        let want = format!("GET / HTTP/1.1\r\nhost: a\r\n{}: 1\r\n\r\n", name.to_lowercase());
        forwards(format!("GET / HTTP/1.1\r\nHost: a\r\n{name}: 1\r\n\r\n").as_bytes(), &want);
    }
    for line in [
        ": x",
        "X : x",
        "X\t: x",
        "nocolon",
        "X(: x",
        "X@: x",
        "X\0: x",
        "X y: x",
        "é: x",
        "X\r: x",
        "Content-Length : 3",
        "\x0b: x",
        "Content\rLength: 3",
    ] {
        refuses(format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n").as_bytes(), ErrorKind::Name, 400);
    }
    // Words compared eight bytes at a time see these, too.
    for line in
        [&b"Content-Length\0: 3"[..], b"Host\0: a", b"Host\xe8 a", b"Content-Length\xba: 3", b"Content-Length\xba3: 3", b"Hos\xf4: a"]
    {
        for behind in [&b""[..], b"Some-Other-Field: to fill the words\r\n"] {
            let bytes = [b"GET / HTTP/1.1\r\nX: 1\r\n", line, b"\r\n", behind, b"\r\n"].concat();
            refuses(&bytes, ErrorKind::Name, 400);
        }
    }
    // A line that goes on before there is one.
    refuses(b"GET / HTTP/1.1\r\n X: x\r\nHost: a\r\n\r\n", ErrorKind::Name, 400);
    let name = |n: usize| format!("GET / HTTP/1.1\r\nhost: a\r\n{}: x\r\n\r\n", "x".repeat(n));
    forwards(name(255).as_bytes(), &name(255));
    refuses(name(256).as_bytes(), ErrorKind::NameTooLong, 400);
    refuses(name(9000).as_bytes(), ErrorKind::NameTooLong, 400);
}

#[test]
fn names_that_are_no_tokens_are_never_forwarded() {
    for line in ["X : 1", "X y: 1", "X\x01: 1", "X(: 1", "é: 1", "X\t: 1"] {
        forwards_with(
            &relaxed(),
            format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\nZ: 1\r\n\r\n").as_bytes(),
            "GET / HTTP/1.1\r\nhost: a\r\nz: 1\r\n\r\n",
        );
    }
    for line in [
        ": 1",
        "nocolon",
        "X\0: 1",
        "Content-Length : 1",
        "Content-Length\t: 1",
        "Transfer-Encoding : chunked",
        "Host : b",
        "\x0bConnection: x",
    ] {
        let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n");
        assert_eq!(decode(bytes.as_bytes(), &relaxed()).unwrap_err().kind, ErrorKind::Name, "{line}");
    }
}

#[test]
fn restricted_names() {
    let bytes = b"GET / HTTP/1.1\r\nHost: a\r\nX_y: 1\r\nX-Z: 2\r\nX.y: 3\r\n\r\n";
    let with = |names| decode(bytes, &Limits { names, ..Limits::default() }).unwrap();
    let (head, framing, _) = with(RestrictNames::Preserve);
    assert_eq!((head.len(), framing.restricted_name), (4, false));
    let (head, framing, _) = with(RestrictNames::Delete);
    assert_eq!((sent(&head).as_str(), framing.restricted_name), ("GET / HTTP/1.1\r\nhost: a\r\nx-z: 2\r\n\r\n", false));
    assert!(with(RestrictNames::Reject).1.restricted_name);
}

#[test]
fn values() {
    for (line, want) in [
        ("X:", "x: "),
        ("X:a", "x: a"),
        ("X:  \t a", "x: a"),
        ("X: a \t ", "x: a"),
        ("X: a\tb", "x: a\tb"),
        ("X: a\x01\x7fé", "x: a\x01\x7fé"),
        ("X: a\r\n b", "x: a   b"),
        ("X: a\r\n\tb", "x: a  \tb"),
        ("X: a\n b", "x: a  b"),
        ("X:\r\n a", "x: a"),
        ("X: a\r\n ", "x: a"),
        ("X: a\r\n \r\n \r\n b", "x: a         b"),
        ("X: \r\n ", "x: "),
        ("X: a: b", "x: a: b"),
        ("X: a\t\nY: b", "x: a\r\ny: b"),
        ("X: a \nY: b", "x: a\r\ny: b"),
    ] {
        let want = format!("GET / HTTP/1.1\r\nhost: a\r\n{want}\r\nzz: 1\r\n\r\n");
        forwards(format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\nZz: 1\r\n\r\n").as_bytes(), &want);
    }
    refuses(b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", ErrorKind::Value, 400);
    refuses(b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", ErrorKind::BareCr, 400);
    refuses(b"GET / HTTP/1.1\r\nHost: a\r\nX: a\nb\r\n\r\n", ErrorKind::Name, 400);
    refuses(b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\rZ", ErrorKind::BareCr, 400);
}

#[test]
fn limits() {
    let fields = |n: usize| format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "a: b\r\n".repeat(n - 1));
    forwards(fields(100).as_bytes(), &fields(100));
    refuses(fields(101).as_bytes(), ErrorKind::TooManyFields, 400);
    let max = Limits::default().max_head;
    let sized = |n: usize| format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "a".repeat(n - 32));
    assert_eq!(sized(max).len(), max);
    forwards(sized(max).as_bytes(), &sized(max));
    refuses(sized(max + 1).as_bytes(), ErrorKind::TooLarge, 400);
    refuses(sized(max + 1000).as_bytes(), ErrorKind::TooLarge, 400);
    refuses("\r\n".repeat(max).as_bytes(), ErrorKind::TooLarge, 400);
    let target = |n: usize| format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(n));
    forwards(target(15000).as_bytes(), &target(15000));
    refuses(target(17000).as_bytes(), ErrorKind::TooLarge, 400);
}

#[track_caller]
fn post(fields: &str) -> Result<(String, RequestFraming), H1Error> {
    let bytes = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let (head, framing, consumed) = decode(bytes.as_bytes(), &Limits::default())?;
    assert_eq!(consumed, bytes.len());
    let sent = sent(&head);
    let fields = sent.strip_prefix("POST / HTTP/1.1\r\nhost: a\r\n").unwrap().strip_suffix("\r\n").unwrap();
    Ok((fields.to_owned(), framing))
}

#[test]
fn content_lengths() {
    for (fields, want, body) in [
        ("", "", Body::None),
        ("Content-Length: 0\r\n", "content-length: 0\r\n", Body::None),
        ("Content-Length: 3\r\n", "content-length: 3\r\n", Body::Length(3)),
        ("Content-Length: 003\r\n", "content-length: 3\r\n", Body::Length(3)),
        ("Content-Length: 010\r\n", "content-length: 10\r\n", Body::Length(10)),
        ("Content-Length: 00\r\n", "content-length: 0\r\n", Body::None),
        ("Content-Length: 3, 3\r\n", "content-length: 3\r\n", Body::Length(3)),
        ("Content-Length: 3,03\r\n", "content-length: 3\r\n", Body::Length(3)),
        ("Content-Length: 3\r\nX: 1\r\nContent-Length: 3\r\n", "content-length: 3\r\nx: 1\r\n", Body::Length(3)),
        ("Content-Length: 3\r\nContent-Length: 03\r\n", "content-length: 3\r\n", Body::Length(3)),
        ("Content-Length: 9223372036854775807\r\n", "content-length: 9223372036854775807\r\n", Body::Length(i64::MAX as u64)),
        ("Content-Length:\r\n 3\r\n", "content-length: 3\r\n", Body::Length(3)),
    ] {
        let (got, framing) = post(fields).unwrap_or_else(|e| panic!("{fields:?}: {e}"));
        assert_eq!((got.as_str(), framing.body, framing.keep_alive), (want, body, true), "{fields:?}");
    }
    for value in [
        "",
        "3,",
        ",3",
        "3,,3",
        "+3",
        "-3",
        "0x3",
        "3 3",
        "3, 4",
        "3\x0b",
        "3;",
        "3.0",
        "³",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551619",
        "99999999999999999999999999999999",
        "3\r\n 4",
        "3\r\n 3",
    ] {
        assert_eq!(post(&format!("Content-Length: {value}\r\n")).unwrap_err().kind, ErrorKind::ContentLength, "{value:?}");
    }
    let differ = post("Content-Length: 3\r\nContent-Length: 4\r\n").unwrap_err();
    assert_eq!((differ.kind, differ.status()), (ErrorKind::ContentLength, 400));
}

#[test]
fn transfer_codings() {
    for (fields, want, keep_alive) in [
        ("Transfer-Encoding: chunked\r\n", "transfer-encoding: chunked\r\n", true),
        ("Transfer-Encoding: CHUNKED\r\n", "transfer-encoding: CHUNKED\r\n", true),
        ("Transfer-Encoding:\r\n chunked\r\n", "transfer-encoding: chunked\r\n", true),
        // Both lengths: chunked wins, the other goes, the connection ends.
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "transfer-encoding: chunked\r\n", false),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\nConnection: keep-alive\r\n", "transfer-encoding: chunked\r\n", false),
    ] {
        let (got, framing) = post(fields).unwrap_or_else(|e| panic!("{fields:?}: {e}"));
        assert_eq!((got.as_str(), framing.body, framing.keep_alive), (want, Body::Chunked, keep_alive), "{fields:?}");
    }
    for (value, status) in [
        ("gzip, chunked", 422),
        ("gzip\r\nTransfer-Encoding: chunked", 422),
        ("identity, chunked", 422),
        ("foo, chunked", 422),
        ("gzip", 400),
        ("identity", 400),
        ("", 400),
        (",", 400),
        (",chunked", 400),
        ("chunked,", 400),
        ("chunked, gzip", 400),
        ("chunked, chunked", 400),
        ("chunked\r\nTransfer-Encoding: chunked", 400),
        ("\"chunked\"", 400),
        ("chunked;q=1", 400),
        ("xchunked", 400),
        ("\x0bchunked", 400),
        ("chunked\x0b", 400),
        ("foo\r\nContent-Length: 3", 400),
        ("chunked\r\nContent-Length: x", 400),
    ] {
        let e = post(&format!("Transfer-Encoding: {value}\r\n")).unwrap_err();
        assert_eq!(e.status(), status, "{value:?}");
    }
    // A name that only looks like it is another name.
    let (got, framing) = post("Transfer_Encoding: chunked\r\nContent-Length: 3\r\n").unwrap();
    assert_eq!((got.as_str(), framing.body), ("transfer_encoding: chunked\r\ncontent-length: 3\r\n", Body::Length(3)));
    // HTTP/1.0 has no codings: read, but not trusted any further.
    let bytes = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\n";
    let (head, framing, _) = decode(bytes, &Limits::default()).unwrap();
    assert_eq!((framing.body, framing.keep_alive), (Body::Chunked, false));
    assert_eq!(sent(&head), "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n");
}

#[test]
fn connection_upgrade_and_expect() {
    struct Want {
        keep_alive: bool,
        close: bool,
        upgrade: bool,
        expect: bool,
    }
    let get = |version: &str, fields: &str| {
        let bytes = format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n");
        let (head, framing, _) = decode(bytes.as_bytes(), &Limits::default()).unwrap();
        (sent(&head).split_once("host: a\r\n").unwrap().1.to_owned(), framing)
    };
    let no = Want { keep_alive: false, close: false, upgrade: false, expect: false };
    for (version, fields, want_fields, want) in [
        ("1.1", "", "", Want { keep_alive: true, ..no }),
        ("1.0", "", "", Want { ..no }),
        ("1.0", "Connection: Keep-Alive\r\n", "", Want { keep_alive: true, ..no }),
        ("1.1", "Connection: close\r\n", "", Want { close: true, ..no }),
        ("1.1", "Connection: keep-alive, close\r\n", "", Want { close: true, ..no }),
        ("1.1", "Connection: foo\r\nConnection: CLOSE\r\n", "", Want { close: true, ..no }),
        ("1.1", "Connection: foo,\r\n close\r\nFoo: 1\r\nBar: 2\r\n", "bar: 2\r\n", Want { close: true, ..no }),
        (
            "1.1",
            "Connection: Upgrade\r\nUpgrade: websocket\r\n",
            "connection: Upgrade\r\nupgrade: websocket\r\n",
            Want { keep_alive: true, upgrade: true, ..no },
        ),
        (
            "1.1",
            "Connection: keep-alive, upgrade\r\nUpgrade: foo\r\n",
            "connection: upgrade\r\nupgrade: foo\r\n",
            Want { keep_alive: true, upgrade: true, ..no },
        ),
        // One without the other opens no tunnel, and is not forwarded.
        ("1.1", "Upgrade: foo\r\n", "", Want { keep_alive: true, ..no }),
        ("1.1", "Connection: Upgrade\r\n", "", Want { keep_alive: true, ..no }),
        ("1.0", "Connection: Upgrade\r\nUpgrade: foo\r\n", "connection: Upgrade\r\nupgrade: foo\r\n", Want { ..no }),
        ("1.1", "Expect: 100-Continue\r\n", "expect: 100-Continue\r\n", Want { keep_alive: true, expect: true, ..no }),
        ("1.1", "Expect: foo\r\n", "expect: foo\r\n", Want { keep_alive: true, ..no }),
        ("1.0", "Expect: 100-continue\r\n", "expect: 100-continue\r\n", Want { ..no }),
        ("1.1", "TE: trailers, deflate\r\nConnection: TE\r\n", "te: trailers\r\nconnection: TE\r\n", Want { keep_alive: true, ..no }),
        ("1.1", "TE: deflate\r\nConnection: TE, X\r\nX: 1\r\nY: 1\r\n", "y: 1\r\n", Want { keep_alive: true, ..no }),
        // Nobody takes away a field that is for everyone by naming it.
        (
            "1.1",
            "Connection: Host, Authorization, Cookie, X\r\nAuthorization: b\r\nCookie: c\r\nX: 1\r\n",
            "authorization: b\r\ncookie: c\r\n",
            Want { keep_alive: true, ..no },
        ),
        ("1.1", "Keep-Alive: 3\r\nProxy-Connection: x\r\n", "keep-alive: 3\r\nproxy-connection: x\r\n", Want { keep_alive: true, ..no }),
    ] {
        let (got, f) = get(version, fields);
        assert_eq!(got, format!("{want_fields}\r\n"), "{version} {fields:?}");
        assert_eq!(
            (f.keep_alive, f.close, f.upgrade, f.expect_continue),
            (want.keep_alive, want.close, want.upgrade, want.expect),
            "{version} {fields:?}"
        );
    }
}

#[test]
fn thousands_of_connection_tokens() {
    let tokens: String = (0..3000).map(|i| format!("x{},", i % 90)).collect();
    let fields: String = (0..95).map(|i| format!("X{i}: 1\r\n")).collect();
    let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {tokens}close\r\n{fields}\r\n");
    let want = "GET / HTTP/1.1\r\nhost: a\r\nx90: 1\r\nx91: 1\r\nx92: 1\r\nx93: 1\r\nx94: 1\r\n\r\n";
    forwards(bytes.as_bytes(), want);
}

#[test]
fn errors_come_with_the_byte_that_shows_them() {
    for (bytes, whole) in [
        (&b"GET /a\x01"[..], 7),
        (b"GET / HTTP/1.1\r\nX\x01", 18),
        (b"GET / HTTP/1.1\r\nX y", 18),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\nA", 45),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb", 31),
    ] {
        let (mut decoder, mut head) = (Decoder::new(), Head::new());
        assert_eq!(decoder.decode_request(&bytes[..whole - 1], &Limits::default(), &mut head), Ok(Decoded::Partial));
        assert!(decoder.has_begun());
        assert!(decoder.decode_request(&bytes[..whole], &Limits::default(), &mut head).is_err(), "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn pipelined_requests_come_one_by_one() {
    let bytes = b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi\r\nGET /2 HTTP/1.1\r\nHost: b\r\n\r\n";
    let (mut decoder, mut head, limits) = (Decoder::new(), Head::new(), Limits::default());
    let Ok(Decoded::Complete { consumed, .. }) = decoder.decode_request(bytes, &limits, &mut head) else { panic!() };
    assert_eq!((head.target(), &bytes[consumed..consumed + 2]), (&b"/1"[..], &b"hi"[..]));
    let Ok(Decoded::Complete { consumed: more, .. }) = decoder.decode_request(&bytes[consumed + 2..], &limits, &mut head) else { panic!() };
    assert_eq!((head.target(), head.len(), consumed + 2 + more), (&b"/2"[..], 1, bytes.len()));
}

#[test]
fn bodies_that_http10_servers_do_not_look_for() {
    let any = Limits { payload_with_any_method: true, ..Limits::default() };
    for method in ["GET", "HEAD", "DELETE", "POST", "OPTIONS", "X"] {
        for field in ["Content-Length: 3", "Transfer-Encoding: chunked"] {
            let text = format!("{method} / HTTP/1.0\r\n{field}\r\n\r\n");
            let refused =
                decode(text.as_bytes(), &Limits::default()).is_err_and(|e| e.kind == ErrorKind::UnexpectedBody && e.status() == 413);
            assert_eq!(refused, matches!(method, "GET" | "HEAD" | "DELETE"), "{text}");
            assert!(decode(text.as_bytes(), &any).is_ok());
            assert!(decode(text.replace("1.0\r\n", "1.1\r\nHost: a\r\n").as_bytes(), &Limits::default()).is_ok());
        }
        assert!(decode(format!("{method} / HTTP/1.0\r\nContent-Length: 0\r\n\r\n").as_bytes(), &Limits::default()).is_ok());
    }
}

#[test]
fn connections_with_both_lengths() {
    let text = "POST / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
    let kept = Limits { keep_alive_with_both_lengths: true, ..Limits::default() };
    let lives = |text: &str, limits: &Limits| {
        let (head, framing, _) = decode(text.as_bytes(), limits).unwrap();
        assert!(!sent(&head).contains("content-length"));
        framing.keep_alive
    };
    assert!(!lives(text, &Limits::default()));
    assert!(lives(text, &kept));
    assert!(!lives(&text.replace("1.1", "1.0"), &kept), "HTTP/1.0 knows no chunks");
}
