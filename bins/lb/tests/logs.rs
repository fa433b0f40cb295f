//! Where logs go: UDP, UNIX datagram sockets, standard output and error; and that a receiver that is gone stops nobody.

mod common;

use common::{OK, PREAMBLE, io, start};
use lb_testkit::fixture::TempDir;
use lb_testkit::http::{Connection, get};
use lb_testkit::syslog::Syslog;
use lb_testkit::wait::{Deadline, must};

const SITE: &str = "frontend fe\n    bind 127.0.0.1:{fe}\n    default_backend be\nbackend be\n    server s1 127.0.0.1:{o1}\n";

/// The usual configuration with another `log` line.
fn site(log: &str) -> String {
    PREAMBLE.replace("log 127.0.0.1:{log} local0", &format!("log {log}")) + SITE
}

#[test]
fn unix_socket_and_several_targets() {
    let dir = TempDir::new("log").unwrap();
    let path = dir.path().join("socket");
    let unix = Syslog::unix(&path).unwrap();
    let origin = common::serve(OK);
    let config = site(&format!("{} local1\n    log 127.0.0.1:{{log}} local2 info", path.display()));
    let lb = start(&config, &[("o1", origin.port())]);
    assert_eq!(get(lb.addr(), "/here").unwrap().status, 200);
    let line = unix.wait_for("/here", Deadline::patient()).expect("a line on the UNIX socket");
    assert!(line.starts_with("<142>") && line.contains(" test["), "{line}");
    let line = lb.log.wait_for("/here", Deadline::patient()).expect("a line on UDP");
    assert!(line.starts_with("<150>"), "{line}");
}

#[test]
fn standard_output_and_error() {
    let origin = common::serve(OK);
    for (target, error) in [("stdout", false), ("stderr", true)] {
        let lb = start(&site(&format!("{target} format raw local0")), &[("o1", origin.port())]);
        assert_eq!(get(lb.addr(), "/here").unwrap().status, 200);
        must(target, || if error { lb.process.stderr() } else { lb.process.stdout() }.contains("\"GET /here HTTP/1.1\""));
    }
}

#[test]
fn a_level_that_keeps_traffic_out() {
    let origin = common::serve(OK);
    let lb = start(&site("127.0.0.1:{log} local0 err"), &[("o1", origin.port())]);
    assert_eq!(get(lb.addr(), "/").unwrap().status, 200);
    // An answer of the proxy itself is logged at a higher level than traffic only where haproxy does so: nothing here.
    assert!(!lb.log.wait_count(1, Deadline::after(std::time::Duration::from_millis(200))), "{:?}", lb.log.text());
}

#[test]
fn nobody_listens() {
    let origin = common::serve(OK);
    let dir = TempDir::new("log").unwrap();
    let path = dir.path().join("socket");
    let gone = Syslog::unix(&path).unwrap();
    let config = site(&format!("{} local0\n    log 127.0.0.1:9 local0", path.display()));
    let mut lb = start(&config, &[("o1", origin.port())]);
    drop(gone);
    let mut connection = io(Connection::open(lb.addr()));
    for _ in 0..100 {
        assert_eq!(io(connection.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n")).status, 200);
    }
    assert!(lb.alive());
}
