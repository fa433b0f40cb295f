//! Who the process is: users, groups, capabilities, the root directory; to give rights up for good.

use crate::once;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Room for one entry of the user or group database; entries that are longer are not found.
const ENTRY: usize = 16 << 10;

/// The number of a user, by name; `None` when there is none.
pub fn user_id(name: &str) -> Option<u32> {
    user(name).map(|(uid, _)| uid)
}

/// The numbers of a user and of its group, by name; `None` when there is none.
pub fn user(name: &str) -> Option<(u32, u32)> {
    let name = CString::new(name).ok()?;
    let mut buffer = vec![0 as libc::c_char; ENTRY];
    // SAFETY: passwd is plain pointers and integers; all zero is a valid value to overwrite.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    let mut found = std::ptr::null_mut();
    // SAFETY: all pointers are valid for the call, and the buffer's length is given.
    let rc = unsafe { libc::getpwnam_r(name.as_ptr(), &mut entry, buffer.as_mut_ptr(), buffer.len(), &mut found) };
    (rc == 0 && !found.is_null()).then_some((entry.pw_uid, entry.pw_gid))
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

/// The effective user; 0 is the superuser.
pub fn effective_user() -> u32 {
    // SAFETY: no memory is involved, the call cannot fail.
    unsafe { libc::geteuid() }
}

/// The effective group.
pub fn effective_group() -> u32 {
    // SAFETY: as above.
    unsafe { libc::getegid() }
}

/// How many supplementary groups the process is in.
pub fn supplementary_groups() -> usize {
    // SAFETY: with a size of 0 nothing is written.
    usize::try_from(unsafe { libc::getgroups(0, std::ptr::null_mut()) }).unwrap_or(0)
}

/// Leaves all supplementary groups, in all threads.
///
/// # Errors
/// `EPERM` without privilege.
pub fn drop_groups() -> io::Result<()> {
    // SAFETY: a count of 0 reads nothing.
    once(unsafe { libc::setgroups(0, std::ptr::null()) }).map(drop)
}

/// Changes real, effective and saved group, in all threads.
///
/// # Errors
/// `EPERM`.
pub fn set_group(id: u32) -> io::Result<()> {
    // SAFETY: numbers only.
    once(unsafe { libc::setresgid(id, id, id) }).map(drop)
}

/// Changes real, effective and saved user, in all threads: from the superuser to another one there is no way back.
///
/// # Errors
/// `EPERM`; `EAGAIN` when the new user has too many processes.
pub fn set_user(id: u32) -> io::Result<()> {
    // SAFETY: numbers only.
    once(unsafe { libc::setresuid(id, id, id) }).map(drop)
}

/// Makes `directory` the root directory, and the current one.
///
/// # Errors
/// `EPERM` without privilege, `ENOENT`, `ENOTDIR`, `EACCES`.
pub fn change_root(directory: &Path) -> io::Result<()> {
    let path = CString::new(directory.as_os_str().as_bytes())?;
    // SAFETY: a NUL-terminated path that lives over the call.
    once(unsafe { libc::chroot(path.as_ptr()) })?;
    std::env::set_current_dir(OsStr::new("/"))
}

/// Programs that this process starts gain no rights by their set-user-ID bit (`PR_SET_NO_NEW_PRIVS`). Holds for the calling thread
/// and those that it starts afterwards.
///
/// # Errors
/// `EINVAL` on old kernels.
pub fn no_new_privileges() -> io::Result<()> {
    // SAFETY: numbers only.
    once(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }).map(drop)
}

/// Allows core dumps of a process that has changed its user.
///
/// # Errors
/// Those of `prctl(2)`.
pub fn set_dumpable() -> io::Result<()> {
    // SAFETY: numbers only.
    once(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0) }).map(drop)
}

/// Keeps the permitted capabilities of the calling thread over [`set_user`]; [`set_capabilities`] then says which of them.
///
/// # Errors
/// Those of `prctl(2)`.
pub fn keep_capabilities() -> io::Result<()> {
    // SAFETY: numbers only.
    once(unsafe { libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0) }).map(drop)
}

/// `_LINUX_CAPABILITY_VERSION_3`: two words for each set.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: libc::c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Effective and permitted capabilities of the calling thread, a bit for each by its number.
///
/// # Errors
/// Those of `capget(2)`.
pub fn capabilities() -> io::Result<(u64, u64)> {
    let mut header = CapHeader { version: CAPABILITY_VERSION, pid: 0 };
    let mut data = [CapData::default(); 2];
    // SAFETY: version 3 writes two structures of this layout.
    let rc = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) };
    once(rc as libc::c_int)?;
    let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    Ok((join(data[0].effective, data[1].effective), join(data[0].permitted, data[1].permitted)))
}

/// Leaves the calling thread, and those that it starts afterwards, these capabilities and no others.
///
/// # Errors
/// `EPERM` when one of them is not permitted.
pub fn set_capabilities(bits: u64) -> io::Result<()> {
    let mut header = CapHeader { version: CAPABILITY_VERSION, pid: 0 };
    let word = |bits: u64| CapData { effective: bits as u32, permitted: bits as u32, inheritable: 0 };
    let data = [word(bits), word(bits >> 32)];
    // SAFETY: version 3 reads two structures of this layout.
    let rc = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) };
    once(rc as libc::c_int).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_have_numbers() {
        assert_eq!((user_id("root"), group_id("root")), (Some(0), Some(0)));
        assert_eq!((user_id("no such user"), group_id("no such group")), (None, None));
        assert!(change_root(Path::new("/no such directory")).is_err());
    }

    /// In a child: what is given up does not come back.
    #[test]
    fn rights_are_given_up_for_good() {
        if effective_user() != 0 {
            return;
        }
        let given_up = || {
            drop_groups()?;
            keep_capabilities()?;
            set_group(65534)?;
            set_user(65534)?;
            set_capabilities(1 << 10)?;
            set_dumpable()?;
            no_new_privileges()?;
            let back = set_user(0).is_err() && set_group(0).is_err() && set_capabilities(u64::MAX >> 23).is_err();
            let who = (effective_user(), effective_group(), supplementary_groups());
            Ok::<bool, io::Error>(back && who == (65534, 65534, 0) && capabilities()? == (1 << 10, 1 << 10))
        };
        // SAFETY: the child makes system calls and ends.
        match unsafe { libc::fork() } {
            0 => {
                let code = if given_up().is_ok_and(|all| all) { 0 } else { 1 };
                // SAFETY: ends the child without running destructors of the test's parent.
                unsafe { libc::_exit(code) }
            }
            child => assert_eq!(crate::process::wait_for(child as u32).unwrap(), crate::process::Ended::Code(0)),
        }
    }
}
