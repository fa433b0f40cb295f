//! Commands about the connection to the run-time socket itself, and about the program.

use super::command::{self, Command};
use super::{Answer, Cx, Message, Outcome, error};
use lb_config::{CliLevel, LANGUAGE_VERSION, Level, SeverityOutput, time};
use std::fmt::Write as _;
use std::time::Duration;

/// Named at the end of every list of commands.
pub(super) const LAST: &[&str] = &["help", "prompt", "quit"];

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "help",
        args: "[<command>]",
        doc: "lists commands, all or those like the words",
        level: CliLevel::User,
        run: command::help,
    },
    Command { name: "prompt", args: "", doc: "switches between one answer and a conversation", level: CliLevel::User, run: prompt },
    Command { name: "quit", args: "", doc: "ends the connection", level: CliLevel::User, run: |_| Ok(Answer::Close) },
    Command {
        name: "user",
        args: "",
        doc: "lowers the rights of this connection to those of a user",
        level: CliLevel::User,
        run: |cx| lower(cx, CliLevel::User),
    },
    Command {
        name: "operator",
        args: "",
        doc: "lowers the rights of this connection to those of an operator",
        level: CliLevel::Operator,
        run: |cx| lower(cx, CliLevel::Operator),
    },
    Command {
        name: "set severity-output",
        args: "[none|number|string]",
        doc: "what stands before messages",
        level: CliLevel::User,
        run: severity_output,
    },
    Command {
        name: "set timeout",
        args: "cli <delay>",
        doc: "silence that ends this connection, in seconds",
        level: CliLevel::User,
        run: set_timeout,
    },
    Command { name: "show cli level", args: "", doc: "the rights of this connection", level: CliLevel::User, run: show_level },
    Command { name: "show cli sockets", args: "", doc: "all run-time sockets", level: CliLevel::User, run: show_sockets },
    Command {
        name: "show env",
        args: "[<name>]",
        doc: "variables of the environment, all or one",
        level: CliLevel::Operator,
        run: show_env,
    },
    Command { name: "show version", args: "", doc: "the version", level: CliLevel::User, run: show_version },
];

fn prompt(cx: &mut Cx<'_>) -> Outcome {
    cx.session.interactive ^= true;
    Ok(Answer::Done)
}

fn lower(cx: &mut Cx<'_>, level: CliLevel) -> Outcome {
    cx.session.level = level;
    Ok(Answer::Done)
}

fn severity_output(cx: &mut Cx<'_>) -> Outcome {
    cx.session.severity = match cx.arg(0) {
        "none" => SeverityOutput::None,
        "number" => SeverityOutput::Number,
        "string" => SeverityOutput::String,
        _ => return Err(error("one of 'none', 'number', 'string' is a required argument\n")),
    };
    Ok(Answer::Done)
}

fn set_timeout(cx: &mut Cx<'_>) -> Outcome {
    if cx.arg(0) != "cli" {
        return Err(error("'set timeout' only supports 'cli'.\n"));
    }
    if cx.arg(1).is_empty() {
        return Err(error("Expects an integer value.\n"));
    }
    match time(cx.arg(1), Duration::from_secs(1)) {
        Ok(timeout) if !timeout.is_zero() => cx.session.timeout = timeout,
        _ => return Err(error("Invalid timeout value.\n")),
    }
    Ok(Answer::Done)
}

fn show_level(cx: &mut Cx<'_>) -> Outcome {
    Ok(Answer::Message(Message(Level::Info, format!("{}\n", cx.session.level.name()).into())))
}

fn show_sockets(cx: &mut Cx<'_>) -> Outcome {
    let mut out = String::from("# socket lvl processes\n");
    for (address, level) in &cx.cli.sockets {
        let _ = writeln!(out, "{address} {} all", level.name());
    }
    Ok(Answer::Text(out))
}

fn show_env(cx: &mut Cx<'_>) -> Outcome {
    let name = cx.arg(0).to_owned();
    let mut variables = std::env::vars_os().filter(move |(key, _)| name.is_empty() || key.to_str() == Some(&name)).peekable();
    if variables.peek().is_none() {
        return Err(error("Variable not found\n"));
    }
    Ok(Answer::Rows(Box::new(move |out| {
        let Some((key, value)) = variables.next() else { return false };
        let _ = writeln!(out, "{}={}", key.display(), value.display());
        true
    })))
}

/// Tools expect three numbers: what is told is the version of haproxy whose configuration is spoken.
fn show_version(_: &mut Cx<'_>) -> Outcome {
    Ok(Answer::Message(Message(Level::Info, format!("{LANGUAGE_VERSION}\n").into())))
}
