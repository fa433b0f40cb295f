//! `vrrp_sync_group`: instances that are master together or not at all.
//!
//! Holds: after each call all members are master, or none is. A group is at fault when one member is; it becomes master when the timers of
//! all members have run out. A member whose master says that it leaves takes its word for the whole group: a group that loses one interface
//! is followed within the skew, and not when its other masters have been silent for long enough.

use crate::action::{Action, Notice, State};
use crate::config::{Config, ConfigError};
use crate::instance::{Departure, Event, Hold, Instance, Readiness};
use crate::track::{Effect, Status, Weight};
use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

/// What is to be done for a group, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupAction {
    /// For the member with this index.
    Member(usize, Action),
    /// The group's own scripts. keepalived passes 0 as their priority.
    Notify(Notice),
    /// For the log.
    Syncing(State),
}

/// The group's line for the log, without its name.
#[derive(Debug, Clone, Copy)]
pub struct Syncing(pub State);

impl fmt::Display for Syncing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Syncing instances to {} state", self.0)
    }
}

/// Instances that follow each other.
#[derive(Debug)]
pub struct SyncGroup {
    members: Vec<Instance>,
    tracks: Vec<Weight>,
    statuses: Vec<Status>,
    /// What its scripts were told last.
    told: Option<Notice>,
    /// Members that have joined masters and have not been anything yet: they become master with the others, which go on meanwhile.
    joining: Vec<bool>,
    stopping: Option<Departure>,
    actions: VecDeque<GroupAction>,
}

impl SyncGroup {
    /// A group of members with these configurations, with what the group itself tracks.
    ///
    /// # Errors
    /// The first member that cannot be made, with its index.
    pub fn new(members: Vec<Config>, tracks: Vec<Weight>) -> Result<SyncGroup, (usize, ConfigError)> {
        let make = |(index, config)| {
            let mut member = Instance::new(config).map_err(|e| (index, e))?;
            member.set_grouped();
            Ok(member)
        };
        let members = members.into_iter().enumerate().map(make).collect::<Result<_, _>>()?;
        let statuses = vec![Status::Unknown; tracks.len()];
        Ok(SyncGroup::of(members, tracks, statuses, None))
    }

    /// A group of instances that may have been at work already, in a group or alone; `told` is what the scripts of the same group were told
    /// last ([`SyncGroup::into_members`]). Where some are masters, those that have not been started yet become so with them at their start; the
    /// masters do not give way to them. Call [`SyncGroup::start`] then.
    pub fn of(mut members: Vec<Instance>, tracks: Vec<Weight>, mut statuses: Vec<Status>, told: Option<Notice>) -> SyncGroup {
        members.iter_mut().for_each(Instance::set_grouped);
        let masters = members.iter().any(|m| m.state() == State::Master);
        let joining = members.iter().map(|m| masters && m.is_stopped()).collect();
        statuses.resize(tracks.len(), Status::Unknown);
        SyncGroup { members, tracks, statuses, told, joining, stopping: None, actions: VecDeque::new() }
    }

    /// Its members, and what its scripts were told last. The members still belong to a group: hand them to [`SyncGroup::of`] or call
    /// [`Instance::leave_group`]. Actions that wait are lost: call it when there are none.
    pub fn into_members(self) -> (Vec<Instance>, Option<Notice>) {
        (self.members, self.told)
    }

    /// Draws the consequences of how its members are doing: for a group that was made of others and is not to be started yet.
    pub fn resume(&mut self, now: Instant) {
        self.settle(now, 0);
    }

    /// Each member begins to count from zero.
    pub fn clear_stats(&mut self) {
        self.members.iter_mut().for_each(Instance::clear_stats);
    }

    /// What the group itself tracks is doing so.
    pub fn statuses(&self) -> &[Status] {
        &self.statuses
    }

    /// Starts all members.
    pub fn start(&mut self, now: Instant) {
        self.stopping = None;
        let first = self.told.is_none();
        self.hold(now, 0);
        for member in 0..self.members.len() {
            self.handle(now, member, Event::Start);
        }
        if first && self.actions.back() == Some(&GroupAction::Notify(Notice::Backup)) {
            self.announce_first();
        }
    }

    /// At the start, and only then, keepalived tells of a group before it tells of its members.
    fn announce_first(&mut self) {
        let of_member = |action: &GroupAction| matches!(action, GroupAction::Member(_, Action::Notify { .. }));
        if let (Some(at), Some(last)) = (self.actions.iter().position(of_member), self.actions.pop_back()) {
            self.actions.insert(at, last);
        }
    }

    /// Stops all members. [`SyncGroup::is_stopped`] tells when it is done.
    pub fn stop(&mut self, now: Instant, departure: Departure) {
        self.stopping = Some(departure);
        for member in 0..self.members.len() {
            self.members[member].handle(now, Event::Stop(departure));
            self.collect(member);
        }
        self.announce();
    }

    /// Something has happened to a member. An index that there is not is ignored.
    pub fn handle(&mut self, now: Instant, member: usize, event: Event<'_>) {
        self.step(now, member, |instance| instance.handle(now, event));
    }

    /// What the group itself tracks is doing so.
    pub fn handle_track(&mut self, now: Instant, which: usize, status: Status) {
        if let Some(slot) = self.statuses.get_mut(which) {
            *slot = status;
            self.settle(now, 0);
        }
    }

    /// The time of [`SyncGroup::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        for member in 0..self.members.len() {
            if self.members[member].poll_timeout().is_some_and(|at| at <= now) {
                self.step(now, member, |instance| instance.handle_timeout(now));
            }
        }
    }

    /// When [`SyncGroup::handle_timeout`] is to be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.members.iter().filter_map(Instance::poll_timeout).min()
    }

    /// What is to be done next.
    pub fn poll_action(&mut self) -> Option<GroupAction> {
        self.actions.pop_front()
    }

    /// The members, in the order of the configuration.
    pub fn members(&self) -> &[Instance] {
        &self.members
    }

    /// The state of all members when they agree; while they are on their way, [`State::Init`].
    pub fn state(&self) -> State {
        let mut states = self.members.iter().map(Instance::state);
        let Some(first) = states.next() else { return State::Init };
        if states.all(|s| s == first) { first } else { State::Init }
    }

    /// Whether every member has left.
    pub fn is_stopped(&self) -> bool {
        self.members.iter().all(Instance::is_stopped)
    }

    fn step(&mut self, now: Instant, index: usize, step: impl FnOnce(&mut Instance)) {
        let Some(member) = self.members.get_mut(index) else { return };
        let hastened = member.is_hastened();
        step(member);
        let hasten = !hastened && member.is_hastened();
        self.collect(index);
        self.settle(now, index);
        if hasten {
            self.members.iter_mut().for_each(|other| other.hasten(now));
        }
    }

    /// Makes the others follow the member to which something has happened.
    fn settle(&mut self, now: Instant, trigger: usize) {
        if self.stopping.is_some() {
            return self.announce();
        }
        self.hold(now, trigger);
        self.join(now);
        let masters = self.members.iter().filter(|m| m.state() == State::Master).count();
        let waiting = self.joining.iter().any(|j| *j);
        if waiting && masters > 0 {
            // Nobody gives way to one that has not begun.
        } else if masters > 0 && masters < self.members.len() {
            self.follow(trigger, State::Backup, |member| member.demote(now));
        } else if self.members.iter().all(Instance::wants_master) {
            self.follow(trigger, State::Master, |member| member.promote(now));
        }
        self.announce();
    }

    /// Those that have joined masters follow them as soon as they can.
    fn join(&mut self, now: Instant) {
        let masters = self.members.iter().any(|m| m.state() == State::Master);
        for index in 0..self.members.len() {
            if self.joining[index] && self.members[index].state() != State::Init {
                self.joining[index] = false;
                if masters {
                    self.members[index].join_masters(now);
                }
                self.collect(index);
            }
        }
        if !masters {
            self.joining.fill(false);
        }
    }

    /// Faults and ignorance of one are those of all.
    fn hold(&mut self, now: Instant, trigger: usize) {
        let effects = || self.tracks.iter().zip(&self.statuses).map(|(weight, status)| weight.effect(*status));
        let own = || self.members.iter().map(Instance::own_readiness);
        let fault = effects().any(|e| e == Effect::Fault) || own().any(|r| matches!(r, Readiness::Fault(_)));
        let wait = effects().any(|e| e == Effect::Wait) || own().any(|r| r == Readiness::Wait);
        let hold = match (fault, wait) {
            (true, _) => Hold::Fault,
            (_, true) => Hold::Wait,
            _ => Hold::None,
        };
        let weight = effects().map(|e| if let Effect::Add(number) = e { number } else { 0 }).fold(0, i32::saturating_add);
        let state = if fault { State::Fault } else { State::Backup };
        self.follow(trigger, state, |member| member.set_hold(now, hold, weight));
    }

    /// The trigger first, then the others, as keepalived has it; with a line in the log if any of these had to change.
    fn follow(&mut self, trigger: usize, state: State, mut step: impl FnMut(&mut Instance)) {
        let mut said = false;
        let others = (0..self.members.len()).filter(|i| *i != trigger);
        for index in std::iter::once(trigger).chain(others) {
            let Some(member) = self.members.get_mut(index) else { continue };
            let before = member.state();
            step(member);
            if !said && index != trigger && self.members[index].state() != before {
                said = true;
                self.actions.push_back(GroupAction::Syncing(state));
            }
            self.collect(index);
        }
    }

    fn collect(&mut self, index: usize) {
        while let Some(action) = self.members[index].poll_action() {
            self.actions.push_back(GroupAction::Member(index, action));
        }
    }

    /// Tells the group's scripts what all members have come to.
    fn announce(&mut self) {
        let notice = match (self.stopping, self.state()) {
            (Some(departure), _) if self.is_stopped() => match departure {
                Departure::Stop => Notice::Stop,
                Departure::Deleted => Notice::Deleted,
            },
            (None, State::Master) => Notice::Master,
            (None, State::Backup) => Notice::Backup,
            (None, State::Fault) => Notice::Fault,
            _ => return,
        };
        if self.told.replace(notice) != Some(notice) {
            self.actions.push_back(GroupAction::Notify(notice));
        }
    }
}
