//! One line of the file to words: what the parts that the scanner cuts (`syntax`) stand for. Source: manual 2.1 to 2.3, and
//! what haproxy 2.6 does where the manual is silent: a backslash before an ordinary character stays.
//!
//! Holds: a word knows the column where it starts; a line gives at most [`MAX_WORDS`] words; nothing is evaluated
//! inside single quotes, variables only inside double quotes.

use crate::syntax::{Fault, Part, PartKind, Scanner, Variable};
use std::borrow::Cow;
use std::ops::Range;

/// Words of a line; haproxy's limit too.
pub const MAX_WORDS: usize = 64;

/// Bytes of a line, and of a word once its variables are replaced.
pub const MAX_LINE: usize = 16 << 20;

/// One word of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word<'a> {
    /// The word, quotes and escapes resolved.
    pub text: Cow<'a, str>,
    /// Where it starts, in bytes from 1.
    pub column: u32,
    /// Bytes that it takes in the file, quotes and escapes included.
    pub length: u32,
    /// It held bytes that are not UTF-8; `text` has replacement characters there.
    pub lossy: bool,
}

/// Why a line cannot be cut into words.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LexError {
    /// Column in bytes from 1.
    pub column: usize,
    pub message: &'static str,
    pub help: &'static str,
}

fn error<T>(at: usize, message: &'static str, help: &'static str) -> Result<T, LexError> {
    Err(LexError { column: at + 1, message, help })
}

/// Cuts a line (without its LF) into words, behind those that `list` holds already. `variable` gives the value of a name; a
/// name with a dot in front is one of the parser's own.
pub(crate) fn words<'a>(
    line: &'a [u8],
    list: &mut Vec<Word<'a>>,
    variable: &mut dyn FnMut(&str) -> Option<String>,
) -> Result<(), LexError> {
    if line.len() > MAX_LINE {
        return error(0, "the line is too long (more than 16 MiB)", "break it into several lines; a missing line end is the usual reason");
    }
    let mut words = Words { list, word: None, unset: false, mangled: false };
    let mut scanner = Scanner::new(line);
    for part in &mut scanner {
        let Part { kind, range } = part;
        match kind {
            PartKind::Space | PartKind::Comment => words.finish(range.start),
            PartKind::Text => words.add(range.start, &line[range])?,
            PartKind::Quote => words.add(range.start, Cow::Owned(Vec::new()))?,
            PartKind::Escape => words.add(range.start, Cow::Owned(escaped(&line[range.clone()])))?,
            PartKind::Variable(reference) => expand(line, range, &reference, variable, &mut words)?,
            PartKind::Fault(fault) => return Err(explain(fault, range.start)),
        }
    }
    if let Some(opened) = scanner.open_quote() {
        return error(opened, "this quote is never closed", "close it, or write \\\" or \\' for a quote that is meant literally");
    }
    words.finish(line.len());
    Ok(())
}

/// The words of a line as far as it has been read.
struct Words<'a, 'l> {
    list: &'l mut Vec<Word<'a>>,
    /// Start and text of the one that is being read. Most have nothing to resolve: these are borrowed.
    word: Option<(usize, Cow<'a, [u8]>)>,
    /// A variable that is not set was part of it.
    unset: bool,
    /// A variable's value that was not UTF-8 was part of it: the environment marks it.
    mangled: bool,
}

impl<'a> Words<'a, '_> {
    /// Adds to the word that is being read; starts one when there is none.
    fn add(&mut self, at: usize, text: impl Into<Cow<'a, [u8]>>) -> Result<(), LexError> {
        let text = text.into();
        match &mut self.word {
            Some((_, word)) => word.to_mut().extend_from_slice(&text),
            None if self.list.len() >= MAX_WORDS => return error(at, "too many words on this line", "a line has at most 64 words"),
            None => self.word = Some((at, text)),
        }
        Ok(())
    }

    /// Ends the word that is being read, if there is one.
    fn finish(&mut self, end: usize) {
        let Some((start, text)) = self.word.take() else { return };
        // Nothing but variables that are not set is no word at all, as in haproxy from 2.8 or so on; 2.6 makes an empty one of it.
        if std::mem::take(&mut self.unset) && text.is_empty() {
            return;
        }
        let (text, lossy) = match text {
            Cow::Borrowed(bytes) => {
                let text = String::from_utf8_lossy(bytes);
                let lossy = matches!(text, Cow::Owned(_));
                (text, lossy)
            }
            Cow::Owned(bytes) => match String::from_utf8(bytes) {
                Ok(text) => (Cow::Owned(text), false),
                Err(error) => (Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()), true),
            },
        };
        let lossy = lossy | std::mem::take(&mut self.mangled);
        self.list.push(Word { text, column: column(start), length: column(end) - column(start), lossy });
    }
}

fn column(at: usize) -> u32 {
    // MAX_LINE fits.
    u32::try_from(at + 1).unwrap_or(u32::MAX)
}

/// What a backslash and the bytes behind it stand for.
fn escaped(escape: &[u8]) -> Vec<u8> {
    match escape {
        [b'\\', b' ' | b'\\' | b'"' | b'\'' | b'#' | b'$'] => vec![escape[1]],
        b"\\n" => vec![b'\n'],
        b"\\r" => vec![b'\r'],
        b"\\t" => vec![b'\t'],
        [b'\\', b'x', digits @ ..] => {
            // The scanner has seen two digits.
            let value = digits.iter().filter_map(|digit| (*digit as char).to_digit(16)).fold(0, |value, digit| value * 16 + digit);
            vec![value as u8]
        }
        // haproxy keeps both; regular expressions rely on it.
        other => other.to_vec(),
    }
}

/// Puts a variable's value in its place; a list becomes several words.
fn expand<'a>(
    line: &[u8],
    range: Range<usize>,
    reference: &Variable,
    variable: &mut dyn FnMut(&str) -> Option<String>,
    words: &mut Words<'a, '_>,
) -> Result<(), LexError> {
    let start = words.word.as_ref().map_or(range.start, |(start, _)| *start);
    let text = |range: &Range<usize>| String::from_utf8_lossy(&line[range.clone()]);
    let value = variable(&text(&reference.name));
    let value = value.or_else(|| reference.default.as_ref().map(|default| text(default).into_owned()));
    words.unset |= value.is_none();
    words.mangled |= value.as_ref().is_some_and(|value| value.contains(char::REPLACEMENT_CHARACTER));
    let value = value.unwrap_or_default();
    if reference.list {
        let mut parts = value.split_ascii_whitespace();
        words.add(start, parts.next().unwrap_or("").as_bytes().to_vec())?;
        for part in parts {
            words.finish(range.end);
            words.add(start, part.as_bytes().to_vec())?;
        }
    } else {
        words.add(start, value.into_bytes())?;
    }
    if words.word.as_ref().is_some_and(|(_, text)| text.len() > MAX_LINE) {
        return error(start, "the word is too long once its variables are replaced", "a word has at most 16 MiB");
    }
    Ok(())
}

fn explain(fault: Fault, at: usize) -> LexError {
    let (at, message, help) = match fault {
        Fault::Zero => (at, "a zero byte in the line", "the file is damaged or not a text file"),
        Fault::Hexadecimal => (at, "\\x wants two hexadecimal digits", "for example \\x20 for a space, or \\\\x for the two characters"),
        Fault::EscapedZero => (at, "a zero byte cannot be part of a word", "remove \\x00"),
        Fault::Name(at) => (
            at,
            "a variable's name starts with a letter or '_'",
            "write \"${NAME}\", or \\$ (or single quotes) for a dollar that is meant literally",
        ),
        Fault::Pseudo(at) => {
            (at, "there is no variable of the parser's own by this name", "known are \"${.FILE}\", \"${.LINE}\" and \"${.SECTION}\"")
        }
        Fault::Return(at) => (
            at,
            "a carriage return in the middle of the line",
            "end each line with LF or CR LF; haproxy drops what stands behind a carriage return",
        ),
        Fault::Brace => (at + 1, "the brace of this variable is never closed", "write \"${NAME}\" or \"${NAME-default}\""),
    };
    LexError { column: at + 1, message, help }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(line: &str) -> Vec<String> {
        let mut env = |name: &str| match name {
            "FOO" => Some("a b".to_owned()),
            "EMPTY" => Some(String::new()),
            ".LINE" => Some("7".to_owned()),
            _ => None,
        };
        let mut list = Vec::new();
        words(line.as_bytes(), &mut list, &mut env).expect(line);
        list.into_iter().map(|word| word.text.into_owned()).collect()
    }

    fn fails(line: &[u8]) -> usize {
        words(line, &mut Vec::new(), &mut |_| None).expect_err("must fail").column
    }

    #[test]
    fn as_haproxy_cuts_them() {
        // Each was compared with the words that haproxy 2.6 names in its messages.
        assert_eq!(cut(r#"zz"$FOO"x"#), ["zza bx"]);
        assert_eq!(cut("zz${FOO}"), ["zz${FOO}"]);
        assert_eq!(cut(r#"zz"${FOO[*]}" zz"#), ["zza", "b", "zz"]);
        assert_eq!(cut(r#""${NOPE-def}""#), ["def"]);
        assert_eq!(cut(r#""${EMPTY-def}" foo"#), ["", "foo"]);
        assert_eq!(cut(r#""${NOPE}x""#), ["x"]);
        assert_eq!(cut(r#""" foo"#), ["", "foo"]);
        assert_eq!(cut("''foo"), ["foo"]);
        assert_eq!(cut(r#""\$FOO""#), ["$FOO"]);
        assert_eq!(cut(r"\$FOO\\$"), [r"\$FOO\$"]);
        assert_eq!(cut("a\\\tb\\\u{b}c \"\\\t\" d\\\r"), ["a\\", "b\\", "c", "\\\t", "d\\"]);
        assert_eq!(cut(r"a\qb"), [r"a\qb"]);
        assert_eq!(cut(r#"a"b c"d"#), ["ab cd"]);
        assert_eq!(cut(r"a\x41b"), ["aAb"]);
        assert_eq!(cut(r"a\nb"), ["a\nb"]);
        assert_eq!(cut(r##""a#b"#c"##), ["a#b"]);
        assert_eq!(cut("a#b"), ["a"]);
        assert_eq!(cut(r"a\#b"), ["a#b"]);
        assert_eq!(cut(r#""$.LINE""#), ["7"]);
        assert_eq!(cut("x$FOO"), ["x$FOO"]);
        assert_eq!(cut(r#""a\"b""#), ["a\"b"]);
        assert_eq!(cut(r#"'a"b\n'"#), [r#"a"b\n"#]);
        assert_eq!(cut(r"one\ two three\"), ["one two", r"three\"]);
        assert_eq!(cut("mode http\r"), ["mode", "http"]);
        assert_eq!(cut(" \t# only a comment \u{e9}"), Vec::<String>::new());
    }

    #[test]
    fn what_cannot_be_cut_says_where() {
        assert_eq!(fails(br#" "x${NOPE}"#), 2);
        assert_eq!(fails(br#" "${NOPE"#), 4);
        assert_eq!(fails(br#"a "$""#), 5);
        assert_eq!(fails(br#"a "$1""#), 5);
        assert_eq!(fails(br"a \xzz"), 3);
        assert_eq!(fails(br"a b\x00c"), 4);
        assert_eq!(fails(b"max\0conn 100"), 4);
        assert_eq!(fails(&vec![b'x'; MAX_LINE + 1]), 1);
        assert_eq!(fails(&b"x ".repeat(MAX_WORDS + 1)), 2 * MAX_WORDS + 1);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_marked_unless_commented() {
        let mut found = Vec::new();
        words(b"name \xe9 # \xe9", &mut found, &mut |_| None).expect("read");
        assert_eq!(found.iter().map(|word| word.lossy).collect::<Vec<_>>(), [false, true]);
    }
}
