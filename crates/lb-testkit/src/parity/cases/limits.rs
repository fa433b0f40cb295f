//! Words that set a limit or a pace: sizes of heads, the queue that a kept-alive client accepts, uploads that stop, endless 1xx.

use super::super::case::*;
use super::{GET, OK, exchange, serve, to_close};
use crate::script::Step;

/// A request whose head has `size` bytes on the wire.
fn head_of(size: usize) -> String {
    let (start, end) = ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: ", "\r\n\r\n");
    format!("{start}{}{end}", "v".repeat(size - start.len() - end.len()))
}

pub(super) fn cases() -> Vec<Case> {
    let mut out = Vec::new();
    // 8,192 less 2,048; haproxy counts its own form of the head, so the two are well apart from the limit.
    for (name, size) in [("maxrewrite/below", 5_600), ("maxrewrite/above", 6_400)] {
        out.push(to_close(name, head_of(size)).global("    tune.bufsize 8192\n").global("    tune.maxrewrite 2048\n").build());
    }
    for (name, size) in [("maxrewrite/response-below", 5_600), ("maxrewrite/response-above", 6_400)] {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: {}\r\n\r\nok", "v".repeat(size - 50));
        out.push(exchange(name, GET, answer).global("    tune.bufsize 8192\n").global("    tune.maxrewrite 2048\n").build());
    }
    out.extend(keep_alive_queue());
    out.extend(uploads_that_stop());
    out.extend(interims());
    out
}

/// Two clients have connections of their own to `s1`, whose one place a third one takes. Then the second asks again, then the first:
/// to wait there, or to go to `s2`?
fn keep_alive_queue() -> Vec<Case> {
    let get = |path: &str| send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
    let mut out = Vec::new();
    for (name, line) in [
        ("keep-alive-queue/no-limit", ""),
        ("keep-alive-queue/minus-1", "max-keep-alive-queue -1"),
        ("keep-alive-queue/0", "max-keep-alive-queue 0"),
        ("keep-alive-queue/1", "max-keep-alive-queue 1"),
        ("keep-alive-queue/2", "max-keep-alive-queue 2"),
        ("keep-alive-queue/3", "max-keep-alive-queue 3"),
    ] {
        out.push(
            http(name)
                .config(&format!(
                    "    mode http\n    option httplog\nfrontend fe\n    bind 127.0.0.1:{{fe}}\n    default_backend be\nbackend be\n    balance roundrobin\n\
                     \x20   http-reuse never\n    option prefer-last-server\n    {line}\n    timeout queue 600ms\n\
                     \x20   server s1 127.0.0.1:{{o1}} maxconn 1 weight 200\n    server s2 127.0.0.1:{{o2}} weight 1\n"
                ))
                .origins(vec![serve(OK), serve(OK), vec![REQ, Step::Signal("held"), Step::Wait("free"), send(OK)]])
                .origin(serve("HTTP/1.1 200 Two\r\nContent-Length: 3\r\n\r\ntwo"))
                .beside(vec![get("/a"), RESP, Step::Signal("a"), Step::Wait("b again"), pause(150), get("/a2"), RESP])
                .beside(vec![Step::Wait("a"), get("/b"), RESP, Step::Signal("b"), Step::Wait("held"), get("/b2"), Step::Signal("b again"), RESP])
                .client(vec![Step::Wait("b"), get("/held"), Step::Logs(4), Step::Signal("free"), RESP])
                .logs(5)
                .build(),
        );
    }
    out
}

fn uploads_that_stop() -> Vec<Case> {
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc";
    let stops = vec![send(post), EOF];
    vec![
        http("upload/stops-client-shorter").fe("timeout client 300ms").be("timeout server 900ms").origin(vec![until("abc"), EOF]).client(stops.clone()).build(),
        http("upload/stops-server-shorter").fe("timeout client 900ms").be("timeout server 300ms").origin(vec![until("abc"), EOF]).client(stops.clone()).build(),
        http("upload/stops-no-server-timeout")
            .config(
                "    mode http\n    option httplog\n    timeout server 0\nfrontend fe\n    bind 127.0.0.1:{fe}\n    timeout client 300ms\n    default_backend be\nbackend be\n\
                 \x20   server s1 127.0.0.1:{o1}\n",
            )
            .origin(vec![until("abc"), EOF])
            .client(vec![send(post), quiet(2000)])
            .build(),
        http("upload/stops-while-queued")
            .fe("timeout client 300ms")
            .be("timeout queue 900ms")
            .srv("maxconn 1")
            .origins(vec![vec![REQ, Step::Signal("held"), Step::Wait("free"), send(OK)], serve(OK)])
            .beside(vec![send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"), RESP])
            .client(vec![Step::Wait("held"), send(post), EOF, Step::Signal("free")])
            .logs(2)
            .build(),
        http("upload/stops-after-answer-began")
            .fe("timeout client 300ms")
            .be("timeout server 900ms")
            .origin(vec![until("abc"), send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234"), EOF])
            .client(stops)
            .build(),
        http("upload/stops-buffered").fe("option http-buffer-request").defaults("timeout http-request 300ms").origin(serve(OK)).client(vec![send(post), EOF]).build(),
    ]
}

fn interims() -> Vec<Case> {
    let hints = "HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n".repeat(8);
    let size = hints.len() / 8;
    vec![
        // Each comes in time, all together take longer than `timeout server`.
        http("interim/many-restart-timeout-server")
            .be("timeout server 400ms")
            .origin(vec![REQ, drip(&hints, size, 150), send(OK)])
            .client(vec![send(GET), RESP, RESP, RESP, RESP, RESP, RESP, RESP, RESP, RESP])
            .build(),
        http("interim/then-silence")
            .be("timeout server 400ms")
            .origin(vec![REQ, drip(&hints, size, 150), EOF])
            .client(vec![send(GET), RESP, RESP, RESP, RESP, RESP, RESP, RESP, RESP, RESP])
            .build(),
        // The head of an answer that drips: is it each byte that counts, or the head?
        http("head-drip/response")
            .be("timeout server 400ms")
            .origin(vec![REQ, drip("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 5, 150), EOF])
            .client(vec![send(GET), RESP])
            .build(),
    ]
}
