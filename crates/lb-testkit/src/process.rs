//! A program under test as a child process. Holds: it is stopped by its pid when its guard is dropped, and what it wrote is kept.

use crate::fixture::TempDir;
use crate::ports;
use crate::wait::{Deadline, patience, until};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// Debian's haproxy, the reference.
pub const HAPROXY: &str = "/usr/sbin/haproxy";

/// A running program with its own directory, its output in files there.
#[derive(Debug)]
pub struct Process {
    child: Child,
    dir: TempDir,
    status: Option<ExitStatus>,
}

/// Why a program did not come up.
#[derive(Debug)]
pub enum StartError {
    /// The program could not be run at all.
    Io(io::Error),
    /// It ended before it listened; status and what it wrote.
    Ended(ExitStatus, String),
    /// It did not listen in time; what it wrote.
    Silent(String),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StartError::Io(e) => write!(f, "cannot start: {e}"),
            StartError::Ended(status, out) => write!(f, "ended at once ({status}):\n{out}"),
            StartError::Silent(out) => write!(f, "does not listen after {:?}:\n{out}", patience()),
        }
    }
}

impl std::error::Error for StartError {}

impl From<io::Error> for StartError {
    fn from(e: io::Error) -> Self {
        StartError::Io(e)
    }
}

impl StartError {
    /// Whether another program had taken a port in the meantime: worth another try with new ports.
    pub fn is_port_clash(&self) -> bool {
        matches!(self, StartError::Ended(_, out) if {
            let out = out.to_lowercase();
            out.contains("in use") || out.contains("cannot bind") || out.contains("cannot listen")
        })
    }
}

impl Process {
    /// Starts `program` with `args`, its working directory a new temporary one, stdout and stderr to files there.
    pub fn spawn(program: &Path, args: &[&str]) -> io::Result<Self> {
        Self::spawn_in(TempDir::new("proc")?, program, args)
    }

    /// As [`Process::spawn`] in a directory that is there already (it is kept until the process is stopped).
    pub fn spawn_in(dir: TempDir, program: &Path, args: &[&str]) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(args);
        Self::spawn_command(dir, command)
    }

    /// As [`Process::spawn_in`] with a command whose environment the caller has set up.
    pub fn spawn_command(dir: TempDir, mut command: Command) -> io::Result<Self> {
        let child = command
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(File::create(dir.path().join("stdout"))?)
            .stderr(File::create(dir.path().join("stderr"))?)
            .spawn()?;
        Ok(Process { child, dir, status: None })
    }

    /// Starts a proxy (`lb` or haproxy) in the foreground with the configuration `config` (written to a file in `dir`) and waits
    /// until all of `ports` (TCP) listen.
    pub fn proxy(dir: TempDir, program: &Path, config: &str, ports: &[u16]) -> Result<Self, StartError> {
        let file = dir.write("proxy.cfg", config)?;
        let file = file.to_str().expect("a UTF-8 path");
        let mut process = Self::spawn_in(dir, program, &["-db", "-f", file])?;
        process.wait_listening(ports)?;
        Ok(process)
    }

    /// Waits until all of `ports` (TCP, any address) listen. Looks at /proc, makes no connection.
    pub fn wait_listening(&mut self, ports: &[u16]) -> Result<(), StartError> {
        let mut ended = None;
        let up = until(patience(), || {
            ended = self.try_status();
            ended.is_some() || ports::listening().is_ok_and(|seen| ports.iter().all(|p| seen.contains(p)))
        });
        match ended {
            Some(status) => Err(StartError::Ended(status, self.output())),
            None if up => Ok(()),
            None => Err(StartError::Silent(self.output())),
        }
    }

    /// The pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What it wrote to stderr so far.
    pub fn stderr(&self) -> String {
        self.read("stderr")
    }

    /// What it wrote to stdout so far.
    pub fn stdout(&self) -> String {
        self.read("stdout")
    }

    /// Both, stdout first.
    pub fn output(&self) -> String {
        self.stdout() + &self.stderr()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read(self.dir.path().join(name)).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
    }

    /// Sends a signal to it.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        if self.status.is_some() {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        Ok(kill_process(self.as_pid(), signal)?)
    }

    /// Sets its limit of open files (the soft and the hard one).
    pub fn limit_files(&self, count: u64) -> io::Result<()> {
        prlimit(Some(self.as_pid()), Resource::Nofile, Rlimit { current: Some(count), maximum: Some(count) })?;
        Ok(())
    }

    fn as_pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Its exit status, if it has ended.
    pub fn try_status(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status
    }

    /// Waits for its end; `None` when the deadline passed first.
    pub fn wait(&mut self, deadline: Deadline) -> Option<ExitStatus> {
        let left = deadline.left().unwrap_or_default();
        until(left, || self.try_status().is_some());
        self.status
    }

    /// The number of file descriptors it has open.
    pub fn open_files(&self) -> io::Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.pid()))?.count())
    }

    /// CPU time it has used, user and system together, in clock ticks (/proc/pid/stat).
    pub fn cpu_ticks(&self) -> io::Result<u64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
        let after = stat.rsplit(')').next().unwrap_or_default();
        let words: Vec<&str> = after.split_ascii_whitespace().collect();
        let tick = |i: usize| words.get(i).and_then(|w| w.parse::<u64>().ok()).unwrap_or(0);
        Ok(tick(11) + tick(12))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.try_status().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Runs `program` to its end and gives status, stdout and stderr. Killed when it takes longer than the usual patience.
pub fn run(program: &Path, args: &[&str]) -> io::Result<(Option<ExitStatus>, String, String)> {
    let mut process = Process::spawn(program, args)?;
    let status = process.wait(Deadline::patient());
    Ok((status, process.stdout(), process.stderr()))
}

/// The program under test: `LB_BIN`, or the given default.
pub fn under_test(default: impl Into<PathBuf>) -> PathBuf {
    std::env::var_os("LB_BIN").map_or_else(|| default.into(), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_status_and_stop() {
        let (status, out, err) = run(Path::new("/bin/sh"), &["-c", "echo out; echo err >&2; exit 3"]).unwrap();
        assert_eq!((status.unwrap().code(), out.as_str(), err.as_str()), (Some(3), "out\n", "err\n"));
        let process = Process::spawn(Path::new("/bin/sleep"), &["100"]).unwrap();
        let pid = process.pid();
        assert!(process.open_files().unwrap() >= 3);
        drop(process);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn a_program_that_ends_is_an_error() {
        let mut process = Process::spawn(Path::new("/bin/sh"), &["-c", "echo cannot bind; exit 1"]).unwrap();
        let error = process.wait_listening(&[1]).unwrap_err();
        assert!(error.is_port_clash(), "{error}");
    }
}
