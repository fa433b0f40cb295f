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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    /// Set in the process that is to hang.
    const HANGS: &str = "LB_TEST_HANGS";

    async fn spin() {
        loop {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn a_process_that_hangs_is_ended() {
        if std::env::var_os(HANGS).is_some() {
            start().unwrap();
            let rt = lb_rt::Rt::new().unwrap();
            rt.spawn(spin());
            let _ = rt.block_on(std::future::pending::<()>());
        }
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "watchdog::tests::a_process_that_hangs_is_ended", "--nocapture"]).env(HANGS, "1");
        let out = command.output().unwrap();
        let text = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.signal(), Some(lb_sys::signal::SIGABRT), "{}: {text}", out.status);
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("[ALERT]")).collect();
        assert_eq!(lines.len(), ENOUGH as usize, "{text}");
        assert!(lines[0].contains(" hangs since 1 s in ") && lines[0].contains("spin") && !lines[0].contains("Ending"), "{text}");
        assert!(lines[1].ends_with("Ending the process."), "{text}");
    }
}
