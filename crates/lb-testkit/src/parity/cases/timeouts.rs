//! Every timeout of an HTTP stream, and what it leaves in the log.

use super::super::case::*;
use super::{GET, OK, answer, serve};
use crate::script::Step;

pub(super) fn cases() -> Vec<Case> {
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc";
    vec![
        http("timeout/request-nothing").fe("timeout http-request 300ms").origin(serve(OK)).client(vec![EOF]).build(),
        http("timeout/request-partial")
            .fe("timeout http-request 300ms")
            .origin(serve(OK))
            .client(vec![send("GET / HTTP/1.1\r\nHost"), EOF])
            .build(),
        http("timeout/request-drip")
            .fe("timeout http-request 400ms")
            .origin(serve(OK))
            .client(vec![drip("GET /a-long-path-that-drips HTTP/1.1\r\nHost: a\r\n\r\n", 1, 100), EOF])
            .build(),
        http("timeout/request-in-defaults").defaults("timeout http-request 300ms").origin(serve(OK)).client(vec![EOF]).build(),
        http("timeout/request-by-client-timeout").fe("timeout client 300ms").origin(serve(OK)).client(vec![EOF]).build(),
        http("timeout/request-partial-by-client-timeout")
            .fe("timeout client 300ms")
            .origin(serve(OK))
            .client(vec![send("GET /"), EOF])
            .build(),
        http("timeout/request-dontlognull")
            .fe("timeout http-request 300ms")
            .fe("option dontlognull")
            .origin(serve(OK))
            .client(vec![EOF])
            .logs(0)
            .build(),
        http("timeout/request-ignore-probes")
            .fe("timeout http-request 300ms")
            .fe("option http-ignore-probes")
            .origin(serve(OK))
            .client(vec![EOF])
            .logs(0)
            .build(),
        http("timeout/request-partial-ignore-probes")
            .fe("timeout http-request 300ms")
            .fe("option http-ignore-probes")
            .origin(serve(OK))
            .client(vec![send("GET /"), EOF])
            .build(),
        http("timeout/request-errorfile")
            .fe("timeout http-request 300ms")
            .fe("errorfile 408 /dev/null")
            .origin(serve(OK))
            .client(vec![send("GET /"), EOF])
            .build(),
        http("timeout/keep-alive").fe("timeout http-keep-alive 300ms").origin(serve(OK)).client(vec![send(GET), RESP, EOF]).build(),
        http("timeout/keep-alive-falls-back-to-request")
            .fe("timeout http-request 300ms")
            .origin(serve(OK))
            .client(vec![send(GET), RESP, EOF])
            .build(),
        http("timeout/keep-alive-falls-back-to-client")
            .fe("timeout client 300ms")
            .origin(serve(OK))
            .client(vec![send(GET), RESP, EOF])
            .build(),
        http("timeout/keep-alive-second-partial")
            .fe("timeout http-keep-alive 1s")
            .fe("timeout http-request 300ms")
            .origin(serve(OK))
            .client(vec![send(GET), RESP, send("GET /2"), EOF])
            .logs(2)
            .build(),
        http("timeout/keep-alive-empty-line-then-nothing")
            .fe("timeout http-keep-alive 300ms")
            .fe("timeout http-request 500ms")
            .origin(serve(OK))
            .client(vec![send(GET), RESP, send("\r\n"), EOF])
            .logs(2)
            .build(),
        http("timeout/keep-alive-used-in-time")
            .fe("timeout http-keep-alive 2s")
            .fe("timeout http-request 200ms")
            .origin(serve(OK))
            .client(vec![send(GET), RESP, pause(400), send(GET), RESP])
            .logs(2)
            .build(),
        http("timeout/server-504").be("timeout server 300ms").origin(vec![REQ, EOF]).client(vec![send(GET), RESP]).build(),
        http("timeout/server-504-1.0")
            .be("timeout server 300ms")
            .origin(vec![REQ, EOF])
            .client(vec![send("GET / HTTP/1.0\r\n\r\n"), EOF])
            .build(),
        http("timeout/server-504-partial-head")
            .be("timeout server 300ms")
            .origin(vec![REQ, send("HTTP/1.1 200 OK\r\nX:"), EOF])
            .client(vec![send(GET), RESP])
            .build(),
        http("timeout/server-504-errorfile")
            .be("timeout server 300ms")
            .be("errorfile 504 {dir}/504.http")
            .file("504.http", "HTTP/1.0 504 Late\r\nContent-Length: 5\r\n\r\nlate\n")
            .origin(vec![REQ, EOF])
            .client(vec![send(GET), RESP])
            .build(),
        http("timeout/server-504-post")
            .be("timeout server 300ms")
            .origin(vec![REQ, EOF])
            .client(vec![send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"), RESP])
            .build(),
        http("timeout/server-after-interim")
            .be("timeout server 300ms")
            .origin(vec![REQ, send("HTTP/1.1 103 Early Hints\r\n\r\n"), EOF])
            .client(vec![send(GET), RESP, RESP])
            .build(),
        http("timeout/server-in-body")
            .be("timeout server 300ms")
            .origin(vec![REQ, send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), EOF])
            .client(vec![send(GET), EOF])
            .build(),
        http("timeout/server-in-chunk")
            .be("timeout server 300ms")
            .origin(vec![REQ, send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nabc"), EOF])
            .client(vec![send(GET), EOF])
            .build(),
        http("timeout/server-drip-is-fine")
            .be("timeout server 300ms")
            .origin(vec![REQ, drip("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 12, 120)])
            .client(vec![send(GET), RESP])
            .build(),
        http("timeout/client-in-body").fe("timeout client 300ms").origin(vec![until("abc"), EOF]).client(vec![send(post), EOF]).build(),
        http("timeout/client-in-chunk")
            .fe("timeout client 300ms")
            .origin(vec![until("abc"), EOF])
            .client(vec![send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\na\r\nabc"), EOF])
            .build(),
        http("timeout/client-body-drip-is-fine")
            .fe("timeout client 300ms")
            .origin(serve(OK))
            .client(vec![send(post), drip("defghij", 2, 120), RESP])
            .build(),
        http("timeout/buffer-request")
            .defaults("timeout http-request 300ms")
            .fe("option http-buffer-request")
            .origin(serve(OK))
            .client(vec![send(post), EOF])
            .build(),
        http("timeout/buffer-request-in-time")
            .fe("option http-buffer-request")
            .origin(serve(OK))
            .client(vec![send(post), pause(50), send("defghij"), RESP])
            .build(),
        http("timeout/buffer-request-chunked")
            .fe("option http-buffer-request")
            .origin(serve(OK))
            .client(vec![
                send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
                pause(50),
                send("3\r\ndef\r\n0\r\n\r\n"),
                RESP,
            ])
            .build(),
        http("timeout/buffer-request-larger-than-buffer")
            .fe("option http-buffer-request")
            .origin(serve(OK))
            .client(vec![
                send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n{}", "a".repeat(20_000))),
                pause(100),
                send("a".repeat(20_000)),
                RESP,
            ])
            .build(),
        http("timeout/buffer-request-client-closes")
            .fe("option http-buffer-request")
            .origin(serve(OK))
            .client(vec![send(post), pause(30), FIN, EOF])
            .build(),
        http("timeout/buffer-request-backend")
            .be("option http-buffer-request")
            .origin(vec![until("abcdefghij"), send(OK)])
            .client(vec![send(post), pause(50), send("defghij"), RESP])
            .build(),
        http("timeout/check-post")
            .defaults("timeout http-request 300ms")
            .be("balance url_param uid check_post")
            .origin(serve(OK))
            .client(vec![send(post), EOF])
            .build(),
        http("timeout/check-post-in-time")
            .be("balance url_param uid check_post")
            .origin(vec![until("abcdefghij"), send(OK)])
            .client(vec![send(post), pause(50), send("defghij"), RESP])
            .build(),
        http("timeout/check-post-client-closes")
            .be("balance url_param uid check_post")
            .origin(serve(OK))
            .client(vec![send(post), pause(30), FIN, EOF])
            .build(),
        http("timeout/connect-503")
            .defaults("retries 0")
            .be("timeout connect 300ms")
            .server(Server::BlackHole)
            .client(vec![send(GET), RESP])
            .build(),
        http("timeout/connect-503-one-retry").be("timeout connect 200ms").server(Server::BlackHole).client(vec![send(GET), RESP]).build(),
        http("timeout/tunnel")
            .be("timeout tunnel 300ms")
            .origin(vec![REQ, send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"), EOF])
            .client(vec![send("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"), RESP, EOF])
            .build(),
        http("timeout/tunnel-by-server-timeout")
            .be("timeout server 300ms")
            .origin(vec![REQ, send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"), EOF])
            .client(vec![send("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"), RESP, EOF])
            .build(),
        http("timeout/tunnel-client-fin")
            .fe("timeout client-fin 250ms")
            .be("timeout tunnel 2s")
            .origin(vec![
                REQ,
                send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"),
                until("bye"),
                EOF,
                pause(1200),
            ])
            .client(vec![send("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"), RESP, send("bye"), FIN, EOF])
            .build(),
        http("timeout/client-does-not-read")
            .fe("timeout client 400ms")
            .origin(answer([b"HTTP/1.1 200 OK\r\nContent-Length: 30000000\r\n\r\n".to_vec(), vec![b'x'; 30_000_000]].concat()))
            .client(vec![send(GET), Step::Logs(1)])
            .loose("client0", "how much fits the sockets' buffers is the kernel's choice")
            .loose("log0.text", "the byte count follows the sockets' buffers")
            .build(),
        http("timeout/server-does-not-read")
            .be("timeout server 400ms")
            .origin(vec![until("\r\n\r\n"), Step::Wait("over")])
            .client(vec![
                send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30000000\r\n\r\n"),
                send(vec![b'x'; 30_000_000]),
                EOF,
                Step::Signal("over"),
            ])
            .loose("server1", "how much fits the sockets' buffers is the kernel's choice")
            .loose("client0", "haproxy sends a 504 in one run and nothing in the next")
            .loose("log0.text", "haproxy logs sH with the 504, sD without")
            .build(),
    ]
}
