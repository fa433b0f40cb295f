//! Interfaces: what they are, and virtual ones made and removed.

use super::Change;
use netlink_packet_route::link::{InfoData, InfoKind, InfoMacVlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, MacVlanMode};

pub(super) fn change(link: LinkMessage) -> Change {
    let (index, flags) = (link.header.index, link.header.flags);
    let (mut name, mut hardware, mut below, mut macvlan) = (String::new(), Vec::new(), None, false);
    for attribute in link.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = text,
            LinkAttribute::Address(bytes) => hardware = bytes,
            LinkAttribute::Link(index) => below = Some(index),
            LinkAttribute::LinkInfo(info) => macvlan = info.contains(&LinkInfo::Kind(InfoKind::MacVlan)),
            _ => {}
        }
    }
    let macvlan_of = below.filter(|_| macvlan);
    Change::Link { index, name, up: flags.contains(LinkFlags::Up | LinkFlags::Running), hardware, macvlan_of }
}

/// A private macvlan: those on one base do not hear each other.
pub(super) fn macvlan(name: &str, base: u32, mac: [u8; 6]) -> LinkMessage {
    let mut message = LinkMessage::default();
    let data = InfoData::MacVlan(vec![InfoMacVlan::Mode(MacVlanMode::Private)]);
    message.attributes = vec![
        LinkAttribute::IfName(name.into()),
        LinkAttribute::Link(base),
        LinkAttribute::Address(mac.to_vec()),
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::MacVlan), LinkInfo::Data(data)]),
    ];
    message
}

pub(super) fn up(index: u32) -> LinkMessage {
    let mut message = numbered(index);
    (message.header.flags, message.header.change_mask) = (LinkFlags::Up, LinkFlags::Up);
    message
}

pub(super) fn numbered(index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message
}
