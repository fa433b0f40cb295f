//! `vrrp_script`: a command that is run again and again.
//!
//! Holds: a run that takes too long has failed, and is ended with all that it has started; its output goes nowhere.

use super::{Leash, Object, Tracker, Woken};
use crate::conf::model::{Command, ScriptConf};
use crate::inbox::{Letter, Post};
use crate::log::Log;
use crate::scripts::{Identity, prepared};
use lb_rt::clock::now;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::io;
use std::os::fd::AsFd;
use std::process::Child;
use std::time::{Duration, Instant};
use vrrp::{Script, Status};

/// What a script that takes too long has between SIGTERM and SIGKILL.
pub const GRACE: Duration = Duration::from_secs(1);
/// How often a child is looked at where the kernel has no descriptors of processes.
const GLANCE: Duration = Duration::from_millis(20);

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    Ended { success: bool },
    TimedOut,
    NotStarted,
    Stopped,
}

/// Starts the thread of a script. What it was found to be before a reload (`before`) goes on.
///
/// # Errors
/// When no thread or pipe can be had.
pub fn start(id: u64, script: &ScriptConf, command: Command, who: Identity, before: Status, post: Post, log: Log) -> io::Result<Tracker> {
    let state = match before {
        Status::Unknown if script.init_fail => Script::init_fail(script.rise, script.fall),
        Status::Unknown => Script::new(script.rise, script.fall),
        known => Script::new(script.rise, script.fall).going_on(known),
    };
    let (tracker, leash) = Tracker::new(id, Object::Script(script.name.clone()), state.status(), 0)?;
    let name = script.name.clone();
    let interval = script.interval;
    let timeout = script.timeout.unwrap_or(interval);
    let work = move || {
        let mut state = state;
        let mut said_why = false;
        let mut last: Option<(Status, i64)> = None;
        loop {
            let began = now();
            let run = once(&command, who, timeout, &leash);
            let success = match run {
                Run::Stopped => return,
                Run::Ended { success } => success,
                Run::TimedOut | Run::NotStarted => false,
            };
            // Once, and again after it has worked: a script that is missing would fill the log.
            let why = match run {
                Run::TimedOut => Some("timed out"),
                Run::NotStarted => Some("cannot be run"),
                Run::Ended { .. } | Run::Stopped => None,
            };
            if let Some(why) = why.filter(|_| !said_why) {
                log.line(format!("VRRP_Script({name}) {why}"));
            }
            said_why = why.is_some();
            if let Some(status) = state.result(success) {
                log.line(format!("VRRP_Script({name}) {}", if status == Status::Up { "succeeded" } else { "failed" }));
            }
            let found = (state.status(), i64::from(state.against()));
            if last.replace(found) != Some(found) && !post.send(Letter::Tracked { tracker: id, status: found.0, count: found.1 }) {
                return;
            }
            let rest = interval.saturating_sub(now().saturating_duration_since(began));
            if leash.wait(&[], rest) == Woken::Stop {
                return;
            }
        }
    };
    std::thread::Builder::new().name(format!("script {}", script.name)).spawn(work)?;
    Ok(tracker)
}

fn once(command: &Command, who: Identity, timeout: Duration, leash: &Leash) -> Run {
    let mut process = prepared(command, who, &[]);
    lb_sys::process::end_with_parent(&mut process);
    let Ok(mut child) = process.spawn() else { return Run::NotStarted };
    let run = wait(&mut child, timeout, leash);
    if matches!(run, Run::TimedOut | Run::Stopped) {
        end(&mut child);
    }
    run
}

fn wait(child: &mut Child, timeout: Duration, leash: &Leash) -> Run {
    let until = now() + timeout;
    let descriptor = pidfd_open(Pid::from_child(child), PidfdFlags::empty()).ok();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Run::Ended { success: status.success() },
            Ok(None) => {}
            Err(_) => return Run::Ended { success: false },
        }
        let Some(rest) = rest_until(until) else { return Run::TimedOut };
        let woken = match &descriptor {
            Some(descriptor) => leash.wait(&[descriptor.as_fd()], rest),
            None => leash.wait(&[], rest.min(GLANCE)),
        };
        if woken == Woken::Stop {
            return Run::Stopped;
        }
    }
}

fn rest_until(until: Instant) -> Option<Duration> {
    until.checked_duration_since(now()).filter(|rest| !rest.is_zero())
}

/// Ends a script and everything in its process group.
fn end(child: &mut Child) {
    let group = Pid::from_child(child);
    let _ = kill_process_group(group, Signal::TERM);
    let until = now() + GRACE;
    while rest_until(until).is_some() && matches!(child.try_wait(), Ok(None)) {
        std::thread::sleep(GLANCE);
    }
    // Also when the script itself has gone: what it has started may not have.
    let _ = kill_process_group(group, Signal::KILL);
    let _ = child.wait();
}
