//! Signals as a descriptor: no handler runs, nothing is interrupted.

use crate::{once, retry};
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// A signal number.
pub type Signal = libc::c_int;

pub use libc::{SIGABRT, SIGCHLD, SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2, SIGXCPU};

/// A real-time signal: `offset` from the first, or from the last if it is negative.
pub fn realtime(offset: i32) -> Signal {
    if offset < 0 { libc::SIGRTMAX() + 1 + offset } else { libc::SIGRTMIN() + offset }
}

/// A `signalfd(2)`. The signals are blocked in the thread that made it and in the threads that it starts afterwards.
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

fn set_of(signals: &[Signal]) -> libc::sigset_t {
    // SAFETY: sigset_t is plain integers; sigemptyset initialises it, sigaddset ignores bad numbers with an error.
    unsafe {
        let mut set: libc::sigset_t = mem::zeroed();
        libc::sigemptyset(&mut set);
        for s in signals {
            libc::sigaddset(&mut set, *s);
        }
        set
    }
}

impl SignalFd {
    /// Blocks `signals` and opens a descriptor that turns readable when one arrives. To be called before any thread is started.
    ///
    /// # Errors
    /// `EMFILE`, `EINVAL`.
    pub fn new(signals: &[Signal]) -> io::Result<SignalFd> {
        let set = set_of(signals);
        // SAFETY: `set` lives over both calls; the old mask is not asked for.
        let fd = unsafe {
            let rc = libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
            if rc != 0 {
                return Err(io::Error::from_raw_os_error(rc));
            }
            OwnedFd::from_raw_fd(once(libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK))?)
        };
        Ok(SignalFd(fd))
    }

    /// The next signal that is waiting, if there is one.
    ///
    /// # Errors
    /// Those of `read(2)` but `EAGAIN`.
    pub fn take(&self) -> io::Result<Option<Signal>> {
        // SAFETY: signalfd_siginfo is plain integers; the kernel writes at most its size.
        let mut info: libc::signalfd_siginfo = unsafe { mem::zeroed() };
        let len = mem::size_of_val(&info);
        // SAFETY: as above; the pointer is valid for `len` bytes.
        match retry(|| unsafe { libc::read(self.0.as_raw_fd(), (&raw mut info).cast(), len) }) {
            Ok(_) => Ok(Some(info.ssi_signo as Signal)),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(e) => Err(e),
        }
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Ignores a signal for the whole process.
pub fn ignore(signal: Signal) {
    // SAFETY: SIG_IGN installs no handler of ours.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Sends `signal` to this process.
///
/// # Errors
/// `EINVAL` for a bad number.
pub fn raise(signal: Signal) -> io::Result<()> {
    // SAFETY: no memory is involved.
    once(unsafe { libc::kill(libc::getpid(), signal) }).map(drop)
}

/// Sends `signal` to another process; 0 only looks whether it is there.
///
/// # Errors
/// `ESRCH`, `EPERM`.
pub fn send(pid: u32, signal: Signal) -> io::Result<()> {
    // Of 0 and negative numbers kill(2) makes groups.
    let pid = libc::pid_t::try_from(pid).ok().filter(|pid| *pid > 0).ok_or(io::ErrorKind::InvalidInput)?;
    // SAFETY: no memory is involved.
    once(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Blocks `signals` in the calling thread, and no others: what a process has inherited is undone.
pub fn block_only(signals: &[Signal]) {
    let set = set_of(signals);
    // SAFETY: `set` lives over the call; the old mask is not asked for. Fails for a bad first argument only.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &set, std::ptr::null_mut()) };
}

/// Lets the program that `command` starts begin with no signal blocked: the mask of the thread that starts it would be its own otherwise,
/// and a daemon that takes its signals by [`SignalFd`] would make children that SIGTERM does not end.
pub fn start_unblocked(command: &mut Command) {
    // SAFETY: the closure runs between fork and exec; sigprocmask is async-signal-safe, and it allocates nothing.
    unsafe {
        command.pre_exec(|| {
            block_only(&[]);
            Ok(())
        });
    }
}

/// Ends the process by `signal` and its default action, so that who waits for the process learns what ended it.
pub fn die_by(signal: Signal) {
    // SAFETY: SIG_DFL installs no handler of ours.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    block_only(&[]);
    let _ = raise(signal);
}

/// The name of a signal as the C library has it: "Killed".
pub fn description(signal: Signal) -> String {
    // SAFETY: the text is static for numbers of signals; for others it is valid until the next call in this thread.
    let text = unsafe { std::ffi::CStr::from_ptr(libc::strsignal(signal)) };
    text.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_blocks_nothing() {
        let blocked = |unblocked: bool| {
            std::thread::spawn(move || {
                let _signals = SignalFd::new(&[SIGTTOU]).unwrap();
                let mut command = Command::new("grep");
                command.args(["SigBlk:", "/proc/self/status"]);
                if unblocked {
                    start_unblocked(&mut command);
                }
                let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
                u64::from_str_radix(text.split_whitespace().last().unwrap(), 16).unwrap()
            })
            .join()
            .unwrap()
        };
        assert_eq!(blocked(false), 1 << (SIGTTOU - 1));
        assert_eq!(blocked(true), 0);
    }

    #[test]
    fn a_signal_arrives_at_its_descriptor() {
        // In a thread of its own: the mask is a thread's. SIGTTOU's default is to stop the process, so a leak would show.
        std::thread::spawn(|| {
            let fd = SignalFd::new(&[libc::SIGURG]).unwrap();
            assert_eq!(fd.take().unwrap(), None);
            // SAFETY: a signal to the calling thread, which blocks it.
            unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGURG) };
            assert_eq!(fd.take().unwrap(), Some(libc::SIGURG));
        })
        .join()
        .unwrap();
    }

    #[test]
    fn other_processes() {
        send(std::process::id(), 0).unwrap();
        assert!(send(0, 0).is_err() && send(u32::MAX, 0).is_err());
        assert_eq!((description(libc::SIGKILL), description(libc::SIGTERM)), ("Killed".into(), "Terminated".into()));
        // SAFETY: the child makes system calls and ends.
        match unsafe { libc::fork() } {
            0 => {
                block_only(&[libc::SIGTERM]);
                die_by(libc::SIGTERM);
                // SAFETY: ends the child.
                unsafe { libc::_exit(1) }
            }
            child => {
                let ended = crate::process::wait_for(child as u32).unwrap();
                assert_eq!(ended, crate::process::Ended::Signal(libc::SIGTERM));
            }
        }
    }
}
