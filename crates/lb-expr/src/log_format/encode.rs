//! Items in JSON and CBOR (`%{+json}`, `%{+cbor}`, `%(name:type)word`). Called by `Writer::run` for formats that ask for it, and
//! by no other.
//!
//! Holds: a key or a value goes in as a whole or not at all, and then the line ends.
//!
//! Source: manual of haproxy 3.0, section 8.2.6, and what haproxy 3.0.11 was observed to write: numbers that would have grown
//! further are shown without their `+`; the flag `E` has no meaning; what is missing is `""` in JSON and null in CBOR, lists
//! and braces without any capture are null in both; text from a peer is escaped as without encoding, and in CBOR goes in pieces:
//! each run before an escape, even an empty one, and each escape. Unlike haproxy, control bytes that are left (a cookie may have
//! a tab) are `\u00XX` in JSON.

use std::net::IpAddr;

use super::alias::Show;
use super::escape::{HEX, Set, hashed};
use super::write::{Full, Writer, request_part, side_of, text_of, time_of};
use super::{Field, Flags, LogFormat, LogSource, LogValue};
use crate::sample::{self, Expr, Value as Sample};

type Fit = Result<(), Full>;

/// How a line, or one item of it, is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Json,
    /// In hexadecimal digits unless `bin`.
    Cbor {
        bin: bool,
    },
}

/// `%(name:type)`: what an item's value is turned into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Type {
    /// What it is.
    #[default]
    Same,
    Str,
    Sint,
    Bool,
}

impl Type {
    pub(crate) fn find(name: &str) -> Option<Self> {
        [("str", Self::Str), ("sint", Self::Sint), ("bool", Self::Bool), ("raw", Self::Same)]
            .into_iter()
            .find(|(known, _)| *known == name)
            .map(|(_, kind)| kind)
    }
}

/// A word that has a name or is encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub name: Box<str>,
    pub kind: Type,
    pub show: Show,
    pub flags: Flags,
    /// Of [`Show::Expr`].
    pub expr: Option<Expr>,
}

/// A value before it is encoded.
enum Value<'a> {
    Null,
    Int(i64),
    Bool(bool),
    /// Text that the flag `Q` has a say in.
    Text(&'a [u8]),
    /// Dates, states, hexadecimal: how many of the bytes count.
    Short([u8; 40], usize),
    /// As `Short`, for an address: the flag `Q` has a say in it.
    Address([u8; 40], usize),
    /// Bytes from a peer, escaped; a `~` behind them.
    Escaped(&'a [u8], bool),
    Braces(Field, usize),
    List(Field, usize),
}

fn short<'a>(bytes: &[u8]) -> Value<'a> {
    let mut all = [0; 40];
    let len = bytes.len().min(all.len());
    all[..len].copy_from_slice(&bytes[..len]);
    Value::Short(all, len)
}

fn hex<'a>(n: i64, width: usize) -> Value<'a> {
    formatted(format_args!("{n:0width$X}"))
}

/// Formatted text of at most 40 bytes: an address has 39, a number in hexadecimal 32.
fn formatted<'a>(args: std::fmt::Arguments<'_>) -> Value<'a> {
    use std::io::Write as _;
    let mut all = [0; 40];
    let mut rest = &mut all[..];
    // What does not fit is left out.
    let _ = rest.write_fmt(args);
    let left = rest.len();
    Value::Short(all, 40 - left)
}

impl Item {
    fn value<'a, S: LogSource + ?Sized>(&'a self, source: &'a S) -> Value<'a> {
        let in_hex = self.flags.has(Flags::HEX);
        let number = |value: LogValue<'_>, width: Option<usize>| match (value, width) {
            (LogValue::Int(n) | LogValue::AtLeast(n), Some(width)) if in_hex => hex(n, width),
            (LogValue::Int(n) | LogValue::AtLeast(n), _) => Value::Int(n),
            _ => Value::Text(b""),
        };
        match self.show {
            Show::Int(field) => number(source.value(field), None),
            Show::HexInt(field) | Show::Port(field) => number(source.value(field), Some(4)),
            Show::Seconds => number(LogValue::Int(time_of(source.value(Field::AcceptDate)).unix_secs), Some(4)),
            Show::Millis => number(LogValue::Int(i64::from(time_of(source.value(Field::AcceptDate)).millis())), Some(2)),
            Show::Ip(field) => match source.value(field) {
                LogValue::Ip(IpAddr::V4(ip)) if in_hex => hex(i64::from(u32::from(ip)), 8),
                LogValue::Ip(IpAddr::V6(ip)) if in_hex => formatted(format_args!("{:032X}", u128::from(ip))),
                LogValue::Ip(ip) => match formatted(format_args!("{ip}")) {
                    Value::Short(all, len) => Value::Address(all, len),
                    other => other,
                },
                other => Value::Text(text_of(other)),
            },
            Show::Text(field) => Value::Text(text_of(source.value(field))),
            Show::Server => match text_of(source.value(Field::ServerName)) {
                b"" => Value::Text(b"<NOSRV>"),
                name => Value::Text(name),
            },
            Show::FrontendTransport => {
                let tls = matches!(source.value(Field::FrontendTls), LogValue::Flag(true));
                Value::Escaped(text_of(source.value(Field::FrontendName)), tls)
            }
            Show::Request(part) => match source.value(Field::RequestLine) {
                LogValue::Text(line) => Value::Escaped(request_part(line, part), false),
                _ => Value::Escaped(b"<BADREQ>", false),
            },
            Show::Braces(field) => match source.value(field) {
                LogValue::Captures(slots @ 1..) => Value::Braces(field, slots),
                _ => Value::Null,
            },
            Show::List(field) => match source.value(field) {
                LogValue::Captures(slots @ 1..) => Value::List(field, slots),
                _ => Value::Null,
            },
            Show::DateMillis(field) => short(&time_of(source.value(field)).log_millis()),
            Show::DateGmt(field) => short(&time_of(source.value(field)).log_gmt()),
            Show::DateLocal(field) => short(&time_of(source.value(field)).log_local()),
            Show::Termination(letters) => match source.value(Field::Termination) {
                LogValue::Termination(state) => short(&state.letters()[..letters]),
                _ => short(&crate::Termination::NORMAL.letters()[..letters]),
            },
            Show::Sample(field) => match (source.value(field), self.kind) {
                (LogValue::Int(n), Type::Str) => short(itoa::Buffer::new().format(n).as_bytes()),
                (LogValue::Int(n), _) => Value::Int(n),
                (other, Type::Sint) => {
                    let text = std::str::from_utf8(text_of(other)).ok();
                    Value::Int(text.and_then(|t| t.parse().ok()).unwrap_or_default())
                }
                (other, _) => Value::Text(text_of(other)),
            },
            Show::Expr(_) => {
                let cx = source.samples();
                let value = cx.zip(self.expr.as_ref()).and_then(|(cx, expr)| Some((expr.eval(cx).value()?, cx.scratch)));
                match (value, self.kind) {
                    (None, _) => Value::Text(b""),
                    (Some((Sample::Bool(on), _)), Type::Same | Type::Bool) => Value::Bool(on),
                    (Some((Sample::Int(n), _)), Type::Same | Type::Sint | Type::Bool) => Value::Int(n),
                    (Some((value, scratch)), Type::Sint | Type::Bool) => match value.cast(sample::Type::Int, scratch) {
                        Some(Sample::Int(n)) => Value::Int(n),
                        _ => Value::Int(0),
                    },
                    (Some((value, scratch)), _) => Value::Text(value.to_text(scratch)),
                }
            }
            Show::Nothing => Value::Text(b""),
            Show::Zero => match self.kind {
                Type::Str => short(b"0"),
                Type::Sint => Value::Int(0),
                Type::Same | Type::Bool => Value::Bool(false),
            },
        }
    }
}

impl Writer {
    /// A whole line: an object with the named items.
    #[cold]
    #[inline(never)]
    pub(super) fn object<S: LogSource + ?Sized>(&mut self, format: &LogFormat, encoding: Encoding, source: &S) -> Fit {
        match encoding {
            Encoding::Json => self.byte(b'{')?,
            Encoding::Cbor { bin } => self.cbor(bin, &[0xbf])?,
        }
        for (n, item) in format.items.iter().enumerate() {
            match encoding {
                Encoding::Json => {
                    if n > 0 {
                        self.whole(b", ")?;
                    }
                    self.all_or_nothing(|w| w.json_text(item.name.as_bytes()))?;
                    self.whole(b": ")?;
                }
                Encoding::Cbor { bin } => self.all_or_nothing(|w| w.cbor_text(bin, item.name.as_bytes()))?,
            }
            self.item(item, encoding, source)?;
        }
        match encoding {
            Encoding::Json => self.byte(b'}'),
            Encoding::Cbor { bin } => self.cbor(bin, &[0xff]),
        }
    }

    /// The item of that index, by itself.
    #[cold]
    #[inline(never)]
    pub(super) fn item_at<S: LogSource + ?Sized>(&mut self, format: &LogFormat, at: u32, source: &S) -> Fit {
        let item = &format.items[at as usize];
        if let Some(encoding) = item.flags.encoding() {
            self.item(item, encoding, source)?;
        }
        self.not_spaced();
        Ok(())
    }

    /// One value.
    fn item<S: LogSource + ?Sized>(&mut self, item: &Item, encoding: Encoding, source: &S) -> Fit {
        self.all_or_nothing(|w| match encoding {
            Encoding::Json => w.json(item, source),
            Encoding::Cbor { bin } => w.cbor_item(item, bin, source),
        })
    }

    fn json<S: LogSource + ?Sized>(&mut self, item: &Item, source: &S) -> Fit {
        match item.value(source) {
            Value::Null => self.cut(b"null"),
            Value::Int(n) => match item.kind {
                Type::Str => self.json_text(itoa::Buffer::new().format(n).as_bytes()),
                Type::Bool => self.cut(if n != 0 { b"true" } else { b"false" }),
                Type::Same | Type::Sint => self.decimal(n),
            },
            Value::Bool(on) => self.cut(if on { b"true" } else { b"false" }),
            Value::Text(text) => self.json_text(text),
            Value::Short(all, len) | Value::Address(all, len) => self.json_text(&all[..len]),
            Value::Escaped(bytes, tilde) => self.json_quoted(|w| {
                w.json_escaped(bytes, Set::LINE)?;
                if tilde { w.byte(b'~') } else { Ok(()) }
            }),
            Value::Braces(field, slots) => self.json_quoted(|w| {
                for slot in 0..slots {
                    w.byte(if slot == 0 { b'{' } else { b'|' })?;
                    w.json_escaped(source.capture(side_of(field), slot).unwrap_or_default(), Set::HEADER)?;
                }
                w.byte(b'}')
            }),
            Value::List(field, slots) => {
                for slot in 0..slots {
                    self.cut(if slot == 0 { b"[" } else { b", " })?;
                    let value = source.capture(side_of(field), slot).unwrap_or(missing(item));
                    self.json_quoted(|w| w.json_escaped(value, Set::HEADER))?;
                }
                self.byte(b']')
            }
        }
    }

    fn json_quoted(&mut self, inner: impl FnOnce(&mut Self) -> Fit) -> Fit {
        self.byte(b'"')?;
        inner(self)?;
        self.byte(b'"')
    }

    fn json_text(&mut self, text: &[u8]) -> Fit {
        self.json_quoted(|w| text.iter().try_for_each(|byte| w.json_byte(*byte)))
    }

    fn json_byte(&mut self, byte: u8) -> Fit {
        match byte {
            b'"' | b'\\' => self.whole(&[b'\\', byte]),
            0..=31 => self.whole(&[b'\\', b'u', b'0', b'0', b'0' + (byte >> 4), HEX[usize::from(byte & 15)]]),
            _ => self.byte(byte),
        }
    }

    fn json_escaped(&mut self, bytes: &[u8], set: Set) -> Fit {
        bytes.iter().try_for_each(|byte| if set.has(*byte) { self.whole(&hashed(*byte)) } else { self.json_byte(*byte) })
    }

    fn cbor_item<S: LogSource + ?Sized>(&mut self, item: &Item, bin: bool, source: &S) -> Fit {
        let quote = item.flags.has(Flags::QUOTE);
        match item.value(source) {
            Value::Null => self.cbor(bin, &[0xf6]),
            Value::Int(n) if item.kind == Type::Bool => self.cbor(bin, &[if n != 0 { 0xf5 } else { 0xf4 }]),
            Value::Int(n @ 0..) => self.cbor_head(bin, 0, n as u64),
            Value::Int(n) => self.cbor_head(bin, 1, !n as u64),
            Value::Bool(on) => self.cbor(bin, &[if on { 0xf5 } else { 0xf4 }]),
            // Observed: the quotes stand around the encoded text.
            Value::Text(text) if quote => {
                self.byte(b'"')?;
                if !text.is_empty() {
                    self.cbor_text(bin, text)?;
                }
                self.byte(b'"')
            }
            Value::Address(all, len) if quote => {
                self.byte(b'"')?;
                self.cbor_text(bin, &all[..len])?;
                self.byte(b'"')
            }
            Value::Text(b"") => self.cbor(bin, &[0xf6]),
            Value::Text(text) => self.cbor_text(bin, text),
            Value::Short(all, len) | Value::Address(all, len) => self.cbor_text(bin, &all[..len]),
            Value::Escaped(bytes, tilde) => self.cbor_pieces(bin, |w| {
                w.cbor_escaped(bin, bytes, Set::LINE)?;
                if tilde { w.cbor_text(bin, b"~") } else { Ok(()) }
            }),
            Value::Braces(field, slots) => self.cbor_pieces(bin, |w| {
                for slot in 0..slots {
                    w.cbor_text(bin, if slot == 0 { b"{" } else { b"|" })?;
                    w.cbor_escaped(bin, source.capture(side_of(field), slot).unwrap_or_default(), Set::HEADER)?;
                }
                w.cbor_text(bin, b"}")
            }),
            Value::List(field, slots) => {
                self.cbor(bin, &[0x9f])?;
                for slot in 0..slots {
                    let value = source.capture(side_of(field), slot).unwrap_or(missing(item));
                    self.cbor_pieces(bin, |w| w.cbor_escaped(bin, value, Set::HEADER))?;
                }
                self.cbor(bin, &[0xff])
            }
        }
    }

    /// A text of indefinite length.
    fn cbor_pieces(&mut self, bin: bool, inner: impl FnOnce(&mut Self) -> Fit) -> Fit {
        self.cbor(bin, &[0x7f])?;
        inner(self)?;
        self.cbor(bin, &[0xff])
    }

    fn cbor_escaped(&mut self, bin: bool, bytes: &[u8], set: Set) -> Fit {
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| set.has(*byte)) {
            self.cbor_text(bin, &rest[..at])?;
            self.cbor_text(bin, &hashed(rest[at]))?;
            rest = &rest[at + 1..];
        }
        if rest.is_empty() { Ok(()) } else { self.cbor_text(bin, rest) }
    }

    fn cbor_text(&mut self, bin: bool, text: &[u8]) -> Fit {
        self.cbor_head(bin, 3, text.len() as u64)?;
        self.cbor(bin, text)
    }

    /// RFC 8949 §3: major type and argument in the shortest form.
    fn cbor_head(&mut self, bin: bool, major: u8, n: u64) -> Fit {
        let major = major << 5;
        let bytes = n.to_be_bytes();
        let (info, len) = match n {
            0..=23 => (n as u8, 0),
            24..=0xff => (24, 1),
            0x100..=0xffff => (25, 2),
            0x1_0000..=0xffff_ffff => (26, 4),
            _ => (27, 8),
        };
        self.cbor(bin, &[major | info])?;
        self.cbor(bin, &bytes[8 - len..])
    }

    fn cbor(&mut self, bin: bool, bytes: &[u8]) -> Fit {
        if bin {
            return self.cut(bytes);
        }
        bytes.iter().try_for_each(|byte| self.whole(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]))
    }
}

/// What stands in a list for a header that was not there.
fn missing(item: &Item) -> &'static [u8] {
    if item.flags.has(Flags::QUOTE) { b"" } else { b"-" }
}
