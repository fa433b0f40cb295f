//! Where a backend's traffic goes without the choice of a server: `dispatch`, `option transparent`, `option http_proxy`. Source:
//! manual 4.2, for `http_proxy` that of 1.8.

use super::{Context, Keyword, Parser, Sections, State, Today};
use crate::address::{Address, Host, Port};
use crate::diag::Problem;
use crate::model::{Destination, Mode, ServerAddress, ServerPort};
use crate::parse::{Draft, Line, ProxyCx, World, address, resolve_host};
use std::net::Ipv4Addr;

type Outcome = Result<(), Problem>;
type Function = fn(&mut ProxyCx<'_, '_>, &Line<'_>) -> Outcome;

const fn word(name: &'static str, args: &'static str, doc: &'static str, state: State, parser: Function) -> Keyword {
    Keyword::new(Context::Proxy, name, args, doc, state, Parser::Proxy(parser))
}

const TRANSPARENT: &str = "option transparent";

pub(super) const KEYWORDS: &[Keyword] = &[
    word("dispatch", "<address>:<port>", "one address in place of servers", State::Works, dispatch).sections(Sections::L_B),
    word(TRANSPARENT, "", "connects where the client wanted to go", State::Works, transparent).sections(Sections::D_L_B).negatable(),
    word("transparent", "", "connects where the client wanted to go", State::Old(TRANSPARENT), transparent).sections(Sections::D_L_B),
    word("option http_proxy", "", "connects to the IP address in the request's absolute URI (until 2.4)", State::Works, http_proxy)
        .sections(Sections::D_F_L_B)
        .negatable()
        .written(|_| Today::Left("'http-request do-resolve', 'set-dst' and 'set-uri' with 'server x 0.0.0.0' come near".to_owned())),
];

/// What a section has said of its destination.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    dispatch: Option<ServerAddress>,
    transparent: bool,
    http_proxy: bool,
}

fn dispatch(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let word = line.first;
    let to = match address(line.need(0)?, word, &cx.world.variables)? {
        Address::Unix(path) => ServerAddress::Unix(path),
        Address::Inet { host, port: Port::One(port) } if port != 0 => {
            // A connection to the address that stands for all goes to this host.
            let ip = match &host {
                Host::Any => Ipv4Addr::LOCALHOST.into(),
                host => resolve_host(host, word, cx.world.source)?,
            };
            ServerAddress::Ip { ip, port: ServerPort::Fixed(port) }
        }
        _ => return Err(line.problem(0, "'dispatch' takes one address with its port").help("for example 'dispatch 192.0.2.1:80'")),
    };
    line.end(1)?;
    cx.draft.destination.dispatch = Some(to);
    Ok(())
}

fn transparent(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    line.end(0)?;
    cx.draft.destination.transparent = line.negation.value();
    Ok(())
}

fn http_proxy(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    line.end(0)?;
    cx.draft.destination.http_proxy = line.negation.value();
    Ok(())
}

/// What the words of a complete section come to: with `balance` servers are chosen, without it the others have their way.
pub(crate) fn finish_destination(draft: &mut Draft, world: &mut World<'_>) {
    if !draft.proxy.kind.is_backend() || draft.proxy.disabled {
        return;
    }
    let Said { dispatch, transparent, http_proxy } = std::mem::take(&mut draft.destination);
    let (span, name) = (draft.proxy.span, draft.proxy.name.clone());
    if let Some(balance) = draft.place("balance") {
        if transparent {
            let message = format!("'{name}' cannot have both 'balance' and 'option transparent'");
            world.error(balance, message, Some("remove one of them".into()));
        }
        if dispatch.is_some() {
            let span = draft.place("dispatch").unwrap_or(span);
            let message = format!("'dispatch' has no effect in '{name}': with 'balance' a server is chosen");
            world.warn(span, message, Some("remove one of them".into()));
        }
        return;
    }
    if http_proxy && draft.proxy.mode != Mode::Http {
        let span = draft.place("option http_proxy").unwrap_or(span);
        let message = format!("'option http_proxy' is ignored for '{name}': it needs 'mode http'");
        world.warn(span, message, Some("add 'mode http', or remove the line".into()));
    }
    draft.proxy.destination = match dispatch {
        Some(to) => Destination::Dispatch(to),
        None if transparent => Destination::Transparent,
        None if http_proxy && draft.proxy.mode == Mode::Http => Destination::Uri,
        None => Destination::Servers,
    };
}
