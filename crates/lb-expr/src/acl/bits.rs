//! Entries by the first bits of a number: networks of addresses, and ranges cut into such. One walk meets all that hold a value, from
//! the widest to the narrowest.
//!
//! Holds: as in the tree of hashes, clones share nodes and a change copies those on its way.

use super::entry::{Entry, Same};
use std::sync::Arc;

/// A number whose bits are walked from the highest.
pub(super) trait Key: Copy + Eq {
    const BITS: u32;
    fn bit(self, n: u32) -> usize;
    fn common(self, other: Self) -> u32;
}

impl Key for u64 {
    const BITS: u32 = 64;
    fn bit(self, n: u32) -> usize {
        (self >> (63 - n) & 1) as usize
    }
    fn common(self, other: Self) -> u32 {
        (self ^ other).leading_zeros()
    }
}

impl Key for u128 {
    const BITS: u32 = 128;
    fn bit(self, n: u32) -> usize {
        (self >> (127 - n) & 1) as usize
    }
    fn common(self, other: Self) -> u32 {
        (self ^ other).leading_zeros()
    }
}

#[derive(Clone, Debug)]
pub(super) struct BitTree<K> {
    root: Link<K>,
}

type Link<K> = Option<Arc<Node<K>>>;

#[derive(Clone, Debug)]
struct Node<K> {
    key: K,
    /// How many bits of `key` count.
    len: u32,
    here: Same,
    below: [Link<K>; 2],
}

impl<K: Key> BitTree<K> {
    pub fn new() -> Self {
        Self { root: None }
    }

    /// Calls `visit` with what holds `key`, the widest first, until it says false.
    pub fn walk<'t>(&'t self, key: K, mut visit: impl FnMut(&'t Same) -> bool) {
        let mut link = &self.root;
        while let Some(node) = link {
            if node.key.common(key) < node.len || (!node.here.is_empty() && !visit(&node.here)) || node.len == K::BITS {
                return;
            }
            link = &node.below[key.bit(node.len)];
        }
    }

    pub fn insert(&mut self, key: K, len: u32, entry: Arc<Entry>) {
        insert(&mut self.root, key, len, entry);
    }

    pub fn remove(&mut self, key: K, len: u32, id: u64) {
        remove(&mut self.root, key, len, id);
    }
}

fn insert<K: Key>(link: &mut Link<K>, key: K, len: u32, entry: Arc<Entry>) {
    let Some(node) = link else {
        *link = Some(Arc::new(Node { key, len, here: Same::One(entry), below: [None, None] }));
        return;
    };
    let common = node.key.common(key).min(len).min(node.len);
    if common < node.len {
        // The node goes below a new one, for the bits that both have.
        let side = node.key.bit(common);
        let mut upper = Node { key, len: common, here: Same::None, below: [None, None] };
        upper.below[side] = link.take();
        *link = Some(Arc::new(upper));
        return insert(link, key, len, entry);
    }
    let node = Arc::make_mut(node);
    if node.len == len { node.here.insert(entry) } else { insert(&mut node.below[key.bit(common)], key, len, entry) }
}

fn remove<K: Key>(link: &mut Link<K>, key: K, len: u32, id: u64) {
    let Some(node) = link else { return };
    if node.len > len || node.key.common(key) < node.len {
        return;
    }
    let node = Arc::make_mut(node);
    if node.len == len {
        node.here.remove(id);
    } else {
        remove(&mut node.below[key.bit(node.len)], key, len, id);
    }
    if node.here.is_empty() {
        match &mut node.below {
            [None, None] => *link = None,
            [only @ Some(_), None] | [None, only @ Some(_)] => *link = only.take(),
            _ => {}
        }
    }
}
