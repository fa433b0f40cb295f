//! What servers do wrong: status lines, headers, framing, early and broken answers.

use super::super::case::*;
use super::{GET, OK, answer, answer_close, exchange};
use crate::script::Step;

pub(super) fn cases() -> Vec<Case> {
    let mut out = Vec::new();
    out.extend(status_lines());
    out.extend(bad_heads());
    out.extend(framing());
    out.extend(broken());
    out.extend(early());
    out
}

fn status_lines() -> Vec<Case> {
    let mut out = Vec::new();
    let rest = "Content-Length: 2\r\n\r\nok";
    for (name, line) in [
        ("status/no-reason", "HTTP/1.1 200 "),
        ("status/no-reason-no-space", "HTTP/1.1 200"),
        ("status/long-reason", "HTTP/1.1 200 This is a rather long reason, with: signs; and \"quotes\""),
        ("status/299", "HTTP/1.1 299 Odd"),
        ("status/599", "HTTP/1.1 599 Odd"),
        ("status/600", "HTTP/1.1 600 Odd"),
        ("status/999", "HTTP/1.1 999 Odd"),
        ("status/1.2", "HTTP/1.2 200 OK"),
    ] {
        out.push(exchange(name, GET, format!("{line}\r\n{rest}")).build());
    }
    for (name, line) in [
        ("status/four-digits", "HTTP/1.1 2000 OK"),
        ("status/letters", "HTTP/1.1 2x0 OK"),
        ("status/2.0", "HTTP/2.0 200 OK"),
        ("status/lower-case", "http/1.1 200 OK"),
        ("status/icy", "ICY 200 OK"),
        ("status/two-spaces", "HTTP/1.1  200 OK"),
        ("status/tab", "HTTP/1.1\t200 OK"),
        ("status/garbage-before", "garbage\r\nHTTP/1.1 200 OK"),
        ("status/empty-line-before", "\r\nHTTP/1.1 200 OK"),
        ("status/leading-space", " HTTP/1.1 200 OK"),
        ("status/empty", ""),
        ("status/rtsp", "RTSP/1.0 200 OK"),
        ("status/control-in-reason", "HTTP/1.1 200 O\x01K"),
        ("status/minus", "HTTP/1.1 -20 OK"),
    ] {
        out.push(http(name).origin(answer_close(format!("{line}\r\n{rest}"))).client(vec![send(GET), RESP]).build());
    }
    for (name, line) in [("status/two-digits", "HTTP/1.1 20 OK"), ("status/000", "HTTP/1.1 000 OK"), ("status/099", "HTTP/1.1 099 OK")] {
        let response = format!("{line}\r\nContent-Length: 2\r\n\r\nok");
        out.push(http(name).origin(vec![REQ, send(response), pause(50), CLOSE]).client(vec![send(GET), until("ok")]).build());
    }
    out.push(http("status/lf-only").origin(answer("HTTP/1.1 200 OK\nContent-Length: 2\n\nok")).client(vec![send(GET), RESP]).build());
    out.push(http("status/0.9-body").origin(answer_close("just text, no head")).client(vec![send(GET), RESP]).build());
    out
}

fn bad_heads() -> Vec<Case> {
    let mut out = Vec::new();
    for (name, headers) in [
        ("response-head/empty-name", ": x"),
        ("response-head/space-before-colon", "X : y"),
        ("response-head/no-colon", "justtext"),
        ("response-head/nul-in-value", "X: a\0b"),
        ("response-head/nul-in-name", "X\0: b"),
        ("response-head/cr-in-value", "X: a\rb"),
        ("response-head/space-in-name", "X Y: b"),
        ("response-head/control-in-name", "X\x01: b"),
        ("response-head/starts-folded", " X: b"),
    ] {
        let response = format!("HTTP/1.1 200 OK\r\n{headers}\r\nContent-Length: 2\r\n\r\nok");
        out.push(http(name).origin(answer_close(response)).client(vec![send(GET), RESP]).build());
    }
    for (name, headers) in [
        ("response-head/obs-fold", "X: a\r\n b\r\n\tc"),
        ("response-head/control-in-value", "X: a\x01b\x7f"),
        ("response-head/empty-value", "X:"),
        ("response-head/case-and-order", "X-B: 1\r\nSERVER: q\r\nx-a: 2\r\nX-b: 3"),
        ("response-head/set-cookies", "Set-Cookie: a=b; Path=/\r\nSet-Cookie: c=d, e=f"),
        ("response-head/date", "Date: Sun, 06 Nov 1994 08:49:37 GMT"),
        ("response-head/spaces", "X:  \t a  b \t"),
    ] {
        let response = format!("HTTP/1.1 200 OK\r\n{headers}\r\nContent-Length: 2\r\n\r\nok");
        out.push(exchange(name, GET, response).build());
    }
    out
}

fn framing() -> Vec<Case> {
    let mut out = Vec::new();
    for (name, headers, body) in [
        ("response-length/empty", "Content-Length:", "hello"),
        ("response-length/letters", "Content-Length: five", "hello"),
        ("response-length/plus", "Content-Length: +5", "hello"),
        ("response-length/minus", "Content-Length: -5", "hello"),
        ("response-length/hex", "Content-Length: 0x5", "hello"),
        ("response-length/comma", "Content-Length: 5,", "hello"),
        ("response-length/list-equal", "Content-Length: 5, 5", "hello"),
        ("response-length/list-different", "Content-Length: 5, 6", "hello"),
        ("response-length/twice-equal", "Content-Length: 5\r\nContent-Length: 5", "hello"),
        ("response-length/twice-different", "Content-Length: 5\r\nContent-Length: 6", "hello"),
        ("response-length/too-large", "Content-Length: 18446744073709551616", "hello"),
        ("response-length/leading-zeros", "Content-Length: 005", "hello"),
        ("response-length/space-inside", "Content-Length: 5 5", "hello"),
        ("response-both/chunked-last", "Content-Length: 3\r\nTransfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"),
        ("response-te/gzip-chunked", "Transfer-Encoding: gzip, chunked", "5\r\nhello\r\n0\r\n\r\n"),
        ("response-te/gzip", "Transfer-Encoding: gzip", "hello"),
        ("response-te/chunked-gzip", "Transfer-Encoding: chunked, gzip", "5\r\nhello\r\n0\r\n\r\n"),
        ("response-te/chunked-twice", "Transfer-Encoding: chunked, chunked", "5\r\nhello\r\n0\r\n\r\n"),
        ("response-te/two-headers", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"),
        ("response-te/vt", "Transfer-Encoding: \x0bchunked", "5\r\nhello\r\n0\r\n\r\n"),
        ("response-te/empty", "Transfer-Encoding:", "hello"),
        ("response-te/identity", "Transfer-Encoding: identity", "hello"),
        ("response-chunk/lf-only", "Transfer-Encoding: chunked", "5\nhello\n0\n\n"),
        ("response-chunk/no-size", "Transfer-Encoding: chunked", "\r\nhello\r\n0\r\n\r\n"),
        ("response-chunk/letters", "Transfer-Encoding: chunked", "xyz\r\nhello\r\n0\r\n\r\n"),
        ("response-chunk/minus", "Transfer-Encoding: chunked", "-5\r\nhello\r\n0\r\n\r\n"),
        ("response-chunk/too-large", "Transfer-Encoding: chunked", "10000000000000000\r\nhello\r\n0\r\n\r\n"),
        ("response-chunk/missing-crlf", "Transfer-Encoding: chunked", "5\r\nhelloX\r\n0\r\n\r\n"),
        ("response-chunk/bad-second", "Transfer-Encoding: chunked", "5\r\nhello\r\nzz\r\n"),
        ("response-chunk/bad-trailer", "Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\nno colon\r\n\r\n"),
    ] {
        let response = format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n{body}");
        out.push(http(name).origin(answer_close(response)).client(vec![send(GET), RESP]).build());
    }
    out.push(
        http("response-te/1.0-chunked")
            .origin(answer_close("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"))
            .client(vec![send(GET), EOF])
            .build(),
    );
    out
}

fn broken() -> Vec<Case> {
    vec![
        http("broken/close-at-once").origin(vec![REQ, CLOSE]).client(vec![send(GET), RESP]).build(),
        http("broken/reset-at-once").origin(vec![REQ, RST]).client(vec![send(GET), RESP]).build(),
        http("broken/close-before-request").origin(vec![CLOSE]).client(vec![pause(30), send(GET), RESP]).build(),
        http("broken/close-in-head").origin(answer_close("HTTP/1.1 200 OK\r\nX: y")).client(vec![send(GET), RESP]).build(),
        http("broken/reset-in-head")
            .origin(vec![REQ, send("HTTP/1.1 200 OK\r\nX: y"), pause(50), RST])
            .client(vec![send(GET), RESP])
            .build(),
        http("broken/close-in-body")
            .origin(vec![REQ, send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"), pause(50), CLOSE])
            .client(vec![send(GET), EOF])
            .build(),
        http("broken/reset-in-body")
            .origin(vec![REQ, send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"), pause(50), RST])
            .client(vec![send(GET), EOF])
            .build(),
        http("broken/close-in-chunk")
            .origin(vec![REQ, send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhello"), pause(50), CLOSE])
            .client(vec![send(GET), EOF])
            .build(),
        http("broken/close-before-last-chunk")
            .origin(vec![REQ, send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"), pause(50), CLOSE])
            .client(vec![send(GET), EOF])
            .build(),
        http("broken/close-in-trailers")
            .origin(vec![REQ, send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n"), pause(50), CLOSE])
            .client(vec![send(GET), EOF])
            .build(),
        http("broken/reset-to-eof-body")
            .origin(vec![REQ, send("HTTP/1.1 200 OK\r\n\r\nhello"), pause(50), RST])
            .client(vec![send(GET), EOF])
            .build(),
        http("broken/head-request-with-body")
            .origin(answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
            .client(vec![send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"), RESP_HEAD, pause(30)])
            .build(),
        http("broken/204-with-body")
            .origin(answer("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello"))
            .client(vec![send(GET), RESP, pause(30)])
            .build(),
        http("broken/304-with-body")
            .origin(answer("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello"))
            .client(vec![send(GET), RESP, pause(30)])
            .build(),
        http("broken/chunked-204")
            .origin(answer("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"))
            .client(vec![send(GET), RESP, pause(30)])
            .build(),
    ]
}

fn early() -> Vec<Case> {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n";
    let early = "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig";
    vec![
        http("early/answer-then-rest-of-body")
            .origin(vec![until("\r\n\r\n"), send(early), until("0123456789"), REQ, send(OK)])
            .client(vec![send(head), RESP, send("0123456789"), pause(30), send(GET), RESP])
            .logs(2)
            .build(),
        http("early/answer-and-close")
            .fe("timeout client 400ms")
            .origin(vec![until("\r\n\r\n"), send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig"), CLOSE])
            .client(vec![send(head), RESP, EOF])
            .build(),
        http("early/answer-in-mid-body")
            .origin(vec![until("01234"), send(OK), until("56789"), Step::Signal("all")])
            .client(vec![send(head), send("01234"), RESP, pause(30), send("56789"), Step::Wait("all")])
            .build(),
        http("early/before-chunked-ends")
            .origin(vec![until("\r\n\r\n"), send(OK), EOF])
            .client(vec![
                send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
                RESP,
                pause(30),
                send("0\r\n\r\n"),
            ])
            .build(),
        http("early/body-never-ends")
            .fe("timeout client 300ms")
            .origin(vec![until("\r\n\r\n"), send(OK), EOF])
            .client(vec![send(head), RESP, quiet(800)])
            .build(),
        http("early/body-never-ends-server-timeout")
            .be("timeout server 400ms")
            .origin(vec![until("\r\n\r\n"), send(OK), EOF])
            .client(vec![send(head), RESP, pause(800), send("0123456789")])
            .build(),
    ]
}
