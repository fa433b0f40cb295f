//! The origin: HTTP/1.1 answers by path (see [`crate::plan`]), or fixed-size messages echoed in mode `echo`.
//!
//! Holds: an answer goes out only after its whole request has come in; answers of one connection stay in order.

use crate::plan::{Cursor, Plan};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;

/// A request head longer than this ends its connection.
const MAX_HEAD: usize = 16 * 1024;

/// What the origin speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    /// HTTP/1.1.
    Http {
        /// Each answer says `Connection: close` and ends its connection.
        close: bool,
    },
    /// One message of so many bytes comes in, one goes out.
    Echo(usize),
}

struct Conn {
    stream: TcpStream,
    /// The part of a request that has come in.
    partial: Vec<u8>,
    /// Answers owed beyond the current one (pipelining).
    queue: Vec<Rc<Plan>>,
    out: Option<(Rc<Plan>, Cursor)>,
    close: bool,
}

struct Origin {
    speech: Speech,
    plans: HashMap<Vec<u8>, Rc<Plan>>,
    /// The last whole request head and its answer: the usual case is the same request again.
    last: (Vec<u8>, Rc<Plan>),
    buf: Vec<u8>,
}

/// Serves `addresses` for ever.
///
/// # Errors
/// When an address cannot be bound or epoll fails; errors of one connection end that connection.
pub fn run(addresses: &[SocketAddr], speech: Speech) -> std::io::Result<()> {
    let mut poll = Poll::new()?;
    let mut listeners = Vec::with_capacity(addresses.len());
    for (i, addr) in addresses.iter().enumerate() {
        let mut listener = TcpListener::bind(*addr)?;
        poll.registry().register(&mut listener, Token(i), Interest::READABLE)?;
        listeners.push(listener);
    }
    crate::control::exit_with_stdin();
    println!("ready");

    let echo = match speech {
        Speech::Echo(size) => Plan::fixed(vec![b'x'; size]),
        Speech::Http { .. } => Plan::fixed(Vec::new()),
    };
    let mut origin = Origin { speech, plans: HashMap::new(), last: (Vec::new(), Rc::new(echo)), buf: vec![0; 64 * 1024] };
    let mut conns: Vec<Option<Conn>> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut events = Events::with_capacity(1024);
    loop {
        match poll.poll(&mut events, None) {
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            other => other?,
        }
        for event in &events {
            let Token(token) = event.token();
            if token < listeners.len() {
                while let Ok((mut stream, _)) = listeners[token].accept() {
                    let index = free.pop().unwrap_or_else(|| {
                        conns.push(None);
                        conns.len() - 1
                    });
                    // A failure leaves the connection unserved: the client counts it as an error.
                    let _ = stream.set_nodelay(true);
                    poll.registry().register(&mut stream, Token(listeners.len() + index), Interest::READABLE | Interest::WRITABLE)?;
                    conns[index] = Some(Conn { stream, partial: Vec::new(), queue: Vec::new(), out: None, close: false });
                }
                continue;
            }
            let index = token - listeners.len();
            let Some(conn) = conns[index].as_mut() else { continue };
            let mut alive = true;
            if event.is_readable() || event.is_read_closed() {
                alive = origin.read(conn, event.is_read_closed());
            } else if event.is_writable() && conn.out.is_some() {
                alive = conn.write();
            }
            if !alive {
                conns[index] = None;
                free.push(index);
            }
        }
    }
}

impl Origin {
    /// Reads until nothing is left; false when the connection is over.
    fn read(&mut self, conn: &mut Conn, until_eof: bool) -> bool {
        loop {
            let n = match conn.stream.read(&mut self.buf) {
                Ok(0) => return false,
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            };
            let alive = match self.speech {
                Speech::Echo(size) => self.echo(conn, n, size),
                Speech::Http { close } => self.http(conn, n, close),
            };
            if !alive {
                return false;
            }
            // A short read has emptied the socket; the next byte comes with its own edge.
            if n < self.buf.len() && !until_eof {
                return true;
            }
        }
    }

    fn echo(&mut self, conn: &mut Conn, n: usize, size: usize) -> bool {
        if conn.partial.is_empty() && n == size {
            return conn.answer(&self.last.1);
        }
        conn.partial.extend_from_slice(&self.buf[..n]);
        while conn.partial.len() >= size {
            conn.partial.drain(..size);
            if !conn.answer(&self.last.1) {
                return false;
            }
        }
        true
    }

    fn http(&mut self, conn: &mut Conn, n: usize, close: bool) -> bool {
        if conn.partial.is_empty() && self.buf[..n] == self.last.0 {
            conn.close = close;
            return conn.answer(&self.last.1);
        }
        conn.partial.extend_from_slice(&self.buf[..n]);
        while let Some(end) = memchr::memmem::find(&conn.partial, b"\r\n\r\n") {
            let request: Vec<u8> = conn.partial.drain(..end + 4).collect();
            let path = request.split(|b| *b == b' ').nth(1).unwrap_or(b"/").to_vec();
            let plan = self.plans.entry(path).or_insert_with_key(|path| Rc::new(Plan::for_path(&String::from_utf8_lossy(path), close)));
            self.last = (request, Rc::clone(plan));
            conn.close = close;
            if !conn.answer(&self.last.1) {
                return false;
            }
        }
        conn.partial.len() <= MAX_HEAD
    }
}

impl Conn {
    fn answer(&mut self, plan: &Rc<Plan>) -> bool {
        if self.out.is_some() {
            self.queue.push(Rc::clone(plan));
            return true;
        }
        self.out = Some((Rc::clone(plan), Cursor::default()));
        self.write()
    }

    /// Writes what is owed until the socket is full; false when the connection is over.
    fn write(&mut self) -> bool {
        while let Some((plan, at)) = &mut self.out {
            let Some(rest) = plan.rest(*at) else {
                if self.close {
                    return false;
                }
                self.out = if self.queue.is_empty() { None } else { Some((self.queue.remove(0), Cursor::default())) };
                continue;
            };
            match self.stream.write(rest) {
                Ok(n) => *at = plan.advance(*at, n),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            }
        }
        true
    }
}
