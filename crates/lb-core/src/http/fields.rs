//! Fields that options add to a request: who the client is, where it connected to. Called by exchange.rs once per request.

use crate::proxy::{Backend, Frontend};
use crate::record::Record;
use lb_config::{ForwardFor, Forwarded, OriginalTo};
use lb_http::{FieldId, Head, hop};
use lb_rt::Socket;
use lb_sys::Addr;
use std::borrow::Cow;
use std::net::SocketAddr;

/// `option forwarded` of the backend, `option forwardfor` and `option originalto` of both proxies: the backend's name goes before the frontend's, an exception of
/// either counts.
pub fn add_addresses(record: &Record, socket: &Socket, head: &mut Head, frontend: &Frontend, backend: &Backend) {
    let (front, back) = (&frontend.settings.options, &backend.settings.options);
    if let Some(option) = back.forwarded {
        forwarded(record, socket, head, option);
    }
    if front.forwardfor.is_some() || back.forwardfor.is_some() {
        forwarded_for(record, head, front.forwardfor.as_ref(), back.forwardfor.as_ref());
    }
    if front.originalto.is_some() || back.originalto.is_some() {
        original_to(record, socket, head, front.originalto.as_ref(), back.originalto.as_ref());
    }
}

/// The address that the client connected to, found out if need be, or what rules made of it.
fn learn_local<'r>(record: &'r Record, socket: &Socket) -> Option<Cow<'r, Addr>> {
    record.client.learn_local(socket);
    record.local()
}

/// `option forwarded` (RFC 7239): one more element behind those that the request has.
fn forwarded(record: &Record, socket: &Socket, head: &mut Head, option: Forwarded) {
    const NAME: &[u8] = b"forwarded";
    let mut parameters: Vec<String> = Vec::new();
    if option.proto {
        parameters.push("proto=http".to_owned());
    }
    // A sound host can stand in quotes as it is.
    if option.host
        && let Some(Ok(host)) = head.get_id(FieldId::Host).map(std::str::from_utf8)
    {
        parameters.push(format!("host=\"{host}\""));
    }
    if option.by {
        parameters.push(format!("by={}", node(learn_local(record, socket).as_deref(), option.by_port)));
    }
    if option.r#for {
        parameters.push(format!("for={}", node(Some(&record.peer()), option.for_port)));
    }
    if parameters.is_empty() {
        return;
    }
    let element = parameters.join(";").into_bytes();
    let mut there = (0..).zip(head.fields()).filter(|(_, field)| field.name.eq_ignore_ascii_case(NAME));
    match (there.next(), there.next()) {
        // As haproxy: an element of the one field that is there, else a field of its own.
        (Some((at, field)), None) => {
            let value = [field.value, b",", &element].concat();
            head.set_value(at, &value);
        }
        _ => head.append(NAME, &element),
    }
}

/// RFC 7239 section 6: an address, in quotes where it has a colon.
fn node(addr: Option<&Addr>, port: bool) -> String {
    match addr {
        Some(Addr::Ip(SocketAddr::V4(a))) if !port => a.ip().to_string(),
        Some(Addr::Ip(SocketAddr::V6(a))) if !port => format!("\"[{}]\"", a.ip()),
        Some(Addr::Ip(a)) => format!("\"{a}\""),
        _ if port => "\"unknown\"".to_owned(),
        _ => "unknown".to_owned(),
    }
}

fn forwarded_for(record: &Record, head: &mut Head, front: Option<&ForwardFor>, back: Option<&ForwardFor>) {
    let peer = record.peer();
    let (Some(option), Addr::Ip(peer)) = (back.or(front), &*peer) else { return };
    let both = || [front, back].into_iter().flatten();
    let excepted = both().any(|o| o.except.is_some_and(|net| net.contains(peer.ip())));
    let name = option.header.as_bytes();
    let kept = both().all(|o| o.if_none) && head.get(name).is_some();
    if !excepted && !kept {
        hop::append_address(head, name, peer.ip());
    }
}

fn original_to(record: &Record, socket: &Socket, head: &mut Head, front: Option<&OriginalTo>, back: Option<&OriginalTo>) {
    let to = learn_local(record, socket);
    let (Some(option), Some(Addr::Ip(to))) = (back.or(front), to.as_deref()) else { return };
    let excepted = [front, back].into_iter().flatten().any(|o| o.except.is_some_and(|net| net.contains(to.ip())));
    if !excepted {
        hop::append_address(head, option.header.as_bytes(), to.ip());
    }
}
