//! Lines that are read without effect, against their usage: what haproxy refuses of them is refused. Values are not looked at
//! more closely than haproxy does, since a value without effect is no reason not to start.
//!
//! A usage is made of words: `a|b` is a choice; `<low..high>` and `<time>` are checked; any other `<name>` has to be there and may
//! be anything; `[` begins what may be missing, `...` what is not looked at.

use crate::diag::Problem;
use crate::parse::Line;
use std::time::Duration;

/// Checks the arguments of a line against the usage of its keyword.
pub(super) fn check(line: &Line<'_>) -> Result<(), Problem> {
    let mut at = 0;
    let mut optional = false;
    for part in line.keyword.args.split(' ').filter(|part| !part.is_empty()) {
        let part = match part.strip_prefix('[') {
            Some(rest) => {
                optional = true;
                rest
            }
            None => part,
        };
        let part = part.trim_end_matches(']');
        if part.ends_with("...") {
            return Ok(());
        }
        if line.arg(at).is_none() && optional {
            return Ok(());
        }
        word(line, at, part)?;
        at += 1;
    }
    line.end(at)
}

fn word(line: &Line<'_>, at: usize, part: &str) -> Result<(), Problem> {
    match part {
        "<time>" => line.time(at, Duration::from_millis(1)).map(drop),
        _ if part.starts_with('<') => match part.trim_matches(['<', '>']).split_once("..") {
            Some((low, high)) => {
                let bounds = (low.parse().unwrap_or(i64::MIN), high.parse().unwrap_or(i64::MAX));
                line.number(at, bounds.0..=bounds.1).map(drop)
            }
            None => line.need(at).map(drop),
        },
        _ => {
            let choices: Vec<(&'static str, ())> = line.keyword.args.split(['|', ' ', '[', ']']).map(|choice| (choice, ())).collect();
            let own = part.split('|').any(|choice| Some(choice) == line.arg(at));
            if own { Ok(()) } else { line.choice(at, &choices) }
        }
    }
}
