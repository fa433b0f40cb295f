//! Operations to bytes. Called by `LogFormat::write` and by the fixed lines of `connection.rs`. Holds: at most `limit`
//! bytes are appended; nothing is allocated beyond the output's growth, which happens at most once per line.
//!
//! What happens at the limit was observed on haproxy 2.6.12: literals and unquoted text are cut; numbers, dates,
//! addresses and quoted text are left out whole; an encoded or backslashed string stops before the byte whose encoding
//! does not fit with one byte to spare, and what follows it still goes in while it fits. After a cut or a value left out
//! the line ends.

use std::io::Write as _;
use std::net::IpAddr;

use super::alias::{RequestPart, Show};
use super::escape::{HEX, Set, hashed};
use super::{CaptureSide, Field, Flags, LogFormat, LogSource, LogValue, Op};
use crate::Timestamp;
use crate::sample::{Expr, Type};
use crate::time::pair;

/// The line is full: nothing more goes in.
pub(crate) struct Full;

type Fit = Result<(), Full>;

/// The output of one line.
///
/// The buffer is kept longer than what was written, so that short values of varying length are stores into it and not
/// calls; `finish` cuts it back.
pub(crate) struct Writer {
    out: Vec<u8>,
    /// Where the next byte goes; `out` is at least that long.
    at: usize,
    /// The value of `at` with which the line is full.
    end: usize,
    /// The value of `at` up to which neither the buffer nor the limit ends.
    soft: usize,
    /// The byte written last was a space, or nothing was written yet: a separator adds nothing.
    spaced: bool,
}

/// Room for any value of bounded length, so that one comparison covers it: the longest are a date (26 bytes) and a 64-bit
/// number with its sign (21).
const AMPLE: usize = 32;

/// Bytes that the buffer is prepared for at first.
const WINDOW: usize = 512;

impl Writer {
    /// Goes on at the end of `out`; `finish` gives the buffer back.
    pub(crate) fn new(mut out: Vec<u8>, limit: usize) -> Self {
        let at = out.len();
        let end = at.saturating_add(limit);
        out.resize(at + limit.min(WINDOW), 0);
        Self { soft: out.len().min(end), out, at, end, spaced: true }
    }

    /// The buffer, cut to what was written.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.out.truncate(self.at);
        self.out
    }

    fn room(&self) -> usize {
        self.end - self.at
    }

    /// The next `AMPLE` bytes of the buffer, when the limit allows as many.
    fn ample(&mut self) -> Option<&mut [u8; AMPLE]> {
        if self.soft - self.at < AMPLE {
            if self.room() < AMPLE {
                return None;
            }
            self.grow(AMPLE);
        }
        self.out.get_mut(self.at..)?.first_chunk_mut()
    }

    #[cold]
    fn grow(&mut self, more: usize) {
        let len = (self.at + more).max(self.out.len() * 2);
        self.out.resize(len, 0);
        self.soft = self.end.min(len);
    }

    /// Stores `bytes`, for which the limit has room.
    #[inline]
    fn store(&mut self, bytes: &[u8]) {
        if bytes.len() > self.soft - self.at {
            self.grow(bytes.len());
        }
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    #[inline]
    pub(crate) fn byte(&mut self, byte: u8) -> Fit {
        if self.at >= self.soft {
            return self.last_byte(byte);
        }
        self.out[self.at] = byte;
        self.at += 1;
        Ok(())
    }

    /// A byte where the buffer or the limit ends.
    #[cold]
    fn last_byte(&mut self, byte: u8) -> Fit {
        if self.room() == 0 {
            return Err(Full);
        }
        self.grow(1);
        self.out[self.at] = byte;
        self.at += 1;
        Ok(())
    }

    #[inline]
    fn space(&mut self) -> Fit {
        if !self.spaced {
            self.byte(b' ')?;
            self.spaced = true;
        }
        Ok(())
    }

    pub(crate) fn run<S: LogSource + ?Sized>(&mut self, format: &LogFormat, source: &S) -> Fit {
        for op in &format.ops {
            match *op {
                Op::Word { show, flags, then } => {
                    // The two commonest kinds, with what stands after them, in one go while there is room.
                    match show {
                        Show::Int(field) => {
                            let value = source.value(field);
                            if let LogValue::Int(n @ 0..=9_999) = value
                                && let Some(place) = self.ample()
                            {
                                let (digits, len) = four_digits(n as u32);
                                place[..4].copy_from_slice(&digits);
                                place[len] = then;
                                self.at += len + usize::from(then != 0);
                                self.spaced = then == b' ';
                                continue;
                            }
                            self.int(value)?;
                            self.spaced = false;
                        }
                        Show::Text(field) if flags == Flags::default() => {
                            let text = text_of(source.value(field));
                            let text = if text.is_empty() { b"-" } else { text };
                            self.cut(text)?;
                            self.spaced = false;
                        }
                        Show::Expr(at) => self.expr(&format.exprs[usize::from(at)], flags, source)?,
                        _ => self.word(show, flags, source)?,
                    }
                    match then {
                        0 => {}
                        b' ' => self.space()?,
                        _ => {
                            self.byte(then)?;
                            self.spaced = false;
                        }
                    }
                }
                Op::Literal { start, end } => {
                    self.cut(&format.text[start as usize..end as usize])?;
                    self.spaced = false;
                }
                Op::Space => self.space()?,
                Op::Item(at) => self.item_at(format, at, source)?,
            }
        }
        Ok(())
    }

    /// The byte written last was no space.
    pub(super) fn not_spaced(&mut self) {
        self.spaced = false;
    }

    /// What `write` writes, or nothing of it and the end of the line.
    pub(super) fn all_or_nothing(&mut self, write: impl FnOnce(&mut Self) -> Fit) -> Fit {
        let start = self.at;
        write(self).inspect_err(|Full| self.at = start)
    }

    fn word<S: LogSource + ?Sized>(&mut self, show: Show, flags: Flags, source: &S) -> Fit {
        match show {
            Show::Int(field) => self.int(source.value(field))?,
            Show::HexInt(field) => match source.value(field) {
                LogValue::Int(n) if flags.has(Flags::HEX) => self.hex(n, 4)?,
                other => self.int(other)?,
            },
            Show::Port(field) => match source.value(field) {
                LogValue::Int(n) if flags.has(Flags::HEX) => self.hex(n, 4)?,
                LogValue::Int(n) => self.decimal(n)?,
                _ => self.text(b"", Flags::default())?,
            },
            Show::Ip(field) => self.ip(source.value(field), flags)?,
            Show::Text(field) => self.text(text_of(source.value(field)), flags)?,
            Show::Server => {
                let name = text_of(source.value(Field::ServerName));
                self.text(if name.is_empty() { b"<NOSRV>" } else { name }, flags)?;
            }
            Show::FrontendTransport => {
                let tls = matches!(source.value(Field::FrontendTls), LogValue::Flag(true));
                self.quoted(flags, |w| {
                    w.cut(text_of(source.value(Field::FrontendName)))?;
                    if tls { w.byte(b'~') } else { Ok(()) }
                })?;
            }
            Show::Request(part) => {
                let piece = match source.value(Field::RequestLine) {
                    LogValue::Text(line) => request_part(line, part),
                    _ => b"<BADREQ>",
                };
                self.quoted(flags, |w| w.encoded(piece, Set::LINE, flags))?;
            }
            Show::Braces(field) => return self.braces(field, flags, source),
            Show::List(field) => return self.list(field, flags, source),
            Show::DateMillis(field) => self.bounded(&time_of(source.value(field)).log_millis())?,
            Show::DateGmt(field) => self.bounded(&time_of(source.value(field)).log_gmt())?,
            Show::DateLocal(field) => self.bounded(&time_of(source.value(field)).log_local())?,
            Show::Seconds => {
                let secs = time_of(source.value(Field::AcceptDate)).unix_secs;
                if flags.has(Flags::HEX) { self.hex(secs, 4)? } else { self.decimal(secs)? }
            }
            Show::Millis => {
                let ms = time_of(source.value(Field::AcceptDate)).millis();
                if flags.has(Flags::HEX) {
                    self.hex(i64::from(ms), 2)?;
                } else {
                    self.whole(&[b'0' + (ms / 100) as u8, b'0' + (ms / 10 % 10) as u8, b'0' + (ms % 10) as u8])?;
                }
            }
            Show::Termination(letters) => {
                let state = match source.value(Field::Termination) {
                    LogValue::Termination(state) => state,
                    _ => crate::Termination::NORMAL,
                };
                self.cut(&state.letters()[..letters])?;
            }
            Show::Sample(field) => match source.value(field) {
                LogValue::Int(n) => self.text(itoa::Buffer::new().format(n).as_bytes(), flags)?,
                other => self.text(text_of(other), flags)?,
            },
            Show::Nothing | Show::Expr(_) => self.text(b"", flags)?,
            Show::Zero => self.text(b"0", flags)?,
        }
        self.spaced = false;
        Ok(())
    }

    /// A sample as text; what is not there as other values that are missing.
    #[inline(never)]
    fn expr<S: LogSource + ?Sized>(&mut self, expr: &Expr, flags: Flags, source: &S) -> Fit {
        let cx = source.samples();
        let value = cx.and_then(|cx| expr.eval_as(Type::Str, cx).value());
        let text = value.and_then(|value| value.bytes()).unwrap_or_default();
        self.spaced = false;
        if flags.has(Flags::FIELD) {
            // As haproxy: `{+Q}` means log lines.
            return self.field(text, flags.has(Flags::ESCAPE));
        }
        self.text(text, flags)
    }

    /// Bytes that a field's value cannot have as `%XX`; a backslash before others that want one, if they are to have it.
    fn field(&mut self, text: &[u8], escape: bool) -> Fit {
        let odd = |byte: &u8| matches!(byte, 0..=8 | 10..=31 | 127) || escape && Set::BACKSLASH.has(*byte);
        let mut rest = text;
        while let Some(at) = rest.iter().position(odd) {
            self.cut(&rest[..at])?;
            let byte = rest[at];
            if escape && Set::BACKSLASH.has(byte) {
                self.whole(&[b'\\', byte])?;
            } else {
                self.whole(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]])?;
            }
            rest = &rest[at + 1..];
        }
        self.cut(rest)
    }

    /// All of `bytes` or nothing and the end of the line.
    pub(crate) fn whole(&mut self, bytes: &[u8]) -> Fit {
        if bytes.len() > self.room() {
            return Err(Full);
        }
        self.store(bytes);
        Ok(())
    }

    /// As much of `bytes` as fits; the end of the line when that was not all.
    #[inline]
    pub(crate) fn cut(&mut self, bytes: &[u8]) -> Fit {
        if bytes.len() > self.soft - self.at {
            return self.cut_at_end(bytes);
        }
        self.store(bytes);
        Ok(())
    }

    #[cold]
    fn cut_at_end(&mut self, bytes: &[u8]) -> Fit {
        let fits = bytes.len().min(self.room());
        self.store(&bytes[..fits]);
        if fits < bytes.len() { Err(Full) } else { Ok(()) }
    }

    /// As `whole`, for a value whose length the compiler knows: stores instead of a call.
    fn bounded<const N: usize>(&mut self, bytes: &[u8; N]) -> Fit {
        const { assert!(N <= AMPLE) };
        match self.ample() {
            Some(place) => {
                place[..N].copy_from_slice(bytes);
                self.at += N;
                Ok(())
            }
            None => self.whole(bytes),
        }
    }

    #[inline]
    fn int(&mut self, value: LogValue<'_>) -> Fit {
        match value {
            LogValue::Int(n) => self.decimal(n),
            LogValue::AtLeast(n) => {
                self.byte(b'+')?;
                self.decimal(n)
            }
            _ => self.byte(b'-'),
        }
    }

    /// Most values of a line have one digit.
    #[inline]
    pub(crate) fn decimal(&mut self, n: i64) -> Fit {
        if let 0..=9 = n { self.byte(b'0' + n as u8) } else { self.number(n) }
    }

    #[inline(never)]
    fn number(&mut self, n: i64) -> Fit {
        let (10..=9_999, Some(place)) = (n, self.ample()) else { return self.long_number(n) };
        let (digits, len) = four_digits(n as u32);
        place[..4].copy_from_slice(&digits);
        self.at += len;
        Ok(())
    }

    #[inline(never)]
    fn long_number(&mut self, n: i64) -> Fit {
        self.whole(itoa::Buffer::new().format(n).as_bytes())
    }

    /// Upper-case hexadecimal, at least `width` digits.
    fn hex(&mut self, n: i64, width: usize) -> Fit {
        let mut digits = [b'0'; 16];
        let mut n = n as u64;
        let mut at = digits.len();
        while n != 0 || digits.len() - at < width {
            at -= 1;
            digits[at] = HEX[(n & 15) as usize];
            n >>= 4;
        }
        self.hex_digits(&digits[at..])
    }

    /// Observed: hexadecimal that is exactly one byte too long loses its last digit, longer is left out.
    fn hex_digits(&mut self, digits: &[u8]) -> Fit {
        if digits.len() - 1 == self.room() { self.cut(digits) } else { self.whole(digits) }
    }

    pub(crate) fn ip(&mut self, value: LogValue<'_>, flags: Flags) -> Fit {
        let LogValue::Ip(ip) = value else {
            let name = text_of(value);
            // Observed: the address of a UNIX socket has no hexadecimal form, and the line ends there.
            return if flags.has(Flags::HEX) && !name.is_empty() { Err(Full) } else { self.text(name, flags) };
        };
        if flags.has(Flags::HEX) {
            let mut digits = [0u8; 32];
            let mut put = |bytes: &[u8]| {
                for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
                    pair[0] = HEX[usize::from(byte >> 4)];
                    pair[1] = HEX[usize::from(byte & 15)];
                }
                bytes.len() * 2
            };
            let len = match ip {
                IpAddr::V4(ip) => put(&ip.octets()),
                IpAddr::V6(ip) => put(&ip.octets()),
            };
            return self.hex_digits(&digits[..len]);
        }
        match ip {
            IpAddr::V4(ip) => {
                if flags == Flags::default()
                    && let Some(place) = self.ample()
                {
                    self.at += ipv4(ip.octets(), place);
                    return Ok(());
                }
                let mut shown = [0u8; AMPLE];
                let len = ipv4(ip.octets(), &mut shown);
                self.text(&shown[..len], flags)
            }
            IpAddr::V6(ip) => {
                let mut shown = [0u8; 64];
                let mut rest = &mut shown[..];
                // 64 bytes hold the longest textual form (45), so this cannot fail.
                let _ = write!(rest, "{ip}");
                let len = 64 - rest.len();
                self.text(&shown[..len], flags)
            }
        }
    }

    /// Text as it is; empty counts as missing and is `-`, or `""` under `Q`.
    #[inline]
    fn text(&mut self, text: &[u8], flags: Flags) -> Fit {
        if flags == Flags::default() && !text.is_empty() { self.cut(text) } else { self.dressed_text(text, flags) }
    }

    fn dressed_text(&mut self, text: &[u8], flags: Flags) -> Fit {
        let quote = flags.has(Flags::QUOTE);
        if text.is_empty() && !quote {
            return if flags.has(Flags::OPTIONAL) { Ok(()) } else { self.byte(b'-') };
        }
        if !flags.has(Flags::ESCAPE) {
            if !quote {
                return self.cut(text);
            }
            if text.len() + 2 > self.room() {
                return Err(Full);
            }
            self.byte(b'"')?;
            self.whole(text)?;
            return self.byte(b'"');
        }
        if !quote {
            let within = self.room().saturating_sub(1);
            self.backslashed(text, within);
            return Ok(());
        }
        if self.room() < 2 {
            return Err(Full);
        }
        let within = self.room() - 2;
        self.byte(b'"')?;
        self.backslashed(text, within);
        self.byte(b'"')
    }

    /// As much of `text` as fits in `within` bytes of the room left. Observed: a byte with its backslash needs one byte
    /// more than it takes.
    fn backslashed(&mut self, text: &[u8], within: usize) {
        let end = self.at + within;
        for byte in text {
            let left = end - self.at;
            if Set::BACKSLASH.has(*byte) {
                if left < 3 {
                    return;
                }
                self.store(&[b'\\', *byte]);
            } else if left < 1 {
                return;
            } else {
                self.store(&[*byte]);
            }
        }
    }

    /// `inner` between quotes when the flag asks for it.
    fn quoted(&mut self, flags: Flags, inner: impl FnOnce(&mut Self) -> Fit) -> Fit {
        let quote = flags.has(Flags::QUOTE);
        if quote {
            self.byte(b'"')?;
        }
        inner(self)?;
        if quote { self.byte(b'"') } else { Ok(()) }
    }

    /// Bytes from a peer: those of `set` as `#XX`, under `E` a backslash before `"`, `\` and `]`.
    fn encoded(&mut self, bytes: &[u8], set: Set, flags: Flags) -> Fit {
        let special = if flags.has(Flags::ESCAPE) { set.or(Set::BACKSLASH) } else { set };
        let mut rest = bytes;
        loop {
            let plain = special.plain_prefix(rest);
            self.cut(&rest[..plain])?;
            let Some(&byte) = rest.get(plain) else { return Ok(()) };
            let encoded: &[u8] = if set.has(byte) { &hashed(byte) } else { &[b'\\', byte] };
            if encoded.len() >= self.room() {
                // The string ends here, the line does not.
                return Ok(());
            }
            self.store(encoded);
            rest = &rest[plain + 1..];
        }
    }

    /// `{a|b|c}`; nothing at all, not even a space, when no header is captured.
    fn braces<S: LogSource + ?Sized>(&mut self, field: Field, flags: Flags, source: &S) -> Fit {
        let LogValue::Captures(slots @ 1..) = source.value(field) else { return Ok(()) };
        let side = side_of(field);
        self.quoted(flags, |w| {
            w.byte(b'{')?;
            for slot in 0..slots {
                if slot > 0 {
                    w.byte(b'|')?;
                }
                if let Some(value) = source.capture(side, slot) {
                    w.encoded(value, Set::HEADER, flags)?;
                }
            }
            w.byte(b'}')
        })?;
        self.spaced = false;
        Ok(())
    }

    /// `a b -`, each quoted under `Q`; nothing when no header is captured.
    fn list<S: LogSource + ?Sized>(&mut self, field: Field, flags: Flags, source: &S) -> Fit {
        let LogValue::Captures(slots @ 1..) = source.value(field) else { return Ok(()) };
        let side = side_of(field);
        for slot in 0..slots {
            if slot > 0 {
                self.byte(b' ')?;
            }
            match source.capture(side, slot) {
                None if !flags.has(Flags::QUOTE) => self.byte(b'-')?,
                value => self.quoted(flags, |w| w.encoded(value.unwrap_or_default(), Set::HEADER, flags))?,
            }
        }
        self.spaced = false;
        Ok(())
    }
}

pub(super) fn side_of(field: Field) -> CaptureSide {
    if field == Field::ResponseCaptures { CaptureSide::Response } else { CaptureSide::Request }
}

pub(crate) fn text_of(value: LogValue<'_>) -> &[u8] {
    if let LogValue::Text(text) = value { text } else { b"" }
}

pub(crate) fn time_of(value: LogValue<'_>) -> Timestamp {
    if let LogValue::Time(time) = value { time } else { Timestamp::default() }
}

/// Decimal digits of `n` (at most 9,999), left-aligned, and how many there are.
#[inline]
fn four_digits(n: u32) -> ([u8; 4], usize) {
    // Most numbers of a line: counts and timers of a quick request.
    if n < 10 {
        return ([b'0' + n as u8, 0, 0, 0], 1);
    }
    let (high, low) = (pair(n / 100), pair(n));
    let four = u32::from_le_bytes([high[0], high[1], low[0], low[1]]);
    let len = 2 + usize::from(n >= 100) + usize::from(n >= 1_000);
    ((four >> (32 - 8 * len)).to_le_bytes(), len)
}

/// The digits of every octet, left-aligned, with a dot after them.
const OCTETS: [[u8; 4]; 256] = {
    let mut all = [[b'.'; 4]; 256];
    let mut n = 0;
    while n < 256 {
        let digits = [b'0' + (n / 100) as u8, b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8];
        let (mut from, mut to) = (
            if n >= 100 {
                0
            } else if n >= 10 {
                1
            } else {
                2
            },
            0,
        );
        while from < 3 {
            all[n][to] = digits[from];
            from += 1;
            to += 1;
        }
        n += 1;
    }
    all
};

/// Dotted decimal; returns its length (at most 15).
fn ipv4(octets: [u8; 4], out: &mut [u8; AMPLE]) -> usize {
    let mut len = 0;
    for octet in octets {
        out[len..len + 4].copy_from_slice(&OCTETS[usize::from(octet)]);
        len += 2 + usize::from(octet >= 10) + usize::from(octet >= 100);
    }
    len - 1
}

/// The piece of a request line that a word names. A line that lacks it gives `<BADREQ>`.
pub(super) fn request_part(line: &[u8], part: RequestPart) -> &[u8] {
    if part == RequestPart::Line {
        return line;
    }
    let bad = b"<BADREQ>".as_slice();
    let space = |bytes: &[u8]| bytes.iter().position(|b| *b == b' ');
    let Some(first) = space(line) else { return if part == RequestPart::Query { b"" } else { bad } };
    if part == RequestPart::Method {
        return &line[..first];
    }
    let rest = &line[first + 1..];
    let (target, version) = match space(rest) {
        Some(second) => (&rest[..second], Some(&rest[second + 1..])),
        None => (rest, None),
    };
    let query = target.iter().position(|b| *b == b'?').unwrap_or(target.len());
    match part {
        RequestPart::Target => target,
        RequestPart::Version => version.unwrap_or(b"HTTP/0.9"),
        RequestPart::Query => &target[query..],
        RequestPart::Path => &target[..query],
        RequestPart::PathOnly | RequestPart::Line | RequestPart::Method => path_only(&target[..query]),
    }
}

/// The path of a target: from its first `/`, after the authority when there is a scheme.
fn path_only(target: &[u8]) -> &[u8] {
    if target.first() == Some(&b'/') {
        return target;
    }
    let after_scheme = target.windows(3).position(|w| w == b"://").map(|at| &target[at + 3..]);
    let Some(rest) = after_scheme else { return b"" };
    rest.iter().position(|b| *b == b'/').map_or(b"", |at| &rest[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_numbers_and_addresses() {
        for n in 0..10_000 {
            let (digits, len) = four_digits(n);
            assert_eq!(digits[..len], *n.to_string().as_bytes());
        }
        for n in 0..=255 {
            let mut out = [0; AMPLE];
            let len = ipv4([n, 255 - n, 0, n], &mut out);
            assert_eq!(out[..len], *std::net::Ipv4Addr::new(n, 255 - n, 0, n).to_string().as_bytes());
        }
    }
}
