//! Health checks on real sockets: which servers get traffic, when, and what is said about it. The lines are those that
//! haproxy 2.6.12 wrote for the same events.
#![allow(clippy::disallowed_methods)] // Tests live in real time.

mod world;

use lb_core::proxy::ServerState;
use lb_core::worker::Severity;
use lb_testkit::ports::free_tcp;
use lb_testkit::syslog::Syslog;
use lb_testkit::wait::{self, Deadline};
use std::collections::BTreeSet;
use std::time::Instant;
use world::{Origin, Running, asked, ms, without_duration};

const DEFAULTS: &str =
    "defaults\n mode http\n timeout connect 1s\n timeout client 20s\n timeout server 20s\n timeout queue 20s\n retries 0\n";

/// Bodies of some requests in a row; each must be answered with 200.
#[track_caller]
fn bodies(port: u16, count: usize) -> BTreeSet<String> {
    (0..count)
        .map(|_| {
            let (status, body) = asked(port, "/");
            assert_eq!(status, 200);
            body
        })
        .collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|n| n.to_string()).collect()
}

/// Waits until that server of the first backend is in that state.
#[track_caller]
fn must_be(proxy: &Running, server: usize, state: ServerState) {
    let backend = proxy.process.topology.backends[0].clone();
    wait::must(&format!("{} is {state:?}", backend.servers()[server].name()), || backend.servers()[server].state() == state);
}

#[test]
fn a_killed_server_gets_nothing_and_comes_back() {
    let (mut a, b, port) = (Origin::start("a"), Origin::start("b"), free_tcp());
    let (pa, pb) = (a.port, b.port);
    let proxy = Running::start(
        &format!(
            "{DEFAULTS}listen b\n bind 127.0.0.1:{port}\n option httpchk GET /health\n default-server check inter 100 rise 3 fall 3\n server a 127.0.0.1:{pa}\n server b 127.0.0.1:{pb}\n"
        ),
        2,
    );
    assert_eq!(bodies(port, 4), set(&["a", "b"]));
    // Full health first: three failures are needed then.
    wait::must("checks have passed", || a.checks() >= 2 && b.checks() >= 2);
    let killed = Instant::now();
    a.kill();
    let (down, severity, text) = proxy.told(0, "Server b/a is DOWN");
    assert!(down - killed >= ms(200), "three failures take at least two intervals: {:?}", down - killed);
    assert_eq!(severity, Severity::Warning);
    assert_eq!(
        without_duration(&text),
        "Server b/a is DOWN, reason: Layer4 connection problem, info: \"Connection refused\", check duration: ms. \
         1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue."
    );
    assert_eq!(bodies(port, 20), set(&["b"]), "whichever thread takes them");
    let revived = Instant::now();
    a.revive();
    let (up, _, text) = proxy.told(0, "Server b/a is UP");
    assert!(up - revived >= ms(200), "three successes take at least two intervals: {:?}", up - revived);
    assert_eq!(
        without_duration(&text),
        "Server b/a is UP, reason: Layer7 check passed, code: 200, check duration: ms. \
         2 active and 0 backup servers online. 0 sessions requeued, 0 total in queue."
    );
    assert_eq!(bodies(port, 4), set(&["a", "b"]));
}

#[test]
fn a_server_that_only_accepts_is_well_and_hears_nothing() {
    let (mut a, port) = (Origin::start("a"), free_tcp());
    let pa = a.port;
    let proxy = Running::start(
        &format!("{DEFAULTS}listen b\n bind 127.0.0.1:{port}\n option log-health-checks\n server a 127.0.0.1:{pa} check inter 50 fall 2\n"),
        1,
    );
    let (_, severity, text) = proxy.told(0, "Health check for server b/a");
    assert_eq!(severity, Severity::Warning);
    let text = without_duration(&text);
    assert_eq!(text, "Health check for server b/a succeeded, reason: Layer4 check passed, check duration: ms, status: 2/2 UP.");
    assert_eq!(asked(port, "/"), (200, "a".into()));
    assert_eq!(a.accepted(), 1, "a check is reset before the server's application sees it");
    a.kill();
    assert!(proxy.told(0, "is DOWN").2.starts_with("Server b/a is DOWN. 0 active"), "the reason has its own line");
    let (_, severity, _) = proxy.told(0, "proxy 'b' has no server available!");
    assert_eq!(severity, Severity::Alert);
    assert_eq!(asked(port, "/").0, 503);
    a.revive();
    must_be(&proxy, 0, ServerState::Up);
    assert_eq!(asked(port, "/"), (200, "a".into()));
}

#[test]
fn backups_take_over_and_the_log_says_so() {
    let (a, b, port) = (Origin::start("a"), Origin::start("b"), free_tcp());
    let syslog = Syslog::udp().unwrap();
    let (pa, pb, pl) = (a.port, b.port, syslog.port());
    let proxy = Running::start(
        &format!(
            "global\n log 127.0.0.1:{pl} local0\n{DEFAULTS}frontend f\n bind 127.0.0.1:{port}\n default_backend b\n\
             backend b\n log global\n option httpchk GET /health\n default-server check inter 50 rise 2 fall 2\n \
             server a 127.0.0.1:{pa}\n server b 127.0.0.1:{pb} backup\n"
        ),
        2,
    );
    assert_eq!(bodies(port, 4), set(&["a"]));
    a.set_status(500);
    must_be(&proxy, 0, ServerState::Down);
    assert_eq!(bodies(port, 4), set(&["b"]));
    b.set_status(404);
    must_be(&proxy, 1, ServerState::Down);
    assert_eq!(asked(port, "/").0, 503);
    b.set_status(302);
    must_be(&proxy, 1, ServerState::Up);
    assert_eq!(bodies(port, 4), set(&["b"]));
    a.set_status(200);
    must_be(&proxy, 0, ServerState::Up);
    assert_eq!(bodies(port, 4), set(&["a"]));
    assert!(syslog.wait_count(5, Deadline::patient()));
    let lines: Vec<String> = syslog
        .text()
        .iter()
        .map(|line| {
            let (priority, rest) = line.split_once('>').unwrap();
            format!("{priority}> {}", without_duration(rest.split_once("]: ").unwrap().1))
        })
        .collect();
    assert_eq!(
        lines,
        [
            "<129> Server b/a is DOWN, reason: Layer7 wrong status, code: 500, info: \"As set\", check duration: ms. \
             0 active and 1 backup servers left. Running on backup. 0 sessions active, 0 requeued, 0 remaining in queue.",
            "<129> Backup Server b/b is DOWN, reason: Layer7 wrong status, code: 404, info: \"As set\", check duration: ms. \
             0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.",
            "<128> backend b has no server available!",
            "<133> Backup Server b/b is UP, reason: Layer7 check passed, code: 302, check duration: ms. \
             0 active and 1 backup servers online. Running on backup. 0 sessions requeued, 0 total in queue.",
            "<133> Server b/a is UP, reason: Layer7 check passed, code: 200, check duration: ms. \
             1 active and 1 backup servers online. 0 sessions requeued, 0 total in queue.",
        ]
    );
}

#[test]
fn address_and_port_of_the_check_may_be_others() {
    let (a, mut health, port) = (Origin::start("a"), Origin::start("health"), free_tcp());
    let (pa, ph) = (a.port, health.port);
    let proxy = Running::start(
        &format!(
            "{DEFAULTS}listen b\n bind 127.0.0.1:{port}\n server a 127.0.0.1:{pa} check port {ph} inter 50 fall 1 rise 1\n \
             server b 127.0.0.1:{pa} check addr 127.0.0.2 inter 50 fall 1 disabled\n"
        ),
        1,
    );
    assert_eq!(asked(port, "/"), (200, "a".into()));
    health.kill();
    must_be(&proxy, 0, ServerState::Down);
    assert_eq!(asked(port, "/").0, 503, "the server itself would still answer");
    health.revive();
    must_be(&proxy, 0, ServerState::Up);
    assert_eq!(asked(port, "/"), (200, "a".into()));
}

#[test]
fn streams_in_the_queue_of_a_dead_server_go_elsewhere() {
    let (a, b, port) = (Origin::start("a"), Origin::start("b"), free_tcp());
    let (pa, pb) = (a.port, b.port);
    let proxy = Running::start(
        &format!(
            "{DEFAULTS}listen b\n bind 127.0.0.1:{port}\n balance source\n option httpchk GET /health\n \
             default-server check inter 50 fall 2 maxconn 1\n server a 127.0.0.1:{pa}\n server b 127.0.0.1:{pb}\n"
        ),
        2,
    );
    let first = asked(port, "/").1;
    let (chosen, index, other) = if first == "a" { (&a, 0, "b") } else { (&b, 1, "a") };
    let held = std::thread::spawn(move || asked(port, "/hold"));
    wait::must("the server is busy", || chosen.requests() == 2);
    let queued = std::thread::spawn(move || asked(port, "/"));
    let backend = proxy.process.topology.backends[0].clone();
    let server = backend.servers()[index].clone();
    wait::must("one waits", || server.queued.load(std::sync::atomic::Ordering::SeqCst) == 1);
    chosen.set_status(503);
    assert_eq!(queued.join().unwrap(), (200, other.to_owned()));
    let (_, _, text) = proxy.told(0, "is DOWN");
    assert!(text.ends_with("1 active and 0 backup servers left. 1 sessions active, 1 requeued, 0 remaining in queue."), "{text}");
    chosen.release();
    assert_eq!(held.join().unwrap(), (200, first), "what the server has, it finishes");
}

#[test]
fn a_server_in_maintenance_is_not_checked() {
    let (a, b, port) = (Origin::start("a"), Origin::start("b"), free_tcp());
    let (pa, pb) = (a.port, b.port);
    let proxy = Running::start(
        &format!(
            "{DEFAULTS}listen b\n bind 127.0.0.1:{port}\n option httpchk GET /health\n default-server check inter 20\n \
             server a 127.0.0.1:{pa}\n server b 127.0.0.1:{pb} disabled\n"
        ),
        1,
    );
    wait::must("ten intervals have passed", || a.checks() >= 10);
    assert_eq!(b.checks(), 0);
    assert_eq!(proxy.process.topology.backends[0].servers()[1].state(), ServerState::Maintenance);
    assert_eq!(bodies(port, 3), set(&["a"]));
}

#[test]
fn a_proxy_header_stands_before_a_check() {
    let (a, b, port) = (Origin::start("a"), Origin::start("b"), free_tcp());
    let (pa, pb) = (a.port, b.port);
    let _proxy = Running::start(
        &format!(
            "{DEFAULTS}listen b\n bind 127.0.0.1:{port}\n default-server check inter 50\n \
             server a 127.0.0.1:{pa} send-proxy\n server b 127.0.0.1:{pb} send-proxy-v2\n"
        ),
        1,
    );
    wait::must("both were checked", || !a.heads().is_empty() && !b.heads().is_empty());
    let line = String::from_utf8(a.heads()[0].clone()).unwrap();
    assert!(line.starts_with("PROXY TCP4 127.0.0.1 127.0.0.1 ") && line.ends_with(&format!(" {pa}\r\n")), "{line:?}");
    assert_eq!(b.heads()[0], b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", "LOCAL");
}

#[test]
fn servers_beside_a_dispatch_are_counted_as_such() {
    let (mut a, b, port) = (Origin::start("a"), Origin::start("b"), free_tcp());
    a.kill();
    let proxy = Running::start(
        &format!(
            "{DEFAULTS}listen l\n bind 127.0.0.1:{port}\n dispatch 127.0.0.1:{0}\n default-server check inter 100 fall 1\n server a 127.0.0.1:{1}\n server b 127.0.0.1:{0}\n",
            b.port, a.port
        ),
        1,
    );
    let (_, _, text) = proxy.told(0, "Server l/a is DOWN");
    assert!(text.contains("1 active and 0 backup servers left."), "{text}");
    assert_eq!(asked(port, "/"), (200, "b".to_owned()));
}

#[test]
fn names_in_checks_are_spelled_as_in_requests() {
    let seen = |option: &str| {
        let (origin, port) = (Origin::start("a"), free_tcp());
        let config = format!(
            "global\n h1-case-adjust host HOST\n h1-case-adjust connection CONNECTION\n{DEFAULTS}listen b\n bind 127.0.0.1:{port}\n{option}\n option httpchk GET /health HTTP/1.1\\r\\nHost:\\ a\n server a 127.0.0.1:{} check inter 100\n",
            origin.port
        );
        let _proxy = Running::start(&config, 1);
        wait::must("it was checked", || !origin.heads().is_empty());
        String::from_utf8(origin.heads()[0].clone()).unwrap()
    };
    assert_eq!(seen(" option h1-case-adjust-bogus-server"), "GET /health HTTP/1.1\r\nHOST: a\r\nCONNECTION: close\r\n\r\n");
    assert_eq!(seen(" option h1-case-adjust-bogus-client"), "GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
}

#[test]
fn checks_end_with_a_soft_stop_and_leave_nothing() {
    let (a, port) = (Origin::start("a"), free_tcp());
    let pa = a.port;
    // A server that never answers: its check is under way when the stop comes.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ps = silent.local_addr().unwrap().port();
    let proxy = Running::start(
        &format!(
            "global\n max-spread-checks 10\n{DEFAULTS}listen b\n bind 127.0.0.1:{port}\n option httpchk GET /health\n server a 127.0.0.1:{pa} check inter 20\n \
             server s 127.0.0.1:{ps} check inter 60s\n"
        ),
        1,
    );
    let (_asked, _) = silent.accept().unwrap();
    wait::must("checks run", || a.checks() >= 2);
    proxy.process.stop_softly();
    wait::must("only the loop's own task is left", || proxy.census(1) == [(1, 0)]);
}

#[test]
fn a_server_that_does_not_answer_is_down_after_its_time() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (ps, port) = (silent.local_addr().unwrap().port(), free_tcp());
    let begun = Instant::now();
    let proxy = Running::start(
        &format!(
            "{DEFAULTS}listen b\n bind 127.0.0.1:{port}\n option httpchk\n timeout check 150\n server s 127.0.0.1:{ps} check inter 100 fall 2\n"
        ),
        2,
    );
    let (down, _, text) = proxy.told(0, "is DOWN");
    assert!(text.starts_with("Server b/s is DOWN, reason: Layer7 timeout, check duration: "), "{text}");
    // A new server has one failure to go.
    assert!(down - begun >= ms(150), "{:?}", down - begun);
}
