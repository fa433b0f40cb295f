//! Listening addresses. Source: manual 5.1.

use super::{Account, Span, UnixAddress};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// One `bind` line.
#[derive(Clone, Debug, PartialEq)]
pub struct Bind {
    /// What to listen on; port ranges and comma lists are expanded. At least one.
    pub addresses: Vec<BindAddress>,
    /// `name`: appears in logs and statistics.
    pub name: Option<String>,
    /// `id` of the first address, the next ones count up; unique in the proxy.
    pub id: u32,
    /// `maxconn` of each address of this line; `None`: the frontend's.
    pub maxconn: Option<u32>,
    /// `backlog` of this line; `None`: the frontend's.
    pub backlog: Option<u32>,
    /// `accept-proxy`: each connection starts with a PROXY header.
    pub accept_proxy: bool,
    /// `accept-netscaler-cip`: each connection starts with a NetScaler header that has this magic number (and stands before a PROXY
    /// header, where both are to come).
    pub accept_netscaler_cip: Option<u32>,
    /// Which families an IPv6 wildcard takes.
    pub family: V6Mode,
    /// `shards`: listening sockets per address.
    pub shards: Shards,
    /// `nice`: -1024 (first) to 1024 (last).
    pub nice: i16,
    /// `interface`: SO_BINDTODEVICE.
    pub interface: Option<String>,
    /// `mss`: TCP_MAXSEG; negative: that much less than the path's.
    pub mss: Option<i32>,
    /// `tfo`: TCP fast open.
    pub tfo: bool,
    /// `defer-accept`: TCP_DEFER_ACCEPT.
    pub defer_accept: bool,
    /// `tcp-ss`: TCP_SAVE_SYN, 0 to 2.
    pub save_syn: u32,
    /// `tcp-ut`: TCP_USER_TIMEOUT.
    pub tcp_user_timeout: Option<Duration>,
    /// Ownership of a UNIX socket's path (`mode`, `user`, `group`, `uid`, `gid`, and `unix-bind` of global).
    pub unix: UnixBindOptions,
    /// What clients of a run-time socket may do (`level`). Without a meaning elsewhere, as are the two below.
    pub level: CliLevel,
    /// How the answers of a run-time socket begin (`severity-output`).
    pub severity: SeverityOutput,
    /// `expose-fd listeners`: a run-time socket hands over the listening sockets.
    pub expose_listeners: bool,
    /// Where the line stands.
    pub span: Span,
}

impl Default for Bind {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            name: None,
            id: 0,
            maxconn: None,
            backlog: None,
            accept_proxy: false,
            accept_netscaler_cip: None,
            family: V6Mode::Both,
            shards: Shards::Count(1),
            nice: 0,
            interface: None,
            mss: None,
            tfo: false,
            defer_accept: false,
            save_syn: 0,
            tcp_user_timeout: None,
            unix: UnixBindOptions::default(),
            level: CliLevel::Operator,
            severity: SeverityOutput::None,
            expose_listeners: false,
            span: Span::default(),
        }
    }
}

/// What a listener listens on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum BindAddress {
    /// TCP over IPv4 or IPv6.
    Tcp(SocketAddr),
    /// A UNIX stream socket.
    Unix(UnixAddress),
    /// An inherited listening socket (`fd@N`).
    Fd(i32),
    /// One end of an inherited UNIX socket, over which connections come as descriptors (`sockpair@N`).
    Pair(i32),
}

/// Families of an IPv6 wildcard socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum V6Mode {
    /// `v4v6`, and haproxy's default: IPV6_V6ONLY off.
    Both,
    /// `v6only`.
    V6Only,
}

/// `shards`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shards {
    /// So many sockets, at least 1.
    Count(u32),
    /// One per thread.
    ByThread,
}

/// What a client of a run-time socket may do; each level includes those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CliLevel {
    /// Looks at what is not sensitive.
    User,
    /// Looks at everything, and resets the highest values of counters.
    Operator,
    /// Changes what runs.
    Admin,
}

impl CliLevel {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// What stands before a message of the run-time socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SeverityOutput {
    /// Nothing.
    None,
    /// `[6]: `
    Number,
    /// `[info]: `
    String,
}

/// Ownership and mode of a UNIX socket's path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnixBindOptions {
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner.
    pub user: Option<Account>,
    /// Group.
    pub group: Option<Account>,
}

impl BindAddress {
    /// The IP address, when it has one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip()),
            Self::Unix(_) | Self::Fd(_) | Self::Pair(_) => None,
        }
    }

    /// The port, when it has one.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp(address) => Some(address.port()),
            Self::Unix(_) | Self::Fd(_) | Self::Pair(_) => None,
        }
    }
}
