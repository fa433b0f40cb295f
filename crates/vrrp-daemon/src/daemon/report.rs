//! How everything is doing, for those who ask.

use super::Daemon;
use super::instance::Machine;
use crate::snapshot::{GroupView, InstanceView, InterfaceView, Snapshot, TrackedView};
use std::time::Instant;
use vrrp::Instance;

fn view(it: &Instance) -> InstanceView {
    InstanceView {
        state: it.state(),
        has_addresses: it.has_addresses(),
        config: it.config().clone(),
        source: it.source(),
        priority: it.priority(),
        master: it.master(),
        master_interval: it.master_interval(),
        impediment: it.impediment(),
        statuses: it.statuses().to_vec(),
        history: it.history().copied().collect(),
        stats: it.stats(),
        latest: it.latest(),
        skew: it.skew(),
        master_down: it.master_down(),
        next: it.poll_timeout(),
    }
}

impl Daemon {
    pub(super) fn snapshot(&self, now: Instant) -> Snapshot {
        // By the configuration's order; every instance of it is a member of one entry.
        let mut members: Vec<(usize, &Instance)> = Vec::with_capacity(self.conf.instances.len());
        for entry in &self.entries {
            members.extend(entry.members.iter().enumerate().map(|(member, at)| (*at, entry.instance(member))));
        }
        members.sort_by_key(|(at, _)| *at);
        let mut groups: Vec<(usize, GroupView)> = Vec::new();
        for entry in &self.entries {
            if let (Machine::Group(group), Some(at)) = (&entry.machine, entry.group) {
                groups.push((at, GroupView { state: group.state(), statuses: group.statuses().to_vec() }));
            }
        }
        groups.sort_by_key(|(at, _)| *at);
        let interface = |(index, it): (&u32, &super::Interface)| InterfaceView {
            index: *index,
            name: it.name.clone(),
            up: it.up,
            hardware: it.hardware.clone(),
            addresses: it.addresses.iter().map(|a| a.address).collect(),
        };
        let tracked = |t: &crate::track::Tracker| TrackedView {
            object: t.object.clone(),
            status: t.status,
            count: t.count,
            running: t.running.load(std::sync::atomic::Ordering::Relaxed),
        };
        Snapshot {
            at: now,
            wall: lb_rt::clock::wall(),
            conf: self.conf.clone(),
            live: self.live,
            instances: members.into_iter().map(|(_, it)| view(it)).collect(),
            groups: groups.into_iter().map(|(_, group)| group).collect(),
            tracked: self.trackers.iter().map(tracked).collect(),
            interfaces: self.interfaces.iter().map(interface).collect(),
            pace: self.pace,
        }
    }

    pub(super) fn clear_stats(&mut self) {
        for entry in &mut self.entries {
            match &mut entry.machine {
                Machine::Single(one) => one.clear_stats(),
                Machine::Group(group) => group.clear_stats(),
            }
        }
    }
}
