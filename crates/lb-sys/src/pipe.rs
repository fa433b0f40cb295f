//! Kernel pipes and `splice(2)`: bytes go from socket to socket without entering the process.

use crate::{once, retry};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A pipe, both ends non-blocking.
#[derive(Debug)]
pub struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    capacity: usize,
}

impl Pipe {
    /// A new pipe of the kernel's default size (64 KiB, or less where a user holds many).
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`: no file descriptors left.
    pub fn new() -> io::Result<Pipe> {
        let mut fds = [0; 2];
        // SAFETY: `fds` has room for the two descriptors that pipe2 writes.
        once(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) })?;
        // SAFETY: pipe2 succeeded, so both are open and owned by nobody else.
        let (read, write) = unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) };
        let mut pipe = Pipe { read, write, capacity: 0 };
        pipe.capacity = pipe.kernel_capacity()?;
        Ok(pipe)
    }

    fn kernel_capacity(&self) -> io::Result<usize> {
        // SAFETY: F_GETPIPE_SZ takes no argument and touches no memory of ours.
        Ok(once(unsafe { libc::fcntl(self.write.as_raw_fd(), libc::F_GETPIPE_SZ) })? as usize)
    }

    /// Bytes that the pipe holds at most.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Asks for room for `bytes`, at most `/proc/sys/fs/pipe-max-size`; the kernel rounds up to a power of two pages.
    ///
    /// # Errors
    /// `EPERM` over the limit or over the user's share of pipe pages, `EBUSY` when it holds more than that. The old size stays.
    pub fn set_capacity(&mut self, bytes: usize) -> io::Result<usize> {
        let wanted = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
        // SAFETY: F_SETPIPE_SZ takes an int by value.
        self.capacity = once(unsafe { libc::fcntl(self.write.as_raw_fd(), libc::F_SETPIPE_SZ, wanted) })? as usize;
        Ok(self.capacity)
    }

    /// Moves up to `len` bytes from `socket` into the pipe. `Ok(0)`: the peer has closed its side.
    ///
    /// # Errors
    /// `EAGAIN` when the socket is empty **or the pipe is full**; `EINVAL` for descriptors that cannot splice.
    pub fn fill(&self, socket: BorrowedFd<'_>, len: usize) -> io::Result<usize> {
        splice(socket.as_raw_fd(), self.write.as_raw_fd(), len, false)
    }

    /// Moves up to `len` bytes from the pipe to `socket`; `more` tells the kernel that further bytes follow at once (`MSG_MORE`).
    ///
    /// # Errors
    /// `EAGAIN` when the pipe is empty or the socket is full; `EPIPE`, `ECONNRESET` of the socket.
    pub fn drain(&self, socket: BorrowedFd<'_>, len: usize, more: bool) -> io::Result<usize> {
        splice(self.read.as_raw_fd(), socket.as_raw_fd(), len, more)
    }

    /// Writes `buf` into the pipe: whole when it is empty and `buf` is at most 4096 bytes long.
    ///
    /// # Errors
    /// `EAGAIN` when it is full.
    pub fn write(&self, buf: &[u8]) -> io::Result<usize> {
        // SAFETY: the pointer and length are those of `buf`.
        retry(|| unsafe { libc::write(self.write.as_raw_fd(), buf.as_ptr().cast(), buf.len()) })
    }

    /// Reads bytes of the pipe into `buf`, for a stream that leaves splicing.
    ///
    /// # Errors
    /// `EAGAIN` when it is empty.
    pub fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        // SAFETY: the pointer and length are those of `buf`.
        retry(|| unsafe { libc::read(self.read.as_raw_fd(), buf.as_mut_ptr().cast(), buf.len()) })
    }
}

fn splice(from: libc::c_int, to: libc::c_int, len: usize, more: bool) -> io::Result<usize> {
    let flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK | if more { libc::SPLICE_F_MORE } else { 0 };
    // SAFETY: both descriptors are borrowed for the call; null offsets mean "the descriptor's own position".
    retry(|| unsafe { libc::splice(from, std::ptr::null_mut(), to, std::ptr::null_mut(), len, flags) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    /// The kernel may say EAGAIN while another process holds a lock of the socket's family.
    fn again(mut call: impl FnMut() -> io::Result<usize>) -> usize {
        for _ in 0..100_000 {
            match call() {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
                other => return other.unwrap(),
            }
        }
        panic!("EAGAIN for good");
    }

    #[test]
    fn bytes_pass_a_pipe_from_socket_to_socket() {
        let (mut a, b) = UnixStream::pair().unwrap();
        let (c, mut d) = UnixStream::pair().unwrap();
        let mut pipe = Pipe::new().unwrap();
        assert!(pipe.set_capacity(1 << 17).unwrap() >= 1 << 17);
        a.write_all(b"hello").unwrap();
        assert_eq!(again(|| pipe.fill(b.as_fd(), 1 << 16)), 5);
        assert_eq!(again(|| pipe.drain(c.as_fd(), 5, false)), 5);
        let mut got = [0; 5];
        d.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"hello");
        b.set_nonblocking(true).unwrap();
        assert_eq!(pipe.fill(b.as_fd(), 10).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(a);
        assert_eq!(pipe.fill(b.as_fd(), 10).unwrap(), 0);
        assert_eq!(pipe.read(&mut got).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(pipe.write(&[7; 4096]).unwrap(), 4096);
        assert_eq!(pipe.read(&mut got).unwrap(), 5);
        assert_eq!(got, [7; 5]);
    }
}
