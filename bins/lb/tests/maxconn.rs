//! How many connections the process takes: what the file says, what `-n` says, what the limit of open files allows.

mod common;

use common::{Lb, PREAMBLE, io, start_with};
use lb_testkit::fixture::TempDir;
use lb_testkit::origin::Origin;
use lb_testkit::script::Step;
use lb_testkit::wait::must;
use std::net::TcpStream;
use std::time::Duration;

/// A relay to an origin that keeps its connections; `global` has the line about `maxconn`.
fn site(global: &str) -> String {
    PREAMBLE
        .replace("mode http", "mode tcp")
        .replace("httplog", "tcplog")
        .replace("    maxconn 500\n", &format!("    nbthread 1\n    {global}\n"))
        + "listen fe\n    bind 127.0.0.1:{fe}\n    server s1 127.0.0.1:{o1}\n"
}

fn origin() -> Origin {
    common::origin(vec![Step::Eof])
}

/// Lets a few clients more than `limit` come (as many as a short backlog holds); `limit` of them are served, and another one when
/// one has left.
#[track_caller]
fn takes(lb: &Lb, origin: &Origin, limit: usize) {
    let mut clients: Vec<TcpStream> = (0..limit + 3).map(|_| io(TcpStream::connect(lb.addr()))).collect();
    must("as many as may are served", || origin.accepted() >= limit);
    // Time to take more than it may.
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(origin.accepted(), limit);
    clients.truncate(limit - 1);
    must("one leaves, one of the next comes in", || origin.accepted() > limit);
}

/// The number after `words` in what the program wrote to stderr.
#[track_caller]
fn told(lb: &Lb, words: &str) -> usize {
    let text = lb.process.stderr();
    let number = text.split(words).nth(1).map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
    number.and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("no '{words}' in:\n{text}"))
}

/// Soft limit of open files.
fn soft_limit(lb: &Lb) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/limits", lb.process.pid())).expect("a process");
    let line = text.lines().find(|l| l.starts_with("Max open files")).expect("a line");
    line.split_whitespace().nth(3).and_then(|n| n.parse().ok()).expect("a number")
}

#[test]
fn the_switch_is_stronger_than_the_file() {
    let origin = origin();
    let lb = start_with(&["-n", "3"], None, &site("maxconn 500"), &[("o1", origin.port())]);
    takes(&lb, &origin, 3);
}

#[test]
fn the_file_has_its_way_within_the_limit() {
    let origin = origin();
    let lb = start_with(&[], Some((100, 1000)), &site("maxconn 60"), &[("o1", origin.port())]);
    takes(&lb, &origin, 60);
    // The soft limit was too low for that, and has been raised as far as needed.
    let soft = soft_limit(&lb);
    assert!((120..1000).contains(&soft), "{soft}");
    assert_eq!(lb.process.stderr(), "");
}

/// With `no strict-limits`.
#[test]
fn what_the_limit_does_not_allow_is_said() {
    if common::is_other() {
        return;
    }
    let origins = [origin(), origin(), origin()];
    let asks = start_with(&[], Some((200, 200)), &site("no strict-limits\n    maxconn 5000"), &[("o1", origins[0].port())]);
    let possible = told(&asks, "running with maxconn ");
    assert_eq!(told(&asks, "the limit is "), 200);
    assert!(["[WARNING]", "maxconn 5000 needs "].iter().all(|w| asks.process.stderr().contains(w)), "{}", asks.process.stderr());
    assert!((20..=95).contains(&possible), "two descriptors for each, and some beside: {possible}");
    takes(&asks, &origins[0], possible);
    assert!(!asks.process.stderr().contains("cannot accept"), "{}", asks.process.stderr());
    // Without a word it is as many, and that is worth no warning.
    let silent = start_with(&[], Some((100, 200)), &site(""), &[("o1", origins[1].port())]);
    takes(&silent, &origins[1], possible);
    assert_eq!(silent.process.stderr(), "");
    // The switch asks for too much as well as the file.
    let switch = start_with(&["-n", "5000"], Some((200, 200)), &site("no strict-limits\n    maxconn 10"), &[("o1", origins[2].port())]);
    assert_eq!(told(&switch, "running with maxconn "), possible);
}

#[test]
fn strict_limits_prevent_the_start() {
    for line in ["maxconn 5000", "ulimit-n 5000", "strict-limits\n maxconn 5000", "fd-hard-limit 100\n maxconn 80"] {
        let dir = TempDir::new("strict").unwrap();
        let config = "global\n LINE\nlisten l\n mode tcp\n bind 127.0.0.1:PORT\n server s 127.0.0.1:1\n";
        let file =
            dir.write("proxy.cfg", config.replace("LINE", line).replace("PORT", &lb_testkit::ports::free_tcp().to_string())).unwrap();
        let mut command = common::limited(Some((200, 200)), &file, &[]);
        let out = command.output().unwrap();
        let text = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{line}: {text}");
        assert!(text.contains("[ALERT]") && text.contains(" limit is "), "{line}: {text}");
    }
}

#[test]
fn limits_of_files_that_the_file_sets() {
    if common::is_other() {
        return;
    }
    let origins = [origin(), origin(), origin()];
    // Of a high limit only so much is used.
    let hard = start_with(&[], Some((100, 1000)), &site("fd-hard-limit 150"), &[("o1", origins[0].port())]);
    assert_eq!(soft_limit(&hard), 150);
    // Of a limit that is higher already no more is used, either.
    let low = start_with(&[], Some((1000, 1000)), &site("fd-hard-limit 150"), &[("o1", origins[2].port())]);
    takes(&low, &origins[2], 40);
    takes(&hard, &origins[0], 40);
    let asked = start_with(&[], Some((100, 1000)), &site("ulimit-n 300"), &[("o1", origins[1].port())]);
    assert_eq!(soft_limit(&asked), 300);
}
