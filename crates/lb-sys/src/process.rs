//! What belongs to the process: limits, affinity, inherited descriptors, children.

use crate::once;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
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

/// Sets the soft and hard limit of a resource of `getrlimit(2)`.
fn set_limit(resource: libc::__rlimit_resource_t, bytes: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    // SAFETY: `limit` is a valid rlimit to read from.
    once(unsafe { libc::setrlimit(resource, &limit) }).map(drop)
}

/// Limits the address space of the process, in bytes.
///
/// # Errors
/// `EPERM` above the hard limit.
pub fn limit_memory(bytes: u64) -> io::Result<()> {
    set_limit(libc::RLIMIT_AS, bytes)
}

/// Allows core files of any size.
///
/// # Errors
/// `EPERM` above the hard limit.
pub fn allow_core_files() -> io::Result<()> {
    set_limit(libc::RLIMIT_CORE, libc::RLIM_INFINITY).and_then(|()| set_limit(libc::RLIMIT_FSIZE, libc::RLIM_INFINITY))
}

/// Forbids new processes and threads (`RLIMIT_NPROC`); without effect on the superuser.
///
/// # Errors
/// Those of `setrlimit(2)`.
pub fn forbid_processes() -> io::Result<()> {
    set_limit(libc::RLIMIT_NPROC, 0)
}

/// Sets the priority of the process: -20, the highest, to 19.
///
/// # Errors
/// `EACCES` without the right to raise it.
pub fn set_priority(nice: i32) -> io::Result<()> {
    // SAFETY: numbers only; 0 is the calling process.
    once(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) }).map(drop)
}

/// Lets the calling thread run before all that are not real-time (`SCHED_RR`), with a priority of 1 to 99. Processes that it starts do not
/// inherit it.
///
/// # Errors
/// `EPERM` without `CAP_SYS_NICE`, `EINVAL` for another priority.
pub fn set_realtime(priority: i32) -> io::Result<()> {
    let param = libc::sched_param { sched_priority: priority };
    // SAFETY: the pointer is valid over the call; 0 is the calling thread.
    once(unsafe { libc::sched_setscheduler(0, libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, &param) }).map(drop)
}

/// Keeps all memory of the process, present and future, out of swap.
///
/// # Errors
/// `ENOMEM` beyond the limit of locked memory, `EPERM`.
pub fn lock_memory() -> io::Result<()> {
    // SAFETY: flags only.
    once(unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) }).map(drop)
}

/// Largest number of a core that [`run_on`] knows, plus one.
pub const MAX_CORES: usize = libc::CPU_SETSIZE as usize;

/// Lets the calling thread run on these cores only; numbers beyond [`MAX_CORES`] are left out.
///
/// # Errors
/// `EINVAL` when none of them exists.
pub fn run_on(cores: &[usize]) -> io::Result<()> {
    // SAFETY: cpu_set_t is plain integers; all zero is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for core in cores.iter().filter(|core| **core < MAX_CORES) {
        // SAFETY: the number is within the set.
        unsafe { libc::CPU_SET(*core, &mut set) };
    }
    // SAFETY: pointer and size are those of `set`; 0 is the calling thread.
    once(unsafe { libc::sched_setaffinity(0, std::mem::size_of_val(&set), &set) }).map(drop)
}

/// Cores that the calling thread may run on.
///
/// # Errors
/// Those of `sched_getaffinity(2)`.
pub fn runs_on() -> io::Result<Vec<usize>> {
    // SAFETY: as in `run_on`.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: pointer and size are those of `set`; 0 is the calling thread.
    once(unsafe { libc::sched_getaffinity(0, std::mem::size_of_val(&set), &mut set) })?;
    // SAFETY: the number is within the set.
    Ok((0..MAX_CORES).filter(|core| unsafe { libc::CPU_ISSET(*core, &set) }).collect())
}

/// Has the kernel send SIGTERM to the process that `command` starts when the thread that starts it has ended.
pub fn end_with_parent(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt;
    // SAFETY: between fork and exec, the closure makes one system call and touches no memory of the parent.
    unsafe { command.pre_exec(|| once(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM)).map(drop)) };
}

/// Limits what a real-time thread may run without waiting: at `soft` it is sent SIGXCPU, and every second from then on.
///
/// # Errors
/// Those of `setrlimit(2)`.
pub fn limit_realtime(soft: Duration) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: soft.as_micros() as libc::rlim_t, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: `limit` is a valid rlimit to read from.
    once(unsafe { libc::setrlimit(libc::RLIMIT_RTTIME, &limit) }).map(drop)
}

/// Which of the two processes this is after [`fork`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Forked {
    /// The new one.
    Child,
    /// The old one, with the new one's number.
    Parent(u32),
}

/// Splits the process in two. Refused when there are other threads: the child would find their locks held for ever.
///
/// # Errors
/// `EAGAIN` at a limit; `Unsupported` with several threads.
pub fn fork() -> io::Result<Forked> {
    alone()?;
    // SAFETY: there is no other thread (looked at above), so the child's memory is whole.
    match once(unsafe { libc::fork() })? {
        0 => Ok(Forked::Child),
        child => Ok(Forked::Parent(child as u32)),
    }
}

/// Gives memory that the allocator keeps back to the system.
pub fn trim_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the allocator's own locks make it safe at any time.
    unsafe {
        libc::malloc_trim(0)
    };
}

/// Runs `program`, looked for as a shell does, in the place of this one. Signals that are blocked stay so, and those that wait are
/// not lost. Returns when that fails only.
pub fn replace(program: &OsStr, args: &[OsString]) -> io::Error {
    let text = |text: &OsStr| CString::new(text.as_bytes());
    let (Ok(program), Ok(args)) = (text(program), args.iter().map(|arg| text(arg)).collect::<Result<Vec<_>, _>>()) else {
        return io::ErrorKind::InvalidInput.into();
    };
    let mut pointers: Vec<*const libc::c_char> = args.iter().map(|arg| arg.as_ptr()).collect();
    pointers.push(std::ptr::null());
    // SAFETY: all strings end with NUL, the list with a null pointer, and both live over the call.
    unsafe { libc::execvp(program.as_ptr(), pointers.as_ptr()) };
    io::Error::last_os_error()
}

/// Sets a variable of the environment, or removes it. Refused when there are other threads, which may be reading.
///
/// # Errors
/// `Unsupported` with several threads; `InvalidInput` for a name or value that no environment can hold.
pub fn set_variable(name: &str, value: Option<&str>) -> io::Result<()> {
    let sound = !name.is_empty() && !name.contains(['=', '\0']) && value.is_none_or(|value| !value.contains('\0'));
    if !sound {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    alone()?;
    // SAFETY: there is no other thread.
    unsafe {
        match value {
            Some(value) => std::env::set_var(name, value),
            None => std::env::remove_var(name),
        }
    }
    Ok(())
}

/// An error unless the process has a single thread. A process without /proc is believed.
fn alone() -> io::Result<()> {
    if std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() > 1) {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "the process has several threads"));
    }
    Ok(())
}

/// Leaves the terminal: a new session.
///
/// # Errors
/// `EPERM` when the process leads a group already.
pub fn new_session() -> io::Result<()> {
    // SAFETY: no memory is involved.
    once(unsafe { libc::setsid() }).map(drop)
}

/// Puts a duplicate of `fd` in the place of descriptor `number`, open over `exec`: for standard streams.
///
/// # Errors
/// Those of `dup2(2)`.
pub fn replace_stream(fd: BorrowedFd<'_>, number: i32) -> io::Result<()> {
    // SAFETY: the number is one of a standard stream, which nothing here owns.
    once(unsafe { libc::dup2(fd.as_raw_fd(), number) }).map(drop)
}

/// Whether a descriptor is closed when the process starts another program.
///
/// # Errors
/// Those of `fcntl(2)`.
pub fn set_close_on_exec(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    // SAFETY: flags by value only.
    once(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, if on { libc::FD_CLOEXEC } else { 0 }) }).map(drop)
}

/// Takes descriptor `number`, which a program before this one has left open in this process; it is closed over `exec` from now on.
///
/// # Errors
/// `EBADF` when no such descriptor is open.
pub fn adopt(number: i32) -> io::Result<OwnedFd> {
    let copy = inherited(number)?;
    // SAFETY: the number is open (it was duplicated above), and by contract nothing in this program owns it yet.
    once(unsafe { libc::close(number) })?;
    Ok(copy)
}

/// How a child ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// It ended by itself.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
}

pub(crate) fn waited(pid: libc::pid_t, flags: libc::c_int) -> io::Result<Option<(u32, Ended)>> {
    let mut status = 0;
    // SAFETY: `status` is valid for writes.
    let pid = crate::retry(|| unsafe { libc::waitpid(pid, &mut status, flags) as libc::ssize_t })?;
    if pid == 0 {
        return Ok(None);
    }
    let ended = if libc::WIFSIGNALED(status) { Ended::Signal(libc::WTERMSIG(status)) } else { Ended::Code(libc::WEXITSTATUS(status)) };
    Ok(Some((pid as u32, ended)))
}

/// A child that has ended, if there is one.
///
/// # Errors
/// `ECHILD` when there is no child at all.
pub fn ended_child() -> io::Result<Option<(u32, Ended)>> {
    waited(-1, libc::WNOHANG)
}

/// A descriptor that can be read from once a child has ended (`pidfd_open(2)`, Linux 5.3).
///
/// # Errors
/// `ESRCH` when there is no such process, `ENOSYS` before that kernel.
pub fn watch_child(child: u32) -> io::Result<OwnedFd> {
    let pid = libc::pid_t::try_from(child).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: numbers only; the descriptor is close-on-exec by itself.
    let fd = once(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) as libc::c_int })?;
    // SAFETY: the call succeeded, so the descriptor is open and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Ends a child that leads a group of its own, and whatever it has started.
///
/// # Errors
/// `ESRCH` when nothing of it is left.
pub fn kill_group(child: u32) -> io::Result<()> {
    let pid = libc::pid_t::try_from(child).ok().filter(|pid| *pid > 1).ok_or(io::ErrorKind::InvalidInput)?;
    // SAFETY: numbers only.
    once(unsafe { libc::kill(-pid, libc::SIGKILL) }).map(drop)
}

/// Waits for the end of a child.
///
/// # Errors
/// `ECHILD` when it is none.
pub fn wait_for(child: u32) -> io::Result<Ended> {
    let pid = libc::pid_t::try_from(child).map_err(|_| io::ErrorKind::InvalidInput)?;
    waited(pid, 0)?.map(|(_, ended)| ended).ok_or_else(|| io::ErrorKind::WouldBlock.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn realtime_of_a_thread() {
        // In a thread of its own, which ends with it.
        let both = std::thread::spawn(|| (set_realtime(100), set_realtime(1))).join().expect("no panic");
        assert_eq!(both.0.err().and_then(|e| e.raw_os_error()), Some(libc::EINVAL));
        assert!(both.1.err().is_none_or(|e| e.raw_os_error() == Some(libc::EPERM)));
    }

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

    /// Runs `work` in a child and says how that ended.
    fn in_child(work: impl FnOnce() -> io::Result<()>) -> Ended {
        // SAFETY: the child makes system calls and ends; tests have threads, so it touches none of their locks.
        match unsafe { libc::fork() } {
            0 => {
                let code = work().map_or_else(|e| e.raw_os_error().unwrap_or(255), |()| 0);
                // SAFETY: ends the child without running destructors of the parent.
                unsafe { libc::_exit(code) }
            }
            child => wait_for(child as u32).unwrap(),
        }
    }

    #[test]
    fn children() {
        assert_eq!(in_child(new_session), Ended::Code(0));
        let killed = in_child(|| {
            // SAFETY: a signal to the child itself.
            unsafe { libc::raise(libc::SIGKILL) };
            Ok(())
        });
        assert_eq!(killed, Ended::Signal(libc::SIGKILL));
        assert!(wait_for(u32::MAX).is_err());
        // The test harness has threads.
        assert_eq!(fork().unwrap_err().kind(), io::ErrorKind::Unsupported);
    }

    #[test]
    fn a_child_is_watched_and_ended_with_all_that_it_has_started() {
        use std::os::unix::process::CommandExt;
        let mut child = std::process::Command::new("sh").args(["-c", "sleep 100 & wait"]).process_group(0).spawn().unwrap();
        let fd = watch_child(child.id()).unwrap();
        let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry, valid over the call.
        assert_eq!(unsafe { libc::poll(&mut poll, 1, 0) }, 0, "it runs");
        kill_group(child.id()).unwrap();
        // SAFETY: as above.
        assert_eq!(unsafe { libc::poll(&mut poll, 1, 20_000) }, 1);
        assert!(!child.wait().unwrap().success());
        assert!(kill_group(1).is_err() && kill_group(0).is_err() && watch_child(u32::MAX).is_err());
    }

    #[test]
    fn another_program_in_its_place() {
        let code = in_child(|| Err(replace(OsStr::new("sh"), &["sh".into(), "-c".into(), "exit 7".into()])));
        assert_eq!(code, Ended::Code(7));
        assert_eq!(replace(OsStr::new("/nonexistent"), &[]).kind(), io::ErrorKind::NotFound);
        assert_eq!(replace(OsStr::new("a\0b"), &[]).kind(), io::ErrorKind::InvalidInput);
        trim_memory();
    }

    #[test]
    fn variables_are_set_by_a_single_thread() {
        // That it works is seen at the program: a child that was forked beside other threads may find the environment locked for good.
        assert_eq!(set_variable("LB_TEST", None).unwrap_err().kind(), io::ErrorKind::Unsupported);
        assert_eq!(set_variable("a=b", None).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn children_of_a_thread_that_ends() {
        let child = std::thread::spawn(|| {
            let mut command = std::process::Command::new("sleep");
            command.arg("60");
            end_with_parent(&mut command);
            command.spawn().unwrap()
        });
        use std::os::unix::process::ExitStatusExt;
        let status = child.join().unwrap().wait().unwrap();
        assert_eq!(status.signal(), Some(libc::SIGTERM));
    }

    #[test]
    fn limits_of_a_child() {
        let cores = runs_on().unwrap();
        assert!(!cores.is_empty());
        let first = cores[0];
        assert_eq!(
            in_child(move || run_on(&[first]).and_then(|()| if runs_on()? == [first] { Ok(()) } else { Err(io::ErrorKind::Other.into()) })),
            Ended::Code(0)
        );
        assert_eq!(in_child(|| run_on(&[MAX_CORES])), Ended::Code(libc::EINVAL));
        assert_eq!(in_child(|| limit_memory(1 << 40)), Ended::Code(0));
        assert_eq!(in_child(|| set_priority(19)), Ended::Code(0));
        assert_eq!(in_child(|| limit_realtime(Duration::from_millis(10))), Ended::Code(0));
        assert_eq!(in_child(forbid_processes), Ended::Code(0));
        let _ = in_child(allow_core_files);
    }

    #[test]
    fn descriptors_over_exec() {
        use std::os::fd::{AsFd, IntoRawFd};
        let file = std::fs::File::open("/dev/null").unwrap();
        let flags = |fd: BorrowedFd<'_>| {
            // SAFETY: flags by value only.
            unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) }
        };
        set_close_on_exec(file.as_fd(), false).unwrap();
        assert_eq!(flags(file.as_fd()), 0);
        let adopted = adopt(file.into_raw_fd()).unwrap();
        assert_eq!(flags(adopted.as_fd()), libc::FD_CLOEXEC);
        assert!(adopt(1_000_000).is_err());
        let null = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(in_child(move || replace_stream(null.as_fd(), 0)), Ended::Code(0));
    }
}
