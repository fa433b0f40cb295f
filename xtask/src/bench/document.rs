//! `docs/performance.md`: the last run with its conditions. What stands outside of the two marks is prose and stays.

use crate::sh::{self, Failure, Result};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

/// Two lines of the document; what is written stands between them.
pub struct Marks {
    pub begin: &'static str,
    pub end: &'static str,
}

/// Those of the proxies.
pub const PROXY: Marks = Marks { begin: "<!-- written by cargo xtask bench --write -->", end: "<!-- end of what is written -->" };

/// Puts a section between its marks.
pub fn write(marks: &Marks, section: &str) -> Result<()> {
    let path = sh::root().join("docs/performance.md");
    let old = std::fs::read_to_string(&path).map_err(|e| Failure(format!("{}: {e}", path.display())))?;
    let new = replaced(&old, marks, section)
        .ok_or_else(|| Failure(format!("{}: has not the lines {} and {}", path.display(), marks.begin, marks.end)))?;
    std::fs::write(&path, new)?;
    Ok(())
}

/// The conditions of a run, with what the peer says of its version and a note on the rounds, and its table.
pub fn section(peer: &str, note: &str, table: &str) -> Result<String> {
    let said = |command: &str, args: &[&str]| sh::output(Command::new(command).args(args)).map(|text| first_line(&text));
    let mut out = String::new();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let _ = writeln!(out, "- {}, commit {}", said("date", &["-u", "+%F"])?, said("git", &["describe", "--always", "--dirty"])?);
    let _ = writeln!(out, "- {}, {cores} cores, Linux {}", cpu_model()?, said("uname", &["-r"])?);
    let _ = writeln!(out, "- {}; {}", first_line(peer), said("rustc", &["--version"])?);
    let _ = writeln!(out, "{note}");
    let _ = write!(out, "\n{table}");
    Ok(out)
}

fn replaced(old: &str, marks: &Marks, section: &str) -> Option<String> {
    let (before, rest) = old.split_once(marks.begin)?;
    let (_, after) = rest.split_once(marks.end)?;
    Some(format!("{before}{}\n\n{section}\n{}{after}", marks.begin, marks.end))
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_string()
}

fn cpu_model() -> Result<String> {
    let text = std::fs::read_to_string(Path::new("/proc/cpuinfo"))?;
    let model = text.lines().find_map(|l| l.strip_prefix("model name")?.split_once(':'));
    Ok(model.map_or("unknown CPU".into(), |(_, name)| name.trim().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_stays() {
        let old = format!("# Title\n{}\nold\n{}\nnotes\n", PROXY.begin, PROXY.end);
        let new = replaced(&old, &PROXY, "new\n").expect("marks");
        assert_eq!(new, format!("# Title\n{}\n\nnew\n\n{}\nnotes\n", PROXY.begin, PROXY.end));
        assert_eq!(replaced(&new, &PROXY, "new\n"), Some(new.clone()));
        assert_eq!(replaced("# Title\n", &PROXY, "new\n"), None);
    }
}
