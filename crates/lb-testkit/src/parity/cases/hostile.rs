//! Requests that broke others: smuggling, framing, odd names and targets (the HTTP/1 lines of the list of hostile inputs).

use super::super::case::*;
use super::{GET, OK, exchange, serve, to_close};
use crate::script::Step;

pub(super) fn cases() -> Vec<Case> {
    let mut out = Vec::new();
    out.extend(lines_and_names());
    out.extend(lengths());
    out.extend(codings());
    out.extend(chunks());
    out.extend(hosts());
    out.extend(slow());
    out
}

fn lines_and_names() -> Vec<Case> {
    let mut out = Vec::new();
    for (name, request) in [
        ("bad-name/empty", "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n"),
        ("bad-name/empty-first", "GET / HTTP/1.1\r\n:x\r\nHost: a\r\n\r\n"),
        ("bad-name/space-before-colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
        ("bad-name/tab-before-colon", "GET / HTTP/1.1\r\nHost: a\r\nX\t: y\r\n\r\n"),
        ("bad-name/space-inside", "GET / HTTP/1.1\r\nHost: a\r\nX Y: z\r\n\r\n"),
        ("bad-name/no-colon", "GET / HTTP/1.1\r\nHost: a\r\nXY\r\n\r\n"),
        ("bad-name/nul", "GET / HTTP/1.1\r\nHost: a\r\nX\0Y: z\r\n\r\n"),
        ("bad-name/control", "GET / HTTP/1.1\r\nHost: a\r\nX\x01Y: z\r\n\r\n"),
        ("bad-name/slash", "GET / HTTP/1.1\r\nHost: a\r\nX/Y: z\r\n\r\n"),
        ("bad-name/parenthesis", "GET / HTTP/1.1\r\nHost: a\r\nX(Y): z\r\n\r\n"),
        ("bad-name/quote", "GET / HTTP/1.1\r\nHost: a\r\n\"X\": z\r\n\r\n"),
        ("bad-name/at", "GET / HTTP/1.1\r\nHost: a\r\nX@Y: z\r\n\r\n"),
        ("bad-name/del", "GET / HTTP/1.1\r\nHost: a\r\nX\x7f: z\r\n\r\n"),
        ("bad-name/first-line-folded", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
        ("bad-name/first-line-tab", "GET / HTTP/1.1\r\n\tX: y\r\nHost: a\r\n\r\n"),
        ("bad-value/nul", "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"),
        ("bad-value/cr", "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n"),
        ("bad-value/cr-cr-lf", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\r\n\r\n"),
        ("bad-value/cr-before-end", "GET / HTTP/1.1\r\nHost: a\r\n\r\r\n"),
        ("bad-line/no-target", "GET HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("bad-line/two-spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("bad-line/two-spaces-before-version", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("bad-line/space-in-target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("bad-line/tab-separator", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("bad-line/leading-space", " GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("bad-line/method-with-colon", "GE:T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("bad-line/method-with-slash", "GE/T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("bad-line/method-nul", "GE\0T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("bad-line/target-nul", "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("bad-line/target-control", "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("bad-line/target-del", "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("bad-line/target-tab", "GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("bad-line/fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
        ("bad-line/no-slash", "GET a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
        ("bad-line/question-mark", "GET ?a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
        ("bad-line/cr-in-target", "GET /a\rb HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("bad-line/only-method", "GET\r\n\r\n"),
        ("bad-line/words", "this is not http\r\n\r\n"),
        ("bad-line/response", "HTTP/1.1 200 OK\r\n\r\n"),
        ("bad-line/ssh", "SSH-2.0-OpenSSH_9.2\r\n"),
    ] {
        out.push(to_close(name, request).build());
    }
    for (name, request) in [
        ("bad-name/high-bytes", &b"GET / HTTP/1.1\r\nHost: a\r\nX\xe4: z\r\n\r\n"[..]),
        ("bad-line/tls-hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        ("bad-line/binary", b"\x80\x81\x82\x83\r\n\r\n"),
        ("bad-line/method-high-bytes", b"G\xe4T / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ] {
        out.push(to_close(name, request).build());
    }
    let long_name = |n: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{}: v\r\n\r\n", "n".repeat(n));
    for (name, n) in [("bad-name/255", 255), ("bad-name/256", 256), ("bad-name/2000", 2000)] {
        out.push(to_close(name, long_name(n)).build());
    }
    for (name, line, request) in [
        ("accept-invalid/high-name", "option accept-invalid-http-request", &b"GET / HTTP/1.1\r\nHost: a\r\nX\xe4: z\r\n\r\n"[..]),
        ("accept-invalid/control-name", "option accept-invalid-http-request", b"GET / HTTP/1.1\r\nHost: a\r\nX\x01Y: z\r\n\r\n"),
        ("accept-invalid/target-space", "option accept-invalid-http-request", b"GET /\x01\x7f\" HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("accept-invalid/fragment", "option accept-invalid-http-request", b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("accept-invalid/space-before-colon", "option accept-invalid-http-request", b"GET / HTTP/1.1\r\nHost: a\r\nX : z\r\n\r\n"),
        ("accept-invalid/nul", "option accept-invalid-http-request", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"),
        ("accept-invalid/version", "option accept-invalid-http-request", b"GET / FOO/1.1\r\nHost: a\r\n\r\n"),
        ("accept-invalid/0.9", "option accept-invalid-http-request", b"GET /\r\n"),
    ] {
        out.push(http(name).fe(line).origin(serve(OK)).client(vec![send(request), RESP]).build());
    }
    out.push(
        http("accept-invalid/response-name")
            .be("option accept-invalid-http-response")
            .origin(vec![REQ, send(b"HTTP/1.1 200 OK\r\nX\xe4\x01: y\r\nContent-Length: 2\r\n\r\nok")])
            .client(vec![send(GET), RESP])
            .build(),
    );
    out
}

fn lengths() -> Vec<Case> {
    let mut out = Vec::new();
    for (name, headers) in [
        ("bad-length/empty", "Content-Length:"),
        ("bad-length/spaces", "Content-Length:   "),
        ("bad-length/comma-after", "Content-Length: 5,"),
        ("bad-length/comma-before", "Content-Length: ,5"),
        ("bad-length/plus", "Content-Length: +5"),
        ("bad-length/minus", "Content-Length: -5"),
        ("bad-length/hex", "Content-Length: 0x5"),
        ("bad-length/two-words", "Content-Length: 5 5"),
        ("bad-length/letters", "Content-Length: five"),
        ("bad-length/fraction", "Content-Length: 5.0"),
        ("bad-length/2^63", "Content-Length: 9223372036854775808"),
        ("bad-length/2^64+5", "Content-Length: 18446744073709551621"),
        ("bad-length/list-different", "Content-Length: 5, 6"),
        ("bad-length/twice-different", "Content-Length: 5\r\nContent-Length: 6"),
        ("bad-length/twice-one-bad", "Content-Length: 5\r\nContent-Length: x"),
        ("bad-length/twice-zeros", "Content-Length: 5\r\nContent-Length: 05"),
        ("bad-length/quoted", "Content-Length: \"5\""),
        ("bad-length/vt", "Content-Length: \x0b5"),
    ] {
        out.push(to_close(name, format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\nhello")).fe("timeout client 600ms").build());
    }
    out.push(
        http("bad-length/2^64")
            .fe("timeout client 600ms")
            .origin(serve(OK))
            .client(vec![send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\nhello"), EOF])
            .logs(2)
            .build(),
    );
    for (name, headers) in [
        ("length/twice-equal", "Content-Length: 5\r\nContent-Length: 5"),
        ("length/list-equal", "Content-Length: 5, 5"),
        ("length/leading-zeros", "Content-Length: 0005"),
        ("length/tab", "Content-Length:\t5\t"),
    ] {
        out.push(exchange(name, format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\nhello"), OK).fe("timeout client 900ms").build());
    }
    out
}

fn codings() -> Vec<Case> {
    let mut out = Vec::new();
    let body = "5\r\nhello\r\n0\r\n\r\n";
    for (name, headers) in [
        ("te/vt-chunked", "Transfer-Encoding: \x0bchunked"),
        ("te/unknown", "Transfer-Encoding: foo"),
        ("te/empty", "Transfer-Encoding:"),
        ("te/identity", "Transfer-Encoding: identity"),
        ("te/gzip-chunked", "Transfer-Encoding: gzip, chunked"),
        ("te/chunked-gzip", "Transfer-Encoding: chunked, gzip"),
        ("te/chunked-chunked", "Transfer-Encoding: chunked, chunked"),
        ("te/two-headers-chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        ("te/two-headers-gzip-chunked", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked"),
        ("te/two-headers-chunked-identity", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
        ("te/chunked-parameter", "Transfer-Encoding: chunked;q=1"),
        ("te/comma-before", "Transfer-Encoding: ,chunked"),
        ("te/comma-after", "Transfer-Encoding: chunked,"),
        ("te/quoted", "Transfer-Encoding: \"chunked\""),
        ("te/chunkedx", "Transfer-Encoding: chunkedx"),
        ("te/xchunked", "Transfer-Encoding: xchunked"),
        ("te/space-inside", "Transfer-Encoding: chun ked"),
        ("te/folded", "Transfer-Encoding:\r\n chunked"),
        ("te/and-length", "Content-Length: 3\r\nTransfer-Encoding: chunked"),
        ("te/and-length-after", "Transfer-Encoding: chunked\r\nContent-Length: 3"),
        ("te/and-bad-length", "Transfer-Encoding: chunked\r\nContent-Length: x"),
        ("te/unknown-and-length", "Transfer-Encoding: foo\r\nContent-Length: 5"),
        ("te/in-get", "Transfer-Encoding: chunked"),
    ] {
        let method = if name == "te/in-get" { "GET" } else { "POST" };
        let request = format!("{method} / HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n{body}");
        out.push(http(name).fe("timeout client 700ms").origin(serve(OK)).client(vec![send(request), RESP]).build());
    }
    // After a request with both lengths nothing of that connection may be read as a second request.
    out.push(
        http("te/and-length-smuggle")
            .fe("timeout client 700ms")
            .origin(serve(OK))
            .client(vec![
                send(format!(
                    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{}",
                    "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
                )),
                RESP,
                EOF,
            ])
            .build(),
    );
    out.push(
        http("te/1.0-chunked-with-length")
            .fe("timeout client 700ms")
            .origin(serve(OK))
            .client(vec![send(format!("POST / HTTP/1.0\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n{body}")), RESP])
            .build(),
    );
    out
}

fn chunks() -> Vec<Case> {
    let mut out = Vec::new();
    for (name, body) in [
        ("bad-chunk/lf-after-size", "5\nhello\r\n0\r\n\r\n"),
        ("bad-chunk/lf-after-data", "5\r\nhello\n0\r\n\r\n"),
        ("bad-chunk/lf-all", "5\nhello\n0\n\n"),
        ("bad-chunk/lf-after-extension", "5;a=b\nhello\r\n0\r\n\r\n"),
        ("bad-chunk/cr-in-extension", "5;a\rb\r\nhello\r\n0\r\n\r\n"),
        ("bad-chunk/nul-in-extension", "5;a\0b\r\nhello\r\n0\r\n\r\n"),
        ("bad-chunk/no-size", "\r\nhello\r\n0\r\n\r\n"),
        ("bad-chunk/semicolon-only", ";x\r\nhello\r\n0\r\n\r\n"),
        ("bad-chunk/plus", "+5\r\nhello\r\n0\r\n\r\n"),
        ("bad-chunk/minus", "-5\r\nhello\r\n0\r\n\r\n"),
        ("bad-chunk/0x", "0x5\r\nhello\r\n0\r\n\r\n"),
        ("bad-chunk/leading-space", " 5\r\nhello\r\n0\r\n\r\n"),
        ("bad-chunk/trailing-space", "5 \r\nhello\r\n0\r\n\r\n"),
        ("bad-chunk/trailing-tab", "5\t\r\nhello\r\n0\r\n\r\n"),
        ("bad-chunk/space-in-size", "5 5\r\nhello\r\n0\r\n\r\n"),
        ("bad-chunk/letter-after", "5x\r\nhello\r\n0\r\n\r\n"),
        ("bad-chunk/2^63", "8000000000000000\r\nhello\r\n0\r\n\r\n"),
        ("bad-chunk/2^64", "10000000000000000\r\nhello\r\n0\r\n\r\n"),
        ("bad-chunk/2^64+5", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        ("bad-chunk/many-zeros", "00000000000000000005\r\nhello\r\n0\r\n\r\n"),
        ("bad-chunk/missing-end", "5\r\nhello0\r\n\r\n"),
        ("bad-chunk/longer-than-said", "3\r\nhello\r\n0\r\n\r\n"),
        ("bad-chunk/shorter-than-said", "7\r\nhello\r\n0\r\n\r\n"),
        ("bad-chunk/cr-without-lf", "5\rhello\r\n0\r\n\r\n"),
        ("bad-chunk/bad-trailer", "5\r\nhello\r\n0\r\nno colon\r\n\r\n"),
        ("bad-chunk/trailer-empty-name", "5\r\nhello\r\n0\r\n: y\r\n\r\n"),
        ("bad-chunk/trailer-nul", "5\r\nhello\r\n0\r\nX: a\0b\r\n\r\n"),
        ("bad-chunk/lf-in-trailer", "5\r\nhello\r\n0\r\nX: y\n\n"),
        ("bad-chunk/second-bad", "5\r\nhello\r\nzz\r\n"),
    ] {
        out.push(
            http(name)
                .fe("timeout client 600ms")
                .origin(serve(OK))
                .client(vec![send(format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}")), RESP])
                .loose("server1", "how much of the body is forwarded before the error is found is a matter of buffering")
                .build(),
        );
    }
    out.push(
        http("bad-chunk/trailer-space-before-colon")
            .fe("timeout client 600ms")
            .origin(serve(OK))
            .client(vec![send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX : y\r\n\r\n"), RESP])
            .loose("client0", "haproxy answers 400 in one run and takes it in the next")
            .loose("server1", "haproxy answers 400 in one run and takes it in the next")
            .loose("log", "haproxy answers 400 in one run and takes it in the next")
            .build(),
    );
    out.push(
        http("bad-chunk/endless-extension")
            .fe("timeout client 600ms")
            .origin(serve(OK))
            .client(vec![
                send(format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;{}", "x".repeat(40_000))),
                RESP,
                EOF,
            ])
            .loose("server1", "how much of the body is forwarded before the error is found is a matter of buffering")
            .loose("client0.end", "what is left unread may turn the close into a reset")
            .build(),
    );
    out
}

fn hosts() -> Vec<Case> {
    let mut out = Vec::new();
    for (name, head) in [
        ("host/twice-equal", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n"),
        ("host/twice-different", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n"),
        ("host/absolute-differs", "GET http://b/x HTTP/1.1\r\nHost: a\r\n"),
        ("host/absolute-differs-in-port", "GET http://a:81/x HTTP/1.1\r\nHost: a\r\n"),
        ("host/absolute-differs-in-case", "GET http://A/x HTTP/1.1\r\nHost: a\r\n"),
        ("host/absolute-without-host", "GET http://a/x HTTP/1.1\r\n"),
        ("host/absolute-empty-host", "GET http://a/x HTTP/1.1\r\nHost:\r\n"),
        ("host/absolute-userinfo", "GET http://u:p@a/x HTTP/1.1\r\nHost: a\r\n"),
        ("host/comma", "GET / HTTP/1.1\r\nHost: a,b\r\n"),
        ("host/slash", "GET / HTTP/1.1\r\nHost: a/b\r\n"),
        ("host/question", "GET / HTTP/1.1\r\nHost: a?b\r\n"),
        ("host/userinfo", "GET / HTTP/1.1\r\nHost: u@a\r\n"),
        ("host/space", "GET / HTTP/1.1\r\nHost: a b\r\n"),
        ("host/hash", "GET / HTTP/1.1\r\nHost: a#b\r\n"),
        ("host/bad-port", "GET / HTTP/1.1\r\nHost: a:x\r\n"),
        ("host/empty-port", "GET / HTTP/1.1\r\nHost: a:\r\n"),
        ("host/ipv6", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n"),
        ("host/backslash", "GET / HTTP/1.1\r\nHost: a\\b\r\n"),
        ("host/percent", "GET / HTTP/1.1\r\nHost: a%2eb\r\n"),
        ("host/absolute-https", "GET https://a/x HTTP/1.1\r\nHost: a\r\n"),
        ("host/absolute-ftp", "GET ftp://a/x HTTP/1.1\r\nHost: a\r\n"),
        ("host/absolute-no-host-part", "GET http:///x HTTP/1.1\r\nHost: a\r\n"),
        ("host/absolute-1.0", "GET http://a/x HTTP/1.0\r\n"),
    ] {
        out.push(to_close(name, format!("{head}Connection: close\r\n\r\n")).build());
    }
    out
}

fn slow() -> Vec<Case> {
    let mut out = Vec::new();
    let headers = |n: usize| {
        let many: String = (0..n).map(|i| format!("X-{i}: {i}\r\n")).collect();
        format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{many}\r\n")
    };
    for (name, n) in [("flood/99-headers", 97), ("flood/101-headers", 99), ("flood/102-headers", 100), ("flood/200-headers", 198)] {
        out.push(to_close(name, headers(n)).build());
    }
    for (name, n) in
        [("flood/value-15000", 15_000), ("flood/value-16000", 16_000), ("flood/value-17000", 17_000), ("flood/value-60000", 60_000)]
    {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: {}\r\n\r\n", "v".repeat(n));
        out.push(
            to_close(name, request)
                .fe("timeout http-request 600ms")
                .loose("client0.end", "what is left unread may turn the close into a reset")
                .build(),
        );
    }
    for (name, n) in [("flood/target-14000", 14_000), ("flood/target-16300", 16_300), ("flood/target-60000", 60_000)] {
        let request = format!("GET /{} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "p".repeat(n));
        out.push(
            to_close(name, request)
                .fe("timeout http-request 600ms")
                .loose("client0.end", "what is left unread may turn the close into a reset")
                .build(),
        );
    }
    out.push(to_close("flood/maxhdr-option", headers(40)).global("    tune.http.maxhdr 32\n").build());
    out.push(
        to_close("flood/bufsize-option", format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: {}\r\n\r\n", "v".repeat(20_000)))
            .global("    tune.bufsize 32768\n")
            .build(),
    );
    out.push(
        http("flood/cookies")
            .origin(serve(OK))
            .client(vec![send(format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: {}\r\n\r\n", "a=b; ".repeat(2500))), RESP])
            .build(),
    );
    for (name, n) in [("flood/response-headers-99", 97), ("flood/response-headers-150", 150)] {
        let many: String = (0..n).map(|i| format!("X-{i}: {i}\r\n")).collect();
        let response = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{many}\r\nok");
        out.push(http(name).origin(vec![REQ, send(response), EOF]).client(vec![send(GET), RESP]).build());
    }
    for (name, n) in [("flood/response-value-14000", 14_000), ("flood/response-value-17000", 17_000)] {
        let response = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: {}\r\n\r\nok", "v".repeat(n));
        out.push(http(name).be("timeout server 600ms").origin(vec![REQ, send(response), EOF]).client(vec![send(GET), RESP]).build());
    }
    out.push(
        http("flood/pipelined-100")
            .origin(serve("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
            .client(std::iter::once(send(GET.repeat(100))).chain(std::iter::repeat_n(RESP, 100)).chain([Step::Logs(100)]).collect())
            .logs(100)
            .build(),
    );
    out.push(
        http("flood/empty-lines")
            .fe("timeout http-request 600ms")
            .origin(serve(OK))
            .client(vec![send("\r\n".repeat(5000)), send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), EOF])
            .loose("client0.end", "what is left unread may turn the close into a reset")
            .build(),
    );
    out.push(
        http("flood/response-drip")
            .origin(vec![REQ, drip("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello", 3, 5)])
            .client(vec![send(GET), RESP])
            .build(),
    );
    out
}
