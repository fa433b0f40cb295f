//! The one list of words of haproxy.cfg. A keyword's name, sections, arguments, documentation, state and parser stand
//! together; what the parser knows, `docs/keywords.md`, help and "did you mean" all come from it.
//!
//! Holds: every word of the manual (sections 3, 4.2, 5.1, 5.2 and 6 to 11 of haproxy 2.6), of the run-time socket, and of
//! the newer versions up to 3.5 is in it. A word is never skipped in silence: it works, or it is accepted with the reason
//! why leaving it out changes nothing for traffic, or it is refused by name.

mod actions;
mod balance;
mod bind;
mod checks;
mod destination;
mod errors;
mod forwards;
mod global;
mod global_rest;
mod global_tune;
mod logs;
mod mail;
mod old;
mod old_rules;
mod options;
mod page;
mod process;
mod profiles;
mod programs;
mod proxy;
mod proxy_rest;
mod rings;
mod rules;
mod server;
mod server_rest;
mod spelling;
mod timeouts;
mod usage;
mod users;
mod watching;
mod words;

use crate::diag::Problem;
use crate::parse::{
    BindCx, ErrorsCx, ForwardCx, GlobalCx, HealthCx, Line, MailersCx, Params, ProfileCx, ProgramCx, ProxyCx, RingCx, ServerCx, UsersCx,
};
use std::collections::HashMap;
use std::sync::LazyLock;

pub(crate) use actions::ActionCx;
pub(crate) use balance::finish_balance;
pub(crate) use bind::bind_line;
pub(crate) use checks::{CheckDraft, finish_check, named_check};
pub(crate) use destination::{Said, finish_destination};
pub(crate) use old::{Names, OldLine, OldWord, Today, turn};
pub(crate) use options::finish_keepalive;
pub use page::keywords_markdown;

/// Where a keyword stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Context {
    /// Starts a section.
    Section,
    /// A line of `global`.
    Global,
    /// A line of `defaults`, `frontend`, `listen`, `backend`.
    Proxy,
    /// A parameter of `bind`.
    Bind,
    /// A parameter of `server` and `default-server`.
    Server,
    /// A line of another section, by the word that starts it.
    In(&'static str),
    /// What a rule does: `deny` in `http-request deny`.
    Action,
    /// A flag of an ACL: `-i`.
    Flag,
    /// A way to match, behind `-m`.
    Match,
    /// A criterion in one word that is a sample and a way to match it, or a predefined ACL.
    Acl,
    /// Where values come from: `src`.
    Sample,
    /// What turns a value into another one: `lower`.
    Converter,
    /// A word of a log format, with its `%`.
    LogWord,
    /// Behind `filter`.
    Filter,
    /// Behind `use-service`.
    Service,
    /// What may stand in front of an address: `ipv4@`.
    Address,
    /// A command of the run-time socket.
    Runtime,
}

impl Context {
    /// Words that are lines or parameters of lines: each has the function that reads it, if it works.
    #[cfg(test)]
    fn is_line(self) -> bool {
        matches!(self, Self::Global | Self::Proxy | Self::Bind | Self::Server)
    }
}

/// Sections of proxies in which a keyword has a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sections(u8);

impl Sections {
    /// None (words outside proxies).
    pub const NONE: Self = Self(0);
    /// `defaults`
    pub const DEFAULTS: Self = Self(1);
    /// `frontend`
    pub const FRONTEND: Self = Self(2);
    /// `listen`
    pub const LISTEN: Self = Self(4);
    /// `backend`
    pub const BACKEND: Self = Self(8);

    const D_F_L_B: Self = Self(1 | 2 | 4 | 8);
    const D_F_L: Self = Self(1 | 2 | 4);
    const D_L_B: Self = Self(1 | 4 | 8);
    const F_L_B: Self = Self(2 | 4 | 8);
    const F_L: Self = Self(2 | 4);
    const L_B: Self = Self(4 | 8);

    /// True when every section of `other` is in this set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Whether a keyword does anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It works.
    Works,
    /// It is read and has no effect on traffic; the text says why that is sound.
    Accepted(&'static str),
    /// An old spelling that works and gives a warning; the text is today's.
    Old(&'static str),
    /// An old word that is read with a warning and has no effect; the text says why that is sound.
    Gone(&'static str),
    /// Known, not there yet: an error by name. The text says what it belongs to.
    Refused(&'static str),
}

/// One word of the configuration language.
#[derive(Debug)]
pub struct Keyword {
    /// One or more words, as written; a final `*` stands for anything.
    pub name: &'static str,
    /// Where it stands.
    pub context: Context,
    /// Sections of proxies in which it has a meaning.
    pub sections: Sections,
    /// Its arguments; empty when it has none.
    pub args: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// Whether it does it.
    pub state: State,
    /// `no` and `default` may stand in front.
    pub negatable: bool,
    /// It has a meaning in mode http only.
    pub needs_http: bool,
    /// In a section where it has no meaning it is an error, not a warning.
    pub(crate) strict: bool,
    /// How a line is written today, where the state alone does not say it.
    pub(crate) today: Option<old::Function>,
    pub(crate) parser: Parser,
}

/// The function that reads a keyword's arguments.
#[derive(Clone, Copy)]
pub(crate) enum Parser {
    None,
    Global(fn(&mut GlobalCx<'_, '_>, &Line<'_>) -> Result<(), Problem>),
    Proxy(fn(&mut ProxyCx<'_, '_>, &Line<'_>) -> Result<(), Problem>),
    Bind(fn(&mut BindCx<'_>, &mut Params<'_, '_>) -> Result<(), Problem>),
    Server(fn(&mut ServerCx<'_, '_>, &mut Params<'_, '_>) -> Result<(), Problem>),
    Ring(fn(&mut RingCx<'_, '_>, &Line<'_>) -> Result<(), Problem>),
    Forward(fn(&mut ForwardCx<'_, '_>, &Line<'_>) -> Result<(), Problem>),
    /// The lists that it may stand in.
    Action(actions::Sets, actions::ActionParser),
    Mailers(fn(&mut MailersCx<'_, '_>, &Line<'_>) -> Result<(), Problem>),
    Program(fn(&mut ProgramCx<'_, '_>, &Line<'_>) -> Result<(), Problem>),
    Errors(fn(&mut ErrorsCx<'_, '_>, &Line<'_>) -> Result<(), Problem>),
    Users(fn(&mut UsersCx<'_, '_>, &Line<'_>) -> Result<(), Problem>),
    Profile(fn(&mut ProfileCx<'_, '_>, &Line<'_>) -> Result<(), Problem>),
    Health(fn(&mut HealthCx<'_, '_>, &Line<'_>) -> Result<(), Problem>),
}

impl std::fmt::Debug for Parser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::None) { "None" } else { "Some" })
    }
}

/// What the tables are written with.
impl Keyword {
    const fn new(context: Context, name: &'static str, args: &'static str, doc: &'static str, state: State, parser: Parser) -> Self {
        Self {
            name,
            context,
            sections: Sections::NONE,
            args,
            doc,
            state,
            negatable: false,
            needs_http: false,
            strict: false,
            today: None,
            parser,
        }
    }

    const fn sections(mut self, sections: Sections) -> Self {
        self.sections = sections;
        self
    }

    const fn negatable(mut self) -> Self {
        self.negatable = true;
        self
    }

    const fn http(mut self) -> Self {
        self.needs_http = true;
        self
    }

    const fn strict(mut self) -> Self {
        self.strict = true;
        self
    }
}

/// Words that start a section.
const SECTIONS: &[Keyword] = &[
    section("global", "", "process-wide settings", State::Works),
    section("defaults", "[<name>] [from <name>]", "settings that the following proxies start from", State::Works),
    section("frontend", "<name> [from <defaults>]", "accepts connections", State::Works),
    section("backend", "<name> [from <defaults>]", "has servers", State::Works),
    section("listen", "<name> [from <defaults>]", "frontend and backend in one", State::Works),
    section("include", "<file>|<glob>", "other files in the place of the line; haproxy has no such word", State::Works),
    section("userlist", "<name>", "users and passwords", State::Works),
    section("peers", "<name>", "processes that share stick tables", State::Refused("stick tables")),
    section("mailers", "<name>", "mail servers for alerts", State::Works),
    section("program", "<name>", "a process that the master starts beside its worker", State::Works),
    section("http-errors", "<name>", "a named set of error files", State::Works),
    section("ring", "<name>", "a buffer for log lines on their way to servers", State::Works),
    section("log-forward", "<name>", "receives and forwards log lines", State::Works),
    section("resolvers", "<name>", "name servers", State::Refused("name resolution at run time")),
    section("namespace_list", "", "network namespaces", State::Refused("network namespaces")),
    section("cache", "<name>", "a cache of responses", State::Refused("the cache")),
    section("fcgi-app", "<name>", "a FastCGI application", State::Refused("FastCGI")),
    section("crt-store", "<name>", "a named store of certificates", State::Refused("TLS")),
    section("log-profile", "<name>", "log formats by step, for the targets that name it", State::Works),
    section("traces", "", "debugging traces", State::Refused("traces")),
    section("acme", "<name>", "automatic certificates", State::Refused("TLS")),
    section("healthcheck", "<name>", "a check for the servers that name it", State::Works),
];

const fn section(name: &'static str, args: &'static str, doc: &'static str, state: State) -> Keyword {
    Keyword::new(Context::Section, name, args, doc, state, Parser::None)
}

/// All tables.
const TABLES: &[&[Keyword]] = &[
    SECTIONS,
    global::KEYWORDS,
    global_tune::KEYWORDS,
    process::KEYWORDS,
    global_rest::KEYWORDS,
    spelling::KEYWORDS,
    proxy::KEYWORDS,
    timeouts::KEYWORDS,
    options::KEYWORDS,
    logs::KEYWORDS,
    mail::KEYWORDS,
    rings::KEYWORDS,
    forwards::KEYWORDS,
    programs::KEYWORDS,
    profiles::KEYWORDS,
    errors::KEYWORDS,
    checks::KEYWORDS,
    checks::external::KEYWORDS,
    checks::named::KEYWORDS,
    proxy_rest::KEYWORDS,
    destination::KEYWORDS,
    balance::KEYWORDS,
    old::KEYWORDS,
    old_rules::KEYWORDS,
    bind::KEYWORDS,
    server::KEYWORDS,
    server_rest::KEYWORDS,
    watching::KEYWORDS,
    rules::KEYWORDS,
    users::KEYWORDS,
    actions::TABLES[0],
    actions::TABLES[1],
    actions::TABLES[2],
    actions::TABLES[3],
];

/// Every keyword.
pub fn keywords() -> impl Iterator<Item = &'static Keyword> {
    TABLES.iter().chain(words::TABLES).flat_map(|table| table.iter())
}

type Words = HashMap<(Context, &'static str), &'static Keyword>;

/// The tables by context and name. Built once in a process: small files take less time than these.
static WORDS: LazyLock<Words> = LazyLock::new(|| {
    let mut words: Words = keywords().map(|keyword| ((keyword.context, keyword.name), keyword)).collect();
    // `capture request header`: two words are enough to find it.
    for keyword in keywords().filter(|keyword| keyword.context == Context::Proxy) {
        if let Some((at, _)) = keyword.name.match_indices(' ').nth(1) {
            words.insert((keyword.context, &keyword.name[..at]), keyword);
        }
    }
    words
});

/// Finds keywords.
pub(crate) struct Lookup {
    words: &'static Words,
}

impl Lookup {
    pub(crate) fn new() -> Self {
        Self { words: &WORDS }
    }

    /// The keyword of exactly this name.
    pub(crate) fn get(&self, context: Context, name: &str) -> Option<&'static Keyword> {
        if let Some(keyword) = self.words.get(&(context, name)) {
            return Some(keyword);
        }
        // `tune.quic.*` is the only family of its kind.
        let family = name.starts_with("tune.quic.") && context == Context::Global;
        family.then(|| self.words.get(&(context, "tune.quic.*")).copied()).flatten()
    }

    /// The keyword that a line starts with, and how many words it takes: `timeout client` before `timeout`.
    pub(crate) fn line(&self, context: Context, first: &str, second: Option<&str>) -> Option<(&'static Keyword, usize)> {
        if let Some(second) = second {
            // Two short words at most make a keyword; this keeps a long word from being copied.
            if first.len() + second.len() < 64 {
                let mut both = String::with_capacity(64);
                both.push_str(first);
                both.push(' ');
                both.push_str(second);
                // `set-var(x)`: what stands in parentheses is no part of the name.
                let name = both.split('(').next().unwrap_or_default();
                if let Some(keyword) = self.words.get(&(context, both.as_str())).or_else(|| self.words.get(&(context, name))) {
                    return Some((keyword, keyword.name.split(' ').count()));
                }
            }
        }
        self.get(context, first).map(|keyword| (keyword, 1))
    }

    /// First words of the lines that may stand in a context.
    pub(crate) fn first_words(context: Context) -> impl Iterator<Item = &'static str> {
        keywords().filter(move |keyword| keyword.context == context).filter_map(|keyword| keyword.name.split(' ').next())
    }

    /// Second words of the lines that start with `first`.
    pub(crate) fn second_words(context: Context, first: &str) -> impl Iterator<Item = &'static str> {
        keywords()
            .filter(move |keyword| keyword.context == context)
            .filter_map(|keyword| keyword.name.split_once(' '))
            .filter(move |(word, _)| *word == first)
            .map(|(_, second)| second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_word_once_and_documented() {
        let mut seen = HashSet::new();
        for keyword in keywords() {
            assert!(seen.insert((keyword.context, keyword.name)), "{} twice", keyword.name);
            assert!(!keyword.doc.is_empty(), "{}", keyword.name);
            if keyword.context == Context::Proxy {
                assert_ne!(keyword.sections, Sections::NONE, "{}", keyword.name);
            }
            // haproxy's own list, observed: options, and these. Not every option can be negated.
            let may = ["log", "busy-polling", "set-dumpable", "strict-limits", "insecure-fork-wanted", "numa-cpu-mapping"];
            let gone = matches!(keyword.state, State::Old(_) | State::Gone(_));
            assert!(!keyword.negatable || gone || keyword.name.starts_with("option ") || may.contains(&keyword.name), "{}", keyword.name);
            let line = matches!(keyword.context, Context::Global | Context::Proxy);
            assert!(keyword.negatable || !line || !may.contains(&keyword.name), "{}", keyword.name);
            if keyword.state == State::Works && keyword.context.is_line() {
                assert!(!matches!(keyword.parser, Parser::None), "{} has no parser", keyword.name);
            }
        }
    }

    #[test]
    fn samples_that_are_there_are_those_that_work() {
        let registry = lb_expr::sample::Registry::standard();
        for keyword in keywords().filter(|keyword| keyword.context == Context::Sample) {
            assert_eq!(registry.fetch(keyword.name).is_some(), keyword.state == State::Works, "{}", keyword.name);
        }
        let listed: HashSet<_> = keywords().filter(|keyword| keyword.context == Context::Sample).map(|keyword| keyword.name).collect();
        for name in registry.fetch_names() {
            assert!(listed.contains(name), "{name}");
        }
    }

    #[test]
    fn lookup_prefers_two_words() {
        let lookup = Lookup::new();
        let name = |first, second| lookup.line(Context::Proxy, first, second).map(|(keyword, words)| (keyword.name, words));
        assert_eq!(name("timeout", Some("client")), Some(("timeout client", 2)));
        assert_eq!(name("maxconn", Some("10")), Some(("maxconn", 1)));
        assert_eq!(name("balanc", Some("10")), None);
        assert!(lookup.get(Context::Global, "tune.quic.frontend.max-idle-timeout").is_some());
    }
}
