//! Connections per second: a burst up to the limit, then one after the other; who waits is not refused.
#![allow(clippy::disallowed_methods)] // This is about time.

mod common;

use common::{OK, PREAMBLE, io, start};
use lb_testkit::http::Connection;
use std::time::{Duration, Instant};

const LIMIT: usize = 5;

/// When, from the first one on, the answers came to `count` clients that all ask at once.
fn times(global: &str, frontend: &str, count: usize) -> Vec<Duration> {
    let origin = common::serve(OK);
    let config = PREAMBLE.replace("    maxconn 500", &format!("    maxconn 500\n    nbthread 2\n    {global}"))
        + &format!(
            "frontend fe\n    {frontend}\n    bind 127.0.0.1:{{fe}}\n    default_backend be\nbackend be\n    server s1 127.0.0.1:{{o1}}\n"
        );
    let lb = start(&config, &[("o1", origin.port())]);
    let begin = Instant::now();
    let mut all: Vec<Duration> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..count)
            .map(|_| {
                scope.spawn(|| {
                    let answer = io(io(Connection::open(lb.addr())).exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
                    assert_eq!(answer.status, 200);
                    begin.elapsed()
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    all.sort();
    all
}

/// What is accepted within a second is at most the limit, and all are served in the end.
#[track_caller]
fn assert_limited(all: &[Duration]) {
    // The last of the second lot waits for the third second: 2 * LIMIT + 1 clients need two seconds.
    assert!(all[LIMIT] >= Duration::from_millis(900), "{all:?}");
    assert!(all[2 * LIMIT] >= Duration::from_millis(1900), "{all:?}");
}

#[test]
fn rate_limit_sessions() {
    assert_limited(&times("", "rate-limit sessions 5", 2 * LIMIT + 1));
}

#[test]
fn maxconnrate() {
    assert_limited(&times("maxconnrate 5", "", 2 * LIMIT + 1));
}

#[test]
fn the_lowest_limit_counts() {
    assert_limited(&times("maxconnrate 500\n    maxsessrate 5", "rate-limit sessions 600", 2 * LIMIT + 1));
}
