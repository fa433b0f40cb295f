//! A thread that hangs: it is said where, and a thread that goes on hanging ends the process, as haproxy's watchdog does, so that a
//! service manager or a master can start another one.

use lb_rt::watchdog::{Stuck, watch};
use lb_sys::watchdog::{thread_id, write_error};
use std::io::Write;
use std::time::Duration;

/// Processor time between two looks: a second in one poll of one task is a hundred times more than any of them needs.
const EVERY: Duration = Duration::from_secs(1);

/// Looks in the same place after which the process ends.
const ENOUGH: u32 = 2;

/// Watches the calling thread until the process ends; tells why it cannot.
pub fn start() -> Result<(), String> {
    match watch(EVERY, tell) {
        Ok(watchdog) => {
            // It lives as long as the thread, which is as long as the process.
            std::mem::forget(watchdog);
            Ok(())
        }
        Err(e) => Err(format!("a thread that hangs will not be noticed: {e}")),
    }
}

/// Runs in the middle of whatever hangs: no allocation, no lock.
fn tell(stuck: Stuck) {
    let mut text = [0; 512];
    let mut rest = &mut text[..];
    // What does not fit is left out.
    let _ = writeln!(
        rest,
        "[ALERT]    ({}) : thread {} hangs since {} s in {}; its connections wait.{}",
        std::process::id(),
        thread_id(),
        stuck.times,
        stuck.task.unwrap_or("its loop, between tasks"),
        if stuck.times < ENOUGH { "" } else { " Ending the process." },
    );
    let left = rest.len();
    write_error(&text[..text.len() - left]);
    if stuck.times >= ENOUGH {
        std::process::abort();
    }
}
