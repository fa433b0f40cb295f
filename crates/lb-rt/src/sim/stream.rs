//! Simulated stream connections: buffers at both ends, a wire between them, half-closes, resets, urgent bytes. Part of net.rs.
//!
//! What an end sends is on the wire towards the other until it fits its receive buffer; until then it takes room in the sender's.

use super::errno::*;
use super::net::{Body, Event, Id, Net};
use super::pipe::SimPipe;
use crate::reactor::flag;
use lb_sys::Addr;
use std::collections::VecDeque;
use std::io;
use std::time::Duration;

/// Pieces that one write is cut into at most.
const PIECES: usize = 8;
/// `MSG_MORE` holds back less than a segment, for at most this long.
const CORK: Duration = Duration::from_millis(200);
const SEGMENT: usize = 1460;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    Connecting,
    Open,
}

enum Seg {
    Data(VecDeque<u8>),
    Urgent(u8),
    Fin,
}

pub(crate) struct Stream {
    pub peer_addr: Addr,
    /// The other end; gone when it has been closed.
    pub peer: Option<Id>,
    pub phase: Phase,
    recv: VecDeque<u8>,
    recv_cap: usize,
    /// Bytes taken out of `recv` so far.
    taken: u64,
    /// Where the urgent byte stands in the stream, while it has not been read.
    urgent: Option<u64>,
    fin_in: bool,
    wire: VecDeque<(Duration, Seg)>,
    /// Nothing that is sent later arrives before this.
    pub last_arrival: Duration,
    /// Bytes at the end of the wire that the sender holds back.
    corked: usize,
    send_cap: usize,
    unacked: usize,
    /// A writer was told to wait: it gets an edge.
    no_space: bool,
    /// That edge is on the agenda, although there may be room.
    space_later: bool,
    fin_out: bool,
    /// A reset is on its way here.
    doomed: bool,
    /// What the next call gets.
    pub error: Option<i32>,
    /// Reset, or never connected.
    pub broken: bool,
}

impl Stream {
    pub fn new(peer_addr: Addr, phase: Phase, (send_cap, recv_cap): (usize, usize)) -> Stream {
        Stream {
            peer_addr,
            peer: None,
            phase,
            recv: VecDeque::new(),
            recv_cap,
            taken: 0,
            urgent: None,
            fin_in: false,
            wire: VecDeque::new(),
            last_arrival: Duration::ZERO,
            corked: 0,
            send_cap,
            unacked: 0,
            no_space: false,
            space_later: false,
            fin_out: false,
            doomed: false,
            error: None,
            broken: false,
        }
    }

    fn space(&self) -> usize {
        self.send_cap.saturating_sub(self.unacked)
    }

    /// The kernel calls a socket writable again when a third of its buffer is free.
    fn writable(&self) -> bool {
        self.broken || self.fin_out || self.error.is_some() || self.space() >= (self.send_cap / 3).max(1)
    }

    fn readable(&self) -> bool {
        !self.recv.is_empty() || self.fin_in || self.broken || self.error.is_some()
    }

    pub fn level(&self) -> u8 {
        if self.phase == Phase::Connecting {
            return 0;
        }
        let mut level = 0;
        for (on, bits) in [
            (self.readable(), flag::READ),
            (self.writable(), flag::WRITE),
            (self.fin_in, flag::READ_CLOSED),
            (self.error.is_some(), flag::ERROR),
            // EPOLLHUP: both directions are closed.
            (self.broken || (self.fin_in && self.fin_out), flag::ERROR | flag::READ_CLOSED),
            (self.urgent.is_some(), flag::READ | flag::PRIORITY),
        ] {
            if on {
                level |= bits;
            }
        }
        level
    }

    pub fn is_connected(&self) -> bool {
        self.phase == Phase::Open && !self.broken
    }

    /// An edge for a waiting writer is on its way.
    pub fn will_have_space(&self) -> bool {
        self.space_later
    }

    /// Data that the reader could have, where the writer of another stream could use it.
    pub fn has_data(&self) -> bool {
        self.phase == Phase::Open && !self.broken && !self.recv.is_empty()
    }

    pub fn has_room(&self) -> bool {
        self.phase == Phase::Open && !self.broken && !self.fin_out && self.error.is_none() && !self.space_later && self.writable()
    }

    /// The end has come, and everything before it has been read.
    pub fn at_end(&self) -> bool {
        self.fin_in && self.recv.is_empty()
    }

    pub fn sends_no_more(&self) -> bool {
        self.fin_out || self.broken
    }

    /// Bytes up to the urgent mark; `None`: there is none.
    fn to_mark(&self) -> Option<usize> {
        self.urgent.map(|at| (at - self.taken) as usize)
    }

    pub fn describe(&self) -> String {
        format!(
            "{:?} recv {}/{} wire {} unacked {}/{} fin in {} out {} urgent {:?} error {:?} broken {} no_space {}",
            self.phase,
            self.recv.len(),
            self.recv_cap,
            self.wire.len(),
            self.unacked,
            self.send_cap,
            self.fin_in,
            self.fin_out,
            self.urgent,
            self.error,
            self.broken,
            self.no_space
        )
    }

    /// What a reader finds when there is no data.
    fn empty(&mut self) -> io::Result<usize> {
        match self.error.take() {
            Some(errno) => fail(errno),
            None if self.fin_in || self.broken => Ok(0),
            None => fail(EAGAIN),
        }
    }
}

impl Net {
    pub(crate) fn stream(&mut self, id: Id) -> io::Result<&mut Stream> {
        match &mut self.sock(id).body {
            Body::Stream(s) => Ok(s),
            _ => fail(ENOTCONN),
        }
    }

    pub fn recv(&mut self, id: Id, buf: &mut [u8], peek: bool) -> io::Result<usize> {
        let inline = self.sock(id).oob_inline;
        let s = self.stream(id)?;
        if s.phase == Phase::Connecting {
            return fail(EAGAIN);
        }
        let mut at_mark = s.to_mark() == Some(0);
        if at_mark && !inline && !peek {
            // Out of line: the byte is not part of the stream.
            s.recv.pop_front();
            at_mark = false;
            self.taken(id, 1);
        }
        let s = self.stream(id)?;
        if s.recv.is_empty() {
            return s.empty();
        }
        let most = if at_mark { usize::MAX } else { s.to_mark().unwrap_or(usize::MAX) };
        let n = buf.len().min(s.recv.len()).min(most);
        for (to, from) in buf.iter_mut().zip(s.recv.iter().take(n)) {
            *to = *from;
        }
        if !peek {
            s.recv.drain(..n);
            self.taken(id, n);
        }
        Ok(n)
    }

    /// The reader has made room: what waits on the wire may come.
    fn taken(&mut self, id: Id, n: usize) {
        let unix = self.sock(id).unix;
        let wait = self.latency(unix);
        let (now, Ok(s)) = (self.now, self.stream(id)) else { return };
        s.taken += n as u64;
        if s.urgent.is_some_and(|at| at < s.taken) {
            s.urgent = None;
        }
        if s.wire.front().is_some_and(|(at, _)| *at <= now) {
            self.at(now + wait, Event::Deliver(id));
        }
    }

    pub fn send(&mut self, id: Id, bytes: &[u8], more: bool) -> io::Result<usize> {
        let n = self.admit(id, bytes.len(), self.knobs.short_write)?;
        self.transmit(id, &bytes[..n], more);
        Ok(n)
    }

    /// How many of `len` bytes a write takes; marks the writer as waiting when that is not all.
    fn admit(&mut self, id: Id, len: usize, short: u32) -> io::Result<usize> {
        let shorten = self.rng.chance(short);
        let cut = self.rng.next();
        let unix = self.sock(id).unix;
        let pause = self.latency(false) + Duration::from_micros(10);
        let now = self.now;
        let s = self.stream(id)?;
        if let Some(errno) = s.error.take() {
            return fail(errno);
        }
        if s.phase == Phase::Connecting {
            s.no_space = true;
            return fail(EAGAIN);
        }
        if s.broken || s.fin_out || (unix && s.peer.is_none()) {
            return fail(EPIPE);
        }
        let space = s.space();
        if space == 0 {
            s.no_space = true;
            return fail(EAGAIN);
        }
        let mut n = len.min(space);
        if shorten && n > 1 {
            // No memory for more at the moment: the writer gets its edge later.
            n = 1 + (cut % (n as u64 - 1)) as usize;
            if !s.space_later {
                s.space_later = true;
                self.at(now + pause, Event::Space(id));
            }
        } else if n < len {
            s.no_space = true;
        }
        Ok(n)
    }

    pub fn space(&mut self, id: Id) {
        if self.socks.contains_key(&id)
            && let Ok(s) = self.stream(id)
        {
            s.space_later = false;
            if s.writable() {
                self.signal(id);
            } else {
                s.no_space = true;
            }
        }
    }

    /// Puts bytes on the wire, in pieces.
    fn transmit(&mut self, id: Id, bytes: &[u8], more: bool) {
        let unix = self.sock(id).unix;
        let Ok(s) = self.stream(id) else { return };
        s.unacked += bytes.len();
        let Some(peer) = s.peer else { return self.answer_with_reset(id) };
        let (low, high) = self.knobs.piece;
        let mut rest = bytes;
        let mut pieces = 0;
        while !rest.is_empty() {
            pieces += 1;
            let n = if pieces == PIECES { rest.len() } else { self.rng.size(low, high).min(rest.len()) };
            let (piece, after) = rest.split_at(n);
            self.put(peer, unix, Seg::Data(piece.iter().copied().collect()));
            rest = after;
        }
        let now = self.now;
        let Ok(p) = self.stream(peer) else { return };
        if more && !unix {
            p.corked += bytes.len();
        }
        if p.corked == 0 {
            return;
        }
        if !more || p.corked >= SEGMENT {
            return self.uncork(peer);
        }
        // Held back until more comes or the kernel's patience ends.
        let mut held = 0;
        for (at, seg) in p.wire.iter_mut().rev() {
            if let Seg::Data(d) = seg {
                held += d.len();
            }
            if held > p.corked {
                break;
            }
            *at = now + CORK;
        }
        p.last_arrival = p.last_arrival.max(now + CORK);
        self.at(now + CORK, Event::Deliver(peer));
    }

    /// Lets go what was held back on the way to `peer`.
    fn uncork(&mut self, peer: Id) {
        let unix = self.sock(peer).unix;
        let arrival = self.now + self.latency(unix);
        let Ok(p) = self.stream(peer) else { return };
        if std::mem::take(&mut p.corked) == 0 {
            return;
        }
        for (at, _) in &mut p.wire {
            *at = (*at).min(arrival);
        }
        p.last_arrival = arrival;
        self.at(arrival, Event::Deliver(peer));
    }

    fn put(&mut self, peer: Id, unix: bool, seg: Seg) {
        let at = self.now + self.latency(unix);
        let Ok(p) = self.stream(peer) else { return };
        let at = at.max(p.last_arrival);
        p.last_arrival = at;
        p.wire.push_back((at, seg));
        self.at(at, Event::Deliver(peer));
    }

    /// Data for an end that has been closed: the other kernel answers with a reset.
    fn answer_with_reset(&mut self, id: Id) {
        let at = self.now + self.latency(false) + self.latency(false);
        if let Ok(s) = self.stream(id)
            && !std::mem::replace(&mut s.doomed, true)
        {
            self.at(at, Event::Reset(id));
        }
    }

    /// What has arrived enters the receive buffer as far as there is room.
    pub fn deliver(&mut self, id: Id) {
        let Some(sock) = self.socks.get_mut(&id) else { return };
        let Body::Stream(s) = &mut sock.body else { return };
        if s.phase == Phase::Connecting || self.faults.parted(&sock.local, &s.peer_addr) {
            return;
        }
        let mut freed = 0;
        let mut changed = false;
        while let Some((at, seg)) = s.wire.front_mut() {
            let room = s.recv_cap.saturating_sub(s.recv.len());
            if *at > self.now || (room == 0 && !matches!(seg, Seg::Fin)) {
                break;
            }
            changed = true;
            match seg {
                Seg::Data(bytes) => {
                    let n = room.min(bytes.len());
                    s.recv.extend(bytes.drain(..n));
                    freed += n;
                    if !bytes.is_empty() {
                        break;
                    }
                }
                Seg::Urgent(byte) => {
                    // Only the last urgent byte is one; an earlier mark is forgotten.
                    s.urgent = Some(s.taken + s.recv.len() as u64);
                    s.recv.push_back(*byte);
                    freed += 1;
                }
                Seg::Fin => s.fin_in = true,
            }
            s.wire.pop_front();
        }
        let sender = s.peer;
        if changed {
            self.signal(id);
        }
        if let (Some(sender), true) = (sender, freed != 0) {
            self.acked(sender, freed);
        }
    }

    fn acked(&mut self, sender: Id, n: usize) {
        let Ok(s) = self.stream(sender) else { return };
        s.unacked = s.unacked.saturating_sub(n);
        if s.no_space && s.writable() {
            s.no_space = false;
            self.signal(sender);
        }
    }

    pub fn reset(&mut self, id: Id) {
        let Some(sock) = self.socks.get_mut(&id) else { return };
        let Body::Stream(s) = &mut sock.body else { return };
        if self.faults.parted(&sock.local, &s.peer_addr) {
            return self.at(self.now + Duration::from_secs(1), Event::Reset(id));
        }
        if s.broken {
            return;
        }
        // RFC 9293 §3.10.7.4; Linux says EPIPE where the peer's FIN has been seen.
        s.error = Some(match (s.phase, s.fin_in) {
            (Phase::Connecting, _) => ECONNREFUSED,
            (_, true) => EPIPE,
            (_, false) => ECONNRESET,
        });
        s.phase = Phase::Open;
        s.broken = true;
        s.wire.clear();
        s.unacked = 0;
        let peer = s.peer.take();
        self.signal(id);
        if let Some(peer) = peer
            && let Ok(p) = self.stream(peer)
        {
            p.peer = None;
        }
    }

    pub fn shutdown_write(&mut self, id: Id) -> io::Result<()> {
        let unix = self.sock(id).unix;
        let s = self.stream(id)?;
        if s.broken || s.phase == Phase::Connecting {
            return fail(ENOTCONN);
        }
        if std::mem::replace(&mut s.fin_out, true) {
            return Ok(());
        }
        let (peer, hup) = (s.peer, s.fin_in);
        if let Some(peer) = peer {
            self.uncork(peer);
            self.put(peer, unix, Seg::Fin);
        }
        if hup {
            // Both directions are closed now: EPOLLHUP is an edge.
            self.signal(id);
        }
        Ok(())
    }

    pub fn take_error(&mut self, id: Id) -> Option<i32> {
        match &mut self.sock(id).body {
            Body::Stream(s) => s.error.take(),
            _ => None,
        }
    }

    /// Sends one urgent byte (`MSG_OOB`).
    pub fn send_urgent(&mut self, id: Id, byte: u8) -> io::Result<()> {
        self.admit(id, 1, 0)?;
        let unix = self.sock(id).unix;
        let s = self.stream(id)?;
        s.unacked += 1;
        let Some(peer) = s.peer else {
            self.answer_with_reset(id);
            return Ok(());
        };
        self.uncork(peer);
        self.put(peer, unix, Seg::Urgent(byte));
        Ok(())
    }

    /// The wire is cut by somebody in between: both ends get a reset.
    pub fn cut(&mut self, id: Id) {
        let peer = self.stream(id).ok().and_then(|s| s.peer);
        self.reset(id);
        if let Some(peer) = peer {
            self.reset(peer);
        }
    }

    pub fn close_stream(&mut self, s: Stream, linger_reset: bool, unix: bool) {
        let Some(peer) = s.peer else { return };
        // Data that nobody will read is answered with a reset (RFC 2525 §2.17), now or when it arrives.
        let unread = !s.recv.is_empty();
        let coming = s.wire.iter().any(|(_, seg)| !matches!(seg, Seg::Fin));
        let delay = self.latency(unix);
        let cut = self.rng.next();
        let now = self.now;
        let Ok(p) = self.stream(peer) else { return };
        p.peer = None;
        if linger_reset || unread {
            // What had not left yet is gone: the end of the wire, from some point on.
            let keep = (cut % (p.wire.len() as u64 + 1)) as usize;
            p.wire.truncate(keep);
            p.corked = 0;
            let at = p.wire.back().map_or(now + delay, |(at, _)| (*at).max(now + delay));
            p.doomed = true;
            self.at(at, Event::Reset(peer));
            return;
        }
        self.uncork(peer);
        if !s.fin_out {
            self.put(peer, unix, Seg::Fin);
        }
        if coming {
            let at = s.last_arrival.max(now) + delay;
            if let Ok(p) = self.stream(peer)
                && !std::mem::replace(&mut p.doomed, true)
            {
                self.at(at, Event::Reset(peer));
            }
        }
    }

    // splice(2)

    /// Socket → pipe. The kernel looks for room in the pipe first: a full one is EAGAIN even at the end of the data.
    pub fn fill(&mut self, id: Id, pipe: &mut SimPipe, len: usize) -> io::Result<usize> {
        if pipe.is_full() {
            return fail(EAGAIN);
        }
        let stop = self.rng.chance(self.knobs.short_splice);
        let cut = self.rng.next();
        let s = self.stream(id)?;
        if s.phase == Phase::Connecting {
            return fail(EAGAIN);
        }
        // A splice never passes the urgent mark: there the socket looks empty.
        let mut n = len.min(s.recv.len()).min(s.to_mark().unwrap_or(usize::MAX));
        if n == 0 {
            return s.empty();
        }
        if stop && n > 1 {
            n = 1 + (cut % (n as u64 - 1)) as usize;
        }
        let mut moved = 0;
        while moved < n && !pipe.is_full() {
            // A slot holds what one fragment of the socket's buffer had on one page.
            let frag = self.rng.size(1, 4096).min(n - moved);
            let Ok(s) = self.stream(id) else { break };
            pipe.push(s.recv.drain(..frag).collect());
            moved += frag;
        }
        self.taken(id, moved);
        Ok(moved)
    }

    /// Pipe → socket.
    pub fn drain(&mut self, id: Id, pipe: &mut SimPipe, len: usize, more: bool) -> io::Result<usize> {
        if pipe.held() == 0 {
            return fail(EAGAIN);
        }
        let stop = self.rng.chance(self.knobs.short_splice);
        let cut = self.rng.next();
        let mut n = self.admit(id, len.min(pipe.held()), 0)?;
        if stop && n > 1 {
            n = 1 + (cut % (n as u64 - 1)) as usize;
        }
        let bytes = pipe.take(n);
        self.transmit(id, &bytes, more);
        Ok(n)
    }
}
