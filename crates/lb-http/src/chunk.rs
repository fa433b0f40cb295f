//! Chunked transfer coding (RFC 9112 §7.1), decoded without buffering and encoded.
//!
//! Holds: framing bytes are consumed as they come, so a caller's buffer never has to hold a whole chunk header; chunk
//! data is never touched, so it can be copied or spliced; extensions are dropped, trailers are kept and validated.
//! Strict: CRLF only, no sign or space around the size (a server may pad it, see [`Decoder::allow_padding`]), sizes up to
//! 2^63 - 1, bounded extensions and trailers. Trailer fields that would frame, route or steer a message are dropped.

use crate::name::FieldId;
use crate::spelling::Spellings;
use crate::token::{find_control, is_token_byte, trim_ows};
use std::sync::Arc;

/// Most bytes of one chunk's size line: `;` extensions and leading zeros included.
pub const MAX_SIZE_LINE: u32 = 4096;

/// What is wrong with a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ChunkError {
    /// No hexadecimal digit, or one followed by something that cannot follow it.
    #[error("invalid chunk size")]
    Size,
    /// Over 2^63 - 1.
    #[error("chunk size too large")]
    TooLarge,
    /// A control byte in an extension, or a size line over [`MAX_SIZE_LINE`].
    #[error("invalid chunk extension")]
    Extension,
    /// A bare LF, or CR without LF.
    #[error("invalid line end in chunked body")]
    LineEnd,
    /// The data of a chunk is not followed by CRLF.
    #[error("missing chunk end")]
    ChunkEnd,
    /// A trailer field that would be refused in a head, or too many of them.
    #[error("invalid trailer")]
    Trailer,
    /// More data reported moved than the chunk has.
    #[error("more data than the chunk has")]
    Overrun,
}

/// Result of [`Decoder::decode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes at the front of the buffer that were framing and are done with. Drop them first.
    pub consumed: usize,
    /// What comes next.
    pub event: Event,
}

/// What comes next in a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The whole buffer was framing; more bytes are needed. When [`Decoder::remaining`] is not zero they are chunk data
    /// and may be moved without this decoder seeing them (see [`Decoder::advance_data`]).
    NeedMore,
    /// That many bytes (at least one) after the consumed ones are chunk data. Report them, or a part of them, with
    /// [`Decoder::advance_data`] when they have been taken.
    Data(usize),
    /// The body is complete, trailers included. What follows belongs to the next message.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum State {
    /// Before the first digit of a size.
    #[default]
    SizeStart,
    Size,
    /// White space after the size.
    SizeSpace,
    Extension,
    SizeCr,
    Data,
    DataCr,
    DataLf,
    /// At the start of a trailer line.
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerCr,
    EndCr,
    Done,
}

/// Incremental decoder of one chunked body.
///
/// ```
/// use lb_http::chunk::{Decoder, Event};
/// let mut decoder = Decoder::new(8192, 100);
/// let mut input = &b"3;x=1\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\nGET"[..];
/// let mut body = Vec::new();
/// loop {
///     let step = decoder.decode(input).unwrap();
///     input = &input[step.consumed..];
///     match step.event {
///         Event::Data(n) => {
///             body.extend_from_slice(&input[..n]);
///             input = &input[n..];
///             decoder.advance_data(n as u64).unwrap();
///         }
///         Event::End => break,
///         Event::NeedMore => unreachable!(),
///     }
/// }
/// assert_eq!((&body[..], input), (&b"abc"[..], &b"GET"[..]));
/// assert_eq!(decoder.trailers().next(), Some((&b"x-sum"[..], &b"1"[..])));
/// ```
#[derive(Clone, Debug)]
pub struct Decoder {
    state: State,
    size: u64,
    line: u32,
    mark: u32,
    colon: u32,
    fields: u16,
    max_fields: u16,
    max_trailers: u32,
    padding: bool,
    kept: Trailers,
    trailers: Vec<u8>,
}

/// What becomes of trailer fields.
#[derive(Clone, Debug, Default)]
pub enum Trailers {
    /// They go on, names in lower case.
    #[default]
    Keep,
    /// They go on with names in these spellings.
    Spell(Arc<Spellings>),
    /// They are read and dropped.
    Drop,
}

impl Decoder {
    /// A decoder that lets trailers of at most `max_trailer_bytes` in at most `max_trailer_fields` lines pass.
    #[must_use]
    pub fn new(max_trailer_bytes: usize, max_trailer_fields: usize) -> Decoder {
        Decoder {
            state: State::SizeStart,
            size: 0,
            line: 0,
            mark: 0,
            colon: 0,
            fields: 0,
            max_fields: u16::try_from(max_trailer_fields).unwrap_or(u16::MAX),
            max_trailers: u32::try_from(max_trailer_bytes).unwrap_or(u32::MAX),
            padding: false,
            kept: Trailers::Keep,
            trailers: Vec::new(),
        }
    }

    /// Lets spaces and tabs pass between size and CRLF, as some servers write them; meant for responses.
    #[must_use]
    pub fn allow_padding(mut self) -> Decoder {
        self.padding = true;
        self
    }

    /// Says what becomes of trailer fields, which otherwise go on.
    #[must_use]
    pub fn trailers_to(mut self, kept: Trailers) -> Decoder {
        self.kept = kept;
        self
    }

    /// Bytes of data that the current chunk still has; 0 outside a chunk's data.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        if self.state == State::Data { self.size } else { 0 }
    }

    /// True once the body is complete.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Reports `n` bytes of chunk data as taken, from the buffer or past it.
    ///
    /// # Errors
    /// [`ChunkError::Overrun`] when the chunk has fewer than `n` left; nothing changes then.
    pub fn advance_data(&mut self, n: u64) -> Result<(), ChunkError> {
        if n == 0 {
            return Ok(());
        }
        self.size = self.remaining().checked_sub(n).ok_or(ChunkError::Overrun)?;
        if self.size == 0 {
            self.state = State::DataCr;
        }
        Ok(())
    }

    /// Takes from the front of `buf` what may go on as it stands: data, and framing between two chunks that [`write_chunk_end`] and
    /// [`write_size`] would write in the same way. Says how many bytes that is, and how many of them are data. Nothing where the current
    /// chunk ends and what follows is written otherwise, or is not there yet: that is for [`Decoder::decode`].
    #[must_use]
    pub fn pass(&mut self, buf: &[u8]) -> (usize, usize) {
        let (mut passed, mut data) = (0, 0);
        while self.state == State::Data && passed < buf.len() {
            let rest = &buf[passed..];
            match usize::try_from(self.size).ok().and_then(|left| rest.split_at_checked(left)) {
                Some((chunk, behind)) => {
                    let Some((line, size)) = plain_line(behind) else { break };
                    self.size = size;
                    passed += chunk.len() + line;
                    data += chunk.len();
                }
                None => {
                    self.size -= rest.len() as u64;
                    passed += rest.len();
                    data += rest.len();
                }
            }
        }
        (passed, data)
    }

    /// Reads framing from the front of `buf` until data, the end, or the end of `buf`.
    ///
    /// # Errors
    /// The body is malformed; the message cannot be forwarded further and the connection not be reused.
    pub fn decode(&mut self, buf: &[u8]) -> Result<Step, ChunkError> {
        let mut i = 0;
        loop {
            match self.state {
                State::Data => {
                    let here = usize::try_from(self.size).unwrap_or(usize::MAX).min(buf.len() - i);
                    let event = if here == 0 { Event::NeedMore } else { Event::Data(here) };
                    return Ok(Step { consumed: i, event });
                }
                State::Done => return Ok(Step { consumed: i, event: Event::End }),
                _ => {}
            }
            if i == buf.len() {
                return Ok(Step { consumed: i, event: Event::NeedMore });
            }
            i += self.step(buf, i)?;
        }
    }

    /// Takes at least one byte of framing; says how many.
    #[inline]
    fn step(&mut self, buf: &[u8], i: usize) -> Result<usize, ChunkError> {
        let b = buf[i];
        match self.state {
            State::SizeStart | State::Size => self.size_byte(b)?,
            State::SizeSpace | State::Extension => self.extension_byte(b)?,
            State::SizeCr => {
                if b != b'\n' {
                    return Err(ChunkError::LineEnd);
                }
                self.state = if self.size == 0 { State::TrailerStart } else { State::Data };
            }
            State::DataCr if b == b'\r' => self.state = State::DataLf,
            State::DataLf if b == b'\n' => {
                self.state = State::SizeStart;
                self.line = 0;
            }
            State::DataCr | State::DataLf => return Err(ChunkError::ChunkEnd),
            State::TrailerStart | State::TrailerName => self.trailer_name_byte(b)?,
            State::TrailerValue => return self.trailer_value(buf, i),
            State::TrailerCr => {
                if b != b'\n' {
                    return Err(ChunkError::LineEnd);
                }
                self.end_trailer();
            }
            State::EndCr if b == b'\n' => self.state = State::Done,
            State::EndCr => return Err(ChunkError::LineEnd),
            State::Data | State::Done => {}
        }
        Ok(1)
    }

    fn count_line(&mut self) -> Result<(), ChunkError> {
        self.line += 1;
        if self.line > MAX_SIZE_LINE { Err(ChunkError::Extension) } else { Ok(()) }
    }

    #[inline]
    fn size_byte(&mut self, b: u8) -> Result<(), ChunkError> {
        self.count_line()?;
        let digit = match b {
            b'0'..=b'9' => b - b'0',
            b'a'..=b'f' => b - b'a' + 10,
            b'A'..=b'F' => b - b'A' + 10,
            _ if self.state == State::SizeStart => return Err(ChunkError::Size),
            b'\r' => {
                self.state = State::SizeCr;
                return Ok(());
            }
            b' ' | b'\t' => {
                self.state = State::SizeSpace;
                return Ok(());
            }
            b';' => {
                self.state = State::Extension;
                return Ok(());
            }
            b'\n' => return Err(ChunkError::LineEnd),
            _ => return Err(ChunkError::Size),
        };
        if self.state == State::SizeStart {
            (self.state, self.size) = (State::Size, 0);
        }
        if self.size > (i64::MAX as u64) >> 4 {
            return Err(ChunkError::TooLarge);
        }
        self.size = self.size << 4 | u64::from(digit);
        Ok(())
    }

    fn extension_byte(&mut self, b: u8) -> Result<(), ChunkError> {
        self.count_line()?;
        match (b, self.state) {
            // RFC 9112 §7.1.1 knows white space before `;` only.
            (b'\r', State::SizeSpace) if !self.padding => return Err(ChunkError::Size),
            (b'\r', _) => self.state = State::SizeCr,
            (b'\n', _) => return Err(ChunkError::LineEnd),
            (b' ' | b'\t', _) => {}
            (b';', _) => self.state = State::Extension,
            (_, State::SizeSpace) => return Err(ChunkError::Size),
            (0..0x20 | 0x7f, _) => return Err(ChunkError::Extension),
            _ => {}
        }
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), ChunkError> {
        if self.trailers.len() + bytes.len() > self.max_trailers as usize {
            return Err(ChunkError::Trailer);
        }
        self.trailers.extend_from_slice(bytes);
        Ok(())
    }

    fn trailer_name_byte(&mut self, b: u8) -> Result<(), ChunkError> {
        if self.state == State::TrailerStart {
            match b {
                b'\r' => {
                    self.state = State::EndCr;
                    return Ok(());
                }
                b'\n' => return Err(ChunkError::LineEnd),
                _ => {}
            }
            if self.fields == self.max_fields {
                return Err(ChunkError::Trailer);
            }
            self.fields += 1;
            self.state = State::TrailerName;
            self.mark = self.trailers.len() as u32;
        }
        let name_len = self.trailers.len() - self.mark as usize;
        if b == b':' && name_len > 0 {
            self.keep(b": ")?;
            self.colon = self.trailers.len() as u32;
            self.state = State::TrailerValue;
            return Ok(());
        }
        if !is_token_byte(b) || name_len >= crate::h1::MAX_NAME {
            return Err(ChunkError::Trailer);
        }
        self.keep(&[b.to_ascii_lowercase()])
    }

    fn trailer_value(&mut self, buf: &[u8], i: usize) -> Result<usize, ChunkError> {
        match buf[i] {
            b'\r' => {
                self.state = State::TrailerCr;
                return Ok(1);
            }
            b'\n' => return Err(ChunkError::LineEnd),
            b'\t' => {
                self.keep(b"\t")?;
                return Ok(1);
            }
            0..0x20 => return Err(ChunkError::Trailer),
            _ => {}
        }
        let end = find_control(buf, i);
        self.keep(&buf[i..end])?;
        Ok(end - i)
    }

    /// A trailer line is complete: it goes if it must not be there, otherwise its value is trimmed.
    fn end_trailer(&mut self) {
        self.state = State::TrailerStart;
        let (mark, colon) = (self.mark as usize, self.colon as usize);
        let name = self.trailers.get(mark..colon.saturating_sub(2)).unwrap_or_default();
        if is_forbidden_trailer(FieldId::of(name)) || matches!(self.kept, Trailers::Drop) {
            self.trailers.truncate(mark);
            return;
        }
        let value = self.trailers.get(colon..).unwrap_or_default();
        let lead = value.len() - trim_start(value).len();
        let end = colon + lead + trim_ows(value).len();
        self.trailers.truncate(end);
        self.trailers.drain(colon..colon + lead);
        self.trailers.extend_from_slice(b"\r\n");
        if let Trailers::Spell(spellings) = &self.kept {
            spellings.apply_to_fields(&mut self.trailers[mark..]);
        }
    }

    /// Trailer fields so far: name in lower case (or as [`Trailers::Spell`] says), trimmed value.
    pub fn trailers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.trailers.split(|&b| b == b'\n').filter_map(|line| {
            let line = line.strip_suffix(b"\r")?;
            let colon = line.iter().position(|&b| b == b':')?;
            Some((&line[..colon], line.get(colon + 2..)?))
        })
    }

    /// Trailer lines so far as they are to be sent: `name: value CRLF` each, without the final empty line.
    #[must_use]
    pub fn trailer_lines(&self) -> &[u8] {
        &self.trailers
    }
}

/// Fields that a trailer must not have: framing, routing, connection, controls (RFC 9110 §6.5.1).
fn is_forbidden_trailer(id: FieldId) -> bool {
    matches!(
        id,
        FieldId::Host
            | FieldId::Connection
            | FieldId::ContentLength
            | FieldId::TransferEncoding
            | FieldId::Upgrade
            | FieldId::Expect
            | FieldId::KeepAlive
            | FieldId::ProxyConnection
            | FieldId::Te
            | FieldId::Trailer
            | FieldId::Authorization
            | FieldId::Cookie
            | FieldId::SetCookie
            | FieldId::XForwardedFor
    )
}

fn trim_start(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    value
}

/// The end of a chunk and the size line of another one in their plainest form, at the front of `bytes`: their length and the size.
fn plain_line(bytes: &[u8]) -> Option<(usize, u64)> {
    // Fewer digits than would overflow: a greater size is no plain one.
    const DIGITS: usize = 15;
    let rest = bytes.strip_prefix(b"\r\n").filter(|rest| rest.first() != Some(&b'0'))?;
    let mut size = 0;
    for (digits, b) in rest.iter().enumerate().take(DIGITS + 1) {
        let digit = match b {
            b'0'..=b'9' => b - b'0',
            b'a'..=b'f' => b - b'a' + 10,
            b'\r' if digits != 0 && rest.get(digits + 1) == Some(&b'\n') => return Some((2 + digits + 2, size)),
            _ => return None,
        };
        size = size << 4 | u64::from(digit);
    }
    None
}

/// Appends the size line of a chunk of `size` bytes, in lower-case hexadecimal. A size of 0 would end the body: use
/// [`write_last`].
pub fn write_size(size: u64, out: &mut Vec<u8>) {
    let digits = (64 - size.leading_zeros()).div_ceil(4).max(1);
    for i in (0..digits).rev() {
        out.push(b"0123456789abcdef"[(size >> (4 * i) & 15) as usize]);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends what follows the data of a chunk.
pub fn write_chunk_end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n");
}

/// Appends the last chunk, `trailers` ([`Decoder::trailer_lines`], or nothing) and the empty line.
pub fn write_last(trailers: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    out.extend_from_slice(trailers);
    out.extend_from_slice(b"\r\n");
}
