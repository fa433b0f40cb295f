//! Text to operations. Called by `LogFormat::compile`. Holds: linear in the text; every byte of it becomes a literal, a
//! space, a word, or an error with its offset.
//!
//! Observed on haproxy 2.6.12: runs of spaces are one separator; a word is the longest run of letters and digits after
//! `%`; `%` before any other printable character than `%`, `{`, `[` vanishes; flags without sign and unknown flags are
//! ignored; `%{..}` must be followed by a word.

use super::encode::{Item, Type};
use super::{Alias, Flags, LogFormat, LogFormatError, Op, Purpose, Show};
use crate::sample::{self, Expr};

/// Samples of one format.
const MAX_SAMPLES: usize = 1024;

pub(super) fn compile(text: &str, purpose: Purpose, samples: Option<&mut sample::Compiler<'_>>) -> Result<LogFormat, LogFormatError> {
    if u32::try_from(text.len()).is_err() {
        return Err(LogFormatError { offset: 0, message: "log format longer than 4 GiB".into() });
    }
    let mut compiler = Compiler {
        text,
        literal: Vec::new(),
        ops: Vec::new(),
        items: Vec::new(),
        exprs: Vec::new(),
        samples,
        global: purpose.flags(),
        fields: 0,
        late: false,
        http_only: None,
    };
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'%' => at = compiler.percent(at)?,
            b' ' if purpose.merges_spaces() => {
                compiler.space();
                at += 1;
            }
            byte => {
                compiler.byte(byte);
                at += 1;
            }
        }
    }
    if compiler.fields != 0
        && let Some(samples) = &mut compiler.samples
    {
        samples.loader.note_words();
    }
    Ok(compiler.finish())
}

struct Compiler<'a, 's, 'c> {
    text: &'a str,
    /// `None`: there may be no samples.
    samples: Option<&'s mut sample::Compiler<'c>>,
    /// All literals of the format, one after the other.
    literal: Vec<u8>,
    ops: Vec<Op>,
    /// Words with a name and those that are encoded.
    items: Vec<Item>,
    exprs: Vec<Expr>,
    /// Flags that `%o` has set for the words after it.
    global: Flags,
    fields: u64,
    late: bool,
    http_only: Option<(Alias, usize)>,
}

/// `(name:type)` in front of a word.
#[derive(Clone, Copy, Default)]
struct Label<'a> {
    name: &'a str,
    kind: Type,
}

impl<'a> Compiler<'a, '_, '_> {
    /// A format whose flags at its end say so is one object of its named words: what else there is is not shown.
    fn finish(self) -> LogFormat {
        let Compiler { literal, mut ops, mut items, exprs, global, fields, late, http_only, .. } = self;
        let object = global.encoding();
        if object.is_some() {
            ops.clear();
            items.retain(|item| !item.name.is_empty());
        }
        LogFormat { text: literal.into(), ops: ops.into(), items: items.into(), exprs: exprs.into(), object, fields, late, http_only }
    }

    fn push(&mut self, show: Show, flags: Flags, label: Label<'_>) {
        let encoded = flags.encoding().is_some();
        let op = if encoded { Op::Item(self.items.len() as u32) } else { Op::Word { show, flags, then: 0 } };
        self.ops.push(op);
        if encoded || !label.name.is_empty() {
            let expr = if let Show::Expr(at) = show { self.exprs.get(usize::from(at)).cloned() } else { None };
            self.items.push(Item { name: label.name.into(), kind: label.kind, show, flags, expr });
        }
    }

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
        let (label, mut at) = self.label(start + 1)?;
        let mut flags = self.global;
        let mut braces = "";
        if bytes.get(at) == Some(&b'{') {
            let inside = at + 1;
            let Some(len) = self.text[inside..].find('}') else {
                return Self::error(start, format!("truncated line after '{}'", &self.text[inside..]));
            };
            let after = inside + len + 1;
            Self::flags(&self.text[inside..inside + len], &mut flags, self.names_format(after));
            at = after;
            braces = &self.text[start..at];
        }
        let Some(&next) = bytes.get(at) else {
            return match braces {
                "" => Self::error(start, "truncated line after '%'".into()),
                _ => Self::error(start, format!("parse argument modifier without variable name near '{braces}'")),
            };
        };
        match next {
            b'[' => return self.sample(start, at + 1, flags, label),
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
        self.word(start, &self.text[at..at + len], flags, label)?;
        Ok(at + len)
    }

    /// `(name:type)` at `at`, and where to go on. Where it is none, or no word is behind it, it is text as in haproxy 2.6.
    fn label(&self, at: usize) -> Result<(Label<'a>, usize), LogFormatError> {
        let nothing = Ok((Label::default(), at));
        let Some(inside) = self.text[at..].strip_prefix('(') else { return nothing };
        let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b':');
        let (label, behind) = inside.split_at(inside.bytes().take_while(plain).count());
        let Some(behind) = behind.strip_prefix(')') else { return nothing };
        if !behind.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '{' | '[')) {
            return nothing;
        }
        let (name, kind) = label.split_once(':').map_or((label, None), |(name, kind)| (name, Some(kind)));
        let kind = match kind {
            None => Type::Same,
            Some(word) => match Type::find(word) {
                Some(kind) => kind,
                None => {
                    let message = format!("unexpected output type '{word}'. Supported types are: str, sint, bool, raw");
                    return Self::error(at, message);
                }
            },
        };
        Ok((Label { name, kind }, self.text.len() - behind.len()))
    }

    /// `o` at `at`, the word that stands for the whole format.
    fn names_format(&self, at: usize) -> bool {
        let rest = &self.text[at..];
        rest.starts_with('o') && !rest[1..].starts_with(|c: char| c.is_ascii_alphanumeric())
    }

    fn word(&mut self, start: usize, name: &str, flags: Flags, label: Label<'_>) -> Result<(), LogFormatError> {
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
        self.push(alias.show(), flags, label);
        Ok(())
    }

    /// `+Q,-X`: applies each signed flag.
    fn flags(list: &str, flags: &mut Flags, flags_of_format: bool) {
        for item in list.split(',') {
            // Observed: what stands before the last sign does not count.
            let Some(sign) = item.rfind(['+', '-']) else { continue };
            let on = item.as_bytes()[sign] == b'+';
            match &item.as_bytes()[sign + 1..] {
                b"Q" => flags.set(Flags::QUOTE, on),
                b"X" => flags.set(Flags::HEX, on),
                b"E" => flags.set(Flags::ESCAPE, on),
                // Observed on haproxy 3.0.11: of the two encodings the one that is set first stays.
                b"json" => flags.set(Flags::JSON, on && !flags.has(Flags::CBOR)),
                b"cbor" => flags.set(Flags::CBOR, on && !flags.has(Flags::JSON)),
                // For whole formats alone.
                b"bin" if flags_of_format => flags.set(Flags::BIN, on),
                _ => {}
            }
        }
    }

    /// `%[` at `start`, whose expression begins at `inside`.
    fn sample(&mut self, start: usize, inside: usize, flags: Flags, label: Label<'_>) -> Result<usize, LogFormatError> {
        let text = &self.text[inside..];
        if let Some(len) = text.find(']')
            && let Some(show) = super::alias::sample(&text[..len])
        {
            self.fields |= show.fields();
            self.push(show, flags, label);
            return Ok(inside + len + 1);
        }
        let Some(samples) = &mut self.samples else {
            return Self::error(
                start,
                match text.split_once(']') {
                    Some((text, _)) => format!("sample expressions are not supported here: '%[{text}]'"),
                    None => format!("missing ']' after '{text}'"),
                },
            );
        };
        let (expr, rest) = match Expr::parse_prefix(text, samples) {
            Ok(parsed) => parsed,
            Err(error) => return Self::error(start, format!("failed to parse sample expression <{text}> : {}", error.message)),
        };
        let Some(behind) = rest.strip_prefix(']') else {
            return Self::error(start, format!("missing ']' after '{}'", expr.text()));
        };
        if self.exprs.len() == MAX_SAMPLES {
            return Self::error(start, format!("more than {MAX_SAMPLES} samples"));
        }
        self.exprs.push(expr);
        self.push(Show::Expr(self.exprs.len() as u16 - 1), flags, label);
        Ok(self.text.len() - behind.len())
    }
}
