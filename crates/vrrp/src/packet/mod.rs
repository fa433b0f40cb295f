//! Advertisements on the wire: VRRPv2 (RFC 3768, with the authentication field of RFC 2338) and VRRPv3 (RFC 9568).
//!
//! Bytes in, values out, and back. What a peer sends never panics here and costs time linear in its length.

mod ah;
pub mod checksum;
mod ip;

pub use ip::Packet;

use crate::{Auth, Refusal};
use checksum::Form;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// The number of VRRP among the protocols over IP.
pub const PROTOCOL: u8 = 112;
/// The number of the authentication header (RFC 2402), below which VRRPv2 goes with `auth_type AH`.
pub const PROTOCOL_AH: u8 = 51;
/// Hops left that a multicast advert must arrive with: it has crossed no router.
pub const TTL: u8 = 255;
/// Type of service of adverts: internetwork control.
pub const TOS: u8 = 0xc0;
/// The most addresses in one advert: the field that counts them has eight bits.
pub const MAX_ADDRESSES: usize = 255;

/// Bytes before the addresses.
const HEADER: usize = 8;
/// Bytes of authentication data behind the addresses in VRRPv2, always there.
const AUTH_DATA: usize = 8;
/// The only type of a VRRP packet.
const TYPE_ADVERT: u8 = 1;
/// The unit of the interval in VRRPv3.
const CENTISECOND: Duration = Duration::from_millis(10);

/// Which protocol a router speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// RFC 3768: IPv4, whole seconds, passwords.
    V2,
    /// RFC 9568: IPv4 and IPv6, hundredths of a second.
    V3,
}

impl Version {
    /// The number in the file and on the wire.
    pub fn number(self) -> u8 {
        match self {
            Version::V2 => 2,
            Version::V3 => 3,
        }
    }
}

/// Which addresses a virtual router has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6, in VRRPv3 only.
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Family {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    /// The group that adverts go to: 224.0.0.18 or ff02::12.
    pub fn group(self) -> IpAddr {
        match self {
            Family::V4 => IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18)),
            Family::V6 => IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12)),
        }
    }

    fn address_len(self) -> usize {
        match self {
            Family::V4 => 4,
            Family::V6 => 16,
        }
    }
}

/// What the authentication field of an advert says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthField {
    /// Type 0, and all of VRRPv3.
    None,
    /// Type 1 with its eight bytes.
    Password([u8; 8]),
    /// Type 2: the proof stands in the IP authentication header.
    Header,
}

/// An advert as it was received. Addresses are not copied.
#[derive(Debug, Clone, Copy)]
pub struct Advert<'a> {
    /// The protocol's version.
    pub version: Version,
    /// Which virtual router.
    pub vrid: u8,
    /// 0: the master stops. 255: the owner of the addresses.
    pub priority: u8,
    /// Time between adverts: whole seconds in VRRPv2, centiseconds in VRRPv3.
    pub interval: Duration,
    /// Authentication, in VRRPv2.
    pub auth: AuthField,
    /// The virtual addresses.
    pub addresses: Addresses<'a>,
}

impl<'a> Advert<'a> {
    /// Reads an advert. The checksum is another matter ([`checksum`]), since it may cover more than these bytes.
    ///
    /// # Errors
    /// What is wrong with the form: length, version, type, authentication type, an interval of zero.
    pub fn decode(pdu: &'a [u8], family: Family) -> Result<Advert<'a>, Refusal> {
        let too_short = Refusal::Length { got: pdu.len(), want: HEADER };
        let [kind, vrid, priority, count, a, b, _, _] = *pdu.first_chunk::<HEADER>().ok_or(too_short)?;
        let version = match (kind >> 4, family) {
            (2, Family::V4) => Version::V2,
            (3, _) => Version::V3,
            (other, _) => return Err(Refusal::Version(other)),
        };
        if kind & 0xf != TYPE_ADVERT {
            return Err(Refusal::Type(kind & 0xf));
        }
        let end = HEADER + usize::from(count) * family.address_len();
        let want = if version == Version::V2 { end + AUTH_DATA } else { end };
        if pdu.len() != want {
            return Err(Refusal::Length { got: pdu.len(), want });
        }
        let (interval, auth) = match version {
            Version::V2 => (Duration::from_secs(b.into()), auth_field(a, &pdu[end..])?),
            Version::V3 => (CENTISECOND * u32::from(u16::from_be_bytes([a, b]) & 0xfff), AuthField::None),
        };
        if interval.is_zero() {
            return Err(Refusal::Interval { got: interval, want: None });
        }
        let addresses = Addresses { bytes: &pdu[HEADER..end], family };
        Ok(Advert { version, vrid, priority, interval, auth, addresses })
    }
}

fn auth_field(kind: u8, data: &[u8]) -> Result<AuthField, Refusal> {
    match kind {
        0 => Ok(AuthField::None),
        1 => data.try_into().map(AuthField::Password).map_err(|_| Refusal::Length { got: data.len(), want: AUTH_DATA }),
        2 => Ok(AuthField::Header),
        other => Err(Refusal::AuthType(other)),
    }
}

/// For which virtual router these bytes are, if they have that many: so that a shell with many instances on one socket finds the right one.
pub fn vrid(pdu: &[u8]) -> Option<u8> {
    pdu.get(1).copied()
}

/// The addresses of a received advert.
#[derive(Debug, Clone, Copy)]
pub struct Addresses<'a> {
    bytes: &'a [u8],
    family: Family,
}

impl<'a> Addresses<'a> {
    /// How many.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.family.address_len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// One after the other, as they stand in the packet.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> + use<'a> {
        let family = self.family;
        self.bytes.chunks_exact(family.address_len()).map(move |bytes| match family {
            Family::V4 => IpAddr::from(<[u8; 4]>::try_from(bytes).expect("chunks of 4")),
            Family::V6 => IpAddr::from(<[u8; 16]>::try_from(bytes).expect("chunks of 16")),
        })
    }
}

/// An advert to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// The protocol's version.
    pub version: Version,
    /// Which virtual router.
    pub vrid: u8,
    /// The priority to announce; 0 when leaving.
    pub priority: u8,
    /// Time between adverts. It is cut to the unit and the range of the version.
    pub interval: Duration,
    /// Authentication, in VRRPv2.
    pub auth: &'a Auth,
    /// The virtual addresses, all of one family, at most [`MAX_ADDRESSES`]; further ones are left out.
    pub addresses: &'a [IpAddr],
}

impl Outgoing<'_> {
    /// The bytes above IP, with their checksum.
    pub fn pdu(&self, form: Form) -> Vec<u8> {
        let addresses = &self.addresses[..self.addresses.len().min(MAX_ADDRESSES)];
        let mut pdu = Vec::with_capacity(HEADER + addresses.len() * 16 + AUTH_DATA);
        let count = u8::try_from(addresses.len()).expect("cut to MAX_ADDRESSES above");
        let interval = match self.version {
            Version::V2 => {
                let seconds = u8::try_from(self.interval.as_secs()).unwrap_or(u8::MAX);
                [self.auth.wire_type(), seconds.max(1)]
            }
            Version::V3 => {
                let units = u16::try_from(self.interval.as_millis() / CENTISECOND.as_millis()).unwrap_or(0xfff);
                units.clamp(1, 0xfff).to_be_bytes()
            }
        };
        pdu.extend([self.version.number() << 4 | TYPE_ADVERT, self.vrid, self.priority, count]);
        pdu.extend(interval);
        pdu.extend([0, 0]);
        for address in addresses {
            match address {
                IpAddr::V4(v4) => pdu.extend(v4.octets()),
                IpAddr::V6(v6) => pdu.extend(v6.octets()),
            }
        }
        if self.version == Version::V2 {
            pdu.extend(self.auth.wire_data());
        }
        let sum = checksum::of(&pdu, form);
        pdu[6..8].copy_from_slice(&sum.to_be_bytes());
        pdu
    }

    /// The whole IPv4 datagram. `sequence` is the identification of the header, and the sequence number of the authentication
    /// header where there is one.
    pub fn datagram(&self, form: Form, source: Ipv4Addr, destination: Ipv4Addr, ttl: u8, sequence: u32) -> Vec<u8> {
        let pdu = self.pdu(form);
        match self.auth {
            Auth::Header(key) => {
                let header = ip::Header { source, destination, ttl, protocol: PROTOCOL_AH, sequence };
                ah::datagram(&header, key, &pdu)
            }
            _ => ip::Header { source, destination, ttl, protocol: PROTOCOL, sequence }.datagram(&pdu),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let len = |got, want| Err(Refusal::Length { got, want });
        let decode = |bytes: &[u8], family| Advert::decode(bytes, family).map(|a| (a.priority, a.interval.as_millis()));
        assert_eq!(decode(&[], Family::V4), len(0, 8));
        assert_eq!(decode(&[0x21, 1, 100, 0, 0, 1, 0], Family::V4), len(7, 8));
        assert_eq!(decode(&[0x21, 1, 100, 0, 0, 1, 0, 0], Family::V4), len(8, 16));
        assert_eq!(decode(&[0x31, 1, 100, 0, 0xf0, 1, 0, 0], Family::V4), Ok((100, 10)));
        assert_eq!(decode(&[0x31, 1, 100, 0, 0xff, 0xff, 0, 0], Family::V6), Ok((100, 40_950)));
        assert_eq!(decode(&[0x31, 1, 100, 1, 0, 1, 0, 0], Family::V6), len(8, 24));
        assert_eq!(decode(&[0x31, 1, 100, 0, 0, 1, 0, 0, 0], Family::V6), len(9, 8));
        assert_eq!(decode(&[0x21, 1, 100, 0, 0, 1, 0, 0], Family::V6), Err(Refusal::Version(2)));
        assert_eq!(decode(&[0x41, 1, 100, 0, 0, 1, 0, 0], Family::V4), Err(Refusal::Version(4)));
        assert_eq!(decode(&[0x32, 1, 100, 0, 0, 1, 0, 0], Family::V4), Err(Refusal::Type(2)));
        assert_eq!(decode(&[0x31, 1, 100, 0, 0, 0, 0, 0], Family::V4), Err(Refusal::Interval { got: Duration::ZERO, want: None }));
        let mut v2 = [0; 16];
        v2[..6].copy_from_slice(&[0x21, 1, 100, 0, 3, 1]);
        assert_eq!(decode(&v2, Family::V4), Err(Refusal::AuthType(3)));
    }
}
