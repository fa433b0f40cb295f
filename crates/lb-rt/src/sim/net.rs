//! The simulated kernel's sockets and the wire between them. Called by sim/mod.rs. Streams are in stream.rs, names, listeners
//! and datagrams here.
//!
//! Holds: nothing happens but by a call or by an entry of the agenda; an event is reported with the whole level state, as
//! edge-triggered epoll does; ids are never reused.

use super::errno::*;
use super::knobs::{ConnectFault, Faults, Knobs};
use super::rng::Rng;
use super::stream::{Phase, Stream};
use crate::TaskKey;
use crate::reactor::flag;
use lb_sys::Addr;
use lb_sys::socket::{Kind, SockOpt};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

pub(crate) type Id = u32;

/// Retransmissions of a SYN: after 1, 2, 4, … s, as Linux (`tcp_syn_retries` = 6), ETIMEDOUT after 127 s.
const SYN_RETRIES: u32 = 6;
/// Datagrams that wait at most; UNIX senders then get EAGAIN, UDP ones are lost (`net.unix.max_dgram_qlen` is 10 by default).
const DATAGRAMS: usize = 10;

pub(crate) enum Event {
    /// What has arrived for a stream may enter its receive buffer.
    Deliver(Id),
    /// A connection attempt reaches its destination; so many have been lost before.
    Syn(Id, u32),
    Established(Id),
    /// A connection attempt ends with this error.
    ConnectFails(Id, i32),
    Reset(Id),
    /// A writer that was told to wait may go on.
    Space(Id),
    Datagram(Id, Addr, Vec<u8>),
}

struct Entry {
    at: Duration,
    order: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

pub(crate) enum Body {
    /// Neither connected nor listening.
    Fresh(Kind),
    Stream(Box<Stream>),
    Listener {
        queue: VecDeque<Id>,
        backlog: usize,
    },
    Datagram(VecDeque<(Addr, Vec<u8>)>),
}

pub(crate) struct Sock {
    pub rt: usize,
    pub token: Option<u64>,
    /// In the list of events to report.
    pub signalled: bool,
    pub local: Addr,
    pub unix: bool,
    pub oob_inline: bool,
    pub linger_reset: bool,
    pub reuse_port: bool,
    pub options: Vec<SockOpt>,
    /// The task that last used it.
    pub user: TaskKey,
    /// Not accepted yet: no descriptor.
    pub embryo: bool,
    pub body: Body,
}

/// One executor's share of the kernel.
pub(crate) struct Host {
    /// Sockets with an event to report.
    pub ready: VecDeque<Id>,
    pub descriptors: usize,
    pub limit: usize,
    /// Where its connections come from when they are not bound.
    pub address: Option<IpAddr>,
    /// Calls on its streams until one of them panics; 0: none does.
    pub trap: u32,
}

pub(crate) struct Net {
    pub rng: Rng,
    pub now: Duration,
    agenda: BinaryHeap<Reverse<Entry>>,
    order: u64,
    pub socks: BTreeMap<Id, Sock>,
    next_id: Id,
    /// Sockets that are found by their address; looked up only, never walked.
    names: HashMap<Addr, Vec<Id>>,
    pub hosts: Vec<Host>,
    next_port: u16,
    pub knobs: Knobs,
    pub faults: Faults,
}

impl Net {
    pub fn new(seed: u64) -> Net {
        let mut rng = Rng::new(seed);
        let knobs = Knobs::choose(&mut rng);
        Net {
            rng,
            now: Duration::ZERO,
            agenda: BinaryHeap::new(),
            order: 0,
            socks: BTreeMap::new(),
            next_id: 0,
            names: HashMap::new(),
            hosts: Vec::new(),
            next_port: 32_768,
            knobs,
            faults: Faults::default(),
        }
    }

    pub fn at(&mut self, at: Duration, event: Event) {
        self.order += 1;
        self.agenda.push(Reverse(Entry { at, order: self.order, event }));
    }

    pub fn next_event(&self) -> Option<Duration> {
        self.agenda.peek().map(|e| e.0.at)
    }

    /// A time on the way between two hosts; none inside one.
    pub fn latency(&mut self, unix: bool) -> Duration {
        if unix {
            return Duration::ZERO;
        }
        let (low, high) = self.knobs.latency;
        Duration::from_nanos(self.rng.range(low.as_nanos() as u64, high.as_nanos() as u64))
    }

    /// Does what has become due.
    pub fn run_due(&mut self) {
        while self.next_event().is_some_and(|at| at <= self.now) {
            let Some(Reverse(entry)) = self.agenda.pop() else { return };
            match entry.event {
                Event::Deliver(id) => self.deliver(id),
                Event::Syn(id, lost) => self.syn(id, lost),
                Event::Established(id) => self.established(id),
                Event::ConnectFails(id, errno) => self.connect_fails(id, errno),
                Event::Reset(id) => self.reset(id),
                Event::Space(id) => self.space(id),
                Event::Datagram(id, from, bytes) => self.datagram(id, from, bytes),
            }
        }
    }

    // Descriptors

    pub fn room_for_descriptor(&self, rt: usize) -> io::Result<()> {
        if self.hosts[rt].descriptors < self.hosts[rt].limit { Ok(()) } else { fail(EMFILE) }
    }

    pub fn open(&mut self, rt: usize, addr: &Addr, kind: Kind) -> io::Result<Id> {
        self.room_for_descriptor(rt)?;
        self.hosts[rt].descriptors += 1;
        Ok(self.insert(rt, addr.is_unix(), unspecified(addr), Body::Fresh(kind)))
    }

    pub fn insert(&mut self, rt: usize, unix: bool, local: Addr, body: Body) -> Id {
        let id = self.next_id;
        self.next_id += 1;
        let sock = Sock {
            rt,
            token: None,
            signalled: false,
            local,
            unix,
            oob_inline: false,
            linger_reset: false,
            reuse_port: false,
            options: Vec::new(),
            user: TaskKey::NONE,
            embryo: false,
            body,
        };
        self.socks.insert(id, sock);
        id
    }

    pub fn sock(&mut self, id: Id) -> &mut Sock {
        self.socks.get_mut(&id).expect("a handle's socket is open")
    }

    pub fn apply(&mut self, id: Id, option: &SockOpt) {
        let sock = self.sock(id);
        match option {
            SockOpt::OobInline(on) => sock.oob_inline = *on,
            SockOpt::LingerReset => sock.linger_reset = true,
            SockOpt::ReusePort(on) => sock.reuse_port = *on,
            _ => {}
        }
        sock.options.push(option.clone());
    }

    pub fn close(&mut self, id: Id) {
        let Some(sock) = self.socks.remove(&id) else { return };
        if let Some(named) = self.names.get_mut(&sock.local) {
            named.retain(|i| *i != id);
            if named.is_empty() {
                self.names.remove(&sock.local);
            }
        }
        if !sock.embryo {
            self.hosts[sock.rt].descriptors -= 1;
        }
        match sock.body {
            Body::Stream(stream) => self.close_stream(*stream, sock.linger_reset, sock.unix),
            Body::Listener { queue, .. } => {
                for waiting in queue {
                    if let Some(s) = self.socks.get_mut(&waiting) {
                        s.linger_reset = true;
                    }
                    self.close(waiting);
                }
            }
            Body::Fresh(_) | Body::Datagram(_) => {}
        }
    }

    // Names

    pub fn bind(&mut self, id: Id, addr: &Addr) -> io::Result<()> {
        let mut addr = addr.clone();
        let kind = match self.sock(id).body {
            Body::Fresh(kind) => kind,
            _ => return fail(EINVAL),
        };
        if let Addr::Ip(ip) = &mut addr
            && ip.port() == 0
        {
            ip.set_port(self.port());
        }
        if addr != Addr::Unnamed {
            let mut taken = self.names.get(&addr).cloned().unwrap_or_default();
            taken.retain(|i| self.kind_of(*i) == Some(kind));
            let shared = self.sock(id).reuse_port && taken.iter().all(|i| self.socks.get(i).is_some_and(|s| s.reuse_port));
            if !taken.is_empty() && !shared {
                return fail(EADDRINUSE);
            }
            self.names.entry(addr.clone()).or_default().push(id);
        }
        let sock = self.sock(id);
        sock.local = addr;
        if kind == Kind::Datagram {
            sock.body = Body::Datagram(VecDeque::new());
        }
        Ok(())
    }

    fn kind_of(&self, id: Id) -> Option<Kind> {
        Some(match &self.socks.get(&id)?.body {
            Body::Fresh(kind) => *kind,
            Body::Stream(_) | Body::Listener { .. } => Kind::Stream,
            Body::Datagram(_) => Kind::Datagram,
        })
    }

    pub fn port(&mut self) -> u16 {
        self.next_port = self.next_port.checked_add(1).unwrap_or(32_768);
        self.next_port
    }

    /// The sockets that listen (or receive) at an address; a bound wildcard counts for all.
    fn named(&self, addr: &Addr, listening: bool) -> Vec<Id> {
        let wanted = |id: &Id| {
            self.socks.get(id).is_some_and(|s| match s.body {
                Body::Listener { .. } => listening,
                Body::Datagram(_) => !listening,
                _ => false,
            })
        };
        let mut found: Vec<Id> = self.names.get(addr).into_iter().flatten().copied().filter(wanted).collect();
        if let (true, Addr::Ip(ip)) = (found.is_empty(), addr) {
            for any in [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)] {
                let any = Addr::Ip(SocketAddr::new(any, ip.port()));
                found.extend(self.names.get(&any).into_iter().flatten().copied().filter(wanted));
            }
        }
        found
    }

    // Listening and connecting

    pub fn listen(&mut self, id: Id, backlog: u32) -> io::Result<()> {
        let sock = self.sock(id);
        match &mut sock.body {
            Body::Fresh(Kind::Stream) => {
                sock.body = Body::Listener { queue: VecDeque::new(), backlog: backlog as usize };
                Ok(())
            }
            Body::Listener { backlog: b, .. } => {
                *b = backlog as usize;
                Ok(())
            }
            _ => fail(EINVAL),
        }
    }

    pub fn accept(&mut self, id: Id) -> io::Result<(Id, Addr)> {
        let rt = self.sock(id).rt;
        // The descriptor comes first, as in the kernel: without room nobody even looks whether somebody waits.
        self.room_for_descriptor(rt)?;
        let local = self.sock(id).local.clone();
        let Body::Listener { queue, .. } = &mut self.sock(id).body else { return fail(EINVAL) };
        if queue.is_empty() {
            return fail(EAGAIN);
        }
        if let Some((errno, times)) = self.faults.accept.get_mut(&local)
            && *times > 0
        {
            *times -= 1;
            return fail(*errno);
        }
        let Body::Listener { queue, .. } = &mut self.sock(id).body else { return fail(EINVAL) };
        let Some(accepted) = queue.pop_front() else { return fail(EAGAIN) };
        self.hosts[rt].descriptors += 1;
        let sock = self.sock(accepted);
        sock.embryo = false;
        let Body::Stream(stream) = &sock.body else { return fail(EINVAL) };
        let peer = stream.peer_addr.clone();
        Ok((accepted, peer))
    }

    pub fn connect(&mut self, id: Id, to: &Addr) -> io::Result<bool> {
        let Body::Fresh(kind) = self.sock(id).body else { return fail(EINVAL) };
        if kind == Kind::Datagram {
            return fail(ENOTSUP);
        }
        if to.is_unix() {
            return self.connect_unix(id, to).map(|()| true);
        }
        self.name_client(id, to);
        let buffers = self.buffers();
        self.sock(id).body = Body::Stream(Box::new(Stream::new(to.clone(), Phase::Connecting, buffers)));
        let mut at = self.now + self.latency(false);
        if let Some(ConnectFault::Slow(more)) = self.faults.connect.get(to) {
            at += *more;
        }
        self.at(at, Event::Syn(id, 0));
        Ok(false)
    }

    /// Gives a client that is not bound, or to no port, its address.
    fn name_client(&mut self, id: Id, to: &Addr) {
        let (Addr::Ip(local), Addr::Ip(to)) = (self.sock(id).local.clone(), to) else { return };
        let rt = self.sock(id).rt;
        let ip = if !local.ip().is_unspecified() {
            local.ip()
        } else {
            self.hosts[rt].address.filter(|a| a.is_ipv4() == to.is_ipv4()).unwrap_or(if to.ip().is_loopback() {
                to.ip()
            } else {
                IpAddr::V4(Ipv4Addr::LOCALHOST)
            })
        };
        let port = if local.port() == 0 { self.port() } else { local.port() };
        self.sock(id).local = Addr::Ip(SocketAddr::new(ip, port));
    }

    fn connect_unix(&mut self, id: Id, to: &Addr) -> io::Result<()> {
        let Some(listener) = self.named(to, true).first().copied() else {
            return fail(if matches!(to, Addr::Unix(_)) { ENOENT } else { ECONNREFUSED });
        };
        if matches!(self.faults.connect.get(to), Some(ConnectFault::Refuse)) {
            return fail(ECONNREFUSED);
        }
        if self.queue_full(listener) {
            return fail(EAGAIN);
        }
        let buffers = self.buffers();
        self.sock(id).body = Body::Stream(Box::new(Stream::new(to.clone(), Phase::Open, buffers)));
        self.enqueue(listener, id);
        Ok(())
    }

    fn queue_full(&mut self, listener: Id) -> bool {
        // Linux lets one more wait than was asked for.
        matches!(&self.sock(listener).body, Body::Listener { queue, backlog } if queue.len() > *backlog)
    }

    /// Makes the server's end of a connection and puts it into the listener's queue.
    fn enqueue(&mut self, listener: Id, client: Id) -> Id {
        let (rt, unix, local) = {
            let l = self.sock(listener);
            (l.rt, l.unix, l.local.clone())
        };
        let (from, to) = {
            let c = self.sock(client);
            let to = match &c.body {
                Body::Stream(s) => s.peer_addr.clone(),
                _ => local.clone(),
            };
            (c.local.clone(), to)
        };
        let buffers = self.buffers();
        let mut stream = Stream::new(from, Phase::Open, buffers);
        stream.peer = Some(client);
        // Connections to a wildcard have the address that was called.
        let server = self.insert(rt, unix, if unix { local } else { to }, Body::Stream(Box::new(stream)));
        let (oob, linger) = (self.sock(listener).oob_inline, self.sock(listener).linger_reset);
        let sock = self.sock(server);
        sock.embryo = true;
        (sock.oob_inline, sock.linger_reset) = (oob, linger);
        if let Body::Stream(s) = &mut self.sock(client).body {
            s.peer = Some(server);
        }
        if let Body::Listener { queue, .. } = &mut self.sock(listener).body {
            queue.push_back(server);
        }
        self.signal(listener);
        server
    }

    fn buffers(&mut self) -> (usize, usize) {
        let (least, most) = (self.knobs.least_buffer, self.knobs.buffers);
        (self.rng.size(least, most), self.rng.size(least, most))
    }

    fn syn(&mut self, id: Id, lost: u32) {
        let Some(sock) = self.socks.get(&id) else { return };
        let Body::Stream(stream) = &sock.body else { return };
        let (from, to) = (sock.local.clone(), stream.peer_addr.clone());
        let fault = self.faults.connect.get(&to).copied();
        let back = self.latency(false);
        if fault == Some(ConnectFault::Blackhole) || self.faults.parted(&from, &to) {
            return self.syn_lost(id, lost);
        }
        let listeners = self.named(&to, true);
        if listeners.is_empty() || fault == Some(ConnectFault::Refuse) {
            return self.at(self.now + back, Event::ConnectFails(id, ECONNREFUSED));
        }
        let listener = *self.rng.pick(&listeners);
        if self.queue_full(listener) {
            return self.syn_lost(id, lost);
        }
        self.enqueue(listener, id);
        let at = self.now + back;
        if let Body::Stream(s) = &mut self.sock(id).body {
            // What the server sends comes behind its SYN.
            s.last_arrival = at;
        }
        self.at(at, Event::Established(id));
    }

    fn syn_lost(&mut self, id: Id, lost: u32) {
        let pause = Duration::from_secs(1 << lost.min(SYN_RETRIES));
        if lost >= SYN_RETRIES {
            self.at(self.now + pause, Event::ConnectFails(id, ETIMEDOUT));
        } else {
            self.at(self.now + pause, Event::Syn(id, lost + 1));
        }
    }

    fn established(&mut self, id: Id) {
        let Some(sock) = self.socks.get_mut(&id) else { return };
        if let Body::Stream(s) = &mut sock.body
            && s.phase == Phase::Connecting
        {
            s.phase = Phase::Open;
            self.signal(id);
            self.deliver(id);
        }
    }

    fn connect_fails(&mut self, id: Id, errno: i32) {
        let Some(sock) = self.socks.get_mut(&id) else { return };
        if let Body::Stream(s) = &mut sock.body
            && s.phase == Phase::Connecting
        {
            s.phase = Phase::Open;
            s.error = Some(errno);
            s.broken = true;
            self.signal(id);
        }
    }

    // Datagrams

    pub fn send_to(&mut self, id: Id, bytes: &[u8], to: &Addr) -> io::Result<usize> {
        if bytes.len() > 65_507 {
            return fail(EMSGSIZE);
        }
        if matches!(self.sock(id).body, Body::Fresh(Kind::Datagram)) {
            self.sock(id).body = Body::Datagram(VecDeque::new());
            self.name_client(id, to);
        }
        let from = self.sock(id).local.clone();
        let receiver = self.named(to, false).first().copied();
        if to.is_unix() {
            let Some(receiver) = receiver else { return fail(if matches!(to, Addr::Unix(_)) { ENOENT } else { ECONNREFUSED }) };
            if matches!(&self.sock(receiver).body, Body::Datagram(q) if q.len() >= DATAGRAMS) {
                return fail(EAGAIN);
            }
            self.datagram(receiver, from, bytes.to_vec());
            return Ok(bytes.len());
        }
        let lost = self.rng.chance(self.faults.datagram_loss) || self.faults.parted(&from, to);
        if let (Some(receiver), false) = (receiver, lost) {
            let at = self.now + self.latency(false);
            self.at(at, Event::Datagram(receiver, from, bytes.to_vec()));
        }
        Ok(bytes.len())
    }

    fn datagram(&mut self, id: Id, from: Addr, bytes: Vec<u8>) {
        if let Some(Sock { body: Body::Datagram(queue), .. }) = self.socks.get_mut(&id)
            && queue.len() < DATAGRAMS
        {
            queue.push_back((from, bytes));
            self.signal(id);
        }
    }

    pub fn recv_from(&mut self, id: Id, buf: &mut [u8]) -> io::Result<(usize, Addr)> {
        let Body::Datagram(queue) = &mut self.sock(id).body else { return fail(EAGAIN) };
        let Some((from, bytes)) = queue.pop_front() else { return fail(EAGAIN) };
        let n = bytes.len().min(buf.len());
        buf[..n].copy_from_slice(&bytes[..n]);
        Ok((n, from))
    }

    // Events

    pub fn register(&mut self, id: Id, token: u64) {
        self.sock(id).token = Some(token);
        if self.level(id) != 0 {
            self.signal(id);
        }
    }

    /// Something has happened that epoll reports as an edge.
    pub fn signal(&mut self, id: Id) {
        let Some(sock) = self.socks.get_mut(&id) else { return };
        if sock.token.is_some() && !sock.signalled {
            sock.signalled = true;
            self.hosts[sock.rt].ready.push_back(id);
        }
    }

    /// What a report on the socket says now, in the reactor's bits.
    pub fn level(&self, id: Id) -> u8 {
        let Some(sock) = self.socks.get(&id) else { return 0 };
        match &sock.body {
            Body::Fresh(Kind::Stream) => flag::WRITE | flag::ERROR | flag::READ_CLOSED,
            Body::Fresh(Kind::Datagram) => flag::WRITE,
            Body::Stream(s) => s.level(),
            Body::Listener { queue, .. } => {
                if queue.is_empty() {
                    0
                } else {
                    flag::READ
                }
            }
            Body::Datagram(queue) => flag::WRITE | if queue.is_empty() { 0 } else { flag::READ },
        }
    }

    /// The events that `epoll_wait` gives to one executor.
    pub fn take_events(&mut self, rt: usize) -> Vec<(u64, u8)> {
        if self.rng.chance(self.knobs.spurious) {
            self.poke(rt);
        }
        let mut events = Vec::new();
        for _ in 0..self.hosts[rt].ready.len() {
            let Some(id) = self.hosts[rt].ready.pop_front() else { break };
            if !self.socks.contains_key(&id) {
                continue;
            }
            if self.rng.chance(self.knobs.late_event) {
                self.hosts[rt].ready.push_back(id);
                continue;
            }
            let level = self.level(id);
            let sock = self.sock(id);
            sock.signalled = false;
            if let (Some(token), true) = (sock.token, level != 0) {
                events.push((token, level));
            }
        }
        events
    }

    /// Reports a socket about which there is nothing new.
    fn poke(&mut self, rt: usize) {
        let mine: Vec<Id> = self.socks.iter().filter(|(_, s)| s.rt == rt && s.token.is_some()).map(|(id, _)| *id).collect();
        if !mine.is_empty() {
            let id = *self.rng.pick(&mine);
            self.signal(id);
        }
    }
}

fn unspecified(like: &Addr) -> Addr {
    match like {
        Addr::Ip(a) if a.is_ipv4() => Addr::Ip(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0)),
        Addr::Ip(_) => Addr::Ip(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0)),
        _ => Addr::Unnamed,
    }
}
