//! What belongs to the process: limits, affinity, inherited descriptors.

use crate::once;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Soft and hard limit of open file descriptors (`RLIMIT_NOFILE`).
///
/// # Errors
/// Those of `getrlimit(2)`.
pub fn fd_limit() -> io::Result<(u64, u64)> {
    let mut l = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `l` is a valid rlimit to write to.
    once(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut l) })?;
    Ok((l.rlim_cur, l.rlim_max))
}

/// Sets the limits of open file descriptors.
///
/// # Errors
/// `EPERM` above the hard limit without privilege.
pub fn set_fd_limit(soft: u64, hard: u64) -> io::Result<()> {
    let l = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: `l` is a valid rlimit to read from.
    once(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &l) }).map(drop)
}

/// Cores that this process may run on.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Processor time that the process has used, in user mode and in the kernel, of all its threads.
pub fn cpu_time() -> Duration {
    // SAFETY: an rusage of zeros is a valid one.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a valid rusage to write to; RUSAGE_SELF cannot fail.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    let part = |t: libc::timeval| Duration::new(t.tv_sec.unsigned_abs(), t.tv_usec.unsigned_abs() as u32 * 1000);
    part(usage.ru_utime) + part(usage.ru_stime)
}

/// Takes over descriptor `fd`, which the process inherited (`bind fd@3`): a duplicate, close-on-exec, so that the number given
/// by the parent stays open and nothing is closed twice.
///
/// # Errors
/// `EBADF` when no such descriptor is open.
pub fn inherited(fd: i32) -> io::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC touches no memory; a bad number is an error.
    let new = once(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) })?;
    // SAFETY: fcntl succeeded, so `new` is open and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(new) })
}

/// Makes a descriptor non-blocking.
///
/// # Errors
/// Those of `fcntl(2)`.
pub fn set_nonblocking(fd: &OwnedFd) -> io::Result<()> {
    // SAFETY: flags by value only.
    let flags = once(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    // SAFETY: as above.
    once(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) }).map(drop)
}

/// The host's name, as `gethostname(2)` gives it.
pub fn host_name() -> String {
    let mut buf = [0u8; 256];
    // SAFETY: pointer and length are those of `buf`; the last byte stays NUL.
    let rc = unsafe { libc::gethostname(buf.as_mut_ptr().cast(), buf.len() - 1) };
    let end = buf.iter().position(|b| *b == 0).unwrap_or(0);
    if rc == 0 { String::from_utf8_lossy(&buf[..end]).into_owned() } else { String::new() }
}

/// Room for one entry of the user or group database; entries that are longer are not found.
const ENTRY: usize = 16 << 10;

/// The number of a user, by name; `None` when there is none.
pub fn user_id(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    let mut buffer = vec![0 as libc::c_char; ENTRY];
    // SAFETY: passwd is plain pointers and integers; all zero is a valid value to overwrite.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    let mut found = std::ptr::null_mut();
    // SAFETY: all pointers are valid for the call, and the buffer's length is given.
    let rc = unsafe { libc::getpwnam_r(name.as_ptr(), &mut entry, buffer.as_mut_ptr(), buffer.len(), &mut found) };
    (rc == 0 && !found.is_null()).then_some(entry.pw_uid)
}

/// The number of a group, by name; `None` when there is none.
pub fn group_id(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    let mut buffer = vec![0 as libc::c_char; ENTRY];
    // SAFETY: as in `user_id`.
    let mut entry: libc::group = unsafe { std::mem::zeroed() };
    let mut found = std::ptr::null_mut();
    // SAFETY: as in `user_id`.
    let rc = unsafe { libc::getgrnam_r(name.as_ptr(), &mut entry, buffer.as_mut_ptr(), buffer.len(), &mut found) };
    (rc == 0 && !found.is_null()).then_some(entry.gr_gid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_descriptors() {
        let (soft, hard) = fd_limit().unwrap();
        assert!(soft > 0 && soft <= hard);
        set_fd_limit(soft, hard).unwrap();
        assert!(cores() >= 1);
        let file = std::fs::File::open("/dev/null").unwrap();
        let copy = inherited(file.as_raw_fd()).unwrap();
        assert_ne!(copy.as_raw_fd(), file.as_raw_fd());
        set_nonblocking(&copy).unwrap();
        assert_eq!(inherited(1_000_000).unwrap_err().raw_os_error(), Some(libc::EBADF));
        assert!(!host_name().is_empty());
    }

    #[test]
    fn accounts_have_numbers() {
        assert_eq!((user_id("root"), group_id("root")), (Some(0), Some(0)));
        assert_eq!((user_id("no such user"), group_id("no such group")), (None, None));
    }
}
