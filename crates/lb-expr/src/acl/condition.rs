//! `if` and `unless`: what a rule asks before it acts. Terms behind each other must all hold; `or` stands between alternatives.
//!
//! Holds: three-valued. An alternative fails with its first term that fails; what may still change leaves it open, and what is open
//! loses against an alternative that holds.

use super::{Acl, Acls, Line, Verdict};
use crate::sample::{Compiler, Cx, ExprError, Need, Point, Points, Value};
use std::sync::Arc;

/// One ACL of a condition.
#[derive(Clone, Debug)]
pub struct Term {
    acl: Arc<Acl>,
    negated: bool,
}

impl Term {
    /// The test.
    pub fn acl(&self) -> &Acl {
        &self.acl
    }

    /// Whether `!` stands before it.
    pub fn negated(&self) -> bool {
        self.negated
    }

    /// What it says, the `!` included.
    pub fn eval(&self, cx: Cx<'_>) -> Verdict {
        self.watch(cx, |_, _| ())
    }

    /// The same, with a look at what its lines are asked ([`Acl::watch`]).
    pub fn watch<'a>(&'a self, cx: Cx<'a>, seen: impl FnMut(&'a Line, Option<Value<'a>>)) -> Verdict {
        let verdict = self.acl.watch(cx, seen);
        if self.negated { verdict.negated() } else { verdict }
    }
}

/// A condition.
#[derive(Clone, Debug)]
pub struct Condition {
    unless: bool,
    alternatives: Box<[Box<[Term]>]>,
}

/// Why a condition makes no sense where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The ACL; `None` for one without a name.
    pub acl: Option<String>,
    /// The fetch of it that is not there.
    pub fetch: &'static str,
    /// What the fetch needs.
    pub need: Need,
    /// None of the ACL's fetches is there, so that it never matches.
    pub never: bool,
}

impl Conflict {
    /// Haproxy's words for it; `place` is what it calls the rule (`frontend http-request header rule`).
    pub fn message(&self, place: &str) -> String {
        let Self { acl, fetch, never, .. } = self;
        match (acl, never) {
            (Some(name), true) => {
                format!("acl '{name}' will never match because it only involves keywords that are incompatible with '{place}'")
            }
            (Some(name), false) => format!("acl '{name}' involves keywords '{fetch}' which is incompatible with '{place}'"),
            (None, true) => {
                format!("anonymous acl will never match because it uses keyword '{fetch}' which is incompatible with '{place}'")
            }
            (None, false) => format!("anonymous acl involves keyword '{fetch}' which is incompatible with '{place}'"),
        }
    }
}

impl Condition {
    /// Compiles the words from `words[*at]`, which is `if` or `unless`, to the end of the line; `at` is moved there. ACLs without a
    /// name are made on the way, and those that need no definition (manual 7.4) where they are named.
    ///
    /// # Errors
    /// A name that is none, `{` without `}`, and what is wrong between them; in haproxy's words.
    pub fn parse(words: &[&str], at: &mut usize, acls: &mut Acls, compiler: &mut Compiler<'_>) -> Result<Self, ExprError> {
        let unless = match words.get(*at) {
            Some(&"if") => false,
            Some(&"unless") => true,
            _ => return Err(ExprError::new(*at, "'if' or 'unless' expected")),
        };
        *at += 1;
        let mut alternatives = Vec::new();
        let mut terms = Vec::new();
        let mut negated = false;
        while let Some(&word) = words.get(*at) {
            *at += 1;
            let name = word.trim_start_matches('!');
            if name == "or" || name == "||" {
                negated = false;
                // Haproxy takes an alternative without terms for none.
                if !terms.is_empty() {
                    alternatives.push(std::mem::take(&mut terms).into());
                }
                continue;
            }
            negated ^= (word.len() - name.len()) % 2 == 1;
            if name.is_empty() {
                continue;
            }
            let acl = if name == "{" {
                let close = words[*at..].iter().position(|word| *word == "}").map(|n| *at + n);
                let Some(close) = close else { return Err(ExprError::new(*at - 1, "missing closing '}' in condition")) };
                let acl = Acl::anonymous(&words[..close], *at, compiler)?;
                *at = close + 1;
                acl
            } else {
                acls.named(name, compiler).ok_or_else(|| ExprError::new(*at - 1, format!("no such ACL : '{name}'")))?
            };
            terms.push(Term { acl, negated });
            negated = false;
        }
        if !terms.is_empty() {
            alternatives.push(terms.into());
        }
        Ok(Self { unless, alternatives: alternatives.into() })
    }

    /// Whether it holds: for `unless`, whether the terms do not.
    pub fn eval(&self, cx: Cx<'_>) -> Verdict {
        self.decide(|term| term.eval(cx))
    }

    /// The same with another answer for each term, asked for in the order in which they count and only while they do: for tools that
    /// show what was asked.
    pub fn decide(&self, mut term: impl FnMut(&Term) -> Verdict) -> Verdict {
        let mut verdict = Verdict::Fail;
        for alternative in &self.alternatives {
            let mut all = Verdict::Pass;
            for of in alternative {
                match term(of) {
                    Verdict::Pass => {}
                    Verdict::NeedMore => all = Verdict::NeedMore,
                    Verdict::Fail => {
                        all = Verdict::Fail;
                        break;
                    }
                }
            }
            verdict = verdict.or(all);
            if verdict == Verdict::Pass {
                break;
            }
        }
        if self.unless { verdict.negated() } else { verdict }
    }

    /// Whether it is `unless`.
    pub fn is_unless(&self) -> bool {
        self.unless
    }

    /// The alternatives, each with the terms that must hold together.
    pub fn alternatives(&self) -> impl Iterator<Item = &[Term]> {
        self.alternatives.iter().map(|terms| &terms[..])
    }

    /// All terms.
    pub fn terms(&self) -> impl Iterator<Item = &Term> {
        self.alternatives.iter().flat_map(|terms| terms.iter())
    }

    /// What its samples look at. Lines that are added to a named ACL later are seen too, so ask when the whole file was read.
    pub fn needs(&self) -> impl Iterator<Item = Need> {
        self.terms().flat_map(|term| term.acl.lines()).map(|line| line.expr().need())
    }

    /// Where all its samples are there.
    pub fn points(&self) -> Points {
        self.needs().fold(Need::Constant.points(), |all, need| all.and(need.points()))
    }

    /// The first ACL with a sample that is not there at `point`, as haproxy warns of it: one that never matches goes before one that
    /// may.
    pub fn conflict(&self, point: Point) -> Option<Conflict> {
        self.odd(|need| !need.points().contains(point))
    }

    /// Whether one of its ACLs looks at bytes as they came in, which are not there in mode http.
    pub fn looks_at_bytes(&self) -> bool {
        self.terms().flat_map(|term| term.acl.lines()).any(|line| line.expr().need().is_bytes())
    }

    fn odd(&self, odd: impl Fn(Need) -> bool) -> Option<Conflict> {
        self.terms().find_map(|term| {
            let line = term.acl.lines().find(|line| odd(line.expr().need()))?;
            Some(Conflict {
                acl: term.acl.name().map(str::to_owned),
                fetch: line.expr().fetch_name(),
                need: line.expr().need(),
                never: term.acl.lines().all(|line| odd(line.expr().need())),
            })
        })
    }
}
