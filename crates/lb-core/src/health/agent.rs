//! Asks the agents of servers (`agent-check`): one task for each, and what their lines do to share, limit and state. Manual 5.2.
//!
//! Holds: an agent is asked whether its server is in maintenance or not, since it may be the one to end that; with `disable agent` it is
//! not, and an answer on its way counts no more.

use super::conn::{self, Machine};
use super::{Checked, SHORTEST, effects, lock};
use crate::cli::{set_maxconn, set_weight};
use crate::proxy::Backend;
use crate::watched::AgentState;
use crate::worker::Worker;
use lb_balance::ServerId;
use lb_check::{Action, AgentCheck, AgentSpec, Event, Reply, Script};
use lb_config::{Agent, ServerAddress};
use lb_sys::Addr;
use lb_sys::socket::SockOpt;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One server whose agent is asked.
pub(super) struct Asked {
    checked: Checked,
    spec: AgentSpec,
    /// From the start of the process.
    pub first: Duration,
}

impl Machine for AgentCheck {
    fn handle(&mut self, now: Instant, event: Event<'_>, out: &mut Vec<Action>) {
        AgentCheck::handle(self, now, event, out);
    }

    fn deadline(&self) -> Option<Instant> {
        AgentCheck::deadline(self)
    }
}

impl Asked {
    pub fn new(backend: &Arc<Backend>, id: ServerId, agent: &Agent) -> Asked {
        let timeouts = &backend.settings.timeouts;
        let spec = AgentSpec {
            send: agent.send.as_slice().into(),
            inter: agent.inter,
            timeout_connect: timeouts.connect,
            timeout_check: timeouts.check,
        };
        Asked { checked: Checked::of_agent(backend, id, agent.inter), spec, first: Duration::ZERO }
    }

    pub fn interval(&self) -> Duration {
        self.spec.inter
    }
}

/// Where a server's agent is now.
pub(super) fn target(address: &ServerAddress, agent: &AgentState) -> Addr {
    let at = lock(&agent.at);
    let ip = at.address.unwrap_or(match address {
        ServerAddress::Ip { ip, .. } => *ip,
        // There is nobody at a port of a path.
        ServerAddress::Unix(_) | ServerAddress::Pair(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    });
    Addr::Ip((ip, at.port).into())
}

/// Asks one server's agent until the task is killed.
pub(super) async fn ask(worker: Rc<Worker>, asked: Arc<Asked>, spread: u32) {
    let rt = &worker.rt;
    let Asked { checked, spec, first } = &*asked;
    let server = checked.server();
    let Some(agent) = &server.watched.agent else { return };
    let mut check = AgentCheck::new(spec.clone().into());
    let mut next = rt.now() + *first;
    loop {
        rt.sleep_until(next).await;
        rt.progress();
        let is_enabled = || lock(&server.health).agent().is_some();
        if is_enabled() {
            let send = lock(&agent.at).send.clone();
            check.set_spec(Arc::new(AgentSpec { send, ..spec.clone() }));
            lock(&agent.history).checking = true;
            conn::run(rt, &mut check, checked, None).await;
            rt.progress();
            lock(&agent.history).checking = false;
            if let Some(reply) = check.reply().filter(|_| is_enabled()) {
                apply(&worker, &checked.backend, checked.id, reply);
            }
        }
        next = rt.now() + lb_check::spread_interval(spec.inter, spread, rt.random() as u32).max(SHORTEST);
    }
}

/// Does what an agent has said.
fn apply(worker: &Worker, backend: &Arc<Backend>, id: ServerId, reply: Reply) {
    let (process, moment) = (&worker.process, worker.moment());
    let (answer, took) = match reply {
        Reply::Line(answer, took) => (answer, took),
        Reply::Failed(verdict) => return effects::apply_agent(process, moment, backend, id, &verdict),
    };
    // In haproxy's order, which its lines show.
    if let Some(wish) = answer.admin {
        effects::operate(process, moment, backend, id, wish);
    }
    let mut warning = answer.weight.as_ref().and_then(|text| set_weight(process, moment, backend, id, text).err());
    if let Some(text) = &answer.maxconn {
        let refused = set_maxconn(backend, id, text).err();
        warning = warning.or(refused);
    }
    let warning = warning.as_ref().map(|message| message.1.trim_end());
    effects::apply_agent(process, moment, backend, id, &answer.verdict(warning, took));
}

impl Checked {
    /// The connection to an agent. It is the agent that speaks first, so nothing of the handshake may wait.
    fn of_agent(backend: &Arc<Backend>, id: ServerId, inter: Duration) -> Checked {
        let settings = lb_config::ServerCheck { inter, ..lb_config::ServerCheck::default() };
        let mut checked = Checked::new(backend, backend.server(id), &settings, &Arc::new(Script::connect()));
        checked.options.retain(|option| !matches!(option, SockOpt::QuickAck(false)));
        Checked { agent: true, ..checked }
    }
}
