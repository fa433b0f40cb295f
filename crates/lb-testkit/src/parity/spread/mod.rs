//! Same key, same server: many keys through `lb` and haproxy for every way to hash. Called by `parity` after its cases.
//!
//! Each combination is a `listen` section of one file with which both programs run. Servers are threads here that answer with
//! their letter, so that what a client reads is which server its key reached.

mod combinations;
mod keys;
mod servers;

use super::Options;
use crate::fixture::TempDir;
use crate::ports;
use crate::process::Process;
use crate::wait::Deadline;
use combinations::{Combination, Phase, Traffic, combinations};
use servers::Servers;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

/// Streams that are held open for combinations whose choice depends on load.
const HELD: usize = 120;

/// What [`run`] found.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) text: String,
    pub(super) failed: bool,
}

/// All combinations whose names the options want, with `options.keys` keys each.
pub(super) fn run(options: &Options) -> Report {
    let mut report = Report::default();
    for (program, newer) in [(Some(&options.reference), false), (options.newer.as_ref(), true)] {
        let mut wanted: Vec<_> = combinations().into_iter().filter(|c| c.newer == newer && options.wants(&c.name)).collect();
        let Some(program) = program else {
            if !wanted.is_empty() {
                let _ = writeln!(report.text, "{} ways to hash are known to newer versions only (--newer FILE)", wanted.len());
            }
            continue;
        };
        // The states of servers are part of some: they have their own file, and run alone.
        let (changing, steady): (Vec<_>, Vec<_>) = wanted.drain(..).partition(|c| c.phase != Phase::Steady);
        for group in std::iter::once(steady).chain(changing.into_iter().map(|c| vec![c])).filter(|group| !group.is_empty()) {
            if let Err(why) = compare(&group, program, options, &mut report) {
                let _ = writeln!(report.text, "DIFFERS {}: {why}", group[0].name);
                report.failed = true;
            }
        }
    }
    report
}

fn compare(group: &[Combination], reference: &Path, options: &Options, report: &mut Report) -> Result<(), String> {
    let mut servers = Servers::start(group[0].phase == Phase::Steady).map_err(|e| e.to_string())?;
    let both = [reference, &options.lb].map(|program| Running::start(group, program, &servers));
    let [Ok(reference), Ok(ours)] = &both else {
        let why = both.into_iter().filter_map(Result::err).collect::<Vec<_>>();
        return Err(why.join("; "));
    };
    let mut rounds = 1;
    if group[0].phase == Phase::DownThenUp {
        rounds = 2;
    }
    for round in 0..rounds {
        if round == 1 {
            servers.open_first().map_err(|e| e.to_string())?;
        }
        let answers = std::thread::scope(|scope| {
            [reference, ours]
                .map(|running| scope.spawn(move || running.ask(group, options.keys, round == 1)))
                .map(|t| t.join().expect("no panic"))
        });
        let [Ok(theirs), Ok(mine)] = answers else {
            return Err(answers.into_iter().filter_map(Result::err).collect::<Vec<_>>().join("; "));
        };
        for ((combination, theirs), mine) in group.iter().zip(theirs).zip(mine) {
            tell(combination, round, &theirs, &mine, options, report);
        }
    }
    Ok(())
}

fn tell(combination: &Combination, round: usize, theirs: &str, mine: &str, options: &Options, report: &mut Report) {
    let differ = theirs.bytes().zip(mine.bytes()).filter(|(a, b)| a != b).count();
    let letters: BTreeSet<char> = theirs.chars().collect();
    let name = &combination.name;
    if differ != 0 || theirs.len() != mine.len() {
        report.failed = true;
        let at = theirs.bytes().zip(mine.bytes()).position(|(a, b)| a != b);
        let _ = writeln!(report.text, "DIFFERS {name}: {differ} of {} keys, first number {at:?}", theirs.len());
        let _ = writeln!(report.text, "    reference: {:.100}\n    ours:      {:.100}", theirs, mine);
    } else if letters.contains(&'?') || theirs.is_empty() {
        report.failed = true;
        let _ = writeln!(report.text, "DIFFERS {name}: not every key was answered");
    } else if options.show {
        let letters: String = letters.iter().collect();
        let _ = writeln!(report.text, "{name} (round {round}): {} keys reach {letters}", theirs.len());
    }
    if let Some(record) = options.record.as_ref().filter(|_| round == 0)
        && let Some(line) = combination.record(theirs)
    {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(record);
        if let Err(why) = file.and_then(|mut file| writeln!(file, "{line}")) {
            let _ = writeln!(report.text, "cannot write {}: {why}", record.display());
        }
    }
}

/// One program with the configuration of a group.
struct Running {
    ports: Vec<u16>,
    _process: Process,
}

impl Running {
    fn start(group: &[Combination], program: &Path, servers: &Servers) -> Result<Running, String> {
        let ports: Vec<u16> = group.iter().map(|_| ports::free_tcp()).collect();
        let mut config =
            "global\n nbthread 1\ndefaults\n mode http\n timeout client 30s\n timeout server 30s\n timeout connect 5s\n retries 0\n \
                          http-reuse always\n"
                .to_owned();
        for (n, (combination, port)) in group.iter().zip(&ports).enumerate() {
            let _ = write!(config, "{}", combination.section(n, *port, servers));
        }
        let dir = TempDir::new("spread").map_err(|e| e.to_string())?;
        let process = Process::proxy(dir, program, &config, &ports).map_err(|e| format!("{}: {e}", program.display()))?;
        Ok(Running { ports, _process: process })
    }

    /// For each combination the letters of the servers that the keys reached, in their order.
    fn ask(&self, group: &[Combination], keys: usize, all_up: bool) -> Result<Vec<String>, String> {
        let mut answers = Vec::new();
        for (combination, &port) in group.iter().zip(&self.ports) {
            if all_up {
                wait_for_first(combination, port)?;
            }
            let seen = match combination.traffic {
                Traffic::Held(_) => held(combination, port),
                Traffic::Sources(v6) => sources(port, keys, v6),
                Traffic::Cookies => cookies(combination, port, keys),
                _ => requests(combination, port, keys),
            };
            answers.push(seen.map_err(|e| format!("{}: {e}", combination.name))?);
        }
        Ok(answers)
    }
}

/// Until the server that was down answers again.
fn wait_for_first(combination: &Combination, port: u16) -> Result<(), String> {
    let deadline = Deadline::patient();
    while !deadline.passed() {
        if requests(combination, port, 60).is_ok_and(|seen| seen.contains('a')) {
            return Ok(());
        }
    }
    Err(format!("{}: the first server does not come up", combination.name))
}

/// All keys on one connection, one after the other.
fn requests(combination: &Combination, port: u16, keys: usize) -> io::Result<String> {
    let mut seen = String::with_capacity(keys);
    let mut connection = None;
    for number in 0..keys {
        let request = combination.traffic.request(number);
        let deadline = Deadline::patient();
        loop {
            let (reader, writer) = match &mut connection {
                Some(pair) => pair,
                none => none.insert(open(port)?),
            };
            writer.write_all(request.as_bytes())?;
            match answer(reader)? {
                // Until its check fails, a server that is not there is still chosen.
                None if combination.phase == Phase::DownThenUp && !deadline.passed() => std::thread::sleep(Duration::from_millis(5)),
                letter => {
                    seen.push(letter.unwrap_or('?'));
                    break;
                }
            }
            connection = None;
        }
    }
    Ok(seen)
}

/// A connection for each client's address, which a PROXY header tells.
fn sources(port: u16, keys: usize, v6: bool) -> io::Result<String> {
    let mut seen = String::with_capacity(keys);
    for number in 0..keys {
        let (mut reader, mut writer) = open(port)?;
        let (family, address, own) =
            if v6 { ("TCP6", keys::v6(number).to_string(), "::1") } else { ("TCP4", keys::v4(number).to_string(), "127.0.0.1") };
        writer.write_all(
            format!("PROXY {family} {address} {own} 1000 80\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes(),
        )?;
        seen.push(answer(&mut reader)?.unwrap_or('?'));
    }
    Ok(seen)
}

/// A connection for each key, which its first bytes hold.
fn cookies(combination: &Combination, port: u16, keys: usize) -> io::Result<String> {
    let mut seen = String::with_capacity(keys);
    for number in 0..keys {
        let (mut reader, mut writer) = open(port)?;
        writer.write_all(combination.traffic.request(number).as_bytes())?;
        seen.push(answer(&mut reader)?.unwrap_or('?'));
    }
    Ok(seen)
}

/// Streams that all stay open: each choice sees the load of those before.
fn held(combination: &Combination, port: u16) -> io::Result<String> {
    let mut open_ones = Vec::new();
    let mut seen = String::new();
    for number in 0..HELD {
        let (mut reader, mut writer) = open(port)?;
        writer.write_all(combination.traffic.request(number).as_bytes())?;
        seen.push(head(&mut reader)?.0.unwrap_or('?'));
        open_ones.push((reader, writer));
    }
    Ok(seen)
}

fn open(port: u16) -> io::Result<(BufReader<TcpStream>, TcpStream)> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(crate::wait::patience()))?;
    Ok((BufReader::new(stream.try_clone()?), stream))
}

/// One answer and its body; `None`: not from a server.
fn answer(reader: &mut BufReader<TcpStream>) -> io::Result<Option<char>> {
    let (letter, length) = head(reader)?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(letter)
}

/// The head of an answer: the server's letter, and the length of its body.
fn head(reader: &mut BufReader<TcpStream>) -> io::Result<(Option<char>, usize)> {
    let (mut letter, mut length) = (None, 0);
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok((None, 0));
        }
        let text = line.trim_end().to_ascii_lowercase();
        if text.is_empty() {
            return Ok((letter, length));
        }
        if let Some(value) = text.strip_prefix("x-server: ") {
            letter = value.chars().next();
        }
        if let Some(value) = text.strip_prefix("content-length: ") {
            length = value.parse().unwrap_or(0);
        }
    }
}
