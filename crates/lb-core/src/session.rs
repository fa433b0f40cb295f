//! A client's connection from the accept to the close: a probe that is answered at once, or PROXY header, then mode tcp or http.

use crate::client::Client;
use crate::http::answer::close_gently;
use crate::{listener, record, tcp};
use lb_config::Probes;
use lb_http::proxy::{Decoded, Endpoints, ProxyError};
use lb_rt::{Buffer, Socket};
use lb_sys::Addr;
use std::cell::OnceCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// Time for a PROXY header where `timeout client` is not set.
const PROXY_HEADER: Duration = Duration::from_secs(10);

/// Starts a session.
pub fn spawn(client: Client, socket: Socket) {
    let rt = client.place.worker.rt.clone();
    if let Some(probes) = client.frontend().settings.probes
        && is_probe(&probes, &client.peer)
    {
        rt.spawn(answer_probe(client, socket, probes.answer));
        return;
    }
    if client.place.accept_proxy {
        rt.spawn(async move {
            if let Some((client, input)) = accept_proxy(client, &socket).await {
                start(Rc::new(client), socket, input);
            }
        });
    } else {
        start(Rc::new(client), socket, None);
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

fn start(client: Rc<Client>, socket: Socket, input: Option<Buffer>) {
    listener::greet(&client, &socket);
    let http = client.serves_http();
    let rt = client.worker().rt.clone();
    if http {
        crate::http::spawn(client, socket, input);
    } else {
        rt.spawn(tcp::serve(client, socket, input));
    }
}

/// Reads the PROXY header of `accept-proxy`; `None` when there is no sound one, which is logged.
async fn accept_proxy(mut client: Client, socket: &Socket) -> Option<(Client, Option<Buffer>)> {
    let worker = client.place.worker.clone();
    let deadline = worker.rt.now() + client.place.frontend.settings.timeouts.client.unwrap_or(PROXY_HEADER);
    let mut input = worker.rt.buffers().take();
    let fault = loop {
        let full = input.len() == input.capacity();
        match lb_http::proxy::decode(input.filled()) {
            Ok(Decoded::Complete { header, consumed }) => {
                let ends = header.endpoints.clone();
                input.consume(consumed);
                believe(&mut client, ends);
                client.ready = worker.rt.now();
                return Some((client, Some(input).filter(|b| !b.is_empty())));
            }
            Err(e) => break fault_text(e, input.filled()),
            Ok(Decoded::NeedMore) if full => break "Received an invalid PROXY protocol header",
            Ok(Decoded::NeedMore) => {}
        }
        let read = poll_fn(|_| match socket.poll_read(input.spare()) {
            Poll::Ready(read) => Poll::Ready(Some(read)),
            Poll::Pending => worker.rt.poll_deadline(Some(deadline)).map(|()| None),
        });
        match read.await {
            None if input.is_empty() => break "Timeout while waiting for PROXY protocol header",
            None => break "Truncated PROXY protocol header received",
            Some(Ok(0)) | Some(Err(_)) if input.is_empty() => break "Connection closed while waiting for PROXY protocol header",
            Some(Ok(0)) | Some(Err(_)) => break "Truncated PROXY protocol header received",
            Some(Ok(n)) => input.commit(n),
        }
    };
    let client = Rc::new(client);
    if input.is_empty() && client.frontend().settings.options.dontlognull {
        return None;
    }
    client.learn_local(socket);
    record::log_connection_error(&client, fault);
    None
}

/// A refused header in the words that haproxy logs.
fn fault_text(e: ProxyError, bytes: &[u8]) -> &'static str {
    const FOREIGN: &str = "Received something which does not look like a PROXY protocol header";
    const VERSION_2: usize = 12;
    match e {
        ProxyError::NotProxy => FOREIGN,
        ProxyError::Command if bytes.get(VERSION_2).is_some_and(|b| b >> 4 != 2) => FOREIGN,
        ProxyError::MalformedV1 if !matches!(bytes.get(6..10), Some(b"TCP4" | b"TCP6" | b"UNKN")) && bytes.len() > 9 => {
            "Received an unhandled protocol in the PROXY protocol header"
        }
        _ => "Received an invalid PROXY protocol header",
    }
}

/// Takes the addresses of the header for the connection's own.
fn believe(client: &mut Client, ends: Option<Endpoints>) {
    let (peer, local) = match ends {
        None => return,
        Some(Endpoints::Inet { src, dst }) => (Addr::Ip(src), Addr::Ip(dst)),
        Some(Endpoints::Unix { .. }) => (Addr::Unnamed, Addr::Unnamed),
    };
    client.peer = peer;
    client.local = OnceCell::from(local);
}
