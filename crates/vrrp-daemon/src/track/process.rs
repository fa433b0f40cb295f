//! `vrrp_track_process`: how many processes of a name run.
//!
//! One thread looks through /proc every half second. Of the processes that it has found it holds a descriptor, so that the end of one is
//! known at once; that one has begun is known within the half second. keepalived asks the kernel's connector of process events, which
//! containers do not get; a look costs some milliseconds of processor time for each thousand processes.

use super::{Object, Office, Tracker, Woken};
use crate::conf::tracking::{ParamMatch, ProcessConf};
use crate::inbox::Letter;
use lb_rt::clock::now;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;
use vrrp::{Debounce, Status};

/// How often /proc is looked through.
pub const LOOK: Duration = Duration::from_millis(500);
/// Processes of one name whose end is known at once; that of others is known at the next look.
pub const MAX_HELD: usize = 256;
/// The kernel's names of processes are cut after so many bytes.
const COMM: usize = 15;

/// Starts the thread that counts the processes of one `vrrp_track_process`.
///
/// # Errors
/// When no thread or pipe can be had.
pub fn start(id: u64, conf: &ProcessConf, office: Office) -> io::Result<Tracker> {
    let conf = conf.clone();
    let name = conf.name.clone();
    let mut held = BTreeMap::new();
    let found = look(&conf, &mut held);
    let up = |count: usize| conf.quorum.status(u32::try_from(count).unwrap_or(u32::MAX)) == Status::Up;
    let status = if up(found) { Status::Up } else { Status::Down };
    let (tracker, leash) = Tracker::new(id, Object::Process(name.clone()), status, count(found))?;
    let mut state = Debounce::new(up(found), conf.fork_delay, conf.terminate_delay);
    let mut last = (status, count(found));
    let work = move || {
        loop {
            let delayed = state.poll_timeout().map(|at| at.saturating_duration_since(now()));
            let fds: Vec<BorrowedFd<'_>> = held.values().map(OwnedFd::as_fd).collect();
            if leash.wait(&fds, delayed.map_or(LOOK, |rest| rest.min(LOOK))) == Woken::Stop {
                return;
            }
            let found = look(&conf, &mut held);
            let running = u32::try_from(found).unwrap_or(u32::MAX);
            state.seen(now(), conf.quorum.status(running) == Status::Up);
            let status = if state.is_up() { Status::Up } else { Status::Down };
            let this = (status, count(found));
            if this != last {
                last = this;
                if !office.send(Letter::Tracked { tracker: id, status, count: this.1 }) {
                    return;
                }
            }
        }
    };
    std::thread::Builder::new().name(format!("process {name}")).spawn(work)?;
    Ok(tracker)
}

fn count(found: usize) -> i64 {
    i64::try_from(found).unwrap_or(i64::MAX)
}

/// How many processes fit. Descriptors of those that do not any more are let go.
fn look(conf: &ProcessConf, held: &mut BTreeMap<i32, OwnedFd>) -> usize {
    let Ok(all) = std::fs::read_dir("/proc") else { return 0 };
    let numbers = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let fit: Vec<i32> = numbers.filter(|pid| fits(conf, *pid)).collect();
    held.retain(|pid, _| fit.contains(pid));
    for pid in &fit {
        if held.len() < MAX_HELD && !held.contains_key(pid) {
            let descriptor = Pid::from_raw(*pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
            held.extend(descriptor.map(|fd| (*pid, fd)));
        }
    }
    fit.len()
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
