//! tcp-request and tcp-response.

use super::*;
use crate::script::Step;

/// A frontend of mode tcp, and an origin that answers `ping`.
fn front(name: &'static str, lines: &[&str]) -> Builder {
    lines.iter().fold(tcp(name), |case, line| case.fe(line)).origin(vec![until("ping"), send("pong"), CLOSE])
}

fn ping(case: Builder) -> Case {
    case.client(vec![send("ping"), EOF]).build()
}

/// No line is written for a connection that the first rules refuse.
fn refused(case: Builder, sent: &str) -> Case {
    // The reset may come before the client has so much as looked at its connection.
    let why = "when the client learns of the reset is a matter of microseconds";
    case.client(vec![send(sent), EOF]).loose("log", "there is none").loose("client0.script", why).loose("client0.end", why).build()
}

pub(in super::super) fn cases() -> Vec<Case> {
    let silent = |case: Builder| {
        let why = "what is sent into a connection that is gone may be answered by the kernel";
        case.client(vec![send("ping"), quiet(150), CLOSE]).loose("client0.script", why).loose("client0.end", why)
    };
    let answered = |name, lines: &[&str]| {
        lines.iter().fold(tcp(name), |case, line| case.be(line)).origin(vec![
            until("ping"),
            send("pong"),
            Step::Pause(std::time::Duration::from_millis(50)),
            CLOSE,
        ])
    };
    vec![
        ping(front("rule-connection/accept", &["tcp-request connection accept", "tcp-request connection reject"])),
        refused(front("rule-connection/reject", &["tcp-request connection reject"]), "ping"),
        refused(front("rule-connection/reject-condition", &["tcp-request connection reject if LOCALHOST"]), "ping"),
        ping(front(
            "rule-connection/reject-unless",
            &[
                "tcp-request connection reject unless LOCALHOST",
                "tcp-request connection set-tos 0x10",
                "tcp-request connection set-mark 0x10 if FALSE",
            ],
        )),
        silent(front("rule-connection/silent-drop", &["tcp-request connection silent-drop"])).loose("log", "there is none").build(),
        refused(super::front("rule-connection/http", &["tcp-request connection reject"]), GET),
        ping(front("rule-session/accept", &["tcp-request session accept", "tcp-request session reject"])),
        refused(front("rule-session/reject", &["tcp-request session reject"]), "ping"),
        refused(super::front("rule-session/http", &["tcp-request session reject"]), GET),
        silent(front("rule-session/silent-drop", &["tcp-request session silent-drop"])).loose("log", "there is none").build(),
        ping(front("rule-content/accept", &["tcp-request inspect-delay 1s", "tcp-request content accept", "tcp-request content reject"])),
        front("rule-content/reject", &["tcp-request content reject"]).client(vec![send("ping"), EOF]).build(),
        front("rule-content/reject-without-a-byte", &["tcp-request content reject"]).client(vec![EOF]).build(),
        front("rule-content/silent-drop", &["tcp-request inspect-delay 1s", "tcp-request content silent-drop if { req.len ge 4 }"])
            .client(vec![send("ping"), quiet(150), CLOSE])
            .build(),
        ping(tcp("rule-content/backend").be("tcp-request content accept").be("tcp-request content reject").origin(vec![
            until("ping"),
            send("pong"),
            CLOSE,
        ])),
        tcp("rule-content/backend-reject")
            .be("tcp-request content reject")
            .origin(vec![until("ping"), send("pong"), CLOSE])
            .client(vec![send("ping"), EOF])
            .build(),
        ping(front(
            "rule-content/length",
            &["tcp-request inspect-delay 1s", "tcp-request content accept if { req.len ge 4 }", "tcp-request content reject"],
        )),
        front(
            "rule-content/in-pieces",
            &["tcp-request inspect-delay 1s", "tcp-request content accept if { req.len ge 4 }", "tcp-request content reject if WAIT_END"],
        )
        .client(vec![send("pi"), pause(60), send("ng"), EOF])
        .build(),
        front(
            "rule-content/delay-passes",
            &[
                "tcp-request inspect-delay 150ms",
                "tcp-request content reject if { req.len ge 4 }",
                "tcp-request content accept if WAIT_END",
            ],
        )
        .client(vec![send("pi"), pause(300), send("ng"), EOF])
        .build(),
        front(
            "rule-content/delay-without-a-byte",
            &["tcp-request inspect-delay 150ms", "tcp-request content reject if { req.len 0 } WAIT_END"],
        )
        .client(vec![EOF])
        .build(),
        front("rule-content/payload", &["tcp-request inspect-delay 1s", "tcp-request content reject if { req.payload(0,2) -m bin 7069 }"])
            .client(vec![send("ping"), EOF])
            .build(),
        front(
            "rule-content/client-leaves",
            &["tcp-request inspect-delay 1s", "tcp-request content accept if { req.len ge 40 }", "tcp-request content reject"],
        )
        .client(vec![send("ping"), pause(50), CLOSE])
        .build(),
        front(
            "rule-content/client-half-closes",
            &["tcp-request inspect-delay 1s", "tcp-request content accept if { req.len ge 40 }", "tcp-request content reject"],
        )
        .client(vec![send("ping"), FIN, EOF])
        .build(),
        ping(front(
            "rule-content/log",
            &[
                "tcp-request content set-log-level err",
                "tcp-request content set-var(sess.x) str(v)",
                "log-format \"%[var(sess.x)] %ts %ci\"",
            ],
        )),
        asks(
            super::front("rule-content/http", &["tcp-request content accept if { method GET }", "tcp-request content reject"]),
            &[GET, GET],
        ),
        super::front("rule-content/http-reject", &["tcp-request content reject if { method PUT }"])
            .client(vec![send(GET), RESP, send(request("PUT", "/")), EOF])
            .logs(2)
            .build(),
        super::front("rule-content/http-delay", &["tcp-request inspect-delay 1s", "tcp-request content reject if { method PUT }"])
            .client(vec![send("PUT / HT"), pause(50), send("TP/1.1\r\nHost: a\r\n\r\n"), EOF])
            .build(),
        super::back("rule-content/http-backend-reject", &["tcp-request content reject if { method PUT }"])
            .client(vec![send(GET), RESP, send(request("PUT", "/")), EOF])
            .logs(2)
            .build(),
        asks(
            super::front(
                "rule-content/http-then-request",
                &["tcp-request content set-var(txn.x) method", "http-request set-header X-M %[var(txn.x)]"],
            ),
            &[GET, &request("POST", "/")],
        ),
        ping(answered("rule-answer/accept", &["tcp-response content accept", "tcp-response content reject"])),
        ping(answered("rule-answer/reject", &["tcp-response content reject"])),
        ping(answered("rule-answer/close", &["tcp-response content close"])),
        ping(answered(
            "rule-answer/reject-condition",
            &["tcp-response inspect-delay 1s", "tcp-response content reject if { res.len ge 4 }"],
        )),
        ping(answered(
            "rule-answer/delay-passes",
            &["tcp-response inspect-delay 100ms", "tcp-response content reject if { res.len ge 40 }"],
        )),
        answered("rule-answer/silent-drop", &["tcp-response content silent-drop"]).client(vec![send("ping"), quiet(150), CLOSE]).build(),
        ping(answered("rule-answer/level", &["tcp-response content set-log-level err", "tcp-response content set-var(txn.x) str(v)"])),
        asks(super::back("rule-answer/http", &["tcp-response content accept if TRUE", "tcp-response content reject"]), &[GET, GET]),
        super::back("rule-answer/http-reject", &["tcp-response content reject"]).client(vec![send(GET), RESP, EOF]).build(),
        super::back("rule-answer/http-close", &["tcp-response content close"]).client(vec![send(GET), RESP, send(GET), RESP]).build(),
        refused(
            front("rule-expect/proxy", &["tcp-request connection expect-proxy layer4 if FALSE"]),
            "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nnothing",
        ),
        super::front("rule-expect/proxy-http", &["tcp-request connection expect-proxy layer4 if TRUE", "option forwardfor"])
            .client(vec![send(format!("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n{GET}")), RESP])
            .build(),
        super::front(
            "rule-expect/proxy-then-reject",
            &["tcp-request connection expect-proxy layer4", "tcp-request session reject if { src 1.2.3.4 }"],
        )
        .client(vec![send(format!("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n{GET}")), EOF])
        .loose("log", "there is none")
        .build(),
        super::front("rule-expect/proxy-bad", &["tcp-request connection expect-proxy layer4"]).client(vec![send(GET), EOF]).build(),
        super::front("rule-expect/netscaler", &["tcp-request connection expect-netscaler-cip layer4 if FALSE"])
            .client(vec![send(GET), RESP])
            .build(),
    ]
}
