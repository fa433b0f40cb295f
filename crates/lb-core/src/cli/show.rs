//! Commands that show what runs.

use super::command::Command;
use super::{Answer, Cx, Outcome};
use lb_config::CliLevel;
use std::fmt::Write as _;

pub(super) const COMMANDS: &[Command] =
    &[Command { name: "show backend", args: "", doc: "names of the backends", level: CliLevel::User, run: show_backend }];

fn show_backend(cx: &mut Cx<'_>) -> Outcome {
    let process = cx.worker.process.clone();
    let mut out = String::from("# name\n");
    let mut next = 0;
    Ok(Answer::Rows(Box::new(move |text| {
        text.push_str(&std::mem::take(&mut out));
        let Some(backend) = process.topology.backends.get(next) else { return false };
        next += 1;
        let _ = writeln!(text, "{}", backend.name());
        true
    })))
}
