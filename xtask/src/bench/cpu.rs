//! CPU time of a process: all of it from each thread's schedstat (exact), the user share from perf's cpu-clock samples.

use super::process::{OTHER_CORE, Process, pinned};
use crate::sh::{self, Result, failure};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// What the threads of a process had so far, in nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cpu {
    /// On a CPU.
    pub running: u64,
    /// Runnable, while somebody else had the CPU.
    pub waiting: u64,
}

impl Cpu {
    /// What has come since `before`.
    pub fn since(self, before: Self) -> Self {
        Self { running: self.running - before.running, waiting: self.waiting - before.waiting }
    }
}

/// CPU of all threads of `pid` so far.
pub fn of(pid: u32) -> Result<Cpu> {
    let mut sum = Cpu::default();
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = match std::fs::read_to_string(task?.path().join("schedstat")) {
            // The thread has ended since the directory was read: without a file, or (ESRCH) with one that was open already.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound || e.raw_os_error() == Some(3) => continue,
            text => text?,
        };
        let mut numbers = text.split_whitespace().map(str::parse::<u64>);
        let (Some(Ok(running)), Some(Ok(waiting))) = (numbers.next(), numbers.next()) else {
            return failure(format!("schedstat of {pid}: {text:?}"));
        };
        sum.running += running;
        sum.waiting += waiting;
    }
    Ok(sum)
}

/// Samples a process while something runs.
pub struct UserShare {
    perf: Process,
    file: std::path::PathBuf,
}

impl UserShare {
    /// Starts `perf record` on `pid`.
    pub fn start(pid: u32, dir: &Path) -> Result<Self> {
        let file = dir.join("perf.data");
        // A leftover would be read as this run's samples if perf failed.
        let _ = std::fs::remove_file(&file);
        let perf = sh::which("perf").ok_or_else(|| sh::Failure("perf is not installed".into()))?;
        // A prime rate: no beat with the tick.
        let mut command = pinned(OTHER_CORE, &perf);
        command.args(["record", "-q", "-e", "cpu-clock", "-F", "7993", "-p", &pid.to_string(), "-o"]).arg(&file);
        let perf = Process(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
        // Samples missed before it has attached shift nothing: only the share counts.
        std::thread::sleep(Duration::from_millis(250));
        Ok(Self { perf, file })
    }

    /// Ends the sampling: the share of user samples, 0 to 1, and how many samples there were.
    pub fn stop(mut self) -> Result<(f64, usize)> {
        self.perf.signal("INT")?;
        self.perf.wait(Duration::from_secs(20))?;
        let text = sh::output(Command::new("perf").args(["script", "-F", "ip", "-i"]).arg(&self.file))?;
        share(&text)
    }
}

/// Kernel addresses have their highest bit set.
fn share(script: &str) -> Result<(f64, usize)> {
    let (mut user, mut all) = (0usize, 0usize);
    for word in script.split_whitespace() {
        if let Ok(ip) = u64::from_str_radix(word, 16) {
            all += 1;
            user += usize::from(ip >> 63 == 0);
        }
    }
    if all < 100 { failure(format!("perf took only {all} samples")) } else { Ok((user as f64 / all as f64, all)) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn shares() {
        let text = "    55d0c0ffee00\nffffffff81000000\n".repeat(75) + &"ffffffff81000010\n".repeat(150);
        let (share, all) = super::share(&text).expect("enough samples");
        assert!((share - 0.25).abs() < 1e-9 && all == 300);
        assert!(super::share("ffffffff81000000").is_err());
    }

    #[test]
    fn own_process_has_run() {
        assert!(super::of(std::process::id()).expect("schedstat").running > 0);
    }
}
