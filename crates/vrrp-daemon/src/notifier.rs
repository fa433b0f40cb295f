//! Those that are told of changes: scripts, started in order, and fifos. One thread does it; nothing of it is waited for by an election.
//!
//! Holds: what nobody takes is bounded. A fifo without a reader keeps what fits into a pipe (64 KiB), then lines are lost and counted;
//! scripts that do not end delay further ones when there are [`MAX_RUNNING`].

use crate::conf::model::Command;
use crate::log::Log;
use crate::scripts::{Identity, prepared};
use lb_rt::clock::now;
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::process::Child;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// Notices that wait to be given to scripts and fifos.
pub const QUEUE: usize = 4096;
/// Notify scripts that run at once; further notices wait.
pub const MAX_RUNNING: usize = 64;
/// What the script of a fifo has between the end of its input and SIGTERM.
pub const GRACE: Duration = Duration::from_secs(1);
/// How often a script that runs is looked at.
const GLANCE: Duration = Duration::from_millis(10);

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

/// Something to be told.
pub enum Job {
    /// A script, with arguments behind its own.
    Run(Command, Identity, Vec<String>),
    /// A line for every fifo.
    Line(String),
    /// From now on these are the fifos.
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
    let mut running: Vec<Child> = Vec::new();
    let mut fifos: Vec<Open> = Vec::new();
    let ended = |child: &mut Child| matches!(child.try_wait(), Ok(Some(_)) | Err(_));
    for job in jobs {
        running.retain_mut(|child| !ended(child));
        match job {
            Job::Run(command, who, more) => {
                while running.len() >= MAX_RUNNING {
                    std::thread::sleep(GLANCE);
                    running.retain_mut(|child| !ended(child));
                }
                match prepared(&command, who, &more).spawn() {
                    Ok(child) => running.push(child),
                    Err(e) => log.line(format!("{} cannot be run: {e}", command.words[0])),
                }
            }
            Job::Line(line) => fifos.iter_mut().for_each(|fifo| fifo.write(&line, log)),
            Job::Fifos(new) => {
                let (stay, go): (Vec<Open>, Vec<Open>) = fifos.into_iter().partition(|open| new.contains(&open.fifo));
                go.into_iter().for_each(Open::close);
                fifos = stay;
                for fifo in new {
                    if !fifos.iter().any(|open| open.fifo == fifo) {
                        fifos.extend(Open::new(fifo, log));
                    }
                }
            }
        }
    }
    fifos.into_iter().for_each(Open::close);
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
        let opened = OpenOptions::new().read(true).write(true).custom_flags(flags).open(&fifo.path);
        let checked = opened.and_then(|file| match file.metadata()?.file_type().is_fifo() {
            true => Ok(file),
            false => Err(io::Error::other("it is no fifo")),
        });
        let file = match checked {
            Ok(file) => file,
            Err(e) => {
                log.line(format!("Unable to open notify fifo {}: {e}", fifo.path));
                return None;
            }
        };
        let script = fifo.script.as_ref().and_then(|(command, who)| {
            let mut process = prepared(command, *who, std::slice::from_ref(&fifo.path));
            lb_sys::process::end_with_parent(&mut process);
            process.spawn().map_err(|e| log.line(format!("{} cannot be run: {e}", command.words[0]))).ok()
        });
        Some(Open { fifo, file, made, script, lost: 0 })
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
        while matches!(script.try_wait(), Ok(None)) {
            if now() >= until {
                let _ = kill_process_group(Pid::from_child(&script), Signal::TERM);
                break;
            }
            std::thread::sleep(GLANCE);
        }
    }
}
