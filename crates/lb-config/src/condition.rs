//! Conditions of `.if` (manual 2.4): integers, predicates, `!`, `&&`, `||`, parentheses.
//!
//! Holds: the depth is bounded; nothing here allocates more than the condition's own length.

/// The version of haproxy whose language this is; `version_atleast` compares with it.
const VERSION: [u32; 3] = [2, 6, 12];

/// Features that `feature(NAME)` finds: the names of haproxy's build options, as far as they are true here.
const FEATURES: &[&str] = &["EPOLL", "THREAD", "LINUX_SPLICE", "TFO", "GETADDRINFO", "POLL", "ACCEPT4"];

/// Parentheses and negations in a row.
const MAX_DEPTH: usize = 64;

/// Why a condition cannot be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConditionError {
    #[error("unknown predicate in the condition")]
    Predicate,
    #[error("a parenthesis of the condition is never closed")]
    Parenthesis,
    #[error("this predicate of the condition wants other arguments")]
    Arguments,
    #[error("something is left over after the condition")]
    Rest,
    #[error("the condition is nested too deeply")]
    Depth,
    #[error("a part of the condition is missing")]
    Missing,
}

/// The value of a condition. An empty one is false.
pub(crate) fn evaluate(text: &str, defined: &dyn Fn(&str) -> bool) -> Result<bool, ConditionError> {
    if text.trim().is_empty() {
        return Ok(false);
    }
    let mut parser = Parser { rest: text, defined };
    let value = parser.or(0)?;
    parser.skip();
    if parser.rest.is_empty() { Ok(value) } else { Err(ConditionError::Rest) }
}

struct Parser<'a> {
    rest: &'a str,
    defined: &'a dyn Fn(&str) -> bool,
}

impl Parser<'_> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn or(&mut self, depth: usize) -> Result<bool, ConditionError> {
        let mut value = self.and(depth)?;
        while self.eat("||") {
            value |= self.and(depth)?;
        }
        Ok(value)
    }

    fn and(&mut self, depth: usize) -> Result<bool, ConditionError> {
        let mut value = self.term(depth)?;
        while self.eat("&&") {
            value &= self.term(depth)?;
        }
        Ok(value)
    }

    fn term(&mut self, depth: usize) -> Result<bool, ConditionError> {
        if depth > MAX_DEPTH {
            return Err(ConditionError::Depth);
        }
        if self.eat("!") {
            return Ok(!self.term(depth + 1)?);
        }
        if self.eat("(") {
            let value = self.or(depth + 1)?;
            return if self.eat(")") { Ok(value) } else { Err(ConditionError::Parenthesis) };
        }
        self.skip();
        let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '+')).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        if name.is_empty() {
            return Err(ConditionError::Missing);
        }
        if let Ok(number) = name.parse::<i64>() {
            return Ok(number != 0);
        }
        if !self.eat("(") {
            return Err(ConditionError::Predicate);
        }
        let end = self.rest.find(')').ok_or(ConditionError::Parenthesis)?;
        let args: Vec<&str> = self.rest[..end].split(',').map(str::trim).collect();
        self.rest = &self.rest[end + 1..];
        match (name, args.as_slice()) {
            ("defined", [name]) => Ok((self.defined)(name)),
            ("feature", [name]) => Ok(FEATURES.contains(name)),
            ("streq", [a, b]) => Ok(unquoted(a) == unquoted(b)),
            ("strneq", [a, b]) => Ok(unquoted(a) != unquoted(b)),
            ("version_atleast", [version]) => Ok(VERSION >= self::version(version).ok_or(ConditionError::Arguments)?),
            ("version_before", [version]) => Ok(VERSION < self::version(version).ok_or(ConditionError::Arguments)?),
            ("defined" | "feature" | "streq" | "strneq" | "version_atleast" | "version_before", _) => Err(ConditionError::Arguments),
            _ => Err(ConditionError::Predicate),
        }
    }
}

fn unquoted(text: &str) -> &str {
    text.trim_matches(['"', '\''])
}

/// `2.4-dev19`, `2.6.12`: missing parts are zero; a development version comes before its release.
fn version(text: &str) -> Option<[u32; 3]> {
    let release = text.split('-').next()?;
    let mut parts = release.split('.').map(str::parse::<u32>);
    let mut out = [0; 3];
    for slot in &mut out {
        match parts.next() {
            Some(Ok(number)) => *slot = number,
            Some(Err(_)) => return None,
            None => break,
        }
    }
    if parts.next().is_some() { None } else { Some(out) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Result<bool, ConditionError> {
        evaluate(text, &|name| name == "HERE")
    }

    #[test]
    fn values() {
        for (text, expected) in [
            ("", false),
            ("0", false),
            ("1", true),
            ("-1", true),
            ("!0", true),
            ("defined(HERE)", true),
            ("defined(NOT)", false),
            ("!defined(HERE) || 1", true),
            ("1 && 0 || 1", true),
            ("1 && (0 || 0)", false),
            ("streq(a,a)", true),
            ("strneq(\"a\",a)", false),
            ("version_atleast(2.4-dev19)", true),
            ("version_atleast(3.0)", false),
            ("version_before(2.6.12)", false),
            ("feature(EPOLL)", true),
            ("feature(LUA)", false),
        ] {
            assert_eq!(value(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn nonsense() {
        assert_eq!(value("foo(1)"), Err(ConditionError::Predicate));
        assert_eq!(value("(1"), Err(ConditionError::Parenthesis));
        assert_eq!(value("streq(a)"), Err(ConditionError::Arguments));
        assert_eq!(value("1 1"), Err(ConditionError::Rest));
        assert_eq!(value("1 &&"), Err(ConditionError::Missing));
        assert_eq!(value(&"(".repeat(10_000)), Err(ConditionError::Depth));
        assert_eq!(value(&"!".repeat(10_000)), Err(ConditionError::Depth));
    }
}
