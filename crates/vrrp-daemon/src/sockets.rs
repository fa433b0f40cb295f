//! Raw sockets of one interface: adverts of IPv4, plain and below an authentication header, and of IPv6.

use lb_sys::raw6;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockAddr, Socket, Type};
use std::io::{self, Read};
use std::net::{IpAddr, Ipv6Addr, SocketAddrV4};
use std::os::fd::{AsFd, BorrowedFd};
use vrrp::packet::{PROTOCOL, PROTOCOL_AH, TOS};
use vrrp::{Datagram, Family, Packet, Refusal};

/// Datagrams that are read before timers are looked at again, so that a flood does not starve them. More than the buffer of a socket holds
/// (277 adverts in the kernel's usual 208 KiB): after a pause every instance hears its master before its own timer.
pub const BUDGET: usize = 512;
/// The longest datagram that is read: an advert of 255 addresses of IPv4 has 1,072 bytes, one of 90 of IPv6 has 1,448.
const LONGEST: usize = 2048;

/// The sockets of an interface. They are opened as instances need them.
#[derive(Default)]
pub struct Sockets {
    index: u32,
    /// None: no interface in particular, for unicast.
    name: Option<String>,
    plain: Option<Socket>,
    authenticated: Option<Socket>,
    ipv6: Option<Socket>,
    groups: Vec<IpAddr>,
}

/// A datagram as it was received.
pub enum Arrived {
    /// With its header.
    V4(Vec<u8>),
    /// What stands behind the header, and what was told of that.
    V6 {
        /// The bytes.
        bytes: Vec<u8>,
        /// Who claims to have sent it.
        source: Ipv6Addr,
        /// To whom.
        destination: Ipv6Addr,
        /// The hop limit.
        hops: u8,
    },
}

impl Arrived {
    /// What is in it.
    ///
    /// # Errors
    /// It is no datagram that could hold an advert.
    pub fn packet(&self) -> Result<Packet<'_>, Refusal> {
        match self {
            Arrived::V4(bytes) => Packet::ipv4(bytes),
            Arrived::V6 { bytes, source, destination, hops } => Ok(Packet::ipv6(*source, *destination, *hops, bytes)),
        }
    }
}

impl Sockets {
    /// No sockets yet, for an interface with this name and index; without a name for all interfaces.
    pub fn new(name: Option<&str>, index: u32) -> Sockets {
        Sockets { name: name.map(str::to_string), index, ..Sockets::default() }
    }

    /// Listens as an instance needs it: for this family, below an authentication header or not, to a group or to what comes to this host.
    /// `opened` is shown a socket that this takes.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_RAW`, `ENODEV`, `ENOBUFS` beyond igmp_max_memberships; what `opened` says.
    pub fn listen(
        &mut self,
        family: Family,
        authenticated: bool,
        group: Option<IpAddr>,
        opened: impl Fn(BorrowedFd<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let (name, index) = (self.name.as_deref(), self.index);
        let slot = match (family, authenticated) {
            (Family::V6, _) => &mut self.ipv6,
            (Family::V4, true) => &mut self.authenticated,
            (Family::V4, false) => &mut self.plain,
        };
        if slot.is_none() {
            let socket = match family {
                Family::V4 => open_v4(if authenticated { PROTOCOL_AH } else { PROTOCOL }, name)?,
                Family::V6 => open_v6(name)?,
            };
            opened(socket.as_fd())?;
            *slot = Some(socket);
            // A new socket is in none of the groups.
            self.groups.retain(|g| Family::of(*g) != family);
        }
        if let Some(group) = group.filter(|g| !self.groups.contains(g)) {
            let join = |socket: &Socket| match group {
                IpAddr::V4(group) => socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(index)),
                IpAddr::V6(group) => socket.join_multicast_v6(&group, index),
            };
            let sockets = match family {
                Family::V4 => [&self.plain, &self.authenticated],
                Family::V6 => [&self.ipv6, &None],
            };
            // EADDRINUSE: the other of the two is new, this one is in the group already.
            let joined = |socket: &Socket| join(socket).or_else(|e| if e.kind() == io::ErrorKind::AddrInUse { Ok(()) } else { Err(e) });
            sockets.into_iter().flatten().try_for_each(joined)?;
            self.groups.push(group);
        }
        Ok(())
    }

    /// Reads what has arrived, at most [`BUDGET`] datagrams of each socket.
    pub fn read(&self, mut each: impl FnMut(Arrived)) {
        let mut buffer = [0; LONGEST];
        for mut socket in [&self.plain, &self.authenticated].into_iter().flatten() {
            drain(|| socket.read(&mut buffer).map(|length| each(Arrived::V4(buffer[..length].to_vec()))));
        }
        if let Some(socket) = &self.ipv6 {
            drain(|| {
                let raw6::Received { length, source, destination, hops } = raw6::recv(socket.as_fd(), &mut buffer)?;
                each(Arrived::V6 { bytes: buffer[..length].to_vec(), source, destination, hops });
                Ok(())
            });
        }
    }

    /// Sends an advert.
    ///
    /// # Errors
    /// `ENETDOWN`, `ENETUNREACH`, `ENOBUFS`; for IPv6 `EADDRNOTAVAIL` or `EINVAL` while the source is not ours.
    pub fn send(&self, datagram: &Datagram) -> io::Result<()> {
        match (datagram.source, datagram.destination) {
            // The header says which protocol; the socket's own does not matter.
            (_, IpAddr::V4(to)) => {
                let socket = self.plain.as_ref().or(self.authenticated.as_ref()).ok_or(io::ErrorKind::NotConnected)?;
                socket.send_to(&datagram.bytes, &SockAddr::from(SocketAddrV4::new(to, 0))).map(drop)
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let socket = self.ipv6.as_ref().ok_or(io::ErrorKind::NotConnected)?;
                raw6::send(socket.as_fd(), &datagram.bytes, from, to, self.index, datagram.hops)
            }
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

/// Until nothing more is there, or the budget is spent.
fn drain(mut one: impl FnMut() -> io::Result<()>) {
    for _ in 0..BUDGET {
        match one() {
            Ok(()) => {}
            // Also a datagram that the kernel has told nothing of, and errors that ICMP has brought.
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
            Err(_) => {}
        }
    }
}

fn open_v4(protocol: u8, name: Option<&str>) -> io::Result<Socket> {
    let socket = open(Domain::IPV4, protocol, name)?;
    socket.set_header_included_v4(true)?;
    socket.set_multicast_loop_v4(false)?;
    Ok(socket)
}

fn open_v6(name: Option<&str>) -> io::Result<Socket> {
    let socket = open(Domain::IPV6, PROTOCOL, name)?;
    socket.set_multicast_loop_v6(false)?;
    socket.set_tclass_v6(TOS.into())?;
    raw6::tell_header(socket.as_fd())?;
    Ok(socket)
}

fn open(domain: Domain, protocol: u8, name: Option<&str>) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(i32::from(protocol))))?;
    socket.set_nonblocking(true)?;
    socket.bind_device(name.map(str::as_bytes))?;
    Ok(socket)
}
