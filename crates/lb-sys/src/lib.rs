//! Safe wrappers over libc, and nothing else. The only crate of the workspace with `unsafe`: each block is a few
//! lines, says why it is sound, and has a test.
//!
//! Everything here is non-blocking and close-on-exec; no function keeps state, none retries anything but `EINTR`.

pub mod account;
pub mod addr;
pub mod clock;
pub mod fds;
pub mod link;
pub mod localtime;
pub mod packet;
pub mod pipe;
pub mod process;
pub mod raw6;
pub mod signal;
pub mod socket;
pub mod spawn;
pub mod watchdog;

pub use addr::{Addr, Channel};
pub use pipe::Pipe;

use std::io;

/// The result of a libc call that returns −1 and sets `errno` on failure; a call that a signal interrupted is made again.
pub(crate) fn retry(mut call: impl FnMut() -> libc::ssize_t) -> io::Result<usize> {
    loop {
        let n = call();
        if n >= 0 {
            return Ok(n as usize);
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EINTR) {
            return Err(error);
        }
    }
}

/// As [`retry`], for calls that must not be repeated (`close`, `connect`).
pub(crate) fn once(n: libc::c_int) -> io::Result<libc::c_int> {
    if n >= 0 { Ok(n) } else { Err(io::Error::last_os_error()) }
}
