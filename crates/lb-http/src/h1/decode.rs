//! Bytes to heads. Called with all bytes of the message so far; goes on where it stopped, so that a head that comes one
//! byte at a time costs no more than one that comes at once, and a bad byte is answered when it comes.

use super::fast;
use super::framing::Seen;
use super::{ErrorKind, H1Error, Limits, MAX_NAME, RequestFraming, ResponseFraming, ResponseTo, RestrictNames};
use crate::head::{Field, Head, Method, Span, Version};
use crate::hop;
use crate::name::FieldId;
use crate::token::{find_control, find_non_token, find_target_end, is_ows};

/// What a call to the decoder came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded<F> {
    /// The head is there. `consumed` bytes of the buffer belong to it; what follows is body or the next message.
    Complete {
        /// Bytes of the buffer that are done with.
        consumed: usize,
        /// Settled once, here.
        framing: F,
    },
    /// More bytes are needed; call again with the same bytes and more behind them.
    Partial,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum State {
    /// Before the first byte; empty lines are skipped here.
    #[default]
    Start,
    /// In the method, or in the version of a status line.
    First,
    Target,
    /// In the version of a request line, or in the status code.
    Third,
    Reason,
    /// CR of the start line seen.
    LineCr,
    /// At the first byte of a line.
    LineStart,
    Name,
    /// Between colon and value.
    ValueStart,
    Value,
    /// CR of a field line seen.
    ValueCr,
    /// LF of a field line seen: the next byte tells whether the line goes on (obs-fold).
    AfterLine,
    /// CR of the last, empty line seen.
    EndCr,
}

/// An incremental decoder of one head after the other.
///
/// Connection-level parts of a message (see [`crate::hop::strip`]) are taken out of the head here, after their meaning has
/// gone into the framing; rules and logs do not see them, as with haproxy.
///
/// The same [`Head`] must be given in every call for one message; until [`Decoded::Complete`] its content is of no use.
/// `buf` must start with the same bytes in every call (it may move in memory). After an error, or to start over, call
/// [`Decoder::reset`].
///
/// ```
/// use lb_http::{Body, Head, h1::{Decoded, Decoder, Limits}};
/// let (mut decoder, mut head) = (Decoder::new(), Head::new());
/// let bytes = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
/// assert_eq!(decoder.decode_request(&bytes[..20], &Limits::default(), &mut head), Ok(Decoded::Partial));
/// let Ok(Decoded::Complete { consumed, framing }) = decoder.decode_request(bytes, &Limits::default(), &mut head)
/// else { panic!() };
/// assert_eq!((&bytes[consumed..], framing.body), (&b"abc"[..], Body::Length(3)));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    state: State,
    /// The start line does not stand in the buffer as it has to be sent.
    rebuild_line: bool,
    /// The version is 2.0 or higher.
    major_over_1: bool,
    /// A value goes on over a line end, which has to become spaces.
    folded: bool,
    /// The name that is being read has foreign bytes (relaxed only).
    bad_name: bool,
    /// Next byte to look at.
    pos: u32,
    /// Start of the element that is being read.
    mark: u32,
    /// Where the start line begins and ends.
    line_start: u32,
    name_len: u32,
    value_start: u32,
    value_end: u32,
    seen: Seen,
}

/// What is being read: both kinds of message share the field machine.
#[derive(Clone, Copy)]
struct Rules<'a> {
    limits: &'a Limits,
    response: bool,
}

impl Decoder {
    /// A decoder before its first byte.
    #[must_use]
    pub fn new() -> Decoder {
        Decoder::default()
    }

    /// Forgets the message under way.
    pub fn reset(&mut self) {
        *self = Decoder::default();
    }

    /// True when bytes of a message have been seen (empty lines before a request do not count).
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.state != State::Start
    }

    /// Decodes a request head from the front of `buf`. On `Complete` the decoder is ready for the next message.
    ///
    /// # Errors
    /// As soon as a byte makes the request unacceptable; [`H1Error::status`] says what to answer.
    pub fn decode_request(&mut self, buf: &[u8], limits: &Limits, head: &mut Head) -> Result<Decoded<RequestFraming>, H1Error> {
        match self.run(buf, Rules { limits, response: false }, head)? {
            None => Ok(Decoded::Partial),
            Some(consumed) => {
                self.finish(&buf[..consumed], head);
                let framing = self.seen.frame_request(head, limits).map_err(|kind| H1Error { kind, offset: consumed })?;
                self.reset();
                Ok(Decoded::Complete { consumed, framing })
            }
        }
    }

    /// Decodes a response head from the front of `buf`. On `Complete` the decoder is ready for the next message.
    ///
    /// # Errors
    /// As soon as a byte makes the response unacceptable: answer the client with 502.
    pub fn decode_response(
        &mut self,
        buf: &[u8],
        limits: &Limits,
        to: ResponseTo,
        head: &mut Head,
    ) -> Result<Decoded<ResponseFraming>, H1Error> {
        match self.run(buf, Rules { limits, response: true }, head)? {
            None => Ok(Decoded::Partial),
            Some(consumed) => {
                self.finish(&buf[..consumed], head);
                let framing = self.seen.frame_response(head, limits, to).map_err(|kind| H1Error { kind, offset: consumed })?;
                self.reset();
                Ok(Decoded::Complete { consumed, framing })
            }
        }
    }

    /// Runs the machine over what is new in `buf`. `Some(n)`: the head ends before byte `n`.
    fn run(&mut self, buf: &[u8], rules: Rules<'_>, head: &mut Head) -> Result<Option<usize>, H1Error> {
        let max = rules.limits.max_head.min(u32::MAX as usize / 2);
        let usable = &buf[..buf.len().min(max)];
        match self.lines(usable, rules, head) {
            Ok(Some(end)) => Ok(Some(end)),
            Ok(None) if usable.len() == max => Err(H1Error { kind: ErrorKind::TooLarge, offset: max }),
            Ok(None) => Ok(None),
            Err(kind) => Err(H1Error { kind, offset: self.pos as usize }),
        }
    }

    /// Takes what comes in whole lines of the common shapes; the byte machine has the rest.
    #[inline]
    fn lines(&mut self, buf: &[u8], rules: Rules<'_>, head: &mut Head) -> Result<Option<usize>, ErrorKind> {
        if self.state == State::Start && self.pos == 0 {
            head.clear();
            let line = if rules.response { fast::status_line(buf, head) } else { fast::request_line(buf, head) };
            if let Some(next) = line {
                self.pos = next as u32;
                self.state = State::LineStart;
                self.field_lines(buf, rules, head)?;
                let end = self.pos as usize;
                if buf.get(end..end + 2) == Some(b"\r\n") {
                    return Ok(Some(end + 2));
                }
            }
        }
        self.scan(buf, rules, head)
    }

    /// Takes field lines from `pos` on, as long as they are whole and of the common shape.
    #[inline(never)]
    fn field_lines(&mut self, buf: &[u8], rules: Rules<'_>, head: &mut Head) -> Result<(), ErrorKind> {
        while let Some(line) = fast::field_line(buf, self.pos as usize) {
            self.take(buf, &line, rules, head)?;
            self.pos = line.next as u32;
            if buf.get(line.next) == Some(&b'\r') {
                break;
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn scan(&mut self, buf: &[u8], rules: Rules<'_>, head: &mut Head) -> Result<Option<usize>, ErrorKind> {
        let mut i = self.pos as usize;
        macro_rules! need {
            () => {
                match buf.get(i) {
                    Some(&b) => b,
                    None => {
                        self.pos = i as u32;
                        return Ok(None);
                    }
                }
            };
        }
        macro_rules! fail {
            ($kind:expr) => {{
                self.pos = i as u32;
                return Err($kind);
            }};
        }
        loop {
            match self.state {
                State::Start => {
                    let b = need!();
                    if b == b'\n' {
                        i += 1;
                        continue;
                    }
                    if b == b'\r' {
                        // An empty line before the message is skipped (RFC 9112 §2.2), a bare CR is not.
                        match buf.get(i + 1) {
                            Some(b'\n') => i += 2,
                            Some(_) => fail!(ErrorKind::BareCr),
                            None => {
                                self.pos = i as u32;
                                return Ok(None);
                            }
                        }
                        continue;
                    }
                    self.mark = i as u32;
                    self.line_start = i as u32;
                    self.state = State::First;
                }
                State::First if rules.response => {
                    let b = need!();
                    match i - self.mark as usize {
                        8 if b == b' ' => {
                            i += 1;
                            self.mark = i as u32;
                            self.state = State::Third;
                        }
                        at => match self.version_byte(at, b, head) {
                            Ok(()) => i += 1,
                            Err(kind) => fail!(kind),
                        },
                    }
                }
                State::First => {
                    i = find_non_token(buf, i);
                    let b = need!();
                    let start = self.mark as usize;
                    if !is_ows(b) || i == start {
                        fail!(if b == b'\r' || b == b'\n' { ErrorKind::Http09 } else { ErrorKind::Method });
                    }
                    head.first = Span::new(start, i);
                    head.method = Method::of(&buf[start..i]);
                    self.rebuild_line |= b != b' ';
                    i += 1;
                    self.mark = i as u32;
                    self.state = State::Target;
                }
                State::Target => {
                    i = find_target_end(buf, i);
                    match need!() {
                        b' ' | b'\t' if i == self.mark as usize => {
                            // More than one space, read as one (RFC 9112 §3).
                            i += 1;
                            self.mark = i as u32;
                            self.rebuild_line = true;
                        }
                        b @ (b' ' | b'\t') => {
                            head.target = Span::new(self.mark as usize, i);
                            self.rebuild_line |= b != b' ';
                            i += 1;
                            self.mark = i as u32;
                            self.state = State::Third;
                        }
                        b'\r' | b'\n' => fail!(ErrorKind::Http09),
                        0x80.. if rules.limits.non_ascii_target || rules.limits.relaxed => i += 1,
                        b'#' if rules.limits.relaxed => i += 1,
                        _ => fail!(ErrorKind::Target),
                    }
                }
                State::Third if rules.response => {
                    let b = need!();
                    match i - self.mark as usize {
                        0 if b == b' ' => {
                            i += 1;
                            self.mark = i as u32;
                            self.rebuild_line = true;
                        }
                        0..3 if b.is_ascii_digit() => {
                            head.status = head.status * 10 + u16::from(b - b'0');
                            i += 1;
                        }
                        3 if matches!(b, b' ' | b'\r' | b'\n') && head.status >= 100 => {
                            self.rebuild_line |= b != b' ';
                            i += usize::from(b == b' ');
                            head.first = Span::new(i, i);
                            self.mark = i as u32;
                            self.state = State::Reason;
                        }
                        _ => fail!(ErrorKind::Status),
                    }
                }
                State::Third => {
                    let b = need!();
                    match i - self.mark as usize {
                        0 if is_ows(b) => {
                            i += 1;
                            self.mark = i as u32;
                            self.rebuild_line = true;
                        }
                        5 if b == b'2' && buf[self.line_start as usize..].starts_with(b"PRI * HTTP/") => fail!(ErrorKind::H2Preface),
                        0 if b == b'\r' || b == b'\n' => fail!(ErrorKind::Http09),
                        8 if b == b'\r' => {
                            i += 1;
                            self.state = State::LineCr;
                        }
                        8 if b == b'\n' => {
                            self.rebuild_line = true;
                            self.state = State::LineCr;
                        }
                        at => match self.version_byte(at, b, head) {
                            Ok(()) => i += 1,
                            Err(kind) => fail!(kind),
                        },
                    }
                }
                State::Reason => {
                    if i == self.mark as usize && need!() == b' ' {
                        i += 1;
                        self.mark = i as u32;
                        self.rebuild_line = true;
                        continue;
                    }
                    i = find_control(buf, i);
                    match need!() {
                        b @ (b'\r' | b'\n') => {
                            head.first = Span::new(self.mark as usize, i);
                            self.rebuild_line |= b == b'\n';
                            i += usize::from(b == b'\r');
                            self.state = State::LineCr;
                        }
                        0 => fail!(ErrorKind::Reason),
                        _ => i += 1,
                    }
                }
                State::LineCr => {
                    if need!() != b'\n' {
                        fail!(ErrorKind::BareCr);
                    }
                    i += 1;
                    head.line_start = self.line_start;
                    head.line_end = if self.rebuild_line { 0 } else { i as u32 };
                    self.state = State::LineStart;
                }
                State::LineStart => match need!() {
                    b'\r' if buf.get(i + 1) == Some(&b'\n') => return Ok(Some(i + 2)),
                    b'\r' => {
                        i += 1;
                        self.state = State::EndCr;
                    }
                    b'\n' => return Ok(Some(i + 1)),
                    _ => {
                        self.pos = i as u32;
                        self.field_lines(buf, rules, head)?;
                        i = self.pos as usize;
                        if !matches!(buf.get(i), Some(b'\r' | b'\n')) {
                            self.mark = i as u32;
                            self.state = State::Name;
                        }
                    }
                },
                State::EndCr => {
                    if need!() != b'\n' {
                        fail!(ErrorKind::BareCr);
                    }
                    return Ok(Some(i + 1));
                }
                State::Name => {
                    i = find_non_token(buf, i);
                    let len = i - self.mark as usize;
                    if len > MAX_NAME {
                        fail!(ErrorKind::NameTooLong);
                    }
                    let b = need!();
                    if b != b':' || len == 0 {
                        if !rules.limits.relaxed || matches!(b, 0 | b'\r' | b'\n' | b':') {
                            fail!(ErrorKind::Name);
                        }
                        // Read, but never forwarded: see `field`.
                        self.bad_name = true;
                        i += 1;
                        continue;
                    }
                    self.name_len = len as u32;
                    i += 1;
                    self.value_start = i as u32;
                    self.state = State::ValueStart;
                }
                State::ValueStart => {
                    while let b = need!()
                        && is_ows(b)
                    {
                        i += 1;
                    }
                    self.value_start = i as u32;
                    self.state = State::Value;
                }
                State::Value => {
                    i = find_control(buf, i);
                    match need!() {
                        b'\r' => {
                            self.value_end = i as u32;
                            i += 1;
                            self.state = State::ValueCr;
                        }
                        b'\n' => {
                            self.value_end = i as u32;
                            i += 1;
                            self.state = State::AfterLine;
                        }
                        0 => fail!(ErrorKind::Value),
                        _ => i += 1,
                    }
                }
                State::ValueCr => {
                    if need!() != b'\n' {
                        fail!(ErrorKind::BareCr);
                    }
                    i += 1;
                    self.state = State::AfterLine;
                }
                State::AfterLine => {
                    let b = need!();
                    if is_ows(b) {
                        // obs-fold (RFC 9112 §5.2): the line goes on, its end becomes spaces.
                        self.folded = true;
                        self.state = if self.value_end == self.value_start { State::ValueStart } else { State::Value };
                        continue;
                    }
                    if let Err(kind) = self.field(buf, i, rules, head) {
                        fail!(kind);
                    }
                    self.state = State::LineStart;
                }
            }
        }
    }

    /// A field line is complete; `next` is where the line after it begins.
    fn field(&mut self, buf: &[u8], next: usize, rules: Rules<'_>, head: &mut Head) -> Result<(), ErrorKind> {
        let (start, name_len) = (self.mark as usize, self.name_len as usize);
        let name = &buf[start..start + name_len];
        if self.bad_name {
            return self.drop_bad_name(name);
        }
        let (value_start, mut value_end) = (self.value_start as usize, self.value_end as usize);
        // A line end can only be there as part of a fold.
        while value_end > value_start && matches!(buf[value_end - 1], b' ' | b'\t' | b'\r' | b'\n') {
            value_end -= 1;
        }
        let verbatim = value_start == start + name_len + 2 && buf[value_start - 1] == b' ' && buf.get(value_end..next) == Some(b"\r\n");
        let line = fast::Line { id: FieldId::of(name), start, name_len, value_start, value_end, next, verbatim };
        self.take(buf, &line, rules, head)
    }

    /// Adds a field line to the head.
    #[inline(always)]
    fn take(&mut self, buf: &[u8], line: &fast::Line, rules: Rules<'_>, head: &mut Head) -> Result<(), ErrorKind> {
        let &fast::Line { id, start, name_len, value_start, value_end, verbatim, .. } = line;
        // haproxy's table has the end of the head as its last entry.
        if head.fields.len() + 1 >= rules.limits.max_headers {
            return Err(ErrorKind::TooManyFields);
        }
        if id != FieldId::Other {
            if Seen::wants(id) && !self.note(id, &buf[value_start..value_end], rules)? {
                return Ok(());
            }
            head.note_present(id);
        } else if rules.limits.names != RestrictNames::Preserve && !rules.response && !is_plain_name(&buf[start..start + name_len]) {
            if rules.limits.names == RestrictNames::Delete {
                return Ok(());
            }
            self.seen.restricted_name = true;
        }
        head.fields.push(Field {
            name_start: start as u32,
            name_len: name_len as u16,
            id,
            verbatim,
            value: Span::new(value_start, value_end),
        });
        Ok(())
    }

    #[inline(never)]
    fn note(&mut self, id: FieldId, value: &[u8], rules: Rules<'_>) -> Result<bool, ErrorKind> {
        if self.folded { self.seen.note(id, &unfolded(value), rules.response) } else { self.seen.note(id, value, rules.response) }
    }

    /// A name that is no token never goes further, whatever the options say; one that a lenient reader could take for a
    /// field that frames or routes is refused even so.
    #[cold]
    fn drop_bad_name(&mut self, name: &[u8]) -> Result<(), ErrorKind> {
        self.bad_name = false;
        let plain: Vec<u8> = name.iter().copied().filter(|b| b.is_ascii_alphanumeric() || *b == b'-').collect();
        match FieldId::of(&plain) {
            FieldId::Host | FieldId::Connection | FieldId::ContentLength | FieldId::TransferEncoding => Err(ErrorKind::Name),
            _ => Ok(()),
        }
    }

    /// Byte `at` of `HTTP/x.y`.
    #[inline]
    fn version_byte(&mut self, at: usize, b: u8, head: &mut Head) -> Result<(), ErrorKind> {
        match at {
            0..5 if b == b"HTTP/"[at] => {}
            5 if b == b'1' => {}
            // As haproxy: a higher version is answered as the highest that is spoken here.
            5 if (b'2'..=b'9').contains(&b) => {
                self.rebuild_line = true;
                self.major_over_1 = true;
            }
            6 if b == b'.' => {}
            7 if b.is_ascii_digit() => {
                let old = b == b'0' && !self.major_over_1;
                head.version = if old { Version::Http10 } else { Version::Http11 };
                self.rebuild_line |= b > b'1';
            }
            _ => return Err(ErrorKind::Version),
        }
        Ok(())
    }

    /// Gives the head its bytes.
    fn finish(&mut self, message: &[u8], head: &mut Head) {
        head.arena.clear();
        head.arena.extend_from_slice(message);
        if self.folded {
            unfold(head);
        }
        hop::strip(head);
    }
}

/// `value` as it will be read by everyone later: line ends inside it are spaces.
#[cold]
fn unfolded(value: &[u8]) -> Vec<u8> {
    value.iter().map(|&b| if matches!(b, b'\r' | b'\n') { b' ' } else { b }).collect()
}

/// Line ends inside values become spaces, in place.
#[cold]
fn unfold(head: &mut Head) {
    let Head { fields, arena, .. } = head;
    for f in fields.iter() {
        for b in arena.get_mut(f.value.start as usize..f.value.end()).unwrap_or_default() {
            if matches!(b, b'\r' | b'\n') {
                *b = b' ';
            }
        }
    }
}

/// A name that `option http-restrict-req-hdr-names` accepts: letters, digits, `-`.
fn is_plain_name(name: &[u8]) -> bool {
    name.iter().all(|&b| b.is_ascii_alphanumeric() || b == b'-')
}
