//! Log lines on their way out: levels, headers, sinks.
//!
//! Called by sessions (traffic lines), health (state changes) and the process (start and stop). Holds: sending never
//! blocks the caller; whatever could not be sent is counted in [`LogSinks::dropped`]; a line is at most its target's `len`
//! bytes and a newline. The words of a line are lb-expr's.
//!
//! Source: manual section 4.2 `log`; headers and truncation as observed on haproxy 2.6.12.

pub mod deliver;
pub mod forward;
mod header;
mod local_time;
mod ring;
mod sink;

#[cfg(test)]
mod live;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lb_config::{Level, LogAddress, LogSample, LogTarget};
use lb_expr::{LogFormat, LogSource, Timestamp};

use forward::Message;
use header::{Content, Cut, Dates, Prefix};
pub use local_time::LocalTime;
pub use ring::Ring;
use sink::Sink;
pub use sink::{LogSinks, SinkError};

/// What a logger says of itself in its headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogIdentity {
    /// `log-tag` of the proxy or the process; haproxy's default is its program name.
    pub tag: String,
    /// Process id.
    pub pid: u32,
    /// Host name from `log-send-hostname`; `None`: RFC 3164 lines say `localhost`, RFC 5424 lines `-`.
    pub hostname: Option<String>,
}

/// The `log` lines of one proxy, ready to send. Shared between threads by reference.
#[derive(Debug)]
pub struct Logger {
    targets: Box<[Target]>,
    message_limit: usize,
}

#[derive(Debug)]
struct Target {
    sink: Arc<Sink>,
    prefix: Prefix,
    level: Level,
    min_level: Level,
    max_len: usize,
    sample: Option<Sampler>,
}

/// `sample`: counts the lines of one target.
#[derive(Debug)]
struct Sampler {
    rule: LogSample,
    seen: AtomicU64,
}

impl Sampler {
    fn takes_next(&self) -> bool {
        let number = self.seen.fetch_add(1, Ordering::Relaxed) % u64::from(self.rule.size.max(1)) + 1;
        self.rule.ranges.iter().any(|range| (u64::from(*range.start())..=u64::from(*range.end())).contains(&number))
    }
}

/// Buffers that a thread's lines reuse.
#[derive(Default)]
struct Scratch {
    message: Vec<u8>,
    structured: Vec<u8>,
    line: Vec<u8>,
    dates: Dates,
}

thread_local! {
    // Buffers and a cache of pure values, nothing that belongs to one proxy. Taken out while in use, so that a source
    // which itself logs finds none and no borrow fails.
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// Lends this thread's buffers.
fn with_scratch(work: impl FnOnce(&mut Scratch)) {
    SCRATCH.with(|cell| {
        let mut scratch = cell.take().unwrap_or_default();
        work(&mut scratch);
        cell.set(Some(scratch));
    });
}

impl Logger {
    /// Opens (or shares) the sink of each target.
    ///
    /// # Errors
    /// A descriptor that is not open, no socket or thread left.
    pub fn new(targets: &[LogTarget], identity: &LogIdentity, sinks: &LogSinks) -> Result<Self, SinkError> {
        let longest = targets.iter().map(|t| t.max_len).max();
        let targets = targets
            .iter()
            .map(|target| {
                let cut = match target.address {
                    LogAddress::Udp(_) | LogAddress::Unix(_) => Cut::Datagram,
                    LogAddress::Stdout | LogAddress::Stderr | LogAddress::Fd(_) | LogAddress::Ring(_) => Cut::Stream,
                };
                let sink = sinks.get(&target.address)?;
                // A ring has its own format and length; the line feed, which a stream's length counts, does not go in.
                let (format, max_len, own_format) = match sink.ring() {
                    Some(ring) => (ring.format(), ring.settings().max_len + 1, true),
                    None => (target.format, target.max_len, target.format_given),
                };
                let mut prefix = Prefix::new(format, target.facility, cut, identity);
                prefix.own_format = own_format;
                Ok(Target {
                    sink,
                    prefix,
                    level: target.level,
                    min_level: target.min_level,
                    max_len,
                    sample: target.sample.clone().map(|rule| Sampler { rule, seen: AtomicU64::new(0) }),
                })
            })
            .collect::<Result<Box<[Target]>, SinkError>>()?;
        // Observed: a message is built once, one byte shorter than the longest line that any target takes.
        let message_limit = longest.unwrap_or(0).saturating_sub(1);
        Ok(Self { targets, message_limit })
    }

    /// A logger without targets.
    pub fn none() -> Self {
        Self { targets: Box::default(), message_limit: 0 }
    }

    /// Whether any target takes lines of this level: a line that nobody takes need not be written.
    pub fn wants(&self, level: Level) -> bool {
        self.targets.iter().any(|t| level <= t.level)
    }

    /// Longest message in bytes that a target can take: the limit to write a log format with.
    pub fn message_limit(&self) -> usize {
        self.message_limit
    }

    /// Whether any target shows structured data: its format is rfc5424.
    pub fn shows_structured_data(&self) -> bool {
        self.targets.iter().any(|t| t.prefix.shows_structured_data())
    }

    /// Writes `format` for `source` and sends it, with `structured` as its structured data where a target shows that.
    pub fn log<S: LogSource + ?Sized>(&self, level: Level, at: Timestamp, format: &LogFormat, structured: Option<&LogFormat>, source: &S) {
        self.compose(level, at, |limit, scratch| {
            if let Some(structured) = structured {
                structured.write(source, limit, &mut scratch.structured);
            }
            format.write(source, limit, &mut scratch.message);
        });
    }

    /// Sends the message that `write` appends to the buffer given, at most the limit given; it is not called when no
    /// target takes the level. For the fixed lines of lb-expr (`write_connect`, `write_connection_error`).
    pub fn log_with(&self, level: Level, at: Timestamp, write: impl FnOnce(usize, &mut Vec<u8>)) {
        self.compose(level, at, |limit, scratch| write(limit, &mut scratch.message));
    }

    fn compose(&self, level: Level, at: Timestamp, write: impl FnOnce(usize, &mut Scratch)) {
        if !self.wants(level) {
            return;
        }
        with_scratch(|scratch| {
            scratch.message.clear();
            scratch.structured.clear();
            write(self.message_limit, scratch);
            let Scratch { message, structured, line, dates } = scratch;
            self.send_to_all(level, at, message, structured, line, dates);
        });
    }

    /// Sends `message` (no newline at its end) to every target that takes `level`, each with its header for the moment
    /// `at`. Never blocks; what cannot go out now is counted as dropped.
    pub fn send(&self, level: Level, at: Timestamp, message: &[u8]) {
        if !self.wants(level) {
            return;
        }
        with_scratch(|Scratch { line, dates, .. }| self.send_to_all(level, at, message, b"", line, dates));
    }

    /// Sends the message of another program to every target that takes its level: in its own form where a target has no format.
    /// A message without a priority has the target's facility and the highest level, as haproxy has it.
    pub fn forward(&self, message: &Message<'_>, at: Timestamp) {
        with_scratch(|Scratch { line, dates, .. }| {
            let level = message.priority.map_or(0, |priority| priority & 7);
            for target in &self.targets {
                if level > target.level as u16 || target.sample.as_ref().is_some_and(|s| !s.takes_next()) {
                    continue;
                }
                line.clear();
                target.prefix.reframe(message, level.max(target.min_level as u16), at, dates, target.max_len, line);
                target.sink.send(line);
            }
        });
    }

    fn send_to_all(&self, level: Level, at: Timestamp, message: &[u8], structured: &[u8], line: &mut Vec<u8>, dates: &mut Dates) {
        let message = &message[..message.len().min(self.message_limit)];
        for target in &self.targets {
            if level > target.level || target.sample.as_ref().is_some_and(|s| !s.takes_next()) {
                continue;
            }
            line.clear();
            // A level more severe than `minlevel` is shown as `minlevel`.
            let content = Content { message, structured };
            target.prefix.frame(level.max(target.min_level), at, dates, content, target.max_len, line);
            target.sink.send(line);
        }
    }
}
