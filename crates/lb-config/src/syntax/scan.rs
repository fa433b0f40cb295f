//! The one tokenizer: a file to lines, a line to white space, parts of words and a comment. The reader of configurations
//! (`lexer.rs`) and the syntax tree both stand on it, so they cannot disagree.
//!
//! Holds: every byte is in exactly one part, in order; any bytes can be scanned, what is wrong with them is a part of its
//! own ([`PartKind::Fault`]); one pass, no allocation. Source: manual 2.1 to 2.3, and what haproxy 2.6 does where the
//! manual is silent: there is no line continuation, a carriage return is white space at the start and the end of a line.

use std::ops::Range;

/// The mark that some editors put before the first byte; it is no part of the first line.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Variables that the reader itself knows (manual 2.3).
const PSEUDO: &[&[u8]] = &[b".FILE", b".LINE", b".SECTION"];

/// Takes the mark off.
pub(crate) fn without_mark(bytes: &[u8]) -> (bool, &[u8]) {
    match bytes.strip_prefix(MARK) {
        Some(rest) => (true, rest),
        None => (false, bytes),
    }
}

/// The lines of a file, each without its LF, and whether it had one: only the last may lack it.
pub(crate) fn lines(bytes: &[u8]) -> impl Iterator<Item = (&[u8], bool)> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (line, next, ended) = match rest.iter().position(|byte| *byte == b'\n') {
            Some(end) => (&rest[..end], &rest[end + 1..], true),
            None => (rest, &rest[..0], false),
        };
        rest = next;
        Some((line, ended))
    })
}

/// A stretch of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// Its bytes, from the start of what was scanned.
    pub range: Range<usize>,
}

/// What a stretch of a line is. Parts that are neither [`PartKind::Space`] nor [`PartKind::Comment`] and follow each other
/// make one word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartKind {
    /// Spaces, tabs (both kinds), form feeds and carriage returns outside quotes.
    Space,
    /// From `#` to the end of the line.
    Comment,
    /// Bytes that stand for themselves.
    Text,
    /// A quote that opens or closes.
    Quote,
    /// A backslash and what it makes of the bytes behind it.
    Escape,
    /// `$NAME`, `${NAME}`, `${NAME[*]}`, `${NAME-default}` inside double quotes.
    Variable(Variable),
    /// What cannot be read. A line with a fault has no words.
    Fault(Fault),
}

/// A reference to a variable; the ranges are as those of [`Part`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name, a dot in front included.
    pub name: Range<usize>,
    /// What counts when it is not set.
    pub default: Option<Range<usize>>,
    /// `[*]`: its words become words of the line.
    pub list: bool,
}

/// Why a line cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A zero byte.
    Zero,
    /// `\x` without two hexadecimal digits.
    Hexadecimal,
    /// `\x00`.
    EscapedZero,
    /// A `$` without a name; where the name should be.
    Name(usize),
    /// A name with a dot in front that is none of the parser's own; where it stands.
    Pseudo(usize),
    /// A `${` without its brace.
    Brace,
    /// A carriage return that is not at the end of its line; where it stands.
    Return(usize),
}

/// Cuts a line, or a word of one, into parts.
#[derive(Clone, Debug)]
pub struct Scanner<'a> {
    line: &'a [u8],
    at: usize,
    /// The quote that is open, and where it opened.
    quote: Option<(u8, usize)>,
}

impl<'a> Scanner<'a> {
    /// Starts at the first byte, outside quotes. A line is given without its LF.
    pub fn new(line: &'a [u8]) -> Self {
        Self { line, at: 0, quote: None }
    }

    /// Where the quote stands that is open; after the last part: that is never closed.
    pub fn open_quote(&self) -> Option<usize> {
        self.quote.map(|(_, at)| at)
    }

    /// The end of a run of bytes that `takes` wants.
    fn run(&self, takes: impl Fn(u8) -> bool) -> usize {
        let rest = &self.line[self.at..];
        self.at + rest.iter().position(|byte| !takes(*byte)).unwrap_or(rest.len())
    }

    /// The part at white space and its end.
    fn space(&self) -> (PartKind, usize) {
        let end = self.run(is_space);
        let inside = self.at > 0 && self.line.get(end).is_some_and(|next| *next != b'#');
        match self.line[self.at..end].iter().position(|byte| *byte == b'\r') {
            Some(at) if inside => (PartKind::Fault(Fault::Return(self.at + at)), end),
            _ => (PartKind::Space, end),
        }
    }

    /// The part at a backslash and its end.
    fn escape(&self) -> (PartKind, usize) {
        let at = self.at;
        let digit = |position: usize| self.line.get(position).and_then(|byte| (*byte as char).to_digit(16));
        match self.line.get(at + 1) {
            // The zero byte is the fault, not the backslash.
            None | Some(0) => (PartKind::Text, at + 1),
            // Where a dollar means nothing it needs no backslash, and keeps the one that it has.
            Some(b'$') if self.quote.is_none() => (PartKind::Text, at + 1),
            // Of all white space only the space can be escaped.
            Some(byte) if self.quote.is_none() && is_space(*byte) && *byte != b' ' => (PartKind::Text, at + 1),
            Some(b'x') => match (digit(at + 2), digit(at + 3)) {
                (Some(0), Some(0)) => (PartKind::Fault(Fault::EscapedZero), at + 4),
                (Some(_), Some(_)) => (PartKind::Escape, at + 4),
                _ => (PartKind::Fault(Fault::Hexadecimal), at + 2),
            },
            Some(_) => (PartKind::Escape, at + 2),
        }
    }

    /// The part at a dollar and its end.
    fn variable(&self) -> (PartKind, usize) {
        let (line, dollar) = (self.line, self.at);
        let fault = |fault| (PartKind::Fault(fault), dollar + 1);
        let braced = line.get(dollar + 1) == Some(&b'{');
        let first = dollar + 1 + usize::from(braced);
        let mut at = first + usize::from(line.get(first) == Some(&b'.'));
        if !line.get(at).is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_') {
            return fault(Fault::Name(at));
        }
        while line.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
            at += 1;
        }
        let name = first..at;
        if line[first] == b'.' && !PSEUDO.contains(&&line[name.clone()]) {
            return fault(Fault::Pseudo(first));
        }
        if !braced {
            return (PartKind::Variable(Variable { name, default: None, list: false }), at);
        }
        let list = line[at..].starts_with(b"[*]");
        at += if list { 3 } else { 0 };
        let mut default = None;
        if line.get(at) == Some(&b'-') {
            let rest = &line[at + 1..];
            // haproxy looks for the brace alone, whatever stands before it.
            let length = rest.iter().position(|byte| *byte == b'}').unwrap_or(rest.len());
            default = Some(at + 1..at + 1 + length);
            at += 1 + length;
        }
        if line.get(at) != Some(&b'}') {
            return fault(Fault::Brace);
        }
        (PartKind::Variable(Variable { name, default, list }), at + 1)
    }
}

impl Iterator for Scanner<'_> {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        let start = self.at;
        let byte = *self.line.get(start)?;
        let open = self.quote.map(|(quote, _)| quote);
        let (kind, end) = match (byte, open) {
            (byte, None) if is_space(byte) => self.space(),
            (b'#', None) => (PartKind::Comment, self.run(|byte| byte != 0)),
            (b'"' | b'\'', None) => {
                self.quote = Some((byte, start));
                (PartKind::Quote, start + 1)
            }
            (_, Some(quote)) if byte == quote => {
                self.quote = None;
                (PartKind::Quote, start + 1)
            }
            (0, _) => (PartKind::Fault(Fault::Zero), start + 1),
            (b'\\', None | Some(b'"')) => self.escape(),
            (b'$', Some(b'"')) => self.variable(),
            (_, None) => (PartKind::Text, self.run(|byte| !is_space(byte) && !matches!(byte, b'#' | b'\\' | b'"' | b'\'' | 0))),
            (_, Some(b'"')) => (PartKind::Text, self.run(|byte| !matches!(byte, b'"' | b'\\' | b'$' | 0))),
            (_, Some(quote)) => (PartKind::Text, self.run(|byte| byte != quote && byte != 0)),
        };
        self.at = end;
        Some(Part { kind, range: start..end })
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\x0b' | b'\x0c')
}
