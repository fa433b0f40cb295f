//! What scripts and fifos are told, in keepalived's order.

use super::Daemon;
use super::instance::Machine;
use crate::conf::model::{Command, Notifies};
use crate::mail::Mail;
use crate::notifier::{Job, Run};
use vrrp::{Notice, State};

impl Daemon {
    /// Tells the fifos what everybody is, without a change (`fifo_write_vrrp_states_on_reload`).
    pub(super) fn tell_states(&mut self) {
        let word = |state: State| if state == State::Init { "STOP".into() } else { state.to_string() };
        let mut lines = Vec::new();
        for entry in self.entries.iter().filter(|e| e.members.iter().all(|m| *m < self.live)) {
            if let (Machine::Group(group), Some(at)) = (&entry.machine, entry.group) {
                lines.push(format!("GROUP \"{}\" {} 0\n", self.conf.groups[at].name, word(group.state())));
            }
            for (member, at) in entry.members.iter().enumerate() {
                let it = entry.instance(member);
                lines.push(format!("INSTANCE \"{}\" {} {}\n", self.conf.instances[*at].name, word(it.state()), it.priority()));
            }
        }
        lines.into_iter().for_each(|line| self.notifier.tell(Job::Line(line)));
    }

    pub(super) fn notify_group(&mut self, entry: usize, notice: Notice) {
        let Some(group) = self.entries[entry].group else { return };
        let it = &self.conf.groups[group];
        let (name, notifies) = (it.name.clone(), it.watch.notifies.clone());
        let alert = self.conf.global.mail.alerts(it.watch.smtp_alert);
        self.mail("Group", &name, alert, notice);
        // keepalived passes no priority for a group.
        self.notify(&notifies, "GROUP", &name, notice, 0);
    }

    /// Mail about a new state, with keepalived's words. One that is deleted is at fault; one that stops says nothing: keepalived's mail about
    /// that is lost with its process.
    pub(super) fn mail(&self, kind: &str, name: &str, alert: bool, notice: Notice) {
        let how = &self.conf.global.mail;
        let state = match notice {
            Notice::Master => "MASTER",
            Notice::Backup => "BACKUP",
            Notice::Fault | Notice::Deleted if !how.no_faults => "FAULT",
            _ => return,
        };
        if !alert {
            return;
        }
        let body = match (kind, state) {
            ("Group", _) => format!("=> All VRRP group instances are now in {state} state <="),
            (_, "MASTER") => "=> VRRP Instance is now owning VRRP VIPs <=".into(),
            _ => "=> VRRP Instance is no longer owning VRRP VIPs <=".into(),
        };
        let router = self.conf.global.router_id.clone().unwrap_or_else(lb_sys::process::host_name);
        self.mailer.send(Mail { how: how.clone(), router, subject: format!("VRRP {kind} {name} - Entering {state} state"), body });
    }

    /// keepalived's order: the script of the state, the general one, the fifos.
    pub(super) fn notify(&mut self, notifies: &Notifies, kind: &str, name: &str, notice: Notice, priority: u8) {
        let own = match notice {
            Notice::Master => &notifies.master,
            Notice::Backup => &notifies.backup,
            Notice::Fault => &notifies.fault,
            Notice::Stop => &notifies.stop,
            Notice::MasterRxLowerPri => &notifies.master_rx_lower_pri,
            Notice::Deleted => notifies.deleted.as_ref().unwrap_or(&None),
            Notice::MasterPriority | Notice::BackupPriority => &None,
        };
        // A deleted instance is one at fault to those who have not asked for the word.
        let word = match notice {
            Notice::Deleted if notifies.deleted.is_none() => Notice::Fault,
            other => other,
        };
        let general = match notice {
            Notice::MasterRxLowerPri | Notice::MasterPriority | Notice::BackupPriority => None,
            _ => notifies.any.as_ref(),
        };
        let run = |command: &Command, more: Vec<String>| {
            let who = self.users.runs(command)?;
            Some(Job::Run(Run { command: command.clone(), who, more, outlives: notice == Notice::Stop }))
        };
        let first = own.as_ref().and_then(|command| run(command, Vec::new()));
        let words = vec![kind.to_string(), name.to_string(), word.to_string(), priority.to_string()];
        let second = general.and_then(|command| run(command, words));
        first.into_iter().chain(second).for_each(|job| self.notifier.tell(job));
        self.notifier.tell(Job::Line(format!("{kind} \"{name}\" {word} {priority}\n")));
    }
}
