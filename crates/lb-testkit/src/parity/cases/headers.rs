//! Headers that the proxy adds or removes.

use super::super::case::*;
use super::{GET, OK, exchange, serve};

pub(super) fn cases() -> Vec<Case> {
    let mut out = Vec::new();
    let with_xff = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\nX-Z: 1\r\n\r\n";
    for (name, line, request) in [
        ("forwardfor/plain", "option forwardfor", GET),
        ("forwardfor/second", "option forwardfor", with_xff),
        ("forwardfor/except-hit", "option forwardfor except 127.0.0.0/8", GET),
        ("forwardfor/except-one-address", "option forwardfor except 127.0.0.1", GET),
        ("forwardfor/except-miss", "option forwardfor except 10.0.0.0/8", GET),
        ("forwardfor/header", "option forwardfor header X-Client-IP", GET),
        ("forwardfor/header-case", "option forwardfor header X-REAL-IP", GET),
        ("forwardfor/header-and-existing", "option forwardfor header X-Client-IP", with_xff),
        ("forwardfor/if-none-absent", "option forwardfor if-none", GET),
        ("forwardfor/if-none-present", "option forwardfor if-none", with_xff),
        ("forwardfor/all-options", "option forwardfor except 10.0.0.0/8 header X-C if-none", with_xff),
        ("send-name/plain", "http-send-name-header X-Server", GET),
        ("send-name/replaces", "http-send-name-header X-Z", with_xff),
        ("send-name/host", "http-send-name-header Host", GET),
    ] {
        out.push(exchange(name, request, OK).be(line).build());
    }
    out.push(exchange("forwardfor/frontend", GET, OK).fe("option forwardfor").build());
    out.push(exchange("forwardfor/both-sides", GET, OK).fe("option forwardfor header X-Fe").be("option forwardfor header X-Be").build());
    out.push(
        http("forwardfor/each-of-a-kept-connection")
            .be("option forwardfor")
            .origin(serve(OK))
            .client(vec![send(GET), RESP, send(GET), RESP])
            .logs(2)
            .build(),
    );
    let with_xot = "GET / HTTP/1.1\r\nHost: a\r\nX-Original-To: 1.2.3.4\r\nX-Z: 1\r\n\r\n";
    for (name, line, request) in [
        ("originalto/plain", "option originalto", GET),
        ("originalto/second", "option originalto", with_xot),
        ("originalto/except-hit", "option originalto except 127.0.0.0/8", GET),
        ("originalto/except-miss", "option originalto except 10.0.0.0/8", GET),
        ("originalto/header", "option originalto header X-Dst except ::1", with_xot),
    ] {
        out.push(exchange(name, request, OK).be(line).build());
    }
    out.push(exchange("originalto/frontend", GET, OK).fe("option originalto").build());
    out.push(exchange("originalto/both-sides", GET, OK).fe("option originalto header X-Fe").be("option originalto header X-Be").build());
    out.push(exchange("originalto/frontend-except", GET, OK).fe("option originalto except 127.0.0.1").be("option originalto").build());
    out.push(exchange("originalto/with-forwardfor", GET, OK).fe("option originalto").be("option forwardfor").build());
    out.push(
        http("originalto/proxy-protocol")
            .bind("accept-proxy")
            .be("option originalto")
            .origin(serve(OK))
            .client(vec![send(format!("PROXY TCP4 192.0.2.7 192.0.2.8 1111 2222\r\n{GET}")), RESP])
            .build(),
    );
    out.push(
        http("originalto/not-in-tcp")
            .config("    mode tcp\n    option originalto\nlisten l\n    bind 127.0.0.1:{fe}\n    server s1 127.0.0.1:{o1}\n")
            .origin(serve(OK))
            .client(vec![send(GET), RESP])
            .build(),
    );
    out.extend(case_adjust());
    for (name, request) in [
        ("proxy-header/close", "GET http://a/ HTTP/1.1\r\nHost: a\r\nProxy-Connection: close\r\n\r\n"),
        ("proxy-header/other-close", "GET http://a/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
        ("proxy-header/keep-alive-1.0", "GET http://a/ HTTP/1.0\r\nHost: a\r\nProxy-Connection: keep-alive\r\n\r\n"),
        ("proxy-header/not-proxied", "GET / HTTP/1.1\r\nHost: a\r\nProxy-Connection: close\r\n\r\n"),
    ] {
        out.push(exchange(name, request, OK).fe("option http-use-proxy-header").build());
    }
    let odd = "GET / HTTP/1.1\r\nHost: a\r\nX_A: 1\r\nX.B: 2\r\nX-C: 3\r\n\r\n";
    for (name, line) in [
        ("restrict-names/preserve", "option http-restrict-req-hdr-names preserve"),
        ("restrict-names/delete", "option http-restrict-req-hdr-names delete"),
    ] {
        out.push(exchange(name, odd, OK).fe(line).build());
    }
    out.push(
        http("restrict-names/reject")
            .fe("option http-restrict-req-hdr-names reject")
            .origin(serve(OK))
            .client(vec![send(odd), RESP])
            .build(),
    );
    out.push(exchange("restrict-names/backend-delete", odd, OK).be("option http-restrict-req-hdr-names delete").build());
    out
}

/// `h1-case-adjust` and the options that use it.
fn case_adjust() -> Vec<Case> {
    const REQUEST: &str = "GET / HTTP/1.1\r\nhost: a\r\nX-ONE: Host\r\nx-two: 2\r\n\r\n";
    const RESPONSE: &str = "HTTP/1.1 200 OK\r\ncontent-LENGTH: 5\r\nx-One: 1\r\nX-Two: content-length\r\n\r\nhello";
    const CHUNKED: &str =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-One\r\n\r\n5\r\nhello\r\n0\r\nX-one: 1\r\nx-two: 2\r\n\r\n";
    const UPLOAD: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-one: 1\r\n\r\n";
    const LINES: [&str; 4] = [
        "h1-case-adjust host HOST",
        "h1-case-adjust x-one X-oNE",
        "h1-case-adjust content-length Content-Length",
        "h1-case-adjust connection CONNECTION",
    ];
    let adjusted = |builder: Builder| LINES.iter().fold(builder, |builder, line| builder.global(line));
    let both =
        |builder: Builder| adjusted(builder).defaults("option h1-case-adjust-bogus-client").defaults("option h1-case-adjust-bogus-server");
    vec![
        both(exchange("case-adjust/both", REQUEST, RESPONSE)).build(),
        adjusted(exchange("case-adjust/client", REQUEST, RESPONSE).fe("option h1-case-adjust-bogus-client")).build(),
        adjusted(exchange("case-adjust/server", REQUEST, RESPONSE).be("option h1-case-adjust-bogus-server")).build(),
        adjusted(exchange("case-adjust/neither", REQUEST, RESPONSE)).build(),
        both(exchange("case-adjust/taken-back", REQUEST, RESPONSE))
            .fe("no option h1-case-adjust-bogus-client")
            .be("no option h1-case-adjust-bogus-server")
            .build(),
        exchange("case-adjust/no-spellings", REQUEST, RESPONSE).fe("option h1-case-adjust-bogus-client").build(),
        both(exchange("case-adjust/trailers-down", REQUEST, CHUNKED)).build(),
        both(exchange("case-adjust/trailers-up", UPLOAD, RESPONSE)).build(),
        both(exchange("case-adjust/close", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", RESPONSE))
            .be("option http-server-close")
            .build(),
        both(exchange("case-adjust/interim", REQUEST, format!("HTTP/1.1 103 Early\r\nX-one: 1\r\n\r\n{RESPONSE}"))).build(),
        both(http("case-adjust/page").server(Server::Refused).client(vec![send(REQUEST), RESP])).build(),
        both(http("case-adjust/page-early").server(Server::Refused).client(vec![send("GET /\r\n\r\n"), EOF])).build(),
        both(http("case-adjust/monitor").fe("monitor-uri /").client(vec![send(REQUEST), RESP]).logs(0)).build(),
        both(exchange("case-adjust/added-field", REQUEST, RESPONSE))
            .global("h1-case-adjust x-forwarded-for X-FORWARDED-FOR")
            .be("option forwardfor")
            .build(),
        exchange("case-adjust/file", REQUEST, RESPONSE)
            .global("h1-case-adjust-file {dir}/spellings")
            .file("spellings", "# names\n\n  host\tHoSt  \nx-one X-ONE\n")
            .be("option h1-case-adjust-bogus-server")
            .build(),
    ]
}
