//! What a line that is refused asks for, as exactly as its words say: the action of a rule, a filter, the sample of a
//! criterion or of a log format. Called where a word is refused, so that the message names the word that matters, and
//! tells a misspelt one from one that is not there yet.

use crate::diag::{Problem, nearest};
use crate::keywords::{Context, Keyword, Lookup, State, keywords};
use crate::tree::{Directive, shown};
use lb_expr::sample::Registry;

/// Lines whose next word is an action.
const RULES: &[&str] = &[
    "http-request",
    "http-response",
    "http-after-response",
    "tcp-request connection",
    "tcp-request session",
    "tcp-request content",
    "tcp-response content",
    "quic-initial",
];

/// Lines whose next word is a sample.
const STICKY: &[&str] = &["stick on", "stick match", "stick store-request", "stick store-response"];

/// What a word waits for, or that nobody knows it.
pub(crate) enum Asked {
    /// The word, and the capability that it belongs to.
    Later(String, &'static str),
    /// No such word.
    Unknown(Problem),
}

/// Looks behind the keyword of a refused line; `at` is the keyword's first word. `None`: the keyword says it all.
pub(crate) fn asked(lookup: &Lookup, registry: &Registry, directive: &Directive<'_>, at: usize, keyword: &Keyword) -> Option<Asked> {
    let next = at + keyword.name.split(' ').count();
    let text = |at: usize| directive.words.get(at).map(|word| word.text.as_ref()).filter(|text| !text.is_empty());
    if RULES.contains(&keyword.name) {
        return named(lookup, Context::Action, keyword.name, text(next)?, next, "action");
    }
    if STICKY.contains(&keyword.name) {
        return expression(lookup, registry, Context::Sample, text(next)?, next);
    }
    match keyword.name {
        "filter" => named(lookup, Context::Filter, "filter", text(next)?, next, "filter"),
        // Behind the ACL's name.
        "acl" => expression(lookup, registry, Context::Acl, text(next + 1)?, next + 1),
        _ => None,
    }
}

/// What to say of an action that nobody knows; `text` stands in word `at`.
pub(crate) fn unknown_action(lookup: &Lookup, line: &str, text: &str, at: usize) -> Problem {
    match named(lookup, Context::Action, line, text, at, "action") {
        Some(Asked::Unknown(problem)) => problem,
        _ => Problem::at(at, format!("unknown action '{}' of '{line}'", shown(text))),
    }
}

fn named(lookup: &Lookup, context: Context, line: &str, text: &str, at: usize, what: &str) -> Option<Asked> {
    let name = if text.starts_with("lua.") { "lua.*" } else { text.split('(').next().unwrap_or(text) };
    if let Some(State::Refused(what)) = lookup.get(context, name).map(|keyword| keyword.state) {
        return Some(Asked::Later(format!("{line} {}", shown(name)), what));
    }
    Some(unknown(&[context], name, at, &format!("{what} '{}' of '{line}'", shown(name))))
}

fn unknown(contexts: &[Context], name: &str, at: usize, what: &str) -> Asked {
    let known = keywords().filter(|keyword| contexts.contains(&keyword.context)).map(|keyword| keyword.name);
    let help = match nearest(name, known) {
        Some(near) => format!("did you mean '{near}'?"),
        None => "see docs/keywords.md for all of them".to_owned(),
    };
    Asked::Unknown(Problem::at(at, format!("unknown {what}")).help(help))
}

/// A sample with its converters, `hdr(host),lower`; with `first` of [`Context::Acl`] a criterion of ACLs as well. What `registry` has is
/// there, be it in no table.
pub(crate) fn expression(lookup: &Lookup, registry: &Registry, first: Context, text: &str, at: usize) -> Option<Asked> {
    let mut later = None;
    for (n, part) in parts(text)?.into_iter().enumerate() {
        let name = part.split('(').next().unwrap_or(part);
        if if n == 0 { registry.fetch(name).is_some() } else { registry.converter(name).is_some() } {
            continue;
        }
        let (contexts, what): (&[Context], _) = match (n, first) {
            (0, Context::Acl) => (&[Context::Sample, Context::Acl], "sample"),
            (0, _) => (&[Context::Sample], "sample"),
            _ => (&[Context::Converter], "converter"),
        };
        match contexts.iter().find_map(|context| lookup.get(*context, name)).map(|keyword| keyword.state) {
            Some(State::Refused(what)) => {
                later.get_or_insert_with(|| Asked::Later(shown(name), what));
            }
            Some(_) => {}
            None if name.starts_with("lua.") => {
                later.get_or_insert_with(|| Asked::Later(shown(name), "Lua"));
            }
            None => return Some(unknown(contexts, name, at, &format!("{what} '{}'", shown(name)))),
        }
    }
    later
}

/// Cuts at the commas that stand in no parentheses; `None` when they are not balanced.
fn parts(text: &str) -> Option<Vec<&str>> {
    let mut list = Vec::new();
    let (mut depth, mut start) = (0usize, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.checked_sub(1)?,
            b',' if depth == 0 => {
                list.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    list.push(&text[start..]);
    (depth == 0).then_some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<String> {
        match expression(&Lookup::new(), &Registry::standard(), Context::Acl, text, 0)? {
            Asked::Later(name, what) => Some(format!("{name}: {what}")),
            Asked::Unknown(problem) => Some(problem.message),
        }
    }

    #[test]
    fn expressions() {
        assert_eq!(of("src").as_deref(), None);
        assert_eq!(of("internal.htx.data").as_deref(), Some("internal.htx.data: samples"));
        assert_eq!(of("src_conn_cur(t),lower,map_beg(a,b)").as_deref(), Some("src_conn_cur: stick tables"));
        assert_eq!(of("ssl_fc_sni").as_deref(), Some("ssl_fc_sni: TLS"));
        assert_eq!(of("scr").as_deref(), Some("unknown sample 'scr'"));
        assert_eq!(of("src,lowr").as_deref(), Some("unknown converter 'lowr'"));
        assert_eq!(of("src,regsub((),x").as_deref(), None);
    }
}
