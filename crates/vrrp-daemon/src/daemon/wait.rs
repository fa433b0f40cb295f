//! What the loop waits with: epoll(7) over everything that it reads, and a timerfd for its next timer.
//!
//! Holds: a wait costs what is ready, not what is watched; a timer that is armed stays as exact as it was when others come first. A
//! descriptor that is closed is watched no more, since nobody else has a copy of it.

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// Something to read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// Datagrams on the interface with this index.
    Packets(u32),
    Netlink,
    Letters,
    Signals,
    Timer,
}

impl Source {
    const OTHERS: [Source; 4] = [Source::Netlink, Source::Letters, Source::Signals, Source::Timer];

    /// As epoll keeps it: the index of an interface, or a number beyond all of them.
    fn token(self) -> u64 {
        match self {
            Source::Packets(index) => u64::from(index),
            other => (1 << 32) + Source::OTHERS.iter().position(|it| *it == other).map_or(0, |at| at as u64),
        }
    }

    fn of(token: u64) -> Option<Source> {
        match u32::try_from(token) {
            Ok(index) => Some(Source::Packets(index)),
            Err(_) => Source::OTHERS.get(token as u32 as usize).copied(),
        }
    }
}

/// Sources that are told of at once; what is beyond that is told of next time.
const AT_ONCE: usize = 64;

pub(super) struct Waiting {
    epoll: OwnedFd,
    timer: OwnedFd,
    /// What the timer is set to.
    due: Option<Instant>,
    events: Vec<Event>,
}

impl Waiting {
    /// Watches nothing yet but its timer.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn new() -> io::Result<Waiting> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        let waiting = Waiting { epoll, timer, due: None, events: Vec::with_capacity(AT_ONCE) };
        waiting.watch(Source::Timer, &waiting.timer)?;
        Ok(waiting)
    }

    /// Watches `fd` until it is closed; one that is watched already stays so.
    ///
    /// # Errors
    /// `ENOSPC` beyond `fs.epoll.max_user_watches`.
    pub fn watch(&self, source: Source, fd: impl AsFd) -> io::Result<()> {
        match epoll::add(&self.epoll, fd, EventData::new_u64(source.token()), EventFlags::IN) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Waits until something is there to read or `due` has come: `due` is as far from `now` as the timer has to go. `None`: no timer.
    pub fn wait(&mut self, now: Instant, due: Option<Instant>) -> Vec<Source> {
        self.events.clear();
        if self.set(now, due).is_err() || epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), None).is_err() {
            return Vec::new();
        }
        self.events.iter().filter_map(|event| Source::of(event.data.u64())).collect()
    }

    fn set(&mut self, now: Instant, due: Option<Instant>) -> io::Result<()> {
        if self.due == due {
            return Ok(());
        }
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let left = due.map_or(zero, |at| {
            // Zero would be no timer.
            let left = at.saturating_duration_since(now).max(Duration::from_nanos(1));
            Timespec { tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: i64::from(left.subsec_nanos()) }
        });
        // Setting it also forgets that it had come.
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: zero, it_value: left })?;
        self.due = due;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{EventfdFlags, eventfd};

    #[test]
    fn sources_are_told_apart() {
        for source in Source::OTHERS.into_iter().chain([0, 1, u32::MAX].map(Source::Packets)) {
            assert_eq!(Source::of(source.token()), Some(source));
        }
        assert_eq!(Source::of(u64::MAX), None);
    }

    #[test]
    fn timers_and_descriptors() {
        let mut waiting = Waiting::new().expect("descriptors");
        let letters = eventfd(1, EventfdFlags::NONBLOCK).expect("a descriptor");
        waiting.watch(Source::Letters, &letters).expect("it is watched");
        waiting.watch(Source::Letters, &letters).expect("it stays watched");
        let now = lb_rt::clock::now();
        let far = Some(now + Duration::from_secs(3600));
        assert_eq!(waiting.wait(now, far), [Source::Letters]);
        drop(letters);
        // One that has come is told of until another takes its place, and one that has passed comes at once.
        let soon = Some(now + Duration::from_millis(5));
        assert_eq!(waiting.wait(now, soon), [Source::Timer]);
        assert!(lb_rt::clock::now() >= now + Duration::from_millis(5));
        assert_eq!(waiting.wait(now, soon), [Source::Timer]);
        assert_eq!(waiting.wait(now + Duration::from_secs(1), Some(now)), [Source::Timer]);
        let bell = eventfd(1, EventfdFlags::NONBLOCK).expect("a descriptor");
        waiting.watch(Source::Packets(7), &bell).expect("it is watched");
        assert_eq!(waiting.wait(now, far), [Source::Packets(7)]);
        assert_eq!(waiting.wait(now, None), [Source::Packets(7)]);
    }
}
