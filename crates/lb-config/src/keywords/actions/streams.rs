//! Actions that change what is known of a stream: variables, captures, timeouts, addresses, marks.

use super::{ActionCx, Outcome, Sets, works};
use crate::diag::Problem;
use crate::keywords::{Context, Keyword, Parser, State};
use crate::model::{Action, CaptureSlot, HeaderCapture, Level, LogStep, NumberValue, RuleSet, StreamTimeout, TimeValue};
use crate::parse::{Line, World};
use crate::tree::shown;
use crate::units;
use lb_expr::Purpose;
use lb_expr::sample::{SetVar, VarCondition, VarValue, Variable, args};
use std::time::Duration;

pub(super) const KEYWORDS: &[Keyword] = &[
    works("set-var", Sets::ALL, "(<variable>[,<condition>]) <expression>", "sets a variable", |cx, arguments| {
        let (variable, when) = variable(cx, arguments)?;
        Ok(Action::SetVar(SetVar { variable, when, value: VarValue::Expr(cx.expression()?) }))
    }),
    works("set-var-fmt", Sets::ALL, "(<variable>[,<condition>]) <format>", "sets a variable", |cx, arguments| {
        let (variable, when) = variable(cx, arguments)?;
        Ok(Action::SetVar(SetVar { variable, when, value: VarValue::Format(cx.format(Purpose::Text)?) }))
    }),
    works("unset-var", Sets::ALL, "(<variable>)", "removes a variable", |cx, arguments| Ok(Action::UnsetVar(variable(cx, arguments)?.0))),
    works(
        "capture",
        Sets::CONTENT.or(Sets::REQUEST).or(Sets::RESPONSE).or(Sets::AFTER),
        "<sample> len <length>|id <id>",
        "keeps a value for the log",
        capture,
    ),
    works("set-log-level", Sets::ALL.but_connection(), "<level>", "level of the log line", log_level),
    Keyword::new(
        Context::Action,
        "set-nice",
        "<nice>",
        "priority of the work",
        State::Accepted("concerns when a stream is worked on, and tasks take turns here"),
        Parser::Action(Sets::ALL.but_connection().but_after(), |cx, _| {
            cx.number(-1024..=1024)?;
            Ok(Action::Nothing)
        }),
    ),
    works("set-tos", Sets::ALL.but_after(), "<tos>", "class of packets to the client (old name)", |cx, _| tos(cx, true)),
    works("set-fc-tos", Sets::ALL.but_after(), "<tos>|<expression>", "class of packets to the client", |cx, _| tos(cx, true)),
    works("set-bc-tos", Sets::CONTENT.or(Sets::REQUEST), "<tos>|<expression>", "class of packets to the server", |cx, _| tos(cx, false)),
    works("set-mark", Sets::ALL.but_after(), "<mark>", "marks packets to the client (old name)", |cx, _| mark(cx, true)),
    works("set-fc-mark", Sets::ALL.but_after(), "<mark>|<expression>", "marks packets to the client", |cx, _| mark(cx, true)),
    works("set-bc-mark", Sets::CONTENT.or(Sets::REQUEST), "<mark>|<expression>", "marks packets to the server", |cx, _| mark(cx, false)),
    works("set-timeout", Sets::REQUEST.or(Sets::RESPONSE), "server|tunnel|client <time>|<expression>", "timeouts of this stream", timeout),
    works("wait-for-body", Sets::REQUEST.or(Sets::RESPONSE), "time <time> [at-least <bytes>]", "waits for the body", wait_for_body),
    works("wait-for-handshake", Sets::REQUEST, "", "waits for the end of the handshake", |_, _| Ok(Action::Nothing)),
    works("pause", Sets::REQUEST.or(Sets::RESPONSE), "<time>|<expression>", "waits", |cx, _| Ok(Action::Pause(time(cx)?))),
    works("disable-l7-retry", Sets::REQUEST, "", "no retries for this request", |_, _| Ok(Action::DisableRetry)),
    works("set-retries", Sets::REQUEST, "<number>|<expression>", "retries of this stream", |cx, _| {
        let text = cx.line.need(cx.at)?;
        if let Ok(number) = text.parse() {
            cx.at += 1;
            return Ok(Action::SetRetries(NumberValue::Fixed(number)));
        }
        Ok(Action::SetRetries(NumberValue::Expr(cx.expression()?)))
    }),
    works(
        "explain",
        Sets::REQUEST,
        "[json]",
        "logs what the rules behind it did, and why which server was taken; not haproxy's",
        |cx, _| {
            let json = cx.peek() == Some("json");
            cx.at += usize::from(json);
            // It shows the request line.
            cx.world.names.words = true;
            Ok(Action::Explain { json })
        },
    ),
    works("do-log", Sets::ALL, "", "writes a log line now", |cx, _| Ok(Action::DoLog(LogStep::of_rules(cx.set)))),
];

impl Sets {
    const fn but_connection(self) -> Self {
        Self(self.0 & !(Self::CONNECTION.0 | Self::SESSION.0))
    }

    const fn but_after(self) -> Self {
        Self(self.0 & !Self::AFTER.0)
    }
}

const CONDITIONS: [(&str, VarCondition); 8] = [
    ("ifexists", VarCondition::IfExists),
    ("ifnotexists", VarCondition::IfNotExists),
    ("ifempty", VarCondition::IfEmpty),
    ("ifnotempty", VarCondition::IfNotEmpty),
    ("ifset", VarCondition::IfSet),
    ("ifnotset", VarCondition::IfNotSet),
    ("ifgt", VarCondition::IfGreater),
    ("iflt", VarCondition::IfLess),
];

/// The variable between the parentheses of the action's name.
fn variable(cx: &mut ActionCx<'_, '_>, arguments: Option<&str>) -> Result<(Variable, Box<[VarCondition]>), Problem> {
    variable_at(cx.world, cx.line, cx.at.saturating_sub(1), arguments)
}

/// The same, for the word `n` of any line.
pub(in crate::keywords) fn variable_at(
    world: &mut World<'_>,
    line: &Line<'_>,
    n: usize,
    arguments: Option<&str>,
) -> Result<(Variable, Box<[VarCondition]>), Problem> {
    let Some(arguments) = arguments.filter(|text| !text.is_empty()) else {
        return Err(line.problem(n, "a variable stands in parentheses behind the action").help("for example 'set-var(txn.name)'"));
    };
    let mut parts = arguments.split(',');
    let name = parts.next().unwrap_or_default();
    let mut when = Vec::new();
    for word in parts {
        let Some((_, condition)) = CONDITIONS.iter().find(|(known, _)| *known == word) else {
            let list = CONDITIONS.map(|(name, _)| name).join(", ");
            return Err(line.problem(n, format!("unknown condition '{}' of a variable", shown(word))).help(format!("known are {list}")));
        };
        when.push(*condition);
    }
    let variable = world.compiling(line.span(), |compiler| args::variable(name, compiler.loader));
    let variable = variable.map_err(|message| line.problem(n, message).help("a variable is a scope, a dot and a name: 'txn.name'"))?;
    Ok((variable, when.into()))
}

fn capture(cx: &mut ActionCx<'_, '_>, _: Option<&str>) -> Outcome {
    let value = cx.expression()?;
    let word = cx.need()?;
    let captures = &mut cx.draft.proxy.captures;
    let request = !matches!(cx.set, RuleSet::Response | RuleSet::AfterResponse);
    let slots = if request { &mut captures.request } else { &mut captures.response };
    match word {
        "len" if !cx.draft.proxy.kind.is_frontend() => {
            let message = "'capture ... len' makes a slot of its own, which only a frontend can have";
            Err(cx.problem(message).help("write 'capture <sample> id <slot>', and 'declare capture request len <length>' in the frontend"))
        }
        "len" if request => {
            let len = cx.line.count(cx.at, 1)? as usize;
            cx.at += 1;
            slots.push(HeaderCapture { name: None, len });
            Ok(Action::Capture { value, slot: CaptureSlot::Number(slots.len() - 1) })
        }
        "id" if cx.set != RuleSet::Content => {
            let id = cx.line.count(cx.at, 0)? as usize;
            cx.at += 1;
            Ok(Action::Capture { value, slot: CaptureSlot::Number(id) })
        }
        _ => {
            let message = format!("expects 'len' or 'id', found '{}'", shown(word));
            Err(cx.problem(message).help("write 'capture <sample> len <length>' or 'capture <sample> id <slot>'"))
        }
    }
}

fn log_level(cx: &mut ActionCx<'_, '_>, _: Option<&str>) -> Outcome {
    if cx.peek() == Some("silent") {
        cx.need()?;
        return Ok(Action::SetLogLevel(None));
    }
    let level = cx.line.choice(cx.at, &Level::ALL)?;
    cx.at += 1;
    Ok(Action::SetLogLevel(Some(level)))
}

fn tos(cx: &mut ActionCx<'_, '_>, client: bool) -> Outcome {
    let tos = radix(cx)?;
    if let NumberValue::Fixed(256..) = tos {
        return Err(cx.problem("a class of packets is a number from 0 to 255").help("for example 46 or 0x2e"));
    }
    Ok(Action::SetTos { client, tos })
}

fn mark(cx: &mut ActionCx<'_, '_>, client: bool) -> Outcome {
    Ok(Action::SetMark { client, mark: radix(cx)? })
}

/// A number of 32 bits in decimal, or with `0x` in hexadecimal, with `0` in octal, as C reads it; or an expression (3.0).
fn radix(cx: &mut ActionCx<'_, '_>) -> Result<NumberValue, Problem> {
    let text = cx.line.need(cx.at)?;
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(NumberValue::Expr(cx.expression()?));
    }
    cx.at += 1;
    let number = match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => match text.strip_prefix('0').filter(|rest| !rest.is_empty()) {
            Some(digits) => u32::from_str_radix(digits, 8).ok(),
            None => text.parse().ok(),
        },
    };
    let number = number.ok_or_else(|| cx.problem(format!("'{}' is no number of 32 bits", shown(text))).help("for example 46 or 0x2e"));
    number.map(|number| NumberValue::Fixed(number.into()))
}

fn timeout(cx: &mut ActionCx<'_, '_>, _: Option<&str>) -> Outcome {
    let choices = [("server", StreamTimeout::Server), ("tunnel", StreamTimeout::Tunnel), ("client", StreamTimeout::Client)];
    let which = cx.line.choice(cx.at, &choices)?;
    let kind = cx.draft.proxy.kind;
    let (has, side) = match which {
        StreamTimeout::Client => (kind.is_frontend(), "frontend"),
        StreamTimeout::Server | StreamTimeout::Tunnel => (kind.is_backend(), "backend"),
    };
    if !has && !cx.draft.is_defaults() {
        let message = format!("'{}' has no {side}, whose timeout this is", shown(&cx.draft.proxy.name));
        return Err(cx.line.problem(cx.at, message).help(format!("move the rule to a {side}, or make this a 'listen' section")));
    }
    cx.at += 1;
    Ok(Action::SetTimeout { which, value: time(cx)? })
}

/// A time, or an expression that gives milliseconds.
fn time(cx: &mut ActionCx<'_, '_>) -> Result<TimeValue, Problem> {
    let text = cx.line.need(cx.at)?;
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        let time = cx.line.time(cx.at, Duration::from_millis(1))?;
        cx.at += 1;
        return Ok(TimeValue::Fixed(time));
    }
    Ok(TimeValue::Expr(cx.expression()?))
}

fn wait_for_body(cx: &mut ActionCx<'_, '_>, _: Option<&str>) -> Outcome {
    let (mut limit, mut at_least) = (None, 0);
    while let Some(word) = cx.peek() {
        cx.at += 1;
        match word {
            "time" => limit = Some(cx.line.time(cx.at, Duration::from_millis(1))?),
            "at-least" => {
                let text = cx.line.need(cx.at)?;
                at_least = units::size(text).map_err(|error| cx.line.problem(cx.at, format!("'{}' {error}", shown(text))))?;
            }
            _ => {
                let message = format!("unexpected '{}' behind 'wait-for-body'", shown(word));
                return Err(cx.problem(message).help("write 'wait-for-body time <time> [at-least <bytes>]'"));
            }
        }
        cx.at += 1;
    }
    let Some(time) = limit else {
        return Err(cx.problem("'wait-for-body' wants 'time <time>'").help("for example 'wait-for-body time 1s'"));
    };
    Ok(Action::WaitForBody { time, at_least })
}
