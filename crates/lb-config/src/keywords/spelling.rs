//! `h1-case-adjust`, `h1-case-adjust-file`: spellings of field names for peers that look at the case of letters. Source: manual
//! 3.1; the options that use them are in options.rs.

use super::{Context, Keyword, Parser, State};
use crate::diag::Problem;
use crate::parse::{GlobalCx, Line};
use crate::tree::shown;
use lb_http::Spellings;

type Outcome = Result<(), Problem>;

const fn works(
    name: &'static str,
    args: &'static str,
    doc: &'static str,
    parser: fn(&mut GlobalCx<'_, '_>, &Line<'_>) -> Outcome,
) -> Keyword {
    Keyword::new(Context::Global, name, args, doc, State::Works, Parser::Global(parser))
}

pub(super) const KEYWORDS: &[Keyword] = &[
    works("h1-case-adjust", "<from> <to>", "spelling of a field name for 'option h1-case-adjust-bogus-…'", adjust),
    works("h1-case-adjust-file", "<file>", "a file with such spellings, one '<from> <to>' per line", adjust_file),
];

const HELP: &str = "write '<from> <to>', the first in lower case, for example 'content-length Content-Length'";

fn adjust(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let (from, to) = (line.need(0)?, line.need(1)?);
    line.end(2)?;
    if from.bytes().any(|byte| byte.is_ascii_uppercase()) {
        let message = format!("'{}' has capital letters, so no field ever meets it", shown(from));
        cx.world.notice(line.directive.span(Some(line.first)), message, Some(HELP.into()));
    }
    cx.global.h1_case_adjust.insert(from, to).map_err(|error| line.problem(0, format!("'{}': {error}", shown(from))).help(HELP))
}

/// The last file counts.
fn adjust_file(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let path = line.need(0)?;
    line.end(1)?;
    let bad = |what: String| line.problem(0, format!("'{}' cannot be used: {what}", shown(path))).help(HELP);
    let bytes = cx.world.source.loader.load(path).map_err(|error| bad(error.to_string()))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| bad("it is not valid UTF-8".into()))?;
    let mut spellings = Spellings::default();
    for (number, text) in (1..).zip(text.lines()) {
        let mut words = text.split_ascii_whitespace();
        let Some(from) = words.next().filter(|word| !word.starts_with('#')) else { continue };
        let (Some(to), None) = (words.next(), words.next()) else {
            return Err(bad(format!("line {number} is not two names")));
        };
        spellings.insert(from, to).map_err(|error| bad(format!("line {number}: {error}")))?;
    }
    cx.global.h1_case_adjust_file = spellings;
    Ok(())
}
