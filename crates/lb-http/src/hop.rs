//! Hop-by-hop fields: what is taken out of a message before it is forwarded, and what `Connection` says on the next hop.
//!
//! The RFC's MUST first (RFC 9110 §7.6.1: fields named by `Connection` go no further), then haproxy's habits: nothing is
//! written where the version's default already says it.

use crate::h1::{Body, ResponseFraming};
use crate::head::{Head, Version};
use crate::name::FieldId;
use crate::token::comma_list;

/// What the next hop shall be told about its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// It may live on.
    KeepAlive,
    /// It is closed after this message.
    Close,
}

/// Takes the connection-level parts out of a decoded message.
///
/// Out go: the tokens `close` and `keep-alive`, every field that `Connection` names with its token, `TE` but for
/// `trailers`, `Upgrade` without `Connection: upgrade` and the reverse. What remains of `Connection` (`Upgrade`, `TE`) keeps
/// its place and spelling. Does nothing, in a few instructions, when no such field is there.
#[inline]
pub fn strip(head: &mut Head) {
    let any = FieldId::Connection.bit() | FieldId::Te.bit() | FieldId::Upgrade.bit();
    if head.present & any != 0 {
        strip_slow(head);
    }
}

#[cold]
fn strip_slow(head: &mut Head) {
    let mut kept = Kept::default();
    let mut i = 0;
    while let Some(field) = head.field(i) {
        if field.id == FieldId::Te {
            if !comma_list(field.value).any(|t| t.eq_ignore_ascii_case(b"trailers")) {
                head.remove_at(i);
                continue;
            }
            kept.te = true;
            if field.value != b"trailers" {
                head.set_value(i, b"trailers");
            }
        }
        kept.upgrade |= field_is(head, i, FieldId::Upgrade);
        i += 1;
    }
    let mut dropped_tokens = Vec::new();
    let mut upgrade_named = false;
    let mut i = 0;
    while let Some(field) = head.field(i) {
        if field.id != FieldId::Connection {
            i += 1;
            continue;
        }
        let (mut value, mut dropped) = (Vec::new(), false);
        for token in comma_list(field.value) {
            let list = if kept.token(token) {
                upgrade_named |= token.eq_ignore_ascii_case(b"upgrade");
                &mut value
            } else {
                dropped = true;
                &mut dropped_tokens
            };
            if !list.is_empty() {
                list.push(b',');
            }
            list.extend_from_slice(token);
        }
        if value.is_empty() {
            head.remove_at(i);
            continue;
        }
        if dropped {
            head.set_value(i, &value);
        }
        i += 1;
    }
    drop_named(head, &mut dropped_tokens);
    if !upgrade_named {
        head.remove_id(FieldId::Upgrade);
    }
}

/// Removes the fields that `tokens`, a comma list, names. Sorted first: a value of thousands of tokens must not be gone
/// through for each field.
fn drop_named(head: &mut Head, tokens: &mut [u8]) {
    tokens.make_ascii_lowercase();
    let mut named: Vec<&[u8]> = comma_list(tokens).filter(|t| !is_for_all_recipients(t)).collect();
    if named.is_empty() {
        return;
    }
    named.sort_unstable();
    head.retain(|field| named.binary_search(&field.name.to_ascii_lowercase().as_slice()).is_err());
}

fn field_is(head: &Head, index: usize, id: FieldId) -> bool {
    head.fields.get(index).is_some_and(|f| f.id == id)
}

/// Which connection-level fields the message still has, so that `Connection` may go on naming them.
#[derive(Default)]
struct Kept {
    upgrade: bool,
    te: bool,
}

impl Kept {
    fn token(&self, token: &[u8]) -> bool {
        (self.upgrade && token.eq_ignore_ascii_case(b"upgrade")) || (self.te && token.eq_ignore_ascii_case(b"te"))
    }
}

/// Options that name no field, and fields that are for all recipients, which a sender must not name (RFC 9110 §7.6.1), so
/// that nobody takes away another's framing, routing or authorisation by naming it.
fn is_for_all_recipients(token: &[u8]) -> bool {
    const KEPT: [&[u8]; 14] = [
        b"close",
        b"connection",
        b"upgrade",
        b"te",
        b"trailer",
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"content-type",
        b"cache-control",
        b"expect",
        b"authorization",
        b"cookie",
        b"set-cookie",
    ];
    KEPT.iter().any(|k| k.eq_ignore_ascii_case(token))
}

#[inline]
fn names_upgrade(head: &Head) -> bool {
    head.present & FieldId::Connection.bit() != 0 && head.has_token(FieldId::Connection, b"upgrade")
}

/// Says on a request what the server's connection shall do, the way haproxy says it: HTTP/1.1 gets `connection: close`
/// or nothing, HTTP/1.0 gets `connection: keep-alive` or nothing. A `Connection: Upgrade` that is there stays as it is. The
/// server connection must not be reused after an HTTP/1.0 request with chunks.
pub fn set_request_connection(head: &mut Head, wanted: Wanted) {
    if names_upgrade(head) {
        return;
    }
    match (wanted, head.version()) {
        (Wanted::Close, Version::Http11) => head.append(b"connection", b"close"),
        // A server that knows no chunks in HTTP/1.0 would take them for the next request: nothing may come after them.
        (Wanted::KeepAlive, Version::Http10) if head.has(FieldId::TransferEncoding) => {}
        (Wanted::KeepAlive, Version::Http10) => head.append(b"connection", b"keep-alive"),
        _ => {}
    }
}

/// Says on a response what the client's connection shall do, given the version of the client's request, the way haproxy
/// says it: `close` is written on HTTP/1.1 responses, `keep-alive` where client or response are HTTP/1.0, nothing beside a
/// `Connection: Upgrade` and on 1xx. Call it after [`strip`].
pub fn set_response_connection(head: &mut Head, wanted: Wanted, client: Version) {
    if head.status() < 200 || names_upgrade(head) {
        return;
    }
    match (wanted, head.version(), client) {
        (Wanted::Close, Version::Http11, _) => head.append(b"connection", b"close"),
        (Wanted::KeepAlive, Version::Http10, _) | (Wanted::KeepAlive, _, Version::Http10) => head.append(b"connection", b"keep-alive"),
        _ => {}
    }
}

/// Makes a response fit a client that speaks HTTP/1.0: it must not get chunks (RFC 9112 §6.1). True when the caller has to
/// take the chunks off and close the connection at the end of the body; `Transfer-Encoding` is gone then.
///
/// An HTTP/1.0 client must not get 1xx responses either (RFC 9110 §15.2): those are for the caller to drop.
pub fn fit_version(head: &mut Head, framing: &ResponseFraming, client: Version) -> bool {
    if client == Version::Http11 {
        return false;
    }
    let had = head.remove_id(FieldId::TransferEncoding) > 0;
    head.remove_id(FieldId::Trailer);
    had && framing.body == Body::Chunked
}

/// Appends an address field as `option forwardfor` and `option originalto` do: a field of its own after the others.
pub fn append_address(head: &mut Head, name: &[u8], addr: std::net::IpAddr) {
    use std::io::Write;
    let mut text = [0u8; 48];
    let mut rest = &mut text[..];
    // 45 bytes at most: the buffer cannot be too short.
    let _ = write!(rest, "{addr}");
    let left = rest.len();
    let len = text.len() - left;
    head.append(name, &text[..len]);
}
