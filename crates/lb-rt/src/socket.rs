//! Stream sockets, TCP and UNIX. `poll_io` is the one place that owns readiness: everything that reads, writes or splices goes
//! through it.
//!
//! All methods are for the task that is being polled: it is woken when the answer may have changed.

use crate::driver::Handle;
use crate::meter::Meter;
use crate::pipes::PooledPipe;
use crate::reactor::{Dir, IoSlot, flag};
use crate::{Rt, TaskKey};
use lb_sys::socket::{Kind, SockOpt};
use lb_sys::{Addr, Channel};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

/// A descriptor with its place in the reactor.
pub(crate) struct Source {
    pub rt: Rt,
    pub handle: Handle,
    io: Rc<IoSlot>,
    /// The open file may live on in another descriptor: epoll has to be told when this one goes.
    shared: bool,
}

impl Source {
    pub fn new(rt: &Rt, handle: Handle) -> Source {
        let io = rt.io().borrow_mut().insert();
        Source { rt: rt.clone(), handle, io, shared: false }
    }

    /// As [`Source::new`], for a descriptor of which others may hold a duplicate (listeners, signals): epoll watches the open
    /// file and not the number, so closing ours alone would leave it watched.
    pub fn shared(rt: &Rt, handle: Handle) -> Source {
        Source { rt: rt.clone(), handle, io: rt.io().borrow_mut().insert(), shared: true }
    }

    #[cold]
    fn register(&self) -> io::Result<()> {
        self.rt.driver().borrow().register(&self.handle, self.io.token)?;
        self.io.set_registered();
        Ok(())
    }

    /// Waits for an edge. The first wait of a descriptor registers it: epoll then reports what is already there.
    #[inline]
    fn wait(&self, dir: Dir, task: TaskKey) -> io::Result<()> {
        self.io.wait(dir, task);
        if self.io.registered() { Ok(()) } else { self.register() }
    }

    /// Runs `op` when the descriptor may be ready. `op` says how many bytes it moved and whether that was less than it asked
    /// for; `EAGAIN` waits.
    #[inline]
    pub fn poll_io(&self, dir: Dir, op: impl FnOnce(&Handle) -> io::Result<(usize, bool)>) -> Poll<io::Result<usize>> {
        if !self.rt.within_budget() {
            return Poll::Pending;
        }
        if self.io.ready(dir) {
            match op(&self.handle) {
                Ok((n, short)) => {
                    self.rt.charge(n);
                    if short {
                        self.io.short(dir);
                    }
                    return Poll::Ready(Ok(n));
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.io.refused(dir),
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
        match self.wait(dir, self.rt.current()) {
            Ok(()) => Poll::Pending,
            Err(e) => Poll::Ready(Err(e)),
        }
    }

    /// Ready when a call in this direction may get somewhere.
    #[inline]
    pub fn poll_ready(&self, dir: Dir) -> Poll<io::Result<()>> {
        if self.io.ready(dir) {
            return Poll::Ready(Ok(()));
        }
        match self.wait(dir, self.rt.current()) {
            Ok(()) => Poll::Pending,
            Err(e) => Poll::Ready(Err(e)),
        }
    }

    fn flags(&self) -> u8 {
        self.io.flags()
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // Closing the descriptor, which follows, also takes it out of epoll, if it is the file's only one.
        if self.shared && self.io.registered() {
            self.rt.driver().borrow().deregister(&self.handle);
        }
        self.rt.io().borrow_mut().remove(self.io.token);
    }
}

/// Copies a little from a socket into an empty pipe: for bytes at the urgent mark, and to tell the end from the mark.
#[cold]
fn copy_into(from: &Handle, pipe: &mut PooledPipe, len: usize) -> io::Result<usize> {
    // An empty pipe takes a page in one piece (PIPE_BUF, pipe(7)).
    let mut page = [0; 4096];
    let len = len.min(page.len());
    match from.recv(&mut page[..len])? {
        0 => Ok(0),
        n => pipe
            .raw()
            .write(&page[..n])
            .and_then(|written| if written == n { Ok(n) } else { Err(io::Error::other("an empty pipe took less than a page")) }),
    }
}

/// How a splice from a socket ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spliced {
    /// So many bytes are in the pipe.
    Moved(usize),
    /// The pipe takes no more; the socket may hold further bytes.
    PipeFull,
    /// The peer has closed its sending side.
    Eof,
}

/// A connected stream socket.
pub struct Socket {
    source: Source,
    meter: Option<Arc<Meter>>,
}

impl Socket {
    pub(crate) fn new(rt: &Rt, handle: Handle) -> Socket {
        Socket { source: Source::new(rt, handle), meter: None }
    }

    /// Has what is read and written from now on counted by `meter`, whose sockets are all of this thread.
    pub fn set_meter(&mut self, meter: &Arc<Meter>) {
        self.meter = Some(meter.clone());
    }

    /// Has the bytes counted that a call has moved; gives back how many they were.
    #[inline]
    fn metered(&self, n: usize, note: fn(&Meter, usize)) -> usize {
        if let Some(meter) = &self.meter {
            note(meter, n);
        }
        n
    }

    /// Starts a connection to `addr`, from `local` if given, with `options` set before.
    ///
    /// # Errors
    /// `EMFILE`; `ECONNREFUSED`, `ENETUNREACH` and the like when they are known at once; `EAGAIN` for a UNIX listener whose
    /// queue is full.
    pub fn connect(rt: &Rt, addr: &Addr, local: Option<&Addr>, options: &[SockOpt]) -> io::Result<Socket> {
        Self::connect_with(rt, addr, local, options, &[])
    }

    /// As [`Socket::connect`], with options that may be refused: the connection is made without them then.
    ///
    /// # Errors
    /// As [`Socket::connect`].
    pub fn connect_with(rt: &Rt, addr: &Addr, local: Option<&Addr>, options: &[SockOpt], wishes: &[SockOpt]) -> io::Result<Socket> {
        if let Addr::Over(channel) = addr {
            return Socket::pass(rt, channel);
        }
        let handle = rt.driver().borrow().open(addr, Kind::Stream)?;
        for option in options {
            handle.apply(option)?;
        }
        for option in wishes {
            let _ = handle.apply(option);
        }
        if let Some(local) = local {
            handle.bind(local)?;
        }
        let connected = handle.connect(addr)?;
        let socket = Socket::new(rt, handle);
        if !connected {
            socket.source.io.not_ready();
        }
        Ok(socket)
    }

    /// Makes a pair of connected sockets and passes one of them to whoever has the other end of `channel`, with two bytes as haproxy does.
    fn pass(rt: &Rt, channel: &Channel) -> io::Result<Socket> {
        let (ours, theirs) = lb_sys::fds::pair()?;
        lb_sys::process::set_nonblocking(&ours)?;
        lb_sys::fds::send(channel.as_fd(), &[0; 2], &[theirs.as_fd()])?;
        Ok(Socket::new(rt, Handle::Sys(ours)))
    }

    /// Takes a connection into this loop that came from another one ([`Socket::detach`],
    /// [`crate::Listener::poll_accept_fd`]). The descriptor must be non-blocking.
    pub fn from_fd(rt: &Rt, fd: OwnedFd) -> Socket {
        Socket::new(rt, Handle::Sys(fd))
    }

    /// Ends this loop's watch over the connection and gives a descriptor of it for another loop. What is left to do with this
    /// socket is to drop it; the connection goes on as long as the descriptor.
    ///
    /// # Errors
    /// `EMFILE`; `Unsupported` in the simulator.
    pub fn detach(&self) -> io::Result<OwnedFd> {
        let fd = self.source.handle.fd().ok_or(io::ErrorKind::Unsupported)?.try_clone_to_owned()?;
        // epoll watches the open file, which lives on.
        self.source.rt.driver().borrow().deregister(&self.source.handle);
        Ok(fd)
    }

    /// Waits for the connection to stand.
    ///
    /// # Errors
    /// `ECONNREFUSED`, `ETIMEDOUT`, `EHOSTUNREACH`, … of the connect.
    pub fn poll_connected(&self) -> Poll<io::Result<()>> {
        match self.source.poll_ready(Dir::Write) {
            Poll::Ready(Ok(())) if self.source.flags() & flag::ERROR != 0 => {
                let error = self.source.handle.take_error().and_then(|e| e.map_or(Ok(()), Err));
                // Connected and closed again by the peer is still connected.
                Poll::Ready(error)
            }
            other => other,
        }
    }

    /// [`Socket::poll_connected`] as a future.
    ///
    /// # Errors
    /// As there.
    pub async fn connected(&self) -> io::Result<()> {
        poll_fn(|_| self.poll_connected()).await
    }

    /// Reads. `Ok(0)`: end of the peer's data.
    ///
    /// # Errors
    /// `ECONNRESET`, `ETIMEDOUT`, …
    #[inline]
    pub fn poll_read(&self, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let room = buf.len();
        debug_assert!(room != 0, "an empty read looks like the end");
        self.source.poll_io(Dir::Read, |h| h.recv(buf).map(|n| (self.metered(n, Meter::note_received), n < room && n != 0)))
    }

    /// Reads without taking.
    ///
    /// # Errors
    /// As [`Socket::poll_read`].
    pub fn poll_peek(&self, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.source.poll_io(Dir::Read, |h| h.peek(buf).map(|n| (n, false)))
    }

    /// True when there is nothing to read as far as is known: no data, no end, no error. Asks the kernel only where events
    /// leave it open, and then also when the task's share of this turn is used up. The task is woken when something comes.
    pub fn is_silent(&self) -> bool {
        let io = &self.source.io;
        if io.ready(Dir::Read) {
            match self.source.handle.peek(&mut [0]) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => io.refused(Dir::Read),
                _ => return false,
            }
        }
        self.source.wait(Dir::Read, self.source.rt.current()).is_ok()
    }

    /// True when there is something to read at this moment, data, end or an error, whether an event has told it or not: for the
    /// last look before the socket is closed.
    pub fn has_arrived(&self) -> bool {
        !matches!(self.source.handle.peek(&mut [0]), Err(e) if e.kind() == io::ErrorKind::WouldBlock)
    }

    /// Ready when a read may get somewhere: data, end, or an error.
    ///
    /// # Errors
    /// The reactor has no room for the descriptor.
    #[inline]
    pub fn poll_readable(&self) -> Poll<io::Result<()>> {
        self.source.poll_ready(Dir::Read)
    }

    /// [`Socket::poll_read`] as a future.
    ///
    /// # Errors
    /// As there.
    pub async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        poll_fn(|_| self.poll_read(buf)).await
    }

    /// Writes what fits. `more`: further bytes follow at once.
    ///
    /// # Errors
    /// `EPIPE`, `ECONNRESET`, …
    #[inline]
    pub fn poll_write(&self, buf: &[u8], more: bool) -> Poll<io::Result<usize>> {
        self.source.poll_io(Dir::Write, |h| h.send(buf, more).map(|n| (self.metered(n, Meter::note_sent), n < buf.len())))
    }

    /// Writes several pieces with one call.
    ///
    /// # Errors
    /// As [`Socket::poll_write`].
    pub fn poll_write_vectored(&self, bufs: &[IoSlice<'_>], more: bool) -> Poll<io::Result<usize>> {
        let len: usize = bufs.iter().map(|b| b.len()).sum();
        self.source.poll_io(Dir::Write, |h| h.send_vectored(bufs, more).map(|n| (self.metered(n, Meter::note_sent), n < len)))
    }

    /// Writes bytes (at least one) with descriptors beside the first of them, at most [`lb_sys::fds::MAX_FDS`]: UNIX sockets only.
    /// Descriptors and first byte go together.
    ///
    /// # Errors
    /// As [`Socket::poll_write`]; `Unsupported` in the simulator.
    pub fn poll_send_fds(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Poll<io::Result<usize>> {
        self.source.poll_io(Dir::Write, |h| {
            let fd = h.fd().ok_or(io::ErrorKind::Unsupported)?;
            lb_sys::fds::send(fd, bytes, fds).map(|n| (n, n < bytes.len()))
        })
    }

    /// Reads bytes and the descriptors that came with them: UNIX sockets only. No bytes: the peer has closed.
    ///
    /// # Errors
    /// As [`Socket::poll_read`]; `Unsupported` in the simulator.
    pub fn poll_receive_fds(&self, buf: &mut [u8]) -> Poll<io::Result<(usize, Vec<OwnedFd>)>> {
        let mut fds = Vec::new();
        let polled = self.source.poll_io(Dir::Read, |h| {
            let fd = h.fd().ok_or(io::ErrorKind::Unsupported)?;
            let (n, received) = lb_sys::fds::receive(fd, buf)?;
            fds = received;
            // A read stops at the end of a message with descriptors: what is behind it has no edge of its own.
            Ok((n, false))
        });
        polled.map(|read| read.map(|n| (n, fds)))
    }

    /// Writes all of `buf`.
    ///
    /// # Errors
    /// As [`Socket::poll_write`].
    pub async fn write_all(&self, mut buf: &[u8]) -> io::Result<()> {
        while !buf.is_empty() {
            let n = poll_fn(|_| self.poll_write(buf, false)).await?;
            buf = &buf[n..];
        }
        Ok(())
    }

    /// Moves up to `len` bytes into `pipe`, which grows when it is found half full.
    ///
    /// `Pending` means that the socket is empty (and `pipe` too), or that the task's share of this turn is used up.
    ///
    /// # Errors
    /// As [`Socket::poll_read`]; `EINVAL` where the kernel cannot splice.
    pub fn poll_fill(&self, pipe: &mut PooledPipe, len: usize) -> Poll<io::Result<Spliced>> {
        if len == 0 {
            return Poll::Ready(Ok(Spliced::Moved(0)));
        }
        let mut full = false;
        let polled = self.source.poll_io(Dir::Read, |h| match pipe.raw().fill(h, len) {
            // EAGAIN with bytes in the pipe may mean that the pipe is full: the socket stays readable.
            Err(e) if e.kind() == io::ErrorKind::WouldBlock && pipe.held() != 0 => {
                full = true;
                Ok((0, false))
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock && self.source.flags() & flag::PRIORITY == 0 => Err(e),
            // A splice never passes the urgent mark: there it says EAGAIN, or 0 when the peer has closed behind it.
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => copy_into(h, pipe, len).map(|n| (n, false)),
            Ok(0) if pipe.held() == 0 => copy_into(h, pipe, len).map(|n| (n, false)),
            Ok(0) => {
                full = h.peek(&mut [0])? != 0;
                Ok((0, false))
            }
            other => other.map(|n| (n, false)),
        });
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(e)) => Poll::Ready(Err(e)),
            Poll::Ready(Ok(0)) if full => Poll::Ready(Ok(Spliced::PipeFull)),
            Poll::Ready(Ok(0)) => Poll::Ready(Ok(Spliced::Eof)),
            Poll::Ready(Ok(n)) => {
                pipe.moved_in(self.metered(n, Meter::note_spliced_in));
                if pipe.held() >= pipe.capacity() / 2 {
                    pipe.grow();
                }
                Poll::Ready(Ok(Spliced::Moved(n)))
            }
        }
    }

    /// Moves what `pipe` holds, at most `len` bytes, to the socket; 0 when it holds nothing.
    ///
    /// # Errors
    /// As [`Socket::poll_write`].
    pub fn poll_drain(&self, pipe: &mut PooledPipe, len: usize, more: bool) -> Poll<io::Result<usize>> {
        let len = len.min(pipe.held());
        if len == 0 {
            return Poll::Ready(Ok(0));
        }
        let polled = self.source.poll_io(Dir::Write, |h| pipe.raw().drain(h, len, more).map(|n| (n, false)));
        if let Poll::Ready(Ok(n)) = polled {
            pipe.moved_out(self.metered(n, Meter::note_spliced_out));
        }
        polled
    }

    /// True when the last event said that the peer has closed its side or that the connection is broken.
    pub fn hung_up(&self) -> bool {
        self.source.flags() & (flag::READ_CLOSED | flag::ERROR) != 0
    }

    /// True when the last event said that the connection is broken (reset, or closed in both directions).
    pub fn is_broken(&self) -> bool {
        self.source.flags() & flag::ERROR != 0
    }

    /// Arranges for the current task to be polled when data, the end or an error comes, without reading anything.
    pub fn wait_for_event(&self) {
        // A descriptor that epoll refuses is found broken by the next call on it.
        let _ = self.source.wait(Dir::Read, self.source.rt.current());
    }

    /// Lets `task` be woken by what comes next: for a connection that waits idle in a pool.
    ///
    /// # Errors
    /// The reactor has no room for the descriptor.
    pub fn wake_on_event(&self, task: TaskKey) -> io::Result<()> {
        self.source.wait(Dir::Read, task)
    }

    /// True when a read would not have to wait for an event, as far as is known.
    pub fn maybe_readable(&self) -> bool {
        self.source.flags() & (flag::READ | flag::STICKY) != 0
    }

    /// Registers with the reactor now, so that events are seen although nobody reads.
    ///
    /// # Errors
    /// `ENOSPC`, `ENOMEM`.
    pub fn watch(&self) -> io::Result<()> {
        if self.source.io.registered() { Ok(()) } else { self.source.register() }
    }

    /// Closes the sending side.
    ///
    /// # Errors
    /// `ENOTCONN` when the peer has reset the connection.
    pub fn shutdown_write(&self) -> io::Result<()> {
        self.source.handle.shutdown_write()
    }

    /// Makes closing reset the connection, so that the peer does not take what it got for complete.
    pub fn reset_on_close(&self) {
        // Fails only on a socket that is gone already.
        let _ = self.source.handle.apply(&SockOpt::LingerReset);
    }

    /// Sets an option.
    ///
    /// # Errors
    /// Those of `setsockopt(2)`.
    pub fn apply(&self, option: &SockOpt) -> io::Result<()> {
        self.source.handle.apply(option)
    }

    /// The error that waits on the socket, which this takes.
    pub fn take_error(&self) -> Option<io::Error> {
        self.source.handle.take_error().unwrap_or_else(Some)
    }

    /// The local address.
    ///
    /// # Errors
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<Addr> {
        self.source.handle.local_addr()
    }

    /// The address that an IPv4 client connected to before a rule of the kernel sent the connection here; `None` where none
    /// did, and in the simulator.
    pub fn original_dst(&self) -> Option<Addr> {
        lb_sys::socket::original_dst(self.source.handle.fd()?).ok()
    }

    /// The headers of the packet that a connection began with, where its listener has them saved; only the first call has them. Never in
    /// the simulator.
    pub fn saved_syn(&self) -> Option<Vec<u8>> {
        lb_sys::socket::saved_syn(self.source.handle.fd()?).ok().filter(|syn| !syn.is_empty())
    }

    /// What the kernel knows of a TCP connection; `None` for other sockets, and in the simulator.
    pub fn tcp_info(&self) -> Option<lb_sys::socket::TcpInfo> {
        lb_sys::socket::tcp_info(self.source.handle.fd()?).ok()
    }

    /// The peer's address.
    ///
    /// # Errors
    /// `ENOTCONN`.
    pub fn peer_addr(&self) -> io::Result<Addr> {
        self.source.handle.peer_addr()
    }

    /// The kernel's descriptor; `None` in the simulator.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.source.handle.fd()
    }

    #[cfg(feature = "sim")]
    pub(crate) fn sim_id(&self) -> Option<u32> {
        match &self.source.handle {
            Handle::Sim(h) => Some(h.id()),
            Handle::Sys(_) => None,
        }
    }

    /// The executor that the socket belongs to.
    pub fn rt(&self) -> &Rt {
        &self.source.rt
    }
}
