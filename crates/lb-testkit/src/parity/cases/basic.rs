//! Methods, versions, targets, the shape of the request head.

use super::super::case::*;
use super::{GET, OK, exchange, serve, to_close};

pub(super) fn cases() -> Vec<Case> {
    let mut out = Vec::new();
    out.extend(methods());
    out.extend(versions());
    out.extend(targets());
    out.extend(heads());
    out
}

fn methods() -> Vec<Case> {
    let mut out = Vec::new();
    for (name, request) in [
        ("method/get", GET),
        ("method/delete", "DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("method/options", "OPTIONS /x HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("method/options-star", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("method/trace", "TRACE /x HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("method/unknown", "FROBNICATE /x HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("method/lower-case", "get /x HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("method/odd-token", "A!#$%&'*+-.^_`|~9 /x HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("method/post-no-length", "POST /x HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("method/post-zero", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
        ("method/post", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"),
        ("method/put", "PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"),
        ("method/patch", "PATCH /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"),
        ("method/get-with-body", "GET /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"),
        ("method/delete-with-body", "DELETE /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"),
    ] {
        out.push(exchange(name, request, OK).build());
    }
    out.push(
        http("method/head")
            .origin(vec![REQ, send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")])
            .client(vec![send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"), RESP_HEAD])
            .build(),
    );
    out.push(
        http("method/head-then-get")
            .origin(vec![REQ, send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), REQ, send(OK)])
            .client(vec![send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"), RESP_HEAD, send(GET), RESP])
            .logs(2)
            .build(),
    );
    out
}

fn versions() -> Vec<Case> {
    let mut out = Vec::new();
    for (name, request) in [
        ("version/1.0", "GET / HTTP/1.0\r\n\r\n"),
        ("version/1.0-host", "GET / HTTP/1.0\r\nHost: a\r\n\r\n"),
        ("version/1.1-close", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
        ("version/0.9", "GET /\r\n\r\n"),
        ("version/0.9-line-only", "GET /\r\n"),
        ("version/missing-digit", "GET / HTTP/1\r\n\r\n"),
        ("version/two-digits", "GET / HTTP/1.10\r\n\r\n"),
        ("version/lower-case", "GET / http/1.1\r\nHost: a\r\n\r\n"),
        ("version/2.0", "GET / HTTP/2.0\r\nHost: a\r\nConnection: close\r\n\r\n"),
        ("version/junk", "GET / FTP/1.1\r\nHost: a\r\n\r\n"),
        ("version/letters", "GET / HTTP/a.b\r\nHost: a\r\n\r\n"),
        ("version/trailing-space", "GET / HTTP/1.1 \r\nHost: a\r\nConnection: close\r\n\r\n"),
    ] {
        out.push(to_close(name, request).build());
    }
    out.push(to_close("version/h2-preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").logs(0).build());
    out.push(to_close("version/1.2", "GET / HTTP/1.2\r\nHost: a\r\nConnection: close\r\n\r\n").build());
    out.push(exchange("version/1.0-keep-alive", "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", OK).build());
    out.push(
        http("version/1.0-keep-alive-twice")
            .origin(serve(OK))
            .client(vec![send("GET /1 HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), RESP, send("GET /2 HTTP/1.0\r\n\r\n"), RESP, EOF])
            .logs(2)
            .build(),
    );
    out
}

fn targets() -> Vec<Case> {
    let mut out = Vec::new();
    for (name, request) in [
        ("target/query", "GET /a?b=c&d=%20e HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("target/absolute", "GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("target/absolute-upper-scheme", "GET HTTP://a/x HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("target/absolute-no-path", "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("target/absolute-port", "GET http://a:8080/x HTTP/1.1\r\nHost: a:8080\r\n\r\n"),
        ("target/absolute-default-port", "GET http://a:80/x HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("target/host-default-port", "GET / HTTP/1.1\r\nHost: a:80\r\n\r\n"),
        ("target/double-slash", "GET //x//y HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("target/dots", "GET /a/../b/./c HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("target/percent-nul", "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("target/quote", "GET /\"'<>\\^`{|} HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("target/star-get", "GET * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
    ] {
        out.push(exchange(name, request, OK).build());
    }
    out.push(exchange("target/high-bytes", b"GET /\xc3\xa4\xff HTTP/1.1\r\nHost: a\r\n\r\n", OK).build());
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(7000));
    out.push(exchange("target/long", long, OK).build());
    out
}

fn heads() -> Vec<Case> {
    let mut out = Vec::new();
    for (name, request) in [
        ("head/no-host-1.1", "GET / HTTP/1.1\r\n\r\n"),
        ("head/empty-host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
        ("head/host-case", "GET / HTTP/1.1\r\nhOST: ExAmple.COM\r\n\r\n"),
        ("head/order-and-case", "GET / HTTP/1.1\r\nX-B: 1\r\nHost: a\r\nACCEPT: */*\r\nx-a: 2\r\nX-b: 3\r\n\r\n"),
        ("head/spaces-around-value", "GET / HTTP/1.1\r\nHost: a\r\nX:   a b\t \r\nY:\t\tz\r\n\r\n"),
        ("head/no-space-after-colon", "GET / HTTP/1.1\r\nHost:a\r\nX:y\r\n\r\n"),
        ("head/empty-value", "GET / HTTP/1.1\r\nHost: a\r\nX:\r\nY: \r\n\r\n"),
        ("head/leading-crlf", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("head/leading-crlf-many", "\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("head/leading-lf", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("head/bare-lf", "GET / HTTP/1.1\nHost: a\nX: y\n\n"),
        ("head/mixed-lf", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\n"),
        ("head/obs-fold", "GET / HTTP/1.1\r\nHost: a\r\nX: one\r\n two\r\n\tthree\r\nY: z\r\n\r\n"),
        ("head/obs-fold-lf", "GET / HTTP/1.1\nHost: a\nX: one\n two\nY: z\n\n"),
        ("head/obs-fold-only", "GET / HTTP/1.1\r\nHost: a\r\nX:\r\n two\r\n\r\n"),
        ("head/cookies", "GET / HTTP/1.1\r\nHost: a\r\nCookie: a=b; c=d\r\nCookie: e=f\r\n\r\n"),
        ("head/cookie-odd-start", "GET / HTTP/1.1\r\nHost: a\r\nCookie: ;,a=b\r\nCookie: ,\r\nCookie: =\r\n\r\n"),
        ("head/control-chars-in-value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\x01b\x7fc\r\n\r\n"),
        ("head/odd-token-name", "GET / HTTP/1.1\r\nHost: a\r\nx!#$%&'*+-.^_`|~9: y\r\n\r\n"),
        ("head/underscore", "GET / HTTP/1.1\r\nHost: a\r\nX_Y: 1\r\nX-Y: 2\r\n\r\n"),
        ("head/keep-alive-header", "GET / HTTP/1.1\r\nHost: a\r\nKeep-Alive: timeout=5\r\nConnection: keep-alive\r\n\r\n"),
        ("head/te", "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers, deflate\r\nConnection: TE\r\n\r\n"),
        ("head/via-and-others", "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.0 x\r\nForwarded: for=1\r\nMax-Forwards: 0\r\n\r\n"),
        ("head/authorization", "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic Zm9vOmJhcg==\r\n\r\n"),
    ] {
        out.push(exchange(name, request, OK).build());
    }
    out.push(exchange("head/high-bytes-in-value", b"GET / HTTP/1.1\r\nHost: a\r\nX: \xc3\xa4\xff\x80\r\n\r\n", OK).build());
    let many: String = (0..90).map(|i| format!("X-{i}: {i}\r\n")).collect();
    out.push(exchange("head/90-headers", format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), OK).build());
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "v".repeat(8000));
    out.push(exchange("head/long-value", long, OK).build());
    let name_of_200 = format!("GET / HTTP/1.1\r\nHost: a\r\n{}: v\r\n\r\n", "n".repeat(200));
    out.push(exchange("head/long-name", name_of_200, OK).build());
    out.push(
        http("head/byte-by-byte").origin(serve(OK)).client(vec![drip("GET /slow HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n", 1, 1), RESP]).build(),
    );
    out.push(
        http("head/split-in-crlf")
            .origin(serve(OK))
            .client(vec![send("GET / HTTP/1.1\r\nHost: a\r"), pause(30), send("\n\r"), pause(30), send("\n"), RESP])
            .build(),
    );
    out
}
