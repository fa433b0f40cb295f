//! `lb demo` as a user runs it, with standard output going into a file or a pipe.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

fn demo(args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_lb")).arg("demo").args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts")
}

/// Reads lines until one fits; gives all of them.
fn lines_until(out: &mut impl BufRead, fits: impl Fn(&str) -> bool) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        assert_ne!(out.read_line(&mut line).expect("text"), 0, "the demo ended early: {lines:#?}");
        let found = fits(&line);
        lines.push(line.trim_end().to_owned());
        if found {
            return lines;
        }
    }
}

/// The URL of the first suggested curl command that ends like that.
fn url(lines: &[String], scheme: &str, path: &str) -> String {
    let words = lines.iter().filter(|l| l.starts_with("  curl ")).flat_map(|l| l.split(' '));
    words.filter_map(|w| w.strip_prefix(scheme)).find_map(|w| w.strip_suffix(path)).expect("a curl command").to_owned()
}

fn exchange(address: &str, send: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the front listens");
    stream.set_read_timeout(Some(lb_testkit::wait::patience())).expect("a socket");
    stream.write_all(send.as_bytes()).expect("takes it");
    stream.shutdown(std::net::Shutdown::Write).expect("half-close");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

fn interrupt(child: &Child) {
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill(1)");
    assert!(killed.success());
}

fn finish(mut child: Child, mut out: impl Read) -> (ExitStatus, String, String) {
    let (mut stdout, mut stderr) = (String::new(), String::new());
    out.read_to_string(&mut stdout).expect("text");
    child.stderr.take().expect("piped").read_to_string(&mut stderr).expect("text");
    (child.wait().expect("ends"), stdout, stderr)
}

#[test]
fn shows_servers_commands_and_what_happens_to_a_server() {
    let mut child = demo(&["--for", "600"]);
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    let intro = lines_until(&mut out, |l| l.contains("curl telnet://"));
    let file = intro.iter().find_map(|l| l.split(' ').find(|w| w.contains("lb-demo-"))).expect("names its configuration").to_owned();
    let text = std::fs::read_to_string(&file).expect("the configuration is there");
    assert!(text.contains("option httpchk") && text.contains("mode tcp"));

    assert!(intro.iter().filter(|l| l.contains("curl")).all(|l| l.len() < 80), "fits a terminal: {intro:#?}");

    // What it suggests works.
    let (http, tcp) = (url(&intro, "http://", "/"), url(&intro, "telnet://", ""));
    let mut seen = HashSet::new();
    // The demo's own requests have their turns in between.
    for _ in 0..30 {
        let answer = exchange(&http, "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("answers GET /x, for 127.0.0.1\n"), "{answer}");
        seen.extend(answer.lines().last().and_then(|l| l.split(' ').next()).map(str::to_owned));
    }
    assert!(seen.len() >= 2, "origins in turn: {seen:?}");
    let echo = exchange(&tcp, "good day\n");
    assert!(echo.starts_with("origin") && echo.ends_with(": good day\n"), "{echo}");

    let missing = RefCell::new(vec!["pages/origin2 is UP", "echo/origin2 is UP"]);
    let seen = lines_until(&mut out, |line| {
        missing.borrow_mut().retain(|text| !line.contains(text));
        missing.borrow().is_empty()
    });
    interrupt(&child);
    let (status, rest, stderr) = finish(child, out);
    let stdout = seen.join("\n") + "\n" + &rest;
    assert!(status.success(), "{stdout}{stderr}");
    assert_eq!(stderr, "");
    assert!(!stdout.contains('\x1b'), "no escape sequences into a pipe");
    assert!(!Path::new(&file).exists(), "the file goes with the demo");
    let events: Vec<&str> = stdout.lines().filter(|l| !l.contains("/s ")).collect();
    let at = |text: &str| events.iter().position(|l| l.contains(text)).unwrap_or_else(|| panic!("no '{text}' in\n{stdout}"));
    assert!(at("origin2 stops") < at("pages/origin2 is DOWN (L4CON): its share goes to origin1 and origin3"));
    assert!(at("pages/origin2 is DOWN") < at("origin2 is back"));
    assert!(at("origin2 is back") < at("pages/origin2 is UP (L7OK)"));
    assert!(at("echo/origin2 is DOWN") < at("echo/origin2 is UP"));
    let summary = &events[at("After ")..];
    assert!(summary[0].contains(", 0 failed"), "{summary:?}");
    for backend in ["  pages: ", "  echo: "] {
        let counts = summary.iter().find_map(|l| l.strip_prefix(backend)).expect("counts").split(", ");
        let counts: Vec<u64> = counts.map(|c| c.split(' ').next_back().unwrap().parse().unwrap()).collect();
        assert!(counts.len() == 3 && counts.iter().all(|n| *n > 0), "all three have answered: {summary:?}");
    }
}

#[test]
fn it_ends_after_the_time_asked_for() {
    let mut child = demo(&["--for", "2"]);
    let out = child.stdout.take().expect("piped");
    let (status, stdout, stderr) = finish(child, out);
    assert!(status.success() && stdout.contains("\nAfter "), "{stdout}{stderr}");
}

#[test]
fn a_signal_ends_it() {
    let mut child = demo(&[]);
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    lines_until(&mut out, |l| l.contains(" answered, "));
    interrupt(&child);
    let (status, stdout, _) = finish(child, out);
    assert!(status.success());
    assert!(stdout.contains("After "), "{stdout}");
}

#[test]
fn nobody_who_reads_ends_it() {
    let mut child = demo(&["--for", "60"]);
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut stderr).expect("text");
    // Without a reader it would take its minute otherwise; the harness's own limit would then show it.
    assert!(child.wait().expect("ends").success(), "{stderr}");
}
