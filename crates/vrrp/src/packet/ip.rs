//! The layer below: IPv4 headers, and what is known of a received packet beside its advert.

use super::{PROTOCOL, PROTOCOL_AH, TOS, ah, checksum};
use crate::Refusal;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of an IPv4 header without options.
pub(super) const HEADER: usize = 20;

/// A received packet, not yet believed.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// Who claims to have sent it.
    pub source: IpAddr,
    /// To whom.
    pub destination: IpAddr,
    /// Time to live or hop limit that it arrived with.
    pub hops: u8,
    /// The advert.
    pub pdu: &'a [u8],
    pub(crate) ah: Option<ah::AuthHeader<'a>>,
}

impl<'a> Packet<'a> {
    /// From a whole IPv4 datagram, as a raw socket delivers it: VRRP, or VRRP below an authentication header. What stands behind the
    /// datagram's own length (the padding of a short frame) is ignored.
    ///
    /// # Errors
    /// [`Refusal::Ip`] for a header that is none, a fragment, another protocol; [`Refusal::Length`] for a datagram that is cut short.
    pub fn ipv4(datagram: &'a [u8]) -> Result<Packet<'a>, Refusal> {
        let fixed = datagram.first_chunk::<HEADER>().ok_or(Refusal::Length { got: datagram.len(), want: HEADER })?;
        let header = usize::from(fixed[0] & 0xf) * 4;
        let total = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
        if fixed[0] >> 4 != 4 || header < HEADER || total < header {
            return Err(Refusal::Ip("no IPv4 header"));
        }
        // All but the "don't fragment" bit: more to come, or not the first.
        if u16::from_be_bytes([fixed[6], fixed[7]]) & 0x3fff != 0 {
            return Err(Refusal::Ip("a fragment"));
        }
        let payload = datagram.get(header..total).ok_or(Refusal::Length { got: datagram.len(), want: total })?;
        let (ah, pdu) = match fixed[9] {
            PROTOCOL => (None, payload),
            PROTOCOL_AH => {
                let (ah, pdu) = ah::AuthHeader::split(&datagram[..header], payload)?;
                (Some(ah), pdu)
            }
            _ => return Err(Refusal::Ip("another protocol")),
        };
        let address = |at: usize| IpAddr::V4(Ipv4Addr::new(fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]));
        Ok(Packet { source: address(12), destination: address(16), hops: fixed[8], pdu, ah })
    }

    /// From what a raw IPv6 socket delivers: the advert, with addresses and hop limit told beside it.
    pub fn ipv6(source: Ipv6Addr, destination: Ipv6Addr, hops: u8, pdu: &'a [u8]) -> Packet<'a> {
        Packet { source: source.into(), destination: destination.into(), hops, pdu, ah: None }
    }
}

/// What varies in the IPv4 headers that we write.
pub(super) struct Header {
    pub source: Ipv4Addr,
    pub destination: Ipv4Addr,
    pub ttl: u8,
    pub protocol: u8,
    pub sequence: u32,
}

impl Header {
    /// The header, for so many bytes behind it.
    pub fn bytes(&self, payload: usize) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let total = u16::try_from(HEADER + payload).expect("an advert has at most 255 addresses of IPv4");
        bytes[0] = 0x45;
        bytes[1] = TOS;
        bytes[2..4].copy_from_slice(&total.to_be_bytes());
        // The lower half: identification only has to differ between datagrams that are under way together.
        bytes[4..6].copy_from_slice(&self.sequence.to_be_bytes()[2..]);
        bytes[8] = self.ttl;
        bytes[9] = self.protocol;
        bytes[12..16].copy_from_slice(&self.source.octets());
        bytes[16..20].copy_from_slice(&self.destination.octets());
        let sum = checksum::of_header(&bytes);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    pub fn datagram(&self, payload: &[u8]) -> Vec<u8> {
        let mut all = Vec::with_capacity(HEADER + payload.len());
        all.extend(self.bytes(payload.len()));
        all.extend(payload);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_are_none() {
        let good = Header {
            source: Ipv4Addr::new(10, 0, 0, 1),
            destination: Ipv4Addr::new(224, 0, 0, 18),
            ttl: 255,
            protocol: PROTOCOL,
            sequence: 7,
        }
        .datagram(b"12345678");
        let parsed = Packet::ipv4(&good).expect("sound");
        assert_eq!((parsed.hops, parsed.pdu), (255, &b"12345678"[..]));
        let mut padded = good.clone();
        padded.extend([0; 18]);
        assert_eq!(Packet::ipv4(&padded).expect("padding is ignored").pdu, b"12345678");
        assert_eq!(Packet::ipv4(&good[..27]).err(), Some(Refusal::Length { got: 27, want: 28 }));
        assert_eq!(Packet::ipv4(&good[..19]).err(), Some(Refusal::Length { got: 19, want: 20 }));
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            Packet::ipv4(&bytes).err()
        };
        assert_eq!(with(0, 0x65), Some(Refusal::Ip("no IPv4 header")));
        assert_eq!(with(0, 0x44), Some(Refusal::Ip("no IPv4 header")));
        assert_eq!(with(3, 19), Some(Refusal::Ip("no IPv4 header")));
        assert_eq!(with(6, 0x20), Some(Refusal::Ip("a fragment")));
        assert_eq!(with(6, 0x40), None);
        assert_eq!(with(9, 6), Some(Refusal::Ip("another protocol")));
        // With options, the advert begins later.
        assert_eq!(with(0, 0x46), None);
    }
}
