//! `track`, `observe` and `agent-check` once a proxy, or all of them, are known: names to servers, and what haproxy refuses of it. Called by
//! resolve.rs.
//!
//! Holds: who tracks a server is not checked itself, and at the end of each chain is one that is, or that has an agent. Linear in the number
//! of servers.

use super::draft::World;
use crate::model::{Mode, Observe, Proxy, ProxyIndex, Server, Span};
use crate::tree::shown;
use std::collections::HashMap;

/// A server: its proxy and its place there.
type At = (usize, usize);

/// How far a server's chain has been followed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chain {
    Open,
    /// It leads to a server that is checked, or an error has been told.
    Done,
}

/// What of the watching words a proxy has no use for, or lacks something.
pub(super) fn settle(proxy: &mut Proxy, world: &mut World<'_>) {
    let http = proxy.mode == Mode::Http;
    for server in &mut proxy.servers {
        let Some(watching) = server.watching.as_deref_mut() else { continue };
        if watching.observe == Some(Observe::Layer7) && !http {
            let help = "write 'observe layer4', or make it 'mode http'".to_owned();
            world.warn(server.span, "'observe layer7' has an effect in mode http only; nothing is observed", Some(help));
            watching.observe = None;
        }
        if watching.agent.on && watching.agent.port == 0 && !proxy.disabled {
            let message = format!("the server '{}' does not have an agent port", shown(&server.name));
            world.error(server.span, message, Some("add 'agent-port <port>', or remove 'agent-check'".into()));
        }
    }
}

pub(super) fn resolve(proxies: &mut [Proxy], world: &mut World<'_>) {
    let trackers: Vec<At> = servers(proxies).filter(|(_, server)| server.track().is_some()).map(|(at, _)| at).collect();
    if trackers.is_empty() {
        return;
    }
    let mut backends: HashMap<&str, usize> = HashMap::new();
    for (place, proxy) in proxies.iter().enumerate().filter(|(_, proxy)| proxy.kind.is_backend()) {
        backends.entry(&proxy.name).or_insert(place);
    }
    let names: HashMap<(usize, &str), usize> = servers(proxies).map(|((proxy, place), s)| ((proxy, s.name.as_str()), place)).collect();
    let targets: Vec<Option<At>> = trackers.iter().map(|&at| target(at, proxies, &backends, &names, world)).collect();
    for (&(proxy, place), target) in trackers.iter().zip(&targets) {
        let watching = proxies[proxy].servers[place].watching.as_mut();
        if let (Some(track), Some((proxy, place))) = (watching.and_then(|w| w.track.as_mut()), *target) {
            track.target = Some((ProxyIndex(u32::try_from(proxy).unwrap_or(u32::MAX)), place));
        }
    }
    let mut chains: HashMap<At, Chain> = HashMap::new();
    for &at in &trackers {
        follow(at, proxies, &mut chains, world);
    }
}

fn servers(proxies: &[Proxy]) -> impl Iterator<Item = (At, &Server)> {
    proxies
        .iter()
        .enumerate()
        .filter(|(_, proxy)| !proxy.disabled)
        .flat_map(|(n, proxy)| proxy.servers.iter().enumerate().map(move |(place, server)| ((n, place), server)))
}

/// The server that one names.
fn target(
    at: At,
    proxies: &[Proxy],
    backends: &HashMap<&str, usize>,
    names: &HashMap<(usize, &str), usize>,
    world: &mut World<'_>,
) -> Option<At> {
    let proxy = &proxies[at.0];
    let server = &proxy.servers[at.1];
    let track = server.track()?;
    let own = format!("{}/{}", shown(&proxy.name), shown(&server.name));
    let mut refuse = |message: String, help: &str| {
        world.error(track.span, message, Some(help.to_owned()));
        None
    };
    if server.check.is_some() {
        return refuse(format!("'server {own}': unable to enable checks and tracking at the same time"), "remove 'check', or 'track'");
    }
    let backend = match &track.backend {
        None => at.0,
        Some(name) => match backends.get(name.as_str()) {
            Some(place) => *place,
            None => {
                return refuse(
                    format!("'server {own}': unable to find the proxy '{}' for tracking", shown(name)),
                    "name a backend, or no backend for a server of the same one",
                );
            }
        },
    };
    let Some(&place) = names.get(&(backend, track.server.as_str())) else {
        return refuse(
            format!("'server {own}': unable to find the server '{}' for tracking", shown(&track.server)),
            "write 'track <backend>/<server>'",
        );
    };
    Some((backend, place))
}

/// Follows the chain that begins with a server: to one that is checked, to one that was looked at, or back to itself.
fn follow(start: At, proxies: &[Proxy], chains: &mut HashMap<At, Chain>, world: &mut World<'_>) {
    let name = |(proxy, place): At| format!("{}/{}", shown(&proxies[proxy].name), shown(&proxies[proxy].servers[place].name));
    let server = |(proxy, place): At| &proxies[proxy].servers[place];
    let (mut way, mut at) = (Vec::new(), start);
    loop {
        match chains.get(&at) {
            Some(Chain::Done) => break,
            Some(Chain::Open) => {
                let (last, span) = (way.last().copied().unwrap_or(at), span_of(server(*way.last().unwrap_or(&at))));
                let message = format!(
                    "'server {}': unable to track {} as it belongs to a tracking chain looping back to {}",
                    name(last),
                    name(at),
                    name(last)
                );
                world.error(span, message, Some("let the chain end at a server that is checked".into()));
                break;
            }
            None => {}
        }
        let Some(track) = server(at).track() else { break };
        chains.insert(at, Chain::Open);
        way.push(at);
        let Some((proxy, place)) = track.target else { break };
        let next = (proxy.0 as usize, place);
        let found = server(next);
        if found.track().is_none() && found.check.is_none() && found.agent().is_none() {
            let message =
                format!("'server {}': unable to use {} for tracking as it does not have any check nor agent enabled", name(at), name(next));
            world.error(track.span, message, Some("add 'check' to that server".into()));
        }
        at = next;
    }
    chains.extend(way.into_iter().map(|at| (at, Chain::Done)));
}

fn span_of(server: &Server) -> Span {
    server.track().map_or(server.span, |track| track.span)
}
