//! `log-forward` sections: messages of others that come in by datagram or by connection and go out to targets, in their own form or
//! in the target's. All of it runs in the first thread.
//!
//! Holds: a connection costs one task and, while there is a part of a message, one buffer; at most `maxconn` of them are served at once.
//! A message is as long as a buffer at most; a longer one ends its connection, or is cut off when it is a datagram.
//!
//! Source: manual 3.10.

mod framing;
mod message;

pub use message::{Message, Time};

use super::Logger;
use crate::gate::{Gate, Pass};
use crate::listener::{REST, is_transient};
use crate::worker::Worker;
use framing::Frame;
use lb_rt::{Buffer, Listener, Rt, Socket, Udp};
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
    pub streams: Vec<OwnedFd>,
    /// Sockets of `dgram-bind` lines.
    pub datagrams: Vec<OwnedFd>,
    /// `maxconn`
    pub gate: Arc<Gate>,
    /// `timeout client`
    pub timeout_client: Option<Duration>,
}

/// What the tasks of a section share.
struct Shared {
    worker: Rc<Worker>,
    logger: Logger,
    gate: Arc<Gate>,
    timeout_client: Option<Duration>,
}

impl Shared {
    fn forward(&self, bytes: &[u8]) {
        self.logger.forward(&Message::parse(bytes), self.worker.timestamp());
    }

    fn rt(&self) -> &Rt {
        &self.worker.rt
    }
}

/// Starts all sections, in the thread of `worker`.
pub fn start(worker: &Rc<Worker>, sections: Vec<Forwarder>) {
    for section in sections {
        let Forwarder { logger, streams, datagrams, gate, timeout_client } = section;
        let shared = Rc::new(Shared { worker: worker.clone(), logger, gate, timeout_client });
        for fd in datagrams {
            match Udp::from_fd(&worker.rt, fd) {
                Ok(socket) => worker.ends_with_soft_stop(worker.rt.spawn(receive(shared.clone(), socket))),
                Err(e) => worker.process.report(&format!("cannot take a socket for log messages into the loop: {e}")),
            }
        }
        for fd in streams {
            match Listener::new(&worker.rt, fd) {
                Ok(listener) => worker.ends_with_soft_stop(worker.rt.spawn(accept(shared.clone(), listener))),
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
                    if let Poll::Ready(Ok((len, _))) = &polled {
                        shared.forward(&bytes[..*len]);
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
async fn accept(shared: Rc<Shared>, listener: Listener) {
    loop {
        let pass = poll_fn(|_| match shared.gate.enter_or_wait(shared.rt().remote(), shared.rt().current()) {
            Some(pass) => Poll::Ready(pass),
            None => Poll::Pending,
        })
        .await;
        match poll_fn(|_| listener.poll_accept()).await {
            Ok((socket, _)) => {
                shared.rt().spawn(connection(shared.clone(), socket, pass));
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
async fn connection(shared: Rc<Shared>, socket: Socket, _pass: Pass) {
    let mut input: Option<Buffer> = None;
    // Whatever ends it: there is nobody to tell.
    while let Ok(true) = read(&shared, &socket, &mut input).await {
        if !messages(&shared, &mut input) {
            return;
        }
        shared.rt().yield_now().await;
    }
}

/// Reads more; false at the end.
async fn read(shared: &Shared, socket: &Socket, input: &mut Option<Buffer>) -> io::Result<bool> {
    let rt = shared.rt();
    let deadline = shared.timeout_client.map(|limit| rt.now() + limit);
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
fn messages(shared: &Shared, input: &mut Option<Buffer>) -> bool {
    let Some(buffer) = input else { return true };
    let max = shared.worker.process.tune.bufsize;
    while !buffer.is_empty() {
        match framing::next(buffer.filled(), max) {
            Frame::Message { skip, len, next } => {
                shared.forward(&buffer.filled()[skip..skip + len]);
                buffer.consume(next);
            }
            Frame::Part => return true,
            Frame::Bad => return false,
        }
    }
    *input = None;
    true
}
