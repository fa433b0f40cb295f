//! Health checks of servers: what to send, what an answer means, when a server is up.
//!
//! No sockets, no clock, no randomness: a [`Check`] is told what happened and when, and says what to do; [`Health`] counts its
//! verdicts and says when a server goes up or down and how long to wait for the next check; [`report`] writes the log lines.
//! All three behave as HAProxy 2.6 was seen to: the bytes of a request, the status of each answer, the texts.
//!
//! What always holds: bytes from a server never panic and never make a check keep more than [`MAX_ANSWER`] of them; a started check
//! ends with exactly one [`Action::Done`], at the latest at its [`Check::deadline`], unless it is aborted.
//!
//! ```
//! use lb_check::{Action, Check, CheckSpec, Event, Health, HealthSpec, HttpRequest, NoWorld, Script, Status, Transition};
//! use std::time::{Duration, Instant};
//!
//! let request = HttpRequest::parse("GET", "/health", "HTTP/1.0")?;
//! let spec = CheckSpec::new(Script::http(request), Duration::from_secs(2));
//! let mut check = Check::new(spec.into());
//! let mut out = Vec::new();
//! # #[allow(clippy::disallowed_methods)]
//! let now = Instant::now();
//! check.handle(now, Event::Start, &NoWorld, &mut out);
//! assert!(matches!(out[..], [Action::Connect(_)]));
//! out.clear();
//! check.handle(now, Event::Connected, &NoWorld, &mut out);
//! assert!(matches!(&out[..], [Action::Send(bytes)] if bytes[..] == *b"GET /health HTTP/1.0\r\n\r\n"));
//! out.clear();
//! check.handle(now, Event::Sent, &NoWorld, &mut out);
//! check.handle(now, Event::Data(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"), &NoWorld, &mut out);
//! let [Action::Close { .. }, Action::Done(verdict)] = &out[..] else { panic!() };
//! assert_eq!(verdict.status, Status::L7Sts);
//!
//! let mut health = Health::new(HealthSpec { rise: 2, fall: 1, ..HealthSpec::default() });
//! assert_eq!(health.apply(verdict).transition, Some(Transition::Down));
//! # Ok::<(), lb_check::RequestError>(())
//! ```

mod agent;
mod check;
mod expect;
mod health;
mod http;
pub mod mail;
mod passive;
mod protocols;
pub mod report;
mod response;
mod schedule;
mod script;
mod status;
mod world;

pub use agent::{AgentCheck, AgentSpec, Answer, MAX_LINE, Reply};
pub use check::{Action, Check, CheckSpec, Destination, Event};
pub use expect::from_hex;
pub use health::{Admin, Applied, Health, HealthSpec, Initial, Lead, Transition};
pub use http::{HttpRequest, RequestError};
pub use passive::{Observe, OnError, Sign, errors_verdict};
pub use protocols::{MysqlClient, Protocol};
pub use response::{MAX_ANSWER, MAX_HEAD, MAX_HEADERS};
pub use schedule::{spread_interval, start_offsets};
pub use script::{CheckPort, Connect, Expect, HeaderMatch, Match, Message, Pattern, Rule, Script, Send, Text, Tls};
pub use status::{Outcome, Status, SystemError, Verdict};
pub use world::{NoWorld, World};

/// The README's example, compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
