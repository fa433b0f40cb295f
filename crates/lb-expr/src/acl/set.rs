//! Patterns as an operator sees them: a file, or the words of an ACL. They are looked up by as many indexes as there are methods that
//! lines of the configuration match them with, and change while traffic is matched against them.
//!
//! Holds: who looks up takes no lock and waits for nobody. One that changes a set takes its lock, makes what the indexes will be from
//! what they are, which costs as much as the change and not as the set ([`index`](super::index)), and puts them in place one by one.
//! While a set of few patterns is as it was loaded, nothing is even loaded from where a changed one would stand.
//!
//! What is taken away in whole ([`Garbage`]) is the caller's to drop: a million entries take a while.

use super::entry::Entry;
use super::hash::{Case, HashTree};
use super::index::{Index, Kind, Listed};
use super::{Pattern, PatternFlags};
use crate::regex::Regex;
use crate::sample::Value;
use arc_swap::ArcSwap;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Longest line of a pattern file, in bytes.
pub const MAX_LINE: usize = 16_384;

/// Most versions of a set that are prepared at the same time; haproxy has no limit, and no use for more than one or two.
pub const MAX_PREPARED: usize = 64;

/// A set of patterns. Made by [`Sets`](super::Sets).
pub struct Set {
    /// The file; `None` for the words of an ACL.
    file: Option<Box<str>>,
    /// Entries have values.
    has_values: bool,
    /// `-u`.
    forced_id: Option<u32>,
    state: Mutex<State>,
}

struct State {
    current: u32,
    next: u32,
    last_id: u64,
    versions: BTreeMap<u32, Version>,
    /// One for each index of a version.
    lookups: Vec<Arc<Lookup>>,
    uses: Vec<Use>,
    /// Names of hosts that were asked for when the configuration was read.
    resolved: HashMap<Box<[u8]>, IpAddr>,
}

/// The entries of a version.
#[derive(Clone)]
struct Version {
    entries: BTreeMap<u64, Arc<Entry>>,
    by_key: HashTree,
    indexes: Vec<Index>,
}

/// A line of the configuration that uses a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// How it looks patterns up.
    pub kind: Kind,
    /// Its lines have two columns.
    pub is_map: bool,
    /// It is an ACL and not a converter.
    pub is_acl: bool,
    /// The fetch of the ACL as the line has it.
    pub keyword: String,
    /// File and line of the configuration.
    pub place: Option<(String, u32)>,
}

/// What a map gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gives {
    /// Text.
    Text,
    /// A number.
    Int,
    /// An address.
    Ip,
}

impl Gives {
    /// The value of an entry; `None` when it is none of this kind.
    pub fn read<'v>(self, text: &'v [u8]) -> Option<Value<'v>> {
        let words = || std::str::from_utf8(text).ok();
        match self {
            Self::Text => Some(Value::Str(text)),
            Self::Int => words()?.parse().ok().map(Value::Int),
            Self::Ip => words()?.parse().ok().map(Value::Ip),
        }
    }

    fn fits(self, text: &[u8]) -> bool {
        self.read(text).is_some()
    }
}

/// What was taken away. Dropping it may take as long as a million entries take.
#[must_use = "dropping what many entries were may take a while: do it where no traffic waits"]
pub struct Garbage {
    versions: Vec<Version>,
}

impl Garbage {
    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.versions.iter().map(|version| version.entries.len()).sum()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Garbage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Garbage")
    }
}

/// Why a set is not changed; in haproxy's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// A pattern that is none for one of the indexes, or a value that is none for a map.
    #[error("{0}")]
    Pattern(String),
    /// No such entry.
    #[error("Key not found.")]
    NotFound,
    /// A version that was not prepared.
    #[error("Version number in the future, please use 'prepare {0}' before.")]
    Future(&'static str),
    /// A version that cannot become the current one.
    #[error("Version number out of range.")]
    OutOfRange,
    /// [`MAX_PREPARED`].
    #[error("Too many versions are prepared, please commit or clear one before.")]
    TooMany,
}

/// The result of a look into one index.
#[derive(Clone, Debug)]
pub struct Got {
    /// The method.
    pub kind: Kind,
    /// The entry that matches, and haproxy's name for the structure it was found in.
    pub entry: Option<(Arc<Entry>, &'static str)>,
    /// What the map that asks gives; `None` for ACLs.
    pub gives: Option<Gives>,
}

impl Set {
    pub(super) fn new(file: Option<&str>, has_values: bool, forced_id: Option<u32>) -> Self {
        let version = Version::new(&[]);
        let state = State {
            current: 0,
            next: 0,
            last_id: 0,
            versions: BTreeMap::from([(0, version)]),
            lookups: Vec::new(),
            uses: Vec::new(),
            resolved: HashMap::new(),
        };
        Self { file: file.map(Into::into), has_values, forced_id, state: Mutex::new(state) }
    }

    /// The file that it came from; `None` for the words of an ACL.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// Whether entries have values: it is a map, or an ACL reads it as one.
    pub fn has_values(&self) -> bool {
        self.has_values
    }

    /// The number that `-u` gave it.
    pub fn forced_id(&self) -> Option<u32> {
        self.forced_id
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way; if it ever did, what is there is a set all the same.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the entries of a set that has none: line, key, value.
    pub(super) fn load<'l>(&self, lines: impl Iterator<Item = (u32, &'l [u8], &'l [u8])>) {
        let entries = lines.zip(1u64..).map(|((line, key, value), id)| (id, Entry::new(id, line, key, value)));
        let mut state = self.lock();
        let version = state.current_mut();
        version.entries = entries.collect();
        version.by_key = HashTree::of(version.entries.values(), Case::Exact);
        state.last_id = state.current().entries.len() as u64;
    }

    /// The index of this kind; it is made when there is none yet.
    ///
    /// # Errors
    /// An entry that is no pattern of this kind.
    pub(super) fn lookup(
        &self,
        used: Use,
        no_resolve: bool,
        gives: Option<Gives>,
        resolve: &mut dyn FnMut(&str) -> Vec<IpAddr>,
    ) -> Result<Arc<Lookup>, String> {
        let mut state = self.lock();
        let state = &mut *state;
        let at = |line: u32| match &self.file {
            Some(file) => format!(" at line {line} of file '{file}'"),
            None => String::new(),
        };
        let odd = gives.and_then(|gives| state.current().entries.values().find(|entry| !gives.fits(entry.value())));
        if let Some(odd) = odd {
            return Err(format!("unable to parse '{}'{}", String::from_utf8_lossy(odd.value()), at(odd.line)));
        }
        let kind = used.kind;
        state.uses.push(used);
        if let Some(lookup) = state.lookups.iter().find(|lookup| lookup.kind == kind && lookup.gives == gives) {
            return Ok(Arc::clone(lookup));
        }
        let resolved = &mut state.resolved;
        let version = state.versions.get_mut(&state.current).expect("the current version is never taken out");
        let whole = Index::of_keys(kind, &version.by_key, &version.entries);
        let rest = if whole.is_some() { &BTreeMap::new() } else { &version.entries };
        let mut index = whole.unwrap_or_else(|| Index::new(kind));
        for entry in rest.values() {
            let pattern = parse(entry.key(), kind, no_resolve, &mut |name| {
                let found = resolve(name);
                if let Some(ip) = found.first() {
                    resolved.insert(name.as_bytes().into(), *ip);
                }
                found
            });
            index.insert(pattern.map_err(|why| format!("{why}{}", at(entry.line)))?, Arc::clone(entry));
        }
        version.indexes.push(index.clone());
        let lookup = Arc::new(Lookup::new(kind, gives, index));
        state.lookups.push(Arc::clone(&lookup));
        Ok(lookup)
    }
}

/// What the run-time socket does.
impl Set {
    /// The current version, and the last one that was prepared.
    pub fn versions(&self) -> (u32, u32) {
        let state = self.lock();
        (state.current, state.next)
    }

    /// Patterns that there are, in all indexes and versions together, as haproxy counts them.
    pub fn pattern_count(&self) -> usize {
        let state = self.lock();
        state.versions.values().map(|version| version.entries.len()).sum::<usize>() * state.lookups.len().max(1)
    }

    /// Entries of the current version.
    pub fn len(&self) -> usize {
        self.lock().current().entries.len()
    }

    /// Whether the current version has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The lines that use it.
    pub fn uses(&self) -> Vec<Use> {
        self.lock().uses.clone()
    }

    /// At most `limit` entries of a version (`None`: the current one) behind the one of number `after`, in their order. 0 is before
    /// the first.
    pub fn list(&self, version: Option<u32>, after: u64, limit: usize) -> Vec<Arc<Entry>> {
        let state = self.lock();
        let Some(version) = state.versions.get(&version.unwrap_or(state.current)) else { return Vec::new() };
        version.entries.range(after + 1..).take(limit).map(|(_, entry)| Arc::clone(entry)).collect()
    }

    /// What `value` finds in each of the indexes.
    pub fn get(&self, value: &[u8]) -> Vec<Got> {
        let lookups = self.lock().lookups.clone();
        let scratch = bumpalo::Bump::new();
        let got = lookups.iter().map(|lookup| {
            let kind = lookup.kind;
            let entry = Value::Str(value).cast(kind.matching.input(), &scratch).and_then(|value| lookup.live.load().find(value).cloned());
            let entry = entry.map(|entry| {
                let pattern = parse(entry.key(), kind, true, &mut |_| Vec::new());
                let structure = pattern.map_or("tree", |pattern| kind.structure(&pattern));
                (entry, structure)
            });
            Got { kind, entry, gives: lookup.gives }
        });
        got.collect()
    }

    /// Adds an entry to a version, `None` for the current one. Those of the same key stay.
    ///
    /// # Errors
    /// What no index takes, a version that was not prepared.
    pub fn add(&self, version: Option<u32>, key: &[u8], value: &[u8]) -> Result<Arc<Entry>, SetError> {
        self.add_to(&mut self.lock(), version, key, value)
    }

    fn add_to(&self, state: &mut State, version: Option<u32>, key: &[u8], value: &[u8]) -> Result<Arc<Entry>, SetError> {
        let number = version.unwrap_or(state.current);
        if number > state.next {
            return Err(SetError::Future(if self.has_values { "map" } else { "acl" }));
        }
        if number < state.current {
            return Err(SetError::OutOfRange);
        }
        if !state.versions.contains_key(&number) && state.versions.len() > MAX_PREPARED {
            return Err(SetError::TooMany);
        }
        let patterns = state.patterns(key)?;
        state.check_value(value)?;
        state.last_id += 1;
        let entry = Entry::new(state.last_id, 0, key, value);
        state.change(number, |version| version.insert(&patterns, &entry));
        Ok(entry)
    }

    /// Takes out all entries of a key.
    ///
    /// # Errors
    /// There is none.
    pub fn remove(&self, key: &[u8]) -> Result<usize, SetError> {
        self.remove_all(|version| version.of_key(key))
    }

    /// Takes out the entry of a number.
    ///
    /// # Errors
    /// There is none.
    pub fn remove_id(&self, id: u64) -> Result<(), SetError> {
        self.remove_all(|version| version.entries.get(&id).cloned().into_iter().collect()).map(|_| ())
    }

    fn remove_all(&self, which: impl Fn(&Version) -> Vec<Arc<Entry>>) -> Result<usize, SetError> {
        let mut state = self.lock();
        let mut count = 0;
        for number in state.numbers() {
            let Some(version) = state.versions.get(&number) else { continue };
            let entries = which(version);
            count += entries.len();
            for entry in entries {
                let patterns = state.patterns_loaded(entry.key());
                state.change(number, |version| version.remove(&patterns, &entry));
            }
        }
        if count == 0 { Err(SetError::NotFound) } else { Ok(count) }
    }

    /// Gives all entries of a key another value.
    ///
    /// # Errors
    /// There is none, or a value that is none.
    pub fn set(&self, key: &[u8], value: &[u8]) -> Result<usize, SetError> {
        self.lock().set_all(value, |version| version.of_key(key))
    }

    /// Gives the entry of a number another value.
    ///
    /// # Errors
    /// As [`Set::set`].
    pub fn set_id(&self, id: u64, value: &[u8]) -> Result<(), SetError> {
        self.lock().set_all(value, |version| version.entries.get(&id).cloned().into_iter().collect()).map(|_| ())
    }

    /// Adds an entry, or gives those of its key another value: `http-request set-map`. One lock for both, so that two at the same
    /// time do not add twice.
    ///
    /// # Errors
    /// As [`Set::add`].
    pub fn put(&self, key: &[u8], value: &[u8]) -> Result<(), SetError> {
        let mut state = self.lock();
        match state.set_all(value, |version| version.of_key(key)) {
            Err(SetError::NotFound) => self.add_to(&mut state, None, key, value).map(|_| ()),
            done => done.map(|_| ()),
        }
    }

    /// Adds an entry unless there is one of this key: `http-request add-acl`.
    ///
    /// # Errors
    /// As [`Set::add`].
    pub fn add_once(&self, key: &[u8]) -> Result<(), SetError> {
        let mut state = self.lock();
        if !state.current().of_key(key).is_empty() {
            return Ok(());
        }
        self.add_to(&mut state, None, key, b"").map(|_| ())
    }

    /// Whether the current version has an entry of this key.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.lock().current().by_key.get(key).is_some()
    }

    /// Opens a version that can be filled beside the current one; its number.
    ///
    /// # Errors
    /// [`MAX_PREPARED`].
    pub fn prepare(&self) -> Result<u32, SetError> {
        let mut state = self.lock();
        if state.versions.len() > MAX_PREPARED {
            return Err(SetError::TooMany);
        }
        state.next += 1;
        Ok(state.next)
    }

    /// Makes a prepared version the current one, at once for all that look up; those before it go.
    ///
    /// # Errors
    /// It is not between the current one and the last that was prepared.
    pub fn commit(&self, version: u32) -> Result<Garbage, SetError> {
        let mut state = self.lock();
        if version <= state.current || version > state.next {
            return Err(SetError::OutOfRange);
        }
        if !state.versions.contains_key(&version) {
            let empty = Version::new(&state.lookups);
            state.versions.insert(version, empty);
        }
        state.current = version;
        let later = state.versions.split_off(&version);
        let gone = std::mem::replace(&mut state.versions, later);
        state.publish();
        Ok(Garbage { versions: gone.into_values().collect() })
    }

    /// Takes all entries out of a version, `None` for the current one.
    pub fn clear(&self, version: Option<u32>) -> Garbage {
        let mut state = self.lock();
        let number = version.unwrap_or(state.current);
        let gone = state.versions.remove(&number);
        if number == state.current {
            let empty = Version::new(&state.lookups);
            state.versions.insert(number, empty);
            state.publish();
        }
        Garbage { versions: gone.into_iter().collect() }
    }
}

impl State {
    fn current(&self) -> &Version {
        self.versions.get(&self.current).expect("the current version is never taken out")
    }

    fn current_mut(&mut self) -> &mut Version {
        self.versions.get_mut(&self.current).expect("the current version is never taken out")
    }

    fn numbers(&self) -> Vec<u32> {
        self.versions.keys().copied().collect()
    }

    /// What a key is for each of the indexes.
    fn patterns(&self, key: &[u8]) -> Result<Vec<Pattern>, SetError> {
        let one = |lookup: &Arc<Lookup>| parse(key, lookup.kind, true, &mut |_| Vec::new()).map_err(SetError::Pattern);
        self.lookups.iter().map(one).collect()
    }

    /// The same of a key that is in the set; host names are what they were when it was loaded.
    fn patterns_loaded(&self, key: &[u8]) -> Vec<Pattern> {
        let mut known = |_: &str| Vec::new();
        let host = key.split(|b| *b == b'/').next().unwrap_or_default();
        let ip = self.resolved.get(host).copied();
        let mut named = |_: &str| ip.into_iter().collect();
        let resolve: &mut dyn FnMut(&str) -> Vec<IpAddr> = if ip.is_some() { &mut named } else { &mut known };
        let one = |lookup: &Arc<Lookup>| parse(key, lookup.kind, ip.is_none(), resolve).unwrap_or(Pattern::Range(1, 0));
        self.lookups.iter().map(one).collect()
    }

    fn check_value(&self, value: &[u8]) -> Result<(), SetError> {
        if self.lookups.iter().filter_map(|lookup| lookup.gives).all(|gives| gives.fits(value)) {
            Ok(())
        } else {
            Err(SetError::Pattern(format!("unable to parse '{}'", String::from_utf8_lossy(value))))
        }
    }

    fn set_all(&mut self, value: &[u8], which: impl Fn(&Version) -> Vec<Arc<Entry>>) -> Result<usize, SetError> {
        self.check_value(value)?;
        let mut count = 0;
        for number in self.numbers() {
            let Some(version) = self.versions.get(&number) else { continue };
            let entries = which(version);
            count += entries.len();
            for old in entries {
                let patterns = self.patterns_loaded(old.key());
                let entry = Entry::new(old.id, old.line, old.key(), value);
                self.change(number, |version| version.insert(&patterns, &entry));
            }
        }
        if count == 0 { Err(SetError::NotFound) } else { Ok(count) }
    }

    fn change(&mut self, number: u32, change: impl FnOnce(&mut Version)) {
        let lookups = &self.lookups;
        change(self.versions.entry(number).or_insert_with(|| Version::new(lookups)));
        if number == self.current {
            self.publish();
        }
    }

    /// Shows the current version to those who look up.
    fn publish(&self) {
        for (lookup, index) in self.lookups.iter().zip(&self.current().indexes) {
            lookup.live.store(Arc::new(index.clone()));
            lookup.changed.store(true, Ordering::Release);
        }
    }
}

impl Version {
    fn new(lookups: &[Arc<Lookup>]) -> Self {
        let indexes = lookups.iter().map(|lookup| Index::new(lookup.kind)).collect();
        Self { entries: BTreeMap::new(), by_key: HashTree::new(Case::Exact), indexes }
    }

    fn of_key(&self, key: &[u8]) -> Vec<Arc<Entry>> {
        self.by_key.get(key).map_or_else(Vec::new, |same| same.as_slice().to_vec())
    }

    fn hold(&mut self, entry: Arc<Entry>) {
        self.by_key.insert(Arc::clone(&entry));
        self.entries.insert(entry.id, entry);
    }

    fn insert(&mut self, patterns: &[Pattern], entry: &Arc<Entry>) {
        self.hold(Arc::clone(entry));
        for (index, pattern) in self.indexes.iter_mut().zip(patterns) {
            if !index.share(&self.by_key) {
                index.insert(pattern.clone(), Arc::clone(entry));
            }
        }
    }

    fn remove(&mut self, patterns: &[Pattern], entry: &Entry) {
        self.by_key.remove(entry);
        self.entries.remove(&entry.id);
        for (index, pattern) in self.indexes.iter_mut().zip(patterns) {
            if !index.share(&self.by_key) {
                index.remove(pattern, entry);
            }
        }
    }
}

/// One set as one matching method looks it up. Shared by all lines that do.
pub struct Lookup {
    kind: Kind,
    gives: Option<Gives>,
    /// The patterns as they were loaded, if they were few.
    few: Option<Arc<Vec<Listed>>>,
    changed: AtomicBool,
    live: ArcSwap<Index>,
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

impl Lookup {
    fn new(kind: Kind, gives: Option<Gives>, index: Index) -> Self {
        let prepared = |(pattern, entry): &Listed| (pattern.clone().prepared(kind.matching), Arc::clone(entry));
        let few = index.few().map(|list| list.iter().map(prepared).collect::<Vec<_>>().into());
        Self { kind, gives, few, changed: AtomicBool::new(false), live: ArcSwap::from_pointee(index) }
    }

    /// How it looks patterns up.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The patterns as they were loaded; `None` where there were many.
    pub fn loaded(&self) -> Option<impl Iterator<Item = &[u8]>> {
        self.few.as_deref().map(|few| few.iter().map(|(_, entry)| entry.key()))
    }

    /// Whether a value, which is what [`Matching::input`](super::Matching::input) says, matches one of the patterns.
    pub fn matches(&self, value: Value<'_>) -> bool {
        match &self.few {
            Some(few) if !self.changed.load(Ordering::Acquire) => few.iter().any(|(pattern, _)| pattern.matches(self.kind.matching, value)),
            _ => self.live.load().matches(value),
        }
    }

    /// What `then` makes of the entry that a value matches; where several do, of the one that haproxy finds.
    pub fn find<T>(&self, value: Value<'_>, then: impl FnOnce(&Entry) -> T) -> Option<T> {
        self.live.load().find(value).map(|entry| then(entry))
    }

    /// The same for regular expressions, with the one that matches.
    pub fn find_regex<T>(&self, value: Value<'_>, then: impl FnOnce(&Regex, &Entry) -> T) -> Option<T> {
        match self.live.load().find_listed(value) {
            Some((Pattern::Regex(regex), entry)) => Some(then(regex, entry)),
            _ => None,
        }
    }
}

fn parse(key: &[u8], kind: Kind, no_resolve: bool, resolve: &mut dyn FnMut(&str) -> Vec<IpAddr>) -> Result<Pattern, String> {
    Pattern::parse(key, kind.matching, PatternFlags { ignore_case: kind.ignore_case, no_resolve }, resolve)
}
