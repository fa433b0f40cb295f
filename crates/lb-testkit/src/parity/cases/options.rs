//! Options that change when a stream counts as silent, and what is logged of it and when.

use super::super::case::*;
use super::{GET, OK, answer, exchange, serve};
use crate::script::Step;

pub(super) fn cases() -> Vec<Case> {
    let mut out = Vec::new();
    out.extend(independent_streams());
    out.extend(logs());
    out
}

/// What is written to a side says that it is alive, unless `option independent-streams` says otherwise.
fn independent_streams() -> Vec<Case> {
    let talks = || vec![drip("abcdefghijkl", 1, 100), CLOSE];
    let mut out = Vec::new();
    for (name, line) in [("independent-streams/off", ""), ("independent-streams/on", "option independent-streams")] {
        out.push(tcp(name).fe("timeout client 450ms").fe(line).origin(talks()).client(vec![EOF]).build());
    }
    for (name, line) in [("independent-streams/up-off", ""), ("independent-streams/up-on", "option independent-streams")] {
        out.push(
            tcp(name).be("timeout server 450ms").be(line).origin(vec![EOF]).client(vec![drip("abcdefghijkl", 1, 100), FIN, EOF]).build(),
        );
    }
    // An upload that takes longer than `timeout server`.
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n";
    for (name, line) in [("independent-streams/http-off", ""), ("independent-streams/http-on", "option independent-streams")] {
        out.push(
            http(name)
                .be("timeout server 450ms")
                .be(line)
                .origin(vec![REQ, send(OK)])
                .client(vec![send(post), drip("abcdefghijkl", 1, 100), RESP])
                .loose("server1", "how much of the body had gone when the timeout struck")
                .build(),
        );
    }
    out
}

fn logs() -> Vec<Case> {
    vec![
        tcp("logasap/tcp")
            .fe("option logasap")
            .origin(vec![until("x"), send("12345"), Step::Wait("over"), CLOSE])
            .client(vec![send("x"), until("12345"), Step::Logs(1), Step::Signal("over"), EOF])
            .build(),
        http("logasap/http")
            .fe("option logasap")
            .origin(vec![REQ, send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), Step::Wait("over"), send("hello")])
            .client(vec![send(GET), until("\r\n\r\n"), Step::Logs(1), Step::Signal("over"), until("hello")])
            .build(),
        exchange("logasap/body-with-head", GET, OK).fe("option logasap").build(),
        exchange("logasap/body-in-chunks", GET, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
            .fe("option logasap")
            .build(),
        exchange("dontlog-normal/normal", GET, OK).fe("option dontlog-normal").logs(0).build(),
        exchange("dontlog-normal/500", GET, "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n").fe("option dontlog-normal").build(),
        exchange("dontlog-normal/404", GET, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n").fe("option dontlog-normal").logs(0).build(),
        http("dontlog-normal/retried")
            .fe("option dontlog-normal")
            .be("option redispatch")
            .be("timeout connect 200ms")
            .server(Server::Refused)
            .origin(answer(OK))
            .client(vec![send(GET), RESP])
            .build(),
        exchange("log-separate-errors/normal", GET, OK).fe("option log-separate-errors").build(),
        exchange("log-separate-errors/500", GET, "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n").fe("option log-separate-errors").build(),
        http("log-separate-errors/bad-request")
            .fe("option log-separate-errors")
            .origin(serve(OK))
            .client(vec![send("nonsense\r\n\r\n"), EOF])
            .build(),
        exchange("log-tag/frontend", GET, OK).fe("log-tag web").build(),
    ]
}
