//! Other programs, started beside the loop and waited for by it.
//!
//! Holds: nothing waits for a program but the task that does so; a program whose guard is dropped is ended with all that it has started, and
//! leaves no zombie. Starting one takes the time of vfork and exec, no copy of our memory.

use crate::Rt;
use crate::driver::Handle;
use crate::reactor::Dir;
use crate::socket::Source;
use lb_sys::process::{self, Ended};
use lb_sys::spawn;
use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Instant;

/// A program that runs.
pub struct Program {
    /// `None`: it has ended, and has been waited for.
    child: Option<u32>,
    ended: Source,
}

impl Program {
    /// Starts it.
    ///
    /// # Errors
    /// Those of [`spawn::spawn`]; a limit of descriptors; a kernel before Linux 5.3.
    pub fn start(rt: &Rt, program: &spawn::Program<'_>) -> io::Result<Program> {
        let child = spawn::spawn(program)?;
        match process::watch_child(child) {
            Ok(fd) => Ok(Program { child: Some(child), ended: Source::new(rt, Handle::Sys(fd)) }),
            Err(e) => {
                bury(child);
                Err(e)
            }
        }
    }

    /// How it ended; `None`: it was still running at `deadline`, and has been ended for that.
    ///
    /// # Errors
    /// Those of `waitpid(2)`.
    pub async fn wait(mut self, deadline: Instant) -> io::Result<Option<Ended>> {
        let rt = self.ended.rt.clone();
        poll_fn(|_| self.poll_over(&rt, deadline)).await
    }

    fn poll_over(&mut self, rt: &Rt, deadline: Instant) -> Poll<io::Result<Option<Ended>>> {
        let Some(child) = self.child else { return Poll::Ready(Ok(None)) };
        match spawn::try_wait(child) {
            Ok(None) => {}
            over => {
                self.child = None;
                return Poll::Ready(over);
            }
        }
        // The descriptor only says when to look again.
        if let Poll::Ready(Err(e)) = self.ended.poll_io(Dir::Read, |_| Err(io::ErrorKind::WouldBlock.into())) {
            return Poll::Ready(Err(e));
        }
        // Dropping the guard ends it.
        rt.poll_deadline(Some(deadline)).map(|()| Ok(None))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            bury(child);
        }
    }
}

/// Ends a program. That takes it a moment, for which the loop does not wait.
fn bury(child: u32) {
    let _ = process::kill_group(child);
    if !matches!(spawn::try_wait(child), Ok(None)) {
        return;
    }
    // Without a thread it stays a zombie as long as we live.
    let _ = std::thread::Builder::new().name("lb-burial".into()).spawn(move || process::wait_for(child));
}
