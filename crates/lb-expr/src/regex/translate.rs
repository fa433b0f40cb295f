//! From the syntax of PCRE to that of the engines, where the same characters mean something else. Linear in the pattern.
//!
//! Holds: what comes out is ASCII; every byte above it is written `\xHH`.

/// A pattern as the engines take it.
pub(super) struct Translated {
    pub(super) text: String,
    /// It has what only the back-tracking engine knows.
    pub(super) backtracks: bool,
    pub(super) end: bool,
    pub(super) begin: bool,
}

/// Reads a pattern.
///
/// # Errors
/// What PCRE would refuse too, where the engines would not; what PCRE has and the engines have not.
pub(super) fn translate(pattern: &str) -> Result<Translated, String> {
    let read = Translated { text: String::new(), backtracks: false, end: false, begin: false };
    Reader { rest: pattern.as_bytes(), out: String::with_capacity(pattern.len() + 16), read, groups: 0 }.read()
}

/// Members of `\d` and the like, as ranges of bytes.
fn class_of(letter: u8) -> Option<&'static [(u8, u8)]> {
    Some(match letter {
        b'd' => &[(b'0', b'9')],
        b'w' => &[(b'0', b'9'), (b'A', b'Z'), (b'_', b'_'), (b'a', b'z')],
        b's' => &[(9, 13), (b' ', b' ')],
        b'h' => &[(9, 9), (b' ', b' '), (0xa0, 0xa0)],
        b'v' => &[(10, 13), (0x85, 0x85)],
        _ => return None,
    })
}

/// The bytes that are in none of `ranges`, which are in order.
fn complement(ranges: &[(u8, u8)]) -> Vec<(u8, u8)> {
    let mut rest = Vec::new();
    let mut from = 0u16;
    for &(a, b) in ranges {
        if from < u16::from(a) {
            rest.push((from as u8, a - 1));
        }
        from = u16::from(b) + 1;
    }
    if from <= 0xff {
        rest.push((from as u8, 0xff));
    }
    rest
}

struct Reader<'p> {
    rest: &'p [u8],
    out: String,
    read: Translated,
    groups: usize,
}

impl<'p> Reader<'p> {
    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn take(&mut self, text: &[u8]) -> bool {
        let there = self.rest.strip_prefix(text);
        self.rest = there.unwrap_or(self.rest);
        there.is_some()
    }

    /// What stands before `end`, which is skipped too.
    fn until(&mut self, end: &[u8]) -> Option<&'p [u8]> {
        let at = memchr::memmem::find(self.rest, end)?;
        let text = &self.rest[..at];
        self.rest = &self.rest[at + end.len()..];
        Some(text)
    }

    fn literal(&mut self, byte: u8) {
        if byte.is_ascii_alphanumeric() {
            self.out.push(char::from(byte));
        } else {
            self.hex(byte);
        }
    }

    fn hex(&mut self, byte: u8) {
        use std::fmt::Write as _;
        let _ = write!(self.out, "\\x{byte:02X}");
    }

    fn class(&mut self, negative: bool, ranges: &[(u8, u8)]) {
        self.out.push_str(if negative { "[^" } else { "[" });
        self.ranges(ranges);
        self.out.push(']');
    }

    fn ranges(&mut self, ranges: &[(u8, u8)]) {
        for &(a, b) in ranges {
            self.hex(a);
            if a != b {
                self.out.push('-');
                self.hex(b);
            }
        }
    }

    fn read(mut self) -> Result<Translated, String> {
        while let Some(byte) = self.next() {
            match byte {
                b'\\' => self.escape()?,
                b'[' => self.set()?,
                b'(' => self.group()?,
                b'{' => {
                    if self.counts() {
                        self.out.push('{');
                        let count = self.until(b"}").unwrap_or_default();
                        self.out.extend(count.iter().map(|&b| char::from(b)));
                        self.out.push('}');
                        self.possessive();
                    } else {
                        self.out.push_str("\\{");
                    }
                }
                b'*' | b'+' | b'?' => {
                    self.out.push(char::from(byte));
                    self.possessive();
                }
                b'$' => {
                    self.read.end = true;
                    self.out.push('$');
                }
                b'^' => {
                    self.read.begin = true;
                    self.out.push('^');
                }
                b'.' | b'|' | b')' => self.out.push(char::from(byte)),
                // They have a meaning under (?x).
                b' ' | b'\t'..=b'\r' | b'#' => self.out.push(char::from(byte)),
                _ => self.literal(byte),
            }
        }
        self.read.text = self.out;
        Ok(self.read)
    }

    /// Whether what follows a brace makes it a count; else it stands for itself.
    fn counts(&self) -> bool {
        let digits = |text: &[u8]| text.iter().take_while(|b| b.is_ascii_digit()).count();
        let low = digits(self.rest);
        let mut rest = &self.rest[low..];
        if let Some(behind) = rest.strip_prefix(b",") {
            rest = &behind[digits(behind)..];
        }
        low > 0 && rest.starts_with(b"}")
    }

    /// A plus behind a repetition: what it has taken it keeps. The linear engine would take it for another repetition.
    fn possessive(&mut self) {
        if self.take(b"+") {
            self.read.backtracks = true;
            self.out.push('+');
        }
    }

    fn escape(&mut self) -> Result<(), String> {
        let letter = self.next().ok_or("\\ at end of pattern")?;
        match letter {
            b'Q' => {
                let text = match self.until(b"\\E") {
                    Some(text) => text,
                    None => std::mem::take(&mut self.rest),
                };
                text.iter().for_each(|&b| self.literal(b));
            }
            b'E' => {}
            b'1'..=b'9' => {
                let more = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
                let text = std::str::from_utf8(&self.rest[..more]).unwrap_or_default();
                let number = format!("{}{text}", char::from(letter)).parse().unwrap_or(usize::MAX);
                // From 10 on, a number beyond the groups is that of a byte, in octal.
                if number > 9 && number > self.groups && letter < b'8' {
                    let byte = self.byte(letter)?;
                    self.hex(byte);
                } else {
                    self.read.backtracks = true;
                    self.rest = &self.rest[more..];
                    self.out.push_str(&format!("(?:\\{number})"));
                }
            }
            b'g' => self.numbered()?,
            b'k' | b'K' | b'G' => {
                self.read.backtracks = true;
                self.out.extend(['\\', char::from(letter)]);
                if letter == b'k' {
                    let end: &[u8] = match self.next() {
                        Some(b'<') => b">",
                        Some(b'{') => b"}",
                        Some(b'\'') => b"'",
                        _ => return Err("\\k is not followed by a braced, angle-bracketed, or quoted name".into()),
                    };
                    let name = self.until(end).ok_or("syntax error in subpattern name (missing terminator?)")?;
                    self.name(name)?;
                }
            }
            b'A' => {
                self.read.begin = true;
                self.out.push_str("\\A");
            }
            b'Z' => {
                self.read.end = true;
                self.out.push_str("\\z");
            }
            b'z' => self.out.push_str("\\z"),
            b'b' | b'B' => self.out.extend(['\\', char::from(letter)]),
            b'N' => self.out.push_str("[^\\n]"),
            b'R' => self.out.push_str("(?:\\r\\n|[\\n-\\r\\x85])"),
            _ if class_of(letter.to_ascii_lowercase()).is_some() => {
                let ranges = class_of(letter.to_ascii_lowercase()).unwrap_or_default();
                self.class(letter.is_ascii_uppercase(), ranges);
            }
            _ => {
                let byte = self.byte(letter)?;
                self.hex(byte);
            }
        }
        Ok(())
    }

    /// `\g1`, `\g{1}`, `\g{-1}`, `\g{name}`.
    fn numbered(&mut self) -> Result<(), String> {
        self.read.backtracks = true;
        let text = if self.take(b"{") {
            self.until(b"}").ok_or("a numbered reference must not be zero")?
        } else {
            let len = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
            let (text, rest) = self.rest.split_at(len);
            self.rest = rest;
            text
        };
        let text = std::str::from_utf8(text).map_err(|e| e.to_string())?;
        match text.parse::<i64>() {
            Ok(n) => {
                let n = if n < 0 { n + self.groups as i64 + 1 } else { n };
                if n <= 0 {
                    return Err("reference to non-existent subpattern".into());
                }
                self.out.push_str(&format!("(?:\\{n})"));
                Ok(())
            }
            Err(_) if text.is_empty() => Err("subroutines (\\g<name>) are not supported".into()),
            Err(_) => {
                self.out.push_str("\\k");
                self.name(text.as_bytes())
            }
        }
    }

    fn name(&mut self, name: &[u8]) -> Result<(), String> {
        if name.is_empty() || name[0].is_ascii_digit() || !name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_') {
            return Err("subpattern name expected".into());
        }
        self.out.push('<');
        self.out.extend(name.iter().map(|&b| char::from(b)));
        self.out.push('>');
        Ok(())
    }

    /// The byte that an escape stands for.
    fn byte(&mut self, letter: u8) -> Result<u8, String> {
        let digits = |text: &[u8], most: usize, radix: u32| text.iter().take(most).take_while(|b| char::from(**b).is_digit(radix)).count();
        let number = |text: &[u8], radix: u32| {
            let text = std::str::from_utf8(text).unwrap_or_default();
            if text.is_empty() { Some(0) } else { u8::from_str_radix(text, radix).ok() }
        };
        let large = || "character code point value in \\x{} or \\o{} is too large".to_owned();
        Ok(match letter {
            b'a' => 7,
            b'e' => 27,
            b'f' => 12,
            b'n' => 10,
            b'r' => 13,
            b't' => 9,
            b'c' => self.next().filter(|b| b.is_ascii_graphic() || *b == b' ').ok_or("\\c at end of pattern")?.to_ascii_uppercase() ^ 0x40,
            b'x' if self.take(b"{") => {
                let text = self.until(b"}").filter(|text| !text.is_empty()).ok_or("missing terminating } for \\x{}")?;
                number(text, 16).ok_or_else(large)?
            }
            b'o' if self.take(b"{") => {
                let text = self.until(b"}").filter(|text| !text.is_empty()).ok_or("missing terminating } for \\o{}")?;
                number(text, 8).ok_or_else(large)?
            }
            b'x' => {
                let (text, rest) = self.rest.split_at(digits(self.rest, 2, 16));
                self.rest = rest;
                number(text, 16).ok_or_else(large)?
            }
            b'0'..=b'7' => {
                let (text, rest) = self.rest.split_at(digits(self.rest, 2, 8));
                self.rest = rest;
                let high = u32::from(letter - b'0');
                let value = text.iter().fold(high, |n, b| n * 8 + u32::from(b - b'0'));
                u8::try_from(value).map_err(|_| "octal value is greater than \\377 in 8-bit non-UTF-8 mode")?
            }
            b'p' | b'P' => return Err("properties of characters (\\p) are not supported: subjects are bytes".into()),
            b'C' | b'X' => return Err(format!("\\{} is not supported", char::from(letter))),
            other if other.is_ascii_alphanumeric() => return Err("unrecognized character follows \\".into()),
            other => other,
        })
    }

    fn group(&mut self) -> Result<(), String> {
        if self.rest.starts_with(b"*") {
            return Err("verbs ((*NAME)) are not supported".into());
        }
        if !self.take(b"?") {
            self.groups += 1;
            self.out.push('(');
            return Ok(());
        }
        if self.take(b"#") {
            self.until(b")").ok_or("missing ) after (?# comment")?;
            return Ok(());
        }
        for kind in ["<=", "<!", "=", "!", ">"] {
            if self.take(kind.as_bytes()) {
                self.read.backtracks = true;
                self.out.push_str("(?");
                self.out.push_str(kind);
                return Ok(());
            }
        }
        for (kind, end) in [("P<", ">"), ("<", ">"), ("'", "'")] {
            if self.take(kind.as_bytes()) {
                let name = self.until(end.as_bytes()).ok_or("syntax error in subpattern name (missing terminator?)")?;
                self.groups += 1;
                self.out.push_str("(?P");
                return self.name(name);
            }
        }
        if self.take(b"P=") {
            let name = self.until(b")").ok_or("syntax error in subpattern name (missing terminator?)")?;
            self.read.backtracks = true;
            self.out.push_str("\\k");
            return self.name(name);
        }
        let len = self.rest.iter().take_while(|b| matches!(b, b'i' | b'm' | b's' | b'x' | b'U' | b'-')).count();
        match self.rest.get(len) {
            Some(b':') | Some(b')') => {
                let (flags, rest) = self.rest.split_at(len + 1);
                self.rest = rest;
                if flags == b")" {
                    return Ok(());
                }
                self.out.push_str("(?");
                self.out.extend(flags.iter().map(|&b| char::from(b)));
                Ok(())
            }
            None => Err("missing closing parenthesis".into()),
            Some(b'R' | b'&' | b'P' | b'0'..=b'9' | b'+') => Err("recursion and subroutines are not supported".into()),
            Some(b'|') => Err("groups that share a number ((?|) are not supported".into()),
            Some(b'(') => Err("conditional groups are not supported".into()),
            Some(_) => Err("unrecognized character after (? or (?-".into()),
        }
    }

    /// What stands in brackets.
    fn set(&mut self) -> Result<(), String> {
        const OPEN: &str = "missing terminating ] for character class";
        let negative = self.take(b"^");
        let mut ranges: Vec<(u8, u8)> = Vec::new();
        let mut names = String::new();
        let mut first = true;
        // The byte that a hyphen may make the begin of a range.
        let mut low: Option<u8> = None;
        loop {
            let byte = self.next().ok_or(OPEN)?;
            if byte == b']' && !first {
                break;
            }
            first = false;
            let range = low.is_some() && byte == b'-' && !self.rest.starts_with(b"]");
            let byte = if range { self.next().ok_or(OPEN)? } else { byte };
            let member = self.member(byte, &mut ranges, &mut names)?;
            match (range, low, member) {
                (true, Some(low), Some(high)) => {
                    if low > high {
                        return Err("range out of order in character class".into());
                    }
                    ranges.push((low, high));
                }
                // A hyphen before a class stands for itself.
                (true, ..) => ranges.push((b'-', b'-')),
                (false, _, Some(byte)) => ranges.push((byte, byte)),
                (false, _, None) => {}
            }
            low = if range { None } else { member };
        }
        self.out.push_str(if negative { "[^" } else { "[" });
        self.ranges(&ranges);
        self.out.push_str(&names);
        self.out.push(']');
        Ok(())
    }

    /// One member of a set: the byte that it is, or `None` when it added classes.
    fn member(&mut self, byte: u8, ranges: &mut Vec<(u8, u8)>, names: &mut String) -> Result<Option<u8>, String> {
        const NAMES: [&str; 14] =
            ["alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word", "xdigit"];
        if byte == b'[' && self.rest.starts_with(b":") {
            if let Some(len) = memchr::memmem::find(self.rest, b":]") {
                let text = &self.rest[1..len.max(1)];
                let word = text.strip_prefix(b"^").unwrap_or(text);
                if let Some(name) = NAMES.iter().find(|name| name.as_bytes() == word) {
                    self.rest = &self.rest[len + 2..];
                    let not = if text.len() > word.len() { "^" } else { "" };
                    names.push_str(&format!("[:{not}{name}:]"));
                    return Ok(None);
                }
                if !word.is_empty() && word.iter().all(u8::is_ascii_lowercase) {
                    return Err("unknown POSIX class name".into());
                }
            }
            return Ok(Some(byte));
        }
        if byte != b'\\' {
            return Ok(Some(byte));
        }
        let letter = self.next().ok_or("missing terminating ] for character class")?;
        match letter {
            b'b' => Ok(Some(8)),
            b'Q' => {
                let text = match self.until(b"\\E") {
                    Some(text) => text,
                    None => std::mem::take(&mut self.rest),
                };
                ranges.extend(text.iter().map(|&b| (b, b)));
                Ok(None)
            }
            b'E' => Ok(None),
            b'B' | b'R' | b'X' => Err("escape sequence is invalid in character class".into()),
            b'8' | b'9' => Ok(Some(letter)),
            _ => match class_of(letter.to_ascii_lowercase()) {
                Some(class) if letter.is_ascii_uppercase() => {
                    ranges.extend(complement(class));
                    Ok(None)
                }
                Some(class) => {
                    ranges.extend(class);
                    Ok(None)
                }
                None => self.byte(letter).map(Some),
            },
        }
    }
}
