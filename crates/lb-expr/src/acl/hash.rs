//! Entries by the whole text of their keys. A tree of 32 branches over the bits of a hash: looking up takes one step for each factor
//! of 32 in the number of entries.
//!
//! Holds: a clone shares all of the tree; a change copies the nodes on the way to one entry that another clone has as well, and no
//! more. So a reader keeps what it has while the next version is made.

use super::entry::{Entry, Same};
use std::sync::Arc;

const BITS: u32 = 5;

/// How keys are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Exact,
    Ignored,
}

impl Case {
    pub fn same(self, a: &[u8], b: &[u8]) -> bool {
        match self {
            Self::Exact => a == b,
            Self::Ignored => a.eq_ignore_ascii_case(b),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct HashTree {
    root: Node,
    case: Case,
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// Which of the 32 there are.
    map: u32,
    slots: Vec<Slot>,
}

#[derive(Clone, Debug)]
enum Slot {
    /// Entries of one key; the lower half of the hash tells most others apart without a look at the key.
    Leaf(u32, Same),
    Node(Arc<Node>),
    /// Keys whose hashes are the same.
    Clash(Arc<Vec<Same>>),
}

impl HashTree {
    pub fn new(case: Case) -> Self {
        Self { root: Node::default(), case }
    }

    /// A tree of entries in their order: nodes are made once, in the size that they have.
    pub fn of<'e>(entries: impl Iterator<Item = &'e Arc<Entry>>, case: Case) -> Self {
        let mut list: Vec<(u64, &Arc<Entry>)> = entries.map(|entry| (hash(entry.key(), case), entry)).collect();
        // Keeps the order of those whose hash is the same.
        list.sort_by_key(|(hash, _)| *hash);
        Self { root: Node::of(&list, 0, case), case }
    }

    /// The entries of this key.
    pub fn get(&self, key: &[u8]) -> Option<&Same> {
        let hash = hash(key, self.case);
        let mut node = &self.root;
        let mut shift = 0;
        let fits = |same: &&Same| same.first().is_some_and(|entry| self.case.same(entry.key(), key));
        loop {
            match node.get(hash, shift)? {
                Slot::Node(next) => {
                    node = next;
                    shift += BITS;
                }
                Slot::Leaf(low, same) => return (*low == hash as u32).then_some(same).filter(fits),
                Slot::Clash(list) => return list.iter().find(fits),
            }
        }
    }

    pub fn insert(&mut self, entry: Arc<Entry>) {
        let hash = hash(entry.key(), self.case);
        self.root.insert(hash, 0, entry, self.case);
    }

    pub fn remove(&mut self, entry: &Entry) {
        let hash = hash(entry.key(), self.case);
        self.root.remove(hash, 0, entry);
    }
}

impl Node {
    fn place(&self, hash: u64, shift: u32) -> (u32, usize) {
        // Bits of the upper end first: the lower half is compared in the leaf.
        let bit = 1 << ((hash << shift) >> (64 - BITS));
        (bit, (self.map & (bit - 1)).count_ones() as usize)
    }

    /// A node for a part of a sorted list whose hashes are the same down to `shift`.
    fn of(list: &[(u64, &Arc<Entry>)], shift: u32, case: Case) -> Self {
        let digit = |hash: u64| (hash << shift) >> (64 - BITS);
        let parts = || list.chunk_by(|(a, _), (b, _)| digit(*a) == digit(*b));
        let mut node = Self { map: 0, slots: Vec::with_capacity(parts().count()) };
        for part in parts() {
            let (hash, first) = part[0];
            node.map |= 1 << digit(hash);
            let one = || {
                let mut same = Same::default();
                part.iter().for_each(|(_, entry)| same.insert(Arc::clone(entry)));
                same
            };
            let last = part.last().map_or(hash, |(hash, _)| *hash);
            let slot = if last == hash && part.iter().all(|(_, entry)| case.same(entry.key(), first.key())) {
                Slot::Leaf(hash as u32, one())
            } else if shift + BITS < 64 {
                Slot::Node(Arc::new(Self::of(part, shift + BITS, case)))
            } else {
                let mut clash: Vec<Same> = Vec::new();
                for (_, entry) in part {
                    match clash.iter_mut().find(|same| same.first().is_some_and(|known| case.same(known.key(), entry.key()))) {
                        Some(same) => same.insert(Arc::clone(entry)),
                        None => clash.push(Same::One(Arc::clone(entry))),
                    }
                }
                Slot::Clash(Arc::new(clash))
            };
            node.slots.push(slot);
        }
        node
    }

    fn get(&self, hash: u64, shift: u32) -> Option<&Slot> {
        let (bit, at) = self.place(hash, shift);
        if self.map & bit == 0 { None } else { self.slots.get(at) }
    }

    fn insert(&mut self, hash: u64, shift: u32, entry: Arc<Entry>, case: Case) {
        let (bit, at) = self.place(hash, shift);
        if self.map & bit == 0 {
            self.map |= bit;
            self.slots.insert(at, Slot::Leaf(hash as u32, Same::One(entry)));
            return;
        }
        let deepest = shift + BITS >= 64;
        match &mut self.slots[at] {
            Slot::Node(node) => return Arc::make_mut(node).insert(hash, shift + BITS, entry, case),
            Slot::Clash(list) => {
                let list = Arc::make_mut(list);
                match list.iter_mut().find(|same| same.first().is_some_and(|known| case.same(known.key(), entry.key()))) {
                    Some(same) => same.insert(entry),
                    None => list.push(Same::One(entry)),
                }
                return;
            }
            Slot::Leaf(low, same) => {
                let known = same.first().map(|known| known.key());
                if *low == hash as u32 && known.is_some_and(|known| case.same(known, entry.key())) {
                    return same.insert(entry);
                }
            }
        }
        // Another key in the place of a leaf: both go one level down.
        let Slot::Leaf(low, same) = std::mem::replace(&mut self.slots[at], Slot::Clash(Arc::default())) else { return };
        if deepest {
            self.slots[at] = Slot::Clash(Arc::new(vec![same, Same::One(entry)]));
            return;
        }
        let old = same.first().map_or(0, |known| self::hash(known.key(), case));
        let mut node = Node::default();
        let (bit, _) = node.place(old, shift + BITS);
        node.map = bit;
        node.slots.push(Slot::Leaf(low, same));
        node.insert(hash, shift + BITS, entry, case);
        self.slots[at] = Slot::Node(Arc::new(node));
    }

    fn remove(&mut self, hash: u64, shift: u32, entry: &Entry) {
        let (bit, at) = self.place(hash, shift);
        if self.map & bit == 0 {
            return;
        }
        let empty = match &mut self.slots[at] {
            Slot::Node(node) => {
                let node = Arc::make_mut(node);
                node.remove(hash, shift + BITS, entry);
                node.map == 0
            }
            Slot::Leaf(_, same) => {
                same.remove(entry.id);
                same.is_empty()
            }
            Slot::Clash(list) => {
                let list = Arc::make_mut(list);
                list.iter_mut().for_each(|same| same.remove(entry.id));
                list.retain(|same| !same.is_empty());
                list.is_empty()
            }
        };
        if empty {
            self.map &= !bit;
            self.slots.remove(at);
        }
    }
}

/// A hash of the bytes, of small letters where case is ignored. Not keyed: what keys there are is the operator's choice, and a value
/// that a peer chooses is compared with the keys of one leaf.
fn hash(bytes: &[u8], case: Case) -> u64 {
    const A: u64 = 0xa076_1d64_78bd_642f;
    const B: u64 = 0xe703_7ed1_a0b4_28db;
    let fold = |a: u64, b: u64| {
        let wide = u128::from(a) * u128::from(b);
        (wide as u64) ^ ((wide >> 64) as u64)
    };
    let read = |word: u64| if case == Case::Ignored { lower(word) } else { word };
    let mut hash = bytes.len() as u64 ^ A;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        hash = fold(hash ^ read(u64::from_le_bytes(*word)), B);
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    hash = fold(hash ^ read(u64::from_le_bytes(last)), B);
    fold(hash, A)
}

/// Eight bytes with small letters in place of capital ones.
fn lower(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let low = word & (0x7f * ONES);
    let from_a = low + (0x80 - u64::from(b'A')) * ONES;
    let over_z = low + (0x7f - u64::from(b'Z')) * ONES;
    let capital = (from_a & !over_z & !word) & (0x80 * ONES);
    word | (capital >> 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_letters() {
        for byte in 0..=255u8 {
            let word = u64::from_le_bytes([byte, b'@', b'[', byte, 0, 255, byte, b'Z']);
            let small = u64::from_le_bytes([byte, b'@', b'[', byte, 0, 255, byte, b'Z'].map(|b: u8| b.to_ascii_lowercase()));
            assert_eq!(lower(word), small, "{byte}");
        }
        assert_eq!(hash(b"Some.Example.COM", Case::Ignored), hash(b"some.example.com", Case::Ignored));
        assert_ne!(hash(b"a", Case::Exact), hash(b"a\0", Case::Exact));
    }
}
