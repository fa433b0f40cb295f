//! What a server's state hangs on beside its own checks: errors in its traffic (`observe`), the server that it tracks and those that track
//! it, its agent. Part of server.rs; streams give [`note`] what they see, health/ acts on it.
//!
//! Holds: where `observe` is off a stream pays one comparison; a server that follows names its leader by place, so that nothing keeps
//! itself alive.

use crate::health::{errors_in_traffic, lock};
use crate::proxy::Backend;
use crate::server::Server;
use crate::worker::Worker;
use lb_balance::ServerId;
use lb_check::{Observe, Sign, Verdict};
use lb_rt::{Remote, Rt, TaskKey};
use std::collections::HashMap;
use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::Poll;
use std::time::{Duration, Instant};

/// A server somewhere in the topology.
pub(crate) type Place = (Weak<Backend>, ServerId);

/// See the module.
pub(crate) struct Watched {
    /// Which signs count; `None`: none.
    observe: Option<Observe>,
    /// Errors in a row.
    errors: AtomicU32,
    /// Times that there were too many (statistics: hanafail).
    pub overruns: AtomicU64,
    /// The next check is to come sooner.
    sooner: AtomicBool,
    /// The task that checks.
    watcher: OnceLock<(Remote, TaskKey)>,
    /// The server that it tracks.
    pub leader: OnceLock<Place>,
    /// Those that track it, in the order in which they hear of changes.
    pub followers: OnceLock<Box<[Place]>>,
    /// Its agent.
    pub agent: Option<AgentState>,
}

/// What has become of a server's agent.
pub(crate) struct AgentState {
    /// Where and how it is asked now.
    pub at: Mutex<AgentAt>,
    /// What it has said.
    pub history: Mutex<AgentHistory>,
}

/// Where an agent is, and what it is sent.
#[derive(Clone, Debug)]
pub(crate) struct AgentAt {
    /// `agent-addr`; `None`: the server's.
    pub address: Option<IpAddr>,
    pub port: u16,
    pub send: Arc<[u8]>,
}

/// What statistics tell of an agent.
#[derive(Debug, Default)]
pub(crate) struct AgentHistory {
    pub last: Option<Verdict>,
    /// It is asked right now.
    pub checking: bool,
}

impl Watched {
    pub fn new(settings: &lb_config::Server) -> Watched {
        let watching = settings.watching.as_deref();
        let agent = settings.agent().map(|agent| AgentState {
            at: Mutex::new(AgentAt { address: agent.address, port: agent.port, send: agent.send.as_slice().into() }),
            history: Mutex::default(),
        });
        Watched {
            // Manual 5.2: it takes checks.
            observe: watching.and_then(|watching| watching.observe).filter(|_| settings.check.is_some()),
            errors: AtomicU32::new(0),
            overruns: AtomicU64::new(0),
            sooner: AtomicBool::new(false),
            watcher: OnceLock::new(),
            leader: OnceLock::new(),
            followers: OnceLock::new(),
            agent,
        }
    }

    /// Whether its traffic counts for its health.
    #[inline]
    pub fn observes(&self) -> bool {
        self.observe.is_some()
    }

    /// A check has passed: errors before it are forgotten.
    pub fn forget_errors(&self) {
        if self.observe.is_some() {
            self.errors.store(0, Ordering::Relaxed);
        }
    }

    /// The task that checks this server, which may be asked to be quicker.
    pub fn watched_by(&self, remote: Remote, task: TaskKey) {
        let _ = self.watcher.set((remote, task));
    }

    /// The next check comes after `fastinter` at the latest.
    pub fn hasten(&self) {
        if let Some((remote, task)) = self.watcher.get()
            && !self.sooner.swap(true, Ordering::SeqCst)
        {
            remote.wake(*task);
        }
    }

    /// Waits for a check's time, at most `fastinter` when it is hastened meanwhile.
    pub async fn wait(&self, rt: &Rt, mut next: Instant, fastinter: Option<Duration>) {
        poll_fn(|_| {
            if self.sooner.swap(false, Ordering::SeqCst)
                && let Some(fastinter) = fastinter
            {
                next = next.min(rt.now() + fastinter);
            }
            match rt.now() >= next {
                true => Poll::Ready(()),
                false => rt.poll_deadline(Some(next)),
            }
        })
        .await;
    }
}

impl Server {
    /// The server that it tracks.
    pub(crate) fn leader(&self) -> Option<(Arc<Backend>, ServerId)> {
        let (backend, id) = self.watched.leader.get()?;
        Some((backend.upgrade()?, *id))
    }

    /// The server whose checks count for this one: at the end of the chain that it tracks, or itself.
    pub(crate) fn checked_by(self: &Arc<Server>) -> Arc<Server> {
        let mut server = self.clone();
        while let Some((backend, id)) = server.leader() {
            server = backend.server(id).clone();
        }
        server
    }
}

/// A stream has seen something of its server.
#[inline]
pub(crate) fn note(worker: &Worker, backend: &Arc<Backend>, server: &Server, sign: Sign) {
    if let Some(observe) = server.watched.observe {
        count(worker, backend, server, observe, sign);
    }
}

#[cold]
fn count(worker: &Worker, backend: &Arc<Backend>, server: &Server, observe: Observe, sign: Sign) {
    let watched = &server.watched;
    match observe.judge(sign) {
        None => {}
        // Read first: a healthy server's line is not written by each of its streams.
        Some(false) if watched.errors.load(Ordering::Relaxed) == 0 => {}
        Some(false) => watched.errors.store(0, Ordering::Relaxed),
        Some(true) => {
            let limit = server.settings.watching.as_ref().map_or(1, |watching| watching.error_limit);
            let errors = watched.errors.fetch_add(1, Ordering::Relaxed) + 1;
            // Who is beyond the limit has found it on the way to being reset.
            if errors == limit {
                watched.errors.store(0, Ordering::Relaxed);
                watched.overruns.fetch_add(1, Ordering::Relaxed);
                errors_in_traffic(&worker.process, worker.moment(), backend, server.id, errors, sign);
                watched.hasten();
            }
        }
    }
}

/// Servers that track each other, as a configuration has it.
pub(crate) fn link(backends: &[Option<Arc<Backend>>]) {
    let mut followers: HashMap<*const Server, (&Arc<Server>, Vec<Place>)> = HashMap::new();
    let all = backends.iter().flatten().flat_map(|backend| backend.servers().iter().map(move |server| (backend, server)));
    for (backend, server) in all {
        let Some((proxy, place)) = server.settings.track().and_then(|track| track.target) else { continue };
        let Some(leads) = backends.get(proxy.0 as usize).and_then(Option::as_ref) else { continue };
        let Some(leader) = leads.servers().get(place) else { continue };
        let _ = server.watched.leader.set((Arc::downgrade(leads), leader.id));
        let follower = (Arc::downgrade(backend), server.id);
        followers.entry(Arc::as_ptr(leader)).or_insert((leader, Vec::new())).1.push(follower);
    }
    for (leader, mut list) in followers.into_values() {
        // haproxy tells the last one first.
        list.reverse();
        let _ = leader.watched.followers.set(list.into());
    }
    // What a leader is at the start, those behind it are.
    let heads = backends.iter().flatten().flat_map(|b| b.servers()).filter(|s| s.watched.leader.get().is_none());
    for head in heads.filter(|s| s.watched.followers.get().is_some()) {
        begin(head);
    }
}

fn begin(leader: &Server) {
    for (backend, id) in leader.watched.followers.get().into_iter().flatten() {
        let Some(backend) = backend.upgrade() else { continue };
        let lead = lock(&leader.health).lead();
        let server = backend.server(*id);
        let state = {
            let mut health = lock(&server.health);
            health.begin_as(lead);
            crate::health::state_of(&health)
        };
        if state != server.state() {
            backend.set_state(*id, state);
        }
        begin(server);
    }
}
