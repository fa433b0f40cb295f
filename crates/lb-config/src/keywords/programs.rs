//! Lines of `program` sections. Source: manual 3.7.

use super::{Context, Keyword, Parser, State};
use crate::diag::Problem;
use crate::model::Account;
use crate::parse::{Line, ProgramCx};
use crate::tree::shown;

type Outcome = Result<(), Problem>;
type Function = fn(&mut ProgramCx<'_, '_>, &Line<'_>) -> Outcome;

const fn works(name: &'static str, args: &'static str, doc: &'static str, parser: Function) -> Keyword {
    Keyword::new(Context::In("program"), name, args, doc, State::Works, Parser::Program(parser))
}

pub(super) const KEYWORDS: &[Keyword] = &[
    works("command", "<command> [<argument> ...]", "what to start, looked up in PATH", |cx, line| {
        line.need(0)?;
        // The last one counts, as in haproxy.
        cx.program.command = line.directive.words[line.first..].iter().map(|word| word.text.to_string()).collect();
        Ok(())
    }),
    works("group", "<name>", "group of the program", |cx, line| {
        let name = line.need(0)?;
        line.end(1)?;
        if !cx.world.source.environment.has_group(name) {
            return Err(line.problem(0, format!("there is no group '{}'", shown(name))).help("create it, or name one of /etc/group"));
        }
        cx.program.group = Some(Account::Name(name.to_owned()));
        Ok(())
    }),
    works("option start-on-reload", "", "starts it anew at each reload, as it does without this line", |cx, line| {
        cx.program.start_on_reload = line.negation.value();
        line.end(0)
    })
    .negatable(),
    works("user", "<name>", "user of the program", |cx, line| {
        let name = line.need(0)?;
        line.end(1)?;
        if !cx.world.source.environment.has_user(name) {
            return Err(line.problem(0, format!("there is no user '{}'", shown(name))).help("create it, or name one of /etc/passwd"));
        }
        cx.program.user = Some(Account::Name(name.to_owned()));
        Ok(())
    }),
];
