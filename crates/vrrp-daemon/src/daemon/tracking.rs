//! What is tracked beside the protocol, and whom its state reaches.

use super::Daemon;
use super::instance::Machine;
use std::io::Read;
use std::time::Instant;
use vrrp::{Event, Status};

impl Daemon {
    pub(super) fn track_interfaces(&mut self, now: Instant) {
        let status = |daemon: &Daemon, name: &str| {
            let up = daemon.index_of(name).is_some_and(|index| daemon.interfaces[&index].up);
            if up { Status::Up } else { Status::Down }
        };
        for entry in 0..self.entries.len() {
            for member in 0..self.entries[entry].members.len() {
                let at = self.entries[entry].members[member];
                for which in 0..self.conf.instances[at].track_interfaces.len() {
                    let status = status(self, &self.conf.instances[at].track_interfaces[which].name);
                    self.event(now, entry, member, Event::Track(which, status));
                }
            }
            if let Some(group) = self.entries[entry].group {
                for which in 0..self.conf.groups[group].track_interfaces.len() {
                    let status = status(self, &self.conf.groups[group].track_interfaces[which].name);
                    self.track_group(now, entry, which, status);
                }
            }
        }
    }

    pub(super) fn track_group(&mut self, now: Instant, entry: usize, which: usize, status: Status) {
        if let Machine::Group(group) = &mut self.entries[entry].machine {
            group.handle_track(now, which, status);
            self.act(entry);
        }
    }

    /// What scripts have come to before they ran: nothing, or down with `init_fail`.
    pub(super) fn track_all(&mut self, now: Instant) {
        let states: Vec<(usize, Status)> = self.scripts.iter().map(|(index, script)| (*index, script.status())).collect();
        for (index, status) in states {
            self.track_script(now, index, status);
        }
    }

    pub(super) fn read_results(&mut self, now: Instant) {
        // The results are in the channel; the bytes have only woken us.
        let _ = self.wake.read(&mut [0; 4096]);
        while let Ok((index, success)) = self.results.try_recv() {
            let Some(script) = self.scripts.get_mut(&index) else { continue };
            if let Some(status) = script.result(success) {
                let word = if status == Status::Up { "succeeded" } else { "failed" };
                self.log.line(format!("VRRP_Script({}) {word}", self.conf.scripts[index].name));
                self.track_script(now, index, status);
            }
        }
    }

    pub(super) fn track_script(&mut self, now: Instant, index: usize, status: Status) {
        let name = self.conf.scripts[index].name.clone();
        for entry in 0..self.entries.len() {
            for member in 0..self.entries[entry].members.len() {
                let it = &self.conf.instances[self.entries[entry].members[member]];
                let before = it.track_interfaces.len();
                let places: Vec<usize> =
                    it.track_scripts.iter().enumerate().filter(|(_, t)| t.name == name).map(|(at, _)| before + at).collect();
                for which in places {
                    self.event(now, entry, member, Event::Track(which, status));
                }
            }
            if let Some(group) = self.entries[entry].group {
                let it = &self.conf.groups[group];
                let before = it.track_interfaces.len();
                let places: Vec<usize> =
                    it.track_scripts.iter().enumerate().filter(|(_, t)| t.name == name).map(|(at, _)| before + at).collect();
                for which in places {
                    self.track_group(now, entry, which, status);
                }
            }
        }
    }
}
