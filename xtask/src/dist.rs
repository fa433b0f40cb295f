//! `cargo xtask dist`: what is handed out. The program in profile `dist`, the licences and the documents, in one archive.

use crate::sh::{self, Result, failure};
use std::process::Command;

/// What goes beside the program.
const PAPERS: &[&str] = &["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE", "docs"];

/// Builds the archive and says where it is.
pub fn task(args: &[String]) -> Result<()> {
    if !args.is_empty() {
        return failure("cargo xtask dist takes no arguments");
    }
    let lb = sh::lb("dist")?;
    let name = format!("lb-{}-{}-linux", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    let dir = sh::target_dir()?.join("dist-archive");
    let stage = dir.join(&name);
    if stage.exists() {
        std::fs::remove_dir_all(&stage)?;
    }
    std::fs::create_dir_all(&stage)?;
    std::fs::copy(&lb, stage.join("lb"))?;
    for paper in PAPERS {
        sh::run(Command::new("cp").arg("-r").arg(sh::root().join(paper)).arg(&stage))?;
    }
    let archive = dir.join(format!("{name}.tar.gz"));
    sh::run(Command::new("tar").arg("-C").arg(&dir).args(["--owner=0", "--group=0", "-czf"]).arg(&archive).arg(&name))?;
    println!("{}", archive.display());
    Ok(())
}
