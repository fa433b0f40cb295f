//! `set-priority-class` and `set-priority-offset`: in which order those that wait get the one place of a server.

use super::*;
use crate::script::Step;

const SIGNALS: [&str; 4] = ["first", "second", "third", "fourth"];

pub(in super::super) fn cases() -> Vec<Case> {
    let by = |what: &str| format!("http-request {what} req.hdr_val(x-p)");
    let class = by("set-priority-class");
    let offset = by("set-priority-offset");
    vec![
        queued("priority/none", &[], &["", "", "", ""]),
        queued("priority/class", &[&class], &["5", "0", "-5", ""]),
        queued("priority/class-of-one-kind", &[&class], &["3", "3", "1", "1"]),
        queued("priority/class-too-large", &[&class], &["5000", "2047", "-5000", "-2047"]),
        queued("priority/offset", &[&offset], &["3000", "0", "-3000", ""]),
        queued("priority/offset-too-large", &[&offset], &["600000", "0", "1000", ""]),
        queued(
            "priority/class-before-offset",
            &[
                "http-request set-priority-class int(1) if { req.hdr_val(x-p) lt 3 }",
                "http-request set-priority-offset int(-5000) if { req.hdr_val(x-p) lt 2 }",
                "http-request set-priority-offset int(-5000) if { req.hdr_val(x-p) gt 3 }",
            ],
            &["1", "2", "3", "4"],
        ),
        queued(
            "priority/last-rule-counts",
            &["http-request set-priority-class int(9)", "http-request set-priority-class int(-9) if { req.hdr_val(x-p) 1 }"],
            &["0", "1", "0", "1"],
        ),
        queued(
            "priority/by-content",
            &["tcp-request inspect-delay 1s", "tcp-request content set-priority-class req.hdr_val(x-p) if HTTP"],
            &["5", "0", "-5", ""],
        ),
    ]
}

/// One request has the server's only place; four more come one after the other, each with its own `X-P`, and wait.
fn queued(name: &'static str, rules: &[&str], priorities: &[&str; 4]) -> Case {
    let mut case = rules.iter().fold(http(name), |case, line| case.fe(line)).srv("maxconn 1");
    case = case.origins(vec![vec![REQ, Step::Signal("held"), Step::Wait("free"), send(OK), Step::Serve(OK.into())], serve(OK)]);
    for (n, (signal, priority)) in SIGNALS.into_iter().zip(priorities).enumerate() {
        let field = if priority.is_empty() { String::new() } else { format!("X-P: {priority}\r\n") };
        let request = format!("GET /{n} HTTP/1.1\r\nHost: a\r\n{field}\r\n");
        case = case.beside(vec![Step::Wait(signal), send(request), RESP, Step::Wait("done")]);
    }
    let mut steps = vec![send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"), Step::Wait("held")];
    // Long enough apart that the order in which they come is the order in which they wait.
    steps.extend(SIGNALS.into_iter().flat_map(|signal| [Step::Signal(signal), pause(60)]));
    // Nobody leaves before all lines are written, so that these show the same numbers of connections.
    steps.extend([Step::Signal("free"), RESP, Step::Logs(5), Step::Signal("done")]);
    case.client(steps).logs(5).build()
}
