//! Servers. Source: manual 5.2.

use super::{Agent, LogProto, ServerCheck, ServerHashKey, Source, Span, Track, UnixAddress, Watching};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// One `server` line, `default-server` applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Name, unique in the backend.
    pub name: String,
    /// `id`, unique in the backend.
    pub id: u32,
    /// The file gives the `id`.
    pub has_own_id: bool,
    /// Where to connect to.
    pub address: ServerAddress,
    /// The host name that `address` was resolved from, when it was a name.
    pub hostname: Option<String>,
    /// `weight`, 0 to 256; 0 gets no new traffic by the scheduler.
    pub weight: u16,
    /// `maxconn`; `None`: no limit.
    pub maxconn: Option<u32>,
    /// `minconn`: `maxconn` grows from here with the backend's load; `None`: always `maxconn`.
    pub minconn: Option<u32>,
    /// `maxqueue`; `None`: no limit.
    pub maxqueue: Option<u32>,
    /// `backup`: used only when no other server is up.
    pub backup: bool,
    /// `disabled`: starts in maintenance.
    pub disabled: bool,
    /// `check` and its settings; `None`: not checked.
    pub check: Option<ServerCheck>,
    /// `send-proxy`, `send-proxy-v2`: what goes out before the first byte.
    pub send_proxy: Option<SendProxy>,
    /// Pool of idle connections.
    pub pool: ServerPool,
    /// `max-reuse`: requests on one connection after its first; `None`: no limit.
    pub max_reuse: Option<u32>,
    /// `source`, else the backend's.
    pub source: Option<Source>,
    /// `tcp-ut`: TCP_USER_TIMEOUT.
    pub tcp_user_timeout: Option<Duration>,
    /// `hash-key`: what its points on a ring follow from; `None`: its number, as haproxy did before there was this word.
    pub hash_key: Option<ServerHashKey>,
    /// `slowstart`: time in which weight and maxconn grow after it came up; `None`: none.
    pub slowstart: Option<Duration>,
    /// `log-proto`: how a server of a ring tells lines apart.
    pub log_proto: LogProto,
    /// What it says of its health beside its checks; `None`: nothing.
    pub watching: Option<Box<Watching>>,
    /// Where the line stands.
    pub span: Span,
}

impl Server {
    /// A server with the defaults of a plain `server <name> <address>` line.
    pub fn new(name: impl Into<String>, address: ServerAddress) -> Self {
        Self {
            name: name.into(),
            id: 0,
            has_own_id: false,
            address,
            hostname: None,
            weight: 1,
            maxconn: None,
            minconn: None,
            maxqueue: None,
            backup: false,
            disabled: false,
            check: None,
            send_proxy: None,
            pool: ServerPool::default(),
            max_reuse: None,
            source: None,
            tcp_user_timeout: None,
            hash_key: None,
            slowstart: None,
            log_proto: LogProto::default(),
            watching: None,
            span: Span::default(),
        }
    }

    /// Its agent, if it has one.
    pub fn agent(&self) -> Option<&Agent> {
        self.watching.as_ref().map(|watching| &watching.agent).filter(|agent| agent.on)
    }

    /// The server that it tracks, if there is one.
    pub fn track(&self) -> Option<&Track> {
        self.watching.as_ref()?.track.as_ref()
    }
}

/// Address of a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServerAddress {
    /// IPv4 or IPv6. An unspecified address (`0.0.0.0`, `::`) means: where the client wanted to go.
    Ip {
        /// Address.
        ip: IpAddr,
        /// Port, or how it follows from the client's.
        port: ServerPort,
    },
    /// A UNIX stream socket.
    Unix(UnixAddress),
    /// One end of an inherited UNIX socket, over which one of a pair of sockets is passed for each connection (`sockpair@N`).
    Pair(i32),
}

impl ServerAddress {
    /// Address and port for a client that connected to `client_port`.
    ///
    /// An offset that leaves 0..=65535 wraps, as haproxy's 16 bit sum does. `None` for others.
    pub fn socket_addr(&self, client_port: u16) -> Option<SocketAddr> {
        match self {
            Self::Ip { ip, port } => Some(SocketAddr::new(*ip, port.resolve(client_port))),
            Self::Unix(_) | Self::Pair(_) => None,
        }
    }
}

impl From<SocketAddr> for ServerAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Ip { ip: address.ip(), port: ServerPort::Fixed(address.port()) }
    }
}

/// Port of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerPort {
    /// That port.
    Fixed(u16),
    /// The port that the client connected to plus this (`:+N`, `:-N`; no port at all is `+0`); -65535 to 65535.
    Offset(i32),
}

impl ServerPort {
    /// The port to connect to for a client that connected to `client_port`.
    pub fn resolve(self, client_port: u16) -> u16 {
        match self {
            Self::Fixed(port) => port,
            Self::Offset(offset) => (i32::from(client_port) + offset) as u16,
        }
    }
}

/// Which PROXY header is sent to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendProxy {
    /// `send-proxy`: the line of version 1.
    V1,
    /// `send-proxy-v2`: the binary header, with the TLVs of `proxy-v2-options`.
    V2(ProxyV2Options),
}

/// `proxy-v2-options`: which TLVs to add when their value is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProxyV2Options {
    /// `authority`: the host name of the TLS SNI.
    pub authority: bool,
    /// `crc32c`: checksum of the header.
    pub crc32c: bool,
    /// `unique-id`: the unique id of the stream.
    pub unique_id: bool,
}

/// Idle connections that are kept to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerPool {
    /// `pool-max-conn`: idle connections at most; `None`: no limit; `Some(0)`: none are kept.
    pub max_conn: Option<u32>,
    /// `pool-low-conn`: below so many, threads do not take each other's.
    pub low_conn: u32,
    /// `pool-purge-delay`: half of the unused ones are closed this often.
    pub purge_delay: Duration,
}

impl Default for ServerPool {
    fn default() -> Self {
        Self { max_conn: None, low_conn: 0, purge_delay: Duration::from_secs(5) }
    }
}
