//! Regular expressions as haproxy takes them: the syntax of PCRE over bytes, matched in linear time.
//!
//! Holds: a pattern that needs neither back-references nor look-around nor possessive repetition runs on the `regex` crate, in time
//! linear in the subject. One that does runs on a back-tracking engine for at most [`BACKTRACK_LIMIT`] steps; when these are used up
//! it does not match. No pattern and no subject panics or takes the process with it.
//!
//! Everything works on bytes, as PCRE without its UTF mode does: `.` is one byte, `\w`, `\d`, `\s`, `\b` and ignoring case are about ASCII.
//!
//! What PCRE has and this has not is refused when the configuration is read: recursion, subroutines, conditional groups, verbs (`(*SKIP)`),
//! groups that share a number (`(?|`), `\C`.

mod replace;
mod translate;

pub use replace::{Replacement, ReplacementError};

use std::fmt;

/// Most steps of the back-tracking engine for one search.
pub const BACKTRACK_LIMIT: usize = 100_000;

/// Most memory of one compiled pattern, in bytes.
pub const SIZE_LIMIT: usize = 4 << 20;

/// Groups that a match gives, with the whole match: `\0` to `\9`.
pub const MAX_GROUPS: usize = 10;

/// Why a pattern does not compile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("regex '{pattern}' is invalid ({why})")]
pub struct RegexError {
    /// The pattern.
    pub pattern: String,
    /// What is wrong with it.
    pub why: String,
}

/// A compiled pattern.
#[derive(Clone)]
pub struct Regex {
    engine: Engine,
    pattern: Box<str>,
    /// It says `$` or `\Z`: both are also before a last line feed.
    end: bool,
    /// It says `^` or `\A`.
    begin: bool,
    ignore_case: bool,
}

impl PartialEq for Regex {
    /// Two of the same text are the same.
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern && self.ignore_case == other.ignore_case
    }
}

#[derive(Clone)]
enum Engine {
    Linear(regex::bytes::Regex),
    Backtracking(Box<fancy_regex::Regex>),
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.pattern)
    }
}

/// Where the groups of a match are in the subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Groups {
    spans: [Option<(usize, usize)>; MAX_GROUPS],
}

impl Groups {
    /// Where group `n` is; the whole match is 0. `None`: it took no part.
    pub fn span(&self, n: usize) -> Option<(usize, usize)> {
        self.spans.get(n).copied().flatten()
    }

    /// Text of group `n` in the subject that was searched.
    pub fn get<'s>(&self, n: usize, subject: &'s [u8]) -> Option<&'s [u8]> {
        let (start, end) = self.span(n)?;
        subject.get(start..end)
    }

    /// Where the match begins.
    pub fn start(&self) -> usize {
        self.span(0).map_or(0, |span| span.0)
    }

    /// Where the match ends.
    pub fn end(&self) -> usize {
        self.span(0).map_or(0, |span| span.1)
    }

    fn moved(mut self, by: usize) -> Self {
        for span in self.spans.iter_mut().flatten() {
            *span = (span.0 + by, span.1 + by);
        }
        self
    }
}

impl Regex {
    /// Compiles a pattern; `ignore_case` is `-i` of an ACL, `i` of `regsub`.
    ///
    /// # Errors
    /// A pattern that PCRE would not take either, or that needs what is not there (see the module), or more memory than
    /// [`SIZE_LIMIT`].
    pub fn new(pattern: &str, ignore_case: bool) -> Result<Self, RegexError> {
        let error = |why: String| RegexError { pattern: pattern.to_owned(), why };
        let read = translate::translate(pattern).map_err(error)?;
        let engine = if read.backtracks {
            let built = fancy_regex::RegexBuilder::new(&read.text)
                .bytes_mode(fancy_regex::BytesMode::Ascii)
                .case_insensitive(ignore_case)
                .backtrack_limit(BACKTRACK_LIMIT)
                .delegate_size_limit(SIZE_LIMIT)
                .delegate_dfa_size_limit(SIZE_LIMIT)
                .build();
            Engine::Backtracking(Box::new(built.map_err(|e| error(one_line(&e.to_string())))?))
        } else {
            let built = regex::bytes::RegexBuilder::new(&read.text)
                .unicode(false)
                .case_insensitive(ignore_case)
                .size_limit(SIZE_LIMIT)
                .dfa_size_limit(SIZE_LIMIT)
                .build();
            Engine::Linear(built.map_err(|e| error(one_line(&e.to_string())))?)
        };
        Ok(Self { engine, pattern: pattern.into(), end: read.end, begin: read.begin, ignore_case })
    }

    /// The pattern as it was written.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Whether it runs on the back-tracking engine.
    pub fn backtracks(&self) -> bool {
        matches!(self.engine, Engine::Backtracking(_))
    }

    /// How many groups it has, without the whole match.
    pub fn group_count(&self) -> usize {
        match &self.engine {
            Engine::Linear(regex) => regex.captures_len() - 1,
            Engine::Backtracking(regex) => regex.captures_len() - 1,
        }
    }

    /// Whether it matches somewhere in `subject`.
    pub fn is_match(&self, subject: &[u8]) -> bool {
        let here = |subject: &[u8]| match &self.engine {
            Engine::Linear(regex) => regex.is_match(subject),
            Engine::Backtracking(regex) => regex.is_match(subject).unwrap_or(false),
        };
        here(subject) || self.without_line_feed(subject).is_some_and(here)
    }

    /// The first match in `subject`, with its groups.
    pub fn find(&self, subject: &[u8]) -> Option<Groups> {
        self.find_at(subject, 0)
    }

    /// The first match that begins at `from` or later; what is before it counts as text before the match.
    pub fn find_at(&self, subject: &[u8], from: usize) -> Option<Groups> {
        if from > subject.len() {
            return None;
        }
        let whole = self.search(subject, from);
        let Some(short) = self.without_line_feed(subject).filter(|short| from <= short.len()) else { return whole };
        // `$` before the last line feed and `$` at the very end: the match that begins first.
        match (whole, self.search(short, from)) {
            (Some(whole), Some(short)) => Some(if whole.start() < short.start() { whole } else { short }),
            (whole, short) => whole.or(short),
        }
    }

    /// As `find_at`, but as haproxy goes on behind a match (`regsub` with `g`): what is before `from` is not looked at, only that `^` is
    /// not there.
    pub fn find_next(&self, subject: &[u8], from: usize) -> Option<Groups> {
        if self.begin { self.find_at(subject, from) } else { self.find(subject.get(from..)?).map(|groups| groups.moved(from)) }
    }

    fn without_line_feed<'s>(&self, subject: &'s [u8]) -> Option<&'s [u8]> {
        if self.end { subject.strip_suffix(b"\n") } else { None }
    }

    fn search(&self, subject: &[u8], from: usize) -> Option<Groups> {
        let mut groups = Groups::default();
        match &self.engine {
            Engine::Linear(regex) => {
                let mut places = regex.capture_locations();
                regex.captures_read_at(&mut places, subject, from)?;
                for (n, span) in groups.spans.iter_mut().enumerate().take(places.len()) {
                    *span = places.get(n);
                }
            }
            Engine::Backtracking(regex) => {
                let found = regex.captures_from_pos(subject, from).ok()??;
                for (n, span) in groups.spans.iter_mut().enumerate().take(found.len()) {
                    *span = found.get(n).map(|m| (m.start(), m.end()));
                }
            }
        }
        Some(groups)
    }
}

/// The last line of an engine's message, which has the reason; those before it draw the pattern again.
fn one_line(message: &str) -> String {
    let last = message.lines().rfind(|line| !line.trim().is_empty()).unwrap_or(message).trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(pattern: &str, subject: &[u8]) -> Option<Vec<Option<(usize, usize)>>> {
        let regex = Regex::new(pattern, false).unwrap_or_else(|e| panic!("{e}"));
        regex.find(subject).map(|groups| groups.spans[..=regex.group_count().min(9)].to_vec())
    }

    fn first(pattern: &str, subject: &[u8]) -> Option<(usize, usize)> {
        spans(pattern, subject).and_then(|groups| groups[0])
    }

    #[test]
    fn as_pcre_reads_it() {
        for (pattern, subject, found) in [
            ("a{2", &b"xa{2"[..], Some((1, 4))),
            ("[[]|_", b"a_b", Some((1, 2))),
            ("[]a]+", b"x]a]", Some((1, 4))),
            ("[^]a]", b"]ab", Some((2, 3))),
            ("\\<a\\>", b"<a>", Some((0, 3))),
            ("[a&&b]", b"&", Some((0, 1))),
            ("[\\w-.]+", b"!a-.b!", Some((1, 5))),
            ("[a-c-e]+", b"d-e", Some((1, 3))),
            ("\\Qa.b\\E+", b"a.bb", Some((0, 4))),
            ("\\x41\\x{42}\\103", b"ABC", Some((0, 3))),
            ("a\\ b", b"a b", Some((0, 3))),
            ("é", "aé".as_bytes(), Some((1, 3))),
            (".", b"\xff", Some((0, 1))),
            ("\\w", "é".as_bytes(), None),
            ("[é]", b"\xa9", Some((0, 1))),
            ("(?#no)a", b"a", Some((0, 1))),
            ("(?i)A(?-i)b", b"ab", Some((0, 2))),
            ("a$", b"a\n", Some((0, 1))),
            ("a\\z", b"a\n", None),
            ("[[:digit:][:alpha:]]+", b"-a1", Some((1, 3))),
            ("\\d+\\h\\R", b"12\t\r\n", Some((0, 5))),
            ("(?x) a b # c", b"ab", Some((0, 2))),
        ] {
            assert_eq!(first(pattern, subject), found, "{pattern}");
        }
    }

    #[test]
    fn what_backtracks() {
        for (pattern, subject, found) in [
            ("(a)\\1", &b"baa"[..], Some((1, 3))),
            ("(?<=a)b", b"bab", Some((2, 3))),
            ("a(?!b)", b"abac", Some((2, 3))),
            ("(?>a+)b", b"aab", Some((0, 3))),
            ("a++a", b"aaa", None),
            ("(a)\\1+b", b"aaaab", Some((0, 5))),
            ("(a)\\g{-1}1", b"aa1", Some((0, 3))),
            ("\\xff(?=.)", b"\xc3\xff\xfe", Some((1, 2))),
            ("(?<!\\w)é(?=x)", "-éx".as_bytes(), Some((1, 3))),
        ] {
            assert!(Regex::new(pattern, false).unwrap().backtracks(), "{pattern}");
            assert_eq!(first(pattern, subject), found, "{pattern}");
        }
        assert_eq!(spans("(x)|(a)(?=b)", b"\xffab"), Some(vec![Some((1, 2)), None, Some((1, 2))]));
    }

    #[test]
    fn one_that_would_take_for_ever_does_not_match() {
        let regex = Regex::new("(a|aa)+(?=b)$", false).unwrap();
        assert!(!regex.is_match(&[b'a'; 10_000]));
        let linear = Regex::new("(a|aa)+$", false).unwrap();
        assert!(!linear.is_match(&[&[b'a'; 10_000][..], b"!"].concat()));
    }

    #[test]
    fn refused() {
        for pattern in ["(", "[a", "a)", "*a", "(?R)", "(?1)a", "(*SKIP)", "a\\", "[b-a]", "(?|a|b)", "a{99999}{99999}", "\\x{100}"] {
            let error = Regex::new(pattern, false).unwrap_err();
            assert!(!error.why.is_empty() && !error.why.contains('\n'), "{error}");
        }
    }

    #[test]
    fn case() {
        assert!(Regex::new("ABC[x-z]", true).unwrap().is_match(b"abcY"));
        assert!(Regex::new("(A)\\1", true).unwrap().is_match(b"aA"));
        assert!(!Regex::new("K", true).unwrap().is_match("\u{212a}".as_bytes()));
    }
}
