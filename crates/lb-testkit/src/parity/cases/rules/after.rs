//! Rules for all responses, those of the proxy's own among them.

use super::*;
use crate::script::Step;

pub(in super::super) fn cases() -> Vec<Case> {
    let after = "http-after-response set-header X-After \"%[status] %HM\"";
    let own = |name, line: &str| asks(front(name, &[line, after]), &[GET, &request("POST", "/")]);
    vec![
        own("rule-after/server", "# nothing"),
        own("rule-after/deny", "http-request deny if { method GET }"),
        own("rule-after/return", "http-request return status 200 content-type a/b string x if { method GET }"),
        own("rule-after/redirect", "http-request redirect location /x if { method GET }"),
        own("rule-after/auth", "http-request auth if { method GET }"),
        own("rule-after/response-deny", "http-response deny if { status 404 }"),
        own("rule-after/response-return", "http-response return status 200 content-type a/b string x if { status 404 }"),
        own("rule-after/monitor", "monitor-uri /m"),
        asks(front("rule-after/tarpit", &["timeout tarpit 50ms", "http-request tarpit if { method GET }", after]), &[GET]),
        asks(
            front(
                "rule-after/add-and-del",
                &[
                    "http-request deny",
                    "http-after-response add-header X-A 1",
                    "http-after-response del-header cache-control",
                    "http-after-response replace-header Content-Type text/(.*) x/\\1",
                ],
            ),
            &[GET],
        ),
        asks(front("rule-after/set-status", &["http-request deny", "http-after-response set-status 404 reason Gone"]), &[GET]),
        asks(
            front(
                "rule-after/condition",
                &[
                    "http-request deny if { method GET }",
                    "http-after-response set-header X-A 1 if { status 403 }",
                    "http-after-response set-header X-B 1 unless { status 403 }",
                ],
            ),
            &[GET, &request("POST", "/")],
        ),
        asks(
            front("rule-after/allow", &["http-after-response allow if { method GET }", "http-after-response set-header X-A 1"]),
            &[GET, &request("POST", "/")],
        ),
        asks(
            front(
                "rule-after/variables",
                &[
                    "http-request set-var(txn.a) str(x)",
                    "http-after-response set-var(txn.b) var(txn.a),upper",
                    "http-after-response set-header X-A %[var(txn.b)]",
                ],
            ),
            &[GET],
        ),
        asks(
            front("rule-after/both-proxies", &["http-after-response add-header X-A f"]).be("http-after-response add-header X-A b"),
            &[GET],
        ),
        asks(
            front("rule-after/denied-in-backend", &["http-after-response add-header X-A f"])
                .be("http-after-response add-header X-A b")
                .be("http-request deny"),
            &[GET],
        ),
        asks(
            listen("rule-after/listen", &["http-request deny if { method POST }", "http-after-response add-header X-A 1"]),
            &[GET, &request("POST", "/")],
        ),
        asks(defaults("rule-after/defaults", &["http-after-response add-header X-A 1"]), &[GET]),
        asks(
            front(
                "rule-after/replace-value",
                &["http-request return status 200 hdr X-L \"a, b\"", "http-after-response replace-value X-L ^b$ c"],
            ),
            &[GET],
        ),
        asks(
            front(
                "rule-after/capture",
                &["declare capture response len 5", "http-request deny", "http-after-response capture status id 0"],
            ),
            &[GET],
        ),
        Case {
            logs: 1,
            ..asks(front("rule-after/connection", &["http-request deny", "http-after-response set-header Connection close"]), &[GET, GET])
        },
        asks(front("rule-after/length", &["http-request deny", "http-after-response set-header Content-Length 3"]), &[GET]),
        front("rule-after/bad-request", &[after]).client(vec![send("nonsense\r\n\r\n"), EOF]).build(),
        http("rule-after/503").fe(after).be("retries 0").server(Server::Refused).client(vec![send(GET), RESP]).build(),
        http("rule-after/502").fe(after).origin(vec![REQ, Step::Close]).client(vec![send(GET), RESP]).build(),
        http("rule-after/504").fe(after).be("timeout server 150ms").origin(vec![REQ, quiet(1000)]).client(vec![send(GET), RESP]).build(),
        to_the_end(front("rule-after/1.0", &["http-request deny", after]), &["GET / HTTP/1.0\r\n\r\n"]).build(),
        asks(front("rule-after/head", &["http-request deny", after]), &["HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"]),
        asks(
            front(
                "rule-after/strict",
                &[
                    "http-request set-var(txn.x) str(\"a\\nb\")",
                    "http-request deny",
                    "http-after-response set-header X-A %[var(txn.x)]",
                    "http-after-response set-header X-B 1",
                ],
            ),
            &[GET],
        ),
        asks(
            front(
                "rule-after/strict-off",
                &[
                    "http-request set-var(txn.x) str(\"a\\nb\")",
                    "http-request deny",
                    "http-after-response strict-mode off",
                    "http-after-response set-header X-A %[var(txn.x)]",
                    "http-after-response set-header X-B 1",
                ],
            ),
            &[GET],
        ),
    ]
}
