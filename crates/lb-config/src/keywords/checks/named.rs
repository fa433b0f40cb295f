//! Lines of `healthcheck` sections: a check with a name, for the servers that take it. Source: manual of 3.4, `healthcheck`.
//!
//! Holds: `type X` is read by the function of `option X`, and the rules by those that read them in a backend.

use super::KEYWORDS as OF_PROXIES;
use crate::diag::{Problem, nearest};
use crate::keywords::{Context, Keyword, Lookup, Parser, State};
use crate::parse::{HealthCx, Line, ProxyCx};
use crate::tree::shown;

const fn works(name: &'static str, args: &'static str, doc: &'static str, parser: Parser) -> Keyword {
    Keyword::new(Context::In("healthcheck"), name, args, doc, State::Works, parser)
}

pub(in crate::keywords) const KEYWORDS: &[Keyword] = &[
    works("type", "<kind> [<argument> ...]", "kind of the check, with the words of 'option <kind>' in a backend", Parser::Health(kind)),
    works("http-check", "<rule> ...", "as in a backend", Parser::Health(rule)),
    works("tcp-check", "<rule> ...", "as in a backend", Parser::Health(rule)),
];

/// `type <name> ...`
fn kind(cx: &mut HealthCx<'_, '_>, line: &Line<'_>) -> Result<(), Problem> {
    let known = || OF_PROXIES.iter().filter_map(|keyword| Some((keyword.name.strip_prefix("option ")?, keyword)));
    let list = || known().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
    let Some(name) = line.arg(0).filter(|name| !name.is_empty()) else {
        return Err(Problem::line("'type' wants the kind of the check").help(format!("known are: {}", list())));
    };
    let Some((_, keyword)) = known().find(|(known, _)| *known == name) else {
        let help = match nearest(name, known().map(|(name, _)| name)) {
            _ if name == "external-check" => "a program checks all servers of a backend: write 'option external-check' there".to_owned(),
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("known are: {}", list()),
        };
        return Err(line.problem(0, format!("there is no check of the type '{}'", shown(name))).help(help));
    };
    if let Some(first) = cx.health.kind {
        let message = format!("the check already has a type on line {}", first.line);
        return Err(line.problem(0, message).help("remove one of them, or write a section for each"));
    }
    cx.health.kind = Some(line.span());
    // Its messages name the word that stands here.
    let here = |text: String| text.replace(keyword.name, &format!("type {name}"));
    as_in_a_backend(cx, &Line { keyword, first: line.first + 1, ..*line }).map_err(|problem| Problem {
        message: here(problem.message),
        help: problem.help.map(here),
        ..problem
    })
}

/// `http-check <rule> ...`, `tcp-check <rule> ...`
fn rule(cx: &mut HealthCx<'_, '_>, line: &Line<'_>) -> Result<(), Problem> {
    let (list, name) = (line.keyword.name, line.need(0)?);
    let Some((keyword, 2)) = cx.world.lookup.line(Context::Proxy, list, Some(name)) else {
        let known = || Lookup::second_words(Context::Proxy, list);
        let help = match nearest(name, known()) {
            Some(near) => format!("did you mean '{list} {near}'?"),
            None => format!("known are: {}", known().collect::<Vec<_>>().join(", ")),
        };
        return Err(line.problem(0, format!("unknown '{list} {}' in section 'healthcheck'", shown(name))).help(help));
    };
    as_in_a_backend(cx, &Line { keyword, first: line.first + 1, ..*line })
}

fn as_in_a_backend(cx: &mut HealthCx<'_, '_>, line: &Line<'_>) -> Result<(), Problem> {
    let Parser::Proxy(parser) = line.keyword.parser else { return Ok(()) };
    // What an expression names without a proxy is nobody's here: servers of several may have this check.
    let owner = cx.world.names.leave_section();
    let outcome = parser(&mut ProxyCx { draft: &mut cx.health.draft, world: cx.world }, line);
    cx.world.names.owner = owner;
    outcome
}
