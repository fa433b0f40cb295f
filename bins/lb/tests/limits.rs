//! Descriptors run out: accepting pauses, who is there stays, accepting goes on when there is room again.

mod common;

use common::{PREAMBLE, io, start};
use lb_testkit::http::Connection;
use lb_testkit::script::{End, Step};
use lb_testkit::wait::{must, patience, until};
use std::net::TcpStream;
use std::time::Duration;

#[test]
fn descriptors_run_out_and_come_back() {
    let origin = common::origin(vec![Step::Serve(common::OK.into())]);
    let config =
        PREAMBLE.replace("mode http", "mode tcp").replace("httplog", "tcplog").replace("maxconn 500", "maxconn 500\n    nbthread 1")
            + "listen fe\n    bind 127.0.0.1:{fe}\n    server s1 127.0.0.1:{o1}\n";
    let mut lb = start(&config, &[("o1", origin.port())]);
    let room = 40;
    let limit = lb.process.open_files().unwrap() as u64 + room;
    lb.process.limit_files(limit).unwrap();
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut first = io(Connection::open(lb.addr()));
    assert_eq!(io(first.exchange(request)).status, 200);

    // Three times as many as there is room for: the kernel takes them all, the program cannot.
    let mut waiting: Vec<TcpStream> = (0..room * 3).map(|_| io(TcpStream::connect(lb.addr()))).collect();
    must("all descriptors are in use", || lb.process.open_files().unwrap() as u64 + 3 >= limit);
    std::thread::sleep(Duration::from_millis(300));
    let before = lb.process.cpu_ticks().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let used = lb.process.cpu_ticks().unwrap() - before;
    assert!(used < 30, "it spins while it has no descriptors: {used} ticks in a second");
    assert_eq!(io(first.exchange(request)).status, 200, "who is in is still served");
    assert!(lb.alive());

    let warnings = || lb.process.stderr().lines().filter(|l| l.contains("WARNING")).count();
    if !common::is_other() {
        assert_eq!(warnings(), 1, "it warns once:\n{}", lb.process.stderr());
    }

    waiting.clear();
    let served = until(patience(), || {
        Connection::open(lb.addr())
            .and_then(|mut c| {
                c.stream().set_read_timeout(Some(Duration::from_secs(2)))?;
                c.exchange(request)
            })
            .is_ok_and(|r| r.status == 200)
    });
    assert!(served, "nobody is accepted any more");
    // While the queue of those who have left is worked off, room may come and go a few times.
    assert!(warnings() <= 10, "it warns again and again:\n{}", lb.process.stderr());
}

/// Idle server connections beyond need are given back after `pool-purge-delay`: a server with one thread waits for that.
#[test]
fn idle_server_connections_are_purged() {
    let origin = common::origin(vec![Step::Serve(common::OK.into())]);
    let config = PREAMBLE.to_owned()
        + "frontend fe\n    bind 127.0.0.1:{fe}\n    default_backend be\nbackend be\n    http-reuse always\n\
           \x20   server s1 127.0.0.1:{o1} pool-purge-delay 300ms\n";
    let lb = start(&config, &[("o1", origin.port())]);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut connection = io(Connection::open(lb.addr()));
                assert_eq!(io(connection.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n")).status, 200);
            });
        }
    });
    must("idle connections are closed", || origin.transcripts().iter().all(|t| t.end != End::Open));
}

/// With `http-reuse safe` the first request of each client has a connection of its own: one after the other they must not pile up.
#[test]
fn idle_server_connections_do_not_pile_up() {
    let origin = common::origin(vec![Step::Serve(common::OK.into())]);
    let config = PREAMBLE.to_owned() + "listen fe\n    bind 127.0.0.1:{fe}\n    server s1 127.0.0.1:{o1}\n";
    let lb = start(&config, &[("o1", origin.port())]);
    let before = lb.process.open_files().unwrap();
    for _ in 0..100 {
        let mut client = io(Connection::open(lb.addr()));
        assert_eq!(io(client.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).status, 200);
    }
    // One client at a time needs one connection; the last clients' own may still be open.
    must("the connections are closed", || lb.process.open_files().unwrap() <= before + 5);
}
