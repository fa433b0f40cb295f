//! Scripts against scripted answers: statuses, codes, infos and bytes sent are what haproxy 2.6.12 did with the same configuration.

#![allow(clippy::disallowed_methods)]

use lb_check::{
    Action, Check, CheckPort, CheckSpec, Connect, Event, Expect, HeaderMatch, HttpRequest, Match, Message, MysqlClient, NoWorld, Pattern,
    Rule, Script, Send, Status, SystemError, Text,
};
use lb_expr::regex::Regex;
use std::time::{Duration, Instant};

/// What a server does next.
#[derive(Clone, Copy)]
enum Does<'a> {
    Says(&'a [u8]),
    Closes,
    Resets,
    Nothing,
}
use Does::{Closes, Nothing, Resets, Says};

struct Seen {
    status: Status,
    code: Option<u32>,
    info: String,
    sent: Vec<u8>,
    actions: Vec<Action>,
}

fn try_send(check: &mut Check, now: Instant, out: &mut Vec<Action>, seen: &mut Seen) {
    while !out.is_empty() {
        for action in std::mem::take(out) {
            match &action {
                Action::Connect(_) => check.handle(now, Event::Connected, &NoWorld, out),
                Action::Send(bytes) => {
                    seen.sent.extend_from_slice(bytes);
                    check.handle(now, Event::Sent, &NoWorld, out);
                }
                Action::Done(verdict) => {
                    seen.status = verdict.status;
                    seen.code = verdict.code;
                    seen.info = String::from_utf8_lossy(&verdict.info).into_owned();
                }
                _ => {}
            }
            seen.actions.push(action);
        }
    }
}

fn play(script: Script, server: &[Does<'_>]) -> Seen {
    let now = Instant::now();
    let mut check = Check::new(CheckSpec::new(script, Duration::from_secs(1)).into());
    let mut seen = Seen { status: Status::Unknown, code: None, info: String::new(), sent: Vec::new(), actions: Vec::new() };
    let mut out = Vec::new();
    check.handle(now, Event::Start, &NoWorld, &mut out);
    try_send(&mut check, now, &mut out, &mut seen);
    for does in server {
        match does {
            Says(bytes) => check.handle(now, Event::Data(bytes), &NoWorld, &mut out),
            Closes => check.handle(now, Event::Eof, &NoWorld, &mut out),
            Resets => check.handle(now, Event::Failed(SystemError(104)), &NoWorld, &mut out),
            Nothing => check.handle(now + Duration::from_secs(2), Event::Timeout, &NoWorld, &mut out),
        }
        try_send(&mut check, now, &mut out, &mut seen);
    }
    assert!(!check.is_running(), "the script has ended");
    seen
}

#[track_caller]
fn judged(script: Script, server: &[Does<'_>], status: Status, code: Option<u32>, info: &str) -> Seen {
    let seen = play(script, server);
    assert_eq!((seen.status, seen.code, seen.info.as_str()), (status, code, info));
    seen
}

fn send(text: &str) -> Rule {
    Rule::Send(Send { what: Message::Bytes(Text::plain(text)), comment: None })
}

fn expect(what: Match) -> Expect {
    Expect::new(what)
}

fn string(text: &str) -> Match {
    Match::String(text.as_bytes().into())
}

fn regex(text: &str) -> Regex {
    Regex::new(text, false).unwrap()
}

fn tcp(expects: impl IntoIterator<Item = Expect>) -> Script {
    Script::tcp(expects.into_iter().map(|expect| Rule::Expect(expect.into())).collect())
}

fn not(expect: Expect) -> Expect {
    Expect { negate: true, ..expect }
}

fn at_least(n: u32, expect: Expect) -> Expect {
    Expect { min_recv: Some(n), ..expect }
}

fn comment(text: &str, expect: Expect) -> Expect {
    Expect { comment: Some(text.into()), ..expect }
}

#[test]
fn contents_of_tcp() {
    use Status::{L7Ok, L7Rsp, L7Tout, SockErr};
    let ok = || expect(string("+OK"));
    let passed = (L7Ok, Some(0), "(tcp-check)");
    let silent = (L7Tout, None, " at step 1 of tcp-check (expect string '+OK')");
    let empty = (L7Rsp, None, "TCPCHK got an empty response at step 1");
    let other = (L7Rsp, None, "TCPCHK did not match content '+OK' at step 1");
    type Case<'a> = (Expect, &'a [Does<'a>], (Status, Option<u32>, &'a str));
    let cases: &[Case<'_>] = &[
        (ok(), &[Says(b"+OK ready\r\n")], passed),
        (ok(), &[Says(b"+"), Says(b"O"), Says(b"K")], passed),
        (ok(), &[Says(b"\0+OK")], passed),
        (ok(), &[Says(b"-ERR\r\n"), Nothing], silent),
        (ok(), &[Says(b"+O"), Nothing], silent),
        (ok(), &[Nothing], silent),
        (ok(), &[Closes], empty),
        (ok(), &[Says(b"+O"), Closes], other),
        (ok(), &[Says(b"-E"), Resets], other),
        (ok(), &[Resets], (SockErr, None, "Connection reset by peer at step 1 of tcp-check (expect string '+OK')")),
        (comment("c", ok()), &[Nothing], (L7Tout, None, " at step 1 of tcp-check (expect string '+OK') comment: 'c'")),
        (comment("c", ok()), &[Closes], (L7Rsp, None, "TCPCHK got an empty response at step 1 comment: 'c'")),
        (comment("c", at_least(0, ok())), &[Says(b"-ERR")], (L7Rsp, None, "TCPCHK did not match content '+OK' at step 1 comment: c")),
        (not(ok()), &[Says(b"-ERR\r\n"), Nothing], silent),
        (not(ok()), &[Says(b"-ERR\r\n"), Closes], passed),
        (not(ok()), &[Says(b"+OK\r\n")], (L7Rsp, None, "TCPCHK matched unwanted content '+OK' at step 1")),
        (not(at_least(0, ok())), &[Says(b"-ERR\r\n")], passed),
        (at_least(0, ok()), &[Says(b"-ERR\r\n")], other),
        (at_least(0, ok()), &[Says(b"-E"), Nothing], silent),
        (at_least(10, ok()), &[Says(b"+OK\r\n"), Says(b"0123456789")], passed),
        (
            at_least(10, expect(Match::Regex(regex("OK")))),
            &[Says(b"+OK"), Nothing],
            (L7Tout, None, " at step 1 of tcp-check (expect regex)"),
        ),
        (at_least(10, expect(Match::Regex(regex("OK")))), &[Says(b"+OK"), Closes], passed),
        (expect(Match::Regex(regex("^\\+(OK|ok)"))), &[Says(b"+ok")], passed),
        (not(expect(Match::Regex(regex("ok")))), &[Says(b"+ok")], (L7Rsp, None, "TCPCHK matched unwanted content (regex) at step 1")),
        (expect(Match::Regex(regex("x"))), &[Says(b"+ok"), Closes], (L7Rsp, None, "TCPCHK did not match content (regex) at step 1")),
        (expect(Match::Binary(b"+OK"[..].into())), &[Says(b"+OK")], passed),
        (
            expect(Match::Binary(b"+OK"[..].into())),
            &[Says(b"-E"), Nothing],
            (L7Tout, None, " at step 1 of tcp-check (expect binary '+OK')"),
        ),
        (
            expect(Match::Binary(b"ABC"[..].into())),
            &[Says(b"-E"), Closes],
            (L7Rsp, None, "TCPCHK did not match content (binary) at step 1"),
        ),
        (expect(Match::BinaryRegex(regex("^2B4F"))), &[Says(b"+OK")], passed),
        (
            expect(Match::BinaryRegex(regex("^2b4f"))),
            &[Says(b"+OK"), Nothing],
            (L7Tout, None, " at step 1 of tcp-check (expect binary regex)"),
        ),
        (
            expect(Match::BinaryRegex(regex("41"))),
            &[Says(b"+OK"), Closes],
            (L7Rsp, None, "TCPCHK did not match content (binary regex) at step 1"),
        ),
    ];
    for (n, (expect, server, (status, code, info))) in cases.iter().enumerate() {
        let seen = play(tcp([expect.clone()]), server);
        assert_eq!((seen.status, seen.code, seen.info.as_str()), (*status, *code, *info), "case {n}");
    }
}

#[test]
fn what_is_beyond_the_buffer_is_not_there() {
    let end = || tcp([expect(string("END"))]);
    let text = |n: usize| [vec![b'x'; n], b"END".to_vec(), vec![b'y'; 1000]].concat();
    judged(end(), &[Says(&text(16_381))], Status::L7Ok, Some(0), "(tcp-check)");
    let info = "TCPCHK did not match content 'END' at step 1";
    judged(end(), &[Says(&text(16_382))], Status::L7Rsp, None, info);
    judged(tcp([not(expect(string("END")))]), &[Says(&text(50_000))], Status::L7Ok, Some(0), "(tcp-check)");
}

#[test]
fn statuses_of_choice() {
    let xx = || at_least(0, expect(string("XX")));
    let info = "TCPCHK did not match content 'XX' at step 1";
    for (status, code) in [(Status::L7OkC, Some(0)), (Status::L7Sts, Some(0)), (Status::L6Rsp, None), (Status::L4Con, None)] {
        judged(tcp([Expect { error: Some(status), ..xx() }]), &[Says(b"+OK")], status, code, info);
    }
    for (status, code) in [(Status::L7OkC, Some(0)), (Status::L6Ok, None), (Status::L4Ok, None)] {
        let script = tcp([Expect { ok: status, ..expect(string("OK")) }]);
        judged(script, &[Says(b"+OK")], status, code, "(tcp-check)");
    }
    let script = tcp([Expect { timeout: Status::L4Tout, ..xx() }]);
    judged(script, &[Nothing], Status::L4Tout, None, " at step 1 of tcp-check (expect string 'XX')");
    // That of an earlier rule has no say.
    let script = Script::tcp(vec![Rule::Expect(Box::new(Expect { ok: Status::L7OkC, ..expect(string("OK")) })), send("QUIT")]);
    judged(script, &[Says(b"+OK")], Status::L7Ok, Some(0), "(tcp-check)");
}

#[test]
fn steps_and_comments() {
    let connect = |port: Option<u16>| Rule::Connect(Connect { port: port.map(CheckPort::Number), ..Connect::default() });
    let wants = |text: &str| Rule::Expect(Box::new(expect(string(text))));
    let banner = vec![Rule::Comment("before".into()), wants("+OK")];
    judged(Script::tcp(banner), &[Nothing], Status::L7Tout, None, " at step 2 of tcp-check (expect string '+OK') comment: 'before'");
    let later = vec![Rule::Comment("a".into()), connect(None), wants("X")];
    judged(Script::tcp(later), &[Closes], Status::L7Rsp, None, "TCPCHK got an empty response at step 3");
    judged(Script::tcp(vec![]), &[], Status::L4Ok, None, "");
    judged(Script::tcp(vec![connect(None)]), &[], Status::L4Ok, None, "(tcp-check)");
    judged(Script::tcp(vec![Rule::Comment("c".into())]), &[], Status::L4Ok, None, "");
    let seen = judged(Script::tcp(vec![send("QUIT\r\n")]), &[], Status::L7Ok, Some(0), "(tcp-check)");
    assert_eq!(seen.sent, b"QUIT\r\n");
    // What was received before something is sent is forgotten; without that it is looked at again.
    let script = Script::tcp(vec![wants("1"), send("A"), wants("1")]);
    judged(script, &[Says(b"1"), Says(b"2"), Nothing], Status::L7Tout, None, " at step 3 of tcp-check (expect string '1')");
    judged(Script::tcp(vec![wants("2"), wants("1")]), &[Says(b"12")], Status::L7Ok, Some(0), "(tcp-check)");
}

#[test]
fn a_connection_follows_another() {
    let connect = |linger| Rule::Connect(Connect { linger, ..Connect::default() });
    let wants = |text: &str| Rule::Expect(Box::new(expect(string(text))));
    let script = Script::tcp(vec![connect(true), wants("X"), connect(false), wants("Y")]);
    let seen = judged(script, &[Says(b"X"), Says(b"Y")], Status::L7Ok, Some(0), "(tcp-check)");
    let closes: Vec<&Action> = seen.actions.iter().filter(|a| matches!(a, Action::Close { .. } | Action::Connect(_))).collect();
    assert!(
        matches!(closes[..], [Action::Connect(_), Action::Close { cleanly: true }, Action::Connect(_), Action::Close { cleanly: false }]),
        "{closes:?}"
    );
}

#[test]
fn a_refusal_names_its_step() {
    let refused = |rules: Vec<Rule>, kind: fn(Vec<Rule>) -> Script| {
        let now = Instant::now();
        let mut check = Check::new(CheckSpec::new(kind(rules), Duration::from_secs(1)).into());
        let mut out = Vec::new();
        check.handle(now, Event::Start, &NoWorld, &mut out);
        check.handle(now, Event::ConnectFailed(SystemError(111)), &NoWorld, &mut out);
        let Some(Action::Done(verdict)) = out.pop() else { panic!("{out:?}") };
        assert_eq!(verdict.status, Status::L4Con);
        assert!(!out.iter().any(|action| matches!(action, Action::Close { .. })));
        String::from_utf8(verdict.info.into()).unwrap()
    };
    let to =
        |port: Option<u16>| Rule::Connect(Connect { port: port.map(CheckPort::Number), comment: Some("foo".into()), ..Connect::default() });
    assert_eq!(refused(vec![], Script::tcp), "Connection refused at initial connection step of tcp-check");
    assert_eq!(refused(vec![to(Some(1))], Script::tcp), "Connection refused at step 1 of tcp-check (connect port 1) comment: 'foo'");
    assert_eq!(refused(vec![to(None)], Script::tcp), "Connection refused at step 1 of tcp-check (connect) comment: 'foo'");
    assert_eq!(refused(vec![], |_| Script::connect()), "Connection refused");
    assert_eq!(refused(vec![], |_| Script::redis()), "Connection refused");
    assert_eq!(refused(vec![], |_| Script::http(HttpRequest::default())), "Connection refused");
}

fn http(expects: Vec<Expect>) -> Script {
    let mut rules = vec![Rule::Send(Send { what: Message::Http(HttpRequest::default().into()), comment: None })];
    rules.extend(expects.into_iter().map(|expect| Rule::Expect(expect.into())));
    Script::http_rules(rules)
}

fn answer(status: &str, fields: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[test]
fn answers_of_http() {
    use Status::{L7Ok, L7Rsp, L7Sts, L7Tout};
    let status = |ranges: &[std::ops::RangeInclusive<u32>]| expect(Match::Status(ranges.into()));
    let hello = || expect(string("hello"));
    let field = |name: Pattern, value: Option<Pattern>, full| expect(Match::Header(Box::new(HeaderMatch { name, value, full })));
    let exact = |text: &str| Pattern::Exact(Text::plain(text));
    let begin = |text: &str| Pattern::Begin(Text::plain(text));
    let short = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsay helo x";
    let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsayh\r\n4\r\nello\r\n";
    type Case = (Expect, Vec<u8>, Does<'static>, Status, Option<u32>, &'static str);
    let cases: Vec<Case> = vec![
        (status(&[200..=201, 300..=310]), answer("305 x", "", ""), Nothing, L7Ok, Some(305), ""),
        (comment("foo", status(&[200..=200])), answer("404 Not Found", "", ""), Nothing, L7Sts, Some(404), "Not Found comment: foo"),
        (not(status(&[200..=200])), answer("200 OK", "", ""), Nothing, L7Sts, Some(200), "OK"),
        (expect(Match::StatusRegex(regex("^2"))), answer("404 Not Found", "", ""), Nothing, L7Sts, Some(404), "Not Found"),
        (hello(), answer("404 Not Found", "", "say hello x"), Nothing, L7Ok, Some(404), ""),
        (hello(), answer("200 OK", "", "say no"), Nothing, L7Rsp, None, "HTTP content check did not match"),
        (not(hello()), answer("200 OK", "", "say hello"), Nothing, L7Rsp, None, "HTTP check matched unwanted content"),
        (not(hello()), answer("200 OK", "", "say"), Nothing, L7Ok, Some(200), ""),
        (not(hello()), answer("200 OK", "", ""), Nothing, L7Rsp, None, "HTTP content check could not find a response body"),
        (hello(), short.to_vec(), Nothing, L7Tout, None, ""),
        (hello(), short.to_vec(), Closes, L7Rsp, None, "HTTP content check did not match"),
        (at_least(5, hello()), short.to_vec(), Nothing, L7Rsp, None, "HTTP content check did not match"),
        (at_least(50, expect(string("helo"))), short.to_vec(), Nothing, L7Tout, None, ""),
        (hello(), chunks.to_vec(), Nothing, L7Ok, Some(200), ""),
        (not(hello()), b"HTTP/1.0 200 OK\r\n\r\nsay".to_vec(), Closes, L7Ok, Some(200), ""),
        (not(hello()), b"HTTP/1.0 200 OK\r\n\r\nsay".to_vec(), Nothing, L7Tout, None, ""),
        (comment("foo", hello()), b"220 hello\r\n\r\n".to_vec(), Nothing, L7Rsp, None, " comment: foo"),
        (comment("foo", hello()), vec![], Closes, L7Rsp, None, " comment: foo"),
        (comment("foo", hello()), b"HTTP/1.1 200".to_vec(), Resets, Status::SockErr, None, "Connection reset by peer"),
        (field(exact("X-FOO"), None, false), answer("200 OK", "x-Foo: bar\r\n", ""), Nothing, L7Ok, Some(200), ""),
        (field(begin("X-F"), None, false), answer("200 OK", "x-foo: bar\r\n", ""), Nothing, L7Ok, Some(200), ""),
        (field(exact("x-foo"), Some(begin("ba")), false), answer("200 OK", "x-foo: a, bar\r\n", ""), Nothing, L7Ok, Some(200), ""),
        (field(exact("x-foo"), Some(begin("ba")), true), answer("200 OK", "x-foo: a, bar\r\n", ""), Nothing, L7Sts, Some(200), "OK"),
        (field(exact("x-foo"), Some(exact("BAR")), true), answer("200 OK", "x-foo: bar\r\n", ""), Nothing, L7Sts, Some(200), "OK"),
        (field(exact("x"), Some(exact("a b")), true), answer("200 OK", "x: a\r\n\tb\r\n", ""), Nothing, L7Ok, Some(200), ""),
        (not(field(exact("x-foo"), None, false)), answer("200 OK", "x-foo: bar\r\n", ""), Nothing, L7Sts, Some(200), "OK"),
        (Expect { error: Some(L7Rsp), ..status(&[200..=200]) }, answer("500 Foo", "", ""), Nothing, L7Rsp, None, "Foo"),
        (Expect { error: Some(L7Sts), ..status(&[200..=200]) }, b"garbage\r\n\r\n".to_vec(), Nothing, L7Rsp, None, ""),
    ];
    for (n, (expect, bytes, then, status, code, info)) in cases.into_iter().enumerate() {
        let mut server: Vec<Does<'_>> = Vec::new();
        if !bytes.is_empty() {
            server.push(Says(&bytes));
        }
        // A run that has ended takes no notice of what follows.
        server.push(then);
        let seen = play(http(vec![expect]), &server);
        assert_eq!((seen.status, seen.code, seen.info.as_str()), (status, code, info), "case {n}");
    }
}

#[test]
fn requests_one_after_the_other() {
    let request = |uri: &str| {
        Rule::Send(Send { what: Message::Http(HttpRequest { uri: Text::plain(uri), ..HttpRequest::default() }.into()), comment: None })
    };
    let rules = || {
        let found = Rule::Expect(Box::new(expect(Match::Status([404..=404].into()))));
        vec![Rule::Connect(Connect::default()), request("/a"), found, Rule::Connect(Connect::default()), request("/b")]
    };
    let not_found = answer("404 Not Found", "", "");
    let seen = judged(Script::http_rules(rules()), &[Says(&not_found), Says(&answer("500 Bad", "", ""))], Status::L7Sts, Some(500), "Bad");
    assert_eq!(seen.sent, b"OPTIONS /a HTTP/1.0\r\n\r\nOPTIONS /b HTTP/1.0\r\n\r\n");
    let closes: Vec<&Action> = seen.actions.iter().filter(|a| matches!(a, Action::Close { .. })).collect();
    assert_eq!(closes, [&Action::Close { cleanly: true }, &Action::Close { cleanly: false }]);
    // Where the last answer is 404, the server wants no new work; where an earlier one is, it goes on.
    let script = Script::http(HttpRequest::default()).disable_on_404(true);
    judged(script, &[Says(&not_found)], Status::L7OkC, Some(404), "");
    let script = Script::http_rules(rules()).disable_on_404(true);
    judged(script, &[Says(&not_found), Says(&answer("200 OK", "", ""))], Status::L7Ok, Some(200), "");
}

#[test]
fn redis() {
    let seen = judged(Script::redis(), &[Says(b"+PO"), Says(b"NG\r\n")], Status::L7Ok, Some(0), "Redis server is ok");
    assert_eq!(seen.sent, b"*1\r\n$4\r\nPING\r\n");
    judged(Script::redis(), &[Says(b"-NOAUTH x\r\n"), Closes], Status::L7Sts, Some(0), "-NOAUTH x");
    judged(Script::redis(), &[Says(b"-NOAUTH x\r\n"), Nothing], Status::L7Tout, None, "");
    judged(Script::redis(), &[Says(b"+PONG more\r\n"), Nothing], Status::L7Tout, None, "");
    judged(Script::redis(), &[Closes], Status::L7Sts, Some(0), "TCPCHK got an empty response at step 2");
    judged(Script::redis(), &[Resets], Status::SockErr, None, "Connection reset by peer");
    judged(Script::redis(), &[Says(b"+PO"), Resets], Status::L7Sts, Some(0), "+PO");
}

#[test]
fn smtp() {
    use Status::{L7Ok, L7Rsp, L7Sts, L7Tout};
    let helo = || Script::smtp("HELO", "localhost");
    let seen = judged(helo(), &[Says(b"220 a\r\n"), Says(b"250 b\r\n"), Says(b"221   bye  x \r\n221 z\r\n")], L7Ok, Some(221), "bye  x ");
    assert_eq!(seen.sent, b"HELO localhost\r\nQUIT\r\n");
    assert!(seen.actions.contains(&Action::Close { cleanly: true }));
    judged(helo(), &[Says(b"220 a\n"), Says(b"250 b\n"), Says(b"221 bye\n")], L7Ok, Some(221), "bye");
    judged(helo(), &[Says(b"220\r\n"), Says(b"250\r\n"), Says(b"221\r\n")], L7Ok, Some(221), "");
    let ehlo = Script::smtp("EHLO", "foo.com");
    let seen = judged(
        ehlo,
        &[Says(b"220 a\r\n"), Says(b"250-mx\r\n25"), Says(b"0 SIZE\r\n"), Says(b"221-bye\r\n221 z\r\n")],
        L7Ok,
        Some(221),
        "bye",
    );
    assert_eq!(seen.sent, b"EHLO foo.com\r\nQUIT\r\n");
    judged(helo(), &[Says(b"220-mx\r\n220 b\r\n")], L7Rsp, None, "220-mx");
    judged(helo(), &[Says(b"220"), Says(b"-mx\r\n")], L7Rsp, None, "220-mx");
    judged(helo(), &[Says(b"22"), Closes], L7Rsp, None, "22");
    judged(helo(), &[Says(b"554 no\r\n")], L7Sts, Some(554), "no");
    judged(helo(), &[Says(b"garbage\r\n")], L7Rsp, None, "garbage");
    judged(helo(), &[Says(b"220 yes\r\n"), Says(b"421 mx foo\r\n"), Nothing], L7Tout, None, "");
    judged(helo(), &[Says(b"220 yes\r\n"), Says(b"421 mx foo\r\n"), Closes], L7Sts, Some(421), "mx foo");
    judged(helo(), &[Says(b"220 yes\r\n"), Closes], L7Sts, Some(0), "TCPCHK got an empty response at step 5");
    judged(helo(), &[Says(b"220 y\r\n"), Says(b"250 x\r\n"), Closes], L7Sts, Some(0), "TCPCHK got an empty response at step 7");
    judged(helo(), &[Says(b"220 y\r\n"), Says(b"250 x\r\n"), Says(b"502 what\r\n")], L7Sts, Some(502), "what");
    judged(helo(), &[Says(b"220 y\r\n250 x\r\n221 z\r\n"), Nothing], L7Tout, None, "");
    judged(helo(), &[Closes], L7Rsp, None, "TCPCHK got an empty response at step 2");
    judged(Script::smtp("EHLO", "a"), &[Says(b"220 a\r\n"), Says(b"250-mx\n250 x\n"), Nothing], L7Tout, None, "");
}

#[test]
fn pgsql() {
    use Status::{L7Ok, L7Rsp, L7Sts, L7Tout};
    let script = || Script::pgsql("foo");
    let seen = judged(script(), &[Says(b"R\0\0\0\x08\0"), Says(b"\0\0\0")], L7Ok, Some(0), "PostgreSQL server is ok");
    assert_eq!(seen.sent, b"\0\0\0\x12\0\x03\0\0user\0foo\0\0");
    for (auth, good) in (0..14).map(|n| (n, ![1, 8, 11, 12, 13].contains(&n))) {
        let bytes = [b'R', 0, 0, 0, 8, 0, 0, 0, auth];
        let (status, info) = if good { (L7Ok, "PostgreSQL server is ok") } else { (L7Sts, "PostgreSQL unknown error") };
        judged(script(), &[Says(&bytes)], status, Some(0), info);
    }
    judged(script(), &[Says(b"E\0\0\0\x5dSFATAL\0C28000\0")], L7Rsp, None, "FATAL");
    judged(script(), &[Says(b"E\0\0"), Nothing], L7Tout, None, "");
    judged(script(), &[Says(b"X\0\0\0\0\0"), Closes], L7Sts, Some(0), "PostgreSQL unknown error");
    judged(script(), &[Closes], L7Rsp, None, "TCPCHK got an empty response at step 3");
}

fn packet(number: u8, payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u32).to_le_bytes()[..3], &[number], payload].concat()
}

#[test]
fn mysql() {
    use Status::{L7Ok, L7Rsp, L7Sts, L7Tout};
    let hello = packet(0, b"\x0a5.5.5-MariaDB\0\x01\0\0\0rest");
    let ok = packet(2, b"\0\0\0\x02\0\0\0");
    let login = |client| Script::mysql(Some(("foo", client)));
    judged(Script::mysql(None), &[Says(&hello)], L7Ok, Some(0), "5.5.5-MariaDB");
    let seen = judged(login(MysqlClient::Post41), &[Says(&hello), Says(&ok)], L7Ok, Some(0), "5.5.5-MariaDB");
    let mut bytes = b"%\0\0\x01\0\x82\0\0\0\x80\0\x01!".to_vec();
    bytes.extend_from_slice(&[0; 23]);
    bytes.extend_from_slice(b"foo\0\0\x01\0\0\0\x01");
    assert_eq!(seen.sent, bytes);
    let seen = judged(login(MysqlClient::Pre41), &[Says(&[&hello[..], &ok].concat())], L7Ok, Some(0), "5.5.5-MariaDB");
    assert_eq!(seen.sent, b"\n\0\0\x01\0\x80\0\0\x01foo\0\0\x01\0\0\0\x01");
    judged(Script::mysql(None), &[Says(&packet(0, b"\xff\x6a\x04Host blocked"))], L7Sts, Some(1130), "Host blocked");
    judged(Script::mysql(None), &[Says(&packet(0, b"\xff\x6a"))], L7Sts, Some(106), "");
    judged(Script::mysql(None), &[Says(&packet(0, b""))], L7Ok, Some(0), "");
    judged(login(MysqlClient::Post41), &[Says(&hello), Says(&packet(2, b"\xff\x15\x04#28000no"))], L7Sts, Some(1045), "#28000no");
    judged(login(MysqlClient::Post41), &[Says(&hello), Closes], L7Rsp, None, "");
    judged(Script::mysql(None), &[Says(b"HTTP/1.0 400 Bad\r\n"), Nothing], L7Tout, None, "");
    judged(Script::mysql(None), &[Says(&hello[..9]), Closes], L7Rsp, None, "");
    judged(Script::mysql(None), &[Says(&[0xff; 20_000])], L7Rsp, None, "");
    judged(Script::mysql(None), &[Closes], L7Rsp, None, "TCPCHK got an empty response at step 2");
    judged(login(MysqlClient::Post41), &[Says(&hello), Nothing], L7Tout, None, "");
}

#[test]
fn ldap() {
    use Status::{L7Ok, L7Rsp, L7Sts, L7Tout};
    let not = "Not LDAPv3 protocol";
    let see = "See RFC: http://tools.ietf.org/html/rfc4511#section-4.1.9";
    let cases: &[(&str, Does<'_>, Status, Option<u32>, &str)] = &[
        ("300c02010161070a010004000400", Nothing, L7Ok, Some(0), "Success"),
        ("3084000000100201016184000000070a010004000400", Nothing, L7Ok, Some(0), "Success"),
        ("3082000c02010161070a010004000400", Nothing, L7Ok, Some(0), "Success"),
        ("300d0201016181070a010004000400", Nothing, L7Ok, Some(0), "Success"),
        ("300c02010161070a013104000400", Nothing, L7Sts, Some(49), see),
        ("300c02010165070a010004000400", Nothing, L7Rsp, None, not),
        ("300c02010261070a010004000400", Nothing, L7Rsp, None, not),
        ("3085000000000c02010161070a010004000400", Nothing, L7Rsp, None, not),
        ("300c02010161070a02000204000400", Nothing, L7Rsp, None, not),
        ("485454502f312e30203430302042", Nothing, L7Rsp, None, not),
        ("485454502f312e302034303020", Nothing, L7Tout, None, ""),
        ("30840000010002010161840000000a010004000400", Nothing, L7Tout, None, ""),
        ("300c0201", Closes, L7Rsp, None, ""),
    ];
    for (hex, then, status, code, info) in cases {
        let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        let seen = judged(Script::ldap(), &[Says(&bytes), *then], *status, *code, info);
        assert_eq!(seen.sent, b"0\x0c\x02\x01\x01`\x07\x02\x01\x03\x04\x00\x80\x00");
    }
}

#[test]
fn tls_hello() {
    let seen = judged(Script::ssl_hello(), &[Says(b"\x16\x03"), Says(b"\0\0\x2a")], Status::L6Ok, None, "");
    assert_eq!(seen.sent.len(), 5 + 0x79);
    assert_eq!(seen.sent[..11], *b"\x16\x03\0\0\x79\x01\0\0\x75\x03\0");
    judged(Script::ssl_hello(), &[Says(b"\x15\x03\0\0\x02\x02\x28")], Status::L6Ok, None, "");
    judged(Script::ssl_hello(), &[Says(b"HTTP/1.0 400")], Status::L6Rsp, None, "");
    judged(Script::ssl_hello(), &[Closes], Status::L6Rsp, None, "TCPCHK got an empty response at step 2");
    judged(Script::ssl_hello(), &[Nothing], Status::L6Tout, None, "");
}

fn text(text: &[u8]) -> Vec<u8> {
    [&[text.len() as u8], text].concat()
}

fn frame(kind: u8, flags: u8, pairs: &[Vec<u8>]) -> Vec<u8> {
    let body = [&[kind, 0, 0, 0, flags, 0, 0][..], &pairs.concat()].concat();
    [&(body.len() as u32).to_be_bytes()[..], &body].concat()
}

fn named(name: &str, kind: u8, value: &[u8]) -> Vec<u8> {
    [&text(name.as_bytes())[..], &[kind], value].concat()
}

#[test]
fn spop() {
    use Status::{L7Ok, L7Rsp, L7Tout};
    let version = |v: &[u8]| named("version", 8, &text(v));
    // 1000, 255 and 16381 in the numbers of the protocol.
    let size = |bytes: &[u8]| named("max-frame-size", 3, bytes);
    let (good, small, big) = (size(b"\xf8\x2f"), size(b"\xff\x00"), size(b"\xfd\xf0\x06"));
    let capabilities = named("capabilities", 8, &text(b""));
    let hello = |pairs: &[Vec<u8>]| frame(101, 1, pairs);
    let cases: Vec<(Vec<u8>, Status, Option<u32>, &str)> = vec![
        (hello(&[version(b"2.0"), good.clone(), capabilities.clone()]), L7Ok, Some(0), "SPOA server is ok"),
        (hello(&[version(b" 2.0 "), good.clone()]), L7Ok, Some(0), "SPOA server is ok"),
        (hello(&[version(b"1.0"), good.clone()]), L7Rsp, None, "unsupported version"),
        (hello(&[version(b"2.0"), small]), L7Rsp, None, "max-frame-size too big or too small"),
        (hello(&[version(b"2.0"), big]), L7Rsp, None, "max-frame-size too big or too small"),
        (hello(&[version(b"2.0")]), L7Rsp, None, "max-frame-size value not found"),
        (hello(&[]), L7Rsp, None, "version value not found"),
        (frame(101, 0, &[version(b"2.0"), good]), L7Rsp, None, "fragmentation not supported"),
        (frame(102, 1, &[named("status-code", 3, &[3]), named("message", 8, &text(b"x"))]), L7Rsp, None, "frame is too big"),
        (frame(102, 1, &[named("status-code", 3, &[99])]), L7Rsp, None, "an unknown error occurred"),
        (frame(102, 1, &[]), L7Rsp, None, "normal"),
        (frame(103, 1, &[]), L7Rsp, None, "invalid frame received"),
        (b"\0\0\0\0".to_vec(), L7Rsp, None, "invalid frame received"),
    ];
    for (bytes, status, code, info) in cases {
        judged(Script::spop(), &[Says(&bytes[..3]), Says(&bytes[3..])], status, code, info);
    }
    judged(Script::spop(), &[Says(b"HTTP/1.0 400 Bad"), Nothing], L7Tout, None, "");
    judged(Script::spop(), &[Says(b"\0\0\0\x20abc"), Closes], L7Rsp, None, "invalid frame received");
    let seen = judged(Script::spop(), &[Nothing], L7Tout, None, "");
    let expected = b"\0\0\0N\x01\0\0\0\x01\0\0\x12supported-versions\x08\x032.0\x0emax-frame-size\x03\xfc\xf0\x06\x0ccapabilities\x08\0\x0bhealthcheck\x11";
    assert_eq!(seen.sent, expected);
}
