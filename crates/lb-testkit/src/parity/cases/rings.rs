//! Lines over connections: rings with their servers, and `log` lines with the address of a stream.

use super::super::case::*;
use super::{GET, OK, serve};
use crate::script::Step;

/// Traffic whose lines go to `log`, and from there to the second server of the case; `ring` and `server` are its words there.
fn ring(name: &'static str, log: &str, ring: &str, server: &str, receiver: Vec<Vec<Step>>) -> Builder {
    let section = match ring {
        "-" => String::new(),
        lines => format!("ring r\n    timeout connect 3s\n    timeout server 3s\n{lines}    server r1 127.0.0.1:{{o2}} {server}\n"),
    };
    let text = format!(
        "    mode http\n    no log\n{section}frontend fe\n    bind 127.0.0.1:{{fe}}\n    log {log}\n    log-format \"%HU %ST %ts\"\n    \
         default_backend be\nbackend be\n    server s1 127.0.0.1:{{o1}}\n"
    );
    http(name).config(&text).origin(serve(OK)).origins(receiver).logs(0)
}

/// Two requests, so two lines; the second waits until the first has come, and the connection that brought it may have ended.
fn two(case: Builder) -> Case {
    let request = |path: &str| send(GET.replace(" / ", &format!(" {path} ")));
    case.client(vec![request("/first"), RESP, Step::Wait("first"), pause(150), request("/second"), RESP]).build()
}

fn takes() -> Vec<Vec<Step>> {
    vec![vec![until("/first 200 --"), Step::Signal("first"), until("/second 200 --")]]
}

pub(super) fn cases() -> Vec<Case> {
    let long = format!("    maxlen 20\n    description \"a b\"\n    size 20000\n    format {}\n", "raw");
    vec![
        two(ring("ring/legacy", "ring@r local0", "", "", takes())),
        two(ring("ring/octet-count", "ring@r local0", "", "log-proto octet-count", takes())),
        two(ring("ring/format", "ring@r format rfc5424 local3 info", "    format priority\n", "", takes())),
        two(ring("ring/short", "ring@r local0", "    format short\n", "log-proto legacy", takes())),
        two(ring(
            "ring/maxlen",
            "ring@r local0",
            &long.replace("maxlen 20", "maxlen 16"),
            "log-proto octet-count",
            vec![vec![until("/first 200 --"), Step::Signal("first"), until("/second 200 -")]],
        )),
        two(ring("ring/proxy-header", "ring@r local0", "", "send-proxy", takes())),
        two(ring(
            "ring/connects-again",
            "ring@r local0",
            "",
            "",
            vec![vec![until("/first 200 --\n"), Step::Signal("first"), CLOSE], vec![until("/second 200 --")]],
        )),
        two(ring(
            "ring/says-something",
            "ring@r local0",
            "",
            "",
            vec![vec![send("hello\r\n"), until("/first 200 --"), Step::Signal("first"), until("/second 200 --")]],
        )),
        two(ring("ring/of-a-log-line", "tcp@127.0.0.1:{o2} format raw local0", "-", "", takes())),
        two(ring("ring/of-a-log-line-short", "tcp4@127.0.0.1:{o2} len 100 format short local0", "-", "", takes())),
    ]
}
