//! The IP authentication header (RFC 2402) with HMAC-MD5-96 (RFC 2403), as far as `auth_type AH` of keepalived uses it.
//!
//! The integrity value covers the IPv4 header with type of service, fragment offset and checksum as zero. keepalived leaves the time to
//! live in place on multicast, where it is always 255, and zeroes it on unicast; so it is here, since that is what peers check.

use super::ip::{HEADER, Header};
use super::{PROTOCOL, TTL};
use crate::Refusal;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;

/// Bytes of the header with its integrity value.
const LEN: usize = 24;
/// Where the integrity value begins.
const ICV: usize = 12;

/// An authentication header, and the IPv4 header before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AuthHeader<'a> {
    ip: &'a [u8],
    ah: &'a [u8; LEN],
}

impl<'a> AuthHeader<'a> {
    /// Splits the payload of an IPv4 datagram.
    pub fn split(ip: &'a [u8], payload: &'a [u8]) -> Result<(AuthHeader<'a>, &'a [u8]), Refusal> {
        let (ah, pdu) = payload.split_first_chunk::<LEN>().ok_or(Refusal::Length { got: payload.len(), want: LEN })?;
        // The length counts words of four bytes, less two.
        if ah[0] != PROTOCOL || usize::from(ah[1]) != LEN / 4 - 2 || ip.len() != HEADER {
            return Err(Refusal::AuthHeader("it has another form"));
        }
        Ok((AuthHeader { ip, ah }, pdu))
    }

    pub fn sequence(&self) -> u32 {
        let [.., a, b, c, d] = *self.ah.first_chunk::<ICV>().expect("a header is longer");
        u32::from_be_bytes([a, b, c, d])
    }

    /// Whether the sender knew the key. The index (SPI) has to be its address.
    pub fn verify(&self, key: &[u8], pdu: &[u8]) -> Result<(), Refusal> {
        if self.ah[4..8] != self.ip[12..16] {
            return Err(Refusal::AuthHeader("its index is not the sender's address"));
        }
        let ip = self.ip.try_into().map_err(|_| Refusal::AuthHeader("it has another form"))?;
        // In constant time: the comparison is the hmac crate's.
        let mac = mac(key, ip, self.ah, pdu);
        mac.verify_truncated_left(&self.ah[ICV..]).map_err(|_| Refusal::AuthHeader("its integrity value is wrong"))
    }
}

fn mac(key: &[u8], ip: &[u8; HEADER], ah: &[u8; LEN], pdu: &[u8]) -> Hmac<Md5> {
    let mut ip = *ip;
    ip[1] = 0;
    ip[6..8].fill(0);
    ip[10..12].fill(0);
    let multicast = ip[16] >> 4 == 0xe;
    ip[8] = if multicast { TTL } else { 0 };
    let mut mac = Hmac::<Md5>::new_from_slice(key).expect("a key of any length");
    mac.update(&ip);
    mac.update(&ah[..ICV]);
    mac.update(&[0; LEN - ICV]);
    mac.update(pdu);
    mac
}

/// An advert below an authentication header.
pub(super) fn datagram(header: &Header, key: &[u8], pdu: &[u8]) -> Vec<u8> {
    let ip = header.bytes(LEN + pdu.len());
    let mut ah = [0; LEN];
    ah[0] = PROTOCOL;
    ah[1] = 4;
    ah[4..8].copy_from_slice(&header.source.octets());
    ah[8..ICV].copy_from_slice(&header.sequence.to_be_bytes());
    let icv = mac(key, &ip, &ah, pdu).finalize().into_bytes();
    ah[ICV..].copy_from_slice(&icv[..LEN - ICV]);
    let mut all = Vec::with_capacity(HEADER + LEN + pdu.len());
    all.extend(ip);
    all.extend(ah);
    all.extend(pdu);
    all
}
