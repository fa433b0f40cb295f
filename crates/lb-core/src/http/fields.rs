//! Fields that options add to a request: who the client is, where it connected to. Called by exchange.rs once per request.

use crate::client::Client;
use crate::proxy::{Backend, Frontend};
use lb_config::{ForwardFor, OriginalTo};
use lb_http::{Head, hop};
use lb_rt::Socket;
use lb_sys::Addr;

/// `option forwardfor` and `option originalto` of both proxies: the backend's name goes before the frontend's, an exception of
/// either counts.
pub fn add_addresses(client: &Client, socket: &Socket, head: &mut Head, frontend: &Frontend, backend: &Backend) {
    let (front, back) = (&frontend.settings.options, &backend.settings.options);
    if front.forwardfor.is_some() || back.forwardfor.is_some() {
        forwarded_for(client, head, front.forwardfor.as_ref(), back.forwardfor.as_ref());
    }
    if front.originalto.is_some() || back.originalto.is_some() {
        original_to(client, socket, head, front.originalto.as_ref(), back.originalto.as_ref());
    }
}

fn forwarded_for(client: &Client, head: &mut Head, front: Option<&ForwardFor>, back: Option<&ForwardFor>) {
    let (Some(option), Addr::Ip(peer)) = (back.or(front), &client.peer) else { return };
    let both = || [front, back].into_iter().flatten();
    let excepted = both().any(|o| o.except.is_some_and(|net| net.contains(peer.ip())));
    let name = option.header.as_bytes();
    let kept = both().all(|o| o.if_none) && head.get(name).is_some();
    if !excepted && !kept {
        hop::append_address(head, name, peer.ip());
    }
}

fn original_to(client: &Client, socket: &Socket, head: &mut Head, front: Option<&OriginalTo>, back: Option<&OriginalTo>) {
    let (Some(option), Some(Addr::Ip(to))) = (back.or(front), client.learn_local(socket)) else { return };
    let excepted = [front, back].into_iter().flatten().any(|o| o.except.is_some_and(|net| net.contains(to.ip())));
    if !excepted {
        hop::append_address(head, option.header.as_bytes(), to.ip());
    }
}
