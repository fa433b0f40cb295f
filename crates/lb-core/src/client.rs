//! A client's connection as all its streams see it: who it is, where it came in, what it counts against.

use crate::gate::Pass;
use crate::proxy::Frontend;
use crate::variables::{self, Variables};
use crate::worker::Worker;
use lb_expr::Cause;
use lb_rt::{Socket, TaskKey};
use lb_sys::{Addr, addr};
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Instant;

/// Names a listener of the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListenerKey {
    /// Index in `process.topology.frontends`.
    pub frontend: usize,
    /// Index of its `bind` line.
    pub bind: usize,
    /// Its `id`.
    pub id: u32,
}

/// Where a connection came in: one listener in one thread.
pub struct Place {
    /// The listener.
    pub key: ListenerKey,
    /// The thread.
    pub worker: Rc<Worker>,
    /// The frontend.
    pub frontend: Arc<Frontend>,
    /// `name` of the `bind` line, else its id.
    pub listener_name: String,
    /// `id` of the listener.
    pub listener_id: u32,
    /// `accept-proxy`
    pub accept_proxy: bool,
    /// `accept-netscaler-cip`: the magic number.
    pub netscaler_cip: Option<u32>,
}

/// Extensions of a header of the PROXY protocol: types and values.
pub type Extensions = Vec<(u8, Box<[u8]>)>;

impl Place {
    /// `name` of the `bind` line.
    pub fn bind_name(&self) -> Option<&str> {
        self.frontend.settings.binds.get(self.key.bind)?.name.as_deref()
    }
}

/// A client's connection.
pub struct Client {
    /// Where it came in.
    pub place: Rc<Place>,
    /// The client's address, by the PROXY protocol where that said so.
    pub peer: Addr,
    /// When it was accepted, by [`lb_rt::Rt::nanos`].
    pub accepted: u64,
    /// When its handshakes (PROXY header) were done.
    pub ready: u64,
    /// The address that the client connected to, found out when it is needed.
    pub local: OnceCell<Addr>,
    /// What it counts against: process, frontend, listener.
    pub passes: [Option<Pass>; 3],
    /// Number of the stream that is under way; 0: none.
    pub stream: Cell<u64>,
    /// When that began.
    pub since: Cell<u64>,
    /// Its backend and server by their places, and one; 0: not chosen yet.
    at: Cell<(u32, u32)>,
    /// Somebody ends the stream: why.
    pub killed: Cell<Option<Cause>>,
    /// Its place in [`Clients`].
    seat: Cell<u32>,
    /// Variables of the session.
    pub variables: Variables,
    /// A header of the PROXY protocol came: its extensions, as far as expressions ask for any.
    pub proxied: Option<Box<Extensions>>,
}

/// The client connections of one thread, for those who look for one.
#[derive(Default)]
pub struct Clients(RefCell<Seats>);

#[derive(Default)]
struct Seats {
    all: Vec<Option<(Weak<Client>, TaskKey)>>,
    free: Vec<u32>,
}

/// The seat of a connection that has none yet.
const STANDING: u32 = u32::MAX;

impl Clients {
    /// Notes a connection and its task, until it is dropped.
    pub fn enter(&self, client: &Rc<Client>, task: TaskKey) {
        let seats = &mut *self.0.borrow_mut();
        let seat = seats.free.pop().unwrap_or_else(|| {
            seats.all.push(None);
            seats.all.len() as u32 - 1
        });
        seats.all[seat as usize] = Some((Rc::downgrade(client), task));
        client.seat.set(seat);
    }

    fn leave(&self, seat: u32) {
        let seats = &mut *self.0.borrow_mut();
        if let Some(taken) = seats.all.get_mut(seat as usize) {
            *taken = None;
            seats.free.push(seat);
        }
    }

    /// All connections.
    pub fn all(&self) -> Vec<Rc<Client>> {
        self.0.borrow().all.iter().flatten().filter_map(|(client, _)| client.upgrade()).collect()
    }

    /// The task of a connection.
    pub fn task(&self, client: &Client) -> Option<TaskKey> {
        self.0.borrow().all.get(client.seat.get() as usize)?.as_ref().map(|(_, task)| *task)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        variables::leave(&self.place.worker.process.variables, &self.variables);
        if self.seat.get() != STANDING {
            self.place.worker.clients.leave(self.seat.get());
        }
    }
}

impl Client {
    /// A connection from `peer` that was accepted `now`; `local`: the address that it came to, where that is known.
    pub fn new(place: Rc<Place>, peer: Addr, now: u64, local: OnceCell<Addr>, passes: [Option<Pass>; 3]) -> Client {
        Client {
            place,
            peer,
            accepted: now,
            ready: now,
            local,
            passes,
            stream: Cell::new(0),
            since: Cell::new(now),
            at: Cell::new((0, 0)),
            killed: Cell::new(None),
            seat: Cell::new(STANDING),
            variables: Variables::default(),
            proxied: None,
        }
    }

    /// A stream begins.
    #[inline]
    pub(crate) fn begin_stream(&self, number: u64, since: u64) {
        self.stream.set(number);
        self.since.set(since);
    }

    /// The stream has its backend, by its place.
    #[inline]
    pub(crate) fn stream_enters(&self, backend: usize) {
        self.at.set((backend as u32 + 1, 0));
    }

    /// The stream has its server, by its place.
    #[inline]
    pub(crate) fn stream_chooses(&self, server: u32) {
        self.at.set((self.at.get().0, server + 1));
    }

    /// The stream is over.
    #[inline]
    pub(crate) fn end_stream(&self) {
        self.stream.set(0);
        self.at.set((0, 0));
        self.killed.set(None);
    }

    /// Where the stream is: places of its backend and server.
    pub(crate) fn place_of_stream(&self) -> (Option<usize>, Option<u32>) {
        let (backend, server) = self.at.get();
        (backend.checked_sub(1).map(|index| index as usize), server.checked_sub(1))
    }

    /// The frontend.
    #[inline]
    pub fn frontend(&self) -> &Arc<Frontend> {
        &self.place.frontend
    }

    /// Mode http, by the frontend or by where it leads.
    pub fn serves_http(&self) -> bool {
        let frontend = self.frontend();
        frontend.settings.mode == lb_config::Mode::Http || frontend.backend.as_ref().is_some_and(|b| b.is_http())
    }

    /// The thread.
    #[inline]
    pub fn worker(&self) -> &Rc<Worker> {
        &self.place.worker
    }

    /// During a soft stop, and after the frontend was shut down: when the client is to be told to leave; `None`: never, or nothing
    /// of that has happened.
    pub fn leaves_at(&self) -> Option<Instant> {
        let worker = self.worker();
        if !worker.process.leaving() {
            return None;
        }
        if self.frontend().is_shut() {
            return Some(worker.rt.now());
        }
        if !worker.process.stopping() {
            return None;
        }
        // Any number that differs from client to client; Fibonacci hashing spreads it over the range.
        let share = self.peer.ip().map_or(0, |peer| u32::from(peer.port())).wrapping_mul(0x9e37_79b1);
        worker.process.leaves_at(worker.rt.now(), share)
    }

    /// The client is to be told to leave now.
    #[inline]
    pub fn has_to_leave(&self) -> bool {
        let worker = self.worker();
        worker.process.leaving() && self.leaves_at().is_some_and(|at| at <= worker.rt.now())
    }

    /// Finds out the address that the client connected to: with IPv4 the one before the kernel redirected it here, as haproxy
    /// has it.
    pub fn learn_local(&self, socket: &Socket) -> Option<&Addr> {
        if self.local.get().is_none()
            && let Ok(addr) = socket.local_addr()
        {
            let addr = match addr {
                Addr::Ip(a) if a.is_ipv4() => socket.original_dst().unwrap_or(Addr::Ip(a)),
                Addr::Ip(a) => Addr::Ip(addr::canonical(a)),
                other => other,
            };
            // Cannot fail: it was empty a moment ago, and this is one thread.
            let _ = self.local.set(addr);
        }
        self.local()
    }

    /// The address that the client connected to, if it has been found out.
    pub fn local(&self) -> Option<&Addr> {
        self.local.get()
    }
}
