//! Frames as they are: a packet socket that sends and receives nothing. Needs `CAP_NET_RAW`.

use crate::{once, retry};
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A packet socket for sending frames with their own link-layer header.
///
/// # Errors
/// `EPERM` without `CAP_NET_RAW`, `EMFILE`.
pub fn open() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: the descriptor is new and nobody else's. Protocol 0: nothing is received.
    unsafe { Ok(OwnedFd::from_raw_fd(once(libc::socket(libc::AF_PACKET, kind, 0))?)) }
}

/// Sends a frame over an interface.
///
/// # Errors
/// `ENETDOWN` when the interface is down, `ENXIO` when there is none with this index, `EAGAIN` when the queue is full.
pub fn send(fd: BorrowedFd<'_>, interface: u32, frame: &[u8]) -> io::Result<()> {
    // SAFETY: sockaddr_ll is plain integers, of which zero is a value.
    let mut to: libc::sockaddr_ll = unsafe { mem::zeroed() };
    to.sll_family = libc::AF_PACKET as u16;
    to.sll_ifindex = i32::try_from(interface).map_err(|_| io::ErrorKind::InvalidInput)?;
    let len = mem::size_of_val(&to) as libc::socklen_t;
    // SAFETY: both pointers are valid for the lengths given, over the call.
    retry(|| unsafe { libc::sendto(fd.as_raw_fd(), frame.as_ptr().cast(), frame.len(), libc::MSG_DONTWAIT, (&raw const to).cast(), len) })?;
    Ok(())
}

/// The index of the interface of this name in the network namespace of the calling thread. /sys may show those of another one.
pub fn interface_index(name: &str) -> Option<u32> {
    let name = std::ffi::CString::new(name).ok()?;
    // SAFETY: the name ends with a zero and lives over the call.
    Some(unsafe { libc::if_nametoindex(name.as_ptr()) }).filter(|index| *index != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn names() {
        assert_eq!(interface_index("lo"), Some(1));
        assert_eq!(["no such", "", "a\0b"].map(interface_index), [None; 3]);
    }

    #[test]
    fn a_frame_over_loopback() {
        match open() {
            // Index 1 is the loopback interface in every network namespace.
            Ok(fd) => {
                assert_eq!(send(fd.as_fd(), 1, &[0; 42]).err().and_then(|e| e.raw_os_error()).filter(|e| *e != libc::ENETDOWN), None);
                assert_eq!(send(fd.as_fd(), 0x7fff_ffff, &[0; 42]).err().and_then(|e| e.raw_os_error()), Some(libc::ENXIO));
                assert!(send(fd.as_fd(), u32::MAX, &[0; 42]).is_err());
            }
            Err(e) => assert_eq!(e.raw_os_error(), Some(libc::EPERM)),
        }
    }
}
