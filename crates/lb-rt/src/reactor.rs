//! Readiness of descriptors, and who waits for it. Called by executor.rs (events in) and socket.rs (`poll_io`).
//! Edge-triggered: each descriptor is registered once, lazily, at its first wait; an edge sets a bit, a short or refused call
//! clears it.

use crate::TaskKey;

/// Bits of an [`IoSlot`].
pub(crate) mod flag {
    pub const READ: u8 = 1;
    pub const WRITE: u8 = 2;
    /// The last event said that the peer has closed its sending side.
    pub const READ_CLOSED: u8 = 4;
    pub const ERROR: u8 = 8;
    /// Urgent data: a read stops at the mark, so a short read proves nothing.
    pub const PRIORITY: u8 = 16;
    pub const REGISTERED: u8 = 32;
    /// While one of these holds, a short call does not mean "empty".
    pub const STICKY: u8 = READ_CLOSED | ERROR | PRIORITY;
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dir {
    Read,
    Write,
}

#[derive(Clone, Copy)]
pub(crate) struct IoSlot {
    generation: u32,
    pub flags: u8,
    reader: TaskKey,
    writer: TaskKey,
}

/// What an event says, as flags; and which sides it wakes.
#[derive(Clone, Copy, Default)]
pub(crate) struct Readiness {
    pub flags: u8,
}

/// All descriptors of one thread.
#[derive(Default)]
pub(crate) struct IoTable {
    slots: Vec<IoSlot>,
    free: Vec<u32>,
}

impl IoTable {
    /// A slot for a new descriptor: believed ready until a call says otherwise.
    pub fn insert(&mut self) -> u32 {
        let fresh = |generation| IoSlot { generation, flags: flag::READ | flag::WRITE, reader: TaskKey::NONE, writer: TaskKey::NONE };
        match self.free.pop() {
            Some(index) => {
                let slot = &mut self.slots[index as usize];
                *slot = fresh(slot.generation);
                index
            }
            None => {
                self.slots.push(fresh(0));
                self.slots.len() as u32 - 1
            }
        }
    }

    pub fn remove(&mut self, index: u32) {
        // An event that is still under way for the closed descriptor finds another generation.
        self.slots[index as usize].generation = self.slots[index as usize].generation.wrapping_add(1);
        self.free.push(index);
    }

    #[inline]
    pub fn slot(&mut self, index: u32) -> &mut IoSlot {
        &mut self.slots[index as usize]
    }

    pub fn token(&self, index: u32) -> u64 {
        u64::from(index) | u64::from(self.slots[index as usize].generation) << 32
    }

    /// Takes note of an event; gives the tasks to wake.
    pub fn event(&mut self, token: u64, ready: Readiness) -> [TaskKey; 2] {
        let none = [TaskKey::NONE; 2];
        let Some(slot) = self.slots.get_mut(token as u32 as usize) else { return none };
        if u64::from(slot.generation) != token >> 32 {
            return none;
        }
        slot.flags = (slot.flags & !flag::STICKY) | ready.flags;
        let mut wake = none;
        if ready.flags & (flag::READ | flag::STICKY) != 0 {
            wake[0] = std::mem::replace(&mut slot.reader, TaskKey::NONE);
        }
        if ready.flags & (flag::WRITE | flag::ERROR) != 0 {
            wake[1] = std::mem::replace(&mut slot.writer, TaskKey::NONE);
        }
        wake
    }

    /// Descriptors that are open.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

impl IoSlot {
    #[inline]
    pub fn ready(&self, dir: Dir) -> bool {
        let bits = match dir {
            Dir::Read => flag::READ | flag::STICKY,
            Dir::Write => flag::WRITE | flag::ERROR,
        };
        self.flags & bits != 0
    }

    pub fn wait(&mut self, dir: Dir, task: TaskKey) {
        match dir {
            Dir::Read => self.reader = task,
            Dir::Write => self.writer = task,
        }
    }

    /// The kernel said `EAGAIN`.
    #[inline]
    pub fn refused(&mut self, dir: Dir) {
        match dir {
            Dir::Read => self.flags &= !(flag::READ | flag::STICKY),
            Dir::Write => self.flags &= !(flag::WRITE | flag::ERROR),
        }
    }

    /// A call moved less than it was given room for.
    #[inline]
    pub fn short(&mut self, dir: Dir) {
        match dir {
            Dir::Read if self.flags & flag::STICKY == 0 => self.flags &= !flag::READ,
            Dir::Write if self.flags & flag::ERROR == 0 => self.flags &= !flag::WRITE,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_and_fin_in_one_edge_are_both_seen() {
        let mut table = IoTable::default();
        let i = table.insert();
        let token = table.token(i);
        table.slot(i).refused(Dir::Read);
        assert!(!table.slot(i).ready(Dir::Read));
        table.event(token, Readiness { flags: flag::READ | flag::READ_CLOSED });
        table.slot(i).short(Dir::Read);
        assert!(table.slot(i).ready(Dir::Read), "a short read does not hide the FIN behind it");
        table.event(token, Readiness { flags: flag::READ });
        table.slot(i).short(Dir::Read);
        assert!(!table.slot(i).ready(Dir::Read));
    }

    #[test]
    fn a_stale_event_finds_nothing() {
        let mut table = IoTable::default();
        let i = table.insert();
        let old = table.token(i);
        table.remove(i);
        let j = table.insert();
        assert_eq!(i, j);
        let task = TaskKey { index: 7, generation: 1 };
        table.slot(j).refused(Dir::Read);
        table.slot(j).wait(Dir::Read, task);
        assert_eq!(table.event(old, Readiness { flags: flag::READ }), [TaskKey::NONE; 2]);
        assert!(!table.slot(j).ready(Dir::Read));
        let new = table.token(j);
        assert_eq!(table.event(new, Readiness { flags: flag::READ })[0], task);
        assert_eq!(table.len(), 1);
    }
}
