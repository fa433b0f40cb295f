//! `lb explain`: why a request would be sent where, line by line of the file. The answer is [`lb_core::explain`]'s; here it is asked
//! for and shown.

use crate::args::ExplainArgs;
use crate::load;
use crate::messages::{print, say};
use lb_config::{Severity, Switches, report};
use lb_core::explain::{Question, explain};
use std::process::ExitCode;

/// Asks and shows.
pub fn run(args: &ExplainArgs) -> ExitCode {
    let loaded = match load::load(&args.files, Switches::default(), &[]) {
        Ok(loaded) => loaded,
        Err(text) => {
            say(&format!("{text}\n"));
            return ExitCode::FAILURE;
        }
    };
    if loaded.has(Severity::Error) {
        say(&report(&loaded.diagnostics, std::process::id()));
        return ExitCode::FAILURE;
    }
    let mut request = format!("{}\r\n", args.request);
    for field in &args.fields {
        request.push_str(&format!("{field}\r\n"));
    }
    request.push_str("\r\n");
    let question = Question { request: request.into_bytes(), client: args.client, frontend: args.frontend.clone() };
    match explain(&loaded.config, &question) {
        Ok(answer) => {
            let place = |span| loaded.config.place(span);
            let text = if args.json { format!("{:#}\n", answer.json(place)) } else { answer.text(place) };
            print(&text);
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&format!("{error}\n"));
            ExitCode::FAILURE
        }
    }
}
