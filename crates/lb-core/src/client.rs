//! A client's connection as all its streams see it: who it is, where it came in, what it counts against.

use crate::gate::Pass;
use crate::proxy::Frontend;
use crate::worker::Worker;
use lb_rt::Socket;
use lb_sys::{Addr, addr};
use std::cell::OnceCell;
use std::rc::Rc;
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

/// A client's connection.
pub struct Client {
    /// Where it came in.
    pub place: Rc<Place>,
    /// The client's address, by the PROXY protocol where that said so.
    pub peer: Addr,
    /// When it was accepted.
    pub accepted: Instant,
    /// When its handshakes (PROXY header) were done.
    pub ready: Instant,
    /// The address that the client connected to, found out when it is needed.
    pub local: OnceCell<Addr>,
    /// What it counts against: process, frontend, listener.
    pub passes: [Option<Pass>; 3],
}

impl Client {
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
