//! Readiness of descriptors, and who waits for it. Called by executor.rs (events in) and socket.rs (`poll_io`).
//! Edge-triggered: each descriptor is registered once, lazily, at its first wait; an edge sets a bit, a short or refused call
//! clears it.

use crate::TaskKey;
use std::cell::Cell;
use std::rc::Rc;

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

/// One descriptor's readiness, shared by its owner and the table.
pub(crate) struct IoSlot {
    flags: Cell<u8>,
    reader: Cell<TaskKey>,
    writer: Cell<TaskKey>,
    /// Where it stands in the table, with the generation of that place: what epoll hands back.
    pub token: u64,
}

/// What an event says, as flags; and which sides it wakes.
#[derive(Clone, Copy, Default)]
pub(crate) struct Readiness {
    pub flags: u8,
}

/// All descriptors of one thread.
#[derive(Default)]
pub(crate) struct IoTable {
    places: Vec<Place>,
    free: Vec<u32>,
}

struct Place {
    generation: u32,
    slot: Option<Rc<IoSlot>>,
}

impl IoTable {
    /// A slot for a new descriptor: believed ready until a call says otherwise.
    pub fn insert(&mut self) -> Rc<IoSlot> {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { generation: 0, slot: None });
            self.places.len() as u32 - 1
        });
        let place = &mut self.places[index as usize];
        let slot = Rc::new(IoSlot {
            flags: Cell::new(flag::READ | flag::WRITE),
            reader: Cell::new(TaskKey::NONE),
            writer: Cell::new(TaskKey::NONE),
            token: u64::from(index) | u64::from(place.generation) << 32,
        });
        place.slot = Some(slot.clone());
        slot
    }

    pub fn remove(&mut self, token: u64) {
        let index = token as u32;
        let place = &mut self.places[index as usize];
        // An event that is still under way for the closed descriptor finds another generation. One bit is left to the
        // inbox's own token.
        place.generation = place.generation.wrapping_add(1) & (u32::MAX >> 1);
        place.slot = None;
        self.free.push(index);
    }

    /// Takes note of an event; gives the tasks to wake.
    pub fn event(&self, token: u64, ready: Readiness) -> [TaskKey; 2] {
        match self.places.get(token as u32 as usize).and_then(|p| p.slot.as_deref()) {
            Some(slot) if slot.token == token => slot.event(ready),
            _ => [TaskKey::NONE; 2],
        }
    }

    /// The slot with this token.
    #[cfg(feature = "sim")]
    pub fn slot(&self, token: u64) -> Option<&IoSlot> {
        self.places.get(token as u32 as usize)?.slot.as_deref().filter(|s| s.token == token)
    }

    /// Descriptors that are open.
    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

impl IoSlot {
    pub fn flags(&self) -> u8 {
        self.flags.get()
    }

    fn event(&self, ready: Readiness) -> [TaskKey; 2] {
        self.flags.set((self.flags.get() & !flag::STICKY) | ready.flags);
        let mut wake = [TaskKey::NONE; 2];
        if ready.flags & (flag::READ | flag::STICKY) != 0 {
            wake[0] = self.reader.replace(TaskKey::NONE);
        }
        if ready.flags & (flag::WRITE | flag::ERROR) != 0 {
            wake[1] = self.writer.replace(TaskKey::NONE);
        }
        wake
    }

    /// Nothing is known to be ready: for a socket whose connection is under way.
    pub fn not_ready(&self) {
        self.flags.set(self.flags.get() & !(flag::READ | flag::WRITE));
    }

    /// True when epoll knows the descriptor; says so from now on.
    #[inline]
    pub fn registered(&self) -> bool {
        self.flags.get() & flag::REGISTERED != 0
    }

    pub fn set_registered(&self) {
        self.flags.set(self.flags.get() | flag::REGISTERED);
    }

    #[inline]
    pub fn ready(&self, dir: Dir) -> bool {
        let bits = match dir {
            Dir::Read => flag::READ | flag::STICKY,
            Dir::Write => flag::WRITE | flag::ERROR,
        };
        self.flags.get() & bits != 0
    }

    #[inline]
    pub fn wait(&self, dir: Dir, task: TaskKey) {
        match dir {
            Dir::Read => self.reader.set(task),
            Dir::Write => self.writer.set(task),
        }
    }

    /// Who waits in a direction that is believed not to be ready.
    #[cfg(feature = "sim")]
    pub fn waiter(&self, dir: Dir) -> Option<TaskKey> {
        let task = if dir == Dir::Read { self.reader.get() } else { self.writer.get() };
        Some(task).filter(|t| *t != TaskKey::NONE && !self.ready(dir))
    }

    /// The kernel said `EAGAIN`.
    #[inline]
    pub fn refused(&self, dir: Dir) {
        let bits = match dir {
            Dir::Read => flag::READ | flag::STICKY,
            Dir::Write => flag::WRITE | flag::ERROR,
        };
        self.flags.set(self.flags.get() & !bits);
    }

    /// A call moved less than it was given room for.
    #[inline]
    pub fn short(&self, dir: Dir) {
        let flags = self.flags.get();
        match dir {
            Dir::Read if flags & flag::STICKY == 0 => self.flags.set(flags & !flag::READ),
            Dir::Write if flags & flag::ERROR == 0 => self.flags.set(flags & !flag::WRITE),
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
        let slot = table.insert();
        slot.refused(Dir::Read);
        assert!(!slot.ready(Dir::Read));
        table.event(slot.token, Readiness { flags: flag::READ | flag::READ_CLOSED });
        slot.short(Dir::Read);
        assert!(slot.ready(Dir::Read), "a short read does not hide the FIN behind it");
        table.event(slot.token, Readiness { flags: flag::READ });
        slot.short(Dir::Read);
        assert!(!slot.ready(Dir::Read));
    }

    #[test]
    fn a_stale_event_finds_nothing() {
        let mut table = IoTable::default();
        let old = table.insert().token;
        table.remove(old);
        let slot = table.insert();
        assert_eq!(slot.token as u32, old as u32);
        let task = TaskKey { index: 7, generation: 1 };
        slot.refused(Dir::Read);
        slot.wait(Dir::Read, task);
        assert_eq!(table.event(old, Readiness { flags: flag::READ }), [TaskKey::NONE; 2]);
        assert!(!slot.ready(Dir::Read));
        assert_eq!(table.event(slot.token, Readiness { flags: flag::READ })[0], task);
        assert_eq!(table.len(), 1);
    }
}
