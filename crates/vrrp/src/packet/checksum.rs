//! The Internet checksum over an advert, in the forms that are in use.

use std::net::IpAddr;

/// What the checksum covers besides the advert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Nothing: VRRPv2, and VRRPv3 over IPv4 as some vendors read RFC 5798.
    Plain,
    /// A pseudo header of source, destination, length and protocol: VRRPv3.
    Pseudo {
        /// The sender.
        source: IpAddr,
        /// The receiver. keepalived before 1.3.7 took the multicast group for it in unicast adverts too.
        destination: IpAddr,
    },
}

/// The checksum of `pdu`, whose checksum field is taken for zero.
pub fn of(pdu: &[u8], form: Form) -> u16 {
    let stands = pdu.get(6..8).map_or(0, |field| u64::from(u16::from_be_bytes([field[0], field[1]])));
    !fold(sum(pdu, form) - stands)
}

/// Whether the checksum in `pdu` is right.
pub fn verifies(pdu: &[u8], form: Form) -> bool {
    fold(sum(pdu, form)) == 0xffff
}

/// The checksum of an IPv4 header whose checksum field is zero.
pub(super) fn of_header(header: &[u8]) -> u16 {
    !fold(words(header))
}

fn sum(pdu: &[u8], form: Form) -> u64 {
    let header = match form {
        Form::Plain => 0,
        Form::Pseudo { source, destination } => address(source) + address(destination) + pdu.len() as u64 + u64::from(super::PROTOCOL),
    };
    words(pdu) + header
}

fn address(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(v4) => words(&v4.octets()),
        IpAddr::V6(v6) => words(&v6.octets()),
    }
}

fn words(bytes: &[u8]) -> u64 {
    bytes.chunks(2).map(|pair| u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0))).sum()
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).expect("folded to 16 bits")
}
