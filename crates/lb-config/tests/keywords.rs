//! The keyword table against the manual, the list of newer words, and the generated page.

use lb_config::{Context, State, keywords, keywords_markdown};
use std::collections::HashSet;

#[test]
fn the_generated_page_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/keywords.md");
    let generated = keywords_markdown();
    let known = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        known == generated,
        "docs/keywords.md is old: run `cargo xtask keywords` (or `cargo run -p lb-config --example keywords > docs/keywords.md`)"
    );
}

/// Every word of the manual of haproxy 2.6 (sections 3 to 11), of its run-time socket, and of the versions up to 3.5, one
/// per line as `<context> <word>`.
const WORDS: &str = include_str!("words.txt");

#[test]
fn every_word_of_the_manual_is_in_the_table() {
    let known: HashSet<(Context, &str)> = keywords().map(|keyword| (keyword.context, keyword.name)).collect();
    let mut missing = Vec::new();
    let mut count = 0;
    for line in WORDS.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        count += 1;
        let (context, word) = line.split_once(' ').expect("two columns");
        let context = match context {
            "section" => Context::Section,
            "global" => Context::Global,
            "proxy" => Context::Proxy,
            "bind" => Context::Bind,
            "server" => Context::Server,
            "action" => Context::Action,
            "flag" => Context::Flag,
            "match" => Context::Match,
            "acl" => Context::Acl,
            "sample" => Context::Sample,
            "converter" => Context::Converter,
            "logword" => Context::LogWord,
            "filter" => Context::Filter,
            "address" => Context::Address,
            "runtime" => Context::Runtime,
            other => match other.strip_prefix("in:") {
                Some(section) => Context::In(section),
                None => panic!("unknown context {other}"),
            },
        };
        let family = word.starts_with("tune.quic.");
        if !family && !known.contains(&(context, word)) {
            missing.push(line);
        }
    }
    assert!(count > 1700, "the list has {count} words");
    assert!(missing.is_empty(), "not in the table: {missing:#?}");
}

#[test]
fn a_reason_is_given_for_whatever_has_no_effect() {
    for keyword in keywords() {
        match keyword.state {
            State::Works => {}
            State::Accepted(text) | State::Refused(text) | State::Old(text) | State::Gone(text) => {
                assert!(text.len() > 2, "{}", keyword.name)
            }
        }
    }
}
