//! Words of older versions, and how a line that has them is written today. Sources: the manuals of haproxy 1.3 to 2.0, and
//! what haproxy 2.6 says when it meets these words.
//!
//! Holds: one place says it: the parser's warning and `lb fmt --upgrade` both ask [`Keyword::today`]. A line is rewritten
//! only where today's means the same; what comes near is told and left.

use super::{Context, Keyword, Parser, Sections, State};
use crate::diag::Problem;
use crate::parse::{Line, ProxyCx};
use crate::tree::shown;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// A line that may be old.
pub(crate) struct OldLine<'a> {
    /// Everything behind the keyword.
    pub args: &'a [OldWord<'a>],
}

/// One argument.
pub(crate) struct OldWord<'a> {
    /// As it stands in the file.
    pub raw: Cow<'a, str>,
    /// Quotes and escapes resolved; `None` where a variable's value would be needed.
    pub value: Option<Cow<'a, str>>,
}

/// How a line is written today.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Today {
    /// As it is.
    Same,
    /// The words of the keyword become these, its arguments stay.
    Keyword(&'static str),
    /// The whole line becomes this.
    Line(String),
    /// It goes.
    Nothing,
    /// Nothing today means exactly the same; what comes near.
    Left(String),
}

pub(crate) type Function = fn(&OldLine<'_>) -> Today;

impl OldLine<'_> {
    pub(super) fn value(&self, n: usize) -> Option<&str> {
        self.args.get(n).and_then(|word| word.value.as_deref())
    }

    /// The arguments from `n` on as they stand, each with a space before it.
    fn rest(&self, n: usize) -> String {
        self.args.iter().skip(n).flat_map(|word| [" ", &word.raw]).collect()
    }
}

impl Keyword {
    /// How a line with this keyword is written today.
    pub(crate) fn today(&self, line: &OldLine<'_>) -> Today {
        match (self.today, self.state) {
            (Some(function), _) => function(line),
            (None, State::Old(text)) => Today::Keyword(text.split(" <").next().unwrap_or(text)),
            (None, State::Gone(_)) => Today::Nothing,
            _ => Today::Same,
        }
    }

    pub(super) const fn written(mut self, today: Function) -> Self {
        self.today = Some(today);
        self
    }
}

/// Read, without effect, and no part of the language any more.
const fn gone(name: &'static str, sections: Sections, args: &'static str, doc: &'static str, why: &'static str) -> Keyword {
    Keyword::new(Context::Proxy, name, args, doc, State::Gone(why), Parser::Proxy(|_, _| Ok(()))).sections(sections).negatable()
}

const fn gone_global(name: &'static str, args: &'static str, doc: &'static str, why: &'static str) -> Keyword {
    Keyword::new(Context::Global, name, args, doc, State::Gone(why), Parser::Global(|_, _| Ok(())))
}

const D_F_L_B: Sections = Sections::D_F_L_B;
const D_L_B: Sections = Sections::D_L_B;
const D_F_L: Sections = Sections::D_F_L;

pub(super) const KEYWORDS: &[Keyword] = &[
    gone_global("debug", "", "shows what is exchanged", "for developers; it changes nothing of what is exchanged"),
    gone_global("nosepoll", "", "no speculative epoll (until 1.4)", "there is one poller, epoll"),
    gone_global("stats bind-process", "<set>", "processes of the run-time socket", "there is one process"),
    gone_global("tune.chksize", "<size>", "bytes of a check's answer (until 2.2)", "a check takes what it needs"),
    gone("bind-process", D_F_L_B, "<set>", "processes of the proxy (until 2.4)", "there is one process"),
    gone(
        "grace",
        D_F_L_B,
        "<time>",
        "time between a soft stop and the end of listening (until 2.4)",
        "the end of the process, which 'grace' of 'global' is for",
    ),
    gone("option http-tunnel", D_F_L_B, "", "no look after the first request (until 2.0)", "every request is looked at"),
    gone("option http-use-htx", D_F_L_B, "", "inner form of messages (until 2.1)", "there is one inner form of messages"),
    Keyword::new(
        Context::Proxy,
        "monitor-net",
        "<net>",
        "clients whose connections are probes, answered at once (until 2.0)",
        State::Old("http-request return status 200 if { src <net> }"),
        Parser::Proxy(monitor_net),
    )
    .sections(D_F_L)
    .written(|line| {
        Today::Left(format!("'http-request return status 200 if {{ src{} }}' comes near: it waits for a request and logs it", line.rest(0)))
    }),
    Keyword::new(
        Context::Proxy,
        "appsession",
        "<cookie> len <n> timeout <time>",
        "persistence by an application's cookie (until 1.5)",
        State::Refused("cookie persistence"),
        Parser::None,
    )
    .sections(D_L_B)
    .written(|line| {
        let name = line.value(0).unwrap_or("<cookie>");
        Today::Left(format!(
            "a 'stick-table type string' with 'stick store-response res.cook({0})' and 'stick match req.cook({0})' comes near",
            shown(name)
        ))
    }),
    Keyword::new(
        Context::Proxy,
        "timeout appsession",
        "<time>",
        "life of an application's cookie (until 1.5)",
        State::Refused("cookie persistence"),
        Parser::None,
    )
    .sections(D_L_B)
    .written(|_| Today::Left("today the 'expire' of a 'stick-table' says it".into())),
];

/// Names of one kind, and others for those that stand there twice. The parser and `lb fmt --upgrade` find the same ones.
pub(crate) struct Names {
    taken: HashSet<String>,
    /// The last number that was put behind a name.
    last: HashMap<String, u32>,
}

impl Names {
    /// All names that are there.
    pub(crate) fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        Self { taken: names.map(str::to_owned).collect(), last: HashMap::new() }
    }

    /// A name of its own for another `name`: `web-2`.
    pub(crate) fn other(&mut self, name: &str) -> String {
        let last = self.last.entry(name.to_owned()).or_insert(1);
        loop {
            *last += 1;
            let own = format!("{name}-{last}");
            if self.taken.insert(own.clone()) {
                return own;
            }
        }
    }
}

/// The rules of a section in the order in which the old versions went through them, whatever the order of their lines.
/// `None`: no such rule. Requests and responses are apart.
pub(crate) fn turn(keyword: &str) -> Option<(&'static str, u8)> {
    match keyword {
        "block" => Some(("request", 0)),
        "http-request" => Some(("request", 1)),
        "reqadd" => Some(("request", 3)),
        "http-response" => Some(("response", 1)),
        "rspadd" => Some(("response", 3)),
        _ if keyword.starts_with("req") => Some(("request", 2)),
        _ if keyword.starts_with("rsp") => Some(("response", 2)),
        _ => None,
    }
}

fn monitor_net(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Result<(), Problem> {
    cx.draft.monitor_net = Some(super::options::need_network(line, 0)?);
    line.end(1)
}

/// What comes near a rule that asks for lines; where the regex is `^Name:...`, with the condition.
pub(super) fn near(line: &OldLine<'_>, today: &str, case: bool) -> Today {
    let field = line.value(0).and_then(|regex| regex.strip_prefix('^')?.split_once(':')).filter(|(name, _)| is_name(name));
    let Some((name, regex)) = field else {
        return Today::Left(format!("'{today}' with a condition on what the regex looks for comes near"));
    };
    let fetch = if today.starts_with("http-response") { "res.fhdr" } else { "req.fhdr" };
    let flag = if case { "" } else { " -i" };
    let test = match (regex, regex.strip_prefix(".*").or(regex.strip_prefix(" .*")), regex.strip_prefix(' ')) {
        ("" | " " | ".*" | " .*", ..) => "-m found".to_owned(),
        (_, Some(anywhere), _) => format!("-m reg{flag} {}", quoted(anywhere)),
        (_, _, Some(value)) => format!("-m reg{flag} {}", quoted(&format!("^{value}"))),
        _ => format!("-m reg{flag} {}", quoted(regex)),
    };
    Today::Left(format!("'{today} if {{ {fetch}({name}) {test} }}' comes near"))
}

/// `reqpass`, which no rule of today does.
pub(super) fn passes() -> Today {
    Today::Left("'unless' conditions of the rules behind it, on what the regex looks for, come near".to_owned())
}

/// The regex looks at upper and lower case.
pub(super) const CASE: bool = true;
pub(super) const NO_CASE: bool = false;

/// What stands behind `n` arguments: nothing, or a condition.
fn condition(line: &OldLine<'_>, n: usize) -> Option<String> {
    match line.value(n) {
        None if line.args.len() == n => Some(String::new()),
        Some("if" | "unless") => Some(line.rest(n)),
        _ => None,
    }
}

/// `Name: value` of `reqadd`.
pub(super) fn add(line: &OldLine<'_>, rules: &str) -> Today {
    let field = line.value(0).and_then(|text| text.split_once(':')).filter(|(name, _)| is_name(name));
    let field = field.map(|(name, value)| (name, value.trim())).filter(|(_, value)| !value.is_empty() && plain(value));
    match (field, condition(line, 1)) {
        (Some((name, value)), Some(condition)) => {
            Today::Line(format!("{rules} add-header {name} {}{condition}", quoted(&value.replace('%', "%%"))))
        }
        _ => Today::Left(format!("'{rules} add-header <name> <value>' comes near; this text is no plain field")),
    }
}

/// `^Name:` of `reqidel`, perhaps with `.*` behind.
pub(super) fn delete(line: &OldLine<'_>, rules: &str, case: bool) -> Today {
    let name = line.value(0).and_then(|regex| regex.strip_prefix('^')?.split_once(':'));
    let name = name.filter(|(name, rest)| is_name(name) && matches!(*rest, "" | ".*" | " " | " .*")).map(|(name, _)| name);
    match (name, condition(line, 1)) {
        (Some(name), Some(condition)) if !case => Today::Line(format!("{rules} del-header {name}{condition}")),
        (Some(name), Some(condition)) => {
            Today::Left(format!("'{rules} del-header {name}{condition}' comes near: it does not look at upper and lower case of the name"))
        }
        _ => Today::Left(format!("'{rules} del-header <name>' comes near; this regex looks for more than one name")),
    }
}

/// `^Name:`, `^Name:\ <regex>` and `Name:\ <text>` of `reqirep`, and the path: `^([^\ :]*)\ <regex>(.*)` and `\1\ <text>\N`.
pub(super) fn replace(line: &OldLine<'_>, rules: &str, case: bool) -> Today {
    let near =
        || Today::Left(format!("'{rules} replace-header', 'replace-path' and the like come near; this regex does not fit them exactly"));
    let (Some(regex), Some(text), Some(condition)) = (line.value(0), line.value(1), condition(line, 2)) else { return near() };
    if !plain(text) || !plain(regex) || alternatives(regex) {
        return near();
    }
    let flag = if case { "" } else { "(?i)" };
    if let Some((regex, text)) = of_path(regex, text).filter(|_| rules == "http-request") {
        return Today::Line(format!(
            "{rules} replace-uri {} {}{condition}",
            quoted(&format!("{flag}^{regex}")),
            quoted(&text.replace('%', "%%"))
        ));
    }
    let (Some((name, regex)), Some((new, text))) = (regex.strip_prefix('^').and_then(|r| r.split_once(':')), text.split_once(':')) else {
        return near();
    };
    let regex = match (regex, regex.strip_prefix(' ')) {
        ("" | ".*" | " " | " .*", _) => ".*".to_owned(),
        // One space stood between name and value, whatever the client sent.
        (_, Some(regex)) => format!("{flag}^{regex}"),
        _ => return near(),
    };
    let text = text.trim();
    // Names without regard to case, so that HTTP/2 clients and others get the same. `\0` would be the whole line.
    if case || !is_name(name) || !name.eq_ignore_ascii_case(new) || text.is_empty() || text.contains("\\0") {
        return near();
    }
    Today::Line(format!("{rules} replace-header {new} {} {}{condition}", quoted(&regex), quoted(&text.replace('%', "%%"))))
}

/// The regex and text for the URI alone where the method is kept and the version is part of the last group; groups are
/// renumbered.
fn of_path(regex: &str, text: &str) -> Option<(String, String)> {
    let regex = regex.strip_prefix("^([^ :]*) ")?;
    let text = text.strip_prefix("\\1 ")?;
    let groups = groups(regex)?;
    if groups == 0 || groups > 8 || !regex.ends_with("(.*)") || !text.ends_with(&format!("\\{}", groups + 1)) {
        return None;
    }
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(c);
        if c == '\\' {
            let next = chars.next()?;
            match next.to_digit(10) {
                // The whole match and the method are no parts of the URI.
                Some(0 | 1) => return None,
                Some(n) => out.push(char::from_digit(n - 1, 10)?),
                None => out.push(next),
            }
        }
    }
    Some((regex.to_owned(), out))
}

/// Capturing groups of a regex; `None` for one that has more than plain groups, escapes and classes.
fn groups(regex: &str) -> Option<usize> {
    let mut count = 0;
    walk(regex, |c, rest| {
        if c == '(' {
            count += 1;
        }
        !(c == '(' && rest.starts_with('?'))
    })
    .then_some(count)
}

/// A `|` outside of all groups: the parts of the regex would fall apart differently.
fn alternatives(regex: &str) -> bool {
    let mut depth = 0i32;
    !walk(regex, |c, _| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c != '|' || depth > 0
    })
}

/// Calls `each` with every character outside classes and escapes, and what follows it; false when one call gave false.
fn walk(regex: &str, mut each: impl FnMut(char, &str) -> bool) -> bool {
    let mut chars = regex.chars();
    let mut class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '[' if !class => class = true,
            ']' => class = false,
            _ if class => {}
            _ if !each(c, chars.as_str()) => return false,
            _ => {}
        }
    }
    true
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Nothing in it that a word of the file could not say as it stands.
fn plain(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// A word as it stands in a file.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let special = match c {
            ' ' | '#' | '"' | '\'' => true,
            // Before an ordinary character a backslash stands for itself.
            '\\' => rest.as_str().chars().next().is_none_or(|next| " \t\\\"'#$nrtx".contains(next)),
            _ => false,
        };
        if special {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keywords::Lookup;
    use crate::syntax::Line;

    /// Today's line, or `left: …`.
    fn today(text: &str) -> String {
        let line = Line::parse(text.as_bytes());
        let words: Vec<OldWord<'_>> =
            line.words().map(|word| OldWord { raw: String::from_utf8_lossy(&word.text), value: word.value() }).collect();
        let value = |n: usize| words.get(n).and_then(|word| word.value.as_deref());
        let (keyword, count) = Lookup::new().line(Context::Proxy, value(0).expect("a word"), value(1)).expect("known");
        match keyword.today(&OldLine { args: &words[count..] }) {
            Today::Line(text) => text,
            Today::Keyword(text) => format!("{text}{}", OldLine { args: &words[count..] }.rest(0)),
            Today::Nothing => String::new(),
            Today::Same => text.to_owned(),
            Today::Left(_) => "left".to_owned(),
        }
    }

    #[test]
    fn exact_ones() {
        for (old, new) in [
            ("contimeout 5000", "timeout connect 5000"),
            ("redispatch", "option redispatch"),
            ("bind-process 1 2", ""),
            ("block if { path /a } # b", "http-request deny if { path /a }"),
            ("reqadd X-Proto:\\ https", "http-request add-header X-Proto https"),
            ("reqadd X:\\ 100%\\ sure if a !b", "http-request add-header X 100%%\\ sure if a !b"),
            ("rspadd \"A: b c\" unless d", "http-response add-header A b\\ c unless d"),
            ("reqidel ^X-Forwarded-For:.*", "http-request del-header X-Forwarded-For"),
            ("rspidel ^Server:\\ .* if x", "http-response del-header Server if x"),
            ("reqirep ^Host:\\ www.(.*) Host:\\ \\1", "http-request replace-header Host (?i)^www.(.*) \\1"),
            ("reqirep ^Host: Host:\\ a.example", "http-request replace-header Host .* a.example"),
            ("reqirep ^host:.* Host:a.example unless b", "http-request replace-header Host .* a.example unless b"),
            (
                "rspirep ^Location:\\ http://(.*) Location:\\ https://\\1 if s",
                "http-response replace-header Location (?i)^http://(.*) https://\\1 if s",
            ),
            ("reqrep ^([^\\ :]*)\\ /old/(.*) \\1\\ /new/\\2", "http-request replace-uri ^/old/(.*) /new/\\1"),
            ("reqirep ^([^\\ :]*)\\ /([a|b]+)/(.*) \\1\\ /%\\2/\\3", "http-request replace-uri (?i)^/([a|b]+)/(.*) /%%\\1/\\2"),
            ("hash-type avalanche", "hash-type map-based sdbm avalanche"),
            ("hash-type consistent", "hash-type consistent"),
            ("mode tcp", "mode tcp"),
            ("transparent", "option transparent"),
        ] {
            assert_eq!(today(old), new, "{old}");
        }
    }

    #[test]
    fn what_only_comes_near_is_left() {
        for old in [
            "reqadd X-Proto",
            "reqadd X-Proto:",
            "reqadd \"X: $A\"",
            "reqadd X:\\ y z",
            "rspdel ^Server:.*",
            "rspidel ^Server",
            "rspidel ^X-.*:",
            "reqrep ^Host:\\ a Host:\\ b",
            "reqirep ^Host:\\ a|b Host:\\ b",
            "reqirep ^Host:(.*) Host:\\1",
            "reqirep ^Host:\\ a Host:\\ \\0",
            "reqirep ^Host:\\ a X-Host:\\ b",
            "reqrep ^([^\\ ]*)\\ /old/(.*) \\1\\ /new/\\2",
            "reqrep ^([^\\ :]*)\\ /old/(.*) GET\\ /new/\\2",
            "reqrep ^([^\\ :]*)\\ /old/(.*) \\1\\ /new/\\2\\ x",
            "reqrep ^([^\\ :]*)\\ /(?:old)/(.*) \\1\\ /new/\\2",
            "rsprep ^([^\\ :]*)\\ /old/(.*) \\1\\ /new/\\2",
            "rspirep ^HTTP/1.1\\ 200 HTTP/1.1\\ 503",
            "reqideny ^Host:",
            "monitor-net 10.0.0.0/8",
            "mode health",
        ] {
            assert_eq!(today(old), "left", "{old}");
        }
    }

    #[test]
    fn what_comes_near_has_its_condition() {
        let near = |regex: &str, case| {
            let args = [OldWord { raw: regex.into(), value: Some(regex.into()) }];
            match near(&OldLine { args: &args }, "http-request deny", case) {
                Today::Left(text) => text,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(near("^Cookie:.*bad one", NO_CASE), "'http-request deny if { req.fhdr(Cookie) -m reg -i bad\\ one }' comes near");
        assert_eq!(near("^X-A: b$", CASE), "'http-request deny if { req.fhdr(X-A) -m reg ^b$ }' comes near");
        assert_eq!(near("^X-A:", CASE), "'http-request deny if { req.fhdr(X-A) -m found }' comes near");
        assert!(near("^GET /a", CASE).contains("with a condition on what the regex looks for"));
    }
}
