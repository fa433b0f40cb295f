//! One test: an expression, a matching method, patterns. A line `acl`, or what stands between braces.

use super::{Matching, Pattern, PatternFlags, Verdict, names, pattern};
use crate::sample::{Compiler, Cursor, Cx, Eval, Expr, ExprError, Type, Value};

/// A test.
#[derive(Debug)]
pub struct Line {
    expr: Expr,
    matching: Matching,
    /// What a value is cast to before it is compared; `None`: nothing.
    cast: Option<Type>,
    patterns: Vec<Pattern>,
}

impl Line {
    /// Compiles the words from `words[at]` to the end: expression, flags, patterns. An empty word ends them.
    pub(super) fn parse(words: &[&str], at: usize, compiler: &mut Compiler<'_>) -> Result<Self, ExprError> {
        let (expr, derived) = expression(words, at, compiler)?;
        let mut matching = derived.or_else(|| Matching::for_type(expr.kind()));
        let mut flags = PatternFlags::default();
        let mut patterns = Vec::new();
        let mut at = at + 1;
        let mut loaded = false;
        let mut explicit_end = false;
        let word = |at: usize| words.get(at).copied().unwrap_or_default();
        while word(at).starts_with('-') {
            match word(at) {
                "--" => {
                    explicit_end = true;
                    at += 1;
                    break;
                }
                "-i" => flags.ignore_case = true,
                "-n" => flags.no_resolve = true,
                "-M" => {}
                "-u" => {
                    at += 1;
                    if !word(at).trim_start_matches('-').bytes().all(|b| b.is_ascii_digit()) {
                        return Err(ExprError::new(at, "the argument of -u must be an integer"));
                    }
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
                    let content = compiler
                        .loader
                        .read(word(at))
                        .map_err(|_| ExprError::new(at, format!("failed to open pattern file <{}>", word(at))))?;
                    for (n, line) in content.split(|b| *b == b'\n').enumerate() {
                        let line = String::from_utf8_lossy(line);
                        let line = line.trim_end_matches('\r');
                        let text = line.trim_start_matches([' ', '\t']);
                        if text.is_empty() || line.starts_with('#') {
                            continue;
                        }
                        let pattern = Pattern::parse(text, matching, flags, &mut |name| compiler.loader.resolve(name));
                        patterns
                            .push(pattern.map_err(|why| ExprError::new(at, format!("{why} at line {} of file '{}'", n + 1, word(at))))?);
                    }
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
        while let Some(&text) = words.get(at).filter(|word| !word.is_empty()) {
            if matching.is_number() && matches!(text, "eq" | "gt" | "ge" | "lt" | "le") {
                operator = Some(text);
                at += 1;
                continue;
            }
            let pattern = match operator {
                Some(operator) => pattern::compared(operator, text, matching),
                None => Pattern::parse(text, matching, flags, &mut |name| compiler.loader.resolve(name)),
            };
            patterns.push(pattern.map_err(|why| ExprError::new(at, why))?);
            at += 1;
        }
        if patterns.is_empty() && matching.needs_patterns() && !explicit_end && !loaded {
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
        Ok(Self { expr, matching, cast, patterns })
    }

    /// Where the values come from.
    pub fn expr(&self) -> &Expr {
        &self.expr
    }

    /// How they are compared.
    pub fn matching(&self) -> Matching {
        self.matching
    }

    /// Whether one of the values that the expression has matches.
    pub(super) fn eval(&self, cx: Cx<'_>) -> Verdict {
        let mut cursor = Cursor::each();
        let mut verdict = Verdict::Fail;
        loop {
            match self.expr.next(cx, &mut cursor) {
                Eval::Value(value) => {
                    if self.matches(value, cx) {
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
            matching => self.patterns.iter().any(|pattern| pattern.matches(matching, value)),
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
    let name = &text[..text.find(['(', ',']).unwrap_or(text.len())];
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
