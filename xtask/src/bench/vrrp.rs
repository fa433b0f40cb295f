//! `cargo xtask bench vrrp`: `vrrpd` beside Debian's keepalived. What is measured stands in `bins/vrrpd/benches/beside.rs`, which shares
//! namespaces, routers and wires with the tests of `vrrpd`; here its lines become the table.

use super::document::{self, Marks};
use super::table::{self, Figure, Limit};
use crate::apt;
use crate::sh::{self, Failure, Result, failure};
use std::process::{Command, Stdio};

const USAGE: &str = "\
cargo xtask bench vrrp [ROW…] [--rounds N] [--write]

  --rounds N   rounds per row (default 3)
  --write      put the table of all rows into docs/performance.md

Needs root, for network namespaces. Ends in failure when a figure misses its limit.";

/// Where its table stands in the document.
const MARKS: Marks = Marks { begin: "<!-- written by cargo xtask bench vrrp --write -->", end: "<!-- end of what is written of vrrpd -->" };

/// Runs the rows named in `args`, or all.
pub fn task(args: &[String]) -> Result<()> {
    let (mut rounds, mut write, mut rows) = (3usize, false, Vec::new());
    let mut words = args.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--rounds" => rounds = words.next().ok_or(Failure("--rounds needs a value".into()))?.parse::<usize>()?.max(1),
            "--write" => write = true,
            word if word.starts_with('-') => return failure(USAGE),
            row => rows.push(row),
        }
    }
    if write && !rows.is_empty() {
        return failure("--write takes all rows, since figures of different runs do not stand in one table");
    }
    apt::ensure(&[("ip", "iproute2"), ("keepalived", "keepalived")])?;
    let mut bench = sh::cargo(&["bench", "--quiet", "--profile", "dist", "-p", "vrrpd", "--bench", "beside", "--"]);
    bench.arg(format!("rounds={rounds}")).args(rows);
    // What it says of its progress goes to the terminal.
    let out = bench.stderr(Stdio::inherit()).stdin(Stdio::null()).output()?;
    let figures = String::from_utf8_lossy(&out.stdout).lines().map(figure).collect::<Result<Vec<Figure>>>()?;
    let table = table::markdown(&figures, ["vrrpd", "keepalived"]);
    println!("{table}");
    if !out.status.success() || figures.is_empty() {
        return failure(format!("cargo bench -p vrrpd: {}, {} figures", out.status, figures.len()));
    }
    if write {
        let version = sh::output(Command::new("sh").args(["-c", "keepalived --version 2>&1"]))?;
        let note = format!(
            "- {rounds} rounds of both, one after the other (`busy`: one). Middle value (lowest–highest); the ratio is that of the middle values, with\n  the lowest and highest ratio of a round."
        );
        document::write(&MARKS, &document::section(&version, &note, &table)?)?;
    }
    table::verdict(&figures)
}

/// A line of the measurement: row, figure, unit, limit or nothing, values of ours, values of keepalived.
fn figure(line: &str) -> Result<Figure> {
    let [row, what, unit, limit, own, peer] = line.split('\t').collect::<Vec<_>>()[..] else {
        return failure(format!("not a figure: {line:?}"));
    };
    let values = |text: &str| text.split_whitespace().map(|v| Ok(v.parse::<f64>()?)).collect::<Result<Vec<f64>>>();
    let limit = if limit.is_empty() { Limit::None } else { Limit::Most(limit.parse()?) };
    Ok(Figure { row: row.into(), what: what.into(), unit: unit.to_string().into(), limit, own: values(own)?, peer: values(peer)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_figures() {
        let cut = figure("cut\tno answer\tms\t3700\t3500.5 3600\t3610 3620").expect("a figure");
        assert_eq!((cut.row.as_str(), cut.limit, cut.own.len(), cut.passes()), ("cut", Limit::Most(3700.0), 2, Some(true)));
        assert!(figure("warning: something").is_err());
        assert_eq!(figure("stop\tmoved\tms\t\t1\t2").expect("a figure").limit, Limit::None);
    }
}
