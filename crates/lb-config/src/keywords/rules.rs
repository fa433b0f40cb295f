//! Lines that are rules: `acl`, `http-request` and their like, `use_backend`, `use-server`. Source: manual 4.2, 7.1.

use super::actions::{self, ActionCx};
use super::{Context, Keyword, Parser, Sections, State};
use crate::diag::Problem;
use crate::model::{Action, BackendTarget, Rule, RuleSet, ServerTarget, Span, UseBackend, UseServer, When};
use crate::parse::{Draft, GlobalCx, Line, ProxyCx, World, exprs};
use crate::tree::shown;
use lb_expr::Purpose;
use lb_expr::acl::Condition;
use lb_expr::sample::{Point, Points, Scope, SetVar, VarValue, Variable, args};
use std::sync::Arc;
use std::time::Duration;

type Outcome = Result<(), Problem>;
type Function = fn(&mut ProxyCx<'_, '_>, &Line<'_>) -> Outcome;

const fn works(name: &'static str, sections: Sections, args: &'static str, doc: &'static str, parser: Function) -> Keyword {
    Keyword::new(Context::Proxy, name, args, doc, State::Works, Parser::Proxy(parser)).sections(sections)
}

const D_F_L_B: Sections = Sections::D_F_L_B;
const D_F_L: Sections = Sections::D_F_L;
const D_L_B: Sections = Sections::D_L_B;
const F_L_B: Sections = Sections::F_L_B;
const F_L: Sections = Sections::F_L;
const L_B: Sections = Sections::L_B;

const NO_PERSISTENCE: State = State::Accepted("there is no persistence that it could change");

pub(super) const KEYWORDS: &[Keyword] = &[
    works("acl", D_F_L_B, "<name> <criterion> ...", "names a condition", acl),
    works("http-request", D_F_L_B, "<action> ... [{if|unless} <condition>]", "rules for requests", |cx, line| {
        rule(cx, line, RuleSet::Request)
    })
    .http(),
    works("http-response", D_F_L_B, "<action> ... [{if|unless} <condition>]", "rules for responses", |cx, line| {
        rule(cx, line, RuleSet::Response)
    })
    .http(),
    works("http-after-response", D_F_L_B, "<action> ... [{if|unless} <condition>]", "rules for all responses", |cx, line| {
        rule(cx, line, RuleSet::AfterResponse)
    })
    .http(),
    works("tcp-request connection", D_F_L, "<action> ... [{if|unless} <condition>]", "rules for connections", |cx, line| {
        rule(cx, line, RuleSet::Connection)
    })
    .strict(),
    works("tcp-request session", D_F_L, "<action> ... [{if|unless} <condition>]", "rules for sessions", |cx, line| {
        rule(cx, line, RuleSet::Session)
    })
    .strict(),
    works("tcp-request content", D_F_L_B, "<action> ... [{if|unless} <condition>]", "rules for contents", |cx, line| {
        rule(cx, line, RuleSet::Content)
    }),
    works("tcp-response content", D_L_B, "<action> ... [{if|unless} <condition>]", "rules for contents of servers", |cx, line| {
        rule(cx, line, RuleSet::Answer)
    })
    .strict(),
    works("tcp-request inspect-delay", D_F_L_B, "<time>", "time for contents to come", |cx, line| {
        let delay = inspect_delay(cx, line)?;
        cx.draft.proxy.rules_mut().inspect_delay = Some(delay);
        Ok(())
    }),
    works("tcp-response inspect-delay", D_L_B, "<time>", "time for contents of servers to come", |cx, line| {
        let delay = inspect_delay(cx, line)?;
        cx.draft.proxy.rules_mut().answer_delay = Some(delay);
        Ok(())
    })
    .strict(),
    works("redirect", F_L_B, "<kind> <to> ... [{if|unless} <condition>]", "redirects requests", redirect),
    works("use_backend", F_L, "<backend> [{if|unless} <condition>]", "chooses a backend", use_backend),
    works("use-server", L_B, "<server> {if|unless} <condition>", "chooses a server", use_server),
    works("monitor fail", F_L, "{if|unless} <condition>", "when 'monitor-uri' reports a failure", monitor_fail),
    Keyword::new(
        Context::Proxy,
        "force-persist",
        "{if|unless} <condition>",
        "persistence to a server that is down",
        NO_PERSISTENCE,
        Parser::Proxy(|cx, line| persist(cx, line, true)),
    )
    .sections(L_B),
    Keyword::new(
        Context::Proxy,
        "ignore-persist",
        "{if|unless} <condition>",
        "no persistence",
        NO_PERSISTENCE,
        Parser::Proxy(|cx, line| persist(cx, line, false)),
    )
    .sections(L_B),
    Keyword::new(
        Context::Global,
        "set-var",
        "<name> <expression>",
        "a variable of the process",
        State::Works,
        Parser::Global(|cx, line| {
            let variable = process_variable(cx, line)?;
            let mut at = 1;
            let value = exprs::expression(cx.world, line, &mut at)?;
            exprs::available(&value, Points::of(Point::Load), line, 1)?;
            cx.global.variables.push(SetVar { variable, when: [].into(), value: VarValue::Expr(value) });
            line.end(at)
        }),
    ),
    Keyword::new(
        Context::Global,
        "set-var-fmt",
        "<name> <format>",
        "a variable of the process",
        State::Works,
        Parser::Global(|cx, line| {
            let variable = process_variable(cx, line)?;
            let value = exprs::format(cx.world, line, 1, Purpose::Text)?;
            exprs::format_available(&value, Points::of(Point::Load), line, 1)?;
            cx.global.variables.push(SetVar { variable, when: [].into(), value: VarValue::Format(value) });
            line.end(2)
        }),
    ),
];

/// The name of a variable of the process. Manual 3.1, `set-var`.
fn process_variable(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Result<Variable, Problem> {
    let name = line.need(0)?;
    let variable = cx.world.compiling(line.span(), |compiler| args::variable(name, compiler.loader));
    let variable = variable.map_err(|message| line.problem(0, message).help("write 'proc.' and a name of letters, digits, '.' and '_'"))?;
    if variable.scope != Scope::Process {
        let message = format!("cannot set variable '{}': only those of the process are there in 'global'", shown(name));
        return Err(line.problem(0, message).help("write 'proc.<name>', or set it in a rule of a proxy"));
    }
    Ok(variable)
}

/// Where the rules of a list are evaluated in a section.
pub(super) fn points(set: RuleSet, draft: &Draft) -> Points {
    let sides = |front: Point, back: Point| {
        let mut points = Points::default();
        if draft.is_defaults() || draft.proxy.kind.is_frontend() {
            points = points.or(Points::of(front));
        }
        if draft.is_defaults() || draft.proxy.kind.is_backend() {
            points = points.or(Points::of(back));
        }
        points
    };
    match set {
        RuleSet::Connection => Points::of(Point::Connection),
        RuleSet::Session => Points::of(Point::Session),
        RuleSet::Content => sides(Point::FrontContent, Point::BackContent),
        RuleSet::Answer => sides(Point::FrontAnswer, Point::BackAnswer),
        RuleSet::Block | RuleSet::Request | RuleSet::RequestLines | RuleSet::RequestAdds | RuleSet::Redirect => {
            sides(Point::FrontRequest, Point::BackRequest)
        }
        RuleSet::Response | RuleSet::ResponseLines | RuleSet::ResponseAdds | RuleSet::AfterResponse => {
            sides(Point::FrontResponse, Point::BackResponse)
        }
    }
}

/// Rules of a section without a name would be everybody's.
fn not_anonymous(cx: &ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    if !cx.draft.is_defaults() || !cx.draft.proxy.name.is_empty() {
        return Ok(());
    }
    let message = format!("'{}' is not allowed in a 'defaults' section without a name", line.keyword.name);
    Err(Problem::line(message).help("give the section a name, and write 'from <name>' where its rules are to be taken"))
}

fn acl(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    not_anonymous(cx, line)?;
    line.need(0)?;
    line.need(1)?;
    let words = exprs::words(line);
    let acls = &mut cx.draft.acls.named;
    let added = cx.world.compiling(line.span(), |compiler| acls.add(&words, 0, compiler));
    added.map_err(|error| exprs::problem(error, cx.world, line))?;
    if let Some(acl) = cx.draft.acls.named.get(words[0]) {
        cx.world.names.define(acl);
        if let Some(added) = acl.lines().last() {
            cx.world.note_groups(words[0], added, line.span());
        }
    }
    let places = &mut cx.draft.acls.places;
    if !places.iter().any(|(known, _)| known == words[0]) {
        places.push((words[0].to_owned(), line.span()));
    }
    Ok(())
}

fn rule(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>, set: RuleSet) -> Outcome {
    not_anonymous(cx, line)?;
    line.need(0)?;
    let points = points(set, cx.draft);
    let mut parsing = ActionCx { draft: cx.draft, world: cx.world, line, at: 0, set, points };
    let action = actions::action(&mut parsing)?;
    let at = parsing.at;
    push(cx, line, set, action, at, None)
}

/// Puts a rule to the others of its kind; its condition begins in argument `at`.
pub(super) fn push(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>, set: RuleSet, action: Action, at: usize, today: Option<Box<str>>) -> Outcome {
    let points = points(set, cx.draft);
    let condition = condition(cx, line, at, points)?;
    if let Some(from) = order_of(set) {
        misplaced(cx, line, from);
    }
    unreachable_rule(cx, line, set);
    list(cx.draft, set).push(Arc::new(Rule { action, condition, text: exprs::text_of(line), today, span: line.span() }));
    Ok(())
}

fn list(draft: &mut Draft, set: RuleSet) -> &mut Vec<Arc<Rule>> {
    let rules = draft.proxy.rules_mut();
    match set {
        RuleSet::Connection => &mut rules.connection,
        RuleSet::Session => &mut rules.session,
        RuleSet::Content => &mut rules.content,
        RuleSet::Answer => &mut rules.answer,
        RuleSet::Block => &mut rules.block,
        RuleSet::Request => &mut rules.request,
        RuleSet::RequestLines => &mut rules.request_lines,
        RuleSet::RequestAdds => &mut rules.request_adds,
        RuleSet::Redirect => &mut rules.redirect,
        RuleSet::Response => &mut rules.response,
        RuleSet::ResponseLines => &mut rules.response_lines,
        RuleSet::ResponseAdds => &mut rules.response_adds,
        RuleSet::AfterResponse => &mut rules.after_response,
    }
}

/// The condition from argument `at` to the end of the line, with a warning when it can never be true.
fn condition(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>, at: usize, points: Points) -> Result<Option<Condition>, Problem> {
    let condition = exprs::condition(cx.draft, cx.world, line, at)?;
    if let Some(condition) = &condition {
        conflict(cx.world, condition, points, line.directive.span(Some(line.first + at)));
    }
    Ok(condition)
}

fn conflict(world: &mut World<'_>, condition: &Condition, points: Points, span: Span) {
    const ALL: [Point; 15] = [
        Point::Connection,
        Point::Session,
        Point::FrontContent,
        Point::FrontRequest,
        Point::SetBackend,
        Point::BackContent,
        Point::BackRequest,
        Point::SetServer,
        Point::BackAnswer,
        Point::BackResponse,
        Point::FrontAnswer,
        Point::FrontResponse,
        Point::Log,
        Point::Check,
        Point::Load,
    ];
    let mut all = ALL.iter().filter(|point| points.contains(**point)).map(|point| (condition.conflict(*point), point));
    let Some((Some(first), point)) = all.next() else { return };
    if all.all(|(conflict, _)| conflict.is_some()) {
        let help = "ask for what is there at this moment, or move the rule to where it is".to_owned();
        world.warn(span, first.message(point.name()), Some(help));
    }
}

/// Place of a kind of rules in the order in which haproxy goes through them; `None`: wherever it stands, nothing is told.
fn order_of(set: RuleSet) -> Option<usize> {
    Some(match set {
        RuleSet::Connection => 0,
        RuleSet::Session => 1,
        RuleSet::Content => 2,
        RuleSet::Block => ORDER_OF_MONITOR + 1,
        RuleSet::Request => ORDER_OF_MONITOR + 2,
        RuleSet::RequestLines => ORDER_OF_MONITOR + 3,
        RuleSet::RequestAdds => ORDER_OF_MONITOR + 4,
        RuleSet::Redirect => ORDER_OF_MONITOR + 5,
        _ => return None,
    })
}

const ORDER_OF_MONITOR: usize = 3;

/// haproxy goes through its kinds of rules in a fixed order, and warns of lines that stand in another one.
fn misplaced(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>, from: usize) {
    let Some(rules) = &cx.draft.proxy.rules else { return };
    // Each is told when it stands before a rule of the same place in the order or of an earlier one.
    let order = [
        (!rules.session.is_empty(), "a 'tcp-request session'"),
        (!rules.content.is_empty(), "a 'tcp-request content'"),
        (!rules.monitor_fail.is_empty(), "a 'monitor fail'"),
        (!rules.block.is_empty(), "a 'block'"),
        (!rules.request.is_empty(), "an 'http-request'"),
        (!rules.request_lines.is_empty(), "a 'reqrep' or other"),
        (!rules.request_adds.is_empty(), "a 'reqadd'"),
        (!rules.redirect.is_empty(), "a 'redirect'"),
        (!rules.use_backend.is_empty(), "a 'use_backend'"),
        (!rules.use_server.is_empty(), "a 'use-server'"),
    ];
    if let Some((_, after)) = order[from..].iter().find(|(there, _)| *there) {
        let message = format!("a '{}' rule placed after {after} rule will still be processed before", line.keyword.name);
        cx.world.warn(line.span(), message, Some("move it up, so that the lines stand in the order in which they count".into()));
    }
}

/// A rule behind one that ends the list in any case, which haproxy warns of as well.
fn unreachable_rule(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>, set: RuleSet) {
    if !matches!(set, RuleSet::Request | RuleSet::Response | RuleSet::AfterResponse) {
        return;
    }
    let section = cx.draft.proxy.span;
    let ends = |rule: &Arc<Rule>| {
        let last = matches!(
            rule.action,
            Action::Accept | Action::Deny(_) | Action::Tarpit(_) | Action::Return(_) | Action::Redirect(_) | Action::Auth { .. }
        );
        // What defaults hand down is not looked at.
        last && rule.condition.is_none() && rule.span.file == section.file && rule.span.line > section.line
    };
    if let Some(last) = list(cx.draft, set).last().filter(|last| ends(last)) {
        let message =
            format!("this '{}' is never reached: the one on line {} ends the rules in any case", line.keyword.name, last.span.line);
        cx.world.warn(line.span(), message, Some("remove it, or give the other one a condition".into()));
    }
}

fn inspect_delay(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Result<Duration, Problem> {
    not_anonymous(cx, line)?;
    let delay = line.time(0, Duration::from_millis(1))?;
    line.end(1)?;
    Ok(delay)
}

fn redirect(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    line.need(0)?;
    let set = RuleSet::Redirect;
    let points = points(set, cx.draft);
    let mut parsing = ActionCx { draft: cx.draft, world: cx.world, line, at: 0, set, points };
    let redirect = actions::redirect(&mut parsing)?;
    let at = parsing.at;
    push(cx, line, set, Action::Redirect(Box::new(redirect)), at, None)
}

fn use_backend(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let name = line.need(0)?;
    let points = Points::of(Point::SetBackend);
    let condition = condition(cx, line, 1, points)?;
    let target = if name.contains('%') {
        let format = exprs::format(cx.world, line, 0, Purpose::Text)?;
        exprs::format_available(&format, points, line, 0)?;
        match format.constant().and_then(|name| std::str::from_utf8(name).ok()) {
            Some(name) => BackendTarget::Name(name.into()),
            None => BackendTarget::Computed(format),
        }
    } else {
        BackendTarget::Name(name.into())
    };
    let rule = UseBackend { target, condition, text: exprs::text_of(line), span: line.directive.span(Some(line.first)) };
    cx.draft.proxy.rules_mut().use_backend.push(rule);
    Ok(())
}

fn use_server(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let name = line.need(0)?;
    let points = Points::of(Point::SetServer);
    let Some(condition) = condition(cx, line, 1, points)? else {
        return Err(Problem::line("'use-server' wants 'if' or 'unless' and a condition").help("write 'use-server <server> if <condition>'"));
    };
    let target = if name.contains('%') {
        let format = exprs::format(cx.world, line, 0, Purpose::Text)?;
        exprs::format_available(&format, points, line, 0)?;
        ServerTarget::Computed(format)
    } else {
        ServerTarget::Name(name.into())
    };
    let rule = UseServer { target, condition: Some(condition), text: exprs::text_of(line), span: line.directive.span(Some(line.first)) };
    cx.draft.proxy.rules_mut().use_server.push(rule);
    Ok(())
}

/// A line that is nothing but a condition.
fn when(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>, points: Points) -> Result<When, Problem> {
    match condition(cx, line, 0, points)? {
        Some(condition) => Ok(When { condition, text: exprs::text_of(line) }),
        None => {
            let message = format!("'{}' wants 'if' or 'unless' and a condition", line.keyword.name);
            Err(Problem::line(message).help(format!("write '{} if <condition>'", shown(line.keyword.name))))
        }
    }
}

fn monitor_fail(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    // Samples that are not there are no mistake to haproxy here.
    let when = when(cx, line, Points::default())?;
    misplaced(cx, line, ORDER_OF_MONITOR);
    cx.draft.proxy.rules_mut().monitor_fail.push(when);
    Ok(())
}

fn persist(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>, force: bool) -> Outcome {
    let when = when(cx, line, Points::of(Point::BackRequest))?;
    cx.draft.proxy.rules_mut().persist.push((force, when));
    Ok(())
}
