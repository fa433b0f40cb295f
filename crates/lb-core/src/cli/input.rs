//! What clients of a run-time socket send: bytes in, lines and words out. Source: management guide 9.3.
//!
//! Holds: no input panics; each call looks at the bytes it is given a fixed number of times; what is no UTF-8 becomes text with
//! replacement characters, which names nothing.

use memchr::memchr;

/// Words of a command; those behind are dropped, as haproxy does.
pub const MAX_WORDS: usize = 64;

/// What stands at the front of the input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input<'a> {
    /// A line, perhaps with the payload that belongs to it.
    Line {
        /// Without its end, and without the mark of a payload.
        line: &'a [u8],
        /// The lines behind a line that ends with `<<`, up to an empty one.
        payload: Option<&'a [u8]>,
        /// Bytes that it takes in all.
        used: usize,
    },
    /// More is needed; so many lines of a payload are expected or there: an interactive client is shown a mark for each.
    Partial {
        /// Marks.
        payload_lines: usize,
    },
    /// It is longer than what is taken.
    TooLong,
}

/// Looks for a line, with its payload, of less than `limit` bytes at the front of `bytes`.
pub fn take(bytes: &[u8], limit: usize) -> Input<'_> {
    let partial = |payload_lines| if bytes.len() >= limit { Input::TooLong } else { Input::Partial { payload_lines } };
    let Some(end) = memchr(b'\n', bytes) else { return partial(0) };
    let line = without_return(&bytes[..end]);
    let line_end = end + 1;
    if line_end >= limit {
        return Input::TooLong;
    }
    let Some(line) = line.trim_ascii_end().strip_suffix(b"<<").filter(|rest| rest.last().is_none_or(|b| is_blank(*b))) else {
        return Input::Line { line, payload: None, used: line_end };
    };
    let mut at = line_end;
    let mut lines = 1;
    while let Some(end) = memchr(b'\n', &bytes[at..]) {
        let next = at + end + 1;
        if next >= limit {
            return Input::TooLong;
        }
        if without_return(&bytes[at..at + end]).is_empty() {
            return Input::Line { line, payload: Some(&bytes[line_end..at]), used: next };
        }
        at = next;
        lines += 1;
    }
    partial(lines)
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn is_blank(b: u8) -> bool {
    // haproxy takes a NUL for the end of a word too (observed).
    b.is_ascii_whitespace() || b == 0
}

/// The commands of a line: what stands between semicolons that have no backslash before them.
pub fn commands(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let mut escaped = false;
        let end = bytes.iter().position(|&b| {
            let found = b == b';' && !escaped;
            escaped = b == b'\\' && !escaped;
            found
        });
        let (command, behind) = match end {
            Some(end) => (&bytes[..end], Some(&bytes[end + 1..])),
            None => (bytes, None),
        };
        rest = behind;
        Some(command)
    })
}

/// The words of a command, backslashes taken out.
pub fn words(command: &[u8]) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Vec<u8> = Vec::new();
    let mut begun = false;
    let mut bytes = command.iter().copied();
    while let Some(b) = bytes.next() {
        if is_blank(b) {
            if std::mem::take(&mut begun) {
                words.push(text(&mut word));
                if words.len() == MAX_WORDS {
                    return words;
                }
            }
            continue;
        }
        begun = true;
        match b {
            // One at the very end stays.
            b'\\' => word.push(bytes.next().unwrap_or(b'\\')),
            b => word.push(b),
        }
    }
    if begun {
        words.push(text(&mut word));
    }
    words
}

fn text(word: &mut Vec<u8>) -> String {
    let word = std::mem::take(word);
    String::from_utf8(word).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(bytes: &[u8]) -> (&[u8], Option<&[u8]>, usize) {
        match take(bytes, 16384) {
            Input::Line { line, payload, used } => (line, payload, used),
            other => panic!("{other:?} of {:?}", String::from_utf8_lossy(bytes)),
        }
    }

    #[test]
    fn lines() {
        assert_eq!(line(b"show info\nquit\n"), (&b"show info"[..], None, 10));
        assert_eq!(line(b"\r\n"), (&b""[..], None, 2));
        assert_eq!(take(b"show info", 100), Input::Partial { payload_lines: 0 });
        assert_eq!(take(b"", 100), Input::Partial { payload_lines: 0 });
    }

    /// As haproxy 2.6 was seen to take them, with its buffer of 16384 bytes.
    #[test]
    fn the_longest_line() {
        let of = |len: usize| [vec![b'a'; len], b"\n".to_vec()].concat();
        assert_eq!(line(&of(16382)).2, 16383);
        assert_eq!(take(&of(16383), 16384), Input::TooLong);
        assert_eq!(take(&[b'a'; 16384], 16384), Input::TooLong);
        assert_eq!(take(&[b'a'; 16383], 16384), Input::Partial { payload_lines: 0 });
        assert_eq!(take(&[b"x <<\n".to_vec(), of(16383)].concat(), 16384), Input::TooLong);
    }

    #[test]
    fn payloads() {
        assert_eq!(line(b"set x <<\na\nb\n\nshow info\n"), (&b"set x "[..], Some(&b"a\nb\n"[..]), 14));
        assert_eq!(line(b"set x <<\r\na\r\n\r\n"), (&b"set x "[..], Some(&b"a\r\n"[..]), 15));
        assert_eq!(line(b"<<\n\n"), (&b""[..], Some(&b""[..]), 4));
        assert_eq!(take(b"set x <<\na\nb", 100), Input::Partial { payload_lines: 2 });
        // Glued to a word it is none, nor with a word behind it.
        assert_eq!(line(b"set x<<\n\n"), (&b"set x<<"[..], None, 8));
        assert_eq!(line(b"set x << END\n\n"), (&b"set x << END"[..], None, 13));
    }

    #[test]
    fn chains_and_words() {
        let split = |line: &[u8]| commands(line).map(words).collect::<Vec<_>>();
        assert_eq!(split(b"show info; show  stat\t1"), [vec!["show", "info"], vec!["show", "stat", "1"]]);
        assert_eq!(split(b";a;"), [vec![], vec!["a"], Vec::<&str>::new()]);
        assert_eq!(split(br"set a\;b c\\;d e\ f \"), [vec!["set", "a;b", r"c\"], vec!["d", "e f", r"\"]]);
        assert_eq!(split(b"a\0b \xff"), [["a", "b", "\u{fffd}"]]);
        assert_eq!(words(&b"x ".repeat(100)).len(), MAX_WORDS);
    }
}
