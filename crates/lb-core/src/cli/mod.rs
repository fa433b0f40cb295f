//! The run-time sockets (`stats socket`): what operators and their tools ask and change while the proxy runs. Source: management
//! guide 9.3.
//!
//! All of them are served by the first thread. A client sends lines; each command is looked up in one table ([`command`]),
//! its answer ends with an empty line. Without `prompt` the connection is closed when nothing is left to answer.
//!
//! Holds: a client costs one task, one line of input of at most `tune.bufsize`, and of its answer no more than [`CHUNK`] and one
//! row; one that is silent, or does not read, for `stats timeout` is dropped. Nothing that a client sends ends anything but its own
//! connection, except what a command says.

mod command;
pub mod input;
mod limits;
mod master;
mod patterns;
mod servers;
mod sess;
mod session;
mod show;

pub use command::commands_like;
pub(crate) use servers::{set_maxconn, set_weight};

use crate::gate::{Gate, Pass};
use crate::handover;
use crate::health::lock;
use crate::listener::{REST, is_transient};
use crate::stats::{Rates, SECOND};
use crate::worker::Worker;
use input::Input;
use lb_config::{CliLevel, Global, Level, SeverityOutput};
use lb_rt::{Listener, Rt, Socket};
use lb_sys::Addr;
use master::Master;
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

/// Bytes of an answer that are gathered before they are sent.
const CHUNK: usize = 16 << 10;

/// A run-time socket that is open and not yet served.
pub struct OpenSocket {
    /// The socket.
    pub fd: OwnedFd,
    /// `level`
    pub level: CliLevel,
    /// `severity-output`
    pub severity: SeverityOutput,
    /// `expose-fd listeners`
    pub expose_listeners: bool,
    /// `maxconn` of its line.
    pub maxconn: Option<u32>,
}

/// All run-time sockets of a process, open and not yet served.
pub struct Sockets {
    open: Vec<OpenSocket>,
    global: Global,
    dropped_logs: Box<dyn Fn() -> u64 + Send>,
    master: Option<Master>,
}

/// What all clients of one process share.
pub(crate) struct Cli {
    /// `stats timeout`
    timeout: Duration,
    /// `stats maxconn`
    gate: Arc<Gate>,
    /// Address and level of each socket.
    sockets: Vec<(String, CliLevel)>,
    /// Longest line, with its payload.
    limit: usize,
    /// `node` and `description` of `global`.
    node: Option<String>,
    description: Option<String>,
    /// Log lines that could not be sent.
    dropped_logs: Box<dyn Fn() -> u64 + Send>,
    rates: RefCell<Rates>,
}

/// What a client has set for itself.
pub(crate) struct Session {
    level: CliLevel,
    severity: SeverityOutput,
    /// It is given the listening sockets when it asks.
    exposes: bool,
    /// It may be about to.
    asker: Option<Pass>,
    /// `prompt`: it stays after its answers.
    interactive: bool,
    /// `set timeout cli`
    timeout: Duration,
}

/// What a command works with.
pub(crate) struct Cx<'a> {
    pub worker: &'a Rc<Worker>,
    pub cli: &'a Rc<Cli>,
    pub session: &'a mut Session,
    /// The words behind the command's own.
    pub args: &'a [String],
    /// The lines behind a command that ends with `<<`.
    pub payload: Option<&'a [u8]>,
}

impl Cx<'_> {
    /// An argument; empty where there is none.
    pub fn arg(&self, n: usize) -> &str {
        self.args.get(n).map_or("", String::as_str)
    }
}

/// A short answer that says how much it matters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Message(pub Level, pub Cow<'static, str>);

/// What a command answers.
pub(crate) enum Answer {
    /// It is done.
    Done,
    /// A message.
    Message(Message),
    /// Text without a severity.
    Text(String),
    /// Text row by row: appends the next one, false when that was the last.
    Rows(Box<dyn FnMut(&mut String) -> bool>),
    /// It takes other threads to answer.
    Later(Pin<Box<dyn Future<Output = Outcome>>>),
    /// The connection ends.
    Close,
}

/// An answer, or what is wrong with the command.
pub(crate) type Outcome = Result<Answer, Message>;

/// How long a command waits for the threads. One that is busy for longer is left out of the answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks every thread, and gives what they answer, in their order.
pub(crate) async fn ask_all<T: Send + 'static>(
    worker: &Rc<Worker>,
    question: impl Fn(&Rc<Worker>) -> T + Send + Sync + Clone + 'static,
) -> Vec<T> {
    let answers: Arc<Mutex<Vec<(usize, T)>>> = Arc::default();
    let (theirs, remote, task) = (answers.clone(), worker.rt.remote().clone(), worker.rt.current());
    let count = worker.process.everywhere(move |other| {
        let answer = (other.index, question(other));
        lock(&theirs).push(answer);
        remote.wake(task);
    });
    let until = worker.rt.now() + PATIENCE;
    poll_fn(|_| {
        worker.rt.progress();
        if lock(&answers).len() >= count { Poll::Ready(()) } else { worker.rt.poll_deadline(Some(until)) }
    })
    .await;
    let mut answers = std::mem::take(&mut *lock(&answers));
    answers.sort_by_key(|(thread, _)| *thread);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Something is wrong.
pub(crate) fn error(text: impl Into<Cow<'static, str>>) -> Message {
    Message(Level::Err, text.into())
}

impl Sockets {
    /// Sockets with what `global` says of them all; `dropped_logs` tells how many lines could not be sent.
    pub fn new(open: Vec<OpenSocket>, global: &Global, dropped_logs: Box<dyn Fn() -> u64 + Send>) -> Sockets {
        Sockets { open, global: global.clone(), dropped_logs, master: None }
    }

    /// Serves the master of this process, too, which hands its connections over through `fd`; `gone` is called when it has gone.
    pub(crate) fn attach_master(&mut self, fd: OwnedFd, gone: impl FnOnce(&Rc<Worker>) + Send + 'static) {
        self.master = Some(Master { fd, gone: Box::new(gone) });
    }

    /// The sockets themselves.
    pub(crate) fn fds(&self) -> impl Iterator<Item = &OwnedFd> {
        self.open.iter().map(|socket| &socket.fd)
    }

    /// Starts to serve them in this thread.
    pub fn start(self, worker: &Rc<Worker>) {
        if self.open.is_empty() && self.master.is_none() {
            return;
        }
        let Sockets { open, global, dropped_logs, master } = self;
        let now = worker.rt.now();
        worker.process.started.get_or_init(|| (now, worker.rt.wall()));
        let cli = Rc::new(Cli {
            timeout: global.stats_timeout.unwrap_or(Global::STATS_TIMEOUT),
            gate: Gate::new(global.stats_maxconn.unwrap_or(Global::STATS_MAXCONN)),
            sockets: open.iter().map(|s| (label(&s.fd), s.level)).collect(),
            limit: global.tune.bufsize,
            node: global.node,
            description: global.description,
            dropped_logs,
            rates: RefCell::new(Rates::new(&worker.process, now)),
        });
        worker.ends_with_soft_stop(worker.rt.spawn(watch_rates(worker.clone(), cli.clone())));
        if let Some(master) = master {
            worker.rt.spawn(master::serve(worker.clone(), cli.clone(), master));
        }
        for socket in open {
            let gate = socket.maxconn.map(Gate::new);
            let (level, severity, exposes) = (socket.level, socket.severity, socket.expose_listeners);
            let askers = exposes.then(|| worker.process.askers.clone());
            let session = move |cli: &Cli| {
                let asker = askers.as_ref().and_then(Gate::enter);
                Session { level, severity, exposes, asker, interactive: false, timeout: cli.timeout }
            };
            match Listener::new(&worker.rt, socket.fd) {
                Ok(listener) => {
                    let task = worker.rt.spawn(accept(worker.clone(), cli.clone(), listener, gate, session));
                    worker.ends_with_soft_stop(task);
                }
                Err(e) => worker.process.report(&format!("cannot take a run-time socket into the loop: {e}")),
            }
        }
    }
}

/// Looks at the totals once per second.
async fn watch_rates(worker: Rc<Worker>, cli: Rc<Cli>) {
    let mut next = worker.rt.now();
    loop {
        next += SECOND;
        worker.rt.sleep_until(next).await;
        worker.rt.progress();
        let now = worker.rt.now();
        cli.rates.borrow_mut().tick(&worker.process, now);
        next = next.max(now);
    }
}

/// The address of a socket as `show cli sockets` tells it.
fn label(fd: &OwnedFd) -> String {
    match lb_sys::socket::local_addr(fd.as_fd()) {
        Ok(Addr::Ip(a)) if a.is_ipv4() => format!("ipv4@{a}"),
        Ok(Addr::Ip(a)) => format!("ipv6@{}:{}", a.ip(), a.port()),
        // Its file was made under another name, perhaps by a process before this one.
        Ok(Addr::Unix(path)) => format!("unix@{}", handover::made_as(&path).display()),
        Ok(other) => other.to_string(),
        Err(_) => "unknown".into(),
    }
}

async fn accept(worker: Rc<Worker>, cli: Rc<Cli>, listener: Listener, own: Option<Arc<Gate>>, session: impl Fn(&Cli) -> Session) {
    let rt = worker.rt.clone();
    loop {
        let accepted = poll_fn(|_| {
            ready!(listener.poll_readable())?;
            let mut passes = [None, None];
            for (pass, gate) in passes.iter_mut().zip([Some(&cli.gate), own.as_ref()]) {
                if let Some(gate) = gate {
                    *pass = gate.enter_or_wait(rt.remote(), rt.current());
                    if pass.is_none() {
                        rt.progress();
                        return Poll::Pending;
                    }
                }
            }
            listener.poll_accept().map(|r| r.map(|(socket, _)| (socket, passes)))
        });
        match accepted.await {
            Ok((socket, passes)) => {
                rt.progress();
                rt.spawn(serve(worker.clone(), cli.clone(), Rc::new(socket), session(&cli), passes));
            }
            Err(e) if is_transient(&e) => {}
            Err(e) => {
                worker.process.accept_refused(&e, rt.now());
                rt.sleep(REST).await;
            }
        }
    }
}

/// One client, from its first line to the end.
async fn serve(worker: Rc<Worker>, cli: Rc<Cli>, socket: Rc<Socket>, mut session: Session, _passes: [Option<Pass>; 2]) {
    let mut client = Client { rt: worker.rt.clone(), socket, out: String::new(), timeout: Cell::new(session.timeout) };
    let mut input: Vec<u8> = Vec::new();
    let mut marks = 0;
    loop {
        match input::take(&input, cli.limit) {
            Input::Line { line, payload, used } => {
                if let Some(payload) = payload {
                    client.mark(&session, memchr::memchr_iter(b'\n', payload).count().saturating_add(1).saturating_sub(marks));
                }
                marks = 0;
                for command in input::commands(line) {
                    let words = input::words(command);
                    if session.exposes
                        && let Some(all) = handover::asked(&words)
                    {
                        // Whether they have arrived is the receiver's to say.
                        let _ = handover::give(&worker, &client.socket, all).await;
                        return client.close().await;
                    }
                    // Who begins with something else has come for something else.
                    session.asker = None;
                    let outcome = command::run(&worker, &cli, &mut session, &words, payload);
                    client.timeout.set(session.timeout);
                    if client.answer(&session, outcome).await.is_none() {
                        return client.close().await;
                    }
                }
                input.drain(..used);
                if client.flush().await.is_none() || (!session.interactive && input.is_empty()) {
                    return client.close().await;
                }
            }
            Input::TooLong => return client.close().await,
            Input::Partial { payload_lines } => {
                client.mark(&session, payload_lines.saturating_sub(marks));
                marks = payload_lines;
                if client.flush().await.is_none() || !client.read(&mut input).await {
                    return;
                }
            }
        }
    }
}

/// A client's connection.
struct Client {
    rt: Rt,
    socket: Rc<Socket>,
    out: String,
    timeout: Cell<Duration>,
}

impl Client {
    fn deadline(&self) -> Option<Instant> {
        self.rt.now().checked_add(self.timeout.get())
    }

    /// Reads more; false at the end, and when nothing has come in time.
    async fn read(&self, input: &mut Vec<u8>) -> bool {
        let deadline = self.deadline();
        let mut buffer = self.rt.buffers().take();
        let read = poll_fn(|_| match self.socket.poll_read(buffer.spare()) {
            Poll::Ready(read) => Poll::Ready(read.unwrap_or(0)),
            Poll::Pending => self.rt.poll_deadline(deadline).map(|()| 0),
        })
        .await;
        buffer.commit(read);
        input.extend_from_slice(buffer.filled());
        read != 0
    }

    /// Shows a client in a conversation that a payload is expected, once for each line.
    fn mark(&mut self, session: &Session, lines: usize) {
        if session.interactive {
            self.out.push_str(&"+ ".repeat(lines));
        }
    }

    /// Puts an answer out; `None`: the connection ends.
    async fn answer(&mut self, session: &Session, outcome: Outcome) -> Option<()> {
        let mut outcome = outcome;
        while let Ok(Answer::Later(later)) = outcome {
            outcome = later.await;
        }
        match outcome {
            Ok(Answer::Done | Answer::Later(_)) => {}
            Ok(Answer::Text(text)) => self.out.push_str(&text),
            Ok(Answer::Message(message)) | Err(message) => {
                push_severity(&mut self.out, session.severity, message.0);
                self.out.push_str(&message.1);
            }
            Ok(Answer::Rows(mut next)) => {
                while next(&mut self.out) {
                    if self.out.len() >= CHUNK {
                        self.flush().await?;
                    }
                }
            }
            Ok(Answer::Close) => {
                self.flush().await?;
                return None;
            }
        }
        self.out.push('\n');
        if session.interactive {
            self.out.push_str("> ");
        }
        if self.out.len() >= CHUNK {
            self.flush().await?;
        }
        Some(())
    }

    /// Sends what there is; `None`: the client does not take it.
    async fn flush(&mut self) -> Option<()> {
        let mut bytes = self.out.as_bytes();
        while !bytes.is_empty() {
            let deadline = self.deadline();
            let wrote = poll_fn(|_| match self.socket.poll_write(bytes, false) {
                Poll::Ready(wrote) => Poll::Ready(wrote.ok()),
                Poll::Pending => self.rt.poll_deadline(deadline).map(|()| None),
            });
            bytes = &bytes[wrote.await?..];
        }
        self.out.clear();
        Some(())
    }

    /// Closes so that the client can read all that it was sent.
    async fn close(self) {
        if self.socket.maybe_readable() {
            crate::http::answer::close_gently(&self.rt, &self.socket).await;
        }
    }
}

fn push_severity(out: &mut String, output: SeverityOutput, level: Level) {
    match output {
        SeverityOutput::None => {}
        SeverityOutput::Number => out.push_str(&format!("[{}]: ", level as u8)),
        SeverityOutput::String => {
            let name = Level::ALL.iter().find(|(_, l)| *l == level).map_or("", |(name, _)| name);
            out.push_str(&format!("[{name}]: "));
        }
    }
}
