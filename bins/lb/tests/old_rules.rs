//! Rules of haproxy 1.3 to 2.0 at work: what servers and clients get of the lines that these rewrite, remove, add and refuse. What can be
//! said today is said in both ways, by `lb` and by haproxy, and all of them give the same traffic.

mod common;

use common::{is_other, program, serve, start_program};
use lb_config::upgrade;
use lb_testkit::http::Connection;
use lb_testkit::wait::Deadline;
use std::path::{Path, PathBuf};

/// A request with fields in the spelling of a client of the time.
const GET: &str = "GET /old/a?b=c HTTP/1.1\r\nHost: www.a.example\r\nX-One: 1\r\nx-one: 2\r\nX-Empty:\r\nCookie: a=b\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: Apache\r\nLocation: http://a.example/x\r\nX-Empty:\r\n\r\nok";

/// What came of a request: the head that the server got, empty when it got none; the answer; the state in the log.
#[derive(Debug, PartialEq)]
struct Got {
    sent: String,
    answer: String,
    state: String,
}

impl Got {
    fn status(&self) -> &str {
        self.answer.split(' ').nth(1).unwrap_or("")
    }

    #[track_caller]
    fn sends(&self, line: &str) {
        assert!(self.sent.contains(&format!("{line}\r\n")), "{line}\n{self:#?}");
    }

    #[track_caller]
    fn answers(&self, line: &str) {
        assert!(self.answer.contains(&format!("{line}\r\n")), "{line}\n{self:#?}");
    }
}

/// A file with these lines in its frontend and its backend.
fn file(front: &[&str], back: &[&str]) -> String {
    let lines = |lines: &[&str]| lines.iter().map(|line| format!("    {line}\n")).collect::<String>();
    format!(
        "global\n    log 127.0.0.1:{{log}} local0\n\
         defaults\n    mode http\n    log global\n    option httplog\n    timeout connect 1s\n    timeout client 9s\n    timeout server 9s\n\
         \x20   timeout tarpit 50ms\n\
         frontend fe\n    bind 127.0.0.1:{{fe}}\n{}    default_backend be\n\
         backend be\n{}    server s 127.0.0.1:{{o}}\n\
         backend other\n    server other 127.0.0.1:{{o2}}\n",
        lines(front),
        lines(back)
    )
}

fn by(program: &Path, text: &str, request: &str, response: &str) -> Got {
    let (origin, other) = (serve(response), serve("HTTP/1.1 200 other\r\nContent-Length: 0\r\n\r\n"));
    let lb = start_program(program, text, &[("o", origin.port()), ("o2", other.port())]);
    let mut client = Connection::open(lb.addr()).expect("a connection");
    client.send(request).expect("sent");
    let answer = client.response(request.starts_with("HEAD")).expect("an answer");
    let mut text = answer.head.clone();
    text.extend_from_slice(&answer.body);
    let line = lb.log.wait_for(" fe ", Deadline::patient()).expect("a line of the log");
    let sent = origin.transcripts().first().map(|t| t.received.clone()).unwrap_or_default();
    Got {
        sent: String::from_utf8_lossy(&sent).into_owned(),
        answer: String::from_utf8_lossy(&text).into_owned(),
        state: line.split_whitespace().find(|word| word.len() == 4 && word.ends_with("--")).unwrap_or("").to_owned(),
    }
}

/// What the rules make of [`GET`] and its answer.
fn got(front: &[&str], back: &[&str]) -> Got {
    by(&program(), &file(front, back), GET, OK)
}

/// The same in today's words, by `lb` and, where it is installed, by haproxy.
#[track_caller]
fn today(front: &[&str], back: &[&str]) -> Got {
    let text = file(front, back);
    let old = by(&program(), &text, GET, OK);
    let new = upgrade(text.as_bytes());
    assert_eq!(new.notes, []);
    let new = String::from_utf8(new.text).expect("text");
    assert_ne!(new, text);
    assert_eq!(old, by(&program(), &new, GET, OK), "{new}");
    let haproxy = PathBuf::from("/usr/sbin/haproxy");
    if haproxy.exists() {
        assert_eq!(old, by(&haproxy, &new, GET, OK), "{new}");
    }
    old
}

#[test]
fn block() {
    if is_other() {
        return;
    }
    let got = today(&["acl old path_beg /old", "block if old", "http-request return status 200"], &[]);
    assert_eq!((got.status(), got.state.as_str(), got.sent.as_str()), ("403", "PR--", ""));
    let got = today(&["block if { path /other }", "block unless { method GET }"], &["block if { path /none }"]);
    assert_eq!(got.status(), "200");
}

#[test]
fn reqadd_and_rspadd() {
    if is_other() {
        return;
    }
    let got = today(&["reqadd X-A:\\ 100%\\ \\#1", "rspadd X-B:\\ b if { status 200 }"], &["reqadd X-A:\\ 2", "rspadd X-B:\\ c"]);
    got.sends("x-a: 100% #1");
    got.sends("x-a: 2");
    got.answers("x-b: c\r\nx-b: b");
    // One text, two lines: those of the file may.
    let got = self::got(&["reqadd X-A:\\ 1\\r\\nX-B:\\ 2", "rspadd X-C:\\t\\x41"], &[]);
    got.sends("x-a: 1\r\nx-b: 2");
    got.answers("x-c: A");
}

#[test]
fn reqdel_and_rspdel() {
    if is_other() {
        return;
    }
    let got = today(&["reqidel ^x-one:.*", "rspidel ^server:.*"], &["rspidel ^X-Empty: if { status 404 }"]);
    assert!(!got.sent.contains("x-one") && got.sent.contains("x-empty"), "{got:#?}");
    assert!(!got.answer.contains("server:") && got.answer.contains("x-empty:"), "{got:#?}");
    let got = self::got(&["reqdel ^X-One", "reqdel GET", "reqdel ^X-Empty:$", "rspdel Apa", "rspdel ^HTTP", "rspdel ^x-"], &[]);
    assert!(got.sent.starts_with("GET ") && got.sent.contains("x-one: 2") && !got.sent.contains("x-one: 1"), "{got:#?}");
    assert!(!got.sent.contains("x-empty") && !got.answer.contains("server"), "{got:#?}");
    got.answers("x-empty: ");
}

#[test]
fn reqrep_of_the_request_line() {
    if is_other() {
        return;
    }
    let got = today(&["reqrep ^([^\\ :]*)\\ /old/(.*) \\1\\ /new/\\2"], &[]);
    got.sends("GET /new/a?b=c HTTP/1.1");
    got.sends("host: www.a.example");
    let got = today(&[], &["reqirep ^([^\\ :]*)\\ /OLD/(.*) \\1\\ /\\2"]);
    got.sends("GET /a?b=c HTTP/1.1");
    // Method and version are of the line, too; a rule that has rewritten it does not go on to the fields.
    assert_eq!(self::got(&["reqrep ^GET PUT"], &[]).status(), "400", "the whole line is replaced");
    let got = self::got(&["reqrep ^GET\\ (.*)\\ HTTP/1.1$ PUT\\ \\1\\ HTTP/1.0", "reqrep ^PUT\\ ([^\\ ]*) PUT\\ \\1&d\\ HTTP/1.0"], &[]);
    got.sends("PUT /old/a?b=c&d HTTP/1.0");
    // A target with a host has the last word on the host.
    let got = self::got(&["reqrep ^GET\\ (.*) GET\\ http://b.example\\1"], &[]);
    got.sends("host: b.example");
}

#[test]
fn reqrep_of_fields() {
    if is_other() {
        return;
    }
    let got = today(&["reqirep ^host:\\ WWW.(.*) Host:\\ \\1", "reqirep ^X-One:\\ (\\d) X-One:\\ <\\1>"], &[]);
    got.sends("host: a.example");
    got.sends("x-one: <1>\r\nx-one: <2>");
    let got =
        self::got(&["reqrep ^X-One:\\ (.) X-Two:\\ \\0\\\\\\x41\\\\\\1", "reqrep ^(.*)=b$ \\1=b;\\ c=d if { hdr(host) -m beg www }"], &[]);
    got.sends("x-two: X-One: 1A\\1");
    got.sends("x-one: 2");
    got.sends("cookie: a=b; c=d");
    // The text of the file may make lines; what comes from outside cannot.
    self::got(&["reqirep ^Host:\\ (.*) Host:\\ \\1\\r\\nX-Host:\\ \\1"], &[]).sends("host: www.a.example\r\nx-host: www.a.example");
    for bad in ["nothing", "\\ X:\\ y", "X\\ Y:\\ z"] {
        let got = self::got(&[&format!("reqrep ^Host: {bad}")], &[]);
        assert_eq!((got.status(), got.state.as_str(), got.sent.as_str()), ("400", "PR--", ""), "{bad}");
    }
}

#[test]
fn rsprep() {
    if is_other() {
        return;
    }
    let got = today(&["rspirep ^Location:\\ http://(.*) Location:\\ https://\\1"], &["rspirep ^server:.* Server:\\ x"]);
    got.answers("location: https://a.example/x");
    got.answers("server: x");
    let got = self::got(&[], &["rsprep ^HTTP/1.1\\ 200\\ OK HTTP/1.1\\ 404\\ Gone\\ away"]);
    assert!(got.answer.starts_with("HTTP/1.1 404 Gone away\r\n"), "{got:#?}");
    let got = self::got(&[], &["rsprep ^HTTP/1.1\\ 200 HTTP/1.1\\ 101"]);
    assert_eq!((got.status(), got.state.as_str()), ("502", "PH--"));
    let got = self::got(&["rsprep ^Server: nothing"], &[]);
    assert_eq!((got.status(), got.state.as_str()), ("502", "PH--"));
}

#[test]
fn reqdeny_and_rspdeny() {
    if is_other() {
        return;
    }
    for rule in ["reqdeny ^GET\\ /old", "reqideny ^cookie:.*A=", "reqdeny ^X-One:\\ 2"] {
        let got = got(&[rule], &[]);
        let expected = if rule.contains("-One") { "200" } else { "403" };
        assert_eq!(got.status(), expected, "{rule}");
        assert_eq!(got.state, if expected == "403" { "PR--" } else { "----" });
    }
    assert_eq!(got(&[], &["reqideny ^x-one:\\ 2 if { method GET }"]).status(), "403");
    assert_eq!(got(&[], &["reqideny ^x-one:\\ 2 unless { method GET }"]).status(), "200");
    for rule in ["rspdeny ^HTTP/1.1\\ 200", "rspideny ^SERVER:\\ apache"] {
        let got = got(&[rule], &[]);
        assert_eq!((got.status(), got.state.as_str()), ("502", "PH--"), "{rule}");
    }
    assert_eq!(got(&["rspdeny ^server:"], &[]).status(), "200");
}

#[test]
fn reqtarpit() {
    if is_other() {
        return;
    }
    let got = got(&["reqitarpit ^cookie:"], &[]);
    assert_eq!((got.status(), got.state.as_str(), got.sent.as_str()), ("500", "PT--", ""));
    assert_eq!(self::got(&["reqtarpit ^cookie:"], &[]).status(), "200");
}

#[test]
fn reqallow_and_reqpass() {
    if is_other() {
        return;
    }
    // Allowed is allowed, in the backend, too; edits go on.
    let allowed = got(&["reqiallow ^host:", "reqdeny ^GET", "reqrep ^X-One:.* X-One:\\ x"], &["reqdeny ^GET"]);
    assert_eq!(allowed.status(), "200");
    allowed.sends("x-one: x");
    assert_eq!(got(&["reqallow ^host:", "reqdeny ^GET"], &[]).status(), "403");
    assert_eq!(got(&["reqdeny ^GET", "reqallow ^Host:"], &[]).status(), "403");
    // Passed is past the rules that follow, and no further.
    let passed = got(&["reqipass ^host:", "reqdeny ^GET", "reqidel ^x-", "reqadd X-A:\\ b"], &[]);
    assert_eq!(passed.status(), "200");
    passed.sends("x-one: 1");
    passed.sends("x-a: b");
    assert_eq!(got(&["reqpass ^Host:"], &["reqdeny ^GET"]).status(), "403");
}

#[test]
fn reqsetbe() {
    if is_other() {
        return;
    }
    let got = got(&["reqisetbe ^cookie:\\ A other", "reqsetbe ^GET be", "use_backend be if TRUE"], &[]);
    assert!(got.answer.starts_with("HTTP/1.1 200 other"), "the first one, and before 'use_backend': {got:#?}");
    assert_eq!(self::got(&["reqsetbe ^cookie: other"], &[]).answer.find("other"), None);
}

#[test]
fn each_in_its_turn() {
    if is_other() {
        return;
    }
    // block, http-request, regexes, reqadd, redirect: whatever the order of the lines.
    let rules = [
        "redirect location /r if { hdr(x-a) -m found } { hdr(x-b) 2 }",
        "reqadd X-A:\\ 1",
        "reqrep ^X-B:\\ 1 X-B:\\ 2",
        "reqdel ^X-A",
        "http-request set-header X-B 1",
        "block if { hdr(x-b) -m found }",
    ];
    let got = got(&rules, &[]);
    got.answers("location: /r");
    assert_eq!(got.status(), "302");
    // A proxy after the other: the backend's own rules see what the frontend's have made; responses the other way round.
    let front = ["reqrep ^X-One:.* X-One:\\ f", "rsprep ^X-R:\\ b X-R:\\ f", "rspadd X-S:\\ f"];
    let back = ["http-request set-header X-Two %[req.hdr(x-one,1)]", "http-response set-header X-R b", "rspadd X-S:\\ b"];
    let got = self::got(&front, &back);
    got.sends("x-two: f");
    got.answers("x-r: f");
    got.answers("x-s: b\r\nx-s: f");
}

#[test]
fn framing_is_nobodys_to_rewrite() {
    if is_other() {
        return;
    }
    let post = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
    let rules = ["reqidel ^transfer-encoding:", "reqadd Content-Length:\\ 100", "reqrep (.*)HTTP/1.1$ \\1HTTP/1.0"];
    let got = by(&program(), &file(&rules, &[]), post, OK);
    assert_eq!(got.status(), "200");
    got.sends("POST / HTTP/1.1");
    got.sends("transfer-encoding: chunked");
    assert!(!got.sent.contains("content-length"), "{got:#?}");
    let rules = ["rspidel ^content-length:", "rspadd Transfer-Encoding:\\ chunked", "rsprep ^HTTP/1.1(.*) HTTP/1.0\\1"];
    let got = by(&program(), &file(&rules, &[]), GET, OK);
    got.answers("content-length: 2");
    assert!(!got.answer.contains("transfer-encoding"), "{got:#?}");
}

#[test]
fn explained() {
    if is_other() {
        return;
    }
    let rules =
        ["reqirep ^Host:\\ www.(.*) Host:\\ \\1", "reqideny ^cookie:.*evil", "reqsetbe ^GET\\ /old other", "use_backend be if TRUE"];
    let dir = lb_testkit::fixture::TempDir::new("explain").expect("a directory");
    let text = file(&rules, &[]);
    let ports = [("log", "1514"), ("fe", "18001"), ("o", "18002"), ("o2", "18003")].map(|(name, port)| (name.to_owned(), port.to_owned()));
    let path = dir.write("old.cfg", lb_testkit::fixture::fill(&text, &ports)).expect("a file");
    let told = common::output(
        std::process::Command::new(program()).args(["explain", "--request", "GET /old/a", "-H", "Host: www.a.example", "-f"]).arg(&path),
    );
    assert!(told.contains("reqirep ^Host: www.(.*) Host: \\1: applies\n      - host: www.a.example\n      + host: a.example"), "{told}");
    assert!(told.contains("reqideny ^cookie:.*evil: applies\n      no line is what it looks for"), "{told}");
    assert!(told.contains("backend other (by"), "{told}");
}
