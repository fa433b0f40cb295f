//! A client's connection from the accept to the close: a probe that is answered at once, or the
//! headers of balancers before us (NetScaler, PROXY), then mode tcp or http.

use crate::client::Client;
use crate::http::answer::close_gently;
use crate::{incoming, listener, record, rules, tcp};
use lb_config::Probes;
use lb_http::proxy::Endpoints;
use lb_rt::{Buffer, Socket};
use lb_sys::Addr;
use std::cell::OnceCell;
use std::rc::Rc;

/// Starts a session.
pub fn spawn(mut client: Client, socket: Socket) {
    let rt = client.place.worker.rt.clone();
    if let Some(probes) = client.frontend().settings.probes
        && is_probe(&probes, &client.peer)
    {
        rt.spawn(answer_probe(client, socket, probes.answer));
        return;
    }
    let Some(rules) = rules::stream::connection(&mut client, &socket) else { return };
    let wanted = incoming::Wanted {
        // A rule brings no magic number of its own.
        netscaler_cip: client.place.netscaler_cip.or(rules.expects_netscaler.then_some(0)),
        proxy: client.place.accept_proxy || rules.expects_proxy,
    };
    if wanted.proxy || wanted.netscaler_cip.is_some() {
        rt.spawn(async move {
            if let Some((client, input)) = headers(client, &socket, wanted).await {
                start(client, socket, input);
            }
        });
    } else {
        start(client, socket, None);
    }
}

fn is_probe(probes: &Probes, peer: &Addr) -> bool {
    match (probes.from, peer) {
        (None, _) => true,
        (Some(net), Addr::Ip(peer)) => net.contains(peer.ip()),
        (Some(_), _) => false,
    }
}

/// `monitor-net`, `mode health`: the answer and the end, and no line in the log.
async fn answer_probe(client: Client, socket: Socket, answer: &'static [u8]) {
    if socket.write_all(answer).await.is_ok() {
        close_gently(&client.place.worker.rt, &socket).await;
    }
}

fn start(mut client: Client, socket: Socket, input: Option<Buffer>) {
    client.worker().counters.front(client.frontend()).sessions.add(1);
    if !rules::stream::session(&mut client, &socket) {
        return;
    }
    let client = Rc::new(client);
    listener::greet(&client, &socket);
    let http = client.serves_http();
    let rt = client.worker().rt.clone();
    let task = if http { crate::http::spawn(client.clone(), socket, input) } else { rt.spawn(tcp::serve(client.clone(), socket, input)) };
    client.worker().clients.enter(&client, task);
}

/// Reads the headers of NetScaler and of the PROXY protocol that are wanted, in this order; `None` when one is not sound, which is logged.
async fn headers(mut client: Client, socket: &Socket, wanted: incoming::Wanted) -> Option<(Client, Option<Buffer>)> {
    let worker = client.place.worker.clone();
    let mut input = worker.rt.buffers().take();
    let place = client.place.clone();
    let limit = place.frontend.settings.timeouts.client;
    if let Err(fault) = incoming::headers(&worker.rt, socket, &mut input, limit, wanted, |said| believe(&mut client, said)).await {
        let client = Rc::new(client);
        if !input.is_empty() || !client.frontend().settings.options.dontlognull {
            client.learn_local(socket);
            record::log_connection_error(&client, fault);
        }
        return None;
    }
    client.ready = worker.rt.nanos();
    Some((client, Some(input).filter(|b| !b.is_empty())))
}

/// Most bytes of extensions that are kept of a header.
const MAX_EXTENSIONS: usize = 1_024;

/// Takes the addresses of the header for the connection's own, and keeps what else it says, if somebody asks for that.
fn believe(client: &mut Client, said: incoming::Said<'_>) {
    if let Some(extensions) = said.extensions {
        let kept = client.proxied.get_or_insert_default();
        if client.place.worker.process.topology.uses.extensions {
            let mut room = MAX_EXTENSIONS;
            for (kind, value) in extensions.map(lb_http::proxy::Tlv::parts) {
                let Some(left) = room.checked_sub(value.len()) else { break };
                room = left;
                kept.push((kind, value.into()));
            }
        }
    }
    let Some(ends) = said.ends else { return };
    let (peer, local) = match ends {
        Endpoints::Inet { src, dst } => (Addr::Ip(src), Addr::Ip(dst)),
        Endpoints::Unix { .. } => (Addr::Unnamed, Addr::Unnamed),
    };
    client.peer = peer;
    client.local = OnceCell::from(local);
}
