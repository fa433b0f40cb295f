//! Tables that are older than the states of their servers, until somebody has made them anew off the data path.
//!
//! Holds: a pick that sees a table that names a server which has left also sees that the table is late, and passes that server over.

use crate::Pick;
use crate::ServerId;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Tables of more entries than these are made later: about a third of a millisecond.
pub(crate) const LATE: usize = 8_192;

/// Which servers may be picked, and whose tables do not know it yet. Both groups'.
#[derive(Debug)]
pub(crate) struct Late {
    usable: Box<[AtomicBool]>,
    stale: [AtomicBool; 2],
    changes: [AtomicU32; 2],
}

impl Late {
    pub(crate) fn new(n: usize) -> Late {
        Late { usable: (0..n).map(|_| AtomicBool::new(false)).collect(), stale: Default::default(), changes: Default::default() }
    }

    /// A server comes or goes; the number of this change.
    pub(crate) fn note(&self, group: usize, id: u32, usable: bool) {
        self.usable[id as usize].store(usable, Ordering::Release);
        self.changes[group].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn set_stale(&self, group: usize, stale: bool) {
        self.stale[group].store(stale, Ordering::Release);
    }

    /// To be asked before the table is loaded.
    pub(crate) fn is_stale(&self, group: usize) -> bool {
        self.stale[group].load(Ordering::Acquire)
    }

    /// How many changes there have been.
    pub(crate) fn changes(&self, group: usize) -> u32 {
        self.changes[group].load(Ordering::Relaxed)
    }

    pub(crate) fn has_left(&self, id: u32) -> bool {
        !self.usable[id as usize].load(Ordering::Acquire)
    }

    /// When all whom a table names have left: the first of the servers that may be picked.
    pub(crate) fn anyone(&self, mut ids: impl Iterator<Item = u32>) -> Pick {
        ids.find(|&id| !self.has_left(id)).map_or(Pick::NoneUsable, |id| Pick::Server(ServerId(id)))
    }
}
