//! The resolved configuration: plain typed values, units in types, immutable once built. Written by the parser or by
//! the builder, read by everything that moves traffic.
//!
//! Holds: every index in it ([`ProxyIndex`], [`ServerIndex`]) points at an existing element; names are unique per kind
//! of proxy; ids are unique and not zero.

mod balance;
mod bind;
mod custom;
mod errors;
mod global;
mod health;
mod log;
mod mail;
mod process;
mod proxy;
mod ring;
mod rules;
mod server;
mod users;
mod watching;

pub use balance::*;
pub use bind::*;
pub use custom::*;
pub use errors::*;
pub use global::*;
pub use health::*;
pub use log::*;
pub use mail::*;
pub use process::*;
pub use proxy::*;
pub use ring::*;
pub use rules::*;
pub use server::*;
pub use users::*;
pub use watching::*;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a value was written: which file, which line, which column.
///
/// [`Span::default()`] is "nowhere": a built-in value, or one that an embedder set in code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Index into [`Config::files`].
    pub file: u32,
    /// Line, from 1; 0 means "not from a file".
    pub line: u32,
    /// Column in bytes, from 1; 0 means "the whole line".
    pub column: u32,
}

impl Span {
    /// True when the value does not come from a file.
    pub fn is_none(self) -> bool {
        self.line == 0
    }
}

/// A whole configuration. The parser gives one even when there were errors; it is to be run only when there were none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Process-wide settings.
    pub global: Global,
    /// Frontends, backends and listens in the order of the file; `defaults` sections are already applied.
    pub proxies: Vec<Proxy>,
    /// `ring` sections, and those that `log` lines with a stream's address stand for.
    pub rings: Vec<Ring>,
    /// `log-forward` sections.
    pub log_forwards: Vec<LogForward>,
    /// `log-profile` sections.
    pub log_profiles: Vec<LogProfile>,
    /// `program` sections.
    pub programs: Vec<Program>,
    /// `userlist` sections.
    pub userlists: Vec<Userlist>,
    /// Longest `len` of all `log` lines in bytes, those among them that nobody uses: up to it messages are made.
    pub longest_log: usize,
    /// What expressions name.
    pub named: Named,
    /// Names of the files, as given; [`Span::file`] points into it.
    pub files: Vec<String>,
}

impl Config {
    /// The proxy behind an index.
    ///
    /// # Panics
    /// When the index comes from another configuration.
    pub fn proxy(&self, index: ProxyIndex) -> &Proxy {
        &self.proxies[index.0 as usize]
    }

    /// Index and proxy of everything that accepts connections (frontend and listen), disabled ones included.
    pub fn frontends(&self) -> impl Iterator<Item = (ProxyIndex, &Proxy)> {
        self.indexed().filter(|(_, proxy)| proxy.kind.is_frontend())
    }

    /// Index and proxy of everything that has servers (backend and listen), disabled ones included.
    pub fn backends(&self) -> impl Iterator<Item = (ProxyIndex, &Proxy)> {
        self.indexed().filter(|(_, proxy)| proxy.kind.is_backend())
    }

    /// True when something accepts connections: a bind of a proxy that is not disabled or of a section that
    /// forwards, or a run-time socket. haproxy ends
    /// with code 2 when nothing does.
    pub fn listens(&self) -> bool {
        !self.global.stats_sockets.is_empty()
            || self.log_forwards.iter().any(|forward| !forward.binds.is_empty() || !forward.dgram_binds.is_empty())
            || self.proxies.iter().any(|proxy| !proxy.disabled && !proxy.binds.is_empty())
    }

    /// The backend (or listen) of that name.
    pub fn backend(&self, name: &str) -> Option<ProxyIndex> {
        self.backends().find(|(_, proxy)| proxy.name == name).map(|(index, _)| index)
    }

    /// The frontend (or listen) of that name.
    pub fn frontend(&self, name: &str) -> Option<ProxyIndex> {
        self.frontends().find(|(_, proxy)| proxy.name == name).map(|(index, _)| index)
    }

    /// The load at which a backend's servers reach their full `maxconn` (`minconn` grows towards it): `fullconn` where
    /// it is set, else a tenth of the sum of the `maxconn` of all frontends that may lead to the backend.
    ///
    /// `process_maxconn` stands for a frontend without `maxconn`. Source: manual 4.2, `fullconn`.
    pub fn fullconn(&self, backend: ProxyIndex, process_maxconn: u32) -> u32 {
        if let Some(explicit) = self.proxy(backend).fullconn {
            return explicit;
        }
        let sum: u64 = self
            .frontends()
            .filter(|(index, proxy)| proxy.leads_to(backend) || (*index == backend && proxy.kind == ProxyKind::Listen))
            .map(|(_, proxy)| u64::from(proxy.maxconn.unwrap_or(process_maxconn)))
            .sum();
        u32::try_from(sum.div_ceil(10)).unwrap_or(u32::MAX).max(1)
    }

    /// `file:line` of a span for run-time messages; "built-in" where there is none.
    pub fn place(&self, span: Span) -> String {
        match self.files.get(span.file as usize) {
            Some(file) if !span.is_none() => format!("{file}:{}", span.line),
            _ => "built-in".to_owned(),
        }
    }

    /// The same without a place in any file: configurations that mean the same are equal then, however they are written.
    #[must_use]
    pub fn without_places(mut self) -> Self {
        let nowhere = Span::default();
        self.files.clear();
        self.global.maxconn_span = nowhere;
        let logs = self.global.logs.iter_mut();
        for target in logs.chain(self.proxies.iter_mut().flat_map(|proxy| &mut proxy.logs)) {
            target.span = nowhere;
        }
        self.global.stats_sockets.iter_mut().for_each(|bind| bind.span = nowhere);
        self.userlists.iter_mut().for_each(|list| list.span = nowhere);
        for ring in &mut self.rings {
            ring.span = nowhere;
            ring.servers.iter_mut().for_each(|server| server.span = nowhere);
        }
        self.programs.iter_mut().for_each(|program| program.span = nowhere);
        for profile in &mut self.log_profiles {
            profile.span = nowhere;
            profile.formats_mut().for_each(|format| format.span = nowhere);
        }
        for forward in &mut self.log_forwards {
            forward.span = nowhere;
            forward.binds.iter_mut().for_each(|bind| bind.span = nowhere);
            forward.dgram_binds.iter_mut().for_each(|bind| bind.span = nowhere);
            forward.logs.iter_mut().for_each(|target| target.span = nowhere);
        }
        for proxy in &mut self.proxies {
            proxy.span = nowhere;
            proxy.log_formats_mut().for_each(|format| format.span = nowhere);
            proxy.binds.iter_mut().for_each(|bind| bind.span = nowhere);
            for server in &mut proxy.servers {
                server.span = nowhere;
                if let Some(track) = server.watching.as_mut().and_then(|watching| watching.track.as_mut()) {
                    track.span = nowhere;
                }
            }
            if let Some(alert) = &mut proxy.email_alert {
                Arc::make_mut(&mut alert.mailers).span = nowhere;
            }
            proxy.error_replies.iter_mut().for_each(|reply| reply.span = nowhere);
        }
        self
    }

    fn indexed(&self) -> impl Iterator<Item = (ProxyIndex, &Proxy)> {
        (0u32..).map(ProxyIndex).zip(&self.proxies)
    }
}

/// Index of a proxy in [`Config::proxies`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProxyIndex(pub u32);

/// Index of a server in its proxy's [`Proxy::servers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerIndex(pub u32);

/// A UNIX socket address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UnixAddress {
    /// A path in the file system (at most 107 bytes).
    Path(PathBuf),
    /// A name in the abstract namespace of Linux, without the leading zero byte (at most 107 bytes). `abns@` fills it up with
    /// zero bytes to those 107, as haproxy does; `abnsz@` does not. Names that differ in that are different sockets.
    Abstract(Vec<u8>),
}

impl fmt::Display for UnixAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "unix@{}", path.display()),
            Self::Abstract(name) => {
                let short = name.iter().rposition(|byte| *byte != 0).map_or(0, |end| end + 1);
                write!(f, "{}@{}", if short < name.len() { "abns" } else { "abnsz" }, String::from_utf8_lossy(&name[..short]))
            }
        }
    }
}

/// Who owns a file or a process: a name that the shell looks up, or a number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Account {
    /// By name, as in `user` and `group`.
    Name(String),
    /// By number, as in `uid` and `gid`.
    Id(u32),
}

/// Bytes of a file that was read while the configuration was loaded.
pub type FileBytes = Arc<[u8]>;

/// A set of addresses with a common prefix: `10.0.0.0/8`, `fe80::/10`, or one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IpNet {
    /// Network address; bits outside the mask are zero.
    pub address: std::net::IpAddr,
    /// Netmask as bits from the left (IPv4 in the upper 32 of the 128).
    mask: u128,
}

impl IpNet {
    /// A network from its address and a prefix length; `None` when the length is over 32 (IPv4) or 128 (IPv6).
    pub fn new(address: std::net::IpAddr, prefix: u8) -> Option<Self> {
        let width = if address.is_ipv4() { 32 } else { 128 };
        if prefix > width {
            return None;
        }
        let mask = if prefix == 0 { 0 } else { u128::MAX << (128 - u32::from(prefix)) };
        Some(Self::with_mask(address, mask))
    }

    /// An IPv4 network with any netmask, holes included, as `10.0.0.0/255.0.0.255` is allowed.
    pub fn with_v4_mask(address: std::net::Ipv4Addr, mask: std::net::Ipv4Addr) -> Self {
        Self::with_mask(address.into(), u128::from(u32::from(mask)) << 96)
    }

    fn with_mask(address: std::net::IpAddr, mask: u128) -> Self {
        let address = match address {
            std::net::IpAddr::V4(v4) => std::net::Ipv4Addr::from(u32::from(v4) & (mask >> 96) as u32).into(),
            std::net::IpAddr::V6(v6) => std::net::Ipv6Addr::from(u128::from(v6) & mask).into(),
        };
        Self { address, mask }
    }

    /// True when the address is of the same family and inside.
    pub fn contains(&self, ip: std::net::IpAddr) -> bool {
        match (self.address, ip) {
            (std::net::IpAddr::V4(net), std::net::IpAddr::V4(ip)) => u32::from(ip) & (self.mask >> 96) as u32 == u32::from(net),
            (std::net::IpAddr::V6(net), std::net::IpAddr::V6(ip)) => u128::from(ip) & self.mask == u128::from(net),
            _ => false,
        }
    }
}

/// A local address for outgoing connections (`source`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Address to bind to; port 0 lets the kernel choose.
    pub address: SocketAddr,
    /// Interface to bind to (SO_BINDTODEVICE).
    pub interface: Option<String>,
}
