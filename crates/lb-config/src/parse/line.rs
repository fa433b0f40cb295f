//! A line's arguments on their way into values: every refusal names the word and what to write instead.

use crate::address::{self, Address, AddressError, Use};
use crate::diag::Problem;
use crate::keywords::Keyword;
use crate::lexer::Word;
use crate::model::Span;
use crate::source::Source;
use crate::tree::{Directive, shown};
use crate::units;
use crate::variables::Variables;
use std::ops::RangeInclusive;
use std::time::Duration;

/// What stood in front of a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Negation {
    None,
    No,
    Default,
}

/// A line of a section behind its keyword.
pub(crate) struct Line<'a> {
    pub directive: &'a Directive<'a>,
    pub keyword: &'static Keyword,
    /// Word of the directive that is argument 0.
    pub first: usize,
    pub negation: Negation,
}

/// Arguments are counted from 0 behind the keyword.
impl<'a> Line<'a> {
    pub(crate) fn word(&self, n: usize) -> Option<&'a Word<'a>> {
        self.directive.words.get(self.first + n)
    }

    pub(crate) fn arg(&self, n: usize) -> Option<&'a str> {
        self.word(n).map(|word| word.text.as_ref())
    }

    pub(crate) fn span(&self) -> Span {
        self.directive.span(Some(0))
    }

    /// A problem with argument `n`.
    pub(crate) fn problem(&self, n: usize, message: impl Into<String>) -> Problem {
        Problem::at(self.first + n, message)
    }

    /// An argument that must be there; an empty one counts as missing.
    pub(crate) fn need(&self, n: usize) -> Result<&'a str, Problem> {
        self.arg(n).filter(|text| !text.is_empty()).ok_or_else(|| {
            Problem::line(format!("'{}' wants {}", self.keyword.name, self.keyword.args))
                .help(format!("write '{} {}'", self.keyword.name, self.keyword.args))
        })
    }

    /// No argument may stand at `n` or behind.
    pub(crate) fn end(&self, n: usize) -> Result<(), Problem> {
        match self.arg(n) {
            None => Ok(()),
            Some(extra) => {
                Err(self.problem(n, format!("unexpected '{}' behind '{}'", shown(extra), self.keyword.name)).help(usage(self.keyword)))
            }
        }
    }

    pub(crate) fn time(&self, n: usize, default: Duration) -> Result<Duration, Problem> {
        let text = self.need(n)?;
        units::time(text, default).map_err(|error| time_problem(self.problem(n, ""), self.keyword.name, text, error))
    }

    pub(crate) fn number(&self, n: usize, range: RangeInclusive<i64>) -> Result<i64, Problem> {
        let text = self.need(n)?;
        number(text, &range).map_err(|message| number_problem(self.problem(n, ""), self.keyword.name, message, &range))
    }

    /// A count that fits 32 bits, from `low`.
    pub(crate) fn count(&self, n: usize, low: u32) -> Result<u32, Problem> {
        let value = self.number(n, i64::from(low)..=i64::from(i32::MAX))?;
        // The range says so.
        Ok(u32::try_from(value).unwrap_or(u32::MAX))
    }

    /// A size in bytes with an optional unit.
    pub(crate) fn size(&self, n: usize, range: RangeInclusive<u64>) -> Result<u64, Problem> {
        let text = self.need(n)?;
        match units::size(text) {
            Ok(value) if range.contains(&value) => Ok(value),
            Ok(_) => Err(self.problem(n, format!("'{}' of {} is out of range", shown(text), self.keyword.name)).help(format!(
                "allowed are {} to {} bytes",
                range.start(),
                range.end()
            ))),
            Err(error) => Err(self
                .problem(n, format!("'{}' {error}", shown(text)))
                .help("write a number of bytes, with k, m or g for powers of 1024")),
        }
    }

    /// One word of a list.
    pub(crate) fn choice<T: Clone>(&self, n: usize, choices: &[(&'static str, T)]) -> Result<T, Problem> {
        let text = self.need(n)?;
        choice(text, choices)
            .ok_or_else(|| choice_problem(self.problem(n, ""), self.keyword.name, text, choices.iter().map(|(name, _)| *name)))
    }
}

/// How a keyword is written.
pub(crate) fn usage(keyword: &Keyword) -> String {
    if keyword.args.is_empty() {
        format!("'{}' has no arguments", keyword.name)
    } else {
        format!("write '{} {}'", keyword.name, keyword.args)
    }
}

/// Parameters of a `bind` or `server` line, one behind the other.
pub(crate) struct Params<'a, 'd> {
    pub directive: &'d Directive<'a>,
    pub keyword: &'static Keyword,
    /// Word of the parameter's name.
    pub name: usize,
    /// Next word to read.
    pub at: usize,
}

impl<'d> Params<'_, 'd> {
    pub(crate) fn problem(&self, message: impl Into<String>) -> Problem {
        // The value just read, or the name.
        Problem::at(self.at.saturating_sub(1).max(self.name), message)
    }

    pub(crate) fn span(&self) -> Span {
        self.directive.span(Some(self.name))
    }

    /// The parameter's next value.
    pub(crate) fn value(&mut self) -> Result<&'d str, Problem> {
        match self.directive.words.get(self.at).filter(|word| !word.text.is_empty()) {
            Some(word) => {
                self.at += 1;
                Ok(&word.text)
            }
            None => {
                self.at += usize::from(self.at < self.directive.words.len());
                Err(Problem::at(self.name, format!("'{}' wants {}", self.keyword.name, self.keyword.args)).help(usage(self.keyword)))
            }
        }
    }

    /// One word of a list.
    pub(crate) fn choice<T: Copy>(&mut self, choices: &[(&'static str, T)]) -> Result<T, Problem> {
        let text = self.value()?;
        choice(text, choices)
            .ok_or_else(|| choice_problem(self.problem(""), self.keyword.name, text, choices.iter().map(|(name, _)| *name)))
    }

    pub(crate) fn peek(&self) -> Option<&'d str> {
        self.directive.words.get(self.at).map(|word| word.text.as_ref())
    }

    pub(crate) fn time(&mut self) -> Result<Duration, Problem> {
        let text = self.value()?;
        units::time(text, Duration::from_millis(1)).map_err(|error| time_problem(self.problem(""), self.keyword.name, text, error))
    }

    pub(crate) fn number(&mut self, range: RangeInclusive<i64>) -> Result<i64, Problem> {
        let text = self.value()?;
        number(text, &range).map_err(|message| number_problem(self.problem(""), self.keyword.name, message, &range))
    }

    pub(crate) fn count(&mut self, low: u32) -> Result<u32, Problem> {
        let value = self.number(i64::from(low)..=i64::from(i32::MAX))?;
        Ok(u32::try_from(value).unwrap_or(u32::MAX))
    }
}

fn choice<T: Clone>(text: &str, choices: &[(&'static str, T)]) -> Option<T> {
    choices.iter().find(|(name, _)| *name == text).map(|(_, value)| value.clone())
}

fn choice_problem(problem: Problem, name: &str, text: &str, choices: impl Iterator<Item = &'static str> + Clone) -> Problem {
    let list = choices.clone().collect::<Vec<_>>().join("', '");
    let help = match crate::diag::nearest(text, choices) {
        Some(near) => format!("did you mean '{near}'? '{name}' takes '{list}'"),
        None => format!("'{name}' takes '{list}'"),
    };
    Problem { message: format!("'{name}' does not take '{}'", shown(text)), ..problem }.help(help)
}

fn number(text: &str, range: &RangeInclusive<i64>) -> Result<i64, String> {
    match units::integer(text) {
        Ok(value) if range.contains(&value) => Ok(value),
        Ok(value) => Err(format!("{value} is out of range")),
        Err(error) => Err(format!("'{}' {error}", shown(text))),
    }
}

fn number_problem(problem: Problem, name: &str, message: String, range: &RangeInclusive<i64>) -> Problem {
    Problem { message, ..problem }.help(format!("'{name}' takes a number from {} to {}", range.start(), range.end()))
}

fn time_problem(problem: Problem, name: &str, text: &str, error: units::UnitError) -> Problem {
    Problem { message: format!("'{}' {error}", shown(text)), ..problem }
        .help(format!("'{name}' takes a time such as 500ms, 30s, 5m, 2h or 1d (us, ms, s, m, h, d; at most 24.8 days)"))
}

/// Reads the address in word `word` that connections go to or come from; variables in it are replaced.
pub(crate) fn address(text: &str, word: usize, variables: &Variables<'_>) -> Result<Address, Problem> {
    address_for(Use::Stream, text, word, variables)
}

/// The same for any purpose.
pub(crate) fn address_for(purpose: Use, text: &str, word: usize, variables: &Variables<'_>) -> Result<Address, Problem> {
    let expanded = address::expand(text, &|name| variables.get(name));
    address::parse(&expanded, purpose).map_err(|error| {
        let help = match &error {
            AddressError::Datagram(_) => "write the address without this prefix for connections".to_owned(),
            AddressError::Stream(_) => "write the address without this prefix for datagrams".to_owned(),
            AddressError::OnlyPort(port) => format!("write ':{}'", port),
            _ => "addresses are <ip>:<port>, :<port>, [<ipv6>]:<port>, <name>:<port>, /<path>, unix@<path>, abns@<name>, fd@<n>".to_owned(),
        };
        Problem::at(word, error.to_string()).help(help)
    })
}

/// The IP address of a host, names resolved.
pub(crate) fn resolve(host: &crate::address::Host, word: usize, source: &Source<'_>) -> Result<std::net::IpAddr, Problem> {
    host.resolve(source.resolver).ok_or_else(|| {
        let name = match host {
            crate::address::Host::Name(name, _) => shown(name),
            _ => String::new(),
        };
        Problem::at(word, format!("the name '{name}' has no address"))
            .help("write an IP address, or see that the name can be resolved when the proxy starts")
    })
}
