//! A stream's way to a server: choose one, wait for a slot, connect, try again. Called by tcp.rs and http.
//!
//! Holds: between two attempts the slot is kept when the same server is tried again, and given back when another one is.

use crate::proxy::{AsksFor, Backend, turnaround};
use crate::queue::{self, Granted, Slot};
use crate::record::Record;
use crate::timers::Step;
use crate::watched;
use lb_balance::{Key, Pick, ServerId, Tried};
use lb_check::Sign;
use lb_config::{LogStep, Redispatch, RetryOn};
use lb_expr::{Cause, Phase, Termination};
use lb_rt::{Rt, Socket};
use lb_sys::Addr;
use lb_sys::socket::SockOpt;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Instant;

/// Why a stream got no server.
#[derive(Debug)]
pub enum Refused {
    /// No server is usable.
    NoServer,
    /// It waited too long in a queue.
    QueueTimeout,
    /// The server's queue is full (`maxqueue`).
    QueueFull,
    /// The client left.
    ClientGone(Phase),
    /// An operator, or a change of a server, ended the stream.
    Killed(Cause, Phase),
    /// The last attempt was refused.
    Connect(io::Error),
    /// The last attempt took too long.
    ConnectTimeout,
    /// A rule refused the stream.
    ByRule,
    /// A rule refused what the server has sent.
    AnswerByRule,
    /// A rule ended what came from the server.
    AnswerClosed,
}

impl Refused {
    /// How the stream ends for it.
    pub fn termination(&self) -> Termination {
        match self {
            Refused::NoServer => Termination::new(Cause::ServerAbort, Phase::Connect),
            Refused::QueueTimeout => Termination::new(Cause::ServerTimeout, Phase::Queue),
            Refused::QueueFull => Termination::new(Cause::ServerAbort, Phase::Queue),
            Refused::ClientGone(phase) => Termination::new(Cause::ClientAbort, *phase),
            Refused::Killed(cause, phase) => Termination::new(*cause, *phase),
            Refused::Connect(_) => Termination::new(Cause::ServerAbort, Phase::Connect),
            Refused::ConnectTimeout => Termination::new(Cause::ServerTimeout, Phase::Connect),
            Refused::ByRule => Termination::new(Cause::Proxy, Phase::Request),
            Refused::AnswerByRule => Termination::new(Cause::Proxy, Phase::Data),
            Refused::AnswerClosed => Termination::NORMAL,
        }
    }
}

/// The server of a client's last request, on whose connection nobody else is.
#[derive(Clone, Copy, Debug)]
pub struct Preferred {
    /// The server.
    pub server: ServerId,
    /// Its connection is authenticated for this client: it is waited for, however long the queue. Otherwise that is
    /// `option prefer-last-server`, and `max-keep-alive-queue` has a say.
    pub bound: bool,
}

/// The attempts of one stream.
pub struct Attempts<'a> {
    /// Its backend.
    pub backend: &'a Arc<Backend>,
    tried: Tried,
    /// The server of the attempt before, when another one may be chosen: what the next one is called depends on the choice.
    before: Option<ServerId>,
    /// The slot is kept for another attempt at the same server.
    slot: Option<Slot>,
    /// The server that the stream should go to, if it can.
    preferred: Option<Preferred>,
    key: Key<'static>,
}

/// How a client shows that it has left while we wait for something else.
#[derive(Clone, Copy)]
pub struct ClientWatch<'a> {
    /// Its connection.
    pub socket: &'a Socket,
    /// `option abortonclose`: closing its sending side counts.
    pub abort_on_close: bool,
    /// Mode tcp: closing its sending side counts when nothing was sent before.
    pub abort_on_silence: bool,
}

impl ClientWatch<'_> {
    /// True when something of the client waits for the server.
    fn has_sent(&self) -> bool {
        // In mode http a request is there before a server is chosen.
        !self.abort_on_silence || matches!(self.socket.poll_peek(&mut [0]), Poll::Ready(Ok(1)))
    }

    /// Ready when the client has left. Wakes the task when its state changes.
    pub fn poll_gone(&self) -> Poll<()> {
        if self.socket.is_broken() || (self.abort_on_close && self.socket.hung_up()) {
            return Poll::Ready(());
        }
        if self.abort_on_silence && self.socket.hung_up() && matches!(self.socket.poll_peek(&mut [0]), Poll::Ready(Ok(0))) {
            return Poll::Ready(());
        }
        self.socket.wait_for_event();
        Poll::Pending
    }
}

impl<'a> Attempts<'a> {
    /// The attempts of a stream of `record` at `backend`.
    pub fn new(record: &Record, backend: &'a Arc<Backend>) -> Attempts<'a> {
        let key = match backend.asks_for {
            AsksFor::Nothing => Key::None,
            AsksFor::Random => Key::Random(0),
            AsksFor::Source => address_key(Some(&record.peer())),
            AsksFor::Destination => address_key(record.local().as_deref()),
            // The modes say it: see [`Attempts::hash_by`].
            AsksFor::Request | AsksFor::Beginning => Key::None,
        };
        Attempts { backend, tried: Tried::new(), before: None, slot: None, preferred: None, key }
    }

    /// What the stream is hashed by, where the backend [`AsksFor::Request`] or [`AsksFor::Beginning`].
    pub fn hash_by(&mut self, key: Key<'_>) {
        let hash = self.backend.policy().settings().kind.hash().and_then(|hash| hash.of(key));
        self.key = hash.map_or(Key::None, Key::Hash);
    }

    /// Names the server that the stream should go to.
    pub fn prefer(&mut self, server: Option<Preferred>) {
        self.preferred = server;
    }

    /// The server that a first attempt would get; nothing is counted.
    pub(crate) fn peek(&self, now: Instant) -> Pick {
        self.backend.peek_for(self.key, now)
    }

    /// The server for this attempt; the policy has counted the stream there.
    fn choose(&mut self, rt: &Rt) -> Pick {
        if let Some(Preferred { server: id, bound }) = self.preferred.take() {
            let server = self.backend.server(id);
            // Manual 4.2 max-keep-alive-queue: with so many waiting there, another server is quicker. With 0 nobody waits.
            let short = |max| server.has_room(self.backend) || server.queued.load(Ordering::Relaxed) < max;
            let patient = bound || self.backend.settings.max_keep_alive_queue.is_none_or(short);
            if server.usable() && patient {
                self.backend.policy().taken(id);
                return Pick::Server(id);
            }
        }
        if let Key::Random(number) = &mut self.key {
            // Each attempt is a draw of its own.
            *number = rt.random();
        }
        self.backend.choose(self.key, &self.tried, rt.now())
    }

    /// Takes a slot: of the server that the last attempt kept, or of one that the scheduler chooses now.
    pub async fn admit(&mut self, rt: &Rt, record: &mut Record, watch: ClientWatch<'_>) -> Result<Slot, Refused> {
        if let Some(slot) = self.slot.take() {
            return Ok(slot);
        }
        let since = rt.now();
        loop {
            let server = match self.choose(rt) {
                Pick::NoneUsable => return Err(Refused::NoServer),
                Pick::AllFull => None,
                Pick::Server(id) => {
                    if let Some(slot) = queue::try_slot(self.backend, id) {
                        self.admitted(record, &slot);
                        return Ok(slot);
                    }
                    let server = self.backend.server(id);
                    if server.queue_is_full() {
                        self.backend.policy().released(id);
                        return Err(Refused::QueueFull);
                    }
                    // As haproxy: a stream that waits for this server is this server's in the log.
                    record.server = Some(server.clone());
                    Some(id)
                }
            };
            let rules = record.rules();
            let priority = queue::Priority { class: rules.priority_class, offset: rules.priority_offset };
            let mut ticket = queue::enqueue(rt, self.backend, server, priority);
            let deadline = self.backend.settings.timeouts.effective_queue().map(|d| since + d);
            record.queues(self.backend, server.map(|id| &**self.backend.server(id)));
            let waited = poll_fn(|_| {
                if let Poll::Ready(granted) = ticket.poll(rt) {
                    return Poll::Ready(Ok(granted));
                }
                if watch.poll_gone().is_ready() {
                    return Poll::Ready(Err(Refused::ClientGone(Phase::Queue)));
                }
                if let Some(cause) = record.client.killed.get() {
                    return Poll::Ready(Err(Refused::Killed(cause, Phase::Queue)));
                }
                rt.poll_deadline(deadline).map(|()| Err(Refused::QueueTimeout))
            })
            .await;
            record.mark_first(Step::Queue);
            // Counted as haproxy does, whether its turn has come or not.
            let place = ticket.served_before().saturating_add(1);
            match server {
                Some(_) => record.server_queue = record.server_queue.max(place),
                None => record.backend_queue = record.backend_queue.max(place),
            }
            if let Granted::Slot(slot) = waited? {
                self.admitted(record, &slot);
                return Ok(slot);
            }
        }
    }

    fn admitted(&mut self, record: &mut Record, slot: &Slot) {
        record.mark_first(Step::Queue);
        match self.before.take() {
            None => record.chosen(slot.server()),
            // There was no other.
            Some(before) if before == slot.server_id() => record.tries_again(slot.server(), false),
            Some(before) => {
                record.redispatched = true;
                record.tries_again(self.backend.server(before), true);
                record.chosen(slot.server());
            }
        }
        record.server = Some(slot.server().clone());
    }

    /// Decides about another attempt after one failed: the slot is kept or given back, the pause before it is waited for.
    /// `false`: none is left.
    pub async fn again(
        &mut self,
        rt: &Rt,
        record: &mut Record,
        slot: Slot,
        failure: &Refused,
        watch: ClientWatch<'_>,
    ) -> Result<bool, Refused> {
        let settings = &self.backend.settings;
        let retries = settings.retries;
        if u32::from(record.retries) >= retries || !settings.retry_on.contains(RetryOn::CONN_FAILURE) {
            return Ok(false);
        }
        record.retries += 1;
        let elsewhere = self.elsewhere(record.retries);
        let id = slot.server_id();
        // A server that refuses is not to look like a quick one.
        self.backend.note_latency(id, rt.now(), turnaround(settings.timeouts.connect));
        if elsewhere {
            self.tried.add(id);
            self.before = Some(id);
            record.timers.unmark(Step::Queue);
            drop(slot);
        } else {
            record.tries_again(slot.server(), false);
            self.slot = Some(slot);
        }
        // Only the same server is given time.
        if matches!(failure, Refused::Connect(_)) && !(elsewhere && self.has_others()) {
            let until = rt.now() + turnaround(settings.timeouts.connect);
            self.pause(rt, until, watch).await?;
        }
        record.timers.unmark(Step::Connect);
        Ok(true)
    }

    fn has_others(&self) -> bool {
        self.backend.usable().0 > 1
    }

    /// `option redispatch`: the given further attempt may go to another server.
    fn elsewhere(&self, attempt: u16) -> bool {
        let (attempt, retries) = (u32::from(attempt), self.backend.settings.retries);
        // Where any server will do, another one is asked at once instead of waiting for this one.
        let at_once = || !self.backend.is_hash && self.has_others();
        match self.backend.settings.redispatch {
            None => false,
            Some(Redispatch::Every(n)) => at_once() || attempt.is_multiple_of(n.max(1)),
            Some(Redispatch::BeforeLast(n)) => {
                at_once() || (retries + 1).checked_sub(n).is_some_and(|at| at != 0 && attempt.is_multiple_of(at))
            }
        }
    }

    /// Keeps the slot for another attempt at the same server that does not count: an idle connection was closed already.
    pub fn keep(&mut self, slot: Slot) {
        self.slot = Some(slot);
    }

    /// Counts another attempt after the server's answer (or its lack) called for one: the scheduler chooses anew.
    pub fn after_response(&mut self, record: &mut Record, slot: Slot) {
        record.retries += 1;
        record.timers.unmark(Step::Connect);
        record.timers.unmark(Step::Response);
        if self.elsewhere(record.retries) {
            record.timers.unmark(Step::Queue);
        }
        self.before = Some(slot.server_id());
        drop(slot);
    }

    async fn pause(&self, rt: &Rt, until: Instant, watch: ClientWatch<'_>) -> Result<(), Refused> {
        poll_fn(|_| {
            if watch.poll_gone().is_ready() {
                return Poll::Ready(Err(Refused::ClientGone(Phase::Connect)));
            }
            rt.poll_deadline(Some(until)).map(Ok)
        })
        .await
    }
}

fn address_key(address: Option<&Addr>) -> Key<'static> {
    match address {
        Some(Addr::Ip(address)) => Key::Addr(address.ip()),
        _ => Key::None,
    }
}

/// Starts a connection to the slot's server.
fn begin(rt: &Rt, record: &mut Record, slot: &Slot, watch: ClientWatch<'_>) -> io::Result<Socket> {
    let server = slot.server();
    record.attempts(server, false);
    let options = match &server.smart_options {
        Some(smart) if watch.has_sent() => smart,
        _ => &server.options,
    };
    let to = match &record.target {
        Some(target) => Addr::Ip(**target),
        None => server.address(|| record.client.local().cloned()).ok_or(io::ErrorKind::AddrNotAvailable)?,
    };
    let backend = record.backend.as_ref();
    let source = server.settings.source.as_ref().or_else(|| backend.and_then(|b| b.settings.source.as_ref()));
    let local = source.map(|s| Addr::Ip(s.address));
    let rules = record.rules();
    if !rules.marks_server() {
        return Socket::connect(rt, &to, local.as_ref(), options);
    }
    let wishes = rules.server_mark.map(SockOpt::Mark).into_iter().chain(rules.server_tos.map(SockOpt::Tos));
    Socket::connect_with(rt, &to, local.as_ref(), options, &wishes.collect::<Vec<_>>())
}

/// Connects to the slot's server.
pub async fn connect(rt: &Rt, record: &mut Record, slot: &Slot, watch: ClientWatch<'_>) -> Result<Socket, Refused> {
    let connected = try_connect(rt, record, slot, watch).await;
    if slot.server().watched.observes() {
        let sign = match &connected {
            Ok(_) => Some(Sign::Connected),
            Err(Refused::Connect(_) | Refused::ConnectTimeout) => Some(Sign::NotConnected),
            Err(_) => None,
        };
        sign.inspect(|sign| watched::note(record.client.worker(), slot.backend(), slot.server(), *sign));
    }
    connected
}

async fn try_connect(rt: &Rt, record: &mut Record, slot: &Slot, watch: ClientWatch<'_>) -> Result<Socket, Refused> {
    let socket = begin(rt, record, slot, watch).map_err(Refused::Connect)?;
    record.note_source(&socket);
    let deadline = slot_timeout(record).map(|d| rt.now() + d);
    poll_fn(|_| {
        match socket.poll_connected() {
            Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
            Poll::Ready(Err(e)) => return Poll::Ready(Err(Refused::Connect(e))),
            Poll::Pending => {}
        }
        if watch.poll_gone().is_ready() {
            return Poll::Ready(Err(Refused::ClientGone(Phase::Connect)));
        }
        if let Some(cause) = record.client.killed.get() {
            return Poll::Ready(Err(Refused::Killed(cause, Phase::Connect)));
        }
        rt.poll_deadline(deadline).map(|()| Err(Refused::ConnectTimeout))
    })
    .await?;
    record.mark(Step::Connect);
    record.log_step(LogStep::Connect);
    Ok(socket)
}

fn slot_timeout(record: &Record) -> Option<std::time::Duration> {
    record.backend.as_ref().and_then(|b| b.settings.timeouts.connect)
}

/// Admission and connection with all attempts that the configuration allows.
pub async fn open(rt: &Rt, record: &mut Record, attempts: &mut Attempts<'_>, watch: ClientWatch<'_>) -> Result<(Socket, Slot), Refused> {
    loop {
        let slot = attempts.admit(rt, record, watch).await?;
        let sent = rt.now();
        let failure = match connect(rt, record, &slot, watch).await {
            Ok(socket) => {
                // In mode tcp to connect is the first answer of a server, and the last that is known to be one.
                attempts.backend.note_latency(slot.server_id(), rt.now(), rt.now().saturating_duration_since(sent));
                return Ok((socket, slot));
            }
            Err(gone @ (Refused::ClientGone(_) | Refused::Killed(..))) => return Err(gone),
            Err(failure) => failure,
        };
        if !attempts.again(rt, record, slot, &failure, watch).await? {
            return Err(failure);
        }
    }
}
