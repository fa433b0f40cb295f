//! Connects that fail, servers that break, retries, redispatch, retry-on, backup servers.

use super::super::case::*;
use super::{GET, OK, answer, serve};
use crate::script::Step;

const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";

/// A server whose first connection breaks as `first` says, further ones serve.
fn flaky(name: &'static str, retry_on: &str, first: Vec<Step>) -> Builder {
    http(name).be(retry_on).origins(vec![first, serve(OK)]).client(vec![send(GET), RESP])
}

pub(super) fn cases() -> Vec<Case> {
    let mut out = vec![
        http("retry/0").defaults("retries 0").server(Server::Refused).client(vec![send(GET), RESP]).build(),
        http("retry/1").server(Server::Refused).client(vec![send(GET), RESP]).build(),
        http("retry/pause-is-connect-timeout")
            .defaults("retries 2")
            .be("timeout connect 200ms")
            .server(Server::Refused)
            .client(vec![send(GET), RESP])
            .build(),
        http("retry/redispatch").be("option redispatch").server(Server::Refused).origin(serve(OK)).client(vec![send(GET), RESP]).build(),
        http("retry/redispatch-0-retries")
            .defaults("retries 0")
            .be("option redispatch")
            .server(Server::Refused)
            .origin(serve(OK))
            .client(vec![send(GET), RESP])
            .build(),
        http("retry/redispatch-1")
            .defaults("retries 3")
            .be("option redispatch 1")
            .server(Server::Refused)
            .origin(serve(OK))
            .client(vec![send(GET), RESP])
            .build(),
        http("retry/redispatch-2")
            .defaults("retries 3")
            .be("option redispatch 2")
            .be("timeout connect 200ms")
            .server(Server::Refused)
            .origin(serve(OK))
            .client(vec![send(GET), RESP])
            .build(),
        http("retry/redispatch-minus-2")
            .defaults("retries 3")
            .be("option redispatch -2")
            .be("timeout connect 200ms")
            .server(Server::Refused)
            .origin(serve(OK))
            .client(vec![send(GET), RESP])
            .build(),
        http("retry/no-redispatch-sticks")
            .be("timeout connect 200ms")
            .server(Server::Refused)
            .origin(serve(OK))
            .client(vec![send(GET), RESP])
            .client(vec![send(GET), RESP])
            .logs(2)
            .build(),
        http("retry/all-refused")
            .defaults("retries 3")
            .be("option redispatch 1")
            .be("timeout connect 100ms")
            .server(Server::Refused)
            .server(Server::Refused)
            .client(vec![send(GET), RESP])
            .build(),
        http("retry/connect-timeout-redispatch")
            .be("option redispatch")
            .be("timeout connect 200ms")
            .server(Server::BlackHole)
            .origin(serve(OK))
            .client(vec![send(GET), RESP])
            .build(),
        http("retry/post-is-kept")
            .be("option redispatch 1")
            .server(Server::Refused)
            .origin(serve(OK))
            .client(vec![send(POST), RESP])
            .build(),
    ];
    let status = |code: u16| format!("HTTP/1.1 {code} X\r\nContent-Length: 2\r\n\r\nno");
    for (name, line, first) in [
        ("retry-on/default-close", "retry-on conn-failure", vec![REQ, CLOSE]),
        ("retry-on/empty-response", "retry-on empty-response", vec![REQ, CLOSE]),
        ("retry-on/empty-response-reset", "retry-on empty-response", vec![REQ, RST]),
        ("retry-on/junk", "retry-on junk-response", vec![REQ, send("garbage\r\n\r\n"), CLOSE]),
        ("retry-on/junk-not-empty", "retry-on junk-response", vec![REQ, CLOSE]),
        ("retry-on/all-retryable", "retry-on all-retryable-errors", vec![REQ, CLOSE]),
        ("retry-on/all-retryable-junk", "retry-on all-retryable-errors", vec![REQ, send("garbage\r\n\r\n"), CLOSE]),
        ("retry-on/none", "retry-on none", vec![REQ, CLOSE]),
        ("retry-on/partial-head", "retry-on all-retryable-errors", vec![REQ, send("HTTP/1.1 200 OK\r\nX"), pause(20), CLOSE]),
        ("retry-on/500", "retry-on 500", vec![REQ, send(status(500))]),
        ("retry-on/503", "retry-on 503", vec![REQ, send(status(503))]),
        ("retry-on/404", "retry-on 404", vec![REQ, send(status(404))]),
        ("retry-on/several", "retry-on 500 502 503 empty-response", vec![REQ, send(status(502))]),
        ("retry-on/other-status", "retry-on 500", vec![REQ, send(status(503))]),
        ("retry-on/425", "retry-on 425", vec![REQ, send(status(425))]),
        ("retry-on/401", "retry-on 401", vec![REQ, send(status(401))]),
        ("retry-on/403", "retry-on 403", vec![REQ, send(status(403))]),
        ("retry-on/408", "retry-on 408", vec![REQ, send(status(408))]),
        ("retry-on/501", "retry-on 501", vec![REQ, send(status(501))]),
        ("retry-on/504", "retry-on 504", vec![REQ, send(status(504))]),
    ] {
        out.push(flaky(name, line, first).build());
    }
    out.extend([
        flaky("retry-on/response-timeout", "retry-on response-timeout", vec![REQ, EOF]).be("timeout server 300ms").build(),
        flaky("retry-on/response-timeout-not-named", "retry-on empty-response", vec![REQ, EOF]).be("timeout server 300ms").build(),
        flaky("retry-on/response-timeout-redispatch", "retry-on response-timeout", vec![REQ, EOF])
            .be("timeout server 300ms")
            .be("option redispatch 1")
            .origin(serve("HTTP/1.1 200 Two\r\nContent-Length: 3\r\n\r\ntwo"))
            .build(),
        http("retry-on/exhausted").be("retry-on empty-response").origin(vec![REQ, CLOSE]).client(vec![send(GET), RESP]).build(),
        http("retry-on/exhausted-503")
            .be("retry-on 503")
            .origin(answer(status(503)))
            .client(vec![send(GET), RESP])
            .build(),
        http("retry-on/post-with-body")
            .be("retry-on empty-response")
            .origins(vec![vec![REQ, CLOSE], serve(OK)])
            .client(vec![send(POST), RESP])
            .build(),
        http("retry-on/body-comes-later")
            .be("retry-on empty-response")
            .origins(vec![vec![until("abc"), CLOSE], serve(OK)])
            .client(vec![send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"), pause(40), send("abc"), RESP])
            .build(),
        http("retry-on/body-too-large-for-the-buffer")
            .be("retry-on empty-response")
            .origins(vec![vec![REQ, CLOSE], serve(OK)])
            .client(vec![send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n{}", "x".repeat(50_000))), RESP])
            .build(),
        http("retry-on/two-on-one-connection")
            .be("retry-on empty-response")
            .origins(vec![vec![REQ, send(OK), REQ, CLOSE], serve(OK)])
            .client(vec![send(GET), RESP, send(GET), RESP])
            .logs(2)
            .build(),
        // A reused connection that the server closes under the request: safe to repeat for the first request of a client only by rule.
        http("retry-on/reused-connection-dies")
            .origins(vec![vec![REQ, send(OK), REQ, CLOSE], serve(OK)])
            .client(vec![send(GET), RESP, send(GET), RESP])
            .build(),
        http("retry-on/reused-connection-dies-reset")
            .origins(vec![vec![REQ, send(OK), REQ, RST], serve(OK)])
            .client(vec![send(GET), RESP, send(GET), RESP])
            .build(),
        http("backup/used-when-none-else")
            .config(
                "    mode http\n    option httplog\nfrontend fe\n    bind 127.0.0.1:{fe}\n    default_backend be\nbackend be\n\
                 \x20   server s1 127.0.0.1:{o1} disabled\n    server s2 127.0.0.1:{o2} backup\n    server s3 127.0.0.1:{o3} backup\n",
            )
            .origin(serve(OK))
            .origin(serve("HTTP/1.1 200 Two\r\nContent-Length: 3\r\n\r\ntwo"))
            .origin(serve("HTTP/1.1 200 Three\r\nContent-Length: 5\r\n\r\nthree"))
            .client(vec![send(GET), RESP])
            .client(vec![send(GET), RESP])
            .logs(2)
            .build(),
        http("backup/allbackups")
            .config(
                "    mode http\n    option httplog\nfrontend fe\n    bind 127.0.0.1:{fe}\n    default_backend be\nbackend be\n    option allbackups\n\
                 \x20   server s1 127.0.0.1:{o1} disabled\n    server s2 127.0.0.1:{o2} backup\n    server s3 127.0.0.1:{o3} backup\n",
            )
            .origin(serve(OK))
            .origin(serve("HTTP/1.1 200 Two\r\nContent-Length: 3\r\n\r\ntwo"))
            .origin(serve("HTTP/1.1 200 Three\r\nContent-Length: 5\r\n\r\nthree"))
            .client(vec![send(GET), RESP])
            .client(vec![send(GET), RESP])
            .client(vec![send(GET), RESP])
            .logs(3)
            .build(),
        http("backup/not-used-while-one-is-up")
            .config(
                "    mode http\n    option httplog\nfrontend fe\n    bind 127.0.0.1:{fe}\n    default_backend be\nbackend be\n\
                 \x20   server s1 127.0.0.1:{o1}\n    server s2 127.0.0.1:{o2} backup\n",
            )
            .origin(serve(OK))
            .origin(serve(OK))
            .client(vec![send(GET), RESP])
            .client(vec![send(GET), RESP])
            .logs(2)
            .build(),
        http("server/unix-socket")
            .server(Server::Unix(vec![serve(OK)]))
            .client(vec![send(GET), RESP])
            .build(),
        http("server/unix-socket-missing")
            .config(
                "    mode http\n    option httplog\nfrontend fe\n    bind 127.0.0.1:{fe}\n    default_backend be\nbackend be\n\
                 \x20   timeout connect 200ms\n    server s1 unix@{dir}/nowhere\n",
            )
            .client(vec![send(GET), RESP])
            .build(),
        http("server/listen-section")
            .config("listen both\n    mode http\n    option httplog\n    bind 127.0.0.1:{fe}\n    server s1 127.0.0.1:{o1}\n")
            .origin(serve(OK))
            .client(vec![send(GET), RESP])
            .build(),
        http("server/tcp-front-http-back")
            .config(
                "    option tcplog\nfrontend fe\n    bind 127.0.0.1:{fe}\n    mode tcp\n    default_backend be\nbackend be\n    mode http\n\
                 \x20   server s1 127.0.0.1:{o1}\n",
            )
            .origin(serve(OK))
            .client(vec![send(GET), RESP])
            .build(),
        http("server/tcp-front-http-back-bad-request")
            .config(
                "    option tcplog\nfrontend fe\n    bind 127.0.0.1:{fe}\n    mode tcp\n    default_backend be\nbackend be\n    mode http\n\
                 \x20   server s1 127.0.0.1:{o1}\n",
            )
            .origin(serve(OK))
            .client(vec![send("nonsense\r\n\r\n"), EOF])
            .build(),
    ]);
    out
}
