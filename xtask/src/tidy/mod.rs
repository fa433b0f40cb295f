//! `cargo xtask tidy`: the rules of the house that a machine can check. Also a test of this crate, so that `cargo test` knows them.
//!
//! Holds: each finding names a file and the rule; no finding is fixed silently.

mod floors;
mod source;
mod strip;

use crate::sh::{self, Result, failure};
use std::path::{Path, PathBuf};

/// Checks the workspace at hand.
pub fn task(args: &[String]) -> Result<()> {
    if !args.is_empty() {
        return failure("cargo xtask tidy takes no arguments");
    }
    let findings = findings(&sh::root())?;
    if findings.is_empty() { Ok(()) } else { failure(format!("{}\n{} finding(s)", findings.join("\n"), findings.len())) }
}

/// Every breach of a rule, one line each.
fn findings(root: &Path) -> Result<Vec<String>> {
    let packages = floors::packages()?;
    let mut findings = floors::check(&packages);
    for package in &packages {
        let dir = package.dir.as_path();
        if floors::is_pure(&package.name) {
            for needed in ["README.md", "examples"] {
                if !dir.join(needed).exists() {
                    findings.push(format!("{}: a crate of floor 0 has its own {needed}", package.name));
                }
            }
        }
        for file in rust_files(dir)? {
            let text = std::fs::read_to_string(&file)?;
            let name = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().into_owned();
            findings.extend(source::check(&package.name, &name, &text));
        }
    }
    Ok(findings)
}

/// All `.rs` files below `dir`, without those that cargo builds.
fn rust_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir)? {
            let path = entry?.path();
            if path.is_dir() {
                if path.file_name().is_some_and(|n| n != "target") {
                    dirs.push(path);
                }
            } else if path.extension().is_some_and(|e| e == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_workspace_is_tidy() {
        let findings = super::findings(&crate::sh::root()).expect("the workspace can be read");
        assert!(findings.is_empty(), "\n{}", findings.join("\n"));
    }
}
