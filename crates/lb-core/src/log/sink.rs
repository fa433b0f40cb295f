//! Where lines go: datagrams to a syslog server, or a descriptor that a thread of its own writes to.
//!
//! Holds: `send` never blocks. A datagram that the kernel does not take at once is dropped and counted. The sockets are not
//! connected: each datagram looks its receiver up, so that a syslog daemon that restarts is found again. A descriptor may
//! block (a pipe whose reader stopped, a slow terminal), and making it non-blocking would change it for every process that
//! shares it; so a thread writes it, behind a queue of [`QUEUE_BYTES`].

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{SocketAddr as UnixSocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lb_config::{LogAddress, UnixAddress};

/// Bytes that wait for a descriptor at most; a line beyond them is dropped.
const QUEUE_BYTES: usize = 1 << 20;

/// Largest write of several lines at once: what a pipe takes in one piece (PIPE_BUF of Linux), so that lines of several
/// processes do not mix within a line.
const WRITE_BYTES: usize = 4_096;

/// How often, and after which pause, a descriptor that somebody made non-blocking is tried again before its lines are
/// dropped.
const RETRIES: u32 = 50;
const RETRY_PAUSE: Duration = Duration::from_millis(2);

/// How long the last owner of a descriptor waits for its queue to be written.
const FLUSH: Duration = Duration::from_millis(500);

/// A target that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot log to {address}: {source}")]
pub struct SinkError {
    /// The target, in the words of the configuration.
    pub address: String,
    /// Why.
    pub source: io::Error,
}

/// All sinks of a process: equal addresses share one.
#[derive(Debug, Default)]
pub struct LogSinks {
    open: Mutex<HashMap<LogAddress, Arc<Sink>>>,
    dropped: Arc<AtomicU64>,
}

impl LogSinks {
    /// No sink yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lines that could not be sent since the start, over all sinks (`DroppedLogs` of `show info`).
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn get(&self, address: &LogAddress) -> Result<Arc<Sink>, SinkError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sink) = open.get(address) {
            return Ok(Arc::clone(sink));
        }
        let kind = Kind::open(address, &self.dropped).map_err(|source| SinkError { address: shown(address), source })?;
        let sink = Arc::new(Sink { kind, dropped: Arc::clone(&self.dropped) });
        open.insert(address.clone(), Arc::clone(&sink));
        Ok(sink)
    }

    /// Closes the sinks that no logger uses any more, after a reload.
    pub fn close_unused(&self) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, sink| Arc::strong_count(sink) > 1);
    }
}

fn shown(address: &LogAddress) -> String {
    match address {
        LogAddress::Udp(to) => to.to_string(),
        LogAddress::Unix(to) => to.to_string(),
        LogAddress::Stdout => "stdout".into(),
        LogAddress::Stderr => "stderr".into(),
        LogAddress::Fd(fd) => format!("fd@{fd}"),
    }
}

/// One open destination.
#[derive(Debug)]
pub(super) struct Sink {
    kind: Kind,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Kind {
    Udp { socket: UdpSocket, to: SocketAddr },
    Unix { socket: UnixDatagram, to: UnixTo },
    Descriptor(Descriptor),
}

#[derive(Debug)]
enum UnixTo {
    Path(std::path::PathBuf),
    Abstract(UnixSocketAddr),
}

impl Kind {
    fn open(address: &LogAddress, dropped: &Arc<AtomicU64>) -> io::Result<Self> {
        match address {
            LogAddress::Udp(to) => {
                let any: SocketAddr = match to {
                    SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                    SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
                };
                let socket = UdpSocket::bind(any)?;
                socket.set_nonblocking(true)?;
                Ok(Self::Udp { socket, to: *to })
            }
            LogAddress::Unix(to) => {
                let socket = UnixDatagram::unbound()?;
                socket.set_nonblocking(true)?;
                let to = match to {
                    UnixAddress::Path(path) => UnixTo::Path(path.clone()),
                    UnixAddress::Abstract(name) => UnixTo::Abstract(UnixSocketAddr::from_abstract_name(name)?),
                };
                Ok(Self::Unix { socket, to })
            }
            LogAddress::Stdout => Descriptor::open(1, dropped).map(Self::Descriptor),
            LogAddress::Stderr => Descriptor::open(2, dropped).map(Self::Descriptor),
            LogAddress::Fd(fd) => Descriptor::open(*fd, dropped).map(Self::Descriptor),
        }
    }
}

impl Sink {
    /// Sends one line, its newline included, or counts it as dropped.
    pub(super) fn send(&self, line: &[u8]) {
        let sent = match &self.kind {
            Kind::Udp { socket, to } => datagram(|| socket.send_to(line, to)),
            Kind::Unix { socket, to } => datagram(|| match to {
                UnixTo::Path(path) => socket.send_to(line, path),
                UnixTo::Abstract(name) => socket.send_to_addr(line, name),
            }),
            Kind::Descriptor(descriptor) => descriptor.shared.push(line),
        };
        if !sent {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// True when the kernel took the datagram.
fn datagram(send: impl Fn() -> io::Result<usize>) -> bool {
    // The first call may only report what became of an earlier datagram (an ICMP error); the second sends. A signal is
    // no reason to lose a line either.
    for _ in 0..2 {
        match send() {
            Ok(_) => return true,
            Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionRefused) => {}
            Err(_) => return false,
        }
    }
    false
}

/// A descriptor with its writing thread.
#[derive(Debug)]
struct Descriptor {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// Something was queued, or the end was asked for, or the thread has ended.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    /// Whole lines, one after the other.
    lines: Vec<u8>,
    /// Nobody will queue any more.
    closing: bool,
    /// The thread has ended.
    ended: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) -> bool {
        let mut queue = self.lock();
        if queue.ended || queue.lines.len() + line.len() > QUEUE_BYTES {
            return false;
        }
        let wake = queue.lines.is_empty();
        queue.lines.extend_from_slice(line);
        drop(queue);
        if wake {
            self.changed.notify_all();
        }
        true
    }

    /// Waits for lines and swaps them into `batch`; false when there will be none any more.
    fn take(&self, batch: &mut Vec<u8>) -> bool {
        batch.clear();
        let mut queue = self.lock();
        while queue.lines.is_empty() {
            if queue.closing {
                return false;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(&mut queue.lines, batch);
        true
    }
}

impl Descriptor {
    fn open(fd: i32, dropped: &Arc<AtomicU64>) -> io::Result<Self> {
        let file = File::from(lb_sys::process::inherited(fd)?);
        // A socket may keep message boundaries: one write per line. Anything else may take several lines at once.
        let at_once = if file.metadata().is_ok_and(|m| m.file_type().is_socket()) { 0 } else { WRITE_BYTES };
        let shared = Arc::new(Shared::default());
        let (theirs, dropped) = (Arc::clone(&shared), Arc::clone(dropped));
        std::thread::Builder::new().name(format!("log fd@{fd}")).spawn(move || {
            let mut batch = Vec::new();
            while theirs.take(&mut batch) {
                let lost = write_lines(&file, &batch, at_once);
                dropped.fetch_add(lost, Ordering::Relaxed);
            }
            theirs.lock().ended = true;
            theirs.changed.notify_all();
        })?;
        Ok(Self { shared })
    }
}

impl Drop for Descriptor {
    /// Waits for the queue to be written, but not for long: a reader that stopped must not hold up the end.
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.closing = true;
        self.shared.changed.notify_all();
        // The result says only whether time ran out; the thread ends by itself when its write returns.
        let _ = self.shared.changed.wait_timeout_while(queue, FLUSH, |queue| !queue.ended);
    }
}

/// Writes whole lines, several at once up to `at_once` bytes; returns how many were lost.
fn write_lines(mut file: &File, lines: &[u8], at_once: usize) -> u64 {
    let mut lost = 0;
    let mut rest = lines;
    while !rest.is_empty() {
        let mut end = line_end(rest);
        while end < rest.len() && end + line_end(&rest[end..]) <= at_once {
            end += line_end(&rest[end..]);
        }
        let (mut chunk, after) = rest.split_at(end);
        rest = after;
        let mut tries = 0;
        while !chunk.is_empty() {
            match file.write(chunk) {
                Ok(0) => tries += RETRIES,
                Ok(n) => {
                    chunk = &chunk[n..];
                    tries = 0;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    tries += 1;
                    std::thread::sleep(RETRY_PAUSE);
                }
                Err(_) => tries += RETRIES,
            }
            if tries >= RETRIES {
                lost += chunk.iter().filter(|b| **b == b'\n').count() as u64;
                break;
            }
        }
    }
    lost
}

/// Length of the first line of `bytes`, newline included.
fn line_end(bytes: &[u8]) -> usize {
    memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1)
}
