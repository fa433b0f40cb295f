//! Rules about the text of a source file.

use super::{floors, strip};

/// A file longer than this is split by topic.
const MAX_LINES: usize = 900;

/// Never, tests included.
const NEVER: &[&str] = &["todo!", "unimplemented!", "#[ignore", "dbg!"];
/// Reading a clock: only lb-rt does, and tests that say so.
const CLOCK: &[&str] = &["Instant::now", "SystemTime::now", "UNIX_EPOCH.elapsed", "clock::nanos"];
/// What crates of floor 0 get as arguments, from their caller.
const AMBIENT: &[&str] = &["std::fs", "std::env", "std::thread", "std::process", "TcpStream", "TcpListener", "UdpSocket", "UnixStream"];
/// Crates that live in real time as a whole, being development tools.
const TOOLS: &[&str] = &["lb-testkit", "lb-benches", "xtask"];

/// What a file breaks.
pub fn check(package: &str, name: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let mut say = |line: usize, what: String| findings.push(format!("{name}:{line}: {what}"));
    let lines = text.lines().count();
    if lines > MAX_LINES {
        say(lines, format!("{lines} lines; split it by topic"));
    }
    let test_file =
        ["/tests/", "/examples/", "/benches/benches/", "/vrrpd/benches/"].iter().any(|d| name.contains(d)) || name.ends_with("/tests.rs");
    if name.contains("/src/") && !test_file && !text.starts_with("//!") {
        say(1, "opens without its contract (//!)".into());
    }
    let may_read_clock_in_tests = text.contains("clippy::disallowed_methods") || TOOLS.contains(&package);
    let code = strip::code(text);
    let tests_from = code.lines().position(|l| l.trim() == "#[cfg(test)]").unwrap_or(usize::MAX);
    for (i, line) in code.lines().enumerate() {
        let test = test_file || i >= tests_from || TOOLS.contains(&package);
        let mut ban = |words: &[&str], why: &str| {
            for word in words.iter().filter(|word| has_word(line, word)) {
                say(i + 1, format!("{word}: {why}"));
            }
        };
        ban(NEVER, "is not done, or hides a test");
        if package != "lb-sys" {
            ban(&["unsafe"], "only lb-sys may");
        }
        if package != "lb-rt" && !(test && may_read_clock_in_tests) {
            ban(CLOCK, "time is an argument; lb-rt reads the clock");
        }
        if floors::is_pure(package) && !test {
            ban(AMBIENT, "a crate of floor 0 gets this from its caller");
        }
    }
    findings
}

/// Whether `word` stands in `line` as a word of its own, not as part of a longer name.
fn has_word(line: &str, word: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(part_of_name) && word.starts_with(part_of_name);
        let after = line[at + word.len()..].chars().next().is_some_and(part_of_name) && word.ends_with(part_of_name);
        !before && !after
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(package: &str, name: &str, text: &str) -> usize {
        check(package, name, &format!("//! Contract.\n{text}")).len()
    }

    #[test]
    fn bans() {
        assert_eq!(count("lb-core", "crates/lb-core/src/a.rs", "fn f() { todo!() }"), 1);
        assert_eq!(count("lb-core", "crates/lb-core/src/a.rs", "// todo!()\nconst A: &str = \"unsafe\";"), 0);
        assert_eq!(count("lb-core", "crates/lb-core/src/a.rs", "unsafe { f() }"), 1);
        assert_eq!(count("lb-core", "crates/lb-core/src/a.rs", "fn unsafe_code() {}"), 0);
        assert_eq!(count("lb-sys", "crates/lb-sys/src/a.rs", "unsafe { f() }"), 0);
        assert_eq!(count("lb-http", "crates/lb-http/src/a.rs", "use std::fs;"), 1);
        assert_eq!(count("lb-http", "crates/lb-http/examples/a.rs", "use std::fs;"), 0);
        assert_eq!(check("lb-http", "crates/lb-http/src/a.rs", "fn f() {}").len(), 1);
        assert_eq!(count("lb-http", "crates/lb-http/src/a.rs", &"\n".repeat(900)), 1);
    }

    #[test]
    fn clocks() {
        let read = "fn f() { Instant::now(); }";
        let test = format!("#[cfg(test)]\nmod tests {{ {read} }}");
        let annotated = format!("#[cfg(test)]\n#[allow(clippy::disallowed_methods)]\nmod tests {{ {read} }}");
        assert_eq!(count("lb-rt", "crates/lb-rt/src/a.rs", read), 0);
        assert_eq!(count("lb-core", "crates/lb-core/src/a.rs", read), 1);
        assert_eq!(count("lb-core", "crates/lb-core/src/a.rs", &test), 1);
        assert_eq!(count("lb-core", "crates/lb-core/src/a.rs", &annotated), 0);
        assert_eq!(count("lb-core", "crates/lb-core/src/a.rs", &format!("{read}\n{annotated}")), 1);
    }
}
