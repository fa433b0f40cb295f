//! The election: what adverts and timers do to an instance (RFC 3768 §6.4, RFC 9568 §6.4).

use super::{ANSWERS_PER_INTERVAL, Backup, Departure, HISTORY, Instance, Master, Mastership, Phase, REPORT_SPACING, Wait};
use crate::action::{Action, Cause, Notice, Report, State, Transition};
use crate::config::{OWNER, OldChecksum};
use crate::packet::{Advert, Packet};
use crate::receive::{Accepted, check};
use crate::{Refusal, Version};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Something that happens again after a delay, if it does.
fn after(now: Instant, delay: Duration) -> Option<Instant> {
    (!delay.is_zero()).then(|| now + delay)
}

impl Instance {
    pub(super) fn packet(&mut self, now: Instant, packet: &Packet<'_>) {
        if matches!(self.phase, Phase::Init) {
            return;
        }
        let checked = check(&self.config, self.source, packet).and_then(|accepted| self.sequence_is_new(packet.source, accepted));
        let accepted = match checked {
            Ok(accepted) => accepted,
            Err(why) => return self.refuse(now, packet.source, why),
        };
        self.stats.advert_rcvd += 1;
        if accepted.old_checksum && !self.old_checksum && self.config.old_unicast_checksum == OldChecksum::Auto {
            self.old_checksum = true;
            self.report(Report::OldChecksum(packet.source));
        }
        let advert = &accepted.advert;
        if advert.priority == 0 {
            self.stats.pri_zero_rcvd += 1;
        } else {
            self.compare_addresses(now, packet.source, advert);
        }
        match self.phase {
            Phase::Backup(backup) => self.heard_as_backup(now, backup, packet.source, advert),
            Phase::Master(mastership) => self.heard_as_master(now, mastership, packet.source, advert),
            Phase::Leaving { departure, .. } if advert.priority > 0 => self.left(now, departure, Some(packet.source)),
            Phase::Fault if advert.priority > 0 => self.note_master(now, packet.source, advert),
            Phase::Init | Phase::Fault | Phase::Leaving { .. } => {}
        }
    }

    /// Guards against datagrams that somebody recorded. Who has been restarted and counts from one again is heard as soon as it has heard
    /// us: it goes on from our number, as we do from that of others.
    fn sequence_is_new<'a>(&mut self, from: IpAddr, accepted: Accepted<'a>) -> Result<Accepted<'a>, Refusal> {
        if let Some(sequence) = accepted.sequence {
            let seen = self.heard_sequence.is_some_and(|(whose, last)| whose == from && sequence <= last);
            if seen {
                return Err(Refusal::Replay(sequence));
            }
            self.heard_sequence = Some((from, sequence));
            self.sequence = self.sequence.max(sequence);
        }
        Ok(accepted)
    }

    /// Another list is counted and said, and no reason not to listen: two masters are worse than two lists.
    fn compare_addresses(&mut self, now: Instant, from: IpAddr, advert: &Advert<'_>) {
        if self.config.skip_check_adv_addr && self.compared == Some(from) {
            return;
        }
        self.compared = Some(from);
        let ours = &self.config.addresses;
        let same = advert.addresses.len() == ours.len()
            && (advert.addresses.iter().eq(ours.iter().copied()) || advert.addresses.iter().all(|a| ours.contains(&a)));
        if same {
            if self.differs == Some(from) {
                self.differs = None;
            }
            return;
        }
        self.stats.addr_list_err += 1;
        if self.differs != Some(from) && self.remarks.take(now, REPORT_SPACING).is_some() {
            self.differs = Some(from);
            self.report(Report::OtherAddresses(from));
        }
    }

    fn note_master(&mut self, now: Instant, address: IpAddr, advert: &Advert<'_>) {
        self.master = Some(Master { address, priority: advert.priority, heard: now });
        if self.config.version == Version::V3 {
            let from = std::mem::replace(&mut self.master_interval, advert.interval);
            if from != advert.interval && self.lessons.take(now, REPORT_SPACING).is_some() {
                self.report(Report::Learned { from, to: advert.interval });
            }
        }
    }

    fn heard_as_backup(&mut self, now: Instant, mut backup: Backup, from: IpAddr, advert: &Advert<'_>) {
        if advert.priority == 0 {
            // One who leaves but was not the master says nothing about the master.
            if self.master.is_none_or(|m| m.address == from) {
                self.remark(now, Report::PriorityZero(from));
                self.hurry(now, backup);
            }
            return;
        }
        let ranks = advert.priority >= self.priority;
        if ranks && backup.preempt_at.is_some() {
            self.remark(now, Report::PreemptDelayOver);
        }
        let preempts = (self.config.preempt || self.config.is_owner()) && !ranks;
        if ranks {
            backup.preempt_at = None;
        } else if preempts && backup.preempt_at.is_none() && !self.config.preempt_delay.is_zero() {
            backup.preempt_at = Some(now + self.config.preempt_delay);
            self.remark(now, Report::PreemptDelay(self.config.preempt_delay));
        }
        if preempts && backup.preempt_at.is_none_or(|at| at <= now) {
            self.remark(now, Report::Discarding { from, priority: advert.priority });
            self.phase = Phase::Backup(backup);
            return;
        }
        self.note_master(now, from, advert);
        self.phase = Phase::Backup(Backup { since: now, wait: Wait::MasterDown, expired: false, ..backup });
    }

    /// Waits for Skew_Time only. Said twice, it does not begin anew.
    pub(super) fn hurry(&mut self, now: Instant, backup: Backup) {
        let hurried = Backup { since: now, wait: Wait::Skew, ..backup };
        if !backup.expired && self.down_at(&hurried) < self.down_at(&backup) {
            self.phase = Phase::Backup(hurried);
        }
    }

    fn heard_as_master(&mut self, now: Instant, mut mastership: Mastership, from: IpAddr, advert: &Advert<'_>) {
        let spacing = self.config.advert_int / ANSWERS_PER_INTERVAL;
        let ours = self.priority;
        let priority = advert.priority;
        if priority == 0 {
            if mastership.answers.take(now, spacing).is_some() {
                self.remark(now, Report::MasterPriorityZero(from));
                self.send(ours);
                mastership.advert_at = now + self.config.advert_int;
            }
            self.phase = Phase::Master(mastership);
            return;
        }
        if priority == OWNER && ours == OWNER {
            self.remark(now, Report::TwoOwners(from));
        }
        if priority > ours || (priority == ours && self.source.is_some_and(|own| from > own)) {
            self.report(Report::HigherPriority { from, priority, ours });
            if self.config.higher_prio_send_advert {
                self.send(ours);
            }
            self.note_master(now, from, advert);
            return self.become_backup(now, Cause::Outranked { by: from, priority });
        }
        let answered = !self.config.lower_prio_no_advert;
        if mastership.answers.take(now, spacing).is_some() {
            self.remark(now, Report::LowerPriority { from, priority, ours, answered });
            if answered {
                self.send(ours);
                mastership.advert_at = now + self.config.advert_int;
            }
            let garp = self.config.garp;
            self.announce(garp.lower_prio_repeat);
            mastership.remind_at = after(now, garp.lower_prio_delay).filter(|_| garp.lower_prio_repeat > 0);
            self.notify(Notice::MasterRxLowerPri);
        }
        self.phase = Phase::Master(mastership);
    }

    /// When a backup's wait is over. The priority may have changed since it began.
    pub(super) fn down_at(&self, backup: &Backup) -> Instant {
        backup.since
            + match backup.wait {
                Wait::MasterDown => self.master_down(),
                Wait::Skew => self.skew(),
            }
    }

    pub(super) fn master_is_down(&mut self, now: Instant, backup: Backup) {
        self.report(Report::Timeout);
        self.master = None;
        if self.grouped {
            self.phase = Phase::Backup(Backup { expired: true, ..backup });
            return;
        }
        self.become_master(now, if backup.wait == Wait::Skew { Cause::PriorityZero } else { Cause::Timeout });
    }

    pub(super) fn master_timers(&mut self, now: Instant, mut mastership: Mastership) {
        let garp = self.config.garp;
        if mastership.advert_at <= now {
            self.send(self.priority);
            // In step with the clock; but what a pause has swallowed is not sent after it.
            let next = mastership.advert_at + self.config.advert_int;
            mastership.advert_at = if next > now { next } else { now + self.config.advert_int };
        }
        if mastership.announce_again.take_if(|at| *at <= now).is_some() {
            self.announce(garp.master_repeat);
        }
        if mastership.remind_at.take_if(|at| *at <= now).is_some() {
            self.announce(garp.lower_prio_repeat);
        }
        if mastership.refresh_at.is_some_and(|at| at <= now) {
            mastership.refresh_at = after(now, garp.master_refresh);
            self.announce(garp.master_refresh_repeat);
        }
        self.phase = Phase::Master(mastership);
    }

    /// Out of Init or Fault.
    pub(super) fn begin(&mut self, now: Instant) {
        let first = matches!(self.phase, Phase::Init);
        self.master = None;
        self.master_interval = self.config.advert_int;
        if self.config.is_owner() && self.config.start_as_master {
            if !self.grouped {
                return self.become_master(now, Cause::Owner);
            }
            self.become_backup(now, Cause::Started);
            if let Phase::Backup(backup) = &mut self.phase {
                backup.expired = true;
            }
            return;
        }
        self.become_backup(now, if first { Cause::Started } else { Cause::Recovered });
    }

    pub(super) fn become_master(&mut self, now: Instant, cause: Cause) {
        self.master = None;
        let learned = std::mem::replace(&mut self.master_interval, self.config.advert_int);
        let garp = self.config.garp;
        self.send(self.priority);
        self.enter(now, State::Master, cause);
        if learned != self.config.advert_int {
            self.report(Report::Unlearned { from: learned, to: self.config.advert_int });
        }
        self.phase = Phase::Master(Mastership {
            advert_at: now + self.config.advert_int,
            announce_again: after(now, garp.master_delay),
            remind_at: None,
            refresh_at: after(now, garp.master_refresh),
            answers: Default::default(),
        });
        self.stats.become_master += 1;
        self.actions.push_back(Action::AddAddresses);
        self.announce(garp.master_repeat);
        self.notify(Notice::Master);
    }

    pub(super) fn become_backup(&mut self, now: Instant, cause: Cause) {
        let was_master = matches!(self.phase, Phase::Master(_));
        self.enter(now, State::Backup, cause);
        self.phase = Phase::Backup(Backup { since: now, wait: Wait::MasterDown, expired: false, preempt_at: None });
        if was_master {
            self.release();
        }
        self.notify(Notice::Backup);
    }

    pub(super) fn fail(&mut self, now: Instant, cause: Cause) {
        let was_master = matches!(self.phase, Phase::Master(_));
        self.enter(now, State::Fault, cause);
        if was_master {
            // Even over a link that is down: it may be down in one direction only, and what cannot be sent harms nobody.
            self.send(0);
            self.report(Report::SentPriorityZero);
            self.release();
        }
        self.phase = Phase::Fault;
        self.master = None;
        self.notify(Notice::Fault);
    }

    pub(super) fn stop(&mut self, now: Instant, departure: Departure) {
        if !std::mem::take(&mut self.started) {
            return;
        }
        if !matches!(self.phase, Phase::Master(_)) {
            return self.left(now, departure, None);
        }
        self.send(0);
        self.report(Report::SentPriorityZero);
        if self.config.linger {
            // Whoever takes over waits for its skew, which is shorter than an interval, and has an interval to be heard.
            let until = now + self.skew() + self.config.advert_int;
            self.phase = Phase::Leaving { until, departure };
        } else {
            self.left(now, departure, None);
        }
    }

    /// The end of a stop: nothing is ours any more.
    pub(super) fn left(&mut self, now: Instant, departure: Departure, to: Option<IpAddr>) {
        match self.phase {
            Phase::Leaving { .. } => {
                self.report(Report::HandedOver(to));
                self.release();
            }
            Phase::Master(_) => self.release(),
            Phase::Init | Phase::Backup(_) | Phase::Fault => {}
        }
        self.remember(now, State::Init, Cause::Stopped);
        self.phase = Phase::Init;
        self.master = None;
        self.notify(match departure {
            Departure::Stop => Notice::Stop,
            Departure::Deleted => Notice::Deleted,
        });
    }

    /// A master without one of its addresses is none. As in keepalived, the others are told, and whoever has the shortest skew is the next:
    /// most often this one again, which puts all addresses back in place.
    pub(super) fn address_lost(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Master(_)) {
            self.send(0);
            self.report(Report::SentPriorityZero);
            self.become_backup(now, Cause::AddressLost);
            self.hasten(now);
        }
    }

    fn release(&mut self) {
        self.stats.release_master += 1;
        self.actions.push_back(Action::RemoveAddresses);
    }

    fn enter(&mut self, now: Instant, state: State, cause: Cause) {
        let init = matches!(self.phase, Phase::Init) && state == State::Backup;
        self.report(Report::Entering { state, init, cause });
        self.remember(now, state, cause);
    }

    fn remember(&mut self, at: Instant, to: State, cause: Cause) {
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(Transition { at, from: self.state(), to, cause });
    }
}
