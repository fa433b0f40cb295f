//! What stands before the message of a line. Called by `Logger` only. Holds: a datagram is at most `max_len` bytes and a
//! newline, a line to a descriptor at most `max_len` with its newline.
//!
//! Observed on haproxy 2.6.12: in a datagram the header is built of pieces, each of which goes in only while at least one
//! byte stays free after it; at the first that does not, the line ends; the message is cut to what is left. A line to a
//! descriptor is cut wherever it ends.

use lb_config::{Facility, Level, LogTransportFormat};
use lb_expr::Timestamp;

use super::LogIdentity;
use super::forward::Message;

/// The parts of a header that do not change from line to line.
#[derive(Debug)]
pub(super) struct Prefix {
    format: LogTransportFormat,
    facility: u8,
    cut: Cut,
    /// The format was given: messages of others are brought into it.
    pub(super) own_format: bool,
    /// Pieces between the date and the message.
    pieces: Box<[Box<[u8]>]>,
    /// All of them.
    joined: Box<[u8]>,
}

/// What a line is about.
#[derive(Clone, Copy)]
pub(super) struct Content<'a> {
    pub message: &'a [u8],
    /// In lines of the format rfc5424; empty: none.
    pub structured: &'a [u8],
}

/// Where a line that is too long ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Between two pieces of the header, or within the message.
    Datagram,
    /// Anywhere.
    Stream,
}

/// Index of the structured data among the pieces of the format rfc5424.
const STRUCTURED_DATA: usize = 7;

/// The dates of the second that a thread logged last.
pub(super) struct Dates {
    at: Option<(i64, i32)>,
    rfc3164: [u8; 15],
    iso: [u8; 32],
}

impl Default for Dates {
    fn default() -> Self {
        Self { at: None, rfc3164: [b' '; 15], iso: [b' '; 32] }
    }
}

impl Dates {
    fn set(&mut self, at: Timestamp) {
        let key = (at.unix_secs, at.utc_offset_secs);
        if self.at != Some(key) {
            self.at = Some(key);
            self.rfc3164 = at.rfc3164();
            self.iso = at.iso_micros();
        }
    }

    fn rfc3164(&mut self, at: Timestamp) -> &[u8; 15] {
        self.set(at);
        &self.rfc3164
    }

    /// The microseconds are this line's own.
    fn iso(&mut self, at: Timestamp) -> &[u8; 32] {
        self.set(at);
        let mut micros = at.micros.min(999_999);
        for digit in self.iso[20..26].iter_mut().rev() {
            *digit = b'0' + (micros % 10) as u8;
            micros /= 10;
        }
        &self.iso
    }
}

/// Observed: spaces at the end of structured data are no part of it.
fn without_spaces_behind(data: &[u8]) -> &[u8] {
    &data[..data.iter().rposition(|b| *b != b' ').map_or(0, |at| at + 1)]
}

impl Prefix {
    pub(super) fn new(format: LogTransportFormat, facility: Facility, cut: Cut, identity: &LogIdentity) -> Self {
        let tag = identity.tag.as_bytes();
        let pid = identity.pid.to_string();
        let pid = pid.as_bytes();
        let host = |absent: &'static str| identity.hostname.as_deref().unwrap_or(absent).as_bytes().to_owned();
        let owned = |pieces: &[&[u8]]| pieces.iter().map(|p| Box::from(*p)).collect();
        let pieces: Box<[Box<[u8]>]> = match format {
            LogTransportFormat::Local => owned(&[tag, b"[", pid, b"]", b": "]),
            LogTransportFormat::Rfc3164 => owned(&[&host("localhost"), b" ", tag, b"[", pid, b"]", b": "]),
            LogTransportFormat::Rfc5424 => owned(&[&host("-"), b" ", tag, b" ", pid, b" ", b"- ", b"-", b" "]),
            LogTransportFormat::Priority
            | LogTransportFormat::Short
            | LogTransportFormat::Timed
            | LogTransportFormat::Iso
            | LogTransportFormat::Raw => Box::default(),
        };
        Self { format, facility: facility.code(), cut, own_format: true, joined: pieces.concat().into(), pieces }
    }

    pub(super) fn shows_structured_data(&self) -> bool {
        self.format == LogTransportFormat::Rfc5424
    }

    /// Appends header, message and newline to `line`, which must be empty.
    pub(super) fn frame(&self, level: Level, at: Timestamp, dates: &mut Dates, content: Content<'_>, max_len: usize, line: &mut Vec<u8>) {
        match self.format {
            LogTransportFormat::Local | LogTransportFormat::Rfc3164 => {
                self.priority(level, line);
                line.extend_from_slice(dates.rfc3164(at));
                line.push(b' ');
            }
            LogTransportFormat::Rfc5424 => {
                self.priority(level, line);
                line.extend_from_slice(b"1 ");
                line.extend_from_slice(dates.iso(at));
                line.push(b' ');
            }
            LogTransportFormat::Priority => self.priority(level, line),
            LogTransportFormat::Short => line.extend_from_slice(&[b'<', b'0' + level as u8, b'>']),
            LogTransportFormat::Timed => {
                line.extend_from_slice(&[b'<', b'0' + level as u8, b'>']);
                line.extend_from_slice(dates.iso(at));
                line.push(b' ');
            }
            LogTransportFormat::Iso => {
                line.extend_from_slice(dates.iso(at));
                line.push(b' ');
            }
            LogTransportFormat::Raw => {}
        }
        let max_len = match self.cut {
            Cut::Datagram => max_len,
            Cut::Stream => max_len.saturating_sub(1),
        };
        let mut whole = line.len() <= max_len;
        // `-` stands in its place where there is none.
        let structured = if self.format == LogTransportFormat::Rfc5424 { without_spaces_behind(content.structured) } else { b"" };
        if structured.is_empty() && self.joined.len() < max_len.saturating_sub(line.len()) {
            line.extend_from_slice(&self.joined);
        } else {
            whole = self.pieces(structured, whole, max_len, line);
        }
        if whole {
            let message = content.message;
            line.extend_from_slice(&message[..message.len().min(max_len.saturating_sub(line.len()))]);
        }
        line.truncate(max_len);
        line.push(b'\n');
    }

    /// Appends the message of another program, with the header that its format wants, and a newline to `line`, which must be
    /// empty. Without a format of the target's own the message keeps the form that it came in.
    pub(super) fn reframe(&self, message: &Message<'_>, level: u16, at: Timestamp, dates: &mut Dates, max_len: usize, line: &mut Vec<u8>) {
        use LogTransportFormat as Format;
        let format = match self.format {
            format if self.own_format => format,
            // Observed: what there is of a header decides.
            _ if !message.host.is_empty() => {
                if message.rfc5424 {
                    Format::Rfc5424
                } else {
                    Format::Rfc3164
                }
            }
            _ if !message.app.is_empty() => Format::Local,
            _ if message.priority.is_some() => Format::Priority,
            _ => Format::Raw,
        };
        let facility = message.priority.map_or(u16::from(self.facility), |priority| priority >> 3);
        let mut number = itoa::Buffer::new();
        let max_len = match self.cut {
            Cut::Datagram => max_len,
            Cut::Stream => max_len.saturating_sub(1),
        };
        let mut put = |bytes: &[u8]| line.extend_from_slice(bytes);
        match format {
            Format::Short | Format::Timed => put(&[b'<', b'0' + level as u8, b'>']),
            Format::Iso | Format::Raw => {}
            Format::Local | Format::Rfc3164 | Format::Rfc5424 | Format::Priority => {
                put(b"<");
                put(number.format(facility * 8 + level).as_bytes());
                put(b">");
            }
        }
        match format {
            Format::Local | Format::Rfc3164 => {
                put(&message.time.and_then(|time| time.rfc3164()).unwrap_or_else(|| *dates.rfc3164(at)));
                put(b" ");
            }
            Format::Rfc5424 | Format::Timed | Format::Iso => {
                let now = *dates.iso(at);
                let mut room = [0; 25];
                let written = message.time.as_ref().map(|time| time.iso(now.first_chunk().expect("a date has a year"), &mut room));
                if format == Format::Rfc5424 {
                    put(b"1 ");
                    put(written.unwrap_or(if message.rfc5424 { b"-" } else { &now }));
                } else {
                    put(written.unwrap_or(&now));
                }
                put(b" ");
            }
            Format::Priority | Format::Short | Format::Raw => {}
        }
        let mut whole = line.len() <= max_len;
        let mut pieces = |all: &[&[u8]]| all.iter().for_each(|bytes| whole = self.piece(bytes, whole, max_len, line));
        let or = |field, absent| if <[u8]>::is_empty(field) { absent } else { field };
        match format {
            Format::Rfc5424 => {
                for field in [message.host, message.app, message.pid, message.id, message.structured] {
                    pieces(&[or(field, b"-"), b" "]);
                }
            }
            Format::Local | Format::Rfc3164 => {
                if format == Format::Rfc3164 {
                    pieces(&[or(message.host, b"localhost"), b" "]);
                }
                match (message.app, message.pid) {
                    (b"", _) => {}
                    (app, b"") => pieces(&[app, b": "]),
                    (app, pid) => pieces(&[app, b"[", pid, b"]", b": "]),
                }
            }
            _ => {}
        }
        if whole {
            line.extend_from_slice(message.text);
        }
        line.truncate(max_len);
        line.push(b'\n');
    }

    /// Appends a piece of a header, unless one before did not go in whole; false when the line ends before it.
    fn piece(&self, bytes: &[u8], mut whole: bool, max_len: usize, line: &mut Vec<u8>) -> bool {
        if self.cut == Cut::Datagram {
            whole = whole && bytes.len() < max_len.saturating_sub(line.len());
        }
        if whole {
            line.extend_from_slice(bytes);
        }
        whole
    }

    /// Appends the pieces one by one, as far as they fit; false when not all of them did.
    #[cold]
    fn pieces(&self, structured: &[u8], mut whole: bool, max_len: usize, line: &mut Vec<u8>) -> bool {
        for (at, piece) in self.pieces.iter().enumerate() {
            let piece = if at == STRUCTURED_DATA && !structured.is_empty() { structured } else { piece };
            whole = self.piece(piece, whole, max_len, line);
        }
        whole
    }

    fn priority(&self, level: Level, line: &mut Vec<u8>) {
        line.push(b'<');
        line.extend_from_slice(itoa::Buffer::new().format(u32::from(self.facility) * 8 + level as u32).as_bytes());
        line.push(b'>');
    }
}
