//! The rules of `tcp-check` and `http-check`, one function for each word.

use super::{Kind, RuleDraft, Said};
use crate::address::{Address, Port};
use crate::diag::Problem;
use crate::keywords::actions::{name_of, variable_at};
use crate::parse::{Line, World, address, exprs, resolve_host};
use crate::tree::shown;
use lb_check::{CheckPort, Connect, Expect, HeaderMatch, Match, Message, Pattern, Rule, Send, Status, Text};
use lb_expr::regex::Regex;
use lb_expr::sample::{Expr, Point, Points, SetVar, VarValue};
use lb_expr::{LogFormat, Purpose};
use std::ops::RangeInclusive;

/// Where the formats and expressions of checks are evaluated.
const HERE: Points = Points::of(Point::Check);

/// A line whose words are read one after the other.
struct Words<'p, 's, 'l> {
    world: &'p mut World<'s>,
    line: &'p Line<'l>,
    at: usize,
}

impl<'l> Words<'_, '_, 'l> {
    fn next(&mut self) -> Option<&'l str> {
        let word = self.line.arg(self.at);
        self.at += usize::from(word.is_some());
        word
    }

    /// The value of the word that was read last: not empty.
    fn value(&mut self, of: &str) -> Result<&'l str, Problem> {
        match self.line.arg(self.at).filter(|text| !text.is_empty()) {
            Some(text) => {
                self.at += 1;
                Ok(text)
            }
            None => Err(self.problem(format!("'{of}' wants a value")).help(crate::parse::usage(self.line.keyword))),
        }
    }

    fn boxed(&mut self, of: &str) -> Result<Option<Box<str>>, Problem> {
        self.value(of).map(|text| Some(text.into()))
    }

    /// A problem with the word that was read last.
    fn problem(&self, message: impl Into<String>) -> Problem {
        self.line.problem(self.at.saturating_sub(1), message)
    }

    fn unknown(&self, word: &str) -> Problem {
        self.problem(format!("unexpected '{}' behind '{}'", shown(word), self.line.keyword.name))
            .help(crate::parse::usage(self.line.keyword))
    }

    fn format(&mut self, of: &str, purpose: Purpose) -> Result<LogFormat, Problem> {
        self.value(of)?;
        let n = self.at - 1;
        let format = exprs::format(self.world, self.line, n, purpose)?;
        exprs::format_available(&format, HERE, self.line, n)?;
        Ok(format)
    }

    fn expression(&mut self, of: &str) -> Result<Expr, Problem> {
        let first = self.at;
        if self.line.arg(first).is_none_or(str::is_empty) {
            return Err(self.problem(format!("'{of}' wants an expression")).help("for example 'int(80)' or 'var(check.port)'"));
        }
        let expr = exprs::expression(self.world, self.line, &mut self.at)?;
        exprs::available(&expr, HERE, self.line, first)?;
        Ok(expr)
    }

    fn regex(&mut self, of: &str, ignore_case: bool) -> Result<Regex, Problem> {
        let pattern = self.value(of)?;
        Regex::new(pattern, ignore_case)
            .map_err(|error| self.problem(error.to_string()).help("regular expressions are written as for PCRE"))
    }

    fn hex(&mut self, of: &str) -> Result<Vec<u8>, Problem> {
        let text = self.value(of)?;
        lb_check::from_hex(text.as_bytes()).ok_or_else(|| {
            self.problem(format!("'{}' is no row of bytes in hexadecimal digits", shown(text)))
                .help("write two digits for each byte: 504f4e47")
        })
    }

    fn later(&self, word: &str, what: &str) -> Problem {
        self.problem(format!("'{word}' is known but not there yet in this version ({what})"))
            .help("remove the word if its effect is not needed; nothing is left out in silence")
    }
}

/// Words behind the text are let pass, as in haproxy.
pub(super) fn comment(_: &mut World<'_>, line: &Line<'_>, _: Kind) -> Result<RuleDraft, Problem> {
    Ok(RuleDraft::Ready(Rule::Comment(line.need(0)?.into())))
}

pub(super) fn connect(world: &mut World<'_>, line: &Line<'_>, kind: Kind) -> Result<RuleDraft, Problem> {
    let mut words = Words { world, line, at: 0 };
    let mut rule = Connect::default();
    while let Some(word) = words.next() {
        match word {
            "default" => rule.own = true,
            "send-proxy" => rule.send_proxy = true,
            "via-socks4" => rule.socks4 = true,
            "linger" => rule.linger = true,
            "comment" => rule.comment = words.boxed(word)?,
            "port" => rule.port = Some(port(&mut words)?),
            "addr" => addr(&mut words, &mut rule)?,
            "ssl" | "sni" | "alpn" => return Err(words.later(word, "TLS")),
            "proto" => {
                let name = words.value(word)?;
                match (name, kind) {
                    ("h1", Kind::Http) | ("none", Kind::Tcp) => {}
                    ("h2" | "fcgi", Kind::Http) => return Err(words.later(name, "protocols of checks")),
                    _ => {
                        let takes = if kind == Kind::Http { "h1" } else { "none" };
                        let message = format!("'proto' of '{}' does not take '{}'", line.keyword.name, shown(name));
                        return Err(words.problem(message).help(format!("'proto' takes '{takes}'")));
                    }
                }
            }
            _ => return Err(words.unknown(word)),
        }
    }
    Ok(RuleDraft::Ready(Rule::Connect(rule)))
}

/// A number, or an expression that makes one.
fn port(words: &mut Words<'_, '_, '_>) -> Result<CheckPort, Problem> {
    let digits = words.line.arg(words.at).is_some_and(|text| text.starts_with(|c: char| c.is_ascii_digit()));
    if !digits {
        return words.expression("port").map(CheckPort::Expr);
    }
    let number = words.line.number(words.at, 1..=65535)?;
    words.at += 1;
    Ok(CheckPort::Number(number as u16))
}

fn addr(words: &mut Words<'_, '_, '_>, rule: &mut Connect) -> Result<(), Problem> {
    let text = words.value("addr")?;
    let word = words.line.first + words.at - 1;
    let Address::Inet { host, port } = address(text, word, &words.world.variables)? else {
        return Err(words.problem("'addr' takes an IP address").help("write 'addr <ip>' or 'addr <ip>:<port>'"));
    };
    rule.address = Some(resolve_host(&host, word, words.world.source)?);
    match port {
        Port::None | Port::One(0) => {}
        Port::One(port) => rule.port = Some(CheckPort::Number(port)),
        Port::Range(..) | Port::Offset(_) => {
            return Err(words.problem("a check has one port").help("write 'addr <ip>:<port>'"));
        }
    }
    Ok(())
}

/// `send`, `send-lf`, `send-binary`, `send-binary-lf`
pub(super) fn send(world: &mut World<'_>, line: &Line<'_>, _: Kind) -> Result<RuleDraft, Problem> {
    let name = line.keyword.name;
    let mut words = Words { world, line, at: 0 };
    line.need(0)?;
    let what = match name {
        "tcp-check send-lf" => Message::Bytes(Text::Format(words.format(name, Purpose::Text)?)),
        "tcp-check send-binary" => Message::Bytes(Text::plain(words.hex(name)?)),
        "tcp-check send-binary-lf" => Message::Hex(words.format(name, Purpose::Text)?),
        _ => Message::Bytes(Text::plain(words.value(name)?)),
    };
    let mut comment = None;
    while let Some(word) = words.next() {
        match word {
            "comment" => comment = words.boxed(word)?,
            _ => return Err(words.unknown(word)),
        }
    }
    Ok(RuleDraft::Ready(Rule::Send(Send { what, comment })))
}

/// `http-check send`
pub(super) fn send_request(world: &mut World<'_>, line: &Line<'_>, _: Kind) -> Result<RuleDraft, Problem> {
    let mut words = Words { world, line, at: 0 };
    let mut said = Said::default();
    let mut comment = None;
    while let Some(word) = words.next() {
        match word {
            "comment" => comment = words.boxed(word)?,
            "meth" => said.method = Some(token(&mut words, word)?.into()),
            "uri" => said.uri = Some(Text::plain(token(&mut words, word)?)),
            "uri-lf" => said.uri = Some(Text::Format(words.format(word, Purpose::Http)?)),
            "ver" => said.version = Some(token(&mut words, word)?.into()),
            "body" => said.body = Some(Text::plain(words.value(word)?)),
            "body-lf" => said.body = Some(Text::Format(words.format(word, Purpose::Text)?)),
            "hdr" => {
                let name = words.value(word)?;
                if !lb_http::is_field_name(name.as_bytes()) {
                    let problem = words.problem(format!("'{}' is no name of a field", shown(name)));
                    return Err(problem.help("names are letters, digits and !#$%&'*+-.^_`|~"));
                }
                said.headers.push((name.into(), Text::Format(words.format(word, Purpose::Http)?)));
            }
            _ => return Err(words.unknown(word)),
        }
    }
    Ok(RuleDraft::Request(said, comment))
}

/// A word of a request line.
fn token<'l>(words: &mut Words<'_, '_, 'l>, of: &str) -> Result<&'l str, Problem> {
    let text = words.value(of)?;
    if !text.bytes().all(|b| b.is_ascii_graphic() || b >= 0x80) {
        let problem = words.problem(format!("'{}' cannot stand in a request line", shown(text)));
        return Err(problem.help("a request line has no spaces and no control characters but its own"));
    }
    Ok(text)
}

/// `set-var(<variable>[,<condition>]) <expression>`, `set-var-fmt(...) <format>`; what stands behind it is let pass, as in haproxy.
pub(super) fn set_var(world: &mut World<'_>, line: &Line<'_>, _: Kind) -> Result<RuleDraft, Problem> {
    let (variable, when) = variable(world, line)?;
    let mut words = Words { world, line, at: 0 };
    let value = match line.keyword.name.ends_with("-fmt") {
        true => VarValue::Format(words.format(line.keyword.name, Purpose::Text)?),
        false => VarValue::Expr(words.expression(line.keyword.name)?),
    };
    Ok(RuleDraft::Ready(Rule::SetVar(SetVar { variable, when, value })))
}

pub(super) fn unset_var(world: &mut World<'_>, line: &Line<'_>, _: Kind) -> Result<RuleDraft, Problem> {
    Ok(RuleDraft::Ready(Rule::UnsetVar(variable(world, line)?.0)))
}

/// The variable in the parentheses behind the keyword.
fn variable(world: &mut World<'_>, line: &Line<'_>) -> Result<(lb_expr::sample::Variable, Box<[lb_expr::sample::VarCondition]>), Problem> {
    let place = line.first - 1;
    let word = line.directive.words.get(place).map_or("", |word| word.text.as_ref());
    let (_, arguments) =
        name_of(word).map_err(|message| Problem::at(place, message).help("write the variable within parentheses: 'set-var(check.x)'"))?;
    variable_at(world, line, place, arguments)
}

const OK: [(&str, Status); 4] = [("L4OK", Status::L4Ok), ("L6OK", Status::L6Ok), ("L7OK", Status::L7Ok), ("L7OKC", Status::L7OkC)];
const ERROR: [(&str, Status); 5] =
    [("L4CON", Status::L4Con), ("L6RSP", Status::L6Rsp), ("L7RSP", Status::L7Rsp), ("L7STS", Status::L7Sts), ("L7OKC", Status::L7OkC)];
const TIMEOUT: [(&str, Status); 3] = [("L4TOUT", Status::L4Tout), ("L6TOUT", Status::L6Tout), ("L7TOUT", Status::L7Tout)];

fn status(words: &mut Words<'_, '_, '_>, of: &str, known: &[(&'static str, Status)]) -> Result<Status, Problem> {
    let text = words.value(of)?;
    known.iter().find(|(name, _)| *name == text).map(|(_, status)| *status).ok_or_else(|| {
        let list: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        let problem = words.problem(format!("'{of}' does not take '{}'", shown(text)));
        problem.help(format!("'{of}' takes '{}'", list.join("', '")))
    })
}

/// Words of `expect` that are no matches, so that none of them can be negated.
const BESIDE: [&str; 8] = ["min-recv", "comment", "ok-status", "error-status", "tout-status", "on-success", "on-error", "status-code"];

pub(super) fn expect(world: &mut World<'_>, line: &Line<'_>, kind: Kind) -> Result<RuleDraft, Problem> {
    line.need(0)?;
    let mut words = Words { world, line, at: 0 };
    // Everything but the pattern is filled in as it comes.
    let mut rule = Expect::new(Match::Status(Box::default()));
    let mut what = None;
    let mut negate = false;
    // A `!` has been read, and what it belongs to has not.
    let mut pending = false;
    while let Some(word) = words.next() {
        let name = word.trim_start_matches('!');
        pending |= name.len() != word.len();
        if pending && name.is_empty() {
            continue;
        }
        if pending && BESIDE.contains(&name) {
            return Err(words.problem(format!("'!' cannot stand in front of '{name}'")).help("write it in front of the match: '! string'"));
        }
        match name {
            "min-recv" => {
                let n = line.number(words.at, -1..=i64::from(i32::MAX))?;
                words.at += 1;
                rule.min_recv = u32::try_from(n).ok();
            }
            "comment" => rule.comment = words.boxed(word)?,
            "ok-status" => rule.ok = status(&mut words, word, &OK)?,
            "error-status" => rule.error = Some(status(&mut words, word, &ERROR)?),
            "tout-status" => rule.timeout = status(&mut words, word, &TIMEOUT)?,
            "on-success" => rule.on_success = Some(words.format(word, Purpose::Text)?),
            "on-error" => rule.on_error = Some(words.format(word, Purpose::Text)?),
            "status-code" => rule.code = Some(words.expression(word)?),
            _ => {
                negate |= std::mem::take(&mut pending);
                if what.is_some() {
                    let is_match = matches!(
                        name,
                        "string" | "binary" | "rstring" | "rbinary" | "string-lf" | "binary-lf" | "status" | "rstatus" | "hdr" | "fhdr"
                    );
                    return Err(if is_match {
                        words.problem("a rule has one pattern").help("write a rule for each")
                    } else {
                        words.unknown(word)
                    });
                }
                what = Some(pattern(&mut words, name, kind)?.ok_or_else(|| words.unknown(word))?);
            }
        }
    }
    if pending {
        return Err(words.problem("'!' stands in front of nothing").help("write it in front of the match: '! string'"));
    }
    let Some(what) = what else {
        return Err(Problem::line("the pattern is missing").help(crate::parse::usage(line.keyword)));
    };
    Ok(RuleDraft::Ready(Rule::Expect(Box::new(Expect { what, negate, ..rule }))))
}

/// The match of this name with its pattern; `None`: there is no such match in this list.
fn pattern(words: &mut Words<'_, '_, '_>, name: &str, kind: Kind) -> Result<Option<Match>, Problem> {
    Ok(Some(match (name, kind) {
        ("string", _) => Match::String(words.value(name)?.as_bytes().into()),
        ("rstring", _) => Match::Regex(words.regex(name, false)?),
        ("string-lf", _) => Match::StringFormat(words.format(name, Purpose::Text)?),
        ("binary", Kind::Tcp) => Match::Binary(words.hex(name)?.into()),
        ("rbinary", Kind::Tcp) => Match::BinaryRegex(words.regex(name, false)?),
        ("binary-lf", Kind::Tcp) => Match::BinaryFormat(words.format(name, Purpose::Text)?),
        ("status", Kind::Http) => Match::Status(statuses(words)?),
        ("rstatus", Kind::Http) => Match::StatusRegex(words.regex(name, false)?),
        ("hdr" | "fhdr", Kind::Http) => {
            let header = header(words, name)?;
            Match::Header(Box::new(header))
        }
        _ => return Ok(None),
    }))
}

/// `200,300-399`; an empty item at the end is let pass.
fn statuses(words: &mut Words<'_, '_, '_>) -> Result<Box<[RangeInclusive<u32>]>, Problem> {
    let text = words.value("status")?;
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
    let range = |item: &str| match item.split_once('-') {
        None => number(item).map(|code| code..=code),
        Some((low, high)) => number(low).zip(number(high)).map(|(low, high)| low..=high).filter(|range| !range.is_empty()),
    };
    let items = text.strip_suffix(',').unwrap_or(text).split(',');
    items
        .map(range)
        .collect::<Option<_>>()
        .ok_or_else(|| words.problem(format!("'{}' is no list of statuses", shown(text))).help("write codes and ranges: 200,300-399"))
}

/// `{name|name-lf} [-m <method>] <name> [{value|value-lf} [-m <method>] <value>]`
fn header(words: &mut Words<'_, '_, '_>, of: &str) -> Result<HeaderMatch, Problem> {
    let word = words.next().unwrap_or_default();
    if !matches!(word, "name" | "name-lf") {
        let problem = words.problem(format!("'{of}' wants 'name' or 'name-lf', and what it is"));
        return Err(problem.help(format!("write '{of} name <name> [value <value>]'")));
    }
    let name = compared(words, word, true)?;
    let value = match words.line.arg(words.at) {
        Some(word @ ("value" | "value-lf")) => {
            words.at += 1;
            Some(compared(words, word, false)?)
        }
        _ => None,
    };
    Ok(HeaderMatch { name, value, full: of == "fhdr" })
}

fn compared(words: &mut Words<'_, '_, '_>, of: &str, any_case: bool) -> Result<Pattern, Problem> {
    let mut how: fn(Text) -> Pattern = Pattern::Exact;
    let mut regex = false;
    if words.line.arg(words.at) == Some("-m") && words.line.arg(words.at + 1).is_some() {
        words.at += 1;
        let method = words.value("-m")?;
        how = match method {
            "str" => Pattern::Exact,
            "beg" => Pattern::Begin,
            "end" => Pattern::End,
            "sub" => Pattern::Contains,
            "reg" => {
                regex = true;
                Pattern::Exact
            }
            _ => {
                let problem = words.problem(format!("'-m' does not take '{}'", shown(method)));
                return Err(problem.help("'-m' takes 'str', 'beg', 'end', 'sub' and 'reg'"));
            }
        };
    }
    match (of.ends_with("-lf"), regex) {
        (true, true) => Err(words.problem("a format is no regular expression").help(format!("write '{}'", of.trim_end_matches("-lf")))),
        (true, false) => Ok(how(Text::Format(words.format(of, Purpose::Text)?))),
        (false, true) => Ok(Pattern::Regex(words.regex(of, any_case)?)),
        (false, false) => Ok(how(Text::plain(words.value(of)?))),
    }
}
