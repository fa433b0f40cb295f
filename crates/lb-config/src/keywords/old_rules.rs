//! Rules of haproxy 1.3 to 2.0: `block`, and `reqrep` with its family, which look at a head as lines of text. They work, each in its turn:
//! `block`, `http-request`, regexes, `reqadd`, `redirect`, whatever the order of their lines. Source: manual of 1.5, 4.2 and 6.

use super::old::{self, CASE, NO_CASE, OldLine, OldWord, Today};
use super::rules::push;
use super::{Context, Keyword, Parser, Sections, State};
use crate::diag::Problem;
use crate::model::{Action, AddedFields, BackendTarget, LineAction, LineRule, Reply, ReplyContent, RuleSet, UseBackend};
use crate::parse::{Line, ProxyCx, exprs};
use crate::syntax;
use lb_expr::lines;
use lb_expr::regex::{Regex, Replacement};

type Outcome = Result<(), Problem>;

/// A rule whose line is written today as `written` says; `today` is that in short.
const fn rule(name: &'static str, args: &'static str, doc: &'static str, today: &'static str, written: old::Function) -> Keyword {
    let parser = Parser::Proxy(by_lines);
    Keyword::new(Context::Proxy, name, args, doc, State::Old(today), parser).sections(Sections::F_L_B).http().written(written)
}

const TEXT: &str = "<text> [{if|unless} <condition>]";
const REGEX: &str = "<regex> [{if|unless} <condition>]";
const REGEX_TEXT: &str = "<regex> <text> [{if|unless} <condition>]";
const REGEX_BACKEND: &str = "<regex> <backend> [{if|unless} <condition>]";

const ADDS: &str = "adds a field (until 2.0)";
const REMOVES: &str = "removes fields (until 2.0)";
const REWRITES: &str = "rewrites lines (until 2.0)";
const ALLOWS: &str = "no rule of these that follows refuses the request (until 2.0)";
const PASSES: &str = "leaves out the rules of these that follow (until 2.0)";
const DENIES: &str = "refuses requests (until 2.0)";
const DENIES_RESPONSES: &str = "refuses responses (until 2.0)";
const HOLDS: &str = "holds clients (until 2.0)";
const CHOOSES: &str = "chooses a backend (until 1.5)";

pub(super) const KEYWORDS: &[Keyword] = &[
    Keyword::new(
        Context::Proxy,
        "block",
        "{if|unless} <condition>",
        DENIES,
        State::Old("http-request deny {if|unless} <condition>"),
        Parser::Proxy(block),
    )
    .sections(Sections::F_L_B)
    .http()
    .written(|_| Today::Keyword("http-request deny")),
    rule("reqadd", TEXT, ADDS, "http-request add-header", |line| old::add(line, "http-request")),
    rule("rspadd", TEXT, ADDS, "http-response add-header", |line| old::add(line, "http-response")),
    rule("reqdel", REGEX, REMOVES, "http-request del-header", |line| old::delete(line, "http-request", CASE)),
    rule("reqidel", REGEX, REMOVES, "http-request del-header", |line| old::delete(line, "http-request", NO_CASE)),
    rule("rspdel", REGEX, REMOVES, "http-response del-header", |line| old::delete(line, "http-response", CASE)),
    rule("rspidel", REGEX, REMOVES, "http-response del-header", |line| old::delete(line, "http-response", NO_CASE)),
    rule("reqrep", REGEX_TEXT, REWRITES, "http-request replace-header", |line| old::replace(line, "http-request", CASE)),
    rule("reqirep", REGEX_TEXT, REWRITES, "http-request replace-header", |line| old::replace(line, "http-request", NO_CASE)),
    rule("rsprep", REGEX_TEXT, REWRITES, "http-response replace-header", |line| old::replace(line, "http-response", CASE)),
    rule("rspirep", REGEX_TEXT, REWRITES, "http-response replace-header", |line| old::replace(line, "http-response", NO_CASE)),
    rule("reqallow", REGEX, ALLOWS, "http-request allow", |line| old::near(line, "http-request allow", CASE)),
    rule("reqiallow", REGEX, ALLOWS, "http-request allow", |line| old::near(line, "http-request allow", NO_CASE)),
    rule("reqpass", REGEX, PASSES, "http-request", |_| old::passes()),
    rule("reqipass", REGEX, PASSES, "http-request", |_| old::passes()),
    rule("reqdeny", REGEX, DENIES, "http-request deny", |line| old::near(line, "http-request deny", CASE)),
    rule("reqideny", REGEX, DENIES, "http-request deny", |line| old::near(line, "http-request deny", NO_CASE)),
    rule("reqtarpit", REGEX, HOLDS, "http-request tarpit", |line| old::near(line, "http-request tarpit", CASE)),
    rule("reqitarpit", REGEX, HOLDS, "http-request tarpit", |line| old::near(line, "http-request tarpit", NO_CASE)),
    rule("rspdeny", REGEX, DENIES_RESPONSES, "http-response deny", |line| old::near(line, "http-response deny", CASE)),
    rule("rspideny", REGEX, DENIES_RESPONSES, "http-response deny", |line| old::near(line, "http-response deny", NO_CASE)),
    rule("reqsetbe", REGEX_BACKEND, CHOOSES, "use_backend", |line| old::near(line, "use_backend <backend>", CASE)).sections(Sections::F_L),
    rule("reqisetbe", REGEX_BACKEND, CHOOSES, "use_backend", |line| old::near(line, "use_backend <backend>", NO_CASE))
        .sections(Sections::F_L),
];

fn page(status: u16) -> Reply {
    Reply { status, content: ReplyContent::Page }
}

fn block(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    if line.arg(0).is_none() {
        return Err(Problem::line("'block' wants 'if' or 'unless' and a condition").help("write 'http-request deny if <condition>'"));
    }
    push(cx, line, RuleSet::Block, Action::Deny(page(403)), 0, today(line))
}

/// `reqirep` is `req`, `i` and `rep`.
fn by_lines(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let name = line.keyword.name;
    let requests = name.starts_with("req");
    let (ignore_case, what) = name[3..].strip_prefix('i').map_or((false, &name[3..]), |what| (true, what));
    if what == "add" {
        let set = if requests { RuleSet::RequestAdds } else { RuleSet::ResponseAdds };
        return push(cx, line, set, Action::AddLines(added(line)?), 1, today(line));
    }
    let regex = line.need(0)?;
    let regex = Regex::new(regex, ignore_case).map_err(|error| {
        line.problem(0, error.to_string()).help(format!("'{name}' wants a regular expression, with a backslash before each space"))
    })?;
    let (what, words) = match what {
        "rep" => (LineAction::Replace(replacement(line)?), 2),
        "del" => (LineAction::Remove, 1),
        "allow" => (LineAction::Allow, 1),
        "pass" => (LineAction::Pass, 1),
        "tarpit" => (LineAction::End(Box::new(Action::Tarpit(page(500)))), 1),
        "setbe" => (LineAction::SetBackend(backend(cx, line)?), 2),
        _ => (LineAction::End(Box::new(Action::Deny(page(if requests { 403 } else { 502 })))), 1),
    };
    let set = if requests { RuleSet::RequestLines } else { RuleSet::ResponseLines };
    push(cx, line, set, Action::Lines(Box::new(LineRule { regex, what })), words, today(line))
}

/// The text of `reqadd`: fields, mostly one.
fn added(line: &Line<'_>) -> Result<AddedFields, Problem> {
    let fields = lines::fields(line.need(0)?.as_bytes()).map_err(|error| {
        line.problem(0, error.to_string())
            .help(format!("write '{} <name>:\\ <value>', with a backslash before each space", line.keyword.name))
    })?;
    Ok(fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
}

fn replacement(line: &Line<'_>) -> Result<Replacement, Problem> {
    let text = line.need(1)?;
    Replacement::new(text.as_bytes()).map_err(|error| {
        line.problem(1, error.to_string())
            .help("'\\0' to '\\9' stand for what the regex has found, '\\\\' for a backslash, '\\x41' for a byte")
    })
}

/// Notes the backend, which is looked up when all of them are there; gives its place.
fn backend(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Result<usize, Problem> {
    let target = BackendTarget::Name(line.need(1)?.into());
    let named = UseBackend { target, condition: None, text: exprs::text_of(line), span: line.directive.span(Some(line.first + 1)) };
    let list = &mut cx.draft.proxy.rules_mut().line_backends;
    list.push(named);
    Ok(list.len() - 1)
}

/// The line as it is written today, in the form in which rules are compared; `None`: there is nothing exactly equal.
fn today(line: &Line<'_>) -> Option<Box<str>> {
    let words = &line.directive.words[line.first..];
    let args: Vec<OldWord<'_>> =
        words.iter().map(|word| OldWord { raw: old::quoted(&word.text).into(), value: Some(word.text.as_ref().into()) }).collect();
    let words: Vec<String> = match line.keyword.today(&OldLine { args: &args }) {
        Today::Line(text) => {
            syntax::Line::parse(text.as_bytes()).words().map(|word| word.value().map(Into::into)).collect::<Option<_>>()?
        }
        Today::Keyword(text) => text.split(' ').chain(words.iter().map(|word| word.text.as_ref())).map(str::to_owned).collect(),
        _ => return None,
    };
    Some(words.join("\u{1f}").into())
}
