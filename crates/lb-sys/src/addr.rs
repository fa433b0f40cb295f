//! Socket addresses of the three families that the proxy binds and connects: IPv4, IPv6, UNIX.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A socket address.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Addr {
    /// IPv4 or IPv6 address and port.
    Ip(SocketAddr),
    /// A UNIX socket in the file system.
    Unix(Arc<Path>),
    /// A UNIX socket in Linux's abstract name space (name without the leading NUL).
    Abstract(Arc<[u8]>),
    /// A UNIX socket without a name: what `accept` gives for most clients.
    Unnamed,
    /// The other end of a connected UNIX socket: connections are made as pairs, one of which is passed over it.
    Over(Channel),
}

/// A connected UNIX socket that descriptors are passed over; equal to its clones alone.
#[derive(Clone, Debug)]
pub struct Channel(Arc<OwnedFd>);

impl Channel {
    /// Of one end, which is non-blocking.
    pub fn new(fd: OwnedFd) -> Channel {
        Channel(Arc::new(fd))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl PartialEq for Channel {
    fn eq(&self, other: &Channel) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Channel {}

impl Hash for Channel {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl Addr {
    /// The IP address and port, if it is one.
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            Addr::Ip(a) => Some(*a),
            _ => None,
        }
    }

    /// True for UNIX addresses of any kind.
    pub fn is_unix(&self) -> bool {
        !matches!(self, Addr::Ip(_))
    }

    /// The address of a UNIX socket file.
    pub fn unix(path: impl Into<PathBuf>) -> Addr {
        Addr::Unix(Arc::from(path.into()))
    }
}

impl From<SocketAddr> for Addr {
    fn from(a: SocketAddr) -> Self {
        Addr::Ip(a)
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Addr::Ip(a) => a.fmt(f),
            Addr::Unix(p) => write!(f, "unix@{}", p.display()),
            // Names are often filled up with zero bytes.
            Addr::Abstract(n) => {
                let end = n.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
                write!(f, "abns@{}", String::from_utf8_lossy(&n[..end]))
            }
            Addr::Unnamed => f.write_str("unix@"),
            Addr::Over(channel) => write!(f, "sockpair@{}", channel.0.as_raw_fd()),
        }
    }
}

/// The kernel's form of an address.
pub(crate) struct RawAddr {
    pub storage: libc::sockaddr_storage,
    pub len: libc::socklen_t,
}

impl RawAddr {
    pub fn empty() -> RawAddr {
        // SAFETY: sockaddr_storage is plain integers; all zero is a valid value (family AF_UNSPEC).
        let storage = unsafe { mem::zeroed() };
        RawAddr { storage, len: mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t }
    }

    pub fn as_ptr(&self) -> *const libc::sockaddr {
        (&raw const self.storage).cast()
    }

    pub fn as_mut_ptr(&mut self) -> *mut libc::sockaddr {
        (&raw mut self.storage).cast()
    }

    /// Writes `value`, one of the `sockaddr_*` structures, over the start of the storage.
    fn store<T: Copy>(&mut self, value: T, len: usize) {
        assert!(mem::size_of::<T>() <= mem::size_of::<libc::sockaddr_storage>());
        // SAFETY: the storage is large enough (asserted) and aligned for every sockaddr type by definition.
        unsafe { (&raw mut self.storage).cast::<T>().write(value) };
        self.len = len as libc::socklen_t;
    }

    fn load<T: Copy>(&self) -> T {
        assert!(mem::size_of::<T>() <= mem::size_of::<libc::sockaddr_storage>());
        // SAFETY: as for `store`; every bit pattern is valid for the sockaddr types, which are plain integers.
        unsafe { (&raw const self.storage).cast::<T>().read() }
    }

    pub fn new(addr: &Addr) -> io::Result<RawAddr> {
        let mut raw = RawAddr::empty();
        match addr {
            Addr::Ip(SocketAddr::V4(a)) => raw.store(
                libc::sockaddr_in {
                    sin_family: libc::AF_INET as _,
                    sin_port: a.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(a.ip().octets()) },
                    sin_zero: [0; 8],
                },
                mem::size_of::<libc::sockaddr_in>(),
            ),
            Addr::Ip(SocketAddr::V6(a)) => raw.store(
                libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as _,
                    sin6_port: a.port().to_be(),
                    sin6_flowinfo: a.flowinfo(),
                    sin6_addr: libc::in6_addr { s6_addr: a.ip().octets() },
                    sin6_scope_id: a.scope_id(),
                },
                mem::size_of::<libc::sockaddr_in6>(),
            ),
            Addr::Unix(path) => raw.store_unix(path.as_os_str().as_bytes(), false)?,
            Addr::Abstract(name) => raw.store_unix(name, true)?,
            Addr::Unnamed => raw.store_unix(b"", false)?,
            Addr::Over(_) => return Err(io::ErrorKind::InvalidInput.into()),
        }
        Ok(raw)
    }

    fn store_unix(&mut self, name: &[u8], abstract_name: bool) -> io::Result<()> {
        // SAFETY: sockaddr_un is plain integers; all zero is valid.
        let mut un: libc::sockaddr_un = unsafe { mem::zeroed() };
        un.sun_family = libc::AF_UNIX as _;
        let start = usize::from(abstract_name);
        // A path keeps one byte for its NUL.
        if start + name.len() >= un.sun_path.len() + start {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "UNIX socket name longer than 107 bytes"));
        }
        for (to, from) in un.sun_path[start..].iter_mut().zip(name) {
            *to = *from as libc::c_char;
        }
        let head = mem::offset_of!(libc::sockaddr_un, sun_path);
        let len = match (abstract_name, name.is_empty()) {
            (true, _) => head + 1 + name.len(),
            (false, true) => head,
            (false, false) => head + name.len() + 1,
        };
        self.store(un, len);
        Ok(())
    }

    /// The address in the storage; `Unnamed` for families that are not ours.
    pub fn get(&self) -> Addr {
        match libc::c_int::from(self.storage.ss_family) {
            libc::AF_INET => {
                let a: libc::sockaddr_in = self.load();
                let ip = Ipv4Addr::from(a.sin_addr.s_addr.to_ne_bytes());
                Addr::Ip(SocketAddr::V4(SocketAddrV4::new(ip, u16::from_be(a.sin_port))))
            }
            libc::AF_INET6 => {
                let a: libc::sockaddr_in6 = self.load();
                let ip = Ipv6Addr::from(a.sin6_addr.s6_addr);
                let port = u16::from_be(a.sin6_port);
                Addr::Ip(SocketAddr::V6(SocketAddrV6::new(ip, port, a.sin6_flowinfo, a.sin6_scope_id)))
            }
            libc::AF_UNIX => self.get_unix(),
            _ => Addr::Unnamed,
        }
    }

    fn get_unix(&self) -> Addr {
        let un: libc::sockaddr_un = self.load();
        let head = mem::offset_of!(libc::sockaddr_un, sun_path);
        let len = (self.len as usize).saturating_sub(head).min(un.sun_path.len());
        let bytes: Vec<u8> = un.sun_path[..len].iter().map(|c| *c as u8).collect();
        match bytes.first() {
            None => Addr::Unnamed,
            Some(0) => Addr::Abstract(Arc::from(&bytes[1..])),
            Some(_) => {
                let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
                Addr::unix(std::ffi::OsStr::from_bytes(&bytes[..end]))
            }
        }
    }
}

/// The address family (`AF_INET`, …) of an address.
pub(crate) fn family(addr: &Addr) -> libc::c_int {
    match addr {
        Addr::Ip(a) if a.is_ipv4() => libc::AF_INET,
        Addr::Ip(_) => libc::AF_INET6,
        _ => libc::AF_UNIX,
    }
}

/// An IPv4 address that is written as IPv6 (`::ffff:a.b.c.d`) as the IPv4 address it is.
pub fn canonical(addr: SocketAddr) -> SocketAddr {
    match addr.ip() {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => SocketAddr::new(IpAddr::V4(v4), addr.port()),
            None => addr,
        },
        IpAddr::V4(_) => addr,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_kernel_form() {
        let all = [
            Addr::Ip("127.0.0.1:80".parse().unwrap()),
            Addr::Ip("[fe80::1%3]:8080".parse().unwrap_or("[fe80::1]:8080".parse().unwrap())),
            Addr::unix("/run/a.sock"),
            Addr::Abstract(Arc::from(&b"name"[..])),
            Addr::Unnamed,
        ];
        for a in all {
            assert_eq!(RawAddr::new(&a).unwrap().get(), a);
        }
    }

    #[test]
    fn a_long_unix_path_is_refused() {
        assert!(RawAddr::new(&Addr::unix("x".repeat(107))).is_ok());
        assert!(RawAddr::new(&Addr::unix("x".repeat(108))).is_err());
    }

    #[test]
    fn mapped_addresses_are_ipv4() {
        assert_eq!(canonical("[::ffff:1.2.3.4]:5".parse().unwrap()), "1.2.3.4:5".parse().unwrap());
        assert_eq!(canonical("[::1]:5".parse().unwrap()), "[::1]:5".parse().unwrap());
    }
}
