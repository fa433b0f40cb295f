//! The whole configuration once all sections are read: names to indices, ids, what one side has no use for, and what
//! haproxy checks at its end.

use super::draft::{Draft, ServerDraft, World};
use super::{checks, exprs, section_name};
use crate::keywords::Names;
use crate::keywords::{Sections, finish_balance, finish_check, finish_destination, finish_keepalive};
use crate::model::{
    BackendTarget, CheckKind, Config, Global, LogTransportFormat, Mode, Probes, Proxy, ProxyIndex, ProxyKind, SendProxy, Server,
    ServerAddress, ServerCheck, ServerPort, ServerTarget, Span, Userlist,
};
use crate::tree::shown;
use std::collections::{HashMap, HashSet};

pub(crate) fn resolve(mut global: Global, mut drafts: Vec<Draft>, userlists: Vec<Userlist>, world: &mut World<'_>) -> Config {
    // Room for added fields is never more than half of a buffer.
    global.tune.maxrewrite = global.tune.maxrewrite.min(global.tune.bufsize / 2);

    if global.h1_case_adjust_file.clone().merge(&global.h1_case_adjust).is_err() {
        let help = "remove it from one of them".to_owned();
        world.error(Span::default(), "a name is in 'h1-case-adjust' and in the file of 'h1-case-adjust-file'", Some(help));
    }

    if global.log_send_hostname.is_some() {
        // A target without a format has the host name when it is to be sent, and no place for it otherwise.
        let targets = global.logs.iter_mut().chain(drafts.iter_mut().flat_map(|draft| &mut draft.proxy.logs));
        for target in targets.filter(|target| !world.log_formats.contains(&target.span)) {
            target.format = LogTransportFormat::Rfc3164;
        }
    }

    let names = unique_names(&mut drafts, world);
    unique_ids(&mut drafts, world);
    let modes: Vec<(Mode, String)> = drafts.iter().map(|draft| (draft.proxy.mode, draft.proxy.name.clone())).collect();
    let mut proxies = Vec::with_capacity(drafts.len());
    for (index, mut draft) in drafts.into_iter().enumerate() {
        super::errors::take_replies(&mut draft, world);
        default_backend(&mut draft, index, &names, &modes, world);
        backends(&mut draft, index, &names, &modes, world);
        finish_check(&mut draft, &global, world);
        servers(&mut draft, world);
        super::mailers::finish(&mut draft, world);
        super::tracking::settle(&mut draft.proxy, world);
        use_servers(&mut draft, world);
        finish_destination(&mut draft, world);
        finish_balance(&mut draft, world);
        listeners(&mut draft, world);
        probes(&mut draft);
        checks::proxy(&mut draft, &global, world);
        finish_keepalive(&mut draft);
        proxies.push(prune(draft));
    }
    super::tracking::resolve(&mut proxies, world);
    super::errors::resolve_sets(world);
    let named = exprs::resolve(&proxies, &userlists, world);
    Config {
        global,
        proxies,
        userlists,
        longest_log: world.longest_log,
        named,
        rings: Vec::new(),
        log_forwards: Vec::new(),
        programs: Vec::new(),
        log_profiles: Vec::new(),
        files: world.files().into_iter().map(|(name, _)| name).collect(),
    }
}

/// Backends and listens by name; `None`: there are two.
type Backends = HashMap<String, Option<ProxyIndex>>;

/// Two proxies that share a side have different names at run time; a frontend and a backend may share one.
fn unique_names(drafts: &mut [Draft], world: &mut World<'_>) -> Backends {
    let mut names = Names::new(drafts.iter().map(|draft| draft.proxy.name.as_str()));
    let mut frontends: HashMap<String, (ProxyKind, Span)> = HashMap::new();
    let mut backends: HashMap<String, (ProxyKind, Span)> = HashMap::new();
    let mut list = Backends::new();
    for (index, draft) in (0u32..).zip(drafts) {
        let kind = draft.proxy.kind;
        let name = draft.proxy.name.clone();
        if name.is_empty() {
            continue;
        }
        let same = |side: &HashMap<String, (ProxyKind, Span)>, has: bool| side.get(&name).copied().filter(|_| has);
        let other = same(&frontends, kind.is_frontend()).or(same(&backends, kind.is_backend()));
        let mut own = name.clone();
        if kind == ProxyKind::Listen && matches!(other, Some((ProxyKind::Backend, _))) {
            // haproxy has nothing against it, and finds the backend under the name.
            let message = format!("the listen '{}' has the same name as a backend, which is what others find under it", shown(&name));
            world.notice(draft.proxy.span, message, Some("give one of them another name".into()));
        } else if let Some((other, span)) = other {
            own = names.other(&name);
            if kind.is_backend() && backends.contains_key(&name) {
                list.insert(name.clone(), None);
            }
            let message = format!("the {} '{name}' has the same name as the {} on line {}", kind.name(), other.name(), span.line);
            world.warn(draft.proxy.span, message, Some(format!("it is called '{own}' in logs; write '{} {own}'", kind.name())));
            draft.proxy.name.clone_from(&own);
        }
        if kind.is_frontend() {
            frontends.insert(own.clone(), (kind, draft.proxy.span));
        }
        if kind.is_backend() {
            backends.insert(own.clone(), (kind, draft.proxy.span));
            list.entry(own).or_insert(Some(ProxyIndex(index)));
        }
    }
    list
}

/// Proxies without `id` get the next free number, in order; each that has one uses up a number all the same.
fn unique_ids(drafts: &mut [Draft], world: &mut World<'_>) {
    let mut taken: HashMap<u32, Span> = HashMap::new();
    for draft in drafts.iter() {
        let Some(span) = draft.id else { continue };
        if let Some(first) = taken.insert(draft.proxy.id, span) {
            let message = format!("the id {} is already taken on line {}", draft.proxy.id, first.line);
            world.error(span, message, Some("each proxy has its own id".into()));
        }
    }
    let mut next = 1;
    for (index, draft) in drafts.iter_mut().enumerate() {
        // As haproxy counts: its proxy of the run-time sockets stands where the first of them is named.
        if world.stats_socket_at == Some(index) {
            next += 1;
        }
        if draft.id.is_some() {
            draft.proxy.has_own_id = true;
            next += 1;
        } else {
            draft.proxy.id = free(&mut next, |id| taken.contains_key(&id));
        }
    }
}

/// The next number that nobody has.
fn free(next: &mut u32, taken: impl Fn(u32) -> bool) -> u32 {
    while taken(*next) {
        *next = next.saturating_add(1);
    }
    let id = *next;
    *next = next.saturating_add(1);
    id
}

fn default_backend(draft: &mut Draft, index: usize, names: &Backends, modes: &[(Mode, String)], world: &mut World<'_>) {
    let own = ProxyIndex(u32::try_from(index).unwrap_or(u32::MAX));
    let is_listen = draft.proxy.kind == ProxyKind::Listen;
    draft.proxy.default_backend = is_listen.then_some(own);
    let Some((name, span)) = draft.default_backend.take() else { return };
    if !draft.proxy.kind.is_frontend() || draft.proxy.disabled {
        return;
    }
    let kind = section_name(draft.section);
    let Some(target) = names.get(&name).copied() else {
        let near = world.diagnostics.nearest(&name, names.keys().map(String::as_str));
        let help = match near {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("add 'backend {}', or name one that exists", shown(&name)),
        };
        world.error(span, format!("there is no backend named '{}'", shown(&name)), Some(help));
        return;
    };
    let Some(target) = target else {
        let message = format!("there are several backends named '{}'", shown(&name));
        world.error(span, message, Some("give each its own name".into()));
        return;
    };
    if target == own {
        world.error(span, format!("'{name}' leads to itself"), Some("remove the line, or name another backend".into()));
        return;
    }
    // A TCP frontend may lead to an HTTP backend, not the other way round.
    if draft.proxy.mode == Mode::Http && modes.get(target.0 as usize).is_some_and(|(mode, _)| *mode == Mode::Tcp) {
        let message = format!("the {kind} '{}' is in mode http, the backend '{name}' in mode tcp", draft.proxy.name);
        world.error(span, message, Some("add 'mode http' to the backend, or 'mode tcp' to the frontend".into()));
        return;
    }
    draft.proxy.default_backend = Some(target);
    if is_listen && !draft.servers.is_empty() {
        let message = format!("the servers of '{}' are never used: 'default_backend' comes first", shown(&draft.proxy.name));
        world.warn(span, message, Some("remove the line, or the servers".into()));
    }
}

/// The backends that `use_backend` lines name.
fn backends(draft: &mut Draft, index: usize, names: &Backends, modes: &[(Mode, String)], world: &mut World<'_>) {
    let http = draft.proxy.mode == Mode::Http;
    let disabled = draft.proxy.disabled;
    let Some(rules) = draft.proxy.rules.as_mut().filter(|_| draft.proxy.kind.is_frontend()) else { return };
    for rule in rules.use_backend.iter_mut().chain(&mut rules.line_backends) {
        let BackendTarget::Name(name) = &rule.target else { continue };
        let target = match names.get(&**name) {
            Some(Some(target)) if target.0 as usize == index && !disabled => {
                let message = format!("'use_backend {}' leads to itself", shown(name));
                world.error(rule.span, message, Some("name another backend, or remove the line".into()));
                continue;
            }
            Some(Some(target)) => *target,
            _ if disabled => continue,
            Some(None) => {
                let message = format!("there are several backends named '{}'", shown(name));
                world.error(rule.span, message, Some("give each its own name".into()));
                continue;
            }
            None => {
                let help = match world.diagnostics.nearest(name, names.keys().map(String::as_str)) {
                    Some(near) => format!("did you mean '{near}'?"),
                    None => format!("add 'backend {}', or name one that exists", shown(name)),
                };
                world.error(rule.span, format!("there is no backend named '{}'", shown(name)), Some(help));
                continue;
            }
        };
        if http && modes.get(target.0 as usize).is_some_and(|(mode, _)| *mode == Mode::Tcp) {
            let message = format!("'{}' is in mode http, the backend '{name}' in mode tcp", draft.proxy.name);
            world.error(rule.span, message, Some("add 'mode http' to the backend, or 'mode tcp' to the frontend".into()));
            continue;
        }
        rule.target = BackendTarget::Fixed(target);
    }
}

/// The servers that `use-server` lines name.
fn use_servers(draft: &mut Draft, world: &mut World<'_>) {
    let servers = &draft.proxy.servers;
    let Some(rules) = draft.proxy.rules.as_mut().filter(|_| draft.proxy.kind.is_backend()) else { return };
    for rule in &mut rules.use_server {
        let ServerTarget::Name(name) = &rule.target else { continue };
        match servers.iter().position(|server| server.name == **name) {
            Some(at) => rule.target = ServerTarget::Fixed(at),
            None if draft.proxy.disabled => {}
            None => {
                let message = format!("unable to find server '{}' that 'use-server' names", shown(name));
                let help = match world.diagnostics.nearest(name, servers.iter().map(|server| server.name.as_str())) {
                    Some(near) => format!("did you mean '{near}'?"),
                    None => "name a server of this backend".to_owned(),
                };
                world.error(rule.span, message, Some(help));
            }
        }
    }
}

pub(super) fn servers(draft: &mut Draft, world: &mut World<'_>) {
    let mut drafts = std::mem::take(&mut draft.servers);
    unique_servers(&mut drafts, !draft.proxy.disabled, world);
    let mut ids: HashMap<u32, Span> = HashMap::new();
    for server in &drafts {
        if let Some(span) = server.id
            && let Some(first) = ids.insert(server.server.id, span)
        {
            let message = format!("the id {} is already taken on line {}", server.server.id, first.line);
            world.error(span, message, Some("each server of a backend has its own id".into()));
        }
    }
    let mut next = 1;
    let in_use = !draft.proxy.disabled;
    draft.proxy.servers.reserve_exact(drafts.len());
    for mut server in drafts {
        // As with the proxies.
        if server.id.is_some() {
            server.server.has_own_id = true;
            next += 1;
        } else {
            server.server.id = free(&mut next, |id| ids.contains_key(&id));
        }
        if in_use {
            server.settings.kind = super::healthchecks::of_server(&server, world);
        }
        let server = finish_server(server, &draft.proxy.check, in_use, world);
        draft.proxy.servers.push(server);
    }
}

/// Servers of one name, as old files have them: all get traffic, the later ones under another name.
fn unique_servers(drafts: &mut [ServerDraft], in_use: bool, world: &mut World<'_>) {
    let mut first: HashMap<String, Span> = HashMap::with_capacity(drafts.len());
    if drafts.iter().all(|draft| first.insert(draft.server.name.clone(), draft.server.span).is_none()) {
        return;
    }
    let mut names = Names::new(drafts.iter().map(|draft| draft.server.name.as_str()));
    first.clear();
    for server in drafts.iter_mut().map(|draft| &mut draft.server) {
        if let Some(known) = first.get(&server.name) {
            let own = names.other(&server.name);
            let message = format!("the server '{}' is already there on line {}", shown(&server.name), known.line);
            let help = Some(format!("it is called '{0}' at run time; write 'server {0} ...'", shown(&own)));
            // haproxy does not look at a section that is disabled.
            if in_use {
                world.warn(server.span, message, help)
            } else {
                world.notice(server.span, message, help)
            }
            server.name.clone_from(&own);
        }
        first.insert(server.name.clone(), server.span);
    }
}

fn finish_server(draft: ServerDraft, of_backend: &CheckKind, in_use: bool, world: &mut World<'_>) -> Server {
    let mut server = draft.server;
    let options = draft.v2_options != Default::default();
    server.send_proxy = match (draft.send_proxy_v2, draft.send_proxy || options) {
        (true, _) => Some(SendProxy::V2(draft.v2_options)),
        // haproxy sends a version 1 header as soon as there are options; it is kept, and told.
        (false, true) => Some(SendProxy::V1),
        (false, false) => None,
    };
    if options && !draft.send_proxy_v2 {
        world.notice(
            server.span,
            "'proxy-v2-options' without 'send-proxy-v2' sends a header of version 1",
            Some("add 'send-proxy-v2', or remove the options".into()),
        );
    }
    // A maxconn below minconn means the latter, and a minconn alone is a fixed limit: so haproxy reads them.
    match (server.minconn, server.maxconn) {
        (Some(low), None) => server.maxconn = Some(low),
        (Some(low), Some(high)) if high < low => server.maxconn = Some(low),
        _ => {}
    }
    if server.minconn == server.maxconn {
        server.minconn = None;
    }
    if draft.check {
        let settings = draft.settings;
        let check = settings.kind(of_backend);
        let is_http = check.is_http();
        let needs_port = if let CheckKind::Script(script) = check { script.needs_port() } else { true };
        let port = settings.port;
        let own_target = settings.address.is_none() && port.is_none();
        server.check = Some(ServerCheck { send_proxy: draft.check_send_proxy || (own_target && server.send_proxy.is_some()), ..settings });
        let no_port = matches!(server.address, ServerAddress::Ip { port: ServerPort::Offset(_), .. });
        if in_use && let Some(http) = draft.check_proto.filter(|http| *http != is_http) {
            let (said, other) = if http { ("h1", "none") } else { ("none", "h1") };
            let message = format!("the server '{}' is not checked in the protocol '{said}'", shown(&server.name));
            world.error(server.span, message, Some(format!("remove 'check-proto', or write 'check-proto {other}'")));
        }
        if in_use && no_port && port.is_none() && needs_port {
            let message = format!("the server '{}' cannot be checked: it has no port of its own", shown(&server.name));
            let help = "add 'port <port>' behind 'check', or a port to the address, or begin the rules of the check with 'connect port'";
            world.error(server.span, message, Some(help.into()));
        }
    }
    server
}

fn listeners(draft: &mut Draft, world: &mut World<'_>) {
    if !draft.proxy.kind.is_frontend() {
        return;
    }
    if draft.proxy.binds.is_empty() && !draft.proxy.disabled {
        let (message, help) = match draft.proxy.kind {
            ProxyKind::Frontend => {
                ("this frontend has no 'bind' line: nothing reaches it", "add 'bind <address>:<port>', or make it a backend")
            }
            _ => (
                "this section has no 'bind' line: nothing reaches it but by 'default_backend'",
                "add 'bind <address>:<port>', or make it a backend",
            ),
        };
        world.warn(draft.proxy.span, message, Some(help.into()));
    }
    let mut taken: HashMap<u32, Span> = HashMap::new();
    for bind in draft.proxy.binds.iter().filter(|bind| bind.id > 0) {
        if let Some(first) = taken.insert(bind.id, bind.span) {
            let message = format!("the id {} is already taken on line {}", bind.id, first.line);
            world.error(bind.span, message, Some("each listener of a proxy has its own id".into()));
        }
    }
    let mut next = 1;
    let mut used: HashSet<u32> = taken.into_keys().collect();
    for bind in &mut draft.proxy.binds {
        if bind.id == 0 {
            bind.id = free(&mut next, |id| used.contains(&id));
            // A line with several addresses takes as many numbers.
            let more = u32::try_from(bind.addresses.len()).unwrap_or(u32::MAX).saturating_sub(1);
            used.extend(next..next.saturating_add(more));
        }
    }
}

/// `mode health` and `monitor-net`.
fn probes(draft: &mut Draft) {
    let checked = draft.proxy.check.is_http();
    let http = draft.proxy.mode == Mode::Http;
    draft.proxy.probes = match (draft.mode_health, draft.monitor_net) {
        _ if !draft.proxy.kind.is_frontend() => None,
        (true, _) => Some(Probes { from: None, answer: if checked { Probes::HTTP_OK } else { Probes::OK } }),
        (false, Some(net)) => Some(Probes { from: Some(net), answer: if http { Probes::HTTP_OK } else { b"" } }),
        (false, None) => None,
    };
}

/// Takes away what a side has no use for.
fn prune(draft: Draft) -> Proxy {
    let mut proxy = draft.proxy;
    debug_assert!(draft.section != Sections::DEFAULTS);
    if let Some(rules) = &mut proxy.rules {
        // What defaults hand down and this side never goes through.
        if !proxy.kind.is_frontend() {
            rules.connection.clear();
            rules.session.clear();
            rules.use_backend.clear();
            rules.monitor_fail.clear();
        }
        if !proxy.kind.is_backend() {
            rules.answer.clear();
            rules.use_server.clear();
            rules.persist.clear();
        }
    }
    if !proxy.kind.is_frontend() {
        proxy.binds.clear();
        proxy.maxconn = None;
        proxy.backlog = None;
        proxy.rate_limit_sessions = None;
        proxy.monitor_uri = None;
        proxy.timeouts.client = None;
        proxy.timeouts.client_fin = None;
        proxy.options.client_keepalive = None;
    }
    if !proxy.kind.is_backend() {
        proxy.servers.clear();
        proxy.fullconn = None;
        proxy.timeouts.connect = None;
        proxy.timeouts.server = None;
        proxy.timeouts.server_fin = None;
        proxy.timeouts.queue = None;
        proxy.timeouts.check = None;
        proxy.timeouts.tunnel = None;
        proxy.options.server_keepalive = None;
        proxy.source = None;
        proxy.email_alert = None;
        proxy.http_send_name_header = None;
    }
    proxy
}
