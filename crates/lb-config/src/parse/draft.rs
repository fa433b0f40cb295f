//! Proxies while they are read: what a section has said so far, with the places that later checks point at.

use super::line::Negation;
use crate::diag::{Diagnostics, Severity};
use crate::keywords::{Keyword, Sections, State};
use crate::model::{ErrorSet, FileBytes, IpNet, Proxy, ProxyKind, Server, ServerAddress, ServerCheck, Span, TcpKeepAlive};
use crate::tree::Directive;
use crate::variables::Variables;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// A proxy or a `defaults` section. A section starts as a copy of the defaults that it takes.
#[derive(Clone)]
pub(crate) struct Draft {
    /// Exactly one section.
    pub section: Sections,
    pub proxy: Proxy,
    /// The defaults section that it started from.
    pub base: Option<usize>,
    /// A line of it, or of its defaults, was refused.
    pub incomplete: bool,
    pub default_server: ServerDraft,
    pub servers: Vec<ServerDraft>,
    pub default_backend: Option<(String, Span)>,
    /// `mode health`: answers each connection and closes it; the proxy's own mode is tcp.
    pub mode_health: bool,
    pub monitor_net: Option<IpNet>,
    /// The keyword that set `http_mode`.
    pub http_mode: &'static str,
    pub id: Option<Span>,
    /// `dispatch` and what else stands in place of servers.
    pub destination: crate::keywords::Said,
    /// `email-alert`
    pub email: Option<Box<EmailDraft>>,
    /// The last line with each keyword, here or in the defaults.
    pub said: BTreeMap<&'static str, Mention>,
    pub client_keepalive: (bool, TcpKeepAlive),
    pub server_keepalive: (bool, TcpKeepAlive),
    /// The targets of `global` are among the logs.
    pub logs_global: bool,
    pub acls: SectionAcls,
    /// `errorfiles`, in the order of the lines.
    pub errorfiles: Vec<NamedErrors>,
    /// `option httpchk`, `tcp-check` and the like.
    pub check: Box<crate::keywords::CheckDraft>,
}

/// `email-alert` lines.
#[derive(Clone, Default)]
pub(crate) struct EmailDraft {
    pub mailers: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub level: Option<crate::model::Level>,
    pub hostname: Option<String>,
}

/// What the functions of a `mailers` section's lines work on.
pub(crate) struct MailersCx<'p, 's> {
    pub mailers: &'p mut crate::model::Mailers,
    pub world: &'p mut World<'s>,
}

/// An `errorfiles` line.
#[derive(Clone)]
pub(crate) struct NamedErrors {
    pub set: Arc<ErrorSet>,
    /// Empty: all that the section has.
    pub statuses: Vec<u16>,
    pub span: Span,
}

/// `acl` lines of one section.
#[derive(Default)]
pub(crate) struct SectionAcls {
    pub named: Box<lb_expr::acl::Acls>,
    /// Each name with the first of its lines.
    pub places: Vec<(String, Span)>,
}

impl Clone for SectionAcls {
    /// A section that starts from another one does not see the ACLs of that; the rules that ask them do.
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Draft {
    pub(crate) fn new(section: Sections, name: &str, span: Span) -> Self {
        let kind = match section {
            Sections::FRONTEND => ProxyKind::Frontend,
            Sections::BACKEND => ProxyKind::Backend,
            // A defaults section is no proxy; its values are those of both sides.
            _ => ProxyKind::Listen,
        };
        Self {
            section,
            proxy: Proxy { span, ..Proxy::new(name, kind) },
            base: None,
            incomplete: false,
            default_server: ServerDraft::new("", span),
            servers: Vec::new(),
            default_backend: None,
            mode_health: false,
            monitor_net: None,
            http_mode: "",
            id: None,
            destination: Default::default(),
            email: None,
            said: BTreeMap::new(),
            client_keepalive: (false, TcpKeepAlive::default()),
            server_keepalive: (false, TcpKeepAlive::default()),
            logs_global: false,
            acls: SectionAcls::default(),
            errorfiles: Vec::new(),
            check: Default::default(),
        }
    }

    /// A section that starts from these defaults.
    pub(crate) fn derive(&self, section: Sections, name: &str, span: Span) -> Self {
        let fresh = Self::new(section, name, span);
        let mut draft = self.clone();
        draft.section = section;
        draft.proxy.name = fresh.proxy.name;
        draft.proxy.kind = fresh.proxy.kind;
        draft.proxy.span = span;
        draft.id = None;
        draft.check.inherit();
        draft
    }

    /// Where the keyword was last said, here or in the defaults.
    pub(crate) fn place(&self, name: &str) -> Option<Span> {
        self.said.get(name).map(|said| said.span)
    }

    /// Where the keyword was said in this section itself.
    pub(crate) fn said_here(&self, name: &str) -> Option<Span> {
        let here = self.proxy.span;
        self.place(name).filter(|span| span.file == here.file && span.line > here.line)
    }

    pub(crate) fn is_defaults(&self) -> bool {
        self.section == Sections::DEFAULTS
    }
}

/// The last line with a keyword.
#[derive(Clone, Copy)]
pub(crate) struct Mention {
    pub keyword: &'static Keyword,
    pub span: Span,
    /// Neither `no` nor `default` stood in front.
    pub on: bool,
}

/// A server, or the `default-server` that the next ones start from.
#[derive(Clone)]
pub(crate) struct ServerDraft {
    pub server: Server,
    /// `check` without `no-check` behind it.
    pub check: bool,
    pub settings: ServerCheck,
    pub check_send_proxy: bool,
    /// `check-proto`: whether it is HTTP.
    pub check_proto: Option<bool>,
    /// `healthcheck`, and where.
    pub healthcheck: Option<Box<(String, Span)>>,
    pub send_proxy: bool,
    pub send_proxy_v2: bool,
    pub v2_options: crate::model::ProxyV2Options,
    /// `None`: the built-in `last,libc`.
    pub init_addr: Option<Vec<InitAddr>>,
    pub id: Option<Span>,
}

/// A step of `init-addr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InitAddr {
    /// From a state file; there is none.
    Last,
    /// From the resolver.
    Libc,
    /// Start without one.
    None,
    /// This one.
    Ip(IpAddr),
}

impl ServerDraft {
    pub(crate) fn new(name: &str, span: Span) -> Self {
        let nowhere = ServerAddress::Ip { ip: Ipv4Addr::UNSPECIFIED.into(), port: crate::model::ServerPort::Offset(0) };
        Self {
            server: Server { span, ..Server::new(name, nowhere) },
            check: false,
            settings: ServerCheck::default(),
            check_send_proxy: false,
            check_proto: None,
            healthcheck: None,
            send_proxy: false,
            send_proxy_v2: false,
            v2_options: Default::default(),
            init_addr: None,
            id: None,
        }
    }
}

/// What the functions of proxy keywords work on.
pub(crate) struct ProxyCx<'p, 's> {
    pub draft: &'p mut Draft,
    pub world: &'p mut World<'s>,
}

/// What the functions of `global` keywords work on.
pub(crate) struct GlobalCx<'p, 's> {
    pub global: &'p mut crate::model::Global,
    /// Keywords that may be given once, and where they were.
    pub seen: &'p mut BTreeMap<&'static str, Span>,
    pub world: &'p mut World<'s>,
}

/// A `ring` section while it is read.
pub(crate) struct RingDraft {
    pub ring: crate::model::Ring,
    /// Takes its servers.
    pub draft: Draft,
}

/// What the functions of a ring's lines work on.
pub(crate) struct RingCx<'p, 's> {
    pub ring: &'p mut RingDraft,
    pub world: &'p mut World<'s>,
}

/// A `log-forward` section while it is read.
pub(crate) struct ForwardDraft {
    /// Takes its listeners, targets, limits.
    pub draft: Draft,
    pub dgram_binds: Vec<crate::model::DgramBind>,
    pub host: crate::model::HostField,
    pub parses: bool,
    pub line_feeds: bool,
}

/// What the functions of its lines work on.
pub(crate) struct ForwardCx<'p, 's> {
    pub forward: &'p mut ForwardDraft,
    pub world: &'p mut World<'s>,
}

/// What the functions of a `log-profile` section's lines work on.
pub(crate) struct ProfileCx<'p, 's> {
    pub profile: &'p mut crate::model::LogProfile,
    pub world: &'p mut World<'s>,
}

/// What the functions of a `program` section's lines work on.
pub(crate) struct ProgramCx<'p, 's> {
    pub program: &'p mut crate::model::Program,
    pub world: &'p mut World<'s>,
}

/// A `healthcheck` section while it is read.
pub(crate) struct HealthDraft {
    /// Takes its check.
    pub draft: Draft,
    /// Where its `type` is.
    pub kind: Option<Span>,
}

/// What the functions of its lines work on.
pub(crate) struct HealthCx<'p, 's> {
    pub health: &'p mut HealthDraft,
    pub world: &'p mut World<'s>,
}

/// An `http-errors` section while it is read.
pub(crate) struct ErrorsDraft {
    pub set: Arc<ErrorSet>,
    pub replies: Vec<(u16, FileBytes)>,
}

/// What the functions of its lines work on.
pub(crate) struct ErrorsCx<'p, 's> {
    pub errors: &'p mut ErrorsDraft,
    pub world: &'p mut World<'s>,
}

/// A `userlist` section while it is read.
pub(crate) struct UsersDraft {
    pub list: crate::model::Userlist,
    /// Where each user stands.
    pub places: Vec<Span>,
    /// Groups with their users and places.
    pub groups: Vec<(String, Vec<String>, Span)>,
}

/// What the functions of its lines work on.
pub(crate) struct UsersCx<'p, 's> {
    pub users: &'p mut UsersDraft,
    pub world: &'p mut World<'s>,
}

/// What the functions of `bind` parameters work on.
pub(crate) struct BindCx<'p> {
    pub bind: &'p mut crate::model::Bind,
    /// `guid-prefix` and its word; what it makes is known when all addresses are.
    pub guid_prefix: &'p mut Option<(String, usize)>,
}

/// What the functions of `server` parameters work on.
pub(crate) struct ServerCx<'p, 's> {
    pub server: &'p mut ServerDraft,
    /// The line is `default-server`.
    pub is_default: bool,
    pub world: &'p mut World<'s>,
}

/// What every step of the parser shares.
pub(crate) struct World<'s> {
    pub source: &'s crate::source::Source<'s>,
    pub variables: Variables<'s>,
    pub lookup: &'s crate::keywords::Lookup,
    pub diagnostics: Diagnostics,
    /// Targets of `global` as far as it has been read: `log global` takes those.
    pub logs: Vec<crate::model::LogTarget>,
    /// Rings that `log` lines with the address of a stream stand for.
    pub log_streams: Vec<crate::model::Ring>,
    /// Lines of log targets whose format was given: the others get theirs when `global` is complete.
    pub log_formats: std::collections::HashSet<Span>,
    /// Longest `len` of all `log` lines.
    pub longest_log: usize,
    /// `guid` and what `guid-prefix` made, with their places.
    pub guids: std::collections::HashMap<String, Span>,
    /// Servers that `server-template` lines made.
    pub template_servers: usize,
    /// Addresses of all `bind` lines, ranges counted whole.
    pub listeners: usize,
    /// `unix-bind` as far as it has been read.
    pub unix_prefix: Option<String>,
    pub unix_bind: crate::model::UnixBindOptions,
    /// Proxies that stand before the first `stats socket`.
    pub stats_socket_at: Option<usize>,
    /// Fetches and converters.
    pub registry: lb_expr::sample::Registry,
    /// What expressions name.
    pub names: super::exprs::Names,
    /// Patterns of ACLs and maps.
    pub sets: std::sync::Arc<lb_expr::acl::Sets>,
    /// `http-errors` sections that were named or read, and where first.
    pub error_sets: Vec<(Arc<ErrorSet>, Span)>,
    /// Replies that are taken from such sections: each with its status and its line.
    pub error_replies: Vec<(Arc<ErrorSet>, u16, Span)>,
    /// What ACLs ask of groups of users.
    pub(super) asked_groups: Vec<super::users::AskedGroups>,
    /// `healthcheck` sections.
    pub(super) named_checks: super::healthchecks::NamedChecks,
    /// `mailers` sections.
    pub mailers: Vec<Arc<crate::model::Mailers>>,
    /// Files that were included, in the order in which they were met: they count on from those of the source.
    pub included: Vec<(String, Vec<u8>)>,
}

impl<'s> World<'s> {
    pub(crate) fn new(source: &'s crate::source::Source<'s>, lookup: &'s crate::keywords::Lookup) -> Self {
        Self {
            source,
            variables: Variables::new(source),
            lookup,
            diagnostics: Diagnostics::wanting(&source.wanted()),
            logs: Vec::new(),
            log_streams: Vec::new(),
            log_formats: Default::default(),
            longest_log: 0,
            guids: Default::default(),
            template_servers: 0,
            listeners: 0,
            unix_prefix: None,
            unix_bind: Default::default(),
            stats_socket_at: None,
            registry: World::registry_of(source),
            names: Default::default(),
            sets: Default::default(),
            error_sets: Vec::new(),
            error_replies: Vec::new(),
            asked_groups: Vec::new(),
            named_checks: Default::default(),
            mailers: Vec::new(),
            included: Vec::new(),
        }
    }

    /// The `http-errors` section of a name, which may stand further down.
    pub(crate) fn error_set(&mut self, name: &str, place: Span) -> Arc<ErrorSet> {
        if let Some((set, _)) = self.error_sets.iter().find(|(set, _)| set.name() == name) {
            return set.clone();
        }
        let set = Arc::new(ErrorSet::new(name));
        self.error_sets.push((set.clone(), place));
        set
    }

    /// Names and bytes of all files: those of the source, then those that they include.
    pub(crate) fn files(&self) -> Vec<(String, &[u8])> {
        let included = self.included.iter().map(|(name, bytes)| (name.clone(), bytes.as_slice()));
        self.source.files.iter().map(|(name, bytes)| (name.clone(), *bytes)).chain(included).collect()
    }

    /// What is told where haproxy is silent: no warning, since a warning can be fatal.
    pub(crate) fn notice(&mut self, span: Span, message: impl Into<String>, help: Option<String>) {
        self.diagnostics.push(Severity::Notice, span, 0, message, help);
    }

    pub(crate) fn warn(&mut self, span: Span, message: impl Into<String>, help: Option<String>) {
        self.diagnostics.push(Severity::Warning, span, 0, message, help);
    }

    pub(crate) fn error(&mut self, span: Span, message: impl Into<String>, help: Option<String>) {
        self.diagnostics.push(Severity::Error, span, 0, message, help);
    }

    /// Remarks that a word is read without effect, and why.
    pub(crate) fn without_effect(&mut self, keyword: &Keyword, directive: &Directive<'_>, word: usize) {
        if let State::Accepted(why) = keyword.state
            && self.diagnostics.wants(Severity::Info)
        {
            let message = format!("'{}' has no effect here: {why}", keyword.name);
            self.diagnostics.push(Severity::Info, directive.span(Some(word)), 0, message, None);
        }
    }
}

impl Negation {
    /// The value of a switch behind `option`, `no option` or `default option`, where the built-in value is off.
    pub(crate) fn value(self) -> bool {
        self == Self::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A configuration of 100,000 servers is to take at most 2 KiB for each: once while it is read, in a list that may have room
    /// for twice as many, and once as it stays.
    #[test]
    fn memory_budgets() {
        assert!(2 * size_of::<ServerDraft>() + size_of::<Server>() <= 1600);
        assert!(size_of::<Draft>() <= 2560);
    }
}
