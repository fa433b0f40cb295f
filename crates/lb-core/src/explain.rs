//! Why a request would be sent where: the rules of a configuration asked about one request that nobody sent, step by step. For tools.
//!
//! Holds: conditions, actions, the choice of backend and server are those of real traffic ([`crate::rules`], the scheduler); nothing is
//! connected to, no line is logged, servers are taken as they start: up, without load.

use crate::client::{Client, ListenerKey};
use crate::health::Plan;
use crate::http::hash_key;
use crate::http::rules::{choose_backend, choose_server};
use crate::loggers::Loggers;
use crate::proxy::{Backend, ServerState, Topology};
use crate::record::Record;
use crate::rules::{self, Stage, Step, replies};
use crate::timers::Timers;
use crate::worker::{Process, Worker};
use lb_balance::Pick;
use lb_config::{Action, Config, HashKey, Rule, RuleSet, Span};
use lb_expr::acl::{Condition, Verdict};
use lb_expr::sample::{Bytes, Cx, Side};
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

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The frontend.
    pub frontend: String,
    /// All rules on the way, in the order in which they were asked.
    pub rules: Vec<Explained>,
    /// The backend; `None`: the request is answered before, or there is none.
    pub backend: Option<String>,
    /// Its servers.
    pub servers: Vec<Candidate>,
    /// Status and head of an answer of the proxy's own.
    pub answer: Option<String>,
    /// The request's head as it would go to the server, but for what options add.
    pub request: String,
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
    let mut telling = Telling { client: &client, socket: &socket, record: &mut record, head: &mut head, told: Vec::new() };
    let answer = telling.all(&process.topology);
    let Telling { told, .. } = telling;
    let (backend, servers, answer) = match answer {
        Way::Answered(text) => (None, Vec::new(), Some(text)),
        Way::Nowhere => (None, Vec::new(), Some("503: no backend".to_owned())),
        Way::To(backend) => {
            let servers = candidates(&backend, &mut record, &head, &client, &socket);
            (Some(backend.name().to_owned()), servers, None)
        }
    };
    let mut bytes = Vec::new();
    h1::Encoder::new().encode_request(&head, &mut bytes);
    Ok(Explanation {
        frontend: frontend.name().to_owned(),
        rules: told,
        backend,
        servers,
        answer,
        request: String::from_utf8_lossy(&bytes).into_owned(),
    })
}

enum Way {
    Answered(String),
    Nowhere,
    To(Arc<Backend>),
}

/// A request on its way, and what has been told of it.
struct Telling<'t> {
    client: &'t Rc<Client>,
    socket: &'t Socket,
    record: &'t mut Record,
    head: &'t mut Head,
    told: Vec<Explained>,
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
        if let Some(rules) = frontend.settings.rules.as_deref() {
            for (set, list) in rules.lists() {
                let early =
                    matches!(set, RuleSet::Connection | RuleSet::Session) || rules.of_requests().iter().any(|of| std::ptr::eq(*of, list));
                if early && let Some(answer) = self.list(list) {
                    return Way::Answered(answer);
                }
            }
            // What 'reqsetbe' has chosen leaves these out.
            let free = self.record.rules().line_backend.is_none();
            for rule in rules.use_backend.iter().filter(|_| free) {
                let (asked, applies) = self.condition(rule.condition.as_ref());
                self.told.push(Explained { span: rule.span, text: shown(&rule.text), asked, applies, effects: Vec::new() });
                if applies {
                    break;
                }
            }
        }
        let backend = match frontend.settings.rules.as_deref() {
            Some(rules) => choose_backend(rules, &self.stage(), &frontend, topology).cloned(),
            None => frontend.backend.clone(),
        };
        let Some(backend) = backend else { return Way::Nowhere };
        self.record.backend = Some(backend.clone());
        if let Some(rules) = backend.settings.rules.as_deref() {
            if frontend.order != backend.order {
                for list in rules.of_requests() {
                    if let Some(answer) = self.list(list) {
                        return Way::Answered(answer);
                    }
                }
            }
            for rule in &rules.use_server {
                let (asked, applies) = self.condition(rule.condition.as_ref());
                self.told.push(Explained { span: rule.span, text: shown(&rule.text), asked, applies, effects: Vec::new() });
            }
        }
        Way::To(backend)
    }

    /// Goes through a list; the answer, when a rule ends the request.
    fn list(&mut self, list: &[Arc<Rule>]) -> Option<String> {
        for n in 0..list.len() {
            let rule = &list[n];
            let (asked, applies) = self.condition(rule.condition.as_ref());
            let mut explained = Explained { span: rule.span, text: shown(&rule.text), asked, applies, effects: Vec::new() };
            if !applies {
                self.told.push(explained);
                continue;
            }
            let before = self.head.clone();
            let step = rules::run(&list[n..=n], 0, &mut self.stage());
            explained.effects = changes(&before, self.head);
            let ended = match step {
                Step::Pass { allowed: true } => {
                    explained.effects.push("the rest of these rules is not asked".into());
                    self.told.push(explained);
                    return None;
                }
                Step::End(_) => Some(self.answer(rule.action.last())),
                Step::Failed => Some("500: an edit failed".to_owned()),
                Step::Unreadable => Some("400: the request cannot be read any more".to_owned()),
                Step::Wait(_) => {
                    explained.effects.push("waits".into());
                    None
                }
                _ => None,
            };
            if let Some(answer) = &ended {
                explained.effects.push(format!("answers {}", answer.lines().next().unwrap_or_default()));
            }
            self.told.push(explained);
            if ended.is_some() {
                return ended;
            }
        }
        None
    }

    fn answer(&mut self, action: &Action) -> String {
        let frontend = self.client.frontend().clone();
        let stage = self.stage();
        match replies::made(action, &stage, [&frontend.errors]) {
            Some(own) => {
                let mut out = Vec::new();
                h1::Encoder::new().encode_response(&own.head, &mut out);
                String::from_utf8_lossy(&out).trim_end().to_owned()
            }
            None => "nothing: the connection is closed".to_owned(),
        }
    }

    fn condition(&mut self, condition: Option<&Condition>) -> (Vec<Asked>, bool) {
        let Some(condition) = condition else { return (Vec::new(), true) };
        let stage = self.stage();
        let scratch = stage.client.worker().scratches.lend();
        let view = stage.view();
        let cx = Cx { source: &view, scratch: &scratch, side: Side::Request, last: true };
        let mut asked = Vec::new();
        let verdict = condition.decide(|term| {
            let verdict = term.eval(cx);
            let values = term.acl().lines().map(|line| {
                let value = line.expr().eval(cx).value();
                let text = value.map(|value| String::from_utf8_lossy(value.to_text(&scratch)).into_owned());
                (line.expr().text().to_owned(), text)
            });
            let values: Vec<_> = values.collect();
            let name = term.acl().name().map(str::to_owned);
            let name = name.unwrap_or_else(|| values.first().map(|(text, _)| format!("{{ {text} }}")).unwrap_or_default());
            let matched = (verdict == Verdict::Pass) != term.negated();
            asked.push(Asked { acl: name, negated: term.negated(), values, matched });
            verdict
        });
        (asked, verdict == Verdict::Pass)
    }
}

/// A rule's words as one reads them.
fn shown(text: &str) -> String {
    let one = |c: char| match c {
        '\u{1f}' => " ".to_owned(),
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    };
    text.chars().map(one).collect()
}

/// What an edit has done to a head.
fn changes(before: &Head, after: &Head) -> Vec<String> {
    let mut list = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if before.method_bytes() != after.method_bytes() {
        list.push(format!("method {} -> {}", text(before.method_bytes()), text(after.method_bytes())));
    }
    if before.target() != after.target() {
        list.push(format!("target {} -> {}", text(before.target()), text(after.target())));
    }
    let lines =
        |head: &Head| head.fields().map(|f| format!("{}: {}", text(f.name).to_ascii_lowercase(), text(f.value))).collect::<Vec<_>>();
    let (old, mut new) = (lines(before), lines(after));
    for line in old {
        match new.iter().position(|known| *known == line) {
            Some(at) => drop(new.remove(at)),
            None => list.push(format!("- {line}")),
        }
    }
    list.extend(new.into_iter().map(|line| format!("+ {line}")));
    list
}

/// The servers of a backend, and which one is taken.
fn candidates(backend: &Arc<Backend>, record: &mut Record, head: &Head, client: &Rc<Client>, socket: &Socket) -> Vec<Candidate> {
    let mut request = head.clone();
    let by_rule = backend.settings.rules.as_deref().and_then(|rules| {
        let stage = Stage { record: Some(record), request: Some(&mut request), ..Stage::new(client, socket, Side::Request) };
        choose_server(rules, &stage, backend)
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
    let chosen = match by_rule {
        Some(id) => Some(id),
        None => match attempts.peek(client.worker().rt.now()) {
            Pick::Server(id) => Some(id),
            _ => None,
        },
    };
    let (active, _) = backend.usable();
    let list = backend.servers().iter().filter(|server| !server.implicit).map(|server| {
        let weight = server.weight.load(std::sync::atomic::Ordering::Relaxed);
        let is_chosen = chosen == Some(server.id);
        let why = match server.state() {
            _ if is_chosen && by_rule.is_some() => "a 'use-server' rule names it".to_owned(),
            _ if is_chosen => format!("'balance {}' takes it", crate::stats::rows::algorithm(&backend.settings.balance)),
            ServerState::Maintenance => "it is disabled".to_owned(),
            ServerState::Down => "it is down".to_owned(),
            ServerState::Drain => "it takes no new clients".to_owned(),
            ServerState::Up if weight == 0 => "its weight is 0".to_owned(),
            ServerState::Up if server.settings.backup && active != 0 => "it is a backup, and others are there".to_owned(),
            ServerState::Up => "another one is taken".to_owned(),
        };
        Candidate { name: server.name().to_owned(), chosen: is_chosen, why }
    });
    list.collect()
}
