//! Accepting: `maxconn` of process, frontend and listener, connections per second, `tune.maxaccept`, what to do when descriptors run out. One task per
//! listening socket and thread.

use crate::client::{Client, Place};
use crate::gate::{Gate, Pass};
use crate::rate::{Rate, Shares};
use crate::record;
use crate::session;
use crate::worker::Worker;
use lb_rt::{Listener, Socket};
use lb_sys::{Addr, addr};
use std::cell::OnceCell;
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

/// How long accepting rests when there is no descriptor or no memory left.
pub(crate) const REST: Duration = Duration::from_millis(100);

/// Ports below this one are given to programs of the system alone.
const PRIVILEGED: u16 = 1024;

/// A listening socket in a thread.
pub struct Accepting {
    /// The socket.
    pub listener: Listener,
    /// What it belongs to.
    pub place: Rc<Place>,
    /// `maxconn` of its `bind` line.
    pub gate: Option<Arc<Gate>>,
    /// Connections per second of the process and the frontend, where they are limited.
    pub rates: Vec<Arc<Rate>>,
    /// The address that it is bound to, unless that is a wildcard.
    pub local: Option<Addr>,
    /// Connections are dealt out to all threads in turn.
    pub deals: bool,
    /// Length of the kernel's queue, for a socket that was paused.
    pub backlog: u32,
    /// It is there.
    pub _counted: Option<Pass>,
}

impl Accepting {
    fn mode(&self) -> Mode {
        self.place.worker.mode().max(self.place.frontend.mode())
    }
}

/// Errors of `accept(2)` that concern the connection, not us.
pub(crate) fn is_transient(e: &io::Error) -> bool {
    // The kernel hands over errors of the new connection (accept(2), "Error handling").
    const TRANSIENT: [i32; 9] = [71, 92, 95, 100, 101, 103, 112, 113, 64];
    e.kind() == io::ErrorKind::ConnectionAborted || e.raw_os_error().is_some_and(|code| TRANSIENT.contains(&code))
}

/// Accepts until the task is killed.
pub async fn accept_loop(accepting: Accepting) {
    let worker = accepting.place.worker.clone();
    let rt = worker.rt.clone();
    let burst = worker.process.maxaccept.max(1);
    loop {
        for _ in 0..burst {
            match poll_fn(|_| poll_next(&accepting)).await {
                Next::Stop => return take_the_last(&accepting),
                Next::Pause => pause(&accepting).await,
                Next::Accepted(Ok((socket, peer, passes))) => {
                    rt.progress();
                    if worker.process.reject_privileged_ports && peer.ip().is_some_and(|peer| peer.port() < PRIVILEGED) {
                        continue;
                    }
                    start(&accepting, socket, peer, passes);
                }
                Next::Accepted(Err(e)) if is_transient(&e) => {}
                // Nothing more comes over a channel whose other end is closed.
                Next::Accepted(Err(e)) if e.kind() == io::ErrorKind::UnexpectedEof => {
                    let name = accepting.place.frontend.name();
                    return worker
                        .process
                        .report(&format!("the other end of a sockpair@ of {name} is closed: no connection comes that way"));
                }
                Next::Accepted(Err(e)) => {
                    worker.process.accept_refused(&e, rt.now());
                    rt.sleep(REST).await;
                }
            }
        }
        rt.yield_now().await;
    }
}

type Passes = [Option<Pass>; 3];

/// Whether a thread, or a frontend, accepts connections. The greater one of both counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
#[repr(u8)]
pub(crate) enum Mode {
    /// It does.
    #[default]
    Accepts,
    /// Its sockets do not listen for now.
    Paused,
    /// Its sockets are closed.
    Stopped,
}

enum Next {
    Accepted(io::Result<(Accepted, Addr, Passes)>),
    Pause,
    Stop,
}

fn poll_next(accepting: &Accepting) -> Poll<Next> {
    match accepting.mode() {
        Mode::Accepts => poll_accept(accepting).map(Next::Accepted),
        // UNIX sockets are replaced in their place, and need not make room.
        Mode::Paused if accepting.local.as_ref().is_some_and(Addr::is_unix) => Poll::Pending,
        Mode::Paused => Poll::Ready(Next::Pause),
        Mode::Stopped => Poll::Ready(Next::Stop),
    }
}

/// Connections that are taken out of the queue of a socket that is about to be closed, at most.
const LAST: usize = 4096;

/// Takes what waits in the queue: closing the socket would reset it, unless another process has the socket too.
fn take_the_last(accepting: &Accepting) {
    for _ in 0..LAST {
        let Some(passes) = passes(accepting, |gate| gate.enter()) else { return };
        match accepting.listener.accept_now() {
            Ok((socket, peer)) => start_at(accepting.place.clone(), socket, peer, accepting.local.as_ref(), passes),
            Err(e) if is_transient(&e) => {}
            Err(_) => return,
        }
    }
}

/// Lets go of the address until the thread is told to go on.
async fn pause(accepting: &Accepting) {
    let worker = &accepting.place.worker;
    let complain = |what: &str, e: io::Error| {
        let name = accepting.place.frontend.name();
        worker.process.report(&format!("cannot {what} a listener of {name}: {e}"));
    };
    if let Err(e) = accepting.listener.pause() {
        complain("pause", e);
    }
    poll_fn(|_| {
        worker.rt.progress();
        if accepting.mode() == Mode::Paused { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    if accepting.mode() == Mode::Accepts
        && let Err(e) = accepting.listener.resume(accepting.backlog)
    {
        complain("resume", e);
    }
}

/// A pass through each gate of the listener; `None`: one is shut.
fn passes(accepting: &Accepting, enter: impl Fn(&Arc<Gate>) -> Option<Pass>) -> Option<Passes> {
    let gates = [Some(&accepting.place.worker.process.gate), Some(&accepting.place.frontend.gate), accepting.gate.as_ref()];
    let mut passes = [None, None, None];
    for (pass, gate) in passes.iter_mut().zip(gates) {
        if let Some(gate) = gate {
            *pass = Some(enter(gate)?);
        }
    }
    Some(passes)
}

/// An accepted connection: in this thread's loop, or on its way to one that is chosen yet.
enum Accepted {
    Here(Socket),
    Anywhere(OwnedFd),
}

/// Waits for a client first, then for the right to take it: what is counted is there.
fn poll_accept(accepting: &Accepting) -> Poll<io::Result<(Accepted, Addr, Passes)>> {
    ready!(accepting.listener.poll_readable())?;
    let worker = &accepting.place.worker;
    let shares = match Shares::take(&accepting.rates, worker.rt.now()) {
        Ok(shares) => shares,
        Err(at) => {
            worker.rt.poll_at_latest(at);
            return Poll::Pending;
        }
    };
    let Some(passes) = passes(accepting, |gate| gate.enter_or_wait(worker.rt.remote(), worker.rt.current())) else {
        worker.rt.progress();
        return Poll::Pending;
    };
    let (socket, peer) = if accepting.deals {
        let (fd, peer) = ready!(accepting.listener.poll_accept_fd())?;
        (Accepted::Anywhere(fd), peer)
    } else {
        let (socket, peer) = ready!(accepting.listener.poll_accept())?;
        (Accepted::Here(socket), peer)
    };
    shares.keep();
    Poll::Ready(Ok((socket, peer, passes)))
}

fn start(accepting: &Accepting, socket: Accepted, peer: Addr, passes: Passes) {
    let (place, local) = (&accepting.place, accepting.local.as_ref());
    let fd = match socket {
        Accepted::Here(socket) => return start_at(place.clone(), socket, peer, local, passes),
        Accepted::Anywhere(fd) => fd,
    };
    match place.worker.process.deal() {
        Some((index, remote)) if index != place.worker.index => {
            let (key, local) = (place.key, local.cloned());
            // A thread that ends meanwhile drops the job, and with it the connection and what it counts against.
            remote.run(move |rt| {
                if let Some(worker) = rt.local::<Worker>() {
                    start_at(worker.place(key), Socket::from_fd(rt, fd), peer, local.as_ref(), passes);
                }
            });
        }
        _ => start_at(place.clone(), Socket::from_fd(&place.worker.rt, fd), peer, local, passes),
    }
}

fn start_at(place: Rc<Place>, socket: Socket, peer: Addr, known: Option<&Addr>, passes: Passes) {
    let now = place.worker.rt.nanos();
    let counts = place.worker.counters.front(&place.frontend);
    counts.connections.add(1);
    counts.peak.raise(u64::from(place.frontend.gate.current()));
    // An IP address may be another one than the client's: the kernel can redirect connections.
    let known = known.filter(|known| known.is_unix());
    let local = known.map_or_else(OnceCell::new, |known| OnceCell::from(known.clone()));
    let peer = match peer {
        Addr::Ip(a) => Addr::Ip(addr::canonical(a)),
        other => other,
    };
    session::spawn(Client::new(place, peer, now, local, passes), socket);
}

/// What a new connection needs before its first byte is looked at.
pub fn greet(client: &Rc<Client>, socket: &Socket) {
    if client.frontend().wants_local {
        client.learn_local(socket);
    }
    // In mode http haproxy says it when a request begins.
    if !client.serves_http() {
        record::log_connect(client);
    }
}
