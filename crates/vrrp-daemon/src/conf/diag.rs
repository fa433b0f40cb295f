//! What is wrong with a file: where, what, and what to write instead. All of it at once.

use std::fmt;
use std::sync::Arc;

/// Messages that are kept; what is beyond is counted.
pub const MAX_MESSAGES: usize = 1000;

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The file as it was named.
    pub file: Arc<str>,
    /// From 1.
    pub line: u32,
}

/// As keepalived writes it.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}: Line {})", self.file, self.line)
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Said, and neither `-t` nor a start fails for it.
    Note,
    /// `-t` fails, as keepalived's does; it starts all the same, as keepalived does.
    Warning,
    /// Nothing to start with.
    Error,
}

/// What kind of wrong it is, as keepalived tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// A word without its value.
    MissingValue,
    /// The file itself cannot be read. The check minds only with `-e`; a start ends in any case.
    Absent,
    /// Anything else that is wrong.
    Wrong,
    /// An included file that has to be there and is missing.
    Grave,
    /// Scripts that run as root without `enable_script_security`. Nothing is left out for it.
    Insecure,
    /// What keepalived notices when it starts, and its check does not.
    Unchecked,
}

impl Code {
    /// What `-t` and a failed start exit with, as keepalived's.
    fn exit(self) -> u8 {
        match self {
            Code::MissingValue => 2,
            Code::Absent => 4,
            Code::Wrong => 5,
            Code::Grave | Code::Insecure => 6,
            Code::Unchecked => 0,
        }
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Where, if it has a place.
    pub place: Option<Place>,
    /// How bad.
    pub level: Level,
    /// What `-t` says of it.
    pub code: Code,
    /// What, and what to write instead.
    pub text: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place} {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// The messages of one reading.
#[derive(Debug, Default)]
pub struct Diagnostics {
    all: Vec<Diagnostic>,
    beyond: usize,
}

impl Diagnostics {
    /// One more.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.all.len() < MAX_MESSAGES {
            self.all.push(diagnostic);
        } else {
            self.beyond += 1;
        }
    }

    /// Whether further messages are only counted.
    pub fn is_full(&self) -> bool {
        self.all.len() >= MAX_MESSAGES
    }

    /// Keepalived starts with it.
    pub fn warn(&mut self, place: &Place, text: impl Into<String>) {
        self.push(Diagnostic { place: Some(place.clone()), level: Level::Warning, code: Code::Wrong, text: text.into() });
    }

    /// keepalived's check does not notice.
    pub fn unchecked(&mut self, place: &Place, text: impl Into<String>) {
        self.push(Diagnostic { place: Some(place.clone()), level: Level::Warning, code: Code::Unchecked, text: text.into() });
    }

    /// There is nothing to start with.
    pub fn error(&mut self, place: &Place, text: impl Into<String>) {
        self.push(Diagnostic { place: Some(place.clone()), level: Level::Error, code: Code::Wrong, text: text.into() });
    }

    /// All messages in the order of the file.
    pub fn all(&self) -> &[Diagnostic] {
        &self.all
    }

    /// How many there were beyond [`MAX_MESSAGES`].
    pub fn beyond(&self) -> usize {
        self.beyond
    }

    /// Whether it can be started.
    pub fn is_startable(&self) -> bool {
        self.all.iter().all(|d| d.level < Level::Error)
    }

    /// What a start that these messages end exits with, as keepalived: 6 for a file that has to be there and is missing, else 2.
    pub fn start_code(&self) -> u8 {
        let missing = |d: &Diagnostic| d.code == Code::Absent || (d.code == Code::Grave && d.level == Level::Error);
        if self.all.iter().any(missing) { 6 } else { 2 }
    }

    /// Whether the file itself could be read.
    pub fn is_there(&self) -> bool {
        self.all.iter().all(|d| d.code != Code::Absent)
    }

    /// The exit code of `-t`: 0 if there is nothing to say. A word without its value ends keepalived there and then, so it comes first;
    /// what is not secure comes before what is wrong.
    pub fn exit_code(&self) -> u8 {
        let worst = |code| self.all.iter().any(|d| d.level > Level::Note && d.code == code);
        let found = [Code::MissingValue, Code::Absent, Code::Grave, Code::Insecure, Code::Wrong].into_iter().find(|code| worst(*code));
        found.map_or(0, Code::exit)
    }
}
