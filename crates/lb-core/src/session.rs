//! A client's connection from the accept to the close: a probe that is answered at once, or the
//! headers of balancers before us (NetScaler, PROXY), then mode tcp or http.

use crate::client::Client;
use crate::http::answer::close_gently;
use crate::record::Fault;
use crate::{listener, record, tcp};
use lb_config::Probes;
use lb_http::proxy::{Decoded, Endpoints, Netscaler, NetscalerError, ProxyError, decode_netscaler};
use lb_rt::{Buffer, Rt, Socket};
use lb_sys::Addr;
use std::cell::OnceCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

/// Time for all headers where `timeout client` is not set.
const HEADERS: Duration = Duration::from_secs(10);

/// Starts a session.
pub fn spawn(client: Client, socket: Socket) {
    let rt = client.place.worker.rt.clone();
    if let Some(probes) = client.frontend().settings.probes
        && is_probe(&probes, &client.peer)
    {
        rt.spawn(answer_probe(client, socket, probes.answer));
        return;
    }
    if client.place.accept_proxy || client.place.netscaler_cip.is_some() {
        rt.spawn(async move {
            if let Some((client, input)) = headers(client, &socket).await {
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
    client.worker().counters.front(client.frontend()).sessions.add(1);
    listener::greet(&client, &socket);
    let http = client.serves_http();
    let rt = client.worker().rt.clone();
    let task = if http { crate::http::spawn(client.clone(), socket, input) } else { rt.spawn(tcp::serve(client.clone(), socket, input)) };
    client.worker().clients.enter(&client, task);
}

/// Reads the headers of `accept-netscaler-cip` and `accept-proxy`, in this order; `None` when one is not sound, which is logged.
async fn headers(mut client: Client, socket: &Socket) -> Option<(Client, Option<Buffer>)> {
    let worker = client.place.worker.clone();
    let deadline = worker.rt.now() + client.place.frontend.settings.timeouts.client.unwrap_or(HEADERS);
    let mut input = worker.rt.buffers().take();
    let netscaler = client.place.netscaler_cip.map(Expected::Netscaler);
    let proxy = client.place.accept_proxy.then_some(Expected::Proxy);
    for expected in [netscaler, proxy].into_iter().flatten() {
        match header(&worker.rt, socket, &mut input, deadline, &expected).await {
            Ok(ends) => believe(&mut client, ends),
            Err(fault) => {
                let client = Rc::new(client);
                if !input.is_empty() || !client.frontend().settings.options.dontlognull {
                    client.learn_local(socket);
                    record::log_connection_error(&client, fault);
                }
                return None;
            }
        }
    }
    client.ready = worker.rt.nanos();
    Some((client, Some(input).filter(|b| !b.is_empty())))
}

/// A header that stands before the bytes of a connection.
enum Expected {
    Proxy,
    /// With its magic number.
    Netscaler(u32),
}

/// What is wrong when a header does not come, in the words that haproxy logs.
struct Missing {
    timeout: Fault,
    closed: Fault,
    truncated: Fault,
}

impl Expected {
    fn missing(&self) -> Missing {
        match self {
            Expected::Proxy => Missing {
                timeout: fault(13, "Timeout while waiting for PROXY protocol header"),
                closed: fault(11, "Connection closed while waiting for PROXY protocol header"),
                truncated: fault(14, "Truncated PROXY protocol header received"),
            },
            Expected::Netscaler(_) => Missing {
                timeout: fault(20, "Timeout while waiting for a NetScaler Client IP header"),
                closed: fault(18, "Connection closed while waiting for NetScaler Client IP header"),
                truncated: NETSCALER_TRUNCATED,
            },
        }
    }

    /// The ends that the header names and its length; `None`: it is not complete.
    fn decode(&self, bytes: &[u8]) -> Result<Option<(Option<Endpoints>, usize)>, Fault> {
        match self {
            Expected::Proxy => match lb_http::proxy::decode(bytes) {
                Ok(Decoded::Complete { header, consumed }) => Ok(Some((header.endpoints, consumed))),
                Ok(Decoded::NeedMore) => Ok(None),
                Err(e) => Err(fault_text(e, bytes)),
            },
            Expected::Netscaler(magic) => match decode_netscaler(*magic, bytes) {
                Ok(Netscaler::Complete { src, dst, consumed }) => Ok(Some((Some(Endpoints::Inet { src, dst }), consumed))),
                Ok(Netscaler::NeedMore) => Ok(None),
                Err(NetscalerError::Magic) => Err(fault(22, "Received an invalid NetScaler Client IP magic number")),
                Err(NetscalerError::Protocol) => Err(fault(23, "Received an unhandled protocol in the NetScaler Client IP header")),
                Err(NetscalerError::Length) => Err(NETSCALER_TRUNCATED),
            },
        }
    }
}

const fn fault(code: u8, text: &'static str) -> Fault {
    Fault { code, text }
}

const NETSCALER_TRUNCATED: Fault = fault(21, "Truncated NetScaler Client IP header received");

/// Reads one header off the front of the connection, into `input` and out of it again.
async fn header(rt: &Rt, socket: &Socket, input: &mut Buffer, deadline: Instant, expected: &Expected) -> Result<Option<Endpoints>, Fault> {
    let missing = expected.missing();
    loop {
        if !input.is_empty()
            && let Some((ends, consumed)) = expected.decode(input.filled())?
        {
            input.consume(consumed);
            return Ok(ends);
        }
        if input.spare().is_empty() {
            input.compact();
        }
        if input.spare().is_empty() {
            return Err(fault(16, "Received an invalid PROXY protocol header"));
        }
        let read = poll_fn(|_| match socket.poll_read(input.spare()) {
            Poll::Ready(read) => Poll::Ready(Some(read)),
            Poll::Pending => rt.poll_deadline(Some(deadline)).map(|()| None),
        });
        match read.await {
            None if input.is_empty() => return Err(missing.timeout),
            Some(Ok(0)) | Some(Err(_)) if input.is_empty() => return Err(missing.closed),
            None | Some(Ok(0)) | Some(Err(_)) => return Err(missing.truncated),
            Some(Ok(n)) => input.commit(n),
        }
    }
}

/// A refused header in the words that haproxy logs.
fn fault_text(e: ProxyError, bytes: &[u8]) -> Fault {
    const FOREIGN: Fault = fault(15, "Received something which does not look like a PROXY protocol header");
    const VERSION_2: usize = 12;
    match e {
        ProxyError::NotProxy => FOREIGN,
        ProxyError::Command if bytes.get(VERSION_2).is_some_and(|b| b >> 4 != 2) => FOREIGN,
        ProxyError::MalformedV1 if !matches!(bytes.get(6..10), Some(b"TCP4" | b"TCP6" | b"UNKN")) && bytes.len() > 9 => {
            fault(17, "Received an unhandled protocol in the PROXY protocol header")
        }
        _ => fault(16, "Received an invalid PROXY protocol header"),
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
