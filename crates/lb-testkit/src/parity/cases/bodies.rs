//! Request and response bodies: lengths, chunks, trailers, close, 100-continue.

use super::super::case::*;
use super::{GET, OK, answer, answer_close, exchange, serve};
use crate::fixture::pattern;

pub(super) fn cases() -> Vec<Case> {
    let mut out = Vec::new();
    out.extend(request_chunked());
    out.extend(response_bodies());
    out.extend(expect_continue());
    out.extend(large());
    out.extend(any_method());
    out
}

fn request_chunked() -> Vec<Case> {
    let mut out = Vec::new();
    let head = "POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n";
    for (name, rest) in [
        ("chunked/one", "\r\n5\r\nhello\r\n0\r\n\r\n"),
        ("chunked/empty", "\r\n0\r\n\r\n"),
        ("chunked/several", "\r\n1\r\nh\r\n4\r\nello\r\n0\r\n\r\n"),
        ("chunked/extension", "\r\n5;name=value\r\nhello\r\n0;last\r\n\r\n"),
        ("chunked/extension-quoted", "\r\n5;n=\"v;w\"\r\nhello\r\n0\r\n\r\n"),
        ("chunked/extension-space", "\r\n5 ; n = v\r\nhello\r\n0\r\n\r\n"),
        ("chunked/hex-case", "\r\na\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"),
        ("chunked/leading-zeros", "\r\n0005\r\nhello\r\n0000\r\n\r\n"),
        ("chunked/trailers", "\r\n5\r\nhello\r\n0\r\nX-T: 1\r\nX-U: 2\r\n\r\n"),
        ("chunked/trailers-announced", "Trailer: X-T\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n"),
        ("chunked/trailers-forbidden", "\r\n5\r\nhello\r\n0\r\nContent-Length: 3\r\nTransfer-Encoding: x\r\nHost: b\r\n\r\n"),
    ] {
        out.push(exchange(name, format!("{head}{rest}"), OK).build());
    }
    out.push(
        exchange("chunked/coding-case", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", OK)
            .build(),
    );
    out.push(
        http("chunked/in-pieces")
            .origin(serve(OK))
            .client(vec![
                send(format!("{head}\r\n")),
                drip("b;ext\r\nhello world\r\n3\r\nabc\r\n0\r\nT: v\r\n\r\n", 1, 1),
                RESP,
                send(GET),
                RESP,
            ])
            .logs(2)
            .build(),
    );
    out.push(exchange("chunked/from-1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", OK).build());
    out.push(
        http("chunked/then-next")
            .origin(serve(OK))
            .client(vec![send(format!("{head}\r\n5\r\nhello\r\n0\r\n\r\n{GET}")), RESP, RESP])
            .logs(2)
            .build(),
    );
    out
}

fn response_bodies() -> Vec<Case> {
    let mut out = Vec::new();
    for (name, response) in [
        ("response/length", OK),
        ("response/length-zero", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("response/chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        ("response/chunked-empty", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("response/chunked-extension", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0;c\r\n\r\n"),
        (
            "response/chunked-trailers",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\nZ: w\r\n\r\n",
        ),
        ("response/chunked-many", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n1\r\nd\r\n0\r\n\r\n"),
        ("response/1.0-length", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        ("response/1.0-keep-alive", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello"),
        ("response/204", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("response/204-with-length", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"),
        ("response/304", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n"),
        ("response/304-with-length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
        ("response/205", "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n"),
        ("response/404", "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"),
        ("response/500", "HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno"),
    ] {
        out.push(exchange(name, GET, response).build());
    }
    for (name, request, response) in [
        ("response/to-eof", GET, "HTTP/1.1 200 OK\r\n\r\nhello until the end"),
        ("response/to-eof-empty", GET, "HTTP/1.1 200 OK\r\n\r\n"),
        ("response/to-eof-1.0", GET, "HTTP/1.0 200 OK\r\n\r\nhello"),
        ("response/to-eof-to-1.0", "GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nhello"),
        ("response/to-eof-close", GET, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"),
        ("response/length-and-close", GET, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"),
        (
            "response/chunked-to-1.0",
            "GET / HTTP/1.0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "response/chunked-to-1.0-keep-alive",
            "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ),
    ] {
        out.push(
            http(name)
                .origin(answer_close(response))
                .client(vec![send(request), if name.contains("keep") || name.contains("length-and") { RESP } else { EOF }])
                .build(),
        );
    }
    for (name, response) in [
        ("head-method/length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("head-method/chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("head-method/no-length", "HTTP/1.1 200 OK\r\nX: y\r\n\r\n"),
        ("head-method/404", "HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\n"),
        ("head-method/204", "HTTP/1.1 204 No Content\r\n\r\n"),
    ] {
        out.push(
            http(name)
                .origin(vec![REQ, send(response), REQ, send(OK)])
                .client(vec![send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"), RESP_HEAD, send(GET), RESP])
                .logs(2)
                .build(),
        );
    }
    out.push(
        http("response/in-pieces")
            .origin(vec![REQ, drip("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n5;e\r\nhello\r\n0\r\nT: u\r\n\r\n", 1, 1)])
            .client(vec![send(GET), RESP])
            .build(),
    );
    out
}

fn expect_continue() -> Vec<Case> {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    let go = "HTTP/1.1 100 Continue\r\n\r\n";
    vec![
        http("expect/continue")
            .origin(vec![until("\r\n\r\n"), send(go), until("hello"), send(OK)])
            .client(vec![send(head), RESP, send("hello"), RESP])
            .build(),
        http("expect/final-at-once")
            .origin(vec![until("\r\n\r\n"), send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")])
            .client(vec![send(head), RESP])
            .build(),
        http("expect/client-does-not-wait")
            .origin(vec![until("hello"), send(go), send(OK)])
            .client(vec![send(head), send("hello"), RESP, RESP])
            .build(),
        http("expect/no-100-from-server")
            .origin(vec![until("hello"), send(OK)])
            .client(vec![send(head), pause(50), send("hello"), RESP])
            .build(),
        http("expect/100-and-final-together")
            .origin(vec![until("hello"), send(format!("{go}{OK}"))])
            .client(vec![send(head), send("hello"), RESP, RESP])
            .build(),
        http("expect/buffered")
            .be("option http-buffer-request")
            .origin(vec![until("hello"), send(OK)])
            .client(vec![send(head), RESP, send("hello"), RESP])
            .build(),
        http("expect/1.0")
            .origin(vec![until("hello"), send(OK)])
            .client(vec![send("POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello"), EOF])
            .build(),
        http("interim/103")
            .origin(answer(format!("HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n{OK}")))
            .client(vec![send(GET), RESP, RESP])
            .build(),
        http("interim/several")
            .origin(answer(format!("{go}HTTP/1.1 102 Processing\r\n\r\n{go}{OK}")))
            .client(vec![send(GET), RESP, RESP, RESP, RESP])
            .build(),
        http("interim/to-1.0")
            .origin(answer(format!("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n{OK}")))
            .client(vec![send("GET / HTTP/1.0\r\n\r\n"), EOF])
            .build(),
        http("interim/with-length")
            .origin(answer(format!("HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n{OK}")))
            .client(vec![send(GET), RESP, RESP])
            .build(),
        http("interim/then-closed").origin(answer_close("HTTP/1.1 103 Early Hints\r\n\r\n")).client(vec![send(GET), RESP, RESP]).build(),
    ]
}

fn large() -> Vec<Case> {
    const BIG: usize = 300_000;
    let body = pattern(1, BIG);
    let mut response = format!("HTTP/1.1 200 OK\r\nContent-Length: {BIG}\r\n\r\n").into_bytes();
    response.extend(&body);
    let mut request = format!("POST /big HTTP/1.1\r\nHost: a\r\nContent-Length: {BIG}\r\n\r\n").into_bytes();
    request.extend(&body);
    let to_eof = [b"HTTP/1.1 200 OK\r\n\r\n", body.as_slice()].concat();
    vec![
        exchange("large/download", GET, &response).build(),
        exchange("large/upload", &request, OK).build(),
        exchange("large/both", &request, &response).build(),
        http("large/to-eof-1.0").origin(answer_close(&to_eof)).client(vec![send("GET / HTTP/1.0\r\n\r\n"), EOF]).build(),
        http("large/two-uploads-pipelined")
            .origin(serve(OK))
            .client(vec![send([request.as_slice(), request.as_slice()].concat()), RESP, RESP])
            .logs(2)
            .build(),
        http("large/slow-download").origin(vec![REQ, drip(&response, 50_000, 20)]).client(vec![send(GET), RESP]).build(),
    ]
}

/// Bodies that HTTP/1.0 servers may not look for.
fn any_method() -> Vec<Case> {
    let mut out = Vec::new();
    for (name, allowed, head) in [
        ("any-method/get", "any-method/get-allowed", "GET / HTTP/1.0\r\nContent-Length: 5\r\n"),
        ("any-method/head", "any-method/head-allowed", "HEAD / HTTP/1.0\r\nContent-Length: 5\r\n"),
        ("any-method/delete", "any-method/delete-allowed", "DELETE / HTTP/1.0\r\nContent-Length: 5\r\n"),
        ("any-method/post", "any-method/post-allowed", "POST / HTTP/1.0\r\nContent-Length: 5\r\n"),
        ("any-method/get-1.1", "any-method/get-1.1-allowed", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n"),
    ] {
        let case = |name| super::to_close(name, format!("{head}\r\nhello"));
        out.push(case(name).build());
        out.push(case(allowed).global("h1-accept-payload-with-any-method").build());
    }
    out.push(super::to_close("any-method/no-length", "GET / HTTP/1.0\r\nContent-Length: 0\r\n\r\n").build());
    out.push(super::to_close("any-method/chunked", "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").build());
    out
}
