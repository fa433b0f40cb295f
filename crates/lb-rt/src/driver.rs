//! What stands below the reactor: the kernel through mio, or the simulator. Called by executor.rs and socket.rs.
//! Owns clocks, waiting, descriptors, pipes. `Sim` exists with the feature `sim` only.

use crate::reactor::{Readiness, flag};
use lb_sys::socket::{self, Kind, SockOpt};
use lb_sys::{Addr, Pipe};
use mio::unix::SourceFd;
use mio::{Events, Interest, Token};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant, SystemTime};

#[cfg(feature = "sim")]
use crate::sim::{SimDriver, SimHandle, SimPipe};

/// Events taken per turn; more wait in the kernel for the next one.
const EVENTS: usize = 1024;

pub(crate) enum Driver {
    Sys {
        poll: mio::Poll,
        events: Events,
    },
    #[cfg(feature = "sim")]
    Sim(SimDriver),
}

impl Driver {
    /// The token of the inbox's wake-up: no descriptor's, since their generations stay below.
    pub const INBOX: u64 = u64::MAX;

    pub fn sys() -> io::Result<(Driver, mio::Waker)> {
        let poll = mio::Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), Token(Self::INBOX as usize))?;
        Ok((Driver::Sys { poll, events: Events::with_capacity(EVENTS) }, waker))
    }

    /// The time as an `Instant`, and as the number that [`Driver::nanos`] then shows.
    #[allow(clippy::disallowed_methods)] // the one place that reads the monotonic clock
    pub fn now(&self) -> (Instant, u64) {
        match self {
            Driver::Sys { .. } => (Instant::now(), self.nanos()),
            #[cfg(feature = "sim")]
            Driver::Sim(sim) => (sim.now(), sim.nanos()),
        }
    }

    /// Nanoseconds of the monotonic clock, from no moment in particular.
    #[inline]
    #[allow(clippy::disallowed_methods)] // as above
    pub fn nanos(&self) -> u64 {
        match self {
            Driver::Sys { .. } => lb_sys::clock::nanos(),
            #[cfg(feature = "sim")]
            Driver::Sim(sim) => sim.nanos(),
        }
    }

    #[allow(clippy::disallowed_methods)] // the one place that reads the wall clock
    pub fn wall(&self) -> SystemTime {
        match self {
            Driver::Sys { .. } => SystemTime::now(),
            #[cfg(feature = "sim")]
            Driver::Sim(sim) => sim.wall(),
        }
    }

    /// A number by chance.
    pub fn random(&self) -> u64 {
        match self {
            // std seeds each hasher from the kernel's chance.
            Driver::Sys { .. } => RandomState::new().build_hasher().finish(),
            #[cfg(feature = "sim")]
            Driver::Sim(sim) => sim.random(),
        }
    }

    /// Waits for events as long as `timeout` (`None`: for ever), and hands each to `event`.
    pub fn wait(&mut self, timeout: Option<Duration>, mut event: impl FnMut(u64, Readiness)) -> io::Result<()> {
        match self {
            Driver::Sys { poll, events } => {
                match poll.poll(events, timeout) {
                    Err(e) if e.kind() != io::ErrorKind::Interrupted => return Err(e),
                    _ => {}
                }
                for e in events.iter() {
                    let bit = |on: bool, bit: u8| if on { bit } else { 0 };
                    let flags = bit(e.is_readable(), flag::READ)
                        | bit(e.is_writable(), flag::WRITE)
                        | bit(e.is_read_closed(), flag::READ_CLOSED)
                        | bit(e.is_error() || e.is_write_closed(), flag::ERROR)
                        | bit(e.is_priority(), flag::PRIORITY);
                    event(e.token().0 as u64, Readiness { flags });
                }
                Ok(())
            }
            // Waiting is the world's: it runs who has something to do.
            #[cfg(feature = "sim")]
            Driver::Sim(sim) => {
                for (token, flags) in sim.take_events() {
                    event(token, Readiness { flags });
                }
                Ok(())
            }
        }
    }

    /// Watches a descriptor, edge-triggered, in both directions, until it is closed.
    pub fn register(&self, handle: &Handle, token: u64) -> io::Result<()> {
        match (self, handle) {
            (Driver::Sys { poll, .. }, Handle::Sys(fd)) => {
                let interest = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
                poll.registry().register(&mut SourceFd(&fd.as_raw_fd()), Token(token as usize), interest)
            }
            #[cfg(feature = "sim")]
            (Driver::Sim(_), Handle::Sim(handle)) => {
                handle.register(token);
                Ok(())
            }
            #[cfg(feature = "sim")]
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Ends the watch over a descriptor whose open file may stay open elsewhere.
    pub fn deregister(&self, handle: &Handle) {
        match (self, handle) {
            // Fails only when it was not watched.
            (Driver::Sys { poll, .. }, Handle::Sys(fd)) => drop(poll.registry().deregister(&mut SourceFd(&fd.as_raw_fd()))),
            // Simulated descriptors have no duplicates.
            #[cfg(feature = "sim")]
            _ => {}
        }
    }

    pub fn open(&self, addr: &Addr, kind: Kind) -> io::Result<Handle> {
        match self {
            Driver::Sys { .. } => socket::open(addr, kind).map(Handle::Sys),
            #[cfg(feature = "sim")]
            Driver::Sim(sim) => sim.open(addr, kind).map(Handle::Sim),
        }
    }

    pub fn pipe(&self) -> io::Result<RawPipe> {
        match self {
            Driver::Sys { .. } => Pipe::new().map(RawPipe::Sys),
            #[cfg(feature = "sim")]
            Driver::Sim(sim) => sim.pipe().map(RawPipe::Sim),
        }
    }
}

/// One open descriptor.
pub(crate) enum Handle {
    Sys(OwnedFd),
    #[cfg(feature = "sim")]
    Sim(SimHandle),
}

impl Handle {
    pub fn bind(&self, addr: &Addr) -> io::Result<()> {
        match self {
            Handle::Sys(fd) => socket::bind(fd.as_fd(), addr),
            #[cfg(feature = "sim")]
            Handle::Sim(h) => h.bind(addr),
        }
    }

    pub fn listen(&self, backlog: u32) -> io::Result<()> {
        match self {
            Handle::Sys(fd) => socket::listen(fd.as_fd(), backlog),
            #[cfg(feature = "sim")]
            Handle::Sim(h) => h.listen(backlog),
        }
    }

    pub fn accept(&self) -> io::Result<(Handle, Addr)> {
        match self {
            Handle::Sys(fd) => socket::accept(fd.as_fd()).map(|(fd, addr)| (Handle::Sys(fd), addr)),
            #[cfg(feature = "sim")]
            Handle::Sim(h) => h.accept().map(|(h, addr)| (Handle::Sim(h), addr)),
        }
    }

    pub fn connect(&self, addr: &Addr) -> io::Result<bool> {
        match self {
            Handle::Sys(fd) => socket::connect(fd.as_fd(), addr),
            #[cfg(feature = "sim")]
            Handle::Sim(h) => h.connect(addr),
        }
    }

    pub fn apply(&self, option: &SockOpt) -> io::Result<()> {
        match self {
            Handle::Sys(fd) => socket::apply(fd.as_fd(), option),
            #[cfg(feature = "sim")]
            Handle::Sim(h) => h.apply(option),
        }
    }

    #[inline]
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Handle::Sys(fd) => socket::recv(fd.as_fd(), buf),
            #[cfg(feature = "sim")]
            Handle::Sim(h) => h.recv(buf, false),
        }
    }

    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Handle::Sys(fd) => socket::peek(fd.as_fd(), buf),
            #[cfg(feature = "sim")]
            Handle::Sim(h) => h.recv(buf, true),
        }
    }

    #[inline]
    pub fn send(&self, buf: &[u8], more: bool) -> io::Result<usize> {
        match self {
            Handle::Sys(fd) => socket::send(fd.as_fd(), buf, more),
            #[cfg(feature = "sim")]
            Handle::Sim(h) => h.send(buf, more),
        }
    }

    pub fn send_vectored(&self, bufs: &[IoSlice<'_>], more: bool) -> io::Result<usize> {
        match self {
            Handle::Sys(fd) => socket::send_vectored(fd.as_fd(), bufs, more),
            #[cfg(feature = "sim")]
            Handle::Sim(h) => h.send_vectored(bufs, more),
        }
    }

    pub fn send_to(&self, buf: &[u8], addr: &Addr) -> io::Result<usize> {
        match self {
            Handle::Sys(fd) => socket::send_to(fd.as_fd(), buf, addr),
            #[cfg(feature = "sim")]
            Handle::Sim(h) => h.send_to(buf, addr),
        }
    }

    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, Addr)> {
        match self {
            Handle::Sys(fd) => socket::recv_from(fd.as_fd(), buf),
            #[cfg(feature = "sim")]
            Handle::Sim(h) => h.recv_from(buf),
        }
    }

    pub fn shutdown_write(&self) -> io::Result<()> {
        match self {
            Handle::Sys(fd) => socket::shutdown_write(fd.as_fd()),
            #[cfg(feature = "sim")]
            Handle::Sim(h) => h.shutdown_write(),
        }
    }

    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        match self {
            Handle::Sys(fd) => socket::take_error(fd.as_fd()),
            #[cfg(feature = "sim")]
            Handle::Sim(h) => h.take_error(),
        }
    }

    pub fn local_addr(&self) -> io::Result<Addr> {
        match self {
            Handle::Sys(fd) => socket::local_addr(fd.as_fd()),
            #[cfg(feature = "sim")]
            Handle::Sim(h) => Ok(h.local_addr()),
        }
    }

    pub fn peer_addr(&self) -> io::Result<Addr> {
        match self {
            Handle::Sys(fd) => socket::peer_addr(fd.as_fd()),
            #[cfg(feature = "sim")]
            Handle::Sim(h) => h.peer_addr(),
        }
    }

    /// The descriptor itself; `Unsupported` where there is none.
    pub fn into_fd(self) -> io::Result<OwnedFd> {
        match self {
            Handle::Sys(fd) => Ok(fd),
            #[cfg(feature = "sim")]
            Handle::Sim(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// The kernel's descriptor, where there is one.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Handle::Sys(fd) => Some(fd.as_fd()),
            #[cfg(feature = "sim")]
            Handle::Sim(_) => None,
        }
    }
}

/// A pipe of the kernel or of the simulator.
pub(crate) enum RawPipe {
    Sys(Pipe),
    #[cfg(feature = "sim")]
    Sim(SimPipe),
}

impl RawPipe {
    pub fn capacity(&self) -> usize {
        match self {
            RawPipe::Sys(p) => p.capacity(),
            #[cfg(feature = "sim")]
            RawPipe::Sim(p) => p.capacity(),
        }
    }

    pub fn set_capacity(&mut self, bytes: usize) -> io::Result<usize> {
        match self {
            RawPipe::Sys(p) => p.set_capacity(bytes),
            #[cfg(feature = "sim")]
            RawPipe::Sim(p) => p.set_capacity(bytes),
        }
    }

    /// Socket → pipe.
    pub fn fill(&mut self, from: &Handle, len: usize) -> io::Result<usize> {
        match (self, from) {
            (RawPipe::Sys(p), Handle::Sys(fd)) => p.fill(fd.as_fd(), len),
            #[cfg(feature = "sim")]
            (RawPipe::Sim(p), Handle::Sim(h)) => p.fill(h.id(), len),
            #[cfg(feature = "sim")]
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Memory → pipe.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            RawPipe::Sys(p) => p.write(bytes),
            #[cfg(feature = "sim")]
            RawPipe::Sim(p) => p.write(bytes),
        }
    }

    /// Pipe → socket.
    pub fn drain(&mut self, to: &Handle, len: usize, more: bool) -> io::Result<usize> {
        match (self, to) {
            (RawPipe::Sys(p), Handle::Sys(fd)) => p.drain(fd.as_fd(), len, more),
            #[cfg(feature = "sim")]
            (RawPipe::Sim(p), Handle::Sim(h)) => p.drain(h.id(), len, more),
            #[cfg(feature = "sim")]
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}
