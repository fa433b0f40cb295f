//! Redirects with all their options, as rules of their own and as actions of both directions.

use super::*;

pub(in super::super) fn cases() -> Vec<Case> {
    let wheres = [
        "GET /p/q?r=s HTTP/1.1\r\nHost: www.example:8080\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://www.example/x?y HTTP/1.1\r\nHost: www.example\r\n\r\n",
        "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab",
    ];
    let each = |name, line: &str| asks(front(name, &[&format!("http-request redirect {line}")]), &wheres);
    let old = |name, line: &str| asks(front(name, &[&format!("redirect {line}")]), &wheres);
    let mut out = vec![
        each("rule-redirect/location", "location /new"),
        each("rule-redirect/location-absolute", "location https://x.example/y"),
        each("rule-redirect/location-format", "location /%HM%HP?from=%[method,lower]"),
        each("rule-redirect/location-options", "location /new drop-query append-slash"),
        each("rule-redirect/301", "location /new code 301"),
        each("rule-redirect/303", "location /new code 303"),
        each("rule-redirect/307", "location /new code 307"),
        each("rule-redirect/308", "location /new code 308"),
        each("rule-redirect/prefix", "prefix https://p.example"),
        each("rule-redirect/prefix-slash", "prefix /"),
        each("rule-redirect/prefix-path", "prefix https://p.example/base/"),
        each("rule-redirect/prefix-drop-query", "prefix https://p.example drop-query"),
        each("rule-redirect/prefix-append-slash", "prefix https://p.example append-slash"),
        each("rule-redirect/prefix-both", "prefix https://p.example drop-query append-slash code 301"),
        each("rule-redirect/prefix-format", "prefix https://%[method].example"),
        each("rule-redirect/scheme", "scheme https"),
        each("rule-redirect/scheme-options", "scheme https drop-query append-slash code 301"),
        each("rule-redirect/scheme-format", "scheme %[method,lower]"),
        each("rule-redirect/set-cookie", "location /new set-cookie SEEN=1"),
        each("rule-redirect/set-cookie-without-value", "location /new set-cookie SEEN"),
        each("rule-redirect/clear-cookie", "location /new clear-cookie USERID="),
        each("rule-redirect/clear-cookie-name", "location /new clear-cookie USERID"),
        each("rule-redirect/condition", "location /get code 301 if { method GET }"),
        each("rule-redirect/empty", "location %[var(txn.none)]"),
        each("rule-redirect/ignore-empty", "location %[var(txn.none)] ignore-empty"),
        each("rule-redirect/ignore-empty-full", "location /%HM ignore-empty"),
        old("rule-redirect/old-location", "location /new"),
        old("rule-redirect/old-prefix", "prefix https://p.example code 301 drop-query if { method GET }"),
        old("rule-redirect/old-scheme", "scheme https unless { method POST }"),
        old("rule-redirect/old-percent", "location /a%20b?c=%%"),
        old("rule-redirect/old-cookie", "location / set-cookie A=1 clear-cookie B="),
        all_ways(front("rule-redirect/all-ways", &[&format!("http-request redirect location /x {UNLESS}")]), 10),
        all_ways(front("rule-redirect/all-ways-301", &[&format!("redirect prefix http://x code 301 {UNLESS}")]), 10),
        asks(front("rule-redirect/behind-http-request", &["http-request set-path /new%HP", "redirect prefix http://x"]), &wheres[..2]),
        asks(
            front("rule-redirect/host-set-before", &["http-request set-header Host other", "http-request redirect scheme https"]),
            &wheres[..2],
        ),
        asks(front("rule-redirect/no-host", &["http-request del-header host", "http-request redirect scheme https"]), &wheres[..1]),
        asks(back("rule-redirect/backend", &["redirect location /b if { method GET }"]), &wheres),
        asks(listen("rule-redirect/listen", &["redirect location /l if { method GET }", "http-request add-header X-A 1"]), &wheres),
        asks(defaults("rule-redirect/defaults", &["http-request redirect location /d if { method GET }"]), &wheres),
    ];
    let responses = |name, line: &str| asks(front(name, &[&format!("http-response redirect {line}")]), &wheres[..2]);
    out.extend([
        responses("rule-redirect/response-location", "location /new"),
        responses("rule-redirect/response-code", "location /new code 303 if { status 200 }"),
        responses("rule-redirect/response-format", "location /%[status]"),
        responses("rule-redirect/response-cookie", "location /x clear-cookie A="),
        asks(back("rule-redirect/response-backend", &["http-response redirect location /b set-cookie A=1"]), &wheres[..2]),
    ]);
    out
}
