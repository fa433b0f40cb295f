//! Text to operations. Called by `LogFormat::compile`. Holds: linear in the text; every byte of it becomes a literal, a
//! space, a word, or an error with its offset.
//!
//! Observed on haproxy 2.6.12: runs of spaces are one separator; a word is the longest run of letters and digits after
//! `%`; `%` before any other printable character than `%`, `{`, `[` vanishes; flags without sign and unknown flags are
//! ignored; `%{..}` must be followed by a word.

use super::{Alias, Flags, LogFormat, LogFormatError, Op};

pub(super) fn compile(text: &str) -> Result<LogFormat, LogFormatError> {
    if u32::try_from(text.len()).is_err() {
        return Err(LogFormatError { offset: 0, message: "log format longer than 4 GiB".into() });
    }
    let mut compiler =
        Compiler { text, literal: Vec::new(), ops: Vec::new(), global: Flags::default(), fields: 0, late: false, http_only: None };
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'%' => at = compiler.percent(at)?,
            b' ' => {
                compiler.space();
                at += 1;
            }
            byte => {
                compiler.byte(byte);
                at += 1;
            }
        }
    }
    let Compiler { literal, ops, fields, late, http_only, .. } = compiler;
    Ok(LogFormat { text: literal.into(), ops: ops.into(), fields, late, http_only })
}

struct Compiler<'a> {
    text: &'a str,
    /// All literals of the format, one after the other.
    literal: Vec<u8>,
    ops: Vec<Op>,
    /// Flags that `%o` has set for the words after it.
    global: Flags,
    fields: u64,
    late: bool,
    http_only: Option<(Alias, usize)>,
}

impl Compiler<'_> {
    fn space(&mut self) {
        match self.ops.last_mut() {
            Some(Op::Space | Op::Word { then: b' ', .. }) => {}
            Some(Op::Word { then: then @ 0, .. }) => *then = b' ',
            _ => self.ops.push(Op::Space),
        }
    }

    fn byte(&mut self, byte: u8) {
        match self.ops.last_mut() {
            // NUL, which marks "nothing", goes the long way.
            Some(Op::Word { then: then @ 0, .. }) if byte != 0 => {
                *then = byte;
                return;
            }
            _ => self.literal.push(byte),
        }
        let now = self.literal.len() as u32;
        match self.ops.last_mut() {
            Some(Op::Literal { end, .. }) => *end = now,
            _ => self.ops.push(Op::Literal { start: now - 1, end: now }),
        }
    }

    fn error<T>(offset: usize, message: String) -> Result<T, LogFormatError> {
        Err(LogFormatError { offset, message })
    }

    /// The `%` at `start`; returns where to go on.
    fn percent(&mut self, start: usize) -> Result<usize, LogFormatError> {
        let bytes = self.text.as_bytes();
        let mut at = start + 1;
        let mut flags = self.global;
        let mut braces = "";
        if bytes.get(at) == Some(&b'{') {
            let inside = at + 1;
            let Some(len) = self.text[inside..].find('}') else {
                return Self::error(start, format!("truncated line after '{}'", &self.text[inside..]));
            };
            self.flags(&self.text[inside..inside + len], &mut flags);
            at = inside + len + 1;
            braces = &self.text[start..at];
        }
        let Some(&next) = bytes.get(at) else {
            return match braces {
                "" => Self::error(start, "truncated line after '%'".into()),
                _ => Self::error(start, format!("parse argument modifier without variable name near '{braces}'")),
            };
        };
        match next {
            b'[' => return self.sample(start, at + 1, flags),
            byte if byte.is_ascii_alphanumeric() => {}
            _ if !braces.is_empty() => {
                return Self::error(start, format!("parse argument modifier without variable name near '{braces}'"));
            }
            byte if byte.is_ascii_whitespace() || byte == 0x0b => {
                return Self::error(
                    start,
                    format!(
                        "unexpected variable name near '{}' at position {at} line : '{}'. Maybe you want to write a single '%', use \
                         the syntax '%%'",
                        char::from(byte),
                        self.text
                    ),
                );
            }
            // `%%` is a percent sign; before any other character the `%` vanishes.
            _ => {
                let char_len = self.text[at..].chars().next().map_or(1, char::len_utf8);
                for offset in 0..char_len {
                    self.byte(bytes[at + offset]);
                }
                return Ok(at + char_len);
            }
        }
        let len = bytes[at..].iter().take_while(|b| b.is_ascii_alphanumeric()).count();
        self.word(start, &self.text[at..at + len], flags)?;
        Ok(at + len)
    }

    fn word(&mut self, start: usize, name: &str, flags: Flags) -> Result<(), LogFormatError> {
        if name == "o" {
            self.global = flags;
            return Ok(());
        }
        let Some(alias) = Alias::find(name) else {
            return Self::error(
                start,
                format!("no such format variable '{name}'. If you wanted to emit the '%' character verbatim, you need to use '%%'"),
            );
        };
        self.fields |= alias.fields();
        self.late |= alias.late();
        if self.http_only.is_none() && alias.http_only() {
            self.http_only = Some((alias, start));
        }
        self.ops.push(Op::Word { show: alias.show(), flags, then: 0 });
        Ok(())
    }

    /// `+Q,-X`: applies each signed flag.
    fn flags(&self, list: &str, flags: &mut Flags) {
        for item in list.split(',') {
            let (on, name) = match item.as_bytes() {
                [b'+', name @ ..] => (true, name),
                [b'-', name @ ..] => (false, name),
                _ => continue,
            };
            match name {
                b"Q" => flags.set(Flags::QUOTE, on),
                b"X" => flags.set(Flags::HEX, on),
                b"E" => flags.set(Flags::ESCAPE, on),
                _ => {}
            }
        }
    }

    /// `%[` at `start`, whose expression begins at `inside`.
    fn sample(&mut self, start: usize, inside: usize, flags: Flags) -> Result<usize, LogFormatError> {
        let Some(len) = self.text[inside..].find(']') else {
            return Self::error(start, format!("missing ']' after '{}'", &self.text[inside..]));
        };
        let text = &self.text[inside..inside + len];
        let Some(show) = super::alias::sample(text) else {
            return Self::error(start, format!("sample expressions are not supported here yet: '%[{text}]'"));
        };
        self.fields |= show.fields();
        self.ops.push(Op::Word { show, flags, then: 0 });
        Ok(inside + len + 1)
    }
}
