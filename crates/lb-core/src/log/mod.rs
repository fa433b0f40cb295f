//! Log lines on their way out: levels, headers, sinks.
//!
//! Called by sessions (traffic lines), health (state changes) and the process (start and stop). Holds: sending never
//! blocks the caller; whatever could not be sent is counted in [`LogSinks::dropped`]; a line is at most its target's `len`
//! bytes and a newline. The words of a line are lb-expr's.
//!
//! Source: manual section 4.2 `log`; headers and truncation as observed on haproxy 2.6.12.

mod backing;
pub mod deliver;
pub mod forward;
mod header;
mod local_time;
mod profile;
mod ring;
mod sink;

#[cfg(test)]
mod live;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lb_config::{Level, LogAddress, LogProfile, LogSample, LogStep, LogTarget};
use lb_expr::{LogFormat, LogSource, Timestamp};

use forward::Message;
use header::{Content, Cut, Dates, Prefix};
pub use local_time::LocalTime;
use profile::Profile;
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
    /// A target has formats of its own.
    has_profiles: bool,
}

/// What a line says where no profile has anything else.
#[derive(Clone, Copy)]
pub enum Words<'a> {
    /// What the proxy's format makes of it.
    Format(&'a LogFormat),
    /// Fixed words, at most so many bytes of them.
    Fixed(&'a dyn Fn(usize, &mut Vec<u8>)),
    /// Nothing: the proxy has no format.
    Nothing,
}

#[derive(Debug)]
struct Target {
    sink: Arc<Sink>,
    prefix: Prefix,
    level: Level,
    min_level: Level,
    max_len: usize,
    /// Where lines go by a ring, which has a length of its own: longest message by the `len` of the target.
    message_len: usize,
    sample: Option<Sampler>,
    profile: Option<Arc<Profile>>,
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

/// Observed: a message is built once, one byte shorter than the longest line of the process.
fn limit_of(longest: usize) -> usize {
    longest.saturating_sub(1)
}

impl Logger {
    /// Opens (or shares) the sink of each target.
    ///
    /// # Errors
    /// A descriptor that is not open, no socket or thread left.
    pub fn new(targets: &[LogTarget], identity: &LogIdentity, sinks: &LogSinks) -> Result<Self, SinkError> {
        Self::with_profiles(targets, identity, sinks, &[])
    }

    /// As [`Logger::new`], with the `log-profile` sections that targets may name.
    ///
    /// # Errors
    /// As there.
    pub fn with_profiles(
        targets: &[LogTarget],
        identity: &LogIdentity,
        sinks: &LogSinks,
        profiles: &[LogProfile],
    ) -> Result<Self, SinkError> {
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
                let (format, max_len, message_len, own_format) = match sink.ring() {
                    Some(ring) => (ring.format(), ring.settings().max_len + 1, target.max_len, true),
                    None => (target.format, target.max_len, usize::MAX, target.format_given),
                };
                let profile = target.profile.as_ref().and_then(|name| profiles.iter().find(|profile| profile.name == *name));
                let mut identity = identity.clone();
                if let Some(tag) = profile.and_then(|profile| profile.log_tag.clone()) {
                    identity.tag = tag;
                }
                let mut prefix = Prefix::new(format, target.facility, cut, &identity);
                prefix.own_format = own_format;
                Ok(Target {
                    sink,
                    prefix,
                    level: target.level,
                    min_level: target.min_level,
                    max_len,
                    message_len,
                    sample: target.sample.clone().map(|rule| Sampler { rule, seen: AtomicU64::new(0) }),
                    profile: profile.map(|profile| Arc::new(Profile::new(profile))),
                })
            })
            .collect::<Result<Box<[Target]>, SinkError>>()?;
        let message_limit = limit_of(longest.unwrap_or(0));
        let has_profiles = targets.iter().any(|target: &Target| target.profile.is_some());
        Ok(Self { targets, message_limit, has_profiles })
    }

    /// The same in a process whose longest line has `longest` bytes: messages are made up to that, and cut for each target.
    pub fn within(mut self, longest: usize) -> Self {
        self.message_limit = self.message_limit.max(limit_of(longest));
        self
    }

    /// A logger without targets.
    pub fn none() -> Self {
        Self { targets: Box::default(), message_limit: 0, has_profiles: false }
    }

    /// Whether a target has formats of its own, and may get a line where the proxy has none.
    pub fn has_profiles(&self) -> bool {
        self.has_profiles
    }

    /// All formats that targets have of their own.
    pub fn formats(&self) -> impl Iterator<Item = &LogFormat> {
        self.targets.iter().filter_map(|target| target.profile.as_deref()).flat_map(Profile::formats)
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

    /// Writes `format` for `source` and sends it, with `structured` as its structured data where a target shows that. False when it
    /// says nothing: then there is no line, as with haproxy.
    pub fn log<S: LogSource + ?Sized>(
        &self,
        level: Level,
        at: Timestamp,
        format: &LogFormat,
        structured: Option<&LogFormat>,
        source: &S,
    ) -> bool {
        self.compose(level, at, |limit, scratch| {
            if let Some(structured) = structured {
                structured.write(source, limit, &mut scratch.structured);
            }
            format.write(source, limit, &mut scratch.message);
        })
    }

    /// Writes the line of a step: `words`, with `structured` as its structured data, or what the profile of a target has in their place.
    /// False when there is nothing to say, and so no line.
    pub fn log_step<S: LogSource + ?Sized>(
        &self,
        step: LogStep,
        level: Level,
        at: Timestamp,
        words: Words<'_>,
        structured: Option<&LogFormat>,
        source: &S,
    ) -> bool {
        if self.has_profiles {
            self.log_by_profiles(step, level, at, words, structured, source);
            return true;
        }
        match words {
            Words::Format(format) => self.log(level, at, format, structured, source),
            Words::Fixed(write) => self.log_with(level, at, write),
            Words::Nothing => false,
        }
    }

    #[cold]
    fn log_by_profiles<S: LogSource + ?Sized>(
        &self,
        step: LogStep,
        level: Level,
        at: Timestamp,
        words: Words<'_>,
        structured: Option<&LogFormat>,
        source: &S,
    ) {
        with_scratch(|scratch| {
            let Scratch { message, structured: data, line, dates } = scratch;
            for target in self.targets.iter().filter(|target| level <= target.level) {
                let own = target.profile.as_ref().and_then(|profile| profile.at(step));
                let words = match own.and_then(|own| own.format.as_ref()) {
                    _ if own.is_some_and(|own| own.drop) => Words::Nothing,
                    Some(format) => Words::Format(format),
                    None => words,
                };
                message.clear();
                data.clear();
                match words {
                    Words::Nothing => continue,
                    Words::Fixed(write) => write(self.message_limit, message),
                    Words::Format(format) => format.write(source, self.message_limit, message),
                }
                if message.is_empty() {
                    continue;
                }
                if let Some(structured) = own.and_then(|own| own.structured.as_ref()).or(structured) {
                    structured.write(source, self.message_limit, data);
                }
                target.send(level, at, Content { message, structured: data }, line, dates);
            }
        });
    }

    /// Sends the message that `write` appends to the buffer given, at most the limit given; it is not called when no
    /// target takes the level. For the fixed lines of lb-expr (`write_connect`, `write_connection_error`). Targets with a profile, which
    /// have lines by step, do not get it. False when it appends nothing.
    pub fn log_with(&self, level: Level, at: Timestamp, write: impl FnOnce(usize, &mut Vec<u8>)) -> bool {
        self.compose(level, at, |limit, scratch| write(limit, &mut scratch.message))
    }

    fn compose(&self, level: Level, at: Timestamp, write: impl FnOnce(usize, &mut Scratch)) -> bool {
        if !self.wants(level) {
            return true;
        }
        let mut says = false;
        with_scratch(|scratch| {
            scratch.message.clear();
            scratch.structured.clear();
            write(self.message_limit, scratch);
            let Scratch { message, structured, line, dates } = scratch;
            says = !message.is_empty();
            if says {
                self.send_to(|target| target.profile.is_none(), level, at, Content { message, structured }, line, dates);
            }
        });
        says
    }

    /// Sends `message` (no newline at its end) to every target that takes `level`, each with its header for the moment
    /// `at`. Never blocks; what cannot go out now is counted as dropped.
    pub fn send(&self, level: Level, at: Timestamp, message: &[u8]) {
        if !self.wants(level) {
            return;
        }
        with_scratch(|Scratch { line, dates, .. }| {
            self.send_to(|_| true, level, at, Content { message, structured: b"" }, line, dates);
        });
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

    fn send_to(
        &self,
        takes: impl Fn(&Target) -> bool,
        level: Level,
        at: Timestamp,
        content: Content<'_>,
        line: &mut Vec<u8>,
        dates: &mut Dates,
    ) {
        let message = &content.message[..content.message.len().min(self.message_limit)];
        for target in self.targets.iter().filter(|target| level <= target.level && takes(target)) {
            target.send(level, at, Content { message, ..content }, line, dates);
        }
    }
}

impl Target {
    /// Sends a line that the target takes by its level, if it takes it by its sample.
    #[inline]
    fn send(&self, level: Level, at: Timestamp, content: Content<'_>, line: &mut Vec<u8>, dates: &mut Dates) {
        if self.sample.as_ref().is_some_and(|s| !s.takes_next()) {
            return;
        }
        line.clear();
        let message = &content.message[..content.message.len().min(self.message_len)];
        let content = Content { message, ..content };
        // A level more severe than `minlevel` is shown as `minlevel`.
        self.prefix.frame(level.max(self.min_level), at, dates, content, self.max_len, line);
        self.sink.send(line);
    }
}
