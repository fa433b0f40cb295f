//! HTTP/1.0 and 1.1 on the wire: decode a head and settle its framing once, encode a head.
//!
//! Holds: a message never has two meanings. What could be read in two ways by two parsers is refused or normalised
//! here, once; nobody later looks at lengths or codings again.

mod decode;
mod encode;
mod error;
mod fast;
mod framing;

pub use decode::{Decoded, Decoder};
pub use encode::Encoder;
pub use error::{ErrorKind, H1Error};

use crate::head::Method;

/// Longest field name, in bytes (as haproxy).
pub const MAX_NAME: usize = 255;

/// What a head may cost and how strictly it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of a head, start line to empty line: `tune.bufsize` less `tune.maxrewrite`.
    pub max_head: usize,
    /// `tune.http.maxhdr`. As in haproxy one entry is taken by the end of the head, so 101 lets 100 field lines pass.
    pub max_headers: usize,
    /// `option accept-invalid-http-request` / `-response` (and `accept-unsafe-violations-in-http-…`): `#` in a target, a
    /// missing `Host`, a CONNECT without port, a `Host` other than the target's authority (which wins) are read; field
    /// names that are no tokens are read and dropped. Framing stays strict.
    pub relaxed: bool,
    /// Bytes from 0x80 pass in a request target. They pass by default; haproxy 2.6 lets them pass with `relaxed` only.
    pub non_ascii_target: bool,
    /// `option http-restrict-req-hdr-names`.
    pub names: RestrictNames,
    /// `h1-accept-payload-with-any-method`: HTTP/1.0 GET, HEAD and DELETE with a body pass. By default they are refused: servers of
    /// that time may not look for one, and take it for the next request.
    pub payload_with_any_method: bool,
    /// `h1-do-not-close-on-insecure-transfer-encoding`: the connection of an HTTP/1.1 message with both lengths may live on.
    pub keep_alive_with_both_lengths: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_head: 16384 - 1024,
            max_headers: 101,
            relaxed: false,
            non_ascii_target: true,
            names: RestrictNames::Preserve,
            payload_with_any_method: false,
            keep_alive_with_both_lengths: false,
        }
    }
}

/// What happens to request field names with bytes other than letters, digits and `-`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RestrictNames {
    /// They pass.
    #[default]
    Preserve,
    /// The fields are dropped.
    Delete,
    /// The request is to be refused with 403: [`RequestFraming::restricted_name`].
    Reject,
}

/// How the body of a message is delimited (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Body {
    /// There is none.
    #[default]
    None,
    /// That many bytes.
    Length(u64),
    /// Chunked coding; see [`crate::chunk`].
    Chunked,
    /// Responses only: everything until the server closes.
    UntilClose,
    /// Responses only: bytes both ways until both sides close (101 to an upgrade, 2xx to CONNECT).
    Tunnel,
}

/// What a request's head says about its connection and body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RequestFraming {
    /// `None`, `Length` or `Chunked`.
    pub body: Body,
    /// The client lets the connection live on after this exchange (version, `Connection`, sound framing).
    pub keep_alive: bool,
    /// `Connection: close` was there.
    pub close: bool,
    /// `Expect: 100-continue` from an HTTP/1.1 client.
    pub expect_continue: bool,
    /// `Upgrade` together with `Connection: upgrade`, from an HTTP/1.1 client.
    pub upgrade: bool,
    /// The method is CONNECT: what follows the head belongs to the tunnel, if the server grants it.
    pub connect: bool,
    /// A field name is not made of letters, digits and `-` under [`RestrictNames::Reject`]: answer 403.
    pub restricted_name: bool,
}

/// What a response's head says about its connection and body, given the request it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ResponseFraming {
    /// How the body ends.
    pub body: Body,
    /// The server lets the connection live on after this response.
    pub keep_alive: bool,
    /// `Connection: close` was there.
    pub close: bool,
    /// 1xx other than 101: another response follows.
    pub interim: bool,
}

/// What must be known of the request to read its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ResponseTo {
    /// The request was HEAD: no body whatever the fields say.
    pub head: bool,
    /// The request was CONNECT: 2xx opens a tunnel.
    pub connect: bool,
    /// The request asked for an upgrade: 101 opens a tunnel, and is an error otherwise.
    pub upgrade: bool,
}

impl ResponseTo {
    /// From the request's head and framing as they were sent to the server.
    #[must_use]
    pub fn request(method: Method, framing: &RequestFraming) -> ResponseTo {
        ResponseTo { head: method == Method::Head, connect: method == Method::Connect, upgrade: framing.upgrade }
    }
}
