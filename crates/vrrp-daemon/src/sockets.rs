//! Raw sockets of one interface: adverts of IPv4, plain and below an authentication header.

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockAddr, Socket, Type};
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, BorrowedFd};
use vrrp::packet::{PROTOCOL, PROTOCOL_AH};

/// Datagrams that are read before timers are looked at again, so that a flood does not starve them.
pub const BUDGET: usize = 64;
/// The longest datagram that is read: an advert of 255 addresses has 1,072 bytes.
const LONGEST: usize = 2048;

/// The sockets of an interface.
pub struct Sockets {
    plain: Socket,
    authenticated: Option<Socket>,
    groups: Vec<Ipv4Addr>,
    index: u32,
}

fn open(protocol: u8, name: &str) -> io::Result<Socket> {
    let socket = Socket::new_raw(Domain::IPV4, Type::RAW, Some(Protocol::from(i32::from(protocol))))?;
    socket.set_nonblocking(true)?;
    socket.bind_device(Some(name.as_bytes()))?;
    socket.set_header_included_v4(true)?;
    socket.set_multicast_loop_v4(false)?;
    Ok(socket)
}

impl Sockets {
    /// Opens them on an interface.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_RAW`, `ENODEV`.
    pub fn open(name: &str, index: u32, authenticated: bool) -> io::Result<Sockets> {
        let second = if authenticated { Some(open(PROTOCOL_AH, name)?) } else { None };
        Ok(Sockets { plain: open(PROTOCOL, name)?, authenticated: second, groups: Vec::new(), index })
    }

    /// Listens to a group.
    ///
    /// # Errors
    /// `ENODEV`, `ENOBUFS` beyond igmp_max_memberships.
    pub fn join(&mut self, group: Ipv4Addr) -> io::Result<()> {
        if !self.groups.contains(&group) {
            for socket in std::iter::once(&self.plain).chain(&self.authenticated) {
                socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(self.index))?;
            }
            self.groups.push(group);
        }
        Ok(())
    }

    /// What to wait on.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        std::iter::once(&self.plain).chain(&self.authenticated).map(AsFd::as_fd)
    }

    /// Reads what has arrived, at most [`BUDGET`] datagrams of each socket.
    pub fn read(&self, mut each: impl FnMut(&[u8])) {
        let mut buffer = [0; LONGEST];
        for mut socket in std::iter::once(&self.plain).chain(&self.authenticated) {
            for _ in 0..BUDGET {
                match socket.read(&mut buffer) {
                    Ok(length) => each(&buffer[..length]),
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
        }
    }

    /// Sends a whole datagram.
    ///
    /// # Errors
    /// `ENETDOWN`, `ENETUNREACH`, `ENOBUFS`.
    pub fn send(&self, datagram: &[u8], to: IpAddr) -> io::Result<()> {
        let IpAddr::V4(to) = to else { return Err(io::ErrorKind::Unsupported.into()) };
        // The header says which protocol; the socket's own does not matter.
        self.plain.send_to(datagram, &SockAddr::from(SocketAddrV4::new(to, 0))).map(drop)
    }
}
