//! The patterns of one set as one matching method looks them up.
//!
//! | method | structure | which one is found |
//! |---|---|---|
//! | `str` | hash tree | the first |
//! | `beg` | trie | the longest; with `-i` the first |
//! | `end`, `sub`, `dir`, `dom`, `bin` | trie (`end`: of the reversed keys) | the first |
//! | `ip` | bit trees, one for each family; a list of masks with gaps | the narrowest; then of the other family; then of the list |
//! | `int`, `len` | bit tree, ranges cut into parts | the first |
//! | `reg`, HTTP methods | list | the first |
//!
//! "The first" is the one that stands first in the file. Up to [`FEW`] patterns are a list that is compared one after the other.
//!
//! Holds: a clone shares everything; a change costs what the way to one pattern costs (a list of regular expressions: a copy of the
//! list), whatever the number of patterns.

use super::bits::BitTree;
use super::entry::{Entry, Same};
use super::hash::{Case, HashTree};
use super::pattern::{is_dot, is_slash};
use super::trie::Trie;
use super::{Matching, Pattern};
use crate::sample::{Value, v6_to_v4};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// Most patterns that are compared one after the other; of those that stand somewhere in a text (`dir`, `dom`), half as many.
pub const FEW: usize = 4;

/// What sets of patterns are looked up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kind {
    /// The method.
    pub matching: Matching,
    /// `-i`.
    pub ignore_case: bool,
}

impl Kind {
    fn few(self) -> usize {
        if matches!(self.matching, Matching::Dir | Matching::Dom) { FEW / 2 } else { FEW }
    }

    fn case(self) -> Case {
        // Bytes have no case.
        if self.ignore_case && self.matching != Matching::Bin { Case::Ignored } else { Case::Exact }
    }

    /// Haproxy's name for the structure that finds a pattern, which `get map` shows.
    pub fn structure(self, pattern: &Pattern) -> &'static str {
        let tree = match self.matching {
            Matching::Str | Matching::Beg => !self.ignore_case,
            Matching::Ip => !matches!(pattern, Pattern::Net4(_, mask) if prefix(*mask).is_none()),
            _ => false,
        };
        if tree { "tree" } else { "list" }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Index {
    kind: Kind,
    patterns: Patterns,
}

#[derive(Clone, Debug)]
enum Patterns {
    Few(Arc<Vec<Listed>>),
    Hash(HashTree),
    Trie(Trie),
    Ip(Box<Networks>),
    Number(BitTree<u64>),
    List(Arc<Vec<Listed>>),
}

/// A pattern and the entry that it is from.
pub(super) type Listed = (Pattern, Arc<Entry>);

#[derive(Clone, Debug)]
struct Networks {
    v4: BitTree<u64>,
    v6: BitTree<u128>,
    gaps: Arc<Vec<Listed>>,
}

impl Index {
    pub fn new(kind: Kind) -> Self {
        Self { kind, patterns: Patterns::Few(Arc::default()) }
    }

    /// For patterns that are found by their whole key, if they are not few: their index at once. No such pattern is wrong.
    pub fn of_keys(kind: Kind, by_key: &HashTree, entries: &BTreeMap<u64, Arc<Entry>>) -> Option<Self> {
        if kind.matching != Matching::Str || entries.len() <= FEW {
            return None;
        }
        let tree = if kind.ignore_case { HashTree::of(entries.values(), Case::Ignored) } else { by_key.clone() };
        Some(Self { kind, patterns: Patterns::Hash(tree) })
    }

    /// The patterns while they are few.
    pub fn few(&self) -> Option<&Arc<Vec<Listed>>> {
        match &self.patterns {
            Patterns::Few(list) => Some(list),
            _ => None,
        }
    }

    pub fn insert(&mut self, pattern: Pattern, entry: Arc<Entry>) {
        if let Patterns::Few(list) = &mut self.patterns {
            if list.len() < self.kind.few() || list.iter().any(|(_, known)| known.id == entry.id) {
                return put(list, pattern, entry);
            }
            let list = std::mem::take(list);
            self.patterns = Patterns::empty(self.kind);
            for (pattern, entry) in list.iter() {
                self.patterns.insert(self.kind, pattern.clone(), Arc::clone(entry));
            }
        }
        self.patterns.insert(self.kind, pattern, entry);
    }

    /// For patterns that are found by their whole key, once they are not few any more: takes the tree in which the set keeps its
    /// entries, after a change of it. False for others.
    pub fn share(&mut self, by_key: &HashTree) -> bool {
        let shares = self.kind == Kind { matching: Matching::Str, ignore_case: false } && !matches!(self.patterns, Patterns::Few(_));
        if shares {
            self.patterns = Patterns::Hash(by_key.clone());
        }
        shares
    }

    pub fn remove(&mut self, pattern: &Pattern, entry: &Entry) {
        self.patterns.remove(self.kind, pattern, entry);
    }

    /// Whether a value, which is what [`Matching::input`] says, matches one of the patterns.
    pub fn matches(&self, value: Value<'_>) -> bool {
        let mut found = false;
        self.look(value, |_| {
            found = true;
            false
        });
        found
    }

    /// The entry whose pattern a value matches; where several do, see the table above.
    pub fn find(&self, value: Value<'_>) -> Option<&Arc<Entry>> {
        let mut found: Option<&Arc<Entry>> = None;
        let last = match self.kind.matching {
            Matching::Ip => true,
            Matching::Beg => !self.kind.ignore_case,
            _ => false,
        };
        if let (Patterns::Few(list), true) = (&self.patterns, last) {
            return narrowest(self.kind, list, value);
        }
        self.look(value, |same| {
            if let Some(first) = same.first()
                && (last || found.is_none_or(|found| first.id < found.id))
            {
                found = Some(first);
            }
            true
        });
        found
    }

    /// The pattern and the entry that a value matches, for methods whose patterns are a list.
    pub fn find_listed(&self, value: Value<'_>) -> Option<&Listed> {
        let (Patterns::Few(list) | Patterns::List(list)) = &self.patterns else { return None };
        list.iter().find(|(pattern, _)| pattern.matches(self.kind.matching, value))
    }

    /// Calls `visit` with all that match, until it says false. Of networks and beginnings the one that counts comes last.
    fn look<'i>(&'i self, value: Value<'_>, mut visit: impl FnMut(Found<'i>) -> bool) {
        match &self.patterns {
            Patterns::Few(list) | Patterns::List(list) => {
                for (pattern, entry) in list.iter() {
                    if pattern.matches(self.kind.matching, value) {
                        visit(Found::One(entry));
                        return;
                    }
                }
            }
            Patterns::Hash(tree) => {
                if let Some(same) = value.bytes().and_then(|text| tree.get(text)) {
                    visit(Found::Same(same));
                }
            }
            Patterns::Trie(trie) => {
                if let Some(text) = value.bytes() {
                    along(trie, self.kind, text, |same| visit(Found::Same(same)));
                }
            }
            Patterns::Ip(networks) => {
                if let Value::Ip(ip) = value {
                    networks.look(ip, visit);
                }
            }
            Patterns::Number(tree) => {
                let n = match value {
                    Value::Int(n) => Some(n),
                    value => value.bytes().map(|text| text.len() as i64),
                };
                if let Some(n) = n {
                    tree.walk(ordered(n), |same| visit(Found::Same(same)));
                }
            }
        }
    }
}

enum Found<'i> {
    One(&'i Arc<Entry>),
    Same(&'i Same),
}

impl<'i> Found<'i> {
    fn first(&self) -> Option<&'i Arc<Entry>> {
        match self {
            Self::One(entry) => Some(entry),
            Self::Same(same) => same.first(),
        }
    }
}

/// Of a few patterns the one that the trees would find: the longest beginning, the narrowest network of the value's own family.
fn narrowest<'i>(kind: Kind, list: &'i [Listed], value: Value<'_>) -> Option<&'i Arc<Entry>> {
    let rank = |pattern: &Pattern| match (pattern, value) {
        (Pattern::Net4(_, mask), _) if prefix(*mask).is_none() => 0,
        (Pattern::Net4(_, mask), Value::Ip(ip)) => 1 + mask.count_ones() as usize + if ip.is_ipv4() { 200 } else { 0 },
        (Pattern::Net6(_, mask), Value::Ip(ip)) => 1 + mask.count_ones() as usize + if ip.is_ipv6() { 200 } else { 0 },
        (Pattern::Bytes(bytes), _) => bytes.len(),
        _ => 0,
    };
    let matching = list.iter().filter(|(pattern, _)| pattern.matches(kind.matching, value));
    // Of equal ones the first.
    matching.rev().max_by_key(|(pattern, _)| rank(pattern)).map(|(_, entry)| entry)
}

/// Where keys of `trie` stand in `text` as the method wants them.
fn along<'t>(trie: &'t Trie, kind: Kind, text: &[u8], mut visit: impl FnMut(&'t Same) -> bool) {
    match kind.case() {
        Case::Exact => along_as(trie, kind.matching, text, |byte| byte, &mut visit),
        Case::Ignored => along_as(trie, kind.matching, text, |byte| byte.to_ascii_lowercase(), &mut visit),
    }
}

fn along_as<'t>(trie: &'t Trie, matching: Matching, text: &[u8], fold: impl Fn(u8) -> u8 + Copy, visit: &mut impl FnMut(&'t Same) -> bool) {
    let from = |start: usize| move |n: usize| text.get(start + n).map(|byte| fold(*byte));
    let mut more = true;
    match matching {
        Matching::End => trie.walk(|n| text.len().checked_sub(n + 1).map(|at| fold(text[at])), |_, same| visit(same)),
        Matching::Sub => {
            for start in 0..=text.len() {
                trie.walk(from(start), |_, same| {
                    more = visit(same);
                    more
                });
                if !more {
                    return;
                }
            }
        }
        Matching::Dir | Matching::Dom => {
            let delimiter = if matching == Matching::Dir { is_slash } else { is_dot };
            for start in (0..text.len()).filter(|start| *start == 0 || delimiter(text[start - 1])) {
                trie.walk(from(start), |len, same| {
                    if len > 0 && text.get(start + len).is_none_or(|next| delimiter(*next)) {
                        more = visit(same);
                    }
                    more
                });
                if !more {
                    return;
                }
            }
        }
        Matching::Bin => trie.walk(from(0), |len, same| len < text.len() || visit(same)),
        _ => trie.walk(from(0), |_, same| visit(same)),
    }
}

impl Networks {
    fn look<'i>(&'i self, ip: IpAddr, mut visit: impl FnMut(Found<'i>) -> bool) {
        let found = match ip {
            IpAddr::V4(v4) => self.in_v4(v4).or_else(|| self.in_v6(v4.to_ipv6_mapped())),
            IpAddr::V6(v6) => self.in_v6(v6).or_else(|| v6_to_v4(v6).and_then(|v4| self.in_v4(v4))),
        };
        if let Some(same) = found {
            visit(Found::Same(same));
        } else if let Some((_, entry)) = self.gaps.iter().find(|(pattern, _)| pattern.matches(Matching::Ip, Value::Ip(ip))) {
            visit(Found::One(entry));
        }
    }

    fn in_v4(&self, ip: Ipv4Addr) -> Option<&Same> {
        let mut found = None;
        self.v4.walk(high(ip.into()), |same| {
            found = Some(same);
            true
        });
        found
    }

    fn in_v6(&self, ip: Ipv6Addr) -> Option<&Same> {
        let mut found = None;
        self.v6.walk(ip.into(), |same| {
            found = Some(same);
            true
        });
        found
    }
}

impl Patterns {
    fn empty(kind: Kind) -> Self {
        match kind.matching {
            Matching::Str | Matching::Found | Matching::Bool => Self::Hash(HashTree::new(kind.case())),
            Matching::Sub | Matching::Beg | Matching::End | Matching::Dir | Matching::Dom | Matching::Bin => Self::Trie(Trie::default()),
            Matching::Ip => Self::Ip(Box::new(Networks { v4: BitTree::new(), v6: BitTree::new(), gaps: Arc::default() })),
            Matching::Int | Matching::Version | Matching::Len => Self::Number(BitTree::new()),
            Matching::Reg | Matching::Method => Self::List(Arc::default()),
        }
    }

    fn insert(&mut self, kind: Kind, pattern: Pattern, entry: Arc<Entry>) {
        match self {
            Self::Few(list) | Self::List(list) => put(list, pattern, entry),
            Self::Hash(tree) => tree.insert(entry),
            Self::Trie(trie) => with_key(&pattern, kind, |key| trie.insert(key, entry)),
            Self::Ip(networks) => match pattern {
                Pattern::Net4(net, mask) => match prefix(mask) {
                    Some(len) => networks.v4.insert(high(net), len, entry),
                    None => put(&mut networks.gaps, pattern, entry),
                },
                Pattern::Net6(net, mask) => networks.v6.insert(net, mask.count_ones(), entry),
                _ => {}
            },
            Self::Number(tree) => parts(&pattern, |key, len| tree.insert(key, len, Arc::clone(&entry))),
        }
    }

    fn remove(&mut self, kind: Kind, pattern: &Pattern, entry: &Entry) {
        match self {
            Self::Few(list) | Self::List(list) => take(list, entry.id),
            Self::Hash(tree) => tree.remove(entry),
            Self::Trie(trie) => with_key(pattern, kind, |key| trie.remove(key, entry.id)),
            Self::Ip(networks) => match pattern {
                Pattern::Net4(net, mask) => match prefix(*mask) {
                    Some(len) => networks.v4.remove(high(*net), len, entry.id),
                    None => take(&mut networks.gaps, entry.id),
                },
                Pattern::Net6(net, mask) => networks.v6.remove(*net, mask.count_ones(), entry.id),
                _ => {}
            },
            Self::Number(tree) => parts(pattern, |key, len| tree.remove(key, len, entry.id)),
        }
    }
}

/// Puts a pattern in its place by the number of its entry; one of the same number goes.
fn put(list: &mut Arc<Vec<Listed>>, pattern: Pattern, entry: Arc<Entry>) {
    let list = Arc::make_mut(list);
    match list.binary_search_by_key(&entry.id, |(_, known)| known.id) {
        Ok(at) => list[at] = (pattern, entry),
        Err(at) => list.insert(at, (pattern, entry)),
    }
}

fn take(list: &mut Arc<Vec<Listed>>, id: u64) {
    Arc::make_mut(list).retain(|(_, entry)| entry.id != id);
}

/// What a trie keeps a pattern by.
fn with_key(pattern: &Pattern, kind: Kind, then: impl FnOnce(&[u8])) {
    let (Pattern::Bytes(bytes) | Pattern::AnyCase(bytes)) = pattern else { return };
    if kind.matching == Matching::End {
        let mut reversed = bytes.to_vec();
        reversed.reverse();
        then(&reversed);
    } else {
        then(bytes);
    }
}

/// The length of a mask without gaps.
fn prefix(mask: u32) -> Option<u32> {
    (mask.count_ones() == mask.leading_ones()).then(|| mask.count_ones())
}

/// An IPv4 address at the upper end of the key.
fn high(ip: u32) -> u64 {
    u64::from(ip) << 32
}

/// Numbers in the order of their bits.
fn ordered(n: i64) -> u64 {
    n as u64 ^ (1 << 63)
}

/// Cuts a range into parts that are all numbers with the same first bits; at most 126 of them.
fn parts(pattern: &Pattern, mut then: impl FnMut(u64, u32)) {
    let Pattern::Range(low, high) = pattern else { return };
    let (mut low, high) = (ordered(*low), ordered(*high));
    while low <= high {
        // The largest part that begins here and does not end behind the range.
        let mut bits = low.trailing_zeros().min(64);
        while bits > 0 && (bits == 64 && high != u64::MAX || bits < 64 && low + ((1u64 << bits) - 1) > high) {
            bits -= 1;
        }
        then(low, 64 - bits);
        let step = 1u64.checked_shl(bits).and_then(|size| low.checked_add(size));
        match step {
            Some(next) => low = next,
            None => return,
        }
    }
}
