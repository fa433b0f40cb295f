//! One virtual router: what it is told, when it wants to be woken, what it wants done.
//!
//! Holds: a packet that is refused changes counters and nothing else, least of all a timer. Addresses are added only on becoming master
//! and removed on leaving. Whatever a peer sends, the answers to it are bounded in rate ([`ANSWERS_PER_INTERVAL`]).

mod election;
mod send;

use crate::action::{Action, Cause, Notice, Report, State, Transition};
use crate::config::{Config, ConfigError, OWNER, Transport};
use crate::pace::Pace;
use crate::packet::Packet;
use crate::stats::Stats;
use crate::track::{Effect, Status};
use crate::{Refusal, Version};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How many adverts at most a master sends within one interval because of what others send, besides its own.
pub const ANSWERS_PER_INTERVAL: u32 = 4;
/// Between two lines of the log about refused packets, lower priorities, late timers.
pub const REPORT_SPACING: Duration = Duration::from_secs(1);
/// A timer that is served later than this, or than half an interval if that is longer, is reported.
pub const LATE: Duration = Duration::from_millis(20);
/// Changes of state that are remembered.
pub const HISTORY: usize = 16;

/// What happens to an instance.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Begin. Before it, only conditions are noted.
    Start,
    /// End: a master says so to the others. [`Instance::is_stopped`] tells when it is done.
    Stop(Departure),
    /// A packet has arrived. Hand over all that have arrived before [`Instance::handle_timeout`] is called, so that a pause of the
    /// program is not taken for one of the master.
    Packet(Packet<'a>),
    /// The interface of the instance: whether it is up, and the address to send from.
    Interface {
        /// Whether packets can go out and come in.
        up: bool,
        /// `mcast_src_ip` or `unicast_src_ip` or the first address of the interface. For IPv6 the link-local one.
        source: Option<IpAddr>,
    },
    /// Something tracked: its place in [`Config::tracks`] and how it is doing.
    Track(usize, Status),
    /// Somebody has removed an address of ours (one without `no_track`).
    AddressLost,
}

/// Why an instance ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// The program ends: `STOP`.
    Stop,
    /// The instance is no longer in the file: `DELETED`.
    Deleted,
}

/// Who is master, as far as a backup knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Master {
    /// Its address.
    pub address: IpAddr,
    /// Its priority.
    pub priority: u8,
    /// When it was last heard.
    pub heard: Instant,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Init,
    Backup(Backup),
    Master(Mastership),
    Fault,
    /// Stopped as master: the addresses stay until another one has them.
    Leaving {
        until: Instant,
        departure: Departure,
    },
}

#[derive(Debug, Clone, Copy)]
struct Backup {
    /// When the wait began: the last advert of the master, or its farewell.
    since: Instant,
    wait: Wait,
    /// The wait is over; only the sync group holds it back.
    expired: bool,
    /// Until when a master of lower priority is left alone.
    preempt_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// Master_Down_Interval.
    MasterDown,
    /// Skew_Time: the master has said that it leaves.
    Skew,
}

#[derive(Debug, Clone, Copy)]
struct Mastership {
    advert_at: Instant,
    /// The second set of announcements of a new master.
    announce_again: Option<Instant>,
    /// The second set because of a lower priority, after the last such advert that was answered.
    remind_at: Option<Instant>,
    refresh_at: Option<Instant>,
    answers: Pace,
}

/// What a sync group does to a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Hold {
    #[default]
    None,
    /// Another member does not know yet whether it can start.
    Wait,
    /// Another member is at fault.
    Fault,
}

/// Whether an instance can take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    Ready,
    Wait,
    Fault(Cause),
}

/// A virtual router.
#[derive(Debug)]
pub struct Instance {
    config: Config,
    source: Option<IpAddr>,
    /// The last one that there was: a farewell goes out from it, if it is gone itself.
    last_source: Option<IpAddr>,
    up: bool,
    statuses: Vec<Status>,
    started: bool,
    phase: Phase,
    /// Effective.
    priority: u8,
    master: Option<Master>,
    /// Master_Adver_Interval: ours, or in VRRPv3 that of the master.
    master_interval: Duration,
    /// The source whose addresses have been compared last, for `skip_check_adv_addr`, and the last one that was reported.
    compared: Option<IpAddr>,
    differs: Option<IpAddr>,
    old_checksum: bool,
    /// Of IPv4 headers and authentication headers. It follows what the master sends, so that we go on from there.
    sequence: u32,
    /// The last sequence number of an authentication header that was accepted, and from whom.
    heard_sequence: Option<(IpAddr, u32)>,
    grouped: bool,
    hold: Hold,
    group_weight: i32,
    actions: VecDeque<Action>,
    history: VecDeque<Transition>,
    stats: Stats,
    refusals: Pace,
    remarks: Pace,
    lessons: Pace,
    lateness: Pace,
    late_most: Duration,
}

impl Instance {
    /// An instance that waits for [`Event::Start`].
    ///
    /// # Errors
    /// [`Config::validate`].
    pub fn new(config: Config) -> Result<Instance, ConfigError> {
        config.validate()?;
        Ok(Instance {
            source: None,
            last_source: None,
            up: false,
            statuses: vec![Status::Unknown; config.tracks.len()],
            started: false,
            phase: Phase::Init,
            priority: config.priority,
            master: None,
            master_interval: config.advert_int,
            compared: None,
            differs: None,
            old_checksum: config.old_unicast_checksum == crate::OldChecksum::Always,
            sequence: 0,
            heard_sequence: None,
            grouped: false,
            hold: Hold::None,
            group_weight: 0,
            actions: VecDeque::new(),
            history: VecDeque::new(),
            stats: Stats::default(),
            refusals: Pace::default(),
            remarks: Pace::default(),
            lessons: Pace::default(),
            lateness: Pace::default(),
            late_most: Duration::ZERO,
            config,
        })
    }

    /// Something has happened at `now`.
    pub fn handle(&mut self, now: Instant, event: Event<'_>) {
        match event {
            Event::Packet(packet) => return self.packet(now, &packet),
            Event::Stop(departure) => return self.stop(now, departure),
            Event::AddressLost => return self.address_lost(now),
            Event::Start => {
                if !self.started && !matches!(self.phase, Phase::Leaving { .. }) {
                    // What a killed predecessor may have left.
                    self.actions.push_back(Action::RemoveAddresses);
                    self.started = true;
                }
            }
            Event::Interface { up, source } => {
                (self.up, self.source) = (up, source);
                self.last_source = source.or(self.last_source);
            }
            Event::Track(which, status) => {
                if let Some(slot) = self.statuses.get_mut(which) {
                    *slot = status;
                }
            }
        }
        self.settle(now);
    }

    /// A datagram that the caller could not make a [`Packet`] of: counted and reported like other refusals.
    pub fn refuse(&mut self, now: Instant, from: IpAddr, why: Refusal) {
        self.stats.advert_rcvd += 1;
        self.stats.refused(&why);
        if let Some(more) = self.refusals.take(now, REPORT_SPACING) {
            self.report(Report::Refused { from, why, more });
        }
    }

    /// The time of [`Instance::poll_timeout`] has come. Too early does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.note_lateness(now);
        match self.phase {
            Phase::Backup(backup) if !backup.expired && self.down_at(&backup) <= now => self.master_is_down(now, backup),
            Phase::Master(mastership) => self.master_timers(now, mastership),
            Phase::Leaving { until, departure } if until <= now => self.left(now, departure, None),
            _ => {}
        }
    }

    /// When [`Instance::handle_timeout`] is to be called next, if ever.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Backup(backup) if !backup.expired => Some(self.down_at(backup)),
            Phase::Master(m) => [Some(m.advert_at), m.announce_again, m.remind_at, m.refresh_at].into_iter().flatten().min(),
            Phase::Leaving { until, .. } => Some(*until),
            Phase::Init | Phase::Backup(_) | Phase::Fault => None,
        }
    }

    /// What is to be done next. Call it after each of the above until it returns nothing.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Goes on with another configuration: what was tracked is told anew in `statuses`, in the order of the new
    /// [`Config::tracks`]. The state stays. A master puts new addresses in place; to remove those that are no longer in the file is the
    /// caller's part, who knows both lists. Another id or family is another instance: stop this one and make that.
    ///
    /// # Errors
    /// [`Config::validate`]; then nothing has changed.
    pub fn reconfigure(&mut self, now: Instant, config: Config, mut statuses: Vec<Status>) -> Result<(), ConfigError> {
        config.validate()?;
        let other_addresses = config.addresses != self.config.addresses;
        let other_version = self.config.version != config.version;
        if other_version || (self.config.advert_int != config.advert_int && (config.version == Version::V2 || self.master.is_none())) {
            self.master_interval = config.advert_int;
        }
        statuses.resize(config.tracks.len(), Status::Unknown);
        self.statuses = statuses;
        self.config = config;
        (self.compared, self.differs) = (None, None);
        if let Phase::Master(mut mastership) = self.phase {
            mastership.advert_at = mastership.advert_at.min(now + self.config.advert_int);
            self.phase = Phase::Master(mastership);
            self.actions.push_back(Action::AddAddresses);
            if other_addresses {
                self.announce(self.config.garp.master_repeat);
            }
        }
        self.settle(now);
        Ok(())
    }

    /// A member of a group goes on alone. What only the group held back waits for its time once more.
    pub fn leave_group(&mut self, now: Instant) {
        self.grouped = false;
        if let Phase::Backup(backup) = self.phase
            && backup.expired
        {
            self.phase = Phase::Backup(Backup { since: now, wait: Wait::MasterDown, expired: false, ..backup });
        }
        self.set_hold(now, Hold::None, 0);
    }

    /// The configuration in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The present state. A leaving master is in [`State::Init`].
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Init | Phase::Leaving { .. } => State::Init,
            Phase::Backup(_) => State::Backup,
            Phase::Master(_) => State::Master,
            Phase::Fault => State::Fault,
        }
    }

    /// Whether it answers for the addresses: as master, or while it leaves.
    pub fn has_addresses(&self) -> bool {
        matches!(self.phase, Phase::Master(_) | Phase::Leaving { .. })
    }

    /// Whether it has never been started, or has been stopped and has left.
    pub fn is_stopped(&self) -> bool {
        !self.started && matches!(self.phase, Phase::Init)
    }

    /// The priority with what tracking adds and takes away.
    pub fn priority(&self) -> u8 {
        self.priority
    }

    /// The master that is listened to, if there is one and it is another.
    pub fn master(&self) -> Option<Master> {
        self.master
    }

    /// What holds it back from taking part, if anything does.
    pub fn impediment(&self) -> Option<Cause> {
        match self.readiness() {
            Readiness::Fault(cause) => Some(cause),
            Readiness::Ready | Readiness::Wait => None,
        }
    }

    /// The address that it sends from, as it was told.
    pub fn source(&self) -> Option<IpAddr> {
        self.source
    }

    /// How what it tracks is doing, in the order of [`Config::tracks`].
    pub fn statuses(&self) -> &[Status] {
        &self.statuses
    }

    /// The interval of the master that is listened to; its own where that is not known, and in VRRPv2.
    pub fn master_interval(&self) -> Duration {
        self.master_interval
    }

    /// The counters.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Counts from zero again.
    pub fn clear_stats(&mut self) {
        self.stats = Stats::default();
    }

    /// The last changes of state, oldest first; at most [`HISTORY`].
    pub fn history(&self) -> impl Iterator<Item = &Transition> {
        self.history.iter()
    }

    /// How late a timer was served at most.
    pub fn latest(&self) -> Duration {
        self.late_most
    }

    /// Skew_Time: a router of lower priority waits longer.
    pub fn skew(&self) -> Duration {
        let unit = match self.config.version {
            Version::V2 => Duration::from_secs(1),
            Version::V3 => self.master_interval,
        };
        unit * (256 - u32::from(self.priority)) / 256
    }

    /// Master_Down_Interval: silence after which a master is taken for dead.
    pub fn master_down(&self) -> Duration {
        self.master_interval * u32::from(self.config.down_timer_adverts) + self.skew()
    }

    /// What it can do by itself, whatever its sync group says.
    pub(crate) fn own_readiness(&self) -> Readiness {
        let no_peers = matches!(&self.config.transport, Transport::Unicast { peers, .. } if peers.is_empty());
        if !self.up && !self.config.dont_track_primary {
            return Readiness::Fault(Cause::LinkDown);
        }
        if self.source.is_none() {
            return Readiness::Fault(Cause::NoSource);
        }
        if no_peers {
            return Readiness::Fault(Cause::NoPeers);
        }
        let mut wait = false;
        for (which, (weight, status)) in self.config.tracks.iter().zip(&self.statuses).enumerate() {
            match weight.effect(*status) {
                Effect::Fault => return Readiness::Fault(Cause::Tracked(which)),
                Effect::Wait => wait = true,
                Effect::Add(_) => {}
            }
        }
        if wait { Readiness::Wait } else { Readiness::Ready }
    }

    fn readiness(&self) -> Readiness {
        match (self.own_readiness(), self.hold) {
            (Readiness::Fault(cause), _) => Readiness::Fault(cause),
            (_, Hold::Fault) => Readiness::Fault(Cause::Group),
            (Readiness::Wait, _) | (_, Hold::Wait) => Readiness::Wait,
            (Readiness::Ready, Hold::None) => Readiness::Ready,
        }
    }

    /// Draws the consequences of conditions: priority, fault, recovery.
    fn settle(&mut self, now: Instant) {
        let readiness = self.readiness();
        // Who goes to fault is told so with the priority that it had.
        let fails = matches!(readiness, Readiness::Fault(_)) && matches!(self.phase, Phase::Master(_) | Phase::Backup(_));
        if !fails {
            self.prioritise();
        }
        if !self.started {
            return;
        }
        let waits = matches!(self.phase, Phase::Init | Phase::Fault);
        match readiness {
            Readiness::Fault(cause) if !matches!(self.phase, Phase::Fault) => self.fail(now, cause),
            Readiness::Ready if waits => self.begin(now),
            Readiness::Fault(_) | Readiness::Wait | Readiness::Ready => {}
        }
    }

    fn prioritise(&mut self) {
        let add = |(weight, status): (&crate::Weight, &Status)| match weight.effect(*status) {
            Effect::Add(number) => number,
            Effect::Wait | Effect::Fault => 0,
        };
        let sum: i32 = self.config.tracks.iter().zip(&self.statuses).map(add).fold(self.group_weight, i32::saturating_add);
        let effective = i32::from(self.config.priority).saturating_add(sum).clamp(1, i32::from(OWNER) - 1);
        // The owner stays the owner, and nobody becomes it.
        let effective = if self.config.is_owner() { OWNER } else { u8::try_from(effective).expect("clamped") };
        let from = std::mem::replace(&mut self.priority, effective);
        if from == effective {
            return;
        }
        self.report(Report::Priority { from, to: effective });
        let notice = match self.phase {
            Phase::Master(_) => Notice::MasterPriority,
            Phase::Backup(_) => Notice::BackupPriority,
            Phase::Init | Phase::Fault | Phase::Leaving { .. } => return,
        };
        if self.config.notify_priority_changes {
            self.notify(notice);
        }
    }

    fn note_lateness(&mut self, now: Instant) {
        let Some(due) = self.poll_timeout() else { return };
        let late = now.saturating_duration_since(due);
        self.late_most = self.late_most.max(late);
        if late > LATE.max(self.config.advert_int / 2) && self.lateness.take(now, REPORT_SPACING).is_some() {
            self.report(Report::Late(late));
        }
    }

    fn report(&mut self, report: Report) {
        self.actions.push_back(Action::Report(report));
    }

    /// A line that peers can cause: at most one a second.
    fn remark(&mut self, now: Instant, report: Report) {
        if self.remarks.take(now, REPORT_SPACING).is_some() {
            self.report(report);
        }
    }

    fn notify(&mut self, notice: Notice) {
        self.actions.push_back(Action::Notify { notice, priority: self.priority });
    }
}

/// For the sync group.
impl Instance {
    pub(crate) fn set_grouped(&mut self) {
        self.grouped = true;
    }

    pub(crate) fn set_hold(&mut self, now: Instant, hold: Hold, weight: i32) {
        (self.hold, self.group_weight) = (hold, weight);
        self.settle(now);
    }

    /// Whether only the group holds it back from being master.
    pub(crate) fn wants_master(&self) -> bool {
        matches!(self.phase, Phase::Backup(backup) if backup.expired)
    }

    /// Whether it was told that its master leaves.
    pub(crate) fn is_hastened(&self) -> bool {
        matches!(self.phase, Phase::Backup(backup) if backup.wait == Wait::Skew)
    }

    pub(crate) fn promote(&mut self, now: Instant) {
        if self.wants_master() {
            self.become_master(now, Cause::Group);
        }
    }

    /// A backup becomes master with the others of its group, which have been master before it joined them.
    pub(crate) fn join_masters(&mut self, now: Instant) {
        if let Phase::Backup(backup) = &mut self.phase {
            backup.expired = true;
            self.promote(now);
        }
    }

    pub(crate) fn demote(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Master(_)) {
            self.send(0);
            self.report(Report::SentPriorityZero);
            self.become_backup(now, Cause::Group);
        }
    }

    pub(crate) fn hasten(&mut self, now: Instant) {
        if let Phase::Backup(backup) = self.phase {
            self.hurry(now, backup);
        }
    }
}
