//! What rules make of a stream: variables, captures, levels, timeouts, retries, bodies, addresses.

use super::*;

pub(in super::super) fn cases() -> Vec<Case> {
    let mut out = variables();
    out.extend(captures());
    out.extend(logs());
    out.extend(timeouts());
    out.extend(bodies());
    out.extend(addresses());
    out
}

fn variables() -> Vec<Case> {
    let show = "http-request set-header X-V \"[%[var(txn.a)]][%[var(req.b)]][%[var(sess.c)]][%[var(proc.d)]]\"";
    let case = |name, lines: &[&str]| asks(front(name, &[lines, &[show]].concat()), &[GET, &request("POST", "/x")]);
    vec![
        case(
            "rule-var/scopes",
            &[
                "http-request set-var(txn.a) str(1)",
                "http-request set-var(req.b) str(2)",
                "http-request set-var(sess.c) str(3)",
                "http-request set-var(proc.d) str(4)",
            ],
        ),
        case(
            "rule-var/live-how-long",
            &["http-request set-var(txn.a) method if { method GET }", "http-request set-var(sess.c) method if { method GET }"],
        ),
        case("rule-var/format", &["http-request set-var-fmt(txn.a) \"%HM-%[method,lower]-%%\""]),
        case(
            "rule-var/unset",
            &["http-request set-var(txn.a) str(1)", "http-request unset-var(txn.a)", "http-request unset-var(sess.none)"],
        ),
        case("rule-var/int", &["http-request set-var(txn.a) int(42)"]),
        case("rule-var/bool", &["http-request set-var(txn.a) always_true"]),
        case("rule-var/absent-source", &["http-request set-var(txn.a) str(old)", "http-request set-var(txn.a) var(txn.none)"]),
        case(
            "rule-var/ifexists",
            &[
                "http-request set-var(txn.a,ifexists) str(1)",
                "http-request set-var(req.b) str(1)",
                "http-request set-var(req.b,ifexists) str(2)",
            ],
        ),
        case("rule-var/ifnotexists", &["http-request set-var(sess.c,ifnotexists) method"]),
        case("rule-var/ifempty", &["http-request set-var(txn.a,ifempty) str(x)", "http-request set-var(req.b,ifempty) str()"]),
        case("rule-var/ifnotempty", &["http-request set-var(txn.a,ifnotempty) str(x)", "http-request set-var(req.b,ifnotempty) str()"]),
        case("rule-var/ifset", &["http-request set-var(txn.a,ifset) str(x)", "http-request set-var(req.b,ifset) var(txn.none)"]),
        case(
            "rule-var/ifgt",
            &[
                "http-request set-var(txn.a) int(5)",
                "http-request set-var(txn.a,ifgt) int(3)",
                "http-request set-var(req.b) int(5)",
                "http-request set-var(req.b,ifgt) int(7)",
            ],
        ),
        case(
            "rule-var/iflt",
            &[
                "http-request set-var(txn.a) int(5)",
                "http-request set-var(txn.a,iflt) int(3)",
                "http-request set-var(req.b) int(5)",
                "http-request set-var(req.b,iflt) int(7)",
            ],
        ),
        asks(
            front(
                "rule-var/of-the-process",
                &["http-request set-header X-V \"%[var(proc.a)] %[var(proc.b)] %[var(proc.c)] %[var(proc.d)]\""],
            )
            .global("set-var proc.a str(primary),upper")
            .global("set-var proc.b int(200),sub(proc.n)")
            .global("set-var proc.n int(3)")
            .global("set-var proc.c int(200),sub(proc.n)")
            .global("set-var-fmt proc.d \"%[var(proc.a)]-%[var(proc.none)]-%%\""),
            &[GET],
        ),
        case("rule-var/default-value", &["http-request set-var(txn.a) var(txn.none,dflt)"]),
        asks(
            front(
                "rule-var/from-request-to-response",
                &[
                    "http-request set-var(txn.a) method",
                    "http-request set-var(req.b) method",
                    "http-response set-header X-V \"[%[var(txn.a)]][%[var(req.b)]]\"",
                    "http-response set-var(res.x) str(r)",
                    "http-after-response set-header X-R %[var(res.x)]",
                ],
            ),
            &[GET],
        ),
        asks(
            front(
                "rule-var/in-the-log",
                &[
                    "log-format \"%[var(txn.a)] %[var(sess.c)] %HM\"",
                    "http-request set-var(txn.a) str(\"x y\")",
                    "http-request set-var(sess.c) int(7)",
                ],
            ),
            &[GET],
        ),
        asks(
            front(
                "rule-var/condition",
                &[
                    "http-request set-var(txn.a) method",
                    "http-request set-header X-If 1 if { var(txn.a) -m str GET }",
                    "http-request set-header X-Found 1 if { var(txn.a) -m found }",
                    "http-request set-header X-No 1 unless { var(txn.none) -m found }",
                ],
            ),
            &[GET],
        ),
        asks(
            listen(
                "rule-var/tcp-rules",
                &[
                    "tcp-request connection set-var(sess.a) str(1)",
                    "tcp-request session set-var(sess.b) str(2)",
                    "tcp-request content set-var(txn.c) str(3)",
                    "http-request set-header X-V %[var(sess.a)]%[var(sess.b)]%[var(txn.c)]",
                ],
            ),
            &[GET, GET],
        ),
    ]
}

fn captures() -> Vec<Case> {
    vec![
        asks(front("rule-capture/len", &["http-request capture method len 3"]), &[GET, &request("OPTIONS", "/")]),
        asks(
            front(
                "rule-capture/two",
                &["capture request header Host len 5", "http-request capture method len 3", "http-request capture int(77) len 5"],
            ),
            &[GET],
        ),
        asks(front("rule-capture/id", &["declare capture request len 10", "http-request capture method id 0"]), &[GET]),
        asks(front("rule-capture/id-in-backend", &["declare capture request len 10"]).be("http-request capture method id 0"), &[GET]),
        asks(
            front("rule-capture/id-that-is-none-in-backend", &["declare capture request len 10"]).be("http-request capture method id 5"),
            &[GET],
        ),
        asks(front("rule-capture/empty", &["http-request capture var(txn.none) len 3"]), &[GET]),
        asks(front("rule-capture/condition", &["http-request capture method len 10 if { method POST }"]), &[GET, &request("POST", "/")]),
        asks(
            front(
                "rule-capture/both",
                &[
                    "declare capture request len 10",
                    "declare capture response len 10",
                    "http-request capture method id 0",
                    "http-response capture status id 0",
                ],
            ),
            &[GET],
        ),
        asks(
            front("rule-capture/in-a-field", &["http-request capture method len 10", "http-request set-header X-C %[capture.req.hdr(0)]"]),
            &[GET],
        ),
        asks(
            front(
                "rule-capture/line-in-a-field",
                &["http-response set-header X-C \"%[capture.req.method] %[capture.req.uri] %[capture.req.ver]\""],
            ),
            &[&request("GET", "/a?b")],
        ),
        asks(front("rule-capture/tcp-content", &["tcp-request inspect-delay 1s", "tcp-request content capture method len 10"]), &[GET]),
        asks(
            front(
                "rule-capture/twice",
                &["declare capture request len 10", "http-request capture str(first) id 0", "http-request capture str(second) id 0"],
            ),
            &[GET],
        ),
    ]
}

fn logs() -> Vec<Case> {
    let silent = asks(front("rule-log/silent", &["http-request set-log-level silent if { method POST }"]), &[GET, &request("POST", "/")]);
    vec![
        Case { logs: 1, ..silent },
        asks(front("rule-log/err", &["http-request set-log-level err"]), &[GET]),
        asks(front("rule-log/debug", &["http-request set-log-level debug if { method POST }"]), &[GET, &request("POST", "/")]),
        asks(front("rule-log/response", &["http-response set-log-level crit if { status 200 }"]), &[GET]),
        asks(front("rule-log/denied", &["http-request set-log-level warning", "http-request deny"]), &[GET]),
        asks(
            front(
                "rule-log/nice",
                &["http-request set-nice 5", "http-response set-nice -5", "http-request set-tos 0x2e", "http-request set-header X-A 1"],
            ),
            &[GET],
        ),
        asks(listen("rule-log/content", &["tcp-request content set-log-level alert", "tcp-request content set-nice 0"]), &[GET]),
        asks(
            front(
                "rule-log/states",
                &[
                    "log-format \"%ts %ST %B %U %TR %rc\"",
                    "http-request deny if { method PUT }",
                    "http-request redirect location / if { method POST }",
                    "http-request return if { method PATCH }",
                ],
            ),
            &[GET, &request("PUT", "/"), &request("POST", "/"), &request("PATCH", "/")],
        ),
        asks(
            front("rule-log/counters", &["log-format \"%ac/%fc/%bc/%sc %rt %lc\"", "http-request deny if { method PUT }"]),
            &[GET, &request("PUT", "/"), GET],
        ),
        asks(
            front("rule-log/backend-counters", &["log-format \"%ac/%fc/%bc/%sc %b/%s %sq/%bq\""]).be("http-request deny if { method PUT }"),
            &[GET, &request("PUT", "/"), GET],
        ),
    ]
}

fn timeouts() -> Vec<Case> {
    let slow = |name, lines: &[&str]| lines.iter().fold(http(name), |case, line| case.be(line)).origin(vec![REQ, quiet(900)]);
    vec![
        slow("rule-timeout/server", &["http-request set-timeout server 150ms"]).client(vec![send(GET), RESP]).build(),
        slow("rule-timeout/server-expression", &["http-request set-timeout server int(150)"]).client(vec![send(GET), RESP]).build(),
        slow("rule-timeout/server-in-listen", &[])
            .config("    mode http\n    option httplog\nlisten l\n    bind 127.0.0.1:{fe}\n    http-request set-timeout server 150ms\n    server s 127.0.0.1:{o1}\n")
            .client(vec![send(GET), RESP])
            .build(),
        slow("rule-timeout/absent", &["timeout server 200ms", "http-request set-timeout server var(txn.none)"]).client(vec![send(GET), RESP]).build(),
        asks(back("rule-timeout/tunnel", &["http-request set-timeout tunnel 5s"]), &[GET]),
        http("rule-timeout/no-retry").fe("http-request disable-l7-retry").be("retry-on all-retryable-errors").origins(vec![vec![REQ, CLOSE], vec![REQ, send(OK)]]).client(vec![send(GET), RESP]).build(),
        http("rule-timeout/no-retry-condition").fe("http-request disable-l7-retry if { method POST }").be("retry-on all-retryable-errors").origins(vec![vec![REQ, CLOSE], vec![REQ, send(OK)]]).client(vec![send(GET), RESP]).build(),
    ]
}

fn bodies() -> Vec<Case> {
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234";
    let waits = |name, line: &str| front(name, &[line, "http-request set-header X-A 1"]);
    vec![
        waits("rule-body/whole", "http-request wait-for-body time 1s").client(vec![send(post), pause(50), send("56789"), RESP]).build(),
        waits("rule-body/at-least", "http-request wait-for-body time 1s at-least 3")
            .client(vec![send(post), pause(50), send("56789"), RESP])
            .build(),
        waits("rule-body/too-late", "http-request wait-for-body time 150ms").client(vec![send(post), EOF]).build(),
        waits("rule-body/no-body", "http-request wait-for-body time 1s").client(vec![send(GET), RESP]).build(),
        waits("rule-body/condition", "http-request wait-for-body time 1s if { method POST }")
            .client(vec![send(post), send("56789"), RESP, send(GET), RESP])
            .logs(2)
            .build(),
        waits("rule-body/client-leaves", "http-request wait-for-body time 1s").client(vec![send(post), pause(60), CLOSE]).build(),
        waits("rule-body/expect", "http-request wait-for-body time 1s")
            .client(vec![
                send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"),
                until("\r\n\r\n"),
                send("abc"),
                RESP,
            ])
            .build(),
        waits("rule-body/chunks", "http-request wait-for-body time 1s")
            .client(vec![send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), RESP])
            .build(),
        back("rule-body/backend", &["http-request wait-for-body time 1s"]).client(vec![send(post), pause(50), send("56789"), RESP]).build(),
        waits("rule-body/then-deny", "http-request wait-for-body time 1s")
            .fe("http-request deny")
            .client(vec![send(post), pause(50), send("56789"), RESP, send(GET), RESP])
            .logs(2)
            .build(),
        waits("rule-body/handshake", "http-request wait-for-handshake").client(vec![send(GET), RESP]).build(),
    ]
}

fn addresses() -> Vec<Case> {
    let show = "http-request set-header X-S \"%ci:%cp %fi:%fp\"";
    let case = |name, lines: &[&str]| asks(front(name, &[lines, &["option forwardfor", show]].concat()), &[GET, GET]);
    vec![
        case("rule-address/src", &["http-request set-src str(10.1.2.3)"]),
        case("rule-address/src-port", &["http-request set-src-port int(1234)"]),
        case("rule-address/src-both", &["http-request set-src str(10.1.2.3)", "http-request set-src-port int(1234)"]),
        case("rule-address/src-v6", &["http-request set-src str(2001:db8::1)"]),
        case("rule-address/src-bad", &["http-request set-src str(nonsense)"]),
        case("rule-address/dst", &["http-request set-dst str(10.9.8.7)", "option originalto"]),
        case("rule-address/dst-port", &["http-request set-dst-port int(4321)"]),
        case("rule-address/condition", &["http-request set-src str(10.1.2.3) if { method POST }"]),
        asks(back("rule-address/backend", &["http-request set-src str(10.1.2.3)", "option forwardfor"]), &[GET]),
        asks(listen("rule-address/connection", &["tcp-request connection set-src str(10.1.2.3)", "option forwardfor"]), &[GET, GET]),
        asks(
            listen(
                "rule-address/connection-port",
                &[
                    "tcp-request connection set-src-port int(99)",
                    "tcp-request connection set-dst str(10.9.9.9)",
                    "tcp-request connection set-dst-port int(98)",
                    "option originalto",
                    show,
                ],
            ),
            &[GET, GET],
        ),
        asks(listen("rule-address/session", &["tcp-request session set-src str(10.1.2.3)", "option forwardfor", show]), &[GET]),
        asks(listen("rule-address/content", &["tcp-request content set-src str(10.1.2.3)", "option forwardfor", show]), &[GET]),
        asks(
            front(
                "rule-address/condition-after",
                &[
                    "http-request set-src str(10.1.2.3)",
                    "http-request set-header X-In 1 if { src 10.0.0.0/8 }",
                    "http-request set-header X-Src \"%[src]:%[src_port] %[fc_src]\"",
                ],
            ),
            &[GET],
        ),
        asks(
            back("rule-address/proxy-header", &["http-request set-src str(10.1.2.3)", "http-request set-src-port int(1234)"])
                .srv("send-proxy"),
            &[GET],
        ),
        tcp("rule-address/tcp-proxy-header")
            .fe("tcp-request content set-src str(10.1.2.3)")
            .fe("tcp-request content set-dst-port int(77)")
            .srv("send-proxy")
            .origin(vec![until("ping"), send("pong"), CLOSE])
            .client(vec![send("ping"), EOF])
            .build(),
    ]
}
