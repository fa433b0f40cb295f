//! The master: starts the worker that serves, replaces it at a reload, and ends with it. Source: management guide 4 and 9.4.
//!
//! It has one thread, opens no address but its own socket (`-S`), and keeps no configuration. At a reload it runs the program anew
//! in its own place, so that a new version of it comes into use; the next master reads the files and starts the next worker, which
//! takes the listening sockets of the one before. Only when the new worker has said that it serves is the old one told to go: a file
//! or an address that is wrong leaves everything as it was. The same word starts the `program` sections' programs anew.

mod cli;
mod notify;
mod programs;
mod state;

use crate::args::RunArgs;
use crate::daemon::{SERVES, Starting};
use crate::handover::From;
use crate::messages::{alert, notice, warning};
use crate::run::Serve;
pub use cli::check as check_socket;
use lb_config::{CliLevel, Config, LANGUAGE_VERSION};
use lb_rt::{Rt, Signals, Socket};
use lb_sys::fds;
use lb_sys::process::{self, Ended, Forked};
use lb_sys::signal::{self, SIGCHLD, SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2, Signal, SignalFd};
use notify::notify;
pub use state::Reload;
use state::{Stage, Worker};
use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::task::Poll;
use std::time::UNIX_EPOCH;

/// What the master listens to.
const SIGNALS: [Signal; 9] = [SIGUSR1, SIGUSR2, SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGTTOU, SIGTTIN, SIGCHLD];

/// Codes of what SIGTERM and SIGINT have ended.
const TERMINATED: u8 = 143;
const INTERRUPTED: u8 = 130;

/// The master's whole state.
struct Master {
    rt: Rt,
    /// The main task.
    main: Cell<lb_rt::TaskKey>,
    state: RefCell<Reload>,
    /// Who waits for the first worker to serve.
    starting: RefCell<Starting>,
    /// Processes of another master that are to go when the worker serves, and how.
    strangers: RefCell<Vec<u32>>,
    goodbye: Signal,
    /// Where the program was started: file names may be relative.
    directory: Option<PathBuf>,
    /// It ends when all workers have.
    leaving: Cell<bool>,
    /// A reload was asked for while one was under way.
    again: Cell<bool>,
    /// A worker has served under this program or one before.
    has_served: Cell<bool>,
    /// What a worker that failed leaves to exit with.
    failure: Cell<u8>,
    /// Set when the master is to end.
    exit: Cell<Option<u8>>,
    /// Its socket and that socket's address.
    socket: Option<cli::Control>,
}

/// Starts a worker and lives until all have gone. Returns in the worker, too: when that has ended.
pub fn run(
    args: &RunArgs,
    config: Config,
    quiet: bool,
    starting: Starting,
    reload: Option<Reload>,
    directory: Option<PathBuf>,
) -> ExitCode {
    let is_first = reload.is_none();
    let mut state = reload.unwrap_or_default();
    state.quiet = quiet;
    state.stays = config.global.process.master_worker.is_some_and(|mode| !mode.exit_on_failure);
    state.max_reloads = config.global.process.max_reloads;
    let fail = |text: String| {
        alert(&text);
        ExitCode::FAILURE
    };
    let socket = match args.master_socket.as_deref().map(cli::Control::open).transpose() {
        Ok(socket) => socket,
        Err(e) if is_first => return fail(e),
        Err(e) => {
            alert(&e);
            None
        }
    };
    if let Some(socket) = &socket {
        crate::environment::set("HAPROXY_MASTER_CLI", socket.address());
    }
    // From here on no signal is lost, whoever gets it.
    let signals = match SignalFd::new(&SIGNALS) {
        Ok(signals) => signals,
        Err(e) => return fail(format!("cannot take signals: {e}")),
    };
    let (near, far) = match fds::pair() {
        Ok(pair) => pair,
        Err(e) => return fail(format!("cannot make a socket for the worker: {e}")),
    };
    crate::environment::append("HAPROXY_CLI", &format!("sockpair@{}", far.as_raw_fd()));
    let old: Vec<u32> = if is_first { args.old.clone() } else { state.serving().map(|worker| worker.pid).collect() };
    let child = match process::fork() {
        Ok(Forked::Parent(child)) => child,
        Ok(Forked::Child) => {
            drop((near, signals, socket));
            // The other sockets are the master's alone: who holds one keeps a worker from noticing that its master has gone.
            let serves = |worker: &Worker| worker.program.is_none() && worker.stage == Stage::Serves;
            let serving = state.workers.into_iter().find(serves).and_then(|worker| worker.channel);
            let from = match (serving, args.sockets_from.as_deref().filter(|_| is_first)) {
                (Some(channel), _) => From::Worker(channel),
                (None, Some(address)) => From::Address(address),
                (None, None) => From::Nobody,
            };
            let starting = match starting.worker(far.as_fd()) {
                Ok(starting) => starting,
                Err(e) => return fail(format!("cannot tell the master: {e}")),
            };
            let serve =
                Serve { config: &config, args, quiet, old: &old, tells_old: false, from, starting, master: Some(far), pidfile: None };
            return serve.run();
        }
        Err(e) => return fail(format!("cannot start a worker: {e}")),
    };
    drop(far);
    state.programs = config.programs;
    state.programs.retain(|program| is_first || program.start_on_reload);
    process::trim_memory();
    let rt = match Rt::new() {
        Ok(rt) => rt,
        Err(e) => return fail(format!("the master has no event loop: {e}")),
    };
    let now = rt.wall().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if is_first {
        state.since = now;
    }
    if !quiet {
        notice(&format!("New worker ({child}) forked"));
    }
    let version = LANGUAGE_VERSION.to_owned();
    state
        .workers
        .insert(0, Worker { pid: child, channel: Some(near), reloads: 0, since: now, stage: Stage::Loading, version, program: None });
    let strangers = if is_first { args.old.clone() } else { Vec::new() };
    let goodbye = if args.terminate_old && is_first { SIGTERM } else { SIGUSR1 };
    live(rt, state, signals, starting, (strangers, goodbye), directory, socket)
}

/// Goes on with the workers that are there: the new configuration is no good.
pub fn after_failure(args: &RunArgs, mut state: Reload, directory: Option<PathBuf>) -> ExitCode {
    state.failed += 1;
    state.last_failed = true;
    warning("Loading failure!");
    let socket = args.master_socket.as_deref().and_then(|text| cli::Control::open(text).map_err(|e| alert(&e)).ok());
    let (signals, rt) = match SignalFd::new(&SIGNALS).and_then(|signals| Ok((signals, Rt::new()?))) {
        Ok(both) => both,
        Err(e) => {
            alert(&format!("the master has no event loop: {e}"));
            return ExitCode::FAILURE;
        }
    };
    notify("READY=1\nSTATUS=Reload failed!\n");
    live(rt, state, signals, Starting::default(), (Vec::new(), SIGUSR1), directory, socket)
}

fn live(
    rt: Rt,
    state: Reload,
    signals: SignalFd,
    starting: Starting,
    (strangers, goodbye): (Vec<u32>, Signal),
    directory: Option<PathBuf>,
    socket: Option<cli::Control>,
) -> ExitCode {
    signal::ignore(SIGPIPE);
    let has_served = state.workers.iter().any(|worker| worker.stage != Stage::Loading);
    let master = Rc::new(Master {
        rt: rt.clone(),
        main: Cell::new(rt.current()),
        state: RefCell::new(state),
        starting: RefCell::new(starting),
        strangers: RefCell::new(strangers),
        goodbye,
        directory,
        leaving: Cell::new(false),
        again: Cell::new(false),
        has_served: Cell::new(has_served),
        failure: Cell::new(0),
        exit: Cell::new(None),
        socket,
    });
    let code = rt.block_on(main(master.clone(), signals));
    rt.kill_all();
    code.unwrap_or_else(|e| {
        alert(&format!("the event loop of the master ended: {e}"));
        ExitCode::FAILURE
    })
}

/// The master's main task.
async fn main(master: Rc<Master>, signals: SignalFd) -> ExitCode {
    master.main.set(master.rt.current());
    let signals = match Signals::new(&master.rt, signals) {
        Ok(signals) => signals,
        Err(e) => {
            alert(&format!("the master cannot watch signals: {e}"));
            return ExitCode::FAILURE;
        }
    };
    master.rt.spawn(watch(master.clone(), signals));
    master.wait_for_word();
    if master.socket.is_some() {
        master.rt.spawn(cli::accept(master.clone()));
    }
    // Children that ended while the program was replaced have sent their signal to the program before.
    master.bury();
    poll_fn(|_| {
        master.rt.progress();
        match master.exit.get() {
            Some(code) => Poll::Ready(ExitCode::from(code)),
            None => Poll::Pending,
        }
    })
    .await
}

async fn watch(master: Rc<Master>, signals: Signals) {
    loop {
        match signals.next().await {
            Ok(SIGCHLD) => master.bury(),
            Ok(SIGUSR2 | SIGHUP) => master.reload(),
            Ok(signal @ (SIGTERM | SIGINT | SIGUSR1)) => master.leave(signal),
            Ok(signal @ (SIGTTOU | SIGTTIN)) => master.tell_all(signal),
            Ok(_) => {}
            Err(e) => {
                alert(&format!("the master cannot watch signals: {e}"));
                return master.leave(SIGTERM);
            }
        }
    }
}

impl Master {
    fn say(&self, tell: fn(&str), text: &str) {
        if !self.state.borrow().quiet {
            tell(text);
        }
    }

    fn end(&self, code: u8) {
        self.exit.set(Some(code));
        self.rt.wake(self.main.get());
    }

    fn tell_all(&self, signal: Signal) {
        for worker in &self.state.borrow().workers {
            let _ = signal::send(worker.pid, signal);
        }
    }

    /// Ends when all workers have ended by `signal`.
    fn leave(&self, signal: Signal) {
        self.say(warning, "Exiting Master process...");
        self.leaving.set(true);
        notify("STOPPING=1\n");
        self.tell_all(signal);
        self.bury();
    }

    /// Waits for the word of the worker that is loading, if one is.
    fn wait_for_word(self: &Rc<Self>) {
        let state = self.state.borrow();
        let Some(worker) = state.workers.iter().find(|worker| worker.stage == Stage::Loading) else { return };
        let Some(channel) = worker.channel.as_ref().and_then(|channel| channel.try_clone().ok()) else { return };
        let (master, pid) = (self.clone(), worker.pid);
        self.rt.spawn(async move {
            let _ = process::set_nonblocking(&channel);
            let channel = Socket::from_fd(&master.rt, channel);
            let mut word = [0];
            // The end of a worker that never serves is told by its death.
            if channel.read(&mut word).await.is_ok_and(|n| n == 1) && word[0] == SERVES {
                master.serves(pid);
            }
        });
    }

    /// A worker serves: the others may go.
    fn serves(&self, pid: u32) {
        let mut state = self.state.borrow_mut();
        let max = state.max_reloads.unwrap_or(u32::MAX);
        let mut signals: Vec<(u32, Signal)> = self.strangers.borrow_mut().drain(..).map(|pid| (pid, self.goodbye)).collect();
        for worker in &mut state.workers {
            if worker.pid == pid {
                worker.stage = Stage::Serves;
            } else {
                worker.stage = Stage::Leaving;
                let too_old = worker.program.is_none() && worker.reloads > max;
                signals.push((worker.pid, if too_old { SIGTERM } else { SIGUSR1 }));
            }
        }
        (state.last_failed, state.failed) = (false, 0);
        drop(state);
        for (pid, signal) in signals {
            let _ = signal::send(pid, signal);
        }
        self.start_programs();
        self.has_served.set(true);
        self.say(notice, "Loading success.");
        self.starting.take().serves();
        notify(&format!("READY=1\nMAINPID={}\nSTATUS=Ready.\n", std::process::id()));
        self.reload_again();
    }

    fn reload_again(&self) {
        if self.again.take() {
            self.reload();
        }
    }

    /// Runs the program anew in this one's place. Does not return when that succeeds.
    fn reload(&self) {
        if self.leaving.get() {
            return;
        }
        if self.state.borrow().workers.iter().any(|worker| worker.stage == Stage::Loading) {
            self.again.set(true);
            return;
        }
        self.say(notice, "Reloading HAProxy");
        notify("RELOADING=1\nSTATUS=Reloading Configuration.\n");
        let mut state = self.state.borrow_mut();
        state.reloads += 1;
        state.workers.iter_mut().for_each(|worker| worker.reloads += 1);
        let error = self.replace(&state);
        state.stay();
        state.failed += 1;
        state.last_failed = true;
        drop(state);
        warning(&format!("Failed to reexecute the master process: {error}"));
        notify("READY=1\nSTATUS=Reload failed!\n");
    }

    fn replace(&self, state: &Reload) -> io::Error {
        if let Err(e) = state.to_environment() {
            return e;
        }
        if let Some(directory) = &self.directory
            && let Err(e) = std::env::set_current_dir(directory)
        {
            return e;
        }
        let pids: Vec<String> = state.workers.iter().map(|worker| worker.pid.to_string()).collect();
        let channel = state.serving().next().and_then(|worker| worker.channel.as_ref()).map(AsRawFd::as_raw_fd);
        let args = arguments(std::env::args_os(), &pids, channel);
        let Some(program) = args.first().cloned() else { return io::ErrorKind::NotFound.into() };
        process::replace(&program, &args)
    }

    /// Takes note of workers that have ended.
    fn bury(&self) {
        loop {
            match process::ended_child() {
                Ok(Some((pid, ended))) => self.ended(pid, ended),
                Ok(None) => return,
                // Nobody is left.
                Err(_) => return self.last_has_gone(),
            }
        }
    }

    fn ended(&self, pid: u32, ended: Ended) {
        let (code, how) = match ended {
            Ended::Code(code) => (code, "Exit".to_owned()),
            Ended::Signal(signal) => (128 + signal, signal::description(signal)),
        };
        let mut state = self.state.borrow_mut();
        let Some(at) = state.workers.iter().position(|worker| worker.pid == pid) else { return };
        let worker = state.workers.remove(at);
        drop(state);
        let is_former = worker.stage == Stage::Leaving;
        let what = if is_former { "Former" } else { "Current" };
        let tell: fn(&str) = if is_former || code < 128 { warning } else { alert };
        let who = worker.program.as_ref().map_or_else(|| "worker".to_owned(), |name| format!("program '{name}'"));
        self.say(tell, &format!("{what} {who} ({pid}) exited with code {code} ({how})"));
        let code = u8::try_from(code).unwrap_or(1);
        match worker.stage {
            Stage::Leaving => {}
            Stage::Loading if self.has_served.get() => {
                {
                    let mut state = self.state.borrow_mut();
                    state.failed += 1;
                    state.last_failed = true;
                }
                warning("Loading failure!");
                notify("READY=1\nSTATUS=Reload failed!\n");
                self.reload_again();
            }
            Stage::Loading => self.failure.set(code.max(1)),
            // Ended as they were told to.
            Stage::Serves if matches!(code, 0 | TERMINATED) => {}
            Stage::Serves if code == INTERRUPTED => self.failure.set(code),
            Stage::Serves => self.has_failed(code),
        }
    }

    /// A worker or a program has ended as it should not: all others go with it, unless the file says otherwise.
    fn has_failed(&self, code: u8) {
        self.failure.set(code);
        if !self.state.borrow().stays && !self.leaving.get() {
            alert("exit-on-failure: killing every processes with SIGTERM");
            self.leaving.set(true);
            self.tell_all(SIGTERM);
        }
    }

    fn last_has_gone(&self) {
        if self.exit.get().is_some() {
            return;
        }
        let code = self.failure.get();
        if self.has_served.get() {
            self.say(warning, &format!("All workers exited. Exiting... ({code})"));
        }
        self.end(code);
    }
}

/// The arguments of the next program: those of this one, with the workers that there are in the place of old processes.
fn arguments(own: impl IntoIterator<Item = OsString>, pids: &[String], channel: Option<i32>) -> Vec<OsString> {
    let mut own = own.into_iter().peekable();
    let mut args: Vec<OsString> = own.next().into_iter().collect();
    if !pids.is_empty() {
        args.push("-sf".into());
        args.extend(pids.iter().map(OsString::from));
    }
    if let Some(channel) = channel {
        args.push("-x".into());
        args.push(format!("sockpair@{channel}").into());
    }
    while let Some(arg) = own.next() {
        match arg.to_str() {
            Some("-sf" | "-st") => while own.next_if(|next| !next.as_encoded_bytes().starts_with(b"-")).is_some() {},
            Some("-x") => drop(own.next()),
            Some("--") => {
                args.push(arg);
                args.extend(own.by_ref());
            }
            _ => args.push(arg),
        }
    }
    args
}

/// A connection to a worker's own command line.
fn connect(worker: &OwnedFd, level: CliLevel) -> io::Result<OwnedFd> {
    crate::handover::open_in_worker(worker.as_fd(), level).map(std::convert::Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_the_next_program() {
        let own = ["lb", "-sf", "1", "2", "-W", "-x", "/old", "-f", "a.cfg", "-st", "3", "--", "-x", "b.cfg"].map(OsString::from);
        let next = arguments(own, &["7".into(), "8".into()], Some(5));
        assert_eq!(next, ["lb", "-sf", "7", "8", "-x", "sockpair@5", "-W", "-f", "a.cfg", "--", "-x", "b.cfg"].map(OsString::from));
        assert_eq!(arguments(["lb", "-W"].map(OsString::from), &[], None), ["lb", "-W"].map(OsString::from));
    }
}
