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

/// Messages of other programs by datagram and by connection, on their way to a syslog server that takes connections.
#[test]
fn messages_of_others_are_forwarded() {
    let receiver = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = receiver.local_addr().unwrap();
    let config = format!(
        "ring r\n    format rfc5424\n    timeout connect 5s\n    timeout server 5s\n    server s {to} log-proto octet-count\n\
         log-forward lf\n    bind 127.0.0.1:{{fe}}\n    dgram-bind 127.0.0.1:{{fe}}\n    timeout client 5s\n    log ring@r local0\n"
    );
    let lb = start(&config, &[]);
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    datagrams.send_to(b"<13>1 2026-11-28T07:26:31Z h a p m - by datagram", lb.addr()).unwrap();
    let (mut taken, _) = receiver.accept().unwrap();
    let mut expect = |message: &str| {
        let text = format!("{} {message}", message.len());
        let mut got = vec![0; text.len()];
        std::io::Read::read_exact(&mut taken, &mut got).unwrap();
        assert_eq!(String::from_utf8(got).unwrap(), text);
    };
    expect("<13>1 2026-11-28T07:26:31Z h a p m - by datagram");
    let mut sender = std::net::TcpStream::connect(lb.addr()).unwrap();
    let message = "<13>1 2026-11-28T07:26:31Z h a p m [x] by connection";
    std::io::Write::write_all(&mut sender, format!("{} {message}{message} with a line feed\n", message.len()).as_bytes()).unwrap();
    expect(message);
    expect(&format!("{message} with a line feed"));
    // What is no message ends the connection and nothing else.
    std::io::Write::write_all(&mut sender, b"nonsense\n").unwrap();
    assert_eq!(std::io::Read::read(&mut sender, &mut [0]).unwrap_or(0), 0);
    datagrams.send_to(b"nonsense", lb.addr()).unwrap();
    let mut length = [0; 3];
    std::io::Read::read_exact(&mut taken, &mut length).unwrap();
    assert!(length.iter().all(|b| b.is_ascii_digit() || *b == b' '), "a message without a header is one, too: {length:?}");
}

/// What the end of the process takes along is told, too: to a server that is connected, and in the ring's file.
#[test]
fn a_ring_has_the_last_lines() {
    let receiver = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = TempDir::new("ring").unwrap();
    let file = dir.write("ring", "what the process before said\n").unwrap();
    let ring = format!(
        "ring r\n    format raw\n    backing-file {}\n    timeout connect 5s\n    timeout server 5s\n    server s {}\n",
        file.display(),
        receiver.local_addr().unwrap()
    );
    let silent = common::origin(vec![lb_testkit::script::Step::Until(b"never".to_vec())]);
    let mut lb = start(&format!("{ring}{}", site("ring@r local0")), &[("o1", silent.port())]);
    let (mut taken, _) = receiver.accept().unwrap();
    let mut client = io(Connection::open(lb.addr()));
    io(client.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert!(silent.wait(0, Deadline::patient(), |seen| !seen.received.is_empty()));
    lb.process.signal(rustix::process::Signal::TERM).unwrap();
    assert!(lb.process.wait(Deadline::patient()).is_some());
    let mut text = String::new();
    std::io::Read::read_to_string(&mut taken, &mut text).unwrap();
    let line = text.lines().find(|line| line.contains("GET /held")).unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains(" KH-- "), "{line}");
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(kept.contains(line), "{kept}");
    assert_eq!(std::fs::read_to_string(file.with_extension("bak")).unwrap(), "what the process before said\n");
}
