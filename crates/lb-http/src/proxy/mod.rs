//! PROXY protocol versions 1 and 2, receiver and sender (proxy-protocol.txt of the HAProxy project), and the header that a NetScaler
//! inserts, receiver.
//!
//! Holds: a header is taken whole or not at all; what follows it is never touched; anything that is not exactly the
//! protocol is an error at the first byte that shows it. Lengths are checked before they are used, the CRC is checked
//! when it is there. Incremental: call [`decode`] with all bytes so far until it no longer says [`Decoded::NeedMore`].

mod crc32c;
mod netscaler;
mod v1;
mod v2;

pub use crc32c::crc32c;
pub use netscaler::{MAX_NETSCALER, Netscaler, NetscalerError, decode_netscaler};
pub use v1::encode as encode_v1;
pub use v2::{Tlv, Tlvs, encode as encode_v2};

use std::net::SocketAddr;

/// Longest version 1 line, CRLF included.
pub const MAX_V1: usize = 107;
/// Longest version 2 header that is accepted, TLVs included (the protocol allows 65,551; haproxy's buffer 16,384).
pub const MAX_V2: usize = 16384;

/// Original ends of a relayed connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoints {
    /// TCP over IPv4 or IPv6; both of the same family.
    Inet {
        /// Who connected.
        src: SocketAddr,
        /// Where to.
        dst: SocketAddr,
    },
    /// UNIX stream socket paths, up to 108 bytes, without the padding; may be empty.
    Unix {
        /// Who connected.
        src: Vec<u8>,
        /// Where to.
        dst: Vec<u8>,
    },
}

/// A decoded header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// 1 or 2.
    pub version: u8,
    /// `None`: LOCAL or UNKNOWN, use the real connection's addresses.
    pub endpoints: Option<Endpoints>,
    /// Additional fields of version 2; empty for version 1 and LOCAL.
    pub tlvs: Tlvs<'a>,
}

/// Result of [`decode`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// A sound beginning; more bytes are needed.
    NeedMore,
    /// The header is there.
    Complete {
        /// What it says.
        header: Header<'a>,
        /// Its length: what follows in the buffer is the connection's data.
        consumed: usize,
    },
}

/// Why a header was refused: the connection has to be dropped without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ProxyError {
    /// Neither signature.
    #[error("no PROXY protocol header")]
    NotProxy,
    /// A version 1 line that is not exactly the protocol, or is too long.
    #[error("malformed PROXY v1 line")]
    MalformedV1,
    /// An unknown version or command.
    #[error("unknown PROXY v2 version or command")]
    Command,
    /// A family or transport that is not TCP over IPv4, IPv6 or UNIX.
    #[error("unsupported PROXY v2 address family")]
    Family,
    /// Shorter than its addresses, or longer than [`MAX_V2`].
    #[error("bad PROXY v2 length")]
    Length,
    /// A TLV past the end, bytes that form no TLV, or one of a length it cannot have.
    #[error("malformed PROXY v2 TLV")]
    Tlv,
    /// The CRC32c does not fit.
    #[error("bad PROXY v2 checksum")]
    Checksum,
}

/// Decodes the header at the front of `buf`.
///
/// ```
/// use lb_http::proxy::{self, Decoded, Endpoints};
/// let bytes = b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 80\r\nGET /";
/// let Ok(Decoded::Complete { header, consumed }) = proxy::decode(bytes) else { panic!() };
/// assert_eq!(&bytes[consumed..], b"GET /");
/// let Some(Endpoints::Inet { src, .. }) = header.endpoints else { panic!() };
/// assert_eq!(src.to_string(), "192.0.2.1:1000");
/// ```
///
/// # Errors
/// See [`ProxyError`].
pub fn decode(buf: &[u8]) -> Result<Decoded<'_>, ProxyError> {
    fn begins(buf: &[u8], signature: &[u8]) -> bool {
        let n = buf.len().min(signature.len());
        buf[..n] == signature[..n]
    }
    if buf.is_empty() {
        Ok(Decoded::NeedMore)
    } else if begins(buf, v1::SIGNATURE) {
        v1::decode(buf)
    } else if begins(buf, v2::SIGNATURE) {
        v2::decode(buf)
    } else {
        Err(ProxyError::NotProxy)
    }
}
