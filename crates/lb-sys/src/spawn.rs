//! Other programs, started beside threads: `posix_spawn(3)`, which copies no memory and takes no lock of ours along.

use crate::process::{Ended, waited};
use std::ffi::{CString, OsStr};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;

/// A program to be started.
#[derive(Debug)]
pub struct Program<'a> {
    /// A path.
    pub file: &'a OsStr,
    /// Its arguments, its name first.
    pub args: &'a [String],
    /// Its whole environment, `NAME=value`.
    pub environment: &'a [String],
}

/// What `posix_spawn` gives back in its return value.
fn checked(error: libc::c_int) -> io::Result<()> {
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

/// Attributes and actions, given back when dropped.
struct Plan {
    attributes: libc::posix_spawnattr_t,
    actions: libc::posix_spawn_file_actions_t,
}

impl Plan {
    /// A group of its own, no signal blocked or ignored, nothing to read.
    fn new() -> io::Result<Plan> {
        let mut attributes = MaybeUninit::uninit();
        let mut actions = MaybeUninit::uninit();
        // SAFETY: both functions write what they are given the place of; it is taken for initialised only when they have.
        let mut plan = unsafe {
            checked(libc::posix_spawnattr_init(attributes.as_mut_ptr()))?;
            if let Err(e) = checked(libc::posix_spawn_file_actions_init(actions.as_mut_ptr())) {
                libc::posix_spawnattr_destroy(attributes.as_mut_ptr());
                return Err(e);
            }
            Plan { attributes: attributes.assume_init(), actions: actions.assume_init() }
        };
        let flags = libc::POSIX_SPAWN_SETPGROUP | libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
        // SAFETY: the sets are plain integers that the calls fill; attributes and actions are initialised; the path is a constant text.
        unsafe {
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut none);
            let mut all: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&mut all);
            checked(libc::posix_spawnattr_setflags(&mut plan.attributes, flags as libc::c_short))?;
            checked(libc::posix_spawnattr_setpgroup(&mut plan.attributes, 0))?;
            checked(libc::posix_spawnattr_setsigmask(&mut plan.attributes, &none))?;
            checked(libc::posix_spawnattr_setsigdefault(&mut plan.attributes, &all))?;
            checked(libc::posix_spawn_file_actions_addopen(&mut plan.actions, 0, c"/dev/null".as_ptr(), libc::O_RDONLY, 0))?;
        }
        Ok(plan)
    }
}

impl Drop for Plan {
    fn drop(&mut self) {
        // SAFETY: both are initialised, and used no more.
        unsafe {
            libc::posix_spawn_file_actions_destroy(&mut self.actions);
            libc::posix_spawnattr_destroy(&mut self.attributes);
        }
    }
}

/// Starts a program in a group of its own; it reads nothing, writes where we write, and has no other descriptor of ours that is closed over
/// `exec`. Gives its number, by which it must be waited for ([`try_wait`]).
///
/// # Errors
/// Those of `execve(2)` and `vfork(2)`; `InvalidInput` for a text with a zero byte.
pub fn spawn(program: &Program<'_>) -> io::Result<u32> {
    let texts = |texts: &[String]| texts.iter().map(|text| CString::new(text.as_str())).collect::<Result<Vec<_>, _>>();
    let (Ok(file), Ok(args), Ok(environment)) = (CString::new(program.file.as_bytes()), texts(program.args), texts(program.environment))
    else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let list = |texts: &[CString]| {
        let mut list: Vec<*mut libc::c_char> = texts.iter().map(|text| text.as_ptr().cast_mut()).collect();
        list.push(std::ptr::null_mut());
        list
    };
    let plan = Plan::new()?;
    let (args, environment) = (&args, &environment);
    let (arg_list, environment_list) = (list(args), list(environment));
    let mut pid = 0;
    // SAFETY: all texts end with a zero, both lists with a null pointer; they, the attributes and the actions live over the call, which
    // writes to none of them.
    checked(unsafe {
        libc::posix_spawn(&mut pid, file.as_ptr(), &plan.actions, &plan.attributes, arg_list.as_ptr(), environment_list.as_ptr())
    })?;
    u32::try_from(pid).map_err(|_| io::ErrorKind::Other.into())
}

/// How a child has ended; `None`: it runs.
///
/// # Errors
/// `ECHILD` when it is none, or has been waited for.
pub fn try_wait(child: u32) -> io::Result<Option<Ended>> {
    let pid = libc::pid_t::try_from(child).map_err(|_| io::ErrorKind::InvalidInput)?;
    Ok(waited(pid, libc::WNOHANG)?.map(|(_, ended)| ended))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::wait_for;

    fn run(script: &str, environment: &[String]) -> io::Result<u32> {
        spawn(&Program { file: OsStr::new("/bin/sh"), args: &["sh", "-c", script].map(str::to_owned), environment })
    }

    #[test]
    fn code_signal_environment_and_input() {
        let ended = |script| wait_for(run(script, &["A=b c".to_owned()]).unwrap()).unwrap();
        assert_eq!(ended("exit 7"), Ended::Code(7));
        assert_eq!(ended("kill -9 $$"), Ended::Signal(9));
        assert_eq!(ended("test \"$A\" = 'b c' && test -z \"$HOME\""), Ended::Code(0));
        assert_eq!(ended("read line; test $? = 1"), Ended::Code(0), "nothing to read");
        // No signal is blocked, and it leads its group.
        assert_eq!(ended("grep -q 'SigBlk:.0*$' /proc/self/status && test $(cut -d' ' -f5 /proc/$$/stat) = $$"), Ended::Code(0));
    }

    #[test]
    fn what_cannot_be_started() {
        let start = |file: &str, args: &[String]| spawn(&Program { file: OsStr::new(file), args, environment: &[] });
        assert_eq!(start("/nonexistent", &[]).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(start("/dev/null", &[]).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(start("/bin/true", &["a\0b".to_owned()]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert!(try_wait(u32::MAX).is_err());
    }
}
