//! One test: an expression, a matching method, patterns. A line `acl`, or what stands between braces.

use super::index::Kind;
use super::sets::Wanted;
use super::{Lookup, Matching, PatternFlags, Verdict, names, pattern};
use crate::sample::{Compiler, Cursor, Cx, Eval, Expr, ExprError, Type, Value};
use std::sync::Arc;

/// A test.
#[derive(Debug)]
pub struct Line {
    expr: Expr,
    matching: Matching,
    /// What a value is cast to before it is compared; `None`: nothing.
    cast: Option<Type>,
    /// One for each file, and one for the words of the line.
    patterns: Box<[Arc<Lookup>]>,
}

impl Line {
    /// Compiles the words from `words[at]` to the end: expression, flags, patterns. An empty word ends them.
    pub(super) fn parse(words: &[&str], at: usize, compiler: &mut Compiler<'_>) -> Result<Self, ExprError> {
        let (expr, derived) = expression(words, at, compiler)?;
        let mut matching = derived.or_else(|| Matching::for_type(expr.kind()));
        let mut flags = PatternFlags::default();
        let mut patterns = Vec::new();
        let mut two_columns = false;
        let mut id = None;
        let mut at = at + 1;
        let keyword = words.get(at - 1).map(|word| word[..name_len(word)].to_owned()).unwrap_or_default();
        let wanted = |matching, flags: PatternFlags, has_values| Wanted {
            kind: Kind { matching, ignore_case: flags.ignore_case },
            has_values,
            no_resolve: flags.no_resolve,
            gives: None,
            keyword: keyword.clone(),
        };
        let mut loaded = false;
        let word = |at: usize| words.get(at).copied().unwrap_or_default();
        let bare = word(at).is_empty();
        if word(at).starts_with('(') && !word(at - 1).contains('(') {
            let message = format!(
                "'{}' behind '{}' is taken for a pattern, not for arguments; if that is what you want, put '--' between them",
                word(at),
                word(at - 1)
            );
            compiler.loader.warn(at, message);
        }
        while word(at).starts_with('-') {
            match word(at) {
                "--" => {
                    at += 1;
                    break;
                }
                "-i" => flags.ignore_case = true,
                "-n" => flags.no_resolve = true,
                "-M" => two_columns = true,
                "-u" => {
                    at += 1;
                    let digits = word(at).strip_prefix('-').unwrap_or(word(at));
                    if !digits.bytes().all(|b| b.is_ascii_digit()) {
                        return Err(ExprError::new(at, "the argument of -u must be an integer"));
                    }
                    id = word(at).parse().ok();
                }
                "-m" => {
                    if loaded {
                        let message = "'-m' must only be specified before patterns and files in parsing ACL expression";
                        return Err(ExprError::new(at, message));
                    }
                    at += 1;
                    let Some(named) = Matching::named(word(at)) else {
                        return Err(ExprError::new(at, format!("unknown matching method '{}' when parsing ACL expression", word(at))));
                    };
                    // `req.ssl_ver -m int` takes versions all the same.
                    let version = matching == Some(Matching::Version) && named == Matching::Int;
                    matching = Some(if version { Matching::Version } else { named });
                    if !expr.kind().casts_to(named.input()) {
                        let message =
                            format!("matching method '{}' cannot be used with fetch keyword '{}'", named.name(), expr.fetch_name());
                        return Err(ExprError::new(at, message));
                    }
                }
                "-f" => {
                    at += 1;
                    loaded = true;
                    let Some(matching) = matching else { return Err(unclear(at, &expr)) };
                    let wanted = wanted(matching, flags, two_columns);
                    let lookup = compiler.sets.of_file(word(at), &wanted, compiler.loader);
                    patterns.push(lookup.map_err(|why| ExprError::new(at, why))?);
                }
                other => {
                    let message = format!("'{other}' is not a valid ACL option. Please use '--' before any pattern beginning with a '-'");
                    return Err(ExprError::new(at, message));
                }
            }
            at += 1;
        }
        let Some(matching) = matching else { return Err(unclear(at, &expr)) };
        let mut operator = None;
        let mut own = Vec::new();
        let first = at;
        while let Some(&text) = words.get(at).filter(|word| !word.is_empty()) {
            if matching.is_number() && matches!(text, "eq" | "gt" | "ge" | "lt" | "le") {
                operator = Some(text);
            } else {
                let text = match operator {
                    Some(operator) => pattern::compared(operator, text, matching).map_err(|why| ExprError::new(at, why))?,
                    None => text.to_owned(),
                };
                // So that an error is told of the word where it is.
                let mut resolve = |name: &str| compiler.loader.resolve(name);
                pattern::Pattern::parse(text.as_bytes(), matching, flags, &mut resolve).map_err(|why| ExprError::new(at, why))?;
                own.push(text.into_bytes());
            }
            at += 1;
        }
        let wanted = wanted(matching, flags, false);
        let lookup = compiler.sets.of_words(&own, id, &wanted, compiler.loader).map_err(|why| ExprError::new(first, why))?;
        patterns.push(lookup);
        // A flag, an operator or `--` says that it was meant.
        if own.is_empty() && matching.needs_patterns() && bare {
            let message = format!(
                "parsing acl keyword '{}' :\n  no pattern to match against were provided, so this ACL will never match.\n  If this is \
                 what you intended, please add '--' to get rid of this warning.\n  If you intended to match only for existence, please \
                 use '-m found'.\n  If you wanted to force an int to match as a bool, please use '-m bool'.\n",
                expr.text()
            );
            compiler.loader.warn(at, message);
        }
        let input = matching.input();
        let cast = (input != Type::Any && expr.kind() != input).then_some(input);
        Ok(Self { expr, matching, cast, patterns: patterns.into() })
    }

    /// Where the values come from.
    pub fn expr(&self) -> &Expr {
        &self.expr
    }

    /// How deep ACLs ask each other in its expression.
    pub(super) fn depth(&self) -> usize {
        if self.expr.fetch_name() == super::sample::NAME { super::sample::depth(self.expr.args()) } else { 0 }
    }

    /// How they are compared.
    pub fn matching(&self) -> Matching {
        self.matching
    }

    /// What the values are compared with.
    pub fn patterns(&self) -> &[Arc<Lookup>] {
        &self.patterns
    }

    /// Whether one of the values that the expression has matches; `seen` has that one, or else the last.
    pub(super) fn watch<'a>(&'a self, cx: Cx<'a>, seen: &mut impl FnMut(&'a Self, Option<Value<'a>>)) -> Verdict {
        let mut cursor = Cursor::each();
        let mut verdict = Verdict::Fail;
        let mut last = None;
        loop {
            match self.expr.next(cx, &mut cursor) {
                Eval::Value(value) => {
                    last = Some(value);
                    if self.matches(value, cx) {
                        seen(self, last);
                        return Verdict::Pass;
                    }
                    if cursor.partial && !cx.last {
                        verdict = Verdict::NeedMore;
                    }
                }
                Eval::NeedMore => verdict = Verdict::NeedMore,
                Eval::Absent => {}
            }
            if !cursor.more {
                seen(self, last);
                return verdict;
            }
        }
    }

    fn matches<'a>(&'a self, value: Value<'a>, cx: Cx<'a>) -> bool {
        let value = match self.cast {
            None => value,
            Some(kind) => match value.cast(kind, cx.scratch) {
                Some(value) => value,
                None => return false,
            },
        };
        match self.matching {
            Matching::Found => true,
            Matching::Bool => value == Value::Bool(true),
            _ => self.patterns.iter().any(|patterns| patterns.matches(value)),
        }
    }
}

fn unclear(at: usize, expr: &Expr) -> ExprError {
    let message =
        format!("matching method must be specified first (using '-m') when using a sample fetch of this type ('{}')", expr.fetch_name());
    ExprError::new(at, message)
}

/// The expression, and the method that its name says.
fn expression(words: &[&str], at: usize, compiler: &mut Compiler<'_>) -> Result<(Expr, Option<Matching>), ExprError> {
    let text = words.get(at).copied().unwrap_or_default();
    let name = &text[..name_len(text)];
    let derived = names::derived(name);
    if name.is_empty() {
        return Err(ExprError::new(at, format!("missing fetch method in ACL expression '{text}'")));
    }
    let fetch = derived.map_or(name, |(fetch, _)| fetch);
    if compiler.registry.fetch(fetch).is_none() {
        return Err(ExprError::new(at, format!("unknown fetch method '{name}' in ACL expression '{text}'")));
    }
    let written = format!("{fetch}{}", &text[name.len()..]);
    // One word alone: the next ones are patterns, be they called like converters.
    let expr = Expr::parse(&[written.as_str()], &mut 0, compiler).map_err(|e| ExprError {
        word: at,
        message: format!("ACL keyword '{name}' : {}", e.message),
        ..e
    })?;
    // Behind converters the type of the last one counts, not the name.
    let derived = derived.filter(|_| expr.is_plain()).map(|(_, matching)| matching);
    Ok((expr, derived))
}

fn name_len(text: &str) -> usize {
    text.find(['(', ',']).unwrap_or(text.len())
}
