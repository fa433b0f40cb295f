//! Lines for the operator. They go through a bounded queue to a thread of its own: a console that nobody reads and a full disk delay no
//! election. What finds the queue full is counted and said later.

use crate::ending::{Ending, Unfinished, ending};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Lines that wait.
pub const QUEUE: usize = 1024;
/// How long the end of the program waits for lines that are still to be written.
pub const LAST_WORDS: Duration = Duration::from_secs(1);

/// The facility of daemons.
pub const DAEMON: u8 = 3;

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sink {
    /// What stands before a line in the system's log.
    pub ident: String,
    /// Standard error (`-l`), each line with its date.
    pub console: bool,
    /// The system's log with this facility (`-S`); none with `-G`.
    pub facility: Option<u8>,
    /// A file (`-g`), each line with its date.
    pub file: Option<PathBuf>,
}

impl Sink {
    /// The console alone.
    pub fn console() -> Sink {
        Sink { ident: String::new(), console: true, facility: None, file: None }
    }
}

/// keepalived writes a file for each of its processes: `_vrrp` stands before the last dot of the name's last part.
pub fn file_of_process(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = match name.rsplit_once('.') {
        Some((stem, extension)) => format!("{stem}_vrrp.{extension}"),
        None => format!("{name}_vrrp"),
    };
    path.with_file_name(name)
}

/// A moment as the console and `keepalived.data` have it: `Sat Nov 28 12:05:16 2026`.
pub fn date(at: SystemTime) -> String {
    written(at, c"%a %b %e %H:%M:%S %Y")
}

fn written(at: SystemTime, format: &std::ffi::CStr) -> String {
    let seconds = at.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    lb_sys::localtime::written(i64::try_from(seconds).unwrap_or(i64::MAX), format)
}

/// Writes lines at once, without a thread: those of a start that comes to nothing. What cannot be written within [`LAST_WORDS`] is lost.
pub fn write(sink: Sink, lines: &[String]) {
    if let Ok(mut writer) = Writer::new(sink) {
        let _ = writer.socket.as_ref().map(|socket| socket.set_write_timeout(Some(LAST_WORDS)));
        lines.iter().for_each(|line| writer.write(lb_rt::clock::wall(), line));
    }
}

/// A handle; clones write to the same log.
#[derive(Clone)]
pub struct Log {
    queue: SyncSender<(SystemTime, String)>,
    lost: Arc<AtomicU64>,
}

struct Writer {
    sink: Sink,
    name: String,
    socket: Option<UnixDatagram>,
    file: Option<File>,
}

impl Writer {
    fn new(sink: Sink) -> std::io::Result<Writer> {
        let file = match &sink.file {
            Some(path) => Some(OpenOptions::new().append(true).create(true).mode(0o644).open(path)?),
            None => None,
        };
        let name = format!("{}[{}]", sink.ident, std::process::id());
        Ok(Writer { sink, name, socket: UnixDatagram::unbound().ok(), file })
    }

    fn write(&mut self, at: SystemTime, line: &str) {
        if self.sink.console || self.file.is_some() {
            let dated = format!("{}: {line}\n", date(at));
            if self.sink.console {
                let _ = std::io::stderr().write_all(dated.as_bytes());
            }
            if let Some(file) = &mut self.file {
                let _ = file.write_all(dated.as_bytes());
            }
        }
        if let (Some(facility), Some(socket)) = (self.sink.facility, &self.socket) {
            // Level info (6); as the C library writes it.
            let line = format!("<{}>{} {}: {line}", u32::from(facility) * 8 + 6, written(at, c"%b %e %H:%M:%S"), self.name);
            let _ = socket.send_to(line.as_bytes(), "/dev/log");
        }
    }
}

impl Log {
    /// Starts the thread that writes. It ends when everything has been written and all handles are gone; wait for it at most [`LAST_WORDS`].
    ///
    /// # Errors
    /// When no thread can be started or the file cannot be opened.
    pub fn start(sink: Sink) -> std::io::Result<(Log, Ending)> {
        let (queue, lines) = sync_channel::<(SystemTime, String)>(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let missed = lost.clone();
        let mut writer = Writer::new(sink)?;
        let (unfinished, ending) = ending();
        let write = move |_unfinished: Unfinished| {
            for (at, line) in lines {
                writer.write(at, &line);
                match missed.swap(0, Ordering::Relaxed) {
                    0 => {}
                    many => writer.write(at, &format!("{many} lines were not written: the log was not read")),
                }
            }
        };
        std::thread::Builder::new().name("log".into()).spawn(move || write(unfinished))?;
        Ok((Log { queue, lost }, ending))
    }

    /// Writes a line, or counts it.
    pub fn line(&self, line: String) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send((lb_rt::clock::wall(), line)) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lines that nobody has been told of yet as lost.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_its_own() {
        let of = |path: &str| file_of_process(Path::new(path)).to_string_lossy().into_owned();
        assert_eq!(of("/var/log/k.log"), "/var/log/k_vrrp.log");
        assert_eq!(of("/var/log.d/k"), "/var/log.d/k_vrrp");
        assert_eq!(of("a.b.c"), "a.b_vrrp.c");
    }

    #[test]
    fn lines_have_a_date_and_the_last_one_is_waited_for() {
        let path = std::env::temp_dir().join(format!("vrrp-log-{}", std::process::id()));
        let sink = Sink { console: false, file: Some(path.clone()), ..Sink::console() };
        let (log, ending) = Log::start(sink).expect("a thread");
        log.line("one".into());
        log.line("two".into());
        drop(log);
        ending.wait(LAST_WORDS);
        let text = std::fs::read_to_string(&path).expect("it was made");
        let _ = std::fs::remove_file(&path);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.len() == 2 && lines[0].ends_with(": one") && lines[1].ends_with(": two"), "{text}");
        assert_eq!(lines[0].len(), "Sat Nov 28 12:05:16 2026: one".len());
    }
}
