//! What the verdict of a check, or the word of an operator, leads to: a server's state, the queues, the lines of the log.
//!
//! Holds: all that changes together changes under one lock per backend, so that the lines of one backend are in order and their
//! counts agree with each other.

use super::lock;
use crate::ending::end_everywhere;
use crate::proxy::{Backend, Server, ServerState};
use crate::server::History;
use crate::warmth;
use crate::worker::{Moment, Process, Severity, Worker};
use lb_balance::{ServerId, WeightError};
use lb_check::report::{self, Cause, Checker, Counts, Line};
use lb_check::{Admin, Applied, Health, OnError, Sign, Transition, Verdict, errors_verdict};
use lb_config::ProxyKind;
use lb_expr::{Cause as End, Timestamp};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Lets a verdict count, with all that follows from it.
pub(super) fn apply(process: &Process, moment: Moment, backend: &Arc<Backend>, id: ServerId, verdict: &Verdict) {
    changing(process, moment, backend, id, |change, health| {
        let applied = health.apply(verdict);
        if verdict.passed() {
            change.server.watched.forget_errors();
        }
        if !health.in_maintenance() {
            lock(&change.server.history).last = Some(verdict.clone());
        }
        change.judged(health, applied, verdict, Checker::Health);
    });
}

/// Lets what an agent has said of a server's state count.
pub(super) fn apply_agent(process: &Process, moment: Moment, backend: &Arc<Backend>, id: ServerId, verdict: &Verdict) {
    changing(process, moment, backend, id, |change, health| {
        let applied = health.apply_agent(verdict);
        if verdict.passed() {
            change.server.watched.forget_errors();
        }
        if let Some(agent) = &change.server.watched.agent {
            lock(&agent.history).last = Some(verdict.clone());
        }
        change.judged(health, applied, verdict, Checker::Agent);
    });
}

/// Changes a server's share of the work, which may be its backend's last.
///
/// # Errors
/// As [`Backend::set_weight`].
pub(crate) fn reweigh(process: &Process, moment: Moment, backend: &Arc<Backend>, id: ServerId, weight: u16) -> Result<(), WeightError> {
    let server = backend.server(id);
    let _in_order = lock(&backend.changes);
    let had_one = backend.serves();
    backend.set_weight(id, weight)?;
    if had_one && !backend.serves() {
        // haproxy counts it as it counts every other loss, but has nothing to note when a share is given back.
        lock(&backend.history).note(moment.now, Duration::ZERO, true, false);
        Change { process, moment, backend, server }.lost_last();
    }
    Ok(())
}

/// There were too many errors in a row in a server's traffic, the last of them `sign`.
pub(crate) fn errors_in_traffic(process: &Process, moment: Moment, backend: &Arc<Backend>, id: ServerId, count: u32, sign: Sign) {
    let mode = backend.server(id).settings.watching.as_ref().map(|watching| watching.on_error).unwrap_or_default();
    changing(process, moment, backend, id, |change, health| {
        if mode == OnError::Fastinter || health.in_maintenance() {
            return;
        }
        let verdict = errors_verdict(count, sign);
        let applied = health.apply_errors(mode, &verdict);
        lock(&change.server.history).last = Some(verdict.clone());
        change.judged(health, applied, &verdict, Checker::Health);
    });
}

/// Does with a server what an operator or its agent wants; false: that changes nothing.
pub(crate) fn operate(process: &Process, moment: Moment, backend: &Arc<Backend>, id: ServerId, wish: Admin) -> bool {
    changing(process, moment, backend, id, |change, health| match health.admin(wish) {
        Some(transition) => {
            change.follows(health, transition, Cause::Cli);
            true
        }
        None => false,
    })
}

/// Runs `work` on a server's health while nobody else changes its backend, then tells those that track the server.
fn changing<T>(
    process: &Process,
    moment: Moment,
    backend: &Arc<Backend>,
    id: ServerId,
    work: impl FnOnce(&Change<'_>, &mut Health) -> T,
) -> T {
    let server = backend.server(id);
    let done = {
        let _in_order = lock(&backend.changes);
        work(&Change { process, moment, backend, server }, &mut lock(&server.health))
    };
    tell_followers(process, moment, server);
    done
}

/// Those that track a server are now as it is. The lock of one backend is not held while that of another is waited for: who comes later
/// sees the newer state.
fn tell_followers(process: &Process, moment: Moment, leader: &Server) {
    for (backend, id) in leader.watched.followers.get().into_iter().flatten() {
        let Some(backend) = backend.upgrade() else { continue };
        let server = backend.server(*id);
        {
            let _in_order = lock(&backend.changes);
            let lead = lock(&leader.health).lead();
            let change = Change { process, moment, backend: &backend, server };
            let mut health = lock(&server.health);
            for transition in health.follow(lead) {
                change.follows(&health, transition, Cause::Follows);
            }
        }
        tell_followers(process, moment, server);
    }
}

/// A change of a server that is under way; the lock of its backend is held.
struct Change<'a> {
    process: &'a Process,
    moment: Moment,
    backend: &'a Arc<Backend>,
    server: &'a Arc<Server>,
}

impl Change<'_> {
    /// What follows from a verdict: its own line, and the change of state.
    fn judged(&self, health: &Health, applied: Applied, verdict: &Verdict, by: Checker) {
        let log_checks = self.backend.settings.options.log_health_checks;
        self.named(|names| {
            if log_checks && applied.noticed {
                let line = report::check_line(names, health, verdict, by);
                say(self.process, self.moment.at, self.backend, &line);
                self.mail(lb_config::Level::Info, &line.text);
            }
        });
        let cause = if log_checks { Cause::LoggedCheck } else { Cause::Check(verdict) };
        if let Some(transition) = applied.transition {
            self.follows(health, transition, cause);
        }
    }

    /// What follows from a change of a server's health: its state, the queues, its streams, the lines.
    fn follows(&self, health: &Health, transition: Transition, cause: Cause<'_>) {
        let Change { process, moment, backend, server } = *self;
        let (active, backups) = backend.usable();
        let had_one = active + backups != 0;
        let was_usable = server.usable();
        let warmed = server.warmth.round();
        let requeued = backend.set_state(server.id, state_of(health));
        if server.warmth.round() != warmed {
            warm_up(process, backend, server);
        }
        self.end_streams(was_usable);
        let (active, backup) = backend.usable();
        let has_one = active + backup != 0;
        let since = |history: &History| process.since(history.changed, moment.now);
        {
            let (mut own, mut all) = (lock(&server.history), lock(&backend.history));
            let (own_since, all_since) = (since(&own), since(&all));
            own.note(moment.now, own_since, was_usable, server.usable());
            all.note_server(moment.now, all_since, transition, had_one, has_one);
        }
        let counts = Counts {
            active,
            backup,
            sessions: server.served.load(Ordering::Relaxed) as usize,
            requeued,
            queued: backend.queue.backend_waiting() as usize,
        };
        // Whatever the reason, a server that tracks another is so because of that one.
        let state = matches!(transition, Transition::Up | Transition::Down | Transition::Stopping);
        let cause = if state && server.watched.leader.get().is_some() { Cause::Follows } else { cause };
        self.named(|names| {
            let lines = report::server_lines(names, health, transition, cause, counts);
            for line in &lines {
                say(process, moment.at, backend, line);
            }
            // Maintenance, which somebody has wanted, is no news.
            let line = lines.first().filter(|_| state || transition == Transition::DrainBegins);
            if let Some(line) = line {
                self.mail(level_of(line), &line.text);
            }
        });
        if had_one && !has_one {
            self.lost_last();
        }
    }

    /// `on-marked-down`, `on-marked-up`
    fn end_streams(&self, was_usable: bool) {
        let Change { process, backend, server, .. } = *self;
        let Some(watching) = server.settings.watching.as_deref() else { return };
        let is_usable = server.usable();
        if watching.shutdown_sessions && was_usable && !is_usable {
            end_everywhere(process, backend.index, [server.id], End::ServerDown);
        }
        let takes = server.state() == ServerState::Up && server.weight.load(Ordering::Relaxed) != 0;
        if watching.shutdown_backup_sessions && !was_usable && takes && !server.settings.backup {
            let backups = backend.servers().iter().filter(|s| s.settings.backup).map(|s| s.id);
            end_everywhere(process, backend.index, backups, End::ServerUp);
        }
    }

    fn mail(&self, level: lb_config::Level, text: &str) {
        if let Some(alerts) = &self.backend.alerts {
            alerts.send(self.process, level, self.moment.at, text);
        }
    }

    fn lost_last(&self) {
        let Change { process, moment, backend, .. } = *self;
        let kind = if backend.settings.kind == ProxyKind::Listen { "proxy" } else { "backend" };
        // Beside the quotes that one of the two has, they are the same.
        process.tell(Severity::Alert, &format!("{kind} '{}' has no server available!", backend.name()));
        log(moment.at, backend, &report::no_server_line(kind, backend.name()));
    }

    /// The server as the lines name it.
    fn named(&self, work: impl FnOnce(report::Server<'_>)) {
        let leader = self.server.leader();
        let tracks = leader.as_ref().map(|(backend, id)| (backend.name(), backend.server(*id).name()));
        let (backup, no_share) = (self.server.settings.backup, self.server.weight.load(Ordering::Relaxed) == 0);
        work(report::Server { backend: self.backend.name(), name: self.server.name(), backup, no_share, tracks });
    }
}

/// Has a thread count the seconds of a server that is warming up.
fn warm_up(process: &Process, backend: &Arc<Backend>, server: &Server) {
    let (backend, id) = (Arc::downgrade(backend), server.id);
    let Some(thread) = process.any_thread() else { return };
    thread.run(move |rt| {
        if let (Some(worker), Some(backend)) = (rt.local::<Worker>(), backend.upgrade()) {
            warmth::warm_up(&worker, &backend, id);
        }
    });
}

/// What a server's health means for traffic.
pub(crate) fn state_of(health: &Health) -> ServerState {
    if health.in_maintenance() {
        ServerState::Maintenance
    } else if health.takes_new() {
        ServerState::Up
    } else if health.takes_own() {
        ServerState::Drain
    } else {
        ServerState::Down
    }
}

/// To the operator and to the backend's logs.
fn say(process: &Process, at: Timestamp, backend: &Backend, line: &Line) {
    process.tell(Severity::Warning, &line.text);
    log(at, backend, line);
}

fn log(at: Timestamp, backend: &Backend, line: &Line) {
    if let Some(log) = &backend.log {
        log.send(level_of(line), at, &line.text);
    }
}

fn level_of(line: &Line) -> lb_config::Level {
    match line.level {
        report::Level::Emerg => lb_config::Level::Emerg,
        report::Level::Alert => lb_config::Level::Alert,
        report::Level::Notice => lb_config::Level::Notice,
    }
}
