//! Bodies that are waited for before a server is chosen: what the log says of the time.
#![allow(clippy::disallowed_methods)] // Tests live in real time.

mod world;

use lb_testkit::http::Connection;
use lb_testkit::ports::free_tcp;
use lb_testkit::syslog::Syslog;
use lb_testkit::wait::Deadline;
use std::net::Ipv4Addr;
use std::time::Duration;
use world::{Origin, Running};

/// The wait for a body is time of the request (%TR), as haproxy has it, and not of the queue.
#[test]
fn the_wait_for_a_body_is_time_of_the_request() {
    const LATE: Duration = Duration::from_millis(60);
    let (origin, port, log) = (Origin::start("a"), free_tcp(), Syslog::udp().unwrap());
    for words in ["option http-buffer-request", "balance url_param uid check_post"] {
        let _proxy = Running::start(
            &format!(
                "defaults\n mode http\n timeout connect 5s\n timeout client 60s\n timeout server 60s\nlisten l\n bind 127.0.0.1:{port}\n \
                 log 127.0.0.1:{} local0\n log-format \"{}: %TR\"\n {words}\n server s 127.0.0.1:{}\n",
                log.port(),
                words.replace(' ', "-"),
                origin.port
            ),
            1,
        );
        let mut client = Connection::open((Ipv4Addr::LOCALHOST, port)).unwrap();
        client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nConnection: close\r\n\r\n").unwrap();
        std::thread::sleep(LATE);
        client.send("uid=1").unwrap();
        assert_eq!(client.response(false).unwrap().status, 200);
        let line = log.wait_for(&words.replace(' ', "-"), Deadline::patient()).expect("a line");
        let time: u128 = line.rsplit(' ').next().unwrap().trim().parse().unwrap();
        // Clocks of both sides are read at turns of their loops.
        assert!(time >= LATE.as_millis() - 10, "{line}");
    }
}
