//! VRRP versions 2 and 3 as keepalived speaks them: packets, elections, sync groups, tracking.
//!
//! No sockets, no clock, no randomness: an [`Instance`] is told what has happened and when, and says when it wants to be woken and what is
//! to be done. The sources are RFC 3768 (version 2) with the authentication of RFC 2338, RFC 9568 (version 3), and what keepalived 2.2.7
//! was seen to do.
//!
//! What always holds: bytes from the net never panic; a refused packet changes nothing but counters; answers to what others send are
//! bounded in rate; times are [`Duration`](std::time::Duration)s, exact to the nanosecond, and centiseconds exist on the wire only.
//!
//! ```
//! use std::net::IpAddr;
//! use std::time::{Duration, Instant};
//! use vrrp::{Action, Config, Event, Instance, Notice, State};
//!
//! # #[allow(clippy::disallowed_methods)]
//! let now = Instant::now();
//! let mut router = Instance::new(Config { priority: 128, ..Config::new(51, vec!["192.0.2.1".parse().unwrap()]) })?;
//! router.handle(now, Event::Interface { up: true, source: "192.0.2.7".parse().ok() });
//! router.handle(now, Event::Start);
//! assert_eq!(router.state(), State::Backup);
//!
//! // Nobody is heard for three intervals and the skew, (256 - 128) / 256 of a second.
//! let due = router.poll_timeout().unwrap();
//! assert_eq!(due - now, Duration::from_millis(3500));
//! router.handle_timeout(due);
//! assert_eq!(router.state(), State::Master);
//!
//! let actions: Vec<Action> = std::iter::from_fn(|| router.poll_action()).collect();
//! assert!(actions.contains(&Action::AddAddresses));
//! assert!(actions.contains(&Action::Notify { notice: Notice::Master, priority: 128 }));
//! # Ok::<(), vrrp::ConfigError>(())
//! ```

mod action;
mod config;
mod group;
mod instance;
mod pace;
pub mod packet;
mod receive;
mod refusal;
mod stats;
mod track;

pub use action::{Action, Cause, Datagram, Notice, Report, State, Transition};
pub use config::{
    Auth, Config, ConfigError, Garp, MAX_ADDRESSES_V6, MAX_ADVERT_INT_V2, MAX_ADVERT_INT_V3, MAX_DOWN_TIMER_ADVERTS, MAX_PREEMPT_DELAY,
    MIN_ADVERT_INT, OWNER, OldChecksum, PASSWORD_LEN, Peer, Transport,
};
pub use group::{GroupAction, SyncGroup, Syncing};
pub use instance::{ANSWERS_PER_INTERVAL, Departure, Event, HISTORY, Instance, LATE, Master, REPORT_SPACING};
pub use packet::{Family, Packet, Version};
pub use refusal::Refusal;
pub use stats::Stats;
pub use track::{Debounce, MAX_WEIGHT, Quorum, Script, Status, Weight};

/// The README's example, compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
