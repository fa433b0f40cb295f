//! The load: N connections, each of which sends its next request when the last answer is complete.
//!
//! Holds: a run of COUNT starts exactly COUNT exchanges (fewer when its time is over), and each ends as done or as an error.

use crate::clock;
use crate::control::{Report, Run};
use crate::wire::{Answer, Feed, Wire};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustix::net::RecvFlags;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What a connection does when its answer is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// Sends the next request.
    Again,
    /// Waits for the end of the stream, then opens a new connection.
    Reconnect,
    /// Stays open and idle; a new connection takes the next exchange.
    Hold,
}

/// At most this many bytes are dropped in one call.
const SKIP: usize = 1 << 20;
/// A run with so many errors is given up.
const MAX_ERRORS: u64 = 1000;

struct Conn {
    stream: TcpStream,
    answer: Answer,
    /// Bytes of the request that are written; `None` when no exchange is open.
    sent: Option<usize>,
    /// Complete, waiting for the peer to close (`After::Reconnect`).
    closing: bool,
}

/// A set of connections to one address.
pub struct Client {
    to: SocketAddr,
    wire: Wire,
    after: After,
    parallel: usize,
    poll: Poll,
    events: Events,
    conns: Vec<Option<Conn>>,
    free: Vec<usize>,
    buf: Vec<u8>,
    trash: Vec<u8>,
}

/// Counts of one run.
struct Tally {
    to_start: u64,
    open: u64,
    report: Report,
}

impl Client {
    /// A client with no connections yet; the first run opens them.
    ///
    /// # Errors
    /// When epoll cannot be set up.
    pub fn new(to: SocketAddr, wire: Wire, after: After, parallel: usize) -> std::io::Result<Self> {
        Ok(Self {
            to,
            wire,
            after,
            parallel,
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            conns: Vec::new(),
            free: Vec::new(),
            buf: vec![0; 128 * 1024],
            trash: vec![0; SKIP],
        })
    }

    /// Does one order of the driver.
    ///
    /// # Errors
    /// When epoll fails; what happens to connections is in the report.
    pub fn run(&mut self, order: Run) -> std::io::Result<Report> {
        let start = clock::now();
        let end = start + order.limit;
        let mut tally = Tally { to_start: order.count, open: 0, report: Report::default() };
        self.start_all(&mut tally);
        let mut turns = 0u32;
        while tally.open > 0 && tally.report.errors < MAX_ERRORS {
            turns = turns.wrapping_add(1);
            if turns.is_multiple_of(64) && clock::now() >= end {
                break;
            }
            match self.poll.poll(&mut self.events, Some(Duration::from_millis(20))) {
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            }
            if self.events.is_empty() && clock::now() >= end {
                break;
            }
            self.turn(&mut tally);
        }
        self.abandon(&mut tally);
        tally.report.nanos = nanos(start);
        Ok(tally.report)
    }

    fn turn(&mut self, tally: &mut Tally) {
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let Token(index) = event.token();
            if self.conns[index].is_none() {
                continue;
            }
            if event.is_writable() && !self.write(index) {
                self.fail(index, tally);
                continue;
            }
            if event.is_readable() || event.is_read_closed() {
                self.read(index, event.is_read_closed(), tally);
            }
        }
        self.events = events;
    }

    /// Gives exchanges to idle connections and new ones until enough are open.
    fn start_all(&mut self, tally: &mut Tally) {
        if self.after == After::Again {
            for index in 0..self.conns.len() {
                if tally.to_start > 0 && self.conns[index].as_ref().is_some_and(|c| c.sent.is_none()) {
                    self.begin(index, tally);
                }
            }
        }
        self.open_more(tally);
    }

    fn open_more(&mut self, tally: &mut Tally) {
        while tally.to_start > 0 && tally.open < self.parallel as u64 && tally.report.errors < MAX_ERRORS {
            match self.connect() {
                Ok(index) => self.begin(index, tally),
                Err(_) => {
                    tally.to_start -= 1;
                    tally.report.errors += 1;
                }
            }
        }
    }

    fn connect(&mut self) -> std::io::Result<usize> {
        let mut stream = TcpStream::connect(self.to)?;
        stream.set_nodelay(true)?;
        let index = self.free.pop().unwrap_or_else(|| {
            self.conns.push(None);
            self.conns.len() - 1
        });
        self.poll.registry().register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)?;
        self.conns[index] = Some(Conn { stream, answer: Answer::default(), sent: None, closing: false });
        Ok(index)
    }

    fn begin(&mut self, index: usize, tally: &mut Tally) {
        tally.to_start -= 1;
        tally.open += 1;
        if let Some(conn) = &mut self.conns[index] {
            conn.sent = Some(0);
            conn.answer = Answer::default();
        }
        if !self.write(index) {
            self.fail(index, tally);
        }
    }

    /// Writes what is left of the request; false when the connection failed.
    fn write(&mut self, index: usize) -> bool {
        let Some(Conn { stream, sent: Some(sent), .. }) = &mut self.conns[index] else { return true };
        while *sent < self.wire.request.len() {
            match stream.write(&self.wire.request[*sent..]) {
                Ok(n) => *sent += n,
                // A connection attempt still under way says NotConnected.
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => return true,
                Err(_) => return false,
            }
        }
        true
    }

    fn read(&mut self, index: usize, until_eof: bool, tally: &mut Tally) {
        loop {
            let Some(conn) = &mut self.conns[index] else { return };
            let skip = usize::try_from(self.wire.skip(&conn.answer)).unwrap_or(SKIP).min(SKIP);
            let (asked, result) = if skip > 0 {
                (skip, drop_bytes(&conn.stream, &mut self.trash[..skip]))
            } else {
                let asked = self.wire.read_size(&conn.answer).min(self.buf.len());
                (asked, conn.stream.read(&mut self.buf[..asked]))
            };
            let n = match result {
                Ok(0) if conn.closing => {
                    self.drop_conn(index);
                    self.finish(tally);
                    self.open_more(tally);
                    return;
                }
                Ok(n) if n > 0 && conn.sent.is_some() && !conn.closing => n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                // The end of the stream too early, or bytes that nobody asked for.
                _ => {
                    self.fail(index, tally);
                    return;
                }
            };
            tally.report.bytes += n as u64;
            let feed =
                if skip > 0 { self.wire.skipped(&mut conn.answer, n as u64) } else { self.wire.feed(&mut conn.answer, &self.buf[..n]) };
            match feed {
                Feed::More => {}
                Feed::Wrong => {
                    self.fail(index, tally);
                    return;
                }
                Feed::Done => self.complete(index, tally),
            }
            if n < asked && !until_eof {
                return;
            }
        }
    }

    /// The answer is complete: the connection goes its way.
    fn complete(&mut self, index: usize, tally: &mut Tally) {
        let Some(conn) = &mut self.conns[index] else { return };
        match self.after {
            After::Reconnect => conn.closing = true,
            After::Again => {
                conn.sent = None;
                self.finish(tally);
                if tally.to_start > 0 {
                    self.begin(index, tally);
                }
            }
            After::Hold => {
                conn.sent = None;
                self.finish(tally);
                self.open_more(tally);
            }
        }
    }

    fn finish(&mut self, tally: &mut Tally) {
        tally.report.done += 1;
        tally.open -= 1;
    }

    fn fail(&mut self, index: usize, tally: &mut Tally) {
        let Some(conn) = &self.conns[index] else { return };
        // An idle connection that the proxy closes is an error too: the proxies are set up to keep it.
        tally.report.errors += 1;
        if conn.sent.is_some() {
            tally.open -= 1;
        }
        self.drop_conn(index);
        self.open_more(tally);
    }

    fn drop_conn(&mut self, index: usize) {
        self.conns[index] = None;
        self.free.push(index);
    }

    /// Time is over: what is still open counts as an error.
    fn abandon(&mut self, tally: &mut Tally) {
        if tally.open == 0 {
            return;
        }
        for index in 0..self.conns.len() {
            if self.conns[index].as_ref().is_some_and(|c| c.sent.is_some()) {
                tally.report.errors += 1;
                self.drop_conn(index);
            }
        }
        tally.open = 0;
    }
}

/// Takes at most `space.len()` bytes off the socket's queue; nothing is written to `space` (TCP with MSG_TRUNC).
fn drop_bytes(stream: &TcpStream, space: &mut [u8]) -> std::io::Result<usize> {
    let (_, n) = rustix::net::recv(stream, space, RecvFlags::TRUNC)?;
    Ok(n)
}

fn nanos(since: Instant) -> u64 {
    u64::try_from(clock::now().duration_since(since).as_nanos()).unwrap_or(u64::MAX)
}
