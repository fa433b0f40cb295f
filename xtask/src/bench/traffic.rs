//! CPU per exchange of one proxy under one kind of load, once.

use super::config::Shape;
use super::cpu::{self, UserShare};
use super::process::{Client, Origin, Proxy};
use super::rows::{Per, Traffic};
use super::{Places, syscalls};
use crate::sh::Result;
use std::path::Path;

/// One round of one proxy.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample {
    /// Microseconds of CPU per unit.
    pub all: f64,
    /// User share of it, in percent.
    pub user_share: f64,
    /// Share of the time that the proxy ran or waited for its core, in percent; below about 95 the proxy was not what limited the run.
    pub busy: f64,
    /// Bytes per splice(2) call that moved any, 0 when nothing was spliced.
    pub splice_kib: f64,
}

impl Sample {
    /// Microseconds of user CPU per unit.
    pub fn user(&self) -> f64 {
        self.all * self.user_share / 100.0
    }
}

/// Starts everything anew, warms up, measures a window for all CPU and a second one for the user share.
pub fn sample(places: &Places, program: &Path, traffic: &Traffic, scale: f64, splice: bool) -> Result<Sample> {
    let Traffic { shape, origin, client, conns, path, .. } = *traffic;
    let origin = Origin::start(places, origin, shape.servers)?;
    let proxy = Proxy::start(places, program, &[], shape, origin.port)?;
    let mut client = Client::start(&places.load, proxy.port, &["--kind", client, "--conns", conns, "--path", path])?;
    let count = ((traffic.count as f64 * scale) as u64).max(4);
    client.run(warm_up(shape, count))?;

    let before = cpu::of(proxy.pid())?;
    let report = client.run(count)?;
    let cpu = cpu::of(proxy.pid())?.since(before);
    let nanos = cpu.running as f64;
    let busy = (cpu.running + cpu.waiting) as f64 / report.nanos as f64 * 100.0;
    let units = match traffic.per {
        Per::Exchange => report.done as f64,
        Per::Megabyte => report.bytes as f64 / (1 << 20) as f64,
    };

    let perf = UserShare::start(proxy.pid(), &places.dir)?;
    client.run(count)?;
    let (user, _) = perf.stop()?;

    let splice_kib = if splice { syscalls::splice_kib(places, proxy.pid(), &mut client)? } else { 0.0 };
    Ok(Sample { all: nanos / 1000.0 / units, user_share: user * 100.0, busy, splice_kib })
}

/// Enough for every server to have had its connections.
fn warm_up(shape: Shape, count: u64) -> u64 {
    (count / 10).max(4).max(if shape.servers > 2 { 20 * shape.servers as u64 } else { 0 })
}
