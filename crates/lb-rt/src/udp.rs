//! Datagram sockets, UDP and UNIX.

use crate::Rt;
use crate::driver::Handle;
use crate::reactor::Dir;
use crate::socket::Source;
use lb_sys::Addr;
use lb_sys::socket::Kind;
use std::io;
use std::os::fd::OwnedFd;
use std::task::Poll;

/// A datagram socket.
pub struct Udp(Source);

impl Udp {
    /// A socket bound to `addr`.
    ///
    /// # Errors
    /// `EADDRINUSE`, `EMFILE`, …
    pub fn bind(rt: &Rt, addr: &Addr) -> io::Result<Udp> {
        let handle = rt.driver().borrow().open(addr, Kind::Datagram)?;
        handle.bind(addr)?;
        Ok(Udp(Source::new(rt, handle)))
    }

    /// Takes an open socket into the loop.
    ///
    /// # Errors
    /// Those of `fcntl(2)`.
    pub fn from_fd(rt: &Rt, fd: OwnedFd) -> io::Result<Udp> {
        lb_sys::process::set_nonblocking(&fd)?;
        Ok(Udp(Source::new(rt, Handle::Sys(fd))))
    }

    /// Receives one datagram; what does not fit `buf` is cut off.
    ///
    /// # Errors
    /// `ECONNREFUSED` of an earlier send, …
    pub fn poll_recv_from(&self, buf: &mut [u8]) -> Poll<io::Result<(usize, Addr)>> {
        let mut from = Addr::Unnamed;
        let polled = self.0.poll_io(Dir::Read, |h| {
            let (n, addr) = h.recv_from(buf)?;
            from = addr;
            Ok((n, false))
        });
        polled.map_ok(|n| (n, from))
    }

    /// Sends one datagram.
    ///
    /// # Errors
    /// `EMSGSIZE`, `ECONNREFUSED`, …
    pub fn poll_send_to(&self, buf: &[u8], addr: &Addr) -> Poll<io::Result<usize>> {
        self.0.poll_io(Dir::Write, |h| h.send_to(buf, addr).map(|n| (n, false)))
    }

    /// Sends one datagram now or not at all, whatever is believed of the socket: a UNIX socket whose receiver's queue was full is
    /// not told when it has room again.
    ///
    /// # Errors
    /// `EAGAIN`: no room; `EMSGSIZE`, `ECONNREFUSED`, `ENOENT`, …
    pub fn try_send_to(&self, buf: &[u8], addr: &Addr) -> io::Result<usize> {
        self.0.handle.send_to(buf, addr)
    }

    /// The local address.
    ///
    /// # Errors
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<Addr> {
        self.0.handle.local_addr()
    }
}
