//! Bytes to heads. Called with all bytes of the message so far; goes on where it stopped, so that a head that comes one
//! byte at a time costs no more than one that comes at once, and a bad byte is answered when it comes.

use super::{Body, ErrorKind, H1Error, Limits, MAX_NAME, RequestFraming, ResponseFraming, ResponseTo, RestrictNames};
use crate::head::{Field, Head, Method, Span, Version};
use crate::name::FieldId;
use crate::token::{comma_list, find_control, find_non_token, is_ows};

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

/// Which rules a field value has to obey, gathered over the whole head.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    length: Option<u64>,
    te: bool,
    chunked: bool,
    /// A coding other than chunked.
    te_other: bool,
    close: bool,
    keep_alive: bool,
    upgrade_token: bool,
    upgrade: bool,
    expect: bool,
    hosts: u8,
    lengths: u16,
}

/// An incremental decoder of one head after the other.
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
    /// A fold, bare LF or CR-less line was met: the arena needs mending.
    folded: bool,
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
                let framing = self.frame_request(head).map_err(|kind| H1Error { kind, offset: consumed })?;
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
                let framing = self.frame_response(head, to).map_err(|kind| H1Error { kind, offset: consumed })?;
                self.reset();
                Ok(Decoded::Complete { consumed, framing })
            }
        }
    }

    /// Runs the machine over what is new in `buf`. `Some(n)`: the head ends before byte `n`.
    fn run(&mut self, buf: &[u8], rules: Rules<'_>, head: &mut Head) -> Result<Option<usize>, H1Error> {
        let max = rules.limits.max_head.min(u32::MAX as usize / 2);
        let usable = &buf[..buf.len().min(max)];
        if self.state == State::Start && self.pos == 0 {
            head.clear();
        }
        match self.scan(usable, rules, head) {
            Ok(Some(end)) => Ok(Some(end)),
            Ok(None) if usable.len() == max => Err(H1Error { kind: ErrorKind::TooLarge, offset: max }),
            Ok(None) => Ok(None),
            Err(kind) => Err(H1Error { kind, offset: self.pos as usize }),
        }
    }

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
                    if !rules.response && (b == b'\r' || b == b'\n') {
                        i += 1;
                        continue;
                    }
                    self.mark = i as u32;
                    self.line_start = i as u32;
                    self.state = State::First;
                }
                State::First if rules.response => {
                    // "HTTP/1.x", byte by byte so that garbage is refused when it comes.
                    let b = need!();
                    match i - self.mark as usize {
                        at @ 0..7 if b == b"HTTP/1."[at] => i += 1,
                        7 if b.is_ascii_digit() => {
                            head.version = if b == b'0' { Version::Http10 } else { Version::Http11 };
                            self.folded |= b > b'1';
                            i += 1;
                        }
                        8 if b == b' ' => {
                            i += 1;
                            self.mark = i as u32;
                            self.state = State::Third;
                        }
                        _ => fail!(ErrorKind::Version),
                    }
                }
                State::First => {
                    i = find_non_token(buf, i);
                    let b = need!();
                    let start = self.mark as usize;
                    if b != b' ' || i == start {
                        fail!(if b == b'\r' || b == b'\n' { ErrorKind::Http09 } else { ErrorKind::Method });
                    }
                    head.first = Span::new(start, i);
                    head.method = Method::of(&buf[start..i]);
                    i += 1;
                    self.mark = i as u32;
                    self.state = State::Target;
                }
                State::Target => {
                    let b = need!();
                    match b {
                        b' ' if i > self.mark as usize => {
                            head.target = Span::new(self.mark as usize, i);
                            i += 1;
                            self.mark = i as u32;
                            self.state = State::Third;
                        }
                        b'\r' | b'\n' => fail!(ErrorKind::Http09),
                        0..=0x20 | 0x7f => fail!(ErrorKind::Target),
                        b'#' if !rules.limits.relaxed => fail!(ErrorKind::Target),
                        _ => i += 1,
                    }
                }
                State::Third if rules.response => {
                    let b = need!();
                    match i - self.mark as usize {
                        0..3 if b.is_ascii_digit() => {
                            head.status = head.status * 10 + u16::from(b - b'0');
                            i += 1;
                        }
                        3 if matches!(b, b' ' | b'\r' | b'\n') && head.status >= 100 => {
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
                        at @ 0..7 if b == b"HTTP/1."[at] => i += 1,
                        5 if b == b'2' && buf[self.line_start as usize..].starts_with(b"PRI * HTTP/") => fail!(ErrorKind::H2Preface),
                        7 if b.is_ascii_digit() => {
                            head.version = if b == b'0' { Version::Http10 } else { Version::Http11 };
                            self.folded |= b > b'1';
                            i += 1;
                        }
                        8 if b == b'\r' => {
                            i += 1;
                            self.state = State::LineCr;
                        }
                        8 if b == b'\n' => {
                            self.folded = true;
                            self.state = State::LineCr;
                        }
                        _ => fail!(ErrorKind::Version),
                    }
                }
                State::Reason => {
                    i = find_control(buf, i);
                    match need!() {
                        b'\t' => i += 1,
                        b @ (b'\r' | b'\n') => {
                            head.first = Span::new(self.mark as usize, i);
                            self.folded |= b == b'\n';
                            i += usize::from(b == b'\r');
                            self.state = State::LineCr;
                        }
                        _ if rules.limits.relaxed => i += 1,
                        _ => fail!(ErrorKind::Reason),
                    }
                }
                State::LineCr => {
                    if need!() != b'\n' {
                        fail!(ErrorKind::BareCr);
                    }
                    i += 1;
                    head.line_start = self.line_start;
                    head.line_end = i as u32;
                    self.state = State::LineStart;
                }
                State::LineStart => match need!() {
                    b'\r' => {
                        i += 1;
                        self.state = State::EndCr;
                    }
                    b'\n' => return Ok(Some(i + 1)),
                    _ => {
                        self.mark = i as u32;
                        self.state = State::Name;
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
                        // A name with foreign bytes is never forwarded, whatever the options say.
                        fail!(ErrorKind::Name);
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
    #[inline]
    fn field(&mut self, buf: &[u8], next: usize, rules: Rules<'_>, head: &mut Head) -> Result<(), ErrorKind> {
        let (start, name_len) = (self.mark as usize, self.name_len as usize);
        let (value_start, mut value_end) = (self.value_start as usize, self.value_end as usize);
        while value_end > value_start && is_ows(buf[value_end - 1]) {
            value_end -= 1;
        }
        let name = &buf[start..start + name_len];
        if head.fields.len() >= rules.limits.max_headers {
            return Err(ErrorKind::TooManyFields);
        }
        let id = FieldId::of(name);
        if id == FieldId::Other && rules.limits.names != RestrictNames::Preserve && !rules.response && !is_plain_name(name) {
            return if rules.limits.names == RestrictNames::Delete { Ok(()) } else { Err(ErrorKind::RestrictedName) };
        }
        let verbatim = value_start == start + name_len + 2 && next == value_end + 2 && buf[value_start - 1] == b' ';
        if id != FieldId::Other {
            head.present |= id.bit();
            if !self.note(id, &buf[value_start..value_end], rules)? {
                return Ok(());
            }
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

    /// Gathers what a well-known field says about framing. False: the field is redundant and not kept.
    #[inline]
    fn note(&mut self, id: FieldId, value: &[u8], rules: Rules<'_>) -> Result<bool, ErrorKind> {
        match id {
            FieldId::ContentLength => return self.note_length(value),
            FieldId::TransferEncoding => self.note_coding(value)?,
            FieldId::Connection => {
                for token in comma_list(value) {
                    if token.eq_ignore_ascii_case(b"close") {
                        self.seen.close = true;
                    } else if token.eq_ignore_ascii_case(b"keep-alive") {
                        self.seen.keep_alive = true;
                    } else if token.eq_ignore_ascii_case(b"upgrade") {
                        self.seen.upgrade_token = true;
                    }
                }
            }
            FieldId::Upgrade => self.seen.upgrade = true,
            FieldId::Expect => self.seen.expect |= value.eq_ignore_ascii_case(b"100-continue"),
            FieldId::Host if !rules.response => {
                self.seen.hosts = self.seen.hosts.saturating_add(1);
                if self.seen.hosts > 1 {
                    return Err(ErrorKind::Host);
                }
            }
            _ => {}
        }
        Ok(true)
    }

    /// RFC 9110 §8.6: digits, or a list of equal numbers.
    fn note_length(&mut self, value: &[u8]) -> Result<bool, ErrorKind> {
        let known = self.seen.length.is_some();
        for part in value.split(|&b| b == b',') {
            let digits = crate::token::trim_ows(part);
            if digits.is_empty() {
                return Err(ErrorKind::ContentLength);
            }
            let mut n: u64 = 0;
            for &d in digits {
                if !d.is_ascii_digit() {
                    return Err(ErrorKind::ContentLength);
                }
                n = n.checked_mul(10).and_then(|n| n.checked_add(u64::from(d - b'0'))).ok_or(ErrorKind::ContentLength)?;
            }
            if n > i64::MAX as u64 || self.seen.length.is_some_and(|seen| seen != n) {
                return Err(ErrorKind::ContentLength);
            }
            self.seen.length = Some(n);
        }
        self.seen.lengths = self.seen.lengths.saturating_add(1);
        Ok(!known)
    }

    fn note_coding(&mut self, value: &[u8]) -> Result<(), ErrorKind> {
        self.seen.te = true;
        let mut any = false;
        for coding in comma_list(value) {
            any = true;
            if self.seen.chunked {
                return Err(ErrorKind::TransferEncoding);
            }
            if coding.eq_ignore_ascii_case(b"chunked") {
                self.seen.chunked = true;
            } else {
                self.seen.te_other = true;
            }
        }
        if any { Ok(()) } else { Err(ErrorKind::TransferEncoding) }
    }

    /// Gives the head its bytes.
    fn finish(&mut self, message: &[u8], head: &mut Head) {
        head.arena.clear();
        head.arena.extend_from_slice(message);
        if self.folded {
            self.mend(head);
        }
    }

    /// Rare shapes: folds become spaces, a start line that cannot be sent as it came is marked for rebuilding.
    #[cold]
    fn mend(&mut self, head: &mut Head) {
        head.line_end = 0;
        let Head { fields, arena, .. } = head;
        for f in fields.iter_mut() {
            for b in &mut arena[f.value.start as usize..f.value.end()] {
                if matches!(b, b'\r' | b'\n') {
                    *b = b' ';
                }
            }
        }
    }

    fn frame_request(&self, head: &mut Head) -> Result<RequestFraming, ErrorKind> {
        let s = &self.seen;
        let mut framing = RequestFraming { connect: head.method == Method::Connect, ..RequestFraming::default() };
        let http11 = head.version == Version::Http11;
        framing.keep_alive = !s.close && (http11 || s.keep_alive);
        framing.expect_continue = s.expect && http11;
        framing.upgrade = s.upgrade && s.upgrade_token && http11;
        if s.te {
            if s.te_other {
                return Err(ErrorKind::UnsupportedCoding);
            }
            framing.body = Body::Chunked;
            // RFC 9112 §6.1 and §6.3: both lengths, or a coding that the version does not have.
            if s.length.is_some() || !http11 {
                head.remove_id(FieldId::ContentLength);
                framing.keep_alive = false;
            }
        } else if let Some(n) = s.length {
            framing.body = if n == 0 { Body::None } else { Body::Length(n) };
        }
        Ok(framing)
    }

    fn frame_response(&self, head: &mut Head, to: ResponseTo) -> Result<ResponseFraming, ErrorKind> {
        let s = &self.seen;
        let http11 = head.version == Version::Http11;
        let mut framing = ResponseFraming { body: Body::None, keep_alive: !s.close && (http11 || s.keep_alive), interim: false };
        let status = head.status;
        if status == 101 {
            if !to.upgrade {
                return Err(ErrorKind::UnexpectedUpgrade);
            }
            framing.body = Body::Tunnel;
            framing.keep_alive = false;
        } else if status < 200 {
            framing.interim = true;
        } else if to.connect && status < 300 {
            framing.body = Body::Tunnel;
            framing.keep_alive = false;
        } else if to.head || status == 204 || status == 304 {
            framing.body = Body::None;
        } else if s.te && s.chunked {
            framing.body = Body::Chunked;
        } else if let (false, Some(n)) = (s.te, s.length) {
            framing.body = if n == 0 { Body::None } else { Body::Length(n) };
        } else {
            framing.body = Body::UntilClose;
            framing.keep_alive = false;
        }
        if s.te && s.length.is_some() {
            head.remove_id(FieldId::ContentLength);
            framing.keep_alive = false;
        }
        Ok(framing)
    }
}

/// A name that `option http-restrict-req-hdr-names` accepts: letters, digits, `-`.
fn is_plain_name(name: &[u8]) -> bool {
    name.iter().all(|&b| b.is_ascii_alphanumeric() || b == b'-')
}
