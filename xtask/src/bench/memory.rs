//! Memory of a proxy per idle connection: the growth of its anonymous memory. Pages of files are no part of it: they are shared with any other
//! process of the same binary, and their share changes as those come and go.

use super::Places;
use super::config::Shape;
use super::process::{Client, Origin, Proxy};
use crate::sh::{Failure, Result};
use std::path::Path;
use std::time::Duration;

/// Idle connections of a run.
const CONNECTIONS: u64 = 8000;

/// KiB per idle client connection, each after one exchange.
pub fn per_connection(places: &Places, program: &Path, shape: Shape, kind: &str) -> Result<f64> {
    let origin = Origin::start(places, kind, shape.servers)?;
    let proxy = Proxy::start(places, program, &[], shape, origin.port)?;
    // A first client that goes away: the code is in memory, and little else, since what is freed now would be used later uncounted.
    let mut first = Client::start(&places.load, proxy.port, &["--kind", kind, "--conns", "1"])?;
    first.run(100)?;
    drop(first);
    std::thread::sleep(Duration::from_millis(100));
    let before = anonymous_kib(proxy.pid())?;
    let mut client = Client::start(&places.load, proxy.port, &["--kind", kind, "--conns", "32", "--hold"])?;
    client.run(CONNECTIONS)?;
    std::thread::sleep(Duration::from_millis(200));
    Ok((anonymous_kib(proxy.pid())? - before) / CONNECTIONS as f64)
}

fn anonymous_kib(pid: u32) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = text.lines().find_map(|l| l.strip_prefix("Pss_Anon:")).and_then(|l| l.split_whitespace().next()?.parse().ok());
    line.ok_or_else(|| Failure(format!("no Pss_Anon in smaps_rollup of {pid}")))
}

#[cfg(test)]
mod tests {
    #[test]
    fn own_memory() {
        assert!(super::anonymous_kib(std::process::id()).expect("smaps_rollup") > 100.0);
    }
}
