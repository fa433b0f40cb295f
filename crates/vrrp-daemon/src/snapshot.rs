//! How everything is doing at one moment, as plain values: made by the thread of the elections in microseconds, read by whoever writes it
//! down.

use crate::conf::model::Conf;
use crate::track::Object;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use vrrp::{Cause, Config, Master, State, Stats, Status, Transition};

/// All of it.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// When.
    pub at: Instant,
    /// The same moment on the wall clock.
    pub wall: SystemTime,
    /// The configuration in force. Behind its first [`Snapshot::live`] instances stand those that are on their way out.
    pub conf: Arc<Conf>,
    /// How many instances the file has.
    pub live: usize,
    /// Each of [`Conf::instances`].
    pub instances: Vec<InstanceView>,
    /// Each of [`Conf::groups`].
    pub groups: Vec<GroupView>,
    /// Scripts, files and processes that are tracked.
    pub tracked: Vec<TrackedView>,
    /// Interfaces of the system.
    pub interfaces: Vec<InterfaceView>,
    /// The loop itself.
    pub pace: Pace,
}

/// One instance.
#[derive(Debug, Clone)]
pub struct InstanceView {
    /// Its state.
    pub state: State,
    /// Whether its addresses are here: as master, or while it leaves.
    pub has_addresses: bool,
    /// What it runs with.
    pub config: Config,
    /// The address that it sends from.
    pub source: Option<IpAddr>,
    /// Effective.
    pub priority: u8,
    /// Who is master, if that is another one.
    pub master: Option<Master>,
    /// The interval of adverts that its timers count in.
    pub master_interval: Duration,
    /// What keeps it from taking part.
    pub impediment: Option<Cause>,
    /// How what it tracks is doing.
    pub statuses: Vec<Status>,
    /// The last changes of state, oldest first.
    pub history: Vec<Transition>,
    /// Counters.
    pub stats: Stats,
    /// How late a timer of it was served at most.
    pub latest: Duration,
    /// Skew_Time.
    pub skew: Duration,
    /// Master_Down_Interval.
    pub master_down: Duration,
    /// Its next timer.
    pub next: Option<Instant>,
}

/// One sync group.
#[derive(Debug, Clone)]
pub struct GroupView {
    /// What all members are, or [`State::Init`].
    pub state: State,
    /// How what the group tracks is doing.
    pub statuses: Vec<Status>,
}

/// Something tracked.
#[derive(Debug, Clone)]
pub struct TrackedView {
    /// What.
    pub object: Object,
    /// How it is doing.
    pub status: Status,
    /// The number behind that.
    pub count: i64,
    /// Its script runs at this moment.
    pub running: bool,
}

/// An interface.
#[derive(Debug, Clone)]
pub struct InterfaceView {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Whether it is up and running.
    pub up: bool,
    /// Its hardware address.
    pub hardware: Vec<u8>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// How the loop of the elections keeps time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    /// How often it went round.
    pub turns: u64,
    /// Timers that were served more than [`vrrp::LATE`] after their time.
    pub late: u64,
    /// How late at most.
    pub latest: Duration,
    /// When it began, on the wall clock.
    pub since: Option<SystemTime>,
    /// Files that were put in force after the first.
    pub reloads: u64,
    /// Files that were refused.
    pub refused: u64,
}

impl Snapshot {
    /// The wall clock's time at a moment of the past.
    pub fn wall_at(&self, at: Instant) -> SystemTime {
        match self.at.checked_duration_since(at) {
            Some(ago) => self.wall.checked_sub(ago).unwrap_or(self.wall),
            None => self.wall + at.saturating_duration_since(self.at),
        }
    }

    /// Instances with their configurations, those of the file only.
    pub fn instances(&self) -> impl Iterator<Item = (&crate::conf::model::InstanceConf, &InstanceView)> {
        self.conf.instances.iter().zip(&self.instances).take(self.live)
    }

    /// The sync group of an instance.
    pub fn group_of(&self, instance: &str) -> Option<&str> {
        let at = self.conf.instances.iter().position(|i| i.name == instance)?;
        self.conf.groups.iter().find(|g| g.members.contains(&at)).map(|g| g.name.as_str())
    }
}
