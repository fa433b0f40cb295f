//! Commands about frontends, limits and counters.

use super::command::Command;
use super::{Answer, Cx, Message, Outcome, error};
use crate::listener::Mode;

use crate::proxy::Frontend;
use lb_config::{CliLevel, Level};
use std::sync::Arc;

const fn admin(name: &'static str, args: &'static str, doc: &'static str, run: fn(&mut Cx<'_>) -> Outcome) -> Command {
    Command { name, args, doc, level: CliLevel::Admin, run }
}

pub(super) const COMMANDS: &[Command] = &[
    admin("disable frontend", "<frontend>", "stops listening, until it is enabled", |cx| set_mode(cx, Mode::Paused)),
    admin("enable frontend", "<frontend>", "listens again", |cx| set_mode(cx, Mode::Accepts)),
    admin("shutdown frontend", "<frontend>", "closes its listeners for good; its streams go on", |cx| set_mode(cx, Mode::Stopped)),
    admin("set maxconn global", "<number>", "changes how many connections the process has at once", |cx| {
        let process = &cx.worker.process;
        match value(cx.arg(0))? {
            0 => process.gate.set_max(process.hard_maxconn),
            max if max <= process.hard_maxconn => process.gate.set_max(max),
            _ => return Err(error("Value out of range.\n")),
        }
        Ok(Answer::Done)
    }),
    admin("set maxconn frontend", "<frontend> <number>", "changes how many connections a frontend has at once", |cx| {
        let frontend = frontend(cx)?;
        if cx.arg(1).is_empty() {
            return Err(error("Integer value expected.\n"));
        }
        frontend.gate.set_max(value(cx.arg(1))?);
        Ok(Answer::Done)
    }),
    admin("set rate-limit", "<what> global <number>", "changes connections or sessions of the process per second", set_rate_limit),
    Command {
        name: "clear counters",
        args: "[all]",
        doc: "forgets the highest values, or all",
        level: CliLevel::Operator,
        run: clear_counters,
    },
];

/// The frontend that the first argument names.
pub(super) fn frontend(cx: &Cx<'_>) -> Result<Arc<Frontend>, Message> {
    if cx.arg(0).is_empty() {
        return Err(error("A frontend name is expected.\n"));
    }
    let found = cx.worker.process.topology.frontends.iter().find(|f| f.name() == cx.arg(0));
    found.cloned().ok_or_else(|| error("No such frontend.\n"))
}

fn set_mode(cx: &mut Cx<'_>, mode: Mode) -> Outcome {
    let frontend = frontend(cx)?;
    let notice = |text: &'static str| Err(Message(Level::Notice, text.into()));
    let listens = !frontend.settings.binds.is_empty();
    match (frontend.mode(), mode) {
        (Mode::Stopped, Mode::Stopped) => return notice("Frontend was already shut down.\n"),
        (Mode::Stopped, Mode::Paused) => return notice("Frontend was previously shut down, cannot disable.\n"),
        (Mode::Stopped, Mode::Accepts) => return Err(error("Frontend was previously shut down, cannot enable.\n")),
        (now, Mode::Paused) if now == mode || !listens => return notice("All sockets are already disabled.\n"),
        (now, Mode::Accepts) if now == mode || !listens => return notice("All sockets are already enabled.\n"),
        _ => {}
    }
    let (worker, process) = (cx.worker, &cx.worker.process);
    process.set_mode_of(&frontend, mode);
    match mode {
        _ if !listens => {}
        Mode::Paused => worker.announce(&frontend, &frontend.became("Paused")),
        Mode::Accepts => worker.announce(&frontend, &frontend.became("Resumed")),
        Mode::Stopped => worker.announce_end(Some(&frontend), process.topology.listen_of(&frontend).map(Arc::as_ref)),
    }
    Ok(Answer::Done)
}

/// A number from 0; as with haproxy, what is no number is 0.
fn value(text: &str) -> Result<u32, Message> {
    if text.is_empty() {
        return Err(error("Expects an integer value.\n"));
    }
    u32::try_from(super::show::number(text)).map_err(|_| error("Value out of range.\n"))
}

fn set_rate_limit(cx: &mut Cx<'_>) -> Outcome {
    const USAGE: &str = "'set rate-limit' only supports :\n   - 'connections global' to set the per-process maximum connection rate\n   \
                         - 'sessions global' to set the per-process maximum session rate\n";
    let process = &cx.worker.process;
    let rate = match (cx.arg(0), cx.arg(1)) {
        ("connections", "global") => &process.connection_rate,
        ("sessions", "global") => &process.session_rate,
        _ => return Err(error(USAGE)),
    };
    rate.set_limit(value(cx.arg(2))?);
    Ok(Answer::Done)
}

fn clear_counters(cx: &mut Cx<'_>) -> Outcome {
    let all = cx.arg(0) == "all";
    if all && cx.session.level < CliLevel::Admin {
        return Err(error("Permission denied\n"));
    }
    let (worker, cli) = (cx.worker.clone(), cx.cli.clone());
    Ok(Answer::Later(Box::pin(async move {
        super::ask_all(&worker, move |worker| worker.counters.clear(all)).await;
        let process = &worker.process;
        for server in process.topology.backends.iter().flat_map(|b| b.servers()) {
            server.forget(all);
        }
        let mut rates = cli.rates.borrow_mut();
        rates.forget_highest(process);
        if all {
            for backend in &process.topology.backends {
                backend.forget_downs();
            }
            rates.begin(process);
        }
        Ok(Answer::Done)
    })))
}
