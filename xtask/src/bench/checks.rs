//! `cargo xtask bench checks`: how long requests take while the thread that serves them checks ten thousand servers, by lb and by haproxy.
//!
//! Holds: each round measures without checks and then with them; it fails unless as many checks were begun as the file asks for.
#![allow(clippy::disallowed_methods)] // It measures.

use super::process::{OTHER_CORE, Origin, Proxy};
use super::table::{self, Figure, Limit};
use super::{NAMES, Pair, Places, interleaved};
use crate::apt;
use crate::sh::{self, Failure, Result, failure};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const USAGE: &str = "\
cargo xtask bench checks [--rounds N] [--self PATH] [--peer none]

  --rounds N   rounds of each (default 3), 20 seconds each
  --self PATH  a binary to measure in place of lb
  --peer none  lb alone

Ends in failure when the slowest hundredth of the requests waits for checks longer than it may.";

const SERVERS: usize = 10_000;
/// `inter` of each.
const INTER: Duration = Duration::from_secs(2);
/// All servers have been checked, more than once.
const WARM_UP: Duration = Duration::from_secs(5);
const WINDOW: Duration = Duration::from_secs(5);
/// How much longer the slowest hundredth may take: a tenth of what it takes without checks, or this if that is more.
const MORE: Duration = Duration::from_micros(500);

/// Measures, and says what came of it.
pub fn task(args: &[String]) -> Result<()> {
    let (mut rounds, mut own, mut peer) = (3usize, None, Some("/usr/sbin/haproxy".into()));
    let mut words = args.iter();
    while let Some(word) = words.next() {
        match (word.as_str(), words.next().map(String::as_str)) {
            ("--rounds", Some(n)) => rounds = n.parse::<usize>()?.max(1),
            ("--self", Some(path)) => own = Some(std::path::absolute(path)?),
            ("--peer", Some("none")) => peer = None,
            _ => return failure(USAGE),
        }
    }
    apt::ensure(&[("haproxy", "haproxy"), ("taskset", "util-linux")])?;
    let target = sh::target_dir()?;
    sh::run(&mut sh::cargo(&["build", "--quiet", "--profile", "dist", "-p", "lb-benches", "--bin", "lb-load"]))?;
    let own = match own {
        Some(path) => path,
        None => sh::lb("dist")?,
    };
    let pair = Pair { own, peer };
    let places = Places { dir: target.join(format!("bench-{}", std::process::id())), load: target.join("dist/lb-load") };
    std::fs::create_dir_all(&places.dir)?;
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1) {
        // The client and the checked servers are threads of this process.
        sh::output(Command::new("taskset").args(["-pc", OTHER_CORE, &std::process::id().to_string()]))?;
    }
    let checked = servers()?;
    let (own, peer) = interleaved(&pair, rounds, |program, _| round(&places, program, checked))?;
    std::fs::remove_dir_all(&places.dir)?;
    let figure = |what: &str, limit, f: fn(&Round) -> f64| Figure {
        row: "checks".into(),
        what: what.into(),
        unit: "µs".into(),
        limit,
        own: own.iter().map(f).collect(),
        peer: peer.iter().map(f).collect(),
    };
    let without = figure("99 % without checks", Limit::None, |round| round.without);
    let may = (table::median(&without.own) * 0.1).max(MORE.as_micros() as f64);
    let with = figure("99 % beside 10,000 checks", Limit::None, |round| round.with);
    let more = figure("difference", Limit::Most(may), |round| round.with - round.without);
    let figures = [without, with, more];
    println!("{}", table::markdown(&figures, NAMES));
    table::verdict(&figures)
}

/// The slowest hundredth of the requests takes at least so many microseconds.
struct Round {
    without: f64,
    with: f64,
}

fn round(places: &Places, program: &Path, checked: u16) -> Result<Round> {
    let origin = Origin::start(places, "http", 1)?;
    let run = |check: &str| {
        let proxy = Proxy::with_file(places, program, &[], |port| text(port, origin.port, checked, check))?;
        std::thread::sleep(WARM_UP);
        let before = connections_begun()?;
        let slowest = slowest_hundredth(proxy.port)?;
        Ok::<_, Failure>((slowest, connections_begun()? - before))
    };
    let (without, _) = run("")?;
    let (with, checks) = run(&format!(" check inter {}", INTER.as_millis()))?;
    let due = (SERVERS as f64 * WINDOW.as_secs_f64() / INTER.as_secs_f64()) as u64;
    eprintln!("{}: {without:.0} µs without checks, {with:.0} µs beside {checks} of them", program.display());
    if checks < due * 9 / 10 {
        return failure(format!("{}: {checks} checks were begun, {due} were due", program.display()));
    }
    Ok(Round { without, with })
}

fn text(listen: u16, origin: u16, checked: u16, check: &str) -> String {
    let mut out = format!(
        "global\n    nbthread 1\n    maxconn 1000\n\ndefaults\n    mode http\n    timeout connect 5s\n    timeout client 50s\n    timeout server 50s\n\n\
         frontend front\n    bind 127.0.0.1:{listen}\n    default_backend back\n\nbackend back\n    server origin 127.1.0.1:{origin}\n\nbackend checked\n"
    );
    for i in 0..SERVERS {
        let _ = writeln!(out, "    server s{i} 127.2.{}.{}:{checked}{check}", i / 250, i % 250 + 1);
    }
    out
}

/// One connection, one request after the other.
fn slowest_hundredth(port: u16) -> Result<f64> {
    const BODY: usize = 100;
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut took = Vec::new();
    let mut answer = [0; 4096];
    let begun = Instant::now();
    while begun.elapsed() < WINDOW {
        let sent = Instant::now();
        stream.write_all(format!("GET /len/{BODY} HTTP/1.1\r\nHost: bench\r\n\r\n").as_bytes())?;
        let mut filled = 0;
        let whole = |bytes: &[u8]| bytes.windows(4).position(|w| w == b"\r\n\r\n").is_some_and(|end| bytes.len() == end + 4 + BODY);
        while !whole(&answer[..filled]) {
            match stream.read(&mut answer[filled..])? {
                0 => return failure("the proxy closed the connection, or its answer has another length"),
                n => filled += n,
            }
        }
        if !answer.starts_with(b"HTTP/1.1 200 ") {
            return failure(format!("not an answer: {}", answer[..filled].escape_ascii()));
        }
        took.push(sent.elapsed());
    }
    took.sort_unstable();
    Ok(took[took.len() * 99 / 100].as_secs_f64() * 1e6)
}

/// Connections that this machine has begun: a check that is broken off within its handshake is seen nowhere else.
fn connections_begun() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/net/snmp")?;
    let mut lines = text.lines().filter(|line| line.starts_with("Tcp:"));
    let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let found = names.split_whitespace().zip(values.split_whitespace()).find(|(name, _)| *name == "ActiveOpens");
    Ok(found.ok_or(Failure("/proc/net/snmp without ActiveOpens".into()))?.1.parse()?)
}

/// All servers are one listener, on this port. It takes what checks leave open.
fn servers() -> Result<u16> {
    // There is no other way to have a whole network of addresses behind one.
    let listener = TcpListener::bind("0.0.0.0:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    Ok(port)
}
