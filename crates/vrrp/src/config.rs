//! What an operator decides about an instance. Names and defaults are keepalived's.

use crate::packet::{MAX_ADDRESSES, TTL};
use crate::track::Weight;
use crate::{Family, Version};
use std::net::IpAddr;
use std::time::Duration;

/// The priority of a router that owns the addresses.
pub const OWNER: u8 = 255;
/// The shortest interval between adverts: the unit of VRRPv3.
pub const MIN_ADVERT_INT: Duration = Duration::from_millis(10);
/// The longest interval in VRRPv3: twelve bits of centiseconds.
pub const MAX_ADVERT_INT_V3: Duration = Duration::from_millis(40_950);
/// The longest interval in VRRPv2: eight bits of seconds.
pub const MAX_ADVERT_INT_V2: Duration = Duration::from_secs(255);
/// The longest `preempt_delay`.
pub const MAX_PREEMPT_DELAY: Duration = Duration::from_secs(1000);
/// The most `down_timer_adverts`.
pub const MAX_DOWN_TIMER_ADVERTS: u8 = 100;
/// The most addresses in an IPv6 advert that fits into a packet of 1500 bytes.
pub const MAX_ADDRESSES_V6: usize = 90;
/// Characters of a password that count.
pub const PASSWORD_LEN: usize = 8;

/// How an instance proves who it is, in VRRPv2.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Auth {
    /// Not at all. RFC 3768 knows nothing else.
    #[default]
    None,
    /// A password in clear, padded with zeros (RFC 2338).
    Password([u8; PASSWORD_LEN]),
    /// An authentication header with this key (RFC 2338, 2402).
    Header(Vec<u8>),
}

/// Without the secret: configurations end up in logs.
impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Auth::None => "None",
            Auth::Password(_) => "Password(…)",
            Auth::Header(_) => "Header(…)",
        })
    }
}

impl Auth {
    /// `auth_type PASS`: the first eight bytes count.
    pub fn password(text: &str) -> Auth {
        Auth::Password(cut(text))
    }

    /// `auth_type AH`: the first eight bytes count.
    pub fn header(text: &str) -> Auth {
        Auth::Header(text.as_bytes()[..text.len().min(PASSWORD_LEN)].to_vec())
    }

    pub(crate) fn wire_type(&self) -> u8 {
        match self {
            Auth::None => 0,
            Auth::Password(_) => 1,
            Auth::Header(_) => 2,
        }
    }

    pub(crate) fn wire_data(&self) -> [u8; PASSWORD_LEN] {
        match self {
            Auth::Password(password) => *password,
            Auth::None | Auth::Header(_) => [0; PASSWORD_LEN],
        }
    }
}

fn cut(text: &str) -> [u8; PASSWORD_LEN] {
    let mut bytes = [0; PASSWORD_LEN];
    bytes.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
    bytes
}

/// A unicast peer and the hops that its packets may have left (`min_ttl`, `max_ttl`). With the first above the second nothing that it sends
/// is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Where it is.
    pub address: IpAddr,
    /// `min_ttl`.
    pub min_ttl: u8,
    /// `max_ttl`.
    pub max_ttl: u8,
}

impl Peer {
    /// A peer at any distance.
    pub fn new(address: IpAddr) -> Peer {
        Peer { address, min_ttl: 0, max_ttl: TTL }
    }

    pub(crate) fn limits_ttl(&self) -> bool {
        self.min_ttl > 0 || self.max_ttl < TTL
    }
}

/// How adverts reach the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// To a group (`mcast_dst_ip`, by default [`Family::group`]).
    Multicast {
        /// The group.
        group: IpAddr,
    },
    /// To each of `unicast_peer`.
    Unicast {
        /// The peers. With none the instance is at fault.
        peers: Vec<Peer>,
        /// `unicast_ttl`; without it 255 over IPv4 and 64 over IPv6, as keepalived sends.
        ttl: Option<u8>,
        /// `check_unicast_src`: listen to peers only. A peer with TTL limits turns it on.
        check_source: bool,
    },
}

/// `old_unicast_checksum`: adverts of VRRPv3 over IPv4 to unicast peers had another checksum up to keepalived 1.3.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OldChecksum {
    /// Send today's until a peer sends the old one.
    #[default]
    Auto,
    /// Send the old one.
    Always,
    /// Neither send nor accept the old one.
    Never,
}

/// When and how often the addresses are announced (gratuitous ARP, unsolicited neighbour advertisement).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Garp {
    /// `garp_master_repeat`: messages for each address when becoming master. 5.
    pub master_repeat: u8,
    /// `garp_master_delay`: the same again after this; zero for no second time. 5 s.
    pub master_delay: Duration,
    /// `garp_master_refresh`: again each so often while master; zero for never. 0.
    pub master_refresh: Duration,
    /// `garp_master_refresh_repeat`. 1.
    pub master_refresh_repeat: u8,
    /// `garp_lower_prio_repeat`: messages when a lower priority is heard; zero for none. 5.
    pub lower_prio_repeat: u8,
    /// `garp_lower_prio_delay`: the same again after this. 5 s.
    pub lower_prio_delay: Duration,
}

impl Default for Garp {
    fn default() -> Garp {
        let five = Duration::from_secs(5);
        Garp {
            master_repeat: 5,
            master_delay: five,
            master_refresh: Duration::ZERO,
            master_refresh_repeat: 1,
            lower_prio_repeat: 5,
            lower_prio_delay: five,
        }
    }
}

/// An instance as configured. Start with [`Config::new`] and change what differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `version`.
    pub version: Version,
    /// Of the addresses in adverts.
    pub family: Family,
    /// `virtual_router_id`, 1 to 255.
    pub vrid: u8,
    /// `priority`, 1 to 255; 255 is the owner of the addresses.
    pub priority: u8,
    /// `advert_int`: whole seconds in VRRPv2, 0.01 s to 40.95 s in VRRPv3.
    pub advert_int: Duration,
    /// `down_timer_adverts`: lost adverts after which a master is taken for dead. 3, as the RFCs have it.
    pub down_timer_adverts: u8,
    /// `virtual_ipaddress`, in the order of the adverts.
    pub addresses: Vec<IpAddr>,
    /// `state MASTER`: an owner begins as master at once. It says nothing else.
    pub start_as_master: bool,
    /// False: `nopreempt`. An owner preempts whatever this says.
    pub preempt: bool,
    /// `preempt_delay`: a master of lower priority is listened to for this long.
    pub preempt_delay: Duration,
    /// `authentication`, in VRRPv2 only.
    pub auth: Auth,
    /// Multicast or unicast.
    pub transport: Transport,
    /// `old_unicast_checksum`.
    pub old_unicast_checksum: OldChecksum,
    /// `v3_checksum_as_v2`: VRRPv3 over IPv4 without the pseudo header.
    pub v3_checksum_as_v2: bool,
    /// `garp_…`.
    pub garp: Garp,
    /// `lower_prio_no_advert`: a master does not answer adverts of lower priority.
    pub lower_prio_no_advert: bool,
    /// `higher_prio_send_advert`: a master that yields sends one advert more, so that the other announces its addresses again.
    pub higher_prio_send_advert: bool,
    /// `skip_check_adv_addr`: the addresses in adverts are compared once per master.
    pub skip_check_adv_addr: bool,
    /// `dont_track_primary`: the state of the interface is no fault.
    pub dont_track_primary: bool,
    /// What is tracked, in the order that [`Event::Track`](crate::Event::Track) counts them.
    pub tracks: Vec<Weight>,
    /// `notify_priority_changes`.
    pub notify_priority_changes: bool,
    /// On a stop: keep the addresses until the next master is heard, at most for the skew and one interval, so that nobody finds them
    /// missing. False where the virtual MAC address would then be in two places.
    pub linger: bool,
}

impl Config {
    /// Defaults: version 2 for IPv4 and 3 for IPv6, priority 100, one second, multicast.
    pub fn new(vrid: u8, addresses: Vec<IpAddr>) -> Config {
        let family = addresses.first().map_or(Family::V4, |first| Family::of(*first));
        Config {
            version: if family == Family::V4 { Version::V2 } else { Version::V3 },
            family,
            vrid,
            priority: 100,
            advert_int: Duration::from_secs(1),
            down_timer_adverts: 3,
            addresses,
            start_as_master: false,
            preempt: true,
            preempt_delay: Duration::ZERO,
            auth: Auth::None,
            transport: Transport::Multicast { group: family.group() },
            old_unicast_checksum: OldChecksum::Auto,
            v3_checksum_as_v2: false,
            garp: Garp::default(),
            lower_prio_no_advert: false,
            higher_prio_send_advert: false,
            skip_check_adv_addr: false,
            dont_track_primary: false,
            tracks: Vec::new(),
            notify_priority_changes: false,
            linger: true,
        }
    }

    /// Whether an instance can be made of it.
    ///
    /// # Errors
    /// The first thing that is out of range or does not go together.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let other = |address: &IpAddr| Family::of(*address) != self.family;
        let most = if self.family == Family::V4 { MAX_ADDRESSES } else { MAX_ADDRESSES_V6 };
        let (v2, interval) = (self.version == Version::V2, self.advert_int);
        let in_range = match self.version {
            Version::V2 => interval.subsec_nanos() == 0 && (1..=MAX_ADVERT_INT_V2.as_secs()).contains(&interval.as_secs()),
            Version::V3 => (MIN_ADVERT_INT..=MAX_ADVERT_INT_V3).contains(&interval) && interval.as_nanos() % MIN_ADVERT_INT.as_nanos() == 0,
        };
        match () {
            () if self.vrid == 0 => Err(ConfigError::Vrid),
            () if self.priority == 0 => Err(ConfigError::Priority),
            () if v2 && self.family == Family::V6 => Err(ConfigError::VersionOfIpv6),
            () if !v2 && self.auth != Auth::None => Err(ConfigError::AuthInV3),
            () if !in_range => Err(ConfigError::AdvertInt(self.version)),
            () if !(1..=MAX_DOWN_TIMER_ADVERTS).contains(&self.down_timer_adverts) => Err(ConfigError::DownTimerAdverts),
            () if self.preempt_delay > MAX_PREEMPT_DELAY => Err(ConfigError::PreemptDelay),
            () if self.addresses.len() > most => Err(ConfigError::Addresses { got: self.addresses.len(), most }),
            () => self.addresses.iter().find(|a| other(a)).map_or_else(|| self.validate_transport(), |a| Err(ConfigError::Family(*a))),
        }
    }

    fn validate_transport(&self) -> Result<(), ConfigError> {
        let other = |address: &IpAddr| Family::of(*address) != self.family;
        match &self.transport {
            Transport::Multicast { group } if !group.is_multicast() => Err(ConfigError::Group(*group)),
            Transport::Multicast { group } if other(group) => Err(ConfigError::Family(*group)),
            Transport::Multicast { .. } => Ok(()),
            Transport::Unicast { peers, .. } => match peers.iter().find(|p| other(&p.address)) {
                Some(peer) => Err(ConfigError::Family(peer.address)),
                None => Ok(()),
            },
        }
    }

    pub(crate) fn is_owner(&self) -> bool {
        self.priority == OWNER
    }
}

/// What no instance can be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No virtual router id.
    #[error("the virtual router id is 1 to 255")]
    Vrid,
    /// No priority.
    #[error("the priority is 1 to 255; 0 is what a leaving master sends")]
    Priority,
    /// IPv6 in VRRPv2.
    #[error("IPv6 addresses need version 3")]
    VersionOfIpv6,
    /// Authentication in VRRPv3.
    #[error("VRRP version 3 has no authentication")]
    AuthInV3,
    /// The interval.
    #[error("the advertisement interval is {}", match .0 {
        Version::V2 => "1 to 255 whole seconds in version 2",
        Version::V3 => "0.01 to 40.95 seconds in steps of 0.01 in version 3",
    })]
    AdvertInt(Version),
    /// `down_timer_adverts`.
    #[error("down_timer_adverts is 1 to {MAX_DOWN_TIMER_ADVERTS}")]
    DownTimerAdverts,
    /// `preempt_delay`.
    #[error("the preempt delay is at most 1000 seconds")]
    PreemptDelay,
    /// Too many addresses for one packet.
    #[error("{got} addresses; one advertisement has room for {most}, others can be excluded from it")]
    Addresses {
        /// How many are configured.
        got: usize,
        /// How many fit.
        most: usize,
    },
    /// An address of the other family.
    #[error("{0} is of another address family than the instance")]
    Family(IpAddr),
    /// A group that is none.
    #[error("{0} is not a multicast address")]
    Group(IpAddr),
}
