//! Answers questions about the elections: over a UNIX socket (`vrrpd status`), to Prometheus over TCP, in keepalived's files.
//!
//! Threads of their own do it, one for each door; an election is asked for a [`Snapshot`] and for nothing else. Holds: who connects and says
//! nothing is let go after [`PATIENCE`]; one question is answered at a time.

use crate::dump::{self, Kind};
use crate::inbox::{Letter, Post};
use crate::log::Log;
use crate::snapshot::Snapshot;
use crate::{metrics, status};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// What a client has for its question and for taking the answer, and an election for a snapshot.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// Dumps that wait to be written.
pub const MAX_DUMPS: usize = 4;
/// The longest question.
const MAX_QUESTION: u64 = 8192;
/// A client that asks the UNIX socket.
pub const QUESTIONS: &str = "status, status json, metrics, data, stats, json";

/// Which doors there are.
#[derive(Debug, Clone, Default)]
pub struct Doors {
    /// The UNIX socket.
    pub socket: Option<PathBuf>,
    /// For Prometheus: `GET /metrics`.
    pub metrics: Option<SocketAddr>,
    /// Where dumps are written.
    pub dumps: PathBuf,
}

/// A dump to be written: into its file, or line by line into the log.
struct Dump {
    kind: Kind,
    snapshot: Box<Snapshot>,
    into_log: bool,
}

/// The thread that writes dumps, and the other doors.
pub struct Service {
    dumps: SyncSender<Dump>,
    socket: Option<PathBuf>,
}

impl Service {
    /// Opens the doors. One that cannot be opened is said and left out: an election does not depend on it.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(doors: &Doors, post: &Post, log: &Log) -> io::Result<Service> {
        let (dumps, jobs) = sync_channel(MAX_DUMPS);
        let (directory, own) = (doors.dumps.clone(), log.clone());
        std::thread::Builder::new().name("dump".into()).spawn(move || write_dumps(&jobs, &directory, &own))?;
        let mut socket = None;
        if let Some(path) = &doors.socket {
            match listen(path) {
                Ok(listener) => {
                    let post = post.clone();
                    std::thread::Builder::new().name("status".into()).spawn(move || serve_socket(&listener, &post))?;
                    socket = Some(path.clone());
                }
                Err(e) => log.line(format!("no status socket {}: {e}", path.display())),
            }
        }
        if let Some(address) = doors.metrics {
            match TcpListener::bind(address) {
                Ok(listener) => {
                    let post = post.clone();
                    std::thread::Builder::new().name("metrics".into()).spawn(move || serve_metrics(&listener, &post))?;
                }
                Err(e) => log.line(format!("no metrics on {address}: {e}")),
            }
        }
        Ok(Service { dumps, socket })
    }

    /// Writes a dump some time. Never waits: when [`MAX_DUMPS`] wait already, these will do.
    pub fn dump(&self, kind: Kind, snapshot: Box<Snapshot>) {
        let _ = self.dumps.try_send(Dump { kind, snapshot, into_log: false });
    }

    /// Writes configuration and state to the log some time. Never waits.
    pub fn log(&self, snapshot: Box<Snapshot>) {
        let _ = self.dumps.try_send(Dump { kind: Kind::Data, snapshot, into_log: true });
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(path) = &self.socket {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn write_dumps(jobs: &Receiver<Dump>, directory: &Path, log: &Log) {
    for Dump { kind, snapshot, into_log } in jobs {
        if into_log {
            kind.text(&snapshot).lines().for_each(|line| log.line(line.into()));
            continue;
        }
        log.line(format!("{} for process({}) on signal", kind.what(), std::process::id()));
        let name = kind.file(&snapshot);
        if let Err(e) = dump::write(directory, &name, &kind.text(&snapshot)) {
            log.line(format!("{} cannot be written: {e}", directory.join(name).display()));
        }
    }
}

/// A socket that a process before us has left is taken away, one that answers is not.
fn listen(path: &Path) -> io::Result<UnixListener> {
    if UnixStream::connect(path).is_ok() {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|m| std::os::unix::fs::FileTypeExt::is_socket(&m.file_type()));
    if is_socket {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn ask(post: &Post) -> Option<Box<Snapshot>> {
    let (reply, answer) = sync_channel(1);
    post.send(Letter::Ask(reply)).then(|| answer.recv_timeout(PATIENCE).ok()).flatten()
}

fn serve_socket(listener: &UnixListener, post: &Post) {
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        let timeouts = stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
        let mut question = String::new();
        let read = timeouts.and_then(|()| BufReader::new(&mut stream).take(MAX_QUESTION).read_line(&mut question));
        if read.is_err() {
            continue;
        }
        let answer = match ask(post) {
            None => "the elections do not answer\n".into(),
            Some(snapshot) => match question.trim() {
                "status" => status::text(&snapshot),
                "status json" => format!("{}\n", status::json(&snapshot)),
                "metrics" => metrics::text(&snapshot),
                "data" => Kind::Data.text(&snapshot),
                "stats" => Kind::Stats.text(&snapshot),
                "json" => Kind::Json.text(&snapshot),
                other => format!("'{other}' is no question; there are: {QUESTIONS}\n"),
            },
        };
        // Who has gone needs no answer.
        let _ = stream.write_all(answer.as_bytes());
    }
}

fn serve_metrics(listener: &TcpListener, post: &Post) {
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        let timeouts = stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
        let Ok(first) = timeouts.and_then(|()| request(&mut stream)) else { continue };
        let mut words = first.split_whitespace();
        let (status, body) = match (words.next(), words.next()) {
            (Some("GET" | "HEAD"), Some("/metrics")) => match ask(post) {
                Some(snapshot) => ("200 OK", metrics::text(&snapshot)),
                None => ("503 Service Unavailable", "the elections do not answer\n".into()),
            },
            (Some("GET" | "HEAD"), Some(_)) => ("404 Not Found", "there is /metrics\n".into()),
            _ => ("400 Bad Request", "GET /metrics\n".into()),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let body = if first.starts_with("HEAD ") { "" } else { &body };
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
    }
}

/// The first line of a request; the rest is read and thrown away, so that closing the connection loses nothing of the answer.
fn request(stream: &mut impl Read) -> io::Result<String> {
    let mut lines = BufReader::new(stream).take(MAX_QUESTION);
    let mut first = String::new();
    lines.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 || line.trim_end().is_empty() {
            return Ok(first);
        }
    }
}

/// Asks the daemon behind a socket.
///
/// # Errors
/// Nobody listens there, or does not answer in time.
pub fn question(socket: &Path, question: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE * 2))?;
    writeln!(stream, "{question}")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
