//! Mails about the states of servers: `mailers` sections (manual 3.6) and `email-alert` (4.2).

use super::{Level, Span};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A `mailers` section: each mail goes to all of its servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailers {
    /// Name, unique among these sections.
    pub name: String,
    /// Servers, in the order of the lines.
    pub mailers: Vec<Mailer>,
    /// `timeout mail`: for a mail as a whole, from the connection on.
    pub timeout: Duration,
    /// Where the section begins.
    pub span: Span,
}

impl Mailers {
    /// Without a `timeout mail`.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
}

/// A `mailer` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailer {
    /// Its name.
    pub name: String,
    /// Where it takes mails.
    pub address: SocketAddr,
}

/// `email-alert`: a backend's mails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailAlert {
    /// `email-alert mailers`
    pub mailers: Arc<Mailers>,
    /// `email-alert from`
    pub from: String,
    /// `email-alert to`
    pub to: String,
    /// `email-alert level`: what is less important is not sent.
    pub level: Level,
    /// `email-alert myhostname`; `None`: the host's name.
    pub hostname: Option<String>,
}
