//! Why a request is sent where. [`explain`] asks the rules of a configuration about one request that nobody sent, for tools; the action
//! `explain` has the same told of a live one in the log ([`told`]).
//!
//! Holds: conditions, actions, the choice of backend and server are those of real traffic ([`crate::rules`], the scheduler). For a request
//! that nobody sent nothing is connected to, no line is logged, servers are taken as they start: up, without load.

mod show;
pub mod told;

use crate::client::{Client, ListenerKey};
use crate::health::Plan;
use crate::http::hash_key;
use crate::http::rules::{choose_backend, choose_server};
use crate::loggers::Loggers;
use crate::proxy::{Backend, Topology};
use crate::record::Record;
use crate::rules::{self, Stage, Step, replies};

use crate::timers::Timers;
use crate::worker::{Process, Worker};
use lb_balance::Pick;
use lb_config::{Config, HashKey, Rule, RuleSet, Span};
use lb_expr::sample::{Bytes, Side};
use lb_http::h1::{Decoded, Decoder};
use lb_http::{Head, h1};
use lb_rt::{Rt, Socket};
use lb_sys::Addr;
use std::cell::OnceCell;
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use told::Why;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// Head of the request as it goes over the wire.
    pub request: Vec<u8>,
    /// Who sends it.
    pub client: SocketAddr,
    /// Name of the frontend that it comes in by; `None`: the first one of mode http that listens.
    pub frontend: Option<String>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// No such frontend, or it does not listen, or it is in mode tcp.
    #[error("there is no frontend of mode http {0} that listens")]
    NoFrontend(String),
    /// The request's head does not parse.
    #[error("the request cannot be read: {0}; a client would be answered 400")]
    Request(String),
    /// The system refused something.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// One ACL of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its name, or the expression of one without a name.
    pub acl: String,
    /// `!` stands before it.
    pub negated: bool,
    /// Each of its lines: expression, and the value that it has.
    pub values: Vec<(String, Option<String>)>,
    /// What it says, without the `!`.
    pub matched: bool,
}

/// One rule that was come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// Where it stands.
    pub span: Span,
    /// As it was read.
    pub text: String,
    /// Those of its ACLs that were asked.
    pub asked: Vec<Asked>,
    /// Its condition holds.
    pub applies: bool,
    /// What it changed, or how it ended the request.
    pub effects: Vec<String>,
}

/// A server and whether it could be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub name: String,
    /// The scheduler takes it for this request.
    pub chosen: bool,
    /// Why it is taken, or why not.
    pub why: String,
}

/// What has chosen a backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Switch {
    /// It was chosen before anything was told.
    #[default]
    Unknown,
    /// It is the default one.
    Default,
    /// A `use_backend` line, or an old one that does the same.
    Line(Span),
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The frontend.
    pub frontend: String,
    /// All rules on the way, in the order in which they were asked.
    pub rules: Vec<Explained>,
    /// Rules on the way that are not told of: there were too many.
    pub more: usize,
    /// The backend; `None`: the request is answered before, or there is none.
    pub backend: Option<String>,
    /// What has chosen it.
    pub switch: Switch,
    /// Its servers.
    pub servers: Vec<Candidate>,
    /// Status and head of an answer of the proxy's own.
    pub answer: Option<String>,
    /// The request's head as it would go to the server, but for what options add; `None`: a live one, whose fields may be nobody's business.
    pub request: Option<String>,
}

/// Asks.
///
/// # Errors
/// See [`ExplainError`].
pub fn explain(config: &Config, question: &Question) -> Result<Explanation, ExplainError> {
    let mut quiet = config.clone();
    for proxy in &mut quiet.proxies {
        proxy.logs.clear();
        for server in &mut proxy.servers {
            server.check = None;
        }
    }
    quiet.global.logs.clear();
    quiet.rings.clear();
    let mut loggers = Loggers::new(&quiet);
    let topology = Topology::new(&quiet, &mut loggers, 1000);
    let name = question.frontend.clone().map_or("of any name".to_owned(), |name| format!("'{name}'"));
    let index = topology
        .frontends
        .iter()
        .position(|f| {
            let named = question.frontend.as_deref().is_none_or(|name| f.name() == name);
            named && !f.settings.binds.is_empty() && f.settings.mode == lb_config::Mode::Http
        })
        .ok_or(ExplainError::NoFrontend(name))?;
    let plan = Plan::new(&quiet, &topology, 1);
    let process = Process::new(&quiet, topology, 1000, plan, Box::new(|_, _| {}));
    let rt = Rt::new()?;
    let worker = Worker::new(rt.clone(), &process, 0);
    let (socket, _peer) = UnixStream::pair()?;
    socket.set_nonblocking(true)?;
    let socket = Socket::from_fd(&rt, socket.into());
    let frontend = &process.topology.frontends[index];
    let mut head = Head::new();
    let decoded = Decoder::new().decode_request(&question.request, &frontend.limits, &mut head);
    match decoded {
        Ok(Decoded::Complete { .. }) => {}
        Ok(Decoded::Partial) => return Err(ExplainError::Request("it has no end".into())),
        Err(error) => return Err(ExplainError::Request(error.to_string())),
    }
    let place = worker.place(ListenerKey { frontend: index, bind: 0, id: frontend.settings.binds[0].id });
    let local = frontend.settings.binds[0].addresses.first().and_then(crate::proxy::bind_addr);
    let local = local.map_or_else(OnceCell::new, OnceCell::from);
    let client = Rc::new(Client::new(place, Addr::Ip(question.client), rt.nanos(), local, [None, None, None]));
    let mut record = Record::new(client.clone(), Timers::new(client.accepted));
    record.begin();
    record.logged = true;
    record.line = question.request.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default().to_vec();
    record.explain(false);
    let way = Telling { client: &client, socket: &socket, record: &mut record, head: &mut head }.all(&process.topology);
    let mut answer = None;
    let backend = match way {
        Way::Answered => None,
        Way::Nowhere => {
            answer = Some("503: no backend".to_owned());
            None
        }
        Way::To(backend) => {
            choose(&backend, &mut record, &head, &client, &socket);
            Some(backend)
        }
    };
    let mut bytes = Vec::new();
    h1::Encoder::new().encode_request(&head, &mut bytes);
    let told = record.take_told().unwrap_or_default().explanation(frontend.name(), backend.as_ref().map(|b| b.name()));
    Ok(Explanation { answer: answer.or(told.answer), request: Some(String::from_utf8_lossy(&bytes).into_owned()), ..told })
}

enum Way {
    Answered,
    Nowhere,
    To(Arc<Backend>),
}

/// A request on its way.
struct Telling<'t> {
    client: &'t Rc<Client>,
    socket: &'t Socket,
    record: &'t mut Record,
    head: &'t mut Head,
}

impl Telling<'_> {
    fn stage(&mut self) -> Stage<'_> {
        Stage {
            record: Some(self.record),
            request: Some(self.head),
            body: Bytes { bytes: &[], whole: true, announced: None },
            ..Stage::new(self.client, self.socket, Side::Request)
        }
    }

    fn all(&mut self, topology: &Topology) -> Way {
        let frontend = self.client.frontend().clone();
        let rules = frontend.settings.rules.as_deref();
        for (set, list) in rules.iter().flat_map(|rules| rules.lists()) {
            let of_requests = || rules.is_some_and(|rules| rules.of_requests().iter().any(|of| std::ptr::eq(*of, list)));
            if (matches!(set, RuleSet::Connection | RuleSet::Session) || of_requests()) && !self.passes(list) {
                return Way::Answered;
            }
        }
        let backend = match rules {
            Some(rules) => choose_backend(rules, &mut self.stage(), &frontend, topology).cloned(),
            None => {
                self.record.told().into_iter().for_each(|told| told.switched(None));
                frontend.backend.clone()
            }
        };
        let Some(backend) = backend else { return Way::Nowhere };
        self.record.backend = Some(backend.clone());
        if let Some(rules) = backend.settings.rules.as_deref().filter(|_| frontend.order != backend.order)
            && !rules.of_requests().into_iter().all(|list| self.passes(list))
        {
            return Way::Answered;
        }
        Way::To(backend)
    }

    /// Goes through a list; false: a rule ends the request.
    fn passes(&mut self, list: &[Arc<Rule>]) -> bool {
        let mut at = 0;
        while at < list.len() {
            match rules::run(list, at, &mut self.stage()) {
                // As if what is waited for had come.
                Step::Wait(n) => at = n + 1,
                Step::End(n) => {
                    let frontend = self.client.frontend().clone();
                    let own = replies::made(list[n].action.last(), &self.stage(), [&frontend.errors]);
                    self.answered(own.as_ref().map(|own| &own.head));
                    return false;
                }
                step @ (Step::Failed | Step::Unreadable) => {
                    let frontend = self.client.frontend().clone();
                    let own = replies::page(if step == Step::Failed { 500 } else { 400 }, &self.stage(), [&frontend.errors]);
                    self.answered(Some(&own.head));
                    return false;
                }
                Step::Pass { .. } | Step::NeedMore(_) => return true,
            }
        }
        true
    }

    fn answered(&mut self, head: Option<&Head>) {
        if let Some(told) = self.record.told() {
            told.answered(head);
        }
    }
}

/// Which server would be taken.
fn choose(backend: &Arc<Backend>, record: &mut Record, head: &Head, client: &Rc<Client>, socket: &Socket) {
    let mut request = head.clone();
    let by_rule = backend.settings.rules.as_deref().and_then(|rules| {
        let mut stage = Stage { record: Some(&mut *record), request: Some(&mut request), ..Stage::new(client, socket, Side::Request) };
        choose_server(rules, &mut stage, backend)
    });
    let mut attempts = crate::admit::Attempts::new(record, backend);
    match backend.settings.balance.hash_key() {
        Some(HashKey::Expr(expr)) => {
            let stage = Stage { request: Some(&mut request), ..Stage::new(client, socket, Side::Request) };
            stage.hash_by(expr, &mut attempts);
        }
        Some(key) => attempts.hash_by(hash_key::of(head, key)),
        None => {}
    }
    let chosen = match (by_rule, attempts.peek(client.worker().rt.now())) {
        (Some(id), _) => Some((id, Why::Rule)),
        (None, Pick::Server(id)) => Some((id, Why::Scheduler)),
        (None, _) => None,
    };
    if let Some(told) = record.told() {
        told.served(backend, chosen);
    }
}
