//! One check of one server: a script of steps over one connection or several.
//!
//! Driven by whoever owns the socket: it passes on what happens as [`Event`]s, does the [`Action`]s, and delivers
//! [`Event::Timeout`] at [`Check::deadline`]. Holds: each run ends with one `Done`, with `Close` before it when there was a connection;
//! events that come after the end of a run are ignored; at most [`crate::MAX_ANSWER`] bytes are kept, and none
//! between runs.

use crate::expect::{self, Judge, Outcome};
use crate::protocols::client_hello;
use crate::response::{self, Answer, MAX_ANSWER, MAX_HEAD};
use crate::script::{CheckPort, Connect, Expect, Kind, Match, Message, Rule, Script, Step, Text, Tls};
use crate::status::{Status, SystemError, Verdict};
use crate::world::{Spoken, Variables, View, World};
use bumpalo::Bump;
use lb_expr::sample::{Bytes, Context};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So many bytes of a head are looked at even before a line is complete.
const FIRST_LOOK: usize = 64;

/// Most bytes of the info of a verdict.
const MAX_INFO: usize = 127;

/// What happened.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// It is time for a check. Ignored while one runs.
    Start,
    /// The connection is made.
    Connected,
    /// The connection was tried and failed (SO_ERROR after connect).
    ConnectFailed(SystemError),
    /// The connection could not even be tried: socket(2) or connect(2) itself failed.
    CannotConnect(SystemError),
    /// The source address could not be taken (bind(2) failed).
    CannotBind(SystemError),
    /// All that was to be sent is sent.
    Sent,
    /// Bytes from the server.
    Data(&'a [u8]),
    /// The server has closed its side.
    Eof,
    /// Reading or writing failed, most often with ECONNRESET.
    Failed(SystemError),
    /// [`Check::deadline`] has come.
    Timeout,
}

/// What to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Connect there; [`Event::Connected`] when it stands, PROXY header and SOCKS4 included.
    Connect(Destination),
    /// Send all of this; [`Event::Sent`] when it is done.
    Send(Arc<[u8]>),
    /// Close the connection. A connection that is still being made is given up.
    Close {
        /// In order; else at once with a reset (SO_LINGER 0), as HAProxy does, so that a check leaves no TIME_WAIT behind.
        cleanly: bool,
    },
    /// The check has ended. The next one is [`Event::Start`], after [`crate::Health::interval`].
    Done(Verdict),
}

/// Where a check connects to, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Destination {
    /// With what the server's own words say of checks: `check-send-proxy`, `check-via-socks4`, `check-ssl`.
    pub own: bool,
    /// `None`: where the server is checked.
    pub address: Option<IpAddr>,
    /// `None`: where the server is checked.
    pub port: Option<u16>,
    /// A PROXY header comes first.
    pub send_proxy: bool,
    /// Through the server's SOCKS4 proxy.
    pub socks4: bool,
    /// With TLS.
    pub tls: Option<Tls>,
    /// The server is expected to speak first: it has to be told soon that the connection stands.
    pub speaks_first: bool,
}

/// What is checked and how long it may take; shared by all servers of a backend that are checked alike.
#[derive(Debug, Clone)]
pub struct CheckSpec {
    /// The steps.
    pub script: Arc<Script>,
    /// `inter`: how long a whole check may take where `timeout check` does not say otherwise.
    pub inter: Duration,
    /// `timeout connect` of the backend. Counts only together with `timeout check`.
    pub timeout_connect: Option<Duration>,
    /// `timeout check`: how long the answer may take once connected. Less than what is left of the time for the connection has no
    /// effect, as with HAProxy.
    pub timeout_check: Option<Duration>,
}

impl CheckSpec {
    /// This script within `inter`, without the other timeouts.
    pub fn new(script: impl Into<Arc<Script>>, inter: Duration) -> CheckSpec {
        CheckSpec { script: script.into(), inter, timeout_connect: None, timeout_check: None }
    }

    /// Without `timeout check`, `inter` is the time for a connection and what is said over it.
    fn time_to_connect(&self) -> Duration {
        match (self.timeout_check, self.timeout_connect) {
            (Some(_), Some(connect)) => connect.min(self.inter),
            _ => self.inter,
        }
    }
}

/// The check of one server.
#[derive(Debug)]
pub struct Check {
    spec: Arc<CheckSpec>,
    run: Option<Run>,
}

#[derive(Debug)]
struct Run {
    started: Instant,
    deadline: Instant,
    /// Since when the last connection has stood.
    connected: Option<Instant>,
    stage: Stage,
    /// The connection, or the beginning of one, is to be closed: cleanly or not.
    open: Option<bool>,
    /// The next step, or the one that is under way.
    step: usize,
    received: Vec<u8>,
    /// The server has closed its side.
    eof: bool,
    /// The last request was HEAD.
    to_head: bool,
    variables: Variables,
    /// What a protocol said of the server.
    info: Option<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connecting,
    Sending,
    Standing,
}

/// How a run ends.
struct End {
    status: Status,
    code: u32,
    info: Vec<u8>,
}

impl End {
    fn with(status: Status, info: impl Into<Vec<u8>>) -> End {
        End { status, code: 0, info: info.into() }
    }

    fn verdict(mut self, duration: Duration) -> Verdict {
        let end = self.info.iter().position(|b| *b == 0).unwrap_or(self.info.len());
        self.info.truncate(end.min(MAX_INFO));
        let has_code = matches!(self.status, Status::L7Ok | Status::L7OkC | Status::L7Sts);
        Verdict { status: self.status, code: has_code.then_some(self.code), info: self.info.into(), duration }
    }
}

impl Check {
    /// A check that waits for its first [`Event::Start`].
    pub fn new(spec: Arc<CheckSpec>) -> Check {
        Check { spec, run: None }
    }

    /// Whether a check is under way (statistics then show its last status behind `* `).
    pub fn is_running(&self) -> bool {
        self.run.is_some()
    }

    /// When to deliver [`Event::Timeout`]. Changes with every event.
    pub fn deadline(&self) -> Option<Instant> {
        self.run.as_ref().map(|run| run.deadline)
    }

    /// What happened, and what to do about it, appended to `out`.
    pub fn handle(&mut self, now: Instant, event: Event<'_>, world: &dyn World, out: &mut Vec<Action>) {
        let end = match (&mut self.run, event) {
            (None, Event::Start) => {
                let run = self.run.insert(Run::start(now, &self.spec));
                run.advance(now, &self.spec, world, out)
            }
            (None, _) => return,
            (Some(run), event) => run.handle(now, event, &self.spec, world, out),
        };
        let Some(end) = end else { return };
        let Some(run) = self.run.take() else { return };
        if let Some(cleanly) = run.open {
            out.push(Action::Close { cleanly });
        }
        out.push(Action::Done(end.verdict(now.saturating_duration_since(run.started))));
    }

    /// Ends a check that runs, without a verdict: the server goes into maintenance, or its checks are stopped.
    pub fn abort(&mut self, out: &mut Vec<Action>) {
        if let Some(cleanly) = self.run.take().and_then(|run| run.open) {
            out.push(Action::Close { cleanly });
        }
    }
}

impl Run {
    fn start(now: Instant, spec: &CheckSpec) -> Run {
        Run {
            started: now,
            deadline: now + spec.time_to_connect(),
            connected: None,
            stage: Stage::Standing,
            open: None,
            step: 0,
            received: Vec::new(),
            eof: false,
            to_head: false,
            variables: Variables::default(),
            info: None,
        }
    }

    fn handle(&mut self, now: Instant, event: Event<'_>, spec: &CheckSpec, world: &dyn World, out: &mut Vec<Action>) -> Option<End> {
        let script = &*spec.script;
        match event {
            Event::Start => None,
            Event::Connected if self.stage == Stage::Connecting => {
                self.stage = Stage::Standing;
                self.connected = Some(now);
                if let Some(time) = spec.timeout_check {
                    self.deadline = self.deadline.max(now + time);
                }
                self.step += 1;
                self.advance(now, spec, world, out)
            }
            Event::Sent if self.stage == Stage::Sending => {
                self.stage = Stage::Standing;
                self.step += 1;
                self.advance(now, spec, world, out)
            }
            Event::Connected | Event::Sent => None,
            Event::ConnectFailed(error) => {
                self.open = None;
                Some(self.broken(script, Status::L4Con, error.to_string()))
            }
            Event::CannotConnect(error) => {
                self.open = None;
                let (status, text) = cannot_connect(error);
                Some(self.broken(script, status, text))
            }
            Event::CannotBind(error) => {
                self.open = None;
                Some(self.broken(script, Status::L4Con, format!("Can't bind to source address ({error})")))
            }
            Event::Data(_) if self.stage == Stage::Connecting => None,
            Event::Data(bytes) => {
                let room = MAX_ANSWER - self.received.len();
                self.received.extend_from_slice(&bytes[..bytes.len().min(room)]);
                // A server that sends its head byte by byte must not have it read anew for each: inside a line nothing is decided,
                // but a first line can show early that this is no HTTP.
                let inside = !bytes.iter().any(|b| matches!(b, b'\n' | b'\r'));
                if script.kind == Kind::Http
                    && inside
                    && self.received.len() > FIRST_LOOK
                    && self.received.len() < MAX_HEAD
                    && !self.has_head()
                {
                    return None;
                }
                self.look(now, spec, world, out)
            }
            Event::Eof => {
                self.eof = true;
                self.look(now, spec, world, out)
            }
            Event::Failed(error) => {
                // What came before a reset is an answer, but none of HTTP (observed).
                if script.kind != Kind::Http && self.stage == Stage::Standing && !self.received.is_empty() {
                    self.eof = true;
                    if let Some(end) = self.look(now, spec, world, out) {
                        return Some(end);
                    }
                }
                Some(self.broken(script, Status::SockErr, error.to_string()))
            }
            Event::Timeout if now < self.deadline => None,
            Event::Timeout if self.stage == Stage::Connecting => Some(self.broken(script, Status::L4Tout, "")),
            Event::Timeout => {
                let status = match script.steps.get(self.step).map(|step| &step.rule) {
                    Some(Rule::Expect(expect)) => expect.timeout,
                    _ => Status::L7Tout,
                };
                Some(self.broken(script, status, ""))
            }
        }
    }

    /// An empty line ends a head.
    fn has_head(&self) -> bool {
        memchr::memmem::find(&self.received, b"\n\r\n").is_some() || memchr::memmem::find(&self.received, b"\n\n").is_some()
    }

    /// Goes on with the step that waits for an answer.
    fn look(&mut self, now: Instant, spec: &CheckSpec, world: &dyn World, out: &mut Vec<Action>) -> Option<End> {
        if self.stage != Stage::Standing {
            return None;
        }
        self.advance(now, spec, world, out)
    }

    /// Does the steps that can be done now.
    fn advance(&mut self, now: Instant, spec: &CheckSpec, world: &dyn World, out: &mut Vec<Action>) -> Option<End> {
        let script = &*spec.script;
        loop {
            let Some(step) = script.steps.get(self.step) else { return Some(self.passed(script, world)) };
            match &step.rule {
                Rule::Connect(connect) => {
                    // One that follows another closes that: of HTTP in order, since both sides have said that they would.
                    if let Some(cleanly) = self.open {
                        out.push(Action::Close { cleanly: cleanly || script.kind == Kind::Http });
                    }
                    // Seen from haproxy: a connection that follows another one begins its own time, but not when the answer over that
                    // one has taken all of `timeout check`.
                    if spec.timeout_check.zip(self.connected).is_some_and(|(time, since)| since + time <= now) {
                        self.open = None;
                        return Some(self.broken(script, Status::L7Tout, ""));
                    }
                    let speaks_first = matches!(
                        script.steps[self.step + 1..].iter().find(|step| step.rule.acts()),
                        Some(Step { rule: Rule::Expect(_), .. })
                    );
                    self.connect(connect, speaks_first, world, out);
                    self.deadline = now + spec.time_to_connect();
                    return None;
                }
                Rule::Send(send) => {
                    let message = match self.message(&send.what, script, world) {
                        Some(message) => message,
                        None => {
                            let text = format!("tcp-check send : failed to build log-format string at step {}", step.number);
                            return Some(End::with(Status::L7Rsp, text));
                        }
                    };
                    self.received.clear();
                    if !message.is_empty() {
                        self.stage = Stage::Sending;
                        out.push(Action::Send(message));
                        return None;
                    }
                }
                Rule::Expect(expect) => match self.judge(step, expect, script, world) {
                    Outcome::Wait => return None,
                    Outcome::Passed { info, .. } => self.info = info.or(self.info.take()),
                    Outcome::Failed { status, code, info } => return Some(End { status, code, info }),
                },
                Rule::SetVar(set) => {
                    let answer = self.answer(script);
                    let head = answer.as_ref().map(response::Found::head);
                    let view = self.view(world, answer.as_ref(), head.as_ref());
                    let scratch = Bump::new();
                    set.apply(&Spoken { view: &view, scratch: &scratch }, view.cx(&scratch));
                }
                Rule::UnsetVar(variable) => {
                    self.view(world, None, None).set_variable(*variable, None);
                }
                Rule::Comment(_) => {}
            }
            self.step += 1;
        }
    }

    fn connect(&mut self, connect: &Connect, speaks_first: bool, world: &dyn World, out: &mut Vec<Action>) {
        let port = match &connect.port {
            None => None,
            Some(CheckPort::Number(port)) => Some(*port),
            // As a C program makes a port of it; 0 is none.
            Some(CheckPort::Expr(expr)) => self.view(world, None, None).number(expr).map(|port| port as u16).filter(|port| *port != 0),
        };
        out.push(Action::Connect(Destination {
            own: connect.own,
            address: connect.address,
            port,
            send_proxy: connect.send_proxy,
            socks4: connect.socks4,
            tls: connect.tls.clone(),
            speaks_first,
        }));
        self.open = Some(connect.linger);
        self.stage = Stage::Connecting;
        self.received.clear();
        self.eof = false;
    }

    /// `None`: digits that are none.
    fn message(&mut self, what: &Message, script: &Script, world: &dyn World) -> Option<Arc<[u8]>> {
        let view = self.view(world, None, None);
        let message = match what {
            Message::Bytes(Text::Plain(bytes)) => bytes.clone(),
            Message::Bytes(Text::Format(format)) => view.text(format).into(),
            Message::Hex(format) => match view.text(format) {
                digits if digits.is_empty() => Arc::default(),
                digits => expect::from_hex(&digits)?.into(),
            },
            Message::Http(request) => {
                let bytes = request.write(&view, script.send_state);
                self.to_head = request.is_head();
                bytes.into()
            }
            Message::ClientHello => client_hello(world.now().unix_secs).into(),
        };
        Some(message)
    }

    /// The answer of HTTP that is here.
    fn answer(&self, script: &Script) -> Option<response::Found<'_>> {
        if script.kind != Kind::Http {
            return None;
        }
        match response::read(&self.received, self.to_head) {
            Answer::Head(found) => Some(found),
            Answer::Partial | Answer::Invalid => None,
        }
    }

    fn is_last(&self) -> bool {
        self.eof || self.received.len() == MAX_ANSWER
    }

    fn view<'a>(&'a self, world: &'a dyn World, answer: Option<&'a response::Found<'_>>, head: Option<&'a lb_http::Head>) -> View<'a> {
        let whole = self.is_last();
        let body = answer.map_or(Bytes::default(), |answer| Bytes { bytes: &answer.body, whole: answer.whole || whole, announced: None });
        let buffer = Bytes { bytes: &self.received, whole, announced: None };
        View { world, variables: &self.variables, head, body, buffer }
    }

    fn judge(&mut self, step: &Step, expect: &Expect, script: &Script, world: &dyn World) -> Outcome {
        let last = self.is_last();
        if script.kind != Kind::Http {
            let view = self.view(world, None, None);
            return Judge { kind: script.kind, step, expect, view, last }.bytes(&self.received);
        }
        // Empty lines before the status line say nothing. Dropping them keeps the work on a server that sends one at a time small.
        let mut blank = 0;
        while let [b'\n', ..] | [b'\r', b'\n', ..] = self.received[blank..] {
            blank += if self.received[blank] == b'\n' { 1 } else { 2 };
        }
        self.received.drain(..blank);
        let answer = match response::read(&self.received, self.to_head) {
            Answer::Head(answer) => answer,
            Answer::Partial if !last => return Outcome::Wait,
            Answer::Partial | Answer::Invalid => {
                let view = self.view(world, None, None);
                return Judge { kind: script.kind, step, expect, view, last }.no_http();
            }
        };
        if self.is_gone(script, world, answer.status) {
            return Outcome::Passed { code: answer.status, info: None };
        }
        let head = answer.head();
        let view = self.view(world, Some(&answer), Some(&head));
        Judge { kind: script.kind, step, expect, view, last }.http(&answer)
    }

    /// `disable-on-404`: that answer is one of a server that wants no new work, whatever is expected.
    fn is_gone(&self, script: &Script, world: &dyn World, status: u32) -> bool {
        script.disable_on_404 && status == 404 && world.is_up()
    }

    /// All steps are done.
    fn passed(&mut self, script: &Script, world: &dyn World) -> End {
        let done = || if script.kind == Kind::Tcp { b"(tcp-check)".to_vec() } else { Vec::new() };
        let Some(step) = script.last() else { return End::with(Status::L4Ok, "") };
        match &step.rule {
            Rule::Expect(expect) => {
                let answer = self.answer(script);
                let head = answer.as_ref().map(response::Found::head);
                let status = answer.as_ref().map_or(0, |answer| answer.status);
                let view = self.view(world, answer.as_ref(), head.as_ref());
                if answer.is_some() && self.is_gone(script, world, status) {
                    return End { status: Status::L7OkC, code: status, info: Vec::new() };
                }
                let judge = Judge { kind: script.kind, step, expect, view, last: true };
                // A protocol has looked already; what it says the second time is the same.
                let code = match &expect.what {
                    Match::Protocol(_) => match judge.bytes(&self.received) {
                        Outcome::Passed { code, .. } => code,
                        _ => 0,
                    },
                    _ => status,
                };
                let info = expect::said(expect.on_success.as_ref(), &view).or_else(|| self.info.clone()).unwrap_or_else(done);
                End { status: expect.ok, code: judge.code(code), info }
            }
            Rule::Connect(connect) if connect.implied => End::with(Status::L4Ok, ""),
            Rule::Connect(_) => End::with(Status::L4Ok, done()),
            _ => End::with(Status::L7Ok, done()),
        }
    }

    /// It broke off here: scripts of `tcp-check` say where that is.
    fn broken(&self, script: &Script, status: Status, text: impl Into<Vec<u8>>) -> End {
        let mut info = text.into();
        let step = script.steps.get(self.step).filter(|_| script.kind == Kind::Tcp);
        if let Some(step) = step {
            info.extend_from_slice(&place(step));
        }
        End::with(status, info)
    }
}

/// ` at step 2 of tcp-check (connect port 80) comment: 'x'`
fn place(step: &Step) -> Vec<u8> {
    if step.number == 0 {
        return b" at initial connection step of tcp-check".to_vec();
    }
    let mut text = format!(" at step {} of tcp-check (", step.number).into_bytes();
    match &step.rule {
        Rule::Connect(Connect { port: Some(CheckPort::Number(port)), .. }) => {
            text.extend_from_slice(format!("connect port {port}").as_bytes())
        }
        Rule::Connect(_) => text.extend_from_slice(b"connect"),
        Rule::Expect(expect) => text.extend_from_slice(&expect::name_of(&expect.what)),
        _ => text.extend_from_slice(b"send"),
    }
    text.push(b')');
    if let Some(comment) = &step.comment {
        text.extend_from_slice(format!(" comment: '{comment}'").as_bytes());
    }
    text
}

/// No way to the network is a connection problem, anything else an error of our own socket (HAProxy's distinction).
fn cannot_connect(error: SystemError) -> (Status, String) {
    const EAGAIN: i32 = 11;
    const EADDRINUSE: i32 = 98;
    const EADDRNOTAVAIL: i32 = 99;
    const ENETUNREACH: i32 = 101;
    const ETIMEDOUT: i32 = 110;
    const ECONNREFUSED: i32 = 111;
    const EHOSTUNREACH: i32 = 113;
    match error.0 {
        // A refusal can come so fast (loopback) that connect(2) itself reports it.
        ECONNREFUSED => (Status::L4Con, error.to_string()),
        ENETUNREACH | EHOSTUNREACH | ETIMEDOUT => (Status::L4Con, format!("General socket error ({error})")),
        // A UNIX listener whose queue is full says EAGAIN; HAProxy has these words for that, too.
        EAGAIN | EADDRINUSE | EADDRNOTAVAIL => (Status::SockErr, "Out of local source ports on the system".into()),
        _ => (Status::SockErr, format!("General socket error ({error})")),
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;
    use crate::http::HttpRequest;
    use crate::world::NoWorld;

    const MS: Duration = Duration::from_millis(1);

    fn http_spec() -> CheckSpec {
        let request = HttpRequest::parse("OPTIONS", "/", "HTTP/1.0").expect("valid");
        CheckSpec::new(Script::http(request), 300 * MS)
    }

    /// Runs events at milliseconds since the start, and returns all that came out.
    fn run(spec: CheckSpec, events: &[(u32, Event<'_>)]) -> Vec<Action> {
        let start = Instant::now();
        let mut check = Check::new(spec.into());
        let mut out = Vec::new();
        check.handle(start, Event::Start, &NoWorld, &mut out);
        for &(at, event) in events {
            check.handle(start + at * MS, event, &NoWorld, &mut out);
        }
        assert_eq!(check.is_running(), !out.iter().any(|a| matches!(a, Action::Done(_))));
        out
    }

    fn server() -> Destination {
        Destination { own: true, ..Destination::default() }
    }

    fn verdict(spec: CheckSpec, events: &[(u32, Event<'_>)]) -> (Status, Option<u32>, String, u128) {
        let out = run(spec, events);
        let Some(Action::Done(v)) = out.last() else { panic!("{out:?}") };
        (v.status, v.code, String::from_utf8_lossy(&v.info).into_owned(), v.duration.as_millis())
    }

    #[test]
    fn layer4() {
        let spec = || CheckSpec::new(Script::connect(), 300 * MS);
        assert_eq!(verdict(spec(), &[(3, Event::Connected)]), (Status::L4Ok, None, "".into(), 3));
        assert_eq!(run(spec(), &[(3, Event::Connected)])[..2], [Action::Connect(server()), Action::Close { cleanly: false }]);
        let refused = Event::ConnectFailed(SystemError(111));
        assert_eq!(verdict(spec(), &[(0, refused)]), (Status::L4Con, None, "Connection refused".into(), 0));
        assert_eq!(run(spec(), &[(0, refused)]).len(), 2, "nothing to close");
        assert_eq!(verdict(spec(), &[(301, Event::Timeout)]), (Status::L4Tout, None, "".into(), 301));
        assert_eq!(run(spec(), &[(200, Event::Timeout)]).len(), 1, "not yet");
        for (error, status, info) in [
            (2, Status::SockErr, "General socket error (No such file or directory)"),
            (101, Status::L4Con, "General socket error (Network is unreachable)"),
            (11, Status::SockErr, "Out of local source ports on the system"),
            (111, Status::L4Con, "Connection refused"),
        ] {
            assert_eq!(verdict(spec(), &[(0, Event::CannotConnect(SystemError(error)))]), (status, None, info.into(), 0));
        }
        let info = "Can't bind to source address (Cannot assign requested address)";
        assert_eq!(verdict(spec(), &[(0, Event::CannotBind(SystemError(99)))]), (Status::L4Con, None, info.into(), 0));
    }

    #[test]
    fn http() {
        let connected = (0, Event::Connected);
        let flushed = (0, Event::Sent);
        let ok = (5, Event::Data(b"HTTP/1.0 200 OK\r\n\r\n"));
        let out = run(http_spec(), &[connected, flushed, ok, (6, Event::Eof), (7, Event::Timeout)]);
        let sent = Action::Send(b"OPTIONS / HTTP/1.0\r\n\r\n"[..].into());
        let done = Verdict { status: Status::L7Ok, code: Some(200), info: Box::default(), duration: 5 * MS };
        assert_eq!(out, [Action::Connect(server()), sent, Action::Close { cleanly: false }, Action::Done(done)]);
        let oops = [connected, flushed, (1, Event::Data(b"HTTP/1.0 50")), (2, Event::Data(b"0 Oops\r\n\r\n"))];
        assert_eq!(verdict(http_spec(), &oops), (Status::L7Sts, Some(500), "Oops".into(), 2));
        assert_eq!(verdict(http_spec(), &[connected, flushed, (1, Event::Eof)]), (Status::L7Rsp, None, "".into(), 1));
        let cut = [connected, flushed, (1, Event::Data(b"HTTP/1.0 200 OK\r\n")), (2, Event::Eof)];
        assert_eq!(verdict(http_spec(), &cut), (Status::L7Rsp, None, "".into(), 2));
        let reset = [connected, flushed, (1, Event::Data(b"HTTP")), (2, Event::Failed(SystemError(104)))];
        assert_eq!(verdict(http_spec(), &reset), (Status::SockErr, None, "Connection reset by peer".into(), 2));
        assert_eq!(verdict(http_spec(), &[connected, flushed, (301, Event::Timeout)]), (Status::L7Tout, None, "".into(), 301));
    }

    #[test]
    fn timeouts_as_seen_from_haproxy() {
        // inter, timeout connect, timeout check, connected after, expires after (milliseconds)
        for (inter, connect, check, connected, expires) in [
            (300, None, None, Some(10), 300),
            (300, Some(50), Some(100), None, 50),
            (300, Some(2_000), Some(100), Some(0), 300),
            (300, Some(2_000), Some(500), Some(0), 500),
            (300, Some(2_000), None, None, 300),
        ] {
            let ms = |n: u32| n * MS;
            let spec = CheckSpec { inter: ms(inter), timeout_connect: connect.map(ms), timeout_check: check.map(ms), ..http_spec() };
            let start = Instant::now();
            let mut machine = Check::new(spec.into());
            let mut out = Vec::new();
            machine.handle(start, Event::Start, &NoWorld, &mut out);
            if let Some(after) = connected {
                machine.handle(start + ms(after), Event::Connected, &NoWorld, &mut out);
            }
            assert_eq!(machine.deadline(), Some(start + ms(expires)));
        }
    }

    /// When a second connection begins 300 ms after the first, and what the check says that never gets it: as seen from haproxy.
    #[test]
    fn a_second_connection_has_its_own_time() {
        for (check, status, after) in [(None, Status::L4Tout, 600), (Some(900), Status::L4Tout, 600), (Some(200), Status::L7Tout, 0)] {
            let wants = || Rule::Expect(Box::new(Expect::new(Match::String(b"X"[..].into()))));
            let script = Script::tcp(vec![Rule::Connect(Connect::default()), wants(), Rule::Connect(Connect::default()), wants()]);
            let spec = CheckSpec {
                timeout_connect: Some(1_000 * MS),
                timeout_check: check.map(|n: u32| n * MS),
                ..CheckSpec::new(script, 600 * MS)
            };
            let events = [(0, Event::Connected), (300, Event::Data(b"X")), (300 + after, Event::Timeout)];
            let text = " at step 3 of tcp-check (connect)".to_owned();
            assert_eq!(verdict(spec, &events), (status, None, text, u128::from(300 + after)));
        }
    }

    #[test]
    fn abort_closes_and_says_nothing() {
        let mut check = Check::new(http_spec().into());
        let mut out = Vec::new();
        check.abort(&mut out);
        assert!(out.is_empty());
        check.handle(Instant::now(), Event::Start, &NoWorld, &mut out);
        check.abort(&mut out);
        assert_eq!(out, [Action::Connect(server()), Action::Close { cleanly: false }]);
        assert_eq!(check.deadline(), None);
    }
}
