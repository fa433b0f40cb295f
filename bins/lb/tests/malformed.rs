//! Messages that are none or nearly none, where haproxy forwards or does something else: each is refused or put right before anybody
//! else reads it, and a peer that stops in the middle costs nothing but its own stream.

mod common;

use common::{OK, PREAMBLE, io, start};
use lb_testkit::http::{self, Connection, find};
use lb_testkit::script::Step;
use lb_testkit::wait::Deadline;

const SITE: &str = "frontend fe
    bind 127.0.0.1:{fe}
    FRONT
    default_backend be
backend be
    http-reuse never
    server s1 127.0.0.1:{o1}
";

fn site(front: &str) -> String {
    PREAMBLE.to_owned() + &SITE.replace("FRONT", front)
}

/// HTTP/2 on a plain port is not there: 400 and a line that says why nothing was served.
#[test]
fn the_preface_of_http2() {
    let origin = common::serve(OK);
    let lb = start(&site(""), &[("o1", origin.port())]);
    let mut client = io(Connection::open(lb.addr()));
    io(client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"));
    assert_eq!(io(client.response(false)).status, 400);
    assert!(client.at_eof());
    assert!(lb.log.wait_for(" 400 ", Deadline::patient()).is_some_and(|l| l.contains(" PR-- ")), "{:?}", lb.log.text());
    assert_eq!(origin.accepted(), 0);
}

/// A status is three digits from 100 on; an interim response has no body: what would follow it might be taken for an answer.
#[test]
fn statuses_that_are_none() {
    for answer in [
        "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 000 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1\t200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 103 Early Hints\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ] {
        let origin = common::origin(vec![Step::Request, Step::Send(answer.into()), Step::Eof]);
        let lb = start(&site(""), &[("o1", origin.port())]);
        let mut client = io(Connection::open(lb.addr()));
        io(client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
        let mut response = io(client.response(false));
        while response.status / 100 == 1 {
            response = io(client.response(false));
        }
        assert_eq!(response.status, 502, "{answer:?}");
        assert!(lb.log.wait_for(" 502 ", Deadline::patient()).is_some_and(|l| l.contains(" PH-- ")), "{answer:?}: {:?}", lb.log.text());
    }
}

/// Zeros before a length are no other base: the number goes on, in the digits that everybody reads alike.
#[test]
fn zeros_before_a_length() {
    let origin = common::serve(OK);
    let lb = start(&site(""), &[("o1", origin.port())]);
    let mut client = io(Connection::open(lb.addr()));
    let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 010\r\n\r\n0123456789";
    assert_eq!(io(client.exchange(request)).status, 200);
    assert_eq!(io(client.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n")).status, 200, "ten bytes, and not eight");
    let seen = origin.transcripts().remove(0).received;
    assert!(find(&seen, b"content-length: 10\r\n").is_some(), "{}", String::from_utf8_lossy(&seen));
}

/// Also with the option that takes what is invalid, a name that is none never goes to a server.
#[test]
fn invalid_names_are_not_forwarded() {
    for word in ["accept-invalid-http-request", "accept-unsafe-violations-in-http-request"] {
        let origin = common::serve(OK);
        let lb = start(&site(&format!("option {word}")), &[("o1", origin.port())]);
        for field in [
            "Bad : 1",
            "B\0ad: 1",
            "B\x01ad: 1",
            "B ad: 1",
            "Bad\t: 1",
            ": bad",
            "B(ad): 1",
            "bad",
            "B\u{e4}d: 1",
            "Transfer-Encoding : chunked",
        ] {
            let mut client = io(Connection::open(lb.addr()));
            io(client.send(format!("GET /x HTTP/1.1\r\nHost: a\r\nFirst: 1\r\n{field}\r\nLast: 1\r\n\r\n")));
            let status = io(client.response(false)).status;
            assert!([200, 400].contains(&status), "{field:?}: {status}");
        }
        assert_eq!(http::get(lb.addr(), "/").unwrap().status, 200);
        for seen in origin.transcripts() {
            let text = String::from_utf8_lossy(&seen.received).into_owned();
            let known = ["get ", "host: a", "host: test", "first: 1", "last: 1", "connection: close", ""];
            for line in text.to_lowercase().split("\r\n") {
                assert!(known.iter().any(|k| line == *k || (k.ends_with(' ') && line.starts_with(k))), "{line:?} was forwarded:\n{text}");
            }
        }
    }
}

/// An upgrade that is not asked for as the protocol has it is none: no word of it goes on, and a server that switches all the same gets
/// no tunnel.
#[test]
fn upgrades_that_are_none() {
    let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n";
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let origin = common::origin(vec![Step::Request, Step::Send(switch.into()), Step::Eof]);
        let lb = start(&site(""), &[("o1", origin.port())]);
        let mut client = io(Connection::open(lb.addr()));
        io(client.send(request));
        assert_eq!(io(client.response(false)).status, 502, "{request:?}");
        let _ = client.send("smuggled").and_then(|()| client.half_close());
        let _ = client.rest();
        let seen = origin.transcripts().remove(0).received;
        assert!(find(&seen, b"smuggled").is_none());
        assert!(find(&seen.to_ascii_lowercase(), b"upgrade").is_none(), "{}", String::from_utf8_lossy(&seen));
    }
}

/// A server that does not take what is sent to it: its timeout ends the stream, and nobody spins meanwhile.
#[test]
fn a_server_that_never_reads() {
    for mode in ["http", "tcp"] {
        let world = std::sync::Arc::new(lb_testkit::script::Plain::default());
        let origin = lb_testkit::origin::Origin::start(vec![vec![Step::Wait("over")]], world.clone()).expect("an origin");
        let config = site("").replace("timeout server 10s", "timeout server 2s").replace("mode http", &format!("mode {mode}"));
        let lb = start(
            &config.replace("option httplog", &format!("option {mode}log")).replace("    http-reuse never\n", ""),
            &[("o1", origin.port())],
        );
        let before = lb.process.cpu_ticks().unwrap();
        let mut client = io(Connection::open(lb.addr()));
        io(client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n"));
        let mut stream = io(client.stream().try_clone());
        let writing = std::thread::spawn(move || {
            // Ends with an error when the proxy closes.
            let _ = std::io::Write::write_all(&mut stream, &vec![b'x'; 50_000_000]);
        });
        let line = lb.log.wait_for(" fe be/s1 ", Deadline::patient()).expect("a log line");
        assert!(line.contains(" sD"), "{mode}: {line}");
        let used = lb.process.cpu_ticks().unwrap() - before;
        assert!(used < 100, "{mode}: {used} ticks in two seconds of waiting");
        writing.join().unwrap();
        lb_testkit::script::World::signals(&*world).raise("over");
    }
}
