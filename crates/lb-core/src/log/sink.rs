//! Where lines go: datagrams to a syslog server, or a descriptor that a thread of its own writes to.
//!
//! Holds: `send` never blocks. A datagram that the kernel does not take at once is dropped and counted. Each
//! datagram looks its receiver up, so that a syslog daemon that restarts is found again; where a UNIX socket's path leads nowhere, as
//! in a chroot, the receiver that was there at the start gets the line. The first failure of a process is told, the rest only counted. A descriptor may
//! block (a pipe whose reader stopped, a slow terminal), and making it non-blocking would change it for every process that
//! shares it; so a thread writes it, behind a queue of [`QUEUE_BYTES`].

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{SocketAddr as UnixSocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::Ring;
use super::backing::Backing;
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
    losses: Arc<Losses>,
}

/// Takes the words about the first line that was lost.
type Tell = Box<dyn Fn(&str) + Send + Sync>;

/// Lines that were lost.
#[derive(Default)]
struct Losses {
    count: AtomicU64,
    told: AtomicBool,
    tell: OnceLock<Tell>,
}

impl std::fmt::Debug for Losses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.count)
    }
}

impl Losses {
    /// Counts lines that `to` did not take. What passes by itself (a queue that is full) is counted and not told.
    fn add(&self, lines: u64, to: &str, why: &io::Error) {
        self.count.fetch_add(lines, Ordering::Relaxed);
        if why.kind() != ErrorKind::WouldBlock
            && !self.told.load(Ordering::Relaxed)
            && let Some(tell) = self.tell.get()
            && !self.told.swap(true, Ordering::Relaxed)
        {
            tell(&format!("a log line could not be sent to {to}: {why}. Lines that are lost are counted from here on, not told."));
        }
    }
}

impl LogSinks {
    /// No sink yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lines that could not be sent since the start, over all sinks (`DroppedLogs` of `show info`).
    pub fn dropped(&self) -> u64 {
        self.losses.count.load(Ordering::Relaxed)
    }

    /// Tells [`LogSinks::dropped`] from wherever it is.
    pub fn dropped_later(&self) -> Box<dyn Fn() -> u64 + Send> {
        let losses = self.losses.clone();
        Box::new(move || losses.count.load(Ordering::Relaxed))
    }

    /// Takes the words about the first line that is lost; a second call changes nothing.
    pub fn on_first_loss(&self, tell: impl Fn(&str) + Send + Sync + 'static) {
        let _ = self.losses.tell.set(Box::new(tell));
    }

    pub(super) fn get(&self, address: &LogAddress) -> Result<Arc<Sink>, SinkError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sink) = open.get(address) {
            return Ok(Arc::clone(sink));
        }
        let kind = Kind::open(address, &self.losses).map_err(|source| SinkError { address: shown(address), source })?;
        let sink = Arc::new(Sink { kind, name: shown(address), losses: Arc::clone(&self.losses) });
        open.insert(address.clone(), Arc::clone(&sink));
        Ok(sink)
    }

    /// Makes a ring known, so that targets may name it.
    ///
    /// # Errors
    /// Its file cannot be opened.
    pub fn add_ring(&self, settings: &lb_config::Ring) -> Result<Arc<Ring>, SinkError> {
        let ring = Arc::new(Ring::new(settings.clone()));
        if let Some(path) = &settings.backing_file {
            let failed = |source| SinkError { address: format!("the backing-file {}", path.display()), source };
            ring.keep_in(Backing::open(path, settings.size).map_err(failed)?);
        }
        let address = LogAddress::Ring(settings.name.clone());
        let sink = Sink { kind: Kind::Ring(Arc::clone(&ring)), name: shown(&address), losses: Arc::clone(&self.losses) };
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(address, Arc::new(sink));
        Ok(ring)
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
        LogAddress::Ring(name) => format!("ring@{name}"),
    }
}

/// One open destination.
#[derive(Debug)]
pub(super) struct Sink {
    kind: Kind,
    name: String,
    losses: Arc<Losses>,
}

#[derive(Debug)]
enum Kind {
    Udp { socket: UdpSocket, to: SocketAddr },
    Unix { socket: UnixDatagram, to: UnixTo },
    Descriptor(Descriptor),
    Ring(Arc<Ring>),
}

#[derive(Debug)]
enum UnixTo {
    Path(std::path::PathBuf),
    Abstract(UnixSocketAddr),
}

impl Kind {
    fn open(address: &LogAddress, losses: &Arc<Losses>) -> io::Result<Self> {
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
                // Perhaps nobody is there yet.
                let _ = to.connect(&socket);
                Ok(Self::Unix { socket, to })
            }
            LogAddress::Stdout => Descriptor::open(1, shown(address), losses).map(Self::Descriptor),
            LogAddress::Stderr => Descriptor::open(2, shown(address), losses).map(Self::Descriptor),
            // All of them are there from the start.
            LogAddress::Ring(_) => Err(ErrorKind::NotFound.into()),
            LogAddress::Fd(fd) => Descriptor::open(*fd, shown(address), losses).map(Self::Descriptor),
        }
    }
}

impl UnixTo {
    fn connect(&self, socket: &UnixDatagram) -> io::Result<()> {
        match self {
            UnixTo::Path(path) => socket.connect(path),
            UnixTo::Abstract(name) => socket.connect_addr(name),
        }
    }

    fn send(&self, socket: &UnixDatagram, line: &[u8]) -> io::Result<usize> {
        match self {
            UnixTo::Path(path) => socket.send_to(line, path),
            UnixTo::Abstract(name) => socket.send_to_addr(line, name),
        }
    }
}

impl Sink {
    /// The ring that lines go to.
    pub(super) fn ring(&self) -> Option<&Arc<Ring>> {
        match &self.kind {
            Kind::Ring(ring) => Some(ring),
            _ => None,
        }
    }

    /// Sends one line, its newline included, or counts it as lost.
    pub(super) fn send(&self, line: &[u8]) {
        let sent = match &self.kind {
            Kind::Udp { socket, to } => datagram(|| socket.send_to(line, to)),
            Kind::Unix { socket, to } => match datagram(|| to.send(socket, line)) {
                // Its path may be out of reach; the receiver that was there at the start is not.
                Err(e) if e.kind() == ErrorKind::NotFound => socket.send(line).map(drop).map_err(|_| e),
                sent => sent,
            },
            Kind::Descriptor(descriptor) => descriptor.shared.push(line),
            Kind::Ring(ring) => ring.push(line.strip_suffix(b"\n").unwrap_or(line)),
        };
        if let Err(e) = sent {
            self.losses.add(1, &self.name, &e);
        }
    }
}

/// Sends a datagram, or says why the kernel did not take it.
fn datagram(send: impl Fn() -> io::Result<usize>) -> io::Result<()> {
    // The first call may only report what became of an earlier datagram (an ICMP error); the second sends. A signal is
    // no reason to lose a line either.
    match send() {
        Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionRefused) => send().map(drop),
        sent => sent.map(drop),
    }
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

    fn push(&self, line: &[u8]) -> io::Result<()> {
        let mut queue = self.lock();
        if queue.ended || queue.lines.len() + line.len() > QUEUE_BYTES {
            return Err(ErrorKind::WouldBlock.into());
        }
        let wake = queue.lines.is_empty();
        queue.lines.extend_from_slice(line);
        drop(queue);
        if wake {
            self.changed.notify_all();
        }
        Ok(())
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
    fn open(fd: i32, name: String, losses: &Arc<Losses>) -> io::Result<Self> {
        let file = File::from(lb_sys::process::inherited(fd)?);
        // A socket may keep message boundaries: one write per line. Anything else may take several lines at once.
        let at_once = if file.metadata().is_ok_and(|m| m.file_type().is_socket()) { 0 } else { WRITE_BYTES };
        let shared = Arc::new(Shared::default());
        let (theirs, losses) = (Arc::clone(&shared), Arc::clone(losses));
        std::thread::Builder::new().name(format!("log fd@{fd}")).spawn(move || {
            let mut batch = Vec::new();
            while theirs.take(&mut batch) {
                write_lines(&file, &batch, at_once, |lines, why| losses.add(lines, &name, why));
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

/// Writes whole lines, several at once up to `at_once` bytes; `lost` is told how many were not taken, and why.
fn write_lines(mut file: &File, lines: &[u8], at_once: usize, lost: impl Fn(u64, &io::Error)) {
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
            let failed = match file.write(chunk) {
                Ok(0) => ErrorKind::WriteZero.into(),
                Ok(n) => {
                    chunk = &chunk[n..];
                    tries = 0;
                    continue;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == ErrorKind::WouldBlock && tries + 1 < RETRIES => {
                    tries += 1;
                    std::thread::sleep(RETRY_PAUSE);
                    continue;
                }
                Err(e) => e,
            };
            lost(chunk.iter().filter(|b| **b == b'\n').count() as u64, &failed);
            break;
        }
    }
}

/// Length of the first line of `bytes`, newline included.
fn line_end(bytes: &[u8]) -> usize {
    memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1)
}
