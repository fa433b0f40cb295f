//! `healthcheck` sections while they are read, and the servers that name them.

use super::draft::{Draft, HealthCx, HealthDraft, ServerDraft, World};
use super::{Directive, Walk};
use crate::diag::Problem;
use crate::keywords::{Context, Parser, Sections, named_check};
use crate::model::{CheckKind, Span};
use crate::tree::shown;
use std::collections::{HashMap, HashSet};

/// What the sections come to.
#[derive(Default)]
pub(crate) struct NamedChecks {
    /// By name: the check, and where its section is.
    known: HashMap<String, (CheckKind, Span)>,
    /// Places of names that have been told as unknown: one line may make many servers.
    told: HashSet<Span>,
}

impl Walk<'_> {
    /// The header of such a section.
    pub(super) fn healthcheck(&mut self, header: &Directive<'_>) -> HealthDraft {
        let span = header.span(Some(0));
        let name = self.only_name(header, |walk, name| walk.world.named_checks.known.get(name).map(|(_, span)| *span));
        HealthDraft { draft: Draft::new(Sections::BACKEND, name, span), kind: None }
    }

    pub(super) fn healthcheck_line(&mut self, health: &mut HealthDraft, directive: &Directive<'_>) {
        if directive.words[0].text == "option" {
            let problem = Problem::at(0, "a healthcheck has no options");
            self.problem(directive, problem.help("write 'type' for the option that chooses the check: 'type httpchk'"));
            health.draft.incomplete = true;
            return;
        }
        let Some(line) = self.keyword(directive, Context::In("healthcheck"), "healthcheck") else { return };
        let Parser::Health(parser) = line.keyword.parser else { return };
        if let Err(problem) = parser(&mut HealthCx { health, world: &mut self.world }, &line) {
            self.problem(directive, problem);
            health.draft.incomplete = true;
        }
    }

    /// The section is complete. The first one of a name counts; the second has been told.
    pub(super) fn close_healthcheck(&mut self, health: HealthDraft) {
        let HealthDraft { mut draft, kind } = health;
        let (name, span) = (draft.proxy.name.clone(), draft.proxy.span);
        if kind.is_none() && !draft.incomplete {
            let message = format!("the healthcheck '{}' has no type", shown(&name));
            self.world.error(span, message, Some("add a 'type' line, for example 'type httpchk' or 'type tcp-check'".into()));
        }
        let check = named_check(&mut draft, kind.is_some(), &mut self.world);
        self.world.named_checks.known.entry(name).or_insert((check, span));
    }
}

/// The check that a server names; `None`: its backend's.
pub(super) fn of_server(server: &ServerDraft, world: &mut World<'_>) -> Option<CheckKind> {
    let (name, span) = server.healthcheck.as_deref()?;
    if let Some(check) = world.named_checks.known.get(name).map(|(check, _)| check.clone()) {
        if !server.check && (span.file, span.line) == (server.server.span.file, server.server.span.line) {
            let message = format!("the server '{}' is not checked, so 'healthcheck' has no effect", shown(&server.server.name));
            world.notice(*span, message, Some("add 'check', or remove 'healthcheck'".into()));
        }
        return Some(check);
    }
    if world.named_checks.told.insert(*span) {
        let help = match world.diagnostics.nearest(name, world.named_checks.known.keys().map(String::as_str)) {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("add a section 'healthcheck {}', or name one that exists", shown(name)),
        };
        world.error(*span, format!("there is no healthcheck '{}'", shown(name)), Some(help));
    }
    None
}
