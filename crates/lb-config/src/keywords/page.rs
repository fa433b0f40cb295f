//! `docs/keywords.md` from the table.

use super::{Context, Keyword, Sections, State, keywords};
use std::fmt::Write as _;

/// A part of the page.
struct Part {
    title: &'static str,
    holds: fn(Context) -> bool,
    /// What the column in front of the state says of a keyword, if there is one.
    place: Option<fn(&Keyword) -> String>,
    /// Heading of the last column.
    meaning: &'static str,
}

const fn part(title: &'static str, holds: fn(Context) -> bool, meaning: &'static str) -> Part {
    Part { title, holds, place: None, meaning }
}

const PARTS: &[Part] = &[
    part("Sections", |context| context == Context::Section, "meaning"),
    part("`global`", |context| context == Context::Global, "meaning"),
    Part { title: "Proxies", holds: |context| context == Context::Proxy, place: Some(letters), meaning: "meaning" },
    part("`bind` parameters", |context| context == Context::Bind, "meaning"),
    part("`server` and `default-server` parameters", |context| context == Context::Server, "meaning"),
    Part {
        title: "Lines of other sections",
        holds: |context| matches!(context, Context::In(_)),
        place: Some(|keyword| if let Context::In(section) = keyword.context { format!("`{section}`") } else { String::new() }),
        meaning: "meaning",
    },
    part("Actions of rules", |context| context == Context::Action, "meaning"),
    part("Flags of ACLs", |context| context == Context::Flag, "meaning"),
    part("Ways to match (`-m`)", |context| context == Context::Match, "meaning"),
    part("Criteria in one word, and predefined ACLs", |context| context == Context::Acl, "the same as"),
    part("Samples", |context| context == Context::Sample, "gives"),
    part("Converters", |context| context == Context::Converter, "gives"),
    part("Words of log formats", |context| context == Context::LogWord, "meaning"),
    part("Filters", |context| context == Context::Filter, "meaning"),
    part("Services", |context| context == Context::Service, "meaning"),
    part("Prefixes of addresses", |context| context == Context::Address, "meaning"),
    part("Commands of the run-time socket", |context| context == Context::Runtime, "concerns"),
];

/// `docs/keywords.md`: every word with its place, arguments, meaning and state.
pub fn keywords_markdown() -> String {
    let mut out = String::from(
        "# Keywords of haproxy.cfg\n\n\
         Generated from the keyword table of `lb-config` by `cargo xtask keywords`; do not edit.\n\n\
         **works**: does what the manual says. **accepted**: read, without effect on what traffic gets, for the reason given. \
         **old**: an older spelling that works and gives a warning. **gone**: an older word that is read with a warning and has no \
         effect, for the reason given. **not yet**: known and refused by name.\n\n\
         Sections: D `defaults`, F `frontend`, L `listen`, B `backend`; (no) may be negated with `no`.\n",
    );
    for Part { title, holds, place, meaning } in PARTS {
        let mut list: Vec<&Keyword> = keywords().filter(|keyword| holds(keyword.context)).collect();
        list.sort_by_key(|keyword| (keyword.context, keyword.name));
        let works = list.iter().filter(|keyword| !matches!(keyword.state, State::Refused(_))).count();
        let _ = write!(out, "\n## {title}\n\n{} words, {works} of them read, {} refused.\n\n", list.len(), list.len() - works);
        let (column, line) = if place.is_some() { (" in |", "---|") } else { ("", "") };
        let _ = write!(out, "| keyword |{column} state | {meaning} |\n|---|{line}---|---|\n");
        for keyword in list {
            let space = if keyword.args.is_empty() || keyword.args.starts_with('(') { "" } else { " " };
            let _ = write!(out, "| `{}{space}{}` |", keyword.name, keyword.args.replace('|', "\\|"));
            if let Some(place) = place {
                let _ = write!(out, " {} |", place(keyword));
            }
            let _ = match keyword.state {
                State::Works => write!(out, " works"),
                State::Accepted(why) => write!(out, " accepted: {why}"),
                State::Old(today) => write!(out, " old: today `{today}`"),
                State::Gone(why) => write!(out, " gone: {why}"),
                State::Refused(what) => write!(out, " not yet ({what})"),
            };
            let _ = writeln!(out, " | {} |", keyword.doc.replace('|', "\\|"));
        }
    }
    out
}

/// `DFLB (no)`
fn letters(keyword: &Keyword) -> String {
    let letters = [(Sections::DEFAULTS, 'D'), (Sections::FRONTEND, 'F'), (Sections::LISTEN, 'L'), (Sections::BACKEND, 'B')];
    let mut text: String = letters.iter().filter(|(section, _)| keyword.sections.contains(*section)).map(|(_, letter)| *letter).collect();
    if keyword.negatable {
        text += " (no)";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_keyword_stands_in_one_part() {
        for keyword in keywords() {
            assert_eq!(PARTS.iter().filter(|part| (part.holds)(keyword.context)).count(), 1, "{keyword:?}");
        }
    }
}
