//! The timer wheel: when to look at which task slot again. Called by executor.rs. Lazy: a slot has one entry in the wheel, and an
//! entry may be early; moving a deadline further out touches nothing here, and a slot's
//! next task takes the entry over. All times are ticks of one millisecond.

const BITS: u32 = 6;
const SLOTS: usize = 1 << BITS;
/// 64⁶ ms are two years; what lies beyond waits in the last level and is looked at again.
const LEVELS: usize = 6;
/// Entries for which an emptied slot keeps room.
const KEEP: usize = 256;

#[derive(Clone, Copy)]
struct Entry {
    at: u64,
    slot: u32,
}

struct Level {
    occupied: u64,
    slots: [Vec<Entry>; SLOTS],
}

/// Six levels of 64 slots; insertion and expiry are O(1), a cascade costs at most one move per level.
pub(crate) struct Wheel {
    now: u64,
    levels: Vec<Level>,
    len: usize,
    spare: Vec<Entry>,
}

impl Wheel {
    pub fn new() -> Wheel {
        let level = || Level { occupied: 0, slots: [const { Vec::new() }; SLOTS] };
        Wheel { now: 0, levels: (0..LEVELS).map(|_| level()).collect(), len: 0, spare: Vec::new() }
    }

    /// Entries, stale ones included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Adds an entry; one for the past or for now comes up at the next tick.
    pub fn insert(&mut self, at: u64, slot: u32) {
        self.place(Entry { at: at.max(self.now + 1), slot });
        self.len += 1;
    }

    fn place(&mut self, entry: Entry) {
        let differing = 63 - (entry.at ^ self.now).max(1).leading_zeros();
        let level = ((differing / BITS) as usize).min(LEVELS - 1);
        let slot = (entry.at >> (BITS * level as u32)) as usize % SLOTS;
        self.levels[level].slots[slot].push(entry);
        self.levels[level].occupied |= 1 << slot;
    }

    /// The tick at which something may be due: exact for the next 64 ms, a lower bound beyond.
    pub fn next(&self) -> Option<u64> {
        if self.len == 0 {
            return None;
        }
        self.levels.iter().enumerate().filter_map(|(level, l)| self.next_in(level, l)).min()
    }

    fn next_in(&self, level: usize, l: &Level) -> Option<u64> {
        if l.occupied == 0 {
            return None;
        }
        let shift = BITS * level as u32;
        let here = (self.now >> shift) as u32 % SLOTS as u32;
        // Slots behind `here` belong to the next round; at `here` itself only the last level can hold something (clamped entries).
        let ahead = l.occupied.rotate_right(here);
        let distance = match (ahead & !1).trailing_zeros() {
            64 => SLOTS as u64,
            d => u64::from(d),
        };
        Some(((self.now >> shift) + distance) << shift)
    }

    /// Moves on to tick `now` and calls `due(at, slot)` for each entry whose time has come.
    pub fn advance(&mut self, now: u64, mut due: impl FnMut(u64, u32)) {
        while let Some(at) = self.next().filter(|at| *at <= now) {
            self.now = at;
            for level in (0..LEVELS).rev() {
                let shift = BITS * level as u32;
                if at & ((1 << shift) - 1) != 0 {
                    continue;
                }
                let slot = (at >> shift) as usize % SLOTS;
                if self.levels[level].occupied & (1 << slot) == 0 {
                    continue;
                }
                self.levels[level].occupied &= !(1 << slot);
                let mut entries = std::mem::replace(&mut self.levels[level].slots[slot], std::mem::take(&mut self.spare));
                for entry in entries.drain(..) {
                    if entry.at <= at {
                        self.len -= 1;
                        due(entry.at, entry.slot);
                    } else {
                        self.place(entry);
                    }
                }
                // A burst of deadlines must not leave its room behind in every slot of the wheel.
                entries.shrink_to(KEEP);
                self.spare = entries;
            }
        }
        self.now = self.now.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_up_in_time_and_once() {
        let mut rng = 0x9E37_79B9_7F4A_7C15u64;
        let mut random = || {
            rng ^= rng << 13;
            rng ^= rng >> 7;
            rng ^= rng << 17;
            rng
        };
        for _ in 0..200 {
            let mut wheel = Wheel::new();
            let mut expected = Vec::new();
            let mut now = 0;
            let mut seen: Vec<(u64, u32)> = Vec::new();
            for i in 0..200u32 {
                let span = 1 << (random() % 30);
                let at = now + 1 + random() % span;
                wheel.insert(at, i);
                expected.push((at, i));
                if random() % 3 == 0 {
                    // A jump to the announced time is never late, and never finds the wheel claiming the past.
                    let next = wheel.next().unwrap();
                    assert!(next > now);
                    let step = if random() % 2 == 0 { next } else { now + random() % (span * 2) };
                    wheel.advance(step, |at, k| {
                        assert!(at <= step);
                        seen.push((at, k));
                    });
                    now = step.max(now);
                    assert!(expected.iter().filter(|(at, _)| *at <= now).count() == seen.len());
                }
            }
            while let Some(next) = wheel.next() {
                wheel.advance(next, |at, k| seen.push((at, k)));
            }
            assert_eq!(wheel.len(), 0);
            expected.sort_unstable();
            seen.sort_unstable();
            assert_eq!(expected, seen);
        }
    }

    #[test]
    fn far_future_entries_wait_in_the_last_level() {
        let mut wheel = Wheel::new();
        let at = 1u64 << 40;
        wheel.insert(at, 1);
        let mut got = None;
        let mut steps = 0;
        while got.is_none() {
            let next = wheel.next().unwrap();
            wheel.advance(next, |at, _| got = Some(at));
            steps += 1;
            assert!(steps < 100_000);
        }
        assert_eq!(got, Some(at));
    }
}
