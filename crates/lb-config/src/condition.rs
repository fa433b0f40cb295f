//! Conditions of `.if` (manual 2.4): integers, predicates, `!`, `&&`, `||`, parentheses. As in haproxy the words of the line
//! have been joined by single spaces before, and the arguments of a predicate have quotes and escapes of their own.
//!
//! Holds: the depth is bounded, the time linear; the whole condition is read even where its value is known early, so that
//! a misspelt predicate is told wherever it stands.

use crate::lexer::{self, Word};
use crate::source::Source;
use crate::variables::Variables;

/// The version of haproxy whose behaviour this is: `version_atleast()` and `version_before()` compare with it, and
/// `HAPROXY_STARTUP_VERSION` shows it. docs/architecture.md says why it is this one.
pub const LANGUAGE_VERSION: &str = "2.6.12";

/// When that version of haproxy came out.
pub const LANGUAGE_DATE: &str = "2023/03/28";

/// Features that `feature(NAME)` finds: the names of haproxy's build options, as far as they are true here.
pub const FEATURES: &[&str] =
    &["ACCEPT4", "CPU_AFFINITY", "EPOLL", "GETADDRINFO", "LINUX_SPLICE", "POLL", "PRCTL", "SYSTEMD", "TFO", "THREAD"];

/// Parentheses in each other.
const MAX_DEPTH: usize = 64;

/// Why a condition cannot be evaluated; positions are bytes from 0 in the condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// Neither a number nor a predicate.
    #[error("unknown predicate '{0}' in the condition")]
    Predicate(String),
    /// A missing `)`.
    #[error("a parenthesis of the condition is never closed")]
    Parenthesis,
    /// A quote in the arguments.
    #[error("a quote in the arguments of '{0}' is never closed")]
    Quote(&'static str),
    /// Too few or too many arguments.
    #[error("'{name}' takes {wanted} argument{}, not {given}", if *wanted == 1 { "" } else { "s" })]
    Count {
        /// The predicate.
        name: &'static str,
        /// How many it takes.
        wanted: usize,
        /// How many there are.
        given: usize,
    },
    /// An argument that should be a version.
    #[error("'{0}' is not a version such as 2.6 or 2.4-dev19")]
    Version(String),
    /// Something behind a complete condition.
    #[error("'{0}' is left over behind the condition")]
    Rest(String),
    /// More than 64 parentheses in each other.
    #[error("the condition is nested too deeply")]
    Depth,
    /// Nothing where a number or predicate should be.
    #[error("a part of the condition is missing")]
    Missing,
    /// It cannot be cut into words.
    #[error("{0}")]
    Line(&'static str),
}

/// The value of a condition as it may stand behind `.if`, variables included: for `-cc`. The files of the source are not read.
///
/// ```
/// use lb_config::{Source, condition};
/// assert_eq!(condition("version_atleast(2.4) && !feature(LUA)", &Source::new()), Ok(true));
/// assert!(condition("version_atleast(2.4) &&", &Source::new()).is_err());
/// ```
///
/// # Errors
/// What cannot be read in it.
pub fn condition(text: &str, source: &Source<'_>) -> Result<bool, ConditionError> {
    let variables = Variables::new(source);
    let mut words = Vec::new();
    lexer::words(text.as_bytes(), &mut words, &mut |name| variables.get(name)).map_err(|error| ConditionError::Line(error.message))?;
    evaluate(&joined(&words), &variables)
}

/// The words of a condition as one text.
pub(crate) fn joined(words: &[Word<'_>]) -> String {
    words.iter().map(|word| word.text.as_ref()).collect::<Vec<_>>().join(" ")
}

/// The value of a condition. An empty one is false.
pub(crate) fn evaluate(text: &str, world: &Variables<'_>) -> Result<bool, ConditionError> {
    let mut parser = Parser { rest: skip(text), world };
    if parser.rest.is_empty() {
        return Ok(false);
    }
    let value = parser.or(0)?;
    if parser.rest.is_empty() { Ok(value) } else { Err(ConditionError::Rest(start(parser.rest))) }
}

/// Spaces between the parts of a condition mean nothing.
fn skip(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

/// The first word of what cannot be read, bounded.
fn start(text: &str) -> String {
    text.split(' ').next().unwrap_or_default().chars().take(32).collect()
}

struct Parser<'a, 'w> {
    rest: &'a str,
    world: &'w Variables<'w>,
}

impl Parser<'_, '_> {
    /// Takes a token and the spaces behind it.
    fn eat(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = skip(rest);
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
        let mut negated = false;
        while self.eat("!") {
            negated = !negated;
        }
        let value = if self.eat("(") {
            if depth >= MAX_DEPTH {
                return Err(ConditionError::Depth);
            }
            let value = self.or(depth + 1)?;
            if !self.eat(")") {
                return Err(ConditionError::Parenthesis);
            }
            value
        } else {
            self.atom()?
        };
        Ok(value != negated)
    }

    /// A number or a predicate.
    fn atom(&mut self) -> Result<bool, ConditionError> {
        if let Some((value, rest)) = number(self.rest) {
            self.rest = skip(rest);
            return Ok(value);
        }
        let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if name.is_empty() {
            return Err(ConditionError::Missing);
        }
        let Some((name, wanted, optional)) = PREDICATES.iter().copied().find(|(known, ..)| *known == name) else {
            return Err(ConditionError::Predicate(start(self.rest)));
        };
        self.rest = rest;
        let arguments = if rest.starts_with('(') { self.arguments(name)? } else { Vec::new() };
        self.rest = skip(self.rest);
        let given = arguments.len();
        if given > wanted || (given < wanted && !optional) {
            return Err(ConditionError::Count { name, wanted, given });
        }
        let argument = |n: usize| arguments.get(n).map_or("", String::as_str);
        Ok(match name {
            "defined" => self.world.get(argument(0)).is_some(),
            "feature" => FEATURES.contains(&argument(0)),
            "streq" => argument(0) == argument(1),
            "strneq" => argument(0) != argument(1),
            "strstr" => argument(0).contains(argument(1)),
            "version_atleast" => version(LANGUAGE_VERSION)? >= version(argument(0))?,
            "version_before" => version(LANGUAGE_VERSION)? < version(argument(0))?,
            "enabled" => self.world.enabled(argument(0)).unwrap_or(false),
            // There is none of these libraries here: no version of it is new enough, and none is too old.
            _ => false,
        })
    }

    /// `(a,"b c",d\ e)`: quotes and escapes as in lines, but for `\#`, `\$` and `\xNN`.
    fn arguments(&mut self, name: &'static str) -> Result<Vec<String>, ConditionError> {
        let mut list = vec![String::new()];
        let mut quote = None;
        let mut chars = self.rest[1..].chars();
        while let Some(c) = chars.next() {
            let last = list.last_mut().expect("never empty");
            match (c, quote) {
                (')', None) => {
                    // `f()` has no argument.
                    let none = self.rest.starts_with("()");
                    self.rest = chars.as_str();
                    return Ok(if none { Vec::new() } else { list });
                }
                (',', None) => list.push(String::new()),
                ('"' | '\'', None) => quote = Some(c),
                (_, Some(open)) if open == c => quote = None,
                ('\\', None | Some('"')) => {
                    let stands_for = match chars.as_str().chars().next() {
                        Some(next @ (' ' | '\\' | '"' | '\'')) => Some(next),
                        Some('n') => Some('\n'),
                        Some('r') => Some('\r'),
                        Some('t') => Some('\t'),
                        _ => None,
                    };
                    if stands_for.is_some() {
                        chars.next();
                    }
                    last.push(stands_for.unwrap_or('\\'));
                }
                _ => last.push(c),
            }
        }
        Err(if quote.is_some() { ConditionError::Quote(name) } else { ConditionError::Parenthesis })
    }
}

/// Name, arguments, and whether they may be missing.
const PREDICATES: &[(&str, usize, bool)] = &[
    ("defined", 1, true),
    ("feature", 1, true),
    ("streq", 2, false),
    ("strneq", 2, false),
    ("strstr", 2, false),
    ("version_atleast", 1, false),
    ("version_before", 1, false),
    ("enabled", 1, true),
    ("openssl_version_atleast", 1, false),
    ("openssl_version_before", 1, false),
    ("ssllib_name_startswith", 1, true),
    ("awslc_api_atleast", 1, false),
    ("awslc_api_before", 1, false),
];

/// What to write, for messages.
pub(crate) fn predicates() -> String {
    let list: Vec<String> = PREDICATES.iter().map(|(name, ..)| format!("{name}()")).collect();
    format!("a condition is made of numbers, !, &&, ||, parentheses and {}", list.join(" "))
}

/// An integer as C reads it (sign, `0x`, leading 0 for octal) and what is behind it; whether it is not zero.
fn number(text: &str) -> Option<(bool, &str)> {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let hexadecimal =
        body.strip_prefix("0x").or_else(|| body.strip_prefix("0X")).filter(|rest| rest.starts_with(|c: char| c.is_ascii_hexdigit()));
    let (digits, radix) = match hexadecimal {
        Some(digits) => (digits, 16),
        None if body.starts_with('0') => (body, 8),
        None => (body, 10),
    };
    let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at(end);
    (!digits.is_empty()).then(|| (digits.bytes().any(|digit| digit != b'0'), rest))
}

/// `2.6.12`, `2.6`, `2.4-dev19`, `3.0-rc1`, `2.6.12-1+deb12u3`: missing parts are zero; what was before a release is less than it.
fn version(text: &str) -> Result<[u32; 5], ConditionError> {
    let bad = || ConditionError::Version(start(text));
    let trimmed = text.trim_start();
    let (release, suffix) = trimmed.split_once('-').unwrap_or((trimmed, ""));
    let mut out = [0, 0, 0, 0, u32::MAX];
    for (n, part) in release.split('.').enumerate() {
        let slot = out[..4].get_mut(n).ok_or_else(bad)?;
        *slot = match part {
            "" if n > 0 => 0,
            part if part.bytes().all(|byte| byte.is_ascii_digit()) => part.parse().map_err(|_| bad())?,
            _ => return Err(bad()),
        };
    }
    let leading = |text: &str| -> u32 {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        text[..end].parse().unwrap_or(0)
    };
    if let Some(number) = suffix.strip_prefix("dev") {
        out[4] = leading(number).min(u32::MAX / 2);
    } else if let Some(number) = suffix.strip_prefix("rc") {
        out[4] = (u32::MAX / 2).saturating_add(leading(number).min(1000)).saturating_add(1);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Environment, Switches};

    struct World;

    impl Environment for World {
        fn variable(&self, name: &str) -> Option<String> {
            (name == "HERE").then(String::new)
        }
    }

    fn value(text: &str) -> Result<bool, ConditionError> {
        let switches = Switches { no_splice: true, ..Switches::default() };
        let source = Source::new().environment(&World).switches(switches);
        evaluate(text, &Variables::new(&source))
    }

    /// Each was compared with haproxy 2.6 or, for what it does not know, 3.0.
    #[test]
    fn values() {
        for text in [
            "1",
            "-1",
            "+1",
            "01",
            "0x10",
            "9999999999999999999999",
            "!0",
            "! 0",
            "!!1",
            "(1)",
            "( 1 )",
            "((((1))))",
            "!(0)",
            "1||0",
            "0&&1||1",
            "1||1&&0",
            "1 && (0 || 1)",
            "1&&(0||1)&&!0",
            "(1 && 0) || 1",
            " 1",
            "1 ",
            "defined(HERE)",
            "defined(HERE)&&1",
            "feature(EPOLL)",
            "streq(a,a)",
            "streq(,)",
            "streq('a',a)",
            "streq(\"a,b\",\"a,b\")",
            "streq(\"a b\",a b)",
            "streq(\"a\\\"b\",a\\\"b)",
            "streq(a\"b\"c,abc)",
            "streq(a(b,a(b)",
            "streq(a ,\"a \")",
            "streq('\\n','\\n')",
            "streq(a\\ b,a b)",
            "streq(\\q,'\\q')",
            "strneq(a,b)",
            "strstr(abc,b)",
            "strstr(abc,)",
            "version_atleast(2)",
            "version_atleast(2.6)",
            "version_atleast(2.6.12)",
            "version_atleast( 2.6)",
            "version_atleast(2.)",
            "version_atleast(2.6.12.)",
            "version_atleast(2.4-dev19)",
            "version_atleast(2.6-dev3)",
            "version_before(2.6.13)",
            "version_before(3.0)",
            "version_before(2.7-dev1)",
            "enabled(POLL)",
            "enabled(EPOLL)",
            "enabled(GETADDRINFO)",
            "enabled(REUSEPORT)",
            "enabled(FAST-FORWARD)",
            "ssllib_name_startswith(x) || 1",
        ] {
            assert_eq!(value(text), Ok(true), "{text}");
        }
        for text in [
            "",
            " ",
            "0",
            "-0",
            "0x0",
            "00",
            "!1",
            "!0&&0",
            "1&&0",
            "defined(NOT)",
            "defined()",
            "defined",
            "defined( HERE )",
            "feature(epoll)",
            "feature(LUA)",
            "feature(-EPOLL)",
            "feature(+EPOLL)",
            "feature()",
            "streq(a,b)",
            "streq(a, a)",
            "streq( a,a)",
            "streq(a ,a)",
            "streq('\\x41',A)",
            "streq('\\$','$')",
            "strneq(a,a)",
            "strstr(abc,x)",
            "version_atleast(2.6.13)",
            "version_atleast(2.6.12.1)",
            "version_atleast(2.7-dev1)",
            "version_atleast(3.0)",
            "version_before(2.6.12)",
            "version_before(2.6-dev0)",
            "enabled(SPLICE)",
            "enabled(NOPE)",
            "enabled(epoll)",
            "enabled()",
            "enabled(SERVER-SSL-VERIFY-NONE)",
            "enabled(EVPORTS)",
            "openssl_version_atleast(1.0.0)",
            "openssl_version_before(9.0.0)",
            "ssllib_name_startswith(OpenSSL)",
            "awslc_api_atleast(1)",
            "awslc_api_before(99)",
        ] {
            assert_eq!(value(text), Ok(false), "{text}");
        }
    }

    #[test]
    fn nonsense() {
        use ConditionError as E;
        let error = |text: &str| value(text).expect_err(text);
        for text in ["foo", "foo()", "foo(1)", "true", "DEFINED(HERE)", "definedx(HERE)", "0 && foo(1)", "1 || foo(1)"] {
            assert!(matches!(error(text), E::Predicate(_)), "{text}");
        }
        for text in ["1foo", "1 foo", "1 1", "1)", "1 & 1", "1 | 1", "1|0", "1,1", "1.5", "1e3", "09", "defined (HERE)", "defined(HERE) x"]
        {
            assert!(matches!(error(text), E::Rest(_)), "{text}");
        }
        for text in ["1 ||", "|| 1", "1 &&", "1 && && 1", "()", "!", "-", "1 && ,"] {
            assert_eq!(error(text), E::Missing, "{text}");
        }
        for text in [
            "streq(a)",
            "streq()",
            "streq",
            "streq(a,a,a)",
            "streq(a\\,b,x)",
            "streq(a\\)b,\"a)b\")",
            "defined(HERE,)",
            "version_atleast",
            "0 && streq(a)",
        ] {
            assert!(matches!(error(text), E::Count { .. }), "{text}: {:?}", error(text));
        }
        for text in [
            "version_atleast(x)",
            "version_atleast(2.x)",
            "version_atleast(-1)",
            "version_before(2.6.1.1.1)",
            "version_atleast(99999999999)",
        ] {
            assert!(matches!(error(text), E::Version(_)), "{text}");
        }
        for text in ["(1", "defined(HERE", "streq(a,b", "(defined(HERE)"] {
            assert_eq!(error(text), E::Parenthesis, "{text}");
        }
        assert_eq!(error("streq(\"a,b)"), E::Quote("streq"));
        assert_eq!(error(&"(".repeat(10_000)), E::Depth);
        assert_eq!(value(&format!("{}1", "!".repeat(10_000))), Ok(true));
        assert_eq!(value(&format!("{}1", "0||".repeat(10_000))), Ok(true));
    }
}
