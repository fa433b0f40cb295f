//! `vrrp_track_process`: how many processes of a name run.
//!
//! A thread for each hears the kernel's announcements of processes, so that the beginning and the end of one are known at once. Where there
//! are none (containers do not get them), it looks through /proc every half second and holds a descriptor of each process that it has
//! found: then the end of one is known at once, and the beginning within the half second. A look costs some milliseconds of processor time
//! for each thousand processes.

use super::connector::{Connector, Event};
use super::{Object, Office, Tracker, Woken};
use crate::conf::tracking::{ParamMatch, ProcessConf};
use crate::inbox::Letter;
use lb_rt::clock::now;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;
use vrrp::{Debounce, Status};

/// How often /proc is looked through when nobody announces processes.
pub const LOOK: Duration = Duration::from_millis(500);
/// The same when the kernel does: against what announcements may leave out.
pub const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// Processes of one name whose end is known at once without announcements; that of others is known at the next look.
pub const MAX_HELD: usize = 256;
/// The kernel's names of processes are cut after so many bytes.
const COMM: usize = 15;

/// Starts the thread that counts the processes of one `vrrp_track_process`.
///
/// # Errors
/// When no thread or pipe can be had.
pub fn start(id: u64, conf: &ProcessConf, office: Office) -> io::Result<Tracker> {
    let name = conf.name.clone();
    let mut running = Running { conf: conf.clone(), all: BTreeMap::new() };
    running.look(None);
    let conf = conf.clone();
    let up = |count: usize| conf.quorum.status(u32::try_from(count).unwrap_or(u32::MAX)) == Status::Up;
    let found = running.all.len();
    let status = if up(found) { Status::Up } else { Status::Down };
    let (tracker, leash) = Tracker::new(id, Object::Process(name.clone()), status, count(found))?;
    let mut state = Debounce::new(up(found), conf.fork_delay, conf.terminate_delay);
    let mut last = (status, count(found));
    let work = move || {
        let connector = match Connector::open() {
            Ok(connector) => Some(connector),
            Err(e) => {
                let often = LOOK.as_secs_f32();
                office.line(format!(
                    "Track process {}: the kernel announces none here ({e}), so /proc is looked through every {often} s",
                    conf.name
                ));
                None
            }
        };
        // What has happened between the first look and the first announcement.
        running.look(connector.as_ref());
        let often = if connector.is_some() { LOOK_AGAIN } else { LOOK };
        let mut next = now() + often;
        loop {
            let found = running.all.len();
            let this_count = u32::try_from(found).unwrap_or(u32::MAX);
            state.seen(now(), conf.quorum.status(this_count) == Status::Up);
            let status = if state.is_up() { Status::Up } else { Status::Down };
            let this = (status, count(found));
            if this != last {
                last = this;
                if !office.send(Letter::Tracked { tracker: id, status, count: this.1 }) {
                    return;
                }
            }
            let due = state.poll_timeout().map_or(next, |at| at.min(next));
            let announced = connector.iter().map(Connector::fd);
            let fds: Vec<BorrowedFd<'_>> = announced.chain(running.all.values().flatten().map(OwnedFd::as_fd)).collect();
            let woken = leash.wait(&fds, due.saturating_duration_since(now()));
            let heard = match (woken, &connector) {
                (Woken::Stop, _) => return,
                (Woken::Ready, Some(connector)) => connector.take().map(|events| events.into_iter().for_each(|e| running.hear(e))).is_ok(),
                (Woken::Ready, None) => false,
                (Woken::Time, _) => true,
            };
            if !heard || now() >= next {
                running.look(connector.as_ref());
                next = now() + often;
            }
        }
    };
    std::thread::Builder::new().name(format!("process {name}")).spawn(work)?;
    Ok(tracker)
}

fn count(found: usize) -> i64 {
    i64::try_from(found).unwrap_or(i64::MAX)
}

/// The processes that fit.
struct Running {
    conf: ProcessConf,
    /// By number, with a descriptor where one is held.
    all: BTreeMap<i32, Option<OwnedFd>>,
}

impl Running {
    /// Looks through /proc. Descriptors are held if nobody announces.
    fn look(&mut self, connector: Option<&Connector>) {
        let entries = std::fs::read_dir("/proc").into_iter().flatten();
        let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        let fit: BTreeSet<i32> = numbers.filter(|pid| fits(&self.conf, *pid)).collect();
        self.all.retain(|pid, _| fit.contains(pid));
        for pid in fit {
            self.all.entry(pid).or_default();
        }
        let mut held = 0;
        for (pid, descriptor) in &mut self.all {
            if connector.is_some() || held >= MAX_HELD {
                *descriptor = None;
            } else if descriptor.is_none() {
                *descriptor = Pid::from_raw(*pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
            }
            held += usize::from(descriptor.is_some());
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            // It is what its parent is, until it says otherwise.
            Event::Begun(parent, pid) if self.all.contains_key(&parent) => self.check(pid),
            Event::Changed(pid) => self.check(pid),
            Event::Ended(pid) => drop(self.all.remove(&pid)),
            Event::Begun(..) | Event::Listening => {}
        }
    }

    fn check(&mut self, pid: i32) {
        match fits(&self.conf, pid) {
            true => drop(self.all.insert(pid, None)),
            false => drop(self.all.remove(&pid)),
        }
    }
}

fn fits(conf: &ProcessConf, pid: i32) -> bool {
    // One that has ended and waits for its parent does not run.
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let Some((head, state)) = stat.rsplit_once(") ") else { return false };
    if state.starts_with(['Z', 'X']) {
        return false;
    }
    if !conf.full_command && conf.params.is_empty() && conf.param_match == ParamMatch::None {
        let comm = head.split_once('(').map_or("", |(_, comm)| comm);
        return comm == cut(&conf.command);
    }
    let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let mut words = line.strip_suffix(b"\0").unwrap_or(&line).split(|b| *b == 0);
    words.next() == Some(conf.command.as_bytes()) && params_fit(conf, &words.collect::<Vec<_>>())
}

/// The name as the kernel has it.
fn cut(command: &str) -> &str {
    let name = command.rsplit('/').next().unwrap_or(command);
    let mut end = name.len().min(COMM);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

fn params_fit(conf: &ProcessConf, params: &[&[u8]]) -> bool {
    let wanted: Vec<&[u8]> = conf.params.iter().map(String::as_bytes).collect();
    match conf.param_match {
        ParamMatch::None | ParamMatch::Exact => params == wanted.as_slice(),
        ParamMatch::Partial => params.starts_with(&wanted),
        ParamMatch::Initial => {
            let Some((last, before)) = wanted.split_last() else { return true };
            params.starts_with(before) && params.get(before.len()).is_some_and(|p| p.starts_with(last))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without announcements: what is found is held, and its end is known at once.
    #[test]
    fn a_look() {
        let name = format!("vtl{}", std::process::id());
        let program = std::env::temp_dir().join(&name);
        // No copy: one that is being written cannot be run, and any process that starts meanwhile holds it open.
        std::os::unix::fs::symlink("/bin/sleep", &program).expect("a link");
        let mut running = Running { conf: ProcessConf { command: name.clone(), ..ProcessConf::named(&name) }, all: BTreeMap::new() };
        running.look(None);
        assert!(running.all.is_empty());
        let mut child = std::process::Command::new(&program).arg("600").spawn().expect("a process");
        running.look(None);
        let pid = i32::try_from(child.id()).expect("a number");
        assert!(running.all.keys().eq([&pid]));
        let descriptor = running.all[&pid].as_ref().expect("it is held").try_clone().expect("a descriptor");
        child.kill().expect("a child");
        let mut fds = [rustix::event::PollFd::new(&descriptor, rustix::event::PollFlags::IN)];
        assert_eq!(rustix::event::poll(&mut fds, None), Ok(1));
        child.wait().expect("a child");
        running.look(None);
        assert!(running.all.is_empty());
        let _ = std::fs::remove_file(program);
    }

    #[test]
    fn parameters() {
        let conf = |params: &[&str], param_match| ProcessConf {
            params: params.iter().map(|p| p.to_string()).collect(),
            param_match,
            ..ProcessConf::named("x")
        };
        let fits =
            |params: &[&str], how, have: &[&str]| params_fit(&conf(params, how), &have.iter().map(|p| p.as_bytes()).collect::<Vec<_>>());
        assert!(fits(&["a", "b"], ParamMatch::Exact, &["a", "b"]) && !fits(&["a"], ParamMatch::Exact, &["a", "b"]));
        assert!(fits(&["a"], ParamMatch::Partial, &["a", "b"]) && !fits(&["b"], ParamMatch::Partial, &["a", "b"]));
        assert!(fits(&["a", "b"], ParamMatch::Initial, &["a", "bcd"]) && !fits(&["a", "b"], ParamMatch::Initial, &["ab", "b"]));
        assert_eq!(cut("/usr/sbin/a-name-of-many-letters"), "a-name-of-many-");
    }
}
