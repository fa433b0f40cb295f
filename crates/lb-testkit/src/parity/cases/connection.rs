//! Kept and closed connections on both sides, pipelining, Connection tokens, Upgrade, CONNECT.

use super::super::case::*;
use super::{GET, OK, answer, answer_close, exchange, serve};
use crate::script::Step;

pub(super) fn cases() -> Vec<Case> {
    let mut out = Vec::new();
    out.extend(keep_alive());
    out.extend(modes());
    out.extend(tokens());
    out.extend(client_ends());
    out.extend(upgrade());
    out.extend(connect());
    out
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn keep_alive() -> Vec<Case> {
    let close = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
    vec![
        http("keep/three")
            .origin(serve(OK))
            .client(vec![send(get("/1")), RESP, send(get("/2")), RESP, send(get("/3")), RESP])
            .logs(3)
            .build(),
        http("keep/third-closes")
            .origin(serve(OK))
            .client(vec![
                send(get("/1")),
                RESP,
                send(get("/2")),
                RESP,
                send("GET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
                RESP,
                EOF,
            ])
            .logs(3)
            .build(),
        http("keep/pipelined-two").origin(serve(OK)).client(vec![send(get("/1") + &get("/2")), RESP, RESP]).logs(2).build(),
        http("keep/pipelined-mixed")
            .origin(serve(OK))
            .client(vec![
                send(get("/1") + "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" + &get("/3") + &get("/4")),
                RESP,
                RESP,
                RESP,
                RESP,
            ])
            .logs(4)
            .build(),
        http("keep/pipelined-with-crlf-between")
            .origin(serve(OK))
            .client(vec![send(get("/1") + "\r\n" + &get("/2")), RESP, RESP])
            .logs(2)
            .build(),
        http("keep/pipelined-bad-second")
            .origin(serve(OK))
            .client(vec![send(get("/1") + "BAD REQUEST LINE HERE\r\n\r\n"), RESP, EOF])
            .logs(2)
            .build(),
        http("keep/pipelined-after-close")
            .origin(serve(OK))
            .client(vec![send("GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned() + &get("/2")), RESP, EOF])
            .build(),
        http("keep/server-says-close")
            .origin(answer_close(close))
            .client(vec![send(get("/1")), RESP, send(get("/2")), RESP])
            .logs(2)
            .build(),
        http("keep/server-says-close-but-stays")
            .origin(serve(close))
            .client(vec![send(get("/1")), RESP, send(get("/2")), RESP])
            .logs(2)
            .build(),
        http("keep/server-closes-silently")
            .origin(answer_close(OK))
            .client(vec![send(get("/1")), RESP, pause(80), send(get("/2")), RESP])
            .logs(2)
            .build(),
        http("keep/second-client-first-request")
            .origin(serve(OK))
            .client(vec![send(GET), RESP, CLOSE])
            .client(vec![send(GET), RESP])
            .logs(2)
            .build(),
        http("keep/second-client-reuses-on-second-request")
            .origin(serve(OK))
            .client(vec![send(GET), RESP, CLOSE])
            .client(vec![send(get("/1")), RESP, send(get("/2")), RESP])
            .logs(3)
            .build(),
        http("keep/leftover-after-response")
            .origin(serve("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloEXTRA"))
            .client(vec![send(get("/1")), RESP, pause(50), send(get("/2")), RESP])
            .logs(2)
            .build(),
        http("keep/server-data-before-request")
            .origins(vec![
                vec![REQ, send(OK), Step::Wait("idle"), send("HTTP/1.1 200 FORGED\r\nContent-Length: 0\r\n\r\n"), Step::Signal("forged")],
                serve(OK),
            ])
            .client(vec![send(get("/1")), RESP, Step::Signal("idle"), Step::Wait("forged"), pause(50), send(get("/2")), RESP])
            .logs(2)
            .build(),
    ]
}

fn modes() -> Vec<Case> {
    let mut out = Vec::new();
    let two = || vec![send(get("/1")), RESP, send(get("/2")), RESP];
    for (name, line) in [
        ("mode/http-keep-alive", "option http-keep-alive"),
        ("mode/http-server-close", "option http-server-close"),
        ("mode/reuse-never", "http-reuse never"),
        ("mode/reuse-safe", "http-reuse safe"),
        ("mode/reuse-aggressive", "http-reuse aggressive"),
        ("mode/reuse-always", "http-reuse always"),
        ("mode/prefer-last-server", "option prefer-last-server"),
    ] {
        out.push(http(name).be(line).origin(serve(OK)).client(two()).client(two()).logs(4).build());
    }
    out.push(http("mode/httpclose").defaults("option httpclose").origin(serve(OK)).client(vec![send(GET), RESP, EOF]).build());
    out.push(http("mode/httpclose-frontend-only").fe("option httpclose").origin(serve(OK)).client(vec![send(GET), RESP, EOF]).build());
    out.push(http("mode/httpclose-backend-only").be("option httpclose").origin(serve(OK)).client(vec![send(GET), RESP]).build());
    out.push(
        http("mode/server-close-pretend-keep-alive")
            .be("option http-server-close")
            .be("option http-pretend-keepalive")
            .origin(serve(OK))
            .client(two())
            .logs(2)
            .build(),
    );
    out.push(
        http("mode/httpclose-1.0-keep-alive")
            .defaults("option httpclose")
            .origin(serve(OK))
            .client(vec![send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), RESP, EOF])
            .build(),
    );
    out.push(http("mode/max-reuse").srv("max-reuse 1").origin(serve(OK)).client(two()).client(two()).logs(4).build());
    out.push(http("mode/pool-max-conn-0").srv("pool-max-conn 0").origin(serve(OK)).client(two()).client(two()).logs(4).build());
    out.push(http("mode/no-http-keep-alive").defaults("no option http-keep-alive").origin(serve(OK)).client(two()).logs(2).build());
    out.push(http("mode/http-no-delay").defaults("option http-no-delay").origin(serve(OK)).client(two()).logs(2).build());
    out.push(http("mode/independent-streams").defaults("option independent-streams").origin(serve(OK)).client(two()).logs(2).build());
    out
}

fn tokens() -> Vec<Case> {
    let mut out = Vec::new();
    for (name, value) in [
        ("token/keep-alive", "keep-alive"),
        ("token/mixed-case", "Keep-Alive"),
        ("token/named-header", "X-Hop"),
        ("token/keep-alive-and-named", "keep-alive, X-Hop"),
        ("token/spaces-and-commas", " , X-Hop ,, "),
        ("token/unknown", "foo"),
        ("token/te", "TE"),
        ("token/empty", ""),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {value}\r\nX-Hop: 1\r\n\r\n");
        out.push(exchange(name, request, OK).build());
    }
    for (name, value) in [
        ("token/close", "close"),
        ("token/close-case", "CLOSE"),
        ("token/close-and-named", "X-Hop, close"),
        ("token/close-and-keep-alive", "close, keep-alive"),
        ("token/keep-alive-and-close", "keep-alive, close"),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {value}\r\nX-Hop: 1\r\n\r\n");
        out.push(http(name).origin(answer(OK)).client(vec![send(request), RESP, EOF]).build());
    }
    out.push(
        http("token/two-connection-headers")
            .origin(answer(OK))
            .client(vec![send("GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Hop\r\nX-Hop: 1\r\nConnection: close\r\n\r\n"), RESP, EOF])
            .build(),
    );
    out.push(exchange("token/proxy-connection", "GET / HTTP/1.1\r\nHost: a\r\nProxy-Connection: close\r\n\r\n", OK).build());
    for (name, response) in [
        (
            "token/response-keep-alive",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\nhello",
        ),
        ("token/response-named", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\nhello"),
        ("token/response-close-and-named", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\n\r\nhello"),
        ("token/response-unknown", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: foo\r\n\r\nhello"),
    ] {
        out.push(exchange(name, GET, response).build());
    }
    out.push(
        exchange(
            "token/1.0-response-keep-alive-to-1.0",
            "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello",
        )
        .build(),
    );
    out
}

fn client_ends() -> Vec<Case> {
    vec![
        http("client/half-close-after-request").origin(serve(OK)).client(vec![send(GET), FIN, RESP, EOF]).build(),
        http("client/half-close-while-waiting")
            .origin(vec![REQ, Step::Wait("closed"), pause(30), send(OK)])
            .client(vec![send(GET), pause(50), FIN, Step::Signal("closed"), EOF])
            .build(),
        http("client/half-close-in-head").origin(serve(OK)).client(vec![send("GET / HTTP/1.1\r\nHost:"), FIN, EOF]).build(),
        http("client/half-close-in-body")
            .origin(vec![until("abc"), EOF])
            .client(vec![send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc"), pause(50), FIN, EOF])
            .build(),
        http("client/half-close-in-chunk")
            .origin(vec![until("abc"), EOF])
            .client(vec![send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc"), pause(50), FIN, EOF])
            .build(),
        http("client/nothing-then-close").origin(serve(OK)).client(vec![pause(20), FIN, EOF]).build(),
        http("client/nothing-then-reset").origin(serve(OK)).client(vec![pause(20), RST]).build(),
        http("client/one-byte-then-close").origin(serve(OK)).client(vec![send("G"), pause(20), FIN, EOF]).build(),
        http("client/empty-line-then-close").origin(serve(OK)).client(vec![send("\r\n"), pause(20), FIN, EOF]).build(),
        http("client/keep-alive-then-close").origin(serve(OK)).client(vec![send(GET), RESP, FIN, EOF]).build(),
        http("client/keep-alive-then-partial")
            .origin(serve(OK))
            .client(vec![send(GET), RESP, send("GET /par"), pause(30), FIN, EOF])
            .logs(2)
            .build(),
        http("client/reset-while-waiting")
            .be("timeout server 400ms")
            .origin(vec![REQ, Step::Signal("got"), EOF])
            .client(vec![send(GET), Step::Wait("got"), RST])
            .build(),
        http("client/reset-in-body")
            .origin(vec![until("abc"), Step::Signal("got"), EOF])
            .client(vec![send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc"), Step::Wait("got"), RST])
            .build(),
        http("client/reset-in-response")
            .be("timeout server 400ms")
            .origin(vec![REQ, send("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nabc"), EOF])
            .client(vec![send(GET), until("abc"), RST])
            .build(),
        http("client/close-in-response")
            .be("timeout server 400ms")
            .origin(vec![REQ, send("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nabc"), EOF])
            .client(vec![send(GET), until("abc"), CLOSE])
            .build(),
        http("client/reset-in-response-that-goes-on")
            .origin(vec![
                REQ,
                send("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nabc"),
                Step::Wait("reset"),
                pause(20),
                send("defghijk"),
                pause(20),
                send("lmnop"),
                EOF,
            ])
            .client(vec![send(GET), until("abc"), RST])
            .client(vec![Step::Signal("reset")])
            .logs(2)
            .build(),
        http("client/abortonclose-backend-only")
            .be("option abortonclose")
            .be("timeout server 400ms")
            .origin(vec![REQ, Step::Signal("got"), EOF])
            .client(vec![send(GET), Step::Wait("got"), FIN, EOF])
            .build(),
        http("client/abortonclose-reset")
            .defaults("option abortonclose")
            .be("timeout server 400ms")
            .origin(vec![REQ, Step::Signal("got"), EOF])
            .client(vec![send(GET), Step::Wait("got"), RST])
            .build(),
        http("client/abortonclose")
            .defaults("option abortonclose")
            .be("timeout server 400ms")
            .origin(vec![REQ, Step::Signal("got"), EOF])
            .client(vec![send(GET), Step::Wait("got"), FIN, EOF])
            .build(),
        http("client/abortonclose-off-waits")
            .be("no option abortonclose")
            .origin(vec![REQ, Step::Signal("got"), pause(80), send(OK)])
            .client(vec![send(GET), Step::Wait("got"), FIN, EOF])
            .build(),
        http("client/reset-in-head").origin(serve(OK)).client(vec![send("GET / HT"), pause(30), RST]).build(),
    ]
}

fn upgrade() -> Vec<Case> {
    let request = "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    let other = "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: keep-alive, Upgrade\r\n\r\n";
    let other_ok = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n";
    vec![
        http("upgrade/websocket")
            .origin(vec![REQ, send(switching), until("ping"), send("pong"), until("bye"), CLOSE])
            .client(vec![send(request), RESP, send("ping"), until("pong"), send("bye"), EOF])
            .build(),
        http("upgrade/client-closes")
            .be("timeout server 400ms")
            .be("timeout tunnel 600ms")
            .origin(vec![REQ, send(switching), until("ping"), send("pong"), EOF])
            .client(vec![send(request), RESP, send("ping"), until("pong"), FIN, EOF])
            .build(),
        http("upgrade/data-with-101")
            .origin(vec![REQ, send(format!("{switching}early")), until("ping"), CLOSE])
            .client(vec![send(request), until("early"), send("ping"), EOF])
            .build(),
        http("upgrade/data-with-request")
            .origin(vec![REQ, send(switching), until("early"), send("seen"), CLOSE])
            .client(vec![send(format!("{request}early")), EOF])
            .build(),
        http("upgrade/refused").origin(serve(OK)).client(vec![send(request), RESP, send(GET), RESP]).logs(2).build(),
        http("upgrade/other-protocol")
            .origin(vec![REQ, send(other_ok), until("ping"), send("pong"), CLOSE])
            .client(vec![send(other), RESP, send("ping"), EOF])
            .build(),
        http("upgrade/without-connection-token")
            .origin(serve(OK))
            .client(vec![send("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\n\r\n"), RESP, send(GET), RESP])
            .logs(2)
            .build(),
        http("upgrade/token-without-header")
            .origin(serve(OK))
            .client(vec![send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\r\n"), RESP, send(GET), RESP])
            .logs(2)
            .build(),
        http("upgrade/101-not-asked-for")
            .origin(vec![REQ, send(format!("{other_ok}tunnel?")), pause(50), CLOSE])
            .client(vec![send(GET), RESP])
            .build(),
        http("upgrade/101-without-upgrade-header")
            .origin(vec![REQ, send("HTTP/1.1 101 Switching Protocols\r\n\r\ndata"), pause(30), CLOSE])
            .client(vec![send(other), RESP])
            .build(),
        http("upgrade/websocket-without-key")
            .origin(serve(OK))
            .client(vec![send("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"), EOF])
            .build(),
        http("upgrade/websocket-without-accept")
            .origin(vec![REQ, send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"), EOF])
            .client(vec![send(request), RESP])
            .build(),
        http("upgrade/h2c")
            .origin(serve(OK))
            .client(vec![
                send(
                    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
                ),
                RESP,
                send(GET),
                RESP,
            ])
            .logs(2)
            .build(),
        http("upgrade/post-with-body")
            .origin(vec![REQ, send(other_ok), EOF])
            .client(vec![send("POST / HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: Upgrade\r\nContent-Length: 3\r\n\r\nabc"), RESP])
            .build(),
        http("upgrade/101-before-body-ended")
            .origin(vec![until("abc"), send(other_ok), pause(100), send("x"), EOF])
            .client(vec![
                send("POST / HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: Upgrade\r\nContent-Length: 10\r\n\r\nabc"),
                until("101"),
                pause(30),
                send("defghijGET /smuggled HTTP/1.1\r\n\r\n"),
                EOF,
            ])
            .loose("server1.0.end", "haproxy may keep the refused connection for a moment")
            .build(),
        http("upgrade/1.0-request")
            .origin(serve(OK))
            .client(vec![send("GET / HTTP/1.0\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"), EOF])
            .build(),
        http("upgrade/server-close-mode")
            .defaults("option http-server-close")
            .origin(vec![REQ, send(other_ok), until("ping"), send("pong"), CLOSE])
            .client(vec![send(other), RESP, send("ping"), EOF])
            .build(),
        http("upgrade/httpclose-mode")
            .defaults("option httpclose")
            .origin(vec![REQ, send(other_ok), until("ping"), send("pong"), CLOSE])
            .client(vec![send(other), RESP, send("ping"), EOF])
            .build(),
    ]
}

fn connect() -> Vec<Case> {
    let request = "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n";
    vec![
        http("connect/tunnel")
            .origin(vec![REQ, send("HTTP/1.1 200 Connection established\r\n\r\n"), until("ping"), send("pong"), CLOSE])
            .client(vec![send(request), until("\r\n\r\n"), send("ping"), EOF])
            .build(),
        http("connect/client-closes")
            .be("timeout server 400ms")
            .be("timeout tunnel 600ms")
            .origin(vec![REQ, send("HTTP/1.1 200 OK\r\n\r\n"), until("ping"), send("pong"), EOF])
            .client(vec![send(request), until("\r\n\r\n"), send("ping"), until("pong"), FIN, EOF])
            .build(),
        http("connect/refused")
            .origin(serve("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"))
            .client(vec![send(request), RESP, send(GET), RESP])
            .logs(2)
            .build(),
        http("connect/200-with-length")
            .origin(vec![REQ, send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef"), until("ping"), CLOSE])
            .client(vec![send(request), until("abc"), send("ping"), EOF])
            .build(),
        http("connect/200-chunked")
            .origin(vec![REQ, send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"), until("ping"), CLOSE])
            .client(vec![send(request), until("abc"), send("ping"), EOF])
            .build(),
        http("connect/with-body")
            .origin(vec![until("\r\n\r\n"), send("HTTP/1.1 200 OK\r\n\r\n"), until("abc"), send("seen"), CLOSE])
            .client(vec![send("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nContent-Length: 3\r\n\r\nabc"), EOF])
            .build(),
        http("connect/no-port").origin(serve(OK)).client(vec![send("CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n"), EOF]).build(),
        http("connect/path").origin(serve(OK)).client(vec![send("CONNECT /x HTTP/1.1\r\nHost: a\r\n\r\n"), EOF]).build(),
        http("connect/host-differs").origin(serve(OK)).client(vec![send("CONNECT a:443 HTTP/1.1\r\nHost: b:443\r\n\r\n"), EOF]).build(),
        http("connect/early-data")
            .origin(vec![until("\r\n\r\n"), pause(30), send("HTTP/1.1 200 OK\r\n\r\n"), until("early"), CLOSE])
            .client(vec![send(format!("{request}early")), EOF])
            .build(),
    ]
}
