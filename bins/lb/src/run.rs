//! One run: the configuration, then the processes that it asks for, and in the one that serves everything from limits to signals.
//!
//! The order is haproxy's: everything is opened first, then old processes are told to go, then rights are given up; threads come
//! last.

use crate::args::RunArgs;
use crate::daemon::{self, Detached, Starting};
use crate::handover::{self, From};
use crate::messages::{Messenger, alert, alert_line, notice_line, warning, warning_line};
use crate::privileges::Rights;
use crate::signals::{self, SoftStop};
use crate::{check, environment, limits, master, watchdog};
use lb_config::Config;
use lb_core::start::{Proxy, Sizes, StartError};
use lb_core::worker::{Report, Severity as Notice, Worker};
use lb_sys::process;
use lb_sys::signal::{self, SIGPIPE, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1, SignalFd, ignore};
use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

/// Reads, checks, runs.
pub fn run(args: &RunArgs) -> ExitCode {
    let directory = std::env::current_dir().ok();
    let reload = master::Reload::from_environment();
    environment::prepare(args);
    let loaded = match check::read(args) {
        Ok(loaded) => loaded,
        // The workers that are there go on.
        Err(_) if reload.is_some() => return master::after_failure(args, reload.unwrap_or_default(), directory),
        Err(code) => return code,
    };
    let quiet = check::is_quiet(args, &loaded);
    let mut config = loaded.config;
    config.global.nosplice |= args.switches.no_splice;
    config.global.noreuseport |= args.switches.no_reuseport;
    if let Some(maxconn) = args.proxy_maxconn {
        config.proxies.iter_mut().filter(|p| p.kind.is_frontend() && p.maxconn.is_none()).for_each(|p| p.maxconn = Some(maxconn));
    }
    environment::export(&config);
    // As in haproxy: the command line counts more than the file, and `-D` more than what else it says.
    let stays = args.foreground || args.debug || args.notify;
    let in_background = args.daemon || (config.global.daemon && !stays);
    let has_master = args.master || config.global.process.master_worker.is_some() || reload.is_some();
    let pidfile = args.pidfile.as_ref().map(PathBuf::from).or(config.global.pidfile.clone()).filter(|_| in_background || has_master);
    let mut pidfile = match pidfile.filter(|_| reload.is_none()).map(|path| daemon::create_pidfile(&path)).transpose() {
        Ok(file) => file,
        Err(text) => {
            alert(&text);
            return ExitCode::FAILURE;
        }
    };
    let mut starting = Starting::default();
    if in_background && reload.is_none() {
        match daemon::detach() {
            Ok(Detached::Parent(code)) => return code,
            Ok(Detached::Child(child)) => starting = child,
            Err(e) => {
                alert(&format!("cannot go into the background: {e}"));
                return ExitCode::FAILURE;
            }
        }
    }
    if !has_master {
        let from = args.sockets_from.as_deref().map_or(From::Nobody, From::Address);
        return Serve { config: &config, args, quiet, old: &args.old, tells_old: true, from, starting, master: None, pidfile }.run();
    }
    if let Some(file) = &mut pidfile
        && let Err(e) = daemon::write_pid(file)
    {
        warning(&format!("cannot write the pid file: {e}"));
    }
    master::run(args, config, quiet, starting, reload, directory)
}

/// Everything that the process which serves is made of.
pub struct Serve<'a> {
    pub config: &'a Config,
    pub args: &'a RunArgs,
    pub quiet: bool,
    /// Processes before this one.
    pub old: &'a [u32],
    /// They are to go when everything is open; else somebody else tells them.
    pub tells_old: bool,
    /// Who has listening sockets to give.
    pub from: From<'a>,
    pub starting: Starting,
    /// The socket of a worker to its master.
    pub master: Option<OwnedFd>,
    pub pidfile: Option<File>,
}

/// How often, and after which pause, addresses that old processes still hold are tried again.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(20);

/// How often the first thread looks whether the others run.
const START: Duration = Duration::from_millis(1);

impl Serve<'_> {
    /// Runs until it is told to end.
    pub fn run(mut self) -> ExitCode {
        match self.try_run() {
            Ok(ended_by) => {
                if ended_by != 0 {
                    // As every program does that a signal ends; does not return.
                    signal::die_by(ended_by);
                }
                ExitCode::SUCCESS
            }
            Err(texts) => {
                texts.iter().for_each(|text| alert(text));
                ExitCode::FAILURE
            }
        }
    }

    fn try_run(&mut self) -> Result<i32, Vec<String>> {
        let (config, args) = (self.config, self.args);
        let one = |text: String| vec![text];
        let quiet = self.quiet;
        let warn = |text: &str| {
            if !quiet {
                warning(text);
            }
        };
        renice(config.global.process.nice_startup, &warn);
        limits::memory(args.megabytes).map_err(one)?;
        let maxconn = limits::connections(config, args.maxconn, &warn).map_err(one)?;
        let rights = Rights::new(config, args.may_fork).map_err(one)?;
        // Before any thread exists, so that all of them inherit the mask.
        signal::block_only(&signals::ALL);
        let signals = SignalFd::new(&signals::ALL).map_err(|e| vec![format!("cannot take signals: {e}")])?;
        ignore(SIGPIPE);
        let messenger = Arc::new(Messenger::default());
        let report = || reporter(&messenger, quiet);
        let mut proxy = self.open(Sizes { threads: limits::threads(config), maxconn }, &report)?;
        if let Some(mut file) = self.pidfile.take() {
            daemon::write_pid(&mut file).map_err(|e| vec![format!("cannot write the pid file: {e}")])?;
        }
        if self.master.is_some() || exposes(config) {
            proxy.expose_listeners().map_err(|e| vec![format!("cannot keep the listening sockets: {e}")])?;
        }
        let goodbye = if args.terminate_old { SIGTERM } else { SIGUSR1 };
        if self.tells_old {
            // One that has gone already is what was wanted.
            self.tell_old(goodbye);
        }
        rights.drop(&warn).map_err(one)?;
        renice(config.global.process.nice_runtime, &warn);
        let cores = config.global.process.cpu_map.clone();
        let process = proxy.process().clone();
        proxy.prepare_threads(move |thread| {
            if let Err(text) = watchdog::start() {
                process.report(&text);
            }
            let cores = cores.of(u16::try_from(thread + 1).unwrap_or(u16::MAX));
            if let Some(cores) = cores
                && let Err(e) = process::run_on(&cores.iter().map(|core| usize::from(*core)).collect::<Vec<_>>())
            {
                process.report(&format!("cpu-map: thread {} runs anywhere: {e}", thread + 1));
            }
        });
        let stop = SoftStop { grace: config.global.grace, hard_stop_after: config.global.hard_stop_after };
        let ended_by = Arc::new(AtomicI32::new(0));
        if let Some(master) = self.master.take() {
            // It finishes what it does and goes, too.
            proxy.attach_master(master, move |worker| signals::begin_soft_stop(worker, stop));
        }
        let (ended, starting) = (ended_by.clone(), std::mem::take(&mut self.starting));
        let main = move |worker: &Rc<Worker>| {
            let worker = worker.clone();
            worker.rt.clone().spawn(async move {
                // A signal has to reach all threads, and so has a connection that comes right after the word that they serve.
                while !worker.process.all_run() {
                    worker.rt.sleep(START).await;
                }
                worker.rt.spawn(signals::watch(worker.clone(), signals, stop, ended));
                rights.forbid_processes();
                starting.serves();
            });
        };
        let result = proxy.run(main);
        messenger.finish();
        result.map_err(|e| vec![format!("the event loop ended: {e}")])?;
        Ok(ended_by.load(Ordering::Relaxed))
    }

    /// Opens everything, with the sockets of old processes where they fit. Where old processes are in the way they let go of their
    /// addresses for the time that it takes.
    fn open(&self, sizes: Sizes, report: &dyn Fn() -> Report) -> Result<Proxy, Vec<String>> {
        let mut tries = 0;
        loop {
            let old = match handover::gather(&self.from, self.old) {
                // As in haproxy: the same command line has to start a master when there is no old process.
                Err(text) if self.master.is_some() => {
                    if tries == 0 {
                        alert(&text);
                    }
                    handover::gather(&From::Nobody, self.old)
                }
                gathered => gathered,
            };
            let old = old.map_err(|text| vec![text])?;
            let errors = match Proxy::take_over(self.config, sizes, old, report()) {
                Ok(proxy) => return Ok(proxy),
                Err(errors) => errors,
            };
            let in_use = |e: &StartError| matches!(e, StartError::Bind { source, .. } if source.kind() == ErrorKind::AddrInUse);
            let may_help = !self.old.is_empty() && errors.iter().all(in_use);
            if !may_help || tries == TRIES {
                if tries > 0 {
                    self.tell_old(SIGTTIN);
                }
                return Err(errors.iter().map(ToString::to_string).collect());
            }
            if tries == 0 {
                self.tell_old(SIGTTOU);
            }
            tries += 1;
            std::thread::sleep(PAUSE);
        }
    }

    fn tell_old(&self, signal: signal::Signal) {
        for pid in self.old {
            let _ = signal::send(*pid, signal);
        }
    }
}

/// A run-time socket gives the listeners to another process.
fn exposes(config: &Config) -> bool {
    config.global.stats_sockets.iter().any(|socket| socket.expose_listeners)
}

fn reporter(messenger: &Arc<Messenger>, quiet: bool) -> Report {
    let messenger = messenger.clone();
    Box::new(move |severity, text| {
        if !quiet {
            messenger.send(match severity {
                Notice::Notice => notice_line(text),
                Notice::Warning => warning_line(text),
                Notice::Alert => alert_line(text),
            });
        }
    })
}

fn renice(nice: Option<i32>, warn: &dyn Fn(&str)) {
    if let Some(nice) = nice
        && let Err(e) = process::set_priority(nice)
    {
        warn(&format!("cannot set the priority {nice}: {e}"));
    }
}
