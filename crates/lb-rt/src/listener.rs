//! Listening sockets.

use crate::Rt;
use crate::driver::Handle;
use crate::reactor::Dir;
use crate::socket::{Socket, Source};
use lb_sys::socket::{Kind, SockOpt};
use lb_sys::{Addr, process, socket};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::Poll;

/// How to open a listening socket.
#[derive(Clone, Debug, Default)]
pub struct Bind {
    /// Options of the socket and of what it will accept.
    pub options: Vec<SockOpt>,
    /// Length of the kernel's queue.
    pub backlog: u32,
}

/// `listen(2)` resets this one; the others are set before `bind(2)`.
fn is_late(option: &SockOpt) -> bool {
    matches!(option, SockOpt::QuickAck(_))
}

impl Bind {
    /// Opens a listening socket that any thread may then take into its loop by [`Listener::new`].
    ///
    /// # Errors
    /// `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`, …
    pub fn open(&self, addr: &Addr) -> io::Result<OwnedFd> {
        let fd = socket::open(addr, Kind::Stream)?;
        for option in self.options.iter().filter(|option| !is_late(option)) {
            socket::apply(fd.as_fd(), option)?;
        }
        socket::bind(fd.as_fd(), addr)?;
        socket::listen(fd.as_fd(), self.backlog)?;
        for option in self.options.iter().filter(|option| is_late(option)) {
            socket::apply(fd.as_fd(), option)?;
        }
        Ok(fd)
    }
}

/// A listening socket in one thread's loop.
pub struct Listener(Source, Way);

/// How connections come.
#[derive(Clone, Copy)]
enum Way {
    Accept,
    /// As descriptors, one a message.
    Receive,
}

impl Way {
    fn take(self, handle: &Handle) -> io::Result<(Handle, Addr)> {
        let Way::Receive = self else { return handle.accept() };
        // haproxy sends two.
        let mut bytes = [0; 16];
        let (n, fds) = lb_sys::fds::receive(handle.fd().ok_or(io::ErrorKind::Unsupported)?, &mut bytes)?;
        match fds.into_iter().next() {
            Some(fd) => {
                process::set_nonblocking(&fd)?;
                Ok((Handle::Sys(fd), Addr::Unnamed))
            }
            None if n == 0 => Err(io::ErrorKind::UnexpectedEof.into()),
            None => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

impl Listener {
    /// Takes an open listening socket into the loop.
    ///
    /// # Errors
    /// Those of `fcntl(2)`.
    pub fn new(rt: &Rt, fd: OwnedFd) -> io::Result<Listener> {
        process::set_nonblocking(&fd)?;
        Ok(Listener(Source::shared(rt, Handle::Sys(fd)), Way::Accept))
    }

    /// Takes one end of a connected UNIX socket into the loop, over which connections come as descriptors, one a message. A message without
    /// one is as a connection that was given up ([`io::ErrorKind::ConnectionAborted`]); the end of the channel is told by
    /// [`io::ErrorKind::UnexpectedEof`].
    ///
    /// # Errors
    /// Those of `fcntl(2)`.
    pub fn receiving(rt: &Rt, fd: OwnedFd) -> io::Result<Listener> {
        process::set_nonblocking(&fd)?;
        Ok(Listener(Source::shared(rt, Handle::Sys(fd)), Way::Receive))
    }

    pub(crate) fn from_handle(rt: &Rt, handle: Handle) -> Listener {
        Listener(Source::shared(rt, handle), Way::Accept)
    }

    /// Opens a listening socket in this loop: of the kernel or of the simulator.
    ///
    /// # Errors
    /// As [`Bind::open`].
    pub fn bind(rt: &Rt, addr: &Addr, bind: &Bind) -> io::Result<Listener> {
        let handle = rt.driver().borrow().open(addr, Kind::Stream)?;
        for option in &bind.options {
            handle.apply(option)?;
        }
        handle.bind(addr)?;
        handle.listen(bind.backlog)?;
        Ok(Listener::from_handle(rt, handle))
    }

    /// Ready when a connection may be waiting.
    ///
    /// # Errors
    /// The reactor has no room for the descriptor.
    pub fn poll_readable(&self) -> Poll<io::Result<()>> {
        self.0.poll_ready(Dir::Read)
    }

    /// Accepts one connection.
    ///
    /// # Errors
    /// `ECONNABORTED` (try again); `EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`: no room now.
    pub fn poll_accept(&self) -> Poll<io::Result<(Socket, Addr)>> {
        let mut accepted = None;
        let polled = self.0.poll_io(Dir::Read, |h| {
            accepted = Some(self.1.take(h)?);
            Ok((1, false))
        });
        match (polled, accepted) {
            (Poll::Ready(Ok(_)), Some((handle, addr))) => Poll::Ready(Ok((Socket::new(&self.0.rt, handle), addr))),
            (Poll::Ready(Err(e)), _) => Poll::Ready(Err(e)),
            _ => Poll::Pending,
        }
    }

    /// As [`Listener::poll_accept`], for another thread's loop, which takes the connection in by [`Socket::from_fd`].
    ///
    /// # Errors
    /// As there; `Unsupported` in the simulator, whose connections stay in their loop.
    pub fn poll_accept_fd(&self) -> Poll<io::Result<(OwnedFd, Addr)>> {
        let mut accepted = None;
        let polled = self.0.poll_io(Dir::Read, |h| {
            accepted = Some(self.1.take(h)?);
            Ok((1, false))
        });
        match (polled, accepted) {
            (Poll::Ready(Ok(_)), Some((handle, addr))) => Poll::Ready(handle.into_fd().map(|fd| (fd, addr))),
            (Poll::Ready(Err(e)), _) => Poll::Ready(Err(e)),
            _ => Poll::Pending,
        }
    }

    /// Accepts what waits, whatever the last event said; for the last look before the socket is closed.
    ///
    /// # Errors
    /// `EAGAIN` when nothing waits; else as [`Listener::poll_accept`].
    pub fn accept_now(&self) -> io::Result<(Socket, Addr)> {
        let (handle, addr) = self.1.take(&self.0.handle)?;
        Ok((Socket::new(&self.0.rt, handle), addr))
    }

    /// Stops listening and keeps the socket: another process may bind the address meanwhile. [`Listener::resume`] goes on.
    ///
    /// # Errors
    /// Those of `shutdown(2)`; `Unsupported` in the simulator.
    pub fn pause(&self) -> io::Result<()> {
        socket::stop_listening(self.fd()?)
    }

    /// Listens again, with a queue of `backlog`.
    ///
    /// # Errors
    /// `EADDRINUSE` when somebody else has the address now; `Unsupported` in the simulator.
    pub fn resume(&self, backlog: u32) -> io::Result<()> {
        socket::listen(self.fd()?, backlog)
    }

    fn fd(&self) -> io::Result<BorrowedFd<'_>> {
        self.0.handle.fd().ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<Addr> {
        self.0.handle.local_addr()
    }
}
