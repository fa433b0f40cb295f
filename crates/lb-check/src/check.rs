//! One check of one server: a script of steps over one connection.
//!
//! Driven by whoever owns the socket: it passes on what happens as [`Event`]s, does the [`Action`]s, and delivers
//! [`Event::Timeout`] at [`Check::deadline`]. Holds: each run ends with one `Done`, with `Close` before it when there was a connection;
//! events that come after the end of a run are ignored; at most [`crate::MAX_HEAD`] bytes are kept, and none
//! between runs.

use crate::http::HttpRequest;
use crate::response::{self, Answer, MAX_HEAD};
use crate::status::{Status, SystemError, Verdict};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So many bytes of an answer are looked at even before a line is complete.
const FIRST_LOOK: usize = 64;

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
    /// Connect to where the server is checked.
    Connect,
    /// Send all of this.
    Send(Arc<[u8]>),
    /// Close the connection at once with a reset (SO_LINGER 0), as HAProxy does, so that a check leaves no TIME_WAIT behind. A
    /// connection that is still being made is given up.
    Close,
    /// The check has ended. The next one is [`Event::Start`], after [`crate::Health::interval`].
    Done(Verdict),
}

/// What a check does, step by step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Send(Arc<[u8]>),
    ExpectHttp { status: RangeInclusive<u32>, to_head: bool },
}

impl Script {
    /// Only connect: a server that accepts is well.
    pub fn connect() -> Script {
        Script { steps: Vec::new() }
    }

    /// `option httpchk`: a server is well that answers this request with a status from 200 to 399.
    pub fn http(request: &HttpRequest) -> Script {
        let expect = Step::ExpectHttp { status: 200..=399, to_head: request.is_head() };
        Script { steps: vec![Step::Send(request.as_bytes().into()), expect] }
    }
}

/// What is checked and how long it may take; shared by all servers of a backend that are checked alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckSpec {
    /// The steps.
    pub script: Script,
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
    pub fn new(script: Script, inter: Duration) -> CheckSpec {
        CheckSpec { script, inter, timeout_connect: None, timeout_check: None }
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
    connected: bool,
    /// Whether there is a connection, or the beginning of one, to close.
    open: bool,
    step: usize,
    received: Vec<u8>,
}

/// Status and reason of an HTTP answer.
type Answered = (u32, Box<[u8]>);

/// How a run ends.
struct End {
    status: Status,
    code: Option<u32>,
    info: Box<[u8]>,
}

impl End {
    fn bare(status: Status) -> End {
        End { status, code: None, info: Box::default() }
    }

    fn with(status: Status, info: String) -> End {
        End { status, code: None, info: info.into_bytes().into() }
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
    pub fn handle(&mut self, now: Instant, event: Event<'_>, out: &mut Vec<Action>) {
        let Some(run) = &mut self.run else {
            if let Event::Start = event {
                self.run = Some(Run::start(now, &self.spec));
                out.push(Action::Connect);
            }
            return;
        };
        let Some(end) = run.handle(now, event, &self.spec, out) else { return };
        if run.open {
            out.push(Action::Close);
        }
        let duration = now.saturating_duration_since(run.started);
        self.run = None;
        out.push(Action::Done(Verdict { status: end.status, code: end.code, info: end.info, duration }));
    }

    /// Ends a check that runs, without a verdict: the server goes into maintenance, or its checks are stopped.
    pub fn abort(&mut self, out: &mut Vec<Action>) {
        if self.run.take().is_some_and(|run| run.open) {
            out.push(Action::Close);
        }
    }
}

impl Run {
    fn start(now: Instant, spec: &CheckSpec) -> Run {
        // Without `timeout check`, `inter` is the time for all of it.
        let time = match (spec.timeout_check, spec.timeout_connect) {
            (Some(_), Some(connect)) => connect.min(spec.inter),
            _ => spec.inter,
        };
        Run { started: now, deadline: now + time, connected: false, open: true, step: 0, received: Vec::new() }
    }

    fn handle(&mut self, now: Instant, event: Event<'_>, spec: &CheckSpec, out: &mut Vec<Action>) -> Option<End> {
        match event {
            Event::Start => None,
            Event::Connected if !self.connected => {
                self.connected = true;
                if let Some(time) = spec.timeout_check {
                    self.deadline = self.deadline.max(now + time);
                }
                self.advance(spec, false, out)
            }
            Event::Connected => None,
            Event::ConnectFailed(error) => {
                self.open = false;
                Some(End::with(Status::L4Con, error.to_string()))
            }
            Event::CannotConnect(error) => {
                self.open = false;
                Some(cannot_connect(error))
            }
            Event::CannotBind(error) => {
                self.open = false;
                Some(End::with(Status::L4Con, format!("Can't bind to source address ({error})")))
            }
            Event::Data(bytes) => {
                // Nothing behind the largest head is ever looked at.
                let room = MAX_HEAD - self.received.len();
                self.received.extend_from_slice(&bytes[..bytes.len().min(room)]);
                // A server that sends its head byte by byte must not have it read anew for each: inside a line nothing is decided,
                // but a first line can show early that this is no HTTP.
                let inside = !bytes.iter().any(|b| matches!(b, b'\n' | b'\r'));
                if inside && self.received.len() > FIRST_LOOK && self.received.len() < MAX_HEAD {
                    return None;
                }
                self.advance(spec, false, out)
            }
            Event::Eof => self.advance(spec, true, out),
            Event::Failed(error) => Some(End::with(Status::SockErr, error.to_string())),
            Event::Timeout if now < self.deadline => None,
            Event::Timeout if self.connected => Some(End::bare(Status::L7Tout)),
            Event::Timeout => Some(End::bare(Status::L4Tout)),
        }
    }

    /// Does the steps that can be done now.
    fn advance(&mut self, spec: &CheckSpec, eof: bool, out: &mut Vec<Action>) -> Option<End> {
        if !self.connected {
            return None;
        }
        loop {
            match spec.script.steps.get(self.step) {
                None if self.step == 0 => return Some(End::bare(Status::L4Ok)),
                None => return Some(End::bare(Status::L7Ok)),
                Some(Step::Send(bytes)) => out.push(Action::Send(bytes.clone())),
                Some(Step::ExpectHttp { status, to_head }) => {
                    let last = self.step + 1 == spec.script.steps.len();
                    match self.http_answer(eof, *to_head) {
                        None => return None,
                        Some(Ok((code, _))) if status.contains(&code) && last => {
                            return Some(End { status: Status::L7Ok, code: Some(code), info: Box::default() });
                        }
                        Some(Ok((code, _))) if status.contains(&code) => {}
                        Some(Ok((code, info))) => return Some(End { status: Status::L7Sts, code: Some(code), info }),
                        Some(Err(status)) => return Some(End::bare(status)),
                    }
                }
            }
            self.step += 1;
        }
    }

    /// Status and reason of the answer, as soon as its head is complete.
    fn http_answer(&mut self, eof: bool, to_head: bool) -> Option<Result<Answered, Status>> {
        // Empty lines before the status line say nothing. Dropping them keeps the work on a server that sends one at a time small.
        let mut blank = 0;
        while let [b'\n', ..] | [b'\r', b'\n', ..] = self.received[blank..] {
            blank += if self.received[blank] == b'\n' { 1 } else { 2 };
        }
        self.received.drain(..blank);
        match response::read(&self.received, to_head) {
            Answer::Head { status, reason } => Some(Ok((status, reason.into()))),
            Answer::Invalid => Some(Err(Status::L7Rsp)),
            Answer::Partial if eof => Some(Err(Status::L7Rsp)),
            Answer::Partial => None,
        }
    }
}

/// No way to the network is a connection problem, anything else an error of our own socket (HAProxy's distinction).
fn cannot_connect(error: SystemError) -> End {
    const EAGAIN: i32 = 11;
    const EADDRINUSE: i32 = 98;
    const EADDRNOTAVAIL: i32 = 99;
    const ENETUNREACH: i32 = 101;
    const ETIMEDOUT: i32 = 110;
    const ECONNREFUSED: i32 = 111;
    const EHOSTUNREACH: i32 = 113;
    match error.0 {
        // A refusal can come so fast (loopback) that connect(2) itself reports it.
        ECONNREFUSED => End::with(Status::L4Con, error.to_string()),
        ENETUNREACH | EHOSTUNREACH | ETIMEDOUT => End::with(Status::L4Con, format!("General socket error ({error})")),
        // A UNIX listener whose queue is full says EAGAIN; HAProxy has these words for that, too.
        EAGAIN | EADDRINUSE | EADDRNOTAVAIL => End::with(Status::SockErr, "Out of local source ports on the system".into()),
        _ => End::with(Status::SockErr, format!("General socket error ({error})")),
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn http_spec() -> CheckSpec {
        let request = HttpRequest::parse("OPTIONS", "/", "HTTP/1.0").expect("valid");
        CheckSpec::new(Script::http(&request), 300 * MS)
    }

    /// Runs events at milliseconds since the start, and returns all that came out.
    fn run(spec: CheckSpec, events: &[(u32, Event<'_>)]) -> Vec<Action> {
        let start = Instant::now();
        let mut check = Check::new(spec.into());
        let mut out = Vec::new();
        check.handle(start, Event::Start, &mut out);
        for &(at, event) in events {
            check.handle(start + at * MS, event, &mut out);
        }
        assert_eq!(check.is_running(), !out.iter().any(|a| matches!(a, Action::Done(_))));
        out
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
        assert_eq!(run(spec(), &[(3, Event::Connected)])[..2], [Action::Connect, Action::Close]);
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
        let ok = (5, Event::Data(b"HTTP/1.0 200 OK\r\n\r\n"));
        let out = run(http_spec(), &[connected, ok, (6, Event::Eof), (7, Event::Timeout)]);
        let sent = Action::Send(b"OPTIONS / HTTP/1.0\r\n\r\n"[..].into());
        let done = Verdict { status: Status::L7Ok, code: Some(200), info: Box::default(), duration: 5 * MS };
        assert_eq!(out, [Action::Connect, sent, Action::Close, Action::Done(done)]);
        let oops = [connected, (1, Event::Data(b"HTTP/1.0 50")), (2, Event::Data(b"0 Oops\r\n\r\n"))];
        assert_eq!(verdict(http_spec(), &oops), (Status::L7Sts, Some(500), "Oops".into(), 2));
        assert_eq!(verdict(http_spec(), &[connected, (1, Event::Eof)]), (Status::L7Rsp, None, "".into(), 1));
        let cut = [connected, (1, Event::Data(b"HTTP/1.0 200 OK\r\n")), (2, Event::Eof)];
        assert_eq!(verdict(http_spec(), &cut), (Status::L7Rsp, None, "".into(), 2));
        let reset = [connected, (1, Event::Data(b"HTTP")), (2, Event::Failed(SystemError(104)))];
        assert_eq!(verdict(http_spec(), &reset), (Status::SockErr, None, "Connection reset by peer".into(), 2));
        assert_eq!(verdict(http_spec(), &[connected, (301, Event::Timeout)]), (Status::L7Tout, None, "".into(), 301));
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
            machine.handle(start, Event::Start, &mut out);
            if let Some(after) = connected {
                machine.handle(start + ms(after), Event::Connected, &mut out);
            }
            assert_eq!(machine.deadline(), Some(start + ms(expires)));
        }
    }

    #[test]
    fn abort_closes_and_says_nothing() {
        let mut check = Check::new(http_spec().into());
        let mut out = Vec::new();
        check.abort(&mut out);
        assert!(out.is_empty());
        check.handle(Instant::now(), Event::Start, &mut out);
        check.abort(&mut out);
        assert_eq!(out, [Action::Connect, Action::Close]);
        assert_eq!(check.deadline(), None);
    }
}
