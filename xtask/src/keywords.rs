//! `cargo xtask keywords`: writes `docs/keywords.md` from the keyword table of `lb-config`, whose tests know when it is old.

use crate::sh::{self, Result, failure};

/// Writes the table.
pub fn task(args: &[String]) -> Result<()> {
    if !args.is_empty() {
        return failure("cargo xtask keywords takes no arguments");
    }
    let table = sh::output(&mut sh::cargo(&["run", "--quiet", "-p", "lb-config", "--example", "keywords"]))?;
    std::fs::write(sh::root().join("docs/keywords.md"), table)?;
    Ok(())
}
