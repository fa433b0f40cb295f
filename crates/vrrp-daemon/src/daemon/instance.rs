//! An instance or a sync group of them, as one thing that has timers and actions; and what is done for their actions.

use super::Daemon;
use std::time::Instant;
use vrrp::{Action, Cause, Event, GroupAction, Instance, Report, State, SyncGroup, Syncing};

pub(super) enum Machine {
    Single(Box<Instance>),
    Group(SyncGroup),
}

/// A machine and the instances of the configuration that are its members.
pub(super) struct Entry {
    pub machine: Machine,
    pub members: Vec<usize>,
    /// Its index among the groups.
    pub group: Option<usize>,
}

impl Entry {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match &self.machine {
            Machine::Single(one) => one.poll_timeout(),
            Machine::Group(group) => group.poll_timeout(),
        }
    }

    /// Whether a timer of a backup is over.
    pub(super) fn would_take_over(&self, now: Instant) -> bool {
        let is_backup = |member| self.instance(member).state() == State::Backup;
        self.poll_timeout().is_some_and(|at| at <= now) && (0..self.members.len()).any(is_backup)
    }

    pub(super) fn poll_action(&mut self) -> Option<GroupAction> {
        match &mut self.machine {
            Machine::Single(one) => one.poll_action().map(|action| GroupAction::Member(0, action)),
            Machine::Group(group) => group.poll_action(),
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        match &self.machine {
            Machine::Single(one) => one.is_stopped(),
            Machine::Group(group) => group.is_stopped(),
        }
    }

    pub(super) fn instance(&self, member: usize) -> &Instance {
        match &self.machine {
            Machine::Single(one) => one,
            Machine::Group(group) => &group.members()[member],
        }
    }
}

impl Daemon {
    pub(super) fn event(&mut self, now: Instant, entry: usize, member: usize, event: Event<'_>) {
        match &mut self.entries[entry].machine {
            Machine::Single(one) => one.handle(now, event),
            Machine::Group(group) => group.handle(now, member, event),
        }
        self.act(entry);
    }

    pub(super) fn act(&mut self, entry: usize) {
        while let Some(action) = self.entries[entry].poll_action() {
            match action {
                GroupAction::Member(member, action) => self.act_for(entry, member, action),
                GroupAction::Notify(notice) => self.notify_group(entry, notice),
                GroupAction::Syncing(state) => {
                    let name = self.entries[entry].group.map(|g| self.conf.groups[g].name.as_str()).unwrap_or_default();
                    self.log.line(format!("VRRP_Group({name}) {}", Syncing(state)));
                }
                _ => {}
            }
        }
    }

    pub(super) fn act_for(&mut self, entry: usize, member: usize, action: Action) {
        let at = self.entries[entry].members[member];
        let name = self.conf.instances[at].name.clone();
        match action {
            Action::Send(datagram) => {
                // What cannot be sent is noticed by its absence; the interface's state says why.
                if let Some(sockets) = self.paths[at].and_then(|i| self.sockets.get(&i)) {
                    let _ = sockets.send(&datagram);
                }
            }
            Action::AddAddresses => self.add_addresses(entry, member, &name),
            Action::RemoveAddresses if self.stopping && self.options.keep_addresses => {}
            Action::RemoveAddresses => self.remove_addresses(entry, member, &name),
            Action::Announce(times) => self.announce(entry, member, times),
            // One whose name another one has now is not deleted: it has become another virtual router.
            Action::Notify { .. } if at >= self.live && self.conf.instances[..self.live].iter().any(|it| it.name == name) => {}
            Action::Notify { notice, priority } => {
                let notifies = self.conf.instances[at].watch.notifies.clone();
                self.notify(&notifies, "INSTANCE", &name, notice, priority);
                let alert = self.conf.global.mail.alerts(self.conf.instances[at].watch.smtp_alert);
                self.mail("Instance", &name, alert, notice);
            }
            // The machine knows what it tracks by its place only.
            Action::Report(Report::Entering { state: State::Fault, init: false, cause: cause @ Cause::Tracked(_) }) => {
                let tracks = self.conf.tracks_of(&self.conf.instances[at].watch);
                self.log.line(format!("({name}) Entering FAULT STATE ({})", crate::status::cause(cause, &tracks)));
            }
            Action::Report(report) => self.log.line(format!("({name}) {report}")),
            _ => {}
        }
    }
}
