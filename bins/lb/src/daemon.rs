//! The background: a child serves, and its parent ends when the child does serve, or with the child's failure. Pid files.

use crate::messages::alert;
use lb_sys::process::{self, Ended, Forked};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::ExitCode;

/// Who waits for this process to serve.
#[derive(Debug, Default)]
pub enum Starting {
    /// Nobody.
    #[default]
    Alone,
    /// The parent, at the other end of a pipe; then the standard streams become the second file.
    Background(File, File),
    /// The master, at the other end of a socket; then the standard streams become the second file, if there is one.
    Worker(File, Option<File>),
}

/// What a worker and a process in the background send when they serve.
pub const SERVES: u8 = b'R';

impl Starting {
    /// The process serves.
    pub fn serves(self) {
        match self {
            Starting::Alone => {}
            Starting::Background(mut parent, null) => {
                // Streams first: who waits for their end waits no longer than for the parent.
                silence(&null);
                let _ = parent.write_all(&[SERVES]);
            }
            Starting::Worker(mut master, null) => {
                if let Some(null) = null {
                    silence(&null);
                }
                // A master that has gone is noticed by its socket.
                let _ = master.write_all(&[SERVES]);
            }
        }
    }

    /// For a worker of a process that is starting, which tells its master through `channel`.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn worker(self, channel: BorrowedFd<'_>) -> io::Result<Starting> {
        let null = match self {
            Starting::Background(_, null) => Some(null),
            _ => None,
        };
        Ok(Starting::Worker(channel.try_clone_to_owned()?.into(), null))
    }
}

/// Lets go of the terminal.
fn silence(null: &File) {
    for stream in 0..=2 {
        let _ = process::replace_stream(null.as_fd(), stream);
    }
}

/// Which side of [`detach`] this is.
pub enum Detached {
    /// The process in the background.
    Child(Starting),
    /// The one that was started, which ends with this code.
    Parent(ExitCode),
}

/// Splits into a process in the background and one that waits for it to serve.
///
/// # Errors
/// What the system refuses.
pub fn detach() -> io::Result<Detached> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    let (parent_end, child_end) = lb_sys::fds::pair()?;
    match process::fork()? {
        Forked::Child => {
            drop(parent_end);
            process::new_session()?;
            process::replace_stream(null.as_fd(), 0)?;
            Ok(Detached::Child(Starting::Background(child_end.into(), null)))
        }
        Forked::Parent(child) => {
            drop(child_end);
            Ok(Detached::Parent(wait(File::from(parent_end), child)))
        }
    }
}

/// Waits until the child serves or ends.
fn wait(mut news: File, child: u32) -> ExitCode {
    let mut byte = [0];
    if news.read(&mut byte).is_ok_and(|n| n == 1) {
        return ExitCode::SUCCESS;
    }
    match process::wait_for(child) {
        Ok(Ended::Code(code)) if code != 0 => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        Ok(Ended::Signal(signal)) => {
            alert(&format!("the process in the background was ended by signal {signal}"));
            ExitCode::FAILURE
        }
        _ => ExitCode::FAILURE,
    }
}

/// Creates the pid file, so that a failure is told before anything else happens.
///
/// # Errors
/// What the system says.
pub fn create_pidfile(path: &Path) -> Result<File, String> {
    // A new file: the old one may be a link, or be read at this moment.
    let _ = fs::remove_file(path);
    File::create(path).map_err(|e| format!("cannot create the pid file {}: {e}", path.display()))
}

/// Writes this process's number into it.
pub fn write_pid(file: &mut File) -> io::Result<()> {
    file.write_all(format!("{}\n", std::process::id()).as_bytes())
}
