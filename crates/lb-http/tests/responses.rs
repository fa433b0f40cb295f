//! Responses as servers send them: what is forwarded, what becomes a 502.

use lb_http::h1::{Decoded, Decoder, Encoder, ErrorKind, H1Error, Limits, ResponseTo};
use lb_http::hop::{self, Wanted};
use lb_http::{Body, Head, ResponseFraming, Version};

const GET: ResponseTo = ResponseTo { head: false, connect: false, upgrade: false };
const HEAD: ResponseTo = ResponseTo { head: true, ..GET };
const CONNECT: ResponseTo = ResponseTo { connect: true, ..GET };
const UPGRADE: ResponseTo = ResponseTo { upgrade: true, ..GET };

fn decode_to(to: ResponseTo, text: &str) -> Result<(Head, ResponseFraming), H1Error> {
    let mut head = Head::new();
    match Decoder::new().decode_response(text.as_bytes(), &Limits::default(), to, &mut head)? {
        Decoded::Complete { consumed, framing } => {
            assert_eq!(consumed, text.len());
            Ok((head, framing))
        }
        Decoded::Partial => panic!("partial: {text:?}"),
    }
}

fn sent(head: &Head) -> String {
    let mut out = Vec::new();
    Encoder::new().encode_response(head, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[test]
fn status_lines() {
    let length = "Content-Length: 2\r\n\r\n";
    for (line, want) in [
        ("HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\n"),
        ("\r\nHTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\n"),
        ("HTTP/1.0 200 OK\r\n", "HTTP/1.0 200 OK\r\n"),
        ("HTTP/1.5 200 OK\r\n", "HTTP/1.1 200 OK\r\n"),
        ("HTTP/2.0 200 OK\r\n", "HTTP/1.1 200 OK\r\n"),
        ("HTTP/1.1 200\r\n", "HTTP/1.1 200 \r\n"),
        ("HTTP/1.1 200 \r\n", "HTTP/1.1 200 \r\n"),
        ("HTTP/1.1 200\n", "HTTP/1.1 200 \r\n"),
        ("HTTP/1.1 200 OK\n", "HTTP/1.1 200 OK\r\n"),
        ("HTTP/1.1  200 OK\r\n", "HTTP/1.1 200 OK\r\n"),
        ("HTTP/1.1 200  OK  x \r\n", "HTTP/1.1 200 OK  x \r\n"),
        ("HTTP/1.1 200   \r\n", "HTTP/1.1 200 \r\n"),
        ("HTTP/1.1 200 O\tK\x01é\r\n", "HTTP/1.1 200 O\tK\x01é\r\n"),
        ("HTTP/1.1 999 OK\r\n", "HTTP/1.1 999 OK\r\n"),
    ] {
        let (head, framing) = decode_to(GET, &format!("{line}{length}")).unwrap_or_else(|e| panic!("{line:?}: {e}"));
        assert_eq!((sent(&head), framing.body), (format!("{want}content-length: 2\r\n\r\n"), Body::Length(2)), "{line:?}");
    }
    for (line, kind) in [
        ("HTTP/1.1 20 OK\r\n", ErrorKind::Status),
        ("HTTP/1.1 2000 OK\r\n", ErrorKind::Status),
        ("HTTP/1.1 099 OK\r\n", ErrorKind::Status),
        ("HTTP/1.1 2x0 OK\r\n", ErrorKind::Status),
        ("HTTP/1.1 -20 OK\r\n", ErrorKind::Status),
        ("HTTP/1.1\r\n", ErrorKind::Version),
        ("HTTP/1.11 200 OK\r\n", ErrorKind::Version),
        ("HTTP/0.9 200 OK\r\n", ErrorKind::Version),
        ("ICY 200 OK\r\n", ErrorKind::Version),
        ("RTSP/1.0 200 OK\r\n", ErrorKind::Version),
        ("http/1.1 200 OK\r\n", ErrorKind::Version),
        ("garbage\r\n", ErrorKind::Version),
        (" HTTP/1.1 200 OK\r\n", ErrorKind::Version),
        ("HTTP/1.1 200 O\0K\r\n", ErrorKind::Reason),
        ("HTTP/1.1 200 O\rK\r\n", ErrorKind::BareCr),
    ] {
        assert_eq!(decode_to(GET, &format!("{line}{length}")).unwrap_err().kind, kind, "{line:?}");
    }
}

#[test]
fn framing_follows_the_request_and_the_fields() {
    for (to, status, fields, want_fields, body, keep_alive) in [
        (GET, "1.1 200", "Content-Length: 2\r\n", "content-length: 2\r\n", Body::Length(2), true),
        (GET, "1.1 200", "Content-Length: 0\r\n", "content-length: 0\r\n", Body::None, true),
        (GET, "1.1 200", "Content-Length: 2\r\nContent-Length: 2\r\n", "content-length: 2\r\n", Body::Length(2), true),
        (GET, "1.1 200", "Content-Length: 2, 2\r\n", "content-length: 2\r\n", Body::Length(2), true),
        (GET, "1.1 200", "", "", Body::UntilClose, false),
        (GET, "1.0 200", "", "", Body::UntilClose, false),
        (GET, "1.0 200", "Content-Length: 2\r\n", "content-length: 2\r\n", Body::Length(2), false),
        (GET, "1.0 200", "Connection: keep-alive\r\nContent-Length: 2\r\n", "content-length: 2\r\n", Body::Length(2), true),
        (GET, "1.1 200", "Connection: close\r\nContent-Length: 2\r\n", "content-length: 2\r\n", Body::Length(2), false),
        (GET, "1.1 200", "Transfer-Encoding: chunked\r\n", "transfer-encoding: chunked\r\n", Body::Chunked, true),
        (GET, "1.1 200", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "transfer-encoding: chunked\r\n", Body::Chunked, false),
        (GET, "1.1 204", "Content-Length: 2\r\n", "", Body::None, true),
        (GET, "1.1 204", "Transfer-Encoding: chunked\r\n", "", Body::None, true),
        (GET, "1.1 304", "Content-Length: 20\r\n", "content-length: 20\r\n", Body::None, true),
        (GET, "1.1 304", "Transfer-Encoding: chunked\r\n", "transfer-encoding: chunked\r\n", Body::None, true),
        (HEAD, "1.1 200", "Content-Length: 20\r\n", "content-length: 20\r\n", Body::None, true),
        (HEAD, "1.1 200", "Transfer-Encoding: chunked\r\n", "transfer-encoding: chunked\r\n", Body::None, true),
        (HEAD, "1.1 200", "", "", Body::None, true),
        (CONNECT, "1.1 200", "Content-Length: 2\r\n", "", Body::Tunnel, false),
        (CONNECT, "1.1 200", "Transfer-Encoding: chunked\r\n", "", Body::Tunnel, false),
        (CONNECT, "1.1 407", "Content-Length: 2\r\n", "content-length: 2\r\n", Body::Length(2), true),
        (UPGRADE, "1.1 101", "Connection: Upgrade\r\nUpgrade: f\r\n", "connection: Upgrade\r\nupgrade: f\r\n", Body::Tunnel, false),
        (
            UPGRADE,
            "1.1 101",
            "Connection: upgrade\r\nUpgrade: f\r\nContent-Length: 5\r\n",
            "connection: upgrade\r\nupgrade: f\r\n",
            Body::Tunnel,
            false,
        ),
        (UPGRADE, "1.1 200", "Content-Length: 2\r\n", "content-length: 2\r\n", Body::Length(2), true),
    ] {
        let text = format!("HTTP/{status} X\r\n{fields}\r\n");
        let (head, framing) = decode_to(to, &text).unwrap_or_else(|e| panic!("{text:?}: {e}"));
        assert_eq!(sent(&head), format!("HTTP/{status} X\r\n{want_fields}\r\n"), "{text:?}");
        assert_eq!((framing.body, framing.keep_alive, framing.interim), (body, keep_alive, false), "{text:?}");
    }
    // Chunks are not HTTP/1.0.
    let (head, framing) = decode_to(GET, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n").unwrap();
    assert_eq!(sent(&head), "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    assert_eq!((framing.body, framing.keep_alive), (Body::Chunked, false));
    for fields in [
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: \r\n",
        "Content-Length: 2\r\nContent-Length: 3\r\n",
        "Content-Length: +2\r\n",
        "Content-Length: 18446744073709551618\r\n",
        "X y: 1\r\n",
        "X : 1\r\n",
        ": 1\r\n",
        "nocolon\r\n",
        "X: a\0b\r\n",
        "X: a\rb\r\n",
    ] {
        assert!(decode_to(GET, &format!("HTTP/1.1 200 OK\r\n{fields}\r\n")).is_err(), "{fields:?}");
    }
}

#[test]
fn interim_responses() {
    for (text, want) in [
        ("HTTP/1.1 100 Continue\r\nX-I: 1\r\n\r\n", "HTTP/1.1 100 Continue\r\nx-i: 1\r\n\r\n"),
        ("HTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("HTTP/1.1 103 Early\r\nLink: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 103 Early\r\nlink: x\r\n\r\n"),
    ] {
        let (head, framing) = decode_to(GET, text).unwrap();
        assert_eq!((sent(&head).as_str(), framing.body, framing.interim), (want, Body::None, true));
    }
    // Nobody asked for it.
    let text = "HTTP/1.1 101 Sw\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n";
    for to in [GET, HEAD, CONNECT] {
        assert_eq!(decode_to(to, text).unwrap_err().kind, ErrorKind::UnexpectedUpgrade);
    }
}

#[test]
fn connection_to_the_client() {
    use Version::{Http10, Http11};
    use Wanted::{Close, KeepAlive};
    for (wanted, response, client, fields, want) in [
        (KeepAlive, "1.1", Http11, "", ""),
        (KeepAlive, "1.1", Http10, "", "connection: keep-alive\r\n"),
        (KeepAlive, "1.0", Http11, "", "connection: keep-alive\r\n"),
        (KeepAlive, "1.0", Http10, "", "connection: keep-alive\r\n"),
        (Close, "1.1", Http11, "", "connection: close\r\n"),
        (Close, "1.1", Http10, "", "connection: close\r\n"),
        (Close, "1.0", Http11, "", ""),
        (Close, "1.0", Http10, "", ""),
        (Close, "1.1", Http11, "Connection: Upgrade\r\nUpgrade: h2c\r\n", "connection: Upgrade\r\nupgrade: h2c\r\n"),
        (KeepAlive, "1.1", Http10, "Connection: Upgrade\r\nUpgrade: h2c\r\n", "connection: Upgrade\r\nupgrade: h2c\r\n"),
        (Close, "1.1", Http11, "Connection: keep-alive, X\r\nX: 1\r\nY: 2\r\n", "y: 2\r\nconnection: close\r\n"),
    ] {
        let text = format!("HTTP/{response} 304 X\r\n{fields}\r\n");
        let (mut head, _) = decode_to(GET, &text).unwrap();
        hop::set_response_connection(&mut head, wanted, client);
        assert_eq!(sent(&head), format!("HTTP/{response} 304 X\r\n{want}\r\n"), "{wanted:?} {client:?} {text:?}");
    }
    let (mut head, _) = decode_to(GET, "HTTP/1.1 100 Continue\r\n\r\n").unwrap();
    hop::set_response_connection(&mut head, Close, Http11);
    assert!(head.is_empty());
}

#[test]
fn connection_to_the_server() {
    for (wanted, version, fields, want) in [
        (Wanted::KeepAlive, "1.1", "", ""),
        (Wanted::Close, "1.1", "", "connection: close\r\n"),
        (Wanted::KeepAlive, "1.0", "", "connection: keep-alive\r\n"),
        (Wanted::Close, "1.0", "", ""),
        (Wanted::KeepAlive, "1.0", "Transfer-Encoding: chunked\r\n", "transfer-encoding: chunked\r\n"),
        (Wanted::Close, "1.1", "Connection: Upgrade\r\nUpgrade: f\r\n", "connection: Upgrade\r\nupgrade: f\r\n"),
    ] {
        let mut head = Head::new();
        let text = format!("POST / HTTP/{version}\r\nHost: a\r\n{fields}\r\n");
        Decoder::new().decode_request(text.as_bytes(), &Limits::default(), &mut head).unwrap();
        hop::set_request_connection(&mut head, wanted);
        let mut out = Vec::new();
        Encoder::new().encode_request(&head, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), format!("POST / HTTP/{version}\r\nhost: a\r\n{want}\r\n"));
    }
}

#[test]
fn an_http10_client_gets_no_chunks() {
    let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\nX: 1\r\n\r\n";
    let (mut head, framing) = decode_to(GET, text).unwrap();
    assert!(!hop::fit_version(&mut head, &framing, Version::Http11));
    assert_eq!(head.len(), 3);
    assert!(hop::fit_version(&mut head, &framing, Version::Http10));
    assert_eq!(sent(&head), "HTTP/1.1 200 OK\r\nx: 1\r\n\r\n");
    let (mut head, framing) = decode_to(GET, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n").unwrap();
    assert!(!hop::fit_version(&mut head, &framing, Version::Http10));
    assert_eq!(head.len(), 1);
}
