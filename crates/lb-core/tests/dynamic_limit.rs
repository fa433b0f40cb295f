//! `minconn` and `fullconn`: how many streams a server gets while more and more want it. The rows are what haproxy 2.6.12 was seen to do.
#![allow(clippy::disallowed_methods)] // Tests live in real time.

mod world;

use lb_testkit::ports::free_tcp;
use lb_testkit::wait;
use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::Ordering;
use world::{Origin, Running};

const DEFAULTS: &str = "defaults\n mode http\n timeout connect 20s\n timeout client 20s\n timeout server 20s\n timeout queue 20s\n";

/// Streams that the server has, after the first, the second, … of as many clients as the row is long.
fn served(sections: &str, length: usize) -> Vec<u32> {
    let origin = Origin::start("o");
    let port = free_tcp();
    let config = sections.replace("{port}", &port.to_string()).replace("{server}", &format!("server s 127.0.0.1:{}", origin.port));
    let proxy = Running::start(&format!("{DEFAULTS}{config}"), 1);
    let backend = &proxy.process.topology.backends[0];
    let server = &backend.servers()[0];
    let mut clients = Vec::new();
    (1..=length)
        .map(|n| {
            let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
            client.write_all(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            clients.push(client);
            let has = || server.served.load(Ordering::SeqCst);
            let waits = || backend.queue.backend_waiting() + server.queued.load(Ordering::SeqCst);
            wait::must("the stream has its place", || (has() + waits()) as usize == n);
            has()
        })
        .collect()
}

const SERVER: &str = "{server} minconn 2 maxconn 10";

#[test]
fn fullconn_as_given() {
    let with = |fullconn: u32, length| {
        served(&format!("listen l\n bind 127.0.0.1:{{port}}\n balance leastconn\n fullconn {fullconn}\n {SERVER}\n"), length)
    };
    assert_eq!(with(20, 22), [1, 2, 2, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 10]);
    assert_eq!(with(11, 13), [1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10]);
    assert_eq!(with(1, 12), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10]);
}

#[test]
fn a_tenth_of_what_the_frontends_let_in() {
    let backend = format!("backend b\n balance leastconn\n {SERVER}\n");
    // Rounded up: 12 and 13.
    let twelve = [1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10, 10];
    let thirteen = [1, 2, 2, 3, 3, 4, 5, 6, 6, 7, 8, 9, 10];
    let one = |maxconn: u32| format!("frontend f\n maxconn {maxconn}\n bind 127.0.0.1:{{port}}\n default_backend b\n{backend}");
    assert_eq!(served(&one(120), 13), twelve);
    assert_eq!(served(&one(121), 13), thirteen);
    // Every frontend that leads there counts, no other one does.
    let other = |name: &str, leads: &str| format!("frontend {name}\n maxconn 60\n bind 127.0.0.1:{}\n{leads}", free_tcp());
    let more = other("g", " default_backend b\n") + &other("h", "");
    assert_eq!(served(&(one(61) + &more), 13), thirteen);
    // A listen has its own.
    assert_eq!(served(&format!("listen l\n maxconn 120\n bind 127.0.0.1:{{port}}\n balance leastconn\n {SERVER}\n"), 13), twelve);
}

#[test]
fn minconn_alone_is_a_fixed_limit() {
    let with = |words: &str| served(&format!("listen l\n bind 127.0.0.1:{{port}}\n fullconn 100\n {{server}} {words}\n"), 6);
    assert_eq!(with("minconn 3"), [1, 2, 3, 3, 3, 3]);
    assert_eq!(with("minconn 4 maxconn 2"), [1, 2, 3, 4, 4, 4]);
    assert_eq!(with("minconn 2 maxconn 2"), [1, 2, 2, 2, 2, 2]);
}
