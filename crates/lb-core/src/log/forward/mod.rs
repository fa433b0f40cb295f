//! `log-forward` sections: messages of others that come in by datagram or by connection and go out to targets, in their own form or
//! in the target's. All of it runs in the first thread. What a connection that is no such thing ends with is told to nobody, as
//! these sections have no log of their own.
//!
//! Holds: a connection costs one task and, while there is a part of a message, one buffer; at most `maxconn` of them are served at once.
//! A message is as long as a buffer at most; a longer one ends its connection, or is cut off when it is a datagram.
//!
//! Source: manual 3.10.

pub mod framing;
mod message;

pub use message::{Message, Time};

use super::Logger;
use crate::gate::{Gate, Pass};
use crate::incoming::{self, Wanted};
use crate::listener::{REST, is_transient};
use crate::worker::Worker;
use framing::Frame;
use lb_config::HostField;
use lb_http::proxy::Endpoints;
use lb_rt::{Buffer, Listener, Rt, Socket, Udp};
use lb_sys::Addr;
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// Messages that a socket takes before other tasks run.
const AT_ONCE: usize = 64;

/// A section whose sockets are open.
pub struct Forwarder {
    /// Where its messages go.
    pub logger: Logger,
    /// Sockets of `bind` lines.
    pub streams: Vec<Stream>,
    /// Sockets of `dgram-bind` lines.
    pub datagrams: Vec<OwnedFd>,
    /// `maxconn`
    pub gate: Arc<Gate>,
    /// `timeout client` and what its options say.
    pub settings: Settings,
}

/// A listening socket of a section.
pub struct Stream {
    /// The socket.
    pub fd: OwnedFd,
    /// Headers that its connections begin with.
    pub headers: Wanted,
}

/// What a section says of its messages and connections.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// `timeout client`
    pub timeout_client: Option<Duration>,
    /// `option host`
    pub host: HostField,
    /// False with `option dont-parse-log`.
    pub parses: bool,
    /// `option assume-rfc6587-ntf`
    pub line_feeds: bool,
}

/// What the tasks of a section share.
struct Shared {
    worker: Rc<Worker>,
    logger: Logger,
    gate: Arc<Gate>,
    settings: Settings,
}

impl Shared {
    fn forward(&self, bytes: &[u8], sender: &Addr) {
        let mut message = if self.settings.parses { Message::parse(bytes) } else { Message::unparsed(bytes) };
        let host = host(self.settings.host, message.host, sender);
        if let Some(host) = &host {
            message.host = host;
        }
        self.logger.forward(&message, self.worker.timestamp());
    }

    fn rt(&self) -> &Rt {
        &self.worker.rt
    }
}

/// The host name of a message, if it is to be another one.
fn host(how: HostField, host: &[u8], sender: &Addr) -> Option<Vec<u8>> {
    let ip = lb_sys::addr::canonical(sender.ip()?).ip();
    match how {
        HostField::Keep => None,
        HostField::Fill if !host.is_empty() => None,
        HostField::Append if !host.is_empty() => Some([host, b",", ip.to_string().as_bytes()].concat()),
        HostField::Fill | HostField::Append | HostField::Replace => Some(ip.to_string().into_bytes()),
    }
}

/// Starts all sections, in the thread of `worker`.
pub fn start(worker: &Rc<Worker>, sections: Vec<Forwarder>) {
    for section in sections {
        let Forwarder { logger, streams, datagrams, gate, settings } = section;
        let shared = Rc::new(Shared { worker: worker.clone(), logger, gate, settings });
        for fd in datagrams {
            match Udp::from_fd(&worker.rt, fd) {
                Ok(socket) => worker.ends_with_soft_stop(worker.rt.spawn(receive(shared.clone(), socket))),
                Err(e) => worker.process.report(&format!("cannot take a socket for log messages into the loop: {e}")),
            }
        }
        for Stream { fd, headers } in streams {
            match Listener::new(&worker.rt, fd) {
                Ok(listener) => worker.ends_with_soft_stop(worker.rt.spawn(accept(shared.clone(), listener, headers))),
                Err(e) => worker.process.report(&format!("cannot take a listener for log messages into the loop: {e}")),
            }
        }
    }
}

/// Takes datagrams.
async fn receive(shared: Rc<Shared>, socket: Udp) {
    loop {
        poll_fn(|_| {
            for _ in 0..AT_ONCE {
                let got = shared.rt().buffers().with_scratch(|bytes| {
                    let polled = socket.poll_recv_from(bytes);
                    if let Poll::Ready(Ok((len, sender))) = &polled {
                        shared.forward(&bytes[..*len], sender);
                    }
                    polled.is_ready()
                });
                if !got {
                    return Poll::Pending;
                }
                shared.rt().progress();
            }
            Poll::Ready(())
        })
        .await;
        shared.rt().yield_now().await;
    }
}

/// Takes connections.
async fn accept(shared: Rc<Shared>, listener: Listener, headers: Wanted) {
    loop {
        let pass = poll_fn(|_| match shared.gate.enter_or_wait(shared.rt().remote(), shared.rt().current()) {
            Some(pass) => Poll::Ready(pass),
            None => Poll::Pending,
        })
        .await;
        match poll_fn(|_| listener.poll_accept()).await {
            Ok((socket, sender)) => {
                shared.rt().spawn(connection(shared.clone(), socket, sender, headers, pass));
            }
            Err(e) if is_transient(&e) => {}
            Err(e) => {
                shared.worker.process.accept_refused(&e, shared.rt().now());
                shared.rt().sleep(REST).await;
            }
        }
    }
}

/// Takes the messages of one connection.
async fn connection(shared: Rc<Shared>, socket: Socket, mut sender: Addr, wanted: Wanted, _pass: Pass) {
    let mut input: Option<Buffer> = None;
    if wanted.any() {
        let mut buffer = shared.rt().buffers().take();
        let believe = |said: incoming::Said<'_>| match said.ends {
            Some(Endpoints::Inet { src, .. }) => sender = Addr::Ip(src),
            Some(Endpoints::Unix { .. }) => sender = Addr::Unnamed,
            None => {}
        };
        if incoming::headers(shared.rt(), &socket, &mut buffer, shared.settings.timeout_client, wanted, believe).await.is_err() {
            return;
        }
        input = Some(buffer);
    }
    // What came with the headers goes first. Whatever ends the connection: there is nobody to tell.
    while messages(&shared, &mut input, &sender) {
        shared.rt().yield_now().await;
        if !matches!(read(&shared, &socket, &mut input).await, Ok(true)) {
            return;
        }
    }
}

/// Reads more; false at the end.
async fn read(shared: &Shared, socket: &Socket, input: &mut Option<Buffer>) -> io::Result<bool> {
    let rt = shared.rt();
    let deadline = shared.settings.timeout_client.map(|limit| rt.now() + limit);
    let until = |polled: Poll<io::Result<()>>| match polled {
        Poll::Ready(ready) => Poll::Ready(ready),
        Poll::Pending => rt.poll_deadline(deadline).map(|()| Err(io::ErrorKind::TimedOut.into())),
    };
    // A connection that is silent holds no buffer.
    poll_fn(|_| until(socket.poll_readable())).await?;
    let buffer = input.get_or_insert_with(|| rt.buffers().take());
    if buffer.spare().is_empty() {
        buffer.compact();
    }
    let n = poll_fn(|_| match socket.poll_read(buffer.spare()) {
        Poll::Ready(read) => Poll::Ready(read),
        Poll::Pending => rt.poll_deadline(deadline).map(|()| Err(io::ErrorKind::TimedOut.into())),
    })
    .await?;
    buffer.commit(n);
    Ok(n != 0)
}

/// Forwards all messages that are there; false when there is something else.
fn messages(shared: &Shared, input: &mut Option<Buffer>, sender: &Addr) -> bool {
    let Some(buffer) = input else { return true };
    let max = shared.worker.process.tune.bufsize;
    while !buffer.is_empty() {
        match framing::next(buffer.filled(), max, shared.settings.line_feeds) {
            Frame::Message { skip, len, next } => {
                shared.forward(&buffer.filled()[skip..skip + len], sender);
                buffer.consume(next);
            }
            Frame::Part => return true,
            Frame::Bad => return false,
        }
    }
    *input = None;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_message() {
        let of = |how, known: &str, sender: &str| {
            let sender = sender.parse().map_or(Addr::Unnamed, Addr::Ip);
            host(how, known.as_bytes(), &sender).map(|host| String::from_utf8(host).expect("ASCII"))
        };
        for (how, known, unknown) in [
            (HostField::Keep, None, None),
            (HostField::Replace, Some("192.0.2.1"), Some("192.0.2.1")),
            (HostField::Fill, None, Some("192.0.2.1")),
            (HostField::Append, Some("h,192.0.2.1"), Some("192.0.2.1")),
        ] {
            assert_eq!(of(how, "h", "192.0.2.1:5").as_deref(), known, "{how:?}");
            assert_eq!(of(how, "", "[::ffff:192.0.2.1]:5").as_deref(), unknown, "{how:?}");
            assert_eq!(of(how, "h", "a UNIX socket"), None, "{how:?}");
        }
    }
}
