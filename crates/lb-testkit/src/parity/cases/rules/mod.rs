//! Rules: every action in every list that it may stand in, in all kinds of sections; what comes of a connection after each kind of
//! reply; what the log says of all that.

mod after;
mod edits;
mod priorities;
mod redirects;
mod replies;
mod responses;
mod routing;
mod streams;
mod tcp;

use super::super::case::*;
use super::{GET, OK, serve};

pub(super) fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    all.extend(edits::cases());
    all.extend(replies::cases());
    all.extend(redirects::cases());
    all.extend(responses::cases());
    all.extend(after::cases());
    all.extend(streams::cases());
    all.extend(priorities::cases());
    all.extend(routing::cases());
    all.extend(tcp::cases());
    all
}

/// A request in few words.
fn request(method: &str, target: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// A frontend with these lines, and an origin that serves.
fn front(name: &'static str, lines: &[&str]) -> Builder {
    lines.iter().fold(http(name), |case, line| case.fe(line)).origin(serve(OK))
}

/// A backend with these lines.
fn back(name: &'static str, lines: &[&str]) -> Builder {
    lines.iter().fold(http(name), |case, line| case.be(line)).origin(serve(OK))
}

/// A listen with these lines.
fn listen(name: &'static str, lines: &[&str]) -> Builder {
    let lines: String = lines.iter().map(|line| format!("    {line}\n")).collect();
    let text = format!("    mode http\n    option httplog\nlisten l\n    bind 127.0.0.1:{{fe}}\n{lines}    server s1 127.0.0.1:{{o1}}\n");
    http(name).config(&text).origin(serve(OK))
}

/// Named defaults with these lines, for a frontend: haproxy refuses to let other sections share its rules.
fn defaults(name: &'static str, lines: &[&str]) -> Builder {
    let lines: String = lines.iter().map(|line| format!("    {line}\n")).collect();
    let text = format!(
        "defaults named\n    mode http\n    log global\n    option httplog\n    timeout connect 3s\n    timeout client 3s\n    timeout server 3s\n{lines}\
         frontend fe from named\n    bind 127.0.0.1:{{fe}}\n    default_backend be\n\
         defaults other\n    mode http\n    timeout connect 3s\n    timeout server 3s\nbackend be from other\n    server s1 127.0.0.1:{{o1}}\n"
    );
    http(name).config(&text).origin(serve(OK))
}

/// One request after the other on one connection, each with its answer.
fn asks(case: Builder, requests: &[&str]) -> Case {
    let steps = requests.iter().flat_map(|request| {
        let answer = if request.starts_with("HEAD ") { RESP_HEAD } else { RESP };
        [send(request), answer]
    });
    case.client(steps.collect()).logs(requests.len()).build()
}

/// A connection for each request, read until the proxy closes.
fn to_the_end(mut case: Builder, requests: &[&str]) -> Builder {
    for request in requests {
        case = case.client(vec![send(request), EOF]);
    }
    case.logs(requests.len())
}

/// Every way to be answered by a rule that all but OPTIONS meet: on a connection that lives on, to HEAD, to 1.0, with a body that is there,
/// with one that is not, with `close`, with 1.0 and `keep-alive`.
fn all_ways(case: Builder, logs: usize) -> Case {
    let next = "OPTIONS /next HTTP/1.1\r\nHost: a\r\n\r\n";
    // Without counts of connections: whether the one before is closed yet is a matter of milliseconds.
    case.fe("log-format \"%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %{+Q}r\"")
        .client(vec![send("GET /p/q?r=s HTTP/1.1\r\nHost: a\r\n\r\n"), RESP, send(next), RESP])
        .client(vec![send("HEAD /p HTTP/1.1\r\nHost: a\r\n\r\n"), RESP_HEAD, send(next), RESP])
        .client(vec![send("GET /p HTTP/1.0\r\n\r\n"), EOF])
        .client(vec![send("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"), RESP, send(next), RESP])
        .client(vec![send("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\nhello"), RESP, EOF])
        .client(vec![send("GET /p HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), EOF])
        .client(vec![send("GET /p HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), RESP, send("OPTIONS / HTTP/1.0\r\n\r\n"), EOF])
        .logs(logs)
        .build()
}

/// The condition of [`all_ways`].
const UNLESS: &str = "unless { method OPTIONS }";
