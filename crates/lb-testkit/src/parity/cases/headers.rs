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
