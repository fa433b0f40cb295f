//! Rings: lines that wait for servers which take them over a connection. Filled by sinks from any thread, emptied by the tasks of
//! [`super::deliver`], one for each server.
//!
//! Holds: at most `size` bytes, [`lb_config::Ring::OVERHEAD`] for each line included. While a server is connected no line is dropped that
//! it has not got: a new one is refused instead. The lines of a server that is away make room for new ones, the oldest first.
//! Putting a line in never waits for more than another thread's copying.
//!
//! Source: manual 3.9; what happens when it is full as observed on haproxy 2.6.12.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write as _};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::backing::Backing;
use lb_config::{LogProto, LogTransportFormat, Ring as Settings};
use lb_rt::{Remote, TaskKey};

/// Bytes that a server's connection is given at once; a longer line is given whole.
const BATCH: usize = 16 << 10;

/// At the end of the process a server that is connected gets so many more batches, each of which it may take so long to take.
const LAST_BATCHES: usize = 64;
const LAST_PATIENCE: Duration = Duration::from_millis(100);

/// A ring that runs.
#[derive(Debug)]
pub struct Ring {
    settings: Settings,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Box<[u8]>>,
    /// Number of the first line that is here; they are counted from the start.
    first: u64,
    bytes: usize,
    readers: Vec<Reader>,
    backing: Option<Backing>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} lines", self.lines.len())
    }
}

/// Where a server is.
#[derive(Default)]
struct Reader {
    /// Number of the line that it gets next.
    next: u64,
    /// Its connection is open.
    attached: bool,
    /// Whom to wake when there is a line again.
    waiting: Option<(Remote, TaskKey)>,
    /// Its connection, when the process has ended meanwhile.
    left: Option<Left>,
}

/// A connection that nobody looks after any more.
struct Left {
    fd: OwnedFd,
    proto: LogProto,
    /// What is missing of a line that has gone in part.
    rest: Vec<u8>,
}

/// Lines on their way to a server.
#[derive(Default, Debug)]
pub(super) struct Batch {
    /// With their framing.
    pub bytes: Vec<u8>,
    /// Number of the first line.
    first: u64,
    /// Where each line ends in `bytes`.
    ends: Vec<usize>,
}

impl Batch {
    /// What is missing of a line when `sent` bytes have gone out.
    fn rest(&self, sent: usize) -> &[u8] {
        let begins = |at| at == 0 || self.ends.contains(&at);
        let end = self.ends.iter().copied().find(|end| *end > sent && !begins(sent));
        end.map_or(&[], |end| &self.bytes[sent..end])
    }
}

impl Ring {
    /// An empty ring.
    pub fn new(settings: Settings) -> Self {
        let readers = settings.servers.iter().map(|_| Reader::default()).collect();
        Self { settings, state: Mutex::new(State { readers, ..State::default() }) }
    }

    /// Its newest lines are in this file, too.
    pub(super) fn keep_in(&self, backing: Backing) {
        self.lock().backing = Some(backing);
    }

    /// What its section says.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn format(&self) -> LogTransportFormat {
        self.settings.format
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a line in, without a line feed at its end.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`]: there is no room, since a server that is connected has not taken enough, or the line is longer than
    /// the ring.
    pub fn push(&self, line: &[u8]) -> io::Result<()> {
        let need = line.len() + Settings::OVERHEAD;
        let mut state = self.lock();
        if need > self.settings.size {
            return Err(ErrorKind::WouldBlock.into());
        }
        while state.bytes + need > self.settings.size {
            let first = state.first;
            if state.readers.iter().any(|reader| reader.attached && reader.next <= first) {
                return Err(ErrorKind::WouldBlock.into());
            }
            let dropped = state.lines.pop_front().map_or(0, |line| line.len() + Settings::OVERHEAD);
            state.bytes -= dropped;
            state.first += 1;
        }
        state.bytes += need;
        state.lines.push_back(line.into());
        for reader in &mut state.readers {
            if let Some((remote, task)) = reader.waiting.take() {
                remote.wake(task);
            }
        }
        if let Some(Err(e)) = state.backing.as_mut().map(|backing| backing.push(line)) {
            // The servers get it all the same. Told once.
            state.backing = None;
            return Err(io::Error::new(e.kind(), format!("its backing-file, which is given up: {e}")));
        }
        Ok(())
    }

    /// A server's connection is open, or is not any more.
    pub(super) fn attach(&self, reader: usize, attached: bool) {
        let mut state = self.lock();
        state.readers[reader].attached = attached;
        state.readers[reader].waiting = None;
    }

    /// Gives a server its next lines; false when there are none, and then `waker` is woken when there is one.
    pub(super) fn take(&self, reader: usize, proto: LogProto, batch: &mut Batch, waker: impl FnOnce() -> (Remote, TaskKey)) -> bool {
        let mut state = self.lock();
        let got = Self::fill(&mut state, reader, proto, batch);
        state.readers[reader].waiting = (!got).then(waker);
        got
    }

    fn fill(state: &mut State, reader: usize, proto: LogProto, batch: &mut Batch) -> bool {
        batch.bytes.clear();
        batch.ends.clear();
        let next = state.readers[reader].next.max(state.first);
        batch.first = next;
        let skip = usize::try_from(next - state.first).unwrap_or(usize::MAX);
        for line in state.lines.iter().skip(skip) {
            if !batch.bytes.is_empty() && batch.bytes.len() + line.len() > BATCH {
                break;
            }
            match proto {
                LogProto::Legacy => {
                    batch.bytes.extend_from_slice(line);
                    batch.bytes.push(b'\n');
                }
                LogProto::OctetCount => {
                    batch.bytes.extend_from_slice(itoa::Buffer::new().format(line.len()).as_bytes());
                    batch.bytes.push(b' ');
                    batch.bytes.extend_from_slice(line);
                }
            }
            batch.ends.push(batch.bytes.len());
        }
        state.readers[reader].next = next;
        !batch.ends.is_empty()
    }

    /// The process ends while a server is connected, and `sent` bytes of a batch have gone to it: the rest goes by [`Ring::flush`].
    pub(super) fn leave(&self, reader: usize, proto: LogProto, fd: OwnedFd, batch: &Batch, sent: usize) {
        if !batch.ends.is_empty() {
            self.sent(reader, batch, sent);
        }
        let reader = &mut self.lock().readers[reader];
        // What is sent in part counts as sent: the rest of it goes first.
        let rest = batch.rest(sent).to_vec();
        reader.next += u64::from(!rest.is_empty());
        reader.left = Some(Left { fd, proto, rest });
    }

    /// Sends the last lines to the servers that were connected when the process ended. Waits, but not for long.
    pub fn flush(&self) {
        for reader in 0..self.settings.servers.len() {
            let Some(Left { fd, proto, rest }) = self.lock().readers[reader].left.take() else { continue };
            // Whatever it is a socket of: it is written to and closed.
            let mut stream = TcpStream::from(fd);
            if stream.set_nonblocking(false).and_then(|()| stream.set_write_timeout(Some(LAST_PATIENCE))).is_err() {
                continue;
            }
            let mut batch = Batch { bytes: rest, ..Batch::default() };
            for _ in 0..LAST_BATCHES {
                // Who does not take all of it in time gets no more.
                if stream.write(&batch.bytes).ok() != Some(batch.bytes.len()) {
                    break;
                }
                if !Self::fill(&mut self.lock(), reader, proto, &mut batch) {
                    break;
                }
                self.sent(reader, &batch, batch.bytes.len());
            }
        }
    }

    /// Notes that `bytes` of a batch have gone out; whether that was a line and more. A line that went in part goes again.
    pub(super) fn sent(&self, reader: usize, batch: &Batch, bytes: usize) -> bool {
        let whole = batch.ends.iter().take_while(|end| **end <= bytes).count() as u64;
        self.lock().readers[reader].next = batch.first + whole;
        whole != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb_config::{Server, ServerAddress};
    use std::net::SocketAddr;

    fn ring(servers: usize) -> Ring {
        let nowhere = ServerAddress::from(SocketAddr::from(([127, 0, 0, 1], 1)));
        let servers = (0..servers).map(|n| Server::new(format!("s{n}"), nowhere.clone())).collect();
        Ring::new(Settings { size: 40, servers, ..Settings::new("r") })
    }

    fn take(ring: &Ring, reader: usize, proto: LogProto) -> Option<(String, Batch)> {
        let mut batch = Batch::default();
        let rt = lb_rt::Rt::new().expect("a loop");
        let got = ring.take(reader, proto, &mut batch, || (rt.remote().clone(), rt.current()));
        got.then(|| (String::from_utf8(batch.bytes.clone()).expect("ASCII"), batch))
    }

    #[test]
    fn lines_of_a_server_that_is_away_make_room() {
        let ring = ring(1);
        for n in 0..10 {
            ring.push(format!("line {n}").as_bytes()).expect("room is made");
        }
        // 40 bytes hold four lines of 6 and 3.
        let (text, batch) = take(&ring, 0, LogProto::Legacy).expect("lines");
        assert_eq!(text, "line 6\nline 7\nline 8\nline 9\n");
        ring.sent(0, &batch, text.len());
        assert!(take(&ring, 0, LogProto::Legacy).is_none());
        assert!(ring.push(&[b'x'; 38]).is_err(), "longer than the ring");
    }

    #[test]
    fn the_last_lines_go_out_at_the_end() {
        let ring = ring(1);
        for n in 0..4 {
            ring.push(format!("line {n}").as_bytes()).expect("room");
        }
        let (near, mut far) = std::os::unix::net::UnixStream::pair().expect("a pair");
        ring.attach(0, true);
        let (_, batch) = take(&ring, 0, LogProto::Legacy).expect("lines");
        ring.attach(0, false);
        // One and a half have gone.
        ring.leave(0, LogProto::Legacy, near.into(), &batch, 10);
        ring.push(b"line 4").expect("room is made of what has gone");
        ring.flush();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut far, &mut text).expect("the end");
        assert_eq!(text, "e 1\nline 2\nline 3\nline 4\n");
        ring.flush();
    }

    #[test]
    fn a_server_that_is_connected_loses_nothing() {
        let ring = ring(2);
        ring.attach(0, true);
        let taken = (0..10).take_while(|n| ring.push(format!("line {n}").as_bytes()).is_ok()).count();
        assert_eq!(taken, 4);
        // One and a half lines went out: the second goes again.
        let (text, batch) = take(&ring, 0, LogProto::OctetCount).expect("lines");
        assert_eq!(text, "6 line 06 line 16 line 26 line 3");
        ring.sent(0, &batch, 12);
        ring.attach(0, false);
        ring.attach(0, true);
        assert_eq!(take(&ring, 0, LogProto::Legacy).expect("lines").0, "line 1\nline 2\nline 3\n");
        ring.push(b"line 4").expect("the first line is no longer needed");
        assert!(ring.push(b"line 5").is_err());
        // The other server, which was away, finds what is there.
        assert_eq!(take(&ring, 1, LogProto::Legacy).expect("lines").0, "line 1\nline 2\nline 3\nline 4\n");
    }
}
