//! Debian packages that tests and benches need: installed when their program is missing, else left alone.

use crate::sh::{self, Failure, Result};
use std::process::Command;

/// Installs the packages whose program is not there: `(program, package)`.
pub fn ensure(wanted: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<&str> = wanted.iter().filter(|(program, _)| sh::which(program).is_none()).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("installing {}", missing.join(" "));
    let root = sh::output(Command::new("id").arg("-u"))?.trim() == "0";
    let apt = |args: &[&str]| {
        let mut command = if root { Command::new("apt-get") } else { Command::new("sudo") };
        if !root {
            command.args(["--non-interactive", "apt-get"]);
        }
        command.env("DEBIAN_FRONTEND", "noninteractive").args(args);
        command
    };
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
    install.extend(&missing);
    let help = |e: Failure| Failure(format!("{e}\nThese packages are needed: {}. Install them and start again.", missing.join(" ")));
    if sh::run(&mut apt(&install)).is_ok() {
        return Ok(());
    }
    // A fresh machine has no package lists.
    sh::run(&mut apt(&["update", "-qq"])).map_err(help)?;
    sh::run(&mut apt(&install)).map_err(help)
}
