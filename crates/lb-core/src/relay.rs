//! A tunnel: both directions at once, half-close kept, until both sides are done, one breaks, or a timeout strikes. Mode tcp,
//! and what an Upgrade or a CONNECT leads to. Called by stream.rs; a plain future of few bytes, since tunnels live long.

use crate::out::OutPool;
use crate::pump::{Activity, Broken, Flow, Waits};
use lb_expr::{Cause, Phase, Termination};
use lb_rt::{Rt, Socket};
use std::task::Poll;
use std::time::{Duration, Instant};

/// Limits of a tunnel's silence.
#[derive(Clone, Copy, Debug, Default)]
pub struct TunnelTimeouts {
    /// `timeout tunnel`, else `timeout client`.
    pub client: Option<Duration>,
    /// `timeout tunnel`, else `timeout server`.
    pub server: Option<Duration>,
    /// `timeout client-fin`: once the client has been told that the server has closed.
    pub client_fin: Option<Duration>,
    /// `timeout server-fin`: once the server has been told that the client has closed.
    pub server_fin: Option<Duration>,
    /// `option independent-streams`: what is written to a side says nothing about its being alive.
    pub independent: bool,
}

impl TunnelTimeouts {
    /// From the two proxies' settings.
    pub fn new(front: &lb_config::Proxy, back: &lb_config::Proxy) -> TunnelTimeouts {
        TunnelTimeouts {
            client: back.timeouts.tunnel.or(front.timeouts.client),
            server: back.timeouts.tunnel.or(back.timeouts.server),
            client_fin: front.timeouts.client_fin,
            server_fin: back.timeouts.server_fin,
            independent: front.options.independent_streams,
        }
    }
}

/// Both directions of a tunnel.
pub struct Relay {
    /// Client to server.
    pub up: Flow,
    /// Server to client.
    pub down: Flow,
    client_seen: Instant,
    server_seen: Instant,
    up_closed: bool,
    down_closed: bool,
    timeouts: TunnelTimeouts,
}

impl Relay {
    /// A tunnel whose sides were last heard of now.
    pub fn new(up: Flow, down: Flow, timeouts: TunnelTimeouts, now: Instant) -> Relay {
        Relay { up, down, client_seen: now, server_seen: now, up_closed: false, down_closed: false, timeouts }
    }

    /// Runs until the end; says how it came.
    pub fn poll(&mut self, rt: &Rt, outs: &OutPool, client: &Socket, server: &Socket) -> Poll<Termination> {
        if !self.up_closed {
            match self.up.poll(rt, outs, client, server) {
                Poll::Ready(Err(broken)) => return Poll::Ready(broken_end(&broken, true)),
                Poll::Ready(Ok(())) => {
                    self.up_closed = true;
                    self.client_seen = rt.now();
                    // Fails when the server has reset the connection: its own direction says so.
                    let _ = server.shutdown_write();
                }
                Poll::Pending => {}
            }
        }
        if !self.down_closed {
            match self.down.poll(rt, outs, server, client) {
                Poll::Ready(Err(broken)) => return Poll::Ready(broken_end(&broken, false)),
                Poll::Ready(Ok(())) => {
                    self.down_closed = true;
                    self.server_seen = rt.now();
                    if !self.up_closed {
                        let _ = client.shutdown_write();
                    }
                }
                Poll::Pending => {}
            }
        }
        if self.up_closed && self.down_closed {
            return Poll::Ready(Termination::NORMAL);
        }
        let (up, down) = (self.up.take_activity(), self.down.take_activity());
        if up != Activity::default() || down != Activity::default() {
            if up.read || (down.wrote && !self.timeouts.independent) {
                self.client_seen = rt.now();
            }
            if down.read || (up.wrote && !self.timeouts.independent) {
                self.server_seen = rt.now();
            }
        }
        self.poll_silence(rt)
    }

    fn poll_silence(&self, rt: &Rt) -> Poll<Termination> {
        let t = &self.timeouts;
        // A side is waited for when it has to send or to take.
        if self.up.waits() == Waits::Source || self.down.waits() == Waits::Sink {
            let limit = if self.down_closed { t.client_fin.or(t.client) } else { t.client };
            if rt.poll_deadline(limit.map(|d| self.client_seen + d)).is_ready() {
                return Poll::Ready(Termination::new(Cause::ClientTimeout, Phase::Data));
            }
        }
        if self.down.waits() == Waits::Source || self.up.waits() == Waits::Sink {
            let limit = if self.up_closed { t.server_fin.or(t.server) } else { t.server };
            if rt.poll_deadline(limit.map(|d| self.server_seen + d)).is_ready() {
                return Poll::Ready(Termination::new(Cause::ServerTimeout, Phase::Data));
            }
        }
        Poll::Pending
    }
}

fn broken_end(broken: &Broken, up: bool) -> Termination {
    let source = !matches!(broken, Broken::Sink(_));
    // The source of the upward direction and the sink of the downward one are the client.
    let cause = if source == up { Cause::ClientAbort } else { Cause::ServerAbort };
    Termination::new(cause, Phase::Data)
}
