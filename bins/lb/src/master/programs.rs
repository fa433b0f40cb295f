//! What `program` sections start: a process of the master's beside its worker, with the master's environment, directory and standard
//! streams, and the user and group of its section. Source: manual 3.7.

use super::Master;
use super::state::{PROCESSES, REEXEC, Stage, Worker};
use crate::messages::{alert, notice};
use lb_config::{Account, Program};
use lb_sys::account::{group_id, user_id};
use lb_sys::process::{self, Forked};
use lb_sys::signal;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::UNIX_EPOCH;

impl Master {
    /// Starts all programs. One that cannot be started counts as one that has failed.
    pub(super) fn start_programs(&self) {
        if self.leaving.get() {
            return;
        }
        let programs = std::mem::take(&mut self.state.borrow_mut().programs);
        for program in &programs {
            match start(program) {
                Ok(pid) => {
                    self.say(notice, &format!("New program '{}' ({pid}) forked", program.name));
                    let since = self.rt.wall().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
                    let (program, version) = (Some(program.name.clone()), "-".to_owned());
                    let one = Worker { pid, channel: None, reloads: 0, since, stage: Stage::Serves, version, program };
                    self.state.borrow_mut().workers.push(one);
                }
                Err(e) => {
                    cannot_start(program, &e);
                    self.has_failed(1);
                }
            }
        }
    }
}

fn cannot_start(program: &Program, error: &io::Error) {
    alert(&format!("cannot start the program '{}': {}: {error}", program.name, program.command[0]));
}

/// Starts a program and gives its number. Its end is told as that of every other child, also when there is no such program.
fn start(program: &Program) -> io::Result<u32> {
    match process::fork()? {
        Forked::Parent(child) => Ok(child),
        Forked::Child => {
            // What the master takes as a descriptor is to end or reach a program as any other.
            signal::block_only(&[]);
            if let Err(e) = replace(program) {
                cannot_start(program, &e);
            }
            std::process::exit(1)
        }
    }
}

/// Runs the program in the place of this process; returns when that fails only.
fn replace(program: &Program) -> io::Result<()> {
    let mut command = Command::new(&program.command[0]);
    command.args(&program.command[1..]);
    // The master's own notes are none of its business.
    command.env_remove(PROCESSES).env_remove(REEXEC);
    if let Some(group) = number(program.group.as_ref(), group_id)? {
        command.gid(group);
    }
    if let Some(user) = number(program.user.as_ref(), user_id)? {
        command.uid(user);
    }
    Err(command.exec())
}

fn number(account: Option<&Account>, find: impl Fn(&str) -> Option<u32>) -> io::Result<Option<u32>> {
    match account {
        None => Ok(None),
        Some(Account::Id(id)) => Ok(Some(*id)),
        Some(Account::Name(name)) => match find(name) {
            Some(id) => Ok(Some(id)),
            None => Err(io::Error::new(io::ErrorKind::NotFound, format!("there is no user or group '{name}'"))),
        },
    }
}
