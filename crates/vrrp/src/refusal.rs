//! Why a packet is not listened to.

use std::net::IpAddr;
use std::time::Duration;

/// Why a received packet changes nothing. Each is counted ([`Stats`](crate::Stats)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not a datagram that could hold an advert.
    #[error("{0}")]
    Ip(&'static str),
    /// Too short, or not as long as its own numbers say.
    #[error("{got} bytes, {want} expected")]
    Length {
        /// Bytes that are there.
        got: usize,
        /// Bytes that there should be.
        want: usize,
    },
    /// Time to live or hop limit: the packet has crossed routers.
    #[error("TTL/hop limit {got}, {} expected", if min == max { max.to_string() } else { format!("{min} to {max}") })]
    Ttl {
        /// What it arrived with.
        got: u8,
        /// The least that is allowed.
        min: u8,
        /// The most that is allowed.
        max: u8,
    },
    /// Neither version 2 nor 3, or not the one configured.
    #[error("VRRP version {0}, another one than ours")]
    Version(u8),
    /// Not an advertisement.
    #[error("packet type {0}, only 1 is known")]
    Type(u8),
    /// The checksum is wrong.
    #[error("wrong checksum")]
    Checksum,
    /// Another virtual router's.
    #[error("virtual router id {0}")]
    Vrid(u8),
    /// From an address that is no unicast peer's.
    #[error("{0} is not a unicast peer")]
    Source(IpAddr),
    /// From our own address: looped back, or another host has it too.
    #[error("{0} is our own address")]
    OwnAddress(IpAddr),
    /// To another group or address than ours: a multicast where unicast is configured, or the other way round.
    #[error("sent to {0}")]
    Destination(IpAddr),
    /// An authentication type that nobody has defined.
    #[error("unknown authentication type {0}")]
    AuthType(u8),
    /// Not the authentication type configured.
    #[error("another authentication type than ours")]
    AuthMismatch,
    /// The wrong password.
    #[error("wrong password")]
    Password,
    /// The authentication header does not prove anything.
    #[error("authentication header: {0}")]
    AuthHeader(&'static str),
    /// A datagram seen before, or older: sequence numbers only rise.
    #[error("authentication header: sequence number {0} was seen before")]
    Replay(u32),
    /// VRRPv2: not our interval. VRRPv3: zero.
    #[error("advertisement interval of {} s, {} expected", got.as_secs_f64(), want.map_or("0.01 s or more".into(), |want| format!("{} s", want.as_secs_f64())))]
    Interval {
        /// What the packet says.
        got: Duration,
        /// Ours, if it has to be that.
        want: Option<Duration>,
    },
}
