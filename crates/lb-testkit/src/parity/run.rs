//! Runs one case through one program and collects what there was to see, with ports, dates and pids made equal.

use super::case::{Case, Server};
use super::normal::{LogLine, Names, normalise, parse_log};
use crate::client;
use crate::fixture::{TempDir, fill};
use crate::origin::{BlackHole, Origin, Target};
use crate::ports::{self, RefusedPort};
use crate::process::{Process, StartError};
use crate::script::{End, Step, Transcript, World};
use crate::syslog::Syslog;
use crate::wait::{Deadline, Signals};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long an end of a connection is awaited that no step asked for.
const SETTLE: Duration = Duration::from_millis(80);
/// Time between the end of one client and the start of the next.
const BETWEEN: Duration = Duration::from_millis(15);
/// How long more log lines than expected are awaited.
const LOG_SETTLE: Duration = Duration::from_millis(30);
/// How long the lines that are expected are awaited: one that never comes is a difference.
const LOG_PATIENCE: Duration = Duration::from_secs(5);

/// What one connection saw, made comparable.
#[derive(Clone, Debug)]
pub struct Seen {
    /// All bytes received, normalised.
    pub received: Vec<u8>,
    /// How it ended.
    pub end: End,
    /// A step that failed.
    pub failure: Option<String>,
}

/// What there was to see of one case and program.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Per client.
    pub clients: Vec<Seen>,
    /// Per server, per connection.
    pub servers: Vec<Vec<Seen>>,
    /// The log lines.
    pub logs: Vec<LogLine>,
    /// What the program wrote when it ended on its own.
    pub died: Option<String>,
}

struct CaseWorld {
    signals: Signals,
    syslog: Syslog,
}

impl World for CaseWorld {
    fn signals(&self) -> &Signals {
        &self.signals
    }

    fn wait_logs(&self, count: usize, deadline: Deadline) -> bool {
        self.syslog.wait_count(count, deadline)
    }
}

/// Runs `case` through `program`. What is awaited without a condition is awaited `leisure` times as long as on a machine at rest.
pub fn run(case: &Case, program: &Path, leisure: u32) -> Result<Outcome, String> {
    let mut last = String::new();
    for _ in 0..5 {
        match attempt(case, program, leisure) {
            Ok(outcome) => return Ok(outcome),
            Err(Failure::Start(e)) if e.is_port_clash() => last = e.to_string(),
            Err(Failure::Start(e)) => return Err(e.to_string()),
            Err(Failure::PortTaken(text)) => last = text,
            Err(Failure::Io(e)) => return Err(e.to_string()),
        }
    }
    Err(last)
}

enum Failure {
    Start(StartError),
    Io(io::Error),
    /// It seemed to listen, but that was another program.
    PortTaken(String),
}

impl From<io::Error> for Failure {
    fn from(e: io::Error) -> Self {
        Failure::Io(e)
    }
}

fn attempt(case: &Case, program: &Path, leisure: u32) -> Result<Outcome, Failure> {
    let dir = TempDir::new("parity")?;
    let world = Arc::new(CaseWorld { signals: Signals::default(), syslog: Syslog::udp()? });
    let mut values = vec![("log".to_owned(), world.syslog.port().to_string()), ("dir".to_owned(), dir.path().display().to_string())];
    let mut names = Names::default();
    names.dir(dir.path());
    for (name, content) in &case.files {
        dir.write(name, content)?;
    }
    let mut targets = Vec::new();
    for (i, server) in case.servers.iter().enumerate() {
        let name = format!("o{}", i + 1);
        let there: Arc<dyn World> = world.clone();
        let target = match server {
            Server::Scripts(scripts) => Target::Origin(Origin::start(scripts.clone(), there)?),
            Server::Unix(scripts) => Target::Origin(Origin::unix(&dir.path().join(&name), scripts.clone(), there)?),
            Server::Refused => Target::Refused(RefusedPort::new()?),
            Server::BlackHole => Target::BlackHole(BlackHole::new()?),
        };
        if target.port() != 0 {
            names.port(target.port(), &name);
            values.push((name, target.port().to_string()));
        }
        targets.push(target);
    }
    let mut binds = Vec::new();
    for name in ["fe", "fe2", "fe3"] {
        if case.config.contains(&format!("{{{name}}}")) {
            let port = ports::free_tcp();
            names.port(port, name);
            values.push((name.to_owned(), port.to_string()));
            binds.push(port);
        }
    }
    let config = fill(&case.config, &values);
    let mut process = Process::proxy(dir, program, &config, &binds).map_err(Failure::Start)?;

    let port_of = |name: &str| values.iter().find(|(n, _)| n == name).and_then(|(_, v)| v.parse().ok()).unwrap_or(0);
    let transcripts = run_clients(case, &world, leisure, port_of);
    if case.logs > 0 {
        world.syslog.wait_count(case.logs, Deadline::after(LOG_PATIENCE * leisure));
    }
    let mut servers = Vec::new();
    let settle = Deadline::after(SETTLE * leisure);
    for target in &targets {
        servers.push(match target {
            Target::Origin(origin) => origin.settle(settle.left().unwrap_or_default()),
            _ => Vec::new(),
        });
    }
    world.syslog.wait_count(case.logs + 1, Deadline::after(LOG_SETTLE * leisure));
    let died = process.try_status().map(|status| format!("{status}: {}", process.output()));
    if let Some(text) = &died
        && text.contains("in use")
    {
        return Err(Failure::PortTaken(text.clone()));
    }
    drop(process);

    for (i, t) in transcripts.iter().enumerate() {
        names.port(t.local_port, &format!("c{i}"));
    }
    for (i, list) in servers.iter().enumerate() {
        for (j, t) in list.iter().enumerate() {
            names.port(t.peer_port, &format!("s{}.{j}", i + 1));
        }
    }
    let seen = |t: &Transcript| Seen { received: normalise(&t.received, &names), end: t.end, failure: t.failure.clone() };
    Ok(Outcome {
        clients: transcripts.iter().map(seen).collect(),
        servers: servers.iter().map(|list| list.iter().map(seen).collect()).collect(),
        logs: world.syslog.lines().iter().map(|l| parse_log(&normalise(l, &names))).collect(),
        died,
    })
}

fn run_clients(case: &Case, world: &CaseWorld, leisure: u32, port_of: impl Fn(&str) -> u16 + Sync) -> Vec<Transcript> {
    let play = |to: &str, steps: &[Step]| {
        let addr = ([127, 0, 0, 1], port_of(to)).into();
        client::run(addr, steps, world, SETTLE * leisure).unwrap_or_else(|e| Transcript {
            received: Vec::new(),
            end: End::Rst,
            failure: Some(format!("connect: {e}")),
            local_port: 0,
            peer_port: 0,
            done: true,
        })
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = case.clients.iter().map(|c| c.beside.then(|| scope.spawn(|| play(c.to, &c.steps)))).collect();
        let in_order: Vec<_> = case
            .clients
            .iter()
            .map(|c| {
                (!c.beside).then(|| {
                    let seen = play(c.to, &c.steps);
                    // The close of this one is to be seen before the connect of the next: the counters of the log depend on it.
                    std::thread::sleep(BETWEEN * leisure);
                    seen
                })
            })
            .collect();
        threads
            .into_iter()
            .zip(in_order)
            .map(|(thread, own)| own.unwrap_or_else(|| thread.expect("one or the other").join().expect("a script does not panic")))
            .collect()
    })
}
