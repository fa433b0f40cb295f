//! User instructions per exchange: callgrind counts a run with N and one with 2N exchanges; the difference is free of start and end.

use super::Places;
use super::config::Shape;
use super::process::{Client, Origin, Proxy};
use crate::sh::{Failure, Result};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Exchanges of the shorter run.
const EXCHANGES: u64 = 2000;

/// Instructions per exchange, one after the other on one connection.
pub fn per_exchange(places: &Places, program: &Path, shape: Shape, kind: &str) -> Result<f64> {
    let once = instructions(places, program, shape, kind, EXCHANGES)?;
    let twice = instructions(places, program, shape, kind, 2 * EXCHANGES)?;
    Ok((twice as f64 - once as f64) / EXCHANGES as f64)
}

/// Where the profile of the last run of `program` is: for `callgrind_annotate`.
pub fn profile(places: &Places, program: &Path, kind: &str) -> PathBuf {
    let name = program.file_name().map_or("proxy".into(), |n| n.to_string_lossy().into_owned());
    places.dir.join(format!("callgrind.{name}.{kind}"))
}

fn instructions(places: &Places, program: &Path, shape: Shape, kind: &str, exchanges: u64) -> Result<u64> {
    let file = profile(places, program, kind);
    let wrapper = ["valgrind", "-q", "--tool=callgrind", &format!("--callgrind-out-file={}", file.display())].map(String::from);
    let origin = Origin::start(places, kind, shape.servers)?;
    let mut proxy = Proxy::start(places, program, &wrapper, shape, origin.port)?;
    let mut client = Client::start(&places.load, proxy.port, &["--kind", kind, "--conns", "1"])?;
    client.run(exchanges)?;
    proxy.process.signal("TERM")?;
    proxy.process.wait(Duration::from_secs(60))?;
    let text = std::fs::read_to_string(&file).map_err(|e| Failure(format!("{}: {e}", file.display())))?;
    totals(&text).ok_or_else(|| Failure(format!("{}: no totals", file.display())))
}

fn totals(text: &str) -> Option<u64> {
    text.lines().rev().find_map(|l| l.strip_prefix("totals:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn last_totals_line() {
        assert_eq!(super::totals("events: Ir\nfn=a\n1 2\n\ntotals: 1234\n"), Some(1234));
        assert_eq!(super::totals("events: Ir\n"), None);
    }
}
