//! What is wrong with a configuration. Filled by every step of the parser, shown by [`crate::render`] and
//! [`crate::report`].
//!
//! Holds: at most [`MAX_DIAGNOSTICS`] are kept, and as many remarks, so that a hostile file cannot fill the memory with
//! messages; an excerpt is at most [`MAX_EXCERPT`] characters long; a remark that nobody asked for costs nothing.

use crate::model::Span;

/// So many diagnostics are kept, and so many remarks (what is below a notice); the rest is counted in a last one.
pub const MAX_DIAGNOSTICS: usize = 1000;

/// Longest excerpt of a line, in characters.
pub const MAX_EXCERPT: usize = 160;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// A word that is read without effect, and why that is sound. Asked for by [`crate::Source::remark`].
    Info,
    /// Sound, and perhaps not meant: what a lint noticed. Asked for by [`crate::Source::remark`].
    Lint,
    /// Suspicious, not wrong; only with [`Switches::diagnostics`](crate::Switches::diagnostics), never fatal.
    Diag,
    /// Worth knowing.
    Notice,
    /// The configuration can run, but probably not as meant.
    Warning,
    /// The configuration cannot run.
    Error,
}

impl Severity {
    /// The word in brackets, as haproxy writes it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Lint => "LINT",
            Self::Diag => "DIAG",
            Self::Notice => "NOTICE",
            Self::Warning => "WARNING",
            Self::Error => "ALERT",
        }
    }
}

/// One thing to tell the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Where; a column of 0 points at the whole line.
    pub span: Span,
    /// How many bytes from the column on are meant; 0 with a column of 0.
    pub length: u32,
    /// Name of the file, as given.
    pub file: String,
    /// The line as it stands in the file, without its end; shortened around the place when it is long.
    pub excerpt: String,
    /// Where in `excerpt` the place is, in characters from 0; `None`: the whole line.
    pub marker: Option<(usize, usize)>,
    /// What is wrong, one sentence without a final stop.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

/// Everything found, in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct Diagnostics {
    list: Vec<Raw>,
    /// Below a notice.
    remarks: Vec<Raw>,
    /// Severities of the remarks that are wanted.
    wanted: Vec<Severity>,
    dropped: usize,
    errors: usize,
}

/// A finding before its line was looked up: most files have none, so lines are not kept for it.
#[derive(Debug)]
struct Raw {
    severity: Severity,
    span: Span,
    length: u32,
    message: String,
    help: Option<String>,
}

/// Why a word cannot be taken; becomes an error at that word.
#[derive(Debug)]
pub(crate) struct Problem {
    /// Word of the line, counted from 0; `None`: the whole line.
    pub word: Option<usize>,
    pub message: String,
    pub help: Option<String>,
}

impl Problem {
    pub(crate) fn at(word: usize, message: impl Into<String>) -> Self {
        Self { word: Some(word), message: message.into(), help: None }
    }

    pub(crate) fn line(message: impl Into<String>) -> Self {
        Self { word: None, message: message.into(), help: None }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Diagnostics {
    /// Keeps remarks of these severities.
    pub(crate) fn wanting(severities: &[Severity]) -> Self {
        Self { wanted: severities.to_vec(), ..Self::default() }
    }

    /// True when a remark of this severity is worth finding out.
    pub(crate) fn wants(&self, severity: Severity) -> bool {
        self.wanted.contains(&severity) && self.remarks.len() < MAX_DIAGNOSTICS
    }

    /// Adds one; a `length` of 0 means the word at the span's column.
    pub(crate) fn push(&mut self, severity: Severity, span: Span, length: usize, message: impl Into<String>, help: Option<String>) {
        if severity < Severity::Notice {
            if self.wants(severity) {
                self.remarks.push(Raw { severity, span, length: clamp(length), message: message.into(), help });
            }
            return;
        }
        self.errors += usize::from(severity == Severity::Error);
        if self.list.len() >= MAX_DIAGNOSTICS {
            self.dropped += 1;
            return;
        }
        self.list.push(Raw { severity, span, length: clamp(length), message: message.into(), help });
    }

    /// How many errors there were.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// Nothing more will be kept: what costs time to say need not be found out.
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() >= MAX_DIAGNOSTICS
    }

    /// The name that is nearest to what was written, among names of the file's own: they can be many, so not all are looked at,
    /// and none for a message that nobody will see.
    pub(crate) fn nearest<'a>(&self, written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
        if self.is_full() { None } else { nearest(written, known.take(MAX_CANDIDATES)) }
    }

    /// Sorts by place, looks the lines up, and turns everything into what the caller sees.
    pub(crate) fn finish(mut self, files: &[(String, &[u8])]) -> Vec<Diagnostic> {
        self.list.append(&mut self.remarks);
        // What concerns the whole configuration goes last, as haproxy tells it last.
        self.list.sort_by_key(|raw| (raw.span.is_none(), raw.span.file, raw.span.line));
        let mut cursor = LineCursor::default();
        let mut list: Vec<Diagnostic> = self
            .list
            .into_iter()
            .map(|raw| {
                let file = files.get(raw.span.file as usize).filter(|_| !raw.span.is_none());
                let line = file.map_or(&b""[..], |(_, bytes)| cursor.line(raw.span, bytes));
                let length = length(line, raw.span.column, raw.length);
                let (excerpt, marker) = excerpt(line, raw.span.column, length);
                Diagnostic {
                    severity: raw.severity,
                    span: raw.span,
                    length,
                    file: file.map_or_else(String::new, |(name, _)| name.clone()),
                    excerpt,
                    marker,
                    message: raw.message,
                    help: raw.help,
                }
            })
            .collect();
        if self.dropped > 0 {
            list.push(Diagnostic {
                severity: if self.errors > 0 { Severity::Error } else { Severity::Warning },
                span: Span::default(),
                length: 0,
                file: String::new(),
                excerpt: String::new(),
                marker: None,
                message: format!("{} more messages are not shown", self.dropped),
                help: Some("the first ones usually explain the rest".into()),
            });
        }
        list
    }
}

fn clamp(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Bytes that are meant from the column on: at least one, at most to the line's end.
fn length(line: &[u8], column: u32, given: u32) -> u32 {
    let Some(start) = column.checked_sub(1) else { return 0 };
    let rest = line.get(start as usize..).unwrap_or_default();
    let rest = rest.strip_suffix(b"\r").unwrap_or(rest);
    let word = rest.iter().take_while(|byte| !byte.is_ascii_whitespace()).count();
    let wanted = if given == 0 { clamp(word) } else { given };
    wanted.min(clamp(rest.len())).max(1)
}

/// Finds lines by number, forwards, so that many findings in a long file stay linear.
#[derive(Default)]
struct LineCursor {
    file: u32,
    line: u32,
    offset: usize,
}

impl LineCursor {
    fn line<'a>(&mut self, span: Span, bytes: &'a [u8]) -> &'a [u8] {
        if self.line == 0 || self.file != span.file || self.line > span.line {
            *self = Self { file: span.file, line: 1, offset: 0 };
        }
        while self.line < span.line {
            match bytes[self.offset..].iter().position(|byte| *byte == b'\n') {
                Some(end) => self.offset += end + 1,
                None => return b"",
            }
            self.line += 1;
        }
        let rest = &bytes[self.offset..];
        rest.split(|byte| *byte == b'\n').next().unwrap_or(b"")
    }
}

/// A part of the line around the column, printable, with the marked characters' positions in it.
fn excerpt(line: &[u8], column: u32, length: u32) -> (String, Option<(usize, usize)>) {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let column = column as usize;
    // Bytes, not characters, are cut: a window that splits a character shows a replacement mark there.
    let before = column.saturating_sub(MAX_EXCERPT / 2);
    let start = before.min(line.len());
    let window = &line[start..line.len().min(start + MAX_EXCERPT)];
    let printable =
        |bytes: &[u8]| -> String { String::from_utf8_lossy(bytes).chars().map(|c| if c.is_control() { ' ' } else { c }).collect() };
    let text = printable(window);
    if column == 0 {
        return (text, None);
    }
    let at = (column - 1).saturating_sub(start).min(window.len());
    let end = (at + length as usize).min(window.len());
    let from = printable(&window[..at]).chars().count();
    let width = printable(&window[at..end]).chars().count();
    (text, Some((from, width.max(1))))
}

/// Names of the file that are looked at for one that is near.
const MAX_CANDIDATES: usize = 10_000;

/// Longest word that can be a misspelt keyword; also bounds the cost of looking for it.
const MAX_MISSPELT: usize = 48;

/// The known word that is nearest to what was written, if one is near enough to be meant.
pub(crate) fn nearest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if written.is_empty() || written.len() > MAX_MISSPELT {
        return None;
    }
    let mut allowed = (written.len() / 3).clamp(1, 3);
    let mut best = None;
    for word in known.filter(|word| word.len() <= MAX_MISSPELT) {
        if word.len().abs_diff(written.len()) > allowed {
            continue;
        }
        if let Some(distance) = distance(written.as_bytes(), word.as_bytes(), allowed) {
            if distance <= 1 {
                return Some(word);
            }
            best = Some(word);
            // Later words must be nearer.
            allowed = distance - 1;
        }
    }
    best
}

/// Insertions, deletions, substitutions and swaps of neighbours between two short words; `None` above `limit`.
fn distance(a: &[u8], b: &[u8], limit: usize) -> Option<usize> {
    let mut before = [0usize; MAX_MISSPELT + 1];
    let mut last: [usize; MAX_MISSPELT + 1] = std::array::from_fn(|position| position);
    for (i, x) in a.iter().enumerate() {
        let mut row = [0usize; MAX_MISSPELT + 1];
        row[0] = i + 1;
        let mut least = row[0];
        for (j, y) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row[j + 1] = best;
            least = least.min(best);
        }
        // A swap looks back two rows, so one row of slack.
        if least > limit + 1 {
            return None;
        }
        before = last;
        last = row;
    }
    Some(last[b.len()]).filter(|distance| *distance <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let distance = |a: &str, b: &str| distance(a.as_bytes(), b.as_bytes(), 3);
        assert_eq!(distance("balance", "balance"), Some(0));
        assert_eq!(distance("balanc", "balance"), Some(1));
        assert_eq!(distance("chekc", "check"), Some(1));
        assert_eq!(distance("", "abc"), Some(3));
        assert_eq!(distance("abcdef", "uvwxyz"), None);
        assert_eq!(nearest("servr", ["server", "backend"].into_iter()), Some("server"));
        assert_eq!(nearest("frobnicate", ["server", "backend"].into_iter()), None);
    }

    #[test]
    fn excerpt_of_a_long_line_stays_short_and_marks_the_place() {
        let mut line = vec![b'x'; 1_000_000];
        line[500_000] = b'!';
        let (text, marker) = excerpt(&line, 500_001, 1);
        assert!(text.len() <= MAX_EXCERPT);
        let (from, width) = marker.expect("column given");
        assert_eq!((text.as_bytes()[from], width), (b'!', 1));
    }

    #[test]
    fn remarks_are_kept_when_they_are_wanted() {
        let mut list = Diagnostics::wanting(&[Severity::Lint]);
        let span = Span { file: 0, line: 1, column: 3 };
        list.push(Severity::Info, span, 0, "not wanted", None);
        list.push(Severity::Lint, span, 0, "wanted", None);
        let list = list.finish(&[("x.cfg".into(), b"  word more\r\n")]);
        assert_eq!(list.iter().map(|one| (one.message.as_str(), one.length)).collect::<Vec<_>>(), [("wanted", 4)]);
    }

    #[test]
    fn the_number_of_messages_is_bounded() {
        let mut list = Diagnostics::default();
        for _ in 0..MAX_DIAGNOSTICS + 7 {
            list.push(Severity::Warning, Span::default(), 0, "x", None);
        }
        let list = list.finish(&[]);
        assert_eq!(list.len(), MAX_DIAGNOSTICS + 1);
        assert!(list.last().is_some_and(|last| last.message.starts_with("7 more")));
    }
}
