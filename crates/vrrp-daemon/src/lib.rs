//! The shell around `vrrp`: keepalived.conf, and what an election needs of the system.
//!
//! [`conf`] reads and checks the file. [`daemon`] runs what it says: raw sockets, netlink, gratuitous ARP, scripts. An election waits for
//! none of scripts, logs and fifos; those have threads of their own.

pub mod conf;
pub mod daemon;
pub mod dump;
pub mod ending;
pub mod explain;
pub mod firewall;
pub mod frames;
pub mod inbox;
pub mod json;
pub mod log;
pub mod mail;
pub mod metrics;
pub mod netlink;
pub mod notifier;
pub mod reload;
pub mod scripts;
pub mod service;
pub mod snapshot;
pub mod sockets;
pub mod status;
pub mod sysctl;
pub mod track;

/// The time, for who asks [`explain`]: only differences count.
pub fn now() -> std::time::Instant {
    lb_rt::clock::now()
}
