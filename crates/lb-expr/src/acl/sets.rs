//! All sets of patterns of a configuration: those of files, which all lines that name the same file share, and those of single lines.
//!
//! Source: manual 7.1 (`-f`, `-M`, `-u`), 7.3.1 (`map`), of 3.0 section 2.7 (`file@`, `opt@`, `virt@`); the form of files as observed on
//! haproxy 2.6.12.

use super::index::Kind;
use super::set::{Gives, Lookup, MAX_LINE, Set, Use};
use crate::sample::Loader;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All pattern sets of a configuration.
#[derive(Default)]
pub struct Sets {
    list: Mutex<Vec<Arc<Set>>>,
}

impl fmt::Debug for Sets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sets", self.lock().len())
    }
}

/// What a line wants of a file.
pub(super) struct Wanted {
    /// How it is looked up.
    pub kind: Kind,
    /// Lines have two columns.
    pub has_values: bool,
    /// `-n`.
    pub no_resolve: bool,
    /// For maps: what they give.
    pub gives: Option<Gives>,
    /// The fetch of the ACL.
    pub keyword: String,
}

impl Wanted {
    fn used(&self, loader: &dyn Loader) -> Use {
        Use { kind: self.kind, is_map: self.has_values, is_acl: self.gives.is_none(), keyword: self.keyword.clone(), place: loader.place() }
    }
}

impl Sets {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Set>>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All sets with their numbers: those that `-u` gave, and for the others the next free one in the order of the configuration.
    pub fn list(&self) -> Vec<(u32, Arc<Set>)> {
        let list = self.lock();
        let forced: std::collections::HashSet<u32> = list.iter().filter_map(|set| set.forced_id()).collect();
        let mut next = (0..).filter(|id| !forced.contains(id));
        let mut all: Vec<_> = list.iter().filter_map(|set| Some((set.forced_id().or_else(|| next.next())?, Arc::clone(set)))).collect();
        all.sort_by_key(|(id, _)| *id);
        all
    }

    /// The set that an operator names: `#` and its number, or its file.
    pub fn find(&self, name: &str) -> Option<Arc<Set>> {
        if let Some(id) = name.strip_prefix('#') {
            let id: u32 = id.parse().ok()?;
            return self.list().into_iter().find(|(known, _)| *known == id).map(|(_, set)| set);
        }
        self.file(name)
    }

    /// The set of a file, by the name that the configuration has, with or without `file@` and `opt@`.
    pub fn file(&self, name: &str) -> Option<Arc<Set>> {
        let (name, _) = named(name);
        self.lock().iter().find(|set| set.file() == Some(name)).cloned()
    }

    /// The patterns of a file as a line wants to look them up; the file is read when it is named first.
    pub(super) fn of_file(&self, name: &str, wanted: &Wanted, loader: &mut dyn Loader) -> Result<Arc<Lookup>, String> {
        let set = match self.file(name) {
            Some(set) => set,
            None => {
                let (name, kind) = named(name);
                let set = Arc::new(Set::new(Some(name), wanted.has_values, None));
                if kind == File::Plain || kind == File::Optional && loader.exists(name) {
                    let content = loader.read(name).map_err(|_| format!("failed to open pattern file <{name}>"))?;
                    load(&set, &content, wanted.has_values, name)?;
                }
                self.lock().push(Arc::clone(&set));
                set
            }
        };
        if set.has_values() != wanted.has_values {
            let [has, wants] = if set.has_values() { ["two", "one"] } else { ["one", "two"] };
            return Err(format!("The file \"{name}\" is already used as {has} column file and cannot be used by as {wants} column file."));
        }
        self.look(&set, wanted, loader)
    }

    /// The patterns that stand in a line.
    pub(super) fn of_words(
        &self,
        words: &[Vec<u8>],
        id: Option<u32>,
        wanted: &Wanted,
        loader: &mut dyn Loader,
    ) -> Result<Arc<Lookup>, String> {
        if let Some(id) = id
            && self.lock().iter().any(|set| set.forced_id() == Some(id))
        {
            return Err(format!("The unique id {id} is already used"));
        }
        let set = Arc::new(Set::new(None, false, id));
        set.load(words.iter().map(|word| (0, &word[..], &[][..])));
        let lookup = self.look(&set, wanted, loader)?;
        self.lock().push(set);
        Ok(lookup)
    }

    fn look(&self, set: &Set, wanted: &Wanted, loader: &mut dyn Loader) -> Result<Arc<Lookup>, String> {
        let used = wanted.used(loader);
        set.lookup(used, wanted.no_resolve, wanted.gives, &mut |name| loader.resolve(name))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum File {
    Plain,
    Optional,
    Virtual,
}

/// The name that a file goes by, and whether it has to be there.
fn named(name: &str) -> (&str, File) {
    if let Some(name) = name.strip_prefix("opt@") {
        (name, File::Optional)
    } else if name.starts_with("virt@") {
        (name, File::Virtual)
    } else {
        (name.strip_prefix("file@").unwrap_or(name), File::Plain)
    }
}

/// Reads the lines of a file.
fn load(set: &Set, content: &[u8], has_values: bool, name: &str) -> Result<(), String> {
    let lines = || content.split(|byte| *byte == b'\n').zip(1u32..);
    if let Some((_, n)) = lines().find(|(line, _)| line.len() > MAX_LINE) {
        return Err(format!("line {n} of file '{name}' is longer than {MAX_LINE} bytes"));
    }
    set.load(lines().filter_map(|(line, n)| entry(line, has_values).map(|(key, value)| (n, key, value))));
    Ok(())
}

/// Key and value of a line. Leading blanks do not count, nor do lines with nothing or with `#` as their first byte. Maps: a key to the
/// next blank, then its value, whose trailing blanks do not count.
fn entry(line: &[u8], has_values: bool) -> Option<(&[u8], &[u8])> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let line = &line[..memchr::memchr(b'\r', line).unwrap_or(line.len())];
    if line.first() == Some(&b'#') {
        return None;
    }
    let line = &line[line.iter().take_while(|byte| blank(byte)).count()..];
    if line.is_empty() {
        return None;
    }
    if !has_values {
        return Some((line, &[]));
    }
    let (key, rest) = line.split_at(line.iter().position(blank).unwrap_or(line.len()));
    let start = rest.iter().take_while(|byte| blank(byte)).count();
    let end = rest.len() - rest.iter().rev().take_while(|byte| blank(byte)).count();
    Some((key, rest.get(start..end).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8], has_values: bool) -> Vec<(String, String)> {
        let set = Set::new(Some("f"), has_values, None);
        load(&set, content, has_values, "f").unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        set.list(None, 0, usize::MAX).iter().map(|entry| (text(entry.key()), text(entry.value()))).collect()
    }

    #[test]
    fn files() {
        let pairs = |list: &[(&str, &str)]| -> Vec<(String, String)> { list.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect() };
        let list = b"# c\n\n  abc\nd ef\ng \t\n #h\ni\r\nj#k\n\tl\n-i\nlast";
        let keys = ["abc", "d ef", "g \t", "#h", "i", "j#k", "l", "-i", "last"].map(|key| (key, ""));
        assert_eq!(read(list, false), pairs(&keys));
        let map = b"# comment\n\nkey value\n  lead lv\nkey2   v2  \nkey3\tv3\t \nkey4\nkey5 a b  c \n #hash h\nkey6 v6\r\nk#x v#y # z";
        let both = [
            ("key", "value"),
            ("lead", "lv"),
            ("key2", "v2"),
            ("key3", "v3"),
            ("key4", ""),
            ("key5", "a b  c"),
            ("#hash", "h"),
            ("key6", "v6"),
            ("k#x", "v#y # z"),
        ];
        assert_eq!(read(map, true), pairs(&both));
    }
}
