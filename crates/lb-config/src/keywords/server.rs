//! `server` and `default-server` lines and the parameters that are read. Source: manual 5.2.

use super::bind::unknown;
use super::{Context, Keyword, Parser, State};
use crate::address::{Address, Port};
use crate::diag::Problem;
use crate::model::{ServerAddress, ServerHashKey, ServerPort, Source};
use crate::parse::{InitAddr, Line, Params, ProxyCx, ServerCx, ServerDraft, World, address, check_name, resolve_host, tell};
use crate::tree::{Directive, shown};
use std::ops::RangeInclusive;
use std::time::Duration;

type Outcome = Result<(), Problem>;
type Function = fn(&mut ServerCx<'_, '_>, &mut Params<'_, '_>) -> Outcome;

const fn works(name: &'static str, args: &'static str, doc: &'static str, parser: Function) -> Keyword {
    Keyword::new(Context::Server, name, args, doc, State::Works, Parser::Server(parser))
}

pub(super) const KEYWORDS: &[Keyword] = &[
    works("addr", "<ip>[:<port>]", "address for checks", addr),
    works("backup", "", "used only when no other server is up", |cx, _| flag(&mut cx.server.server.backup, true)),
    works("no-backup", "", "takes 'backup' back", |cx, _| flag(&mut cx.server.server.backup, false)),
    works("check", "", "checks the server", |cx, _| flag(&mut cx.server.check, true)),
    works("no-check", "", "takes 'check' back", |cx, _| flag(&mut cx.server.check, false)),
    works("check-send-proxy", "", "checks start with a PROXY header", |cx, _| flag(&mut cx.server.check_send_proxy, true)),
    works("no-check-send-proxy", "", "takes 'check-send-proxy' back", |cx, _| flag(&mut cx.server.check_send_proxy, false)),
    works("disabled", "", "starts in maintenance", |cx, _| flag(&mut cx.server.server.disabled, true)),
    works("enabled", "", "takes 'disabled' back", |cx, _| flag(&mut cx.server.server.disabled, false)),
    works("downinter", "<time>", "time between checks while the server is down", |cx, params| {
        cx.server.settings.downinter = Some(interval(params)?);
        Ok(())
    }),
    works("fall", "<count>", "failed checks in a row that take the server down", |cx, params| {
        cx.server.settings.fall = params.count(1)?;
        Ok(())
    }),
    works("fastinter", "<time>", "time between checks while the state is changing", |cx, params| {
        cx.server.settings.fastinter = Some(interval(params)?);
        Ok(())
    }),
    Keyword::new(
        Context::Server,
        "guid",
        "<text>",
        "identifier, unique over proxies, listeners and servers",
        State::Accepted("concerns statistics only"),
        Parser::Server(guid),
    ),
    works("hash-key", "id|addr|addr-port", "what a server's place on the ring of 'hash-type consistent' follows from", |cx, params| {
        cx.server.server.hash_key = Some(match params.value()? {
            "id" => ServerHashKey::Id,
            "addr" => ServerHashKey::Addr,
            "addr-port" => ServerHashKey::AddrPort,
            other => {
                return Err(params
                    .problem(format!("'hash-key' does not take '{}'", shown(other)))
                    .help("'hash-key' takes 'id', 'addr' and 'addr-port'"));
            }
        });
        Ok(())
    }),
    works("healthcheck", "<name>", "is checked as the section 'healthcheck <name>' says, not as its backend says", |cx, params| {
        let name = params.value()?.to_owned();
        cx.server.healthcheck = Some(Box::new((name, params.span())));
        Ok(())
    }),
    works("id", "<number>", "number of the server in statistics", id),
    works("init-addr", "<method>[,...]", "how the address is found at the start: last, libc, none or an address", init_addr),
    works("inter", "<time>", "time between checks", |cx, params| {
        cx.server.settings.inter = interval(params)?;
        Ok(())
    }),
    works("max-reuse", "<count>", "requests on one connection after its first; -1 for no limit", |cx, params| {
        cx.server.server.max_reuse = u32::try_from(params.number(-1..=i64::from(i32::MAX))?).ok();
        Ok(())
    }),
    works("maxconn", "<number>", "streams at once; 0 for no limit", |cx, params| {
        cx.server.server.maxconn = positive(params)?;
        Ok(())
    }),
    works("maxqueue", "<number>", "streams that wait for this server; 0 for no limit", |cx, params| {
        cx.server.server.maxqueue = positive(params)?;
        Ok(())
    }),
    works("minconn", "<number>", "maxconn grows from here with the backend's load", |cx, params| {
        cx.server.server.minconn = positive(params)?;
        Ok(())
    }),
    works("pool-low-conn", "<number>", "idle connections below which threads leave each other's alone", |cx, params| {
        cx.server.server.pool.low_conn = params.count(0)?;
        Ok(())
    }),
    works("pool-max-conn", "<number>", "idle connections at most; -1 for no limit", |cx, params| {
        cx.server.server.pool.max_conn = u32::try_from(params.number(-1..=i64::from(i32::MAX))?).ok();
        Ok(())
    }),
    works("pool-purge-delay", "<time>", "half of the unused idle connections are closed this often", |cx, params| {
        cx.server.server.pool.purge_delay = params.time()?;
        Ok(())
    }),
    works("port", "<port>", "port for checks", |cx, params| {
        cx.server.settings.port = Some(params.number(0..=65535)? as u16).filter(|port| *port > 0);
        Ok(())
    }),
    works("proto", "h1", "protocol of the connections", proto),
    works("check-proto", "h1|none", "protocol of the checks: h1 for HTTP, none for all others", check_proto),
    works("proxy-v2-options", "<option>[,...]", "what a PROXY v2 header carries: authority, crc32c, unique-id", v2_options),
    works("rise", "<count>", "good checks in a row that bring the server up", |cx, params| {
        cx.server.settings.rise = params.count(1)?;
        Ok(())
    }),
    works("send-proxy", "", "connections start with a PROXY v1 header", |cx, _| flag(&mut cx.server.send_proxy, true)),
    works("no-send-proxy", "", "takes 'send-proxy' back", |cx, _| flag(&mut cx.server.send_proxy, false)),
    works("send-proxy-v2", "", "connections start with a PROXY v2 header", |cx, _| flag(&mut cx.server.send_proxy_v2, true)),
    works("no-send-proxy-v2", "", "takes 'send-proxy-v2' back", |cx, _| flag(&mut cx.server.send_proxy_v2, false)),
    works("slowstart", "<time>", "time in which weight and maxconn grow after coming up; whole seconds", |cx, params| {
        cx.server.server.slowstart = Some(params.time()?).filter(|value| !value.is_zero());
        Ok(())
    }),
    works("source", "<address>[:<port>]", "local address of connections to the server", source),
    works("tcp-ut", "<time>", "time after which unacknowledged data ends a connection", |cx, params| {
        cx.server.server.tcp_user_timeout = Some(params.time()?).filter(|value| !value.is_zero());
        Ok(())
    }),
    works("weight", "<0..256>", "share of the traffic", |cx, params| {
        cx.server.server.weight = params.number(0..=256)? as u16;
        Ok(())
    }),
];

fn flag(slot: &mut bool, value: bool) -> Outcome {
    *slot = value;
    Ok(())
}

fn positive(params: &mut Params<'_, '_>) -> Result<Option<u32>, Problem> {
    Ok(Some(params.count(0)?).filter(|value| *value > 0))
}

fn interval(params: &mut Params<'_, '_>) -> Result<Duration, Problem> {
    let value = params.time()?;
    if value.is_zero() {
        return Err(params.problem("checks cannot follow each other without any time between").help("write a time from 1ms"));
    }
    Ok(value)
}

fn guid(cx: &mut ServerCx<'_, '_>, params: &mut Params<'_, '_>) -> Outcome {
    let text = params.value()?.to_owned();
    if cx.is_default {
        return Err(params.problem("each server has its own guid").help("move 'guid' to the 'server' lines"));
    }
    cx.world.take_guid(text, params.at - 1, params.span())
}

fn id(cx: &mut ServerCx<'_, '_>, params: &mut Params<'_, '_>) -> Outcome {
    let value = params.count(1)?;
    if cx.is_default {
        // An alert of haproxy that stops nothing.
        cx.world.notice(params.span(), "each server has its own id; this one is nobody's", Some("move 'id' to the 'server' lines".into()));
        return Ok(());
    }
    cx.server.server.id = value;
    cx.server.id = Some(params.span());
    Ok(())
}

fn addr(cx: &mut ServerCx<'_, '_>, params: &mut Params<'_, '_>) -> Outcome {
    let text = params.value()?;
    let word = params.at - 1;
    match address(text, word, &cx.world.variables)? {
        Address::Inet { host, port } => {
            cx.server.settings.address = Some(resolve_host(&host, word, cx.world.source)?);
            match port {
                Port::None | Port::One(0) => {}
                Port::One(port) => cx.server.settings.port = Some(port),
                Port::Range(..) | Port::Offset(_) => {
                    return Err(params.problem("a check has one port").help("write 'addr <ip> port <port>'"));
                }
            }
            Ok(())
        }
        _ => Err(params.problem("'addr' takes an IP address").help("write 'addr <ip> port <port>'")),
    }
}

fn proto(_cx: &mut ServerCx<'_, '_>, params: &mut Params<'_, '_>) -> Outcome {
    match params.value()? {
        "h1" => Ok(()),
        "h2" | "fcgi" | "none" => {
            Err(params.problem("this protocol is known but not there yet in this version").help("'proto' takes 'h1'"))
        }
        other => Err(params.problem(format!("unknown protocol '{}'", shown(other))).help("'proto' takes 'h1'")),
    }
}

fn check_proto(cx: &mut ServerCx<'_, '_>, params: &mut Params<'_, '_>) -> Outcome {
    let http = params.peek() != Some("none");
    if http {
        proto(cx, params)?
    } else {
        params.value().map(drop)?
    }
    cx.server.check_proto = Some(http);
    Ok(())
}

fn v2_options(cx: &mut ServerCx<'_, '_>, params: &mut Params<'_, '_>) -> Outcome {
    let text = params.value()?;
    for option in text.split(',') {
        match option {
            "authority" => cx.server.v2_options.authority = true,
            "crc32c" => cx.server.v2_options.crc32c = true,
            "unique-id" => cx.server.v2_options.unique_id = true,
            "ssl" | "cert-cn" | "ssl-cipher" | "cert-sig" | "cert-key" => {
                return Err(params.problem(format!("the option '{option}' is known but not there yet in this version (TLS)")));
            }
            other => {
                return Err(params
                    .problem(format!("unknown option '{}'", shown(other)))
                    .help("'proxy-v2-options' takes authority, crc32c, unique-id"));
            }
        }
    }
    Ok(())
}

fn init_addr(cx: &mut ServerCx<'_, '_>, params: &mut Params<'_, '_>) -> Outcome {
    let text = params.value()?;
    let mut list = Vec::new();
    // Empty ones are let pass, as in haproxy.
    for method in text.split(',').filter(|method| !method.is_empty()) {
        list.push(match method {
            "last" => InitAddr::Last,
            "libc" => InitAddr::Libc,
            "none" => InitAddr::None,
            other => InitAddr::Ip(other.parse().map_err(|_| {
                params
                    .problem(format!("'{}' is not a way to find an address", shown(other)))
                    .help("'init-addr' takes last, libc, none or an IP address")
            })?),
        });
    }
    cx.server.init_addr = Some(list);
    Ok(())
}

fn source(cx: &mut ServerCx<'_, '_>, params: &mut Params<'_, '_>) -> Outcome {
    let text = params.value()?;
    let mut value = Source { address: super::proxy::source_address(text, params.at - 1, cx.world)?, interface: None };
    loop {
        match params.peek() {
            Some("interface") => {
                params.at += 1;
                value.interface = Some(params.value()?.to_owned());
            }
            Some("usesrc") => {
                params.at += 2;
                return Err(Problem::at(params.at - 2, "'usesrc' is known but not there yet in this version (transparent proxying)"));
            }
            _ => break,
        }
    }
    cx.server.server.source = Some(value);
    Ok(())
}

pub(super) fn server(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let name = line.need(0)?;
    line.need(1)?;
    check_name(name, line.first, "a server's name")?;
    let mut draft = read(cx, line, 1)?;
    draft.server.name = name.to_owned();
    cx.draft.servers.push(draft);
    Ok(())
}

/// A server without its name: address `n` of the line and the parameters behind it.
fn read(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>, n: usize) -> Result<ServerDraft, Problem> {
    let text = line.need(n)?;
    let word = line.first + n;
    let mut draft = cx.draft.default_server.clone();
    draft.server.span = line.span();
    // Parameters first: `init-addr` says how the name is resolved.
    parameters(&mut draft, cx.world, line.directive, word + 1, false);
    let parsed = address(text, word, &cx.world.variables)?;
    draft.server.address = server_address(&mut draft, parsed, word, cx.world)?;
    Ok(draft)
}

/// Servers that all `server-template` lines may make. haproxy has no limit, and takes minutes for so many.
const MAX_TEMPLATE_SERVERS: usize = 100_000;

/// Servers that differ in their names only. Each would take an address of its own from name resolution at run time; without that
/// all have the one that the name has at the start.
pub(super) fn server_template(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let prefix = line.need(0)?;
    let numbers = template_numbers(line)?;
    check_name(prefix, line.first, "the start of a server's name")?;
    let total = cx.world.template_servers.saturating_add((numbers.end() - numbers.start()) as usize + 1);
    if total > MAX_TEMPLATE_SERVERS {
        let problem = line.problem(1, "too many servers by 'server-template'");
        return Err(problem.help("all lines together may make 100000"));
    }
    let mut draft = read(cx, line, 2)?;
    cx.world.template_servers = total;
    for number in numbers {
        draft.server.name = format!("{prefix}{number}");
        cx.draft.servers.push(draft.clone());
        // An id is that of the first one.
        draft.id = None;
        draft.server.id = 0;
    }
    Ok(())
}

/// `<count>` or `<low>-<high>`
fn template_numbers(line: &Line<'_>) -> Result<RangeInclusive<u32>, Problem> {
    let text = line.need(1)?;
    let number = |text: &str| text.parse::<u32>().ok().filter(|n| text.bytes().all(|byte| byte.is_ascii_digit()) && *n <= i32::MAX as u32);
    let range = match text.split_once('-') {
        None => number(text).filter(|count| *count > 0).map(|count| 1..=count),
        Some((low, high)) => number(low).zip(number(high)).map(|(low, high)| low..=high),
    };
    range.filter(|range| !range.is_empty()).ok_or_else(|| {
        line.problem(1, format!("'{}' is neither a number of servers nor a range", shown(text)))
            .help("write a number from 1, or the first and the last one as in 1-5")
    })
}

pub(super) fn default_server(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    parameters(&mut cx.draft.default_server, cx.world, line.directive, line.first, true);
    Ok(())
}

fn parameters(draft: &mut ServerDraft, world: &mut World<'_>, directive: &Directive<'_>, first: usize, is_default: bool) {
    let line = if is_default { "default-server" } else { "server" };
    let mut next = first;
    while let Some(word) = directive.words.get(next) {
        let Some(keyword) = world.lookup.get(Context::Server, &word.text) else {
            let mut problem = unknown(world, &word.text, next, Context::Server, line);
            if is_default
                && next == first
                && crate::address::parse(&word.text, crate::address::Use::Stream).is_ok()
                && word.text.contains([':', '.', '/'])
            {
                problem = problem.help("'default-server' has no address: write its parameters only");
            }
            tell(world, directive, problem);
            next += 1;
            continue;
        };
        if let State::Refused(what) = keyword.state {
            let message = format!("'{}' is known but not there yet in this version ({what})", keyword.name);
            tell(
                world,
                directive,
                Problem::at(next, message).help("remove it if its effect is not needed; nothing is left out in silence"),
            );
            next += 1 + usize::from(!keyword.args.is_empty());
            continue;
        }
        world.without_effect(keyword, directive, next);
        let mut cursor = Params { directive, keyword, name: next, at: next + 1 };
        if let Parser::Server(parser) = keyword.parser
            && let Err(problem) = parser(&mut ServerCx { server: draft, is_default, world }, &mut cursor)
        {
            tell(world, directive, problem);
        }
        next = cursor.at;
    }
}

fn server_address(draft: &mut ServerDraft, parsed: Address, word: usize, world: &mut World<'_>) -> Result<ServerAddress, Problem> {
    let (host, port) = match parsed {
        Address::Unix(address) => return Ok(ServerAddress::Unix(address)),
        Address::Pair(fd) => return Ok(ServerAddress::Pair(fd)),
        Address::Inet { host, port } => (host, port),
        Address::Fd(_) | Address::Standard(_) | Address::Ring(_) | Address::Stream(_) => {
            return Err(Problem::at(word, "a server is an address, not a file descriptor").help("write 'server <name> <ip>:<port>'"));
        }
    };
    let port = match port {
        // No port, or port 0: the one that the client connected to.
        Port::None | Port::One(0) => ServerPort::Offset(0),
        Port::One(port) => ServerPort::Fixed(port),
        Port::Offset(offset) => ServerPort::Offset(offset),
        Port::Range(..) => {
            return Err(Problem::at(word, "a server has one port").help("write a port, or '+<n>' for an offset to the client's"));
        }
    };
    let crate::address::Host::Name(name, family) = &host else {
        return Ok(ServerAddress::Ip { ip: resolve_host(&host, word, world.source)?, port });
    };
    draft.server.hostname = Some(name.clone());
    let mut methods = draft.init_addr.clone().unwrap_or_else(|| vec![InitAddr::Last, InitAddr::Libc]);
    if world.source.switches.ignore_unresolved {
        methods.push(InitAddr::None);
    }
    let mut asked = false;
    for method in methods {
        match method {
            InitAddr::Last => {}
            InitAddr::Ip(ip) => return Ok(ServerAddress::Ip { ip, port }),
            InitAddr::Libc => {
                asked = true;
                if let Some(ip) = host.resolve(world.source.resolver) {
                    return Ok(ServerAddress::Ip { ip, port });
                }
            }
            InitAddr::None => {
                // Without resolvers it will never get one: it stays out of service, as in haproxy.
                if asked {
                    let message = format!("the name '{}' has no address; the server is disabled", shown(name));
                    world.warn(draft.server.span, message, Some("write an IP address, or see that the name can be resolved".into()));
                }
                draft.server.disabled = true;
                let ip = match family {
                    crate::address::Family::V6 => std::net::Ipv6Addr::UNSPECIFIED.into(),
                    _ => std::net::Ipv4Addr::UNSPECIFIED.into(),
                };
                return Ok(ServerAddress::Ip { ip, port });
            }
        }
    }
    Err(Problem::at(word, format!("the name '{}' has no address", shown(name)))
        .help("write an IP address, or see that the name can be resolved when the proxy starts; 'init-addr libc,none' starts without it"))
}
