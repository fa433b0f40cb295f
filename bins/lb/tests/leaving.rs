//! Clients that leave: the server's place is free again at once, not after a timeout.

mod common;

use common::{OK, PREAMBLE, io, origins, start};
use lb_testkit::http::{Connection, get};
use lb_testkit::script::Step;
use lb_testkit::wait::{Deadline, must};

const SITE: &str = "frontend fe
    bind 127.0.0.1:{fe}
    default_backend be
backend be
    timeout server 30s
    server s1 127.0.0.1:{o1} maxconn 1
";

/// A response that never ends (server-sent events), and a client that resets its connection meanwhile.
/// (haproxy 2.6 holds the place until the server speaks again or its timeout is over.)
#[test]
fn a_client_that_resets_in_the_middle_of_a_response() {
    const BEGINNING: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nevent\r\n";
    let origin = origins(vec![vec![Step::Request, Step::Send(BEGINNING.into()), Step::Eof], vec![Step::Serve(OK.into())]]);
    let lb = start(&(PREAMBLE.to_owned() + SITE), &[("o1", origin.port())]);
    let mut client = io(Connection::open(lb.addr()));
    io(client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    must("the answer has begun", || {
        let mut seen = [0; 4096];
        client.stream().peek(&mut seen).is_ok_and(|n| seen[..n].ends_with(b"event\r\n"))
    });
    // Closed with bytes unread: the kernel sends a reset.
    drop(client);
    // In the queue for the place that is held it would get 503 after three seconds.
    assert_eq!(io(get(lb.addr(), "/")).status, 200);
    assert!(lb.log.wait_count(2, Deadline::patient()));
    assert!(lb.log.text()[0].contains(" CD-- "), "{:?}", lb.log.text());
}
