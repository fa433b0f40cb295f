//! Descriptors from one process to another: over a UNIX socket (`SCM_RIGHTS`), or taken from a process (`pidfd_getfd(2)`).

use crate::{once, retry};
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Descriptors that one message carries at most: the kernel's SCM_MAX_FD is 253.
pub const MAX_FDS: usize = 253;

/// Bytes of the control data of a full message.
const CONTROL: usize = {
    // SAFETY: arithmetic on a number.
    unsafe { libc::CMSG_SPACE((MAX_FDS * mem::size_of::<RawFd>()) as u32) as usize }
};

/// Control data, aligned as its headers have to be.
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

/// A connected pair of UNIX stream sockets, blocking, closed on exec.
///
/// # Errors
/// `EMFILE`, `ENFILE`.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [0; 2];
    // SAFETY: `fds` has room for two; on success both are new and ours.
    unsafe {
        once(libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0, fds.as_mut_ptr()))?;
        Ok((OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])))
    }
}

/// Sends `bytes` (at least one) with `fds` beside the first of them. Returns how many bytes were taken; the descriptors went with
/// the first.
///
/// # Errors
/// `EAGAIN`, `EPIPE`, `ETOOMANYREFS`; `InvalidInput` for more than [`MAX_FDS`].
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    if fds.len() > MAX_FDS {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let mut control = Control([0; CONTROL]);
    let mut part = libc::iovec { iov_base: bytes.as_ptr() as *mut _, iov_len: bytes.len() };
    // SAFETY: msghdr is plain data; all zero means no name, no control data.
    let mut msg: libc::msghdr = unsafe { mem::zeroed() };
    msg.msg_iov = &mut part;
    msg.msg_iovlen = 1;
    if !raw.is_empty() {
        let len = mem::size_of_val(raw.as_slice()) as u32;
        msg.msg_control = (&raw mut control.0).cast();
        // SAFETY: `control` has room for MAX_FDS descriptors, is aligned, and `msg` says how much of it is used, so the first
        // header and its data lie within it.
        unsafe {
            msg.msg_controllen = libc::CMSG_SPACE(len) as _;
            let header = libc::CMSG_FIRSTHDR(&msg);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(len) as _;
            std::ptr::copy_nonoverlapping(raw.as_ptr().cast::<u8>(), libc::CMSG_DATA(header), len as usize);
        }
    }
    // SAFETY: everything that `msg` points to lives over the call; sendmsg reads only.
    retry(|| unsafe { libc::sendmsg(socket.as_raw_fd(), &msg, libc::MSG_NOSIGNAL) })
}

/// Receives bytes, and the descriptors that came with them, closed on exec. 0 bytes: the peer has closed.
///
/// # Errors
/// `EAGAIN`; `InvalidData` when more descriptors were sent than one message can carry (they are closed).
pub fn receive(socket: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut control = Control([0; CONTROL]);
    let mut part = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
    // SAFETY: as in `send`.
    let mut msg: libc::msghdr = unsafe { mem::zeroed() };
    msg.msg_iov = &mut part;
    msg.msg_iovlen = 1;
    msg.msg_control = (&raw mut control.0).cast();
    msg.msg_controllen = CONTROL as _;
    // SAFETY: buffer and control data are valid for writes of the lengths given.
    let n = retry(|| unsafe { libc::recvmsg(socket.as_raw_fd(), &mut msg, libc::MSG_CMSG_CLOEXEC) })?;
    let mut fds = Vec::new();
    // SAFETY: the kernel has filled `control` up to msg_controllen with whole headers; the macros stay within it. Each descriptor
    // in an SCM_RIGHTS message is new and ours.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&msg);
        while !header.is_null() {
            if (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_RIGHTS {
                let len = (*header).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                let data = libc::CMSG_DATA(header).cast::<RawFd>();
                for at in 0..len / mem::size_of::<RawFd>() {
                    fds.push(OwnedFd::from_raw_fd(data.add(at).read_unaligned()));
                }
            }
            header = libc::CMSG_NXTHDR(&msg, header);
        }
    }
    if msg.msg_flags & libc::MSG_CTRUNC != 0 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok((n, fds))
}

/// Another process, by a descriptor: its number can be nobody else's while this is open.
#[derive(Debug)]
pub struct ProcessFd(OwnedFd);

impl ProcessFd {
    /// Refers to a process.
    ///
    /// # Errors
    /// `ESRCH`, `ENOSYS` before Linux 5.3.
    pub fn open(pid: u32) -> io::Result<ProcessFd> {
        let pid = libc::pid_t::try_from(pid).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: numbers only; on success the descriptor is new and ours.
        unsafe {
            let fd = once(libc::syscall(libc::SYS_pidfd_open, pid, 0) as libc::c_int)?;
            Ok(ProcessFd(OwnedFd::from_raw_fd(fd)))
        }
    }

    /// A duplicate of the process's descriptor `number`, closed on exec.
    ///
    /// # Errors
    /// `EPERM` without the right to trace the process, `EBADF`, `ENOSYS` before Linux 5.6.
    pub fn take(&self, number: RawFd) -> io::Result<OwnedFd> {
        // SAFETY: numbers only; on success the descriptor is new and ours.
        unsafe {
            let fd = once(libc::syscall(libc::SYS_pidfd_getfd, self.0.as_raw_fd(), number, 0) as libc::c_int)?;
            Ok(OwnedFd::from_raw_fd(fd))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn descriptors_travel() {
        let (a, b) = pair().unwrap();
        let (near, far) = UnixStream::pair().unwrap();
        assert_eq!(send(a.as_fd(), b"x", &[far.as_fd()]).unwrap(), 1);
        drop(far);
        let mut buf = [0; 8];
        let (n, mut fds) = receive(b.as_fd(), &mut buf).unwrap();
        assert_eq!((n, buf[0], fds.len()), (1, b'x', 1));
        let mut far = UnixStream::from(fds.remove(0));
        (&near).write_all(b"hello").unwrap();
        let mut text = [0; 5];
        far.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"hello");
        drop(a);
        assert!(matches!(receive(b.as_fd(), &mut buf), Ok((0, fds)) if fds.is_empty()));
    }

    #[test]
    fn a_full_message() {
        let (a, b) = pair().unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        let fds = vec![file.as_fd(); MAX_FDS];
        send(a.as_fd(), b"many", &fds).unwrap();
        let mut buf = [0; 8];
        let (n, fds) = receive(b.as_fd(), &mut buf).unwrap();
        assert_eq!((n, fds.len()), (4, MAX_FDS));
        assert!(send(a.as_fd(), b"x", &vec![file.as_fd(); MAX_FDS + 1]).is_err());
    }

    #[test]
    fn taken_from_a_process() {
        let (mut near, far) = UnixStream::pair().unwrap();
        let own = ProcessFd::open(std::process::id()).unwrap();
        let copy = UnixStream::from(own.take(far.as_raw_fd()).unwrap());
        drop(far);
        (&copy).write_all(b"x").unwrap();
        let mut byte = [0];
        near.read_exact(&mut byte).unwrap();
        assert_eq!(byte, *b"x");
        assert_eq!(own.take(1_000_000).unwrap_err().raw_os_error(), Some(libc::EBADF));
        assert!(ProcessFd::open(u32::MAX).is_err());
    }
}
