//! What a master knows of itself and its workers, and how that goes over to the program that takes its place at a reload: through
//! the environment, in the form that haproxy has for it, so that either program can follow the other.

use crate::environment;
use lb_config::{LANGUAGE_VERSION, Program};
use lb_sys::process;
use std::fmt::Write as _;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Where the state is.
pub const PROCESSES: &str = "HAPROXY_PROCESSES";
/// Set when a master takes its own place.
pub const REEXEC: &str = "HAPROXY_MWORKER_REEXEC";

/// A worker, or a program, as its master sees it.
#[derive(Debug)]
pub struct Worker {
    /// Its number.
    pub pid: u32,
    /// The socket to it; `None`: it has none (any more).
    pub channel: Option<OwnedFd>,
    /// Reloads that it has seen.
    pub reloads: u32,
    /// When it was started, in seconds of the UNIX epoch.
    pub since: u64,
    /// What it is.
    pub stage: Stage,
    /// The version that it says it is.
    pub version: String,
    /// The program that it is, by its name; `None`: a worker.
    pub program: Option<String>,
}

/// Where a worker's life stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// It has not said yet that it serves.
    Loading,
    /// It serves.
    Serves,
    /// Another one has taken its place.
    Leaving,
}

/// What goes from one program to the next.
#[derive(Debug, Default)]
pub struct Reload {
    /// Reloads so far, and those that have failed since the last one that did not.
    pub reloads: u32,
    /// See above.
    pub failed: u32,
    /// When the first master was started, in seconds of the UNIX epoch.
    pub since: u64,
    /// The last reload failed.
    pub last_failed: bool,
    /// `master-worker no-exit-on-failure` of the last file that was good.
    pub stays: bool,
    /// `mworker-max-reloads` of the last file that was good.
    pub max_reloads: Option<u32>,
    /// No messages, as the last file that was good has it.
    pub quiet: bool,
    /// What is to be started when the worker serves; the next program reads that anew.
    pub programs: Vec<Program>,
    /// Workers and programs, the youngest first.
    pub workers: Vec<Worker>,
}

impl Reload {
    /// The workers without the programs.
    pub fn serving(&self) -> impl Iterator<Item = &Worker> {
        self.workers.iter().filter(|worker| worker.program.is_none())
    }

    /// What a master before has left for this process; `None`: there was none.
    pub fn from_environment() -> Option<Reload> {
        std::env::var_os(REEXEC)?;
        let text = std::env::var(PROCESSES).ok()?;
        parse(&text, std::process::id(), |number| process::adopt(number).ok())
    }

    /// Leaves it for the next program; descriptors stay open.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn to_environment(&self) -> std::io::Result<()> {
        for worker in &self.workers {
            if let Some(channel) = &worker.channel {
                process::set_close_on_exec(channel.as_fd(), false)?;
            }
        }
        environment::set(REEXEC, "1");
        environment::set(PROCESSES, &self.text());
        Ok(())
    }

    /// Undoes [`Reload::to_environment`] when the next program could not be started.
    pub fn stay(&self) {
        environment::remove(REEXEC);
        for channel in self.workers.iter().filter_map(|worker| worker.channel.as_ref()) {
            let _ = process::set_close_on_exec(channel.as_fd(), true);
        }
    }

    fn text(&self) -> String {
        let mut text = format!(
            "|type=m;fd=-1;pid={};reloads={};failedreloads={};timestamp={};id=;version={LANGUAGE_VERSION};stays={};quiet={}",
            std::process::id(),
            self.reloads,
            self.failed,
            self.since,
            u8::from(self.stays),
            u8::from(self.quiet),
        );
        if let Some(max) = self.max_reloads {
            let _ = write!(text, ";max={max}");
        }
        for worker in &self.workers {
            let fd = worker.channel.as_ref().map_or(-1, AsRawFd::as_raw_fd);
            let (pid, reloads, since, version) = (worker.pid, worker.reloads, worker.since, &worker.version);
            let (kind, id) = worker.program.as_ref().map_or(("w", ""), |name| ("p", name));
            let _ = write!(
                text,
                "|type={kind};fd={fd};pid={pid};reloads={reloads};failedreloads=0;timestamp={since};id={id};version={version}"
            );
        }
        text
    }
}

fn parse(text: &str, own: u32, mut adopt: impl FnMut(i32) -> Option<OwnedFd>) -> Option<Reload> {
    let mut reload = Reload::default();
    let mut is_ours = false;
    for entry in text.split('|').filter(|entry| !entry.is_empty()) {
        let value = |name: &str| entry.split(';').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
        let number = |name: &str| value(name).and_then(|text| text.parse::<u32>().ok());
        let since = value("timestamp").and_then(|text| text.parse().ok()).unwrap_or(0);
        match (value("type"), number("pid")) {
            (Some("m"), Some(pid)) => {
                is_ours = pid == own;
                reload.reloads = number("reloads").unwrap_or(0);
                reload.failed = number("failedreloads").unwrap_or(0);
                reload.since = since;
                reload.stays = number("stays") == Some(1);
                reload.quiet = number("quiet") == Some(1);
                reload.max_reloads = number("max");
            }
            (Some(kind @ ("w" | "p")), Some(pid)) => reload.workers.push(Worker {
                pid,
                channel: value("fd").and_then(|fd| fd.parse().ok()).filter(|fd| *fd > 2).and_then(&mut adopt),
                reloads: number("reloads").unwrap_or(0),
                since,
                stage: Stage::Leaving,
                version: value("version").unwrap_or_default().to_owned(),
                program: (kind == "p").then(|| value("id").unwrap_or_default().to_owned()),
            }),
            _ => {}
        }
    }
    // The youngest one serves, and programs that are as young were started with it.
    reload.workers.sort_by_key(|worker| (worker.reloads, worker.program.is_some()));
    let youngest = reload.serving().map(|worker| worker.reloads).next();
    if let Some(youngest) = youngest {
        let mut found = false;
        for worker in reload.workers.iter_mut().filter(|worker| worker.reloads == youngest) {
            if worker.program.is_some() || !std::mem::replace(&mut found, true) {
                worker.stage = Stage::Serves;
            }
        }
    }
    is_ours.then_some(reload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_haproxy_writes_it() {
        let text = "|type=m;fd=-1;pid=5149;reloads=3;failedreloads=1;timestamp=1795848819;id=;version=(null)\
                    |type=w;fd=7;pid=5158;reloads=2;failedreloads=0;timestamp=1795848819;id=;version=2.6.12-1+deb12u3\
                    |type=w;fd=-1;pid=5596;reloads=1;failedreloads=0;timestamp=1795848830;id=;version=2.6.12\
                    |type=p;fd=-1;pid=5597;reloads=1;failedreloads=0;timestamp=1795848830;id=p1;version=-\
                    |type=p;fd=-1;pid=5160;reloads=2;failedreloads=0;timestamp=1795848819;id=p1;version=-";
        let mut asked = Vec::new();
        let reload = parse(text, 5149, |fd| {
            asked.push(fd);
            None
        })
        .unwrap();
        assert_eq!((reload.reloads, reload.failed, reload.since, asked), (3, 1, 1_795_848_819, vec![7]));
        let workers: Vec<_> = reload.workers.iter().map(|w| (w.pid, w.stage)).collect();
        assert_eq!(workers, [(5596, Stage::Serves), (5597, Stage::Serves), (5158, Stage::Leaving), (5160, Stage::Leaving)]);
        assert_eq!(reload.workers[1].program.as_deref(), Some("p1"));
        assert!(parse(text, 1, |_| None).is_none(), "another process's");
        assert!(parse("nonsense;|type=m|", 1, |_| None).is_none());
    }

    #[test]
    fn there_and_back() {
        let worker = Worker { pid: 9, channel: None, reloads: 2, since: 5, stage: Stage::Serves, version: "2.6.12".into(), program: None };
        let program =
            Worker { pid: 10, channel: None, reloads: 2, since: 6, stage: Stage::Serves, version: "-".into(), program: Some("p".into()) };
        let one = Reload { reloads: 4, stays: true, max_reloads: Some(3), workers: vec![worker, program], ..Reload::default() };
        let back = parse(&one.text(), std::process::id(), |_| None).unwrap();
        assert_eq!((back.reloads, back.stays, back.max_reloads, back.quiet), (4, true, Some(3), false));
        assert_eq!((back.workers[0].pid, back.workers[0].reloads, back.workers[0].since), (9, 2, 5));
        assert_eq!((back.workers[1].pid, back.workers[1].program.as_deref(), back.workers[1].stage), (10, Some("p"), Stage::Serves));
    }
}
