//! Rules for responses of servers.

use super::*;

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-One: 1\r\nx-two: a, b\r\nServer: s\r\nSet-Cookie: a=b\r\n\r\nhello";
const CHUNKS: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-One: 1\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
const PAGE: &str = "HTTP/1.1 418 Teapot\r\nX-Page: yes\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nshort\n";

fn answered(name: &'static str, lines: &[&str], answer: &str) -> Builder {
    lines.iter().fold(http(name), |case, line| case.fe(line)).origin(serve(answer))
}

pub(in super::super) fn cases() -> Vec<Case> {
    let head = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
    let each = |name, line: &str| {
        let line = format!("http-response {line}");
        asks(answered(name, &[&line], ANSWER), &[GET, &request("POST", "/x")])
    };
    let twice = |name, line: &str| {
        let line = format!("http-response {line}");
        answered(name, &[&line], ANSWER)
            .client(vec![send(GET), RESP, send(GET), RESP])
            .client(vec![send("GET / HTTP/1.0\r\n\r\n"), EOF])
            .client(vec![send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"), RESP, send(GET), RESP])
    };
    vec![
        each("rule-response/add", "add-header X-A \"%[method] %[status]\""),
        each("rule-response/set", "set-header x-two new"),
        each("rule-response/del", "del-header server"),
        each("rule-response/del-beg", "del-header x- -m beg"),
        each("rule-response/replace-header", "replace-header Set-Cookie (.*) \"\\1; Secure\""),
        each("rule-response/replace-value", "replace-value X-Two ^b$ c"),
        each("rule-response/set-status", "set-status 418"),
        each("rule-response/set-status-reason", "set-status 503 reason \"Slow Down\""),
        each("rule-response/set-status-odd", "set-status 799"),
        each("rule-response/set-status-204", "set-status 204"),
        each("rule-response/set-status-304", "set-status 304"),
        each("rule-response/allow", "allow if { method GET }"),
        Case { logs: 1, ..each("rule-response/set-length", "set-header Content-Length 2") },
        each("rule-response/del-length", "del-header content-length"),
        Case { logs: 1, ..each("rule-response/set-connection", "set-header Connection close") },
        Case { logs: 1, ..each("rule-response/set-te", "set-header Transfer-Encoding chunked") },
        each("rule-response/log-words", "set-header X-L \"%ST|%B|%s|%b|%HM %HU|%ci\""),
        asks(
            answered("rule-response/chunks", &["http-response set-header X-A 1", "http-response del-header transfer-encoding"], CHUNKS),
            &[GET, GET],
        ),
        asks(
            answered("rule-response/head", &["http-response set-header X-A 1"], "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
            &[head, head],
        ),
        asks(
            answered("rule-response/200-for-304", &["http-response set-status 200"], "HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"),
            &[GET],
        ),
        asks(answered("rule-response/200-for-204", &["http-response set-status 200"], "HTTP/1.1 204 No Content\r\nX-A: x\r\n\r\n"), &[GET]),
        asks(
            answered(
                "rule-response/200-for-304-with-length",
                &["http-response set-status 200"],
                "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
            ),
            &[GET],
        ),
        asks(
            answered("rule-response/order", &["http-response add-header X-A f", "http-response add-header X-S %[status]"], ANSWER)
                .be("http-response add-header X-A b")
                .be("http-response set-status 201"),
            &[GET],
        ),
        asks(listen("rule-response/listen", &["http-response add-header X-A 1"]), &[GET]),
        asks(defaults("rule-response/defaults", &["http-response add-header X-A 1"]), &[GET]),
        asks(
            answered(
                "rule-response/variables",
                &[
                    "http-request set-var(txn.m) method",
                    "http-request set-var(req.m) method",
                    "http-response set-header X-M \"%[var(txn.m)]|%[var(req.m)]\"",
                    "http-response set-header X-If 1 if { var(txn.m) -m str POST }",
                ],
                ANSWER,
            ),
            &[GET, &request("POST", "/")],
        ),
        asks(
            answered(
                "rule-response/status-condition",
                &["http-response set-header X-A 1 if { status 200 }", "http-response set-header X-B 1 if { status 500:599 }"],
                ANSWER,
            ),
            &[GET],
        ),
        twice("rule-response/deny", "deny").logs(5).build(),
        twice("rule-response/deny-status", "deny deny_status 429").logs(5).build(),
        twice("rule-response/deny-string", "deny deny_status 503 content-type text/plain string no").logs(5).build(),
        twice("rule-response/deny-errorfile", "deny errorfile {dir}/page.http").file("page.http", PAGE).logs(5).build(),
        twice("rule-response/return", "return status 200 content-type text/plain string mine").logs(5).build(),
        twice("rule-response/return-plain", "return").logs(5).build(),
        twice("rule-response/return-format", "return content-type text/plain lf-string \"%[status] %HM\" hdr X-A %ST").logs(5).build(),
        asks(answered("rule-response/deny-of-some", &["http-response deny if { method POST }"], ANSWER), &[GET]),
        asks(answered("rule-response/deny-of-chunks", &["http-response deny"], CHUNKS), &[GET]),
        asks(answered("rule-response/deny-in-backend", &[], ANSWER).be("http-response deny"), &[GET]),
        asks(answered("rule-response/deny-of-head", &["http-response deny"], "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), &[head]),
        answered("rule-response/silent-drop", &["http-response silent-drop"], ANSWER).client(vec![send(GET), quiet(150), CLOSE]).build(),
        asks(
            answered("rule-response/wait-for-body", &["http-response wait-for-body time 1s", "http-response set-header X-A 1"], ANSWER),
            &[GET],
        ),
        asks(
            answered(
                "rule-response/wait-for-chunks",
                &["http-response wait-for-body time 1s at-least 3", "http-response set-header X-A 1"],
                CHUNKS,
            ),
            &[GET],
        ),
        asks(
            answered(
                "rule-response/strict",
                &["http-response set-var(res.x) str(\"a\\nb\")", "http-response set-header X-A %[var(res.x)]"],
                ANSWER,
            ),
            &[GET],
        ),
        asks(
            answered(
                "rule-response/strict-off",
                &[
                    "http-response strict-mode off",
                    "http-response set-var(res.x) str(\"a\\nb\")",
                    "http-response set-header X-A %[var(res.x)]",
                ],
                ANSWER,
            ),
            &[GET],
        ),
        asks(
            answered(
                "rule-response/interim",
                &["http-response set-header X-A 1"],
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            ),
            &[GET],
        ),
        asks(answered("rule-response/capture", &["declare capture response len 8", "http-response capture status id 0"], ANSWER), &[GET]),
        asks(
            answered(
                "rule-response/set-var-fmt",
                &["http-response set-var-fmt(res.x) \"%[status]-%HM\"", "http-response set-header X-A %[var(res.x)]"],
                ANSWER,
            ),
            &[GET],
        ),
    ]
}
