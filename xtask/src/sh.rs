//! Running commands and finding directories. Errors are texts for the operator: what was run and what it said.

use std::fmt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Why a task stopped: a sentence for the operator.
#[derive(Debug)]
pub struct Failure(pub String);

/// The result of a task's step.
pub type Result<T> = std::result::Result<T, Failure>;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(e: E) -> Self {
        Self(e.to_string())
    }
}

/// A failure with this text.
pub fn failure<T>(text: impl Into<String>) -> Result<T> {
    Err(Failure(text.into()))
}

/// The root of the workspace: that of the cargo that runs us, since two checkouts may share a target directory and with it this program.
pub fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest.parent().expect("xtask stands in the workspace").to_path_buf()
}

/// `cargo`, as the one that runs us, in the workspace.
pub fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    command
}

/// Runs to the end, output going to the terminal.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|e| Failure(format!("{}: {e}", line(command))))?;
    if status.success() { Ok(()) } else { failure(format!("{}: {status}", line(command))) }
}

/// Runs to the end and gives its standard output.
pub fn output(command: &mut Command) -> Result<String> {
    let out = command.stderr(Stdio::piped()).output().map_err(|e| Failure(format!("{}: {e}", line(command))))?;
    if !out.status.success() {
        return failure(format!("{}: {}\n{}", line(command), out.status, String::from_utf8_lossy(&out.stderr)));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Whether a program of this name is in `PATH` or the usual sbin directories.
pub fn which(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]).map(|d| d.join(name)).find(|p| p.is_file())
}

/// Where cargo puts what it builds.
pub fn target_dir() -> Result<PathBuf> {
    let text = output(&mut cargo(&["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&text)?;
    match metadata["target_directory"].as_str() {
        Some(dir) => Ok(dir.into()),
        None => failure("cargo metadata names no target_directory"),
    }
}

/// Builds `lb` in a profile, and says where it is.
pub fn lb(profile: &str) -> Result<PathBuf> {
    run(&mut cargo(&["build", "--quiet", "-p", "lb", "--bin", "lb", "--profile", profile]))?;
    let dir = if profile == "dev" { "debug" } else { profile };
    Ok(target_dir()?.join(dir).join("lb"))
}

fn line(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).map(|w| w.to_string_lossy()).collect();
    words.join(" ")
}
