//! The same scripted servers checked by Debian's haproxy and by us: the same verdict in the log, word for word, and the same bytes to the
//! server. The cases are in `checks/*.txt`.
#![allow(clippy::disallowed_methods)] // Tests live in real time.

mod world;

use lb_testkit::fixture::TempDir;
use lb_testkit::origin::Origin;
use lb_testkit::ports::free_tcp;
use lb_testkit::process::{HAPROXY, Process};
use lb_testkit::script::{End, Plain, Step};
use lb_testkit::syslog::Syslog;
use lb_testkit::wait;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use world::{Running, without_duration};

#[test]
fn tcp() {
    compare(include_str!("checks/tcp.txt"));
}

#[test]
fn http() {
    compare(include_str!("checks/http.txt"));
}

#[test]
fn protocols() {
    compare(include_str!("checks/protocols.txt"));
}

#[derive(Default)]
struct Case {
    name: String,
    lines: Vec<String>,
    server: String,
    scripts: Vec<Vec<Step>>,
    also: Vec<Step>,
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(b) = rest.next() {
        if b != b'\\' {
            bytes.push(b);
            continue;
        }
        let digit = |b: Option<u8>| char::from(b.unwrap()).to_digit(16).unwrap() as u8;
        bytes.push(match rest.next() {
            Some(b'r') => b'\r',
            Some(b'n') => b'\n',
            Some(b'x') => digit(rest.next()) << 4 | digit(rest.next()),
            other => other.unwrap(),
        });
    }
    bytes
}

/// What stands between the first quote and the last one.
fn quoted(text: &str) -> Vec<u8> {
    let (from, to) = (text.find('"').unwrap(), text.rfind('"').unwrap());
    unescape(&text[from + 1..to])
}

fn step(text: &str) -> Step {
    let number = |word: Option<&str>| word.and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("{text}"));
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match word {
        _ if text.starts_with('"') => Step::Send(quoted(text)),
        "some" => Step::Count(1),
        "hold" => Step::Eof,
        "fin" => Step::HalfClose,
        "reset" => Step::Reset,
        "pause" => Step::Pause(Duration::from_millis(number(Some(rest)) as u64)),
        "until" => Step::Until(quoted(rest)),
        "drip" => Step::Drip { bytes: quoted(rest), size: 1, pause: Duration::from_millis(2) },
        "fill" => {
            let (before, behind) = (number(rest.split(' ').next()), number(rest.rsplit(' ').next()));
            Step::Send([vec![b'x'; before], quoted(rest), vec![b'y'; behind]].concat())
        }
        _ => panic!("{text}"),
    }
}

fn read(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with(';')) {
        if let Some(name) = line.strip_prefix("# ") {
            cases.push(Case { name: name.to_owned(), scripts: vec![Vec::new()], ..Case::default() });
            continue;
        }
        let case = cases.last_mut().unwrap();
        if line.starts_with(">>") {
            case.scripts.push(Vec::new());
        } else if let Some(text) = line.strip_prefix("> ") {
            case.scripts.last_mut().unwrap().push(step(text));
        } else if let Some(text) = line.strip_prefix("+ ") {
            case.also.push(step(text));
        } else if let Some(words) = line.strip_prefix("server ") {
            case.server = words.to_owned();
        } else {
            case.lines.push(line.to_owned());
        }
    }
    for script in cases.iter_mut().flat_map(|case| case.scripts.iter_mut().chain([&mut case.also])) {
        if !matches!(script.last(), Some(Step::Eof | Step::Reset)) {
            script.push(Step::Close);
        }
    }
    cases
}

/// The servers of one program.
struct Servers(Vec<(Origin, Origin)>);

impl Servers {
    fn start(cases: &[Case]) -> Servers {
        let origin = |scripts: Vec<Vec<Step>>| Origin::start(scripts, Arc::new(Plain::default())).unwrap();
        Servers(cases.iter().map(|case| (origin(case.scripts.clone()), origin(vec![case.also.clone()]))).collect())
    }

    /// Checks take as long as they need within `inter`: on a busy machine, too.
    fn config(&self, cases: &[Case], log: u16, listen: u16) -> String {
        let mut text = format!(
            "global\n log 127.0.0.1:{log} len 4096 local0\n maxconn 2000\n node lb1\n tune.vars.check-max-size 400\ndefaults\n mode tcp\n log global\n timeout connect 1s\n \
             timeout client 5s\n timeout server 5s\n option log-health-checks\n\
             frontend f\n bind 127.0.0.1:{listen}\n"
        );
        for (n, (case, (origin, also))) in cases.iter().zip(&self.0).enumerate() {
            let _ = writeln!(text, "backend b{n}");
            for line in &case.lines {
                let line = line.replace("{port}", &origin.port().to_string()).replace("{also}", &also.port().to_string());
                let _ = writeln!(text, " {line}");
            }
            let _ = writeln!(text, " server s 127.0.0.1:{} check inter 2s rise 1 fall 1 {}", origin.port(), case.server);
        }
        text
    }

    /// What each server has received over its first connection, and how that ended; its own port is called P.
    fn seen(&self) -> Vec<String> {
        let first = |origin: &Origin| {
            let seen = origin.transcripts().into_iter().next();
            let Some(seen) = seen else { return "nothing".to_owned() };
            let text = seen.received.escape_ascii().to_string().replace(&seen.local_port.to_string(), "P");
            let text = text.replace(&seen.peer_port.to_string(), "C");
            // Who is closed by the server itself sees nothing of it.
            let end = if seen.end == End::Own { String::new() } else { format!(" {:?}", seen.end) };
            format!("{text}{end}")
        };
        self.0.iter().map(|(origin, also)| format!("{} | {}", first(origin), first(also))).collect()
    }
}

/// The first verdict on each server, by the number of its backend.
fn verdicts(log: &Syslog) -> BTreeMap<usize, String> {
    let mut found = BTreeMap::new();
    for line in log.text() {
        let Some((_, rest)) = line.split_once("Health check for server b") else { continue };
        let Some((number, text)) = rest.split_once("/s ") else { continue };
        found.entry(number.parse().unwrap()).or_insert_with(|| without_duration(text));
    }
    found
}

fn compare(table: &str) {
    let cases = read(table);
    let logs = [Syslog::udp().unwrap(), Syslog::udp().unwrap()];
    let servers = [Servers::start(&cases), Servers::start(&cases)];
    let port = free_tcp();
    let text = servers[0].config(&cases, logs[0].port(), port);
    let haproxy = Process::proxy(TempDir::new("checks").unwrap(), Path::new(HAPROXY), &text, &[port]).unwrap();
    let ours = Running::start(&servers[1].config(&cases, logs[1].port(), free_tcp()), 2);
    wait::must("a verdict on each server by both", || logs.iter().all(|log| verdicts(log).len() == cases.len()));
    drop((haproxy, ours));
    let ended = |servers: &Servers| servers.0.iter().all(|(origin, _)| origin.transcripts().iter().all(|seen| seen.done));
    wait::must("all connections have ended", || servers.iter().all(ended));
    let (theirs, ours) = (verdicts(&logs[0]), verdicts(&logs[1]));
    let received: Vec<(String, String)> = servers[0].seen().into_iter().zip(servers[1].seen()).collect();
    let mut different = String::new();
    for (n, case) in cases.iter().enumerate() {
        if theirs[&n] != ours[&n] {
            let _ = writeln!(different, "{}\n  haproxy: {}\n  lb:      {}", case.name, theirs[&n], ours[&n]);
        }
        // The hello of a TLS check holds the time.
        if received[n].0 != received[n].1 {
            let _ = writeln!(different, "{}\n  haproxy sent: {}\n  lb sent:      {}", case.name, received[n].0, received[n].1);
        }
    }
    assert!(different.is_empty(), "{different}");
}
