//! A d-ary min-heap of server numbers that can also find, move and remove one of them.
//!
//! Holds: every number is in the heap at most once; nothing allocates after [`Heap::new`], because a heap never holds more
//! than the `n` servers it was made for. Peek is O(1), everything else O(log n).

/// Children per node: four siblings share a cache line or two, and the heap is half as deep as a binary one.
const ARITY: usize = 4;

/// `slot` of a server that is not in the heap.
const ABSENT: u32 = u32::MAX;

#[derive(Debug)]
pub(crate) struct Heap {
    entries: Vec<(u128, u32)>,
    /// Where each server stands in `entries`, or [`ABSENT`].
    slot: Box<[u32]>,
}

impl Heap {
    /// An empty heap for servers `0..n`.
    pub(crate) fn new(n: usize) -> Self {
        Heap { entries: Vec::with_capacity(n), slot: vec![ABSENT; n].into_boxed_slice() }
    }

    #[inline]
    pub(crate) fn peek(&self) -> Option<(u128, u32)> {
        self.entries.first().copied()
    }

    pub(crate) fn contains(&self, id: u32) -> bool {
        self.slot[id as usize] != ABSENT
    }

    /// Adds `id`, or moves it to `key` when it is already here.
    #[inline]
    pub(crate) fn set(&mut self, id: u32, key: u128) {
        let at = self.slot[id as usize];
        if at == ABSENT {
            self.entries.push((key, id));
            self.sift_up(self.entries.len() - 1);
            return;
        }
        let at = at as usize;
        let old = self.entries[at].0;
        self.entries[at].0 = key;
        if key < old {
            self.sift_up(at);
        } else {
            self.sift_down(at);
        }
    }

    /// Takes `id` out and says under which key it stood.
    pub(crate) fn remove(&mut self, id: u32) -> Option<u128> {
        let at = self.slot[id as usize];
        if at == ABSENT {
            return None;
        }
        let at = at as usize;
        let (key, _) = self.entries.swap_remove(at);
        self.slot[id as usize] = ABSENT;
        if at < self.entries.len() {
            // The last entry took the hole: it may belong above or below it.
            self.slot[self.entries[at].1 as usize] = at as u32;
            self.sift_up(at);
            self.sift_down(self.slot_of(at));
        }
        Some(key)
    }

    /// Where the entry that `remove` put at `at` stands after it was sifted up: itself, or its child moved down into `at`.
    fn slot_of(&self, at: usize) -> usize {
        self.slot[self.entries[at].1 as usize] as usize
    }

    fn sift_up(&mut self, mut at: usize) {
        let moving = self.entries[at];
        while at > 0 {
            let parent = (at - 1) / ARITY;
            let above = self.entries[parent];
            if above.0 <= moving.0 {
                break;
            }
            self.put(at, above);
            at = parent;
        }
        self.put(at, moving);
    }

    #[inline]
    fn sift_down(&mut self, mut at: usize) {
        let moving = self.entries[at];
        loop {
            let first = at * ARITY + 1;
            if first >= self.entries.len() {
                break;
            }
            let last = (first + ARITY).min(self.entries.len());
            let mut least = first;
            let mut least_key = self.entries[first].0;
            for child in first + 1..last {
                if self.entries[child].0 < least_key {
                    least = child;
                    least_key = self.entries[child].0;
                }
            }
            if moving.0 <= least_key {
                break;
            }
            let below = self.entries[least];
            self.put(at, below);
            at = least;
        }
        self.put(at, moving);
    }

    #[inline]
    fn put(&mut self, at: usize, entry: (u128, u32)) {
        self.entries[at] = entry;
        self.slot[entry.1 as usize] = at as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn behaves_as_an_ordered_set() {
        let mut state = 7u64;
        let mut next = move || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            state >> 33
        };
        let n = 50u32;
        let mut heap = Heap::new(n as usize);
        let mut keys = vec![None; n as usize];
        let mut model = BTreeSet::new();
        for step in 0..20_000u64 {
            let id = (next() % u64::from(n)) as u32;
            if let Some(old) = keys[id as usize].take() {
                model.remove(&(old, id));
                if next() % 3 == 0 {
                    assert_eq!(heap.remove(id), Some(old));
                    assert!(!heap.contains(id));
                    assert_eq!(heap.remove(id), None);
                    continue;
                }
            }
            let key = u128::from(next() % 20) << 64 | u128::from(step);
            heap.set(id, key);
            keys[id as usize] = Some(key);
            model.insert((key, id));
            assert_eq!(heap.peek(), model.first().copied());
        }
        while let Some(&(key, id)) = model.first() {
            assert_eq!(heap.peek(), Some((key, id)));
            model.remove(&(key, id));
            heap.remove(id);
        }
        assert_eq!(heap.peek(), None);
    }
}
