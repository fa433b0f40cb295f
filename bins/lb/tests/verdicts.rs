//! `lb -c` over all configurations that are compared with haproxy: exit codes, and the words that tell them apart.

mod common;

#[path = "../../../crates/lb-config/tests/cases/mod.rs"]
mod cases;

use cases::{Case, Verdict, cases};
use common::{is_other, program};
use lb_testkit::fixture::TempDir;
use std::path::Path;
use std::process::Command;

/// Exit code and all output of `-c` with more switches.
fn check(path: &Path, more: &[&str]) -> (Option<i32>, String) {
    // As the cases were recorded.
    let output = Command::new(program()).arg("-c").args(more).arg("-f").arg(path).env("HOME", "/root").output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// What is wrong with a case.
fn wrong(case: &Case, path: &Path) -> Option<String> {
    std::fs::write(path, &case.text).unwrap();
    let verdict = case.here;
    let (code, text) = check(path, &[]);
    let nothing = text.contains("will not start (no listener) => exit(2)");
    let good = if nothing { 2 } else { 0 };
    let fits = match verdict {
        Verdict::Error => code == Some(1) && text.contains("[ALERT]") && text.contains("Fatal errors found"),
        Verdict::Warning => code == Some(good) && text.contains("[WARNING]") && !text.contains("[ALERT]"),
        Verdict::Ok => code == Some(good) && !text.contains("[WARNING]") && !text.contains("[ALERT]"),
    };
    if !fits {
        let Case { source, haproxy, reason, .. } = case;
        return Some(format!("{source}: {verdict:?} was recorded (haproxy: {haproxy:?} {reason}), the exit code is {code:?}\n{text}"));
    }
    // Where warnings are fatal, they are; nothing else is.
    if verdict != Verdict::Error {
        let (strict, text) = check(path, &["-dW"]);
        let expected = if verdict == Verdict::Warning { Some(1) } else { code };
        if strict != expected {
            return Some(format!("{}: with -dW the exit code is {strict:?}, not {expected:?}\n{text}", case.source));
        }
    }
    None
}

#[test]
fn exit_codes_are_as_recorded() {
    if is_other() {
        return;
    }
    let dir = TempDir::new("verdicts").unwrap();
    let cases = cases();
    let shares = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..shares)
            .map(|share| {
                let path = dir.path().join(format!("t{share}.cfg"));
                let cases = cases.iter().skip(share).step_by(shares);
                scope.spawn(move || cases.filter_map(|case| wrong(case, &path)).collect::<Vec<_>>())
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
