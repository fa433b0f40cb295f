//! `http-request explain`: what rules did with a request that somebody sent, in the log when it is over.

mod common;

use common::{OK, PREAMBLE, io, start};
use lb_testkit::http::Connection;
use lb_testkit::wait::Deadline;
use serde_json::{Value, json};

const RULES: &str = "frontend fe
    bind 127.0.0.1:{fe}
    acl static path_beg /img /css
    acl traced hdr(x-trace) -m found
    http-request set-header X-Before 1
    http-request explain json if traced { path_end .json }
    http-request explain if traced !{ path_end .json }
    http-request deny deny_status 429 if { path /secret }
    http-request set-header X-From %[src] unless static
    http-request set-var(txn.kind) str(pictures) if static
    http-request del-header X-Trace
    http-request set-path /moved if { path /move }
    use_backend images if static
    default_backend app
backend images
    http-response set-header X-Kind %[var(txn.kind)]
    server i1 127.0.0.1:{o1}
backend app
    balance roundrobin
    http-request return status 418 if { path /teapot }
    use-server a2 if { hdr(x-two) -m found }
    server a1 127.0.0.1:{o1}
    server a2 127.0.0.1:{o1}
    server a3 127.0.0.1:{o1} backup
    server a4 127.0.0.1:{o1} weight 0
backend gone
";

fn site() -> String {
    PREAMBLE.replace("log 127.0.0.1:{log} local0", "log 127.0.0.1:{log} len 16384 local0") + RULES
}

/// Sends a request; the message about it, and what it was answered.
fn explained(lb: &common::Lb, path: &str, fields: &str) -> (String, u16) {
    let answer = io(io(Connection::open(lb.addr())).exchange(format!("GET {path} HTTP/1.1\r\nHost: h\r\nX-Trace: 1\r\n{fields}\r\n")));
    let needle = if path.ends_with(".json") { "{\"answer\"".to_owned() } else { format!("\"GET {path} HTTP/1.1\" | ") };
    let line = lb.log.wait_for(&needle, Deadline::patient()).expect("a message");
    (line[line.find("explain 127").or(line.find('{')).expect("its beginning")..].to_owned(), answer.status)
}

#[test]
fn rules_backend_and_server() {
    let origin = common::serve(OK);
    let lb = start(&site(), &[("o1", origin.port())]);
    let (text, status) = explained(&lb, "/img/x", "");
    assert_eq!(status, 200);
    for part in [
        " | http-request deny deny_status 429 if { path /secret }: no | { path }: does not match (path is '/img/x') | ",
        "http-request set-header X-From %[src] unless static: no | static: matches (path is '/img/x') | ",
        "http-request set-var(txn.kind) str(pictures) if static: applies | ",
        "the variable is 'pictures' | ",
        "http-request del-header X-Trace: applies | - x-trace: 1 | ",
        "use_backend images if static: applies | ",
        "http-response set-header X-Kind %[var(txn.kind)]: applies | + x-kind: pictures | ",
        " | -> i1: 'balance roundrobin' takes it",
    ] {
        let text = text.replace(&format!("{}:", place_of(&text)), "");
        let text = without_numbers(&text);
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }
    // What stands before it is not told.
    assert!(!text.contains("X-Before"), "{text}");
    assert!(text.contains("backend images (by ") && text.contains(" \"GET /img/x HTTP/1.1\" | 200 | frontend fe | "), "{text}");
}

/// The file's name in front of line numbers.
fn place_of(text: &str) -> &str {
    let end = text.find(".cfg:").expect("a file's name") + ".cfg".len();
    let begin = text[..end].rfind(' ').expect("a separator") + 1;
    &text[begin..end]
}

/// `12: ` in front of rules.
fn without_numbers(text: &str) -> String {
    let parts = text.split(" | ").map(|part| match part.split_once(": ") {
        Some((number, rest)) if number.bytes().all(|b| b.is_ascii_digit()) => rest,
        _ => part,
    });
    parts.collect::<Vec<_>>().join(" | ")
}

#[test]
fn answers_in_place_of_servers() {
    let origin = common::serve(OK);
    let lb = start(&site(), &[("o1", origin.port())]);
    let (text, status) = explained(&lb, "/secret", "");
    assert_eq!(status, 429);
    assert!(text.contains(": applies | { path }: matches (path is '/secret') | answers HTTP/1.1 429 Too Many Requests | "), "{text}");
    assert!(!text.contains("X-From") && !text.contains("backend "), "{text}");
    // A rule of the backend.
    let (text, status) = explained(&lb, "/teapot", "");
    assert_eq!(status, 418);
    assert!(text.contains("backend app (by default)") && text.contains("answers HTTP/1.1 418 "), "{text}");
}

#[test]
fn as_json() {
    let origin = common::serve(OK);
    let lb = start(&site(), &[("o1", origin.port())]);
    let (text, status) = explained(&lb, "/a.json", "X-Two: yes\r\n");
    assert_eq!(status, 200);
    let all: Value = serde_json::from_str(text.trim()).expect(&text);
    assert_eq!((&all["frontend"], &all["backend"], &all["backend_by"]), (&json!("fe"), &json!("app"), &json!("by default")));
    assert_eq!((&all["status"], &all["line"]), (&json!(200), &json!("GET /a.json HTTP/1.1")));
    let why = |n: usize| (all["servers"][n]["chosen"].as_bool(), all["servers"][n]["why"].as_str());
    assert_eq!(why(0), (Some(false), Some("another one is taken")));
    assert_eq!(why(1), (Some(true), Some("a 'use-server' rule names it")));
    assert_eq!(why(2), (Some(false), Some("it is a backup, and others are there")));
    assert_eq!(why(3), (Some(false), Some("its weight is 0")));
    let use_server = all["rules"].as_array().expect("rules").last().expect("one");
    assert_eq!((&use_server["applies"], &use_server["acls"][0]["values"][0]["value"]), (&json!(true), &json!("yes")));
}

/// One message for each stream that is to be explained, and none for others.
#[test]
fn others_are_not_told_of() {
    let origin = common::serve(OK);
    let lb = start(&site(), &[("o1", origin.port())]);
    let mut connection = io(Connection::open(lb.addr()));
    assert_eq!(io(connection.exchange("GET /quiet HTTP/1.1\r\nHost: h\r\n\r\n")).status, 200);
    assert_eq!(io(connection.exchange("GET /told HTTP/1.1\r\nHost: h\r\nX-Trace: 1\r\n\r\n")).status, 200);
    assert_eq!(io(connection.exchange("GET /last HTTP/1.1\r\nHost: h\r\n\r\n")).status, 200);
    lb.log.wait_for("GET /last", Deadline::patient()).expect("a line");
    let lines = lb.log.text();
    assert_eq!(lines.iter().filter(|line| line.contains("explain 127")).count(), 1, "{lines:#?}");
    assert_eq!(lines.len(), 4, "{lines:#?}");
}

/// A server that refuses, and the one that is tried next.
#[test]
fn a_server_that_was_tried() {
    let origin = common::serve(OK);
    let closed = lb_testkit::ports::free_tcp();
    let config = PREAMBLE.replace("log 127.0.0.1:{log} local0", "log 127.0.0.1:{log} len 16384 local0")
        + "frontend fe
    bind 127.0.0.1:{fe}
    http-request explain
    default_backend be
backend be
    option redispatch 1
    retries 2
    server s1 127.0.0.1:{closed}
    server s2 127.0.0.1:{o1}
";
    let lb = start(&config, &[("o1", origin.port()), ("closed", closed)]);
    let (text, status) = explained(&lb, "/x", "");
    assert_eq!(status, 200);
    assert!(text.contains("| s1: it was tried before | -> s2: 'balance roundrobin' takes it"), "{text}");
}

/// A target with a short `len` gets less, never half of something.
#[test]
fn what_does_not_fit_is_left_out() {
    let origin = common::serve(OK);
    let lb = start(&site().replace("len 16384", "len 900"), &[("o1", origin.port())]);
    let (text, _) = explained(&lb, &format!("/{}.json", "x".repeat(60)), "");
    let all: Value = serde_json::from_str(text.trim()).expect(&text);
    assert_eq!((&all["rules"], &all["backend"]), (&json!([]), &json!("app")));
    assert!(all["more_rules"].as_u64().is_some_and(|n| n > 3), "{all}");
}

/// Rules that wait, and a backend where nobody serves.
#[test]
fn waits_and_nobody_there() {
    let config = PREAMBLE.replace("log 127.0.0.1:{log} local0", "log 127.0.0.1:{log} len 16384 local0")
        + "frontend fe
    bind 127.0.0.1:{fe}
    http-request pause 10ms
    use_backend be if TRUE
backend be
    http-request explain
    http-request pause 10ms if TRUE
    http-request set-header X-Behind it
    http-after-response set-header X-After all
    server s1 127.0.0.1:9 disabled
";
    let lb = start(&config, &[]);
    let (text, status) = explained(&lb, "/x", "");
    assert_eq!(status, 503);
    for part in [
        "pause 10ms if TRUE: applies | TRUE: matches",
        " | waits | ",
        " X-Behind it: applies | + x-behind: it | ",
        " X-After all: applies | + x-after: all",
    ] {
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }
    // Who has chosen the backend was not told of.
    assert!(text.contains(" | backend be | s1: it is disabled"), "{text}");
}
