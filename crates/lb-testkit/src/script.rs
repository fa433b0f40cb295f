//! One end of a connection that follows a list of [`Step`]s, and the [`Transcript`] of what it saw.
//!
//! Clients and origins of the tests are both this. Holds: every byte received is in the transcript, also what no step asked for;
//! each wait ends with the patience of the player, and a step that waited in vain is named in the transcript.

use crate::http::{self, Length};
use crate::wait::{Deadline, Signals, patience};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One step of a script.
#[derive(Clone, Debug)]
pub enum Step {
    /// Send these bytes. An error (the other side has closed) is no failure: what it answers is what counts.
    Send(Vec<u8>),
    /// Send bytes in pieces of `size` with `pause` between them; stops when the other side has closed.
    Drip {
        /// What to send.
        bytes: Vec<u8>,
        /// Bytes per piece.
        size: usize,
        /// Time between two pieces.
        pause: Duration,
    },
    /// Do nothing for a while (what arrives stays in the socket).
    Pause(Duration),
    /// Read until this pattern has come; what follows it is left for the next step.
    Until(Vec<u8>),
    /// Read this many bytes.
    Count(usize),
    /// Read one whole request.
    Request,
    /// Read one whole response, interim responses one at a time.
    Response,
    /// Read the head of an answer to HEAD.
    ResponseToHead,
    /// Read until the other side closes or resets.
    Eof,
    /// Read for this long; fails when the other side closes meanwhile. Says that nothing ends the connection.
    Quiet(Duration),
    /// Shut down our sending direction.
    HalfClose,
    /// Close. The script ends here.
    Close,
    /// Close with a reset (SO_LINGER 0). The script ends here.
    Reset,
    /// Raise a signal of the world.
    Signal(&'static str),
    /// Wait for a signal of the world.
    Wait(&'static str),
    /// For origins: read a request, send this answer, again and again until the other side closes.
    Serve(Vec<u8>),
    /// For clients: wait until this many log lines are there.
    Logs(usize),
    /// Close the listener that this connection came from (origins only): new connects are refused.
    StopListening,
}

/// How a connection ended, as seen by the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The other side has not closed.
    Open,
    /// The other side sent FIN.
    Fin,
    /// The other side sent RST.
    Rst,
    /// The script itself closed or reset it.
    Own,
}

/// What one connection saw.
#[derive(Clone, Debug)]
pub struct Transcript {
    /// All bytes received.
    pub received: Vec<u8>,
    /// How it ended.
    pub end: End,
    /// The step that waited in vain or met an unexpected end, in words.
    pub failure: Option<String>,
    /// Our own port (0 for UNIX sockets).
    pub local_port: u16,
    /// The other side's port (0 for UNIX sockets).
    pub peer_port: u16,
    /// Whether the script has ended.
    pub done: bool,
}

/// A transcript that others can watch while it grows.
#[derive(Debug)]
pub struct Live {
    transcript: Mutex<Transcript>,
    changed: Condvar,
}

impl Live {
    fn new(local_port: u16, peer_port: u16) -> Arc<Self> {
        let transcript = Transcript { received: Vec::new(), end: End::Open, failure: None, local_port, peer_port, done: false };
        Arc::new(Live { transcript: Mutex::new(transcript), changed: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, Transcript> {
        self.transcript.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, edit: impl FnOnce(&mut Transcript)) {
        edit(&mut self.lock());
        self.changed.notify_all();
    }

    /// The transcript so far.
    pub fn get(&self) -> Transcript {
        self.lock().clone()
    }

    /// Waits until `condition` holds for it; false when the deadline passed first.
    pub fn wait(&self, deadline: Deadline, condition: impl Fn(&Transcript) -> bool) -> bool {
        let mut transcript = self.lock();
        while !condition(&transcript) {
            let Some(left) = deadline.left() else { return false };
            transcript = self.changed.wait_timeout(transcript, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// A stream socket of either family.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(TcpStream),
    /// UNIX.
    Unix(UnixStream),
}

impl Socket {
    fn read(&mut self, buf: &mut [u8], limit: Duration) -> io::Result<usize> {
        let limit = Some(limit.max(Duration::from_millis(1)));
        match self {
            Socket::Tcp(s) => s.set_read_timeout(limit).and_then(|()| s.read(buf)),
            Socket::Unix(s) => s.set_read_timeout(limit).and_then(|()| s.read(buf)),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Socket::Tcp(s) => s.write_all(bytes),
            Socket::Unix(s) => s.write_all(bytes),
        }
    }

    /// Shuts down one or both directions.
    pub fn shutdown(&self, how: Shutdown) {
        let _ = match self {
            Socket::Tcp(s) => s.shutdown(how),
            Socket::Unix(s) => s.shutdown(how),
        };
    }

    /// A second handle to the same socket.
    pub fn try_clone(&self) -> io::Result<Socket> {
        Ok(match self {
            Socket::Tcp(s) => Socket::Tcp(s.try_clone()?),
            Socket::Unix(s) => Socket::Unix(s.try_clone()?),
        })
    }

    /// Makes the close of this socket a reset (TCP).
    pub fn linger_zero(&self) {
        if let Socket::Tcp(s) = self {
            let _ = rustix::net::sockopt::set_socket_linger(s, Some(Duration::ZERO));
        }
    }
}

/// What a script may ask of the world around it.
pub trait World: Send + Sync {
    /// The signals.
    fn signals(&self) -> &Signals;
    /// Waits for log lines; false when the deadline passed first.
    fn wait_logs(&self, count: usize, deadline: Deadline) -> bool;
}

/// A world with signals alone.
#[derive(Debug, Default)]
pub struct Plain(Signals);

impl World for Plain {
    fn signals(&self) -> &Signals {
        &self.0
    }

    fn wait_logs(&self, _count: usize, _deadline: Deadline) -> bool {
        false
    }
}

/// A connection with its transcript.
#[derive(Debug)]
pub struct Player {
    socket: Option<Socket>,
    live: Arc<Live>,
    unread: Vec<u8>,
    patience: Duration,
}

enum Fill {
    Data,
    End,
    TimedOut,
}

impl Player {
    /// Plays on `socket`.
    pub fn new(socket: Socket) -> io::Result<Self> {
        let (local, peer) = match &socket {
            Socket::Tcp(s) => {
                s.set_nodelay(true)?;
                s.set_write_timeout(Some(patience()))?;
                // The peer may be gone already; its port is only for the record.
                (s.local_addr()?.port(), s.peer_addr().map_or(0, |a| a.port()))
            }
            Socket::Unix(s) => {
                s.set_write_timeout(Some(patience()))?;
                (0, 0)
            }
        };
        Ok(Player { socket: Some(socket), live: Live::new(local, peer), unread: Vec::new(), patience: patience() })
    }

    /// The transcript, to watch from elsewhere.
    pub fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live)
    }

    /// Waits per step at most this long instead of the usual patience.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    fn fill(&mut self, limit: Duration) -> Fill {
        let Some(socket) = &mut self.socket else { return Fill::End };
        if self.live.lock().end != End::Open {
            return Fill::End;
        }
        let mut piece = [0; 65536];
        match socket.read(&mut piece, limit) {
            Ok(0) => self.live.change(|t| t.end = End::Fin),
            Ok(n) => {
                self.unread.extend(&piece[..n]);
                self.live.change(|t| t.received.extend(&piece[..n]));
                return Fill::Data;
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted) => {
                return Fill::TimedOut;
            }
            Err(_) => self.live.change(|t| t.end = End::Rst),
        }
        Fill::End
    }

    /// Reads until `complete` gives the length of what was waited for; the error says how it failed.
    fn read_until(&mut self, complete: impl Fn(&[u8], bool) -> Option<usize>) -> Result<(), &'static str> {
        let deadline = Deadline::after(self.patience);
        let mut ended = false;
        loop {
            if let Some(n) = complete(&self.unread, ended) {
                self.unread.drain(..n);
                return Ok(());
            }
            if ended {
                return Err("the connection ended first");
            }
            match self.fill(deadline.left().unwrap_or_default()) {
                Fill::Data => {}
                Fill::End => ended = true,
                Fill::TimedOut if deadline.passed() => return Err("nothing more came in time"),
                Fill::TimedOut => {}
            }
        }
    }

    fn read_message(&mut self, length: impl Fn(&[u8]) -> Length) -> Result<(), &'static str> {
        self.read_until(|buf, ended| match length(buf) {
            Length::Bytes(n) => Some(n),
            Length::ToEof if ended => Some(buf.len()),
            Length::ToEof | Length::Incomplete => None,
        })
    }

    fn send(&mut self, bytes: &[u8]) -> bool {
        self.socket.as_mut().is_some_and(|s| s.write_all(bytes).is_ok())
    }

    /// Plays the steps. The socket stays open at the end unless a step closed it.
    pub fn play(&mut self, steps: &[Step], world: &dyn World, stop_listening: &dyn Fn()) {
        for (number, step) in steps.iter().enumerate() {
            let result = self.step(step, world, stop_listening);
            if let Err(why) = result {
                let mut text = format!("{step:?}");
                if text.len() > 100 {
                    text.truncate(text.floor_char_boundary(100));
                    text.push('…');
                }
                self.live.change(|t| t.failure = Some(format!("step {number} {text}: {why}")));
                break;
            }
            if self.socket.is_none() {
                break;
            }
        }
        self.live.change(|t| t.done = true);
    }

    fn step(&mut self, step: &Step, world: &dyn World, stop_listening: &dyn Fn()) -> Result<(), &'static str> {
        match step {
            Step::Send(bytes) => {
                self.send(bytes);
                Ok(())
            }
            Step::Drip { bytes, size, pause } => {
                for piece in bytes.chunks((*size).max(1)) {
                    if !self.send(piece) || matches!(self.fill(*pause), Fill::End) {
                        break;
                    }
                }
                Ok(())
            }
            Step::Pause(d) => {
                std::thread::sleep(*d);
                Ok(())
            }
            Step::Until(pattern) => self.read_until(|buf, _| http::find(buf, pattern).map(|at| at + pattern.len())),
            Step::Count(n) => self.read_until(|buf, _| (buf.len() >= *n).then_some(*n)),
            Step::Request => self.read_message(http::request_len),
            Step::Response => self.read_message(|b| http::response_len(b, false)),
            Step::ResponseToHead => self.read_message(|b| http::response_len(b, true)),
            Step::Eof => self.read_until(|buf, ended| ended.then_some(buf.len())),
            Step::Quiet(d) => {
                let deadline = Deadline::after(*d);
                while let Some(left) = deadline.left() {
                    if matches!(self.fill(left), Fill::End) {
                        return Err("the other side closed");
                    }
                }
                Ok(())
            }
            Step::HalfClose => {
                if let Some(socket) = &self.socket {
                    socket.shutdown(Shutdown::Write);
                }
                Ok(())
            }
            Step::Close => {
                // What has come in unread would turn the close into a reset.
                while matches!(self.fill(Duration::ZERO), Fill::Data) {}
                self.socket = None;
                self.live.change(|t| t.end = End::Own);
                Ok(())
            }
            Step::Reset => {
                if let Some(socket) = self.socket.take() {
                    socket.linger_zero();
                }
                self.live.change(|t| t.end = End::Own);
                Ok(())
            }
            Step::Signal(name) => {
                world.signals().raise(name);
                Ok(())
            }
            Step::Wait(name) => {
                if world.signals().wait(name, Deadline::after(self.patience)) {
                    Ok(())
                } else {
                    Err("the signal never came")
                }
            }
            Step::Logs(count) => {
                if world.wait_logs(*count, Deadline::after(self.patience)) {
                    Ok(())
                } else {
                    Err("the log line never came")
                }
            }
            Step::Serve(answer) => loop {
                if self.read_message(http::request_len).is_err() {
                    return Ok(());
                }
                self.send(answer);
            },
            Step::StopListening => {
                stop_listening();
                Ok(())
            }
        }
    }

    /// Reads until the other side closes or `limit` has passed, then closes.
    pub fn finish(mut self, limit: Duration) -> Transcript {
        let deadline = Deadline::after(limit);
        while let Some(left) = deadline.left() {
            if matches!(self.fill(left), Fill::End) {
                break;
            }
        }
        self.live.get()
    }

    /// Whether it still holds its socket.
    pub fn is_open(&self) -> bool {
        self.socket.is_some()
    }
}
