//! Replies to requests: deny, tarpit, return, auth, reject, silent-drop, early hints, all in all forms.

use super::*;

const PAGE: &str = "HTTP/1.1 418 Teapot\r\nX-Page: yes\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nshort\n";
const PAGE_1_0: &str = "HTTP/1.0 403 Closed\r\nCache-Control: no-cache\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\nclosed\n";

pub(in super::super) fn cases() -> Vec<Case> {
    let mut out = denials();
    out.extend(returns());
    out.extend(endings());
    out.extend(tarpits());
    out.extend(auths());
    out.extend(hints());
    out
}

fn ways(name: &'static str, line: &str) -> Builder {
    front(name, &[&format!("http-request {line} {UNLESS}")])
}

fn one(name: &'static str, line: &str) -> Case {
    asks(ways(name, line), &[GET, &request("OPTIONS", "/")])
}

fn denials() -> Vec<Case> {
    let mut out: Vec<Case> = [
        ("rule-deny/200", "deny deny_status 200"),
        ("rule-deny/401", "deny deny_status 401"),
        ("rule-deny/404", "deny deny_status 404"),
        ("rule-deny/405", "deny deny_status 405"),
        ("rule-deny/407", "deny deny_status 407"),
        ("rule-deny/410", "deny deny_status 410"),
        ("rule-deny/413", "deny deny_status 413"),
        ("rule-deny/421", "deny deny_status 421"),
        ("rule-deny/422", "deny deny_status 422"),
        ("rule-deny/425", "deny deny_status 425"),
        ("rule-deny/429", "deny status 429"),
        ("rule-deny/500", "deny deny_status 500"),
        ("rule-deny/501", "deny deny_status 501"),
        ("rule-deny/502", "deny deny_status 502"),
        ("rule-deny/503", "deny deny_status 503"),
        ("rule-deny/504", "deny deny_status 504"),
    ]
    .map(|(name, line)| one(name, line))
    .into();
    out.extend([
        Case { logs: 1, ..one("rule-deny/400", "deny deny_status 400") },
        Case { logs: 1, ..one("rule-deny/408", "deny deny_status 408") },
        all_ways(ways("rule-deny/plain", "deny"), 11),
        all_ways(ways("rule-deny/string", "deny deny_status 418 content-type text/plain string nope"), 11),
        all_ways(ways("rule-deny/errorfile", "deny errorfile {dir}/page.http").file("page.http", PAGE), 11),
        all_ways(ways("rule-deny/errorfile-1.0", "deny errorfile {dir}/page.http").file("page.http", PAGE_1_0), 7),
        one("rule-deny/format", "deny deny_status 451 content-type text/plain lf-string \"%HM %HP %ci\" hdr X-A \"%[method]\""),
        one("rule-deny/fields-alone", "deny hdr X-A 1 hdr X-B %HM"),
        one("rule-deny/default-errorfiles", "deny deny_status 404 default-errorfiles"),
        one("rule-deny/content-type-alone", "deny content-type text/plain"),
        asks(back("rule-deny/backend", &["http-request deny deny_status 404 if { method GET }"]), &[GET, &request("POST", "/")]),
        asks(listen("rule-deny/listen", &["http-request deny if { method GET }"]), &[GET, &request("POST", "/")]),
        asks(defaults("rule-deny/defaults", &["http-request deny if { method GET }"]), &[GET, &request("POST", "/")]),
        asks(
            ways("rule-deny/own-page", "deny").fe("errorfile 403 {dir}/page.http").file("page.http", PAGE),
            &[GET, &request("OPTIONS", "/")],
        ),
        asks(ways("rule-deny/own-location", "deny").fe("errorloc 403 http://x/y"), &[GET, &request("OPTIONS", "/")]),
        asks(ways("rule-deny/silent-page", "deny").fe("errorfile 403 /dev/null"), &[GET]),
        asks(
            back("rule-deny/page-of-frontend", &["http-request deny"]).fe("errorfile 403 {dir}/page.http").file("page.http", PAGE),
            &[GET],
        ),
        asks(back("rule-deny/page-of-backend", &["http-request deny", "errorfile 403 {dir}/page.http"]).file("page.http", PAGE), &[GET]),
        asks(
            front("rule-deny/first-wins", &["http-request deny deny_status 404 if { method GET }", "http-request deny deny_status 405"]),
            &[GET, &request("PUT", "/")],
        ),
        to_the_end(front("rule-deny/httpclose", &["option httpclose", "http-request deny"]), &[GET]).build(),
        asks(
            front("rule-deny/chunked-body", &["http-request deny"]),
            &["POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", GET],
        ),
        front("rule-deny/expect", &["http-request deny"])
            .client(vec![send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"), RESP, EOF])
            .build(),
        front("rule-deny/pipelined", &["http-request deny if { method POST }"])
            .client(vec![send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"), RESP, RESP])
            .logs(2)
            .build(),
    ]);
    out
}

fn returns() -> Vec<Case> {
    vec![
        asks(
            ways(
                "rule-return/fields-of-content",
                "return content-type a/b string hello hdr content-length 3 hdr Content-Type c/d hdr transfer-encoding chunked hdr X-A 1",
            ),
            &[GET],
        ),
        all_ways(ways("rule-return/plain", "return"), 11),
        all_ways(ways("rule-return/string", "return status 200 content-type text/plain string hello"), 11),
        all_ways(ways("rule-return/204", "return status 204"), 11),
        all_ways(ways("rule-return/304", "return status 304"), 11),
        all_ways(
            ways("rule-return/file", "return status 200 content-type \"text/html; charset=utf-8\" file {dir}/f").file("f", "<p>file</p>\n"),
            11,
        ),
        all_ways(ways("rule-return/errorfile", "return errorfile {dir}/page.http").file("page.http", PAGE), 11),
        one("rule-return/format", "return content-type text/plain lf-string \"%HM %HP %[method,lower] 100%%\\n\""),
        asks(
            ways("rule-return/format-file", "return content-type text/plain lf-file {dir}/f hdr X-A b")
                .file("f", "m=%HM v=%[method,lower]\n"),
            &[GET],
        ),
        one("rule-return/status-alone", "return status 299"),
        one("rule-return/status-404", "return status 404"),
        one("rule-return/status-503", "return status 503 content-type a/b string x"),
        one("rule-return/default-errorfiles", "return status 404 default-errorfiles"),
        one("rule-return/fields", "return status 200 content-type text/plain string x hdr X-A 1 hdr X-A 2 hdr x-b \"%[method]\""),
        one("rule-return/empty-field", "return status 200 hdr X-A %[var(txn.none)]"),
        one("rule-return/empty-format", "return status 200 content-type text/plain lf-string \"%[var(txn.none)]\""),
        one("rule-return/own-length", "return content-type text/plain string x hdr X-Length 5"),
        Case { logs: 1, ..one("rule-return/own-connection", "return content-type text/plain string x hdr Connection close") },
        asks(
            back("rule-return/backend", &["http-request return content-type text/plain string b if { method GET }"]),
            &[GET, &request("POST", "/")],
        ),
        asks(
            front(
                "rule-return/variables",
                &[
                    "http-request set-var(txn.x) str(val)",
                    "http-request return content-type text/plain lf-string \"%[var(txn.x),upper]:%[var(txn.y)]:%[int(5)]\"",
                ],
            ),
            &[GET],
        ),
        asks(
            front(
                "rule-return/log-fields",
                &["log-format \"%ST %B %ts %b %s %HM %TR/%Tw/%Tc/%Tr/%Ta\"", "http-request return content-type a/b string 12345"],
            ),
            &[GET],
        ),
        asks(front("rule-return/big", &["http-request return content-type a/b file {dir}/f"]).file("f", BIG), &[GET, GET]),
        to_the_end(
            front("rule-return/1.0", &["http-request return content-type a/b string x"]),
            &["GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\nConnection: keep-alive\r\nHost: a\r\nConnection: close\r\n\r\n"],
        )
        .build(),
    ]
}

/// A content of some kilobytes.
const BIG: &str = include_str!("replies.rs");

fn endings() -> Vec<Case> {
    let ends = |name, lines: &[&str]| {
        front(name, lines)
            .client(vec![send("DROP / HTTP/1.1\r\nHost: a\r\n\r\n"), EOF])
            .client(vec![send(GET), RESP, send("DROP / HTTP/1.1\r\nHost: a\r\n\r\n"), EOF])
            .client(vec![send("DROP / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"), EOF])
            .logs(4)
            .build()
    };
    let dropped = |name, line: &str| {
        front(name, &["http-request set-var(txn.m) str(DROP) if { method DROP }", line])
            .client(vec![send("DROP / HTTP/1.1\r\nHost: a\r\n\r\n"), quiet(150), CLOSE])
            .client(vec![send(GET), RESP])
            .logs(2)
            .build()
    };
    vec![
        ends("rule-reject/frontend", &["http-request reject if { method DROP }"]),
        back("rule-reject/backend", &["http-request reject if { method DROP }"])
            .client(vec![send("DROP / HTTP/1.1\r\nHost: a\r\n\r\n"), EOF])
            .client(vec![send(GET), RESP])
            .logs(2)
            .build(),
        dropped("rule-silent-drop/plain", "http-request silent-drop if { method DROP }"),
        dropped("rule-silent-drop/response", "http-response silent-drop if { var(txn.m) -m str DROP }"),
    ]
}

fn tarpits() -> Vec<Case> {
    vec![
        asks(ways("rule-tarpit/plain", "tarpit").fe("timeout tarpit 150ms"), &[GET]),
        asks(ways("rule-tarpit/status", "tarpit deny_status 429").fe("timeout tarpit 150ms"), &[GET, &request("OPTIONS", "/")]),
        asks(
            ways("rule-tarpit/string", "tarpit content-type text/plain string late").fe("timeout tarpit 150ms"),
            &[GET, &request("OPTIONS", "/")],
        ),
        asks(ways("rule-tarpit/connect-timeout", "tarpit").fe("# the backend's").defaults("timeout connect 200ms"), &[GET]),
        asks(back("rule-tarpit/backend", &["http-request tarpit", "timeout tarpit 150ms"]), &[GET]),
        to_the_end(ways("rule-tarpit/1.0", "tarpit").fe("timeout tarpit 150ms"), &["GET / HTTP/1.0\r\n\r\n"]).build(),
        ways("rule-tarpit/client-leaves", "tarpit").fe("timeout tarpit 400ms").client(vec![send(GET), pause(50), CLOSE]).build(),
        ways("rule-tarpit/client-half-closes", "tarpit")
            .fe("timeout tarpit 300ms")
            .client(vec![send(GET), FIN, EOF])
            .loose("log0.timers", "haproxy waits, or does not when it sees the half-close before it begins to")
            .build(),
    ]
}

fn auths() -> Vec<Case> {
    let proxy = "GET http://a/ HTTP/1.1\r\nHost: a\r\nProxy-Connection: keep-alive\r\n\r\n";
    vec![
        all_ways(ways("rule-auth/plain", "auth"), 11),
        asks(ways("rule-auth/realm", "auth realm \"My Realm\""), &[GET, &request("OPTIONS", "/")]),
        asks(ways("rule-auth/realm-format", "auth realm r-%HM"), &[GET]),
        asks(ways("rule-auth/proxy", "auth"), &[proxy, "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"]),
        asks(
            ways("rule-auth/as-proxy", "unused").config(
                "    mode http\n    option httplog\nfrontend fe\n    bind 127.0.0.1:{fe}\n    option http-use-proxy-header\n    \
                 http-request auth unless { http_auth(ul) }\n    http-request deny\nuserlist ul\n    user u insecure-password p\n",
            ),
            &[
                GET,
                proxy,
                "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
                "GET http://a/ HTTP/1.1\r\nHost: a\r\nAuthorization: Basic dTpw\r\n\r\n",
                "GET http://a/ HTTP/1.1\r\nHost: a\r\nProxy-Authorization: Basic dTpw\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: a\r\nProxy-Authorization: Basic dTpw\r\n\r\n",
            ],
        ),
        asks(
            ways("rule-auth/page-that-asks", "auth")
                .fe("errorfile 401 {dir}/page.http")
                .file("page.http", "HTTP/1.1 401 No\r\nWWW-Authenticate: Digest x\r\nX: y\r\nContent-Length: 2\r\n\r\nno"),
            &[GET],
        ),
        asks(back("rule-auth/backend", &["http-request auth"]), &[GET]),
        asks(listen("rule-auth/listen", &["http-request auth if { method GET }"]), &[GET]),
        asks(ways("rule-auth/page", "auth").fe("errorfile 401 {dir}/page.http").file("page.http", PAGE), &[GET]),
    ]
}

fn hints() -> Vec<Case> {
    let hinted = |name, lines: &[&str], request: &str| front(name, lines).client(vec![send(request), RESP, RESP]).build();
    vec![
        hinted("rule-hint/one", &["http-request early-hint Link \"</a.css>; rel=preload\""], GET),
        hinted("rule-hint/two", &["http-request early-hint Link \"</a.css>\"", "http-request early-hint X-%HM b"], GET),
        hinted(
            "rule-hint/condition",
            &["http-request early-hint Link a if { method GET }", "http-request early-hint Link b", "http-request set-header X-A 1"],
            GET,
        ),
        hinted(
            "rule-hint/each-with-condition",
            &[
                "http-request early-hint Link a if { method GET }",
                "http-request early-hint Link b if { method GET }",
                "http-request early-hint Link c",
            ],
            GET,
        ),
        hinted(
            "rule-hint/second-does-not-hold",
            &["http-request early-hint Link a", "http-request early-hint Link b if FALSE", "http-request early-hint Link c"],
            GET,
        ),
        front("rule-hint/1.0", &["http-request early-hint Link a"]).client(vec![send("GET / HTTP/1.0\r\n\r\n"), EOF]).build(),
        hinted("rule-hint/then-deny", &["http-request early-hint Link a", "http-request deny"], GET),
    ]
}
