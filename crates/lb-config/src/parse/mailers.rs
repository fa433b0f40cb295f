//! `mailers` sections while they are read, and which of them the alerts of proxies go to.

use super::draft::{Draft, MailersCx, World};
use super::{Directive, Walk};
use crate::keywords::{Context, Parser};
use crate::model::{EmailAlert, Level, Mailers};
use crate::tree::shown;
use std::sync::Arc;

impl Walk<'_> {
    /// The header of such a section.
    pub(super) fn mailers(&mut self, header: &Directive<'_>) -> Mailers {
        let known = |walk: &Self, name: &str| walk.world.mailers.iter().find(|m| m.name == name).map(|m| m.span);
        let name = self.only_name(header, known).to_owned();
        Mailers { name, mailers: Vec::new(), timeout: Mailers::DEFAULT_TIMEOUT, span: header.span(Some(0)) }
    }

    pub(super) fn mailers_line(&mut self, mailers: &mut Mailers, directive: &Directive<'_>) {
        let Some(line) = self.keyword(directive, Context::In("mailers"), "mailers") else { return };
        let Parser::Mailers(parser) = line.keyword.parser else { return };
        if let Err(problem) = parser(&mut MailersCx { mailers, world: &mut self.world }, &line) {
            self.problem(directive, problem);
        }
    }
}

/// What `email-alert` lines come to.
pub(super) fn finish(draft: &mut Draft, world: &mut World<'_>) {
    let Some(email) = draft.email.take() else { return };
    if draft.proxy.disabled {
        return;
    }
    let place = ["mailers", "from", "to", "level", "myhostname"].iter().find_map(|word| draft.place(&format!("email-alert {word}")));
    let place = place.unwrap_or(draft.proxy.span);
    let (Some(name), Some(from), Some(to)) = (email.mailers, email.from, email.to) else {
        let message = format!("'email-alert' is ignored in '{}': it takes 'from', 'to' and 'mailers'", shown(&draft.proxy.name));
        world.warn(place, message, Some("add the lines that are missing, or remove the others".into()));
        return;
    };
    let Some(mailers) = world.mailers.iter().find(|mailers| mailers.name == name) else {
        let message = format!("there are no mailers '{}'", shown(&name));
        let help = match world.diagnostics.nearest(&name, world.mailers.iter().map(|mailers| mailers.name.as_str())) {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("add a section 'mailers {}'", shown(&name)),
        };
        return world.error(place, message, Some(help));
    };
    let mailers = Arc::clone(mailers);
    let level = email.level.unwrap_or(Level::Alert);
    draft.proxy.email_alert = Some(Box::new(EmailAlert { mailers, from, to, level, hostname: email.hostname }));
}
