//! How the process runs: master and worker, cores, rights. Source: manual 3.1.

use super::{Account, Span};
use std::collections::BTreeMap;
use std::time::Duration;

/// Settings of `global` that concern the process and nothing that traffic gets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProcessSettings {
    /// `master-worker`; `None`: one process, unless the command line says otherwise.
    pub master_worker: Option<MasterWorker>,
    /// `mworker-max-reloads`: a worker that survives more reloads is ended; `None`: never.
    pub max_reloads: Option<u32>,
    /// `cpu-map`
    pub cpu_map: CpuMap,
    /// `setcap`: capabilities that are kept, a bit for each by its number.
    pub capabilities: u64,
    /// `set-dumpable`: core files in spite of changed rights.
    pub dumpable: bool,
    /// `insecure-fork-wanted`: the process may start others.
    pub may_fork: bool,
    /// `insecure-setuid-wanted`: started programs may gain rights.
    pub may_setuid: bool,
    /// `localpeer`; `None`: the host name.
    pub local_peer: Option<String>,
    /// `tune.renice.startup`: priority while it starts, -20 (the highest) to 19.
    pub nice_startup: Option<i32>,
    /// `tune.renice.runtime`: priority once it serves.
    pub nice_runtime: Option<i32>,
    /// `close-spread-time`
    pub close_spread: CloseSpread,
    /// What `setenv` and its sisters have made of the environment.
    pub environment: EnvironmentChanges,
}

/// A `program` section: what the master starts beside its worker. Source: manual 3.7.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Name, unique.
    pub name: String,
    /// `command`: the program, looked up in PATH, and its arguments; not empty.
    pub command: Vec<String>,
    /// `user`; `None`: the master's.
    pub user: Option<Account>,
    /// `group`; `None`: the master's.
    pub group: Option<Account>,
    /// A new one is started at each reload; false with `no option start-on-reload`. The old one is told to go in any case.
    pub start_on_reload: bool,
    /// Where it stands.
    pub span: Span,
}

/// What became of the variables of the process while the configuration was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvironmentChanges {
    /// `resetenv`: no others are left; `None`: all are.
    pub kept: Option<Vec<String>>,
    /// By name, in order: a value, or none for a variable that was removed.
    pub changed: Vec<(String, Option<String>)>,
}

/// `master-worker`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MasterWorker {
    /// The master ends all when a worker dies; false with `no-exit-on-failure`.
    pub exit_on_failure: bool,
}

/// When a soft stop closes the connections of idle clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CloseSpread {
    /// At once.
    #[default]
    None,
    /// Spread over this time.
    Over(Duration),
    /// Not at all: they end by their timeouts (`infinite`).
    Never,
}

/// Cores of threads. The last line counts where several say something of the same threads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuMap {
    /// Cores of all threads; `None`: any.
    pub process: Option<Vec<u16>>,
    /// Cores of threads, counted from 1.
    pub threads: BTreeMap<u16, Vec<u16>>,
}

impl CpuMap {
    /// The cores of a thread, counted from 1: its own ones as far as the process has them. `None`: any.
    pub fn of(&self, thread: u16) -> Option<Vec<u16>> {
        let own = self.threads.get(&thread);
        match (own, &self.process) {
            (Some(own), Some(process)) => {
                Some(own.iter().copied().filter(|cpu| process.contains(cpu)).collect()).filter(|both: &Vec<u16>| !both.is_empty())
            }
            (Some(one), None) | (None, Some(one)) => Some(one.clone()),
            (None, None) => None,
        }
    }
}
