//! Rules: which table packets are looked up in.

use super::Change;
use crate::conf::model::{Does, RuleConf};
use crate::conf::route::KEEPALIVED;
use netlink_packet_core::DefaultNla;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage, RulePortRange, RuleUidRange};

/// The kernel's number of realms.
const REALMS: u16 = 11;
/// `not`.
const INVERT: u32 = 2;

/// A rule as it is put in place or taken away.
pub(super) fn message(rule: &RuleConf) -> RuleMessage {
    let mut message = RuleMessage::default();
    let header = &mut message.header;
    header.family = if rule.ipv6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
    header.src_len = rule.from.map_or(0, |(_, prefix)| prefix);
    header.dst_len = rule.to.map_or(0, |(_, prefix)| prefix);
    header.tos = rule.tos;
    if rule.not {
        header.flags = RuleFlags::from_bits_retain(INVERT);
    }
    let attributes = &mut message.attributes;
    match rule.does {
        Does::Table(table) => {
            header.action = RuleAction::ToTable;
            header.table = u8::try_from(table).unwrap_or(0);
            attributes.push(RuleAttribute::Table(table));
        }
        Does::Goto(target) => {
            header.action = RuleAction::Goto;
            attributes.push(RuleAttribute::Goto(target));
        }
        Does::Kind(kind) => header.action = RuleAction::from(kind),
        Does::L3mdev => {
            header.action = RuleAction::ToTable;
            attributes.push(RuleAttribute::L3MDev(true));
        }
    }
    attributes.extend(rule.from.filter(|(_, prefix)| *prefix > 0).map(|(ip, _)| RuleAttribute::Source(ip)));
    attributes.extend(rule.to.filter(|(_, prefix)| *prefix > 0).map(|(ip, _)| RuleAttribute::Destination(ip)));
    attributes.extend(rule.preference.map(RuleAttribute::Priority));
    if let Some((mark, mask)) = rule.fwmark {
        attributes.extend([RuleAttribute::FwMark(mark), RuleAttribute::FwMask(mask)]);
    }
    attributes.extend(rule.iif.clone().map(RuleAttribute::Iifname));
    attributes.extend(rule.oif.clone().map(RuleAttribute::Oifname));
    attributes.extend(rule.realms.map(|realms| RuleAttribute::Other(DefaultNla::new(REALMS, realms.to_ne_bytes().to_vec()))));
    attributes.extend(rule.suppress_prefixlength.map(RuleAttribute::SuppressPrefixLen));
    attributes.extend(rule.suppress_ifgroup.map(RuleAttribute::SuppressIfGroup));
    attributes.extend(rule.uidrange.map(|(start, end)| RuleAttribute::UidRange(RuleUidRange { start, end })));
    attributes.extend(rule.tunnel.map(RuleAttribute::TunId));
    attributes.push(RuleAttribute::Protocol(rule.protocol.into()));
    attributes.extend(rule.ipproto.map(|number| RuleAttribute::IpProtocol(i32::from(number).into())));
    attributes.extend(rule.sport.map(|(start, end)| RuleAttribute::SourcePortRange(RulePortRange { start, end })));
    attributes.extend(rule.dport.map(|(start, end)| RuleAttribute::DestinationPortRange(RulePortRange { start, end })));
    message
}

/// A rule that is gone, if it may be one of ours.
pub(super) fn gone(message: &RuleMessage) -> Option<Change> {
    let (mut preference, mut protocol) = (0, 0);
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Priority(number) => preference = *number,
            RuleAttribute::Protocol(number) => protocol = u8::from(*number),
            _ => {}
        }
    }
    (protocol == KEEPALIVED).then_some(Change::RuleGone { ipv6: message.header.family == AddressFamily::Inet6, preference })
}
