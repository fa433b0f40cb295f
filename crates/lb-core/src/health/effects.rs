//! What the verdict of a check, or the word of an operator, leads to: a server's state, the queues, the lines of the log.
//!
//! Holds: all that changes together changes under one lock per backend, so that the lines of one backend are in order and their
//! counts agree with each other.

use super::lock;
use crate::proxy::{Backend, Server, ServerState};
use crate::server::History;
use crate::worker::{Moment, Process, Severity};
use lb_balance::ServerId;
use lb_check::report::{self, Cause, Counts, Line};
use lb_check::{Admin, Health, Transition, Verdict};
use lb_expr::Timestamp;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Lets a verdict count, with all that follows from it.
pub(super) fn apply(process: &Process, moment: Moment, backend: &Arc<Backend>, id: ServerId, verdict: &Verdict) {
    let server = backend.server(id);
    let _in_order = lock(&backend.changes);
    let mut health = lock(&server.health);
    let applied = health.apply(verdict);
    if !health.in_maintenance() {
        lock(&server.history).last = Some(verdict.clone());
    }
    let log_checks = backend.settings.options.log_health_checks;
    if log_checks && applied.noticed {
        say(process, moment.at, backend, &report::check_line(names(backend, server), &health, verdict));
    }
    let cause = if log_checks { Cause::LoggedCheck } else { Cause::Check(verdict) };
    if let Some(transition) = applied.transition {
        change(process, moment, backend, server, &health, transition, cause);
    }
}

/// Does with a server what an operator wants; false: that changes nothing.
pub(crate) fn operate(process: &Process, moment: Moment, backend: &Arc<Backend>, id: ServerId, wish: Admin) -> bool {
    let server = backend.server(id);
    let _in_order = lock(&backend.changes);
    let mut health = lock(&server.health);
    let Some(transition) = health.admin(wish) else { return false };
    change(process, moment, backend, server, &health, transition, Cause::Cli);
    true
}

/// What follows from a change of a server's health: its state, the queues, the lines.
fn change(
    process: &Process,
    moment: Moment,
    backend: &Arc<Backend>,
    server: &Arc<Server>,
    health: &Health,
    transition: Transition,
    cause: Cause<'_>,
) {
    let (active, backups) = backend.usable();
    let had_one = active + backups != 0;
    let was_usable = server.usable();
    let requeued = backend.set_state(server.id, state_of(health));
    let (active, backup) = backend.usable();
    let has_one = active + backup != 0;
    let note = |history: &mut History, was_up, is_up| {
        let since = process.since(history.changed, moment.now);
        history.note(moment.now, since, was_up, is_up);
    };
    note(&mut lock(&server.history), was_usable, server.usable());
    if had_one != has_one {
        note(&mut lock(&backend.history), had_one, has_one);
    }
    let counts = Counts {
        active,
        backup,
        sessions: server.served.load(Ordering::Relaxed) as usize,
        requeued,
        queued: backend.queue.backend_waiting() as usize,
    };
    for line in report::server_lines(names(backend, server), health, transition, cause, counts) {
        say(process, moment.at, backend, &line);
    }
    if had_one && !has_one {
        // Beside the quotes that one of the two has, they are the same.
        process.tell(Severity::Alert, &format!("backend '{}' has no server available!", backend.name()));
        log(moment.at, backend, &report::no_server_line(backend.name()));
    }
}

fn names<'a>(backend: &'a Backend, server: &'a Server) -> report::Server<'a> {
    report::Server { backend: backend.name(), name: server.name(), backup: server.settings.backup }
}

fn state_of(health: &Health) -> ServerState {
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
    let level = match line.level {
        report::Level::Emerg => lb_config::Level::Emerg,
        report::Level::Alert => lb_config::Level::Alert,
        report::Level::Notice => lb_config::Level::Notice,
    };
    if let Some(log) = &backend.log {
        log.send(level, at, &line.text);
    }
}
