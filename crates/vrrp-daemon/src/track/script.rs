//! `vrrp_script`: a command that is run again and again.
//!
//! Holds: a run that takes too long has failed, and is ended with all that it has started; its output goes nowhere.

use super::{Leash, Object, Office, Tracker, Woken};
use crate::conf::model::{Command, ScriptConf};
use crate::inbox::Letter;
use crate::scripts::{Identity, end_group, prepared};
use lb_rt::clock::now;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use vrrp::{Script, Status};

/// How often a child is looked at where the kernel has no descriptors of processes.
const GLANCE: Duration = Duration::from_millis(20);

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    Ended(ExitStatus),
    TimedOut,
    NotStarted,
    Stopped,
}

/// Starts the thread of a script. What it was found to be before a reload (`before`) goes on.
///
/// # Errors
/// When no thread or pipe can be had.
pub fn start(id: u64, script: &ScriptConf, command: Command, who: Identity, before: Status, office: Office) -> io::Result<Tracker> {
    let state = match before {
        Status::Unknown => Script::new(script.rise, script.fall),
        known => Script::new(script.rise, script.fall).going_on(known),
    };
    let (tracker, leash) = Tracker::new(id, Object::Script(script.name.clone()), state.status(), 0)?;
    let name = script.name.clone();
    let interval = script.interval;
    let timeout = script.timeout.unwrap_or(interval);
    let running = tracker.running.clone();
    let work = move || {
        let mut state = state;
        let mut said_why = false;
        // Success at first, as keepalived has it: then nothing is said of it.
        let mut exit = 0;
        let mut last: Option<(Status, i64)> = None;
        loop {
            let began = now();
            running.store(true, Ordering::Relaxed);
            let run = once(&command, who, timeout, &leash);
            running.store(false, Ordering::Relaxed);
            let success = match run {
                Run::Stopped => return,
                Run::Ended(status) => status.success(),
                Run::TimedOut | Run::NotStarted => false,
            };
            // Once, and again after it has worked: a script that is missing would fill the log.
            let why = match run {
                Run::TimedOut => Some("timed_out"),
                Run::NotStarted => Some("cannot be run"),
                Run::Ended(_) | Run::Stopped => None,
            };
            if let Some(why) = why.filter(|_| !said_why) {
                office.line(format!("VRRP_Script({name}) {why}"));
            }
            said_why = why.is_some();
            if let Run::Ended(status) = run
                && let Some(code) = status.code()
                && std::mem::replace(&mut exit, code) != code
            {
                office.line(format!("Script `{name}` now returning {code}"));
            }
            if let Some(status) = state.result(success) {
                let word = if status == Status::Up { "succeeded" } else { "failed" };
                office.line(format!("VRRP_Script({name}) {word}{}", how(run)));
            }
            let found = (state.status(), i64::from(state.against()));
            if last.replace(found) != Some(found) && !office.send(Letter::Tracked { tracker: id, status: found.0, count: found.1 }) {
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

/// As keepalived has it behind its line about a failure.
fn how(run: Run) -> String {
    match run {
        Run::Ended(status) => match (status.code(), status.signal()) {
            (Some(0), _) | (None, None) => String::new(),
            (Some(code), _) => format!(" (exited with status {code})"),
            (None, Some(signal)) => format!(" (due to signal {signal})"),
        },
        Run::TimedOut => " (timed out)".into(),
        Run::NotStarted => " (cannot be run)".into(),
        Run::Stopped => String::new(),
    }
}

fn once(command: &Command, who: Identity, timeout: Duration, leash: &Leash) -> Run {
    let mut process = prepared(command, who, &[]);
    lb_sys::process::end_with_parent(&mut process);
    let Ok(mut child) = process.spawn() else { return Run::NotStarted };
    let run = wait(&mut child, timeout, leash);
    if matches!(run, Run::TimedOut | Run::Stopped) {
        end_group(&mut child);
    }
    run
}

fn wait(child: &mut Child, timeout: Duration, leash: &Leash) -> Run {
    let until = now() + timeout;
    let descriptor = pidfd_open(Pid::from_child(child), PidfdFlags::empty()).ok();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Run::Ended(status),
            Ok(None) => {}
            // The child is somebody else's: that cannot be.
            Err(_) => return Run::NotStarted,
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
