//! The proxy: everything that moves traffic. Given a configuration and open listeners it accepts, chooses, connects, pumps,
//! checks and logs, one event loop per thread.
//!
//! What is absent: no fork, no signal, no limit of the process, no statics: two proxies may run in one process. Those belong
//! to the binary.

pub mod admit;
mod at_start;
mod capture;
pub mod cli;
pub mod client;
pub mod context;
pub mod counters;
mod ending;
pub mod explain;
pub mod gate;
pub mod handover;
pub mod health;
pub mod http;
mod incoming;
pub mod listener;
pub mod log;
pub mod loggers;
mod mail;
pub mod out;
mod outgoing;
pub mod pool;
pub mod proxy;
pub mod pump;
pub mod queue;
pub mod rate;
pub mod record;
pub mod relay;
pub mod reply;
mod rules;
pub mod server;
pub mod session;
mod socket_file;
pub mod start;
mod stats;
pub mod tcp;
pub mod timers;
pub mod variables;
mod warmth;
mod watched;
pub mod worker;

/// The README's example, compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
