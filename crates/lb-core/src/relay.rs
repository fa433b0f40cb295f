//! A tunnel: both directions at once, half-close kept, until both sides are done, one breaks, or a timeout strikes. Mode tcp,
//! and what an Upgrade or a CONNECT leads to. Called by tcp.rs and http/attempt.rs; a plain future of few bytes, since tunnels live long.

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
    /// `option nolinger` of the frontend: the client's connection is not waited for once the server has closed.
    pub client_nolinger: bool,
    /// `option nolinger` of the backend.
    pub server_nolinger: bool,
    /// `option independent-streams` of the frontend: what is written to the client says nothing about its being alive.
    pub client_independent: bool,
    /// `option independent-streams` of the backend, about the server.
    pub server_independent: bool,
}

impl TunnelTimeouts {
    /// From the two proxies' settings.
    pub fn new(front: &lb_config::Proxy, back: &lb_config::Proxy) -> TunnelTimeouts {
        TunnelTimeouts {
            client: back.timeouts.tunnel.or(front.timeouts.client),
            server: back.timeouts.tunnel.or(back.timeouts.server),
            client_fin: front.timeouts.client_fin,
            server_fin: back.timeouts.server_fin,
            client_nolinger: front.options.nolinger,
            server_nolinger: back.options.nolinger,
            client_independent: front.options.independent_streams,
            server_independent: back.options.independent_streams,
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
    /// The server takes no more: how it ends once what it had said is with the client.
    refused: Option<Termination>,
    timeouts: TunnelTimeouts,
    /// Until then no timeout can strike, as long as the flows wait for `checked`.
    check_at: Instant,
    checked: (Waits, Waits),
}

impl Relay {
    /// A tunnel whose sides were last heard of now.
    pub fn new(up: Flow, down: Flow, timeouts: TunnelTimeouts, now: Instant) -> Relay {
        Relay {
            up,
            down,
            client_seen: now,
            server_seen: now,
            up_closed: false,
            down_closed: false,
            refused: None,
            timeouts,
            check_at: now,
            checked: (Waits::Done, Waits::Done),
        }
    }

    /// Runs until the end; says how it came.
    pub fn poll(&mut self, rt: &Rt, outs: &OutPool, client: &Socket, server: &Socket) -> Poll<Termination> {
        if !self.up_closed
            && let Poll::Ready(ended) = self.up.poll(rt, outs, client, server)
            && let Some(end) = self.up_ended(ended, rt, server)
        {
            return Poll::Ready(end);
        }
        if !self.down_closed
            && let Poll::Ready(ended) = self.down.poll(rt, outs, server, client)
            && let Some(end) = self.down_ended(ended, rt, client)
        {
            return Poll::Ready(end);
        }
        if self.up_closed && self.down_closed {
            return Poll::Ready(Termination::NORMAL);
        }
        let (up, down) = (self.up.take_activity(), self.down.take_activity());
        if up != Activity::default() || down != Activity::default() {
            if up.read || (down.wrote && !self.timeouts.client_independent) {
                self.client_seen = rt.now();
            }
            if down.read || (up.wrote && !self.timeouts.server_independent) {
                self.server_seen = rt.now();
            }
        }
        self.poll_silence(rt)
    }

    /// The client has closed its side, or what it sends cannot be passed on; an answer when that ends the tunnel.
    #[cold]
    fn up_ended(&mut self, ended: Result<(), Broken>, rt: &Rt, server: &Socket) -> Option<Termination> {
        match ended {
            // A server that closes although there is more for it resets the connection. Its last words are here all the same.
            Err(broken @ Broken::Sink(_)) if !self.down_closed => self.refused = Some(broken_end(&broken, true)),
            Err(broken) => return Some(broken_end(&broken, true)),
            Ok(()) => {
                self.client_seen = rt.now();
                if self.timeouts.server_fin.is_some() {
                    // Counted from the moment when the server is told.
                    self.server_seen = rt.now();
                }
                if self.timeouts.server_nolinger {
                    server.reset_on_close();
                    return Some(Termination::NORMAL);
                }
                // Fails when the server has reset the connection: its own direction says so.
                let _ = server.shutdown_write();
            }
        }
        self.up_closed = true;
        None
    }

    /// As [`Relay::up_ended`] for the server's side.
    #[cold]
    fn down_ended(&mut self, ended: Result<(), Broken>, rt: &Rt, client: &Socket) -> Option<Termination> {
        if let Err(broken) = ended {
            return Some(self.refused.unwrap_or(broken_end(&broken, false)));
        }
        if self.refused.is_some() {
            return self.refused;
        }
        self.down_closed = true;
        self.server_seen = rt.now();
        if self.timeouts.client_fin.is_some() {
            self.client_seen = rt.now();
        }
        if self.timeouts.client_nolinger {
            client.reset_on_close();
            return Some(Termination::NORMAL);
        }
        if !self.up_closed {
            let _ = client.shutdown_write();
        }
        None
    }

    /// Both deadlines move with every byte; they are worked out only when the last result has come due.
    fn poll_silence(&mut self, rt: &Rt) -> Poll<Termination> {
        let waits = (self.up.waits(), self.down.waits());
        if waits != self.checked || rt.now() >= self.check_at {
            if let Some(cause) = self.silent_side(rt, waits) {
                return Poll::Ready(Termination::new(cause, Phase::Data));
            }
            self.checked = waits;
        }
        rt.poll_at_latest(self.check_at);
        Poll::Pending
    }

    /// Who has been silent for too long; else sets when to look again.
    #[cold]
    fn silent_side(&mut self, rt: &Rt, (up, down): (Waits, Waits)) -> Option<Cause> {
        let t = &self.timeouts;
        self.check_at = rt.now() + FAR;
        // A side is waited for when it has to send or to take.
        let client =
            (up == Waits::Source || down == Waits::Sink).then(|| if self.down_closed { t.client_fin.or(t.client) } else { t.client });
        let server =
            (down == Waits::Source || up == Waits::Sink).then(|| if self.up_closed { t.server_fin.or(t.server) } else { t.server });
        for (limit, seen, cause) in [(client, self.client_seen, Cause::ClientTimeout), (server, self.server_seen, Cause::ServerTimeout)] {
            if let Some(at) = limit.flatten().map(|d| seen + d) {
                if at <= rt.now() {
                    return Some(cause);
                }
                self.check_at = self.check_at.min(at);
            }
        }
        None
    }
}

/// Without any timeout a tunnel is looked at this often.
const FAR: Duration = Duration::from_secs(86_400);

fn broken_end(broken: &Broken, up: bool) -> Termination {
    let source = !matches!(broken, Broken::Sink(_));
    // The source of the upward direction and the sink of the downward one are the client.
    let cause = if source == up { Cause::ClientAbort } else { Cause::ServerAbort };
    Termination::new(cause, Phase::Data)
}
