//! Hostile inputs: each is answered or refused as the table of hostile inputs says, the connection is closed, the log names the cause,
//! nothing is left behind, and the next client is served.

mod common;

use common::{OK, PREAMBLE, io, origins, start, world};
use lb_testkit::http::{self, Connection, get};
use lb_testkit::script::Step;
use lb_testkit::wait::{Deadline, must, patience, until};
use lb_testkit::{client, proxyproto};
use std::time::Duration;

const SITE: &str = "frontend fe
    bind 127.0.0.1:{fe}
    timeout http-request 1s
    default_backend be
backend be
    http-reuse never
    timeout server 2s
    server s1 127.0.0.1:{o1}
";

/// Requests that get a status, close the connection, and leave `PR--` in the log.
#[test]
fn refused_requests() {
    let origin = common::serve(OK);
    let mut lb = start(&(PREAMBLE.to_owned() + SITE), &[("o1", origin.port())]);
    let mut lines = 0;
    let mut refused = |name: &str, request: &[u8], status: u16| {
        let mut connection = io(Connection::open(lb.addr()));
        io(connection.send(request));
        let answer = connection.response(false).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(answer.status, status, "{name}");
        assert!(connection.at_eof(), "{name}: the connection stays open");
        lines += 1;
        assert!(lb.log.wait_count(lines, Deadline::patient()), "{name}: no log line");
        let line = lb.log.text().pop().unwrap_or_default();
        assert!(line.contains(&format!(" {status} ")) && line.contains(" PR-- "), "{name}: {line}");
        assert!(lb.alive(), "{name}: the program has ended");
    };
    let get = |rest: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{rest}\r\n\r\n").into_bytes();
    refused("1 empty name", &get(": x"), 400);
    refused("1 empty name, first", b"GET / HTTP/1.1\r\n:x\r\nHost: a\r\n\r\n", 400);
    refused("2 header block over the limit", &get(&format!("X: {}", "v".repeat(20_000))), 400);
    refused("2 more headers than the limit", &get("X: y\r\n".repeat(200).trim_end()), 400);
    for value in ["", "5,", ",5", "+5", "0x5", "5 5", "-5", "9223372036854775808", "18446744073709551621"] {
        refused(&format!("3 length {value:?}"), &get(&format!("Content-Length: {value}")), 400);
    }
    refused("4 two lengths", &get("Content-Length: 5\r\nContent-Length: 6"), 400);
    refused("6 VT before chunked", &get("Transfer-Encoding: \x0bchunked"), 400);
    refused("6 unknown coding", &get("Transfer-Encoding: foo"), 400);
    refused("6 gzip, chunked", &get("Transfer-Encoding: gzip, chunked"), 422);
    refused("6 chunked not last", &get("Transfer-Encoding: chunked, gzip"), 400);
    refused("6 chunked twice", &get("Transfer-Encoding: chunked, chunked"), 400);
    refused("8 CR in a value", &get("X: a\rb"), 400);
    refused("8 NUL in a name", &get("X\0: b"), 400);
    refused("8 space before the colon", &get("X : b"), 400);
    refused("9 fragment", b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    refused("9 space in the target", b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    refused("9 control byte in the target", b"GET /a\x01b HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    refused("11 absolute form against Host", b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    refused("11 two Hosts", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400);
    if !common::is_other() {
        refused("8 NUL in a value", &get("X: a\0b"), 400);
        for host in ["a,b", "u@a", "a?b", "a/b"] {
            refused(&format!("11 host {host:?}"), format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes(), 400);
        }
    }
    assert_eq!(origin.accepted(), 0, "something was forwarded");
    assert_eq!(http::get(lb.addr(), "/").unwrap().body, b"hello");
}

/// Broken chunks of a request: refused whenever they come, and what was forwarded never looks like a whole request.
#[test]
fn broken_chunks() {
    let origin = common::origin(vec![Step::Request, Step::Send(OK.into()), Step::Eof]);
    let mut lb = start(&(PREAMBLE.to_owned() + SITE), &[("o1", origin.port())]);
    for body in
        ["zz\r\n", "8000000000000000\r\nx", "10000000000000000\r\nx", "+5\r\nhello\r\n0\r\n\r\n", "5 5\r\n", "-1\r\n", "5\r\nhelloX"]
    {
        for apart in [false, true] {
            let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
            let mut connection = io(Connection::open(lb.addr()));
            io(connection.send(head));
            if apart {
                std::thread::sleep(Duration::from_millis(30));
            }
            let _ = connection.send(body);
            let answer = connection.response(false).unwrap_or_else(|e| panic!("{body:?}: {e}"));
            assert_eq!(answer.status, 400, "{body:?}");
            assert!(connection.at_eof(), "{body:?}: the connection stays open");
        }
    }
    for seen in origin.transcripts() {
        assert_eq!(http::request_len(&seen.received), http::Length::Incomplete, "a whole request was forwarded");
    }
    assert!(lb.alive());
}

/// Both lengths: read as chunked, the length dropped, the connection closed after it; what follows is never a request.
#[test]
fn both_lengths() {
    let origin = common::serve(OK);
    let lb = start(&(PREAMBLE.to_owned() + SITE), &[("o1", origin.port())]);
    let mut connection = io(Connection::open(lb.addr()));
    io(connection.send(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    ));
    assert_eq!(io(connection.response(false)).status, 200);
    assert!(connection.at_eof(), "the connection stays open");
    let seen = origin.transcripts();
    assert_eq!(seen.len(), 1);
    let text = String::from_utf8_lossy(&seen[0].received).to_lowercase();
    assert!(!text.contains("content-length") && !text.contains("smuggled"), "{text}");
    assert!(text.contains("transfer-encoding: chunked"), "{text}");
}

/// Responses that are none: 502 and SH or PH in the log.
#[test]
fn refused_responses() {
    for answer in [
        "HTTP/1.1 2x0 OK\r\nContent-Length: 2\r\n\r\nok",
        "garbage\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX : y\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 2\r\n\r\nok",
        "",
    ] {
        let origin = common::origin(vec![Step::Request, Step::Send(answer.into()), Step::Close]);
        let lb = start(&(PREAMBLE.to_owned() + SITE), &[("o1", origin.port())]);
        assert_eq!(get(lb.addr(), "/").unwrap().status, 502, "{answer:?}");
        let line = lb.log.wait_for(" 502 ", Deadline::patient()).unwrap_or_else(|| panic!("{answer:?}: no log line"));
        assert!(line.contains(if answer.is_empty() { " SH-- " } else { " PH-- " }), "{answer:?}: {line}");
    }
}

/// A request with a body and an upgrade: the server's 101 opens no tunnel while the body is under way.
#[test]
fn no_tunnel_by_mistake() {
    let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n";
    let origin = common::origin(vec![Step::Until(b"abc".to_vec()), Step::Send(switch.into()), Step::Eof]);
    let lb = start(&(PREAMBLE.to_owned() + SITE), &[("o1", origin.port())]);
    let mut connection = io(Connection::open(lb.addr()));
    io(connection.send("POST / HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: Upgrade\r\nContent-Length: 10\r\n\r\nabc"));
    assert_eq!(io(connection.response(false)).status, 502);
    let _ = connection.send("defghijGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
    let _ = connection.rest();
    assert!(origin.transcripts().iter().all(|t| http::find(&t.received, b"smuggled").is_none()));
}

/// Leftover bytes after a response, and a response before the request: that server connection serves nobody else.
#[test]
fn leftovers_are_not_for_the_next_client() {
    let forged = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
    let origin = origins(vec![vec![Step::Request, Step::Send(format!("{OK}{forged}").into()), Step::Eof], vec![Step::Serve(OK.into())]]);
    let lb = start(&(PREAMBLE.to_owned() + &SITE.replace("never", "always")), &[("o1", origin.port())]);
    for _ in 0..5 {
        let mut connection = io(Connection::open(lb.addr()));
        assert_eq!(io(connection.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n")).body, b"hello");
        assert_eq!(io(connection.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n")).body, b"hello");
    }
}

/// PROXY headers that are none: closed, logged, not forwarded; no loop on TLVs of length 0 or past the end.
#[test]
fn refused_proxy_headers() {
    let origin = common::serve(OK);
    let site = SITE.replace("bind 127.0.0.1:{fe}", "bind 127.0.0.1:{fe} accept-proxy");
    let mut lb = start(&(PREAMBLE.to_owned() + &site), &[("o1", origin.port())]);
    let (a, b) = ("192.0.2.7:1".parse().unwrap(), "192.0.2.8:2".parse().unwrap());
    let bad: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        format!("PROXY TCP4 {} 1 1\r\n", "1".repeat(300)).into_bytes(),
        proxyproto::v2_raw(0x21, 0x11, &[1; 11]),
        proxyproto::v2_raw(0x31, 0x11, &[1; 12]),
        proxyproto::v2_raw(0x22, 0x11, &[1; 12]),
        proxyproto::v2(a, b, &[4, 0, 200, 1]),
        proxyproto::v2(a, b, &[4, 0]),
    ];
    for (i, header) in bad.iter().enumerate() {
        let mut connection = io(Connection::open(lb.addr()));
        io(connection.send(header));
        assert!(connection.at_eof(), "header {i}: not closed");
        assert!(lb.log.wait_count(i + 1, Deadline::patient()), "header {i}: no log line");
    }
    assert_eq!(origin.accepted(), 0);
    let mut connection = io(Connection::open(lb.addr()));
    let good = [proxyproto::v2(a, b, &proxyproto::tlv(4, b"")), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()].concat();
    assert_eq!(io(connection.exchange(good)).body, b"hello");
    assert!(lb.alive());
}

/// A client that never reads while the server sends: its timeout ends it, without a spin.
#[test]
fn a_client_that_never_reads() {
    let big = [b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n".to_vec(), vec![b'x'; 50_000_000]].concat();
    let origin = common::origin(vec![Step::Request, Step::Send(big)]);
    let site = SITE.replace("timeout http-request 1s", "timeout client 2s").replace("timeout server 2s", "timeout server 20s");
    let lb = start(&(PREAMBLE.to_owned() + &site), &[("o1", origin.port())]);
    let before = lb.process.cpu_ticks().unwrap();
    let mut connection = io(Connection::open(lb.addr()));
    io(connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    let line = lb.log.wait_for("GET / ", Deadline::patient()).expect("a log line");
    assert!(line.contains(" cD-- "), "{line}");
    // Two seconds of waiting are 200 ticks; moving what fits the buffers takes a few.
    let used = lb.process.cpu_ticks().unwrap() - before;
    assert!(used < 100, "{used} ticks");
}

/// Slow heads end with 408, and many clients that drip do not keep others from being served.
#[test]
fn slow_heads() {
    let origin = common::serve(OK);
    let mut lb = start(&(PREAMBLE.to_owned() + SITE), &[("o1", origin.port())]);
    let files = lb.process.open_files().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                let world = world();
                let drip =
                    Step::Drip { bytes: b"GET /a-rather-long-path HTTP/1.1\r\n".to_vec(), size: 1, pause: Duration::from_millis(150) };
                let seen = client::run(lb.addr(), &[drip, Step::Eof], &*world, Duration::ZERO).expect("a connection");
                assert_eq!(http::status_of(&seen.received), 408, "{:?}", seen.failure);
            });
        }
        assert_eq!(get(lb.addr(), "/").unwrap().status, 200);
    });
    assert!(lb.log.wait_count(51, Deadline::patient()));
    assert_eq!(lb.log.text().iter().filter(|l| l.contains(" 408 ") && l.contains(" cR-- ")).count(), 50);
    assert!(until(patience(), || lb.process.open_files().unwrap() <= files + 2), "descriptors leak");
    assert!(lb.alive());
}

/// Thousands of cookies, headers, chunks, pipelined requests: linear time.
#[test]
fn much_of_everything() {
    let origin = common::origin(vec![Step::Serve(OK.into())]);
    let config = PREAMBLE.replace("maxconn 500", "maxconn 500\n    tune.bufsize 131072") + SITE;
    let mut lb = start(&config, &[("o1", origin.port())]);
    let cookies = format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: {}\r\n\r\n", ";,a=b; ".repeat(10_000));
    let mut connection = io(Connection::open(lb.addr()));
    assert_eq!(io(connection.exchange(cookies)).status, 200);
    let chunks = format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", "1;x=y\r\na\r\n".repeat(100_000));
    let before = lb.process.cpu_ticks().unwrap();
    assert_eq!(io(connection.exchange(chunks)).status, 200);
    let used = lb.process.cpu_ticks().unwrap() - before;
    assert!(used < 500, "{used} ticks for 100,000 chunks");
    assert!(lb.alive());
    must("one log line per request", || lb.log.lines().len() == 2);
}

/// What any client can cause as often as it likes is a line of the log, not a word to the operator: standard error may be a pipe
/// that nobody reads.
#[test]
fn clients_do_not_write_to_standard_error() {
    let origin = common::serve(common::OK);
    let lb = common::start(
        &(common::PREAMBLE.to_owned() + "listen fe\n    bind 127.0.0.1:{fe}\n    server s1 127.0.0.1:{o1}\n"),
        &[("o1", origin.port())],
    );
    for first in ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\0\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"] {
        let mut client = common::io(lb_testkit::http::Connection::open(lb.addr()));
        common::io(client.send(first));
        let _ = client.rest();
    }
    assert_eq!(common::io(lb_testkit::http::get(lb.addr(), "/")).status, 200);
    if !common::is_other() {
        assert_eq!(lb.process.stderr(), "");
    }
}
