//! Idle server connections of one thread, and how a thread that has none gets one of another's. A connection that the server closes, or says something on unasked, leaves the pool
//! by itself; of those not needed for a while half are closed every `pool-purge-delay`.
//!
//! Holds: what is taken from the pool was silent a moment ago; `Server::idle` counts what all threads keep, `Server::idle_once` those
//! of them that have carried one request alone.

use crate::proxy::{Server, Topology};
use crate::worker::Worker;
use lb_rt::{Meter, Rt, Socket, TaskKey};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

/// A connection to a server in mode http. When we are the ones to close it, it is reset: nothing is lost, since nothing is
/// under way, and no local port waits in TIME_WAIT.
pub struct BackStream {
    socket: Socket,
    /// It goes on in another thread.
    detached: bool,
}

impl BackStream {
    /// A fresh connection.
    pub fn new(socket: Socket) -> BackStream {
        BackStream { socket, detached: false }
    }

    /// Has what goes over it counted by `meter`.
    pub fn set_meter(&mut self, meter: &Arc<Meter>) {
        self.socket.set_meter(meter);
    }

    /// Takes the connection out of this thread's loop.
    fn detach(mut self) -> io::Result<OwnedFd> {
        let fd = self.socket.detach()?;
        self.detached = true;
        Ok(fd)
    }
}

impl Deref for BackStream {
    type Target = Socket;
    fn deref(&self) -> &Socket {
        &self.socket
    }
}

impl Drop for BackStream {
    fn drop(&mut self) {
        if !self.detached && !self.socket.hung_up() {
            self.socket.reset_on_close();
        }
    }
}

/// A connection to a server with what is known of it, while it carries a request and while it waits for the next. Boxed: it goes
/// from hand to hand with every request.
pub struct ServerConn {
    /// The connection.
    pub socket: BackStream,
    /// Requests that it has carried.
    pub uses: u32,
    /// The server's place in the pools.
    pub pool_index: usize,
    /// It is authenticated for one client and may serve no other.
    pub private: bool,
    /// It is for one stream alone.
    pub once: bool,
    /// [`Server::moves`] when it was made: a server that has moved since is somewhere else.
    pub moves: u32,
}

impl ServerConn {
    /// A connection to `server`, which had moved so often when it began.
    pub fn new(socket: Socket, server: &Server, moves: u32) -> Box<ServerConn> {
        Box::new(ServerConn { socket: BackStream::new(socket), uses: 0, pool_index: server.pool_index, private: false, once: false, moves })
    }

    /// It has carried more than one request: a client's first may have it, with `http-reuse aggressive`.
    pub fn is_safe(&self) -> bool {
        self.uses > 1
    }

    /// True when the server has neither closed the connection nor sent anything that nobody asked for.
    pub fn is_silent(&self) -> bool {
        !self.socket.hung_up() && (!self.socket.maybe_readable() || self.socket.is_silent())
    }
}

/// What one server's idle connections need to know of it.
#[allow(clippy::vec_box)] // see `ServerConn`
struct Shelf {
    server: Option<Arc<Server>>,
    idle: Vec<Box<ServerConn>>,
    /// Fewest idle connections since the last purge: so many were not needed.
    spare: usize,
    purge_at: Option<Instant>,
}

struct Shared {
    shelves: RefCell<Vec<Shelf>>,
    reaper: Cell<Option<TaskKey>>,
    offers: Arc<Offers>,
    thread: usize,
}

/// How many idle connections each thread keeps to each server: whom to ask for one. Written by the thread itself, read by
/// those who have none; empty where nothing is shared.
pub struct Offers {
    servers: usize,
    /// By thread, then by [`Server::pool_index`].
    counts: Box<[AtomicU32]>,
}

impl Offers {
    /// For so many threads and servers.
    pub fn new(threads: usize, servers: usize) -> Arc<Offers> {
        let cells = if threads > 1 { threads * servers } else { 0 };
        Arc::new(Offers { servers, counts: (0..cells).map(|_| AtomicU32::new(0)).collect() })
    }

    #[inline]
    fn set(&self, thread: usize, pool_index: usize, count: usize) {
        if let Some(cell) = self.counts.get(thread * self.servers + pool_index) {
            cell.store(count as u32, Ordering::Relaxed);
        }
    }

    /// Connections that a thread has; `None` where it is not noted.
    pub(crate) fn count(&self, thread: usize, pool_index: usize) -> Option<u32> {
        self.counts.get(thread * self.servers + pool_index).map(|count| count.load(Ordering::Relaxed))
    }

    /// The thread that has most, other than `thread`; `None` when none has any.
    fn richest(&self, thread: usize, pool_index: usize) -> Option<usize> {
        let count = |t: usize| self.counts.get(t * self.servers + pool_index).map_or(0, |c| c.load(Ordering::Relaxed));
        let threads = self.counts.len() / self.servers.max(1);
        (0..threads).filter(|&t| t != thread && count(t) != 0).max_by_key(|&t| count(t))
    }
}

/// How long a request waits for another thread's idle connection before it opens its own: about the time that a connection
/// in the same network takes.
const PATIENCE: Duration = Duration::from_millis(2);

/// A question to another thread.
enum Asked {
    Waiting,
    /// The connection, and how many requests it has carried.
    Answered(Option<(OwnedFd, u32)>),
}

/// Asks another thread for an idle connection to `server` that has carried at least `uses` requests; for after
/// [`Pools::may_ask`]. `None`: nobody has one, or not soon enough.
pub async fn from_others(worker: &Rc<Worker>, server: &Arc<Server>, uses: u32) -> Option<Box<ServerConn>> {
    let (rt, process) = (&worker.rt, &worker.process);
    let owner = process.thread(process.offers.richest(worker.index, server.pool_index)?)?;
    let asked = Arc::new(Mutex::new(Asked::Waiting));
    let (theirs, wanted, asker, task) = (asked.clone(), server.clone(), rt.remote().clone(), rt.current());
    owner.run(move |rt| {
        // Nobody waits any more: the connection stays.
        if Arc::strong_count(&theirs) == 1 {
            return;
        }
        let given = rt.local::<Worker>().and_then(|worker| worker.pools.give(&wanted, uses));
        *theirs.lock().unwrap_or_else(PoisonError::into_inner) = Asked::Answered(given);
        asker.wake(task);
    });
    let until = rt.now() + PATIENCE;
    let (fd, uses) = poll_fn(|_| {
        // One step, so that an answer is either seen here or still to come when this gives up.
        if let Asked::Answered(given) = &mut *asked.lock().unwrap_or_else(PoisonError::into_inner) {
            rt.progress();
            return Poll::Ready(given.take());
        }
        rt.poll_deadline(Some(until)).map(|()| None)
    })
    .await?;
    let mut kept = ServerConn::new(Socket::from_fd(rt, fd), server, server.moves());
    kept.uses = uses;
    kept.is_silent().then_some(kept)
}

/// Idle connections, by [`Server::pool_index`].
#[derive(Clone)]
pub struct Pools(Rc<Shared>);

impl Pools {
    /// None yet.
    pub fn new(topology: &Topology, offers: Arc<Offers>, thread: usize) -> Pools {
        let count = topology.server_count();
        let shelves = (0..count).map(|_| Shelf { server: None, idle: Vec::new(), spare: 0, purge_at: None }).collect();
        Pools(Rc::new(Shared { shelves: RefCell::new(shelves), reaper: Cell::new(None), offers, thread }))
    }

    /// Closes all connections to one server.
    pub(crate) fn forget(&self, pool_index: usize) {
        let mut shelves = self.0.shelves.borrow_mut();
        let shelf = &mut shelves[pool_index];
        shelf.drop_first(shelf.idle.len());
        self.0.offers.set(self.0.thread, pool_index, 0);
    }

    /// The connection that was used last, of those that have carried at least `uses` requests.
    pub fn take(&self, server: &Server, uses: u32) -> Option<Box<ServerConn>> {
        let mut shelves = self.0.shelves.borrow_mut();
        let shelf = &mut shelves[server.pool_index];
        while let Some(at) = shelf.idle.iter().rposition(|k| k.uses >= uses) {
            let kept = shelf.idle.remove(at);
            server.note_idle_gone(1, u32::from(!kept.is_safe()));
            shelf.spare = shelf.spare.min(shelf.idle.len());
            self.0.offers.set(self.0.thread, server.pool_index, shelf.idle.len());
            if kept.is_silent() {
                return Some(kept);
            }
        }
        None
    }

    /// True when other threads may be asked for a connection (`tune.idle-pool.shared`) and there are enough for that
    /// (`pool-low-conn`).
    pub fn may_ask(&self, server: &Server) -> bool {
        let idle = server.idle.load(Ordering::Relaxed);
        idle != 0 && idle >= server.settings.pool.low_conn && !self.0.offers.counts.is_empty()
    }

    /// A connection for another thread.
    fn give(&self, server: &Server, uses: u32) -> Option<(OwnedFd, u32)> {
        let kept = self.take(server, uses)?;
        let uses = kept.uses;
        Some((kept.socket.detach().ok()?, uses))
    }

    /// Keeps a connection, unless the server has as many as it may have.
    pub fn put(&self, rt: &Rt, server: &Arc<Server>, kept: Box<ServerConn>) {
        let max = server.settings.pool.max_conn.unwrap_or(u32::MAX);
        let idle = server.idle.load(Ordering::Relaxed);
        // More than the traffic has needed at once would only wait to be closed: the first request of each client may open
        // one (`http-reuse safe`), thousands a second.
        let room = server.needed().saturating_add(server.settings.pool.low_conn);
        // Each thread may have one, which others may not be allowed to lend it.
        let first = self.0.shelves.borrow()[server.pool_index].idle.is_empty();
        if kept.moves != server.moves() {
            return;
        }
        if idle >= max || (!first && idle + server.served.load(Ordering::Relaxed) > room) {
            return;
        }
        let reaper = self.reaper(rt);
        if kept.socket.wake_on_event(reaper).is_err() {
            return;
        }
        server.idle.fetch_add(1, Ordering::Relaxed);
        if !kept.is_safe() {
            server.idle_once.fetch_add(1, Ordering::Relaxed);
        }
        let mut shelves = self.0.shelves.borrow_mut();
        let shelf = &mut shelves[server.pool_index];
        if shelf.server.is_none() {
            shelf.server = Some(server.clone());
        }
        shelf.idle.push(kept);
        self.0.offers.set(self.0.thread, server.pool_index, shelf.idle.len());
        if shelf.purge_at.is_none() {
            shelf.purge_at = Some(rt.now() + purge_delay(server));
            shelf.spare = 0;
            rt.wake(reaper);
        }
    }

    /// Closes all.
    pub fn clear(&self) {
        let mut shelves = self.0.shelves.borrow_mut();
        for (index, shelf) in shelves.iter_mut().enumerate() {
            let n = shelf.idle.len();
            shelf.drop_first(n);
            self.0.offers.set(self.0.thread, index, 0);
        }
    }

    /// Connections that are kept.
    pub fn len(&self) -> usize {
        self.0.shelves.borrow().iter().map(|s| s.idle.len()).sum()
    }

    /// True when none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn reaper(&self, rt: &Rt) -> TaskKey {
        if let Some(key) = self.0.reaper.get() {
            return key;
        }
        let (pools, own) = (Rc::downgrade(&self.0), rt.clone());
        let key = rt.spawn(poll_fn(move |_| {
            let Some(shared) = pools.upgrade() else { return Poll::Ready(()) };
            own.progress();
            if let Some(at) = shared.reap(own.now()) {
                own.poll_at_latest(at);
            }
            Poll::Pending
        }));
        self.0.reaper.set(Some(key));
        key
    }
}

fn purge_delay(server: &Server) -> Duration {
    server.settings.pool.purge_delay.max(Duration::from_millis(1))
}

impl Shared {
    /// Closes what has ended or was not needed; says when to look again.
    fn reap(&self, now: Instant) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        for (index, shelf) in self.shelves.borrow_mut().iter_mut().enumerate() {
            let before = shelf.idle.len();
            let (mut gone, mut once) = (0, 0);
            shelf.idle.retain(|kept| {
                let stays = !kept.socket.hung_up() && !kept.has_spoken();
                gone += u32::from(!stays);
                once += u32::from(!stays && !kept.is_safe());
                stays
            });
            shelf.count_gone(gone, once);
            if shelf.purge_at.is_some_and(|at| at <= now) {
                if let Some(server) = &shelf.server {
                    server.fade();
                }
                let n = shelf.spare.min(shelf.idle.len()).div_ceil(2);
                shelf.drop_first(n);
                shelf.spare = shelf.idle.len();
                shelf.purge_at = match &shelf.server {
                    Some(server) if !shelf.idle.is_empty() => Some(now + purge_delay(server)),
                    _ => None,
                };
            }
            if shelf.idle.len() != before {
                self.offers.set(self.thread, index, shelf.idle.len());
            }
            next = [next, shelf.purge_at].into_iter().flatten().min();
        }
        next
    }
}

impl ServerConn {
    /// Something came since the connection was put away: an event woke the reaper.
    fn has_spoken(&self) -> bool {
        self.socket.maybe_readable() && !self.is_silent()
    }
}

impl Shelf {
    /// Closes the connections that were used longest ago.
    fn drop_first(&mut self, n: usize) {
        let once = self.idle.drain(..n).filter(|kept| !kept.is_safe()).count();
        self.count_gone(n as u32, once as u32);
    }

    /// So many have left the pool, of which so many had carried one request.
    fn count_gone(&self, n: u32, once: u32) {
        if let Some(server) = &self.server {
            server.note_idle_gone(n, once);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        for shelf in self.shelves.borrow_mut().iter_mut() {
            let n = shelf.idle.len();
            shelf.drop_first(n);
        }
    }
}
