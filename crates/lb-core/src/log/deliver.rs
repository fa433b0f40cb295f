//! Lines of rings on their way: one task in the first thread for each server of a ring, which connects, sends, and connects
//! again for as long as the process lives.
//!
//! Holds: a server costs one connection and one batch of lines; one that takes nothing for `timeout server` is connected to anew;
//! between two attempts that are of no use there is [`PAUSE`]. What a server says is read and thrown away. When the process ends, its
//! last lines go out by [`Ring::flush`].

use super::ring::{Batch, Ring};
use crate::proxy::unix_addr;
use crate::worker::Worker;
use lb_config::{SendProxy, Server, ServerAddress};
use lb_http::proxy;
use lb_rt::{Rt, Socket};
use lb_sys::Addr;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

/// Between two attempts to connect, unless the first one brought lines to the server: then the next one is made at once.
const PAUSE: Duration = Duration::from_secs(1);

/// Starts what all rings need, in the thread of `worker`.
pub fn start(worker: &Rc<Worker>, rings: &[Arc<Ring>]) {
    for ring in rings {
        for reader in 0..ring.settings().servers.len() {
            worker.rt.spawn(serve(worker.clone(), ring.clone(), reader));
        }
    }
}

/// A server's place among the readers, for as long as its connection is open.
struct Attached<'a> {
    ring: &'a Ring,
    reader: usize,
    worker: &'a Worker,
    socket: &'a Socket,
    /// Lines on their way, and how many bytes of them have gone out.
    batch: Batch,
    sent: usize,
}

impl Drop for Attached<'_> {
    fn drop(&mut self) {
        let Attached { ring, reader, .. } = *self;
        ring.attach(reader, false);
        if self.worker.process.ended()
            && let Some(fd) = self.socket.fd().and_then(|fd| fd.try_clone_to_owned().ok())
        {
            ring.leave(reader, ring.settings().servers[reader].log_proto, fd, &self.batch, self.sent);
        }
    }
}

async fn serve(worker: Rc<Worker>, ring: Arc<Ring>, reader: usize) {
    let rt = worker.rt.clone();
    loop {
        let begun = rt.now();
        let mut useful = false;
        // Whatever ends a connection, the next one is what helps.
        let _ = connection(&worker, &ring, reader, &mut useful).await;
        if !useful && rt.now() < begun + PAUSE {
            rt.sleep_until(begun + PAUSE).await;
        }
    }
}

fn address(server: &Server) -> Option<Addr> {
    match &server.address {
        ServerAddress::Unix(path) => Some(unix_addr(path)),
        address @ ServerAddress::Ip { .. } => address.socket_addr(0).map(Addr::Ip),
        // Refused where rings are read.
        ServerAddress::Pair(_) => None,
    }
}

/// One connection, from its first packet to its end; `useful` when it has brought a line to the server.
async fn connection(worker: &Worker, ring: &Ring, reader: usize, useful: &mut bool) -> io::Result<()> {
    let rt = &worker.rt;
    let settings = ring.settings();
    let server = &settings.servers[reader];
    let to = address(server).ok_or(ErrorKind::AddrNotAvailable)?;
    let from = server.source.as_ref().map(|source| Addr::Ip(source.address));
    let socket = Socket::connect(rt, &to, from.as_ref(), &[])?;
    let deadline = settings.timeout_connect.map(|limit| rt.now() + limit);
    poll_fn(|_| match socket.poll_connected() {
        Poll::Ready(connected) => Poll::Ready(connected),
        Poll::Pending => rt.poll_deadline(deadline).map(|()| Err(ErrorKind::TimedOut.into())),
    })
    .await?;
    if let Some(kind) = &server.send_proxy {
        let mut header = Vec::new();
        match kind {
            SendProxy::V1 => proxy::encode_v1(None, &mut header),
            SendProxy::V2(options) => proxy::encode_v2(None, &[], options.crc32c, &mut header),
        }
        write(rt, &socket, &header, settings.timeout_server, &mut 0).await?;
    }
    ring.attach(reader, true);
    let mut attached = Attached { ring, reader, worker, socket: &socket, batch: Batch::default(), sent: 0 };
    loop {
        let waker = || (rt.remote().clone(), rt.current());
        poll_fn(|_| match gone(rt, &socket) {
            Err(e) => Poll::Ready(Err(e)),
            Ok(()) if ring.take(reader, server.log_proto, &mut attached.batch, waker) => Poll::Ready(Ok(())),
            Ok(()) => Poll::Pending,
        })
        .await?;
        attached.sent = 0;
        let outcome = write(rt, &socket, &attached.batch.bytes, settings.timeout_server, &mut attached.sent).await;
        *useful |= ring.sent(reader, &attached.batch, attached.sent);
        outcome?;
    }
}

/// Reads what the server says; an error when it has closed.
fn gone(rt: &Rt, socket: &Socket) -> io::Result<()> {
    rt.buffers().with_scratch(|bytes| {
        loop {
            match socket.poll_read(bytes) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err(ErrorKind::ConnectionAborted.into()),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(e)) => return Err(e),
            }
        }
    })
}

/// Writes all of `bytes`; `sent` says how many have gone, whatever stops it.
async fn write(rt: &Rt, socket: &Socket, bytes: &[u8], limit: Option<Duration>, sent: &mut usize) -> io::Result<()> {
    let later = |now: Instant| limit.map(|limit| now + limit);
    let mut deadline = later(rt.now());
    while *sent < bytes.len() {
        let wrote = poll_fn(|_| match socket.poll_write(&bytes[*sent..], false) {
            Poll::Ready(wrote) => Poll::Ready(wrote),
            Poll::Pending => rt.poll_deadline(deadline).map(|()| Err(ErrorKind::TimedOut.into())),
        });
        *sent += wrote.await?;
        deadline = later(rt.now());
    }
    Ok(())
}
