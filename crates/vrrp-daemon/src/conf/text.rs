//! Files become lines: comments, `include`, parameters, conditions on the configuration's id, `~SEQ` and `~LST`.
//!
//! Holds: what a short file asks for is bounded ([`MAX_EXPANDED`], [`MAX_DEPTH`], [`MAX_FILES`]); time is linear in what it comes to.

use super::diag::{Diagnostics, Place};
use super::words::without_comment;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

/// Files in files.
pub const MAX_DEPTH: usize = 16;
/// Files of one configuration.
pub const MAX_FILES: usize = 10_000;
/// Bytes that parameters and sequences may come to, each line counted as [`LINE`] more. The manual's example of 65,024 instances is 80 MB.
pub const MAX_EXPANDED: usize = 128 << 20;
/// What a line costs besides its bytes.
const LINE: usize = 64;
/// Parameters in parameters.
const MAX_NESTING: usize = 32;

/// Where files come from.
pub trait Source {
    /// The content of a file.
    ///
    /// # Errors
    /// The system's.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The files that fit a pattern with wildcards, sorted.
    fn matching(&self, pattern: &str) -> Vec<PathBuf>;
}

/// The file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Source for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn matching(&self, pattern: &str) -> Vec<PathBuf> {
        // As a shell has it: what an editor leaves beside the files is not meant.
        let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::default() };
        glob::glob_with(pattern, options).map(|paths| paths.filter_map(Result::ok).collect()).unwrap_or_default()
    }
}

/// What a file may ask for besides files.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// `-i`, or the first part of the host's name: what `@id` lines are compared with, and `${_INSTANCE}`.
    pub id: String,
    /// For `${_RANDOM}`.
    pub seed: u64,
    /// `-e`: a file that is missing is an error.
    pub all_files: bool,
    /// How much parameters and sequences may come to: [`MAX_EXPANDED`], or less.
    pub most: usize,
}

/// A line after everything above has been done to it.
#[derive(Debug, Clone)]
pub struct Line {
    /// Where it stands in the file; lines of a parameter stand where the parameter is used.
    pub place: Place,
    /// Without comment, white space around it, parameters.
    pub text: String,
}

/// Reads `path` and everything that it includes. A file that cannot be read is said and skipped, as keepalived does.
pub fn read(source: &dyn Source, path: &Path, surroundings: &Surroundings, diagnostics: &mut Diagnostics) -> Vec<Line> {
    let mut reader = Reader {
        source,
        id: &surroundings.id,
        seed: surroundings.seed,
        most: surroundings.most,
        checks: if surroundings.all_files { Checks::ALL } else { Checks::default() },
        parameters: HashMap::new(),
        pending: None,
        directory: PathBuf::new(),
        depth: 0,
        files: 0,
        spent: 0,
        lines: Vec::new(),
        diagnostics,
    };
    reader.include(&path.to_string_lossy(), None, 0);
    // Half of what was meant is another configuration, and the messages about it would be many.
    if reader.spent > reader.most { Vec::new() } else { reader.lines }
}

/// `include_check`: which files have to be there.
#[derive(Debug, Clone, Copy, Default)]
struct Checks {
    readable: bool,
    matched: bool,
    wildcard: bool,
    brace: bool,
}

impl Checks {
    const ALL: Checks = Checks { readable: true, matched: true, wildcard: true, brace: true };

    /// `readable match wildcard_match brace_match`, each also with `+` or `-` before it; nothing is all. The word that is none of them.
    fn set(&mut self, words: &str) -> Result<(), String> {
        if words.is_empty() {
            *self = Checks::ALL;
            return Ok(());
        }
        let relative = words.starts_with(['+', '-']);
        let mut new = if relative { *self } else { Checks::default() };
        for word in words.split_whitespace() {
            let (word, on) = match word.strip_prefix('-') {
                Some(word) => (word, false),
                None => (word.strip_prefix('+').unwrap_or(word), true),
            };
            match word {
                "readable" => new.readable = on,
                "match" => (new.readable, new.matched) = (new.readable || on, on),
                "wildcard_match" => (new.readable, new.wildcard) = (new.readable || on, on),
                "brace_match" => (new.readable, new.brace) = (new.readable || on, on),
                other => return Err(other.into()),
            }
        }
        *self = new;
        Ok(())
    }
}

/// A definition that goes on in the next line.
struct Pending {
    name: String,
    lines: Vec<String>,
}

struct Reader<'a> {
    source: &'a dyn Source,
    id: &'a str,
    seed: u64,
    most: usize,
    checks: Checks,
    parameters: HashMap<String, Rc<[String]>>,
    pending: Option<Pending>,
    directory: PathBuf,
    /// How many files the present one stands in.
    depth: usize,
    files: usize,
    spent: usize,
    lines: Vec<Line>,
    diagnostics: &'a mut Diagnostics,
}

impl Reader<'_> {
    fn include(&mut self, pattern: &str, from: Option<&Place>, depth: usize) {
        let here = from.cloned().unwrap_or(Place { file: pattern.into(), line: 0 });
        let mut found: Vec<PathBuf> = Vec::new();
        for one in braces(pattern) {
            let path = self.directory.join(&one);
            if one.contains(['*', '?', '[']) {
                found.extend(self.source.matching(&path.to_string_lossy()));
            } else {
                found.push(path);
            }
        }
        if found.is_empty() {
            let checks = self.checks;
            // keepalived's `match` minds wildcards too, whatever its manual says.
            self.missing(from, checks.matched || checks.wildcard, format!("Config files missing '{pattern}'."));
        }
        for path in found {
            self.files += 1;
            if depth > MAX_DEPTH || self.files > MAX_FILES {
                let limit = format!("more than {MAX_DEPTH} files in each other, or {MAX_FILES} in all; does a file include itself?");
                return self.diagnostics.error(&here, limit);
            }
            match self.source.read(&path) {
                Ok(bytes) => self.file(&path, &String::from_utf8_lossy(&bytes), depth),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    let text = format!("Config files missing '{}'.", path.display());
                    self.missing(from, self.checks.matched || (self.checks.brace && pattern.contains('{')), text);
                }
                Err(e) if e.kind() == io::ErrorKind::IsADirectory => {
                    let text = format!("Configuration file '{}' is a directory - skipping", path.display());
                    self.missing(from, self.checks.readable, text);
                }
                Err(e) => self.missing(from, self.checks.readable, format!("{} cannot be read: {e}", path.display())),
            }
        }
    }

    /// What `include` minds only where `include_check` or `-e` asks for it.
    fn missing(&mut self, place: Option<&Place>, minds: bool, text: String) {
        use super::diag::{Code, Diagnostic, Level};
        let level = if minds { Level::Error } else { Level::Note };
        let code = if place.is_none() { Code::Absent } else { Code::Grave };
        self.diagnostics.push(Diagnostic { place: place.cloned(), level, code, text });
    }

    fn file(&mut self, path: &Path, text: &str, depth: usize) {
        let parent = path.parent().map(Path::to_path_buf).unwrap_or_default();
        let before = (std::mem::replace(&mut self.directory, parent), self.checks, std::mem::replace(&mut self.depth, depth));
        let name: Arc<str> = path.to_string_lossy().into();
        for (index, raw) in text.lines().enumerate() {
            let place = Place { file: name.clone(), line: u32::try_from(index + 1).unwrap_or(u32::MAX) };
            let line = without_comment(raw).trim();
            if line.is_empty() {
                // It ends a definition, as in keepalived.
                if let Some(pending) = self.pending.take() {
                    self.go_on(pending, "");
                }
                continue;
            }
            // A definition goes on also behind a comment.
            let more = raw.trim_end().ends_with('\\') && !line.ends_with('\\') && (self.pending.is_some() || definition(line).is_some());
            let line = if more { &format!("{line} \\") } else { line };
            match self.pending.take() {
                Some(pending) => self.go_on(pending, line),
                None => self.expand(&place, line, 0),
            }
        }
        if let Some(pending) = self.pending.take() {
            let place = Place { file: name, line: u32::try_from(text.lines().count()).unwrap_or(u32::MAX) };
            self.diagnostics.warn(&place, format!("the definition of ${} ends with the file; its last line has no '\\'", pending.name));
            self.parameters.insert(pending.name, pending.lines.into());
        }
        (self.directory, self.checks, self.depth) = before;
    }

    /// One more line of a definition.
    fn go_on(&mut self, mut pending: Pending, line: &str) {
        let (text, more) = line.strip_suffix('\\').map_or((line, false), |text| (text.trim_end(), true));
        if !text.is_empty() {
            pending.lines.push(text.into());
        }
        if more {
            self.pending = Some(pending);
        } else {
            self.parameters.insert(pending.name, pending.lines.into());
        }
    }

    fn expand(&mut self, place: &Place, line: &str, depth: usize) {
        let line = line.trim();
        self.spent += line.len() + LINE;
        if self.spent > self.most || depth > MAX_NESTING {
            if self.spent < usize::MAX / 2 {
                self.spent = usize::MAX / 2;
                self.diagnostics
                    .error(place, format!("parameters and sequences come to more than {} bytes, or stand for themselves", self.most));
            }
            return;
        }
        if line.is_empty() {
            return;
        }
        if let Some(rest) = line.strip_prefix('@') {
            let (word, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            let (word, wanted) = word.strip_prefix('^').map_or((word, true), |word| (word, false));
            if (word == self.id) == wanted {
                self.expand(place, rest, depth + 1);
            }
            return;
        }
        if let Some((name, value)) = definition(line) {
            self.go_on(Pending { name: name.into(), lines: Vec::new() }, value);
            return;
        }
        if line.starts_with("~SEQ") || line.starts_with("~LST") {
            return self.sequence(place, line, depth);
        }
        match self.substituted(line) {
            Some(lines) => lines.iter().for_each(|line| self.expand(place, line, depth + 1)),
            None if let Some((pattern, checks)) = included(line) => {
                let before = self.checks;
                self.checks = checks.unwrap_or(before);
                self.include(pattern, Some(place), self.depth + 1);
                self.checks = before;
            }
            None => {
                self.heed(place, line);
                self.lines.push(Line { place: place.clone(), text: line.into() });
            }
        }
    }

    /// Two words of `global_defs` are for the reading itself.
    fn heed(&mut self, place: &Place, line: &str) {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match word {
            "random_seed" => self.seed = rest.trim().parse().unwrap_or(self.seed),
            "include_check" => {
                if let Err(other) = self.checks.set(rest.trim()) {
                    let text = format!(
                        "include_check '{other}' is none; write readable, match, wildcard_match or brace_match; the line is left out"
                    );
                    self.diagnostics.warn(place, text);
                }
            }
            _ => {}
        }
    }

    /// The line with its first parameter replaced; that may make several lines. Nothing if it has none that is defined.
    fn substituted(&mut self, line: &str) -> Option<Vec<String>> {
        for (at, _) in line.match_indices('$') {
            let Some((name, end)) = parameter_at(line, at) else { continue };
            let (before, after) = (&line[..at], &line[end..]);
            if let Some(value) = self.predefined(name) {
                return Some(vec![format!("{before}{value}{after}")]);
            }
            let Some(value) = self.parameters.get(name).cloned() else { continue };
            let mut lines: Vec<String> = value.to_vec();
            match lines.as_mut_slice() {
                [] => return Some(vec![format!("{before}{after}")]),
                [one] => *one = format!("{before}{one}{after}"),
                [first, .., last] => {
                    *first = format!("{before}{first}");
                    last.push_str(after);
                }
            }
            self.spent += lines.iter().map(String::len).sum::<usize>();
            return Some(lines);
        }
        None
    }

    fn predefined(&mut self, name: &str) -> Option<String> {
        let mut words = name.split_whitespace();
        match words.next()? {
            "_PWD" => Some(self.directory.to_string_lossy().into_owned()),
            "_INSTANCE" => Some(self.id.into()),
            "_HASH" => Some("#".into()),
            "_BANG" => Some("!".into()),
            "_RANDOM" => {
                let mut number = |or: u64| words.next().and_then(|w| w.parse().ok()).unwrap_or(or);
                let (min, max) = (number(0), number(32_767));
                // xorshift64: nobody's secret depends on it.
                self.seed |= 1;
                self.seed ^= self.seed << 13;
                self.seed ^= self.seed >> 7;
                self.seed ^= self.seed << 17;
                Some((min + self.seed % max.saturating_sub(min).saturating_add(1)).to_string())
            }
            _ => None,
        }
    }

    fn sequence(&mut self, place: &Place, line: &str, depth: usize) {
        let parsed = line.find('(').zip(line.find(')')).and_then(|(open, close)| {
            let (kind, body) = (&line[..open], line.get(open + 1..close)?);
            let values = if kind == "~LST" { list(body)? } else { numbers(body, kind == "~SEQx")? };
            (["~SEQ", "~SEQx", "~LST"].contains(&kind)).then_some((values, &line[close + 1..]))
        });
        let Some((values, rest)) = parsed else {
            let help = "write ~SEQ(VAR, START, STEP, END) or ~LST(VAR, VALUE, ...) and the line behind it";
            return self.diagnostics.warn(place, format!("'{line}' is no sequence; {help}"));
        };
        for row in values {
            for (name, value) in row {
                self.parameters.insert(name, Rc::from([value]));
            }
            self.expand(place, rest, depth + 1);
            if self.spent > self.most {
                return;
            }
        }
    }
}

/// The pattern of an include line, and what its variant checks if it is one: `includer` wants files that can be read, and so on.
fn included(line: &str) -> Option<(&str, Option<Checks>)> {
    let (word, rest) = line.split_once(char::is_whitespace)?;
    let of = |name: &str| {
        let mut checks = Checks::default();
        let _ = checks.set(name);
        checks
    };
    let checks = match word {
        "include" => None,
        "includer" => Some(of("readable")),
        "includem" => Some(of("match")),
        "includew" => Some(of("wildcard_match")),
        "includeb" => Some(of("brace_match")),
        "includea" => Some(Checks::ALL),
        _ => return None,
    };
    Some((rest.trim().trim_matches('"'), checks))
}

fn is_name(text: &str) -> bool {
    text.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_') && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `$NAME=VALUE`.
fn definition(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.strip_prefix('$')?.split_once('=')?;
    is_name(name).then(|| (name, value.trim()))
}

/// The name of the parameter that begins at a dollar, and where it ends. `$NAME` has to be followed by white space.
fn parameter_at(line: &str, at: usize) -> Option<(&str, usize)> {
    let rest = &line[at + 1..];
    if let Some(inner) = rest.strip_prefix('{') {
        let close = inner.find('}')?;
        let name = &inner[..close];
        return name.split_whitespace().next().is_some_and(is_name).then_some((name, at + 2 + close + 1));
    }
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    is_name(&rest[..end]).then_some((&rest[..end], at + 1 + end))
}

type Row = Vec<(String, String)>;

/// `VAR, START, STEP, END` with start and step optional.
fn numbers(body: &str, hex: bool) -> Option<Vec<Row>> {
    let mut parts = body.split(',').map(str::trim);
    let name = parts.next().filter(|name| is_name(name))?;
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse::<i64>().ok(),
    };
    let values = parts.map(number).collect::<Option<Vec<_>>>()?;
    let (start, step, end) = match values[..] {
        [end] => (if end > 0 { 1 } else { -1 }, None, end),
        [start, end] => (start, None, end),
        [start, step, end] => (start, Some(step), end),
        _ => return None,
    };
    let step = step.unwrap_or(if end >= start { 1 } else { -1 });
    let mut rows = Vec::new();
    let mut at = start;
    while step != 0 && (if step > 0 { at <= end } else { at >= end }) && rows.len() <= MAX_EXPANDED / LINE {
        rows.push(vec![(name.to_string(), if hex { format!("{at:x}") } else { at.to_string() })]);
        at = at.checked_add(step)?;
    }
    Some(rows)
}

/// `VAR, A, B` or `{V, W}, {1, 2}, {3, 4}`.
fn list(body: &str) -> Option<Vec<Row>> {
    let mut groups = Vec::new();
    let mut rest = body.trim();
    while !rest.is_empty() {
        let (group, after) = match rest.strip_prefix('{') {
            Some(inner) => inner.split_once('}')?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (&rest[..end], &rest[end..])
            }
        };
        groups.push(group.split(',').map(|part| part.trim().to_string()).collect::<Vec<_>>());
        rest = after.trim_start().strip_prefix(',').unwrap_or(after).trim_start();
    }
    let (names, values) = groups.split_first()?;
    let sound = names.iter().all(|name| is_name(name)) && values.iter().all(|row| row.len() == names.len());
    sound.then(|| values.iter().map(|row| names.iter().cloned().zip(row.iter().cloned()).collect()).collect())
}

/// `{a,b}` as a shell has it: every way to read the pattern. At most 1000.
fn braces(pattern: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut todo = vec![pattern.to_string()];
    while let Some(one) = todo.pop().filter(|_| done.len() < 1000) {
        // The innermost group first, so that groups may stand in each other.
        let group = one.find('}').and_then(|close| one[..close].rfind('{').map(|open| (open, close)));
        match group.filter(|(open, close)| one[*open..*close].contains(',')) {
            Some((open, close)) => {
                let parts = one[open + 1..close].split(',').rev();
                todo.extend(parts.map(|part| format!("{}{part}{}", &one[..open], &one[close + 1..])));
            }
            None => done.push(one),
        }
    }
    done
}
