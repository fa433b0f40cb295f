//! What a check does, step by step: the rules of `tcp-check` and `http-check` (manual 4.2), in the order in which they are gone through.
//!
//! Holds: a script begins with a connection, its own or an implied one; one of HTTP sends a request over each connection and expects an
//! answer. Formats and expressions are compiled; running a script looks at no configuration.

use crate::http::HttpRequest;
use crate::protocols::Protocol;
use crate::status::Status;
use lb_expr::LogFormat;
use lb_expr::regex::Regex;
use lb_expr::sample::{Expr, SetVar, Variable};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// What is known when the configuration is read, or is made when it is needed.
#[derive(Clone, Debug, PartialEq)]
pub enum Text {
    /// Known.
    Plain(Arc<[u8]>),
    /// Made.
    Format(LogFormat),
}

impl Text {
    /// A known text.
    pub fn plain(text: impl AsRef<[u8]>) -> Text {
        Text::Plain(text.as_ref().into())
    }
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// `connect`
    Connect(Connect),
    /// `send` and its variants.
    Send(Send),
    /// `expect`
    Expect(Box<Expect>),
    /// `set-var`, `set-var-fmt`
    SetVar(SetVar),
    /// `unset-var`
    UnsetVar(Variable),
    /// `comment`: of the rule that follows.
    Comment(Box<str>),
}

/// Opens a connection; the one before is closed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Connect {
    /// No rule says so: it begins the script because one has to.
    pub implied: bool,
    /// `default`, and what is implied: the PROXY header, the SOCKS4 proxy, TLS as the server's own words about checks have them.
    pub own: bool,
    /// `addr`; `None`: where the server is checked.
    pub address: Option<IpAddr>,
    /// `port`, or that of `addr`.
    pub port: Option<CheckPort>,
    /// `send-proxy`
    pub send_proxy: bool,
    /// `via-socks4`
    pub socks4: bool,
    /// `ssl`, with `sni` and `alpn`.
    pub tls: Option<Tls>,
    /// `linger`: the connection is closed cleanly, not reset.
    pub linger: bool,
    /// `comment`
    pub comment: Option<Box<str>>,
}

/// A port that is known, or looked up for each check. 0, or a value that is no number, is the server's.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // the text above says both
pub enum CheckPort {
    Number(u16),
    Expr(Expr),
}

/// What a TLS connection says first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// `sni`
    pub sni: Option<Box<str>>,
    /// `alpn`
    pub alpn: Option<Box<str>>,
}

/// Sends something. What has been received before is forgotten.
#[derive(Clone, Debug, PartialEq)]
pub struct Send {
    /// What.
    pub what: Message,
    /// `comment`
    pub comment: Option<Box<str>>,
}

/// What is sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// `send`, `send-binary`, `send-lf`: an empty format sends nothing.
    Bytes(Text),
    /// `send-binary-lf`: a format that makes hexadecimal digits.
    Hex(LogFormat),
    /// A request.
    Http(Arc<HttpRequest>),
    /// `ssl-hello-chk`: a hello, which holds the time.
    ClientHello,
}

/// What an answer must be.
#[derive(Clone, Debug, PartialEq)]
pub struct Expect {
    /// What it is compared with.
    pub what: Match,
    /// `!`: it must not be that.
    pub negate: bool,
    /// `min-recv`: so many bytes are waited for, and then it is decided; `None` (-1): a mismatch waits for the end.
    pub min_recv: Option<u32>,
    /// `ok-status`
    pub ok: Status,
    /// `error-status`; `None`: what the match has.
    pub error: Option<Status>,
    /// `tout-status`
    pub timeout: Status,
    /// `on-success`: info where it is the last rule.
    pub on_success: Option<LogFormat>,
    /// `on-error`: info of a mismatch.
    pub on_error: Option<LogFormat>,
    /// `status-code`
    pub code: Option<Expr>,
    /// `comment`
    pub comment: Option<Box<str>>,
}

impl Expect {
    /// With everything else as it is where no word says otherwise.
    pub fn new(what: Match) -> Expect {
        Expect {
            what,
            negate: false,
            min_recv: None,
            ok: Status::L7Ok,
            error: None,
            timeout: Status::L7Tout,
            on_success: None,
            on_error: None,
            code: None,
            comment: None,
        }
    }
}

/// What an answer, or the body of an HTTP answer, is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Match {
    /// `string`
    String(Box<[u8]>),
    /// `binary`
    Binary(Box<[u8]>),
    /// `string-lf`
    StringFormat(LogFormat),
    /// `binary-lf`: hexadecimal digits.
    BinaryFormat(LogFormat),
    /// `rstring`
    Regex(Regex),
    /// `rbinary`: over the answer in hexadecimal digits, in upper case.
    BinaryRegex(Regex),
    /// `status`: codes and ranges.
    Status(Box<[RangeInclusive<u32>]>),
    /// `rstatus`
    StatusRegex(Regex),
    /// `hdr`, `fhdr`
    Header(Box<HeaderMatch>),
    /// What no pattern can say.
    Protocol(Protocol),
}

/// A field of an HTTP answer that must be there.
#[derive(Clone, Debug, PartialEq)]
pub struct HeaderMatch {
    /// Its name, whatever its case.
    pub name: Pattern,
    /// Its value; `None`: any.
    pub value: Option<Pattern>,
    /// `fhdr`: the whole value; else each item of a list.
    pub full: bool,
}

/// How a name or a value is compared.
#[derive(Clone, Debug, PartialEq)]
pub enum Pattern {
    /// `-m str`
    Exact(Text),
    /// `-m beg`
    Begin(Text),
    /// `-m end`
    End(Text),
    /// `-m sub`
    Contains(Text),
    /// `-m reg`
    Regex(Regex),
}

/// Which rules a script is made of: that decides what its verdicts say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No script at all: only a connection.
    Plain,
    /// `option tcp-check`
    Tcp,
    /// `option httpchk`
    Http,
    /// `option redis-check` and its like.
    Protocol,
}

/// A rule in its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub rule: Rule,
    /// Counted from 1; 0 is the implied connection.
    pub number: u32,
    /// Its own comment, or that of the `comment` rule before it.
    pub comment: Option<Box<str>>,
}

/// What a check does, step by step.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    pub(crate) kind: Kind,
    pub(crate) steps: Box<[Step]>,
    pub(crate) disable_on_404: bool,
    pub(crate) send_state: bool,
}

/// Statuses that are good where nothing else is said.
const GOOD: RangeInclusive<u32> = 200..=399;

impl Rule {
    /// Expects a status of 2xx or 3xx.
    fn good() -> Rule {
        Rule::Expect(Box::new(Expect::new(Match::Status([GOOD].into()))))
    }

    fn comment(&self) -> Option<&str> {
        match self {
            Rule::Connect(rule) => rule.comment.as_deref(),
            Rule::Send(rule) => rule.comment.as_deref(),
            Rule::Expect(rule) => rule.comment.as_deref(),
            Rule::SetVar(_) | Rule::UnsetVar(_) | Rule::Comment(_) => None,
        }
    }

    /// Whether it does something with a connection.
    pub fn acts(&self) -> bool {
        matches!(self, Rule::Connect(_) | Rule::Send(_) | Rule::Expect(_))
    }
}

impl Script {
    /// Only connect: a server that accepts is well.
    pub fn connect() -> Script {
        Script::new(Kind::Plain, Vec::new())
    }

    /// `option tcp-check` with these rules.
    pub fn tcp(rules: Vec<Rule>) -> Script {
        Script::new(Kind::Tcp, rules)
    }

    /// `option httpchk`: a server is well that answers this request with a status from 200 to 399.
    pub fn http(request: HttpRequest) -> Script {
        let rules = vec![Rule::Send(Send { what: Message::Http(request.into()), comment: None })];
        Script::http_rules(rules)
    }

    /// `http-check`: these rules. Where the last one is no `expect`, a status of 2xx or 3xx is expected.
    pub fn http_rules(mut rules: Vec<Rule>) -> Script {
        if !matches!(rules.iter().rfind(|rule| rule.acts()), Some(Rule::Expect(_))) {
            rules.push(Rule::good());
        }
        Script::new(Kind::Http, rules)
    }

    pub(crate) fn protocol(rules: Vec<Rule>) -> Script {
        Script::new(Kind::Protocol, rules)
    }

    /// `http-check disable-on-404`: a server that is up and answers with 404 gets no new work.
    #[must_use]
    pub fn disable_on_404(mut self, on: bool) -> Script {
        self.disable_on_404 = on;
        self
    }

    /// `http-check send-state`: requests tell the server what is thought of it.
    #[must_use]
    pub fn send_state(mut self, on: bool) -> Script {
        self.send_state = on;
        self
    }

    /// Whether it speaks HTTP.
    pub fn is_http(&self) -> bool {
        self.kind == Kind::Http
    }

    /// The rules in their order, the implied ones included.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.steps.iter().map(|step| &step.rule)
    }

    /// Whether one of its connections goes to the port of the server's line.
    pub fn needs_port(&self) -> bool {
        self.rules().any(|rule| matches!(rule, Rule::Connect(Connect { port: None, .. })))
    }

    fn new(kind: Kind, rules: Vec<Rule>) -> Script {
        let mut steps = Vec::with_capacity(rules.len() + 1);
        if !matches!(rules.iter().find(|rule| rule.acts()), Some(Rule::Connect(_))) {
            let connect = Connect { implied: true, own: true, ..Connect::default() };
            steps.push(Step { rule: Rule::Connect(connect), number: 0, comment: None });
        }
        let mut pending: Option<Box<str>> = None;
        for (n, rule) in rules.into_iter().enumerate() {
            let comment = rule.comment().map(Into::into).or_else(|| pending.clone().filter(|_| rule.acts()));
            if let Rule::Comment(text) = &rule {
                pending = Some(text.clone());
            } else if rule.acts() {
                pending = None;
            }
            steps.push(Step { rule, number: n as u32 + 1, comment });
        }
        Script { kind, steps: steps.into(), disable_on_404: false, send_state: false }
    }

    /// The last rule that does something.
    pub(crate) fn last(&self) -> Option<&Step> {
        self.steps.iter().rfind(|step| step.rule.acts())
    }
}
