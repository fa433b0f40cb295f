//! What is watched beside the net: scripts, files, processes. Each has a thread of its own, which sends what it finds by letter; nothing of
//! it is waited for by an election.

pub mod beat;
mod connector;
pub mod file;
pub mod process;
pub mod script;
pub mod timer;

use crate::ending::Unfinished;
use crate::inbox::{Letter, Post};
use crate::log::Log;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use vrrp::Status;

/// What can be tracked, by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Object {
    /// An interface.
    Interface(String),
    /// A `vrrp_script`.
    Script(String),
    /// A `track_file`.
    File(String),
    /// A `vrrp_track_process`.
    Process(String),
}

impl Object {
    /// Its name in the file.
    pub fn name(&self) -> &str {
        match self {
            Object::Interface(name) | Object::Script(name) | Object::File(name) | Object::Process(name) => name,
        }
    }
}

/// What a thread that watches has of the daemon.
#[derive(Clone)]
pub struct Office {
    post: Post,
    log: Log,
    /// Held until what it has started is ended.
    _unfinished: Unfinished,
}

impl Office {
    /// Letters go to `post`, lines to `log`; the daemon ends when `unfinished` has gone.
    pub fn new(post: Post, log: Log, unfinished: Unfinished) -> Office {
        Office { post, log, _unfinished: unfinished }
    }

    fn line(&self, line: String) {
        self.log.line(line);
    }

    /// Whether there is a daemon still.
    fn send(&self, letter: Letter) -> bool {
        self.post.send(letter)
    }
}

/// A thread that watches something. It ends when this is dropped.
#[derive(Debug)]
pub struct Tracker {
    /// What its letters are signed with.
    pub id: u64,
    /// What it watches.
    pub object: Object,
    /// What its last letter said.
    pub status: Status,
    /// See [`crate::inbox::Letter::Tracked`].
    pub count: i64,
    /// Its script runs at this moment.
    pub running: Arc<AtomicBool>,
    _hold: Hold,
}

/// What holds a thread: it ends when this is dropped.
#[derive(Debug)]
struct Hold(#[allow(dead_code, reason = "its end is what counts")] io::PipeWriter);

fn leash() -> io::Result<(Hold, Leash)> {
    let (leash, hold) = io::pipe()?;
    Ok((Hold(hold), Leash(leash)))
}

/// The other end of a hold: turns readable when that is dropped.
pub struct Leash(io::PipeReader);

/// Why [`Leash::wait`] came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// The hold is gone: the thread has to end.
    Stop,
    /// One of the descriptors is readable.
    Ready,
    /// The time is over.
    Time,
}

impl Tracker {
    fn new(id: u64, object: Object, status: Status, count: i64) -> io::Result<(Tracker, Leash)> {
        let (hold, leash) = leash()?;
        Ok((Tracker { id, object, status, count, running: Arc::default(), _hold: hold }, leash))
    }
}

impl Leash {
    /// Waits for one of `fds` or for `timeout`.
    fn wait(&self, fds: &[BorrowedFd<'_>], timeout: Duration) -> Woken {
        let timeout = Timespec { tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX), tv_nsec: i64::from(timeout.subsec_nanos()) };
        let all = std::iter::once(self.0.as_fd()).chain(fds.iter().copied());
        let mut fds: Vec<PollFd<'_>> = all.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) if !fds[0].revents().is_empty() => Woken::Stop,
            Ok(0) | Err(_) => Woken::Time,
            Ok(_) => Woken::Ready,
        }
    }
}
