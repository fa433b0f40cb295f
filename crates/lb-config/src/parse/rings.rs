//! `ring` sections while they are read, and what they come to.

use super::draft::{Draft, RingCx, RingDraft, World};
use super::{Directive, Walk, check_name, resolve};
use crate::diag::Problem;
use crate::keywords::{Context, Parser, Sections};
use crate::model::{Config, LogAddress, Ring, ServerAddress, ServerPort};
use crate::tree::shown;

impl Walk<'_> {
    /// The header of a ring.
    pub(super) fn ring(&mut self, header: &Directive<'_>) -> RingDraft {
        let span = header.span(Some(0));
        let name = header.words.get(1).map_or("", |word| &word.text);
        if name.is_empty() {
            self.problem(header, Problem::line("'ring' wants a name").help("write 'ring <name>'"));
        }
        if let Err(problem) = check_name(name, 1, "a ring's name") {
            self.problem(header, problem);
        }
        if let Some(first) = self.rings.iter().find(|ring| ring.ring.name == name) {
            let message = format!("the ring '{}' is already there on line {}", shown(name), first.ring.span.line);
            self.problem(header, Problem::at(1, message).help("each ring has its own name"));
        }
        if let Some(extra) = header.words.get(2) {
            let message = format!("unexpected '{}' behind the name", shown(&extra.text));
            self.problem(header, Problem::at(2, message).help("write 'ring <name>'"));
        }
        RingDraft { ring: Ring { span, ..Ring::new(name) }, draft: Draft::new(Sections::BACKEND, name, span) }
    }

    pub(super) fn ring_line(&mut self, ring: &mut RingDraft, directive: &Directive<'_>) {
        let Some(line) = self.keyword(directive, Context::In("ring"), "ring") else { return };
        let Parser::Ring(parser) = line.keyword.parser else { return };
        if let Err(problem) = parser(&mut RingCx { ring, world: &mut self.world }, &line) {
            self.problem(directive, problem);
        }
    }
}

/// The rings of a configuration, those of `log` lines with them. Each name that a target asks for is there.
pub(super) fn resolve_rings(drafts: Vec<RingDraft>, config: &mut Config, world: &mut World<'_>) {
    for RingDraft { mut ring, mut draft } in drafts {
        resolve::servers(&mut draft, world);
        for server in &draft.proxy.servers {
            let portless = matches!(server.address, ServerAddress::Ip { port: ServerPort::Offset(_), .. });
            if portless {
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
    let targets = || config.global.logs.iter().chain(config.proxies.iter().flat_map(|proxy| &proxy.logs));
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
