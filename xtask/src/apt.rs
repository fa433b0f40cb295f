//! Debian packages that tests and benches need: installed when their program is missing, else left alone.
//!
//! Holds: a package that has a daemon does not start it. Who needs one starts it himself, on a port and in a directory of its own.

use crate::sh::{self, Failure, Result};
use std::process::Command;

/// Runs apt-get; meanwhile, unless the machine has one, there is a policy that no daemon is started (invoke-rc.d asks for it).
const QUIETLY: &str = r#"
    export DEBIAN_FRONTEND=noninteractive
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' > $policy && chmod 755 $policy
        trap 'rm -f $policy' EXIT
    fi
    apt-get "$@"
"#;

/// Installs the packages whose program is not there: `(program, package)`.
pub fn ensure(wanted: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<&str> = wanted.iter().filter(|(program, _)| sh::which(program).is_none()).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("installing {}", missing.join(" "));
    let root = sh::output(Command::new("id").arg("-u"))?.trim() == "0";
    let apt = |args: &[&str]| {
        let mut command = Command::new(if root { "sh" } else { "sudo" });
        if !root {
            command.args(["--non-interactive", "sh"]);
        }
        command.args(["-c", QUIETLY, "sh"]).args(args);
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
