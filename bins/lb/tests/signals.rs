//! Signals: SIGUSR1 ends softly, SIGTERM and SIGINT at once.

mod common;

use common::{OK, PREAMBLE, io, origins, start};
use lb_testkit::http::Connection;
use lb_testkit::origin::Origin;
use lb_testkit::script::Step;
use lb_testkit::wait::{Deadline, must};
use rustix::process::Signal;
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

const SITE: &str = "frontend fe\n    bind 127.0.0.1:{fe}\n    default_backend be\nbackend be\n    server s1 127.0.0.1:{o1}\n";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn soft_stop_finishes_what_runs() {
    let world = common::world();
    let slow = vec![Step::Request, Step::Wait("it stops"), Step::Send(OK.into()), Step::Eof];
    let origin = Origin::start(vec![slow], world.clone()).expect("an origin");
    let mut lb = start(&(PREAMBLE.to_owned() + SITE), &[("o1", origin.port())]);
    let mut running = io(Connection::open(lb.addr()));
    io(running.send(GET));
    assert!(origin.wait(0, Deadline::patient(), |t| !t.received.is_empty()));
    lb.process.signal(Signal::USR1).unwrap();
    let addr = lb.addr();
    must("new connections are refused", || TcpStream::connect(addr).is_err());
    world.signals().raise("it stops");
    let answer = io(running.response(false));
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"hello"[..]));
    assert_eq!(answer.header("connection").as_deref(), Some("close"));
    assert!(running.at_eof());
    let status = lb.process.wait(Deadline::patient()).expect("it ends when the last connection has gone");
    assert!(status.success(), "{status}");
    assert!(lb.log.wait_for("GET / ", Deadline::patient()).is_some());
}

/// A kept connection, one that has sent a part of a request, and one that has sent nothing, in a proxy that is told to stop softly.
fn stopped(option: &str) -> (lb_testkit::origin::Origin, common::Lb, [Connection; 3]) {
    let origin = origins(vec![vec![Step::Serve(OK.into())]]);
    let lb = start(&(PREAMBLE.to_owned() + SITE).replace("    bind", &format!("    {option}\n    bind")), &[("o1", origin.port())]);
    let mut kept = io(Connection::open(lb.addr()));
    assert_eq!(io(kept.exchange(GET)).header("connection"), None);
    let mut begun = io(Connection::open(lb.addr()));
    io(begun.send(&GET[..9]));
    let fresh = io(Connection::open(lb.addr()));
    // Whoever is accepted after them has seen them accepted.
    assert_eq!(io(io(Connection::open(lb.addr())).exchange(GET)).status, 200);
    lb.process.signal(Signal::USR1).unwrap();
    let addr = lb.addr();
    must("new connections are refused", || TcpStream::connect(addr).is_err());
    (origin, lb, [kept, begun, fresh])
}

fn answers_and_closes(connection: &mut Connection, request: &str) {
    let answer = io(connection.exchange(request));
    assert_eq!((answer.status, answer.header("connection").as_deref()), (200, Some("close")));
    assert!(connection.at_eof());
}

#[test]
fn soft_stop_closes_kept_clients_at_once() {
    let (_origin, mut lb, [mut kept, mut begun, mut fresh]) = stopped("");
    assert!(kept.at_eof(), "an idle client is not waited for");
    answers_and_closes(&mut begun, &GET[9..]);
    answers_and_closes(&mut fresh, GET);
    assert!(lb.process.wait(Deadline::patient()).expect("it ends").success());
}

#[test]
fn idle_close_on_response_says_close_to_kept_clients() {
    let (_origin, mut lb, [mut kept, mut begun, mut fresh]) = stopped("option idle-close-on-response");
    answers_and_closes(&mut begun, &GET[9..]);
    answers_and_closes(&mut fresh, GET);
    assert!(lb.alive(), "the kept one is waited for");
    answers_and_closes(&mut kept, GET);
    assert!(lb.process.wait(Deadline::patient()).expect("it ends").success());
}

#[test]
fn soft_stop_waits_for_a_relay() {
    let origin = common::origin(vec![Step::Until(b"end".to_vec()), Step::Send(b"bye".to_vec()), Step::Close]);
    let config = PREAMBLE.replace("mode http", "mode tcp").replace("httplog", "tcplog") + SITE;
    let mut lb = start(&config, &[("o1", origin.port())]);
    let mut relay = io(Connection::open(lb.addr()));
    io(relay.send("begin"));
    assert!(origin.wait(0, Deadline::patient(), |t| t.received == b"begin"));
    lb.process.signal(Signal::USR1).unwrap();
    let addr = lb.addr();
    must("new connections are refused", || TcpStream::connect(addr).is_err());
    std::thread::sleep(Duration::from_millis(300));
    assert!(lb.alive(), "the relay still runs");
    io(relay.send("end"));
    assert_eq!(io(relay.rest()), b"bye");
    drop(relay);
    assert!(lb.process.wait(Deadline::patient()).expect("it ends").success());
}

#[test]
fn term_and_int_end_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let origin = common::origin(vec![Step::Eof]);
        let config = PREAMBLE.replace("mode http", "mode tcp").replace("httplog", "tcplog") + SITE;
        // No timeout ends the relay as long as the test waits.
        let mut lb = start(&config.replace("10s", "1h"), &[("o1", origin.port())]);
        let mut relay = io(Connection::open(lb.addr()));
        io(relay.send("begin"));
        assert!(origin.wait(0, Deadline::patient(), |t| t.received == b"begin"));
        lb.process.signal(signal).unwrap();
        let status = lb.process.wait(Deadline::patient()).expect("it ends at once");
        assert!(status.success() || status.signal().is_some() || status.code() == Some(128 + signal.as_raw()), "{status}");
        assert!(relay.at_eof(), "the relay ends with it");
        if !common::is_other() {
            // haproxy writes no line then.
            assert!(lb.log.wait_for(" KD ", Deadline::patient()).is_some(), "{:?}", lb.log.text());
        }
    }
}

/// A relay and a request that would never end, a kept-alive client that says nothing: `hard-stop-after` ends them all.
#[test]
fn a_soft_stop_has_an_end() {
    for http in [false, true] {
        let origin = common::origin(vec![Step::Until(b"begin".to_vec()), Step::Eof]);
        let mut config = PREAMBLE.replace("maxconn 500", "maxconn 500\n    hard-stop-after 1s") + SITE;
        if !http {
            config = config.replace("mode http", "mode tcp").replace("httplog", "tcplog");
        }
        let mut lb = start(&config.replace("10s", "1h"), &[("o1", origin.port())]);
        let mut endless = io(Connection::open(lb.addr()));
        io(endless.send("GET /begin HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(origin.wait(0, Deadline::patient(), |t| !t.received.is_empty()));
        let second = Deadline::after(Duration::from_secs(1));
        lb.process.signal(Signal::USR1).unwrap();
        let addr = lb.addr();
        must("new connections are refused", || TcpStream::connect(addr).is_err());
        std::thread::sleep(Duration::from_millis(300));
        assert!(lb.alive() || second.passed(), "it has its second");
        let status = lb.process.wait(Deadline::patient()).expect("it ends");
        assert!(status.success() && second.passed(), "{status}, or too early");
        // Unless the machine was so slow that the second after that was not enough, which is said.
        if http && !lb.process.stderr().contains("resisted") {
            assert_eq!(io(endless.response(false)).status, 502, "its client is told");
        }
        assert!(endless.at_eof(), "the stream has ended with it");
        // Killed by the operator, as the manual (8.5) has it, in the phase that it was in. haproxy 2.6 names no phase in mode tcp.
        let state = if http { " KH-- " } else { " K" };
        assert!(lb.log.wait_for(state, Deadline::patient()).is_some(), "{:?}", lb.log.text());
        assert!(lb.process.stderr().contains("soft-stop running for too long"), "{}", lb.process.stderr());
        let line = "Proxy fe hard-stopped (";
        assert!(lb.process.stderr().contains(line) && lb.log.wait_for(line, Deadline::patient()).is_some(), "{}", lb.process.stderr());
    }
}

/// What has moved of a stream that the end takes along is in its line. haproxy writes none.
#[test]
fn bytes_of_what_is_cut_off() {
    // Of a head %B counts 20 bytes, the words of its first line, names and values, and one.
    for (mode, bytes) in [("tcp", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".len()), ("http", 20 + 13 + 16 + 1 + 3)] {
        let part = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc";
        let origin = common::origin(vec![Step::Request, Step::Send(part.into()), Step::Eof]);
        let config = (PREAMBLE.to_owned() + SITE).replace("mode http", &format!("mode {mode}")).replace("httplog", &format!("{mode}log"));
        let mut lb = start(&config, &[("o1", origin.port())]);
        let mut client = io(Connection::open(lb.addr()));
        io(client.send(GET));
        let mut seen = Vec::new();
        let mut piece = [0; 100];
        while !seen.ends_with(b"abc") {
            let n = io(std::io::Read::read(&mut client.stream(), &mut piece));
            assert_ne!(n, 0);
            seen.extend(&piece[..n]);
        }
        lb.process.signal(Signal::TERM).unwrap();
        assert!(lb.process.wait(Deadline::patient()).is_some());
        if !common::is_other() {
            let line = lb.log.wait_for(" KD", Deadline::patient()).expect("a line");
            assert!(line.contains(&format!(" {bytes} ")), "{mode}, {bytes} bytes: {line}");
        }
    }
}

#[test]
fn grace_goes_on_listening() {
    let origin = origins(vec![vec![Step::Serve(OK.into())]]);
    let config = PREAMBLE.replace("maxconn 500", "maxconn 500\n    grace 1s") + SITE;
    let mut lb = start(&config, &[("o1", origin.port())]);
    let second = Deadline::after(Duration::from_secs(1));
    lb.process.signal(Signal::USR1).unwrap();
    while !second.passed() {
        let answer = Connection::open(lb.addr()).and_then(|mut connection| connection.exchange(GET));
        let as_ever = answer.is_ok_and(|answer| answer.status == 200 && answer.header("connection").is_none());
        assert!(as_ever || second.passed(), "those who come meanwhile are served as ever");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(lb.process.wait(Deadline::patient()).expect("it ends").success());
    let said = lb.process.stderr();
    let order = ["Scheduling a soft-stop in 1000 ms.", "Grace period expired", "Proxy fe stopped"].map(|line| said.find(line));
    assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{said}");
}

/// `close-spread-time infinite`: nobody is told to leave, kept connections end by themselves.
#[test]
fn kept_clients_may_stay() {
    let origin = origins(vec![vec![Step::Serve(OK.into())]]);
    let config = PREAMBLE.replace("maxconn 500", "maxconn 500\n    close-spread-time infinite") + SITE;
    let mut lb = start(&config, &[("o1", origin.port())]);
    let mut kept = io(Connection::open(lb.addr()));
    assert_eq!(io(kept.exchange(GET)).status, 200);
    lb.process.signal(Signal::USR1).unwrap();
    let addr = lb.addr();
    must("new connections are refused", || TcpStream::connect(addr).is_err());
    for _ in 0..3 {
        assert_eq!(io(kept.exchange(GET)).header("connection"), None);
    }
    assert!(lb.alive());
    drop(kept);
    assert!(lb.process.wait(Deadline::patient()).expect("it ends").success());
}

/// Addresses are let go of for another process, and taken again.
#[test]
fn pause_and_resume() {
    let origin = origins(vec![vec![Step::Serve(OK.into())]]);
    let mut lb = start(&(PREAMBLE.replace("maxconn 500", "maxconn 500\n    nbthread 2") + SITE), &[("o1", origin.port())]);
    let addr = lb.addr();
    let mut kept = io(Connection::open(addr));
    assert_eq!(io(kept.exchange(GET)).status, 200);
    lb.process.signal(Signal::TTOU).unwrap();
    must("nobody listens", || TcpStream::connect(addr).is_err());
    assert_eq!(io(kept.exchange(GET)).status, 200, "streams go on");
    // With SO_REUSEADDR, as servers bind.
    drop(io(std::net::TcpListener::bind(addr)));
    lb.process.signal(Signal::TTIN).unwrap();
    must("it listens again", || Connection::open(addr).and_then(|mut c| c.exchange(GET)).is_ok_and(|answer| answer.status == 200));
    must("it is said", || ["Paused frontend fe.", "Resumed frontend fe."].iter().all(|text| lb.process.stderr().contains(text)));
    // What is so already is not said again.
    lb.process.signal(Signal::TTIN).unwrap();
    lb.process.signal(Signal::HUP).unwrap();
    let last = "SIGHUP: Proxy be has 1 active servers and 0 backup servers available. Conn: act(FE+BE): ";
    must("states are told", || lb.process.stderr().contains(last) && lb.log.text().iter().any(|line| line.contains(last)));
    let said = lb.process.stderr();
    assert!(
        said.contains("SIGHUP: Server be/s1 is UP. Conn: ") && said.contains("SIGHUP: Proxy fe has no servers. Conn: act(FE+BE): "),
        "{said}"
    );
    assert_eq!(said.matches("Resumed").count(), 1, "{said}");
    lb.process.signal(Signal::QUIT).unwrap();
    lb.process.signal(Signal::USR2).unwrap();
    assert_eq!(io(kept.exchange(GET)).status, 200);
    assert!(lb.alive());
}
