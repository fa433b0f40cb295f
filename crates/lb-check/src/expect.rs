//! Whether an answer is what a rule expects. Statuses, texts, and what is waited for are those of HAProxy 2.6.12, as observed.
//!
//! Holds: pure over the bytes so far; what is not decided is decided at the latest when nothing more can come or be kept.

use crate::protocols::Judged;
use crate::response::Found;
use crate::script::{Expect, HeaderMatch, Kind, Match, Pattern, Step, Text};
use crate::status::Status;
use crate::world::View;
use lb_expr::LogFormat;
use memchr::memmem;
use std::borrow::Cow;

/// What a rule made of an answer.
pub(crate) enum Outcome {
    /// More bytes are needed.
    Wait,
    /// It goes on; what the protocol says of the server becomes the info of a success.
    Passed { code: u32, info: Option<Vec<u8>> },
    /// It ends here.
    Failed { status: Status, code: u32, info: Vec<u8> },
}

/// A rule that looks at an answer.
pub(crate) struct Judge<'a> {
    pub kind: Kind,
    pub step: &'a Step,
    pub expect: &'a Expect,
    pub view: View<'a>,
    /// Nothing more comes, or there is no room for more.
    pub last: bool,
}

const EMPTY_FORMAT: &str = "log-format string evaluated to an empty string";
const BAD_HEX: &str = "Failed to parse hexastring resulting of eval of a log-format string";

/// The result of a comparison.
enum Compared {
    Is(bool),
    Wait,
    /// It could not be made.
    Broken(&'static str),
}

impl Judge<'_> {
    /// Over an answer of another protocol than HTTP.
    pub fn bytes(&self, bytes: &[u8]) -> Outcome {
        if bytes.is_empty() {
            if !self.last {
                return Outcome::Wait;
            }
            let mut info = format!("TCPCHK got an empty response at step {}", self.step.number);
            if let Some(comment) = &self.step.comment {
                info.push_str(&format!(" comment: '{comment}'"));
            }
            return self.failed(Status::L7Rsp, 0, info.into_bytes());
        }
        if let Match::Protocol(protocol) = &self.expect.what {
            return match protocol.judge(bytes, self.last) {
                Judged::Wait => Outcome::Wait,
                Judged::Passed { code, info } => Outcome::Passed { code, info },
                Judged::Failed { status: Some(status), code, info } => Outcome::Failed { status, code, info },
                Judged::Failed { status: None, code, info } => self.failed(Status::L7Rsp, code, info),
            };
        }
        match self.compare(bytes) {
            Compared::Wait => Outcome::Wait,
            Compared::Is(true) => Outcome::Passed { code: 0, info: None },
            Compared::Is(false) => self.mismatch(Status::L7Rsp, 0, || self.mismatch_text().into_bytes()),
            Compared::Broken(why) => self.failed(Status::L7Rsp, 0, self.commented(why.into())),
        }
    }

    /// Over an HTTP answer.
    pub fn http(&self, answer: &Found<'_>) -> Outcome {
        let code = answer.status;
        let compared = match &self.expect.what {
            Match::Status(ranges) => Compared::Is(ranges.iter().any(|range| range.contains(&code)) != self.expect.negate),
            Match::StatusRegex(regex) => Compared::Is(regex.is_match(code.to_string().as_bytes()) != self.expect.negate),
            Match::Header(header) => match self.has_field(header, answer) {
                Ok(has) => Compared::Is(has != self.expect.negate),
                Err(why) => Compared::Broken(why),
            },
            _ => {
                let whole = self.last || answer.whole;
                if answer.body.is_empty() {
                    if !whole {
                        return Outcome::Wait;
                    }
                    return self.mismatch(Status::L7Rsp, code, || b"HTTP content check could not find a response body".to_vec());
                }
                let judge = Judge { last: whole, view: self.view, ..*self };
                return match judge.compare(&answer.body) {
                    Compared::Wait => Outcome::Wait,
                    Compared::Is(true) => Outcome::Passed { code, info: None },
                    Compared::Is(false) => self.mismatch(Status::L7Rsp, code, || {
                        let unwanted = self.expect.negate;
                        let text = if unwanted { "HTTP check matched unwanted content" } else { "HTTP content check did not match" };
                        text.into()
                    }),
                    Compared::Broken(why) => self.failed(Status::L7Rsp, code, self.commented(why.into())),
                };
            }
        };
        match compared {
            Compared::Is(true) => Outcome::Passed { code, info: None },
            Compared::Is(false) => self.mismatch(Status::L7Sts, code, || answer.reason.to_vec()),
            Compared::Broken(why) => self.failed(Status::L7Rsp, code, self.commented(why.into())),
            Compared::Wait => Outcome::Wait,
        }
    }

    /// An answer that is no HTTP.
    pub fn no_http(&self) -> Outcome {
        let info = self.expect.on_error.as_ref().map(|format| self.view.text(format)).unwrap_or_default();
        Outcome::Failed { status: Status::L7Rsp, code: 0, info: self.commented(info) }
    }

    /// Compares bytes with a pattern for contents.
    fn compare(&self, bytes: &[u8]) -> Compared {
        let expect = self.expect;
        if !self.last {
            let least = match &expect.what {
                Match::String(text) | Match::Binary(text) => text.len(),
                _ => 0,
            };
            if bytes.len() < least.max(expect.min_recv.unwrap_or_default() as usize) {
                return Compared::Wait;
            }
        }
        let matched = match &expect.what {
            Match::String(text) | Match::Binary(text) => memmem::find(bytes, text).is_some(),
            Match::StringFormat(format) => match self.view.text(format) {
                text if text.is_empty() => return Compared::Broken(EMPTY_FORMAT),
                text => memmem::find(bytes, &text).is_some(),
            },
            Match::BinaryFormat(format) => match self.view.text(format) {
                text if text.is_empty() => return Compared::Broken(EMPTY_FORMAT),
                text => match from_hex(&text) {
                    Some(text) => memmem::find(bytes, &text).is_some(),
                    None => return Compared::Broken(BAD_HEX),
                },
            },
            Match::Regex(regex) => regex.is_match(bytes),
            Match::BinaryRegex(regex) => regex.is_match(&to_hex(bytes)),
            Match::Status(_) | Match::StatusRegex(_) | Match::Header(_) | Match::Protocol(_) => false,
        };
        // With a minimum, what does not match is decided.
        if !matched && !self.last && expect.min_recv.is_none() {
            return Compared::Wait;
        }
        Compared::Is(matched != expect.negate)
    }

    fn has_field(&self, header: &HeaderMatch, answer: &Found<'_>) -> Result<bool, &'static str> {
        let name = self.made(&header.name)?;
        let value = header.value.as_ref().map(|value| self.made(value)).transpose()?;
        Ok(answer.fields().filter(|(known, _)| name.matches(known, true)).any(|(_, found)| match &value {
            None => true,
            Some(value) if header.full => value.matches(&found, false),
            Some(value) => items(&found).any(|item| value.matches(item, false)),
        }))
    }

    /// A pattern whose text is known.
    fn made<'p>(&self, pattern: &'p Pattern) -> Result<Made<'p>, &'static str> {
        let text = |text: &'p Text| match text {
            Text::Plain(text) => Ok(Cow::Borrowed(&**text)),
            Text::Format(format) => match self.view.text(format) {
                text if text.is_empty() => Err(EMPTY_FORMAT),
                text => Ok(Cow::Owned(text)),
            },
        };
        Ok(match pattern {
            Pattern::Exact(t) => Made::Exact(text(t)?),
            Pattern::Begin(t) => Made::Begin(text(t)?),
            Pattern::End(t) => Made::End(text(t)?),
            Pattern::Contains(t) => Made::Contains(text(t)?),
            Pattern::Regex(regex) => Made::Regex(regex),
        })
    }

    /// Fails with what `on-error` says, or else with this.
    fn mismatch(&self, status: Status, code: u32, info: impl FnOnce() -> Vec<u8>) -> Outcome {
        let info = match &self.expect.on_error {
            Some(format) => self.view.text(format),
            None => info(),
        };
        self.failed(status, code, self.commented(info))
    }

    fn failed(&self, status: Status, code: u32, info: Vec<u8>) -> Outcome {
        let status = self.expect.error.unwrap_or(status);
        Outcome::Failed { status, code: self.code(code), info }
    }

    /// What `status-code` says, or else this.
    pub fn code(&self, code: u32) -> u32 {
        match &self.expect.code {
            // As a C program makes a smaller number of it.
            Some(expr) => self.view.number(expr).map_or(0, |number| number as u32),
            None => code,
        }
    }

    fn commented(&self, mut info: Vec<u8>) -> Vec<u8> {
        if let Some(comment) = &self.step.comment {
            info.extend_from_slice(b" comment: ");
            info.extend_from_slice(comment.as_bytes());
        }
        info
    }

    fn mismatch_text(&self) -> String {
        if self.kind != Kind::Tcp {
            return String::new();
        }
        let what = match &self.expect.what {
            Match::String(text) => format!("'{}'", String::from_utf8_lossy(text)),
            Match::Binary(_) => "(binary)".to_owned(),
            Match::StringFormat(_) => "(log-format string)".to_owned(),
            Match::BinaryFormat(_) => "(log-format binary)".to_owned(),
            Match::Regex(_) => "(regex)".to_owned(),
            Match::BinaryRegex(_) => "(binary regex)".to_owned(),
            Match::Status(_) | Match::StatusRegex(_) | Match::Header(_) | Match::Protocol(_) => String::new(),
        };
        let how = if self.expect.negate { "matched unwanted" } else { "did not match" };
        format!("TCPCHK {how} content {what} at step {}", self.step.number)
    }
}

/// What a rule is called where it did not come to an end: ` (expect string 'x')`.
pub(crate) fn name_of(what: &Match) -> Vec<u8> {
    let quoted = |what: &str, text: &[u8]| [what.as_bytes(), b" '", text, b"'"].concat();
    match what {
        Match::String(text) => quoted("expect string", text),
        Match::Binary(text) => quoted("expect binary", text),
        Match::StringFormat(_) => b"expect log-format string".to_vec(),
        Match::BinaryFormat(_) => b"expect log-format binary".to_vec(),
        Match::Regex(_) => b"expect regex".to_vec(),
        Match::BinaryRegex(_) => b"expect binary regex".to_vec(),
        Match::Status(_) | Match::StatusRegex(_) | Match::Header(_) | Match::Protocol(_) => b"expect".to_vec(),
    }
}

/// A pattern at the moment of a comparison.
enum Made<'p> {
    Exact(Cow<'p, [u8]>),
    Begin(Cow<'p, [u8]>),
    End(Cow<'p, [u8]>),
    Contains(Cow<'p, [u8]>),
    Regex(&'p lb_expr::regex::Regex),
}

impl Made<'_> {
    /// `any_case`: letters of either case are the same. A regular expression has that compiled in.
    fn matches(&self, bytes: &[u8], any_case: bool) -> bool {
        let same = |a: &[u8], b: &[u8]| if any_case { a.eq_ignore_ascii_case(b) } else { a == b };
        match self {
            Made::Exact(text) => same(bytes, text),
            Made::Begin(text) => bytes.get(..text.len()).is_some_and(|start| same(start, text)),
            Made::End(text) => bytes.len().checked_sub(text.len()).is_some_and(|at| same(&bytes[at..], text)),
            Made::Contains(text) if any_case => memmem::find(&bytes.to_ascii_lowercase(), &text.to_ascii_lowercase()).is_some(),
            Made::Contains(text) => memmem::find(bytes, text).is_some(),
            Made::Regex(regex) => regex.is_match(bytes),
        }
    }
}

/// Items of a list; a comma in quotes is part of its item.
fn items(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    let is_comma = move |b: &u8| {
        let was_escaped = std::mem::replace(&mut escaped, false);
        match b {
            b'\\' if quoted && !was_escaped => escaped = true,
            b'"' if !was_escaped => quoted = !quoted,
            b',' if !quoted => return true,
            _ => {}
        }
        false
    };
    value.split(is_comma).map(<[u8]>::trim_ascii)
}

/// Bytes of hexadecimal digits; `None`: they are none, or not two for each byte.
pub fn from_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return None;
    }
    digits.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

fn to_hex(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]).collect()
}

/// What a format makes, where there is one.
pub(crate) fn said(format: Option<&LogFormat>, view: &View<'_>) -> Option<Vec<u8>> {
    format.map(|format| view.text(format))
}
