//! Scripts: those that are tracked, each on a thread of its own, and those that are told of changes, in order on one thread. Nothing of
//! it is waited for by an election.

use crate::conf::model::{Command, Conf, ScriptConf, User};
use crate::log::Log;
use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// Notices that wait to be given to scripts and fifos.
pub const QUEUE: usize = 4096;
/// Notify scripts that run at once; further notices wait.
pub const MAX_RUNNING: usize = 64;
/// How often a script that runs is looked at.
const GLANCE: Duration = Duration::from_millis(10);

/// Who runs a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    uid: u32,
    gid: u32,
}

impl Identity {
    /// The user of a command: its own, `script_user`, `keepalived_script` if there is such a user, or ourselves.
    ///
    /// # Errors
    /// The name that nobody has.
    pub fn of(conf: &Conf, command: &Command) -> Result<Identity, String> {
        let ourselves = Identity { uid: lb_sys::account::effective_user(), gid: lb_sys::account::effective_group() };
        match conf.user_of(command) {
            Some(user) => Identity::named(user),
            None => {
                let script = User { user: "keepalived_script".into(), group: None };
                Ok(Identity::named(&script).unwrap_or(ourselves))
            }
        }
    }

    fn named(user: &User) -> Result<Identity, String> {
        let uid = lb_sys::account::user_id(&user.user).ok_or_else(|| format!("there is no user {}", user.user))?;
        let gid = match &user.group {
            Some(group) => lb_sys::account::group_id(group).ok_or_else(|| format!("there is no group {group}"))?,
            None => own_group(&user.user).ok_or_else(|| format!("user {} has no group in /etc/passwd; name one behind it", user.user))?,
        };
        Ok(Identity { uid, gid })
    }

    /// Whether it may do anything.
    pub fn is_root(self) -> bool {
        self.uid == 0
    }
}

fn own_group(user: &str) -> Option<u32> {
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = passwd.lines().find(|line| line.split(':').next() == Some(user))?;
    line.split(':').nth(3)?.parse().ok()
}

/// Where a command's program is: a path, or found in `PATH` as keepalived finds it.
pub fn program(command: &Command) -> Option<PathBuf> {
    let name = Path::new(command.words.first()?);
    if name.components().count() > 1 {
        return name.is_file().then(|| name.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin".into());
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// The first part of a path that others than root could change: then whoever can may run anything as root.
pub fn unsafe_part(path: &Path) -> Option<PathBuf> {
    let real = path.canonicalize().unwrap_or_else(|_| path.into());
    let parts: Vec<&Path> = real.ancestors().collect();
    let bad =
        |part: &&&Path| part.metadata().is_ok_and(|m| m.uid() != 0 || m.mode() & 0o002 != 0 || (m.mode() & 0o020 != 0 && m.gid() != 0));
    parts.iter().rev().find(bad).map(|part| part.to_path_buf())
}

/// What is wrong with a command, so that it is not to be run: there is no such program; or root would run what others can change, and the
/// file asks for `enable_script_security`.
pub fn problem(conf: &Conf, command: &Command) -> Option<String> {
    let Some(file) = program(command) else { return Some("not found/accessible".into()) };
    let root = Identity::of(conf, command).is_ok_and(Identity::is_root);
    let part = unsafe_part(&file).filter(|_| root && conf.global.script_security)?;
    Some(format!("insecure: others than root can change {}", part.display()))
}

fn prepared(command: &Command, who: Identity, more: &[String]) -> std::process::Command {
    let mut process = std::process::Command::new(&command.words[0]);
    process.args(&command.words[1..]).args(more);
    process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    if lb_sys::account::effective_user() == 0 {
        process.uid(who.uid).gid(who.gid);
    }
    process
}

/// What a tracked script came to: its index in the configuration, and whether it succeeded.
pub type Outcome = (usize, bool);

/// Runs a script again and again on a thread of its own. It ends when nobody takes its results any more.
///
/// # Errors
/// When no thread can be started.
pub fn track(
    index: usize,
    script: &ScriptConf,
    command: Command,
    who: Identity,
    results: Sender<Outcome>,
    wake: io::PipeWriter,
) -> io::Result<()> {
    let (interval, timeout) = (script.interval, script.timeout.unwrap_or(script.interval));
    let mut wake = wake;
    std::thread::Builder::new().name(format!("script {}", script.name)).spawn(move || {
        loop {
            let (success, took) = once(&command, who, timeout);
            if results.send((index, success)).is_err() || wake.write_all(&[0]).is_err() {
                return;
            }
            std::thread::sleep(interval.saturating_sub(took));
        }
    })?;
    Ok(())
}

/// One run, killed with all its children when it takes too long; and how long it took, to the tenth of a second or so.
fn once(command: &Command, who: Identity, timeout: Duration) -> (bool, Duration) {
    let Ok(mut child) = prepared(command, who, &[]).spawn() else { return (false, Duration::ZERO) };
    let mut took = Duration::ZERO;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return (status.success(), took),
            Ok(None) if took < timeout => {
                std::thread::sleep(GLANCE);
                took += GLANCE;
            }
            Ok(None) | Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                return (false, took);
            }
        }
    }
}

/// Something to be told.
pub enum Job {
    /// A script, with arguments behind its own.
    Run(Command, Identity, Vec<String>),
    /// A line for every fifo.
    Line(String),
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
    pub fn start(fifos: Vec<String>, log: Log) -> io::Result<(Notifier, std::thread::JoinHandle<()>)> {
        let (queue, jobs) = sync_channel(QUEUE);
        let own = log.clone();
        let thread = std::thread::Builder::new().name("notify".into()).spawn(move || tell(&jobs, &fifos, &own))?;
        Ok((Notifier { queue, log }, thread))
    }

    /// In the order in which it is called. Never waits: what finds the queue full is said to be lost.
    pub fn tell(&self, job: Job) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(job) {
            self.log.line("a notice was not given: too many wait already".into());
        }
    }
}

fn tell(jobs: &Receiver<Job>, fifos: &[String], log: &Log) {
    let mut running: Vec<Child> = Vec::new();
    let mut open: HashMap<&str, std::fs::File> = HashMap::new();
    for job in jobs {
        running.retain_mut(|child| !matches!(child.try_wait(), Ok(Some(_))));
        while running.len() >= MAX_RUNNING {
            std::thread::sleep(GLANCE);
            running.retain_mut(|child| !matches!(child.try_wait(), Ok(Some(_))));
        }
        match job {
            Job::Run(command, who, more) => match prepared(&command, who, &more).spawn() {
                Ok(child) => running.push(child),
                Err(e) => log.line(format!("{} cannot be run: {e}", command.words[0])),
            },
            Job::Line(line) => {
                for fifo in fifos {
                    // Without a reader there is nobody to tell.
                    if !open.contains_key(fifo.as_str()) {
                        let nonblocking = rustix::fs::OFlags::NONBLOCK.bits() as i32;
                        if let Ok(file) = OpenOptions::new().write(true).custom_flags(nonblocking).open(fifo) {
                            open.insert(fifo, file);
                        }
                    }
                    if open.get_mut(fifo.as_str()).is_some_and(|file| file.write_all(line.as_bytes()).is_err()) {
                        open.remove(fifo.as_str());
                    }
                }
            }
        }
    }
}
