//! Those that are told of changes: scripts, started in order, and fifos. One thread does it; nothing of it is waited for by an election.
//!
//! Holds: what nobody takes is bounded. A fifo without a reader keeps what fits into a pipe (64 KiB), then lines are lost and counted;
//! scripts that do not end delay further ones when there are [`MAX_RUNNING`], and never a fifo; those that still wait when there are [`QUEUE`]
//! are not run, and that is said.

use crate::conf::model::Command;
use crate::log::Log;
use crate::scripts::{Identity, prepared};
use lb_rt::clock::now;
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::process::Child;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// Notices that wait to be given to scripts and fifos.
pub const QUEUE: usize = 4096;
/// Notify scripts that run at once; further notices wait. More than 255 instances start at once, with two scripts each.
pub const MAX_RUNNING: usize = 1024;
/// What scripts that run have at the end of the program, and the script of a fifo between the end of its input and SIGTERM.
pub const GRACE: Duration = Duration::from_secs(1);
/// How often a script is looked at that something waits for.
const GLANCE: Duration = Duration::from_millis(10);
/// How often scripts are looked at that nothing waits for: that long an ended one may be a zombie.
const LOOK: Duration = Duration::from_millis(250);

/// A fifo that is to be told of everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fifo {
    /// Where it is. It is made if it is not there, and removed by who has made it.
    pub path: String,
    /// To whom it belongs when it is made.
    pub owner: Identity,
    /// The script that reads it: the path is its last argument.
    pub script: Option<(Command, Identity)>,
}

/// A script to be run, with arguments behind its own.
pub struct Run {
    /// Program and arguments.
    pub command: Command,
    /// Who runs it.
    pub who: Identity,
    /// What stands behind its own arguments.
    pub more: Vec<String>,
    /// It is about the end of the program, and goes on after it; others are sent SIGTERM then.
    pub outlives: bool,
}

/// Something to be told.
pub enum Job {
    /// A script.
    Run(Run),
    /// A line for every fifo.
    Line(String),
    /// From now on these are the fifos. Those that were there already stay, and their scripts are started anew, as keepalived does it: they
    /// may be others now.
    Fifos(Vec<Fifo>),
}

/// The thread that tells.
#[derive(Clone)]
pub struct Notifier {
    queue: SyncSender<Job>,
    log: Log,
}

impl Notifier {
    /// Starts it.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(log: Log) -> io::Result<(Notifier, std::thread::JoinHandle<()>)> {
        let (queue, jobs) = sync_channel(QUEUE);
        let own = log.clone();
        let thread = std::thread::Builder::new().name("notify".into()).spawn(move || tell(&jobs, &own))?;
        Ok((Notifier { queue, log }, thread))
    }

    /// In the order in which it is called. Never waits: what finds the queue full is said to be lost.
    pub fn tell(&self, job: Job) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(job) {
            self.log.line("a notice was not given: too many wait already".into());
        }
    }
}

fn tell(jobs: &Receiver<Job>, log: &Log) {
    let mut scripts = Scripts { running: Vec::new(), waiting: VecDeque::new() };
    let mut fifos: Vec<Open> = Vec::new();
    loop {
        let idle = scripts.running.is_empty() && fifos.iter().all(|open| open.script.is_none());
        let job = match (scripts.waiting.is_empty(), idle) {
            (false, _) => jobs.recv_timeout(GLANCE),
            (true, false) => jobs.recv_timeout(LOOK),
            (true, true) => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        scripts.go_on(log);
        fifos.iter_mut().for_each(|open| open.look(log));
        match job {
            Ok(Job::Run(run)) => scripts.run(run, log),
            Ok(Job::Line(line)) => fifos.iter_mut().for_each(|fifo| fifo.write(&line, log)),
            Ok(Job::Fifos(new)) => {
                let (mut stay, go): (Vec<Open>, Vec<Open>) = fifos.into_iter().partition(|open| new.contains(&open.fifo));
                go.into_iter().for_each(Open::close);
                stay.iter_mut().for_each(|open| open.start_again(log));
                fifos = stay;
                for fifo in new {
                    if !fifos.iter().any(|open| open.fifo == fifo) {
                        fifos.extend(Open::new(fifo, log));
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    fifos.into_iter().for_each(Open::close);
    scripts.end(log);
}

/// Notify scripts.
struct Scripts {
    running: Vec<(Child, bool)>,
    waiting: VecDeque<Run>,
}

impl Scripts {
    fn run(&mut self, run: Run, log: &Log) {
        match self.waiting.len() {
            0 if self.running.len() < MAX_RUNNING => self.start(&run, log),
            waiting if waiting < QUEUE => self.waiting.push_back(run),
            _ => log.line(format!("{} is not run: too many scripts have not ended", run.command.words[0])),
        }
    }

    fn start(&mut self, run: &Run, log: &Log) {
        let mut process = prepared(&run.command, run.who, &run.more);
        if !run.outlives {
            lb_sys::process::end_with_parent(&mut process);
        }
        match process.spawn() {
            Ok(child) => self.running.push((child, run.outlives)),
            Err(e) => log.line(format!("{} cannot be run: {e}", run.command.words[0])),
        }
    }

    /// Forgets those that have ended, and starts others in their place.
    fn go_on(&mut self, log: &Log) {
        self.running.retain_mut(|(child, _)| !ended(child));
        while self.running.len() < MAX_RUNNING
            && let Some(run) = self.waiting.pop_front()
        {
            self.start(&run, log);
        }
    }

    /// The end of the program: those that run get [`GRACE`], and then SIGTERM, but for those that are to outlive it.
    fn end(mut self, log: &Log) {
        let until = now() + GRACE;
        loop {
            self.go_on(log);
            if now() >= until || self.running.iter().all(|(_, outlives)| *outlives) {
                break;
            }
            std::thread::sleep(GLANCE);
        }
        // keepalived's end does the same to them; what they have started may be meant to stay.
        for (child, _) in self.running.iter().filter(|(_, outlives)| !outlives) {
            let _ = kill_process(Pid::from_child(child), Signal::TERM);
        }
    }
}

fn ended(child: &mut Child) -> bool {
    matches!(child.try_wait(), Ok(Some(_)) | Err(_))
}

/// A fifo with its pipe.
struct Open {
    fifo: Fifo,
    file: File,
    made: bool,
    script: Option<Child>,
    lost: u64,
}

impl Open {
    fn new(fifo: Fifo, log: &Log) -> Option<Open> {
        let made = mknodat(CWD, &fifo.path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).is_ok();
        if made {
            let (uid, gid) = fifo.owner.ids();
            let _ = std::os::unix::fs::lchown(&fifo.path, Some(uid), Some(gid));
        }
        // For both directions: so it opens without a reader, and the pipe keeps what is written until one comes.
        let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits() as i32;
        let opened = OpenOptions::new().read(true).append(true).custom_flags(flags).open(&fifo.path);
        // A file takes lines as well, as with keepalived.
        let checked = opened.and_then(|file| match file.metadata()?.file_type() {
            kind if kind.is_fifo() || kind.is_file() => Ok(file),
            _ => Err(io::Error::other("it is no fifo")),
        });
        let file = match checked {
            Ok(file) => file,
            Err(e) => {
                log.line(format!("Unable to open notify fifo {}: {e}", fifo.path));
                return None;
            }
        };
        let mut open = Open { fifo, file, made, script: None, lost: 0 };
        open.start(log);
        Some(open)
    }

    fn start(&mut self, log: &Log) {
        self.script = self.fifo.script.as_ref().and_then(|(command, who)| {
            let mut process = prepared(command, *who, std::slice::from_ref(&self.fifo.path));
            lb_sys::process::end_with_parent(&mut process);
            process.spawn().map_err(|e| log.line(format!("{} cannot be run: {e}", command.words[0]))).ok()
        });
    }

    /// What it has not read yet, the new one reads.
    fn start_again(&mut self, log: &Log) {
        if let Some(script) = self.script.take() {
            end(script);
        }
        self.start(log);
    }

    /// Says that the script has ended. As with keepalived, a reload starts it again, and nothing else does.
    fn look(&mut self, log: &Log) {
        if self.script.as_mut().is_some_and(ended) {
            self.script = None;
            log.line("vrrp notify fifo script terminated".into());
        }
    }

    fn write(&mut self, line: &str, log: &Log) {
        // A line is shorter than PIPE_BUF: it is written whole or not at all.
        match self.file.write(line.as_bytes()) {
            Ok(_) if self.lost > 0 => {
                log.line(format!("notify fifo {}: {} lines were lost, nobody read them", self.fifo.path, self.lost));
                self.lost = 0;
            }
            Ok(_) => {}
            Err(e) => {
                if self.lost == 0 {
                    log.line(format!("notify fifo {}: a line was lost: {e}", self.fifo.path));
                }
                self.lost += 1;
            }
        }
    }

    fn close(self) {
        if self.made {
            let _ = std::fs::remove_file(&self.fifo.path);
        }
        drop(self.file);
        let Some(mut script) = self.script else { return };
        let until = now() + GRACE;
        while !ended(&mut script) {
            if now() >= until {
                return end(script);
            }
            std::thread::sleep(GLANCE);
        }
    }
}

/// Ends the script of a fifo with all that it has started, and waits for it, but not for ever.
fn end(mut script: Child) {
    let _ = kill_process_group(Pid::from_child(&script), Signal::TERM);
    let until = now() + GRACE;
    while !ended(&mut script) && now() < until {
        std::thread::sleep(GLANCE);
    }
}
