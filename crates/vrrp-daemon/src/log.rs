//! Lines for the operator. They go through a bounded queue to a thread of its own: a console that nobody reads and a full disk delay no
//! election. What finds the queue full is counted and said later.

use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

/// Lines that wait.
pub const QUEUE: usize = 1024;

/// Where lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sink {
    /// Standard error (`-l`).
    Console,
    /// The system's log, as `daemon`.
    Syslog,
}

/// A handle; clones write to the same log.
#[derive(Clone)]
pub struct Log {
    queue: SyncSender<String>,
    lost: Arc<AtomicU64>,
}

impl Log {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(sink: Sink) -> std::io::Result<Log> {
        let (queue, lines) = sync_channel::<String>(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let missed = lost.clone();
        let name = format!("vrrpd[{}]", std::process::id());
        std::thread::Builder::new().name("log".into()).spawn(move || {
            let socket = UnixDatagram::unbound().ok();
            let write = |line: &str| match sink {
                Sink::Console => drop(writeln!(std::io::stderr(), "{line}")),
                // Facility daemon (3), level info (6).
                Sink::Syslog => {
                    if let Some(socket) = &socket {
                        let _ = socket.send_to(format!("<30>{name}: {line}").as_bytes(), "/dev/log");
                    }
                }
            };
            for line in lines {
                write(&line);
                match missed.swap(0, Ordering::Relaxed) {
                    0 => {}
                    many => write(&format!("{many} lines were not written: the log was not read")),
                }
            }
        })?;
        Ok(Log { queue, lost })
    }

    /// Writes a line, or counts it.
    pub fn line(&self, line: String) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(line) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}
