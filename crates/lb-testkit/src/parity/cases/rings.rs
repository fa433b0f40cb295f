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
        length_of_the_log_line(),
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
        forward("forward/own-form", "local3", OLD, 3),
        forward("forward/own-form-rfc5424", "local3", NEW, 2),
        forward("forward/own-form-parts", "local3", "<34>only a priority\nno priority", 1),
        forward("forward/octet-count", "local3", "11 no priority5 <5>xy31 <134>Nov  8 07:26:31 h a[1]: m1<13>line\n", 4),
        forward("forward/rfc3164", "format rfc3164 local3", OLD, 3),
        forward("forward/rfc3164-of-rfc5424", "format rfc3164 local3", NEW, 2),
        forward("forward/rfc5424", "format rfc5424 local3", NEW, 2),
        forward("forward/local", "format local local3", OLD, 3),
        forward("forward/priority", "format priority local3", OLD, 3),
        forward("forward/short", "format short local3", NEW, 2),
        forward("forward/raw", "format raw local3", NEW, 2),
        forward("forward/timed", "format timed local3", NEW, 2),
        forward(
            "forward/zero-bytes-at-the-end",
            "local3",
            "<13>Nov  8 07:26:31 h a: m\0\n34 <134>Nov  8 07:26:31 h a[1]: m1\0\n\0<13>m\0\0\n",
            3,
        ),
        forward(
            "forward/structured-data",
            "format rfc5424 local3",
            "<13>1 2026-11-28T07:26:31Z h a p m [] x\n<13>1 2026-11-28T07:26:31Z h a p m [a\\]b][] y\n",
            2,
        ),
        forward(
            "forward/length-of-the-header",
            "len 80 format rfc3164 local3",
            &format!("<134>Nov  8 07:26:31 {} a[1]: m\n<134>Nov  8 07:26:31 {} a[1]: m\n", "h".repeat(60), "h".repeat(50)),
            2,
        ),
        forward("forward/length", "len 80 local3", &format!("<134>Nov  8 07:26:31 h a[1]: {}\n", "m".repeat(100)), 1),
        forward(
            "forward/level",
            "local3 err",
            "<131>Nov  8 07:26:31 h a: err\n<134>Nov  8 07:26:31 h a: info\n<128>Nov  8 07:26:31 h a: emerg\n",
            2,
        ),
        forward("forward/minlevel", "local3 debug notice", "<131>Nov  8 07:26:31 h a: err\n<134>Nov  8 07:26:31 h a: info\n", 2),
        forward("forward/sample", "sample 2:2 local3", "<131>one\n<131>two\n<131>three\n<131>four\n", 2),
        forward("forward/no-message", "local3", "hello\n<13>never\n", 0),
        forward("forward/then-no-message", "local3", "<13>first\n\n<13>never\n", 1),
        two(ring("ring/of-a-log-line", "tcp@127.0.0.1:{o2} format raw local0", "-", "", takes())),
        two(ring("ring/of-a-log-line-short", "tcp4@127.0.0.1:{o2} len 100 format short local0", "-", "", takes())),
    ]
}

/// The `len` of a `log` line that names a ring is that of the message, without the header.
fn length_of_the_log_line() -> Case {
    let text = format!(
        "    mode http\nring r\n    format priority\n    timeout connect 3s\n    timeout server 3s\n    server r1 127.0.0.1:{{o2}}\nfrontend fe\n    \
         bind 127.0.0.1:{{fe}}\n    log ring@r len 80 local0\n    log-format \"%HU {} %ST %ts\"\n    default_backend be\nbackend be\n    server s1 \
         127.0.0.1:{{o1}}\n",
        "x".repeat(100)
    );
    two(http("ring/length-of-the-log-line")
        .config(&text)
        .origin(serve(OK))
        .origins(vec![vec![until("xxx\n"), Step::Signal("first"), until("xxx\n")]])
        .logs(2))
}

/// RFC 3164, as most programs write it.
const OLD: &str = "<134>Nov  8 07:26:31 host1 app[123]: hello world\n<13>Nov 18 07:26:31 h a: b: c\r\n<1>Nov  8 07:26:31 h no tag\n";
const NEW: &str =
    "<134>1 2026-01-05T07:26:31.902474+01:00 host2 app2 777 ID47 [ex@1 a=\"b\\\"c\"][b] message\n<13>1 2026-11-28T07:26:31Z h a - - - x\n";

/// What a sender writes on a connection of its own, and where it goes.
fn forward(name: &'static str, target: &str, sent: &str, lines: usize) -> Case {
    let text =
        format!("    mode http\nlog-forward lf\n    bind 127.0.0.1:{{fe}}\n    timeout client 1s\n    log 127.0.0.1:{{log}} {target}\n");
    http(name).config(&text).client(vec![send(sent), Step::Logs(lines), pause(50), CLOSE]).logs(lines).build()
}
