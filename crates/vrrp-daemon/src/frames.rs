//! Announcements of addresses: gratuitous ARP as a request (RFC 5227 §3, and what keepalived sends), unsolicited neighbour advertisements
//! (RFC 4861 §7.2.6).

use std::net::{Ipv4Addr, Ipv6Addr};

const ARP: [u8; 2] = [0x08, 0x06];
const IPV6: [u8; 2] = [0x86, 0xdd];

/// An Ethernet frame that says who has an IPv4 address.
pub fn gratuitous_arp(hardware: [u8; 6], address: Ipv4Addr) -> Vec<u8> {
    let mut frame = Vec::with_capacity(42);
    frame.extend([0xff; 6]);
    frame.extend(hardware);
    frame.extend(ARP);
    // Ethernet, IPv4, lengths 6 and 4, request.
    frame.extend([0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(hardware);
    frame.extend(address.octets());
    frame.extend([0xff; 6]);
    frame.extend(address.octets());
    frame
}

/// An Ethernet frame that says who has an IPv6 address, and whether that is a router: hosts no longer use one that says it is none.
pub fn neighbour_advertisement(hardware: [u8; 6], address: Ipv6Addr, router: bool) -> Vec<u8> {
    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    // Type 136, the flags "router" and "override", target, option "target link-layer address".
    let flags = if router { 0xa0 } else { 0x20 };
    let mut body = vec![136, 0, 0, 0, flags, 0, 0, 0];
    body.extend(address.octets());
    body.extend([2, 1]);
    body.extend(hardware);
    let mut covered = Vec::with_capacity(72);
    covered.extend(address.octets());
    covered.extend(all_nodes.octets());
    covered.extend([0, 0, 0, 32, 0, 0, 0, 58]);
    covered.extend(&body);
    let mut sum: u32 = covered.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    body[2..4].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    let mut frame = Vec::with_capacity(86);
    frame.extend([0x33, 0x33, 0, 0, 0, 1]);
    frame.extend(hardware);
    frame.extend(IPV6);
    frame.extend([0x60, 0, 0, 0, 0, 32, 58, 255]);
    frame.extend(address.octets());
    frame.extend(all_nodes.octets());
    frame.extend(body);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    const HARDWARE: [u8; 6] = [0xb6, 0xf9, 0x81, 0x14, 0xba, 0x0c];

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// Captured from keepalived 2.2.7.
    #[test]
    fn as_keepalived() {
        assert_eq!(
            hex(&gratuitous_arp(HARDWARE, Ipv4Addr::new(10, 9, 0, 100))),
            "ffffffffffffb6f98114ba0c08060001080006040001b6f98114ba0c0a090064ffffffffffff0a090064"
        );
        let frame = hex(&neighbour_advertisement(HARDWARE, "fe80::57".parse().expect("an address"), false));
        let expected = "333300000001b6f98114ba0c86dd6000000000203afffe800000000000000000000000000057ff020000000000000000000000000001\
                        880066d520000000fe8000000000000000000000000000570201b6f98114ba0c";
        assert_eq!(frame, expected);
        // The same from one that forwards: another flag, and a checksum to match.
        let router = hex(&neighbour_advertisement(HARDWARE, "fe80::57".parse().expect("an address"), true));
        assert_eq!(router, expected.replace("880066d520000000", "8800e6d4a0000000"));
    }
}
