//! Sockets: creation, options, and the calls that move bytes. All sockets are non-blocking and close-on-exec.

use crate::addr::{Addr, RawAddr, family};
use crate::{once, retry};
use std::io::{self, IoSlice};
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Stream or datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `SOCK_STREAM`
    Stream,
    /// `SOCK_DGRAM`
    Datagram,
}

/// A new socket of the address's family.
///
/// # Errors
/// `EMFILE`, `ENFILE`, `EAFNOSUPPORT`.
pub fn open(addr: &Addr, kind: Kind) -> io::Result<OwnedFd> {
    let ty = match kind {
        Kind::Stream => libc::SOCK_STREAM,
        Kind::Datagram => libc::SOCK_DGRAM,
    };
    // SAFETY: no memory is involved; on success the descriptor is new and ours.
    unsafe {
        let fd = once(libc::socket(family(addr), ty | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Binds to a local address.
///
/// # Errors
/// `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`.
pub fn bind(fd: BorrowedFd<'_>, addr: &Addr) -> io::Result<()> {
    let raw = RawAddr::new(addr)?;
    // SAFETY: pointer and length describe `raw`, which lives over the call.
    once(unsafe { libc::bind(fd.as_raw_fd(), raw.as_ptr(), raw.len) }).map(drop)
}

/// Starts listening with a queue of `backlog` (the kernel caps it at `net.core.somaxconn`).
///
/// # Errors
/// `EADDRINUSE`.
pub fn listen(fd: BorrowedFd<'_>, backlog: u32) -> io::Result<()> {
    let backlog = libc::c_int::try_from(backlog).unwrap_or(libc::c_int::MAX);
    // SAFETY: no memory is involved.
    once(unsafe { libc::listen(fd.as_raw_fd(), backlog) }).map(drop)
}

/// Accepts one connection.
///
/// # Errors
/// `EAGAIN` when none waits, `ECONNABORTED` when the peer has left again, `EMFILE`/`ENFILE`/`ENOBUFS`/`ENOMEM` when there is no room.
pub fn accept(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, Addr)> {
    let mut raw = RawAddr::empty();
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: the storage is valid for writes of the length that `raw.len` says.
    let fd = retry(|| unsafe { libc::accept4(fd.as_raw_fd(), raw.as_mut_ptr(), &mut raw.len, flags) as libc::ssize_t })?;
    // SAFETY: accept4 succeeded: the descriptor is new and ours.
    Ok((unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) }, raw.get()))
}

/// Starts a connection. `Ok(true)`: established at once (UNIX); `Ok(false)`: under way, writable when decided.
///
/// # Errors
/// `ECONNREFUSED`, `ENETUNREACH`, `EADDRNOTAVAIL` (no local port left), `EAGAIN` (UNIX: the peer's queue is full), …
pub fn connect(fd: BorrowedFd<'_>, addr: &Addr) -> io::Result<bool> {
    let raw = RawAddr::new(addr)?;
    // SAFETY: pointer and length describe `raw`, which lives over the call.
    match once(unsafe { libc::connect(fd.as_raw_fd(), raw.as_ptr(), raw.len) }) {
        Ok(_) => Ok(true),
        Err(e) if e.raw_os_error() == Some(libc::EINPROGRESS) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Reads. `Ok(0)` with a non-empty buffer: the peer has closed its side.
///
/// # Errors
/// `EAGAIN` when nothing waits; `ECONNRESET`, `ETIMEDOUT`, …
#[inline]
pub fn recv(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    // SAFETY: pointer and length are those of `buf`.
    retry(|| unsafe { libc::recv(fd.as_raw_fd(), buf.as_mut_ptr().cast(), buf.len(), 0) })
}

/// Reads without taking.
///
/// # Errors
/// As [`recv`].
pub fn peek(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    // SAFETY: pointer and length are those of `buf`.
    retry(|| unsafe { libc::recv(fd.as_raw_fd(), buf.as_mut_ptr().cast(), buf.len(), libc::MSG_PEEK) })
}

/// Writes, never raising `SIGPIPE`. `more`: further bytes follow at once (`MSG_MORE`).
///
/// # Errors
/// `EAGAIN` when the socket is full (or still connecting); `EPIPE`, `ECONNRESET`, …
#[inline]
pub fn send(fd: BorrowedFd<'_>, buf: &[u8], more: bool) -> io::Result<usize> {
    let flags = libc::MSG_NOSIGNAL | if more { libc::MSG_MORE } else { 0 };
    // SAFETY: pointer and length are those of `buf`.
    retry(|| unsafe { libc::send(fd.as_raw_fd(), buf.as_ptr().cast(), buf.len(), flags) })
}

/// Writes several pieces with one call. As [`send`].
///
/// # Errors
/// As [`send`].
pub fn send_vectored(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>], more: bool) -> io::Result<usize> {
    let flags = libc::MSG_NOSIGNAL | if more { libc::MSG_MORE } else { 0 };
    // SAFETY: msghdr is plain data; all zero means no name, no control data.
    let mut msg: libc::msghdr = unsafe { mem::zeroed() };
    // IoSlice is ABI-compatible with iovec (std's documentation); sendmsg only reads through it.
    msg.msg_iov = bufs.as_ptr() as *mut libc::iovec;
    msg.msg_iovlen = bufs.len().min(libc::UIO_MAXIOV as usize) as _;
    // SAFETY: `msg` and the slices that it points to live over the call.
    retry(|| unsafe { libc::sendmsg(fd.as_raw_fd(), &msg, flags) })
}

/// Sends one datagram to `addr`.
///
/// # Errors
/// `EAGAIN`, `ECONNREFUSED`, `ENOENT`, `EMSGSIZE`, …
pub fn send_to(fd: BorrowedFd<'_>, buf: &[u8], addr: &Addr) -> io::Result<usize> {
    let raw = RawAddr::new(addr)?;
    // SAFETY: pointers and lengths are those of `buf` and `raw`.
    retry(|| unsafe { libc::sendto(fd.as_raw_fd(), buf.as_ptr().cast(), buf.len(), libc::MSG_NOSIGNAL, raw.as_ptr(), raw.len) })
}

/// Receives one datagram.
///
/// # Errors
/// `EAGAIN`, …
pub fn recv_from(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<(usize, Addr)> {
    let mut raw = RawAddr::empty();
    // SAFETY: pointer and length are those of `buf`; the address storage is valid for `raw.len` bytes.
    let n = retry(|| unsafe { libc::recvfrom(fd.as_raw_fd(), buf.as_mut_ptr().cast(), buf.len(), 0, raw.as_mut_ptr(), &mut raw.len) })?;
    Ok((n, raw.get()))
}

/// Closes the sending side (`SHUT_WR`).
///
/// # Errors
/// `ENOTCONN`.
pub fn shutdown_write(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: no memory is involved.
    once(unsafe { libc::shutdown(fd.as_raw_fd(), libc::SHUT_WR) }).map(drop)
}

/// What a listening socket listens on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listening {
    /// Where. A socket file is named as it was when the socket was made.
    pub addr: Addr,
    /// `IPV6_V6ONLY`
    pub v6only: bool,
    /// `SO_BINDTODEVICE`
    pub device: Option<String>,
    /// Connections or datagrams.
    pub kind: Kind,
}

/// What `fd` listens on; `None` when it is no socket that does. For datagrams that is a bound one that shares its address
/// (`SO_REUSEPORT`), which those that only send do not.
pub fn listening(fd: BorrowedFd<'_>) -> Option<Listening> {
    let (kind, sign) = match get_int(fd, libc::SOL_SOCKET, libc::SO_TYPE).ok()? {
        libc::SOCK_STREAM => (Kind::Stream, libc::SO_ACCEPTCONN),
        libc::SOCK_DGRAM => (Kind::Datagram, libc::SO_REUSEPORT),
        _ => return None,
    };
    if get_int(fd, libc::SOL_SOCKET, sign).ok()? == 0 {
        return None;
    }
    let addr = local_addr(fd).ok()?;
    if kind == Kind::Datagram && addr.ip().is_none_or(|ip| ip.port() == 0) {
        return None;
    }
    let v6only = addr.ip().is_some_and(|ip| ip.is_ipv6()) && get_int(fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY).is_ok_and(|only| only != 0);
    Some(Listening { addr, v6only, device: device(fd), kind })
}

fn device(fd: BorrowedFd<'_>) -> Option<String> {
    let mut name = [0u8; libc::IFNAMSIZ];
    let mut len = name.len() as libc::socklen_t;
    // SAFETY: pointer and length are those of `name`.
    let rc = unsafe { libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_BINDTODEVICE, name.as_mut_ptr().cast(), &mut len) };
    let end = name.iter().position(|b| *b == 0).filter(|end| rc == 0 && *end > 0)?;
    Some(String::from_utf8_lossy(&name[..end]).into_owned())
}

/// Stops listening without closing: what waits is reset, and another socket may bind the address. [`listen`] starts again.
///
/// # Errors
/// Those of `shutdown(2)`.
pub fn stop_listening(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: no memory is involved.
    once(unsafe { libc::shutdown(fd.as_raw_fd(), libc::SHUT_RD) }).map(drop)
}

/// Sends all new connections to that one of the sockets that share an address (`SO_REUSEPORT`) which was the first to listen; `fd` is any
/// of them. What is under way to the others still arrives there. [`steer_no_more`] ends it; so does the end of the last of them.
///
/// # Errors
/// Those of `setsockopt(2)`.
pub fn steer_to_first(fd: BorrowedFd<'_>) -> io::Result<()> {
    // A program of one instruction: return 0, a place in the group. Each socket that listens is put at the end.
    let mut program = [libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: 0 }];
    let program = libc::sock_fprog { len: 1, filter: program.as_mut_ptr() };
    // The kernel copies the program, which lives over the call.
    set(fd, libc::SOL_SOCKET, libc::SO_ATTACH_REUSEPORT_CBPF, &program)
}

/// Spreads new connections again, after [`steer_to_first`], by whichever process.
///
/// # Errors
/// `ENOENT` when nothing steers; `ENOPROTOOPT` before Linux 5.3.
pub fn steer_no_more(fd: BorrowedFd<'_>) -> io::Result<()> {
    set_int(fd, libc::SOL_SOCKET, libc::SO_DETACH_REUSEPORT_BPF, 0)
}

/// Whether a socket is bound to a path: a file whose socket has been closed is left behind.
pub fn is_bound(path: &std::path::Path) -> bool {
    // A connection of the wrong kind, so that it is refused: by what is there because of its kind, by a file alone since nobody is there.
    let addr = Addr::unix(path);
    let asked = open(&addr, Kind::Datagram).and_then(|fd| connect(fd.as_fd(), &addr));
    asked.map_or_else(|e| !matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused), |_| true)
}

/// The local address.
///
/// # Errors
/// Those of `getsockname(2)`.
pub fn local_addr(fd: BorrowedFd<'_>) -> io::Result<Addr> {
    let mut raw = RawAddr::empty();
    // SAFETY: the storage is valid for `raw.len` bytes.
    once(unsafe { libc::getsockname(fd.as_raw_fd(), raw.as_mut_ptr(), &mut raw.len) })?;
    Ok(raw.get())
}

/// The address that an IPv4 client connected to before a rule of the kernel (REDIRECT, DNAT) sent the connection here
/// (`SO_ORIGINAL_DST`).
///
/// # Errors
/// `ENOENT` when no rule did, `ENOPROTOOPT` when the kernel tracks no connections.
pub fn original_dst(fd: BorrowedFd<'_>) -> io::Result<Addr> {
    let mut raw = RawAddr::empty();
    // SAFETY: the storage is valid for `raw.len` bytes.
    once(unsafe { libc::getsockopt(fd.as_raw_fd(), libc::IPPROTO_IP, libc::SO_ORIGINAL_DST, raw.as_mut_ptr().cast(), &mut raw.len) })?;
    Ok(raw.get())
}

/// What the kernel knows of a TCP connection; times in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs)] // each is the field of `tcp_info` of that name
pub struct TcpInfo {
    pub rtt: u32,
    pub rtt_var: u32,
    pub unacked: u32,
    pub sacked: u32,
    pub lost: u32,
    pub retrans: u32,
    pub fackets: u32,
    pub reordering: u32,
}

/// `TCP_INFO` of a connection.
///
/// # Errors
/// It is no TCP socket.
pub fn tcp_info(fd: BorrowedFd<'_>) -> io::Result<TcpInfo> {
    // SAFETY: tcp_info is plain data; all zero is sound.
    let mut info: libc::tcp_info = unsafe { mem::zeroed() };
    let mut len = mem::size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: pointer and length describe `info`.
    once(unsafe { libc::getsockopt(fd.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, (&raw mut info).cast(), &mut len) })?;
    Ok(TcpInfo {
        rtt: info.tcpi_rtt,
        rtt_var: info.tcpi_rttvar,
        unacked: info.tcpi_unacked,
        sacked: info.tcpi_sacked,
        lost: info.tcpi_lost,
        retrans: info.tcpi_retrans,
        fackets: info.tcpi_fackets,
        reordering: info.tcpi_reordering,
    })
}

/// Most bytes of a saved SYN: link with tags, IP with extensions, TCP with options.
const MAX_SYN: usize = 512;

/// `TCP_SAVED_SYN`: the headers of the packet that a connection began with, as [`SockOpt::SaveSyn`] wants them. The kernel has them once:
/// it forgets them with the first reading.
///
/// # Errors
/// It is no TCP socket, or longer than any headers are.
pub fn saved_syn(fd: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; MAX_SYN];
    let mut len = bytes.len() as libc::socklen_t;
    // SAFETY: pointer and length describe `bytes`.
    once(unsafe { libc::getsockopt(fd.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_SAVED_SYN, bytes.as_mut_ptr().cast(), &mut len) })?;
    bytes.truncate(len as usize);
    Ok(bytes)
}

/// Whether an address is one of this machine's: a socket can be bound to it.
pub fn is_local(ip: std::net::IpAddr) -> bool {
    let addr = Addr::Ip((ip, 0).into());
    open(&addr, Kind::Datagram).and_then(|fd| bind(fd.as_fd(), &addr)).is_ok()
}

/// The peer's address.
///
/// # Errors
/// `ENOTCONN`.
pub fn peer_addr(fd: BorrowedFd<'_>) -> io::Result<Addr> {
    let mut raw = RawAddr::empty();
    // SAFETY: the storage is valid for `raw.len` bytes.
    once(unsafe { libc::getpeername(fd.as_raw_fd(), raw.as_mut_ptr(), &mut raw.len) })?;
    Ok(raw.get())
}

/// The error that waits on the socket (`SO_ERROR`), which this takes: how a connect ended.
///
/// # Errors
/// Those of `getsockopt(2)`.
pub fn take_error(fd: BorrowedFd<'_>) -> io::Result<Option<io::Error>> {
    let code = get_int(fd, libc::SOL_SOCKET, libc::SO_ERROR)?;
    Ok((code != 0).then(|| io::Error::from_raw_os_error(code)))
}

/// Bytes that wait to be read (`FIONREAD`).
///
/// # Errors
/// Those of `ioctl(2)`.
pub fn readable_bytes(fd: BorrowedFd<'_>) -> io::Result<usize> {
    let mut n: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int.
    once(unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, &mut n) })?;
    Ok(usize::try_from(n).unwrap_or(0))
}

/// The largest segment that a TCP socket sends (`TCP_MAXSEG`): of a fresh one, the system's default.
///
/// # Errors
/// Those of `getsockopt(2)`.
pub fn max_segment(fd: BorrowedFd<'_>) -> io::Result<u32> {
    get_int(fd, libc::IPPROTO_TCP, libc::TCP_MAXSEG).map(|n| u32::try_from(n).unwrap_or(0))
}

fn set<T>(fd: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int, value: &T) -> io::Result<()> {
    let len = mem::size_of::<T>() as libc::socklen_t;
    // SAFETY: pointer and length are those of `value`, a plain structure of integers.
    once(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const *value).cast(), len) }).map(drop)
}

fn set_int(fd: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int, value: u32) -> io::Result<()> {
    set(fd, level, name, &libc::c_int::try_from(value).unwrap_or(libc::c_int::MAX))
}

fn get_int(fd: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut len = mem::size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the option writes one int, and `len` says so.
    once(unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, (&raw mut value).cast(), &mut len) })?;
    Ok(value)
}

/// A socket option with its value; [`apply`] sets it. Names are those of socket(7), tcp(7), ipv6(7).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SockOpt {
    /// `SO_REUSEADDR`
    ReuseAddr(bool),
    /// `SO_REUSEPORT`
    ReusePort(bool),
    /// `IPV6_V6ONLY`
    V6Only(bool),
    /// `TCP_NODELAY`
    NoDelay(bool),
    /// `TCP_QUICKACK`
    QuickAck(bool),
    /// `SO_OOBINLINE`
    OobInline(bool),
    /// `SO_KEEPALIVE`
    KeepAlive(bool),
    /// `TCP_KEEPCNT`: probes
    KeepCnt(u32),
    /// `TCP_KEEPIDLE`: rounded down to seconds
    KeepIdle(Duration),
    /// `TCP_KEEPINTVL`: rounded down to seconds
    KeepIntvl(Duration),
    /// `SO_LINGER` on, zero seconds: closing resets the connection
    LingerReset,
    /// `SO_RCVBUF` in bytes (the kernel doubles it)
    RecvBuf(u32),
    /// `SO_SNDBUF` in bytes (the kernel doubles it)
    SendBuf(u32),
    /// `TCP_DEFER_ACCEPT` in seconds
    DeferAccept(u32),
    /// `TCP_MAXSEG` in bytes
    MaxSeg(u32),
    /// `TCP_USER_TIMEOUT`
    UserTimeout(Duration),
    /// `TCP_FASTOPEN`: queue length of a listener
    FastOpen(u32),
    /// `TCP_SAVE_SYN` of a listener: 1 with the headers from IP on, 2 with that of the link too, 0 not at all
    SaveSyn(u32),
    /// `SO_BINDTODEVICE`
    Device(String),
    /// `IP_TRANSPARENT` and `IPV6_TRANSPARENT`
    Transparent,
    /// `IP_BIND_ADDRESS_NO_PORT`: the port is chosen at connect time
    BindNoPort,
    /// `IP_TOS`, `IPV6_TCLASS`
    Tos(u8),
    /// `SO_MARK`
    Mark(u32),
    /// `IP_TTL`, `IPV6_UNICAST_HOPS`
    Ttl(u8),
    /// `TCP_REPAIR`: closing says nothing to the peer
    Repair,
}

/// Sets an option.
///
/// # Errors
/// Those of `setsockopt(2)`.
pub fn apply(fd: BorrowedFd<'_>, option: &SockOpt) -> io::Result<()> {
    use libc::{IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, SOL_SOCKET};
    let secs = |d: &Duration| u32::try_from(d.as_secs()).unwrap_or(u32::MAX).max(1);
    match option {
        SockOpt::ReuseAddr(on) => set_int(fd, SOL_SOCKET, libc::SO_REUSEADDR, u32::from(*on)),
        SockOpt::ReusePort(on) => set_int(fd, SOL_SOCKET, libc::SO_REUSEPORT, u32::from(*on)),
        SockOpt::V6Only(on) => set_int(fd, IPPROTO_IPV6, libc::IPV6_V6ONLY, u32::from(*on)),
        SockOpt::NoDelay(on) => set_int(fd, IPPROTO_TCP, libc::TCP_NODELAY, u32::from(*on)),
        SockOpt::QuickAck(on) => set_int(fd, IPPROTO_TCP, libc::TCP_QUICKACK, u32::from(*on)),
        SockOpt::OobInline(on) => set_int(fd, SOL_SOCKET, libc::SO_OOBINLINE, u32::from(*on)),
        SockOpt::KeepAlive(on) => set_int(fd, SOL_SOCKET, libc::SO_KEEPALIVE, u32::from(*on)),
        SockOpt::KeepCnt(n) => set_int(fd, IPPROTO_TCP, libc::TCP_KEEPCNT, *n),
        SockOpt::KeepIdle(d) => set_int(fd, IPPROTO_TCP, libc::TCP_KEEPIDLE, secs(d)),
        SockOpt::KeepIntvl(d) => set_int(fd, IPPROTO_TCP, libc::TCP_KEEPINTVL, secs(d)),
        SockOpt::LingerReset => set(fd, SOL_SOCKET, libc::SO_LINGER, &libc::linger { l_onoff: 1, l_linger: 0 }),
        SockOpt::RecvBuf(n) => set_int(fd, SOL_SOCKET, libc::SO_RCVBUF, *n),
        SockOpt::SendBuf(n) => set_int(fd, SOL_SOCKET, libc::SO_SNDBUF, *n),
        SockOpt::DeferAccept(n) => set_int(fd, IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, *n),
        SockOpt::MaxSeg(n) => set_int(fd, IPPROTO_TCP, libc::TCP_MAXSEG, *n),
        SockOpt::UserTimeout(d) => set_int(fd, IPPROTO_TCP, libc::TCP_USER_TIMEOUT, u32::try_from(d.as_millis()).unwrap_or(u32::MAX)),
        SockOpt::FastOpen(n) => set_int(fd, IPPROTO_TCP, libc::TCP_FASTOPEN, *n),
        SockOpt::SaveSyn(mode) => set_int(fd, IPPROTO_TCP, libc::TCP_SAVE_SYN, *mode),
        SockOpt::Device(name) => {
            // SAFETY: pointer and length are those of `name`.
            once(unsafe {
                libc::setsockopt(fd.as_raw_fd(), SOL_SOCKET, libc::SO_BINDTODEVICE, name.as_ptr().cast(), name.len() as libc::socklen_t)
            })
            .map(drop)
        }
        SockOpt::Transparent => {
            set_int(fd, IPPROTO_IP, libc::IP_TRANSPARENT, 1).or_else(|_| set_int(fd, IPPROTO_IPV6, libc::IPV6_TRANSPARENT, 1))
        }
        SockOpt::BindNoPort => set_int(fd, IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1),
        // A socket of IPv6 may carry IPv4; one of IPv4 knows the first alone.
        SockOpt::Tos(tos) => {
            let v6 = set_int(fd, IPPROTO_IPV6, libc::IPV6_TCLASS, u32::from(*tos));
            set_int(fd, IPPROTO_IP, libc::IP_TOS, u32::from(*tos)).or(v6)
        }
        SockOpt::Ttl(ttl) => {
            let v6 = set_int(fd, IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS, u32::from(*ttl));
            set_int(fd, IPPROTO_IP, libc::IP_TTL, u32::from(*ttl)).or(v6)
        }
        SockOpt::Repair => set_int(fd, IPPROTO_TCP, libc::TCP_REPAIR, 1),
        SockOpt::Mark(mark) => set_int(fd, SOL_SOCKET, libc::SO_MARK, *mark),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(mut f: impl FnMut() -> bool) {
        for _ in 0..100_000 {
            if f() {
                return;
            }
            std::thread::yield_now();
        }
        panic!("condition never held");
    }

    #[test]
    fn a_connection_over_loopback() {
        let any = Addr::Ip("127.0.0.1:0".parse().unwrap());
        let l = open(&any, Kind::Stream).unwrap();
        for o in [SockOpt::ReuseAddr(true), SockOpt::ReusePort(true), SockOpt::NoDelay(true), SockOpt::KeepAlive(true)] {
            apply(l.as_fd(), &o).unwrap();
        }
        bind(l.as_fd(), &any).unwrap();
        listen(l.as_fd(), 10).unwrap();
        assert!(max_segment(l.as_fd()).unwrap() > 0);
        assert_eq!(accept(l.as_fd()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let addr = local_addr(l.as_fd()).unwrap();
        let c = open(&addr, Kind::Stream).unwrap();
        connect(c.as_fd(), &addr).unwrap();
        let mut accepted = None;
        wait(|| {
            accepted = accept(l.as_fd()).ok();
            accepted.is_some()
        });
        let (s, peer) = accepted.unwrap();
        assert_eq!(peer, local_addr(c.as_fd()).unwrap());
        assert_eq!(peer_addr(s.as_fd()).unwrap(), peer);
        // Inherited from the listener: one system call less for each connection.
        assert_eq!(get_int(s.as_fd(), libc::IPPROTO_TCP, libc::TCP_NODELAY).unwrap(), 1);
        assert!(take_error(c.as_fd()).unwrap().is_none());
        assert_eq!(send_vectored(c.as_fd(), &[IoSlice::new(b"ab"), IoSlice::new(b"cd")], false).unwrap(), 4);
        let mut buf = [0; 8];
        wait(|| peek(s.as_fd(), &mut buf).is_ok());
        assert_eq!(readable_bytes(s.as_fd()).unwrap(), 4);
        assert_eq!(recv(s.as_fd(), &mut buf).unwrap(), 4);
        assert_eq!(&buf[..4], b"abcd");
        shutdown_write(c.as_fd()).unwrap();
        wait(|| matches!(recv(s.as_fd(), &mut buf), Ok(0)));
        apply(s.as_fd(), &SockOpt::LingerReset).unwrap();
        drop(s);
        wait(|| send(c.as_fd(), b"x", false).is_err());
    }

    #[test]
    fn what_listens() {
        let any = Addr::Ip("[::]:0".parse().unwrap());
        let l = open(&any, Kind::Stream).unwrap();
        bind(l.as_fd(), &any).unwrap();
        // A port by its number: one that the system chose would be another one the second time.
        let any = local_addr(l.as_fd()).unwrap();
        drop(l);
        let l = open(&any, Kind::Stream).unwrap();
        let options = [SockOpt::V6Only(true), SockOpt::Device("lo".into())];
        let device = options.iter().all(|option| apply(l.as_fd(), option).is_ok());
        bind(l.as_fd(), &any).unwrap();
        assert_eq!(listening(l.as_fd()), None);
        listen(l.as_fd(), 1).unwrap();
        let found = listening(l.as_fd()).unwrap();
        assert_eq!((found.addr.clone(), found.v6only), (local_addr(l.as_fd()).unwrap(), true));
        assert_eq!(found.device.as_deref(), device.then_some("lo"));
        stop_listening(l.as_fd()).unwrap();
        assert_eq!(listening(l.as_fd()), None);
        listen(l.as_fd(), 1).unwrap();
        assert_eq!(listening(l.as_fd()), Some(found));
        let d = open(&any, Kind::Datagram).unwrap();
        bind(d.as_fd(), &any).unwrap();
        assert_eq!(listening(d.as_fd()), None);
        let d = open(&any, Kind::Datagram).unwrap();
        apply(d.as_fd(), &SockOpt::ReusePort(true)).unwrap();
        assert_eq!(listening(d.as_fd()), None);
        bind(d.as_fd(), &Addr::Ip("[::1]:0".parse().unwrap())).unwrap();
        assert_eq!(listening(d.as_fd()).unwrap().kind, Kind::Datagram);
    }

    #[test]
    fn a_refused_connection_says_so() {
        let any = Addr::Ip("127.0.0.1:0".parse().unwrap());
        let l = open(&any, Kind::Stream).unwrap();
        bind(l.as_fd(), &any).unwrap();
        let c = open(&any, Kind::Stream).unwrap();
        let mut refused = connect(c.as_fd(), &local_addr(l.as_fd()).unwrap()).err();
        wait(|| {
            refused = refused.take().or_else(|| take_error(c.as_fd()).unwrap());
            refused.is_some()
        });
        assert_eq!(refused.unwrap().kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn datagrams() {
        let any = Addr::Ip("127.0.0.1:0".parse().unwrap());
        let (a, b) = (open(&any, Kind::Datagram).unwrap(), open(&any, Kind::Datagram).unwrap());
        bind(a.as_fd(), &any).unwrap();
        assert_eq!(send_to(b.as_fd(), b"hi", &local_addr(a.as_fd()).unwrap()).unwrap(), 2);
        let mut buf = [0; 8];
        wait(|| matches!(recv_from(a.as_fd(), &mut buf), Ok((2, _))));
    }

    #[test]
    fn what_the_kernel_knows_of_a_connection() {
        let to = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let from = std::net::TcpStream::connect(to.local_addr().unwrap()).unwrap();
        let info = tcp_info(from.as_fd()).unwrap();
        assert!(info.rtt > 0 && info.reordering > 0, "{info:?}");
        let other = open(&Addr::Ip(to.local_addr().unwrap()), Kind::Datagram).unwrap();
        assert!(tcp_info(other.as_fd()).is_err());
    }

    #[test]
    fn saved_syns() {
        let to = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        apply(to.as_fd(), &SockOpt::SaveSyn(1)).unwrap();
        let _from = std::net::TcpStream::connect(to.local_addr().unwrap()).unwrap();
        let (accepted, _) = to.accept().unwrap();
        let syn = saved_syn(accepted.as_fd()).unwrap();
        assert_eq!((syn[0] >> 4, syn[9], &syn[22..24]), (4, 6, &to.local_addr().unwrap().port().to_be_bytes()[..]));
        assert_eq!(saved_syn(accepted.as_fd()).unwrap(), [], "once");
        let other = open(&Addr::Ip(to.local_addr().unwrap()), Kind::Datagram).unwrap();
        assert!(saved_syn(other.as_fd()).is_err());
    }

    #[test]
    fn connections_are_steered() {
        let mut addr = Addr::Ip("127.0.0.1:0".parse().unwrap());
        let mut group = Vec::new();
        for _ in 0..4 {
            let fd = open(&addr, Kind::Stream).unwrap();
            apply(fd.as_fd(), &SockOpt::ReusePort(true)).unwrap();
            bind(fd.as_fd(), &addr).unwrap();
            listen(fd.as_fd(), 256).unwrap();
            addr = local_addr(fd.as_fd()).unwrap();
            group.push(fd);
        }
        let to = addr.ip().unwrap();
        let clients = || (0..64).map(|_| std::net::TcpStream::connect(to).unwrap()).collect::<Vec<_>>();
        // How many of `count` arrive at each socket.
        let accepted = |count: usize| {
            let mut at = [0; 4];
            wait(|| {
                group.iter().zip(&mut at).for_each(|(fd, n)| *n += std::iter::from_fn(|| accept(fd.as_fd()).ok()).count());
                at.iter().sum::<usize>() == count
            });
            at
        };
        steer_to_first(group[2].as_fd()).unwrap();
        let steered = clients();
        assert_eq!(accepted(steered.len()), [steered.len(), 0, 0, 0]);
        steer_no_more(group[0].as_fd()).unwrap();
        assert!(steer_no_more(group[0].as_fd()).is_err());
        let spread = clients();
        // All 64 in one of four is no matter of chance.
        assert!(accepted(spread.len())[0] < spread.len());
    }

    #[test]
    fn a_file_that_is_left_behind() {
        let path = std::env::temp_dir().join(format!("lb-sys-bound-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        assert!(!is_bound(&path));
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(is_bound(&path));
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock, "nobody has come");
        drop(listener);
        assert!(!is_bound(&path));
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn own_addresses() {
        assert!(is_local("127.0.0.1".parse().unwrap()));
        assert!(!is_local("192.0.2.1".parse().unwrap()));
    }
}
