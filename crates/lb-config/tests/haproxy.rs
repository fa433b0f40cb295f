//! Small configurations through this parser and, where it is installed, through haproxy 2.6: accepted by both, refused
//! by both, or different for a reason that is written down in `cases/`. Where both say the same, they say it of the same
//! lines.

mod cases;

use cases::{Case, Verdict, cases};
use lb_config::{Environment, LoadError, Loader, Resolver, Severity, Source, parse, render};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;

/// The world that the cases were recorded in.
struct World;

impl Environment for World {
    fn variable(&self, name: &str) -> Option<String> {
        (name == "HOME").then(|| "/root".to_owned())
    }

    fn has_user(&self, name: &str) -> bool {
        name != "nosuchuser"
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

/// What is wrong with a record, by haproxy: the verdict, and where both say the same, the lines that are complained about and
/// whether anything would listen.
fn differs(case: &Case, path: &Path) -> Option<String> {
    std::fs::write(path, &case.text).expect("write");
    let output = Command::new("haproxy").args(["-c", "-f"]).arg(path).env("HOME", "/root").output().expect("haproxy runs");
    let code = output.status.code();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let verdict = if code == Some(1) || text.contains("[ALERT]") {
        Verdict::Error
    } else if text.contains("[WARNING]") {
        Verdict::Warning
    } else {
        Verdict::Ok
    };
    if verdict != case.haproxy {
        return Some(format!("{}: {verdict:?}, recorded {:?}\n{text}", case.source, case.haproxy));
    }
    if verdict != case.here {
        return None;
    }
    let source = Source::new().file("t.cfg", &case.text).environment(&World).loader(&World).resolver(&World);
    let (config, diagnostics) = parse(&source);
    let here = |severity: Severity, line: u32| diagnostics.iter().any(|one| one.severity == severity && one.span.line == line);
    let said = |message: &&str| place(message).is_none_or(|(severity, line)| here(severity, line));
    let missing: Vec<&str> =
        text.lines().filter(|message| !said(message) && !ELSEWHERE.iter().any(|(text, _)| message.contains(text))).collect();
    if !missing.is_empty() {
        return Some(format!("{}: not said here:\n{}\n{}", case.source, missing.join("\n"), render(&diagnostics)));
    }
    // haproxy counts a listener that it has just said it ignores, and does not survive each check.
    let listens = code.map(|code| code != 2).filter(|_| verdict != Verdict::Error && !text.contains("'bind' ignored"));
    listens
        .filter(|listens| *listens != config.listens())
        .map(|_| format!("{}: haproxy ends with {code:?}, here listens: {}", case.source, config.listens()))
}

/// Messages of haproxy that are not looked for on their line, and why.
const ELSEWHERE: &[(&str, &str)] = &[
    ("'listen' or 'defaults' expected", "follows from a header that is refused; its lines are read all the same"),
    ("non-terminated '.if' block", "said of the line that opens the block, not of the file's last"),
    ("already specified. Continuing.", "a notice here: nothing comes of it"),
    ("unknown keyword 'guid'", "newer versions know it"),
];

/// Severity and line of a message of haproxy; `None` for those without a place.
fn place(message: &str) -> Option<(Severity, u32)> {
    let severity = match message.split(']').next()? {
        "[ALERT" => Severity::Error,
        "[WARNING" => Severity::Warning,
        _ => return None,
    };
    let (_, behind) = message.split_once(".cfg:")?;
    let (line, _) = behind.split_once(']')?;
    Some((severity, line.parse().ok()?))
}
