//! Whether a received packet is listened to: every check that needs the configuration and nothing of the instance's state.

use crate::config::{Auth, Config, OldChecksum, Transport};
use crate::packet::checksum::{Form, verifies};
use crate::packet::{Advert, AuthField, Packet, TTL, vrid};
use crate::{Family, Refusal, Version};
use std::net::IpAddr;

/// A sound advert.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Accepted<'a> {
    pub advert: Advert<'a>,
    /// Its checksum was of the form that keepalived had up to 1.3.6.
    pub old_checksum: bool,
    /// Of the authentication header, if there was one.
    pub sequence: Option<u32>,
}

/// Checks a packet. `own` is the address that our adverts come from.
pub(crate) fn check<'a>(config: &Config, own: Option<IpAddr>, packet: &Packet<'a>) -> Result<Accepted<'a>, Refusal> {
    if Family::of(packet.source) != config.family || Family::of(packet.destination) != config.family {
        return Err(Refusal::Destination(packet.destination));
    }
    // The cheapest first: on a socket with many instances this is what most packets fail.
    if vrid(packet.pdu) != Some(config.vrid) {
        return Err(vrid(packet.pdu).map_or(Refusal::Length { got: packet.pdu.len(), want: 8 }, Refusal::Vrid));
    }
    if own == Some(packet.source) {
        return Err(Refusal::OwnAddress(packet.source));
    }
    path(config, packet)?;
    let advert = Advert::decode(packet.pdu, config.family)?;
    if advert.version != config.version {
        return Err(Refusal::Version(advert.version.number()));
    }
    let old_checksum = checksum(config, packet)?;
    authenticate(config, packet, &advert)?;
    if config.version == Version::V2 && advert.interval != config.advert_int {
        return Err(Refusal::Interval { got: advert.interval, want: Some(config.advert_int) });
    }
    Ok(Accepted { advert, old_checksum, sequence: packet.ah.map(|ah| ah.sequence()) })
}

/// Where it comes from, where it was sent, how many routers are between.
fn path(config: &Config, packet: &Packet<'_>) -> Result<(), Refusal> {
    let (min, max) = match &config.transport {
        Transport::Multicast { group } if packet.destination != *group => return Err(Refusal::Destination(packet.destination)),
        Transport::Multicast { .. } => (TTL, TTL),
        Transport::Unicast { .. } if packet.destination.is_multicast() => return Err(Refusal::Destination(packet.destination)),
        Transport::Unicast { peers, check_source, .. } => match peers.iter().find(|p| p.address == packet.source) {
            Some(peer) => (peer.min_ttl, peer.max_ttl),
            None if *check_source || peers.iter().any(|p| p.limits_ttl()) => return Err(Refusal::Source(packet.source)),
            None => (0, TTL),
        },
    };
    if (min..=max).contains(&packet.hops) { Ok(()) } else { Err(Refusal::Ttl { got: packet.hops, min, max }) }
}

/// True if it is right in the old form only.
fn checksum(config: &Config, packet: &Packet<'_>) -> Result<bool, Refusal> {
    if verifies(packet.pdu, form(config, packet.source, packet.destination, false)) {
        return Ok(false);
    }
    let may_be_old = config.old_unicast_checksum != OldChecksum::Never && has_old_form(config);
    if may_be_old && verifies(packet.pdu, form(config, packet.source, packet.destination, true)) {
        return Ok(true);
    }
    Err(Refusal::Checksum)
}

fn has_old_form(config: &Config) -> bool {
    config.version == Version::V3 && config.family == Family::V4 && matches!(config.transport, Transport::Unicast { .. })
}

/// What the checksum of an advert covers.
pub(crate) fn form(config: &Config, source: IpAddr, destination: IpAddr, old: bool) -> Form {
    let plain = config.version == Version::V2 || (config.v3_checksum_as_v2 && config.family == Family::V4);
    match () {
        () if plain => Form::Plain,
        () if old && has_old_form(config) => Form::Pseudo { source, destination: config.family.group() },
        () => Form::Pseudo { source, destination },
    }
}

fn authenticate(config: &Config, packet: &Packet<'_>, advert: &Advert<'_>) -> Result<(), Refusal> {
    match (&config.auth, advert.auth, packet.ah) {
        (Auth::None, AuthField::None, None) => Ok(()),
        (Auth::Password(ours), AuthField::Password(theirs), None) if *ours == theirs => Ok(()),
        (Auth::Password(_), AuthField::Password(_), None) => Err(Refusal::Password),
        (Auth::Header(key), AuthField::Header, Some(ah)) => ah.verify(key, packet.pdu),
        (Auth::Header(_), AuthField::Header, None) => Err(Refusal::AuthHeader("there is none")),
        _ => Err(Refusal::AuthMismatch),
    }
}
