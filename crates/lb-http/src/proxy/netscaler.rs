//! NetScaler Client IP insertion, receiver (netscaler-client-ip-insertion-protocol.txt of the HAProxy project): a magic number that
//! both sides have agreed on, lengths, and the client's own IP and TCP header. The legacy form has one length of four bytes; the
//! standard one (NetScaler 10.5 and later) has a total length, a type and a header length.
//!
//! Holds: as for PROXY headers; what the inner headers say of their lengths never reaches beyond what the outer length gives.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Longest header that is accepted: IP and TCP headers have 120 bytes at most.
pub const MAX_NETSCALER: usize = 1024;

/// Result of [`decode_netscaler`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Netscaler {
    /// A sound beginning; more bytes are needed.
    NeedMore,
    /// The header is there.
    Complete {
        /// Who connected.
        src: SocketAddr,
        /// Where to.
        dst: SocketAddr,
        /// Its length: what follows in the buffer is the connection's data.
        consumed: usize,
    },
}

/// Why a header was refused: the connection has to be dropped without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NetscalerError {
    /// It does not begin with the magic number.
    #[error("no NetScaler Client IP header")]
    Magic,
    /// Neither form, or not TCP over IPv4 or IPv6.
    #[error("unsupported protocol in a NetScaler Client IP header")]
    Protocol,
    /// Too short for the headers in it, or longer than [`MAX_NETSCALER`].
    #[error("bad NetScaler Client IP length")]
    Length,
}

/// Magic number and the first length.
const LEGACY: usize = 8;
/// Those, the type and the header length.
const STANDARD: usize = 12;
/// Ports stand in the first bytes of a TCP header, which has at least so many.
const TCP: usize = 20;
const PROTOCOL_TCP: u8 = 6;

/// Decodes the header at the front of `buf`.
///
/// # Errors
/// See [`NetscalerError`].
pub fn decode_netscaler(magic: u32, buf: &[u8]) -> Result<Netscaler, NetscalerError> {
    let magic = magic.to_be_bytes();
    let seen = buf.len().min(magic.len());
    if buf[..seen] != magic[..seen] {
        return Err(NetscalerError::Magic);
    }
    // A legacy header's ninth byte begins an IP header; the standard's is the high byte of a small type.
    let Some(&kind) = buf.get(LEGACY) else { return Ok(Netscaler::NeedMore) };
    let (start, len) = match kind >> 4 {
        4 | 6 => (LEGACY, be32(buf, 4)),
        _ if kind == 0 => {
            if buf.len() < STANDARD {
                return Ok(Netscaler::NeedMore);
            }
            (STANDARD, u32::from(be16(buf, 10)))
        }
        _ => return Err(NetscalerError::Protocol),
    };
    let len = usize::try_from(len).ok().filter(|len| *len <= MAX_NETSCALER).ok_or(NetscalerError::Length)?;
    let consumed = start + len;
    let Some(headers) = buf.get(start..consumed) else {
        // What can be seen to be wrong is said before the rest comes.
        if let Some(&first) = buf.get(start) {
            ip_header(first, len)?;
        }
        return Ok(Netscaler::NeedMore);
    };
    let (src, dst) = ends(headers)?;
    Ok(Netscaler::Complete { src, dst, consumed })
}

/// Length of the IP header that begins with `first`, which has to fit with a TCP header into `len`.
fn ip_header(first: u8, len: usize) -> Result<usize, NetscalerError> {
    let ip = match first >> 4 {
        4 => usize::from(first & 15) * 4,
        6 => 40,
        _ => return Err(NetscalerError::Protocol),
    };
    if ip < 20 || ip + TCP > len { Err(NetscalerError::Length) } else { Ok(ip) }
}

fn ends(headers: &[u8]) -> Result<(SocketAddr, SocketAddr), NetscalerError> {
    let first = *headers.first().ok_or(NetscalerError::Length)?;
    let ip = ip_header(first, headers.len())?;
    let v4 = |at: usize| IpAddr::V4(Ipv4Addr::from(std::array::from_fn::<u8, 4, _>(|i| headers[at + i])));
    let v6 = |at: usize| IpAddr::V6(Ipv6Addr::from(std::array::from_fn::<u8, 16, _>(|i| headers[at + i])));
    let (protocol, src, dst) = if first >> 4 == 4 { (headers[9], v4(12), v4(16)) } else { (headers[6], v6(8), v6(24)) };
    if protocol != PROTOCOL_TCP {
        return Err(NetscalerError::Protocol);
    }
    Ok((SocketAddr::new(src, be16(headers, ip)), SocketAddr::new(dst, be16(headers, ip + 2))))
}

/// The caller has made sure that the bytes are there.
fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from(be16(bytes, at)) << 16 | u32::from(be16(bytes, at + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAGIC: u32 = 0x0102_0304;

    fn ipv4(words: u8, protocol: u8) -> Vec<u8> {
        let mut header = vec![0; usize::from(words) * 4];
        header[0] = 0x40 | words;
        header[9] = protocol;
        header[12..20].copy_from_slice(&[192, 0, 2, 7, 192, 0, 2, 8]);
        header
    }

    fn ipv6(next: u8) -> Vec<u8> {
        let mut header = vec![0; 40];
        header[0] = 0x60;
        header[6] = next;
        header[23] = 7;
        header[39] = 8;
        header
    }

    fn tcp() -> Vec<u8> {
        [&[0x04, 0x57, 0x08, 0xae][..], &[0; 16]].concat()
    }

    fn legacy(headers: &[u8]) -> Vec<u8> {
        [&MAGIC.to_be_bytes()[..], &(headers.len() as u32).to_be_bytes(), headers].concat()
    }

    fn standard(headers: &[u8]) -> Vec<u8> {
        let total = headers.len() as u32 + 12;
        [&MAGIC.to_be_bytes()[..], &total.to_be_bytes(), &[0, 1], &(headers.len() as u16).to_be_bytes(), headers].concat()
    }

    fn seen(bytes: &[u8]) -> Result<(String, String), NetscalerError> {
        let data = [bytes, b"GET /"].concat();
        // No prefix is taken for the whole, nor refused when the whole is not.
        for cut in 0..bytes.len() {
            let part = decode_netscaler(MAGIC, &bytes[..cut]);
            assert!(part == Ok(Netscaler::NeedMore) || part == decode_netscaler(MAGIC, bytes), "{cut} of {bytes:?}: {part:?}");
        }
        match decode_netscaler(MAGIC, &data)? {
            Netscaler::Complete { src, dst, consumed } => {
                assert_eq!(consumed, bytes.len());
                Ok((src.to_string(), dst.to_string()))
            }
            Netscaler::NeedMore => panic!("{bytes:?}"),
        }
    }

    #[test]
    fn both_forms_over_both_families() {
        let four = Ok(("192.0.2.7:1111".into(), "192.0.2.8:2222".into()));
        let six = Ok(("[::7]:1111".into(), "[::8]:2222".into()));
        for form in [legacy, standard] {
            assert_eq!(seen(&form(&[ipv4(5, 6), tcp()].concat())), four);
            assert_eq!(seen(&form(&[ipv4(6, 6), tcp(), vec![1; 4]].concat())), four, "with options");
            assert_eq!(seen(&form(&[ipv6(6), tcp()].concat())), six);
        }
    }

    #[test]
    fn what_is_refused() {
        use NetscalerError::{Length, Magic, Protocol};
        let sound = legacy(&[ipv4(5, 6), tcp()].concat());
        assert_eq!(decode_netscaler(MAGIC + 1, &sound), Err(Magic));
        assert_eq!(decode_netscaler(MAGIC, b"GET"), Err(Magic));
        for form in [legacy, standard] {
            assert_eq!(seen(&form(&[ipv4(5, 17), tcp()].concat())), Err(Protocol), "UDP");
            assert_eq!(seen(&form(&[ipv6(17), tcp()].concat())), Err(Protocol), "UDP");
            assert_eq!(seen(&form(&[ipv4(5, 6), tcp()].concat()[..39])), Err(Length), "half of a TCP header");
            assert_eq!(seen(&form(&[ipv6(6), tcp()].concat()[..59])), Err(Length));
            // An inner length that reaches beyond the outer one, and one that is none.
            for words in [0x4f, 0x44, 0x40] {
                let mut headers = [ipv4(5, 6), tcp()].concat();
                headers[0] = words;
                assert_eq!(seen(&form(&headers)), Err(Length), "{words:x}");
            }
        }
        assert_eq!(seen(&standard(&[&[0x55][..], &[0; 60]].concat())), Err(Protocol), "IP version 5");
        assert_eq!(seen(&legacy(&[0x15; 60])), Err(Protocol));
        assert_eq!(seen(&standard(&[])), Err(Length));
        let mut huge = sound.clone();
        huge[4] = 0x7f;
        assert_eq!(decode_netscaler(MAGIC, &huge), Err(Length));
    }
}
