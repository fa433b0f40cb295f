//! What is sound and perhaps not meant. Called by the parser when somebody asks for it ([`Severity::Lint`]), on sections as
//! they were read; errors and warnings are told elsewhere.
//!
//! Holds: linear in the size of the configuration; where a line was refused, nothing is concluded from what is missing.

use crate::diag::Severity;
use crate::keywords::Sections;
use crate::model::{Action, BackendTarget, Mode, Rules, Span};
use crate::parse::{Draft, World};
use crate::tree::shown;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

/// Keywords whose lines add up, so that a later one takes nothing from an earlier one.
const CUMULATIVE: &[&str] = &["log", "errorfile", "errorloc", "errorloc302", "errorloc303", "default-server"];

/// Everything that is to be looked at.
pub(crate) struct Lint<'a> {
    pub defaults: Vec<&'a Draft>,
    pub proxies: &'a [Draft],
}

impl Lint<'_> {
    /// Tells what there is to tell.
    pub(crate) fn tell(&self, world: &mut World<'_>) {
        let mut out = Out(world);
        let (users, shares) = self.users();
        for (own, share) in self.defaults.iter().zip(shares) {
            defaults(own, &users[share], &mut out);
        }
        let used = self.used();
        for draft in self.proxies.iter().filter(|draft| !draft.proxy.disabled) {
            if draft.section == Sections::BACKEND {
                unused(draft, used.as_ref(), &mut out);
            }
            if draft.proxy.kind.is_backend() {
                servers(draft, &mut out);
            }
            leads_nowhere(draft, &mut out);
            rules(draft, &mut out);
            timeouts(draft, &mut out);
        }
    }

    /// Names of the backends that something leads to; `None`: a name that is computed may be any.
    fn used(&self) -> Option<HashSet<&str>> {
        let mut used: HashSet<&str> =
            self.proxies.iter().filter_map(|draft| draft.default_backend.as_ref()).map(|(name, _)| name.as_str()).collect();
        for rule in self.proxies.iter().filter_map(|draft| draft.proxy.rules.as_deref()).flat_map(Rules::backends) {
            match &rule.target {
                BackendTarget::Name(name) => used.insert(name),
                _ => return None,
            };
        }
        Some(used)
    }

    /// The proxies that start from defaults, in such an order that those of one section, directly or through others, stand side by
    /// side; and where those of each section stand.
    fn users(&self) -> (Vec<&Draft>, Vec<Range<usize>>) {
        let users = self.proxies.iter().filter_map(|draft| draft.base.map(|base| (base, draft)));
        let mut counts = vec![0; self.defaults.len()];
        users.clone().for_each(|(base, _)| counts[base] += 1);
        // A section starts from one that stands before it.
        for index in (0..counts.len()).rev() {
            if let Some(base) = self.defaults[index].base {
                counts[base] += counts[index];
            }
        }
        let mut shares: Vec<Range<usize>> = Vec::with_capacity(counts.len());
        let mut next: Vec<usize> = Vec::with_capacity(counts.len());
        let mut end = 0;
        for (own, count) in self.defaults.iter().zip(counts) {
            let place = own.base.map_or(&mut end, |base| &mut next[base]);
            let start = *place;
            *place += count;
            shares.push(start..start + count);
            next.push(start);
        }
        let mut places: Vec<(usize, &Draft)> = users
            .map(|(base, draft)| {
                next[base] += 1;
                (next[base], draft)
            })
            .collect();
        places.sort_by_key(|(place, _)| *place);
        (places.into_iter().map(|(_, draft)| draft).collect(), shares)
    }
}

/// A backend that nothing leads to.
fn unused(draft: &Draft, used: Option<&HashSet<&str>>, out: &mut Out<'_, '_>) {
    let name = draft.proxy.name.as_str();
    if used.is_some_and(|used| !used.contains(name)) {
        let message = format!("nothing leads to the backend '{}'", shown(name));
        out.tell(draft.proxy.span, message, "name it in a 'default_backend' or 'use_backend', or remove it");
    }
}

/// Lines of a defaults section that no proxy follows.
fn defaults(own: &Draft, users: &[&Draft], out: &mut Out<'_, '_>) {
    if users.is_empty() {
        out.tell(own.proxy.span, "no proxy starts from this defaults section", "remove it, or name it behind 'from'");
        return;
    }
    for (name, mention) in own.said.iter().filter(|(name, _)| !CUMULATIVE.contains(name)) {
        // Where it is the line of a section before this one, that one tells.
        if own.said_here(name).is_none() {
            continue;
        }
        let mut meant = users.iter().filter(|draft| mention.keyword.sections.contains(draft.section)).peekable();
        if meant.peek().is_none() {
            let message = format!("'{name}' has no effect: no proxy that starts from here has a use for it");
            out.tell(mention.span, message, "remove the line");
        } else if meant.all(|draft| draft.place(name) != Some(mention.span)) {
            let message = format!("'{name}' has no effect: each proxy that starts from here sets its own");
            out.tell(mention.span, message, "remove the line, or those of the proxies that say the same");
        }
    }
}

struct Out<'w, 's>(&'w mut World<'s>);

impl Out<'_, '_> {
    fn tell(&mut self, span: Span, message: impl Into<String>, help: &str) {
        self.0.diagnostics.push(Severity::Lint, span, 0, message, Some(help.to_owned()));
    }
}

fn servers(draft: &Draft, out: &mut Out<'_, '_>) {
    let servers: Vec<_> = draft.servers.iter().filter(|server| !server.server.disabled).collect();
    let name = shown(&draft.proxy.name);
    if draft.section == Sections::BACKEND && draft.servers.is_empty() && !draft.incomplete {
        out.tell(
            draft.proxy.span,
            format!("the backend '{name}' has no servers: whoever comes there is turned away"),
            "add 'server' lines",
        );
    }
    if !servers.is_empty() && servers.iter().all(|server| !server.check) && !draft.incomplete {
        let help = "add 'check' to the lines, or 'default-server check' before them";
        let message = format!("no server of '{name}' is checked: one that is down still gets its share of the traffic");
        out.tell(servers[0].server.span, message, help);
        return;
    }
    for server in servers.iter().filter(|server| !server.check) {
        let message =
            format!("the server '{}' is not checked, others of '{name}' are: it counts as up whatever happens", shown(&server.server.name));
        out.tell(server.server.span, message, "add 'check'");
    }
}

/// A frontend without a backend answers everybody with an error.
fn leads_nowhere(draft: &Draft, out: &mut Out<'_, '_>) {
    let chooses =
        |rules: &Rules| rules.backends().next().is_some() || rules.request.iter().chain(&rules.redirect).any(|rule| ends(&rule.action));
    let by_rule = draft.proxy.rules.as_deref().is_some_and(chooses);
    let answers = draft.proxy.monitor_uri.is_some() || draft.proxy.probes.is_some() || by_rule;
    if draft.section == Sections::FRONTEND && draft.default_backend.is_none() && !draft.incomplete && !answers {
        let message = format!("the frontend '{}' leads to no backend: whoever comes there is turned away", shown(&draft.proxy.name));
        out.tell(draft.proxy.span, message, "add 'default_backend <name>'");
    }
}

/// Whether nothing behind such a rule is come to.
fn ends(action: &Action) -> bool {
    matches!(
        action,
        Action::Accept
            | Action::Reject
            | Action::SilentDrop { .. }
            | Action::Deny(_)
            | Action::Tarpit(_)
            | Action::Return(_)
            | Action::Redirect(_)
            | Action::Auth { .. }
    )
}

/// ACLs that no rule asks, and rules that nothing comes to.
fn rules(draft: &Draft, out: &mut Out<'_, '_>) {
    if !draft.incomplete {
        for (name, place) in &draft.acls.places {
            // A rule that asks it holds it, too.
            if draft.acls.named.get(name).is_some_and(|acl| Arc::strong_count(acl) == 1) {
                out.tell(*place, format!("no rule asks the acl '{}'", shown(name)), "name it behind an 'if' or 'unless', or remove it");
            }
        }
    }
    let Some(rules) = draft.proxy.rules.as_deref() else { return };
    for (set, list) in rules.lists() {
        let last = list.iter().position(|rule| rule.condition.is_none() && ends(&rule.action));
        if let Some((before, after)) = last.and_then(|at| Some((&list[at], list.get(at + 1)?))) {
            let message =
                format!("nothing comes to this '{}' rule: the one on line {} ends them without a condition", set.name(), before.span.line);
            out.tell(after.span, message, "move it up, or give the other one a condition");
        }
    }
    let last = rules.use_backend.iter().position(|rule| rule.condition.is_none());
    if let Some((before, after)) = last.and_then(|at| Some((&rules.use_backend[at], rules.use_backend.get(at + 1)?))) {
        let message = format!("nothing comes to this 'use_backend': the one on line {} has no condition", before.span.line);
        out.tell(after.span, message, "move it up, or give the other one a condition");
    }
}

/// Timeouts that haproxy does not ask for; those that it asks for are warnings.
fn timeouts(draft: &Draft, out: &mut Out<'_, '_>) {
    let (proxy, name) = (&draft.proxy, shown(&draft.proxy.name));
    if proxy.mode == Mode::Http && proxy.kind.is_frontend() && proxy.timeouts.http_request.is_none() {
        let message =
            format!("'{name}' has no 'timeout http-request': a client may take for ever to send the head of a request, byte by byte");
        out.tell(proxy.span, message, "set it here or in 'defaults', for example 10s");
    }
    let limited = draft.servers.iter().any(|server| server.server.maxconn.is_some());
    if proxy.kind.is_backend() && limited && proxy.timeouts.queue.is_none() {
        let message = format!("'{name}' has no 'timeout queue': who waits for one of its servers waits for 'timeout connect'");
        out.tell(proxy.span, message, "set it here or in 'defaults', for example 30s");
    }
}
