//! Mode http: a client's connection and the requests on it, one after the other.
//!
//! Called by session.rs. A connection that waits for its next request is a plain value ([`Conn`]) in its task: the future that
//! serves requests, some kilobytes, exists only while the client is busy.

pub(crate) mod answer;
mod attempt;
mod exchange;
mod fields;
pub(crate) mod hash_key;
mod receive;
pub(crate) mod rules;
mod target;

use crate::client::Client;
use crate::proxy::{Frontend, Server};
use crate::timers::Timers;
use lb_http::Head;
use lb_rt::{Buffer, Rt, Socket, TaskKey};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Weak;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Heads kept for reuse per thread.
const KEEP_HEADS: usize = 32;
/// Heads that a hostile message made larger than this are freed.
const KEEP_BYTES: usize = 16 << 10;

/// Heads for reuse.
#[derive(Clone, Default)]
#[allow(clippy::vec_box)] // so that taking one and giving it back moves a pointer
pub struct HeadPool(Rc<RefCell<Vec<Box<Head>>>>);

/// A head that goes back to its pool.
pub struct PooledHead {
    /// There until it is dropped.
    head: Option<Box<Head>>,
    pool: HeadPool,
}

impl HeadPool {
    /// An empty head.
    pub fn take(&self) -> PooledHead {
        PooledHead { head: Some(self.0.borrow_mut().pop().unwrap_or_default()), pool: self.clone() }
    }
}

impl Deref for PooledHead {
    type Target = Head;
    #[inline]
    fn deref(&self) -> &Head {
        self.head.as_deref().expect("only dropping takes the head out")
    }
}

impl DerefMut for PooledHead {
    #[inline]
    fn deref_mut(&mut self) -> &mut Head {
        self.head.as_deref_mut().expect("only dropping takes the head out")
    }
}

impl Drop for PooledHead {
    fn drop(&mut self) {
        let mut pool = self.pool.0.borrow_mut();
        if let Some(mut head) = self.head.take()
            && pool.len() < KEEP_HEADS
            && head.capacity() <= KEEP_BYTES
        {
            head.clear();
            pool.push(head);
        }
    }
}

/// A client's connection between two requests.
pub struct Conn {
    client: Rc<Client>,
    socket: Socket,
    /// Bytes of the next request that are there already.
    input: Option<Buffer>,
    /// When the wait for the next request began.
    since: Instant,
    /// The same by [`Rt::nanos`].
    since_at: u64,
    /// Requests that came before.
    served: u32,
    /// The server connection that only this client may use (`http-reuse never`, NTLM and the like).
    own: Option<Box<crate::pool::ServerConn>>,
    /// The server of the request before.
    last: Option<Weak<Server>>,
}

/// When waiting for the first byte of a request ends, before which so many were served, and which is waited for `since` then.
fn patience(frontend: &Frontend, served: u32, since: Instant) -> Option<Instant> {
    let timeouts = &frontend.settings.timeouts;
    let limit = if served == 0 { timeouts.effective_http_request() } else { timeouts.effective_http_keep_alive() };
    limit.map(|d| since + d)
}

impl Conn {
    /// When waiting for the next request's first byte ends.
    fn patience(&self) -> Option<Instant> {
        patience(self.client.frontend(), self.served, self.since)
    }

    /// A soft stop is under way, in which a connection that waits for its next request is closed; with `option
    /// idle-close-on-response` it may still ask, and its answer says `close`.
    fn has_to_go(&self) -> bool {
        self.leaves_at().is_some_and(|at| at <= self.client.worker().rt.now())
    }

    fn leaves_at(&self) -> Option<Instant> {
        let frontend = self.client.frontend();
        // Clients of a frontend that was shut down are told with their next answer.
        let shut_alone = frontend.is_shut() && !self.client.worker().process.stopping();
        let stays = self.served == 0 || frontend.settings.options.idle_close_on_response || shut_alone;
        if stays { None } else { self.client.leaves_at() }
    }

    /// When to look again: the end of patience, or the time to leave in a soft stop.
    fn deadline(&self) -> Option<Instant> {
        self.patience().into_iter().chain(self.leaves_at()).min()
    }

    fn timers(&self) -> Timers {
        // On a kept-alive connection each request counts from the end of the one before.
        Timers::new(if self.served == 0 { self.client.accepted } else { self.since_at })
    }
}

/// A connection's task: waits without a future, serves with one.
enum Task<F> {
    Waiting(Option<Conn>, Rt, fn(Conn) -> F),
    Serving(Pin<Box<F>>, Rt, fn(Conn) -> F),
}

impl<F: Future<Output = Option<Conn>>> Future for Task<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut *self {
                Task::Waiting(conn, rt, serve) => {
                    let Some(c) = conn else { return Poll::Ready(()) };
                    let mut begun = c.input.is_some() || c.socket.poll_readable().is_ready();
                    if !begun && c.has_to_go() {
                        // What has come since the last event is answered yet.
                        begun = c.socket.has_arrived();
                        if !begun {
                            return Poll::Ready(());
                        }
                    }
                    if !begun && rt.poll_deadline(c.deadline()).is_pending() {
                        return Poll::Pending;
                    }
                    let (Some(conn), rt, serve) = (conn.take(), rt.clone(), *serve) else { return Poll::Ready(()) };
                    self.set(Task::Serving(Box::pin(serve(conn)), rt, serve));
                }
                Task::Serving(future, rt, serve) => match future.as_mut().poll(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Ready(Some(conn)) => {
                        let (rt, serve) = (rt.clone(), *serve);
                        self.set(Task::Waiting(Some(conn), rt, serve));
                    }
                },
            }
        }
    }
}

impl<F> Unpin for Task<F> {}

fn task<F: Future<Output = Option<Conn>>>(conn: Conn, rt: Rt, serve: fn(Conn) -> F) -> Task<F> {
    Task::Waiting(Some(conn), rt, serve)
}

/// Starts a session in mode http.
pub fn spawn(client: Rc<Client>, mut socket: Socket, input: Option<Buffer>) -> TaskKey {
    let rt = client.worker().rt.clone();
    let wire = client.worker().counters.front_wire(client.frontend());
    socket.set_meter(wire);
    // What came with a header of the PROXY protocol.
    wire.note_received(input.as_ref().map_or(0, Buffer::len));
    // Handshakes, if there were any, have just been done.
    let (since, since_at) = (rt.now(), client.ready);
    let conn = Conn { client, socket, input, since, since_at, served: 0, own: None, last: None };
    rt.spawn(task(conn, rt.clone(), serve))
}

/// Serves requests until none is there; gives the connection back to wait for the next one.
async fn serve(mut conn: Conn) -> Option<Conn> {
    loop {
        let reuse = exchange::one(&mut conn).await;
        conn.served = conn.served.saturating_add(1);
        (conn.since, conn.since_at) = (conn.client.worker().rt.now(), conn.client.worker().rt.nanos());
        if !reuse {
            return None;
        }
        if conn.input.is_none() && !asks_again(&conn).await {
            return Some(conn);
        }
    }
}

/// A busy client asks again within this time: its future is kept for so long.
const BUSY: Duration = Duration::from_millis(10);

/// True when the next request begins while the client counts as busy.
async fn asks_again(conn: &Conn) -> bool {
    let until = conn.since + BUSY;
    let rt = &conn.client.worker().rt;
    poll_fn(|_| match conn.socket.poll_readable() {
        Poll::Ready(_) => Poll::Ready(true),
        // Also in a soft stop: the next request may be on its way.
        Poll::Pending => rt.poll_deadline(Some(until)).map(|()| false),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn future_size<F>(_: fn(Conn) -> F) -> usize {
        size_of::<F>()
    }

    fn task_size<F>(_: fn(Conn) -> F) -> usize {
        size_of::<Task<F>>()
    }

    #[test]
    fn memory_budgets() {
        let (serving, waiting) = (future_size(serve), task_size(serve));
        assert!(serving <= 4096, "the future of a request has {serving} bytes");
        // With its client, its place in the reactor and in the executor, a parked connection stays within 640 bytes.
        let client = size_of::<Client>() + 2 * size_of::<usize>();
        assert!(waiting + client <= 480, "a parked connection has {waiting} + {client} bytes");
    }
}
