//! `docs/performance.md`: the last run with its conditions. What stands outside of the two marks is prose and stays.

use super::table::{self, Figure};
use crate::sh::{self, Failure, Result};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

const BEGIN: &str = "<!-- written by cargo xtask bench --write -->";
const END: &str = "<!-- end of what is written -->";

/// The circumstances of a run.
pub struct Conditions {
    pub rounds: usize,
    /// Length of the windows against the usual ones.
    pub scale: f64,
}

/// Puts the figures between the marks of the document.
pub fn write(figures: &[Figure], conditions: &Conditions) -> Result<()> {
    let path = sh::root().join("docs/performance.md");
    let old = std::fs::read_to_string(&path).map_err(|e| Failure(format!("{}: {e}", path.display())))?;
    let new = replaced(&old, &section(figures, conditions)?)
        .ok_or_else(|| Failure(format!("{}: has not the lines {BEGIN} and {END}", path.display())))?;
    std::fs::write(&path, new)?;
    Ok(())
}

fn section(figures: &[Figure], conditions: &Conditions) -> Result<String> {
    let said = |command: &str, args: &[&str]| sh::output(Command::new(command).args(args)).map(|text| first_line(&text));
    let mut out = String::new();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let _ = writeln!(out, "- {}, commit {}", said("date", &["-u", "+%F"])?, said("git", &["describe", "--always", "--dirty"])?);
    let _ = writeln!(out, "- {}, {cores} cores, Linux {}", cpu_model()?, said("uname", &["-r"])?);
    let _ = writeln!(out, "- {}; {}", said("/usr/sbin/haproxy", &["-v"])?, said("rustc", &["--version"])?);
    let _ = writeln!(
        out,
        "- {} rounds of both, interleaved; windows {} × the usual length. Middle value (lowest–highest); the ratio is that of the middle\n  values, with the lowest and highest ratio of a round.",
        conditions.rounds, conditions.scale
    );
    let _ = write!(out, "\n{}", table::markdown(figures));
    Ok(out)
}

fn replaced(old: &str, section: &str) -> Option<String> {
    let (before, rest) = old.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{section}\n{END}{after}"))
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
        let old = format!("# Title\n{BEGIN}\nold\n{END}\nnotes\n");
        let new = replaced(&old, "new\n").expect("marks");
        assert_eq!(new, format!("# Title\n{BEGIN}\n\nnew\n\n{END}\nnotes\n"));
        assert_eq!(replaced(&new, "new\n"), Some(new.clone()));
        assert_eq!(replaced("# Title\n", "new\n"), None);
    }
}
