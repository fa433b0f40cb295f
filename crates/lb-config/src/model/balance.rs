//! How a backend chooses a server. Source: manual 4.2, `balance`, `hash-type`. The schedulers themselves are lb-balance's.

use std::time::Duration;

pub use lb_balance::{Affinity, Function, Hash, Lookup, Lvs};

/// `balance`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balance {
    /// Each in turn by weight; weights change at run time.
    RoundRobin,
    /// Each in turn by weight, from a table.
    StaticRr,
    /// Fewest connections by weight.
    LeastConn,
    /// The first one by `id` that has room.
    First,
    /// One server until it is down.
    Sticky,
    /// The least loaded of so many servers (at least 1) that are drawn by weight.
    Random(u32),
    /// By the hash of this, as `hash-type` says.
    Hash(HashKey),
    /// `p2c`: the less loaded of two. Not haproxy's.
    PowerOfTwo,
    /// `peak-ewma`: the one of two that will answer first; the time after which an old latency counts 1/e. Not haproxy's.
    PeakEwma(Duration),
    /// `lvs-…`: one of LVS's. Not haproxy's.
    Lvs(Lvs),
}

impl Balance {
    /// Draws of a `random` without a number.
    pub const DRAWS: u32 = 2;

    /// What is hashed; `None`: nothing.
    pub fn hash_key(&self) -> Option<&HashKey> {
        match self {
            Self::Hash(key) => Some(key),
            Self::Lvs(Lvs::Sh | Lvs::Mh) => Some(&HashKey::Source),
            Self::Lvs(Lvs::Dh | Lvs::Lblc | Lvs::Lblcr) => Some(&HashKey::Destination),
            _ => None,
        }
    }
}

/// What of a request is hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// `source`: the client's address.
    Source,
    /// The address that the client connected to; LVS's schedulers know it.
    Destination,
    /// `uri`: the target of the request, or a part of it.
    Uri(UriKey),
    /// `url_param`: the value of a parameter in the query.
    UrlParam {
        /// Its name.
        name: Vec<u8>,
        /// `check_post`: without it in the query, that in the body of a POST, which is waited for.
        check_post: bool,
    },
    /// `rdp-cookie(<name>)`: the cookie of this name with which a client in mode tcp begins, if it is there when a server is chosen.
    RdpCookie(Vec<u8>),
    /// `hdr(<name>)`: the first value of this field.
    Header {
        /// Its name.
        name: String,
        /// `use_domain_only`: what stands before the last dot, back to the dot before that.
        domain_only: bool,
    },
    /// `hash <expression>`: the value of a sample.
    Expr(lb_expr::sample::Expr),
}

impl HashKey {
    /// Only requests have it.
    pub fn needs_http(&self) -> bool {
        match self {
            Self::Expr(expr) => expr.need().is_http(),
            _ => !matches!(self, Self::Source | Self::Destination | Self::RdpCookie(_)),
        }
    }
}

/// The part of a target that `balance uri` hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UriKey {
    /// `len`: so many bytes at most.
    pub len: Option<u32>,
    /// `depth`: so many directories at most.
    pub depth: Option<u32>,
    /// `whole`: with the query.
    pub whole: bool,
    /// `path-only`: from the path on.
    pub path_only: bool,
}

/// `hash-key` of a server: where its points on the ring follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerHashKey {
    /// Its number.
    Id,
    /// Its address; its number when it has no IP address.
    Addr,
    /// Its address and port; its number when it has no IP address.
    AddrPort,
}
