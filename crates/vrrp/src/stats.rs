//! What an instance counts, under the names of keepalived's statistics.

use crate::Refusal;

/// Counters of one instance since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Packets that were handed in, refused ones included.
    pub advert_rcvd: u64,
    /// Adverts sent, priority 0 included; one to several unicast peers is one.
    pub advert_sent: u64,
    /// Times it became master.
    pub become_master: u64,
    /// Times it was master and left.
    pub release_master: u64,
    /// Wrong lengths.
    pub packet_len_err: u64,
    /// VRRPv2: intervals that differ from ours. VRRPv3: zero.
    pub advert_interval_err: u64,
    /// Wrong TTL or hop limit.
    pub ip_ttl_err: u64,
    /// Packets that are no adverts.
    pub invalid_type_rcvd: u64,
    /// Adverts of a master with other addresses than ours. They are listened to.
    pub addr_list_err: u64,
    /// Unknown types of authentication.
    pub invalid_authtype: u64,
    /// Another type of authentication than ours.
    pub authtype_mismatch: u64,
    /// Wrong passwords, integrity values, sequence numbers.
    pub auth_failure: u64,
    /// Priority 0 heard.
    pub pri_zero_rcvd: u64,
    /// Priority 0 sent.
    pub pri_zero_sent: u64,
    /// Wrong checksums.
    pub chk_err: u64,
    /// Another version than ours.
    pub vers_err: u64,
    /// Another virtual router.
    pub vrid_err: u64,
    /// Senders and receivers that do not belong here, our own address, datagrams that are none.
    pub address_err: u64,
}

impl Stats {
    pub(crate) fn refused(&mut self, refusal: &Refusal) {
        let counter = match refusal {
            Refusal::Length { .. } => &mut self.packet_len_err,
            Refusal::Ttl { .. } => &mut self.ip_ttl_err,
            Refusal::Version(_) => &mut self.vers_err,
            Refusal::Type(_) => &mut self.invalid_type_rcvd,
            Refusal::Checksum => &mut self.chk_err,
            Refusal::Vrid(_) => &mut self.vrid_err,
            Refusal::AuthType(_) => &mut self.invalid_authtype,
            Refusal::AuthMismatch => &mut self.authtype_mismatch,
            Refusal::Password | Refusal::AuthHeader(_) | Refusal::Replay(_) => &mut self.auth_failure,
            Refusal::Interval { .. } => &mut self.advert_interval_err,
            Refusal::Ip(_) | Refusal::Source(_) | Refusal::OwnAddress(_) | Refusal::Destination(_) => &mut self.address_err,
        };
        *counter += 1;
    }

    /// All refused packets.
    pub fn refusals(&self) -> u64 {
        let form = self.packet_len_err + self.ip_ttl_err + self.invalid_type_rcvd + self.chk_err + self.vers_err;
        let auth = self.invalid_authtype + self.authtype_mismatch + self.auth_failure;
        form + auth + self.advert_interval_err + self.vrid_err + self.address_err
    }
}
