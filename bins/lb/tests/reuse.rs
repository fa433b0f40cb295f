//! Server connections that are used again: how often, how many are kept, and what happens when one dies under a request.

mod common;

use common::{OK, PREAMBLE, io, origins, start};
use lb_testkit::http::{Connection, find};
use lb_testkit::origin::Origin;
use lb_testkit::script::{End, Plain, Step};
use lb_testkit::wait::{Deadline, must};
use std::sync::Arc;
use std::time::Duration;

/// One thread, so that there is one pool; `server` has more words of the server's line.
fn site(server: &str) -> String {
    PREAMBLE.replace("maxconn 500", "maxconn 500\n    nbthread 1")
        + "frontend fe\n    bind 127.0.0.1:{fe}\n    default_backend be\nbackend be\n    http-reuse always\n"
        + &format!("    server s1 127.0.0.1:{{o1}} {server}\n")
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Requests with this method that each of the origin's connections has seen.
fn requests(origin: &Origin, method: &str) -> Vec<usize> {
    let start = format!("{method} / HTTP/1.1\r\n").into_bytes();
    let count = |mut bytes: &[u8]| {
        let mut n = 0;
        while let Some(at) = find(bytes, &start) {
            (n, bytes) = (n + 1, &bytes[at + 1..]);
        }
        n
    };
    origin.transcripts().iter().map(|t| count(&t.received)).collect()
}

/// haproxy 2.6 has the word and respects it on HTTP/2 connections alone.
#[test]
fn max_reuse() {
    if common::is_other() {
        return;
    }
    for (words, each) in
        [("max-reuse 0", vec![1, 1, 1, 1, 1, 1, 1]), ("max-reuse 2", vec![3, 3, 1]), ("max-reuse -1", vec![7]), ("", vec![7])]
    {
        let origin = common::serve(OK);
        let lb = start(&site(words), &[("o1", origin.port())]);
        let mut client = io(Connection::open(lb.addr()));
        for _ in 0..7 {
            assert_eq!(io(client.exchange(GET)).status, 200);
        }
        assert_eq!(requests(&origin, "GET"), each, "{words}");
    }
}

#[test]
fn pool_max_conn() {
    for (words, kept) in [("pool-max-conn 0", 0), ("pool-max-conn 1", 1), ("pool-max-conn 2", 2), ("", 3)] {
        let world = Arc::new(Plain::default());
        let held = vec![Step::Request, Step::Wait("all are here"), Step::Send(OK.into()), Step::Serve(OK.into())];
        let origin = Origin::start(vec![held], world.clone()).expect("an origin");
        let lb = start(&site(words), &[("o1", origin.port())]);
        let mut clients: Vec<Connection> = (0..3).map(|_| io(Connection::open(lb.addr()))).collect();
        for client in &mut clients {
            io(client.send(GET));
        }
        for n in 0..3 {
            assert!(origin.wait(n, Deadline::patient(), |t| !t.received.is_empty()), "three at once have three connections");
        }
        lb_testkit::script::World::signals(&*world).raise("all are here");
        for client in &mut clients {
            assert_eq!(io(client.response(false)).status, 200);
        }
        let open = || origin.transcripts().iter().filter(|t| t.end == End::Open).count();
        must(&format!("{words}: {kept} are kept"), || open() == kept);
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(open(), kept, "{words}");
    }
}

/// A kept server connection ends when it has just got the next request. What may be asked twice is asked again, and the client notices
/// nothing; anything else reaches the server once.
#[test]
fn a_request_that_is_not_idempotent_is_sent_once() {
    for (method, body, again) in
        [("GET", "", true), ("PUT", "abc", true), ("DELETE", "", true), ("POST", "abc", false), ("PATCH", "abc", false)]
    {
        let origin = origins(vec![vec![Step::Request, Step::Send(OK.into()), Step::Request, Step::Close], vec![Step::Serve(OK.into())]]);
        let lb = start(&site(""), &[("o1", origin.port())]);
        let mut client = io(Connection::open(lb.addr()));
        assert_eq!(io(client.exchange("GET /first HTTP/1.1\r\nHost: a\r\n\r\n")).status, 200);
        io(client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())));
        let answer = client.response(false);
        let seen = requests(&origin, method).iter().sum::<usize>();
        if again && !common::is_other() {
            assert_eq!(answer.map(|a| a.status).ok(), Some(200), "{method}");
            assert_eq!(seen, 2, "{method}");
        } else {
            // haproxy closes without a word, so that the client decides.
            assert!(answer.is_err(), "{method}: {answer:?}");
            assert_eq!(seen, 1, "{method} was sent twice");
        }
    }
}

/// Whose connection a client's first request may take: nobody's, one that has proved to carry more than one request, anybody's.
#[test]
fn first_requests() {
    for (reuse, after_one, after_two) in [("never", 2, 2), ("safe", 2, 2), ("aggressive", 2, 1), ("always", 1, 1)] {
        for (asked, connections) in [(1, after_one), (2, after_two)] {
            let origin = common::serve(OK);
            let lb = start(&site("").replace("http-reuse always", &format!("http-reuse {reuse}")), &[("o1", origin.port())]);
            let mut first = io(Connection::open(lb.addr()));
            for _ in 0..asked {
                assert_eq!(io(first.exchange(GET)).status, 200);
            }
            let mut second = io(Connection::open(lb.addr()));
            assert_eq!(io(second.exchange(GET)).status, 200);
            assert_eq!(origin.accepted(), connections, "{reuse}, after {asked} of another client");
        }
    }
}
