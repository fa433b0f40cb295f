//! Lines of `log-forward` sections. Source: manual 3.10.

use super::{Context, Keyword, Parser, State};
use crate::address::{Address, Host, Port, Use};
use crate::diag::Problem;
use crate::model::{DgramBind, HostField};
use crate::parse::{ForwardCx, Line, ProxyCx, address_for, resolve_host};
use crate::tree::shown;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

type Outcome = Result<(), Problem>;
type Function = fn(&mut ForwardCx<'_, '_>, &Line<'_>) -> Outcome;

const fn works(name: &'static str, args: &'static str, doc: &'static str, parser: Function) -> Keyword {
    Keyword::new(Context::In("log-forward"), name, args, doc, State::Works, Parser::Forward(parser))
}

pub(super) const KEYWORDS: &[Keyword] = &[
    works("bind", "<address>:<port>[,...] [<parameter> ...]", "where messages come by connection", |cx, line| {
        line.need(0)?;
        super::bind_line(&mut ProxyCx { draft: &mut cx.forward.draft, world: cx.world }, line.directive, line.first);
        cx.forward.draft.proxy.binds.last().map_or(Ok(()), |bind| super::bind::no_pairs(bind, "log-forward"))?;
        Ok(())
    }),
    works("dgram-bind", "<address>:<port>[,...] [interface <name>]", "where messages come by datagram", dgram_bind),
    works(
        "log",
        "global | <target> [len <n>] [format <f>] [sample <s>] [profile <p>] <facility> [<level> [<minlevel>]]",
        "where messages go",
        |cx, line| super::logs::log(&mut ProxyCx { draft: &mut cx.forward.draft, world: cx.world }, line),
    )
    .negatable(),
    works("maxconn", "<number>", "connections at once", |cx, line| {
        cx.forward.draft.proxy.maxconn = Some(line.count(0, 1)?);
        line.end(1)
    }),
    works("backlog", "<number>", "connections that the system queues", |cx, line| {
        cx.forward.draft.proxy.backlog = Some(line.count(0, 0)?).filter(|value| *value > 0);
        line.end(1)
    }),
    works("timeout client", "<time>", "inactivity of a sender", |cx, line| {
        let time = line.time(0, Duration::from_millis(1))?;
        cx.forward.draft.proxy.timeouts.client = Some(time).filter(|time| !time.is_zero());
        line.end(1)
    }),
    works("option assume-rfc6587-ntf", "", "messages on connections end with a line feed, whatever they begin with", |cx, line| {
        cx.forward.line_feeds = line.negation.value();
        line.end(0)
    })
    .negatable(),
    works("option dont-parse-log", "", "messages go on as they came", |cx, line| {
        cx.forward.parses = !line.negation.value();
        line.end(0)
    })
    .negatable(),
    works("option host", "append|fill|keep|replace", "what is done with the host name of a message", |cx, line| {
        cx.forward.host = line.choice(0, &HostField::ALL)?;
        line.end(1)
    }),
];

fn dgram_bind(cx: &mut ForwardCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let text = line.need(0)?;
    let mut interface = None;
    let mut at = 1;
    while let Some(word) = line.arg(at) {
        if word != "interface" {
            return Err(line.problem(at, format!("'dgram-bind' does not take '{}'", shown(word))).help("it takes 'interface <name>'"));
        }
        interface = Some(line.need(at + 1)?.to_owned());
        at += 2;
    }
    for one in text.split(',') {
        let Address::Inet { host, port } = address_for(Use::Datagram, one, line.first, &cx.world.variables)? else {
            return Err(line.problem(0, "messages come to an IP address").help("write 'dgram-bind <address>:<port>'"));
        };
        let (low, high) = match port {
            Port::One(port) if port > 0 => (port, port),
            Port::Range(low, high) => (low, high),
            _ => return Err(line.problem(0, "the address wants a port").help("for example 'dgram-bind 127.0.0.1:514'")),
        };
        let ip = match host {
            Host::Any => Ipv4Addr::UNSPECIFIED.into(),
            host => resolve_host(&host, line.first, cx.world.source)?,
        };
        super::bind::few_listeners(cx.world, usize::from(high - low) + 1, line.first)?;
        cx.world.listeners += usize::from(high - low) + 1;
        for port in low..=high {
            let address = SocketAddr::new(ip, port);
            cx.forward.dgram_binds.push(DgramBind { address, interface: interface.clone(), span: line.span() });
        }
    }
    Ok(())
}
