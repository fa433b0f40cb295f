//! `http-errors` sections and the lines that take their replies.

use super::draft::{ErrorsCx, ErrorsDraft};
use super::{Draft, Walk, World};
use crate::diag::Problem;
use crate::keywords::{Context, Parser};
use crate::model::{ErrorReply, ErrorReplyKind};
use crate::tree::{Directive, shown};

impl Walk<'_> {
    pub(super) fn errors(&mut self, header: &Directive<'_>) -> ErrorsDraft {
        let name = self.only_name(header, |_, _| None).to_owned();
        let place = header.span(Some(0));
        let set = self.world.error_set(&name, place);
        if set.is_known() {
            let problem = Problem::at(1, format!("the section 'http-errors {}' is already there", shown(&name)));
            self.problem(header, problem.help("each has its own name"));
        }
        ErrorsDraft { set, replies: Vec::new() }
    }

    pub(super) fn errors_line(&mut self, errors: &mut ErrorsDraft, directive: &Directive<'_>) {
        let Some(line) = self.keyword(directive, Context::In("http-errors"), "http-errors") else { return };
        let Parser::Errors(parser) = line.keyword.parser else { return };
        if let Err(problem) = parser(&mut ErrorsCx { errors, world: &mut self.world }, &line) {
            self.problem(directive, problem);
        }
    }
}

/// All sections that something names are there.
pub(super) fn resolve_sets(world: &mut World<'_>) {
    for (set, place) in std::mem::take(&mut world.error_sets) {
        if !set.is_known() {
            let message = format!("unknown http-errors section '{}'", shown(set.name()));
            world.error(place, message, Some(format!("add 'http-errors {}', or name one that exists", shown(set.name()))));
        }
    }
    for (set, status, place) in std::mem::take(&mut world.error_replies) {
        if set.is_known() && set.get(status).is_none() {
            let message = format!("status {status} of this reply is not declared in the http-errors section '{}'", shown(set.name()));
            world.warn(place, message, Some("add an 'errorfile' there, or answer with a status that it has".into()));
        }
    }
}

/// Takes the replies of `errorfiles` lines into their proxy; of two for a status, the one further down counts.
pub(super) fn take_replies(draft: &mut Draft, world: &mut World<'_>) {
    for line in std::mem::take(&mut draft.errorfiles) {
        for status in line.statuses.iter().filter(|status| line.set.is_known() && line.set.get(**status).is_none()) {
            let message = format!("status {status} is not declared in the http-errors section '{}'", shown(line.set.name()));
            world.warn(line.span, message, Some("add an 'errorfile' there, or leave the status out".into()));
        }
        for (status, bytes) in line.set.replies() {
            if !line.statuses.is_empty() && !line.statuses.contains(status) {
                continue;
            }
            let reply = ErrorReply { status: *status, kind: ErrorReplyKind::File(bytes.clone()), span: line.span };
            match draft.proxy.error_replies.iter_mut().find(|known| known.status == *status) {
                Some(known) if (known.span.file, known.span.line) > (line.span.file, line.span.line) => {}
                Some(known) => *known = reply,
                None => draft.proxy.error_replies.push(reply),
            }
        }
    }
}
