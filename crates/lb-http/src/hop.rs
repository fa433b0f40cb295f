//! Hop-by-hop fields: what is taken out of a message before it is forwarded, and what `Connection` says on the next hop.
//!
//! The RFC's MUST first (RFC 9110 §7.6.1: fields named by `Connection` go no further), then haproxy's habits: nothing is
//! written where the version's default already says it.

use crate::head::{Head, Version};
use crate::name::FieldId;

/// What the next hop shall be told about its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// It may live on.
    KeepAlive,
    /// It is closed after this message.
    Close,
}

/// Takes the connection-level parts out of a decoded message: `close` and `keep-alive` tokens, fields that `Connection`
/// names, `TE` other than `trailers`, `Upgrade` without `Connection: upgrade`. What remains of `Connection` (`Upgrade`, `TE`)
/// is what goes to the next hop. Does nothing, in a few instructions, when no such field is there.
pub fn strip(head: &mut Head) {
    let any = FieldId::Connection.bit() | FieldId::Te.bit() | FieldId::Upgrade.bit();
    if head.present & any != 0 {
        strip_slow(head);
    }
}

fn strip_slow(head: &mut Head) {
    let upgrade = head.has_token(FieldId::Connection, b"upgrade") && head.has(FieldId::Upgrade);
    let trailers = head.has_token(FieldId::Te, b"trailers");
    let te_token = head.has_token(FieldId::Connection, b"te");
    // Names to drop, gathered first since the head is changed below.
    let named: Vec<Vec<u8>> = head.tokens(FieldId::Connection).filter(|t| !is_kept_although_named(t)).map(<[u8]>::to_vec).collect();
    for name in &named {
        head.remove(name);
    }
    head.remove_id(FieldId::Connection);
    if !upgrade {
        head.remove_id(FieldId::Upgrade);
    }
    if head.remove_id(FieldId::Te) > 0 && trailers {
        head.append(b"te", b"trailers");
    }
    let value: &[u8] = match (upgrade, trailers && te_token) {
        (true, true) => b"Upgrade, TE",
        (true, false) => b"Upgrade",
        (false, true) => b"TE",
        (false, false) => return,
    };
    head.append(b"connection", value);
}

/// Options that name no field, and fields that a sender must not name (RFC 9110 §7.6.1: fields for all recipients), so
/// that nobody removes another's framing or routing by naming it.
fn is_kept_although_named(token: &[u8]) -> bool {
    const KEPT: [&[u8]; 10] = [
        b"close",
        b"upgrade",
        b"te",
        b"connection",
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"cache-control",
        b"trailer",
        b"expect",
    ];
    KEPT.iter().any(|k| k.eq_ignore_ascii_case(token))
}

/// Says on a request what the server's connection shall do, the way haproxy says it: HTTP/1.1 gets `connection: close`
/// or nothing, HTTP/1.0 gets `connection: keep-alive` or nothing. A `Connection: Upgrade` that is there stays as it is.
pub fn set_request_connection(head: &mut Head, wanted: Wanted) {
    if head.has_token(FieldId::Connection, b"upgrade") {
        return;
    }
    match (wanted, head.version()) {
        (Wanted::Close, Version::Http11) => head.append(b"connection", b"close"),
        (Wanted::KeepAlive, Version::Http10) => head.append(b"connection", b"keep-alive"),
        _ => {}
    }
}

/// Says on a response what the client's connection shall do, given the version of the client's request.
pub fn set_response_connection(head: &mut Head, wanted: Wanted, client: Version) {
    if head.status() < 200 {
        return;
    }
    match (wanted, client) {
        (Wanted::Close, _) => head.append(b"connection", b"close"),
        (Wanted::KeepAlive, Version::Http10) => head.append(b"connection", b"keep-alive"),
        (Wanted::KeepAlive, Version::Http11) => {}
    }
}

/// Appends an address field as `option forwardfor` does: a field of its own after the others.
pub fn append_forwarded_for(head: &mut Head, name: &[u8], addr: std::net::IpAddr) {
    use std::io::Write;
    let mut text = [0u8; 48];
    let mut rest = &mut text[..];
    // 45 bytes at most: the buffer cannot be too short.
    let _ = write!(rest, "{addr}");
    let left = rest.len();
    let len = text.len() - left;
    head.append(name, &text[..len]);
}
