//! Health checks as far as the model knows them: how a server is asked, and how often. Source: manual 5.2 `check`,
//! 4.2 `option httpchk`.

use std::net::IpAddr;
use std::time::Duration;

/// How the servers of a backend are checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum CheckKind {
    /// A connection that succeeds.
    #[default]
    Connect,
    /// `option httpchk`: a request whose status is 2xx or 3xx.
    Http(HttpCheck),
}

/// The request of `option httpchk`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpCheck {
    /// Method, `OPTIONS` where none was given.
    pub method: String,
    /// Request target, `/` where none was given.
    pub uri: String,
    /// Version as it goes out, `HTTP/1.0` where none was given.
    pub version: String,
    /// Header fields in order.
    pub headers: Vec<(String, String)>,
    /// Body bytes; empty for none.
    pub body: Vec<u8>,
}

impl Default for HttpCheck {
    fn default() -> Self {
        Self { method: "OPTIONS".into(), uri: "/".into(), version: "HTTP/1.0".into(), headers: Vec::new(), body: Vec::new() }
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
        }
    }
}
