//! Raw IPv6 sockets: what such a socket does not say in the datagram itself comes and goes beside it (RFC 3542).

use crate::{once, retry};
use std::io;
use std::mem;
use std::net::Ipv6Addr;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Room for control messages: an address with an interface, and a number, with their headers.
const CONTROL: usize = 128;

#[repr(align(8))]
struct Control([u8; CONTROL]);

/// A datagram that was received, with what stood in its IPv6 header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Bytes behind the header, as far as they fit into the buffer.
    pub length: usize,
    /// Who claims to have sent it.
    pub source: Ipv6Addr,
    /// To whom: an address of ours, or a group.
    pub destination: Ipv6Addr,
    /// The hop limit that it arrived with.
    pub hops: u8,
}

/// Has destination and hop limit told by [`recv`].
///
/// # Errors
/// Not a socket of IPv6.
pub fn tell_header(fd: BorrowedFd<'_>) -> io::Result<()> {
    for option in [libc::IPV6_RECVPKTINFO, libc::IPV6_RECVHOPLIMIT] {
        let on: libc::c_int = 1;
        let len = mem::size_of_val(&on) as libc::socklen_t;
        // SAFETY: the pointer is valid for the length given, over the call.
        once(unsafe { libc::setsockopt(fd.as_raw_fd(), libc::IPPROTO_IPV6, option, (&raw const on).cast(), len) })?;
    }
    Ok(())
}

/// Receives a datagram on a socket that was told to [`tell_header`].
///
/// # Errors
/// `EAGAIN`; `InvalidData` if the kernel has not told the header.
pub fn recv(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<Received> {
    let mut control = Control([0; CONTROL]);
    // SAFETY: sockaddr_in6 is plain integers, of which zero is a value.
    let mut from: libc::sockaddr_in6 = unsafe { mem::zeroed() };
    let mut part = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
    // SAFETY: msghdr is plain data; all zero means no name, no control data.
    let mut msg: libc::msghdr = unsafe { mem::zeroed() };
    msg.msg_name = (&raw mut from).cast();
    msg.msg_namelen = mem::size_of_val(&from) as libc::socklen_t;
    msg.msg_iov = &mut part;
    msg.msg_iovlen = 1;
    msg.msg_control = (&raw mut control.0).cast();
    msg.msg_controllen = CONTROL as _;
    // SAFETY: name, buffer and control data are valid for writes of the lengths given.
    let length = retry(|| unsafe { libc::recvmsg(fd.as_raw_fd(), &mut msg, 0) })?;
    let (mut destination, mut hops) = (None, None);
    // SAFETY: the kernel has filled `control` up to msg_controllen with whole messages; the macros stay within it. A message of these
    // kinds holds what is read of it, unaligned.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&msg);
        while !header.is_null() {
            let data = libc::CMSG_DATA(header);
            match ((*header).cmsg_level, (*header).cmsg_type) {
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    destination = Some(Ipv6Addr::from(data.cast::<libc::in6_pktinfo>().read_unaligned().ipi6_addr.s6_addr));
                }
                (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => hops = u8::try_from(data.cast::<libc::c_int>().read_unaligned()).ok(),
                _ => {}
            }
            header = libc::CMSG_NXTHDR(&msg, header);
        }
    }
    let (destination, hops) = destination.zip(hops).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Received { length, source: from.sin6_addr.s6_addr.into(), destination, hops })
}

/// Sends a datagram from an address over an interface, with this hop limit. With interface 0 routes decide.
///
/// # Errors
/// `EADDRNOTAVAIL` or `EINVAL` if the source is not ours (or not yet), `ENETUNREACH`, `ENETDOWN`, `ENOBUFS`.
pub fn send(fd: BorrowedFd<'_>, bytes: &[u8], source: Ipv6Addr, destination: Ipv6Addr, interface: u32, hops: u8) -> io::Result<()> {
    let mut control = Control([0; CONTROL]);
    // SAFETY: sockaddr_in6 is plain integers, of which zero is a value.
    let mut to: libc::sockaddr_in6 = unsafe { mem::zeroed() };
    to.sin6_family = libc::AF_INET6 as u16;
    to.sin6_addr.s6_addr = destination.octets();
    to.sin6_scope_id = interface;
    let mut part = libc::iovec { iov_base: bytes.as_ptr() as *mut _, iov_len: bytes.len() };
    let info = libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: source.octets() }, ipi6_ifindex: interface as _ };
    // SAFETY: msghdr is plain data.
    let mut msg: libc::msghdr = unsafe { mem::zeroed() };
    msg.msg_name = (&raw mut to).cast();
    msg.msg_namelen = mem::size_of_val(&to) as libc::socklen_t;
    msg.msg_iov = &mut part;
    msg.msg_iovlen = 1;
    msg.msg_control = (&raw mut control.0).cast();
    // SAFETY: `control` has room for both messages, is aligned, and `msg` says how much of it is used, so headers and data lie within it.
    unsafe {
        let (first, second) = (mem::size_of::<libc::in6_pktinfo>() as u32, mem::size_of::<libc::c_int>() as u32);
        msg.msg_controllen = (libc::CMSG_SPACE(first) + libc::CMSG_SPACE(second)) as _;
        let header = libc::CMSG_FIRSTHDR(&msg);
        ((*header).cmsg_level, (*header).cmsg_type) = (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO);
        (*header).cmsg_len = libc::CMSG_LEN(first) as _;
        libc::CMSG_DATA(header).cast::<libc::in6_pktinfo>().write_unaligned(info);
        let header = libc::CMSG_NXTHDR(&msg, header);
        ((*header).cmsg_level, (*header).cmsg_type) = (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT);
        (*header).cmsg_len = libc::CMSG_LEN(second) as _;
        libc::CMSG_DATA(header).cast::<libc::c_int>().write_unaligned(libc::c_int::from(hops));
    }
    // SAFETY: everything that `msg` points to lives over the call; sendmsg reads only.
    retry(|| unsafe { libc::sendmsg(fd.as_raw_fd(), &msg, libc::MSG_DONTWAIT) })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::{AsFd, FromRawFd, OwnedFd};

    #[test]
    fn header_fields_go_and_come() {
        // 253 is for experiments (RFC 3692).
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: the descriptor is new and nobody else's.
        let fd = match once(unsafe { libc::socket(libc::AF_INET6, kind, 253) }) {
            // SAFETY: as above.
            Ok(fd) => unsafe { OwnedFd::from_raw_fd(fd) },
            Err(e) => return assert!(matches!(e.raw_os_error(), Some(libc::EPERM | libc::EAFNOSUPPORT)), "{e}"),
        };
        tell_header(fd.as_fd()).expect("a socket of IPv6");
        assert_eq!(recv(fd.as_fd(), &mut [0; 8]).err().map(|e| e.kind()), Some(io::ErrorKind::WouldBlock));
        let here = Ipv6Addr::LOCALHOST;
        if send(fd.as_fd(), b"hello", here, here, 0, 77).is_ok() {
            let mut buf = [0; 8];
            // Loopback delivers within the call.
            let got = recv(fd.as_fd(), &mut buf).expect("it has arrived");
            assert_eq!(got, Received { length: 5, source: here, destination: here, hops: 77 });
            assert_eq!(&buf[..5], b"hello");
        }
        let nobody = "2001:db8::1".parse().expect("an address");
        assert!(send(fd.as_fd(), b"hello", nobody, here, 0, 1).is_err());
    }
}
