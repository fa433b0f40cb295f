//! `option external-check` and its words: a program checks the servers. Source: manual 4.2, and 3.1 for the word in `global` without which
//! nothing is started.

use super::{CheckDraft, CheckOption, Outcome, works};
use crate::keywords::{Keyword, State};
use crate::model::{CheckKind, ExternalCheck, ExternalChecks, Global};
use crate::parse::{Draft, GlobalCx, Line, World};
use crate::tree::shown;

pub(in crate::keywords) const KEYWORDS: &[Keyword] = &[
    works("option external-check", "", "checks with a program", |cx, line| {
        line.end(0)?;
        cx.draft.check.choose(CheckOption::External);
        Ok(())
    }),
    works("external-check command", "<file>", "program that checks", |cx, line| {
        let text = text(line)?;
        cx.draft.check.command = Some((text, line.span()));
        Ok(())
    }),
    works("external-check path", "<path>", "PATH of the program that checks", |cx, line| {
        cx.draft.check.path = text(line)?;
        Ok(())
    }),
    Keyword::new(
        crate::keywords::Context::Global,
        "external-check",
        "[preserve-env]",
        "allows checks with programs",
        State::Works,
        crate::keywords::Parser::Global(allow),
    ),
];

fn text(line: &Line<'_>) -> Result<String, crate::diag::Problem> {
    let value = line.need(0)?;
    line.end(1)?;
    if value.contains('\0') {
        return Err(line.problem(0, "this cannot be given to a program").help("remove the zero byte"));
    }
    Ok(value.to_owned())
}

fn allow(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.external_checks = match line.arg(0) {
        None => ExternalChecks::Allowed,
        Some(_) => line.choice(0, &[("preserve-env", ExternalChecks::WithEnvironment)])?,
    };
    line.end(1)
}

/// The check of a section that chose it, and what it lacks for that.
pub(super) fn finish(draft: &Draft, check: &CheckDraft, global: &Global, world: &mut World<'_>) -> CheckKind {
    let name = shown(&draft.proxy.name);
    let place = draft.place("option external-check").unwrap_or(draft.proxy.span);
    let mut refuse = |message: String, help: &str| world.error(place, message, Some(help.into()));
    if draft.proxy.kind.is_backend() && !draft.proxy.disabled {
        if check.command.is_none() {
            refuse(format!("'{name}': 'option external-check' takes 'external-check command'"), "add 'external-check command <file>'");
        }
        if global.external_checks == ExternalChecks::Forbidden {
            refuse(
                format!("'{name}': 'option external-check' takes 'external-check' in 'global'"),
                "add 'external-check' to 'global', if the program and all that it reads are to be trusted",
            );
        }
        if !global.process.may_fork {
            let help = "add 'insecure-fork-wanted' to 'global'".to_owned();
            let message = format!("'{name}': 'option external-check' will likely fail without 'insecure-fork-wanted' in 'global'");
            world.warn(place, message, Some(help));
        }
    }
    let command = check.command.as_ref().map(|(command, _)| command.clone()).unwrap_or_default();
    CheckKind::External(ExternalCheck { command, path: check.path.clone() }.into())
}

/// The command of a section that is not checked so.
pub(super) fn ignored(draft: &Draft, check: &CheckDraft, world: &mut World<'_>) {
    let here = |span: &crate::model::Span| draft.said_here("external-check command") == Some(*span);
    let Some((_, span)) = check.command.as_ref().filter(|(_, span)| here(span)) else { return };
    if draft.proxy.kind.is_backend() && !draft.proxy.disabled {
        let name = shown(&draft.proxy.name);
        let message = format!("'external-check command' will be ignored for backend '{name}' (requires 'option external-check')");
        world.warn(*span, message, Some("add 'option external-check', or remove the line".into()));
    }
}
