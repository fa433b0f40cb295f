//! Every word of `balance` and `hash-type` on real sockets: which servers answer. That hashes name haproxy's servers is compared by
//! `cargo xtask parity`.
#![allow(clippy::disallowed_methods)] // Tests live in real time.

mod world;

use lb_testkit::http::Connection;
use lb_testkit::ports::free_tcp;
use lb_testkit::wait;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::Ordering;
use std::time::Duration;
use world::{Origin, Running, asked};

const DEFAULTS: &str =
    "defaults\n mode http\n timeout connect 1s\n timeout client 20s\n timeout server 20s\n timeout queue 20s\n retries 0\n";

/// What servers `a`, `b` and `c` of weights 4, 3 and 2 answer to requests, one after the other.
struct Three {
    origins: [Origin; 3],
}

impl Three {
    fn start() -> Three {
        Three { origins: ["a", "b", "c"].map(Origin::start) }
    }

    fn listen(&self, port: u16, words: &str) -> String {
        let [a, b, c] = [0, 1, 2].map(|n: usize| self.origins[n].port);
        format!(
            "listen l{port}\n bind 127.0.0.1:{port}\n bind 127.0.0.2:{port}\n {words}\n server a 127.0.0.1:{a} weight 4\n \
             server b 127.0.0.1:{b} weight 3\n server c 127.0.0.1:{c} weight 2\n"
        )
    }

    /// The answers to all paths through one proxy per set of words.
    fn answers(&self, words: &[&str], paths: &[String]) -> Vec<String> {
        let ports: Vec<u16> = words.iter().map(|_| free_tcp()).collect();
        let sections: String = words.iter().zip(&ports).map(|(words, port)| self.listen(*port, words)).collect();
        let _proxy = Running::start(&format!("{DEFAULTS}{sections}"), 1);
        let answer = |port: u16, path: &str| {
            let (status, body) = asked(port, path);
            assert_eq!(status, 200);
            body
        };
        ports.iter().map(|&port| paths.iter().map(|path| answer(port, path)).collect()).collect()
    }
}

fn paths(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("/{}?k={}&n={n}", n % 7, n % 5)).collect()
}

#[test]
fn orders_that_are_known() {
    let orders = [
        ("balance lvs-rr", "abcabcabcabc"),
        ("balance lvs-wrr", "aababcabcaab"),
        // With nothing under way it is the first, or the heaviest.
        ("balance lvs-lc", "aaaaaaaaaaaa"),
        ("balance lvs-wlc", "aaaaaaaaaaaa"),
        ("balance lvs-sed", "aaaaaaaaaaaa"),
        ("balance lvs-nq", "aaaaaaaaaaaa"),
        ("balance lvs-fo", "aaaaaaaaaaaa"),
        ("balance lvs-ovf", "aaaaaaaaaaaa"),
        ("balance sticky", "aaaaaaaaaaaa"),
        ("balance first", "aaaaaaaaaaaa"),
    ];
    let three = Three::start();
    let answers = three.answers(&orders.map(|(words, _)| words), &paths(12));
    for ((words, order), got) in orders.iter().zip(answers) {
        assert_eq!(got, *order, "{words}");
    }
}

#[test]
fn one_key_one_server() {
    let three = Three::start();
    let words = [
        "balance source",
        "balance source\n hash-type consistent",
        "balance source\n hash-type maglev",
        "balance lvs-sh",
        "balance lvs-mh",
        "balance lvs-dh",
        "balance lvs-lblc",
        "balance lvs-lblcr",
    ];
    for (words, got) in words.iter().zip(three.answers(&words, &paths(20))) {
        assert_eq!(got.chars().collect::<BTreeSet<_>>().len(), 1, "{words}: {got}");
    }
    let words = [
        "balance uri",
        "balance uri\n hash-type consistent",
        "balance uri\n hash-type maglev(1009) crc32",
        "balance url_param k",
        "balance url_param k\n hash-type consistent wt6",
    ];
    let paths = paths(70);
    for (words, got) in words.iter().zip(three.answers(&words, &paths)) {
        // The path repeats every 7 requests, the parameter every 5.
        let period = if words.contains("uri") { 7 } else { 5 };
        assert!(got.bytes().zip(got.bytes().skip(period)).all(|(a, b)| a == b), "{words}: {got}");
        assert!(got.chars().collect::<BTreeSet<_>>().len() > 1, "{words}: {got}");
    }
}

#[test]
fn all_servers_have_their_share() {
    let three = Three::start();
    let words = ["balance random", "balance random(1)", "balance p2c", "balance lvs-twos", "balance hdr(none)\n hash-type consistent"];
    for (words, got) in words.iter().zip(three.answers(&words, &paths(120))) {
        for (server, share) in [('a', 53), ('b', 40), ('c', 27)] {
            let count = got.chars().filter(|c| *c == server).count();
            assert!(count.abs_diff(share) < 27, "{words}: {count} of {server}");
        }
    }
}

/// The less loaded of two is the one that has nothing to do.
#[test]
fn of_two_servers_the_idle_one() {
    let (a, b, port) = (Origin::start("a"), Origin::start("b"), free_tcp());
    let config = |words: &str| {
        format!("{DEFAULTS}listen l\n bind 127.0.0.1:{port}\n {words}\n server a 127.0.0.1:{}\n server b 127.0.0.1:{}\n", a.port, b.port)
    };
    let _proxy = Running::start(&config("balance p2c"), 1);
    let mut held = Connection::open((Ipv4Addr::LOCALHOST, port)).unwrap();
    held.send("GET /hold HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
    wait::must("it is held", || a.requests() + b.requests() == 1);
    let idle = if a.requests() == 0 { "a" } else { "b" };
    for _ in 0..20 {
        assert_eq!(asked(port, "/").1, idle);
    }
    a.release();
    b.release();
    assert_eq!(held.response(false).unwrap().status, 200);
}

/// A server that takes its time for every answer.
fn slow_origin(delay: Duration) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut buf = [0; 4_000];
                while stream.read(&mut buf).is_ok_and(|n| n != 0) {
                    std::thread::sleep(delay);
                    if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow").is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

#[test]
fn a_slow_server_gets_little() {
    let (slow, quick, port) = (slow_origin(Duration::from_millis(250)), Origin::start("quick"), free_tcp());
    let _proxy = Running::start(
        &format!(
            "{DEFAULTS}listen l\n bind 127.0.0.1:{port}\n balance peak-ewma(60s)\n server s 127.0.0.1:{slow}\n server q 127.0.0.1:{}\n",
            quick.port
        ),
        1,
    );
    let slow = (0..40).filter(|_| asked(port, "/").1 == "slow").count();
    assert!(slow <= 6, "{slow} of 40 went to the slow server");
}

#[test]
fn a_full_server_is_left_or_waited_for() {
    for (words, waits) in [("", true), ("hash-preserve-affinity always", true), ("hash-preserve-affinity maxconn", false)] {
        let (a, b, port) = (Origin::start("a"), Origin::start("b"), free_tcp());
        let proxy = Running::start(
            &format!(
                "{DEFAULTS}listen l\n bind 127.0.0.1:{port}\n balance url_param k\n hash-type consistent\n {words}\n \
                 default-server maxconn 1\n server a 127.0.0.1:{}\n server b 127.0.0.1:{}\n",
                a.port, b.port
            ),
            1,
        );
        let home = asked(port, "/?k=7").1;
        let mut held = Connection::open((Ipv4Addr::LOCALHOST, port)).unwrap();
        held.send("GET /hold?k=7 HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
        wait::must("it is held", || a.requests() + b.requests() == 2);
        let mut second = Connection::open((Ipv4Addr::LOCALHOST, port)).unwrap();
        second.send("GET /?k=7 HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
        if waits {
            let queued = || proxy.process.topology.backends[0].servers().iter().map(|s| s.queued.load(Ordering::SeqCst)).sum::<u32>();
            wait::must("it waits at its server", || queued() == 1);
            a.release();
            b.release();
        }
        let answer = second.response(false).unwrap();
        let other = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(other == home, waits, "{words}: {home}, then {other}");
        a.release();
        b.release();
        assert_eq!(held.response(false).unwrap().status, 200);
    }
}
