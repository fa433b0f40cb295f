//! `bind` lines and their parameters. Source: manual 4.2 `bind`, 5.1.

use super::{Context, Keyword, Parser, State};
use crate::address::{Address, Host, Port};
use crate::diag::{Problem, Severity};
use crate::model::{Account, Bind, BindAddress, CliLevel, SeverityOutput, Shards, UnixAddress, V6Mode};
use crate::parse::{BindCx, GlobalCx, Line, Params, ProxyCx, World, address, resolve_host, tell};
use crate::tree::{Directive, shown};
use std::net::SocketAddr;

type Outcome = Result<(), Problem>;
type Function = fn(&mut BindCx<'_>, &mut Params<'_, '_>) -> Outcome;

const fn works(name: &'static str, args: &'static str, doc: &'static str, parser: Function) -> Keyword {
    Keyword::new(Context::Bind, name, args, doc, State::Works, Parser::Bind(parser))
}

/// Takes no value and has no effect.
const fn idle(name: &'static str, doc: &'static str, why: &'static str) -> Keyword {
    Keyword::new(Context::Bind, name, "", doc, State::Accepted(why), Parser::Bind(|_, _| Ok(())))
}

/// Takes a value and has no effect.
const fn skipped(name: &'static str, args: &'static str, doc: &'static str, why: &'static str) -> Keyword {
    Keyword::new(Context::Bind, name, args, doc, State::Accepted(why), Parser::Bind(|_, params| params.value().map(drop)))
}

const fn refused(name: &'static str, args: &'static str, doc: &'static str, what: &'static str) -> Keyword {
    Keyword::new(Context::Bind, name, args, doc, State::Refused(what), Parser::None)
}

const WITHOUT_TLS: &str = "says what is so without TLS";
const TLS: &str = "TLS";
const QUIC: &str = "QUIC";

pub(super) const KEYWORDS: &[Keyword] = &[
    works("accept-proxy", "", "connections start with a PROXY header", |cx, _| set(&mut cx.bind.accept_proxy)),
    works("accept-netscaler-cip", "<magic number>", "connections start with a NetScaler header", |cx, params| {
        let magic = params.number(1..=i64::from(u32::MAX))?;
        cx.bind.accept_netscaler_cip = u32::try_from(magic).ok();
        Ok(())
    }),
    works("backlog", "<number>", "connections that the system queues", |cx, params| {
        cx.bind.backlog = Some(params.count(0)?).filter(|value| *value > 0);
        Ok(())
    }),
    works("defer-accept", "", "accepts when data has come (TCP_DEFER_ACCEPT)", |cx, _| set(&mut cx.bind.defer_accept)),
    works("gid", "<number>", "group of a UNIX socket's path", |cx, params| {
        cx.bind.unix.group = Some(Account::Id(params.count(0)?));
        Ok(())
    }),
    works("group", "<name>", "group of a UNIX socket's path", |cx, params| {
        cx.bind.unix.group = Some(Account::Name(params.value()?.to_owned()));
        Ok(())
    }),
    works("id", "<number>", "number of the listener in statistics", |cx, params| {
        cx.bind.id = params.count(1)?;
        Ok(())
    }),
    works("interface", "<name>", "takes connections of this interface only", interface),
    works("maxconn", "<number>", "connections at once of this line", |cx, params| {
        cx.bind.maxconn = Some(params.count(0)?).filter(|value| *value > 0);
        Ok(())
    }),
    works("mode", "<octal>", "permission of a UNIX socket's path", mode),
    works("mss", "<bytes>", "TCP_MAXSEG; negative: so much below the path's", mss),
    works("name", "<name>", "name in logs and statistics", |cx, params| {
        cx.bind.name = Some(params.value()?.to_owned());
        Ok(())
    }),
    Keyword::new(
        Context::Bind,
        "nice",
        "<-1024..1024>",
        "priority among the listeners",
        State::Accepted("order of work inside, not what traffic gets"),
        Parser::Bind(|cx, params| {
            cx.bind.nice = params.number(-1024..=1024)? as i16;
            Ok(())
        }),
    ),
    works("proto", "h1", "protocol of the connections", proto),
    Keyword::new(
        Context::Bind,
        "shards",
        "<1..64>|by-thread",
        "listening sockets for each address",
        State::Accepted("every thread has a listening socket of its own for each address"),
        Parser::Bind(shards),
    ),
    works("tcp-ss", "0|1|2", "the kernel keeps the headers that a connection begins with, for 'fc_saved_syn'", |cx, params| {
        cx.bind.save_syn = params.choice(&[("0", 0), ("1", 1), ("2", 2)])?;
        Ok(())
    }),
    works("tcp-ut", "<time>", "time after which unacknowledged data ends a connection", |cx, params| {
        cx.bind.tcp_user_timeout = Some(params.time()?).filter(|value| !value.is_zero());
        Ok(())
    }),
    works("tfo", "", "TCP fast open", |cx, _| set(&mut cx.bind.tfo)),
    works("uid", "<number>", "owner of a UNIX socket's path", |cx, params| {
        cx.bind.unix.user = Some(Account::Id(params.count(0)?));
        Ok(())
    }),
    works("user", "<name>", "owner of a UNIX socket's path", |cx, params| {
        cx.bind.unix.user = Some(Account::Name(params.value()?.to_owned()));
        Ok(())
    }),
    works("v4v6", "", "an IPv6 wildcard takes IPv4 as well", |cx, _| {
        cx.bind.family = V6Mode::Both;
        Ok(())
    }),
    works("v6only", "", "an IPv6 wildcard takes IPv6 only", |cx, _| {
        cx.bind.family = V6Mode::V6Only;
        Ok(())
    }),
    // Of 'stats socket' lines; without a meaning for others.
    works("level", "user|operator|admin", "rights of the clients of a run-time socket; operator when absent", |cx, params| {
        cx.bind.level = params.choice(&[("user", CliLevel::User), ("operator", CliLevel::Operator), ("admin", CliLevel::Admin)])?;
        Ok(())
    }),
    works("severity-output", "none|number|string", "severity before the messages of a run-time socket", |cx, params| {
        let choices = [("none", SeverityOutput::None), ("number", SeverityOutput::Number), ("string", SeverityOutput::String)];
        cx.bind.severity = params.choice(&choices)?;
        Ok(())
    }),
    works("expose-fd", "listeners", "a run-time socket hands the listeners over", |cx, params| {
        params.choice(&[("listeners", ())])?;
        set(&mut cx.bind.expose_listeners)
    }),
    // Read, without effect.
    Keyword::new(
        Context::Bind,
        "process",
        "<set>",
        "processes of the listener (until 2.6)",
        State::Gone("there is one process"),
        Parser::Bind(|_, params| params.value().map(drop)),
    ),
    Keyword::new(
        Context::Bind,
        "thread",
        "[<group>/]all|odd|even|<n>[-<n>]",
        "threads of the listener",
        State::Accepted("which thread serves a connection changes none of its bytes"),
        Parser::Bind(threads),
    ),
    skipped("label", "<name>", "label of the listener", "concerns statistics only"),
    Keyword::new(
        Context::Bind,
        "guid-prefix",
        "<prefix>",
        "start of the listeners' identifiers; unique",
        State::Accepted("concerns statistics only"),
        Parser::Bind(|cx, params| {
            *cx.guid_prefix = Some((params.value()?.to_owned(), params.at - 1));
            Ok(())
        }),
    ),
    skipped("nbconn", "<number>", "connections of a reverse listener", "has a meaning for reverse listeners only"),
    idle("no-sslv3", "no SSLv3", WITHOUT_TLS),
    idle("no-tlsv10", "no TLS 1.0", WITHOUT_TLS),
    idle("no-tlsv11", "no TLS 1.1", WITHOUT_TLS),
    idle("no-tlsv12", "no TLS 1.2", WITHOUT_TLS),
    idle("no-tlsv13", "no TLS 1.3", WITHOUT_TLS),
    idle("no-tls-tickets", "no session tickets", WITHOUT_TLS),
    idle("no-ca-names", "sends no names of authorities", WITHOUT_TLS),
    idle("no-alpn", "no protocol negotiation", WITHOUT_TLS),
    idle("no-strict-sni", "any name will do", WITHOUT_TLS),
    // Known, not there yet.
    refused("cc", "<algorithm>", "congestion control", "choice of congestion control"),
    refused("idle-ping", "<time>", "probes of idle HTTP/2 connections", "HTTP/2"),
    refused("namespace", "<name>", "network namespace", "network namespaces"),
    refused("tcp-md5sig", "<password>", "TCP MD5 signatures", "TCP MD5 signatures"),
    refused("transparent", "", "takes connections to foreign addresses", "transparent proxying"),
    refused("quic-cc-algo", "<algorithm>", "congestion control of QUIC", QUIC),
    refused("quic-force-retry", "", "address validation of QUIC", QUIC),
    refused("quic-socket", "<mode>", "sockets of QUIC", QUIC),
    refused("allow-0rtt", "", "early data", TLS),
    refused("alpn", "<protocols>", "protocols to negotiate", TLS),
    refused("ca-file", "<file>", "authorities of client certificates", TLS),
    refused("ca-ignore-err", "<errors>", "certificate errors to ignore", TLS),
    refused("ca-sign-file", "<file>", "authority that signs generated certificates", TLS),
    refused("ca-sign-pass", "<text>", "its passphrase", TLS),
    refused("ca-verify-file", "<file>", "authorities that are not announced", TLS),
    refused("ciphers", "<list>", "ciphers up to TLS 1.2", TLS),
    refused("ciphersuites", "<list>", "ciphers of TLS 1.3", TLS),
    refused("client-sigalgs", "<list>", "signature algorithms of clients", TLS),
    refused("crl-file", "<file>", "revoked certificates", TLS),
    refused("crt", "<file>", "certificate", TLS),
    refused("crt-ignore-err", "<errors>", "certificate errors to ignore", TLS),
    refused("crt-list", "<file>", "list of certificates", TLS),
    refused("curves", "<list>", "elliptic curves", TLS),
    refused("default-crt", "<file>", "certificate for names that match none", TLS),
    refused("ecdhe", "<curve>", "elliptic curve", TLS),
    refused("ech", "<directory>", "encrypted client hello", TLS),
    refused("force-sslv3", "", "SSLv3 alone", TLS),
    refused("force-tlsv10", "", "TLS 1.0 alone", TLS),
    refused("force-tlsv11", "", "TLS 1.1 alone", TLS),
    refused("force-tlsv12", "", "TLS 1.2 alone", TLS),
    refused("force-tlsv13", "", "TLS 1.3 alone", TLS),
    refused("generate-certificates", "", "certificates made on the fly", TLS),
    refused("ktls", "<on|off>", "TLS in the kernel", TLS),
    refused("npn", "<protocols>", "protocols to negotiate", TLS),
    refused("prefer-client-ciphers", "", "the client's order of ciphers", TLS),
    refused("sigalgs", "<list>", "signature algorithms", TLS),
    refused("ssl", "", "TLS on the listener", TLS),
    refused("ssl-max-ver", "<version>", "newest version", TLS),
    refused("ssl-min-ver", "<version>", "oldest version", TLS),
    refused("strict-sni", "", "refuses names that match none", TLS),
    refused("tls-ticket-keys", "<file>", "keys of session tickets", TLS),
    refused("tls-tickets", "", "session tickets", TLS),
    refused("verify", "<mode>", "client certificates", TLS),
];

fn set(flag: &mut bool) -> Outcome {
    *flag = true;
    Ok(())
}

/// Linux: IFNAMSIZ less the final zero.
fn interface(cx: &mut BindCx<'_>, params: &mut Params<'_, '_>) -> Outcome {
    let name = params.value()?;
    if name.len() > 15 || name.contains('/') {
        return Err(params.problem(format!("'{}' is not an interface name", shown(name))).help("interface names have at most 15 bytes"));
    }
    cx.bind.interface = Some(name.to_owned());
    Ok(())
}

fn mode(cx: &mut BindCx<'_>, params: &mut Params<'_, '_>) -> Outcome {
    let text = params.value()?;
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
    cx.bind.unix.mode =
        Some(mode.ok_or_else(|| params.problem(format!("'{}' is not an octal mode", shown(text))).help("for example 660"))?);
    Ok(())
}

fn mss(cx: &mut BindCx<'_>, params: &mut Params<'_, '_>) -> Outcome {
    let value = params.number(-65535..=65535)?;
    if value == 0 {
        return Err(params.problem("0 is not a segment size").help("'mss' takes 1 to 65535, or a negative number"));
    }
    cx.bind.mss = i32::try_from(value).ok();
    Ok(())
}

fn proto(_cx: &mut BindCx<'_>, params: &mut Params<'_, '_>) -> Outcome {
    match params.value()? {
        "h1" => Ok(()),
        "h2" => Err(params.problem("'proto h2' is known but not there yet in this version (HTTP/2)")),
        "none" | "quic" | "fcgi" => {
            Err(params.problem("this protocol is known but not there yet in this version").help("'proto' takes 'h1'"))
        }
        other => Err(params.problem(format!("unknown protocol '{}'", shown(other))).help("'proto' takes 'h1'")),
    }
}

fn shards(cx: &mut BindCx<'_>, params: &mut Params<'_, '_>) -> Outcome {
    cx.bind.shards = match params.peek() {
        Some("by-thread" | "by-group") => {
            params.at += 1;
            Shards::ByThread
        }
        _ => Shards::Count(params.number(1..=64)? as u32),
    };
    Ok(())
}

/// Threads and groups of them that a set may name.
const MAX_THREADS: u32 = 64;
const MAX_GROUPS: u32 = 16;

/// A set of threads, read for its form alone.
fn threads(_cx: &mut BindCx<'_>, params: &mut Params<'_, '_>) -> Outcome {
    let text = params.value()?;
    let number = |text: &str, most: u32| text.parse::<u32>().is_ok_and(|n| (1..=most).contains(&n));
    let set = match text.split_once('/') {
        Some((group, set)) if number(group, MAX_GROUPS) => set,
        Some(_) => "",
        None => text,
    };
    let range = set.split_once('-').is_some_and(|(low, high)| number(low, MAX_THREADS) && number(high, MAX_THREADS));
    if matches!(set, "all" | "odd" | "even") || range || number(set, MAX_THREADS) {
        return Ok(());
    }
    let message = format!("'{}' is not a set of threads", shown(text));
    Err(params.problem(message).help("write 'all', 'odd', 'even', a number from 1 to 64 or two with '-', perhaps behind a group: '1/1-4'"))
}

/// `bind` of a frontend or listen.
pub(super) fn bind(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    line.need(0)?;
    bind_line(cx, line.directive, line.first);
    Ok(())
}

/// `stats socket` of `global`.
pub(super) fn stats_socket(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    line.need(0)?;
    // As haproxy has it, 'unix-bind' is for proxies.
    let (prefix, unix) = (cx.world.unix_prefix.take(), std::mem::take(&mut cx.world.unix_bind));
    let bind = read(cx.world, line.directive, line.first, Some("stats socket"));
    no_pairs(&bind, "stats socket")?;
    (cx.world.unix_prefix, cx.world.unix_bind) = (prefix, unix);
    if bind.accept_proxy || bind.accept_netscaler_cip.is_some() {
        let message = "a header before the commands is known but not there yet in this version for a run-time socket";
        return Err(Problem::at(1, message).help("remove 'accept-proxy' and 'accept-netscaler-cip'"));
    }
    cx.global.stats_sockets.push(bind);
    Ok(())
}

/// A `sockpair@` is for proxies alone.
pub(super) fn no_pairs(bind: &Bind, of: &str) -> Outcome {
    if bind.addresses.iter().any(|address| matches!(address, BindAddress::Pair(_))) {
        return Err(Problem::at(1, format!("a 'sockpair@' is no address for '{of}'")).help("it is for the 'bind' lines of proxies"));
    }
    Ok(())
}

/// Reads addresses at word `at` and the parameters behind; also for an address on the section's own line, which has none.
pub(crate) fn bind_line(cx: &mut ProxyCx<'_, '_>, directive: &Directive<'_>, at: usize) {
    let line_is_bind = at > 0 && directive.words[0].text == "bind";
    let bind = read(cx.world, directive, at, line_is_bind.then_some("bind"));
    if bind.id > 0 && bind.addresses.len() > 1 {
        tell(cx.world, directive, Problem::at(at, "'id' stands on a line with one address").help("give each address its own 'bind' line"));
    }
    cx.draft.proxy.binds.push(bind);
}

/// Addresses in word `at`, and parameters behind it where the line is one that has them.
fn read(world: &mut World<'_>, directive: &Directive<'_>, at: usize, line: Option<&str>) -> Bind {
    let mut bind = Bind { span: directive.span(Some(0)), unix: world.unix_bind.clone(), ..Bind::default() };
    match addresses(&directive.words[at].text, at, world) {
        Ok(addresses) => bind.addresses = addresses,
        Err(problem) => tell(world, directive, problem),
    }
    let mut guid_prefix = None;
    let mut next = at + 1;
    while let (Some(word), Some(line)) = (directive.words.get(next), line) {
        let Some(keyword) = world.lookup.get(Context::Bind, &word.text) else {
            tell(world, directive, unknown(world, &word.text, next, Context::Bind, line));
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
        if let State::Gone(why) = keyword.state {
            let message = format!("'{}' is an old word without effect: {why}", keyword.name);
            let span = directive.span(Some(next));
            world.diagnostics.push(Severity::Warning, span, word.length as usize, message, Some("remove it and its value".into()));
        }
        world.without_effect(keyword, directive, next);
        let mut cursor = Params { directive, keyword, name: next, at: next + 1 };
        if let Parser::Bind(parser) = keyword.parser
            && let Err(problem) = parser(&mut BindCx { bind: &mut bind, guid_prefix: &mut guid_prefix }, &mut cursor)
        {
            tell(world, directive, problem);
        }
        next = cursor.at;
    }
    if let Some((prefix, word)) = guid_prefix {
        let taken = (0..bind.addresses.len()).try_for_each(|n| world.take_guid(format!("{prefix}-{n}"), word, bind.span));
        if let Err(problem) = taken {
            tell(world, directive, problem);
        }
    }
    bind
}

/// A parameter that nobody knows.
pub(super) fn unknown(world: &World<'_>, text: &str, word: usize, context: Context, line: &str) -> Problem {
    let problem = Problem::at(word, format!("unknown parameter '{}' on a '{line}' line", shown(text)));
    match world.diagnostics.nearest(text, super::keywords().filter(|keyword| keyword.context == context).map(|keyword| keyword.name)) {
        Some(near) => problem.help(format!("did you mean '{near}'?")),
        None => problem.help("see docs/keywords.md for all of them"),
    }
}

/// Listening sockets of one line at most; a range over all ports is surely a mistake.
const MAX_ADDRESSES: usize = 65_535;

/// Listening sockets of the whole configuration: more than the system gives a process descriptors for, and few enough to be held.
const MAX_LISTENERS: usize = 1 << 20;

/// `<address>,<address>` with ranges expanded.
fn addresses(text: &str, word: usize, world: &mut World<'_>) -> Result<Vec<BindAddress>, Problem> {
    let mut list = Vec::new();
    // A comma at the end is let pass, as in haproxy.
    for one in text.strip_suffix(',').unwrap_or(text).split(',') {
        match address(one, word, &world.variables)? {
            Address::Fd(fd) => list.push(BindAddress::Fd(fd)),
            Address::Pair(fd) => list.push(BindAddress::Pair(fd)),
            Address::Unix(unix) => list.push(BindAddress::Unix(prefixed(unix, word, world)?)),
            Address::Standard(_) | Address::Ring(_) | Address::Stream(_) => {
                return Err(Problem::at(word, format!("'{}' is not an address to listen on", shown(one))));
            }
            Address::Inet { host, port } => {
                let (low, high) = match port {
                    Port::One(0) => return Err(Problem::at(word, "0 is not a port to listen on").help("write a port from 1 to 65535")),
                    Port::One(port) => (port, port),
                    Port::Range(0, _) => return Err(Problem::at(word, "0 is not a port to listen on").help("write ports from 1 to 65535")),
                    Port::Range(low, high) => (low, high),
                    Port::Offset(_) => {
                        return Err(Problem::at(word, "a port offset belongs to servers").help("write a port from 1 to 65535"));
                    }
                    Port::None => {
                        return Err(
                            Problem::at(word, format!("'{}' has no port", shown(one))).help(format!("write '{}:<port>'", shown(one)))
                        );
                    }
                };
                // Before they are held: a short line can ask for many.
                let more = list.len() + usize::from(high - low) + 1;
                if more > MAX_ADDRESSES {
                    return Err(Problem::at(word, "too many addresses on one line").help("at most 65535"));
                }
                few_listeners(world, more, word)?;
                let ip = match &host {
                    Host::Any => std::net::Ipv4Addr::UNSPECIFIED.into(),
                    host => resolve_host(host, word, world.source)?,
                };
                list.extend((low..=high).map(|port| BindAddress::Tcp(SocketAddr::new(ip, port))));
            }
        }
    }
    world.listeners += list.len();
    Ok(list)
}

fn prefixed(unix: UnixAddress, word: usize, world: &World<'_>) -> Result<UnixAddress, Problem> {
    let (Some(prefix), UnixAddress::Path(path)) = (&world.unix_prefix, &unix) else { return Ok(unix) };
    let full = format!("{prefix}{}", path.display());
    if full.len() > 107 {
        return Err(Problem::at(word, "the path is too long with the prefix of 'unix-bind'").help("a path has at most 107 bytes"));
    }
    Ok(UnixAddress::Path(full.into()))
}

/// Refuses `more` addresses beside those that all lines have, where that are too many.
pub(super) fn few_listeners(world: &World<'_>, more: usize, word: usize) -> Result<(), Problem> {
    if world.listeners + more > MAX_LISTENERS {
        return Err(Problem::at(word, "too many addresses to listen on in all").help("at most 1048576, ranges of ports counted whole"));
    }
    Ok(())
}
