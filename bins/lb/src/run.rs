//! One run: limits, listeners, threads, signals.

use crate::args::RunArgs;
use crate::check;
use lb_config::Config;
use lb_core::start::{Proxy, Sizes};
use lb_core::worker::{Process, Severity as Notice, Worker};
use lb_rt::Signals;
use lb_sys::process;
use lb_sys::signal::{SIGINT, SIGPIPE, SIGTERM, SIGUSR1, SignalFd, ignore};
use std::io::Write;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Descriptors that are needed beside two per connection: loops, logs, standard streams, checks.
const SPARE_FDS: u64 = 64;

/// Messages of the program, on standard error.
pub fn say(text: &str) {
    // Standard error may be closed: then nobody is there to read.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// What the operator asked for, on standard output.
pub fn print(text: &str) {
    print_bytes(text.as_bytes());
}

/// As [`print`], for what need not be UTF-8.
pub fn print_bytes(bytes: &[u8]) {
    // As above: a reader that has left wants nothing more.
    let _ = std::io::stdout().write_all(bytes);
}

/// A message in haproxy's form.
pub fn alert(text: &str) {
    say(&format!("[ALERT]    ({}) : {text}\n", std::process::id()));
}

/// Reads, checks, runs.
pub fn run(args: &RunArgs) -> ExitCode {
    let loaded = match check::read(args) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let quiet = check::is_quiet(args, &loaded);
    let mut config = loaded.config;
    config.global.nosplice |= args.switches.no_splice;
    config.global.noreuseport |= args.switches.no_reuseport;
    if let Some(maxconn) = args.proxy_maxconn {
        config.proxies.iter_mut().filter(|p| p.kind.is_frontend() && p.maxconn.is_none()).for_each(|p| p.maxconn = Some(maxconn));
    }
    start(&config, args, quiet)
}

fn start(config: &Config, args: &RunArgs, quiet: bool) -> ExitCode {
    let warn = |text: &str| {
        if !quiet {
            say(&format!("[WARNING]  ({}) : {text}\n", std::process::id()));
        }
    };
    let maxconn = match connections(config, args.maxconn, &warn) {
        Ok(maxconn) => maxconn,
        Err(text) => {
            alert(&text);
            return ExitCode::FAILURE;
        }
    };
    let threads = config.global.nbthread.map_or_else(process::cores, usize::from);
    // Before any thread exists, so that all of them inherit the mask.
    let signals = match SignalFd::new(&[SIGUSR1, SIGTERM, SIGINT]) {
        Ok(signals) => signals,
        Err(e) => {
            alert(&format!("cannot take signals: {e}"));
            return ExitCode::FAILURE;
        }
    };
    ignore(SIGPIPE);
    let pid = std::process::id();
    let messenger = Arc::new(Messenger::default());
    let messages = messenger.clone();
    let report = move |severity: Notice, text: &str| {
        if !quiet {
            // In haproxy's form: there are those who watch for it.
            let label = match severity {
                Notice::Warning => "[WARNING] ",
                Notice::Alert => "[ALERT]   ",
            };
            messages.send(format!("{label} ({pid}) : {text}\n"));
        }
    };
    let proxy = match Proxy::open(config, Sizes { threads, maxconn }, Box::new(report)) {
        Ok(proxy) => proxy,
        Err(errors) => {
            for error in errors {
                alert(&error.to_string());
            }
            return ExitCode::FAILURE;
        }
    };
    let hard_stop = config.global.hard_stop_after;
    let ended = proxy.run(move |worker| {
        let task = watch_signals(worker.clone(), signals, hard_stop);
        worker.rt.spawn(task);
    });
    messenger.finish();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            alert(&format!("the event loop ended: {e}"));
            ExitCode::FAILURE
        }
    }
}

/// How long the end waits for its last messages to be written.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Messages that may wait to be written.
const MESSAGES: usize = 1024;

/// Writes messages to standard error from a thread of its own, so that a reader that stops holds up nobody else. The thread starts
/// with the first message: a process with a single thread makes cheaper system calls.
#[derive(Default)]
struct Messenger(Mutex<Option<(SyncSender<String>, Receiver<()>)>>);

impl Messenger {
    /// Sends a message; one that finds a full queue is dropped.
    fn send(&self, text: String) {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (sender, _) = running.get_or_insert_with(|| {
            let (sender, texts) = sync_channel::<String>(MESSAGES);
            let (done, written) = sync_channel(0);
            std::thread::spawn(move || {
                for text in texts {
                    say(&text);
                }
                drop(done);
            });
            (sender, written)
        });
        let _ = sender.try_send(text);
    }

    /// Waits until all is written, but not for a reader that is stuck.
    fn finish(&self) {
        if let Some((sender, written)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            drop(sender);
            let _ = written.recv_timeout(LAST_WORDS);
        }
    }
}

/// The process's `maxconn`: what the file or `-n` says as far as the limit of descriptors allows, else what that limit allows.
///
/// # Errors
/// With `strict-limits`: the file asks for more than there is.
pub fn connections(config: &Config, switch: Option<u32>, warn: &dyn Fn(&str)) -> Result<u32, String> {
    let wanted = switch.or(config.global.maxconn);
    let listeners: u64 = config.proxies.iter().flat_map(|p| &p.binds).map(|b| b.addresses.len() as u64).sum();
    let servers: u64 = config.proxies.iter().map(|p| p.servers.iter().filter(|s| s.check.is_some()).count() as u64).sum();
    let threads = config.global.nbthread.map_or_else(process::cores, usize::from) as u64;
    let fixed = SPARE_FDS + listeners * threads + servers + 4 * threads;
    let (soft, hard) = process::fd_limit().unwrap_or((1024, 1024));
    let ceiling = config.global.fd_hard_limit.map_or(hard, |n| n.min(hard));
    let needed = config.global.ulimit_n.or(wanted.map(|n| u64::from(n) * 2 + fixed)).unwrap_or(ceiling);
    let mut limit = soft;
    if needed > soft {
        // Above the hard limit only a privileged process may go.
        if process::set_fd_limit(needed, hard.max(needed)).is_ok() {
            limit = needed;
        } else if process::set_fd_limit(ceiling, hard).is_ok() {
            limit = ceiling;
        }
    }
    let missing = |text: String| {
        if config.global.strict_limits {
            return Err(text + " Without strict-limits this is a warning.");
        }
        warn(&text);
        Ok(())
    };
    if let Some(n) = config.global.ulimit_n.filter(|n| *n > limit) {
        missing(format!("ulimit-n {n} cannot be had, the limit is {limit}. Raise it (ulimit -H -n) or lower ulimit-n."))?;
    }
    let possible = u32::try_from(limit.saturating_sub(fixed) / 2).unwrap_or(u32::MAX).max(1);
    let Some(wanted) = wanted else { return Ok(possible) };
    if wanted > possible {
        let files = u64::from(wanted) * 2 + fixed;
        missing(format!(
            "maxconn {wanted} needs {files} file descriptors and the limit is {limit}: running with maxconn {possible}. Raise the limit (ulimit -n) or lower maxconn."
        ))?;
    }
    Ok(wanted.min(possible))
}

async fn watch_signals(worker: Rc<Worker>, signals: SignalFd, hard_stop: Option<Duration>) {
    let process = worker.process.clone();
    let Ok(signals) = Signals::new(&worker.rt, signals) else {
        process.report("cannot watch signals: ending");
        return process.end();
    };
    loop {
        match signals.next().await {
            Ok(SIGUSR1) if !process.stopping() => {
                process.stop_softly();
                let rt = worker.rt.clone();
                worker.rt.spawn(drain(rt, process.clone(), hard_stop));
            }
            Ok(SIGUSR1) => {}
            _ => return process.end(),
        }
    }
}

/// Waits for the last connection, then ends.
async fn drain(rt: lb_rt::Rt, process: Arc<Process>, hard_stop: Option<Duration>) {
    let until = hard_stop.map(|d| rt.now() + d);
    std::future::poll_fn(|_| {
        rt.progress();
        if process.gate.is_empty_or_wait(rt.remote(), rt.current()) {
            return std::task::Poll::Ready(());
        }
        // In haproxy's words.
        rt.poll_deadline(until).map(|()| process.report("soft-stop running for too long, performing a hard-stop."))
    })
    .await;
    process.end();
}
