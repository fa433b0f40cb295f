//! `cargo xtask bench`: the proxy beside Debian's haproxy in one run. Same file for both, one thread each, pinned to one core, origin and
//! load on the other, rounds interleaved.
//!
//! Holds: a figure is printed only when every exchange of its run succeeded.

mod callgrind;
mod checks;
mod config;
mod cpu;
mod document;
mod memory;
mod process;
mod rows;
mod syscalls;
mod table;
mod traffic;
mod vrrp;

use crate::apt;
use crate::sh::{self, Failure, Result, failure};
use config::{HTTP, Shape};
use rows::{Kind, Per, ROWS, Row, Traffic};
use std::borrow::Cow;
use std::path::PathBuf;
use table::{Figure, Limit};
use traffic::Sample;

const USAGE: &str = "\
cargo xtask bench vrrp …     vrrpd beside keepalived (bench vrrp --help)
cargo xtask bench checks …   requests beside ten thousand checked servers (bench checks --help)
cargo xtask bench [ROW…] [--rounds N] [--quick] [--self PATH] [--peer PATH|none] [--keep] [--write]

  --rounds N   rounds per row (default 5)
  --quick      shorter windows
  --self PATH  a binary to measure in place of lb (started as PATH -f FILE -db)
  --peer PATH  a binary to compare with in place of haproxy; `none` measures lb alone
  --keep       leave configuration files and callgrind profiles where they are, and say where
  --write      put the table of all rows into docs/performance.md

Ends in failure when a figure misses its limit.

rows:";

/// Names of the two in the table.
const NAMES: [&str; 2] = ["lb", "haproxy"];

/// Directories and programs that all runs need.
pub struct Places {
    /// Files of this run.
    dir: PathBuf,
    /// The load generator.
    load: PathBuf,
}

struct Options {
    rows: Vec<&'static Row>,
    rounds: usize,
    scale: f64,
    own: Option<PathBuf>,
    peer: Option<PathBuf>,
    keep: bool,
    write: bool,
}

/// The two proxies of a run.
struct Pair {
    own: PathBuf,
    peer: Option<PathBuf>,
}

/// Runs the rows named in `args`, or all.
pub fn task(args: &[String]) -> Result<()> {
    match args.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        Some(("vrrp", rest)) => return vrrp::task(rest),
        Some(("checks", rest)) => return checks::task(rest),
        _ => {}
    }
    let options = parse(args)?;
    apt::ensure(&[
        ("haproxy", "haproxy"),
        ("valgrind", "valgrind"),
        ("strace", "strace"),
        ("perf", "linux-perf"),
        ("taskset", "util-linux"),
    ])?;
    let target = sh::target_dir()?;
    sh::run(&mut sh::cargo(&["build", "--quiet", "--profile", "dist", "-p", "lb-benches", "--bin", "lb-load"]))?;
    let own = match &options.own {
        Some(path) => path.clone(),
        None => sh::lb("dist")?,
    };
    let places = Places { dir: target.join(format!("bench-{}", std::process::id())), load: target.join("dist/lb-load") };
    std::fs::create_dir_all(&places.dir)?;
    let pair = Pair { own, peer: options.peer.clone() };

    let mut figures = Vec::new();
    let mut failed = Vec::new();
    for row in &options.rows {
        eprintln!("{}: {}", row.name, row.about);
        match measure(&places, row, &pair, options.rounds, options.scale) {
            Ok(mut new) => {
                eprint!("{}", table::markdown(&new, NAMES));
                figures.append(&mut new);
            }
            Err(e) => {
                eprintln!("{}: {e}", row.name);
                failed.push(row.name);
            }
        }
    }
    println!("{}", table::markdown(&figures, NAMES));
    if options.keep {
        println!("files: {}", places.dir.display());
    } else {
        std::fs::remove_dir_all(&places.dir)?;
    }
    if !failed.is_empty() {
        return failure(format!("rows without figures: {}", failed.join(" ")));
    }
    if options.write {
        let version = sh::output(std::process::Command::new("/usr/sbin/haproxy").arg("-v"))?;
        let note = format!(
            "- {} rounds of both, interleaved; windows {} × the usual length. Middle value (lowest–highest); the ratio is that of the middle\n  values, with the lowest and highest ratio of a round.",
            options.rounds, options.scale
        );
        document::write(&document::PROXY, &document::section(&version, &note, &table::markdown(&figures, NAMES))?)?;
    }
    table::verdict(&figures)
}

fn parse(args: &[String]) -> Result<Options> {
    let mut options =
        Options { rows: Vec::new(), rounds: 5, scale: 1.0, own: None, peer: Some("/usr/sbin/haproxy".into()), keep: false, write: false };
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| Failure(format!("{word} needs a value")));
        match word.as_str() {
            "--rounds" => options.rounds = value()?.parse::<usize>()?.max(1),
            "--quick" => options.scale = 0.3,
            "--self" => options.own = Some(std::path::absolute(value()?)?),
            "--peer" => options.peer = Some(value()?).filter(|v| *v != "none").map(std::path::absolute).transpose()?,
            "--keep" => options.keep = true,
            "--write" => options.write = true,
            name => match ROWS.iter().find(|row| row.name == name) {
                Some(row) => options.rows.push(row),
                None => {
                    let rows: Vec<String> = ROWS.iter().map(|r| format!("  {:23} {}", r.name, r.about)).collect();
                    return failure(format!("{USAGE}\n{}", rows.join("\n")));
                }
            },
        }
    }
    if options.write && !(options.rows.is_empty() && options.own.is_none()) {
        return failure("--write takes all rows, since figures of different runs do not stand in one table, and lb as it is in this tree");
    }
    if options.rows.is_empty() {
        options.rows = ROWS.iter().collect();
    }
    Ok(options)
}

/// Runs `f` for both proxies, round by round, the order changing with each.
fn interleaved<T>(pair: &Pair, rounds: usize, mut f: impl FnMut(&std::path::Path, usize) -> Result<T>) -> Result<(Vec<T>, Vec<T>)> {
    let (mut own, mut peer) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        if round % 2 == 0 {
            own.push(f(&pair.own, round)?);
        }
        if let Some(path) = &pair.peer {
            peer.push(f(path, round)?);
        }
        if round % 2 == 1 {
            own.push(f(&pair.own, round)?);
        }
    }
    Ok((own, peer))
}

fn measure(places: &Places, row: &Row, pair: &Pair, rounds: usize, scale: f64) -> Result<Vec<Figure>> {
    let figure = |what: &str, unit: &'static str, limit, (own, peer): (Vec<f64>, Vec<f64>)| Figure {
        row: row.name.into(),
        what: what.into(),
        unit: Cow::from(unit),
        limit,
        own,
        peer,
    };
    match &row.kind {
        Kind::Traffic(traffic) => {
            let samples =
                interleaved(pair, rounds, |program, round| traffic::sample(places, program, traffic, scale, traffic.splice && round == 0))?;
            Ok(traffic_figures(row.name, traffic, &samples))
        }
        Kind::Syscalls => {
            let (own, peer) = interleaved(pair, 1, |program, _| syscalls::per_request(places, program))?;
            let list = |calls: &[(String, f64)]| calls.iter().map(|(name, n)| format!("{name} {n:.2}")).collect::<Vec<_>>().join(", ");
            // What comes once per turn of the loop is shared by all requests of that turn; without a vDSO clock, reading it is a call too.
            let per_turn = ["epoll_wait", "epoll_pwait", "epoll_pwait2", "clock_gettime"];
            let sum = |calls: &[Vec<(String, f64)>], turn: bool| -> Vec<f64> {
                calls.iter().map(|c| c.iter().filter(|(name, _)| per_turn.contains(&name.as_str()) == turn).map(|(_, n)| n).sum()).collect()
            };
            eprintln!("lb: {}\nhaproxy: {}", list(&own[0]), peer.first().map_or(String::new(), |p| list(p)));
            let calls = figure("calls", "per request", Limit::Most(4.02), (sum(&own, false), sum(&peer, false)));
            let waits = figure("epoll_wait and clock", "per request", Limit::None, (sum(&own, true), sum(&peer, true)));
            Ok(vec![calls, waits])
        }
        Kind::Idle { shape, kind, limit } => {
            let values = interleaved(pair, rounds.min(3), |program, _| memory::per_connection(places, program, *shape, kind))?;
            Ok(vec![figure("memory", "KiB per connection", Limit::Most(*limit), values)])
        }
        Kind::Servers => {
            let mut figures = Vec::new();
            for balance in ["leastconn", "roundrobin"] {
                let (own, peer) = interleaved(pair, rounds, |program, _| growth(places, program, balance, scale))?;
                let pick = |f: fn(&(f64, f64)) -> f64| (own.iter().map(f).collect(), peer.iter().map(f).collect());
                figures.push(figure(&format!("{balance}: user CPU growth"), "%", Limit::None, pick(|g| g.0)));
                figures.push(figure(&format!("{balance}: all CPU growth"), "%", Limit::None, pick(|g| g.1)));
            }
            Ok(figures)
        }
        Kind::Instructions { shape, kind, limit } => {
            let values = interleaved(pair, 1, |program, _| callgrind::per_exchange(places, program, *shape, kind))?;
            Ok(vec![figure("user instructions", "per exchange", *limit, values)])
        }
    }
}

fn traffic_figures(row: &str, traffic: &Traffic, (own, peer): &(Vec<Sample>, Vec<Sample>)) -> Vec<Figure> {
    let unit = if traffic.per == Per::Megabyte { "µs per MB" } else { "µs per request" };
    let figure = |what: &str, unit: &'static str, limit, f: fn(&Sample) -> f64| Figure {
        row: row.into(),
        what: what.into(),
        unit: Cow::from(unit),
        limit,
        own: own.iter().map(f).collect(),
        peer: peer.iter().map(f).collect(),
    };
    let mut figures = vec![
        figure("user CPU", unit, traffic.user, Sample::user),
        figure("all CPU", unit, traffic.all, |s| s.all),
        figure("proxy busy", "%", Limit::None, |s| s.busy),
    ];
    if traffic.user_share != Limit::None {
        figures.insert(1, figure("user share", "%", traffic.user_share, |s| s.user_share));
    }
    if traffic.splice {
        let first = |samples: &[Sample]| samples.iter().take(1).map(|s| s.splice_kib).collect();
        let kib = Figure { own: first(own), peer: first(peer), ..figure("moved per splice", "KiB", Limit::None, |s| s.splice_kib) };
        figures.push(kib);
    }
    figures
}

/// Growth of user and all CPU per request from 2 to 1,000 servers, in percent.
fn growth(places: &Places, program: &std::path::Path, balance: &'static str, scale: f64) -> Result<(f64, f64)> {
    let run = |servers| {
        let traffic = rows::keep_alive(Shape { balance, servers, ..HTTP });
        traffic::sample(places, program, &traffic, scale, false)
    };
    let (few, many) = (run(2)?, run(1000)?);
    Ok(((many.user() / few.user() - 1.0) * 100.0, (many.all / few.all - 1.0) * 100.0))
}
