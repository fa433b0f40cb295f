//! Version 2: binary (section 2.2).

use super::{Decoded, Endpoints, Header, MAX_V2, ProxyError, crc32c};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const FIXED: usize = 16;
const UNIX_PATH: usize = 108;

const ALPN: u8 = 0x01;
const AUTHORITY: u8 = 0x02;
const CRC32C: u8 = 0x03;
const UNIQUE_ID: u8 = 0x05;
/// haproxy's limits for what it keeps of a header.
const MAX_AUTHORITY: usize = 255;
const MAX_UNIQUE_ID: usize = 128;

/// One additional field of a version 2 header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tlv<'a> {
    /// `PP2_TYPE_ALPN`
    Alpn(&'a [u8]),
    /// `PP2_TYPE_AUTHORITY`: the host name the client asked for (SNI); at most 255 bytes.
    Authority(&'a [u8]),
    /// `PP2_TYPE_UNIQUE_ID`: at most 128 bytes.
    UniqueId(&'a [u8]),
    /// Any other type.
    Other(u8, &'a [u8]),
}

impl<'a> Tlv<'a> {
    /// Its type and value.
    pub fn parts(self) -> (u8, &'a [u8]) {
        match self {
            Tlv::Alpn(v) => (ALPN, v),
            Tlv::Authority(v) => (AUTHORITY, v),
            Tlv::UniqueId(v) => (UNIQUE_ID, v),
            Tlv::Other(t, v) => (t, v),
        }
    }
}

/// TLVs of a header that has been checked; iterates in the order of the wire, the checksum included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tlvs<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Tlvs<'a> {
    type Item = Tlv<'a>;

    fn next(&mut self) -> Option<Tlv<'a>> {
        let (kind, value, rest) = split_tlv(self.rest)?;
        self.rest = rest;
        Some(match kind {
            ALPN => Tlv::Alpn(value),
            AUTHORITY => Tlv::Authority(value),
            UNIQUE_ID => Tlv::UniqueId(value),
            _ => Tlv::Other(kind, value),
        })
    }
}

/// Type, value and rest; `None` at the end and for a TLV that is cut short.
fn split_tlv(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[kind, high, low], rest) = bytes.split_first_chunk::<3>()?;
    let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
    Some((kind, value, rest))
}

pub(super) fn decode(buf: &[u8]) -> Result<Decoded<'_>, ProxyError> {
    if let Some(&version_command) = buf.get(12)
        && !matches!(version_command, 0x20 | 0x21)
    {
        return Err(ProxyError::Command);
    }
    let Some(fixed) = buf.first_chunk::<FIXED>() else { return Ok(Decoded::NeedMore) };
    let consumed = FIXED + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    let addresses = match (fixed[12], fixed[13]) {
        (0x20, _) => 0,
        (_, 0x11) => 12,
        (_, 0x21) => 36,
        (_, 0x31) => 2 * UNIX_PATH,
        _ => return Err(ProxyError::Family),
    };
    if consumed > MAX_V2 || consumed < FIXED + addresses {
        return Err(ProxyError::Length);
    }
    let Some(whole) = buf.get(..consumed) else { return Ok(Decoded::NeedMore) };
    let local = Header { version: 2, endpoints: None, tlvs: Tlvs::default() };
    if fixed[12] == 0x20 {
        // The receiver must discard the block, family included.
        return Ok(Decoded::Complete { header: local, consumed });
    }
    let (block, tlvs) = whole[FIXED..].split_at(addresses);
    check_tlvs(whole, FIXED + addresses)?;
    let endpoints = Some(endpoints(block));
    Ok(Decoded::Complete { header: Header { version: 2, endpoints, tlvs: Tlvs { rest: tlvs } }, consumed })
}

/// The address block; its length says what it is.
fn endpoints(block: &[u8]) -> Endpoints {
    let half = if block.len() == 2 * UNIX_PATH { UNIX_PATH } else { (block.len() - 4) / 2 };
    let (src, dst) = (&block[..half], &block[half..2 * half]);
    if half == UNIX_PATH {
        let path = |p: &[u8]| p[..p.iter().rposition(|&b| b != 0).map_or(0, |i| i + 1)].to_vec();
        return Endpoints::Unix { src: path(src), dst: path(dst) };
    }
    let port = |at: usize| u16::from_be_bytes([block[at], block[at + 1]]);
    let ip = |bytes: &[u8]| match <[u8; 4]>::try_from(bytes) {
        Ok(v4) => IpAddr::V4(Ipv4Addr::from(v4)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).unwrap_or_default())),
    };
    Endpoints::Inet { src: SocketAddr::new(ip(src), port(2 * half)), dst: SocketAddr::new(ip(dst), port(2 * half + 2)) }
}

/// TLVs from `from` to the end of the header `whole`: all of them complete, the checksum right.
fn check_tlvs(whole: &[u8], from: usize) -> Result<(), ProxyError> {
    let mut rest = &whole[from..];
    while !rest.is_empty() {
        let (kind, value, after) = split_tlv(rest).ok_or(ProxyError::Tlv)?;
        match kind {
            CRC32C => {
                let want = u32::from_be_bytes(value.try_into().map_err(|_| ProxyError::Tlv)?);
                let end = whole.len() - after.len();
                let sum = crc32c(&[&whole[..end - 4], &[0; 4], &whole[end..]]);
                if sum != want {
                    return Err(ProxyError::Checksum);
                }
            }
            AUTHORITY if value.len() > MAX_AUTHORITY => return Err(ProxyError::Tlv),
            UNIQUE_ID if value.len() > MAX_UNIQUE_ID => return Err(ProxyError::Tlv),
            _ => {}
        }
        rest = after;
    }
    Ok(())
}

/// Appends a version 2 header.
///
/// `None` and ends of two families give LOCAL. TLVs follow in the given order, after the checksum if there is one (as
/// haproxy orders them). TLVs that do not fit a header of 65,551 bytes are left out.
pub fn encode(endpoints: Option<&Endpoints>, tlvs: &[Tlv<'_>], with_crc32c: bool, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(SIGNATURE);
    match endpoints {
        Some(Endpoints::Inet { src: SocketAddr::V4(src), dst: SocketAddr::V4(dst) }) => {
            out.extend_from_slice(&[0x21, 0x11, 0, 0]);
            out.extend_from_slice(&src.ip().octets());
            out.extend_from_slice(&dst.ip().octets());
            out.extend_from_slice(&src.port().to_be_bytes());
            out.extend_from_slice(&dst.port().to_be_bytes());
        }
        Some(Endpoints::Inet { src: SocketAddr::V6(src), dst: SocketAddr::V6(dst) }) => {
            out.extend_from_slice(&[0x21, 0x21, 0, 0]);
            out.extend_from_slice(&src.ip().octets());
            out.extend_from_slice(&dst.ip().octets());
            out.extend_from_slice(&src.port().to_be_bytes());
            out.extend_from_slice(&dst.port().to_be_bytes());
        }
        Some(Endpoints::Unix { src, dst }) => {
            out.extend_from_slice(&[0x21, 0x31, 0, 0]);
            for path in [src, dst] {
                let path = &path[..path.len().min(UNIX_PATH)];
                out.extend_from_slice(path);
                out.resize(out.len() + UNIX_PATH - path.len(), 0);
            }
        }
        _ => out.extend_from_slice(&[0x20, 0x00, 0, 0]),
    }
    let crc_at = out.len() + 3;
    if with_crc32c {
        out.extend_from_slice(&[CRC32C, 0, 4, 0, 0, 0, 0]);
    }
    for tlv in tlvs {
        let (kind, value) = tlv.parts();
        let room = (FIXED + usize::from(u16::MAX)) - (out.len() - start);
        if value.len() + 3 <= room {
            out.push(kind);
            out.extend_from_slice(&(value.len() as u16).to_be_bytes());
            out.extend_from_slice(value);
        }
    }
    let len = (out.len() - start - FIXED) as u16;
    out[start + 14..start + 16].copy_from_slice(&len.to_be_bytes());
    if with_crc32c {
        let sum = crc32c(&[&out[start..]]);
        out[crc_at..crc_at + 4].copy_from_slice(&sum.to_be_bytes());
    }
}
