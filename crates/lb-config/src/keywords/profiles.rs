//! Lines of `log-profile` sections. Source: manual of 3.1, 8.3.5.

use super::logs::format_in;
use super::{Context, Keyword, Parser, State};
use crate::diag::Problem;
use crate::model::{LogOverride, LogStep};
use crate::parse::{Line, ProfileCx};
use crate::tree::shown;
use lb_expr::Purpose;

type Outcome = Result<(), Problem>;
type Function = fn(&mut ProfileCx<'_, '_>, &Line<'_>) -> Outcome;

const fn works(name: &'static str, args: &'static str, doc: &'static str, parser: Function) -> Keyword {
    Keyword::new(Context::In("log-profile"), name, args, doc, State::Works, Parser::Profile(parser))
}

pub(super) const KEYWORDS: &[Keyword] = &[
    works("log-tag", "<text>", "name of the program in lines", |cx, line| {
        cx.profile.log_tag = Some(line.need(0)?.to_owned());
        line.end(1)
    }),
    works("on", "<step> [drop] [format <format>] [sd <format>]", "what is written at a step", on),
];

/// What `on` takes, the rules of `do-log` among them; `None`: all steps that are not named.
const STEPS: &[(&str, Option<LogStep>)] = &[
    ("accept", Some(LogStep::Accept)),
    ("any", None),
    ("close", Some(LogStep::Close)),
    ("connect", Some(LogStep::Connect)),
    ("error", Some(LogStep::Error)),
    ("request", Some(LogStep::Request)),
    ("response", Some(LogStep::Response)),
    ("http-after-res", Some(LogStep::DoAfterResponse)),
    ("http-req", Some(LogStep::DoRequest)),
    ("http-res", Some(LogStep::DoResponse)),
    ("tcp-req-conn", Some(LogStep::DoConnection)),
    ("tcp-req-cont", Some(LogStep::DoContent)),
    ("tcp-req-sess", Some(LogStep::DoSession)),
    ("tcp-res-cont", Some(LogStep::DoAnswer)),
];

fn on(cx: &mut ProfileCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let name = line.need(0)?;
    if name == "quic-init" {
        return Err(line.problem(0, "'on quic-init' is known but not there yet in this version (QUIC)").help("remove the line"));
    }
    let step = line.choice(0, STEPS)?;
    let mut what = LogOverride::default();
    let mut at = 1;
    while let Some(word) = line.arg(at) {
        match word {
            "drop" => what.drop = true,
            "format" => what.format = Some(format_in(cx.world, line, at + 1, Purpose::Log)?),
            "sd" => what.structured = Some(format_in(cx.world, line, at + 1, Purpose::Log)?),
            _ => {
                let message = format!("'on' does not take '{}'", shown(word));
                return Err(line.problem(at, message).help("it takes 'drop', 'format <format>' and 'sd <format>'"));
            }
        }
        at += if word == "drop" { 1 } else { 2 };
    }
    if at == 1 {
        return Err(line.problem(0, format!("'on {name}' says nothing")).help("add 'drop', 'format <format>' or 'sd <format>'"));
    }
    match step {
        None => cx.profile.any = Some(what),
        Some(step) => {
            // The last line of a step counts.
            cx.profile.steps.retain(|(at, _)| *at != step);
            cx.profile.steps.push((step, what));
        }
    }
    Ok(())
}
