//! Actions that change a message: its fields, its request line, its status.

use super::{ActionCx, Outcome, Sets, works};
use crate::diag::Problem;
use crate::keywords::Keyword;
use crate::model::{Action, FieldEdit, LineEdit, NameMatch, NamePart, Normalizer};
use crate::tree::shown;
use lb_expr::Purpose;
use lb_expr::regex::Regex;

pub(super) const KEYWORDS: &[Keyword] = &[
    works("add-header", Sets::HTTP, "<name> <format>", "adds a header field", |cx, _| {
        let name = field_name(cx)?;
        Ok(Action::Field(FieldEdit::Add(name, cx.format(Purpose::Http)?)))
    }),
    works("set-header", Sets::HTTP, "<name> <format>", "sets a header field", |cx, _| {
        let name = field_name(cx)?;
        Ok(Action::Field(FieldEdit::Set(name, cx.format(Purpose::Http)?)))
    }),
    works("del-header", Sets::HTTP, "<name> [-m <match>]", "removes header fields", delete),
    works("add-headers-bin", Sets::HTTP, "<expression> [prefix <text>]", "adds fields that a value has in binary", |cx, _| {
        packed(cx, false)
    }),
    works("set-headers-bin", Sets::HTTP, "<expression> [prefix <text>]", "sets fields that a value has in binary", |cx, _| {
        packed(cx, true)
    }),
    works("del-headers-bin", Sets::HTTP, "<expression> [-m <match>]", "removes fields whose names a value has in binary", |cx, _| {
        let names = cx.expression()?;
        let mut how = NamePart::Whole;
        if cx.peek() == Some("-m") {
            cx.need()?;
            let parts = [("str", NamePart::Whole), ("beg", NamePart::Begin), ("end", NamePart::End), ("sub", NamePart::Any)];
            how = cx.line.choice(cx.at, &parts)?;
            cx.at += 1;
        }
        Ok(Action::Field(FieldEdit::DeletePacked { names, how }))
    }),
    works("replace-header", Sets::HTTP, "<name> <regex> <format>", "rewrites header fields", |cx, _| {
        let (name, regex) = (field_name(cx)?, regex(cx)?);
        Ok(Action::Field(FieldEdit::Replace(name, regex, cx.format(Purpose::Http)?)))
    }),
    works("replace-value", Sets::HTTP, "<name> <regex> <format>", "rewrites values of a list", |cx, _| {
        let (name, regex) = (field_name(cx)?, regex(cx)?);
        Ok(Action::Field(FieldEdit::ReplaceValue(name, regex, cx.format(Purpose::Http)?)))
    }),
    works("set-method", Sets::REQUEST, "<format>", "changes the method", |cx, _| {
        Ok(Action::Line(LineEdit::Method(cx.format(Purpose::Http)?)))
    }),
    works("set-path", Sets::REQUEST, "<format>", "changes the path", |cx, _| Ok(Action::Line(LineEdit::Path(cx.format(Purpose::Http)?)))),
    works("set-pathq", Sets::REQUEST, "<format>", "changes path and query", |cx, _| {
        Ok(Action::Line(LineEdit::PathQuery(cx.format(Purpose::Http)?)))
    }),
    works("set-query", Sets::REQUEST, "<format>", "changes the query", |cx, _| {
        Ok(Action::Line(LineEdit::Query(cx.format(Purpose::Http)?)))
    }),
    works("set-uri", Sets::REQUEST, "<format>", "changes the URI", |cx, _| Ok(Action::Line(LineEdit::Uri(cx.format(Purpose::Http)?)))),
    works("replace-path", Sets::REQUEST, "<regex> <format>", "rewrites the path", |cx, _| {
        let regex = regex(cx)?;
        Ok(Action::Line(LineEdit::ReplacePath(regex, cx.format(Purpose::Http)?)))
    }),
    works("replace-pathq", Sets::REQUEST, "<regex> <format>", "rewrites path and query", |cx, _| {
        let regex = regex(cx)?;
        Ok(Action::Line(LineEdit::ReplacePathQuery(regex, cx.format(Purpose::Http)?)))
    }),
    works("replace-uri", Sets::REQUEST, "<regex> <format>", "rewrites the URI", |cx, _| {
        let regex = regex(cx)?;
        Ok(Action::Line(LineEdit::ReplaceUri(regex, cx.format(Purpose::Http)?)))
    }),
    works("normalize-uri", Sets::REQUEST, "<normalizer>", "rewrites the URI into a plain form", normalize),
    works("set-status", Sets::RESPONSE.or(Sets::AFTER), "<status> [reason <text>]", "changes the status", |cx, _| {
        let status = cx.number(100..=999)? as u16;
        let mut reason = None;
        if cx.peek() == Some("reason") {
            cx.need()?;
            reason = Some(cx.boxed()?);
        }
        Ok(Action::SetStatus { status, reason })
    }),
    works("strict-mode", Sets::HTTP, "on|off", "whether a failed rewrite is an error", |cx, _| {
        let on = cx.line.choice(cx.at, &[("on", true), ("off", false)])?;
        cx.at += 1;
        Ok(Action::StrictMode(on))
    }),
];

/// Name of a field that is written.
fn field_name(cx: &mut ActionCx<'_, '_>) -> Result<Box<str>, Problem> {
    let name = cx.need()?;
    if !lb_http::is_field_name(name.as_bytes()) {
        return Err(cx.problem(format!("'{}' is no name of a field", shown(name))).help("names are letters, digits and !#$%&'*+-.^_`|~"));
    }
    Ok(name.into())
}

fn packed(cx: &mut ActionCx<'_, '_>, alone: bool) -> Outcome {
    let fields = cx.expression()?;
    let mut prefix = Box::default();
    if cx.peek() == Some("prefix") {
        cx.need()?;
        prefix = cx.boxed()?;
    }
    Ok(Action::Field(FieldEdit::Packed { fields, prefix, alone }))
}

fn regex(cx: &mut ActionCx<'_, '_>) -> Result<Regex, Problem> {
    let pattern = cx.need()?;
    compiled(cx, pattern)
}

fn compiled(cx: &ActionCx<'_, '_>, pattern: &str) -> Result<Regex, Problem> {
    Regex::new(pattern, false).map_err(|error| {
        cx.problem(error.to_string()).help("regular expressions are written as for PCRE; see docs/keywords.md for what is not there")
    })
}

fn delete(cx: &mut ActionCx<'_, '_>, _: Option<&str>) -> Outcome {
    let name = cx.need()?;
    let mut how = "str";
    if cx.peek() == Some("-m") {
        cx.need()?;
        how = cx.line.choice(cx.at, &[("str", "str"), ("beg", "beg"), ("end", "end"), ("sub", "sub"), ("reg", "reg")])?;
        cx.at += 1;
    }
    let name = match how {
        "beg" => NameMatch::Begin(name.into()),
        "end" => NameMatch::End(name.into()),
        "sub" => NameMatch::Contains(name.into()),
        "reg" => NameMatch::Regex(compiled(cx, name)?),
        _ => NameMatch::Name(name.into()),
    };
    Ok(Action::Field(FieldEdit::Delete(name)))
}

fn normalize(cx: &mut ActionCx<'_, '_>, _: Option<&str>) -> Outcome {
    let word = cx.need()?;
    let option = |cx: &mut ActionCx<'_, '_>, name: &str| {
        let given = cx.peek() == Some(name);
        cx.at += usize::from(given);
        given
    };
    let normalizer = match word {
        "fragment-encode" => Normalizer::FragmentEncode,
        "fragment-strip" => Normalizer::FragmentStrip,
        "path-merge-slashes" => Normalizer::MergeSlashes,
        "path-strip-dot" => Normalizer::StripDot,
        "path-strip-dotdot" => Normalizer::StripDotDot { full: option(cx, "full") },
        "percent-decode-unreserved" => Normalizer::DecodeUnreserved { strict: option(cx, "strict") },
        "percent-to-uppercase" => Normalizer::UppercaseEscapes { strict: option(cx, "strict") },
        "query-sort-by-name" => Normalizer::SortQuery,
        _ => {
            return Err(cx.problem(format!("unknown normalizer '{}'", shown(word))).help(
                "known are fragment-encode, fragment-strip, path-merge-slashes, path-strip-dot, path-strip-dotdot, \
                 percent-decode-unreserved, percent-to-uppercase, query-sort-by-name",
            ));
        }
    };
    Ok(Action::Line(LineEdit::Normalize(normalizer)))
}
