//! The founding configurations in front of nginx: a server dies under load, and no request fails once that is seen.

mod common;

use common::{io, nginx, nginx_on, parse_wrk, start, tool, wrk};
use lb_testkit::http::get;
use lb_testkit::wait::Deadline;
use std::process::{Command, Stdio};

/// t3-basic.cfg less its stats line, addresses moved to loopback, states of servers to a log of their own, too.
const T3_BASIC: &str = "global
   log 127.0.0.1:{log} local3 info
   log 127.0.0.1:{log2} local3 notice
   daemon
defaults
   log global
   mode http
   option httplog
   option dontlognull
   timeout connect 5000
   timeout client 50000
   timeout server 50000
frontend http_front
   bind 127.0.0.1:{fe}
   default_backend http_back
backend http_back
   balance roundrobin
   server linux-node1 127.0.0.1:{o1} check
   server linux-node2 127.0.0.1:{o2} check
";

/// t2-haproxy.cfg less its stats and cookie words, addresses moved to loopback, states of servers to a log of their own, too.
const T2: &str = "global
    log         127.0.0.1:{log} local2
    log         127.0.0.1:{log2} local2 notice
    pidfile     {dir}/haproxy.pid
    maxconn     4000
    daemon
defaults
    mode                    http
    log                     global
    option                  httplog
    option                  dontlognull
    option http-server-close
    option forwardfor       except 127.0.0.0/8
    option                  redispatch
    retries                 3
    timeout http-request    10s
    timeout queue           1m
    timeout connect         10s
    timeout client          1m
    timeout server          1m
    timeout http-keep-alive 10s
    timeout check           10s
    maxconn                 3000
    timeout connect 5000
    timeout client 50000
    timeout server 50000
frontend http-in
    bind 127.0.0.1:{fe}
    mode http
    option httplog
    log global
    default_backend htmlpool
backend htmlpool
    balance roundrobin
    server web1 127.0.0.1:{o1} check inter 2000 rise 2 fall 3
    server web2 127.0.0.1:{o2} check inter 2000 rise 2 fall 3
";

/// Kills the first server under load, waits for the log to say that it is down, and loads again; then brings it back.
fn kill_one(config: &str, first: &str) {
    let (dying, port) = nginx("one");
    let (_other, other_port) = nginx("two");
    let mut lb = start(config, &[("o1", port), ("o2", other_port)]);
    let answers: Vec<Vec<u8>> = (0..4).map(|_| io(get(lb.addr(), "/")).body).collect();
    assert!(answers.contains(&b"one".to_vec()) && answers.contains(&b"two".to_vec()), "both serve");

    let load = Command::new(tool("wrk"))
        .args(["-t1", "-c16", "-d12s", "--timeout", "120s"])
        .arg(format!("http://{}/", lb.addr()))
        .stdout(Stdio::piped())
        .spawn()
        .expect("wrk starts");
    assert!(lb.log.wait_count(500, Deadline::patient()), "the load runs");
    drop(dying);
    let line = lb.log2.wait_for(&format!("{first} is DOWN"), Deadline::patient()).expect("the death is seen");
    assert!(line.contains("1 active and 0 backup servers left"), "{line}");
    let during = wrk(lb.addr(), 16, 2);
    assert!(during.requests > 10, "{}", during.text);
    assert_eq!((during.socket_errors, during.bad_status), (0, 0), "after the detection:\n{}", during.text);
    let report = load.wait_with_output().expect("wrk ends");
    let whole = parse_wrk(&String::from_utf8_lossy(&report.stdout));
    // What was being answered when the server died is cut off: at most one per connection.
    assert!(whole.socket_errors <= 16, "{}", whole.text);
    assert!(lb.alive());

    let _again = nginx_on(port, "one again").expect("nginx comes back");
    lb.log2.wait_for(&format!("{first} is UP"), Deadline::patient()).expect("the return is seen");
    let answers: Vec<Vec<u8>> = (0..4).map(|_| io(get(lb.addr(), "/")).body).collect();
    assert!(answers.contains(&b"one again".to_vec()), "it serves again");
}

#[test]
fn t3_basic() {
    kill_one(T3_BASIC, "http_back/linux-node1");
}

#[test]
fn t2_haproxy() {
    kill_one(T2, "htmlpool/web1");
}
