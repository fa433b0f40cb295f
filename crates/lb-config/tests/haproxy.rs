//! Small configurations through this parser and, where it is installed, through haproxy 2.6: accepted by both, refused
//! by both, or different for a reason that is written down in `cases.txt`.

use lb_config::{Environment, LoadError, Loader, Resolver, Severity, Source, parse, render};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;

/// The complete section that a case of form '+' adds a line to.
const LISTEN: &str = "listen a\n mode http\n bind 127.0.0.1:8000\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Ok,
    Warning,
    Error,
}

struct Case {
    haproxy: Verdict,
    here: Verdict,
    text: Vec<u8>,
    source: String,
    reason: String,
}

fn cases() -> Vec<Case> {
    include_str!("cases.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(case).collect()
}

fn case(line: &str) -> Case {
    let columns: Vec<&str> = line.split('\t').collect();
    let verdict = |word: &str| match word {
        "ok" => Verdict::Ok,
        "warning" => Verdict::Warning,
        "error" => Verdict::Error,
        other => panic!("{other} in {line}"),
    };
    let body = unescape(columns.get(3).unwrap_or(&""));
    let text = match columns[2] {
        "+" => [LISTEN.as_bytes(), b" ", &body, b"\n"].concat(),
        "=" => body,
        other => panic!("form {other}"),
    };
    let reason = columns.get(4).unwrap_or(&"").to_string();
    Case { haproxy: verdict(columns[0]), here: verdict(columns[1]), text, source: columns.get(3).unwrap_or(&"").to_string(), reason }
}

/// `\n`, `\r`, `\t`, `\\`, `\xNN`.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next().expect("escape") {
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'x' => {
                let digits: String = bytes.by_ref().take(2).map(char::from).collect();
                out.push(u8::from_str_radix(&digits, 16).expect("hex"));
            }
            other => out.push(other),
        }
    }
    out
}

/// The world that the cases were recorded in.
struct World;

impl Environment for World {
    fn variable(&self, name: &str) -> Option<String> {
        (name == "HOME").then(|| "/root".to_owned())
    }
}

impl Loader for World {
    fn load(&self, _path: &str) -> Result<Vec<u8>, LoadError> {
        Err(LoadError::NotFound)
    }
}

impl Resolver for World {
    fn resolve(&self, host: &str) -> Vec<IpAddr> {
        if host == "localhost" { vec![Ipv4Addr::LOCALHOST.into()] } else { Vec::new() }
    }
}

#[test]
fn verdicts_are_as_recorded() {
    let mut wrong = Vec::new();
    let cases = cases();
    assert!(cases.len() >= 400, "{} cases", cases.len());
    for case in &cases {
        let source = Source::new().file("t.cfg", &case.text).environment(&World).loader(&World).resolver(&World);
        let (_, diagnostics) = parse(&source);
        let verdict = match diagnostics.iter().map(|diagnostic| diagnostic.severity).max() {
            Some(Severity::Error) => Verdict::Error,
            Some(Severity::Warning) => Verdict::Warning,
            _ => Verdict::Ok,
        };
        if verdict != case.here {
            wrong.push(format!("{}: {verdict:?}, recorded {:?}\n{}", case.source, case.here, render(&diagnostics)));
        }
        // Whatever is wrong names its place and, if it refuses, the cure.
        for diagnostic in &diagnostics {
            if diagnostic.severity == Severity::Error && diagnostic.help.is_none() && !diagnostic.message.starts_with('\'') {
                let named = diagnostic.message.contains("unknown keyword") || diagnostic.message.contains("no defaults section");
                if !named {
                    wrong.push(format!("{}: no help for '{}'", case.source, diagnostic.message));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_difference_has_a_reason() {
    for case in cases() {
        assert_eq!(case.haproxy != case.here, !case.reason.is_empty(), "{}", case.source);
    }
}

#[test]
fn haproxy_says_what_was_recorded() {
    let version = Command::new("haproxy").arg("-v").output();
    let installed = version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("version 2.6."));
    if !installed {
        eprintln!("haproxy 2.6 is not installed; the recorded verdicts are not verified");
        return;
    }
    let directory = std::env::temp_dir().join(format!("lb-config-cases-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory for the files");
    let cases = cases();
    // A process each, so side by side.
    let shares = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..shares)
            .map(|share| {
                let path = directory.join(format!("t{share}.cfg"));
                let cases = cases.iter().skip(share).step_by(shares);
                scope.spawn(move || cases.filter_map(|case| differs(case, &path)).collect::<Vec<_>>())
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    std::fs::remove_dir_all(&directory).expect("remove");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with a record, by haproxy.
fn differs(case: &Case, path: &Path) -> Option<String> {
    std::fs::write(path, &case.text).expect("write");
    let output = Command::new("haproxy").args(["-c", "-f"]).arg(path).env("HOME", "/root").output().expect("haproxy runs");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let verdict = if output.status.code() == Some(1) || text.contains("[ALERT]") {
        Verdict::Error
    } else if text.contains("[WARNING]") {
        Verdict::Warning
    } else {
        Verdict::Ok
    };
    (verdict != case.haproxy).then(|| format!("{}: {verdict:?}, recorded {:?}\n{text}", case.source, case.haproxy))
}
