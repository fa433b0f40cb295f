//! Signals as events of the loop.

use crate::Rt;
use crate::driver::Handle;
use crate::reactor::Dir;
use crate::socket::Source;
use lb_sys::signal::{Signal, SignalFd};
use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;

/// The process's signals, delivered to one task of one thread.
pub struct Signals {
    fd: SignalFd,
    source: Source,
}

impl Signals {
    /// Takes a [`SignalFd`] into the loop.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn new(rt: &Rt, fd: SignalFd) -> io::Result<Signals> {
        let copy = fd.as_fd().try_clone_to_owned()?;
        Ok(Signals { fd, source: Source::shared(rt, Handle::Sys(copy)) })
    }

    /// The next signal.
    ///
    /// # Errors
    /// Those of `read(2)`.
    pub async fn next(&self) -> io::Result<Signal> {
        let mut signal = 0;
        poll_fn(|_| {
            self.source.poll_io(Dir::Read, |_| {
                signal = self.fd.take()?.ok_or(io::ErrorKind::WouldBlock)?;
                Ok((1, false))
            })
        })
        .await?;
        Ok(signal)
    }
}
