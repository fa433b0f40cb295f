//! Server slots, and the streams that wait for one: `maxconn`, `minconn`, `maxqueue`, `timeout queue`. Called by admit.rs.
//!
//! Holds: a slot is given back exactly once ([`Slot`]); a slot that becomes free goes to the stream that has waited longest
//! among those that the server may serve, unless rules gave them other places ([`Priority`]); a grant to a stream that has left goes on to the next. The lock is taken only while
//! somebody waits or begins to.

use crate::proxy::{Backend, Server};
use lb_balance::{Pick, ServerId};
use lb_rt::{Remote, Rt, TaskKey};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Instant;

/// The streams that wait in one backend.
#[derive(Debug, Default)]
pub struct Queue {
    inner: Mutex<Inner>,
    /// Streams in `inner`, server queues included.
    waiting: AtomicU32,
    /// Streams of `inner` that wait for any server.
    backend_waiting: AtomicU32,
}

#[derive(Debug, Default)]
struct Inner {
    sequence: u64,
    /// When the first stream came.
    first: Option<Instant>,
    /// When the last one came, in milliseconds since then.
    latest: i64,
    any: Line,
    per_server: Vec<Line>,
}

/// Those who wait for the same.
#[derive(Debug, Default)]
struct Line {
    waiters: VecDeque<Arc<Waiter>>,
    /// Places given out so far; wraps around.
    grants: u32,
}

const WAITING: u64 = 0;
/// The stream has to choose again: its server left.
const AGAIN: u64 = u64::MAX;

/// `set-priority-class`, `set-priority-offset`: a lower class comes first; within a class, who has waited longest, counted from a moment
/// that the offset (milliseconds) moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Priority {
    /// -2047 to 2047.
    pub class: i16,
    /// -524287 to 524287.
    pub offset: i32,
}

/// A stream's place in a queue; the lowest is served first. The last part tells those apart who came in one millisecond.
type Turn = (i16, i64, u64);

struct Waiter {
    turn: Turn,
    /// `WAITING`, `AGAIN`, or the granted server's id + 1.
    granted: AtomicU64,
    /// `grants` of its line when it came, and once it is settled, how many were given out meanwhile.
    grants: AtomicU32,
    remote: Remote,
    task: TaskKey,
}

impl std::fmt::Debug for Waiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "waiter {}", self.turn.2)
    }
}

/// A place at a server: one stream that it serves. Given back by `Drop`, when the next waiting stream gets it.
#[derive(Debug)]
pub struct Slot {
    backend: Arc<Backend>,
    server: ServerId,
}

impl Slot {
    /// The server.
    #[inline]
    pub fn server(&self) -> &Arc<Server> {
        self.backend.server(self.server)
    }

    /// The server's backend.
    #[inline]
    pub fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }

    /// The server's place in its backend.
    #[inline]
    pub fn server_id(&self) -> ServerId {
        self.server
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let backend = &self.backend;
        backend.server(self.server).served.fetch_sub(1, Ordering::SeqCst);
        backend.policy().released(self.server);
        if backend.queue.waiting.load(Ordering::SeqCst) != 0 {
            dispatch(backend, self.server);
        }
    }
}

/// Takes a slot of `server` if it has room and nobody waits before us. The policy has counted the stream already.
pub fn try_slot(backend: &Arc<Backend>, server: ServerId) -> Option<Slot> {
    let s = backend.server(server);
    if s.queued.load(Ordering::Relaxed) == 0 && s.take_place(backend) {
        return Some(Slot { backend: backend.clone(), server });
    }
    None
}

/// A stream in a queue. Leaves it by `Drop`.
#[derive(Debug)]
pub struct Ticket {
    backend: Arc<Backend>,
    /// The queue of this server, or the backend's.
    server: Option<ServerId>,
    waiter: Arc<Waiter>,
    settled: bool,
}

/// What waiting led to.
#[derive(Debug)]
pub enum Granted {
    /// A slot.
    Slot(Slot),
    /// The server that was waited for is gone: choose again.
    ChooseAgain,
}

/// Queues the current task for `server`, or for any server of the backend.
pub fn enqueue(rt: &Rt, backend: &Arc<Backend>, server: Option<ServerId>, priority: Priority) -> Ticket {
    let queue = &backend.queue;
    let mut inner = queue.lock();
    inner.sequence += 1;
    let sequence = inner.sequence;
    let turn = (priority.class, inner.arrival(rt.now()) + i64::from(priority.offset), sequence);
    let line = inner.line(server);
    let waiter = Arc::new(Waiter {
        turn,
        granted: AtomicU64::new(WAITING),
        grants: AtomicU32::new(line.grants),
        remote: rt.remote().clone(),
        task: rt.current(),
    });
    // At its end, but for those to whom rules gave another place.
    let at = match line.waiters.back() {
        Some(last) if last.turn > turn => line.waiters.partition_point(|before| before.turn < turn),
        _ => line.waiters.len(),
    };
    line.waiters.insert(at, waiter.clone());
    let count = server.map_or(&queue.backend_waiting, |id| &backend.server(id).queued);
    count.fetch_add(1, Ordering::SeqCst);
    queue.waiting.fetch_add(1, Ordering::SeqCst);
    // A slot that was freed before the count above was seen is still free: look once more.
    fence(Ordering::SeqCst);
    match server {
        Some(id) => {
            grant(backend, &mut inner, id);
        }
        None => grant_any(rt, backend, &mut inner),
    }
    Ticket { backend: backend.clone(), server, waiter, settled: false }
}

impl Ticket {
    /// Ready when a slot was granted or the server has gone.
    pub fn poll(&mut self, rt: &Rt) -> Poll<Granted> {
        match self.waiter.granted.load(Ordering::Acquire) {
            WAITING => Poll::Pending,
            AGAIN => {
                self.settled = true;
                rt.progress();
                Poll::Ready(Granted::ChooseAgain)
            }
            id => {
                self.settled = true;
                rt.progress();
                Poll::Ready(Granted::Slot(Slot { backend: self.backend.clone(), server: ServerId((id - 1) as u32) }))
            }
        }
    }
}

impl Ticket {
    /// Streams that were served from the same queue before this one: `%sq` and `%bq` count them, and itself.
    pub fn served_before(&self) -> u32 {
        let inner = &mut *self.backend.queue.lock();
        let grants = self.waiter.grants.load(Ordering::Relaxed);
        match self.waiter.granted.load(Ordering::Relaxed) {
            WAITING => inner.line(self.server).grants.wrapping_sub(grants),
            _ => grants,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let mut inner = self.backend.queue.lock();
        match self.waiter.granted.load(Ordering::Acquire) {
            WAITING => {
                self.backend.queue.remove(&self.backend, &mut inner, self.server, &self.waiter);
                drop(inner);
                if let Some(id) = self.server {
                    self.backend.policy().released(id);
                }
            }
            AGAIN => {}
            id => {
                drop(inner);
                // Comes back through the slot's own way.
                drop(Slot { backend: self.backend.clone(), server: ServerId((id - 1) as u32) });
            }
        }
    }
}

/// Gives free places of `server` to those who wait for them; tells how many got one.
pub fn dispatch(backend: &Arc<Backend>, server: ServerId) -> usize {
    let mut inner = backend.queue.lock();
    grant(backend, &mut inner, server)
}

/// Gives free places of all servers to those who wait for any of them. Costs nothing that grows with the servers while nobody does.
pub fn dispatch_any(backend: &Arc<Backend>) {
    let mut inner = backend.queue.lock();
    for i in 0..backend.servers().len() {
        if inner.any.waiters.is_empty() {
            break;
        }
        grant(backend, &mut inner, ServerId(i as u32));
    }
}

/// Gives the place that was freed just now to who waits for any server. The scheduler knows where it is: it has put the full servers
/// aside, however many there are. Only those whose limit grows with the load are looked at one by one.
fn grant_any(rt: &Rt, backend: &Arc<Backend>, inner: &mut Inner) {
    for &id in backend.growing() {
        grant(backend, inner, id);
    }
    while !inner.any.waiters.is_empty() {
        match backend.peek(rt.now()) {
            Pick::Server(id) if grant(backend, inner, id) != 0 => {}
            // Who has taken it meanwhile finds the waiters when giving it back.
            _ => break,
        }
    }
}

fn grant(backend: &Arc<Backend>, inner: &mut Inner, id: ServerId) -> usize {
    let server = backend.server(id);
    let mut granted = 0;
    while server.usable() {
        let own = inner.line(Some(id)).waiters.front().map(|w| w.turn);
        let any = inner.any.waiters.front().map(|w| w.turn);
        let from_own = match (own, any) {
            (None, None) => break,
            (Some(own), Some(any)) => own < any,
            (own, _) => own.is_some(),
        };
        // Only servers that the scheduler would choose serve the backend's queue (backups wait for their turn).
        if (!from_own && !backend.may_dequeue(id)) || !server.take_place(backend) {
            break;
        }
        let line = inner.line(from_own.then_some(id));
        let Some(waiter) = line.waiters.pop_front() else { break };
        backend.queue.left(server, from_own);
        if !from_own {
            backend.policy().taken(id);
        }
        waiter.settle(u64::from(id.0) + 1, line.grants);
        line.grants = line.grants.wrapping_add(1);
        granted += 1;
    }
    granted
}

/// Sends the streams that wait for `server` to choose again: it is down. Tells how many.
pub fn redistribute(backend: &Arc<Backend>, id: ServerId) -> usize {
    let mut inner = backend.queue.lock();
    let mut sent = 0;
    let line = inner.line(Some(id));
    while let Some(waiter) = line.waiters.pop_front() {
        backend.queue.left(backend.server(id), true);
        backend.policy().released(id);
        waiter.settle(AGAIN, line.grants);
        sent += 1;
    }
    sent
}

impl Waiter {
    fn settle(&self, granted: u64, grants: u32) {
        self.grants.store(grants.wrapping_sub(self.grants.load(Ordering::Relaxed)), Ordering::Relaxed);
        self.granted.store(granted, Ordering::Release);
        self.remote.wake(self.task);
    }
}

impl Inner {
    /// When a stream comes that comes now, in milliseconds. The clocks of threads differ by a turn of theirs: nobody is earlier than who came
    /// before, so that without offsets the order is that of arrival.
    fn arrival(&mut self, now: Instant) -> i64 {
        let first = *self.first.get_or_insert(now);
        let since = i64::try_from(now.saturating_duration_since(first).as_millis()).unwrap_or(i64::MAX / 2);
        self.latest = self.latest.max(since);
        self.latest
    }

    /// The queue of a server, or the backend's.
    fn line(&mut self, server: Option<ServerId>) -> &mut Line {
        let Some(id) = server else { return &mut self.any };
        let index = id.0 as usize;
        if self.per_server.len() <= index {
            self.per_server.resize_with(index + 1, Line::default);
        }
        &mut self.per_server[index]
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Streams that wait in any of the backend's queues.
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Streams that wait in the backend's own queue.
    pub fn backend_waiting(&self) -> u32 {
        self.backend_waiting.load(Ordering::Relaxed)
    }

    fn left(&self, server: &Server, own: bool) {
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        let count = if own { &server.queued } else { &self.backend_waiting };
        count.fetch_sub(1, Ordering::SeqCst);
    }

    fn remove(&self, backend: &Backend, inner: &mut Inner, server: Option<ServerId>, waiter: &Arc<Waiter>) {
        let waiters = &mut inner.line(server).waiters;
        if let Some(at) = waiters.iter().position(|w| Arc::ptr_eq(w, waiter)) {
            waiters.remove(at);
            self.waiting.fetch_sub(1, Ordering::SeqCst);
            let count = server.map_or(&self.backend_waiting, |id| &backend.server(id).queued);
            count.fetch_sub(1, Ordering::SeqCst);
        }
    }
}
