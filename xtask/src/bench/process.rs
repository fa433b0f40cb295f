//! The processes of a run: proxy, origin, client. Each is pinned, bounded, and ended when its value is dropped.

use super::Places;
use super::config::{self, Shape};
use crate::sh::{Failure, Result, failure};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// The core of the proxy, and that of everything else.
pub const PROXY_CORE: &str = "0";
/// See [`PROXY_CORE`].
pub const OTHER_CORE: &str = "1";

/// A child that does not outlive its owner.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself: both calls then fail harmlessly.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    /// Sends a signal by name (`TERM`, `INT`).
    pub fn signal(&self, name: &str) -> Result<()> {
        crate::sh::run(Command::new("kill").args(["-s", name, &self.0.id().to_string()]))
    }

    /// Waits for the end, at most `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<()> {
        for _ in 0..limit.as_millis() / 5 {
            if self.0.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        failure(format!("process {} did not end within {limit:?}", self.0.id()))
    }
}

/// `taskset` on a core, unless there is only one.
pub fn pinned(core: &str, program: &Path) -> Command {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", core]).arg(program);
    command
}

/// A port that nobody listens on now.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The origin.
pub struct Origin {
    _process: Process,
    pub port: u16,
}

impl Origin {
    /// Starts the origin; `kind` as `lb-load origin --kind`.
    pub fn start(places: &Places, kind: &str, servers: usize) -> Result<Self> {
        let port = free_port()?;
        let args = ["origin", "--port", &port.to_string(), "--addresses", &servers.to_string(), "--kind", kind];
        let mut child = pinned(OTHER_CORE, &places.load).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take();
        let process = Process(child);
        expect_ready(&mut BufReader::new(out.ok_or(Failure("origin without stdout".into()))?))?;
        Ok(Self { _process: process, port })
    }
}

/// A proxy under test.
pub struct Proxy {
    pub process: Process,
    pub port: u16,
}

impl Proxy {
    /// Starts `wrapper… program -f FILE -db` and waits until it listens.
    pub fn start(places: &Places, program: &Path, wrapper: &[String], shape: Shape, origin: u16) -> Result<Self> {
        let map = places.dir.join("hosts.map");
        if let Some(hosts) = shape.switch.map() {
            std::fs::write(&map, hosts)?;
        }
        Self::with_file(places, program, wrapper, |port| config::text(shape, &map.display().to_string(), port, origin))
    }

    /// The same with a file of any text, which is made for the port to listen on.
    pub fn with_file(places: &Places, program: &Path, wrapper: &[String], text: impl FnOnce(u16) -> String) -> Result<Self> {
        let port = free_port()?;
        let name = program.file_name().map_or("proxy".into(), |n| n.to_string_lossy().into_owned());
        let file = places.dir.join(format!("{name}.cfg"));
        std::fs::write(&file, text(port))?;
        let log = places.dir.join(format!("{name}.stderr"));
        let first = wrapper.first().map_or(program, |w| Path::new(w));
        let mut command = pinned(PROXY_CORE, first);
        if let Some((_, rest)) = wrapper.split_first() {
            command.args(rest).arg(program);
        }
        command.arg("-f").arg(&file).arg("-db").stdin(Stdio::null()).stdout(Stdio::null()).stderr(std::fs::File::create(&log)?);
        let mut process = Process(command.spawn()?);
        for _ in 0..6000 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                // The probe's own connection shall be gone before anything is measured.
                std::thread::sleep(Duration::from_millis(50));
                return Ok(Self { process, port });
            }
            if let Some(status) = process.0.try_wait()? {
                let text = std::fs::read_to_string(&log).unwrap_or_default();
                return failure(format!("{}: {status}\n{text}", program.display()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        failure(format!("{} does not listen", program.display()))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.0.id()
    }
}

/// The client.
pub struct Client {
    process: Process,
    orders: Option<ChildStdin>,
    reports: BufReader<ChildStdout>,
}

/// What a run of the client did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Report {
    pub done: u64,
    pub bytes: u64,
    pub nanos: u64,
}

impl Client {
    /// Starts the client; the connections open with its first run.
    pub fn start(load: &Path, to: u16, args: &[&str]) -> Result<Self> {
        let mut command = pinned(OTHER_CORE, load);
        command.arg("client").args(["--to", &format!("127.0.0.1:{to}")]).args(args);
        let mut process = Process(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?);
        let orders = process.0.stdin.take();
        let mut reports = BufReader::new(process.0.stdout.take().ok_or(Failure("client without stdout".into()))?);
        expect_ready(&mut reports)?;
        Ok(Self { process, orders, reports })
    }

    /// Does `count` exchanges. A single failed exchange fails the run: a proxy that drops requests has no figures.
    pub fn run(&mut self, count: u64) -> Result<Report> {
        const LIMIT_SECONDS: u64 = 120;
        let orders = self.orders.as_mut().ok_or(Failure("client without stdin".into()))?;
        writeln!(orders, "run {count} {LIMIT_SECONDS}")?;
        let mut line = String::new();
        self.reports.read_line(&mut line)?;
        let field = |name: &str| line.split_whitespace().find_map(|w| w.strip_prefix(name)?.strip_prefix('=')?.parse::<u64>().ok());
        match (field("done"), field("errors"), field("bytes"), field("nanos")) {
            (Some(done), Some(0), Some(bytes), Some(nanos)) if done == count => Ok(Report { done, bytes, nanos }),
            _ => failure(format!("the client (pid {}) asked for {count} exchanges and reports: {}", self.process.0.id(), line.trim())),
        }
    }
}

fn expect_ready(out: &mut impl BufRead) -> Result<()> {
    let mut line = String::new();
    out.read_line(&mut line)?;
    if line.trim() == "ready" { Ok(()) } else { failure(format!("expected ready, got {line:?}")) }
}
