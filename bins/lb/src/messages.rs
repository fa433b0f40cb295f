//! What the program says: to the operator in haproxy's form, on standard error, and what was asked for, on standard output.

use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

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

/// Why something cannot go on.
pub fn alert(text: &str) {
    say(&alert_line(text));
}

/// Something that is to be known.
pub fn warning(text: &str) {
    say(&warning_line(text));
}

/// What happens.
pub fn notice(text: &str) {
    say(&notice_line(text));
}

/// A line of [`notice`].
pub fn notice_line(text: &str) -> String {
    format!("[NOTICE]   ({}) : {text}\n", std::process::id())
}

/// A line of [`alert`].
pub fn alert_line(text: &str) -> String {
    format!("[ALERT]    ({}) : {text}\n", std::process::id())
}

/// A line of [`warning`].
pub fn warning_line(text: &str) -> String {
    format!("[WARNING]  ({}) : {text}\n", std::process::id())
}

/// How long the end waits for its last messages to be written.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Messages that may wait to be written.
const MESSAGES: usize = 1024;

/// Writes messages to standard error from a thread of its own, so that a reader that stops holds up nobody else. The thread starts
/// with the first message: a process with a single thread makes cheaper system calls.
#[derive(Default)]
pub struct Messenger(Mutex<Option<(SyncSender<String>, Receiver<()>)>>);

impl Messenger {
    /// Sends a message; one that finds a full queue is dropped.
    pub fn send(&self, text: String) {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if running.is_none() {
            let (sender, texts) = sync_channel::<String>(MESSAGES);
            let (done, written) = sync_channel(0);
            let write = move || {
                for text in texts {
                    say(&text);
                }
                drop(done);
            };
            // A process that may start no thread writes by itself.
            if std::thread::Builder::new().name("messages".into()).spawn(write).is_err() {
                return say(&text);
            }
            *running = Some((sender, written));
        }
        if let Some((sender, _)) = &*running {
            let _ = sender.try_send(text);
        }
    }

    /// Waits until all is written, but not for a reader that is stuck.
    pub fn finish(&self) {
        if let Some((sender, written)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            drop(sender);
            let _ = written.recv_timeout(LAST_WORDS);
        }
    }
}
