//! `mode health` and `monitor-net`: connections that are answered at once and closed, and those of others that are not.

mod world;

use lb_testkit::ports::free_tcp;
use lb_testkit::syslog::Syslog;
use lb_testkit::wait::Deadline;
use std::io::{Read, Write};
use std::net::TcpStream;
use world::{Origin, Running, asked, ms};

const DEFAULTS: &str = "defaults\n timeout connect 1s\n timeout client 20s\n timeout server 20s\n";

/// Everything that comes on a connection on which `request` was sent, up to its end.
fn all(port: u16, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(ms(10_000))).unwrap();
    stream.write_all(request).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn mode_health_answers_each_connection() {
    let (plain, http, logged) = (free_tcp(), free_tcp(), free_tcp());
    let log = Syslog::udp().unwrap();
    let _proxy = Running::start(
        &format!(
            "global\n log 127.0.0.1:{} local0\n{DEFAULTS} log global\n mode health\nlisten a 127.0.0.1:{plain}\n\
             listen b 127.0.0.1:{http}\n option httpchk\nfrontend c\n bind 127.0.0.1:{logged}\n mode tcp\n option tcplog\n",
            log.port()
        ),
        2,
    );
    for request in [&b""[..], b"GET / HTTP/1.0\r\n\r\n", &[b'x'; 5000]] {
        assert_eq!(all(plain, request), "OK\n");
        assert_eq!(all(http, request), "HTTP/1.0 200 OK\r\n\r\n");
    }
    assert_eq!(all(logged, b""), "");
    let text = log.wait_for(" c c/<NOSRV> ", Deadline::patient()).expect("the line of a frontend without backend");
    assert_eq!(log.text(), [text], "probes leave no lines");
}

#[test]
fn monitor_net_knows_its_clients() {
    let (origin, ours, others, tcp) = (Origin::start("a"), free_tcp(), free_tcp(), free_tcp());
    let server = format!("server a 127.0.0.1:{}", origin.port);
    let proxy = Running::start(
        &format!(
            "{DEFAULTS} mode http\nlisten a\n bind 127.0.0.1:{ours}\n monitor-net 127.0.0.0/8\n {server}\n\
             listen b\n bind 127.0.0.1:{others}\n monitor-net 10.0.0.0/255.0.0.0\n {server}\n\
             listen c\n mode tcp\n bind 127.0.0.1:{tcp}\n monitor-net 127.0.0.1\n {server}\n"
        ),
        1,
    );
    assert_eq!(all(ours, b""), "HTTP/1.0 200 OK\r\n\r\n");
    assert_eq!(all(tcp, b"GET / HTTP/1.0\r\n\r\n"), "");
    assert_eq!(asked(others, "/"), (200, "a".to_owned()));
    let streams = proxy.process.streams.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(streams, 1, "a probe is no stream");
}
