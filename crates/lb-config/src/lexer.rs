//! One line of the file to words: quotes, escapes, variables, comments. Source: manual 2.1 to 2.3, and what haproxy 2.6
//! does where the manual is silent: there is no line continuation, a backslash before an ordinary character stays.
//!
//! Holds: a word knows the column where it starts; a line gives at most [`MAX_WORDS`] words; nothing is evaluated
//! inside single quotes, variables only inside double quotes.

use std::borrow::Cow;

/// Words of a line; haproxy stops at 64.
pub const MAX_WORDS: usize = 256;

/// Bytes of a line.
pub const MAX_LINE: usize = 64 * 1024;

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

/// Cuts a line (without its LF) into words. `variable` gives the value of a name; a name with a dot in front is one of
/// the parser's own.
pub(crate) fn words<'a>(line: &'a [u8], variable: &mut dyn FnMut(&str) -> Option<String>) -> Result<Vec<Word<'a>>, LexError> {
    if line.len() > MAX_LINE {
        return error(
            0,
            "the line is too long (more than 65536 bytes)",
            "break it into several lines; a missing line end is the usual reason",
        );
    }
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(&byte) = line.get(at) {
        match byte {
            // A CR is white space wherever it stands unquoted, so files with CRLF read the same.
            b' ' | b'\t' | b'\r' => at += 1,
            b'#' => break,
            _ => {
                if words.len() >= MAX_WORDS {
                    return error(at, "too many words on this line", "a line has at most 256 words");
                }
                at = word(line, at, variable, &mut words)?;
            }
        }
    }
    Ok(words)
}

/// Reads the word that starts at `start`; gives where it ends. A list variable can make several words of it.
fn word<'a>(
    line: &'a [u8],
    start: usize,
    variable: &mut dyn FnMut(&str) -> Option<String>,
    words: &mut Vec<Word<'a>>,
) -> Result<usize, LexError> {
    // Most words have nothing to resolve: these are borrowed.
    let plain = line[start..].iter().position(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'#' | b'\\' | b'"' | b'\'' | 0));
    let end = plain.map_or(line.len(), |length| start + length);
    if line.get(end).is_none_or(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'#')) {
        let text = String::from_utf8_lossy(&line[start..end]);
        let lossy = matches!(text, Cow::Owned(_));
        words.push(Word { text, column: column(start), length: column(end) - column(start), lossy });
        return Ok(end);
    }

    let mut text: Vec<u8> = line[start..end].to_vec();
    let mut at = end;
    let mut quote: Option<(u8, usize)> = None;
    while let Some(&byte) = line.get(at) {
        match (byte, quote) {
            (0, _) => return error(at, "a zero byte in the line", "the file is damaged or not a text file"),
            (b' ' | b'\t' | b'\r' | b'#', None) => break,
            (b'"' | b'\'', None) => {
                quote = Some((byte, at));
                at += 1;
            }
            (_, Some((open, _))) if open == byte => {
                quote = None;
                at += 1;
            }
            (b'\\', None | Some((b'"', _))) => at = escape(line, at, &mut text)?,
            (b'$', Some((b'"', _))) => {
                let (next, value, list) = expansion(line, at, variable)?;
                at = next;
                if list {
                    let mut parts = value.split_ascii_whitespace();
                    text.extend_from_slice(parts.next().unwrap_or("").as_bytes());
                    for part in parts {
                        if words.len() >= MAX_WORDS {
                            return error(start, "too many words on this line", "a line has at most 256 words");
                        }
                        push(words, std::mem::take(&mut text), start, at);
                        text.extend_from_slice(part.as_bytes());
                    }
                } else {
                    text.extend_from_slice(value.as_bytes());
                }
                if text.len() > MAX_LINE {
                    return error(start, "the word is too long once its variables are replaced", "a word has at most 65536 bytes");
                }
            }
            _ => {
                text.push(byte);
                at += 1;
            }
        }
    }
    if let Some((_, opened)) = quote {
        return error(opened, "this quote is never closed", "close it, or write \\\" or \\' for a quote that is meant literally");
    }
    push(words, text, start, at);
    Ok(at)
}

fn push(words: &mut Vec<Word<'_>>, text: Vec<u8>, start: usize, end: usize) {
    let (text, lossy) = match String::from_utf8(text) {
        Ok(text) => (text, false),
        Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), true),
    };
    words.push(Word { text: Cow::Owned(text), column: column(start), length: column(end) - column(start), lossy });
}

fn column(at: usize) -> u32 {
    // MAX_LINE fits.
    u32::try_from(at + 1).unwrap_or(u32::MAX)
}

/// Resolves a backslash; gives where the rest starts.
fn escape(line: &[u8], at: usize, text: &mut Vec<u8>) -> Result<usize, LexError> {
    let Some(&next) = line.get(at + 1) else {
        text.push(b'\\');
        return Ok(at + 1);
    };
    let byte = match next {
        b' ' | b'\t' | b'\\' | b'"' | b'\'' | b'#' | b'$' => next,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'x' => {
            let digit = |position: usize| line.get(position).and_then(|byte| (*byte as char).to_digit(16));
            let (Some(high), Some(low)) = (digit(at + 2), digit(at + 3)) else {
                return error(at, "\\x wants two hexadecimal digits", "for example \\x20 for a space, or \\\\x for the two characters");
            };
            let byte = (high * 16 + low) as u8;
            if byte == 0 {
                return error(at, "a zero byte cannot be part of a word", "remove \\x00");
            }
            text.push(byte);
            return Ok(at + 4);
        }
        0 => return error(at + 1, "a zero byte in the line", "the file is damaged or not a text file"),
        // haproxy keeps both; regular expressions rely on it.
        other => {
            text.push(b'\\');
            other
        }
    };
    text.push(byte);
    Ok(at + 2)
}

/// Resolves `$NAME`, `${NAME}`, `${NAME-default}`, `${NAME[*]}` at a dollar; gives where the rest starts, the value,
/// and whether it is a list.
fn expansion(line: &[u8], dollar: usize, variable: &mut dyn FnMut(&str) -> Option<String>) -> Result<(usize, String, bool), LexError> {
    let braced = line.get(dollar + 1) == Some(&b'{');
    let first = dollar + 1 + usize::from(braced);
    let mut at = first + usize::from(line.get(first) == Some(&b'.'));
    if !line.get(at).is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_') {
        return error(
            at,
            "a variable's name starts with a letter or '_'",
            "write \"${NAME}\", or \\$ (or single quotes) for a dollar that is meant literally",
        );
    }
    while line.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
        at += 1;
    }
    // ASCII was just checked.
    let name = String::from_utf8_lossy(&line[first..at]);
    let value = variable(&name);
    if !braced {
        return Ok((at, value.unwrap_or_default(), false));
    }
    let list = line[at..].starts_with(b"[*]");
    if list {
        at += 3;
    }
    let mut default = String::new();
    if line.get(at) == Some(&b'-') {
        let rest = &line[at + 1..];
        let length = rest.iter().position(|byte| *byte == b'}').unwrap_or(rest.len());
        default = String::from_utf8_lossy(&rest[..length]).into_owned();
        at += 1 + length;
    }
    if line.get(at) != Some(&b'}') {
        return error(dollar + 1, "the brace of this variable is never closed", "write \"${NAME}\" or \"${NAME-default}\"");
    }
    Ok((at + 1, value.unwrap_or(default), list))
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
        words(line.as_bytes(), &mut env).expect(line).into_iter().map(|word| word.text.into_owned()).collect()
    }

    fn fails(line: &[u8]) -> usize {
        words(line, &mut |_| None).expect_err("must fail").column
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
        let found = words(b"name \xe9 # \xe9", &mut |_| None).expect("read");
        assert_eq!(found.iter().map(|word| word.lossy).collect::<Vec<_>>(), [false, true]);
    }
}
