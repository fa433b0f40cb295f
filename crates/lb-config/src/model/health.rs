//! Health checks as far as the model knows them: how a server is asked, and how often. Source: manual 5.2 `check`,
//! 4.2 `option httpchk`.

use lb_check::Script;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// How the servers of a backend are checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum CheckKind {
    /// A connection that succeeds.
    #[default]
    Connect,
    /// A script: `option httpchk` with `http-check`, `option tcp-check` with its rules, `option redis-check` and the like.
    Script(Arc<Script>),
    /// `option external-check`: a program.
    External(Arc<ExternalCheck>),
}

/// A program that checks servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExternalCheck {
    /// `external-check command`: a path, or a name that is looked up in [`ExternalCheck::path`].
    pub command: String,
    /// `external-check path`: the program's PATH.
    pub path: String,
}

/// `external-check` in `global`: whether programs may be started for checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExternalChecks {
    /// They may not.
    #[default]
    Forbidden,
    /// With what is said of the check and nothing else in their environment.
    Allowed,
    /// `preserve-env`: beside what is in our own environment.
    WithEnvironment,
}

impl CheckKind {
    /// Whether servers are asked in HTTP.
    pub fn is_http(&self) -> bool {
        matches!(self, Self::Script(script) if script.is_http())
    }
}

/// A server's own check settings.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerCheck {
    /// Time between two checks.
    pub inter: Duration,
    /// Between checks while the server's state is changing; `None`: `inter`.
    pub fastinter: Option<Duration>,
    /// Between checks while the server is down; `None`: `inter`.
    pub downinter: Option<Duration>,
    /// Good checks in a row that bring a server up, at least 1.
    pub rise: u32,
    /// Bad checks in a row that take a server down, at least 1.
    pub fall: u32,
    /// Address to check; `None`: the server's.
    pub address: Option<IpAddr>,
    /// Port to check; `None`: the server's.
    pub port: Option<u16>,
    /// A PROXY header before the check: `check-send-proxy`, or `send-proxy` while neither `addr` nor `port` is set.
    pub send_proxy: bool,
    /// `healthcheck`: how it is checked; `None`: as its backend says.
    pub kind: Option<CheckKind>,
}

impl ServerCheck {
    /// How the server is checked in a backend that says this.
    pub fn kind<'a>(&'a self, of_backend: &'a CheckKind) -> &'a CheckKind {
        self.kind.as_ref().unwrap_or(of_backend)
    }
}

impl Default for ServerCheck {
    fn default() -> Self {
        Self {
            inter: Duration::from_millis(2000),
            fastinter: None,
            downinter: None,
            rise: 2,
            fall: 3,
            address: None,
            port: None,
            send_proxy: false,
            kind: None,
        }
    }
}
