//! The order in which servers are chosen.

use super::super::case::*;
use super::{GET, OK, serve};
use crate::script::Step;

fn named(n: usize) -> Vec<Step> {
    serve(format!("HTTP/1.1 200 OK\r\nX-Server: {n}\r\nContent-Length: 0\r\n\r\n"))
}

/// Three servers with options, `count` requests on connections of their own.
fn order(name: &'static str, balance: &str, options: [&str; 3], count: usize) -> Builder {
    let mut servers = String::new();
    for (i, option) in options.iter().enumerate() {
        servers += &format!("    server s{n} 127.0.0.1:{{o{n}}} {option}\n", n = i + 1);
    }
    let mut builder = http(name)
        .config(&format!(
            "    mode http\n    option httplog\nfrontend fe\n    bind 127.0.0.1:{{fe}}\n    default_backend be\nbackend be\n    {balance}\n\
             \x20   http-reuse never\n{servers}"
        ))
        .origin(named(1))
        .origin(named(2))
        .origin(named(3))
        .logs(count);
    for n in 1..=count {
        builder = builder.client(vec![send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), EOF, Step::Logs(n)]);
    }
    builder
}

/// `first`: the second server serves while the first one has no room.
fn full_first() -> Builder {
    let held =
        vec![REQ, Step::Signal("held"), Step::Wait("free"), send("HTTP/1.1 200 OK\r\nX-Server: 1\r\nContent-Length: 0\r\n\r\n"), EOF];
    http("balance/first-full")
        .be("balance first")
        .be("http-reuse never")
        .srv("maxconn 1")
        .origins(vec![held, named(1)])
        .origin(named(2))
        .beside(vec![send("GET /hold HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), EOF])
        .client(vec![Step::Wait("held"), send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), EOF, Step::Signal("free")])
        .client(vec![Step::Logs(2), send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), EOF])
        .logs(3)
}

/// What of a body counts with `check_post`: five bodies that name a user, and four requests that do not.
fn bodies() -> Builder {
    let post = |body: &str| format!("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let chunked =
        |chunks: &str| format!("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n");
    let requests = [
        post("a=1&uid=42&b=2"),
        post("uid=7\r\n"),
        post("uid=&a"),
        chunked("9\r\nuid=42&b=\r\n"),
        post("xuid=1;uid=2"),
        post(""),
        post("uid=42").replacen("POST", "PUT", 1),
        post("uid=42").replacen("POST / ", "POST /?uid=8 ", 1),
    ];
    let mut builder = http("balance/check-post").be("balance url_param uid check_post").be("http-reuse never").logs(requests.len());
    for n in 1..=3 {
        builder = builder.origin(named(n));
    }
    for (n, request) in (1..).zip(requests) {
        builder = builder.client(vec![send(request), EOF, Step::Logs(n)]);
    }
    builder
}

/// The first choice refuses connections: another server is asked at once.
fn refused(name: &'static str, balance: &str) -> Builder {
    http(name)
        .be(&format!("balance {balance}"))
        .be("option redispatch")
        .server(Server::Refused)
        .origin(named(2))
        .client(vec![send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), EOF])
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        order("balance/default", "", ["", "", ""], 6).build(),
        order("balance/roundrobin", "balance roundrobin", ["", "", ""], 7).build(),
        order("balance/roundrobin-weights", "balance roundrobin", ["weight 3", "weight 1", "weight 2"], 12).build(),
        order("balance/roundrobin-large-weights", "balance roundrobin", ["weight 256", "weight 128", "weight 1"], 8).build(),
        order("balance/roundrobin-weight-0", "balance roundrobin", ["weight 0", "", ""], 5).build(),
        order("balance/roundrobin-disabled", "balance roundrobin", ["", "disabled", ""], 5).build(),
        order("balance/roundrobin-backup", "balance roundrobin", ["", "", "backup"], 5).build(),
        order("balance/static-rr", "balance static-rr", ["", "", ""], 7).build(),
        order("balance/static-rr-weights", "balance static-rr", ["weight 3", "weight 1", "weight 2"], 12).build(),
        order("balance/static-rr-disabled", "balance static-rr", ["", "disabled", ""], 5).build(),
        order("balance/first", "balance first", ["maxconn 1", "", ""], 4).build(),
        order("balance/first-by-id", "balance first", ["id 7", "id 3", "id 5"], 3).build(),
        order("balance/first-ignores-weight", "balance first", ["weight 1", "weight 200", ""], 3).build(),
        order("balance/first-disabled", "balance first", ["disabled", "", ""], 3).build(),
        order("balance/random-one-server", "balance random(3)", ["", "weight 0", "disabled"], 3).build(),
        full_first().build(),
        bodies().build(),
        refused("balance/static-rr-refused", "static-rr").build(),
        refused("balance/leastconn-refused", "leastconn").build(),
        refused("balance/first-refused", "first").build(),
        order("balance/leastconn", "balance leastconn", ["", "", ""], 6).build(),
        order("balance/leastconn-weights", "balance leastconn", ["weight 3", "weight 1", "weight 2"], 8).build(),
        order("balance/source", "balance source", ["", "", ""], 4).build(),
        order("balance/source-weights", "balance source", ["weight 5", "weight 7", "weight 3"], 4).build(),
        order("balance/source-disabled", "balance source", ["", "", "disabled"], 3).build(),
        http("balance/roundrobin-on-one-connection")
            .be("balance roundrobin")
            .origin(named(1))
            .origin(named(2))
            .client(vec![send(GET), RESP, send(GET), RESP, send(GET), RESP])
            .logs(3)
            .build(),
        http("balance/prefer-last-server-on-one-connection")
            .be("balance roundrobin")
            .be("option prefer-last-server")
            .origin(named(1))
            .origin(named(2))
            .client(vec![send(GET), RESP, send(GET), RESP, send(GET), RESP])
            .logs(3)
            .build(),
        http("balance/prefer-last-server-own-connections")
            .be("balance roundrobin")
            .be("option prefer-last-server")
            .be("http-reuse never")
            .origin(named(1))
            .origin(named(2))
            .client(vec![send(GET), RESP, send(GET), RESP, send(GET), RESP])
            .logs(3)
            .build(),
        http("balance/leastconn-busy-server")
            .be("balance leastconn")
            .origins(vec![vec![REQ, Step::Signal("held"), Step::Wait("free"), send(OK)], named(1)])
            .origin(named(2))
            .beside(vec![send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"), RESP])
            .client(vec![Step::Wait("held"), send(GET), RESP])
            .client(vec![send(GET), RESP])
            .client(vec![send(GET), RESP, Step::Signal("free")])
            .logs(4)
            .build(),
        tcp("balance/tcp-roundrobin")
            .be("balance roundrobin")
            .origin(vec![send("1"), CLOSE])
            .origin(vec![send("2"), CLOSE])
            .client(vec![EOF, Step::Logs(1)])
            .client(vec![EOF, Step::Logs(2)])
            .client(vec![EOF, Step::Logs(3)])
            .logs(3)
            .build(),
    ]
}
