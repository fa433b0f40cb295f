//! `ring` and `log-forward` sections while they are read, and what they come to.

use super::draft::{Draft, ForwardCx, ForwardDraft, RingCx, RingDraft, World};
use super::{Directive, Walk, check_name, resolve};
use crate::diag::Problem;
use crate::keywords::{Context, Parser, Sections};
use crate::model::{Config, HostField, LogAddress, LogForward, Ring, ServerAddress, ServerPort, Span};
use crate::tree::shown;

impl Walk<'_> {
    /// The name of a section that has one and nothing else; `taken`: where it was given before.
    pub(super) fn only_name<'d>(&mut self, header: &'d Directive<'_>, taken: impl FnOnce(&Self, &str) -> Option<Span>) -> &'d str {
        let word = header.words[0].text.as_ref();
        let name = header.words.get(1).map_or("", |word| &word.text);
        if name.is_empty() {
            self.problem(header, Problem::line(format!("'{word}' wants a name")).help(format!("write '{word} <name>'")));
        }
        if let Err(problem) = check_name(name, 1, "the name of a section") {
            self.problem(header, problem);
        }
        if let Some(first) = taken(self, name) {
            let message = format!("the section '{word} {}' is already there on line {}", shown(name), first.line);
            self.problem(header, Problem::at(1, message).help("each has its own name"));
        }
        if let Some(extra) = header.words.get(2) {
            let message = format!("unexpected '{}' behind the name", shown(&extra.text));
            self.problem(header, Problem::at(2, message).help(format!("write '{word} <name>'")));
        }
        name
    }

    /// The header of a ring.
    pub(super) fn ring(&mut self, header: &Directive<'_>) -> RingDraft {
        let span = header.span(Some(0));
        let name = self.only_name(header, |walk, name| walk.rings.iter().find(|ring| ring.ring.name == name).map(|ring| ring.ring.span));
        RingDraft { ring: Ring { span, ..Ring::new(name) }, draft: Draft::new(Sections::BACKEND, name, span) }
    }

    /// The header of a section that forwards.
    pub(super) fn forward(&mut self, header: &Directive<'_>) -> ForwardDraft {
        let name = self.only_name(header, |walk, name| {
            let mut known = walk.forwards.iter().map(|forward| &forward.draft.proxy);
            known.find(|proxy| proxy.name == name).map(|proxy| proxy.span)
        });
        ForwardDraft {
            draft: Draft::new(Sections::FRONTEND, name, header.span(Some(0))),
            dgram_binds: Vec::new(),
            host: HostField::Keep,
            parses: true,
            line_feeds: false,
        }
    }

    pub(super) fn forward_line(&mut self, forward: &mut ForwardDraft, directive: &Directive<'_>) {
        let Some(line) = self.keyword(directive, Context::In("log-forward"), "log-forward") else { return };
        let Parser::Forward(parser) = line.keyword.parser else { return };
        if let Err(problem) = parser(&mut ForwardCx { forward, world: &mut self.world }, &line) {
            self.problem(directive, problem);
        }
    }

    pub(super) fn ring_line(&mut self, ring: &mut RingDraft, directive: &Directive<'_>) {
        let Some(line) = self.keyword(directive, Context::In("ring"), "ring") else { return };
        let Parser::Ring(parser) = line.keyword.parser else { return };
        if let Err(problem) = parser(&mut RingCx { ring, world: &mut self.world }, &line) {
            self.problem(directive, problem);
        }
    }
}

/// The sections that forward.
pub(super) fn resolve_forwards(drafts: Vec<ForwardDraft>, config: &mut Config, world: &mut World<'_>) {
    for ForwardDraft { draft, dgram_binds, host, parses, line_feeds } in drafts {
        let proxy = draft.proxy;
        if !proxy.binds.is_empty() && proxy.timeouts.client.is_none() {
            let message =
                format!("'log-forward {}' lacks 'timeout client': a silent sender holds its connection for ever", shown(&proxy.name));
            // haproxy is silent about it.
            world.notice(proxy.span, message, Some("set it in the section, for example 10s".into()));
        }
        config.log_forwards.push(LogForward {
            name: proxy.name,
            binds: proxy.binds,
            dgram_binds,
            logs: proxy.logs,
            maxconn: proxy.maxconn.unwrap_or(LogForward::DEFAULT_MAXCONN),
            backlog: proxy.backlog,
            timeout_client: proxy.timeouts.client,
            host,
            parses,
            line_feeds,
            span: proxy.span,
        });
    }
}

/// The rings of a configuration, those of `log` lines with them. Each name that a target asks for is there.
pub(super) fn resolve_rings(drafts: Vec<RingDraft>, config: &mut Config, world: &mut World<'_>) {
    for RingDraft { mut ring, mut draft } in drafts {
        resolve::servers(&mut draft, world);
        for server in &draft.proxy.servers {
            let portless = matches!(server.address, ServerAddress::Ip { port: ServerPort::Offset(_), .. });
            if portless || matches!(server.address, ServerAddress::Pair(_)) {
                let message = format!("the server '{}' of the ring '{}' has no port", shown(&server.name), shown(&ring.name));
                world.error(server.span, message, Some("write '<address>:<port>', for example 192.0.2.1:514".into()));
            }
            if server.check.is_some() {
                let message = format!("'check' has no effect on the server '{}' of a ring", shown(&server.name));
                world.notice(server.span, message, Some("remove it".into()));
            }
        }
        let missing = [("timeout connect", ring.timeout_connect), ("timeout server", ring.timeout_server)];
        let missing: Vec<_> = missing.iter().filter(|(_, time)| time.is_none()).map(|(name, _)| format!("'{name}'")).collect();
        if !draft.proxy.servers.is_empty() && !missing.is_empty() {
            let message =
                format!("the ring '{}' lacks {}: a silent server holds its lines for ever", shown(&ring.name), missing.join(" and "));
            world.warn(ring.span, message, Some("set them in the ring, for example 5s".into()));
        }
        ring.servers = draft.proxy.servers;
        config.rings.push(ring);
    }
    let targets = || {
        let forwards = config.log_forwards.iter().flat_map(|forward| &forward.logs);
        config.global.logs.iter().chain(config.proxies.iter().flat_map(|proxy| &proxy.logs)).chain(forwards)
    };
    for mut ring in std::mem::take(&mut world.log_streams) {
        // A ring of a `log` line has that line's format, which is known by now.
        let own = targets().find(|target| matches!(&target.address, LogAddress::Ring(name) if *name == ring.name));
        if let Some(target) = own {
            ring.format = target.format;
            config.rings.push(ring);
        }
    }
    for target in targets() {
        let LogAddress::Ring(name) = &target.address else { continue };
        if config.rings.iter().all(|ring| ring.name != *name) {
            let near = crate::diag::nearest(name, config.rings.iter().map(|ring| ring.name.as_str()));
            let help = match near {
                Some(near) => format!("did you mean 'ring@{near}'?"),
                None => format!("add 'ring {}', or name one that exists", shown(name)),
            };
            world.error(target.span, format!("there is no ring named '{}'", shown(name)), Some(help));
        }
    }
}
