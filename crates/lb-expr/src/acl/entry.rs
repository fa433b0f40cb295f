//! One line of a pattern file, or one word of an ACL: what an operator sees. Structures keep it by reference.

use std::fmt;
use std::sync::Arc;

/// An entry of a [`Set`](super::Set). It does not change: a new value is a new entry with the same number.
pub struct Entry {
    /// Number of the entry in its set, in the order of the file; what is added later has a higher one.
    pub id: u64,
    /// Line of the file that it came from; 0 for others.
    pub line: u32,
    key_len: u32,
    /// Key and value without anything between.
    text: Box<[u8]>,
}

impl Entry {
    pub(super) fn new(id: u64, line: u32, key: &[u8], value: &[u8]) -> Arc<Self> {
        let mut text = Vec::with_capacity(key.len() + value.len());
        text.extend_from_slice(key);
        text.extend_from_slice(value);
        Arc::new(Self { id, line, key_len: u32::try_from(key.len()).unwrap_or(u32::MAX), text: text.into() })
    }

    /// The pattern as it was written.
    pub fn key(&self) -> &[u8] {
        self.text.get(..self.key_len as usize).unwrap_or(&self.text)
    }

    /// What a map gives for it; empty for ACLs.
    pub fn value(&self) -> &[u8] {
        self.text.get(self.key_len as usize..).unwrap_or_default()
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x} {} {}", self.id, self.key().escape_ascii(), self.value().escape_ascii())
    }
}

/// Entries whose patterns are the same, in their order. Nearly always one.
#[derive(Clone, Debug, Default)]
pub(super) enum Same {
    #[default]
    None,
    One(Arc<Entry>),
    // A vector in place would make every node larger for what hardly ever is.
    #[allow(clippy::box_collection)]
    Many(Box<Vec<Arc<Entry>>>),
}

impl Same {
    pub fn as_slice(&self) -> &[Arc<Entry>] {
        match self {
            Self::None => &[],
            Self::One(entry) => std::slice::from_ref(entry),
            Self::Many(list) => list,
        }
    }

    pub fn first(&self) -> Option<&Arc<Entry>> {
        self.as_slice().first()
    }

    pub fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Puts an entry in its place; one of the same number goes.
    pub fn insert(&mut self, entry: Arc<Entry>) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(entry),
            Self::One(old) if old.id == entry.id => Self::One(entry),
            Self::One(old) => {
                let list = if old.id < entry.id { vec![old, entry] } else { vec![entry, old] };
                Self::Many(Box::new(list))
            }
            Self::Many(mut list) => {
                match list.binary_search_by_key(&entry.id, |known| known.id) {
                    Ok(at) => list[at] = entry,
                    Err(at) => list.insert(at, entry),
                }
                Self::Many(list)
            }
        };
    }

    /// Takes out the entry of this number.
    pub fn remove(&mut self, id: u64) {
        *self = match std::mem::take(self) {
            Self::One(entry) if entry.id == id => Self::None,
            Self::Many(mut list) => {
                list.retain(|entry| entry.id != id);
                match list.len() {
                    0 => Self::None,
                    1 => list.pop().map_or(Self::None, Self::One),
                    _ => Self::Many(list),
                }
            }
            other => other,
        };
    }
}
