//! The master's socket (`-S`): what it knows of its workers, reloads, and the way to the workers' own command lines. Source:
//! management guide 9.4.
//!
//! Holds: at most [`CLIENTS`] at once, [`LINE`] bytes of a line, [`PATIENCE`] of silence; an answer that a client does not read holds
//! up nobody else.

use super::state::{Stage, Worker};
use super::{Master, connect};
use lb_config::{Bind, BindAddress, CliLevel, LANGUAGE_VERSION, Severity, Source};
use lb_rt::{Listener, Rt, Socket};
use std::cell::Cell;
use std::fmt::Write as _;
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, UNIX_EPOCH};

/// Clients at once; others are closed.
const CLIENTS: u32 = 32;
/// Longest line.
const LINE: usize = 16 << 10;
/// Silence after which a client is closed, and time that a worker has for each piece of an answer.
const PATIENCE: Duration = Duration::from_secs(600);

/// The socket, open.
pub struct Control {
    fd: OwnedFd,
    address: String,
    level: CliLevel,
    clients: Rc<Cell<u32>>,
}

impl Control {
    /// Opens `<address>[,<parameter>...]`, parameters as those of a `bind` line, and `level`.
    ///
    /// # Errors
    /// What is wrong with the text, or what the system says.
    pub fn open(text: &str) -> Result<Control, String> {
        let problem = |what: &str| format!("the master's socket '{text}': {what}");
        let (bind, level) = parse(text).map_err(|what| problem(&what))?;
        let [address] = bind.addresses.as_slice() else { return Err(problem("it takes one address")) };
        let fd = lb_core::start::open_control(&bind, address).map_err(|e| problem(&format!("cannot listen: {e}")))?;
        Ok(Control { fd, address: crate::environment::shown(address), level, clients: Rc::default() })
    }

    /// The address as haproxy has it in `HAPROXY_MASTER_CLI`.
    pub fn address(&self) -> &str {
        &self.address
    }
}

/// Says what is wrong with the text of `-S`, before anything is opened.
pub fn check(text: &str) -> Result<(), String> {
    parse(text).map(drop).map_err(|what| format!("the master's socket '{text}': {what}"))
}

/// Reads address and parameters as a `stats socket` line reads them.
fn parse(text: &str) -> Result<(Bind, CliLevel), String> {
    // The words of a file in quotes are what is in them.
    let words: Vec<String> = text.split(',').map(|part| format!("'{}'", part.replace('\'', ""))).collect();
    let line = format!("global\n stats socket {}\n", words.join(" "));
    let (config, found) = lb_config::parse(&Source::new().file("-S", line.as_bytes()));
    if let Some(error) = found.iter().find(|one| one.severity == Severity::Error) {
        return Err(error.message.clone());
    }
    let bind = config.global.stats_sockets.into_iter().next().ok_or("it has no address")?;
    if bind.addresses.iter().any(|address| matches!(address, BindAddress::Fd(_))) {
        return Err("fd@ is not for it".into());
    }
    // Whoever may use it may do everything, unless it says otherwise.
    let level = if text.contains(",level,") { bind.level } else { CliLevel::Admin };
    Ok((bind, level))
}

/// Accepts clients until the master ends.
pub(super) async fn accept(master: Rc<Master>) {
    let Some(control) = &master.socket else { return };
    let listener = control.fd.try_clone().and_then(|fd| Listener::new(&master.rt, fd));
    let listener = match listener {
        Ok(listener) => listener,
        Err(e) => return crate::messages::alert(&format!("the master's socket is not served: {e}")),
    };
    loop {
        match poll_fn(|_| listener.poll_accept()).await {
            Ok((socket, _)) if control.clients.get() < CLIENTS => {
                let guard = Place::new(control.clients.clone());
                let client =
                    Client { master: master.clone(), socket, level: control.level, interactive: false, target: None, _place: guard };
                master.rt.spawn(client.serve());
            }
            Ok(_) => {}
            // No room, or a client that has left: not for long, and not at once.
            Err(_) => master.rt.sleep(Duration::from_millis(100)).await,
        }
    }
}

/// A client that counts.
struct Place(Rc<Cell<u32>>);

impl Place {
    fn new(count: Rc<Cell<u32>>) -> Place {
        count.set(count.get() + 1);
        Place(count)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

struct Client {
    master: Rc<Master>,
    socket: Socket,
    level: CliLevel,
    interactive: bool,
    /// The worker that commands go to, by its number.
    target: Option<u32>,
    _place: Place,
}

/// What comes of a command.
enum Answer {
    Text(String),
    /// To be sent to a worker.
    Forward(u32, String),
    /// Nothing is said.
    Done,
    /// The connection ends after these words.
    End(String),
}

impl Client {
    async fn serve(mut self) {
        let mut input = Vec::new();
        loop {
            let Some(end) = input.iter().position(|b| *b == b'\n') else {
                if input.len() >= LINE || !self.read(&mut input).await {
                    return;
                }
                continue;
            };
            let line: Vec<u8> = input.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line).into_owned();
            for command in line.trim_end_matches(['\r', '\n']).split(';') {
                if !self.one(command.trim()).await {
                    return;
                }
            }
        }
    }

    /// Answers one command; false: the connection ends.
    async fn one(&mut self, command: &str) -> bool {
        let sent = match self.run(command) {
            Answer::End(words) => {
                self.write(words.as_bytes()).await;
                return false;
            }
            Answer::Done => true,
            Answer::Text(text) => self.write(format!("{text}\n").as_bytes()).await,
            Answer::Forward(pid, command) => self.forward(pid, &command).await,
        };
        let prompt = self.prompt();
        sent && (!self.interactive || self.write(prompt.as_bytes()).await)
    }

    fn prompt(&self) -> String {
        match self.target {
            Some(pid) => format!("{pid}> "),
            None if self.master.state.borrow().last_failed => "master[ReloadFailed]> ".into(),
            None => "master> ".into(),
        }
    }

    fn run(&mut self, command: &str) -> Answer {
        let (prefix, rest) = match command.strip_prefix('@') {
            Some(rest) => {
                let (prefix, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                (Some(prefix), rest.trim())
            }
            None => (None, command),
        };
        let target = match prefix.map(|prefix| self.find(prefix)).transpose() {
            Ok(Some(target)) => target,
            Ok(None) => self.target,
            Err(text) => return Answer::End(text),
        };
        if prefix.is_some() && rest.is_empty() {
            self.target = target;
            return Answer::Done;
        }
        match target {
            // What concerns this connection is for its master, unless it is told to go to the worker.
            Some(pid) if prefix.is_some() || !matches!(rest, "prompt" | "quit" | "user" | "operator") => {
                Answer::Forward(pid, rest.to_owned())
            }
            _ => self.own(rest),
        }
    }

    /// The process behind what stands after `@`; `None`: the master.
    fn find(&self, prefix: &str) -> Result<Option<u32>, String> {
        let state = self.master.state.borrow();
        let found = match prefix.strip_prefix('!') {
            Some(pid) => {
                let pid = pid.parse().unwrap_or(0);
                if pid == std::process::id() {
                    return Ok(None);
                }
                state.workers.iter().find(|worker| worker.pid == pid)
            }
            None if matches!(prefix, "" | "master" | "0") => return Ok(None),
            None => state.serving().find(|worker| prefix == "1" && worker.stage == Stage::Serves),
        };
        found.map(|worker| Some(worker.pid)).ok_or_else(|| format!("Can't find the target PID matching the prefix '@{prefix}'\n"))
    }

    fn own(&mut self, command: &str) -> Answer {
        let words: Vec<&str> = command.split_whitespace().collect();
        let text = match words.as_slice() {
            // A conversation ends with the prompt.
            ["quit"] => return Answer::End(if self.interactive { self.prompt() } else { String::new() }),
            ["prompt", ..] => {
                self.interactive ^= true;
                return Answer::Done;
            }
            ["show", "proc", ..] => self.show_proc(),
            ["show", "version"] => format!("{LANGUAGE_VERSION}\n"),
            ["show", "cli", "level"] => format!("{}\n", self.level.name()),
            ["show", "cli", "sockets"] => {
                let control = self.master.socket.as_ref();
                control.map_or_else(String::new, |c| format!("# socket lvl processes\n{} {} master\n", c.address, c.level.name()))
            }
            ["user"] => return self.lower(CliLevel::User),
            ["operator"] => return self.lower(CliLevel::Operator),
            ["reload"] if self.level < CliLevel::Operator => "Permission denied\n".into(),
            ["reload"] => {
                self.master.reload();
                return Answer::End(String::new());
            }
            ["help", like @ ..] => format!("The following commands are valid at this level:\n{}", help(&like.join(" "))),
            _ => format!("Unknown command. Please enter one of the following commands only:\n{HELP}"),
        };
        Answer::Text(text)
    }

    fn lower(&mut self, level: CliLevel) -> Answer {
        if self.level < level {
            return Answer::Text("Permission denied\n".into());
        }
        self.level = level;
        Answer::Done
    }

    fn show_proc(&self) -> String {
        let state = self.master.state.borrow();
        let now = self.master.rt.wall().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut text = format!("{:<15} {:<15} {:<15} {:<15} {:<15}\n", "#<PID>", "<type>", "<reloads>", "<uptime>", "<version>");
        let mut line = |pid: u32, kind: &str, reloads: &str, since: u64, version: &str| {
            let _ = writeln!(text, "{pid:<15} {kind:<15} {reloads:<15} {:<15} {version:<15}", uptime(now.saturating_sub(since)));
        };
        line(std::process::id(), "master", &format!("{} [failed: {}]", state.reloads, state.failed), state.since, LANGUAGE_VERSION);
        let line = |worker: &Worker| {
            let up = uptime(now.saturating_sub(worker.since));
            let (kind, version) = worker.program.as_ref().map_or(("worker", worker.version.as_str()), |name| (name, "-"));
            format!("{:<15} {kind:<15} {:<15} {up:<15} {version:<15}\n", worker.pid, worker.reloads)
        };
        for (programs, what) in [(false, "workers"), (true, "programs")] {
            let of = |old: bool| {
                let all = state.workers.iter().filter(|worker| worker.program.is_some() == programs);
                all.filter(|worker| (worker.stage == Stage::Leaving) == old).map(line).collect::<String>()
            };
            let _ = write!(text, "# {what}\n{}", of(false));
            let old = of(true);
            if !old.is_empty() {
                let _ = write!(text, "# old {what}\n{old}");
            }
        }
        text
    }

    /// Hands a command to a worker and its answer back.
    async fn forward(&mut self, pid: u32, command: &str) -> bool {
        let connected = {
            let state = self.master.state.borrow();
            let channel = state.workers.iter().find(|worker| worker.pid == pid).and_then(|worker| worker.channel.as_ref());
            channel.map(|channel| connect(channel, self.level))
        };
        let Some(Ok(fd)) = connected else {
            return self.write(format!("Can't find the target CLI of process {pid}\n\n").as_bytes()).await;
        };
        let rt = self.master.rt.clone();
        let nonblocking = lb_sys::process::set_nonblocking(&fd);
        let worker = Socket::from_fd(&rt, fd);
        let sent = nonblocking.is_ok() && worker.write_all(format!("{command}\n").as_bytes()).await.is_ok();
        let _ = worker.shutdown_write();
        if !sent {
            return true;
        }
        let mut buffer = vec![0; LINE];
        loop {
            let n = read(&rt, &worker, &mut buffer).await;
            if n == 0 {
                return true;
            }
            if !self.write(&buffer[..n]).await {
                return false;
            }
        }
    }

    async fn read(&self, input: &mut Vec<u8>) -> bool {
        let mut buffer = [0; 1024];
        let n = read(&self.master.rt, &self.socket, &mut buffer).await;
        input.extend_from_slice(&buffer[..n]);
        n != 0
    }

    /// Sends; false: the client does not take it.
    async fn write(&self, mut bytes: &[u8]) -> bool {
        let rt = &self.master.rt;
        while !bytes.is_empty() {
            let deadline = Some(rt.now() + PATIENCE);
            let wrote = poll_fn(|_| match self.socket.poll_write(bytes, false) {
                Poll::Ready(wrote) => Poll::Ready(wrote),
                Poll::Pending => rt.poll_deadline(deadline).map(|()| Err(io::ErrorKind::TimedOut.into())),
            })
            .await;
            match wrote {
                Ok(n) => bytes = &bytes[n..],
                Err(_) => return false,
            }
        }
        true
    }
}

/// Reads what there is; 0: the end, or nothing for too long.
async fn read(rt: &Rt, socket: &Socket, buffer: &mut [u8]) -> usize {
    let deadline = Some(rt.now() + PATIENCE);
    poll_fn(|_| match socket.poll_read(buffer) {
        Poll::Ready(read) => Poll::Ready(read.unwrap_or(0)),
        Poll::Pending => rt.poll_deadline(deadline).map(|()| 0),
    })
    .await
}

/// The commands that begin so, and those that every answer has; all where none does.
fn help(like: &str) -> String {
    let fits = |line: &&str| line.trim_start().starts_with(like);
    if like.is_empty() || !HELP.lines().any(|line| fits(&line)) {
        return HELP.to_owned();
    }
    let always = |line: &&str| ["help", "prompt", "quit"].iter().any(|word| line.trim_start().starts_with(word));
    HELP.lines().filter(|line| fits(line) || always(line)).map(|line| format!("{line}\n")).collect()
}

/// Days, hours, minutes, seconds.
fn uptime(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    format!("{days}d{hours:02}h{minutes:02}m{:02}s", seconds % 60)
}

const HELP: &str = "  @!<pid>                                 : send a command to the process with this number
  @<number>                               : send a command to the worker: @1
  @master                                 : send a command to the master
  help [<command>]                        : this list, or what begins so
  operator                                : lower the level of this connection to operator
  prompt                                  : toggle interactive mode
  quit                                    : disconnect
  reload                                  : start a new worker in place of the one that serves
  show cli level                          : level of this connection
  show cli sockets                        : sockets of the master
  show proc                               : master and workers
  show version                            : version
  user                                    : lower the level of this connection to user
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_parameters() {
        let (bind, level) = parse("/tmp/m,mode,600,level,admin").unwrap();
        assert_eq!((bind.unix.mode, level, bind.addresses.len()), (Some(0o600), CliLevel::Admin, 1));
        assert_eq!(parse("127.0.0.1:1234").unwrap().1, CliLevel::Admin);
        assert_eq!(parse("/tmp/m,level,user").unwrap().1, CliLevel::User);
        for wrong in ["", "/tmp/m,accept-proxy", "/tmp/m,level,root", "/tmp/m,nonsense", "fd@3", "127.0.0.1"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times() {
        assert_eq!((uptime(0), uptime(90_061)), ("0d00h00m00s".into(), "1d01h01m01s".into()));
    }
}
