//! `cargo xtask parity`: the same configuration and traffic through `lb` and Debian's haproxy. The table of cases and the comparison are
//! `lb_testkit::parity`; this builds both sides and passes the arguments on.

use crate::apt;
use crate::sh::{self, Result};

/// Runs the parity table; `args` as `parity --help` says.
pub fn task(args: &[String]) -> Result<()> {
    apt::ensure(&[("haproxy", "haproxy")])?;
    let lb = sh::lb("dev")?;
    sh::run(sh::cargo(&["run", "--quiet", "-p", "lb-testkit", "--bin", "parity", "--"]).arg("--lb").arg(lb).args(args))
}
