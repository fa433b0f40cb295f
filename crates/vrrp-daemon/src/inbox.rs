//! What other threads tell the thread of the elections, and how they wake it.
//!
//! Holds: sending never waits; who tracks something sends when that has changed and not more often than it looks.

use crate::reload::Prepared;
use crate::snapshot::Snapshot;
use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel};
use vrrp::Status;

/// One message.
pub enum Letter {
    /// Something tracked has changed.
    Tracked {
        /// Which of the trackers says so.
        tracker: u64,
        /// How it is doing.
        status: Status,
        /// The number behind it: the value in a file, processes that run, results of a script in a row.
        count: i64,
    },
    /// Drivers have been asked for their links, and these are other answers than before.
    Linkbeat {
        /// Which of the threads says so.
        id: u64,
        /// Indices of interfaces, and whether there is a link.
        links: Vec<(u32, bool)>,
    },
    /// The moment in `reload_time_file` has come, says one of the threads that wait for it.
    ReloadDue(u64),
    /// Somebody wants to know how everything is doing. The answer is sent where it is awaited, or nowhere if nobody waits any more.
    Ask(SyncSender<Box<Snapshot>>),
    /// The file has been read again, or has been refused: then the lines say why.
    Reload(Result<Box<Prepared>, Vec<String>>),
}

/// Where letters arrive.
pub struct Inbox {
    letters: Receiver<Letter>,
    bell: Arc<OwnedFd>,
}

/// Sends letters. Clones send to the same inbox.
#[derive(Clone)]
pub struct Post {
    letters: Sender<Letter>,
    bell: Arc<OwnedFd>,
}

/// An inbox, and the way to it.
///
/// # Errors
/// `EMFILE`.
pub fn open() -> io::Result<(Inbox, Post)> {
    let bell = Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?);
    let (send, letters) = channel();
    Ok((Inbox { letters, bell: bell.clone() }, Post { letters: send, bell }))
}

impl Inbox {
    /// Turns readable when a letter is there.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// The letters that have come.
    pub fn take(&self) -> impl Iterator<Item = Letter> + use<'_> {
        // Before the letters: one that comes meanwhile rings again.
        let _ = rustix::io::read(&self.bell, &mut [0u8; 8]);
        std::iter::from_fn(|| self.letters.try_recv().ok())
    }
}

impl Post {
    /// False when nobody reads letters any more.
    pub fn send(&self, letter: Letter) -> bool {
        let sent = self.letters.send(letter).is_ok();
        // It fails when the bell has rung 2^64 times already, and then it rings.
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
        sent
    }
}
