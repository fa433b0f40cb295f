//! ACLs: named tests of samples against patterns, and the conditions that are made of them. Compiled when a configuration is read,
//! asked for each connection, request and response.
//!
//! Holds: a condition is asked without a lock and without memory of its own, as long as its patterns are few and need no cast; what
//! is not known yet makes it [`Verdict::NeedMore`], never a guess.
//!
//! Source: manual 7.1, 7.2, 7.4; what patterns mean in detail as observed on haproxy 2.6.12.

mod bits;
mod condition;
mod entry;
mod hash;
mod index;
mod line;
mod list;
mod map;
mod matching;
mod names;
mod pattern;
mod sample;
mod set;
mod sets;
mod trie;

pub use condition::{Condition, Conflict, Term};
pub use entry::Entry;
pub use index::{FEW, Kind};
pub use line::Line;
pub use list::{Acl, Acls};
pub use matching::Matching;
pub use names::{all_derived, derived};
pub use pattern::{Pattern, PatternFlags};
pub use sample::MAX_DEPTH;
pub use set::{Garbage, Gives, Got, Lookup, MAX_LINE, MAX_PREPARED, Set, SetError, Use};
pub use sets::Sets;

pub(crate) use map::TABLE as MAPS;
pub(crate) use sample::TABLE as SAMPLES;

/// What a test says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It does not.
    Fail,
    /// More bytes may decide it.
    NeedMore,
}

impl Verdict {
    /// One of two that hold.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Pass, _) | (_, Self::Pass) => Self::Pass,
            (Self::NeedMore, _) | (_, Self::NeedMore) => Self::NeedMore,
            _ => Self::Fail,
        }
    }

    /// The contrary; what is not known stays so.
    #[must_use]
    pub fn negated(self) -> Self {
        match self {
            Self::Pass => Self::Fail,
            Self::Fail => Self::Pass,
            Self::NeedMore => Self::NeedMore,
        }
    }
}
