//! `set-fc-tos`, `set-bc-tos`, `set-fc-mark`, `set-bc-mark`: what the kernel has for the sockets of both sides while a request is under way.

mod common;

use common::{OK, is_other, origins, output, serve, start, tool};
use lb_testkit::http::Connection;
use lb_testkit::script::{End, Step};
use lb_testkit::wait::Deadline;
use std::process::Command;

const FILE: &str = "\
defaults
    mode http
    timeout connect 3s
    timeout client 9s
    timeout server 9s
frontend fe
    bind 127.0.0.1:{fe}
    default_backend be
    http-request set-fc-tos 0x28 if { path /tos }
    http-request set-bc-tos int(20),mul(2),add(4) if { path /tos }
    http-request set-fc-mark req.hdr(x-mark) if { path /mark }
    http-request set-bc-mark 0x2a if { path /mark }
    http-request set-bc-tos req.hdr(none)
backend be
    server s 127.0.0.1:{o}
";

/// What `ss` tells of the established socket from `from` to `to`.
fn told(from: u16, to: u16) -> String {
    let filter = format!("sport = :{from} and dport = :{to}");
    output(Command::new(tool("ss")).args(["-tnHe", "--tos", "state", "established", &filter]))
}

#[test]
fn sockets_of_both_sides() {
    if is_other() {
        return;
    }
    let origin = origins(vec![vec![Step::Request, Step::Eof]]);
    let lb = start(FILE, &[("o", origin.port())]);
    let mut connections = Vec::new();
    let mut ask = |path: &str| {
        let mut client = Connection::open(lb.addr()).expect("a connection");
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nX-Mark: 7\r\n\r\n")).expect("sent");
        let n = connections.len();
        assert!(origin.wait(n, Deadline::patient(), |t| t.received.ends_with(b"\r\n\r\n")), "{path}");
        let port = client.stream().local_addr().expect("an address").port();
        connections.push(client);
        (told(lb.fe, port), told(origin.transcripts()[n].peer_port, origin.port()))
    };
    let (client, server) = ask("/");
    assert!(client.contains("tos:0 ") || client.contains("tos:0x0"), "{client}");
    assert!(!client.contains("fwmark") && !server.contains("fwmark"), "{client}{server}");
    let (client, server) = ask("/tos");
    assert!(client.contains("tos:0x28"), "{client}");
    assert!(server.contains("tos:0x2c"), "{server}");
    let (client, server) = ask("/mark");
    // Marks are for those who may administer the network; for others a request goes on without.
    if rustix::process::geteuid().is_root() {
        assert!(client.contains("fwmark:0x7"), "{client}");
        assert!(server.contains("fwmark:0x2a"), "{server}");
    }
}

#[test]
fn a_marked_connection_serves_one_request() {
    if is_other() {
        return;
    }
    let origin = serve(OK);
    let lb = start(FILE, &[("o", origin.port())]);
    let mut client = Connection::open(lb.addr()).expect("a connection");
    for (path, connections) in [("/", 1), ("/", 1), ("/tos", 2), ("/", 2), ("/tos", 3)] {
        let answer = client.exchange(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).expect("an answer");
        assert_eq!((answer.status, origin.accepted()), (200, connections), "{path}");
    }
    assert!(origin.wait(1, Deadline::patient(), |t| t.end != End::Open), "it is closed behind its request");
}
