//! Entries by how their keys begin: a tree whose edges are runs of bytes. One walk along a text meets all keys that it begins with.
//!
//! Holds: as in the tree of hashes, clones share nodes and a change copies those on its way. Nothing recurses: keys that begin with
//! one another make the tree as deep as the longest of them.

use super::entry::{Entry, Same};
use memchr::memchr;
use std::sync::Arc;

#[derive(Clone, Debug, Default)]
pub(super) struct Trie {
    root: Node,
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// What leads here from the node above.
    edge: Box<[u8]>,
    /// Keys that end here.
    ends: Same,
    /// First byte of the edge to each of the nodes below.
    bytes: Vec<u8>,
    below: Vec<Arc<Node>>,
}

impl Trie {
    /// Walks along the bytes that `byte` gives for 0, 1, 2 and so on; `visit` gets the entries of each key that they begin with, and its
    /// length, from the shortest on. It ends the walk with false.
    pub fn walk<'t>(&'t self, byte: impl Fn(usize) -> Option<u8>, mut visit: impl FnMut(usize, &'t Same) -> bool) {
        let mut node = &self.root;
        let mut at = 0;
        loop {
            if !node.ends.is_empty() && !visit(at, &node.ends) {
                return;
            }
            let Some(child) = byte(at).and_then(|first| node.child(first)) else { return };
            node = &node.below[child];
            let edge = &node.edge;
            if !(1..edge.len()).all(|n| byte(at + n) == Some(edge[n])) {
                return;
            }
            at += edge.len();
        }
    }

    pub fn insert(&mut self, mut key: &[u8], entry: Arc<Entry>) {
        let mut node = &mut self.root;
        while let Some(&first) = key.first() {
            let Some(child) = node.child(first) else {
                let mut leaf = Node::new(key);
                leaf.ends.insert(entry);
                node.push(Arc::new(leaf));
                return;
            };
            let below = &mut node.below[child];
            let common = below.edge.iter().zip(key).take_while(|(a, b)| a == b).count();
            if common < below.edge.len() {
                let mut upper = Node::new(&key[..common]);
                let lower = Arc::make_mut(below);
                lower.edge = lower.edge[common..].into();
                upper.push(Arc::clone(below));
                *below = Arc::new(upper);
            }
            node = Arc::make_mut(below);
            key = &key[common..];
        }
        node.ends.insert(entry);
    }

    pub fn remove(&mut self, key: &[u8], id: u64) {
        let Some((path, last)) = self.path(key) else { return };
        let goes = last.below.is_empty() && matches!(last.ends.as_slice(), [only] if only.id == id);
        let mut node = &mut self.root;
        for (depth, child) in path.iter().enumerate() {
            if goes && depth + 1 == path.len() {
                node.bytes.swap_remove(*child);
                node.below.swap_remove(*child);
                if depth > 0 {
                    node.shorten();
                }
                return;
            }
            node = Arc::make_mut(&mut node.below[*child]);
        }
        node.ends.remove(id);
        if !path.is_empty() {
            node.shorten();
        }
    }

    /// The way to the node of a key.
    fn path(&self, mut key: &[u8]) -> Option<(Vec<usize>, &Node)> {
        let mut node = &self.root;
        let mut path = Vec::new();
        while let Some(first) = key.first() {
            let child = node.child(*first)?;
            node = &node.below[child];
            key = key.strip_prefix(&*node.edge)?;
            path.push(child);
        }
        Some((path, node))
    }
}

impl Node {
    fn new(edge: &[u8]) -> Self {
        let mut node = Self::default();
        node.edge = edge.into();
        node
    }

    fn child(&self, first: u8) -> Option<usize> {
        memchr(first, &self.bytes)
    }

    fn push(&mut self, child: Arc<Node>) {
        self.bytes.push(child.edge[0]);
        self.below.push(child);
    }

    /// Takes in the one node below when nothing ends here.
    fn shorten(&mut self) {
        if !self.ends.is_empty() || self.below.len() != 1 {
            return;
        }
        if let Some(mut only) = self.below.pop() {
            let only = Arc::make_mut(&mut only);
            self.edge = [&*self.edge, &*only.edge].concat().into();
            self.ends = std::mem::take(&mut only.ends);
            self.bytes = std::mem::take(&mut only.bytes);
            self.below = std::mem::take(&mut only.below);
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let mut list = std::mem::take(&mut self.below);
        while let Some(node) = list.pop() {
            if let Some(mut node) = Arc::into_inner(node) {
                list.append(&mut node.below);
            }
        }
    }
}
