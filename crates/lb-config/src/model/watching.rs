//! What a server's line says of its health beside its checks: whom it tracks, what its traffic tells, its agent, and what happens to
//! sessions when it goes or comes. Source: manual 5.2.

use super::{ProxyIndex, Span};
pub use lb_check::{Initial, Observe, OnError};
use std::net::IpAddr;
use std::time::Duration;

/// Parameters that few servers have.
#[derive(Clone, Debug, PartialEq)]
pub struct Watching {
    /// `observe`: what of the server's traffic counts for its health; `None`: nothing. Without `check` it has no effect.
    pub observe: Option<Observe>,
    /// `error-limit`: errors in a row until [`Watching::on_error`] is done, at least 1.
    pub error_limit: u32,
    /// `on-error`
    pub on_error: OnError,
    /// `on-marked-down shutdown-sessions`: its sessions end when it goes down.
    pub shutdown_sessions: bool,
    /// `on-marked-up shutdown-backup-sessions`: sessions of the backend's backups end when it comes up.
    pub shutdown_backup_sessions: bool,
    /// `init-state`
    pub initial: Initial,
    /// `track`
    pub track: Option<Track>,
    /// `agent-check` and its settings; [`Agent::on`] says whether there is one.
    pub agent: Agent,
}

impl Default for Watching {
    fn default() -> Self {
        Self {
            observe: None,
            error_limit: 10,
            on_error: OnError::default(),
            shutdown_sessions: false,
            shutdown_backup_sessions: false,
            initial: Initial::default(),
            track: None,
            agent: Agent::default(),
        }
    }
}

/// `track`: the server whose state this one has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// Its backend, as written; `None`: the same one.
    pub backend: Option<String>,
    /// Its name.
    pub server: String,
    /// Its backend, and its place there. Names are resolved when all proxies are known.
    pub target: Option<(ProxyIndex, usize)>,
    /// Where it is said.
    pub span: Span,
}

/// `agent-check`: what tells of a server's share, limit and state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// `agent-check`, and no `no-agent-check` behind it.
    pub on: bool,
    /// `agent-port`; 0: none was given.
    pub port: u16,
    /// `agent-addr`; `None`: the server's.
    pub address: Option<IpAddr>,
    /// `agent-inter`
    pub inter: Duration,
    /// `agent-send`; empty: nothing is sent.
    pub send: Vec<u8>,
}

impl Default for Agent {
    fn default() -> Self {
        Self { on: false, port: 0, address: None, inter: Duration::from_secs(2), send: Vec::new() }
    }
}
