//! Health checks: `option tcp-check`, `option httpchk` and their like, and the rules of `tcp-check` and `http-check`. Source: manual 4.2.
//!
//! Holds: a section starts with the rules of its defaults, and with none as soon as it has one of its own, as haproxy has it. What
//! the lines come to is settled by [`finish_check`] when all have been read, so that they may stand in any order.

pub(super) mod external;
pub(super) mod named;
mod rules;

use super::{Context, Keyword, Parser, Sections, State};
use crate::diag::Problem;
use crate::model::{CheckKind, Global, Span};
use crate::parse::{Draft, Line, ProxyCx, World};
use crate::tree::shown;
use lb_check::{HttpRequest, Message, MysqlClient, RequestError, Rule, Script, Send, Text};
use std::sync::Arc;

type Outcome = Result<(), Problem>;
type Function = fn(&mut ProxyCx<'_, '_>, &Line<'_>) -> Outcome;

const fn works(name: &'static str, args: &'static str, doc: &'static str, parser: Function) -> Keyword {
    Keyword::new(Context::Proxy, name, args, doc, State::Works, Parser::Proxy(parser)).sections(Sections::D_L_B)
}

const CONNECT: &str =
    "[default] [port <port>|<expression>] [addr <ip>[:<port>]] [send-proxy] [via-socks4] [linger] [proto <name>] [comment <text>]";
const EXPECT: &str = "[min-recv <n>] [ok-status|error-status|tout-status <status>] [on-success|on-error <format>] [status-code <expression>] \
                      [comment <text>] [!] <match> <pattern>";
const SEND: &str = "[meth <method>] [uri <uri>|uri-lf <format>] [ver <version>] [hdr <name> <format>] ... [body <text>|body-lf <format>] \
                    [comment <text>]";

pub(super) const KEYWORDS: &[Keyword] = &[
    works("option httpchk", "[[<method>] <uri> [<version>]]", "checks with an HTTP request", httpchk),
    works("option tcp-check", "", "checks by script", |cx, line| {
        line.end(0)?;
        cx.draft.check.choose(CheckOption::Tcp);
        Ok(())
    }),
    works("option ldap-check", "", "checks with LDAP", |cx, line| protocol(cx, line, 0, Script::ldap())),
    works("option mysql-check", "[user <name> [post-41|pre-41]]", "checks with MySQL", mysql),
    works("option pgsql-check", "user <name>", "checks with PostgreSQL", pgsql),
    works("option redis-check", "", "checks with Redis", |cx, line| protocol(cx, line, 0, Script::redis())),
    works("option smtpchk", "[HELO|EHLO <domain>]", "checks with SMTP", smtp),
    works("option spop-check", "", "checks with SPOP", |cx, line| protocol(cx, line, 0, Script::spop())),
    works("option ssl-hello-chk", "", "checks with a TLS hello", |cx, line| protocol(cx, line, 0, Script::ssl_hello())),
    works("http-check comment", "<text>", "names the rule that follows", |cx, line| add(cx, line, Kind::Http, rules::comment)),
    works("http-check connect", CONNECT, "connects", |cx, line| add(cx, line, Kind::Http, rules::connect)),
    works("http-check expect", EXPECT, "what an answer must be", |cx, line| add(cx, line, Kind::Http, rules::expect)),
    works("http-check send", SEND, "sends a request", |cx, line| add(cx, line, Kind::Http, rules::send_request)),
    works("http-check set-var", "(<variable>[,<condition>]) <expression>", "sets a variable", |cx, line| {
        add(cx, line, Kind::Http, rules::set_var)
    }),
    works("http-check set-var-fmt", "(<variable>[,<condition>]) <format>", "sets a variable", |cx, line| {
        add(cx, line, Kind::Http, rules::set_var)
    }),
    works("http-check unset-var", "(<variable>)", "removes a variable", |cx, line| add(cx, line, Kind::Http, rules::unset_var)),
    works("http-check disable-on-404", "", "a server that answers with 404 gets no new work", |cx, line| {
        line.end(0)?;
        cx.draft.check.disable_on_404 = true;
        Ok(())
    }),
    works("http-check send-state", "", "requests tell the server what is thought of it", |cx, line| {
        line.end(0)?;
        cx.draft.check.send_state = true;
        Ok(())
    }),
    works("tcp-check comment", "<text>", "names the rule that follows", |cx, line| add(cx, line, Kind::Tcp, rules::comment)),
    works("tcp-check connect", CONNECT, "connects", |cx, line| add(cx, line, Kind::Tcp, rules::connect)),
    works("tcp-check expect", EXPECT, "what an answer must be", |cx, line| add(cx, line, Kind::Tcp, rules::expect)),
    works("tcp-check send", "<text> [comment <text>]", "sends a text", |cx, line| add(cx, line, Kind::Tcp, rules::send)),
    works("tcp-check send-lf", "<format> [comment <text>]", "sends what a format makes", |cx, line| add(cx, line, Kind::Tcp, rules::send)),
    works("tcp-check send-binary", "<hex> [comment <text>]", "sends bytes", |cx, line| add(cx, line, Kind::Tcp, rules::send)),
    works("tcp-check send-binary-lf", "<format> [comment <text>]", "sends the bytes whose digits a format makes", |cx, line| {
        add(cx, line, Kind::Tcp, rules::send)
    }),
    works("tcp-check set-var", "(<variable>[,<condition>]) <expression>", "sets a variable", |cx, line| {
        add(cx, line, Kind::Tcp, rules::set_var)
    }),
    works("tcp-check set-var-fmt", "(<variable>[,<condition>]) <format>", "sets a variable", |cx, line| {
        add(cx, line, Kind::Tcp, rules::set_var)
    }),
    works("tcp-check unset-var", "(<variable>)", "removes a variable", |cx, line| add(cx, line, Kind::Tcp, rules::unset_var)),
];

/// Which list a rule stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tcp,
    Http,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Tcp => "tcp-check",
            Kind::Http => "http-check",
        }
    }
}

/// What a section has said of its checks.
#[derive(Clone, Default)]
pub(crate) struct CheckDraft {
    option: CheckOption,
    tcp: RulesDraft,
    http: RulesDraft,
    disable_on_404: bool,
    send_state: bool,
    /// `external-check command`, and where.
    command: Option<(String, Span)>,
    /// `external-check path`
    path: String,
}

/// The last of the options that choose a kind.
#[derive(Clone, Default)]
enum CheckOption {
    #[default]
    Connect,
    Tcp,
    Http,
    Protocol(Arc<Script>),
    External,
}

/// The rules of one list.
#[derive(Clone, Default)]
struct RulesDraft {
    /// They are those of the defaults.
    inherited: bool,
    /// The option that chose came behind all of them: haproxy then says nothing of those that it ignores.
    settled: bool,
    list: Vec<RuleDraft>,
    /// `option httpchk` that belongs to this list, and whether a request was written before it.
    request: Option<(Said, bool)>,
}

#[derive(Clone)]
enum RuleDraft {
    Ready(Rule),
    /// A request: the first one is completed by `option httpchk`.
    Request(Said, Option<Box<str>>),
}

/// What was said of a request.
#[derive(Clone, Default)]
struct Said {
    method: Option<Box<str>>,
    uri: Option<Text>,
    version: Option<Box<str>>,
    headers: Vec<(Box<str>, Text)>,
    body: Option<Text>,
}

impl Said {
    /// With what `other` has said beside it; where both have said something, this counts.
    fn or(self, other: Said) -> Said {
        let other_headers = if self.headers.is_empty() { other.headers } else { Vec::new() };
        Said {
            method: self.method.or(other.method),
            uri: self.uri.or(other.uri),
            version: self.version.or(other.version),
            headers: if self.headers.is_empty() { other_headers } else { self.headers },
            body: self.body.or(other.body),
        }
    }

    fn request(self) -> HttpRequest {
        let plain = HttpRequest::default();
        HttpRequest {
            method: self.method.unwrap_or(plain.method),
            uri: self.uri.unwrap_or(plain.uri),
            version: self.version.unwrap_or(plain.version),
            headers: self.headers,
            body: self.body,
        }
    }
}

impl RuleDraft {
    fn acts(&self) -> bool {
        match self {
            RuleDraft::Ready(rule) => rule.acts(),
            RuleDraft::Request(..) => true,
        }
    }

    fn is_connect(&self) -> bool {
        matches!(self, RuleDraft::Ready(Rule::Connect(_)))
    }

    fn is_expect(&self) -> bool {
        matches!(self, RuleDraft::Ready(Rule::Expect(_)))
    }
}

impl CheckDraft {
    /// That of a section which starts from these defaults.
    pub(crate) fn inherit(&mut self) {
        self.tcp.inherited = true;
        self.http.inherited = true;
    }

    fn choose(&mut self, option: CheckOption) {
        self.option = option;
        self.tcp.settled = true;
        self.http.settled = true;
    }

    /// The rules that a line of this section adds to.
    fn own(&mut self, kind: Kind) -> &mut RulesDraft {
        let rules = match kind {
            Kind::Tcp => &mut self.tcp,
            Kind::Http => &mut self.http,
        };
        if rules.inherited {
            *rules = RulesDraft::default();
        }
        rules
    }
}

fn add(
    cx: &mut ProxyCx<'_, '_>,
    line: &Line<'_>,
    kind: Kind,
    parse: fn(&mut World<'_>, &Line<'_>, Kind) -> Result<RuleDraft, Problem>,
) -> Outcome {
    let rule = parse(cx.world, line, kind)?;
    let rules = cx.draft.check.own(kind);
    let mut acting = rules.list.iter().filter(|rule| rule.acts());
    let first = acting.next();
    let last = acting.next_back().or(first);
    if rule.is_connect() && first.is_some_and(|first| !first.is_connect()) {
        let message = "first step MUST also be a 'connect', optionally preceded by a 'set-var', an 'unset-var' or a 'comment', when there is \
                       a 'connect' step in the tcp-check ruleset";
        return Err(Problem::line(message).help(format!("begin the rules with '{} connect'", kind.name())));
    }
    if let (Kind::Http, Some(last), true) = (kind, last, rule.acts()) {
        let request = matches!(last, RuleDraft::Request(..));
        let missing = match &rule {
            _ if rule.is_connect() => Some("expect").filter(|_| !last.is_expect()),
            RuleDraft::Request(..) => Some("connect").filter(|_| !last.is_connect()),
            _ => Some("send").filter(|_| !request && !last.is_expect()),
        };
        if let Some(missing) = missing {
            let step = rules.list.len() + 1;
            let name = line.keyword.name;
            let message = format!("unable to add {name} rule at step {step} (missing {missing} rule)");
            return Err(Problem::line(message).help("each connection is a 'connect', a 'send' and what is expected of its answer"));
        }
    }
    rules.list.push(rule);
    rules.settled = false;
    Ok(())
}

/// `option httpchk`, `option httpchk <uri>`, `option httpchk <method> <uri> [<version>]`; the version may hide header
/// fields and a body behind `\r\n`, as old files do it.
fn httpchk(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let (method, uri) = match (line.arg(0), line.arg(1)) {
        (Some(method), Some(uri)) => (Some(method), Some(uri)),
        (uri, _) => (None, uri),
    };
    let version = line.arg(2);
    line.end(3)?;
    let plain = HttpRequest::default();
    let read = HttpRequest::parse(method.unwrap_or(&plain.method), uri.unwrap_or("/"), version.unwrap_or(&plain.version));
    let request = read.map_err(|error| match error {
        RequestError::Word(word) => {
            let at = (0..3).find(|n| line.arg(*n) == Some(word.as_str())).unwrap_or(2);
            let problem = line.problem(at, format!("'{}' cannot stand in a request line", shown(&word)));
            problem.help("write 'option httpchk <method> <uri> <version>'")
        }
        RequestError::Header(text) => line.problem(2, format!("'{}' is not a header field", shown(&text))).help("write 'Name: value'"),
    })?;
    if !request.headers.is_empty() || request.body.is_some() {
        let help = "it still works; the newer 'http-check send' says it in clear".to_owned();
        cx.world.warn(line.span(), "header fields or a body hidden behind the version are an old trick", Some(help));
    }
    let said = Said {
        method: method.map(Into::into),
        uri: uri.map(Text::plain),
        version: version.map(|_| request.version),
        headers: request.headers,
        body: request.body,
    };
    let rules = cx.draft.check.own(Kind::Http);
    let behind = rules.list.iter().any(|rule| matches!(rule, RuleDraft::Request(..)));
    rules.request = Some((said, behind));
    cx.draft.check.choose(CheckOption::Http);
    Ok(())
}

fn protocol(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>, words: usize, script: Script) -> Outcome {
    line.end(words)?;
    cx.draft.check.choose(CheckOption::Protocol(script.into()));
    Ok(())
}

/// Any first word but EHLO says HELO, and one alone says nothing, as in haproxy.
fn smtp(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let script = match (line.arg(0), line.arg(1)) {
        (Some(hello @ ("EHLO" | "HELO")), Some(domain)) => Script::smtp(hello, domain),
        _ => Script::smtp("HELO", "localhost"),
    };
    protocol(cx, line, 2, script)
}

/// Longest name of a user that is taken; what servers allow is far less.
const MAX_USER: usize = 256;

fn user<'a>(line: &Line<'a>, n: usize) -> Result<&'a str, Problem> {
    let name = line.need(n)?;
    if name.len() > MAX_USER || name.contains('\0') {
        return Err(line.problem(n, "this is no name of a user").help("a name has at most 256 bytes"));
    }
    Ok(name)
}

fn pgsql(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    line.need(0)?;
    line.choice(0, &[("user", ())])?;
    let script = Script::pgsql(user(line, 1)?);
    protocol(cx, line, 2, script)
}

fn mysql(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    if line.arg(0).is_none() {
        return protocol(cx, line, 0, Script::mysql(None));
    }
    line.choice(0, &[("user", ())])?;
    let name = user(line, 1)?;
    let client = match line.arg(2) {
        None => MysqlClient::Post41,
        Some(_) => line.choice(2, &[("post-41", MysqlClient::Post41), ("pre-41", MysqlClient::Pre41)])?,
    };
    protocol(cx, line, 3, Script::mysql(Some((name, client))))
}

/// Settles how the servers of a section are checked.
pub(crate) fn finish_check(draft: &mut Draft, global: &Global, world: &mut World<'_>) {
    let check = *std::mem::take(&mut draft.check);
    let program = matches!(check.option, CheckOption::External).then(|| external::finish(draft, &check, global, world));
    if program.is_none() {
        external::ignored(draft, &check, world);
    }
    let tells = draft.proxy.kind.is_backend() && !draft.proxy.disabled;
    let script = settle(draft, check, &Wording { section: "backend", word: "option", tells }, world);
    draft.proxy.check = program.unwrap_or(script);
}

/// The check of a `healthcheck` section; `tells`: what it has no use for.
pub(crate) fn named_check(draft: &mut Draft, tells: bool, world: &mut World<'_>) -> CheckKind {
    let check = *std::mem::take(&mut draft.check);
    settle(draft, check, &Wording { section: "healthcheck", word: "type", tells }, world)
}

/// How a section says what it has.
struct Wording {
    section: &'static str,
    /// In front of the kind of a check.
    word: &'static str,
    /// It warns of what it has no use for.
    tells: bool,
}

/// What the lines of a section come to, programs left aside.
fn settle(draft: &Draft, check: CheckDraft, wording: &Wording, world: &mut World<'_>) -> CheckKind {
    let CheckDraft { option, tcp, http, disable_on_404, send_state, .. } = check;
    let Wording { section, word, tells } = wording;
    if *tells {
        let name = shown(&draft.proxy.name);
        let mut ignored = |kind: Kind, rules: &RulesDraft, option: &str| {
            if !rules.list.is_empty() && !rules.inherited && !rules.settled {
                let message = format!("{section} '{name}' uses {} rules without '{word} {option}', so the rules are ignored", kind.name());
                world.warn(draft.proxy.span, message, Some(format!("add '{word} {option}', or remove the rules")));
            }
        };
        if !matches!(option, CheckOption::Tcp) {
            ignored(Kind::Tcp, &tcp, "tcp-check");
        }
        if !matches!(option, CheckOption::Http) {
            ignored(Kind::Http, &http, "httpchk");
        }
        if matches!(option, CheckOption::Tcp | CheckOption::Protocol(_)) {
            for (what, said) in [("disable-on-404", disable_on_404), ("send-state", send_state)] {
                if said {
                    let message = format!("'{what}' will be ignored for {section} '{name}' (requires '{word} httpchk')");
                    world.warn(draft.proxy.span, message, Some(format!("add '{word} httpchk', or remove the line")));
                }
            }
        }
    }
    match option {
        CheckOption::Connect | CheckOption::External => CheckKind::Connect,
        CheckOption::Protocol(script) => CheckKind::Script(script),
        CheckOption::Tcp => CheckKind::Script(Script::tcp(ready(tcp.list, None)).into()),
        CheckOption::Http => {
            let script = Script::http_rules(ready(http.list, http.request));
            CheckKind::Script(script.disable_on_404(disable_on_404).send_state(send_state).into())
        }
    }
}

/// The rules as they are gone through. Without a line that sends it, the request of `option httpchk` stands behind the first connection.
fn ready(list: Vec<RuleDraft>, option: Option<(Said, bool)>) -> Vec<Rule> {
    let sends = list.iter().any(|rule| matches!(rule, RuleDraft::Request(..)));
    let mut option = option;
    let send = |said: Said, comment| Rule::Send(Send { what: Message::Http(said.request().into()), comment });
    let mut rules = Vec::with_capacity(list.len() + 1);
    for rule in list {
        if rule.acts()
            && !rule.is_connect()
            && !sends
            && let Some((said, _)) = option.take()
        {
            rules.push(send(said, None));
        }
        let connects = rule.is_connect();
        rules.push(match rule {
            RuleDraft::Ready(rule) => rule,
            RuleDraft::Request(own, comment) => match option.take() {
                None => send(own, comment),
                // What was written last counts.
                Some((said, true)) => send(said.or(own), comment),
                Some((said, false)) => send(own.or(said), comment),
            },
        });
        if connects
            && !sends
            && let Some((said, _)) = option.take()
        {
            rules.push(send(said, None));
        }
    }
    if let Some((said, _)) = option.filter(|_| !sends) {
        rules.push(send(said, None));
    }
    rules
}
