//! What rules do: one entry per action with the lists it may stand in, its arguments and its parser. Source: manual 4.2 (2.6), 4.3 and
//! 4.4 (3.0).

mod answers;
mod edits;
mod places;
mod streams;

use super::{Context, Keyword, Parser, State};
use crate::diag::Problem;
use crate::model::{Action, Mode, RuleSet};
use crate::parse::{Draft, Line, World, exprs};
use crate::tree::shown;
use lb_expr::sample::{Expr, Points};
use lb_expr::{LogFormat, Purpose};

pub(super) use answers::{error_reply, redirect};
pub(super) use streams::variable_at;

/// The lists that an action may stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sets(u8);

impl Sets {
    const CONNECTION: Self = Self(1);
    const SESSION: Self = Self(2);
    const CONTENT: Self = Self(4);
    const ANSWER: Self = Self(8);
    const REQUEST: Self = Self(16);
    const RESPONSE: Self = Self(32);
    const AFTER: Self = Self(64);
    const TCP: Self = Self(1 | 2 | 4 | 8);
    const HTTP: Self = Self(16 | 32 | 64);
    const ALL: Self = Self(127);

    const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn has(self, set: RuleSet) -> bool {
        let bit = match set {
            RuleSet::Connection => Self::CONNECTION,
            RuleSet::Session => Self::SESSION,
            RuleSet::Content => Self::CONTENT,
            RuleSet::Answer => Self::ANSWER,
            RuleSet::Block | RuleSet::Request | RuleSet::RequestLines | RuleSet::RequestAdds | RuleSet::Redirect => Self::REQUEST,
            RuleSet::Response | RuleSet::ResponseLines | RuleSet::ResponseAdds => Self::RESPONSE,
            RuleSet::AfterResponse => Self::AFTER,
        };
        self.0 & bit.0 != 0
    }
}

/// What the parser of an action works on: the line, and its next argument.
pub(crate) struct ActionCx<'p, 's> {
    pub draft: &'p mut Draft,
    pub world: &'p mut World<'s>,
    pub line: &'p Line<'p>,
    /// The next argument, counted behind the keyword.
    pub at: usize,
    pub set: RuleSet,
    /// Where the rule is evaluated.
    pub points: Points,
}

type Outcome = Result<Action, Problem>;
/// Reads the arguments of an action; `arguments` is the text between the parentheses of its name.
pub(crate) type ActionParser = fn(&mut ActionCx<'_, '_>, arguments: Option<&str>) -> Outcome;

const fn works(name: &'static str, sets: Sets, args: &'static str, doc: &'static str, parser: ActionParser) -> Keyword {
    Keyword::new(Context::Action, name, args, doc, State::Works, Parser::Action(sets, parser))
}

pub(super) const TABLES: [&[Keyword]; 4] = [answers::KEYWORDS, edits::KEYWORDS, places::KEYWORDS, streams::KEYWORDS];

impl<'p> ActionCx<'p, '_> {
    /// The next argument, which must be there.
    pub(crate) fn need(&mut self) -> Result<&'p str, Problem> {
        let text = self.line.need(self.at)?;
        self.at += 1;
        Ok(text)
    }

    /// The next argument, unless the rule ends there.
    pub(crate) fn peek(&self) -> Option<&'p str> {
        self.line.arg(self.at).filter(|word| *word != "if" && *word != "unless")
    }

    /// A problem with the argument that was read last.
    pub(crate) fn problem(&self, message: impl Into<String>) -> Problem {
        self.line.problem(self.at.saturating_sub(1), message)
    }

    pub(crate) fn format(&mut self, purpose: Purpose) -> Result<LogFormat, Problem> {
        let format = exprs::format(self.world, self.line, self.at, purpose)?;
        exprs::format_available(&format, self.points, self.line, self.at)?;
        if purpose == Purpose::Http && self.draft.proxy.mode == Mode::Http {
            exprs::bytes_in_http(&format, self.world, self.line.span());
        }
        self.at += 1;
        Ok(format)
    }

    pub(crate) fn expression(&mut self) -> Result<Expr, Problem> {
        let first = self.at;
        let expr = exprs::expression(self.world, self.line, &mut self.at)?;
        exprs::available(&expr, self.points, self.line, first)?;
        Ok(expr)
    }

    fn number(&mut self, range: std::ops::RangeInclusive<i64>) -> Result<i64, Problem> {
        let value = self.line.number(self.at, range)?;
        self.at += 1;
        Ok(value)
    }

    fn boxed(&mut self) -> Result<Box<str>, Problem> {
        self.need().map(Into::into)
    }
}

impl Keyword {
    /// Whether it is an action that may stand in lines of this kind.
    pub fn is_action_of(&self, set: RuleSet) -> bool {
        matches!(self.parser, Parser::Action(sets, _) if sets.has(set))
    }
}

/// Name and what stands in its parentheses: `set-var(txn.x)`.
pub(super) fn name_of(text: &str) -> Result<(&str, Option<&str>), String> {
    match text.split_once('(') {
        None => Ok((text, None)),
        Some((name, rest)) => match rest.strip_suffix(')') {
            Some(arguments) => Ok((name, Some(arguments))),
            None => Err(format!("missing ')' behind '{}'", shown(text))),
        },
    }
}

/// Reads the action that begins in argument `cx.at`.
pub(crate) fn action(cx: &mut ActionCx<'_, '_>) -> Outcome {
    let text = cx.need()?;
    let (name, arguments) = name_of(text).map_err(|message| cx.problem(message))?;
    if let Some(own) = crate::extend::action(name, arguments, cx) {
        return own;
    }
    let Some(keyword) = cx.world.lookup.get(Context::Action, if name.starts_with("lua.") { "lua.*" } else { name }) else {
        if cx.world.source.extensions.is_some_and(|own| own.has_action(name)) {
            return Err(misplaced(name, cx));
        }
        return Err(crate::parse::unknown_action(cx.world.lookup, cx.set.name(), text, cx.line.first + cx.at - 1));
    };
    if let State::Refused(what) = keyword.state {
        let message = format!("'{} {}' is known but not there yet in this version ({what})", cx.set.name(), keyword.name);
        return Err(cx.problem(message).help("remove the line if its effect is not needed; nothing is left out in silence"));
    }
    let Parser::Action(sets, parser) = keyword.parser else {
        return Err(cx.problem(format!("'{name}' is no action of '{}'", cx.set.name())));
    };
    if !sets.has(cx.set) {
        return Err(misplaced(name, cx));
    }
    parser(cx, arguments)
}

/// The action is there, and not in rules of this kind.
fn misplaced(name: &str, cx: &ActionCx<'_, '_>) -> Problem {
    let known = super::keywords()
        .filter(|keyword| matches!(keyword.parser, Parser::Action(sets, _) if sets.has(cx.set)))
        .map(|keyword| keyword.name);
    let own = cx.world.source.extensions.into_iter().flat_map(|own| own.action_names(cx.set));
    let mut list: Vec<&str> = known.chain(own).collect();
    list.sort_unstable();
    cx.problem(format!("'{}' has no action '{name}'", cx.set.name())).help(format!("it has: {}", list.join(", ")))
}
